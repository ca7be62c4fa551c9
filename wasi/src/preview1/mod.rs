//! WASI preview 1 (`wasi_snapshot_preview1`, [witx]) for core modules, and its forerunner `wasi_unstable`.
//!
//! All 46 functions stand in one list below, from which linking, [`FUNCTIONS`] and the check against the official list
//! derive. They work on what WASI 0.2 works on here: descriptors, streams, paths and clocks are those of the sibling
//! modules, so a grant, a limit or a check has one place for both.
//!
//! Rights: a call is `notcapable` if the guest has given up the right to it (`fd_fdstat_set_rights`), there or on a directory that led
//! there. A right that `path_open` was not asked for is not missed, as in most hosts of today: programs that name only some of those
//! they use are common, and a guest could have asked for all. Whether a file can be read and written is how it was opened, and `badf`
//! else. What the host has not granted is another matter: a change beneath a read-only directory is
//! `rofs`, a path that leaves its directory `perm`. Many programs count on directories that claim every right, as those of
//! other hosts do.
//!
//! Must not know: paths of the host, command lines.
//!
//! [witx]: https://github.com/WebAssembly/WASI/tree/wasi-0.1

mod descriptors;
mod errno;
mod fd;
mod memory;
mod path;
mod poll;
mod readdir;
mod sock;
mod system;
mod types;

pub(crate) use descriptors::Descriptors;
use descriptors::Entry;
pub use errno::Errno;
use errno::Fault;
use memory::Guest;
use mini_wasm_runtime::types::ValType;
use mini_wasm_runtime::{Caller, Error, Extern, Linker, Result};

use crate::{Stop, Wasi};

/// The name that modules import the functions under.
pub const SNAPSHOT: &str = "wasi_snapshot_preview1";
/// The name of its forerunner, whose functions differ in `fd_seek`, `filestat` and `poll_oneoff`.
pub const UNSTABLE: &str = "wasi_unstable";

/// Which of the two a module was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edition {
    Snapshot,
    Unstable,
}

/// One call: the caller's memory and what it has been granted.
struct Call<'c> {
    guest: Guest<'c>,
    wasi: &'c mut Wasi,
    edition: Edition,
}

impl Call<'_> {
    /// The open files of the guest; the standard streams and the granted directories at first.
    fn descriptors(&mut self) -> Result<&mut Descriptors, Stop> {
        if self.wasi.preview1.is_none() {
            self.wasi.preview1 = Some(Descriptors::new(self.wasi)?);
        }
        match &mut self.wasi.preview1 {
            Some(descriptors) => Ok(descriptors),
            None => unreachable!("crash: they have just been made"),
        }
    }

    fn entry(&mut self, fd: u32) -> Outcome<&mut Entry> {
        Ok(self.descriptors()?.entry(fd)?)
    }
}

/// How a function ends: well, with an error code, or not at all.
type Outcome<T> = core::result::Result<T, Fault>;

/// A function of preview 1 as core WebAssembly sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its parameters.
    pub params: &'static [ValType],
    /// Whether it gives an `errno`; `proc_exit` does not return.
    pub returns: bool,
}

macro_rules! functions {
    ($($module:ident::$name:ident($($param:ident: $ty:ident),*) $(-> $never:tt)?;)*) => {
        /// All functions.
        pub const FUNCTIONS: &[Function] = &[$(Function {
            name: stringify!($name),
            params: &[$(functions!(@type $ty)),*],
            returns: functions!(@returns $($never)?),
        }),*];

        fn link<T: 'static>(
            linker: &mut Linker<T>,
            wasi: fn(&mut T) -> &mut Wasi,
            module: &str,
            edition: Edition,
        ) -> Result<()> {
            $(if functions!(@is_in edition $name) {
                functions!(@link linker wasi module edition $module $name ($($param: $ty),*) $($never)?);
            })*
            Ok(())
        }
    };
    (@type u32) => { ValType::I32 };
    (@type $long:ident) => { ValType::I64 };
    (@returns) => { true };
    (@returns !) => { false };
    // `wasi_unstable` was closed before this one came.
    (@is_in $edition:ident sock_accept) => { $edition == Edition::Snapshot };
    (@is_in $edition:ident $name:ident) => { true };
    (@link $linker:ident $wasi:ident $module_name:ident $edition:ident $module:ident $name:ident ($($param:ident: $ty:ident),*)) => {
        $linker.func_wrap($module_name, stringify!($name), move |mut caller: Caller<'_, T>, $($param: $ty),*| -> Result<u32> {
            enter(&mut caller, $wasi, $edition, stringify!($name), |call| $module::$name(call, $($param),*))
        })?;
    };
    (@link $linker:ident $wasi:ident $module_name:ident $edition:ident $module:ident $name:ident ($($param:ident: $ty:ident),*) !) => {
        $linker.func_wrap($module_name, stringify!($name), move |mut caller: Caller<'_, T>, $($param: $ty),*| -> Result<()> {
            enter(&mut caller, $wasi, $edition, stringify!($name), |call| $module::$name(call, $($param),*)).map(|_| ())
        })?;
    };
}

