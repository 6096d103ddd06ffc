#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::object::{GroupKind, Record};
use crate::rule::compile::{SourceFile, compile};
use crate::rule::expr::NamespaceObject;
use crate::rule::{Action as Step, Rule};
use crate::schema::Schema;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

const DEPLOYMENT: (&str, &str) = ("apps/v1", "Deployment");
const POD: (&str, &str) = ("v1", "Pod");
const CONFIG_MAP: (&str, &str) = ("v1", "ConfigMap");
const SERVICE: (&str, &str) = ("v1", "Service");
const JOB: (&str, &str) = ("batch/v1", "Job");
/// A kind that no schema knows.
const THING: (&str, &str) = ("example.com/v1", "Thing");

fn rule((api_version, kind): (&str, &str), edit: &str) -> Arc<Rule> {
    let text = format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r}}\nspec:\n  match:\n    resources:\n    - {{apiVersion: {api_version}, kind: {kind}}}\n  actions:\n  - patch:\n    - {edit}\n"
    );
    let file = SourceFile {
        name: "r.yaml".into(),
        bytes: text.into_bytes(),
    };
    let compiled = compile(&[file], &Schema::bundled());
    match compiled.rules.first() {
        Some(rule) => rule.clone(),
        None => panic!("{edit}: {}", compiled.problems[0]),
    }
}

fn parts(rule: &Rule) -> (&Edit, Endpoint) {
    match &rule.steps[0].action {
        Step::Patch { edits, status } => (
            &edits[0],
            if *status {
                Endpoint::Status
            } else {
                Endpoint::Main
            },
        ),
        _ => panic!("no patch"),
    }
}

struct Made {
    after: Value,
    planned: Planned,
    noop: bool,
}

fn try_make(rule: &Rule, before: &Value, barred: &[Box<str>]) -> Result<Made, ExprFault> {
    let (edit, endpoint) = parts(rule);
    let record = Record::from_value(before);
    let api_version = record.meta().api_version();
    let group = api_version.split_once('/').map_or("", |(g, _)| g);
    let schema = Schema::bundled().kind(&GroupKind::new(group, record.meta().kind()));
    let scope = Scope {
        object: record.root(),
        found: None,
        pod: schema.as_ref().and_then(|s| s.pod_prefix()),
        namespace_object: NamespaceObject::Unknown,
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        item: None,
        applied: None,
        current: None,
        variables: None,
        request: None,
        other: None,
        schedule_start: None,
        previous: None,
    };
    let context = EditContext {
        fixed: FixedFields::Told,
        schema: schema.as_deref(),
        endpoint,
        barred,
    };
    let noop = is_noop(edit, &scope, schema.as_deref(), &mut None);
    let mut after = before.clone();
    let planned = apply(edit, &scope, &context, &mut after)?;
    assert_eq!(planned.changes(), after != *before, "{before} {after}");
    assert!(
        !noop || !planned.changes(),
        "no-op that changes: {before} {after}"
    );
    assert!(
        !noop || planned.findings.is_empty(),
        "no-op that finds: {before}"
    );
    Ok(Made {
        after,
        planned,
        noop,
    })
}

fn make(rule: &Rule, before: &Value) -> Made {
    try_make(rule, before, &[]).unwrap()
}

fn object((api_version, kind): (&str, &str), rest: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind});
    for (name, value) in rest.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

/// What a case expects.
enum Then {
    /// The object's `spec` (or `metadata`, `data`) afterwards; a second time changes nothing.
    Becomes(Value),
    /// Nothing changes and nothing is found.
    Stays,
    /// Nothing changes, with this finding.
    Finds(Reason),
}
use Then::{Becomes, Finds, Stays};

/// Each case: the object without apiVersion and kind, and what becomes of it.
fn table(kind: (&str, &str), edit: &str, cases: Vec<(Value, Then)>) {
    let rule = rule(kind, edit);
    for (before, then) in cases {
        let before = object(kind, before);
        let made = make(&rule, &before);
        let found: Vec<Reason> = made.planned.findings.iter().map(|(r, _)| *r).collect();
        match then {
            Becomes(after) => {
                assert_eq!(made.after, object(kind, after), "{edit}: {before}");
                assert_eq!(found, [], "{edit}: {before}");
                let again = make(&rule, &made.after);
                assert!(!again.planned.changes(), "{edit}: twice: {before}");
            }
            Stays => {
                assert_eq!(made.after, before, "{edit}");
                assert_eq!(found, [], "{edit}: {before}");
            }
            Finds(reason) => {
                assert_eq!(made.after, before, "{edit}");
                assert_eq!(found, [reason], "{edit}: {before}");
            }
        }
    }
}

