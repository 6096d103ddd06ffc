//! The breaker of one rule and object: a change that comes back means that somebody else writes the same field.
//!
//! `places` what a change writes, and where · `managers` who else writes there.

pub mod managers;
pub mod places;

use jiff::{SignedDuration, Timestamp};
use places::Place;
use std::collections::VecDeque;
use std::time::Duration;

/// `perObject` where a rule gives none: more than 5 changes of one object in 10 minutes.
pub const DEFAULT: (u64, Duration) = (5, Duration::from_secs(600));
/// As many changes as `perObject` allows may be put right again within this time (within its `per`, if that is longer): controllers that
/// set everything back do so every three or ten minutes, which is too seldom for `perObject` itself.
pub const MEMORY: Duration = Duration::from_secs(3_600);

/// Why a breaker opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// One change more than `perObject` allows.
    TooMany,
    /// A value that was written was changed by somebody, and written again, too often.
    ComesBack,
}

/// A breaker that is open.
#[derive(Clone, Debug)]
pub struct Open {
    /// Why.
    pub trip: Trip,
    /// Where, as paths for people.
    pub places: Vec<String>,
    /// Who else writes there, in words; `None` until the server has said.
    pub others: Option<String>,
}

/// Said of a breaker that opened where nobody else has changed what the rule wrote.
const NOBODY_ELSE: &str = "nobody else has changed what it wrote there: what the rule itself wants there changes more often than `perObject` allows";

/// Changes of one object by one rule.
#[derive(Default)]
pub struct Breaker {
    /// When each was asked for, and whether somebody else had changed what the rule wrote before.
    changes: VecDeque<(Timestamp, bool)>,
    /// What was written lately, each place once.
    written: Vec<Written>,
    open: Option<Box<Open>>,
}

/// The last value that was written at a place.
struct Written {
    place: u64,
    value: u64,
    at: Timestamp,
    /// When it was written again because it was no longer there.
    returns: Vec<Timestamp>,
}

/// How many changes, in what time.
#[derive(Clone, Copy)]
struct Bound {
    most: usize,
    period: SignedDuration,
    memory: SignedDuration,
}

impl Bound {
    fn of(limit: Option<(u64, Duration)>) -> Self {
        let (most, period) = limit.unwrap_or(DEFAULT);
        let signed = |d: Duration| SignedDuration::try_from(d).unwrap_or(SignedDuration::MAX);
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            period: signed(period),
            memory: signed(period.max(MEMORY)),
        }
    }
}

impl Breaker {
    /// Whether the rule leaves the object alone.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// What is known of it while it is open.
    pub fn opened(&self) -> Option<&Open> {
        self.open.as_deref()
    }

    /// One that was open before a restart.
    pub fn recalled(open: Open) -> Self {
        Self {
            open: Some(Box::new(open)),
            ..Self::default()
        }
    }

    /// Takes who else writes there, in words.
    pub fn named(&mut self, others: String) {
        if let Some(open) = &mut self.open {
            open.others = Some(others);
        }
    }

    /// Asks for one more change, which writes these places; opens, and answers false, if that would be one too many.
    pub fn admit(
        &mut self,
        limit: Option<(u64, Duration)>,
        places: &[Place],
        now: Timestamp,
    ) -> bool {
        if self.is_open() {
            return false;
        }
        let bound = Bound::of(limit);
        self.forget_before(bound, now);
        let (trip, of): (Trip, Vec<&Place>) = if self.changes.len() >= bound.most {
            (Trip::TooMany, places.iter().collect())
        } else {
            let back = |place: &&Place| {
                let known = self.written.iter().find(|w| w.place == place.id);
                known.is_some_and(|w| w.comes_back(place) && w.returns.len() >= bound.most)
            };
            (Trip::ComesBack, places.iter().filter(back).collect())
        };
        let disturbed = self.is_disturbed(places);
        if trip == Trip::TooMany || !of.is_empty() {
            let others = disturbed || self.changes.iter().any(|(_, disturbed)| *disturbed);
            let alone = trip == Trip::TooMany && !others && !places.is_empty();
            self.open = Some(Box::new(Open {
                trip,
                places: of.iter().map(|p| p.trail.to_string()).collect(),
                others: alone.then(|| NOBODY_ELSE.to_owned()),
            }));
            return false;
        }
        self.changes.push_back((now, disturbed));
        true
    }

