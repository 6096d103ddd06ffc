//! `actions`: steps of one verb and its modifiers.

use super::document::Context;
use super::fields::{self, Fields, one_of_these};
use super::kinds::Matched;
use super::report::Spot;
use super::{
    apply, archive, edits, expressions, feedback, habits, lifetime, memory, metric, rollout, scale,
    target, wait,
};
use crate::rule::expr::{Names, Template};
use crate::rule::yaml::{Data, Tree};
use crate::rule::{Action, Lifetime, Propagation, ResolvedKind, Step, StepId};

/// Verbs that are built.
const VERBS: [&str; 12] = [
    "patch", "apply", "scale", "delete", "evict", "restart", "rollback", "deny", "warn", "event",
    "metric", "archive",
];
/// Verbs for sinks that are not built yet.
const LATER: [&str; 2] = ["notify", "webhook"];
const EVENT_TYPES: [(&str, bool); 2] = [("Normal", false), ("Warning", true)];
/// Longest `reason` of an Event, in characters, as the server takes it.
const LONGEST_REASON: usize = 128;
/// Modifiers of any step.
const MODIFIERS: [&str; 5] = ["forEach", "after", "target", "wait", "once"];
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
    /// The kinds that they apply, and where each is named.
    pub applied: Vec<(ResolvedKind, Spot)>,
}

pub(super) fn compile(context: &mut Context<'_, '_>, tree: &Tree) -> Actions {
    let mut actions = Actions::default();
    let items = fields::list(context.report, tree, "`actions`").unwrap_or_default();
    if matches!(tree.data, Data::List(_)) && items.is_empty() {
        let mend = Some("to look only, write `actions: [{warn: {message: …}}]`".into());
        context.report.error(tree, "`actions` names no step", mend);
    }
    context.writes = feedback::writings(items);
    let named = items.iter().filter(|item| item.entry("apply").is_some());
    let named = named.filter_map(|item| item.entry("name")?.1.text());
    context.named = named.map(str::to_owned).collect();
    for item in items {
        (context.once, context.previous) = (false, false);
        if let Some((mut step, at)) = step(context, item, &mut actions.applied) {
            memory::in_order(context, item, &actions.steps, &step);
            step.id = memory::number(&actions.steps, step.id);
            actions.steps.push(step);
            actions.step_places.push(at);
        }
    }
    actions
}

fn step(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    applied: &mut Vec<(ResolvedKind, Spot)>,
) -> Option<(Step, Spot)> {
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
    let of_apply: Vec<&str> = ["apply", "lifetime"]
        .into_iter()
        .chain(apply::MODIFIERS)
        .collect();
    let known: &[&str] = match verb {
        "patch" => &["patch", "subresource", "lifetime"],
        "apply" => &of_apply,
        "event" => &["event"],
        "metric" => &["metric"],
        "archive" => &["archive"],
        "scale" => &["scale", "lifetime"],
        "delete" => &["delete"],
        "evict" => &["evict"],
        "restart" => &["restart"],
        "rollback" => &["rollback"],
        "deny" => &["deny"],
        "warn" => &["warn"],
        _ => {
            context
                .report
                .error(key, format!("`{verb}` is not supported yet"), None);
            return None;
        }
    };
    if let (false, Some((key, _))) = (lifetime::VERBS.contains(&verb), tree.entry("lifetime")) {
        lifetime::refuse(context, key, verb);
        return None;
    }
    let what = format!("a step with `{verb}`");
    let known: Vec<&str> = known.iter().chain(&MODIFIERS).copied().collect();
    let of = fields::fields(context.report, tree, &what, &known, &[])?;
    let value = tree.get(verb)?;
    let for_each = of.get("forEach").map(|list| for_each(context, list));
    context.repeats = for_each.is_some();
    let after = of.get("after").map(|_| memory::after(context, of));
    let item = for_each.is_some();
    let once = of
        .get("once")
        .map(|tree| memory::once(context, (tree, of), verb, item));
    context.once = once.is_some();
    context.previous = matches!(&once, Some(Some(once)) if once.key.is_some());
    let target = target::list(context, of, verb)?;
    let action = target::aimed(context, target, |context| {
        let for_each = for_each.is_some();
        action(context, (of, key, verb), value, for_each, applied)
    })?;
    if let Some(list) = target.and_then(|list| context.lists.get_mut(list)) {
        list.more_than_metadata |= matches!(
            action,
            Action::Patch { .. }
                | Action::Scale { .. }
                | Action::Restart { .. }
                | Action::Rollback { .. }
                | Action::Archive(_)
        );
    }
    let for_each = match for_each {
        Some(list) => Some(list?),
        None => None,
    };
    let after = match after {
        Some(after) => Some(after?),
        None => None,
    };
    let wait = match of.get("wait") {
        Some(_) => {
            let applied = match &action {
                Action::Apply(apply) => Some(Matched {
                    resolved: apply.resolved(),
                    schema: apply.schema(context.schema),
                    scope: context.schema.scope(&apply.kind),
                    named: true,
                }),
                _ => None,
            };
            let aims = target.is_some();
            let wait = target::aimed(context, target, |context| {
                wait::compile(context, (of, verb), applied, aims)
            });
            Some(wait?)
        }
        None => None,
    };
    let lifetime = target::aimed(context, target, |context| {
        lifetime::compile(context, of, verb, &action)
    });
    let mut action = action;
    if let Action::Apply(apply) = &mut action {
        apply.passing = lifetime == Lifetime::WhileMatched;
    }
    let once = match once {
        Some(once) => Some(once?),
        None => memory::implied(&action),
    };
    let id = StepId {
        verb: action.verb(),
        nth: 0,
    };
    let step = Step {
        action,
        target,
        wait,
        for_each,
        id,
        after,
        lifetime,
        once,
        line: key.line,
    };
    Some((step, key.into()))
}

