//! Expected against actual, and what differs, for people.

use super::document::{ExpectedChange, ExpectedFinding, ExpectedSeries};
use crate::decide::{Finding, RuleChange, state_annotation};
use crate::manifests::world::without_generated;
use crate::object::{GroupKind, ObjectKey, difference};
use serde_json::Value;

/// A line of a comparison: what was expected and did not come, what came and was not expected.
fn lines(
    heading: &str,
    missing: Vec<String>,
    surplus: Vec<String>,
    same: Vec<String>,
) -> Option<String> {
    if missing.is_empty() && surplus.is_empty() {
        return None;
    }
    let mut text = format!("{heading} (- expected, + actual)");
    let marked = [("  ", same), ("- ", missing), ("+ ", surplus)];
    for (mark, entries) in marked {
        for entry in entries {
            text.push_str(&format!("\n{mark}{entry}"));
        }
    }
    Some(text)
}

/// Matches each expectation with at most one of the actual things: (same, missing, surplus) by index.
fn pair<E, A>(
    expected: &[E],
    actual: &[A],
    fits: impl Fn(&E, &A) -> bool,
    strictness: impl Fn(&E) -> usize,
) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
    let mut free: Vec<usize> = (0..actual.len()).collect();
    let (mut same, mut missing) = (vec![], vec![]);
    // The ones that say most choose first, so that a vague one does not take what only a strict one fits.
    let mut order: Vec<usize> = (0..expected.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(strictness(&expected[*i])));
    for i in order {
        match free.iter().position(|a| fits(&expected[i], &actual[*a])) {
            Some(at) => same.push(free.remove(at)),
            None => missing.push(i),
        }
    }
    same.sort_unstable();
    missing.sort_unstable();
    (same, missing, free)
}

/// The changes of a step; findings of `warn` steps are no changes.
pub fn changes(expected: &[ExpectedChange], actual: &[RuleChange]) -> Option<String> {
    let actual: Vec<&RuleChange> = actual.iter().filter(|c| !c.verb.only_tells()).collect();
    let (same, missing, surplus) = pair(
        expected,
        &actual,
        |e, a| {
            e.verb == a.verb.as_str()
                && e.object == a.object
                && e.rule.as_deref().is_none_or(|r| r == &*a.rule)
        },
        |e| usize::from(e.rule.is_some()),
    );
    let was = |a: &&RuleChange| format!("{} {} by {}", a.verb.as_str(), a.object, a.rule);
    lines(
        "changes differ",
        missing
            .into_iter()
            .map(|i| {
                let e = &expected[i];
                let by = e
                    .rule
                    .as_deref()
                    .map_or(String::new(), |r| format!(" by {r}"));
                format!("{} {}{by}", e.verb, e.object)
            })
            .collect(),
        surplus.into_iter().map(|i| was(&actual[i])).collect(),
        same.into_iter().map(|i| was(&actual[i])).collect(),
    )
}

/// The findings standing at the end of a step.
pub fn findings(expected: &[ExpectedFinding], actual: &[Finding]) -> Option<String> {
    let (same, missing, surplus) = pair(
        expected,
        actual,
        |e, a| {
            e.reason == a.reason.to_string()
                && e.object.as_ref().is_none_or(|o| *o == a.object)
                && e.rule.as_deref().is_none_or(|r| r == &*a.rule)
                && e.message.as_deref().is_none_or(|m| m == a.message)
        },
        |e| {
            usize::from(e.object.is_some())
                + usize::from(e.rule.is_some())
                + usize::from(e.message.is_some())
        },
    );
    let was = |a: &Finding| format!("{} {} by {}: {}", a.reason, a.object, a.rule, a.message);
    lines(
        "findings differ",
        missing
            .into_iter()
            .map(|i| {
                let e = &expected[i];
                let mut text = e.reason.clone();
                if let Some(object) = &e.object {
                    text.push_str(&format!(" {object}"));
                }
                if let Some(rule) = &e.rule {
                    text.push_str(&format!(" by {rule}"));
                }
                if let Some(message) = &e.message {
                    text.push_str(&format!(": {message}"));
                }
                text
            })
            .collect(),
        surplus.into_iter().map(|i| was(&actual[i])).collect(),
        same.into_iter().map(|i| was(&actual[i])).collect(),
    )
}

/// The series at the end of a step.
pub fn metrics(expected: &[ExpectedSeries], actual: &[ExpectedSeries]) -> Option<String> {
    let (same, missing, surplus) = pair(expected, actual, |e, a| e == a, |_| 0);
    let was = |series: &ExpectedSeries| {
        let labels = series.labels.iter();
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        format!("{}{{{}}} {}", series.name, labels.join(","), series.value)
    };
    lines(
        "metrics differ",
        missing.into_iter().map(|i| was(&expected[i])).collect(),
        surplus.into_iter().map(|i| was(&actual[i])).collect(),
        same.into_iter().map(|i| was(&actual[i])).collect(),
    )
}

