//! Which object next: de-duplicated, one at a time per key, fair between kinds, with a back-off per key. Knows no clock.

use crate::object::{GroupKind, ObjectKey};
use ahash::{AHashMap, AHashSet};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// First pause after a failure; doubled with each further one.
pub const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Room for more keys than this, which a list took, is given back when none waits any more.
const ROOM: usize = 1_024;

/// Keys of one kind, oldest first.
struct Lane {
    kind: GroupKind,
    keys: VecDeque<(ObjectKey, Timestamp)>,
}

/// The queue. A key stands in it at most once; one that is held is not handed out, and comes back when it is let go if it was pushed meanwhile.
#[derive(Default)]
pub struct Queue {
    lanes: Vec<Lane>,
    /// The lane that is asked first next time.
    turn: usize,
    queued: AHashSet<ObjectKey>,
    /// Held keys, and since when they are wanted again if they were pushed meanwhile.
    held: AHashMap<ObjectKey, Option<Timestamp>>,
    /// How often in a row a key failed, and since when it was wanted the first time.
    failures: AHashMap<ObjectKey, (u32, Timestamp)>,
}

impl Queue {
    /// Puts a key in, if it does not stand there already.
    pub fn push(&mut self, key: ObjectKey, now: Timestamp) {
        if let Some(pushed) = self.held.get_mut(&key) {
            pushed.get_or_insert(now);
            return;
        }
        if self.queued.contains(&key) {
            return;
        }
        self.queued.insert(key.clone());
        match self.lanes.iter_mut().find(|l| l.kind == key.kind) {
            Some(lane) => lane.keys.push_back((key, now)),
            None => self.lanes.push(Lane {
                kind: key.kind.clone(),
                keys: [(key, now)].into(),
            }),
        }
    }

    /// The next key of a kind that is `ready`, kinds in turn, and since when it is wanted: if it failed, since before that.
    pub fn pop(&mut self, ready: impl Fn(&GroupKind) -> bool) -> Option<(ObjectKey, Timestamp)> {
        for step in 0..self.lanes.len() {
            let at = (self.turn + step) % self.lanes.len();
            let lane = &mut self.lanes[at];
            if lane.keys.is_empty() || !ready(&lane.kind) {
                continue;
            }
            self.turn = at + 1;
            let (key, mut since) = lane.keys.pop_front()?;
            self.queued.remove(&key);
            if self.queued.is_empty() && self.queued.capacity() > ROOM {
                self.give_back_room();
            }
            if !self.failures.is_empty()
                && let Some((_, first)) = self.failures.get(&key)
            {
                since = since.min(*first);
            }
            return Some((key, since));
        }
        None
    }

    fn give_back_room(&mut self) {
        self.queued.shrink_to(ROOM / 2);
        for lane in &mut self.lanes {
            lane.keys.shrink_to(ROOM / 2);
        }
    }

    /// Whether something stands in it that could be popped.
    pub fn has_ready(&self, ready: impl Fn(&GroupKind) -> bool) -> bool {
        self.lanes
            .iter()
            .any(|l| !l.keys.is_empty() && ready(&l.kind))
    }

    /// Forgets all keys that wait. Held ones stay held.
    pub fn clear(&mut self) {
        if self.queued.is_empty() {
            return;
        }
        for lane in &mut self.lanes {
            lane.keys.clear();
        }
        self.queued.clear();
    }

    /// Keeps a key from being handed out until [`Queue::release`].
    pub fn hold(&mut self, key: ObjectKey) {
        self.held.insert(key, None);
    }

    /// Whether a key waits to be handed out.
    pub fn is_queued(&self, key: &ObjectKey) -> bool {
        self.queued.contains(key)
    }

    /// Whether a key is held.
    pub fn is_held(&self, key: &ObjectKey) -> bool {
        self.held.contains_key(key)
    }

    /// Lets a key go; it is put in again if it was pushed meanwhile.
    pub fn release(&mut self, key: &ObjectKey) {
        if let Some(Some(since)) = self.held.remove(key) {
            self.push(key.clone(), since);
        }
    }

    /// Notes a failure of a key that is wanted `since` then, and answers the pause before the next try.
    pub fn failed(&mut self, key: &ObjectKey, since: Timestamp) -> Duration {
        let (failures, _) = self.failures.entry(key.clone()).or_insert((0, since));
        *failures = failures.saturating_add(1);
        FIRST_PAUSE
            .saturating_mul(2u32.saturating_pow(*failures - 1))
            .min(LONGEST_PAUSE)
    }

    /// Notes that a key went well.
    pub fn succeeded(&mut self, key: &ObjectKey) {
        if !self.failures.is_empty() {
            self.failures.remove(key);
        }
    }

    /// Forgets everything about a key but its place in the queue.
    pub fn forget(&mut self, key: &ObjectKey) {
        self.failures.remove(key);
    }

    /// Forgets every key of a kind that is not held.
    pub fn drop_kind(&mut self, kind: &GroupKind) {
        self.lanes.retain(|lane| lane.kind != *kind);
        self.queued.retain(|key| key.kind != *kind);
        self.failures.retain(|key, _| key.kind != *kind);
    }

