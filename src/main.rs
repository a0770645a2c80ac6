//! The program: parse, run, exit code.

use std::process::ExitCode;

/// A summary is many small values that come with a window and go with it: the system's allocator spent an eighth of a replay
/// on joining what was freed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    trawlwatch::cli::main()
}
