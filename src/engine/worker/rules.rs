//! What is remembered of each rule in force.

use super::schedule::Times;
use super::targets::Targets;
use crate::decide::Finding;
use crate::decide::breaker::Breaker;
use crate::decide::breaker::places::Place;
use crate::decide::limits::LimitState;
use crate::engine::counts::RuleCounts;
use crate::engine::memory::Matches;
use crate::engine::pick::Picks;
use crate::engine::series::Series;
use crate::object::ObjectKey;
use crate::rule::Rule;
use crate::rule::path::Path;
use ahash::AHashMap;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How often breakers are looked through for those that may be forgotten.
const SWEEP: SignedDuration = SignedDuration::from_mins(10);

/// One rule's memory.
#[derive(Default)]
pub(super) struct RuleState {
    pub limits: LimitState,
    /// Members of lists that are due, by the subjects that have them.
    pub targets: Targets,
    /// Whether every cache it needs is synced.
    pub ready: bool,
    /// Findings about the rule and a kind that is out of reach.
    pub conditions: Vec<Finding>,
    /// Whether its whole scope was evaluated since the start, the last reload that concerned it, or the last list.
    pub scope_known: bool,
    /// Paths that no schema knows and no object in the scope was seen to have: while there are any the rule does nothing.
    pub unproven: Vec<Path>,
    /// What was told of that.
    pub refusal: Option<Finding>,
    /// What was told of changes of objects that a controller owns, each kind once.
    pub owned: Vec<Finding>,
    pub breakers: AHashMap<ObjectKey, Breaker>,
    /// Of a rule that remembers: its matches.
    pub matches: Matches,
    /// Of a rule with `pick`.
    pub picks: Option<Picks>,
    /// Of a rule with `metric`.
    pub series: Series,
    /// What was told of series that are too many.
    pub crowded: Option<Finding>,
    /// When breakers that nothing happened to lately were forgotten.
    swept: Timestamp,
    /// Objects by standing: in scope (matched and waiting included), matched, waiting.
    pub in_scope: usize,
    pub matched: usize,
    pub waiting: usize,
    pub times: Times,
    pub counts: RuleCounts,
    pub last_error: Option<String>,
}

impl RuleState {
    /// Of a rule that is new.
    pub fn of(rule: &Rule) -> Self {
        Self {
            unproven: rule.unchecked_paths.clone(),
            picks: rule
                .pick
                .as_ref()
                .map(|pick| Picks::new(pick, rule.acts_in_order(), rule.holds_places())),
            ..Self::default()
        }
    }

    /// Of the same name, with another document: limits and breakers start afresh, counters go on.
    pub fn changed(self, rule: &Rule) -> Self {
        Self {
            counts: self.counts,
            conditions: self.conditions,
            refusal: self.refusal,
            crowded: self.crowded,
            ..Self::of(rule)
        }
    }

    /// Of the same document, compiled anew: another schema may vouch for more of its paths.
    pub fn kept(mut self, rule: &Rule) -> Self {
        self.unproven.retain(|path| {
            let mut still = rule.unchecked_paths.iter();
            still.any(|unchecked| unchecked.text() == path.text())
        });
        self
    }

    /// What is told of the rule itself, not of one object.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let lasting = self.conditions.iter().chain(&self.refusal);
        let lasting = lasting.chain(&self.crowded);
        lasting.chain(&self.owned)
    }

    /// Adds (`1`) or takes away (`-1`) an object of this standing.
    pub fn count(&mut self, bits: u8, by: isize) {
        use crate::engine::standings::{IN_SCOPE, MATCHED, WAITING};
        if bits >= IN_SCOPE {
            self.in_scope = self.in_scope.saturating_add_signed(by);
        }
        if bits == MATCHED {
            self.matched = self.matched.saturating_add_signed(by);
        }
        if bits == WAITING {
            self.waiting = self.waiting.saturating_add_signed(by);
        }
    }

    /// Forgets an object that is gone. Answers one to look at again: there may be room now for the series that it was left out with.
    #[must_use]
    pub fn forget(&mut self, key: &ObjectKey) -> Option<ObjectKey> {
        self.limits.forget(key);
        if let Some(picks) = &mut self.picks {
            picks.forget(key);
        }
        self.times.forget(key);
        self.series.set(key, vec![])
    }

    /// Whether something is to be kept that was not when it was kept last.
    pub fn has_changed(&self) -> bool {
        self.matches.has_changed() || self.times.has_changed()
    }

    /// Asks the object's breaker for one more change that writes these places; false if it is open, or opens.
    pub fn admit(
        &mut self,
        key: &ObjectKey,
        limit: Option<(u64, Duration)>,
        places: &[Place],
        now: Timestamp,
    ) -> bool {
        if now.duration_since(self.swept) > SWEEP {
            self.swept = now;
            self.breakers
                .retain(|_, breaker| !breaker.is_idle(limit, now));
        }
        let breaker = self.breakers.entry(key.clone()).or_default();
        breaker.admit(limit, places, now)
    }

    /// The clock was set back: what happened later than now happened now.
    pub fn clock_set_back(&mut self, now: Timestamp) {
        self.limits.clock_set_back(now);
        self.swept = self.swept.min(now);
        for breaker in self.breakers.values_mut() {
            breaker.clock_set_back(now);
        }
    }

    /// Whether the breaker for an object is open.
    pub fn breaker_open(&self, key: &ObjectKey) -> bool {
        !self.breakers.is_empty() && self.breakers.get(key).is_some_and(Breaker::is_open)
    }

    /// Closes breakers and lets an aborted rule go on: the objects to look at again, or `None` if there was nothing to acknowledge.
    pub fn acknowledge(&mut self) -> Option<Vec<ObjectKey>> {
        let open: Vec<ObjectKey> = self
            .breakers
            .iter()
            .filter(|(_, b)| b.is_open())
            .map(|(k, _)| k.clone())
            .collect();
        let due: Vec<ObjectKey> = self.limits.due().cloned().collect();
        let aborted = self.limits.acknowledge();
        if !aborted && open.is_empty() {
            return None;
        }
        for key in &open {
            self.breakers.remove(key);
        }
        let targeting = self.targets.subjects().cloned();
        Some(open.into_iter().chain(due).chain(targeting).collect())
    }
}
