//! What is left of a decision that takes several requests: an object, its status and its replicas have an endpoint each, and the first request may
//! end the match from which the others came.
//!
//! They are made when the watch shows the first, each bound to the version that is there then, and only if nobody else has changed what it
//! writes meanwhile.

use super::{Engine, InFlight};
use crate::decide::{Decision, Operation, RuleChange, Write, rebased};
use crate::object::{ObjectKey, Record};
use jiff::Timestamp;

/// A request that was decided on and not made yet.
#[derive(Clone)]
pub(super) struct Unfinished {
    pub write: Write,
    /// The changes it makes.
    pub changes: Vec<RuleChange>,
    /// What it was decided on.
    pub before: Record,
}

impl Unfinished {
    /// What a request that is made leaves over of a decision: not the object's main endpoint, which a new decision speaks of.
    pub fn beside(made: &Write, all: &[Write], decided_on: &Record) -> Vec<Unfinished> {
        let is_left_over = |write: &&Write| match &write.operation {
            Operation::Patch { status, .. } => *status,
            Operation::Scale { .. } => true,
            _ => false,
        };
        let left = all.iter().filter(is_left_over).map(|write| Unfinished {
            write: write.clone(),
            changes: vec![],
            before: decided_on.clone(),
        });
        left.filter(|left| !left.is_as(made)).collect()
    }

    /// Whether a request goes to the same endpoint.
    pub fn is_as(&self, other: &Write) -> bool {
        match (&self.write.operation, &other.operation) {
            (Operation::Patch { status, .. }, Operation::Patch { status: other, .. }) => {
                status == other
            }
            (Operation::Scale { .. }, Operation::Scale { .. }) => true,
            _ => false,
        }
    }

    /// Whether another request leaves nothing to do for it.
    fn is_void_beside(&self, other: &Write) -> bool {
        let ends = matches!(other.operation, Operation::Delete { .. } | Operation::Evict);
        ends || self.is_as(other)
    }
}

impl Engine {
    /// Keeps what is left of the decision that a request came from, now that it was answered well.
    pub(super) fn leave_over(&mut self, request: &mut InFlight) {
        if !request.rest.is_empty() {
            let rest = std::mem::take(&mut request.rest);
            self.unfinished.insert(request.key.clone(), rest);
        }
    }

    /// Adds to a decision what an earlier one has left over. Answers what of its writes that is.
    pub(super) fn finish(
        &mut self,
        key: &ObjectKey,
        record: &Record,
        decision: &mut Decision,
        now: Timestamp,
    ) -> Vec<Unfinished> {
        if self.unfinished.is_empty() {
            return vec![];
        }
        let mut added = vec![];
        for left in self.unfinished.remove(key).unwrap_or_default() {
            if decision
                .writes
                .iter()
                .any(|write| left.is_void_beside(write))
            {
                continue;
            }
            let rules = std::sync::Arc::clone(&self.rules);
            let in_force = left.write.rules.iter().all(|name| {
                rules.index_of(name).is_some_and(|index| {
                    self.enforces_on(index, key) && self.closed(index, key, now).is_none()
                })
            });
            if in_force && let Some(write) = rebased(&left.write, &left.before, record) {
                decision.changes.extend(left.changes.iter().cloned());
                decision.writes.push(write.clone());
                added.push(Unfinished {
                    write,
                    changes: left.changes,
                    before: record.clone(),
                });
            }
        }
        added
    }
}
