//! A module's binary taken apart and put together again, no deeper than fuzzers need: sections, function bodies, operators
//! (core specification, Binary Format). What cannot be read is left alone.

use wasmparser::{BinaryReader, FunctionBody};

/// A module as its sections, in file order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sections(pub Vec<Section>);

/// A section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its number.
    pub id: u8,
    /// What is behind its length.
    pub content: Vec<u8>,
}

/// Number of the section of exports.
pub const EXPORT: u8 = 7;
/// Number of the section of memories.
pub const MEMORY: u8 = 5;
/// Number of the section of function bodies.
pub const CODE: u8 = 10;

/// The order in which sections stand.
const ORDER: [u8; 14] = [0, 1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

const HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";

impl Sections {
    /// Takes a module apart; `None` when its frame is broken.
    pub fn of(wasm: &[u8]) -> Option<Sections> {
        let mut rest = wasm.strip_prefix(&HEADER)?;
        let mut sections = Vec::new();
        while let Some((&id, behind)) = rest.split_first() {
            rest = behind;
            let length = leb(&mut rest)?;
            let content = rest.get(..length)?.to_vec();
            rest = &rest[length..];
            sections.push(Section { id, content });
        }
        Some(Sections(sections))
    }

    /// The binary again.
    pub fn binary(&self) -> Vec<u8> {
        let mut wasm = HEADER.to_vec();
        for section in &self.0 {
            wasm.push(section.id);
            push_leb(&mut wasm, section.content.len());
            wasm.extend(&section.content);
        }
        wasm
    }

    /// A section's content.
    pub fn content(&self, id: u8) -> Option<&[u8]> {
        self.0.iter().find(|section| section.id == id).map(|section| section.content.as_slice())
    }

    /// Puts a section's content in place of the present one, or makes the section where it belongs.
    pub fn set(&mut self, id: u8, content: Vec<u8>) {
        if let Some(section) = self.0.iter_mut().find(|section| section.id == id) {
            section.content = content;
            return;
        }
        let rank = |id: u8| ORDER.iter().position(|&known| known == id).unwrap_or(ORDER.len());
        let at = self.0.iter().position(|section| section.id != 0 && rank(section.id) > rank(id));
        self.0.insert(at.unwrap_or(self.0.len()), Section { id, content });
    }

    /// Appends an item to a section that is a vector.
    pub fn push_item(&mut self, id: u8, item: &[u8]) -> Option<()> {
        let old = self.content(id).unwrap_or(&[0]).to_vec();
        let mut rest = old.as_slice();
        let count = leb(&mut rest)?;
        let mut content = Vec::new();
        push_leb(&mut content, count + 1);
        content.extend(rest);
        content.extend(item);
        self.set(id, content);
        Some(())
    }

    /// The function bodies without their lengths.
    pub fn bodies(&self) -> Option<Vec<Vec<u8>>> {
        let Some(mut rest) = self.content(CODE) else { return Some(Vec::new()) };
        let count = leb(&mut rest)?;
        let mut bodies = Vec::new();
        for _ in 0..count {
            let length = leb(&mut rest)?;
            bodies.push(rest.get(..length)?.to_vec());
            rest = &rest[length..];
        }
        Some(bodies)
    }

    /// Puts function bodies in place of the present ones.
    pub fn set_bodies(&mut self, bodies: &[Vec<u8>]) {
        let mut content = Vec::new();
        push_leb(&mut content, bodies.len());
        for body in bodies {
            push_leb(&mut content, body.len());
            content.extend(body);
        }
        self.set(CODE, content);
    }
}

/// Where the operators of a body begin, and at last where the body ends; `None` when it cannot be read.
pub fn operator_offsets(body: &[u8]) -> Option<Vec<usize>> {
    let reader = FunctionBody::new(BinaryReader::new(body, 0));
    let mut operators = reader.get_operators_reader().ok()?;
    let mut offsets = Vec::new();
    while !operators.eof() {
        let (_, offset) = operators.read_with_offset().ok()?;
        offsets.push(usize::try_from(offset).ok()?);
    }
    offsets.push(body.len());
    Some(offsets)
}

/// Reads an unsigned LEB128 number.
pub fn leb(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0usize;
    for shift in (0..35).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Writes one.
pub fn push_leb(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Writes a signed one.
pub fn push_signed_leb(bytes: &mut Vec<u8>, mut number: i64) {
    loop {
        let byte = number as u8 & 0x7f;
        number >>= 7;
        if (number == 0 && byte & 0x40 == 0) || (number == -1 && byte & 0x40 != 0) {
            return bytes.push(byte);
        }
        bytes.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module() -> Vec<u8> {
        wat::parse_str(
            "(module (memory 1) (func (export \"f\") (result i32) (local i64) i32.const 300 i32.const -1 i32.add))",
        )
        .unwrap()
    }

    #[test]
    fn a_module_is_the_same_after_it_was_taken_apart() {
        let wasm = module();
        let mut sections = Sections::of(&wasm).unwrap();
        assert_eq!(sections.binary(), wasm);
        let bodies = sections.bodies().unwrap();
        sections.set_bodies(&bodies);
        assert_eq!(sections.binary(), wasm);
    }

    #[test]
    fn a_section_that_was_not_there_is_put_where_it_belongs() {
        let mut sections = Sections::of(&module()).unwrap();
        sections.0.retain(|section| section.id != MEMORY);
        sections.push_item(MEMORY, &[0, 1]).unwrap();
        assert!(wasmparser::validate(&sections.binary()).is_ok());
        assert!(Sections::of(b"\0asm\x01\0\0\0\x05\x7f").is_none());
    }

    #[test]
    fn a_body_is_cut_between_its_operators() {
        let bodies = Sections::of(&module()).unwrap().bodies().unwrap();
        // One group of locals in three bytes, two constants of three and two bytes, the addition, the end.
        assert_eq!(operator_offsets(&bodies[0]).unwrap(), [3, 6, 8, 9, 10]);
    }

    #[test]
    fn signed_numbers_keep_their_sign() {
        for (number, bytes) in [(0, vec![0]), (-1, vec![0x7f]), (64, vec![0xc0, 0]), (-65, vec![0xbf, 0x7f])]
        {
            let mut written = Vec::new();
            push_signed_leb(&mut written, number);
            assert_eq!(written, bytes, "{number}");
        }
    }
}
