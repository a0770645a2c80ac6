//! The program: which allocator, then parse, run, exit code.

use std::process::ExitCode;

/// Summaries are made of very many small parts that one thread makes and another lets go of: with the C library's allocator a
/// replay takes a tenth longer (`benches/RESULTS.md`). The library leaves the choice to whoever links it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    trawlwatch::cli::main()
}