#[test]
fn set() {
    table(
        DEPLOYMENT,
        "{path: $.spec.replicas, set: 3}",
        vec![
            (json!({}), Becomes(json!({"spec": {"replicas": 3}}))),
            (
                json!({"spec": null}),
                Becomes(json!({"spec": {"replicas": 3}})),
            ),
            (
                json!({"spec": {"replicas": null}}),
                Becomes(json!({"spec": {"replicas": 3}})),
            ),
            (
                json!({"spec": {"replicas": 1}}),
                Becomes(json!({"spec": {"replicas": 3}})),
            ),
            (json!({"spec": {"replicas": 3}}), Stays),
            (
                json!({"spec": {"replicas": "3"}}),
                Becomes(json!({"spec": {"replicas": 3}})),
            ),
            (json!({"spec": [1]}), Finds(Reason::WrongType)),
        ],
    );
    table(
        THING,
        "{path: $.spec.a.b, set: {c: [1]}}",
        vec![
            (
                json!({}),
                Becomes(json!({"spec": {"a": {"b": {"c": [1]}}}})),
            ),
            (
                json!({"spec": {"a": {"x": 1}}}),
                Becomes(json!({"spec": {"a": {"x": 1, "b": {"c": [1]}}}})),
            ),
            (json!({"spec": {"a": "text"}}), Finds(Reason::WrongType)),
        ],
    );
}

#[test]
fn a_computed_value_of_the_wrong_type_is_a_finding() {
    table(
        DEPLOYMENT,
        "{path: $.metadata.annotations.n, set: \"${object.spec.replicas}\"}",
        vec![(json!({"spec": {"replicas": 3}}), Finds(Reason::WrongType))],
    );
}

#[test]
fn default() {
    table(
        DEPLOYMENT,
        "{path: $.spec.strategy, default: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}}",
        vec![
            (
                json!({}),
                Becomes(
                    json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
                ),
            ),
            (
                json!({"spec": {"strategy": null}}),
                Becomes(
                    json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
                ),
            ),
            (
                json!({"spec": {"strategy": {"type": "Recreate"}}}),
                Becomes(
                    json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}}),
                ),
            ),
            (
                json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": null, "maxUnavailable": 0}}}}),
                Becomes(
                    json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}}),
                ),
            ),
            (
                json!({"spec": {"strategy": {"type": "x", "rollingUpdate": {"maxSurge": 0}}}}),
                Stays,
            ),
            (
                json!({"spec": {"strategy": {"type": "x", "rollingUpdate": "y"}}}),
                Finds(Reason::WrongType),
            ),
            (json!({"spec": {"strategy": "x"}}), Finds(Reason::WrongType)),
        ],
    );
    table(
        DEPLOYMENT,
        "{path: $.metadata.labels.team, default: core}",
        vec![
            (
                json!({"metadata": {"name": "a"}}),
                Becomes(json!({"metadata": {"name": "a", "labels": {"team": "core"}}})),
            ),
            (json!({"metadata": {"labels": {"team": "web"}}}), Stays),
            (json!({"metadata": {"labels": {"team": ""}}}), Stays),
            (
                json!({"metadata": {"labels": "x"}}),
                Finds(Reason::WrongType),
            ),
        ],
    );
}

