//! Logarithms of our own, so that every level and every machine gives the same bits.
//! In: counts, f32. Out: natural logarithms. Bounds: relative error at most [`LOG1P_RELATIVE_ERROR`] (tested over the range).

use super::kernel;

/// How far [`log1p_one`] is from the true value at most, relative: a little over two units in the last place of f32.
pub const LOG1P_RELATIVE_ERROR: f64 = 2.5e-7;

/// High part of ln 2: few enough bits that its products with exponents are exact.
const LN2_HIGH: f32 = 355.0 / 512.0;
/// ln 2 minus its high part.
const LN2_LOW: f32 = -2.121_944_4e-4;
/// The bits of the square root of one half: mantissas are brought into [√½, √2).
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;

/// ln of a normal positive number.
///
/// `x = m · 2^e` with m in [√½, √2); ln m = 2 artanh s with s = (m−1)/(m+1), |s| ≤ 0.1716, and the series
/// 2(s + s³/3 + s⁵/5 + s⁷/7 + s⁹/9), whose next term is below 1e-9.
#[inline(always)]
pub fn ln_one(x: f32) -> f32 {
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = ((shifted as i32) >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(SQRT_HALF_BITS));
    let f = mantissa - 1.0;
    let s = f / (mantissa + 1.0);
    let z = s * s;
    let series = z * (2.0 / 3.0 + z * (2.0 / 5.0 + z * (2.0 / 7.0 + z * (2.0 / 9.0))));
    // 2s = f − s·f, exact where it matters: f is exact and s·f is small.
    let tail = s * (series - f);
    exponent * LN2_HIGH + (f + (tail + exponent * LN2_LOW))
}

/// ln(1 + x) for x ≥ 0; what is negative or not a number counts as 0, infinity as the largest f32.
#[inline(always)]
pub fn log1p_one(x: f32) -> f32 {
    let x = if x > 0.0 { x } else { 0.0 };
    let x = if x < f32::MAX { x } else { f32::MAX };
    let u = 1.0 + x;
    // What rounding took from 1 + x comes back as its first-order share.
    ln_one(u) + (x - (u - 1.0)) / u
}

kernel! {
    /// ln(1 + x · factor) for each x.
    pub fn log1p(xs: &[f32], factor: f32, out: &mut [f32]) {
        for (y, &x) in out.iter_mut().zip(xs) {
            *y = log1p_one(x * factor);
        }
    }
}
