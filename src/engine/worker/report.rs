//! What is told: each finding once while it lasts.

use super::Engine;
use crate::decide::Finding;
use crate::engine::Report;
use crate::object::ObjectKey;

impl Engine {
    /// Sets all findings of an object; tells those that are new and those that ended.
    pub(super) fn set_findings(&mut self, key: &ObjectKey, mut findings: Vec<Finding>) {
        if findings.is_empty() && !self.findings.contains_key(key) {
            return;
        }
        findings.dedup();
        let before = self.findings.remove(key).unwrap_or_default();
        for finding in &findings {
            if !before.contains(finding) {
                self.reports.push(Report::Finding(finding.clone()));
            }
        }
        for finding in before {
            if !findings.contains(&finding) {
                self.reports.push(Report::FindingEnded(finding));
            }
        }
        if !findings.is_empty() {
            self.findings.insert(key.clone(), findings);
        }
    }

    /// All findings that last, in no order.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values().flatten()
    }
}
