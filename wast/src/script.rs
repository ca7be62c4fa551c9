//! One script, directive by directive, in a store of its own.

use crate::directive::{Kind, Lines};
use crate::report::{FileReport, Outcome};
use crate::session::{Binary, Options, Session, TICK};
use crate::spectest;
use crate::{component_value, core_value};
use mini_wasm_runtime::component::abi;
use mini_wasm_runtime::{
    Error, ErrorKind, Extern, Instance, Linker, Result, SharedMemory, Store, StoreLimits, Trap, Val,
    component,
};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, Scope, ScopedJoinHandle};
use wast::core::WastRetCore;
use wast::token::Id;
use wast::{QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, WastThread, Wat};

/// A name in the script, or that it was left out or failed before: what a later directive finds there.
#[derive(Clone)]
enum Known<T> {
    Ready(T),
    /// It needs a feature that the engine does not have.
    Skipped(String),
    /// The directive that was to make it failed.
    Failed(u32),
}

/// Why guest code gave no results.
enum Stop {
    /// The engine says so.
    Engine(Error),
    /// What the directive asks for is not tried.
    Skip(String),
    /// The script asks for what is not there.
    Script(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Engine(error)
    }
}

/// What a directive's action gave.
enum Results {
    Core(Vec<Val>),
    Component(Option<abi::Val>, Option<abi::ValType>),
}

impl Results {
    fn show(&self) -> String {
        match self {
            Results::Core(values) => core_value::show(values),
            Results::Component(None, _) => "no result".into(),
            Results::Component(Some(value), _) => format!("{value:?}"),
        }
    }
}

pub(crate) struct Script<'s> {
    session: &'s Session,
    options: &'s Options,
    store: Store<()>,
    spectest: Vec<(&'static str, Extern)>,
    registered: BTreeMap<String, Live>,
    linker: Linker<()>,
    component_linker: component::Linker<()>,
    definitions: HashMap<String, Known<Binary>>,
    last_definition: Option<Known<Binary>>,
    instances: HashMap<String, Known<Live>>,
    current: Option<Known<Live>>,
    /// Exports of instances that other threads share with this one.
    shared: Vec<SharedExports>,
    /// Line of the directive being run.
    line: u32,
}

/// The shared memories that an instance exports, by name.
type SharedExports = Vec<(String, SharedMemory)>;

/// Threads that run, by name.
type Threads<'scope> = HashMap<String, Running<'scope>>;

/// A thread of the script.
struct Running<'scope> {
    handle: ScopedJoinHandle<'scope, FileReport>,
    /// What it registers of the instance that it shares: names for that instance in the whole script, once it was waited for.
    registers: Vec<(String, Live)>,
}

/// An instance that directives can name.
#[derive(Clone, Copy)]
enum Live {
    Core(Instance),
    Component(component::Instance),
    /// An instance of another thread, by its place in [`Script::shared`].
    Shared(usize),
}

