//! A file named on the command line: read once, and recognised by its content, never by its name.
//!
//! How much is read has a limit, and reading stops as soon as it is plain that a file is nothing of ours.

mod kinds;

use crate::failure::Failure;
use crate::{deep, output, quote};
use mini_wasm_jit::artifact::{Artifact, Facts};
use mini_wasm_runtime::component::Component;
use mini_wasm_wast::text::{self, begins_like_text};
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

/// Bytes that are read of a file, binary or text. The largest programs there are have a fifth of that.
const MAX_BYTES: u64 = 512 << 20;
/// The same of an artifact, which holds its WebAssembly and more.
const MAX_ARTIFACT_BYTES: u64 = 4 << 30;
/// As much as tells what a file is.
const HEAD: usize = 4096;
/// How long a pipe may keep us waiting before we say so.
const PATIENCE: Duration = Duration::from_secs(1);

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
        let mut opened = Opened::open(path)?;
        let mut bytes = opened.head()?;
        if Artifact::is_artifact(&bytes) && opened.is_plain {
            opened.admit(MAX_ARTIFACT_BYTES)?;
            return Ok(Input::artifact(opened.name, &bytes, Source::Path(path.into())));
        }
        if bytes.len() < HEAD || may_be_ours(&bytes) {
            opened.admit(MAX_BYTES)?;
            opened.rest(MAX_BYTES, &mut bytes)?;
        }
        Input::recognise(opened.name, bytes)
    }

    fn artifact(name: String, head: &[u8], source: Source) -> Input {
        Input { name, content: Content::Artifact(ArtifactFile { source, facts: Facts::read(head) }) }
    }

    /// What bytes are that were read already.
    pub(crate) fn recognise(name: String, bytes: Vec<u8>) -> Result<Input, Failure> {
        if Artifact::is_artifact(&bytes) {
            let head = bytes[..bytes.len().min(Facts::BYTES)].to_vec();
            return Ok(Input::artifact(name, &head, Source::Bytes(bytes)));
        }
        if let Some(content) = binary(&bytes) {
            return Ok(Input { name, content: content(bytes) });
        }
        if let Some(what) = kinds::binary(&bytes) {
            return Err(Failure::Other(format!("{name} is no WebAssembly: it is {what}")));
        }
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Err(Failure::Other(format!(
                "{name} is no WebAssembly (neither binary nor text) and no artifact of `mini-wasm aot`"
            )));
        };
        if text.trim().is_empty() {
            return Err(Failure::Other(format!("{name} is empty")));
        }
        if let Some(what) = kinds::text(text) {
            return Err(Failure::Other(format!("{name} is {what}")));
        }
        // Most text has no need of a thread.
        let read = match is_deep(text) {
            true => deep::on_a_large_stack(|| text::binary(text))?,
            false => text::binary(text),
        };
        let bytes = read.map_err(|error| {
            let told = quote::wrong_at(&name, text, error.offset, &error.message);
            Failure::Other(format!("no binary, and as text it does not parse: {told}"))
        })?;
        let content = binary(&bytes).unwrap_or(Content::Module);
        Ok(Input { name, content: content(bytes) })
    }
}

/// Whether a file that begins like this may be WebAssembly or text of it.
fn may_be_ours(head: &[u8]) -> bool {
    if head.starts_with(b"\0asm") || Artifact::is_artifact(head) {
        return true;
    }
    match std::str::from_utf8(head) {
        Ok(text) => begins_like_text(text) != Some(false),
        // A character that is cut in two says nothing.
        Err(error) if error.error_len().is_none() => {
            let text = std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default();
            begins_like_text(text) != Some(false)
        }
        Err(_) => false,
    }
}

/// Whether brackets nest deeper than people write them.
fn is_deep(text: &str) -> bool {
    let mut depth = 0u32;
    text.bytes().any(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > 50
    })
}

/// The text of a file that has to be some, `-` being standard input: its name in messages and what is in it.
pub(crate) fn read_text(path: &Path) -> Result<(String, String), Failure> {
    let (name, bytes) = read_bytes(path)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok((name, text)),
        Err(error) => {
            let what =
                kinds::binary(error.as_bytes()).map_or_else(String::new, |what| format!(": it is {what}"));
            Err(Failure::Other(format!("{name} is no text{what}")))
        }
    }
}

