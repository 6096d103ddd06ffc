#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::decide::Operation;
use crate::object::{GroupKind, ObjectKey};
use crate::rule::compile::{SourceFile, compile};
use crate::rule::{Occasion, Verb};
use crate::schema::Schema;
use json_patch::PatchOperation;
use serde_json::{Value, json};
use std::cell::Cell;

/// Rules for one kind: name, mode or priority and the like, and actions, in flow style.
fn rules(kind: (&str, &str), bodies: &[(&str, &str, &str)]) -> RuleSet {
    RuleSet::new(compiled(kind, bodies), Schema::bundled())
}

fn compiled(kind: (&str, &str), bodies: &[(&str, &str, &str)]) -> Vec<Arc<Rule>> {
    let files: Vec<SourceFile> = bodies
        .iter()
        .map(|(name, head, actions)| {
            let mode = if head.contains("mode:") {
                ""
            } else {
                "mode: Enforce, "
            };
            let text = format!(
                "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec: {{{mode}{head}match: {{resources: [{{apiVersion: {}, kind: {}}}]}}, actions: [{actions}]}}\n",
                kind.0, kind.1
            );
            SourceFile {
                name: format!("{name}.yaml").into(),
                bytes: text.into_bytes(),
            }
        })
        .collect();
    let compiled = compile(&files, &Schema::bundled());
    assert_eq!(
        compiled.rules.len(),
        bodies.len(),
        "{}",
        compiled
            .problems
            .iter()
            .map(ToString::to_string)
            .collect::<String>()
    );
    compiled.rules
}

const CONFIG_MAP: (&str, &str) = ("v1", "ConfigMap");
const DEPLOYMENT: (&str, &str) = ("apps/v1", "Deployment");
const NAMESPACE: (&str, &str) = ("v1", "Namespace");

/// What surrounds a pass in these tests.
struct Given<'a> {
    rules: &'a RuleSet,
    namespace: Option<Value>,
    open: &'a dyn Fn(RuleIndex) -> bool,
    assume_enforce: bool,
    now: &'a str,
}

impl<'a> Given<'a> {
    fn new(rules: &'a RuleSet) -> Self {
        Given {
            rules,
            namespace: None,
            open: &|_| true,
            assume_enforce: false,
            now: "2026-01-01T00:00:00Z",
        }
    }

    fn pass(&self, object: &Value) -> Decision {
        let record = Record::from_value(object);
        let meta = record.meta();
        let group = meta.api_version().split_once('/').map_or("", |(g, _)| g);
        let key = ObjectKey::new(
            GroupKind::new(group, meta.kind()),
            meta.namespace(),
            meta.name(),
        );
        let namespace = self.namespace.as_ref().map(Record::from_value);
        let context = PassContext {
            occasion: Occasion::Reconcile,
            request: None,
            rules: self.rules,
            namespace: match &namespace {
                Some(namespace) => Ok(Some(namespace)),
                None => Err("not synced"),
            },
            now: self.now.parse().unwrap(),
            gate: self.open,
            assume_enforce: self.assume_enforce,
            ahead: false,
            neighbours: &crate::decide::Alone,
            memory: &crate::decide::Blank,
            state_namespace: "ordain",
        };
        let decision = pass(
            &Subject {
                key: &key,
                record: &record,
            },
            &context,
        );
        for write in &decision.writes {
            assert_eq!(write.uid, "u-1");
            assert_eq!(write.resource_version, "7");
            if let Operation::Patch { operations, .. } = &write.operation {
                let first = serde_json::to_value(&operations[0]).unwrap();
                assert_eq!(
                    first,
                    json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "7"})
                );
                let mut patched = object.clone();
                json_patch::patch(&mut patched, operations).unwrap();
                assert_eq!(Some(&patched), write.expected.as_ref());
            }
        }
        decision
    }
}

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
           "metadata": {"name": "c", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"}, "data": data})
}

