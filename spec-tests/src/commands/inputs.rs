//! What the files are damaged from, and how.

use super::list::Kind;
use crate::malformed::{self, COMPONENTS, Pool};
use crate::mode::Mode;
use crate::random::Random;
use crate::suites;
use mini_wasm_runtime::Config;
use mini_wasm_runtime::component::Component;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Interfaces as people write them, with what tools get wrong: chains, nesting, versions, resources.
const WIT: [&str; 3] = [
    "package test:part@0.1.0;\n/// Docs.\ninterface shapes {\n  type a = u32;\n  type b = a;\n  record point { x: b, y: option<b> }\n  \
     variant shape { none, some(point), many(list<tuple<point, string>>) }\n  flags bits { r, w, x }\n  enum color { red, green }\n  \
     resource thing { constructor(n: u8); get: func() -> result<shape, string>; make: static func(t: own<thing>) -> thing; }\n  \
     draw: func(s: shape, t: borrow<thing>) -> color;\n}\nworld root { import shapes; export run: func() -> result; }\n",
    "package a:b;\ninterface i { use j.{t}; type u = list<t>; f: func(x: u) -> result<u, t>; }\ninterface j { type t = tuple<u8, string>; }\n\
     world w { include v with { f as g }; export i; }\nworld v { import f: func(); import j; }\n",
    "package x:y@1.2.3;\nworld one { export run: func() -> u32; }\nworld two { import wasi: interface { type t = char; use-it: func(t: t); } }\n",
];

/// Scripts of wac's; `test:part` is given.
const WAC: [&str; 3] = [
    "package test:comp;\nlet a = new test:part { ... };\nexport a...;\n",
    "package test:comp@1.0.0;\n/// Docs.\nimport x: func(a: u32) -> string;\ninterface i { type t = u32; f: func(t: t); }\n\
     world w { import i; export run: func() -> result; }\nlet a = new test:part { ... };\nexport a.run as \"run\";\n",
    "package a:b;\nlet a = new test:part { ... };\nlet b = new test:part { \"run\": a.run, ... };\nexport (((b)))[\"run\"] as c;\n",
];

const WAST: [&str; 2] = [
    "(module $m (memory (export \"mem\") 1) (func (export \"two\") (param i32) (result i32) (local.get 0)))\n(assert_return (invoke \"two\" \
     (i32.const 2)) (i32.const 2))\n(register \"m\" $m)\n(assert_trap (invoke \"two\" (i32.const 0)) \"x\")\n(assert_malformed (module \
     quote \"(func\") \"end\")\n(assert_unlinkable (module (import \"m\" \"no\" (func))) \"unknown import\")\n",
    "(component $c (core module $m (func (export \"f\") (result i32) (i32.const 1))) (core instance $i (instantiate $m)) (func (export \"f\") \
     (result u32) (canon lift (core func $i \"f\"))))\n(assert_return (invoke \"f\") (u32.const 1))\n(assert_invalid (component (import \
     \"x\" (func $f)) (export \"x\" (func $f)) (export \"x\" (func $f))) \"x\")\n(thread $t (module)) (wait $t)\n",
];

/// A component in the form of before 2026, and a module with much of the text format in it.
const WAT: [&str; 2] = [
    "(component (core module $m (memory (export \"memory\") 1) (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 8)) \
     (func (export \"run\") (param i32 i32) (result i32) (i32.const 0))) (core instance $m (instantiate $m)) (type $r (resource (rep i32))) \
     (func (export \"run\") (param \"s\" string) (result u32) (canon lift (core func $m \"run\") (memory $m \"memory\") (realloc (func $m \
     \"realloc\")))))",
    "(module $name (type $t (func (param i32) (result i32))) (import \"env\" \"f\" (func $f (type $t))) (memory (export \"m\") 1 2) (data \
     (i32.const 0) \"a\\00\\ff\") (table 4 funcref) (elem (i32.const 0) $f $run) (global $g (mut i64) (i64.const 0x7fff_ffff)) (func $run \
     (export \"run\") (result i32) (local f64) (block $b (result i32) (loop $l (br_if $l (i32.eqz (i32.const 1)))) (br_table $b $b \
     (i32.const 1) (i32.const 0)))) (func (export \"_start\") (drop (call $run))) (@custom \"x\" \"y\"))",
];

/// Calls, as `--invoke` and `repl` read them; the first names what most of the components export.
pub(super) const CALLS: [&str; 8] = [
    "run()",
    "run(\"text\")",
    "run(1, {x: 1.5, label: some(\"p\")}, [1, 2], 'c', -7)",
    "counter(10)\ncounter.inc(counter-1, 5)\n:handles\n:drop counter-1",
    ":help\n:exports\n:type run\n:reset\n// words\nrun()",
    "area(circle(3), {r, w}, ok(none), err(\"no\"), (1, \"two\"))",
    "norm2({x: 3, y: 4})",
    "_start()",
];

