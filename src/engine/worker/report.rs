//! What is told: each finding once while it lasts.

use super::Engine;
use crate::decide::{Finding, Reason, RuleChange, protect};
use crate::engine::{Report, fingerprint};
use crate::object::ObjectKey;

impl Engine {
    /// Sets all findings of an object; tells those that are new and those that ended.
    pub(super) fn set_findings(&mut self, key: &ObjectKey, mut findings: Vec<Finding>) {
        if findings.is_empty() && !self.findings.contains_key(key) {
            return;
        }
        findings.dedup();
        let before = self.findings.remove(key).unwrap_or_default();
        self.report_findings(before, &findings);
        if findings.is_empty() {
            self.said.remove(key);
        } else {
            self.findings.insert(key.clone(), findings);
        }
    }

    /// Tells what has ended, then what is new: who keeps one of a kind keeps the one that stands.
    pub(super) fn report_findings(&mut self, before: Vec<Finding>, now: &[Finding]) {
        let new = now.iter().filter(|finding| !before.contains(finding));
        let new: Vec<Report> = new.cloned().map(Report::Finding).collect();
        let ended = before.into_iter().filter(|finding| !now.contains(finding));
        self.reports.extend(ended.map(Report::FindingEnded));
        self.reports.extend(new);
    }

    /// Tells what rules would do, each change once.
    pub(super) fn tell(
        &mut self,
        key: &ObjectKey,
        changes: Vec<RuleChange>,
        closed: Vec<RuleChange>,
    ) {
        if changes.is_empty() && closed.is_empty() && !self.told.contains_key(key) {
            return;
        }
        let before = self.told.remove(key).unwrap_or_default();
        let mut now = vec![];
        let changes = changes.into_iter().map(|change| (change, false));
        let closed = closed.into_iter().map(|change| (change, true));
        for (change, closed) in changes.chain(closed) {
            let mark = (
                change.rule.clone(),
                fingerprint::hash_of(&(
                    &change.object,
                    change.verb,
                    closed,
                    fingerprint::difference(change.before.as_ref(), change.after.as_ref()),
                )),
            );
            if !before.contains(&mark) {
                if let Some(counts) = self.counts_of(&change.rule) {
                    let label = (change.object.kind.clone(), change.verb);
                    counts.would_change.add(label);
                }
                let change = Box::new(change);
                self.reports.push(match closed {
                    true => Report::Closed(change),
                    false => Report::WouldChange(change),
                });
            }
            now.push(mark);
        }
        if !now.is_empty() {
            self.told.insert(key.clone(), now);
        }
    }

    /// All findings that last, in no order.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let of_rules = self.states.iter().flat_map(|state| state.findings());
        self.findings.values().flatten().chain(of_rules)
    }

    /// The finding of a rule and a reason that stands for an object.
    pub fn standing_finding(
        &self,
        rule: &str,
        object: &ObjectKey,
        reason: Reason,
    ) -> Option<&Finding> {
        let of_object = self.findings.get(object)?;
        let same = |f: &&Finding| f.reason == reason && *f.rule == *rule;
        of_object.iter().find(same)
    }

    /// Whether a rule of this name acts on an object, as opposed to being in Audit for it.
    pub fn means_it(&self, rule: &str, object: &ObjectKey) -> bool {
        let index = self.rules.index_of(rule);
        index.is_some_and(|index| self.enforces_on(index, object))
    }

    /// Whether an object lies where only the cluster itself, or Ordain, belongs.
    pub fn is_reserved(&self, object: &ObjectKey) -> bool {
        protect::is_reserved(object, &self.options.state_namespace)
    }
}
