//! Handlers of calls: frames inside the value stack, no native recursion while callees are interpreted, in whatever instance.
//!
//! A frame is `[parameters and other locals | header | operands]`. Arguments are made where the callee's first locals will
//! be, results are left there. A call into another instance puts four slots under the callee's frame (where to return to,
//! the caller's frame and instance, how many results) and lets the callee return to a static instruction that restores them:
//! so calls inside an instance pay nothing for it.

use super::code::FuncEntry;
use super::dispatch::{Handler, cold, handler};
use super::flow::{copy_down, read_header, return_to, write_header};
use super::operand::{Slot, Src};
use super::state::{Exec, Flow, State};
use super::unwind::{self, LeaveCaller};
use crate::trap::Trap;
use crate::vm::{Status, VmContext, VmFunc, VmImport, VmTable, VmType};
use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use core::sync::atomic::Ordering;

/// What is called: an entry, an index, an offset, as the instruction has it.
pub(super) const TARGET: usize = 8;
/// Type that an indirect callee must match, by its address.
pub(super) const TYPE: usize = 8;
/// First slot of the arguments. The next fields are relative to it.
pub(super) const ARGS: usize = 16;
/// Slots of the parameters.
pub(super) const PARAMS: usize = 18;
/// Slots of the results.
pub(super) const RESULTS: usize = 20;
/// Slot of the pinned local in a call of 24 bytes: the last operand of every call.
pub(super) const L0_OF_24: usize = 22;
/// Slot of the index into the table, or of this frame's header in a tail call.
pub(super) const INDEX: usize = 24;
/// Slot of this frame's header in a tail call.
pub(super) const OWN_HEADER: usize = 26;
/// Offset in the instance of the table of an indirect call.
pub(super) const TABLE: usize = 28;
/// Slot of the pinned local in a call of 32 bytes.
pub(super) const L0_OF_32: usize = 30;
/// Slot of the pinned local in a call of 40 bytes.
pub(super) const L0_OF_40: usize = 38;

/// An instruction that is no part of a function, with what a return to it reads before it.
#[repr(C, align(8))]
struct Static {
    /// Number of a slot that exists in any frame.
    l0: [u16; 4],
    code: Word,
}

#[repr(C, align(8))]
struct Word(Handler);

static EXIT: Static = Static { l0: [0; 4], code: Word(handler::<Exit>()) };
static CROSS: Static = Static { l0: [0; 4], code: Word(handler::<ReturnCross>()) };
static TRANSLATE: Static = Static { l0: [0; 4], code: Word(handler::<Translate>()) };

fn address(of: &'static Static) -> *const u8 {
    // Exposed through the whole `Static`, since a return reads in front of the instruction.
    core::ptr::from_ref(of).cast::<u8>().wrapping_add(core::mem::offset_of!(Static, code))
}

/// Where the frame returns to that the host called.
pub(super) fn exit_ip() -> *const u8 {
    address(&EXIT)
}

/// Where a frame returns to whose caller is in another instance.
pub(super) fn cross_ip() -> *const u8 {
    address(&CROSS)
}

/// The code of a function that is not translated yet.
pub(super) fn translate_ip() -> *const u8 {
    address(&TRANSLATE)
}

