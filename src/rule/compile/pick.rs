//! `pick: {groupBy, orderBy, skip, take}`.

use super::document::Context;
use super::expressions::{self, Single};
use super::{clauses, fields, paths};
use crate::rule::Occasion;
use crate::rule::pick::{By, OrderBy, Pick};
use crate::rule::test::ReadAs;
use crate::rule::yaml::{Data, Tree};
use crate::schema::Shape;

const FIELDS: [&str; 4] = ["groupBy", "orderBy", "skip", "take"];
const DIRECTIONS: [(&str, bool); 2] = [("Ascending", false), ("Descending", true)];
/// Most that may be passed over or picked.
const MOST: i64 = 1_000_000;
const EXAMPLE: &str = "write for example `{groupBy: [$.metadata.namespace], orderBy: {path: $.metadata.creationTimestamp, direction: Descending}, skip: 3}`";

pub(super) fn compile(context: &mut Context<'_, '_>, key: &Tree, tree: &Tree) -> Option<Pick> {
    if !context.when.has(Occasion::Reconcile) {
        let message = "`pick` belongs to the loop, and this rule looks at admission only";
        let mend = "add `Reconcile` to `when`, or take `pick` out";
        context.report.error(key, message, Some(mend.into()));
    }
    let of = fields::fields(context.report, tree, "`pick`", &FIELDS, &[])?;
    let mut group_by = vec![];
    let mut good = !of.refused;
    if let Some(tree) = of.get("groupBy") {
        for item in fields::list(context.report, tree, "`groupBy`").unwrap_or_default() {
            let by = by(context, item, "each of `groupBy`");
            good &= by.is_some();
            group_by.extend(by);
        }
    }
    let order_by = match of.get("orderBy") {
        Some(tree) => {
            let order = order_by(context, tree);
            good &= order.is_some();
            order
        }
        None => None,
    };
    let mut number = |name: &str, least: i64| match of.get(name) {
        None => Some(None),
        Some(tree) => count(context, tree, name, least).map(Some),
    };
    let (skip, take) = (number("skip", 0), number("take", 1));
    let (skip, take) = (skip?, take?);
    let nothing = skip.is_none_or(|n| n == 0) && take.is_none() && of.get("orderBy").is_none();
    if nothing && !of.refused {
        let message = "this `pick` picks everything: it needs `skip`, `take` or `orderBy`";
        context.report.error(key, message, Some(EXAMPLE.into()));
        return None;
    }
    good.then_some(Pick {
        group_by,
        order_by,
        skip: skip.unwrap_or_default(),
        take,
    })
}

/// A path, or one `${ }`.
fn by(context: &mut Context<'_, '_>, tree: &Tree, what: &str) -> Option<By> {
    let text = fields::text(context.report, tree, what)?;
    if !text.contains("${") {
        let path = paths::compile(context, tree, None)?;
        context.reads.more_than_metadata |= !path.is_metadata_only();
        return Some(By::Path(path));
    }
    let declared = context.declared.clone();
    let names = declared.names();
    let expr = match expressions::single(context, tree, what, names)? {
        Single::Expr(expr) => expr,
        // Made of parameters alone.
        Single::Literal(_) => expressions::whole(context, tree, names)?,
    };
    if expr.reads_now() {
        let message = "the order of objects cannot follow `now`: it would never be settled";
        let mend = "`as: age` in `orderBy` puts the younger first";
        context.report.error(tree, message, Some(mend.into()));
        return None;
    }
    Some(By::Expr(expr))
}

fn order_by(context: &mut Context<'_, '_>, tree: &Tree) -> Option<OrderBy> {
    if tree.text().is_some() || matches!(tree.data, Data::List(_)) {
        let mend = match tree.text() {
            Some(text) => format!("write `{{path: {}}}`", fields::shortened(text)),
            None => "write one `{path: …}`; what is equal there is in order of namespace and name"
                .into(),
        };
        let message = format!("`orderBy` is a map, and here is {}", fields::found(tree));
        context.report.error(tree, message, Some(mend));
        return None;
    }
    let known = ["path", "expression", "as", "direction"];
    let of = fields::fields(context.report, tree, "`orderBy`", &known, &[])?;
    let read_as = match of.get("as") {
        Some(tree) => {
            let words = ReadAs::ALL.map(|read_as| (read_as.as_str(), read_as));
            Some(fields::word(context.report, tree, "`as`", &words)?)
        }
        None => None,
    };
    let descending = match of.get("direction") {
        Some(tree) => fields::word(context.report, tree, "`direction`", &DIRECTIONS)?,
        None => false,
    };
    let by = match (of.get("path"), of.get("expression")) {
        (Some(path), None) => by(context, path, "a path")?,
        (None, Some(expression)) => by(context, expression, "`expression`")?,
        (Some(_), Some(expression)) => {
            let message = "`orderBy` has a `path` or an `expression`, not both";
            context.report.error(expression, message, None);
            return None;
        }
        (None, None) => {
            if !of.refused {
                let message = "`orderBy` needs a `path`";
                let mend = "write for example `{path: $.metadata.creationTimestamp}`";
                context.report.error(tree, message, Some(mend.into()));
            }
            return None;
        }
    };
    if let By::Path(path) = &by {
        let schemas = context.kinds.iter().filter_map(|k| k.schema.as_deref());
        let types = paths::types(schemas, path, None);
        if let Some(first) = types.first() {
            let shape = first.shape();
            let all = |shapes: &[Shape]| types.iter().all(|t| shapes.contains(&t.shape()));
            let is = clauses::described(shape);
            let at = of.get("path").unwrap_or(tree);
            let sized = matches!(read_as, Some(ReadAs::Count | ReadAs::Size));
            if all(&[Shape::List, Shape::Map, Shape::Object, Shape::Boolean]) && !sized {
                let message = format!("this is {is}, which has no order");
                context.report.error(at, message, None);
                return None;
            }
            if read_as.is_none() && all(&[Shape::Quantity]) {
                let message = "this is a quantity, which would be put in order as text";
                let mend = Some("add `as: quantity`".into());
                context.report.warning(at, message, mend);
            }
        }
    }
    Some(OrderBy {
        by,
        read_as,
        descending,
    })
}

/// A whole number, perhaps a parameter.
fn count(context: &mut Context<'_, '_>, tree: &Tree, name: &str, least: i64) -> Option<usize> {
    let declared = context.declared.clone();
    let filled = expressions::with_parameters(&declared.names(), tree).into_owned();
    if filled.text().is_some_and(|text| text.contains("${")) {
        // What is wrong with the expression itself comes first.
        expressions::template(context, tree, declared.names())?;
        let message = format!("`{name}` is the same for all objects: a number, or one parameter");
        let mend = format!("write `{name}: 3` or `{name}: ${{params.NAME}}`");
        context.report.error(tree, message, Some(mend));
        return None;
    }
    let what = format!("`{name}`");
    let number = fields::whole(context.report, &filled, &what, least..=MOST)?;
    usize::try_from(number).ok()
}
