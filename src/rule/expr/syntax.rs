//! The parser's complaints in words for people.

use super::ExprProblem;
use cel::{ParseError, ParseErrors};

/// Words of other languages, and what CEL has for them.
const MENDS: [(&str, &str); 5] = [
    ("and", "write `&&`"),
    ("or", "write `||`"),
    ("not", "write `!`"),
    ("=", "write `==`"),
    ("is", "write `==`"),
];

/// The first of the parser's complaints; those after it are mostly its consequences.
pub(super) fn problem(text: &str, errors: &ParseErrors) -> ExprProblem {
    // What is no syntax error is said by the parser about trees that such errors left incomplete, or about single tokens.
    let first = errors
        .errors
        .iter()
        .filter(|error| !error.msg.starts_with("Incomplete "))
        .chain(&errors.errors)
        .next();
    let Some(error) = first else {
        return ExprProblem {
            at: 0,
            length: 1,
            message: "syntax error".into(),
            mend: None,
        };
    };
    let at = offset(text, error);
    let (token, message) = reason(&error.msg);
    let ends = message.is_empty() || text[at..].trim().is_empty();
    if ends {
        return ExprProblem {
            at: text.len(),
            length: 1,
            message: "syntax error: the expression ends too early".into(),
            mend: None,
        };
    }
    let mend = MENDS
        .iter()
        .find(|(word, _)| *word == token)
        .map(|(_, mend)| (*mend).to_owned())
        .or_else(|| broken(&text[at..]));
    ExprProblem {
        at,
        length: if text[at..].starts_with(token) && !token.is_empty() {
            token.len()
        } else {
            text[at..].chars().next().map_or(1, char::len_utf8)
        },
        message: format!("syntax error: {message}"),
        mend,
    }
}

/// The mend where a line ends inside a text, mostly a `\n` that YAML has read already.
fn broken(rest: &str) -> Option<String> {
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let line = rest.find('\n')?;
    let open = !rest.get(1..line)?.contains(quote);
    open.then(|| {
        "a line ends inside it: write `\\n` for that, and `\\\\n` inside YAML's double quotes"
            .to_owned()
    })
}

/// The byte offset of an error; the parser counts lines and characters from 1.
fn offset(text: &str, error: &ParseError) -> usize {
    let from_one = |n: isize| usize::try_from(n).unwrap_or(1).max(1) - 1;
    let (line, column) = (from_one(error.pos.0), from_one(error.pos.1));
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &text[start..];
    let column = rest
        .char_indices()
        .nth(column)
        .map_or(rest.len(), |(at, _)| at);
    start + column
}

/// The token that an error is about, if any, and the reason; an empty reason where the text ends too early.
fn reason(raw: &str) -> (&str, String) {
    let raw = raw.lines().next().unwrap_or_default();
    let raw = raw.strip_prefix("Syntax error: ").unwrap_or(raw);
    let raw = raw.split(" expecting ").next().unwrap_or(raw);
    if raw.contains("'<EOF>'") {
        return ("", String::new());
    }
    let quoted = |text: &str| -> Option<usize> { text.find('\'').map(|at| at + 1) };
    let token = quoted(raw)
        .map(|at| raw[at..].trim_end_matches('\'').trim())
        .unwrap_or_default();
    if raw.starts_with("token recognition error at: ") {
        return if raw.contains("''") || raw.contains("'\"") {
            (
                "",
                "the text that starts here is not closed, or has an escape that CEL does not know"
                    .into(),
            )
        } else {
            (token, format!("`{token}` is not CEL"))
        };
    }
    if let Some(word) = raw.strip_prefix("reserved identifier: ") {
        return (word, format!("`{word}` is a reserved word"));
    }
    for start in [
        "mismatched input '",
        "extraneous input '",
        "no viable alternative at input '",
    ] {
        if raw.starts_with(start) {
            return (token, format!("`{token}` is unexpected here"));
        }
    }
    ("", raw.to_owned())
}
