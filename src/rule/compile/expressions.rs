//! `${ }` in values, its problems mapped to their place in the file.

use super::document::Context;
use super::report::Spot;
use crate::rule::expr::{Expr, ExprProblem, Names, Template};
use crate::rule::path::{Hop, Location};
use crate::rule::yaml::{Data, Tree};
use serde_json::Value;

/// Most `${ }` in one value.
const MOST: usize = 1_000;

/// A value that is a literal or one `${ }`.
pub(super) enum Single {
    Literal(Value),
    Expr(Expr),
}

/// Compiles a value with `${ }` anywhere in it.
pub(super) fn template(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    names: Names,
) -> Option<Template> {
    if expressions_in(tree) > MOST {
        let message = format!("more than {MOST} `${{ }}` in one value");
        context.report.error(tree, message, None);
        return None;
    }
    match Template::compile(&tree.to_value(), names) {
        Ok(template) => {
            for expr in template.expressions() {
                context.reads.expression(expr);
            }
            Some(template)
        }
        Err(problems) => {
            for mut problem in problems {
                let at = locate(tree, &problem.location, problem.in_key);
                if names.current && !names.item && is_item(at, &problem.problem) {
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

/// A literal without `${ }` in it, or one `${ }` that is the whole value. `what`: `a value`.
pub(super) fn single(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    what: &str,
    names: Names,
) -> Option<Single> {
    let compiled = template(context, tree, names)?;
    if let Some(literal) = compiled.literal() {
        return Some(Single::Literal(literal.clone()));
    }
    // A template that is one `${ }` begins and ends with it.
    let inner = tree
        .text()
        .and_then(|t| t.strip_prefix("${")?.strip_suffix('}'));
    if let (Some(_), Some(inner)) = (compiled.whole(), inner) {
        return expr(context, tree, inner, names).map(Single::Expr);
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

fn expr(context: &mut Context<'_, '_>, tree: &Tree, text: &str, names: Names) -> Option<Expr> {
    match Expr::compile(text, names) {
        Ok(expr) => Some(expr),
        Err(problems) => {
            for problem in problems {
                report(context, tree, 2, problem);
            }
            None
        }
    }
}

fn report(context: &mut Context<'_, '_>, tree: &Tree, offset: usize, problem: ExprProblem) {
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

/// Whether the problem marks the name `item`.
fn is_item(tree: &Tree, problem: &ExprProblem) -> bool {
    let marked = tree.text().and_then(|text| {
        let end = problem.at.checked_add(problem.length)?;
        text.get(problem.at..end)
    });
    marked == Some("item")
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
