//! One object: a pass, the limits, at most one request.

use super::{Awaited, Effect, Engine, InFlight, PATIENCE};
use crate::decide::pass::{PassContext, pass};
use crate::decide::{Decision, Finding, Operation, Reason, RuleChange, Standing, Subject, Write};
use crate::engine::standings;
use crate::engine::store::{Sync, name_of};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::{Mode, Rule};
use jiff::Timestamp;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// Fixed keys: fingerprints are compared only within a process, but the same must give the same.
fn hasher() -> ahash::AHasher {
    ahash::RandomState::with_seeds(1, 2, 3, 4).build_hasher()
}

/// Of an object's state without its version, for remembering what was answered unchanged.
fn state_fingerprint(record: &Record) -> u64 {
    let mut hash = hasher();
    let mut value = record.to_value();
    if let Some(metadata) = value
        .get_mut("metadata")
        .and_then(serde_json::Value::as_object_mut)
    {
        metadata.remove("resourceVersion");
    }
    value.to_string().hash(&mut hash);
    hash.finish()
}

/// Of what is asked for, without the version it was decided on.
fn operation_fingerprint(write: &Write) -> u64 {
    let mut hash = hasher();
    match &write.operation {
        Operation::Patch { status, operations } => {
            status.hash(&mut hash);
            for operation in operations
                .iter()
                .filter(|o| o.path().as_str() != "/metadata/resourceVersion")
            {
                serde_json::to_string(operation)
                    .unwrap_or_default()
                    .hash(&mut hash);
            }
        }
        Operation::Delete { .. } => "delete".hash(&mut hash),
    }
    hash.finish()
}

/// Of a change, for telling it once.
fn change_fingerprint(change: &RuleChange) -> u64 {
    let mut hash = hasher();
    change.verb.as_str().hash(&mut hash);
    change.before.to_string().hash(&mut hash);
    change
        .after
        .as_ref()
        .map(ToString::to_string)
        .hash(&mut hash);
    hash.finish()
}

impl Engine {
    /// Whether a rule's `abortAbove` or `throttle` needs to be asked.
    fn is_limited(rule: &Rule) -> bool {
        rule.limits.abort_objects.is_some()
            || rule.limits.abort_percent.is_some()
            || rule.limits.throttle.is_some()
    }

    fn enforces(&self, rule: &Rule) -> bool {
        (self.options.assume_enforce || rule.mode == Mode::Enforce) && !self.frozen
    }

    /// Why a rule may not act on an object now; the moment at which that ends by itself, if it does.
    fn closed(
        &mut self,
        index: usize,
        key: &ObjectKey,
        now: Timestamp,
    ) -> Option<(Reason, String, Option<Timestamp>)> {
        let rule = Arc::clone(&self.rules.rules()[index]);
        let state = &mut self.states[index];
        if state.breaker_open(key) {
            let (most, period) = rule
                .limits
                .per_object
                .unwrap_or(crate::decide::breaker::DEFAULT);
            let message = format!(
                "changed more than {most} times in {}: something else writes the same fields; the rule leaves this object alone until it is acknowledged or changed",
                crate::object::duration::format(period)
            );
            return Some((Reason::BreakerOpen, message, None));
        }
        if let Some(why) = state.limits.aborted() {
            return Some((
                Reason::Aborted,
                format!("the rule stopped: {why}; it goes on when it is acknowledged or changed"),
                None,
            ));
        }
        if let Some(until) = state.limits.throttled_until(&rule.limits, now) {
            return Some((
                Reason::Throttled,
                "throttle: waits for its turn".to_owned(),
                Some(until),
            ));
        }
        None
    }

    /// Whether the whole scope of a limited rule was evaluated, so that its limits know how many objects are concerned.
    fn scope_known(&self, index: usize) -> bool {
        self.states[index].scope_known
    }

    /// Marks limited rules whose scope is evaluated by now, and lets the objects go on that waited for it.
    pub(super) fn open_limited_rules(&mut self, now: Timestamp) {
        for index in 0..self.states.len() {
            let rule = Arc::clone(&self.rules.rules()[index]);
            if self.states[index].scope_known || !Self::is_limited(&rule) {
                continue;
            }
            let complete = rule.matches.kinds.iter().all(|k| {
                self.store
                    .kind(&k.kind)
                    .is_some_and(|kind| match kind.sync {
                        Sync::Synced => kind.fresh == 0,
                        Sync::Lost(_) => true,
                        Sync::Pending => false,
                    })
            });
            if !complete || !rule.matches.kinds.iter().any(|k| self.is_ready(&k.kind)) {
                continue;
            }
            self.states[index].scope_known = true;
            self.check_limits(index, now);
            let due: Vec<ObjectKey> = self.states[index].limits.due().cloned().collect();
            for key in due {
                self.queue.push(key, now);
            }
        }
    }

