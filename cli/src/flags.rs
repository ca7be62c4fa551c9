//! The command line: every subcommand and every flag, once. Parsing, help, shell completions and the man page derive from here.
//!
//! Clap's derive rather than its builder: the field that holds a flag's value is the flag's definition, so a flag cannot be
//! declared and then read under another name or type. What a value looks like is [`value`]'s business.
//!
//! Must not know: engines, files, anything that a command then does.

pub(crate) mod value;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mini_wasm_runtime::features::Features;
use mini_wasm_wasi::Unstable;
use mini_wasm_wasi::sockets::policy::NetRule;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
#[cfg(feature = "tools")]
use value::Adapter;
use value::{Directory, KeyValueStore, Preload, Switch, Variable};

/// Runs WebAssembly: components of WASI 0.2 and core modules, interpreted or compiled.
#[derive(Parser, Debug)]
#[command(name = "mini-wasm", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
`mini-wasm [OPTIONS] FILE [ARGS]...` is short for `mini-wasm run [OPTIONS] FILE [ARGS]...`.

Exit status: the guest's own; 134 after a trap, an exhausted limit or the deadline; 2 for wrong usage; 1 for any
other failure.")]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a program
    Run(Run),
    /// Answer HTTP requests with a component that exports wasi:http/incoming-handler
    Serve(Serve),
    /// Compile a program ahead of time
    Aot(Aot),
    /// Run scripts of the official test suites (.wast)
    Wast(Wast),
    /// Check that files are valid modules or components
    Validate(Validate),
    /// Show what a file imports and exports: components as WIT, core modules as a list, artifacts with their seal
    Inspect(Inspect),
    /// Plug components together
    #[cfg(feature = "tools")]
    Compose(Compose),
    /// Make a component of a core module
    #[cfg(feature = "tools")]
    Componentize(Componentize),
    /// Check that a component fits a world
    #[cfg(feature = "tools")]
    Check(Check),
    /// Keep one instance of a component and call its functions, a line each
    Repl(Repl),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page (roff)
    #[command(hide = true)]
    Man,
}

/// Which engine runs guest code.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EngineChoice {
    /// The interpreter: starts at once, compiles nothing
    Interp,
    /// Native code: compiled before the start, or taken from the artifact
    Jit,
    /// The best there is: native code, for now
    Auto,
}

/// Whether native code relies on guard pages behind memories.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum GuardPages {
    /// Where address space is plenty: not under a small `ulimit -v`
    #[default]
    Auto,
    /// In any case; a memory for which there is no address space is an error
    Always,
    /// Not at all: each access is checked by the code itself
    Never,
}

/// What stands behind memories, for every command that runs or compiles.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Guards {
    /// Let guard pages take the place of bounds checks in native code: 4 GiB of address space for
    /// each 32-bit memory
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) guard_pages: GuardPages,
}

/// What may be said about a module's language, for every command that reads one.
#[derive(Args, Debug, Default)]
pub(crate) struct Language {
    /// Allow or refuse a proposal of WebAssembly (`-W help` lists them)
    #[arg(short = 'W', value_name = "FEATURE[=y|n]", value_delimiter = ',', value_parser = value::switch)]
    pub(crate) features: Vec<Switch>,
}

#[derive(Args, Debug)]
#[command(override_usage = "mini-wasm run [OPTIONS] FILE [ARGS]...")]
#[command(after_help = "\
Nothing is granted by default: the guest sees no directory, no variable and no network, only its arguments and the
three standard streams. Options stand before FILE; every word after it is the guest's.")]
pub(crate) struct Run {
    /// The program, then its arguments. FILE is a component, a core module, either as text (.wat), an artifact of
    /// `mini-wasm aot`, or `-` for standard input; what it is follows from its content
    // One list, so that the first word ends our options: clap takes everything after it as it stands.
    #[arg(required = true, trailing_var_arg = true, value_names = ["FILE", "ARGS"], value_hint = clap::ValueHint::FilePath)]
    pub(crate) program: Vec<OsString>,

    #[command(flatten)]
    pub(crate) grants: Grants,

    /// The name the guest is called by, its first argument [default: the last part of FILE]
    #[arg(long, value_name = "NAME")]
    pub(crate) argv0: Option<String>,

