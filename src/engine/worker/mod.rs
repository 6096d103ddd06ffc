//! The engine itself: which object next, what to ask of the server, what to remember.
//!
//! * `mod` the state
//! * `observe` what the cluster shows
//! * `away` objects that left the scope of a watch
//! * `ready` whether rules know enough
//! * `next` what is looked at next
//! * `evaluate` one object
//! * `gates` whether rules may act on it
//! * `paths` what holds back a rule that may be misspelt
//! * `picks` whose turn it is
//! * `samples` what `/metrics` shows of it
//! * `owned` changes of what controllers make
//! * `choose` which request is worth making
//! * `send` requests on their way
//! * `outcome` what became of them
//! * `answers` what the server made of them
//! * `deeds` those on other objects
//! * `fan` many of them for one subject
//! * `related` lists of other objects
//! * `targets` members of lists that are acted on
//! * `rivals` rules that have each other's objects as targets
//! * `archives` what lies in sinks
//! * `waits` for what steps wrote
//! * `remember` what is known of matches
//! * `keep` what outlives a restart
//! * `reload` another rule set
//! * `lifetimes` what rules give back
//! * `reap` what they applied and nobody wants any more
//! * `control` what a person tells it
//! * `standby` another replica acts
//! * `schedule` the clock of rules
//! * `rules` what is remembered of each rule
//! * `states` that of all of them, and which of them are to be looked after
//! * `report` what is told once
//! * `status` what can be seen from outside
//! * `explain` why a rule does something, or does not

mod answers;
mod archives;
mod away;
mod choose;
mod closed;
mod control;
mod deeds;
mod evaluate;
mod explain;
mod fan;
mod gates;
mod glance;
mod in_turn;
mod keep;
pub mod lifetimes;
mod next;
mod observe;
mod outcome;
mod owned;
mod paths;
mod picks;
mod ready;
mod reap;
mod recall;
mod related;
mod reload;
mod remember;
mod report;
mod rivals;
mod rules;
mod said;
mod samples;
mod schedule;
mod send;
mod sequels;
mod standby;
mod states;
pub mod status;
mod targets;
mod unfinished;
mod waits;

pub use explain::{Unexplained, key_of_text};

use self::unfinished::Unfinished;
use super::counts::Histogram;
use super::due::Due;
use super::queue::Queue;
use super::related::Index;
use super::store::{Store, Sync};
use super::wants::Wants;
use super::{Report, RequestId, WatchedKind};
use crate::decide::breaker::places::{Place, Trail};
use crate::decide::{Finding, Reason, RuleChange, Write};
use crate::object::{GroupKind, ObjectKey};
use crate::rule::Verb;
use crate::rule::set::RuleSet;
use crate::rule::watch_scope::WatchScope;
use crate::schema::Schema;
use ahash::AHashMap;
use answers::AllAnswers;
use away::Away;
use fan::Fans;
use jiff::{SignedDuration, Timestamp};
use keep::Keeper;
use lifetimes::Lifetimes;
use rivals::Rivals;
use states::RuleStates;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use keep::STATE_NAME;
pub use recall::Recalled;

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
    /// Ask only for objects that rules can match, where one selector can say which those are.
    pub narrow: bool,
    /// How a `schedule` is looked at.
    pub schedules: Schedules,
}

/// How an engine looks at schedules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedules {
    /// A daemon is there when a moment comes.
    #[default]
    AtTheMoment,
    /// A single pass: a moment is due in the whole minute that it begins.
    InTheMinute,
    /// A single pass that takes every schedule for open.
    Ignored,
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
            narrow: false,
            schedules: Schedules::default(),
        }
    }
}

/// A request that was not answered yet.
struct InFlight {
    key: ObjectKey,
    /// For whom it is made; of the subject's own requests, itself.
    subject: ObjectKey,
    asked: Asked,
    changes: Vec<RuleChange>,
    /// What is asked of other objects once this one is answered well.
    follow_ups: Vec<FollowUp>,
    /// What of the same decision is asked of this object afterwards.
    rest: Vec<Unfinished>,
    /// Of a request that was left over by an earlier decision: as it was then.
    left: Option<Unfinished>,
    /// What each rule of a write writes.
    places: Vec<(Arc<str>, Vec<Place>)>,
    /// When the object came to be looked at: its change was seen, or a moment was due.
    wanted: Timestamp,
    /// When the request was sent.
    since: Timestamp,
    /// Of the state decided on and what was asked for.
    fingerprint: (u64, u64),
    uid: String,
}

