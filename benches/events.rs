//! What an event costs the engine, beside what the same event costs under other rules.
//!
//! `cargo bench --bench events`. What is reached for: a list of other objects that the event concerns nobody of, 1 µs; and nothing where rules that
//! use lists, time and memory stand beside those that do not. Differences so small drown in what a machine does meanwhile: so the engines take
//! the same events in turn, fifty at a time, and it is their differences of which the median is shown.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../bench/rule_sets.rs"]
mod rule_sets;

use jiff::Timestamp;
use ordain::engine::{Engine, EngineOptions, Observation};
use ordain::object::{GroupKind, Record};
use ordain::rule::set::RuleSet;
use rule_sets::{now, rule, rule_set};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// Events that an engine takes before it is another one's turn.
const BLOCK: usize = 50;
/// Turns of each.
const BLOCKS: usize = 2_000;

fn main() {
    in_turn(
        "an event of a Pod",
        vec![
            ("without a list", with_users(rules_with(""))),
            ("with a list", with_users(rules_with(LIST))),
        ],
        // None that a ConfigMap's list could have.
        |n| user(5_000 + n * 7_919 % 15_000, n as u64 + 2),
    );
    in_turn(
        "an event of a Pod that is in a list",
        vec![
            ("without a list", with_users(rules_with(""))),
            ("with a list", with_users(rules_with(LIST))),
        ],
        |n| user(n * 7_919 % 5_000, n as u64 + 2),
    );
    let beside = |more: Vec<String>| at_rest(rule_set(&[plain_rules(), more].concat()));
    in_turn(
        "an event of a Pod under 100 plain rules",
        vec![
            ("alone", beside(vec![])),
            (
                "beside 50 with features, of other kinds",
                beside(rules_with_features("ConfigMap")),
            ),
            (
                "beside 50 plain ones, of other Pods",
                beside(more_plain_rules()),
            ),
            (
                "beside 50 with features, of other Pods",
                beside(rules_with_features("Pod")),
            ),
        ],
        pod,
    );
}

/// Shows events to several engines in turn, and prints what each takes and how much more than the first.
fn in_turn(what: &str, mut engines: Vec<(&str, Engine)>, event: impl Fn(usize) -> Record) {
    let mut took: Vec<Vec<f64>> = vec![vec![]; engines.len()];
    let moment = now();
    for block in 0..BLOCKS {
        let events: Vec<Record> = (0..BLOCK).map(|n| event(block * BLOCK + n)).collect();
        for turn in 0..engines.len() {
            // Nobody is always the one behind another.
            let place = (block + turn) % engines.len();
            let engine = &mut engines[place].1;
            let events = events.clone();
            let started = Instant::now();
            for record in events {
                let kind = GroupKind::new("", "Pod");
                engine.observe(Observation::Applied { kind, record }, moment);
                rest(engine, moment);
            }
            took[place].push(started.elapsed().as_secs_f64() * 1e6 / BLOCK as f64);
        }
    }
    println!("| {what} | µs | more than the first: lower quarter, median, upper quarter |");
    println!("| --- | --- | --- |");
    for (place, (name, _)) in engines.iter().enumerate() {
        let more = took[place].iter().zip(&took[0]).map(|(a, b)| a - b);
        let [low, middle, high] = quarters(more.collect());
        let [_, own, _] = quarters(took[place].clone());
        println!("| {name} | {own:.2} | {low:.2} {middle:.2} {high:.2} |");
    }
    println!();
}

fn quarters(mut times: Vec<f64>) -> [f64; 3] {
    times.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| times[times.len() * quarter / 4])
}

fn rest(engine: &mut Engine, now: Timestamp) {
    let mut effects = vec![];
    while engine
        .poll(now, 10_000, &mut effects)
        .is_some_and(|at| at <= now)
    {}
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
    rest(&mut engine, now());
    engine
}

fn user(n: usize, version: u64) -> Record {
    Record::from_value(
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": format!("p{n}"), "uid": format!("p{n}"), "resourceVersion": version.to_string()},
        "spec": {"volumes": [{"name": "v", "configMap": {"name": format!("m{n}")}}]}, "status": {"n": version}}),
    )
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

/// An engine that knows nothing yet, and that this is all.
fn at_rest(rules: Arc<RuleSet>) -> Engine {
    let mut engine = Engine::new(EngineOptions::default());
    engine.load(rules, now());
    for kind in ["Namespace", "Pod", "ConfigMap", "Secret"] {
        let kind = GroupKind::new("", kind);
        engine.observe(Observation::ListStarted { kind: kind.clone() }, now());
        engine.observe(Observation::ListDone { kind }, now());
    }
    engine
}

/// A Pod that eight of [`plain_rules`] select.
fn pod(version: usize) -> Record {
    Record::from_value(
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop", "uid": "p",
        "labels": {"team": "web", "app": "a"}, "resourceVersion": version.to_string()}, "spec": {"nodeName": "n"}, "status": {"n": version}}),
    )
}
