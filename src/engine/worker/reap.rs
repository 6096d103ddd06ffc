//! Objects that a rule has applied only while it matches: they go with the last subject that wants them, or with the rule.

use super::Engine;
use crate::decide::protect::{Ignored, protected_from, protected_target};
use crate::decide::state_annotation::{Said, SubjectState};
use crate::decide::{
    Finding, Operation, Reason, RuleChange, Standing, Want, Write, held, held_at, kept,
    state_annotation,
};
use crate::engine::Lost;
use crate::engine::store::{Sync, name_of};
use crate::object::{ObjectKey, Record};
use crate::rule::apply::ownership::Ownership;
use crate::rule::set::RuleIndex;
use crate::rule::{Mode, Verb};
use ahash::AHashSet;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// When an object is looked at again of which it could not be said whether something still has it as a target.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// Whether a subject wants an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Yes,
    No,
    /// It cannot be said now: the object stays.
    Unknown,
}

/// An object that nobody wants any more.
pub(super) struct Reaped {
    pub change: RuleChange,
    /// `None`: it is only told.
    pub write: Option<Write>,
    pub finding: Option<Finding>,
    /// When it may be done, where that is a matter of time.
    pub until: Option<Timestamp>,
}

impl Engine {
    /// Whether an object goes because no subject of the rule that applied it wants it any more. `again`: when that may be otherwise, where an
    /// annotation keeps it until then.
    pub(super) fn reap(
        &mut self,
        key: &ObjectKey,
        record: &Record,
        now: Timestamp,
        again: &mut Option<Timestamp>,
    ) -> Option<Reaped> {
        if !record.may_carry_state() || record.meta().is_deleting() {
            return None;
        }
        let marks: Vec<(Arc<str>, Ownership)> = state_annotation::rules(record)
            .filter_map(|name| {
                let ownership = Ownership::read(record.meta(), name, key)?;
                Some((name.into(), ownership))
            })
            .collect();
        // What several rules have a part in stays.
        let [(name, ownership)] = marks.as_slice() else {
            return None;
        };
        // A rule of the same name may be another installation's.
        let foreign = !ownership.by.is_empty() && ownership.by != self.options.state_namespace;
        if !ownership.passing || foreign {
            return None;
        }
        if let Some(until) = self.ignored(key, record, name, now) {
            *again = until;
            // What keeps it may stand on its Namespace, and be taken away there.
            if let Some(namespace) = &key.namespace {
                let namespace = ObjectKey::new(self.namespace_kind.clone(), None, namespace);
                self.guard_by(key, &"".into(), namespace);
            }
            return None;
        }
        let rules = Arc::clone(&self.rules);
        let index = rules.index_of(name);
        match index {
            None if !self.is_gone(name) => return None,
            None => {}
            Some(index) => {
                let off = rules.rules()[index].mode == Mode::Off;
                if off || !self.states[index].ready {
                    return None;
                }
                let wanted = self.is_wanted(key, index, ownership, now);
                if wanted != Wanted::No {
                    self.states[index].limits.set_due(key, false);
                    self.guard(key, name, &ownership.subjects);
                    return None;
                }
            }
        }
        Some(self.reaped(key, record, (name, index), &ownership.subjects, now))
    }

    fn reaped(
        &mut self,
        key: &ObjectKey,
        record: &Record,
        (name, index): (&Arc<str>, Option<RuleIndex>),
        subjects: &[(ObjectKey, String)],
        now: Timestamp,
    ) -> Reaped {
        let rules = Arc::clone(&self.rules);
        let rule = index.map(|index| &rules.rules()[index]);
        // A narrowed `enforceFor` holds what was made, as Audit does.
        let chosen = index.is_none_or(|index| self.chosen_all(index, subjects));
        if let (false, Some(index)) = (chosen, index) {
            self.guard(key, name, subjects);
            self.guard_by_namespaces(key, index, subjects);
        }
        let namespace = self.options.state_namespace.clone();
        let meta = record.meta();
        let protected = match rule {
            Some(rule) => protected_target((rule, Verb::Delete), key, Some(meta), &namespace),
            None => protected_from(Verb::Delete, key, meta, &namespace),
        };
        let mut finding = protected.map(|why| {
            let message = format!("protected from delete: {why}");
            (Reason::Protected, message)
        });
        let mut acts = protected.is_none();
        let mut until = None;
        if let (Some(index), Some(rule)) = (index, rule)
            && acts
        {
            let enforces = self.enforces(rule) && chosen;
            self.states[index].limits.set_due(key, enforces);
            let held = self.counts_first(index) && !self.states[index].scope_known;
            if enforces && !held {
                self.check_limits(index, now);
            }
            let closed = self.holds_back(index, key, now);
            acts = enforces && !held && closed.is_none();
            if let Some(closed) = closed.filter(|_| enforces) {
                finding = closed.finding;
                until = closed.until;
            }
        }
        let write = Write {
            object: key.clone(),
            api_version: meta.api_version().to_owned(),
            operation: Operation::Delete {
                propagation: None,
                grace_period_seconds: None,
            },
            rules: vec![name.clone()],
            expected: None,
            uid: meta.uid().to_owned(),
            resource_version: meta.resource_version().to_owned(),
            acts: vec![],
            wanted: None,
        };
        let why = match rule {
            Some(_) => "nothing that the rule matches wants it any more",
            None => "the rule is gone",
        };
        Reaped {
            change: RuleChange {
                rule: name.clone(),
                mode: match rule {
                    Some(rule) if chosen || rule.mode != Mode::Enforce => rule.mode,
                    Some(_) => Mode::Audit,
                    None => Mode::Enforce,
                },
                verb: Verb::Delete,
                object: key.clone(),
                before: Some(record.clone()),
                after: None,
                why: vec![why.to_owned()],
            },
            write: acts.then_some(write),
            finding: finding.map(|(reason, message)| Finding {
                rule: name.clone(),
                object: key.clone(),
                reason,
                message,
            }),
            until,
        }
    }

