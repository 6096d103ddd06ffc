//! Paths that no schema vouches for, in rules that delete: one that no object has is more likely a typing error than an order to delete
//! everything that lacks it.

use super::Engine;
use crate::decide::{Finding, Reason, Standing};
use crate::engine::store::key_of;
use crate::engine::{Report, standings};
use crate::object::{ObjectKey, Record};
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// Takes note of the paths that an object in a rule's scope has. Once one had it, a path is none that was misspelt.
    pub(super) fn prove(
        &mut self,
        index: usize,
        key: &ObjectKey,
        record: &Record,
        standing: &Standing,
        now: Timestamp,
    ) {
        if matches!(standing, Standing::OutOfScope | Standing::Ignored) {
            return;
        }
        let schema = self.rules.schema().kind(&key.kind);
        let pod = schema.and_then(|s| s.pod_prefix());
        let unproven = &mut self.states[index].unproven;
        unproven.retain(|path| path.first(record.root(), pod).is_none());
        if unproven.is_empty() {
            self.review_paths(index);
            self.look_at_matched(index, now);
        }
    }

    /// Tells of a rule that is held back by such a path, as soon as its whole scope was looked at and it would do something, and when that ends.
    pub(super) fn review_paths(&mut self, index: usize) {
        let state = &self.states[index];
        if state.unproven.is_empty() && state.refusal.is_none() {
            return;
        }
        let known = state.scope_known || state.refusal.is_some();
        let rule = &self.rules.rules()[index];
        let holds = known && state.matched > 0 && !state.unproven.is_empty();
        let refusal = holds.then(|| {
            let paths: Vec<String> = state
                .unproven
                .iter()
                .map(|path| format!("`{}`", path.text()))
                .collect();
            let kinds = &rule.matches.kinds;
            Finding {
                rule: rule.name.clone(),
                object: ObjectKey::new(kinds[0].kind.clone(), None, "*"),
                reason: Reason::UncheckedPath,
                message: format!(
                    "no schema knows {} and no object in the scope has it: is it misspelt? The rule deletes, and does nothing until an object has it, the rule is changed or it is acknowledged",
                    paths.join(", ")
                ),
            }
        });
        let state = &mut self.states[index];
        if state.refusal == refusal {
            return;
        }
        if let Some(ended) = std::mem::replace(&mut state.refusal, refusal) {
            self.reports.push(Report::FindingEnded(ended));
        }
        if let Some(begun) = &state.refusal {
            self.reports.push(Report::Finding(begun.clone()));
        }
    }

    /// Looks again at every object that a rule matches.
    pub(super) fn look_at_matched(&mut self, index: usize, now: Timestamp) {
        let rules = Arc::clone(&self.rules);
        for resolved in &rules.rules()[index].matches.kinds {
            let of_kind = rules.for_kind(&resolved.kind);
            let position = of_kind.iter().position(|other| *other == index);
            let (Some(position), Some(objects)) = (position, self.store.kind(&resolved.kind))
            else {
                continue;
            };
            let mut matched: Vec<ObjectKey> = objects
                .iter()
                .filter(|(_, entry)| {
                    standings::get(&entry.standings, position) == standings::MATCHED
                })
                .map(|(name, _)| key_of(&resolved.kind, name))
                .collect();
            // The first of those for which one object is applied is the same each time.
            matched.sort_unstable();
            for key in matched {
                self.queue.push(key, now);
            }
        }
    }
}
