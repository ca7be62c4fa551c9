//! Seals: how an artifact is known to come from somebody who may run native code here.
//!
//! * A keyed hash (BLAKE3) under the user's own key file, made when the first artifact is written: whoever can read the key could
//!   run code as this user anyway.
//! * A signature (Ed25519 over the BLAKE3 hash) by a key that the user names, for artifacts from other machines.
//!
//! Must not know: what the sealed bytes mean.

#[cfg(feature = "compile")]
use ed25519_dalek::Signer;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use mini_wasm_runtime::{Error, ErrorKind, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of a seal in a file, whatever its kind.
pub(crate) const SEAL_BYTES: usize = 64;
/// Bytes that name the key.
pub(crate) const KEY_ID_BYTES: usize = 32;

const MAC_CONTEXT: &str = "mini-wasm artifact seal v1";
const ID_CONTEXT: &str = "mini-wasm artifact seal key id v1";
const SIGN_CONTEXT: &[u8] = b"mini-wasm artifact signature v1";

/// The secret under which this user's artifacts are sealed.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

/// A secret key that signs artifacts.
#[derive(Clone)]
pub struct SignKey(SigningKey);

/// A key whose signatures are accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey(VerifyingKey);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

impl std::fmt::Debug for SignKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignKey(..)")
    }
}

impl Drop for SealKey {
    fn drop(&mut self) {
        self.0 = [0; 32];
        std::hint::black_box(&self.0);
    }
}

fn io(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Io, format!("{}: {error}", path.display()))
}

fn refused(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Artifact, format!("the key file {} is refused: {why}", path.display()))
}

pub(crate) fn random() -> Result<[u8; 32]> {
    use rustix::io::Errno;
    let mut bytes = [0; 32];
    let mut got = 0;
    while got < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[got..], rustix::rand::GetRandomFlags::empty()) {
            Ok(some) => got += some,
            Err(Errno::INTR) => {}
            // Before Linux 3.17, or a filter of system calls forbids it: the device has the same bytes.
            Err(Errno::NOSYS | Errno::PERM) => {
                let device = Path::new("/dev/urandom");
                let read = File::open(device).and_then(|mut device| device.read_exact(&mut bytes[got..]));
                read.map_err(|e| io(device, &e))?;
                break;
            }
            Err(e) => return Err(Error::new(ErrorKind::Io, format!("no random bytes: {e}"))),
        }
    }
    Ok(bytes)
}

impl SealKey {
    /// Where this user's key lies: `$XDG_STATE_HOME/mini-wasm/seal.key`, by default under `~/.local/state`.
    pub fn user_path() -> Result<PathBuf> {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        let state = state.ok_or_else(|| {
            Error::new(
                ErrorKind::Io,
                "no place for the seal key: set HOME or XDG_STATE_HOME, or use a signature",
            )
        })?;
        Ok(state.join("mini-wasm/seal.key"))
    }

    /// This user's key, made if there is none.
    ///
    /// # Errors
    /// `Artifact` when the file exists but others could have written or read it; `Io`.
    pub fn user() -> Result<SealKey> {
        SealKey::at(&SealKey::user_path()?)
    }

