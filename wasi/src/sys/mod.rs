//! The system below WASI: the only module of this crate that makes system calls (through rustix).
//!
//! What a platform owes, in prose; a port supplies these items and nothing above this folder changes:
//!
//! - `path`: resolution of a guest's relative path *beneath* a directory handle. No lookup may reach anything
//!   outside that directory, whatever `..`, symbolic links or a racing process do. `open` gives a handle to what a
//!   path names; `parent` gives the handle of the directory that holds the last name, and the name; `leaf` does the
//!   same after following symbolic links.
//! - `withheld`: what no guest is handed, whatever it was granted: other processes' memory and keys.
//! - `file`: operations on handles that are already open: positioned and plain reads and writes, append, size, times,
//!   status, sync, advice, reading a directory entry by entry, and the calls that act on one name inside one
//!   directory (make, remove, rename, link, symlink, read a link).
//! - `wait`: waiting for handles to become readable or writable or for a moment to come, never past a [`Deadline`].
//! - `net`: TCP and UDP sockets that never block: make, bind, connect, listen, accept, send, receive, shut down, options.
//! - `clock`: monotonic and wall clock with their resolutions, in nanoseconds.
//! - `entropy`: bytes no one can predict.
//! - `process`: how many descriptors there may be, and the priority of the calling thread.
//! - `stdio`: the process's three standard handles, and whether one is a terminal.
//!
//! Linux is tested. What this module must not know: handles, streams, resources, permissions, error codes of WASI.
//!
//! [`Deadline`]: crate::Deadline

pub(crate) mod clock;
pub(crate) mod entropy;
pub(crate) mod file;
pub(crate) mod net;
pub(crate) mod path;
pub(crate) mod process;
pub(crate) mod stdio;
pub(crate) mod wait;
pub(crate) mod withheld;

pub(crate) use rustix::io::Errno;
