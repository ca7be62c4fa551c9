//! Leaving guest frames: from the place that raises (a builtin's caller, or the operator that trapped) to the innermost array
//! entry, whose handler returns the status to the host; or of an exception's way, to a function that catches it.
//!
//! Frames are walked by frame pointer. Between that place and the entry there are only frames of registered native code: whoever
//! else calls native code goes through an array entry. So the walk meets the entry before any foreign frame, and reads no
//! memory but those frames. On the way the store is told of each frame, for the backtrace.
//!
//! Invariants: F1, native code keeps frame pointers: `[fp]` is the caller's, `[fp + 8]` the return address, on all targets.
//! F2, an array entry keeps the `VmContext` it entered in the word its table row names. F4, so does a function with handlers. F3, handlers restore all registers from
//! their own frame: they need the stack pointer, the frame pointer and the payload register.

use super::registry;
use crate::tables::NONE;
use mini_wasm_runtime::store::StoreInner;
use mini_wasm_runtime::vm::{Status, VmContext, VmTag};

/// Where control goes on: the entry's handler.
#[repr(C)]
pub(crate) struct Landing {
    sp: usize,
    fp: usize,
    pc: usize,
}

/// Finds the way out. `pc` is where the innermost guest frame stopped: the instruction that trapped, or for a call an address
/// inside it (the return address is that of the next instruction, which may be a trap of its own). Gives the payload for the
/// handler: the status for that of an entry, the reference to the exception for that of a function.
///
/// `address` is what the instruction reached for when it faulted, else 0. Guest code faults only in the guards of its own
/// memories: anything else is a hole in the sandbox, and the process ends before it is used. `ctx` is the instance that raises, if
/// it is known.
///
/// # Safety
/// Called for native code that runs on this thread (F1, F2); `landing` is writable.
unsafe extern "C" fn leave(
    fp: usize,
    pc: usize,
    status: u32,
    address: usize,
    landing: *mut Landing,
    ctx: *mut VmContext,
) -> u64 {
    let is_exception = Status(status) == Status::EXCEPTION;
    // An exception may be caught near by, and often is: the entry is looked for only when nobody catches.
    if is_exception && !ctx.is_null() {
        // SAFETY: V1, V5, and as the caller vouches.
        if let Some(reference) = unsafe { catch(fp, pc, store_of(ctx), landing) } {
            return reference;
        }
    }
    // SAFETY: the caller vouches.
    let Some((out, vmctx)) = (unsafe { entry_of(fp, pc) }) else {
        // Frames that are not ours cannot be left; there is nobody to return to.
        eprintln!("crash: no entry found for native code at {pc:#x}");
        std::process::abort();
    };
    // SAFETY: V1, V5: the store runs on this thread, in guest code, so nobody uses its borrow now.
    let store = unsafe { store_of(vmctx) };
    if is_exception && ctx.is_null() {
        // SAFETY: as above.
        if let Some(reference) = unsafe { catch(fp, pc, store, landing) } {
            return reference;
        }
    }
    if address != 0 && !store.is_guarded(address) {
        eprintln!(
            "crash: native code at {pc:#x} reached for {address:#x}, which is in no memory of its store"
        );
        std::process::abort();
    }
    // SAFETY: as above.
    unsafe { each_frame(fp, pc, |pc| store.push_native_frame(pc)) };
    // SAFETY: the caller vouches.
    unsafe { landing.write(out) };
    u64::from(status)
}

/// # Safety
/// V1, V5: the store runs on this thread, in guest code, and nothing else borrows it.
unsafe fn store_of<'a>(ctx: *mut VmContext) -> &'a mut StoreInner {
    // SAFETY: the caller vouches.
    unsafe { &mut *(*(*ctx).store).inner.cast::<StoreInner>() }
}

/// Finds the innermost function, up to the entry, that catches the exception on its way: where it goes on, and the reference to
/// the exception, which has arrived.
///
/// # Safety
/// As [`leave`].
unsafe fn catch(mut fp: usize, mut pc: usize, store: &mut StoreInner, landing: *mut Landing) -> Option<u64> {
    let thrown = store.thrown_tag()?;
    loop {
        let code = registry::find(pc)?;
        if pc - code.text < code.tables.entries_end as usize {
            return None;
        }
        let ret = (pc + 1 - code.text) as u32;
        for row in code.tables.handlers(code.bytes(), ret) {
            // SAFETY: F1, F4, V1: the function has put its context there, which has the tag's pointer at that offset.
            let catches = row.tag == NONE
                || unsafe {
                    let vmctx = *((fp - row.vmctx as usize) as *const *mut VmContext);
                    *vmctx.byte_add(row.tag as usize).cast::<*const VmTag>() == thrown
                };
            if catches {
                let out = Landing { sp: fp - row.sp as usize, fp, pc: code.text + row.handler as usize };
                // SAFETY: the caller vouches.
                unsafe { landing.write(out) };
                return Some(store.caught());
            }
        }
        // SAFETY: F1: the frame belongs to native code, which has set its frame pointer.
        (fp, pc) = unsafe { (*(fp as *const usize), *((fp + 8) as *const usize) - 1) };
    }
}

