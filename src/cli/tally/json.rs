//! A tally as one JSON document with stable field names.

use super::text::{fault_text, mode};
use super::{Tally, Tense};
use crate::decide::{Finding, Later, RuleChange};
use crate::object::difference;
use crate::rule::Mode;
use jiff::Timestamp;
use serde_json::{Value, json};

impl Tally {
    /// `{changes, findings, summary}`, with `later`, `failed`, `unreadable` and `undecided` where there are any.
    pub fn json(&self, tense: Tense) -> Value {
        let opens = |opens: &Option<Timestamp>| json!({"opens": opens.map(|at| at.to_string())});
        let change = |c: &RuleChange| {
            let mut change = json!({
                "rule": *c.rule,
                "mode": mode(c.mode),
                "verb": c.verb.as_str(),
                "object": c.object.to_string(),
                "diff": difference::record_text(&c.object.kind, c.before.as_ref(), c.after.as_ref()),
            });
            if let (Tense::Future, Some(why)) = (tense, self.blocked(c)) {
                change["blocked"] = json!(why);
            }
            change
        };
        let when_open = |c: &RuleChange| {
            let mut change = change(c);
            change["outsideSchedule"] =
                self.closed.get(&c.rule).map_or_else(|| opens(&None), opens);
            change
        };
        let finding = |f: &Finding| {
            let mut finding = finding_json(f);
            if self.only_told.contains(f) {
                finding["mode"] = json!(mode(Mode::Audit));
            }
            if let Some(at) = self.closed.get(&f.rule) {
                finding["outsideSchedule"] = opens(at);
            }
            finding
        };
        let changes = self.changes.iter().map(change);
        let changes = changes.chain(self.when_open.iter().map(when_open));
        let mut document = json!({
            "changes": changes.collect::<Vec<_>>(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
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
        if !self.unreadable.is_empty() {
            document["unreadable"] = self
                .unreadable
                .iter()
                .map(|(rule, of)| json!({"rule": **rule, "tests": of.times, "reason": of.why}))
                .collect();
        }
        if !self.undecided.is_empty() {
            document["undecided"] = json!(self.undecided);
        }
        document
    }
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

/// With stable field names.
fn finding_json(finding: &Finding) -> Value {
    json!({
        "rule": *finding.rule,
        "object": finding.object.to_string(),
        "reason": finding.reason.to_string(),
        "message": finding.message,
    })
}
