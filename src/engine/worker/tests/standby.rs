//! A standby knows everything and does nothing; when it leads it looks at everything.

use super::*;
use crate::decide::Operation;

fn reported(bench: &mut Bench) -> usize {
    let reports = bench.effects.iter();
    let count = reports.filter(|e| matches!(e, Effect::Report(_))).count();
    bench.effects.clear();
    count
}

fn standby(rules: Arc<RuleSet>, records: Vec<Record>) -> Bench {
    let mut bench = Bench::new(EngineOptions::default(), rules, records);
    bench.engine.set_standby(true, at(0));
    bench
}

#[test]
fn a_standby_writes_nothing_tells_nothing_and_wants_nothing() {
    let warn = "  actions:\n  - warn: {message: hear}\n";
    let mut bench = standby(rules(&[LABEL, warn]), vec![map("a", 1, json!({}))]);
    assert!(bench.work(0).is_empty());
    bench.see(map("b", 2, json!({})), 1);
    assert!(bench.work(1).is_empty());
    assert_eq!(reported(&mut bench), 0);
    assert_eq!(bench.wake, None, "nothing is due");
    let status = bench.engine.status(at(1));
    assert_eq!((status.queue_depth, status.evaluations), (0, 0));
    assert!(bench.engine.is_synced() && bench.engine.store().get(&key("b")).is_some());
}

#[test]
fn who_begins_to_lead_looks_at_everything() {
    let mut bench = standby(
        rules(&[LABEL]),
        vec![map("a", 1, json!({})), map("b", 2, json!({}))],
    );
    assert!(bench.work(0).is_empty());
    bench.engine.set_standby(false, at(5));
    let mut names: Vec<String> = bench
        .work(5)
        .iter()
        .map(|(_, w)| w.object.name.to_string())
        .collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn who_leads_no_more_finishes_what_is_in_flight_and_begins_nothing() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({})), map("b", 2, json!({}))],
    );
    let writes = bench.work(0);
    assert_eq!(writes.len(), 2);
    bench.engine.set_standby(true, at(1));
    let done = map(
        &writes[0].1.object.name,
        3,
        json!({"labels": {"team": "web"}}),
    );
    bench.answer(writes[0].0, Outcome::Written(done.clone()), 2);
    bench.answer(writes[1].0, Outcome::Failed(Fault::Fenced), 2);
    bench.see(done, 2);
    assert!(bench.work(3).is_empty());
    assert_eq!(bench.engine.in_flight(), 0);
    // The other one was not written: it is, when this replica leads again, and the first one is not written twice.
    bench.engine.set_standby(false, at(60));
    let (_, write) = one(bench.work(60));
    assert_eq!(write.object, writes[1].1.object);
}

#[test]
fn findings_and_counts_of_a_former_leader_are_taken_back() {
    let broken = "  actions:\n  - warn: {message: hear}\n";
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[broken]),
        vec![map("a", 1, json!({}))],
    );
    bench.work(0);
    assert_eq!(bench.engine.findings().count(), 1);
    assert_eq!(bench.engine.status(at(0)).rules[0].matched, 1);
    bench.effects.clear();
    bench.engine.set_standby(true, at(1));
    bench.work(1);
    let ended = bench
        .effects
        .iter()
        .filter(|e| matches!(e, Effect::Report(Report::FindingEnded(_))));
    assert_eq!(ended.count(), 1);
    assert_eq!(bench.engine.status(at(1)).rules[0].matched, 0);
    bench.effects.clear();
    bench.engine.set_standby(false, at(2));
    bench.work(2);
    assert_eq!(bench.engine.findings().count(), 1);
    assert_eq!(bench.engine.status(at(2)).rules[0].matched, 1);
}

#[test]
fn limits_count_the_whole_scope_before_a_new_leader_acts() {
    let delete = format!("{DELETE}  limits:\n    abortAbove: {{objects: 2}}\n");
    let records: Vec<Record> = (0..5)
        .map(|n| map(&n.to_string(), n + 1, json!({"data": {"old": "yes"}})))
        .collect();
    let mut bench = standby(rules(&[&delete]), records);
    assert!(bench.work(0).is_empty());
    bench.engine.set_standby(false, at(1));
    assert!(bench.work(1).is_empty(), "five are more than two");
    let aborted = |e: &Effect| matches!(e, Effect::Report(Report::Aborted { due: 5, .. }));
    assert!(bench.effects.iter().any(aborted), "{:?}", bench.effects);
}

#[test]
fn rules_that_change_in_standby_are_in_force_when_it_ends() {
    let mut bench = standby(rules(&[LABEL]), vec![map("a", 1, json!({}))]);
    bench.work(0);
    bench
        .engine
        .load(rules(&[&LABEL.replace("web", "shop")]), at(1));
    assert!(bench.work(1).is_empty());
    bench.engine.set_standby(false, at(2));
    let (_, write) = one(bench.work(2));
    let Operation::Patch { operations, .. } = &write.operation else {
        panic!("{write:?}");
    };
    assert!(json!(operations).to_string().contains("shop"));
}

#[test]
fn who_leads_again_is_not_held_by_what_stopped_it_before() {
    let old = |name: &str, version| map(name, version, json!({"data": {"old": "yes"}}));
    let limited = format!("{DELETE}  limits: {{abortAbove: {{objects: 1}}}}\n");
    let records = vec![old("a", 1), old("b", 2)];
    let mut bench = Bench::new(EngineOptions::default(), rules(&[&limited]), records);
    assert!(bench.work(0).is_empty(), "two are more than one");
    bench.engine.set_standby(true, at(1));
    // While another replica leads one of them is mended.
    bench.see(map("b", 3, json!({})), 2);
    bench.engine.set_standby(false, at(60));
    let (_, write) = one(bench.work(60));
    assert_eq!(write.object, key("a"));
}
