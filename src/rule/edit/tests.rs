#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::object::{GroupKind, Record};
use crate::rule::compile::{SourceFile, compile};
use crate::rule::expr::NamespaceObject;
use crate::rule::{Action as Step, Rule};
use crate::schema::Schema;
use Then::{Becomes, Finds, Stays};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

mod answers;
mod each;
mod reach;

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
    try_answered(rule, before, barred, None)
}

fn try_answered(
    rule: &Rule,
    before: &Value,
    barred: &[Box<str>],
    answers: Option<&Answers>,
) -> Result<Made, ExprFault> {
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
        answers,
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
    Finds(Hindrance),
}

/// Each case: the object without apiVersion and kind, and what becomes of it.
fn table(kind: (&str, &str), edit: &str, cases: Vec<(Value, Then)>) {
    let rule = rule(kind, edit);
    for (before, then) in cases {
        let before = object(kind, before);
        let made = make(&rule, &before);
        let found: Vec<Hindrance> = made.planned.findings.iter().map(|(r, _)| *r).collect();
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
