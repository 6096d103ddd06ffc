//! Rules that may want different things of one object that one of them has as a target (see [`RuleSet::has_rivals`]), and rules that may
//! want different things of one object that they apply for several subjects. What each wants is known once what they are about was looked at;
//! none of them acts before, so that they do not write over each other at each start, and apply nothing that the next subject contradicts.
//!
//! [`RuleSet::has_rivals`]: crate::rule::set::RuleSet::has_rivals

use super::Engine;
use crate::engine::store::Sync;
use crate::rule::apply::Apply;
use crate::rule::set::{RuleIndex, RuleSet};
use crate::rule::{Action, Mode, Rule, Step};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whether they know of each other.
#[derive(Default)]
pub(super) struct Rivals {
    /// Names and hashes of the rules that have some.
    rules: Vec<(Arc<str>, u64)>,
    /// Those of the rules that may apply or change one object for several subjects.
    sharing: Vec<(Arc<str>, u64)>,
    /// The names of those of them whose subjects were not all looked at since.
    unmet: BTreeSet<Arc<str>>,
    /// What they want is not known yet.
    awaited: bool,
}

fn with_rivals(rules: &RuleSet) -> impl Iterator<Item = RuleIndex> {
    (0..rules.rules().len()).filter(|index| rules.has_rivals(*index))
}

/// Whether two subjects of a rule may want something of one object. Where all are of one kind and the name is made of theirs, or there is one for
/// each Namespace, they do not: such a rule need not wait.
fn shares(rule: &Rule) -> bool {
    // Two subjects may have one member.
    let on_members = |step: &Step| {
        let edits = matches!(step.action, Action::Patch { .. } | Action::Scale { .. });
        edits && step.target.is_some()
    };
    if rule.steps.iter().any(on_members) {
        return true;
    }
    let [kind] = rule.matches.kinds.as_slice() else {
        return rule
            .steps
            .iter()
            .any(|step| applied(&step.action).is_some());
    };
    let of_namespaces = kind.kind.group.is_empty() && &*kind.kind.kind == "Namespace";
    let mut applied = rule.steps.iter().filter_map(|step| applied(&step.action));
    applied.any(|apply| {
        let literal = |field| apply.manifest.literal_at(&["metadata", field]).is_some();
        let expressions = apply.manifest.expressions();
        let of_subject = expressions.iter().any(|expr| {
            let mut behind = expr.text().split("object.metadata.name").skip(1);
            behind.any(|rest| !rest.starts_with("space"))
        });
        match literal("name") {
            true => !(of_namespaces && apply.namespaced && !literal("namespace")),
            false => !of_subject,
        }
    })
}

fn applied(action: &Action) -> Option<&Apply> {
    match action {
        Action::Apply(apply) => Some(apply),
        _ => None,
    }
}

impl Engine {
    /// Whether a rule waits until it is known what others want, or what it wants for others.
    pub(super) fn awaits_rivals(&self, index: RuleIndex) -> bool {
        (self.rivals.awaited && self.rules.has_rivals(index))
            || self.rivals.unmet.contains(&self.rules.rules()[index].name)
    }

    /// Another rule set is in force: what rivals want is looked for anew, unless they are the same as before.
    pub(super) fn load_rivals(&mut self, now: Timestamp) {
        let rules = Arc::clone(&self.rules);
        let of = |index: RuleIndex| {
            let rule = &rules.rules()[index];
            (rule.name.clone(), rule.hash)
        };
        let found: Vec<(Arc<str>, u64)> = with_rivals(&rules).map(of).collect();
        let all = 0..rules.rules().len();
        let shares = |index: &RuleIndex| shares(&rules.rules()[*index]);
        let sharing: Vec<(Arc<str>, u64)> = all.filter(shares).map(of).collect();
        let is_there = |name: &Arc<str>| sharing.iter().any(|(rule, _)| rule == name);
        self.rivals.unmet.retain(is_there);
        // What a rule that is new or changed is about is looked at anyway.
        let new = sharing
            .iter()
            .filter(|of| !self.rivals.sharing.contains(of));
        self.rivals.unmet.extend(new.map(|(name, _)| name.clone()));
        self.rivals.sharing = sharing;
        if found != self.rivals.rules {
            self.rivals.awaited = !found.is_empty();
            self.rivals.rules = found;
            for index in with_rivals(&rules) {
                for resolved in &rules.rules()[index].matches.kinds {
                    self.look_at_all(&resolved.kind, now);
                }
            }
        }
    }

    /// Everything is looked at anew.
    pub(super) fn await_rivals(&mut self) {
        self.rivals.awaited = !self.rivals.rules.is_empty();
        let sharing = self.rivals.sharing.iter().map(|(name, _)| name.clone());
        self.rivals.unmet.extend(sharing);
    }

    /// Lets them go on, once it is known what they want.
    pub(super) fn meet_rivals(&mut self, now: Timestamp) {
        let rules = Arc::clone(&self.rules);
        let unmet = self.rivals.unmet.iter();
        let met: Vec<RuleIndex> = unmet
            .filter_map(|name| rules.index_of(name))
            .filter(|index| self.is_looked_through(*index))
            .collect();
        for index in &met {
            self.rivals.unmet.remove(&rules.rules()[*index].name);
            self.look_at_matched(*index, now);
        }
        // What they hold and no longer want.
        self.look_at_held(&met, now);
        if !self.rivals.awaited {
            return;
        }
        if with_rivals(&rules).all(|index| self.is_looked_through(index)) {
            self.rivals.awaited = false;
            for index in with_rivals(&rules) {
                self.look_at_matched(index, now);
            }
        }
    }

    /// Whether all that a rule is about was looked at, or cannot be.
    fn is_looked_through(&self, index: RuleIndex) -> bool {
        let rule = &self.rules.rules()[index];
        if rule.mode == Mode::Off {
            return true;
        }
        let missing = self.missing(rule);
        if !missing.is_empty() {
            // It does nothing as long as that lasts.
            return missing
                .iter()
                .any(|(_, sync)| matches!(sync, Sync::Lost(_)));
        }
        rule.matches.kinds.iter().all(|k| {
            let kind = self.store.kind(&k.kind);
            kind.is_none_or(|kind| kind.fresh == 0 && !kind.is_listing())
        })
    }
}
