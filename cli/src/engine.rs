//! From flags to engines and programs: the one place that knows which engine is made how.

use crate::failure::Failure;
use crate::flags::{Code, Compiling, EngineChoice, GuardPages, Guards, Language, Limits};
use crate::input::{ArtifactFile, Content, Input};
use crate::output;
use crate::proposals::refused;
use mini_wasm_jit::artifact::{Adapters, Artifact, Facts, Kind, Reason, Trust};
use mini_wasm_jit::compile::CompileOptions;
use mini_wasm_jit::seal::PublicKey;
use mini_wasm_jit::{Jit, LoadOnly};
use mini_wasm_runtime::backend::{AdapterInfo, NativeCode};
use mini_wasm_runtime::component::Component;
use mini_wasm_runtime::module::WasmBytes;
use mini_wasm_runtime::{Config, Engine, Error, ErrorKind, Module, Store, StoreLimits};
use mini_wasm_wasi::Wasi;
use std::sync::Arc;

/// A program ready to be instantiated.
pub(crate) enum Program {
    Module(Module),
    Component(Component),
}

impl Program {
    fn new(engine: &Engine, kind: Kind, wasm: Arc<[u8]>) -> Result<Program, Error> {
        match kind {
            Kind::Module => Module::new(engine, wasm).map(Program::Module),
            Kind::Component => Component::new(engine, wasm).map(Program::Component),
        }
    }
}

/// The engine of a choice.
pub(crate) fn engine(choice: EngineChoice, compiling: &Compiling, config: Config) -> Engine {
    match choice {
        EngineChoice::Interp => Engine::new(config),
        EngineChoice::Jit | EngineChoice::Auto => {
            Engine::with_backend(config, Arc::new(Jit::new(compile_options(compiling))))
        }
    }
}

/// How code is made by these flags.
pub(crate) fn compile_options(compiling: &Compiling) -> CompileOptions {
    let usual = CompileOptions::default();
    let function_budget = compiling.compile_timeout.map_or(usual.function_budget, |time| {
        // Who gives more time for all gives more for each as well.
        usual.function_budget.max(time / 2).min(time)
    });
    CompileOptions { time_budget: compiling.compile_timeout, function_budget, ..usual }
}

/// An engine for reading only: it compiles nothing.
pub(crate) fn reader(language: &Language) -> Engine {
    Engine::new(Config { features: language.features(), ..Config::default() })
}

/// Whose artifacts run: this user's, and those signed by the keys of `--trust`.
pub(crate) fn trust(keys: &[String]) -> Result<Trust, Failure> {
    keys.iter().try_fold(Trust::user(), |trust, key| match PublicKey::parse(key) {
        Ok(key) => Ok(trust.and_signer(key)),
        Err(error) => Err(Failure::Usage(format!("--trust: {error}"))),
    })
}

/// The usual settings, but for guard pages.
pub(crate) fn guarded(Guards { guard_pages }: Guards) -> Config {
    let usual = Config::default();
    match guard_pages {
        GuardPages::Auto => usual,
        GuardPages::Always => Config { guard_pages: true, guards_may_lack: false, ..usual },
        GuardPages::Never => Config { guard_pages: false, ..usual },
    }
}

/// What running a guest by these flags needs.
pub(crate) fn config(code: &Code, limits: &Limits) -> Config {
    let usual = guarded(code.guards);
    let stack = limits.budgets.max_stack.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    Config {
        features: code.language.features(),
        fuel: limits.fuel.is_some(),
        epoch: limits.timeout.is_some(),
        native_stack_bytes: stack.unwrap_or(usual.native_stack_bytes),
        value_stack_bytes: stack.unwrap_or(usual.value_stack_bytes),
        ..usual
    }
}

/// A store with the limits of the flags.
pub(crate) fn store(engine: &Engine, wasi: Wasi, limits: &Limits) -> Store<Wasi> {
    let memory = wasi.host_memory();
    let mut store = Store::new(engine, wasi);
    store.set_host_memory(memory);
    let (usual, budgets) = (StoreLimits::default(), &limits.budgets);
    store.set_limits(StoreLimits {
        total_bytes: limits.max_memory.unwrap_or(usual.total_bytes),
        memory_bytes: budgets.max_linear_memory.unwrap_or(usual.memory_bytes),
        table_elements: budgets.max_table_elements.unwrap_or(usual.table_elements),
        gc_heap_bytes: budgets.max_gc_heap.unwrap_or(usual.gc_heap_bytes),
        continuations: budgets.max_continuations.unwrap_or(usual.continuations),
        continuation_bytes: budgets.max_continuation_space.unwrap_or(usual.continuation_bytes),
        instance_bytes: budgets.max_instance_bytes.unwrap_or(usual.instance_bytes),
        instances: budgets.max_instances.unwrap_or(usual.instances),
        handles: budgets.max_handles.unwrap_or(usual.handles),
        copy_bytes_per_call: budgets.max_call_bytes.unwrap_or(usual.copy_bytes_per_call),
    });
    // An artifact may count fuel although nobody asked for it.
    store.set_fuel(limits.fuel.unwrap_or(u64::MAX));
    store
}

