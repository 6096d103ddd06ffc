//! What a pass came to: changes, findings, and the exit code that follows. `text` and `json` show it.

mod chain;
mod json;
#[cfg(test)]
mod tests;
mod text;

pub use chain::share_a_diff;
use chain::share_a_diff_by_itself;
pub use text::change_text;

use super::exit;
use super::output::count;
use crate::decide::{Finding, Later, Reason, RuleChange};
use crate::engine::worker::status::RuleStatus;
use crate::engine::{Fault, Report};
use crate::object::ObjectKey;
use crate::rule::{Rule, Verb};
use ahash::{AHashMap, AHashSet};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Gathers the reports of one pass.
#[derive(Default)]
pub struct Tally {
    /// Made, or in a plan: to be made.
    pub changes: Vec<RuleChange>,
    /// In a plan: what rules whose schedule is closed would do, each for itself, if it were open.
    pub when_open: Vec<RuleChange>,
    /// In a plan: what comes when a match has held long enough.
    pub later: Vec<Later>,
    /// The moment of a plan.
    pub now: Option<Timestamp>,
    /// Refused by the server.
    pub failed: Vec<(RuleChange, Fault)>,
    /// Standing at the end, once the tally is finished.
    pub findings: Vec<Finding>,
    /// Those of them that say `Denied` of what was let in: their rule is in Audit.
    pub only_told: AHashSet<Finding>,
    /// Standing so far: there may be one for every object.
    standing: AHashSet<Finding>,
    /// What holds back the changes of a rule to an object, once the tally is finished.
    held: AHashMap<Arc<str>, AHashMap<ObjectKey, &'static str>>,
    /// Rules that are held back altogether.
    unchecked: AHashSet<Arc<str>>,
    /// Rules that were stopped, with the limit.
    pub aborted: BTreeMap<Arc<str>, String>,
    /// Rules whose schedule is closed, and when it opens.
    pub closed: BTreeMap<Arc<str>, Option<Timestamp>>,
    /// Of each rule, how many tests failed because something could not be read, and why, as far as that is known.
    pub unreadable: BTreeMap<Arc<str>, Unreadable>,
    /// Kinds that could not be looked at, and why; files that could not be read.
    pub undecided: Vec<String>,
}

