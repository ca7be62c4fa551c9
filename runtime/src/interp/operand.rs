//! Operand classes: where an instruction takes its sources from and puts its result. Handlers are generic over them.
//!
//! Every result is written to its slot, whatever register keeps it besides: so a source in a register can always be read from
//! its slot instead, frames are exact for calls, backtraces and collectors, and no register is ever spilled.

use super::state::{D, State};

/// A value in a slot and in the accumulator of its type.
pub(super) trait Value: Copy {
    /// From the slot's bits.
    fn of_slot(bits: u64) -> Self;
    /// To the slot's bits; short types zero-extended.
    fn slot(self) -> u64;
    /// From a 32-bit immediate.
    fn of_imm(imm: i32) -> Self;
    /// The accumulator.
    fn acc(s: &State) -> Self;
    /// Sets the accumulator.
    fn set_acc(s: &mut State, value: Self);
}

impl Value for u32 {
    #[inline(always)]
    fn of_slot(bits: u64) -> u32 {
        bits as u32
    }
    #[inline(always)]
    fn slot(self) -> u64 {
        self.into()
    }
    #[inline(always)]
    fn of_imm(imm: i32) -> u32 {
        imm as u32
    }
    #[inline(always)]
    fn acc(s: &State) -> u32 {
        s.acc as u32
    }
    #[inline(always)]
    fn set_acc(s: &mut State, value: u32) {
        s.acc = value.into();
    }
}

impl Value for u64 {
    #[inline(always)]
    fn of_slot(bits: u64) -> u64 {
        bits
    }
    #[inline(always)]
    fn slot(self) -> u64 {
        self
    }
    #[inline(always)]
    fn of_imm(imm: i32) -> u64 {
        imm as i64 as u64
    }
    #[inline(always)]
    fn acc(s: &State) -> u64 {
        s.acc
    }
    #[inline(always)]
    fn set_acc(s: &mut State, value: u64) {
        s.acc = value;
    }
}

impl Value for f32 {
    #[inline(always)]
    fn of_slot(bits: u64) -> f32 {
        f32::from_bits(bits as u32)
    }
    #[inline(always)]
    fn slot(self) -> u64 {
        self.to_bits().into()
    }
    #[inline(always)]
    fn of_imm(imm: i32) -> f32 {
        f32::from_bits(imm as u32)
    }
    #[inline(always)]
    fn acc(s: &State) -> f32 {
        s.f32
    }
    #[inline(always)]
    fn set_acc(s: &mut State, value: f32) {
        s.f32 = value;
    }
}

impl Value for f64 {
    #[inline(always)]
    fn of_slot(bits: u64) -> f64 {
        f64::from_bits(bits)
    }
    #[inline(always)]
    fn slot(self) -> u64 {
        self.to_bits()
    }
    #[inline(always)]
    fn of_imm(imm: i32) -> f64 {
        f64::from_bits(imm as i64 as u64)
    }
    #[inline(always)]
    fn acc(s: &State) -> f64 {
        s.f64
    }
    #[inline(always)]
    fn set_acc(s: &mut State, value: f64) {
        s.f64 = value;
    }
}

/// The classes, as the translator speaks of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// A slot.
    S,
    /// An immediate: 32 bits, sign-extended for `i64`.
    K,
    /// An immediate of 64 bits.
    W,
    /// The accumulator of the value's type.
    A,
    /// The pinned local.
    L,
}

/// A class of sources.
pub(super) trait Src {
    /// Is it part of the instruction?
    const IMMEDIATE: bool = false;
    /// Bytes that the instruction grows by.
    const EXTRA: usize = 0;

    /// The value of the operand at byte `at`.
    ///
    /// # Safety
    /// I1, I2, and the instruction has an operand of this class there.
    unsafe fn read<V: Value>(s: &State, at: usize) -> V;
}

/// A class of destinations.
pub(super) trait Dst {
    /// Writes the result.
    ///
    /// # Safety
    /// I1, I2, and the instruction names its destination at [`D`].
    unsafe fn write<V: Value>(s: &mut State, value: V);
}

/// [`Class::S`]
pub(super) struct Slot;
/// [`Class::K`]
pub(super) struct Imm;
/// [`Class::W`]
pub(super) struct Wide;
/// [`Class::A`]
pub(super) struct Acc;
/// [`Class::L`]
pub(super) struct Pinned;

impl Src for Slot {
    #[inline(always)]
    unsafe fn read<V: Value>(s: &State, at: usize) -> V {
        // SAFETY: the caller's promise.
        V::of_slot(unsafe { s.slot(at) })
    }
}

impl Src for Imm {
    const IMMEDIATE: bool = true;
    #[inline(always)]
    unsafe fn read<V: Value>(s: &State, at: usize) -> V {
        // SAFETY: the caller's promise.
        V::of_imm(unsafe { s.operand(at) })
    }
}

impl Src for Wide {
    const EXTRA: usize = 8;
    #[inline(always)]
    unsafe fn read<V: Value>(s: &State, _: usize) -> V {
        // SAFETY: the caller's promise.
        V::of_slot(unsafe { s.operand(super::state::W) })
    }
}

impl Src for Acc {
    #[inline(always)]
    unsafe fn read<V: Value>(s: &State, _: usize) -> V {
        V::acc(s)
    }
}

impl Src for Pinned {
    #[inline(always)]
    unsafe fn read<V: Value>(s: &State, _: usize) -> V {
        V::of_slot(s.l0)
    }
}

impl Dst for Slot {
    #[inline(always)]
    unsafe fn write<V: Value>(s: &mut State, value: V) {
        // SAFETY: the caller's promise.
        unsafe { *s.slot_at(D) = value.slot() };
        V::set_acc(s, value);
    }
}

impl Dst for Pinned {
    #[inline(always)]
    unsafe fn write<V: Value>(s: &mut State, value: V) {
        // SAFETY: the caller's promise.
        unsafe { *s.slot_at(D) = value.slot() };
        s.l0 = value.slot();
    }
}
