//! Whether a rule may act on an object now: mode, freeze, limits, breakers, rights.

use super::Engine;
use crate::decide::Reason;
use crate::decide::breaker::{self, Open, Trip};
use crate::engine::pick::Picks;
use crate::engine::store::name_of;
use crate::object::{ObjectKey, duration};
use crate::rule::enforce_for::EnforceFor;
use crate::rule::expr::NamespaceObject;
use crate::rule::set::RuleIndex;
use crate::rule::{Mode, Rule};
use jiff::Timestamp;
use std::sync::Arc;

/// A gate that is closed.
pub(super) struct Closed {
    /// What is told of the object; `None`: it is told otherwise.
    pub finding: Option<(Reason, String)>,
    /// When it opens by itself, if it does.
    pub until: Option<Timestamp>,
}

impl Closed {
    fn lasting(reason: Reason, message: String) -> Self {
        Self {
            finding: Some((reason, message)),
            until: None,
        }
    }
}

/// Most places that a message names.
const MOST_PLACES: usize = 3;

fn breaker_message(open: &Open, others: &str, rule: &Rule) -> String {
    let (most, period) = rule.limits.per_object.unwrap_or(breaker::DEFAULT);
    let what = match open.trip {
        Trip::TooMany => format!(
            "changed more than {most} times in {}",
            duration::format(period)
        ),
        Trip::ComesBack => format!(
            "changed back more than {most} times in {}",
            duration::format(period.max(breaker::MEMORY))
        ),
    };
    let named = &open.places[..open.places.len().min(MOST_PLACES)];
    let places = match named {
        [] => String::new(),
        named => format!(" ({})", named.join(", ")),
    };
    format!(
        "{what}: {others}{places}; the rule leaves this object alone until it is acknowledged or changed"
    )
}

impl Engine {
    pub(super) fn enforces(&self, rule: &Rule) -> bool {
        (self.options.assume_enforce || rule.mode == Mode::Enforce) && !self.frozen
    }

    /// Whether a rule enforces for an object: `enforceFor` may leave it in Audit.
    pub(super) fn enforces_on(&self, index: usize, key: &ObjectKey) -> bool {
        let rule = &self.rules.rules()[index];
        self.enforces(rule)
            && rule
                .enforce_for
                .as_ref()
                .is_none_or(|e| self.chosen(e, key))
    }

    /// Whether `enforceFor` leaves none of these subjects in Audit. Of one that is gone only what can be known still is asked: its uid, and
    /// its Namespace if that is there.
    pub(super) fn chosen_all(&self, index: usize, subjects: &[(ObjectKey, String)]) -> bool {
        let Some(enforce_for) = &self.rules.rules()[index].enforce_for else {
            return true;
        };
        subjects.iter().all(|(key, uid)| {
            let there = self.store.get(key);
            if there.is_some_and(|entry| entry.record.meta().uid() == uid) {
                return self.chosen(enforce_for, key);
            }
            enforce_for.draws(uid)
                && enforce_for.namespace_selector.as_ref().is_none_or(|s| {
                    let namespace = key.namespace.as_ref().and_then(|name| {
                        let name = ObjectKey::new(self.namespace_kind.clone(), None, name);
                        self.store.get(&name)
                    });
                    namespace.is_none_or(|entry| s.matches(entry.record.meta().labels()))
                })
        })
    }

    fn chosen(&self, enforce_for: &EnforceFor, key: &ObjectKey) -> bool {
        let Some(entry) = self.store.get(key) else {
            return false;
        };
        let namespace = match enforce_for.namespace_selector {
            Some(_) => self.namespace_of(key, &entry.record),
            None => Ok(None),
        };
        let namespace = match &namespace {
            Ok(Some(record)) => NamespaceObject::Known(record.root()),
            Ok(None) => NamespaceObject::None,
            Err(_) => NamespaceObject::Unknown,
        };
        enforce_for.covers(entry.record.meta(), namespace)
    }

