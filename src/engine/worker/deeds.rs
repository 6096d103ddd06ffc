//! Requests on other objects than the subject: what `apply` and `event` steps ask, and what becomes of that.

use super::observe::at_or_past;
use super::outcome::{BUDGET_PAUSE, FORBIDDEN_PAUSE};
use super::targets::counted;
use super::{Asked, Engine, Forbidden, InFlight, SettledDeed};
use crate::decide::breaker::places::written;
use crate::decide::{
    Neighbours, Operation, Opponent, Picked, Prospect, Reason, RuleChange, Want, Write,
};
use crate::engine::store::{Sync, name_of};
use crate::engine::{Effect, Fault, Outcome, fingerprint};
use crate::object::{GroupKind, Gvk, Meta, ObjectKey, Record};
use crate::rule::Rule;
use crate::rule::pick::Rank;
use crate::rule::related::{Member, Probe};
use crate::rule::schedule::Schedule;
use crate::rule::set::RuleIndex;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Most requests on one object that are remembered as leading nowhere.
const MOST_SETTLED: usize = 32;

/// What an engine knows around one subject.
pub(super) struct Around<'e> {
    pub engine: &'e Engine,
    pub subject: &'e ObjectKey,
    pub now: Timestamp,
}

impl Neighbours for Around<'_> {
    fn get(&self, object: &ObjectKey) -> Result<Option<Record>, String> {
        if !self.engine.looks_at_namespace(object) {
            return Err("its namespace is not looked at (--namespace)".into());
        }
        let Some(kind) = self.engine.store.kind(&object.kind) else {
            return Err(format!("{} is not followed", object.kind));
        };
        match &kind.sync {
            Sync::Synced => Ok(kind.get(&name_of(object)).map(|e| e.record.clone())),
            Sync::Pending => Err(format!("{} is not listed yet", object.kind)),
            Sync::Lost(why) => Err(format!("{} cannot be followed: {why:?}", object.kind)),
        }
    }

    fn candidates(&self, rule: &Rule, list: usize, probe: &Probe) -> Result<Vec<Member>, String> {
        self.engine.candidates(rule, list, probe)
    }

    fn prospect(&self, rule: RuleIndex, write: &Write) -> Prospect {
        let engine = self.engine;
        let object = &write.object;
        let name = &engine.rules.rules()[rule].name;
        let place = (name.clone(), object.kind.clone(), object.namespace.clone());
        if let Some(forbidden) = engine.forbidden.get(&place)
            && forbidden.until > self.now
        {
            let message = forbidden.message.clone();
            return Prospect::Barred(Reason::Forbidden, message, Some(forbidden.until));
        }
        let counts = match &write.operation {
            Operation::Apply { counts, .. } => *counts,
            Operation::Patch { .. } | Operation::Scale { .. } => true,
            Operation::Event { .. } | Operation::Archive { .. } => return Prospect::New,
            Operation::Delete { .. } | Operation::Evict => false,
        };
        if matches!(write.operation, Operation::Evict)
            && let Some((until, message)) = engine.budgeted.get(object)
            && *until > self.now
        {
            return Prospect::Barred(Reason::Waiting, message.clone(), Some(*until));
        }
        if counts && let Some(message) = engine.breaker_message(rule, object) {
            return Prospect::Barred(Reason::BreakerOpen, message, None);
        }
        let (state, operation) = engine.fingerprint_of(write);
        let known = engine.settled_deeds.get(object).into_iter().flatten();
        for settled in known {
            if settled.state == state && settled.operation == operation && settled.rule == *name {
                return match &settled.refusal {
                    None => Prospect::Made,
                    Some((reason, message)) => Prospect::Barred(*reason, message.clone(), None),
                };
            }
        }
        Prospect::New
    }

    fn is_coming(&self, object: &ObjectKey) -> bool {
        self.engine.queue.is_held(object)
    }

    fn disagreeing(
        &self,
        object: &ObjectKey,
        rule: &str,
        subject: &ObjectKey,
        contents: u64,
    ) -> Option<ObjectKey> {
        self.engine
            .wants
            .disagreeing(object, rule, subject, contents)
    }

    fn opposing(&self, want: &Want) -> Vec<Opponent> {
        self.engine.wants.opposing(want)
    }

    fn agreeing(&self, object: &ObjectKey, rule: &str, contents: u64) -> Vec<ObjectKey> {
        self.engine.wants.agreeing(object, rule, contents)
    }

    fn picks(&self, rule: RuleIndex, rank: &Rank) -> Picked {
        let picks = self.engine.states[rule].picks.as_ref();
        picks.map_or(Picked::No, |p| p.would_pick(self.subject, rank))
    }

    fn waits_since(&self, rule: RuleIndex, step: usize) -> Option<Timestamp> {
        self.engine.waits_since(self.subject, rule, step)
    }

    fn archived(&self, rule: RuleIndex, step: usize, content: u64) -> bool {
        self.engine.is_archived(self.subject, rule, step, content)
    }

    fn still_held(
        &self,
        rule: RuleIndex,
        object: &ObjectKey,
        by: (&[(ObjectKey, String)], &[Box<str>]),
    ) -> Option<Vec<bool>> {
        self.engine.still_held(rule, object, by, self.now)
    }

    fn enforces_for(&self, rule: RuleIndex, subjects: &[(ObjectKey, String)]) -> bool {
        self.engine.chosen_all(rule, subjects)
    }

    fn is_gone(&self, rule: &str) -> bool {
        self.engine.is_gone(rule)
    }

    fn begun(&self, rule: RuleIndex, step: usize) -> Option<u32> {
        self.engine.begun(self.subject, rule, step)
    }

    fn revisions(&self, owner: &ObjectKey, kind: &GroupKind) -> Result<Vec<Record>, String> {
        let objects = match self.engine.store.kind(kind) {
            Some(objects) if objects.sync == Sync::Synced => objects,
            _ => return Err(format!("{kind} is not known yet")),
        };
        let uid = self.engine.store.get(owner);
        let uid = uid.map_or("", |entry| entry.record.meta().uid());
        let owned = objects.iter().filter(|(name, entry)| {
            let meta = entry.record.meta();
            name.namespace == owner.namespace && is_controlled(meta, owner, uid)
        });
        Ok(owned.map(|(_, entry)| entry.record.clone()).collect())
    }

    fn opened(&self, rule: &Rule, _: &Schedule, _: Timestamp) -> Option<Timestamp> {
        self.engine.opened(self.subject, rule)
    }
}

