//! Conversions: integer columns to f32 (rounded to nearest) and f64.

use super::kernel;

kernel! {
    /// u64 to f32.
    pub fn from_u64(xs: &[u64], out: &mut [f32]) {
        for (y, &x) in out.iter_mut().zip(xs) {
            *y = x as f32;
        }
    }
}

kernel! {
    /// u32 to f32.
    pub fn from_u32(xs: &[u32], out: &mut [f32]) {
        for (y, &x) in out.iter_mut().zip(xs) {
            *y = x as f32;
        }
    }
}

kernel! {
    /// u16 to f32.
    pub fn from_u16(xs: &[u16], out: &mut [f32]) {
        for (y, &x) in out.iter_mut().zip(xs) {
            *y = f32::from(x);
        }
    }
}
