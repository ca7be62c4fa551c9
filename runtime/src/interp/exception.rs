//! Exceptions in the interpreter (core specification 4.4.11): where handlers are kept, how they are found, what throws.
//!
//! A block that catches costs nothing to enter: each function has a table of its catch clauses, by the instructions that they
//! cover, innermost first. When an exception passes a frame, the instruction that the frame stands at is looked up there. A
//! clause leads straight to the label it names, with the payload written to the slots where a branch would have left it: frames
//! are exact at every call, locals included, so there is nothing else to restore but the pinned local.

use super::call::{cross_ip, exit_ip, read_cross};
use super::control::Kind;
use super::flow::read_header;
use super::state::{A, B, Exec, Flow, State};
use super::translate::{Translator, impossible};
use super::unwind::{self, Leave, table_of};
use crate::error::Result;
use crate::exception::{self, Landing};
use crate::module::TagIdx;
use crate::store::StoreInner;
use crate::vm::{Status, VmContext, VmTag};
use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::Ordering;
use wasmparser::{BlockType, Catch, TryTable};

/// What a clause covers and where it leads, or which clauses an exception passes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Handler {
    /// First cell that it covers.
    start: u32,
    /// The cell behind the last.
    end: u32,
    /// How many blocks are around its block.
    depth: u32,
    action: Action,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    /// Catches, if the tag is the one whose pointer the instance has at this offset, or any if there is none.
    Catch {
        tag: Option<u32>,
        /// Cell where it goes on.
        target: u32,
        /// First slot of what it gets.
        slot: u16,
        gets: Gets,
    },
    /// `delegate`: only blocks with at most so many around them can catch now.
    Delegate(u32),
}

/// What a clause gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gets {
    /// What the exception carries.
    Payload,
    /// The same and then the reference to the exception.
    PayloadAndReference,
    /// The reference first: a legacy `catch` keeps it for `rethrow`.
    ReferenceAndPayload,
    /// The reference alone: `catch_all_ref`, and a legacy `catch_all`.
    Reference,
    /// Nothing.
    Nothing,
}

/// The first of a function's handlers that catches at `cell`, by what `is_tag` says of the offset of a tag's pointer.
fn find(handlers: &[Handler], cell: u32, is_tag: impl Fn(u32) -> bool) -> Option<Action> {
    let mut limit = u32::MAX;
    for handler in handlers {
        if !(handler.start..handler.end).contains(&cell) || handler.depth > limit {
            continue;
        }
        match handler.action {
            Action::Delegate(to) => limit = to,
            Action::Catch { tag: Some(tag), .. } if !is_tag(tag) => {}
            catch => return Some(catch),
        }
    }
    None
}

// ---- translation ---------------------------------------------------------------------------------------------------

/// A block that catches, while it is translated.
#[derive(Debug)]
pub(super) struct Try {
    /// Cell where its body begins.
    start: u32,
    /// The cell behind its body, once that has ended.
    end: Option<u32>,
    /// The clauses of a `try_table`: tag's offset, the label's block, what it gets.
    clauses: Vec<(Option<u32>, usize, Gets)>,
}

