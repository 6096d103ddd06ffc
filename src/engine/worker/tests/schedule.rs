//! Windows and single moments of rules, for all their objects at once.

use super::restarts::{keeps, kept, start};
use super::*;
use crate::decide::Operation;

const HOUR: i64 = 3_600;
const NIGHT: &str = "  schedule: [{cron: '0 1 * * *', duration: 2h}]\n";
const HALF_PAST: &str = "  schedule: [{cron: '30 * * * *'}]\n";

fn with(schedule: &str, rest: &str) -> Arc<RuleSet> {
    rules(&[&format!("{schedule}{rest}")])
}

fn team(name: &str, version: u64) -> Record {
    map(name, version, json!({"labels": {"team": "web"}}))
}

fn names(writes: &[(RequestId, Write)]) -> Vec<String> {
    let mut names: Vec<String> = writes
        .iter()
        .map(|(_, w)| w.object.name.to_string())
        .collect();
    names.sort();
    names
}

/// The server takes every write, and the watch shows it.
fn taken(bench: &mut Bench, writes: Vec<(RequestId, Write)>, now: i64) {
    for (n, (id, write)) in writes.into_iter().enumerate() {
        let version = 1_000 + now as u64 * 100 + n as u64;
        let done = team(&write.object.name, version);
        bench.answer(id, Outcome::Written(done.clone()), now);
        bench.see(done, now);
    }
}

fn two() -> Vec<Record> {
    vec![map("a", 1, json!({})), map("b", 2, json!({}))]
}

#[test]
fn a_window_opens_and_closes_at_its_very_moments() {
    let mut bench = Bench::new(EngineOptions::default(), with(NIGHT, LABEL), two());
    assert!(bench.work(0).is_empty());
    assert_eq!(bench.wake, Some(at(HOUR)));
    assert_eq!(bench.engine.status(at(0)).rules[0].state, "closed");
    assert!(bench.work(HOUR - 1).is_empty());
    let writes = bench.work(HOUR);
    assert_eq!(names(&writes), ["a", "b"]);
    assert_eq!(bench.engine.status(at(HOUR)).rules[0].state, "active");
    taken(&mut bench, writes, HOUR);
    assert!(bench.work(HOUR).is_empty());
    assert_eq!(bench.wake, Some(at(3 * HOUR)));
    bench.see(map("c", 3, json!({})), 3 * HOUR - 1);
    let writes = bench.work(3 * HOUR - 1);
    assert_eq!(names(&writes), ["c"]);
    taken(&mut bench, writes, 3 * HOUR - 1);
    bench.see(map("d", 4, json!({})), 3 * HOUR);
    assert!(bench.work(3 * HOUR).is_empty());
    assert_eq!(bench.engine.status(at(3 * HOUR)).rules[0].matched, 0);
}

#[test]
fn moments_that_were_missed_are_made_up_for_once() {
    let mut bench = Bench::new(EngineOptions::default(), with(HALF_PAST, LABEL), two());
    assert!(bench.work(0).is_empty());
    // Asleep for five hours.
    let writes = bench.work(5 * HOUR);
    assert_eq!(names(&writes), ["a", "b"]);
    taken(&mut bench, writes, 5 * HOUR);
    assert!(bench.work(5 * HOUR).is_empty());
    assert_eq!(bench.wake, Some(at(5 * HOUR + HOUR / 2)));
    // The pass is over: what changes later waits for the next one.
    bench.see(map("a", 9_000_000_000, json!({})), 5 * HOUR + 1);
    assert!(bench.work(5 * HOUR + 1).is_empty());
    assert_eq!(names(&bench.work(5 * HOUR + HOUR / 2)), ["a"]);
}

#[test]
fn a_pass_is_not_over_for_what_had_to_wait() {
    let throttled = format!("  limits: {{throttle: {{objects: 1, per: 1m}}}}\n{LABEL}");
    let mut bench = Bench::new(EngineOptions::default(), with(HALF_PAST, &throttled), two());
    assert!(bench.work(0).is_empty());
    let moment = HOUR / 2;
    let first = bench.work(moment);
    assert_eq!(first.len(), 1);
    taken(&mut bench, first, moment);
    assert!(bench.work(moment).is_empty());
    // A new one has come too late for this moment.
    bench.see(map("late", 3, json!({})), moment + 1);
    assert!(bench.work(moment + 1).is_empty());
    let second = bench.work(moment + 60);
    assert_eq!(second.len(), 1);
    assert_ne!(&*second[0].1.object.name, "late");
    taken(&mut bench, second, moment + 60);
    assert!(bench.work(moment + 200).is_empty());
}

