//! Core binaries written by hand (core specification 5): sizes that the text format's tools would take minutes for, and counts
//! that lie.

/// An unsigned LEB128 number.
pub(crate) fn leb(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        bytes.push(if n == 0 { low } else { low | 0x80 });
        if n == 0 {
            return bytes;
        }
    }
}

/// `parts` one after the other.
pub(crate) fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A vector: how many, then `items` as they are.
pub(crate) fn vector(count: u64, items: &[u8]) -> Vec<u8> {
    cat(&[&leb(count), items])
}

/// A vector of `count` equal items.
pub(crate) fn many(count: usize, item: &[u8]) -> Vec<u8> {
    vector(count as u64, &item.repeat(count))
}

/// A name or any other bytes with their length in front.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    cat(&[&leb(bytes.len() as u64), bytes])
}

/// A section.
pub(crate) fn section(id: u8, content: &[u8]) -> Vec<u8> {
    cat(&[&[id], &sized(content)])
}

/// A module of sections.
pub(crate) fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    cat(&[b"\0asm\x01\0\0\0", &sections.concat()])
}

/// A body: groups of locals (how many, type), then `code`, to which the last `end` is added.
pub(crate) fn body(locals: &[(u64, u8)], code: &[u8]) -> Vec<u8> {
    let groups: Vec<u8> = locals.iter().flat_map(|&(n, ty)| cat(&[&leb(n), &[ty]])).collect();
    sized(&cat(&[&vector(locals.len() as u64, &groups), code, &[END]]))
}

/// A custom section.
pub(crate) fn custom(name: &str, content: &[u8]) -> Vec<u8> {
    section(0, &cat(&[&sized(name.as_bytes()), content]))
}

/// A function type.
pub(crate) fn func_type(params: &[u8], results: &[u8]) -> Vec<u8> {
    cat(&[&[0x60], &sized(params), &sized(results)])
}

/// A module of one exported function `run` of type `ty`, with a memory of a page and a table of one funcref.
pub(crate) fn one_function(ty: &[u8], body: &[u8]) -> Vec<u8> {
    module(&[
        section(TYPE, &vector(1, ty)),
        section(FUNCTION, &[1, 0]),
        section(TABLE, &[1, FUNCREF, 0, 1]),
        section(MEMORY, &[1, 0, 1]),
        section(EXPORT, &vector(1, &cat(&[&sized(b"run"), &[0, 0]]))),
        section(CODE, &vector(1, body)),
    ])
}

pub(crate) const TYPE: u8 = 1;
pub(crate) const IMPORT: u8 = 2;
pub(crate) const FUNCTION: u8 = 3;
pub(crate) const TABLE: u8 = 4;
pub(crate) const MEMORY: u8 = 5;
pub(crate) const GLOBAL: u8 = 6;
pub(crate) const EXPORT: u8 = 7;
pub(crate) const START: u8 = 8;
pub(crate) const ELEMENT: u8 = 9;
pub(crate) const CODE: u8 = 10;
pub(crate) const DATA: u8 = 11;

pub(crate) const I32: u8 = 0x7f;
pub(crate) const I64: u8 = 0x7e;
pub(crate) const FUNCREF: u8 = 0x70;

pub(crate) const UNREACHABLE: u8 = 0x00;
pub(crate) const BLOCK: u8 = 0x02;
pub(crate) const LOOP: u8 = 0x03;
pub(crate) const IF: u8 = 0x04;
pub(crate) const END: u8 = 0x0b;
pub(crate) const BR_IF: u8 = 0x0d;
pub(crate) const BR_TABLE: u8 = 0x0e;
pub(crate) const CALL: u8 = 0x10;
pub(crate) const DROP: u8 = 0x1a;
pub(crate) const LOCAL_GET: u8 = 0x20;
pub(crate) const GLOBAL_GET: u8 = 0x23;
pub(crate) const I32_CONST: u8 = 0x41;
pub(crate) const I32_ADD: u8 = 0x6a;
pub(crate) const REF_FUNC: u8 = 0xd2;
/// Block type without parameters and results.
pub(crate) const EMPTY: u8 = 0x40;
