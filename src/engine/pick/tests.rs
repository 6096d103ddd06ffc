#![allow(clippy::unwrap_used)]
use super::*;
use crate::object::GroupKind;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

fn key(n: u8) -> ObjectKey {
    ObjectKey::new(GroupKind::new("batch", "Job"), Some("n"), &n.to_string())
}

fn rank(group: u8, order: i64, descending: bool) -> Rank {
    Rank {
        group: group.to_string().into(),
        order: SortKey::of_value(&json!(order), None).unwrap(),
        descending,
    }
}

fn picks(skip: usize, take: Option<usize>) -> Picks {
    let pick = Pick {
        group_by: vec![],
        order_by: None,
        skip,
        take,
    };
    Picks::new(&pick, true, take.is_some())
}

/// What is picked, worked out anew: of those that are there so many are passed over, and so many taken less those on their way out.
fn plainly(
    objects: &BTreeMap<u8, (u8, i64)>,
    leaving: &BTreeMap<u8, u8>,
    descending: bool,
    (skip, take): (usize, Option<usize>),
) -> BTreeSet<u8> {
    let mut groups: BTreeMap<u8, Vec<(i64, ObjectKey, u8)>> = BTreeMap::new();
    for (n, (group, order)) in objects {
        let order = if descending { -order } else { *order };
        groups.entry(*group).or_default().push((order, key(*n), *n));
    }
    let mut all = BTreeSet::new();
    for (number, group) in &mut groups {
        group.sort();
        let left = leaving.values().filter(|of| *of == number).count();
        let take = take.map_or(group.len(), |take| take.saturating_sub(left));
        all.extend(group.iter().skip(skip).take(take).map(|(_, _, n)| *n));
    }
    all
}

/// What happens to an object.
#[derive(Clone, Debug)]
enum Change {
    /// It matches: group and order.
    Matches(u8, i64),
    /// It does not match, or does not any more.
    Fails,
    /// It is marked for deletion.
    Leaves,
    /// The same, and it was never seen before: its group.
    LeavesUnseen(u8),
    Gone,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0u8..3, 0i64..5).prop_map(|(group, order)| Change::Matches(group, order)),
        1 => Just(Change::Fails),
        2 => Just(Change::Leaves),
        1 => (0u8..3).prop_map(Change::LeavesUnseen),
        2 => Just(Change::Gone),
    ]
}

proptest! {
    /// After any sequence of changes the same objects are picked as a recomputation picks, each answer beforehand was right, and exactly
    /// those whose answer changed were woken, but for the one that changed itself.
    #[test]
    fn it_is_as_if_worked_out_anew(
        skip in 0usize..4,
        take in prop::option::of(1usize..4),
        descending: bool,
        changes in prop::collection::vec((0u8..12, change()), 1..60),
    ) {
        let mut picks = picks(skip, take);
        picks.begin();
        let mut objects = BTreeMap::new();
        let mut leaving = BTreeMap::new();
        for (n, change) in changes {
            let before = plainly(&objects, &leaving, descending, (skip, take));
            let known = leaving.contains_key(&n);
            match change {
                Change::Matches(group, order) => {
                    objects.insert(n, (group, order));
                    leaving.remove(&n);
                }
                Change::Fails => drop(objects.remove(&n)),
                Change::Leaves => {
                    if let Some((group, _)) = objects.remove(&n) {
                        leaving.insert(n, group);
                    }
                }
                Change::LeavesUnseen(group) if !known && !objects.contains_key(&n) => {
                    leaving.insert(n, group);
                }
                Change::LeavesUnseen(_) => continue,
                Change::Gone => {
                    objects.remove(&n);
                    leaving.remove(&n);
                }
            }
            let after = plainly(&objects, &leaving, descending, (skip, take));
            match change {
                Change::Matches(group, order) => {
                    let rank = rank(group, order, descending);
                    let foreseen = picks.would_pick(&key(n), &rank) == Picked::Yes;
                    prop_assert_eq!(foreseen, after.contains(&n));
                    picks.set(&key(n), Some(&rank));
                }
                Change::Fails => picks.set(&key(n), None),
                Change::Leaves => drop(picks.leave(&key(n))),
                Change::LeavesUnseen(group) => picks.leave_from(&key(n), &rank(group, 0, descending)),
                Change::Gone => picks.forget(&key(n)),
            }
            let woken: BTreeSet<ObjectKey> = picks.take_woken().into_iter().collect();
            let flipped: BTreeSet<ObjectKey> = before
                .symmetric_difference(&after)
                .filter(|other| **other != n)
                .map(|other| key(*other))
                .collect();
            prop_assert_eq!(woken, flipped);
            for (other, (group, order)) in &objects {
                let rank = super::tests::rank(*group, *order, descending);
                let is = picks.would_pick(&key(*other), &rank) == Picked::Yes;
                prop_assert_eq!(is, after.contains(other), "object {}", other);
            }
            prop_assert_eq!(picks.len(), objects.len());
        }
    }

    /// Whoever deletes what and however long that takes: never more of a group are on their way at once because of the rule than it takes,
    /// none of the first that stay goes, and once all that leave are gone all behind the first have gone.
    #[test]
    fn never_more_are_on_their_way_than_are_taken(
        skip in 0usize..4,
        take in 1usize..4,
        count in 1u8..12,
        steps in prop::collection::vec((any::<bool>(), 0u8..12), 0..60),
    ) {
        let mut picks = picks(skip, Some(take));
        picks.begin();
        let mut here: BTreeSet<u8> = (0..count).collect();
        let mut leaving: BTreeSet<u8> = BTreeSet::new();
        let at = |n: u8| rank(0, i64::from(n), false);
        for n in &here {
            picks.set(&key(*n), Some(&at(*n)));
        }
        let mut by_hand = 0;
        let deletes = |picks: &mut Picks, here: &mut BTreeSet<u8>, leaving: &mut BTreeSet<u8>| {
            // Whatever is picked is deleted, one answer after the other.
            while let Some(n) = here.iter().copied().find(|n| picks.would_pick(&key(*n), &at(*n)) == Picked::Yes) {
                assert!(leaving.len() < take, "{leaving:?} and {n}");
                assert!(here.iter().filter(|other| **other < n).count() >= skip, "{n} of {here:?}");
                picks.leave(&key(n));
                here.remove(&n);
                leaving.insert(n);
            }
        };
        deletes(&mut picks, &mut here, &mut leaving);
        for (gone, n) in steps {
            if gone && leaving.remove(&n) {
                picks.forget(&key(n));
            } else if !gone && here.remove(&n) {
                picks.leave(&key(n));
                leaving.insert(n);
                by_hand += 1;
            }
            deletes(&mut picks, &mut here, &mut leaving);
        }
        while let Some(n) = leaving.pop_first() {
            picks.forget(&key(n));
            deletes(&mut picks, &mut here, &mut leaving);
        }
        // People may delete those that should stay; the rule never makes them fewer.
        let stay = skip.min(usize::from(count));
        prop_assert!(here.len() <= stay && here.len() + by_hand >= stay, "{:?}", here);
    }
}