    /// Why a rule may not act on an object now, and whether that ends by itself.
    pub(super) fn closed(
        &mut self,
        index: usize,
        key: &ObjectKey,
        now: Timestamp,
    ) -> Option<Closed> {
        let closed = self.holds_back(index, key, now);
        // It is looked at again when it is its turn.
        closed.or_else(|| {
            self.must_wait(index, key).then_some(Closed {
                finding: None,
                until: None,
            })
        })
    }

    /// As [`Engine::closed`], of what a rule has done and takes back: among those that it picks, the object need not be any more.
    pub(super) fn holds_back(
        &mut self,
        index: usize,
        key: &ObjectKey,
        now: Timestamp,
    ) -> Option<Closed> {
        let rule = Arc::clone(&self.rules.rules()[index]);
        let state = &mut self.states[index];
        if !state.unproven.is_empty() {
            // Told once for the rule: [`Engine::review_paths`].
            return Some(Closed {
                finding: None,
                until: None,
            });
        }
        if state.breaker_open(key) {
            let message = self.breaker_message(index, key).unwrap_or_default();
            // Told when it is known who else writes there.
            let finding = (!message.is_empty()).then_some((Reason::BreakerOpen, message));
            return Some(Closed {
                finding,
                until: None,
            });
        }
        if let Some(why) = state.limits.aborted() {
            let message =
                format!("the rule stopped: {why}; it goes on when it is acknowledged or changed");
            return Some(Closed::lasting(Reason::Aborted, message));
        }
        let place = (rule.name.clone(), key.kind.clone(), key.namespace.clone());
        if let Some(forbidden) = self.forbidden.get(&place)
            && forbidden.until > now
        {
            return Some(Closed {
                finding: Some((Reason::Forbidden, forbidden.message.clone())),
                until: Some(forbidden.until),
            });
        }
        let until = state.limits.throttled_until(key, &rule.limits, now)?;
        Some(Closed {
            finding: Some((Reason::Throttled, "throttle: waits for its turn".to_owned())),
            until: Some(until),
        })
    }

    /// What an open breaker says; nothing yet, while it is asked who else writes there.
    pub(super) fn breaker_message(&self, index: usize, key: &ObjectKey) -> Option<String> {
        let open = self.states[index].breakers.get(key)?.opened()?;
        let rule = &self.rules.rules()[index];
        Some(match &open.others {
            Some(others) => breaker_message(open, others, rule),
            None => String::new(),
        })
    }

    /// As [`Engine::closed`], without words: asked for every rule that matches.
    pub(super) fn is_closed(&self, index: usize, key: &ObjectKey, now: Timestamp) -> bool {
        self.must_wait(index, key) || self.is_held_back(index, key, now)
    }

    /// As [`Engine::holds_back`], without words.
    pub(super) fn is_held_back(&self, index: usize, key: &ObjectKey, now: Timestamp) -> bool {
        let rule = &self.rules.rules()[index];
        let state = &self.states[index];
        let forbidden = || {
            let place = (rule.name.clone(), key.kind.clone(), key.namespace.clone());
            self.forbidden.get(&place).is_some_and(|f| f.until > now)
        };
        !state.unproven.is_empty()
            || state.breaker_open(key)
            || state.limits.aborted().is_some()
            || state
                .limits
                .throttled_until(key, &rule.limits, now)
                .is_some()
            || (!self.forbidden.is_empty() && forbidden())
    }

    /// Whether the whole scope of a limited rule was evaluated, so that its limits know how many objects are concerned.
    pub(super) fn scope_known(&self, index: usize) -> bool {
        self.states[index].scope_known
    }

    /// Whether a rule does nothing before its whole scope was evaluated.
    pub(super) fn counts_first(&self, index: usize) -> bool {
        let rule = &self.rules.rules()[index];
        let state = &self.states[index];
        rule.limits.are_counted() || rule.pick.is_some() || !state.unproven.is_empty()
    }

    /// Whether a rule does nothing now because other objects are to be looked at before.
    pub(super) fn looks_first(&self, index: usize) -> bool {
        (self.counts_first(index) && !self.states[index].scope_known) || self.awaits_rivals(index)
    }

