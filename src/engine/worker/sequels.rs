//! The steps that are left of a rule whose match has ended by what it did itself: they are made in their order, each when the one before it is
//! done. As long as the rule matches, a new decision speaks of them.
//!
//! What nobody remembers is lost with the process: a daemon that is killed in between begins with what matches then.

use super::{Engine, InFlight, Load};
use crate::decide::{Carried, Sequel, Standing, Write};
use crate::engine::{Effect, Fault, fingerprint};
use crate::object::{ObjectKey, Record};
use jiff::Timestamp;
use serde_json::Value;

/// What is left of a rule's steps for an object.
pub(super) struct Left {
    sequel: Sequel,
    /// The rule as it was.
    hash: u64,
    /// The object, without what its controllers tell of it; `None`: as it is when the next answer is seen.
    state: Option<u64>,
    /// Something of it was done: before that, a match that ends has nothing to be finished.
    begun: bool,
    /// Its next request is on its way, and is one on the subject itself.
    own_asked: bool,
}

/// How rules stand, by their index, in order.
type Standings = [(usize, Standing)];

fn standing(standings: &Standings, index: usize) -> Standing {
    let found = standings.binary_search_by_key(&index, |(of, _)| *of);
    found.map_or(Standing::OutOfScope, |at| standings[at].1)
}

/// What of an object is the business of those who write it, and not of those who tell of it.
fn state_of(record: &Record) -> u64 {
    let mut tree = record.to_value();
    if let Some(map) = tree.as_object_mut() {
        map.shift_remove("status");
    }
    if let Some(metadata) = tree.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["resourceVersion", "generation", "managedFields"] {
            metadata.shift_remove(field);
        }
    }
    fingerprint::state(Record::from_value(&tree).root())
}

impl Engine {
    /// Takes down what is left of a decision behind what is asked for now; goes on with what is left of earlier ones, where nothing else is done
    /// to the object.
    pub(super) fn go_on(
        &mut self,
        key: &ObjectKey,
        record: &Record,
        (new, standings): (Vec<Sequel>, &Standings),
        (acts, now): (bool, Timestamp),
        effects: &mut Vec<Effect>,
    ) {
        if self.options.dry || (new.is_empty() && self.sequels.is_empty()) {
            return;
        }
        let mut all = self.sequels.remove(key).unwrap_or_default();
        all.retain(|left| {
            let name = &left.sequel.rule;
            let again = new.iter().any(|sequel| sequel.rule == *name);
            !again && self.is_left(left, key, record, standings)
        });
        for sequel in new {
            let index = self.rules.index_of(&sequel.rule);
            let hash = index.map_or(0, |index| self.rules.rules()[index].hash);
            let state = Some(state_of(record));
            all.push(Left {
                sequel,
                hash,
                state,
                begun: false,
                own_asked: false,
            });
        }
        if all.is_empty() {
            return;
        }
        self.sequels.insert(key.clone(), all);
        if !acts {
            self.next_stage(key, record, standings, now, effects);
        }
    }

    /// Whether there still is something to finish.
    fn is_left(
        &self,
        left: &Left,
        key: &ObjectKey,
        record: &Record,
        standings: &Standings,
    ) -> bool {
        let Some(index) = self.rules.index_of(&left.sequel.rule) else {
            return false;
        };
        if self.rules.rules()[index].hash != left.hash || record.meta().is_deleting() {
            return false;
        }
        if self.is_asked_for(key, &left.sequel.rule) {
            return true;
        }
        match standing(standings, index) {
            Standing::Matched { .. } => false,
            // Nobody knows.
            Standing::Waiting => true,
            _ => left.begun && left.state.is_none_or(|state| state == state_of(record)),
        }
    }

    /// Whether a request of a rule for an object is on its way.
    fn is_asked_for(&self, subject: &ObjectKey, rule: &str) -> bool {
        let mut requests = self.in_flight.values();
        requests.any(|of| of.subject == *subject && of.rules().iter().any(|name| **name == *rule))
    }

