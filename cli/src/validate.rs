//! `mini-wasm validate FILE...`: is each file a valid module or component?

use crate::failure::Failure;
use crate::flags::{Language, Validate};
use crate::input::{Content, Input};
use crate::proposals::{refused, warn_of_wasi_03};
use crate::{engine, output};
use mini_wasm_runtime::Module;
use mini_wasm_runtime::component::Component;
use std::path::Path;

/// Says so for each file on standard output; what is wrong with the others goes to standard error, status 1.
pub(crate) fn validate(flags: &Validate) -> Result<u8, Failure> {
    let mut status = 0;
    for file in &flags.files {
        match one(file, &flags.language) {
            Ok(what) => output::print(format!("{}: a valid {what}\n", file.display()))?,
            Err(failure) => {
                status = failure.status();
                output::complain(&failure);
            }
        }
    }
    Ok(status)
}

fn one(file: &Path, language: &Language) -> Result<&'static str, Failure> {
    let input = Input::read(file)?;
    let engine = engine::reader(language);
    match input.content {
        Content::Module(bytes) => {
            Module::new(&engine, &*bytes).map(|_| "core module").map_err(refused(input.name, &engine, bytes))
        }
        Content::Component(bytes) => {
            let valid = Component::new(&engine, &*bytes).map(|_| "component");
            let what = valid.map_err(refused(&input.name, &engine, &bytes))?;
            warn_of_wasi_03(&input.name, &bytes);
            Ok(what)
        }
        Content::Artifact(_) => {
            let name = input.name;
            Err(Failure::Other(format!(
                "{name} is an artifact; `mini-wasm inspect` tells what becomes of it"
            )))
        }
    }
}
