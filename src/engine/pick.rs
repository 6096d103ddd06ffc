//! Which of all matching objects a rule with `pick` is about: an ordered set per group, changed one object at a time.
//!
//! A change of one object asks for a few look-ups, however many there are, and names those whose standing it changes: at most one steps over each
//! end of what is picked.
//!
//! An object that is being deleted is no longer among those that match. Where so many at once are deleted (`take`) it holds a place among those
//! until it is gone: the next one is picked then. Among those that are passed over it holds none: `skip` so many stay.

use crate::decide::Picked;
use crate::object::ObjectKey;
use crate::rule::pick::{Pick, Rank};
use crate::rule::test::SortKey;
use ahash::{AHashMap, AHashSet};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An object's place in its group.
#[derive(Debug, PartialEq, Eq)]
struct Seat {
    order: SortKey,
    descending: bool,
    object: ObjectKey,
}

impl Ord for Seat {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.order.cmp(&other.order);
        let order = match self.descending {
            true => order.reverse(),
            false => order,
        };
        order.then_with(|| self.object.cmp(&other.object))
    }
}

impl PartialOrd for Seat {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The objects of a group, in three parts that follow each other; a part has something only if those before it are full.
#[derive(Default)]
struct Group {
    skipped: BTreeSet<Arc<Seat>>,
    picked: BTreeSet<Arc<Seat>>,
    rest: BTreeSet<Arc<Seat>>,
    /// Of the picked ones those that are to be acted on, one after the other.
    due: BTreeSet<Arc<Seat>>,
    /// How many that are on their way out hold a place among the picked ones.
    leaving: usize,
}

/// The part of its group that an object is in.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Skipped,
    Picked,
    Rest,
}

impl Group {
    fn part(&self, seat: &Seat) -> Option<Part> {
        if self.skipped.contains(seat) {
            Some(Part::Skipped)
        } else if self.picked.contains(seat) {
            Some(Part::Picked)
        } else if self.rest.contains(seat) {
            Some(Part::Rest)
        } else {
            None
        }
    }

    fn is_empty(&self) -> bool {
        self.skipped.is_empty()
            && self.picked.is_empty()
            && self.rest.is_empty()
            && self.leaving == 0
    }
}

/// What one rule picks.
pub struct Picks {
    skip: usize,
    take: usize,
    /// Whether objects are acted on one after the other.
    one_by_one: bool,
    /// Whether one that is on its way out holds a place until it is gone.
    holds_places: bool,
    /// Whether all that match are known.
    ranked: bool,
    groups: AHashMap<Arc<str>, Group>,
    members: AHashMap<ObjectKey, (Arc<str>, Arc<Seat>)>,
    /// Objects on their way out that hold a place, and in which group.
    leaving: AHashMap<ObjectKey, Arc<str>>,
    /// Objects to act on, once everything else that is to be looked at has been: another one may come before them.
    candidates: AHashSet<ObjectKey>,
    /// Objects that this has been done for.
    cleared: AHashSet<ObjectKey>,
    /// Objects to look at again: they are picked now and were not, or the other way round, or it is their turn.
    wake: Vec<ObjectKey>,
}

impl Picks {
    /// Of a rule that nothing is known of yet. `one_by_one`, `holds_places`: see [`crate::rule::Rule::acts_in_order`] and
    /// [`crate::rule::Rule::holds_places`].
    pub fn new(pick: &Pick, one_by_one: bool, holds_places: bool) -> Self {
        Self {
            skip: pick.skip,
            take: pick.take.unwrap_or(usize::MAX),
            one_by_one,
            holds_places,
            ranked: false,
            groups: AHashMap::new(),
            members: AHashMap::new(),
            leaving: AHashMap::new(),
            candidates: AHashSet::new(),
            cleared: AHashSet::new(),
            wake: vec![],
        }
    }

    /// Forgets all objects.
    pub fn reset(&mut self) {
        self.ranked = false;
        self.groups.clear();
        self.members.clear();
        self.leaving.clear();
        self.candidates.clear();
        self.cleared.clear();
        self.wake.clear();
    }

