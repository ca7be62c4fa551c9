//! Random programs that are valid by construction, for holding the engines against each other.
//!
//! A program is grown from a string of bytes ([`Choices`]): the same bytes give the same program, and fewer or smaller bytes a
//! simpler one, so whoever found a difference can shrink the bytes. The plain operators come from the engine's own table
//! (`for_each_op!`), so a new row is generated without a change here; the structured ones are written out, and a test sees to it
//! that every operator of the table occurs.
//!
//! Code is grown as the stack machine runs it, one operator after the other over a typed operand stack. That reaches shapes which
//! expression trees do not have: values that wait on the stack while their local is set, results of blocks under other
//! operands, code that nothing reaches.
//!
//! What makes every program end the same way in every engine: functions call lower-numbered ones only (directly, and through a table
//! that no operator writes), loops count down, and fuel bounds the rest.

use mini_wasm_runtime::for_each_op;
use std::fmt::{self, Write};

/// Where a program's decisions come from. When the bytes are used up every choice is the first one.
pub struct Choices<'b> {
    bytes: std::slice::Iter<'b, u8>,
}

impl<'b> Choices<'b> {
    /// Choices from these bytes.
    pub fn new(bytes: &'b [u8]) -> Choices<'b> {
        Choices { bytes: bytes.iter() }
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    /// A number below `count`, which is at most 65536; 0 when there is no choice.
    fn below(&mut self, count: usize) -> usize {
        match count {
            0 | 1 => 0,
            2..=256 => usize::from(self.byte()) % count,
            _ => (usize::from(self.byte()) << 8 | usize::from(self.byte())) % count,
        }
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        (0..8).fold(0, |bits, _| bits << 8 | u64::from(self.byte()))
    }

    /// An amount of fuel, from nothing to plenty.
    pub fn amount(&mut self) -> u64 {
        self.bits() >> (50 + self.below(14))
    }

    fn is_spent(&self) -> bool {
        self.bytes.len() == 0
    }
}

/// A type of value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum Type {
    I32,
    I64,
    F32,
    F64,
    FuncRef,
    ExternRef,
}

use Type::{ExternRef, F32, F64, FuncRef, I32, I64};

const TYPES: [Type; 6] = [I32, I64, F32, F64, FuncRef, ExternRef];
const NUMBERS: [Type; 4] = [I32, I64, F32, F64];

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            I32 => "i32",
            I64 => "i64",
            F32 => "f32",
            F64 => "f64",
            FuncRef => "funcref",
            ExternRef => "externref",
        })
    }
}

/// A plain operator: a row of the engine's table.
struct Row {
    mnemonic: &'static str,
    params: &'static [Type],
    result: Option<Type>,
    /// Bytes of memory that it reads or writes.
    access: usize,
}

macro_rules! ty {
    (i32) => {
        I32
    };
    (i64) => {
        I64
    };
    (f32) => {
        F32
    };
    (f64) => {
        F64
    };
}

macro_rules! plain_rows {
    (
        unary { $($u:ident $ut:literal $ua:ident -> $ur:ident $um:ident $ul:ident;)* }
        unary_trap { $($v:ident $vt:literal $va:ident -> $vr:ident $vm:ident $vl:ident;)* }
        binary { $($b:ident $bt:literal $ba:ident -> $br:ident $bm:ident $bl:ident;)* }
        binary_trap { $($c:ident $ct:literal $ca:ident -> $cr:ident $cm:ident $cl:ident;)* }
        compare { $($d:ident $dt:literal $da:ident $dm:ident $dn:ident $dl:ident;)* }
        compare_float { $($e:ident $et:literal $ea:ident $em:ident $el:ident;)* }
        test { $($t:ident $tt:literal $ta:ident $tm:ident $tl:ident;)* }
        load { $($l:ident $lt:literal $lm:ident => $lr:ident;)* }
        store { $($s:ident $st:literal $sa:ident => $sm:ident;)* }
        custom { $($x:ident $xt:literal $xf:ident;)* }
    ) => {
        const ROWS: &[Row] = &[
            $(Row { mnemonic: $ut, params: &[ty!($ua)], result: Some(ty!($ur)), access: 0 },)*
            $(Row { mnemonic: $vt, params: &[ty!($va)], result: Some(ty!($vr)), access: 0 },)*
            $(Row { mnemonic: $bt, params: &[ty!($ba), ty!($ba)], result: Some(ty!($br)), access: 0 },)*
            $(Row { mnemonic: $ct, params: &[ty!($ca), ty!($ca)], result: Some(ty!($cr)), access: 0 },)*
            $(Row { mnemonic: $dt, params: &[ty!($da), ty!($da)], result: Some(I32), access: 0 },)*
            $(Row { mnemonic: $et, params: &[ty!($ea), ty!($ea)], result: Some(I32), access: 0 },)*
            $(Row { mnemonic: $tt, params: &[ty!($ta)], result: Some(I32), access: 0 },)*
            $(Row { mnemonic: $lt, params: &[I32], result: Some(ty!($lr)), access: size_of::<$lm>() },)*
            $(Row { mnemonic: $st, params: &[I32, ty!($sa)], result: None, access: size_of::<$sm>() },)*
        ];
    };
}
for_each_op!(plain_rows);

