//! What each vector operator means, lane by lane: one function per row of the operator table's second half, named by its
//! meaning column (core specification 4.3.6 and the vector rules of 4.4.3).
//!
//! A lane is what [`crate::num`] calls a value; float lanes follow it in every detail, NaNs included. Written so that LLVM makes
//! vector code of the lane loops; nothing here asks for a machine's instructions. Nothing here knows frames, slots or instances.

#![allow(missing_docs, reason = "each function is named by its operator; the specification says the rest")]
#![allow(clippy::needless_range_loop, reason = "lanes are counted, here as in the specification")]

mod lanes;

pub use lanes::V128;

use crate::{num, ordered};

/// The lanes of `r`, each made from the lane of `a` at its place.
#[inline(always)]
fn map<A: Copy, R: Copy + Default, const N: usize>(a: [A; N], f: impl Fn(A) -> R) -> [R; N] {
    let mut r = [R::default(); N];
    for i in 0..N {
        r[i] = f(a[i]);
    }
    r
}

#[inline(always)]
fn zip<A: Copy, R: Copy + Default, const N: usize>(a: [A; N], b: [A; N], f: impl Fn(A, A) -> R) -> [R; N] {
    let mut r = [R::default(); N];
    for i in 0..N {
        r[i] = f(a[i], b[i]);
    }
    r
}

/// Lanes from half as many, beginning at lane `from`.
#[inline(always)]
fn widen<A: Copy, R: Copy + Default, const N: usize, const H: usize>(
    a: [A; N],
    from: usize,
    f: impl Fn(A) -> R,
) -> [R; H] {
    let mut r = [R::default(); H];
    for i in 0..H {
        r[i] = f(a[from + i]);
    }
    r
}

/// Lanes from pairs of neighbours.
#[inline(always)]
fn pairs<A: Copy, R: Copy + Default, const N: usize, const H: usize>(
    a: [A; N],
    f: impl Fn(A, A) -> R,
) -> [R; H] {
    let mut r = [R::default(); H];
    for i in 0..H {
        r[i] = f(a[2 * i], a[2 * i + 1]);
    }
    r
}

/// The lanes of `a`, then those of `b`, each made narrower.
#[inline(always)]
fn narrow<A: Copy, R: Copy + Default, const N: usize, const D: usize>(
    a: [A; N],
    b: [A; N],
    f: impl Fn(A) -> R,
) -> [R; D] {
    let mut r = [R::default(); D];
    for i in 0..N {
        r[i] = f(a[i]);
        r[N + i] = f(b[i]);
    }
    r
}

macro_rules! unary {
    ($($name:ident $lanes:ident |$a:ident| $body:expr;)*) => { $(
        #[inline(always)]
        pub fn $name(a: V128) -> V128 {
            V128::from(map(a.$lanes(), |$a| $body))
        }
    )* };
}

macro_rules! binary {
    ($($name:ident $lanes:ident |$a:ident, $b:ident| $body:expr;)*) => { $(
        #[inline(always)]
        pub fn $name(a: V128, b: V128) -> V128 {
            V128::from(zip(a.$lanes(), b.$lanes(), |$a, $b| $body))
        }
    )* };
}

// ---- bits ----

#[inline(always)]
pub fn v128_not(a: V128) -> V128 {
    V128::from_bits(!a.bits())
}

#[inline(always)]
pub fn v128_and(a: V128, b: V128) -> V128 {
    V128::from_bits(a.bits() & b.bits())
}

#[inline(always)]
pub fn v128_andnot(a: V128, b: V128) -> V128 {
    V128::from_bits(a.bits() & !b.bits())
}

#[inline(always)]
pub fn v128_or(a: V128, b: V128) -> V128 {
    V128::from_bits(a.bits() | b.bits())
}

#[inline(always)]
pub fn v128_xor(a: V128, b: V128) -> V128 {
    V128::from_bits(a.bits() ^ b.bits())
}

/// Bits of `a` where `c` has ones, of `b` elsewhere.
#[inline(always)]
pub fn v128_bitselect(a: V128, b: V128, c: V128) -> V128 {
    V128::from_bits(a.bits() & c.bits() | b.bits() & !c.bits())
}

#[inline(always)]
pub fn v128_any_true(a: V128) -> u32 {
    (a.bits() != 0).into()
}