    /// Whether the object, or its Namespace, was taken out of the rule's hands, and until when if that ends by itself.
    fn ignored(
        &self,
        key: &ObjectKey,
        record: &Record,
        rule: &str,
        now: Timestamp,
    ) -> Option<Option<Timestamp>> {
        let namespace = match self.namespace_of(key, record) {
            Ok(namespace) => namespace,
            // What may never be seen is not heeded anywhere (`--namespace`, Roles alone): the annotations of Namespaces. What is only not seen
            // yet, or not now, is waited for.
            Err(_) if self.are_namespaces_out_of_reach() => None,
            Err(_) => return Some(None),
        };
        let ignored = Ignored::of(record, namespace.as_ref(), now);
        (ignored.entirely || ignored.rule(rule)).then_some(ignored.until)
    }

    fn are_namespaces_out_of_reach(&self) -> bool {
        let sync = self.store.kind(&self.namespace_kind).map(|k| &k.sync);
        matches!(
            sync,
            Some(Sync::Lost(Lost::OutOfScope | Lost::Forbidden(_)))
        )
    }

    /// Whether some subject of a rule in force wants an object.
    fn is_wanted(
        &self,
        object: &ObjectKey,
        index: RuleIndex,
        ownership: &Ownership,
        now: Timestamp,
    ) -> Wanted {
        let mut unknown = false;
        for (subject, _) in &ownership.subjects {
            let rule = &self.rules.rules()[index].name;
            match self.wants_it(subject, (object, rule), index, now) {
                Wanted::Yes => return Wanted::Yes,
                Wanted::No => {}
                Wanted::Unknown => unknown = true,
            }
        }
        let rule = &self.rules.rules()[index].name;
        if self.wants.is_wanted(object, &[rule, &kept(rule)]) {
            return Wanted::Yes;
        }
        // Not all of them are written down: only when every one was looked at is it known that none is left.
        match unknown || (ownership.more && !self.all_seen(index)) {
            true => Wanted::Unknown,
            false => Wanted::No,
        }
    }

    fn wants_it(
        &self,
        subject: &ObjectKey,
        (object, under): (&ObjectKey, &str),
        index: RuleIndex,
        now: Timestamp,
    ) -> Wanted {
        match self.wanted_of(subject, object, index, now) {
            None => Wanted::Unknown,
            Some((wants, cut)) => match wants.iter().any(|want| want.under() == under) {
                true => Wanted::Yes,
                false if cut => Wanted::Unknown,
                false => Wanted::No,
            },
        }
    }

    /// What a subject of a rule wants of an object as it is now, and whether it may want more. `None`: it cannot be said now.
    fn wanted_of(
        &self,
        subject: &ObjectKey,
        object: &ObjectKey,
        index: RuleIndex,
        now: Timestamp,
    ) -> Option<(Vec<Want>, bool)> {
        let nothing = Some((vec![], false));
        let rule = &self.rules.rules()[index];
        if rule.matches.kinds.iter().all(|k| k.kind != subject.kind) {
            return nothing;
        }
        if !self.looks_at_namespace(subject) {
            return None;
        }
        let kind = self.store.kind(&subject.kind)?;
        if kind.sync != Sync::Synced {
            return None;
        }
        let Some(entry) = kind.get(&name_of(subject)) else {
            return nothing;
        };
        let mut decision = self.decide_ahead(subject, &entry.record, now);
        match decision.standing(index) {
            Standing::OutOfScope | Standing::Unmatched | Standing::NotPicked => nothing,
            Standing::Waiting | Standing::Ignored => None,
            // A step that fails behind those that want something leaves no doubt about what is wanted.
            Standing::Failed if decision.cut.contains(&index) => None,
            Standing::Failed | Standing::Matched { .. } => {
                decision.wants.retain(|want| want.object == *object);
                Some((decision.wants, decision.cut.contains(&index)))
            }
        }
    }