/// A program: a module's text and how its functions are to be called.
#[derive(Debug)]
pub struct Program {
    /// The text format.
    pub text: String,
    /// Parameters of each exported function `f0`, `f1`, ...
    pub functions: Vec<Vec<Type>>,
    /// How many globals `g0`, `g1`, ... are exported.
    pub globals: usize,
}

struct Signature {
    params: Vec<Type>,
    results: Vec<Type>,
}

impl Signature {
    fn random(choices: &mut Choices<'_>) -> Signature {
        let mut list = |sizes: &[usize]| {
            let size = choices.of(sizes);
            (0..size).map(|_| choices.of(&TYPES)).collect()
        };
        // Long lists leave the registers: parameters on the stack, results in the hidden area.
        Signature { params: list(&[1, 0, 2, 3, 2, 5, 9, 14]), results: list(&[1, 0, 1, 2, 3, 1, 9, 17]) }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, types) in [("param", &self.params), ("result", &self.results)] {
            if !types.is_empty() {
                write!(f, " ({word}")?;
                types.iter().try_for_each(|ty| write!(f, " {ty}"))?;
                f.write_str(")")?;
            }
        }
        Ok(())
    }
}

const PAGES: usize = 1;
const MAX_PAGES: usize = 3;
const TABLE: usize = 6;

impl Program {
    /// The program of these choices.
    pub fn grow(choices: &mut Choices<'_>) -> Program {
        let mut text = String::from("(module\n");
        let line = |text: &mut String, content: fmt::Arguments<'_>| {
            let _ = writeln!(text, "  {content}");
        };
        let mut signatures: Vec<Signature> = Vec::new();
        for _ in 0..2 + choices.below(4) {
            let mut signature = Signature::random(choices);
            // Functions with the same results can call each other in tail position.
            if let Some(before) = signatures.last().filter(|_| choices.one_in(2)) {
                signature.results.clone_from(&before.results);
            }
            signatures.push(signature);
        }
        for (i, signature) in signatures.iter().enumerate() {
            line(&mut text, format_args!("(type $t{i} (func{signature}))"));
        }
        line(&mut text, format_args!("(import \"host\" \"log\" (func $log (param i64) (result i32)))"));
        for memory in ["m0", "m1"] {
            line(&mut text, format_args!("(memory ${memory} (export \"{memory}\") {PAGES} {MAX_PAGES})"));
        }
        let globals: Vec<Type> = (0..choices.below(5)).map(|_| choices.of(&TYPES)).collect();
        for (i, &ty) in globals.iter().enumerate() {
            let name = if matches!(ty, FuncRef) { String::new() } else { format!(" (export \"g{i}\")") };
            line(&mut text, format_args!("(global $g{i}{name} (mut {ty}) ({}))", constant(choices, ty)));
        }
        let carried: Vec<Type> = (0..choices.below(5)).map(|_| choices.of(&TYPES)).collect();
        line(&mut text, format_args!("(tag $e0)"));
        line(
            &mut text,
            format_args!("(tag $e1{})", Signature { params: carried.clone(), results: Vec::new() }),
        );
        // `$calls` holds function i at i and is never written; `$refs` is everybody's.
        let names: Vec<String> = (0..signatures.len()).map(|i| format!("$f{i}")).collect();
        line(&mut text, format_args!("(table $calls funcref (elem {}))", names.join(" ")));
        line(&mut text, format_args!("(table $refs {TABLE} {} funcref)", TABLE + 4));
        line(&mut text, format_args!("(elem $functions func {})", names.join(" ")));
        line(&mut text, format_args!("(data $bytes \"\\01\\02\\ff\\80mini-wasm\\00\\7f\\fe\")"));
        line(&mut text, format_args!("(data (memory $m0) (i32.const 65530) \"\\de\\ad\\be\\ef\\01\")"));
        for i in 0..signatures.len() {
            let (locals, body) = Body::grow(choices, i, &signatures, &globals, &carried);
            let _ = write!(text, "  (func $f{i} (export \"f{i}\") (type $t{i})");
            locals.iter().for_each(|ty| {
                let _ = write!(text, " (local {ty})");
            });
            let _ = write!(text, "\n{body}  )\n");
        }
        text.push_str(")\n");
        let functions = signatures.into_iter().map(|signature| signature.params).collect();
        Program { text, functions, globals: globals.len() }
    }
}

