//! While another replica acts: everything is known, nothing is decided.

use super::Engine;
use super::keep::Keeper;
use super::targets::Targets;
use crate::decide::limits::LimitState;
use crate::engine::Effect;
use crate::engine::due::Due;
use crate::engine::memory::Matches;
use crate::engine::wants::Wants;
use crate::object::ObjectKey;
use jiff::Timestamp;

impl Engine {
    /// In standby the cluster is followed and rules are loaded, but no object is evaluated, so that nothing is written and nothing told of
    /// objects. Requests in flight are still answered. When it ends, everything in scope is evaluated anew, and limited rules wait for all of it.
    pub fn set_standby(&mut self, standby: bool, now: Timestamp) {
        if self.standby == standby {
            return;
        }
        self.standby = standby;
        if standby {
            self.forget_conclusions();
        } else {
            self.begin_anew(now);
        }
    }

    /// Whether another replica acts.
    pub fn is_standby(&self) -> bool {
        self.standby
    }

    /// What was concluded is somebody else's to say now.
    fn forget_conclusions(&mut self) {
        self.queue.clear();
        self.due = Due::default();
        self.told.clear();
        self.refused.clear();
        self.follow_ups.clear();
        self.unfinished.clear();
        self.sequels.clear();
        self.wants = Wants::default();
        self.in_waits = false;
        // Whoever acts keeps the state.
        self.keeper = Keeper::default();
        let found: Vec<ObjectKey> = self.findings.keys().cloned().collect();
        for key in found {
            self.set_findings(&key, vec![]);
        }
        for (_, objects) in self.store.kinds_mut() {
            for (_, entry) in objects.iter_mut() {
                entry.standings = Box::default();
            }
        }
        self.fans.forget_waiting();
        for state in &mut self.states {
            (state.in_scope, state.matched, state.waiting) = (0, 0, 0);
            state.scope_known = false;
            state.matches = Matches::default();
            state.series.reset();
            if let Some(picks) = &mut state.picks {
                picks.reset();
            }
            state.targets = Targets::default();
            // A person may agree, or mend it, while another replica acts: what that one keeps is recalled.
            state.limits = LimitState::default();
            state.breakers.clear();
        }
    }

    fn begin_anew(&mut self, now: Timestamp) {
        for state in &mut self.states {
            state.scope_known = false;
        }
        self.take_over_clocks(now);
        self.await_rivals();
        let kinds: Vec<_> = self
            .store
            .kinds()
            .map(|(kind, _)| kind.clone())
            .filter(|kind| !self.rules.for_kind(kind).is_empty() || self.may_be_held(kind))
            .collect();
        for kind in kinds {
            self.look_at_all(&kind, now);
        }
    }

    /// [`Engine::poll`] in standby: nothing is looked at, but keys whose watch does not show what was written are still read.
    pub(super) fn stand_by(
        &mut self,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Option<Timestamp> {
        self.queue.clear();
        self.due = Due::default();
        self.follow_ups.clear();
        self.unfinished.clear();
        self.sequels.clear();
        while let Some(key) = self.overdue.pop(now) {
            self.read(key, now, effects);
        }
        effects.extend(self.reports.drain(..).map(Effect::Report));
        if self.stopping {
            return None;
        }
        self.overdue.earliest()
    }
}
