//! Running a component: link WASI with what the flags grant, instantiate, call `wasi:cli/run` or what `--invoke` names.

use crate::call::Call;
use crate::failure::Failure;
use crate::flags::Run;
use crate::guest::{self, Entry, Guest};
use crate::wave::Handles;
use crate::{output, proposals};
use mini_wasm_runtime::ErrorKind;
use mini_wasm_runtime::component::Component;

/// Runs it; the guest's exit status.
pub(super) fn run(
    component: &Component,
    name: &str,
    argv0: String,
    mut args: Vec<String>,
    flags: &Run,
) -> Result<u8, Failure> {
    if !flags.preloads.is_empty() {
        return Err(Failure::Usage(format!(
            "--preload provides imports of core modules, and {name} is a component"
        )));
    }
    let invoked = match &flags.invoke {
        // A name alone takes the words after FILE as its arguments, as it does of a core module.
        Some(invoke) if !invoke.contains('(') => {
            Some(format!("{invoke}({})", std::mem::take(&mut args).join(", ")))
        }
        invoke => invoke.clone(),
    };
    let call = match &invoked {
        Some(text) => Some(
            Call::parse(component, text, &Handles::default())
                .map_err(|wrong| Failure::Usage(format!("--invoke: {name}: {wrong}")))?,
        ),
        None => {
            is_command(component, name)?;
            None
        }
    };
    args.insert(0, argv0);
    let guest = Guest::link(component, name, args, &flags.grants, &flags.limits, guest::Input::Ours)?;
    let mut store = guest.store();
    let deadline = guest.start_clock(&mut store)?;
    let ended = guest.instantiate(&mut store).and_then(|instance| match &call {
        Some(call) => call.invoke(&mut store, instance, &mut Handles::default()).map(Ended::Returned),
        None => {
            let Entry { interface, function, .. } = guest::RUN;
            let run = instance.typed_of::<(), Result<(), ()>>(&mut store, interface, function)?;
            run.call(&mut store, ()).map(|result| Ended::Program(result.is_ok()))
        }
    });
    store.data_mut().finish();
    // For the same reason as the program in `run`.
    std::mem::forget((store, guest, deadline));
    match ended {
        Ok(Ended::Program(good)) => Ok(u8::from(!good)),
        Ok(Ended::Returned(Some(result))) => output::print(result + "\n").map(|()| 0),
        Ok(Ended::Returned(None)) => Ok(0),
        Err(error) => match error.kind() {
            ErrorKind::Exit(status) => Ok(status),
            _ => Err(Failure::engine(name)(error)),
        },
    }
}

/// What came of it.
enum Ended {
    /// Whether the program calls itself successful.
    Program(bool),
    /// What the function that was invoked returned, as WAVE.
    Returned(Option<String>),
}

/// Does it export what a command exports?
fn is_command(component: &Component, name: &str) -> Result<(), Failure> {
    if guest::RUN.is_exported(component) {
        return guest::RUN
            .check(component)
            .map_err(|wrong| Failure::Other(format!("{name} is no command: it {wrong}")));
    }
    let run = guest::unversioned(guest::RUN.interface);
    let exports = component.exports();
    let found = exports.iter().map(|(name, _)| &**name).find(|name| guest::unversioned(name) == run);
    let exports: Vec<&str> = exports.iter().map(|(name, _)| &**name).take(8).collect();
    Err(Failure::Other(match (found, exports.as_slice()) {
        (Some(other), _) => {
            let needs = match proposals::is_wasi_03(other) {
                true => format!("; it {}", proposals::NEEDS_ASYNC),
                false => String::new(),
            };
            format!(
                "{name} is a command of another WASI: it exports `{other}`, and `{run}@0.2` is wanted{needs}"
            )
        }
        (None, []) => format!("{name} is no command: it exports nothing, and `{run}@0.2` is wanted"),
        (None, exports) => {
            format!(
                "{name} is no command but a library: it exports {}, and not `{run}@0.2`; `--invoke` calls what it exports",
                exports.join(", ")
            )
        }
    }))
}