/// A constant expression of a type, without its parentheses.
fn constant(choices: &mut Choices<'_>, ty: Type) -> String {
    const INTEGERS: [u64; 14] = [
        0,
        1,
        u64::MAX,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        i64::MAX as u64,
        1 << 63,
        31,
        64,
        255,
        65532,
        65536,
        1 << 32,
    ];
    const FLOATS: [f64; 14] = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        2_147_483_648.0,
        -2_147_483_649.0,
        4_294_967_296.0,
        9_223_372_036_854_775_808.0,
        18_446_744_073_709_551_616.0,
        1e-45,
        0.5,
    ];
    let known = !choices.one_in(4);
    match ty {
        I32 => {
            let bits = if known { choices.of(&INTEGERS) } else { choices.bits() };
            format!("i32.const {}", bits as i32)
        }
        I64 => {
            let bits = if known { choices.of(&INTEGERS) } else { choices.bits() };
            format!("i64.const {}", bits as i64)
        }
        F32 => {
            let value =
                if known { choices.of(&FLOATS) as f32 } else { f32::from_bits(choices.bits() as u32) };
            let sign = if value.is_sign_negative() { "-" } else { "" };
            if value.is_nan() {
                format!("f32.const {sign}nan:{:#x}", value.to_bits() & 0x7f_ffff)
            } else {
                format!("f32.const {value:?}")
            }
        }
        F64 => {
            let value = if known { choices.of(&FLOATS) } else { f64::from_bits(choices.bits()) };
            let sign = if value.is_sign_negative() { "-" } else { "" };
            if value.is_nan() {
                format!("f64.const {sign}nan:{:#x}", value.to_bits() & 0xf_ffff_ffff_ffff)
            } else {
                format!("f64.const {value:?}")
            }
        }
        FuncRef => "ref.null func".into(),
        ExternRef => "ref.null extern".into(),
    }
}

/// A label that branches can name.
struct Label {
    /// What a branch to it takes along.
    types: Vec<Type>,
    /// A loop: a branch here goes back, so only the counted one may.
    back: bool,
}

/// A function body while it grows.
struct Body<'p, 'c, 'b> {
    choices: &'c mut Choices<'b>,
    text: String,
    own: usize,
    signatures: &'p [Signature],
    globals: &'p [Type],
    /// What exceptions of the second tag carry; those of the first carry nothing.
    carried: &'p [Type],
    /// Parameters, then own locals; the counters of loops are behind those that operators may choose.
    locals: Vec<Type>,
    counters: usize,
    stack: Vec<Type>,
    /// Operands below this belong to outer blocks.
    base: usize,
    labels: Vec<Label>,
    /// Operators that may still be written.
    budget: usize,
}

impl<'p> Body<'p, '_, '_> {
    /// The own locals and the text of the body.
    fn grow(
        choices: &mut Choices<'_>,
        own: usize,
        signatures: &'p [Signature],
        globals: &'p [Type],
        carried: &'p [Type],
    ) -> (Vec<Type>, String) {
        let signature = &signatures[own];
        let mut locals = signature.params.clone();
        locals.extend((0..choices.below(5)).map(|_| choices.of(&TYPES)));
        let budget = 8 + choices.below(120);
        let label = Label { types: signature.results.clone(), back: false };
        let mut body = Body {
            choices,
            text: String::new(),
            own,
            signatures,
            globals,
            carried,
            locals,
            counters: 0,
            stack: Vec::new(),
            base: 0,
            labels: vec![label],
            budget,
        };
        body.operators(3);
        body.leave(&signature.results);
        let mut own_locals = body.locals.split_off(signature.params.len());
        own_locals.extend(std::iter::repeat_n(I32, body.counters));
        (own_locals, body.text)
    }

