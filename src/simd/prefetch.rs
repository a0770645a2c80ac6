//! Prefetching: telling the processor which line will be needed, the one thing safe Rust has no word for yet.
//! In: a slice and an index. Out: nothing but a warmer cache; without the instruction it does nothing.

/// Bytes of a cache line on every machine this runs on; a wrong guess costs time, nothing else.
pub(crate) const LINE_BYTES: usize = 64;

/// Starts loading the line that holds the start of `slice[index]`; an index past the end is ignored.
#[inline]
pub(crate) fn line<T>(slice: &[T], index: usize) {
    if let Some(item) = slice.get(index) {
        start(std::ptr::from_ref(item).cast::<u8>());
    }
}

/// Starts loading the lines of `bytes` from `from` to `to`, of which the first is at a line's distance from others asked for.
#[inline]
pub(crate) fn stretch(bytes: &[u8], from: usize, to: usize) {
    for at in (from..to.min(bytes.len())).step_by(LINE_BYTES) {
        line(bytes, at);
    }
}

/// Starts loading the first lines of one value.
pub(crate) fn lines<T>(value: &T, count: usize) {
    let from = std::ptr::from_ref(value).cast::<u8>();
    for line in 0..count {
        start(from.wrapping_add(line * LINE_BYTES));
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the prefetch hint is an unsafe intrinsic until core::hint::prefetch_read is stable")]
#[inline]
fn start(place: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the instruction reads nothing and cannot fault, whatever the address; SSE is part of every x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast::<i8>()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn start(_place: *const u8) {}
