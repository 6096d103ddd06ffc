#![allow(clippy::unwrap_used)]
use super::*;
use crate::object::{GroupKind, Record};
use crate::rule::compile::{SourceFile, compile};
use crate::rule::set::RuleSet;
use crate::schema::Schema;
use serde_json::json;

/// The set of these rules about ConfigMaps; each text is the rest of `match` and of the rule.
fn set(rules: &[&str]) -> RuleSet {
    let schema = Schema::bundled();
    let files: Vec<SourceFile> = rules
        .iter()
        .enumerate()
        .map(|(i, rest)| {
            let actions = match rest.contains("actions:") {
                true => "",
                false => "  actions:\n  - patch:\n    - {path: $.data.seen, set: 'yes'}\n",
            };
            SourceFile {
                name: format!("r{i}.yaml").into(),
                bytes: format!("apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r{i}}}\nspec:\n  match:\n    resources: [{{apiVersion: v1, kind: ConfigMap}}]\n{rest}\n{actions}").into_bytes(),
            }
        })
        .collect();
    let compiled = compile(&files, &schema);
    assert!(
        !compiled.has_errors(),
        "{rules:?}: {}",
        compiled.problems[0]
    );
    RuleSet::new(compiled.rules, schema)
}

fn scope(rules: &[&str]) -> WatchScope {
    set(rules).watch_scope(&GroupKind::new("", "ConfigMap"))
}

fn tested(test: &str) -> String {
    format!("  where:\n  - {test}")
}

#[test]
fn a_rule_is_shown_what_its_selector_names_and_tests_ask_for() {
    let label = "path: \"$.metadata.labels['a.b/c']\"";
    for (rest, wanted) in [
        ("    selector: {matchLabels: {team: web}}".to_owned(), "team=web"),
        ("    selector: {matchExpressions: [{key: team, operator: In, values: [b, a]}, {key: x, operator: DoesNotExist}]}".to_owned(), "team in (a,b),!x"),
        ("    selector: {matchExpressions: [{key: team, operator: NotIn, values: [a, b]}, {key: team, operator: Exists}]}".to_owned(), "team,team notin (a,b)"),
        ("    names: [one]\n    namespaces: [shop]".to_owned(), "metadata.name=one,metadata.namespace=shop"),
        ("    names: ['!kube-root-ca.crt', '!x*']".to_owned(), "metadata.name!=kube-root-ca.crt"),
        ("    names: [one, two]".to_owned(), ""),
        ("    names: [o*]\n    namespaces: ['*']".to_owned(), ""),
        (tested(&format!("{{{label}, operator: DoesNotExist}}")), "!a.b/c"),
        (tested(&format!("{{{label}, operator: Exists}}")), "a.b/c"),
        (tested(&format!("{{{label}, value: v}}")), "a.b/c=v"),
        (tested(&format!("{{{label}, operator: NotEquals, value: v}}")), "a.b/c!=v"),
        (tested(&format!("{{{label}, operator: In, values: [v, w]}}")), "a.b/c in (v,w)"),
        (tested(&format!("{{{label}, operator: NotIn, values: [v, w]}}")), "a.b/c notin (v,w)"),
        (tested(&format!("{{none: [{{{label}, value: v}}, {{path: $.metadata.labels.x, operator: Exists}}]}}")), "a.b/c!=v,!x"),
        (tested(&format!("{{any: [{{{label}, value: v}}, {{{label}, value: w}}]}}")), "a.b/c in (v,w)"),
        (tested(&format!("{{any: [{{{label}, value: v}}, {{path: $.data.x, operator: Exists}}]}}")), ""),
        // Whatever is compared must be there.
        (tested(&format!("{{{label}, operator: Matches, value: '^v'}}")), "a.b/c"),
        (tested(&format!("{{{label}, as: semver, operator: AtLeast, value: 1.0.0}}")), "a.b/c"),
        (tested(&format!("{{{label}, value: '${{object.metadata.name}}'}}")), "a.b/c"),
        (tested(&format!("{{{label}, value: not a label}}")), "a.b/c"),
        (tested(&format!("{{{label}, operator: NotEmpty}}")), "a.b/c"),
        // What is absent or empty, or counted, has no words.
        (tested(&format!("{{{label}, operator: Empty}}")), ""),
        (tested(&format!("{{{label}, operator: DoesNotMatch, value: '^v'}}")), ""),
        (tested(&format!("{{{label}, as: count, operator: LessThan, value: 1}}")), ""),
        (tested("{path: '$.metadata.labels[*]', value: v}"), ""),
        (tested("{path: $.metadata.annotations.a, operator: Exists}"), ""),
        (tested("{expression: '${object.metadata.labels.a}', value: v}"), ""),
        // Two that exclude each other leave nothing that could be asked for.
        (format!("    selector: {{matchLabels: {{a: b}}}}\n{}", tested("{path: $.metadata.labels.a, value: c}")), ""),
    ] {
        assert_eq!(scope(&[&rest]).to_string(), wanted, "{rest}");
    }
}

