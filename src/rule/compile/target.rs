//! `target` of a step: the list on whose members it acts.

use super::document::Context;
use super::fields::{self, Fields, did_you_mean};

/// The place of the list that a step names; `Some(None)`: its target is the subject. `None`: what is wrong has been reported.
pub(super) fn list(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    verb: &str,
) -> Option<Option<usize>> {
    let Some((key, tree)) = of.entry("target").filter(|(_, tree)| !tree.is_null()) else {
        return Some(None);
    };
    if verb == "apply" {
        let message = "`apply` says itself which object it is about: `target` has no meaning";
        let list = tree
            .text()
            .filter(|name| {
                context
                    .declared
                    .lists
                    .iter()
                    .any(|list| *list.name == **name)
            })
            .unwrap_or("LIST");
        let mend = format!(
            "for one object for each member write `forEach: ${{{list}}}`: the member is its `item`"
        );
        context.report.error(key, message, Some(mend));
        return None;
    }
    let name = fields::text(context.report, tree, "`target`")?;
    let declared = context.declared.clone();
    let lists = declared.lists.iter();
    if let Some(place) = lists.clone().position(|list| *list.name == *name) {
        return Some(Some(place));
    }
    let names: Vec<&str> = lists.map(|list| &*list.name).collect();
    let (message, mend) = match names.as_slice() {
        [] => (
            format!(
                "there is no list `{}`: the rule has none",
                fields::shortened(name)
            ),
            Some(
                "name it in `related`; without `target` a step acts on the object itself"
                    .to_owned(),
            ),
        ),
        names => (
            format!("there is no list `{}`", fields::shortened(name)),
            did_you_mean(name, names.iter().copied())
                .or_else(|| Some(format!("the lists are {}", names.join(", ")))),
        ),
    };
    context.report.error(tree, message, mend);
    None
}

/// Compiles the step with its paths about the members of the list.
pub(super) fn aimed<'c, 'f, T>(
    context: &mut Context<'c, 'f>,
    list: Option<usize>,
    compile: impl FnOnce(&mut Context<'c, 'f>) -> T,
) -> T {
    let Some(place) = list else {
        return compile(context);
    };
    let kinds = match context.lists.get(place) {
        Some(list) => list.kinds.clone(),
        None => vec![],
    };
    let before = std::mem::take(&mut context.reads.unchecked);
    let own = std::mem::replace(&mut context.kinds, kinds);
    context.subject_kinds = Some(own);
    let result = compile(context);
    if let Some(own) = context.subject_kinds.take() {
        context.kinds = own;
    }
    let unchecked = std::mem::replace(&mut context.reads.unchecked, before);
    if let Some(list) = context.lists.get_mut(place) {
        list.unchecked.extend(unchecked);
    }
    result
}
