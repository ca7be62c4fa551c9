//! Drills of references: functions, structures, arrays, `i31`, casts, descriptors.

use super::super::Type::{self, *};
use super::Drill;
use mini_wasm_runtime::ops::Op;
use std::fmt::Write;

/// The arrays: name, what an element is kept as, what it is as an operand.
const ARRAYS: [(&str, &str, Type); 9] = [
    ("bytes", "i8", I32),
    ("halves", "i16", I32),
    ("words", "i32", I32),
    ("longs", "i64", I64),
    ("singles", "f32", F32),
    ("doubles", "f64", F64),
    ("funcs", "funcref", FuncRef),
    ("anys", "anyref", AnyRef),
    ("vectors", "v128", V128),
];

/// Elements that every array has at least: their places need one mask.
const LENGTH: usize = 8;

impl Drill<'_, '_> {
    fn arrays(&self) -> &'static [(&'static str, &'static str, Type)] {
        if self.abilities.vectors { &ARRAYS } else { &ARRAYS[..8] }
    }

    /// Structures have a field of each kind of element.
    pub(super) fn heap_types(&self) -> String {
        let mut text = String::new();
        if !self.heap {
            return text;
        }
        let fields: String =
            self.arrays().iter().map(|(name, kept, _)| format!(" (field ${name} (mut {kept}))")).collect();
        let _ = writeln!(text, "  (type $above (sub (struct{fields})))");
        let _ = writeln!(text, "  (type $below (sub $above (struct{fields} (field (mut i64)))))");
        for (name, kept, _) in self.arrays() {
            let _ = writeln!(text, "  (type $of_{name} (array (mut {kept})))");
        }
        if self.abilities.descriptors {
            text.push_str(
                "  (rec
    (type $object (sub (descriptor $description) (struct (field (mut i64)))))
    (type $description (sub (describes $object) (struct (field i64)))))
  (global $one (ref (exact $description)) (struct.new $description (i64.const 1)))
  (global $two (ref (exact $description)) (struct.new $description (i64.const 2)))
",
            );
        }
        text
    }

    /// The locals, and objects in them.
    pub(super) fn heap_locals(&mut self) -> String {
        let mut text = String::new();
        if !self.heap {
            return text;
        }
        text.push_str(
            " (local $any anyref) (local $eq eqref) (local $i31 i31ref) (local $above (ref null $above))",
        );
        if self.abilities.descriptors {
            text.push_str(" (local $object (ref null $object))");
        }
        for (name, _, _) in self.arrays() {
            let _ = write!(text, " (local ${name} (ref null $of_{name}))");
        }
        let structure = self.choices.of(&["above", "below"]);
        let _ = write!(text, "\n    struct.new_default ${structure} local.set $above");
        for (name, _, _) in self.arrays() {
            let length = LENGTH + self.choices.below(20);
            let _ = write!(text, "\n    i32.const {length} array.new_default $of_{name} local.set ${name}");
        }
        text.push_str(
            "\n    i32.const 5 ref.i31 local.tee $i31 local.set $eq local.get $above local.set $any",
        );
        if self.abilities.descriptors {
            text.push_str("\n    global.get $one struct.new_default_desc $object local.set $object");
        }
        text
    }

    /// A reference to any object.
    pub(super) fn object(&mut self) -> String {
        match self.choices.below(8) {
            0 => "local.get $any".to_owned(),
            1 => "local.get $eq".to_owned(),
            2 => "local.get $i31".to_owned(),
            3 => "local.get $words".to_owned(),
            4 => "local.get $longs".to_owned(),
            5 => "struct.new_default $below".to_owned(),
            6 => "ref.null none".to_owned(),
            _ => "local.get $above".to_owned(),
        }
    }

    /// One that can be compared.
    fn comparable(&mut self) -> &'static str {
        self.choices.of(&[
            "local.get $eq",
            "local.get $i31",
            "local.get $words",
            "local.get $above",
            "ref.null none",
        ])
    }

    /// What a local holds, seldom null instead.
    fn held(&mut self, local: &str, heap: &str) -> String {
        if self.careless() { format!("ref.null {heap}") } else { format!("local.get ${local}") }
    }

    /// The kinds of array, or those whose elements are narrow, or others.
    fn array(&mut self, narrow: Option<bool>) -> (&'static str, Type) {
        let arrays = match narrow {
            Some(true) => &ARRAYS[..2],
            Some(false) => &self.arrays()[2..],
            None => self.arrays(),
        };
        let (name, _, ty) = self.choices.of(arrays);
        (name, ty)
    }

    pub(super) fn reference(&mut self, op: Op) -> Option<String> {
        if op.mnemonic().contains("desc") {
            return self.description(op);
        }
        let n = self.name();
        // Without a heap there are functions and what hosts give.
        let ty = if self.heap {
            self.choices.of(&[AnyRef, FuncRef, ExternRef])
        } else {
            self.choices.of(&[FuncRef, ExternRef])
        };
        let (a, b, taken) = (self.operand(ty), self.operand(ty), self.taken(ty));
        let (long, kept, flag) = (self.operand(I64), self.taken(I64), self.taken(I32));
        let null = match ty {
            FuncRef => "func",
            ExternRef => "extern",
            _ => "any",
        };
        let present = match ty {
            FuncRef => "ref.func $difference",
            ExternRef if self.heap => "i32.const 7 ref.i31 extern.convert_any",
            ExternRef => "local.get $extern_0 ref.as_non_null",
            _ => "i32.const 7 ref.i31",
        };
        let code = match op {
            Op::RefNull => Some(format!("ref.null {null} {taken}")),
            Op::RefIsNull => Some(format!("{a} ref.is_null {flag}")),
            Op::RefFunc => Some("ref.func $sum local.set $func_1".to_owned()),
            _ if !self.abilities.function_references => return None,
            Op::RefAsNonNull => {
                let operand = if self.careless() { &a } else { present };
                // What is looked for is never null; that it was checked is seen by the null that is.
                Some(format!("{operand} ref.as_non_null {taken}"))
            }
            Op::BrOnNull => Some(format!("block $b{n} {a} br_on_null $b{n} {taken} {long} {kept} end")),
            Op::BrOnNonNull => Some(format!(
                "block $b{n} (result (ref {null})) {a} br_on_non_null $b{n} {long} {kept} {present} end {taken}"
            )),
            _ => None,
        };
        if code.is_some() || !self.heap {
            return code;
        }
        self.aggregate(op).or_else(|| self.cast(op)).or_else(|| {
            Some(match op {
                Op::RefEq => {
                    let (a, b) = (self.comparable(), self.comparable());
                    format!("{a} {b} ref.eq {flag}")
                }
                Op::RefI31 => {
                    let (number, into) = (self.operand(I32), self.choices.of(&["i31", "eq", "any"]));
                    format!("{number} ref.i31 local.set ${into}")
                }
                Op::I31GetS | Op::I31GetU => {
                    let held = self.held("i31", "i31");
                    format!("{held} {} {flag}", op.mnemonic())
                }
                Op::AnyConvertExtern => {
                    let operand = self.operand(ExternRef);
                    format!("{operand} any.convert_extern local.set $any")
                }
                Op::ExternConvertAny => {
                    let (operand, taken) = (self.object(), self.taken(ExternRef));
                    format!("{operand} extern.convert_any {taken}")
                }
                _ => {
                    let _ = b;
                    return None;
                }
            })
        })
    }

    /// Structures and arrays.
    fn aggregate(&mut self, op: Op) -> Option<String> {
        let name = op.mnemonic();
        let signed = name.ends_with("_s") || name.ends_with("_u");
        let narrow = matches!(op, Op::StructGet | Op::ArrayGet).then_some(false).or(signed.then_some(true));
        let (array, ty) = self.array(narrow);
        let (value, taken) = (self.operand(ty), self.taken(ty));
        let structure = self.choices.of(&["above", "below"]);
        let place = self.small(I32, LENGTH - 1);
        let half = self.small(I32, LENGTH / 2 - 1);
        let (other, count) = (self.small(I32, LENGTH / 2 - 1), self.small(I32, LENGTH / 2 - 1));
        let flag = self.taken(I32);
        let length = self.small(I32, 15);
        let (object, list) = (self.held("above", "$above"), self.held(array, &format!("$of_{array}")));
        Some(match op {
            Op::StructNew => {
                let mut fields: String =
                    self.arrays().iter().map(|(_, _, ty)| self.operand(*ty) + " ").collect();
                if structure == "below" {
                    fields += &self.operand(I64);
                }
                format!("{fields} struct.new ${structure} local.set $above")
            }
            Op::StructNewDefault => format!("struct.new_default ${structure} local.set $above"),
            Op::StructGet | Op::StructGetS | Op::StructGetU => {
                format!("{object} {name} $above ${array} {taken}")
            }
            Op::StructSet => format!("{object} {value} struct.set $above ${array}"),
            Op::ArrayNew => {
                format!(
                    "{value} {length} i32.const {LENGTH} i32.add array.new $of_{array} local.set ${array}"
                )
            }
            Op::ArrayNewDefault => {
                format!(
                    "{length} i32.const {LENGTH} i32.add array.new_default $of_{array} local.set ${array}"
                )
            }
            Op::ArrayNewFixed => {
                let elements: String = (0..LENGTH).map(|_| self.operand(ty) + " ").collect();
                format!("{elements} array.new_fixed $of_{array} {LENGTH} local.set ${array}")
            }
            Op::ArrayNewData => {
                let array = self.choices.of(&["bytes", "halves", "words", "longs", "singles", "doubles"]);
                format!("{length} i32.const {LENGTH} array.new_data $of_{array} $bytes local.set ${array}")
            }
            Op::ArrayInitData => {
                let array = self.choices.of(&["bytes", "halves", "words", "longs", "singles", "doubles"]);
                format!("local.get ${array} {half} {length} {count} array.init_data $of_{array} $bytes")
            }
            Op::ArrayNewElem => {
                format!("i32.const 0 i32.const {LENGTH} array.new_elem $of_funcs $functions local.set $funcs")
            }
            Op::ArrayInitElem => {
                format!("local.get $funcs {half} {other} {count} array.init_elem $of_funcs $functions")
            }
            Op::ArrayGet | Op::ArrayGetS | Op::ArrayGetU => {
                format!("{list} {place} {name} $of_{array} {taken}")
            }
            Op::ArraySet => format!("{list} {place} {value} array.set $of_{array}"),
            Op::ArrayLen => format!("{list} array.len {flag}"),
            Op::ArrayFill => format!("{list} {half} {value} {count} array.fill $of_{array}"),
            Op::ArrayCopy => {
                format!("{list} {half} local.get ${array} {other} {count} array.copy $of_{array} $of_{array}")
            }
            _ => return None,
        })
    }

    fn cast(&mut self, op: Op) -> Option<String> {
        let n = self.name();
        let to = self.choices.of(&[
            "i31",
            "struct",
            "array",
            "eq",
            "$above",
            "$below",
            "$of_words",
            "$of_longs",
            "none",
        ]);
        let (object, flag) = (self.object(), self.taken(I32));
        let null = self.choices.of(&["", "null "]);
        Some(match op {
            Op::RefTestNonNull if self.choices.one_in(4) => {
                let (func, to) =
                    (self.operand(FuncRef), self.choices.of(&["$upper", "$lower", "$leaf", "func"]));
                let func =
                    self.choices.of(&[func.as_str(), "ref.func $below", "ref.func $beside"]).to_owned();
                format!("{func} ref.test (ref {to}) {flag}")
            }
            Op::RefTestNonNull => format!("{object} ref.test (ref {to}) {flag}"),
            Op::RefTestNullable => format!("{object} ref.test (ref null {to}) {flag}"),
            Op::RefCastNonNull | Op::RefCastNullable => {
                let null = if op == Op::RefCastNullable { "null " } else { "" };
                let (from, known) = self.choices.of(&[
                    ("$above", "$above"),
                    ("$above", "struct"),
                    ("$above", "eq"),
                    ("$words", "$of_words"),
                    ("$words", "array"),
                    ("$i31", "i31"),
                    ("$i31", "eq"),
                ]);
                if self.careless() {
                    return Some(format!("{object} ref.cast (ref {null}{to}) local.set $any"));
                }
                let (object, to) = if self.choices.one_in(2) {
                    (format!("local.get {from}"), known)
                } else {
                    // Any object, of which it is known by then.
                    return Some(format!(
                        "{object} local.set $any local.get $any ref.test (ref {null}{to}) if local.get $any \
                         ref.cast (ref {null}{to}) local.set $any end"
                    ));
                };
                format!("{object} ref.cast (ref {null}{to}) local.set $any")
            }
            // Functions have a hierarchy of their own.
            Op::BrOnCast if self.choices.one_in(4) => {
                let (func, to) =
                    (self.choices.of(&["$below", "$beside"]), self.choices.of(&["$upper", "$lower"]));
                format!(
                    "block $b{n} (result funcref) ref.func {func} br_on_cast $b{n} funcref (ref {null}{to}) drop \
                     ref.func $sum end local.set $func_0"
                )
            }
            Op::BrOnCast => format!(
                "block $b{n} (result anyref) {object} local.set $any local.get $any \
                 br_on_cast $b{n} anyref (ref {null}{to}) drop local.get $eq end local.set $any"
            ),
            Op::BrOnCastFail => format!(
                "block $b{n} (result anyref) {object} local.set $any local.get $any \
                 br_on_cast_fail $b{n} anyref (ref {null}{to}) end local.set $any"
            ),
            _ => return None,
        })
    }

    /// Objects that have descriptions.
    fn description(&mut self, op: Op) -> Option<String> {
        if !self.heap || !self.abilities.descriptors {
            return None;
        }
        let n = self.name();
        let (long, kept) = (self.operand(I64), self.taken(I64));
        let which = self.choices.of(&["global.get $one", "global.get $two"]);
        let null = self.choices.of(&["", "null "]);
        // The description that the object has, most often: a cast that fails is a trap.
        let own = if self.careless() { which } else { "local.get $object ref.get_desc $object" };
        let object = self.held("object", "$object");
        let looked_at = format!("local.get $object struct.get $object 0 {kept}");
        Some(match op {
            Op::StructNewDesc => format!("{long} {which} struct.new_desc $object local.set $object"),
            Op::StructNewDefaultDesc => {
                format!("{which} struct.new_default_desc $object local.set $object {looked_at}")
            }
            Op::RefGetDesc => {
                format!("{object} ref.get_desc $object struct.get $description 0 {kept}")
            }
            Op::RefCastDescEqNonNull => {
                format!("{object} {own} ref.cast_desc_eq (ref $object) local.set $object {looked_at}")
            }
            Op::RefCastDescEqNullable => {
                format!("{object} {own} ref.cast_desc_eq (ref null $object) local.set $object {looked_at}")
            }
            Op::BrOnCastDescEq => format!(
                "block $b{n} (result anyref) local.get $object {which} \
                 br_on_cast_desc_eq $b{n} (ref null $object) (ref {null}$object) drop {long} {kept} local.get $eq \
                 end local.set $any"
            ),
            Op::BrOnCastDescEqFail => format!(
                "block $b{n} (result anyref) local.get $object {which} \
                 br_on_cast_desc_eq_fail $b{n} (ref null $object) (ref {null}$object) {long} {kept} end local.set $any"
            ),
            _ => return None,
        })
    }
}
