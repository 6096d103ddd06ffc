//! Fields that expressions name, checked against the schema of every matched kind, as paths are.

use super::document::Context;
use super::paths::listed;
use super::report::Spot;
use crate::rule::expr::{Expr, MemberOf, Members};
use crate::rule::path::{INSTEAD_OF_MANAGED_FIELDS, NO_MANAGED_FIELDS};
use crate::rule::yaml::{Data, Tree};
use crate::schema::{KindSchema, Shape, Type, nearest};

/// Most fields of a type that are listed where none is near.
const MOST_LISTED: usize = 12;

/// What is wrong with a chain: which of its names, and why.
struct Wrong {
    at: usize,
    message: String,
    mend: Option<String>,
}

/// Checks every chain of fields in an expression that stands somewhere in `tree`.
pub(super) fn check(context: &mut Context<'_, '_>, tree: &Tree, expr: &Expr) {
    let needle = format!("${{{}}}", expr.text());
    if expr.members().is_empty() {
        return;
    }
    let Some((tree, offset)) = find(tree, &needle) else {
        return;
    };
    // A chain begins with a shorter one, whose problem is the same.
    let mut told: Vec<usize> = vec![];
    for chain in expr.members() {
        let found = managed_fields(chain).or_else(|| problem(context, chain, expr.members()));
        let Some((wrong, is_error)) = found else {
            continue;
        };
        let member = &chain.names[wrong.at];
        if told.contains(&member.at) {
            continue;
        }
        told.push(member.at);
        let at: Spot = context
            .report
            .within(tree, offset + member.at, member.length);
        if is_error {
            context.report.error(at, wrong.message, wrong.mend);
        } else {
            context.report.warning(at, wrong.message, wrong.mend);
        }
    }
}

/// A chain that reads what is not kept of any object.
fn managed_fields(chain: &Members) -> Option<(Wrong, bool)> {
    let [metadata, below, ..] = &*chain.names else {
        return None;
    };
    let wrong = Wrong {
        at: 1,
        message: NO_MANAGED_FIELDS.into(),
        mend: Some(INSTEAD_OF_MANAGED_FIELDS.into()),
    };
    let reads = (&*metadata.name, &*below.name) == ("metadata", "managedFields");
    reads.then_some((wrong, true))
}

/// What is wrong with a chain over all kinds, and whether it is wrong for each of them.
fn problem(context: &Context<'_, '_>, chain: &Members, all: &[Members]) -> Option<(Wrong, bool)> {
    let list = match chain.of {
        MemberOf::One(slot) => context.lists.get(slot).map(|list| list.kinds.as_slice()),
        MemberOf::Candidate => Some(context.path_kinds()),
        _ => Some(
            context
                .subject_kinds
                .as_ref()
                .unwrap_or(&context.kinds)
                .as_slice(),
        ),
    };
    let of_metadata = ["metadata", "apiVersion", "kind"].contains(&&*chain.names[0].name);
    let mut kinds: Vec<(&str, Option<&KindSchema>)> = vec![];
    if chain.of == MemberOf::Namespace {
        kinds.push(("Namespace", context.namespace.as_deref()));
    } else {
        for kind in list.unwrap_or_default() {
            let own = kind.fields().map(|(schema, _)| schema);
            // Metadata is the same in every kind.
            let metadata = context.metadata.as_deref().filter(|_| of_metadata);
            kinds.push((kind.name(), own.or(metadata)));
        }
    }
    let (mut known, mut unchecked) = (false, false);
    let mut failed: Vec<String> = vec![];
    let mut first = None;
    for (kind, schema) in kinds {
        match schema.and_then(KindSchema::root) {
            None => unchecked = true,
            Some(root) => match follow(root, chain, kind) {
                Ok(()) => known = true,
                Err(wrong) => {
                    failed.push(kind.to_owned());
                    first.get_or_insert(wrong);
                }
            },
        }
    }
    let mut wrong = first?;
    if !known && !unchecked {
        return Some((wrong, true));
    }
    // Whoever asks first knows that not every kind has it.
    let up_to = &chain.names[..=wrong.at];
    let asks = |other: &Members| {
        other.asked
            && other.of == chain.of
            && other.names.len() == up_to.len()
            && other.names.iter().zip(up_to).all(|(a, b)| a.name == b.name)
    };
    if all.iter().any(asks) {
        return None;
    }
    if failed.len() > 1 {
        wrong.message = format!("{}, nor have {}", wrong.message, listed(&failed[1..]));
    }
    let near = wrong.mend.filter(|mend| mend.starts_with("did you mean"));
    wrong.mend = near.or(Some(
        "ask first whether it is there: `has(…)`, or `.?`".into(),
    ));
    Some((wrong, false))
}

fn follow(root: Type<'_>, chain: &Members, kind: &str) -> Result<(), Wrong> {
    let mut of = root;
    for (at, member) in chain.names.iter().enumerate() {
        let name = &*member.name;
        let wrong = |message: String, mend: Option<String>| Wrong { at, message, mend };
        match of.shape() {
            Shape::Any => return Ok(()),
            Shape::Object | Shape::Map => {}
            Shape::List => {
                let message = format!("`{name}` is looked for in a list");
                let mend = "take one element (`[0]`), or ask about all: `.exists(x, …)`";
                return Err(wrong(message, Some(mend.into())));
            }
            _ => {
                let message = format!("`{name}` is looked for in a value that has no fields");
                return Err(wrong(message, None));
            }
        }
        match of.field(name) {
            Some(next) => of = next,
            None => {
                let fields = of.field_names();
                let near = nearest(name, fields.iter().copied());
                let mend = match &near[..] {
                    [] if fields.len() <= MOST_LISTED => {
                        Some(format!("its fields are {}", fields.join(", ")))
                    }
                    [] => None,
                    [one] => Some(format!("did you mean `{one}`?")),
                    [all @ .., last] => {
                        Some(format!("did you mean `{}` or `{last}`?", all.join("`, `")))
                    }
                };
                return Err(wrong(format!("{kind} has no field `{name}` here"), mend));
            }
        }
    }
    Ok(())
}

/// The first text in the tree that holds the needle, and the byte behind its `${`.
fn find<'t>(tree: &'t Tree, needle: &str) -> Option<(&'t Tree, usize)> {
    match &tree.data {
        Data::Scalar { .. } => tree.text()?.find(needle).map(|at| (tree, at + 2)),
        Data::List(items) => items.iter().find_map(|item| find(item, needle)),
        Data::Map(entries) => entries
            .iter()
            .find_map(|(key, value)| find(key, needle).or_else(|| find(value, needle))),
    }
}
