//! The plain operators of the engine's table with their types, which the validator tells.
//!
//! A row of the table names an operator; what it takes and gives is not written here a second time but found out: behind
//! `unreachable` the validator accepts an operand of a type exactly where the operator takes one. So a new row is generated without
//! a change here, unless it has immediates of its own (control, references, bulk operators), which are written out by hand.

use super::Type::{self, *};
use mini_wasm_runtime::ops::Op;
use std::sync::OnceLock;
use wasmparser::{Validator, WasmFeatures};

/// What is written behind the mnemonic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Immediate {
    Nothing,
    /// A lane below this number.
    Lane(usize),
    /// Sixteen lanes of two vectors.
    Lanes,
}

/// A plain operator.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) mnemonic: &'static str,
    pub(super) immediate: Immediate,
    pub(super) params: Vec<Type>,
    pub(super) results: Vec<Type>,
    /// Bytes of memory that it reads or writes.
    pub(super) access: usize,
}

impl Row {
    /// Is it one of those that work on vectors?
    pub(super) fn is_vector(&self) -> bool {
        self.params.iter().chain(&self.results).any(|&ty| ty == V128)
    }

    /// Is it one of those that threads need?
    pub(super) fn is_atomic(&self) -> bool {
        self.mnemonic.contains("atomic")
    }

    /// Does it give one number for others, whatever they are?
    pub(super) fn is_total(&self) -> bool {
        self.results.len() == 1
            && !self.params.is_empty()
            && self.access == 0
            && self.immediate == Immediate::Nothing
            && !self.divides()
            && !self.converts()
    }

    /// Does it trap when its second operand is 0?
    pub(super) fn divides(&self) -> bool {
        matches!(self.params[..], [I32 | I64, I32 | I64])
            && [".div_", ".rem_"].iter().any(|part| self.mnemonic.contains(part))
    }

    /// Does it trap when no integer is near the float that it takes?
    pub(super) fn converts(&self) -> bool {
        self.mnemonic.contains(".trunc_f")
    }

    /// Is it one of those of 128-bit arithmetic?
    pub(super) fn is_wide(&self) -> bool {
        self.results.len() == 2
    }
}

const OPERANDS: [Type; 5] = [I32, I64, F32, F64, V128];

/// All rows, found once.
pub(super) fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| Op::ALL.iter().filter_map(|op| row(op.mnemonic())).collect())
}

fn row(mnemonic: &'static str) -> Option<Row> {
    let ty = mnemonic.split('.').next()?;
    let shaped = ty.contains('x') && ty.starts_with(['i', 'f']);
    let plain = shaped || ["i32", "i64", "f32", "f64", "v128"].contains(&ty) || mnemonic.contains("atomic");
    // A wait would block; it is written out by hand, with a timeout.
    if !plain || mnemonic.contains("wait") || mnemonic.ends_with(".const") {
        return None;
    }
    let lanes = format!(" {}", ["0"; 16].join(" "));
    let lane = [15, 7, 3, 1].into_iter().find(|lane| accepts("", &format!("{mnemonic} {lane}"), ""));
    let (immediate, written) = if accepts("", mnemonic, "") {
        (Immediate::Nothing, String::new())
    } else if let Some(lane) = lane {
        (Immediate::Lane(lane + 1), " 0".to_owned())
    } else if accepts("", &format!("{mnemonic}{lanes}"), "") {
        (Immediate::Lanes, lanes)
    } else {
        return None;
    };
    let operator = format!("{mnemonic}{written}");
    let mut params: Vec<Type> = Vec::new();
    loop {
        let known: String = params.iter().map(|ty| format!("{} ", zero(*ty))).collect();
        let fitting: Vec<Type> = OPERANDS
            .into_iter()
            .filter(|ty| accepts(&format!("{} {known}", zero(*ty)), &operator, ""))
            .collect();
        match fitting[..] {
            [ty] => params.insert(0, ty),
            // Any type fits below what the operator takes.
            _ => break,
        }
    }
    let mut results: Vec<Type> = Vec::new();
    loop {
        let known: String = results.iter().rev().map(|ty| format!("local.set ${ty} ")).collect();
        let fitting: Vec<Type> = OPERANDS
            .into_iter()
            .filter(|ty| accepts("", &operator, &format!("{known} local.set ${ty}")))
            .collect();
        match fitting[..] {
            [ty] => results.insert(0, ty),
            _ => break,
        }
    }
    let access = if is_valid("", &operator) {
        0
    } else {
        let aligned = |bytes: usize| format!("{mnemonic} align={bytes}{written}");
        [16, 8, 4, 2, 1].into_iter().find(|&bytes| accepts("", &aligned(bytes), "")).unwrap_or(0)
    };
    Some(Row { mnemonic, immediate, params, results, access })
}

fn zero(ty: Type) -> String {
    if ty == V128 { "v128.const i64x2 0 0".to_owned() } else { format!("{ty}.const 0") }
}

/// Is the operator valid behind these operands, with this behind it?
fn accepts(before: &str, operator: &str, behind: &str) -> bool {
    is_valid("(memory 1)", &format!("{before} {operator} {behind}"))
}

fn is_valid(memory: &str, code: &str) -> bool {
    let locals: String = OPERANDS.iter().map(|ty| format!("(local ${ty} {ty})")).collect();
    let text = format!("(module {memory} (func {locals} unreachable {code} unreachable))");
    let Ok(binary) = wat::parse_str(text) else { return false };
    Validator::new_with_features(WasmFeatures::all()).validate_all(&binary).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_validator_tells_what_operators_take_and_give() {
        let find = |mnemonic| rows().iter().find(|row| row.mnemonic == mnemonic).unwrap();
        assert_eq!(
            (&find("i64.lt_u").params[..], &find("i64.lt_u").results[..]),
            (&[I64, I64][..], &[I32][..])
        );
        assert_eq!((&find("f64.store").params[..], find("f64.store").access), (&[I32, F64][..], 8));
        assert_eq!(find("i64.load16_s").access, 2);
        assert_eq!(find("i64.mul_wide_s").results, [I64, I64]);
        assert_eq!(find("i32.add").access, 0);
    }
}
