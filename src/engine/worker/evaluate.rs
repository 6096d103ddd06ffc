//! One object: a pass, the limits, at most one request.

use super::deeds::Around;
use super::remember::Recalled;
use super::targets::counted;
use super::unfinished::Unfinished;
use super::{Engine, Load};
use crate::decide::pass::{PassContext, pass};
use crate::decide::{Decision, Finding, Reason, RuleChange, Standing, Subject, Write, part_of};
use crate::engine::store::{Sync, name_of};
use crate::engine::{Effect, Report, standings};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::Occasion;
use crate::rule::set::RuleIndex;
use jiff::{SignedDuration, Timestamp};
use smallvec::SmallVec;
use std::sync::Arc;

/// CEL that reads `now` has no moment at which it comes out differently: it is looked at again after this time.
const CLOCK_READ_AGAIN: SignedDuration = SignedDuration::from_mins(10);

impl Engine {
    /// Looks at one object.
    ///
    /// `wanted`: when it came to be looked at.
    pub(super) fn evaluate(
        &mut self,
        key: ObjectKey,
        wanted: Timestamp,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let name = name_of(&key);
        let Some(entry) = self.store.get(&key) else {
            return;
        };
        let record = entry.record.clone();
        self.store.kind_mut(&key.kind).set_fresh(&name, false);
        self.evaluations += 1;
        self.fans.decided_anew(&key);
        let (mut decision, held) = self.decide_in_turn(&key, &record, now);
        if held {
            self.turns.keys.insert(key.clone());
        }
        let kept_of = self.counted_for(&key, &decision);
        self.note_standings(&key, &decision);
        // Limited rules that would act: count them, and close those that may not.
        let rules = Arc::clone(&self.rules);
        let mut stopped = false;
        for (index, standing) in &decision.standings {
            if !self.states[*index].unproven.is_empty() {
                self.prove(*index, &key, &record, standing, now);
            }
        }
        if !rules.limited(&key.kind).is_empty() && record.meta().is_deleting() {
            self.note_leaving(&key, &record, now);
        }
        for index in &kept_of {
            self.note_rank(*index, &key, &decision, now);
            self.note_samples(*index, &key, &decision, now);
            let acts = self.enforces_on(*index, &key)
                && (decision.standing(*index) == Standing::Matched { acts: true }
                    || decision.ending.contains(index));
            let own = self.note_targets(*index, &key, acts, &decision);
            self.states[*index].limits.set_due(&key, own);
            if acts && self.scope_known(*index) {
                stopped |= self.check_limits(*index, now);
            }
        }
        if stopped {
            decision = self.decide(&key, &record, now);
        }
        self.note_passes(&key, &decision, now);
        self.keep_to_the_ready(&key, &mut decision);
        self.remember(&key.kind, &record, &decision, now);
        self.note_waits(&key, &record, &decision, now);
        for other in self.wants.set(&key, &decision.wants) {
            self.queue.push(other, now);
        }
        self.look_at_unwanted(&key, &decision.wants, now);
        let mut kept_until = None;
        let reaped = self.reap(&key, &record, now, &mut kept_until);
        let held_until = self.guard_held(&key, &record, now);
        self.note_owned(&key, &record, &decision.changes);
        self.note_owned(&key, &record, &decision.closed);
        let reads_now = |(index, _): &(usize, Standing)| rules.rules()[*index].reads_now;
        let clock = decision.standings.iter().any(reads_now);
        let again = clock.then(|| now.checked_add(CLOCK_READ_AGAIN).ok());
        let mut recheck = [decision.recheck_at, held_until, kept_until, again.flatten()]
            .into_iter()
            .flatten()
            .min();
        let mut findings = std::mem::take(&mut decision.findings);
        self.note_taken_over(&key, &decision, &mut findings);
        self.as_said_before(&key, &record, &decision, &mut findings);
        for (index, _) in &decision.standings {
            self.states[*index].counts.evaluations += 1;
        }
        for finding in findings.iter().filter(|f| f.reason.is_error()) {
            if let Some(counts) = self.counts_of(&finding.rule) {
                counts.errors.add(finding.reason.as_str());
            }
        }
        let unready = |index: usize| !self.states[index].ready;
        decision.standings.retain(|(index, _)| !unready(*index));
        for (index, reason) in &decision.wrong_types {
            let counts = &mut self.states[*index].counts;
            counts.wrong_types += 1;
            counts.errors.add(Reason::WrongType.as_str());
            self.states[*index].last_error = Some(reason.clone());
        }
        let acting: Vec<usize> = decision
            .standings
            .iter()
            .filter(|(index, standing)| {
                *standing == Standing::Matched { acts: true } && self.enforces_on(*index, &key)
            })
            .map(|(index, _)| *index)
            .chain(
                decision
                    .ending
                    .iter()
                    .copied()
                    .filter(|index| self.enforces(&rules.rules()[*index])),
            )
            .collect();
        for index in acting {
            if let Some(closed) = self.closed(index, &key, now) {
                findings.extend(closed.finding.map(|(reason, message)| Finding {
                    rule: rules.rules()[index].name.clone(),
                    object: key.clone(),
                    reason,
                    message,
                }));
                recheck = [recheck, closed.until].into_iter().flatten().min();
            }
        }
        if let Some(reaped) = reaped {
            recheck = [recheck, reaped.until].into_iter().flatten().min();
            findings.extend(reaped.finding);
            if let Some(write) = reaped.write {
                // What else was to be done to it is void.
                decision.writes = vec![write];
                decision.changes.retain(|change| change.object != key);
            }
            decision.changes.push(reaped.change);
        }
        self.due.set(&key, recheck);
        let left = self.finish(&key, &record, &mut decision, now);
        let write = self.choose(&key, &record, &mut decision, now, &mut findings);
        self.related.looked_at(&key);
        if let Some(refused) = self.refused.get(&key) {
            findings.extend(refused.iter().cloned());
        }
        let mut deeds: Vec<(Write, Vec<RuleChange>)> = std::mem::take(&mut decision.others)
            .into_iter()
            .map(|write| (write, vec![]))
            .collect();
        let (mut made, mut told) = (vec![], vec![]);
        let mut rest = write.as_ref().map_or(vec![], |(made, _)| {
            Unfinished::beside(made, &decision.writes, &record)
        });
        for change in decision.changes {
            if let Some((_, changes)) = deeds.iter_mut().find(|(w, _)| w.makes(&change))
                && !self.options.dry
            {
                changes.push(change);
                continue;
            }
            match &write {
                Some((write, _)) if !self.options.dry && write.makes(&change) => {
                    for left in rest.iter_mut().filter(|left| left.write.makes(&change)) {
                        let part = part_of(change.clone(), &left.write, &decision.writes);
                        left.changes.push(part);
                    }
                    made.push(part_of(change, write, &decision.writes));
                }
                // Its request comes after this one.
                Some(_)
                    if !self.options.dry && decision.writes.iter().any(|w| w.makes(&change)) =>
                {
                    if let Some(later) = rest.iter_mut().find(|r| r.write.makes(&change)) {
                        later.changes.push(change);
                    }
                }
                _ => told.push(change),
            }
        }
        self.count_the_closed(&key, &decision.closed, now);
        self.tell(&key, told, std::mem::take(&mut decision.closed));
        let later = std::mem::take(&mut decision.later);
        self.reports.extend(later.into_iter().map(Report::Later));
        if self.options.dry {
            for (write, _) in deeds.drain(..) {
                for index in write.rules.iter().filter_map(|name| rules.index_of(name)) {
                    let limits = &rules.rules()[index].limits;
                    let object = counted(&write, &key);
                    self.states[index].limits.acted(object, limits, now);
                }
            }
        }
        // What a rule asks of others after changing its subject waits for that change.
        let (follow_ups, deeds): (Vec<_>, Vec<_>) = deeds.into_iter().partition(|(deed, _)| {
            let own = write.as_ref().map(|(w, _)| &w.rules);
            own.is_some_and(|rules| deed.rules.iter().any(|r| rules.contains(r)))
        });
        let asks_others = !deeds.is_empty();
        let acts = asks_others || write.is_some();
        for (write, changes) in deeds {
            self.send_deed(write, changes, &key, (wanted, now), effects);
        }
        let follow_ups = follow_ups
            .into_iter()
            .map(|(write, changes)| (key.clone(), write, changes))
            .collect();
        match write {
            Some(write) if !self.options.dry => match self.paused_until(&key, now) {
                Some(until) => self.due.no_later_than(&key, until),
                None => {
                    let is_chosen = |left: &Unfinished| left.is_as(&write.0);
                    let load = Load {
                        changes: made,
                        follow_ups,
                        rest,
                        left: left.into_iter().find(is_chosen),
                    };
                    self.emit(write, load, &record, (wanted, now), effects);
                }
            },
            Some((write, _)) => {
                // A plan counts what a run would do, so that it shows what the limits hold back.
                for index in rules.for_kind(&key.kind) {
                    if write.rules.contains(&rules.rules()[*index].name) {
                        let limits = &rules.rules()[*index].limits;
                        self.states[*index].limits.acted(&key, limits, now);
                    }
                }
                self.queue.succeeded(&key);
            }
            // How what is asked of others comes out is not known yet.
            None if asks_others => {}
            None => self.queue.succeeded(&key),
        }
        let sequels = std::mem::take(&mut decision.sequels);
        self.go_on(
            &key,
            &record,
            (sequels, &decision.standings),
            (acts, now),
            effects,
        );
        self.note_turns(&key, &kept_of, &decision.standings, now);
        self.set_findings(&key, findings);
    }

