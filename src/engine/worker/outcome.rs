//! What became of a request, and what follows from it.

use super::{Asked, Engine, Forbidden, InFlight, Settled};
use crate::decide::breaker::managers::others;
use crate::decide::{Finding, Operation, Reason, RuleChange};
use crate::engine::counts::{Histogram, RuleCounts};
use crate::engine::{Fault, Observation, Outcome, Report, RequestId, fingerprint};
use crate::object::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// A budget allows the next one when another Pod has become healthy, which takes some seconds.
pub(super) const BUDGET_PAUSE: Duration = Duration::from_secs(10);

/// Rights are not granted every second.
pub(super) const FORBIDDEN_PAUSE: SignedDuration = SignedDuration::from_secs(120);

impl Engine {
    /// Takes the answer to a request. An id that is not in flight is passed over.
    pub fn complete(&mut self, id: RequestId, outcome: Outcome, now: Timestamp) {
        let Some(request) = self.in_flight.remove(&id) else {
            self.kept(id, &outcome, now);
            return;
        };
        self.turn_over(&request, &outcome, now);
        if request.key == request.subject && !self.followed.contains_key(&request.key.kind) {
            return self.answered_late(&request, outcome, now);
        }
        match &request.asked {
            Asked::Write(_) => {}
            Asked::Read => return self.read_answered(request, outcome, now),
            Asked::Managers(rule, trails) => {
                let managed = match outcome {
                    Outcome::Managers(managed) => managed,
                    _ => vec![],
                };
                return self.managers_answered(&request.key, rule, others(&managed, trails), now);
            }
        }
        if request.key != request.subject {
            let subject = request.subject.clone();
            self.deed_answered(request, outcome, now);
            self.fan_answered(&subject);
            return;
        }
        let key = request.key.clone();
        match outcome {
            // No answer to a write: as if nobody had answered.
            Outcome::Managers(_) | Outcome::Kept(_) => self.failed(request, Fault::Timeout, now),
            Outcome::Written(record) | Outcome::Read(record) => {
                let version = record.meta().resource_version().to_owned();
                self.learn(&request, &record);
                self.note_stage(&request, Some(&record));
                self.taken(
                    request,
                    version,
                    Some(fingerprint::state(record.root())),
                    now,
                );
            }
            Outcome::Accepted(version) => {
                if request
                    .write()
                    .is_some_and(|w| w.resource_version == version)
                {
                    self.learn_unchanged(&request);
                }
                self.note_stage(&request, None);
                self.taken(request, version, None, now);
            }
            Outcome::Gone => {
                self.queue.succeeded(&key);
                let deletes = request.write().is_some_and(|w| {
                    matches!(w.operation, Operation::Delete { .. } | Operation::Evict)
                });
                if deletes {
                    self.leaves(&key, now);
                    self.allowed(&request);
                    self.report_made(&request, Ok(()), now);
                } else {
                    // A patch that found nothing has changed nothing, and is no fault either.
                    self.unacted(&request);
                }
                match self
                    .store
                    .get(&key)
                    .map(|e| e.record.meta().resource_version().to_owned())
                {
                    // The watch will show the deletion, or the mark of one: either is past the version that was deleted.
                    Some(version)
                        if request
                            .write()
                            .is_some_and(|w| w.resource_version == version) =>
                    {
                        self.wait_for(
                            key,
                            format!("{}", version.parse::<u128>().map_or(u128::MAX, |v| v + 1)),
                            now,
                        );
                    }
                    Some(_) => {
                        self.let_go(&key);
                        self.queue.push(key, now);
                    }
                    None => self.let_go(&key),
                }
            }
            Outcome::Failed(fault) => self.failed(request, fault, now),
        }
    }

    /// The answer to a request about a kind that no rule is about any more: people hear of it, nothing else comes of it.
    fn answered_late(&mut self, request: &InFlight, outcome: Outcome, now: Timestamp) {
        self.overdue.set(&request.key, None);
        self.let_go(&request.key);
        self.queue.drop_kind(&request.key.kind);
        if request.write().is_some() {
            let outcome = match outcome {
                Outcome::Failed(fault) => Err(fault),
                _ => Ok(()),
            };
            self.report_made(request, outcome, now);
        }
    }

