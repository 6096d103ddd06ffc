//! Steps behind which a rule waits, and since when.

use super::Engine;
use crate::decide::{Decision, Standing};
use crate::engine::memory::Uid;
use crate::object::{ObjectKey, Record};
use crate::rule::set::RuleIndex;
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// Since when it is waited behind a step for a subject.
    pub(super) fn waits_since(
        &self,
        subject: &ObjectKey,
        rule: RuleIndex,
        step: usize,
    ) -> Option<Timestamp> {
        if !self.in_waits {
            return None;
        }
        let entry = self.store.get(subject)?;
        let uid = Uid::of(entry.record.meta().uid());
        self.states[rule].matches.waits_since(uid, step)
    }

    /// An object was evaluated: what is waited for now, and what no longer.
    pub(super) fn note_waits(
        &mut self,
        key: &ObjectKey,
        record: &Record,
        decision: &Decision,
        now: Timestamp,
    ) {
        if decision.waits.is_empty() && !self.in_waits {
            return;
        }
        let uid = Uid::of(record.meta().uid());
        let rules = Arc::clone(&self.rules);
        let mut ended = false;
        for index in rules.remembering(&key.kind) {
            // While it is not known whether a rule matches, nothing ends.
            let unknown = decision.standing(*index) == Standing::Waiting;
            if unknown || !self.states[*index].ready {
                continue;
            }
            let waits = decision.waits.iter().filter(|(rule, _)| rule == index);
            let steps: Vec<usize> = waits.map(|(_, step)| *step).collect();
            let matches = &mut self.states[*index].matches;
            match matches.wait(uid, &steps, now) {
                true => self.in_waits = true,
                false => ended = true,
            }
        }
        if ended && decision.waits.is_empty() {
            self.in_waits = self.states.iter().any(|state| state.matches.has_waits());
        }
    }
}