fn annotated(annotation: &str, value: &str) -> Value {
    let mut object = config_map(json!({}));
    object["metadata"]["annotations"] = json!({ annotation: value });
    object
}

fn data(decision: &Decision) -> Value {
    match decision.writes.as_slice() {
        [write] => write
            .expected
            .as_ref()
            .map_or(Value::Null, |v| v["data"].clone()),
        writes => panic!("{writes:?} {:?}", decision.findings),
    }
}

fn reasons(decision: &Decision) -> Vec<(String, Reason)> {
    decision
        .findings
        .iter()
        .map(|f| (f.rule.to_string(), f.reason))
        .collect()
}

fn standings(decision: &Decision) -> Vec<Standing> {
    decision.standings.iter().map(|(_, s)| *s).collect()
}

const ACTS: Standing = Standing::Matched { acts: true };
const MATCHES: Standing = Standing::Matched { acts: false };

#[test]
fn nothing_to_do_writes_nothing() {
    let set = rules(
        CONFIG_MAP,
        &[
            ("a", "", "{patch: [{path: $.data.a, default: x}]}"),
            (
                "b",
                "where: [{path: $.data.a, value: z}], ",
                "{patch: [{path: $.data.b, set: x}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({"a": "y"})));
    assert!(
        decision.writes.is_empty() && decision.changes.is_empty() && decision.findings.is_empty()
    );
    assert_eq!(standings(&decision), [MATCHES, Standing::Unmatched]);
}

#[test]
fn rules_compose_into_one_write_and_steps_see_each_other() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "low",
                "",
                "{patch: [{path: $.data.b, set: \"${object.data.a}\"}]}",
            ),
            (
                "high",
                "priority: 5, ",
                "{patch: [{path: $.data.a, set: x}, {path: $.data.c, set: \"${object.data.a}\"}]}, {patch: [{path: $.data.d, set: \"${object.data.c}\"}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(
        data(&decision),
        json!({"a": "x", "b": "x", "c": "x", "d": "x"})
    );
    let names: Vec<&str> = decision.writes[0].rules.iter().map(|r| &**r).collect();
    assert_eq!(names, ["high", "low"]);
    assert_eq!(decision.changes.len(), 2);
    assert_eq!(decision.changes[0].before["data"], json!({}));
    assert_eq!(
        decision.changes[0].after.as_ref().unwrap()["data"],
        json!({"a": "x", "c": "x", "d": "x"})
    );
    assert_eq!(
        decision.changes[1].before["data"],
        json!({"a": "x", "c": "x", "d": "x"})
    );
    assert_eq!(standings(&decision), [ACTS, ACTS]);
}

#[test]
fn a_rule_that_waits_for_a_lower_one_comes_in_the_next_round() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "high",
                "priority: 1, where: [{path: $.data.b, value: x}], ",
                "{patch: [{path: $.data.a, set: x}]}",
            ),
            ("low", "", "{patch: [{path: $.data.b, set: x}]}"),
        ],
    );
    assert_eq!(
        data(&Given::new(&set).pass(&config_map(json!({})))),
        json!({"a": "x", "b": "x"})
    );
}

#[test]
fn a_chain_lets_the_later_value_stand_and_then_rests() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "first",
                "priority: 1, ",
                "{patch: [{path: $.data.a, set: one}]}",
            ),
            (
                "then",
                "where: [{path: $.data.a, value: one}], ",
                "{patch: [{path: $.data.a, set: two}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(data(&decision), json!({"a": "two"}));
    assert_eq!(decision.findings, []);
    let rested = Given::new(&set).pass(&config_map(json!({"a": "two"})));
    assert!(
        rested.writes.is_empty() && rested.changes.is_empty(),
        "{:?}",
        rested.writes
    );
    assert_eq!(rested.findings, []);
}

