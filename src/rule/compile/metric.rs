//! `metric: {name, type, labels, value, aggregate}`: names as Prometheus and its `promtool check metrics` want them.

use super::document::Context;
use super::file::File;
use super::report::{Report, Spot};
use super::{Draft, expressions, fields};
use crate::rule::expr::{Names, Template};
use crate::rule::metric::{Aggregate, Metric};
use crate::rule::yaml::{Data, Tree};
use ahash::AHashMap;
use serde_json::json;
use std::sync::Arc;

const FIELDS: [&str; 5] = ["name", "type", "labels", "value", "aggregate"];
/// In small letters as Prometheus writes them, too.
const TYPES: [(&str, bool); 4] = [
    ("Gauge", false),
    ("Counter", true),
    ("gauge", false),
    ("counter", true),
];
/// Families of Ordain itself and of its process begin with these.
const TAKEN: [&str; 2] = ["ordain_", "process_"];
/// Prometheus makes these itself of histograms and summaries.
const SUFFIXES: [&str; 3] = ["_bucket", "_count", "_sum"];
/// Longest name of a metric or label.
const LONGEST: usize = 128;
/// Most labels of a metric.
const MOST_LABELS: usize = 16;
/// Words that name a unit which is not the base unit, and what is.
const UNITS: [(&[&str], &str); 4] = [
    (
        &[
            "milliseconds",
            "microseconds",
            "nanoseconds",
            "minutes",
            "hours",
            "days",
            "weeks",
            "ms",
            "us",
            "ns",
            "sec",
            "secs",
            "s",
            "m",
            "h",
            "d",
        ],
        "seconds",
    ),
    (
        &[
            "bits",
            "kilobytes",
            "megabytes",
            "gigabytes",
            "terabytes",
            "kibibytes",
            "mebibytes",
            "gibibytes",
            "tebibytes",
            "b",
            "kb",
            "mb",
            "gb",
            "tb",
            "pb",
        ],
        "bytes",
    ),
    (&["percent"], "ratio"),
    (&["millicores", "millicpus"], "cores"),
];

/// `item`: the step has a `forEach`.
pub(super) fn compile(context: &mut Context<'_, '_>, tree: &Tree, item: bool) -> Option<Metric> {
    if let Some(text) = tree.text() {
        let mend = format!("write `metric: {{name: {}}}`", fields::shortened(text));
        context
            .report
            .error(tree, "`metric` is a map with a `name`", Some(mend));
        return None;
    }
    let of = fields::fields(context.report, tree, "`metric`", &FIELDS, &[])?;
    let counter = match of.get("type") {
        Some(tree) => fields::word(context.report, tree, "`type`", &TYPES)?,
        None => false,
    };
    let aggregate = match of.get("aggregate") {
        Some(tree) => {
            let small = tree.text().and_then(|text| {
                let mut all = Aggregate::ALL.into_iter();
                all.find(|aggregate| aggregate.as_str().to_lowercase() == text)
            });
            let words = Aggregate::ALL.map(|aggregate| (aggregate.as_str(), aggregate));
            match small {
                Some(aggregate) => Some(aggregate),
                None => Some(fields::word(context.report, tree, "`aggregate`", &words)?),
            }
        }
        None => None,
    };
    let name = match of.get("name") {
        Some(tree) => name(context, tree, counter),
        None => {
            if !of.refused {
                let at = of.key("name").unwrap_or(tree);
                let mend =
                    "write for example `{name: shop_replicas, value: \"${object.spec.replicas}\"}`";
                context
                    .report
                    .error(at, "`metric` needs a `name`", Some(mend.into()));
            }
            None
        }
    };
    let declared = context.declared.clone();
    let names = Names {
        item,
        ..declared.names()
    };
    let labels = match of.get("labels") {
        Some(tree) => labels(context, tree, aggregate.is_none(), names)?,
        None => vec![],
    };
    let value = match of.get("value") {
        Some(tree) if aggregate == Some(Aggregate::Count) => {
            let message = "`aggregate: Count` counts objects: it has no `value`";
            context.report.warning(
                tree,
                message,
                Some("take `value` out, or write `aggregate: Sum`".into()),
            );
            Template::compile(&json!(1), names).ok()?
        }
        Some(tree) => {
            let value = expressions::template(context, tree, names)?;
            let readable = |literal| crate::rule::metric::number(literal).is_some();
            if !value.literal().is_none_or(readable) {
                let message = format!("a `value` is a number, and here is {}", fields::found(tree));
                context.report.error(tree, message, None);
                return None;
            }
            value
        }
        None => Template::compile(&json!(1), names).ok()?,
    };
    if counter {
        if of.get("value").is_none() {
            let message = "a `Counter` needs a `value` that only grows";
            let mend = "for the number of objects write `type: Gauge` and `aggregate: Count`";
            let at = of.key("type").unwrap_or(tree);
            context.report.warning(at, message, Some(mend.into()));
        }
        if let (Some(tree), Some(aggregate)) = (of.get("aggregate"), aggregate)
            && aggregate != Aggregate::Sum
        {
            let message = format!("the {} of counters is no counter", aggregate.as_str());
            let mend = "write `aggregate: Sum`, or `type: Gauge`";
            context.report.error(tree, message, Some(mend.into()));
            return None;
        }
    }
    Some(Metric {
        name: name?,
        counter,
        labels,
        value,
        aggregate,
    })
}

