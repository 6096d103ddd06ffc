//! What of an object nobody may read in output: the data of Secrets.

use crate::object::GroupKind;
use base64::Engine as _;
use serde_json::{Map, Value};

/// kubectl keeps the whole applied manifest here, Secret data included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object with everything that may hold secret data replaced by `(sensitive, N bytes)`; other kinds unchanged.
pub fn redact(kind: &GroupKind, value: &Value) -> Value {
    let mut shown = value.clone();
    if is_secret(kind) {
        hide(&mut shown, None);
    }
    shown
}

/// Whether objects of a kind hold secret data.
pub fn is_secret(kind: &GroupKind) -> bool {
    kind.group.is_empty() && &*kind.kind == "Secret"
}

/// Whether what stands at a place of a Secret may be secret, so that it is never kept in an annotation.
pub fn is_secret_place(pointer: &str) -> bool {
    let below = |top: &str| {
        pointer
            .strip_prefix(top)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // kubectl keeps all of what it applied in an annotation.
    below("/data")
        || below("/stringData")
        || pointer == "/metadata"
        || pointer == "/metadata/annotations"
        || below("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration")
}

/// What Secrets hold, to be found again in what a rule says or writes elsewhere.
#[derive(Default)]
pub struct Held(Vec<String>);

/// A text so short stands in many a sentence by chance: it is hidden only where it is a word of its own.
const SHORT: usize = 4;

impl Held {
    /// What this Secret holds, as it stands there and decoded.
    pub fn add(&mut self, secret: &Value) {
        for name in ["data", "stringData"] {
            let values = secret.get(name).and_then(Value::as_object);
            for text in values
                .into_iter()
                .flat_map(Map::values)
                .filter_map(Value::as_str)
            {
                let decoded = base64::engine::general_purpose::STANDARD.decode(text);
                let decoded = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let both = [Some(text.to_owned()), decoded];
                self.0
                    .extend(both.into_iter().flatten().filter(|t| !t.is_empty()));
            }
        }
        // The longer first: one may be a part of another.
        self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
        self.0.dedup();
    }

    /// The text with each such value replaced by `(sensitive, N bytes)`.
    pub fn hide(&self, text: &str) -> String {
        let mut pieces = vec![Ok(text)];
        for held in &self.0 {
            let split = |piece| match piece {
                Ok(text) => apart(text, held),
                hidden => vec![hidden],
            };
            pieces = pieces.into_iter().flat_map(split).collect();
        }
        let told = |piece: Result<&str, usize>| match piece {
            Ok(text) => text.to_owned(),
            Err(bytes) => format!("(sensitive, {bytes} bytes)"),
        };
        pieces.into_iter().map(told).collect()
    }
}

/// The text around each occurrence of a value, and the length of the value in between.
fn apart<'t>(text: &'t str, held: &str) -> Vec<Result<&'t str, usize>> {
    let ends_word = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    let mut pieces = vec![];
    let mut from = 0;
    for (at, found) in text.match_indices(held) {
        let end = at + found.len();
        let word =
            ends_word(text[..at].chars().next_back()) && ends_word(text[end..].chars().next());
        if held.len() < SHORT && !word {
            continue;
        }
        pieces.extend([Ok(&text[from..at]), Err(found.len())]);
        from = end;
    }
    pieces.push(Ok(&text[from..]));
    pieces
}

/// Replaces secret values in `shown`. What differs from the same place in `before` says so: two values of one length must not look unchanged.
pub(super) fn hide(shown: &mut Value, before: Option<&Value>) {
    let Some(object) = shown.as_object_mut() else {
        return;
    };
    let former = |name: &str| before.and_then(|b| b.get(name));
    let mut held = Held::default();
    held.add(&Value::Object(object.clone()));
    if let Some(before) = before {
        held.add(before);
    }
    for name in ["data", "stringData"] {
        if let Some(values) = object.get_mut(name) {
            hide_values(values, former(name), name == "data");
        }
    }
    let annotations = object
        .get_mut("metadata")
        .and_then(|m| m.get_mut("annotations"));
    if let Some(value) = annotations.and_then(|a| a.get_mut(LAST_APPLIED)) {
        let old = former("metadata")
            .and_then(|m| m.get("annotations"))
            .and_then(|a| a.get(LAST_APPLIED));
        hide_value(value, old, before.is_some(), false);
    }
    // What a rule has copied from the data to where everybody reads.
    for name in ["annotations", "labels"] {
        let texts = object.get_mut("metadata").and_then(|m| m.get_mut(name));
        let texts = texts.and_then(Value::as_object_mut);
        for (key, value) in texts
            .into_iter()
            .flatten()
            .filter(|(k, _)| *k != LAST_APPLIED)
        {
            let hidden = value.as_str().map(|text| held.hide(text));
            if hidden.as_deref() == value.as_str() {
                continue;
            }
            let old = former("metadata").and_then(|m| m.get(name)?.get(key));
            hide_value(value, old, before.is_some(), false);
        }
    }
}

fn hide_values(values: &mut Value, former: Option<&Value>, encoded: bool) {
    match values {
        Value::Null => {}
        Value::Object(map) => {
            let former_map = former.and_then(Value::as_object);
            for (name, value) in map.iter_mut() {
                let old = former_map.and_then(|m: &Map<String, Value>| m.get(name));
                hide_value(value, old, former.is_some(), encoded);
            }
        }
        // Not what a Secret may look like; whatever it is, it is not shown.
        other => hide_value(other, former, former.is_some(), encoded),
    }
}

fn hide_value(value: &mut Value, old: Option<&Value>, compared: bool, encoded: bool) {
    let bytes = match &*value {
        Value::String(text) if encoded => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_or(text.len(), |decoded| decoded.len()),
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    };
    let changed = if compared && old.is_some_and(|old| old != value) {
        ", changed"
    } else {
        ""
    };
    *value = Value::String(format!("(sensitive, {bytes} bytes{changed})"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_secret_holds_is_found_in_words_and_in_its_metadata() {
        let secret = json!({
            "kind": "Secret",
            "metadata": {"annotations": {"copy": "it is hunter2", "other": "hunter"}},
            "data": {"password": "aHVudGVyMg==", "pin": "NDI=", "empty": ""},
        });
        let mut held = Held::default();
        held.add(&secret);
        for (text, hidden) in [
            (
                "weak: aHVudGVyMg== hunter2",
                "weak: (sensitive, 12 bytes) (sensitive, 7 bytes)",
            ),
            ("hunter2hunter2", "(sensitive, 7 bytes)(sensitive, 7 bytes)"),
            ("42 of 1420", "(sensitive, 2 bytes) of 1420"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(held.hide(text), hidden);
        }
        let shown = redact(&GroupKind::new("", "Secret"), &secret);
        assert_eq!(
            shown["metadata"]["annotations"],
            json!({"copy": "(sensitive, 13 bytes)", "other": "hunter"})
        );
    }

    #[test]
    fn places_of_secrets_are_known() {
        for (pointer, secret) in [
            ("/data", true),
            ("/data/password", true),
            ("/database", false),
            ("/stringData/a", true),
            ("/metadata/annotations", true),
            (
                "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
                true,
            ),
            ("/metadata/labels/a", false),
            ("/metadata/annotations/a", false),
        ] {
            assert_eq!(is_secret_place(pointer), secret, "{pointer}");
        }
    }
}
