//! What edits write, checked against the schema like paths: every key, and the type of every literal.

use super::clauses::described;
use super::document::Context;
use super::fields::{self, did_you_mean, found};
use crate::rule::yaml::{Data, Tree};
use crate::schema::{Shape, Type};
use serde_json::Value;

/// A type that the value may have in one of the matched kinds.
#[derive(Clone, Copy)]
pub(super) struct Target<'s> {
    pub kind: &'s str,
    pub of: Type<'s>,
}

/// Something found, to be reported when the kinds are not borrowed any more.
pub(super) struct Found<'t> {
    tree: &'t Tree,
    message: String,
    mend: Option<String>,
    /// The type that a parameter would have to be of.
    wanted: Option<&'static str>,
    /// Some kinds can take it.
    partly: bool,
}

/// Checks a value against its types in the matched kinds.
pub(super) fn check<'t>(tree: &'t Tree, targets: &[Target<'_>], found: &mut Vec<Found<'t>>) {
    if targets.is_empty() {
        return;
    }
    match &tree.data {
        Data::Map(entries) => {
            let Some(maps) = narrowed(tree, targets, found, |shape| {
                matches!(shape, Shape::Object | Shape::Map | Shape::Any)
            }) else {
                return;
            };
            for (key, value) in entries {
                let name = key.text().unwrap_or_default();
                if name.contains("${") {
                    continue;
                }
                let next = fields_of(&maps, name);
                if next.len() < maps.len() {
                    found.push(unknown(key, name, &maps, next.len()));
                }
                check(value, &next, found);
            }
        }
        Data::List(items) => {
            let lists = narrowed(tree, targets, found, |shape| {
                matches!(shape, Shape::List | Shape::Any)
            });
            let elements: Vec<Target<'_>> = lists
                .iter()
                .flatten()
                .filter_map(|t| {
                    Some(Target {
                        of: t.of.element()?,
                        ..*t
                    })
                })
                .collect();
            for item in items {
                check(item, &elements, found);
            }
        }
        Data::Scalar { value, .. } => scalar(tree, value, targets, found),
    }
}

fn fields_of<'s>(targets: &[Target<'s>], name: &str) -> Vec<Target<'s>> {
    targets
        .iter()
        .filter_map(|t| {
            Some(Target {
                of: t.of.field(name)?,
                ..*t
            })
        })
        .collect()
}

