//! What a file is that is no WebAssembly, by how it begins: so that a message can say it.

use mini_wasm_wast::text::begins_like_text;

/// Binary files of other kinds: how they begin, what they are, and what would help.
const MAGIC: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "compressed by gzip: `gunzip` it first"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it first"),
    (b"\xfd7zXZ\0", "compressed by xz: unpack it first"),
    (b"BZh", "compressed by bzip2: unpack it first"),
    (b"PK\x03\x04", "a ZIP archive: unpack it first"),
    (b"!<arch>\n", "an archive of object files (.a): a linker (`wasm-ld`) makes a program of it"),
    (b"MZ", "a program for Windows (PE), not for WebAssembly"),
    (b"\xfe\xed\xfa\xce", "a program for macOS (Mach-O), not for WebAssembly"),
    (b"\xfe\xed\xfa\xcf", "a program for macOS (Mach-O), not for WebAssembly"),
    (b"\xce\xfa\xed\xfe", "a program for macOS (Mach-O), not for WebAssembly"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS (Mach-O), not for WebAssembly"),
    (b"\xca\xfe\xba\xbe", "a class of Java or a program for macOS, not for WebAssembly"),
    (b"BC\xc0\xde", "LLVM bitcode: a compiler and a linker (`wasm-ld`) make a program of it"),
    (b"\xff\xfe", "text in UTF-16, and UTF-8 is wanted"),
    (b"\xfe\xff", "text in UTF-16, and UTF-8 is wanted"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "an image (PNG)"),
    (b"SQLite format 3\0", "a database (SQLite)"),
];

/// What bytes are that are neither a binary of WebAssembly nor text.
pub(super) fn binary(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x7fELF") {
        return Some(elf(bytes));
    }
    // The names of a tar archive's files come first.
    if bytes.get(257..262) == Some(b"ustar") {
        return Some("an archive (tar): unpack it first");
    }
    MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, what)| *what)
}

/// An ELF file by its `e_type`.
fn elf(bytes: &[u8]) -> &'static str {
    let is_little = bytes.get(5) != Some(&2);
    let ty = bytes.get(16..18).map(|ty| if is_little { [ty[0], ty[1]] } else { [ty[1], ty[0]] });
    match ty.map(u16::from_le_bytes) {
        Some(1) => "an object file for this or another processor (ELF), not for WebAssembly",
        Some(4) => "a core dump (ELF) of a program that crashed",
        _ => "a program or library for this or another processor (ELF), not for WebAssembly",
    }
}

/// What text is that is no text of WebAssembly.
pub(super) fn text(text: &str) -> Option<String> {
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
    let first_line = || trimmed.lines().next().unwrap_or_default().trim_end();
    let first_word = || trimmed.split(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap_or_default();
    if trimmed.starts_with("#!") {
        let line: String = first_line().chars().take(100).collect();
        return Some(format!("a script (`{line}`), and not for WebAssembly"));
    }
    if begins_like_text(text) == Some(true) {
        return is_wast(text).then(|| "a script of the test suites: `mini-wasm wast` runs it".into());
    }
    match (trimmed.chars().next()?, first_word()) {
        ('{' | '[', _) => Some("JSON or the like, and no WebAssembly".into()),
        ('<', _) => Some("HTML or XML, and no WebAssembly".into()),
        (_, "package" | "interface" | "world") if !first_line().contains('(') => Some(
            "WIT or a script of wac's: `mini-wasm inspect --wit` shows the one, `mini-wasm compose` runs the other"
                .into(),
        ),
        _ => None,
    }
}

/// Whether text has directives of a script.
fn is_wast(text: &str) -> bool {
    ["(assert_return", "(assert_trap", "(assert_invalid", "(assert_malformed", "(assert_unlinkable"]
        .iter()
        .any(|directive| text.contains(directive))
}

/// What a core module is that is meant for other tools, by its custom sections.
pub(super) fn of_module(module: &[u8]) -> Option<&'static str> {
    let mut rest = module.get(8..)?;
    while let Some((&id, after)) = rest.split_first() {
        let (size, after) = leb(after)?;
        let content = after.get(..size)?;
        if id == 0
            && let Some((length, name)) = leb(content)
        {
            match name.get(..length)? {
                b"linking" => {
                    return Some("an object file of a compiler: a linker (`wasm-ld`) makes a program of it");
                }
                b"corestack" | b"coreinstances" => {
                    return Some("a core dump of a WebAssembly program that crashed");
                }
                b"dylink.0" | b"dylink" => {
                    return Some("a shared library (dynamic linking), which a program has to be linked with");
                }
                _ => {}
            }
        }
        rest = after.get(size..)?;
    }
    None
}

/// An unsigned LEB128 number of 32 bits, and what stands behind it.
fn leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u32;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_of_other_kinds_have_their_names() {
        let elf = |ty: u8| [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 9], &[ty, 0]].concat();
        for (bytes, what) in [
            (b"\x1f\x8b\x08\0".to_vec(), "gzip"),
            (b"MZ\x90\0".to_vec(), "Windows"),
            (elf(1), "object file"),
            (elf(2), "program"),
            (elf(3), "program"),
            (elf(4), "core dump"),
            (b"\x7fELF".to_vec(), "ELF"),
            ([&[0; 257], b"ustar".as_slice()].concat(), "tar"),
        ] {
            assert!(binary(&bytes).is_some_and(|found| found.contains(what)), "{what}");
        }
        assert_eq!(binary(b"\0asm"), None);
    }

    #[test]
    fn text_of_other_kinds_has_its_name() {
        for (is, what) in [
            ("#!/usr/bin/env python3\nimport os\n", "script (`#!/usr/bin/env python3`)"),
            ("{\"name\": 1}", "JSON"),
            (" [1]", "JSON"),
            ("<!DOCTYPE html>", "HTML"),
            ("package a:b;\ninterface c {}", "WIT"),
            ("(module) (assert_return (invoke \"f\"))", "mini-wasm wast"),
        ] {
            assert!(text(is).is_some_and(|found| found.contains(what)), "{is}");
        }
        assert_eq!(text("(module)"), None);
        assert_eq!(text("what is this"), None);
    }

    #[test]
    fn a_module_for_other_tools_is_known_by_its_sections() {
        let with = |name: &str| {
            let content = [&[name.len() as u8], name.as_bytes()].concat();
            [b"\0asm\x01\0\0\0".as_slice(), &[0, content.len() as u8], &content].concat()
        };
        assert!(of_module(&with("linking")).is_some_and(|what| what.contains("object file")));
        assert!(of_module(&with("corestack")).is_some_and(|what| what.contains("core dump")));
        assert_eq!(of_module(&with("name")), None);
        assert_eq!(of_module(b"\0asm\x01\0\0\0\x00\xff\xff\xff\xff\xff"), None);
    }
}
