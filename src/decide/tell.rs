//! `warn` and `deny`: findings of the object.

use super::Reason;
use super::steps::At;
use super::turn::Turn;
use super::working::Working;
use crate::object::Record;
use crate::rule::Action;
use crate::rule::expr::{ExprFault, Scope, Template};
use serde_json::Value;

/// A step with one of them.
pub(super) fn step(
    at: &At<'_>,
    message: &Template,
    working: &Working<'_>,
    turn: &mut Turn,
) -> Result<(), ExprFault> {
    let reason = match &at.step.action {
        Action::Deny { .. } => Reason::Denied,
        _ => Reason::Warning,
    };
    for item in at.items(working, turn)? {
        let text = match message.literal() {
            Some(literal) => Some(literal.clone()),
            None => {
                let (applied, found) = (turn.applied.clone(), turn.found.clone());
                let scope = Scope {
                    applied: applied.as_ref().map(Record::root),
                    found: found.as_ref().map(Record::root),
                    item: item.as_ref().map(Record::root),
                    ..at.world.scope(working.record(), at.variables)
                };
                message.render(&scope)?
            }
        };
        match text {
            Some(Value::String(text)) => turn.find(reason, text),
            Some(text) => turn.find(reason, text.to_string()),
            None => {}
        }
    }
    Ok(())
}
