//! What a plan shows of rules whose schedule is closed: each for itself, on the object as it is, as if its schedule were open. Those that are
//! open are decided without them, as in a run, and those that are never open at one time never meet.

use super::Engine;
use crate::decide::pass::{PassContext, pass};
use crate::decide::{Decision, RuleChange, Subject};
use crate::object::ObjectKey;
use crate::rule::set::RuleIndex;
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// Whether a plan asks a rule about an object by itself.
    pub(super) fn is_asked_alone(&self, index: RuleIndex, key: &ObjectKey) -> bool {
        let rule = &self.rules.rules()[index];
        self.options.dry && rule.schedule.is_some() && self.opened(key, rule).is_none()
    }

    /// Adds to what the rules that are open do what the others would do. What these want of other objects is not noted: now they want nothing.
    pub(super) fn add_the_closed(
        &self,
        subject: &Subject<'_>,
        (now, gated): (Timestamp, &[Arc<str>]),
        decision: &mut Decision,
    ) {
        let key = subject.key;
        for index in self.rules.for_kind(&key.kind).iter().copied() {
            if !self.is_asked_alone(index, key) {
                continue;
            }
            let found = self.in_context(key, subject.record, now, gated, |context| {
                let alone = PassContext {
                    alone: Some(index),
                    ..*context
                };
                pass(subject, &alone)
            });
            decision.standings.retain(|(of, _)| *of != index);
            decision.standings.extend(found.standings);
            decision.closed.extend(found.changes);
            decision.findings.extend(found.findings);
            decision.later.extend(found.later);
            decision.others.extend(found.others);
            decision.ranks.retain(|(of, _)| *of != index);
            decision.ranks.extend(found.ranks);
            decision.wrong_types.extend(found.wrong_types);
        }
        decision.standings.sort_by_key(|(index, _)| *index);
    }

    /// What they would do counts for their limits: a plan shows what those hold back.
    pub(super) fn count_the_closed(
        &mut self,
        key: &ObjectKey,
        changes: &[RuleChange],
        now: Timestamp,
    ) {
        let rules = Arc::clone(&self.rules);
        for index in rules.for_kind(&key.kind) {
            let rule = &rules.rules()[*index];
            let acts = changes.iter().any(|change| {
                change.rule == rule.name && change.object == *key && !change.verb.is_free()
            });
            if acts && !self.is_closed(*index, key, now) {
                self.states[*index].limits.acted(key, &rule.limits, now);
            }
        }
    }
}