#[test]
fn merge() {
    table(
        CONFIG_MAP,
        "{path: $.data, merge: {a: x, b: null}}",
        vec![
            (json!({}), Becomes(json!({"data": {"a": "x"}}))),
            (json!({"data": null}), Becomes(json!({"data": {"a": "x"}}))),
            (
                json!({"data": {"b": "1", "c": "2"}}),
                Becomes(json!({"data": {"c": "2", "a": "x"}})),
            ),
            (json!({"data": {"a": "x", "c": "2"}}), Stays),
            (json!({"data": {"a": "x", "b": null}}), Stays),
            (json!({"data": "x"}), Finds(Reason::WrongType)),
        ],
    );
    table(
        THING,
        "{path: $.spec, merge: {deep: {list: [1], gone: null}}}",
        vec![
            (json!({}), Becomes(json!({"spec": {"deep": {"list": [1]}}}))),
            (
                json!({"spec": {"deep": {"list": [2, 3], "gone": 1, "kept": 1}}}),
                Becomes(json!({"spec": {"deep": {"list": [1], "kept": 1}}})),
            ),
            (
                json!({"spec": {"deep": "scalar"}}),
                Becomes(json!({"spec": {"deep": {"list": [1]}}})),
            ),
        ],
    );
    table(
        CONFIG_MAP,
        "{path: $.data, merge: {b: null}}",
        vec![
            (json!({}), Stays),
            (
                json!({"data": {"b": "1", "a": "2"}}),
                Becomes(json!({"data": {"a": "2"}})),
            ),
        ],
    );
}

#[test]
fn upsert() {
    let pod =
        |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    table(
        DEPLOYMENT,
        "{path: $pod.spec.containers, upsert: [{name: side, image: s:1}]}",
        vec![
            (
                pod(json!(null)),
                Becomes(pod(json!([{"name": "side", "image": "s:1"}]))),
            ),
            (
                pod(json!([{"name": "app"}])),
                Becomes(pod(
                    json!([{"name": "app"}, {"name": "side", "image": "s:1"}]),
                )),
            ),
            (
                pod(json!([{"name": "side", "image": "s:0", "tty": true}, {"name": "app"}])),
                Becomes(pod(
                    json!([{"name": "side", "image": "s:1", "tty": true}, {"name": "app"}]),
                )),
            ),
            (
                pod(json!([{"name": "app"}, {"name": "side", "image": "s:1", "tty": true}])),
                Stays,
            ),
            (pod(json!({"name": "side"})), Finds(Reason::WrongType)),
        ],
    );
    table(
        DEPLOYMENT,
        "{path: $pod.spec.containers, upsert: [{name: b}, {name: a}], at: Start}",
        vec![(
            pod(json!([{"name": "app"}])),
            Becomes(pod(json!([{"name": "b"}, {"name": "a"}, {"name": "app"}]))),
        )],
    );
    // The default of `protocol` counts on both sides.
    table(
        SERVICE,
        "{path: $.spec.ports, upsert: [{port: 80, name: http}]}",
        vec![
            (
                json!({"spec": {"ports": [{"port": 80}]}}),
                Becomes(json!({"spec": {"ports": [{"port": 80, "name": "http"}]}})),
            ),
            (
                json!({"spec": {"ports": [{"port": 80, "protocol": "UDP"}, {"port": 80, "protocol": "TCP"}]}}),
                Becomes(
                    json!({"spec": {"ports": [{"port": 80, "protocol": "UDP"}, {"port": 80, "protocol": "TCP", "name": "http"}]}}),
                ),
            ),
            (
                json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "http"}]}}),
                Stays,
            ),
            (
                json!({"spec": {"ports": [{"port": 80, "protocol": "UDP"}]}}),
                Becomes(
                    json!({"spec": {"ports": [{"port": 80, "protocol": "UDP"}, {"port": 80, "name": "http"}]}}),
                ),
            ),
        ],
    );
    table(
        THING,
        "{path: $.spec.l, upsert: [{a: 1, b: x, c: 2}], key: [a, b]}",
        vec![
            (
                json!({}),
                Becomes(json!({"spec": {"l": [{"a": 1, "b": "x", "c": 2}]}})),
            ),
            (
                json!({"spec": {"l": [{"a": 1, "b": "y"}, {"a": 1, "b": "x"}]}}),
                Becomes(json!({"spec": {"l": [{"a": 1, "b": "y"}, {"a": 1, "b": "x", "c": 2}]}})),
            ),
        ],
    );
}

