//! Leaving guest frames: from the place that raises (a builtin's caller, or the operator that trapped) to the innermost array
//! entry, whose handler returns the status to the host.
//!
//! Frames are walked by frame pointer. Between that place and the entry there are only frames of registered native code: whoever
//! else calls native code goes through an array entry. So the walk meets the entry before any foreign frame, and reads no
//! memory but those frames. On the way the store is told of each frame, for the backtrace.
//!
//! Invariants: F1, native code keeps frame pointers: `[fp]` is the caller's, `[fp + 8]` the return address, on all targets.
//! F2, an array entry keeps the `VmContext` it entered in the word its table row names. F3, handlers restore all registers from
//! their own frame: they need the stack pointer, the frame pointer and the payload register.

use super::registry;
use mini_wasm_runtime::store::StoreInner;
use mini_wasm_runtime::vm::VmContext;

/// Where control goes on: the entry's handler.
#[repr(C)]
pub(crate) struct Landing {
    sp: usize,
    fp: usize,
    pc: usize,
}

/// Finds the way out. `pc` is where the innermost guest frame stopped: the instruction that trapped, or for a call an address
/// inside it (the return address is that of the next instruction, which may be a trap of its own). Gives the payload for the
/// handler.
///
/// `address` is what the instruction reached for when it faulted, else 0. Guest code faults only in the guards of its own
/// memories: anything else is a hole in the sandbox, and the process ends before it is used.
///
/// # Safety
/// Called for native code that runs on this thread (F1, F2); `landing` is writable.
unsafe extern "C" fn leave(fp: usize, pc: usize, status: u32, address: usize, landing: *mut Landing) -> u64 {
    // SAFETY: the caller vouches.
    let Some((out, vmctx)) = (unsafe { entry_of(fp, pc) }) else {
        // Frames that are not ours cannot be left; there is nobody to return to.
        eprintln!("crash: no entry found for native code at {pc:#x}");
        std::process::abort();
    };
    // SAFETY: V1, V5: the store runs on this thread, in guest code, so nobody uses its borrow now.
    let store = unsafe { &mut *(*(*vmctx).store).inner.cast::<StoreInner>() };
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
