//! Loop dispatch: one loop calls the handlers, the machine state stays in memory.
//!
//! Made from the same bodies as threaded.rs, for whatever cannot promise that a call in tail position becomes a jump: boards,
//! opt-level 0, Miri, sanitizers, other architectures.

use super::state::{Exec, Flow, State, handler_at};
use super::unwind::Leave;

/// An instruction's code. [`GO_ON`] or the status with which the run ends.
pub(super) type Handler = unsafe fn(&mut State) -> u32;

/// No status: the loop goes on.
const GO_ON: u32 = u32::MAX;

unsafe fn run<E: Exec>(s: &mut State) -> u32 {
    // SAFETY: I1 to I4, which every handler keeps.
    unsafe {
        match E::exec(s) {
            Flow::Next => {
                s.ip = s.ip.wrapping_add(E::SIZE);
                GO_ON
            }
            Flow::Jump => GO_ON,
            Flow::Cold(handler) => handler(s),
            Flow::Trap(trap) => {
                s.acc = trap.code().into();
                run::<Leave>(s)
            }
            Flow::Exit(status) => status,
        }
    }
}

/// Runs from `s` on until an instruction exits.
///
/// # Safety
/// I1 to I4.
pub(super) unsafe fn start(mut s: State) -> u32 {
    loop {
        // SAFETY: the caller's promise, kept by each handler.
        let status = unsafe { handler_at(s.ip)(&mut s) };
        if status != GO_ON {
            return status;
        }
    }
}

/// The handler of an instruction.
pub(super) const fn handler<E: Exec>() -> Handler {
    run::<E>
}

/// The handler of the rare rest of an instruction.
pub(super) const fn cold<E: Exec>() -> Handler {
    run::<E>
}
