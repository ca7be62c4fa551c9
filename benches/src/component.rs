//! What does it cost to cross the boundary of a component: from the host, and from another component?
//!
//! Each row is the time of one call. The peer is wasmtime with its defaults and, as a second column, tuned for such calls (no
//! concurrency support, inlining on). Guests: benches/components.

use crate::Options;
use crate::timing::{median, time};
use mini_wasm_runtime::component::{Component, Instance, Linker};
use mini_wasm_runtime::{Config, Engine, Store};

const SCALAR: &str = include_str!("../components/scalar.wat");
const PAYLOAD: &str = include_str!("../components/payload.wat");
const BORROW: &str = include_str!("../components/borrow.wat");
const OWN: &str = include_str!("../components/own.wat");
const METHOD: &str = include_str!("../components/method.wat");
const RESULT: &str = include_str!("../components/result.wat");

/// A component in an engine: calls of its exports, so many at a time.
trait Guest {
    /// `name: func(...) ` with numbers for parameters, and a number or nothing as its result.
    fn call(&mut self, name: &str, args: &[u32]);
    /// `nop` from the host, so many times.
    fn nops(&mut self, n: u32);
    /// `add` from the host, so many times.
    fn adds(&mut self, n: u32);
    /// `take` of a `list<u8>` from the host, so many times.
    fn lists(&mut self, n: u32, list: &[u8]);
    /// `take` of a `string` from the host, so many times.
    fn strings(&mut self, n: u32, text: &str);
}

/// How an engine makes a guest of a binary.
type Load = fn(&[u8]) -> Box<dyn Guest>;

struct Ours {
    store: Store<()>,
    instance: Instance,
}

fn ours(engine: &Engine, wasm: &[u8]) -> Box<dyn Guest> {
    let component = Component::new(engine, wasm).expect("a benchmark component is valid");
    let mut store = Store::new(engine, ());
    let instance = Linker::<()>::new(engine).instantiate(&mut store, &component).expect("it has no imports");
    Box::new(Ours { store, instance })
}

fn ours_native(wasm: &[u8]) -> Box<dyn Guest> {
    let backend = std::sync::Arc::new(mini_wasm_jit::Jit::default());
    ours(&Engine::with_backend(Config::default(), backend), wasm)
}

fn ours_interpreted(wasm: &[u8]) -> Box<dyn Guest> {
    ours(&Engine::new(Config::default()), wasm)
}

impl Guest for Ours {
    fn call(&mut self, name: &str, args: &[u32]) {
        use mini_wasm_runtime::component::abi::Val;
        let func = self.instance.func(&mut self.store, name).expect("it is exported");
        let args: Vec<Val> = args.iter().map(|&arg| Val::U32(arg)).collect();
        func.call(&mut self.store, &args).expect("it does not trap");
    }

    fn nops(&mut self, n: u32) {
        let nop = self.instance.typed::<(), ()>(&mut self.store, "nop").expect("nop: func()");
        for _ in 0..n {
            nop.call(&mut self.store, ()).expect("it does not trap");
        }
    }

    fn adds(&mut self, n: u32) {
        let add = self.instance.typed::<(u32, u32), u32>(&mut self.store, "add").expect("add");
        for i in 0..n {
            let sum = add.call(&mut self.store, (i, 1)).expect("it does not trap");
            assert_eq!(sum, i + 1);
        }
    }

    fn lists(&mut self, n: u32, list: &[u8]) {
        let take = self.instance.typed::<(Vec<u8>,), ()>(&mut self.store, "take").expect("take");
        for _ in 0..n {
            take.call_lent(&mut self.store, (list,)).expect("it does not trap");
        }
    }

    fn strings(&mut self, n: u32, text: &str) {
        let take = self.instance.typed::<(String,), ()>(&mut self.store, "take").expect("take");
        for _ in 0..n {
            take.call_lent(&mut self.store, (text,)).expect("it does not trap");
        }
    }
}

#[cfg(feature = "wasmtime")]
mod theirs {
    use super::Guest;
    use wasmtime::component::{Component, Instance, Linker, Val};
    use wasmtime::{Config, Engine, Store};

    pub(super) struct Theirs {
        store: Store<()>,
        instance: Instance,
    }

