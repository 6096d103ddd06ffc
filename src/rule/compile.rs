//! Trees to rules. Collects every problem of every file; one bad rule does not sink the rest.

use super::Rule;
use super::problem::Problem;
use crate::schema::Schema;
use std::sync::Arc;

/// A rule file as read.
pub struct SourceFile {
    /// The path shown to people.
    pub name: Arc<str>,
    pub bytes: Vec<u8>,
}

/// What came of compiling.
pub struct Compiled {
    /// The rules without errors.
    pub rules: Vec<Arc<Rule>>,
    /// Names of rules that have errors, with their file: the daemon keeps their last good version.
    pub broken: Vec<(Arc<str>, Arc<str>)>,
    /// Files that could not be read as YAML at all: the daemon keeps every rule that came from them.
    pub unreadable: Vec<Arc<str>>,
    /// Sorted by file, line and column.
    pub problems: Vec<Problem>,
    /// `RuleTest` documents lying among the files, with their file.
    pub tests: Vec<(Arc<str>, super::yaml::Tree)>,
}

/// Compiles all files against a schema. Documents of other kinds (other YAML lying among the rules) are a warning, `RuleTest`s are handed back.
pub fn compile(_files: &[SourceFile], _schema: &Schema) -> Compiled {
    todo!()
}