// ---- moving lanes ----

/// Lanes of `a` by the indices in `b`; 0 for those outside.
#[inline(always)]
pub fn i8x16_swizzle(a: V128, b: V128) -> V128 {
    let a = a.u8x16();
    V128::from(map(b.u8x16(), |i| if i < 16 { a[usize::from(i & 15)] } else { 0 }))
}

/// Lanes of `a` and `b`, put one behind the other, by constant indices below 32.
#[inline(always)]
pub fn i8x16_shuffle(a: V128, b: V128, lanes: [u8; 16]) -> V128 {
    let (a, b) = (a.u8x16(), b.u8x16());
    V128::from(map(lanes, |i| if i < 16 { a[usize::from(i & 15)] } else { b[usize::from(i & 15)] }))
}

macro_rules! splat {
    ($($name:ident $scalar:ident $lane:ident $count:literal;)*) => { $(
        #[inline(always)]
        pub fn $name(a: $scalar) -> V128 {
            V128::from([a as $lane; $count])
        }
    )* };
}
splat! {
    i8x16_splat u32 u8 16; i16x8_splat u32 u16 8; i32x4_splat u32 u32 4; i64x2_splat u64 u64 2;
    f32x4_splat f32 f32 4; f64x2_splat f64 f64 2;
}

macro_rules! extract {
    ($($name:ident $lanes:ident $count:literal $scalar:ident;)*) => { $(
        #[inline(always)]
        pub fn $name(a: V128, lane: u8) -> $scalar {
            a.$lanes()[usize::from(lane) % $count] as $scalar
        }
    )* };
}
extract! {
    i8x16_extract_lane_s i8x16 16 u32; i8x16_extract_lane_u u8x16 16 u32;
    i16x8_extract_lane_s i16x8 8 u32; i16x8_extract_lane_u u16x8 8 u32;
    i32x4_extract_lane u32x4 4 u32; i64x2_extract_lane u64x2 2 u64;
    f32x4_extract_lane f32x4 4 f32; f64x2_extract_lane f64x2 2 f64;
    v128_store8_lane u8x16 16 u8; v128_store16_lane u16x8 8 u16; v128_store32_lane u32x4 4 u32;
    v128_store64_lane u64x2 2 u64;
}

macro_rules! replace {
    ($($name:ident $lanes:ident $lane:ident $count:literal $scalar:ident;)*) => { $(
        #[inline(always)]
        pub fn $name(a: V128, b: $scalar, lane: u8) -> V128 {
            let mut a = a.$lanes();
            a[usize::from(lane) % $count] = b as $lane;
            V128::from(a)
        }
    )* };
}
replace! {
    i8x16_replace_lane u8x16 u8 16 u32; i16x8_replace_lane u16x8 u16 8 u32;
    i32x4_replace_lane u32x4 u32 4 u32; i64x2_replace_lane u64x2 u64 2 u64;
    f32x4_replace_lane f32x4 f32 4 f32; f64x2_replace_lane f64x2 f64 2 f64;
    v128_load8_lane u8x16 u8 16 u8; v128_load16_lane u16x8 u16 8 u16; v128_load32_lane u32x4 u32 4 u32;
    v128_load64_lane u64x2 u64 2 u64;
}

// ---- from memory ----

#[inline(always)]
pub fn v128_load(m: u128) -> V128 {
    V128::from_bits(m)
}

/// What was read in the lower half, zeros in the upper one.
#[inline(always)]
pub fn v128_load64_zero(m: u64) -> V128 {
    V128::from_bits(m.into())
}

#[inline(always)]
pub fn v128_load32_zero(m: u32) -> V128 {
    V128::from_bits(m.into())
}

#[inline(always)]
pub fn v128_load8x8_s(m: u64) -> V128 {
    i16x8_extend_low_i8x16_s(v128_load64_zero(m))
}

#[inline(always)]
pub fn v128_load8x8_u(m: u64) -> V128 {
    i16x8_extend_low_i8x16_u(v128_load64_zero(m))
}

#[inline(always)]
pub fn v128_load16x4_s(m: u64) -> V128 {
    i32x4_extend_low_i16x8_s(v128_load64_zero(m))
}