/// A request on another object that waits for one on its subject: whose, the request, the changes it makes.
type FollowUp = (ObjectKey, Write, Vec<RuleChange>);

/// What goes with a request: the changes it makes, and what follows it.
struct Load {
    changes: Vec<RuleChange>,
    follow_ups: Vec<FollowUp>,
    rest: Vec<Unfinished>,
    left: Option<Unfinished>,
}

/// A request on another object that need not be made again in the same state.
struct SettledDeed {
    rule: Arc<str>,
    state: u64,
    operation: u64,
    /// What the server refused it with; `None`: it took it.
    refusal: Option<(Reason, String)>,
}

impl InFlight {
    /// What neither changes anything nor was decided on a state.
    fn question(key: ObjectKey, asked: Asked, since: Timestamp) -> Self {
        Self {
            subject: key.clone(),
            key,
            asked,
            changes: vec![],
            follow_ups: vec![],
            rest: vec![],
            left: None,
            places: vec![],
            wanted: since,
            since,
            fingerprint: (0, 0),
            uid: String::new(),
        }
    }

    fn write(&self) -> Option<&Write> {
        match &self.asked {
            Asked::Write(write) => Some(write),
            _ => None,
        }
    }

    /// The rules that a write is made of.
    fn rules(&self) -> &[Arc<str>] {
        self.write().map_or(&[], |write| &write.rules)
    }
}

/// What a request is for.
enum Asked {
    /// A change; its key is held.
    Write(Box<Write>),
    /// The object as it is; its key is held.
    Read,
    /// Who writes these places of it, for a rule whose breaker has opened. Nothing waits for that.
    Managers(Arc<str>, Vec<Trail>),
}

/// A key that waits for its watch.
struct Awaited {
    version: String,
    /// The list that had begun last when the wait began: only a later one ends it.
    list: u32,
    /// The request whose answer did not show what the object is now: if it is something else than was asked for when that version is seen, to
    /// ask again would lead nowhere.
    unseen: Option<Box<InFlight>>,
}

/// A request that need not be made again in the same state.
struct Settled {
    state: u64,
    operation: u64,
    /// What the server refused it with; `None`: it took it, and the object is not what was asked for.
    refusal: Option<String>,
}

/// What RBAC grants or not: a rule, a kind, and a namespace that it writes to.
type Permission = (Arc<str>, GroupKind, Option<Arc<str>>);

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
    states: RuleStates,
    /// The kinds that are followed, and which objects of them. What is said of another one comes late.
    followed: AHashMap<GroupKind, WatchScope>,
    /// What is remembered of objects that left such a scope.
    away: Away,
    store: Store,
    queue: Queue,
    /// When objects are to be looked at again.
    due: Due,
    /// When keys that wait for their watch are to be read.
    overdue: Due,
    in_flight: AHashMap<RequestId, InFlight>,
    next_id: RequestId,
    awaited: AHashMap<ObjectKey, Awaited>,
    /// Until when nothing is asked for again after a failure, whatever happens to the object.
    paused: AHashMap<ObjectKey, Timestamp>,
    /// Pods that a budget keeps, as members of lists: when their eviction is asked for again, and what the server said.
    budgeted: AHashMap<ObjectKey, (Timestamp, String)>,
    /// Writes that lead nowhere until the object changes.
    settled: AHashMap<ObjectKey, Vec<Settled>>,
    settled_deeds: AHashMap<ObjectKey, Vec<SettledDeed>>,
    /// What the server stored that is not just what was asked for.
    answers: AllAnswers,
    /// What subjects want of other objects.
    wants: Wants,
    /// Rules that may want different things.
    rivals: Rivals,
    /// What is known of the state outside.
    keeper: Keeper,
    /// Who may belong to which list of whom.
    related: Index,
    /// Subjects that wait for another object to be let go.
    waiters: AHashMap<ObjectKey, Vec<ObjectKey>>,
    follow_ups: Vec<FollowUp>,
    /// What is left of decisions, by object.
    unfinished: AHashMap<ObjectKey, Vec<Unfinished>>,
    /// What waits for the turn of some rule.
    turns: in_turn::Turns,
    /// What is left of rules' steps, by subject.
    sequels: AHashMap<ObjectKey, Vec<sequels::Left>>,
    /// Whether it may be waited behind some step.
    in_waits: bool,
    /// Requests of subjects on other objects.
    fans: Fans,
    forbidden: AHashMap<Permission, Forbidden>,
    /// What rules hold as long as they match.
    lifetimes: Lifetimes,
    /// Objects to look at when a subject no longer wants them, by subject, each with the names under which it wants it.
    wards: AHashMap<ObjectKey, AHashMap<ObjectKey, Vec<Arc<str>>>>,
    /// Whether a subject is being asked if it still wants a target.
    asking: AtomicBool,
    /// What was told of fields that others have taken over.
    taken_over: AHashMap<ObjectKey, Vec<Finding>>,
    /// When the clock of some rule has to be looked at.
    next_turn: Option<Timestamp>,
    /// Whether the pass of some rule's moment is not over.
    in_passes: bool,
    /// The last moment heard of.
    clock: Timestamp,
    /// It was told since then that the clock was moved.
    clock_told: bool,
    /// Findings of the engine itself that last, beside those of the pass.
    refused: AHashMap<ObjectKey, Vec<Finding>>,
    findings: AHashMap<ObjectKey, Vec<Finding>>,
    /// What rules said of objects that they have changed.
    said: AHashMap<ObjectKey, said::Said>,
    /// What was told with `WouldChange`: hash of the change.
    told: AHashMap<ObjectKey, Vec<(Arc<str>, u64)>>,
    reports: Vec<Report>,
    frozen: bool,
    standby: bool,
    stopping: bool,
    namespace_kind: GroupKind,
    evaluations: u64,
    /// From request to answer, by verb.
    durations: Vec<(Verb, Histogram)>,
}

