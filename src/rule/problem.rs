//! What is wrong with a rule file, where, and the mend.

use std::fmt;
use std::sync::Arc;

/// Widest part of a line that is shown, in characters.
const WIDEST: usize = 160;

/// Whether a problem keeps its rule from loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rule loads.
    Warning,
    /// The rule does not load.
    Error,
}

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As given on the command line.
    pub file: Arc<str>,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// Characters to mark, at least 1.
    pub length: usize,
}

/// One problem.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// The whole line the place is on, without its line break.
    pub line_text: String,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to write instead: ``did you mean `replicas`?``
    pub mend: Option<String>,
    /// The rule it belongs to, where known.
    pub rule: Option<Arc<str>>,
}

impl Problem {
    /// The part of the line that is shown, and how many characters of it stand before the place.
    fn shown(&self) -> (String, usize) {
        let characters: Vec<char> = self
            .line_text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let at = (self.place.column - 1).min(characters.len());
        if characters.len() <= WIDEST {
            return (characters.into_iter().collect(), at);
        }
        let start = at.saturating_sub(WIDEST / 2);
        let end = (start + WIDEST).min(characters.len());
        let mut shown = String::new();
        let mut before = at - start;
        if start > 0 {
            shown.push('…');
            before += 1;
        }
        shown.extend(&characters[start..end]);
        if end < characters.len() {
            shown.push('…');
        }
        (shown, before)
    }
}

impl fmt::Display for Problem {
    /// `file:line:column: error: message`, the line, a marker below the place, `= help: mend`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Place {
            file,
            line,
            column,
            length,
        } = &self.place;
        write!(f, "{file}:{line}:{column}: {severity}: {}", self.message)?;
        if !self.line_text.is_empty() {
            let (shown, before) = self.shown();
            let number = line.to_string();
            let gutter = " ".repeat(number.len());
            let marked = (*length).clamp(1, shown.chars().count().saturating_sub(before).max(1));
            write!(
                f,
                "\n{gutter} |\n{number} | {shown}\n{gutter} | {}{}",
                " ".repeat(before),
                "^".repeat(marked)
            )?;
            if let Some(mend) = &self.mend {
                write!(f, "\n{gutter} = help: {mend}")?;
            }
        } else if let Some(mend) = &self.mend {
            write!(f, "\n  = help: {mend}")?;
        }
        Ok(())
    }
}