    fn emit(&mut self, operator: fmt::Arguments<'_>) {
        let indent = 2 + self.labels.len();
        let _ = writeln!(self.text, "{:indent$}{operator}", "", indent = 2 * indent - 2);
        self.budget = self.budget.saturating_sub(1);
    }

    fn operators(&mut self, depth: usize) {
        while self.budget > 0 && !self.choices.is_spent() {
            self.operator(depth);
            if self.labels.len() > 1 && self.choices.one_in(12) {
                break;
            }
        }
    }

    /// One more operator, with what has to be pushed for it.
    fn operator(&mut self, depth: usize) {
        match self.choices.below(44) {
            32.. => self.statement(),
            0..=11 => self.plain(),
            12..=14 => {
                let ty = self.choices.of(&TYPES);
                self.push(ty);
            }
            15..=18 => self.local(),
            19 => self.global(),
            20..=21 if depth > 0 => self.block(depth),
            22 if depth > 0 => self.counted_loop(depth),
            23 if depth > 0 => self.if_else(depth),
            20..=23 => self.plain(),
            24 => self.branch(),
            25..=26 => self.call(),
            27 => self.select(),
            28 => self.memory(),
            29 => self.table(),
            30 => self.reference(),
            31 if self.choices.one_in(2) => self.wide(),
            31 if depth > 0 => self.try_table(depth),
            _ => self.rare(),
        }
    }

    fn plain(&mut self) {
        let row = &ROWS[self.choices.below(ROWS.len())];
        if row.access == 0 {
            self.want(row.params);
            self.emit(format_args!("{}", row.mnemonic));
        } else {
            let memory = if self.choices.one_in(4) { "$m1" } else { "$m0" };
            let offset = self.choices.of(&[0, 1, 7, 65535, 65529, 65536, 4_294_967_295u64]);
            let offset = if self.choices.one_in(3) { offset } else { 0 };
            self.want(&row.params[..1]);
            // Mostly inside: an address of 16 bits; sometimes whatever is there.
            if !self.choices.one_in(4) {
                self.emit(format_args!("i32.const 65535"));
                self.emit(format_args!("i32.and"));
            }
            if let [_, value] = row.params {
                self.push(*value);
                self.stack.pop();
            }
            self.emit(format_args!("{} {memory} offset={offset}", row.mnemonic));
        }
        self.stack.truncate(self.stack.len() - if row.access == 0 { row.params.len() } else { 1 });
        self.stack.extend(row.result);
    }

    /// What compilers write: operands from locals and constants, the result to a local or a branch. One local of each type is
    /// used more than the others, as the engines expect it of a loop's counter or of a base address.
    fn statement(&mut self) {
        let row = &ROWS[self.choices.below(ROWS.len())];
        for (i, &ty) in row.params.iter().enumerate() {
            let address = row.access > 0 && i == 0;
            if address && self.choices.one_in(2) {
                let address = self.choices.of(&[0, 1, 8, 20, 1024, 65528, 65533, 65536]);
                self.emit(format_args!("i32.const {address}"));
                self.stack.push(I32);
            } else if let Some(local) = self.favourite(ty) {
                if address && !self.choices.one_in(8) {
                    self.emit(format_args!("local.get {local}"));
                    self.emit(format_args!("i32.const 16383"));
                    self.emit(format_args!("i32.and"));
                    self.emit(format_args!("local.set {local}"));
                }
                if self.choices.one_in(3) {
                    let constant = constant(self.choices, ty);
                    self.emit(format_args!("{constant}"));
                } else {
                    self.emit(format_args!("local.get {local}"));
                }
                self.stack.push(ty);
            } else {
                self.push(ty);
            }
        }
        match row.access {
            0 => self.emit(format_args!("{}", row.mnemonic)),
            _ => {
                let offset = self.choices.of(&[0, 4, 16, 49152]);
                self.emit(format_args!("{} offset={offset}", row.mnemonic));
            }
        }
        self.stack.truncate(self.stack.len() - row.params.len());
        let Some(result) = row.result else { return };
        self.stack.push(result);
        match (self.choices.below(4), self.favourite(result)) {
            (0 | 1, Some(local)) => {
                self.emit(format_args!("local.set {local}"));
                self.stack.pop();
            }
            (2, Some(local)) => self.emit(format_args!("local.tee {local}")),
            _ if result == I32 => {
                // A branch that takes nothing along is what a condition is mostly for.
                let up = (0..self.labels.len()).find(|&up| {
                    let label = &self.labels[self.labels.len() - 1 - up];
                    label.types.is_empty() && !label.back
                });
                if let Some(up) = up {
                    self.emit(format_args!("br_if {up}"));
                    self.stack.pop();
                }
            }
            _ => {}
        }
    }