#[inline(always)]
pub fn v128_load16x4_u(m: u64) -> V128 {
    i32x4_extend_low_i16x8_u(v128_load64_zero(m))
}

#[inline(always)]
pub fn v128_load32x2_s(m: u64) -> V128 {
    i64x2_extend_low_i32x4_s(v128_load64_zero(m))
}

#[inline(always)]
pub fn v128_load32x2_u(m: u64) -> V128 {
    i64x2_extend_low_i32x4_u(v128_load64_zero(m))
}

#[inline(always)]
pub fn v128_load8_splat(m: u8) -> V128 {
    V128::from([m; 16])
}

#[inline(always)]
pub fn v128_load16_splat(m: u16) -> V128 {
    V128::from([m; 8])
}

#[inline(always)]
pub fn v128_load32_splat(m: u32) -> V128 {
    V128::from([m; 4])
}

#[inline(always)]
pub fn v128_load64_splat(m: u64) -> V128 {
    V128::from([m; 2])
}

// ---- integers ----

unary! {
    i8x16_abs i8x16 |a| a.wrapping_abs(); i8x16_neg i8x16 |a| a.wrapping_neg();
    i16x8_abs i16x8 |a| a.wrapping_abs(); i16x8_neg i16x8 |a| a.wrapping_neg();
    i32x4_abs i32x4 |a| a.wrapping_abs(); i32x4_neg i32x4 |a| a.wrapping_neg();
    i64x2_abs i64x2 |a| a.wrapping_abs(); i64x2_neg i64x2 |a| a.wrapping_neg();
    i8x16_popcnt u8x16 |a| a.count_ones() as u8;
}

macro_rules! integers {
    ($($add:ident $sub:ident $shl:ident $shr_s:ident $shr_u:ident $signed:ident $unsigned:ident;)*) => {
        $(
            binary! {
                $add $unsigned |a, b| a.wrapping_add(b);
                $sub $unsigned |a, b| a.wrapping_sub(b);
            }

            /// By the amount modulo the lanes' width.
            #[inline(always)]
            pub fn $shl(a: V128, by: u32) -> V128 {
                V128::from(map(a.$unsigned(), |a| a.wrapping_shl(by)))
            }

            /// By the amount modulo the lanes' width.
            #[inline(always)]
            pub fn $shr_s(a: V128, by: u32) -> V128 {
                V128::from(map(a.$signed(), |a| a.wrapping_shr(by)))
            }

            /// By the amount modulo the lanes' width.
            #[inline(always)]
            pub fn $shr_u(a: V128, by: u32) -> V128 {
                V128::from(map(a.$unsigned(), |a| a.wrapping_shr(by)))
            }
        )*
    };
}
integers! {
    i8x16_add i8x16_sub i8x16_shl i8x16_shr_s i8x16_shr_u i8x16 u8x16;
    i16x8_add i16x8_sub i16x8_shl i16x8_shr_s i16x8_shr_u i16x8 u16x8;
    i32x4_add i32x4_sub i32x4_shl i32x4_shr_s i32x4_shr_u i32x4 u32x4;
    i64x2_add i64x2_sub i64x2_shl i64x2_shr_s i64x2_shr_u i64x2 u64x2;
}

macro_rules! extremes {
    ($($min_s:ident $min_u:ident $max_s:ident $max_u:ident $signed:ident $unsigned:ident;)*) => { $( binary! {
        $min_s $signed |a, b| if b < a { b } else { a };
        $min_u $unsigned |a, b| if b < a { b } else { a };
        $max_s $signed |a, b| if a < b { b } else { a };
        $max_u $unsigned |a, b| if a < b { b } else { a };
    } )* };
}
extremes! {
    i8x16_min_s i8x16_min_u i8x16_max_s i8x16_max_u i8x16 u8x16;
    i16x8_min_s i16x8_min_u i16x8_max_s i16x8_max_u i16x8 u16x8;
    i32x4_min_s i32x4_min_u i32x4_max_s i32x4_max_u i32x4 u32x4;
}

