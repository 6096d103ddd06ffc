#![allow(clippy::unwrap_used)]
use super::*;
use crate::state::{Layout, SLOTS, read, slot_of_match};
use proptest::prelude::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_767_225_600_000 + millis).unwrap()
}

fn act(text: &str) -> Act {
    Act::parse(text).unwrap()
}

fn full() -> Match {
    let last = |key: Option<&str>| LastAct {
        key: key.map(Into::into),
        nth: 3,
        at: at(9),
    };
    Match {
        since: Some(at(1)),
        doubt: Some(at(5)),
        nth: 3,
        done: vec![
            (act("event"), last(None)),
            (act("patch/1/00000000000000ff"), last(Some("k"))),
        ],
        pending: vec![(act("event/2"), "new".into(), at(7))],
        waits: vec![(1 << 16, at(8))],
        archived: vec![(2, u64::MAX)],
    }
}

fn shard(shards: usize, number: usize, matches: Vec<(u128, Match)>) -> Shard {
    let key = ObjectKey::new(GroupKind::new("apps", "Deployment"), Some("shop"), "web");
    let node = ObjectKey::new(GroupKind::new("", "Node"), None, "n:1");
    let broken = Broken {
        trip: Trip::ComesBack,
        places: vec!["$.spec.replicas".into()],
        others: Some("hpa".into()),
    };
    let counted = Counted {
        acted: vec![(key.clone(), at(3)), (node.clone(), at(4))],
        approved: vec![node],
        aborted: Some("too many".into()),
        open: vec![(key, broken)],
    };
    let of = OfRule {
        matches: Some((7, matches.into_iter().collect())),
        numbers: Some(12),
        counted: Some((8, counted)),
        moments: Some((9, at(11))),
        holds: vec![HeldKind {
            resolved: ResolvedKind {
                kind: GroupKind::new("apps", "Deployment"),
                version: "v1".into(),
            },
            metadata_only: true,
        }],
    };
    Shard {
        shards,
        shard: number,
        at: at(10),
        writer: "me".into(),
        state: State {
            rules: [("left-over".into(), of)].into(),
        },
    }
}

#[test]
fn what_is_written_is_read_again() {
    let plain = Match {
        since: Some(at(2)),
        ..Match::default()
    };
    let written = shard(4, 2, vec![(0, full()), (u128::MAX, plain)]);
    let text = written.write();
    assert_eq!(Shard::read(&text), Ok((written, None)));
    assert_eq!(
        stamp_of(&text),
        Some(("me".into(), at(10).as_millisecond()))
    );
}

#[test]
fn nothing_holds_since_earlier_than_it_did() {
    let since = Timestamp::from_nanosecond(1_767_225_600_000_000_001).unwrap();
    let one = Match {
        since: Some(since),
        ..Match::default()
    };
    let (read, _) = Shard::read(&shard(1, 0, vec![(1, one)]).write()).unwrap();
    let (_, matches) = read.state.rules["left-over"].matches.as_ref().unwrap();
    assert_eq!(matches[&1].since, Some(at(1)));
}

#[test]
fn rubbish_is_told_and_a_later_format_is_left_alone() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"version": 0}"#,
        r#"{"version": "1"}"#,
        r#"{"version": 1}"#,
        r#"{"version": 1, "shards": 3, "shard": 0, "rules": {}}"#,
        r#"{"version": 1, "shards": 4, "shard": 4, "rules": {}}"#,
        r#"{"version": 1, "shards": 0, "shard": 0, "rules": {}}"#,
        r#"{"version": 1, "shards": 4, "shard": 0}"#,
        r#"{"version": 1, "shards": 512, "shard": 0, "rules": {}}"#,
    ] {
        let found = Shard::read(text);
        assert!(
            matches!(found, Err(Trouble::Rubbish(_))),
            "{text}: {found:?}"
        );
    }
    let newer = r#"{"version": 99, "anything": "else"}"#;
    assert_eq!(Shard::read(newer), Err(Trouble::Newer(99)));
    assert!(read([("a", newer)]).is_newer());
}