    /// The last change was made: it wrote these places.
    pub fn wrote(&mut self, places: &[Place], now: Timestamp) {
        for place in places {
            match self.written.iter_mut().find(|w| w.place == place.id) {
                Some(known) => {
                    if known.comes_back(place) {
                        known.returns.push(now);
                    } else if known.value != place.after {
                        known.returns.clear();
                    }
                    known.value = place.after;
                    known.at = now;
                }
                None => self.written.push(Written {
                    place: place.id,
                    value: place.after,
                    at: now,
                    returns: vec![],
                }),
            }
        }
        // A rule that writes other places each time: the latest are kept.
        let over = self.written.len().saturating_sub(places::MOST);
        if over > 0 {
            self.written.sort_by_key(|w| w.at);
            self.written.drain(..over);
        }
    }

    /// Whether some place does not hold any more what was written there last.
    fn is_disturbed(&self, places: &[Place]) -> bool {
        places.iter().any(|place| {
            let known = self.written.iter().find(|w| w.place == place.id);
            known.is_some_and(|w| w.value != place.before)
        })
    }

    /// Takes back the last change: it did nothing.
    pub fn withdraw(&mut self) {
        self.changes.pop_back();
    }

    fn forget_before(&mut self, bound: Bound, now: Timestamp) {
        while self
            .changes
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > bound.period)
        {
            self.changes.pop_front();
        }
        let lately = |at: &Timestamp| now.duration_since(*at) <= bound.memory;
        self.written.retain(|w| lately(&w.at));
        for written in &mut self.written {
            written.returns.retain(lately);
        }
    }

    /// Whether nothing of it needs to be remembered any more.
    pub fn is_idle(&mut self, limit: Option<(u64, Duration)>, now: Timestamp) -> bool {
        self.forget_before(Bound::of(limit), now);
        !self.is_open() && self.changes.is_empty() && self.written.is_empty()
    }

    /// The clock was set back: what happened later than now happened now.
    pub fn clock_set_back(&mut self, now: Timestamp) {
        for (at, _) in &mut self.changes {
            *at = (*at).min(now);
        }
        for written in &mut self.written {
            written.at = written.at.min(now);
            for at in &mut written.returns {
                *at = (*at).min(now);
            }
        }
    }
}