#[test]
fn an_edit_of_the_value_that_stands_there_is_a_chain() {
    let set = rules(
        DEPLOYMENT,
        &[
            (
                "mirror",
                "priority: 1, ",
                "{patch: [{path: '$containers[*].image', set: \"${image(current).with('registry', 'm.io')}\"}]}",
            ),
            (
                "tag",
                "",
                "{patch: [{path: '$containers[*].image', set: \"${image(current).with('tag', '2')}\"}]}",
            ),
        ],
    );
    let object = |image: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"},
        "spec": {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}}})
    };
    let decision = Given::new(&set).pass(&object("nginx:1"));
    assert_eq!(decision.findings, []);
    assert_eq!(
        *decision.writes[0].expected.as_ref().unwrap(),
        object("m.io/nginx:2")
    );
    assert!(
        Given::new(&set)
            .pass(&object("m.io/nginx:2"))
            .writes
            .is_empty()
    );
}

#[test]
fn in_a_conflict_the_higher_priority_keeps_the_path_wherever_it_began() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "high",
                "priority: 1, ",
                "{patch: [{path: $.data.a, set: one}]}",
            ),
            (
                "low",
                "",
                "{patch: [{path: $.data.a, set: two}, {path: $.data.b, set: x}]}",
            ),
        ],
    );
    for before in [
        json!({}),
        json!({"a": "one"}),
        json!({"a": "two"}),
        json!({"a": "three", "b": "x"}),
    ] {
        let decision = Given::new(&set).pass(&config_map(before.clone()));
        assert_eq!(data(&decision), json!({"a": "one", "b": "x"}), "{before}");
        assert_eq!(
            reasons(&decision),
            [("low".to_owned(), Reason::Conflict)],
            "{before}"
        );
        assert!(
            decision.findings[0].message.contains("/data/a")
                && decision.findings[0].message.contains("`high`")
        );
    }
    let settled = Given::new(&set).pass(&config_map(json!({"a": "one", "b": "x"})));
    assert!(settled.writes.is_empty() && settled.changes.is_empty());
    assert_eq!(reasons(&settled), [("low".to_owned(), Reason::Conflict)]);
}

#[test]
fn a_path_above_another_is_in_conflict_with_it() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "high",
                "priority: 1, ",
                "{patch: [{path: $.data.a, set: one}]}",
            ),
            (
                "low",
                "",
                "{patch: [{path: $.data, set: {b: x}}, {path: $.metadata.labels.l, set: x}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(data(&decision), json!({"a": "one"}));
    assert_eq!(
        decision.writes[0].expected.as_ref().unwrap()["metadata"]["labels"],
        json!({"l": "x"})
    );
    assert_eq!(reasons(&decision), [("low".to_owned(), Reason::Conflict)]);
}

#[test]
fn equal_priorities_in_conflict_both_stop_and_others_go_on() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "a",
                "",
                "{patch: [{path: $.data.a, set: one}, {path: $.data.b, set: x}]}",
            ),
            ("b", "", "{patch: [{path: $.data.a, set: two}]}"),
            ("c", "", "{patch: [{path: $.data.c, set: x}]}"),
        ],
    );
    for before in [
        json!({}),
        json!({"a": "one", "b": "x"}),
        json!({"a": "two"}),
    ] {
        let decision = Given::new(&set).pass(&config_map(before.clone()));
        let mut after = before.clone();
        after["c"] = json!("x");
        assert_eq!(data(&decision), after);
        assert_eq!(
            reasons(&decision),
            [
                ("b".to_owned(), Reason::Conflict),
                ("a".to_owned(), Reason::Conflict)
            ],
            "{before}"
        );
    }
}

#[test]
fn equal_values_and_sets_are_no_conflict() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "a",
                "",
                "{patch: [{path: $.data.a, set: one}, {path: $.metadata.finalizers, add: [x/a]}, {path: $.metadata, merge: {labels: {a: x}}}]}",
            ),
            (
                "b",
                "",
                "{patch: [{path: $.data, merge: {a: one}}, {path: $.metadata.finalizers, add: [x/b]}, {path: $.metadata.labels.b, set: x}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(decision.findings, []);
    let after = decision.writes[0].expected.as_ref().unwrap();
    assert_eq!(after["metadata"]["finalizers"], json!(["x/a", "x/b"]));
    assert_eq!(after["metadata"]["labels"], json!({"a": "x", "b": "x"}));
}

