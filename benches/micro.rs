//! The small steps that every event goes through, each on its own.
//!
//! `cargo bench --bench micro`. What is reached for: one native test 0.2 µs, one CEL test 1.5 µs, no-op detection 2 µs; decoding is shown
//! beside serde_json's tree and kube's `DynamicObject` of the same text.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../bench/pods.rs"]
mod pods;

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use jiff::Timestamp;
use ordain::decide::Subject;
use ordain::decide::pass::{PassContext, pass};
use ordain::engine::{Effect, Engine, EngineOptions, Observation, Outcome};
use ordain::object::{GroupKind, ObjectKey, Record};
use ordain::rule::Occasion;
use ordain::rule::compile::{SourceFile, compile};
use ordain::rule::expr::{NamespaceObject, Scope};
use ordain::rule::set::RuleSet;
use ordain::rule::test::{TestRun, Verdict, all};
use ordain::schema::Schema;
use serde_json::json;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

fn rule(name: &str, body: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  mode: Enforce\n  match:\n    resources:\n    - {{apiVersion: v1, kind: Pod}}\n{body}"
    )
}

fn rule_set(texts: &[String]) -> Arc<RuleSet> {
    let files: Vec<SourceFile> = texts
        .iter()
        .enumerate()
        .map(|(i, t)| SourceFile {
            name: format!("r{i}.yaml").into(),
            bytes: t.clone().into_bytes(),
        })
        .collect();
    let schema = Schema::bundled();
    let compiled = compile(&files, &schema);
    // Warnings are no matter here.
    assert!(!compiled.has_errors(), "{}", compiled.problems[0]);
    Arc::new(RuleSet::new(compiled.rules, schema))
}

fn now() -> Timestamp {
    "2026-08-01T00:00:00Z".parse().unwrap()
}

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

/// An engine that knows 5,000 ConfigMaps and 20,000 Pods, of which each is the user of one.
fn with_users(rules: Arc<RuleSet>) -> Engine {
    let mut engine = Engine::new(EngineOptions::default());
    engine.load(rules, now());
    let mut show = |kind: &str, objects: Vec<Record>| {
        let kind = GroupKind::new("", kind);
        engine.observe(Observation::ListStarted { kind: kind.clone() }, now());
        for record in objects {
            let kind = kind.clone();
            engine.observe(Observation::Applied { kind, record }, now());
        }
        engine.observe(Observation::ListDone { kind }, now());
    };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    show("Namespace", vec![Record::from_value(&namespace)]);
    show("Pod", (0..20_000).map(|n| user(n, 1)).collect());
    let map = |n: usize| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": format!("m{n}"), "uid": format!("m{n}"), "resourceVersion": "1"}});
    show(
        "ConfigMap",
        (0..5_000).map(|n| Record::from_value(&map(n))).collect(),
    );
    rest(&mut engine);
    engine
}

fn user(n: usize, version: u64) -> Record {
    Record::from_value(
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": format!("p{n}"), "uid": format!("p{n}"), "resourceVersion": version.to_string()},
        "spec": {"volumes": [{"name": "v", "configMap": {"name": format!("m{n}")}}]}, "status": {"n": version}}),
    )
}

fn rest(engine: &mut Engine) {
    let mut effects = vec![];
    while engine
        .poll(now(), 10_000, &mut effects)
        .is_some_and(|at| at <= now())
    {}
}

/// Who uses the ConfigMap.
const LIST: &str = "  related:\n  - name: users\n    resources: [{apiVersion: v1, kind: Pod}]\n    where:\n    - {path: \"$.spec.volumes[*].configMap.name\", value: \"${object.metadata.name}\"}\n    count: {value: 0}\n";

/// A rule of ConfigMaps with these lists, and one of Pods that selects none.
fn rules_with(lists: &str) -> Arc<RuleSet> {
    let maps = format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r}}\nspec:\n  match:\n    resources:\n    - {{apiVersion: v1, kind: ConfigMap}}\n{lists}  actions: [{{warn: {{message: m}}}}]\n"
    );
    let pods = "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {name: s}\nspec:\n  match:\n    resources: [{apiVersion: v1, kind: Pod}]\n    selector: {matchLabels: {a: b}}\n  actions: [{delete: {}}]\n";
    rule_set(&[maps, pods.to_owned()])
}

/// One event of a Pod: seen, and nothing left to do. The same without a list shows what the index costs.
fn related(c: &mut Criterion) {
    let mut group = c.benchmark_group("an event of a Pod");
    for (name, lists, n) in [
        ("without a list", "", 19_999),
        ("with a list, concerning nobody", LIST, 19_999),
        ("with a list, concerning one", LIST, 1),
    ] {
        let mut engine = with_users(rules_with(lists));
        let mut version = 1;
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    version += 1;
                    user(n, version)
                },
                |record| {
                    let kind = GroupKind::new("", "Pod");
                    engine.observe(Observation::Applied { kind, record }, now());
                    rest(&mut engine);
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// What a list costs an event that concerns nobody: two engines, with and without it, take the same events in turn, fifty at a time, so that
/// both meet the same machine. Another Pod each time.
fn a_list() {
    const BLOCK: usize = 50;
    const BLOCKS: usize = 2_000;
    let mut engines = ["", LIST].map(|lists| with_users(rules_with(lists)));
    let mut took = [const { vec![] }; 2];
    for block in 0..BLOCKS {
        let pods: Vec<Record> = (0..BLOCK)
            .map(|n| {
                user(
                    5_000 + (block * BLOCK + n) * 7_919 % 15_000,
                    block as u64 + 2,
                )
            })
            .collect();
        for place in [block % 2, 1 - block % 2] {
            let started = Instant::now();
            for record in pods.clone() {
                let kind = GroupKind::new("", "Pod");
                engines[place].observe(Observation::Applied { kind, record }, now());
                rest(&mut engines[place]);
            }
            took[place].push(started.elapsed().as_secs_f64() * 1e6 / BLOCK as f64);
        }
    }
    let mut more: Vec<f64> = took[1].iter().zip(&took[0]).map(|(a, b)| a - b).collect();
    let quarters = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| times[times.len() * quarter / 4])
    };
    println!("an event of a Pod, µs: lower quarter, median, upper quarter of {BLOCKS} blocks");
    let [without, with] = &mut took;
    for (name, times) in [
        ("without a list", without),
        ("with a list", with),
        ("more", &mut more),
    ] {
        let [low, middle, high] = quarters(times);
        println!("{name:>16}: {low:.2} {middle:.2} {high:.2}");
    }
}