#[test]
fn of_a_damaged_shard_the_good_part_is_read() {
    let text = r#"{"version": 1, "shards": 4, "shard": 1, "later": true, "rules": {
        "a": {"match": "01", "matches": {"ff": 5, "x": 5, "01": "soon", "02": {"since": 6, "done": {"fly": {"nth": 1, "at": 1}, "event": 3}, "pending": {"event": ["k"]}}}},
        "b": 3,
        "c": {"matches": {}},
        "d": {"document": "02", "acted": {"Pod": 1, "Pod/n/a": "x", "Pod/n/b": 7}, "approved": [1, "/n/a"], "open": {"Pod/n/c": {"trip": "Bored"}}}}}"#;
    let (read, trouble) = Shard::read(text).unwrap();
    assert_eq!(trouble, Some(Trouble::Entries(12)));
    let (_, matches) = read.state.rules["a"].matches.as_ref().unwrap();
    assert_eq!(matches.keys().copied().collect::<Vec<_>>(), [2, 255]);
    let (_, counted) = read.state.rules["d"].counted.as_ref().unwrap();
    assert_eq!(counted.acted.len(), 1);
}

/// Matches of each slot, cut by a layout.
fn cut(layout: usize, since: i64, at_millis: i64) -> Vec<Shard> {
    let one = Match {
        since: Some(at(since)),
        ..Match::default()
    };
    (0..layout)
        .map(|number| {
            let uids = (0..SLOTS as u128).filter(|uid| slot_of_match(*uid) % layout == number);
            let mut shard = shard(layout, number, uids.map(|uid| (uid, one.clone())).collect());
            shard.at = at(at_millis);
            shard
        })
        .collect()
}

#[test]
fn after_a_kill_between_two_layouts_each_slot_is_read_once() {
    let mut shards = cut(4, 1, 1);
    shards.extend(cut(16, 2, 2).into_iter().take(5));
    let texts: Vec<String> = shards.iter().map(Shard::write).collect();
    let found = read(texts.iter().map(|text| ("x", text.as_str())));
    assert!(found.troubles.is_empty() && found.layout == Layout::of(16));
    assert_eq!(found.damaged, crate::state::Slots::ALL);
    let (_, matches) = found.state.rules["left-over"].matches.as_ref().unwrap();
    assert_eq!(matches.len(), SLOTS);
    for (uid, one) in matches {
        let newer = slot_of_match(*uid) % 16 < 5;
        assert_eq!(one.since, Some(at(if newer { 2 } else { 1 })), "{uid}");
    }
}

#[test]
fn layouts_grow_up_to_the_slots() {
    let mut sizes = vec![];
    let mut layout = Some(Layout::FIRST);
    while let Some(one) = layout {
        sizes.push(one.shards());
        let all: usize = (0..one.shards())
            .map(|s| (0..SLOTS).filter(|slot| one.slots(s).has(*slot)).count())
            .sum();
        assert_eq!(all, SLOTS);
        layout = one.finer();
    }
    assert_eq!(sizes, [4, 16, 64, 256]);
}

#[test]
fn of_two_daemons_the_safe_side_is_taken() {
    let mut one = shard(1, 0, vec![(1, full())]).state;
    let mut other = full();
    other.since = Some(at(4));
    other.done[0].1.at = at(20);
    other.done.push((act("event/7"), other.done[0].1.clone()));
    one.merge(shard(1, 0, vec![(1, other), (2, full())]).state);
    let (_, matches) = one.rules["left-over"].matches.as_ref().unwrap();
    assert_eq!(matches.len(), 2);
    assert_eq!(matches[&1].since, Some(at(4)));
    assert_eq!(
        (matches[&1].done.len(), matches[&1].done[0].1.at),
        (3, at(20))
    );
}

proptest! {
    /// Whatever a ConfigMap holds: an answer, and none of it a panic.
    #[test]
    fn any_text_is_answered(text in ".{0,200}") {
        let _ = Shard::read(&text);
    }

    /// A good shard with some bytes of it changed.
    #[test]
    fn a_damaged_text_is_answered(place in 0usize..600, with in any::<char>()) {
        let text = shard(4, 2, vec![(1, full())]).write();
        let damaged: String = text.chars().enumerate().map(|(at, c)| if at == place { with } else { c }).collect();
        if let Ok((read, _)) = Shard::read(&damaged) {
            // What was understood can be written, and is then understood entirely.
            let again = Shard::read(&read.write());
            prop_assert!(matches!(again, Ok((_, None))), "{again:?}");
        }
    }
}
