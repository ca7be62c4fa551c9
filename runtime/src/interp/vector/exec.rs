//! The handlers of vector operators: operands and results in slots, two for each vector.
//!
//! Of up to three operands the first stands at byte 8, the second at 12, the third at 14, the destination at 10.

use super::rows::{
    Binary, Extract, Load, LoadLane, Reduce, Replace, Shift, Splat, StoreLane, Ternary, Unary,
};
use crate::interp::far;
use crate::interp::flow;
use crate::interp::memory::{Anywhere, place};
use crate::interp::operand::{Dst, Slot, Src};
use crate::interp::state::{A, B, D, Exec, Flow, State, W};
use crate::memory::Racy;
use crate::simd::{self, V128};
use crate::trap::Trap;
use crate::vm::VmMemory;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;

/// Third operand, or the number of a lane.
pub(super) const C: usize = 14;
/// The vector of an instruction that loads one of its lanes; then the number of the lane, there and in stores of lanes.
pub(super) const SECOND: usize = 16;
/// Where the immediate of another memory stands.
pub(super) const MEMORY: usize = 20;

/// The vector whose first slot's number is the operand at byte `at`.
///
/// # Safety
/// I1, I2, and the instruction has such an operand there.
#[inline(always)]
unsafe fn read(s: &State, at: usize) -> V128 {
    // SAFETY: I2 for both slots.
    V128::from(unsafe { *s.slot_at(at).cast::<[u64; 2]>() })
}

/// Writes the vector to the destination.
///
/// # Safety
/// As for [`read`].
#[inline(always)]
unsafe fn write(s: &mut State, value: V128) {
    // SAFETY: I2 for both slots.
    unsafe { *s.slot_at(D).cast::<[u64; 2]>() = value.u64x2() };
}

macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident<$o:ident: $kind:ident>, $s:ident $body:block)*) => { $(
        $(#[$doc])*
        pub(super) struct $name<$o>(PhantomData<$o>);
        impl<$o: $kind> Exec for $name<$o> {
            const SIZE: usize = 16;
            #[inline(always)]
            unsafe fn exec($s: &mut State) -> Flow {
                // SAFETY: the caller's promise.
                unsafe { $body }
                Flow::Next
            }
        }
    )* };
}

handlers! {
    /// `a` to `d`.
    Un<O: Unary>, s { write(s, O::eval(read(s, A))) }
    /// `a`, `b` to `d`.
    Bin<O: Binary>, s { write(s, O::eval(read(s, A), read(s, B))) }
    /// `a`, `b`, `c` to `d`.
    Tern<O: Ternary>, s { write(s, O::eval(read(s, A), read(s, B), read(s, C))) }
    /// `a` by the amount in slot `b`.
    ShiftSlot<O: Shift>, s { write(s, O::eval(read(s, A), Slot::read(s, B))) }
    /// `a` by the immediate amount at `b`.
    ShiftBy<O: Shift>, s { write(s, O::eval(read(s, A), s.operand(B))) }
    /// The scalar in slot `a` to all lanes.
    ToAll<O: Splat>, s { write(s, O::eval(Slot::read(s, A))) }
    /// A lane of `a`.
    FromLane<O: Extract>, s {
        let value = O::eval(read(s, A), s.operand::<u16>(C) as u8);
        Slot::write(s, value);
    }
    /// `a` with the scalar in slot `b` as a lane.
    ToLane<O: Replace>, s { write(s, O::eval(read(s, A), Slot::read(s, B), s.operand::<u16>(C) as u8)) }
    /// `a` to an `i32`.
    ToOne<O: Reduce>, s {
        let value = O::eval(read(s, A));
        Slot::write(s, value);
    }
}

/// How an access reaches its memory, as a parameter of handlers: memory 0.
pub(super) const MEMORY0: u8 = 0;
/// The memory that the instruction names at [`MEMORY`].
pub(super) const OTHER: u8 = 1;
/// The same with 64 bits of address and, at [`OFFSET`], of offset.
pub(super) const FAR: u8 = 2;
/// The same of a memory that other threads may touch.
pub(super) const SHARED: u8 = 3;
/// Where the offset of a far access stands.
pub(super) const OFFSET: usize = 24;

/// Bytes of an instruction that takes `near` bytes for memory 0.
pub(super) const fn size(reach: u8, near: usize) -> usize {
    match reach {
        MEMORY0 => near,
        OTHER => 24,
        _ => 32,
    }
}

/// The place of a `T` at the address in slot `a` and the instruction's offset.
///
/// # Safety
/// I1 to I4, and the instruction has these operands.
#[inline(always)]
unsafe fn reach<T, const REACH: u8>(s: &State) -> Option<*mut Anywhere<T>> {
    // SAFETY: V1 for the memory.
    unsafe {
        if REACH == MEMORY0 {
            return place(s.mem, s.len, Slot::read(s, A), s.operand(B));
        }
        let memory = *s.instance_entry::<*mut VmMemory>(s.operand(MEMORY));
        let (base, len) = ((*memory).base, (*memory).len.load(Ordering::Relaxed));
        if REACH == OTHER {
            return place(base, len, Slot::read(s, A), s.operand(B));
        }
        far::place(base, len, s.slot(A), s.operand(OFFSET), size_of::<T>()).map(<*mut u8>::cast)
    }
}

