//! The artifact: native code in a file, with the WebAssembly it was made from.
//!
//! The file, byte by byte. All numbers are little-endian; what is not named is zero.
//!
//! | at  | bytes | what |
//! |-----|-------|------|
//! | 0   | 8     | magic, `mwasm\0\xc0\xde` |
//! | 8   | 4     | version of this format, 2 |
//! | 12  | 4     | what the WebAssembly is: 1 a module, 2 a component |
//! | 16  | 8     | build: a hash of crate version, layout of `vm.rs`, trap codes |
//! | 24  | 4     | architecture: 1 x86_64, 2 AArch64, 3 RISC-V 64; all Linux |
//! | 28  | 4     | switches of the code: 1 fuel, 2 epoch, 4 canonical NaNs, 8 guard pages |
//! | 32  | 8     | hash of the WebAssembly features |
//! | 40  | 8     | processor features that the code uses, as a set of bits (cpu.rs) |
//! | 48  | 4     | core modules (a component holds several, in order of appearance) |
//! | 52  | 4     | seal: 0 none, 1 keyed hash, 2 signature |
//! | 56  | 8     | length of the file |
//! | 64  | 16    | the WebAssembly: offset, length |
//! | 80  | 16    | the text: offset (a multiple of [`TEXT_ALIGN`]), length; the last thing in the file |
//! | 96  | 4     | rows after those of core modules: 1 for code between components, or 0 |
//! | 100 | 12    | 0 |
//! | 112 | 32    | BLAKE3 hash of the WebAssembly |
//! | 144 | 64    | the seal: 32 bytes of keyed hash and 32 zeros, or 64 of signature |
//! | 208 | 32    | name of the sealing key: a hash of the secret one, or the public one |
//! | 240 | 16    | the beginning of a BLAKE3 hash of the calls between components that there is code for, or 0 |
//! | 256 | 32 each | core modules, code between components: tables at, length, text at, length (8 bytes each, offsets in the file) |
//! | ... |       | tables (tables.rs), each at a multiple of 8 |
//!
//! The seal covers every byte of the file; its own 64 count as zeros. Nothing in the file is relocated, decoded or trusted
//! before the seal was found good, save what says where the WebAssembly lies, and that is believed only when its hash fits.
//!
//! The file is read into private memory first and everything is checked there: what happens to the file later does not matter.

mod output;

pub use output::write;

use crate::backend::ready;
use crate::cpu::{Arch, CpuFeatures};
use crate::key::{CodeKey, build_hash};
use crate::load::code::CodeMap;
use crate::load::native::NativeModule;
use crate::seal::{KEY_ID_BYTES, Parts, PublicKey, SEAL_BYTES, SealKey, SignKey, hex};
use mini_wasm_runtime::backend::{AdapterInfo, NativeCode};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"mwasm\0\xc0\xde";
const FORMAT: u32 = 2;
const HEAD: usize = 256;
const ROW: usize = 32;
const SEAL: Range<usize> = 144..144 + SEAL_BYTES;
const KEY_ID: Range<usize> = 208..208 + KEY_ID_BYTES;
const WASM_HASH: Range<usize> = 112..144;
const CALLS: Range<usize> = 240..256;
/// Text begins at a multiple of the largest page that the architectures have.
pub const TEXT_ALIGN: usize = 64 << 10;
/// The same where pages are always 4 KiB.
const SMALL_TEXT_ALIGN: usize = 4 << 10;

fn text_align(arch: Arch) -> usize {
    match arch {
        Arch::Aarch64 => TEXT_ALIGN,
        Arch::X86_64 | Arch::Riscv64 => SMALL_TEXT_ALIGN,
    }
}

/// What the WebAssembly in an artifact is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum Kind {
    Module,
    Component,
}

/// Whose seals are good.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Accept what is sealed with this key.
    pub key: Option<SealKey>,
    /// Accept what is sealed with this user's key file, which is read when an artifact needs it.
    pub user: bool,
    /// Accept signatures by these keys.
    pub signers: Vec<PublicKey>,
}

impl Trust {
    /// This user's key file.
    pub fn user() -> Trust {
        Trust { user: true, ..Trust::default() }
    }

    /// One key.
    pub fn key(key: SealKey) -> Trust {
        Trust { key: Some(key), ..Trust::default() }
    }

    /// And signatures by this key.
    pub fn and_signer(mut self, signer: PublicKey) -> Trust {
        self.signers.push(signer);
        self
    }
}

/// With what an artifact is sealed.
#[derive(Clone, Debug)]
pub enum Seal {
    /// The keyed hash.
    Key(SealKey),
    /// A signature.
    Sign(SignKey),
    /// Nothing: it will be refused by [`Artifact::load`] and run interpreted.
    None,
}

