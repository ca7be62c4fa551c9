//! How deep the text of tools may nest (.wit, .wac), and how much worlds may include: readers call
//! themselves for each bracket, and copy for each `include` what the other world has. A reader that
//! says where it stops is better than one that comes to the end of its stack or of its memory.

use crate::failure::Failure;
use crate::input;
use crate::quote;
use std::path::Path;

/// Brackets within brackets; people write ten.
const MAX_DEPTH: usize = 500;

/// Items that all worlds of a package may take from each other: as many as there are times
/// `include` is said, for each. Those of WASI have some thousands.
const MAX_INCLUDED: usize = 1 << 18;

/// Does a text stay within the bounds?
pub(crate) fn check(name: &str, text: &str) -> Result<(), Failure> {
    Worlds::default().check(name, text)
}

/// What is said of worlds, in all texts of a package.
#[derive(Default)]
struct Worlds {
    includes: usize,
    items: usize,
}

impl Worlds {
    /// Does the next text stay within the bounds?
    fn check(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        let wrong = |at, what: String| Err(Failure::Other(quote::wrong_at(name, text, at, &what)));
        match self.read(text) {
            None => Ok(()),
            Some((at, Bound::Depth)) => wrong(at, format!("brackets nest deeper than {MAX_DEPTH} levels")),
            Some((at, Bound::Included)) => {
                wrong(at, format!("worlds include more than {MAX_INCLUDED} items of each other"))
            }
        }
    }
}

/// What a text goes beyond.
#[derive(Debug, PartialEq, Eq)]
enum Bound {
    Depth,
    Included,
}

/// Do all WIT files that are read with a folder stay within the bounds, together?
pub(crate) fn check_folder(folder: &Path) -> Result<(), Failure> {
    let deps = folder.join("deps");
    let mut folders = vec![folder.to_owned()];
    let mut worlds = Worlds::default();
    folders.extend(deps.is_dir().then(|| deps.clone()));
    while let Some(next) = folders.pop() {
        let cannot = |error| Failure::Other(format!("cannot read {}: {error}", next.display()));
        for entry in std::fs::read_dir(&next).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            if path.is_dir() {
                // Packages lie in folders of `deps`, and nowhere deeper.
                if next == deps {
                    folders.push(path);
                }
            } else if !path.is_file() {
                // Who reads a folder would wait for a pipe in it.
                return Err(Failure::Other(format!("{} is neither a file nor a folder", path.display())));
            } else if path.extension().is_some_and(|extension| extension == "wit") {
                let (name, text) = input::read_text(&path)?;
                worlds.check(&name, &text)?;
            }
        }
    }
    Ok(())
}

impl Worlds {
    /// Where a text goes beyond a bound, and which.
    fn read(&mut self, text: &str) -> Option<(usize, Bound)> {
        let bytes = text.as_bytes();
        let (mut at, mut depth) = (0, 0usize);
        // Where the next of `end` ends, or the text.
        let past = |from: usize, end: &str| {
            text.get(from..)
                .and_then(|rest| rest.find(end))
                .map_or(bytes.len(), |found| from + found + end.len())
        };
        while at < bytes.len() {
            match &bytes[at..] {
                [b'/', b'/', ..] => at = past(at, "\n"),
                [b'/', b'*', ..] => at = past(at + 2, "*/"),
                [b'"', ..] => at = past(at + 1, "\""),
                // Closes nothing.
                [b'-', b'>', ..] => at += 2,
                [b'(' | b'[' | b'{' | b'<', ..] => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Some((at, Bound::Depth));
                    }
                    at += 1;
                }
                [b')' | b']' | b'}' | b'>', ..] => {
                    depth = depth.saturating_sub(1);
                    at += 1;
                }
                [first, ..] if first.is_ascii_alphabetic() || *first == b'%' => {
                    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
                    let len = 1 + bytes[at + 1..].iter().take_while(|byte| is_word(byte)).count();
                    match &bytes[at..at + len] {
                        b"include" => self.includes += 1,
                        b"import" | b"export" => self.items += 1,
                        _ => {}
                    }
                    if self.includes.saturating_mul(self.items) > MAX_INCLUDED {
                        return Some((at, Bound::Included));
                    }
                    at += len;
                }
                _ => at += 1,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_counted_outside_of_comments_and_strings() {
        let deep = |open: &str| open.repeat(MAX_DEPTH + 1);
        for text in [deep("("), deep("list<"), deep("new a:b { x: "), format!("é{}", deep("["))] {
            let found = Worlds::default().read(&text);
            assert!(matches!(found, Some((_, Bound::Depth))), "{text}");
        }
        for text in [
            format!("// {}\n", deep("(")),
            format!("/* {} */", deep("<")),
            format!("\"{}\"", deep("{")),
            "f: func() -> list<u8>; ".repeat(1000),
            "func(a: tuple<u8, u8>) -> u8".repeat(1000),
            format!("/* {}", deep("é(")),
        ] {
            assert_eq!(Worlds::default().read(&text), None, "{text}");
        }
    }

    #[test]
    fn worlds_that_include_each_other_in_a_long_chain_are_refused() {
        let chain = |length: usize| {
            let world = |n| format!("world w{n} {{ include w{}; import f{n}: func(); }} ", n - 1);
            "world w0 { } ".to_owned() + &(1..length).map(world).collect::<String>()
        };
        assert_eq!(Worlds::default().read(&chain(500)), None);
        let found = Worlds::default().read(&chain(600));
        assert!(matches!(found, Some((_, Bound::Included))), "{found:?}");
        // In comments, and as parts of names, they are words like others.
        let words = "/* include import */ import-include: func(); %includes: func(); ".repeat(10_000);
        assert_eq!(Worlds::default().read(&words), None);
        // All texts of a package count.
        let mut worlds = Worlds::default();
        assert_eq!(worlds.read(&"include a:b/c; ".repeat(1000)), None);
        assert!(worlds.read(&"import f: func(); ".repeat(1000)).is_some());
    }
}