#[test]
fn limits_count_everything_before_the_first_step_of_a_window() {
    let many: Vec<Record> = (0..21)
        .map(|n| map(&format!("m{n}"), n + 1, json!({"data": {"old": "yes"}})))
        .collect();
    for schedule in [NIGHT, "  schedule: [{cron: '0 1 * * *'}]\n"] {
        let rules = with(schedule, DELETE);
        let mut bench = Bench::new(EngineOptions::default(), rules, many.clone());
        assert!(bench.work(0).is_empty());
        assert!(bench.work(HOUR).is_empty(), "{schedule}");
        assert_eq!(bench.found(Reason::Aborted), 21, "{schedule}");
    }
    // Twenty are allowed.
    let mut bench = Bench::new(
        EngineOptions::default(),
        with(NIGHT, DELETE),
        many[1..].to_vec(),
    );
    assert!(bench.work(0).is_empty());
    let writes = bench.work(HOUR);
    assert_eq!(writes.len(), 20);
    let deletes = |(_, w): &(RequestId, Write)| matches!(w.operation, Operation::Delete { .. });
    assert!(writes.iter().all(deletes));
}

#[test]
fn who_takes_over_does_not_repeat_the_moments_of_the_other() {
    let mut bench = Bench::new(EngineOptions::default(), with(HALF_PAST, LABEL), two());
    bench.engine.set_standby(true, at(0));
    assert!(bench.work(5 * HOUR).is_empty());
    bench.engine.set_standby(false, at(5 * HOUR));
    assert!(bench.work(5 * HOUR).is_empty());
    assert_eq!(bench.work(5 * HOUR + HOUR / 2).len(), 2);
    // A window that is open is taken over.
    let mut bench = Bench::new(EngineOptions::default(), with(NIGHT, LABEL), two());
    bench.engine.set_standby(true, at(0));
    assert!(bench.work(2 * HOUR).is_empty());
    bench.engine.set_standby(false, at(2 * HOUR));
    assert_eq!(bench.work(2 * HOUR).len(), 2);
}

#[test]
fn a_clock_that_is_set_back_closes_what_is_not_open_then() {
    let mut bench = Bench::new(EngineOptions::default(), with(NIGHT, LABEL), two());
    assert!(bench.work(26 * HOUR - 1).len() == 2);
    let mut bench = Bench::new(EngineOptions::default(), with(NIGHT, LABEL), vec![]);
    assert!(bench.work(25 * HOUR).is_empty());
    bench.see(map("a", 1, json!({})), 0);
    assert!(bench.work(0).is_empty());
    assert_eq!(bench.wake, Some(at(HOUR)));
    assert_eq!(bench.work(HOUR).len(), 1);
}

#[test]
fn another_document_keeps_to_the_window_and_a_moment_that_is_past_does_not_come_again() {
    let mut bench = Bench::new(EngineOptions::default(), with(NIGHT, LABEL), two());
    let writes = bench.work(2 * HOUR);
    taken(&mut bench, writes, 2 * HOUR);
    assert!(bench.work(2 * HOUR).is_empty());
    let other = LABEL.replace("web", "shop");
    bench.engine.load(with(NIGHT, &other), at(2 * HOUR + 1));
    assert_eq!(bench.work(2 * HOUR + 1).len(), 2);
    let mut bench = Bench::new(EngineOptions::default(), with(HALF_PAST, LABEL), two());
    assert_eq!(bench.work(HOUR / 2).len(), 2);
    bench.engine.load(with(HALF_PAST, &other), at(HOUR));
    assert!(bench.work(HOUR).is_empty());
}

#[test]
fn rules_without_a_schedule_wait_for_no_clock() {
    let mut bench = Bench::new(EngineOptions::default(), rules(&[LABEL]), two());
    let writes = bench.work(0);
    taken(&mut bench, writes, 0);
    assert!(bench.work(0).is_empty());
    assert_eq!(bench.wake, None);
}

#[test]
fn moments_that_came_while_nothing_ran_are_made_up_for_once() {
    let set = || with(HALF_PAST, LABEL);
    // Nothing is remembered, nothing was missed.
    let mut first = start(set(), &[], two(), 0);
    assert!(first.work(0).is_empty());
    let writes = first.work(HOUR / 2);
    assert_eq!(writes.len(), 2);
    // The pass is not over: it counts as not begun.
    let open = kept(&mut first, HOUR / 2);
    let mut second = start(set(), &open, two(), HOUR / 2 + 10);
    assert_eq!(second.work(HOUR / 2 + 10).len(), 2);
    taken(&mut first, writes, HOUR / 2);
    assert!(first.work(HOUR / 2 + 1).is_empty());
    let done = kept(&mut first, HOUR / 2 + 1);
    assert!(start(set(), &done, two(), HOUR).work(HOUR).is_empty());
    // Five of them, once.
    let mut later = start(set(), &done, two(), 5 * HOUR);
    let writes = later.work(5 * HOUR);
    assert_eq!(writes.len(), 2);
    taken(&mut later, writes, 5 * HOUR);
    assert!(later.work(5 * HOUR + 1).is_empty());
    let done = kept(&mut later, 5 * HOUR + 1);
    assert!(
        start(set(), &done, two(), 5 * HOUR + 2)
            .work(5 * HOUR + 2)
            .is_empty()
    );
    // Another schedule has missed nothing.
    let other = with("  schedule: [{cron: '31 * * * *'}]\n", LABEL);
    assert!(
        start(other, &done, two(), 7 * HOUR)
            .work(7 * HOUR)
            .is_empty()
    );
}

