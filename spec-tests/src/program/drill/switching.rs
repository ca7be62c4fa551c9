//! Drills of stack switching.

use super::super::Type::I64;
use super::Drill;
use mini_wasm_runtime::ops::Op;

impl Drill<'_, '_> {
    /// Types, tags, and functions that run on stacks of their own.
    pub(super) fn switching_types(&self) -> String {
        if !self.abilities.switching {
            return String::new();
        }
        // `$giver` hands its argument out and gives back what it is told; `$keeper` catches what is thrown at it there; `$first`
        // switches to `$second`, which switches back.
        "  (type $step (func (param i64) (result i64)))
  (type $steps (cont $step))
  (type $ready (func (result i64)))
  (type $readies (cont $ready))
  (rec (type $peer (func (param (ref null $peers)) (result i64))) (type $peers (cont $peer)))
  (tag $give (param i64) (result i64))
  (tag $pass (result i64))
  (elem declare func $plain $giver $keeper $first $second)
  (func $plain (type $step) local.get 0 i64.const 3 i64.mul)
  (func $giver (type $step) local.get 0 suspend $give local.get 0 i64.xor)
  (func $keeper (type $step)
    block $caught (result i64) try_table (result i64) (catch $e1 $caught) local.get 0 suspend $give end end)
  (func $first (type $peer) ref.func $second cont.new $peers switch $peers $pass drop i64.const 1)
  (func $second (type $peer) local.get 0 switch $peers $pass drop i64.const 2)
"
        .to_owned()
    }

    pub(super) fn switching_locals(&self) -> String {
        if !self.abilities.switching {
            return String::new();
        }
        " (local $steps (ref null $steps))".to_owned()
    }

    pub(super) fn switching(&mut self, op: Op) -> Option<String> {
        if !self.abilities.switching {
            return None;
        }
        let n = self.name();
        let (long, other, taken) = (self.operand(I64), self.operand(I64), self.taken(I64));
        // A continuation that waits for a number; the number it handed out is on the stack.
        let waiting = |function: &str| {
            format!(
                "block $w{n} (result i64 (ref $steps)) {long} ref.func {function} cont.new $steps \
                 resume $steps (on $give $w{n}) drop unreachable end local.set $steps"
            )
        };
        if self.careless() {
            // What traps: nobody handles it, nothing is there, it was resumed before.
            let code = self.choices.of(&[
                "suspend $give",
                "ref.null $steps resume $steps",
                "ref.func $plain cont.new $steps local.tee $steps resume $steps local.get $steps resume $steps",
            ]);
            return Some(format!("{long} {code} {taken}"));
        }
        let thrower = self.choices.of(&["$giver", "$keeper"]);
        Some(match op {
            Op::ContNew | Op::Resume => {
                format!("{long} ref.func $plain cont.new $steps resume $steps {taken}")
            }
            Op::ContBind => {
                format!(
                    "{long} ref.func $plain cont.new $steps cont.bind $steps $readies resume $readies {taken}"
                )
            }
            Op::Suspend => format!("{} local.get $steps resume $steps {taken}", waiting("$giver")),
            Op::ResumeThrow => format!(
                "block $b{n} (result i64) try_table (result i64) (catch $e1 $b{n}) {} drop {other} local.get $steps \
                 resume_throw $steps $e1 end end {taken}",
                waiting(thrower)
            ),
            Op::ResumeThrowRef => format!(
                "block $b{n} (result i64) try_table (result i64) (catch $e1 $b{n}) {} drop \
                 block $c{n} (result exnref) try_table (catch_all_ref $c{n}) {other} throw $e1 end unreachable end \
                 local.get $steps resume_throw_ref $steps end end {taken}",
                waiting(thrower)
            ),
            Op::Switch => format!(
                "ref.null $peers ref.func $first cont.new $peers resume $peers (on $pass switch) {taken}"
            ),
            _ => return None,
        })
    }
}
