//! `wait: {for: [tests], timeout}` of a step.

use super::document::Context;
use super::fields::{self, Fields};
use super::kinds::Matched;
use super::{clauses, memory};
use crate::rule::expr::Names;
use crate::rule::yaml::Tree;
use crate::rule::{Occasion, Wait};

/// The verb behind which nothing comes.
const LAST: &str = "delete";

/// `applied`: the kind that the step writes, whose object is waited for; `aims`: the step has a target; else it is the subject.
/// What is wrong has been reported.
pub(super) fn compile(
    context: &mut Context<'_, '_>,
    (of, verb): (Fields<'_>, &str),
    applied: Option<Matched>,
    aims: bool,
) -> Option<Wait> {
    let (key, tree) = of.entry("wait")?;
    if !context.when.has(Occasion::Reconcile) {
        let message = "`wait` belongs to the loop, and this rule looks at admission only";
        let mend = "add `Reconcile` to `when`, or take `wait` out";
        context.report.error(key, message, Some(mend.into()));
        return None;
    }
    if verb == LAST && !aims {
        let message = format!("behind `{verb}` there is nothing to wait for");
        let mend = "write `wait` beside the step that has to be done before";
        context.report.error(key, message, Some(mend.into()));
        return None;
    }
    if tree.text().is_some() {
        let message = format!(
            "`wait` is a map with `for`, and here is {}",
            fields::found(tree)
        );
        let mend = "`wait` looks at an object; `after` lets time pass";
        context.report.error(tree, message, Some(mend.into()));
        return None;
    }
    let of = fields::fields(context.report, tree, "`wait`", &["for", "timeout"], &[])?;
    let timeout = match of.get("timeout") {
        Some(tree) => Some(memory::length(context, tree, "timeout")?),
        None => None,
    };
    let Some(tests) = of.get("for") else {
        if !of.refused {
            let at = of.key("for").unwrap_or(tree);
            let mend = "write for example `for: [{path: $.status.readyReplicas, operator: AtLeast, value: 1}]`";
            context
                .report
                .error(at, "`wait` needs `for`: a list of tests", Some(mend.into()));
        }
        return None;
    };
    let tests = tests_of(context, tests, applied, aims);
    if tests.is_empty() {
        // An empty list, or one whose tests are wrong and reported.
        if matches!(of.get("for").map(Tree::to_value), Some(serde_json::Value::Array(list)) if list.is_empty())
        {
            context.report.error(tree, "`for` names no test", None);
        }
        return None;
    }
    Some(Wait { tests, timeout })
}

fn tests_of(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    applied: Option<Matched>,
    aims: bool,
) -> Vec<crate::rule::test::Test> {
    let declared = context.declared.clone();
    let names = Names {
        item: applied.is_some() || aims,
        ..declared.names()
    };
    // What is not there yet is what is waited for: no sign of a typing error.
    let unchecked = context.reads.unchecked.len();
    let former = applied.map(|kind| {
        let kinds = std::mem::replace(&mut context.kinds, vec![kind]);
        // `object` stays the subject.
        let subject = context.subject_kinds.clone();
        context.subject_kinds.get_or_insert_with(|| kinds.clone());
        (kinds, subject)
    });
    let tests = clauses::list(context, tree, "`for`", None, names);
    if let Some((kinds, subject)) = former {
        context.kinds = kinds;
        context.subject_kinds = subject;
    }
    context.reads.unchecked.truncate(unchecked);
    tests
}
