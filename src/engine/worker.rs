//! The engine itself: which object next, what to ask of the server, what to remember.

use super::{Effect, Observation, Outcome, RequestId, WatchedKind};
use crate::rule::set::RuleSet;
use jiff::Timestamp;
use std::sync::Arc;

/// How an engine behaves.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Frozen from the start: every rule behaves as in Audit.
    pub frozen: bool,
    /// Take every rule as Enforce (`plan`, `test`).
    pub assume_enforce: bool,
    /// Never emit a write (`plan`): what would be written is reported with `WouldChange`.
    pub dry: bool,
    /// Requests in flight at once. Default 32.
    pub workers: usize,
    pub state_namespace: String,
    /// Only these; empty: all.
    pub namespaces: Vec<String>,
}

/// The state machine.
pub struct Engine {/* private fields */}

impl Engine {
    pub fn new(_options: EngineOptions) -> Self {
        todo!()
    }
    /// Puts a rule set in force. Only objects that added or changed rules can concern are looked at again.
    pub fn load(&mut self, _rules: Arc<RuleSet>, _now: Timestamp) {
        todo!()
    }
    /// The kinds to follow for the rules in force (Namespaces always, where some rule needs them).
    pub fn wanted(&self) -> Vec<WatchedKind> {
        todo!()
    }
    pub fn observe(&mut self, _observation: Observation, _now: Timestamp) {
        todo!()
    }
    /// Evaluates what is queued and due, at most `budget` objects, and appends what is to be done. Answers the moment to call again if nothing else happens (`None`: only after an observation or outcome); `now` or earlier: at once, work is left.
    pub fn poll(
        &mut self,
        _now: Timestamp,
        _budget: usize,
        _effects: &mut Vec<Effect>,
    ) -> Option<Timestamp> {
        todo!()
    }
    pub fn complete(&mut self, _id: RequestId, _outcome: Outcome, _now: Timestamp) {
        todo!()
    }
    /// Every rule behaves as in Audit until unfrozen.
    pub fn set_frozen(&mut self, _frozen: bool, _now: Timestamp) {
        todo!()
    }
    /// Lets an aborted rule, or one with open breakers, go on. False if there was nothing to acknowledge.
    pub fn acknowledge(&mut self, _rule: &str, _now: Timestamp) -> bool {
        todo!()
    }
    /// Nothing queued, in flight, or waiting for a watch to catch up.
    pub fn is_idle(&self) -> bool {
        todo!()
    }
}
