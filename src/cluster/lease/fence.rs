//! What keeps a replica from writing when another one may lead already.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// How much of a term is kept free of writes at its end: one tenth, for what the network may still carry after a request timed out here.
const MARGIN: u32 = 10;

/// Open until a moment. That moment is the end of a term that was counted from before the last renewal was sent, so no other replica can take
/// the Lease before it.
pub struct Fence {
    end: Mutex<Option<Instant>>,
    margin: Duration,
}

impl Fence {
    /// A closed one, for terms of this length.
    pub fn new(term: Duration) -> Fence {
        Fence {
            end: Mutex::new(None),
            margin: term / MARGIN,
        }
    }

    /// The term ends then.
    pub fn open_until(&self, end: Instant) {
        *self.end.lock() = Some(end);
    }

    /// No write from now on.
    pub fn close(&self) {
        *self.end.lock() = None;
    }

    /// How long a write that begins now may take; `None`: it may not begin, because it could not be sure to end before the term does.
    pub fn admits(&self, now: Instant) -> Option<Duration> {
        let left = (*self.end.lock())?.checked_duration_since(now)?;
        // Never less than a margin: a write that can only time out is none.
        (left >= self.margin * 2).then(|| left - self.margin)
    }
}