impl Engine {
    /// An engine without rules, which knows nothing.
    pub fn new(options: EngineOptions) -> Self {
        Self {
            frozen: options.frozen,
            options,
            rivals: Rivals::default(),
            rules: Arc::new(RuleSet::new(vec![], Schema::empty())),
            states: RuleStates::default(),
            followed: AHashMap::new(),
            away: Away::default(),
            store: Store::default(),
            queue: Queue::default(),
            due: Due::default(),
            overdue: Due::default(),
            in_flight: AHashMap::new(),
            next_id: 0,
            awaited: AHashMap::new(),
            paused: AHashMap::new(),
            budgeted: AHashMap::new(),
            settled: AHashMap::new(),
            settled_deeds: AHashMap::new(),
            answers: AllAnswers::default(),
            wants: Wants::default(),
            keeper: Keeper::default(),
            related: Index::default(),
            waiters: AHashMap::new(),
            follow_ups: vec![],
            unfinished: AHashMap::new(),
            turns: in_turn::Turns::default(),
            sequels: AHashMap::new(),
            in_waits: false,
            fans: Fans::default(),
            forbidden: AHashMap::new(),
            lifetimes: Lifetimes::default(),
            wards: AHashMap::new(),
            asking: AtomicBool::new(false),
            taken_over: AHashMap::new(),
            clock: Timestamp::MIN,
            clock_told: false,
            next_turn: None,
            in_passes: false,
            refused: AHashMap::new(),
            findings: AHashMap::new(),
            said: AHashMap::new(),
            told: AHashMap::new(),
            reports: vec![],
            standby: false,
            stopping: false,
            namespace_kind: GroupKind::new("", "Namespace"),
            evaluations: 0,
            durations: vec![],
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
                scope: match self.options.narrow {
                    true => self.rules.watch_scope(&resolved.kind),
                    false => WatchScope::default(),
                },
                kind: resolved.kind,
                version: resolved.version,
            })
            .collect();
        self.want_held(&mut wanted);
        if !wanted.is_empty() && !wanted.iter().any(|w| w.kind == self.namespace_kind) {
            wanted.push(WatchedKind {
                kind: self.namespace_kind.clone(),
                version: "v1".into(),
                metadata_only: !self.rules.needs_namespaces(),
                scope: WatchScope::default(),
            });
        }
        wanted
    }

    /// Requests that were not answered yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Nothing queued that could be evaluated, in flight, or waiting for a watch to catch up.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
            && self.awaited.is_empty()
            && self.follow_ups.is_empty()
            && self.fans.is_empty()
            && !self.queue_has_ready()
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

#[cfg(test)]
mod deeds_tests;
#[cfg(test)]
mod tests;
