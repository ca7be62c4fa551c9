//! Structures, arrays, `i31`, casts and typed function references in random programs (core specification 4.6.6 to 4.6.9).

use super::Signature;
use super::Type::{self, *};
use super::body::Body;
use super::choices::Choices;
use std::fmt;

/// Structures and arrays of a program.
pub(super) const DEFINITIONS: usize = 7;

/// What a field or element is kept as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Storage {
    I8,
    I16,
    Val(Type),
}

impl Storage {
    fn random(choices: &mut Choices<'_>, types: &[Type]) -> Storage {
        match choices.below(6) {
            0 => Storage::I8,
            1 => Storage::I16,
            _ => Storage::Val(choices.of(types)),
        }
    }

    /// The type as an operand.
    fn unpacked(self) -> Type {
        match self {
            Storage::I8 | Storage::I16 => I32,
            Storage::Val(ty) => ty,
        }
    }

    fn is_packed(self) -> bool {
        !matches!(self, Storage::Val(_))
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Storage::I8 => f.write_str("i8"),
            Storage::I16 => f.write_str("i16"),
            Storage::Val(ty) => write!(f, "{ty}"),
        }
    }
}

/// A type of the heap. Everything is mutable and has a default.
#[derive(Clone, Debug)]
pub(super) enum Definition {
    /// The fields, and the structure whose subtype it is.
    Struct(Vec<Storage>, Option<usize>),
    Array(Storage),
}

impl fmt::Display for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Definition::Struct(fields, above) => {
                f.write_str("(sub ")?;
                if let Some(above) = above {
                    write!(f, "$h{above} ")?;
                }
                f.write_str("(struct")?;
                fields.iter().try_for_each(|field| write!(f, " (field (mut {field}))"))?;
                f.write_str("))")
            }
            Definition::Array(element) => write!(f, "(array (mut {element}))"),
        }
    }
}

/// The types of a program's heap: a structure, two below it, one by itself, three arrays.
pub(super) fn definitions(choices: &mut Choices<'_>, types: &[Type]) -> Vec<Definition> {
    let fields = |choices: &mut Choices<'_>, count: usize| -> Vec<Storage> {
        (0..count).map(|_| Storage::random(choices, types)).collect()
    };
    let count = 1 + choices.below(4);
    let top = fields(choices, count);
    let mut middle = top.clone();
    let count = choices.below(4);
    middle.extend(fields(choices, count));
    let mut low = middle.clone();
    let count = choices.below(3);
    low.extend(fields(choices, count));
    let count = choices.below(6);
    let own = fields(choices, count);
    let numbers = [Storage::I8, Storage::I16, Storage::Val(I32), Storage::Val(I64), Storage::Val(F64)];
    vec![
        Definition::Struct(top, None),
        Definition::Struct(middle, Some(0)),
        Definition::Struct(low, Some(1)),
        Definition::Struct(own, None),
        Definition::Array(choices.of(&numbers)),
        Definition::Array(Storage::random(choices, types)),
        Definition::Array(Storage::Val(FuncRef)),
    ]
}

/// The array of functions.
const FUNCTIONS: u8 = 6;
/// An array of numbers.
const NUMBERS: u8 = 4;

