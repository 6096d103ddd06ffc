//! Requests on their way, and keys that wait for what they will show.

use super::{Awaited, Engine, InFlight, PATIENCE};
use crate::decide::{Finding, RuleChange, Write};
use crate::engine::Effect;
use crate::object::{ObjectKey, Record};
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// Sends a write, unless it is known to lead nowhere or comes too often.
    pub(super) fn emit(
        &mut self,
        (write, fingerprint): (Write, (u64, u64)),
        changes: Vec<RuleChange>,
        record: &Record,
        now: Timestamp,
        effects: &mut Vec<Effect>,
        findings: &mut Vec<Finding>,
    ) {
        let key = write.object.clone();
        let rules = Arc::clone(&self.rules);
        let authors: Vec<usize> = write
            .rules
            .iter()
            .filter_map(|name| rules.index_of(name))
            .collect();
        let mut refused = false;
        for index in &authors {
            let limit = rules.rules()[*index].limits.per_object;
            let breaker = self.states[*index].breakers.entry(key.clone()).or_default();
            if !breaker.admit(limit, now) {
                refused = true;
                let closed = self.closed(*index, &key, now);
                findings.extend(
                    closed
                        .and_then(|c| c.finding)
                        .map(|(reason, message)| Finding {
                            rule: rules.rules()[*index].name.clone(),
                            object: key.clone(),
                            reason,
                            message,
                        }),
                );
            }
        }
        if refused {
            // The other rules' part of this write is made by the next pass, with that gate closed.
            if authors.len() > 1 {
                self.queue.push(key, now);
            }
            return;
        }
        for index in &authors {
            let limits = &rules.rules()[*index].limits;
            self.states[*index].limits.acted(&key, limits, now);
        }
        self.next_id += 1;
        let id = self.next_id;
        self.queue.hold(key.clone());
        self.in_flight.insert(
            id,
            InFlight {
                key,
                write: Some(Box::new(write.clone())),
                changes,
                since: now,
                fingerprint,
                uid: record.meta().uid().to_owned(),
            },
        );
        effects.push(Effect::Write(id, Box::new(write)));
    }

    /// Reads an object directly; its key is held meanwhile.
    pub(super) fn read(&mut self, key: ObjectKey, now: Timestamp, effects: &mut Vec<Effect>) {
        self.awaited.remove(&key);
        self.overdue.set(&key, None);
        if !self.queue.is_held(&key) {
            self.queue.hold(key.clone());
        }
        self.next_id += 1;
        let fingerprint = (0, 0);
        let entry = self.store.get(&key);
        let uid = entry.map_or(String::new(), |e| e.record.meta().uid().to_owned());
        self.in_flight.insert(
            self.next_id,
            InFlight {
                key: key.clone(),
                write: None,
                changes: vec![],
                since: now,
                fingerprint,
                uid,
            },
        );
        effects.push(Effect::Read(self.next_id, key));
    }

    /// Lets a key wait until its watch shows a version.
    pub(super) fn wait_for(&mut self, key: ObjectKey, version: String, now: Timestamp) {
        let until = now.checked_add(PATIENCE).unwrap_or(now);
        self.overdue.set(&key, Some(until));
        let list = self.store.kind(&key.kind).map_or(0, |k| k.lists());
        self.awaited.insert(key, Awaited { version, list });
    }
}
