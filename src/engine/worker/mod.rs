//! The engine itself: which object next, what to ask of the server, what to remember.
//!
//! `mod` the state and what steers it · `evaluate` one object · `outcome` what became of a request · `ready` whether rules know enough · `report` what is told once ·
//! `status` what can be seen from outside.

mod evaluate;
mod outcome;
mod ready;
mod report;
mod rules;
pub mod status;

use super::due::Due;
use super::queue::Queue;
use super::store::{Effect as Stored, Name, Store, Sync, key_of, name_of};
use super::{Effect, Observation, Report, RequestId, WatchedKind, standings};
use crate::decide::{Finding, RuleChange, Write};
use crate::object::{GroupKind, ObjectKey};
use crate::rule::expr::NamespaceObject;
use crate::rule::selector::InScope;
use crate::rule::set::RuleSet;
use crate::schema::Schema;
use ahash::{AHashMap, AHashSet};
use jiff::{SignedDuration, Timestamp};
use rules::RuleState;
use std::sync::Arc;

/// After a write the watch has this long to show it; then the object is read directly.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// How an engine behaves.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Frozen from the start: every rule behaves as in Audit.
    pub frozen: bool,
    /// Take every rule as Enforce (`plan`, `test`).
    pub assume_enforce: bool,
    /// Never emit a write (`plan`): what would be written is reported with `WouldChange`.
    pub dry: bool,
    /// Requests in flight at once.
    pub workers: usize,
    /// The daemon's own namespace.
    pub state_namespace: String,
    /// Only these; empty: all.
    pub namespaces: Vec<String>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            frozen: false,
            assume_enforce: false,
            dry: false,
            workers: 32,
            state_namespace: "ordain".into(),
            namespaces: vec![],
        }
    }
}

/// A request that was not answered yet.
struct InFlight {
    key: ObjectKey,
    /// `None`: a read.
    write: Option<Box<Write>>,
    changes: Vec<RuleChange>,
    since: Timestamp,
    /// Of the state decided on and what was asked for.
    fingerprint: (u64, u64),
    uid: String,
}

/// A key that waits for its watch.
struct Awaited {
    version: String,
    /// The list that had begun last when the wait began: only a later one ends it.
    list: u32,
}

/// A request that need not be made again in the same state.
struct Settled {
    state: u64,
    operation: u64,
    /// What the server refused it with; `None`: it took it, and the object is not what was asked for.
    refusal: Option<String>,
}

/// A rule, a kind, and a namespace that it writes to.
type Place = (Arc<str>, GroupKind, Option<Arc<str>>);

/// RBAC forbade a rule to write to a kind in a namespace.
struct Forbidden {
    until: Timestamp,
    message: String,
}

/// The state machine.
pub struct Engine {
    options: EngineOptions,
    rules: Arc<RuleSet>,
    /// By index in the set.
    states: Vec<RuleState>,
    store: Store,
    queue: Queue,
    /// When objects are to be looked at again.
    due: Due,
    /// When keys that wait for their watch are to be read.
    overdue: Due,
    in_flight: AHashMap<RequestId, InFlight>,
    next_id: RequestId,
    awaited: AHashMap<ObjectKey, Awaited>,
    /// Writes that lead nowhere until the object changes.
    settled: AHashMap<ObjectKey, Vec<Settled>>,
    forbidden: AHashMap<Place, Forbidden>,
    /// The last moment heard of.
    clock: Timestamp,
    /// Findings of the engine itself that last, beside those of the pass.
    refused: AHashMap<ObjectKey, Vec<Finding>>,
    findings: AHashMap<ObjectKey, Vec<Finding>>,
    /// What was told with `WouldChange`: hash of the change.
    told: AHashMap<ObjectKey, Vec<(Arc<str>, u64)>>,
    reports: Vec<Report>,
    frozen: bool,
    stopping: bool,
    namespace_kind: GroupKind,
    evaluations: u64,
}

