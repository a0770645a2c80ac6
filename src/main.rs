//! The program: which allocator, then parse, run, exit code.

use std::process::ExitCode;

/// Summaries are made of very many small parts that one thread makes and another lets go of: with the C library's allocator a
/// replay takes a tenth longer (`benches/RESULTS.md`). The library leaves the choice to whoever links it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Pages that nothing lies in any longer go back to the system within two seconds, by default ten: a look at a window lets go of
/// tens of megabytes just before the next fills (a million living flows: 617 MB and 591). Two percent more pages to be
/// fetched again on a mix of flows are a thousandth of its time.
// SAFETY: the allocator declares a pointer to characters of this name, which is null unless somebody else defines it, and reads
// from there to the zero byte that ends this one; a reference to an array is such a pointer.
#[expect(unsafe_code, reason = "the allocator takes its settings from a symbol, before anything of ours runs")]
#[used]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_SETTINGS: &[u8; 20] = b"dirty_decay_ms:2000\0";

fn main() -> ExitCode {
    trawlwatch::cli::main()
}
