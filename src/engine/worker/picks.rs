//! Rules with `pick`: each object's place among the others, and whose turn it is.

use super::{Engine, InFlight};
use crate::decide::look::place_of_the_leaving;
use crate::decide::pass::PassContext;
use crate::decide::{Decision, Standing, Subject};
use crate::engine::Outcome;
use crate::engine::store::name_of;
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::selector::Deleting;
use jiff::Timestamp;

impl Engine {
    /// An object was evaluated: its place may have changed, and with it what is picked of others.
    pub(super) fn note_rank(
        &mut self,
        index: usize,
        key: &ObjectKey,
        decision: &Decision,
        now: Timestamp,
    ) {
        let Some(picks) = &mut self.states[index].picks else {
            return;
        };
        let rank = decision.ranks.iter().find(|(of, _)| *of == index);
        match (rank, decision.standing(index)) {
            // What is not known changes nothing.
            (None, Standing::Waiting | Standing::Failed) => {}
            (rank, _) => picks.set(key, rank.map(|(_, rank)| rank)),
        }
        self.wake_picked(index, now);
    }

    /// An object that is being deleted was evaluated: where its rule takes so many at once it holds its place, also if nobody saw it before.
    pub(super) fn note_leaving(&mut self, key: &ObjectKey, record: &Record, now: Timestamp) {
        let rules = self.rules.clone();
        for index in rules.limited(&key.kind) {
            let rule = &rules.rules()[*index];
            let Some(picks) = &mut self.states[*index].picks else {
                continue;
            };
            if !rule.holds_places() || picks.leave(key) {
                continue;
            }
            let subject = Subject { key, record };
            let alone = self.is_asked_alone(*index, key).then_some(*index);
            let rank = self.in_context(key, record, now, &[], |context| {
                place_of_the_leaving(&subject, rule, &PassContext { alone, ..*context })
            });
            if let (Some(rank), Some(picks)) = (rank, &mut self.states[*index].picks) {
                picks.leave_from(key, &rank);
            }
        }
    }

    /// The server took a request to delete an object, or does not find it: no rule counts on it any more, whatever the watch still shows.
    pub(super) fn leaves(&mut self, key: &ObjectKey, now: Timestamp) {
        let rules = self.rules.clone();
        for index in rules.limited(&key.kind) {
            if rules.rules()[*index].matches.deleting == Deleting::Only {
                continue;
            }
            if let Some(picks) = &mut self.states[*index].picks {
                picks.leave(key);
                self.wake_picked(*index, now);
            }
        }
    }

    /// Whether those behind an object wait for it: it is to be acted on, and if it could be now, it is asked for.
    pub(super) fn note_turns(
        &mut self,
        key: &ObjectKey,
        counted: &[usize],
        standings: &[(usize, Standing)],
        now: Timestamp,
    ) {
        let rules = self.rules.clone();
        // A pause that is over holds nobody up: whoever had to wait until now is asked for anew.
        let paused = self.paused_until(key, now).is_some();
        for index in counted {
            let state = &self.states[*index];
            let Some(picks) = &state.picks else {
                continue;
            };
            let rule = &rules.rules()[*index];
            let stands = standings
                .iter()
                .any(|(of, standing)| of == index && *standing == Standing::Matched { acts: true });
            let acts = stands && self.enforces_on(*index, key) && !self.options.dry;
            let limits = &state.limits;
            let waits = !picks.is_its_turn(key)
                || !state.scope_known
                || limits.aborted().is_some()
                || limits.throttled_until(key, &rule.limits, now).is_some();
            let own = state.breaker_open(key) || paused;
            let asked = self.queue.is_held(key)
                || self.in_flight.values().any(|asked| asked.subject == *key);
            if let Some(picks) = &mut self.states[*index].picks {
                let cleared = picks.looked_at(key, acts && !own);
                picks.set_due(key, acts && !own && (waits || asked || !cleared));
            }
            self.wake_picked(*index, now);
        }
    }

    /// Whether an object has to wait because of others that a rule picks, or may pick.
    pub(super) fn must_wait(&self, index: usize, key: &ObjectKey) -> bool {
        let picks = self.states[index].picks.as_ref();
        !self.options.dry && picks.is_some_and(|picks| !picks.may_act(key))
    }

    /// Lets picked objects be acted on once nothing is left to look at that could come before them: what changes for many objects at once
    /// changes for one after the other.
    pub(super) fn clear_picked(&mut self, index: usize, now: Timestamp) {
        let candidates = self.states[index].picks.as_ref();
        if !self.states[index].scope_known || candidates.is_none_or(|p| !p.has_candidates()) {
            return;
        }
        let kinds = &self.rules.rules()[index].matches.kinds;
        let is_own = |kind: &GroupKind| kinds.iter().any(|own| own.kind == *kind);
        if self.queue.has_ready(is_own) {
            return;
        }
        if let Some(picks) = &mut self.states[index].picks {
            for key in picks.clear_candidates() {
                self.queue.push(key, now);
            }
        }
    }

    /// A request was answered: it is the next one's turn. What was asked of others, as an archive is, comes before the object itself is done.
    pub(super) fn turn_over(&mut self, request: &InFlight, outcome: &Outcome, now: Timestamp) {
        let key = &request.subject;
        if request.key != *key && !matches!(outcome, Outcome::Failed(_)) {
            return;
        }
        for rule in request.rules() {
            let Some(index) = self.rules.index_of(rule) else {
                continue;
            };
            if let Some(picks) = &mut self.states[index].picks {
                picks.set_due(key, false);
                self.wake_picked(index, now);
            }
        }
    }

    /// All that match are known: they are looked at once more, to see which are picked. False: there is nothing to look at.
    pub(super) fn begin_picking(&mut self, index: usize, now: Timestamp) -> bool {
        let picks = self.states[index].picks.as_mut();
        let Some(keys) = picks.and_then(|picks| picks.begin()) else {
            return false;
        };
        for key in keys {
            self.store
                .kind_mut(&key.kind)
                .set_fresh(&name_of(&key), true);
            self.queue.push(key, now);
        }
        true
    }

    /// Looks again at those that are picked now and were not, or the other way round, and those whose turn it is.
    pub(super) fn wake_picked(&mut self, index: usize, now: Timestamp) {
        let Some(picks) = &mut self.states[index].picks else {
            return;
        };
        for key in picks.take_woken() {
            self.queue.push(key, now);
        }
    }
}
