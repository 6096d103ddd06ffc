//! The breaker of one rule and object: a change that comes back too often means that somebody else writes the same field.

use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// `perObject` where a rule gives none: more than 5 changes of one object in 10 minutes.
pub const DEFAULT: (u64, Duration) = (5, Duration::from_secs(600));

/// Changes of one object by one rule.
#[derive(Default)]
pub struct Breaker {
    changes: VecDeque<Timestamp>,
    open: bool,
}

impl Breaker {
    /// Whether the rule leaves the object alone.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Asks for one more change; opens, and answers false, if that would be one too many.
    pub fn admit(&mut self, limit: Option<(u64, Duration)>, now: Timestamp) -> bool {
        let (most, period) = limit.unwrap_or(DEFAULT);
        let period = SignedDuration::try_from(period).unwrap_or(SignedDuration::MAX);
        while self
            .changes
            .front()
            .is_some_and(|at| now.duration_since(*at) > period)
        {
            self.changes.pop_front();
        }
        if self.open || self.changes.len() as u64 >= most {
            self.open = true;
            return false;
        }
        self.changes.push_back(now);
        true
    }

    /// Takes back the last change: it did nothing.
    pub fn withdraw(&mut self) {
        self.changes.pop_back();
    }

    /// Whether nothing of it needs to be remembered any more.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        !self.open
            && self
                .changes
                .back()
                .is_none_or(|at| now.duration_since(*at) > SignedDuration::from_hours(24))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_sixth_change_in_ten_minutes_opens_it_for_good() {
        let mut breaker = Breaker::default();
        for n in 0..5 {
            assert!(breaker.admit(None, at(n * 60)));
        }
        assert!(!breaker.admit(None, at(300)));
        assert!(!breaker.admit(None, at(100_000)));
        assert!(breaker.is_open());
    }

    #[test]
    fn slow_changes_never_open_it() {
        let mut breaker = Breaker::default();
        for n in 0..50 {
            assert!(breaker.admit(None, at(n * 121)));
        }
    }
}
