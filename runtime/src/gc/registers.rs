//! The registers in which callers may keep references over a call.

/// Registers of the target's C convention that a callee must keep, at most.
pub(super) const COUNT: usize = 13;

/// Stores them. Inlined, so that they are those of the caller's callers as far as the caller has not stored them itself.
#[inline(always)]
pub(super) fn callee_saved() -> [usize; COUNT] {
    let mut at = [0usize; COUNT];
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: stores registers into the array, no more.
    unsafe {
        core::arch::asm!(
            "mov [{at}], rbx", "mov [{at} + 8], rbp", "mov [{at} + 16], r12",
            "mov [{at} + 24], r13", "mov [{at} + 32], r14", "mov [{at} + 40], r15",
            at = in(reg) at.as_mut_ptr(), options(nostack, preserves_flags),
        );
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!(
            "stp x19, x20, [{at}]", "stp x21, x22, [{at}, #16]", "stp x23, x24, [{at}, #32]",
            "stp x25, x26, [{at}, #48]", "stp x27, x28, [{at}, #64]", "str x29, [{at}, #80]",
            at = in(reg) at.as_mut_ptr(), options(nostack, preserves_flags),
        );
    }
    #[cfg(all(target_arch = "riscv64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!(
            "sd s0, 0({at})", "sd s1, 8({at})", "sd s2, 16({at})", "sd s3, 24({at})", "sd s4, 32({at})",
            "sd s5, 40({at})", "sd s6, 48({at})", "sd s7, 56({at})", "sd s8, 64({at})", "sd s9, 72({at})",
            "sd s10, 80({at})", "sd s11, 88({at})",
            at = in(reg) at.as_mut_ptr(), options(nostack, preserves_flags),
        );
    }
    core::hint::black_box(&mut at);
    at
}
