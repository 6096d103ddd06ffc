//! The clock of rules with a `schedule`: windows open and close for all objects of a rule at once, and a single moment is one pass over
//! those that are in scope when it comes.

use super::{Engine, Schedules};
use crate::decide::{Decision, Standing};
use crate::engine::store::{key_of, name_of};
use crate::object::ObjectKey;
use crate::rule::expr::NamespaceObject;
use crate::rule::schedule::Schedule;
use crate::rule::selector::InScope;
use crate::rule::{Mode, Rule};
use ahash::AHashSet;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// The shortest time that is kept.
const TICK: SignedDuration = SignedDuration::from_millis(1);

/// How long a moment is due for a single pass: cron knows no seconds.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Where a rule stands in its schedule.
#[derive(Default)]
pub struct Times {
    /// Since when a window is open.
    open: Option<Timestamp>,
    /// The single moment whose pass is made.
    moment: Option<Timestamp>,
    /// It has come, but which objects it is about is not known yet.
    waits: bool,
    /// The objects that its pass is not over for.
    pending: AHashSet<ObjectKey>,
    /// Moments up to here were taken notice of. `None`: the clock was not looked at yet.
    seen: Option<Timestamp>,
    /// When something of it changes.
    next: Option<Timestamp>,
    /// `seen` is what was kept before a restart.
    recalled: bool,
    /// What [`Times::done`] answers may have changed since it was kept.
    changed: bool,
}

impl Times {
    /// Forgets an object that is gone.
    pub fn forget(&mut self, key: &ObjectKey) {
        if !self.pending.is_empty() {
            self.pending.remove(key);
            self.changed |= self.pending.is_empty();
        }
    }

    /// Up to when its single moments are done with, to be remembered beyond a restart: a pass that is not over counts as not begun.
    pub fn done(&self) -> Option<Timestamp> {
        let open = self.waits || !self.pending.is_empty();
        match self.moment.filter(|_| open) {
            Some(moment) => Some(moment.checked_sub(TICK).unwrap_or(moment)),
            None => self.seen,
        }
    }

    /// What [`Times::done`] said before a restart: of the moments that came since, the last one is made up for, and a window that opened since
    /// begins new matches.
    pub fn recall(&mut self, until: Timestamp) {
        *self = Times {
            seen: Some(until),
            next: Some(Timestamp::MIN),
            recalled: true,
            ..Times::default()
        };
    }

    /// Whether something of it is to be kept.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// Takes note that it is kept.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether the clock has to be looked at.
    fn is_due(&self, now: Timestamp) -> bool {
        self.seen.is_none() || self.next.is_some_and(|next| next <= now)
    }
}

impl Engine {
    /// The clocks have to be looked at: rules were loaded, or time is not what it was.
    pub(super) fn look_at_clocks(&mut self) {
        self.next_turn = Some(Timestamp::MIN);
    }

    /// The clock was set back, to `now`.
    pub(super) fn clocks_set_back(&mut self, now: Timestamp) {
        for state in &mut self.states {
            let times = &mut state.times;
            times.next = Some(now);
            times.seen = times.seen.map(|seen| seen.min(now));
        }
        self.look_at_clocks();
    }

    /// Another replica, or none, has acted so far. Where nothing is remembered of its moments they were its own.
    pub(super) fn take_over_clocks(&mut self, now: Timestamp) {
        for state in &mut self.states {
            if std::mem::take(&mut state.times.recalled) {
                continue;
            }
            state.times = Times {
                seen: Some(now),
                next: Some(now),
                ..Times::default()
            };
        }
        self.look_at_clocks();
    }

    /// Opens and closes what has to be by now.
    pub(super) fn keep_time(&mut self, now: Timestamp) {
        if self.next_turn.is_none_or(|turn| turn > now) {
            return;
        }
        let rules = Arc::clone(&self.rules);
        let mut earliest: Option<Timestamp> = None;
        for (index, rule) in rules.rules().iter().enumerate() {
            let Some(schedule) = rule.schedule.as_ref().filter(|_| rule.mode != Mode::Off) else {
                continue;
            };
            if self.states[index].times.is_due(now) {
                self.turn(index, rule, schedule, now);
            }
            let next = self.states[index].times.next;
            earliest = [earliest, next].into_iter().flatten().min();
        }
        self.next_turn = earliest;
    }

