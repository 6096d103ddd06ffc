//! CEL inside `${ }`. The only user of the CEL crate.

use super::path::PodPrefix;
use crate::object::Node;
use jiff::Timestamp;
use serde_json::Value;

/// What a `${ }` can see. Everything is borrowed; nothing is converted until the expression touches it.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The subject as the rule's turn finds it, `metadata.namespace` filled.
    pub object: Node<'a>,
    pub pod: PodPrefix,
    /// Its Namespace (for a Namespace: itself).
    pub namespace_object: NamespaceObject<'a>,
    pub now: Timestamp,
    /// In an edit: what the last wildcard, filter, index or `..` of the path selected.
    pub item: Option<Node<'a>>,
    /// In an edit: the value at the edit's path.
    pub current: Option<Node<'a>>,
}

/// The Namespace of a subject.
#[derive(Clone, Copy)]
pub enum NamespaceObject<'a> {
    Known(Node<'a>),
    /// Not synced, forbidden, or not there.
    Unknown,
    /// A cluster-scoped subject that is no Namespace.
    None,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExprFault {
    /// Something it reads is not known yet: the object waits.
    Unknown(String),
    /// It read a field that is not there, without `?.` or `orValue`.
    Absent(String),
    /// Anything else: wrong type, division by zero, too large.
    Failed(String),
}

/// What is wrong with an expression, relative to its text.
#[derive(Clone, Debug)]
pub struct ExprProblem {
    /// Byte offset and length in the expression's text (without `${` and `}`).
    pub at: usize,
    pub length: usize,
    pub message: String,
    pub mend: Option<String>,
}

/// Names an expression may use at its place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names {
    pub item: bool,
    pub current: bool,
}

/// One compiled expression.
pub struct Expr {/* private fields */}

impl Expr {
    /// Compiles CEL. All problems: unknown names and functions (nearest offered), wrong argument counts, too long (16 KiB), too deep.
    pub fn compile(_text: &str, _names: Names) -> Result<Expr, Vec<ExprProblem>> {
        todo!()
    }
    pub fn text(&self) -> &str {
        todo!()
    }
    /// `None` is `optional.none()`.
    pub fn evaluate(&self, _scope: &Scope<'_>) -> Result<Option<Value>, ExprFault> {
        todo!()
    }
    pub fn reads_now(&self) -> bool {
        todo!()
    }
    pub fn reads_namespace_object(&self) -> bool {
        todo!()
    }
    pub fn reads_item(&self) -> bool {
        todo!()
    }
    pub fn reads_current(&self) -> bool {
        todo!()
    }
    /// Whether it reads of `object` only `metadata`, `apiVersion` and `kind`.
    pub fn is_metadata_only(&self) -> bool {
        todo!()
    }
}

/// A YAML value with `${ }` in values and keys, compiled. A literal is kept as a tree and never rendered.
pub struct Template {/* private fields */}

/// A problem of a template: which string of the tree it is in.
pub struct TemplateProblem {
    /// From the template's root: names and indexes; the last hop is the string, or the key if `in_key`.
    pub location: super::path::Location,
    pub in_key: bool,
    /// Relative to the string's text.
    pub problem: ExprProblem,
}

impl Template {
    /// Compiles every `${ }` in the tree; `$${` is a literal `${`.
    pub fn compile(_tree: &Value, _names: Names) -> Result<Template, Vec<TemplateProblem>> {
        todo!()
    }
    /// The value, if no `${ }` is in it.
    pub fn literal(&self) -> Option<&Value> {
        todo!()
    }
    /// A whole-value `${ }` keeps its type; inside a longer string it becomes text; a whole value that is `optional.none()` drops its key.
    /// `None`: the whole template is `optional.none()`.
    pub fn render(&self, _scope: &Scope<'_>) -> Result<Option<Value>, ExprFault> {
        todo!()
    }
    /// The expressions in it.
    pub fn expressions(&self) -> Vec<&Expr> {
        todo!()
    }
}