    fn load(config: &Config, wasm: &[u8]) -> Box<dyn Guest> {
        let engine = Engine::new(config).expect("the peer's configuration is sound");
        let component = Component::new(&engine, wasm).expect("a benchmark component is valid");
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component).expect("it has no imports");
        Box::new(Theirs { store, instance })
    }

    pub(super) fn default(wasm: &[u8]) -> Box<dyn Guest> {
        load(&Config::new(), wasm)
    }

    pub(super) fn tuned(wasm: &[u8]) -> Box<dyn Guest> {
        let mut config = Config::new();
        config.concurrency_support(false);
        config.compiler_inlining(wasmtime::Inlining::Yes);
        load(&config, wasm)
    }

    impl Guest for Theirs {
        fn call(&mut self, name: &str, args: &[u32]) {
            let func = self.instance.get_func(&mut self.store, name).expect("it is exported");
            let args: Vec<Val> = args.iter().map(|&arg| Val::U32(arg)).collect();
            let results = usize::from(func.ty(&self.store).results().len() > 0);
            let mut results = vec![Val::Bool(false); results];
            func.call(&mut self.store, &args, &mut results).expect("it does not trap");
        }

        fn nops(&mut self, n: u32) {
            let nop = self.instance.get_typed_func::<(), ()>(&mut self.store, "nop").expect("nop: func()");
            for _ in 0..n {
                nop.call(&mut self.store, ()).expect("it does not trap");
            }
        }

        fn adds(&mut self, n: u32) {
            let add =
                self.instance.get_typed_func::<(u32, u32), (u32,)>(&mut self.store, "add").expect("add");
            for i in 0..n {
                let (sum,) = add.call(&mut self.store, (i, 1)).expect("it does not trap");
                assert_eq!(sum, i + 1);
            }
        }

        fn lists(&mut self, n: u32, list: &[u8]) {
            let take = self.instance.get_typed_func::<(&[u8],), ()>(&mut self.store, "take").expect("take");
            for _ in 0..n {
                take.call(&mut self.store, (list,)).expect("it does not trap");
            }
        }

        fn strings(&mut self, n: u32, text: &str) {
            let take = self.instance.get_typed_func::<(&str,), ()>(&mut self.store, "take").expect("take");
            for _ in 0..n {
                take.call(&mut self.store, (text,)).expect("it does not trap");
            }
        }
    }
}

/// Who answers: ours first.
fn contenders() -> Vec<(&'static str, Load)> {
    vec![
        ("ours", ours_native as Load),
        ("interpreted", ours_interpreted),
        #[cfg(feature = "wasmtime")]
        ("wasmtime", theirs::default),
        #[cfg(feature = "wasmtime")]
        ("tuned", theirs::tuned),
    ]
}

/// As [`row`], and nothing is prepared.
fn calls(options: &Options, name: &str, wat: &str, n: u32, work: impl Fn(&mut dyn Guest, u32)) {
    row(options, name, wat, n, |_| {}, work);
}

/// Lets all of them take turns at `n` calls, each prepared once; prints the time of one call for each, and ours as a part of theirs: the median over
/// rounds.
fn row(
    options: &Options,
    name: &str,
    wat: &str,
    n: u32,
    prepare: impl Fn(&mut dyn Guest),
    work: impl Fn(&mut dyn Guest, u32),
) {
    let wasm = wat::parse_str(wat).expect("a benchmark component is text");
    let mut guests: Vec<Box<dyn Guest>> = contenders().iter().map(|(_, load)| load(&wasm)).collect();
    guests.iter_mut().for_each(|guest| {
        prepare(guest.as_mut());
        work(guest.as_mut(), n.div_ceil(10));
    });
    let rounds: Vec<Vec<f64>> = (0..options.rounds)
        .map(|round| {
            let mut times = vec![0.0; guests.len()];
            for i in 0..guests.len() {
                // Whoever comes later finds warmer caches: take that in turns too.
                let i = (i + round) % guests.len();
                times[i] = time(&mut || work(guests[i].as_mut(), n)) / f64::from(n);
            }
            times
        })
        .collect();
    print!("| {name:40} |");
    for i in 0..guests.len() {
        print!(" {:11.1} |", median(rounds.iter().map(|times| times[i])) * 1e9);
    }
    for i in 2..guests.len() {
        print!(" {:8.2} |", median(rounds.iter().map(|times| times[0] / times[i])));
    }
    println!();
}

fn payload(ty: &str, from: &str, to: &str) -> String {
    PAYLOAD.replace("TYPE", ty).replace("FROM", from).replace("TO", to)
}