binary! {
    i8x16_add_sat_s i8x16 |a, b| a.saturating_add(b); i8x16_add_sat_u u8x16 |a, b| a.saturating_add(b);
    i8x16_sub_sat_s i8x16 |a, b| a.saturating_sub(b); i8x16_sub_sat_u u8x16 |a, b| a.saturating_sub(b);
    i16x8_add_sat_s i16x8 |a, b| a.saturating_add(b); i16x8_add_sat_u u16x8 |a, b| a.saturating_add(b);
    i16x8_sub_sat_s i16x8 |a, b| a.saturating_sub(b); i16x8_sub_sat_u u16x8 |a, b| a.saturating_sub(b);
    i8x16_avgr_u u8x16 |a, b| ((u16::from(a) + u16::from(b) + 1) >> 1) as u8;
    i16x8_avgr_u u16x8 |a, b| ((u32::from(a) + u32::from(b) + 1) >> 1) as u16;
    i16x8_mul u16x8 |a, b| a.wrapping_mul(b);
    i32x4_mul u32x4 |a, b| a.wrapping_mul(b);
    i64x2_mul u64x2 |a, b| a.wrapping_mul(b);
    // Only -1 times -1 is too much.
    i16x8_q15mulr_sat_s i16x8 |a, b| ((i32::from(a) * i32::from(b) + 0x4000) >> 15).min(0x7fff) as i16;
}

macro_rules! comparisons {
    ($($name:ident $lanes:ident $mask:ident $op:tt;)*) => { binary! {
        $($name $lanes |a, b| if a $op b { $mask::MAX } else { 0 };)*
    } };
}
comparisons! {
    i8x16_eq u8x16 u8 ==; i8x16_ne u8x16 u8 !=; i8x16_lt_s i8x16 u8 <; i8x16_lt_u u8x16 u8 <; i8x16_gt_s i8x16 u8 >;
    i8x16_gt_u u8x16 u8 >; i8x16_le_s i8x16 u8 <=; i8x16_le_u u8x16 u8 <=; i8x16_ge_s i8x16 u8 >=; i8x16_ge_u u8x16 u8 >=;
    i16x8_eq u16x8 u16 ==; i16x8_ne u16x8 u16 !=; i16x8_lt_s i16x8 u16 <; i16x8_lt_u u16x8 u16 <; i16x8_gt_s i16x8 u16 >;
    i16x8_gt_u u16x8 u16 >; i16x8_le_s i16x8 u16 <=; i16x8_le_u u16x8 u16 <=; i16x8_ge_s i16x8 u16 >=;
    i16x8_ge_u u16x8 u16 >=;
    i32x4_eq u32x4 u32 ==; i32x4_ne u32x4 u32 !=; i32x4_lt_s i32x4 u32 <; i32x4_lt_u u32x4 u32 <; i32x4_gt_s i32x4 u32 >;
    i32x4_gt_u u32x4 u32 >; i32x4_le_s i32x4 u32 <=; i32x4_le_u u32x4 u32 <=; i32x4_ge_s i32x4 u32 >=;
    i32x4_ge_u u32x4 u32 >=;
    i64x2_eq u64x2 u64 ==; i64x2_ne u64x2 u64 !=; i64x2_lt_s i64x2 u64 <; i64x2_gt_s i64x2 u64 >; i64x2_le_s i64x2 u64 <=;
    i64x2_ge_s i64x2 u64 >=;
    f32x4_eq f32x4 u32 ==; f32x4_ne f32x4 u32 !=; f32x4_lt f32x4 u32 <; f32x4_gt f32x4 u32 >; f32x4_le f32x4 u32 <=;
    f32x4_ge f32x4 u32 >=;
    f64x2_eq f64x2 u64 ==; f64x2_ne f64x2 u64 !=; f64x2_lt f64x2 u64 <; f64x2_gt f64x2 u64 >; f64x2_le f64x2 u64 <=;
    f64x2_ge f64x2 u64 >=;
}

