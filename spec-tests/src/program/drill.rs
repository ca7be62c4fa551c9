//! Drills: programs that execute given operators often.
//!
//! A random program reaches a rare operator rarely. A drill is a function that executes a few given operators in a straight line
//! within a counted loop, over operands of the right types from two locals of each type, constants and memories. Operands are
//! mostly such that nothing traps; now and then they are whatever is there. All locals are results, so what was computed is seen.
//!
//! The plain operators are those of `rows.rs`; the others are written out in [`custom`], so that every operator of the table has a
//! drill, which a test proves.

mod custom;
mod heap;
mod switching;

use super::Type::{self, *};
use super::constant::constant;
use super::rows::{Immediate, Row, rows};
use super::{Abilities, Choices, Program};
use mini_wasm_runtime::ops::Op;
use std::fmt::Write;

/// What addresses of memories with pages of 64 KiB are cut to.
const MASK: usize = 0x7fff;
/// Bytes of the memory whose pages have one.
const TINY: usize = 4096;

/// A program that drills operators while it grows.
struct Drill<'c, 'b> {
    choices: &'c mut Choices<'b>,
    abilities: Abilities,
    /// Whether there are structures and arrays.
    heap: bool,
    /// Functions that operators need which end the function they stand in.
    assistants: String,
    /// Names that were given to labels and assistants.
    names: usize,
    /// Does the function in growth end in a trap?
    traps: bool,
}

