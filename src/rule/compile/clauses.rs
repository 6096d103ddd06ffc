//! Tests: `{path | expression, as, operator, value | values}`, `any`, `none`, and lists of them.

use super::document::Context;
use super::expressions::{self, Single};
use super::fields::{self, Fields};
use super::report::Report;
use super::{globs, habits, paths, values};
use crate::rule::expr::Names;
use crate::rule::path::Path;
use crate::rule::test::{
    Clause, ClausePart, Operator, ReadAs, Right, Subject, Test, number_as_version,
};
use crate::rule::yaml::{Data, Tree};
use crate::schema::{Shape, Type};
use serde_json::Value;

const FIELDS: [&str; 6] = ["path", "expression", "as", "operator", "value", "values"];

/// A list of tests. `item`: the path of the edit they belong to, if that has an `item`.
pub(super) fn list(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    what: &str,
    item: Option<&Path>,
    names: Names<'_>,
) -> Vec<Test> {
    let mut tests = vec![];
    for test in within(context, tree, what, item, names) {
        match test {
            // AND within AND.
            Test::All(inner) => tests.extend(inner),
            test => tests.push(test),
        }
    }
    tests
}

fn within(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    what: &str,
    item: Option<&Path>,
    names: Names<'_>,
) -> Vec<Test> {
    let items = fields::list(context.report, tree, what).unwrap_or_default();
    items
        .iter()
        .filter_map(|tree| test(context, tree, item, names))
        .collect()
}

fn test(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    item: Option<&Path>,
    names: Names<'_>,
) -> Option<Test> {
    if let Data::List(items) = &tree.data {
        if items.is_empty() {
            let message = "an empty list always passes";
            context.report.error(tree, message, None);
        }
        return Some(Test::All(list(context, tree, "a list", item, names)));
    }
    for word in ["any", "none"] {
        let Some((key, inner)) = tree.entry(word) else {
            continue;
        };
        let what = format!("`{word}`");
        fields::fields(
            context.report,
            tree,
            &format!("a test with {what}"),
            &[word],
            &[],
        )?;
        let tests = within(context, inner, &what, item, names);
        if matches!(&inner.data, Data::List(items) if items.is_empty()) {
            let effect = if word == "any" {
                "never passes"
            } else {
                "always passes"
            };
            context
                .report
                .error(key, format!("{what} without tests {effect}"), None);
        }
        return Some(match word {
            "any" => Test::Any(tests),
            _ => Test::None(tests),
        });
    }
    if let Some(text) = tree.text() {
        let mend = format!(
            "write `{{expression: \"${{{}}}\", value: true}}`",
            fields::shortened(text.trim_start_matches("${").trim_end_matches('}').trim())
        );
        let message = format!(
            "a test is a map, and here is the text {:?}",
            fields::shortened(text)
        );
        context.report.error(tree, message, Some(mend));
        return None;
    }
    let of = fields::fields(context.report, tree, "a test", &FIELDS, &[])?;
    clause(context, tree, of, item, names).map(Test::Clause)
}

