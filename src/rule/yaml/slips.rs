//! What people get wrong in YAML, and how to mend it.

use super::build::Builder;
use super::{DEEPEST, YamlProblem};
use granit_parser::{ErrorKind, Span};

impl Builder<'_> {
    /// A plain `${` that does not end with its `}` was cut short by YAML: at `: `, ` #`, or a brace or comma inside `{ }`.
    pub fn eaten(&self, value: &str, span: &Span) -> Result<(), YamlProblem> {
        if value.contains("${") && !value.contains('}') {
            return Err(self
                .problem(span, "YAML ends this value before its `}`")
                .mend("quote this value: `'${ … }'`, or write it as a block after `>-`"));
        }
        Ok(())
    }

    pub fn scan_problem(&self, error: &granit_parser::ScanError) -> YamlProblem {
        let (line, column) = (error.marker().line(), error.marker().col() + 1);
        let shown = self.text.lines().nth(line.saturating_sub(1)).unwrap_or("");
        let at = |message: String| YamlProblem::at(line + self.lines_before, column, 1, message);
        let indent = shown.len() - shown.trim_start_matches(' ').len();
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => at(format!("nested deeper than {DEEPEST} levels")),
            _ if shown[indent..].starts_with('\t') => YamlProblem::at(
                line + self.lines_before,
                indent + 1,
                1,
                "a tab cannot indent YAML",
            )
            .mend("indent with blanks"),
            ErrorKind::MissingAnchorOrAliasName
            | ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
                if path_in_braces(shown) =>
            {
                at("inside `{ }` YAML takes the `[` of this path for a list".into())
                    .mend("quote this path: `\"$containers[*]\"`")
            }
            _ if shown.contains("${") => at(format!(
                "YAML takes part of this `${{ }}` for its own syntax: {}",
                error.info()
            ))
            .mend("quote this value: `'${ … }'`, or write it as a block after `>-`"),
            ErrorKind::UnknownAnchor => at("there is no such anchor above this alias".into())
                .mend("quote the value if the `*` is part of it"),
            ErrorKind::InvalidColonPlacement
            | ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
            | ErrorKind::UnclosedFlowCollection { .. } => at(format!("not YAML: {}", error.info()))
                .mend("look for a `{` or `[` that is not closed"),
            ErrorKind::MappingValueNotAllowed => at(format!("not YAML: {}", error.info()))
                .mend("quote text with `: ` in it, and check the indentation"),
            _ => at(format!("not YAML: {}", error.info())),
        }
    }
}

/// Whether a line has an unquoted path with brackets.
fn path_in_braces(line: &str) -> bool {
    line.match_indices(": $").any(|(at, _)| {
        let end = |c: char| c == ',' || c == '}' || c.is_whitespace();
        let path = line[at + 2..].split(end).next().unwrap_or("");
        path.contains('[') && !path.starts_with("${")
    })
}
