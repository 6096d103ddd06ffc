//! What a pass came to: changes, findings, and the exit code that follows.

use super::exit;
use super::output::{Ink, Paint, count};
use crate::decide::{Finding, Later, Reason, RuleChange};
use crate::engine::{Fault, Report};
use crate::object::{ObjectKey, difference, duration};
use crate::rule::{Mode, Rule, Verb};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Gathers the reports of one pass.
#[derive(Default)]
pub struct Tally {
    /// Made, or in a plan: to be made.
    pub changes: Vec<RuleChange>,
    /// In a plan: what comes when a match has held long enough.
    pub later: Vec<Later>,
    /// The moment of a plan.
    pub now: Option<Timestamp>,
    /// Refused by the server.
    pub failed: Vec<(RuleChange, Fault)>,
    /// Standing at the end.
    pub findings: Vec<Finding>,
    /// Rules that were stopped, with the limit.
    pub aborted: BTreeMap<Arc<str>, String>,
    /// Rules whose schedule hides what they would change, and when it opens.
    pub closed: BTreeMap<Arc<str>, Option<Timestamp>>,
    /// Kinds that could not be looked at, and why; files that could not be read.
    pub undecided: Vec<String>,
}

/// What is being told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tense {
    /// `plan`
    Future,
    /// `run --once`
    Past,
}

impl Tally {
    /// Takes one report. In a plan nothing is `Changed`, everything `WouldChange`.
    pub fn take(&mut self, report: Report, tense: Tense) {
        match report {
            Report::Changed {
                changes, outcome, ..
            } => match outcome {
                Ok(()) => self.changes.extend(changes),
                // Decided again from the newer object: not an end.
                Err(Fault::Stale) => {}
                Err(fault) => self
                    .failed
                    .extend(changes.into_iter().map(|c| (c, fault.clone()))),
            },
            Report::WouldChange(change) => {
                if tense == Tense::Future {
                    self.changes.push(*change);
                }
            }
            Report::Finding(finding) => {
                if !self.findings.contains(&finding) {
                    self.findings.push(finding);
                }
            }
            Report::Later(later) => {
                if !self.later.contains(&later) {
                    self.later.push(later);
                }
            }
            Report::State(_) => {}
            Report::FindingEnded(ended) => self.findings.retain(|f| *f != ended),
            Report::Aborted { rule, limit, .. } => {
                self.aborted.insert(rule, limit);
            }
        }
    }

    /// Orders by object, then rule.
    pub fn finish(&mut self) {
        self.changes.retain(|c| !c.verb.only_tells());
        self.changes
            .sort_by(|a, b| (&a.object, a.verb).cmp(&(&b.object, b.verb)));
        self.later
            .retain(|l| !matches!(l.verb, Verb::Warn | Verb::Deny));
        self.later
            .sort_by(|a, b| (&a.object, a.at, &a.rule).cmp(&(&b.object, b.at, &b.rule)));
        self.findings
            .sort_by(|a, b| (&a.object, &a.rule, a.reason).cmp(&(&b.object, &b.rule, b.reason)));
    }

