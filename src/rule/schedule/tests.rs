//! A whole year, against a model that knows nothing but what each minute of it is called in a zone; the zones' data are another crate's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike, Utc};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(entries: &[(&str, Option<&str>, &str)]) -> Schedule {
    let entries = entries.iter().map(|(text, duration, name)| Entry {
        cron: cron(text).unwrap(),
        zone: zone(name).unwrap(),
        duration: duration
            .map(|d| SignedDuration::try_from(crate::object::duration::parse(d).unwrap()).unwrap()),
    });
    Schedule::new(entries.collect())
}

/// Each minute of 2026 in UTC, and what the clocks of a zone show then.
fn minutes(zone: chrono_tz::Tz) -> Vec<(i64, NaiveDateTime)> {
    let minute = |text: &str| at(text).as_second() / 60;
    let (from, to) = (
        minute("2025-12-31T00:00:00Z"),
        minute("2027-01-02T00:00:00Z"),
    );
    (from..to)
        .map(|minute| {
            let utc = DateTime::<Utc>::from_timestamp(minute * 60, 0).unwrap();
            (minute, utc.with_timezone(&zone).naive_local())
        })
        .collect()
}

/// One time of the day: once each day, also where the clocks pass over it or show it twice.
fn once_a_day(
    minutes: &[(i64, NaiveDateTime)],
    (hour, minute): (u32, u32),
    on: impl Fn(NaiveDate) -> bool,
) -> BTreeSet<i64> {
    let mut beginnings = BTreeSet::new();
    for (nth, day) in minutes[0].1.date().iter_days().enumerate() {
        let from = (nth * 1440).saturating_sub(2 * 1440);
        let Some(near) = minutes.get(from..(from + 4 * 1440).min(minutes.len())) else {
            break;
        };
        let wanted = day.and_hms_opt(hour, minute, 0).unwrap();
        // The first minute that shows it, or, where none does, the first one past it.
        let first = near.iter().position(|(_, civil)| *civil >= wanted);
        // What began before the first minute is not known.
        if let Some(first) = first.filter(|first| *first > 0 && on(day)) {
            beginnings.insert(near[first].0);
        }
    }
    beginnings
}

/// Whenever the clocks show it.
fn by_the_clock(
    minutes: &[(i64, NaiveDateTime)],
    shows: impl Fn(NaiveDateTime) -> bool,
) -> BTreeSet<i64> {
    let shown = minutes.iter().filter(|(_, civil)| shows(*civil));
    shown.map(|(minute, _)| *minute).collect()
}

const ZONES: [&str; 5] = [
    "Europe/Berlin",
    "America/New_York",
    // Half an hour of daylight saving.
    "Australia/Lord_Howe",
    // None.
    "Asia/Kolkata",
    // The clocks change at midnight.
    "Africa/Cairo",
];

/// Follows a schedule through the year and compares every turn, and now and then what is open.
#[track_caller]
fn as_the_model(text: &str, length: &str, zone: &str, beginnings: &BTreeSet<i64>) {
    let schedule = schedule(&[(text, Some(length), zone)]);
    let seconds = crate::object::duration::parse(length).unwrap().as_secs();
    let length = i64::try_from(seconds).unwrap() / 60;
    let (from, to) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    let (first, last) = (from.as_second() / 60, to.as_second() / 60);
    let mut expected: BTreeSet<i64> = beginnings
        .iter()
        .flat_map(|beginning| [*beginning, beginning + length])
        .filter(|turn| first < *turn && *turn <= last)
        .collect();
    let mut now = from;
    while let Some(turn) = schedule.next_turn(now).filter(|turn| *turn <= to) {
        assert!(turn > now, "{text} {zone}: {turn} after {now}");
        let minute = turn.as_second() / 60;
        assert_eq!(turn.as_second() % 60, 0, "{text} {zone}");
        assert!(expected.remove(&minute), "{text} {zone}: a turn at {turn}");
        now = turn;
    }
    assert!(expected.is_empty(), "{text} {zone}: {expected:?} not met");
    for minute in (first..last).step_by(397) {
        let moment = Timestamp::from_second(minute * 60 + 59).unwrap();
        let open = beginnings
            .range(..=minute)
            .next_back()
            .filter(|beginning| minute < **beginning + length);
        let found = schedule.open_since(moment).map(|t| t.as_second() / 60);
        assert_eq!(found.as_ref(), open, "{text} {zone} at {moment}");
    }
}

#[test]
fn windows_of_a_whole_year_begin_and_end_when_the_clocks_say() {
    for name in ZONES {
        let minutes = minutes(name.parse().unwrap());
        let workday = |day: NaiveDate| day.weekday().number_from_monday() <= 5;
        let daily = |_: NaiveDate| true;
        // Across midnight.
        let nights = once_a_day(&minutes, (20, 0), workday);
        as_the_model("0 20 * * 1-5", "11h", name, &nights);
        // Where clocks are set forward these are times that do not exist; set back, that exist twice.
        for (text, time) in [
            ("15 2 * * *", (2, 15)),
            ("30 1 * * *", (1, 30)),
            ("0 0 * * *", (0, 0)),
            ("30 23 * * *", (23, 30)),
        ] {
            let beginnings = once_a_day(&minutes, time, daily);
            as_the_model(text, "90m", name, &beginnings);
        }
        let often = |civil: NaiveDateTime| civil.minute().is_multiple_of(20) && civil.hour() < 4;
        let beginnings = by_the_clock(&minutes, often);
        as_the_model("*/20 0-3 * * *", "10m", name, &beginnings);
        let first = once_a_day(&minutes, (6, 0), |day| day.day() == 1);
        as_the_model("0 6 1 * *", "3d", name, &first);
    }
}

