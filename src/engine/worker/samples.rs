//! Rules with `metric`: what each object adds to their series.

use super::Engine;
use crate::decide::{Decision, Finding, Reason, Standing};
use crate::engine::{Report, series};
use crate::object::ObjectKey;
use crate::rule::Action;
use jiff::Timestamp;

impl Engine {
    /// An object was evaluated: its numbers come, change, or go with its match.
    pub(super) fn note_samples(
        &mut self,
        index: usize,
        key: &ObjectKey,
        decision: &Decision,
        now: Timestamp,
    ) {
        let state = &mut self.states[index];
        if !state.ready {
            return;
        }
        let samples = match decision.standing(index) {
            // Of a rule whose later step failed, the numbers before it stand.
            Standing::Matched { .. } | Standing::Failed => {
                let own = decision.samples.iter().filter(|(of, _)| *of == index);
                own.map(|(_, sample)| sample.clone()).collect()
            }
            // What is not known changes nothing.
            Standing::Waiting => return,
            _ => vec![],
        };
        if let Some(next) = state.series.set(key, samples) {
            self.queue.push(next, now);
        }
    }

    /// Tells of a rule that would have more series than it may, and when that ends.
    pub(super) fn review_series(&mut self, index: usize) {
        let state = &mut self.states[index];
        if state.series.is_crowded() == state.crowded.is_some() {
            return;
        }
        if let Some(ended) = state.crowded.take() {
            self.reports.push(Report::FindingEnded(ended));
            return;
        }
        let rule = &self.rules.rules()[index];
        let names: Vec<String> = rule
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Metric(metric) => Some(format!("`{}`", metric.name)),
                _ => None,
            })
            .collect();
        let Some(resolved) = rule.matches.kinds.first() else {
            return;
        };
        let finding = Finding {
            rule: rule.name.clone(),
            object: ObjectKey::new(resolved.kind.clone(), None, "*"),
            reason: Reason::TooManySeries,
            message: format!(
                "{} would have more than {} series: further objects are left out; `aggregate`, or labels with fewer values, make fewer",
                names.join(" or "),
                series::MOST
            ),
        };
        state.crowded = Some(finding.clone());
        self.reports.push(Report::Finding(finding));
    }
}