    /// The key in a file, made if there is none.
    ///
    /// # Errors
    /// As [`SealKey::user`].
    pub fn at(path: &Path) -> Result<SealKey> {
        if let Some(key) = SealKey::read(path)? {
            return Ok(key);
        }
        if let Some(dir) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| io(dir, &e))?;
        }
        judge_folders(path)?;
        create_secret(path, &random()?)?;
        // Another process may have been first; its key is the one then.
        SealKey::read(path)?.ok_or_else(|| refused(path, "it vanished"))
    }

    /// The key in a file, if there is one.
    ///
    /// # Errors
    /// As [`SealKey::user`].
    pub fn read(path: &Path) -> Result<Option<SealKey>> {
        let bytes = match read_secret(path)? {
            Some(bytes) => bytes,
            None => return Ok(None),
        };
        match <[u8; 32]>::try_from(bytes) {
            Ok(key) => Ok(Some(SealKey(key))),
            Err(bytes) => Err(refused(path, &format!("32 bytes are wanted, it has {}", bytes.len()))),
        }
    }

    /// Whether a path leads to this user's key: nothing else may be written there.
    pub fn is_user_key(path: &Path) -> bool {
        let Ok(key) = SealKey::user_path() else { return false };
        let identity = |path: &Path| fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
        match (identity(path), identity(&key)) {
            (Some(found), Some(key)) => found == key,
            (None, None) => {
                let folder = |path: &Path| fs::canonicalize(path.parent()?).ok();
                path.file_name() == key.file_name() && folder(path).is_some_and(|f| folder(&key) == Some(f))
            }
            _ => false,
        }
    }

    /// A key that lives in this process only.
    pub fn random() -> Result<SealKey> {
        random().map(SealKey)
    }

    pub(crate) fn id(&self) -> [u8; KEY_ID_BYTES] {
        blake3::derive_key(ID_CONTEXT, &self.0)
    }

    #[cfg(feature = "compile")]
    pub(crate) fn seal(&self, parts: &Parts<'_>) -> [u8; SEAL_BYTES] {
        let mut seal = [0; SEAL_BYTES];
        seal[..32].copy_from_slice(self.mac(parts).as_bytes());
        seal
    }

    fn mac(&self, parts: &Parts<'_>) -> blake3::Hash {
        parts.hash(blake3::Hasher::new_keyed(&blake3::derive_key(MAC_CONTEXT, &self.0)))
    }

    pub(crate) fn verify(&self, parts: &Parts<'_>, seal: &[u8; SEAL_BYTES]) -> bool {
        let (mac, rest) = seal.split_at(32);
        let mac: [u8; 32] = mac.try_into().unwrap_or([0; 32]);
        // blake3's comparison takes the same time for every wrong hash.
        self.mac(parts) == blake3::Hash::from_bytes(mac) && rest.iter().all(|&b| b == 0)
    }
}

impl SignKey {
    /// Makes a new key and writes it, as 64 hexadecimal digits, into a new file only its owner may read.
    pub fn create(path: &Path) -> Result<SignKey> {
        let seed = random()?;
        let mut text = hex(&seed);
        text.push('\n');
        if !create_secret(path, text.as_bytes())? {
            return Err(refused(path, "it exists already"));
        }
        Ok(SignKey(SigningKey::from_bytes(&seed)))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// `Artifact` when the file is no key or others may read it; `Io`.
    pub fn read(path: &Path) -> Result<SignKey> {
        let bytes = read_secret(path)?.ok_or_else(|| io(path, &"no such file"))?;
        let seed = std::str::from_utf8(&bytes).ok().and_then(unhex);
        let seed = seed.ok_or_else(|| refused(path, "64 hexadecimal digits are wanted"))?;
        Ok(SignKey(SigningKey::from_bytes(&seed)))
    }

    /// The key that checks its signatures.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    #[cfg(feature = "compile")]
    pub(crate) fn seal(&self, parts: &Parts<'_>) -> [u8; SEAL_BYTES] {
        self.0.sign(&parts.to_sign()).to_bytes()
    }
}

impl PublicKey {
    /// A key from 64 hexadecimal digits, or from a file that holds them.
    pub fn parse(text: &str) -> Result<PublicKey> {
        let digits = match unhex(text) {
            Some(key) => Some(key),
            None => unhex(&fs::read_to_string(text).map_err(|e| io(Path::new(text), &e))?),
        };
        digits.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok()).map(PublicKey).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("{text} is no public key (64 hexadecimal digits)"))
        })
    }

    pub(crate) fn id(&self) -> [u8; KEY_ID_BYTES] {
        self.0.to_bytes()
    }

    pub(crate) fn verify(&self, parts: &Parts<'_>, seal: &[u8; SEAL_BYTES]) -> bool {
        self.0.verify_strict(&parts.to_sign(), &Signature::from_bytes(seal)).is_ok()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0.to_bytes()))
    }
}