/// The handlers of the static instructions that go on, for the tests that look at machine code.
#[cfg(test)]
pub(super) fn statics() -> [(&'static str, Handler); 2] {
    [("return to another instance", handler::<ReturnCross>()), ("translation", handler::<Translate>())]
}

/// Ends the run.
struct Exit;

impl Exec for Exit {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(_: &mut State) -> Flow {
        Flow::Exit(Status::OK.0)
    }
}

/// Enters a function of the same instance. The accumulator holds its entry from here to its first instruction.
#[inline(always)]
unsafe fn enter(
    s: &mut State,
    entry: *const FuncEntry,
    frame: *mut u64,
    ip: *const u8,
    sp: *mut u64,
) -> Flow {
    // SAFETY: I2, I4: `entry` is one of the module's; the comparison makes room for the header and the frame. When another
    // thread translates the function meanwhile, `code` may still be the static instruction, which checks again.
    unsafe {
        let code = (*entry).code.load(Ordering::Acquire);
        let end = frame.wrapping_add((*entry).frame.load(Ordering::Relaxed) as usize);
        if end > (*(*s.ctx).store).value_stack_limit {
            return Flow::Trap(Trap::StackOverflow);
        }
        write_header(frame.wrapping_add((*entry).header as usize), ip, sp);
        s.ip = code;
        s.sp = frame;
        s.l0 = *frame.wrapping_add((*entry).l0.load(Ordering::Relaxed) as usize);
        s.acc = entry.expose_provenance() as u64;
        Flow::Jump
    }
}

/// Stands in for the code of a function that is not translated yet: translates it and goes on there.
struct Translate;

impl Exec for Translate {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: `enter` left the entry in the accumulator and wrote the header.
        unsafe {
            let entry = with_exposed_provenance::<FuncEntry>(s.acc as usize);
            let status = unwind::translate(s.ctx, entry);
            let (ip, sp) = read_header(s.sp.wrapping_add((*entry).header as usize));
            let end = s.sp.wrapping_add((*entry).frame.load(Ordering::Relaxed) as usize);
            let status = if status.is_ok() && end > (*(*s.ctx).store).value_stack_limit {
                Status::trap(Trap::StackOverflow)
            } else {
                status
            };
            if !status.is_ok() {
                s.ip = ip;
                s.sp = sp;
                s.acc = status.0.into();
                return Flow::Cold(cold::<LeaveCaller>());
            }
            s.ip = (*entry).code.load(Ordering::Acquire);
            s.l0 = *s.sp.wrapping_add((*entry).l0.load(Ordering::Relaxed) as usize);
            Flow::Jump
        }
    }
}

/// Calls a function of the same module: entry, arguments' slot, pinned local.
pub(super) struct Call;

impl Exec for Call {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            let entry = with_exposed_provenance::<FuncEntry>(s.operand(TARGET));
            let (frame, ip, sp) = (s.slot_at(ARGS), s.ip.wrapping_add(Self::SIZE), s.sp);
            enter(s, entry, frame, ip, sp)
        }
    }
}

/// Slots under the frame of a callee in another instance.
const CROSS_SLOTS: usize = 4;

/// Copies slots to higher ones, highest first. Volatile as in [`copy_down`].
#[inline(always)]
unsafe fn copy_up(from: *const u64, to: *mut u64, count: usize) {
    let mut left = count;
    while left > 0 {
        left -= 1;
        // SAFETY: the caller's promise: I2 for all slots.
        unsafe { to.wrapping_add(left).write_volatile(*from.wrapping_add(left)) };
    }
}

/// Copies slots wherever they go.
#[inline(always)]
unsafe fn copy_either_way(from: *const u64, to: *mut u64, count: usize) {
    // SAFETY: the caller's promise: I2 for all slots.
    unsafe { if to.cast_const() > from { copy_up(from, to, count) } else { copy_down(from, to, count) } }
}

/// Calls an interpreted function of another instance.
#[inline(always)]
unsafe fn call_cross(s: &mut State, func: *const VmFunc, size: usize) -> Flow {
    // SAFETY: V1, V4, I2: the comparison makes room for the arguments' new place; `enter` checks the frame.
    unsafe {
        let under = s.slot_at(ARGS);
        let params = usize::from(s.operand::<u16>(PARAMS));
        let frame = under.wrapping_add(CROSS_SLOTS);
        if frame.wrapping_add(params) > (*(*s.ctx).store).value_stack_limit {
            return Flow::Trap(Trap::StackOverflow);
        }
        let entry = unwind::entry_of(func);
        let fits = frame.wrapping_add((*entry).frame.load(Ordering::Relaxed) as usize)
            <= (*(*s.ctx).store).value_stack_limit;
        if !fits {
            return Flow::Trap(Trap::StackOverflow);
        }
        copy_up(under, frame, params);
        write_header(under, s.ip.wrapping_add(size), s.sp);
        *under.wrapping_add(2) = s.ctx.expose_provenance() as u64;
        *under.wrapping_add(3) = u64::from(s.operand::<u16>(RESULTS));
        s.ctx = (*func).instance;
        s.reload_memory();
        enter(s, entry, frame, cross_ip(), under)
    }
}

