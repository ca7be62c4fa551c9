//! A file named on the command line: read once, and recognised by its content, never by its name.

use crate::failure::Failure;
use mini_wasm_jit::artifact::{Artifact, Facts};
use mini_wasm_runtime::component::Component;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A file that was looked into.
#[derive(Debug)]
pub(crate) struct Input {
    /// How messages call it.
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// What a file holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// A core module.
    Module(Vec<u8>),
    /// A component.
    Component(Vec<u8>),
    /// What `mini-wasm aot` wrote.
    Artifact(ArtifactFile),
}

/// An artifact. One that is a file is not read yet: its loader reads it into memory of its own.
#[derive(Debug)]
pub(crate) struct ArtifactFile {
    source: Source,
    /// What its head says; `None` for a format that this build does not know.
    pub(crate) facts: Option<Facts>,
}

#[derive(Debug)]
enum Source {
    Path(PathBuf),
    Bytes(Vec<u8>),
}

impl Input {
    /// Reads a file, `-` being standard input.
    pub(crate) fn read(path: &Path) -> Result<Input, Failure> {
        let is_stdin = path.as_os_str() == "-";
        let name = if is_stdin { "standard input".into() } else { path.display().to_string() };
        let cannot = |error: std::io::Error| Failure::Other(format!("cannot read {name}: {error}"));
        let mut bytes = Vec::with_capacity(Facts::BYTES);
        if is_stdin {
            std::io::stdin().lock().read_to_end(&mut bytes).map_err(cannot)?;
        } else {
            let mut file = File::open(path).map_err(cannot)?;
            Read::by_ref(&mut file).take(Facts::BYTES as u64).read_to_end(&mut bytes).map_err(cannot)?;
            let facts = file.metadata().map_err(cannot)?;
            // A pipe's head is gone once it was read: what is no plain file goes on in memory.
            if Artifact::is_artifact(&bytes) && facts.is_file() {
                return Ok(Input::artifact(name, &bytes, Source::Path(path.into())));
            }
            file.read_to_end(&mut bytes).map_err(cannot)?;
        }
        Input::recognise(name, path, bytes)
    }

    fn artifact(name: String, head: &[u8], source: Source) -> Input {
        Input { name, content: Content::Artifact(ArtifactFile { source, facts: Facts::read(head) }) }
    }

    fn recognise(name: String, path: &Path, bytes: Vec<u8>) -> Result<Input, Failure> {
        if Artifact::is_artifact(&bytes) {
            let head = bytes[..bytes.len().min(Facts::BYTES)].to_vec();
            return Ok(Input::artifact(name, &head, Source::Bytes(bytes)));
        }
        if let Some(content) = binary(&bytes) {
            return Ok(Input { name, content: content(bytes) });
        }
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Err(Failure::Other(format!(
                "{name} is no WebAssembly (neither binary nor text) and no artifact of `mini-wasm aot`"
            )));
        };
        if text.trim().is_empty() {
            return Err(Failure::Other(format!("{name} is empty")));
        }
        let bytes = wat::parse_str(text).map_err(|mut error| {
            error.set_path(path);
            Failure::Other(format!("{name} is no binary, and as text it does not parse:\n{error}"))
        })?;
        let content = binary(&bytes).unwrap_or(Content::Module);
        Ok(Input { name, content: content(bytes) })
    }
}

impl ArtifactFile {
    /// What is in it, for who wants it whole.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Failure> {
        match &self.source {
            Source::Bytes(bytes) => Ok(bytes.clone()),
            Source::Path(path) => std::fs::read(path)
                .map_err(|error| Failure::Other(format!("cannot read {}: {error}", path.display()))),
        }
    }

    /// Hands it to the loader.
    pub(crate) fn load<R>(&self, path: impl FnOnce(&Path) -> R, bytes: impl FnOnce(&[u8]) -> R) -> R {
        match &self.source {
            Source::Path(file) => path(file),
            Source::Bytes(content) => bytes(content),
        }
    }
}

/// A program's name: the last part of its path.
pub(crate) fn base_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Which kind of binary begins like this; `None` for what is none. Whether it is whole and valid is for its reader to say.
fn binary(bytes: &[u8]) -> Option<fn(Vec<u8>) -> Content> {
    if Component::is_component(bytes) {
        return Some(Content::Component);
    }
    bytes.starts_with(b"\0asm").then_some(Content::Module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognise(bytes: &[u8]) -> Result<Content, Failure> {
        Input::recognise("it".into(), Path::new("it"), bytes.to_vec()).map(|input| input.content)
    }

    #[test]
    fn a_file_is_what_its_content_says() {
        assert!(matches!(recognise(b"\0asm\x01\0\0\0"), Ok(Content::Module(_))));
        assert!(matches!(recognise(b"\0asm\x0d\0\x01\0"), Ok(Content::Component(_))));
        assert!(matches!(recognise(b"(module)"), Ok(Content::Module(_))));
        assert!(matches!(recognise(b";; text\n(component)"), Ok(Content::Component(_))));
        assert!(matches!(
            recognise(b"mwasm\0\xc0\xde"),
            Ok(Content::Artifact(ArtifactFile { facts: None, .. }))
        ));
    }

    #[test]
    fn what_is_nothing_of_ours_is_called_so() {
        assert!(recognise(b"\x7fELF\xff").unwrap_err().to_string().contains("no WebAssembly"));
        assert!(recognise(b"").unwrap_err().to_string().contains("empty"));
        let text = recognise(b"(module (fun))").unwrap_err().to_string();
        assert!(text.contains("it:1:10"), "{text}");
    }
}
