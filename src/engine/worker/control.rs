//! What a person may tell it: freeze, go on, stop.

use super::Engine;
use jiff::Timestamp;

impl Engine {
    /// Every rule behaves as in Audit until unfrozen.
    pub fn set_frozen(&mut self, frozen: bool, now: Timestamp) {
        if self.frozen == frozen {
            return;
        }
        self.frozen = frozen;
        if !frozen {
            // Nobody has counted what has become due meanwhile: as after a start, that comes before the first step.
            for state in &mut self.states {
                state.scope_known = false;
            }
            for (kind, objects) in self.store.kinds_mut() {
                if !self.rules.for_kind(kind).is_empty() {
                    objects.all_fresh();
                }
            }
        }
        self.look_at_everything(now);
    }

    /// Whether every rule behaves as in Audit.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Lets a rule go on that was aborted, has open breakers or tests a path that nothing has. False if there was nothing to acknowledge.
    pub fn acknowledge(&mut self, rule: &str, now: Timestamp) -> bool {
        let Some(index) = self.rules.rules().iter().position(|r| &*r.name == rule) else {
            return false;
        };
        self.keeper.press();
        let keys = self.states[index].acknowledge();
        self.away.close(rule);
        let any = keys.is_some();
        let mut keys = keys.unwrap_or_default();
        self.put_in_order(&mut keys);
        for key in keys {
            // Who wants something of it, and it itself.
            self.wake_subjects(&key, now);
            self.queue.push(key, now);
        }
        // A person says that the paths are as they are meant.
        if self.states[index].refusal.is_some() {
            self.states[index].unproven.clear();
            self.review_paths(index);
            self.look_at_matched(index, now);
            return true;
        }
        any
    }

    /// Takes no new key from now on.
    pub fn stop_taking(&mut self) {
        self.stopping = true;
    }
}