impl<'s> Script<'s> {
    pub(crate) fn new(session: &'s Session, options: &'s Options) -> Result<Script<'s>> {
        let mut store = Store::new(&session.engine, ());
        store.set_limits(StoreLimits {
            memory_bytes: options.memory_bytes,
            table_elements: options.table_elements,
            ..StoreLimits::default()
        });
        let spectest = spectest::items(&mut store)?;
        let mut script = Script {
            session,
            options,
            store,
            spectest,
            registered: BTreeMap::new(),
            linker: Linker::new(),
            component_linker: component::Linker::new(&session.engine),
            definitions: HashMap::new(),
            last_definition: None,
            instances: HashMap::new(),
            current: None,
            shared: Vec::new(),
            line: 0,
        };
        script.link()?;
        Ok(script)
    }

    /// The linkers anew, from the host module and what is registered: a name registered again stands for the later
    /// instance alone.
    fn link(&mut self) -> Result<()> {
        self.linker = Linker::new();
        self.linker.allow_shadowing(true);
        for &(name, item) in &self.spectest {
            self.linker.define("spectest", name, item)?;
        }
        self.component_linker = component::Linker::new(&self.session.engine);
        for (name, &live) in &self.registered {
            match live {
                Live::Core(instance) => {
                    self.linker.instance(&mut self.store, name, instance)?;
                }
                Live::Shared(place) => {
                    for (item, memory) in self.shared.get(place).into_iter().flatten() {
                        self.linker.define_shared_memory(name, item, memory)?;
                    }
                }
                Live::Component(instance) => {
                    let exports = instance.exports(&self.store)?;
                    self.component_linker.root().exports(name, &exports)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn run(self, directives: Vec<WastDirective<'_>>, lines: &Lines) -> FileReport {
        thread::scope(|scope| self.run_in(scope, directives, lines))
    }

    /// Runs directives; the threads that they begin run in `scope`.
    fn run_in<'scope, 'env: 'scope>(
        mut self,
        scope: &'scope Scope<'scope, 'env>,
        directives: Vec<WastDirective<'env>>,
        lines: &'env Lines,
    ) -> FileReport
    where
        's: 'env,
    {
        let mut threads: Threads<'scope> = HashMap::new();
        let mut report = FileReport::default();
        let mut crash: Option<String> = None;
        for directive in directives {
            let kind = Kind::of(&directive);
            self.line = lines.line(directive.span());
            let outcome = match &crash {
                None if matches!(directive, WastDirective::Thread(_)) => {
                    let WastDirective::Thread(thread) = directive else { unreachable!("it was looked at") };
                    self.begin(scope, thread, lines, &mut threads)
                }
                None if matches!(directive, WastDirective::Wait { .. }) => {
                    let WastDirective::Wait { thread, .. } = directive else {
                        unreachable!("it was looked at")
                    };
                    match threads.remove(thread.name()) {
                        Some(running) => self.end(running, &mut report),
                        None => Outcome::failed("a thread", format!("there is no thread ${}", thread.name())),
                    }
                }
                Some(crash) => Outcome::failed("to be run", format!("nothing was run after {crash}")),
                None => match catch_unwind(AssertUnwindSafe(|| self.directive(directive))) {
                    Ok(outcome) => outcome,
                    Err(panic) => {
                        let what = panic_message(&*panic);
                        crash = Some(format!("the panic in line {}", self.line));
                        Outcome::failed("no panic", format!("a panic of the engine: {what}"))
                    }
                },
            };
            report.note(self.line, kind, outcome);
        }
        report
    }

    /// Begins a thread: a script of its own, which shares the memories of one instance.
    fn begin<'scope, 'env: 'scope>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        thread: WastThread<'env>,
        lines: &'env Lines,
        threads: &mut Threads<'scope>,
    ) -> Outcome
    where
        's: 'env,
    {
        let shared = match thread.shared_module.map(|module| self.share(module)).transpose() {
            Ok(shared) => shared,
            Err(stop) => return Outcome::failed("shared memories", describe(&stop)),
        };
        let name = thread.name.name().to_owned();
        let (session, options) = (self.session, self.options);
        let module = thread.shared_module.map(|module| module.name().to_owned());
        let directives = thread.directives;
        let mut registers = Vec::new();
        if let Some(id) = thread.shared_module {
            let known = self.instances.get(id.name());
            for directive in &directives {
                if let (WastDirective::Register { name, module: Some(of), .. }, Some(Known::Ready(live))) =
                    (directive, known)
                    && of.name() == id.name()
                {
                    registers.push(((*name).to_owned(), *live));
                }
            }
        }
        let work = move || {
            let mut script = match Script::new(session, options) {
                Ok(script) => script,
                Err(error) => return FileReport::unreadable(1, error.to_string()),
            };
            if let (Some(module), Some(shared)) = (module, shared) {
                script.shared.push(shared);
                script.instances.insert(module, Known::Ready(Live::Shared(0)));
            }
            script.run_in(scope, directives, lines)
        };
        match thread::Builder::new().name(name.clone()).spawn_scoped(scope, work) {
            Ok(handle) => {
                threads.insert(name, Running { handle, registers });
                Outcome::Passed
            }
            Err(error) => Outcome::failed("a thread", error.to_string()),
        }
    }

    /// Waits for a thread.
    fn end(&mut self, running: Running<'_>, report: &mut FileReport) -> Outcome {
        match running.handle.join() {
            Ok(found) => report.take_over(found),
            Err(panic) => return Outcome::failed("no panic", panic_message(&*panic)),
        }
        self.registered.extend(running.registers);
        done(self.link().map_err(Stop::from))
    }

    /// The shared memories that an instance exports.
    fn share(&mut self, module: Id<'_>) -> Result<SharedExports, Stop> {
        let exports = match self.live(Some(module))? {
            Live::Core(instance) => instance.exports(&mut self.store),
            Live::Shared(place) => return Ok(self.shared.get(place).cloned().unwrap_or_default()),
            Live::Component(_) => return Err(Stop::Script("a component shares nothing".into())),
        };
        let mut shared = Vec::new();
        for (name, item) in exports {
            if let Some(memory) = item.memory()
                && let Some(memory) = memory.shared(&self.store)?
            {
                shared.push((name, memory));
            }
        }
        Ok(shared)
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Outcome {
        self.refill();
        match directive {
            WastDirective::Module(wat) => self.module(wat),
            WastDirective::ModuleDefinition(wat) => self.definition(wat),
            WastDirective::ModuleInstance { instance, module, .. } => self.instance(instance, module),
            WastDirective::Register { name, module, .. } => self.register(name, module),
            WastDirective::Invoke(invoke) => done(self.invoke(&invoke)),
            WastDirective::AssertReturn { exec, results, .. } => self.assert_return(exec, &results),
            WastDirective::AssertTrap { exec, message, .. } => self.assert_trap(exec, message),
            WastDirective::AssertExhaustion { call, message, .. } => {
                self.assert_exhaustion(WastExecute::Invoke(call), message)
            }
            WastDirective::AssertUnlinkable { module, message, .. } => {
                self.assert_unlinkable(module, message)
            }
            WastDirective::AssertException { exec, .. } => self.assert_exception(exec),
            WastDirective::AssertInvalid { module, message, .. }
            | WastDirective::AssertMalformed { module, message, .. } => self.assert_refused(module, message),
            WastDirective::AssertSuspension { exec, message, .. } => self.assert_suspension(exec, message),
            WastDirective::AssertInvalidCustom { .. } | WastDirective::AssertMalformedCustom { .. } => {
                skip("annotations of the text format never reach the engine")
            }
            WastDirective::Thread(_) | WastDirective::Wait { .. } => skip("`run_in` does these"),
        }
    }

    /// The budget of a directive, afresh.
    fn refill(&mut self) {
        let config = self.session.engine.config();
        if config.epoch {
            let ticks = self.options.time.as_millis().div_ceil(TICK.as_millis());
            self.store.set_epoch_deadline(usize::try_from(ticks).unwrap_or(usize::MAX).max(1));
        }
        if config.fuel {
            self.store.set_fuel(self.options.fuel);
        }
    }

    fn module(&mut self, wat: QuoteWat<'_>) -> Outcome {
        let name = wat.name();
        let binary = self.load(wat);
        self.instantiated(name, binary)
    }

    fn definition(&mut self, wat: QuoteWat<'_>) -> Outcome {
        let name = wat.name();
        let (known, outcome) = self.known(self.load(wat));
        if let Some(name) = name {
            self.definitions.insert(name.name().into(), known.clone());
        }
        self.last_definition = Some(known);
        outcome
    }

    fn instance(&mut self, instance: Option<Id<'_>>, module: Option<Id<'_>>) -> Outcome {
        let known = match module {
            Some(id) => self.definitions.get(id.name()),
            None => self.last_definition.as_ref(),
        };
        let binary = find(known, "definition", module).cloned();
        self.instantiated(instance, binary)
    }

    /// Instantiates `binary` and keeps it as the current instance, and under `name`.
    fn instantiated(&mut self, name: Option<Id<'_>>, binary: Result<Binary, Stop>) -> Outcome {
        let live = binary.and_then(|binary| self.instantiate(&binary));
        let (known, outcome) = self.known(live);
        if let Some(name) = name {
            self.instances.insert(name.name().into(), known.clone());
        }
        self.current = Some(known);
        outcome
    }

    /// What a name stands for after a directive that was to make it, and how that directive went.
    fn known<T>(&self, made: Result<T, Stop>) -> (Known<T>, Outcome) {
        match made {
            Ok(made) => (Known::Ready(made), Outcome::Passed),
            Err(Stop::Skip(reason)) => (Known::Skipped(reason.clone()), Outcome::Skipped(reason)),
            Err(stop) => (Known::Failed(self.line), Outcome::failed("success", describe(&stop))),
        }
    }

    fn register(&mut self, name: &str, module: Option<Id<'_>>) -> Outcome {
        done(self.live(module).and_then(|live| {
            self.registered.insert(name.into(), live);
            Ok(self.link()?)
        }))
    }

    fn assert_return(&mut self, exec: WastExecute<'_>, patterns: &[WastRet<'_>]) -> Outcome {
        let results = match self.execute(exec) {
            Ok(results) => results,
            Err(Stop::Skip(reason)) => return Outcome::Skipped(reason),
            Err(stop) => return Outcome::failed("results", describe(&stop)),
        };
        let fits = match &results {
            Results::Core(values) => core_fit(values, patterns),
            Results::Component(value, ty) => component_fits(value.as_ref(), ty.as_ref(), patterns),
        };
        match fits {
            Ok(()) => Outcome::Passed,
            Err(expected) => Outcome::failed(expected, results.show()),
        }
    }

    fn assert_trap(&mut self, exec: WastExecute<'_>, message: &str) -> Outcome {
        self.expect_error(exec, &format!("trap {message:?}"), |error| {
            matches!(error.kind(), ErrorKind::Trap(_)) && says(error, message)
        })
    }

    fn assert_exhaustion(&mut self, exec: WastExecute<'_>, message: &str) -> Outcome {
        self.expect_error(exec, &format!("exhaustion {message:?}"), |error| {
            error.trap() == Some(Trap::StackOverflow) && says(error, message)
        })
    }

    fn assert_exception(&mut self, exec: WastExecute<'_>) -> Outcome {
        self.expect_error(exec, "an exception", |error| error.kind() == ErrorKind::Exception)
    }

    /// A `suspend` that nobody handles is a trap of its own.
    fn assert_suspension(&mut self, exec: WastExecute<'_>, message: &str) -> Outcome {
        self.expect_error(exec, &format!("suspension {message:?}"), |error| {
            error.trap() == Some(Trap::UnhandledTag) && says(error, message)
        })
    }

    fn assert_unlinkable(&mut self, module: Wat<'_>, message: &str) -> Outcome {
        self.expect_error(WastExecute::Wat(module), &format!("unlinkable {message:?}"), |error| {
            error.kind() == ErrorKind::Unlinkable && says(error, message)
        })
    }

    fn expect_error(
        &mut self,
        exec: WastExecute<'_>,
        expected: &str,
        holds: impl Fn(&Error) -> bool,
    ) -> Outcome {
        match self.execute(exec) {
            Ok(results) => Outcome::failed(expected, results.show()),
            Err(Stop::Engine(error)) if holds(&error) => Outcome::Passed,
            Err(Stop::Skip(reason)) => Outcome::Skipped(reason),
            Err(stop) => Outcome::failed(expected, describe(&stop)),
        }
    }

    /// `assert_invalid` and `assert_malformed`: refused by the text's reader or by the engine.
    fn assert_refused(&mut self, mut wat: QuoteWat<'_>, message: &str) -> Outcome {
        let Ok(bytes) = wat.encode() else { return Outcome::Passed };
        match (self.session.load)(&self.session.engine, &bytes) {
            Err(error) if refusal(&error) => Outcome::Passed,
            Err(error) => Outcome::failed(format!("refusal {message:?}"), describe(&Stop::Engine(error))),
            Ok(_) => Outcome::failed(format!("refusal {message:?}"), "it was accepted"),
        }
    }

    fn execute(&mut self, exec: WastExecute<'_>) -> Result<Results, Stop> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(wat) => {
                let binary = self.load(QuoteWat::Wat(wat))?;
                self.instantiate(&binary)?;
                Ok(Results::Core(Vec::new()))
            }
            WastExecute::Get { module, global, .. } => match self.live(module)? {
                Live::Core(instance) => {
                    let item = instance.export(&mut self.store, global).and_then(|item| item.global());
                    let item = item.ok_or_else(|| Stop::Script(format!("no exported global {global:?}")))?;
                    Ok(Results::Core(vec![item.get(&mut self.store)?]))
                }
                Live::Component(_) => Err(Stop::Script("a component exports no globals".into())),
                Live::Shared(_) => Err(other_thread()),
            },
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Results, Stop> {
        let name = invoke.name;
        match self.live(invoke.module)? {
            Live::Core(instance) => {
                let func = instance.export(&mut self.store, name).and_then(|item| item.func());
                let func = func.ok_or_else(|| Stop::Script(format!("no exported function {name:?}")))?;
                let args = invoke.args.iter().map(|arg| match arg {
                    WastArg::Core(arg) => core_value::argument(arg)
                        .map_err(|what| Stop::Skip(format!("the engine has no value for {what}"))),
                    _ => Err(Stop::Script("a component value for a core function".into())),
                });
                let args = args.collect::<Result<Vec<Val>, Stop>>()?;
                Ok(Results::Core(func.call(&mut self.store, &args)?))
            }
            Live::Component(instance) => {
                let func = instance.func(&mut self.store, name);
                let func = func.ok_or_else(|| Stop::Script(format!("no exported function {name:?}")))?;
                let ty = func.ty(&self.store)?;
                if invoke.args.len() != ty.param_types().len() {
                    return Err(Stop::Script(format!(
                        "{} arguments for {name:?}: {ty:?}",
                        invoke.args.len()
                    )));
                }
                let args = invoke.args.iter().zip(ty.param_types());
                let args = args.map(|(arg, ty)| component_value::argument(arg, ty).map_err(Stop::Script));
                let args = args.collect::<Result<Vec<abi::Val>, Stop>>()?;
                let value = match func.call(&mut self.store, &args) {
                    Err(error) if unsupported(&error) => {
                        // It trapped, so that nothing else can be asked of the instance.
                        let reason = error.message().to_owned();
                        let known = match invoke.module {
                            Some(id) => self.instances.get_mut(id.name()),
                            None => self.current.as_mut(),
                        };
                        if let Some(known) = known {
                            *known = Known::Skipped(reason.clone());
                        }
                        return Err(Stop::Skip(reason));
                    }
                    value => value?,
                };
                Ok(Results::Component(value, ty.result().cloned()))
            }
            Live::Shared(_) => Err(other_thread()),
        }
    }

    fn live(&self, name: Option<Id<'_>>) -> Result<Live, Stop> {
        let known = match name {
            Some(id) => self.instances.get(id.name()),
            None => self.current.as_ref(),
        };
        find(known, "instance", name).copied()
    }

    /// From a module of the script to the engine's.
    fn load(&self, mut wat: QuoteWat<'_>) -> Result<Binary, Stop> {
        let bytes = wat
            .encode()
            .map_err(|error| Stop::Script(format!("text that is refused: {}", error.message())))?;
        (self.session.load)(&self.session.engine, &bytes).map_err(|error| {
            match refusal(&error).then(|| (self.session.gate)(&bytes)).flatten() {
                Some(gate) => Stop::Skip(gate),
                None => Stop::Engine(error),
            }
        })
    }

    fn instantiate(&mut self, binary: &Binary) -> Result<Live, Stop> {
        match binary {
            Binary::Module(module) => Ok(Live::Core(self.linker.instantiate(&mut self.store, module)?)),
            Binary::Component(component) => {
                match self.component_linker.instantiate(&mut self.store, component) {
                    Err(error) if unsupported(&error) => Err(Stop::Skip(error.message().to_owned())),
                    live => Ok(Live::Component(live?)),
                }
            }
        }
    }
}

/// Do the results fit the patterns? If not, what was expected.
fn core_fit(values: &[Val], patterns: &[WastRet<'_>]) -> Result<(), String> {
    let core: Option<Vec<&WastRetCore<'_>>> = patterns
        .iter()
        .map(|pattern| match pattern {
            WastRet::Core(pattern) => Some(pattern),
            _ => None,
        })
        .collect();
    let core = core.ok_or_else(|| format!("component values {patterns:?}"))?;
    let fit = values.len() == core.len()
        && values.iter().zip(&core).all(|(value, pattern)| core_value::fits(value, pattern));
    if fit { Ok(()) } else { Err(core_value::show_patterns(&core)) }
}

/// Does a component function's result fit? If not, what was expected.
fn component_fits(
    value: Option<&abi::Val>,
    ty: Option<&abi::ValType>,
    patterns: &[WastRet<'_>],
) -> Result<(), String> {
    let fits = match (value, ty, patterns) {
        (None, _, []) => true,
        (Some(value), Some(ty), [pattern]) => component_value::fits(value, pattern, ty)?,
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("{patterns:?}")) }
}

fn find<'k, T>(known: Option<&'k Known<T>>, what: &str, name: Option<Id<'_>>) -> Result<&'k T, Stop> {
    match known {
        Some(Known::Ready(ready)) => Ok(ready),
        Some(Known::Skipped(reason)) => Err(Stop::Skip(reason.clone())),
        Some(Known::Failed(line)) => {
            Err(Stop::Script(format!("the {what} that was to be made in line {line} is not there")))
        }
        None => Err(Stop::Script(match name {
            Some(name) => format!("there is no {what} ${}", name.name()),
            None => format!("there is no {what} yet"),
        })),
    }
}

fn done<T>(result: Result<T, Stop>) -> Outcome {
    match result {
        Ok(_) => Outcome::Passed,
        Err(Stop::Skip(reason)) => Outcome::Skipped(reason),
        Err(stop) => Outcome::failed("success", describe(&stop)),
    }
}

fn other_thread() -> Stop {
    Stop::Script("of another thread's instance the memories are shared, no more".into())
}

fn skip(reason: &str) -> Outcome {
    Outcome::Skipped(reason.into())
}

/// Did the guest come to a built-in that the engine knows by name only?
fn unsupported(error: &Error) -> bool {
    error.trap() == Some(Trap::MissingImport) && error.message().ends_with("is not supported yet")
}

fn refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Invalid)
}

fn describe(stop: &Stop) -> String {
    match stop {
        Stop::Engine(error) => format!("{:?}: {error}", error.kind()),
        Stop::Skip(reason) | Stop::Script(reason) => reason.clone(),
    }
}

/// Does the error say what the script wants to hear? The crate's documentation has the rule.
fn says(error: &Error, expected: &str) -> bool {
    let expected = expected.strip_prefix("wasm trap: ").unwrap_or(expected);
    let found = error.message();
    found.contains(expected) || error.trap().is_some_and(|trap| expected_of_an_element(trap, found, expected))
}

/// The suites' text may end in the number of the table element, which our core traps do not carry.
fn expected_of_an_element(trap: Trap, found: &str, expected: &str) -> bool {
    let number = expected.strip_prefix(trap.message()).and_then(|rest| rest.strip_prefix(' '));
    found == trap.message()
        && trap == Trap::UninitializedElement
        && number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".into())
}
