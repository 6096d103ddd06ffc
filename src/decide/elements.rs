//! The elements of a step's `forEach`, and what the progress of a step means for those behind it.

use super::apply::Progress;
use super::turn::Manner;
use crate::object::Record;
use crate::rule::Step;
use crate::rule::expr::{ExprFault, Scope};
use serde_json::Value;

/// Most elements of a `forEach`.
const MOST_ELEMENTS: usize = 1_000;

/// Whether the steps behind one that acts on another object have to wait.
pub(super) fn stops(progress: Progress, manner: Manner<'_>) -> bool {
    match progress {
        Progress::Done => false,
        Progress::Asked => !manner.ahead && !manner.chained,
        Progress::Stopped => true,
    }
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