    /// Call this export instead of running the program. Of a core module: ARGS are read by its parameters' types, results
    /// are printed one a line. Of a component: `func(1, "two")`, `interface.func()` or `ns:pkg/interface@1.2.3#func()`, its
    /// arguments and its result in WAVE
    #[arg(long, value_name = "CALL")]
    pub(crate) invoke: Option<String>,

    /// Offer `wasi_unstable` too, the forerunner of WASI preview 1, to core modules of before 2020
    #[arg(long)]
    pub(crate) wasi_unstable: bool,

    /// Instantiate another core module first (or an artifact of one) and call its `_initialize`; its exports are importable
    /// under NAME. Repeatable, in order
    #[arg(long = "preload", value_name = "NAME=FILE", value_parser = value::preload)]
    pub(crate) preloads: Vec<Preload>,

    #[command(flatten)]
    pub(crate) limits: Limits,

    #[command(flatten)]
    pub(crate) code: Code,
}

/// What a guest is given, for every command that runs one.
#[derive(Args, Debug, Default)]
pub(crate) struct Grants {
    /// Grant a directory: HOST is its path here, GUEST the path the guest sees (the same if left out), `ro` forbids
    /// changes beneath it. Repeatable
    #[arg(long = "dir", value_name = "HOST[::GUEST[::ro]]", value_parser = value::directory, value_hint = clap::ValueHint::DirPath)]
    pub(crate) directories: Vec<Directory>,

    /// Set an environment variable of the guest; a name alone passes our own value on, if there is one. Repeatable
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = value::variable)]
    pub(crate) variables: Vec<Variable>,

    /// Pass all of our own environment variables on that are Unicode
    #[arg(long)]
    pub(crate) inherit_env: bool,

    /// Grant sockets: with addresses of this rule, or with all if it is left out. A name grants its lookup too, and the
    /// addresses it has then, unless they lead to this machine or its links. IPv6 as `[::1]:80`. Repeatable
    #[arg(long, value_name = "ADDR|CIDR|NAME[:PORT]", num_args = 0..=1, require_equals = true, default_missing_value = "*")]
    pub(crate) allow_net: Vec<NetRule>,

    /// Grant the lookup of a name, or of all if it is left out. Repeatable
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "*")]
    pub(crate) allow_resolve: Vec<String>,

    /// Grant requests to a host, or to all if it is left out. A name is looked up for that, and may not lead to this
    /// machine or its links. Repeatable
    #[arg(long, value_name = "HOST[:PORT]", num_args = 0..=1, require_equals = true, default_missing_value = "*")]
    pub(crate) allow_http: Vec<NetRule>,

    /// Believe the certificates in this PEM file too, beside those of the system or of SSL_CERT_FILE. Repeatable
    #[arg(long = "ca-file", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) ca_files: Vec<PathBuf>,

    /// How large the body of an answer to a request of the guest's may be [default: 4G]; more is an error
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_response: Option<u64>,

    /// How many interim answers (1xx) may come before the answer to a request of the guest's over HTTP/1.1 [default: 64]; more is
    /// an error
    #[arg(long, value_name = "N")]
    pub(crate) max_interim: Option<u32>,

    /// Grant all of the network: sockets, lookups, HTTP
    #[arg(long)]
    pub(crate) inherit_network: bool,

    /// Give a value by its name to programs that import wasi:config/store. Repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = value::setting)]
    pub(crate) config: Vec<Variable>,

    /// Grant a store of keys and values (wasi:keyvalue): in memory, or in a file that is made if it is not there
    #[arg(long = "kv", value_name = "memory|file:PATH", value_parser = value::keyvalue)]
    pub(crate) keyvalue: Option<KeyValueStore>,

    /// Bytes that this store keeps at most [default: 64M]
    #[arg(long = "max-kv", value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_keyvalue: Option<u64>,

    /// Offer what WASI 0.2 itself calls unstable. Repeatable
    #[arg(long, value_name = "FEATURE", value_parser = value::unstable)]
    pub(crate) unstable: Vec<Unstable>,

    /// Run although imports are missing; calling one of them is a trap
    #[arg(long)]
    pub(crate) stub_missing: bool,
}

