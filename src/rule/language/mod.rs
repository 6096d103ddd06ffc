//! The language as data: for editors, and for the pages that are made from it.
//!
//! `schema.yaml` says every field with its type, default and meaning. The compiler does not read it: it words its own messages. That the two
//! agree, field by field, is tested on everything that the compiler accepts.

use crate::rule::yaml;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static DESCRIBED: LazyLock<Value> = LazyLock::new(|| {
    let (trees, _) = yaml::read(include_str!("schema.yaml"));
    trees.first().map(yaml::Tree::to_value).unwrap_or_default()
});

/// The language as it is written down: a JSON Schema, but `description` and `default` may stand beside `$ref`, `x-default` says a default
/// in words, and `x-words` what each word of an `enum` means.
pub fn described() -> &'static Value {
    &DESCRIBED
}

/// A JSON Schema (draft 7) of the documents `Rule`, `RuleTest`, `Sink` and `Parameters`.
pub fn schema() -> Value {
    standard(&DESCRIBED)
}

/// Without what is for our own pages. Beside `$ref` the standard knows nothing: it goes into an `allOf`.
fn standard(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(standard).collect(),
        Value::Object(map) => {
            let mut out: Map<String, Value> = map
                .iter()
                .filter(|(key, _)| !key.starts_with("x-"))
                .map(|(key, value)| (key.clone(), standard(value)))
                .collect();
            if out.len() > 1
                && let Some(reference) = out.remove("$ref")
            {
                out.insert("allOf".into(), json!([{ "$ref": reference }]));
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}