#[test]
fn several_rules_are_shown_what_one_selector_can_say_of_all() {
    let team = |name: &str| format!("    selector: {{matchLabels: {{team: {name}}}}}");
    let lacks = |name: &str| {
        tested(&format!(
            "{{path: $.metadata.labels.{name}, operator: DoesNotExist}}"
        ))
    };
    let (web, shop) = (team("web"), team("shop"));
    for (rules, wanted) in [
        (vec![&*web, &*shop], "team in (shop,web)"),
        (vec![&*web, &*lacks("x")], ""),
        (vec![&*lacks("x"), &*lacks("x")], "!x"),
        (
            vec![&*lacks("x"), "    selector: {matchLabels: {x: y}}"],
            "",
        ),
        (
            vec![
                "    namespaces: [a]\n    names: [one]",
                "    namespaces: [a]\n    names: [two]",
            ],
            "metadata.namespace=a",
        ),
        (
            vec!["    names: ['!a', '!b']", "    names: ['!b', '!c']"],
            "metadata.name!=b",
        ),
        (vec![&*web, ""], ""),
    ] {
        assert_eq!(scope(&rules).to_string(), wanted, "{rules:?}");
    }
}

#[test]
fn a_rule_that_keeps_something_in_mind_is_shown_everything() {
    let lacks = tested("{path: $.metadata.labels.x, operator: DoesNotExist}");
    let kept = [
        "  actions:\n  - event: {reason: Found, message: m}",
        "  limits: {abortAbove: {percent: 10}}\n  actions:\n  - delete: {}",
        "  actions:\n  - apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: other}}",
    ];
    for rest in kept {
        assert!(
            scope(&[&format!("{lacks}\n{rest}")]).is_everything(),
            "{rest}"
        );
    }
    // Another rule writes the kind.
    let writer = "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {name: w}\nspec:\n  match: {resources: [{apiVersion: v1, kind: Namespace}], selector: {matchLabels: {a: b}}}\n  actions:\n  - apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: other}}\n";
    let reader = format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r}}\nspec:\n  match:\n    resources: [{{apiVersion: v1, kind: ConfigMap}}]\n{lacks}\n  actions:\n  - delete: {{}}\n"
    );
    let files = [writer, &reader].map(|text| SourceFile {
        name: "r.yaml".into(),
        bytes: text.into(),
    });
    let compiled = compile(&files, &Schema::bundled());
    assert!(!compiled.has_errors(), "{}", compiled.problems[0]);
    let both = RuleSet::new(compiled.rules, Schema::bundled());
    for kind in ["ConfigMap", "Namespace"] {
        assert!(
            both.watch_scope(&GroupKind::new("", kind)).is_everything(),
            "{kind}"
        );
    }
}

#[test]
fn a_path_that_is_looked_for_everywhere_keeps_tests_out_but_not_the_selector() {
    let text = "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {name: r}\nspec:\n  match:\n    resources: [{apiVersion: example.com/v1, kind: Thing}]\n    selector: {matchLabels: {a: b}}\n  where:\n  - {path: $.metadata.labels.x, operator: DoesNotExist}\n  - {path: $.spec.odd, operator: DoesNotExist}\n  actions:\n  - delete: {}\n";
    let file = SourceFile {
        name: "r.yaml".into(),
        bytes: text.into(),
    };
    let compiled = compile(&[file], &Schema::bundled());
    assert!(!compiled.has_errors(), "{}", compiled.problems[0]);
    let set = RuleSet::new(compiled.rules, Schema::bundled());
    let scope = set.watch_scope(&GroupKind::new("example.com", "Thing"));
    assert_eq!(scope.to_string(), "a=b");
}

#[test]
fn selectors_that_grow_too_long_for_a_url_are_left_out() {
    let values: Vec<String> = (0..100).map(|i| format!("v{i:030}")).collect();
    let long = format!(
        "    selector: {{matchExpressions: [{{key: a, operator: In, values: [{}]}}, {{key: b, operator: Exists}}]}}",
        values.join(", ")
    );
    assert_eq!(scope(&[&long]).to_string(), "b");
}

#[test]
fn a_scope_contains_those_that_ask_for_more() {
    let of =
        |selector: &str| scope(&[&format!("    selector: {{matchExpressions: [{selector}]}}")]);
    let team = of("{key: team, operator: In, values: [a, b]}");
    let a = of("{key: team, operator: In, values: [a]}");
    let a_with_x = of("{key: team, operator: In, values: [a]}, {key: x, operator: Exists}");
    let there = of("{key: team, operator: Exists}");
    let all = WatchScope::default();
    for (wide, narrow) in [
        (&team, &a),
        (&a, &a_with_x),
        (&there, &team),
        (&all, &a),
        (&a, &a),
    ] {
        assert!(wide.contains(narrow), "{wide} {narrow}");
        assert!(wide == narrow || !narrow.contains(wide), "{narrow} {wide}");
    }
}

#[test]
fn it_admits_what_the_selector_would_show() {
    let both = scope(&[
        "    namespaces: [shop]\n    selector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}, {key: x, operator: DoesNotExist}]}",
    ]);
    for (namespace, labels, admitted) in [
        ("shop", json!({"team": "b"}), true),
        ("shop", json!(null), true),
        ("shop", json!({"team": "a"}), false),
        ("shop", json!({"x": ""}), false),
        ("other", json!({}), false),
    ] {
        let map = Record::from_value(
            &json!({"metadata": {"namespace": namespace, "name": "a", "labels": labels}}),
        );
        assert_eq!(both.admits(map.meta()), admitted, "{namespace} {labels}");
    }
}