/// What is sealed: all bytes of the file, the seal itself counting as zeros.
pub(crate) struct Parts<'a> {
    pub(crate) file: &'a [u8],
    pub(crate) seal: Range<usize>,
}

impl Parts<'_> {
    fn hash(&self, mut hasher: blake3::Hasher) -> blake3::Hash {
        hasher.update(&self.file[..self.seal.start]);
        hasher.update(&[0; SEAL_BYTES]);
        hasher.update(&self.file[self.seal.end..]);
        hasher.finalize()
    }

    fn to_sign(&self) -> Vec<u8> {
        [SIGN_CONTEXT, self.hash(blake3::Hasher::new()).as_bytes()].concat()
    }
}

/// A new name beside a path, for a file that is renamed when it is whole.
fn beside(path: &Path) -> Result<PathBuf> {
    let mut name = path.file_name().ok_or_else(|| io(path, &"is no file name"))?.to_owned();
    name.push(format!(".{}.new", &hex(&random()?)[..16]));
    Ok(path.with_file_name(name))
}

/// Writes a file that only its owner may read, whole or not at all. False when there is one already.
fn create_secret(path: &Path, content: &[u8]) -> Result<bool> {
    let temporary = beside(path)?;
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
    // A link is made only where there is nothing: of two processes one wins, and nobody sees half a key.
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(io(path, &e)),
    }
}

/// Reads a file that nobody else may read or write, nor have put there.
fn read_secret(path: &Path) -> Result<Option<Vec<u8>>> {
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    let mut file: File = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(path, &e)),
    };
    let facts = file.metadata().map_err(|e| io(path, &e))?;
    if !facts.is_file() {
        return Err(refused(path, "it is not a plain file"));
    }
    if facts.uid() != rustix::process::geteuid().as_raw() {
        return Err(refused(path, "it belongs to another user"));
    }
    if facts.mode() & 0o077 != 0 {
        return Err(refused(
            path,
            &format!("others may use it (mode {:o}); chmod 600", facts.mode() & 0o777),
        ));
    }
    judge_folders(path)?;
    let mut bytes = Vec::new();
    Read::take(&mut file, 4096).read_to_end(&mut bytes).map_err(|e| io(path, &e))?;
    Ok(Some(bytes))
}

/// Refuses a key in a place that others can change: who may rename a folder on the way can put a key of his own there.
fn judge_folders(path: &Path) -> Result<()> {
    let whole = std::path::absolute(path).map_err(|e| io(path, &e))?;
    let folder = whole.parent().unwrap_or(&whole);
    let real = fs::canonicalize(folder).map_err(|e| io(folder, &e))?;
    let own = rustix::process::geteuid().as_raw();
    // As named, with symbolic links, and as it really lies.
    for step in folder.ancestors().chain(real.ancestors()) {
        let facts = fs::symlink_metadata(step).map_err(|e| io(step, &e))?;
        if facts.uid() != own && facts.uid() != 0 && !is_unmapped(facts.uid()) {
            return Err(refused(path, &format!("{} belongs to another user", step.display())));
        }
        // A group of the user's own, which has his number, is nobody else.
        let private = facts.uid() == own && facts.gid() == own;
        let others = if private { 0o002 } else { 0o022 };
        let sticky = facts.mode() & 0o1000 != 0;
        if facts.is_dir() && facts.mode() & others != 0 && !sticky {
            let (step, mode) = (step.display(), facts.mode() & 0o7777);
            return Err(refused(path, &format!("others may change {step} (mode {mode:o}); chmod go-w")));
        }
    }
    Ok(())
}

