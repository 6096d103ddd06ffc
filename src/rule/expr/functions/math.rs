//! The math extension, without its bit operations.

use super::{Function, global, mismatch};
use crate::rule::expr::compare::compare;
use crate::rule::expr::eval::{Fault, Frame, article};
use crate::rule::expr::operators::overflow;
use crate::rule::expr::value::{DOUBLE, LIST, NUMBER, Val};
use std::cmp::Ordering;

pub(super) static TABLE: &[Function] = &[
    global("math.greatest", &[NUMBER | LIST], |frame, args| {
        extreme(frame, args, Ordering::Greater, "math.greatest")
    })
    .variadic(),
    global("math.least", &[NUMBER | LIST], |frame, args| {
        extreme(frame, args, Ordering::Less, "math.least")
    })
    .variadic(),
    global("math.ceil", &[DOUBLE], |_, args| of_double(args, f64::ceil)),
    global("math.floor", &[DOUBLE], |_, args| {
        of_double(args, f64::floor)
    }),
    global("math.round", &[DOUBLE], |_, args| {
        of_double(args, f64::round)
    }),
    global("math.trunc", &[DOUBLE], |_, args| {
        of_double(args, f64::trunc)
    }),
    global("math.sqrt", &[NUMBER], |_, args| match &args[0] {
        Val::Int(n) => Ok(Val::Double((*n as f64).sqrt())),
        Val::UInt(n) => Ok(Val::Double((*n as f64).sqrt())),
        Val::Double(d) => Ok(Val::Double(d.sqrt())),
        _ => mismatch(),
    }),
    global("math.abs", &[NUMBER], |_, args| match &args[0] {
        Val::Int(n) => n.checked_abs().map(Val::Int).ok_or_else(overflow),
        Val::Double(d) => Ok(Val::Double(d.abs())),
        other => Ok(other.clone()),
    }),
    global("math.sign", &[NUMBER], |_, args| match &args[0] {
        Val::Int(n) => Ok(Val::Int(n.signum())),
        Val::UInt(n) => Ok(Val::UInt((*n).min(1))),
        Val::Double(0.0) => Ok(Val::Double(0.0)),
        Val::Double(d) if d.is_nan() => Ok(Val::Double(*d)),
        Val::Double(d) => Ok(Val::Double(d.signum())),
        _ => mismatch(),
    }),
    global("math.isNaN", &[DOUBLE], |_, args| test(args, f64::is_nan)),
    global("math.isInf", &[DOUBLE], |_, args| {
        test(args, f64::is_infinite)
    }),
    global("math.isFinite", &[DOUBLE], |_, args| {
        test(args, f64::is_finite)
    }),
];

fn of_double<'a>(args: &[Val<'a>], function: fn(f64) -> f64) -> Result<Val<'a>, Fault> {
    match args {
        [Val::Double(d)] => Ok(Val::Double(function(*d))),
        _ => mismatch(),
    }
}

fn test<'a>(args: &[Val<'a>], function: fn(f64) -> bool) -> Result<Val<'a>, Fault> {
    match args {
        [Val::Double(d)] => Ok(Val::Bool(function(*d))),
        _ => mismatch(),
    }
}

/// Of several numbers, or of one list of numbers.
fn extreme<'a>(
    frame: &mut Frame<'_, 'a>,
    args: &[Val<'a>],
    wanted: Ordering,
    function: &str,
) -> Result<Val<'a>, Fault> {
    let one;
    let items = match args {
        [list @ (Val::List(_) | Val::NodeList(_))] => {
            frame.charge(list.count().unwrap_or_default())?;
            one = list.items().collect::<Vec<_>>();
            &one
        }
        _ => args,
    };
    let Some((first, rest)) = items.split_first() else {
        return Err(Fault::failed(format!("`{function}` of an empty list")));
    };
    let mut best = first;
    for item in items {
        if item.kind() & NUMBER == 0 {
            return Err(Fault::failed(format!(
                "`{function}` takes numbers, not {}",
                article(item)
            )));
        }
    }
    for item in rest {
        if compare(item, best) == Some(wanted) {
            best = item;
        }
    }
    Ok(best.clone())
}