fn unknown<'t>(key: &'t Tree, name: &str, maps: &[Target<'_>], known: usize) -> Found<'t> {
    let without: Vec<&Target<'_>> = maps.iter().filter(|t| t.of.field(name).is_none()).collect();
    let candidates = without.iter().flat_map(|t| t.of.field_names());
    let kind = without.first().map_or("", |t| t.kind);
    Found {
        tree: key,
        message: format!("{kind} has no field `{name}` here"),
        mend: did_you_mean(name, candidates).or_else(|| {
            let names = without.first().map(|t| t.of.field_names())?;
            (names.len() <= 12).then(|| format!("its fields are {}", names.join(", ")))
        }),
        wanted: None,
        partly: known > 0,
    }
}

/// The targets that can hold such a value; none is a problem.
fn narrowed<'s, 't>(
    tree: &'t Tree,
    targets: &[Target<'s>],
    found: &mut Vec<Found<'t>>,
    fits: impl Fn(Shape) -> bool,
) -> Option<Vec<Target<'s>>> {
    let fitting: Vec<Target<'s>> = targets
        .iter()
        .filter(|t| fits(t.of.shape()))
        .copied()
        .collect();
    if fitting.is_empty() {
        found.push(wrong(tree, targets, None));
        return None;
    }
    Some(fitting)
}

fn wrong<'t>(tree: &'t Tree, targets: &[Target<'_>], mend: Option<String>) -> Found<'t> {
    let is = targets
        .first()
        .map_or("anything", |t| described(t.of.shape()));
    Found {
        tree,
        message: format!("this field is {is}, and here is {}", self::found(tree)),
        mend,
        wanted: targets.first().and_then(|t| parameter_type(t.of.shape())),
        partly: false,
    }
}

fn scalar<'t>(tree: &'t Tree, value: &Value, targets: &[Target<'_>], found: &mut Vec<Found<'t>>) {
    let text = value.as_str().unwrap_or("");
    if value.is_null() || text.starts_with("${") && text.ends_with('}') {
        return;
    }
    if targets.iter().any(|t| holds(t.of.shape(), value)) {
        return;
    }
    let shape = targets.first().map_or(Shape::Any, |t| t.of.shape());
    let mend = match (shape, value) {
        (Shape::String | Shape::Time, Value::Number(_) | Value::Bool(_)) => {
            Some(format!("quote it: `\"{value}\"`"))
        }
        (Shape::Integer | Shape::Number, Value::String(text)) if text.parse::<f64>().is_ok() => {
            Some(format!("write it without quotes: `{text}`"))
        }
        (Shape::Boolean, Value::String(text)) if text == "true" || text == "false" => {
            Some(format!("write it without quotes: `{text}`"))
        }
        (Shape::List, _) => {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            Some(format!("write `[{}]`", fields::shortened(&text)))
        }
        _ => None,
    };
    found.push(wrong(tree, targets, mend));
}

/// The type of a parameter that fits.
pub(super) fn parameter_type(shape: Shape) -> Option<&'static str> {
    Some(match shape {
        Shape::Object | Shape::Map => "map",
        Shape::List => "list",
        Shape::Integer => "integer",
        Shape::Number => "number",
        Shape::Boolean => "boolean",
        Shape::Quantity => "quantity",
        Shape::String | Shape::Time => "string",
        Shape::Any | Shape::IntOrString => return None,
    })
}

/// Whether the server takes this literal for a field of this type.
fn holds(shape: Shape, value: &Value) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Object | Shape::Map | Shape::List => false,
        Shape::Integer => value.is_i64() || value.is_u64(),
        Shape::Number => value.is_number(),
        Shape::Boolean => value.is_boolean(),
        Shape::IntOrString => value.is_i64() || value.is_string(),
        Shape::Quantity => value.is_number() || value.is_string(),
        Shape::String | Shape::Time => value.is_string(),
    }
}

/// Reports what was found; `unchecked`: some matched kind has no schema, and may take it.
pub(super) fn report(context: &mut Context<'_, '_>, found: Vec<Found<'_>>, unchecked: bool) {
    for one in found {
        let mend = match one.wanted {
            Some(_) => context.report.mend_of_type(one.tree, one.wanted, one.mend),
            None => one.mend,
        };
        if one.partly || unchecked {
            context.report.warning(one.tree, one.message, mend);
        } else {
            context.report.error(one.tree, one.message, mend);
        }
    }
}

/// The fields below an edit's path that a value writes: names, `None` for elements. The path itself where it is not a map of known keys.
pub(super) fn written(tree: &Tree) -> Vec<Vec<Option<&str>>> {
    let mut leaves = vec![];
    gather(tree, &mut vec![], &mut leaves);
    leaves
}

/// As [`written`] for the elements of an `upsert`; the key fields only say which element is meant.
pub(super) fn written_by_elements<'t>(
    tree: &'t Tree,
    keys: &[String],
) -> Vec<Vec<Option<&'t str>>> {
    let Data::List(items) = &tree.data else {
        return vec![vec![]];
    };
    let mut leaves = vec![];
    for item in items {
        let mut of_item = vec![];
        gather(item, &mut vec![None], &mut of_item);
        of_item.retain(|leaf| match leaf.as_slice() {
            [None, Some(name)] => !keys.iter().any(|key| key == name),
            _ => true,
        });
        leaves.append(&mut of_item);
    }
    if leaves.is_empty() {
        leaves.push(vec![]);
    }
    leaves
}

/// Most fields of one value that are looked up.
const MOST_LEAVES: usize = 1_000;

fn gather<'t>(
    tree: &'t Tree,
    at: &mut Vec<Option<&'t str>>,
    leaves: &mut Vec<Vec<Option<&'t str>>>,
) {
    if leaves.len() >= MOST_LEAVES {
        return;
    }
    match &tree.data {
        Data::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let name = key.text().unwrap_or_default();
                if name.contains("${") {
                    leaves.push(at.clone());
                    continue;
                }
                at.push(Some(name));
                gather(value, at, leaves);
                at.pop();
            }
        }
        _ => leaves.push(at.clone()),
    }
}
