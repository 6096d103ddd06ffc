//! Whether the clock was moved while the daemon ran.

use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};

/// A clock that is only being kept right moves by less.
const NOTICED: SignedDuration = SignedDuration::from_secs(2);

/// The clock beside one that nobody sets.
pub(super) struct Clock {
    shown: Timestamp,
    steady: Instant,
}

impl Clock {
    pub fn new(now: Timestamp, steady: Instant) -> Self {
        Clock { shown: now, steady }
    }

    /// By how much it was moved since the last look, forwards or (negative) back.
    pub fn moved(&mut self, now: Timestamp, steady: Instant) -> Option<SignedDuration> {
        let passed = steady.saturating_duration_since(self.steady);
        let passed = SignedDuration::try_from(passed.min(Duration::from_secs(1 << 40))).ok()?;
        let by = now.duration_since(self.shown).checked_sub(passed)?;
        (self.shown, self.steady) = (now, steady);
        (by.abs() > NOTICED).then_some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leap_is_noticed() {
        let (now, steady) = (Timestamp::UNIX_EPOCH, Instant::now());
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        let later = |seconds| steady + Duration::from_secs(seconds);
        let mut clock = Clock::new(now, steady);
        assert_eq!(clock.moved(at(10), later(10)), None);
        assert_eq!(clock.moved(at(21), later(20)), None);
        let day = SignedDuration::from_hours(24);
        assert_eq!(clock.moved(at(22) + day, later(21)), Some(day));
        assert_eq!(clock.moved(at(32) + day, later(31)), None);
        assert_eq!(clock.moved(at(42), later(41)), Some(-day));
    }
}