    /// Stops a rule that concerns more objects than it may.
    fn check_limits(&mut self, index: usize, now: Timestamp) -> bool {
        let rule = Arc::clone(&self.rules.rules()[index]);
        let state = &mut self.states[index];
        let in_scope = state.in_scope;
        if !state.limits.check(&rule.limits, in_scope, now) {
            return false;
        }
        let acted = state.limits.acted_count(now);
        let due = state.limits.due_count();
        let limit = state.limits.aborted().unwrap_or_default().to_owned();
        self.reports.push(crate::engine::Report::Aborted {
            rule: rule.name.clone(),
            due,
            acted,
            limit,
        });
        true
    }

    /// Looks at one object.
    pub(super) fn evaluate(&mut self, key: ObjectKey, now: Timestamp, effects: &mut Vec<Effect>) {
        let name = name_of(&key);
        self.store.kind_mut(&key.kind).set_fresh(&name, false);
        let Some(entry) = self.store.get(&key) else {
            return;
        };
        let record = entry.record.clone();
        self.evaluations += 1;
        let mut decision = self.decide(&key, &record, now);
        self.note_standings(&key, &decision);
        // Limited rules that would act: count them, and close those that may not.
        let rules = Arc::clone(&self.rules);
        let indexes = rules.for_kind(&key.kind);
        let mut stopped = false;
        for (index, standing) in &decision.standings {
            let rule = &rules.rules()[*index];
            if Self::is_limited(rule) {
                let acts = *standing == Standing::Matched { acts: true } && self.enforces(rule);
                self.states[*index].limits.set_due(&key, acts);
                if acts && self.scope_known(*index) {
                    stopped |= self.check_limits(*index, now);
                }
            }
        }
        if stopped {
            decision = self.decide(&key, &record, now);
        }
        let mut recheck = decision.recheck_at;
        let mut findings = std::mem::take(&mut decision.findings);
        for index in indexes {
            self.states[*index].evaluations += 1;
        }
        for (index, reason) in &decision.wrong_types {
            self.states[*index].wrong_types += 1;
            self.states[*index].last_error = Some(reason.clone());
        }
        let acting: Vec<usize> = decision
            .standings
            .iter()
            .filter(|(index, standing)| {
                *standing == Standing::Matched { acts: true }
                    && self.enforces(&rules.rules()[*index])
            })
            .map(|(index, _)| *index)
            .collect();
        for index in acting {
            if let Some((reason, message, until)) = self.closed(index, &key, now) {
                findings.push(Finding {
                    rule: rules.rules()[index].name.clone(),
                    object: key.clone(),
                    reason,
                    message,
                });
                recheck = [recheck, until].into_iter().flatten().min();
            }
        }
        self.due.set(&key, recheck);
        let write = decision.writes.into_iter().next();
        let asked = write.as_ref().map(|w| w.rules.clone()).unwrap_or_default();
        if let Some(refused) = self.refused.get(&key) {
            findings.extend(refused.iter().cloned());
        }
        let (made, told): (Vec<RuleChange>, Vec<RuleChange>) = decision
            .changes
            .into_iter()
            .partition(|change| !self.options.dry && asked.contains(&change.rule));
        self.tell(&key, told);
        match write {
            Some(write) if !self.options.dry => {
                self.emit(write, made, &record, now, effects, &mut findings)
            }
            Some(write) => {
                // A plan counts what a run would do, so that it shows what the limits hold back.
                for index in indexes {
                    if write.rules.contains(&rules.rules()[*index].name) {
                        self.states[*index].limits.acted(&key, now);
                    }
                }
                self.queue.succeeded(&key);
            }
            None => self.queue.succeeded(&key),
        }
        self.set_findings(&key, findings);
    }

    fn decide(&mut self, key: &ObjectKey, record: &Record, now: Timestamp) -> Decision {
        let rules = Arc::clone(&self.rules);
        let mut open = ahash::AHashSet::new();
        if !self.frozen {
            for index in rules.for_kind(&key.kind) {
                let rule = &rules.rules()[*index];
                let held = Self::is_limited(rule) && !self.states[*index].scope_known;
                if self.enforces(rule) && !held && self.closed_quietly(*index, key, now).is_none() {
                    open.insert(*index);
                }
            }
        }
        let namespace = self.namespace_of(key, record);
        let context = PassContext {
            rules: &rules,
            namespace: match &namespace {
                Ok(record) => Ok(record.as_ref()),
                Err(why) => Err(why),
            },
            now,
            gate: &|index| open.contains(&index),
            assume_enforce: self.options.assume_enforce,
            state_namespace: &self.options.state_namespace,
        };
        pass(&Subject { key, record }, &context)
    }

    /// As [`Engine::closed`], without words: asked for every rule of every event.
    fn closed_quietly(&mut self, index: usize, key: &ObjectKey, now: Timestamp) -> Option<()> {
        let rules = Arc::clone(&self.rules);
        let state = &mut self.states[index];
        let closed = state.breaker_open(key)
            || state.limits.aborted().is_some()
            || state
                .limits
                .throttled_until(&rules.rules()[index].limits, now)
                .is_some();
        closed.then_some(())
    }

