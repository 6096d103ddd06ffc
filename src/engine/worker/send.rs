//! Requests on their way, and keys that wait for what they will show.

use super::{Asked, Awaited, Engine, InFlight, Load, PATIENCE};
use crate::decide::Write;
use crate::decide::breaker::places::{Place, written_by};
use crate::engine::Effect;
use crate::object::{ObjectKey, Record};
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// Sends a write, unless it is known to lead nowhere or comes too often.
    pub(super) fn emit(
        &mut self,
        (write, fingerprint): (Write, (u64, u64)),
        load: Load,
        record: &Record,
        (wanted, now): (Timestamp, Timestamp),
        effects: &mut Vec<Effect>,
    ) {
        let key = write.object.clone();
        let rules = Arc::clone(&self.rules);
        let authors: Vec<usize> = write
            .rules
            .iter()
            .filter_map(|name| rules.index_of(name))
            .collect();
        let places: Vec<(Arc<str>, Vec<Place>)> = authors
            .iter()
            .map(|index| {
                let name = &rules.rules()[*index].name;
                let of = load.changes.iter().filter(|change| change.rule == *name);
                let written = |change| written_by(change, &write, record);
                (name.clone(), of.flat_map(written).collect())
            })
            .collect();
        let mut admitted = vec![];
        for (index, (rule, places)) in authors.iter().zip(&places) {
            let limit = rules.rules()[*index].limits.per_object;
            if self.states[*index].admit(&key, limit, places, now) {
                admitted.push(*index);
            } else {
                self.ask_for_managers(&key, rule, places, now, effects);
            }
        }
        if admitted.len() < authors.len() {
            for index in admitted {
                if let Some(breaker) = self.states[index].breakers.get_mut(&key) {
                    breaker.withdraw();
                }
            }
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
        let asked = Asked::Write(Box::new(write.clone()));
        self.in_flight.insert(
            id,
            InFlight {
                subject: key.clone(),
                key,
                asked,
                changes: load.changes,
                follow_ups: load.follow_ups,
                rest: load.rest,
                left: load.left,
                places,
                wanted,
                since: now,
                fingerprint,
                uid: record.meta().uid().to_owned(),
            },
        );
        effects.push(Effect::Write(id, Box::new(write)));
    }

    /// A breaker has opened: asks who else writes there. It is told when that is known.
    pub(super) fn ask_for_managers(
        &mut self,
        key: &ObjectKey,
        rule: &Arc<str>,
        places: &[Place],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let index = self.rules.index_of(rule);
        let breaker = index.and_then(|index| self.states[index].breakers.get(key));
        if let Some(open) = breaker.and_then(|breaker| breaker.opened())
            && open.others.is_some()
        {
            // Nobody does: there is nothing to ask.
            self.queue.push(key.clone(), now);
            return self.wake_subjects(key, now);
        }
        self.next_id += 1;
        let trails = places.iter().map(|place| place.trail.clone()).collect();
        let asked = Asked::Managers(rule.clone(), trails);
        self.in_flight
            .insert(self.next_id, InFlight::question(key.clone(), asked, now));
        effects.push(Effect::Managers(self.next_id, key.clone()));
    }

    /// Reads an object directly; its key is held meanwhile.
    pub(super) fn read(&mut self, key: ObjectKey, now: Timestamp, effects: &mut Vec<Effect>) {
        self.awaited.remove(&key);
        self.overdue.set(&key, None);
        if !self.queue.is_held(&key) {
            self.queue.hold(key.clone());
        }
        self.next_id += 1;
        self.in_flight.insert(
            self.next_id,
            InFlight::question(key.clone(), Asked::Read, now),
        );
        effects.push(Effect::Read(self.next_id, key));
    }

    /// Lets a key wait until its watch shows a version.
    pub(super) fn wait_for(&mut self, key: ObjectKey, version: String, now: Timestamp) {
        let until = now.checked_add(PATIENCE).unwrap_or(now);
        self.overdue.set(&key, Some(until));
        let list = self.store.kind(&key.kind).map_or(0, |k| k.lists());
        let awaited = Awaited {
            version,
            list,
            unseen: None,
        };
        self.awaited.insert(key, awaited);
    }

    /// As [`Engine::wait_for`], for a request that was answered with that version and nothing else.
    pub(super) fn wait_to_see(&mut self, request: InFlight, version: String, now: Timestamp) {
        let key = request.key.clone();
        self.wait_for(key.clone(), version, now);
        if let Some(awaited) = self.awaited.get_mut(&key) {
            awaited.unseen = Some(Box::new(request));
        }
    }
}