/// What lies under the frame of a callee in another instance: where to return to, the caller's frame and instance.
///
/// # Safety
/// `under` is where [`call_cross`] put it.
pub(super) unsafe fn read_cross(under: *const u64) -> (*const u8, *mut u64, *mut VmContext) {
    // SAFETY: the caller's promise.
    unsafe {
        let (ip, sp) = read_header(under);
        (ip, sp, with_exposed_provenance_mut(*under.wrapping_add(2) as usize))
    }
}

/// Where a callee in another instance returns to: back to the caller's instance.
struct ReturnCross;

impl Exec for ReturnCross {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: `sp` is what `call_cross` or a tail call left in the header.
        unsafe {
            let under = s.sp;
            let (ip, sp, ctx) = read_cross(under);
            let results = *under.wrapping_add(3) as usize;
            copy_down(under.wrapping_add(CROSS_SLOTS), under, results);
            s.ctx = ctx;
            s.reload_memory();
            return_to(s, ip, sp)
        }
    }
}

/// Calls a function through a `VmFunc`: at once if it is interpreted in this instance, which is the common case.
#[inline(always)]
pub(super) unsafe fn call_func<const SIZE: usize>(s: &mut State, func: *const VmFunc) -> Flow {
    // SAFETY: V1, V4, I2, I4.
    unsafe {
        if super::is_interpreted(func) && (*func).instance == s.ctx {
            let entry = unwind::entry_of(func);
            let (frame, ip, sp) = (s.slot_at(ARGS), s.ip.wrapping_add(SIZE), s.sp);
            return enter(s, entry, frame, ip, sp);
        }
        s.acc = func.expose_provenance() as u64;
        Flow::Cold(cold::<CallOther<SIZE>>())
    }
}

/// The rest of [`call_func`]: the function is in the accumulator. In this loop if it is interpreted, else by its array entry.
pub(super) struct CallOther<const SIZE: usize>;

impl<const SIZE: usize> Exec for CallOther<SIZE> {
    const SIZE: usize = SIZE;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: V1, V4, I2, I4.
        unsafe {
            let func = with_exposed_provenance::<VmFunc>(s.acc as usize);
            if super::is_interpreted(func) {
                return call_cross(s, func, SIZE);
            }
            let slots = s.slot_at(ARGS);
            let taken = s.operand::<u16>(PARAMS).max(s.operand::<u16>(RESULTS));
            (*(*s.ctx).store).value_stack_top = slots.wrapping_add(usize::from(taken));
            let status = ((*func).array_call)(func, slots);
            returned(s, status, slots)
        }
    }
}

/// Behind a callee that is not interpreted.
#[inline(always)]
unsafe fn returned(s: &mut State, status: Status, slots: *mut u64) -> Flow {
    if !status.is_ok() {
        s.acc = status.0.into();
        return Flow::Cold(cold::<unwind::Leave>());
    }
    // SAFETY: I4; the arguments' place has at least the slot of a result, since frames end behind the highest operand.
    unsafe {
        s.reload_memory();
        s.acc = *slots;
    }
    s.f64 = f64::from_bits(s.acc);
    s.f32 = f32::from_bits(s.acc as u32);
    Flow::Next
}

/// Calls an imported function: offset of the import in the instance, arguments, parameters, results, pinned local.
pub(super) struct CallImport;

impl Exec for CallImport {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V1.
        unsafe {
            let import = s.instance_entry::<VmImport>(s.operand(TARGET));
            call_func::<24>(s, (*import).func)
        }
    }
}

