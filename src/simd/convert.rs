//! Conversions: integer columns to f32, rounded to nearest.

use super::kernel;
use crate::units::{DurationNs, TimestampNs};

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

kernel! {
    /// Nanoseconds from `earlier` to `later`, zero where the clock stepped back.
    pub fn from_between(earlier: &[TimestampNs], later: &[TimestampNs], out: &mut [f32]) {
        for ((y, earlier), later) in out.iter_mut().zip(earlier).zip(later) {
            *y = later.0.saturating_sub(earlier.0) as f32;
        }
    }
}

kernel! {
    /// Nanoseconds times `factor`.
    pub fn from_durations(xs: &[DurationNs], factor: f32, out: &mut [f32]) {
        for (y, x) in out.iter_mut().zip(xs) {
            *y = x.0 as f32 * factor;
        }
    }
}