/// Calls `visit` with the program counter of each frame, as in [`leave`]; gives the first frame that is an array entry's: fp, pc.
///
/// # Safety
/// As [`leave`].
unsafe fn each_frame(mut fp: usize, mut pc: usize, mut visit: impl FnMut(usize)) -> Option<(usize, usize)> {
    loop {
        let code = registry::find(pc)?;
        if pc - code.text < code.tables.entries_end as usize {
            return Some((fp, pc));
        }
        visit(pc);
        // SAFETY: F1: the frame belongs to native code, which has set its frame pointer.
        (fp, pc) = unsafe { (*(fp as *const usize), *((fp + 8) as *const usize) - 1) };
    }
}

/// The innermost array entry: how to land there, and the context it entered.
///
/// # Safety
/// As [`leave`].
unsafe fn entry_of(fp: usize, pc: usize) -> Option<(Landing, *mut VmContext)> {
    // SAFETY: the caller vouches.
    let (fp, pc) = unsafe { each_frame(fp, pc, |_| {})? };
    let code = registry::find(pc)?;
    let row = code.tables.entry(code.bytes(), (pc + 1 - code.text) as u32)?;
    // SAFETY: F2.
    let vmctx = unsafe { *((fp - row.vmctx as usize) as *const *mut VmContext) };
    let landing = Landing { sp: fp - row.sp as usize, fp, pc: code.text + row.handler as usize };
    Some((landing, vmctx))
}

/// [`mini_wasm_runtime::vm::VmBuiltins::raise`]: called by native code, in the C convention. The context may be null.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn raise(_ctx: *mut VmContext, _status: u32) -> ! {
    std::arch::naked_asm!(
        "mov r9, rdi",
        "mov edx, esi",
        "mov rdi, rbp",
        "mov rsi, [rsp]",
        "dec rsi",
        "xor ecx, ecx",
        "sub rsp, 40",
        "mov r8, rsp",
        "call {leave}",
        "mov rbp, [rsp + 8]",
        "mov rcx, [rsp + 16]",
        "mov rsp, [rsp]",
        "jmp rcx",
        leave = sym leave,
    )
}

/// Where the trap handler sends a guest: as if it had called [`leave`] itself. Its first four arguments come in
/// registers, as the C convention has it; the stack is aligned as at a call's target.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn raise_trap(_fp: usize, _pc: usize, _status: u32, _address: usize) -> ! {
    std::arch::naked_asm!(
        "xor r9d, r9d",
        "sub rsp, 40",
        "mov r8, rsp",
        "call {leave}",
        "mov rbp, [rsp + 8]",
        "mov rcx, [rsp + 16]",
        "mov rsp, [rsp]",
        "jmp rcx",
        leave = sym leave,
    )
}

/// [`mini_wasm_runtime::vm::VmBuiltins::raise`]: called by native code, in the C convention. The context may be null.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn raise(_ctx: *mut VmContext, _status: u32) -> ! {
    std::arch::naked_asm!(
        "mov x5, x0",
        "mov w2, w1",
        "mov x0, x29",
        "sub x1, x30, #1",
        "mov x3, #0",
        "sub sp, sp, #32",
        "mov x4, sp",
        "bl {leave}",
        "ldp x9, x29, [sp]",
        "ldr x10, [sp, #16]",
        "mov sp, x9",
        "br x10",
        leave = sym leave,
    )
}

/// Where the trap handler sends a guest: as if it had called [`leave`] itself. Its first four arguments come in
/// registers, as the C convention has it; the stack is aligned.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn raise_trap(_fp: usize, _pc: usize, _status: u32, _address: usize) -> ! {
    std::arch::naked_asm!(
        "mov x5, #0",
        "sub sp, sp, #32",
        "mov x4, sp",
        "bl {leave}",
        "ldp x9, x29, [sp]",
        "ldr x10, [sp, #16]",
        "mov sp, x9",
        "br x10",
        leave = sym leave,
    )
}

/// [`mini_wasm_runtime::vm::VmBuiltins::raise`]: called by native code, in the C convention. The context may be null.
#[cfg(target_arch = "riscv64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn raise(_ctx: *mut VmContext, _status: u32) -> ! {
    std::arch::naked_asm!(
        "mv a5, a0",
        "mv a2, a1",
        "mv a0, s0",
        "addi a1, ra, -1",
        "li a3, 0",
        "addi sp, sp, -32",
        "mv a4, sp",
        "call {leave}",
        "ld s0, 8(sp)",
        "ld t1, 16(sp)",
        "ld sp, 0(sp)",
        "jr t1",
        leave = sym leave,
    )
}

/// Where the trap handler sends a guest: as if it had called [`leave`] itself. Its first four arguments come in
/// registers, as the C convention has it; the stack is aligned.
#[cfg(target_arch = "riscv64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn raise_trap(_fp: usize, _pc: usize, _status: u32, _address: usize) -> ! {
    std::arch::naked_asm!(
        "li a5, 0",
        "addi sp, sp, -32",
        "mv a4, sp",
        "call {leave}",
        "ld s0, 8(sp)",
        "ld t1, 16(sp)",
        "ld sp, 0(sp)",
        "jr t1",
        leave = sym leave,
    )
}