    /// The rules of which something is kept for every object, without those that the object is out of the scope of and was before: of it they
    /// keep nothing.
    fn counted_for(&self, key: &ObjectKey, decision: &Decision) -> SmallVec<[RuleIndex; 8]> {
        if self.rules.limited(&key.kind).is_empty() {
            return SmallVec::new();
        }
        let before = self.store.get(key).map(|entry| &*entry.standings);
        let was_in_scope = |position: usize| {
            before.is_none_or(|before| standings::get(before, position) != standings::OUT)
        };
        let is_in_scope = |index: RuleIndex| {
            let standings = &decision.standings;
            standings.binary_search_by_key(&index, |s| s.0).is_ok()
        };
        let limited = self.rules.limited_in_place(&key.kind);
        let counted = limited.filter(|(index, position)| {
            was_in_scope(*position)
                || !self.states[*index].limits.is_idle()
                || is_in_scope(*index)
                || decision.ending.contains(index)
        });
        counted.map(|(index, _)| index).collect()
    }

    /// Leaves out what rules say that do not know enough yet, and what those would do whose scope is still being counted.
    pub(super) fn keep_to_the_ready(&self, key: &ObjectKey, decision: &mut Decision) {
        let at = |name: &Arc<str>| self.rules.index_of(name);
        decision
            .findings
            .retain(|f| at(&f.rule).is_none_or(|index| self.states[index].ready));
        let counts = |change: &RuleChange| {
            // What a rule that is gone gives back.
            let Some(index) = at(&change.rule) else {
                return true;
            };
            let state = &self.states[index];
            let looking = self.looks_first(index) && self.enforces_on(index, key);
            state.ready && !looking
        };
        decision.changes.retain(counts);
        decision.closed.retain(counts);
    }

