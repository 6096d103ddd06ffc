//! Which rules are looked after between two objects.

use super::*;

const PLAIN: &str = "  actions:\n  - patch:\n    - {path: $.metadata.labels.seen, set: 'yes'}\n";
/// Picks among those that none of the others is about.
const PICKS: &str = "    selector: {matchLabels: {picked: 'yes'}}\n  pick: {orderBy: {path: $.metadata.name}, take: 1}\n  actions: [{warn: {message: m}}]\n";

#[test]
fn an_object_makes_work_for_those_rules_only_that_keep_something_of_it() {
    let records = (0..3)
        .map(|n| map(&format!("m{n}"), 1, json!({})))
        .collect();
    let mut bench = Bench::new(EngineOptions::default(), rules(&[PLAIN, PICKS]), records);
    bench.work(0);
    // It has looked at everything by now.
    bench.work(0);
    assert!(bench.engine.states[1].scope_known);
    assert!(bench.engine.states.touched().is_empty());
    bench.see(map("m3", 1, json!({})), 1);
    assert!(!bench.work(1).is_empty());
    assert!(bench.engine.states.touched().is_empty());
    // One that waits for others is looked after until they are known.
    bench
        .engine
        .observe(Observation::ListStarted { kind: kind() }, at(2));
    bench.work(2);
    bench
        .engine
        .observe(Observation::ListDone { kind: kind() }, at(2));
    bench.work(2);
    assert!(bench.engine.states[1].scope_known);
    assert!(bench.engine.states.touched().is_empty());
}
