//! What is kept beyond a restart, as text: matches, what has acted in them, what limits and breakers have counted, which moments of schedules
//! are done with.
//!
//! PURE. The state is cut into shards by a hash, so that each fits into one ConfigMap and a change of one match writes one of them. Offline it is
//! one file, the only shard.
//!
//! `text` one shard as JSON, with a format version · `clock` the same by another clock · `layout` which shards there are and which of them counts · `merge` two daemons' states as one.

mod clock;
mod layout;
mod merge;
mod text;

pub use layout::{Layout, Read, SLOTS, Slots, read, slot_of_match, slot_of_rule};
pub use text::{LARGEST, Shard, Trouble, VERSION, stamp_of};

use crate::decide::breaker::Trip;
use crate::decide::{Act, LastAct};
use crate::object::ObjectKey;
use crate::rule::ResolvedKind;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that is kept, by the names of rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// By the names of rules.
    pub rules: BTreeMap<Arc<str>, OfRule>,
}

/// What is kept of one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfRule {
    /// Its matches, and the hash of what decided about them.
    pub matches: Option<(u64, BTreeMap<u128, Match>)>,
    /// Hash of the document by which the steps of its matches are numbered.
    pub numbers: Option<u64>,
    /// What was counted, and the hash of its document.
    pub counted: Option<(u64, Counted)>,
    /// Up to when the moments of its schedule are done with, and the hash of what decides about its matches. Kept to the millisecond.
    pub moments: Option<(u64, Timestamp)>,
    /// The kinds that it may hold something of, where that is kept with the rest: in a file.
    pub holds: Vec<HeldKind>,
}

/// A kind that a rule may hold something of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldKind {
    /// The kind, and the version at which it was written.
    pub resolved: ResolvedKind,
    /// Nothing but metadata was changed.
    pub metadata_only: bool,
}

/// One match, of the object with a uid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Since when it holds; milliseconds are kept, rounded up.
    pub since: Option<Timestamp>,
    /// Since when it is not known whether it still holds.
    pub doubt: Option<Timestamp>,
    /// How many matches have ended in which something acted.
    pub nth: u32,
    /// What has acted.
    pub done: Vec<(Act, LastAct)>,
    /// Keys that have not been the same for long enough.
    pub pending: Vec<(Act, Arc<str>, Timestamp)>,
    /// Steps behind which it is waited, by their numbers in [`OfRule::numbers`], and since when.
    pub waits: Vec<(usize, Timestamp)>,
    /// Hash of the content that steps, by their numbers, have archived last.
    pub archived: Vec<(usize, u64)>,
}

/// What limits and breakers have counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Objects acted on lately, each with the last time.
    pub acted: Vec<(ObjectKey, Timestamp)>,
    /// Objects of which a person has said that they are meant.
    pub approved: Vec<ObjectKey>,
    /// Why the rule stopped.
    pub aborted: Option<String>,
    /// Objects whose breaker is open.
    pub open: Vec<(ObjectKey, Broken)>,
}

impl Counted {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        *self == Counted::default()
    }
}

/// A breaker that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Why.
    pub trip: Trip,
    /// Where, as paths for people.
    pub places: Vec<String>,
    /// Who else writes there, in words.
    pub others: Option<String>,
}
