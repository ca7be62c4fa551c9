//! What no grant hands out: what procfs tells of processes, the machine's memory, and files that the embedder withholds.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::types::{ErrorCode, NewTimestamp, OpenFlags};
use mini_wasm_wasi::{Resolution, Wasi};

use crate::sandbox::{CREATE, DIRECTORY, Guest, NO_FOLLOW, NONE, READ, Sandbox, TRUNCATE, WRITE, both};

const DENIED: Option<ErrorCode> = Some(ErrorCode::NotPermitted);

fn granted(host: &Path, read_only: bool, resolution: Resolution) -> Guest {
    let mut builder = Wasi::builder();
    builder.resolution(resolution).preopen(host, "/", read_only).unwrap();
    Guest::of(builder.build())
}

/// What tells of a process, by the paths beneath procfs that lead to it.
fn of_processes() -> Vec<String> {
    let own = std::process::id();
    let files =
        ["mem", "environ", "maps", "cmdline", "status", "auxv", "pagemap", "mountinfo", "fd", "task", "ns"];
    let magic = ["cwd", "root", "exe", "fd/0", "ns/mnt"];
    let mut paths = Vec::new();
    for process in ["self".to_owned(), "thread-self".to_owned(), own.to_string(), "1".to_owned()] {
        paths.extend(files.iter().chain(&magic).map(|file| format!("{process}/{file}")));
        paths.push(process);
    }
    paths.push(format!("{own}/task/{own}/mem"));
    paths.push(format!("self/task/../../{own}/mem"));
    paths.push("net/tcp".to_owned());
    paths.push("mounts".to_owned());
    paths
}

fn refuses_processes(guest: &mut Guest, before: &str, read_only: bool) {
    for path in of_processes() {
        let path = format!("{before}{path}");
        for (open, flags) in
            [(NONE, READ), (NONE, WRITE), (NONE, READ | WRITE), (DIRECTORY, READ), (CREATE, WRITE)]
        {
            assert!(guest.open(&path, open, flags).is_err(), "{path} {open:?} {flags:?}");
        }
        let dir =
            descriptor::open_at(&mut guest.wasi, guest.dir.borrow(), NO_FOLLOW, path.clone(), NONE, READ);
        assert!(dir.unwrap().is_err(), "{path}");
    }
    for path in ["self/mem", "self/environ", "thread-self/mem", "self/task", "self/fd", "1/status"] {
        let path = format!("{before}{path}");
        assert_eq!(guest.open(&path, NONE, READ).err(), DENIED, "{path}");
        assert_eq!(guest.stat(NO_FOLLOW, &path).err(), DENIED, "{path}");
        if !read_only {
            assert_eq!(guest.link(NO_FOLLOW, &path, "x").err(), DENIED, "{path}");
            assert_eq!(guest.rename(&path, "x").err(), DENIED, "{path}");
        }
    }
    for path in ["sys/kernel/core_pattern", "sysrq-trigger", "kcore", "kallsyms", "sys"] {
        let path = format!("{before}{path}");
        assert!(guest.open(&path, NONE, READ).is_err(), "{path}");
        assert!(guest.open(&path, NONE, WRITE).is_err(), "{path}");
    }
    // What is of the whole system is there.
    let read = guest.read(&format!("{before}meminfo")).unwrap();
    assert!(read.starts_with(b"MemTotal"), "{read:?}");
    assert!(guest.list(&format!("{before}.")).unwrap().contains(&"uptime".to_owned()));
}

#[test]
fn a_grant_that_reaches_procfs_does_not_reach_processes() {
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        for read_only in [true, false] {
            refuses_processes(&mut granted(Path::new("/proc"), read_only, resolution), "", read_only);
            refuses_processes(&mut granted(Path::new("/"), read_only, resolution), "proc/", read_only);
        }
    }
}