/// Why an artifact's code does not run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The bytes are no artifact.
    NotAnArtifact,
    /// An artifact of another version of the format.
    OtherFormat(u32),
    /// It is shorter or longer than it says, or its parts do not fit.
    Truncated,
    /// Nobody sealed it.
    Unsealed,
    /// Sealed with a key that is not this user's.
    OtherKey,
    /// This user has no key, or its file is refused; the words say why.
    NoKey(String),
    /// Signed by a key that is not trusted: this one.
    Untrusted(String),
    /// Sealed by a good key, and changed since.
    Damaged,
    /// Made by another version of mini-wasm.
    OtherBuild,
    /// Made for another architecture.
    OtherTarget,
    /// Made for a processor with features that this one lacks.
    OtherCpu,
    /// Made with other settings: fuel, epoch, NaNs, guard pages or features.
    OtherConfig,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::NotAnArtifact => f.write_str("not an artifact"),
            Reason::OtherFormat(version) => write!(f, "artifact format {version} is not known"),
            Reason::Truncated => f.write_str("truncated or extended"),
            Reason::Unsealed => f.write_str("not sealed"),
            Reason::OtherKey => f.write_str("sealed with another key"),
            Reason::NoKey(why) => write!(f, "the seal cannot be checked: {why}"),
            Reason::Untrusted(key) => write!(f, "signed by {key}, which is not trusted (--trust)"),
            Reason::Damaged => f.write_str("changed after it was sealed"),
            Reason::OtherBuild => f.write_str("made by another version of mini-wasm"),
            Reason::OtherTarget => f.write_str("made for another architecture"),
            Reason::OtherCpu => f.write_str("made for a processor with more features"),
            Reason::OtherConfig => f.write_str("made with other settings"),
        }
    }
}

/// An artifact whose code may not run.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// The WebAssembly inside and what it is, if it is intact: to run interpreted, or to compile anew. It is as untrusted as
    /// any other WebAssembly.
    pub wasm: Option<(Kind, Arc<[u8]>)>,
}

/// An artifact in use.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// What the WebAssembly is.
    pub kind: Kind,
    /// The WebAssembly. It was validated before the artifact was sealed.
    pub wasm: Arc<[u8]>,
    /// Native code of the core modules, in order of appearance in the binary.
    pub native: Vec<Arc<dyn NativeCode>>,
    /// Native code between the components in a component.
    pub adapters: Option<Adapters>,
}

/// Native code between components.
#[derive(Clone, Debug)]
pub struct Adapters {
    code: Arc<dyn NativeCode>,
    calls: [u8; CALLS.end - CALLS.start],
}

impl Adapters {
    /// The code, if it was made for these calls, as `Component::with_native` takes it.
    pub fn of(&self, calls: &[AdapterInfo]) -> Option<Arc<dyn NativeCode>> {
        (self.calls == calls_hash(calls)).then(|| self.code.clone())
    }
}

/// What tells these calls from others.
fn calls_hash(calls: &[AdapterInfo]) -> [u8; CALLS.end - CALLS.start] {
    let mut hash = [0; CALLS.end - CALLS.start];
    let whole = blake3::hash(format!("{calls:?}").as_bytes());
    hash.iter_mut().zip(whole.as_bytes()).for_each(|(byte, of_whole)| *byte = *of_whole);
    hash
}

