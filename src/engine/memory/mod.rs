//! What the engine remembers of matches: since when each holds.
//!
//! Kept by rule and uid, never by name: an object that is made anew begins anew. A remembered match takes about fifty bytes.
//!
//! While it is not known whether an object matches (a kind cannot be followed, a value cannot be read), its match neither ends nor grows older.

mod uid;

pub use uid::Uid;

use ahash::AHashMap;
use jiff::{SignedDuration, Timestamp};

/// The matches of one rule.
#[derive(Debug, Default)]
pub struct Matches {
    held: AHashMap<Uid, Held>,
}

/// One match. Moments are nanoseconds since 1970, as [`Timestamp`] counts them, for their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    since: i64,
    /// Since when it is not known whether it still holds.
    doubt: Option<std::num::NonZeroI64>,
}

impl Held {
    /// The same match with the time of doubt taken out.
    fn assured(self, now: i64) -> Held {
        let unknown = self
            .doubt
            .map_or(0, |doubt| now.saturating_sub(doubt.get()));
        Held {
            // A clock that was set back must not make it older.
            since: self.since.saturating_add(unknown.max(0)).min(now),
            doubt: None,
        }
    }
}

fn nanos(moment: Timestamp) -> i64 {
    i64::try_from(moment.as_nanosecond()).unwrap_or(i64::MAX)
}

fn moment(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::MAX)
}

impl Matches {
    /// Since when a match holds; `None`: nothing is known of it.
    pub fn since(&self, uid: Uid, now: Timestamp) -> Option<Timestamp> {
        let held = self.held.get(&uid)?;
        Some(moment(held.assured(nanos(now)).since))
    }

    /// It holds now.
    pub fn holds(&mut self, uid: Uid, now: Timestamp) {
        let now = nanos(now);
        let begun = Held {
            since: now,
            doubt: None,
        };
        let held = self.held.entry(uid).or_insert(begun);
        *held = held.assured(now);
    }

    /// It is not known whether it holds.
    pub fn doubts(&mut self, uid: Uid, now: Timestamp) {
        if let Some(held) = self.held.get_mut(&uid) {
            held.doubt = held.doubt.or(std::num::NonZeroI64::new(nanos(now)));
        }
    }

    /// As [`Matches::doubts`], of all matches.
    pub fn doubt_all(&mut self, now: Timestamp) {
        let now = std::num::NonZeroI64::new(nanos(now));
        for held in self.held.values_mut() {
            held.doubt = held.doubt.or(now);
        }
    }

    /// It has ended, or the object is gone.
    pub fn ended(&mut self, uid: Uid) {
        if !self.held.is_empty() {
            self.held.remove(&uid);
        }
    }

    /// The clock was moved by so much: what has passed by it has passed.
    pub fn clock_moved(&mut self, by: SignedDuration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(0);
        for held in self.held.values_mut() {
            held.since = held.since.saturating_add(by);
            held.doubt = held
                .doubt
                .and_then(|doubt| std::num::NonZeroI64::new(doubt.get().saturating_add(by)));
        }
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
        self.held.capacity() * (size_of::<(Uid, Held)>() + 1)
    }
}

#[cfg(test)]
mod tests;
