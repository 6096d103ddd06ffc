//! A reload over objects with which no rule has anything to do: nothing is queued, and everything is as if it had been.

use super::away::body;
use super::*;
use proptest::prelude::*;

const OLD: &str = "  where:\n  - {path: $.data.old, value: 'yes'}\n  actions:\n  - patch:\n    - {path: $.data.seen, set: 'yes'}\n";
const ODD: &str = "  where:\n  - {path: $.data.odd, value: 'yes'}\n  actions:\n  - patch:\n    - {path: $.data.seen, set: 'yes'}\n";

/// In scope and matched, by rule.
fn counts(engine: &Engine) -> Vec<(usize, usize, usize)> {
    let status = engine.status(at(0));
    let of = status.rules.iter();
    of.map(|rule| (rule.in_scope, rule.matched, rule.pending))
        .collect()
}

#[test]
fn only_objects_that_a_new_rule_has_to_do_with_are_evaluated_as_a_whole() {
    let odd = map("odd", 1, json!({"data": {"odd": "yes"}}));
    let records = vec![map("a", 1, json!({})), map("b", 1, json!({})), odd];
    let mut bench = Bench::new(EngineOptions::default(), rules(&[OLD]), records);
    assert!(bench.work(0).is_empty());
    bench.engine.load(rules(&[ODD]), at(1));
    assert_eq!(bench.engine.status(at(1)).queue_depth, 1);
    assert_eq!(counts(&bench.engine), [(2, 0, 0)], "odd is not counted yet");
    let (_, write) = one(bench.work(1));
    assert_eq!(write.object, key("odd"));
    assert_eq!(counts(&bench.engine), [(3, 1, 0)]);
}

#[test]
fn an_object_of_another_rule_is_evaluated_as_a_whole() {
    let warn =
        "  where:\n  - {path: $.data.old, value: 'yes'}\n  actions:\n  - warn: {message: old}\n";
    let old = map("old", 1, json!({"data": {"old": "yes"}}));
    let records = vec![map("a", 1, json!({})), old];
    let mut bench = Bench::new(EngineOptions::default(), rules(&[warn]), records);
    bench.work(0);
    assert_eq!(bench.found(Reason::Warning), 1);
    bench.engine.load(rules(&[warn, ODD]), at(1));
    assert_eq!(bench.engine.status(at(1)).queue_depth, 1);
    assert!(bench.work(1).is_empty());
    assert_eq!(bench.found(Reason::Warning), 1);
}

#[test]
fn an_age_that_will_come_is_waited_for() {
    let records = vec![map("a", 1, json!({"creationTimestamp": at(0).to_string()}))];
    let mut bench = Bench::new(EngineOptions::default(), rules(&[OLD]), records);
    bench.work(0);
    let aged = "  where:\n  - {path: $.metadata.creationTimestamp, as: age, operator: GreaterThan, value: 1m}\n  actions:\n  - patch:\n    - {path: $.data.seen, set: 'yes'}\n";
    bench.engine.load(rules(&[aged]), at(10));
    assert!(bench.work(10).is_empty());
    assert_eq!(bench.work(61).len(), 1);
}

#[test]
fn a_standby_notes_nothing() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[OLD]),
        vec![map("a", 1, json!({}))],
    );
    bench.work(0);
    bench.engine.set_standby(true, at(1));
    bench.engine.load(rules(&[ODD]), at(2));
    assert_eq!(counts(&bench.engine), [(0, 0, 0)]);
    bench.engine.set_standby(false, at(3));
    bench.work(3);
    assert_eq!(counts(&bench.engine), [(1, 0, 0)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn a_reload_ends_as_a_start_would(
        before in prop::collection::vec(body(), 1..4),
        after in prop::collection::vec(body(), 1..4),
        keep in any::<bool>(),
        objects in prop::collection::vec(prop::collection::btree_map("[abc]", "[xyz]?", 0..3), 1..6),
    ) {
        let mut after = after;
        if keep {
            after[0].clone_from(&before[0]);
        }
        let texts = |bodies: &[String]| rules(&bodies.iter().map(String::as_str).collect::<Vec<_>>());
        let names = ["one", "two", "three", "four", "five"];
        let records = || -> Vec<Record> {
            let all = names.iter().zip(&objects);
            // Nothing is left to do for half of them.
            all.enumerate().map(|(n, (name, labels))| match n % 2 {
                0 => map(name, 1, json!({"labels": labels, "data": {"seen": "yes"}})),
                _ => map(name, 1, json!({"labels": labels})),
            }).collect()
        };
        let mut reloaded = Bench::new(EngineOptions::default(), texts(&before), records());
        for (id, write) in reloaded.work(0) {
            // Refused for good: nothing changes.
            let fault = Fault::Refused(format!("no {}", write.object.name));
            reloaded.answer(id, Outcome::Failed(fault), 0);
        }
        reloaded.work(0);
        reloaded.engine.load(texts(&after), at(1));
        let mut started = Bench::new(EngineOptions::default(), texts(&after), records());
        let names = |writes: Vec<(RequestId, Write)>| {
            let mut names: Vec<String> = writes.iter().map(|(_, w)| w.object.to_string()).collect();
            names.sort();
            names
        };
        let (of_reload, of_start) = (names(reloaded.work(1)), names(started.work(1)));
        // What was refused under a rule that stays is not asked for again.
        prop_assert!(of_reload.iter().all(|name| of_start.contains(name)));
        if after.iter().zip(&before).all(|(a, b)| a != b) {
            prop_assert_eq!(of_reload, of_start);
        }
        prop_assert_eq!(counts(&reloaded.engine), counts(&started.engine));
    }
}
