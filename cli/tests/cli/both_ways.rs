//! A program of preview 1 as it is, and as the component that `componentize` makes of it: each answer that differs is in the
//! table of docs/preview1.md, with what was decided. `UPDATE=1` prints the rows as they are now.

use crate::sandbox::Sandbox;
use crate::{Ended, end, mini_wasm};
use mini_wasm_runtime::types::ValType;
use mini_wasm_wasi::preview1::{Errno, FUNCTIONS};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where the program's memory has what: what calls are given, what they give, and what is printed in the end.
const TEXTS: u32 = 0x4000;
const OUT: u32 = 0x8000;
const LOG: u32 = 0x2_0000;
const RECORD: u32 = 64;

const READ: i64 = 1 << 1;
const SEEK: i64 = 1 << 2;
const TELL: i64 = 1 << 5;
const WRITE: i64 = 1 << 6;
const ALL: i64 = (1 << 30) - 1;
const CREAT: i64 = 1;
const DIRECTORY: i64 = 2;
const EXCL: i64 = 4;
const TRUNC: i64 = 8;
const APPEND: i64 = 1;
const FOLLOW: i64 = 1;
/// The granted directory.
const DIR: i64 = 3;

/// A parameter.
#[derive(Clone, Copy)]
enum Arg {
    Is(i64),
    /// A number that an earlier call wrote: a descriptor.
    From(u32),
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Is(number)
    }
}

macro_rules! args {
    ($($arg:expr),* $(,)?) => { &[$(Arg::from($arg)),*] };
}

/// A program that makes calls and prints how each ended, with a part of the memory after it.
struct Program {
    texts: Vec<u8>,
    imports: BTreeMap<&'static str, usize>,
    /// The code of each part; the first word that the program is given chooses one by its length.
    parts: Vec<String>,
    /// What is printed, in order, for each part: the call's name, and how many bytes are shown.
    printed: Vec<Vec<(String, u32)>>,
    slots: u32,
}

impl Program {
    fn new() -> Self {
        let (parts, printed) = (vec![String::new()], vec![Vec::new()]);
        Self { texts: Vec::new(), imports: BTreeMap::new(), parts, printed, slots: 0 }
    }

    /// From here on another run of the program.
    fn part(&mut self) {
        self.parts.push(String::new());
        self.printed.push(Vec::new());
    }

    /// Bytes in memory: address and length.
    fn bytes(&mut self, bytes: &[u8]) -> (i64, i64) {
        self.texts.resize(self.texts.len().next_multiple_of(8), 0);
        let at = TEXTS + self.texts.len() as u32;
        self.texts.extend_from_slice(bytes);
        (at.into(), bytes.len() as i64)
    }

    /// `iovec`s: address and number.
    fn iovecs(&mut self, parts: &[(i64, i64)]) -> (i64, i64) {
        let words = parts.iter().flat_map(|(at, len)| [*at as u32, *len as u32]);
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        (self.bytes(&bytes).0, parts.len() as i64)
    }

    /// A place that a call may write a descriptor to.
    fn slot(&mut self) -> u32 {
        self.slots += 1;
        0x1000 + 4 * (self.slots - 1)
    }

    /// Calls; `shown` is a part of memory that tells more than the error code.
    fn call(&mut self, what: &str, function: &'static str, args: &[Arg], shown: Option<(u32, u32)>) {
        let types = FUNCTIONS.iter().find(|known| known.name == function).expect("a function").params;
        assert_eq!(types.len(), args.len(), "{function}");
        let known = self.imports.len();
        self.imports.entry(function).or_insert(known);
        let code = self.parts.last_mut().expect("a part");
        let at = LOG + RECORD * self.printed.last().expect("a part").len() as u32;
        let (from, len) = shown.unwrap_or((0, 0));
        assert!(len + 4 <= RECORD);
        // What an earlier call left must not look like this one's.
        let clear = if len > 0 && from >= OUT {
            format!("(memory.fill (i32.const {from}) (i32.const 0) (i32.const {len}))")
        } else {
            String::new()
        };
        let _ = write!(code, "{clear} (i32.store (i32.const {at}) (call ${function}");
        for (ty, arg) in types.iter().zip(args) {
            let ty = if *ty == ValType::I32 { "i32" } else { "i64" };
            let _ = match arg {
                Arg::Is(number) if ty == "i32" => write!(code, " (i32.const {})", *number as i32),
                Arg::Is(number) => write!(code, " ({ty}.const {number})"),
                Arg::From(slot) => write!(code, " (i32.load (i32.const {slot}))"),
            };
        }
        let _ =
            writeln!(code, ")) (memory.copy (i32.const {}) (i32.const {from}) (i32.const {len}))", at + 4);
        self.printed.last_mut().expect("a part").push((format!("{function}: {what}"), len));
    }

