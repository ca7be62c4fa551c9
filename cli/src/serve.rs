//! `mini-wasm serve`: a component that exports `wasi:http/incoming-handler` behind a port. A fresh instance answers each request.

use crate::engine::{self, Program};
use crate::failure::Failure;
use crate::flags::{self, Serve};
use crate::grant::{grant, size};
use crate::guest::{self, Waiting, linked};
use crate::input::{Input, base_name};
use crate::output;
use mini_wasm_runtime::component::{Component, InstancePre};
use mini_wasm_runtime::{Config, Engine, Result as EngineResult, Store};
use mini_wasm_wasi::http::server::{Asked, HANDLE, INSTANCE, Limits, Served, Server, Serving};
use mini_wasm_wasi::http::types::{IncomingRequest, ResponseOutparam};
use mini_wasm_wasi::{Allowance, Own, Wasi};
use std::sync::Arc;
use std::time::Duration;

/// How often the epoch moves on: how long a guest computes at most before others have a turn.
const TICK: Duration = Duration::from_millis(10);

/// What the guest of one request may hold, if no flag says so (`StoreLimits::total_bytes`).
const REQUEST_MEMORY: u64 = 512 << 20;
/// What the host keeps for a request at most, and for all requests and clients, if no flag says so.
const OF_A_REQUEST: usize = 16 << 20;
const TOTAL: usize = 1 << 30;

/// Serves until a signal ends it; 0 then.
pub(crate) fn serve(flags: &Serve) -> Result<u8, Failure> {
    let input = Input::read(&flags.file)?;
    let name = input.name.clone();
    let config = engine::config(&flags.code, &flags.limits);
    // The stacks of calls that may wait are as large as those of calls that do not: what runs by `run` does so here.
    let (async_stack_bytes, async_value_stack_bytes) = (config.native_stack_bytes, config.value_stack_bytes);
    let config = Config { epoch: true, async_stack_bytes, async_value_stack_bytes, ..config };
    let component = match engine::load(input, &flags.code, config)? {
        Program::Component(component) => component,
        Program::Module(_) => {
            return Err(Failure::Other(format!(
                "{name} is a core module, and serving takes a component that exports `{INSTANCE}`"
            )));
        }
    };
    let pre = link(&component, &name, flags)?;
    let all = Allowance::new("requests and clients", flags.max_total_host_memory.map_or(TOTAL, size));
    let mut wasi = grant(vec![base_name(&flags.file)], &flags.grants, &flags.limits.budgets)?;
    wasi.host_memory(&all);
    if flags.limits.budgets.max_host_memory.is_none() {
        wasi.max_host_memory(OF_A_REQUEST);
    }
    let limits = limits(flags);
    tick(component.engine().clone())?;
    let bounded = flags::Limits {
        max_memory: Some(flags.limits.max_memory.unwrap_or(REQUEST_MEMORY)),
        ..flags.limits.clone()
    };
    let guests = Arc::new((pre, wasi, bounded));
    let handler = move |asked: Asked| -> Serving {
        let guests = guests.clone();
        let (pre, wasi, limits) = &*guests;
        // Before the future, which would be as large as what it moves.
        let mut wasi = wasi.build();
        let given = asked.give(&mut wasi);
        let store = engine::store(pre.component().engine(), wasi, limits);
        Box::pin(async move {
            let answered = match given {
                Ok(params) => answer(&guests.0, store, params).await,
                Err(stop) => Err(stop.into()),
            };
            answered.map_err(|error| error.to_string())
        })
    };
    let quiet = flags.quiet;
    let log = move |served: &Served<'_>| {
        if !quiet {
            let Served { peer, method, path, status, took, cut } = served;
            let took = took.as_secs_f64() * 1e3;
            match cut {
                None => output::say(format_args!("{peer} {method} {path} {status} {took:.3}ms")),
                Some(cut) => output::say(format_args!("{peer} {method} {path} {status} {took:.3}ms, {cut}")),
            }
        }
    };
    let complain = |what: &str| output::warn(format_args!("{what}"));
    let server = Server::bind(flags.addr, limits, Arc::new(handler), Arc::new(log), Arc::new(complain))
        .map_err(|error| Failure::Other(format!("cannot listen at {}: {error}", flags.addr)))?;
    let server = server.host_memory(&all);
    let address = server.address().map_err(|error| Failure::Other(error.to_string()))?;
    output::say(format_args!("mini-wasm: serving {name} at http://{address}/"));
    server.serve().map_err(|error| Failure::Other(format!("serving ended: {error}")))?;
    Ok(0)
}

/// Answers one request with an instance of its own. Whoever polls this stops it when its time is over.
async fn answer(
    pre: &InstancePre<Wasi>,
    mut store: Store<Wasi>,
    params: (Own<IncomingRequest>, Own<ResponseOutparam>),
) -> EngineResult<()> {
    // At each tick others have a turn.
    store.set_epoch_deadline(1);
    store.set_epoch_yield(Some(1));
    let instance = pre.instantiate_async(&mut store).await?;
    let handle = instance
        .typed_of::<(Own<IncomingRequest>, Own<ResponseOutparam>), ()>(&mut store, INSTANCE, HANDLE)?;
    handle.call_async(&mut store, params).await
}

/// The component with all its imports found.
fn link(component: &Component, name: &str, flags: &Serve) -> Result<InstancePre<Wasi>, Failure> {
    guest::HANDLE
        .check(component)
        .map_err(|wrong| Failure::Other(format!("{name} serves no requests: it {wrong}")))?;
    linked(component, name, &flags.grants, Waiting::Suspended)
}

fn limits(flags: &Serve) -> Limits {
    let usual = Limits::default();
    let request = flags.limits.timeout.unwrap_or(usual.request);
    Limits {
        requests: flags.max_requests.unwrap_or(usual.requests),
        requests_per_address: flags.max_requests_per_address,
        connections: flags.max_connections.unwrap_or(usual.connections),
        connections_per_address: flags.max_connections_per_address,
        kept_for_new: flags.keep_for_new.unwrap_or(usual.kept_for_new),
        idle: flags.idle_timeout.unwrap_or(usual.idle),
        age: flags.max_connection_age.unwrap_or(usual.age),
        body_grace: flags.body_grace.unwrap_or(usual.body_grace),
        half_close: flags.half_close.unwrap_or(usual.half_close),
        keep_abandoned: flags.keep_abandoned,
        computing: flags.max_computing.unwrap_or(usual.computing),
        niceness: flags.niceness.unwrap_or(usual.niceness),
        request,
        // Whoever had asked is answered: however long that may take, and a slow reader some more.
        drain: request.saturating_add(usual.drain),
        connections_memory: flags.max_client_memory.map_or(usual.connections_memory, size),
        connection_memory: flags.max_connection_memory.map_or(usual.connection_memory, size),
        head: flags.header_timeout.unwrap_or(usual.head),
        body: flags.max_body.unwrap_or(usual.body),
        body_rate: flags.min_body_rate.unwrap_or(usual.body_rate),
        between_bytes: usual.between_bytes,
    }
}

/// Moves the epoch on for as long as the process lives.
fn tick(engine: Engine) -> Result<(), Failure> {
    let ticks = move || {
        loop {
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    };
    let thread = std::thread::Builder::new().name("epoch".into()).stack_size(64 << 10).spawn(ticks);
    thread
        .map(drop)
        .map_err(|error| Failure::Other(format!("cannot start the thread that keeps time: {error}")))
}