#[test]
fn rules_that_never_rest_write_nothing() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "a",
                "where: [{path: $.data.n, operator: Exists}], ",
                "{patch: [{path: $.data.m, set: \"${object.data.n + 'x'}\"}]}",
            ),
            (
                "b",
                "where: [{path: $.data.m, operator: Exists}], ",
                "{patch: [{path: $.data.n, set: \"${object.data.m}\"}]}",
            ),
            ("c", "", "{warn: {message: seen}}"),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({"n": ""})));
    assert!(decision.writes.is_empty() && decision.changes.is_empty());
    assert_eq!(
        reasons(&decision),
        [
            ("c".to_owned(), Reason::Warning),
            ("a".to_owned(), Reason::NoFixpoint),
            ("b".to_owned(), Reason::NoFixpoint),
        ]
    );
}

#[test]
fn audit_tells_and_never_reaches_the_others() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "audit",
                "priority: 1, mode: Audit, ",
                "{patch: [{path: $.data.a, set: x}]}",
            ),
            (
                "enforce",
                "where: [{path: $.data.a, value: x}], ",
                "{patch: [{path: $.data.b, set: x}]}",
            ),
            (
                "sees",
                "mode: Audit, where: [{path: $.data.c, value: x}], ",
                "{patch: [{path: $.data.d, set: x}]}",
            ),
            ("writes", "", "{patch: [{path: $.data.c, set: x}]}"),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(data(&decision), json!({"c": "x"}));
    let told: Vec<(&str, Mode)> = decision
        .changes
        .iter()
        .map(|c| (&*c.rule, c.mode))
        .collect();
    assert_eq!(
        told,
        [
            ("audit", Mode::Audit),
            ("sees", Mode::Audit),
            ("writes", Mode::Enforce)
        ]
    );
    assert_eq!(
        decision.changes[0].after.as_ref().unwrap()["data"],
        json!({"a": "x", "c": "x"})
    );
    assert_eq!(&*decision.writes[0].rules[0], "writes");
    // Two in Audit are in no conflict, and a closed gate is as Audit.
    let closed = Given {
        open: &|_| false,
        ..Given::new(&set)
    }
    .pass(&config_map(json!({})));
    assert!(closed.writes.is_empty());
    let told: Vec<&str> = closed.changes.iter().map(|c| &*c.rule).collect();
    assert_eq!(told, ["audit", "writes"]);
    let all = Given {
        assume_enforce: true,
        ..Given::new(&set)
    }
    .pass(&config_map(json!({})));
    assert_eq!(data(&all), json!({"a": "x", "b": "x", "c": "x", "d": "x"}));
}

#[test]
fn the_gate_is_asked_only_for_rules_that_match() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "a",
                "where: [{path: $.data.a, value: z}], ",
                "{patch: [{path: $.data.b, set: x}]}",
            ),
            ("b", "", "{patch: [{path: $.data.c, set: x}]}"),
        ],
    );
    let asked = Cell::new(0u64);
    let gate = |index: RuleIndex| {
        asked.set(asked.get() | 1 << index);
        true
    };
    Given {
        open: &gate,
        ..Given::new(&set)
    }
    .pass(&config_map(json!({})));
    assert_eq!(asked.get(), 0b10);
}

#[test]
fn a_deletion_ends_the_list_and_drops_what_was_pending() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "patch",
                "priority: 1, ",
                "{patch: [{path: $.data.a, set: x}]}",
            ),
            (
                "delete",
                "where: [{path: $.data.a, value: x}], ",
                "{patch: [{path: $.data.b, set: x}]}, {delete: {propagation: Orphan, gracePeriodSeconds: 5}}, {warn: {message: gone}}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    let [write] = decision.writes.as_slice() else {
        panic!("{:?}", decision.writes)
    };
    assert!(matches!(
        write.operation,
        Operation::Delete {
            propagation: Some(crate::rule::Propagation::Orphan),
            grace_period_seconds: Some(5)
        }
    ));
    assert_eq!(write.expected, None);
    let [change] = decision.changes.as_slice() else {
        panic!("{:?}", decision.changes)
    };
    assert_eq!(
        (&*change.rule, change.verb, &change.after),
        ("delete", Verb::Delete, &None)
    );
    assert_eq!(decision.findings, []);
}

