//! What is kept beyond a restart, as text: matches, what has acted in them, what limits and breakers have counted.
//!
//! PURE. The state is cut into shards by a hash, so that each fits into one ConfigMap and a change of one match writes one of them. Offline it is
//! one file, the only shard.
//!
//! `text` one shard as JSON, with a format version · `layout` which shards there are and which of them counts · `merge` two daemons' states as one.

mod layout;
mod merge;
mod text;

pub use layout::{Layout, Read, SLOTS, Slots, read, slot_of_match, slot_of_rule};
pub use text::{LARGEST, Shard, Trouble, VERSION, stamp_of};

use crate::decide::breaker::Trip;
use crate::decide::{Act, LastAct};
use crate::object::ObjectKey;
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
    /// What was counted, and the hash of its document.
    pub counted: Option<(u64, Counted)>,
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