/// Makes a file's program. `config` is what the run needs; an artifact may have been made for more than that.
pub(crate) fn load(input: Input, code: &Code, config: Config) -> Result<Program, Failure> {
    let Input { name, content } = input;
    let (choice, trust) = (code.engine, trust(&code.trusted)?);
    let (kind, wasm) = match content {
        Content::Artifact(file) => return artifact(&name, &file, choice, config, &trust),
        Content::Module(bytes) => (Kind::Module, bytes),
        Content::Component(bytes) => (Kind::Component, bytes),
    };
    let (engine, wasm) = (engine(choice, &code.compiling, config), Arc::<[u8]>::from(wasm));
    Program::new(&engine, kind, wasm.clone()).map_err(refused(name, &engine, wasm))
}

/// Makes a core module for an engine that there is already: that of the program that imports from it.
pub(crate) fn load_beside(engine: &Engine, input: Input, code: &Code) -> Result<Module, Failure> {
    let Input { name, content } = input;
    let made = match content {
        Content::Module(bytes) => {
            return Module::new(engine, &*bytes).map_err(refused(name, engine, bytes));
        }
        Content::Component(_) => return Err(no_module(&name)),
        Content::Artifact(file) => {
            // Its code must count and check what the engine's other code does: no settings of its own.
            let (config, trust) = (engine.config(), trust(&code.trusted)?);
            let opened = open(&name, &file, code.engine, (config, config), &trust)?;
            let wasm = WasmBytes::new(opened.wasm);
            match (opened.kind, opened.native) {
                (Kind::Component, _) => return Err(no_module(&name)),
                (Kind::Module, Some(mut native)) => Module::with_native(engine, wasm, native.pop()),
                (Kind::Module, None) => Module::parse_only(engine, wasm.clone())
                    .and_then(|_validated| Module::with_native(engine, wasm, None)),
            }
        }
    };
    made.map_err(Failure::engine(name))
}

fn no_module(name: &str) -> Failure {
    Failure::Usage(format!("--preload takes core modules, and {name} is none"))
}

fn artifact(
    name: &str,
    file: &ArtifactFile,
    choice: EngineChoice,
    config: Config,
    trust: &Trust,
) -> Result<Program, Failure> {
    let settings = settings(&config, file.facts.as_ref());
    let Opened { kind, wasm, native, adapters } = open(name, file, choice, (&config, &settings), trust)?;
    let made = match native {
        None => Program::new(&Engine::new(config), kind, wasm),
        Some(mut native) => {
            let engine = Engine::with_runtime(settings, &LoadOnly);
            let wasm = WasmBytes::new(wasm);
            match kind {
                Kind::Module => Module::with_native(&engine, wasm, native.pop()).map(Program::Module),
                Kind::Component => {
                    let native = native.into_iter().map(Some).collect();
                    let code_of = |calls: &[AdapterInfo]| adapters.and_then(|code| code.of(calls));
                    Component::with_native(&engine, wasm, native, code_of).map(Program::Component)
                }
            }
        }
    };
    made.map_err(Failure::engine(name))
}

/// What an artifact has to give.
struct Opened {
    kind: Kind,
    wasm: Arc<[u8]>,
    /// Native code, where it may run: `wasm` is as valid as it was when that was sealed, else as untrusted as any.
    native: Option<Vec<Arc<dyn NativeCode>>>,
    /// Native code between components.
    adapters: Option<Adapters>,
}

/// Opens an artifact for an engine with `settings`; `config` is what the run itself needs of them.
fn open(
    name: &str,
    file: &ArtifactFile,
    choice: EngineChoice,
    (config, settings): (&Config, &Config),
    trust: &Trust,
) -> Result<Opened, Failure> {
    if choice == EngineChoice::Interp {
        let (kind, wasm) = Artifact::wasm(&file.bytes()?)
            .ok_or_else(|| Failure::Other(format!("{name} is damaged: its WebAssembly is not intact")))?;
        return Ok(Opened { kind, wasm, native: None, adapters: None });
    }
    let loaded = file
        .load(
            |path| Artifact::load(settings, path, trust),
            |bytes| Artifact::load_bytes(settings, bytes, trust),
        )
        .map_err(Failure::engine(""))?;
    let refused = match loaded {
        Ok(Artifact { kind, wasm, native, adapters }) => {
            return Ok(Opened { kind, wasm, native: Some(native), adapters });
        }
        Err(refused) => refused,
    };
    let why = refusal(&refused.reason, config, file.facts.as_ref());
    let Some((kind, wasm)) = refused.wasm else {
        let text = format!("{name} is refused: {why}; and the WebAssembly inside is not intact");
        return Err(Error::new(ErrorKind::Artifact, text).into());
    };
    output::warn(format_args!(
        "{name} is {why}: its native code is not used, its WebAssembly runs interpreted"
    ));
    Ok(Opened { kind, wasm, native: None, adapters: None })
}