/// The function that an indirect call means, whatever its type.
#[inline(always)]
unsafe fn indirect(s: &State, index: u64) -> Result<*const VmFunc, Trap> {
    // SAFETY: I1, I4, V1, V3, V6.
    unsafe {
        let table = *s.instance_entry::<*mut VmTable>(s.operand(TABLE));
        if index >= (*table).len as u64 {
            return Err(Trap::UndefinedElement);
        }
        let func = with_exposed_provenance::<VmFunc>(*(*table).base.wrapping_add(index as usize) as usize);
        if func.is_null() {
            return Err(Trap::UninitializedElement);
        }
        Ok(func)
    }
}

/// The type that an indirect call wants.
#[inline(always)]
unsafe fn wanted(s: &State) -> *const VmType {
    // SAFETY: I1.
    unsafe { with_exposed_provenance(s.operand(TYPE)) }
}

/// `call_indirect`: type, offset of the table in the instance, arguments, parameters, results, index, pinned local.
pub(super) struct CallIndirect;

impl Exec for CallIndirect {
    const SIZE: usize = 40;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            match indirect(s, Slot::read(s, INDEX)) {
                Ok(func) if (*func).ty == wanted(s) => call_func::<40>(s, func),
                Ok(func) => {
                    s.acc = func.expose_provenance() as u64;
                    Flow::Cold(cold::<CallSubtype>())
                }
                Err(trap) => Flow::Trap(trap),
            }
        }
    }
}

/// The rest of [`CallIndirect`] when the types are not the same: the function is in the accumulator.
struct CallSubtype;

impl Exec for CallSubtype {
    const SIZE: usize = 40;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: V1, V6.
        unsafe {
            let func = with_exposed_provenance::<VmFunc>(s.acc as usize);
            match VmType::is_subtype((*func).ty, wanted(s)) {
                true => CallOther::<40>::exec(s),
                false => Flow::Trap(Trap::IndirectCallTypeMismatch),
            }
        }
    }
}

/// Calls a function of the same module that has native code: function, arguments, parameters, results, pinned local.
pub(super) struct CallNative;

impl Exec for CallNative {
    const SIZE: usize = 24;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            let slots = s.slot_at(ARGS);
            let taken = s.operand::<u16>(PARAMS).max(s.operand::<u16>(RESULTS));
            (*(*s.ctx).store).value_stack_top = slots.wrapping_add(usize::from(taken));
            let status = unwind::call_native(s.ctx, s.operand(TARGET), slots);
            returned(s, status, slots)
        }
    }
}

/// `return_call` of a function of the same module: entry, arguments, parameters, own header.
pub(super) struct ReturnCall;

impl Exec for ReturnCall {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            let entry = with_exposed_provenance::<FuncEntry>(s.operand(TARGET));
            let (ip, sp) = read_header(s.slot_at(OWN_HEADER));
            tail(s, entry, ip, sp)
        }
    }
}

/// Replaces this frame by one of `entry`. The frame's end is checked before anything of this one is overwritten, so that a
/// trap finds it whole.
#[inline(always)]
unsafe fn tail(s: &mut State, entry: *const FuncEntry, ip: *const u8, sp: *mut u64) -> Flow {
    // SAFETY: I2; the comparison makes room.
    unsafe {
        let end = s.sp.wrapping_add((*entry).frame.load(Ordering::Relaxed) as usize);
        if end > (*(*s.ctx).store).value_stack_limit {
            return Flow::Trap(Trap::StackOverflow);
        }
        copy_down(s.slot_at(ARGS), s.sp, usize::from(s.operand::<u16>(PARAMS)));
        let frame = s.sp;
        enter(s, entry, frame, ip, sp)
    }
}

/// Behind a callee that is not interpreted and took this frame's place: goes back to the caller, also when it failed, since
/// this frame's catch clauses do not count any more.
#[inline(always)]
unsafe fn tail_returned(
    s: &mut State,
    status: Status,
    slots: *mut u64,
    results: usize,
    (ip, sp): (*const u8, *mut u64),
) -> Flow {
    // SAFETY: I2, I4; the header's content.
    unsafe {
        match returned(s, status, slots) {
            Flow::Next => {
                copy_down(slots, s.sp, results);
                return_to(s, ip, sp)
            }
            _ => {
                s.ip = ip;
                s.sp = sp;
                Flow::Cold(cold::<LeaveCaller>())
            }
        }
    }
}