    /// All that match are known: from now on some are picked. Answers them all, each group in order, the first time.
    pub fn begin(&mut self) -> Option<Vec<ObjectKey>> {
        if std::mem::replace(&mut self.ranked, true) {
            return None;
        }
        let mut groups: Vec<(&Arc<str>, &Group)> = self.groups.iter().collect();
        groups.sort_by_key(|(name, _)| *name);
        let parts = |(_, group)| {
            let Group {
                skipped,
                picked,
                rest,
                ..
            }: &Group = group;
            skipped.iter().chain(picked).chain(rest)
        };
        let all: Vec<ObjectKey> = groups
            .into_iter()
            .flat_map(parts)
            .map(|seat| seat.object.clone())
            .collect();
        (!all.is_empty()).then_some(all)
    }

    /// Objects that match.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether none matches.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether an object would be picked with this rank, wherever it stands now.
    pub fn would_pick(&self, object: &ObjectKey, rank: &Rank) -> Picked {
        if !self.ranked {
            return Picked::Later;
        }
        let seat = seat(object, rank);
        let Some(group) = self.groups.get(&*rank.group) else {
            return picked(self.skip == 0);
        };
        let own = self
            .members
            .get(object)
            .and_then(|(_, own)| group.part(own));
        // Should it match after all, the place that it holds is its own.
        let holds = self.leaving.get(object);
        let own_place = usize::from(holds.is_some_and(|name| **name == *rank.group));
        let take = self.take.saturating_sub(group.leaving - own_place);
        if take == 0 {
            return Picked::No;
        }
        // The last of the others that are passed over, and the last that is picked, as if it were not there itself.
        let last_skipped = match own {
            Some(Part::Skipped) => group.picked.first().or(group.rest.first()),
            _ if group.skipped.len() < self.skip => None,
            _ => group.skipped.last(),
        };
        if self.skip > 0 && last_skipped.is_none_or(|last| **last > seat) {
            return Picked::No;
        }
        let last_picked = match own {
            Some(Part::Skipped | Part::Picked) => group.rest.first(),
            _ if group.picked.len() < take => {
                let behind = take - group.picked.len() - 1;
                group.rest.iter().nth(behind)
            }
            _ => group.picked.last(),
        };
        picked(last_picked.is_none_or(|last| **last > seat))
    }

    /// An object matches and has this rank, or does not match (any more). One that is on its way out and does not match holds its place.
    pub fn set(&mut self, object: &ObjectKey, rank: Option<&Rank>) {
        let known = self.members.get(object);
        match (known, rank) {
            (None, None) => return,
            (Some((group, own)), Some(rank))
                if **group == *rank.group && own.order == rank.order =>
            {
                return;
            }
            _ => {}
        }
        let mut flips = vec![];
        self.take_out(object, &mut flips);
        match rank {
            Some(rank) => {
                self.give_up_place(object, &mut flips);
                let name = match self.groups.get_key_value(&*rank.group) {
                    Some((name, _)) => name.clone(),
                    None => Arc::from(&*rank.group),
                };
                let own = Arc::new(seat(object, rank));
                let group = self.groups.entry(name.clone()).or_default();
                let ends = (self.skip, room(group, self.take));
                insert(group, own.clone(), ends, &mut flips);
                self.members.insert(object.clone(), (name, own));
            }
            None => {
                self.candidates.remove(object);
                self.cleared.remove(object);
            }
        }
        self.wake_others(object, flips);
    }

    /// An object is on its way out: it is no longer among those that match. Answers whether it was one of them, or was known to be on its way.
    pub fn leave(&mut self, object: &ObjectKey) -> bool {
        if self.leaving.contains_key(object) {
            return true;
        }
        let mut flips = vec![];
        let Some(name) = self.take_out(object, &mut flips) else {
            return false;
        };
        self.candidates.remove(object);
        self.cleared.remove(object);
        self.hold_place(object, name, &mut flips);
        self.wake_others(object, flips);
        true
    }

    /// An object of this rank is on its way out, and was not seen before.
    pub fn leave_from(&mut self, object: &ObjectKey, rank: &Rank) {
        if !self.leave(object) {
            let mut flips = vec![];
            self.hold_place(object, Arc::from(&*rank.group), &mut flips);
            self.wake_others(object, flips);
        }
    }

