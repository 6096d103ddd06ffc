//! What has acted for one object and rule.

use crate::decide::{Act, LastAct};
use jiff::SignedDuration;
use smallvec::SmallVec;
use std::sync::Arc;

/// Most elements of one step that are remembered; a `forEach` has fewer.
const MOST: usize = 4_096;

/// Steps that act once, for one object. Most objects have one of them: it stands beside the rest without a place of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acts {
    /// How many matches have ended in which something acted.
    pub nth: u32,
    pub done: SmallVec<[(Act, LastAct); 1]>,
    /// What few objects have.
    pub more: Option<Box<More>>,
}

/// What is seldom known of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct More {
    /// Keys that have not been the same for long enough, and since when they are, in nanoseconds since 1970.
    pub pending: Vec<(Act, Arc<str>, i64)>,
    /// Steps behind which it is waited, by their numbers, and since when, in nanoseconds since 1970.
    pub waits: Vec<(usize, i64)>,
    /// Hash of the content that steps, by their numbers, have archived last.
    pub archived: Vec<(usize, u64)>,
    /// Since when the object is out of sight: gone, or only out of the scope in which its kind is watched. In nanoseconds since 1970.
    pub away: Option<i64>,
}

impl Acts {
    pub fn last(&self, act: Act) -> Option<&LastAct> {
        let mut done = self.done.iter();
        done.find(|(known, _)| *known == act).map(|(_, last)| last)
    }

    pub fn pending(&self, act: Act) -> Option<(&Arc<str>, i64)> {
        let mut pending = self.more.as_ref()?.pending.iter();
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
        let pending = &mut self.more().pending;
        if pending.len() < MOST {
            pending.push((act, key, now));
        }
    }

    pub fn settled(&mut self, act: Act) {
        self.change_more(|more| more.pending.retain(|(known, ..)| *known != act));
    }

    /// `held`: it is known that it did.
    pub fn match_ended(&mut self, held: bool) {
        self.change_more(|more| {
            more.pending.clear();
            more.waits.clear();
        });
        let nth = self.nth;
        if held || self.done.iter().any(|(_, last)| last.nth == nth) {
            self.nth = nth.saturating_add(1);
        }
    }

    /// If something has acted since a moment, the match in which it did goes on. False: nothing has.
    pub fn goes_on_since(&mut self, at: i64) -> bool {
        let since = |last: &LastAct| i64::try_from(last.at.as_nanosecond()).is_ok_and(|n| n >= at);
        let done = self.done.iter().filter(|(_, last)| since(last));
        let nth = done.map(|(_, last)| last.nth).max();
        if let Some(nth) = nth {
            self.nth = nth;
        }
        nth.is_some()
    }

    pub fn clock_moved(&mut self, by: i64) {
        for (_, last) in &mut self.done {
            let moved = last.at.checked_add(SignedDuration::from_nanos(by));
            last.at = moved.unwrap_or(last.at);
        }
        if let Some(more) = &mut self.more {
            for (.., since) in &mut more.pending {
                *since = since.saturating_add(by);
            }
            for (_, since) in &mut more.waits {
                *since = since.saturating_add(by);
            }
        }
    }

    /// Since when the object is out of sight.
    pub fn away(&self) -> Option<i64> {
        self.more.as_ref()?.away
    }

    /// It is out of sight since a moment, or is not.
    pub fn set_away(&mut self, since: Option<i64>) {
        match since {
            Some(_) => self.more().away = since,
            None => self.change_more(|more| more.away = None),
        }
    }

    /// Steps have other numbers: what is known by those is not known any more.
    pub fn forget_numbers(&mut self) {
        self.change_more(|more| {
            more.waits.clear();
            more.archived.clear();
        });
    }

    pub fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Changes what there may be, and keeps nothing of nothing.
    pub fn change_more(&mut self, change: impl FnOnce(&mut More)) {
        if let Some(more) = &mut self.more {
            change(more);
            if **more == More::default() {
                self.more = None;
            }
        }
    }

    /// Whether there is nothing to remember.
    pub fn is_blank(&self) -> bool {
        *self == Acts::default()
    }

    pub fn bytes(&self) -> usize {
        let keys = self.done.iter().filter_map(|(_, last)| last.key.as_ref());
        let keys: usize = keys.map(|key| key.len() + 16).sum();
        let done = match self.done.spilled() {
            true => self.done.capacity() * size_of::<(Act, LastAct)>(),
            false => 0,
        };
        let more = self.more.as_ref().map_or(0, |more| {
            size_of::<More>()
                + more.pending.capacity() * size_of::<(Act, Arc<str>, i64)>()
                + more.waits.capacity() * size_of::<(usize, i64)>()
                + more.archived.capacity() * size_of::<(usize, u64)>()
        });
        size_of::<Acts>() + done + more + keys
    }
}