#[test]
fn a_process_cannot_be_granted_at_all() {
    for path in
        ["/proc/self", "/proc/self/fd", "/proc/self/task", "/proc/self/map_files", "/proc/sys", "/proc/1"]
    {
        let error = Wasi::builder().preopen(path, "/", true).err();
        assert!(error.is_some_and(|error| error.to_string().contains(path)), "{path}");
    }
    let granted = |path: &str| Wasi::builder().preopen(path, "/", true).unwrap().withheld();
    for path in ["/proc", "/"] {
        let told = granted(path);
        assert!(matches!(&told[..], [one] if one.contains("procfs (/proc)")), "{told:?}");
    }
    assert_eq!(granted("/usr"), Vec::<String>::new());
}

#[test]
fn the_memory_of_the_machine_is_no_device_of_a_guest() {
    let mut guest = granted(Path::new("/dev"), false, Resolution::Kernel);
    assert_eq!(guest.read("null"), Ok(Vec::new()));
    for path in ["mem", "port", "kmem"] {
        if Path::new("/dev").join(path).exists() {
            assert_eq!(guest.stat(NO_FOLLOW, path).err(), DENIED, "{path}");
        }
    }
    // As root another name for it can be made anywhere.
    let sandbox = Sandbox::new();
    let node = Command::new("mknod").arg(sandbox.inside("innocent")).args(["c", "1", "1"]).status();
    if node.is_ok_and(|status| status.success()) {
        let mut guest = sandbox.guest(Resolution::Kernel, true);
        // Not every kernel has the device behind the number.
        assert!(guest.open("innocent", NONE, READ).is_err());
        assert_eq!(guest.stat(NO_FOLLOW, "innocent").err(), DENIED);
    }
}

/// Set in a process that has mounts of its own: procfs where nobody looks for it.
const MOUNTED: &str = "MINI_WASM_TEST_MOUNTED";