    fn open(&mut self, path: &str, oflags: i64, rights: i64, fdflags: i64) -> Arg {
        let (slot, (at, len)) = (self.slot(), self.bytes(path.as_bytes()));
        let args = args![DIR, FOLLOW, at, len, oflags, rights, ALL, fdflags, i64::from(slot)];
        self.call(
            &format!("for the calls below ({path}, {oflags}, {rights:#x}, {fdflags})"),
            "path_open",
            args,
            None,
        );
        Arg::From(slot)
    }

    fn text(&self) -> String {
        let mut text = String::from("(module\n");
        for (name, _) in self.imports.iter() {
            let function = FUNCTIONS.iter().find(|known| known.name == *name).expect("a function");
            let letter = |ty: &ValType| if *ty == ValType::I32 { " i32" } else { " i64" };
            let params: String = function.params.iter().map(letter).collect();
            let result = if function.returns { "(result i32)" } else { "" };
            let _ = writeln!(
                text,
                "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param{params}) {result}))"
            );
        }
        let data: String = self.texts.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let _ = writeln!(text, "(memory (export \"memory\") 4) (data (i32.const {TEXTS}) \"{data}\")");
        for (at, code) in self.parts.iter().enumerate() {
            let bytes = RECORD * self.printed[at].len() as u32;
            let _ = writeln!(
                text,
                "(func $part{at}\n{code}
                    (i32.store (i32.const 0x800) (i32.const {LOG})) (i32.store (i32.const 0x804) (i32.const {bytes}))
                    (drop (call $fd_write (i32.const 1) (i32.const 0x800) (i32.const 1) (i32.const 0x808))))"
            );
        }
        text +=
            "(func (export \"_start\") (drop (call $args_sizes_get (i32.const 0x800) (i32.const 0x804)))\n";
        for at in 0..self.parts.len() {
            let _ = writeln!(
                text,
                "(if (i32.eq (i32.load (i32.const 0x800)) (i32.const {})) (then (call $part{at}) (return)))",
                at + 1
            );
        }
        text + "))"
    }
}

