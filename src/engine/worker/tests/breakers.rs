//! Somebody who changes back what a rule changes.

use super::*;

/// Somebody sets the label back again and again: how many writes were made until a breaker opened.
fn fight(bench: &mut Bench, pause: i64) -> usize {
    let (mut made, mut version) = (0, 1);
    for now in (0..20).map(|n| n * pause) {
        for (id, write) in bench.work(now) {
            made += 1;
            let mut stored = write.expected.unwrap().to_value();
            stored["metadata"]["resourceVersion"] = json!((version + 1).to_string());
            let stored = Record::from_value(&stored);
            bench.answer(id, Outcome::Written(stored.clone()), now);
            bench.see(stored, now);
        }
        version += 2;
        bench.see(map("a", version, json!({"labels": {"team": "other"}})), now);
    }
    bench.work(20 * pause);
    made
}

#[test]
fn somebody_who_fights_back_trips_the_breaker_and_is_named() {
    let mut bench = Bench::labelling();
    bench.managed = json!([{"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}}}]);
    assert_eq!(fight(&mut bench, 1), 5);
    assert_eq!(
        messages(&bench, Reason::BreakerOpen),
        [
            "changed more than 5 times in 10m: `kubectl-edit` writes the same fields ($.metadata.labels.team); the rule leaves this object alone until it is acknowledged or changed"
        ]
    );
    assert!(bench.engine.acknowledge("r0", at(20)));
    assert_eq!(bench.work(20).len(), 1);
}

#[test]
fn somebody_who_fights_back_slowly_trips_it_too() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({"labels": {"team": "other"}}))],
    );
    // Every ten minutes, as controllers do that set everything back to what is in a repository.
    assert_eq!(fight(&mut bench, 601), 6);
    assert_eq!(
        messages(&bench, Reason::BreakerOpen),
        [
            "changed back more than 5 times in 1h: something else writes the same fields ($.metadata.labels.team); the rule leaves this object alone until it is acknowledged or changed"
        ]
    );
    assert!(bench.engine.is_idle());
}

#[test]
fn a_breaker_that_opens_for_one_rule_leaves_the_others_their_part() {
    let other = "  actions:\n  - patch:\n    - {path: $.metadata.labels.other, set: x}\n  limits: {perObject: {changes: 50, per: 10m}}\n";
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL, other]),
        vec![map("a", 1, json!({}))],
    );
    let made = fight(&mut bench, 1);
    assert!(made > 10, "{made}");
    assert_eq!(bench.found(Reason::BreakerOpen), 1);
}
