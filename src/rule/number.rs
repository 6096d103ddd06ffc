//! Numbers of objects and rules, compared exactly: an i64 is never rounded to a float on the way.

use crate::object::{Node, NodeKind};
use serde_json::Value;
use std::cmp::Ordering;

/// A number. Unsigned integers above `i64::MAX` are floats, as everywhere in a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// `None` for anything but a number.
    pub(super) fn of_node(node: Node<'_>) -> Option<Self> {
        match node.kind() {
            NodeKind::Int => node.as_i64().map(Self::Int),
            NodeKind::Float => node.as_f64().map(Self::Float),
            _ => None,
        }
    }

    /// `None` for anything but a number.
    pub(super) fn of_value(value: &Value) -> Option<Self> {
        let number = value.as_number()?;
        match number.as_i64() {
            Some(n) => Some(Self::Int(n)),
            None => number.as_f64().map(Self::Float),
        }
    }

    /// The nearest float.
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Int(n) => n as f64,
            Self::Float(n) => n,
        }
    }

    /// A number written as text, in JSON's spelling.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number: serde_json::Number = serde_json::from_str(text).ok()?;
        Self::of_value(&Value::Number(number))
    }

    /// `None` only if one of them is not a number (NaN), which no object and no rule holds.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => int_with_float(a, b),
            (Self::Float(a), Self::Int(b)) => int_with_float(b, a).map(Ordering::reverse),
        }
    }
}

/// 2^63, the first float above every i64.
const ABOVE: f64 = 9_223_372_036_854_775_808.0;

fn int_with_float(int: i64, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= ABOVE {
        return Some(Ordering::Less);
    }
    if float < -ABOVE {
        return Some(Ordering::Greater);
    }
    // In range, so that the whole part is exactly an i64.
    let whole = float.trunc();
    let fraction = float - whole;
    Some(int.cmp(&(whole as i64)).then_with(|| {
        // A fraction above zero makes the float the greater one.
        0.0_f64.partial_cmp(&fraction).unwrap_or(Ordering::Equal)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    #[test]
    fn compares_without_rounding() {
        let large = 9_007_199_254_740_993; // 2^53 + 1, no float
        for (a, b, expected) in [
            (Number::Int(1), Number::Float(1.0), Equal),
            (Number::Int(1), Number::Float(1.5), Less),
            (Number::Int(-1), Number::Float(-1.5), Greater),
            (
                Number::Int(large),
                Number::Float(9_007_199_254_740_992.0),
                Greater,
            ),
            (Number::Int(large), Number::Int(large - 1), Greater),
            (Number::Int(i64::MAX), Number::Float(ABOVE), Less),
            (Number::Int(i64::MIN), Number::Float(-ABOVE), Equal),
            (Number::Int(i64::MIN), Number::Float(-2.0 * ABOVE), Greater),
            (Number::Float(0.5), Number::Float(0.25), Greater),
        ] {
            assert_eq!(a.compare(b), Some(expected), "{a:?} {b:?}");
            assert_eq!(b.compare(a), Some(expected.reverse()), "{b:?} {a:?}");
        }
        assert_eq!(Number::Int(1).compare(Number::Float(f64::NAN)), None);
    }

    #[test]
    fn reads_json_spelling_only() {
        assert!(matches!(Number::parse("12"), Some(Number::Int(12))));
        assert!(matches!(Number::parse("-1.5e3"), Some(Number::Float(_))));
        for text in ["", "012", "0x10", "1_000", "500Mi", "NaN", "1e999"] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }
}
