//! 500 mixed rules over 50,000 objects in memory: from nothing to rest, one rule reloaded, one event, what it all takes.

use crate::process;
use jiff::Timestamp;
use ordain::engine::{Engine, EngineOptions, Observation};
use ordain::object::{GroupKind, Record};
use ordain::rule::compile::{SourceFile, compile};
use ordain::rule::set::RuleSet;
use ordain::schema::Schema;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

const PODS: usize = 20_000;
const MAPS: usize = 20_000;
const DEPLOYMENTS: usize = 10_000;
const RULES: usize = 500;
/// Changes of Pods, each one that rules can see.
const EVENTS: usize = 20_000;
const TEAMS: usize = 50;

fn text(name: &str, resource: &str, rest: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  match:\n    resources: [{resource}]\n{rest}  actions: [{{warn: {{message: found}}}}]\n"
    )
}

/// What people have, ten at a time: selected by label, tested by path, by CEL, by age, with a list of other objects, picked from a group.
fn rule(n: usize, value: &str) -> String {
    const POD: &str = "{apiVersion: v1, kind: Pod}";
    const MAP: &str = "{apiVersion: v1, kind: ConfigMap}";
    const DEPLOYMENT: &str = "{apiVersion: apps/v1, kind: Deployment}";
    let team = n % TEAMS;
    let (resource, rest) = match n % 10 {
        0 | 1 => (
            POD,
            format!(
                "    selector: {{matchLabels: {{squad: t{team}}}}}\n  where: [{{path: $.spec.restartPolicy, value: {value}-{n}}}]\n"
            ),
        ),
        2 | 3 => (
            MAP,
            format!(
                "    selector: {{matchLabels: {{squad: t{team}}}}}\n  where: [{{path: $.data.mode, value: {value}-{n}}}]\n"
            ),
        ),
        4 => (
            POD,
            format!(
                "  where: [{{path: \"$.spec.containers[*].image\", operator: Matches, value: ':{value}-{n}$'}}]\n"
            ),
        ),
        5 => (
            DEPLOYMENT,
            format!(
                "  where: [{{path: $.spec.replicas, operator: GreaterThan, value: {}}}]\n",
                1000 + n
            ),
        ),
        6 => (
            POD,
            format!(
                "  where: [{{expression: \"${{object.status.phase == '{value}{n}'}}\", value: true}}]\n"
            ),
        ),
        7 => (
            MAP,
            format!(
                "  where: [{{path: $.metadata.creationTimestamp, as: age, operator: AtLeast, value: {}d}}]\n",
                3_650 + n
            ),
        ),
        8 => (
            MAP,
            format!(
                "    selector: {{matchLabels: {{squad: t{team}}}}}\n  related:\n  - name: users\n    resources: [{POD}]\n    where: [{{path: \"$.spec.volumes[*].configMap.name\", value: \"${{object.metadata.name}}\"}}]\n    count: {{operator: GreaterThan, value: {}}}\n",
                100 + n
            ),
        ),
        _ => (
            MAP,
            format!(
                "    selector: {{matchLabels: {{squad: t{team}}}}}\n  pick:\n    groupBy: [$.metadata.labels.squad]\n    orderBy: {{path: $.metadata.creationTimestamp, direction: Descending}}\n    skip: {}\n",
                10_000 + n
            ),
        ),
    };
    text(&format!("r{n}"), resource, &rest)
}

/// Those that look at labels, paths, expressions and lists, by file name: kopf can have them as handlers and an index.
pub fn texts_for_handlers() -> impl Iterator<Item = (String, String)> {
    let all = (0..RULES).filter(|n| matches!(n % 10, 0..=4 | 6 | 8));
    all.map(|n| (format!("r{n}.yaml"), rule(n, "never")))
}

/// Whether some of those select this ConfigMap by its label: the daemon asks for no others.
pub fn is_selected(map: usize) -> bool {
    matches!(map % TEAMS % 10, 2 | 3 | 8)
}

/// All rules; the one that changes asks for this value.
fn rule_set(value: &str) -> Arc<RuleSet> {
    let files: Vec<SourceFile> = (0..RULES)
        .map(|n| SourceFile {
            name: format!("r{n}.yaml").into(),
            bytes: rule(n, if n == 4 { value } else { "never" }).into_bytes(),
        })
        .collect();
    let schema = Schema::bundled();
    let compiled = compile(&files, &schema);
    assert!(compiled.problems.is_empty(), "{}", compiled.problems[0]);
    Arc::new(RuleSet::new(compiled.rules, schema))
}

