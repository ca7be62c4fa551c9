//! Where in a text something is wrong: its line and column, and as much of the line as somebody would read.

use mini_wasm_runtime::error::Said;

/// Columns of a quoted line, and characters of one line of a reader's own words.
const COLUMNS: usize = 160;

/// `file:1:10: what is wrong`, the line, and a mark under the place.
pub(crate) fn wrong_at(name: &str, text: &str, offset: usize, what: &str) -> String {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let column = text[begin..offset].chars().count();
    // Not to be walked for the sake of its end.
    let whole = text[begin..].lines().next().unwrap_or_default();
    format!("{name}:{line}:{}: {}\n{}", column + 1, brief(what), marked(whole, column, column + 1))
}

/// The part of a line around some of its columns, and marks under these.
pub(crate) fn marked(line: &str, from: usize, to: usize) -> String {
    let first = if from < COLUMNS { 0 } else { from - COLUMNS / 2 };
    let shown: String = line.chars().skip(first).take(COLUMNS).map(printable).collect();
    let (lead, tail) = (if first > 0 { "..." } else { "" }, if is_longer(line, first) { "..." } else { "" });
    let space = " ".repeat(lead.len() + from - first);
    let marks = "^".repeat(to.min(first + COLUMNS).saturating_sub(from).max(1));
    format!("  {lead}{shown}{tail}\n  {space}{marks}")
}

fn is_longer(line: &str, first: usize) -> bool {
    line.chars().nth(first + COLUMNS).is_some()
}

/// One column of a terminal stays one.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if Said::line(c.encode_utf8(&mut [0; 4])).to_string().chars().count() != 1 => '\u{fffd}',
        c => c,
    }
}

/// Other people's words, each of their lines cut where nobody reads on.
pub(crate) fn brief(text: &str) -> String {
    let cut = |line: &str| match line.char_indices().nth(COLUMNS) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}...", &line[..end]),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_quoted_with_a_mark_under_it() {
        assert_eq!(
            wrong_at("it", "(module\n\t(fun))", 10, "unexpected token"),
            "it:2:3: unexpected token\n   (fun))\n    ^"
        );
        assert_eq!(wrong_at("it", "", 0, "nothing"), "it:1:1: nothing\n  \n  ^");
        assert_eq!(wrong_at("it", "a", 9, "end"), "it:1:2: end\n  a\n   ^");
    }

    #[test]
    fn of_a_long_line_a_part_is_quoted() {
        let text = format!("{}!{}", "a".repeat(100_000), "b".repeat(100_000));
        let told = wrong_at("it", &text, 100_000, &"w".repeat(100_000));
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.chars().count() <= 200), "{told}");
        let at = lines[2].find('^').unwrap();
        assert_eq!(lines[1].as_bytes()[at], b'!');
    }

    #[test]
    fn what_steers_a_terminal_is_a_mark_of_one_column() {
        let told = wrong_at("it", "a\u{1b}[31m\u{202e}!", 8, "x");
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[1], "  a\u{fffd}[31m\u{fffd}!");
        assert_eq!(lines[1].chars().nth(lines[2].find('^').unwrap()), Some('\u{fffd}'));
    }
}
