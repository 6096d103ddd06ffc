//! Values by which objects are put in order, read as `as` says.

use super::super::number::Number;
use super::super::path::{Path, PodPrefix};
use super::reading::{Left, Seen, Unreadable, read};
use super::{Operator, ReadAs};
use crate::object::Node;
use crate::object::quantity::Quantity;
use jiff::Timestamp;
use semver::Version;
use serde_json::Value;
use std::cmp::{Ordering, Reverse};
use std::time::Duration;

/// A value to order by. Values of different types are in the order of the types: numbers, moments, text.
#[derive(Clone, Debug)]
pub struct SortKey(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// Nothing to order by: all are equal.
    None,
    Number(Number),
    /// Nanoseconds.
    Moment(i128),
    /// The older, the larger.
    Age(Reverse<i128>),
    Span(Duration),
    Quantity(Quantity),
    Semver(Version),
    Text(Box<str>),
}

/// Why there is nothing to order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsortable {
    /// There is no value, or only null.
    Absent,
    /// There are several values.
    Several,
    /// It is of this type, which has no order or cannot be read as asked.
    WrongType(&'static str),
}

impl SortKey {
    /// Equal to every other of its kind.
    pub const NONE: SortKey = SortKey(Kind::None);

    /// Of the one value that a path selects; with `as: count`, of how many it selects.
    ///
    /// # Errors
    /// There is none, more than one, or it is of the wrong type.
    pub fn of_path(
        path: &Path,
        root: Node<'_>,
        pod: PodPrefix,
        read_as: Option<ReadAs>,
    ) -> Result<SortKey, Unsortable> {
        let mut count = 0i64;
        let mut key = Err(Unsortable::Absent);
        path.select(root, pod, &mut |node| {
            count += 1;
            if read_as != Some(ReadAs::Count) {
                key = match count {
                    1 => SortKey::of(Seen::Node(node), read_as),
                    _ => Err(Unsortable::Several),
                };
            }
            read_as == Some(ReadAs::Count) || count < 2
        });
        match read_as {
            Some(ReadAs::Count) => Ok(SortKey(Kind::Number(Number::Int(count)))),
            _ => key,
        }
    }

    /// Of a computed value.
    ///
    /// # Errors
    /// It is null, or of the wrong type.
    pub fn of_value(value: &Value, read_as: Option<ReadAs>) -> Result<SortKey, Unsortable> {
        match value {
            Value::Null => Err(Unsortable::Absent),
            value => SortKey::of(Seen::Value(value), read_as),
        }
    }

    fn of(seen: Seen<'_>, read_as: Option<ReadAs>) -> Result<SortKey, Unsortable> {
        if read_as.is_none() {
            let kind = match (seen.as_str(), seen.number()) {
                (Some(text), _) => match text.parse::<Timestamp>() {
                    Ok(moment) => Kind::Moment(moment.as_nanosecond()),
                    Err(_) => Kind::Text(text.into()),
                },
                (None, Some(number)) => Kind::Number(number),
                (None, None) => return Err(Unsortable::WrongType(seen.kind())),
            };
            return Ok(SortKey(kind));
        }
        let wrong = || Unsortable::WrongType(seen.kind());
        let left = match read(seen, read_as, Operator::LessThan) {
            Ok(Some(left)) => left,
            // An image without a tag.
            Ok(None) => return Err(Unsortable::Absent),
            Err(Unreadable) => return Err(wrong()),
        };
        Ok(SortKey(match left {
            Left::Number(number) => Kind::Number(number),
            Left::Span(span) => Kind::Span(span),
            Left::Moment(moment) if read_as == Some(ReadAs::Age) => Kind::Age(Reverse(moment)),
            Left::Moment(moment) => Kind::Moment(moment),
            Left::Quantity(quantity) => Kind::Quantity(quantity),
            Left::Semver(version) => Kind::Semver(version),
            Left::Text(text) => Kind::Text(text.as_ref().into()),
            Left::Seen(_) => return Err(wrong()),
        }))
    }
}

impl Kind {
    fn place(&self) -> u8 {
        match self {
            Kind::None => 0,
            Kind::Number(_) => 1,
            Kind::Moment(_) => 2,
            Kind::Age(_) => 3,
            Kind::Span(_) => 4,
            Kind::Quantity(_) => 5,
            Kind::Semver(_) => 6,
            Kind::Text(_) => 7,
        }
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            // No object holds a number that is none.
            (Kind::Number(a), Kind::Number(b)) => a.compare(*b).unwrap_or(Ordering::Equal),
            (Kind::Moment(a), Kind::Moment(b)) => a.cmp(b),
            (Kind::Age(a), Kind::Age(b)) => a.cmp(b),
            (Kind::Span(a), Kind::Span(b)) => a.cmp(b),
            (Kind::Quantity(a), Kind::Quantity(b)) => a.cmp(b),
            (Kind::Semver(a), Kind::Semver(b)) => a.cmp_precedence(b),
            (Kind::Text(a), Kind::Text(b)) => a.cmp(b),
            (a, b) => a.place().cmp(&b.place()),
        }
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SortKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SortKey {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn in_order(values: &[Value], read_as: Option<ReadAs>) {
        let keys: Vec<SortKey> = values
            .iter()
            .map(|value| SortKey::of_value(value, read_as).unwrap())
            .collect();
        assert!(keys.windows(2).all(|two| two[0] < two[1]), "{keys:?}");
    }

    #[test]
    fn values_are_ordered_as_what_they_are() {
        in_order(&[json!(-1), json!(2), json!(2.5), json!(10)], None);
        in_order(&[json!("10"), json!("2"), json!("a")], None);
        in_order(&[json!("2"), json!("10")], Some(ReadAs::Number));
        in_order(
            &[json!("100m"), json!(1), json!("1Ki")],
            Some(ReadAs::Quantity),
        );
        in_order(&[json!("90s"), json!("1h")], Some(ReadAs::Duration));
        in_order(&[json!("v1.9.0"), json!("1.10.0")], Some(ReadAs::Semver));
        in_order(&[json!("abcd"), json!("abcde")], Some(ReadAs::Size));
    }

    #[test]
    fn times_are_ordered_as_moments_and_ages_the_other_way_round() {
        let early = json!("2026-01-01T00:00:00Z");
        // Text would put the fraction first.
        let later = json!("2026-01-01T00:00:00.5Z");
        in_order(&[early.clone(), later.clone()], None);
        in_order(&[early.clone(), later.clone()], Some(ReadAs::Until));
        in_order(&[later, early], Some(ReadAs::Age));
    }

    #[test]
    fn what_has_no_order_is_told() {
        let of = |value: Value, read_as| SortKey::of_value(&value, read_as).unwrap_err();
        assert_eq!(of(json!(null), None), Unsortable::Absent);
        assert_eq!(of(json!([1]), None), Unsortable::WrongType("a list"));
        let number = Some(ReadAs::Number);
        assert_eq!(of(json!("x"), number), Unsortable::WrongType("text"));
        assert_eq!(
            of(json!("nginx"), Some(ReadAs::ImageTag)),
            Unsortable::Absent
        );
    }
}