/// Whether an object is the controller of another. A reference without uid, as a person writes it, means whoever is called so.
fn is_controlled(meta: Meta<'_>, owner: &ObjectKey, uid: &str) -> bool {
    let named = meta.controller().is_some_and(|(api_version, kind, name)| {
        *name == *owner.name && Gvk::from_api_version(api_version, kind).group_kind() == owner.kind
    });
    named
        && meta
            .controller_uid()
            .is_none_or(|known| known.is_empty() || known == uid)
}

/// Whether a request on another object than its subject counts for that object's breaker.
fn counts_for_breaker(write: &Write) -> bool {
    matches!(
        write.operation,
        Operation::Apply { counts: true, .. } | Operation::Patch { .. } | Operation::Scale { .. }
    )
}

/// Whether a request was made by a step with a target.
fn is_of_target(request: &InFlight) -> bool {
    let write = request.write();
    write.is_some_and(|write| counted(write, &request.subject) != &request.subject)
}

impl Engine {
    fn fingerprint_of(&self, write: &Write) -> (u64, u64) {
        let entry = self.store.get(&write.object);
        let state = entry.map_or(0, |e| fingerprint::state(e.record.root()));
        (state, fingerprint::operation(&write.operation))
    }

    /// Sends a request on another object, unless that object waits for an answer, or changes too often.
    pub(super) fn send_deed(
        &mut self,
        write: Write,
        changes: Vec<RuleChange>,
        subject: &ObjectKey,
        (wanted, now): (Timestamp, Timestamp),
        effects: &mut Vec<Effect>,
    ) {
        let object = write.object.clone();
        if self.queue.is_held(&object) {
            self.waiters
                .entry(object)
                .or_default()
                .push(subject.clone());
            return;
        }
        if self.in_flight.len() >= self.options.workers {
            return self.keep_back(subject, (write, changes), wanted);
        }
        let rules = self.rules.clone();
        let Some((name, index)) = write
            .rules
            .first()
            .and_then(|name| Some((name.clone(), rules.index_of(name)?)))
        else {
            return;
        };
        let mut places = vec![];
        let limits = &rules.rules()[index].limits;
        // The rule may have stopped since it was decided on.
        if self.states[index].limits.aborted().is_some() {
            return self.nudge(subject.clone(), now);
        }
        if self.target_waits((index, &write), subject, now) {
            return;
        }
        if counts_for_breaker(&write) {
            places = changes.iter().flat_map(written).collect();
            if !self.states[index].admit(&object, limits.per_object, &places, now) {
                self.ask_for_managers(&object, &name, &places, now, effects);
                return;
            }
        }
        let object_counted = counted(&write, subject);
        self.states[index].limits.acted(object_counted, limits, now);
        let fingerprint = self.fingerprint_of(&write);
        self.next_id += 1;
        let id = self.next_id;
        self.queue.hold(object.clone());
        self.in_flight.insert(
            id,
            InFlight {
                key: object,
                subject: subject.clone(),
                asked: Asked::Write(Box::new(write.clone())),
                changes,
                follow_ups: vec![],
                rest: vec![],
                left: None,
                places: vec![(name, places)],
                wanted,
                since: now,
                fingerprint,
                uid: write.uid.clone(),
            },
        );
        self.fans.sent(subject);
        effects.push(Effect::Write(id, Box::new(write)));
    }