#[test]
fn add() {
    table(
        DEPLOYMENT,
        "{path: $.metadata.finalizers, add: [example.com/a, example.com/b]}",
        vec![
            (
                json!({"metadata": {}}),
                Becomes(json!({"metadata": {"finalizers": ["example.com/a", "example.com/b"]}})),
            ),
            (
                json!({"metadata": {"finalizers": null}}),
                Becomes(json!({"metadata": {"finalizers": ["example.com/a", "example.com/b"]}})),
            ),
            (
                json!({"metadata": {"finalizers": ["example.com/b", "c"]}}),
                Becomes(
                    json!({"metadata": {"finalizers": ["example.com/b", "c", "example.com/a"]}}),
                ),
            ),
            (
                json!({"metadata": {"finalizers": ["example.com/b", "x", "example.com/a"]}}),
                Stays,
            ),
            (
                json!({"metadata": {"finalizers": "x"}}),
                Finds(Reason::WrongType),
            ),
        ],
    );
    table(
        THING,
        "{path: $.spec.l, add: [2], at: Start}",
        vec![
            (
                json!({"spec": {"l": [1]}}),
                Becomes(json!({"spec": {"l": [2, 1]}})),
            ),
            (json!({"spec": {"l": [2.0]}}), Stays),
        ],
    );
}

#[test]
fn remove() {
    table(
        DEPLOYMENT,
        "{path: \"$.metadata.annotations['a/b']\", remove: true}",
        vec![
            (json!({}), Stays),
            (json!({"metadata": {"annotations": {"a/b": null}}}), Stays),
            (json!({"metadata": {"annotations": {"c": "1"}}}), Stays),
            (
                json!({"metadata": {"annotations": {"a/b": "1", "c": "2"}}}),
                Becomes(json!({"metadata": {"annotations": {"c": "2"}}})),
            ),
            (
                json!({"metadata": {"name": "x", "annotations": {"a/b": "1"}}}),
                Becomes(json!({"metadata": {"name": "x"}})),
            ),
            (json!({"metadata": {"annotations": "x"}}), Stays),
        ],
    );
    // A struct stays, and what is above the list stays: one level.
    let affinity = |value: Value| json!({"spec": {"template": {"spec": {"affinity": value}}}});
    table(
        DEPLOYMENT,
        "{path: $pod.spec.affinity.podAffinity, remove: true}",
        vec![(
            affinity(json!({"podAffinity": {}})),
            Becomes(affinity(json!({}))),
        )],
    );
    let env = |value: Value| json!({"spec": {"template": {"spec": {"containers": [value]}}}});
    table(
        DEPLOYMENT,
        "{path: \"$containers[*].env[?@.name == 'A']\", remove: true}",
        vec![
            (
                env(json!({"name": "c", "env": [{"name": "A"}, {"name": "B"}, {"name": "A"}]})),
                Becomes(env(json!({"name": "c", "env": [{"name": "B"}]}))),
            ),
            (
                env(json!({"name": "c", "env": [{"name": "A"}]})),
                Becomes(env(json!({"name": "c"}))),
            ),
            (env(json!({"name": "c"})), Stays),
        ],
    );
    // `containers` is required.
    table(
        DEPLOYMENT,
        "{path: \"$containers[?@.name == 'c']\", remove: true}",
        vec![(
            env(json!({"name": "c"})),
            Becomes(json!({"spec": {"template": {"spec": {"containers": []}}}})),
        )],
    );
    let ends = rule(THING, "{path: \"$.spec.l[0,2,-1]\", remove: true}");
    let before = object(THING, json!({"spec": {"l": [1, 2, 3]}}));
    assert_eq!(make(&ends, &before).after["spec"], json!({"l": [2]}));
}