    /// An object is gone.
    pub fn forget(&mut self, object: &ObjectKey) {
        self.set(object, None);
        if !self.leaving.is_empty() {
            let mut flips = vec![];
            self.give_up_place(object, &mut flips);
            self.wake_others(object, flips);
        }
    }

    /// Those of a group that are on their way out and hold a place, in order of namespace and name.
    pub fn leaving(&self, group: &str) -> Vec<&ObjectKey> {
        let leaving = self.leaving.iter().filter(|(_, name)| ***name == *group);
        let mut leaving: Vec<&ObjectKey> = leaving.map(|(object, _)| object).collect();
        leaving.sort();
        leaving
    }

    /// Takes an object out of those that match. Answers in which group it was.
    fn take_out(&mut self, object: &ObjectKey, flips: &mut Vec<ObjectKey>) -> Option<Arc<str>> {
        let (name, own) = self.members.remove(object)?;
        if let Some(group) = self.groups.get_mut(&name) {
            let first = group.due.first().cloned();
            let ends = (self.skip, room(group, self.take));
            remove(group, &own, ends, flips);
            group.due.remove(&own);
            next_in_turn(group, first.as_ref(), &mut self.wake);
            if group.is_empty() {
                self.groups.remove(&name);
            }
        }
        Some(name)
    }

    fn hold_place(&mut self, object: &ObjectKey, name: Arc<str>, flips: &mut Vec<ObjectKey>) {
        if !self.holds_places {
            return;
        }
        let group = self.groups.entry(name.clone()).or_default();
        group.leaving += 1;
        fit(group, (self.skip, room(group, self.take)), flips);
        self.leaving.insert(object.clone(), name);
    }

    fn give_up_place(&mut self, object: &ObjectKey, flips: &mut Vec<ObjectKey>) {
        if let Some(name) = self.leaving.remove(object)
            && let Some(group) = self.groups.get_mut(&name)
        {
            group.leaving -= 1;
            fit(group, (self.skip, room(group, self.take)), flips);
            if group.is_empty() {
                self.groups.remove(&name);
            }
        }
    }

    /// Those that stepped over an end because of an object are to be looked at, once it is known who is picked.
    fn wake_others(&mut self, object: &ObjectKey, mut flips: Vec<ObjectKey>) {
        if self.ranked {
            flips.retain(|flipped| flipped != object);
            self.wake.append(&mut flips);
        }
    }

    /// Whether an object may be acted on: what could come before it is known, and nobody does.
    pub fn may_act(&self, object: &ObjectKey) -> bool {
        self.cleared.contains(object) && self.is_its_turn(object)
    }

    /// An object was evaluated. `acts`: it is picked, and something is to be done. Answers whether it was cleared for that.
    pub fn looked_at(&mut self, object: &ObjectKey, acts: bool) -> bool {
        let cleared = self.cleared.remove(object);
        match acts && !cleared {
            true => self.candidates.insert(object.clone()),
            false => self.candidates.remove(object),
        };
        cleared
    }

