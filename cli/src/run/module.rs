//! Running a core module: link WASI preview 1 with what the flags grant and what was preloaded, instantiate, call `_start`
//! (a command), or `_initialize` and then what `--invoke` names (a reactor).

use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::flags::Run;
use crate::grant::grant;
use crate::input::{self, Input};
use crate::{engine, missing, output, wat_type, wat_value};
use mini_wasm_runtime::types::ExternType;
use mini_wasm_runtime::{Error, ErrorKind, Instance, Linker, Module, Store, Val};
use mini_wasm_wasi::{Wasi, preview1};
use std::sync::Arc;

/// What a reactor wants called before anything else.
const INITIALIZE: &str = "_initialize";

/// Runs it; 0 when it comes to its end, else the status that it exits with.
pub(super) fn run(
    module: &Module,
    name: &str,
    argv0: String,
    mut args: Vec<String>,
    flags: &Run,
) -> Result<u8, Failure> {
    let engine = module.engine();
    let call = Call::new(module, name, &args, flags)?;
    if flags.invoke.is_some() {
        // They are the parameters of what is called.
        args.clear();
    }
    args.insert(0, argv0);
    let wasi = grant(args, &flags.grants, &flags.limits.budgets)?.inherit_stdin().build();
    let mut store = engine::store(engine, wasi, &flags.limits);
    let mut linker = Linker::<Wasi>::new();
    let mut defined = Vec::new();
    let mut offer = |name: &str| {
        defined.extend(preview1::FUNCTIONS.iter().map(|f| (name.to_owned(), f.name.to_owned())));
    };
    preview1::add_to_linker(&mut linker, |wasi| wasi)?;
    offer(preview1::SNAPSHOT);
    if flags.wasi_unstable {
        preview1::add_unstable_to_linker(&mut linker, |wasi| wasi)?;
        offer(preview1::UNSTABLE);
    }
    let preloads = flags
        .preloads
        .iter()
        .map(|preload| {
            let input = Input::read(&preload.file)?;
            let file = input.name.clone();
            Ok((&*preload.name, file, engine::load_beside(engine, input, &flags.code)?))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    // Compiling is done; from here on the guest's time runs.
    let deadline = Deadline::start(engine, &mut store, &flags.limits)?;
    if let Some(deadline) = &deadline {
        store.data_mut().deadline(Arc::new(deadline.over));
    }
    for (as_name, file, module) in &preloads {
        settle_missing(&mut linker, module, file, &defined, flags)?;
        let instance = linker.instantiate(&mut store, module).map_err(Failure::engine(file))?;
        if is_entry(module, INITIALIZE)
            && let Err(error) = called(&mut store, instance, INITIALIZE, &[])
        {
            return end(error, file);
        }
        linker
            .instance(&mut store, as_name, instance)
            .map_err(Failure::engine(format!("--preload {as_name}")))?;
        defined.extend(module.exports().map(|(name, _)| (String::from(*as_name), String::from(name))));
    }
    settle_missing(&mut linker, module, name, &defined, flags)?;
    let ended = linker.instantiate(&mut store, module).and_then(|instance| call.call(&mut store, instance));
    store.data_mut().finish();
    // For the same reason as the program in `run`.
    std::mem::forget((store, linker, deadline));
    match ended {
        Ok(results) if results.is_empty() => Ok(0),
        Ok(results) => output::print(results).map(|()| 0),
        Err(error) => end(error, name),
    }
}

/// The end that an error puts to a program: its exit status, if it asked for one.
fn end(error: Error, name: &str) -> Result<u8, Failure> {
    match error.kind() {
        ErrorKind::Exit(status) => Ok(status),
        _ => Err(Failure::engine(name)(error)),
    }
}

/// Does it export a function of this name without parameters and results?
fn is_entry(module: &Module, wanted: &str) -> bool {
    module.exports().any(|(name, ty)| {
        name == wanted
            && matches!(ty, ExternType::Func(ty) if ty.params().is_empty() && ty.results().is_empty())
    })
}

/// Names the imports that nobody defines, or with `--stub-missing` lets them trap when they are called.
fn settle_missing(
    linker: &mut Linker<Wasi>,
    module: &Module,
    name: &str,
    defined: &[(String, String)],
    flags: &Run,
) -> Result<(), Failure> {
    match flags.grants.stub_missing {
        true => Ok(linker.define_unknown_imports_as_traps(module)?),
        false => missing::check(module, name, defined),
    }
}

/// What is called once there is an instance, settled before anything runs.
struct Call<'a> {
    /// Called first.
    initialize: bool,
    export: Option<&'a str>,
    args: Vec<Val>,
    print: bool,
}

impl<'a> Call<'a> {
    fn new(module: &Module, name: &str, args: &[String], flags: &'a Run) -> Result<Call<'a>, Failure> {
        let ty_of = |wanted: &str| module.exports().find(|(name, _)| *name == wanted).map(|(_, ty)| ty);
        let initialize = is_entry(module, INITIALIZE);
        let Some(invoke) = &flags.invoke else {
            return match ty_of("_start") {
                Some(_) if is_entry(module, "_start") => {
                    Ok(Call { initialize, export: Some("_start"), args: Vec::new(), print: false })
                }
                // A start function is a program as well, and so is a reactor's beginning.
                None if initialize || module.info().start.is_some() => {
                    Ok(Call { initialize, export: None, args: Vec::new(), print: false })
                }
                _ => match input::for_other_tools(module.info().wasm.bytes()) {
                    Some(what) => Err(Failure::Other(format!("{name} is {what}"))),
                    None => Err(Failure::Other(format!(
                        "{name} exports no function `_start` without parameters and results; {}",
                        others(module)
                    ))),
                },
            };
        };
        let ty = match ty_of(invoke) {
            Some(ExternType::Func(ty)) => ty,
            Some(other) => {
                let what = wat_type::extern_type(&other);
                return Err(Failure::Usage(format!(
                    "--invoke: the export `{invoke}` of {name} is {what}, no function"
                )));
            }
            None => {
                return Err(Failure::Usage(format!(
                    "--invoke: {name} exports no `{invoke}`; {}",
                    others(module)
                )));
            }
        };
        if args.len() != ty.params().len() {
            return Err(Failure::Usage(format!(
                "--invoke: `{invoke}` is {}, and {} arguments are there",
                wat_type::extern_type(&ExternType::Func(ty.clone())),
                args.len()
            )));
        }
        let args = ty.params().iter().zip(args).map(|(&ty, arg)| {
            wat_value::parse(ty, arg)
                .map_err(|wrong| Failure::Usage(format!("--invoke: argument of `{invoke}`: {wrong}")))
        });
        let initialize = initialize && invoke != INITIALIZE;
        Ok(Call { initialize, export: Some(invoke), args: args.collect::<Result<_, _>>()?, print: true })
    }

    /// Calls it; the results as they are printed.
    fn call(self, store: &mut Store<Wasi>, instance: Instance) -> mini_wasm_runtime::Result<String> {
        if self.initialize {
            called(store, instance, INITIALIZE, &[])?;
        }
        let Some(export) = self.export else { return Ok(String::new()) };
        let results = called(store, instance, export, &self.args)?;
        Ok(match self.print {
            true => results.iter().map(|val| wat_value::format(val) + "\n").collect(),
            false => String::new(),
        })
    }
}

/// Calls an export.
fn called(
    store: &mut Store<Wasi>,
    instance: Instance,
    name: &str,
    args: &[Val],
) -> mini_wasm_runtime::Result<Vec<Val>> {
    let func = instance.func(&mut *store, name).ok_or_else(|| {
        Error::new(
            ErrorKind::Unlinkable,
            format!("the instance has no function `{name}`, which its module exports"),
        )
    })?;
    func.call(store, args)
}

/// What else could be called.
fn others(module: &Module) -> String {
    let funcs: Vec<&str> = module
        .exports()
        .filter(|(_, ty)| matches!(ty, ExternType::Func(_)))
        .map(|(name, _)| name)
        .take(12)
        .collect();
    match funcs.as_slice() {
        [] => "it exports no function at all".into(),
        funcs => format!("`--invoke NAME` can call {}", funcs.join(", ")),
    }
}
