//! How deep the text of tools may nest (.wit, .wac): their readers call themselves for each bracket. A reader that says where it
//! stops is better than one that comes to the end of its stack.

use crate::failure::Failure;
use crate::input;
use crate::quote;
use std::path::Path;

/// Brackets within brackets; people write ten.
const MAX_DEPTH: usize = 500;

/// Does a text stay within the bounds?
pub(crate) fn check(name: &str, text: &str) -> Result<(), Failure> {
    match too_deep(text) {
        None => Ok(()),
        Some(at) => {
            let what = format!("brackets nest deeper than {MAX_DEPTH} levels");
            Err(Failure::Other(quote::wrong_at(name, text, at, &what)))
        }
    }
}

/// The same of every WIT file that is read with a folder.
pub(crate) fn check_folder(folder: &Path) -> Result<(), Failure> {
    let deps = folder.join("deps");
    let mut folders = vec![folder.to_owned()];
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
                check(&name, &text)?;
            }
        }
    }
    Ok(())
}

/// Where a bracket opens that is one too many.
fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    // Where the next of `end` ends, or the text.
    let past = |from: usize, end: &str| {
        text.get(from..).and_then(|rest| rest.find(end)).map_or(bytes.len(), |found| from + found + end.len())
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
                    return Some(at);
                }
                at += 1;
            }
            [b')' | b']' | b'}' | b'>', ..] => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_counted_outside_of_comments_and_strings() {
        let deep = |open: &str| open.repeat(MAX_DEPTH + 1);
        for text in [deep("("), deep("list<"), deep("new a:b { x: "), format!("é{}", deep("["))] {
            assert!(too_deep(&text).is_some(), "{text}");
        }
        for text in [
            format!("// {}\n", deep("(")),
            format!("/* {} */", deep("<")),
            format!("\"{}\"", deep("{")),
            "f: func() -> list<u8>; ".repeat(1000),
            "func(a: tuple<u8, u8>) -> u8".repeat(1000),
            format!("/* {}", deep("é(")),
        ] {
            assert_eq!(too_deep(&text), None, "{text}");
        }
    }
}
