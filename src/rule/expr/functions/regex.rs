//! Regular expressions: `matches` of the standard library, Kubernetes' `find` and `findAll`, and `replaceRegex`.
//! Linear in time; a literal pattern is compiled at load, a computed one is kept in a cache.

use super::{Function, global, member, mismatch};
use crate::rule::expr::eval::{Fault, Frame};
use crate::rule::expr::value::{INT, PATTERN, STRING, Val, part};
use ahash::AHashMap;
use parking_lot::Mutex;
use regex::{Regex, RegexBuilder};
use std::sync::{Arc, LazyLock};

/// Largest compiled pattern, in bytes.
const LARGEST: usize = 1 << 20;
/// Computed patterns that are kept.
const CACHED: usize = 256;
/// Reading with a pattern costs this many times what reading costs.
const COST: usize = 4;

pub(super) static TABLE: &[Function] = &[
    global("matches", &[STRING, STRING | PATTERN], matches),
    member("matches", &[STRING, STRING | PATTERN], matches),
    member("find", &[STRING, STRING | PATTERN], |frame, args| {
        let Val::Text(text) = &args[0] else {
            return mismatch();
        };
        let pattern = pattern(frame, &args[1], text.len())?;
        Ok(match pattern.find(text) {
            Some(found) => part(text, found.as_str()),
            None => Val::text(""),
        })
    }),
    member(
        "findAll",
        &[STRING, STRING | PATTERN, INT],
        |frame, args| {
            let Val::Text(text) = &args[0] else {
                return mismatch();
            };
            let limit = match args.get(2) {
                Some(Val::Int(limit)) => usize::try_from(*limit).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            let pattern = pattern(frame, &args[1], text.len())?;
            let mut out = Vec::new();
            for found in pattern.find_iter(text).take(limit) {
                frame.charge(1)?;
                out.push(part(text, found.as_str()));
            }
            Ok(Val::list(out))
        },
    )
    .optional(1),
    global(
        "replaceRegex",
        &[STRING, STRING | PATTERN, STRING],
        |frame, args| {
            let [Val::Text(text), wanted, Val::Text(to)] = args else {
                return mismatch();
            };
            let pattern = pattern(frame, wanted, text.len())?;
            let mut out = String::new();
            let mut last = 0;
            let references = to.matches('$').count();
            for captures in pattern.captures_iter(text) {
                frame.charge(1)?;
                let Some(whole) = captures.get(0) else {
                    continue;
                };
                // No group is longer than the whole match.
                frame.grow(&out, to.len() + references * whole.len())?;
                out.push_str(&text[last..whole.start()]);
                captures.expand(to, &mut out);
                last = whole.end();
            }
            out.push_str(&text[last..]);
            frame.made(out)
        },
    ),
];

/// Compiles a pattern.
pub(in crate::rule::expr) fn build(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(LARGEST)
        .build()
        .map_err(|reason| match reason {
            regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
            // The last line of the crate's report is the reason; those before draw it.
            other => {
                let report = other.to_string();
                let reason = report.lines().last().unwrap_or_default();
                format!(
                    "this is no regular expression: {}",
                    reason.trim_start_matches("error: ")
                )
            }
        })
}

fn pattern(frame: &mut Frame<'_, '_>, value: &Val<'_>, length: usize) -> Result<Arc<Regex>, Fault> {
    frame.charge_text(length * COST)?;
    match value {
        Val::Pattern(pattern) => Ok(pattern.clone()),
        Val::Text(text) => {
            static CACHE: LazyLock<Mutex<AHashMap<Box<str>, Arc<Regex>>>> =
                LazyLock::new(Mutex::default);
            if let Some(known) = CACHE.lock().get(&**text) {
                return Ok(known.clone());
            }
            // Compiling is dear: a loop may not do it without end.
            frame.charge(1_000 + text.len())?;
            let built = Arc::new(build(text).map_err(|reason| {
                if frame.is_load() {
                    Fault::failed(reason)
                } else {
                    Fault::failed("the text is no regular expression")
                }
            })?);
            let mut cache = CACHE.lock();
            if cache.len() >= CACHED {
                cache.clear();
            }
            cache.insert((&**text).into(), built.clone());
            Ok(built)
        }
        _ => Err(Fault::failed("a regular expression is needed")),
    }
}

fn matches<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [Val::Text(text), wanted] = args else {
        return mismatch();
    };
    Ok(Val::Bool(
        pattern(frame, wanted, text.len())?.is_match(text),
    ))
}
