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
    Picks::new(&pick, true)
}

/// What is picked, worked out anew.
fn plainly(
    objects: &BTreeMap<u8, (u8, i64)>,
    descending: bool,
    (skip, take): (usize, Option<usize>),
) -> BTreeSet<u8> {
    let mut groups: BTreeMap<u8, Vec<(i64, ObjectKey, u8)>> = BTreeMap::new();
    for (n, (group, order)) in objects {
        let order = if descending { -order } else { *order };
        groups.entry(*group).or_default().push((order, key(*n), *n));
    }
    let mut all = BTreeSet::new();
    for group in groups.values_mut() {
        group.sort();
        let take = take.unwrap_or(group.len());
        all.extend(group.iter().skip(skip).take(take).map(|(_, _, n)| *n));
    }
    all
}

proptest! {
    /// After any sequence of changes the same objects are picked as a recomputation picks, each answer beforehand was right, and exactly
    /// those whose answer changed were woken, but for the one that changed itself.
    #[test]
    fn it_is_as_if_worked_out_anew(
        skip in 0usize..4,
        take in prop::option::of(1usize..4),
        descending: bool,
        changes in prop::collection::vec((0u8..12, prop::option::of((0u8..3, 0i64..5))), 1..60),
    ) {
        let mut picks = picks(skip, take);
        picks.begin();
        let mut objects = BTreeMap::new();
        for (n, change) in changes {
            let before = plainly(&objects, descending, (skip, take));
            let rank = change.map(|(group, order)| rank(group, order, descending));
            match change {
                Some(change) => objects.insert(n, change),
                None => objects.remove(&n),
            };
            let after = plainly(&objects, descending, (skip, take));
            if let Some(rank) = &rank {
                let foreseen = picks.would_pick(&key(n), rank) == Picked::Yes;
                prop_assert_eq!(foreseen, after.contains(&n));
            }
            picks.set(&key(n), rank.as_ref());
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
