//! `${ }` in values, its problems mapped to their place in the file.

use super::document::Context;
use super::members;
use super::report::Spot;
use crate::rule::expr::{Expr, ExprProblem, Names, Template, is_whole};
use crate::rule::path::{Hop, Location};
use crate::rule::yaml::{Data, Tree};
use serde_json::Value;
use std::borrow::Cow;

/// Most `${ }` in one value.
const MOST: usize = 1_000;

/// Takes the line break off where one `${ }` is the whole of a block (`|`, `>`): it is YAML's, and no part of a value.
pub(super) fn unbroken(tree: &mut Tree) {
    match &mut tree.data {
        Data::Scalar {
            value: Value::String(text),
            plain: false,
        } if text.starts_with("${") && text.ends_with('\n') => {
            let whole = text.trim_end_matches('\n').len();
            if is_whole(&text[..whole]) {
                text.truncate(whole);
            }
        }
        Data::Scalar { .. } => {}
        Data::List(items) => items.iter_mut().for_each(unbroken),
        Data::Map(entries) => entries.iter_mut().for_each(|(_, value)| unbroken(value)),
    }
}

/// A value that is a literal or one `${ }`.
pub(super) enum Single {
    Literal(Value),
    Expr(Expr),
}

/// Compiles a value with `${ }` anywhere in it.
pub(super) fn template(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    names: Names<'_>,
) -> Option<Template> {
    if expressions_in(tree) > MOST {
        let message = format!("more than {MOST} `${{ }}` in one value");
        context.report.error(tree, message, None);
        return None;
    }
    let names = with_applied(context, names);
    match Template::compile(&tree.to_value(), names) {
        Ok(template) => {
            for expr in template.expressions() {
                context.note(expr);
                members::check(context, tree, expr);
            }
            Some(template)
        }
        Err(problems) => {
            for mut problem in problems {
                let at = locate(tree, &problem.location, problem.in_key);
                if names.current && !names.item && marks(at, 0, &problem.problem, "item") {
                    problem.problem.message = "`item` is what a wildcard, filter or index of the path selects, and this path has none".into();
                    problem.problem.mend = Some(
                        "`current` is the value at the path, `object` the whole object".into(),
                    );
                }
                report(context, at, 0, problem.problem);
            }
            None
        }
    }
}

/// The template of a value that could not be compiled.
pub(super) fn nothing() -> Template {
    Template::default()
}

/// A literal without `${ }` in it, or one `${ }` that is the whole value. `what`: `a value`.
pub(super) fn single(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    what: &str,
    names: Names<'_>,
) -> Option<Single> {
    let compiled = template(context, tree, names)?;
    if let Some(literal) = compiled.literal() {
        return Some(Single::Literal(literal.clone()));
    }
    if compiled.whole().is_some() {
        return whole(context, tree, names).map(Single::Expr);
    }
    let mend = tree
        .text()
        .map(|_| "put all of it into one: `${'text-' + …}`".to_owned());
    context.report.error(
        tree,
        format!("{what} is a literal or one `${{ }}`, not a mixture"),
        mend,
    );
    None
}

/// The value with its parameters filled in, as far as they are whole values: those are as good as literals.
pub(super) fn with_parameters<'t>(names: &Names<'_>, tree: &'t Tree) -> Cow<'t, Tree> {
    if names.params.is_none() || expressions_in(tree) == 0 {
        return Cow::Borrowed(tree);
    }
    let data = match &tree.data {
        Data::Scalar { .. } => match parameter(names, tree) {
            Some(value) => literal(tree, &value),
            None => return Cow::Borrowed(tree),
        },
        Data::List(items) => Data::List(
            items
                .iter()
                .map(|item| with_parameters(names, item).into_owned())
                .collect(),
        ),
        Data::Map(entries) => Data::Map(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), with_parameters(names, value).into_owned()))
                .collect(),
        ),
    };
    Cow::Owned(Tree { data, ..*tree })
}

fn parameter(names: &Names<'_>, tree: &Tree) -> Option<Value> {
    let inner = tree.text()?.strip_prefix("${")?.strip_suffix('}')?;
    Expr::compile(inner, *names).ok()?.constant()
}

/// A value that stands at the place of a tree.
fn literal(at: &Tree, value: &Value) -> Data {
    let of = |value: &Value| Tree {
        data: literal(at, value),
        ..*at
    };
    match value {
        Value::Array(items) => Data::List(items.iter().map(of).collect()),
        Value::Object(map) => {
            let entry =
                |(key, value): (&String, &Value)| (of(&Value::from(key.as_str())), of(value));
            Data::Map(map.iter().map(entry).collect())
        }
        scalar => Data::Scalar {
            value: scalar.clone(),
            plain: false,
        },
    }
}

/// The expression of a value that is one `${ }`, begins and ends with it.
pub(super) fn whole(context: &mut Context<'_, '_>, tree: &Tree, names: Names<'_>) -> Option<Expr> {
    let inner = tree.text()?.strip_prefix("${")?.strip_suffix('}')?;
    expr(context, tree, inner, names)
}

/// What earlier steps applied may be read in every later one.
fn with_applied<'n>(context: &Context<'_, '_>, names: Names<'n>) -> Names<'n> {
    Names {
        applied: !context.applied.is_empty(),
        previous: context.previous,
        ..names
    }
}

fn expr(context: &mut Context<'_, '_>, tree: &Tree, text: &str, names: Names<'_>) -> Option<Expr> {
    match Expr::compile(text, with_applied(context, names)) {
        Ok(expr) => Some(expr),
        Err(problems) => {
            for problem in problems {
                report(context, tree, 2, problem);
            }
            None
        }
    }
}

fn report(context: &mut Context<'_, '_>, tree: &Tree, offset: usize, mut problem: ExprProblem) {
    if context.applied.is_empty()
        && let Some(name) = context.named.first()
        && marks(tree, offset, &problem, "applied")
    {
        problem.message = format!(
            "the step named `{name}` stands further down: `applied` holds what steps before this one applied"
        );
        problem.mend = Some("put the `apply` step before this one".into());
    }
    let at: Spot = context
        .report
        .within(tree, problem.at + offset, problem.length);
    context.report.error(at, problem.message, problem.mend);
}

fn expressions_in(tree: &Tree) -> usize {
    let of = |text: Option<&str>| text.map_or(0, |t| t.matches("${").count());
    match &tree.data {
        Data::Scalar { .. } => of(tree.text()),
        Data::List(items) => items.iter().map(expressions_in).sum(),
        Data::Map(entries) => entries
            .iter()
            .map(|(key, value)| of(key.text()) + expressions_in(value))
            .sum(),
    }
}

/// Whether the problem marks this name.
fn marks(tree: &Tree, offset: usize, problem: &ExprProblem, name: &str) -> bool {
    let marked = tree.text().and_then(|text| {
        let at = problem.at.checked_add(offset)?;
        let end = at.checked_add(problem.length)?;
        text.get(at..end)
    });
    marked == Some(name)
}

/// The string that a location of a template means.
fn locate<'t>(tree: &'t Tree, location: &Location, in_key: bool) -> &'t Tree {
    let mut at = tree;
    for (depth, hop) in location.iter().enumerate() {
        let last = depth + 1 == location.len();
        let next = match (hop, &at.data) {
            (Hop::Name(name), Data::Map(_)) => at
                .entry(name)
                .map(|(key, value)| if last && in_key { key } else { value }),
            (Hop::Index(index), Data::List(items)) => items.get(*index),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}