#[test]
fn status_is_a_write_of_its_own() {
    let set = rules(
        DEPLOYMENT,
        &[
            ("main", "", "{patch: [{path: $.spec.replicas, set: 2}]}"),
            (
                "status",
                "",
                "{patch: [{path: $.status.replicas, set: 3}], subresource: status}",
            ),
        ],
    );
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"}});
    let decision = Given::new(&set).pass(&object);
    let told: Vec<(bool, &str)> = decision
        .writes
        .iter()
        .map(|w| match &w.operation {
            Operation::Patch { status, .. } => (*status, &*w.rules[0]),
            _ => panic!("{w:?}"),
        })
        .collect();
    assert_eq!(told, [(false, "main"), (true, "status")]);
    let expected = |at: usize| decision.writes[at].expected.as_ref().unwrap().clone();
    assert_eq!(
        (&expected(0)["spec"], &expected(0)["status"]),
        (&json!({"replicas": 2}), &Value::Null)
    );
    assert_eq!(
        (&expected(1)["spec"], &expected(1)["status"]),
        (&Value::Null, &json!({"replicas": 3}))
    );
}

#[test]
fn a_step_that_fails_is_undone_and_ends_its_list_and_no_other() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "bad",
                "",
                "{patch: [{path: $.data.a, set: x}, {path: $.data.b, set: \"${object.data.gone}\"}]}",
            ),
            ("good", "", "{patch: [{path: $.data.c, set: x}]}"),
            (
                "half",
                "",
                "{patch: [{path: $.data.h, set: x}]}, {patch: [{path: $.data.i, set: x}, {path: $.data.j, set: \"${object.data.gone}\"}]}, {patch: [{path: $.data.k, set: x}]}",
            ),
            (
                "waits",
                "",
                "{patch: [{path: $.data.e, set: x}]}, {patch: [{path: $.data.d, set: \"${namespaceObject.metadata.name}\"}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(data(&decision), json!({"c": "x", "h": "x"}));
    assert_eq!(
        reasons(&decision),
        [
            ("bad".to_owned(), Reason::ExpressionFailed),
            ("half".to_owned(), Reason::ExpressionFailed),
            ("waits".to_owned(), Reason::Waiting)
        ]
    );
    assert_eq!(
        standings(&decision),
        [Standing::Failed, ACTS, ACTS, Standing::Waiting]
    );
}

#[test]
fn a_value_that_cannot_be_read_is_counted() {
    let set = rules(
        CONFIG_MAP,
        &[(
            "a",
            "where: [{path: $.data.q, as: quantity, operator: GreaterThan, value: 1Gi}], ",
            "{warn: {message: large}}",
        )],
    );
    let decision = Given::new(&set).pass(&config_map(json!({"q": "much"})));
    assert_eq!(standings(&decision), [Standing::Unmatched]);
    assert_eq!(decision.wrong_types.len(), 1);
    assert!(!decision.wrong_types[0].1.contains("much"));
}

#[test]
fn warnings_are_rendered_and_stay_with_what_the_rule_itself_changed() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "a",
                "where: [{path: $.data.a, operator: DoesNotExist}], ",
                "{warn: {message: \"no a in ${object.metadata.name}\"}}, {patch: [{path: $.data.a, set: x}]}",
            ),
            (
                "b",
                "priority: 1, where: [{path: $.data.a, operator: DoesNotExist}], ",
                "{warn: {message: not yet}}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(reasons(&decision), [("a".to_owned(), Reason::Warning)]);
    assert_eq!(decision.findings[0].message, "no a in c");
}

