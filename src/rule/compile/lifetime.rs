//! `lifetime`: which steps can take back what they do.

use super::document::Context;
use super::fields::{self, Fields};
use super::own_match;
use super::report::Spot;
use crate::object::GroupKind;
use crate::object::difference::is_secret_place;
use crate::rule::edit::{Edit, push_token};
use crate::rule::path::Path;
use crate::rule::yaml::{Data, Tree};
use crate::rule::{Action, Lifetime, Occasion};
use serde_json::Value;

const LIFETIMES: [(&str, Lifetime); 2] = [
    ("Permanent", Lifetime::Permanent),
    ("WhileMatched", Lifetime::WhileMatched),
];
/// Verbs that have one.
pub(super) const VERBS: [&str; 3] = ["patch", "apply", "scale"];
/// Edits of which it is known what was there before.
const EDITS: [&str; 3] = ["set", "default", "remove"];

pub(super) fn compile(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    verb: &str,
    action: &Action,
) -> Lifetime {
    let Some(tree) = of.get("lifetime") else {
        return Lifetime::Permanent;
    };
    let lifetime = fields::word(context.report, tree, "`lifetime`", &LIFETIMES);
    if lifetime != Some(Lifetime::WhileMatched) {
        return Lifetime::Permanent;
    }
    if !context.when.has(Occasion::Reconcile) {
        let message = "the loop gives back what was changed, and this rule looks at admission only";
        let mend = "add `Reconcile` to `when`, or take `lifetime` out";
        context.report.error(tree, message, Some(mend.into()));
    }
    match (verb, of.get(verb)) {
        ("patch", Some(patch)) => of_patch(context, of, patch),
        ("apply", _) => of_apply(context, of),
        _ => {}
    }
    let edits: Vec<&Edit> = match action {
        Action::Patch { edits, .. } => edits.iter().collect(),
        Action::Scale { edits } => edits.iter().map(|(_, edit)| edit).collect(),
        _ => vec![],
    };
    // The objects of a step with `target` are others than the one that matches.
    let own = of.get("target").is_none();
    if own && edits.iter().any(|e| own_match::is_ended_by(context, e)) {
        let message =
            "what this step writes ends the rule's own match, and would be taken back at once";
        let mend = "test something that the step leaves alone, or leave out `lifetime`: to end one's own match is fine for a lasting change";
        context.report.error(tree, message, Some(mend.into()));
    }
    Lifetime::WhileMatched
}

fn of_patch(context: &mut Context<'_, '_>, of: Fields<'_>, patch: &Tree) {
    if let Some(tree) = of.get("subresource") {
        let message = "`lifetime: WhileMatched` is not for `status`: former values are written in the same request, and `status` has one of its own";
        let mend = "write the status of objects that match no longer with a rule of its own, or what is to be given back into an annotation";
        context.report.error(tree, message, Some(mend.into()));
    }
    let Data::List(items) = &patch.data else {
        return;
    };
    for item in items {
        let Data::Map(entries) = &item.data else {
            continue;
        };
        for (key, _) in entries {
            let name = key.text().unwrap_or_default();
            if matches!(name, "merge" | "upsert" | "add") {
                let message = format!(
                    "`lifetime: WhileMatched` takes back {}, and not `{name}`",
                    EDITS.map(|e| format!("`{e}`")).join(", ")
                );
                let mend = match name {
                    "merge" => Some("write a `set` or `remove` for each field".into()),
                    _ => None,
                };
                context.report.error(key, message, mend);
            }
        }
        if let Some(tree) = item.get("path")
            && let Some(text) = tree.text()
            && let Ok(path) = Path::parse(text)
        {
            place(context, tree, &path, item.get("default").is_some());
        }
    }
}

fn place(context: &mut Context<'_, '_>, tree: &Tree, path: &Path, fills: bool) {
    let Some(names) = path.plain_names(Some(&[])) else {
        let message = "`lifetime: WhileMatched` takes back fields that names alone lead to: elements of lists have no lasting place";
        context.report.error(tree, message, None);
        return;
    };
    let secret = GroupKind::new("", "Secret");
    let secrets = context.kinds.iter().any(|k| k.resolved.kind == secret);
    let mut pointer = String::new();
    for name in &names {
        push_token(&mut pointer, name.as_str());
    }
    if !fills && ["/metadata", "/metadata/annotations"].contains(&&*pointer) {
        let message =
            "former values are kept in an annotation, and this would write over all of them";
        let mend = "name the annotations, one edit for each";
        context.report.error(tree, message, Some(mend.into()));
    } else if secrets && is_secret_place(&pointer) {
        let message =
            "what a Secret holds is never kept in an annotation: this could not be taken back";
        let mend = "leave out `lifetime`, or apply another Secret";
        context.report.error(tree, message, Some(mend.into()));
    }
}

fn of_apply(context: &mut Context<'_, '_>, of: Fields<'_>) {
    if let Some(tree) = of.get("adopt")
        && matches!(
            &tree.data,
            Data::Scalar {
                value: Value::Bool(true),
                ..
            }
        )
    {
        let message = "an adopted object was there before the rule: with `lifetime: WhileMatched` it would go with the match";
        let mend = "leave out one of the two";
        context.report.error(tree, message, Some(mend.into()));
    }
}

/// `lifetime` beside a verb that has none.
pub(super) fn refuse(context: &mut Context<'_, '_>, at: impl Into<Spot>, verb: &str) {
    let message = format!(
        "`lifetime` is for {}, and not for `{verb}`: that cannot be taken back",
        VERBS.map(|v| format!("`{v}`")).join(", ")
    );
    context.report.error(at, message, None);
}