/// The memories: name, type of an address, what an address is cut to.
type Place = (&'static str, Type, usize);

impl Program {
    /// A program that executes these operators often, as far as its abilities allow.
    pub fn drill(choices: &mut Choices<'_>, abilities: Abilities, wanted: &[Op]) -> Program {
        let on_the_heap = |op: &Op| {
            ["ref", "struct", "array", "i31", "any", "extern", "br_on"]
                .iter()
                .any(|part| op.mnemonic().starts_with(part))
        };
        let heap = abilities.gc && (wanted.iter().any(on_the_heap) || choices.one_in(4));
        let mut drill = Drill { choices, abilities, heap, assistants: String::new(), names: 0, traps: false };
        let functions: Vec<String> =
            (0..1 + drill.choices.below(3)).map(|number| drill.function(number, wanted)).collect();
        let mut text = drill.module();
        text.push_str(&functions.concat());
        text.push_str(&drill.assistants);
        text.push_str(")\n");
        Program { text }
    }
}

impl Drill<'_, '_> {
    /// What functions name: types, memories, tables, tags, segments, small functions to be called.
    fn module(&self) -> String {
        let Abilities { exceptions, legacy_exceptions, memory64, threads, page_sizes, .. } = self.abilities;
        let mut text = String::from(
            "(module
  (type $leaf (func (param i32 i64) (result i64)))
  (import \"host\" \"log\" (func $log (param i64) (result i32)))
  (memory $m0 (export \"m0\") 1 3)
  (memory $m1 (export \"m1\") 1 3)
  (table $calls funcref (elem $sum $difference $sum $difference $other))
  (table $refs (export \"refs\") 8 12 funcref)
  (elem $functions func $sum $difference $sum $sum $difference $difference $sum $difference)
  (elem $dropped func $sum $sum)
  (elem declare func $sum $difference)
  (func $other (param i32) (result i32) local.get 0)
  (func $sum (type $leaf) local.get 0 i64.extend_i32_s local.get 1 i64.add)
  (func $difference (type $leaf) local.get 1 local.get 0 i64.extend_i32_u i64.sub)
",
        );
        let mut line = |content: &str| {
            let _ = writeln!(text, "  {content}");
        };
        if self.abilities.gc {
            // A function of a type below another, to be called and cast by either.
            line("(type $upper (sub (func (param i64) (result i64))))");
            line("(type $lower (sub $upper (func (param i64) (result i64))))");
            line("(func $below (type $lower) local.get 0 i64.const 5 i64.rotl)");
            line("(func $beside (type $upper) local.get 0 i64.const 9 i64.sub)");
            line("(table $mixed funcref (elem $below $beside $below $below))");
        }
        if memory64 {
            line("(memory $m64 (export \"m64\") i64 1 3)");
            line("(table $refs64 (export \"refs64\") i64 8 12 funcref)");
        }
        if threads {
            line("(memory $shared 1 3 shared)");
        }
        if page_sizes {
            line(&format!("(memory $tiny (export \"tiny\") {TINY} {} (pagesize 1))", 2 * TINY));
        }
        for ty in self.numbers() {
            line(&format!("(global $g_{ty} (export \"g_{ty}\") (mut {ty}) ({}))", zero(*ty)));
        }
        if exceptions || legacy_exceptions {
            line("(tag $e0)");
            line("(tag $e1 (param i64))");
        }
        let bytes: String = (0..128u32).map(|byte| format!("\\{:02x}", (byte * 151) & 0xff)).collect();
        line(&format!("(data $bytes \"{bytes}\")"));
        line("(data $gone \"12345678\")");
        text.push_str(&self.heap_types());
        text.push_str(&self.switching_types());
        text
    }

    /// The types of numbers and vectors.
    fn numbers(&self) -> &'static [Type] {
        if self.abilities.vectors { &[I32, I64, F32, F64, V128] } else { &[I32, I64, F32, F64] }
    }

    fn number(&mut self) -> Type {
        self.choices.of(self.numbers())
    }

    /// A function that executes these operators in a loop.
    fn function(&mut self, number: usize, wanted: &[Op]) -> String {
        let numbers = self.numbers();
        let mut text = format!("  (func $drill{number} (export \"drill{number}\")");
        let mut results = String::new();
        for ty in numbers {
            let _ = write!(text, " (param ${ty}_0 {ty})");
            let _ = write!(results, " {ty} {ty}");
        }
        text.push_str(" (param $func_0 funcref) (param $extern_0 externref)");
        if self.heap {
            results.push_str(" anyref");
        }
        let _ = write!(text, " (result{results})");
        for ty in numbers {
            let _ = write!(text, " (local ${ty}_1 {ty})");
        }
        text.push_str(" (local $func_1 funcref) (local $extern_1 externref) (local $again i32)");
        text.push_str(&self.switching_locals());
        text.push_str(&self.heap_locals());
        for ty in numbers {
            let constant = constant(self.choices, *ty);
            let _ = write!(text, "\n    {constant} local.set ${ty}_1");
        }
        let _ = write!(text, "\n    i32.const {} local.set $again", self.choices.of(&[24, 3, 10, 40, 60]));
        text.push_str("\n    loop $loop\n");
        // It is executed once in a call, so most functions of such a drill end in it.
        self.traps = wanted.contains(&Op::Unreachable) && !self.choices.one_in(3);
        for _ in 0..2 + self.choices.below(7) {
            let Some(&op) = wanted.get(self.choices.below(wanted.len())) else { break };
            for _ in 0..1 + self.choices.below(3) {
                if let Some(code) = self.code(op) {
                    let code = self.wrapped(code);
                    let _ = writeln!(text, "      {code}");
                }
            }
        }
        text.push_str(
            "      local.get $again i32.const 1 i32.sub local.tee $again br_if $loop\n    end\n   ",
        );
        if self.traps {
            text.push_str(" unreachable");
        }
        for ty in numbers {
            let _ = write!(text, " local.get ${ty}_0 local.get ${ty}_1");
        }
        if self.heap {
            text.push_str(" local.get $any");
        }
        text.push_str(")\n");
        text
    }

    /// The same within a block now and then: engines translate labels and handlers around what they hold.
    fn wrapped(&mut self, code: String) -> String {
        match self.choices.below(12) {
            10 => format!("block {code} end"),
            11 if self.abilities.exceptions => {
                let n = self.name();
                format!("block $w{n} try_table (catch_all $w{n}) {code} end end")
            }
            _ => code,
        }
    }

    /// A fresh number for a name.
    fn name(&mut self) -> usize {
        self.names += 1;
        self.names
    }

    /// Should this operand be whatever is there? A function ends at its first trap, so that is rare.
    fn careless(&mut self) -> bool {
        self.choices.one_in(40)
    }

    /// Code that executes an operator; `None` when the program does without what it needs.
    fn code(&mut self, op: Op) -> Option<String> {
        match rows().iter().find(|row| row.mnemonic == op.mnemonic()) {
            Some(row) => self.plain(row),
            None => self.custom(op),
        }
    }

    fn plain(&mut self, row: &'static Row) -> Option<String> {
        let Abilities { vectors, wide, threads, .. } = self.abilities;
        if (row.is_vector() && !vectors) || (row.is_wide() && !wide) || (row.is_atomic() && !threads) {
            return None;
        }
        let mut code = String::new();
        let mut immediate = String::new();
        let mut params = row.params.as_slice();
        if row.access > 0 {
            let (memory, address, mask) = self.place();
            params = &params[1..];
            code.push_str(&self.address(address, mask, row.access, row.is_atomic()));
            let offsets = if row.is_atomic() { [0, 16, 64, 0] } else { [0, 1, 7, 100] };
            let offset = self.choices.of(&offsets);
            immediate = format!(" {memory} offset={offset}");
        }
        match row.immediate {
            Immediate::Nothing => {}
            Immediate::Lane(lanes) => {
                let _ = write!(immediate, " {}", self.choices.below(lanes));
            }
            Immediate::Lanes => {
                for _ in 0..16 {
                    let _ = write!(immediate, " {}", self.choices.below(32));
                }
            }
        }
        for (place, &ty) in params.iter().enumerate() {
            let operand = if row.converts() { self.convertible(ty) } else { self.operand(ty) };
            let _ = write!(code, " {operand}");
            if row.divides() && place == 1 && !self.careless() {
                let _ = write!(code, " {ty}.const 1 {ty}.or");
            }
        }
        let _ = write!(code, " {}{immediate}", row.mnemonic);
        for &ty in row.results.iter().rev() {
            let taken = self.taken(ty);
            let _ = write!(code, " {taken}");
        }
        Some(code)
    }

    /// A float that can be converted to any integer, mostly.
    fn convertible(&mut self, ty: Type) -> String {
        if self.careless() {
            return self.operand(ty);
        }
        let number = self.operand(I32);
        let part = self.choices.of(&["0", "0.5", "0.99", "0.25"]);
        format!("{number} i32.const 0xffffff i32.and {ty}.convert_i32_u {ty}.const {part} {ty}.sub")
    }

    /// A memory.
    fn place(&mut self) -> Place {
        let Abilities { memory64, threads, page_sizes, .. } = self.abilities;
        match self.choices.below(8) {
            1 => ("$m1", I32, MASK),
            2 | 3 if memory64 => ("$m64", I64, MASK),
            4 if threads => ("$shared", I32, MASK),
            5 if page_sizes => ("$tiny", I32, TINY / 2 - 1),
            _ => ("$m0", I32, MASK),
        }
    }

    /// An address for an access of so many bytes.
    fn address(&mut self, ty: Type, mask: usize, access: usize, aligned: bool) -> String {
        let address = self.operand(ty);
        if self.careless() {
            return address;
        }
        let mask = if aligned { mask + 1 - access } else { mask };
        format!("{address} {ty}.const {mask} {ty}.and")
    }

    /// A number from 0 to this, which is a power of two less one.
    fn small(&mut self, ty: Type, mask: usize) -> String {
        let number = self.operand(ty);
        if self.careless() { number } else { format!("{number} {ty}.const {mask} {ty}.and") }
    }

    /// Something of a type.
    fn operand(&mut self, ty: Type) -> String {
        match ty {
            FuncRef => self
                .choices
                .of(&["local.get $func_0", "ref.func $sum", "local.get $func_1", "ref.null func"])
                .to_owned(),
            ExternRef => {
                self.choices.of(&["local.get $extern_0", "local.get $extern_1", "ref.null extern"]).to_owned()
            }
            AnyRef | EqRef | I31Ref | Heap(_) => self.object(),
            _ => match self.choices.below(8) {
                0..=2 => format!("local.get ${ty}_0"),
                3 | 4 => format!("local.get ${ty}_1"),
                5 | 6 => constant(self.choices, ty),
                _ => self.computed(ty),
            },
        }
    }

    /// What another operator gives: engines merge operators with those that made their operands.
    fn computed(&mut self, ty: Type) -> String {
        let Abilities { vectors, .. } = self.abilities;
        let fits = |row: &&Row| row.is_total() && row.results == [ty] && (vectors || !row.is_vector());
        let fitting: Vec<&Row> = rows().iter().filter(fits).collect();
        let row = self.choices.of(&fitting);
        let operands: String = row.params.iter().map(|&ty| self.operand(ty) + " ").collect();
        format!("{operands}{}", row.mnemonic)
    }

    /// Puts what lies on the stack away: into a local, sometimes into memory, too.
    fn taken(&mut self, ty: Type) -> String {
        let which = self.choices.below(2);
        match ty {
            FuncRef => format!("local.set $func_{which}"),
            ExternRef => format!("local.set $extern_{which}"),
            AnyRef | EqRef | I31Ref | Heap(_) => "local.set $any".to_owned(),
            // What compilers do with most of what is compared: a branch on it or on its contrary.
            I32 if self.choices.one_in(5) => {
                let kept = self.number();
                let (one, other) = (self.operand(kept), self.operand(kept));
                match self.choices.below(3) {
                    0 => format!("if {one} local.set ${kept}_{which} end"),
                    1 => format!(
                        "i32.eqz if {one} local.set ${kept}_{which} else {other} local.set ${kept}_0 end"
                    ),
                    _ => {
                        let n = self.name();
                        let contrary = self.choices.of(&["", "i32.eqz"]);
                        format!(
                            "block $n{n} (param i32) {contrary} br_if $n{n} {one} local.set ${kept}_{which} end"
                        )
                    }
                }
            }
            _ if self.choices.one_in(6) => {
                let address = self.choices.below(1000);
                format!("local.set ${ty}_{which} i32.const {address} local.get ${ty}_{which} {ty}.store $m0")
            }
            _ => format!("local.set ${ty}_{which}"),
        }
    }
}

fn zero(ty: Type) -> String {
    if ty == V128 { "v128.const i64x2 0 0".to_owned() } else { format!("{ty}.const 0") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use wasmparser::{Validator, WasmFeatures};

    fn drill(seed: u64, abilities: Abilities, op: Op) -> Result<String, String> {
        let bytes = Random::new(seed).bytes(600);
        let text = Program::drill(&mut Choices::new(&bytes), abilities, &[op]).text;
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}\n{text}", op.mnemonic());
        let binary = wat::parse_str(&text).map_err(|error| wrong(&error))?;
        match Validator::new_with_features(WasmFeatures::all()).validate_all(&binary) {
            Ok(_) => Ok(text),
            Err(error) => Err(wrong(&error)),
        }
    }

    #[test]
    fn every_operator_of_the_table_has_a_drill() {
        let abilities = Abilities::of(crate::diff::features(&[]));
        let mut wrong = Vec::new();
        for (number, &op) in Op::ALL.iter().enumerate() {
            let texts = (0..8).map(|seed| drill(seed << 16 | number as u64, abilities, op));
            let has = |text: &String| text.split_whitespace().any(|word| word == op.mnemonic());
            match texts.collect::<Result<Vec<String>, String>>() {
                Ok(texts) if texts.iter().any(has) => {}
                Ok(_) => wrong.push(format!("{}: no drill", op.mnemonic())),
                Err(error) => wrong.push(error),
            }
        }
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), Op::ALL.len(), wrong.join("\n"));
    }

    #[test]
    fn drills_are_valid_without_everything() {
        let mut none = mini_wasm_runtime::features::Features::default();
        for (name, _, _) in mini_wasm_runtime::features::Features::LIST {
            none.set(name, false);
        }
        for &op in Op::ALL {
            drill(1, Abilities::of(none), op).unwrap();
        }
    }
}