#[test]
fn ages_say_when_to_look_again() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "a",
                "where: [{path: $.metadata.creationTimestamp, as: age, operator: AtLeast, value: 7d}], ",
                "{delete: {}}",
            ),
            (
                "b",
                "where: [{path: $.metadata.creationTimestamp, as: age, operator: AtLeast, value: 2d}], ",
                "{warn: {message: old}}",
            ),
        ],
    );
    let mut object = config_map(json!({}));
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    let decision = Given::new(&set).pass(&object);
    assert_eq!(
        decision.recheck_at,
        Some("2026-01-03T00:00:00Z".parse().unwrap())
    );
    let later = Given {
        now: "2026-01-03T00:00:00Z",
        ..Given::new(&set)
    }
    .pass(&object);
    assert_eq!(reasons(&later), [("b".to_owned(), Reason::Warning)]);
    assert_eq!(
        later.recheck_at,
        Some("2026-01-08T00:00:00Z".parse().unwrap())
    );
}

#[test]
fn what_is_protected_is_skipped_and_counted() {
    let patch = "{patch: [{path: $.metadata.labels.a, set: x}]}";
    let place = |kind: (&str, &str), name: &str, namespace: Option<&str>| {
        let mut object = json!({"apiVersion": kind.0, "kind": kind.1, "metadata": {"name": name, "uid": "u-1", "resourceVersion": "7"}});
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = json!(namespace);
        }
        object
    };
    let crd = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let webhook = (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
    );
    let cases = [
        (CONFIG_MAP, patch, "c", Some("kube-system"), true),
        (CONFIG_MAP, patch, "c", Some("kube-public"), true),
        (CONFIG_MAP, patch, "c", Some("kube-node-lease"), true),
        (CONFIG_MAP, patch, "c", Some("ordain"), true),
        (CONFIG_MAP, patch, "c", Some("shop"), false),
        (
            CONFIG_MAP,
            "{warn: {message: seen}}",
            "c",
            Some("kube-system"),
            false,
        ),
        (crd, patch, "c", None, true),
        (webhook, patch, "c", None, true),
        (NAMESPACE, patch, "shop", None, false),
        (NAMESPACE, patch, "kube-system", None, true),
        (NAMESPACE, patch, "ordain", None, false),
        (
            NAMESPACE,
            "{patch: [{path: $.metadata.finalizers, add: [x/a]}]}",
            "ordain",
            None,
            true,
        ),
        (("v1", "Node"), patch, "n", None, false),
    ];
    for (kind, actions, name, namespace, expected) in cases {
        let allowed = ("r", "allowProtected: [patch], ", actions);
        // Some of these are refused at load already.
        let mut unallowed = compiled(kind, &[allowed]);
        Arc::get_mut(&mut unallowed[0])
            .unwrap()
            .allow_protected
            .clear();
        let set = RuleSet::new(unallowed, Schema::bundled());
        let decision = Given::new(&set).pass(&place(kind, name, namespace));
        let found = decision
            .findings
            .iter()
            .any(|f| f.reason == Reason::Protected);
        assert_eq!(found, expected, "{kind:?} {name} {namespace:?}");
        if expected {
            assert!(decision.writes.is_empty() && decision.changes.is_empty());
            assert_eq!(standings(&decision), [MATCHES]);
            let set = rules(kind, &[allowed]);
            assert_eq!(
                Given::new(&set)
                    .pass(&place(kind, name, namespace))
                    .writes
                    .len(),
                1
            );
        }
    }
    let delete = rules(
        CONFIG_MAP,
        &[("r", "allowProtected: [patch], ", "{delete: {}}")],
    );
    let decision = Given::new(&delete).pass(&place(CONFIG_MAP, "c", Some("kube-system")));
    assert_eq!(reasons(&decision), [("r".to_owned(), Reason::Protected)]);
}

