//! Edits: the six ways to change a value at a path, on a working copy.

use super::expr::{ExprFault, Scope, Template};
use super::path::Path;
use super::test::Test;
use serde_json::Value;

/// One entry of `patch`.
pub struct Edit {
    pub path: Path,
    /// Tests on `item` (on a path of plain names: on the object).
    pub tests: Vec<Test>,
    pub change: EditChange,
    /// Per matched kind, what an upsert's key is, and which parents may be created. Filled by the compiler.
    /// 1-based line in the rule's file.
    pub line: usize,
}

/// What an edit does.
pub enum EditChange {
    Set(Template),
    Default(Template),
    Merge(Template),
    Upsert {
        elements: Template,
        key: Option<Vec<Box<str>>>,
        at: End,
    },
    Add {
        elements: Template,
        at: End,
    },
    Remove,
}

/// Where new elements go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    Start,
    #[default]
    End,
}

/// What came of one edit.
#[derive(Debug, Default)]
pub struct Applied {
    /// Whether the working copy differs now.
    pub changed: bool,
    /// The places written, as RFC 6901 pointers; an `upsert` adds its key as `…/containers/name=app`.
    pub written: Vec<String>,
    /// Findings: `WrongType` and `ImmutableField`, with a message.
    pub findings: Vec<(super::super::decide::Reason, String)>,
}

/// Whether this edit would change nothing, answered without building a tree: `None` when that takes a real try.
pub fn is_noop(_edit: &Edit, _scope: &Scope<'_>) -> Option<bool> {
    todo!()
}

/// Applies an edit to `copy`. `scope.object` is the record of the same state as `copy`. `schema` guides parents, list keys and fixed fields.
pub fn apply(
    _edit: &Edit,
    _scope: &Scope<'_>,
    _schema: Option<&crate::schema::KindSchema>,
    _copy: &mut Value,
) -> Result<Applied, ExprFault> {
    todo!()
}
