//! Operators on floats whose result depends on the order of their operands: when both are NaN, the machine takes the bits of one of
//! them, and which it is every engine has to agree on (core specification 4.3.3 "NaN propagation" leaves it open).
//!
//! The rule is that of the machine's own instruction with the operands in the operator's order, as native code has it. Rust's `+` and `*`
//! do not keep it: the compiler takes them for commutative, and puts whichever operand lies in memory second. So these are
//! instructions by name. Subtraction and division have no such freedom. Where there is no rule that depends on the order (RISC-V, where
//! every NaN that comes out is the canonical one), and where nothing else is there to agree with, they are Rust's operators.
//!
//! Must not know: which operator of wasm is meant.

#[cfg(all(target_arch = "x86_64", target_feature = "sse2", not(miri)))]
mod machine {
    use core::arch::asm;
    use core::arch::x86_64::{__m128, __m128d};

    macro_rules! instructions {
        ($($name:ident $ty:ident $instruction:literal;)*) => { $(
            #[inline(always)]
            pub(crate) fn $name(mut a: $ty, b: $ty) -> $ty {
                // SAFETY: it reads and writes two registers and sets flags that nobody reads.
                unsafe {
                    asm!(
                        concat!($instruction, " {a}, {b}"), a = inout(xmm_reg) a, b = in(xmm_reg) b,
                        options(pure, nomem, nostack)
                    );
                }
                a
            }
        )* };
    }
    instructions! {
        f32_add f32 "addss"; f32_mul f32 "mulss"; f64_add f64 "addsd"; f64_mul f64 "mulsd";
        add_ps __m128 "addps"; mul_ps __m128 "mulps"; add_pd __m128d "addpd"; mul_pd __m128d "mulpd";
    }

    macro_rules! vectors {
        ($($name:ident $lane:ident $count:literal $wide:ident $of:ident;)*) => { $(
            #[inline(always)]
            pub(crate) fn $name(a: [$lane; $count], b: [$lane; $count]) -> [$lane; $count] {
                // SAFETY: as many lanes of the same kind, in any order of bits.
                unsafe {
                    let (a, b) = (core::mem::transmute::<[$lane; $count], $wide>(a), core::mem::transmute::<[$lane; $count], $wide>(b));
                    core::mem::transmute::<$wide, [$lane; $count]>($of(a, b))
                }
            }
        )* };
    }
    vectors! {
        f32x4_add f32 4 __m128 add_ps; f32x4_mul f32 4 __m128 mul_ps;
        f64x2_add f64 2 __m128d add_pd; f64x2_mul f64 2 __m128d mul_pd;
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
mod machine {
    use core::arch::asm;

    macro_rules! instructions {
        ($($name:ident $ty:ident $instruction:literal;)*) => { $(
            #[inline(always)]
            pub(crate) fn $name(a: $ty, b: $ty) -> $ty {
                let result;
                // SAFETY: it reads and writes registers only.
                unsafe {
                    asm!($instruction, r = lateout(vreg) result, a = in(vreg) a, b = in(vreg) b, options(pure, nomem, nostack));
                }
                result
            }
        )* };
    }
    instructions! {
        f32_add f32 "fadd {r:s}, {a:s}, {b:s}"; f32_mul f32 "fmul {r:s}, {a:s}, {b:s}";
        f64_add f64 "fadd {r:d}, {a:d}, {b:d}"; f64_mul f64 "fmul {r:d}, {a:d}, {b:d}";
    }
    super::by_lane! {}
}

#[cfg(not(any(
    all(target_arch = "x86_64", target_feature = "sse2", not(miri)),
    all(target_arch = "aarch64", target_feature = "neon", not(miri)),
)))]
mod machine {
    macro_rules! operators {
        ($($name:ident $ty:ident $operator:tt;)*) => { $(
            #[inline(always)]
            pub(crate) fn $name(a: $ty, b: $ty) -> $ty {
                a $operator b
            }
        )* };
    }
    operators! { f32_add f32 +; f32_mul f32 *; f64_add f64 +; f64_mul f64 *; }
    super::by_lane! {}
}

/// Vectors, a lane at a time.
#[allow(unused_macros, reason = "not where there are instructions for vectors")]
macro_rules! by_lane {
    () => {
        super::by_lane! { f32x4_add f32 4 f32_add; f32x4_mul f32 4 f32_mul; f64x2_add f64 2 f64_add; f64x2_mul f64 2 f64_mul; }
    };
    ($($name:ident $lane:ident $count:literal $of:ident;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(a: [$lane; $count], b: [$lane; $count]) -> [$lane; $count] {
            core::array::from_fn(|i| $of(a[i], b[i]))
        }
    )* };
}
#[allow(unused_imports, reason = "as above")]
use by_lane;
pub(crate) use machine::*;

/// Minimum and maximum where an operand is NaN: what native code computes.
macro_rules! of_nans {
    ($($name:ident $ty:ident $add:ident;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(a: $ty, b: $ty) -> $ty {
            // On x86-64 the second operand is the one that is added to.
            if cfg!(target_arch = "x86_64") { $add(b, a) } else { $add(a, b) }
        }
    )* };
}
of_nans! { f32_nan_of f32 f32_add; f64_nan_of f64 f64_add; }

/// The same for lanes of vectors, where native code on x86-64 leaves nothing of the NaNs but, in a maximum, their signs.
macro_rules! of_nan_lanes {
    ($($min:ident $max:ident $ty:ident $scalar:ident $negative:literal $sign:literal;)*) => { $(
        #[inline(always)]
        pub(crate) fn $min(a: $ty, b: $ty) -> $ty {
            if cfg!(target_arch = "x86_64") { $ty::from_bits($negative) } else { $scalar(a, b) }
        }

        #[inline(always)]
        pub(crate) fn $max(a: $ty, b: $ty) -> $ty {
            if cfg!(target_arch = "x86_64") {
                $ty::from_bits(($negative ^ $sign) | (a.to_bits() | b.to_bits()) & $sign)
            } else {
                $scalar(a, b)
            }
        }
    )* };
}
of_nan_lanes! {
    f32_nan_of_lanes_min f32_nan_of_lanes_max f32 f32_nan_of 0xffc0_0000 0x8000_0000;
    f64_nan_of_lanes_min f64_nan_of_lanes_max f64 f64_nan_of 0xfff8_0000_0000_0000 0x8000_0000_0000_0000;
}
