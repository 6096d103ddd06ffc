//! `match`: kinds, names, namespaces, label selectors.

use super::ResolvedKind;
use crate::object::{Meta, Node};

/// A glob: `*` any run of characters, `?` one; a leading `!` excludes.
#[derive(Clone, Debug)]
pub struct Globs {/* private fields */}

impl Globs {
    pub fn new(_patterns: Vec<String>) -> Globs {
        todo!()
    }
    /// No pattern: all. Matches when some positive pattern (if there is one) matches and no excluding one does.
    pub fn matches(&self, _text: &str) -> bool {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}

/// A Kubernetes label selector, compiled.
#[derive(Clone, Debug, Default)]
pub struct LabelSelector {/* private fields */}

impl LabelSelector {
    /// Over the `labels` map of an object; absent labels are an empty map.
    pub fn matches(&self, _labels: Option<Node<'_>>) -> bool {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// As the API server's `labelSelector` parameter.
    pub fn to_query(&self) -> String {
        todo!()
    }
}

/// `deleting`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleting {
    #[default]
    Exclude,
    Only,
}

/// A compiled `match`.
#[derive(Clone, Debug)]
pub struct Match {
    /// The kinds that the schema knew, and those named outright that it did not.
    pub kinds: Vec<ResolvedKind>,
    /// `kind: Workload` was among them: then only objects without a controller owner match, of the kinds it stands for.
    pub workload: bool,
    pub names: Globs,
    pub namespaces: Globs,
    pub selector: LabelSelector,
    pub namespace_selector: Option<LabelSelector>,
    pub deleting: Deleting,
}

/// Whether an object is in a rule's scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InScope {
    Yes,
    No,
    /// `namespaceSelector` and the Namespace is not known.
    Unknown,
}

impl Match {
    /// Kind is not looked at (the rule set's index did that). `namespace_labels` is asked only when needed; `None` from it: not known.
    pub fn covers(&self, _meta: Meta<'_>, _namespace: super::expr::NamespaceObject<'_>) -> InScope {
        todo!()
    }
}