    fn blocked(&self, change: &RuleChange) -> Option<&'static str> {
        if self.aborted.contains_key(&change.rule) {
            return Some("abort");
        }
        self.findings
            .iter()
            .find(|f| {
                let concerned = f.object == change.object || f.reason == Reason::UncheckedPath;
                f.rule == change.rule && concerned && block(f.reason).is_some()
            })
            .and_then(|f| block(f.reason))
    }

    /// Takes note of the rules that are outside their schedule.
    pub fn note_schedules<'r>(
        &mut self,
        rules: impl IntoIterator<Item = &'r Arc<Rule>>,
        now: Timestamp,
    ) {
        for rule in rules {
            if let Some(schedule) = rule.schedule.as_ref().filter(|s| !s.is_open(now)) {
                let opens = schedule.next_opening(now);
                self.closed.insert(rule.name.clone(), opens);
            }
        }
    }

    /// What stands between a change and its being made.
    fn marks(&self, change: &RuleChange) -> Vec<String> {
        let closed = self.closed.get(&change.rule).map(|opens| match opens {
            Some(at) => format!("outside its schedule until {at}"),
            None => "outside its schedule".to_owned(),
        });
        let blocked = self.blocked(change).map(|why| format!("blocked: {why}"));
        closed.into_iter().chain(blocked).collect()
    }

    /// The last line.
    pub fn summary(&self, tense: Tense) -> String {
        let mut objects: BTreeMap<Verb, BTreeSet<&ObjectKey>> = BTreeMap::new();
        let mut blocked: BTreeMap<&str, BTreeSet<&ObjectKey>> = BTreeMap::new();
        for change in &self.changes {
            match (tense, self.blocked(change)) {
                (Tense::Future, Some(why)) => {
                    blocked.entry(why).or_default().insert(&change.object);
                }
                _ => {
                    objects
                        .entry(change.verb)
                        .or_default()
                        .insert(&change.object);
                }
            }
        }
        for finding in &self.findings {
            // Of a whole rule: its changes are counted above, one by one.
            let counted = tense == Tense::Future && finding.reason == Reason::UncheckedPath;
            if let (Some(why), false) = (block(finding.reason), counted) {
                blocked.entry(why).or_default().insert(&finding.object);
            }
        }
        let mut parts = vec![];
        for (verb, objects) in &objects {
            let n = objects.len();
            parts.push(match (tense, verb) {
                (Tense::Future, Verb::Event) => format!("{} to tell", count(n, "event")),
                (Tense::Past, Verb::Event) => format!("{} told", count(n, "event")),
                (Tense::Future, Verb::Rollback) => format!("{n} to roll back"),
                (Tense::Future, verb) => format!("{n} to {}", verb.as_str()),
                (Tense::Past, Verb::Apply) => format!("{n} applied"),
                (Tense::Past, Verb::Archive) => format!("{n} archived"),
                (Tense::Past, Verb::Delete) => format!("{n} deleted"),
                (Tense::Past, Verb::Scale) => format!("{n} scaled"),
                (Tense::Past, Verb::Evict) => format!("{n} evicted"),
                (Tense::Past, Verb::Restart) => format!("{n} restarted"),
                (Tense::Past, Verb::Rollback) => format!("{n} rolled back"),
                (Tense::Past, Verb::Patch | Verb::Warn | Verb::Deny | Verb::Metric) => {
                    format!("{n} patched")
                }
            });
        }
        if !self.later.is_empty() {
            parts.push(format!("{} later", self.later.len()));
        }
        if !self.failed.is_empty() {
            parts.push(format!("{} refused", self.failed.len()));
        }
        for (why, objects) in &blocked {
            parts.push(format!("{} blocked ({why})", objects.len()));
        }
        let findings = self
            .findings
            .iter()
            .filter(|f| block(f.reason).is_none())
            .count();
        if findings > 0 {
            parts.push(count(findings, "finding"));
        }
        if !self.undecided.is_empty() {
            parts.push(format!("{} could not be looked at", self.undecided.len()));
        }
        if objects.is_empty() {
            let nothing = match tense {
                Tense::Future => "nothing to change",
                Tense::Past => "nothing changed",
            };
            parts.insert(0, nothing.to_owned());
        }
        parts.join(", ")
    }

    /// The exit code of `plan`.
    pub fn plan_code(&self) -> u8 {
        let unsure = self.findings.iter().any(|f| {
            matches!(
                f.reason,
                Reason::ExpressionFailed | Reason::Waiting | Reason::Forbidden
            )
        });
        if unsure || !self.undecided.is_empty() {
            exit::COULD_NOT_TELL
        } else if self.changes.is_empty() {
            exit::DONE
        } else {
            exit::FOUND
        }
    }

    /// The exit code of `run --once`.
    pub fn once_code(&self) -> u8 {
        let stopped = self.findings.iter().any(|f| {
            matches!(
                f.reason,
                Reason::Aborted
                    | Reason::Throttled
                    | Reason::BreakerOpen
                    | Reason::UncheckedPath
                    | Reason::Refused
                    | Reason::Forbidden
                    | Reason::ExpressionFailed
                    | Reason::NoFixpoint
                    | Reason::OwnershipConflict
            )
        });
        if stopped
            || !self.failed.is_empty()
            || !self.aborted.is_empty()
            || !self.undecided.is_empty()
        {
            exit::COULD_NOT_TELL
        } else {
            exit::DONE
        }
    }

    /// `{changes, findings, summary}`, with `later`, `failed` and `undecided` where there are any.
    pub fn json(&self, tense: Tense) -> Value {
        let change = |c: &RuleChange| {
            let mut change = json!({
                "rule": *c.rule,
                "mode": mode(c.mode),
                "verb": c.verb.as_str(),
                "object": c.object.to_string(),
                "diff": difference::text(&c.object.kind, before(c), c.after.as_ref()),
            });
            if let Some(opens) = self.closed.get(&c.rule) {
                change["outsideSchedule"] = json!({"opens": opens.map(|at| at.to_string())});
            }
            change
        };
        let mut document = json!({
            "changes": self.changes.iter().map(change).collect::<Vec<_>>(),
            "findings": self.findings.iter().map(finding_json).collect::<Vec<_>>(),
            "summary": self.summary(tense),
        });
        if !self.later.is_empty() {
            document["later"] = self.later.iter().map(later_json).collect();
        }
        if !self.failed.is_empty() {
            document["failed"] = self
                .failed
                .iter()
                .map(|(c, fault)| {
                    json!({"rule": *c.rule, "verb": c.verb.as_str(), "object": c.object.to_string(), "message": fault_text(fault)})
                })
                .collect();
        }
        if !self.undecided.is_empty() {
            document["undecided"] = json!(self.undecided);
        }
        document
    }

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

    /// A diff for each object, what comes later, the findings, and the last line.
    pub fn text(&self, tense: Tense, paint: Paint) -> String {
        let mut text = String::new();
        if tense == Tense::Future {
            for group in self
                .changes
                .chunk_by(|a, b| a.object == b.object && a.verb == b.verb)
            {
                text.push_str(&change_text(group, |c| self.marks(c), paint));
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
            text.push_str(&finding_text(finding, paint));
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
    let rules: Vec<String> = group
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
    let head = format!(
        "{} {} by {}",
        first.verb.as_str(),
        first.object,
        rules.join(", ")
    );
    let diff = match &last.after {
        Some(after) => difference::text(&first.object.kind, before(first), Some(after)),
        // A deletion's diff is the whole object: its name says enough.
        None => String::new(),
    };
    format!("{}\n{}", paint.ink(Ink::Bold, &head), paint.diff(&diff))
}

fn later_json(later: &Later) -> Value {
    json!({
        "rule": *later.rule,
        "mode": mode(later.mode),
        "verb": later.verb.as_str(),
        "object": later.object.to_string(),
        "at": later.at.to_string(),
    })
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

/// The object before a change, if there was one.
fn before(change: &RuleChange) -> Option<&Value> {
    Some(&change.before).filter(|before| !before.is_null())
}

/// One line.
pub fn finding_text(finding: &Finding, paint: Paint) -> String {
    format!(
        "{} {} by {}: {}",
        paint.ink(Ink::Yellow, &finding.reason.to_string()),
        finding.object,
        finding.rule,
        finding.message
    )
}

/// With stable field names.
pub fn finding_json(finding: &Finding) -> Value {
    json!({
        "rule": *finding.rule,
        "object": finding.object.to_string(),
        "reason": finding.reason.to_string(),
        "message": finding.message,
    })
}

/// As in rule files.
pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Audit => "Audit",
        Mode::Enforce => "Enforce",
        Mode::Off => "Off",
    }
}

/// For people.
pub fn fault_text(fault: &Fault) -> String {
    match fault {
        Fault::Stale => "the object has changed meanwhile".into(),
        Fault::OwnershipConflict(m) => format!("another field manager owns it: {m}"),
        Fault::Refused(m) | Fault::Rejected(m) => m.clone(),
        Fault::Forbidden(m) => format!("forbidden: {m}"),
        Fault::Busy { message, .. } => format!("the server is busy: {message}"),
        Fault::Timeout => "no answer in time".into(),
        Fault::Budget(m) => m.clone(),
        Fault::Unreachable(m) => format!("the server cannot be reached: {m}"),
        Fault::Fenced => "not sent: another replica leads".into(),
    }
}

/// A reason that holds back a change, in the word of the summary.
fn block(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Throttled => Some("throttle"),
        Reason::Aborted => Some("abort"),
        Reason::BreakerOpen => Some("breaker"),
        Reason::UncheckedPath => Some("unchecked path"),
        Reason::Protected => Some("protected"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;
    use std::time::Duration;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(GroupKind::new("apps", "Deployment"), Some("shop"), name)
    }

    fn change(rule: &str, verb: Verb, name: &str) -> RuleChange {
        RuleChange {
            rule: rule.into(),
            mode: if rule == "audit" {
                Mode::Audit
            } else {
                Mode::Enforce
            },
            verb,
            object: key(name),
            before: json!({"spec": {"replicas": 1}}),
            after: (verb == Verb::Patch).then(|| json!({"spec": {"replicas": 2}})),
            why: vec![],
        }
    }

    fn finding(reason: Reason, rule: &str, name: &str) -> Finding {
        Finding {
            rule: rule.into(),
            object: key(name),
            reason,
            message: "why".into(),
        }
    }

    fn planned(changes: Vec<RuleChange>, findings: Vec<Finding>) -> Tally {
        let mut tally = Tally::default();
        for c in changes {
            tally.take(Report::WouldChange(Box::new(c)), Tense::Future);
        }
        for f in findings {
            tally.take(Report::Finding(f), Tense::Future);
        }
        tally.finish();
        tally
    }

    #[test]
    fn the_summary_counts_objects_and_what_is_held_back() {
        let tally = planned(
            vec![
                change("r", Verb::Patch, "a"),
                change("s", Verb::Patch, "a"),
                change("r", Verb::Patch, "b"),
                change("d", Verb::Delete, "c"),
                change("d", Verb::Delete, "d"),
            ],
            vec![
                finding(Reason::Throttled, "d", "d"),
                finding(Reason::Warning, "w", "a"),
                finding(Reason::Warning, "w", "b"),
            ],
        );
        assert_eq!(
            tally.summary(Tense::Future),
            "2 to patch, 1 to delete, 1 blocked (throttle), 2 findings"
        );
        assert_eq!(tally.plan_code(), exit::FOUND);
        assert_eq!(
            planned(vec![], vec![]).summary(Tense::Future),
            "nothing to change"
        );
        assert_eq!(planned(vec![], vec![]).plan_code(), exit::DONE);
        let warned = planned(vec![], vec![finding(Reason::Warning, "w", "a")]);
        assert_eq!(
            warned.summary(Tense::Future),
            "nothing to change, 1 finding"
        );
        assert_eq!(warned.plan_code(), exit::DONE);
        assert_eq!(warned.once_code(), exit::DONE);
    }

    #[test]
    fn what_could_not_be_decided_is_its_own_exit_code() {
        let failed = planned(
            vec![change("r", Verb::Patch, "a")],
            vec![finding(Reason::ExpressionFailed, "r", "b")],
        );
        assert_eq!(failed.plan_code(), exit::COULD_NOT_TELL);
        assert_eq!(failed.once_code(), exit::COULD_NOT_TELL);
        let waiting = planned(vec![], vec![finding(Reason::Waiting, "r", "b")]);
        assert_eq!(waiting.plan_code(), exit::COULD_NOT_TELL);
        assert_eq!(waiting.once_code(), exit::DONE);
        let throttled = planned(vec![], vec![finding(Reason::Throttled, "r", "b")]);
        assert_eq!(throttled.once_code(), exit::COULD_NOT_TELL);
    }

    #[test]
    fn rules_that_change_one_object_share_a_diff() {
        let tally = planned(
            vec![
                change("audit", Verb::Patch, "a"),
                change("s", Verb::Patch, "a"),
            ],
            vec![finding(Reason::BreakerOpen, "s", "a")],
        );
        assert_eq!(
            tally.text(Tense::Future, Paint::none()),
            "patch Deployment/shop/a by audit (Audit), s (blocked: breaker)\n@@ -1,2 +1,2 @@\n spec:\n-  replicas: 1\n+  replicas: 2\n\n\
             BreakerOpen Deployment/shop/a by s: why\n1 to patch, 1 blocked (breaker)\n"
        );
    }

    #[test]
    fn a_refused_request_is_told_and_a_stale_one_is_not() {
        let mut tally = Tally::default();
        for fault in [Fault::Stale, Fault::Refused("no".into())] {
            tally.take(
                Report::Changed {
                    changes: vec![change("r", Verb::Patch, "a")],
                    outcome: Err(fault),
                    took: Duration::ZERO,
                },
                Tense::Past,
            );
        }
        tally.take(
            Report::WouldChange(Box::new(change("audit", Verb::Patch, "a"))),
            Tense::Past,
        );
        assert_eq!(tally.failed.len(), 1);
        assert_eq!(tally.summary(Tense::Past), "nothing changed, 1 refused");
        assert_eq!(tally.once_code(), exit::COULD_NOT_TELL);
        assert_eq!(tally.json(Tense::Past)["failed"][0]["message"], "no");
    }
}