#[test]
fn it_is_kept_when_a_moment_is_done_and_not_for_nothing() {
    let mut bench = start(with(HALF_PAST, LABEL), &[], vec![], 0);
    bench.work(0);
    keeps(&mut bench, 0);
    for second in (10..HOUR / 2).step_by(60) {
        bench.work(second);
        assert_eq!(keeps(&mut bench, second), 0, "at {second}");
    }
    bench.work(HOUR / 2);
    assert!(bench.work(HOUR / 2 + 6).is_empty());
    assert_eq!(keeps(&mut bench, HOUR / 2 + 6), 1);
}

#[test]
fn a_window_that_opened_while_nothing_ran_begins_new_matches() {
    let body = "  where:\n  - {path: $.data.old, value: 'yes'}\n  actions:\n  - after: 90m\n    delete: {}\n";
    let old = || vec![map("a", 1, json!({"data": {"old": "yes"}}))];
    let mut first = start(with(NIGHT, body), &[], old(), HOUR);
    assert!(first.work(HOUR).is_empty());
    assert!(first.work(2 * HOUR).is_empty());
    let texts = kept(&mut first, 2 * HOUR);
    // In the same window it goes on, a day later it begins.
    let mut same = start(with(NIGHT, body), &texts, old(), 2 * HOUR + 60);
    assert!(same.work(2 * HOUR + 60).is_empty());
    assert_eq!(same.work(2 * HOUR + HOUR / 2).len(), 1);
    let day = 24 * HOUR;
    let mut next = start(with(NIGHT, body), &texts, old(), day + 2 * HOUR);
    assert!(next.work(day + 2 * HOUR).is_empty());
    assert!(next.work(day + 3 * HOUR - 1).is_empty(), "not long enough");
}

#[test]
fn what_has_acted_in_a_pass_that_is_not_over_does_not_act_again_in_it() {
    // Two of three have their turn; then it is killed.
    let event = "  limits: {throttle: {objects: 2, per: 1h}}\n  actions:\n  - event: {reason: Told, message: once}\n";
    let three = || {
        (0..3)
            .map(|n| map(&format!("m{n}"), n + 1, json!({})))
            .collect::<Vec<_>>()
    };
    let mut first = start(
        with("  schedule: [{cron: '0 2 * * *'}]\n", event),
        &[],
        three(),
        0,
    );
    assert!(first.work(0).is_empty());
    let told = first.work(2 * HOUR);
    assert_eq!(told.len(), 2);
    let names: Vec<String> = told
        .iter()
        .map(|(_, w)| w.object.name.to_string())
        .collect();
    for (id, _) in told {
        first.answer(id, Outcome::Accepted("9".into()), 2 * HOUR);
    }
    assert!(first.work(2 * HOUR + 1).is_empty());
    let texts = kept(&mut first, 2 * HOUR + 1);
    let set = with("  schedule: [{cron: '0 2 * * *'}]\n", event);
    let mut second = start(set, &texts, three(), 2 * HOUR + 10);
    let mut rest = second.work(2 * HOUR + 10);
    rest.extend(second.work(4 * HOUR));
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert!(!names.contains(&rest[0].1.object.name.to_string()));
}

#[test]
fn a_clock_that_was_a_day_ahead_costs_no_moment() {
    let day = 24 * HOUR;
    let event = "  actions:\n  - event: {reason: Told, message: once}\n";
    let mut bench = Bench::new(EngineOptions::default(), with(HALF_PAST, event), two());
    assert!(bench.work(0).is_empty());
    let tell = |bench: &mut Bench, now: i64| {
        let told = bench.work(now);
        let count = told.len();
        for (id, _) in told {
            bench.answer(id, Outcome::Accepted("9".into()), now);
        }
        assert!(bench.work(now).is_empty(), "at {now}");
        count
    };
    assert_eq!(tell(&mut bench, HOUR / 2), 2);
    // Set back.
    assert_eq!(tell(&mut bench, HOUR / 2 + 10 - day), 0);
    assert_eq!(tell(&mut bench, HOUR + HOUR / 2 - day), 2);
    // And forth, as whoever has a steady clock tells: it has acted ten seconds ago, and this is that moment.
    bench.engine.clock_moved(SignedDuration::from_secs(day));
    assert_eq!(tell(&mut bench, HOUR + HOUR / 2 + 10), 0);
    assert_eq!(tell(&mut bench, 2 * HOUR), 0);
    assert_eq!(tell(&mut bench, 2 * HOUR + HOUR / 2), 2);
}