    /// The server took a write: the object is at `version` now, and in `state`, if the answer showed it.
    fn taken(
        &mut self,
        mut request: InFlight,
        version: String,
        state: Option<u64>,
        now: Timestamp,
    ) {
        let key = request.key.clone();
        self.queue.succeeded(&key);
        self.refused.remove(&key);
        let unchanged = request
            .write()
            .is_some_and(|w| w.resource_version == version);
        let changes = std::mem::take(&mut request.changes);
        self.report_changes(&request, changes, Ok(()), now);
        self.allowed(&request);
        self.note_acts(&request);
        self.note_said(&key, &version, request.rules());
        self.follow_ups.append(&mut request.follow_ups);
        self.leave_over(&mut request);
        // An answer that shows nothing but that nothing changed: the state is still the one decided on.
        let state = state.or_else(|| unchanged.then_some(request.fingerprint.0));
        let known = self.store.get(&key).map(|e| e.record.meta());
        let same_object = known.is_some_and(|m| m.uid() == request.uid);
        let here = known.map(|m| super::observe::at_or_past(m.resource_version(), &version));
        if let (Some(state), true) = (state, same_object) {
            // If the rules see the object as the answer shows it and want the same again, asking again would lead nowhere.
            self.settle(&key, state, &request, None);
        }
        if unchanged {
            self.unacted(&request);
        } else {
            self.wrote(&request, now);
        }
        match here {
            _ if unchanged => {
                self.let_go(&key);
                self.queue.push(key, now);
            }
            Some(true) => {
                self.let_go(&key);
                self.queue.push(key, now);
            }
            // Deleted meanwhile, and the watch has shown it already.
            None => self.let_go(&key),
            Some(false) if state.is_none() => self.wait_to_see(request, version, now),
            Some(false) => self.wait_for(key, version, now),
        }
    }

    /// A direct read: what it shows is as good as an event.
    fn read_answered(&mut self, request: InFlight, outcome: Outcome, now: Timestamp) {
        let key = request.key;
        match outcome {
            Outcome::Read(record) | Outcome::Written(record) => {
                let newer = self.store.get(&key).is_none_or(|known| {
                    super::observe::at_or_past(
                        record.meta().resource_version(),
                        known.record.meta().resource_version(),
                    )
                });
                self.let_go(&key);
                if newer {
                    let kind = key.kind.clone();
                    self.observe(Observation::Applied { kind, record }, now);
                }
                self.queue.push(key, now);
            }
            Outcome::Gone => {
                self.gone(&key, now);
                self.let_go(&key);
            }
            Outcome::Failed(_) | Outcome::Accepted(_) | Outcome::Managers(_) | Outcome::Kept(_) => {
                self.pause(&key, request.wanted, None, now);
                for subject in self.wants.subjects(&key) {
                    self.later(&subject, request.wanted, None, now);
                }
            }
        }
    }

    /// It is known who else writes what a breaker has opened for, or that nobody knows.
    fn managers_answered(
        &mut self,
        key: &ObjectKey,
        rule: &Arc<str>,
        others: String,
        now: Timestamp,
    ) {
        let index = self.rules.index_of(rule);
        if let Some(index) = index
            && let Some(breaker) = self.breaker_mut(index, key)
        {
            breaker.named(others);
            self.queue.push(key.clone(), now);
            self.wake_subjects(key, now);
        }
    }

    /// A write was made: what it wrote is remembered, so that it is recognised when it has to be written again.
    pub(super) fn wrote(&mut self, request: &InFlight, now: Timestamp) {
        for (rule, places) in &request.places {
            if let Some(index) = self.rules.index_of(rule)
                && let Some(breaker) = self.breaker_mut(index, &request.key)
            {
                breaker.wrote(places, now);
            }
        }
    }

