//! `mini-wasm componentize MODULE`: a component of a core module, with adapters for what it imports that is no component's to
//! give, such as WASI preview 1.

use crate::failure::Failure;
use crate::flags::value::{Adapter, BuiltinAdapter};
use crate::flags::{self, Componentize};
use crate::input::{Content, Input};
use crate::proposals::{refused, warn_of_wasi_03};
use crate::wit::{Unstable, Wit};
use crate::{deep, engine, input, output};
use mini_wasm_runtime::Module;
use std::path::Path;
use wasi_preview1_component_adapter_provider as adapters;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// The name by which modules import WASI preview 1.
const PREVIEW1: &str = adapters::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;

/// Makes it.
pub(crate) fn componentize(flags: &Componentize) -> Result<u8, Failure> {
    let (name, mut bytes) = module(&flags.file)?;
    let wrong = |doing: &str, error| Failure::Other(format!("{name}: {doing}: {error:#}"));
    let engine = engine::reader(&flags.language);
    let module = Module::new(&engine, &*bytes).map_err(refused(&name, &engine, &bytes))?;
    if let Some(path) = &flags.wit {
        let wit = Wit::read(path, Unstable::LeftOut)?;
        let world = wit.world(flags.world.as_deref())?;
        let encoding = encoding(flags.string_encoding);
        deep::on_a_large_stack(|| {
            embed_component_metadata(&mut bytes, &wit.resolve, world, encoding, false)
        })?
        .map_err(|error| wrong("its world cannot be put in", error))?;
    }
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    deep::on_a_large_stack(|| encoder.module(&bytes).map(drop))?
        .map_err(|error| wrong("cannot be a component", error))?;
    let mut adapted = false;
    for adapter in &flags.adapters {
        match adapter {
            Adapter::None => adapted = true,
            Adapter::Builtin(kind) => {
                adapted = true;
                encoder.adapter(PREVIEW1, builtin(*kind)).map_err(|error| wrong("the adapter", error))?;
            }
            Adapter::File { name: as_name, file } => {
                let (file_name, bytes) = self::module(file)?;
                let as_name = as_name.as_deref().unwrap_or_else(|| stem(file));
                adapted |= as_name == PREVIEW1;
                deep::on_a_large_stack(|| encoder.adapter(as_name, &bytes).map(drop))?
                    .map_err(|error| wrong(&file_name, error))?;
            }
        }
    }
    if !adapted && module.imports().any(|(from, _, _)| from == PREVIEW1) {
        let is_command = module.exports().any(|(name, _)| name == "_start");
        let kind = if is_command { BuiltinAdapter::Command } else { BuiltinAdapter::Reactor };
        encoder.adapter(PREVIEW1, builtin(kind)).map_err(|error| wrong("the adapter", error))?;
    }
    let component = deep::on_a_large_stack(|| encoder.encode())?
        .map_err(|error| wrong("cannot be a component", error))?;
    warn_of_wasi_03(&name, &component);
    output::write_component(&component, &flags.made).map(|()| 0)
}

/// A file that has to be a core module.
fn module(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let Input { name, content } = Input::read(path)?;
    match content {
        Content::Module(bytes) => match input::for_other_tools(&bytes) {
            Some(what) => Err(Failure::Usage(format!("{name} is {what}"))),
            None => Ok((name, bytes)),
        },
        Content::Component(_) => Err(Failure::Usage(format!("{name} is a component already"))),
        Content::Artifact(_) => {
            Err(Failure::Usage(format!("{name} is an artifact, and a core module is wanted")))
        }
    }
}

/// The name that a file's name says: `wasi_snapshot_preview1.command.wasm` adapts `wasi_snapshot_preview1`.
fn stem(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

fn builtin(kind: BuiltinAdapter) -> &'static [u8] {
    match kind {
        BuiltinAdapter::Command => adapters::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
        BuiltinAdapter::Reactor => adapters::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        BuiltinAdapter::Proxy => adapters::WASI_SNAPSHOT_PREVIEW1_PROXY_ADAPTER,
    }
}

fn encoding(encoding: flags::StringEncoding) -> StringEncoding {
    match encoding {
        flags::StringEncoding::Utf8 => StringEncoding::UTF8,
        flags::StringEncoding::Utf16 => StringEncoding::UTF16,
        flags::StringEncoding::CompactUtf16 => StringEncoding::CompactUTF16,
    }
}