    /// Which places of an object, which is a target of its steps, a rule still changes for some subject. `None`: that cannot be said now.
    pub(super) fn still_held(
        &self,
        index: RuleIndex,
        object: &ObjectKey,
        (subjects, places): (&[(ObjectKey, String)], &[Box<str>]),
        now: Timestamp,
    ) -> Option<Vec<bool>> {
        if !self.states[index].ready {
            return None;
        }
        let rule = &self.rules.rules()[index].name;
        let under: Vec<Arc<str>> = places.iter().map(|place| held_at(rule, place)).collect();
        // Others than those that are written down are known once they were looked at.
        let by_others = |under: &Arc<str>| {
            let known = self.wants.agreeing(object, under, 0);
            known.iter().any(|k| subjects.iter().all(|(s, _)| s != k))
        };
        let mut held: Vec<bool> = under.iter().map(by_others).collect();
        if held.iter().all(|held| *held) {
            return Some(held);
        }
        // To ask a subject is to look at it, and that may lead back here.
        if !self.all_seen(index) || self.asking.swap(true, Ordering::Relaxed) {
            return None;
        }
        let mut known = true;
        for (subject, _) in subjects {
            let Some((wants, cut)) = self.wanted_of(subject, object, index, now) else {
                known = false;
                continue;
            };
            known &= !cut;
            for (held, under) in held.iter_mut().zip(&under) {
                *held |= wants.iter().any(|want| want.rule == *under);
            }
            if held.iter().all(|held| *held) {
                known = true;
                break;
            }
        }
        self.asking.store(false, Ordering::Relaxed);
        known.then_some(held)
    }

    /// Whether everything that a rule may be about was looked at.
    fn all_seen(&self, index: RuleIndex) -> bool {
        self.rules.rules()[index].matches.kinds.iter().all(|k| {
            let kind = self.store.kind(&k.kind);
            kind.is_some_and(|kind| kind.fresh == 0 && !kind.is_listing())
        })
    }

    /// Looks at an object again when nothing has it as a target any more of what it is changed for. Answers when to look at it anyway, as not
    /// all was known now.
    pub(super) fn guard_held(
        &mut self,
        object: &ObjectKey,
        record: &Record,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if !record.may_carry_state() {
            return None;
        }
        let meta = record.meta();
        let mut known = true;
        let rules = Arc::clone(&self.rules);
        for rule in state_annotation::rules(record) {
            if let Said::State(state) = SubjectState::read(meta, rule)
                && !state.subjects.is_empty()
            {
                let index = rules.index_of(rule);
                if let Some(index) = index {
                    self.guard_by_namespaces(object, index, &state.subjects);
                }
                self.guard(object, &held(rule), &state.subjects);
                // Not all of them are written down, and each may hold other places of it: what they hold now.
                let places = state.former.iter().map(|f| held_at(rule, &f.pointer));
                for under in places.chain([held(rule)]) {
                    for subject in self.wants.agreeing(object, &under, 0) {
                        self.guard_by(object, &under, subject);
                    }
                }
                known &= index.is_none_or(|index| self.all_seen(index));
            }
        }
        (!known).then(|| now.checked_add(LOOK_AGAIN).unwrap_or(now))
    }

    /// Looks at an object again when one of its subjects no longer wants it.
    fn guard(&mut self, object: &ObjectKey, under: &Arc<str>, subjects: &[(ObjectKey, String)]) {
        for (subject, _) in subjects {
            self.guard_by(object, under, subject.clone());
        }
    }

    fn guard_by(&mut self, object: &ObjectKey, under: &Arc<str>, subject: ObjectKey) {
        let guarded = self.wards.entry(subject).or_default();
        let names = guarded.entry(object.clone()).or_default();
        if !names.contains(under) {
            names.push(under.clone());
        }
    }

    /// Looks at an object again when `enforceFor` may have come to choose its subjects, also such as are gone.
    fn guard_by_namespaces(
        &mut self,
        object: &ObjectKey,
        index: RuleIndex,
        subjects: &[(ObjectKey, String)],
    ) {
        let enforce_for = self.rules.rules()[index].enforce_for.as_ref();
        if enforce_for.is_none_or(|e| e.namespace_selector.is_none()) {
            return;
        }
        for namespace in subjects.iter().filter_map(|(key, _)| key.namespace.clone()) {
            let namespace = ObjectKey::new(self.namespace_kind.clone(), None, &namespace);
            // Whatever the Namespace itself wants.
            self.guard_by(object, &"".into(), namespace);
        }
    }

    /// A subject was looked at, and wants this: what it does not want (any more) is looked at, too.
    pub(super) fn look_at_unwanted(&mut self, subject: &ObjectKey, wants: &[Want], now: Timestamp) {
        if self.wards.is_empty() {
            return;
        }
        let Some(guarded) = self.wards.get_mut(subject) else {
            return;
        };
        let wanted: AHashSet<(&ObjectKey, &str)> = wants
            .iter()
            .map(|want| (&want.object, want.under()))
            .collect();
        let mut unwanted = vec![];
        guarded.retain(|object, names| {
            let count = names.len();
            names.retain(|name| wanted.contains(&(object, &**name)));
            if names.len() < count {
                unwanted.push(object.clone());
            }
            !names.is_empty()
        });
        if guarded.is_empty() {
            self.wards.remove(subject);
        }
        unwanted.sort_unstable();
        for object in unwanted {
            self.queue.push(object, now);
        }
    }
}
