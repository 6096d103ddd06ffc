//! Lists of other objects: who belongs to them, and who is looked at because of that.

use super::Engine;
use crate::engine::Lost;
use crate::engine::store::{Sync, key_of};
use crate::object::{GroupKind, ObjectKey};
use crate::rule::Rule;
use crate::rule::related::{Member, Probe};
use crate::rule::set::RuleSet;
use jiff::Timestamp;

impl Engine {
    /// The candidates for a list of a rule.
    ///
    /// # Errors
    /// Nobody knows who belongs to it, and why.
    pub(super) fn candidates(
        &self,
        rule: &Rule,
        list: usize,
        probe: &Probe,
    ) -> Result<Vec<Member>, String> {
        let Some(related) = rule.related.get(list) else {
            return Err("there is no such list".into());
        };
        for resolved in &related.kinds {
            let kind = &resolved.kind;
            match self.store.kind(kind).map(|k| &k.sync) {
                Some(Sync::Synced) => {}
                None | Some(Sync::Pending) => return Err(format!("{kind} is not listed yet")),
                Some(Sync::Lost(Lost::NoSuchKind)) => {
                    return Err(format!("the cluster has no kind {kind}"));
                }
                Some(Sync::Lost(Lost::OutOfScope)) => {
                    let why = "it lies in no namespace, and only some are looked at (--namespace)";
                    return Err(format!("{kind}: {why}"));
                }
                Some(Sync::Lost(Lost::Forbidden(why) | Lost::Unreachable(why))) => {
                    return Err(format!("{kind} cannot be followed: {why}"));
                }
            }
        }
        let followed = &self.options.namespaces;
        if !followed.is_empty() && related.namespaced {
            let inside = |name: &str| followed.iter().any(|f| *f == name);
            if !probe.namespace.as_deref().is_some_and(inside) {
                return Err("not all its namespaces are looked at (--namespace)".into());
            }
        }
        let found = self.related.ask(rule, list, probe)?;
        Ok(found
            .into_iter()
            .filter_map(|key| {
                let entry = self.store.get(key)?;
                Some(Member {
                    key: key.clone(),
                    record: entry.record.clone(),
                })
            })
            .collect())
    }

    /// Candidates asked by all rules since the start, those of former rules too.
    #[cfg(test)]
    pub(in crate::engine) fn related_tested(&self) -> u64 {
        self.related.tested_by_all()
    }

    /// Objects that the index knows.
    #[cfg(test)]
    pub(in crate::engine) fn related_len(&self) -> usize {
        self.related.len()
    }

    /// An object has changed, or is gone: the subjects are looked at to whose lists it may belong, or did.
    pub(super) fn wake_related(&mut self, object: &ObjectKey, now: Timestamp) {
        if self.related.is_empty() {
            return;
        }
        let mut subjects = self.related.refresh(&self.store, object);
        self.put_in_order(&mut subjects);
        self.count_together(&subjects);
        for subject in subjects {
            self.nudge(subject, now);
        }
    }

    /// A Namespace has changed: lists may select by its labels.
    pub(super) fn wake_selecting(&mut self, namespace: &str, now: Timestamp) {
        for subject in self.related.namespace_changed(namespace) {
            self.queue.push(subject, now);
        }
    }

    /// The annotations by which a Namespace keeps rules away have changed: those who do something to objects in it may do so now, or not any
    /// more.
    pub(super) fn wake_acting_in(&mut self, namespace: &str, now: Timestamp) {
        let mut subjects = self.related.targets_in(namespace);
        subjects.extend(self.wants.subjects_in(namespace));
        subjects.sort_unstable();
        subjects.dedup();
        for subject in subjects {
            self.nudge(subject, now);
        }
    }

    /// The lists of another rule set. Rules that stayed but have lists of other kinds now (what a glob means changes as kinds come and go) look
    /// at all their objects.
    pub(super) fn load_related(&mut self, older: &RuleSet, now: Timestamp) {
        for subject in self.related.load(&self.rules, &self.store) {
            self.queue.push(subject, now);
        }
        let mut kinds: Vec<GroupKind> = vec![];
        for rule in self.rules.rules() {
            let Some(old) = older.get(&rule.name) else {
                continue;
            };
            if old.hash == rule.hash && !old.related_kinds().eq(rule.related_kinds()) {
                kinds.extend(rule.matches.kinds.iter().map(|k| k.kind.clone()));
            }
        }
        for kind in kinds {
            let names = self.store.kind(&kind).into_iter().flat_map(|k| k.iter());
            let keys: Vec<ObjectKey> = names.map(|(name, _)| key_of(&kind, name)).collect();
            for key in keys {
                self.queue.push(key, now);
            }
        }
    }
}
