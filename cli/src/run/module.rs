//! Running a core module: link what was preloaded, instantiate, call `_start` or what `--invoke` names.

use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::flags::Run;
use crate::input::{Content, Input};
use crate::{engine, missing, output, wat_type, wat_value};
use mini_wasm_runtime::types::ExternType;
use mini_wasm_runtime::{Linker, Module, Store, Val};

/// Runs it; 0 when it comes to its end.
pub(super) fn run(module: &Module, name: &str, args: &[String], flags: &Run) -> Result<u8, Failure> {
    let engine = module.engine();
    let mut store = engine::store(engine, (), &flags.limits);
    let call = Call::new(module, name, args, flags)?;
    let mut linker = Linker::<()>::new();
    let preloads = flags
        .preloads
        .iter()
        .map(|preload| {
            let input = Input::read(&preload.file)?;
            let Content::Module(bytes) = input.content else {
                return Err(Failure::Usage(format!(
                    "--preload takes core modules, and {} is none",
                    input.name
                )));
            };
            let module = Module::new(engine, bytes).map_err(Failure::engine(&input.name))?;
            Ok((&*preload.name, input.name, module))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    // Compiling is done; from here on the guest's time runs.
    let _deadline = Deadline::start(engine, &mut store, &flags.limits)?;
    let mut defined = Vec::new();
    for (as_name, file, module) in &preloads {
        missing::check(module, file, &defined)?;
        let instance = linker.instantiate(&mut store, module).map_err(Failure::engine(file))?;
        linker
            .instance(&mut store, as_name, instance)
            .map_err(Failure::engine(format!("--preload {as_name}")))?;
        defined.extend(module.exports().map(|(name, _)| (String::from(*as_name), String::from(name))));
    }
    missing::check(module, name, &defined)?;
    let instance = linker.instantiate(&mut store, module).map_err(Failure::engine(name))?;
    call.call(&mut store, instance, name)?;
    Ok(0)
}

/// What is called once there is an instance, settled before anything runs.
struct Call<'a> {
    export: Option<&'a str>,
    args: Vec<Val>,
    print: bool,
}

impl<'a> Call<'a> {
    fn new(module: &Module, name: &str, args: &[String], flags: &'a Run) -> Result<Call<'a>, Failure> {
        let ty_of = |wanted: &str| module.exports().find(|(name, _)| *name == wanted).map(|(_, ty)| ty);
        let Some(invoke) = &flags.invoke else {
            return match ty_of("_start") {
                Some(ExternType::Func(ty)) if ty.params().is_empty() && ty.results().is_empty() => {
                    Ok(Call { export: Some("_start"), args: Vec::new(), print: false })
                }
                // A start function is a program as well.
                None if module.info().start.is_some() => {
                    Ok(Call { export: None, args: Vec::new(), print: false })
                }
                _ => Err(Failure::Other(format!(
                    "{name} exports no function `_start` without parameters and results; {}",
                    others(module)
                ))),
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
        Ok(Call { export: Some(invoke), args: args.collect::<Result<_, _>>()?, print: true })
    }

    fn call(
        self,
        store: &mut Store<()>,
        instance: mini_wasm_runtime::Instance,
        name: &str,
    ) -> Result<(), Failure> {
        let Some(export) = self.export else { return Ok(()) };
        let func = instance.func(&mut *store, export).expect("the export was found in the module");
        let results = func.call(store, &self.args).map_err(Failure::engine(name))?;
        if self.print {
            output::print(results.iter().map(|val| wat_value::format(val) + "\n").collect::<String>())?;
        }
        Ok(())
    }
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