/// What a guest may use up, for every command that runs one.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Limits {
    /// Stop the guest after this many units of fuel (about one for each operator)
    #[arg(long, value_name = "UNITS")]
    pub(crate) fuel: Option<u64>,

    /// Stop the guest after this long, also when it waits: 100ms, 1.5s, 2m. Compiling does not count (--compile-timeout)
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) timeout: Option<Duration>,

    /// Ceiling on the sum of linear memories, tables, the GC heap with its exceptions, and the stacks of continuations: bytes, or
    /// 64K, 16M, 2G [default: none; of `serve` 512M]. Past it `memory.grow` and `table.grow` give -1, all else traps
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_memory: Option<u64>,

    #[command(flatten)]
    pub(crate) budgets: Budgets,
}

/// What a guest may use up of the host beside processor time and memory: a ceiling on each, whether a flag says so or not.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Budgets")]
pub(crate) struct Budgets {
    /// Handles and resources that the guest may hold [default: 1000000 handles for 65536 resources of the host]
    #[arg(long, value_name = "N")]
    pub(crate) max_handles: Option<u32>,

    /// Files and sockets that the guest may have open [default: 4096]
    #[arg(long, value_name = "N")]
    pub(crate) max_descriptors: Option<u32>,

    /// Things that the guest may wait for in one call [default: 16384]
    #[arg(long, value_name = "N")]
    pub(crate) max_poll: Option<u32>,

    /// Random bytes that one call gives [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_random: Option<u64>,

    /// Bytes that one call may hand to the host [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_call_bytes: Option<u64>,

    /// Bytes that all header fields of the guest may take together [default: 16M]; one set of them has 128K at most
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_header_bytes: Option<u64>,

    /// Bytes of all linear memories, a part of --max-memory [default: no ceiling of their own]
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_linear_memory: Option<u64>,

    /// Elements of all tables, 8 bytes each, a part of --max-memory [default: 10000000]
    #[arg(long, value_name = "N")]
    pub(crate) max_table_elements: Option<u64>,

    /// Bytes of the heap of structs, arrays, exceptions and continuations, a part of --max-memory [default: 1G]
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_gc_heap: Option<u64>,

    /// Continuations that were begun and have not ended [default: 20000]
    #[arg(long, value_name = "N")]
    pub(crate) max_continuations: Option<u32>,

    /// Address space of their stacks [default: 32G]; what they use of it is a part of --max-memory
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_continuation_space: Option<u64>,

    /// Bytes that are kept for instances because of their modules: references to functions, globals, segments [default: 1G]
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_instance_bytes: Option<u64>,

    /// Bytes that the host keeps for the guest beside its memories: resources, bodies, header fields, handles, what calls hand over
    /// [default: 256M; of `serve` 16M for each request]
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_host_memory: Option<u64>,

    /// Instances of core modules [default: 10000]
    #[arg(long, value_name = "N")]
    pub(crate) max_instances: Option<u32>,

    /// Stack of all instances that call each other [default: 4M of native code, 8M interpreted]
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_stack: Option<u64>,
}

/// How a guest's code is made, for every command that runs one.
#[derive(Args, Debug)]
pub(crate) struct Code {
    /// Which engine runs the program
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub(crate) engine: EngineChoice,

    #[command(flatten)]
    pub(crate) compiling: Compiling,

    #[command(flatten)]
    pub(crate) guards: Guards,

    /// Accept artifacts signed by this key (`mini-wasm aot --sign` prints it). Repeatable
    #[arg(long = "trust", value_name = "PUBKEY")]
    pub(crate) trusted: Vec<String>,

    #[command(flatten)]
    pub(crate) language: Language,
}

/// What compiling may take, for every command that compiles.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Compiling {
    /// Interpret the functions that cannot be compiled in this time [default: 6s for each MiB of the file that is begun]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) compile_timeout: Option<Duration>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
A line is a call, as `run --invoke` takes it; `:help` lists what else a line can be. What a call
changes in the instance stays for the next one. A handle that a call returns is given a name, such
as counter-1, which later calls take. Fuel and time are limits of each call. After a trap the
instance is made anew. The guest's own standard input is empty.")]
pub(crate) struct Repl {
    /// A component, binary or text, or an artifact of one
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) grants: Grants,

    #[command(flatten)]
    pub(crate) limits: Limits,

    #[command(flatten)]
    pub(crate) code: Code,
}

