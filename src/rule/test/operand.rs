//! Right sides, read once as what `as` and the operator make of them.

use super::super::number::Number;
use super::super::pattern;
use super::{Operator, ReadAs};
use crate::object::duration;
use crate::object::quantity::Quantity;
use parking_lot::Mutex;
use regex::Regex;
use semver::Version;
use serde_json::Value;
use std::time::Duration;

/// A right side.
#[derive(Debug)]
pub(super) enum Operand {
    /// For `Equals` and `In` without `as`: compared by type, deeply.
    Json(Value),
    Number(Number),
    /// Of ages, `until` and durations.
    Span(Duration),
    Quantity(Quantity),
    Semver(Version),
    Text(Box<str>),
    Pattern(Regex),
}

/// Why a right side cannot be one.
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) mend: Option<String>,
}

fn refuse<T>(message: impl Into<String>, mend: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        message: message.into(),
        mend: Some(mend.into()),
    })
}

impl Operand {
    /// The value that was written out, where it was kept as it was.
    pub(super) fn literal(&self) -> Option<Value> {
        match self {
            Self::Json(value) => Some(value.clone()),
            Self::Text(text) => Some(Value::from(&**text)),
            _ => None,
        }
    }

    /// Reads a value that is not null.
    pub(super) fn read(
        value: Value,
        read_as: Option<ReadAs>,
        operator: Operator,
    ) -> Result<Self, Refusal> {
        if operator.positive() == Operator::Matches {
            return match value {
                Value::String(text) => pattern(&text).map(Self::Pattern),
                _ => refuse(
                    "a regular expression is text",
                    format!("quote it: `\"{value}\"`"),
                ),
            };
        }
        let Some(read_as) = read_as else {
            return match Number::of_value(&value) {
                Some(number) if operator.is_ordering() => Ok(Self::Number(number)),
                None if operator.is_ordering() => unordered(&value, operator),
                _ => Ok(Self::Json(value)),
            };
        };
        let name = read_as.as_str();
        match read_as {
            ReadAs::Age | ReadAs::Until | ReadAs::Duration => match &value {
                Value::String(text) => match duration::parse(text) {
                    Ok(span) => Ok(Self::Span(span)),
                    Err(message) => Err(Refusal {
                        message,
                        mend: None,
                    }),
                },
                Value::Number(n) => refuse(
                    format!("`as: {name}` compares durations, and {n} has no unit"),
                    format!("write for example `{n}s` or `{n}d`"),
                ),
                _ => refuse(
                    format!("`as: {name}` compares durations"),
                    "write for example `7d`",
                ),
            },
            ReadAs::Quantity => {
                match &value {
                    Value::String(text) => {
                        Quantity::parse(text)
                            .map(Self::Quantity)
                            .map_err(|message| Refusal {
                                message,
                                mend: None,
                            })
                    }
                    Value::Number(n) => Quantity::parse(&n.to_string())
                        .map(Self::Quantity)
                        .map_err(|message| Refusal {
                            message,
                            mend: None,
                        }),
                    _ => refuse(
                        "`as: quantity` compares quantities",
                        "write for example `500Mi`",
                    ),
                }
            }
            ReadAs::Semver => match &value {
                Value::String(text) => match semver(text) {
                    Some(version) => Ok(Self::Semver(version)),
                    None => refuse(
                        format!("{text:?} is no semantic version"),
                        "write for example `1.27.0`",
                    ),
                },
                Value::Number(n) => {
                    let (message, mend) = number_as_version(&n.to_string());
                    refuse(message, mend)
                }
                _ => refuse(
                    "`as: semver` compares semantic versions",
                    "write for example `\"1.27.0\"`",
                ),
            },
            ReadAs::Number => {
                let number = match &value {
                    Value::String(text) => Number::parse(text),
                    other => Number::of_value(other),
                };
                match number {
                    Some(number) => Ok(Self::Number(number)),
                    None => refuse(
                        format!("{value} is no number"),
                        "write a number, or `as: quantity` for amounts such as `500Mi`",
                    ),
                }
            }
            ReadAs::Size | ReadAs::Count => match value.as_i64() {
                Some(n) => Ok(Self::Number(Number::Int(n))),
                None => refuse(
                    format!("`as: {name}` compares whole numbers, and {value} is none"),
                    "write a whole number, without quotes",
                ),
            },
            ReadAs::ImageRegistry
            | ReadAs::ImageRepository
            | ReadAs::ImageTag
            | ReadAs::ImageDigest => match value {
                Value::String(text) => Ok(Self::Text(text.into())),
                _ => refuse(
                    format!("`as: {name}` compares text, and {value} is none"),
                    format!("quote it: `\"{value}\"`"),
                ),
            },
        }
    }
}