    /// Makes the next request of a rule that does not match any more.
    fn next_stage(
        &mut self,
        key: &ObjectKey,
        record: &Record,
        standings: &Standings,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let all = self.sequels.get(key).map_or(&[][..], Vec::as_slice);
        let rules: Vec<_> = all
            .iter()
            .filter(|left| left.begun && !self.is_asked_for(key, &left.sequel.rule))
            .filter_map(|left| self.rules.index_of(&left.sequel.rule))
            .filter(|index| {
                let standing = standing(standings, *index);
                !matches!(standing, Standing::Matched { .. } | Standing::Waiting)
            })
            .collect();
        for index in rules {
            let name = self.rules.rules()[index].name.clone();
            if !self.enforces_on(index, key) || !self.states[index].ready {
                continue;
            }
            if let Some(closed) = self.closed(index, key, now) {
                if let Some(until) = closed.until {
                    self.due.no_later_than(key, until);
                }
                continue;
            }
            if let Some(until) = self.paused_until(key, now) {
                self.due.no_later_than(key, until);
                continue;
            }
            while let Some(stage) = self
                .sequels
                .get(key)
                .and_then(|all| all.iter().find(|left| left.sequel.rule == name))
                .and_then(|left| left.sequel.stages.first())
                .cloned()
            {
                let there = match stage.own {
                    true => Some(record.clone()),
                    false => self
                        .store
                        .get(&stage.write.object)
                        .map(|e| e.record.clone()),
                };
                match stage.for_now(there.as_ref()) {
                    Carried::Done => self.stage_done(key, &name, &stage.write),
                    Carried::Void => {
                        self.drop_sequel(key, &name);
                    }
                    Carried::On(write) if stage.own => {
                        let fingerprint = (
                            fingerprint::state(record.root()),
                            fingerprint::operation(&write.operation),
                        );
                        let load = Load {
                            changes: stage.changes,
                            follow_ups: vec![],
                            rest: vec![],
                            left: None,
                        };
                        for left in self.sequels.get_mut(key).into_iter().flatten() {
                            left.own_asked = left.sequel.rule == name;
                        }
                        self.emit((*write, fingerprint), load, record, (now, now), effects);
                        // The object is held now: what others have left of it comes after.
                        return;
                    }
                    Carried::On(write) => {
                        self.send_deed(*write, stage.changes, key, (now, now), effects);
                        break;
                    }
                }
            }
        }
    }

    /// A request of a rule for an object was answered well: the next one may come.
    pub(super) fn note_stage(&mut self, request: &InFlight, answered: Option<&Record>) {
        if self.sequels.is_empty() {
            return;
        }
        let Some(write) = request.write().cloned() else {
            return;
        };
        let own = request.key == request.subject;
        let mut done = vec![];
        for left in self.sequels.get_mut(&request.subject).into_iter().flatten() {
            let asked = own && std::mem::take(&mut left.own_asked);
            if write.rules.contains(&left.sequel.rule) {
                left.begun = true;
                if !own || asked {
                    done.push(left.sequel.rule.clone());
                }
            }
            if own {
                left.state = answered.map(state_of);
            }
        }
        for rule in &done {
            self.stage_done(&request.subject, rule, &write);
        }
    }

    fn stage_done(&mut self, subject: &ObjectKey, rule: &str, write: &Write) {
        let Some(all) = self.sequels.get_mut(subject) else {
            return;
        };
        for left in all.iter_mut().filter(|left| *left.sequel.rule == *rule) {
            let stages = &mut left.sequel.stages;
            let is_it = |of: &Write| {
                of.object == write.object && of.operation.verb() == write.operation.verb()
            };
            if let Some(at) = stages.iter().position(|stage| is_it(&stage.write)) {
                stages.remove(at);
            }
        }
        all.retain(|left| !left.sequel.stages.is_empty());
        if all.is_empty() {
            self.sequels.remove(subject);
        }
    }

    /// A request was answered with a fault: one that does not pass ends the list, and what may have been done all the same has begun it.
    pub(super) fn note_stage_failed(&mut self, request: &InFlight, fault: &Fault) {
        if fault.leaves_doubt() && !self.sequels.is_empty() {
            let own = request.key == request.subject;
            let expected = request.write().and_then(|write| write.expected.as_ref());
            let expected = expected.filter(|_| own).map(state_of);
            let all = self.sequels.get_mut(&request.subject);
            for left in all.into_iter().flatten() {
                if request.rules().contains(&left.sequel.rule) {
                    left.begun = true;
                    left.state = expected.or(left.state);
                }
            }
        }
        let ends = matches!(
            fault,
            Fault::Refused(_)
                | Fault::Rejected(_)
                | Fault::OwnershipConflict(_)
                | Fault::Forbidden(_)
        );
        if ends && !self.sequels.is_empty() {
            for rule in request.rules() {
                self.drop_sequel(&request.subject, rule);
            }
        }
    }

    fn drop_sequel(&mut self, subject: &ObjectKey, rule: &str) {
        if let Some(all) = self.sequels.get_mut(subject) {
            all.retain(|left| *left.sequel.rule != *rule);
            if all.is_empty() {
                self.sequels.remove(subject);
            }
        }
    }
}
