//! The differential fuzzer: random modules do the same in every engine and with every way to translate them.
//!
//! Modules come from three sources ([`source`]): `wasm-smith`, which knows the binary format, the typed generator
//! ([`crate::program`]), whose programs run far, and its drills, which execute the operators that were executed least so far. Each is run interpreted, and held against that: interpreted with some of the
//! translator's liberties taken away, compiled, compiled without guard pages, compiled with a heap that is collected at every
//! allocation, and reloaded from an artifact. What is compared
//! stands in [`crate::observe`]. Fuel bounds every run and a store's limits its memory, so no run hangs and none differs because
//! time passed. Everything follows from the seed.
//!
//! A module that shows a difference is made smaller ([`reduce`]) and kept in `spec-tests/found/` ([`found`]), from where the test
//! suite runs it again for ever.

pub mod coverage;
pub mod found;
pub mod jobs;
pub mod reduce;
pub mod source;
mod statistics;

use crate::observe::{Observed, Plan, difference, observe};
use crate::{Mode, panics};
use mini_wasm_runtime::features::Features;
use mini_wasm_runtime::{Config, ErrorKind};
pub use source::Source;
pub use statistics::Statistics;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A way to run a module, which must make no difference.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// By what engine.
    pub mode: Mode,
    /// Whether the interpreter may use its accumulators, pin a local to a register, merge instructions.
    pub translator: [bool; 3],
}

impl Way {
    /// Interpreted as usual: what the others are held against.
    pub const REFERENCE: Way = Way { mode: Mode::Interp, translator: [true; 3] };

    /// What the reference is held against for this seed. Artifacts take another compilation, so they are made for one module in
    /// four, as are native code without guard pages and a heap that is always being collected.
    pub fn others(seed: u64) -> Vec<Way> {
        let bits = seed % 7;
        let translator = [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
        let mut ways =
            vec![Way { mode: Mode::Interp, translator }, Way { mode: Mode::Jit, translator: [true; 3] }];
        match (seed >> 8) % 4 {
            0 => ways.push(Way { mode: Mode::Aot, translator: [true; 3] }),
            1 => ways.push(Way { mode: Mode::Unguarded, translator: [true; 3] }),
            2 => ways.push(Way { mode: Mode::Stress, translator: [true; 3] }),
            _ => {}
        }
        ways
    }

    /// Every way there is.
    pub fn all() -> Vec<Way> {
        let plain = (0..7u8).map(|bits| [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0]);
        let interpreted = plain.map(|translator| Way { mode: Mode::Interp, translator });
        let native = [Mode::Jit, Mode::Aot, Mode::Unguarded, Mode::Stress];
        interpreted.chain(native.map(|mode| Way { mode, translator: [true; 3] })).collect()
    }

    /// Runs a module this way. A panic of the engine is an answer, too.
    ///
    /// # Errors
    /// As [`observe`]; the outer error is a panic's message.
    pub fn run(self, features: Features, binary: &[u8], plan: Plan) -> Result<Observed, String> {
        let config = config(features, self.translator, binary);
        let answer = catch_unwind(AssertUnwindSafe(|| observe(self.mode, config, binary, plan)));
        // A panic that the engine itself caught, in its compiler, is a fault as well.
        match (answer, panics::take().first()) {
            (Ok(observed), None) => Ok(observed),
            (_, Some(panic)) => Err(format!("a panic: {panic}")),
            (Err(_), None) => Err("a panic".to_owned()),
        }
    }
}

/// What a module is run with. NaNs are compared as they come: three modules of four keep the bits that the machine makes. Stacks are
/// large, so that fuel ends a recursion before they do.
fn config(features: Features, translator: [bool; 3], binary: &[u8]) -> Config {
    let mut config = Config {
        features,
        fuel: true,
        canonicalize_nans: binary.len().is_multiple_of(4),
        value_stack_bytes: 16 << 20,
        native_stack_bytes: 16 << 20,
        ..Config::default()
    };
    let [accumulators, pinned_local, fusion] = translator;
    config.translator.accumulators = accumulators;
    config.translator.pinned_local = pinned_local;
    config.translator.fusion = fusion;
    config
}

/// The features that modules use: all that the engine has, but `without`.
pub fn features(without: &[String]) -> Features {
    let mut features = Features::default();
    for (name, _, _) in Features::LIST {
        features.set(name, !without.iter().any(|off| off == name));
    }
    features
}

/// How one way differs from the reference, in words.
pub fn disagreement(features: Features, binary: &[u8], plan: Plan, ways: &[Way]) -> Option<(Way, String)> {
    let expected = match Way::REFERENCE.run(features, binary, plan) {
        Ok(expected) => expected,
        Err(panic) => return Some((Way::REFERENCE, panic)),
    };
    ways.iter().find_map(|&way| {
        let difference = match way.run(features, binary, plan) {
            Ok(found) => difference(&found, &expected)?,
            Err(panic) => panic,
        };
        Some((way, difference))
    })
}

/// What the driver is asked to do.
#[derive(Debug)]
pub struct Request {
    /// Ends the run when it is over.
    pub time: Duration,
    /// Ends the run when its processes together have used so much processor time.
    pub processor: Option<Duration>,
    /// Ends the run after so many modules.
    pub count: u64,
    /// Decides everything.
    pub seed: u64,
    /// Where modules come from.
    pub sources: Vec<Source>,
    /// The features that modules use.
    pub features: Features,
    /// Differences to be found before the run ends.
    pub differences: u64,
    /// Where what is found is kept; nowhere if `None`.
    pub folder: Option<PathBuf>,
    /// One module in so many is run once more to count its operators.
    pub counted: u64,
    /// Which of how many processes this is: it takes every so many-th module ([`jobs`]).
    pub share: (u64, u64),
    /// Ends the run as soon as this file exists.
    pub stop: Option<PathBuf>,
}

/// Runs the differential fuzzer.
pub fn run(request: &Request) -> Statistics {
    let started = Instant::now();
    let mut statistics = Statistics::new(request.counted);
    let (first, of) = request.share;
    for number in (first..request.count).step_by(of.max(1) as usize) {
        if started.elapsed() >= request.time
            || request.processor.is_some_and(|most| jobs::processor_time() * of as u32 >= most)
            || statistics.differences >= request.differences
            || request.stop.as_ref().is_some_and(|stop| stop.exists())
        {
            break;
        }
        let seed = crate::random::Random::new(request.seed ^ number.rotate_left(32)).bits();
        let source = request.sources[(number % request.sources.len() as u64) as usize];
        if let Some(folder) = &request.folder {
            // A fault that ends the process leaves this behind.
            let note = format!("{source:?} {seed:#x}\n");
            let _ = std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::write(folder.join(format!("last-module-{first}.txt")), note));
        }
        let executed = (request.counted > 0).then_some(&statistics.operators);
        let Some(binary) = source.module(seed, request.features, executed) else { continue };
        one(request, &mut statistics, source, seed, &binary, started);
    }
    if let Some(folder) = &request.folder {
        let _ = std::fs::remove_file(folder.join(format!("last-module-{first}.txt")));
    }
    statistics.time = started.elapsed();
    statistics.processor = jobs::processor_time();
    statistics
}

