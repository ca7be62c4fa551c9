//! Traps that the processor finds: SIGSEGV, SIGBUS, SIGILL and SIGFPE inside native code become statuses.
//!
//! The handler only looks the program counter up and sends the guest to `raise_trap`; frames are walked there, on the guest's
//! own stack, of which prologues have kept a reserve. What is not ours goes to the handler that was there before (Rust's own,
//! which tells of the host's stack overflows, or the embedder's). The handler asks for the thread's signal stack; a thread
//! without one (made by C) runs it in that same reserve.
//!
//! A fault counts as a trap only at an instruction that the compiler marked as able to trap, with a code that this kind of
//! fault can have. Everything else is a crash of the process, as it should be.

use crate::load::raise::raise_trap;
use crate::load::registry;
use libc::{c_int, c_void, siginfo_t, ucontext_t};
use mini_wasm_runtime::trap::Trap;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// The actions that were there before, in the order of [`SIGNALS`].
static mut PREVIOUS: [MaybeUninit<libc::sigaction>; 4] = [const { MaybeUninit::uninit() }; 4];
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Installs the handler, once for the process. False when the system refused.
pub(crate) fn install() -> bool {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut all = true;
        for (i, signal) in SIGNALS.into_iter().enumerate() {
            // SAFETY: `sigaction` is plain data for which zero is a valid start; the handler has the signature of
            // SA_SIGINFO. `PREVIOUS` is written here only, before the handler for that signal can run.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&mut action.sa_mask);
                let previous = (&raw mut PREVIOUS[i]).cast::<libc::sigaction>();
                all &= libc::sigaction(signal, ptr::null(), previous) == 0;
                all &= libc::sigaction(signal, &action, ptr::null_mut()) == 0;
            }
        }
        INSTALLED.store(all, Ordering::Release);
    });
    INSTALLED.load(Ordering::Acquire)
}

unsafe extern "C" fn handler(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel hands in the interrupted thread's registers.
    let registers = unsafe { &mut *context.cast::<ucontext_t>() };
    if let Some(status) = trap_at(machine::pc(registers), signal) {
        let address = match signal {
            // SAFETY: these two signals tell an address. Address 0 would be taken for none, and is as bad as any.
            libc::SIGSEGV | libc::SIGBUS => (unsafe { (*info).si_addr() } as usize).max(1),
            _ => 0,
        };
        machine::call(registers, raise_trap as *const () as usize, status, address);
        return;
    }
    // SAFETY: handed on as it came.
    unsafe { chain(signal, info, context) }
}

/// The trap's code, if this fault is one of the guest's.
fn trap_at(pc: usize, signal: c_int) -> Option<u32> {
    let code = registry::find(pc)?;
    let offset = u32::try_from(pc - code.text).ok()?;
    if offset < code.tables.entries_end {
        return None;
    }
    let site = code.tables.site(code.bytes(), offset, false)?;
    let trap = Trap::from_code(site.code)?;
    let possible = match signal {
        libc::SIGFPE => matches!(trap, Trap::IntegerDivideByZero | Trap::IntegerOverflow),
        libc::SIGSEGV | libc::SIGBUS => trap == Trap::MemoryOutOfBounds,
        // An illegal instruction is how every explicit check traps.
        _ => true,
    };
    possible.then_some(u32::from(site.code))
}

/// What would have happened without us.
///
/// # Safety
/// The arguments are those of a signal handler.
unsafe fn chain(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(i) = SIGNALS.iter().position(|&s| s == signal) else { return };
    // SAFETY: written by `install` before this handler could run.
    let previous = unsafe { *(&raw const PREVIOUS[i]).cast::<libc::sigaction>() };
    match previous.sa_sigaction {
        // The default (to die), also where it was ignored: a fault that returns would fault for ever. It happens again, then.
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: as in `install`.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &action, ptr::null_mut());
            }
        }
        address if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: SA_SIGINFO says that the address is a function of this type.
            let next = unsafe {
                std::mem::transmute::<usize, unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(
                    address,
                )
            };
            // SAFETY: handed on as it came.
            unsafe { next(signal, info, context) }
        }
        address => {
            // SAFETY: without SA_SIGINFO the address is a function of this type.
            let next = unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(c_int)>(address) };
            // SAFETY: handed on as it came.
            unsafe { next(signal) }
        }
    }
}

/// The registers of an interrupted thread.
mod machine {
    use libc::ucontext_t;

    #[cfg(target_arch = "x86_64")]
    pub(super) fn pc(at: &ucontext_t) -> usize {
        at.uc_mcontext.gregs[libc::REG_RIP as usize] as usize
    }

    /// Makes the thread go on in `target(frame pointer, program counter, status, address)`.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn call(at: &mut ucontext_t, target: usize, status: u32, address: usize) {
        let (pc, registers) = (pc(at), &mut at.uc_mcontext.gregs);
        // Below what the guest may have written (there is no red zone in its code), aligned as after a call.
        let sp = (registers[libc::REG_RSP as usize] & !15) - 8;
        registers[libc::REG_RDI as usize] = registers[libc::REG_RBP as usize];
        registers[libc::REG_RSI as usize] = pc as i64;
        registers[libc::REG_RDX as usize] = i64::from(status);
        registers[libc::REG_RCX as usize] = address as i64;
        registers[libc::REG_RSP as usize] = sp;
        registers[libc::REG_RIP as usize] = target as i64;
        // The C convention wants the direction flag clear.
        registers[libc::REG_EFL as usize] &= !0x400;
    }

    #[cfg(target_arch = "aarch64")]
    pub(super) fn pc(at: &ucontext_t) -> usize {
        at.uc_mcontext.pc as usize
    }

    /// Makes the thread go on in `target(frame pointer, program counter, status, address)`.
    #[cfg(target_arch = "aarch64")]
    pub(super) fn call(at: &mut ucontext_t, target: usize, status: u32, address: usize) {
        let registers = &mut at.uc_mcontext;
        registers.regs[0] = registers.regs[29];
        registers.regs[1] = registers.pc;
        registers.regs[2] = u64::from(status);
        registers.regs[3] = address as u64;
        registers.sp &= !15;
        registers.pc = target as u64;
    }

    #[cfg(target_arch = "riscv64")]
    pub(super) fn pc(at: &ucontext_t) -> usize {
        at.uc_mcontext.__gregs[libc::REG_PC] as usize
    }

    /// Makes the thread go on in `target(frame pointer, program counter, status, address)`.
    #[cfg(target_arch = "riscv64")]
    pub(super) fn call(at: &mut ucontext_t, target: usize, status: u32, address: usize) {
        let [sp, fp, a0] = [2, 8, 10];
        let registers = &mut at.uc_mcontext.__gregs;
        registers[a0] = registers[fp];
        registers[a0 + 1] = registers[libc::REG_PC];
        registers[a0 + 2] = u64::from(status);
        registers[a0 + 3] = address as u64;
        registers[sp] &= !15;
        registers[libc::REG_PC] = target as u64;
    }
}
