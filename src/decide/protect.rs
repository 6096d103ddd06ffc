//! What no rule writes unless it says so: protection by verb. And what its owner has taken out of Ordain's hands: the ignore annotations.

use crate::object::{Key, Meta, ObjectKey, Record};
use crate::rule::path::{PodPrefix, Root};
use crate::rule::protection::OWN_LABEL;
use crate::rule::{Action, Rule, Verb, protection};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Namespaces of the cluster itself.
const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// Why the object is protected from this step of this rule; `None` if it is not, or the rule's `allowProtected` has the verb.
/// Reading and warning are always free.
pub fn protected(
    rule: &Rule,
    action: &Action,
    key: &ObjectKey,
    meta: Meta<'_>,
    state_namespace: &str,
) -> Option<&'static str> {
    let verb = action.verb();
    // What a step does to other objects is asked of those.
    let free = verb.is_free() || verb == Verb::Apply;
    if free || rule.allow_protected.contains(&verb) {
        return None;
    }
    let labels = only_labels(action);
    shield(verb, labels, key, Some(meta), state_namespace)
}

/// Why another object is protected from what a rule would do to it, whether it exists or not.
pub fn protected_target(
    (rule, verb): (&Rule, Verb),
    key: &ObjectKey,
    meta: Option<Meta<'_>>,
    state_namespace: &str,
) -> Option<&'static str> {
    if rule.allow_protected.contains(&verb) {
        return None;
    }
    shield(verb, false, key, meta, state_namespace)
}

/// Whether an object lies in a namespace of the cluster itself, or in Ordain's own.
pub fn is_reserved(key: &ObjectKey, state_namespace: &str) -> bool {
    key.namespace
        .as_deref()
        .is_some_and(|n| SYSTEM_NAMESPACES.contains(&n) || n == state_namespace)
}

/// Why an object is protected from what a rule would do to it that is gone, and whose `allowProtected` nobody knows any more.
pub fn protected_from(
    verb: Verb,
    key: &ObjectKey,
    meta: Meta<'_>,
    state_namespace: &str,
) -> Option<&'static str> {
    shield(verb, false, key, Some(meta), state_namespace)
}

/// `labels`: only labels and annotations are written.
fn shield(
    verb: Verb,
    labels: bool,
    key: &ObjectKey,
    meta: Option<Meta<'_>>,
    state_namespace: &str,
) -> Option<&'static str> {
    let (group, kind) = (&*key.kind.group, &*key.kind.kind);
    let of_kind = protection::of_kind(group, kind, verb);
    let is_namespace = group.is_empty() && kind == "Namespace";
    if is_namespace && SYSTEM_NAMESPACES.contains(&&*key.name) {
        return Some("the namespace belongs to the cluster itself");
    }
    if is_namespace {
        return match of_kind {
            Some(why) => Some(why),
            _ if *key.name == *state_namespace && !labels => Some("the namespace is Ordain's own"),
            _ => None,
        };
    }
    if let Some(namespace) = key.namespace.as_deref() {
        if SYSTEM_NAMESPACES.contains(&namespace) {
            return Some("its namespace belongs to the cluster itself");
        }
        if namespace == state_namespace {
            return Some("its namespace is Ordain's own");
        }
    }
    if of_kind.is_some() {
        return of_kind;
    }
    if key.namespace.is_none() && meta.is_some_and(|m| m.label(OWN_LABEL.0) == Some(OWN_LABEL.1)) {
        return Some("it is Ordain's own");
    }
    None
}

/// Whether every edit stays in labels and annotations.
fn only_labels(action: &Action) -> bool {
    let Action::Patch { edits, .. } = action else {
        return false;
    };
    edits.iter().all(|edit| {
        edit.path.root() == Root::Object
            && edit
                .path
                .plain_names(PodPrefix::None)
                .is_some_and(|names| {
                    matches!(names.as_slice(), [metadata, field, ..]
                        if metadata.as_str() == "metadata" && ["labels", "annotations"].contains(&field.as_str()))
                })
    })
}

/// The annotations, ready for look-ups: every pass asks for them.
static IGNORE: LazyLock<[Key; 3]> = LazyLock::new(|| {
    [
        Key::new("ordain.dev/ignore"),
        Key::new("ordain.dev/ignore-rules"),
        Key::new("ordain.dev/ignore-until"),
    ]
});

