//! Which of the requests that were decided on is worth making.

use super::Engine;
use crate::decide::{Decision, Finding, Reason, Write};
use crate::engine::fingerprint;
use crate::object::{ObjectKey, Record};
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// The request to make: the first that is not known to lead nowhere in this very state, with its fingerprint.
    pub(super) fn choose(
        &mut self,
        key: &ObjectKey,
        record: &Record,
        decision: &mut Decision,
        now: Timestamp,
        findings: &mut Vec<Finding>,
    ) -> Option<(Write, (u64, u64))> {
        if decision.writes.is_empty() && !self.settled.contains_key(key) {
            return None;
        }
        let state = fingerprint::state(record.root());
        let mut met = vec![];
        let mut refusals = vec![];
        let mut chosen = self.first_of(key, &mut decision.writes, state, &mut met, &mut refusals);
        let together: Vec<Arc<str>> = decision
            .writes
            .iter()
            .filter(|write| write.rules.len() > 1)
            .flat_map(|write| write.rules.clone())
            .collect();
        if chosen.is_none() && !together.is_empty() {
            // One of the rules may be what the server does not take: each for itself, so that it delays only itself.
            refusals.clear();
            for alone in &together {
                let others = together.iter().filter(|other| *other != alone);
                let mut single =
                    self.decide_without(key, record, now, &others.cloned().collect::<Vec<_>>());
                let found = self.first_of(key, &mut single.writes, state, &mut met, &mut refusals);
                if chosen.is_none() && found.is_some() {
                    chosen = found;
                    decision.changes = single.changes;
                    decision.writes = single.writes;
                    self.keep_to_the_ready(key, decision);
                }
            }
        }
        findings.extend(refusals);
        if let Some(settled) = self.settled.get_mut(key) {
            // Nothing decided is no other decision: the rule may only wait for its turn.
            let undecided = decision.writes.is_empty();
            settled.retain(|s| s.state == state && (undecided || met.contains(&s.operation)));
            if settled.is_empty() {
                self.settled.remove(key);
            }
        }
        chosen
    }

    fn first_of(
        &self,
        key: &ObjectKey,
        writes: &mut [Write],
        state: u64,
        met: &mut Vec<u64>,
        refusals: &mut Vec<Finding>,
    ) -> Option<(Write, (u64, u64))> {
        let settled = self.settled.get(key).map_or(&[][..], Vec::as_slice);
        let mut chosen = None;
        for write in writes {
            let operation = fingerprint::operation(&write.operation);
            let known = settled
                .iter()
                .find(|s| s.state == state && s.operation == operation);
            match known {
                None if chosen.is_none() => {
                    chosen = Some((write.clone(), (state, operation)));
                }
                None => {}
                Some(settled) => {
                    met.push(operation);
                    if let Some(message) = &settled.refusal {
                        refusals.extend(write.rules.iter().map(|rule| Finding {
                            rule: rule.clone(),
                            object: key.clone(),
                            reason: Reason::Refused,
                            message: message.clone(),
                        }));
                    }
                }
            }
        }
        chosen
    }
}