fn clause(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    of: Fields<'_>,
    item: Option<&Path>,
    names: Names<'_>,
) -> Option<Clause> {
    let subject = subject(context, tree, of, item, names);
    let read_as = match of.get("as") {
        Some(tree) => {
            let words = ReadAs::ALL.map(|read_as| (read_as.as_str(), read_as));
            Some(fields::word(context.report, tree, "`as`", &words)?)
        }
        None => None,
    };
    let operator = match of.get("operator") {
        Some(tree) => {
            let words = Operator::ALL.map(|operator| (operator.as_str(), operator));
            fields::word(context.report, tree, "`operator`", &words)?
        }
        None => Operator::Equals,
    };
    let right = right(context, of, names)?;
    let (subject, subject_tree) = subject?;
    let (subject, right) = match context.joined {
        Some(_) => turned(subject, operator, right),
        None => (subject, right),
    };
    if matches!(right, Right::Nothing) && of.get("operator").is_none() && read_as.is_none() {
        if !of.refused {
            let mend = match subject {
                Subject::Path(_) => "write `operator: Exists` if you ask whether it is there",
                Subject::Expr(_) => "add `value: true` if it is true or false",
            };
            context.report.error(
                subject_tree,
                "this test has neither an operator nor a value",
                Some(mend.into()),
            );
        }
        return None;
    }
    if let Subject::Path(path) = &subject {
        let more = !path.is_metadata_only();
        match &mut context.joined {
            Some(joined) => joined.more_than_metadata |= more,
            None => context.reads.more_than_metadata |= more,
        }
        type_fits(context, of, path, read_as, operator, &right, item);
        globs::warn(context, of, path, read_as, operator, &right);
    }
    match Clause::new(subject, read_as, operator, right) {
        Ok(clause) => Some(clause),
        Err(problem) => {
            let right = of.entry("value").or_else(|| of.entry("values"));
            let at = match problem.part {
                ClausePart::As => of.get("as"),
                ClausePart::Operator => of.get("operator"),
                ClausePart::Right => right.map(|(key, value)| match value.data {
                    Data::Scalar { .. } => value,
                    _ => key,
                }),
                ClausePart::Element(index) => right.map(|(_, value)| match &value.data {
                    Data::List(items) => items.get(index).unwrap_or(value),
                    _ => value,
                }),
            };
            let number = at
                .filter(|_| read_as == Some(ReadAs::Semver))
                .and_then(|at| context.report.number_as_written(at));
            let (message, mend) = match number.map(|text| number_as_version(&text)) {
                Some((message, mend)) => (message, Some(mend)),
                None => (problem.message, problem.mend),
            };
            let at = at.unwrap_or(subject_tree);
            let mend = match mend {
                Some(mend) if mend.starts_with("write it without quotes") => {
                    context.report.mend_of_type(at, Some("number"), Some(mend))
                }
                mend => mend,
            };
            context.report.error(at, message, mend);
            None
        }
    }
}

fn subject<'t>(
    context: &mut Context<'_, '_>,
    tree: &'t Tree,
    of: Fields<'t>,
    item: Option<&Path>,
    names: Names<'_>,
) -> Option<(Subject, &'t Tree)> {
    match (of.get("path"), of.get("expression")) {
        (Some(path), None) => {
            let compiled = paths::compile(context, path, item)?;
            Some((Subject::Path(compiled), path))
        }
        (None, Some(expression)) => {
            let text = fields::text(context.report, expression, "`expression`")?;
            if !text.contains("${") {
                let mend = format!("write `${{{}}}`", habits::unwrapped(text));
                let message = "`expression` is CEL in `${ }`";
                context.report.error(expression, message, Some(mend));
                return None;
            }
            match expressions::single(context, expression, "`expression`", names)? {
                Single::Expr(expr) => Some((Subject::Expr(expr), expression)),
                // Made of parameters alone.
                Single::Literal(_) => {
                    let expr = expressions::whole(context, expression, names)?;
                    Some((Subject::Expr(expr), expression))
                }
            }
        }
        (Some(_), Some(second)) => {
            let key = of.key("expression").unwrap_or(second);
            let message = "a test has a `path` or an `expression`, not both";
            context.report.error(
                key,
                message,
                Some("write two tests: all of them must pass".into()),
            );
            None
        }
        // A field that is unknown was perhaps meant so.
        (None, None) if of.refused => None,
        (None, None) => {
            let message = "a test needs a `path` or an `expression`";
            let mend = "write for example `{path: $.metadata.labels.team, operator: Exists}`";
            context.report.error(tree, message, Some(mend.into()));
            None
        }
    }
}

/// An equality of which only the right side reads the candidate, the other way round: then it is a look-up.
fn turned(subject: Subject, operator: Operator, right: Right) -> (Subject, Right) {
    match (subject, right) {
        (Subject::Expr(left), Right::Expr(right))
            if operator == Operator::Equals
                && !left.reads_candidate()
                && right.reads_candidate()
                && right.is_of_candidate_alone() =>
        {
            (Subject::Expr(right), Right::Expr(left))
        }
        same => same,
    }
}

