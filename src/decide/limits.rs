//! `abortAbove` and `throttle` of one rule: how many objects it acted on lately and how many are due.

use crate::object::ObjectKey;
use crate::rule::Limits;
use ahash::AHashSet;
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;

/// `abortAbove` looks back this far.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// `abortAbove.percent` is not looked at while fewer objects are concerned.
pub const FEWEST_FOR_PERCENT: usize = 10;

/// What a limited rule remembers.
#[derive(Default)]
pub struct LimitState {
    /// Objects that match now and on which some step would act.
    due: AHashSet<ObjectKey>,
    /// Objects acted on, oldest first.
    acted: VecDeque<(Timestamp, ObjectKey)>,
    /// When objects were let through for `throttle`, oldest first.
    admitted: VecDeque<Timestamp>,
    /// What a person acknowledged: these do not count.
    approved: AHashSet<ObjectKey>,
    /// Why it stopped.
    aborted: Option<String>,
}

impl LimitState {
    /// Whether `abortAbove` stopped the rule, and why.
    pub fn aborted(&self) -> Option<&str> {
        self.aborted.as_deref()
    }

    /// Objects that wait to be acted on.
    pub fn due(&self) -> impl Iterator<Item = &ObjectKey> {
        self.due.iter()
    }

    /// Number of objects that wait to be acted on.
    pub fn due_count(&self) -> usize {
        self.due.len()
    }

    /// Notes whether an object is due.
    pub fn set_due(&mut self, key: &ObjectKey, due: bool) {
        if due {
            self.due.insert(key.clone());
        } else if !self.due.is_empty() {
            self.due.remove(key);
        }
    }

    /// Notes that the rule acts on an object now.
    pub fn acted(&mut self, key: &ObjectKey, now: Timestamp) {
        self.due.remove(key);
        self.acted.push_back((now, key.clone()));
        self.admitted.push_back(now);
    }

    /// Takes back the last [`LimitState::acted`] of an object: the write did nothing.
    pub fn withdraw(&mut self, key: &ObjectKey) {
        if let Some(at) = self.acted.iter().rposition(|(_, k)| k == key) {
            self.acted.remove(at);
            self.admitted.pop_back();
        }
    }

