//! `warn` and `deny`: findings of the object.

use super::Reason;
use super::steps::At;
use crate::object::difference::{Held, is_secret};
use crate::rule::Action;
use crate::rule::expr::{ExprFault, Scope, Template};
use crate::rule::related::Lists;
use serde_json::Value;

/// As what it is told.
pub(super) fn reason(action: &Action) -> Reason {
    match action {
        Action::Deny { .. } => Reason::Denied,
        _ => Reason::Warning,
    }
}

/// What is told, without what Secrets hold; `None` if that comes to nothing.
pub(super) fn text(
    at: &At<'_>,
    message: &Template,
    scope: &Scope<'_>,
    lists: Option<&Lists>,
) -> Result<Option<String>, ExprFault> {
    let as_text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    match message.literal() {
        Some(literal) => Ok(Some(as_text(literal.clone()))),
        None => Ok(message
            .render(scope)?
            .map(|value| without_secrets(at, as_text(value), lists))),
    }
}

/// A computed text for many to read, without what the Secrets hold that the rule reads.
pub(super) fn without_secrets(at: &At<'_>, text: String, lists: Option<&Lists>) -> String {
    let subject = at.world.subject;
    if !at.rule.may_quote_secrets(&subject.key.kind) {
        return text;
    }
    let mut held = Held::default();
    if is_secret(&subject.key.kind) {
        held.add(&subject.record.to_value());
    }
    let lists = (0..at.rule.related.len()).filter_map(|place| lists?.get(place));
    let members = lists.filter_map(|list| list.members().ok()).flatten();
    for member in members.filter(|member| is_secret(&member.key.kind)) {
        held.add(&member.record.to_value());
    }
    held.hide(&text)
}
