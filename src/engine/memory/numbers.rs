//! What is known of a match by the numbers of its steps: since when it is waited behind them, and what they have archived last. It holds for
//! one text of the rule: in another one a step of that number may be another step.

use super::acts::Acts;
use super::{Matches, Uid, moment, nanos};
use crate::state::{Slots, slot_of_match};
use jiff::Timestamp;

impl Matches {
    /// Since when it is waited behind a step.
    pub fn waits_since(&self, uid: Uid, step: usize) -> Option<Timestamp> {
        let waits = &self.acts(uid)?.more.as_ref()?.waits;
        let found = waits.iter().find(|(known, _)| *known == step);
        found.map(|(_, since)| moment(*since))
    }

    /// It is waited behind these steps, and behind no others. Answers whether it is behind any.
    pub fn wait(&mut self, uid: Uid, steps: &[usize], now: Timestamp) -> bool {
        if steps.is_empty() && self.acts(uid).is_none_or(|acts| acts.more.is_none()) {
            return false;
        }
        let now = nanos(now);
        let acts = self
            .held
            .entry(uid)
            .or_default()
            .acts
            .get_or_insert_default();
        let before = acts.more.as_ref().map(|more| more.waits.clone());
        let before = before.unwrap_or_default();
        let since = |step: usize| {
            let known = before.iter().find(|(known, _)| *known == step);
            known.map_or(now, |(_, since)| (*since).min(now))
        };
        let after: Vec<(usize, i64)> = steps.iter().map(|step| (*step, since(*step))).collect();
        let waits = !after.is_empty();
        if after != before {
            acts.more().waits = after;
            acts.change_more(|_| {});
            self.tidy(uid);
            self.changed.add(slot_of_match(uid.number()));
        }
        waits
    }

    /// Whether it is waited behind some step for some object.
    pub fn has_waits(&self) -> bool {
        let waits = |acts: &Acts| {
            acts.more
                .as_ref()
                .is_some_and(|more| !more.waits.is_empty())
        };
        let mut held = self.held.values();
        held.any(|held| held.acts.as_deref().is_some_and(waits))
    }

    /// Whether a step has archived this content last.
    pub fn has_archived(&self, uid: Uid, step: usize, content: u64) -> bool {
        let more = self.acts(uid).and_then(|acts| acts.more.as_ref());
        more.is_some_and(|more| more.archived.contains(&(step, content)))
    }

    /// A step has archived this content.
    pub fn archived(&mut self, uid: Uid, step: usize, content: u64) {
        let acts = self
            .held
            .entry(uid)
            .or_default()
            .acts
            .get_or_insert_default();
        let archived = &mut acts.more().archived;
        archived.retain(|(known, _)| *known != step);
        archived.push((step, content));
        self.changed.add(slot_of_match(uid.number()));
    }

    /// The rule has another text, in which the same matches.
    pub fn forget_numbers(&mut self) {
        if !self.held.is_empty() {
            // So that no shard speaks of the former numbers.
            self.changed = Slots::ALL;
        }
        for held in self.held.values_mut() {
            if let Some(acts) = &mut held.acts {
                acts.forget_numbers();
            }
        }
    }

    /// Nothing is kept of nothing.
    fn tidy(&mut self, uid: Uid) {
        let Some(held) = self.held.get_mut(&uid) else {
            return;
        };
        held.acts.take_if(|acts| acts.is_blank());
        if held.acts.is_none() && held.since.is_none() {
            self.held.remove(&uid);
        }
    }
}
