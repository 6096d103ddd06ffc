//! What has acted for one object and rule.

use crate::decide::{Act, LastAct};
use std::sync::Arc;

/// Most elements of one step that are remembered; a `forEach` has fewer.
const MOST: usize = 4_096;

/// Steps that act once, for one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acts {
    /// How many matches have ended in which something acted.
    pub nth: u32,
    pub done: Vec<(Act, LastAct)>,
    /// Keys that have not been the same for long enough, and since when they are, in nanoseconds since 1970.
    pub pending: Vec<(Act, Arc<str>, i64)>,
    /// Since when the object is out of sight: gone, or only out of the scope in which its kind is watched. In nanoseconds since 1970.
    pub away: Option<i64>,
}

impl Acts {
    pub fn last(&self, act: Act) -> Option<&LastAct> {
        let mut done = self.done.iter();
        done.find(|(known, _)| *known == act).map(|(_, last)| last)
    }

    pub fn pending(&self, act: Act) -> Option<(&Arc<str>, i64)> {
        let mut pending = self.pending.iter();
        let found = pending.find(|(known, ..)| *known == act);
        found.map(|(_, key, since)| (key, *since))
    }

    pub fn acted(&mut self, act: Act, last: LastAct) {
        self.settled(act);
        // Without a key only the present match counts.
        let nth = self.nth;
        self.done
            .retain(|(known, last)| *known != act && (last.key.is_some() || last.nth == nth));
        if self.done.len() >= MOST {
            self.done.remove(0);
        }
        self.done.push((act, last));
    }

    pub fn waits(&mut self, act: Act, key: Arc<str>, now: i64) {
        self.settled(act);
        if self.pending.len() < MOST {
            self.pending.push((act, key, now));
        }
    }

    pub fn settled(&mut self, act: Act) {
        self.pending.retain(|(known, ..)| *known != act);
    }

    /// `held`: it is known that it did.
    pub fn match_ended(&mut self, held: bool) {
        self.pending.clear();
        let nth = self.nth;
        if held || self.done.iter().any(|(_, last)| last.nth == nth) {
            self.nth = nth.saturating_add(1);
        }
    }

    pub fn clock_moved(&mut self, by: i64) {
        for (.., since) in &mut self.pending {
            *since = since.saturating_add(by);
        }
    }

    pub fn bytes(&self) -> usize {
        let keys = self.done.iter().filter_map(|(_, last)| last.key.as_ref());
        let keys: usize = keys.map(|key| key.len() + 16).sum();
        size_of::<Acts>()
            + self.done.capacity() * size_of::<(Act, LastAct)>()
            + self.pending.capacity() * size_of::<(Act, Arc<str>, i64)>()
            + keys
    }
}