    /// A local of a type, mostly the first.
    fn favourite(&mut self, ty: Type) -> Option<usize> {
        let locals: Vec<usize> = (0..self.locals.len()).filter(|&i| self.locals[i] == ty).collect();
        match locals.as_slice() {
            [] => None,
            [first, ..] if !self.choices.one_in(3) => Some(*first),
            locals => Some(self.choices.of(locals)),
        }
    }

    /// Sees to it that the topmost operands have these types.
    fn want(&mut self, types: &[Type]) {
        // Take what is there when it fits, so that operands come from afar.
        let here = &self.stack[self.base..];
        if here.ends_with(types) {
            return;
        }
        let fitting = (0..types.len()).rev().find(|&some| here.ends_with(&types[..some])).unwrap_or(0);
        for &ty in &types[fitting..] {
            self.push(ty);
        }
    }

    /// Pushes a value of a type from somewhere, and notes it.
    fn push(&mut self, ty: Type) {
        let locals: Vec<usize> = (0..self.locals.len()).filter(|&i| self.locals[i] == ty).collect();
        if !locals.is_empty() && !self.choices.one_in(3) {
            let local = self.choices.of(&locals);
            self.emit(format_args!("local.get {local}"));
        } else if ty == FuncRef && self.choices.one_in(2) {
            let function = self.choices.below(self.signatures.len());
            self.emit(format_args!("ref.func $f{function}"));
        } else {
            let constant = constant(self.choices, ty);
            self.emit(format_args!("{constant}"));
        }
        self.stack.push(ty);
    }

    fn local(&mut self) {
        if self.locals.is_empty() {
            return self.plain();
        }
        let local = self.choices.below(self.locals.len());
        let ty = self.locals[local];
        match self.choices.below(3) {
            0 => {
                self.emit(format_args!("local.get {local}"));
                self.stack.push(ty);
            }
            1 => {
                self.want(&[ty]);
                self.emit(format_args!("local.set {local}"));
                self.stack.pop();
            }
            _ => {
                self.want(&[ty]);
                self.emit(format_args!("local.tee {local}"));
            }
        }
    }

    fn global(&mut self) {
        if self.globals.is_empty() {
            return self.plain();
        }
        let global = self.choices.below(self.globals.len());
        let ty = self.globals[global];
        if self.choices.one_in(2) {
            self.want(&[ty]);
            self.emit(format_args!("global.set $g{global}"));
            self.stack.pop();
        } else {
            self.emit(format_args!("global.get $g{global}"));
            self.stack.push(ty);
        }
    }

    fn few_types(&mut self) -> Vec<Type> {
        let size = self.choices.of(&[0, 1, 0, 1, 2, 4]);
        (0..size).map(|_| self.choices.of(&TYPES)).collect()
    }

    /// Goes into a block whose parameters lie on the stack; `leave` and `come_back` go out.
    fn enter(&mut self, params: usize, label: Label) -> usize {
        self.labels.push(label);
        std::mem::replace(&mut self.base, self.stack.len() - params)
    }

    /// Makes the operands of the current block exactly these.
    fn leave(&mut self, results: &[Type]) {
        if self.stack[self.base..] == *results {
            return;
        }
        while self.stack.len() > self.base {
            self.emit(format_args!("drop"));
            self.stack.pop();
        }
        for &ty in results {
            self.push(ty);
        }
    }

    fn come_back(&mut self, outer: usize) {
        self.labels.pop();
        self.base = outer;
        self.emit(format_args!("end"));
    }

    fn block_type(params: &[Type], results: &[Type]) -> Signature {
        Signature { params: params.to_vec(), results: results.to_vec() }
    }

    fn block(&mut self, depth: usize) {
        let (params, results) = (self.few_types(), self.few_types());
        self.want(&params);
        self.emit(format_args!("block{}", Self::block_type(&params, &results)));
        let outer = self.enter(params.len(), Label { types: results.clone(), back: false });
        self.operators(depth - 1);
        self.leave(&results);
        self.come_back(outer);
    }