/// Whether an owner is one that a user namespace has no number for: mostly the system's root, outside of a container.
fn is_unmapped(owner: u32) -> bool {
    let number = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let map = number("/proc/self/uid_map");
    let all = map.split_whitespace().eq(["0", "0", "4294967295"]);
    !map.is_empty() && !all && number("/proc/sys/kernel/overflowuid").trim().parse() == Ok(owner)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let text = text.trim().as_bytes();
    let mut bytes = [0; 32];
    (text.len() == 64 && text.is_ascii()).then_some(())?;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn directory(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("mini-wasm-seal-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn the_key_is_made_once_and_only_its_owner_may_read_it() {
        let dir = directory("once");
        let path = dir.join("state/seal.key");
        assert!(SealKey::read(&path).unwrap().is_none());
        let first = SealKey::at(&path).unwrap();
        assert_eq!(first.0, SealKey::at(&path).unwrap().0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.join("state")).unwrap().count(), 1, "no temporary file is left");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn those_who_race_for_the_first_key_agree_on_one() {
        let dir = directory("race");
        let path = dir.join("seal.key");
        fs::create_dir_all(&dir).unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let made: Vec<_> = (0..8).map(|_| scope.spawn(|| SealKey::at(&path).unwrap().0)).collect();
            made.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = directory("mode");
        let path = dir.join("seal.key");
        SealKey::at(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(SealKey::at(&path).unwrap_err().kind(), ErrorKind::Artifact, "{mode:o}");
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_key_in_a_folder_that_others_may_change_is_refused() {
        let dir = directory("folders");
        let path = dir.join("outer/inner/seal.key");
        SealKey::at(&path).unwrap();
        for step in ["outer", "outer/inner"] {
            let set = |mode| fs::set_permissions(dir.join(step), fs::Permissions::from_mode(mode)).unwrap();
            for (mode, refused) in
                [(0o777, true), (0o702, true), (0o1777, false), (0o755, false), (0o700, false)]
            {
                set(mode);
                assert_eq!(SealKey::at(&path).is_err(), refused, "{step} {mode:o}");
                assert_eq!(SealKey::read(&path).is_err(), refused, "{step} {mode:o}");
            }
        }
        // Not even made there.
        let other = dir.join("outer/other.key");
        fs::set_permissions(dir.join("outer"), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(SealKey::at(&other).unwrap_err().kind(), ErrorKind::Artifact);
        assert!(!other.exists());
        // By way of a link: what counts is where it leads, too.
        std::os::unix::fs::symlink(dir.join("outer/inner"), dir.join("link")).unwrap();
        assert!(SealKey::read(&dir.join("link/seal.key")).is_err());
        fs::set_permissions(dir.join("outer"), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(SealKey::read(&dir.join("link/seal.key")).is_ok());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_key_in_a_folder_of_another_user_is_refused() {
        // Only root can give something away.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = directory("owner");
        let path = dir.join("theirs/seal.key");
        SealKey::at(&path).unwrap();
        std::os::unix::fs::chown(dir.join("theirs"), Some(12_345), None).unwrap();
        let error = SealKey::at(&path).unwrap_err();
        assert!(error.to_string().contains("belongs to another user"), "{error}");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_key_of_the_wrong_length_or_behind_a_link_is_refused() {
        let dir = directory("shape");
        let path = dir.join("seal.key");
        SealKey::at(&path).unwrap();
        let link = dir.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(SealKey::read(&link).is_err());
        fs::write(&path, [1; 31]).unwrap();
        assert!(SealKey::read(&path).is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_signing_key_comes_back_from_its_file() {
        let dir = directory("sign");
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("sign.key");
        let key = SignKey::create(&path).unwrap();
        assert!(SignKey::create(&path).is_err(), "never overwritten");
        let public = SignKey::read(&path).unwrap().public();
        assert_eq!(public, key.public());
        assert_eq!(PublicKey::parse(&public.to_string()).unwrap(), public);
        assert!(PublicKey::parse("no key").is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
