//! The commands that damaged files are given to, once: what each takes, and its words.

/// Kinds of files that commands read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A core module, binary.
    Module,
    /// A component, binary.
    Component,
    Artifact,
    /// Text of a module or component.
    Wat,
    Wast,
    Wit,
    Wac,
}

impl Kind {
    pub(super) const ALL: [Kind; 7] =
        [Kind::Module, Kind::Component, Kind::Artifact, Kind::Wat, Kind::Wast, Kind::Wit, Kind::Wac];

    /// The ending of a file's name.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Kind::Module | Kind::Component => "wasm",
            Kind::Artifact => "cwasm",
            Kind::Wat => "wat",
            Kind::Wast => "wast",
            Kind::Wit => "wit",
            Kind::Wac => "wac",
        }
    }

    pub(super) fn is_text(self) -> bool {
        !matches!(self, Kind::Module | Kind::Component | Kind::Artifact)
    }
}

/// A command line. FILE stands for the damaged file, WHOLE for a valid one of the kind `whole`, OUT for a file to be written,
/// CALL for a call of a function.
pub(super) struct Row {
    /// What it is called in the table.
    pub(super) name: &'static str,
    /// What is damaged: one of these.
    pub(super) takes: &'static [Kind],
    pub(super) whole: Kind,
    pub(super) words: &'static [&'static str],
    /// Whether it reads lines from standard input.
    pub(super) reads: bool,
}

const PROGRAMS: &[Kind] = &[Kind::Module, Kind::Component, Kind::Module, Kind::Component, Kind::Wat];
const COMPONENTS: &[Kind] = &[Kind::Component, Kind::Component, Kind::Wat];

const fn row(name: &'static str, takes: &'static [Kind], words: &'static [&'static str]) -> Row {
    Row { name, takes, whole: Kind::Component, words, reads: false }
}

/// All of them, in turn.
pub(super) const COMMANDS: &[Row] = &[
    row("validate", PROGRAMS, &["validate", "FILE"]),
    row("inspect", PROGRAMS, &["inspect", "FILE"]),
    row("inspect an artifact", &[Kind::Artifact], &["inspect", "FILE"]),
    row("inspect --permissions", PROGRAMS, &["inspect", "--permissions", "FILE"]),
    row("inspect --wit", COMPONENTS, &["inspect", "--wit", "FILE"]),
    row("inspect --wit of text", &[Kind::Wit], &["inspect", "--wit", "FILE"]),
    row(
        "run, interpreted",
        PROGRAMS,
        &[
            "run",
            "--engine=interp",
            "--fuel=200000",
            "--timeout=2s",
            "--max-memory=16M",
            "--stub-missing",
            "FILE",
            "a",
        ],
    ),
    row(
        "run, compiled",
        PROGRAMS,
        &[
            "run",
            "--engine=jit",
            "--fuel=200000",
            "--timeout=2s",
            "--max-memory=16M",
            "--stub-missing",
            "FILE",
            "a",
        ],
    ),
    row("run an artifact", &[Kind::Artifact], &["run", "--max-memory=16M", "FILE", "a"]),
    row(
        "run --invoke",
        PROGRAMS,
        &[
            "run",
            "--engine=interp",
            "--fuel=200000",
            "--max-memory=16M",
            "--stub-missing",
            "--invoke",
            "CALL",
            "FILE",
        ],
    ),
    row("aot", PROGRAMS, &["aot", "--threads=1", "FILE", "-o", "OUT"]),
    row("compose, into", COMPONENTS, &["compose", "FILE", "--plug", "WHOLE", "-o", "OUT"]),
    row("compose, plugged", COMPONENTS, &["compose", "WHOLE", "--plug", "FILE", "--text", "-o", "OUT"]),
    row("compose a script", &[Kind::Wac], &["compose", "FILE", "--dep", "test:part=WHOLE", "-o", "OUT"]),
    Row {
        name: "compose a script of damaged parts",
        takes: COMPONENTS,
        whole: Kind::Wac,
        words: &["compose", "WHOLE", "--dep", "test:part=FILE", "-o", "OUT"],
        reads: false,
    },
    row("componentize", &[Kind::Module, Kind::Module, Kind::Wat], &["componentize", "FILE", "-o", "OUT"]),
    Row {
        name: "componentize --wit",
        takes: &[Kind::Wit],
        whole: Kind::Module,
        words: &["componentize", "WHOLE", "--wit", "FILE", "--text", "-o", "OUT"],
        reads: false,
    },
    row("check", COMPONENTS, &["check", "FILE", "--world", "wasi:cli/command", "--wasi"]),
    row("check --wit", &[Kind::Wit], &["check", "WHOLE", "--wit", "FILE"]),
    Row {
        name: "repl",
        takes: COMPONENTS,
        whole: Kind::Component,
        words: &["repl", "--engine=interp", "--fuel=200000", "--max-memory=16M", "--stub-missing", "FILE"],
        reads: true,
    },
    row("wast", &[Kind::Wast], &["wast", "--engine=interp", "FILE"]),
    // The address is nobody's, so that it ends when it would begin to listen.
    row("serve", COMPONENTS, &["serve", "--engine=interp", "--addr=192.0.2.1:1", "--max-memory=16M", "FILE"]),
];
