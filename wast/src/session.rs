//! What a script runs on: the engine, the way from bytes to code, the budget of each directive.

use crate::directive::{Kind, Lines};
use crate::report::FileReport;
use crate::script::Script;
use crate::text::Modern;
use mini_wasm_runtime::component::Component;
use mini_wasm_runtime::{Config, Engine, Module, Result};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::Span;

/// Code of either kind.
#[derive(Clone)]
pub enum Binary {
    /// A core module.
    Module(Module),
    /// A component.
    Component(Component),
}

impl Binary {
    /// Parses, validates and, when the engine has a backend, compiles either kind.
    ///
    /// # Errors
    /// As [`Module::new`] and [`Component::new`].
    pub fn new(engine: &Engine, bytes: &[u8]) -> Result<Binary> {
        if Component::is_component(bytes) {
            Component::new(engine, bytes).map(Binary::Component)
        } else {
            Module::new(engine, bytes).map(Binary::Module)
        }
    }
}

type Loader = Box<dyn Fn(&Engine, &[u8]) -> Result<Binary> + Send + Sync>;
type Gate = Box<dyn Fn(&[u8]) -> Option<String> + Send + Sync>;

/// The engine under test and how it comes by its code.
pub struct Session {
    pub(crate) engine: Engine,
    pub(crate) load: Loader,
    pub(crate) gate: Gate,
}

impl Session {
    /// Scripts run on `engine`; code is made with [`Binary::new`].
    pub fn new(engine: Engine) -> Session {
        Session { engine, load: Box::new(Binary::new), gate: Box::new(|_| None) }
    }

    /// The same with another way from bytes to code, for instance by way of an artifact.
    pub fn loader(
        mut self,
        load: impl Fn(&Engine, &[u8]) -> Result<Binary> + Send + Sync + 'static,
    ) -> Session {
        self.load = Box::new(load);
        self
    }

    /// Asked about a binary that the engine refused as malformed or invalid: the name of a feature that the engine does not
    /// have and the binary needs. Then the directive is skipped with that reason, not failed.
    pub fn gate(mut self, gate: impl Fn(&[u8]) -> Option<String> + Send + Sync + 'static) -> Session {
        self.gate = Box::new(gate);
        self
    }

    /// `config` with the epoch switched on, by which a directive that does not end is stopped.
    pub fn bounded(config: Config) -> Config {
        Config { epoch: true, ..config }
    }
}

/// The budget of one directive and of a whole script. What the engine does not count (`Config::epoch`, `Config::fuel`) does
/// not bound it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time that one directive may take, in steps of 100 ms.
    pub time: Duration,
    /// Fuel that one directive may use.
    pub fuel: u64,
    /// Bytes of linear memory that all instances of the script may hold together.
    pub memory_bytes: u64,
    /// Elements of tables that all instances of the script may hold together.
    pub table_elements: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            time: Duration::from_secs(20),
            fuel: 2_000_000_000,
            memory_bytes: 1 << 30,
            table_elements: 64 << 20,
        }
    }
}

/// Length of one epoch while a script runs.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// The kinds of a script's directives, in order, a thread's behind the thread itself: what a reader sees without running anything.
///
/// # Errors
/// The text cannot be read; the reader says why.
pub fn kinds(text: &str) -> std::result::Result<Vec<Kind>, String> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(|error| error.message())?;
    let script = parser::parse::<wast::Wast<'_>>(&buffer).map_err(|error| error.message())?;
    let mut kinds = Vec::new();
    flatten(&script.directives, &mut kinds);
    Ok(kinds)
}

/// The kinds of directives and of those inside threads.
fn flatten(directives: &[wast::WastDirective<'_>], kinds: &mut Vec<Kind>) {
    for directive in directives {
        kinds.push(Kind::of(directive));
        if let wast::WastDirective::Thread(thread) = directive {
            flatten(&thread.directives, kinds);
        }
    }
}

/// Runs a script. A text that cannot be read is one failure; a directive that fails does not end the script.
pub fn run(session: &Session, text: &str, options: &Options) -> FileReport {
    let lines = Lines::new(text);
    let unreadable = |offset, error: &wast::Error| {
        FileReport::unreadable(lines.line(Span::from_offset(offset)), error.message())
    };
    read_and_run(session, text, options).unwrap_or_else(|error| match Modern::of(text) {
        None => unreadable(error.span().offset(), &error),
        // Its lines are those of the text as it stands.
        Some(modern) => read_and_run(session, &modern.text, options)
            .unwrap_or_else(|error| unreadable(modern.offset_before(error.span().offset()), &error)),
    })
}

/// The error is one of reading: nothing has run then.
fn read_and_run(
    session: &Session,
    text: &str,
    options: &Options,
) -> std::result::Result<FileReport, wast::Error> {
    let lines = Lines::new(text);
    // names.wast exports names that are right to left or invisible; the suites mean them.
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    let directives = parser::parse::<wast::Wast<'_>>(&buffer)?.directives;
    let _clock = session.engine.config().epoch.then(|| Clock::start(session.engine.clone()));
    Ok(match Script::new(session, options) {
        Ok(script) => script.run(directives, &lines),
        Err(error) => FileReport::unreadable(1, format!("the host module spectest cannot be made: {error}")),
    })
}

/// Moves the engine's epoch on while it lives.
struct Clock {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    fn start(engine: Engine) -> Clock {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        });
        Clock { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
