//! A first look at the text, before the parser: bounds that keep it from recursing deeply, and what it lets through although nobody means it.
//!
//! The parser skips blanks inside names (`@.name in ['a']` is one odd name to it, which matches nothing), keeps no positions, and calls whatever
//! it does not know a syntax error. So every word is looked at here; and as the parser hands over names and texts in the order in which they
//! stand, their places are noted in that order.

use super::PathProblem;
use crate::schema::nearest;

/// Longest path, in bytes.
pub(super) const LONGEST: usize = 4096;
/// Deepest nesting of brackets and parentheses; the parser is recursive.
pub(super) const DEEPEST: usize = 32;

/// Deepest nesting of calls: on a text that is wrong in the innermost one, the parser tries each level several times.
pub(super) const DEEPEST_CALLS: usize = 3;

/// The functions of RFC 9535.
pub(super) const FUNCTIONS: [&str; 5] = ["length", "count", "match", "search", "value"];

/// A stretch of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: usize,
    pub(super) length: usize,
}

impl Span {
    pub(super) fn problem(self, message: impl Into<String>) -> PathProblem {
        PathProblem {
            at: self.at,
            length: self.length.max(1),
            message: message.into(),
            mend: None,
        }
    }

    pub(super) fn end(self) -> usize {
        self.at + self.length
    }
}

/// What was noted, each in the order of the text.
#[derive(Default)]
pub(super) struct Noted {
    /// Names behind a `.`, and everything in quotes (without them).
    pub(super) names: Vec<Span>,
    /// The word `null`.
    pub(super) nulls: Vec<Span>,
    /// Calls of functions: the name.
    pub(super) calls: Vec<Span>,
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// Reads `text` from behind its root.
pub(super) fn scan(text: &str, from: usize) -> Result<Noted, PathProblem> {
    let mut noted = Noted::default();
    // Open brackets and parentheses: whether it is a call's.
    let mut open: Vec<bool> = vec![];
    let mut at = from;
    // The last character that is no blank, and where it ended.
    let mut last = ('$', from);
    while let Some(c) = text[at..].chars().next() {
        let here = Span {
            at,
            length: c.len_utf8(),
        };
        let next = text[here.end()..].chars().next();
        match c {
            '\'' | '"' => {
                let inner = quoted(text, here, c)?;
                noted.names.push(inner);
                at = inner.end() + 1;
                last = (c, at);
                continue;
            }
            '[' | '(' => {
                open.push(c == '(' && noted.calls.last().is_some_and(|call| call.end() == at));
                if open.len() > DEEPEST {
                    return Err(here.problem(format!("nested deeper than {DEEPEST} levels")));
                }
                if open.iter().filter(|call| **call).count() > DEEPEST_CALLS {
                    return Err(here.problem(format!(
                        "functions nested deeper than {DEEPEST_CALLS} levels"
                    )));
                }
            }
            ']' | ')' => {
                open.pop();
            }
            '$' if next == Some('{') => {
                return Err(Span { at, length: 2 }
                    .problem("`${ }` is never part of a path")
                    .mended("filter by fixed values, or write a test with `expression`"));
            }
            '$' if next.is_some_and(is_word) => {
                let word = word(text, here.end());
                return Err(Span {
                    at,
                    length: 1 + word.length,
                }
                .problem(format!(
                    "`{}` stands only at the beginning of a path",
                    &text[at..word.end()]
                ))
                .mended("inside a filter `$` is the object"));
            }
            '.' if next.is_some_and(char::is_whitespace) => {
                return Err(here.problem("no blank may follow `.`"));
            }
            '=' if next != Some('=')
                && !matches!(last, ('=' | '!' | '<' | '>', end) if end == at) =>
            {
                return Err(if next == Some('~') {
                    Span { at, length: 2 }
                        .problem("JSONPath has no `=~`")
                        .mended("write `search(@.x, 'pattern')`, or `match` for the whole text")
                } else {
                    here.problem("one `=` compares nothing")
                        .mended("write `==`")
                });
            }
            '&' | '|' if next != Some(c) && !matches!(last, (l, end) if l == c && end == at) => {
                return Err(here
                    .problem(format!("one `{c}` joins nothing"))
                    .mended(format!("write `{c}{c}`")));
            }
            '/' | '-' | '\\' | '%' | '#' if last == ('a', at) && !is_number(text, at) => {
                return Err(odd_name(text, here));
            }
            c if is_word(c) => {
                let word = word(text, at);
                note_word(text, word, last, &mut noted)?;
                at = word.end();
                last = ('a', at);
                continue;
            }
            _ => {}
        }
        at = here.end();
        if !c.is_whitespace() {
            last = (c, at);
        }
    }
    Ok(noted)
}

/// The inside of a quoted text that begins at `open`.
fn quoted(text: &str, open: Span, quote: char) -> Result<Span, PathProblem> {
    let mut escaped = false;
    for (offset, c) in text[open.end()..].char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Ok(Span {
                at: open.end(),
                length: offset,
            });
        }
    }
    Err(open.problem(format!("this {quote} is never closed")))
}

