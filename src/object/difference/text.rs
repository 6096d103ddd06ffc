//! A diff for people: unified, of the YAML of both states.

use super::sensitive::{hide, is_secret};
use crate::object::{GroupKind, Record};
use serde_json::{Map, Value};
use similar::{Algorithm, TextDiff};

/// What the server writes into `metadata`. No rule changes it, and offline it is made up.
const SERVER: [&str; 6] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "selfLink",
];

/// As [`text`], of two records.
pub fn record_text(kind: &GroupKind, before: Option<&Record>, after: Option<&Record>) -> String {
    let [before, after] = [before, after].map(|record| record.map(Record::to_value));
    text(kind, before.as_ref(), after.as_ref())
}

/// A unified diff of the two as YAML, three lines of context, without a header and without what only the server writes, as far as it is the
/// same in both. Values of `data` and `stringData` of a Secret,
/// and `last-applied-configuration` annotations of one, show as `(sensitive, 24 bytes, changed)`. Empty if nothing differs.
pub fn text(kind: &GroupKind, before: Option<&Value>, after: Option<&Value>) -> String {
    let same: Vec<&str> = match (before, after) {
        (Some(before), Some(after)) => {
            let of_both = |name: &&str| before["metadata"][*name] == after["metadata"][*name];
            SERVER.into_iter().filter(of_both).collect()
        }
        _ => vec![],
    };
    let shown = |value: Option<&Value>, former: Option<&Value>| {
        value.map_or_else(String::new, |value| {
            let mut value = value.clone();
            if is_secret(kind) {
                hide(&mut value, former);
            }
            if let Some(former) = former {
                follow_order(&mut value, former);
            }
            if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.retain(|name, _| !same.contains(&name.as_str()));
            }
            yaml(&value)
        })
    };
    let old = shown(before, None);
    let new = shown(after, before);
    TextDiff::configure()
        .algorithm(Algorithm::Patience)
        .diff_lines(old.as_str(), new.as_str())
        .unified_diff()
        .context_radius(3)
        .to_string()
}

/// A tree as YAML, keys in the tree's own order, long strings on one line, texts of several lines as blocks.
/// Nothing is hidden: for output, [`redact`](super::redact) first.
pub fn yaml(value: &Value) -> String {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    match serde_saphyr::to_string_with_options(value, options) {
        Ok(mut text) => {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text
        }
        // A tree that YAML cannot carry is still shown; JSON is YAML.
        Err(_) => format!("{value:#}\n"),
    }
}

