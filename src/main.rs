//! The program: which allocator, then parse, run, exit code.

use std::process::ExitCode;

/// Summaries are made of very many small parts that one thread makes and another lets go of: with the C library's allocator a
/// replay took a fifth longer. The library leaves the choice to whoever links it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a window let go of the next one takes: memory goes back to the system when two windows have not wanted it (unused
/// arenas after ten times that), not after a second, for each time its large pages are split and cleared again.
const PURGE_DELAY_MS: std::ffi::c_long = 120_000;
/// `mi_option_purge_delay`, which the bindings leave out, stands before this one in `mimalloc.h`.
const PURGE_DELAY: std::ffi::c_int = libmimalloc_sys::mi_option_use_numa_nodes - 1;

fn main() -> ExitCode {
    keep_freed_memory();
    trawlwatch::cli::main()
}

/// As a default: `MIMALLOC_PURGE_DELAY` in the environment still says otherwise.
#[expect(unsafe_code, reason = "the allocator's options have no safe form")]
fn keep_freed_memory() {
    // SAFETY: an option's number and a value, both by value; no other thread runs yet.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "as above")]
    fn the_option_is_the_one_that_waits_a_second() {
        // SAFETY: as above.
        let before = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        keep_freed_memory();
        // SAFETY: as above.
        let after = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!((before, after), (1_000, PURGE_DELAY_MS), "of all options only this one is 1,000 at first");
    }
}