    fn counted_loop(&mut self, depth: usize) {
        let types = self.few_types();
        let times = 1 + self.choices.below(6);
        let counter = self.counter();
        self.emit(format_args!("i32.const {times}"));
        self.emit(format_args!("local.set {counter}"));
        self.want(&types);
        self.emit(format_args!("loop{}", Self::block_type(&types, &types)));
        let outer = self.enter(types.len(), Label { types: types.clone(), back: true });
        self.operators(depth - 1);
        self.leave(&types);
        self.emit(format_args!("local.get {counter}"));
        self.emit(format_args!("i32.const 1"));
        self.emit(format_args!("i32.sub"));
        self.emit(format_args!("local.tee {counter}"));
        self.emit(format_args!("br_if 0"));
        self.come_back(outer);
    }

    /// A fresh local for a loop, by name of its place: behind all that operators choose.
    fn counter(&mut self) -> usize {
        self.counters += 1;
        self.locals.len() + self.counters - 1
    }

    fn if_else(&mut self, depth: usize) {
        let (params, results) = (self.few_types(), self.few_types());
        self.want(&params);
        self.push(I32);
        self.stack.pop();
        self.emit(format_args!("if{}", Self::block_type(&params, &results)));
        let before = self.stack.len() - params.len();
        let outer = self.enter(params.len(), Label { types: results.clone(), back: false });
        self.operators(depth - 1);
        self.leave(&results);
        if params != results || self.choices.one_in(2) {
            self.emit(format_args!("else"));
            self.stack.truncate(before);
            self.stack.extend(&params);
            self.operators(depth - 1);
            self.leave(&results);
        }
        self.come_back(outer);
    }

    fn branch(&mut self) {
        let forward: Vec<usize> =
            (0..self.labels.len()).filter(|up| !self.labels[self.labels.len() - 1 - up].back).collect();
        let up = self.choices.of(&forward);
        let types = self.labels[self.labels.len() - 1 - up].types.clone();
        match self.choices.below(6) {
            0..=2 => {
                self.want(&types);
                self.push(I32);
                self.stack.pop();
                self.emit(format_args!("br_if {up}"));
            }
            3 => {
                self.want(&types);
                self.push(I32);
                let same: Vec<usize> = forward
                    .iter()
                    .copied()
                    .filter(|up| self.labels[self.labels.len() - 1 - up].types == types)
                    .collect();
                let targets: Vec<String> =
                    (0..self.choices.below(5)).map(|_| self.choices.of(&same).to_string()).collect();
                self.emit(format_args!("br_table {} {up}", targets.join(" ")));
                self.unreachable_from_here();
            }
            4 => {
                self.want(&types);
                self.emit(format_args!("br {up}"));
                self.unreachable_from_here();
            }
            _ => {
                let results = &self.signatures[self.own].results;
                self.want(results);
                self.emit(format_args!("return"));
                self.unreachable_from_here();
            }
        }
    }

    /// What follows is validated over an operand stack that may be anything, so an empty one will do.
    fn unreachable_from_here(&mut self) {
        self.stack.truncate(self.base);
    }

    fn call(&mut self) {
        if self.own == 0 || self.choices.one_in(4) {
            self.want(&[I64]);
            self.emit(format_args!("call $log"));
            self.stack.pop();
            self.stack.push(I32);
            return;
        }
        let callee = self.choices.below(self.own);
        let Signature { params, results } = &self.signatures[callee];
        self.want(params);
        let same = *results == self.signatures[self.own].results;
        match self.choices.below(4) {
            0 | 1 => self.emit(format_args!("call $f{callee}")),
            2 if same && self.choices.one_in(2) => {
                self.emit(format_args!("return_call $f{callee}"));
                return self.unreachable_from_here();
            }
            _ => {
                // Below the own number: another function's type may be met, never a higher function. Past the end now and then.
                self.push(I32);
                self.stack.pop();
                if self.choices.one_in(3) {
                    let own = self.own;
                    self.emit(format_args!("i32.const {own}"));
                    self.emit(format_args!("i32.rem_u"));
                } else {
                    self.emit(format_args!("drop"));
                    let place = if self.choices.one_in(8) { 1000 } else { callee };
                    self.emit(format_args!("i32.const {place}"));
                }
                let tail = same && self.choices.one_in(2);
                let word = if tail { "return_call_indirect" } else { "call_indirect" };
                self.emit(format_args!("{word} $calls (type $t{callee})"));
                if tail {
                    return self.unreachable_from_here();
                }
            }
        }
        self.stack.truncate(self.stack.len() - params.len());
        self.stack.extend(results);
    }

