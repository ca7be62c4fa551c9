//! Running a component: link WASI with what the flags grant, instantiate, call `wasi:cli/run`.

use super::{deadline, missing, store, unicode};
use crate::failure::Failure;
use crate::flags::Run;
use mini_wasm_runtime::ErrorKind;
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_wasi::{Wasi, WasiBuilder, cli};
use std::sync::Arc;

/// Runs it; the guest's exit status.
pub(super) fn run(
    component: &Component,
    name: &str,
    argv0: String,
    args: Vec<String>,
    flags: &Run,
) -> Result<u8, Failure> {
    if flags.invoke.is_some() {
        return Err(Failure::Usage(format!(
            "--invoke calls exports of core modules, and {name} is a component"
        )));
    }
    if !flags.preloads.is_empty() {
        return Err(Failure::Usage(format!(
            "--preload provides imports of core modules, and {name} is a component"
        )));
    }
    is_command(component, name)?;
    let wasi = grant(argv0, args, flags)?;
    let engine = component.engine();
    let mut linker = Linker::<Wasi>::new(engine);
    mini_wasm_wasi::add_to_linker(&mut linker, |wasi| wasi)?;
    let pre = linker.instantiate_pre(component).map_err(|error| missing::explain(component, name, error))?;
    let mut store = store(engine, wasi.build(), flags);
    if let Some(timeout) = flags.timeout {
        let over = deadline::start(engine, &mut store, timeout)?;
        store.data_mut().deadline(Arc::new(over));
    }
    let ended = pre.instantiate(&mut store).and_then(|instance| {
        let run = instance.func_of(&mut store, cli::run::INSTANCE, cli::run::RUN);
        let run = run.expect("the export was found in the component").typed::<(), Result<(), ()>>(&store)?;
        run.call(&mut store, ())
    });
    // For the same reason as the program in `run`.
    std::mem::forget((store, pre, linker));
    match ended {
        Ok(result) => Ok(u8::from(result.is_err())),
        Err(error) => match error.kind() {
            ErrorKind::Exit(status) => Ok(status),
            _ => Err(Failure::engine(name)(error)),
        },
    }
}

/// Everything that the flags grant.
fn grant(argv0: String, args: Vec<String>, flags: &Run) -> Result<WasiBuilder, Failure> {
    let mut wasi = Wasi::builder();
    wasi.arg(argv0).args(args).inherit_stdio();
    for variable in &flags.variables {
        let value = match &variable.value {
            Some(value) => value.clone(),
            None => match std::env::var_os(&variable.name) {
                Some(value) => unicode(&format!("the value of {}", variable.name), &value)?,
                None => continue,
            },
        };
        wasi.env(variable.name.clone(), value);
    }
    for dir in &flags.directories {
        wasi.preopen(&dir.host, dir.guest.clone(), dir.read_only)
            .map_err(|error| Failure::Other(format!("--dir: {error}")))?;
    }
    Ok(wasi)
}

/// Does it export what a command exports?
fn is_command(component: &Component, name: &str) -> Result<(), Failure> {
    let run = cli::run::INSTANCE.split_once('@').map_or(cli::run::INSTANCE, |(interface, _)| interface);
    let exports = component.exports();
    let found: Vec<&str> =
        exports.iter().map(|(name, _)| &**name).filter(|name| name.starts_with(run)).collect();
    if found.iter().any(|found| found[run.len()..].starts_with("@0.2.")) {
        return Ok(());
    }
    let exports: Vec<&str> = exports.iter().map(|(name, _)| &**name).take(8).collect();
    Err(Failure::Other(match (found.first(), exports.as_slice()) {
        (Some(other), _) => {
            format!("{name} is a command of another WASI: it exports `{other}`, and `{run}@0.2` is wanted")
        }
        (None, []) => format!("{name} is no command: it exports nothing, and `{run}@0.2` is wanted"),
        (None, exports) => {
            format!(
                "{name} is no command but a library: it exports {}, and not `{run}@0.2`",
                exports.join(", ")
            )
        }
    }))
}