fn name(context: &mut Context<'_, '_>, tree: &Tree, counter: bool) -> Option<Arc<str>> {
    let text = fields::text(context.report, tree, "`name`")?;
    // What is only the custom of the field is no reason to refuse a rule.
    let mut custom = true;
    let refused = if !is_name(text) {
        custom = false;
        Some((
            format!(
                "a metric's name has at most {LONGEST} lower-case letters, digits and `_`, and begins with a letter"
            ),
            made(text),
        ))
    } else if let Some(prefix) = TAKEN.iter().find(|prefix| text.starts_with(*prefix)) {
        custom = false;
        Some((
            format!("names that begin with `{prefix}` are Ordain's own"),
            None,
        ))
    } else if counter && !text.ends_with("_total") {
        Some((
            "the name of a `Counter` ends with `_total`".into(),
            Some(format!("{text}_total")),
        ))
    } else if !counter && text.ends_with("_total") {
        Some((
            "only the name of a `Counter` ends with `_total`".into(),
            text.strip_suffix("_total").map(Into::into),
        ))
    } else if let Some(suffix) = SUFFIXES.iter().find(|suffix| text.ends_with(*suffix)) {
        Some((
            format!("Prometheus makes names that end with `{suffix}` itself, of histograms"),
            None,
        ))
    } else if let Some(word) = text
        .split('_')
        .find(|part| ["gauge", "counter"].contains(part))
    {
        Some((
            format!("`{word}` is the type of a metric and no part of its name"),
            None,
        ))
    } else if let Some((word, unit)) = unit(text) {
        Some((
            format!("Prometheus measures in {unit}, and here is `{word}`"),
            Some(
                text.split('_')
                    .map(|part| if part == word { unit } else { part })
                    .collect::<Vec<_>>()
                    .join("_"),
            ),
        ))
    } else {
        None
    };
    if let Some((message, instead)) = refused {
        let mend = instead.map(|name| format!("write `{name}`"));
        if !custom {
            context.report.error(tree, message, mend);
            return None;
        }
        context.report.warning(tree, message, mend);
    }
    let name: Arc<str> = text.into();
    if let Some((_, first)) = context.metrics.iter().find(|(known, _)| *known == name) {
        let message = format!("a metric `{name}` stands already in line {}", first.line);
        let mend = "give each step its own name; what differs from object to object is a label";
        context.report.error(tree, message, Some(mend.into()));
        return None;
    }
    context.metrics.push((name.clone(), tree.into()));
    Some(name)
}

