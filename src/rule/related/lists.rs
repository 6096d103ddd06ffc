//! What the lists of a rule came to for one subject.

use crate::object::{ObjectKey, Record};
use std::sync::Arc;

/// An object that belongs to a list.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its identity.
    pub key: ObjectKey,
    /// As last seen.
    pub record: Record,
}

/// One list.
#[derive(Clone, Debug)]
pub struct List {
    one: bool,
    members: Result<Vec<Member>, Arc<str>>,
}

impl List {
    /// A list of known members. Of a list with `one` they must be one, else it is not known.
    pub fn known(mut members: Vec<Member>, one: bool) -> List {
        members.sort_by(|a, b| a.key.cmp(&b.key));
        match (one, members.len()) {
            (false, _) | (true, 1) => List {
                one,
                members: Ok(members),
            },
            (true, 0) => List::unknown("there is none", one),
            (true, n) => List::unknown(&format!("there are {n}, and it is to be one"), one),
        }
    }

    /// Nobody knows what belongs to it.
    pub fn unknown(why: &str, one: bool) -> List {
        List {
            one,
            members: Err(why.into()),
        }
    }

    /// Whether its name is the one object.
    pub fn is_one(&self) -> bool {
        self.one
    }

    /// Its members, sorted by kind, namespace and name.
    ///
    /// # Errors
    /// They are not known, and why.
    pub fn members(&self) -> Result<&[Member], &Arc<str>> {
        self.members.as_deref()
    }
}

/// The lists of a rule, in its order, as far as they are computed.
#[derive(Clone, Debug, Default)]
pub struct Lists(Vec<List>);

impl Lists {
    /// Adds the next one.
    pub fn push(&mut self, list: List) {
        self.0.push(list);
    }

    /// By its place.
    pub fn get(&self, place: usize) -> Option<&List> {
        self.0.get(place)
    }
}
