//! The small steps that every event goes through, each on its own.
//!
//! `cargo bench --bench micro`. What is reached for: one native test 0.2 µs, one CEL test 1.5 µs, no-op detection 2 µs; decoding is shown
//! beside serde_json's tree and kube's `DynamicObject` of the same text.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../bench/pods.rs"]
mod pods;
#[path = "../bench/rule_sets.rs"]
mod rule_sets;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ordain::decide::Subject;
use ordain::decide::pass::{PassContext, pass};
use ordain::engine::{Effect, Engine, EngineOptions, Observation, Outcome};
use ordain::object::{GroupKind, ObjectKey, Record};
use ordain::rule::Occasion;
use ordain::rule::expr::{NamespaceObject, Scope};
use ordain::rule::test::{TestRun, Verdict, all};
use rule_sets::{now, rule, rule_set};
use serde_json::json;
use std::hint::black_box;

fn decode(c: &mut Criterion) {
    let text = &pods::corpus(10)[3];
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("record", |b| {
        b.iter(|| Record::from_json(black_box(text), None).unwrap())
    });
    group.bench_function("serde_json::Value", |b| {
        b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(text)).unwrap())
    });
    group.bench_function("kube DynamicObject", |b| {
        b.iter(|| serde_json::from_slice::<kube::api::DynamicObject>(black_box(text)).unwrap())
    });
    group.finish();
}

fn tests(c: &mut Criterion) {
    let record = Record::from_json(&pods::corpus(10)[3], None).unwrap();
    let scope = Scope {
        previous: None,
        object: record.root(),
        found: None,
        pod: Some(&[]),
        namespace_object: NamespaceObject::Unknown,
        now: now(),
        item: None,
        applied: None,
        current: None,
        variables: None,
        request: None,
        schedule_start: None,
        other: None,
    };
    let mut group = c.benchmark_group("one test");
    for (name, test) in [
        (
            "native, one value",
            "{path: $.spec.restartPolicy, value: Never}",
        ),
        (
            "native, in a list",
            "{path: '$containers[*].image', as: image.tag, value: never}",
        ),
        (
            "CEL",
            "{expression: \"${object.spec.containers.exists(c, c.image == 'never')}\", value: true}",
        ),
    ] {
        let set = rule_set(&[rule(
            "r",
            &format!("  where:\n  - {test}\n  actions:\n  - warn: {{message: found}}\n"),
        )]);
        let tests = &set.rules()[0].tests;
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut run = TestRun {
                    scope: &scope,
                    recheck_at: None,
                    trace: None,
                };
                assert_eq!(all(black_box(tests), &mut run), Verdict::Fail);
            });
        });
    }
    group.finish();
}

fn converged(c: &mut Criterion) {
    let set = rule_set(&[rule(
        "r",
        "  actions:\n  - patch:\n    - {path: $.metadata.labels.team, default: core}\n    - {path: \"$.metadata.annotations['prometheus.io/scrape']\", set: \"true\"}\n    - {path: \"$.metadata.annotations['never']\", remove: true}\n",
    )]);
    let record = Record::from_json(&pods::corpus(10)[3], None).unwrap();
    let meta = record.meta();
    let key = ObjectKey::new(GroupKind::new("", "Pod"), meta.namespace(), meta.name());
    let context = PassContext {
        occasion: Occasion::Reconcile,
        request: None,
        rules: &set,
        namespace: Err("not asked for"),
        now: now(),
        gate: &|_| true,
        returns: &|_| true,
        assume_enforce: false,
        ahead: false,
        alone: None,
        neighbours: &ordain::decide::Alone,
        memory: &ordain::decide::Blank,
        state_namespace: "ordain",
    };
    c.bench_function(
        "no-op detection: a pass over three edits that are already there",
        |b| {
            b.iter(|| {
                let decision = pass(
                    &Subject {
                        key: &key,
                        record: &record,
                    },
                    black_box(&context),
                );
                assert!(decision.writes.is_empty());
            });
        },
    );
}

/// A ConfigMap of 1 KB that comes and gets a label: seen, decided on, written, answered, seen again, gone. Without HTTP, JSON text and the log.
fn label_pass(c: &mut Criterion) {
    let text = "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {name: r}\nspec:\n  mode: Enforce\n  match:\n    resources: [{apiVersion: v1, kind: ConfigMap}]\n  actions:\n  - patch: [{path: $.metadata.labels.done, set: 'yes'}]\n";
    let kind = GroupKind::new("", "ConfigMap");
    let key = ObjectKey::new(kind.clone(), Some("shop"), "m");
    let data: serde_json::Map<String, serde_json::Value> = (0..10)
        .map(|n| (format!("key-{n}"), json!("x".repeat(90))))
        .collect();
    let map = |version: u64, done: bool| {
        let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "m", "uid": "m",
            "resourceVersion": version.to_string(), "labels": {"app": "a"}}, "data": data});
        if done {
            map["metadata"]["labels"]["done"] = json!("yes");
        }
        Record::from_value(&map)
    };
    let mut engine = Engine::new(EngineOptions::default());
    engine.load(rule_set(&[text.to_owned()]), now());
    for kind in [GroupKind::new("", "Namespace"), kind.clone()] {
        engine.observe(Observation::ListStarted { kind: kind.clone() }, now());
        engine.observe(Observation::ListDone { kind }, now());
    }
    let mut version = 0;
    c.bench_function("a label pass without HTTP", |b| {
        b.iter_batched(
            || {
                version += 10;
                (map(version, false), map(version + 1, true))
            },
            |(before, after)| {
                let kind = || kind.clone();
                let (mut effects, mut written) = (vec![], false);
                let record = before;
                engine.observe(
                    Observation::Applied {
                        kind: kind(),
                        record,
                    },
                    now(),
                );
                engine.poll(now(), 100, &mut effects);
                for effect in effects.drain(..) {
                    if let Effect::Write(id, write) = effect {
                        black_box(write);
                        engine.complete(id, Outcome::Written(after.clone()), now());
                        written = true;
                    }
                }
                assert!(written);
                let record = after;
                engine.observe(
                    Observation::Applied {
                        kind: kind(),
                        record,
                    },
                    now(),
                );
                engine.poll(now(), 100, &mut effects);
                let key = key.clone();
                let resource_version = None;
                engine.observe(
                    Observation::Deleted {
                        key,
                        resource_version,
                    },
                    now(),
                );
                black_box(effects);
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, decode, tests, converged, label_pass);
criterion_main!(benches);
