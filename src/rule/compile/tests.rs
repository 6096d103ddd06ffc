#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::rule::Verb;
use std::time::Duration;

fn compiled(documents: &[&str]) -> Compiled {
    let files: Vec<SourceFile> = documents
        .iter()
        .enumerate()
        .map(|(index, spec)| SourceFile {
            name: format!("{index}.yaml").into(),
            bytes: format!("apiVersion: ordain.dev/v1alpha1\nkind: Rule\n{spec}").into_bytes(),
        })
        .collect();
    compile(&files, &Schema::bundled())
}

fn rule(spec: &str) -> Arc<Rule> {
    let compiled = compiled(&[&format!("metadata: {{name: a}}\nspec: {spec}")]);
    let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    assert!(!compiled.has_errors(), "{}", problems.join("\n"));
    compiled.rules.first().expect("a rule").clone()
}

fn kinds(resources: &str) -> Vec<String> {
    let actions = "actions: [{warn: {message: a}}]";
    let rule = rule(&format!(
        "{{match: {{resources: [{resources}]}}, {actions}}}"
    ));
    let kinds = rule.matches.kinds.iter();
    kinds.map(|k| format!("{}/{}", k.kind, k.version)).collect()
}

#[test]
fn kinds_are_resolved() {
    assert_eq!(
        kinds("{kind: Workload}"),
        [
            "Deployment.apps/v1",
            "StatefulSet.apps/v1",
            "DaemonSet.apps/v1",
            "ReplicaSet.apps/v1",
            "Job.batch/v1",
            "CronJob.batch/v1"
        ]
    );
    assert_eq!(
        kinds("{apiVersion: batch/*, kind: '*'}"),
        ["CronJob.batch/v1", "Job.batch/v1"]
    );
    assert_eq!(
        kinds("{apiVersion: batch/v1, kind: '*'}, {apiVersion: '*', kind: '!Cron*'}"),
        ["Job.batch/v1"]
    );
    let all = kinds("{apiVersion: '*', kind: '*'}");
    assert!(all.len() > 40);
    for never in [
        "Event/v1",
        "Event.events.k8s.io/v1",
        "Lease.coordination.k8s.io/v1",
        "EndpointSlice.discovery.k8s.io/v1",
        "TokenReview.authentication.k8s.io/v1",
    ] {
        assert!(!all.iter().any(|kind| kind == never), "{never}");
    }
    assert_eq!(kinds("{apiVersion: v1, kind: Event}"), ["Event/v1"]);
    assert_eq!(
        kinds("{apiVersion: v1, kind: Pod}, {apiVersion: v1, kind: Po?}"),
        ["Pod/v1"]
    );
}

#[test]
fn limits_have_their_defaults() {
    const OF: &str = "match: {resources: [{apiVersion: v1, kind: Secret}]}";
    let limits = |rest: &str| rule(&format!("{{{OF}, {rest}}}")).limits.clone();
    let delete = limits("actions: [{delete: {}}]");
    assert_eq!(
        (delete.abort_objects, delete.abort_percent, delete.throttle),
        (Some(20), None, None)
    );
    assert_eq!(delete.per_object, Some((5, Duration::from_secs(600))));
    assert_eq!(
        limits("actions: [{warn: {message: a}}]").abort_objects,
        None
    );
    let throttled = limits("actions: [{delete: {}}], limits: {throttle: {objects: 2, per: 1m30s}}");
    assert_eq!(throttled.throttle, Some((2, Duration::from_secs(90))));
    assert_eq!(throttled.abort_objects, Some(20));
    let percent = limits(
        "actions: [{delete: {}}], limits: {abortAbove: {percent: 12.5}, perObject: {changes: 1, per: 1h}}",
    );
    assert_eq!(
        (percent.abort_objects, percent.abort_percent),
        (None, Some(12.5))
    );
    assert_eq!(percent.per_object, Some((1, Duration::from_secs(3_600))));
}

#[test]
fn paths_that_no_schema_knows_are_remembered_where_it_is_deleted() {
    const OF: &str = "match: {resources: [{apiVersion: shop.example/v1, kind: Basket}]}, where: [{path: $.spec.old, value: true}]";
    let texts = |rule: &Rule| -> Vec<String> {
        rule.unchecked_paths
            .iter()
            .map(|p| p.text().to_owned())
            .collect()
    };
    assert_eq!(
        texts(&rule(&format!("{{{OF}, actions: [{{delete: {{}}}}]}}"))),
        ["$.spec.old"]
    );
    assert!(
        texts(&rule(&format!(
            "{{{OF}, actions: [{{warn: {{message: a}}}}]}}"
        )))
        .is_empty()
    );
    // Metadata is the same in every kind; what an edit writes, and what an element may lack, says nothing.
    const METADATA: &str = "match: {resources: [{apiVersion: shop.example/v1, kind: Basket}]}, where: [{path: $.metadata.labels.a, operator: Exists}]";
    let edits = "{patch: [{path: $.spec.new, set: 1}, {path: '$.spec.items[*].a', where: [{path: $.b, value: 1}], remove: true}]}";
    assert!(
        texts(&rule(&format!(
            "{{{METADATA}, actions: [{edits}, {{delete: {{}}}}]}}"
        )))
        .is_empty()
    );
}

