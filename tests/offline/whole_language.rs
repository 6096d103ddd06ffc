//! Nothing of the language is "not supported yet" but scripts, and sinks other than a directory: every word of the schema is tried where an
//! accepted document has a place for it, and every verb with every modifier.

use crate::messages::printed_of;
use crate::schema::{Validator, accepted, errors, kinds_of};
use ordain::rule::language;
use serde_json::Value;
use std::collections::BTreeMap;

const LATER: &str = "not supported yet";

#[test]
fn every_word_of_the_schema_is_known_where_it_may_stand() {
    let schema = language::schema();
    let validator = Validator { schema: &schema };
    let (good, _, shown) = accepted(&validator);
    let (mut tried, mut failures) = (0, vec![]);
    for (field, (file, n, place)) in &shown {
        let described = schema.pointer(field).unwrap();
        let refers = [&described["$ref"], &described["allOf"][0]["$ref"]];
        let described = match refers.iter().find_map(|to| to.as_str()) {
            Some(to) => schema.pointer(to.trim_start_matches('#')).unwrap(),
            None => described,
        };
        let (words, inside) = match (&described["enum"], &described["items"]["enum"]) {
            (Value::Array(words), _) => (words, ""),
            (_, Value::Array(words)) => (words, "/0"),
            _ => continue,
        };
        let file = &good[*file];
        let kinds = kinds_of(&file.documents);
        for word in words {
            let mut documents = file.documents.clone();
            let Some(value) = documents[*n].pointer_mut(&format!("{place}{inside}")) else {
                continue;
            };
            *value = word.clone();
            tried += 1;
            for error in errors(&file.file, &documents, &kinds) {
                if error.contains(LATER) || error.contains("cannot be `") {
                    failures.push(format!("{}: {place}: {word}: {error}", file.file));
                }
            }
        }
    }
    assert!(tried > 80, "only {tried} words");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Verbs, each with a rule's steps around it that it needs.
const VERBS: [(&str, &str); 14] = [
    ("patch", "patch: [{path: $.metadata.annotations.a, set: b}]"),
    (
        "apply",
        "apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}",
    ),
    ("delete", "delete: {}"),
    ("evict", "evict: {}"),
    ("scale", "scale: {replicas: 2}"),
    ("restart", "restart: {}"),
    ("rollback", "rollback: {to: PreviousRevision}"),
    ("archive", "archive: {sink: backups}"),
    ("event", "event: {reason: Seen, message: seen}"),
    ("deny", "deny: {message: no}"),
    ("warn", "warn: {message: no}"),
    ("metric", "metric: {name: shop_seen}"),
    ("notify", "notify: {sink: backups, text: a}"),
    ("webhook", "webhook: {sink: backups, body: {}}"),
];

/// What any step may have beside its verb.
const MODIFIERS: [(&str, &str); 8] = [
    ("target", "target: others"),
    ("forEach", "forEach: [a, b]"),
    ("after", "after: 1h"),
    ("once", "once: {}"),
    ("key", "once: {key: a, within: 1h, firstSeen: Record}"),
    ("lifetime", "lifetime: WhileMatched"),
    ("permanent", "lifetime: Permanent"),
    (
        "wait",
        "wait: {for: [{path: $.metadata.labels.a, value: b}], timeout: 1h}",
    ),
];

/// What is refused, and a part of the reason that is told.
const REFUSED: [(&str, &str, &str); 5] = [
    ("apply", "target", "write `forEach: ${others}`"),
    ("metric", "once", "test an age in `where`"),
    ("metric", "key", "test an age in `where`"),
    ("*", "lifetime", "that cannot be taken back"),
    ("*", "permanent", "that cannot be taken back"),
];

fn rule(verb: &str, modifiers: &[&str]) -> String {
    let kind = match verb.starts_with("evict") {
        true => "{apiVersion: v1, kind: Pod}",
        false => "{apiVersion: apps/v1, kind: Deployment}",
    };
    let step = [&[verb], modifiers].concat().join("\n    ");
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Sink
metadata: {{name: backups}}
spec: {{directory: {{path: /tmp/backups}}}}
---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: r}}
spec:
  match: {{resources: [{kind}]}}
  related:
  - name: others
    resources: [{kind}]
    selector: {{matchLabels: {{a: b}}}}
  actions:
  - {step}