#[test]
fn one_that_is_on_its_way_holds_its_place_among_those_taken_and_none_among_those_passed_over() {
    let is = |picks: &Picks, n: u8| {
        let rank = rank(0, i64::from(n), true);
        picks.members.contains_key(&key(n)) && picks.would_pick(&key(n), &rank) == Picked::Yes
    };
    let of = |picks: &Picks| (0..6).filter(|n| is(picks, *n)).collect::<Vec<u8>>();
    let mut picks = picks(2, Some(1));
    picks.begin();
    for n in 0..6 {
        picks.set(&key(n), Some(&rank(0, i64::from(n), true)));
    }
    assert_eq!(of(&picks), [3]);
    assert!(picks.leave(&key(3)));
    assert!(picks.leave(&key(3)), "it is known");
    assert!(of(&picks).is_empty());
    assert_eq!(picks.leaving("0"), [&key(3)]);
    // One of those that stay leaves too: the next one stays in its place.
    picks.leave(&key(5));
    picks.forget(&key(3));
    assert!(of(&picks).is_empty());
    picks.take_woken();
    picks.forget(&key(5));
    assert_eq!(of(&picks), [1], "4 and 2 stay");
    assert_eq!(picks.take_woken(), [key(1)]);
    // What was never seen before counts as well.
    picks.leave_from(&key(9), &rank(0, 9, true));
    assert!(of(&picks).is_empty());
    assert_eq!(picks.take_woken(), [key(1)]);
    assert!(!picks.leave(&key(77)), "not one of them");
}

#[test]
fn nothing_is_picked_before_all_are_known() {
    let mut picks = picks(1, None);
    for n in 0..3 {
        let rank = rank(0, i64::from(n), true);
        assert_eq!(picks.would_pick(&key(n), &rank), Picked::Later);
        picks.set(&key(n), Some(&rank));
    }
    assert_eq!(picks.take_woken(), []);
    assert_eq!(picks.begin(), Some(vec![key(2), key(1), key(0)]));
    assert_eq!(picks.begin(), None);
    assert_eq!(picks.would_pick(&key(2), &rank(0, 2, true)), Picked::No);
    assert_eq!(picks.would_pick(&key(0), &rank(0, 0, true)), Picked::Yes);
}

#[test]
fn one_acts_after_the_other() {
    let mut picks = picks(0, None);
    picks.begin();
    for n in 0..3 {
        picks.set(&key(n), Some(&rank(0, i64::from(n), true)));
        picks.set_due(&key(n), true);
    }
    picks.take_woken();
    let turns = |picks: &Picks| {
        (0..3)
            .filter(|n| picks.is_its_turn(&key(*n)))
            .collect::<Vec<u8>>()
    };
    assert_eq!(turns(&picks), [2]);
    picks.set_due(&key(2), false);
    assert_eq!(picks.take_woken(), [key(1)]);
    // The one that is done stands in nobody's way, and would come first again.
    assert_eq!(turns(&picks), [1, 2]);
    picks.set(&key(1), None);
    assert_eq!(picks.take_woken(), [key(0)]);
    assert_eq!(picks.first_due(), [key(0)]);
}

#[test]
fn one_that_becomes_the_first_while_it_is_looked_at_is_not_looked_at_again() {
    let mut picks = picks(0, None);
    picks.begin();
    picks.set(&key(1), Some(&rank(0, 1, true)));
    picks.take_woken();
    for due in [true, false, true] {
        picks.set_due(&key(1), due);
        assert_eq!(picks.take_woken(), []);
    }
}