impl Artifact {
    /// Are these the first bytes of an artifact?
    pub fn is_artifact(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// The WebAssembly inside and what it is, if it is intact. It is as untrusted as any other WebAssembly: nobody looks at the
    /// seal.
    pub fn wasm(bytes: &[u8]) -> Option<(Kind, Arc<[u8]>)> {
        embedded_wasm(bytes)
    }

    /// Reads an artifact into private memory and takes its code into use, if its seal is good and it was made for this machine
    /// and these settings.
    ///
    /// # Errors
    /// `Io` when the file cannot be read or the system refuses memory. An artifact that is refused is not an error.
    pub fn load(config: &Config, path: &Path, trust: &Trust) -> Result<Result<Artifact, Refused>> {
        Artifact::take(config, read(path)?, Some(trust))
    }

    /// The same for an artifact in memory; it is copied.
    ///
    /// # Errors
    /// As [`Artifact::load`].
    pub fn load_bytes(config: &Config, bytes: &[u8], trust: &Trust) -> Result<Result<Artifact, Refused>> {
        Artifact::take(config, copy(bytes)?, Some(trust))
    }

    /// As [`Artifact::load_bytes`], without looking at the seal.
    ///
    /// # Safety
    /// The bytes were made by [`crate::compile::compile_artifact`] of this version and not changed since.
    ///
    /// # Errors
    /// As [`Artifact::load`].
    pub unsafe fn load_unchecked(config: &Config, bytes: &[u8]) -> Result<Result<Artifact, Refused>> {
        Artifact::take(config, copy(bytes)?, None)
    }

    fn take(config: &Config, mut map: CodeMap, trust: Option<&Trust>) -> Result<Result<Artifact, Refused>> {
        let head = match check(config, map.bytes(), trust) {
            Ok(head) => head,
            Err(reason) => {
                let wasm = embedded_wasm(map.bytes());
                return Ok(Err(Refused { reason, wasm }));
            }
        };
        ready(config)?;
        let wasm = map.bytes()[head.wasm.clone()].into();
        map.publish(head.text.clone())?;
        let map = Arc::new(map);
        let rows = head.modules + usize::from(head.has_adapters);
        let mut native: Vec<Arc<dyn NativeCode>> = Vec::with_capacity(rows);
        for i in 0..rows {
            let row = module_row(map.bytes(), i, &head);
            let Some((tables, text)) = row else {
                return Ok(Err(Refused { reason: Reason::Truncated, wasm: Some((head.kind, wasm)) }));
            };
            // SAFETY: the seal says that this crate's compiler made the file (or `load_unchecked`'s caller does); `check`
            // compared machine, layout and settings.
            native.push(Arc::new(unsafe { NativeModule::new(map.clone(), text, tables)? }));
        }
        let adapters = native.drain(head.modules..).next().map(|code| {
            let mut calls = [0; CALLS.end - CALLS.start];
            calls.copy_from_slice(&map.bytes()[CALLS]);
            Adapters { code, calls }
        });
        Ok(Ok(Artifact { kind: head.kind, wasm, native, adapters }))
    }
}

/// What an artifact's head says of itself. Nobody vouches for it: good for messages and for choosing settings, before
/// [`Artifact::load`] looks at the seal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// What the WebAssembly is.
    pub kind: Kind,
    /// Was it made by this build of mini-wasm?
    pub this_build: bool,
    /// The architecture; `None` for one that this build does not know.
    pub arch: Option<Arch>,
    /// The code counts fuel.
    pub fuel: bool,
    /// The code checks the epoch.
    pub epoch: bool,
    /// The code canonicalizes NaNs.
    pub canonicalize_nans: bool,
    /// The code relies on guard pages.
    pub guard_pages: bool,
    /// Core modules.
    pub modules: u32,
    /// Bytes of WebAssembly.
    pub wasm_bytes: u64,
    /// Bytes of native code.
    pub text_bytes: u64,
    /// Who sealed it.
    pub sealed: SealedBy,
}

/// Who sealed an artifact, by its own words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SealedBy {
    /// Nobody.
    Nobody,
    /// A user's key file.
    Key,
    /// The owner of this public key, in hexadecimal.
    Signer(String),
}

impl Facts {
    /// Bytes at the beginning of an artifact that [`Facts::read`] needs.
    pub const BYTES: usize = HEAD;

    /// Reads the head; `None` when it is not an artifact's of this format.
    pub fn read(head: &[u8]) -> Option<Facts> {
        if !Artifact::is_artifact(head) || u32_at(head, 8)? != FORMAT {
            return None;
        }
        let switches = u32_at(head, 28)?;
        let code = u32_at(head, 24)?;
        Some(Facts {
            kind: kind_at(head)?,
            this_build: u64_at(head, 16)? == build_hash(),
            arch: Arch::ALL.into_iter().find(|arch| arch.code() == code),
            fuel: switches & 1 != 0,
            epoch: switches & 2 != 0,
            canonicalize_nans: switches & 4 != 0,
            guard_pages: switches & 8 != 0,
            modules: u32_at(head, 48)?,
            wasm_bytes: u64_at(head, 72)?,
            text_bytes: u64_at(head, 88)?,
            sealed: match u32_at(head, 52)? {
                1 => SealedBy::Key,
                2 => SealedBy::Signer(hex(head.get(KEY_ID)?)),
                _ => SealedBy::Nobody,
            },
        })
    }
}

/// The parts of the head that say where things lie.
struct Head {
    kind: Kind,
    modules: usize,
    has_adapters: bool,
    wasm: Range<usize>,
    text: Range<usize>,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Two numbers as a range of the file.
fn range_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let start = usize::try_from(u64_at(bytes, at)?).ok()?;
    let end = start.checked_add(usize::try_from(u64_at(bytes, at + 8)?).ok()?)?;
    (end <= bytes.len()).then_some(start..end)
}

