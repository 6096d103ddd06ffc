//! Regular expressions of rules: linear time, bounded size, errors in one line.

use regex::{Regex, RegexBuilder};

/// Largest compiled expression, in bytes.
const LARGEST: usize = 1 << 20;
/// Longest expression, in bytes.
const LONGEST: usize = 4096;

/// Why a text is no regular expression that can be used.
pub(super) struct PatternProblem {
    /// One sentence without a full stop.
    pub(super) message: String,
    /// What to write instead.
    pub(super) mend: Option<String>,
}

/// Found anywhere in a text.
pub(super) fn unanchored(text: &str) -> Result<Regex, PatternProblem> {
    if text.len() > LONGEST {
        return Err(PatternProblem {
            message: format!(
                "a regular expression has at most {LONGEST} bytes, this one has {}",
                text.len()
            ),
            mend: None,
        });
    }
    build(text)
}

/// Found anywhere in a text, as `search()` of a path does: `.` is no end of a line, be it `\n` or `\r` (RFC 9485).
pub(super) fn searched(text: &str) -> Result<Regex, PatternProblem> {
    // The expression alone first: `a)(b` is none, but would be one between the parentheses.
    unanchored(text)?;
    build(&format!("(?R:{text})"))
}

/// The whole of a text, as `match()` of a path does.
pub(super) fn matched(text: &str) -> Result<Regex, PatternProblem> {
    unanchored(text)?;
    build(&format!("^(?R:{text})$"))
}

fn build(text: &str) -> Result<Regex, PatternProblem> {
    RegexBuilder::new(text)
        .size_limit(LARGEST)
        .build()
        .map_err(|error| PatternProblem {
            message: format!(
                "this regular expression does not compile: {}",
                reason(&error)
            ),
            mend: mend(&error).map(str::to_owned).or_else(|| {
                // What begins with `*` was meant as a glob.
                text.starts_with('*')
                    .then(|| format!("this is no glob: write `{}`", of_glob(text)))
            }),
        })
}

/// The regex crate's reason, without its drawing of the place.
fn reason(error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(_) = error {
        return format!("it would take more than {} MiB", LARGEST >> 20);
    }
    let told = error.to_string();
    let last = told.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or(&told)
        .trim()
        .trim_start_matches("error: ")
        .to_owned()
}

/// The regular expression that finds what a glob stands for.
pub(super) fn of_glob(glob: &str) -> String {
    let mut out = String::new();
    if !glob.starts_with('*') {
        out.push('^');
    }
    let inner = glob.trim_matches('*');
    for (number, part) in inner.split('*').enumerate() {
        if number > 0 {
            out.push_str(".*");
        }
        out.push_str(&regex::escape(part).replace("\\?", ".").replace("\\-", "-"));
    }
    if !glob.ends_with('*') {
        out.push('$');
    }
    out
}

/// For the two forms that no linear-time engine has.
fn mend(error: &regex::Error) -> Option<&'static str> {
    let told = error.to_string();
    if told.contains("look-around") {
        Some("say the negation with `DoesNotMatch`, or with `!search(…)` in a filter")
    } else if told.contains("backreferences") {
        Some("matching takes linear time, which back-references do not allow")
    } else {
        None
    }
}