    /// Looks after the rules of which something may have changed: marks those whose scope is evaluated by now, and lets the objects go on that
    /// waited for it.
    pub(super) fn look_after_rules(&mut self, now: Timestamp) {
        if self.states.touched().is_empty() {
            return;
        }
        let mut touched = self.states.take_touched();
        for index in &touched {
            self.look_after(*index, now);
        }
        touched.retain(|index| {
            let waits = self.waits_for_others(*index);
            if !waits {
                self.states.settle(*index);
            }
            waits
        });
        self.states.give_back(touched);
    }

    /// Whether what a rule may do depends on what else is looked at, and not on its own state alone.
    fn waits_for_others(&self, index: RuleIndex) -> bool {
        let state = &self.states[index];
        let counts = !state.scope_known && self.counts_first(index);
        counts || state.picks.as_ref().is_some_and(Picks::has_candidates)
    }

    fn look_after(&mut self, index: RuleIndex, now: Timestamp) {
        self.wake_picked(index, now);
        self.review_series(index);
        if self.states[index].scope_known {
            self.clear_picked(index, now);
            self.review_paths(index);
        } else if self.counts_first(index) {
            self.open_limited_rule(index, now);
        }
        self.keeper.rules_changed |= self.states[index].has_changed();
    }

    /// Lets a rule act that counts, if its scope is evaluated by now.
    fn open_limited_rule(&mut self, index: RuleIndex, now: Timestamp) {
        let rule = Arc::clone(&self.rules.rules()[index]);
        let complete = rule.matches.kinds.iter().all(|k| {
            let kind = self.store.kind(&k.kind);
            kind.is_some_and(|kind| kind.fresh == 0 && !kind.is_listing())
        });
        if !complete || !self.states[index].ready || self.begin_picking(index, now) {
            return;
        }
        self.states[index].scope_known = true;
        self.check_limits(index, now);
        let mut due: Vec<ObjectKey> = self.states[index].limits.due().cloned().collect();
        // What is due may be a member of a list: who has it there is looked at.
        due.extend(self.states[index].targets.subjects().cloned());
        if self.states[index].limits.aborted().is_none() {
            self.put_in_order(&mut due);
        }
        for key in due {
            self.queue.push(key, now);
        }
        self.review_paths(index);
    }

    /// Objects that are to be looked at all at once, in the order in which `throttle` lets them go: by kind, namespace and name. Where no rule
    /// counts objects their order is nobody's concern.
    pub(super) fn put_in_order(&self, keys: &mut [ObjectKey]) {
        let mut last = None;
        let is_counted = |key: &ObjectKey| !self.rules.limited(&key.kind).is_empty();
        let counted = keys.len() > 1
            && keys
                .iter()
                .any(|key| last.replace(&key.kind) != Some(&key.kind) && is_counted(key));
        if counted {
            keys.sort_unstable();
        }
    }

    /// Objects are to be looked at at one moment: a rule that counts how many it concerns does nothing to the first of them before it knows
    /// what it would do to the last.
    pub fn count_together(&mut self, keys: &[ObjectKey]) {
        if keys.len() < 2 {
            return;
        }
        let rules = Arc::clone(&self.rules);
        for key in keys {
            let mut counts = false;
            for index in rules.limited(&key.kind) {
                let rule = &rules.rules()[*index];
                if rule.limits.are_counted() && rule.pick.is_none() && self.enforces(rule) {
                    self.states[*index].scope_known = false;
                    counts = true;
                }
            }
            if counts {
                self.store
                    .kind_mut(&key.kind)
                    .set_fresh(&name_of(key), true);
            }
        }
    }

    /// Stops a rule that concerns more objects than it may.
    pub(super) fn check_limits(&mut self, index: usize, now: Timestamp) -> bool {
        let rule = Arc::clone(&self.rules.rules()[index]);
        let state = &mut self.states[index];
        let in_scope = state.in_scope;
        if !state.limits.check(&rule.limits, in_scope, now) {
            return false;
        }
        let acted = state.limits.acted_count(now);
        let due = state.limits.due_count();
        let limit = state.limits.aborted().unwrap_or_default().to_owned();
        self.keeper.press();
        self.reports.push(crate::engine::Report::Aborted {
            rule: rule.name.clone(),
            due,
            acted,
            limit,
        });
        true
    }
}
