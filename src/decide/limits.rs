//! `abortAbove` and `throttle` of one rule: how many objects it acted on lately and how many are due.

use crate::object::ObjectKey;
use crate::rule::Limits;
use ahash::AHashMap;
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;

/// `abortAbove` looks back this far.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// `abortAbove.percent` is not looked at while fewer objects are concerned.
pub const FEWEST_FOR_PERCENT: usize = 10;

/// What one rule did lately and has to do. Every question is answered from counts, however many objects there are.
#[derive(Default)]
pub struct LimitState {
    /// Objects that are due or were acted on lately.
    objects: AHashMap<ObjectKey, Object>,
    /// How many objects that are gone were last acted on at a moment, under a name that another object may have now.
    past: AHashMap<(Timestamp, ObjectKey), usize>,
    /// Every act of the last 10 minutes, in order.
    acts: VecDeque<(Timestamp, ObjectKey)>,
    /// Objects let through within `throttle.per`, in order, each once.
    admitted: VecDeque<(Timestamp, ObjectKey)>,
    due: usize,
    acted: usize,
    counted: usize,
    gone: usize,
    aborted: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Object {
    /// It matches now, and a step is to be made.
    due: bool,
    /// A person said that this one is meant.
    approved: bool,
    /// When it was last acted on; forgotten after 10 minutes.
    acted: Option<Timestamp>,
    /// When it was acted on before that.
    former: Option<Timestamp>,
    /// That act let it through `throttle`.
    admitted: bool,
    /// It no longer exists.
    gone: bool,
}

impl Object {
    fn counts(&self) -> bool {
        !self.approved && (self.due || self.acted.is_some())
    }

    fn is_gone(&self) -> bool {
        self.gone && self.acted.is_some()
    }
}

impl LimitState {
    /// What outlives a restart: objects acted on lately, those that a person said are meant, and why the rule stopped.
    pub fn kept(&self) -> (Vec<(ObjectKey, Timestamp)>, Vec<ObjectKey>, Option<String>) {
        let mut latest: AHashMap<&ObjectKey, Timestamp> = AHashMap::new();
        let past: Vec<(Timestamp, ObjectKey)> = self
            .past
            .keys()
            .map(|(at, key)| (*at, past_of(key, *at)))
            .collect();
        let of_past = |at: &Timestamp, key: &ObjectKey| {
            !self.past.is_empty() && self.past.contains_key(&(*at, key.clone()))
        };
        let acts = self.acts.iter().filter(|(at, key)| !of_past(at, key));
        for (at, key) in acts.chain(&self.admitted).chain(&past) {
            let known = latest.entry(key).or_insert(*at);
            *known = (*known).max(*at);
        }
        let mut acted: Vec<(ObjectKey, Timestamp)> = latest
            .into_iter()
            .map(|(key, at)| (key.clone(), at))
            .collect();
        acted.sort();
        let approved = self.objects.iter().filter(|(_, object)| object.approved);
        let mut approved: Vec<ObjectKey> = approved.map(|(key, _)| key.clone()).collect();
        approved.sort();
        (acted, approved, self.aborted.clone())
    }

    /// Takes what was kept.
    pub fn recall(
        &mut self,
        (mut acted, approved, aborted): (
            Vec<(ObjectKey, Timestamp)>,
            Vec<ObjectKey>,
            Option<String>,
        ),
        limits: &Limits,
        now: Timestamp,
    ) {
        acted.sort_by_key(|a| a.1);
        for (key, at) in acted {
            self.acted(&key, limits, at.min(now));
        }
        for key in approved {
            self.change(&key, |object| {
                object.approved = true;
                // It is due until it is looked at.
                object.due = true;
            });
        }
        self.aborted = aborted;
        self.acted_count(now);
    }

    /// Why the rule stopped, if it did.
    pub fn aborted(&self) -> Option<&str> {
        self.aborted.as_deref()
    }

    /// Whether it knows of no object.
    pub fn is_idle(&self) -> bool {
        self.objects.is_empty() && self.past.is_empty()
    }

    /// Objects that match now and are due, in no order.
    pub fn due(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects
            .iter()
            .filter(|(_, object)| object.due)
            .map(|(key, _)| key)
    }

    /// How many they are.
    pub fn due_count(&self) -> usize {
        self.due
    }

