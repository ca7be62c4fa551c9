//! `mini-wasm aot FILE -o OUT`: compiles a program into an artifact.

use crate::engine::compile_options;
use crate::failure::Failure;
use crate::flags::Aot;
use crate::input::{Content, Input};
use crate::output;
use crate::proposals::{refused, warn_of_wasi_03};
use mini_wasm_jit::artifact::{Kind, Seal};
use mini_wasm_jit::compile::{ArtifactOptions, CompileOptions, compile_artifact};
use mini_wasm_jit::seal::{SealKey, SignKey};
use mini_wasm_jit::{Arch, COMPILE_SPACE};
use mini_wasm_runtime::backend::has_address_space;
use mini_wasm_runtime::component::Component;
use mini_wasm_runtime::error::Said;
use mini_wasm_runtime::{Config, Engine, Module};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Compiles and writes it.
pub(crate) fn aot(flags: &Aot) -> Result<u8, Failure> {
    if !has_address_space(COMPILE_SPACE) {
        return Err(Failure::Other(format!(
            "compiling takes {} MiB of address space, and so much is not left (`ulimit -v`)",
            COMPILE_SPACE >> 20
        )));
    }
    let target = flags.target.as_deref().map(target).transpose()?;
    let input = Input::read(&flags.file)?;
    let because = |error| Failure::engine(&input.name)(error);
    let (seal, signer) = seal(flags.sign.as_deref())?;
    let config = Config {
        features: flags.language.features(),
        fuel: flags.fuel,
        epoch: flags.epoch,
        ..crate::engine::guarded(flags.guards)
    };
    // Validates; compiling is `compile_artifact`'s, for whichever target.
    let engine = Engine::new(config.clone());
    let (kind, wasm, modules, adapters) = match &input.content {
        Content::Module(bytes) => (
            Kind::Module,
            bytes,
            vec![Module::new(&engine, &**bytes).map_err(refused(&input.name, &engine, bytes))?],
            Vec::new(),
        ),
        Content::Component(bytes) => {
            let component =
                Component::new(&engine, &**bytes).map_err(refused(&input.name, &engine, bytes))?;
            warn_of_wasi_03(&input.name, bytes);
            (Kind::Component, bytes, component.core_modules().to_vec(), component.adapter_infos())
        }
        Content::Artifact(_) => {
            return Err(Failure::Other(format!("{} is an artifact already", input.name)));
        }
    };
    let progress = Progress::new(flags.verbose);
    let options = ArtifactOptions {
        arch: target,
        cpu: None,
        compile: CompileOptions {
            threads: flags.threads.map_or(0, usize::from),
            progress: progress.as_ref().map(|progress| {
                let progress = progress.clone();
                Arc::new(move |done, all| progress.tell(done, all)) as Arc<dyn Fn(usize, usize) + Send + Sync>
            }),
            ..compile_options(&flags.compiling)
        },
        seal,
    };
    let infos: Vec<_> = modules.iter().map(|module| &**module.info()).collect();
    let artifact = compile_artifact(&config, wasm, kind, &infos, &adapters, &options).map_err(because)?;
    output::write_made(&flags.output, &artifact.bytes)?;
    if let Some(progress) = progress {
        let functions = infos.iter().map(|info| info.bodies.len()).sum();
        progress.end(&flags.output, artifact.bytes.len(), functions, artifact.left_out.len());
        for (module, own, why) in artifact.left_out.iter().filter(|_| flags.verbose) {
            let func = infos[*module].imported_funcs + *own as u32;
            let name = infos[*module].func_name(func).unwrap_or_else(|| format!("function {func}"));
            output::warn(format_args!("{name} of core module {module} is left to the interpreter: {why:?}"));
        }
    }
    match signer {
        // Beside the artifact itself, a line of text would be damage.
        Some(signer) if output::is_stdout(&flags.output) => output::say(format_args!("{signer}")),
        Some(signer) => output::print(format!("{signer}\n"))?,
        None => {}
    }
    Ok(0)
}

fn target(triple: &str) -> Result<Arch, Failure> {
    Arch::from_triple(triple).ok_or_else(|| {
        let known = Arch::ALL.map(Arch::triple).join(", ");
        Failure::Usage(format!("--target: there is no native code for `{triple}`; there is for {known}"))
    })
}

/// The seal, and the public key of a signature.
fn seal(sign: Option<&Path>) -> Result<(Seal, Option<String>), Failure> {
    let Some(path) = sign else {
        let key = SealKey::user().map_err(Failure::engine("cannot seal the artifact"))?;
        return Ok((Seal::Key(key), None));
    };
    let key = match path.try_exists() {
        Ok(false) => SignKey::create(path),
        _ => SignKey::read(path),
    };
    let key = key.map_err(Failure::engine("--sign"))?;
    let signer = key.public().to_string();
    Ok((Seal::Sign(key), Some(signer)))
}

/// How often progress is told.
const PACE: Duration = Duration::from_millis(100);

/// Progress on standard error: one line that is written over on a terminal, lines otherwise.
struct Progress {
    begin: Instant,
    last: Mutex<Instant>,
    terminal: bool,
}

impl Progress {
    /// `None` when nobody wants to know.
    fn new(verbose: bool) -> Option<Arc<Progress>> {
        let terminal = std::io::stderr().is_terminal();
        let begin = Instant::now();
        (terminal || verbose).then(|| Arc::new(Progress { begin, last: Mutex::new(begin), terminal }))
    }

    fn tell(&self, done: usize, all: usize) {
        // A thread that finds another one telling has nothing to add.
        let Ok(mut last) = self.last.try_lock() else { return };
        if last.elapsed() < PACE {
            return;
        }
        *last = Instant::now();
        let (start, end) = if self.terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        let _ = write!(std::io::stderr(), "{start}compiling: {done} of {all} functions{end}");
    }

    fn end(&self, output: &Path, bytes: usize, functions: usize, interpreted: usize) {
        let start = if self.terminal { "\r\x1b[K" } else { "" };
        let left = match interpreted {
            0 => String::new(),
            n => format!(", {n} of them left to the interpreter"),
        };
        let _ = writeln!(
            std::io::stderr(),
            "{start}{}: {functions} functions{left}, {} KiB, {:.1} s",
            Said::line(&output.display().to_string()),
            bytes.div_ceil(1024),
            self.begin.elapsed().as_secs_f64()
        );
    }
}