/// A semantic version, with or without the `v` that Kubernetes and most image tags put before it. Parts that are left out are 0.
pub(super) fn semver(text: &str) -> Option<Version> {
    let bare = text.strip_prefix('v').unwrap_or(text);
    if let Ok(version) = Version::parse(bare) {
        return Some(version);
    }
    let (numbers, rest) = bare.split_at(bare.find(['-', '+']).unwrap_or(bare.len()));
    let missing = match numbers.matches('.').count() {
        0 => ".0.0",
        1 => ".0",
        _ => return None,
    };
    Version::parse(&format!("{numbers}{missing}{rest}")).ok()
}

/// What is wrong with a number in place of a version, and the mend. `text`: as it is written, for `1.10` is not the version `1.1`.
pub fn number_as_version(text: &str) -> (String, String) {
    (
        format!("{text} is a number, not a semantic version"),
        format!("write all three parts, quoted: `{}`", full_version_of(text)),
    )
}

fn full_version_of(text: &str) -> String {
    let text = text.strip_prefix('v').unwrap_or(text);
    match text.split('.').count() {
        1 => format!("\"{text}.0.0\""),
        _ => format!("\"{text}.0\""),
    }
}

/// Ordering something without `as` that is not a number.
fn unordered(value: &Value, operator: Operator) -> Result<Operand, Refusal> {
    let word = operator.as_str();
    let Value::String(text) = value else {
        return refuse(
            format!("`{word}` compares numbers, and {value} is none"),
            "write a number",
        );
    };
    let is_duration = duration::parse(text).is_ok();
    let is_quantity = Quantity::parse(text).is_ok();
    let mend = if Number::parse(text).is_some() {
        "write it without quotes, or add `as: number` where the value is text too"
    } else if semver(text).is_some() {
        "add `as: semver`"
    } else if is_duration && is_quantity {
        "add `as: age`, `as: duration` or `as: quantity`"
    } else if is_duration {
        "add `as: age`, `as: until` or `as: duration`"
    } else if is_quantity {
        "add `as: quantity`"
    } else if text.parse::<jiff::Timestamp>().is_ok() {
        "moments are compared as ages: write `as: age` and a duration"
    } else {
        "add `as` with the type to read it as: age, until, duration, quantity, semver or number"
    };
    refuse(
        format!("`{word}` without `as` compares numbers, and {text:?} is text"),
        mend,
    )
}

/// A regular expression, unanchored.
fn pattern(text: &str) -> Result<Regex, Refusal> {
    pattern::unanchored(text).map_err(|problem| Refusal {
        message: problem.message,
        mend: problem.mend,
    })
}

/// The last computed regular expression of a clause.
#[derive(Default)]
pub(super) struct PatternCache(Mutex<Option<(Box<str>, Regex)>>);

impl PatternCache {
    /// Compiles, unless it came out the same as last time.
    pub(super) fn compile(&self, text: &str) -> Result<Regex, Refusal> {
        let mut last = self.0.lock();
        if let Some((known, regex)) = &*last
            && **known == *text
        {
            return Ok(regex.clone());
        }
        let regex = pattern(text)?;
        *last = Some((text.into(), regex.clone()));
        Ok(regex)
    }
}
