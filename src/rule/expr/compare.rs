//! Order and equality.

use super::eval::{Fault, Frame};
use super::value::{LIST, MAP, Val};
use std::cmp::Ordering;

/// An int and a double, compared exactly.
fn compare_int_double(int: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Beyond ±2^65 the double is larger than any integer here.
    if double >= 36_893_488_147_419_103_232.0 {
        return Some(Ordering::Less);
    }
    if double <= -36_893_488_147_419_103_232.0 {
        return Some(Ordering::Greater);
    }
    let whole = double.trunc();
    Some(int.cmp(&(whole as i128)).then_with(|| {
        0.0f64
            .partial_cmp(&(double - whole))
            .unwrap_or(Ordering::Equal)
    }))
}

fn integer(value: &Val<'_>) -> Option<i128> {
    match value {
        Val::Int(n) => Some((*n).into()),
        Val::UInt(n) => Some((*n).into()),
        _ => None,
    }
}

/// Compares numbers of any kind; `None` for NaN and for what is no number.
fn compare_numbers(a: &Val<'_>, b: &Val<'_>) -> Option<Ordering> {
    match (a, b) {
        (Val::Double(a), Val::Double(b)) => a.partial_cmp(b),
        (Val::Double(a), b) => compare_int_double(integer(b)?, *a).map(Ordering::reverse),
        (a, Val::Double(b)) => compare_int_double(integer(a)?, *b),
        (a, b) => Some(integer(a)?.cmp(&integer(b)?)),
    }
}

/// Orders two values of comparable kinds; `None` where CEL knows no order.
pub(super) fn compare(a: &Val<'_>, b: &Val<'_>) -> Option<Ordering> {
    match (a, b) {
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        (Val::Text(a), Val::Text(b)) => Some((**a).cmp(&**b)),
        (Val::Bytes(a), Val::Bytes(b)) => Some(a.cmp(b)),
        (Val::Timestamp(a), Val::Timestamp(b)) => Some(a.cmp(b)),
        (Val::Duration(a), Val::Duration(b)) => Some(a.cmp(b)),
        _ => compare_numbers(a, b),
    }
}

/// Equality of everything that is no list, map or optional.
pub(super) fn same_scalar(a: &Val<'_>, b: &Val<'_>) -> bool {
    match (a, b) {
        (Val::Null, Val::Null) => true,
        (Val::Quantity(a), Val::Quantity(b)) => a.amount == b.amount,
        (Val::Semver(a), Val::Semver(b)) => a.cmp_precedence(b).is_eq(),
        (Val::Ip(a), Val::Ip(b)) => a == b,
        (Val::Cidr(a), Val::Cidr(b)) => a == b,
        (Val::Url(a), Val::Url(b)) => a.text == b.text,
        (Val::Image(a), Val::Image(b)) => a == b,
        (Val::Type(a), Val::Type(b)) => a == b,
        _ => compare(a, b).is_some_and(Ordering::is_eq),
    }
}

/// CEL's `==`: by value, deep, maps in any order; values of different kinds are not equal.
pub(super) fn equal<'a>(
    frame: &mut Frame<'_, 'a>,
    a: &Val<'a>,
    b: &Val<'a>,
) -> Result<bool, Fault> {
    match (a, b) {
        (Val::Optional(a), Val::Optional(b)) => match (a, b) {
            (Some(a), Some(b)) => equal(frame, a, b),
            (None, None) => Ok(true),
            _ => Ok(false),
        },
        (Val::NodeList(a), Val::NodeList(b)) | (Val::NodeMap(a), Val::NodeMap(b)) => {
            frame.charge(1 + a.size().min(b.size()) / 64)?;
            Ok(a.same(*b))
        }
        _ if a.kind() == LIST && b.kind() == LIST => {
            if a.count() != b.count() {
                return Ok(false);
            }
            let mut others = b.items();
            for item in a.items() {
                frame.charge(1)?;
                match others.next() {
                    Some(other) if equal(frame, &item, &other)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        _ if a.kind() == MAP && b.kind() == MAP => {
            if a.count() != b.count() {
                return Ok(false);
            }
            let cost = 1 + b.count().unwrap_or_default() / 16;
            for (key, value) in a.members() {
                frame.charge(cost)?;
                match b.member_at(&key) {
                    Some(other) if equal(frame, &value, &other)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        _ => Ok(same_scalar(a, b)),
    }
}