    /// Whether objects wait for everything else to have been looked at.
    pub fn has_candidates(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// Everything else has been looked at: those that still are picked may be acted on. Answers them, by namespace and name.
    pub fn clear_candidates(&mut self) -> Vec<ObjectKey> {
        let mut all: Vec<ObjectKey> = self.candidates.drain().collect();
        all.sort_unstable();
        self.cleared.extend(all.iter().cloned());
        all
    }

    /// Whether nobody comes before the object.
    pub fn is_its_turn(&self, object: &ObjectKey) -> bool {
        if !self.one_by_one {
            return true;
        }
        let Some((name, own)) = self.members.get(object) else {
            return true;
        };
        let first = self.groups.get(name).and_then(|group| group.due.first());
        first.is_none_or(|first| first >= own)
    }

    /// Whether an object is to be acted on, and nothing of its own stands in the way: those behind it wait.
    pub fn set_due(&mut self, object: &ObjectKey, due: bool) {
        if !self.one_by_one {
            return;
        }
        let Some((name, own)) = self.members.get(object) else {
            return;
        };
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let first = group.due.first().cloned();
        match due {
            true => group.due.insert(own.clone()),
            false => group.due.remove(own),
        };
        // One that has become the first by itself is being looked at: looking again would only make it a candidate again, for ever.
        if group.due.first().is_some_and(|next| next != own) {
            next_in_turn(group, first.as_ref(), &mut self.wake);
        }
    }

    /// Who begins: the first of each group.
    pub fn first_due(&self) -> Vec<ObjectKey> {
        let groups = self.groups.values();
        let first = groups.filter_map(|group| group.due.first());
        first.map(|seat| seat.object.clone()).collect()
    }

    /// Takes what is to be looked at again.
    pub fn take_woken(&mut self) -> Vec<ObjectKey> {
        std::mem::take(&mut self.wake)
    }
}

fn picked(picked: bool) -> Picked {
    match picked {
        true => Picked::Yes,
        false => Picked::No,
    }
}

fn seat(object: &ObjectKey, rank: &Rank) -> Seat {
    Seat {
        order: rank.order.clone(),
        descending: rank.descending,
        object: object.clone(),
    }
}

/// One that stepped over an end of what is picked; back again, it did not.
fn flip(flips: &mut Vec<ObjectKey>, seat: &Seat) {
    match flips.iter().position(|object| *object == seat.object) {
        Some(at) => {
            flips.remove(at);
        }
        None => flips.push(seat.object.clone()),
    }
}

/// How many are picked of a group.
fn room(group: &Group, take: usize) -> usize {
    take.saturating_sub(group.leaving)
}

/// There is more or less room than before.
fn fit(group: &mut Group, (skip, take): (usize, usize), flips: &mut Vec<ObjectKey>) {
    while group.picked.len() > take
        && let Some(moved) = group.picked.pop_last()
    {
        flip(flips, &moved);
        group.due.remove(&moved);
        group.rest.insert(moved);
    }
    while group.picked.len() < take
        && group.skipped.len() == skip
        && let Some(moved) = group.rest.pop_first()
    {
        flip(flips, &moved);
        group.picked.insert(moved);
    }
}

fn insert(
    group: &mut Group,
    seat: Arc<Seat>,
    (skip, take): (usize, usize),
    flips: &mut Vec<ObjectKey>,
) {
    let goes_into = |part: &BTreeSet<Arc<Seat>>, room: usize| {
        part.len() < room || part.last().is_some_and(|last| seat < *last)
    };
    let mut over = None;
    if skip > 0 && goes_into(&group.skipped, skip) {
        group.skipped.insert(seat);
        if group.skipped.len() > skip {
            over = group.skipped.pop_last();
        }
        let Some(moved) = over.take() else { return };
        flip(flips, &moved);
        group.picked.insert(moved);
    } else if goes_into(&group.picked, take) {
        flip(flips, &seat);
        group.picked.insert(seat);
    } else {
        group.rest.insert(seat);
        return;
    }
    if group.picked.len() > take
        && let Some(moved) = group.picked.pop_last()
    {
        flip(flips, &moved);
        group.due.remove(&moved);
        group.rest.insert(moved);
    }
}

fn remove(
    group: &mut Group,
    seat: &Arc<Seat>,
    (skip, take): (usize, usize),
    flips: &mut Vec<ObjectKey>,
) {
    if group.rest.remove(seat) {
        return;
    }
    if group.picked.remove(seat) {
        flip(flips, seat);
    } else if group.skipped.remove(seat) {
        if let Some(moved) = group.picked.pop_first() {
            flip(flips, &moved);
            group.due.remove(&moved);
            group.skipped.insert(moved);
        } else if let Some(moved) = group.rest.pop_first() {
            // None is picked now.
            group.skipped.insert(moved);
        }
    }
    if group.picked.len() < take
        && group.skipped.len() == skip
        && let Some(moved) = group.rest.pop_first()
    {
        flip(flips, &moved);
        group.picked.insert(moved);
    }
}

/// If another one is the first now, it is its turn.
fn next_in_turn(group: &Group, before: Option<&Arc<Seat>>, wake: &mut Vec<ObjectKey>) {
    let now = group.due.first();
    if now != before
        && let Some(next) = now
    {
        wake.push(next.object.clone());
    }
}

#[cfg(test)]
mod tests;
