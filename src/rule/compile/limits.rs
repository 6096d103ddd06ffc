//! `limits`, with their defaults.

use super::fields;
use super::report::Report;
use crate::object::duration;
use crate::rule::Limits;
use crate::rule::yaml::{Data, Tree};
use std::time::Duration;

/// `abortAbove.objects` of a rule that deletes and says nothing about it.
const ABORT_ABOVE: u64 = 20;
/// `perObject` where nothing else is said.
const PER_OBJECT: (u64, Duration) = (5, Duration::from_secs(600));
/// Longest period of a limit: what is counted is kept in memory.
const LONGEST_PERIOD: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn compile(report: &mut Report<'_>, tree: Option<&Tree>, deletes: bool) -> Limits {
    let mut limits = Limits {
        per_object: Some(PER_OBJECT),
        ..Limits::default()
    };
    let known = ["abortAbove", "throttle", "perObject"];
    let of = tree.and_then(|t| fields::fields(report, t, "`limits`", &known, &[]));
    if let Some(of) = of {
        if let Some(tree) = of.get("abortAbove") {
            abort_above(report, tree, &mut limits);
        }
        if let Some(tree) = of.get("throttle") {
            limits.throttle = rate(report, tree, "throttle", "objects");
        }
        if let Some(tree) = of.get("perObject") {
            limits.per_object = rate(report, tree, "perObject", "changes");
        }
    }
    if deletes && limits.abort_objects.is_none() && limits.abort_percent.is_none() {
        limits.abort_objects = Some(ABORT_ABOVE);
    }
    limits
}

fn abort_above(report: &mut Report<'_>, tree: &Tree, limits: &mut Limits) {
    let known = ["objects", "percent"];
    let Some(of) = fields::fields(report, tree, "`abortAbove`", &known, &[]) else {
        return;
    };
    limits.abort_objects = of
        .get("objects")
        .and_then(|t| fields::whole(report, t, "`objects`", 0..=i64::MAX))
        .and_then(|n| u64::try_from(n).ok());
    limits.abort_percent = of.get("percent").and_then(|t| percent(report, t));
    if of.get("objects").is_none() && of.get("percent").is_none() {
        let mend = Some("write for example `{objects: 20}`".into());
        report.error(tree, "`abortAbove` needs `objects` or `percent`", mend);
    }
}

pub(super) fn percent(report: &mut Report<'_>, tree: &Tree) -> Option<f64> {
    let number = match &tree.data {
        Data::Scalar { value, .. } => value.as_f64(),
        _ => None,
    };
    if let Some(number) = number
        && (0.0..=100.0).contains(&number)
    {
        return Some(number);
    }
    let mend = tree
        .text()
        .and_then(|text| text.strip_suffix('%'))
        .filter(|text| text.parse::<f64>().is_ok())
        .map(|text| format!("write `{text}`"));
    report.error(
        tree,
        format!(
            "`percent` is a number between 0 and 100, and here is {}",
            fields::found(tree)
        ),
        mend,
    );
    None
}

/// `{objects: 5, per: 1m}`
fn rate(report: &mut Report<'_>, tree: &Tree, what: &str, count: &str) -> Option<(u64, Duration)> {
    let of = fields::fields(report, tree, &format!("`{what}`"), &[count, "per"], &[])?;
    let (Some(number), Some(period)) = (of.get(count), of.get("per")) else {
        let mend = Some(format!("write for example `{{{count}: 5, per: 1m}}`"));
        report.error(tree, format!("`{what}` needs `{count}` and `per`"), mend);
        return None;
    };
    let number = fields::whole(report, number, &format!("`{count}`"), 1..=i64::MAX);
    let period = self::period(report, period);
    Some((u64::try_from(number?).ok()?, period?))
}

fn period(report: &mut Report<'_>, tree: &Tree) -> Option<Duration> {
    if let Data::Scalar { value, .. } = &tree.data
        && value.is_number()
    {
        let mend = Some(format!("write for example `{value}s`"));
        report.error(
            tree,
            format!("`per` is a duration, and {value} has no unit"),
            mend,
        );
        return None;
    }
    let text = fields::text(report, tree, "`per`")?;
    match duration::parse(text) {
        Ok(Duration::ZERO) => report.error(tree, "`per` is longer than nothing", None),
        Ok(period) if period > LONGEST_PERIOD => {
            let longest = duration::format(LONGEST_PERIOD);
            report.error(tree, format!("`per` is {longest} at most"), None);
        }
        Ok(period) => return Some(period),
        Err(message) => report.error(tree, message, None),
    }
    None
}
