//! How long matches are remembered to have held.

use super::*;
use crate::engine::Lost;
use jiff::SignedDuration;

const HOUR: i64 = 3_600;
const WHERE: &str = "  where:\n  - {path: $.data.old, value: 'yes'}\n";

fn after(hours: i64) -> String {
    format!("{WHERE}  actions:\n  - after: {hours}h\n    delete: {{}}\n")
}

fn old(name: &str, version: u64) -> Record {
    map(name, version, json!({"data": {"old": "yes"}}))
}

fn bench() -> Bench {
    let rules = rules(&[&after(10)]);
    let mut bench = Bench::new(EngineOptions::default(), rules, vec![old("a", 1)]);
    assert!(bench.work(0).is_empty());
    bench
}

#[test]
fn it_is_looked_at_again_at_the_very_moment() {
    let mut bench = bench();
    assert_eq!(bench.wake, Some(at(10 * HOUR)));
    assert!(bench.work(10 * HOUR - 1).is_empty());
    assert_eq!(bench.work(10 * HOUR).len(), 1);
}

#[test]
fn another_way_to_act_on_the_same_matches_keeps_the_clock() {
    let mut bench = bench();
    let softer = format!(
        "  description: softer\n  limits: {{abortAbove: {{objects: 3}}}}\n{}",
        after(12)
    );
    bench.engine.load(rules(&[&softer]), at(5 * HOUR));
    assert!(bench.work(5 * HOUR).is_empty());
    assert_eq!(bench.wake, Some(at(12 * HOUR)));
    // Sooner than it has waited already.
    bench.engine.load(rules(&[&after(4)]), at(6 * HOUR));
    assert_eq!(bench.work(6 * HOUR).len(), 1);
}

#[test]
fn other_matches_begin_anew() {
    let mut bench = bench();
    let other = after(10).replace(
        "'yes'}\n",
        "'yes'}\n  - {path: $.data.keep, operator: DoesNotExist}\n",
    );
    bench.engine.load(rules(&[&other]), at(5 * HOUR));
    assert!(bench.work(5 * HOUR).is_empty());
    assert_eq!(bench.wake, Some(at(15 * HOUR)));
    // Something else for a while, and then the same again.
    let warns = format!("{WHERE}  actions:\n  - warn: {{message: old}}\n");
    bench.engine.load(rules(&[&warns]), at(6 * HOUR));
    assert!(bench.work(6 * HOUR).is_empty());
    bench.engine.load(rules(&[&other]), at(7 * HOUR));
    bench.list(vec![old("a", 1)], 7 * HOUR);
    assert!(bench.work(7 * HOUR).is_empty());
    assert_eq!(bench.wake, Some(at(17 * HOUR)));
}

#[test]
fn a_name_is_not_the_object() {
    let mut bench = bench();
    let mut anew = old("a", 7).to_value();
    anew["metadata"]["uid"] = json!("another");
    bench.see(Record::from_value(&anew), 6 * HOUR);
    assert!(bench.work(10 * HOUR).is_empty());
    assert_eq!(bench.wake, Some(at(20 * HOUR)));
    assert_eq!(
        bench.engine.states[0].matches.len(),
        1,
        "the former one is forgotten"
    );
}

#[test]
fn objects_that_are_gone_are_forgotten() {
    let mut bench = bench();
    bench.see(old("b", 2), 0);
    bench.work(0);
    assert_eq!(bench.engine.states[0].matches.len(), 2);
    let deleted = Observation::Deleted {
        key: key("b"),
        resource_version: None,
    };
    bench.engine.observe(deleted, at(1));
    assert_eq!(bench.engine.states[0].matches.len(), 1);
    bench.list(vec![], 2);
    assert_eq!(bench.engine.states[0].matches.len(), 0);
}

#[test]
fn time_in_which_nobody_could_look_does_not_count() {
    let mut bench = bench();
    assert!(bench.work(2 * HOUR).is_empty());
    let lost = Observation::Lost {
        kind: kind(),
        why: Lost::Unreachable("it is away".into()),
    };
    bench.engine.observe(lost, at(2 * HOUR));
    assert!(bench.work(50 * HOUR).is_empty());
    bench.list(vec![old("a", 1)], 50 * HOUR);
    assert!(bench.work(50 * HOUR).is_empty());
    assert_eq!(bench.wake, Some(at(58 * HOUR)));
    assert_eq!(bench.work(58 * HOUR).len(), 1);
}

#[test]
fn a_clock_set_back_or_forward_does_not_shorten_it() {
    let day = 24 * HOUR;
    let mut bench = bench();
    assert!(bench.work(9 * HOUR).is_empty());
    // Back by a day: nine hours have passed.
    assert!(bench.work(9 * HOUR - day).is_empty());
    assert_eq!(bench.wake, Some(at(10 * HOUR - day)));
    // Forward by a day, as whoever has a steady clock tells.
    bench.engine.clock_moved(SignedDuration::from_secs(day));
    assert!(bench.work(9 * HOUR).is_empty());
    assert_eq!(bench.wake, Some(at(10 * HOUR)));
    assert_eq!(bench.work(10 * HOUR).len(), 1);
}
