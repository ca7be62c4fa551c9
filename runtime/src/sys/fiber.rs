//! Stacks of their own for guest code, and how a thread goes over from one to another. A target owes: `switch`, and what the
//! first switch to a fresh stack finds there.
//!
//! One mapping for each: a guard at its low end, native stack growing down towards it, slots for interpreted frames growing up
//! from there. Pages cost nothing until they are touched.

use crate::val::RawVal;
use core::arch::naked_asm;

/// Bytes at the low end that fault. Guest code never comes here: prologues look at a limit far above.
const GUARD: usize = 64 << 10;

/// A stack.
#[derive(Debug)]
pub(crate) struct FiberStack {
    map: memmap2::MmapMut,
    /// Bytes of guard and native stack.
    native: usize,
}

impl FiberStack {
    /// Maps a stack with so many bytes, rounded up to pages; `None` when the system refuses.
    pub(crate) fn new(native: usize, values: usize) -> Option<FiberStack> {
        let page = region::page::size();
        let guard = GUARD.next_multiple_of(page);
        let native = guard.checked_add(native.checked_next_multiple_of(page)?)?;
        let bytes = native.checked_add(values.checked_next_multiple_of(page)?)?;
        let mut map = memmap2::MmapOptions::new().len(bytes).no_reserve_swap().map_anon().ok()?;
        // SAFETY: the mapping is this stack's own, and nobody has looked into it.
        unsafe { region::protect(map.as_mut_ptr(), guard, region::Protection::NONE).ok()? };
        map.as_mut_ptr().expose_provenance();
        Some(FiberStack { map, native })
    }

    /// Address space that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.map.len()
    }

    /// What of that whoever runs on it may touch.
    pub(crate) fn touchable(&self) -> usize {
        self.map.len() - GUARD.next_multiple_of(region::page::size())
    }

    /// Gives memory back to the system: all but `warm` bytes of the native stack and of the slots, where each begins. `false` if the
    /// system refuses.
    ///
    /// Nobody runs on the stack; what is on it is not needed any more.
    pub(crate) fn cool(&mut self, warm: usize) -> bool {
        self.keep(warm, warm).is_some()
    }

    /// Gives memory back to the system: all but so many bytes of the native stack and of the slots, where each begins. Gives the bytes
    /// of the pages that stay; `None` if the system refuses.
    ///
    /// Nobody runs on the stack; the rest of what is on it is not needed any more.
    pub(crate) fn keep(&mut self, native: usize, values: usize) -> Option<usize> {
        let (page, guard) = (region::page::size(), self.map.len() - self.touchable());
        let native = native.checked_next_multiple_of(page)?.min(self.native - guard);
        let values = values.checked_next_multiple_of(page)?.min(self.map.len() - self.native);
        let parts = [guard..self.native - native, self.native + values..self.map.len()];
        let returned = parts.into_iter().filter(|part| !part.is_empty()).all(|part| {
            // SAFETY: the pages are the stack's own, nothing borrows from them, and zeroes are as good as what they held.
            let returned = unsafe {
                self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, part.start, part.len())
            };
            returned.is_ok()
        });
        returned.then_some(native + values)
    }

    /// Lowest usable address of the native stack.
    pub(crate) fn low(&self) -> usize {
        self.map.as_ptr().addr() + GUARD.next_multiple_of(region::page::size())
    }

    /// Where the native stack begins, and ends for whoever looks from below.
    pub(crate) fn high(&self) -> *mut u8 {
        self.map.as_ptr().cast_mut().wrapping_add(self.native)
    }

    /// First slot for interpreted frames.
    pub(crate) fn values(&self) -> *mut RawVal {
        self.high().cast()
    }

    /// End of the slots.
    pub(crate) fn values_end(&self) -> *mut RawVal {
        self.map.as_ptr().cast_mut().wrapping_add(self.map.len()).cast()
    }

    /// Prepares the stack so that the first switch to the stack pointer that this gives calls `entry(argument)`.
    ///
    /// # Safety
    /// Nobody runs on the stack, and nothing on it is needed any more. `entry` never returns.
    pub(crate) unsafe fn prepare(
        &mut self,
        entry: unsafe extern "C" fn(*mut u8) -> !,
        argument: *mut u8,
    ) -> usize {
        let frame = self.high().wrapping_sub(FRAME).cast::<usize>();
        // SAFETY: the words lie in the mapping, above the guard.
        unsafe {
            frame.write_bytes(0, FRAME / size_of::<usize>());
            frame.add(WORDS.argument).write(argument.expose_provenance());
            frame.add(WORDS.entry).write(entry as usize);
            frame.add(WORDS.link).write(start as *const () as usize);
        }
        frame.addr()
    }
}

/// Which words of what `switch` leaves on a stack hold the registers that [`start`] looks at, and where it returns to.
struct Words {
    argument: usize,
    entry: usize,
    link: usize,
}

/// Bytes of what `switch` leaves on a stack.
#[cfg(target_arch = "x86_64")]
const FRAME: usize = 7 * 8;
#[cfg(target_arch = "x86_64")]
const WORDS: Words = Words { argument: 3, entry: 4, link: 6 };

/// Goes over to the stack whose pointer is `to`, and leaves in `from` the pointer by which this call is returned to.
///
/// # Safety
/// `to` came from here or from [`FiberStack::prepare`] and was not gone to since; its stack is mapped.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn switch(from: *mut usize, to: usize) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Where a fresh stack begins.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn start() -> ! {
    naked_asm!("mov rdi, r12", "call rbx", "ud2")
}

