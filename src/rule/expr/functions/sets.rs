//! The sets extension: lists compared without regard to order and repetition.

use super::{Function, global};
use crate::rule::expr::compare::equal;
use crate::rule::expr::eval::{Fault, Frame};
use crate::rule::expr::value::{LIST, Val};

pub(super) static TABLE: &[Function] = &[
    global("sets.contains", &[LIST, LIST], |frame, args| {
        Ok(Val::Bool(contains(frame, &args[0], &args[1])?))
    }),
    global("sets.equivalent", &[LIST, LIST], |frame, args| {
        Ok(Val::Bool(
            contains(frame, &args[0], &args[1])? && contains(frame, &args[1], &args[0])?,
        ))
    }),
    global("sets.intersects", &[LIST, LIST], |frame, args| {
        for item in args[1].items() {
            if has(frame, &args[0], &item)? {
                return Ok(Val::Bool(true));
            }
        }
        Ok(Val::Bool(false))
    }),
];

fn has<'a>(frame: &mut Frame<'_, 'a>, list: &Val<'a>, wanted: &Val<'a>) -> Result<bool, Fault> {
    for item in list.items() {
        frame.charge(1)?;
        if equal(frame, &item, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether every element of `part` is in `list`.
fn contains<'a>(frame: &mut Frame<'_, 'a>, list: &Val<'a>, part: &Val<'a>) -> Result<bool, Fault> {
    for item in part.items() {
        if !has(frame, list, &item)? {
            return Ok(false);
        }
    }
    Ok(true)
}
