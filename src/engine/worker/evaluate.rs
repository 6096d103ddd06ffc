//! One object: a pass, the limits, at most one request.

use super::{Awaited, Effect, Engine, InFlight, PATIENCE};
use crate::decide::pass::{PassContext, pass};
use crate::decide::{Decision, Finding, Reason, RuleChange, Standing, Subject, Write};
use crate::engine::store::{Sync, name_of};
use crate::engine::{fingerprint, standings};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::{Mode, Rule};
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// Whether a rule's `abortAbove` or `throttle` needs to be asked.
    fn is_limited(rule: &Rule) -> bool {
        rule.limits.abort_objects.is_some()
            || rule.limits.abort_percent.is_some()
            || rule.limits.throttle.is_some()
    }

    pub(super) fn enforces(&self, rule: &Rule) -> bool {
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
        let place = (rule.name.clone(), key.kind.clone(), key.namespace.clone());
        if let Some(forbidden) = self.forbidden.get(&place)
            && forbidden.until > now
        {
            let until = Some(forbidden.until);
            return Some((Reason::Forbidden, forbidden.message.clone(), until));
        }
        if let Some(until) = state.limits.throttled_until(key, &rule.limits, now) {
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
                let kind = self.store.kind(&k.kind);
                kind.is_some_and(|kind| kind.fresh == 0 && !kind.is_listing())
            });
            if !complete || !self.states[index].ready {
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
        self.keep_to_the_ready(&mut decision);
        let mut recheck = decision.recheck_at;
        let mut findings = std::mem::take(&mut decision.findings);
        for index in indexes {
            self.states[*index].evaluations += 1;
        }
        let unready = |index: usize| !self.states[index].ready;
        decision.standings.retain(|(index, _)| !unready(*index));
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
        let write = self.choose(&key, &record, &mut decision, now, &mut findings);
        let asked = write
            .as_ref()
            .map(|(w, _)| w.rules.clone())
            .unwrap_or_default();
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
                self.emit(write, made, &record, now, effects, &mut findings);
            }
            Some((write, _)) => {
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

    /// Leaves out what rules say that do not know enough yet, and what those would do whose scope is still being counted.
    fn keep_to_the_ready(&self, decision: &mut Decision) {
        let rules = self.rules.rules();
        let state_of = |name: &Arc<str>| {
            let at = rules.iter().position(|rule| rule.name == *name)?;
            Some((&rules[at], &self.states[at]))
        };
        decision
            .findings
            .retain(|f| state_of(&f.rule).is_some_and(|(_, state)| state.ready));
        decision.changes.retain(|change| {
            state_of(&change.rule).is_some_and(|(rule, state)| {
                let counting = Self::is_limited(rule) && self.enforces(rule) && !state.scope_known;
                state.ready && !counting
            })
        });
    }

    /// The request to make: the first that is not known to lead nowhere in this very state, with its fingerprint.
    fn choose(
        &mut self,
        key: &ObjectKey,
        record: &Record,
        decision: &mut Decision,
        now: Timestamp,
        findings: &mut Vec<Finding>,
    ) -> Option<(Write, (u64, u64))> {
        if decision.writes.is_empty() && !self.settled.contains_key(key) {
            return None;
        }
        let state = fingerprint::state(record.root());
        let mut met = vec![];
        let mut refusals = vec![];
        let mut chosen = self.first_of(key, &decision.writes, state, &mut met, &mut refusals);
        let together: Vec<Arc<str>> = decision
            .writes
            .iter()
            .filter(|write| write.rules.len() > 1)
            .flat_map(|write| write.rules.clone())
            .collect();
        if chosen.is_none() && !together.is_empty() {
            // One of the rules may be what the server does not take: each for itself, so that it delays only itself.
            refusals.clear();
            for alone in &together {
                let others = together.iter().filter(|other| *other != alone);
                let single =
                    self.decide_without(key, record, now, &others.cloned().collect::<Vec<_>>());
                let found = self.first_of(key, &single.writes, state, &mut met, &mut refusals);
                if chosen.is_none() && found.is_some() {
                    chosen = found;
                    decision.changes = single.changes;
                    self.keep_to_the_ready(decision);
                }
            }
        }
        findings.extend(refusals);
        if let Some(settled) = self.settled.get_mut(key) {
            settled.retain(|s| s.state == state && met.contains(&s.operation));
            if settled.is_empty() {
                self.settled.remove(key);
            }
        }
        chosen
    }

    fn first_of(
        &self,
        key: &ObjectKey,
        writes: &[Write],
        state: u64,
        met: &mut Vec<u64>,
        refusals: &mut Vec<Finding>,
    ) -> Option<(Write, (u64, u64))> {
        let settled = self.settled.get(key).map_or(&[][..], Vec::as_slice);
        let mut chosen = None;
        for write in writes {
            let operation = fingerprint::operation(&write.operation);
            let known = settled
                .iter()
                .find(|s| s.state == state && s.operation == operation);
            match known {
                None if chosen.is_none() => chosen = Some((write.clone(), (state, operation))),
                None => {}
                Some(settled) => {
                    met.push(operation);
                    if let Some(message) = &settled.refusal {
                        refusals.extend(write.rules.iter().map(|rule| Finding {
                            rule: rule.clone(),
                            object: key.clone(),
                            reason: Reason::Refused,
                            message: message.clone(),
                        }));
                    }
                }
            }
        }
        chosen
    }

    fn decide(&mut self, key: &ObjectKey, record: &Record, now: Timestamp) -> Decision {
        self.decide_without(key, record, now, &[])
    }

    /// Decides with the gates of some rules closed besides.
    fn decide_without(
        &mut self,
        key: &ObjectKey,
        record: &Record,
        now: Timestamp,
        closed: &[Arc<str>],
    ) -> Decision {
        let rules = Arc::clone(&self.rules);
        let mut open = ahash::AHashSet::new();
        if !self.frozen {
            for index in rules.for_kind(&key.kind) {
                let rule = &rules.rules()[*index];
                if !closed.is_empty() && closed.contains(&rule.name) {
                    continue;
                }
                let held = Self::is_limited(rule) && !self.states[*index].scope_known;
                if self.enforces(rule)
                    && !held
                    && self.states[*index].ready
                    && self.closed_quietly(*index, key, now).is_none()
                {
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
                .throttled_until(key, &rules.rules()[index].limits, now)
                .is_some();
        let forbidden = !self.forbidden.is_empty() && {
            let rule = rules.rules()[index].name.clone();
            let place = (rule, key.kind.clone(), key.namespace.clone());
            self.forbidden.get(&place).is_some_and(|f| f.until > now)
        };
        (closed || forbidden).then_some(())
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
            let mark = (
                change.rule.clone(),
                fingerprint::difference(&change.before, change.after.as_ref()),
            );
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
        (write, fingerprint): (Write, (u64, u64)),
        changes: Vec<RuleChange>,
        record: &Record,
        now: Timestamp,
        effects: &mut Vec<Effect>,
        findings: &mut Vec<Finding>,
    ) {
        let key = write.object.clone();
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
                uid: record.meta().uid().to_owned(),
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
        let entry = self.store.get(&key);
        let uid = entry.map_or(String::new(), |e| e.record.meta().uid().to_owned());
        self.in_flight.insert(
            self.next_id,
            InFlight {
                key: key.clone(),
                write: None,
                changes: vec![],
                since: now,
                fingerprint,
                uid,
            },
        );
        effects.push(Effect::Read(self.next_id, key));
    }

    /// Lets a key wait until its watch shows a version.
    pub(super) fn wait_for(&mut self, key: ObjectKey, version: String, now: Timestamp) {
        let until = now.checked_add(PATIENCE).unwrap_or(now);
        self.overdue.set(&key, Some(until));
        let list = self.store.kind(&key.kind).map_or(0, |k| k.lists());
        self.awaited.insert(key, Awaited { version, list });
    }
}