    fn select(&mut self) {
        let ty = self.choices.of(&TYPES);
        self.want(&[ty, ty]);
        self.push(I32);
        if NUMBERS.contains(&ty) && self.choices.one_in(2) {
            self.emit(format_args!("select"));
        } else {
            self.emit(format_args!("select (result {ty})"));
        }
        self.stack.truncate(self.stack.len() - 2);
    }

    /// Three numbers for a bulk operator: mostly small, so that it succeeds.
    fn bulk_operands(&mut self) {
        for _ in 0..3 {
            if self.choices.one_in(6) {
                self.push(I32);
                self.stack.pop();
            } else {
                let small = self.choices.of(&[0, 1, 2, 3, 5, 13, 100, 65530, 65536]);
                self.emit(format_args!("i32.const {small}"));
            }
        }
    }

    fn memory(&mut self) {
        let memory = if self.choices.one_in(3) { "$m1" } else { "$m0" };
        match self.choices.below(6) {
            0 => {
                self.emit(format_args!("memory.size {memory}"));
                self.stack.push(I32);
            }
            1 => {
                let pages = self.choices.of(&[0, 1, 2, 65535]);
                self.emit(format_args!("i32.const {pages}"));
                self.emit(format_args!("memory.grow {memory}"));
                self.stack.push(I32);
            }
            2 => {
                self.bulk_operands();
                self.emit(format_args!("memory.fill {memory}"));
            }
            3 => {
                let from = if self.choices.one_in(3) { "$m1" } else { "$m0" };
                self.bulk_operands();
                self.emit(format_args!("memory.copy {memory} {from}"));
            }
            4 => {
                self.bulk_operands();
                self.emit(format_args!("memory.init {memory} $bytes"));
            }
            _ if self.choices.one_in(4) => self.emit(format_args!("data.drop $bytes")),
            _ => self.plain(),
        }
    }

    fn table(&mut self) {
        let place = self.choices.of(&[0, 1, 2, 5, 6, 9, 1000]);
        match self.choices.below(8) {
            0 => {
                self.emit(format_args!("i32.const {place}"));
                self.emit(format_args!("table.get $refs"));
                self.stack.push(FuncRef);
            }
            1 => {
                self.emit(format_args!("i32.const {place}"));
                self.push(FuncRef);
                self.stack.pop();
                self.emit(format_args!("table.set $refs"));
            }
            2 => {
                self.emit(format_args!("table.size $refs"));
                self.stack.push(I32);
            }
            3 => {
                self.push(FuncRef);
                self.stack.pop();
                let count = self.choices.of(&[0, 1, 2, 5, -1]);
                self.emit(format_args!("i32.const {count}"));
                self.emit(format_args!("table.grow $refs"));
                self.stack.push(I32);
            }
            4 => {
                self.emit(format_args!("i32.const {place}"));
                self.push(FuncRef);
                self.stack.pop();
                let count = self.choices.of(&[0, 1, 2, 7]);
                self.emit(format_args!("i32.const {count}"));
                self.emit(format_args!("table.fill $refs"));
            }
            5 => {
                self.bulk_operands();
                self.emit(format_args!("table.copy $refs $refs"));
            }
            6 => {
                self.bulk_operands();
                self.emit(format_args!("table.init $refs $functions"));
            }
            _ if self.choices.one_in(4) => self.emit(format_args!("elem.drop $functions")),
            _ => self.plain(),
        }
    }

    fn reference(&mut self) {
        let ty = self.choices.of(&[FuncRef, ExternRef]);
        self.want(&[ty]);
        self.emit(format_args!("ref.is_null"));
        self.stack.pop();
        self.stack.push(I32);
    }

    /// 128-bit arithmetic, in two halves.
    fn wide(&mut self) {
        let (operator, operands) = self.choices.of(&[
            ("i64.add128", 4),
            ("i64.sub128", 4),
            ("i64.mul_wide_s", 2),
            ("i64.mul_wide_u", 2),
        ]);
        self.want(&[I64; 4][..operands]);
        self.emit(format_args!("{operator}"));
        self.stack.truncate(self.stack.len() + 2 - operands);
    }