impl Engine {
    /// An engine without rules, which knows nothing.
    pub fn new(options: EngineOptions) -> Self {
        Self {
            frozen: options.frozen,
            options,
            rules: Arc::new(RuleSet::new(vec![], Schema::empty())),
            states: vec![],
            store: Store::default(),
            queue: Queue::default(),
            due: Due::default(),
            overdue: Due::default(),
            in_flight: AHashMap::new(),
            next_id: 0,
            awaited: AHashMap::new(),
            settled: AHashMap::new(),
            forbidden: AHashMap::new(),
            clock: Timestamp::MIN,
            refused: AHashMap::new(),
            findings: AHashMap::new(),
            told: AHashMap::new(),
            reports: vec![],
            stopping: false,
            namespace_kind: GroupKind::new("", "Namespace"),
            evaluations: 0,
        }
    }

    /// The kinds to follow for the rules in force, and Namespaces: their annotations can tell rules to leave everything in them alone.
    pub fn wanted(&self) -> Vec<WatchedKind> {
        let mut wanted: Vec<WatchedKind> = self
            .rules
            .kinds()
            .into_iter()
            .map(|resolved| WatchedKind {
                metadata_only: self.rules.metadata_only(&resolved.kind)
                    && !(resolved.kind == self.namespace_kind && self.rules.needs_namespaces()),
                kind: resolved.kind,
                version: resolved.version,
            })
            .collect();
        if !wanted.is_empty() && !wanted.iter().any(|w| w.kind == self.namespace_kind) {
            wanted.push(WatchedKind {
                kind: self.namespace_kind.clone(),
                version: "v1".into(),
                metadata_only: !self.rules.needs_namespaces(),
            });
        }
        wanted
    }

    /// Takes what the cluster shows.
    pub fn observe(&mut self, observation: Observation, now: Timestamp) {
        match observation {
            Observation::ListStarted { kind } => self.list_started(&kind),
            Observation::ListDone { kind } => self.list_done(&kind, now),
            Observation::Applied { kind, record } => {
                if !self.options.namespaces.is_empty()
                    && record
                        .meta()
                        .namespace()
                        .is_some_and(|n| !self.options.namespaces.iter().any(|o| o == n))
                {
                    return;
                }
                let (name, effect) = self.store.kind_mut(&kind).apply(record);
                let key = key_of(&kind, &name);
                match effect {
                    Stored::Older => return,
                    Stored::Replaced => {
                        self.forget(&key, now);
                        self.release(&key, now);
                    }
                    Stored::None | Stored::Changed => self.caught_up(&key, now),
                }
                if effect != Stored::None {
                    self.changed(key, now);
                }
            }
            Observation::Deleted { key, .. } => {
                self.gone(&key, now);
                self.release(&key, now);
            }
            Observation::Lost { kind, why } => self.lost(&kind, why, now),
            Observation::Undecodable { kind, reason } => {
                self.store.kind_mut(&kind).undecodable += 1;
                tracing::warn!(%kind, %reason, "an object cannot be decoded and is left out");
            }
        }
    }

    /// An object is new or differs from what was known.
    fn changed(&mut self, key: ObjectKey, now: Timestamp) {
        if key.kind == self.namespace_kind {
            self.namespace_changed(&key.name, now);
        }
        let syncing = self
            .store
            .kind(&key.kind)
            .is_some_and(|k| k.sync != Sync::Synced || k.is_listing());
        if syncing {
            self.store
                .kind_mut(&key.kind)
                .set_fresh(&name_of(&key), true);
        }
        if !self.rules.for_kind(&key.kind).is_empty() {
            self.queue.push(key, now);
        }
    }

    /// Labels or annotations of a Namespace decide about the objects in it.
    fn namespace_changed(&mut self, namespace: &Arc<str>, now: Timestamp) {
        let listed = self.store.kind(&self.namespace_kind);
        if listed.is_none_or(|k| k.sync == Sync::Pending) {
            // Nobody has decided on it yet.
            return;
        }
        let mut keys = vec![];
        for (kind, objects) in self.store.kinds() {
            if *kind == self.namespace_kind || self.rules.for_kind(kind).is_empty() {
                continue;
            }
            keys.extend(
                objects
                    .iter()
                    .filter(|(n, _)| n.namespace.as_ref() == Some(namespace))
                    .map(|(n, _)| key_of(kind, n)),
            );
        }
        for key in keys {
            self.queue.push(key, now);
        }
    }