    pub(super) fn decide(&self, key: &ObjectKey, record: &Record, now: Timestamp) -> Decision {
        self.decide_without(key, record, now, &[])
    }

    /// Decides as if everything that is asked of other objects were done.
    pub(super) fn decide_ahead(
        &self,
        key: &ObjectKey,
        record: &Record,
        now: Timestamp,
    ) -> Decision {
        let subject = Subject { key, record };
        self.in_context(key, record, now, &[], |context| {
            let ahead = PassContext {
                ahead: true,
                ..*context
            };
            pass(&subject, &ahead)
        })
    }

    /// Decides with the gates of some rules closed besides.
    pub(super) fn decide_without(
        &self,
        key: &ObjectKey,
        record: &Record,
        now: Timestamp,
        closed: &[Arc<str>],
    ) -> Decision {
        let subject = Subject { key, record };
        let mut decision =
            self.in_context(key, record, now, closed, |context| pass(&subject, context));
        if self.options.dry {
            self.add_the_closed(&subject, (now, closed), &mut decision);
        }
        decision
    }

    /// What a pass over an object may know.
    pub(super) fn in_context<T>(
        &self,
        key: &ObjectKey,
        record: &Record,
        now: Timestamp,
        closed: &[Arc<str>],
        look: impl FnOnce(&PassContext<'_>) -> T,
    ) -> T {
        let rules = Arc::clone(&self.rules);
        let namespace = self.namespace_of(key, record);
        let open = |index: usize| {
            let rule = &rules.rules()[index];
            let state = &self.states[index];
            let held = self.looks_first(index);
            !closed.contains(&rule.name)
                && self.enforces(rule)
                && !held
                && state.ready
                && !self.lifetimes.hold_up(rule)
        };
        let gate = |index: usize| open(index) && !self.is_closed(index, key, now);
        let returns = |index: usize| open(index) && !self.is_held_back(index, key, now);
        let context = PassContext {
            occasion: Occasion::Reconcile,
            request: None,
            rules: &rules,
            namespace: match &namespace {
                Ok(record) => Ok(record.as_ref()),
                Err(why) => Err(why),
            },
            now,
            gate: &gate,
            returns: &returns,
            assume_enforce: self.options.assume_enforce,
            ahead: self.options.dry,
            alone: None,
            neighbours: &Around {
                engine: self,
                subject: key,
                now,
            },
            memory: &Recalled {
                engine: self,
                uid: record.meta().uid(),
                now,
            },
            state_namespace: &self.options.state_namespace,
        };
        look(&context)
    }

    /// The Namespace of an object, or why it is not known.
    pub(super) fn namespace_of(
        &self,
        key: &ObjectKey,
        record: &Record,
    ) -> Result<Option<Record>, String> {
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
        let indexes = self.rules.for_kind(&key.kind);
        let name = name_of(key);
        let Some(entry) = self.store.kind_mut(&key.kind).get_mut(&name) else {
            return;
        };
        let mut noted = standings::Standings::new();
        for (index, standing) in &decision.standings {
            if let Ok(position) = indexes.binary_search(index) {
                standings::set(&mut noted, position, standings::bits(standing));
            }
        }
        if standings::same(&noted, &entry.standings) {
            return;
        }
        for (position, index) in indexes.iter().enumerate() {
            let (old, new) = (
                standings::get(&entry.standings, position),
                standings::get(&noted, position),
            );
            if old != new {
                self.states[*index].count(old, -1);
                self.states[*index].count(new, 1);
            }
        }
        entry.standings = noted.as_slice().into();
    }
}