    fn failed(&mut self, request: InFlight, fault: Fault, now: Timestamp) {
        let key = request.key.clone();
        let rules = request.rules().to_vec();
        if fault.leaves_doubt() {
            self.unanswered(&request);
        } else {
            self.unacted(&request);
        }
        if self.store.get(&key).is_none() {
            // The object went meanwhile, and with it whatever could be remembered.
            self.let_go(&key);
            if fault != Fault::Stale {
                self.report_made(&request, Err(fault), now);
            }
            return;
        }
        self.note_stage_failed(&request, &fault);
        match &fault {
            // The newer object is on its way, or here already.
            Fault::Stale => {
                if let Some(left) = &request.left {
                    let rest = request.rest.iter().chain([left]).cloned().collect();
                    self.unfinished.insert(key.clone(), rest);
                }
                let known = self
                    .store
                    .get(&key)
                    .map(|e| e.record.meta().resource_version().to_owned());
                match (known, request.write()) {
                    (Some(known), Some(write)) if known == write.resource_version => {
                        let next = known
                            .parse::<u128>()
                            .map_or(u128::MAX, |v| v + 1)
                            .to_string();
                        self.wait_for(key, next, now);
                    }
                    (Some(_), _) => {
                        self.let_go(&key);
                        self.queue.push(key, now);
                    }
                    (None, _) => self.let_go(&key),
                }
                self.report_made(&request, Err(fault), now);
                return;
            }
            Fault::OwnershipConflict(message) | Fault::Refused(message) => {
                self.settle(&key, request.fingerprint.0, &request, Some(message.clone()));
                self.let_go(&key);
                self.queue.push(key.clone(), now);
            }
            Fault::Forbidden(message) => {
                // A condition of the rule there, not of this object: the others need not find out one by one.
                let until = now.checked_add(FORBIDDEN_PAUSE).unwrap_or(now);
                // Namespaces come and go.
                self.forbidden.retain(|_, f| f.until > now);
                for rule in &rules {
                    self.forbidden.insert(
                        (rule.clone(), key.kind.clone(), key.namespace.clone()),
                        Forbidden {
                            until,
                            message: message.clone(),
                        },
                    );
                }
                self.let_go(&key);
                self.queue.push(key.clone(), now);
            }
            Fault::Rejected(message) | Fault::Uncertain(message) => {
                self.add_refusal(&key, &rules, Reason::Refused, message);
                self.pause(&key, request.wanted, None, now);
            }
            Fault::Busy { retry_after, .. } => {
                self.pause(&key, request.wanted, *retry_after, now);
            }
            Fault::Unreachable(_) => self.pause(&key, request.wanted, None, now),
            // Neither a failure, nor a reason to ask at once.
            Fault::Budget(message) => {
                self.add_refusal(&key, &rules, Reason::Waiting, message);
                self.pause(&key, request.wanted, Some(BUDGET_PAUSE), now);
                return;
            }
            // Neither a failure nor anything to tell: whoever leads does it.
            Fault::Fenced => {
                self.pause(&key, request.wanted, None, now);
                return;
            }
            Fault::Timeout => {
                // It may have been done: read before deciding again.
                self.overdue.set(&key, Some(now));
            }
        }
        for rule in &rules {
            if let Some(index) = self.rules.index_of(rule) {
                let counts = &mut self.states[index].counts;
                counts.failures += 1;
                counts.errors.add(fault.as_str());
                self.states[index].last_error =
                    Some(format!("{key}: {}: {}", fault.as_str(), fault.message()));
            }
        }
        self.report_made(&request, Err(fault), now);
    }

    /// Holds a key for a pause: the server's own, or the next of its back-off.
    fn pause(
        &mut self,
        key: &ObjectKey,
        wanted: Timestamp,
        pause: Option<Duration>,
        now: Timestamp,
    ) {
        if self.store.get(key).is_none() {
            return self.let_go(key);
        }
        let backoff = self.queue.failed(key, wanted);
        let pause = SignedDuration::try_from(pause.unwrap_or(backoff))
            .unwrap_or(SignedDuration::from_secs(300));
        self.let_go(key);
        let until = now.checked_add(pause).unwrap_or(now);
        self.paused.insert(key.clone(), until);
        self.due.no_later_than(key, until);
    }

    /// Until when an object is left alone after a failure.
    pub(super) fn paused_until(&mut self, key: &ObjectKey, now: Timestamp) -> Option<Timestamp> {
        if self.paused.is_empty() {
            return None;
        }
        let until = *self.paused.get(key)?;
        if until > now {
            return Some(until);
        }
        self.paused.remove(key);
        None
    }