/// A word of the name that is a unit, and what would be right.
fn unit(name: &str) -> Option<(&str, &'static str)> {
    name.split('_').find_map(|part| {
        let of = |(words, unit): &(&[&str], &'static str)| words.contains(&part).then_some(*unit);
        UNITS.iter().find_map(of).map(|unit| (part, unit))
    })
}

fn is_name(text: &str) -> bool {
    text.len() <= LONGEST
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The nearest name that would be good.
fn made(text: &str) -> Option<String> {
    let mut made = String::new();
    for c in text.chars() {
        if c.is_ascii_uppercase() && !made.is_empty() && !made.ends_with('_') {
            made.push('_');
        }
        made.push(if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        });
    }
    let made = made.trim_matches('_').to_owned();
    is_name(&made).then_some(made)
}

fn labels(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    each: bool,
    names: Names<'_>,
) -> Option<Vec<(Arc<str>, Template)>> {
    let Data::Map(entries) = &tree.data else {
        let message = format!("`labels` is a map, and here is {}", fields::found(tree));
        context.report.error(tree, message, None);
        return None;
    };
    if entries.len() > MOST_LABELS {
        let message = format!("more than {MOST_LABELS} labels");
        context.report.error(tree, message, None);
        return None;
    }
    let mut labels = vec![];
    let mut good = true;
    for (key, value) in entries {
        let text = key.text().unwrap_or_default();
        if each && is_identity(text, value) {
            let message = format!("without `aggregate` each object has the label `{text}` anyway");
            context.report.warning(key, message, None);
            continue;
        }
        let refused = if !is_name(text) {
            let message = format!(
                "a label's name has at most {LONGEST} lower-case letters, digits and `_`, and begins with a letter"
            );
            Some((message, made(text).map(|name| format!("write `{name}`"))))
        } else if ["le", "quantile"].contains(&text) {
            Some((
                format!("the label `{text}` belongs to histograms and summaries"),
                None,
            ))
        } else if each && Metric::IDENTITY.contains(&text) {
            Some((
                format!(
                    "without `aggregate` each object has the label `{text}`, which tells it apart"
                ),
                Some("give it another name, or add `aggregate`".into()),
            ))
        } else {
            None
        };
        if let Some((message, mend)) = refused {
            context.report.error(key, message, mend);
            good = false;
            continue;
        }
        if value.is_null() || matches!(value.data, Data::List(_) | Data::Map(_)) {
            let message = format!(
                "the value of a label is text, and here is {}",
                fields::found(value)
            );
            context.report.error(value, message, None);
            good = false;
            continue;
        }
        match expressions::template(context, value, names) {
            Some(value) => labels.push((text.into(), value)),
            None => good = false,
        }
    }
    good.then_some(labels)
}

/// Whether a label says what the label of that name says of each object.
fn is_identity(label: &str, value: &Tree) -> bool {
    let inner = value.text().and_then(|text| {
        let inner = text.trim().strip_prefix("${")?.strip_suffix('}')?;
        Some(inner.trim())
    });
    let own = match label {
        "kind" => "object.kind",
        "namespace" => "object.metadata.namespace",
        "name" => "object.metadata.name",
        _ => return false,
    };
    inner == Some(own)
}

/// A name is one rule's: another one that has it too is broken, for nobody could tell their series apart.
pub(super) fn names_agree(
    drafts: Vec<(usize, Draft)>,
    files: &[File<'_>],
    reports: &mut [Report<'_>],
    broken: &mut Vec<(Arc<str>, Arc<str>)>,
) -> Vec<(usize, Draft)> {
    let mut first: AHashMap<Arc<str>, (Arc<str>, usize, Spot)> = AHashMap::new();
    let mut good = vec![];
    for (file, draft) in drafts {
        let mut agrees = true;
        for (name, at) in &draft.metrics {
            let own = || (draft.rule.name.clone(), file, *at);
            let (rule, other, line) = first.entry(name.clone()).or_insert_with(own);
            if *rule == draft.rule.name {
                continue;
            }
            agrees = false;
            let report = &mut reports[file];
            report.for_rule(Some(draft.rule.name.clone()));
            let message = format!(
                "the metric `{name}` is rule `{rule}`'s ({}:{})",
                files[*other].name, line.line
            );
            report.error(
                *at,
                message,
                Some("give each rule's metrics names of their own".into()),
            );
            report.for_rule(None);
        }
        if agrees {
            good.push((file, draft));
        } else {
            broken.push((draft.rule.name.clone(), files[file].name.clone()));
        }
    }
    good
}