/// What every call is tried with.
fn program() -> Program {
    let mut p = Program::new();
    let out = i64::from(OUT);
    let shown = |len: u32| Some((OUT, len));
    p.call("sizes", "args_sizes_get", args![out, out + 4], shown(4));
    p.call("one word", "args_get", args![out, out + 64], None);
    p.call("sizes", "environ_sizes_get", args![out, out + 4], shown(8));
    p.call("one variable", "environ_get", args![out, out + 8], Some((OUT + 8, 5)));
    for clock in 0..5 {
        p.call(&format!("clock {clock}"), "clock_res_get", args![clock, out], None);
        p.call(&format!("clock {clock}"), "clock_time_get", args![clock, 1, out], None);
    }
    p.call("16 bytes", "random_get", args![out, 16], None);
    p.call("no bytes", "random_get", args![out, 0], None);
    p.call("", "sched_yield", args![], None);

    // Descriptors of each kind, for all that is asked of any descriptor.
    let file = p.open("f", 0, READ | WRITE | SEEK | TELL, 0);
    let reader = p.open("f", 0, READ, 0);
    let writer = p.open("f", 0, WRITE, 0);
    let appending = p.open("log", CREAT, READ | WRITE | SEEK, APPEND);
    let directory = p.open("sub", DIRECTORY, 1 << 14, 0);
    let gone = Arg::Is(99);
    let kinds = [
        ("a file", file),
        ("a file to read", reader),
        ("a file to write", writer),
        ("a file to append to", appending),
        ("a directory", directory),
        ("a grant", Arg::Is(DIR)),
        ("standard input", Arg::Is(0)),
        ("standard output", Arg::Is(1)),
        ("what is not open", gone),
    ];
    let hello = p.bytes(b"hello");
    let (two, two_len) = p.iovecs(&[(out, 3), (out + 3, 0), (out + 3, 4)]);
    let (zero, zero_len) = p.iovecs(&[(out, 0)]);
    let (small, small_len) = p.iovecs(&[hello]);
    let result = out + 256;
    let after = Some((OUT + 256, 4));
    for (kind, fd) in kinds {
        p.call(&format!("{kind}: kind"), "fd_fdstat_get", &[fd, Arg::Is(out)], shown(1));
        p.call(&format!("{kind}: flags"), "fd_fdstat_get", &[fd, Arg::Is(out)], Some((OUT + 2, 2)));
        p.call(&format!("{kind}: rights"), "fd_fdstat_get", &[fd, Arg::Is(out)], Some((OUT + 8, 8)));
        p.call(
            &format!("{kind}: rights passed on"),
            "fd_fdstat_get",
            &[fd, Arg::Is(out)],
            Some((OUT + 16, 8)),
        );
        p.call(
            &format!("{kind}: kind and size"),
            "fd_filestat_get",
            &[fd, Arg::Is(out)],
            Some((OUT + 16, 1)),
        );
        p.call(kind, "fd_prestat_get", &[fd, Arg::Is(out)], shown(8));
        for (what, len) in [("short", 0), ("exact", 1), ("long", 9)] {
            let args = &[fd, Arg::Is(out), Arg::Is(len)];
            p.call(&format!("{kind}: {what}"), "fd_prestat_dir_name", args, shown(1));
        }
        p.call(kind, "fd_sync", &[fd], None);
        p.call(kind, "fd_datasync", &[fd], None);
        for (what, advice) in [("normal", 0), ("no advice", 6)] {
            let args = &[fd, Arg::Is(0), Arg::Is(9), Arg::Is(advice)];
            p.call(&format!("{kind}: {what}"), "fd_advise", args, None);
        }
        for (what, offset, whence) in [
            ("start", 2, 0),
            ("here", 0, 1),
            ("end", -1, 2),
            ("before the start", -9, 0),
            ("from nowhere", 0, 3),
        ] {
            let args = &[fd, Arg::Is(offset), Arg::Is(whence), Arg::Is(result)];
            p.call(&format!("{kind}: {what}"), "fd_seek", args, after);
        }
        p.call(kind, "fd_tell", &[fd, Arg::Is(result)], after);
        let moves = |at: i64, len: i64| [fd, Arg::Is(at), Arg::Is(len), Arg::Is(result)];
        let at_offset = |at: i64, len: i64, offset: i64| {
            [fd, Arg::Is(at), Arg::Is(len), Arg::Is(offset), Arg::Is(result)]
        };
        p.call(&format!("{kind}: two parts"), "fd_read", &moves(two, two_len), after);
        p.call(&format!("{kind}: nothing"), "fd_read", &moves(zero, zero_len), after);
        p.call(&format!("{kind}: no part"), "fd_read", &moves(two, 0), after);
        for (what, offset) in [("at 6", 6), ("past the end", 99), ("at no offset", -1)] {
            p.call(&format!("{kind}: {what}"), "fd_pread", &at_offset(two, two_len, offset), after);
        }
        p.call(&format!("{kind}: nothing"), "fd_pread", &at_offset(zero, zero_len, 0), after);
        if kind != "standard output" {
            p.call(&format!("{kind}: some"), "fd_write", &moves(small, small_len), after);
            p.call(&format!("{kind}: at 20"), "fd_pwrite", &at_offset(small, small_len, 20), after);
            p.call(&format!("{kind}: at no offset"), "fd_pwrite", &at_offset(small, small_len, -1), after);
        }
        p.call(&format!("{kind}: nothing"), "fd_write", &moves(zero, zero_len), after);
        p.call(&format!("{kind}: nothing"), "fd_pwrite", &at_offset(zero, zero_len, 0), after);
        p.call(
            &format!("{kind}: size after that"),
            "fd_filestat_get",
            &[fd, Arg::Is(out)],
            Some((OUT + 32, 8)),
        );
        for (what, size) in [("30 bytes", 30), ("too large", -1)] {
            p.call(&format!("{kind}: {what}"), "fd_filestat_set_size", &[fd, Arg::Is(size)], None);
        }
        for (what, offset, len) in [("40 bytes", 0, 40), ("nothing", 0, 0), ("too large", -1, -1)] {
            p.call(&format!("{kind}: {what}"), "fd_allocate", &[fd, Arg::Is(offset), Arg::Is(len)], None);
        }
        for (what, flags) in [("times given", 5), ("now", 10), ("both", 3), ("unknown flag", 16)] {
            let args = &[fd, Arg::Is(1_000_000_000), Arg::Is(2_000_000_000), Arg::Is(flags)];
            p.call(&format!("{kind}: {what}"), "fd_filestat_set_times", args, None);
        }
        for (what, flags) in
            [("append", 1), ("do not wait", 4), ("sync", 16), ("unknown flag", 32), ("none", 0)]
        {
            p.call(&format!("{kind}: {what}"), "fd_fdstat_set_flags", &[fd, Arg::Is(flags)], None);
        }
        for (what, size, cookie) in
            [("whole", 400, 0), ("a part of a record", 30, 0), ("no room", 0, 0), ("past the end", 400, 77)]
        {
            let args = &[fd, Arg::Is(out), Arg::Is(size), Arg::Is(cookie), Arg::Is(out + 512)];
            // How much is read of a grant depends on what else is there.
            let shown = if kind == "a grant" { None } else { Some((OUT + 512, 4)) };
            p.call(&format!("{kind}: {what}"), "fd_readdir", args, shown);
        }
        let poll_kinds: &[(&str, u8)] = &[("to read", 1), ("to write", 2)];
        for (what, interest) in poll_kinds {
            // Only descriptors that are numbers can stand in a subscription here.
            if let Arg::Is(number) = fd {
                let mut subscription = [0; 48];
                subscription[8] = *interest;
                subscription[16..20].copy_from_slice(&(number as u32).to_le_bytes());
                let (at, _) = p.bytes(&subscription);
                let args = args![at, out, 1, result];
                p.call(&format!("{kind}: {what}"), "poll_oneoff", args, Some((OUT + 8, 3)));
            }
        }
    }
    clocks_polled(&mut p);
    opened(&mut p);
    names(&mut p);
    numbers(&mut p);
    ends(&mut p);
    p
}

