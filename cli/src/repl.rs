//! `mini-wasm repl FILE`: keeps one instance of a component; a line is a call, its arguments and result WAVE.

mod lines;

use crate::call::{Call, Function};
use crate::engine::{self, Program};
use crate::failure::Failure;
use crate::flags::Repl;
use crate::guest::{self, Guest};
use crate::input::{Input, base_name};
use crate::output;
use crate::wave::Handles;
use lines::Lines;
use mini_wasm_runtime::component::{Component, Instance, resource_drop};
use mini_wasm_runtime::{Error, ErrorKind, Store};
use mini_wasm_wasi::Wasi;

/// The lines that are no calls.
const COMMANDS: &[(&str, &str)] = &[
    (":help", "this list"),
    (":exports", "the functions that can be called"),
    (":type FUNC", "a function's type, and the types it speaks of"),
    (":handles", "the handles that calls have given us"),
    (":drop HANDLE", "give a handle up: its resource ends"),
    (":reset", "make the instance anew"),
    (":quit", "leave"),
];

/// Runs it; 1 if a line failed that no one typed at a terminal.
pub(crate) fn repl(flags: &Repl) -> Result<u8, Failure> {
    let input = Input::read(&flags.file)?;
    let name = input.name.clone();
    let program = engine::load(input, &flags.code, engine::config(&flags.code, &flags.limits))?;
    let Program::Component(component) = &program else {
        return Err(Failure::Usage(format!(
            "{name} is a core module; `mini-wasm run --invoke` calls what it exports"
        )));
    };
    let argv0 = base_name(&flags.file);
    // Standard input is ours.
    let guest =
        Guest::link(component, &name, vec![argv0], &flags.grants, &flags.limits, guest::Input::Empty)?;
    let mut session = Session::start(component, &name, &guest, flags)?;
    let mut lines = Lines::open(words(component));
    if lines.is_terminal() {
        output::print(format!("{name}: a line is a call, `:help` says more\n"))?;
    }
    let mut failed = false;
    while let Some(line) = lines.next()? {
        let line = line.trim();
        let outcome = match line {
            "" => Ok(()),
            ":quit" | ":q" | ":exit" => break,
            line if line.starts_with(':') => session.command(line),
            line if line.starts_with("//") => Ok(()),
            line => session.call(line),
        };
        if let Err(failure) = outcome {
            output::complain(&failure);
            failed = true;
        }
    }
    Ok(u8::from(failed && !lines.is_terminal()))
}

/// What can be typed: commands and functions.
fn words(component: &Component) -> Vec<String> {
    let names = |function: Function| [function.full_name() + "(", function.plain_name().to_owned() + "("];
    let functions = Function::all(component).into_iter().flat_map(names);
    let commands = COMMANDS.iter().filter_map(|(command, _)| command.split(' ').next()).map(str::to_owned);
    commands.chain(functions).collect()
}

/// One instance and what was got from it.
struct Session<'c> {
    component: &'c Component,
    name: &'c str,
    guest: &'c Guest<'c>,
    flags: &'c Repl,
    store: Store<Wasi>,
    instance: Instance,
    handles: Handles,
}

impl<'c> Session<'c> {
    fn start(
        component: &'c Component,
        name: &'c str,
        guest: &'c Guest<'c>,
        flags: &'c Repl,
    ) -> Result<Session<'c>, Failure> {
        let mut store = guest.store();
        let _deadline = guest.start_clock(&mut store)?;
        let instance = guest.instantiate(&mut store).map_err(Failure::engine(name))?;
        let handles = Handles::default();
        Ok(Session { component, name, guest, flags, store, instance, handles })
    }

    /// The old instance with all that it held is gone.
    fn reset(&mut self) -> Result<(), Failure> {
        *self = Session::start(self.component, self.name, self.guest, self.flags)?;
        Ok(())
    }

    fn call(&mut self, text: &str) -> Result<(), Failure> {
        let call = Call::parse(self.component, text, &self.handles).map_err(Failure::Usage)?;
        // Limits are a call's, not the session's.
        self.store.set_fuel(self.flags.limits.fuel.unwrap_or(u64::MAX));
        let deadline = self.guest.start_clock(&mut self.store)?;
        let ended = call.invoke(&mut self.store, self.instance, &mut self.handles);
        drop(deadline);
        match ended {
            Ok(Some(result)) => output::print(result + "\n"),
            Ok(None) => Ok(()),
            // Nothing has run.
            Err(error) if error.kind() == ErrorKind::Usage => Err(error.into()),
            Err(error) => self.start_over(error),
        }
    }

    /// After an error that the instance does not survive: what went wrong.
    fn start_over(&mut self, error: Error) -> Result<(), Failure> {
        let why = match error.kind() {
            ErrorKind::Exit(status) => format!("the guest has ended with status {status}"),
            _ => Failure::engine("")(error).to_string(),
        };
        self.reset()?;
        Err(Failure::Other(format!("{why}\nthe instance was made anew: what it knew is gone")))
    }

    fn command(&mut self, line: &str) -> Result<(), Failure> {
        let (command, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim();
        match command {
            ":help" => {
                let rows = COMMANDS.iter().map(|(command, what)| format!("  {command:<14}{what}\n"));
                let text =
                    "A line is a call: func(1, \"two\"), interface.func({x: 1}), counter.inc(counter-1, 2)\n";
                output::print(text.to_owned() + &rows.collect::<String>())
            }
            ":exports" => {
                let functions = Function::all(self.component);
                let lines = functions.iter().map(|function| function.signature() + "\n");
                output::print(lines.collect::<String>())
            }
            ":type" => {
                let function = Function::find(self.component, argument).map_err(Failure::Usage)?;
                let definitions = function.names().definitions(function.ty());
                let definitions = definitions.iter().map(|definition| format!("  {definition}\n"));
                output::print(function.signature() + "\n" + &definitions.collect::<String>())
            }
            ":handles" => {
                let lines = self.handles.names().map(|name| format!("{name}\n"));
                output::print(lines.collect::<String>())
            }
            ":drop" => {
                let Some(resource) = self.handles.take(argument) else {
                    return Err(Failure::Usage(format!("no handle is called `{argument}`")));
                };
                // No result holds a borrow: what we have, we own.
                match resource_drop(&mut self.store, resource) {
                    Ok(()) => Ok(()),
                    Err(error) => self.start_over(error),
                }
            }
            ":reset" => self.reset(),
            unknown => Err(Failure::Usage(format!("there is no `{unknown}`; `:help` lists what there is"))),
        }
    }
}
