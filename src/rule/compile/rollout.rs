//! `restart`, `rollback` and `evict`: what is done to workloads and Pods as a whole.

use super::document::Context;
use super::expressions;
use super::fields::{self, found};
use super::paths::listed;
use super::report::Spot;
use crate::rule::edit::{Edit, EditChange};
use crate::rule::expr::{Names, Template};
use crate::rule::path::Path;
use crate::rule::yaml::{Data, Tree};
use crate::rule::{Action, Revision, rollout};
use serde_json::json;

/// As `kubectl rollout restart` writes it.
const RESTARTED_AT: &str = "$pod.metadata.annotations['kubectl.kubernetes.io/restartedAt']";
/// To the second, as kubectl does.
const NOW: &str = "${replaceRegex(string(now), '[.][0-9]+', '')}";

pub(super) fn restart(context: &mut Context<'_, '_>, key: &Tree, tree: &Tree) -> Option<Action> {
    nothing_in(context, tree, "restart")?;
    fits(context, key.into(), "restart", &rollout::KINDS)?;
    context.reads.more_than_metadata = true;
    // Neither can fail: they are the same for every rule.
    let path = Path::parse(RESTARTED_AT).ok()?;
    let now = Template::compile(&json!(NOW), Names::default()).ok()?;
    Some(Action::Restart {
        edit: Edit {
            path,
            tests: vec![],
            change: EditChange::Set(now),
            line: key.line,
        },
    })
}

pub(super) fn evict(context: &mut Context<'_, '_>, key: &Tree, tree: &Tree) -> Option<Action> {
    nothing_in(context, tree, "evict")?;
    fits(context, key.into(), "evict", &[("", "Pod")])?;
    Some(Action::Evict)
}

pub(super) fn rollback(context: &mut Context<'_, '_>, key: &Tree, tree: &Tree) -> Option<Action> {
    let mend = || Some("write `rollback: {to: PreviousRevision}`".to_owned());
    if tree.text().is_some() {
        let message = "`rollback` is a map with `to`";
        context.report.error(tree, message, mend());
        return None;
    }
    let of = fields::fields(context.report, tree, "`rollback`", &["to"], &[])?;
    let declared = context.declared.clone();
    let filled = of
        .get("to")
        .map(|tree| expressions::with_parameters(&declared.names(), tree));
    let to = match filled.as_deref() {
        None => {
            if !of.refused {
                let at = of.key("to").unwrap_or(tree);
                context.report.error(at, "`rollback` needs `to`", mend());
            }
            return None;
        }
        Some(tree) if tree.text() == Some("PreviousRevision") => Revision::Previous,
        Some(tree) => match &tree.data {
            Data::Scalar { value, .. } if value.is_number() => {
                let number = fields::whole(context.report, tree, "`to`", 1..=i64::MAX)?;
                Revision::Number(number)
            }
            _ => {
                let message = format!(
                    "`to` is `PreviousRevision` or the number of a revision, and here is {}",
                    found(tree)
                );
                context.report.error(tree, message, None);
                return None;
            }
        },
    };
    fits(context, key.into(), "rollback", &rollout::KINDS)?;
    context.reads.more_than_metadata = true;
    Some(Action::Rollback { to })
}

/// `{}`, or nothing at all.
fn nothing_in(context: &mut Context<'_, '_>, tree: &Tree, verb: &str) -> Option<()> {
    match &tree.data {
        Data::Map(entries) if entries.is_empty() => Some(()),
        Data::Scalar { value, .. } if value.is_null() => Some(()),
        Data::Map(entries) => {
            let at = entries.first().map_or(tree, |(key, _)| key);
            let message = format!("`{verb}` has no fields of its own");
            let mend = format!("write `{verb}: {{}}`; modifiers stand beside it");
            context.report.error(at, message, Some(mend));
            None
        }
        _ => {
            let message = format!("`{verb}` is an empty map, and here is {}", found(tree));
            let mend = Some(format!("write `{verb}: {{}}`"));
            context.report.error(tree, message, mend);
            None
        }
    }
}

/// Kinds that are named and that the verb is not for are errors; of `Workload` and globs they are left alone.
fn fits(
    context: &mut Context<'_, '_>,
    at: Spot,
    verb: &str,
    allowed: &[(&str, &str)],
) -> Option<()> {
    let (mut others, mut named) = (vec![], false);
    for matched in &context.kinds {
        let of = &matched.resolved.kind;
        if !allowed.contains(&(&*of.group, &*of.kind)) {
            others.push(matched.name().to_owned());
            named |= matched.named;
        }
    }
    if others.is_empty() {
        return Some(());
    }
    let kinds: Vec<String> = allowed.iter().map(|(_, kind)| (*kind).to_owned()).collect();
    let all = others.len() == context.kinds.len();
    let message = format!(
        "`{verb}` is for {}, and not for {}",
        listed(&kinds),
        listed(&others)
    );
    if named || all {
        let mend = match verb {
            "evict" => "to take other objects away, write `delete: {}`".to_owned(),
            _ => format!("match only {}", listed(&kinds)),
        };
        context.report.error(at, message, Some(mend));
        return None;
    }
    let message = format!("{message}: this step leaves those alone");
    context.report.warning(at, message, None);
    Some(())
}
