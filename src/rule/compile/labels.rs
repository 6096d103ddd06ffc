//! `selector` of a list: labels whose values, or all of it, may be computed.

use super::document::Context;
use super::{expressions, fields, matching, parameters};
use crate::rule::expr::Names;
use crate::rule::related::{self, Labels};
use crate::rule::selector::{LabelOperator, LabelSelector, Requirement, SelectorPart};
use crate::rule::yaml::{Data, Tree};

/// `selector`, any part of which may be computed.
pub(super) fn compile(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    names: Names<'_>,
) -> Option<Labels> {
    let errors = context.report.errors();
    let mut labels = Labels::default();
    if is_computed(tree) {
        expressions::single(context, tree, "`selector`", names)?;
        labels.whole = expressions::template(context, tree, names);
        return labels.whole.is_some().then_some(labels);
    }
    let known = ["matchLabels", "matchExpressions"];
    let of = fields::fields(context.report, tree, "`selector`", &known, &[])?;
    let mut fixed = vec![];
    if let Some(tree) = of.get("matchLabels") {
        match &tree.data {
            _ if is_computed(tree) => {
                expressions::single(context, tree, "`matchLabels`", names)?;
                labels.map = expressions::template(context, tree, names);
            }
            Data::Map(entries) => {
                for (key, value) in entries {
                    if is_computed(key) || is_computed(value) {
                        let name = label_key(context, key, Some(value));
                        let template = expressions::template(context, value, names);
                        labels.values.extend(name.zip(template));
                    } else {
                        fixed.extend(matching::label(context.report, key, value));
                    }
                }
            }
            _ => {
                let found = fields::found(tree);
                let message = format!("`matchLabels` is a map, and here is {found}");
                let mend = Some("write `matchLabels: {app: shop}`".into());
                context.report.error(tree, message, mend);
            }
        }
    }
    if let Some(tree) = of.get("matchExpressions") {
        let items = fields::list(context.report, tree, "`matchExpressions`").unwrap_or_default();
        for item in items {
            if parameters::has_expression(item) {
                let one = expression(context, item, names);
                labels.expressions.extend(one);
            } else {
                fixed.extend(matching::expression(context.report, item));
            }
        }
    }
    labels.fixed = LabelSelector::new(fixed);
    (context.report.errors() == errors).then_some(labels)
}

/// The key of a label that is compared with something computed. `value`: of `matchLabels`.
fn label_key(context: &mut Context<'_, '_>, key: &Tree, value: Option<&Tree>) -> Option<Box<str>> {
    let text = fields::text(context.report, key, "a label's key")?;
    if is_computed(key) {
        let inner = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'));
        let literal = value.filter(|v| !is_computed(v)).and_then(Tree::text);
        let mend = match (inner, literal) {
            (Some(inner), Some(value)) if !inner.contains(['"', '$']) => {
                format!(
                    "compute the map as a whole: `matchLabels: \"${{{{{inner}: '{value}'}}}}\"`"
                )
            }
            _ if value.is_some() => "compute the map as a whole: `matchLabels: \"${ … }\"`".into(),
            _ => "compute the selector as a whole: `selector: \"${ … }\"`".into(),
        };
        let message = "`${ }` has no place in the key of a label: objects are looked up by it";
        context.report.error(key, message, Some(mend));
        return None;
    }
    match Requirement::new(text, LabelOperator::Exists, &[]) {
        Ok(_) => Some(text.into()),
        Err(problem) => {
            context.report.error(key, problem.message, problem.mend);
            None
        }
    }
}

/// One entry of `matchExpressions`, of which something is computed: its values, or one of them.
fn expression(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    names: Names<'_>,
) -> Option<related::Expression> {
    if let Some(key) = tree.get("key").filter(|key| is_computed(key)) {
        label_key(context, key, None);
        return None;
    }
    let computed = |values: &&Tree| parameters::has_expression(values);
    let Some(values) = tree.get("values").filter(computed) else {
        // Its operator, or a field that it does not have.
        matching::expression(context.report, tree);
        return None;
    };
    let known = ["key", "operator", "values"];
    let of = fields::fields(context.report, tree, "a match expression", &known, &[])?;
    let (Some(key), Some(operator_tree)) = (of.get("key"), of.get("operator")) else {
        // It says what is missing.
        matching::expression(context.report, tree);
        return None;
    };
    let operators = LabelOperator::ALL.map(|operator| (operator.as_str(), operator));
    let operator = fields::word(context.report, operator_tree, "`operator`", &operators)?;
    let items = match is_computed(values) {
        true => std::slice::from_ref(values),
        false => fields::list(context.report, values, "`values`")?,
    };
    let written: Vec<(&Tree, &str)> = items
        .iter()
        .filter(|item| !computed(item))
        .filter_map(|item| {
            Some((
                item,
                fields::text(context.report, item, "each of `values`")?,
            ))
        })
        .collect();
    // What is computed is looked at when it is known; what is written out is refused for the reasons for which it is refused elsewhere.
    let mut texts: Vec<&str> = written.iter().map(|(_, text)| *text).collect();
    texts.push("computed");
    let key_text = fields::text(context.report, key, "`key`")?;
    if let Err(problem) = Requirement::new(key_text, operator, &texts) {
        let at = match problem.part {
            SelectorPart::Key => key,
            SelectorPart::Values => values,
            SelectorPart::Value(index) => written.get(index).map_or(values, |(item, _)| *item),
        };
        context.report.error(at, problem.message, problem.mend);
        return None;
    }
    let errors = context.report.errors();
    let values = items
        .iter()
        .filter_map(|item| expressions::template(context, item, names))
        .collect();
    (context.report.errors() == errors).then(|| related::Expression {
        key: key_text.into(),
        operator,
        values,
    })
}

fn is_computed(tree: &Tree) -> bool {
    tree.text().is_some_and(|text| text.contains("${"))
}