/// `None`: it has been reported.
pub(super) fn right(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    names: Names<'_>,
) -> Option<Right> {
    match (of.entry("value"), of.entry("values")) {
        (None, None) => Some(Right::Nothing),
        (Some(_), Some((key, _))) => {
            let message = "a test has a `value` or `values`, not both";
            context.report.error(key, message, None);
            None
        }
        (Some((_, value)), None) => match expressions::single(context, value, "a value", names)? {
            Single::Literal(literal) => Some(Right::Value(literal)),
            Single::Expr(expr) => Some(Right::Expr(expr)),
        },
        (None, Some((_, values))) => match &values.data {
            Data::List(items) => {
                let mut literals = vec![];
                for item in items {
                    match expressions::single(context, item, "a value", names)? {
                        Single::Literal(literal) => literals.push(literal),
                        Single::Expr(_) => {
                            let message =
                                "`values` is a list of literals, or one `${ }` that gives a list";
                            let mend = "write `values: ${[…]}`";
                            context.report.error(item, message, Some(mend.into()));
                            return None;
                        }
                    }
                }
                Some(Right::Values(literals))
            }
            _ => match expressions::single(context, values, "`values`", names)? {
                Single::Expr(expr) => Some(Right::Expr(expr)),
                // A parameter.
                Single::Literal(Value::Array(items)) => Some(Right::Parameter(items)),
                Single::Literal(_) => {
                    fields::list(context.report, values, "`values`")?;
                    None
                }
            },
        },
    }
}

/// Warns where the type of the field shows that a test can never pass, or never be read.
fn type_fits(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    path: &Path,
    read_as: Option<ReadAs>,
    operator: Operator,
    right: &Right,
    item: Option<&Path>,
) {
    let schemas = context
        .path_kinds()
        .iter()
        .filter_map(|k| k.schema.as_deref());
    let types = paths::types(schemas, path, item);
    let Some(first) = types.first() else { return };
    let all = |wrong: &dyn Fn(Type<'_>) -> bool| types.iter().all(|t| wrong(*t));
    let shape = first.shape();
    let is = described(shape);
    let mut warnings: Vec<(Option<&Tree>, String, Option<String>)> = vec![];
    if let Some(read_as) = read_as {
        if all(&|t| !reads(read_as, t.shape())) {
            let mend =
                (shape == Shape::List).then(|| "write `[*]` to look into each element".into());
            let message = format!(
                "this is {is}, which cannot be read `as: {}`",
                read_as.as_str()
            );
            warnings.push((of.get("as"), message, mend));
        }
    } else if operator.is_ordering() {
        // Text on the right is an error of its own.
        let text = matches!(right, Right::Value(Value::String(_)));
        if text || !all(&|t| !orders(t.shape())) {
            return;
        }
        let mend = match shape {
            Shape::Quantity => Some("add `as: quantity`".into()),
            Shape::Time => Some("add `as: age` and compare with a duration".into()),
            Shape::String => Some("add `as` with the type to read it as".into()),
            Shape::List => Some("add `as: count`, or write `[*]` to look into each element".into()),
            _ => None,
        };
        let message = format!("this is {is}, which `{}` cannot compare", operator.as_str());
        warnings.push((of.get("operator"), message, mend));
    } else if let Right::Value(value) = right {
        if equality(operator) && all(&|t| !holds(t.shape(), value)) {
            warnings.push(mismatch(context.report, of.get("value"), shape, value));
        }
    } else if let Right::Values(values) = right {
        let trees: &[Tree] = match of.get("values").map(|t| &t.data) {
            Some(Data::List(items)) => items,
            _ => &[],
        };
        for (tree, value) in trees.iter().zip(values) {
            if all(&|t| !holds(t.shape(), value)) {
                warnings.push(mismatch(context.report, Some(tree), shape, value));
            }
        }
    }
    for (tree, message, mend) in warnings {
        if let Some(tree) = tree {
            context.report.warning(tree, message, mend);
        }
    }
}

fn mismatch<'t>(
    report: &Report<'_>,
    tree: Option<&'t Tree>,
    shape: Shape,
    value: &Value,
) -> (Option<&'t Tree>, String, Option<String>) {
    let mend = match (shape, value) {
        (Shape::Integer | Shape::Number | Shape::Boolean, Value::String(text)) => {
            let reads = match shape {
                Shape::Boolean => text.parse::<bool>().is_ok(),
                _ => text.parse::<f64>().is_ok(),
            };
            reads.then(|| format!("write it without quotes: `{text}`"))
        }
        (Shape::Quantity, Value::Number(_)) => Some("add `as: quantity`".into()),
        (Shape::String | Shape::Time | Shape::Quantity, Value::Number(_) | Value::Bool(_)) => {
            Some(format!("quote it: `\"{value}\"`"))
        }
        (Shape::List, _) => Some("write `[*]` behind the path to look into each element".into()),
        _ => None,
    };
    let mend = match (tree, shape) {
        (Some(tree), shape) if shape != Shape::List => {
            report.mend_of_type(tree, values::parameter_type(shape), mend)
        }
        _ => mend,
    };
    let message = format!(
        "this is {}, which never equals {}",
        described(shape),
        told(value)
    );
    (tree, message, mend)
}