/// A whole object. What a server fills in is compared only where the expectation says it.
pub fn object(key: &ObjectKey, expected: &Value, actual: Option<&Value>) -> Option<String> {
    let Some(actual) = actual else {
        return Some(format!("{key} does not exist"));
    };
    let mut expected = expected.clone();
    if let (Some(namespace), Some(meta)) = (
        &key.namespace,
        expected.get_mut("metadata").and_then(Value::as_object_mut),
    ) {
        meta.entry("namespace")
            .or_insert_with(|| Value::from(&**namespace));
    }
    let mut actual = without_generated(actual, Some(&expected));
    drop_unsaid_bookkeeping(&mut actual, &expected);
    if key.kind == GroupKind::new("", "Namespace") {
        drop_unsaid_name_label(&mut actual, &expected);
    }
    let text = difference::text(&key.kind, Some(&expected), Some(&actual));
    (expected != actual && !text.is_empty())
        .then(|| format!("{key} differs (- expected, + actual)\n{}", text.trim_end()))
}

/// What Ordain remembers on objects, and the times of a deletion.
fn drop_unsaid_bookkeeping(actual: &mut Value, expected: &Value) {
    let said = &expected["metadata"];
    let Some(meta) = actual.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        if said.get(field).is_none() {
            meta.shift_remove(field);
        }
    }
    let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) else {
        return;
    };
    annotations.retain(|name, _| {
        state_annotation::rule_of(name).is_none() || said["annotations"].get(name).is_some()
    });
    if annotations.is_empty() && said.get("annotations").is_none() {
        meta.shift_remove("annotations");
    }
}

fn drop_unsaid_name_label(actual: &mut Value, expected: &Value) {
    const LABEL: &str = "kubernetes.io/metadata.name";
    if expected["metadata"]["labels"].get(LABEL).is_some() {
        return;
    }
    let Some(meta) = actual.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(labels) = meta.get_mut("labels").and_then(Value::as_object_mut) {
        labels.shift_remove(LABEL);
        if labels.is_empty() && expected["metadata"].get("labels").is_none() {
            meta.shift_remove("labels");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Reason;
    use crate::rule::{Mode, Verb};
    use serde_json::json;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("shop"), name)
    }

    fn change(rule: &str, verb: Verb, name: &str) -> RuleChange {
        RuleChange {
            rule: rule.into(),
            mode: Mode::Enforce,
            verb,
            object: key(name),
            before: None,
            after: None,
            why: vec![],
        }
    }

    fn wanted(rule: Option<&str>, name: &str) -> ExpectedChange {
        ExpectedChange {
            verb: "patch".into(),
            object: key(name),
            rule: rule.map(Into::into),
        }
    }

    #[test]
    fn changes_are_compared_in_any_order_and_as_often_as_they_came() {
        let actual = [
            change("r", Verb::Patch, "a"),
            change("s", Verb::Patch, "a"),
            change("r", Verb::Warn, "a"),
        ];
        assert_eq!(
            changes(&[wanted(None, "a"), wanted(Some("r"), "a")], &actual),
            None
        );
        assert_eq!(
            changes(&[wanted(Some("t"), "a"), wanted(Some("s"), "a")], &actual).as_deref(),
            Some(
                "changes differ (- expected, + actual)\n  patch ConfigMap/shop/a by s\n- patch ConfigMap/shop/a by t\n+ patch ConfigMap/shop/a by r"
            )
        );
        assert_eq!(
            changes(&[wanted(None, "a")], &actual).as_deref(),
            Some(
                "changes differ (- expected, + actual)\n  patch ConfigMap/shop/a by r\n+ patch ConfigMap/shop/a by s"
            )
        );
        assert_eq!(changes(&[], &actual[2..]), None);
    }

    #[test]
    fn findings_are_compared_by_what_is_said() {
        let actual = [Finding {
            rule: "r".into(),
            object: key("a"),
            reason: Reason::Warning,
            message: "no team".into(),
        }];
        let mut wanted = ExpectedFinding {
            reason: "Warning".into(),
            object: None,
            rule: None,
            message: None,
        };
        assert_eq!(findings(&[wanted.clone()], &actual), None);
        wanted.message = Some("no name".into());
        assert_eq!(
            findings(&[wanted], &actual).as_deref(),
            Some(
                "findings differ (- expected, + actual)\n- Warning: no name\n+ Warning ConfigMap/shop/a by r: no team"
            )
        );
    }

    #[test]
    fn objects_are_compared_whole_but_for_what_a_server_fills_in() {
        let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}});
        let mut actual = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7"},
                                "data": {"x": "1"}});
        assert_eq!(object(&key("a"), &expected, Some(&actual)), None);
        actual["data"]["y"] = json!("2");
        actual["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        actual["metadata"]["annotations"] = json!({"state.ordain.dev/r": "{}"});
        actual["data"] = json!({"x": "1"});
        assert_eq!(object(&key("a"), &expected, Some(&actual)), None);
        actual["metadata"]["annotations"]["other"] = json!("1");
        assert!(object(&key("a"), &expected, Some(&actual)).is_some());
        actual["metadata"]["annotations"] = json!({});
        actual["data"]["y"] = json!("2");
        let text = object(&key("a"), &expected, Some(&actual)).unwrap_or_default();
        assert!(
            text.starts_with("ConfigMap/shop/a differs") && text.contains("+  \"y\": \"2\""),
            "{text}"
        );
        assert_eq!(
            object(&key("a"), &expected, None).as_deref(),
            Some("ConfigMap/shop/a does not exist")
        );
    }
}
