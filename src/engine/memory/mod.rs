//! What the engine remembers of matches: since when each holds (`after`), what has acted in it (`once`), what it waits for and what it archived.
//!
//! Kept by rule and uid, never by name: an object that is made anew begins anew. A remembered match takes about fifty bytes, and where
//! something has acted for it 64 more and the key.
//!
//! While it is not known whether an object matches (a kind cannot be followed, a value cannot be read), its match neither ends nor grows older.

mod acts;
mod keep;
mod numbers;
mod uid;

pub use uid::Uid;

use crate::decide::{Act, LastAct, Note, Present, SPARE};
use crate::state::{Slots, slot_of_match};
use acts::Acts;
use ahash::{AHashMap, AHashSet};
use jiff::{SignedDuration, Timestamp};
use std::num::NonZeroI64;
use std::sync::Arc;

/// How often, in nanoseconds, matches are looked through for objects that are out of sight,
const SWEEP: i64 = 600 * 1_000_000_000;
/// and for how long what has acted for those is remembered.
const LONGEST_AWAY: i64 = 86_400 * 1_000_000_000;

/// The matches of one rule.
#[derive(Debug, Default)]
pub struct Matches {
    held: AHashMap<Uid, Held>,
    /// When those were last looked through that are away, in nanoseconds since 1970.
    swept: Option<i64>,
    /// Slots of the state whose matches have changed since they were kept.
    changed: Slots,
    /// Matches that were recalled and not seen since.
    unseen: AHashSet<Uid>,
}

/// One match. Moments are nanoseconds since 1970, as [`Timestamp`] counts them, for their size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    /// Since when it holds; `None`: it does not, or nobody waits for it.
    since: Option<NonZeroI64>,
    /// Since when it is not known whether it still holds.
    doubt: Option<NonZeroI64>,
    /// What has acted in this match and in those before.
    acts: Option<Box<Acts>>,
}

impl Held {
    /// Since when it is known to hold: without the time of doubt.
    fn assured(&self, now: i64) -> Option<i64> {
        let since = self.since?.get();
        let unknown = match self.doubt {
            Some(doubt) => now.saturating_sub(doubt.get()).max(0),
            None => 0,
        };
        // A clock that was set back must not make it older.
        Some(since.saturating_add(unknown).min(now))
    }

    /// Answers whether that is new.
    fn doubts(&mut self, now: Option<NonZeroI64>) -> bool {
        let begins = self.since.is_some() && self.doubt.is_none();
        if begins {
            self.doubt = now;
        }
        begins
    }
}

fn nanos(moment: Timestamp) -> i64 {
    let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
    moment.as_nanosecond().clamp(least, most) as i64
}

fn moment(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::MAX)
}

impl Matches {
    /// Since when a match holds; `None`: nothing is known of it.
    pub fn since(&self, uid: Uid, now: Timestamp) -> Option<Timestamp> {
        let held = self.held.get(&uid)?;
        held.assured(nanos(now)).map(moment)
    }

    /// How many matches have ended in which something acted.
    pub fn nth(&self, uid: Uid) -> u32 {
        self.acts(uid).map_or(0, |acts| acts.nth)
    }

    /// When a step acted last.
    pub fn last(&self, uid: Uid, act: Act) -> Option<LastAct> {
        self.acts(uid)?.last(act)
    }

    /// The key that a step has since a moment and waits to act for.
    pub fn pending(&self, uid: Uid, act: Act) -> Option<(Arc<str>, Timestamp)> {
        let (key, since) = self.acts(uid)?.pending(act)?;
        Some((key.clone(), moment(since)))
    }

    fn acts(&self, uid: Uid) -> Option<&Acts> {
        match self.held.is_empty() {
            true => None,
            false => self.held.get(&uid)?.acts.as_deref(),
        }
    }

    /// Whether nothing is known of what has acted for an object.
    pub fn is_blank(&self, uid: Uid) -> bool {
        let acts = self.acts(uid);
        acts.is_none_or(|acts| acts.nth == 0 && acts.is_idle())
    }

    /// Whether so much is remembered of what has acted that it is to be looked for what is gone.
    pub fn has_many(&self, uid: Uid) -> bool {
        self.acts(uid).is_some_and(|acts| acts.len() > SPARE)
    }

    /// For how many of those that are there a step has acted.
    pub fn acted(&self, uid: Uid, present: &Present) -> usize {
        self.acts(uid).map_or(0, |acts| acts.acted_for(present))
    }

    fn forget_gone(&mut self, uid: Uid, present: &Present) {
        let held = self.held.get_mut(&uid);
        let acts = held.and_then(|held| held.acts.as_mut());
        if acts.is_some_and(|acts| acts.forget_gone(present)) {
            self.changed.add(slot_of_match(uid.number()));
        }
    }