macro_rules! widths {
    ($(
        $low_s:ident $high_s:ident $low_u:ident $high_u:ident
        $mul_low_s:ident $mul_high_s:ident $mul_low_u:ident $mul_high_u:ident
        $signed:ident $unsigned:ident $half:literal $wide_s:ident $wide_u:ident;
    )*) => { $(
        #[inline(always)]
        pub fn $low_s(a: V128) -> V128 {
            V128::from(widen::<_, _, _, $half>(a.$signed(), 0, $wide_s::from))
        }

        #[inline(always)]
        pub fn $high_s(a: V128) -> V128 {
            V128::from(widen::<_, _, _, $half>(a.$signed(), $half, $wide_s::from))
        }

        #[inline(always)]
        pub fn $low_u(a: V128) -> V128 {
            V128::from(widen::<_, _, _, $half>(a.$unsigned(), 0, $wide_u::from))
        }

        #[inline(always)]
        pub fn $high_u(a: V128) -> V128 {
            V128::from(widen::<_, _, _, $half>(a.$unsigned(), $half, $wide_u::from))
        }

        #[inline(always)]
        pub fn $mul_low_s(a: V128, b: V128) -> V128 {
            let wide = |v: V128| widen::<_, _, _, $half>(v.$signed(), 0, $wide_s::from);
            V128::from(zip(wide(a), wide(b), $wide_s::wrapping_mul))
        }

        #[inline(always)]
        pub fn $mul_high_s(a: V128, b: V128) -> V128 {
            let wide = |v: V128| widen::<_, _, _, $half>(v.$signed(), $half, $wide_s::from);
            V128::from(zip(wide(a), wide(b), $wide_s::wrapping_mul))
        }

        #[inline(always)]
        pub fn $mul_low_u(a: V128, b: V128) -> V128 {
            let wide = |v: V128| widen::<_, _, _, $half>(v.$unsigned(), 0, $wide_u::from);
            V128::from(zip(wide(a), wide(b), $wide_u::wrapping_mul))
        }

        #[inline(always)]
        pub fn $mul_high_u(a: V128, b: V128) -> V128 {
            let wide = |v: V128| widen::<_, _, _, $half>(v.$unsigned(), $half, $wide_u::from);
            V128::from(zip(wide(a), wide(b), $wide_u::wrapping_mul))
        }
    )* };
}
widths! {
    i16x8_extend_low_i8x16_s i16x8_extend_high_i8x16_s i16x8_extend_low_i8x16_u i16x8_extend_high_i8x16_u
    i16x8_extmul_low_i8x16_s i16x8_extmul_high_i8x16_s i16x8_extmul_low_i8x16_u i16x8_extmul_high_i8x16_u
    i8x16 u8x16 8 i16 u16;
    i32x4_extend_low_i16x8_s i32x4_extend_high_i16x8_s i32x4_extend_low_i16x8_u i32x4_extend_high_i16x8_u
    i32x4_extmul_low_i16x8_s i32x4_extmul_high_i16x8_s i32x4_extmul_low_i16x8_u i32x4_extmul_high_i16x8_u
    i16x8 u16x8 4 i32 u32;
    i64x2_extend_low_i32x4_s i64x2_extend_high_i32x4_s i64x2_extend_low_i32x4_u i64x2_extend_high_i32x4_u
    i64x2_extmul_low_i32x4_s i64x2_extmul_high_i32x4_s i64x2_extmul_low_i32x4_u i64x2_extmul_high_i32x4_u
    i32x4 u32x4 2 i64 u64;
}

#[inline(always)]
pub fn i16x8_extadd_pairwise_i8x16_s(a: V128) -> V128 {
    V128::from(pairs::<_, _, _, 8>(a.i8x16(), |a, b| i16::from(a) + i16::from(b)))
}

#[inline(always)]
pub fn i16x8_extadd_pairwise_i8x16_u(a: V128) -> V128 {
    V128::from(pairs::<_, _, _, 8>(a.u8x16(), |a, b| u16::from(a) + u16::from(b)))
}

#[inline(always)]
pub fn i32x4_extadd_pairwise_i16x8_s(a: V128) -> V128 {
    V128::from(pairs::<_, _, _, 4>(a.i16x8(), |a, b| i32::from(a) + i32::from(b)))
}

#[inline(always)]
pub fn i32x4_extadd_pairwise_i16x8_u(a: V128) -> V128 {
    V128::from(pairs::<_, _, _, 4>(a.u16x8(), |a, b| u32::from(a) + u32::from(b)))
}

#[inline(always)]
pub fn i8x16_narrow_i16x8_s(a: V128, b: V128) -> V128 {
    V128::from(narrow::<_, _, _, 16>(a.i16x8(), b.i16x8(), |x| x.clamp(-0x80, 0x7f) as i8))
}