/// What lies at a place.
///
/// # Safety
/// V2 for the place, which [`reach`] found.
#[inline(always)]
unsafe fn fetch<T: Racy, const REACH: u8>(place: *mut Anywhere<T>) -> T {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(shared_memory)]
        if REACH == SHARED {
            return T::load(place.cast());
        }
        (*place).0
    }
}

/// Puts a value to a place.
///
/// # Safety
/// V2 for the place, which [`reach`] found.
#[inline(always)]
unsafe fn put<T: Racy, const REACH: u8>(place: *mut Anywhere<T>, value: T) {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(shared_memory)]
        if REACH == SHARED {
            return T::store(place.cast(), value);
        }
        (*place).0 = value;
    }
}

macro_rules! accesses {
    ($($(#[$doc:meta])* $name:ident<$o:ident: $kind:ident>: $size:expr, $s:ident, $place:ident $body:block)*) => { $(
        $(#[$doc])*
        pub(super) struct $name<$o, const REACH: u8>(PhantomData<$o>);
        impl<$o: $kind, const REACH: u8> Exec for $name<$o, REACH> {
            const SIZE: usize = $size;
            #[inline(always)]
            unsafe fn exec($s: &mut State) -> Flow {
                // SAFETY: the caller's promise; V2 and I3 for the bytes.
                unsafe {
                    let Some($place) = reach::<<$o as $kind>::M, REACH>($s) else {
                        return Flow::Trap(Trap::MemoryOutOfBounds);
                    };
                    $body
                }
                Flow::Next
            }
        }
    )* };
}

accesses! {
    /// A load to `d`.
    FromMemory<O: Load>: size(REACH, 16), s, place { write(s, O::eval(fetch::<_, REACH>(place))) }
    /// A load to a lane of the vector at [`SECOND`].
    LaneFromMemory<O: LoadLane>: size(REACH, 24), s, place {
        let value = O::eval(read(s, SECOND), fetch::<_, REACH>(place), s.operand::<u16>(SECOND + 2) as u8);
        write(s, value);
    }
    /// A store of a lane of the vector in the slots from `d` on.
    LaneToMemory<O: StoreLane>: size(REACH, 24), s, place {
        put::<_, REACH>(place, O::eval(read(s, D), s.operand::<u16>(SECOND + 2) as u8));
    }
}

/// `v128.store`: the vector in the slots from `d` on.
pub(super) struct ToMemory<const REACH: u8>;

impl<const REACH: u8> Exec for ToMemory<REACH> {
    const SIZE: usize = size(REACH, 24);
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; V2 and I3 for the bytes.
        unsafe {
            match reach::<V128, REACH>(s) {
                Some(place) => {
                    // Without stores to any address, as on RISC-V, sixteen bytes at once are a call of `memmove`.
                    if cfg!(target_arch = "riscv64") && REACH != SHARED {
                        let [low, high] = *s.slot_at(D).cast::<[u64; 2]>();
                        let place = place.cast::<Anywhere<u64>>();
                        put::<_, REACH>(place, low);
                        put::<_, REACH>(place.add(1), high);
                    } else {
                        put::<_, REACH>(place, read(s, D));
                    }
                    Flow::Next
                }
                None => Flow::Trap(Trap::MemoryOutOfBounds),
            }
        }
    }
}

macro_rules! instructions {
    ($($(#[$doc:meta])* $name:ident $(<const $own:ident: bool>)?: $size:literal, $s:ident $body:block)*) => { $(
        $(#[$doc])*
        pub(super) struct $name$(<const $own: bool>)?;
        impl$(<const $own: bool>)? Exec for $name$(<$own>)? {
            const SIZE: usize = $size;
            #[inline(always)]
            unsafe fn exec($s: &mut State) -> Flow {
                // SAFETY: the caller's promise; V1 for globals.
                unsafe { $body }
                Flow::Next
            }
        }
    )* };
}

instructions! {
    /// The immediate behind to `d`.
    Const: 32, s {
        let value = V128::from([s.operand::<u64>(W), s.operand::<u64>(W + 8)]);
        write(s, value);
    }
    /// Lanes of `a` and `b` by the indices behind.
    Shuffle: 32, s {
        let lanes = V128::from([s.operand::<u64>(W), s.operand::<u64>(W + 8)]).u8x16();
        write(s, simd::i8x16_shuffle(read(s, A), read(s, B), lanes));
    }
    /// `a` to `d`.
    Copy: 16, s { write(s, read(s, A)) }
    /// `a` when the `i32` in slot `c` is not 0, else `b`.
    Select: 16, s {
        let (a, b) = (read(s, A), read(s, B));
        write(s, if Slot::read::<u32>(s, C) != 0 { a } else { b });
    }
    /// Makes NaN lanes the canonical one, in place: of `f32`, else of `f64`.
    Canonical<const F32: bool>: 16, s {
        let value = read(s, D);
        write(s, if F32 { simd::f32x4_canonical(value) } else { simd::f64x2_canonical(value) });
    }
    /// `global.get`
    GlobalGet<const OWN: bool>: 16, s {
        let value = *flow::global::<OWN>(s).cast::<[u64; 2]>();
        write(s, V128::from(value));
    }
    /// `global.set`
    GlobalSet<const OWN: bool>: 16, s {
        *flow::global::<OWN>(s).cast::<[u64; 2]>() = read(s, A).u64x2();
    }
}