    /// A block that catches one way or another, inside the block that the clause leads to.
    fn try_table(&mut self, depth: usize) {
        let (params, results) = (self.few_types(), self.few_types());
        let (clause, tagged, reference) = self.choices.of(&[
            ("catch $e1", true, false),
            ("catch_ref $e1", true, true),
            ("catch_all", false, false),
            ("catch_all_ref", false, true),
        ]);
        let payload = if tagged { self.carried.to_vec() } else { Vec::new() };
        let types: Vec<String> = payload.iter().map(|ty| format!(" {ty}")).collect();
        let exnref = if reference { " exnref" } else { "" };
        self.emit(format_args!("block (result{}{exnref})", types.concat()));
        // Operators know no exceptions' references, so nothing but the clause branches to a label that takes one.
        let outer = self.enter(0, Label { types: payload.clone(), back: reference });
        let mut clauses = vec![format!("({clause} 0)")];
        let plain = (1..self.labels.len()).find(|up| {
            let label = &self.labels[self.labels.len() - 1 - up];
            label.types.is_empty() && !label.back
        });
        if let Some(up) = plain.filter(|_| self.choices.one_in(2)) {
            let place = self.choices.below(2);
            clauses.insert(place, format!("(catch $e0 {up})"));
        }
        self.want(&params);
        self.emit(format_args!("try_table{} {}", Self::block_type(&params, &results), clauses.join(" ")));
        let inner = self.enter(params.len(), Label { types: results.clone(), back: false });
        self.operators(depth - 1);
        if self.choices.one_in(3) {
            self.throw();
        }
        self.leave(&results);
        self.come_back(inner);
        self.leave(&payload);
        if reference {
            self.emit(format_args!("ref.null exn"));
        }
        self.come_back(outer);
        if reference {
            self.push(I32);
            self.stack.pop();
            self.emit(format_args!("if (param exnref)"));
            self.emit(format_args!("throw_ref"));
            self.emit(format_args!("else"));
            self.emit(format_args!("drop"));
            self.emit(format_args!("end"));
        }
    }

    fn throw(&mut self) {
        if self.choices.one_in(2) {
            self.emit(format_args!("throw $e0"));
        } else {
            self.want(self.carried);
            self.emit(format_args!("throw $e1"));
        }
        self.unreachable_from_here();
    }

    fn rare(&mut self) {
        match self.choices.below(8) {
            0 if self.labels.len() > 1 => {
                self.emit(format_args!("unreachable"));
                self.unreachable_from_here();
            }
            1..=2 => self.emit(format_args!("nop")),
            3 if self.labels.len() > 1 => self.throw(),
            _ if self.stack.len() > self.base => {
                self.emit(format_args!("drop"));
                self.stack.pop();
            }
            _ => self.plain(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mini_wasm_runtime::ops::Op;
    use std::collections::BTreeSet;

    /// Bytes that look random and are the same on every machine (a linear congruential generator).
    fn bytes(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let step = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..length).map(step).collect()
    }

    #[test]
    fn every_program_is_valid_and_every_operator_of_the_table_occurs() {
        let mut seen = BTreeSet::new();
        for seed in 0..300 {
            let entropy = bytes(seed, 3000);
            let program = Program::grow(&mut Choices::new(&entropy));
            let binary =
                wat::parse_str(&program.text).unwrap_or_else(|error| panic!("{error}\n{}", program.text));
            if let Err(error) = wasmparser::validate(&binary) {
                panic!("seed {seed}: {error}\n{}", program.text);
            }
            seen.extend(program.text.split_whitespace().map(str::to_owned));
        }
        // Vectors are not grown yet; their mnemonics begin with `v128` or a shape.
        let vector = |name: &str| name.split('.').next().is_some_and(|ty| ty == "v128" || ty.contains('x'));
        // Exceptions as they were first are off by default and have scripts of their own.
        let legacy = |name: &str| ["try", "catch", "catch_all", "rethrow", "delegate"].contains(&name);
        let names = Op::ALL.iter().map(|op| op.mnemonic()).filter(|name| !vector(name) && !legacy(name));
        let missing: Vec<&str> = names.filter(|name| !seen.contains(*name)).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn no_bytes_give_the_simplest_program() {
        let program = Program::grow(&mut Choices::new(&[]));
        assert!(wat::parse_str(&program.text).is_ok_and(|binary| binary.len() < 300), "{}", program.text);
        assert_eq!(program.functions.len(), 2);
    }
}
