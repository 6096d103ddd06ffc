//! What is remembered of matches, kept in step with what was decided.

use super::Engine;
use crate::decide::{Decision, Memory, Standing};
use crate::engine::memory::Uid;
use crate::object::{GroupKind, Record};
use crate::rule::set::RuleIndex;
use jiff::{SignedDuration, Timestamp};

/// What an engine remembers of one subject.
pub(super) struct Recalled<'e> {
    pub engine: &'e Engine,
    pub uid: &'e str,
    pub now: Timestamp,
}

impl Memory for Recalled<'_> {
    fn since(&self, rule: RuleIndex) -> Option<Timestamp> {
        let matches = &self.engine.states[rule].matches;
        matches.since(Uid::of(self.uid), self.now)
    }
}

impl Engine {
    /// Notes how an object came out with the rules that remember.
    pub(super) fn remember(
        &mut self,
        kind: &GroupKind,
        record: &Record,
        decision: &Decision,
        now: Timestamp,
    ) {
        let indexes = self.rules.remembering(kind);
        if indexes.is_empty() {
            return;
        }
        let uid = Uid::of(record.meta().uid());
        for index in indexes {
            let state = &mut self.states[*index];
            if !state.ready {
                continue;
            }
            match decision.standing(*index) {
                // Its tests have passed; what could not be computed is a step.
                Standing::Matched { .. } | Standing::Failed => state.matches.holds(uid, now),
                Standing::Waiting => state.matches.doubts(uid, now),
                Standing::OutOfScope
                | Standing::Unmatched
                | Standing::NotPicked
                | Standing::Ignored => {
                    state.matches.ended(uid);
                }
            }
        }
    }

    /// An object is gone, and with it what was remembered of its matches.
    pub(super) fn forget_matches(&mut self, kind: &GroupKind, uid: &str) {
        for index in self.rules.remembering(kind) {
            self.states[*index].matches.ended(Uid::of(uid));
        }
    }

    /// The clock was moved while it ran, forwards or (negative) back: the time that matches have held is what has really passed.
    ///
    /// Without being told it notices only one that was set back behind the last moment it heard of.
    pub fn clock_moved(&mut self, by: SignedDuration) {
        self.clock_told = true;
        for state in &mut self.states {
            state.matches.clock_moved(by);
        }
    }
}