    /// Changes what is known of an object, and the counts with it.
    fn change(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Object)) {
        let known = self.objects.get_mut(key);
        let old = known.as_ref().map_or(Object::default(), |object| **object);
        let mut new = old;
        change(&mut new);
        if old == new {
            return;
        }
        let step = |count: &mut usize, before: bool, after: bool| {
            *count = (*count + usize::from(after)).saturating_sub(usize::from(before));
        };
        step(&mut self.due, old.due, new.due);
        step(&mut self.acted, old.acted.is_some(), new.acted.is_some());
        step(&mut self.counted, old.counts(), new.counts());
        step(&mut self.gone, old.is_gone(), new.is_gone());
        match known {
            Some(_) if !new.due && new.acted.is_none() => {
                self.objects.remove(key);
            }
            Some(object) => *object = new,
            // Nothing is remembered of objects that nothing was done to.
            None if !new.due && new.acted.is_none() => {}
            None => {
                self.objects.insert(key.clone(), new);
            }
        }
    }

    /// Whether an object matches and is due, as the last evaluation found it.
    pub fn set_due(&mut self, key: &ObjectKey, due: bool) {
        if due || !self.objects.is_empty() {
            self.change(key, |object| {
                object.due = due;
                object.gone = false;
            });
        }
    }

    /// A step is being made on the object. Remembered only as long as the limits ask for it.
    pub fn acted(&mut self, key: &ObjectKey, limits: &Limits, now: Timestamp) {
        if !limits.are_counted() {
            return;
        }
        self.acted_count(now);
        self.change(key, |object| {
            object.due = false;
            object.former = object.acted;
            object.acted = Some(now);
            object.admitted = false;
        });
        self.acts.push_back((now, key.clone()));
        let Some(period) = throttle_period(limits) else {
            return;
        };
        while let Some((at, _)) = self.admitted.front()
            && now.duration_since(*at) >= period
        {
            self.admitted.pop_front();
        }
        if self.admitted.iter().all(|(_, admitted)| admitted != key) {
            self.admitted.push_back((now, key.clone()));
            self.change(key, |object| object.admitted = true);
        }
    }

    /// The last step certainly did nothing. What was done before it still counts, and so does what a person said.
    pub fn withdraw(&mut self, key: &ObjectKey) {
        let Some(object) = self.objects.get(key) else {
            return;
        };
        if object.admitted {
            self.admitted.retain(|(_, admitted)| admitted != key);
        }
        self.change(key, |object| {
            object.acted = object.former.take();
            object.admitted = false;
            object.due |= object.approved;
        });
    }

    /// Objects acted on in the last 10 minutes.
    pub fn acted_count(&mut self, now: Timestamp) -> usize {
        while let Some((at, _)) = self.acts.front()
            && now.duration_since(*at) > WINDOW
        {
            if let Some((at, key)) = self.acts.pop_front() {
                self.change(&key, |object| {
                    if object.acted == Some(at) {
                        object.acted = None;
                    }
                    if object.former == Some(at) {
                        object.former = None;
                    }
                });
                self.outlived(at, key);
            }
        }
        self.acted
    }

    /// The act of a moment no longer counts, if the object that it was made on is gone.
    fn outlived(&mut self, at: Timestamp, key: ObjectKey) {
        if self.past.is_empty() {
            return;
        }
        if let Some(count) = self.past.remove(&(at, key)) {
            for total in [&mut self.acted, &mut self.counted, &mut self.gone] {
                *total = total.saturating_sub(count);
            }
        }
    }