fn now() -> Timestamp {
    "2026-08-01T00:00:00Z".parse().unwrap()
}

pub fn pod_value(n: usize, version: u64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "shop", "name": format!("p{n}"), "uid": format!("p{n}"), "resourceVersion": version.to_string(),
            "creationTimestamp": "2026-07-01T00:00:00Z", "labels": {"squad": format!("t{}", n % TEAMS), "app": format!("a{}", n % 997)}},
        "spec": {"restartPolicy": "Always", "nodeName": format!("node-{}", n % 100),
            "containers": [{"name": "main", "image": format!("registry.example/app:{}", n % 31)}],
            "volumes": [{"name": "v", "configMap": {"name": format!("m{n}")}}]},
        "status": {"phase": "Running", "podIP": format!("10.0.0.{version}")}
    })
}

fn pod(n: usize, version: u64) -> Record {
    Record::from_value(&pod_value(n, version))
}

pub fn map_value(n: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "shop", "name": format!("m{n}"), "uid": format!("m{n}"), "resourceVersion": "1",
            "creationTimestamp": "2026-07-01T00:00:00Z", "labels": {"squad": format!("t{}", n % TEAMS)}},
        "data": {"mode": "plain", "text": format!("{n:0200}")}
    })
}

fn map(n: usize) -> Record {
    Record::from_value(&map_value(n))
}

fn deployment(n: usize) -> Record {
    Record::from_value(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": "shop", "name": format!("d{n}"), "uid": format!("d{n}"), "resourceVersion": "1",
            "creationTimestamp": "2026-07-01T00:00:00Z"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": format!("a{n}")}}}
    }))
}

fn rest(engine: &mut Engine) {
    let mut effects = vec![];
    while engine
        .poll(now(), 10_000, &mut effects)
        .is_some_and(|again| again <= now())
    {}
}

pub fn run() {
    let own = std::process::id();
    let objects = PODS + MAPS + DEPLOYMENTS;
    let sets = [rule_set("never"), rule_set("other")];
    let before = process::memory(own, "VmRSS");
    let (started, cpu) = (Instant::now(), process::cpu_seconds(own));
    let mut engine = Engine::new(EngineOptions::default());
    engine.load(sets[0].clone(), now());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    let kinds: [(GroupKind, Vec<Record>); 4] = [
        (
            GroupKind::new("", "Namespace"),
            vec![Record::from_value(&namespace)],
        ),
        (
            GroupKind::new("", "Pod"),
            (0..PODS).map(|n| pod(n, 1)).collect(),
        ),
        (
            GroupKind::new("", "ConfigMap"),
            (0..MAPS).map(map).collect(),
        ),
        (
            GroupKind::new("apps", "Deployment"),
            (0..DEPLOYMENTS).map(deployment).collect(),
        ),
    ];
    let made = started.elapsed().as_secs_f64();
    for (kind, records) in kinds {
        engine.observe(Observation::ListStarted { kind: kind.clone() }, now());
        for record in records {
            let kind = kind.clone();
            engine.observe(Observation::Applied { kind, record }, now());
        }
        engine.observe(Observation::ListDone { kind }, now());
    }
    rest(&mut engine);
    let steady = started.elapsed().as_secs_f64() - made;
    let used = process::cpu_seconds(own) - cpu;
    let bytes = process::memory(own, "VmRSS") - before;
    let started = Instant::now();
    engine.load(sets[1].clone(), now());
    rest(&mut engine);
    let reload = started.elapsed().as_secs_f64();
    let changed: Vec<Record> = (0..EVENTS).map(|n| pod(n % PODS, 2)).collect();
    let started = Instant::now();
    for record in changed {
        let kind = GroupKind::new("", "Pod");
        engine.observe(Observation::Applied { kind, record }, now());
        rest(&mut engine);
    }
    let event = started.elapsed().as_secs_f64() / EVENTS as f64;
    println!("{RULES} mixed rules over {objects} objects in memory\n");
    println!(
        "| start to rest s | CPU s, the objects' making included | one rule reloaded s | an event of a Pod, µs | MB | KB an object |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    println!(
        "| {steady:.2} | {used:.2} | {reload:.3} | {:.1} | {:.0} | {:.2} |\n",
        event * 1e6,
        bytes / 1e6,
        bytes / 1e3 / objects as f64
    );
}
