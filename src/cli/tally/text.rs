//! A tally for people: diffs, findings, what comes later, the last line.

use super::chain::share_a_diff_by_itself;
use super::{Tally, Tense, share_a_diff};
use crate::cli::output::{Ink, Paint, count};
use crate::decide::{Finding, Later, RuleChange};
use crate::engine::Fault;
use crate::object::{difference, duration};
use crate::rule::Mode;
use jiff::Timestamp;
use std::time::Duration;

impl Tally {
    /// `in 6d delete ConfigMap/shop/old by tidy`
    fn later_text(&self, later: &Later, paint: Paint) -> String {
        let when = match self.now {
            Some(now) => format!("in {}", until(now, later.at)),
            None => format!("at {}", later.at),
        };
        let mode = match later.mode {
            Mode::Enforce => String::new(),
            other => format!(" ({})", mode(other)),
        };
        format!(
            "{} {} {} by {}{mode}",
            paint.ink(Ink::Bold, &when),
            later.verb.as_str(),
            later.object,
            later.rule
        )
    }

    /// `Denied Pod/shop/web by no-host-network (Audit): not here`
    fn finding_text(&self, finding: &Finding, paint: Paint) -> String {
        let mut mark = match self.only_told.contains(finding) {
            true => format!(" ({})", mode(Mode::Audit)),
            false => String::new(),
        };
        if let Some(closed) = self.outside_schedule(&finding.rule) {
            mark.push_str(&format!(" ({closed})"));
        }
        format!(
            "{} {} by {}{mark}: {}",
            paint.ink(Ink::Yellow, &finding.reason.to_string()),
            finding.object,
            finding.rule,
            finding.message
        )
    }

    /// A diff for each object, what comes later, the findings, and the last line.
    pub fn text(&self, tense: Tense, paint: Paint) -> String {
        let mut text = String::new();
        if tense == Tense::Future {
            for group in self.changes.chunk_by(share_a_diff) {
                let marks = |change: &RuleChange| self.blocks(change).into_iter().collect();
                text.push_str(&change_text(group, marks, paint));
                text.push('\n');
            }
            for group in self.when_open.chunk_by(share_a_diff_by_itself) {
                let marks = |change: &RuleChange| {
                    let closed = self.outside_schedule(&change.rule);
                    let closed = closed.unwrap_or_else(|| "outside its schedule".to_owned());
                    [closed].into_iter().chain(self.blocks(change)).collect()
                };
                text.push_str(&change_text(group, marks, paint));
                text.push('\n');
            }
        }
        for later in &self.later {
            text.push_str(&self.later_text(later, paint));
            text.push('\n');
        }
        for (change, fault) in &self.failed {
            let line = format!(
                "refused {} {} ({}): {}",
                change.verb.as_str(),
                change.object,
                change.rule,
                fault_text(fault)
            );
            text.push_str(&paint.ink(Ink::Red, &line));
            text.push('\n');
        }
        for (rule, limit) in &self.aborted {
            let line = format!("rule {rule} was stopped: {limit}");
            text.push_str(&paint.ink(Ink::Red, &line));
            text.push('\n');
        }
        for finding in &self.findings {
            text.push_str(&self.finding_text(finding, paint));
            text.push('\n');
        }
        for (rule, unreadable) in &self.unreadable {
            let tests = count(
                usize::try_from(unreadable.times).unwrap_or(usize::MAX),
                "test",
            );
            let why = match &unreadable.why {
                Some(why) => format!(": {why}"),
                None => String::new(),
            };
            let line = format!("rule {rule}: {tests} failed for what could not be read{why}");
            text.push_str(&paint.ink(Ink::Yellow, &line));
            text.push('\n');
        }
        for line in &self.undecided {
            text.push_str(&paint.ink(Ink::Red, line));
            text.push('\n');
        }
        text.push_str(&paint.ink(Ink::Bold, &self.summary(tense)));
        text.push('\n');
        text
    }
}

/// What several rules do to one object, as one diff: `patch Deployment/shop/web by replicas-floor (Audit), quiet-logs`.
pub fn change_text(
    group: &[RuleChange],
    marks_of: impl Fn(&RuleChange) -> Vec<String>,
    paint: Paint,
) -> String {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return String::new();
    };
    let mut rules: Vec<String> = group
        .iter()
        .map(|c| {
            let mut marks = vec![];
            if c.mode != Mode::Enforce {
                marks.push(mode(c.mode).to_owned());
            }
            marks.extend(marks_of(c));
            if marks.is_empty() {
                c.rule.to_string()
            } else {
                format!("{} ({})", c.rule, marks.join(", "))
            }
        })
        .collect();
    rules.dedup();
    let head = format!(
        "{} {} by {}",
        first.verb.as_str(),
        first.object,
        rules.join(", ")
    );
    let (start, end) = span(group).unwrap_or((first, last));
    let diff = match &end.after {
        Some(after) => {
            difference::record_text(&first.object.kind, start.before.as_ref(), Some(after))
        }
        // A deletion's diff is the whole object: its name says enough.
        None => String::new(),
    };
    format!("{}\n{}", paint.ink(Ink::Bold, &head), paint.diff(&diff))
}

/// The changes that begin and end what a group does: rules stand in their order, and one may have gone on from what a later one left.
fn span(group: &[RuleChange]) -> Option<(&RuleChange, &RuleChange)> {
    let begins = |c: &&RuleChange| {
        let mut others = group.iter();
        !(c.before.is_some() && others.any(|o| o.after == c.before))
    };
    let ends = |c: &&RuleChange| {
        let mut others = group.iter();
        !(c.after.is_some() && others.any(|o| o.before == c.after))
    };
    Some((group.iter().find(begins)?, group.iter().rfind(ends)?))
}

/// How long it is until a moment, in its two largest units.
fn until(now: Timestamp, at: Timestamp) -> String {
    let seconds = at.duration_since(now).as_secs().max(0).unsigned_abs();
    let unit = [86_400, 3_600, 60, 1]
        .into_iter()
        .find(|unit| seconds >= *unit)
        .unwrap_or(1);
    let next = match unit {
        86_400 => 3_600,
        3_600 => 60,
        _ => 1,
    };
    duration::format(Duration::from_secs(seconds - seconds % next))
}

/// As in rule files.
pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Audit => "Audit",
        Mode::Enforce => "Enforce",
        Mode::Off => "Off",
    }
}

/// For people.
pub(super) fn fault_text(fault: &Fault) -> String {
    match fault {
        Fault::Stale => "the object has changed meanwhile".into(),
        Fault::OwnershipConflict(m) => format!("another field manager owns it: {m}"),
        Fault::Refused(m) | Fault::Rejected(m) | Fault::Uncertain(m) => m.clone(),
        Fault::Forbidden(m) => format!("forbidden: {m}"),
        Fault::Busy { message, .. } => format!("the server is busy: {message}"),
        Fault::Timeout => "no answer in time".into(),
        Fault::Budget(m) => m.clone(),
        Fault::Unreachable(m) => format!("the server cannot be reached: {m}"),
        Fault::Fenced => "not sent: another replica leads".into(),
    }
}
