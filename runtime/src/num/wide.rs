//! Arithmetic on 128 bits in two halves (proposal wide-arithmetic): operands and results as `(low, high)`.

/// `i64.add128`
#[inline(always)]
pub fn i64_add128(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    halves(whole(a).wrapping_add(whole(b)))
}

/// `i64.sub128`
#[inline(always)]
pub fn i64_sub128(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    halves(whole(a).wrapping_sub(whole(b)))
}

/// `i64.mul_wide_s`
#[inline(always)]
pub fn i64_mul_wide_s(a: u64, b: u64) -> (u64, u64) {
    // 64 bits by 64 bits always fit into 128.
    halves((i128::from(a as i64) * i128::from(b as i64)) as u128)
}

/// `i64.mul_wide_u`
#[inline(always)]
pub fn i64_mul_wide_u(a: u64, b: u64) -> (u64, u64) {
    halves(u128::from(a) * u128::from(b))
}

const fn whole((low, high): (u64, u64)) -> u128 {
    (high as u128) << 64 | low as u128
}

const fn halves(whole: u128) -> (u64, u64) {
    (whole as u64, (whole >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = u64::MAX;

    #[test]
    fn carries_and_borrows_reach_the_high_half_and_wrap_there() {
        assert_eq!(i64_add128((MOST, 0), (1, 0)), (0, 1));
        assert_eq!(i64_add128((MOST, MOST), (1, 0)), (0, 0));
        assert_eq!(i64_sub128((0, 1), (1, 0)), (MOST, 0));
        assert_eq!(i64_sub128((0, 0), (1, 0)), (MOST, MOST));
    }

    #[test]
    fn the_sign_of_a_factor_counts_in_the_signed_product_only() {
        assert_eq!(i64_mul_wide_s(MOST, MOST), (1, 0));
        assert_eq!(i64_mul_wide_u(MOST, MOST), (1, MOST - 1));
        assert_eq!(i64_mul_wide_s(1 << 63, 1 << 63), (0, 1 << 62));
        assert_eq!(i64_mul_wide_s(1 << 63, 1), (1 << 63, MOST));
    }
}