/// 100 rules that use nothing but labels and tests; 8 of them select the Pod.
fn plain_rules() -> Vec<String> {
    let body = |n: usize| {
        let team = if n < 8 { "web" } else { "none" };
        format!(
            "    selector: {{matchLabels: {{team: {team}}}}}\n  where: [{{path: $.spec.nodeName, value: never-{n}}}]\n  actions: [{{warn: {{message: m}}}}]\n"
        )
    };
    (0..100).map(|n| rule(&format!("p{n}"), &body(n))).collect()
}

/// Rules that see other objects, know time, remember and pick, about objects of this kind that carry a label which the Pod does not.
fn rules_with_features(kind: &str) -> Vec<String> {
    let bodies = [
        "  related:\n  - name: own\n    resources: [{apiVersion: v1, kind: Secret}]\n    where:\n    - {path: $.metadata.name, value: \"${object.metadata.name}\"}\n    count: {value: 0}\n  actions: [{warn: {message: m}}]\n",
        "  schedule: [{cron: '0 20 * * *', duration: 2h, timeZone: Europe/Berlin}]\n  actions: [{warn: {message: m}}]\n",
        "  where: [{path: $.metadata.creationTimestamp, as: age, operator: AtLeast, value: 9000d}]\n  actions: [{warn: {message: m}}]\n",
        "  actions:\n  - after: 5m\n    patch: [{path: $.metadata.labels.old, set: 'yes'}]\n",
        "  pick:\n    orderBy: {path: $.metadata.creationTimestamp, direction: Descending}\n    skip: 3\n  actions: [{warn: {message: m}}]\n",
    ];
    let text = |n: usize, body: &str| {
        format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: f{n}}}\nspec:\n  match:\n    resources: [{{apiVersion: v1, kind: {kind}}}]\n    selector: {{matchLabels: {{feature: f{n}}}}}\n{body}"
        )
    };
    (0..50).map(|n| text(n, bodies[n % bodies.len()])).collect()
}

/// As [`rules_with_features`] of Pods, and with nothing but a test: what 50 more rules of the kind take in any case.
fn more_plain_rules() -> Vec<String> {
    let body = |n: usize| {
        format!(
            "    selector: {{matchLabels: {{feature: f{n}}}}}\n  where: [{{path: $.spec.nodeName, value: never-{n}}}]\n  actions: [{{warn: {{message: m}}}}]\n"
        )
    };
    (0..50).map(|n| rule(&format!("f{n}"), &body(n))).collect()
}

/// One event of a Pod under rules that use none of it must not take longer because others do.
fn plain(c: &mut Criterion) {
    let mut group = c.benchmark_group("an event of a Pod under 100 plain rules");
    let beside = |kind| [plain_rules(), rules_with_features(kind)].concat();
    for (name, texts) in [
        ("alone", plain_rules()),
        (
            "beside 50 with features, of other kinds",
            beside("ConfigMap"),
        ),
        (
            "beside 50 more plain ones, of Pods with other labels",
            [plain_rules(), more_plain_rules()].concat(),
        ),
        (
            "beside 50 with features, of Pods with other labels",
            beside("Pod"),
        ),
    ] {
        let mut engine = Engine::new(EngineOptions::default());
        engine.load(rule_set(&texts), now());
        for kind in ["Namespace", "Pod", "ConfigMap", "Secret"] {
            let kind = GroupKind::new("", kind);
            engine.observe(Observation::ListStarted { kind: kind.clone() }, now());
            engine.observe(Observation::ListDone { kind }, now());
        }
        let pod = |version: u64| {
            Record::from_value(
                &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop", "uid": "p",
                "labels": {"team": "web", "app": "a"}, "resourceVersion": version.to_string()}, "spec": {"nodeName": "n"}, "status": {"n": version}}),
            )
        };
        let mut version = 0;
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    version += 1;
                    pod(version)
                },
                |record| {
                    let kind = GroupKind::new("", "Pod");
                    engine.observe(Observation::Applied { kind, record }, now());
                    rest(&mut engine);
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
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

criterion_group!(
    benches, decode, tests, converged, related, plain, label_pass
);

fn main() {
    let asked = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let all = asked.is_none();
    if all || asked.as_deref() == Some("a list") {
        a_list();
    }
    if asked.as_deref() != Some("a list") {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
}
