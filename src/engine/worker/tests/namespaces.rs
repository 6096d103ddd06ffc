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

#[test]
fn what_decides_about_no_object_has_none_looked_at() {
    const READS: &str = "  where: [{path: $.data.x, value: \"${namespaceObject.metadata.?annotations['a'].orValue('-')}\"}]\n";
    let looks = |rule: &str| {
        let mut bench = Bench::new(EngineOptions::default(), rules(&[rule]), old(20));
        bench.work(0);
        let mut before = bench.engine.evaluations();
        let states = [
            (json!({}), json!({"a": "b"})),
            (json!({"team": "net"}), json!({"a": "b"})),
            (
                json!({"team": "net"}),
                json!({"a": "b", "ordain.dev/ignore-rules": "x"}),
            ),
        ];
        states.map(|(labels, annotations)| {
            bench.engine.observe(shop(labels, annotations), at(1));
            bench.work(1);
            let all = bench.engine.evaluations();
            all - std::mem::replace(&mut before, all)
        })
    };
    assert_eq!(looks(&format!("{SELECTED}{LABEL}")), [0, 20, 20]);
    assert_eq!(looks(&format!("{READS}{LABEL}")), [20, 20, 20]);
}
