//! Pauses between tries.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// First and longest pause after a failure.
pub const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long to wait after so many failures in a row: doubled each time, and up to half as long again, so that clients do not come together.
pub fn paused(failures: u32) -> Duration {
    let pause =
        (BACKOFF.0 * 2u32.saturating_pow(failures.saturating_sub(1).min(16))).min(BACKOFF.1);
    spread(pause)
}

/// The standard library seeds its hashers at random; good enough for spreading.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// At least `pause`, and up to half as long again by chance.
pub fn spread(pause: Duration) -> Duration {
    pause + pause.mul_f64((random() % 1000) as f64 / 2000.0)
}
