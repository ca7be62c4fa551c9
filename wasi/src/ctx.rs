//! [`Wasi`]: what a host has granted to one guest, and everything the guest has opened since.
//!
//! Nothing is granted by default: no argument, no variable, no directory; standard input is empty, output goes nowhere.

use core::fmt;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mini_wasm_canonical_abi::Own;
use mini_wasm_runtime::survive_file_size_limit;

use crate::allowance::{Allowance, Charge};
use crate::deadline::{self, Deadline, Never};
use crate::filesystem::descriptor::Grant;
use crate::handles::Handles;
use crate::http::client::{Client, Outgoing};
use crate::io::streams::{MemoryInput, MemoryOutput};
use crate::keyvalue::KeyValue;
use crate::preview1::Descriptors;
use crate::random::insecure::Generator;
use crate::sockets::connection::Linger;
use crate::sockets::lookup::Asker;
use crate::sockets::policy::Network;
use crate::sys::path::{Opened, Paths, Resolution};
use crate::sys::withheld::proc_beneath;
use crate::sys::{clock, file};
use crate::table::Table;
use crate::{Stop, allowance};

/// How many resources a guest may hold at once, if the embedder says nothing.
pub const DEFAULT_MAX_RESOURCES: u32 = 65_536;
/// How many bytes all header fields, and strings of requests, may take together, if the embedder says nothing.
pub const DEFAULT_MAX_FIELD_BYTES: usize = 16 * 1024 * 1024;

/// How many bytes the host keeps for a guest, if the embedder says nothing.
pub const DEFAULT_MAX_HOST_MEMORY: usize = 256 * 1024 * 1024;

/// How many bytes one call for random bytes gives, if the embedder says nothing.
pub const DEFAULT_MAX_RANDOM_BYTES: u64 = 64 * 1024 * 1024;
/// How many things a guest may wait for in one call, if the embedder says nothing.
pub const DEFAULT_MAX_POLL: u32 = 16 * 1024;
/// How many files and sockets a guest may have open, if the embedder says nothing.
pub const DEFAULT_MAX_HANDLES: u32 = 4096;

/// Where standard input comes from.
#[derive(Debug, Clone, Default)]
pub enum Stdin {
    /// At its end from the start.
    #[default]
    Null,
    /// The process's own; no more is read from it than the guest asks for.
    Inherit,
    /// Bytes in memory.
    Memory(MemoryInput),
}

/// Where standard output or standard error goes to.
#[derive(Debug, Clone, Default)]
pub enum Output {
    /// Taken and forgotten.
    #[default]
    Null,
    /// The process's own, unbuffered.
    Inherit,
    /// Memory.
    Memory(MemoryOutput),
}

/// What a guest can be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// An address.
    Network,
    /// The lookup of a name.
    Resolve,
    /// A request to a host.
    Http,
    /// A store of keys and values.
    KeyValue,
}

/// Told the first time that something of a kind is refused, and what it was.
pub type Refusal = dyn Fn(Capability, &str) + Send + Sync;

/// A directory that the guest may use.
#[derive(Debug, Clone)]
pub(crate) struct Preopen {
    pub(crate) directory: Arc<OwnedFd>,
    pub(crate) guest: String,
    pub(crate) grant: Grant,
    /// Its path when it was granted.
    host: PathBuf,
}