fn kind_at(bytes: &[u8]) -> Option<Kind> {
    match u32_at(bytes, 12)? {
        1 => Some(Kind::Module),
        2 => Some(Kind::Component),
        _ => None,
    }
}

/// The WebAssembly inside, if it is intact.
fn embedded_wasm(bytes: &[u8]) -> Option<(Kind, Arc<[u8]>)> {
    if !Artifact::is_artifact(bytes) {
        return None;
    }
    let wasm = bytes.get(range_at(bytes, 64)?)?;
    let hash: [u8; 32] = bytes.get(WASM_HASH)?.try_into().ok()?;
    (blake3::hash(wasm) == hash).then_some(())?;
    Some((kind_at(bytes)?, wasm.into()))
}

fn module_row(bytes: &[u8], i: usize, head: &Head) -> Option<(Range<usize>, Range<usize>)> {
    let at = HEAD + i * ROW;
    let (tables, text) = (range_at(bytes, at)?, range_at(bytes, at + 16)?);
    let inside = tables.end <= head.text.start && head.text.start <= text.start && text.end <= head.text.end;
    inside.then_some((tables, text))
}

/// May this artifact's code run here? The seal first: until it is found good, nothing else is believed.
fn check(config: &Config, bytes: &[u8], trust: Option<&Trust>) -> Result<Head, Reason> {
    if !Artifact::is_artifact(bytes) {
        return Err(Reason::NotAnArtifact);
    }
    match u32_at(bytes, 8) {
        Some(FORMAT) => {}
        Some(version) => return Err(Reason::OtherFormat(version)),
        None => return Err(Reason::Truncated),
    }
    if bytes.len() < HEAD || u64_at(bytes, 56) != Some(bytes.len() as u64) {
        return Err(Reason::Truncated);
    }
    if let Some(trust) = trust {
        check_seal(bytes, trust)?;
    }
    let number = |at| u64_at(bytes, at).ok_or(Reason::Truncated);
    let short = |at| u32_at(bytes, at).ok_or(Reason::Truncated);
    if number(16)? != build_hash() {
        return Err(Reason::OtherBuild);
    }
    let Some(arch) = Arch::host().filter(|arch| short(24) == Ok(arch.code())) else {
        return Err(Reason::OtherTarget);
    };
    let key = CodeKey::new(config);
    if short(28)? != key.switches() || number(32)? != key.features_hash() {
        return Err(Reason::OtherConfig);
    }
    if !CpuFeatures(number(40)?).is_subset(CpuFeatures::host()) {
        return Err(Reason::OtherCpu);
    }
    let head = || {
        Some(Head {
            kind: kind_at(bytes)?,
            modules: u32_at(bytes, 48)? as usize,
            has_adapters: match u32_at(bytes, 96)? {
                0 => false,
                1 => true,
                _ => return None,
            },
            wasm: range_at(bytes, 64)?,
            text: range_at(bytes, 80)?,
        })
    };
    let head = head().ok_or(Reason::Truncated)?;
    // Data must not share a page with text, which becomes executable.
    let rows = head.modules.checked_add(usize::from(head.has_adapters));
    let rows_end = rows.and_then(|rows| rows.checked_mul(ROW)?.checked_add(HEAD));
    let fits = head.text.start.is_multiple_of(text_align(arch))
        && head.text.end == bytes.len()
        && head.wasm.end <= head.text.start
        && rows_end.is_some_and(|end| end <= head.text.start);
    if fits { Ok(head) } else { Err(Reason::Truncated) }
}

fn check_seal(bytes: &[u8], trust: &Trust) -> Result<(), Reason> {
    let id: [u8; KEY_ID_BYTES] = bytes[KEY_ID].try_into().map_err(|_| Reason::Truncated)?;
    let seal: [u8; SEAL_BYTES] = bytes[SEAL].try_into().map_err(|_| Reason::Truncated)?;
    let parts = Parts { file: bytes, seal: SEAL };
    let good = match u32_at(bytes, 52) {
        Some(1) => {
            let user = || match SealKey::user_path().and_then(|path| SealKey::read(&path)) {
                Ok(Some(key)) => Ok(key),
                Ok(None) => Err(Reason::NoKey("this user has never made an artifact".into())),
                Err(error) => Err(Reason::NoKey(error.to_string())),
            };
            match &trust.key {
                Some(key) if key.id() == id => key.verify(&parts, &seal),
                _ if trust.user => {
                    let key = user()?;
                    if key.id() != id {
                        return Err(Reason::OtherKey);
                    }
                    key.verify(&parts, &seal)
                }
                _ => return Err(Reason::OtherKey),
            }
        }
        Some(2) => match trust.signers.iter().find(|signer| signer.id() == id) {
            Some(signer) => signer.verify(&parts, &seal),
            None => return Err(Reason::Untrusted(hex(&id))),
        },
        _ => return Err(Reason::Unsealed),
    };
    if good { Ok(()) } else { Err(Reason::Damaged) }
}

