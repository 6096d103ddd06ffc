//! Moments at which an object must be looked at again: a heap, one moment a key, the earliest.

use crate::object::ObjectKey;
use ahash::AHashMap;
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The heap. A moment that was replaced stays in it until it comes to the top, and is passed over then.
#[derive(Default)]
pub struct Due {
    heap: BinaryHeap<Reverse<(Timestamp, ObjectKey)>>,
    moments: AHashMap<ObjectKey, Timestamp>,
}

impl Due {
    /// Sets the one moment of a key; `None` takes it away.
    pub fn set(&mut self, key: &ObjectKey, moment: Option<Timestamp>) {
        match moment {
            // Most objects never have one.
            None if self.moments.is_empty() && self.heap.is_empty() => return,
            None => {
                self.moments.remove(key);
            }
            Some(moment) => {
                if self.moments.insert(key.clone(), moment) != Some(moment) {
                    self.heap.push(Reverse((moment, key.clone())));
                }
            }
        }
        self.compact();
    }

    /// As [`Due::set`], but keeps an earlier moment.
    pub fn no_later_than(&mut self, key: &ObjectKey, moment: Timestamp) {
        if self.moments.get(key).is_none_or(|known| moment < *known) {
            self.set(key, Some(moment));
        }
    }

    /// The earliest moment.
    pub fn earliest(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((moment, key))) = self.heap.peek() {
            if self.moments.get(key) == Some(moment) {
                return Some(*moment);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes out one key whose moment has come.
    pub fn pop(&mut self, now: Timestamp) -> Option<ObjectKey> {
        if self.earliest()? > now {
            return None;
        }
        let Reverse((_, key)) = self.heap.pop()?;
        self.moments.remove(&key);
        Some(key)
    }

    /// Number of keys that have a moment.
    pub fn len(&self) -> usize {
        self.moments.len()
    }

    /// Whether no key has one.
    pub fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }

    /// Keeps the heap from growing with moments that were replaced.
    fn compact(&mut self) {
        if self.heap.len() > 1024 && self.heap.len() > 4 * self.moments.len() {
            self.heap = self
                .moments
                .iter()
                .map(|(key, moment)| Reverse((*moment, key.clone())))
                .collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn key(n: u8) -> ObjectKey {
        ObjectKey::new(GroupKind::new("", "Pod"), Some("n"), &n.to_string())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap_or_default()
    }

    proptest! {
        /// Against the plainest model: a map from key to moment.
        #[test]
        fn keys_come_out_when_due_and_once(steps in prop::collection::vec((0u8..6, prop::option::of(0i64..50), 0i64..50), 0..60)) {
            let (mut due, mut model) = (Due::default(), BTreeMap::new());
            for (k, moment, now) in steps {
                due.set(&key(k), moment.map(at));
                match moment { Some(m) => { model.insert(k, m); } None => { model.remove(&k); } }
                prop_assert_eq!(due.earliest(), model.values().min().map(|m| at(*m)));
                while let Some(popped) = due.pop(at(now)) {
                    let k: u8 = popped.name.parse().unwrap_or_default();
                    prop_assert!(model.remove(&k).is_some_and(|m| m <= now));
                }
                prop_assert!(model.values().all(|m| *m > now));
                prop_assert_eq!(due.len(), model.len());
            }
        }
    }
}
