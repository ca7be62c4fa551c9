//! The interpreter: threaded code over frames in the store's value stack (study/interpreter.md has the measurements behind it).
//!
//! | file | what |
//! |---|---|
//! | `code` | the table of a module's functions; how instructions are written |
//! | `survey`, `translate`, `control`, `emit` | wasm to instructions: a first look, operators, blocks, the choice of instruction |
//! | `rows`, `select` | the operator table as types; which handlers exist |
//! | `state`, `operand` | what a handler works on; operand classes |
//! | `arith`, `wide`, `memory`, `far`, `atomic`, `flow`, `call`, `bulk`, `gc`, `unwind` | the handlers |
//! | `vector` | all of that for vectors: rows, translation, handlers |
//! | `exception` | catch clauses: translated, kept by function, found; `throw` |
//! | `switching` | stack switching: translation and handlers |
//! | `dispatch` | how one handler leads to the next: threaded or by a loop |
//!
//! Nothing here knows how instances come to be, or that other engines exist beyond [`crate::backend`].

mod arith;
#[cfg(target_has_atomic = "64")]
mod atomic;
mod bulk;
mod call;
mod code;
mod control;
#[cfg_attr(threaded_dispatch, path = "threaded.rs")]
#[cfg_attr(not(threaded_dispatch), path = "looped.rs")]
mod dispatch;
mod emit;
mod exception;
mod far;
mod flow;
mod gc;
mod memory;
mod operand;
mod rows;
mod select;
mod state;
mod survey;
mod switching;
mod translate;
mod unwind;
mod vector;
mod wide;

pub(crate) use code::CodeTable;

use crate::module::FuncIdx;
use crate::trap::Trap;
use crate::val::RawVal;
use crate::vm::{Status, VmContext, VmFunc};
use core::sync::atomic::Ordering;
use flow::HEADER_SLOTS;
use state::State;

/// Runs an interpreted function: the array entry of all of them.
///
/// # Safety
/// As for every [`crate::vm::ArrayCall`]; `func` belongs to an instance.
pub(crate) unsafe extern "C" fn array_call(func: *const VmFunc, slots: *mut RawVal) -> Status {
    // SAFETY: V1, V4, V5.
    unsafe { run((*func).instance, (*func).index, slots) }
}

/// Runs a function of an instance's own module, by its index there.
///
/// # Safety
/// V1, V4, V5 for `ctx` and the function's type; `func` is not an import.
pub(crate) unsafe extern "C" fn call_own(ctx: *mut VmContext, func: u32, slots: *mut RawVal) -> Status {
    // SAFETY: the caller's promise.
    unsafe { run(ctx, func, slots) }
}

/// Is a function run by this interpreter?
///
/// # Safety
/// `func` is live (V1).
#[inline(always)]
unsafe fn is_interpreted(func: *const VmFunc) -> bool {
    // If the linker were to give `array_call` two addresses, calls would take the longer way, no more.
    // SAFETY: the caller's promise.
    unsafe { core::ptr::fn_addr_eq((*func).array_call, array_call as crate::vm::ArrayCall) }
}

/// Enters the loop on a fresh frame above what the value stack holds.
unsafe fn run(ctx: *mut VmContext, func: u32, slots: *mut RawVal) -> Status {
    // SAFETY: V1, V4, V5; the comparisons make room for header and frame (I2).
    unsafe {
        let store = (*ctx).store;
        // Native code that calls back is a recursion on the native stack.
        let here = 0u8;
        if (&raw const here).addr() < (*store).stack_limit {
            return Status::trap(Trap::StackOverflow);
        }
        let table = unwind::table_of(ctx);
        let entry = table.entry(func);
        let ty = table.info().func_type(FuncIdx(func));
        let base = (*store).value_stack_top;
        let code = (*entry).code.load(Ordering::Acquire);
        let frame = (*entry).frame.load(Ordering::Relaxed).max((*entry).header + HEADER_SLOTS) as usize;
        // Slots between here and the end; results need no more than a frame has.
        let room = ((*store).value_stack_limit.addr()).saturating_sub(base.addr()) / size_of::<RawVal>();
        if frame.max(ty.call_slots()) > room {
            return Status::trap(Trap::StackOverflow);
        }
        core::ptr::copy(slots, base, ty.param_slots());
        flow::write_header(base.wrapping_add((*entry).header as usize), call::exit_ip(), base);
        let mut state = State {
            ip: code,
            sp: base,
            mem: core::ptr::null_mut(),
            acc: entry.expose_provenance() as u64,
            len: 0,
            l0: *base.wrapping_add((*entry).l0.load(Ordering::Relaxed) as usize),
            f64: 0.0,
            f32: 0.0,
            ctx,
        };
        state.reload_memory();
        ctx.expose_provenance();
        let status = Status(dispatch::start(state));
        (*store).value_stack_top = base;
        if status.is_ok() {
            core::ptr::copy(base, slots, ty.result_slots());
        }
        status
    }
}

#[cfg(test)]
mod exception_tests;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod machine_code;
#[cfg(test)]
mod tests;
