//! Steps behind which a rule waits, and since when.

use super::Engine;
use crate::decide::{Decision, Standing};
use crate::object::ObjectKey;
use crate::rule::set::RuleIndex;
use jiff::Timestamp;
use std::sync::Arc;

/// One step of a rule.
pub(super) struct Waiting {
    rule: Arc<str>,
    step: usize,
    since: Timestamp,
}

impl Waiting {
    pub(super) fn rule(&self) -> &Arc<str> {
        &self.rule
    }
}

impl Engine {
    /// Since when it is waited behind a step for a subject.
    pub(super) fn waits_since(
        &self,
        subject: &ObjectKey,
        rule: RuleIndex,
        step: usize,
    ) -> Option<Timestamp> {
        if self.waits.is_empty() {
            return None;
        }
        let name = &self.rules.rules()[rule].name;
        let mut known = self.waits.get(subject)?.iter();
        known
            .find(|w| w.rule == *name && w.step == step)
            .map(|w| w.since)
    }

    /// An object was evaluated: what is waited for now, and what no longer.
    pub(super) fn note_waits(&mut self, key: &ObjectKey, decision: &Decision, now: Timestamp) {
        if decision.waits.is_empty() && self.waits.is_empty() {
            return;
        }
        let before = self.waits.remove(key).unwrap_or_default();
        let rules = &self.rules;
        let mut waits: Vec<Waiting> = decision
            .waits
            .iter()
            .map(|(index, step)| {
                let rule = &rules.rules()[*index].name;
                let known = before.iter().find(|w| w.rule == *rule && w.step == *step);
                Waiting {
                    rule: rule.clone(),
                    step: *step,
                    since: known.map_or(now, |w| w.since.min(now)),
                }
            })
            .collect();
        // While it is not known whether a rule matches, nothing ends.
        let unknown = |rule: &str| {
            let index = rules.index_of(rule);
            index.is_some_and(|index| decision.standing(index) == Standing::Waiting)
        };
        waits.extend(before.into_iter().filter(|w| unknown(&w.rule)));
        if !waits.is_empty() {
            self.waits.insert(key.clone(), waits);
        }
    }
}
