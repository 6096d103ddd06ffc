//! Flags to a command, and where memory comes from; nothing else.

use clap::Parser;
use ordain::cli;
use ordain::settings::Arguments;
use std::io::Write;
use std::process::ExitCode;

/// A write is many small allocations, of which some are freed by another thread than the one that made them. jemalloc does that
/// with a quarter less CPU for the whole daemon than glibc (`docs/benchmarks.md`). It is built for one size of pages, and on ARM kernels have
/// several: there the allocator of the C library stays.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Two arenas are enough for a loop and those who send and hear for it, and keep less for later than one for each quarter of a core. What
/// a list took goes back within a second or so, also when nothing happens any more.
///
/// Read by jemalloc at the start of the process, where it looks for a pointer to text under this name: the first word of this one is that.
/// <https://jemalloc.net/jemalloc.3.html#tuning>
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[allow(unsafe_code)]
// SAFETY: nothing else has this name; jemalloc only reads it, up to the zero.
#[unsafe(export_name = "_rjem_malloc_conf")]
static CONFIGURATION: &[u8] =
    b"narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true\0";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match cli::run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // That nobody reads it is no reason to panic.
            let _ = writeln!(std::io::stderr(), "ordain: {error:#}");
            ExitCode::from(cli::exit::COULD_NOT_TELL)
        }
    }
}
