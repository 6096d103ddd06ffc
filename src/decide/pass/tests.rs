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

mod order;
mod spared;
mod steps;

/// Rules for one kind: name, mode or priority and the like, and actions, in flow style.
/// A state as JSON, to look into.
fn tree(state: &Option<Record>) -> Value {
    state.as_ref().unwrap().to_value()
}

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
            returns: self.open,
            assume_enforce: self.assume_enforce,
            ahead: false,
            alone: None,
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
                assert_eq!(patched, tree(&write.expected));
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
            .map_or(Value::Null, |v| v.to_value()["data"].clone()),
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
        tree(&decision.changes[0].after)["data"],
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
            Some(write) => tree(&write.expected),
            None => before,
        };
        let second = Given::new(&set).pass(&after);
        proptest::prop_assert!(second.writes.is_empty(), "{:?}\n{:?}\n{:?}", after["data"], second.writes, second.findings);
    }
}