#[test]
fn nor_by_a_mount_at_another_place() {
    if let Some(base) = std::env::var_os(MOUNTED).map(PathBuf::from) {
        for resolution in [Resolution::Kernel, Resolution::Walk] {
            let mut guest = granted(&base, false, resolution);
            for path in [
                "own/mem",
                "own/environ",
                "own/task",
                "own",
                "memory",
                "whole/self/mem",
                "whole/meminfo",
                "f",
            ] {
                assert_eq!(guest.open(path, NONE, READ).err(), DENIED, "{path}");
                assert!(guest.open(path, NONE, WRITE).is_err(), "{path}");
            }
            // What was mounted over a file that is harmless by its name.
            let mut guest = granted(Path::new("/proc"), false, resolution);
            assert_eq!(guest.open("meminfo", NONE, READ).err(), DENIED);
            assert!(guest.read("uptime").is_ok());
        }
        return;
    }
    let sandbox = Sandbox::new();
    let base = sandbox.inside("");
    for folder in ["own", "whole"] {
        fs::create_dir(base.join(folder)).unwrap();
    }
    for file in ["memory", "f"] {
        fs::write(base.join(file), "").unwrap();
    }
    // The process that mounts becomes the one that is tested, so its own folder stays its own.
    let script = "cd \"$1\" && mount --bind /proc/$$ own && mount --bind /proc/$$/mem memory && \
        mount --bind /proc/$$/environ f && mount -t proc proc whole && mount --bind /proc/$$/mem /proc/meminfo && \
        exec \"$2\" --exact withheld::nor_by_a_mount_at_another_place --nocapture";
    let can = Command::new("unshare").args(["--mount", "true"]).status();
    if !can.is_ok_and(|status| status.success()) {
        return;
    }
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(&base)
        .arg(std::env::current_exe().unwrap())
        .env(MOUNTED, &base)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

/// A sandbox with a key, and a guest of its folder.
struct Keyed {
    key: PathBuf,
    guest: Guest,
}

impl Keyed {
    fn new(sandbox: &Sandbox, resolution: Resolution) -> Self {
        let key = sandbox.inside("state/mini-wasm/seal.key");
        fs::create_dir_all(key.parent().unwrap()).unwrap();
        Self::make(&key, b"0123456789abcdef0123456789abcdef");
        let mut builder = Wasi::builder();
        builder.resolution(resolution).preopen(sandbox.inside(""), "/", false).unwrap();
        builder.withhold(&key).unwrap();
        let told = builder.withheld();
        assert!(matches!(&told[..], [one] if one.contains("seal.key")), "{told:?}");
        Self { key, guest: Guest::of(builder.build()) }
    }

    fn make(key: &Path, content: &[u8]) {
        fs::write(key, content).unwrap();
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

const KEY: &str = "state/mini-wasm/seal.key";

#[test]
fn a_withheld_file_is_not_opened_cut_renamed_or_removed_under_any_of_its_names() {
    both(|sandbox, resolution| {
        let Keyed { key, mut guest } = Keyed::new(sandbox, resolution);
        fs::hard_link(&key, sandbox.inside("second")).unwrap();
        symlink("state/mini-wasm/seal.key", sandbox.inside("link")).unwrap();
        let flags: [(OpenFlags, _); 5] =
            [(NONE, READ), (NONE, WRITE), (TRUNCATE, WRITE), (TRUNCATE, READ), (CREATE | TRUNCATE, WRITE)];
        for path in [KEY, "second", "link", "state/../second", "state/mini-wasm/../mini-wasm/seal.key"] {
            for (open, flags) in flags {
                assert_eq!(guest.open(path, open, flags).err(), DENIED, "{path} {open:?}");
            }
        }
        let times = NewTimestamp::Now;
        let dir = guest.dir.borrow();
        let set = descriptor::set_times_at(&mut guest.wasi, dir, NO_FOLLOW, KEY.into(), times, times);
        assert_eq!(set.unwrap().err(), DENIED);
        guest.write("mine", b"abc").unwrap();
        for (old, new) in
            [(KEY, "x"), ("mine", KEY), ("state", "y"), ("state/mini-wasm", "z"), ("mine", "second")]
        {
            assert_eq!(guest.rename(old, new).err(), DENIED, "{old} to {new}");
        }
        for path in [KEY, "second"] {
            assert_eq!(guest.unlink(path).err(), DENIED, "{path}");
            assert_eq!(guest.link(NO_FOLLOW, path, "third").err(), DENIED, "{path}");
        }
        assert_eq!(fs::read(&key).unwrap().len(), 32, "nothing has happened to it");
        // Others are nobody's concern, next to it and private ones too.
        guest.write("state/mini-wasm/other", b"abc").unwrap();
        fs::set_permissions(sandbox.inside("mine"), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(guest.read("mine").unwrap(), b"abc");
        assert_eq!(guest.rename("state/mini-wasm/other", "mine"), Ok(()));
        assert_eq!(guest.list("state/mini-wasm").unwrap(), ["seal.key"]);
    });
}

#[test]
fn a_withheld_file_that_is_replaced_or_made_later_is_withheld_too() {
    both(|sandbox, resolution| {
        let Keyed { key, mut guest } = Keyed::new(sandbox, resolution);
        fs::remove_file(&key).unwrap();
        // Where there is none, no guest makes one.
        guest.write("mine", b"abc").unwrap();
        for open in [CREATE, CREATE | TRUNCATE] {
            assert_eq!(guest.open(KEY, open, WRITE).err(), DENIED);
        }
        assert_eq!(guest.rename("mine", KEY).err(), DENIED);
        assert_eq!(guest.link(NO_FOLLOW, "mine", KEY).err(), DENIED);
        assert_eq!(guest.symlink("../../mine", KEY).err(), DENIED);
        assert_eq!(guest.mkdir(KEY).err(), DENIED);
        Keyed::make(&key, b"another");
        assert_eq!(guest.open(KEY, NONE, READ).err(), DENIED);
        // Nor a folder on the way.
        fs::remove_dir_all(sandbox.inside("state/mini-wasm")).unwrap();
        assert_eq!(guest.mkdir("state/mini-wasm").err(), DENIED);
        assert_eq!(guest.mkdir("state/other"), Ok(()));
        assert_eq!(guest.rename("state/other", "state/mini-wasm").err(), DENIED);
    });
}