#[derive(Args, Debug)]
#[command(after_help = "\
A fresh instance answers each request; `--timeout` (30s if left out), `--fuel` and `--max-memory` hold for each. The first line on
standard error names the URL, then there is a line for each request. SIGTERM and SIGINT end it once everybody who asked has been
answered; exit status 0.")]
pub(crate) struct Serve {
    /// A component, binary or text, or an artifact of one
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// Where to listen: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or a part of it (`8080`, `:8080` and `localhost` are on
    /// this machine only; `0.0.0.0` is for everybody). Port 0 is any that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", value_parser = value::address)]
    pub(crate) addr: core::net::SocketAddr,

    /// How many requests are served at once [default: 1000]; more are answered 503
    #[arg(long, value_name = "N")]
    pub(crate) max_requests: Option<usize>,

    /// How many of these may come from one address, or one IPv6 network of /64 [default: half of them, at least 32]. Raise it
    /// where all requests come through a proxy
    #[arg(long, value_name = "N")]
    pub(crate) max_requests_per_address: Option<usize>,

    /// How many connections are open at once [default: 10000]; more wait to be accepted
    #[arg(long, value_name = "N")]
    pub(crate) max_connections: Option<usize>,

    /// How many of these one address may have [default: half of them, at least 32]; more are closed at once
    #[arg(long, value_name = "N")]
    pub(crate) max_connections_per_address: Option<usize>,

    /// How many of a hundred requests and connections are kept for addresses that have none [default: 5]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) keep_for_new: Option<u8>,

    /// How long a client may take to send the head of a request [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) header_timeout: Option<Duration>,

    /// How long a connection may be open without a request, over HTTP/1.1 and 2 [default: 15s]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) idle_timeout: Option<Duration>,

    /// How long a connection may be open [default: 1h]; then it takes no more requests
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) max_connection_age: Option<Duration>,

    /// How long a request may wait for the rest of its body while another one needs its place [default: 1s]; then it is answered 408
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) body_grace: Option<Duration>,

    /// How long a client that has ended its side of the connection is believed to wait for its answer [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) half_close: Option<Duration>,

    /// Let a request that has begun go on to its end, or to its time-out, also if its client has gone
    #[arg(long)]
    pub(crate) keep_abandoned: bool,

    /// How many requests compute at once, in turns of 10 ms [default: two for each processor]
    #[arg(long, value_name = "N")]
    pub(crate) max_computing: Option<usize>,

    /// How much nicer than the network threads those are that compute, from 0 to 19 as of nice(1) [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=19))]
    pub(crate) niceness: Option<u8>,

    /// How large the body of a request may be [default: 4G]; more is answered 413
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_body: Option<u64>,

    /// How many bytes of a body a client sends in each second that it is waited for [default: 100]; 0: any. The first minute is free
    #[arg(long, value_name = "N")]
    pub(crate) min_body_rate: Option<u32>,

    /// Bytes that are kept for all requests and clients together, beside memories of guests [default: 1G]; more is answered 503
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_total_host_memory: Option<u64>,

    /// The part of these that is kept for clients: heads, and answers that they have not taken [default: 256M]
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_client_memory: Option<u64>,

    /// Bytes of answers that one connection may leave waiting before no more requests are begun on it [default: 1M]
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_connection_memory: Option<u64>,

    /// No line for each request
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) grants: Grants,

    #[command(flatten)]
    pub(crate) limits: Limits,

    #[command(flatten)]
    pub(crate) code: Code,
}

#[derive(Args, Debug)]
pub(crate) struct Aot {
    /// A component or core module, binary or text, or `-` for standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// Where the artifact goes, `-` being standard output; a file appears whole or not at all
    #[arg(short, long, value_name = "OUT", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// The machine to compile for, such as aarch64-unknown-linux-gnu [default: this one]
    #[arg(long, value_name = "TRIPLE")]
    pub(crate) target: Option<String>,

    /// Sign with the secret key in this file (made if there is none) instead of sealing for this user only, and print the
    /// public key, which `run --trust` takes
    #[arg(long, value_name = "KEY", value_hint = clap::ValueHint::FilePath)]
    pub(crate) sign: Option<PathBuf>,

