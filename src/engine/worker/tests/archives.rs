//! Rules with `archive`: what comes behind it waits for the sink.

use super::*;
use crate::decide::Operation;

const SINK: &str = "---\napiVersion: ordain.dev/v1alpha1\nkind: Sink\nmetadata: {name: kept}\nspec: {directory: {path: /kept}}\n";

fn bench(actions: &str, records: Vec<Record>) -> Bench {
    let rule =
        format!("  where: [{{path: $.data.old, value: 'yes'}}]\n  actions: {actions}\n{SINK}");
    Bench::new(EngineOptions::default(), rules(&[&rule]), records)
}

fn old(version: u64, more: &str) -> Record {
    map("a", version, json!({"data": {"old": "yes", "more": more}}))
}

/// The text that is archived.
fn archived(write: &Write) -> &str {
    match &write.operation {
        Operation::Archive { manifest, .. } => manifest["data"]["more"].as_str().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn accepted() -> Outcome {
    Outcome::Accepted(String::new())
}

#[test]
fn a_deletion_waits_until_what_it_deletes_is_archived() {
    let mut bench = bench("[archive: {sink: kept}, delete: {}]", vec![old(1, "x")]);
    let (first, write) = one(bench.work(0));
    assert_eq!(archived(&write), "x");
    assert!(
        bench.work(100).is_empty(),
        "nothing comes before the answer"
    );
    // It changes while the sink writes.
    bench.see(old(2, "y"), 100);
    bench.answer(first, accepted(), 100);
    let (second, write) = one(bench.work(100));
    assert_eq!(archived(&write), "y");
    bench.answer(second, accepted(), 100);
    let (_, write) = one(bench.work(100));
    assert!(
        matches!(write.operation, Operation::Delete { .. }),
        "{write:?}"
    );
    assert_eq!(write.resource_version, "2");
}

#[test]
fn a_sink_that_fails_is_asked_again_with_growing_pauses() {
    let mut bench = bench("[archive: {sink: kept}, delete: {}]", vec![old(1, "x")]);
    let (mut now, mut pauses) = (0, vec![]);
    for _ in 0..5 {
        let (id, write) = one(bench.work(now));
        assert_eq!(archived(&write), "x");
        bench.answer(
            id,
            Outcome::Failed(Fault::Rejected("disk full".into())),
            now,
        );
        assert!(bench.work(now).is_empty());
        let pause = bench.wake.unwrap().duration_since(at(now)).as_millis();
        pauses.push(pause);
        now += i64::try_from(pause / 1000 + 1).unwrap();
    }
    assert!(pauses.windows(2).all(|two| two[0] < two[1]), "{pauses:?}");
    let told: Vec<_> = bench
        .engine
        .findings()
        .map(|f| (f.reason, f.object.clone()))
        .collect();
    assert_eq!(told, [(Reason::Refused, key("a"))]);
    let (id, _) = one(bench.work(now));
    bench.answer(id, accepted(), now);
    let (_, write) = one(bench.work(now));
    assert!(
        matches!(write.operation, Operation::Delete { .. }),
        "{write:?}"
    );
    assert_eq!(bench.found(Reason::Refused), 0);
}

#[test]
fn without_a_deletion_it_is_archived_once_a_match() {
    let mut bench = bench(
        "[archive: {sink: kept}, patch: [{path: $.metadata.labels.kept, set: 'yes'}]]",
        vec![old(1, "x")],
    );
    let (id, write) = one(bench.work(0));
    assert_eq!(archived(&write), "x");
    bench.answer(id, accepted(), 0);
    let (id, write) = one(bench.work(0));
    assert!(
        matches!(write.operation, Operation::Patch { .. }),
        "{write:?}"
    );
    let labelled = |version, old: &str| {
        map(
            "a",
            version,
            json!({"labels": {"kept": "yes"}, "data": {"old": old, "more": "y"}}),
        )
    };
    bench.answer(id, Outcome::Written(labelled(2, "yes")), 0);
    bench.see(labelled(2, "yes"), 0);
    bench.see(labelled(3, "yes"), 1);
    assert!(bench.work(1).is_empty());
    bench.see(labelled(4, "no"), 2);
    assert!(bench.work(2).is_empty());
    bench.see(labelled(5, "yes"), 3);
    let (_, write) = one(bench.work(3));
    assert_eq!(archived(&write), "y", "another match begins");
}