/// All that is in a file, whatever it is.
pub(crate) fn read_bytes(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let mut opened = Opened::open(path)?;
    opened.admit(MAX_BYTES)?;
    let mut bytes = opened.head()?;
    // No text has zeros in it; devices and pictures have.
    if may_be_ours(&bytes) || !bytes.contains(&0) {
        opened.rest(MAX_BYTES, &mut bytes)?;
    }
    Ok((opened.name, bytes))
}

/// A file that is being read.
struct Opened {
    name: String,
    reader: Box<dyn Read>,
    /// Whether it is a regular file: anything else is gone once it was read.
    is_plain: bool,
    bytes: u64,
    _watch: Option<Watch>,
}

impl Opened {
    fn open(path: &Path) -> Result<Opened, Failure> {
        if path.as_os_str() == "-" {
            let stdin = std::io::stdin();
            let waiting = match stdin.is_terminal() {
                true => "reading standard input; Ctrl-D ends it",
                false => "waiting for standard input to come to its end",
            };
            let watch = Watch::start(waiting.into());
            return Ok(Opened {
                name: "standard input".into(),
                reader: Box::new(stdin.lock()),
                is_plain: false,
                bytes: 0,
                _watch: Some(watch),
            });
        }
        let name = path.display().to_string();
        let cannot = |error: std::io::Error| Failure::Other(format!("cannot read {name}: {error}"));
        // Before it is opened, which may take as long as nobody writes to it.
        let facts = std::fs::metadata(path).map_err(cannot)?;
        if facts.is_dir() {
            return Err(Failure::Other(format!("{name} is a folder, and a file is wanted")));
        }
        let watch = (!facts.is_file()).then(|| {
            Watch::start(format!("waiting for {name}: what is written to it is read until its end"))
        });
        let file = File::open(path).map_err(cannot)?;
        Ok(Opened {
            reader: Box::new(file),
            is_plain: facts.is_file(),
            bytes: facts.len(),
            name,
            _watch: watch,
        })
    }

    /// Is it no larger than that, as far as is known before it is read?
    fn admit(&self, limit: u64) -> Result<(), Failure> {
        match self.bytes > limit {
            true => Err(self.too_large(limit)),
            false => Ok(()),
        }
    }

    /// The beginning: as much as tells what the file is, or all if it is shorter.
    fn head(&mut self) -> Result<Vec<u8>, Failure> {
        let mut head = Vec::with_capacity(HEAD);
        self.append(HEAD as u64, &mut head)?;
        Ok(head)
    }

    /// What stands behind the beginning, if all of it together is no more than so much.
    fn rest(&mut self, limit: u64, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        // One byte more than may be tells that there is more.
        self.append((limit + 1).saturating_sub(bytes.len() as u64), bytes)?;
        match bytes.len() as u64 > limit {
            true => Err(self.too_large(limit)),
            false => Ok(()),
        }
    }

    fn append(&mut self, most: u64, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        let read = Read::by_ref(&mut self.reader).take(most).read_to_end(bytes);
        read.map(drop).map_err(|error| Failure::Other(format!("cannot read {}: {error}", self.name)))
    }

    fn too_large(&self, limit: u64) -> Failure {
        Failure::Other(format!(
            "{} is larger than {} MiB, which is as much as is read",
            self.name,
            limit >> 20
        ))
    }
}

/// Says what we wait for, should it take long.
struct Watch(#[expect(dead_code, reason = "its end is what the other thread sees")] Sender<()>);

impl Watch {
    fn start(waiting: String) -> Watch {
        let (sender, receiver) = mpsc::channel();
        let wait = move || {
            if receiver.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                output::say(format_args!("mini-wasm: {waiting}"));
            }
        };
        // Without a thread nobody is told, which is no reason not to read.
        let _ = std::thread::Builder::new().name("waiting".into()).stack_size(64 << 10).spawn(wait);
        Watch(sender)
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

/// What a core module is that is meant for other tools than an engine.
pub(crate) fn for_other_tools(module: &[u8]) -> Option<&'static str> {
    kinds::of_module(module)
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
        Input::recognise("it".into(), bytes.to_vec()).map(|input| input.content)
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