    /// Takes a note of a pass.
    pub fn note(&mut self, uid: Uid, note: Note, now: Timestamp) {
        if let Note::Present(present) = &note {
            return self.forget_gone(uid, present);
        }
        self.changed.add(slot_of_match(uid.number()));
        let held = self.held.entry(uid).or_default();
        let acts = held.acts.get_or_insert_default();
        acts.set_away(None);
        match note {
            Note::Begun(nth) => acts.nth = acts.nth.max(nth),
            Note::Acted(act, last) => acts.acted(act, last),
            Note::Pending(act, key) => acts.waits(act, key, nanos(now)),
            Note::Settled(act) => acts.settled(act),
            Note::Present(_) => {}
        }
    }

    /// It holds now.
    pub fn holds(&mut self, uid: Uid, now: Timestamp) {
        let now = nanos(now);
        let held = self.held.entry(uid).or_default();
        let since = NonZeroI64::new(held.assured(now).unwrap_or(now));
        if held.since != since || held.doubt.is_some() {
            (held.since, held.doubt) = (since, None);
            self.changed.add(slot_of_match(uid.number()));
        }
    }

    /// It is not known whether it holds.
    pub fn doubts(&mut self, uid: Uid, now: Timestamp) {
        if let Some(held) = self.held.get_mut(&uid)
            && held.doubts(NonZeroI64::new(nanos(now)))
        {
            self.changed.add(slot_of_match(uid.number()));
        }
    }

    /// As [`Matches::doubts`], of all matches.
    pub fn doubt_all(&mut self, now: Timestamp) {
        let now = NonZeroI64::new(nanos(now));
        for (uid, held) in &mut self.held {
            if held.doubts(now) {
                self.changed.add(slot_of_match(uid.number()));
            }
        }
    }

    /// It has ended, if it held: steps act anew in the next one.
    pub fn ended(&mut self, uid: Uid) {
        if self.held.is_empty() {
            return;
        }
        let Some(held) = self.held.get_mut(&uid) else {
            return;
        };
        let Some(acts) = &mut held.acts else {
            self.held.remove(&uid);
            self.changed.add(slot_of_match(uid.number()));
            return;
        };
        // An object that does not match is looked at time and again, and its match ends but once.
        let doubted = held.doubt.take().is_some();
        if acts.match_ended(held.since.take().is_some()) || doubted {
            self.changed.add(slot_of_match(uid.number()));
        }
    }

    /// All matches begin anew at a moment. What has acted since then, before a restart, has acted in the new ones.
    pub fn begin_anew(&mut self, at: Timestamp) {
        let begun = nanos(at);
        let mut ended = vec![];
        for (uid, held) in &mut self.held {
            let acts = held.acts.as_mut();
            let acted = acts.is_some_and(|acts| acts.goes_on_since(begun));
            if !acted && held.since.is_none_or(|since| since.get() < begun) {
                ended.push(*uid);
            }
        }
        for uid in ended {
            self.ended(uid);
        }
    }

    /// The object is gone.
    pub fn gone(&mut self, uid: Uid) {
        if !self.held.is_empty() && self.held.remove(&uid).is_some() {
            self.changed.add(slot_of_match(uid.number()));
        }
    }

    /// The object is gone, or has left the scope in which its kind is watched, which looks the same: the match has ended, and what has acted
    /// is remembered for a day, should it come back.
    pub fn away(&mut self, uid: Uid, now: Timestamp) {
        self.ended(uid);
        let now = nanos(now);
        if let Some(acts) = self.held.get_mut(&uid).and_then(|held| held.acts.as_mut()) {
            acts.set_away(Some(now));
        }
        if self
            .swept
            .is_none_or(|swept| now.saturating_sub(swept) > SWEEP || swept > now)
        {
            self.swept = Some(now);
            self.held.retain(|_, held| {
                let away = held.acts.as_ref().and_then(|acts| acts.away());
                away.is_none_or(|since| now.saturating_sub(since) <= LONGEST_AWAY)
            });
        }
    }

    /// The clock was moved by so much: what has passed by it has passed.
    pub fn clock_moved(&mut self, by: SignedDuration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(0);
        let moved = |at: NonZeroI64| NonZeroI64::new(at.get().saturating_add(by));
        for held in self.held.values_mut() {
            held.since = held.since.and_then(moved);
            held.doubt = held.doubt.and_then(moved);
            if let Some(acts) = &mut held.acts {
                acts.clock_moved(by);
            }
        }
        self.changed = Slots::ALL;
    }

    /// Number of matches.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Bytes that they take: an estimate from the table's capacity.
    pub fn bytes(&self) -> usize {
        let acts = self.held.values().filter_map(|held| held.acts.as_ref());
        let acts: usize = acts.map(|acts| acts.bytes()).sum();
        self.held.capacity() * (size_of::<(Uid, Held)>() + 1) + acts
    }
}

#[cfg(test)]
mod tests;
