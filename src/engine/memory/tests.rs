#![allow(clippy::unwrap_used)]
use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn uid(n: usize) -> Uid {
    Uid::of(&format!("{n:08x}-0000-4000-8000-000000000000"))
}

fn held_for(matches: &Matches, now: i64) -> Option<i64> {
    let since = matches.since(uid(1), at(now))?;
    Some(at(now).duration_since(since).as_secs())
}

#[test]
fn a_match_holds_from_when_it_was_first_seen() {
    let mut matches = Matches::default();
    assert_eq!(held_for(&matches, 0), None);
    matches.holds(uid(1), at(0));
    matches.holds(uid(1), at(50));
    assert_eq!(held_for(&matches, 60), Some(60));
    matches.ended(uid(1));
    assert_eq!(held_for(&matches, 60), None);
    matches.holds(uid(1), at(70));
    assert_eq!(held_for(&matches, 80), Some(10));
}

#[test]
fn time_in_doubt_does_not_count() {
    let mut matches = Matches::default();
    matches.doubts(uid(1), at(0));
    assert!(matches.is_empty(), "doubt begins nothing");
    matches.holds(uid(1), at(0));
    matches.doubts(uid(1), at(10));
    matches.doubts(uid(1), at(20));
    assert_eq!(held_for(&matches, 40), Some(10));
    matches.holds(uid(1), at(100));
    assert_eq!(held_for(&matches, 105), Some(15));
    matches.doubt_all(at(110));
    assert_eq!(held_for(&matches, 200), Some(20));
    matches.ended(uid(1));
    assert_eq!(held_for(&matches, 200), None);
}

#[test]
fn a_clock_that_was_moved_makes_no_match_older() {
    let day = 86_400;
    let mut matches = Matches::default();
    matches.holds(uid(1), at(0));
    matches.clock_moved(SignedDuration::from_secs(-day));
    assert_eq!(held_for(&matches, 10 - day), Some(10));
    matches.clock_moved(SignedDuration::from_secs(day));
    assert_eq!(held_for(&matches, 10), Some(10));
    // Nobody said that it was moved.
    matches.holds(uid(1), at(-5));
    assert_eq!(held_for(&matches, 0), Some(5));
}

#[test]
fn a_hundred_thousand_matches_take_little() {
    let mut matches = Matches::default();
    for n in 0..100_000 {
        matches.holds(uid(n), at(0));
    }
    assert_eq!(matches.len(), 100_000);
    assert!(matches.bytes() <= 10_000_000, "{}", matches.bytes());
    // And in each of them a step has acted, for a key of the length of a hash.
    for n in 0..100_000 {
        let last = LastAct {
            key: Some(format!("{n:016x}").into()),
            nth: 0,
            at: at(1),
        };
        let act = Act::parse("event").unwrap();
        matches.note(uid(n), Note::Acted(act, last), at(1));
    }
    assert_eq!(matches.len(), 100_000);
    assert!(matches.bytes() <= 20_000_000, "{}", matches.bytes());
}

#[test]
fn uids_differ() {
    let uuid = "0123abcd-4567-89ab-cdef-0123456789ab";
    assert_eq!(
        Uid::of(uuid).number(),
        0x0123_abcd_4567_89ab_cdef_0123_4567_89ab
    );
    let others = [
        "",
        "u-web",
        "u-web2",
        "0123ABCD-4567-89ab-cdef-0123456789ab",
        "0123abcd04567-89ab-cdef-0123456789ab",
    ];
    for (place, one) in others.iter().enumerate() {
        assert_ne!(Uid::of(one), Uid::of(uuid));
        assert!(
            others[place + 1..]
                .iter()
                .all(|other| Uid::of(one) != Uid::of(other))
        );
    }
}

fn act(element: u64) -> Act {
    Act::parse(&format!("event/0/{element:x}")).unwrap()
}

fn last(key: Option<&str>, nth: u32, now: i64) -> LastAct {
    LastAct {
        key: key.map(Into::into),
        nth,
        at: at(now),
    }
}

#[test]
fn what_has_acted_counts_for_one_match_and_keys_for_all() {
    let mut matches = Matches::default();
    matches.ended(uid(1));
    assert!(matches.is_empty());
    matches.note(uid(1), Note::Acted(act(1), last(None, 0, 0)), at(0));
    matches.note(uid(1), Note::Acted(act(2), last(Some("a"), 0, 0)), at(0));
    assert_eq!(
        (matches.nth(uid(1)), matches.last(uid(1), act(1))),
        (0, Some(last(None, 0, 0)))
    );
    matches.ended(uid(1));
    matches.ended(uid(1));
    assert_eq!(matches.nth(uid(1)), 1, "it ended once");
    matches.note(uid(1), Note::Acted(act(3), last(None, 1, 9)), at(9));
    assert_eq!(matches.last(uid(1), act(1)), None, "of no use any more");
    assert_eq!(matches.last(uid(1), act(2)), Some(last(Some("a"), 0, 0)));
    matches.gone(uid(1));
    assert_eq!((matches.nth(uid(1)), matches.len()), (0, 0));
}

#[test]
fn what_stays_as_it_is_is_not_kept_anew() {
    let mut matches = Matches::default();
    matches.note(uid(1), Note::Acted(act(1), last(Some("a"), 0, 0)), at(0));
    matches.holds(uid(1), at(0));
    let kept_anew = |matches: &mut Matches| !matches.take_changed().is_empty();
    assert!(kept_anew(&mut matches));
    matches.doubts(uid(1), at(1));
    assert!(kept_anew(&mut matches));
    matches.doubts(uid(1), at(2));
    matches.doubt_all(at(3));
    assert!(!kept_anew(&mut matches), "it was in doubt already");
    matches.ended(uid(1));
    assert!(kept_anew(&mut matches));
    matches.ended(uid(1));
    matches.doubts(uid(1), at(4));
    assert!(!kept_anew(&mut matches), "it had ended already");
    matches.note(uid(1), Note::Pending(act(1), "b".into()), at(5));
    matches.take_changed();
    matches.ended(uid(1));
    assert!(kept_anew(&mut matches), "it no longer waits");
}

#[test]
fn a_key_waits_until_it_has_acted_or_is_the_former_one_again() {
    let mut matches = Matches::default();
    let pending = |matches: &Matches| {
        matches
            .pending(uid(1), act(0))
            .map(|(key, at)| (key.to_string(), at))
    };
    matches.note(uid(1), Note::Pending(act(0), "b".into()), at(5));
    assert_eq!(pending(&matches), Some(("b".into(), at(5))));
    matches.note(uid(1), Note::Pending(act(0), "c".into()), at(7));
    matches.clock_moved(SignedDuration::from_secs(100));
    assert_eq!(pending(&matches), Some(("c".into(), at(107))));
    matches.note(uid(1), Note::Settled(act(0)), at(8));
    assert_eq!(pending(&matches), None);
    matches.note(uid(1), Note::Pending(act(0), "c".into()), at(9));
    matches.note(uid(1), Note::Acted(act(0), last(Some("c"), 0, 10)), at(10));
    assert_eq!(pending(&matches), None);
}