/// The host's state for one guest: the data of a store, or a part of it. Made by [`Wasi::builder`].
pub struct Wasi {
    pub(crate) table: Table,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) initial_cwd: Option<String>,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    pub(crate) preopens: Vec<Preopen>,
    pub(crate) paths: Paths,
    pub(crate) deadline: Arc<dyn Deadline>,
    /// What the system's monotonic clock showed when this was made.
    pub(crate) epoch: u64,
    pub(crate) insecure: Generator,
    /// Whose names are looked up.
    pub(crate) asker: Asker,
    pub(crate) insecure_seed: (u64, u64),
    /// What the host keeps for the guest.
    pub(crate) memory: Arc<Allowance>,
    /// Fields and request strings of the guest: a part of that.
    pub(crate) field_bytes: Arc<Allowance>,
    /// What the last call gave, until the next gives something.
    given: Charge,
    pub(crate) max_random_bytes: u64,
    pub(crate) max_poll: u32,
    pub(crate) handles: Handles,
    /// A fifo that was opened while the guest was suspended, for the call that it waits for.
    pub(crate) fifo: Option<Opened>,
    pub(crate) network: Network,
    pub(crate) linger: Arc<Linger>,
    /// What sends requests, if any may be sent.
    pub(crate) http: Option<Arc<Client>>,
    pub(crate) config: Vec<(String, String)>,
    pub(crate) keyvalue: Option<KeyValue>,
    refusal: Option<Arc<Refusal>>,
    /// The kinds that have been told.
    refused: Mutex<BTreeSet<Capability>>,
    /// Sockets that preview 1 finds among its descriptors.
    pub(crate) listeners: Vec<Arc<OwnedFd>>,
    /// The descriptors of a guest of preview 1, from its first call on.
    pub(crate) preview1: Option<Descriptors>,
}

impl Wasi {
    /// Begins with nothing granted.
    pub fn builder() -> WasiBuilder {
        WasiBuilder::default()
    }

    /// Sets how long blocking calls may wait from now on.
    pub fn deadline(&mut self, deadline: Arc<dyn Deadline>) {
        self.linger.deadline(deadline.clone());
        self.deadline = deadline;
    }

    /// The guest is over: its resources are dropped, as when this itself is dropped. What it has
    /// written to connections goes to peers that read it within two seconds, and not past the
    /// deadline. For hosts that end their process without dropping this.
    pub fn finish(&mut self) {
        self.table.clear();
    }

    /// Ends a resource that was given as an owned handle, as a guest does with `resource.drop`.
    ///
    /// # Errors
    /// If the handle stands for no resource of this type.
    pub fn resource_drop<T: 'static>(&mut self, handle: Own<T>) -> Result<(), Stop> {
        self.table.take(handle).map(drop)
    }

    /// Tells whoever runs the guest that something was refused, once for each kind.
    pub(crate) fn refused(&self, kind: Capability, what: &str) {
        let first = self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(kind);
        if let (true, Some(refusal)) = (first, &self.refusal) {
            refusal(kind, what);
        }
    }

    /// What the host keeps for the guest, as it is counted.
    pub fn host_memory(&self) -> Arc<Allowance> {
        self.memory.clone()
    }

    /// Whether there is memory for something of about a resource's size: where the interface has an error for that.
    pub(crate) fn has_memory(&self) -> bool {
        self.memory.charged(1024).is_ok()
    }

    /// For work that goes by length: whether it may go on.
    ///
    /// # Errors
    /// `Deadline` when time is over.
    pub(crate) fn over(&self) -> Result<(), Stop> {
        if deadline::is_over(&*self.deadline) { Err(Stop::Deadline) } else { Ok(()) }
    }

    /// Does what may hold the thread for long without waiting for anything: where others need it,
    /// another thread takes its place meanwhile ([`Deadline::hold`]).
    pub(crate) fn holding<T>(&self, work: impl FnOnce() -> T) -> T {
        let (mut work, mut done) = (Some(work), None);
        self.deadline.hold(&mut || done = work.take().map(|work| work()));
        match (done, work) {
            (Some(done), _) => done,
            (None, Some(work)) => work(),
            (None, None) => unreachable!("crash: work that was begun and neither ended nor panicked"),
        }
    }

    /// Charges what a call is about to give the guest, until another one does.
    pub(crate) fn give(&mut self, bytes: usize) -> Result<(), Stop> {
        allowance::resize(&mut self.given, bytes)
    }

    /// How many resources the guest holds.
    pub fn resources(&self) -> u32 {
        self.table.live()
    }
}

impl fmt::Debug for Wasi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasi")
            .field("args", &self.args)
            .field("env", &self.env)
            .field("preopens", &self.preopens)
            .field("resources", &self.table.live())
            .finish_non_exhaustive()
    }
}

/// A directory that cannot be granted.
#[derive(Debug)]
pub struct PreopenError {
    host: PathBuf,
    reason: std::io::Error,
}