"
    )
}

/// The errors in what is printed of a rule.
fn wrong(printed: &str) -> Vec<&str> {
    let problems = printed.split("\n\n");
    problems.filter(|p| p.contains(": error: ")).collect()
}

/// Why a modifier is refused beside a verb; `None`: it is not.
fn refusal(verb: &str, modifier: &str) -> Option<&'static str> {
    if let ("patch" | "apply" | "scale", "lifetime" | "permanent") = (verb, modifier) {
        return None;
    }
    // It ends the list.
    if let ("delete", "wait") = (verb, modifier) {
        return Some("write `wait` beside the step that has to be done before");
    }
    let mut refused = REFUSED.iter();
    refused
        .find(|(of, what, _)| (*of == verb || *of == "*") && *what == modifier)
        .map(|(_, _, why)| *why)
}

#[test]
fn every_verb_goes_with_every_modifier_or_says_why_not() {
    let mut failures: BTreeMap<String, String> = BTreeMap::new();
    for (verb, step) in VERBS {
        let sinks = ["notify", "webhook"].contains(&verb);
        for (n, (first, one)) in MODIFIERS.iter().enumerate() {
            for (second, two) in &MODIFIERS[n..] {
                let (of, other) = (one.split(':').next(), two.split(':').next());
                let both: &[&str] = match of == other {
                    true if first != second => continue,
                    true => &[one],
                    false => &[one, two],
                };
                let printed = printed_of("rule.yaml", rule(step, both).into_bytes());
                let why: Vec<&str> = match sinks {
                    true => vec![LATER],
                    false => [*first, *second]
                        .iter()
                        .filter_map(|modifier| refusal(verb, modifier))
                        .collect(),
                };
                let found = wrong(&printed);
                // Of a step on members something may still be waited for.
                let fine = match why.as_slice() {
                    [] => found.is_empty(),
                    why if verb == "delete" && both.contains(&"target: others") => {
                        found.is_empty() || why.iter().any(|why| printed.contains(why))
                    }
                    why => !found.is_empty() && why.iter().any(|why| printed.contains(why)),
                };
                if !fine || (!sinks && printed.contains(LATER)) {
                    failures.insert(format!("{verb} with {both:?}"), printed);
                }
            }
        }
    }
    let failures: Vec<String> = failures
        .iter()
        .map(|(what, printed)| format!("--- {what}\n{printed}"))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn only_scripts_and_sinks_come_later() {
    let script = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: r}
spec:
  match: {resources: [{apiVersion: v1, kind: Pod}]}
  variables:
  - name: plan
    script: {command: [python3, plan.py], input: {object: \"${object}\"}}
  actions: [{warn: {message: a}}]
";
    assert!(printed_of("rule.yaml", script.into()).contains(LATER));
    for sink in [
        "webhook: {url: \"https://a.example\"}",
        "slack: {channel: a}",
        "objectStore: {url: \"s3://a/b\"}",
    ] {
        let sink = format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Sink\nmetadata: {{name: a}}\nspec: {{{sink}}}\n"
        );
        let printed = printed_of("sink.yaml", sink.into_bytes());
        assert!(printed.contains(LATER), "{printed}");
    }
    // What the server would write beside a rule is none of its fields.
    let status = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: r}
spec:
  match: {resources: [{apiVersion: v1, kind: Pod}]}
  actions: [{warn: {message: a}}]
status: {}
";
    let printed = printed_of("rule.yaml", status.into());
    assert!(
        printed.contains("unknown field `status`") && !printed.contains(LATER),
        "{printed}"
    );
}
