//! Into how many shards the state is cut, and which of those that are found count.

use super::text::{Shard, Trouble};
use super::{OfRule, State};
use std::collections::BTreeMap;

/// Most shards. A match belongs to one of so many slots, and each shard holds the slots that leave its number when divided by how many there are.
pub const SLOTS: usize = 256;

/// A set of slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots([u64; SLOTS / 64]);

impl Slots {
    /// All of them.
    pub const ALL: Slots = Slots([u64::MAX; SLOTS / 64]);

    /// Adds one.
    pub fn add(&mut self, slot: usize) {
        let slot = slot % SLOTS;
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    /// Adds those of another set.
    pub fn extend(&mut self, other: Slots) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own |= other;
        }
    }

    /// Whether one is in it.
    pub fn has(&self, slot: usize) -> bool {
        let slot = slot % SLOTS;
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        *self == Slots::default()
    }
}

/// Into how many shards the state is cut: a power of two, up to [`SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layout(usize);

impl Default for Layout {
    fn default() -> Self {
        Layout::FIRST
    }
}

impl Layout {
    /// One shard: a file.
    pub const WHOLE: Layout = Layout(1);
    /// Where a cluster begins.
    pub const FIRST: Layout = Layout(4);

    /// Of so many shards, if there can be so many.
    pub fn of(shards: usize) -> Option<Layout> {
        (shards.is_power_of_two() && shards <= SLOTS).then_some(Layout(shards))
    }

    /// How many shards.
    pub fn shards(self) -> usize {
        self.0
    }

    /// The next larger one.
    pub fn finer(self) -> Option<Layout> {
        Layout::of(self.0 * 4).or_else(|| Layout::of(self.0 * 2))
    }

    /// The shard of a slot.
    pub fn shard(self, slot: usize) -> usize {
        slot % self.0
    }

    /// The shards that hold some slot of a set, ascending.
    pub fn shards_of(self, slots: Slots) -> Vec<usize> {
        let of = |shard: &usize| (*shard..SLOTS).step_by(self.0).any(|slot| slots.has(slot));
        (0..self.0).filter(of).collect()
    }

    /// The slots of a shard.
    pub fn slots(self, shard: usize) -> Slots {
        let mut slots = Slots::default();
        for slot in (shard..SLOTS).step_by(self.0) {
            slots.add(slot);
        }
        slots
    }
}

/// The slot of a match, by the uid of its object.
pub fn slot_of_match(uid: u128) -> usize {
    let folded = (uid >> 64) as u64 ^ uid as u64;
    (folded ^ folded >> 32) as usize % SLOTS
}

/// The slot of what was counted of a rule (FNV-1a of its name).
pub fn slot_of_rule(name: &str) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    (hash ^ hash >> 32) as usize % SLOTS
}

/// What a set of shards holds together.
#[derive(Debug, Default)]
pub struct Read {
    /// All of it.
    pub state: State,
    /// How many shards the newest has; `None`: there are none.
    pub layout: Option<Layout>,
    /// By what the text is called: what is wrong with it.
    pub troubles: Vec<(String, Trouble)>,
    /// Slots that are to be written anew: a shard of theirs was damaged, or is of an earlier layout.
    pub damaged: Slots,
}

impl Read {
    /// Whether some shard is in a later format: nothing may be written.
    pub fn is_newer(&self) -> bool {
        let newer = |trouble: &Trouble| matches!(trouble, Trouble::Newer(_));
        self.troubles.iter().any(|(_, trouble)| newer(trouble))
    }
}

/// Reads shards: names and texts, in any order. Where two layouts hold a slot, as after a kill while one took the place of the other, the one that
/// was written later counts.
pub fn read<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Read {
    let mut read = Read::default();
    let mut shards: Vec<Shard> = vec![];
    for (name, text) in texts {
        match Shard::read(text) {
            Ok((shard, trouble)) => {
                if let Some(trouble) = trouble {
                    let slots = Layout(shard.shards).slots(shard.shard);
                    read.damaged.extend(slots);
                    read.troubles.push((name.to_owned(), trouble));
                }
                shards.push(shard);
            }
            Err(trouble) => {
                // Which slots it held cannot be known.
                read.damaged = Slots::ALL;
                read.troubles.push((name.to_owned(), trouble));
            }
        }
    }
    // The latest last; of two written in the same moment the finer one is the newer.
    shards.sort_by_key(|shard| (shard.at, shard.shards));
    let Some(layout) = shards.last().map(|shard| Layout(shard.shards)) else {
        return read;
    };
    read.layout = Some(layout);
    let mut owner: BTreeMap<usize, usize> = BTreeMap::new();
    for (place, shard) in shards.iter().enumerate() {
        for slot in (shard.shard..SLOTS).step_by(shard.shards) {
            owner.insert(slot, place);
        }
        if shard.shards != layout.0 {
            read.damaged = Slots::ALL;
        }
    }
    for (place, shard) in shards.into_iter().enumerate() {
        let owns = |slot: usize| owner.get(&slot) == Some(&place);
        for (name, of) in shard.state.rules {
            let all = read.state.rules.entry(name.clone()).or_default();
            take(all, of, &name, owns);
        }
    }
    read
}

fn take(all: &mut OfRule, of: OfRule, name: &str, owns: impl Fn(usize) -> bool) {
    if let Some((hash, matches)) = of.matches {
        let good = matches
            .into_iter()
            .filter(|(uid, _)| owns(slot_of_match(*uid)));
        match &mut all.matches {
            Some((known, others)) if *known == hash => {
                let same = all.numbers == of.numbers;
                others.extend(good.map(|(uid, mut one)| {
                    if !same {
                        one.forget_numbers();
                    }
                    (uid, one)
                }));
            }
            // Of two texts of a rule one is out of date: neither proves that its matches are those of the other.
            Some(_) => {}
            None => {
                all.matches = Some((hash, good.collect()));
                all.numbers = of.numbers;
            }
        }
    }
    if let Some(counted) = of.counted
        && owns(slot_of_rule(name))
    {
        all.counted = Some(counted);
    }
    if owns(slot_of_rule(name)) {
        all.holds = of.holds;
    }
    if let Some(moments) = of.moments
        && owns(slot_of_rule(name))
    {
        all.moments = Some(moments);
    }
}
