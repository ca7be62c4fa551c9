//! Where an artifact, or anything else that a command makes, is written to.
//!
//! A file is replaced whole: its new content lies beside it under another name until that is renamed. What is no regular file
//! (a device, a pipe) is written to and stays what it is, a symbolic link keeps leading where it leads, and a descriptor of this
//! process (`/dev/stdout`, `/dev/fd/3`) gets the bytes behind what was written to it before.

use crate::seal::{SealKey, hex, random};
use mini_wasm_runtime::{Error, ErrorKind, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// Writes bytes to where a path leads. A regular file, there already or not, has its old content or the whole new one,
/// whatever happens meanwhile.
///
/// # Errors
/// `Io`.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if SealKey::is_user_key(path) {
        return Err(Error::new(
            ErrorKind::Io,
            format!("{}: it is the key that seals artifacts", path.display()),
        ));
    }
    let written = Place::of(path).and_then(|place| match place {
        Place::Stdout => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes)?;
            stdout.flush()
        }
        Place::Open(path) => OpenOptions::new().append(true).open(path)?.write_all(bytes),
        Place::Special(path) => OpenOptions::new().write(true).open(path)?.write_all(bytes),
        Place::File(path) => replace(&path, bytes),
    });
    written.map_err(|error| Error::new(ErrorKind::Io, format!("{}: {error}", path.display())))
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A regular file, or none yet; the path's last part is no link.
    File(PathBuf),
    /// Something that cannot be replaced, as devices and pipes.
    Special(PathBuf),
    /// A descriptor that this process has open already.
    Open(PathBuf),
    Stdout,
}

impl Place {
    fn of(path: &Path) -> io::Result<Place> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            if let Some(descriptor) = descriptor(&path) {
                return Ok(if descriptor == "1" { Place::Stdout } else { Place::Open(path) });
            }
            match fs::symlink_metadata(&path) {
                Ok(facts) if facts.is_symlink() => {
                    // Beside the link, unless it says where from the root.
                    let target = fs::read_link(&path)?;
                    path = path.parent().unwrap_or(Path::new("")).join(target);
                }
                Ok(facts) if facts.is_file() => return Ok(Place::File(path)),
                Ok(facts) if facts.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
                Ok(_) => return Ok(Place::Special(path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::File(path)),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("there are too many links"))
    }
}

/// The number of the descriptor of this process that a path names.
fn descriptor(path: &Path) -> Option<String> {
    let number = path.file_name()?.to_str()?;
    let folder = fs::canonicalize(path.parent()?).ok()?;
    let mut parts = folder.strip_prefix("/proc").ok()?.iter();
    let process = parts.next()?;
    let is_ours = process.to_str() == Some(&*std::process::id().to_string());
    // `task/7/fd` is the same table, seen from a thread.
    let is_table = folder.ends_with("fd") && parts.next().is_some();
    (is_ours && is_table && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| number.into())
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A name of its own: beside a long one, one that is longer still might not be possible.
    let token = random().map_err(io::Error::other)?;
    let temporary = folder.join(format!(".mini-wasm-{}.new", &hex(&token)[..16]));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        if let Ok(facts) = fs::metadata(path) {
            // Who may read the old file may read the new one.
            file.set_permissions(facts.permissions())?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    match written {
        // A mount point, as containers make of single files, cannot be renamed over.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => fs::write(path, bytes),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("mini-wasm-output-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_is_replaced_and_keeps_its_mode_and_nothing_is_left_beside_it() {
        let folder = folder("file");
        let long = folder.join("x".repeat(250));
        write(&long, b"first").unwrap();
        fs::set_permissions(&long, fs::Permissions::from_mode(0o640)).unwrap();
        let before = File::open(&long).unwrap();
        write(&long, b"second").unwrap();
        assert_eq!(fs::read(&long).unwrap(), b"second");
        assert_eq!(fs::metadata(&long).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(io::read_to_string(before).unwrap(), "first", "who reads the old file reads it whole");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_link_keeps_leading_where_it_leads() {
        let folder = folder("link");
        fs::create_dir(folder.join("inner")).unwrap();
        symlink("inner/next", folder.join("first")).unwrap();
        symlink("../target", folder.join("inner/next")).unwrap();
        // First to what is not there, then to what is.
        for content in [b"new", b"old"] {
            write(&folder.join("first"), content).unwrap();
            assert_eq!(fs::read(folder.join("target")).unwrap(), content);
            assert!(fs::symlink_metadata(folder.join("first")).unwrap().is_symlink());
            assert!(fs::symlink_metadata(folder.join("inner/next")).unwrap().is_symlink());
        }
        symlink("round", folder.join("round")).unwrap();
        assert!(write(&folder.join("round"), b"x").is_err());
        assert!(write(&folder.join("inner"), b"x").is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_no_file_is_written_to_and_stays() {
        write(Path::new("/dev/null"), b"gone").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[test]
    fn a_descriptor_gets_the_bytes_behind_what_it_has() {
        use std::os::fd::AsRawFd;
        let folder = folder("descriptor");
        let mut file = File::create(folder.join("log")).unwrap();
        file.write_all(b"before ").unwrap();
        write(Path::new(&format!("/dev/fd/{}", file.as_raw_fd())), b"after").unwrap();
        assert_eq!(fs::read(folder.join("log")).unwrap(), b"before after");
        assert_eq!(Place::of(Path::new("/dev/stdout")).unwrap(), Place::Stdout);
        assert_eq!(Place::of(Path::new("/proc/self/fd/1")).unwrap(), Place::Stdout);
        fs::remove_dir_all(folder).unwrap();
    }
}