fn clocks_polled(p: &mut Program) {
    let out = i64::from(OUT);
    let clocks = [
        ("a clock", 1, 0, 0),
        ("the time of day", 0, 0, 0),
        ("a moment that has passed", 1, 1, 1),
        ("processor time", 2, 0, 0),
        ("no clock", 9, 0, 0),
        ("a clock, unknown flag", 1, 0, 2),
    ];
    for (what, clock, timeout, flags) in clocks {
        let mut subscription = [0; 48];
        subscription[16] = clock;
        subscription[24] = timeout;
        subscription[40] = flags;
        let (at, _) = p.bytes(&subscription);
        p.call(what, "poll_oneoff", args![at, out, 1, out + 256], Some((OUT + 8, 3)));
    }
    let mut unknown = [0; 48];
    unknown[8] = 7;
    let (at, _) = p.bytes(&unknown);
    p.call("an unknown kind", "poll_oneoff", args![at, out, 1, out + 256], None);
    p.call("nothing", "poll_oneoff", args![at, out, 0, out + 256], None);
}

/// How paths are opened.
fn opened(p: &mut Program) {
    let result = i64::from(OUT);
    let long = "x/".repeat(2500);
    let cases: &[(&str, &str, i64, i64, i64, i64)] = &[
        ("a file", "f", FOLLOW, 0, READ, 0),
        ("without rights", "f", FOLLOW, 0, 0, 0),
        ("all rights", "f", FOLLOW, 0, ALL, 0),
        ("rights that there are none of", "f", FOLLOW, 0, READ | 1 << 40, 0),
        ("missing", "none", FOLLOW, 0, READ, 0),
        ("made", "new", FOLLOW, CREAT, WRITE, 0),
        ("made anew, there already", "f", FOLLOW, CREAT | EXCL, WRITE, 0),
        ("cut, to read", "new", FOLLOW, TRUNC, READ, 0),
        ("a file as a directory", "f", FOLLOW, DIRECTORY, READ, 0),
        ("a directory made", "newer", FOLLOW, CREAT | DIRECTORY, READ, 0),
        ("a directory", "sub", FOLLOW, DIRECTORY, READ, 0),
        ("a directory to write", "sub", FOLLOW, DIRECTORY, READ | WRITE, 0),
        ("the grant to write", ".", FOLLOW, DIRECTORY, READ | WRITE, 0),
        ("a directory, all rights", "sub", FOLLOW, DIRECTORY, ALL, 0),
        ("a directory, rights of sizes", "sub", FOLLOW, DIRECTORY, READ | 1 << 8 | 1 << 22, 0),
        ("a directory as a file to read", "sub", FOLLOW, 0, READ, 0),
        ("a directory as a file to write", "sub", FOLLOW, 0, WRITE, 0),
        ("a directory cut", "sub", FOLLOW, TRUNC, WRITE, 0),
        ("a link, followed", "s", FOLLOW, 0, READ, 0),
        ("a link", "s", 0, 0, READ, 0),
        ("a link to a directory", "sd", 0, DIRECTORY, READ, 0),
        ("a link to itself", "loop", FOLLOW, 0, READ, 0),
        ("a link that leads out", "out", FOLLOW, 0, READ, 0),
        ("an absolute path", "/f", FOLLOW, 0, READ, 0),
        ("above", "..", FOLLOW, DIRECTORY, READ, 0),
        ("above and back", "../d/f", FOLLOW, 0, READ, 0),
        ("down and up", "sub/../f", FOLLOW, 0, READ, 0),
        ("an empty path", "", FOLLOW, 0, READ, 0),
        ("a file with a slash", "f/", FOLLOW, 0, READ, 0),
        ("a directory with a slash", "sub/", FOLLOW, DIRECTORY, READ, 0),
        ("made with a slash", "new2/", FOLLOW, CREAT, WRITE, 0),
        ("a path with NUL", "f\0g", FOLLOW, 0, READ, 0),
        ("a long path", &long, FOLLOW, 0, READ, 0),
        ("unknown oflags", "f", FOLLOW, 16, READ, 0),
        ("unknown fdflags", "f", FOLLOW, 0, READ, 32),
        ("unknown lookupflags", "f", 2, 0, READ, 0),
        ("sync", "f", FOLLOW, 0, READ | WRITE, 16),
        ("not to wait", "f", FOLLOW, 0, READ, 4),
    ];
    for (what, path, lookup, oflags, rights, fdflags) in cases {
        let (at, len) = p.bytes(path.as_bytes());
        let args = args![DIR, *lookup, at, len, *oflags, *rights, ALL, *fdflags, result];
        p.call(what, "path_open", args, None);
    }
    let (at, len) = p.bytes(b"f");
    p.call("beneath a file", "path_open", args![0, FOLLOW, at, len, 0, READ, ALL, 0, result], None);
    p.call("beneath nothing", "path_open", args![99, FOLLOW, at, len, 0, READ, ALL, 0, result], None);
}

