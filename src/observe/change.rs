//! A change as people read it: what, where, why, and how it ended.

use crate::decide::RuleChange;
use crate::engine::Fault;
use crate::object::difference::{Field, fields, is_secret};
use crate::rule::Verb;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;

/// Changes that are remembered.
pub const MOST: usize = 200;

/// One change that was asked of the server.
#[derive(Clone, Debug)]
pub struct Told {
    /// When it was answered.
    pub at: Timestamp,
    /// Name of the rule.
    pub rule: String,
    /// `KIND/NAMESPACE/NAME`.
    pub object: String,
    /// What was done.
    pub verb: &'static str,
    /// `Ok`, or why not.
    pub outcome: &'static str,
    /// The server's words where it was not done.
    pub error: Option<String>,
    /// Milliseconds until the answer.
    pub millis: f64,
    /// With old and new values.
    pub fields: Vec<Field>,
    /// Fields beyond those that are told.
    pub more: usize,
    /// The tests that held.
    pub why: Vec<String>,
}

impl Told {
    /// Reads it from what the engine reports.
    pub fn new(
        change: &RuleChange,
        outcome: &Result<(), Fault>,
        took: Duration,
        at: Timestamp,
    ) -> Told {
        let kind = &change.object.kind;
        // What a rule says of a Secret may quote it.
        let (fields, more) = match change.verb {
            Verb::Event if is_secret(kind) => (vec![], 0),
            _ => fields(kind, change.before.as_ref(), change.after.as_ref()),
        };
        Told {
            at,
            rule: change.rule.to_string(),
            object: change.object.to_string(),
            verb: change.verb.as_str(),
            outcome: outcome.as_ref().map_or_else(Fault::as_str, |()| "Ok"),
            error: outcome.as_ref().err().map(|f| f.message().to_owned()),
            millis: millis(took),
            fields,
            more,
            why: change.why.clone(),
        }
    }

    /// All fields in one line.
    pub fn fields_text(&self) -> String {
        let mut text: Vec<String> = self.fields.iter().map(Field::to_string).collect();
        if self.more > 0 {
            text.push(format!("… {} more", self.more));
        }
        text.join("; ")
    }

    /// All tests in one line.
    pub fn why_text(&self) -> String {
        match self.why.as_slice() {
            [] => "every object that it matches".to_owned(),
            tests => tests.join("; "),
        }
    }

    fn json(&self) -> Value {
        let fields: Vec<Value> = self
            .fields
            .iter()
            .map(|f| json!({"path": f.path, "before": f.before, "after": f.after}))
            .collect();
        json!({
            "at": self.at.to_string(), "rule": self.rule, "object": self.object, "verb": self.verb, "outcome": self.outcome,
            "error": self.error, "millis": self.millis, "fields": fields, "moreFields": self.more, "why": self.why,
        })
    }
}

/// Tenths of a millisecond are enough.
pub fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 10_000.0).round() / 10.0
}

/// The last changes, newest first.
#[derive(Default)]
pub struct Latest(VecDeque<Told>);

impl Latest {
    /// Remembers one.
    pub fn add(&mut self, told: Told) {
        self.0.truncate(MOST - 1);
        self.0.push_front(told);
    }

    /// As `/status` shows them.
    pub fn json(&self) -> Vec<Value> {
        self.0.iter().map(Told::json).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{GroupKind, ObjectKey, Record};
    use crate::rule::Mode;

    #[test]
    fn only_the_last_ones_are_kept_and_a_refusal_has_its_words() {
        let change = RuleChange {
            rule: "r".into(),
            mode: Mode::Enforce,
            verb: Verb::Patch,
            object: ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("n"), "a"),
            before: Some(Record::from_value(&json!({"data": {"k": "1"}}))),
            after: Some(Record::from_value(&json!({"data": {"k": "2"}}))),
            why: vec!["$.data.k Equals 1 (is \"1\")".into()],
        };
        let refused = Err(Fault::Refused("no".into()));
        let mut latest = Latest::default();
        for n in 0..MOST + 50 {
            let took = Duration::from_millis(n as u64);
            latest.add(Told::new(&change, &refused, took, Timestamp::UNIX_EPOCH));
        }
        let shown = latest.json();
        assert_eq!(shown.len(), MOST);
        assert_eq!(
            shown[0],
            json!({
                "at": "1970-01-01T00:00:00Z", "rule": "r", "object": "ConfigMap/n/a", "verb": "patch", "outcome": "Refused", "error": "no",
                "millis": 249.0, "fields": [{"path": "$.data.k", "before": "\"1\"", "after": "\"2\""}], "moreFields": 0,
                "why": ["$.data.k Equals 1 (is \"1\")"],
            })
        );
    }
}
