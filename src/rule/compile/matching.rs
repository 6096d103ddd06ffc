//! `match`: kinds, names, namespaces, label selectors.

use super::fields;
use super::kinds::{self, Matched};
use super::report::{Report, Spot};
use crate::rule::selector::{
    Deleting, Globs, LabelOperator, LabelSelector, Match, Requirement, SelectorPart,
    SelectorProblem,
};
use crate::rule::yaml::{Data, Tree};
use crate::schema::Schema;

const FIELDS: [&str; 6] = [
    "resources",
    "names",
    "namespaces",
    "selector",
    "namespaceSelector",
    "deleting",
];
const DELETING: [(&str, Deleting); 2] = [("Exclude", Deleting::Exclude), ("Only", Deleting::Only)];

/// `None` if no kind could be made out; problems are reported.
pub(super) fn compile(
    tree: &Tree,
    report: &mut Report<'_>,
    schema: &Schema,
) -> Option<(Match, Vec<Matched>, Vec<Spot>)> {
    let of = fields::fields(report, tree, "`match`", &FIELDS, &[])?;
    let mut globs = |name: &str| match of.get(name) {
        Some(tree) => self::globs(report, tree, name),
        None => Globs::new(vec![]),
    };
    let (names, namespaces) = (globs("names"), globs("namespaces"));
    let mut labels = |name: &str| of.get(name).map(|tree| self::labels(report, tree, name));
    let (selector, namespace_selector) = (labels("selector"), labels("namespaceSelector"));
    let deleting = of
        .get("deleting")
        .and_then(|t| fields::word(report, t, "`deleting`", &DELETING))
        .unwrap_or_default();
    let Some(resources) = of.get("resources") else {
        report.error(
            of.key("resources").unwrap_or(tree),
            "`match` needs `resources`, the kinds the rule is about",
            Some("write `resources: [{apiVersion: apps/v1, kind: Deployment}]`".into()),
        );
        return None;
    };
    let kinds = kinds::compile(resources, report, schema)?;
    let matches = Match {
        kinds: kinds.matched.iter().map(|m| m.resolved.clone()).collect(),
        workload: kinds.workload,
        names,
        namespaces,
        selector: selector.unwrap_or_default(),
        namespace_selector,
        deleting,
    };
    Some((matches, kinds.matched, kinds.places))
}

pub(super) fn globs(report: &mut Report<'_>, tree: &Tree, name: &str) -> Globs {
    let mut patterns = vec![];
    for (item, pattern) in fields::texts(report, tree, &format!("`{name}`")) {
        match Globs::check(pattern) {
            Ok(()) => patterns.push(pattern.to_owned()),
            Err((message, mend)) => report.error(item, message, mend),
        }
    }
    Globs::new(patterns)
}

pub(super) fn labels(report: &mut Report<'_>, tree: &Tree, name: &str) -> LabelSelector {
    let mut requirements = vec![];
    let what = format!("`{name}`");
    let known = ["matchLabels", "matchExpressions"];
    let Some(of) = fields::fields(report, tree, &what, &known, &[]) else {
        return LabelSelector::default();
    };
    if let Some(tree) = of.get("matchLabels") {
        if let Data::Map(entries) = &tree.data {
            for (key, value) in entries {
                requirements.extend(label(report, key, value));
            }
        } else {
            let message = format!(
                "`matchLabels` is a map, and here is {}",
                fields::found(tree)
            );
            report.error(
                tree,
                message,
                Some("write `matchLabels: {app: shop}`".into()),
            );
        }
    }
    if let Some(tree) = of.get("matchExpressions") {
        let items = fields::list(report, tree, "`matchExpressions`").unwrap_or_default();
        requirements.extend(items.iter().filter_map(|item| expression(report, item)));
    }
    LabelSelector::new(requirements)
}

/// One entry of `matchLabels`.
pub(super) fn label(report: &mut Report<'_>, key: &Tree, value: &Tree) -> Option<Requirement> {
    let text = fields::text(report, value, "a label's value")?;
    match Requirement::label(key.text().unwrap_or_default(), text) {
        Ok(requirement) => Some(requirement),
        Err(problem) => {
            let at = match problem.part {
                SelectorPart::Key => key,
                _ => value,
            };
            report.error(at, problem.message, problem.mend);
            None
        }
    }
}

/// One entry of `matchExpressions`.
pub(super) fn expression(report: &mut Report<'_>, tree: &Tree) -> Option<Requirement> {
    let known = ["key", "operator", "values"];
    let of = fields::fields(report, tree, "a match expression", &known, &[])?;
    let (Some(key), Some(operator_tree)) = (of.get("key"), of.get("operator")) else {
        let mend = Some("write for example `{key: app, operator: In, values: [shop]}`".into());
        report.error(tree, "a match expression needs `key` and `operator`", mend);
        return None;
    };
    let key_text = fields::text(report, key, "`key`")?;
    let operators = LabelOperator::ALL.map(|operator| (operator.as_str(), operator));
    let operator = fields::word(report, operator_tree, "`operator`", &operators)?;
    let values = of
        .get("values")
        .map(|t| fields::texts(report, t, "`values`"))
        .unwrap_or_default();
    let texts: Vec<&str> = values.iter().map(|(_, text)| *text).collect();
    match Requirement::new(key_text, operator, &texts) {
        Ok(requirement) => Some(requirement),
        Err(SelectorProblem {
            part,
            message,
            mend,
        }) => {
            let at = match part {
                SelectorPart::Key => key,
                SelectorPart::Values => of.get("values").unwrap_or(operator_tree),
                SelectorPart::Value(index) => values.get(index).map_or(tree, |(item, _)| item),
            };
            report.error(at, message, mend);
            None
        }
    }
}