    /// Objects acted on in the last ten minutes, each once, those approved left out.
    pub fn acted_count(&mut self, now: Timestamp) -> usize {
        while self
            .acted
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > WINDOW)
        {
            self.acted.pop_front();
        }
        let distinct: AHashSet<&ObjectKey> = self
            .acted
            .iter()
            .map(|(_, key)| key)
            .filter(|k| !self.approved.contains(*k))
            .collect();
        distinct.len()
    }

    /// Stops the rule if more objects are concerned than `abortAbove` allows. True if it stopped just now.
    pub fn check(&mut self, limits: &Limits, in_scope: usize, now: Timestamp) -> bool {
        if self.aborted.is_some()
            || (limits.abort_objects.is_none() && limits.abort_percent.is_none())
        {
            return false;
        }
        let acted = self.acted_count(now);
        let due = self
            .due
            .iter()
            .filter(|k| !self.approved.contains(*k))
            .count();
        let count = acted + due;
        // Objects that were deleted are no longer in scope, yet they were part of it.
        let scope = in_scope.max(self.due.len()) + acted;
        let percent = if scope == 0 {
            0.0
        } else {
            count as f64 * 100.0 / scope as f64
        };
        let why = match (limits.abort_objects, limits.abort_percent) {
            (Some(most), _) if count as u64 > most => format!("abortAbove.objects: {most}"),
            (_, Some(most)) if count >= FEWEST_FOR_PERCENT && percent > most => {
                format!("abortAbove.percent: {most}")
            }
            _ => return false,
        };
        self.aborted = Some(format!(
            "{acted} acted on in the last 10 minutes and {due} due, more than {why} allows"
        ));
        true
    }

    /// When the next object may be acted on, by `throttle`; `None`: now.
    pub fn throttled_until(&mut self, limits: &Limits, now: Timestamp) -> Option<Timestamp> {
        let (most, period) = limits.throttle?;
        let period = SignedDuration::try_from(period).ok()?;
        while self
            .admitted
            .front()
            .is_some_and(|at| now.duration_since(*at) >= period)
        {
            self.admitted.pop_front();
        }
        if (self.admitted.len() as u64) < most {
            return None;
        }
        self.admitted
            .front()
            .and_then(|at| at.checked_add(period).ok())
    }

    /// A person lets the rule go on with what is due now. Answers whether it had stopped.
    pub fn acknowledge(&mut self) -> bool {
        self.approved = self
            .due
            .iter()
            .cloned()
            .chain(self.acted.iter().map(|(_, k)| k.clone()))
            .collect();
        self.aborted.take().is_some()
    }

    /// Forgets an object that is gone; what was done to it still counts.
    pub fn forget(&mut self, key: &ObjectKey) {
        self.set_due(key, false);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::GroupKind;
    use std::time::Duration;

    fn key(n: usize) -> ObjectKey {
        ObjectKey::new(GroupKind::new("", "Pod"), Some("n"), &n.to_string())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn trickling_in_one_by_one_does_not_pass_under_it() {
        let limits = Limits {
            abort_objects: Some(20),
            ..Limits::default()
        };
        let mut state = LimitState::default();
        let mut acted = 0;
        for n in 0..1000 {
            state.set_due(&key(n), true);
            state.check(&limits, 1000, at(n as i64 / 16));
            if state.aborted().is_none() {
                state.acted(&key(n), at(n as i64 / 16));
                acted += 1;
            }
        }
        assert_eq!((acted, state.due_count()), (20, 980));
    }

    #[test]
    fn what_was_done_eleven_minutes_ago_no_longer_counts() {
        let limits = Limits {
            abort_objects: Some(2),
            ..Limits::default()
        };
        let mut state = LimitState::default();
        for n in 0..2 {
            state.acted(&key(n), at(0));
        }
        state.set_due(&key(3), true);
        assert!(!state.check(&limits, 10, at(661)));
        assert!(!LimitState::default().check(&limits, 0, at(0)));
    }

    #[test]
    fn a_person_lets_it_go_on_with_what_is_due_and_no_further() {
        let limits = Limits {
            abort_objects: Some(1),
            ..Limits::default()
        };
        let mut state = LimitState::default();
        for n in 0..3 {
            state.set_due(&key(n), true);
        }
        assert!(state.check(&limits, 3, at(0)));
        assert!(state.acknowledge());
        assert!(!state.check(&limits, 3, at(0)));
        for n in 3..5 {
            state.set_due(&key(n), true);
        }
        assert!(state.check(&limits, 5, at(0)));
    }

    #[test]
    fn percent_waits_for_ten_objects() {
        let limits = Limits {
            abort_percent: Some(10.0),
            ..Limits::default()
        };
        let mut state = LimitState::default();
        for n in 0..9 {
            state.set_due(&key(n), true);
        }
        assert!(!state.check(&limits, 9, at(0)));
        state.set_due(&key(9), true);
        assert!(!state.check(&limits, 100, at(0)));
        assert!(state.check(&limits, 50, at(0)));
    }

    #[test]
    fn the_rest_waits_for_its_turn() {
        let limits = Limits {
            throttle: Some((2, Duration::from_secs(60))),
            ..Limits::default()
        };
        let mut state = LimitState::default();
        state.acted(&key(0), at(0));
        assert_eq!(state.throttled_until(&limits, at(10)), None);
        state.acted(&key(1), at(10));
        assert_eq!(state.throttled_until(&limits, at(20)), Some(at(60)));
        assert_eq!(state.throttled_until(&limits, at(60)), None);
    }
}