/// Whether two states of a Namespace are the same for every rule that looks at objects in it and does not read `namespaceObject`.
pub fn same_for_objects_in(one: Meta<'_>, other: Meta<'_>) -> bool {
    // An empty map says as much as none.
    let labels = |meta: Meta<'_>| {
        let all = meta.labels().into_iter().flat_map(|all| all.entries());
        let all = all.map(|(name, value)| (name.to_owned(), value.to_value()));
        all.collect::<BTreeMap<String, Value>>()
    };
    one.uid() == other.uid()
        && one.is_deleting() == other.is_deleting()
        && labels(one) == labels(other)
        && ignores_the_same(one, other)
}

/// Whether two states of an object have the same to say to those who would act on it, or on objects in it.
pub fn ignores_the_same(one: Meta<'_>, other: Meta<'_>) -> bool {
    let ignores = |meta: Meta<'_>| {
        let annotations = meta.annotations();
        let text = |key| Some(annotations?.get(key)?.to_value());
        IGNORE.each_ref().map(text)
    };
    ignores(one) == ignores(other)
}

/// `ordain.dev/ignore…` of one object and its Namespace.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ignored<'a> {
    /// No rule looks at the object.
    pub entirely: bool,
    /// The moment at which that ends by itself.
    pub until: Option<Timestamp>,
    /// An `ignore-until` that is no time; the object is ignored, which is what its owner meant.
    pub unreadable: bool,
    /// `ignore-rules`, as written.
    rules: [Option<&'a str>; 2],
}

impl<'a> Ignored<'a> {
    /// Reads the annotations. A Namespace that is not known has none.
    pub fn of(object: &'a Record, namespace: Option<&'a Record>, now: Timestamp) -> Self {
        let mut ignored = Ignored::default();
        let [all, rules, until] = &*IGNORE;
        for (slot, record) in [Some(object), namespace].into_iter().enumerate() {
            let Some(annotations) = record.and_then(|r| r.meta().annotations()) else {
                continue;
            };
            let text = |key| annotations.get(key).and_then(|n| n.as_str());
            ignored.entirely |= text(all) == Some("true");
            ignored.rules[slot] = text(rules);
            if let Some(until) = text(until) {
                match until.trim().parse::<Timestamp>() {
                    Ok(moment) if moment > now => {
                        ignored.entirely = true;
                        ignored.until = ignored.until.max(Some(moment));
                    }
                    Ok(_) => {}
                    Err(_) => {
                        ignored.entirely = true;
                        ignored.unreadable = true;
                    }
                }
            }
        }
        ignored
    }

    /// Whether this rule leaves the object alone.
    pub fn rule(&self, name: &str) -> bool {
        self.rules
            .iter()
            .flatten()
            .any(|names| names.split(',').any(|n| n.trim() == name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn record(annotations: serde_json::Value) -> Record {
        Record::from_value(&json!({"metadata": {"annotations": annotations}}))
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn reads_the_annotations_of_the_object_and_of_its_namespace() {
        let now = at("2026-01-01T00:00:00Z");
        let plain = record(json!({}));
        let all = record(json!({"ordain.dev/ignore": "true"}));
        let some = record(json!({"ordain.dev/ignore-rules": "a, b"}));
        let other = record(json!({"ordain.dev/ignore-rules": "c", "ordain.dev/ignore": "false"}));
        assert!(!Ignored::of(&plain, Some(&plain), now).entirely);
        assert!(Ignored::of(&all, None, now).entirely);
        assert!(Ignored::of(&plain, Some(&all), now).entirely);
        let both = Ignored::of(&some, Some(&other), now);
        assert!(!both.entirely);
        for (name, ignored) in [
            ("a", true),
            ("b", true),
            ("c", true),
            ("d", false),
            ("", false),
        ] {
            assert_eq!(both.rule(name), ignored, "{name}");
        }
    }

    #[test]
    fn ignores_until_the_later_moment_and_where_it_cannot_be_read() {
        let until = |text: &str| record(json!({ "ordain.dev/ignore-until": text }));
        let (early, late) = (
            until("2026-01-02T00:00:00Z"),
            until("2026-01-03T00:00:00+01:00"),
        );
        let ignored = Ignored::of(&early, Some(&late), at("2026-01-01T00:00:00Z"));
        assert_eq!(ignored.until, Some(at("2026-01-02T23:00:00Z")));
        assert!(ignored.entirely);
        let past = Ignored::of(&early, None, at("2026-01-02T00:00:00Z"));
        assert_eq!(past, Ignored::default());
        let unreadable = until("tomorrow");
        let broken = Ignored::of(&unreadable, None, at("2026-01-02T00:00:00Z"));
        assert!(broken.entirely && broken.unreadable);
    }
}
