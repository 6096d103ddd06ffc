//! Members of lists on which subjects want steps to act: whom the limits count, and what becomes of the requests.

use super::observe::at_or_past;
use super::{Engine, InFlight};
use crate::decide::{Decision, Operation, RuleChange, Write};
use crate::engine::Outcome;
use crate::object::ObjectKey;
use crate::rule::Verb;
use ahash::AHashMap;
use jiff::Timestamp;

/// Which targets are due for which subjects of one rule.
#[derive(Default)]
pub(super) struct Targets {
    by_subject: AHashMap<ObjectKey, Vec<ObjectKey>>,
    /// For how many subjects.
    due: AHashMap<ObjectKey, usize>,
}

impl Targets {
    /// The subjects that want something acted on.
    pub fn subjects(&self) -> impl Iterator<Item = &ObjectKey> {
        self.by_subject.keys()
    }

    /// What a subject wants acted on now. Tells of each target that has become due, or no longer is.
    fn set(
        &mut self,
        subject: &ObjectKey,
        mut targets: Vec<ObjectKey>,
        changed: &mut dyn FnMut(&ObjectKey, bool),
    ) {
        targets.sort();
        targets.dedup();
        for target in &targets {
            let subjects = self.due.entry(target.clone()).or_default();
            *subjects += 1;
            // Told anew even if it was due: what was done to it is over.
            changed(target, true);
        }
        let former = match targets.is_empty() {
            true => self.by_subject.remove(subject),
            false => self.by_subject.insert(subject.clone(), targets),
        };
        for target in former.into_iter().flatten() {
            if let Some(subjects) = self.due.get_mut(&target) {
                *subjects -= 1;
                if *subjects == 0 {
                    self.due.remove(&target);
                    changed(&target, false);
                }
            }
        }
    }
}

/// Whether a change was made by a step with a target: those of `apply` and `event` count for their subject.
fn is_of_target(change: &RuleChange, subject: &ObjectKey) -> bool {
    change.object != *subject
        && matches!(
            change.verb,
            Verb::Patch | Verb::Scale | Verb::Restart | Verb::Rollback | Verb::Delete | Verb::Evict
        )
}

/// The object that the limits count for a request on another object than its subject.
pub(super) fn counted<'k>(write: &'k Write, subject: &'k ObjectKey) -> &'k ObjectKey {
    match write.operation {
        Operation::Apply { .. } | Operation::Event { .. } | Operation::Archive { .. } => subject,
        Operation::Patch { .. }
        | Operation::Scale { .. }
        | Operation::Delete { .. }
        | Operation::Evict => &write.object,
    }
}

impl Engine {
    /// Takes note of the members that a rule would act on for a subject. Answers whether it would act on the subject itself.
    pub(super) fn note_targets(
        &mut self,
        index: usize,
        subject: &ObjectKey,
        acts: bool,
        decision: &Decision,
    ) -> bool {
        let rule = &self.rules.rules()[index];
        if rule.targeting().next().is_none() {
            return acts;
        }
        let changes = decision.changes.iter().chain(&decision.closed);
        let changes = changes.filter(|change| change.rule == rule.name);
        let (of_targets, own): (Vec<&RuleChange>, Vec<&RuleChange>) =
            changes.partition(|change| is_of_target(change, subject));
        let targets = match acts {
            true => of_targets.iter().map(|c| c.object.clone()).collect(),
            false => vec![],
        };
        let only_targets = own.is_empty() && !of_targets.is_empty();
        let state = &mut self.states[index];
        let limits = &mut state.limits;
        let mut changed = |target: &ObjectKey, due: bool| limits.set_due(target, due);
        state.targets.set(subject, targets, &mut changed);
        acts && !only_targets
    }

    /// A subject is gone, and with it what it wanted of others.
    pub(super) fn forget_targets(&mut self, index: usize, subject: &ObjectKey) {
        let state = &mut self.states[index];
        let limits = &mut state.limits;
        let mut changed = |target: &ObjectKey, due: bool| limits.set_due(target, due);
        state.targets.set(subject, vec![], &mut changed);
    }

    /// Whether the limits let a request on a target wait; the subject is looked at again then.
    pub(super) fn target_waits(
        &mut self,
        (index, write): (usize, &Write),
        subject: &ObjectKey,
        now: Timestamp,
    ) -> bool {
        if counted(write, subject) == subject {
            return false;
        }
        let limits = &self.rules.rules()[index].limits;
        let until = self.states[index]
            .limits
            .throttled_until(&write.object, limits, now);
        match until {
            Some(until) => {
                self.due.no_later_than(subject, until);
                true
            }
            None => false,
        }
    }

    /// The server took a request on a target with an answer that does not show the object, or does not find it.
    pub(super) fn target_answered(&mut self, request: InFlight, outcome: &Outcome, now: Timestamp) {
        let Some(write) = request.write() else { return };
        let deletes = matches!(write.operation, Operation::Delete { .. } | Operation::Evict);
        let was = write.resource_version.clone();
        let next = |version: &str| {
            let next = version.parse::<u128>().map_or(u128::MAX, |v| v + 1);
            next.to_string()
        };
        let shown_at = match outcome {
            Outcome::Accepted(version) => version.clone(),
            _ => next(&was),
        };
        match outcome {
            Outcome::Accepted(version) if *version == was => {
                self.learn_unchanged(&request);
                self.deed_done(&request, now);
                self.settle_deed(&request, request.fingerprint.0, None);
                self.deed_undone(&request);
            }
            Outcome::Accepted(_) => {
                self.deed_done(&request, now);
                self.wrote(&request, now);
            }
            _ if deletes => {
                self.leaves(&request.key, now);
                self.deed_done(&request, now);
            }
            // A change that found nothing has changed nothing, and is no fault either.
            _ => {
                self.queue.succeeded(&request.subject);
                self.deed_undone(&request);
            }
        }
        let known = self.store.get(&request.key);
        let behind = known
            .is_some_and(|entry| !at_or_past(entry.record.meta().resource_version(), &shown_at));
        if behind && matches!(outcome, Outcome::Accepted(_)) {
            let waiters = self.waiters.entry(request.key.clone()).or_default();
            if !waiters.contains(&request.subject) {
                waiters.push(request.subject.clone());
            }
            self.wait_to_see(request, shown_at, now);
        } else if behind {
            self.wait_with(request.subject, request.key, shown_at, now);
        } else {
            self.let_go(&request.key);
            self.nudge(request.subject, now);
        }
    }
}