#[test]
fn a_window_holds_its_first_moment_and_not_its_last() {
    let schedule = schedule(&[("0 20 * * *", Some("11h"), "Europe/Berlin")]);
    let start = at("2026-01-05T19:00:00Z");
    let before = at("2026-01-05T18:59:59.999999999Z");
    let end = at("2026-01-06T06:00:00Z");
    assert_eq!(schedule.open_since(before), None);
    assert_eq!(schedule.open_since(start), Some(start));
    assert_eq!(
        schedule.open_since(at("2026-01-06T05:59:59.9Z")),
        Some(start)
    );
    assert_eq!(schedule.open_since(end), None);
    assert_eq!(schedule.next_turn(before), Some(start));
    assert_eq!(schedule.next_turn(start), Some(end));
    assert_eq!(
        schedule.next_opening(start),
        Some(at("2026-01-06T19:00:00Z"))
    );
}

#[test]
fn windows_that_touch_are_always_open_and_each_has_its_own_start() {
    let schedule = schedule(&[("0 0 * * *", Some("24h"), "UTC")]);
    let midnight = at("2026-01-06T00:00:00Z");
    assert_eq!(
        schedule.open_since(at("2026-01-05T23:59:59Z")),
        Some(at("2026-01-05T00:00:00Z"))
    );
    assert_eq!(schedule.open_since(midnight), Some(midnight));
    assert_eq!(
        schedule.next_turn(at("2026-01-05T12:00:00Z")),
        Some(midnight)
    );
}

#[test]
fn of_several_times_one_is_enough() {
    let schedule = schedule(&[
        ("0 20 * * 1-5", Some("12h"), "UTC"),
        ("0 0 * * 6", Some("48h"), "UTC"),
        ("0 12 * * 3", None, "UTC"),
    ]);
    // Friday night and the weekend that begins in it.
    assert_eq!(
        schedule.open_since(at("2026-01-09T21:00:00Z")),
        Some(at("2026-01-09T20:00:00Z"))
    );
    assert_eq!(
        schedule.open_since(at("2026-01-10T01:00:00Z")),
        Some(at("2026-01-10T00:00:00Z"))
    );
    assert_eq!(
        schedule.open_since(at("2026-01-11T23:59:00Z")),
        Some(at("2026-01-10T00:00:00Z"))
    );
    assert_eq!(schedule.open_since(at("2026-01-12T00:00:00Z")), None);
    // A single moment is no window.
    let noon = at("2026-01-07T12:00:00Z");
    assert_eq!(schedule.open_since(noon), None);
    assert!(schedule.is_open(noon) && !schedule.is_open(at("2026-01-07T12:00:01Z")));
    assert_eq!(schedule.last_moment(at("2026-01-08T00:00:00Z")), Some(noon));
    assert_eq!(schedule.next_turn(at("2026-01-07T11:00:00Z")), Some(noon));
}

#[test]
fn windows_are_told_that_are_not_over_when_the_next_begins() {
    let hours = SignedDuration::from_hours;
    let period = |text, hours_long| overlap(&cron(text).unwrap(), hours(hours_long));
    assert_eq!(period("0 20 * * *", 24), None);
    assert_eq!(period("0 20 * * *", 25), Some(hours(24)));
    // Fridays reach Monday, but Tuesday begins in Monday's.
    assert_eq!(period("0 20 * * 1-5", 60), Some(hours(24)));
    assert_eq!(period("0 0 1 * *", 28 * 24), None);
    assert_eq!(period("0 0 1 * *", 29 * 24), Some(hours(28 * 24)));
    assert_eq!(
        period("*/30 9-17 * * 1", 1),
        Some(SignedDuration::from_mins(30))
    );
    assert_eq!(period("0 0 29 2 *", 1000), None);
}

#[test]
fn what_is_no_cron_expression_is_told() {
    for (text, part) in [
        ("", "five fields"),
        ("0 20 * *", "here are 4"),
        ("0 0 20 * * *", "here are six"),
        ("61 * * * *", "61 * * * *"),
        ("a * * * *", "a * * * *"),
        ("0 0 31 2 *", "never comes"),
        ("@every 5m", "is no cron expression"),
        ("@soon", "is no cron expression"),
        ("TZ=UTC 0 0 * * *", "time zone"),
    ] {
        let (message, _) = cron(text).unwrap_err();
        assert!(message.contains(part), "{text}: {message}");
    }
    for text in [
        "@daily",
        "0 0 * * SUN",
        "0 0 * * 7",
        "? ? * * *",
        "0 0 L * *",
        "0-30/5 8,12 * jan-mar ?",
    ] {
        let read = cron(text);
        assert_eq!(read.is_ok(), text != "? ? * * *", "{text}: {read:?}");
    }
}

#[test]
fn zones_are_built_in() {
    assert!(zone("Europe/Berlin").is_some() && zone("UTC").is_some());
    assert!(zone("europe/berlin").is_some() && zone("Local").is_none() && zone("").is_none());
    assert!(zone_names().len() > 300);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is written there is read or refused, and what is read has a next time and the same one as its last.
    #[test]
    fn any_text_is_read_or_refused(text in "[0-9*/,@?LW#+ a-zA-Z-]{0,24}|([0-9*/,-]{1,4} ){4}[0-9*/,L#-]{1,4}") {
        if let Ok(cron) = cron(&text) {
            let schedule = Schedule::new(vec![Entry { cron, zone: zone("Europe/Berlin").unwrap(), duration: None }]);
            let now = at("2026-03-28T12:00:00Z");
            let next = schedule.next_turn(now);
            prop_assert!(next.is_some_and(|next| next > now), "{text}: {next:?}");
            prop_assert_eq!(schedule.last_moment(next.unwrap()), next);
        }
    }
}
