//! Maps whose keys are known, and the scalars in them.

use super::habits;
use super::report::Report;
use crate::rule::yaml::{Data, Tree};
use crate::schema::nearest;
use serde_json::Value;
use std::ops::RangeInclusive;

/// The entries of a map whose keys have been checked.
#[derive(Clone, Copy)]
pub(super) struct Fields<'t> {
    tree: &'t Tree,
    /// Whether some key was refused: what is missing may be that one, misspelt.
    pub refused: bool,
}

impl<'t> Fields<'t> {
    /// A value that is there; null counts as left out.
    pub fn get(&self, name: &str) -> Option<&'t Tree> {
        self.tree.get(name).filter(|value| !value.is_null())
    }

    /// A key, whatever its value.
    pub fn key(&self, name: &str) -> Option<&'t Tree> {
        self.tree.entry(name).map(|(key, _)| key)
    }

    /// Key and value, whatever the value.
    pub fn entry(&self, name: &str) -> Option<(&'t Tree, &'t Tree)> {
        self.tree.entry(name).map(|(key, value)| (key, value))
    }
}

/// `did you mean …` for a name.
pub(super) fn did_you_mean<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    nearest(name, candidates)
        .first()
        .map(|near| format!("did you mean `{near}`?"))
}

/// As [`did_you_mean`], else all of them if they are few.
pub(super) fn one_of_these(name: &str, candidates: &[&str]) -> Option<String> {
    did_you_mean(name, candidates.iter().copied()).or_else(|| few(candidates))
}

fn few(candidates: &[&str]) -> Option<String> {
    (candidates.len() <= 14).then(|| format!("write one of {}", candidates.join(", ")))
}

/// Whether a word says no, as `NotIn`, `DoesNotExist`.
fn negates(word: &str) -> bool {
    let folded = word.to_lowercase();
    let begins = ["not", "non", "isnt", "doesnt", "!"];
    begins.iter().any(|begin| folded.starts_with(begin)) || word.contains("Not")
}

/// `a list` for messages, with the text of short scalars: `the number 5`.
pub(super) fn found(tree: &Tree) -> String {
    match &tree.data {
        Data::Scalar { value, .. } => match value {
            Value::Null => "nothing".into(),
            Value::Bool(b) => format!("the boolean {b}"),
            Value::Number(n) => format!("the number {n}"),
            Value::String(s) if s.chars().count() <= 40 => format!("the text {s:?}"),
            _ => "text".into(),
        },
        Data::List(_) => "a list".into(),
        Data::Map(_) => "a map".into(),
    }
}

/// Reads a map: keys outside `known` are errors; those of `later` belong to the language and are not built yet. `None` if it is no map.
pub(super) fn fields<'t>(
    report: &mut Report<'_>,
    tree: &'t Tree,
    what: &str,
    known: &[&str],
    later: &[&str],
) -> Option<Fields<'t>> {
    let Data::Map(entries) = &tree.data else {
        let plain = ["`delete`", "`evict`", "`restart`"].contains(&what);
        let mend = plain.then(|| "write `{}`".into());
        report.error(
            tree,
            format!("{what} is a map, and here is {}", found(tree)),
            mend,
        );
        return None;
    };
    let mut refused = false;
    for (key, _) in entries {
        let name = key.text().unwrap_or_default();
        if known.contains(&name) {
            continue;
        }
        refused = true;
        if later.contains(&name) {
            report.error(key, format!("`{name}` is not supported yet"), None);
            continue;
        }
        let all = known.iter().chain(later).copied();
        let mend = habits::mend(what, name).map(str::to_owned);
        let mend = mend.or_else(|| did_you_mean(name, all)).or_else(|| {
            let few = (known.len() <= 14)
                .then(|| format!("the fields of {what} are {}", known.join(", ")));
            match known {
                [one] => Some(format!("only `{one}` may stand here")),
                _ => few,
            }
        });
        report.error(key, format!("unknown field `{name}` in {what}"), mend);
    }
    Some(Fields { tree, refused })
}