/// One module in every way.
fn one(
    request: &Request,
    statistics: &mut Statistics,
    source: Source,
    seed: u64,
    binary: &[u8],
    started: Instant,
) {
    let plan = Plan::new(seed);
    let features = request.features;
    statistics.made += 1;
    let expected = Way::REFERENCE.run(features, binary, plan);
    let ways = Way::others(seed);
    let found = match &expected {
        Err(panic) => Some((Way::REFERENCE, panic.clone())),
        Ok(expected) => {
            statistics.note(expected);
            // What is refused before anything ran is refused by the same code in every mode: once is enough.
            let refused = matches!(expected, Err(ErrorKind::Invalid | ErrorKind::Malformed));
            ways.iter().filter(|_| !refused).find_map(|&way| {
                statistics.runs += 1;
                let difference = match way.run(features, binary, plan) {
                    Ok(found) => difference(&found, expected)?,
                    Err(panic) => panic,
                };
                Some((way, difference))
            })
        }
    };
    let Some((way, what)) = found else {
        if let Ok(Ok(calls)) = &expected
            && statistics.is_counted(source, seed)
        {
            statistics.count(coverage::count(features, binary, plan, calls));
        }
        return;
    };
    statistics.differences += 1;
    println!(
        "difference after {:.1} s, module {}, {source:?} seed {seed:#x}, {way:?}:\n{what}",
        started.elapsed().as_secs_f64(),
        statistics.made
    );
    let Some(folder) = &request.folder else { return };
    let small = reduce::reduce(binary, |binary| {
        disagreement(features, binary, plan, &[way]).is_some_and(|(found, _)| found.mode == way.mode)
    });
    let what = disagreement(features, &small, plan, &[way]).map_or(what, |(_, what)| what);
    match found::keep(folder, &small, plan, way, &what) {
        Ok(path) => {
            println!("reduced from {} to {} bytes: {}\n{what}", binary.len(), small.len(), path.display())
        }
        Err(error) => println!("{}: {error}", folder.display()),
    }
}
