//! The candidates of lists of one shape, and the subjects that asked for them.

use super::ids::{Id, Ids};
use crate::object::ObjectKey;
use crate::rule::Rule;
use crate::rule::path::Path;
use crate::rule::related::{Candidate, Keys, Related};
use ahash::{AHashMap, AHashSet};
use smallvec::SmallVec;
use std::sync::Arc;

/// More than this many under one key are kept as a set.
const FEW: usize = 16;

/// Numbers of objects, each once.
enum Group {
    Few(SmallVec<[Id; 2]>),
    Many(AHashSet<Id>),
}

impl Default for Group {
    fn default() -> Self {
        Group::Few(SmallVec::new())
    }
}

impl Group {
    fn insert(&mut self, id: Id) {
        match self {
            Group::Few(few) if few.len() < FEW => {
                if !few.contains(&id) {
                    few.push(id);
                }
            }
            Group::Few(few) => {
                let mut many: AHashSet<Id> = few.iter().copied().collect();
                many.insert(id);
                *self = Group::Many(many);
            }
            Group::Many(many) => {
                many.insert(id);
            }
        }
    }

    /// Whether none is left.
    fn remove(&mut self, id: Id) -> bool {
        match self {
            Group::Few(few) => {
                few.retain(|other| *other != id);
                few.is_empty()
            }
            Group::Many(many) => {
                many.remove(&id);
                many.is_empty()
            }
        }
    }

    fn each(&self, found: &mut dyn FnMut(Id)) {
        match self {
            Group::Few(few) => few.iter().copied().for_each(found),
            Group::Many(many) => many.iter().copied().for_each(found),
        }
    }

    fn len(&self) -> usize {
        match self {
            Group::Few(few) => few.len(),
            Group::Many(many) => many.len(),
        }
    }
}

/// Numbers of objects by key.
#[derive(Default)]
struct ByKey(AHashMap<u64, Group>);

impl ByKey {
    fn insert(&mut self, key: u64, id: Id) {
        self.0.entry(key).or_default().insert(id);
    }

    fn remove(&mut self, key: u64, id: Id) {
        if let Some(group) = self.0.get_mut(&key)
            && group.remove(id)
        {
            self.0.remove(&key);
        }
    }

    fn each(&self, key: u64, found: &mut dyn FnMut(Id)) {
        if let Some(group) = self.0.get(&key) {
            group.each(found);
        }
    }

    fn bytes(&self) -> usize {
        let many: usize = self
            .0
            .values()
            .map(|group| match group {
                Group::Few(few) if few.spilled() => few.capacity() * size_of::<Id>(),
                Group::Few(_) => 0,
                Group::Many(many) => many.capacity() * (size_of::<Id>() + 1),
            })
            .sum();
        self.0.capacity() * (size_of::<u64>() + size_of::<Group>() + 1) + many
    }
}

pub(super) struct Table {
    /// One of the lists that share it, by its rule and place.
    rule: Arc<Rule>,
    place: usize,
    /// The keys that each candidate lies under; one that lies under none is not in it.
    keys: AHashMap<Id, Keys>,
    candidates: ByKey,
    subjects: ByKey,
    /// Paths that may be misspelt: no schema knows them, and no candidate had them yet.
    pub unproven: Vec<Path>,
}

impl Table {
    pub fn new(rule: Arc<Rule>, place: usize) -> Self {
        let paths = rule
            .related
            .get(place)
            .map(|list| list.unchecked_paths.clone());
        Table {
            unproven: paths.unwrap_or_default(),
            rule,
            place,
            keys: AHashMap::new(),
            candidates: ByKey::default(),
            subjects: ByKey::default(),
        }
    }

    fn list(&self) -> Option<&Related> {
        self.rule.related.get(self.place)
    }

    /// A candidate as it is now; `None`: it is gone. Answers the subjects that have asked for one of its former or new keys.
    ///
    /// `known`: its number, if it has one; answers that afterwards.
    pub fn put(
        &mut self,
        ids: &mut Ids,
        (key, known): (&ObjectKey, Option<Id>),
        candidate: Option<Candidate<'_>>,
        concerned: &mut dyn FnMut(Id),
    ) -> Option<Id> {
        let mut known = known;
        let new = match (candidate, self.list()) {
            (Some(candidate), Some(list)) => list.keys(candidate),
            _ => Keys::new(),
        };
        let proven = candidate.is_some_and(|c| self.prove(c));
        let old = known.and_then(|id| self.keys.get(&id));
        if old == Some(&new) || (old.is_none() && new.is_empty()) {
            for key in &new {
                self.subjects.each(*key, concerned);
            }
        } else {
            let old = known.and_then(|id| self.keys.remove(&id));
            for key in old.iter().flatten().filter(|key| !new.contains(key)) {
                self.subjects.each(*key, concerned);
            }
            for key in &new {
                self.subjects.each(*key, concerned);
            }
            let id = ids.hold(key);
            for key in old.iter().flatten().filter(|key| !new.contains(key)) {
                self.candidates.remove(*key, id);
            }
            for key in &new {
                if old.as_ref().is_none_or(|old| !old.contains(key)) {
                    self.candidates.insert(*key, id);
                }
            }
            // Held once while it is in the table.
            if old.is_some() || new.is_empty() {
                ids.release(id);
            }
            if new.is_empty() {
                if old.is_some() {
                    ids.release(id);
                }
            } else {
                self.keys.insert(id, new);
            }
            known = ids.find(key);
        }
        if proven {
            // All that was unknown for it is known now.
            for group in self.subjects.0.values() {
                group.each(concerned);
            }
        }
        known
    }

    /// Whether the last path that may be misspelt is not.
    fn prove(&mut self, candidate: Candidate<'_>) -> bool {
        if self.unproven.is_empty() {
            return false;
        }
        let root = candidate.record.root();
        self.unproven
            .retain(|path| path.first(root, candidate.pod).is_none());
        self.unproven.is_empty()
    }

    /// Of keys under each of which all members lie, the one with the fewest candidates.
    pub fn rarest(&self, keys: &[u64]) -> Option<u64> {
        let size = |key: &u64| self.candidates.0.get(key).map_or(0, Group::len);
        keys.iter().copied().min_by_key(size)
    }

    pub fn candidates(&self, key: u64, found: &mut dyn FnMut(Id)) {
        self.candidates.each(key, found);
    }

    /// A subject asks for a key.
    pub fn enter(&mut self, key: u64, subject: Id) {
        self.subjects.insert(key, subject);
    }

    /// It no longer does.
    pub fn leave(&mut self, key: u64, subject: Id) {
        self.subjects.remove(key, subject);
    }

    /// The subjects that some candidates can concern.
    pub fn subjects_of(&self, which: impl Fn(Id) -> bool, concerned: &mut dyn FnMut(Id)) {
        for (_, keys) in self.keys.iter().filter(|(id, _)| which(**id)) {
            for key in keys {
                self.subjects.each(*key, concerned);
            }
        }
    }

    /// Lets go of every number that it holds.
    pub fn dissolve(self, ids: &mut Ids) {
        for id in self.keys.into_keys() {
            ids.release(id);
        }
        for group in self.subjects.0.values() {
            group.each(&mut |id| ids.release(id));
        }
    }

    pub fn bytes(&self) -> usize {
        let keys: usize = self
            .keys
            .values()
            .filter(|keys| keys.spilled())
            .map(|keys| keys.capacity() * size_of::<u64>())
            .sum();
        let each = size_of::<Id>() + size_of::<Keys>() + 1;
        self.keys.capacity() * each + keys + self.candidates.bytes() + self.subjects.bytes()
    }
}