/// Whether the word that ends at `end` is one of digits: `1e` of `1e-5`.
fn is_number(text: &str, end: usize) -> bool {
    let start = text[..end].char_indices().rev().find(|(_, c)| !is_word(*c));
    let start = start.map_or(0, |(at, c)| at + c.len_utf8());
    text[start..end].starts_with(|c: char| c.is_ascii_digit())
}

/// Maps of free keys, which are full of dots and slashes.
const FREE_MAPS: [&str; 6] = [
    ".labels.",
    ".annotations.",
    ".matchLabels.",
    ".nodeSelector.",
    ".data.",
    ".stringData.",
];

/// A name behind a dot that would need brackets.
fn odd_name(text: &str, here: Span) -> PathProblem {
    let problem = here.problem(format!(
        "{:?} cannot stand in a name behind `.`",
        &text[here.at..here.end()]
    ));
    let key_at = FREE_MAPS
        .iter()
        .filter_map(|map| text[..here.at].rfind(map).map(|at| at + map.len()))
        .max();
    match key_at {
        Some(key_at) => {
            let length = text[key_at..]
                .find(|c: char| c.is_whitespace() || "[]()'\"=<>!&|,".contains(c))
                .unwrap_or(text.len() - key_at);
            let key = &text[key_at..key_at + length];
            let map = &text[..key_at - 1];
            problem.mended(format!("did you mean `{map}['{key}']`?"))
        }
        None => problem.mended(
            "names with other characters than letters, digits and `_` are written in brackets and quotes: `['my-name']`",
        ),
    }
}

fn word(text: &str, at: usize) -> Span {
    let length = text[at..].find(|c| !is_word(c)).unwrap_or(text.len() - at);
    Span { at, length }
}

/// `last` is the character before the word that is no blank, and where it ended.
fn note_word(
    text: &str,
    word: Span,
    last: (char, usize),
    noted: &mut Noted,
) -> Result<(), PathProblem> {
    let name = &text[word.at..word.end()];
    let joined = last.1 == word.at;
    let behind = text[word.end()..].trim_start();
    if joined && last.0 == '.' {
        if !name.starts_with(|c: char| c.is_ascii_digit()) {
            noted.names.push(word);
        }
        return Ok(());
    }
    if joined && matches!(last.0, '@' | '$') {
        return Err(word
            .problem(format!("`{}` and `{name}` need a `.` between them", last.0))
            .mended(format!("did you mean `{}.{name}`?", last.0)));
    }
    let digits = name.starts_with(|c: char| c.is_ascii_digit());
    if last.0 != 'a' || joined {
        if digits {
            return Ok(());
        }
        match name {
            "true" | "false" => return Ok(()),
            "null" => {
                noted.nulls.push(word);
                return Ok(());
            }
            _ if FUNCTIONS.contains(&name) && text[word.end()..].starts_with('(') => {
                noted.calls.push(word);
                return Ok(());
            }
            _ => {}
        }
    }
    let mend = match name.to_ascii_lowercase().as_str() {
        "in" | "nin" => "write `@.x == 'a' || @.x == 'b'`, or `match(@.x, 'a|b')`",
        "and" => "write `&&`",
        "or" => "write `||`",
        "not" => "write `!`",
        "contains" | "like" | "matches" | "regex" | "startswith" | "endswith" => {
            "write `search(@.x, 'pattern')`, or `match` for the whole text"
        }
        _ if FUNCTIONS.contains(&name) && behind.starts_with('(') => {
            return Err(word.problem(format!("no blank may stand between `{name}` and `(`")));
        }
        _ if behind.starts_with('(') => {
            let near = nearest(name, FUNCTIONS);
            let mend = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the functions are length, count, match, search and value".into(),
            };
            return Err(word
                .problem(format!("there is no function `{name}`"))
                .mended(mend));
        }
        _ => {
            // The rest of a name with other characters in it, so that the whole of it is marked.
            let odd = |c: char| is_word(c) || "-/.".contains(c);
            let length = text[word.at..]
                .find(|c| !odd(c))
                .unwrap_or(text.len() - word.at);
            let whole = Span {
                at: word.at,
                length,
            };
            let name = &text[whole.at..whole.end()];
            if last.0 == 'a' && !joined {
                return Err(whole
                    .problem(format!(
                        "a blank cannot stand in a name, and `{name}` has no operator before it"
                    ))
                    .mended("write names with blanks in brackets and quotes: `['a b']`"));
            }
            return Err(whole
                .problem(format!("`{name}` stands here without quotes"))
                .mended(format!("did you mean `'{name}'`?")));
        }
    };
    Err(word
        .problem(format!("JSONPath has no `{name}`"))
        .mended(mend))
}