/// A tail call through a `VmFunc`.
#[inline(always)]
pub(super) unsafe fn tail_func(s: &mut State, func: *const VmFunc) -> Flow {
    // SAFETY: V1, V4, I2, I4.
    unsafe {
        let (ip, sp) = read_header(s.slot_at(OWN_HEADER));
        if !super::is_interpreted(func) {
            // Its results belong where this frame's own would go: one call, then a return. Native callees that call back
            // use native stack, as every call between the engines does.
            let slots = s.slot_at(ARGS);
            let results = usize::from(s.operand::<u16>(RESULTS));
            let taken = usize::from(s.operand::<u16>(PARAMS)).max(results);
            (*(*s.ctx).store).value_stack_top = slots.wrapping_add(taken);
            let status = ((*func).array_call)(func, slots);
            return tail_returned(s, status, slots, results, (ip, sp));
        }
        let entry = unwind::entry_of(func);
        if (*func).instance == s.ctx {
            return tail(s, entry, ip, sp);
        }
        // Whoever called this frame from another instance, or from the host, restores its own instance: nothing to add. A
        // caller in this instance needs the four slots, once: later tail calls find them.
        if ip == cross_ip() || ip == exit_ip() {
            let end = s.sp.wrapping_add((*entry).frame.load(Ordering::Relaxed) as usize);
            if end > (*(*s.ctx).store).value_stack_limit {
                return Flow::Trap(Trap::StackOverflow);
            }
            copy_down(s.slot_at(ARGS), s.sp, usize::from(s.operand::<u16>(PARAMS)));
            let frame = s.sp;
            s.ctx = (*func).instance;
            s.reload_memory();
            return enter(s, entry, frame, ip, sp);
        }
        let under = s.sp;
        let frame = under.wrapping_add(CROSS_SLOTS);
        let params = usize::from(s.operand::<u16>(PARAMS));
        let results = s.operand::<u16>(RESULTS);
        let need = params.max((*entry).frame.load(Ordering::Relaxed) as usize);
        if frame.wrapping_add(need) > (*(*s.ctx).store).value_stack_limit {
            return Flow::Trap(Trap::StackOverflow);
        }
        copy_either_way(s.slot_at(ARGS), frame, params);
        write_header(under, ip, sp);
        *under.wrapping_add(2) = s.ctx.expose_provenance() as u64;
        *under.wrapping_add(3) = results.into();
        s.ctx = (*func).instance;
        s.reload_memory();
        enter(s, entry, frame, cross_ip(), under)
    }
}

/// `return_call` of an imported function: offset of the import, arguments, parameters, results, own header.
pub(super) struct ReturnCallImport;

impl Exec for ReturnCallImport {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V1.
        unsafe {
            let import = s.instance_entry::<VmImport>(s.operand(TARGET));
            tail_func(s, (*import).func)
        }
    }
}

/// `return_call_indirect`: type, offset of the table, arguments, parameters, results, index, own header.
pub(super) struct ReturnCallIndirect;

impl Exec for ReturnCallIndirect {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            match indirect(s, Slot::read(s, INDEX)) {
                Ok(func) if VmType::is_subtype((*func).ty, wanted(s)) => tail_func(s, func),
                Ok(_) => Flow::Trap(Trap::IndirectCallTypeMismatch),
                Err(trap) => Flow::Trap(trap),
            }
        }
    }
}

/// `return_call` of a function of the same module that has native code: function, arguments, parameters, results, own header.
pub(super) struct ReturnCallNative;

impl Exec for ReturnCallNative {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe {
            let (ip, sp) = read_header(s.slot_at(OWN_HEADER));
            let slots = s.slot_at(ARGS);
            let results = usize::from(s.operand::<u16>(RESULTS));
            let taken = usize::from(s.operand::<u16>(PARAMS)).max(results);
            (*(*s.ctx).store).value_stack_top = slots.wrapping_add(taken);
            let status = unwind::call_native(s.ctx, s.operand(TARGET), slots);
            tail_returned(s, status, slots, results, (ip, sp))
        }
    }
}
