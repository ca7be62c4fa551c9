//! Guests of real toolchains run here with a linker that notes each call, so that what the table says of them is what they did.
//!
//! They look at what comes back themselves: a guest that finds something wrong does not end well, and neither does its test.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mini_wasm_canonical_abi::typed::{LiftList, LowerOptional};
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::types::{FuncType, ValType};
use mini_wasm_runtime::{Caller, Config, Engine, Error, ErrorKind, Module, Result, Store, Trap};
use mini_wasm_wasi::cli::run;
use mini_wasm_wasi::http::client::Outgoing;
use mini_wasm_wasi::http::server::{Asked, HANDLE, INSTANCE, Limits, Server, on_threads};
use mini_wasm_wasi::http::types::{IncomingRequest, ResponseOutparam};
use mini_wasm_wasi::preview1::{self, FUNCTIONS, SNAPSHOT};
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::{
    HostFunction, MemoryInput, MemoryOutput, Output, Own, Rows, Stdin, Wasi, WasiBuilder, rows,
};

/// A function by its interface and name.
pub(crate) type Function = (String, String);

/// What guests did: for each function those that called it.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<BTreeMap<Function, BTreeSet<String>>>>);

impl Calls {
    fn note(&self, function: Function, guest: &str) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.entry(function).or_default().insert(guest.to_owned());
    }

    /// The guests that called a function.
    pub(crate) fn of(&self, interface: &str, name: &str) -> BTreeSet<String> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(&(interface.to_owned(), name.to_owned())).cloned().unwrap_or_default()
    }
}

/// The data of a store whose calls are noted.
struct Noted {
    wasi: Wasi,
    guest: String,
    calls: Calls,
}

/// Links every interface, those called unstable too.
struct Recorder<'l> {
    linker: &'l mut Linker<Noted>,
    interface: String,
}

impl Rows for Recorder<'_> {
    type Error = Error;

    fn interface(&mut self, name: &str) -> Result<()> {
        name.clone_into(&mut self.interface);
        Ok(())
    }

    fn resource<R: Send + 'static>(&mut self, name: &str) -> Result<()> {
        let drop = |mut caller: Caller<'_, Noted>, rep: u32| {
            Ok(caller.data_mut().wasi.resource_drop(Own::<R>::new(rep))?)
        };
        self.linker.instance(&self.interface)?.resource::<R>(name, drop).map(|_| ())
    }

    fn function<P: LiftList + 'static, R: LowerOptional + Send + 'static>(
        &mut self,
        name: &str,
        _: &[String],
        function: HostFunction<P, R>,
    ) -> Result<()> {
        let noted = (self.interface.clone(), name.to_owned());
        let call = move |mut caller: Caller<'_, Noted>, params: P| {
            let Noted { wasi, guest, calls } = caller.data_mut();
            calls.note(noted.clone(), guest);
            Ok(function(wasi, params)?)
        };
        self.linker.instance(&self.interface)?.func_wrap(name, call).map(|_| ())
    }
}