    /// Sends what had to wait for a change of the subject itself.
    pub(super) fn send_follow_ups(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for (subject, write, changes) in std::mem::take(&mut self.follow_ups) {
            if self.frozen || self.is_told(&subject, &write) {
                continue;
            }
            self.send_deed(write, changes, &subject, (now, now), effects);
        }
    }

    /// Whether an Event was told meanwhile, along with an earlier change of its subject.
    fn is_told(&self, subject: &ObjectKey, write: &Write) -> bool {
        let Operation::Event { step, .. } = &write.operation else {
            return false;
        };
        let index = write
            .rules
            .first()
            .and_then(|rule| self.rules.index_of(rule));
        let acts_once = write.acts.is_empty();
        acts_once && index.is_some_and(|index| self.begun(subject, index, *step).is_none())
    }

    /// Whether an object is in the namespaces that are looked at: of others nothing is known.
    pub(super) fn looks_at_namespace(&self, object: &ObjectKey) -> bool {
        let namespaces = &self.options.namespaces;
        object.namespace.as_ref().is_none_or(|namespace| {
            namespaces.is_empty() || namespaces.iter().any(|n| **n == **namespace)
        })
    }

    /// Lets a key go, and with it the subjects that waited for it.
    pub(super) fn let_go(&mut self, key: &ObjectKey) {
        self.queue.release(key);
        for subject in self.waiters.remove(key).unwrap_or_default() {
            self.nudge(subject, self.clock);
        }
    }

    /// An object has changed, or is gone: those who want something of it are looked at.
    pub(super) fn wake_subjects(&mut self, object: &ObjectKey, now: Timestamp) {
        let mut subjects = self.wants.subjects(object);
        self.put_in_order(&mut subjects);
        for subject in subjects {
            self.nudge(subject, now);
        }
        self.wake_related(object, now);
    }