#[inline(always)]
pub fn i8x16_narrow_i16x8_u(a: V128, b: V128) -> V128 {
    V128::from(narrow::<_, _, _, 16>(a.i16x8(), b.i16x8(), |x| x.clamp(0, 0xff) as u8))
}

#[inline(always)]
pub fn i16x8_narrow_i32x4_s(a: V128, b: V128) -> V128 {
    V128::from(narrow::<_, _, _, 8>(a.i32x4(), b.i32x4(), |x| x.clamp(-0x8000, 0x7fff) as i16))
}

#[inline(always)]
pub fn i16x8_narrow_i32x4_u(a: V128, b: V128) -> V128 {
    V128::from(narrow::<_, _, _, 8>(a.i32x4(), b.i32x4(), |x| x.clamp(0, 0xffff) as u16))
}

/// Products of neighbours, added. Each sum fits in 32 bits except four times -0x8000, which wraps.
#[inline(always)]
pub fn i32x4_dot_i16x8_s(a: V128, b: V128) -> V128 {
    let (a, b) = (a.i16x8(), b.i16x8());
    let mut r = [0i32; 4];
    for i in 0..4 {
        let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
        r[i] = product(2 * i).wrapping_add(product(2 * i + 1));
    }
    V128::from(r)
}

/// Both operands are signed, the sum wraps.
#[inline(always)]
pub fn i16x8_relaxed_dot_i8x16_i7x16_s(a: V128, b: V128) -> V128 {
    let (a, b) = (a.i8x16(), b.i8x16());
    let mut r = [0i16; 8];
    for i in 0..8 {
        let product = |i: usize| i16::from(a[i]) * i16::from(b[i]);
        r[i] = product(2 * i).wrapping_add(product(2 * i + 1));
    }
    V128::from(r)
}

#[inline(always)]
pub fn i32x4_relaxed_dot_i8x16_i7x16_add_s(a: V128, b: V128, c: V128) -> V128 {
    i32x4_add(i32x4_extadd_pairwise_i16x8_s(i16x8_relaxed_dot_i8x16_i7x16_s(a, b)), c)
}

macro_rules! reductions {
    ($($all_true:ident $bitmask:ident $signed:ident $count:literal;)*) => { $(
        /// 1 when no lane is 0.
        #[inline(always)]
        pub fn $all_true(a: V128) -> u32 {
            let mut all = true;
            for lane in a.$signed() {
                all &= lane != 0;
            }
            all.into()
        }

        /// The lanes' highest bits, lane 0 lowest.
        #[inline(always)]
        pub fn $bitmask(a: V128) -> u32 {
            let (lanes, mut mask) = (a.$signed(), 0);
            for i in 0..$count {
                mask |= u32::from(lanes[i] < 0) << i;
            }
            mask
        }
    )* };
}
reductions! {
    i8x16_all_true i8x16_bitmask i8x16 16; i16x8_all_true i16x8_bitmask i16x8 8;
    i32x4_all_true i32x4_bitmask i32x4 4; i64x2_all_true i64x2_bitmask i64x2 2;
}

// ---- floats ----

unary! {
    f32x4_abs f32x4 |a| num::f32_abs(a); f32x4_neg f32x4 |a| num::f32_neg(a); f32x4_sqrt f32x4 |a| num::f32_sqrt(a);
    f32x4_ceil f32x4 |a| num::f32_ceil(a); f32x4_floor f32x4 |a| num::f32_floor(a);
    f32x4_trunc f32x4 |a| num::f32_trunc(a); f32x4_nearest f32x4 |a| num::f32_nearest(a);
    f64x2_abs f64x2 |a| num::f64_abs(a); f64x2_neg f64x2 |a| num::f64_neg(a); f64x2_sqrt f64x2 |a| num::f64_sqrt(a);
    f64x2_ceil f64x2 |a| num::f64_ceil(a); f64x2_floor f64x2 |a| num::f64_floor(a);
    f64x2_trunc f64x2 |a| num::f64_trunc(a); f64x2_nearest f64x2 |a| num::f64_nearest(a);
    i32x4_trunc_sat_f32x4_s f32x4 |a| num::i32_trunc_sat_f32_s(a);
    i32x4_trunc_sat_f32x4_u f32x4 |a| num::i32_trunc_sat_f32_u(a);
    f32x4_convert_i32x4_s u32x4 |a| num::f32_convert_i32_s(a);
    f32x4_convert_i32x4_u u32x4 |a| num::f32_convert_i32_u(a);
    f32x4_canonical f32x4 |a| num::f32_canonical(a);
    f64x2_canonical f64x2 |a| num::f64_canonical(a);
}

