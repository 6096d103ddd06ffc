//! `metric`: a number of each object that matches, for `/metrics`.

use super::expr::Template;
use crate::object::quantity::Quantity;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// A compiled `metric` step.
pub struct Metric {
    /// As Prometheus names it; no other step of any rule has it.
    pub name: Arc<str>,
    /// It only grows, but for the end of a match.
    pub counter: bool,
    /// Beside [`Metric::IDENTITY`], where nothing is aggregated.
    pub labels: Vec<(Arc<str>, Template)>,
    /// What [`number`] reads; 1, if nothing is written.
    pub value: Template,
    /// One series for all objects with the same labels; `None`: each object has its own.
    pub aggregate: Option<Aggregate>,
}

/// What becomes of the numbers of objects with the same labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// All together.
    Sum,
    /// How many there are.
    Count,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Their mean.
    Average,
}

impl Metric {
    /// The labels that tell objects apart, where nothing is aggregated.
    pub const IDENTITY: [&'static str; 3] = ["kind", "namespace", "name"];

    /// The names of all its labels, in order.
    pub fn label_names(&self) -> Vec<Arc<str>> {
        let own: &[&str] = match self.aggregate {
            None => &Metric::IDENTITY,
            Some(_) => &[],
        };
        let written = self.labels.iter().map(|(name, _)| name.clone());
        own.iter()
            .map(|name| Arc::from(*name))
            .chain(written)
            .collect()
    }
}

impl Aggregate {
    /// All of them.
    pub const ALL: [Aggregate; 5] = [
        Aggregate::Sum,
        Aggregate::Count,
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::Average,
    ];

    /// As in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Aggregate::Sum => "Sum",
            Aggregate::Count => "Count",
            Aggregate::Min => "Min",
            Aggregate::Max => "Max",
            Aggregate::Average => "Average",
        }
    }

    /// Of some numbers, at least one.
    pub fn of(self, numbers: &[f64]) -> f64 {
        let sum = || numbers.iter().sum::<f64>();
        match self {
            Aggregate::Sum => sum(),
            Aggregate::Count => numbers.len() as f64,
            Aggregate::Min => numbers.iter().copied().fold(f64::INFINITY, f64::min),
            Aggregate::Max => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Aggregate::Average => sum() / numbers.len() as f64,
        }
    }
}

/// The number of one object, or of one element of its `forEach`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Which step of the rule.
    pub step: usize,
    /// The values of [`Metric::label_names`], in order.
    pub labels: Arc<[Box<str>]>,
    /// The number.
    pub value: f64,
}

/// A value as a number: numbers, booleans (0 and 1), quantities in their base unit, times in seconds since 1970. Never infinite.
pub fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::Bool(yes) => f64::from(u8::from(*yes)),
        Value::String(text) => match (Quantity::parse(text), text.parse::<Timestamp>()) {
            (Ok(quantity), _) => quantity.as_f64(),
            (_, Ok(moment)) => moment.as_nanosecond() as f64 / 1e9,
            _ => return None,
        },
        _ => return None,
    };
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_read_as_numbers() {
        for (value, expected) in [
            (json!(3), Some(3.0)),
            (json!(true), Some(1.0)),
            (json!("1Gi"), Some(1_073_741_824.0)),
            (json!("250m"), Some(0.25)),
            (json!("1970-01-01T00:01:00Z"), Some(60.0)),
            (json!("many"), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            assert_eq!(number(&value), expected, "{value}");
        }
    }

    #[test]
    fn numbers_become_one() {
        let of = |aggregate: Aggregate| aggregate.of(&[2.0, 4.0, 9.0]);
        assert_eq!(Aggregate::ALL.map(of), [15.0, 3.0, 2.0, 9.0, 5.0]);
    }
}