    /// The answer to a request on another object.
    pub(super) fn deed_answered(&mut self, request: InFlight, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Written(record) | Outcome::Read(record) => self.applied(request, &record, now),
            Outcome::Accepted(_) | Outcome::Gone if is_of_target(&request) => {
                self.target_answered(request, &outcome, now);
            }
            Outcome::Accepted(_) => {
                self.note_archived(&request);
                self.note_told(&request, now);
                self.deed_done(&request, now);
                self.let_go(&request.key);
                self.nudge(request.subject, now);
            }
            Outcome::Gone => {
                let fault = Fault::Rejected("the server does not find it".into());
                self.deed_failed(request, fault, now);
            }
            Outcome::Managers(_) | Outcome::Kept(_) => {
                self.deed_failed(request, Fault::Timeout, now)
            }
            Outcome::Failed(fault) => self.deed_failed(request, fault, now),
        }
    }

    pub(super) fn deed_done(&mut self, request: &InFlight, now: Timestamp) {
        self.queue.succeeded(&request.subject);
        self.refused.remove(&request.subject);
        self.report_made(request, Ok(()), now);
        self.allowed(request);
        self.note_acts(request);
        self.note_stage(request, None);
    }

    fn applied(&mut self, request: InFlight, record: &Record, now: Timestamp) {
        self.deed_done(&request, now);
        self.learn(&request, record);
        let version = record.meta().resource_version().to_owned();
        let write = request.write();
        let unchanged = write.is_some_and(|w| w.resource_version == version);
        // If the object looks as the answer shows it and the same is wanted again, asking again would lead nowhere.
        self.settle_deed(&request, fingerprint::state(record.root()), None);
        if unchanged {
            self.deed_undone(&request);
        } else {
            self.wrote(&request, now);
        }
        let known = self.store.get(&request.key);
        let here = known.is_some_and(|e| at_or_past(e.record.meta().resource_version(), &version));
        if unchanged || here {
            self.let_go(&request.key);
            self.nudge(request.subject, now);
        } else {
            self.wait_with(request.subject, request.key, version, now);
        }
    }

    /// As [`Engine::wait_for`], and then the subject is looked at, whatever the watch shows of the object: what was written, or what stood in
    /// the way, need not be among what is kept of it.
    pub(super) fn wait_with(
        &mut self,
        subject: ObjectKey,
        object: ObjectKey,
        version: String,
        now: Timestamp,
    ) {
        let waiters = self.waiters.entry(object.clone()).or_default();
        if !waiters.contains(&subject) {
            waiters.push(subject);
        }
        self.wait_for(object, version, now);
    }

    /// It certainly changed nothing: it does not count for limits and breakers.
    pub(super) fn deed_undone(&mut self, request: &InFlight) {
        let Some(write) = request.write() else {
            return;
        };
        let object = counted(write, &request.subject);
        for rule in &write.rules {
            let index = self.rules.index_of(rule);
            if let Some(state) = index.map(|index| &mut self.states[index]) {
                state.limits.withdraw(object);
            }
        }
        self.deed_unanswered(request);
    }

    /// Nobody has said that it was done: no round of a fight.
    fn deed_unanswered(&mut self, request: &InFlight) {
        let Some(write) = request.write().filter(|write| counts_for_breaker(write)) else {
            return;
        };
        for rule in &write.rules {
            let index = self.rules.index_of(rule);
            if let Some(state) = index.map(|index| &mut self.states[index])
                && let Some(breaker) = state.breakers.get_mut(&request.key)
            {
                breaker.withdraw();
            }
        }
    }

    pub(super) fn settle_deed(
        &mut self,
        request: &InFlight,
        state: u64,
        refusal: Option<(Reason, String)>,
    ) {
        let rule = request.rules().first();
        let Some(rule) = rule.cloned() else { return };
        let operation = request.fingerprint.1;
        let settled = self.settled_deeds.entry(request.key.clone()).or_default();
        settled.retain(|s| s.state == state && (s.operation != operation || s.rule != rule));
        if settled.len() >= MOST_SETTLED {
            settled.remove(0);
        }
        settled.push(SettledDeed {
            rule,
            state,
            operation,
            refusal,
        });
    }

    fn deed_failed(&mut self, request: InFlight, fault: Fault, now: Timestamp) {
        let (object, subject) = (request.key.clone(), request.subject.clone());
        let Some(write) = request.write().cloned() else {
            return;
        };
        let event = matches!(
            write.operation,
            Operation::Event { .. } | Operation::Archive { .. }
        );
        if fault.leaves_doubt() {
            self.deed_unanswered(&request);
        } else {
            self.deed_undone(&request);
        }
        self.note_stage_failed(&request, &fault);
        match &fault {
            Fault::Stale => {
                let known = self.store.get(&object);
                let known = known.map(|e| e.record.meta().resource_version().to_owned());
                match known {
                    Some(known) if known == write.resource_version => {
                        let next = known.parse::<u128>().map_or(u128::MAX, |v| v + 1);
                        self.wait_with(subject, object, next.to_string(), now);
                    }
                    // Made by somebody in between, and not seen yet.
                    None if write.resource_version.is_empty() => {
                        self.let_go(&object);
                        self.later(&subject, request.wanted, None, now);
                    }
                    _ => {
                        self.let_go(&object);
                        self.nudge(subject, now);
                    }
                }
                self.report_made(&request, Err(fault), now);
                return;
            }
            Fault::OwnershipConflict(message) | Fault::Refused(message) if !event => {
                let reason = match &fault {
                    Fault::Refused(_) => Reason::Refused,
                    _ => Reason::OwnershipConflict,
                };
                let told = match reason {
                    Reason::Refused => message.clone(),
                    _ => format!(
                        "{message}: the field is another manager's; `force: true` would take it"
                    ),
                };
                self.settle_deed(&request, request.fingerprint.0, Some((reason, told)));
                self.let_go(&object);
                self.nudge(subject, now);
            }
            Fault::Forbidden(message) => {
                let until = now.checked_add(FORBIDDEN_PAUSE).unwrap_or(now);
                self.forbidden.retain(|_, f| f.until > now);
                for rule in &write.rules {
                    let place = (rule.clone(), object.kind.clone(), object.namespace.clone());
                    let message = message.clone();
                    self.forbidden.insert(place, Forbidden { until, message });
                }
                self.let_go(&object);
                self.nudge(subject, now);
            }
            // Neither a failure, nor a reason to ask at once, whatever else the subject is looked at for.
            Fault::Budget(message) => {
                let until = now.checked_add(BUDGET_PAUSE).unwrap_or(now);
                self.budgeted.retain(|_, (until, _)| *until > now);
                self.budgeted
                    .insert(object.clone(), (until, message.clone()));
                self.let_go(&object);
                self.nudge(subject, now);
                return;
            }
            Fault::Rejected(message)
            | Fault::Uncertain(message)
            | Fault::Refused(message)
            | Fault::OwnershipConflict(message) => {
                let message = format!("{object}: {message}");
                self.add_refusal(&subject, &write.rules, Reason::Refused, &message);
                self.let_go(&object);
                self.later(&subject, request.wanted, None, now);
            }
            Fault::Busy { retry_after, .. } => {
                self.let_go(&object);
                self.later(&subject, request.wanted, *retry_after, now);
            }
            // Whoever leads does it.
            Fault::Fenced => {
                self.let_go(&object);
                self.later(&subject, request.wanted, None, now);
                return;
            }
            Fault::Timeout if !event => {
                // Whatever is read then, the subject is to be looked at.
                let waiters = self.waiters.entry(object.clone()).or_default();
                waiters.push(subject.clone());
                self.overdue.set(&object, Some(now));
            }
            // A second Event of the same name is none.
            Fault::Timeout | Fault::Unreachable(_) => {
                self.let_go(&object);
                self.later(&subject, request.wanted, None, now);
            }
        }
        for rule in &write.rules {
            if let Some(index) = self.rules.index_of(rule) {
                let counts = &mut self.states[index].counts;
                counts.failures += 1;
                counts.errors.add(fault.as_str());
                self.states[index].last_error =
                    Some(format!("{object}: {}: {}", fault.as_str(), fault.message()));
            }
        }
        self.report_made(&request, Err(fault), now);
    }

    /// Looks at a subject again after a pause: the server's own, or the next of its back-off.
    pub(super) fn later(
        &mut self,
        subject: &ObjectKey,
        wanted: Timestamp,
        pause: Option<Duration>,
        now: Timestamp,
    ) {
        if self.store.get(subject).is_none() {
            return;
        }
        let backoff = self.queue.failed(subject, wanted);
        let pause = SignedDuration::try_from(pause.unwrap_or(backoff))
            .unwrap_or(SignedDuration::from_secs(300));
        let at = now.checked_add(pause).unwrap_or(now);
        self.due.no_later_than(subject, at);
    }
}
