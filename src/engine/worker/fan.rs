//! Many requests for one subject: those that wait for a free worker, and when the subject is looked at again. Looking at it after each answer
//! would cost the square of their number.

use super::Engine;
use crate::decide::{RuleChange, Write};
use crate::engine::Effect;
use crate::object::ObjectKey;
use ahash::AHashMap;
use jiff::Timestamp;
use std::collections::VecDeque;

/// While no more than so many are not answered yet, the subject is looked at whenever something happens.
const FEW: usize = 4;

/// The requests of one subject on other objects.
#[derive(Default)]
struct Fan {
    /// Not answered yet.
    outstanding: usize,
    /// Not sent yet, and when the subject came to be looked at.
    waiting: VecDeque<(Write, Vec<RuleChange>, Timestamp)>,
    /// The subject is to be looked at when all but a few are answered, and wanted since then.
    again: Option<Timestamp>,
}

impl Fan {
    fn pending(&self) -> usize {
        self.outstanding + self.waiting.len()
    }
}

/// Those of all subjects.
#[derive(Default)]
pub(super) struct Fans {
    of: AHashMap<ObjectKey, Fan>,
    /// Subjects with requests that wait, first come first served.
    line: VecDeque<ObjectKey>,
}

impl Fans {
    /// Whether no request waits for a free worker.
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// The subject is looked at anew, or gone: what was wanted is wanted no longer, or again.
    pub fn decided_anew(&mut self, subject: &ObjectKey) {
        if let Some(fan) = self.of.get_mut(subject) {
            fan.waiting.clear();
            if fan.outstanding == 0 {
                self.of.remove(subject);
            }
        }
    }

    /// Nothing is to be sent any more; what was sent is still answered.
    pub fn forget_waiting(&mut self) {
        self.line.clear();
        self.of.retain(|_, fan| {
            fan.waiting.clear();
            fan.again = None;
            fan.outstanding > 0
        });
    }

    /// One more was sent.
    pub fn sent(&mut self, subject: &ObjectKey) {
        self.of.entry(subject.clone()).or_default().outstanding += 1;
    }
}

impl Engine {
    /// A request for which no worker is free.
    pub(super) fn keep_back(
        &mut self,
        subject: &ObjectKey,
        (write, changes): (Write, Vec<RuleChange>),
        wanted: Timestamp,
    ) {
        let fan = self.fans.of.entry(subject.clone()).or_default();
        if fan.waiting.is_empty() {
            self.fans.line.push_back(subject.clone());
        }
        fan.waiting.push_back((write, changes, wanted));
    }

    /// Sends what waits, as far as workers are free.
    pub(super) fn send_kept_back(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while self.in_flight.len() < self.options.workers
            && let Some(subject) = self.fans.line.front().cloned()
        {
            if self.queue.is_queued(&subject) {
                // It has changed: what is wanted now is decided first.
                self.fans.line.pop_front();
                self.fans.decided_anew(&subject);
                continue;
            }
            let next = match self.fans.of.get_mut(&subject) {
                Some(fan) => fan.waiting.pop_front(),
                None => None,
            };
            let Some((write, changes, wanted)) = next else {
                self.fans.line.pop_front();
                self.perhaps_again(&subject);
                continue;
            };
            if !self.frozen {
                self.send_deed(write, changes, &subject, (wanted, now), effects);
            }
        }
    }

    /// What waits was decided under another rule set, or must not be done now.
    pub(super) fn drop_kept_back(&mut self, now: Timestamp) {
        for subject in std::mem::take(&mut self.fans.line) {
            self.fans.decided_anew(&subject);
            self.nudge(subject, now);
        }
    }

    /// A subject is to be looked at because of its requests: now, or when all but a few of them are answered.
    pub(super) fn nudge(&mut self, subject: ObjectKey, now: Timestamp) {
        match self.fans.of.get_mut(&subject) {
            Some(fan) if fan.pending() > FEW => {
                fan.again.get_or_insert(now);
            }
            _ => self.queue.push(subject, now),
        }
    }

    /// A request was answered, whichever way.
    pub(super) fn fan_answered(&mut self, subject: &ObjectKey) {
        if let Some(fan) = self.fans.of.get_mut(subject) {
            fan.outstanding = fan.outstanding.saturating_sub(1);
            self.perhaps_again(subject);
        }
    }

    /// Looks at a subject for which all but a few are answered.
    fn perhaps_again(&mut self, subject: &ObjectKey) {
        let Some(fan) = self.fans.of.get_mut(subject) else {
            return;
        };
        if fan.pending() > FEW {
            return;
        }
        let again = fan.again.take();
        if fan.pending() == 0 {
            self.fans.of.remove(subject);
        }
        if let Some(since) = again {
            self.queue.push(subject.clone(), since);
        }
    }
}
