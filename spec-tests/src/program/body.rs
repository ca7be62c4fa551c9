//! A function body while it grows: the operand stack, locals, blocks, branches, calls.

use super::Type::{self, *};
use super::choices::Choices;
use super::constant::constant;
use super::rows::{Immediate, Row};
use super::{Environment, Signature};
use std::fmt::{self, Write};

/// A label that branches can name.
pub(super) struct Label {
    /// What a branch to it takes along.
    pub(super) types: Vec<Type>,
    /// A loop: a branch here goes back, so only the counted one may.
    pub(super) back: bool,
}

/// A function body while it grows.
pub(super) struct Body<'p, 'c, 'b> {
    pub(super) choices: &'c mut Choices<'b>,
    text: String,
    own: usize,
    pub(super) environment: &'p Environment,
    /// Parameters, then own locals; the counters of loops are behind those that operators may choose.
    locals: Vec<Type>,
    counters: usize,
    pub(super) stack: Vec<Type>,
    /// Operands below this belong to outer blocks.
    pub(super) base: usize,
    pub(super) labels: Vec<Label>,
    /// Operators that may still be written.
    budget: usize,
}

impl<'p> Body<'p, '_, '_> {
    /// The own locals and the text of the body.
    pub(super) fn grow(
        choices: &mut Choices<'_>,
        own: usize,
        environment: &'p Environment,
    ) -> (Vec<Type>, String) {
        let signature = &environment.signatures[own];
        let mut locals = signature.params.clone();
        locals.extend((0..choices.below(5)).map(|_| choices.of(&environment.types)));
        let budget = 8 + choices.below(120);
        let label = Label { types: signature.results.clone(), back: false };
        let mut body = Body {
            choices,
            text: String::new(),
            own,
            environment,
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

    pub(super) fn emit(&mut self, operator: fmt::Arguments<'_>) {
        let indent = 2 + self.labels.len();
        let _ = writeln!(self.text, "{:indent$}{operator}", "", indent = 2 * indent - 2);
        self.budget = self.budget.saturating_sub(1);
    }

    pub(super) fn operators(&mut self, depth: usize) {
        while self.budget > 0 && !self.choices.is_spent() {
            self.operator(depth);
            if self.labels.len() > 1 && self.choices.one_in(12) {
                break;
            }
        }
    }

    /// One more operator, with what has to be pushed for it.
    fn operator(&mut self, depth: usize) {
        match self.choices.below(52) {
            44.. if !self.environment.heap.is_empty() => self.heap(),
            32.. => self.statement(),
            0..=11 => self.plain(),
            12..=14 => {
                let ty = self.choices.of(&self.environment.types);
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
            30 => self.nullness(),
            31 if depth > 0 => self.try_block(depth),
            _ => self.rare(),
        }
    }

    /// A row of the table: those on vectors are many, so they have their own turn.
    fn row(&mut self) -> &'static Row {
        let Environment { scalars, vectors, .. } = self.environment;
        let rows = if !vectors.is_empty() && self.choices.one_in(2) { vectors } else { scalars };
        rows[self.choices.below(rows.len())]
    }

    /// What stands behind the mnemonic of a row.
    fn immediate(&mut self, row: &Row) -> String {
        match row.immediate {
            Immediate::Nothing => String::new(),
            Immediate::Lane(lanes) => format!(" {}", self.choices.below(lanes)),
            Immediate::Lanes => (0..16).map(|_| format!(" {}", self.choices.below(32))).collect(),
        }
    }

    /// A memory, and the type of its addresses.
    pub(super) fn memory_of(&mut self) -> (&'static str, Type) {
        let abilities = self.environment.abilities;
        match self.choices.below(8) {
            1 | 2 => ("$m1", I32),
            3 if abilities.memory64 => ("$m64", I64),
            4 if abilities.threads => ("$shared", I32),
            _ => ("$m0", I32),
        }
    }

    /// Cuts the operand on top to what an operator that may trap takes, mostly: a function ends at its first trap.
    fn guard(&mut self, row: &Row) {
        let Some(&ty) = row.params.last() else { return };
        if self.choices.one_in(10) {
            return;
        }
        if row.divides() {
            self.emit(format_args!("{ty}.const 1"));
            self.emit(format_args!("{ty}.or"));
        } else if row.converts() {
            // What is no number becomes one by its bits.
            let bits = if ty == F32 { I32 } else { I64 };
            self.emit(format_args!("{bits}.reinterpret_{ty}"));
            self.emit(format_args!("{bits}.const 0xffffff"));
            self.emit(format_args!("{bits}.and"));
            self.emit(format_args!("{ty}.convert_{bits}_u"));
        }
    }

    pub(super) fn plain(&mut self) {
        let row = self.row();
        self.plain_row(row);
    }

    fn plain_row(&mut self, row: &'static Row) {
        let immediate = self.immediate(row);
        if row.access == 0 {
            self.want(&row.params);
            self.guard(row);
            self.emit(format_args!("{}{immediate}", row.mnemonic));
            self.stack.truncate(self.stack.len() - row.params.len());
            return self.stack.extend(&row.results);
        }
        let (memory, address) = self.memory_of();
        // A function ends at its first trap, so accesses outside are the exception.
        let offset = match (self.choices.one_in(12), row.is_atomic()) {
            (true, true) => self.choices.of(&[65528, 1, 65536]),
            (true, false) => self.choices.of(&[65535, 65529, 65536, 4_294_967_295u64]),
            (false, true) => self.choices.of(&[0, 8, 16]),
            (false, false) => self.choices.of(&[0, 1, 0, 7]),
        };
        self.want(&[address]);
        // Mostly inside: an address of 16 bits, aligned where that matters; sometimes whatever is there.
        if !self.choices.one_in(16) {
            // In the lower half, so that sums with small offsets are inside.
            let mask = if row.is_atomic() { 32768 - row.access } else { 32767 };
            self.emit(format_args!("{address}.const {mask}"));
            self.emit(format_args!("{address}.and"));
        }
        for &ty in &row.params[1..] {
            self.push(ty);
        }
        self.emit(format_args!("{} {memory} offset={offset}{immediate}", row.mnemonic));
        self.stack.truncate(self.stack.len() - row.params.len());
        self.stack.extend(&row.results);
    }

    /// What compilers write: operands from locals and constants, the result to a local or a branch. One local of each type is
    /// used more than the others, as the engines expect it of a loop's counter or of a base address.
    fn statement(&mut self) {
        let row = self.row();
        if row.is_atomic() {
            // Most of the addresses here are not aligned.
            return self.plain_row(row);
        }
        let immediate = self.immediate(row);
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
            0 => {
                self.guard(row);
                self.emit(format_args!("{}{immediate}", row.mnemonic));
            }
            _ => {
                let offset = self.choices.of(&[0, 4, 16, 49152]);
                self.emit(format_args!("{} offset={offset}{immediate}", row.mnemonic));
            }
        }
        self.stack.truncate(self.stack.len() - row.params.len());
        self.stack.extend(&row.results);
        let [mut result] = row.results[..] else { return };
        if self.choices.one_in(6) {
            // What came out becomes something else at once: a float's bits an integer, a number one of another width.
            let unary: Vec<&Row> = self
                .environment
                .scalars
                .iter()
                .copied()
                .filter(|row| row.is_total() && row.params == [result])
                .collect();
            if !unary.is_empty() {
                let row = self.choices.of(&unary);
                self.emit(format_args!("{}", row.mnemonic));
                self.stack.pop();
                self.stack.extend(&row.results);
                result = row.results[0];
            }
        }
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
    pub(super) fn want(&mut self, types: &[Type]) {
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
    pub(super) fn push(&mut self, ty: Type) {
        let locals: Vec<usize> = (0..self.locals.len()).filter(|&i| self.locals[i] == ty).collect();
        // A local of the heap is null until something is put there.
        let seldom = matches!(ty, AnyRef | EqRef | I31Ref | Heap(_)) && !self.choices.one_in(3);
        if !locals.is_empty() && !seldom && !self.choices.one_in(3) {
            let local = self.choices.of(&locals);
            self.emit(format_args!("local.get {local}"));
        } else if matches!(ty, AnyRef | EqRef | I31Ref | Heap(_)) && !self.choices.one_in(8) {
            return self.push_fresh(ty);
        } else if ty == FuncRef && self.choices.one_in(2) {
            let function = self.choices.below(self.environment.signatures.len());
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
        if self.environment.globals.is_empty() {
            return self.plain();
        }
        let global = self.choices.below(self.environment.globals.len());
        let ty = self.environment.globals[global];
        if self.choices.one_in(2) {
            self.want(&[ty]);
            self.emit(format_args!("global.set $g{global}"));
            self.stack.pop();
        } else {
            self.emit(format_args!("global.get $g{global}"));
            self.stack.push(ty);
        }
    }

    pub(super) fn few_types(&mut self) -> Vec<Type> {
        let size = self.choices.of(&[0, 1, 0, 1, 2, 4]);
        (0..size).map(|_| self.choices.of(&self.environment.types)).collect()
    }

    /// Goes into a block whose parameters lie on the stack; `leave` and `come_back` go out.
    pub(super) fn enter(&mut self, params: usize, label: Label) -> usize {
        self.labels.push(label);
        std::mem::replace(&mut self.base, self.stack.len() - params)
    }

    /// Makes the operands of the current block exactly these.
    pub(super) fn leave(&mut self, results: &[Type]) {
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

    pub(super) fn come_back(&mut self, outer: usize) {
        self.labels.pop();
        self.base = outer;
        self.emit(format_args!("end"));
    }

    fn block(&mut self, depth: usize) {
        let (params, results) = (self.few_types(), self.few_types());
        self.want(&params);
        self.emit(format_args!("block{}", Signature::of(&params, &results)));
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
        self.emit(format_args!("loop{}", Signature::of(&types, &types)));
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

    /// Sees to it that these types lie under a condition, which may be what an operator just gave; the condition is used up.
    fn want_condition(&mut self, types: &[Type]) {
        let mut wanted = types.to_vec();
        wanted.push(I32);
        self.want(&wanted);
        self.stack.pop();
    }

    fn if_else(&mut self, depth: usize) {
        let (params, results) = (self.few_types(), self.few_types());
        self.want_condition(&params);
        self.emit(format_args!("if{}", Signature::of(&params, &results)));
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
                self.want_condition(&types);
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
                let results = &self.environment.signatures[self.own].results;
                self.want(results);
                self.emit(format_args!("return"));
                self.unreachable_from_here();
            }
        }
    }

    /// What follows is validated over an operand stack that may be anything, so an empty one will do.
    pub(super) fn unreachable_from_here(&mut self) {
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
        let Signature { params, results } = &self.environment.signatures[callee];
        self.want(params);
        let same = *results == self.environment.signatures[self.own].results;
        match self.choices.below(6) {
            0 | 1 => self.emit(format_args!("call $f{callee}")),
            2 if same && self.choices.one_in(2) => {
                self.emit(format_args!("return_call $f{callee}"));
                return self.unreachable_from_here();
            }
            3 if self.environment.abilities.function_references => {
                let tail = same && self.choices.one_in(2);
                return self.call_ref(callee, &self.environment.signatures[callee], tail);
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
        let ty = self.choices.of(&self.environment.types);
        self.want(&[ty, ty]);
        self.push(I32);
        if [I32, I64, F32, F64, V128].contains(&ty) && self.choices.one_in(2) {
            self.emit(format_args!("select"));
        } else {
            self.emit(format_args!("select (result {ty})"));
        }
        self.stack.truncate(self.stack.len() - 2);
    }

    fn rare(&mut self) {
        match self.choices.below(8) {
            0 if self.labels.len() > 1 => {
                self.emit(format_args!("unreachable"));
                self.unreachable_from_here();
            }
            1..=2 => self.emit(format_args!("nop")),
            3 if self.labels.len() > 1 && self.environment.abilities.exceptions => self.throw(),
            _ if self.stack.len() > self.base => {
                self.emit(format_args!("drop"));
                self.stack.pop();
            }
            _ => self.plain(),
        }
    }
}