/// What is done with names.
fn names(p: &mut Program) {
    let out = i64::from(OUT);
    for (what, path) in [
        ("new", "made"),
        ("there", "sub"),
        ("with a slash", "made2/"),
        ("in nothing", "none/made"),
        ("out", "../made"),
        ("absolute", "/made"),
        ("empty", ""),
        (".", "."),
        ("beneath a file", "f/made"),
    ] {
        let (at, len) = p.bytes(path.as_bytes());
        p.call(what, "path_create_directory", args![DIR, at, len], None);
    }
    for (what, path, flags) in [
        ("a file", "f", 0),
        ("a link", "s", 0),
        ("a link, followed", "s", 1),
        ("a link to itself", "loop", 1),
        ("missing", "none", 0),
        ("a file with a slash", "f/", 0),
        ("a directory", "sub", 0),
        ("empty", "", 0),
        ("out", "..", 0),
        ("unknown flag", "f", 2),
    ] {
        let (at, len) = p.bytes(path.as_bytes());
        p.call(what, "path_filestat_get", args![DIR, flags, at, len, out], Some((OUT + 16, 1)));
        p.call(
            &format!("{what}: links"),
            "path_filestat_get",
            args![DIR, flags, at, len, out],
            Some((OUT + 24, 1)),
        );
        p.call(what, "path_filestat_set_times", args![DIR, flags, at, len, 1_000_000_000, 0, 1], None);
    }
    let (f, f_len) = p.bytes(b"f");
    p.call("both flags", "path_filestat_set_times", args![DIR, 0, f, f_len, 0, 0, 3], None);
    p.call("unknown flag", "path_filestat_set_times", args![DIR, 0, f, f_len, 0, 0, 16], None);
    for (what, old, flags, new) in [
        ("a file", "f", 0, "hard"),
        ("there", "f", 0, "sub"),
        ("a directory", "sub", 0, "hard2"),
        ("a link", "s", 0, "hard3"),
        ("a link, followed", "s", 1, "hard4"),
        ("missing", "none", 0, "hard5"),
        ("with a slash", "f", 0, "hard6/"),
        ("out", "f", 0, "../hard"),
    ] {
        let ((old, old_len), (new, new_len)) = (p.bytes(old.as_bytes()), p.bytes(new.as_bytes()));
        p.call(what, "path_link", args![DIR, flags, old, old_len, DIR, new, new_len], None);
    }
    for (what, path, room) in [
        ("a link", "s", 64),
        ("little room", "longer", 3),
        ("no room", "s", 0),
        ("a file", "f", 64),
        ("missing", "none", 64),
        ("a link with a slash", "sd/", 64),
        ("an absolute link", "absolute", 64),
    ] {
        let (at, len) = p.bytes(path.as_bytes());
        p.call(what, "path_readlink", args![DIR, at, len, out, room, out + 256], Some((OUT + 256, 4)));
    }
    for (what, target, path) in [
        ("new", "f", "made-link"),
        ("there", "f", "sub"),
        ("absolute", "/etc", "made-link2"),
        ("empty", "", "made-link3"),
        ("with a slash", "f", "made-link4/"),
        ("out", "f", "../made-link"),
    ] {
        let ((target, target_len), (at, len)) = (p.bytes(target.as_bytes()), p.bytes(path.as_bytes()));
        p.call(what, "path_symlink", args![target, target_len, DIR, at, len], None);
    }
    for (what, old, new) in [
        ("a file", "hard", "hardest"),
        ("to itself", "f", "f"),
        ("over a file", "hardest", "log"),
        ("a directory over a file", "made", "log"),
        ("a file over a directory", "log", "made"),
        ("over a directory that is not empty", "made", "sub"),
        ("missing", "none", "x"),
        ("a file with a slash", "log/", "x"),
        (".", ".", "x"),
        ("into itself", "sub", "sub/sub"),
        ("out", "log", "../x"),
    ] {
        let ((old, old_len), (new, new_len)) = (p.bytes(old.as_bytes()), p.bytes(new.as_bytes()));
        p.call(what, "path_rename", args![DIR, old, old_len, DIR, new, new_len], None);
    }
    for (what, path) in [
        ("a directory", "sub"),
        ("missing", "none"),
        ("a link to a directory with a slash", "sd/"),
        ("a file with a slash", "log/"),
        (".", "."),
        ("out", "../d/f"),
        ("a file", "log"),
    ] {
        let (at, len) = p.bytes(path.as_bytes());
        p.call(what, "path_unlink_file", args![DIR, at, len], None);
    }
    for (what, path) in [
        ("not empty", "sub"),
        ("a file", "f"),
        ("missing", "none"),
        ("a link to a directory", "sd"),
        (".", "."),
        ("out", ".."),
        ("empty, with a slash", "made/"),
    ] {
        let (at, len) = p.bytes(path.as_bytes());
        p.call(what, "path_remove_directory", args![DIR, at, len], None);
    }
}

