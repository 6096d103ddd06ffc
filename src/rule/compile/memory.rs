//! What steps remember: how long the match has held (`after`).

use super::document::Context;
use super::expressions;
use super::fields::{self, Fields};
use crate::object::duration;
use crate::rule::yaml::{Data, Tree};
use crate::rule::{Occasion, Step};
use std::time::Duration;

/// `after` of a step; what is wrong has been reported.
pub(super) fn after(context: &mut Context<'_, '_>, of: Fields<'_>) -> Option<Duration> {
    let tree = of.get("after")?;
    if !context.when.has(Occasion::Reconcile) {
        let message = "`after` belongs to the loop, and this rule looks at admission only";
        let mend = "add `Reconcile` to `when`, or take `after` out";
        context.report.error(tree, message, Some(mend.into()));
        return None;
    }
    length(context, tree, "after")
}

/// A duration longer than nothing, or a parameter that is one.
pub(super) fn length(context: &mut Context<'_, '_>, tree: &Tree, field: &str) -> Option<Duration> {
    let declared = context.declared.clone();
    let filled = expressions::with_parameters(&declared.names(), tree);
    let report = &mut *context.report;
    if let Data::Scalar { value, .. } = &filled.data
        && value.is_number()
    {
        let mend = Some(format!("write for example `{value}m`"));
        let message = format!("`{field}` is a duration, and {value} has no unit");
        report.error(tree, message, mend);
        return None;
    }
    let text = fields::text(report, &filled, &format!("`{field}`"))?;
    if text.contains("${") {
        let message = format!(
            "`{field}` is a duration, or a parameter that is one: it is the same for every object"
        );
        let mend = Some("an age of the object itself is a test: `{path: …, as: age, operator: AtLeast, value: …}`".into());
        report.error(tree, message, mend);
        return None;
    }
    match duration::parse(text) {
        Ok(Duration::ZERO) => {
            let mend = Some(format!("to act at once, leave `{field}` out"));
            report.error(tree, format!("`{field}` is longer than nothing"), mend);
            None
        }
        Ok(length) => Some(length),
        Err(message) => {
            report.error(tree, message, None);
            None
        }
    }
}

/// Steps run in order, so a step that waits holds up those behind it: one that seems to wait less long is a mistake.
pub(super) fn in_order(context: &mut Context<'_, '_>, tree: &Tree, before: &[Step], step: &Step) {
    let Some(earlier) = before.last() else {
        return;
    };
    let Some(waits) = earlier.after else {
        return;
    };
    if step.after.is_some_and(|after| after >= waits) {
        return;
    }
    let (verb, earlier) = (step.action.verb().as_str(), earlier.action.verb().as_str());
    let waits = duration::format(waits);
    let (at, message, mend) = match (step.after, tree.entry("after")) {
        (Some(after), Some((key, _))) => (
            key,
            format!(
                "steps run in order: `{verb}` after {} would wait for `{earlier}`, which comes after {waits}",
                duration::format(after)
            ),
            format!("put it above `{earlier}`, or write `after: {waits}`"),
        ),
        _ => (
            tree,
            format!(
                "steps run in order: `{verb}` without `after` would wait for `{earlier}`, which comes after {waits}"
            ),
            format!("write `after: {waits}` beside it too, or put it above `{earlier}`"),
        ),
    };
    context.report.error(at, message, Some(mend));
}