fn told(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text {:?}", fields::shortened(text)),
        Value::Number(n) => format!("the number {n}"),
        Value::Bool(b) => format!("the boolean {b}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
        Value::Null => "null".into(),
    }
}

/// A type for people.
pub(super) fn described(shape: Shape) -> &'static str {
    match shape {
        Shape::Object | Shape::Map => "a map",
        Shape::List => "a list",
        Shape::String => "text",
        Shape::Integer => "a whole number",
        Shape::Number => "a number",
        Shape::Boolean => "a boolean",
        Shape::IntOrString => "a whole number or text",
        Shape::Quantity => "a quantity",
        Shape::Time => "a time",
        Shape::Any => "anything",
    }
}

pub(super) fn equality(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Equals | Operator::NotEquals | Operator::In | Operator::NotIn
    )
}

fn orders(shape: Shape) -> bool {
    matches!(
        shape,
        Shape::Integer | Shape::Number | Shape::IntOrString | Shape::Any
    )
}

/// Whether a field of this type can hold the value.
fn holds(shape: Shape, value: &Value) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Object | Shape::Map => value.is_object(),
        Shape::List => value.is_array(),
        Shape::Integer | Shape::Number => value.is_number(),
        Shape::Boolean => value.is_boolean(),
        Shape::IntOrString => value.is_number() || value.is_string(),
        Shape::String | Shape::Quantity | Shape::Time => value.is_string(),
    }
}

/// Whether a value of this type can be read so.
fn reads(read_as: ReadAs, shape: Shape) -> bool {
    let text = matches!(shape, Shape::String | Shape::IntOrString | Shape::Any);
    match read_as {
        ReadAs::Count => true,
        ReadAs::Size => {
            text || matches!(
                shape,
                Shape::Object | Shape::Map | Shape::List | Shape::Quantity | Shape::Time
            )
        }
        ReadAs::Age | ReadAs::Until => text || shape == Shape::Time,
        ReadAs::Quantity => {
            text || matches!(shape, Shape::Quantity | Shape::Integer | Shape::Number)
        }
        ReadAs::Number => text || matches!(shape, Shape::Integer | Shape::Number | Shape::Quantity),
        ReadAs::Duration
        | ReadAs::Semver
        | ReadAs::ImageRegistry
        | ReadAs::ImageRepository
        | ReadAs::ImageTag
        | ReadAs::ImageDigest => text,
    }
}

/// CEL that reads `now` in a test has no moment at which it comes out differently.
pub(super) fn warn_of_now(context: &mut Context<'_, '_>, tree: Option<&Tree>) {
    let Some(tree) = tree else { return };
    let at = reading_now(tree).unwrap_or(tree);
    context.report.warning(
        at,
        "a test that reads `now` has no moment at which it is due: it is looked at again every ten minutes",
        Some("`as: age` and `as: until` are looked at again at the very moment".into()),
    );
}

/// The first scalar below with `now` in its `${ }`.
fn reading_now(tree: &Tree) -> Option<&Tree> {
    match &tree.data {
        Data::Scalar { .. } => tree
            .text()
            .filter(|text| text.contains("${") && text.contains("now"))
            .map(|_| tree),
        Data::List(items) => items.iter().find_map(reading_now),
        Data::Map(entries) => entries.iter().find_map(|(_, value)| reading_now(value)),
    }
}
