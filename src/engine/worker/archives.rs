//! What of each subject lies in sinks: a deletion waits until that is what the subject is now.

use super::{Engine, InFlight};
use crate::decide::Operation;
use crate::engine::memory::Uid;
use crate::object::ObjectKey;
use crate::rule::set::RuleIndex;

impl Engine {
    /// Whether the step of a rule has written this content of an object last.
    pub(super) fn is_archived(
        &self,
        subject: &ObjectKey,
        rule: RuleIndex,
        step: usize,
        content: u64,
    ) -> bool {
        let Some(entry) = self.store.get(subject) else {
            return false;
        };
        let uid = Uid::of(entry.record.meta().uid());
        self.states[rule].matches.has_archived(uid, step, content)
    }

    /// A sink has taken a manifest.
    pub(super) fn note_archived(&mut self, request: &InFlight) {
        let Some(write) = request.write() else {
            return;
        };
        let (Operation::Archive { step, content, .. }, Some(rule)) =
            (&write.operation, write.rules.first())
        else {
            return;
        };
        let entry = self.store.get(&request.subject);
        if let (Some(index), Some(entry)) = (self.rules.index_of(rule), entry) {
            let uid = Uid::of(entry.record.meta().uid());
            self.states[index].matches.archived(uid, *step, *content);
        }
    }
}