fn bytes(guest: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../guests/bin/{guest}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A component that is linked, and what has to be known to run it.
struct Linked {
    engine: Engine,
    linker: Linker<Noted>,
    component: Component,
    guest: String,
    calls: Calls,
}

impl Linked {
    fn new(guest: &str, calls: &Calls) -> Self {
        let engine = Engine::new(Config::default());
        let mut linker = Linker::<Noted>::new(&engine);
        rows(&mut Recorder { linker: &mut linker, interface: String::new() }).unwrap();
        let component = Component::new(&engine, bytes(guest)).unwrap();
        Self { engine, linker, component, guest: guest.to_owned(), calls: calls.clone() }
    }

    fn store(&self, wasi: Wasi) -> Store<Noted> {
        let (guest, calls) = (self.guest.clone(), self.calls.clone());
        Store::new(&self.engine, Noted { wasi, guest, calls })
    }

    /// Runs a command; its exit code, or how it ended else.
    fn run(&self, wasi: Wasi) -> core::result::Result<u8, String> {
        let mut store = self.store(wasi);
        let result = self.linker.instantiate(&mut store, &self.component).and_then(|instance| {
            let interface = run::INSTANCE.split('@').next().unwrap();
            let exports = self.component.exports();
            let name = exports.iter().map(|(name, _)| name).find(|name| name.starts_with(interface)).unwrap();
            let exports = instance.exports(&store)?;
            let run = exports.instance(name).unwrap().func(&mut store, run::RUN).unwrap();
            run.typed::<(), Result<(), ()>>(&store)?.call(&mut store, ())
        });
        match result {
            Ok(ended) => Ok(ended.is_err().into()),
            Err(error) => match error.kind() {
                ErrorKind::Exit(code) => Ok(code),
                _ => Err(error.to_string()),
            },
        }
    }

    /// Hands a request to a handler.
    fn handle(&self, asked: Asked, mut wasi: Wasi) -> Result<()> {
        wasi.deadline(Arc::new(asked.deadline));
        let (request, response) = asked.give(&mut wasi)?;
        let mut store = self.store(wasi);
        let instance = self.linker.instantiate(&mut store, &self.component)?;
        let exports = instance.exports(&store)?;
        let handle = exports.instance(INSTANCE).unwrap().func(&mut store, HANDLE).unwrap();
        let handle = handle.typed::<(Own<IncomingRequest>, Own<ResponseOutparam>), ()>(&store)?;
        handle.call(&mut store, (request, response))
    }
}

/// Where a guest's words go; a test that fails shows them.
struct Said {
    out: MemoryOutput,
    err: MemoryOutput,
}

impl Said {
    fn by(builder: &mut WasiBuilder) -> Self {
        let said = Self { out: MemoryOutput::new(1 << 20), err: MemoryOutput::new(1 << 20) };
        builder.stdout(Output::Memory(said.out.clone())).stderr(Output::Memory(said.err.clone()));
        said
    }

    fn text(output: &MemoryOutput) -> String {
        String::from_utf8_lossy(&output.contents()).into_owned()
    }
}

/// An empty directory that is gone with this.
struct Empty(PathBuf);

impl Empty {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mini-wasm-exercised-{}-{count}", std::process::id()));
        // What a process of this number left that was killed.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn in_time() -> Arc<Instant> {
    Arc::new(Instant::now() + Duration::from_secs(60))
}

fn loopback() -> Network {
    let mut network = Network::nothing();
    network.allow("127.0.0.1".parse().unwrap()).allow_all_lookups();
    network
}

/// Runs a command that must end well.
fn well(guest: &str, calls: &Calls, builder: &mut WasiBuilder) {
    let said = Said::by(builder);
    let code = Linked::new(guest, calls).run(builder.deadline(in_time()).build());
    assert_eq!(code, Ok(0), "{guest}: {}", Said::text(&said.err));
}

fn surroundings(calls: &Calls) {
    const GUEST: &str = "calls-surroundings";
    let linked = Linked::new(GUEST, calls);
    for (argument, code) in [("fail", 1), ("code", 7)] {
        assert_eq!(linked.run(Wasi::builder().args([GUEST, argument]).build()), Ok(code));
    }
    let mut builder = Wasi::builder();
    builder.args([GUEST, "a", "b"]).env("KEY", "value").initial_cwd("/work");
    builder.stdin(Stdin::Memory(MemoryInput::new("in the pipe")));
    let said = Said::by(&mut builder);
    let code = linked.run(builder.deadline(in_time()).build());
    assert_eq!(code, Ok(0), "{}", Said::text(&said.err));
    assert_eq!((Said::text(&said.out), Said::text(&said.err)), ("out: pipe\n".into(), "err\n".into()));
}

fn files(calls: &Calls) {
    let directory = Empty::new();
    well("calls-files", calls, Wasi::builder().arg("files").preopen(&directory.0, "/", false).unwrap());
    assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 0, "it cleans up");
}

/// Serves requests with a guest until the process of the test ends.
fn serve(guest: &str, calls: &Calls) -> SocketAddr {
    let linked = Linked::new(guest, calls);
    let handler = move |asked: Asked| {
        let mut builder = Wasi::builder();
        let said = Said::by(builder.network(loopback()));
        let handled = linked.handle(asked, builder.build());
        handled.map_err(|error| format!("{error}\n{}", Said::text(&said.err)))
    };
    let complain = |words: &str| eprintln!("{words}");
    let address = "127.0.0.1:0".parse().unwrap();
    let server =
        Server::bind(address, Limits::default(), on_threads(handler), Arc::new(|_| {}), Arc::new(complain));
    let server = server.unwrap();
    let address = server.address().unwrap();
    std::thread::spawn(move || server.serve());
    address
}