pub(crate) fn run(options: &Options) {
    println!("Nanoseconds for one call; then our time as a part of the peer's.\n");
    print!("| {:40} |", "call");
    contenders().iter().for_each(|(name, _)| print!(" {name:>11} |"));
    contenders().iter().skip(2).for_each(|(name, _)| print!(" {name:>8} |"));
    println!();

    let direct = SCALAR.replace("OPTIONS", "");
    let guarded = SCALAR.replace("OPTIONS", "(memory $memory) (realloc $realloc)");
    calls(options, "host -> component, nop", &direct, 100_000, |guest, n| guest.nops(n));
    calls(options, "host -> component, add(u32, u32)", &direct, 100_000, |guest, n| guest.adds(n));
    for (name, wat) in [("", &direct), (", caller has a realloc", &guarded)] {
        for func in ["nop", "add", "small"] {
            let run = format!("run-{func}");
            let n = if func == "small" { 100_000 } else { 1_000_000 };
            calls(options, &format!("component -> component, {func}{name}"), wat, n, |guest, n| {
                guest.call(&run, &[n]);
            });
        }
    }
    for (name, wat) in [("a borrow", BORROW), ("a method", METHOD), ("an own there and back", OWN)] {
        calls(options, &format!("component -> component, {name}"), wat, 100_000, |guest, n| {
            guest.call("run", &[n]);
        });
    }
    for (name, which) in [("ok(u32)", 0), ("error(string)", 1)] {
        calls(options, &format!("-> result<u32, string>, {name}"), RESULT, 100_000, |guest, n| {
            guest.call("run", &[n, which]);
        });
    }

    let list = payload("(list u8)", "", "");
    for (len, n) in [(16, 100_000), (4096, 100_000), (1 << 20, 500)] {
        calls(options, &format!("list<u8>, {len} bytes"), &list, n, |guest, n| guest.call("run", &[n, len]));
    }
    let bools = payload("(list bool)", "", "");
    for (len, n) in [(16, 100_000), (4096, 20_000)] {
        calls(options, &format!("list<bool>, {len} bytes"), &bools, n, |guest, n| {
            guest.call("run", &[n, len])
        });
    }
    // Pointer and length of each are the same bytes: 97 of them at 97.
    let strings = payload("(list string)", "", "");
    for (len, n) in [(1, 50_000), (64, 2_000)] {
        let fill = |guest: &mut dyn Guest| guest.call("fill", &[0x0061, 8 * 64]);
        let wat = strings.replace("(i32.store16 ", "(i32.store ").replace("(i32.const 2)", "(i32.const 4)");
        row(options, &format!("list<string>, {len} of 97 bytes"), &wat, n, fill, |guest, n| {
            guest.call("run", &[n, len])
        });
    }
    let encodings = ["utf8", "utf16", "latin1+utf16"];
    for (from, to) in encodings.iter().flat_map(|from| encodings.iter().map(move |to| (from, to))) {
        let wat = payload("string", &format!("string-encoding={from}"), &format!("string-encoding={to}"));
        // Two bytes of text, and how many bytes a code unit has.
        let texts: &[(&str, u32, u32)] = match *from {
            "utf16" => &[("ASCII", 0x0061, 2), ("U+4141", 0x4141, 2)],
            _ => &[("ASCII", 0x6161, 1)],
        };
        for (text, pair, unit) in texts {
            for (units, n) in [(1 << 10, 20_000), (1 << 20, 50)] {
                let name = format!("{from} -> {to}, {text}, {units} units");
                let fill = |guest: &mut dyn Guest| guest.call("fill", &[*pair, units * unit]);
                row(options, &name, &wat, n, fill, |guest, n| guest.call("run", &[n, units]));
            }
        }
    }
    quoted(options, &direct, &list);
}

/// The rows that are often quoted for calls of components: 1,000 calls 3.8 ms, 1 KB 0.08 ms, 1 MB 11.2 ms, a cold start 18 ms.
fn quoted(options: &Options, scalar: &str, list: &str) {
    println!("\nThe quoted rows (3.8 ms, 0.08 ms, 11.2 ms, 18 ms), in nanoseconds each:\n");
    calls(options, "1,000 calls from the host", scalar, 100, |guest, n| {
        for _ in 0..n {
            guest.adds(1000);
        }
    });
    for (name, len, n) in [("1 KB", 1 << 10, 20_000), ("1 MB", 1 << 20, 200)] {
        let bytes = vec![0x61; len];
        calls(options, &format!("{name} from the host, list<u8>"), list, n, |guest, n| {
            guest.lists(n, &bytes)
        });
        let text = "a".repeat(len);
        let wat = payload("string", "", "");
        calls(options, &format!("{name} from the host, string"), &wat, n, |guest, n| guest.strings(n, &text));
    }
    let wasm = wat::parse_str(list).expect("a benchmark component is text");
    print!("| {:40} |", "cold start: compile, instantiate, call");
    for (_, load) in contenders() {
        let times = (0..options.rounds).map(|_| time(&mut || load(&wasm).call("run", &[1, 16])));
        print!(" {:11.0} |", median(times) * 1e9);
    }
    println!();
}
