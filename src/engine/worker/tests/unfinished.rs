//! What is left of a decision that takes several requests, each of which ends the match.

use super::*;

/// A Pod whose label and whose status both end the match; each has an endpoint.
const PARTS: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: parts}
spec:
  mode: Enforce
  match:
    resources: [{apiVersion: v1, kind: Pod}]
  where:
  - {path: $.metadata.ownerReferences, operator: Empty}
  - {path: $.metadata.labels.todo, operator: Exists}
  - {path: $.status.reason, operator: DoesNotExist}
  actions:
  - patch: [{path: $.metadata.labels.todo, remove: true}]
  - patch: [{path: $.status.reason, set: Done}]
    subresource: status
";

fn pods() -> GroupKind {
    GroupKind::new("", "Pod")
}

fn pod(version: u64, labels: Value, status: Value) -> Record {
    Record::from_value(&json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "shop", "name": "a", "uid": "u-a", "resourceVersion": version.to_string(), "labels": labels},
        "status": status}))
}

fn bench() -> Bench {
    let mut bench = Bench::new(EngineOptions::default(), whole(PARTS), vec![]);
    let engine = &mut bench.engine;
    engine.observe(Observation::ListStarted { kind: pods() }, at(0));
    let kind = pods();
    let record = pod(
        1,
        json!({"todo": "x", "a": "b"}),
        json!({"phase": "Running"}),
    );
    engine.observe(Observation::Applied { kind, record }, at(0));
    engine.observe(Observation::ListDone { kind: pods() }, at(0));
    bench
}

/// The server has taken the label; what the watch shows then.
fn after_the_label(status: Value) -> (Bench, Vec<(RequestId, Write)>) {
    let mut bench = bench();
    let (id, write) = one(bench.work(0));
    let of_status = |write: &Write| match &write.operation {
        crate::decide::Operation::Patch { status, .. } => *status,
        _ => panic!("{write:?}"),
    };
    assert!(!of_status(&write));
    let taken = pod(2, json!({"a": "b"}), json!({"phase": "Running"}));
    bench.answer(id, Outcome::Written(taken), 0);
    assert!(bench.work(0).is_empty(), "the watch comes first");
    let kind = pods();
    let record = pod(3, json!({"a": "b"}), status);
    bench
        .engine
        .observe(Observation::Applied { kind, record }, at(1));
    let next = bench.work(1);
    assert!(next.iter().all(|(_, write)| of_status(write)));
    (bench, next)
}

#[test]
fn what_is_left_is_made_on_the_newer_version_if_nobody_else_changed_it() {
    let (mut bench, next) = after_the_label(json!({"phase": "Running"}));
    let (id, write) = one(next);
    assert_eq!(write.resource_version, "3");
    // Somebody was faster: once more on what is there now.
    bench.answer(id, Outcome::Failed(Fault::Stale), 1);
    let kind = pods();
    let record = pod(4, json!({"a": "c"}), json!({"phase": "Running"}));
    bench
        .engine
        .observe(Observation::Applied { kind, record }, at(2));
    let (id, write) = one(bench.work(2));
    assert_eq!(write.resource_version, "4");
    let done = pod(
        5,
        json!({"a": "c"}),
        json!({"phase": "Running", "reason": "Done"}),
    );
    bench.answer(id, Outcome::Written(done.clone()), 2);
    let kind = pods();
    let record = done;
    bench
        .engine
        .observe(Observation::Applied { kind, record }, at(3));
    assert!(bench.work(1000).is_empty());
}

#[test]
fn what_somebody_else_has_changed_meanwhile_is_theirs() {
    let (mut bench, next) = after_the_label(json!({"phase": "Failed"}));
    assert!(next.is_empty(), "{next:?}");
    assert!(bench.work(1000).is_empty());
}

#[test]
fn a_freeze_ends_what_is_left() {
    let mut bench = bench();
    let (id, _) = one(bench.work(0));
    bench.engine.set_frozen(true, at(0));
    let taken = pod(2, json!({"a": "b"}), json!({"phase": "Running"}));
    bench.answer(id, Outcome::Written(taken.clone()), 0);
    let kind = pods();
    let record = taken;
    bench
        .engine
        .observe(Observation::Applied { kind, record }, at(1));
    assert!(bench.work(1000).is_empty());
}
