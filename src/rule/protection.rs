//! What protects a kind as such, whatever its objects are called and wherever they are.

use super::Verb;

/// Ordain's own objects outside its namespace (roles, bindings) carry this label with this value.
pub const OWN_LABEL: (&str, &str) = ("app.kubernetes.io/name", "ordain");

/// Kinds that decide what the API server takes: a mistake in them reaches everything.
const GUARDED: [(&str, &str); 4] = [
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    (
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
    ),
];

/// Kinds whose deletion takes more than themselves with it, and what.
const NOT_DELETED: [(&str, &str, &str); 2] = [
    (
        "",
        "Namespace",
        "deleting a Namespace deletes everything in it",
    ),
    ("", "Node", "deleting a Node takes its Pods with it"),
];

/// Why no rule does this to an object of the kind unless its `allowProtected` has the verb. Reading and warning are always free.
pub fn of_kind(group: &str, kind: &str, verb: Verb) -> Option<&'static str> {
    if verb.is_free() {
        return None;
    }
    if GUARDED.contains(&(group, kind)) {
        return Some("its kind decides what the API server takes");
    }
    NOT_DELETED
        .iter()
        .find(|(g, k, _)| verb == Verb::Delete && (*g, *k) == (group, kind))
        .map(|(_, _, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_protected_by_verb() {
        let crd = ("apiextensions.k8s.io", "CustomResourceDefinition");
        assert!(of_kind(crd.0, crd.1, Verb::Patch).is_some());
        assert!(of_kind(crd.0, crd.1, Verb::Warn).is_none());
        assert!(of_kind("", "Node", Verb::Delete).is_some());
        assert!(of_kind("", "Node", Verb::Patch).is_none());
        assert!(of_kind("other.example", "Node", Verb::Delete).is_none());
    }
}