fn action(
    context: &mut Context<'_, '_>,
    (of, key, verb): (Fields<'_>, &Tree, &str),
    value: &Tree,
    repeats: bool,
    applied: &mut Vec<(ResolvedKind, Spot)>,
) -> Option<Action> {
    Some(match verb {
        "patch" => patch(context, of, value)?,
        "apply" => {
            let compiled = apply::compile(context, of, value, repeats)?;
            context.applied.extend(compiled.apply.name.clone());
            applied.push((compiled.resolved, compiled.at));
            Action::Apply(Box::new(compiled.apply))
        }
        "event" => event(context, value, repeats)?,
        "metric" => Action::Metric(Box::new(metric::compile(context, value, repeats)?)),
        "archive" => Action::Archive(archive::compile(context, value)?),
        "scale" => scale::compile(context, key, value)?,
        "delete" => delete(context, value)?,
        "evict" => rollout::evict(context, key, value)?,
        "restart" => rollout::restart(context, key, value)?,
        "rollback" => rollout::rollback(context, key, value)?,
        "deny" => Action::Deny {
            message: message(context, value, verb)?,
        },
        _ => Action::Warn {
            message: message(context, value, verb)?,
        },
    })
}

/// A list, or one `${ }` that gives one.
fn for_each(context: &mut Context<'_, '_>, tree: &Tree) -> Option<Template> {
    let is_list = matches!(tree.data, Data::List(_));
    let declared = context.declared.clone();
    let template = expressions::template(context, tree, declared.names())?;
    if !is_list && template.whole().is_none() {
        let message = format!(
            "`forEach` is a list or one `${{ }}` that gives one, and here is {}",
            fields::found(tree)
        );
        context.report.error(tree, message, None);
        return None;
    }
    Some(template.read_again())
}

fn event(context: &mut Context<'_, '_>, tree: &Tree, item: bool) -> Option<Action> {
    if tree.text().is_some() {
        let mend = Some("write `event: {reason: …, message: …}`".into());
        let message = "`event` is a map with a `reason` and a `message`";
        context.report.error(tree, message, mend);
        return None;
    }
    let known = ["type", "reason", "message"];
    let of = fields::fields(context.report, tree, "`event`", &known, &[])?;
    let warning = of
        .get("type")
        .and_then(|t| fields::word(context.report, t, "`type`", &EVENT_TYPES))
        .unwrap_or_default();
    let declared = context.declared.clone();
    let names = Names {
        item,
        ..declared.names()
    };
    let mut text = |field: &str| {
        let Some(value) = of.get(field) else {
            let at = of.key(field).unwrap_or(tree);
            let message = format!("`event` needs a `{field}`");
            context.report.error(at, message, None);
            return None;
        };
        let what = format!("`{field}`");
        let written = fields::text(context.report, value, &what)?;
        if field == "reason" && !written.contains("${") {
            let word = |c: char| c.is_ascii_alphanumeric();
            let good = written.starts_with(|c: char| c.is_ascii_uppercase())
                && written.chars().all(word)
                && written.len() <= LONGEST_REASON;
            if !good {
                let message = format!(
                    "a `reason` is one word in CamelCase of at most {LONGEST_REASON} characters"
                );
                let mend = Some("write for example `ReplicasRaised`".into());
                context.report.error(value, message, mend);
                return None;
            }
        }
        expressions::template(context, value, names)
    };
    let (reason, message) = (text("reason"), text("message"));
    Some(Action::Event {
        warning,
        reason: reason?,
        message: message?,
    })
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
            let word = first.text().unwrap_or_default();
            let mend = habits::mend("a step", word).map(str::to_owned);
            let mend = mend.or_else(|| one_of_these("", &VERBS));
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

/// The `message` of `warn` and `deny`.
fn message(context: &mut Context<'_, '_>, tree: &Tree, verb: &str) -> Option<Template> {
    if tree.text().is_some() {
        let mend = Some(format!("write `{verb}: {{message: …}}`"));
        let message = format!("`{verb}` is a map with a `message`");
        context.report.error(tree, message, mend);
        return None;
    }
    let what = format!("`{verb}`");
    let of = fields::fields(context.report, tree, &what, &["message"], &[])?;
    let Some(message) = of.get("message") else {
        let at = of.key("message").unwrap_or(tree);
        let message = format!("`{verb}` needs a `message`");
        context.report.error(at, message, None);
        return None;
    };
    fields::text(context.report, message, "`message`")?;
    let declared = context.declared.clone();
    let names = Names {
        item: context.repeats,
        ..declared.names()
    };
    expressions::template(context, message, names)
}
