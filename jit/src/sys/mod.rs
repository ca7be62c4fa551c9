//! What a platform owes this crate: installing the trap handler, and making written code visible to instruction fetch.
//!
//! Linux on x86_64, AArch64 and RISC-V is here. Another platform brings these two functions and its naked functions of
//! `load/raise.rs`; until then this crate does not build there, and its users leave it out.

mod signals;

pub(crate) use signals::install;

/// Makes freshly written code visible to instruction fetch on every core.
pub(crate) fn sync_instruction_cache(code: &[u8]) {
    // x86 keeps its caches coherent by itself.
    #[cfg(target_arch = "x86_64")]
    let _ = code;
    #[cfg(target_arch = "aarch64")]
    {
        // CTR_EL0 tells the line sizes; clean data to the point of unification, then drop instruction lines.
        let ctr: usize;
        // SAFETY: reads an identification register that Linux lets user code read.
        unsafe { std::arch::asm!("mrs {}, ctr_el0", out(reg) ctr, options(nomem, nostack)) };
        let (data, text) = (4usize << (ctr >> 16 & 15), 4usize << (ctr & 15));
        let range = code.as_ptr_range();
        let (start, end) = (range.start as usize, range.end as usize);
        for line in (start & !(data - 1)..end).step_by(data) {
            // SAFETY: maintenance by address of readable memory.
            unsafe { std::arch::asm!("dc cvau, {}", in(reg) line, options(nostack)) };
        }
        // SAFETY: a barrier.
        unsafe { std::arch::asm!("dsb ish", options(nostack)) };
        for line in (start & !(text - 1)..end).step_by(text) {
            // SAFETY: as above.
            unsafe { std::arch::asm!("ic ivau, {}", in(reg) line, options(nostack)) };
        }
        // SAFETY: barriers.
        unsafe { std::arch::asm!("dsb ish", "isb", options(nostack)) };
    }
    #[cfg(target_arch = "riscv64")]
    {
        // `fence.i` is for one hart only; the kernel does it for all of the process.
        const RISCV_FLUSH_ICACHE: i64 = 259;
        let range = code.as_ptr_range();
        // SAFETY: the system call takes addresses and flags and touches no memory of ours.
        let done = unsafe { libc::syscall(RISCV_FLUSH_ICACHE, range.start, range.end, 0) } == 0;
        if !done {
            // A system without that call (an emulator, which keeps its caches itself): this hart at least.
            // SAFETY: a barrier.
            unsafe { std::arch::asm!("fence.i", options(nostack)) };
        }
    }
}
