//! A step, once or for each element of its `forEach`, and what its progress means for the steps behind it.

use super::apply::Progress;
use super::turn::{Manner, Turn};
use super::world::World;
use crate::object::Record;
use crate::rule::Step;
use crate::rule::expr::{ExprFault, Scope, Variables};
use serde_json::Value;

/// Most elements of a `forEach`.
const MOST_ELEMENTS: usize = 1_000;

/// Whether the steps behind one that acts on another object have to wait.
pub(super) fn stops(progress: Progress, manner: Manner<'_>) -> bool {
    match progress {
        Progress::Done => false,
        Progress::Asked => !manner.ahead,
        Progress::Stopped => true,
    }
}

/// What a step does to one element of its `forEach`; without one, to element 0.
pub(super) type OnElement<'o> =
    dyn FnMut(&Scope<'_>, usize, &mut Turn) -> Result<Progress, ExprFault> + 'o;

/// A step, for each element of its `forEach`. It is as far as the element that is farthest behind.
pub(super) fn each(
    world: &World<'_>,
    step: &Step,
    (record, variables): (&Record, Option<&Variables>),
    turn: &mut Turn,
    one: &mut OnElement<'_>,
) -> Result<Progress, ExprFault> {
    let (applied, found) = (turn.applied.clone(), turn.found.clone());
    let base = Scope {
        applied: applied.as_ref().map(Record::root),
        found: found.as_ref().map(Record::root),
        ..world.scope(record, variables)
    };
    turn.repeats = step.for_each.is_some();
    let Some(items) = elements(step, &base)? else {
        return one(&base, 0, turn);
    };
    let mut progress = Progress::Done;
    for (element, item) in items.iter().enumerate() {
        let scope = Scope {
            item: Some(item.root()),
            ..base
        };
        progress = progress.max(one(&scope, element, turn)?);
    }
    Ok(progress)
}

/// The elements of the step's `forEach`, if it has one.
pub(super) fn elements(step: &Step, base: &Scope<'_>) -> Result<Option<Vec<Record>>, ExprFault> {
    let Some(template) = &step.for_each else {
        return Ok(None);
    };
    let list = match template.literal() {
        Some(literal) => Some(literal.clone()),
        None => template.render(base)?,
    };
    let items = match list {
        None | Some(Value::Null) => vec![],
        Some(Value::Array(items)) => items,
        Some(_) => return Err(ExprFault::Failed("`forEach` is not a list".into())),
    };
    if items.len() > MOST_ELEMENTS {
        return Err(ExprFault::Failed(format!(
            "`forEach` has {} elements, and at most {MOST_ELEMENTS} are taken",
            items.len()
        )));
    }
    Ok(Some(items.iter().map(Record::from_value).collect()))
}
