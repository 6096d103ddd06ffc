//! What is remembered of matches, kept in step with what was decided.

use super::{Engine, InFlight};
use crate::decide::{
    Act, Decision, LastAct, Memory, Note, Operation, Present, Standing, in_annotation,
};
use crate::engine::memory::Uid;
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::edit::Answers;
use crate::rule::set::RuleIndex;
use jiff::{SignedDuration, Timestamp};
use std::cell::LazyCell;
use std::sync::Arc;

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

    fn nth(&self, rule: RuleIndex) -> u32 {
        self.engine.states[rule].matches.nth(Uid::of(self.uid))
    }

    fn last(&self, rule: RuleIndex, act: Act) -> Option<LastAct> {
        let matches = &self.engine.states[rule].matches;
        matches.last(Uid::of(self.uid), act)
    }

    fn pending(&self, rule: RuleIndex, act: Act) -> Option<(Arc<str>, Timestamp)> {
        let matches = &self.engine.states[rule].matches;
        matches.pending(Uid::of(self.uid), act)
    }

    fn has_many(&self, rule: RuleIndex) -> bool {
        let matches = &self.engine.states[rule].matches;
        matches.has_many(Uid::of(self.uid))
    }

    fn acted(&self, rule: RuleIndex, present: &Present) -> usize {
        let matches = &self.engine.states[rule].matches;
        matches.acted(Uid::of(self.uid), present)
    }

    fn answers(&self, rule: RuleIndex, object: &ObjectKey) -> Option<&Answers> {
        self.engine.answers(rule, object)
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
        if self.rules.remembering(kind).is_empty() {
            return;
        }
        let rules = Arc::clone(&self.rules);
        let uid = LazyCell::new(|| Uid::of(record.meta().uid()));
        for index in rules.remembering(kind) {
            let rule = &rules.rules()[*index];
            let (state, standing) = (&self.states[*index], decision.standing(*index));
            // Nothing could end, and nobody says that something had begun.
            let unknown = state.matches.is_empty() && !record.may_carry_state();
            if !state.ready || (standing == Standing::OutOfScope && unknown) {
                continue;
            }
            let (state, uid) = (&mut self.states[*index], *uid);
            state.matches.seen(uid);
            match standing {
                // Its tests have passed; what could not be computed is a step.
                Standing::Matched { .. } | Standing::Failed => {
                    if rule.waits() {
                        state.matches.holds(uid, now);
                    }
                }
                Standing::Waiting => state.matches.doubts(uid, now),
                Standing::OutOfScope
                | Standing::Unmatched
                | Standing::NotPicked
                | Standing::Ignored => {
                    // It may have acted, and that was lost: the object itself tells.
                    if rule.writes_what_acted() && state.matches.is_blank(uid) {
                        let by = &self.options.state_namespace;
                        for (act, last) in in_annotation(record, &rule.name, by) {
                            state.matches.note(uid, Note::Begun(last.nth), now);
                            state.matches.note(uid, Note::Acted(act, last), now);
                        }
                    }
                    state.matches.ended(uid);
                }
            }
        }
        for (index, note) in &decision.notes {
            let state = &mut self.states[*index];
            if state.ready {
                state.matches.note(*uid, note.clone(), now);
            }
        }
    }

    /// How often the present match of a rule has begun anew, if its step of this number has not acted in it.
    pub(super) fn begun(&self, subject: &ObjectKey, rule: RuleIndex, step: usize) -> Option<u32> {
        let Some(entry) = self.store.get(subject) else {
            return Some(0);
        };
        let uid = Uid::of(entry.record.meta().uid());
        let matches = &self.states[rule].matches;
        let nth = matches.nth(uid);
        let last = matches.last(uid, Act::numbered(step));
        last.is_none_or(|last| last.nth != nth).then_some(nth)
    }

    /// An Event was told, or an object archived, once for this match.
    pub(super) fn note_told(&mut self, request: &InFlight, now: Timestamp) {
        let write = request.write().filter(|write| write.acts.is_empty());
        let Some(Operation::Event { step, .. } | Operation::Archive { step, .. }) =
            write.map(|write| &write.operation)
        else {
            return;
        };
        let index = request
            .rules()
            .first()
            .and_then(|rule| self.rules.index_of(rule));
        let entry = self.store.get(&request.subject);
        if let (Some(index), Some(entry)) = (index, entry) {
            let uid = Uid::of(entry.record.meta().uid());
            let matches = &mut self.states[index].matches;
            let last = LastAct {
                key: None,
                nth: matches.nth(uid),
                at: now,
            };
            matches.note(uid, Note::Acted(Act::numbered(*step), last), now);
        }
    }

    /// A request was answered well: the steps in it have acted.
    pub(super) fn note_acts(&mut self, request: &InFlight) {
        let acts = request.write().map_or(&[][..], |write| &write.acts);
        for acted in acts {
            let known = self.store.get(&request.subject);
            // Of an object that is gone nothing is remembered.
            let there = known.is_some_and(|entry| entry.record.meta().uid() == &*acted.uid);
            if let (true, Some(index)) = (there, self.rules.index_of(&acted.rule)) {
                let note = Note::Acted(acted.act, acted.last.clone());
                let matches = &mut self.states[index].matches;
                matches.note(Uid::of(&acted.uid), note, acted.last.at);
            }
        }
    }

    /// An object is gone, and with it what was remembered of its matches.
    pub(super) fn forget_matches(&mut self, kind: &GroupKind, uid: &str) {
        for index in self.rules.remembering(kind) {
            self.states[*index].matches.gone(Uid::of(uid));
        }
    }

    /// The watch no longer shows an object.
    pub(super) fn out_of_sight(&mut self, kind: &GroupKind, uid: &str, now: Timestamp) {
        let scope = self.followed.get(kind);
        if scope.is_none_or(|scope| scope.is_everything()) {
            return self.forget_matches(kind, uid);
        }
        for index in self.rules.remembering(kind) {
            self.states[*index].matches.away(Uid::of(uid), now);
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
