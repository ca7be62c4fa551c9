//! Rust sources as the architecture test reads them: code without comments, without the insides of strings, without tests.

/// The text with comments, string contents and character literals blanked out; every line keeps its number and length.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code: Vec<u8> = Vec::with_capacity(bytes.len());
    let blank = |code: &mut Vec<u8>, part: &[u8]| {
        code.extend(part.iter().map(|&byte| if byte == b'\n' { b'\n' } else { b' ' }));
    };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest, at.checked_sub(1).map(|before| bytes[before])) {
            length
        } else if rest[0] == b'"' {
            quoted(rest, b'"')
        } else if rest[0] == b'\'' {
            character(rest)
        } else {
            0
        };
        if length == 0 {
            code.push(rest[0]);
            at += 1;
        } else {
            blank(&mut code, &rest[..length]);
            at += length;
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// The same without what stands under `#[cfg(test)]` at the end of a file, where this project keeps its unit tests.
pub fn code_without_tests(text: &str) -> String {
    let mut code = code_only(text);
    if let Some(tests) = code.find("#[cfg(test)]\nmod ") {
        code.truncate(tests);
    }
    code
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"..."`, `r#"..."#`, `br"..."`: their length, if this is one.
fn raw_string(rest: &[u8], before: Option<u8>) -> Option<usize> {
    if before.is_some_and(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
        return None;
    }
    let prefix = if rest.starts_with(b"br") { 2 } else { usize::from(rest[0] == b'r') };
    let hashes = rest[prefix..].iter().take_while(|&&byte| byte == b'#').count();
    if prefix == 0 || rest.get(prefix + hashes) != Some(&b'"') {
        return None;
    }
    let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let body = prefix + hashes + 1;
    let close = rest[body..].windows(end.len()).position(|window| window == end);
    Some(close.map_or(rest.len(), |close| body + close + end.len()))
}

/// A character literal's length, 0 for the quote of a lifetime.
fn character(rest: &[u8]) -> usize {
    match rest.get(1) {
        Some(b'\\') => quoted(rest, b'\''),
        Some(&byte) => {
            let width = match byte {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
        }
        None => 0,
    }
}

/// The words that follow `prefix` in the code, with their lines: `names(code, "crate::")` finds `store` in `crate::store::X`
/// and both names in `crate::{store, vm::Y}`.
pub fn names(code: &str, prefix: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let inside_word = code[..at].ends_with(|c: char| c == '_' || c == '$' || c.is_alphanumeric());
        if inside_word {
            continue;
        }
        let line = 1 + code[..at].matches('\n').count();
        let rest = &code[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            for (offset, name) in group_heads(group) {
                found.push((line + group[..offset].matches('\n').count(), name));
            }
        } else {
            found.extend(word(rest).map(|name| (line, name)));
        }
    }
    found
}

fn word(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|&c| c == '_' || c.is_alphanumeric()).collect();
    (!name.is_empty()).then_some(name)
}

/// First words of the items of a `use` group, whose opening brace is already read.
fn group_heads(group: &str) -> Vec<(usize, String)> {
    let (mut heads, mut depth, mut head) = (Vec::new(), 0usize, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => head = true,
            c if head && depth == 0 && !c.is_whitespace() => {
                heads.extend(word(&group[at..]).map(|name| (at, name)));
                head = false;
            }
            _ => {}
        }
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_lines_stay() {
        let text = "a // unsafe\n\"unsafe \\\" x\" b /* un\n/* safe */ */ c r#\"un\"safe\"# d";
        let code = code_only(text);
        assert!(!code.contains("safe") && !code.contains("un"), "{code}");
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(code.lines().count(), text.lines().count());
        assert_eq!(code.len(), text.len());
    }

    #[test]
    fn lifetimes_are_no_character_literals() {
        let code = code_only("fn f<'a>(x: &'a str) { g('\"', '\\'', 'ä', b'x') } // 'y");
        assert_eq!(code.split_whitespace().collect::<String>(), "fnf<'a>(x:&'astr){g(,,,b)}");
    }

    #[test]
    fn names_after_a_path_are_found_one_by_one_and_in_groups() {
        let code = "use crate::store::Store;\nuse crate::{\n    vm::{VmFunc, self}, trap,\n};\nx_crate::no; $crate::no;";
        let found = names(code, "crate::");
        assert_eq!(found, [(1, "store".into()), (3, "vm".into()), (3, "trap".into())]);
    }

    #[test]
    fn unit_tests_at_the_end_do_not_count() {
        assert_eq!(code_without_tests("a\n#[cfg(test)]\nmod tests { b }").trim(), "a");
    }
}