/// Writes the files that inputs are damaged from: `FOLDER/KIND-NUMBER`.
pub(super) fn write(folder: &Path, seed: u64) -> io::Result<()> {
    let engine = Mode::Aot.engine(Config { fuel: true, ..Config::default() });
    let Pool { mut modules, mut components, artifacts } = Pool::new(seed, &engine);
    // Small programs of toolchains; the large ones have the same parts, only more of them.
    for guest in guests()? {
        let bytes = fs::read(guest)?;
        if bytes.len() <= LARGEST {
            let kind = if Component::is_component(&bytes) { &mut components } else { &mut modules };
            kind.push(bytes);
        }
    }
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    let mut wat = texts(&WAT);
    wat.extend(texts(&COMPONENTS));
    let printed = modules.iter().chain(&components).filter(|bytes| bytes.len() < 3000).step_by(8);
    wat.extend(printed.filter_map(|bytes| wasmprinter::print_bytes(bytes).ok()).map(String::into_bytes));
    let mut wast = texts(&WAST);
    let scripts = suites::component().unwrap_or_default();
    wast.extend(scripts.into_iter().map(|script| script.text.into_bytes()).filter(|text| text.len() < 6000));
    let of = |kind| match kind {
        Kind::Module => &modules,
        Kind::Component => &components,
        Kind::Artifact => &artifacts,
        Kind::Wat => &wat,
        Kind::Wast => &wast,
        Kind::Wit | Kind::Wac => unreachable!("they are written below"),
    };
    for kind in Kind::ALL {
        let files = match kind {
            Kind::Wit => texts(&WIT),
            Kind::Wac => texts(&WAC),
            kind => of(kind).clone(),
        };
        for (number, bytes) in files.iter().enumerate() {
            fs::write(folder.join(format!("{kind:?}-{number}")), bytes)?;
        }
    }
    Ok(())
}

/// The largest guest that is damaged.
const LARGEST: usize = 80 << 10;

fn guests() -> io::Result<Vec<PathBuf>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/bin");
    let mut files: Vec<_> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    Ok(files)
}

/// The files by kind, as they were written.
pub(super) struct Seeds(Vec<(Kind, Vec<Vec<u8>>)>);

impl Seeds {
    pub(super) fn read(folder: &Path) -> io::Result<Seeds> {
        let of = |kind| {
            let files = (0..).map(|number| fs::read(folder.join(format!("{kind:?}-{number}"))));
            (kind, files.map_while(Result::ok).collect::<Vec<_>>())
        };
        let seeds: Vec<_> = Kind::ALL.into_iter().map(of).collect();
        match seeds.iter().find(|(_, files)| files.is_empty()) {
            Some((kind, _)) => Err(io::Error::other(format!("there is no {kind:?} to start from"))),
            None => Ok(Seeds(seeds)),
        }
    }

    /// A valid file of a kind.
    pub(super) fn whole(&self, kind: Kind, random: &mut Random) -> &[u8] {
        let files = self.0.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, files)| files);
        &files[random.below(files.len())]
    }

    /// A damaged one.
    pub(super) fn damaged(&self, kind: Kind, random: &mut Random) -> Vec<u8> {
        let mut input = self.whole(kind, random).to_vec();
        for _ in 0..1 + random.below(3) {
            match kind.is_text() {
                true => damage_text(&mut input, self.whole(kind, random), random),
                false => {
                    malformed::mutate(&mut input, self.whole(kind, random), kind == Kind::Module, random);
                }
            }
        }
        input
    }
}

/// Pieces that readers of text stumble over.
const PIECES: [&str; 18] = [
    "(",
    ")",
    "{",
    "}",
    "<",
    ">",
    "\"",
    "\u{1b}[2J",
    "\u{202e}",
    "\0",
    "4294967296",
    "-0x8000_0000_0000_0000",
    "$",
    ";;",
    "/*",
    "//",
    "é",
    "@",
];

/// Bytes that a text may grow to: what `commands` promises of time and memory is promised of files
/// of a megabyte.
const MOST_TEXT: usize = 1 << 20;

/// Damages text: tokens left out, repeated (a few times or many), exchanged, or taken from another text.
pub(super) fn damage_text(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let piece = token(other, random).map(|range| other[range].to_vec()).unwrap_or_default();
    let Some(place) = token(input, random) else {
        input.extend_from_slice(&piece);
        return;
    };
    let own = input[place.clone()].to_vec();
    match random.below(8) {
        0 => drop(input.splice(place, [])),
        1 => drop(input.splice(place.start..place.start, own)),
        2 => drop(input.splice(place, piece)),
        3 => drop(input.splice(place.start..place.start, piece)),
        4 => drop(input.splice(place, PIECES[random.below(PIECES.len())].bytes())),
        // Deep or long.
        5 => {
            let times = [3, 30, 300, 3000][random.below(4)];
            let most = MOST_TEXT.saturating_sub(input.len()) / own.len().max(1);
            drop(input.splice(place, own.repeat(times.min(most))));
        }
        6 => {
            let at = place.start;
            input[at] = random.bits() as u8;
        }
        _ => {
            let end = (place.start + random.below(400)).min(input.len());
            let stretch = input[place.start..end].to_vec();
            match random.one_in(2) {
                true => input.truncate(place.start),
                false => drop(input.splice(place.start..place.start, stretch)),
            }
        }
    }
}

/// A word, a number or a mark somewhere in a text.
fn token(text: &[u8], random: &mut Random) -> Option<std::ops::Range<usize>> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$@:%".contains(&byte);
    let mut start = random.below(text.len());
    while text.get(start).is_some_and(u8::is_ascii_whitespace) {
        start += 1;
    }
    let first = *text.get(start)?;
    let mut end = start + 1;
    if is_word(first) {
        while start > 0 && is_word(text[start - 1]) {
            start -= 1;
        }
        while text.get(end).is_some_and(|byte| is_word(*byte)) {
            end += 1;
        }
    }
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_damaged_token_by_token_and_the_same_for_the_same_seed() {
        let run = |seed| {
            let mut text = WIT[0].as_bytes().to_vec();
            damage_text(&mut text, WIT[1].as_bytes(), &mut Random::new(seed));
            text
        };
        let changed = (0..200).filter(|seed| run(*seed) != WIT[0].as_bytes()).count();
        assert!(changed > 150, "{changed}");
        assert!((0..200).all(|seed| run(seed) == run(seed)));
        let mut empty = Vec::new();
        damage_text(&mut empty, b"", &mut Random::new(1));
    }
}
