//! What people get wrong in YAML, and how to mend it.

use super::build::Builder;
use super::{DEEPEST, YamlProblem};
use granit_parser::{ErrorKind, Span};

impl Builder<'_> {
    /// A plain `${` that does not end with its `}` was cut short by YAML: at `: `, ` #`, or a brace or comma inside `{ }`.
    pub fn eaten(&self, value: &str, span: &Span) -> Result<(), YamlProblem> {
        if value.contains("${") && !value.contains('}') {
            let line = self.text.lines().nth(span.start.line().saturating_sub(1));
            return Err(self
                .problem(span, "YAML ends this value before its `}`")
                .mend(quote_it(line.unwrap_or(value))));
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
                if let Some(path) = path_in_braces(shown) =>
            {
                let quoted = match path.contains('"') {
                    true => format!("'{path}'"),
                    false => format!("\"{path}\""),
                };
                at("inside `{ }` YAML takes the `[` of this path for a list".into())
                    .mend(format!("quote this path: `{quoted}`"))
            }
            _ if shown.contains("${") => at(format!(
                "YAML takes part of this `${{ }}` for its own syntax: {}",
                error.info()
            ))
            .mend(quote_it(shown)),
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

/// How to quote the `${ }` of a line, so that the quotes in it do not end it.
fn quote_it(line: &str) -> String {
    let from = line.find("${").unwrap_or_default();
    let has = |c: char| line[from..].contains(c);
    let quoted = match (has('\''), has('"') || has('\\')) {
        (false, _) => "`'${ … }'`",
        (true, false) => "`\"${ … }\"`",
        (true, true) => "`'${ … }'`, with each `'` in it written twice",
    };
    format!("quote this value: {quoted}, or write it as a block after `>-`")
}

/// The first unquoted path with brackets in a line.
fn path_in_braces(line: &str) -> Option<&str> {
    line.match_indices(": $").find_map(|(at, _)| {
        let rest = &line[at + 2..];
        let mut open = 0_usize;
        let end = rest.find(|c: char| {
            match c {
                '[' | '(' => open += 1,
                ']' | ')' => open = open.saturating_sub(1),
                _ => {}
            }
            open == 0 && (c == ',' || c == '}' || c.is_whitespace())
        });
        let path = &rest[..end.unwrap_or(rest.len())];
        (path.contains('[') && !path.starts_with("${")).then_some(path)
    })
}
