//! `enforceFor: {namespaceSelector, percent}`.

use super::report::Report;
use super::{fields, limits, matching};
use crate::rule::enforce_for::EnforceFor;
use crate::rule::yaml::Tree;
use crate::rule::{Mode, Occasion, Occasions};

pub(super) fn compile(
    report: &mut Report<'_>,
    tree: &Tree,
    mode: Mode,
    when: Occasions,
) -> Option<EnforceFor> {
    let known = ["namespaceSelector", "percent"];
    let of = fields::fields(report, tree, "`enforceFor`", &known, &[])?;
    let namespace_selector = of
        .get("namespaceSelector")
        .map(|t| matching::labels(report, t, "namespaceSelector"));
    let percent = of.get("percent").map(|t| limits::percent(report, t));
    if namespace_selector.is_none() && percent.is_none() {
        if !of.refused {
            let mend = "write for example `{percent: 10}`, or leave it out to enforce for all";
            let message = "`enforceFor` needs `namespaceSelector` or `percent`";
            report.error(tree, message, Some(mend.into()));
        }
        return None;
    }
    if let (Some(at), false) = (of.key("percent"), when.has(Occasion::Reconcile)) {
        let message = "`percent` is by the uid, which an object has only once it is created: it belongs to the loop";
        let mend = "add `Reconcile` to `when`, or choose by `namespaceSelector`";
        report.error(at, message, Some(mend.into()));
    }
    if mode != Mode::Enforce {
        let message =
            "`enforceFor` says for which objects a rule enforces, and this one enforces for none";
        report.warning(tree, message, Some("write `mode: Enforce`".into()));
    }
    Some(EnforceFor {
        namespace_selector,
        percent: match percent {
            Some(percent) => Some(percent?),
            None => None,
        },
    })
}