    /// Looks whether `abortAbove` is exceeded, with `in_scope` objects in scope; true if the rule stops now.
    pub fn check(&mut self, limits: &Limits, in_scope: usize, now: Timestamp) -> bool {
        if self.aborted.is_some()
            || (limits.abort_objects.is_none() && limits.abort_percent.is_none())
        {
            return false;
        }
        let acted = self.acted_count(now);
        let (count, due) = (self.counted, self.due);
        // Objects that were deleted are no longer in scope, yet they were part of it.
        let scope = (in_scope + self.gone).max(count);
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

    /// Until when `throttle` lets an object wait; `None`: it may go.
    pub fn throttled_until(
        &self,
        key: &ObjectKey,
        limits: &Limits,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let (most, _) = limits.throttle?;
        let period = throttle_period(limits)?;
        // What lies behind the period is at the front.
        let past = self
            .admitted
            .partition_point(|(at, _)| now.duration_since(*at) >= period);
        let lately = || self.admitted.range(past..);
        if (lately().len() as u64) < most || lately().any(|(_, admitted)| admitted == key) {
            return None;
        }
        let oldest = lately().next().map_or(now, |(at, _)| *at);
        oldest.checked_add(period).ok()
    }

    /// A person says that what is due now is meant, and lets the rule go on: neither that nor what was done counts any more. False if it had not stopped.
    pub fn acknowledge(&mut self) -> bool {
        let all: Vec<ObjectKey> = self.objects.keys().cloned().collect();
        for key in all {
            self.change(&key, |object| object.approved = true);
        }
        self.aborted.take().is_some()
    }

    /// The object is gone; what was done to it still counts, and the next of its name is another one.
    pub fn forget(&mut self, key: &ObjectKey) {
        if !self.objects.contains_key(key) {
            return;
        }
        self.change(key, |object| {
            object.due = false;
            object.gone = true;
            if object.approved {
                object.acted = None;
            }
        });
        let acted = self.objects.remove(key).and_then(|object| object.acted);
        let Some(at) = acted else {
            return;
        };
        for (_, admitted) in &mut self.admitted {
            if admitted == key {
                *admitted = past_of(key, at);
            }
        }
        *self.past.entry((at, key.clone())).or_default() += 1;
    }

    /// The clock was set back: what happened later than now happened now.
    pub fn clock_set_back(&mut self, now: Timestamp) {
        for (at, key) in &mut self.acts {
            if *at > now {
                if let Some(object) = self.objects.get_mut(key)
                    && object.acted == Some(*at)
                {
                    object.acted = Some(now);
                }
                if let Some(count) = self.past.remove(&(*at, key.clone())) {
                    *self.past.entry((now, key.clone())).or_default() += count;
                }
                *at = now;
            }
        }
        for (at, _) in &mut self.admitted {
            *at = (*at).min(now);
        }
    }
}

/// What an object that is gone is called: no object has such a name.
fn past_of(key: &ObjectKey, at: Timestamp) -> ObjectKey {
    let name = format!("{}#{}", key.name, at.as_nanosecond());
    ObjectKey::new(key.kind.clone(), key.namespace.as_deref(), &name)
}

fn throttle_period(limits: &Limits) -> Option<SignedDuration> {
    SignedDuration::try_from(limits.throttle?.1).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::GroupKind;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    fn key(n: usize) -> ObjectKey {
        ObjectKey::new(GroupKind::new("", "Pod"), Some("n"), &n.to_string())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn one_that_is_made_anew_under_its_name_is_another_one() {
        let limits = Limits {
            abort_objects: Some(3),
            throttle: Some((2, Duration::from_secs(3_600))),
            ..Limits::default()
        };
        let mut state = LimitState::default();
        for n in 0..3 {
            state.set_due(&key(0), true);
            assert_eq!(
                state.throttled_until(&key(0), &limits, at(n)).is_none(),
                n < 2
            );
            assert!(!state.check(&limits, 1, at(n)));
            state.acted(&key(0), &limits, at(n));
            state.forget(&key(0));
        }
        state.set_due(&key(0), true);
        assert!(state.check(&limits, 1, at(3)));
        let (kept, _, _) = state.kept();
        assert_eq!(kept.len(), 3, "after a restart too: {kept:?}");
        assert_eq!(state.acted_count(at(601)), 2, "of the last ten minutes");
        assert_eq!(state.acted_count(at(700)), 0);
        state.set_due(&key(0), false);
        assert!(state.is_idle());
    }

    #[test]
    fn a_step_that_did_nothing_takes_back_no_other_and_nobody_s_word() {
        let limits = Limits {
            abort_objects: Some(1),
            throttle: Some((1, Duration::from_secs(3_600))),
            ..Limits::default()
        };
        let mut state = LimitState::default();
        state.acted(&key(0), &limits, at(0));
        state.acted(&key(0), &limits, at(1));
        state.withdraw(&key(0));
        assert_eq!(state.acted_count(at(2)), 1, "the first step");
        assert!(state.throttled_until(&key(1), &limits, at(2)).is_some());
        assert_eq!(state.acted_count(at(601)), 0);

        for n in 2..5 {
            state.set_due(&key(n), true);
        }
        assert!(state.check(&limits, 10, at(700)));
        state.acknowledge();
        for n in 2..5 {
            state.acted(&key(n), &limits, at(701));
            state.withdraw(&key(n));
            state.set_due(&key(n), true);
        }
        assert!(!state.check(&limits, 10, at(702)), "a person meant them");
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
                state.acted(&key(n), &limits, at(n as i64 / 16));
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
            state.acted(&key(n), &limits, at(0));
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
    fn what_was_deleted_is_still_part_of_the_scope() {
        let limits = Limits {
            abort_percent: Some(10.0),
            ..Limits::default()
        };
        let mut state = LimitState::default();
        for n in 0..10 {
            state.set_due(&key(n), true);
        }
        for n in 0..10 {
            assert!(!state.check(&limits, 100 - n, at(0)), "{n} deleted");
            state.acted(&key(n), &limits, at(0));
            state.forget(&key(n));
        }
        state.set_due(&key(10), true);
        assert!(state.check(&limits, 90, at(1)), "11 of 100");
    }

    #[test]
    fn a_question_costs_the_same_with_many_objects() {
        // Counting them one by one at each step would be 10^10 steps here.
        let limits = Limits {
            abort_objects: Some(1_000_000),
            ..Limits::default()
        };
        let mut state = LimitState::default();
        for n in 0..100_000 {
            state.set_due(&key(n), true);
            assert!(!state.check(&limits, n, at(0)));
        }
        assert_eq!(state.due_count(), 100_000);
    }

    proptest! {
        /// The counts agree with a recount.
        #[test]
        fn counts_what_is_there(steps in prop::collection::vec((0..6_u8, 0..8_usize, 0..200_i64), 0..80)) {
            let mut state = LimitState::default();
            let limits = Limits { abort_objects: Some(100), ..Limits::default() };
            let mut due = BTreeSet::new();
            // When last, and when before that.
            let mut acted: BTreeMap<usize, (i64, Option<i64>)> = BTreeMap::new();
            let mut past: Vec<i64> = vec![];
            let mut now = 0;
            for (what, n, pause) in steps {
                now += pause;
                match what {
                    0 | 1 => { state.set_due(&key(n), true); due.insert(n); }
                    2 => {
                        state.forget(&key(n));
                        due.remove(&n);
                        past.extend(acted.remove(&n).map(|(last, _)| last));
                    }
                    3 | 4 => {
                        state.acted(&key(n), &limits, at(now));
                        due.remove(&n);
                        let before = acted.get(&n).map(|(last, _)| *last);
                        acted.insert(n, (now, before));
                    }
                    _ => {
                        state.withdraw(&key(n));
                        if let Some((_, Some(before))) = acted.remove(&n) {
                            acted.insert(n, (before, None));
                        }
                    }
                }
                acted.retain(|_, (last, _)| now - *last <= 600);
                past.retain(|last| now - *last <= 600);
                for (_, before) in acted.values_mut() {
                    before.take_if(|before| now - *before > 600);
                }
                let all: BTreeSet<usize> = due.iter().chain(acted.keys()).copied().collect();
                prop_assert_eq!(state.acted_count(at(now)), acted.len() + past.len());
                prop_assert_eq!((state.due_count(), state.counted), (due.len(), all.len() + past.len()));
            }
        }
    }

    #[test]
    fn the_rest_waits_for_its_turn() {
        let limits = Limits {
            throttle: Some((2, Duration::from_secs(60))),
            ..Limits::default()
        };
        let mut state = LimitState::default();
        state.acted(&key(0), &limits, at(0));
        assert_eq!(state.throttled_until(&key(9), &limits, at(10)), None);
        state.acted(&key(1), &limits, at(10));
        assert_eq!(
            state.throttled_until(&key(9), &limits, at(20)),
            Some(at(60))
        );
        assert_eq!(state.throttled_until(&key(9), &limits, at(60)), None);
        state.acted(&key(2), &limits, at(65));
        assert_eq!(
            state.throttled_until(&key(9), &limits, at(66)),
            Some(at(70))
        );
        assert_eq!(state.throttled_until(&key(2), &limits, at(66)), None);
    }

    #[test]
    fn nothing_is_kept_that_no_limit_asks_for() {
        let mut state = LimitState::default();
        for n in 0..100 {
            state.acted(&key(n), &Limits::default(), at(0));
        }
        let throttled = Limits {
            throttle: Some((1000, Duration::from_secs(60))),
            ..Limits::default()
        };
        for n in 0..10_000 {
            state.acted(&key(n), &throttled, at(n as i64));
        }
        assert_eq!((state.admitted.len(), state.acts.len()), (60, 601));
        assert_eq!(state.objects.len(), 601);
    }
}