fn copy(bytes: &[u8]) -> Result<CodeMap> {
    let mut map = CodeMap::new(bytes.len())?;
    map.bytes_mut().copy_from_slice(bytes);
    Ok(map)
}

fn io(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Io, format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<CodeMap> {
    let mut file = File::open(path).map_err(|e| io(path, &e))?;
    let len = file.metadata().map_err(|e| io(path, &e))?.len();
    let len = usize::try_from(len).map_err(|e| io(path, &e))?;
    let mut map = CodeMap::new(len)?;
    // A file that shrinks meanwhile leaves zeros or an error behind, and fails its seal.
    file.read_exact(map.bytes_mut()).map_err(|e| io(path, &e))?;
    Ok(map)
}

/// What a new artifact is made of.
#[cfg(feature = "compile")]
pub(crate) struct Content<'a> {
    pub(crate) kind: Kind,
    pub(crate) arch: Arch,
    pub(crate) cpu: CpuFeatures,
    pub(crate) key: CodeKey,
    pub(crate) wasm: &'a [u8],
    pub(crate) modules: &'a [crate::compile::CompiledModule],
    /// With the calls that they are for.
    pub(crate) adapters: Option<(&'a [AdapterInfo], &'a crate::compile::CompiledModule)>,
}

/// The bytes of an artifact, sealed.
#[cfg(feature = "compile")]
pub(crate) fn assemble(content: &Content<'_>, seal: &Seal) -> Vec<u8> {
    let rows: Vec<_> = content.modules.iter().chain(content.adapters.map(|(_, code)| code)).collect();
    let mut out = vec![0; HEAD + rows.len() * ROW];
    let mut tables = Vec::new();
    for module in &rows {
        tables.push(out.len());
        out.extend_from_slice(&module.tables);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    let wasm_at = out.len();
    out.extend_from_slice(content.wasm);
    let text_at = out.len().next_multiple_of(text_align(content.arch));
    out.resize(text_at, 0);
    for (i, module) in rows.iter().enumerate() {
        // AArch64's `adrp` pairs want text at the start of a 4 KiB page.
        out.resize(out.len().next_multiple_of(SMALL_TEXT_ALIGN), 0);
        let row = [tables[i], module.tables.len(), out.len(), module.text.len()];
        out.extend_from_slice(&module.text);
        for (k, n) in row.into_iter().enumerate() {
            let at = HEAD + i * ROW + k * 8;
            out[at..at + 8].copy_from_slice(&(n as u64).to_le_bytes());
        }
    }
    let (len, text_len) = (out.len(), out.len() - text_at);
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    let (seal_kind, key_id) = match seal {
        Seal::None => (0u32, [0; KEY_ID_BYTES]),
        Seal::Key(key) => (1, key.id()),
        Seal::Sign(key) => (2, key.public().id()),
    };
    put(0, MAGIC);
    put(8, &FORMAT.to_le_bytes());
    put(12, &if content.kind == Kind::Module { 1u32 } else { 2 }.to_le_bytes());
    put(16, &build_hash().to_le_bytes());
    put(24, &content.arch.code().to_le_bytes());
    put(28, &content.key.switches().to_le_bytes());
    put(32, &content.key.features_hash().to_le_bytes());
    put(40, &content.cpu.0.to_le_bytes());
    put(48, &(content.modules.len() as u32).to_le_bytes());
    put(52, &seal_kind.to_le_bytes());
    if let Some((calls, _)) = content.adapters {
        put(96, &1u32.to_le_bytes());
        put(CALLS.start, &calls_hash(calls));
    }
    for (at, n) in [(56, len), (64, wasm_at), (72, content.wasm.len()), (80, text_at), (88, text_len)] {
        put(at, &(n as u64).to_le_bytes());
    }
    put(WASM_HASH.start, blake3::hash(content.wasm).as_bytes());
    put(KEY_ID.start, &key_id);
    let parts = Parts { file: &out, seal: SEAL };
    let sealed = match seal {
        Seal::None => return out,
        Seal::Key(key) => key.seal(&parts),
        Seal::Sign(key) => key.seal(&parts),
    };
    out[SEAL].copy_from_slice(&sealed);
    out
}