binary! {
    f32x4_sub f32x4 |a, b| num::f32_sub(a, b); f32x4_div f32x4 |a, b| num::f32_div(a, b);
    f64x2_sub f64x2 |a, b| num::f64_sub(a, b); f64x2_div f64x2 |a, b| num::f64_div(a, b);
    f32x4_min f32x4 |a, b| num::f32_min_else(a, b, ordered::f32_nan_of_lanes_min);
    f32x4_max f32x4 |a, b| num::f32_max_else(a, b, ordered::f32_nan_of_lanes_max);
    f64x2_min f64x2 |a, b| num::f64_min_else(a, b, ordered::f64_nan_of_lanes_min);
    f64x2_max f64x2 |a, b| num::f64_max_else(a, b, ordered::f64_nan_of_lanes_max);
    // One of the operands as it is, even if that is a NaN.
    f32x4_pmin f32x4 |a, b| if b < a { b } else { a }; f32x4_pmax f32x4 |a, b| if a < b { b } else { a };
    f64x2_pmin f64x2 |a, b| if b < a { b } else { a }; f64x2_pmax f64x2 |a, b| if a < b { b } else { a };
}

macro_rules! ordered {
    ($($name:ident $lanes:ident;)*) => { $(
        #[inline(always)]
        pub fn $name(a: V128, b: V128) -> V128 {
            V128::from(ordered::$name(a.$lanes(), b.$lanes()))
        }
    )* };
}
ordered! { f32x4_add f32x4; f32x4_mul f32x4; f64x2_add f64x2; f64x2_mul f64x2; }

/// Rounded twice.
#[inline(always)]
pub fn f32x4_relaxed_madd(a: V128, b: V128, c: V128) -> V128 {
    f32x4_add(f32x4_mul(a, b), c)
}

#[inline(always)]
pub fn f32x4_relaxed_nmadd(a: V128, b: V128, c: V128) -> V128 {
    f32x4_relaxed_madd(f32x4_neg(a), b, c)
}

/// Rounded twice.
#[inline(always)]
pub fn f64x2_relaxed_madd(a: V128, b: V128, c: V128) -> V128 {
    f64x2_add(f64x2_mul(a, b), c)
}

#[inline(always)]
pub fn f64x2_relaxed_nmadd(a: V128, b: V128, c: V128) -> V128 {
    f64x2_relaxed_madd(f64x2_neg(a), b, c)
}

#[inline(always)]
pub fn i32x4_trunc_sat_f64x2_s_zero(a: V128) -> V128 {
    let [low, high] = map(a.f64x2(), num::i32_trunc_sat_f64_s);
    V128::from([low, high, 0, 0])
}

#[inline(always)]
pub fn i32x4_trunc_sat_f64x2_u_zero(a: V128) -> V128 {
    let [low, high] = map(a.f64x2(), num::i32_trunc_sat_f64_u);
    V128::from([low, high, 0, 0])
}

#[inline(always)]
pub fn f64x2_convert_low_i32x4_s(a: V128) -> V128 {
    V128::from(widen::<_, _, _, 2>(a.u32x4(), 0, num::f64_convert_i32_s))
}

#[inline(always)]
pub fn f64x2_convert_low_i32x4_u(a: V128) -> V128 {
    V128::from(widen::<_, _, _, 2>(a.u32x4(), 0, num::f64_convert_i32_u))
}

#[inline(always)]
pub fn f32x4_demote_f64x2_zero(a: V128) -> V128 {
    let [low, high] = map(a.f64x2(), num::f32_demote_f64);
    V128::from([low, high, 0.0, 0.0])
}

#[inline(always)]
pub fn f64x2_promote_low_f32x4(a: V128) -> V128 {
    V128::from(widen::<_, _, _, 2>(a.f32x4(), 0, num::f64_promote_f32))
}

#[cfg(test)]
mod tests;
