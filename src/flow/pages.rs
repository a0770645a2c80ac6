//! Huge pages: a table of a hundred megabytes that is entered at random misses the address cache on every packet.
//! In: memory that was reserved and not touched yet. Out: a request to back it with large pages; where the system does not
//! grant them nothing changes but speed.

/// Asks for large pages behind the room of a vector, filled or not.
pub(super) fn ask_for_huge<T>(room: &Vec<T>) {
    let bytes = room.capacity().saturating_mul(size_of::<T>());
    advise(room.as_ptr().cast(), bytes);
}

/// Bytes of a large page on the machines that have one to give.
const HUGE_BYTES: usize = 2 << 20;
/// Bytes of the smallest page, to which the system wants the start rounded.
const PAGE_BYTES: usize = 4096;

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe crate in use speaks of memory that a vector owns")]
fn advise(start: *const u8, bytes: usize) {
    if bytes < 2 * HUGE_BYTES {
        return;
    }
    let skipped = start.align_offset(PAGE_BYTES);
    let whole = bytes.saturating_sub(skipped) / PAGE_BYTES * PAGE_BYTES;
    // SAFETY: the advice changes how the system backs the range, never what it holds; the range lies inside one allocation
    // of `bytes` from `start`, and an error is no more than a request that was not met.
    let _granted = unsafe { libc::madvise(start.wrapping_add(skipped).cast_mut().cast(), whole, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_start: *const u8, _bytes: usize) {}