#[test]
fn ignore_annotations_keep_every_rule_or_some_away() {
    let set = rules(
        CONFIG_MAP,
        &[
            ("a", "", "{patch: [{path: $.data.a, set: x}]}"),
            ("b", "mode: Audit, ", "{patch: [{path: $.data.b, set: x}]}"),
        ],
    );
    let ignored = Given::new(&set).pass(&annotated("ordain.dev/ignore", "true"));
    assert!(ignored.writes.is_empty() && ignored.changes.is_empty());
    assert_eq!(standings(&ignored), [Standing::Ignored, Standing::Ignored]);
    let some = Given::new(&set).pass(&annotated("ordain.dev/ignore-rules", "z, a"));
    assert_eq!(standings(&some), [Standing::Ignored, ACTS]);
    assert!(some.writes.is_empty());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "annotations": {"ordain.dev/ignore": "true"}}});
    let by_namespace = Given {
        namespace: Some(namespace),
        ..Given::new(&set)
    }
    .pass(&config_map(json!({})));
    assert_eq!(
        standings(&by_namespace),
        [Standing::Ignored, Standing::Ignored]
    );
    let until = annotated("ordain.dev/ignore-until", "2026-01-02T00:00:00Z");
    let before = Given::new(&set).pass(&until);
    assert!(before.writes.is_empty());
    assert_eq!(
        before.recheck_at,
        Some("2026-01-02T00:00:00Z".parse().unwrap())
    );
    let after = Given {
        now: "2026-01-02T00:00:00Z",
        ..Given::new(&set)
    }
    .pass(&until);
    assert_eq!(after.writes.len(), 1);
    let broken = Given::new(&set).pass(&annotated("ordain.dev/ignore-until", "next week"));
    assert!(broken.writes.is_empty());
    assert_eq!(reasons(&broken), [("a".to_owned(), Reason::WrongType)]);
}

#[test]
fn a_namespace_selector_waits_for_the_namespace() {
    let text = "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {name: r}\nspec:\n  mode: Enforce\n  match:\n    resources: [{apiVersion: v1, kind: ConfigMap}]\n    namespaceSelector: {matchLabels: {team: a}}\n  actions: [{patch: [{path: $.data.a, set: x}]}]\n";
    let schema = Schema::bundled();
    let file = SourceFile {
        name: "r.yaml".into(),
        bytes: text.into(),
    };
    let set = RuleSet::new(compile(&[file], &schema).rules, schema);
    let unknown = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(standings(&unknown), [Standing::Waiting]);
    assert_eq!(reasons(&unknown), [("r".to_owned(), Reason::Waiting)]);
    for (team, expected) in [("a", &[ACTS][..]), ("b", &[])] {
        let namespace = json!({"metadata": {"name": "shop", "labels": {"team": team}}});
        let known = Given {
            namespace: Some(namespace),
            ..Given::new(&set)
        }
        .pass(&config_map(json!({})));
        assert_eq!(standings(&known), expected);
    }
}

#[test]
fn the_patch_is_as_small_as_the_change() {
    let set = rules(
        CONFIG_MAP,
        &[("a", "", "{patch: [{path: $.data.b, remove: true}]}")],
    );
    let decision = Given::new(&set).pass(&config_map(json!({"a": "1", "b": "2"})));
    let Operation::Patch {
        operations,
        status: false,
    } = &decision.writes[0].operation
    else {
        panic!()
    };
    let [_, PatchOperation::Remove(remove)] = operations.as_slice() else {
        panic!("{operations:?}")
    };
    assert_eq!(remove.path.as_str(), "/data/b");
}

