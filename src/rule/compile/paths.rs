//! Paths, checked against the schema of every matched kind.

use super::document::Context;
use super::fields;
use crate::rule::path::{Path, Root};
use crate::rule::yaml::Tree;
use crate::schema::{KindSchema, Type};

/// Most kinds that one message lists.
const MOST_NAMES: usize = 4;

/// Reads the path of a test and checks it. `item`: the path of the edit in whose `where` it stands, if that has an `item`: `$` is then that.
pub(super) fn compile(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    item: Option<&Path>,
) -> Option<Path> {
    let (path, vouched) = read(context, tree, item)?;
    // What an item lacks is no sign of a typing error: there may be none.
    let of_item = item.is_some() && path.root() == Root::Object;
    if !vouched && !of_item {
        match &mut context.joined {
            Some(joined) => joined.unchecked.push(path.clone()),
            None => context.reads.unchecked.push(path.clone()),
        }
    }
    Some(path)
}

/// Reads the path of an edit and checks it. That it selects nothing is what a `set` expects, and what a `remove` leads to.
pub(super) fn edited(context: &mut Context<'_, '_>, tree: &Tree) -> Option<Path> {
    read(context, tree, None).map(|(path, _)| path)
}

/// And whether the schema of some matched kind knows it.
fn read(context: &mut Context<'_, '_>, tree: &Tree, item: Option<&Path>) -> Option<(Path, bool)> {
    let text = fields::text(context.report, tree, "a path")?;
    if let Some(at) = text.find("${") {
        let at = context.report.within(tree, at, 2);
        let mend = "paths are fixed: test what you compute with `expression`";
        context
            .report
            .error(at, "`${ }` is never part of a path", Some(mend.into()));
        return None;
    }
    match Path::parse(text) {
        Ok(path) => {
            // In the `where` of an edit `$` is what the edit selects.
            if let (None, Some(problem)) = (item, path.managed_fields()) {
                let at = context.report.within(tree, problem.at, problem.length);
                context.report.error(at, problem.message, problem.mend);
                return None;
            }
            let vouched = check(context, tree, &path, item);
            Some((path, vouched))
        }
        Err(problem) => {
            let at = context.report.within(tree, problem.at, problem.length);
            context.report.error(at, problem.message, problem.mend);
            None
        }
    }
}

fn check(context: &mut Context<'_, '_>, tree: &Tree, path: &Path, item: Option<&Path>) -> bool {
    if path.root() != Root::Object && without_pod(context, tree, path) {
        return true;
    }
    let (mut taken, mut known, mut failed) = (0usize, false, vec![]);
    let (mut first, mut unchecked) = (None, false);
    for kind in context.path_kinds() {
        let checked = match (kind.fields(), &context.metadata) {
            (Some((schema, _)), _) => {
                let from = item.and_then(|item| item.item_types(schema));
                let from = from.as_deref();
                let checked = path.check_from(schema, from);
                // Where a schema takes any name, a misspelt one is none that it knows.
                known |= checked.is_ok() && path.is_known(schema, from);
                checked
            }
            (None, Some(any)) if item.is_none() && path.is_metadata_only() => {
                let checked = path.check_metadata(any, kind.name());
                known |= checked.is_ok();
                checked
            }
            _ => {
                unchecked = true;
                continue;
            }
        };
        match checked {
            Ok(()) => taken += 1,
            Err(problem) => {
                failed.push(kind.name().to_owned());
                first.get_or_insert(problem);
            }
        }
    }
    let vouched = known || context.path_kinds().is_empty();
    let Some(problem) = first else {
        return vouched;
    };
    let at = context.report.within(tree, problem.at, problem.length);
    if taken == 0 && !unchecked {
        context.report.error(at, problem.message, problem.mend);
    } else {
        let mut message = problem.message;
        if failed.len() > 1 {
            message = format!("{message}, nor have {}", listed(&failed[1..]));
        }
        let mend = problem.mend.or(Some(
            "fine if you mean the other kinds only: there it is known".into(),
        ));
        context.report.warning(at, message, mend);
    }
    vouched
}

/// `$pod` and `$containers` need a Pod in every matched kind.
fn without_pod(context: &mut Context<'_, '_>, tree: &Tree, path: &Path) -> bool {
    let (word, length) = match path.root() {
        Root::Pod => ("$pod", 4),
        _ => ("$containers", 11),
    };
    let none: Vec<String> = context
        .path_kinds()
        .iter()
        .filter(|kind| {
            let schema = kind.schema.as_deref();
            schema.is_none_or(|s| s.pod_prefix().is_none())
        })
        .map(|kind| kind.name().to_owned())
        .collect();
    if none.is_empty() {
        return false;
    }
    let all = none.len() == context.path_kinds().len();
    let unknown = context.path_kinds().iter().any(|k| k.schema.is_none());
    let mend = if unknown {
        // Where it is, nobody has said.
        Some("write the path out, for example `$.spec.template.spec.containers[*]`".into())
    } else {
        (!all).then(|| "match these kinds in a rule of their own".into())
    };
    let at = context.report.within(tree, 0, length);
    context.report.error(
        at,
        format!(
            "`{word}` needs a Pod or a Pod template, and {} {} none",
            listed(&none),
            if none.len() == 1 { "has" } else { "have" }
        ),
        mend,
    );
    true
}

/// `A, B and 3 more`.
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        names if names.len() > MOST_NAMES => format!(
            "{} and {} more",
            names[..MOST_NAMES].join(", "),
            names.len() - MOST_NAMES
        ),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The types a path leads to, over all kinds whose schema knows it; empty if none does.
pub(super) fn types<'s>(
    kinds: impl Iterator<Item = &'s KindSchema>,
    path: &Path,
    item: Option<&Path>,
) -> Vec<Type<'s>> {
    kinds
        .flat_map(|schema| {
            let from = item.and_then(|item| item.item_types(schema));
            path.types_from(schema, from.as_deref())
        })
        .collect()
}