impl Written {
    /// Whether a change writes what was written before and somebody has changed since. A rule whose own inputs changed writes another value.
    fn comes_back(&self, place: &Place) -> bool {
        place.after == self.value && place.before != self.value
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decide::RuleChange;
    use crate::object::{GroupKind, ObjectKey, Record};
    use crate::rule::{Mode, Verb};
    use serde_json::{Value, json};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn places(before: Value, after: Value) -> Vec<Place> {
        places::written(&RuleChange {
            rule: "r".into(),
            mode: Mode::Enforce,
            verb: Verb::Patch,
            object: ObjectKey::new(GroupKind::new("apps", "Deployment"), Some("n"), "a"),
            before: Some(Record::from_value(&before)),
            after: Some(Record::from_value(&after)),
            why: vec![],
        })
    }

    fn replicas(before: i64, after: i64) -> Vec<Place> {
        places(
            json!({"spec": {"replicas": before}}),
            json!({"spec": {"replicas": after}}),
        )
    }

    /// Writes at these minutes: `(minute, before, after)`. How many were let through.
    fn write(breaker: &mut Breaker, writes: impl Iterator<Item = (i64, i64, i64)>) -> usize {
        let mut made = 0;
        for (minute, before, after) in writes {
            let (places, now) = (replicas(before, after), at(minute * 60));
            if !breaker.admit(None, &places, now) {
                break;
            }
            breaker.wrote(&places, now);
            made += 1;
        }
        made
    }

    #[test]
    fn the_sixth_change_in_ten_minutes_opens_it_for_good() {
        let mut breaker = Breaker::default();
        for n in 0..5 {
            assert!(breaker.admit(None, &[], at(n * 60)));
        }
        assert!(!breaker.admit(None, &[], at(300)));
        assert!(!breaker.admit(None, &[], at(100_000)));
        assert_eq!(breaker.opened().unwrap().trip, Trip::TooMany);
    }

    #[test]
    fn a_rule_that_wants_something_else_too_often_hears_that_it_was_alone() {
        let mut breaker = Breaker::default();
        assert_eq!(write(&mut breaker, (0..9).map(|n| (n, n, n + 1))), 5);
        let others = breaker.opened().unwrap().others.clone();
        assert_eq!(others.as_deref(), Some(NOBODY_ELSE));
        // Once somebody else was there.
        let mut breaker = Breaker::default();
        let changes = (0..9).map(|n| (n, if n == 2 { 40 } else { n }, n + 1));
        assert_eq!(write(&mut breaker, changes), 5);
        assert_eq!(breaker.opened().unwrap().others, None);
    }

    #[test]
    fn a_value_that_somebody_sets_back_every_ten_minutes_opens_it_within_the_hour() {
        let mut breaker = Breaker::default();
        let made = write(&mut breaker, (0..20).map(|n| (n * 10, 1, 3)));
        assert_eq!(made, 6, "written once, and five times again");
        let open = breaker.opened().unwrap();
        assert_eq!(open.trip, Trip::ComesBack);
        assert_eq!(open.places, ["$.spec.replicas"]);
    }

    #[test]
    fn drift_that_is_put_right_now_and_then_opens_nothing() {
        let mut breaker = Breaker::default();
        assert_eq!(write(&mut breaker, (0..50).map(|n| (n * 13, 1, 3))), 50);
    }

    #[test]
    fn a_rule_that_follows_its_own_inputs_opens_nothing() {
        // Each write finds what the last one left: nobody else was there.
        let mut breaker = Breaker::default();
        let toggled = (0..50).map(|n| (n * 3, 1 + n % 2, 2 - n % 2));
        assert_eq!(write(&mut breaker, toggled), 50);
    }

    #[test]
    fn other_values_and_other_places_are_no_return() {
        let mut breaker = Breaker::default();
        let growing = (0..50).map(|n| (n * 3, 1, 10 + n));
        assert_eq!(write(&mut breaker, growing), 50);
        for n in 0..50 {
            let label = format!("l{n}");
            let places = places(json!({}), json!({"metadata": {label: "a"}}));
            assert!(breaker.admit(None, &places, at(50 * 180 + n * 180)));
            breaker.wrote(&places, at(50 * 180 + n * 180));
        }
        assert!(breaker.written.len() <= places::MOST);
    }

    #[test]
    fn a_rule_may_allow_more() {
        let mut breaker = Breaker::default();
        let limit = Some((30, Duration::from_secs(60)));
        let made = (0..50)
            .take_while(|n| {
                let (places, now) = (replicas(1, 3), at(n * 90));
                let admitted = breaker.admit(limit, &places, now);
                breaker.wrote(&places, now);
                admitted
            })
            .count();
        assert_eq!(made, 31);
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let mut breaker = Breaker::default();
        write(&mut breaker, (0..3).map(|n| (n * 10, 1, 3)));
        assert!(!breaker.is_idle(None, at(20 * 60)));
        assert!(breaker.is_idle(None, at(81 * 60)));
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_up() {
        let mut breaker = Breaker::default();
        write(&mut breaker, (0..5).map(|n| (100_000 + n, 1, 3)));
        breaker.clock_set_back(at(0));
        assert!(breaker.is_idle(None, at(3_601)));
    }
}
