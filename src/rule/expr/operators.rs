//! `&&`, `||`, `-` and arithmetic.

use super::code::{Arithmetic, Code, Comparison};
use super::eval::{Fault, Frame, article};
use super::value::{self, Val};

impl Comparison {
    /// What to write where quantities or versions are compared.
    pub fn mend(self, a: &Val<'_>, b: &Val<'_>) -> Option<&'static str> {
        let ordered = value::QUANTITY | value::SEMVER;
        ((a.kind() | b.kind()) & ordered != 0).then_some(match self {
            Comparison::Less => "write `a.isLessThan(b)`",
            Comparison::Greater => "write `a.isGreaterThan(b)`",
            Comparison::AtMost => "write `a.compareTo(b) <= 0`",
            Comparison::AtLeast => "write `a.compareTo(b) >= 0`",
        })
    }
}

impl<'a> Frame<'_, 'a> {
    /// `&&` and `||`: a side that decides makes the other's fault not matter.
    pub(super) fn logic(&mut self, a: &Code, b: &Code, decisive: bool) -> Result<Val<'a>, Fault> {
        let left = self.bool(a);
        match left {
            Ok(value) if value == decisive => return Ok(Val::Bool(decisive)),
            Err(fault @ Fault::Spent(_)) => return Err(fault),
            _ => {}
        }
        match (left, self.bool(b)) {
            (_, Err(fault @ Fault::Spent(_))) => Err(fault),
            (_, Ok(value)) if value == decisive => Ok(Val::Bool(decisive)),
            (Ok(_), right) => right.map(Val::Bool),
            (Err(left), Ok(_)) => Err(left),
            // What is not known yet outweighs what is wrong: the object waits.
            (Err(left), Err(right)) => Err(match right {
                Fault::Unknown(_) => right,
                _ => left,
            }),
        }
    }

    pub(super) fn negate(&mut self, operand: &Code) -> Result<Val<'a>, Fault> {
        match self.eval(operand)? {
            Val::Int(n) => n.checked_neg().map(Val::Int).ok_or_else(overflow),
            Val::Double(d) => Ok(Val::Double(-d)),
            Val::Duration(d) => d.checked_neg().map(Val::Duration).ok_or_else(overflow),
            other => Err(Fault::failed(format!(
                "`-` cannot take {}",
                article(&other)
            ))),
        }
    }

    /// `a operator b`.
    pub fn arithmetic(
        &mut self,
        operator: Arithmetic,
        a: Val<'a>,
        b: Val<'a>,
    ) -> Result<Val<'a>, Fault> {
        use Arithmetic::{Add, Divide, Multiply, Remainder, Subtract};
        let (a, b) = alike(a, b);
        match (operator, &a, &b) {
            (Divide | Remainder, Val::Int(_), Val::Int(0))
            | (Divide | Remainder, Val::UInt(_), Val::UInt(0)) => {
                Err(Fault::failed("division by zero"))
            }
            (_, Val::Int(x), Val::Int(y)) => match operator {
                Add => x.checked_add(*y),
                Subtract => x.checked_sub(*y),
                Multiply => x.checked_mul(*y),
                Divide => x.checked_div(*y),
                Remainder => x.checked_rem(*y),
            }
            .map(Val::Int)
            .ok_or_else(overflow),
            (_, Val::UInt(x), Val::UInt(y)) => match operator {
                Add => x.checked_add(*y),
                Subtract => x.checked_sub(*y),
                Multiply => x.checked_mul(*y),
                Divide => x.checked_div(*y),
                Remainder => x.checked_rem(*y),
            }
            .map(Val::UInt)
            .ok_or_else(overflow),
            (Add, Val::Double(x), Val::Double(y)) => Ok(Val::Double(x + y)),
            (Subtract, Val::Double(x), Val::Double(y)) => Ok(Val::Double(x - y)),
            (Multiply, Val::Double(x), Val::Double(y)) => Ok(Val::Double(x * y)),
            (Divide, Val::Double(x), Val::Double(y)) => Ok(Val::Double(x / y)),
            (Add, Val::Text(x), Val::Text(y)) => {
                self.room(x.len() + y.len())?;
                Ok(Val::text([&**x, &**y].concat()))
            }
            (Add, Val::Bytes(x), Val::Bytes(y)) => {
                self.room(x.len() + y.len())?;
                Ok(Val::Bytes([&**x, &**y].concat().into()))
            }
            (Add, Val::List(_) | Val::NodeList(_), Val::List(_) | Val::NodeList(_)) => {
                let count = a.count().unwrap_or_default() + b.count().unwrap_or_default();
                self.charge(count)?;
                Ok(Val::list(a.items().chain(b.items()).collect()))
            }
            (Add, Val::Timestamp(t), Val::Duration(d))
            | (Add, Val::Duration(d), Val::Timestamp(t)) => t
                .checked_add(*d)
                .map(Val::Timestamp)
                .map_err(|_| overflow()),
            (Subtract, Val::Timestamp(t), Val::Duration(d)) => t
                .checked_sub(*d)
                .map(Val::Timestamp)
                .map_err(|_| overflow()),
            (Subtract, Val::Timestamp(x), Val::Timestamp(y)) => {
                Ok(Val::Duration(x.duration_since(*y)))
            }
            (Add, Val::Duration(x), Val::Duration(y)) => {
                x.checked_add(*y).map(Val::Duration).ok_or_else(overflow)
            }
            (Subtract, Val::Duration(x), Val::Duration(y)) => {
                x.checked_sub(*y).map(Val::Duration).ok_or_else(overflow)
            }
            _ => Err(Fault::failed(format!(
                "`{}` cannot take {} and {}{}",
                operator.as_str(),
                article(&a),
                article(&b),
                mend(&a, &b)
            ))),
        }
    }
}

/// A whole number beside a fraction is one too. CEL itself takes neither for the other, so that no expression that it takes means something else
/// here; whoever calculates with a parameter of the type `number` does not know which of the two it is.
fn alike<'a>(a: Val<'a>, b: Val<'a>) -> (Val<'a>, Val<'a>) {
    let widened = |value: &Val<'a>| match value {
        Val::Int(whole) => Some(Val::Double(*whole as f64)),
        Val::UInt(whole) => Some(Val::Double(*whole as f64)),
        _ => None,
    };
    match (&a, &b) {
        (Val::Double(_), other) => match widened(other) {
            Some(b) => (a, b),
            None => (a, b),
        },
        (other, Val::Double(_)) => match widened(other) {
            Some(a) => (a, b),
            None => (a, b),
        },
        _ => (a, b),
    }
}

pub(super) fn overflow() -> Fault {
    Fault::failed("the result is out of range")
}

/// What helps where an operator does not take two kinds.
fn mend(a: &Val<'_>, b: &Val<'_>) -> &'static str {
    let kinds = a.kind() | b.kind();
    if kinds & value::OPTIONAL != 0 {
        "; take the value out with `.orValue(…)`"
    } else if kinds & value::QUANTITY != 0 {
        "; quantities have `.add(…)` and `.sub(…)`"
    } else if kinds & value::STRING != 0 {
        "; `string(…)` makes text"
    } else if kinds & value::DOUBLE != 0 && kinds & value::NUMBER == kinds {
        "; `double(…)` or `int(…)` makes them alike"
    } else {
        ""
    }
}
