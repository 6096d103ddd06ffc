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
    /// The line the place is on, without its line break; of a long line the part around the place, with `…` where it was cut.
    pub line_text: String,
    /// Characters of `line_text` before the place.
    pub marker: usize,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to write instead: ``did you mean `replicas`?``
    pub mend: Option<String>,
    /// The rule it belongs to, where known.
    pub rule: Option<Arc<str>>,
}

impl Problem {
    /// A problem at a place of which the whole line is given.
    pub fn new(severity: Severity, place: Place, line: &str, message: impl Into<String>) -> Self {
        let (line_text, marker) = around(line, place.column.saturating_sub(1));
        Self {
            severity,
            place,
            line_text,
            marker,
            message: message.into(),
            mend: None,
            rule: None,
        }
    }
}

/// The part of a line around a character that is shown, and how many characters of it stand before that one.
fn around(line: &str, at: usize) -> (String, usize) {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let start = at.saturating_sub(WIDEST / 2);
    let mut rest = line.char_indices().skip(start);
    let Some((first, _)) = rest.next() else {
        return (String::new(), 0);
    };
    let mut part = String::new();
    let mut before = 0;
    if start > 0 {
        part.push('…');
        before = 1;
    }
    let mut characters = line[first..].chars();
    let taken = characters.by_ref().take(WIDEST).map(shown);
    part.extend(taken);
    before += at - start;
    if characters.next().is_some() {
        part.push('…');
    }
    let whole = part.chars().count();
    (part, before.min(whole))
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
        if self.line_text.is_empty() {
            if let Some(mend) = &self.mend {
                write!(f, "\n  = help: {mend}")?;
            }
            return Ok(());
        }
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let behind = self.line_text.chars().count().saturating_sub(self.marker);
        write!(
            f,
            "\n{gutter} |\n{number} | {}\n{gutter} | {}{}",
            self.line_text,
            " ".repeat(self.marker),
            "^".repeat((*length).clamp(1, behind.max(1)))
        )?;
        if let Some(mend) = &self.mend {
            write!(f, "\n{gutter} = help: {mend}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(line: &str, column: usize, length: usize) -> String {
        let place = Place {
            file: "rules/a.yaml".into(),
            line: 12,
            column,
            length,
        };
        let mut problem = Problem::new(Severity::Error, place, line, "there is no field `replica`");
        problem.mend = Some("did you mean `replicas`?".into());
        problem.to_string()
    }

    #[test]
    fn the_place_is_marked() {
        assert_eq!(
            printed("  path: $.spec.replica", 16, 7),
            "rules/a.yaml:12:16: error: there is no field `replica`\n   |\n12 |   path: $.spec.replica\n   |                ^^^^^^^\n   = help: did you mean `replicas`?"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let line = format!("{}HERE{}", "ä".repeat(100_000), "b".repeat(100_000));
        let text = printed(&line, 100_001, 4);
        let lines: Vec<&str> = text.lines().collect();
        assert!(text.len() < 1_000);
        assert_eq!(
            lines[2].chars().position(|c| c == 'H'),
            lines[3].chars().position(|c| c == '^')
        );
        assert_eq!(lines[3].matches('^').count(), 4);
    }

    #[test]
    fn a_place_past_the_end_is_marked_at_the_end() {
        assert!(printed("abc", 4, 1).contains("12 | abc\n   |    ^\n"));
        assert!(printed("abc", 400, 9).contains("error"));
        assert!(printed("", 1, 9).ends_with("  = help: did you mean `replicas`?"));
    }
}
