//! The kinds that have rollouts, and where each keeps the revisions of its Pod template.

use super::ResolvedKind;
use crate::object::GroupKind;

/// Kinds whose Pods are replaced when their template changes: group and kind.
pub const KINDS: [(&str, &str); 3] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
];

/// Whether Pods of a kind are rolled out.
pub fn has_rollouts(kind: &GroupKind) -> bool {
    KINDS.contains(&(&*kind.group, &*kind.kind))
}

/// The kind of the objects that hold the revisions of a workload; `None`: it has none.
pub fn revisions_of(kind: &GroupKind) -> Option<ResolvedKind> {
    let revisions = match (&*kind.group, &*kind.kind) {
        ("apps", "Deployment") => "ReplicaSet",
        ("apps", "StatefulSet" | "DaemonSet") => "ControllerRevision",
        _ => return None,
    };
    Some(ResolvedKind {
        kind: GroupKind::new("apps", revisions),
        version: "v1".into(),
    })
}