impl fmt::Display for PreopenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot open the directory {}: {}", self.host.display(), self.reason)
    }
}

impl std::error::Error for PreopenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// Grants, one by one.
pub struct WasiBuilder {
    args: Vec<String>,
    env: Vec<(String, String)>,
    initial_cwd: Option<String>,
    stdin: Stdin,
    stdout: Output,
    stderr: Output,
    preopens: Vec<Preopen>,
    listeners: Vec<Arc<OwnedFd>>,
    network: Network,
    http: Option<Arc<Client>>,
    config: Vec<(String, String)>,
    keyvalue: Option<KeyValue>,
    refusal: Option<Arc<Refusal>>,
    paths: Paths,
    deadline: Arc<dyn Deadline>,
    max_resources: u32,
    max_field_bytes: usize,
    max_host_memory: usize,
    host_memory: Option<Arc<Allowance>>,
    max_random_bytes: u64,
    max_poll: u32,
    max_handles: u32,
}

impl Default for WasiBuilder {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            env: Vec::new(),
            initial_cwd: None,
            stdin: Stdin::default(),
            stdout: Output::default(),
            stderr: Output::default(),
            preopens: Vec::new(),
            listeners: Vec::new(),
            network: Network::nothing(),
            http: None,
            config: Vec::new(),
            keyvalue: None,
            refusal: None,
            paths: Paths::default(),
            deadline: Arc::new(Never),
            max_resources: DEFAULT_MAX_RESOURCES,
            max_field_bytes: DEFAULT_MAX_FIELD_BYTES,
            max_host_memory: DEFAULT_MAX_HOST_MEMORY,
            host_memory: None,
            max_random_bytes: DEFAULT_MAX_RANDOM_BYTES,
            max_poll: DEFAULT_MAX_POLL,
            max_handles: DEFAULT_MAX_HANDLES,
        }
    }
}

impl fmt::Debug for WasiBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasiBuilder")
            .field("args", &self.args)
            .field("env", &self.env)
            .field("preopens", &self.preopens)
            .finish_non_exhaustive()
    }
}