impl Translator<'_> {
    fn tag_entry(&self, tag: u32) -> u32 {
        self.info.layout.tags + tag * size_of::<*const VmTag>() as u32
    }

    pub(super) fn try_table(&mut self, table: &TryTable) -> Result<()> {
        let mut clauses = Vec::with_capacity(table.catches.len());
        for catch in &table.catches {
            let (tag, label, gets) = match *catch {
                Catch::One { tag, label } => (Some(tag), label, Gets::Payload),
                Catch::OneRef { tag, label } => (Some(tag), label, Gets::PayloadAndReference),
                Catch::All { label } => (None, label, Gets::Nothing),
                Catch::AllRef { label } => (None, label, Gets::Reference),
            };
            clauses.push((tag.map(|tag| self.tag_entry(tag)), self.control_at(label)?, gets));
        }
        self.open_try(Kind::TryTable, table.ty, clauses)
    }

    /// Legacy `try`.
    pub(super) fn try_(&mut self, ty: BlockType) -> Result<()> {
        self.open_try(Kind::Try, ty, Vec::new())
    }

    fn open_try(
        &mut self,
        kind: Kind,
        ty: BlockType,
        clauses: Vec<(Option<u32>, usize, Gets)>,
    ) -> Result<()> {
        let signature = self.signature(ty)?;
        self.settle_all(signature.0);
        // Whatever stands before is not taken back from here on: it would move what the clauses cover.
        self.label();
        self.tries.push(Try { start: self.out.position(), end: None, clauses });
        self.open(kind, ty, signature)
    }

    /// The cells of the body of the innermost block that catches, which ends here if it did not before.
    fn body(&mut self) -> Result<(u32, u32)> {
        let here = self.out.position();
        let body = self.tries.last_mut().ok_or_else(|| impossible("an end of no try"))?;
        let (start, end) = (body.start, *body.end.get_or_insert(here));
        // Nor is anything of the body taken back behind it.
        self.label();
        Ok((start, end))
    }

    /// The end of a `try_table`, which was taken off the open blocks.
    pub(super) fn end_try_table(&mut self) -> Result<()> {
        let caches = self.caches;
        let (start, end) = self.body()?;
        // The accumulators are what they were.
        self.caches = caches;
        let depth = self.controls.len() as u32;
        let clauses = self.tries.pop().map(|body| body.clauses).unwrap_or_default();
        for (tag, control, gets) in clauses {
            let slot = self.landing_slot(control);
            let action = Action::Catch { tag, target: 0, slot, gets };
            self.handlers.push(Handler { start, end, depth, action });
            self.target_of_handler(control, self.handlers.len() as u32 - 1);
        }
        Ok(())
    }

    /// Legacy `catch`, or `catch_all` without a tag: its clause leads to the code that follows.
    pub(super) fn catch(&mut self, tag: Option<u32>) -> Result<()> {
        let depth = self.controls.len() - 1;
        let control = self.controls[depth];
        if !matches!(control.kind, Kind::Try | Kind::Catch) {
            return Err(impossible("a catch without try"));
        }
        self.leave_to_end(depth);
        let (start, end) = self.body()?;
        self.controls[depth].kind = Kind::Catch;
        self.truncate(control.height);
        self.live = true;
        let (target, slot) = (self.out.position(), self.push()?);
        let mut gets = Gets::Reference;
        if let Some(tag) = tag {
            gets = Gets::ReferenceAndPayload;
            let ty = self.info.tag_type(TagIdx(tag)).clone();
            self.push_values(ty.params())?;
        }
        let tag = tag.map(|tag| self.tag_entry(tag));
        let action = Action::Catch { tag, target, slot, gets };
        self.handlers.push(Handler { start, end, depth: depth as u32, action });
        Ok(())
    }

    /// Legacy `delegate`: the end of a `try` whose exceptions go past some of the blocks around it.
    pub(super) fn delegate(&mut self, to: u32) -> Result<()> {
        let depth = self.controls.len() as u32 - 1;
        let to = depth.checked_sub(1 + to).ok_or_else(|| impossible("a delegate out of the function"))?;
        if self.live {
            self.results_in_place(&{ self.controls[depth as usize] });
        }
        let caches = self.caches;
        let (start, end) = self.body()?;
        self.caches = caches;
        self.handlers.push(Handler { start, end, depth, action: Action::Delegate(to) });
        self.end()
    }

    /// Legacy `rethrow`: throws what the `catch` of this block has caught.
    pub(super) fn rethrow(&mut self, depth: u32) -> Result<()> {
        let control = self.control_at(depth)?;
        let slot = self.slot(self.controls[control].height);
        let at = self.exec::<ThrowRef>(16);
        self.out.set(at, A, slot);
        self.die();
        Ok(())
    }

    /// Lets a handler lead to a cell.
    pub(super) fn patch_handler(&mut self, handler: u32, to: u32) {
        if let Action::Catch { target, .. } = &mut self.handlers[handler as usize].action {
            *target = to;
        }
    }

    pub(super) fn throw(&mut self, tag: u32) -> Result<()> {
        let count = self.info.tag_type(TagIdx(tag)).param_slots();
        let height = self.stack.len().checked_sub(count).ok_or_else(|| impossible("an empty stack"))?;
        self.settle(height, true);
        let (slot, entry) = (self.slot(height), self.tag_entry(tag));
        let at = self.exec::<Throw>(16);
        self.out.set(at, A, slot);
        self.out.set(at, B, entry);
        self.die();
        Ok(())
    }

    pub(super) fn throw_ref(&mut self) -> Result<()> {
        let reference = self.pop()?;
        let slot = self.in_slot(reference);
        let at = self.exec::<ThrowRef>(16);
        self.out.set(at, A, slot);
        self.die();
        Ok(())
    }
}

// ---- handlers of instructions ---------------------------------------------------------------------------------------

/// `throw`: first slot of what the exception carries, offset of the tag's pointer in the instance.
pub(super) struct Throw;