#[cfg(target_arch = "aarch64")]
const FRAME: usize = 160;
#[cfg(target_arch = "aarch64")]
const WORDS: Words = Words { argument: 0, entry: 1, link: 11 };

/// Goes over to the stack whose pointer is `to`, and leaves in `from` the pointer by which this call is returned to.
///
/// # Safety
/// `to` came from here or from [`FiberStack::prepare`] and was not gone to since; its stack is mapped.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn switch(from: *mut usize, to: usize) {
    naked_asm!(
        "sub sp, sp, #160",
        "stp x19, x20, [sp]",
        "stp x21, x22, [sp, #16]",
        "stp x23, x24, [sp, #32]",
        "stp x25, x26, [sp, #48]",
        "stp x27, x28, [sp, #64]",
        "stp x29, x30, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mov x9, sp",
        "str x9, [x0]",
        "mov sp, x1",
        "ldp x19, x20, [sp]",
        "ldp x21, x22, [sp, #16]",
        "ldp x23, x24, [sp, #32]",
        "ldp x25, x26, [sp, #48]",
        "ldp x27, x28, [sp, #64]",
        "ldp x29, x30, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "add sp, sp, #160",
        "ret",
    )
}

/// Where a fresh stack begins.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn start() -> ! {
    naked_asm!("mov x0, x19", "blr x20", "brk #1")
}

#[cfg(target_arch = "riscv64")]
const FRAME: usize = 208;
#[cfg(target_arch = "riscv64")]
const WORDS: Words = Words { argument: 2, entry: 3, link: 0 };

/// Goes over to the stack whose pointer is `to`, and leaves in `from` the pointer by which this call is returned to.
///
/// # Safety
/// `to` came from here or from [`FiberStack::prepare`] and was not gone to since; its stack is mapped.
#[cfg(target_arch = "riscv64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn switch(from: *mut usize, to: usize) {
    naked_asm!(
        // The target has them; the assembler is not always told so.
        ".option push",
        ".option arch, +d",
        "addi sp, sp, -208",
        "sd ra, 0(sp)",
        "sd s0, 8(sp)",
        "sd s1, 16(sp)",
        "sd s2, 24(sp)",
        "sd s3, 32(sp)",
        "sd s4, 40(sp)",
        "sd s5, 48(sp)",
        "sd s6, 56(sp)",
        "sd s7, 64(sp)",
        "sd s8, 72(sp)",
        "sd s9, 80(sp)",
        "sd s10, 88(sp)",
        "sd s11, 96(sp)",
        "fsd fs0, 104(sp)",
        "fsd fs1, 112(sp)",
        "fsd fs2, 120(sp)",
        "fsd fs3, 128(sp)",
        "fsd fs4, 136(sp)",
        "fsd fs5, 144(sp)",
        "fsd fs6, 152(sp)",
        "fsd fs7, 160(sp)",
        "fsd fs8, 168(sp)",
        "fsd fs9, 176(sp)",
        "fsd fs10, 184(sp)",
        "fsd fs11, 192(sp)",
        "sd sp, 0(a0)",
        "mv sp, a1",
        "ld ra, 0(sp)",
        "ld s0, 8(sp)",
        "ld s1, 16(sp)",
        "ld s2, 24(sp)",
        "ld s3, 32(sp)",
        "ld s4, 40(sp)",
        "ld s5, 48(sp)",
        "ld s6, 56(sp)",
        "ld s7, 64(sp)",
        "ld s8, 72(sp)",
        "ld s9, 80(sp)",
        "ld s10, 88(sp)",
        "ld s11, 96(sp)",
        "fld fs0, 104(sp)",
        "fld fs1, 112(sp)",
        "fld fs2, 120(sp)",
        "fld fs3, 128(sp)",
        "fld fs4, 136(sp)",
        "fld fs5, 144(sp)",
        "fld fs6, 152(sp)",
        "fld fs7, 160(sp)",
        "fld fs8, 168(sp)",
        "fld fs9, 176(sp)",
        "fld fs10, 184(sp)",
        "fld fs11, 192(sp)",
        "addi sp, sp, 208",
        "ret",
        ".option pop",
    )
}

/// Where a fresh stack begins.
#[cfg(target_arch = "riscv64")]
#[unsafe(naked)]
unsafe extern "C" fn start() -> ! {
    naked_asm!("mv a0, s1", "jalr s2", "unimp")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Task {
        own: usize,
        other: usize,
        steps: Vec<u64>,
    }

    unsafe extern "C" fn count(task: *mut u8) -> ! {
        let task = task.cast::<Task>();
        let mut n = 0u64;
        loop {
            // Values in registers of both kinds live over the switch.
            let half = n as f64 / 2.0;
            // SAFETY: the test's task lives, and only one of the two sides runs.
            unsafe {
                (*task).steps.push(n);
                let to = (*task).other;
                switch(&raw mut (*task).own, to);
            }
            n = (half * 2.0) as u64 + 1;
        }
    }

    #[test]
    fn both_sides_of_a_switch_keep_what_they_had() {
        let mut stack = FiberStack::new(64 << 10, 4096).expect("there is address space");
        let mut task = Task { own: 0, other: 0, steps: Vec::new() };
        let at = &raw mut task;
        // SAFETY: the stack is fresh; the task outlives its use.
        unsafe {
            (*at).own = stack.prepare(count, at.cast());
            for n in 0..100 {
                assert_eq!((*at).steps.len(), n);
                let to = (*at).own;
                switch(&raw mut (*at).other, to);
            }
        }
        assert_eq!(task.steps, (0..100).collect::<Vec<u64>>());
        assert!(stack.low() < task.own && task.own < stack.high().addr());
    }
}