impl WasiBuilder {
    /// Adds an argument; the first is the program's name.
    pub fn arg(&mut self, arg: impl Into<String>) -> &mut Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl Into<String>>) -> &mut Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable; a later value of the same name takes its place.
    pub fn env(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        put(&mut self.env, name.into(), value.into());
        self
    }

    /// Adds the process's own variables, those that are Unicode.
    pub fn inherit_env(&mut self) -> &mut Self {
        for (name, value) in std::env::vars_os() {
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                self.env(name, value);
            }
        }
        self
    }

    /// Sets the directory that the guest takes relative paths to start from: a path of the guest's.
    pub fn initial_cwd(&mut self, path: impl Into<String>) -> &mut Self {
        self.initial_cwd = Some(path.into());
        self
    }

    /// Sets standard input.
    pub fn stdin(&mut self, stdin: Stdin) -> &mut Self {
        self.stdin = stdin;
        self
    }

    /// Sets standard output.
    pub fn stdout(&mut self, stdout: Output) -> &mut Self {
        self.stdout = stdout;
        self
    }

    /// Sets standard error.
    pub fn stderr(&mut self, stderr: Output) -> &mut Self {
        self.stderr = stderr;
        self
    }

    /// Passes the process's standard input on.
    pub fn inherit_stdin(&mut self) -> &mut Self {
        self.stdin(Stdin::Inherit)
    }

    /// Passes the process's standard output on.
    pub fn inherit_stdout(&mut self) -> &mut Self {
        self.stdout(Output::Inherit)
    }

    /// Passes the process's standard error on.
    pub fn inherit_stderr(&mut self) -> &mut Self {
        self.stderr(Output::Inherit)
    }

    /// Passes the process's three standard streams on.
    pub fn inherit_stdio(&mut self) -> &mut Self {
        self.inherit_stdin().inherit_stdout().inherit_stderr()
    }

    /// Grants the directory `host` under the guest's name `guest`. With `read_only` nothing beneath can be changed
    /// through it.
    ///
    /// What procfs tells of processes is handed to no guest, nor is the memory of the machine (`/dev/mem` and the like) or
    /// what [`withhold`](Self::withhold) names: [`withheld`](Self::withheld) says what of that the grants reach.
    ///
    /// # Errors
    /// If `host` cannot be opened as a directory, or is one that tells of processes.
    pub fn preopen(
        &mut self,
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        read_only: bool,
    ) -> Result<&mut Self, PreopenError> {
        let host = host.as_ref();
        let refused = |reason: std::io::Error| PreopenError { host: host.to_owned(), reason };
        let directory = file::open_host_directory(host).map_err(|error| refused(error.into()))?;
        let status = file::status(&directory).map_err(|error| refused(error.into()))?;
        self.paths.withheld.judge(directory.as_fd(), &status).map_err(|_| {
            refused(std::io::Error::other("what procfs tells of processes is granted to no guest"))
        })?;
        let reaches_withheld = self.paths.withheld.beneath(&directory).is_some();
        let grant = Grant { read_only, reaches_withheld };
        let (directory, guest, host) = (Arc::new(directory), guest.into(), host.to_owned());
        self.preopens.push(Preopen { directory, guest, grant, host });
        Ok(self)
    }

    /// Withholds a file from guests, whatever directory they are granted and whatever name it has there: a key. It cannot be
    /// opened, renamed, removed or given a second name, nor can folders on the way to it be renamed. It need not be there yet.
    ///
    /// # Errors
    /// If a relative path has nothing to start from.
    pub fn withhold(&mut self, file: impl AsRef<Path>) -> std::io::Result<&mut Self> {
        self.paths.withheld.add(std::path::absolute(file)?);
        for preopen in &mut self.preopens {
            preopen.grant.reaches_withheld = self.paths.withheld.beneath(&*preopen.directory).is_some();
        }
        Ok(self)
    }

    /// What the granted directories reach that guests are not handed all the same: sentences for whoever granted them.
    pub fn withheld(&self) -> Vec<String> {
        let mut told = Vec::new();
        for preopen in &self.preopens {
            let host = preopen.host.display();
            if let Some(place) = proc_beneath(&preopen.host) {
                let place = place.display();
                told.push(format!(
                    "{host} reaches procfs ({place}): what that tells of processes is withheld from the guest"
                ));
            }
            if let Some(file) = self.paths.withheld.found_beneath(&*preopen.directory) {
                told.push(format!("{host} reaches {}, which is withheld from the guest", file.display()));
            }
        }
        told
    }

    /// Grants a socket that listens, to guests of preview 1: `sock_accept` takes connections from it. Its descriptor
    /// follows those of the directories.
    ///
    /// # Errors
    /// If the system cannot make it one that does not block.
    pub fn listener(&mut self, listener: std::net::TcpListener) -> std::io::Result<&mut Self> {
        listener.set_nonblocking(true)?;
        self.listeners.push(Arc::new(listener.into()));
        Ok(self)
    }

    /// Grants a part of the network; nothing by default.
    pub fn network(&mut self, network: Network) -> &mut Self {
        self.network = network;
        self
    }

    /// Grants requests to hosts; none by default. All guests of this builder share the connections.
    pub fn http(&mut self, outgoing: &Outgoing) -> &mut Self {
        self.http = Some(outgoing.client());
        self
    }

    /// Adds a value that `wasi:config/store` gives; a later value of the same name takes its place.
    pub fn config(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        put(&mut self.config, name.into(), value.into());
        self
    }

    /// Grants a store of keys and values; none by default. All guests of this builder share it.
    pub fn keyvalue(&mut self, store: KeyValue) -> &mut Self {
        self.keyvalue = Some(store);
        self
    }

    /// Is told the first time that something of each kind is refused to the guest.
    pub fn on_refusal(&mut self, refusal: Arc<Refusal>) -> &mut Self {
        self.refusal = Some(refusal);
        self
    }

    /// Chooses who resolves paths; [`Resolution::Kernel`] by default. For tests of the other.
    pub fn resolution(&mut self, resolution: Resolution) -> &mut Self {
        self.paths.resolution = resolution;
        self
    }

    /// Limits how long blocking calls may wait; for ever by default.
    pub fn deadline(&mut self, deadline: Arc<dyn Deadline>) -> &mut Self {
        self.deadline = deadline;
        self
    }

    /// Limits how many resources the guest may hold at once; [`DEFAULT_MAX_RESOURCES`] by default.
    pub fn max_resources(&mut self, limit: u32) -> &mut Self {
        self.max_resources = limit;
        self
    }

    /// Limits how many bytes all header fields may take together; [`DEFAULT_MAX_FIELD_BYTES`] by default.
    pub fn max_field_bytes(&mut self, limit: usize) -> &mut Self {
        self.max_field_bytes = limit;
        self
    }

    /// Limits how many bytes the host keeps for the guest, whatever they are for: resources, bodies, fields, what calls hand over.
    /// [`DEFAULT_MAX_HOST_MEMORY`] by default; what is beyond is a trap, or an error where the interface has one for it. The engine counts
    /// its part if [`Wasi::host_memory`] is given to the store.
    pub fn max_host_memory(&mut self, limit: usize) -> &mut Self {
        self.max_host_memory = limit;
        self
    }

    /// Lets what is kept for all guests of this builder be part of an allowance, beside the limit that each has; of none by default.
    pub fn host_memory(&mut self, all: &Arc<Allowance>) -> &mut Self {
        self.host_memory = Some(all.clone());
        self
    }

    /// Limits how many bytes one call for random bytes gives; [`DEFAULT_MAX_RANDOM_BYTES`] by default. More is a trap.
    pub fn max_random_bytes(&mut self, limit: u64) -> &mut Self {
        self.max_random_bytes = limit;
        self
    }

    /// Limits how many things the guest may wait for in one call; [`DEFAULT_MAX_POLL`] by default. More is a trap, to preview 1
    /// `nomem`.
    pub fn max_poll(&mut self, limit: u32) -> &mut Self {
        self.max_poll = limit;
        self
    }

    /// Limits how many files and sockets the guest may have open; [`DEFAULT_MAX_HANDLES`] by default. One more is an error that
    /// the guest sees: `quota`, `new-socket-limit`, to preview 1 `mfile`.
    pub fn max_handles(&mut self, limit: u32) -> &mut Self {
        self.max_handles = limit;
        self
    }

    /// The state of one guest. The builder can build more of them; memory streams are then shared.
    pub fn build(&self) -> Wasi {
        survive_file_size_limit();
        let mut insecure = Generator::new();
        let memory = match &self.host_memory {
            Some(all) => all.part("resources of the guest", self.max_host_memory),
            None => Allowance::new("resources of the guest", self.max_host_memory),
        };
        Wasi {
            table: Table::new(self.max_resources, memory.charge()),
            args: self.args.clone(),
            env: self.env.clone(),
            initial_cwd: self.initial_cwd.clone(),
            stdin: self.stdin.clone(),
            stdout: self.stdout.clone(),
            stderr: self.stderr.clone(),
            preopens: self.preopens.clone(),
            paths: self.paths.clone(),
            deadline: self.deadline.clone(),
            epoch: clock::monotonic(),
            insecure_seed: (insecure.next(), insecure.next()),
            insecure,
            asker: Asker::new(),
            field_bytes: memory.part("header fields and request strings", self.max_field_bytes),
            given: memory.charge(),
            memory,
            max_random_bytes: self.max_random_bytes,
            max_poll: self.max_poll,
            handles: Handles::new(self.max_handles),
            fifo: None,
            network: self.network.clone(),
            linger: Linger::new(self.deadline.clone()),
            http: self.http.clone(),
            config: self.config.clone(),
            keyvalue: self.keyvalue.clone(),
            refusal: self.refusal.clone(),
            refused: Mutex::default(),
            listeners: self.listeners.clone(),
            preview1: None,
        }
    }
}

/// Gives a name a value.
fn put(all: &mut Vec<(String, String)>, name: String, value: String) {
    match all.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => all.push((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_with_this_state_can_move_to_another_thread() {
        fn movable<T: Send + 'static>() {}
        movable::<Wasi>();
        movable::<WasiBuilder>();
    }
}