impl Exec for Throw {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V1.
        unsafe {
            let tag = *s.instance_entry::<*const VmTag>(s.operand(B));
            let status = throw(s.ctx, s.ip, s.sp, tag, s.slot_at(A));
            s.acc = status.0.into();
        }
        Flow::Cold(super::dispatch::cold::<Leave>())
    }
}

/// `throw_ref`: slot of the reference.
pub(super) struct ThrowRef;

impl Exec for ThrowRef {
    const SIZE: usize = 0;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I4, V5.
        unsafe {
            let status = throw_ref(s.ctx, s.slot(A));
            s.acc = status.0.into();
        }
        Flow::Cold(super::dispatch::cold::<Leave>())
    }
}

/// # Safety
/// I2, I4; `tag` is one of the store, `slots` hold what its exceptions carry.
#[cold]
#[inline(never)]
unsafe extern "C" fn throw(
    ctx: *mut VmContext,
    ip: *const u8,
    sp: *mut u64,
    tag: *const VmTag,
    slots: *const u64,
) -> Status {
    // SAFETY: the caller's promise. The frame is below the top, so that the collector sees it.
    unsafe {
        unwind::protect_frame(ctx, ip, sp);
        unwind::store(ctx).throw(tag, slots)
    }
}

/// # Safety
/// I4.
#[cold]
#[inline(never)]
unsafe extern "C" fn throw_ref(ctx: *mut VmContext, exception: u64) -> Status {
    // SAFETY: the caller's promise.
    unsafe { unwind::store(ctx).throw_ref(exception) }
}

// ---- the search -----------------------------------------------------------------------------------------------------

/// Finds the frame of this run that catches the exception on its way, and hands it what it catches: where to go on, in a place
/// of the store's (an address of the caller's own frame would cost it its jumps), or null when no frame of this run catches.
/// `back`: how far `ip` is behind the instruction, 0 or 1.
///
/// # Safety
/// I2, I4; an exception is on its way.
#[cold]
#[inline(never)]
pub(super) unsafe extern "C" fn catch(
    mut ctx: *mut VmContext,
    mut ip: *const u8,
    mut sp: *mut u64,
    mut back: usize,
) -> *const Landing {
    // SAFETY: I2, I4; headers are what calls wrote.
    unsafe {
        let store = unwind::store(ctx);
        let Some(exception) = store.exception() else { return ptr::null() };
        let thrown = exception::tag_of(exception);
        loop {
            if ip == exit_ip() {
                return ptr::null();
            }
            if ip == cross_ip() {
                (ip, sp, ctx) = read_cross(sp);
                continue;
            }
            let table = table_of(ctx);
            // SAFETY: V1: the offset is one of the layout's tags.
            let is_tag = |offset: u32| *ctx.byte_add(offset as usize).cast::<*const VmTag>() == thrown;
            let found = table.with_function_at(ip.addr() - back, |own, cells, handlers| {
                let cell = ((ip.addr() - back - cells) / size_of::<u64>()) as u32;
                let landing = find(handlers, cell, is_tag);
                (own, cells, landing)
            });
            let Some((own, cells, action)) = found else { return ptr::null() };
            let entry = table.entry(table.info().imported_funcs + own as u32);
            if let Some(Action::Catch { target, slot, gets, .. }) = action {
                hand_over(store, exception, sp.wrapping_add(slot.into()), gets);
                let code = (*entry).code.load(Ordering::Acquire);
                debug_assert_eq!(code.addr(), cells);
                let l0 = *sp.wrapping_add((*entry).l0.load(Ordering::Relaxed) as usize);
                let ip = code.cast_const().wrapping_add(target as usize * size_of::<u64>());
                store.landing = Landing { ctx, ip, sp, l0 };
                return &raw const store.landing;
            }
            (ip, sp) = read_header(sp.wrapping_add((*entry).header as usize));
            back = 1;
        }
    }
}

/// Writes what a clause gets to the slots from `to` on.
///
/// # Safety
/// `exception` is live; the frame has the slots.
unsafe fn hand_over(
    store: &mut StoreInner,
    exception: ptr::NonNull<crate::gc::GcHeader>,
    mut to: *mut u64,
    gets: Gets,
) {
    let reference = store.caught();
    // SAFETY: the caller's promise.
    unsafe {
        if matches!(gets, Gets::Reference | Gets::ReferenceAndPayload) {
            *to = reference;
            to = to.wrapping_add(1);
        }
        if matches!(gets, Gets::Payload | Gets::PayloadAndReference | Gets::ReferenceAndPayload) {
            let (first, count) = exception::payload(exception);
            ptr::copy_nonoverlapping(first, to, count);
            to = to.wrapping_add(count);
        }
        if gets == Gets::PayloadAndReference {
            *to = reference;
        }
    }
}
