//! `scale`: an edit of the replicas, written through another endpoint.

use super::document::Context;
use super::fields::{self, found};
use super::paths::listed;
use super::report::Spot;
use super::{expressions, feedback};
use crate::object::GroupKind;
use crate::rule::Action;
use crate::rule::edit::{Edit, EditChange};
use crate::rule::expr::{Names, Template};
use crate::rule::path::Path;
use crate::rule::yaml::{Data, Tree};

/// Where the replicas of a kind are of which nothing is known.
const USUAL: &str = "$.spec.replicas";

pub(super) fn compile(context: &mut Context<'_, '_>, key: &Tree, tree: &Tree) -> Option<Action> {
    let scalar = matches!(&tree.data, Data::Scalar { value, .. } if !value.is_null());
    if scalar {
        let mend = Some("write `scale: {replicas: …}`".into());
        let message = "`scale` is a map with `replicas`";
        context.report.error(tree, message, mend);
        return None;
    }
    let of = fields::fields(context.report, tree, "`scale`", &["replicas"], &[])?;
    let Some(replicas) = of.get("replicas") else {
        let at = of.key("replicas").unwrap_or(tree);
        context.report.error(at, "`scale` needs `replicas`", None);
        return None;
    };
    let places = places(context, key.into())?;
    context.reads.more_than_metadata = true;
    let mut edits = vec![];
    for (path, kinds) in places {
        // The first tells what is wrong with the value; it would be the same for all.
        let template = value(context, replicas)?;
        if feedback::feeds_itself(context, &path, &template, &[]) {
            context.report.error(
                replicas,
                "this number is made from the one it replaces and differs each time: the rule would feed itself",
                Some("compute it from something else, or write the number it shall end at".into()),
            );
            return None;
        }
        let edit = Edit {
            path,
            tests: vec![],
            change: EditChange::Set(template),
            line: key.line,
        };
        edits.push((kinds, edit));
    }
    Some(Action::Scale { edits })
}

/// A number of replicas, or one `${ }`.
fn value(context: &mut Context<'_, '_>, tree: &Tree) -> Option<Template> {
    if tree.text().is_none_or(|text| !text.contains("${")) {
        fields::whole(context.report, tree, "`replicas`", 0..=i64::from(i32::MAX))?;
    }
    let declared = context.declared.clone();
    let names = Names {
        item: context.repeats,
        ..declared.names()
    };
    let template = expressions::template(context, tree, names)?;
    if template.literal().is_none() && template.whole().is_none() {
        let message = format!(
            "`replicas` is a number or one `${{ }}`, and here is {}",
            found(tree)
        );
        context.report.error(tree, message, None);
        return None;
    }
    if template.expressions().iter().any(|e| e.reads_now()) {
        let message = "`scale` from `now` would write at every look";
        context.report.error(tree, message, None);
        return None;
    }
    Some(template)
}

/// Where the matched kinds have their replicas. Kinds that are named and have none are errors; of `Workload` and globs they are left alone.
fn places(context: &mut Context<'_, '_>, at: Spot) -> Option<Vec<(Path, Vec<GroupKind>)>> {
    let mut places: Vec<(Path, Vec<GroupKind>)> = vec![];
    let (mut without, mut named) = (vec![], false);
    for matched in &context.kinds {
        let path = match &matched.schema {
            Some(schema) => schema.replicas_path(),
            None => Some(USUAL.to_owned()),
        };
        let Some(path) = path else {
            without.push(matched.name().to_owned());
            named |= matched.named;
            continue;
        };
        // A path of a definition that our own paths do not know: an array, which the server does not take either.
        let Ok(path) = Path::parse(&path).or_else(|_| Path::parse(USUAL)) else {
            continue;
        };
        let kind = matched.resolved.kind.clone();
        match places.iter_mut().find(|(p, _)| p.text() == path.text()) {
            Some((_, kinds)) => kinds.push(kind),
            None => places.push((path, vec![kind])),
        }
    }
    if context.kinds.is_empty() {
        // `match` is broken, and said so; the value is looked at all the same.
        return Path::parse(USUAL).ok().map(|path| vec![(path, vec![])]);
    }
    if without.is_empty() {
        return Some(places);
    }
    if named || places.is_empty() {
        let message = format!("{} no scale subresource", have(&without));
        let mend = (!places.is_empty()).then(|| "match only kinds that have one".to_owned());
        context.report.error(at, message, mend);
        return None;
    }
    let message = format!(
        "{} no scale subresource: this step leaves {} alone",
        have(&without),
        if without.len() == 1 { "it" } else { "them" }
    );
    context.report.warning(at, message, None);
    Some(places)
}

fn have(kinds: &[String]) -> String {
    let verb = if kinds.len() == 1 { "has" } else { "have" };
    format!("{} {verb}", listed(kinds))
}
