//! Types of parameters, and the values that fit them.

use super::fields;
use super::report::Report;
use crate::object::{duration, quantity};
use crate::rule::yaml::{self, Tree};
use serde_json::Value;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    String,
    Integer,
    Number,
    Boolean,
    Duration,
    Quantity,
    List,
    Map,
}

const TYPES: [(&str, Type); 8] = [
    ("string", Type::String),
    ("integer", Type::Integer),
    ("number", Type::Number),
    ("boolean", Type::Boolean),
    ("duration", Type::Duration),
    ("quantity", Type::Quantity),
    ("list", Type::List),
    ("map", Type::Map),
];
/// What other languages call them.
const ALSO: [(&str, &str); 7] = [
    ("str", "string"),
    ("text", "string"),
    ("int", "integer"),
    ("float", "number"),
    ("bool", "boolean"),
    ("array", "list"),
    ("object", "map"),
];

impl Type {
    /// The type that a default shows.
    pub fn of(value: &Value) -> Option<Type> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Type::Boolean,
            Value::Number(n) if n.is_f64() => Type::Number,
            Value::Number(_) => Type::Integer,
            Value::String(_) => Type::String,
            Value::Array(_) => Type::List,
            Value::Object(_) => Type::Map,
        })
    }

    fn as_str(self) -> &'static str {
        let found = TYPES.iter().find(|(_, of)| *of == self);
        found.map_or("", |(word, _)| *word)
    }

    /// What is wrong with the value, and the mend.
    ///
    /// # Errors
    /// It is not of this type.
    pub fn check(self, value: &Value) -> Result<(), (String, Option<String>)> {
        let fits = match self {
            Type::String => value.is_string(),
            Type::Integer => value.is_i64(),
            Type::Number => value.is_number(),
            Type::Boolean => value.is_boolean(),
            Type::List => value.is_array(),
            Type::Map => value.is_object(),
            Type::Duration => match value {
                Value::String(text) => {
                    return duration::parse(text).map(drop).map_err(|e| (e, None));
                }
                _ => false,
            },
            Type::Quantity => match value {
                Value::String(text) => {
                    return quantity::Quantity::parse(text)
                        .map(drop)
                        .map_err(|e| (e, None));
                }
                other => other.is_number(),
            },
        };
        if fits {
            return Ok(());
        }
        let mend = match (self, value) {
            (Type::Integer | Type::Number | Type::Boolean, Value::String(text)) => {
                let reads = match self {
                    Type::Integer => text.parse::<i64>().is_ok(),
                    Type::Number => text.parse::<f64>().is_ok(),
                    _ => text.parse::<bool>().is_ok(),
                };
                reads.then(|| format!("write it without quotes: `{text}`"))
            }
            (Type::String, Value::Number(_) | Value::Bool(_)) => {
                Some(format!("quote it: `\"{value}\"`"))
            }
            (Type::Duration, Value::Number(n)) => Some(format!(
                "write it with its unit: `{n}s`, `{n}m`, `{n}h` or `{n}d`"
            )),
            (Type::List, Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
                Some("write it in brackets: `[…]`".into())
            }
            _ => None,
        };
        let is = Type::of(value).map_or("nothing", |is| match is {
            Type::Integer => "an integer",
            Type::Number => "a number",
            Type::Boolean => "a boolean",
            Type::List => "a list",
            Type::Map => "a map",
            Type::String | Type::Duration | Type::Quantity => "text",
        });
        Err((
            format!("its type is `{}`, and this is {is}", self.as_str()),
            mend,
        ))
    }

    /// A value of this type as expressions see it: a number is a double, however it was written.
    pub fn seen(self, value: Value) -> Value {
        match (self, value.as_f64()) {
            (Type::Number, Some(number)) => Value::from(number),
            _ => value,
        }
    }

    /// A value of the command line.
    ///
    /// # Errors
    /// It cannot be read as this type.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        let value = match self {
            Type::String | Type::Duration | Type::Quantity => Value::from(text),
            Type::Integer => text.parse::<i64>().map_or(Value::Null, Value::from),
            Type::Number => text.parse::<f64>().map_or(Value::Null, Value::from),
            Type::Boolean => text.parse::<bool>().map_or(Value::Null, Value::from),
            Type::List | Type::Map => match yaml::read(text) {
                (trees, problems) if problems.is_empty() && trees.len() == 1 => trees[0].to_value(),
                _ => Value::Null,
            },
        };
        match (self.check(&value), value) {
            (_, Value::Null) => Err(format!(
                "`{text}` cannot be read as its type, `{}`",
                self.as_str()
            )),
            (Ok(()), value) => Ok(value),
            (Err((message, _)), _) => Err(message),
        }
    }

    /// `type`, as it is written.
    pub fn read(report: &mut Report<'_>, tree: &Tree) -> Option<Type> {
        if let Some((_, right)) = tree
            .text()
            .and_then(|text| ALSO.iter().find(|(word, _)| *word == text))
        {
            let message = format!("`type` cannot be `{}`", tree.text().unwrap_or_default());
            report.error(tree, message, Some(format!("write `{right}`")));
            return None;
        }
        fields::word(report, tree, "`type`", &TYPES)
    }
}
