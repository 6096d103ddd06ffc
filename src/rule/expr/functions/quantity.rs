//! Kubernetes' quantity library. Sums and differences print themselves in the left side's family of suffixes.

use super::{Function, global, member, mismatch, unreadable};
use crate::object::quantity::{Format, Quantity};
use crate::rule::expr::eval::Fault;
use crate::rule::expr::operators::overflow;
use crate::rule::expr::value::{DOUBLE, INT, QUANTITY, QuantityVal, STRING, Val};
use std::sync::Arc;

pub(super) static TABLE: &[Function] = &[
    // A number is what manifests say before a server has made text of it: `cpu: 2`.
    global("quantity", &[STRING | INT | DOUBLE], |frame, args| {
        let text: Box<str> = match args {
            [Val::Text(text)] => (&**text).into(),
            [Val::Int(number)] => number.to_string().into(),
            [Val::Double(number)] => number.to_string().into(),
            _ => return mismatch(),
        };
        match Quantity::parse_with_format(&text) {
            Ok((amount, format)) => Ok(Val::Quantity(Arc::new(QuantityVal {
                amount,
                format,
                text: Some(text),
            }))),
            Err(reason) => Err(unreadable(frame, "quantity", "quantity", reason)),
        }
    })
    .at_load(),
    global(
        "isQuantity",
        &[STRING | INT | DOUBLE],
        |_, args| match args {
            [Val::Int(_)] => Ok(Val::Bool(true)),
            [Val::Double(number)] => Ok(Val::Bool(Quantity::parse(&number.to_string()).is_ok())),
            [Val::Text(text)] => Ok(Val::Bool(Quantity::parse(text).is_ok())),
            _ => mismatch(),
        },
    ),
    member("isInteger", &[QUANTITY], |_, args| {
        let amount = amount(&args[0])?;
        Ok(Val::Bool(amount.as_i64().is_some()))
    }),
    member("asInteger", &[QUANTITY], |_, args| {
        amount(&args[0])?
            .as_i64()
            .map(Val::Int)
            .ok_or_else(|| Fault::failed("`asInteger`: the quantity is no integer"))
    }),
    member("asApproximateFloat", &[QUANTITY], |_, args| {
        Ok(Val::Double(amount(&args[0])?.as_f64()))
    }),
    member("sign", &[QUANTITY], |_, args| {
        Ok(Val::Int(amount(&args[0])?.sign()))
    }),
    member("add", &[QUANTITY, QUANTITY | INT], |_, args| {
        computed(args, Quantity::checked_add)
    }),
    member("sub", &[QUANTITY, QUANTITY | INT], |_, args| {
        computed(args, Quantity::checked_sub)
    }),
];

/// The amount of a quantity, or of an integer beside one.
pub(super) fn amount(value: &Val<'_>) -> Result<Quantity, Fault> {
    match value {
        Val::Quantity(quantity) => Ok(quantity.amount),
        Val::Int(n) => Ok(Quantity::from_i64(*n)),
        _ => Err(Fault::failed("a quantity is needed")),
    }
}

fn computed<'a>(
    args: &[Val<'a>],
    operation: fn(Quantity, Quantity) -> Option<Quantity>,
) -> Result<Val<'a>, Fault> {
    let (left, right) = (amount(&args[0])?, amount(&args[1])?);
    let format = |value: &Val<'_>| match value {
        Val::Quantity(quantity) => quantity.format,
        _ => Format::DecimalSi,
    };
    // As upstream: a zero on the left takes the other's suffixes.
    let format = format(if left == Quantity::from_i64(0) {
        &args[1]
    } else {
        &args[0]
    });
    let amount = operation(left, right).ok_or_else(overflow)?;
    Ok(Val::Quantity(Arc::new(QuantityVal {
        amount,
        format,
        text: None,
    })))
}