/// The settings under which an artifact may run: those it was made with where that does no harm (more checks than asked for),
/// and what the run needs anyway. Its word is good enough for that; running it takes the seal.
pub(crate) fn settings(config: &Config, facts: Option<&Facts>) -> Config {
    let Some(facts) = facts else { return config.clone() };
    Config {
        fuel: config.fuel || facts.fuel,
        epoch: config.epoch || facts.epoch,
        canonicalize_nans: config.canonicalize_nans || facts.canonicalize_nans,
        guard_pages: config.guard_pages && facts.guard_pages,
        ..config.clone()
    }
}

/// Why an artifact's code does not run, and what would help.
pub(crate) fn refusal(reason: &Reason, config: &Config, facts: Option<&Facts>) -> String {
    let class = match reason {
        Reason::NotAnArtifact | Reason::Truncated | Reason::Damaged => "damaged",
        Reason::Unsealed => "unsealed",
        Reason::OtherKey
        | Reason::NoKey(_)
        | Reason::Untrusted(_)
        | Reason::OtherTarget
        | Reason::OtherCpu => "foreign",
        Reason::OtherFormat(_) | Reason::OtherBuild => "stale",
        Reason::OtherConfig => "unfit",
    };
    let lacks = |wanted: bool, has: fn(&Facts) -> bool| wanted && facts.is_some_and(|facts| !has(facts));
    let detail = match reason {
        Reason::OtherConfig if lacks(config.epoch, |facts| facts.epoch) => {
            "its code has no checks for --timeout; `mini-wasm aot --epoch` puts them in".into()
        }
        Reason::OtherConfig if lacks(config.fuel, |facts| facts.fuel) => {
            "its code counts no fuel; `mini-wasm aot --fuel` puts that in".into()
        }
        Reason::OtherConfig if !config.guard_pages && facts.is_some_and(|facts| facts.guard_pages) => {
            "its code relies on guard pages, for which address space is scarce here or which --guard-pages forbids; \
             `mini-wasm aot --guard-pages never` makes code that runs everywhere"
                .into()
        }
        Reason::OtherConfig => "made with other settings (-W)".into(),
        other => other.to_string(),
    };
    format!("{class} ({detail})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mini_wasm_jit::artifact::SealedBy;

    fn facts(epoch: bool, fuel: bool) -> Facts {
        Facts {
            kind: Kind::Module,
            this_build: true,
            arch: None,
            fuel,
            epoch,
            canonicalize_nans: false,
            guard_pages: true,
            modules: 1,
            wasm_bytes: 0,
            text_bytes: 0,
            sealed: SealedBy::Key,
        }
    }

    #[test]
    fn an_artifact_with_more_checks_than_asked_for_runs_with_them() {
        let plain = Config { guard_pages: true, ..Config::default() };
        let settings = settings(&plain, Some(&facts(true, true)));
        assert!(settings.epoch && settings.fuel && settings.guard_pages);
    }

    #[test]
    fn an_artifact_without_the_checks_asked_for_is_told_how_to_get_them() {
        let config = Config { epoch: true, ..Config::default() };
        assert!(settings(&config, Some(&facts(false, false))).epoch, "what the run needs is never given up");
        let why = refusal(&Reason::OtherConfig, &config, Some(&facts(false, false)));
        assert!(why.contains("aot --epoch"), "{why}");
    }

    #[test]
    fn an_artifact_that_needs_guard_pages_is_told_so_where_there_are_none() {
        let config = Config { guard_pages: false, ..Config::default() };
        let why = refusal(&Reason::OtherConfig, &config, Some(&facts(false, false)));
        assert!(why.contains("guard pages") && why.contains("aot --guard-pages never"), "{why}");
        let unguarded = Facts { guard_pages: false, ..facts(false, false) };
        let plain = Config { guard_pages: true, ..Config::default() };
        assert!(
            !settings(&plain, Some(&unguarded)).guard_pages,
            "code without guards runs where there could be some"
        );
    }

    #[test]
    fn each_reason_of_a_refusal_has_its_word() {
        let word = |reason: Reason| refusal(&reason, &Config::default(), None);
        assert!(word(Reason::Unsealed).starts_with("unsealed"));
        assert!(word(Reason::OtherKey).starts_with("foreign"));
        assert!(word(Reason::OtherBuild).starts_with("stale"));
        assert!(word(Reason::Damaged).starts_with("damaged"));
    }
}
