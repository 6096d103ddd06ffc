//! Objects that left the scope in which their kind is watched, or were deleted: the watch shows both alike. What tells a fight with another
//! controller from a single change is kept until the object is back, is known to be another one, or enough time has passed.

use super::Engine;
use crate::decide::breaker::Breaker;
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::Limits;
use crate::rule::set::RuleIndex;
use ahash::AHashMap;
use jiff::{SignedDuration, Timestamp};
use smallvec::SmallVec;
use std::sync::Arc;

/// How often it is looked through for what may be forgotten.
const SWEEP: SignedDuration = SignedDuration::from_mins(10);
/// A breaker that is open is kept no longer than this for an object that does not come back.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// One object.
struct Gone {
    uid: Box<str>,
    since: Timestamp,
    /// By rule.
    breakers: SmallVec<[(Arc<str>, Breaker); 1]>,
}

/// All of them that have breakers.
#[derive(Default)]
pub(super) struct Away {
    objects: AHashMap<ObjectKey, Gone>,
    swept: Timestamp,
}

impl Away {
    fn sweep(&mut self, now: Timestamp, limits: impl Fn(&str) -> Option<Limits>) {
        // A clock that was set back begins a new interval.
        self.swept = self.swept.min(now);
        if now.duration_since(self.swept) <= SWEEP {
            return;
        }
        self.swept = now;
        self.objects.retain(|_, gone| {
            let long = now.duration_since(gone.since) > LONGEST;
            gone.breakers.retain(|(rule, breaker)| {
                let limit = limits(rule).and_then(|limits| limits.per_object);
                !breaker.is_idle(limit, now) && !long
            });
            !gone.breakers.is_empty()
        });
    }

    /// Keeps what is of these rules.
    pub(super) fn retain(&mut self, keep: impl Fn(&Arc<str>) -> bool) {
        self.objects.retain(|_, gone| {
            gone.breakers.retain(|(rule, _)| keep(rule));
            !gone.breakers.is_empty()
        });
    }

    /// A person says that the rule may go on.
    pub(super) fn close(&mut self, rule: &str) {
        if self.objects.is_empty() {
            return;
        }
        self.objects.retain(|_, gone| {
            gone.breakers
                .retain(|(of, breaker)| **of != *rule || !breaker.is_open());
            !gone.breakers.is_empty()
        });
    }
}

impl Engine {
    /// Called before an object is forgotten that its watch no longer shows.
    pub(super) fn goes_away(&mut self, key: &ObjectKey, record: &Record, now: Timestamp) {
        if self
            .followed
            .get(&key.kind)
            .is_none_or(|scope| scope.is_everything())
        {
            return;
        }
        let rules = Arc::clone(&self.rules);
        let mut breakers = SmallVec::new();
        for index in rules.for_kind(&key.kind) {
            if let Some(breaker) = self.states[*index].breakers.remove(key) {
                breakers.push((rules.rules()[*index].name.clone(), breaker));
            }
        }
        let limits = |rule: &str| rules.get(rule).map(|rule| rule.limits.clone());
        self.away.sweep(now, limits);
        if !breakers.is_empty() {
            let gone = Gone {
                uid: record.meta().uid().into(),
                since: now,
                breakers,
            };
            self.away.objects.insert(key.clone(), gone);
        }
    }

    /// An object is shown. If it was away, and is the same, its rules know it again.
    pub(super) fn is_back(&mut self, key: &ObjectKey) {
        if self.away.objects.is_empty() {
            return;
        }
        let Some(gone) = self.away.objects.remove(key) else {
            return;
        };
        let uid = self.store.get(key).map(|entry| entry.record.meta().uid());
        if uid != Some(&*gone.uid) {
            return;
        }
        for (rule, breaker) in gone.breakers {
            if let Some(index) = self.rules.index_of(&rule) {
                self.states[index].breakers.insert(key.clone(), breaker);
            }
        }
    }

    /// The breaker of a rule for an object, also of one that is away.
    pub(super) fn breaker_mut(
        &mut self,
        index: RuleIndex,
        key: &ObjectKey,
    ) -> Option<&mut Breaker> {
        let here = self.states[index].breakers.get_mut(key);
        if here.is_some() || self.away.objects.is_empty() {
            return here;
        }
        let name = &self.rules.rules()[index].name;
        let gone = self.away.objects.get_mut(key)?;
        let mut of_rules = gone.breakers.iter_mut();
        of_rules
            .find(|(rule, _)| rule == name)
            .map(|(_, breaker)| breaker)
    }

    /// An object is shown that lies outside of what is watched: a direct read shows any.
    pub(super) fn out_of_scope(&mut self, kind: &GroupKind, record: &Record, now: Timestamp) {
        let meta = record.meta();
        let key = ObjectKey::new(kind.clone(), meta.namespace(), meta.name());
        if self.store.get(&key).is_some() {
            self.gone(&key, now);
        }
        self.release(&key);
    }
}
