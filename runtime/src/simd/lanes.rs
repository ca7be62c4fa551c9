//! The vector type and its views: sixteen bytes as guests see them in memory, lane 0 first (core specification 4.3.6).
//!
//! Must not know: operators.

#![allow(clippy::useless_transmute, reason = "bytes are lanes, too")]

/// 128 bits, as they lie in a guest's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct V128([u8; 16]);

impl V128 {
    /// From a number whose lowest byte is lane 0.
    #[inline(always)]
    pub const fn from_bits(bits: u128) -> V128 {
        V128(bits.to_le_bytes())
    }

    /// The number whose lowest byte is lane 0.
    #[inline(always)]
    pub const fn bits(self) -> u128 {
        u128::from_le_bytes(self.0)
    }
}

macro_rules! lanes {
    ($($name:ident $lane:ident $count:literal $swap:expr;)*) => {
        impl V128 { $(
            /// The lanes.
            #[inline(always)]
            pub fn $name(self) -> [$lane; $count] {
                // SAFETY: both are sixteen bytes, and all of them mean something in either.
                let lanes = unsafe { core::mem::transmute::<[u8; 16], [$lane; $count]>(self.0) };
                if cfg!(target_endian = "big") { lanes.map($swap) } else { lanes }
            }
        )* }

        $(impl From<[$lane; $count]> for V128 {
            #[inline(always)]
            fn from(lanes: [$lane; $count]) -> V128 {
                let lanes = if cfg!(target_endian = "big") { lanes.map($swap) } else { lanes };
                // SAFETY: both are sixteen bytes, and all of them mean something in either.
                V128(unsafe { core::mem::transmute::<[$lane; $count], [u8; 16]>(lanes) })
            }
        })*
    };
}
lanes! {
    i8x16 i8 16 |x| x; u8x16 u8 16 |x| x;
    i16x8 i16 8 i16::swap_bytes; u16x8 u16 8 u16::swap_bytes;
    i32x4 i32 4 i32::swap_bytes; u32x4 u32 4 u32::swap_bytes;
    i64x2 i64 2 i64::swap_bytes; u64x2 u64 2 u64::swap_bytes;
    f32x4 f32 4 |x| f32::from_bits(x.to_bits().swap_bytes());
    f64x2 f64 2 |x| f64::from_bits(x.to_bits().swap_bytes());
}
