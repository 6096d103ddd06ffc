//! What a change of a Namespace does to the objects in it.

use super::*;

const SELECTED: &str = "    namespaceSelector: {matchLabels: {team: web}}\n";

fn shop(labels: Value, annotations: Value) -> Observation {
    let shop = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels, "annotations": annotations}});
    Observation::Applied {
        kind: GroupKind::new("", "Namespace"),
        record: Record::from_value(&shop),
    }
}

fn old(count: u64) -> Vec<Record> {
    let old = |n| map(&format!("m{n}"), n + 1, json!({"data": {"old": "yes"}}));
    (0..count).map(old).collect()
}

#[test]
fn objects_that_come_into_scope_together_are_counted_together() {
    let set = || rules(&[&format!("{SELECTED}{DELETE}")]);
    let mut bench = Bench::new(EngineOptions::default(), set(), old(21));
    assert!(bench.work(0).is_empty());
    bench
        .engine
        .observe(shop(json!({"team": "web"}), json!({})), at(1));
    // One object a turn: the first must not go before the last is counted.
    let mut effects = vec![];
    for _ in 0..60 {
        bench.engine.poll(at(1), 1, &mut effects);
    }
    let writes = effects.iter().filter(|e| matches!(e, Effect::Write(..)));
    assert_eq!(writes.count(), 0);
    assert_eq!(bench.found(Reason::Aborted), 21);
    // Twenty are allowed.
    let mut bench = Bench::new(EngineOptions::default(), set(), old(20));
    assert!(bench.work(0).is_empty());
    bench
        .engine
        .observe(shop(json!({"team": "web"}), json!({})), at(1));
    assert_eq!(bench.work(1).len(), 20);
}

#[test]
fn objects_that_are_no_longer_ignored_are_counted_together() {
    let mut bench = Bench::new(EngineOptions::default(), rules(&[DELETE]), vec![]);
    let ignored = json!({"ordain.dev/ignore": "true"});
    bench.engine.observe(shop(json!({}), ignored), at(0));
    bench.list(old(21), 0);
    assert!(bench.work(0).is_empty());
    bench.engine.observe(shop(json!({}), json!({})), at(1));
    assert!(bench.work(1).is_empty());
    assert_eq!(bench.found(Reason::Aborted), 21);
}
