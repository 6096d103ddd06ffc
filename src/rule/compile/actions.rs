//! `actions`: steps of one verb and its modifiers.

use super::document::Context;
use super::fields::{self, Fields, one_of_these};
use super::report::Spot;
use super::{edits, expressions, scale};
use crate::rule::yaml::{Data, Tree};
use crate::rule::{Action, Propagation, Step};

/// Verbs that are built.
const VERBS: [&str; 4] = ["patch", "scale", "delete", "warn"];
/// Verbs of the language that are not built yet.
pub(super) const LATER: [&str; 10] = [
    "apply", "evict", "restart", "rollback", "archive", "notify", "webhook", "event", "deny",
    "metric",
];
const MODIFIERS_LATER: [&str; 6] = ["target", "forEach", "after", "once", "lifetime", "wait"];
const PROPAGATION: [(&str, Propagation); 3] = [
    ("Background", Propagation::Background),
    ("Foreground", Propagation::Foreground),
    ("Orphan", Propagation::Orphan),
];

/// The steps of a rule, and where each one's verb stands.
#[derive(Default)]
pub(super) struct Actions {
    pub steps: Vec<Step>,
    pub step_places: Vec<Spot>,
}

pub(super) fn compile(context: &mut Context<'_, '_>, tree: &Tree) -> Actions {
    let mut actions = Actions::default();
    let items = fields::list(context.report, tree, "`actions`").unwrap_or_default();
    if matches!(tree.data, Data::List(_)) && items.is_empty() {
        let mend = Some("to look only, write `actions: [{warn: {message: …}}]`".into());
        context.report.error(tree, "`actions` names no step", mend);
    }
    for item in items {
        if let Some((step, at)) = step(context, item) {
            actions.steps.push(step);
            actions.step_places.push(at);
        }
    }
    actions
}

fn step(context: &mut Context<'_, '_>, tree: &Tree) -> Option<(Step, Spot)> {
    let Data::Map(entries) = &tree.data else {
        let mend = match tree.text() {
            Some(word) if VERBS.contains(&word) => Some(format!("write `{word}: {{}}`")),
            _ => Some("write for example `- delete: {}`".into()),
        };
        let message = format!(
            "a step is a map with a verb, and here is {}",
            fields::found(tree)
        );
        context.report.error(tree, message, mend);
        return None;
    };
    let is_verb = |name: &str| VERBS.contains(&name) || LATER.contains(&name);
    let mut verbs = entries
        .iter()
        .map(|(key, _)| (key, key.text().unwrap_or_default()))
        .filter(|(_, name)| is_verb(name));
    let Some((key, verb)) = verbs.next() else {
        return no_verb(context, tree, entries);
    };
    if let Some((second, other)) = verbs.next() {
        context.report.error(
            second,
            format!("a step has one verb: `{verb}` or `{other}`"),
            Some(format!("begin a step of its own: `- {other}: …`")),
        );
        return None;
    }
    let known: &[&str] = match verb {
        "patch" => &["patch", "subresource"],
        "scale" => &["scale"],
        "delete" => &["delete"],
        "warn" => &["warn"],
        _ => {
            context
                .report
                .error(key, format!("`{verb}` is not supported yet"), None);
            return None;
        }
    };
    let what = format!("a step with `{verb}`");
    let of = fields::fields(context.report, tree, &what, known, &MODIFIERS_LATER)?;
    let value = tree.get(verb)?;
    let action = match verb {
        "patch" => patch(context, of, value)?,
        "scale" => scale::compile(context, key, value)?,
        "delete" => delete(context, value)?,
        _ => warn(context, value)?,
    };
    let step = Step {
        action,
        line: key.line,
    };
    Some((step, key.into()))
}

fn no_verb(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    entries: &[(Tree, Tree)],
) -> Option<(Step, Spot)> {
    let all: Vec<&str> = VERBS.iter().chain(&LATER).copied().collect();
    let misspelt = entries.iter().find_map(|(key, _)| {
        let name = key.text()?;
        let mend = fields::did_you_mean(name, all.iter().copied())?;
        Some((key, name.to_owned(), mend))
    });
    match misspelt {
        Some((key, name, mend)) => {
            let message = format!("unknown verb `{name}`");
            context.report.error(key, message, Some(mend));
        }
        None => {
            let first = entries.first().map_or(tree, |(key, _)| key);
            let mend = one_of_these("", &VERBS);
            context.report.error(first, "a step needs a verb", mend);
        }
    }
    None
}

fn patch(context: &mut Context<'_, '_>, of: Fields<'_>, tree: &Tree) -> Option<Action> {
    let status = match of.get("subresource") {
        Some(tree) => {
            let words = [("status", true)];
            fields::word(context.report, tree, "`subresource`", &words)?
        }
        None => false,
    };
    if let (true, Some(tree)) = (status, of.get("subresource")) {
        let without: Vec<String> = context
            .kinds
            .iter()
            .filter(|k| k.schema.as_ref().is_some_and(|s| !s.status))
            .map(|k| k.name().to_owned())
            .collect();
        if !without.is_empty() {
            let message = format!(
                "{} has no status subresource",
                super::paths::listed(&without)
            );
            context.report.error(tree, message, None);
        }
    }
    let items = fields::list(context.report, tree, "`patch`")?;
    if items.is_empty() {
        let mend = Some("write for example `[{path: $.metadata.labels.team, set: shop}]`".into());
        context.report.error(tree, "`patch` has no edits", mend);
    }
    let edits = items
        .iter()
        .filter_map(|item| edits::compile(context, item, status))
        .collect();
    Some(Action::Patch { edits, status })
}

fn delete(context: &mut Context<'_, '_>, tree: &Tree) -> Option<Action> {
    let mut action = (None, None);
    if !tree.is_null() {
        let known = ["propagation", "gracePeriodSeconds"];
        let of = fields::fields(context.report, tree, "`delete`", &known, &[])?;
        action.0 = of
            .get("propagation")
            .and_then(|t| fields::word(context.report, t, "`propagation`", &PROPAGATION));
        action.1 = of.get("gracePeriodSeconds").and_then(|t| {
            fields::whole(
                context.report,
                t,
                "`gracePeriodSeconds`",
                0..=i64::from(i32::MAX),
            )
        });
    }
    Some(Action::Delete {
        propagation: action.0,
        grace_period_seconds: action.1,
    })
}

fn warn(context: &mut Context<'_, '_>, tree: &Tree) -> Option<Action> {
    if tree.text().is_some() {
        let mend = Some("write `warn: {message: …}`".into());
        context
            .report
            .error(tree, "`warn` is a map with a `message`", mend);
        return None;
    }
    let of = fields::fields(context.report, tree, "`warn`", &["message"], &[])?;
    let Some(message) = of.get("message") else {
        let at = of.key("message").unwrap_or(tree);
        context.report.error(at, "`warn` needs a `message`", None);
        return None;
    };
    fields::text(context.report, message, "`message`")?;
    let declared = context.declared.clone();
    let message = expressions::template(context, message, declared.names())?;
    Some(Action::Warn { message })
}
