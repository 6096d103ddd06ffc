//! Hashes of rules: equal ones mean the same rule, or the same matches.

use super::parameters::Values;
use crate::rule::yaml::Tree;
use serde_json::Value;

/// Fields of `spec` that only say what is done about a match, by whom and how much of it.
const NOT_ABOUT_MATCHING: [&str; 8] = [
    "description",
    "mode",
    "enforceFor",
    "priority",
    "actions",
    "limits",
    "allowProtected",
    "admission",
];

/// FNV-1a over the canonical text of name, spec and values of parameters: comments, formatting and the order of keys do not count.
pub(super) fn of_rule(name: &str, spec: &Tree, values: &Values) -> u64 {
    let mut hash = Fnv::new();
    hash.bytes(name.as_bytes());
    hash.value(&spec.to_value());
    for (name, value) in values {
        hash.bytes(name.as_bytes());
        hash.value(value);
    }
    hash.0
}

/// As [`of_rule`], of what decides whether an object matches.
pub(super) fn of_match(spec: &Tree, values: &Values) -> u64 {
    let mut spec = spec.to_value();
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|name, _| !NOT_ABOUT_MATCHING.contains(&name.as_str()));
    }
    // Of the parameters those that it names; one that only tells how long to wait does not begin the waiting anew.
    let text = spec.to_string();
    let named = |name: &str| text.contains("params") && text.contains(name);
    let mut hash = Fnv::new();
    hash.value(&spec);
    for (name, value) in values.iter().filter(|(name, _)| named(name)) {
        hash.bytes(name.as_bytes());
        hash.value(value);
    }
    hash.0
}

struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // A separator that no UTF-8 text contains.
        self.0 = (self.0 ^ 0xff).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(items) => {
                self.bytes(b"[");
                items.iter().for_each(|item| self.value(item));
                self.bytes(b"]");
            }
            Value::Object(map) => {
                self.bytes(b"{");
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                for (key, value) in entries {
                    self.bytes(key.as_bytes());
                    self.value(value);
                }
                self.bytes(b"}");
            }
            Value::String(text) => {
                self.bytes(b"\"");
                self.bytes(text.as_bytes());
            }
            other => self.bytes(other.to_string().as_bytes()),
        }
    }
}
