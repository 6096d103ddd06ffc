//! `match`: kinds, names, namespaces, label selectors.
//!
//! `glob` names with `*` and `?` · `labels` Kubernetes label selectors · here the whole `match` · `parts` why it leaves an object out.

mod glob;
mod labels;
mod parts;

pub use glob::Globs;
pub use labels::{LabelOperator, LabelSelector, Requirement, SelectorPart, SelectorProblem};
pub use parts::Part;

use super::ResolvedKind;
use super::expr::NamespaceObject;
use crate::object::Meta;

/// `deleting`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleting {
    /// Objects that are being deleted do not match.
    #[default]
    Exclude,
    /// Only objects that are being deleted match.
    Only,
}

/// A compiled `match`.
#[derive(Clone, Debug)]
pub struct Match {
    /// The kinds that the schema knew, and those named outright that it did not.
    pub kinds: Vec<ResolvedKind>,
    /// `kind: Workload` was among them: then only objects without a controller owner match, of the kinds it stands for.
    pub workload: bool,
    /// `names`; of an object without a name they see `generateName`.
    pub names: Globs,
    /// `namespaces`; of a Namespace they see its own name, and they are not looked at for other cluster-scoped objects.
    pub namespaces: Globs,
    /// `selector`, over the object's labels.
    pub selector: LabelSelector,
    /// `namespaceSelector`, over the labels of the object's Namespace; of a Namespace over its own. Not looked at for other
    /// cluster-scoped objects, as in admission webhooks.
    pub namespace_selector: Option<LabelSelector>,
    /// `deleting`
    pub deleting: Deleting,
}

/// Whether an object is in a rule's scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InScope {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// `namespaceSelector` and the Namespace is not known.
    Unknown,
}

/// The kinds that `kind: Workload` stands for: group and kind.
pub const WORKLOADS: [(&str, &str); 6] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
];

/// Whether `kind: Workload` may stand for it.
fn is_workload(meta: Meta<'_>) -> bool {
    let (api_version, kind) = (meta.api_version(), meta.kind());
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    WORKLOADS.contains(&(group, kind))
}

impl Match {
    /// Kind is not looked at (the rule set's index did that). The Namespace is asked last: only an object that all else lets in can be
    /// [`InScope::Unknown`].
    pub fn covers(&self, meta: Meta<'_>, namespace: NamespaceObject<'_>) -> InScope {
        self.covers_one(meta, meta.is_deleting(), namespace)
    }

    /// As [`Match::covers`], where it is known whether the object is being deleted.
    pub fn covers_one(
        &self,
        meta: Meta<'_>,
        is_deleting: bool,
        namespace: NamespaceObject<'_>,
    ) -> InScope {
        if is_deleting != (self.deleting == Deleting::Only) {
            return InScope::No;
        }
        if !self.names.is_empty() {
            let name = match meta.name() {
                "" => meta.generate_name(),
                name => name,
            };
            if !self.names.matches(name) {
                return InScope::No;
            }
        }
        let is_namespace = || meta.kind() == "Namespace" && meta.api_version() == "v1";
        if !self.namespaces.is_empty() {
            let within = match meta.namespace() {
                Some(namespace) => self.namespaces.matches(namespace),
                None => !is_namespace() || self.namespaces.matches(meta.name()),
            };
            if !within {
                return InScope::No;
            }
        }
        if !self.selector.is_empty() && !self.selector.matches(meta.labels()) {
            return InScope::No;
        }
        if self.workload && is_workload(meta) && meta.controller().is_some() {
            return InScope::No;
        }
        let Some(selector) = self.namespace_selector.as_ref().filter(|s| !s.is_empty()) else {
            return InScope::Yes;
        };
        let matches = if is_namespace() {
            selector.matches(meta.labels())
        } else {
            match namespace {
                NamespaceObject::Known(namespace) => selector.matches(Meta::of(namespace).labels()),
                NamespaceObject::None => true,
                NamespaceObject::Unknown => return InScope::Unknown,
            }
        };
        if matches { InScope::Yes } else { InScope::No }
    }
}

#[cfg(test)]
mod tests;