    /// How many threads compile [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// Count fuel in the code, so that `run --fuel` can use it
    #[arg(long)]
    pub(crate) fuel: bool,

    /// Put in the checks by which `run --timeout` stops native code; without them it stops the program by interpreting it
    #[arg(long)]
    pub(crate) epoch: bool,

    #[command(flatten)]
    pub(crate) guards: Guards,

    /// Report progress even if standard error is no terminal
    #[arg(short, long)]
    pub(crate) verbose: bool,

    #[command(flatten)]
    pub(crate) compiling: Compiling,

    #[command(flatten)]
    pub(crate) language: Language,
}

#[derive(Args, Debug)]
pub(crate) struct Wast {
    /// The scripts
    #[arg(required = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,

    /// Which engine runs them
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub(crate) engine: EngineChoice,

    #[command(flatten)]
    pub(crate) guards: Guards,

    /// Name each skipped directive as well
    #[arg(short, long)]
    pub(crate) verbose: bool,

    #[command(flatten)]
    pub(crate) language: Language,
}

#[derive(Args, Debug)]
pub(crate) struct Validate {
    /// Modules or components, binary or text, or `-` for standard input
    #[arg(required = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) language: Language,
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// A component, core module or artifact, or `-` for standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// List what the program can ask for instead, and the flag that grants each
    #[arg(long)]
    pub(crate) permissions: bool,

    /// Show WIT and nothing else: of a component or an artifact of one, the world that a core module carries, a WIT package
    /// (binary, .wit or a folder)
    #[cfg(feature = "tools")]
    #[arg(long)]
    pub(crate) wit: bool,

    /// Accept artifacts signed by this key. Repeatable
    #[arg(long = "trust", value_name = "PUBKEY")]
    pub(crate) trusted: Vec<String>,

    #[command(flatten)]
    pub(crate) language: Language,
}

/// Where a component goes that a command makes.
#[cfg(feature = "tools")]
#[derive(Args, Debug)]
pub(crate) struct Made {
    /// Where the component goes, `-` being standard output; a file appears whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Write text (.wat) instead of a binary
    #[arg(short, long)]
    pub(crate) text: bool,
}

#[cfg(feature = "tools")]
#[derive(Args, Debug)]
#[command(after_help = "\
With --plug: each import of FILE and of the plugs is taken from the first plug behind that exports
it in a fitting type and version. What no plug exports stays an import of the whole; the whole
exports what FILE exports. Without FILE the first plug is that. A component alone with --deps-dir
takes every component in that folder as a plug.

With a script: FILE is in the language of wac. Its packages come from --dep, else from the folder:
`ns:name` is ns/name.wasm, `ns:name@1.2.3` is ns/name/1.2.3.wasm; .wat and folders of WIT do too.")]
pub(crate) struct Compose {
    /// The component that imports, or a script (.wac)
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath, required_unless_present = "plugs")]
    pub(crate) file: Option<PathBuf>,

    /// A component whose exports fill imports. Repeatable, in order
    #[arg(long = "plug", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) plugs: Vec<PathBuf>,

    /// The folder with the script's packages [default: deps]
    #[arg(short, long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) deps_dir: Option<PathBuf>,

    /// A file for one package of the script. Repeatable
    #[arg(long = "dep", value_name = "PACKAGE=FILE", value_parser = value::preload, conflicts_with = "plugs")]
    pub(crate) deps: Vec<Preload>,

    #[command(flatten)]
    pub(crate) made: Made,

    #[command(flatten)]
    pub(crate) language: Language,
}

#[cfg(feature = "tools")]
#[derive(Args, Debug)]
#[command(after_help = "\
A module that imports WASI preview 1 gets the adapter that makes WASI 0.2 of it: `command` if it
exports `_start`, else `reactor`. What else the component imports and exports is its world:
toolchains put it into the module, or --wit and --world name it.")]
pub(crate) struct Componentize {
    /// The core module, binary or text
    #[arg(value_name = "MODULE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// The adapter for the module that NAME stands for, or for WASI preview 1 `command`, `reactor` or `proxy`, which come with
    /// mini-wasm, or `none`. Repeatable
    #[arg(long = "adapt", value_name = "[NAME=]FILE|KIND", value_parser = value::adapter)]
    pub(crate) adapters: Vec<Adapter>,