#[test]
fn edits_reach_into_lists_and_leave_ephemeral_containers_out() {
    let spec = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers, "initContainers": [{"name": "i"}], "ephemeralContainers": [{"name": "e"}]}}}});
    let rule = rule(
        DEPLOYMENT,
        "{path: '$containers[*].resources.limits.memory', default: 128Mi}",
    );
    let before = object(
        DEPLOYMENT,
        spec(
            json!([{"name": "a"}, {"name": "b", "resources": {"limits": {"memory": "1Gi"}}}, {"name": "c", "resources": "x"}]),
        ),
    );
    let made = make(&rule, &before);
    let pod = &made.after["spec"]["template"]["spec"];
    let limits = json!({"limits": {"memory": "128Mi"}});
    assert_eq!(pod["containers"][0]["resources"], limits);
    assert_eq!(pod["containers"][1]["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(pod["containers"][2]["resources"], "x");
    assert_eq!(pod["initContainers"][0]["resources"], limits);
    assert_eq!(pod["ephemeralContainers"][0], json!({"name": "e"}));
    assert_eq!(
        made.planned.findings,
        [(
            Reason::WrongType,
            "/spec/template/spec/containers/name=c/resources is not a map".to_owned()
        )]
    );
}

#[test]
fn where_tests_the_item_and_on_a_plain_path_the_object() {
    let pods = |a: &str, b: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": a}, {"name": "b", "image": b}]}}}});
    table(
        DEPLOYMENT,
        "{path: '$containers[*].image', where: [{path: $.image, as: image.registry, value: docker.io}], set: \"${image(current).with('registry', 'm.io')}\"}",
        vec![
            (
                pods("nginx:1", "quay.io/x:1"),
                Becomes(pods("m.io/nginx:1", "quay.io/x:1")),
            ),
            (pods("m.io/nginx:1", "quay.io/x:1"), Stays),
        ],
    );
    table(
        DEPLOYMENT,
        "{path: '$containers[*].imagePullPolicy', where: [{path: $.name, value: a}], set: \"${item.name == 'a' ? 'Always' : 'Never'}\"}",
        vec![(
            pods("x", "y"),
            Becomes(
                json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "x", "imagePullPolicy": "Always"}, {"name": "b", "image": "y"}]}}}}),
            ),
        )],
    );
    table(
        DEPLOYMENT,
        "{path: $.spec.replicas, where: [{path: $.metadata.name, value: web}], set: 2}",
        vec![
            (
                json!({"metadata": {"name": "web"}}),
                Becomes(json!({"metadata": {"name": "web"}, "spec": {"replicas": 2}})),
            ),
            (json!({"metadata": {"name": "other"}}), Stays),
        ],
    );
}

#[test]
fn an_edit_that_uses_current_skips_where_there_is_none() {
    table(
        DEPLOYMENT,
        "{path: $.metadata.labels.team, set: \"${replaceRegex(current, 'a', 'b')}\"}",
        vec![
            (json!({"metadata": {}}), Stays),
            (json!({"metadata": {"labels": {"team": null}}}), Stays),
            (
                json!({"metadata": {"labels": {"team": "a"}}}),
                Becomes(json!({"metadata": {"labels": {"team": "b"}}})),
            ),
        ],
    );
}

#[test]
fn none_drops_the_edit_and_a_fault_fails_it() {
    table(
        DEPLOYMENT,
        "{path: $.metadata.labels.team, set: \"${object.metadata.?annotations.?team}\"}",
        vec![
            (json!({"metadata": {}}), Stays),
            (
                json!({"metadata": {"annotations": {"team": "a"}}}),
                Becomes(
                    json!({"metadata": {"annotations": {"team": "a"}, "labels": {"team": "a"}}}),
                ),
            ),
        ],
    );
    let rule = rule(
        DEPLOYMENT,
        "{path: $.metadata.labels.team, set: \"${object.metadata.annotations.team}\"}",
    );
    let before = object(DEPLOYMENT, json!({"metadata": {"annotations": {}}}));
    assert!(matches!(
        try_make(&rule, &before, &[]).err(),
        Some(ExprFault::Absent(_))
    ));
}

#[test]
fn what_the_server_would_store_the_same_is_no_change() {
    let limits = |cpu: Value, memory: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": cpu, "memory": memory}}}]}}}});
    let path = "$containers[*].resources.limits";
    for edit in ["set", "merge"] {
        table(
            DEPLOYMENT,
            &format!("{{path: '{path}', {edit}: {{cpu: 1000m, memory: 0.5Gi}}}}"),
            vec![
                (limits(json!("1"), "512Mi"), Stays),
                (limits(json!(1), "512Mi"), Stays),
                // Only what differs is written.
                (
                    limits(json!("1"), "1Gi"),
                    Becomes(limits(json!("1"), "0.5Gi")),
                ),
            ],
        );
    }
    let rule = rule(
        DEPLOYMENT,
        &format!("{{path: '{path}', set: {{cpu: 1000m, memory: 0.5Gi}}}}"),
    );
    assert!(make(&rule, &object(DEPLOYMENT, limits(json!("1"), "512Mi"))).noop);
    // Text that only looks like a quantity is text.
    table(
        CONFIG_MAP,
        "{path: $.data.cpu, set: 1000m}",
        vec![(
            json!({"data": {"cpu": "1"}}),
            Becomes(json!({"data": {"cpu": "1000m"}})),
        )],
    );
}