    /// A rule's clock has come to where something changes.
    fn turn(&mut self, index: usize, rule: &Rule, schedule: &Schedule, now: Timestamp) {
        let times = &mut self.states[index].times;
        let lasts = match self.options.schedules {
            Schedules::InTheMinute => MINUTE,
            _ => TICK,
        };
        // However many were missed: the last one stands for all.
        let moment = schedule.last_moment(now).filter(|moment| match times.seen {
            Some(seen) => *moment > seen.min(now),
            None => now.duration_since(*moment) < lasts,
        });
        let first = times.seen.is_none();
        let opened = match self.options.schedules {
            // Since the pass began.
            Schedules::Ignored => times.open.or(Some(now)),
            _ => schedule.open_since(now),
        };
        // One that was open already when the clock was last looked at, before a restart, goes on.
        let begins = opened.is_some_and(|start| times.seen.is_some_and(|seen| start > seen));
        let before = std::mem::replace(&mut times.open, opened);
        times.seen = Some(now);
        times.changed = true;
        times.next = schedule.next_turn(now);
        if let Some(moment) = moment {
            times.moment = Some(moment);
            times.waits = true;
            times.pending.clear();
        }
        if opened != before && !first {
            let keys = self.scope_of(rule);
            self.look_anew(index, &keys, opened.filter(|_| begins), now);
        }
        if self.states[index].ready {
            self.begin_pass(index, now);
        }
    }

    /// Begins the pass of a moment that has come, now that it is known which objects there are.
    pub(super) fn begin_pass(&mut self, index: usize, now: Timestamp) {
        let times = &mut self.states[index].times;
        if !std::mem::take(&mut times.waits) {
            return;
        }
        times.changed = true;
        let moment = times.moment;
        let rule = Arc::clone(&self.rules.rules()[index]);
        let keys = self.scope_of(&rule);
        self.look_anew(index, &keys, moment, now);
        self.states[index].times.pending = keys.into_iter().collect();
        self.in_passes = true;
    }

    /// The objects in a rule's scope, and those of which it is not known whether they are.
    fn scope_of(&self, rule: &Rule) -> Vec<ObjectKey> {
        let mut keys = vec![];
        for resolved in &rule.matches.kinds {
            let Some(objects) = self.store.kind(&resolved.kind) else {
                continue;
            };
            for (name, entry) in objects.iter() {
                let key = key_of(&resolved.kind, name);
                let namespace = match rule.matches.namespace_selector {
                    Some(_) => self.namespace_of(&key, &entry.record),
                    None => Ok(None),
                };
                let namespace = match &namespace {
                    Ok(Some(record)) => NamespaceObject::Known(record.root()),
                    Ok(None) => NamespaceObject::None,
                    Err(_) => NamespaceObject::Unknown,
                };
                if rule.matches.covers(entry.record.meta(), namespace) != InScope::No {
                    keys.push(key);
                }
            }
        }
        keys
    }

    /// Objects are looked at because the rule's time has come, or is over. `begins`: with matches that begin then, and limits count all of
    /// them first.
    fn look_anew(
        &mut self,
        index: usize,
        keys: &[ObjectKey],
        begins: Option<Timestamp>,
        now: Timestamp,
    ) {
        let counts = begins.is_some() && self.counts_first(index);
        if counts {
            self.states[index].scope_known = false;
        }
        if let Some(start) = begins {
            self.states[index].matches.begin_anew(start);
        }
        for key in keys {
            if counts {
                self.store
                    .kind_mut(&key.kind)
                    .set_fresh(&name_of(key), true);
            }
            self.queue.push(key.clone(), now);
        }
    }

    /// Since when a rule's schedule is open for an object.
    pub(super) fn opened(&self, key: &ObjectKey, rule: &Rule) -> Option<Timestamp> {
        let index = self.rules.index_of(&rule.name)?;
        let times = &self.states[index].times;
        let moment = || times.moment.filter(|_| times.pending.contains(key));
        times.open.max(moment())
    }

    /// The pass of a moment is over for an object that has nothing left to do.
    pub(super) fn note_passes(&mut self, key: &ObjectKey, decision: &Decision, now: Timestamp) {
        if !self.in_passes {
            return;
        }
        let rules = Arc::clone(&self.rules);
        let mut emptied = false;
        for index in rules.for_kind(&key.kind) {
            if !self.states[*index].times.pending.contains(key) {
                continue;
            }
            let standing = decision.standing(*index);
            let over = match standing {
                Standing::OutOfScope
                | Standing::Ignored
                | Standing::Unmatched
                | Standing::NotPicked => true,
                Standing::Matched { acts } => !acts || !self.enforces_on(*index, key),
                Standing::Waiting | Standing::Failed => false,
            };
            if over {
                let times = &mut self.states[*index].times;
                times.pending.remove(key);
                times.changed |= times.pending.is_empty();
                emptied |= times.pending.is_empty();
                // So that it is known that the match has ended.
                if matches!(standing, Standing::Matched { .. }) {
                    self.queue.push(key.clone(), now);
                }
            }
        }
        if emptied {
            let mut states = self.states.iter();
            self.in_passes = states.any(|state| !state.times.pending.is_empty());
        }
    }

    /// Whether a rule's schedule is closed for all objects.
    pub(super) fn is_outside_schedule(&self, index: usize) -> bool {
        let times = &self.states[index].times;
        let scheduled = self.rules.rules()[index].schedule.is_some();
        scheduled && times.open.is_none() && times.pending.is_empty()
    }
}