#[test]
fn a_path_that_a_schema_only_allows_is_one_that_no_schema_knows() {
    let any = serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let half = serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "string"}}});
    let texts = serde_json::json!({"type": "object", "additionalProperties": {"type": "string"}});
    let open = serde_json::json!({"type": "object", "additionalProperties": true});
    let list = serde_json::json!({"type": "array", "items": half});
    let properties =
        serde_json::json!({"any": any, "half": half, "texts": texts, "open": open, "list": list});
    let crd = serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "shops.shop.example"},
        "spec": {"group": "shop.example", "scope": "Namespaced", "names": {"kind": "Shop", "plural": "shops"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": properties}}}}}]}});
    let (schema, problems) = Schema::bundled().with_crds([&crd]);
    assert!(problems.is_empty(), "{problems:?}");
    let is_checked = |path: &str| {
        let text = format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: a}}\nspec: {{match: {{resources: [{{apiVersion: shop.example/v1, kind: Shop}}]}}, where: [{{path: \"{path}\", operator: DoesNotExist}}], actions: [{{delete: {{}}}}]}}"
        );
        let file = SourceFile {
            name: "a.yaml".into(),
            bytes: text.into_bytes(),
        };
        let compiled = compile(&[file], &schema);
        assert!(!compiled.has_errors(), "{path}: {:?}", compiled.problems);
        compiled.rules[0].unchecked_paths.is_empty()
    };
    for path in [
        "$.spec.any",
        "$.spec.half.known",
        "$.spec.texts.whatever",
        "$.spec.list[*].known",
        "$.spec.list[?@.known == 'a'].known",
        "$.spec.any[*]",
        "$.metadata.labels.whatever",
        "$.metadata.annotations['a/b']",
        "$..known",
    ] {
        assert!(is_checked(path), "{path}");
    }
    for path in [
        "$.spec.any.nope",
        "$.spec.any[*].nope",
        "$.spec.half.nope",
        "$.spec.open.nope",
        "$.spec.list[*].nope",
        "$.spec.list[?@.nope == 'a'].known",
    ] {
        assert!(!is_checked(path), "{path}");
    }
}

#[test]
fn of_two_rules_with_one_name_neither_is_taken() {
    let one = "metadata: {name: a}\nspec: {match: {resources: [{apiVersion: v1, kind: Pod}]}, actions: [{delete: {}}]}";
    let compiled = compiled(&[one, one]);
    assert!(compiled.rules.is_empty());
    let files: Vec<&str> = compiled.broken.iter().map(|(_, file)| &**file).collect();
    assert_eq!(files, ["0.yaml", "1.yaml"]);
    assert_eq!(compiled.problems.len(), 1);
    assert_eq!(compiled.problems[0].rule.as_deref(), Some("a"));
}

#[test]
fn of_two_versions_of_a_kind_the_first_stays() {
    let rule = |name: &str, version: &str| {
        format!(
            "metadata: {{name: {name}}}\nspec: {{match: {{resources: [{{apiVersion: autoscaling/{version}, kind: HorizontalPodAutoscaler}}]}}, actions: [{{delete: {{}}}}]}}"
        )
    };
    let compiled = compiled(&[&rule("a", "v2"), &rule("b", "v1")]);
    assert_eq!(compiled.rules.len(), 1);
    assert_eq!(compiled.broken, [("b".into(), "1.yaml".into())]);
}

#[test]
fn what_is_allowed_is_read() {
    let rule = rule(
        "{match: {resources: [{apiVersion: v1, kind: Node}]}, actions: [{delete: {}}], allowProtected: [delete, patch]}",
    );
    assert_eq!(rule.allow_protected, [Verb::Delete, Verb::Patch]);
}

#[test]
fn a_value_that_comes_to_rest_does_not_feed_itself() {
    let set = |path: &str, value: &str| {
        compiled(&[&format!(
            "metadata: {{name: a}}\nspec: {{match: {{resources: [{{apiVersion: apps/v1, kind: Deployment}}]}}, actions: [{{patch: [{{path: \"{path}\", set: \"{value}\"}}]}}]}}"
        )])
        .has_errors()
    };
    for (path, value, refused) in [
        (
            "$containers[*].image",
            "${image(current).with('registry', 'r.example')}",
            false,
        ),
        ("$.spec.replicas", "${current > 5 ? 5 : current}", false),
        ("$.spec.replicas", "${current + 1}", true),
        ("$.spec.replicas", "${object.spec.replicas * 2}", true),
        ("$.spec.replicas", "${object.status.replicas + 1}", false),
        ("$.metadata.labels.a", "${current + 'x'}", true),
        ("$.metadata.labels.a", "x-${object.metadata.name}", false),
        ("$.metadata.labels.a", "x-${current}", true),
        ("$.metadata.labels.a", "${current.lowerAscii()}", false),
    ] {
        assert_eq!(set(path, value), refused, "{path} {value}");
    }
}
