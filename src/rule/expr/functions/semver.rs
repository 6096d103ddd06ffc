//! Kubernetes' semver library, and `isLessThan`, `isGreaterThan` and `compareTo`, which quantities have too.

use super::{Function, global, member, mismatch, quantity, unreadable};
use crate::rule::expr::eval::{Fault, Frame, article};
use crate::rule::expr::value::{BOOL, INT, QUANTITY, SEMVER, STRING, Val};
use semver::Version;
use std::cmp::Ordering;
use std::sync::Arc;

pub(super) static TABLE: &[Function] = &[
    global("semver", &[STRING, BOOL], |frame, args| match read(args) {
        Ok(version) => Ok(Val::Semver(Arc::new(version))),
        Err(reason) => Err(unreadable(frame, "semver", "semantic version", reason)),
    })
    .optional(1)
    .at_load(),
    global("isSemver", &[STRING, BOOL], |_, args| {
        Ok(Val::Bool(read(args).is_ok()))
    })
    .optional(1),
    member("major", &[SEMVER], |_, args| {
        number(args, |version| version.major)
    }),
    member("minor", &[SEMVER], |_, args| {
        number(args, |version| version.minor)
    }),
    member("patch", &[SEMVER], |_, args| {
        number(args, |version| version.patch)
    }),
    member(
        "isLessThan",
        &[SEMVER | QUANTITY, SEMVER | QUANTITY | INT],
        |frame, args| Ok(Val::Bool(order(frame, args, "isLessThan")?.is_lt())),
    ),
    member(
        "isGreaterThan",
        &[SEMVER | QUANTITY, SEMVER | QUANTITY | INT],
        |frame, args| Ok(Val::Bool(order(frame, args, "isGreaterThan")?.is_gt())),
    ),
    member(
        "compareTo",
        &[SEMVER | QUANTITY, SEMVER | QUANTITY | INT],
        |frame, args| Ok(Val::Int(order(frame, args, "compareTo")? as i64)),
    ),
];

fn read(args: &[Val<'_>]) -> Result<Version, String> {
    match args {
        [Val::Text(text), Val::Bool(true)] => parse(&normalised(text)?, text),
        [Val::Text(text), ..] => parse(text, text),
        _ => Err("no text".into()),
    }
}

fn parse(text: &str, given: &str) -> Result<Version, String> {
    Version::parse(text).map_err(|reason| {
        format!("{given:?} is no semantic version ({reason}); write for example `1.2.3`, or `semver(x, true)` for `v1.2`")
    })
}

/// Upstream's `normalizeAndParse`: a leading `v` and leading zeros go, a missing minor or patch number is 0.
fn normalised(text: &str) -> Result<String, String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text
        .splitn(3, '.')
        .map(|part| {
            let stripped = part.trim_start_matches('0');
            if part.len() > 1 && !stripped.starts_with(|c: char| c.is_ascii_digit()) {
                format!("0{stripped}")
            } else if part.len() > 1 {
                stripped.to_owned()
            } else {
                part.to_owned()
            }
        })
        .collect();
    if parts.len() < 3 {
        if parts.last().is_some_and(|part| part.contains(['+', '-'])) {
            return Err(format!(
                "{text:?}: a short version cannot have a pre-release or build part"
            ));
        }
        parts.resize(3, "0".into());
    }
    Ok(parts.join("."))
}

fn number<'a>(args: &[Val<'a>], of: impl Fn(&Version) -> u64) -> Result<Val<'a>, Fault> {
    match args {
        [Val::Semver(version)] => i64::try_from(of(version))
            .map(Val::Int)
            .map_err(|_| Fault::failed("the number is out of range")),
        _ => mismatch(),
    }
}

fn order<'a>(_: &mut Frame<'_, 'a>, args: &[Val<'a>], function: &str) -> Result<Ordering, Fault> {
    match args {
        [Val::Semver(a), Val::Semver(b)] => Ok(a.cmp_precedence(b)),
        [a @ Val::Quantity(_), b @ (Val::Quantity(_) | Val::Int(_))] => {
            Ok(quantity::amount(a)?.cmp(&quantity::amount(b)?))
        }
        [a, b] => Err(Fault::failed(format!(
            "`{function}` cannot compare {} with {}",
            article(a),
            article(b)
        ))),
        _ => Err(Fault::failed("two values are needed")),
    }
}
