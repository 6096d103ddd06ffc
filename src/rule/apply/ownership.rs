//! The annotation `state.ordain.dev/RULE` of an applied object: that the rule made it, and for which subjects.
//!
//! It names the object that carries it and is void on any other: controllers copy annotations.

use crate::object::{GroupKind, Meta, ObjectKey, STATE_DOMAINS};
use serde_json::{Map, Value, json};

/// Most subjects that are written down; an annotation may take 256 KiB in all.
const MOST_SUBJECTS: usize = 500;

/// As in rules.
const PASSING: &str = "WhileMatched";

/// What the annotation says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// For whom it was applied, with their uids; sorted.
    pub subjects: Vec<(ObjectKey, String)>,
    /// There are more than were written down.
    pub more: bool,
    /// [`super::fields::hash`] of the places that were applied.
    pub fields: u64,
    /// It goes when no subject wants it any more.
    pub passing: bool,
    /// The namespace of the daemon that lets it go; empty where that was not said.
    pub by: String,
    /// What it was applied for by steps that act `once`: written with what they applied, so that neither is there without the other.
    pub once: Map<String, Value>,
}

/// What the name of every rule's annotation begins with.
pub const DOMAIN: &str = STATE_DOMAINS[0];

/// What the annotation of an applied object begins with, and that of a subject does not.
pub const BEGINS: &str = "{\"object\":";

/// The name of a rule's annotation.
pub fn annotation(rule: &str) -> String {
    format!("{DOMAIN}{rule}")
}

fn name_of(key: &ObjectKey) -> Value {
    let mut name = json!({"kind": key.kind.to_string(), "name": *key.name});
    if let Some(namespace) = &key.namespace {
        name["namespace"] = json!(**namespace);
    }
    name
}

fn key_of(name: &Value) -> Option<ObjectKey> {
    let text = |field: &str| name.get(field).and_then(Value::as_str);
    let kind = text("kind")?;
    let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
    Some(ObjectKey::new(
        GroupKind::new(group, kind),
        text("namespace"),
        text("name")?,
    ))
}

impl Ownership {
    /// What an object says of a rule; `None` if it says nothing, or speaks of another object.
    pub fn read(meta: Meta<'_>, rule: &str, object: &ObjectKey) -> Option<Ownership> {
        let text = meta.annotation(&annotation(rule))?;
        let said: Value = serde_json::from_str(text).ok()?;
        if key_of(said.get("object")?)? != *object {
            return None;
        }
        let subjects = said.get("subjects").and_then(Value::as_array);
        let subject = |value: &Value| {
            let uid = value.get("uid").and_then(Value::as_str).unwrap_or("");
            Some((key_of(value)?, uid.to_owned()))
        };
        let fields = said.get("fields").and_then(Value::as_str).unwrap_or("");
        Some(Ownership {
            subjects: subjects.into_iter().flatten().filter_map(subject).collect(),
            more: said.get("more") == Some(&Value::Bool(true)),
            fields: u64::from_str_radix(fields, 16).unwrap_or_default(),
            passing: said.get("lifetime").and_then(Value::as_str) == Some(PASSING),
            by: said
                .get("by")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .into(),
            once: said
                .get("once")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        })
    }

    /// The annotation's text on an object.
    pub fn write(mut self, object: &ObjectKey) -> String {
        self.subjects.sort();
        self.subjects.dedup();
        self.more |= self.subjects.len() > MOST_SUBJECTS;
        self.subjects.truncate(MOST_SUBJECTS);
        let subjects = self.subjects.iter().map(|(key, uid)| {
            let mut name = name_of(key);
            name["uid"] = json!(uid);
            name
        });
        let mut said = json!({
            "object": name_of(object),
            "subjects": subjects.collect::<Vec<_>>(),
            "fields": format!("{:x}", self.fields),
        });
        if self.more {
            said["more"] = json!(true);
        }
        if self.passing {
            said["lifetime"] = json!(PASSING);
            said["by"] = json!(self.by);
        }
        if !self.once.is_empty() {
            said["once"] = Value::Object(self.once);
        }
        said.to_string()
    }

    /// Whether it is written down that the object was applied for this subject, as far as that is written down.
    pub fn names(&self, subject: &ObjectKey, uid: &str) -> bool {
        self.more
            || self
                .subjects
                .iter()
                .any(|(key, u)| key == subject && u == uid)
    }
}
