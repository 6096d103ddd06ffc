//! What changed, field by field, in one line each: for the log and `/status`.

use super::sensitive::{hide, is_secret};
use crate::object::GroupKind;
use serde_json::{Map, Value};
use std::fmt;

/// Most fields of one change that are told.
pub const MOST: usize = 20;
/// Longest value that is told whole, in characters of its JSON.
const LONGEST: usize = 160;

/// One field with its old and new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// In the path notation of rules: `$.metadata.labels['a/b']`.
    pub path: String,
    /// As JSON, cut where it is long; `None`: it was absent.
    pub before: Option<String>,
    /// As JSON, cut where it is long; `None`: it is absent.
    pub after: Option<String>,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".into());
        let (before, after) = (shown(&self.before), shown(&self.after));
        write!(f, "{}: {before} -> {after}", self.path)
    }
}

/// The fields in which two states differ, at most [`MOST`], and how many more there are. What a Secret holds is hidden as in
/// [`text`](super::text). None of a deletion.
pub fn fields(kind: &GroupKind, before: &Value, after: Option<&Value>) -> (Vec<Field>, usize) {
    let Some(after) = after else {
        return (vec![], 0);
    };
    let mut found = Found::default();
    if is_secret(kind) {
        let (mut old, mut new) = (before.clone(), after.clone());
        hide(&mut old, None);
        hide(&mut new, Some(before));
        found.compare("$", Some(&old), Some(&new));
    } else {
        found.compare("$", Some(before), Some(after));
    }
    (found.fields, found.more)
}

#[derive(Default)]
struct Found {
    fields: Vec<Field>,
    more: usize,
}

impl Found {
    fn compare(&mut self, path: &str, before: Option<&Value>, after: Option<&Value>) {
        let absent = |value: Option<&Value>| value.is_none_or(Value::is_null);
        if before == after || (absent(before) && absent(after)) {
            return;
        }
        match (before, after) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => self.members(path, old, new),
            (Some(Value::Array(old)), Some(Value::Array(new))) => self.elements(path, old, new),
            _ => {
                if self.fields.len() == MOST {
                    self.more += 1;
                    return;
                }
                let shown = |value: Option<&Value>| value.filter(|v| !v.is_null()).map(short);
                self.fields.push(Field {
                    path: path.to_owned(),
                    before: shown(before),
                    after: shown(after),
                });
            }
        }
    }

    fn members(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let added = new.keys().filter(|name| !old.contains_key(*name));
        for name in old.keys().chain(added) {
            let (before, after) = (old.get(name), new.get(name));
            // Most members are the same: their paths are not written.
            if before != after {
                let member = format!("{path}{}", Member(name));
                self.compare(&member, before, after);
            }
        }
    }

    /// Elements that have a name are the same by name, others by place.
    fn elements(&mut self, path: &str, old: &[Value], new: &[Value]) {
        if let (Some(old), Some(new)) = (by_name(old), by_name(new)) {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                let element = format!("{path}[?@.name == '{name}']");
                self.compare(&element, old.get(name), new.get(name));
            }
            return;
        }
        for at in 0..old.len().max(new.len()) {
            let (before, after) = (old.get(at), new.get(at));
            if before != after {
                self.compare(&format!("{path}[{at}]"), before, after);
            }
        }
    }
}

/// `None` where not every element has a name of its own.
fn by_name(list: &[Value]) -> Option<Map<String, Value>> {
    let mut named = Map::new();
    for element in list {
        let name = element.get("name")?.as_str()?;
        if named.insert(name.to_owned(), element.clone()).is_some() {
            return None;
        }
    }
    Some(named)
}

struct Member<'a>(&'a str);

impl fmt::Display for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.0.starts_with(|c: char| c.is_ascii_digit())
            && !self.0.is_empty()
            && self
                .0
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_');
        match plain {
            true => write!(f, ".{}", self.0),
            false => write!(f, "['{}']", self.0.replace('\'', "\\'")),
        }
    }
}

/// One line of JSON, cut where it is long.
pub fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(kind: &str, before: &Value, after: &Value) -> Vec<String> {
        let (fields, _) = fields(&GroupKind::new("", kind), before, Some(after));
        fields.iter().map(Field::to_string).collect()
    }

    #[test]
    fn each_field_has_its_path_and_both_values() {
        let before = json!({"metadata": {"labels": {"a/b": "1"}}, "spec": {"containers": [{"name": "x", "image": "i:1"}], "args": ["a", "b"]}});
        let after = json!({"metadata": {"labels": {"a/b": "2", "new": true}}, "spec": {"containers": [{"name": "x", "image": "i:2"}, {"name": "y"}], "args": ["a"]}});
        assert_eq!(
            lines("Pod", &before, &after),
            [
                "$.metadata.labels['a/b']: \"1\" -> \"2\"",
                "$.metadata.labels.new: absent -> true",
                "$.spec.containers[?@.name == 'x'].image: \"i:1\" -> \"i:2\"",
                "$.spec.containers[?@.name == 'y']: absent -> {\"name\":\"y\"}",
                "$.spec.args[1]: \"b\" -> absent",
            ]
        );
        assert_eq!(
            lines("Pod", &Value::Null, &json!({"a": "x".repeat(400)}))[0]
                .chars()
                .count(),
            "$: absent -> ".len() + LONGEST + 1
        );
        assert_eq!(fields(&GroupKind::new("", "Pod"), &before, None).0, []);
    }

    #[test]
    fn many_fields_are_counted_and_not_told() {
        let many: Map<String, Value> = (0..100).map(|n| (format!("k{n}"), json!(n))).collect();
        let (told, more) = fields(
            &GroupKind::new("", "ConfigMap"),
            &json!({"data": {}}),
            Some(&json!({"data": many})),
        );
        assert_eq!((told.len(), more), (MOST, 80));
    }

    #[test]
    fn what_a_secret_holds_is_not_told() {
        let object = |value: &str| {
            json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": value}, "labels": {"a": value.len()}},
            "data": {"password": value}, "stringData": {"token": value}})
        };
        let told = lines("Secret", &object("canary1"), &object("canary2x")).join("\n");
        assert!(
            !told.contains("canary") && told.contains("$.data.password: \"(sensitive,"),
            "{told}"
        );
        let created = lines("Secret", &Value::Null, &object("canary")).join("\n");
        assert!(!created.contains("canary"), "{created}");
        assert!(
            lines("ConfigMap", &object("a"), &object("b"))
                .join("")
                .contains("\"b\"")
        );
    }
}