fn requests(calls: &Calls) {
    let server = serve("calls-answers", calls).to_string();
    let http = Outgoing::to(loopback());
    well("calls-requests", calls, Wasi::builder().args(["requests", &server]).http(&http));
}

fn unstable(calls: &Calls) {
    let mut stream = TcpStream::connect(serve("calls-unstable", calls)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

/// Runs all guests of WASI 0.2.
pub(crate) fn all() -> Calls {
    let calls = Calls::default();
    surroundings(&calls);
    files(&calls);
    well("calls-sockets", &calls, Wasi::builder().arg("sockets").network(loopback()));
    requests(&calls);
    unstable(&calls);
    calls
}

/// A core module of preview 1.
pub(crate) struct Core {
    engine: Engine,
    module: Module,
}

impl Core {
    pub(crate) fn new() -> Self {
        let engine = Engine::new(Config::default());
        let module = Module::new(&engine, bytes("p1-calls")).unwrap();
        Self { engine, module }
    }

    /// Runs the program, `without` one function: that traps.
    fn run(&self, argument: &str, without: Option<&preview1::Function>) -> Result<()> {
        let directory = Empty::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut builder = Wasi::builder();
        builder.args(["preview1", argument]).env("KEY", "value").deadline(in_time());
        builder.stdin(Stdin::Memory(MemoryInput::new("in the pipe")));
        builder.preopen(&directory.0, "/", false).unwrap().listener(listener).unwrap();
        let said = Said::by(&mut builder);
        let mut linker = mini_wasm_runtime::Linker::<Wasi>::new();
        preview1::add_to_linker(&mut linker, |wasi| wasi).unwrap();
        if let Some(function) = without {
            let results: &[ValType] = if function.returns { &[ValType::I32] } else { &[] };
            let ty = FuncType::new(function.params.iter().cloned(), results.iter().cloned());
            let missing = |_: Caller<'_, Wasi>, _: &[_], _: &mut [_]| {
                Err(Error::new(ErrorKind::Trap(Trap::Unreachable), "it is missing"))
            };
            linker.allow_shadowing(true).func_new(SNAPSHOT, function.name, ty, missing).unwrap();
        }
        let mut store = Store::new(&self.engine, builder.build());
        let instance = linker.instantiate(&mut store, &self.module).unwrap();
        let start = instance.func(&mut store, "_start").unwrap();
        let peer = std::thread::spawn(move || visit(address));
        let result = start.call(&mut store, &[]);
        // The guest may have gone before it came to its socket.
        drop((store, builder));
        let _ = peer.join();
        match result {
            Err(error) if error.kind() == ErrorKind::Exit(0) => {
                assert_eq!(
                    (Said::text(&said.out), Said::text(&said.err)),
                    ("out: pipe\n".into(), "err\n".into())
                );
                Ok(())
            }
            Err(error) => Err(error.context(Said::text(&said.err))),
            Ok(_) => panic!("it ends by itself"),
        }
    }

    /// The functions without which the program does not end well; that it does with all of them is seen first.
    pub(crate) fn needed(&self) -> BTreeSet<&'static str> {
        self.run("all", None).unwrap();
        let raised = self.run("raise", None).unwrap_err();
        assert!(raised.to_string().contains("signal"), "{raised}");
        let needs = |function: &&preview1::Function| {
            let error = self.run("all", Some(function)).err();
            error.is_some_and(|error| error.to_string().contains("it is missing"))
        };
        FUNCTIONS.iter().filter(needs).map(|function| function.name).collect()
    }
}

/// Says hello, hears good bye, and goes; whatever the guest does.
fn visit(address: SocketAddr) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let _ = stream.write_all(b"hello");
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    assert!(heard.is_empty() || heard == b"good bye", "{heard:?}");
}

/// The folder that the guests' sources stand in, for messages.
pub(crate) fn sources() -> &'static Path {
    Path::new("guests/src/{calls,unstable,preview1}")
}