/// The items of a list. A single value in place of a list is an error that says so.
pub(super) fn list<'t>(report: &mut Report<'_>, tree: &'t Tree, what: &str) -> Option<&'t [Tree]> {
    match &tree.data {
        Data::List(items) => Some(items),
        Data::Map(_) => {
            let mend = Some("begin its first line with `- `".into());
            report.error(tree, format!("{what} is a list, and here is a map"), mend);
            None
        }
        Data::Scalar { value, .. } => {
            let whole = tree.text().and_then(|text| habits::single(what, text));
            let mend = (!value.is_null()).then(|| match value {
                _ if whole.is_some() => whole.unwrap_or_default(),
                // What YAML would read as something else.
                Value::String(text) if text.starts_with(|c: char| !c.is_alphanumeric()) => {
                    format!("write `[{:?}]`", shortened(text))
                }
                _ => format!("write `[{}]`", scalar_text(value)),
            });
            report.error(
                tree,
                format!("{what} is a list, and here is {}", found(tree)),
                mend,
            );
            None
        }
    }
}

/// Text. Numbers and booleans are errors that say to quote them.
pub(super) fn text<'t>(report: &mut Report<'_>, tree: &'t Tree, what: &str) -> Option<&'t str> {
    match &tree.data {
        Data::Scalar {
            value: Value::String(text),
            ..
        } => Some(text),
        Data::Scalar { value, .. } if !value.is_null() => {
            report.error(
                tree,
                format!("{what} is text, and YAML reads this as {}", found(tree)),
                Some(format!("quote it: `\"{}\"`", scalar_text(value))),
            );
            None
        }
        _ => {
            report.error(
                tree,
                format!("{what} is text, and here is {}", found(tree)),
                None,
            );
            None
        }
    }
}

/// A list of texts.
pub(super) fn texts<'t>(
    report: &mut Report<'_>,
    tree: &'t Tree,
    what: &str,
) -> Vec<(&'t Tree, &'t str)> {
    let each = format!("each of {what}");
    list(report, tree, what)
        .unwrap_or_default()
        .iter()
        .filter_map(|item| Some((item, text(report, item, &each)?)))
        .collect()
}

/// A whole number within bounds.
pub(super) fn whole(
    report: &mut Report<'_>,
    tree: &Tree,
    what: &str,
    bounds: RangeInclusive<i64>,
) -> Option<i64> {
    let value = match &tree.data {
        Data::Scalar { value, .. } => value.as_i64(),
        _ => None,
    };
    let Some(number) = value else {
        let mend = tree
            .text()
            .filter(|text| text.parse::<i64>().is_ok())
            .map(|text| format!("write it without quotes: `{text}`"));
        let mend = report.mend_of_type(tree, Some("integer"), mend);
        report.error(
            tree,
            format!("{what} is a whole number, and here is {}", found(tree)),
            mend,
        );
        return None;
    };
    if !bounds.contains(&number) {
        let message = match (*bounds.start(), *bounds.end()) {
            (start, i64::MAX) => format!("{what} is {start} at least, and here is {number}"),
            (start, end) => format!("{what} is between {start} and {end}, and here is {number}"),
        };
        report.error(tree, message, None);
        return None;
    }
    Some(number)
}

/// `true` or `false`.
pub(super) fn boolean(report: &mut Report<'_>, tree: &Tree, what: &str) -> Option<bool> {
    match &tree.data {
        Data::Scalar {
            value: Value::Bool(value),
            ..
        } => Some(*value),
        _ => {
            let mend = tree
                .text()
                .filter(|text| ["true", "false", "yes", "no", "on", "off"].contains(text))
                .map(|_| "write `true` or `false`, without quotes".into());
            report.error(
                tree,
                format!("{what} is true or false, and here is {}", found(tree)),
                mend,
            );
            None
        }
    }
}

/// One of a few words; the case counts.
pub(super) fn word<T: Copy>(
    report: &mut Report<'_>,
    tree: &Tree,
    what: &str,
    words: &[(&str, T)],
) -> Option<T> {
    let written = text(report, tree, what)?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == written) {
        return Some(*value);
    }
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    report.error(
        tree,
        format!("{what} cannot be `{}`", shortened(written)),
        habits::mend(what, written)
            .map(str::to_owned)
            .or_else(|| {
                // The opposite of what was meant is no help.
                let alike = names.iter().filter(|n| !negates(written) || negates(n));
                did_you_mean(written, alike.copied())
            })
            .or_else(|| few(&names)),
    );
    None
}

/// Text for messages, cut where it is long.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.into();
    }
    let mut short: String = text.chars().take(LONGEST).collect();
    short.push('…');
    short
}

/// A scalar as one would write it.
fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => shortened(text),
        other => other.to_string(),
    }
}
