//! Threaded dispatch: each handler ends by jumping to the next one, with the machine state in argument registers.
//!
//! The jump is a call in tail position that LLVM turns into one from opt-level 1 on, where the arguments fit the registers of
//! the convention and nothing with a destructor or an escaped address is alive (study/interpreter.md 2.3). build.rs picks this
//! file only there, and tests disassemble every handler.

use super::state::{Exec, Flow, State, handler_at};
use super::unwind::Leave;
use crate::vm::VmContext;

macro_rules! dispatcher {
    ($abi:literal, $word:ty, $to_word:expr, $of_word:expr) => {
        /// An instruction's code. The fourth argument is in `rcx` on x86_64, which shifts clobber: it is the accumulator,
        /// which dies there anyway. The instance travels as a float where integers have six registers only.
        pub(super) type Handler = unsafe extern $abi fn(
            *const u8, *mut u64, *mut u8, u64, usize, u64, f64, f32, $word,
        ) -> u32;

        #[allow(clippy::too_many_arguments)]
        unsafe extern $abi fn run<E: Exec>(
            ip: *const u8,
            sp: *mut u64,
            mem: *mut u8,
            acc: u64,
            len: usize,
            l0: u64,
            f64: f64,
            f32: f32,
            ctx: $word,
        ) -> u32 {
            let mut s = State { ip, sp, mem, acc, len, l0, f64, f32, ctx: $of_word(ctx) };
            if E::SIZE == 0 {
                // SAFETY: I1 to I4, which every handler keeps.
                unsafe {
                    match E::exec(&mut s) {
                        Flow::Next => unreachable!("crash: an instruction without size went on"),
                        Flow::Jump => next!(handler_at(s.ip), s, $to_word),
                        Flow::Cold(handler) => next!(handler, s, $to_word),
                        Flow::Trap(trap) => {
                            s.acc = trap.code().into();
                            next!(run_cold::<Leave>, s, $to_word)
                        }
                        Flow::Exit(status) => status,
                    }
                }
            } else {
                // SAFETY: I1 to I4. The next handler is fetched first: LLVM cannot move that load over the stores.
                unsafe {
                    let next = handler_at(ip.wrapping_add(E::SIZE));
                    match E::exec(&mut s) {
                        Flow::Next => {
                            s.ip = opaque(s.ip).wrapping_add(E::SIZE);
                            next!(next, s, $to_word)
                        }
                        Flow::Jump => next!(handler_at(s.ip), s, $to_word),
                        Flow::Cold(handler) => next!(handler, s, $to_word),
                        Flow::Trap(trap) => {
                            s.acc = trap.code().into();
                            next!(run_cold::<Leave>, s, $to_word)
                        }
                        Flow::Exit(status) => status,
                    }
                }
            }
        }

        /// The same, never inlined: a handler that ended in it would save registers for it on its common way, too.
        #[allow(clippy::too_many_arguments)]
        #[cold]
        #[inline(never)]
        unsafe extern $abi fn run_cold<E: Exec>(
            ip: *const u8,
            sp: *mut u64,
            mem: *mut u8,
            acc: u64,
            len: usize,
            l0: u64,
            f64: f64,
            f32: f32,
            ctx: $word,
        ) -> u32 {
            // SAFETY: as there.
            unsafe { run::<E>(ip, sp, mem, acc, len, l0, f64, f32, ctx) }
        }

        /// Runs from `s` on until an instruction exits.
        ///
        /// # Safety
        /// I1 to I4.
        pub(super) unsafe fn start(s: State) -> u32 {
            // SAFETY: the caller's promise.
            unsafe { next!(handler_at(s.ip), s, $to_word) }
        }
    };
}

/// `ip`, of which LLVM knows no more: otherwise it computes the next instruction's address early, for the fetch of its
/// handler, and keeps it in one more register, which often has to be saved. (To compute it first and to address operands
/// backwards from it needs as few, and is 10 to 15 % slower: every load then waits for the addition.)
#[inline(always)]
#[allow(clippy::pointers_in_nomem_asm_block, reason = "it holds no instruction")]
fn opaque(mut ip: *const u8) -> *const u8 {
    // SAFETY: no instruction.
    unsafe {
        core::arch::asm!("/* {0} */", inlateout(reg) ip, options(pure, nomem, nostack, preserves_flags));
    }
    ip
}

macro_rules! next {
    ($handler:expr, $s:ident, $to_word:expr) => {
        ($handler)($s.ip, $s.sp, $s.mem, $s.acc, $s.len, $s.l0, $s.f64, $s.f32, $to_word($s.ctx))
    };
}

#[cfg(target_arch = "x86_64")]
dispatcher!(
    "sysv64",
    f64,
    |ctx: *mut VmContext| f64::from_bits(ctx.expose_provenance() as u64),
    |word: f64| core::ptr::with_exposed_provenance_mut::<VmContext>(word.to_bits() as usize)
);
#[cfg(not(target_arch = "x86_64"))]
dispatcher!("C", *mut VmContext, |ctx: *mut VmContext| ctx, |word: *mut VmContext| word);

/// The handler of an instruction.
pub(super) const fn handler<E: Exec>() -> Handler {
    run::<E>
}

/// The handler of the rare rest of an instruction.
pub(super) const fn cold<E: Exec>() -> Handler {
    run_cold::<E>
}
