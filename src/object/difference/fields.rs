//! What changed, field by field, in one line each: for the log and `/status`.

use super::sensitive::{hide, is_secret};
use super::tree::Tree;
use crate::object::{GroupKind, Record};
use indexmap::IndexMap;
use serde_json::Value;
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

/// The fields in which two states differ, at most [`MOST`], and how many more there are; no state before: there was no object. What a Secret
/// holds is hidden as in [`text`](super::text). None of a deletion.
pub fn fields(
    kind: &GroupKind,
    before: Option<&Record>,
    after: Option<&Record>,
) -> (Vec<Field>, usize) {
    let Some(after) = after else {
        return (vec![], 0);
    };
    let mut found = Found::default();
    if is_secret(kind) {
        let former = before.map(Record::to_value);
        let (mut old, mut new) = (former.clone(), after.to_value());
        if let Some(old) = &mut old {
            hide(old, None);
        }
        hide(&mut new, former.as_ref());
        found.compare("$", old.as_ref(), Some(&new));
    } else {
        found.compare("$", before.map(Record::root), Some(after.root()));
    }
    (found.fields, found.more)
}

#[derive(Default)]
struct Found {
    fields: Vec<Field>,
    more: usize,
}

impl Found {
    fn compare<'a, T: Tree<'a>>(&mut self, path: &str, before: Option<T>, after: Option<T>) {
        let (before, after) = (
            before.filter(|v| !v.is_null()),
            after.filter(|v| !v.is_null()),
        );
        match (before, after) {
            (None, None) => return,
            (Some(old), Some(new)) if old.same(new) => return,
            (Some(old), Some(new)) if old.is_map() && new.is_map() => {
                for (name, before, after) in old.changed(new) {
                    self.compare(&format!("{path}{}", Member(name)), before, after);
                }
                return;
            }
            (Some(old), Some(new)) if old.is_list() && new.is_list() => {
                self.elements(path, &old.elements(), &new.elements());
                return;
            }
            _ => {}
        }
        if self.fields.len() == MOST {
            self.more += 1;
            return;
        }
        let shown = |value: Option<T>| value.map(|value| short(&value.value()));
        self.fields.push(Field {
            path: path.to_owned(),
            before: shown(before),
            after: shown(after),
        });
    }

    /// Elements that have a name are the same by name, others by place.
    fn elements<'a, T: Tree<'a>>(&mut self, path: &str, old: &[T], new: &[T]) {
        if let (Some(old), Some(new)) = (by_name(old), by_name(new)) {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                let element = format!("{path}[?@.name == '{name}']");
                self.compare(&element, old.get(name).copied(), new.get(name).copied());
            }
            return;
        }
        for at in 0..old.len().max(new.len()) {
            let element = format!("{path}[{at}]");
            self.compare(&element, old.get(at).copied(), new.get(at).copied());
        }
    }
}

/// In their order; `None` where not every element has a name of its own.
fn by_name<'a, T: Tree<'a>>(list: &[T]) -> Option<IndexMap<&'a str, T>> {
    let mut named = IndexMap::new();
    for element in list {
        let name = element.member("name")?.text()?;
        if named.insert(name, *element).is_some() {
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
        let before = (!before.is_null()).then(|| Record::from_value(before));
        let after = Record::from_value(after);
        let (fields, _) = fields(&GroupKind::new("", kind), before.as_ref(), Some(&after));
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
        let before = Record::from_value(&before);
        assert_eq!(
            fields(&GroupKind::new("", "Pod"), Some(&before), None).0,
            []
        );
    }

    #[test]
    fn many_fields_are_counted_and_not_told() {
        let many: serde_json::Map<String, Value> =
            (0..100).map(|n| (format!("k{n}"), json!(n))).collect();
        let (told, more) = fields(
            &GroupKind::new("", "ConfigMap"),
            Some(&Record::from_value(&json!({"data": {}}))),
            Some(&Record::from_value(&json!({"data": many}))),
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