/// Descriptors as numbers: renumbered, closed, with fewer rights.
fn numbers(p: &mut Program) {
    let out = i64::from(OUT);
    let one = p.open("f", 0, READ | SEEK, 0);
    let other = p.open("f", 0, READ | SEEK, 0);
    p.call("fewer", "fd_fdstat_set_rights", &[one, Arg::Is(READ), Arg::Is(0)], None);
    p.call("more", "fd_fdstat_set_rights", &[one, Arg::Is(READ | SEEK), Arg::Is(0)], None);
    p.call("without the right", "fd_seek", &[one, Arg::Is(0), Arg::Is(0), Arg::Is(out)], None);
    p.call("unknown rights", "fd_fdstat_set_rights", &[one, Arg::Is(1 << 40), Arg::Is(0)], None);
    p.call("to another", "fd_renumber", &[one, other], None);
    p.call("what is not open", "fd_renumber", &[one, other], None);
    p.call("to itself", "fd_renumber", &[other, other], None);
    p.call("to what is not open", "fd_renumber", &[other, Arg::Is(99)], None);
    p.call("a file", "fd_close", &[other], None);
    p.call("again", "fd_close", &[other], None);
    p.call("standard input", "fd_close", args![0], None);
    p.call("of closed standard input", "fd_read", args![0, out, 0, out + 64], None);
    p.call("what is not open", "fd_close", args![99], None);
    p.call("standard input", "sock_shutdown", args![0, 1], None);
}

