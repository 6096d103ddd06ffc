//! What is looked at next, and when.

use super::{Engine, PATIENCE};
use crate::engine::Effect;
use crate::engine::store::{Sync, key_of};
use crate::object::{GroupKind, ObjectKey};
use jiff::{SignedDuration, Timestamp};

/// A clock that is only being kept right is set back by no more.
const KEPT_RIGHT: SignedDuration = SignedDuration::from_secs(2);

impl Engine {
    /// Evaluates what is queued and due, at most `budget` objects, and appends what is to be done.
    ///
    /// Answers the moment to call again if nothing else happens; `None`: only after an observation or outcome; `now` or earlier: at once.
    pub fn poll(
        &mut self,
        now: Timestamp,
        budget: usize,
        effects: &mut Vec<Effect>,
    ) -> Option<Timestamp> {
        self.tick(now);
        if self.standby {
            return self.stand_by(now, effects);
        }
        self.keep_time(now);
        let mut due = vec![];
        while let Some(key) = self.due.pop(now) {
            due.push(key);
        }
        self.count_together(&due);
        for key in due {
            self.queue.push(key, now);
        }
        while self.in_flight.len() < self.options.workers
            && let Some(key) = self.overdue.pop(now)
        {
            self.read(key, now, effects);
        }
        if !self.stopping {
            self.send_follow_ups(now, effects);
            self.send_kept_back(now, effects);
        }
        let mut left = budget;
        while left > 0 && !self.stopping && self.in_flight.len() < self.options.workers {
            let Some((key, wanted)) = self.next_key() else {
                break;
            };
            self.evaluate(key, wanted, now, effects);
            left -= 1;
        }
        self.look_after_rules(now);
        self.meet_rivals(now);
        self.take_turns(now);
        self.forget_the_unseen(now);
        let keeps = self.keep(now, effects);
        effects.extend(self.reports.drain(..).map(Effect::Report));
        if self.stopping {
            return None;
        }
        if self.in_flight.len() < self.options.workers && self.queue_has_ready() {
            return Some(now);
        }
        // Without a free worker an answer comes first.
        let overdue = match self.in_flight.len() < self.options.workers {
            true => self.overdue.earliest(),
            false => None,
        };
        let moments = [self.due.earliest(), overdue, self.next_turn, keeps];
        moments.into_iter().flatten().min()
    }

    /// A clock that was set back: nothing waits for a moment of the former time.
    fn tick(&mut self, now: Timestamp) {
        if now < self.clock && self.clock.duration_since(now) <= KEPT_RIGHT && !self.clock_told {
            // What was due at the later moment has happened, and comes again with it.
            return;
        }
        if now < self.clock {
            for state in &mut self.states {
                state.clock_set_back(now);
            }
            let until = now.checked_add(PATIENCE).unwrap_or(now);
            for key in self.awaited.keys() {
                self.overdue.set(key, Some(until));
            }
            self.paused.clear();
            self.budgeted.clear();
            self.keeper.clock_set_back(now);
            for forbidden in self.forbidden.values_mut() {
                forbidden.until = forbidden.until.min(now);
            }
            if !self.clock_told {
                self.clock_moved(now.duration_since(self.clock));
            }
            self.clocks_set_back(now);
            self.look_at_everything(now);
        }
        self.clock = now;
        self.clock_told = false;
    }

    fn next_key(&mut self) -> Option<(ObjectKey, Timestamp)> {
        let (store, namespaces) = (&self.store, &self.namespace_kind);
        let settled = store
            .kind(namespaces)
            .is_some_and(|k| k.sync != Sync::Pending);
        self.queue
            .pop(|kind| settled && store.kind(kind).is_some_and(|k| k.sync == Sync::Synced))
    }

    pub(super) fn queue_has_ready(&self) -> bool {
        self.queue.has_ready(|kind| self.is_ready(kind))
    }

    /// Whether objects of a kind may be evaluated: it is known, and Namespaces are, or never will be.
    pub(super) fn is_ready(&self, kind: &GroupKind) -> bool {
        let known = |kind: &GroupKind| {
            self.store
                .kind(kind)
                .is_some_and(|k| k.sync == Sync::Synced)
        };
        let namespaces_settled = self
            .store
            .kind(&self.namespace_kind)
            .is_some_and(|k| k.sync != Sync::Pending);
        known(kind) && namespaces_settled
    }

    pub(super) fn look_at_everything(&mut self, now: Timestamp) {
        let mut keys: Vec<ObjectKey> = self
            .store
            .kinds()
            .filter(|(kind, _)| !self.rules.for_kind(kind).is_empty() || self.may_be_held(kind))
            .flat_map(|(kind, objects)| objects.iter().map(|(name, _)| key_of(kind, name)))
            .collect();
        self.put_in_order(&mut keys);
        for key in keys {
            self.queue.push(key, now);
        }
    }
}
