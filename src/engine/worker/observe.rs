//! What the cluster shows, and what is remembered or forgotten because of it.

use super::Engine;
use crate::decide::protect;
use crate::engine::store::{Effect as Stored, Sync, key_of, name_of};
use crate::engine::{Observation, fingerprint, standings};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::Mode;
use crate::rule::set::RuleIndex;
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// Takes what the cluster shows.
    pub fn observe(&mut self, observation: Observation, now: Timestamp) {
        let Some(scope) = self.followed.get(observation.kind()) else {
            return;
        };
        match observation {
            Observation::ListStarted { kind } => self.list_started(&kind),
            Observation::ListDone { kind } => self.list_done(&kind, now),
            Observation::Applied { kind, record } => {
                if !self.options.namespaces.is_empty()
                    && record
                        .meta()
                        .namespace()
                        .is_some_and(|n| !self.options.namespaces.iter().any(|o| o == n))
                {
                    return;
                }
                if !scope.admits(record.meta()) {
                    return self.out_of_scope(&kind, &record, now);
                }
                let before = self.namespace_before(&kind, &record);
                let (name, effect) = self.store.kind_mut(&kind).apply(record);
                let key = key_of(&kind, &name);
                self.is_back(&key);
                match effect {
                    Stored::Older => return,
                    Stored::Replaced(ref uid) => {
                        self.forget_matches(&key.kind, uid);
                        self.forget(&key, now);
                        self.release(&key);
                    }
                    Stored::None | Stored::Changed => self.caught_up(&key, now),
                }
                if effect != Stored::None {
                    self.changed(key, before.as_ref(), now);
                }
            }
            Observation::Deleted { key, .. } => {
                self.store.kind_mut(&key.kind).seen.deleted += 1;
                self.gone(&key, now);
                self.release(&key);
            }
            Observation::Lost { kind, why } => self.lost(&kind, why, now),
            Observation::Undecodable { kind, .. } => {
                self.store.kind_mut(&kind).seen.undecodable += 1;
            }
        }
    }

    /// A Namespace as it was known so far.
    fn namespace_before(&self, kind: &GroupKind, record: &Record) -> Option<Record> {
        if *kind != self.namespace_kind {
            return None;
        }
        let known = self.store.kind(kind)?.get_text(None, record.meta().name());
        known.map(|entry| entry.record.clone())
    }

    /// An object is new or differs from what was known; of a Namespace, `before` is that.
    fn changed(&mut self, key: ObjectKey, before: Option<&Record>, now: Timestamp) {
        if key.kind == self.namespace_kind {
            let entry = self.store.get(&key);
            let states = before.zip(entry.map(|entry| &entry.record));
            let same = states.is_some_and(|(before, now)| {
                protect::same_for_objects_in(before.meta(), now.meta())
            });
            let ignores = states
                .is_none_or(|(before, now)| protect::ignores_the_same(before.meta(), now.meta()));
            if !ignores {
                self.wake_acting_in(&key.name, now);
            }
            self.namespace_changed(&key.name, same, now);
            if !same {
                self.look_at_unwanted(&key, &[], now);
                self.wake_selecting(&key.name, now);
            }
        }
        if self.rules.for_kind(&key.kind).is_empty() && !self.is_held(&key) {
            return self.wake_subjects(&key, now);
        }
        let syncing = self
            .store
            .kind(&key.kind)
            .is_some_and(|k| k.sync != Sync::Synced || k.is_listing());
        if syncing {
            self.store
                .kind_mut(&key.kind)
                .set_fresh(&name_of(&key), true);
        }
        self.queue.push(key.clone(), now);
        self.wake_subjects(&key, now);
    }

    /// Labels or annotations of a Namespace decide about the objects in it. All of them may come into the scope of a rule at once: its limits
    /// count them before it does anything.
    ///
    /// `same`: for all rules but those that read the Namespace itself. Else each rule that writes on a Namespace would have every object in it
    /// looked at.
    fn namespace_changed(&mut self, namespace: &Arc<str>, same: bool, now: Timestamp) {
        let listed = self.store.kind(&self.namespace_kind);
        if listed.is_none_or(|k| k.sync == Sync::Pending) {
            // Nobody has decided on it yet.
            return;
        }
        let rules = Arc::clone(&self.rules);
        let concerns = |index: &RuleIndex| {
            let rule = &rules.rules()[*index];
            !same || (rule.reads_namespace_object && rule.mode != Mode::Off)
        };
        let mut keys = vec![];
        for (kind, objects) in self.store.kinds() {
            if *kind == self.namespace_kind || !rules.for_kind(kind).iter().any(concerns) {
                continue;
            }
            keys.extend(
                objects
                    .iter()
                    .filter(|(n, _)| n.namespace.as_ref() == Some(namespace))
                    .map(|(n, _)| key_of(kind, n)),
            );
        }
        for key in keys {
            let mut counts = false;
            for index in rules.limited(&key.kind) {
                if concerns(index) && self.counts_first(*index) {
                    self.states[*index].scope_known = false;
                    counts = true;
                }
            }
            if counts {
                self.store
                    .kind_mut(&key.kind)
                    .set_fresh(&name_of(&key), true);
            }
            self.queue.push(key, now);
        }
    }

    fn list_done(&mut self, kind: &GroupKind, now: Timestamp) {
        let gone = self.store.kind_mut(kind).end_list();
        for (name, entry) in gone {
            let key = key_of(kind, &name);
            self.leave_counts(kind, &entry.standings);
            self.out_of_sight(kind, entry.record.meta().uid(), now);
            self.goes_away(&key, &entry.record, now);
            self.forget(&key, now);
            self.release(&key);
        }
        // A list is newer than every write that was answered before it began.
        let lists = self.store.kind(kind).map_or(0, |k| k.lists());
        let waiting: Vec<ObjectKey> = self
            .awaited
            .iter()
            .filter(|(k, awaited)| k.kind == *kind && awaited.list != lists)
            .map(|(k, _)| k.clone())
            .collect();
        for key in waiting {
            self.release(&key);
            self.queue.push(key, now);
        }
        self.kinds_changed(now);
    }

    /// An object is gone from the cluster.
    pub(super) fn gone(&mut self, key: &ObjectKey, now: Timestamp) {
        if let Some(entry) = self.store.kind_mut(&key.kind).remove(&name_of(key)) {
            self.leave_counts(&key.kind, &entry.standings);
            self.out_of_sight(&key.kind, entry.record.meta().uid(), now);
            self.goes_away(key, &entry.record, now);
        }
        self.forget(key, now);
    }

    /// Forgets what was remembered about an object. What rules did to it still counts for their limits.
    pub(super) fn forget(&mut self, key: &ObjectKey, now: Timestamp) {
        self.due.set(key, None);
        self.queue.forget(key);
        self.paused.remove(key);
        self.budgeted.remove(key);
        self.settled.remove(key);
        self.settled_deeds.remove(key);
        self.unfinished.remove(key);
        self.sequels.remove(key);
        self.turns.keys.remove(key);
        self.answers.forget(key);
        self.related.forget(key);
        self.taken_over.remove(key);
        self.look_at_unwanted(key, &[], now);
        self.fans.decided_anew(key);
        for other in self.wants.set(key, &[]) {
            self.queue.push(other, now);
        }
        self.wake_subjects(key, now);
        self.refused.remove(key);
        self.told.remove(key);
        self.set_findings(key, vec![]);
        for index in self.rules.for_kind(&key.kind) {
            if let Some(next) = self.states[*index].forget(key) {
                self.queue.push(next, now);
            }
        }
        let rules = Arc::clone(&self.rules);
        for index in rules.limited(&key.kind) {
            self.forget_targets(*index, key);
        }
        // One that is made anew under the name of a target is another object. What a rule applies it makes anew itself: that it goes again
        // and again is a fight, and so it is where what it deletes is made again.
        for (index, rule) in rules.rules().iter().enumerate() {
            let broken = self.states[index].breakers.contains_key(key);
            if broken && !rule.applies(&key.kind) && !rule.deletes() {
                self.states[index].breakers.remove(key);
            }
        }
    }

    /// Whether the store shows what a write was answered with; if so the key goes on.
    pub(super) fn caught_up(&mut self, key: &ObjectKey, now: Timestamp) {
        if self.awaited.is_empty() {
            return;
        }
        let Some(awaited) = self.awaited.get_mut(key) else {
            return;
        };
        let Some(entry) = self.store.get(key) else {
            return;
        };
        let version = entry.record.meta().resource_version();
        if at_or_past(version, &awaited.version) {
            // Of a later version nobody knows who made it so.
            let unseen = awaited.unseen.take().filter(|_| version == awaited.version);
            if let Some(request) = unseen {
                let state = fingerprint::state(entry.record.root());
                match request.key == request.subject {
                    true => self.settle(key, state, &request, None),
                    false => self.settle_deed(&request, state, None),
                }
            }
            self.release(key);
            // What was applied for another object need not be of any rule's kind itself.
            if !self.rules.for_kind(&key.kind).is_empty() || self.is_held(key) {
                self.queue.push(key.clone(), now);
            }
        }
    }

    /// A key no longer waits for its watch.
    pub(super) fn release(&mut self, key: &ObjectKey) {
        if self.awaited.remove(key).is_some() {
            self.overdue.set(key, None);
            self.let_go(key);
        }
    }

    /// Takes an object that is gone out of the counts.
    pub(super) fn leave_counts(&mut self, kind: &GroupKind, standings: &[u8]) {
        for (position, index) in self.rules.for_kind(kind).iter().enumerate() {
            self.states[*index].count(standings::get(standings, position), -1);
        }
    }
}

/// Whether a version is at or past another. Versions are numbers since Kubernetes says so; where they are not, only equality is sure.
pub(super) fn at_or_past(version: &str, other: &str) -> bool {
    match (version.parse::<u128>(), other.parse::<u128>()) {
        (Ok(a), Ok(b)) => a >= b,
        _ => version == other,
    }
}