/// Puts the members of maps into the order of `model`, new ones behind: an order that changed is no change.
fn follow_order(value: &mut Value, model: &Value) {
    match (value, model) {
        (Value::Object(map), Value::Object(model)) => {
            let mut rest = std::mem::take(map);
            let mut ordered = Map::with_capacity(rest.len());
            for (name, former) in model {
                // Taken in place: removing one by one costs the square of the size.
                if let Some(member) = rest.get_mut(name) {
                    let mut member = member.take();
                    follow_order(&mut member, former);
                    ordered.insert(name.clone(), member);
                }
            }
            ordered.extend(
                rest.into_iter()
                    .filter(|(name, _)| !model.contains_key(name)),
            );
            *map = ordered;
        }
        (Value::Array(list), Value::Array(model)) => {
            for (element, former) in list.iter_mut().zip(model) {
                follow_order(element, former);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::redact;
    use super::*;
    use serde_json::json;

    fn deployment() -> GroupKind {
        GroupKind::new("apps", "Deployment")
    }

    #[test]
    fn shows_what_changed_with_three_lines_of_context() {
        let before = json!({"kind": "Deployment", "metadata": {"name": "web", "labels": {"a": "1"}}, "spec": {"replicas": 1, "paused": false}});
        let mut after = before.clone();
        after["spec"]["replicas"] = json!(3);
        assert_eq!(
            text(&deployment(), Some(&before), Some(&after)),
            "@@ -4,5 +4,5 @@\n   labels:\n     a: \"1\"\n spec:\n-  replicas: 1\n+  replicas: 3\n   paused: false\n"
        );
    }

    #[test]
    fn leaves_out_what_the_server_writes() {
        let before = json!({"metadata": {"name": "web", "uid": "u", "resourceVersion": "7", "generation": 1}, "spec": {"replicas": 1}});
        let mut after = before.clone();
        after["spec"]["replicas"] = json!(3);
        after["metadata"]["generation"] = json!(2);
        assert_eq!(
            text(&deployment(), Some(&before), Some(&after)),
            "@@ -1,5 +1,5 @@\n metadata:\n   name: web\n-  generation: 1\n+  generation: 2\n spec:\n-  replicas: 1\n+  replicas: 3\n"
        );
    }

    #[test]
    fn says_nothing_where_only_the_order_of_keys_differs() {
        let before = json!({"a": 1, "b": [{"c": 1, "d": 2}]});
        let after = json!({"b": [{"d": 2, "c": 1}], "a": 1});
        assert_eq!(text(&deployment(), Some(&before), Some(&after)), "");
        assert_eq!(text(&deployment(), None, None), "");
    }

    #[test]
    fn a_creation_and_a_deletion_are_all_plus_and_all_minus() {
        let object = json!({"kind": "Deployment"});
        assert_eq!(
            text(&deployment(), None, Some(&object)),
            "@@ -0,0 +1 @@\n+kind: Deployment\n"
        );
        assert_eq!(
            text(&deployment(), Some(&object), None),
            "@@ -1 +0,0 @@\n-kind: Deployment\n"
        );
    }

    #[test]
    fn keeps_long_strings_on_one_line_and_shows_texts_as_blocks() {
        let long = "word ".repeat(60);
        let shown = yaml(&json!({"long": long.trim(), "text": "one\ntwo\n"}));
        assert_eq!(
            shown,
            format!("long: {}\ntext: |\n  one\n  two\n", long.trim())
        );
    }

    #[test]
    fn never_shows_what_a_secret_holds() {
        let secret = GroupKind::new("", "Secret");
        let hidden = "aHVudGVyMg==";
        let object = |data: &str| {
            json!({
                "kind": "Secret",
                "metadata": {"name": "s", "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": format!("{{\"data\":\"{data}\"}}"), "note": "free"}},
                "data": {"password": data, "same": "eA==", "odd": [data], "broken": format!("%{data}")},
                "stringData": {"p": format!("plain {data}")},
            })
        };
        let (before, after) = (object(hidden), object("aHVudGVyMw=="));
        for shown in [
            text(&secret, Some(&before), Some(&after)),
            text(&secret, None, Some(&after)),
            text(&secret, Some(&before), None),
            yaml(&redact(&secret, &before)),
            yaml(&redact(&secret, &after)),
        ] {
            assert!(!shown.contains("aHVudGVy"), "{shown}");
            assert!(shown.contains("(sensitive, 7 bytes"), "{shown}");
        }
        let shown = text(&secret, Some(&before), Some(&after));
        assert!(
            shown.contains(
                "-  password: (sensitive, 7 bytes)\n+  password: (sensitive, 7 bytes, changed)\n"
            ),
            "{shown}"
        );
        assert!(shown.contains("   same: (sensitive, 1 bytes)"), "{shown}");
        assert!(shown.contains("note: free"), "{shown}");
        for odd in [
            json!({"data": hidden}),
            json!({"data": 7}),
            json!({"stringData": [hidden]}),
        ] {
            let shown = text(&secret, None, Some(&odd));
            assert!(
                shown.contains("(sensitive, ") && !shown.contains(hidden),
                "{shown}"
            );
        }
        // Only Secrets of the core group are Secrets.
        let other = GroupKind::new("example.com", "Secret");
        assert_eq!(redact(&other, &before), before);
    }
}