#[test]
fn fields_fixed_at_creation_are_left_out_with_one_finding() {
    table(
        CONFIG_MAP,
        "{path: $.data.a, set: x}",
        vec![
            (
                json!({"immutable": true, "data": {}}),
                Finds(Reason::ImmutableField),
            ),
            (json!({"immutable": true, "data": {"a": "x"}}), Stays),
            (
                json!({"immutable": false}),
                Becomes(json!({"immutable": false, "data": {"a": "x"}})),
            ),
        ],
    );
    table(
        CONFIG_MAP,
        "{path: $.metadata.labels.a, set: x}",
        vec![(
            json!({"immutable": true}),
            Becomes(json!({"immutable": true, "metadata": {"labels": {"a": "x"}}})),
        )],
    );
    // A value that differs in what is fixed and in what is not.
    let rule = rule(
        POD,
        "{path: '$containers[*]', merge: {image: 'x:2', tty: true}}",
    );
    let pod = |image: &str, tty: bool| {
        object(
            POD,
            json!({"spec": {"containers": [{"name": "a", "image": image, "tty": tty}]}}),
        )
    };
    let made = make(&rule, &pod("x:1", true));
    assert_eq!(made.after, pod("x:2", true));
    let made = make(&rule, &pod("x:1", false));
    assert_eq!(made.after, pod("x:1", false));
    assert_eq!(made.planned.findings.len(), 1);
    assert_eq!(made.planned.findings[0].0, Reason::ImmutableField);
}

#[test]
fn finished_jobs_are_not_edited_below_their_pod() {
    let job = |condition: &str, ttl: Value| {
        object(
            JOB,
            json!({"spec": {"ttlSecondsAfterFinished": ttl, "suspend": true, "template": {"metadata": {"labels": {"a": "b"}}}},
                   "status": {"conditions": [{"type": condition, "status": "True"}]}}),
        )
    };
    let made = rule(JOB, "{path: $.spec.ttlSecondsAfterFinished, set: 60}");
    assert_eq!(
        make(&made, &job("Complete", json!(1))).after,
        job("Complete", json!(60))
    );
    let labels = rule(
        ("batch/v1", "CronJob"),
        "{path: $pod.metadata.labels.a, set: c}",
    );
    for condition in ["Complete", "Failed"] {
        let before = job(condition, json!(1));
        let made = make(&labels, &before);
        assert_eq!(made.after, before);
        assert!(made.planned.findings.is_empty());
    }
}

#[test]
fn each_endpoint_writes_only_its_own_part() {
    let rule = rule(DEPLOYMENT, "{path: $.metadata, merge: {labels: {a: b}}}");
    let (edit, _) = parts(&rule);
    let before = object(DEPLOYMENT, json!({"metadata": {"name": "a"}}));
    let record = Record::from_value(&before);
    let scope = Scope {
        object: record.root(),
        found: None,
        pod: None,
        namespace_object: NamespaceObject::None,
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        item: None,
        applied: None,
        current: None,
        variables: None,
        request: None,
        other: None,
        schedule_start: None,
        previous: None,
    };
    let context = EditContext {
        fixed: FixedFields::Told,
        schema: None,
        endpoint: Endpoint::Status,
        barred: &[],
    };
    assert!(!plan(edit, &scope, &context).unwrap().changes());
}