/// What may end a program: each in a run of its own.
fn ends(p: &mut Program) {
    let out = i64::from(OUT);
    let far = -8;
    let (at, len) = p.bytes(b"f");
    let (no_text, no_text_len) = p.bytes(b"\xff\xfe");
    let alone: &[(&str, &'static str, &[Arg])] = &[
        ("standard input", "sock_accept", args![0, 0, out]),
        ("standard input", "sock_recv", args![0, out, 0, 0, out, out + 8]),
        ("standard output", "sock_send", args![1, out, 0, 0, out]),
        ("no signal", "proc_raise", args![0]),
        ("a signal that ends", "proc_raise", args![6]),
        ("a signal that stops", "proc_raise", args![19]),
        ("no such signal", "proc_raise", args![99]),
        ("iovecs out of memory", "fd_write", args![1, far, 1, out]),
        ("a result out of memory", "fd_write", args![1, out, 1, far]),
        ("a result out of memory", "clock_time_get", args![1, 1, far]),
        ("a path out of memory", "path_create_directory", args![DIR, far, 100]),
        ("a result out of memory", "path_filestat_get", args![DIR, 0, at, len, far]),
        ("a buffer out of memory", "random_get", args![far, 100]),
        ("a result out of memory", "fd_prestat_get", args![DIR, far]),
        ("a buffer out of memory", "args_get", args![far, far]),
        ("subscriptions out of memory", "poll_oneoff", args![far, out, 1, out]),
        ("no UTF-8", "path_open", args![DIR, FOLLOW, no_text, no_text_len, 0, READ, ALL, 0, out]),
        ("1025 iovecs", "fd_read", args![0, out, 1025, 0x7000]),
    ];
    for (what, function, args) in alone {
        p.part();
        p.call(what, function, args, None);
    }
}

/// What a run said of each call; `trap` where it ended.
fn said(ended: &Ended, bytes: &[u8], printed: &[(String, u32)]) -> Vec<(String, String)> {
    let name = |errno: u32| match Errno::ALL.get(errno as usize) {
        Some(errno) => format!("{errno:?}"),
        None => format!("{errno}"),
    };
    printed
        .iter()
        .enumerate()
        .map(|(at, (call, len))| {
            let record = bytes.get(at * RECORD as usize..(at + 1) * RECORD as usize);
            let said = match record {
                Some(record) => {
                    let errno = u32::from_le_bytes([record[0], record[1], record[2], record[3]]);
                    let shown: String =
                        record[4..4 + *len as usize].iter().map(|byte| format!("{byte:02x}")).collect();
                    // What is left there by a call that failed means nothing.
                    if errno == 0 && *len > 0 { format!("{} {shown}", name(errno)) } else { name(errno) }
                }
                None if ended.status == 134 => "a trap".to_owned(),
                None => format!("status {}", ended.status),
            };
            (call.clone(), said)
        })
        .collect()
}

/// A folder with something of each kind.
fn folder(sandbox: &Sandbox, name: &str) -> std::path::PathBuf {
    let d = sandbox.path(name).join("d");
    std::fs::create_dir_all(d.join("sub")).expect("a folder");
    std::fs::write(d.join("f"), "hello world").expect("a file");
    std::fs::write(d.join("sub/inner"), "inner").expect("a file");
    let links = [
        ("f", "s"),
        ("sub", "sd"),
        ("loop", "loop"),
        ("../out", "out"),
        ("sub/inner", "longer"),
        ("/etc", "absolute"),
    ];
    for (target, link) in links {
        std::os::unix::fs::symlink(target, d.join(link)).expect("a link");
    }
    d
}

#[test]
fn a_program_answers_differently_as_a_component_only_where_the_table_says_so() {
    let sandbox = Sandbox::new("both-ways");
    let program = program();
    let module = sandbox.file("program.wat", program.text());
    let component = sandbox.path("component.wasm");
    let made = end(&sandbox, mini_wasm(&sandbox).arg("componentize").arg(&module).arg("-o").arg(&component));
    assert_eq!(made.status, 0, "{made:?}");
    let mut differences = String::new();
    let mut count = 0;
    for (at, printed) in program.printed.iter().enumerate() {
        let answers = [("core", &module), ("component", &component)].map(|(form, file)| {
            let mut granted = folder(&sandbox, &format!("{form}-{at}")).into_os_string();
            granted.push("::/");
            let output = sandbox.fresh("output");
            let mut command = mini_wasm(&sandbox);
            command.args(["run", "--engine=interp", "--env", "A=1", "--dir"]).arg(granted).arg(file);
            command.args(vec!["x"; at]);
            command.stdout(std::fs::File::create(&output).expect("a file for output"));
            let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("the binary starts");
            let status = crate::wait(&mut child, std::time::Instant::now());
            let bytes = std::fs::read(&output).expect("its output");
            let ended = Ended {
                status,
                stdout: String::new(),
                stderr: String::new(),
                took: std::time::Duration::ZERO,
            };
            said(&ended, &bytes, printed)
        });
        let [core, component] = answers;
        for ((call, core), (_, component)) in core.into_iter().zip(component) {
            assert!(core != "a trap" || call.starts_with("proc_raise"), "{call}: a core program ends");
            count += 1;
            if core != component {
                let _ = writeln!(differences, "{call} | {core} | {component}");
            }
        }
    }
    assert!(count > 500, "{count} answers");
    let table = include_str!("../../../docs/preview1.md");
    let told: String = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let words: Vec<&str> = line.trim_end_matches('|').split(" | ").map(str::trim).collect();
            assert!(words.len() == 4 && !words[3].is_empty(), "each row has a decision: {line}");
            format!("{} | {} | {}\n", words[0].trim_end_matches('`'), words[1], words[2])
        })
        .collect();
    if std::env::var_os("UPDATE").is_some() {
        println!("{differences}");
    }
    assert!(told == differences, "docs/preview1.md is behind; what differs now:\n{differences}");
}