    /// The Namespace of an object, or why it is not known.
    fn namespace_of(&self, key: &ObjectKey, record: &Record) -> Result<Option<Record>, String> {
        if key.kind == self.namespace_kind {
            return Ok(Some(record.clone()));
        }
        let Some(namespace) = &key.namespace else {
            return Ok(None);
        };
        let kind: &GroupKind = &self.namespace_kind;
        let Some(namespaces) = self.store.kind(kind) else {
            return Err("Namespaces are not followed".into());
        };
        if let Sync::Lost(why) = &namespaces.sync {
            return Err(format!("Namespaces cannot be followed: {why:?}"));
        }
        let name = crate::engine::store::Name {
            namespace: None,
            name: namespace.clone(),
        };
        match namespaces.get(&name) {
            Some(entry) => Ok(Some(entry.record.clone())),
            None => Err(format!("the Namespace {namespace} is not known yet")),
        }
    }

    /// Keeps the counts of each rule in step with an object's new standings.
    fn note_standings(&mut self, key: &ObjectKey, decision: &Decision) {
        let count = decision.standings.len();
        let name = name_of(key);
        let states = &mut self.states;
        let Some(entry) = self.store.kind_mut(&key.kind).get_mut(&name) else {
            return;
        };
        for (position, (index, standing)) in decision.standings.iter().enumerate() {
            let (old, new) = (
                standings::get(&entry.standings, position),
                standings::bits(standing),
            );
            if old != new {
                states[*index].count(old, -1);
                states[*index].count(new, 1);
                standings::set(&mut entry.standings, count, position, new);
            }
        }
    }

    /// Takes an object that is gone out of the counts.
    pub(super) fn leave_counts(&mut self, kind: &GroupKind, standings: &[u8]) {
        for (position, index) in self.rules.for_kind(kind).iter().enumerate() {
            self.states[*index].count(standings::get(standings, position), -1);
        }
    }

    /// Tells what rules would do, each change once.
    fn tell(&mut self, key: &ObjectKey, changes: Vec<RuleChange>) {
        if changes.is_empty() && !self.told.contains_key(key) {
            return;
        }
        let before = self.told.remove(key).unwrap_or_default();
        let mut now = vec![];
        for change in changes {
            let mark = (change.rule.clone(), change_fingerprint(&change));
            if !before.contains(&mark) {
                self.reports
                    .push(crate::engine::Report::WouldChange(Box::new(change)));
            }
            now.push(mark);
        }
        if !now.is_empty() {
            self.told.insert(key.clone(), now);
        }
    }

    /// Sends a write, unless it is known to lead nowhere or comes too often.
    fn emit(
        &mut self,
        write: Write,
        changes: Vec<RuleChange>,
        record: &Record,
        now: Timestamp,
        effects: &mut Vec<Effect>,
        findings: &mut Vec<Finding>,
    ) {
        let key = write.object.clone();
        let fingerprint = (state_fingerprint(record), operation_fingerprint(&write));
        if self.settled.get(&key) == Some(&fingerprint) {
            self.queue.succeeded(&key);
            return;
        }
        let rules = Arc::clone(&self.rules);
        let authors: Vec<usize> = write
            .rules
            .iter()
            .filter_map(|name| rules.rules().iter().position(|r| r.name == *name))
            .collect();
        let mut refused = false;
        for index in &authors {
            let limit = rules.rules()[*index].limits.per_object;
            let breaker = self.states[*index].breakers.entry(key.clone()).or_default();
            if !breaker.admit(limit, now) {
                refused = true;
                if let Some((reason, message, _)) = self.closed(*index, &key, now) {
                    findings.push(Finding {
                        rule: rules.rules()[*index].name.clone(),
                        object: key.clone(),
                        reason,
                        message,
                    });
                }
            }
        }
        if refused {
            // The other rules' part of this write is made by the next pass, with that gate closed.
            if authors.len() > 1 {
                self.queue.push(key, now);
            }
            return;
        }
        for index in &authors {
            self.states[*index].limits.acted(&key, now);
        }
        self.next_id += 1;
        let id = self.next_id;
        self.queue.hold(key.clone());
        self.in_flight.insert(
            id,
            InFlight {
                key,
                write: Some(Box::new(write.clone())),
                changes,
                since: now,
                fingerprint,
            },
        );
        effects.push(Effect::Write(id, Box::new(write)));
    }

    /// Reads an object directly; its key is held meanwhile.
    pub(super) fn read(&mut self, key: ObjectKey, now: Timestamp, effects: &mut Vec<Effect>) {
        self.awaited.remove(&key);
        self.overdue.set(&key, None);
        if !self.queue.is_held(&key) {
            self.queue.hold(key.clone());
        }
        self.next_id += 1;
        let fingerprint = (0, 0);
        self.in_flight.insert(
            self.next_id,
            InFlight {
                key: key.clone(),
                write: None,
                changes: vec![],
                since: now,
                fingerprint,
            },
        );
        effects.push(Effect::Read(self.next_id, key));
    }

    /// Lets a key wait until its watch shows a version.
    pub(super) fn wait_for(&mut self, key: ObjectKey, version: String, now: Timestamp) {
        let until = now.checked_add(PATIENCE).unwrap_or(now);
        self.overdue.set(&key, Some(until));
        self.awaited.insert(key, Awaited { version, until });
    }
}
