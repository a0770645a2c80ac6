//! Arithmetic over columns: shares, balances, spreads, bounds, scaling.
//! Out: always a number: what has no meaning (0/0, not-a-number in) becomes the value that each function names.

use super::kernel;

/// Brings x into [low, high]; what is not a number becomes `low`. Written as comparisons, because `max` leaves the sign of zero open.
#[inline(always)]
pub fn clamp_one(x: f32, low: f32, high: f32) -> f32 {
    let x = if x >= low { x } else { low };
    if x <= high { x } else { high }
}

/// a / b, or `otherwise` where b is not above zero.
#[inline(always)]
pub fn ratio_one(a: f32, b: f32, otherwise: f32) -> f32 {
    let above = b > 0.0;
    let quotient = a / if above { b } else { 1.0 };
    if above { quotient } else { otherwise }
}

/// (a − b) / (a + b), or 0 where the sum is not above zero.
#[inline(always)]
pub fn balance_one(a: f32, b: f32) -> f32 {
    ratio_one(a - b, a + b, 0.0)
}

/// Standard deviation over mean, from the number, the sum and the sum of squares; 0 where the mean is not above zero.
/// In f64: in f32 the difference of the two squares would drown a spread below 3e-4.
#[inline(always)]
pub fn spread_one(n: f64, sum: f64, squares: f64) -> f32 {
    let n = if n >= 1.0 { n } else { 1.0 };
    let mean = sum / n;
    let above = mean > 0.0;
    let variance = squares / n - mean * mean;
    let variance = if variance > 0.0 { variance } else { 0.0 };
    let spread = variance.sqrt() / if above { mean } else { 1.0 };
    if above { spread as f32 } else { 0.0 }
}

/// (x − median) · inverse, clipped to ±limit; what is not a number becomes −limit.
#[inline(always)]
pub fn scale_one(x: f32, median: f32, inverse: f32, limit: f32) -> f32 {
    clamp_one((x - median) * inverse, -limit, limit)
}

kernel! {
    /// a / b, or `otherwise`, see [`ratio_one`].
    pub fn ratio(a: &[f32], b: &[f32], otherwise: f32, out: &mut [f32]) {
        for ((y, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *y = ratio_one(a, b, otherwise);
        }
    }
}

kernel! {
    /// (a − b) / (a + b), see [`balance_one`].
    pub fn balance(a: &[f32], b: &[f32], out: &mut [f32]) {
        for ((y, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *y = balance_one(a, b);
        }
    }
}

kernel! {
    /// a + b.
    pub fn sum(a: &[f32], b: &[f32], out: &mut [f32]) {
        for ((y, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *y = a + b;
        }
    }
}

kernel! {
    /// 1 − a / b, or 0 where b is not above zero.
    pub fn rest(a: &[f32], b: &[f32], out: &mut [f32]) {
        for ((y, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *y = 1.0 - ratio_one(a, b, 1.0);
        }
    }
}

kernel! {
    /// Spread of integer measures from their number, sum and sum of squares, see [`spread_one`].
    pub fn spread(n: &[u32], sum: &[u64], squares: &[u64], out: &mut [f32]) {
        for (((y, &n), &sum), &squares) in out.iter_mut().zip(n).zip(sum).zip(squares) {
            *y = spread_one(f64::from(n), sum as f64, squares as f64);
        }
    }
}

kernel! {
    /// Spread of gaps from their number, sum in nanoseconds and sum of squares in seconds², see [`spread_one`].
    pub fn spread_of_gaps(n: &[f32], sum_ns: &[u64], squares_s2: &[f32], out: &mut [f32]) {
        for (((y, &n), &sum), &squares) in out.iter_mut().zip(n).zip(sum_ns).zip(squares_s2) {
            *y = spread_one(f64::from(n), sum as f64 * 1e-9, f64::from(squares));
        }
    }
}

kernel! {
    /// Brings each x into [low, high] in place, see [`clamp_one`].
    pub fn clamp(xs: &mut [f32], low: f32, high: f32) {
        for x in xs {
            *x = clamp_one(*x, low, high);
        }
    }
}

kernel! {
    /// Robust scaling of a column, see [`scale_one`].
    pub fn scale(xs: &[f32], median: f32, inverse: f32, limit: f32, out: &mut [f32]) {
        for (y, &x) in out.iter_mut().zip(xs) {
            *y = scale_one(x, median, inverse, limit);
        }
    }
}