impl Body<'_, '_, '_> {
    /// Pushes a fresh reference of one of the heap's types and notes it.
    pub(super) fn push_fresh(&mut self, ty: Type) {
        match ty {
            Heap(number) => match &self.environment.heap[usize::from(number)] {
                Definition::Struct(..) => self.emit(format_args!("struct.new_default $h{number}")),
                Definition::Array(_) => {
                    let length = self.choices.of(&[4, 0, 1, 2, 7, 40]);
                    self.emit(format_args!("i32.const {length}"));
                    self.emit(format_args!("array.new_default $h{number}"));
                }
            },
            AnyRef | EqRef if self.choices.one_in(2) => {
                let number = self.choices.below(DEFINITIONS) as u8;
                self.push_fresh(Heap(number));
                self.stack.pop();
            }
            _ => {
                self.push(I32);
                self.stack.pop();
                self.emit(format_args!("ref.i31"));
            }
        }
        self.stack.push(ty);
    }

    /// A number of one of the program's structures and its fields.
    fn structure(&mut self) -> (u8, Vec<Storage>) {
        let number = self.choices.below(4) as u8;
        match &self.environment.heap[usize::from(number)] {
            Definition::Struct(fields, _) => (number, fields.clone()),
            Definition::Array(_) => (number, Vec::new()),
        }
    }

    fn array(&mut self) -> (u8, Storage) {
        let number = 4 + self.choices.below(3) as u8;
        match self.environment.heap[usize::from(number)] {
            Definition::Array(element) => (number, element),
            Definition::Struct(..) => (number, Storage::I8),
        }
    }

    /// Numbers for places and lengths in arrays: mostly small, so that they are inside.
    fn places(&mut self, count: usize) {
        for _ in 0..count {
            let place = self.choices.of(&[0, 1, 0, 2, 1, 3, 5, -1]);
            self.emit(format_args!("i32.const {place}"));
        }
    }

    /// Pushes a value that is used at once.
    fn used(&mut self, ty: Type) {
        self.push(ty);
        self.stack.pop();
    }

    /// Takes operands off the noted stack and notes a result.
    fn gave(&mut self, operands: usize, result: Type) {
        self.stack.truncate(self.stack.len() - operands);
        self.stack.push(result);
    }

    fn sign(&mut self, storage: Storage) -> &'static str {
        if storage.is_packed() { self.choices.of(&["_s", "_u"]) } else { "" }
    }

    /// An operator on structures, arrays or `i31`.
    pub(super) fn heap(&mut self) {
        if self.environment.heap.is_empty() {
            return self.plain();
        }
        match self.choices.below(17) {
            0 => {
                let (number, fields) = self.structure();
                let types: Vec<Type> = fields.iter().map(|field| field.unpacked()).collect();
                self.want(&types);
                self.emit(format_args!("struct.new $h{number}"));
                self.gave(types.len(), Heap(number));
            }
            1 | 2 => {
                let (number, fields) = self.structure();
                if fields.is_empty() {
                    return self.plain();
                }
                let place = self.choices.below(fields.len());
                self.want(&[Heap(number)]);
                let sign = self.sign(fields[place]);
                self.emit(format_args!("struct.get{sign} $h{number} {place}"));
                self.gave(1, fields[place].unpacked());
            }
            3 => {
                let (number, fields) = self.structure();
                if fields.is_empty() {
                    return self.plain();
                }
                let place = self.choices.below(fields.len());
                self.want(&[Heap(number)]);
                self.used(fields[place].unpacked());
                self.emit(format_args!("struct.set $h{number} {place}"));
                self.stack.pop();
            }
            4 => {
                let (number, element) = self.array();
                self.want(&[element.unpacked()]);
                self.places(1);
                // Minus one is too long for every heap.
                self.emit(format_args!("array.new $h{number}"));
                self.gave(1, Heap(number));
            }
            5 => {
                let (number, element) = self.array();
                let length = self.choices.below(5);
                self.want(&vec![element.unpacked(); length]);
                self.emit(format_args!("array.new_fixed $h{number} {length}"));
                self.gave(length, Heap(number));
            }
            6 => {
                let (number, element) = self.array();
                self.want(&[Heap(number)]);
                self.places(1);
                let sign = self.sign(element);
                self.emit(format_args!("array.get{sign} $h{number}"));
                self.gave(1, element.unpacked());
            }
            7 => {
                let (number, element) = self.array();
                self.want(&[Heap(number)]);
                self.places(1);
                self.used(element.unpacked());
                self.emit(format_args!("array.set $h{number}"));
                self.stack.pop();
            }
            8 => {
                let (number, _) = self.array();
                self.want(&[Heap(number)]);
                self.emit(format_args!("array.len"));
                self.gave(1, I32);
            }
            9 => {
                let (number, element) = self.array();
                self.want(&[Heap(number)]);
                self.places(1);
                self.used(element.unpacked());
                self.places(1);
                self.emit(format_args!("array.fill $h{number}"));
                self.stack.pop();
            }
            10 => {
                let (number, _) = self.array();
                self.want(&[Heap(number)]);
                self.places(1);
                self.used(Heap(number));
                self.places(2);
                self.emit(format_args!("array.copy $h{number} $h{number}"));
                self.stack.pop();
            }
            11 => self.segment_array(),
            12 => {
                self.want(&[I31Ref]);
                let sign = self.choices.of(&["s", "u"]);
                self.emit(format_args!("i31.get_{sign}"));
                self.gave(1, I32);
            }
            13 => {
                self.want(&[EqRef, EqRef]);
                self.emit(format_args!("ref.eq"));
                self.gave(2, I32);
            }
            14 if self.choices.one_in(2) => {
                self.want(&[ExternRef]);
                self.emit(format_args!("any.convert_extern"));
                self.gave(1, AnyRef);
            }
            14 => {
                self.want(&[AnyRef]);
                self.emit(format_args!("extern.convert_any"));
                self.gave(1, ExternRef);
            }
            _ => self.cast(),
        }
    }

    /// An array from a segment, or a part of one.
    fn segment_array(&mut self) {
        let (number, segment) = self.choices.of(&[(NUMBERS, "$bytes"), (FUNCTIONS, "$functions")]);
        let kind = if number == NUMBERS { "data" } else { "elem" };
        if self.choices.one_in(2) {
            self.places(2);
            self.emit(format_args!("array.new_{kind} $h{number} {segment}"));
            self.stack.push(Heap(number));
        } else {
            self.want(&[Heap(number)]);
            self.places(3);
            self.emit(format_args!("array.init_{kind} $h{number} {segment}"));
            self.stack.pop();
        }
    }

    /// Asks what a reference is, in one of the ways there are.
    fn cast(&mut self) {
        let number = self.choices.below(DEFINITIONS) as u8;
        let null = self.choices.of(&["", "null "]);
        let to = match self.choices.below(6) {
            0 => format!("(ref {null}i31)"),
            1 => format!("(ref {null}struct)"),
            2 => format!("(ref {null}array)"),
            _ => format!("(ref {null}$h{number})"),
        };
        let from = self.choices.of(&[AnyRef, EqRef]);
        match self.choices.below(5) {
            0 => {
                self.want(&[from]);
                self.emit(format_args!("ref.test {to}"));
                self.gave(1, I32);
            }
            1 => {
                // A fresh object of the type, most often: a failed cast ends the function.
                if self.choices.one_in(4) {
                    self.want(&[from])
                } else {
                    self.push_fresh(Heap(number))
                }
                self.emit(format_args!("ref.cast (ref {null}$h{number})"));
                self.gave(1, Heap(number));
            }
            2 => {
                self.emit(format_args!("block (result {to})"));
                self.used(from);
                self.emit(format_args!("br_on_cast 0 {from} {to}"));
                self.emit(format_args!("drop"));
                self.push_fresh(Heap(number));
                self.stack.pop();
                self.emit(format_args!("ref.cast {to}"));
                self.emit(format_args!("end"));
                self.stack.push(if to.contains('$') { Heap(number) } else { EqRef });
            }
            3 => {
                self.emit(format_args!("block (result {from})"));
                self.used(from);
                self.emit(format_args!("br_on_cast_fail 0 {from} {to}"));
                self.emit(format_args!("end"));
                self.stack.push(from);
            }
            _ => self.nullness(),
        }
    }

    /// Asks whether a reference is null.
    pub(super) fn nullness(&mut self) {
        let abilities = self.environment.abilities;
        let from = if self.environment.heap.is_empty() {
            self.choices.of(&[FuncRef, ExternRef])
        } else {
            self.choices.of(&[FuncRef, ExternRef, AnyRef, Heap(0)])
        };
        if !abilities.function_references || self.choices.one_in(3) {
            self.want(&[from]);
            self.emit(format_args!("ref.is_null"));
            return self.gave(1, I32);
        }
        let heap = match from {
            FuncRef => "func",
            ExternRef => "extern",
            AnyRef => "any",
            _ => "$h0",
        };
        match self.choices.below(3) {
            0 => {
                self.want(&[from]);
                self.emit(format_args!("ref.as_non_null"));
            }
            1 => {
                self.emit(format_args!("block"));
                self.used(from);
                self.emit(format_args!("br_on_null 0"));
                self.emit(format_args!("drop"));
                self.used(I64);
                self.emit(format_args!("call $log"));
                self.emit(format_args!("drop"));
                self.emit(format_args!("end"));
            }
            _ => {
                self.emit(format_args!("block (result (ref {heap}))"));
                self.used(from);
                self.emit(format_args!("br_on_non_null 0"));
                self.used(from);
                self.emit(format_args!("ref.as_non_null"));
                self.emit(format_args!("end"));
                self.stack.push(from);
            }
        }
    }

    /// Calls a lower-numbered function by reference; whether it was the last thing done.
    pub(super) fn call_ref(&mut self, callee: usize, signature: &Signature, tail: bool) {
        if self.choices.one_in(10) {
            self.emit(format_args!("ref.null $t{callee}"));
        } else {
            self.emit(format_args!("ref.func $f{callee}"));
        }
        let word = if tail { "return_call_ref" } else { "call_ref" };
        self.emit(format_args!("{word} $t{callee}"));
        if tail {
            self.unreachable_from_here();
        } else {
            self.stack.truncate(self.stack.len() - signature.params.len());
            self.stack.extend(&signature.results);
        }
    }
}
