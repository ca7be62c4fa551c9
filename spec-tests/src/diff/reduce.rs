//! Makes a module smaller that shows something, as long as it still shows it.
//!
//! Bodies are emptied, stretches of operators are left out or made `unreachable`, exports are dropped. Every candidate is valid
//! before it is tried, and the number of tries is bounded.

use crate::binary::{EXPORT, Sections, leb, operator_offsets, push_leb};
use std::time::{Duration, Instant};
use wasmparser::{Validator, WasmFeatures};

/// How long a module may be worked on.
const TIME: Duration = Duration::from_secs(60);

struct Work<'s> {
    shows: &'s mut dyn FnMut(&[u8]) -> bool,
    until: Instant,
    best: Sections,
}

impl Work<'_> {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Takes a candidate if it still shows it.
    fn take(&mut self, candidate: Sections) -> bool {
        if self.is_over() || candidate == self.best {
            return false;
        }
        let binary = candidate.binary();
        let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(&binary).is_ok();
        if valid && (self.shows)(&binary) {
            self.best = candidate;
            return true;
        }
        false
    }

    fn take_body(&mut self, number: usize, body: Vec<u8>) -> bool {
        let mut candidate = self.best.clone();
        let Some(mut bodies) = candidate.bodies() else { return false };
        bodies[number] = body;
        candidate.set_bodies(&bodies);
        self.take(candidate)
    }

    fn body(&self, number: usize) -> Option<Vec<u8>> {
        self.best.bodies()?.get(number).cloned()
    }

    /// Leaves out what operators of one body can be left out: long stretches first.
    fn shorten(&mut self, number: usize) {
        let Some(mut length) =
            self.body(number).and_then(|body| operator_offsets(&body)).map(|at| at.len() / 2)
        else {
            return;
        };
        while length > 0 && !self.is_over() {
            let mut first = 0;
            loop {
                let Some(body) = self.body(number) else { return };
                let Some(offsets) = operator_offsets(&body) else { return };
                // The last operator is the body's `end`.
                if first + length + 1 >= offsets.len() || self.is_over() {
                    break;
                }
                let (from, to) = (offsets[first], offsets[first + length]);
                // Nothing at all; a constant in place of what gave a value; nothing behind here.
                let instead: [&[u8]; 7] =
                    [&[], &[0x1a], &[0x1a, 0x1a], &[0x41, 0], &[0x42, 0], &[0x43, 0, 0, 0, 0], &[0x00]];
                let shorter = instead
                    .iter()
                    .filter(|new| new.len() < to - from)
                    .any(|new| self.take_body(number, [&body[..from], *new, &body[to..]].concat()));
                if !shorter {
                    first += (length / 2).max(1);
                }
            }
            length /= 2;
        }
    }
}

/// The smallest module that was found to show what `binary` shows.
pub fn reduce(binary: &[u8], mut shows: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let Some(sections) = Sections::of(binary) else { return binary.to_vec() };
    let mut work = Work { shows: &mut shows, until: Instant::now() + TIME, best: sections };
    let custom = Sections(work.best.0.iter().filter(|section| section.id != 0).cloned().collect());
    work.take(custom);
    for export in (0..exports(&work.best).map_or(0, |exports| exports.len())).rev() {
        let mut candidate = work.best.clone();
        if let Some(mut list) = exports(&candidate).filter(|list| export < list.len()) {
            list.remove(export);
            set_exports(&mut candidate, &list);
            work.take(candidate);
        }
    }
    let bodies = work.best.bodies().map_or(0, |bodies| bodies.len());
    // Without locals: `unreachable`, `end`.
    for number in (0..bodies).rev() {
        work.take_body(number, vec![0, 0x00, 0x0b]);
    }
    let mut before = usize::MAX;
    while work.best.binary().len() < before && !work.is_over() {
        before = work.best.binary().len();
        for number in (0..bodies).rev() {
            work.shorten(number);
        }
    }
    for id in [9, 12, 11, 8] {
        let mut candidate = work.best.clone();
        candidate.0.retain(|section| section.id != id);
        work.take(candidate);
    }
    work.best.binary()
}

/// The entries of the section of exports.
fn exports(sections: &Sections) -> Option<Vec<Vec<u8>>> {
    let mut rest = sections.content(EXPORT)?;
    let count = leb(&mut rest)?;
    let mut list = Vec::new();
    for _ in 0..count {
        let whole = rest;
        let length = leb(&mut rest)?;
        rest = rest.get(length + 1..)?;
        leb(&mut rest)?;
        list.push(whole[..whole.len() - rest.len()].to_vec());
    }
    Some(list)
}

fn set_exports(sections: &mut Sections, list: &[Vec<u8>]) {
    let mut content = Vec::new();
    push_leb(&mut content, list.len());
    content.extend(list.iter().flatten());
    sections.set(EXPORT, content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let text = r#"(module (memory 1)
            (func (export "a") (param i32) (result i32) (i32.add (i32.const 1) (i32.ctz (local.get 0))))
            (func (export "b") (result i64)
                (block (i32.store (i32.const 8) (i32.const 9)))
                (i64.clz (i64.const 77))))"#;
        let binary = wat::parse_str(text).unwrap();
        // It shows something as long as it counts leading zeros: 0x79.
        let shows = |binary: &[u8]| {
            Sections::of(binary).unwrap().bodies().unwrap().iter().any(|body| body.contains(&0x79))
        };
        let small = reduce(&binary, shows);
        assert!(shows(&small) && wasmparser::validate(&small).is_ok());
        assert!(small.len() + 20 < binary.len(), "{} of {}", small.len(), binary.len());
    }
}
