//! `schedule`: a list of `{cron, duration, timeZone}`.

use super::fields;
use super::report::Report;
use crate::object::duration;
use crate::rule::expr::{Names, Params};
use crate::rule::schedule::{self, Entry, Schedule};
use crate::rule::yaml::{Data, Tree};
use crate::rule::{Occasion, Occasions};
use crate::schema::nearest;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use std::time::Duration;

/// Most times of one schedule.
const MOST: usize = 100;
const EXAMPLE: &str =
    "write for example `[{cron: \"0 20 * * 1-5\", duration: 11h, timeZone: Europe/Berlin}]`";

pub(super) fn compile(
    report: &mut Report<'_>,
    tree: &Tree,
    params: Option<&Params>,
    when: Occasions,
) -> Option<Schedule> {
    let items = fields::list(report, tree, "`schedule`")?;
    if items.is_empty() || items.len() > MOST {
        let message = if items.is_empty() {
            "`schedule` names no time".to_owned()
        } else {
            format!("`schedule` has more than {MOST} times")
        };
        report.error(tree, message, Some(EXAMPLE.into()));
        return None;
    }
    let names = Names {
        params,
        ..Names::default()
    };
    let errors = report.errors();
    let entries: Vec<Entry> = items
        .iter()
        .filter_map(|item| {
            // A parameter is as good as what it stands for.
            let item = super::expressions::with_parameters(&names, item);
            entry(report, &item, when)
        })
        .collect();
    (report.errors() == errors).then(|| Schedule::new(entries))
}

fn entry(report: &mut Report<'_>, tree: &Tree, when: Occasions) -> Option<Entry> {
    let known = ["cron", "duration", "timeZone"];
    if tree.text().is_some() {
        let message = "each of `schedule` is a map with `cron`";
        report.error(tree, message, Some(EXAMPLE.into()));
        return None;
    }
    let of = fields::fields(report, tree, "each of `schedule`", &known, &[])?;
    let Some(cron_tree) = of.get("cron") else {
        if !of.refused {
            let at = of.key("cron").unwrap_or(tree);
            report.error(at, "each of `schedule` needs `cron`", Some(EXAMPLE.into()));
        }
        return None;
    };
    let cron = text(report, cron_tree, "`cron`").and_then(|text| {
        let read = schedule::cron(text);
        read.map_err(|(message, mend)| report.error(cron_tree, message, mend))
            .ok()
    });
    let zone = match of.get("timeZone") {
        Some(tree) => zone(report, tree),
        None => Some(TimeZone::UTC),
    };
    let length = match of.get("duration") {
        Some(tree) => Some(length(report, tree)?),
        None => None,
    };
    let cron = cron?;
    if let (Some(length), Some(tree)) = (length, of.get("duration"))
        && let Some(period) = schedule::overlap(&cron, length)
    {
        let period = duration::format(period.unsigned_abs());
        let message = format!(
            "a window of {} is not over when the next one begins, {period} after it",
            duration::format(length.unsigned_abs())
        );
        let mend = format!("make it {period} at most, or write a `cron` that comes more seldom");
        report.error(tree, message, Some(mend));
        return None;
    }
    if length.is_none() && !when.has(Occasion::Reconcile) {
        let message = "a single moment is for the loop, and this rule looks at admission only";
        let mend = "give it a `duration`, or add `Reconcile` to `when`";
        report.error(cron_tree, message, Some(mend.into()));
        return None;
    }
    Some(Entry {
        cron,
        zone: zone?,
        duration: length,
    })
}

/// Text without `${ }`: whoever reads the clock has no object.
fn text<'t>(report: &mut Report<'_>, tree: &'t Tree, what: &str) -> Option<&'t str> {
    let text = fields::text(report, tree, what)?;
    if text.contains("${") {
        let message = format!("{what} is read at load, where there is no object");
        let mend = "only a whole parameter may stand here: `${params.NAME}`";
        report.error(tree, message, Some(mend.into()));
        return None;
    }
    Some(text)
}

fn zone(report: &mut Report<'_>, tree: &Tree) -> Option<TimeZone> {
    let name = text(report, tree, "`timeZone`")?;
    if let Some(zone) = schedule::zone(name) {
        return Some(zone);
    }
    let names = schedule::zone_names();
    let all = || names.iter().map(String::as_str);
    // `Berlin` is the end of a name, `CEST` none at all.
    let ends = |known: &&str| {
        let end = known.rsplit('/').next().unwrap_or(known);
        !name.is_empty() && end.eq_ignore_ascii_case(&name.replace(' ', "_"))
    };
    let near = all().find(ends);
    let near = near.or_else(|| nearest(name, all()).first().copied());
    let mend = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write one of the IANA database, such as `Europe/Berlin`, or `UTC`".into(),
    };
    let message = format!("there is no time zone `{}`", fields::shortened(name));
    report.error(tree, message, Some(mend));
    None
}

fn length(report: &mut Report<'_>, tree: &Tree) -> Option<SignedDuration> {
    if let Data::Scalar { value, .. } = &tree.data
        && value.is_number()
    {
        let mend = Some(format!("write for example `{value}h`"));
        let message = format!("`duration` needs a unit, and {value} has none");
        report.error(tree, message, mend);
        return None;
    }
    let text = text(report, tree, "`duration`")?;
    match duration::parse(text) {
        Ok(Duration::ZERO) => {
            let mend = "leave it out for a single moment";
            let message = "a window is longer than nothing";
            report.error(tree, message, Some(mend.into()));
            None
        }
        Ok(length) => SignedDuration::try_from(length).ok(),
        Err(message) => {
            report.error(tree, message, None);
            None
        }
    }
}