    /// Number of keys that wait.
    pub fn len(&self) -> usize {
        self.queued.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Number of keys that are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// When the key that waits longest was put in.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.lanes
            .iter()
            .filter_map(|l| l.keys.front().map(|(_, since)| *since))
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key(kind: &str, n: u8) -> ObjectKey {
        ObjectKey::new(GroupKind::new("", kind), None, &n.to_string())
    }

    #[test]
    fn kinds_take_turns() {
        let mut queue = Queue::default();
        for n in 0..3 {
            queue.push(key("A", n), Timestamp::UNIX_EPOCH);
        }
        queue.push(key("B", 0), Timestamp::UNIX_EPOCH);
        let order: Vec<String> = std::iter::from_fn(|| queue.pop(|_| true))
            .map(|(k, _)| k.to_string())
            .collect();
        assert_eq!(order, ["A/0", "B/0", "A/1", "A/2"]);
    }

    #[test]
    fn a_kind_that_is_not_ready_waits_and_holds_up_nobody() {
        let mut queue = Queue::default();
        queue.push(key("A", 0), Timestamp::UNIX_EPOCH);
        queue.push(key("B", 0), Timestamp::UNIX_EPOCH);
        let popped = queue.pop(|k| &*k.kind == "B");
        assert_eq!(popped.map(|(k, _)| k), Some(key("B", 0)));
        assert_eq!(queue.pop(|k| &*k.kind == "B"), None);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_end_with_success() {
        let mut queue = Queue::default();
        let k = key("A", 0);
        let pauses: Vec<u64> = (0..12)
            .map(|_| queue.failed(&k, Timestamp::UNIX_EPOCH).as_millis() as u64)
            .collect();
        assert_eq!(pauses[..4], [500, 1000, 2000, 4000]);
        assert_eq!(pauses[11], 300_000);
        queue.succeeded(&k);
        assert_eq!(queue.failed(&k, Timestamp::UNIX_EPOCH), FIRST_PAUSE);
    }

    #[test]
    fn a_key_is_wanted_since_it_was_pushed_first() {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        let mut queue = Queue::default();
        let k = key("A", 0);
        queue.push(k.clone(), at(1));
        queue.push(k.clone(), at(2));
        assert_eq!(queue.pop(|_| true), Some((k.clone(), at(1))));
        queue.hold(k.clone());
        queue.push(k.clone(), at(3));
        queue.push(k.clone(), at(4));
        queue.release(&k);
        assert_eq!(queue.pop(|_| true), Some((k.clone(), at(3))));
        queue.failed(&k, at(3));
        queue.failed(&k, at(5));
        queue.push(k.clone(), at(9));
        assert_eq!(
            queue.pop(|_| true),
            Some((k.clone(), at(3))),
            "a retry is late"
        );
        queue.succeeded(&k);
        queue.push(k.clone(), at(10));
        assert_eq!(queue.pop(|_| true), Some((k, at(10))));
    }

    #[test]
    fn the_room_that_a_list_took_is_given_back() {
        let mut queue = Queue::default();
        for n in 0..10_000 {
            let kind = GroupKind::new("", if n % 2 == 0 { "A" } else { "B" });
            let key = ObjectKey::new(kind, None, &n.to_string());
            queue.push(key, Timestamp::UNIX_EPOCH);
        }
        assert!(queue.queued.capacity() >= 10_000);
        while queue.pop(|_| true).is_some() {}
        let lanes: usize = queue.lanes.iter().map(|lane| lane.keys.capacity()).sum();
        assert!(queue.queued.capacity() <= ROOM && lanes <= 2 * ROOM);
        queue.push(key("A", 1), Timestamp::UNIX_EPOCH);
        assert_eq!(queue.pop(|_| true).map(|(k, _)| k), Some(key("A", 1)));
    }

    #[test]
    fn a_kind_that_is_dropped_leaves_nothing() {
        let mut queue = Queue::default();
        for kind in ["A", "B"] {
            for n in 0..3 {
                queue.push(key(kind, n), Timestamp::UNIX_EPOCH);
            }
        }
        queue.pop(|_| true);
        queue.drop_kind(&GroupKind::new("", "A"));
        assert_eq!(queue.len(), 3);
        let left: Vec<String> = std::iter::from_fn(|| queue.pop(|_| true))
            .map(|(k, _)| k.to_string())
            .collect();
        assert_eq!(left, ["B/0", "B/1", "B/2"]);
        queue.push(key("A", 0), Timestamp::UNIX_EPOCH);
        assert!(queue.pop(|_| true).is_some_and(|(k, _)| k == key("A", 0)));
    }

    proptest! {
        /// Against a model of two sets: nothing is handed out twice, nothing is lost.
        #[test]
        fn nothing_is_lost_or_doubled(steps in prop::collection::vec((0u8..4, 0u8..5), 0..80)) {
            let mut queue = Queue::default();
            let (mut waiting, mut held, mut dirty) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for (action, n) in steps {
                let k = key(if n % 2 == 0 { "A" } else { "B" }, n);
                match action {
                    0 | 3 => {
                        queue.push(k.clone(), Timestamp::UNIX_EPOCH);
                        if held.contains(&k) { dirty.insert(k); } else { waiting.insert(k); }
                    }
                    1 => if let Some((popped, _)) = queue.pop(|_| true) {
                        prop_assert!(waiting.remove(&popped));
                        queue.hold(popped.clone());
                        held.insert(popped);
                    },
                    _ => if held.remove(&k) {
                        queue.release(&k);
                        if dirty.remove(&k) { waiting.insert(k); }
                    },
                }
                prop_assert_eq!(queue.len(), waiting.len());
                prop_assert_eq!(queue.held(), held.len());
            }
        }
    }
}
