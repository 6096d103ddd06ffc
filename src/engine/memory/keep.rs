//! Matches as they are kept, and recalled.

use super::{Acts, Held, Matches, Uid, moment, nanos};
use crate::state::{Match, Slots, slot_of_match};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::num::NonZeroI64;

impl Matches {
    /// Takes the slots whose matches have changed since the last time.
    pub fn take_changed(&mut self) -> Slots {
        std::mem::take(&mut self.changed)
    }

    /// Whether some have.
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Whether something was recalled of objects that were not looked at since.
    pub fn has_unseen(&self) -> bool {
        !self.unseen.is_empty()
    }

    /// The matches of some slots, as they are kept.
    pub fn kept(&self, slots: Slots) -> impl Iterator<Item = (u128, Match)> {
        let of = move |uid: &Uid| slots.has(slot_of_match(uid.number()));
        let held = self.held.iter().filter(move |(uid, _)| of(uid));
        held.map(|(uid, held)| (uid.number(), held.kept()))
    }

    /// Takes what was kept, at a moment; what is later than that moment is of a clock that was set back.
    pub fn recall(&mut self, kept: BTreeMap<u128, Match>, now: Timestamp) {
        for (uid, kept) in kept {
            let uid = Uid::from(uid);
            self.held.insert(uid, Held::recalled(kept, now));
            self.unseen.insert(uid);
        }
    }

    /// An object was looked at: what was recalled of it is of use.
    pub fn seen(&mut self, uid: Uid) {
        if !self.unseen.is_empty() {
            self.unseen.remove(&uid);
        }
        // Only where something was away can something be back.
        if self.swept.is_some()
            && let Some(acts) = self.held.get_mut(&uid).and_then(|held| held.acts.as_mut())
        {
            acts.set_away(None);
        }
    }

    /// All objects of the rule's scope were looked at: what was recalled of others is of objects that are gone.
    pub fn all_seen(&mut self) {
        for uid in std::mem::take(&mut self.unseen) {
            self.gone(uid);
        }
    }

    /// As [`Matches::all_seen`], where only a part of the objects is watched.
    pub fn all_in_sight_seen(&mut self, now: Timestamp) {
        for uid in std::mem::take(&mut self.unseen) {
            self.away(uid, now);
        }
    }
}

impl Held {
    fn kept(&self) -> Match {
        let at = |at: NonZeroI64| moment(at.get());
        let mut kept = Match {
            since: self.since.map(at),
            doubt: self.doubt.map(at),
            ..Match::default()
        };
        if let Some(acts) = &self.acts {
            kept.nth = acts.nth;
            kept.done = acts.done().collect();
            if let Some(more) = &acts.more {
                let pending = more.pending.iter();
                kept.pending = pending
                    .map(|(act, key, since)| (*act, key.clone(), moment(*since)))
                    .collect();
                let waits = more.waits.iter();
                kept.waits = waits.map(|(step, at)| (*step, moment(*at))).collect();
                kept.archived.clone_from(&more.archived);
            }
        }
        kept
    }

    fn recalled(kept: Match, now: Timestamp) -> Held {
        let at = |at: Timestamp| NonZeroI64::new(nanos(at.min(now)));
        let mut acts = Acts::after(kept.nth);
        for (act, last) in kept.done {
            acts.put(act, last);
        }
        if !kept.pending.is_empty() || !kept.waits.is_empty() || !kept.archived.is_empty() {
            let early = |at: Timestamp| nanos(at.min(now));
            let (pending, waits) = (kept.pending.into_iter(), kept.waits.into_iter());
            let more = acts.more();
            more.pending = pending
                .map(|(act, key, since)| (act, key, early(since)))
                .collect();
            more.waits = waits.map(|(step, since)| (step, early(since))).collect();
            more.archived = kept.archived;
        }
        Held {
            since: kept.since.and_then(at),
            doubt: kept.doubt.and_then(at),
            acts: (!acts.is_blank()).then(|| Box::new(acts)),
        }
    }
}
