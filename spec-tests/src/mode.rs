//! The modes in which everything must give the same.

use mini_wasm_runtime::features::Features;
use mini_wasm_runtime::{Config, Engine, Module, Result};
use mini_wasm_wast::Session;
use std::fmt;

/// A way to run guest code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Interpreted.
    Interp,
}

impl Mode {
    /// All of them.
    pub const ALL: &'static [Mode] = &[Mode::Interp];

    /// The word in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Interp => "interp",
        }
    }

    /// An engine of this mode.
    pub fn engine(self, config: Config) -> Engine {
        match self {
            Mode::Interp => Engine::new(config),
        }
    }

    /// A module by way of this mode.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn module(self, engine: &Engine, binary: &[u8]) -> Result<Module> {
        match self {
            Mode::Interp => Module::new(engine, binary),
        }
    }

    /// A session for scripts that use `features`, with directives that do not end stopped.
    pub fn session(self, features: Features) -> Session {
        let config = Session::bounded(Config { features, ..Config::default() });
        Session::new(self.engine(config))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
