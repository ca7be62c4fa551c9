//! Exceptions in random programs: blocks that catch, operators that throw (core specification 4.6.10 "Control Instructions").

use super::Signature;
use super::Type::I32;
use super::body::{Body, Label};

impl Body<'_, '_, '_> {
    /// A block of one generation or the other.
    pub(super) fn try_block(&mut self, depth: usize) {
        let abilities = self.environment.abilities;
        if abilities.legacy_exceptions && (!abilities.exceptions || self.choices.one_in(3)) {
            self.legacy_try(depth);
        } else if abilities.exceptions {
            self.try_table(depth);
        } else {
            self.plain();
        }
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
        let payload = if tagged { self.environment.carried.clone() } else { Vec::new() };
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
        self.emit(format_args!("try_table{} {}", Signature::of(&params, &results), clauses.join(" ")));
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

    pub(super) fn throw(&mut self) {
        if self.choices.one_in(2) {
            self.emit(format_args!("throw $e0"));
        } else {
            self.want(&self.environment.carried);
            self.emit(format_args!("throw $e1"));
        }
        self.unreachable_from_here();
    }

    /// The first generation: a block with handlers of its own, or one that leaves its exceptions to an outer one.
    fn legacy_try(&mut self, depth: usize) {
        let (params, results) = (self.few_types(), self.few_types());
        self.want(&params);
        self.emit(format_args!("try{}", Signature::of(&params, &results)));
        let before = self.stack.len() - params.len();
        let outer = self.enter(params.len(), Label { types: results.clone(), back: false });
        self.operators(depth - 1);
        if self.choices.one_in(3) {
            self.throw();
        }
        self.leave(&results);
        if self.choices.one_in(4) {
            self.labels.pop();
            self.base = outer;
            let up = self.choices.below(self.labels.len());
            return self.emit(format_args!("delegate {up}"));
        }
        let clauses = 1 + self.choices.below(3);
        for clause in 0..clauses {
            self.stack.truncate(before);
            match self.choices.below(3) {
                0 if clause + 1 == clauses => self.emit(format_args!("catch_all")),
                1 => self.emit(format_args!("catch $e0")),
                _ => {
                    self.emit(format_args!("catch $e1"));
                    self.stack.extend(&self.environment.carried);
                }
            }
            self.operators(depth - 1);
            if self.choices.one_in(4) {
                self.emit(format_args!("rethrow 0"));
                self.unreachable_from_here();
            }
            self.leave(&results);
        }
        self.come_back(outer);
    }
}
