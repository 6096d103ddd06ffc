//! Whether the rules know enough to act: nothing is done for a rule before every cache it needs is synced.

use super::Engine;
use crate::decide::{Finding, Reason};
use crate::engine::Lost;
use crate::engine::store::{Sync, key_of};
use crate::object::{GroupKind, ObjectKey};
use crate::rule::{Mode, Rule};
use ahash::AHashSet;
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// The kinds that a rule still waits for.
    pub(super) fn missing(&self, rule: &Rule) -> Vec<(GroupKind, Sync)> {
        let sync = |kind: &GroupKind| {
            let known = self.store.kind(kind).map(|k| k.sync.clone());
            known.unwrap_or_default()
        };
        let mut missing: Vec<(GroupKind, Sync)> = rule
            .matches
            .kinds
            .iter()
            .map(|k| (k.kind.clone(), sync(&k.kind)))
            // A kind that the cluster does not have has no objects: that is known.
            .filter(|(_, sync)| !matches!(sync, Sync::Synced | Sync::Lost(Lost::NoSuchKind)))
            .collect();
        // What a rule applies must be known to be there or not; a kind that is not there cannot be applied.
        for resolved in rule.applied_kinds().chain(rule.read_kinds()) {
            let sync = sync(&resolved.kind);
            let known = missing.iter().any(|(kind, _)| *kind == resolved.kind);
            if sync != Sync::Synced && !known {
                missing.push((resolved.kind, sync));
            }
        }
        // An absence proves nothing while nobody knows what there is.
        for resolved in rule.related_kinds() {
            let sync = sync(&resolved.kind);
            let known = missing.iter().any(|(kind, _)| *kind == resolved.kind);
            if sync != Sync::Synced && !known {
                missing.push((resolved.kind.clone(), sync));
            }
        }
        let namespaces = sync(&self.namespace_kind);
        let waits = match namespaces {
            Sync::Synced => false,
            Sync::Pending => true,
            // Without them annotations on Namespaces cannot be heeded; what a rule itself reads of them must be known.
            Sync::Lost(_) => rule.reads_namespace,
        };
        if waits && missing.iter().all(|(kind, _)| *kind != self.namespace_kind) {
            missing.push((self.namespace_kind.clone(), namespaces));
        }
        missing
    }

    /// Works out anew which rules are ready, reports kinds that are out of reach, and answers the rules that have become ready.
    pub(super) fn review_readiness(&mut self) -> Vec<usize> {
        let mut begun = vec![];
        for index in 0..self.states.len() {
            let rule = Arc::clone(&self.rules.rules()[index]);
            if rule.mode == Mode::Off {
                continue;
            }
            let missing = self.missing(&rule);
            let conditions: Vec<Finding> = missing
                .iter()
                .filter_map(|(kind, sync)| condition(&rule.name, kind, sync))
                .chain(self.not_kept(&rule))
                .collect();
            let state = &mut self.states[index];
            let before = std::mem::replace(&mut state.conditions, conditions.clone());
            self.report_findings(before, &conditions);
            let state = &mut self.states[index];
            let was = std::mem::replace(&mut state.ready, missing.is_empty());
            if state.ready && !was {
                begun.push(index);
            }
            if !state.ready {
                state.scope_known = false;
                if was {
                    state.matches.doubt_all(self.clock);
                }
            }
        }
        begun
    }

    /// A kind has become known or unknown: rules that may begin thanks to it look at their objects.
    pub(super) fn kinds_changed(&mut self, now: Timestamp) {
        let begun = self.review_readiness();
        self.look_at_held(&begun, now);
        for index in &begun {
            self.begin_pass(*index, now);
        }
        let kinds: AHashSet<GroupKind> = begun
            .iter()
            .flat_map(|index| &self.rules.rules()[*index].matches.kinds)
            .map(|k| k.kind.clone())
            .collect();
        for kind in kinds {
            self.look_at_all(&kind, now);
        }
    }

    /// Every object of a kind is looked at anew, by every rule.
    pub(super) fn look_at_all(&mut self, kind: &GroupKind, now: Timestamp) {
        let names: Vec<_> = match self.store.kind(kind) {
            Some(objects) => objects.iter().map(|(name, _)| name.clone()).collect(),
            None => return,
        };
        for name in names {
            self.store.kind_mut(kind).set_fresh(&name, true);
            self.queue.push(key_of(kind, &name), now);
        }
    }

    /// A kind cannot be followed any more.
    pub(super) fn lost(&mut self, kind: &GroupKind, why: Lost, now: Timestamp) {
        if why == Lost::NoSuchKind {
            // Its objects went with it.
            let keys: Vec<ObjectKey> = match self.store.kind(kind) {
                Some(objects) => objects.iter().map(|(name, _)| key_of(kind, name)).collect(),
                None => vec![],
            };
            for key in keys {
                self.gone(&key, now);
                self.release(&key);
            }
        }
        self.store.kind_mut(kind).lose(why);
        self.kinds_changed(now);
    }

    /// A list of a kind begins: limited rules act again when its whole result has been looked at.
    pub(super) fn list_started(&mut self, kind: &GroupKind) {
        self.store.kind_mut(kind).begin_list();
        let rules = Arc::clone(&self.rules);
        for index in rules.for_kind(kind) {
            self.states[*index].scope_known = false;
        }
    }
}

/// A kind out of reach as a finding of a rule. One that is only not listed yet is none.
fn condition(rule: &Arc<str>, kind: &GroupKind, sync: &Sync) -> Option<Finding> {
    let Sync::Lost(why) = sync else {
        return None;
    };
    let (reason, message) = match why {
        Lost::Forbidden(why) => (
            Reason::Forbidden,
            format!("{kind} may not be listed and watched: {why}"),
        ),
        Lost::OutOfScope => (
            Reason::Waiting,
            format!(
                "{kind} is cluster-scoped, and only some namespaces are looked at (--namespace)"
            ),
        ),
        Lost::Unreachable(why) => (Reason::Waiting, format!("{kind} cannot be followed: {why}")),
        Lost::NoSuchKind => (Reason::Waiting, format!("the cluster has no kind {kind}")),
    };
    Some(Finding {
        rule: rule.clone(),
        object: ObjectKey::new(kind.clone(), None, "*"),
        reason,
        message,
    })
}
