//! Nothing is done to an object as long as a rule that matches it has to look at others first: what another rule does to it might end that match,
//! and the turn of the one that waits would never come.

use super::Engine;
use crate::decide::Decision;
use crate::object::{ObjectKey, Record};
use crate::rule::Mode;
use ahash::AHashSet;
use jiff::Timestamp;
use std::sync::Arc;

/// What waits for the turn of some rule.
#[derive(Default)]
pub(super) struct Turns {
    /// The objects.
    pub keys: AHashSet<ObjectKey>,
    /// The rules that had to look at others, when that was asked last.
    looking: Vec<usize>,
}

impl Engine {
    /// Decides, and whether that waits for the turn of some rule.
    pub(super) fn decide_in_turn(
        &self,
        key: &ObjectKey,
        record: &Record,
        now: Timestamp,
    ) -> (Decision, bool) {
        let decision = self.decide(key, record, now);
        let waits = |index: &usize| self.is_looking(*index) && self.enforces_on(*index, key);
        let acts = !decision.writes.is_empty() || !decision.others.is_empty();
        if self.options.dry || !acts || !decision.gated.iter().any(waits) {
            return (decision, false);
        }
        let rules = self.rules.rules();
        let all = self.rules.for_kind(&key.kind).iter();
        let all: Vec<Arc<str>> = all.map(|index| rules[*index].name.clone()).collect();
        let mut held = self.decide_without(key, record, now, &all);
        held.changes.retain(|change| change.mode == Mode::Audit);
        (held, true)
    }

    fn is_looking(&self, index: usize) -> bool {
        self.states[index].ready && self.looks_first(index)
    }

    /// Some rule has looked at all that it had to: what waits is looked at again.
    pub(super) fn take_turns(&mut self, now: Timestamp) {
        if self.turns.keys.is_empty() {
            return;
        }
        let all = 0..self.states.len();
        let looking: Vec<usize> = all.filter(|index| self.is_looking(*index)).collect();
        if !looking.is_empty() && looking == self.turns.looking {
            return;
        }
        self.turns.looking = looking;
        let mut keys: Vec<ObjectKey> = self.turns.keys.drain().collect();
        keys.sort_unstable();
        for key in keys {
            self.queue.push(key, now);
        }
    }
}