    /// WIT that describes the component: a folder, a .wit file or a WIT package as binary
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) wit: Option<PathBuf>,

    /// The component's world in that WIT [default: the only one]
    #[arg(long, value_name = "WORLD", requires = "wit")]
    pub(crate) world: Option<String>,

    /// How the module holds strings
    #[arg(long, value_name = "ENCODING", default_value = "utf8", requires = "wit")]
    pub(crate) string_encoding: StringEncoding,

    #[command(flatten)]
    pub(crate) made: Made,

    #[command(flatten)]
    pub(crate) language: Language,
}

/// The string encodings of the Canonical ABI.
#[cfg(feature = "tools")]
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StringEncoding {
    /// UTF-8
    Utf8,
    /// UTF-16
    Utf16,
    /// Latin-1, or UTF-16 where that is not enough
    CompactUtf16,
}

#[cfg(feature = "tools")]
#[derive(Args, Debug)]
#[command(after_help = "\
A component fits a world if it imports nothing that the world does not import and exports
everything that the world exports, in fitting types: then it can stand wherever the world is asked
for. Versions that semantic versioning calls compatible are one (0.2.6 and 0.2.12, not 0.2 and 0.3);
beyond the name the types count, so an older or a newer interface fits if what is used of it is the
same. `wac targets` and `wasm-tools component targets` judge so too.

What a language's library imports counts like any other import: `std` of Rust, for one, always
imports WASI. --wasi allows that for a world that says nothing of it.

Exit status 1 if it does not fit, with a list of what is missing.")]
pub(crate) struct Check {
    /// The component, binary or text
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// The world, such as `wasi:cli/command` [default: the only one of --wit]
    #[arg(long, value_name = "WORLD", required_unless_present = "wit")]
    pub(crate) world: Option<String>,

    /// WIT that the world is in: a folder, a .wit file or a WIT package as binary [default: the worlds of WASI 0.2 that come with
    /// mini-wasm]
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) wit: Option<PathBuf>,

    /// Let the component import what WASI 0.2 has for commands and for HTTP, whether or not the world imports it
    #[arg(long)]
    pub(crate) wasi: bool,

    #[command(flatten)]
    pub(crate) language: Language,
}

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

impl Language {
    /// The proposals that are on.
    pub(crate) fn features(&self) -> Features {
        let mut features = Features::default();
        for Switch { name, on } in &self.features {
            features.set(name, *on).expect("crate::flags::value::switch took names of the list only");
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn words(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    fn run(line: &[&str]) -> Run {
        match CommandLine::try_parse_from(line).map(|line| line.command) {
            Ok(Command::Run(run)) => run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definitions_are_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_flag_and_command_has_a_help_text() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
            for command in command.get_subcommands() {
                assert!(command.get_about().is_some(), "{}", command.get_name());
                check(command);
            }
        }
        check(&CommandLine::command());
    }

    #[test]
    fn what_stands_after_the_file_is_the_guests_whatever_it_looks_like() {
        let run =
            run(&["mini-wasm", "run", "--env", "A=1", "app.wasm", "--env", "B=2", "--", "-x", "--help"]);
        assert_eq!(run.program, words(&["app.wasm", "--env", "B=2", "--", "-x", "--help"]));
        assert_eq!(run.grants.variables.len(), 1);
    }

    #[test]
    fn a_file_may_stand_after_two_dashes() {
        assert_eq!(run(&["mini-wasm", "run", "--", "-odd.wasm", "--"]).program, words(&["-odd.wasm", "--"]));
    }

    #[test]
    fn standard_input_is_a_file() {
        assert_eq!(run(&["mini-wasm", "run", "-", "a"]).program, words(&["-", "a"]));
    }

    #[test]
    fn an_unknown_option_is_not_taken_for_the_file() {
        let error =
            CommandLine::try_parse_from(["mini-wasm", "run", "--enginee", "jit", "app.wasm"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::UnknownArgument);
        assert!(error.to_string().contains("'--engine'"), "{error}");
    }
}
