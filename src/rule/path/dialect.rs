//! What people write who know another dialect, and the parser's own errors told shortly: each at its place, with the mend.

use super::scan::Span;
use super::{Path, PathProblem};

/// kubectl's dialect, and a path that begins in the middle.
pub(super) fn foreign_dialect(text: &str) -> Result<(), PathProblem> {
    let whole = Span {
        at: 0,
        length: text.len(),
    };
    if text.trim().is_empty() {
        return Err(whole
            .problem("a path starts with `$`, `$pod` or `$containers`")
            .mended("write `$` for the whole object"));
    }
    if text.starts_with("${") {
        return Err(Span { at: 0, length: 2 }
            .problem("`${ }` is never part of a path")
            .mended("write `expression: ${…}` instead of `path`"));
    }
    if text.starts_with('$') {
        return Ok(());
    }
    if let Some(rest) = text.strip_prefix('@') {
        return Err(Span { at: 0, length: 1 }
            .problem("`@` stands only inside a filter")
            .mended(format!("did you mean `${rest}`?")));
    }
    let problem = whole.problem("a path starts with `$`, `$pod` or `$containers`");
    let bare = text
        .trim()
        .trim_start_matches('{')
        .trim_end_matches('}')
        .trim();
    let bare = bare.strip_prefix('$').unwrap_or(bare);
    // Kyverno's variables.
    let bare = bare.strip_prefix("request.object.").unwrap_or(bare);
    // A mend that would be refused in its turn helps nobody.
    let mend = standard(bare);
    Err(if Path::parse(&mend).is_ok() {
        problem.mended(format!("did you mean `{mend}`?"))
    } else {
        problem.mended("write `$.spec.replicas`, `$.metadata.labels['app.kubernetes.io/name']`")
    })
}

/// kubectl's way to write a path in the standard's: `.labels.app\.kubernetes\.io/name` is `$.labels['app.kubernetes.io/name']`.
fn standard(bare: &str) -> String {
    if !bare.contains("\\.") {
        return if bare.starts_with(['.', '[']) {
            format!("${bare}")
        } else {
            format!("$.{bare}")
        };
    }
    let mut out = String::from("$");
    for part in bare
        .replace("\\.", "\0")
        .split('.')
        .filter(|part| !part.is_empty())
    {
        let name = part.replace('\0', ".");
        if name == *part && !name.contains(['/', '-']) {
            out.push('.');
            out.push_str(&name);
        } else {
            out.push_str(&format!("['{name}']"));
        }
    }
    out
}

/// The parser's own error, placed and told shortly.
pub(super) fn syntax(text: &str, rest_at: usize, error: &str) -> PathProblem {
    // pest: ` --> 1:12` are line and column, from 1, in what was parsed, whose root is one character.
    let place = error.split("--> ").nth(1).and_then(|rest| {
        let (line, rest) = rest.split_once(':')?;
        let column = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some((line.parse::<usize>().ok()?, column.parse::<usize>().ok()?))
    });
    let Some((line, column)) = place else {
        let told = error.lines().next().unwrap_or("not a JSONPath");
        let whole = Span {
            at: 0,
            length: text.len(),
        };
        return whole.problem(told.trim_start_matches("Invalid json path: "));
    };
    let rest = &text[rest_at..];
    let line_at: usize = rest
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let before = column.saturating_sub(if line == 1 { 2 } else { 1 });
    let in_line = rest[line_at..].char_indices().nth(before);
    let at = in_line.map_or(text.len(), |(offset, _)| rest_at + line_at + offset);
    let Some(here) = text[at..].chars().next() else {
        let last = text.char_indices().last().map_or(0, |(at, _)| at);
        return Span {
            at: last,
            length: text.len() - last,
        }
        .problem("the path ends in the middle")
        .mended("close what is open, and finish the last step");
    };
    let trouble = Span {
        at,
        length: here.len_utf8(),
    }
    .problem("JSONPath does not continue like this");
    if text[..at].ends_with('.') || here == '-' || here == '/' {
        return trouble.mended("names with other characters than letters, digits and `_` are written in brackets and quotes: `['app.kubernetes.io/name']`");
    }
    if here == ']' && text[..at].ends_with('[') {
        return trouble.mended("write `[*]` for every element, `[0]` for the first");
    }
    if here == '\\' || text[..at].ends_with('\\') || has_odd_escape(&text[at..]) {
        return trouble
            .mended("inside the quotes of a path a backslash is written twice: `'\\\\.'`");
    }
    trouble
}

/// Whether a backslash stands before what needs none, as in a regular expression that was written as usual.
fn has_odd_escape(text: &str) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\\' && !rest.next().is_some_and(|c| "\\/bfnrtu'\"".contains(c)) {
            return true;
        }
    }
    false
}