    fn list_done(&mut self, kind: &GroupKind, now: Timestamp) {
        let gone = self.store.kind_mut(kind).end_list();
        for (name, entry) in gone {
            let key = key_of(kind, &name);
            self.leave_counts(kind, &entry.standings);
            self.forget(&key, now);
            self.release(&key, now);
        }
        // A list is newer than every write that was answered before it began.
        let lists = self.store.kind(kind).map_or(0, |k| k.lists());
        let waiting: Vec<ObjectKey> = self
            .awaited
            .iter()
            .filter(|(k, awaited)| k.kind == *kind && awaited.list != lists)
            .map(|(k, _)| k.clone())
            .collect();
        for key in waiting {
            self.release(&key, now);
            self.queue.push(key, now);
        }
        self.kinds_changed(now);
        self.look_at_clock_readers(kind, now);
    }

    /// CEL that reads `now` has no moment at which it comes out differently: it is evaluated at each list.
    fn look_at_clock_readers(&mut self, kind: &GroupKind, now: Timestamp) {
        let rules = Arc::clone(&self.rules);
        let of_kind = rules.for_kind(kind);
        if of_kind.iter().any(|index| rules.rules()[*index].reads_now)
            && let Some(objects) = self.store.kind(kind)
        {
            let keys: Vec<ObjectKey> = objects.iter().map(|(n, _)| key_of(kind, n)).collect();
            for key in keys {
                self.queue.push(key, now);
            }
        }
    }

    /// An object is gone from the cluster.
    fn gone(&mut self, key: &ObjectKey, now: Timestamp) {
        if let Some(entry) = self.store.kind_mut(&key.kind).remove(&name_of(key)) {
            self.leave_counts(&key.kind, &entry.standings);
        }
        self.forget(key, now);
    }

    /// Forgets what was remembered about an object. What rules did to it still counts for their limits.
    fn forget(&mut self, key: &ObjectKey, _now: Timestamp) {
        self.due.set(key, None);
        self.queue.forget(key);
        self.settled.remove(key);
        self.refused.remove(key);
        self.told.remove(key);
        self.set_findings(key, vec![]);
        for index in self.rules.for_kind(&key.kind) {
            self.states[*index].forget(key);
        }
    }

    /// Whether the store shows what a write was answered with; if so the key goes on.
    fn caught_up(&mut self, key: &ObjectKey, now: Timestamp) {
        if self.awaited.is_empty() {
            return;
        }
        let Some(awaited) = self.awaited.get(key) else {
            return;
        };
        let Some(entry) = self.store.get(key) else {
            return;
        };
        if at_or_past(entry.record.meta().resource_version(), &awaited.version) {
            self.release(key, now);
            self.queue.push(key.clone(), now);
        }
    }

    /// A key no longer waits for its watch.
    fn release(&mut self, key: &ObjectKey, now: Timestamp) {
        if self.awaited.remove(key).is_some() {
            self.overdue.set(key, None);
            self.queue.release(key, now);
        }
    }

    /// Whether objects of a kind may be evaluated: it is known, and Namespaces are, or never will be.
    fn is_ready(&self, kind: &GroupKind) -> bool {
        let known = |kind: &GroupKind| {
            self.store
                .kind(kind)
                .is_some_and(|k| k.sync == Sync::Synced)
        };
        let namespaces_settled = self
            .store
            .kind(&self.namespace_kind)
            .is_some_and(|k| k.sync != Sync::Pending);
        known(kind) && namespaces_settled
    }