functions! {
    system::args_get(argv: u32, argv_buf: u32);
    system::args_sizes_get(argc: u32, argv_buf_size: u32);
    system::environ_get(environ: u32, environ_buf: u32);
    system::environ_sizes_get(environc: u32, environ_buf_size: u32);
    system::clock_res_get(id: u32, resolution: u32);
    system::clock_time_get(id: u32, precision: u64, time: u32);
    fd::fd_advise(fd: u32, offset: u64, len: u64, advice: u32);
    fd::fd_allocate(fd: u32, offset: u64, len: u64);
    fd::fd_close(fd: u32);
    fd::fd_datasync(fd: u32);
    fd::fd_fdstat_get(fd: u32, stat: u32);
    fd::fd_fdstat_set_flags(fd: u32, flags: u32);
    fd::fd_fdstat_set_rights(fd: u32, rights_base: u64, rights_inheriting: u64);
    fd::fd_filestat_get(fd: u32, stat: u32);
    fd::fd_filestat_set_size(fd: u32, size: u64);
    fd::fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32);
    fd::fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread: u32);
    fd::fd_prestat_get(fd: u32, prestat: u32);
    fd::fd_prestat_dir_name(fd: u32, path: u32, path_len: u32);
    fd::fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten: u32);
    fd::fd_read(fd: u32, iovs: u32, iovs_len: u32, nread: u32);
    readdir::fd_readdir(fd: u32, buf: u32, buf_len: u32, cookie: u64, bufused: u32);
    fd::fd_renumber(fd: u32, to: u32);
    fd::fd_seek(fd: u32, offset: i64, whence: u32, new_offset: u32);
    fd::fd_sync(fd: u32);
    fd::fd_tell(fd: u32, offset: u32);
    fd::fd_write(fd: u32, iovs: u32, iovs_len: u32, nwritten: u32);
    path::path_create_directory(fd: u32, path: u32, path_len: u32);
    path::path_filestat_get(fd: u32, flags: u32, path: u32, path_len: u32, stat: u32);
    path::path_filestat_set_times(fd: u32, flags: u32, path: u32, path_len: u32, accessed: u64, modified: u64, fst_flags: u32);
    path::path_link(old_fd: u32, old_flags: u32, old_path: u32, old_path_len: u32, new_fd: u32, new_path: u32, new_path_len: u32);
    path::path_open(fd: u32, dirflags: u32, path: u32, path_len: u32, oflags: u32, rights_base: u64, rights_inheriting: u64, fdflags: u32, opened: u32);
    path::path_readlink(fd: u32, path: u32, path_len: u32, buf: u32, buf_len: u32, bufused: u32);
    path::path_remove_directory(fd: u32, path: u32, path_len: u32);
    path::path_rename(fd: u32, old_path: u32, old_path_len: u32, new_fd: u32, new_path: u32, new_path_len: u32);
    path::path_symlink(old_path: u32, old_path_len: u32, fd: u32, new_path: u32, new_path_len: u32);
    path::path_unlink_file(fd: u32, path: u32, path_len: u32);
    poll::poll_oneoff(subscriptions: u32, events: u32, nsubscriptions: u32, nevents: u32);
    system::proc_exit(code: u32) -> !;
    system::proc_raise(signal: u32);
    system::sched_yield();
    system::random_get(buf: u32, buf_len: u32);
    sock::sock_accept(fd: u32, flags: u32, accepted: u32);
    sock::sock_recv(fd: u32, iovs: u32, iovs_len: u32, ri_flags: u32, nread: u32, ro_flags: u32);
    sock::sock_send(fd: u32, iovs: u32, iovs_len: u32, si_flags: u32, nwritten: u32);
    sock::sock_shutdown(fd: u32, how: u32);
}

/// Links all functions under [`SNAPSHOT`] for stores whose data has a [`Wasi`], which `wasi` finds in it.
///
/// Functions work on the memory that the calling instance exports as `memory`.
///
/// # Errors
/// `Usage` if the linker has one of the names already and allows no shadowing.
pub fn add_to_linker<T: 'static>(linker: &mut Linker<T>, wasi: fn(&mut T) -> &mut Wasi) -> Result<()> {
    link(linker, wasi, SNAPSHOT, Edition::Snapshot)
}

/// Links the functions of the forerunner under [`UNSTABLE`], for programs of before 2020. Off unless asked for: one and the same
/// type means another layout there.
///
/// # Errors
/// As for [`add_to_linker`].
pub fn add_unstable_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    wasi: fn(&mut T) -> &mut Wasi,
) -> Result<()> {
    link(linker, wasi, UNSTABLE, Edition::Unstable)
}

/// The way into every function: finds memory and grants, and says how it ended.
fn enter<T: 'static>(
    caller: &mut Caller<'_, T>,
    wasi: fn(&mut T) -> &mut Wasi,
    edition: Edition,
    name: &'static str,
    function: impl FnOnce(&mut Call<'_>) -> Outcome<()>,
) -> Result<u32> {
    let memory = caller.export("memory").and_then(Extern::memory);
    let (guest, data) = match memory {
        Some(memory) => {
            let (bytes, data) = memory.bytes_and_data_mut(caller)?;
            (Guest::new(bytes), data)
        }
        None => (Guest::none(), caller.data_mut()),
    };
    match function(&mut Call { guest, wasi: wasi(data), edition }) {
        Ok(()) => Ok(u32::from(Errno::Success as u16)),
        Err(Fault::Errno(errno)) => Ok(u32::from(errno as u16)),
        Err(Fault::Stop(stop @ Stop::Exit(_))) => Err(stop.into()),
        Err(Fault::Stop(stop)) => Err(Error::from(stop).context(format!("{SNAPSHOT}::{name}"))),
    }
}
