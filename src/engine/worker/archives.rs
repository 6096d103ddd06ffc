//! What of each subject lies in sinks: a deletion waits until that is what the subject is now.

use super::{Engine, InFlight};
use crate::decide::Operation;
use crate::object::ObjectKey;
use crate::rule::set::RuleIndex;
use std::sync::Arc;

/// A manifest in a sink.
pub(super) struct Archived {
    rule: Arc<str>,
    step: usize,
    content: u64,
}

impl Archived {
    pub(super) fn rule(&self) -> &Arc<str> {
        &self.rule
    }
}

impl Engine {
    /// Whether the step of a rule has written this content of an object last.
    pub(super) fn is_archived(
        &self,
        subject: &ObjectKey,
        rule: RuleIndex,
        step: usize,
        content: u64,
    ) -> bool {
        let name = &self.rules.rules()[rule].name;
        let known = self.archived.get(subject).into_iter().flatten();
        known
            .into_iter()
            .any(|a| a.rule == *name && a.step == step && a.content == content)
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
        let archived = self.archived.entry(request.subject.clone()).or_default();
        archived.retain(|a| a.rule != *rule || a.step != *step);
        archived.push(Archived {
            rule: rule.clone(),
            step: *step,
            content: *content,
        });
    }
}