    /// Evaluates what is queued and due, at most `budget` objects, and appends what is to be done.
    ///
    /// Answers the moment to call again if nothing else happens; `None`: only after an observation or outcome; `now` or earlier: at once.
    pub fn poll(
        &mut self,
        now: Timestamp,
        budget: usize,
        effects: &mut Vec<Effect>,
    ) -> Option<Timestamp> {
        self.tick(now);
        while let Some(key) = self.due.pop(now) {
            self.queue.push(key, now);
        }
        while let Some(key) = self.overdue.pop(now) {
            self.read(key, now, effects);
        }
        let mut left = budget;
        while left > 0 && !self.stopping && self.in_flight.len() < self.options.workers {
            let Some(key) = self.next_key() else { break };
            self.evaluate(key, now, effects);
            left -= 1;
        }
        self.open_limited_rules(now);
        effects.extend(self.reports.drain(..).map(Effect::Report));
        if self.stopping {
            return None;
        }
        if self.in_flight.len() < self.options.workers && self.queue_has_ready() {
            return Some(now);
        }
        match (self.due.earliest(), self.overdue.earliest()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// A clock that was set back: nothing waits for a moment of the former time.
    fn tick(&mut self, now: Timestamp) {
        if now < self.clock {
            for state in &mut self.states {
                state.limits.clock_set_back(now);
            }
            let until = now.checked_add(PATIENCE).unwrap_or(now);
            for key in self.awaited.keys() {
                self.overdue.set(key, Some(until));
            }
            for forbidden in self.forbidden.values_mut() {
                forbidden.until = forbidden.until.min(now);
            }
            self.look_at_everything(now);
        }
        self.clock = now;
    }

    fn next_key(&mut self) -> Option<ObjectKey> {
        let (store, namespaces) = (&self.store, &self.namespace_kind);
        let settled = store
            .kind(namespaces)
            .is_some_and(|k| k.sync != Sync::Pending);
        self.queue
            .pop(|kind| settled && store.kind(kind).is_some_and(|k| k.sync == Sync::Synced))
    }

    fn queue_has_ready(&self) -> bool {
        self.queue.has_ready(|kind| self.is_ready(kind))
    }

    /// Puts a rule set in force. Only objects that added or changed rules can concern, or that removed ones did, are looked at again.
    pub fn load(&mut self, rules: Arc<RuleSet>, now: Timestamp) {
        let difference = rules.difference(&self.rules);
        let followed = self.wanted();
        let older = std::mem::replace(&mut self.rules, rules);
        let mut states: AHashMap<Arc<str>, RuleState> = older
            .rules()
            .iter()
            .map(|r| r.name.clone())
            .zip(std::mem::take(&mut self.states))
            .collect();
        let same = |name: &Arc<str>| {
            older
                .get(name)
                .is_some_and(|o| self.rules.get(name).is_some_and(|n| n.hash == o.hash))
        };
        self.states = self
            .rules
            .rules()
            .iter()
            .map(|rule| match states.remove(&rule.name) {
                Some(state) if same(&rule.name) => state,
                Some(state) => state.changed(),
                None => RuleState::default(),
            })
            .collect();
        for state in states.into_values() {
            self.reports
                .extend(state.conditions.into_iter().map(Report::FindingEnded));
        }
        self.forbidden.retain(|(rule, _, _), _| same(rule));
        let mut keys = vec![];
        let mut touched: AHashSet<GroupKind> = difference.concerned.iter().cloned().collect();
        for name in difference.removed.iter().chain(&difference.changed) {
            if let Some(rule) = older.get(name) {
                touched.extend(rule.matches.kinds.iter().map(|k| k.kind.clone()));
            }
        }
        let namespaces: AHashMap<Arc<str>, crate::object::Record> =
            match self.store.kind(&self.namespace_kind) {
                Some(kind) => kind
                    .iter()
                    .map(|(n, e)| (n.name.clone(), e.record.clone()))
                    .collect(),
                None => AHashMap::new(),
            };
        for kind in &touched {
            let before = older.for_kind(kind);
            let after = self.rules.for_kind(kind);
            // Where each rule of the kind stood before, if it is the same rule.
            let stood: Vec<Option<usize>> = after
                .iter()
                .map(|index| {
                    let name = &self.rules.rules()[*index].name;
                    if !same(name) {
                        return None;
                    }
                    before
                        .iter()
                        .position(|old| older.rules()[*old].name == *name)
                })
                .collect();
            let went: Vec<usize> = (0..before.len())
                .filter(|p| !stood.contains(&Some(*p)))
                .collect();
            let Some(objects) = self
                .store
                .kinds_mut()
                .find(|(k, _)| *k == kind)
                .map(|(_, o)| o)
            else {
                continue;
            };
            let mut fresh: Vec<Name> = vec![];
            for (name, entry) in objects.iter_mut() {
                let old = std::mem::take(&mut entry.standings);
                let mut concerned = went
                    .iter()
                    .any(|p| standings::get(&old, *p) > standings::IN_SCOPE);
                for (position, from) in stood.iter().enumerate() {
                    match from {
                        Some(from) => standings::set(
                            &mut entry.standings,
                            after.len(),
                            position,
                            standings::get(&old, *from),
                        ),
                        None if !concerned => {
                            let rule = &self.rules.rules()[after[position]];
                            let namespace =
                                name.namespace.as_ref().map_or(NamespaceObject::None, |n| {
                                    namespaces.get(n).map_or(NamespaceObject::Unknown, |r| {
                                        NamespaceObject::Known(r.root())
                                    })
                                });
                            concerned =
                                rule.matches.covers(entry.record.meta(), namespace) != InScope::No;
                        }
                        None => {}
                    }
                }
                if concerned {
                    fresh.push(name.clone());
                }
            }
            for name in fresh {
                objects.set_fresh(&name, true);
                keys.push(key_of(kind, &name));
            }
        }
        for key in keys {
            self.settled.remove(&key);
            self.refused.remove(&key);
            self.queue.push(key, now);
        }
        let wanted = self.wanted();
        for kind in &wanted {
            let before = followed.iter().find(|f| f.kind == kind.kind);
            // Followed at another version, or so far without what is beside metadata: what is stored is not what rules read.
            if before.is_some_and(|b| {
                b.version != kind.version || (b.metadata_only && !kind.metadata_only)
            }) {
                self.store.kind_mut(&kind.kind).sync = Sync::Pending;
            }
        }
        self.store
            .retain(|kind| wanted.iter().any(|w| w.kind == *kind));
        self.review_readiness();
    }

    /// Every rule behaves as in Audit until unfrozen.
    pub fn set_frozen(&mut self, frozen: bool, now: Timestamp) {
        if self.frozen != frozen {
            self.frozen = frozen;
            self.look_at_everything(now);
        }
    }

    /// Whether every rule behaves as in Audit.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    fn look_at_everything(&mut self, now: Timestamp) {
        let keys: Vec<ObjectKey> = self
            .store
            .kinds()
            .filter(|(kind, _)| !self.rules.for_kind(kind).is_empty())
            .flat_map(|(kind, objects)| objects.iter().map(|(name, _)| key_of(kind, name)))
            .collect();
        for key in keys {
            self.queue.push(key, now);
        }
    }

    /// Lets an aborted rule, or one with open breakers, go on. False if there was nothing to acknowledge.
    pub fn acknowledge(&mut self, rule: &str, now: Timestamp) -> bool {
        let Some(index) = self.rules.rules().iter().position(|r| &*r.name == rule) else {
            return false;
        };
        let keys = self.states[index].acknowledge();
        let any = keys.is_some();
        for key in keys.unwrap_or_default() {
            self.queue.push(key, now);
        }
        any
    }

    /// Takes no new key from now on.
    pub fn stop_taking(&mut self) {
        self.stopping = true;
    }

    /// Requests that were not answered yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Nothing queued that could be evaluated, in flight, or waiting for a watch to catch up.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.awaited.is_empty() && !self.queue_has_ready()
    }

    /// Whether every kind that rules need is known, or known to be out of reach.
    pub fn is_synced(&self) -> bool {
        self.wanted().iter().all(|w| {
            self.store
                .kind(&w.kind)
                .is_some_and(|k| k.sync != Sync::Pending)
        })
    }

    /// The rules in force.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// What is known of the cluster.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Objects evaluated since the start.
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }
}

/// Whether a version is at or past another. Versions are numbers since Kubernetes says so; where they are not, only equality is sure.
fn at_or_past(version: &str, other: &str) -> bool {
    match (version.parse::<u128>(), other.parse::<u128>()) {
        (Ok(a), Ok(b)) => a >= b,
        _ => version == other,
    }
}

#[cfg(test)]
mod tests;
