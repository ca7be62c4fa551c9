//! What a handler works on: the machine state that travels in registers, and how an operator's operands are read.
//!
//! An instruction is a run of 8-byte cells: the address of its handler, then packed operands at fixed byte offsets from its
//! start. Invariants of the interpreter, cited by the SAFETY comments of this folder:
//!
//! * I1. `ip` points at an instruction that the translator wrote (or at one of the static ones of call.rs), so every operand
//!   its handler reads lies inside the same block of code, and is naturally aligned.
//! * I2. `sp` points at a frame of `FuncEntry::frame` slots inside the store's value stack; every slot number in the
//!   function's code is less than that.
//! * I3. `mem` and `len` are the base and length of memory 0 of the instance `ctx`, at least since the last call or growth.
//! * I4. `ctx` is a live instance (V1) of the module whose code `ip` points into.

use super::dispatch::Handler;
use crate::trap::Trap;
use crate::vm::VmContext;
use core::mem::transmute;
use core::ptr::with_exposed_provenance;
use core::sync::atomic::Ordering;

/// The machine.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// The instruction that runs.
    pub(super) ip: *const u8,
    /// The frame.
    pub(super) sp: *mut u64,
    /// Memory 0, first byte.
    pub(super) mem: *mut u8,
    /// Accumulator for integers and references: the last such result.
    pub(super) acc: u64,
    /// Memory 0, bytes.
    pub(super) len: usize,
    /// Content of the function's pinned local.
    pub(super) l0: u64,
    /// Accumulator for `f64`.
    pub(super) f64: f64,
    /// Accumulator for `f32`.
    pub(super) f32: f32,
    /// The instance.
    pub(super) ctx: *mut VmContext,
}

/// What happens after an instruction.
pub(super) enum Flow {
    /// The instruction behind this one.
    Next,
    /// The instruction that `ip` was set to.
    Jump,
    /// This handler instead, with the same state: the cold rest of an instruction.
    Cold(Handler),
    /// A trap: frames are noted and left.
    Trap(Trap),
    /// The run ends with this status.
    Exit(u32),
}

/// An instruction's behaviour. Both dispatchers are made from it.
pub(super) trait Exec {
    /// Bytes of the instruction; 0 if it never continues with [`Flow::Next`].
    const SIZE: usize;

    /// Does the work.
    ///
    /// # Safety
    /// I1 to I4 hold, and `ip` points at an instruction of this kind.
    unsafe fn exec(s: &mut State) -> Flow;
}

/// First source slot.
pub(super) const A: usize = 8;
/// Destination slot.
pub(super) const D: usize = 10;
/// Second source: slot or 32-bit immediate.
pub(super) const B: usize = 12;
/// A 64-bit immediate.
pub(super) const W: usize = 16;

impl State {
    /// The operand at byte `at` of the instruction.
    ///
    /// # Safety
    /// I1, and the instruction has a `T` there.
    #[inline(always)]
    pub(super) unsafe fn operand<T: Copy>(&self, at: usize) -> T {
        // SAFETY: I1.
        unsafe { *self.ip.wrapping_add(at).cast::<T>() }
    }

    /// Content of the slot whose number is the operand at byte `at`.
    ///
    /// # Safety
    /// I1, I2, and the instruction has a slot number there.
    #[inline(always)]
    pub(super) unsafe fn slot(&self, at: usize) -> u64 {
        // SAFETY: I1, I2.
        unsafe { *self.slot_at(at) }
    }

    /// Address of the slot whose number is the operand at byte `at`.
    ///
    /// # Safety
    /// As for [`State::slot`].
    #[inline(always)]
    pub(super) unsafe fn slot_at(&self, at: usize) -> *mut u64 {
        // SAFETY: I1.
        self.sp.wrapping_add(usize::from(unsafe { self.operand::<u16>(at) }))
    }

    /// Moves on by the 32-bit offset that stands at byte `at`.
    ///
    /// # Safety
    /// I1, and the instruction has a branch offset there.
    #[inline(always)]
    pub(super) unsafe fn branch(&mut self, at: usize) -> Flow {
        // SAFETY: I1.
        let offset = unsafe { self.operand::<i32>(at) };
        self.ip = self.ip.wrapping_offset(offset as isize);
        Flow::Jump
    }

    /// The `T` at `offset` bytes behind the start of the instance.
    ///
    /// # Safety
    /// I4, and `offset` leads to a `T` by the module's layout.
    #[inline(always)]
    pub(super) unsafe fn instance_entry<T>(&self, offset: u32) -> *mut T {
        self.ctx.wrapping_byte_add(offset as usize).cast::<T>()
    }

    /// Reads memory 0 anew: after whatever may have grown it, or changed the instance.
    ///
    /// # Safety
    /// I4.
    #[inline(always)]
    pub(super) unsafe fn reload_memory(&mut self) {
        // SAFETY: I4, V1.
        unsafe {
            let memory = (*self.ctx).memory0;
            self.mem = (*memory).base;
            self.len = (*memory).len.load(Ordering::Relaxed);
        }
    }
}

/// The handler of the instruction at `ip`.
///
/// # Safety
/// I1.
#[inline(always)]
pub(super) unsafe fn handler_at(ip: *const u8) -> Handler {
    // SAFETY: I1: the first word of an instruction is the address of a `Handler`, exposed when it was written.
    unsafe { transmute::<*const (), Handler>(with_exposed_provenance(*ip.cast::<usize>())) }
}
