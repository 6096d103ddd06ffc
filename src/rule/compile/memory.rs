//! What steps remember: how long the match has held (`after`), and for what they have acted (`once`).

use super::document::Context;
use super::expressions;
use super::fields::{self, Fields};
use crate::object::duration;
use crate::rule::expr::Names;
use crate::rule::yaml::{Data, Tree};
use crate::rule::{Action, FirstSeen, Occasion, Once, Step, StepId};
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
    let ends = |step: &Step| {
        let takes_away = matches!(step.action, Action::Delete { .. } | Action::Evict);
        takes_away && step.target.is_none() && step.once.is_none()
    };
    if let Some(end) = before.iter().find(|step| ends(step)) {
        let (verb, end) = (step.action.verb().as_str(), end.action.verb().as_str());
        let message = format!("`{verb}` behind `{end}` never comes: the object is gone by then");
        let mend = format!("put it above `{end}`");
        context.report.warning(tree, message, Some(mend));
    }
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

const FIRST_SEEN: [(&str, FirstSeen); 2] = [("Act", FirstSeen::Act), ("Record", FirstSeen::Record)];

/// `once` of a step; what is wrong has been reported.
pub(super) fn once(
    context: &mut Context<'_, '_>,
    (tree, of): (&Tree, Fields<'_>),
    verb: &str,
    item: bool,
) -> Option<Once> {
    let at = of.key("once").unwrap_or(tree);
    if verb == "metric" {
        let message =
            "`metric` shows a number as long as the match lasts: `once` has no meaning beside it";
        let mend = "take `once` out; to show it for a while only, test an age in `where`";
        context.report.error(at, message, Some(mend.into()));
        return None;
    }
    if !context.when.has(Occasion::Reconcile) {
        let message = "`once` belongs to the loop, and this rule looks at admission only";
        let mend = "add `Reconcile` to `when`, or take `once` out";
        context.report.error(at, message, Some(mend.into()));
        return None;
    }
    let known = ["key", "within", "firstSeen"];
    let fields = fields::fields(context.report, tree, "`once`", &known, &[])?;
    if fields.refused {
        return None;
    }
    let within = match fields.get("within") {
        Some(tree) => Some(length(context, tree, "within")?),
        None => None,
    };
    let first_seen = match fields.get("firstSeen") {
        Some(tree) => fields::word(context.report, tree, "`firstSeen`", &FIRST_SEEN)?,
        None => FirstSeen::Act,
    };
    let key = match fields.get("key") {
        Some(tree) => Some(key(context, tree, item)?),
        None => None,
    };
    Some(Once {
        key,
        within,
        first_seen,
    })
}

/// What acts once each time a match begins without being told so, and is written down on the subject in the request that does it.
pub(super) fn implied(action: &Action) -> Option<Once> {
    let implied = matches!(action, Action::Restart { .. } | Action::Rollback { .. });
    implied.then_some(Once {
        key: None,
        within: None,
        first_seen: FirstSeen::Act,
    })
}

/// A text or one that is made of `${ }`.
fn key(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    item: bool,
) -> Option<crate::rule::expr::Template> {
    if matches!(tree.data, Data::List(_) | Data::Map(_)) {
        let message = format!("`key` is a text, and here is {}", fields::found(tree));
        let mend = "write for example `${hash(object.spec)}`";
        context.report.error(tree, message, Some(mend.into()));
        return None;
    }
    let declared = context.declared.clone();
    let names = Names {
        item,
        ..declared.names()
    };
    expressions::template(context, tree, names)
}

/// The number of a step among those with its verb.
pub(super) fn number(before: &[Step], id: StepId) -> StepId {
    let same = before.iter().filter(|step| step.id.verb == id.verb).count();
    StepId {
        nth: u16::try_from(same).unwrap_or(u16::MAX),
        ..id
    }
}
