//! Optional values. `or`, `orValue`, `optMap` and `optFlatMap` are compiled, because they evaluate only what they need.

use super::{Function, global, member, mismatch};
use crate::rule::expr::eval::{Fault, Frame, article};
use crate::rule::expr::value::{ANY, LIST, OPTIONAL, Val};
use std::sync::Arc;

pub(super) static TABLE: &[Function] = &[
    global("optional.of", &[ANY], |_, args| {
        Ok(Val::some(args[0].clone()))
    }),
    global("optional.none", &[], |_, _| Ok(Val::Optional(None))),
    global("optional.ofNonZeroValue", &[ANY], |_, args| {
        Ok(if args[0].is_zero() {
            Val::Optional(None)
        } else {
            Val::some(args[0].clone())
        })
    }),
    global("optional.unwrap", &[LIST], unwrap),
    member("unwrapOpt", &[LIST], unwrap),
    member("hasValue", &[OPTIONAL], |_, args| match &args[0] {
        Val::Optional(value) => Ok(Val::Bool(value.is_some())),
        _ => mismatch(),
    }),
    member("value", &[OPTIONAL], |_, args| match &args[0] {
        Val::Optional(Some(value)) => Ok((**value).clone()),
        _ => Err(Fault::failed("`value` of an optional without a value")),
    }),
];

/// The values of those elements that have one.
fn unwrap<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let mut out = Vec::new();
    for item in args[0].items() {
        frame.charge(1)?;
        match item {
            Val::Optional(value) => out.extend(value.map(Arc::unwrap_or_clone)),
            other => {
                return Err(Fault::failed(format!(
                    "`unwrapOpt` needs a list of optionals, it has {}",
                    article(&other)
                )));
            }
        }
    }
    Ok(Val::list(out))
}
