//! What is wrong with a rule file, where, and the mend.

use std::fmt;
use std::sync::Arc;

/// Whether a problem keeps its rule from loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Error,
}

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
    /// Characters to mark, at least 1, never past the end of the line.
    pub length: usize,
}

/// One problem.
#[derive(Clone, Debug)]
pub struct Problem {
    pub severity: Severity,
    pub place: Place,
    /// The whole line the place is on, without its line break; long lines are cut around the place.
    pub line_text: String,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to write instead: `did you mean `replicas`?`.
    pub mend: Option<String>,
    /// The rule it belongs to, where known.
    pub rule: Option<Arc<str>>,
}

impl fmt::Display for Problem {
    /// `file:line:column: error: message`, the line, a marker below the place, `help: mend`.
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
