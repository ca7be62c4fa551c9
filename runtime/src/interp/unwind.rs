//! Where handlers leave the loop or call the engine: traps and their backtraces, translation on first call, native functions.
//!
//! These functions are called, not inlined, so that the handlers around them keep nothing in memory and stay short.

use super::call::{cross_ip, exit_ip, read_cross};
use super::code::{CodeTable, FuncEntry};
use super::exception;
use super::flow::{read_header, status_word};
use super::state::{Exec, Flow, State};
use crate::module::FuncIdx;
use crate::store::{Place, RawFrame, StoreInner};
use crate::vm::{Status, VmContext, VmFunc};
use core::ptr;
use core::sync::atomic::AtomicU32;

/// Leaves all frames of this run, or those up to one that catches: the status is in the accumulator, `ip` at the instruction
/// that failed.
pub(super) struct Leave;

impl Exec for Leave {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe { leave(s, 0) }
    }
}

/// The same when `ip` is behind the call that failed.
pub(super) struct LeaveCaller;

impl Exec for LeaveCaller {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise.
        unsafe { leave(s, 1) }
    }
}

#[inline(always)]
unsafe fn leave(s: &mut State, back: usize) -> Flow {
    // SAFETY: I2, I4.
    unsafe {
        if s.acc == status_word(Status::EXCEPTION) {
            let landing = exception::catch(s.ctx, s.ip, s.sp, back);
            if !landing.is_null() {
                let landing = *landing;
                s.ctx = landing.ctx;
                s.ip = landing.ip;
                s.sp = landing.sp;
                s.l0 = landing.l0;
                s.reload_memory();
                return Flow::Jump;
            }
        }
        note_frames(s.ctx, s.ip, s.sp, back);
    }
    Flow::Exit(s.acc as u32)
}

/// Goes on when a builtin succeeded.
#[inline(always)]
pub(super) fn check(s: &mut State, status: Status) -> Flow {
    if status.is_ok() {
        return Flow::Next;
    }
    s.acc = status_word(status);
    Flow::Cold(super::dispatch::cold::<Leave>())
}

/// The code table of an instance's module.
///
/// # Safety
/// I4.
#[inline(always)]
pub(super) unsafe fn table_of<'a>(ctx: *mut VmContext) -> &'a CodeTable {
    // SAFETY: V1: the module lives as long as its instances; instantiation put its table here.
    unsafe { &*(*ctx).interp_code.cast::<CodeTable>() }
}

/// The entry of an interpreted function.
///
/// # Safety
/// `func` is live (V1) and interpreted.
#[inline(always)]
pub(super) unsafe fn entry_of(func: *const VmFunc) -> *const FuncEntry {
    // SAFETY: V1: the index is one of an own function of the instance's module.
    unsafe { table_of((*func).instance).entry((*func).index) }
}

/// The store's engine side.
///
/// # Safety
/// I4, V5; nothing else borrows the store.
pub(super) unsafe fn store<'a>(ctx: *mut VmContext) -> &'a mut StoreInner {
    // SAFETY: the door from host to guest put the store here; it waits for this run.
    unsafe { &mut *(*(*ctx).store).inner.cast::<StoreInner>() }
}

/// Notes the frames of this run, innermost first. `back`: how far `ip` is behind the instruction, 0 or 1.
#[cold]
#[inline(never)]
unsafe extern "C" fn note_frames(
    mut ctx: *mut VmContext,
    mut ip: *const u8,
    mut sp: *mut u64,
    mut back: usize,
) {
    // SAFETY: I2, I4; headers are what calls wrote.
    unsafe {
        let store = store(ctx);
        loop {
            if ip == exit_ip() {
                return;
            }
            if ip == cross_ip() {
                (ip, sp, ctx) = read_cross(sp);
                continue;
            }
            let table = table_of(ctx);
            let Some(own) = table.func_at(ip.addr() - back) else { return };
            let func = table.info().imported_funcs + own as u32;
            store.push_frame(RawFrame { instance: ctx, func, place: Place::Translated(ip.addr() - back) });
            let entry = table.entry(func);
            (ip, sp) = read_header(sp.wrapping_add((*entry).header as usize));
            back = 1;
        }
    }
}

/// Translates a function on its first call.
///
/// # Safety
/// I4, `entry` is one of the instance's module.
#[cold]
#[inline(never)]
pub(super) unsafe extern "C" fn translate(ctx: *mut VmContext, entry: *const FuncEntry) -> Status {
    // SAFETY: I4 and the caller's promise.
    unsafe {
        let table = table_of(ctx);
        match table.translate(table.own_of(entry)) {
            Ok(()) => Status::OK,
            Err(error) => store(ctx).park_error(error),
        }
    }
}

/// Asks the engine what to do at the deadline.
///
/// # Safety
/// I2, I4.
#[cold]
#[inline(never)]
pub(super) unsafe extern "C" fn epoch_reached(ctx: *mut VmContext, ip: *const u8, sp: *mut u64) -> Status {
    // SAFETY: I2, I4. The engine may run a host function there.
    unsafe {
        protect_frame(ctx, ip, sp);
        ((*(*ctx).builtins).epoch)(ctx)
    }
}

/// Puts the frame below the top of the value stack: what runs on it next, or collects, leaves it alone.
///
/// # Safety
/// I2, I4.
pub(super) unsafe fn protect_frame(ctx: *mut VmContext, ip: *const u8, sp: *mut u64) {
    // SAFETY: the caller's promise.
    unsafe {
        let table = table_of(ctx);
        let slots = table.func_at(ip.addr()).map_or(0, |own| table.frame_slots(own));
        (*(*ctx).store).value_stack_top = sp.wrapping_add(slots);
    }
}

/// Calls a function of the same module by its native code. Only functions that something refers to have a `VmFunc` of their
/// own, so one is made for the call.
///
/// # Safety
/// I4; `own` has native code; `slots` cover its type (V4).
#[inline(never)]
pub(super) unsafe extern "C" fn call_native(ctx: *mut VmContext, own: u32, slots: *mut u64) -> Status {
    // SAFETY: I4.
    let table = unsafe { table_of(ctx) };
    let info = table.info();
    let index = info.imported_funcs + own;
    let Some(native) = table.native(own as usize) else {
        unreachable!("crash: function {index} has no native code any more")
    };
    // SAFETY: I4, V4.
    unsafe {
        let func = VmFunc {
            array_call: native.array_call,
            native: native.native,
            context: ctx.cast(),
            instance: ctx,
            store: (*ctx).store,
            host: ptr::null(),
            guard: ptr::null(),
            behind: ptr::null(),
            adapter: ptr::null(),
            ty: *VmContext::entry(ctx, info.layout.types, info.funcs[FuncIdx(index).index()].ty.0),
            index,
            handle: AtomicU32::new(0),
        };
        (native.array_call)(&func, slots)
    }
}
