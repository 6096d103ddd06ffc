//! Scaling, whose answer shows nothing of the object but its version.

use super::*;
use crate::decide::Operation;

const ZERO: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: zero}
spec:
  mode: Enforce
  match:
    resources: [{apiVersion: apps/v1, kind: Deployment}]
  actions:
  - scale: {replicas: 0}
";

const ZERO_OF_OTHERS: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: zero}
spec:
  mode: Enforce
  match:
    resources: [{apiVersion: v1, kind: ConfigMap}]
  related:
  - name: others
    resources: [{apiVersion: apps/v1, kind: Deployment}]
  actions:
  - scale: {replicas: 0}
    target: others
";

fn deployments() -> GroupKind {
    GroupKind::new("apps", "Deployment")
}

fn deployment(version: u64, replicas: u64) -> Record {
    Record::from_value(&json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": "shop", "name": "web", "uid": "u-web", "resourceVersion": version.to_string()},
        "spec": {"replicas": replicas}}))
}

fn see(bench: &mut Bench, record: Record, now: i64) {
    let kind = deployments();
    bench
        .engine
        .observe(Observation::Applied { kind, record }, at(now));
}

fn bench(document: &str) -> Bench {
    let subject = map("subject", 1, json!({}));
    let mut bench = Bench::new(EngineOptions::default(), whole(document), vec![subject]);
    let kind = deployments();
    bench
        .engine
        .observe(Observation::ListStarted { kind: kind.clone() }, at(0));
    see(&mut bench, deployment(1, 3), 0);
    bench.engine.observe(Observation::ListDone { kind }, at(0));
    bench
}

/// Scales it, and what comes when the watch shows this number at the version of the answer.
fn then(rule: &str, replicas: u64) -> (Bench, usize) {
    let mut bench = bench(rule);
    let (id, write) = one(bench.work(0));
    assert!(matches!(write.operation, Operation::Scale { .. }));
    bench.answer(id, Outcome::Accepted("2".into()), 0);
    assert!(bench.work(0).is_empty());
    see(&mut bench, deployment(2, replicas), 1);
    let next = bench.work(1).len();
    (bench, next)
}

#[test]
fn a_number_that_admission_has_rewritten_is_not_asked_for_again() {
    for rule in [ZERO, ZERO_OF_OTHERS] {
        let (_, next) = then(rule, 0);
        assert_eq!(next, 0, "{rule}");
        let (mut bench, next) = then(rule, 1);
        assert_eq!(next, 0, "{rule}");
        assert!(bench.work(1000).is_empty());
        // What somebody changes later is another state.
        see(&mut bench, deployment(3, 5), 1001);
        assert_eq!(bench.work(1001).len(), 1, "{rule}");
    }
}

#[test]
fn a_number_that_somebody_has_changed_since_is_set_right() {
    for rule in [ZERO, ZERO_OF_OTHERS] {
        let mut bench = bench(rule);
        let (id, _) = one(bench.work(0));
        bench.answer(id, Outcome::Accepted("2".into()), 0);
        see(&mut bench, deployment(3, 1), 1);
        assert_eq!(bench.work(1).len(), 1, "{rule}");
    }
}
