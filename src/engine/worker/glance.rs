//! Objects that a reload concerns and with which no rule has anything to do, neither before nor after: most of them, most of the time. The
//! tests of the rules that are new are looked at once, there and then; nothing is queued, and no other rule is asked.

use super::Engine;
use crate::decide::glance::glance;
use crate::decide::{Standing, Subject};
use crate::engine::standings;
use crate::engine::store::{Name, key_of};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::Rule;
use crate::rule::set::RuleIndex;
use crate::rule::watch_scope::forgets;
use jiff::Timestamp;
use smallvec::SmallVec;

/// Objects of one kind that no rule that stayed has to do with, nor had one that went.
pub(super) struct Quiet {
    pub kind: GroupKind,
    /// The rules that are new: position among the rules of the kind, and index.
    pub new: Vec<(usize, RuleIndex)>,
    pub objects: Vec<(Name, Record)>,
}

/// Whether nothing is kept of an object on which a rule's tests fail: no memory, no place among others, no list that it depends on, no window
/// that opens.
pub(super) fn looks_at_tests_alone(rule: &Rule) -> bool {
    forgets(rule)
        && !rule.remembers()
        && rule.pick.is_none()
        && rule.related.is_empty()
        && rule.schedule.is_none()
        && rule.enforce_for.is_none()
}

impl Engine {
    /// Looks at them; those with which the new rules have something to do are evaluated as a whole.
    pub(super) fn glance_at(&mut self, quiet: Quiet, now: Timestamp) {
        let known = self.is_ready(&quiet.kind) && !self.standby;
        let simple = quiet
            .new
            .iter()
            .all(|(_, index)| self.states[*index].ready && !self.counts_first(*index));
        for (name, record) in quiet.objects {
            let key = key_of(&quiet.kind, &name);
            let dismissed = known
                && simple
                && !self.findings.contains_key(&key)
                && !self.queue.is_held(&key)
                && !self.is_held(&key)
                && self.is_dismissed((&key, &name, &record), &quiet.new, now);
            if !dismissed {
                self.store.kind_mut(&key.kind).set_fresh(&name, true);
                self.forget_refusals_of(key, now);
            }
        }
    }

    /// A rule has come, changed or gone: what led nowhere may lead somewhere.
    pub(super) fn forget_refusals_of(&mut self, key: ObjectKey, now: Timestamp) {
        self.paused.remove(&key);
        self.settled.remove(&key);
        self.refused.remove(&key);
        self.queue.push(key, now);
    }

    /// Whether the new rules have nothing to do with an object. If so, that is noted.
    fn is_dismissed(
        &mut self,
        (key, name, record): (&ObjectKey, &Name, &Record),
        new: &[(usize, RuleIndex)],
        now: Timestamp,
    ) -> bool {
        let mut found: SmallVec<[Standing; 4]> = SmallVec::new();
        let indexes = new.iter().map(|(_, index)| *index);
        let subject = Subject { key, record };
        let silent = self.in_context(key, record, now, &[], |context| {
            glance(&subject, context, indexes, |_, standing| {
                found.push(standing);
            })
        });
        let Some(entry) = self.store.kind_mut(&key.kind).get_mut(name) else {
            return true;
        };
        if !silent {
            return false;
        }
        let mut noted: standings::Standings = entry.standings.as_ref().into();
        for ((position, index), standing) in new.iter().zip(&found) {
            let bits = standings::bits(standing);
            standings::set(&mut noted, *position, bits);
            self.states[*index].count(bits, 1);
            self.states[*index].counts.evaluations += 1;
        }
        if noted.as_slice() != &*entry.standings {
            entry.standings = noted.as_slice().into();
        }
        self.evaluations += 1;
        true
    }
}