/// Rules over three keys that meet, follow and undo each other in every way.
const TANGLE: [(&str, &str, &str); 14] = [
    ("r0", "priority: 2, ", "{patch: [{path: $.data.a, set: x}]}"),
    ("r1", "priority: 1, ", "{patch: [{path: $.data.a, set: y}]}"),
    ("r2", "", "{patch: [{path: $.data.a, set: y}]}"),
    ("r3", "", "{patch: [{path: $.data.a, set: z}]}"),
    (
        "r4",
        "priority: 1, where: [{path: $.data.a, value: x}], ",
        "{patch: [{path: $.data.a, set: y}]}",
    ),
    (
        "r5",
        "where: [{path: $.data.a, value: y}], ",
        "{patch: [{path: $.data.b, set: x}]}",
    ),
    (
        "r6",
        "where: [{path: $.data.b, value: x}], ",
        "{patch: [{path: $.data.a, set: x}]}",
    ),
    (
        "r7",
        "priority: 3, where: [{path: $.data.b, operator: Exists}], ",
        "{patch: [{path: $.data.b, remove: true}]}",
    ),
    (
        "r8",
        "where: [{path: $.data.b, operator: DoesNotExist}], ",
        "{patch: [{path: $.data.b, set: y}, {path: $.data.c, default: x}]}",
    ),
    (
        "r9",
        "",
        "{patch: [{path: $.data, merge: {c: y, b: null}}]}",
    ),
    (
        "r10",
        "priority: 1, ",
        "{patch: [{path: $.data, set: {a: x, c: y}}]}",
    ),
    (
        "r11",
        "where: [{path: $.data.c, value: x}], ",
        "{patch: [{path: $.data.c, set: y}]}",
    ),
    (
        "r12",
        "where: [{path: $.data.c, value: y}], ",
        "{patch: [{path: $.data.c, set: x}]}",
    ),
    (
        "r13",
        "",
        "{patch: [{path: $.data.c, set: \"${object.data.?a.orValue('n')}\"}]}",
    ),
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(500))]
    #[test]
    fn what_a_pass_has_written_it_leaves_alone(
        chosen in proptest::collection::btree_set(0..TANGLE.len(), 1..6),
        values in proptest::collection::vec(0..4usize, 3),
    ) {
        thread_local! {
            static RULES: Vec<Arc<Rule>> = compiled(CONFIG_MAP, &TANGLE);
        }
        let rule = |i: usize| RULES.with(|all| {
            let name = format!("r{i}");
            all.iter().find(|r| *r.name == *name).unwrap().clone()
        });
        let set = RuleSet::new(chosen.iter().map(|i| rule(*i)).collect(), Schema::bundled());
        let mut start = serde_json::Map::new();
        for (name, value) in ["a", "b", "c"].iter().zip(&values) {
            if *value > 0 {
                start.insert((*name).into(), ["", "x", "y", "z"][*value].into());
            }
        }
        let before = config_map(Value::Object(start));
        let first = Given::new(&set).pass(&before);
        proptest::prop_assert!(first.writes.len() <= 1);
        let after = match first.writes.first() {
            Some(write) => write.expected.clone().unwrap(),
            None => before,
        };
        let second = Given::new(&set).pass(&after);
        proptest::prop_assert!(second.writes.is_empty(), "{:?}\n{:?}\n{:?}", after["data"], second.writes, second.findings);
    }
}

#[test]
fn an_object_is_due_for_every_rule_that_would_delete_it() {
    let rules = rules(
        CONFIG_MAP,
        &[
            ("first", "priority: 1, ", "{delete: {}}"),
            (
                "second",
                "",
                "{patch: [{path: $.data.a, set: b}]}, {delete: {}}",
            ),
            ("third", "", "{patch: [{path: $.data.a, set: c}]}"),
        ],
    );
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "n", "name": "a", "uid": "u-1", "resourceVersion": "7"}});
    let decision = Given::new(&rules).pass(&object);
    let standings: Vec<Standing> = decision.standings.into_iter().map(|(_, s)| s).collect();
    let acts = |acts| Standing::Matched { acts };
    assert_eq!(standings, [acts(true), acts(true), acts(false)]);
    assert_eq!(decision.writes.len(), 1);
    assert_eq!(&*decision.writes[0].rules[0], "first");
    let authors: Vec<&str> = decision.changes.iter().map(|c| &*c.rule).collect();
    assert_eq!(authors, ["first"]);
}