/// Tests of a rule that failed because a value could not be read as its type, or an expression failed.
#[derive(Default)]
pub struct Unreadable {
    /// How many.
    pub times: u64,
    /// One of the reasons.
    pub why: Option<String>,
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
                self.standing.insert(finding);
            }
            Report::Closed(change) => self.when_open.push(*change),
            Report::Later(later) => self.later.push(later),
            Report::State(_) => {}
            Report::FindingEnded(ended) => {
                self.standing.remove(&ended);
            }
            Report::Aborted { rule, limit, .. } => {
                self.aborted.insert(rule, limit);
            }
        }
    }

    /// Orders by object, then rule, and finds out what holds back what.
    pub fn finish(&mut self) {
        for changes in [&mut self.changes, &mut self.when_open] {
            changes.retain(|c| !c.verb.only_tells());
            changes.sort_by(|a, b| (&a.object, a.verb).cmp(&(&b.object, b.verb)));
        }
        // Each of these is for itself.
        self.when_open
            .sort_by(|a, b| (&a.object, &a.rule, a.verb).cmp(&(&b.object, &b.rule, b.verb)));
        self.later
            .retain(|l| !matches!(l.verb, Verb::Warn | Verb::Deny));
        self.later.sort_by(|a, b| {
            (&a.object, a.at, &a.rule, a.verb).cmp(&(&b.object, b.at, &b.rule, b.verb))
        });
        self.later.dedup();
        self.findings.extend(self.standing.drain());
        self.findings.sort_by(|a, b| {
            (&a.object, &a.rule, a.reason, &a.message)
                .cmp(&(&b.object, &b.rule, b.reason, &b.message))
        });
        self.findings.dedup();
        for finding in &self.findings {
            if finding.reason == Reason::UncheckedPath {
                self.unchecked.insert(finding.rule.clone());
            } else if let Some(why) = block(finding.reason) {
                let of_rule = self.held.entry(finding.rule.clone()).or_default();
                of_rule.entry(finding.object.clone()).or_insert(why);
            }
        }
    }

    /// In a plan: what becomes of an object is told as a whole, however many steps change it.
    pub fn chain(&mut self) {
        self.changes = chain::chained(std::mem::take(&mut self.changes), share_a_diff);
        let when_open = std::mem::take(&mut self.when_open);
        self.when_open = chain::chained(when_open, share_a_diff_by_itself);
    }

    fn blocked(&self, change: &RuleChange) -> Option<&'static str> {
        if self.aborted.contains_key(&change.rule) {
            return Some("abort");
        }
        let of_rule = self.held.get(&change.rule);
        let held = of_rule.and_then(|objects| objects.get(&change.object));
        let unchecked = || self.unchecked.contains(&change.rule);
        let whole = || unchecked().then(|| block(Reason::UncheckedPath)).flatten();
        held.copied().or_else(whole)
    }

    /// Takes note of tests that failed at an admission.
    pub fn note_unreadable(&mut self, of: Vec<(Arc<str>, String)>) {
        for (rule, why) in of {
            let of_rule = self.unreadable.entry(rule).or_default();
            of_rule.times += 1;
            of_rule.why = Some(why);
        }
    }

    /// Takes note of what the loop has counted.
    pub fn note_counted(&mut self, rules: &[RuleStatus]) {
        for rule in rules.iter().filter(|rule| rule.counts.wrong_types > 0) {
            let of_rule = self.unreadable.entry(Arc::from(&*rule.name)).or_default();
            of_rule.times += rule.counts.wrong_types;
            // The latest error may be one of a request.
            let latest = rule
                .last_error
                .clone()
                .filter(|_| rule.counts.failures == 0);
            of_rule.why = of_rule.why.take().or(latest);
        }
    }

    /// Takes note of the rules that are outside their schedule.
    pub fn note_schedules<'r>(
        &mut self,
        rules: impl IntoIterator<Item = &'r Arc<Rule>>,
        now: Timestamp,
    ) {
        for rule in rules {
            let schedule = rule.schedule.as_ref();
            if let Some(schedule) = schedule.filter(|s| !s.is_open_in_the_minute(now)) {
                let opens = schedule.next_opening(now);
                self.closed.insert(rule.name.clone(), opens);
            }
        }
    }

    /// That a rule's schedule is closed, and until when.
    fn outside_schedule(&self, rule: &str) -> Option<String> {
        self.closed.get(rule).map(|opens| match opens {
            Some(at) => format!("outside its schedule until {at}"),
            None => "outside its schedule".to_owned(),
        })
    }

    /// What stands between a change and its being made, beside a schedule.
    fn blocks(&self, change: &RuleChange) -> Option<String> {
        let blocked = self.blocked(change);
        blocked.map(|why| format!("blocked: {why}"))
    }

    /// The last line.
    pub fn summary(&self, tense: Tense) -> String {
        // An object that is patched twice is one to patch; two events are two, whatever they are about.
        let mut objects: BTreeMap<Verb, BTreeSet<(&ObjectKey, usize)>> = BTreeMap::new();
        let mut blocked: BTreeMap<&str, BTreeSet<&ObjectKey>> = BTreeMap::new();
        for (number, change) in self.changes.iter().enumerate() {
            match (tense, self.blocked(change)) {
                (Tense::Future, Some(why)) => {
                    blocked.entry(why).or_default().insert(&change.object);
                }
                _ => {
                    objects.entry(change.verb).or_default().insert((
                        &change.object,
                        number * usize::from(chain::stands_alone(change.verb)),
                    ));
                }
            }
        }
        let mut outside: BTreeSet<&ObjectKey> = BTreeSet::new();
        for change in &self.when_open {
            match self.blocked(change) {
                Some(why) => blocked.entry(why).or_default().insert(&change.object),
                None => outside.insert(&change.object),
            };
        }
        for finding in &self.findings {
            // Of a whole rule: its changes are counted above, one by one.
            let counted = tense == Tense::Future && finding.reason == Reason::UncheckedPath;
            if let (Some(why), false) = (block(finding.reason), counted) {
                blocked.entry(why).or_default().insert(&finding.object);
            }
        }
        let mut parts = vec![];
        // In the order of the manual: 3 to patch, 1 to delete, 2 to apply.
        let mut objects: Vec<_> = objects.into_iter().collect();
        objects.sort_by_key(|(verb, _)| match verb {
            Verb::Patch => 0,
            Verb::Delete => 1,
            _ => 2,
        });
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
        match outside.len() {
            0 => {}
            1 => parts.push("1 outside its schedule".to_owned()),
            n => parts.push(format!("{n} outside their schedule")),
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
                Reason::ExpressionFailed | Reason::WrongType | Reason::Waiting | Reason::Forbidden
            )
        });
        if unsure || !self.undecided.is_empty() {
            exit::COULD_NOT_TELL
        } else if self.changes.is_empty() && self.when_open.is_empty() {
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
                    | Reason::Overruled
                    | Reason::Forbidden
                    | Reason::ExpressionFailed
                    | Reason::WrongType
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
