//! `when` and `admission`: at which occasions a rule looks, and what cannot be done at which.

use super::fields;
use super::report::{Report, Spot};
use crate::rule::yaml::Tree;
use crate::rule::{AdmissionOptions, Occasion, Occasions, Step, Verb};

const WORDS: [(&str, Occasion); 4] = [
    ("Reconcile", Occasion::Reconcile),
    ("Create", Occasion::Create),
    ("Update", Occasion::Update),
    ("Delete", Occasion::Delete),
];

/// What an admission can do.
const AT_ADMISSION: [Verb; 3] = [Verb::Patch, Verb::Deny, Verb::Warn];

pub(super) fn compile(report: &mut Report<'_>, tree: Option<&Tree>) -> Occasions {
    let Some(tree) = tree else {
        return Occasions::default();
    };
    let Some(items) = fields::list(report, tree, "`when`") else {
        return Occasions::default();
    };
    let mut occasions = Occasions::NONE;
    for item in items {
        if let Some(occasion) = fields::word(report, item, "each of `when`", &WORDS) {
            occasions = occasions.and(occasion);
        }
    }
    if occasions == Occasions::NONE {
        if items.is_empty() {
            let mend = "write `when: [Reconcile]`, or leave it out";
            report.error(tree, "`when` names no occasion", Some(mend.into()));
        }
        return Occasions::default();
    }
    occasions
}

/// `admission`.
pub(super) fn admission(
    report: &mut Report<'_>,
    tree: &Tree,
    occasions: Occasions,
) -> AdmissionOptions {
    let mut options = AdmissionOptions::default();
    if !occasions.admits() {
        let mend = "add `Create`, `Update` or `Delete` to `when`";
        let message = "`admission` is for rules that look at admission";
        report.error(tree, message, Some(mend.into()));
    }
    let known = ["failurePolicy", "timeoutSeconds"];
    let Some(of) = fields::fields(report, tree, "`admission`", &known, &[]) else {
        return options;
    };
    if let Some(tree) = of.get("failurePolicy") {
        let words = [("Ignore", false), ("Fail", true)];
        options.fails = fields::word(report, tree, "`failurePolicy`", &words).unwrap_or_default();
    }
    if let Some(tree) = of.get("timeoutSeconds") {
        // The bounds of a webhook configuration.
        let seconds = fields::whole(report, tree, "`timeoutSeconds`", 1..=30);
        if let Some(seconds) = seconds.and_then(|n| u8::try_from(n).ok()) {
            options.timeout_seconds = seconds;
        }
    }
    options
}

/// Steps, limits that the occasions leave without an effect.
pub(super) fn fits(
    report: &mut Report<'_>,
    occasions: Occasions,
    (steps, places): (&[Step], &[Spot]),
    limits: Option<&Tree>,
) {
    if occasions.has(Occasion::Reconcile) {
        return;
    }
    for (step, place) in steps.iter().zip(places) {
        let verb = step.action.verb();
        if step.target.is_some() {
            let message = "a step with `target` never runs at admission";
            let mend = "add `Reconcile` to `when`";
            report.error(*place, message, Some(mend.into()));
            continue;
        }
        let goes = !occasions.has(Occasion::Create) && !occasions.has(Occasion::Update);
        if goes && verb == Verb::Patch {
            let message = "what is being deleted is changed by nobody: with `when: [Delete]` alone `patch` never runs";
            let mend = "add `Create` or `Update` to `when`, or write `deny` or `warn`";
            report.error(*place, message, Some(mend.into()));
        }
        if !AT_ADMISSION.contains(&verb) {
            let message = format!(
                "at admission there are only patch, deny and warn: `{}` never runs",
                verb.as_str()
            );
            let mend = "add `Reconcile` to `when`";
            report.error(*place, message, Some(mend.into()));
        }
    }
    if let Some(tree) = limits {
        let message = "`limits` belong to the loop, and this rule looks at admission only";
        let mend = "add `Reconcile` to `when`, or take `limits` out";
        report.error(tree, message, Some(mend.into()));
    }
}