    /// A write that certainly did nothing does not count for the limits' windows; its key is due again.
    fn unacted(&mut self, request: &InFlight) {
        for rule in request.rules() {
            if let Some(index) = self.rules.index_of(rule) {
                self.states[index].limits.withdraw(&request.key);
            }
        }
        self.unanswered(request);
    }

    /// A write of which nobody has said that it was done is no round of a fight: a server in trouble opens no breaker.
    fn unanswered(&mut self, request: &InFlight) {
        for rule in request.rules() {
            if let Some(index) = self.rules.index_of(rule)
                && let Some(breaker) = self.breaker_mut(index, &request.key)
            {
                breaker.withdraw();
            }
        }
    }

    /// Remembers a request that leads nowhere as long as the object is in a state.
    pub(super) fn settle(
        &mut self,
        key: &ObjectKey,
        state: u64,
        request: &InFlight,
        refusal: Option<String>,
    ) {
        let settled = self.settled.entry(key.clone()).or_default();
        let operation = request.fingerprint.1;
        settled.retain(|s| s.state != state || s.operation != operation);
        settled.push(Settled {
            state,
            operation,
            refusal,
        });
    }

    /// The server took a write: its rules may write there.
    pub(super) fn allowed(&mut self, request: &InFlight) {
        if self.forbidden.is_empty() {
            return;
        }
        let key = &request.key;
        for rule in request.rules() {
            let place = (rule.clone(), key.kind.clone(), key.namespace.clone());
            self.forbidden.remove(&place);
        }
    }

    pub(super) fn add_refusal(
        &mut self,
        key: &ObjectKey,
        rules: &[std::sync::Arc<str>],
        reason: Reason,
        message: &str,
    ) {
        // Of an object that is gone nobody would ever take it back.
        if self.store.get(key).is_none() {
            return;
        }
        let findings: Vec<Finding> = rules
            .iter()
            .map(|rule| Finding {
                rule: rule.clone(),
                object: key.clone(),
                reason,
                message: message.to_owned(),
            })
            .collect();
        let mut all = self.findings.get(key).cloned().unwrap_or_default();
        all.retain(|f| !findings.contains(f));
        all.extend(findings.iter().cloned());
        self.refused.insert(key.clone(), findings);
        self.set_findings(key, all);
    }

    /// What is counted of a rule that is in force.
    pub(super) fn counts_of(&mut self, rule: &std::sync::Arc<str>) -> Option<&mut RuleCounts> {
        let index = self.rules.index_of(rule)?;
        Some(&mut self.states[index].counts)
    }

    pub(super) fn report_made(
        &mut self,
        request: &InFlight,
        outcome: Result<(), Fault>,
        now: Timestamp,
    ) {
        self.report_changes(request, request.changes.clone(), outcome, now);
    }

    fn report_changes(
        &mut self,
        request: &InFlight,
        changes: Vec<RuleChange>,
        outcome: Result<(), Fault>,
        now: Timestamp,
    ) {
        let took = Duration::try_from(now.duration_since(request.since)).unwrap_or_default();
        let since_wanted =
            Duration::try_from(now.duration_since(request.wanted)).unwrap_or_default();
        let ended = outcome.as_ref().map_or_else(Fault::as_str, |()| "Ok");
        for change in &changes {
            let Some(counts) = self.counts_of(&change.rule) else {
                continue;
            };
            let label = (change.object.kind.clone(), change.verb, ended);
            counts.changes.add(label);
            if outcome.is_ok() {
                counts.made += 1;
                counts.reaction.add(since_wanted);
            }
        }
        if let Some(change) = changes.first() {
            let verb = change.verb;
            let known = self.durations.iter().position(|(known, _)| *known == verb);
            let at = known.unwrap_or(self.durations.len());
            if known.is_none() {
                self.durations.push((verb, Histogram::default()));
            }
            self.durations[at].1.add(took);
        }
        self.keeper.touch();
        self.reports.push(Report::Changed {
            changes,
            outcome,
            took,
        });
    }
}
