//! `warn` and `deny`: findings of the object.

use super::Reason;
use crate::rule::Action;
use crate::rule::expr::{ExprFault, Scope, Template};
use serde_json::Value;

/// As what it is told.
pub(super) fn reason(action: &Action) -> Reason {
    match action {
        Action::Deny { .. } => Reason::Denied,
        _ => Reason::Warning,
    }
}

/// What is told; `None` if that comes to nothing.
pub(super) fn text(message: &Template, scope: &Scope<'_>) -> Result<Option<String>, ExprFault> {
    let text = match message.literal() {
        Some(literal) => Some(literal.clone()),
        None => message.render(scope)?,
    };
    Ok(text.map(|text| match text {
        Value::String(text) => text,
        other => other.to_string(),
    }))
}