#[test]
fn claims_name_elements_by_their_keys_and_barred_ones_are_left_out() {
    let app = |image: &str| {
        object(
            DEPLOYMENT,
            json!({"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "b", "image": image}]}}}}),
        )
    };
    let pointers = |rule: &Rule, before: &Value| -> Vec<String> {
        make(rule, before)
            .planned
            .claims
            .iter()
            .map(|c| c.pointer.to_string())
            .collect()
    };
    let image = rule(
        DEPLOYMENT,
        "{path: \"$containers[?@.name == 'b'].image\", set: 'y:1'}",
    );
    let place = "/spec/template/spec/containers/name=b/image";
    assert_eq!(pointers(&image, &app("x:1")), [place]);
    assert_eq!(pointers(&image, &app("y:1")), [place]);
    let upsert = rule(
        DEPLOYMENT,
        "{path: $pod.spec.containers, upsert: [{name: b, image: 'y:1'}, {name: c}]}",
    );
    let barred: [Box<str>; 1] = ["/spec/template/spec/containers/name=b".into()];
    assert_eq!(pointers(&upsert, &app("x:1"))[..1], [barred[0].to_string()]);
    let made = try_make(&upsert, &app("x:1"), &barred).unwrap();
    let containers = &made.after["spec"]["template"]["spec"]["containers"];
    assert_eq!(
        *containers,
        json!([{"name": "a"}, {"name": "b", "image": "x:1"}, {"name": "c"}])
    );
    let merge = rule(
        DEPLOYMENT,
        "{path: $.metadata, merge: {labels: {\"a/b\": x, c: null}}}",
    );
    let before = object(DEPLOYMENT, json!({"metadata": {"labels": {"c": "d"}}}));
    assert_eq!(
        pointers(&merge, &before),
        ["/metadata/labels/a~1b", "/metadata/labels/c"]
    );
    let made = try_make(&merge, &before, &["/metadata/labels/c".into()]).unwrap();
    assert_eq!(
        made.after["metadata"]["labels"],
        json!({"c": "d", "a/b": "x"})
    );
    let add = rule(DEPLOYMENT, "{path: $.metadata.finalizers, add: [a/b]}");
    assert_eq!(pointers(&add, &before), ["/metadata/finalizers/=a~1b"]);
}

#[test]
fn converged_objects_are_answered_from_the_record() {
    let before = object(
        DEPLOYMENT,
        json!({"metadata": {"labels": {"team": "core"}, "finalizers": ["a"]},
               "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "a", "image": "i", "tty": true}]}}}}),
    );
    for edit in [
        "{path: $.spec.replicas, set: 2}",
        "{path: $.spec.replicas, set: \"${object.spec.replicas}\"}",
        "{path: '$containers[*].tty', set: true}",
        "{path: $.metadata.labels.team, default: web}",
        "{path: $.metadata, default: {labels: {team: web}}}",
        "{path: $.metadata.labels, merge: {team: core, gone: null}}",
        "{path: $pod.spec.containers, upsert: [{name: a, image: i}]}",
        "{path: $.metadata.finalizers, add: [a]}",
        "{path: $.metadata.annotations.x, remove: true}",
        "{path: \"$containers[?@.name == 'x'].image\", remove: true}",
        "{path: '$containers[*].image', where: [{path: $.name, value: z}], set: q}",
    ] {
        assert!(make(&rule(DEPLOYMENT, edit), &before).noop, "{edit}");
    }
}

fn thing() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3i64).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("(name|[a-c])", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn twice_is_once_whatever_stands_there(spec in thing(), which in 0..10usize) {
        thread_local! {
            static RULES: Vec<Arc<Rule>> = [
                "{path: $.spec.a, set: {b: 1}}",
                "{path: $.spec.a, default: {b: 1, c: {a: x}}}",
                "{path: $.spec.a.b, merge: {a: null, b: {c: 1, a: null}, name: x}}",
                "{path: $.spec.a, upsert: [{name: a, b: 1}, {name: b, c: null}], key: name}",
                "{path: $.spec.a, upsert: [{name: a}, {name: a, b: {c: 1}}], key: name, at: Start}",
                "{path: $.spec.a, add: [1, a, 1]}",
                "{path: \"$.spec.a[?@.name == 'a']\", remove: true}",
                "{path: '$.spec[*].b', set: [1]}",
                "{path: '$.spec.a[*][*]', default: x}",
                "{path: '$.spec.a[*].b', merge: {c: {}}}",
            ].iter().map(|edit| rule(THING, edit)).collect();
        }
        let rule = RULES.with(|rules| rules[which].clone());
        let before = object(THING, json!({"spec": spec}));
        let once = make(&rule, &before).after;
        let twice = make(&rule, &once).after;
        prop_assert_eq!(&once, &twice);
        let mut patched = before.clone();
        let patch = crate::object::difference::json_patch(&before, &once);
        json_patch::patch(&mut patched, &patch).unwrap();
        prop_assert_eq!(patched, once);
    }
}
