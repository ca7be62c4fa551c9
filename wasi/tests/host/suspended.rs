//! Guests of real toolchains that are suspended while they wait, several at a time on one thread. They look themselves at what comes
//! back, and here it is seen that none has held the thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mini_wasm_runtime::component::{Component, InstancePre, Linker};
use mini_wasm_runtime::{Config, Engine, ErrorKind, Result, Store};
use mini_wasm_wasi::cli::run;
use mini_wasm_wasi::http::client::Outgoing;
use mini_wasm_wasi::http::server::{HANDLE, Handler, INSTANCE, Limits, Server};
use mini_wasm_wasi::http::types::{IncomingRequest, ResponseOutparam};
use mini_wasm_wasi::sockets::policy::Network;
use mini_wasm_wasi::{
    Deadline, MemoryInput, MemoryOutput, Output, Own, Stdin, Unstable, Wasi, WasiBuilder,
    add_to_linker_async, link_unstable,
};
use tokio::runtime::{Builder, Runtime};

use crate::sandbox::Sandbox;

fn linked(guest: &str) -> InstancePre<Wasi> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../guests/bin/{guest}.wasm"));
    let engine = Engine::new(Config::default());
    let mut linker = Linker::<Wasi>::new(&engine);
    add_to_linker_async(&mut linker, |wasi| wasi).unwrap();
    for &feature in Unstable::ALL {
        link_unstable(&mut linker, |wasi| wasi, feature).unwrap();
    }
    linker.instantiate_pre(&Component::new(&engine, std::fs::read(path).unwrap()).unwrap()).unwrap()
}

/// A minute; counts the waits that hold a thread.
struct Counting {
    until: Instant,
    held: Arc<AtomicUsize>,
}

impl Deadline for Counting {
    fn remaining(&self) -> Option<Duration> {
        self.until.remaining()
    }

    fn wait(&self, wait: &mut dyn FnMut()) {
        self.held.fetch_add(1, Ordering::Relaxed);
        wait();
    }
}

/// A command, the counter of its waits that held a thread, and what it says is wrong.
struct Command {
    pre: InstancePre<Wasi>,
    wasi: Wasi,
    held: Arc<AtomicUsize>,
    said: MemoryOutput,
}

impl Command {
    fn new(guest: &str, builder: &mut WasiBuilder) -> Self {
        let (held, said) = (Arc::new(AtomicUsize::new(0)), MemoryOutput::new(1 << 20));
        let until = Instant::now() + Duration::from_secs(60);
        builder.stdout(Output::Memory(MemoryOutput::new(1 << 20))).stderr(Output::Memory(said.clone()));
        builder.deadline(Arc::new(Counting { until, held: held.clone() }));
        Self { pre: linked(guest), wasi: builder.build(), held, said }
    }

    async fn ends_well(self) {
        let mut store = Store::new(self.pre.component().engine(), self.wasi);
        let ended: Result<Result<(), ()>> = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let run = instance.func_of(&mut store, run::INSTANCE, run::RUN).expect("it is a command");
            run.typed::<(), Result<(), ()>>(&store)?.call_async(&mut store, ()).await
        }
        .await;
        let said = String::from_utf8_lossy(&self.said.contents()).into_owned();
        let well = match &ended {
            Ok(ended) => ended.is_ok(),
            Err(error) => error.kind() == ErrorKind::Exit(0),
        };
        assert!(well, "{ended:?}: {said}");
        assert_eq!(self.held.load(Ordering::Relaxed), 0, "a wait has held the thread");
    }
}

fn one_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn loopback() -> Network {
    let mut network = Network::nothing();
    network.allow("127.0.0.1".parse().unwrap()).allow_all_lookups();
    network
}

#[test]
fn guests_that_are_suspended_share_a_thread_and_get_what_others_get() {
    let runtime = one_thread();
    let directories = [Sandbox::new(), Sandbox::new()];
    let mut running = Vec::new();
    for directory in &directories {
        let root = directory.inside("");
        for command in [
            Command::new("calls-sockets", Wasi::builder().arg("sockets").network(loopback())),
            Command::new("calls-files", Wasi::builder().arg("files").preopen(root, "/", false).unwrap()),
            Command::new(
                "calls-surroundings",
                Wasi::builder()
                    .args(["calls-surroundings", "a", "b"])
                    .env("KEY", "value")
                    .initial_cwd("/work")
                    .stdin(Stdin::Memory(MemoryInput::new("in the pipe"))),
            ),
        ] {
            running.push(runtime.spawn(command.ends_well()));
        }
    }
    for one in running {
        runtime.block_on(one).unwrap();
    }
}

#[test]
fn a_suspended_guest_asks_what_another_answers() {
    let answers = Arc::new(linked("calls-answers"));
    let handler: Arc<Handler> = Arc::new(move |asked| {
        let answers = answers.clone();
        Box::pin(async move {
            let mut wasi = Wasi::builder().network(loopback()).build();
            let params = asked.give(&mut wasi).map_err(|stop| stop.to_string())?;
            let mut store = Store::new(answers.component().engine(), wasi);
            let answered = async {
                let instance = answers.instantiate_async(&mut store).await?;
                let handle = instance.func_of(&mut store, INSTANCE, HANDLE).expect("it handles requests");
                let handle = handle.typed::<(Own<IncomingRequest>, Own<ResponseOutparam>), ()>(&store)?;
                handle.call_async(&mut store, params).await
            };
            answered.await.map_err(|error| error.to_string())
        })
    });
    let (address, limits) = ("127.0.0.1:0".parse().unwrap(), Limits::default());
    let complain = |words: &str| eprintln!("{words}");
    let server = Server::bind(address, limits, handler, Arc::new(|_| {}), Arc::new(complain)).unwrap();
    let address = server.address().unwrap().to_string();
    std::thread::spawn(move || server.serve());
    let http = Outgoing::to(loopback());
    let asks = Command::new("calls-requests", Wasi::builder().args(["requests", &address]).http(&http));
    let runtime = one_thread();
    runtime.block_on(runtime.spawn(asks.ends_well())).unwrap();
}
