//! Rules that may want different things of one object that one of them has as a target (see [`RuleSet::has_rivals`]). What each wants is known
//! once what they are about was looked at; none of them acts before, so that they do not write over each other at each start.
//!
//! [`RuleSet::has_rivals`]: crate::rule::set::RuleSet::has_rivals

use super::Engine;
use crate::engine::store::Sync;
use crate::rule::Mode;
use crate::rule::set::{RuleIndex, RuleSet};
use jiff::Timestamp;
use std::sync::Arc;

/// Whether they know of each other.
#[derive(Default)]
pub(super) struct Rivals {
    /// Names and hashes of the rules that have some.
    rules: Vec<(Arc<str>, u64)>,
    /// What they want is not known yet.
    awaited: bool,
}

fn with_rivals(rules: &RuleSet) -> impl Iterator<Item = RuleIndex> {
    (0..rules.rules().len()).filter(|index| rules.has_rivals(*index))
}

impl Engine {
    /// Whether a rule waits until it is known what others want.
    pub(super) fn awaits_rivals(&self, index: RuleIndex) -> bool {
        self.rivals.awaited && self.rules.has_rivals(index)
    }

    /// Another rule set is in force: what rivals want is looked for anew, unless they are the same as before.
    pub(super) fn load_rivals(&mut self, now: Timestamp) {
        let rules = Arc::clone(&self.rules);
        let of = |index: RuleIndex| {
            let rule = &rules.rules()[index];
            (rule.name.clone(), rule.hash)
        };
        let found: Vec<(Arc<str>, u64)> = with_rivals(&rules).map(of).collect();
        if found != self.rivals.rules {
            self.rivals.rules = found;
            self.await_rivals();
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
    }

    /// Lets them go on, once it is known what they want.
    pub(super) fn meet_rivals(&mut self, now: Timestamp) {
        if !self.rivals.awaited {
            return;
        }
        let rules = Arc::clone(&self.rules);
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
