//! Where memory is not taken from jemalloc (`src/main.rs`): how much of it the C library keeps that nobody uses.

/// Lets the C library's allocator, where it is the one, give memory back that a list took. By itself glibc keeps, in the heap of each thread,
/// up to twice the largest piece that was ever freed, and pages of lists are large: after a list of 10,000 Pods 18 MB that nobody used again
/// stayed resident.
///
/// To be called before other threads are started. Other C libraries do not need it.
pub fn give_back_freed_memory() {
    /// Free memory at the end of a heap that may be kept for later, in bytes.
    #[cfg(all(target_os = "linux", target_env = "gnu", not(target_arch = "x86_64")))]
    const KEPT: libc::c_int = 1 << 20;
    // SAFETY: takes two numbers, and sets one of the allocator's own.
    #[cfg(all(target_os = "linux", target_env = "gnu", not(target_arch = "x86_64")))]
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}
