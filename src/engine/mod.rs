//! The single controller loop, as a state machine without I/O: observations and outcomes in, requests and reports out, time as an argument.
//!
//! The daemon, `plan`, `test` and `run --once` drive the same [`Engine`].

pub mod announce;
pub mod counts;
pub mod due;
mod fingerprint;
pub mod memory;
pub mod pick;
pub mod queue;
pub mod related;
pub mod series;
pub mod standings;
pub mod store;
mod wants;
pub mod worker;

pub use worker::{
    Engine, EngineOptions, Recalled, STATE_NAME, Schedules, Unexplained, key_of_text,
};

use crate::decide::breaker::managers::ManagedFields;
use crate::decide::{Finding, Later, RuleChange, Write};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::watch_scope::WatchScope;
use std::sync::Arc;
use std::time::Duration;

/// A kind to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedKind {
    /// The kind.
    pub kind: GroupKind,
    /// The version to watch and write at.
    pub version: Arc<str>,
    /// Only metadata is read: PartialObjectMetadata is enough.
    pub metadata_only: bool,
    /// Which of its objects. One that leaves the scope is shown as deleted.
    pub scope: WatchScope,
}

/// What the cluster shows. For each kind: `ListStarted`, any number of `Applied`, `ListDone`, then `Applied` and `Deleted`; again from `ListStarted` after a gap.
#[derive(Debug)]
pub enum Observation {
    /// A list of the kind begins.
    ListStarted {
        /// The kind.
        kind: GroupKind,
    },
    /// `ListDone`: objects of the kind (in `namespace`, if the list was of one) not seen since `ListStarted` are gone.
    ListDone {
        /// The kind.
        kind: GroupKind,
    },
    /// An object is there, in this state.
    Applied {
        /// The kind.
        kind: GroupKind,
        /// The state.
        record: Record,
    },
    /// It is gone, or has left the scope in which its kind is watched.
    Deleted {
        /// The object.
        key: ObjectKey,
        /// Version of the deletion, where known.
        resource_version: Option<String>,
    },
    /// The kind cannot be followed now: its objects are not known. The last known ones are kept but no rule of the kind acts.
    Lost {
        /// The kind.
        kind: GroupKind,
        /// Why.
        why: Lost,
    },
    /// An item was left out.
    Undecodable {
        /// The kind.
        kind: GroupKind,
        /// Why, for people.
        reason: String,
    },
}

impl Observation {
    /// The kind that it is about.
    pub fn kind(&self) -> &GroupKind {
        match self {
            Observation::ListStarted { kind }
            | Observation::ListDone { kind }
            | Observation::Applied { kind, .. }
            | Observation::Lost { kind, .. }
            | Observation::Undecodable { kind, .. } => kind,
            Observation::Deleted { key, .. } => &key.kind,
        }
    }
}

/// Why a kind is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The server does not have it.
    NoSuchKind,
    /// It is cluster-scoped, and only some namespaces are looked at.
    OutOfScope,
    /// RBAC does not allow to list and watch it.
    Forbidden(String),
    /// The server does not answer.
    Unreachable(String),
}

/// A request in flight. Every one is answered by exactly one [`Engine::complete`].
pub type RequestId = u64;

/// What the engine wants done.
#[derive(Debug)]
pub enum Effect {
    /// Make this write.
    Write(RequestId, Box<Write>),
    /// Read the object directly (after an outcome unknown, or a write whose watch event does not come); answer with `complete`.
    Read(RequestId, ObjectKey),
    /// Keep the state of these shards; answer with [`Outcome::Kept`].
    Keep(RequestId, Keep),
    /// Ask who writes the object's fields (a breaker has opened); answer with [`Outcome::Managers`].
    Managers(RequestId, ObjectKey),
    /// Tell people.
    Report(Report),
}

/// Shards of the state that are to be kept.
#[derive(Debug)]
pub struct Keep {
    /// How many shards the state has.
    pub layout: usize,
    /// Those to write: number and text.
    pub shards: Vec<(usize, String)>,
    /// They are all there are: shards of other layouts go once these are written.
    pub whole: bool,
}

/// What became of a shard.
#[derive(Clone, Debug)]
pub enum Kept {
    /// It was written.
    Done,
    /// Somebody had changed or deleted it; it was written anew.
    Mended,
    /// Another daemon has written this since; it was left.
    Foreign(String),
    /// It was not written, or nobody knows.
    Failed(Fault),
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The server's answer: the object as it is now.
    Written(Record),
    /// Taken, with an answer that does not show the object: its resourceVersion now.
    Accepted(String),
    /// Deleted, or marked for deletion; or a read found nothing.
    Gone,
    /// A read's answer.
    Read(Record),
    /// Who writes the object's fields.
    Managers(Vec<ManagedFields>),
    /// What became of each shard of the state, by its number.
    Kept(Vec<(usize, Kept)>),
    /// It was not done, or nobody knows.
    Failed(Fault),
}

/// Why a request failed; decided once, where the answer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 409 on resourceVersion or uid: decide again from the newer object.
    Stale,
    /// 409 of server-side apply, naming the managers.
    OwnershipConflict(String),
    /// 422, 400, 413, 405, 415 of the server itself: permanent for this object and rule version.
    Refused(String),
    /// 403 from RBAC: verb and resource.
    Forbidden(String),
    /// From a quota, a webhook or an admission policy: back-off.
    Rejected(String),
    /// 500, 502 or 504 of a write: it may have been done. Back-off, and it counts for limits as if it had been.
    Uncertain(String),
    /// 429, 503.
    Busy {
        /// The server's own pause.
        retry_after: Option<Duration>,
        /// The server's words.
        message: String,
    },
    /// Outcome unknown: read before deciding again.
    Timeout,
    /// Connection refused and the like: back-off.
    Unreachable(String),
    /// 429 of an eviction: a PodDisruptionBudget does not allow it now. It is waited for.
    Budget(String),
    /// Not sent: another replica may lead by the time it would be done.
    Fenced,
}

impl Fault {
    /// Whether the request may have been done all the same.
    pub fn leaves_doubt(&self) -> bool {
        matches!(self, Fault::Timeout | Fault::Uncertain(_))
    }

    /// The stable category, for metrics and the log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Fault::Stale => "Stale",
            Fault::OwnershipConflict(_) => "OwnershipConflict",
            Fault::Refused(_) => "Refused",
            Fault::Forbidden(_) => "Forbidden",
            Fault::Rejected(_) => "Rejected",
            Fault::Uncertain(_) => "Uncertain",
            Fault::Busy { .. } => "Busy",
            Fault::Timeout => "Timeout",
            Fault::Unreachable(_) => "Unreachable",
            Fault::Budget(_) => "Budget",
            Fault::Fenced => "Fenced",
        }
    }

    /// What happened, for people: the server's words where it said something.
    pub fn message(&self) -> &str {
        match self {
            Fault::Stale => "the object has changed meanwhile: decided again",
            Fault::OwnershipConflict(message)
            | Fault::Refused(message)
            | Fault::Forbidden(message)
            | Fault::Rejected(message)
            | Fault::Uncertain(message)
            | Fault::Busy { message, .. }
            | Fault::Budget(message)
            | Fault::Unreachable(message) => message,
            Fault::Fenced => "not sent: another replica may lead by the time it would be done",
            Fault::Timeout => {
                "no answer in time: it may have been done, the object is read before anything else"
            }
        }
    }
}

/// What a person or a metric should hear of.
#[derive(Debug)]
pub enum Report {
    /// A change was made (`Ok`), or failed.
    Changed {
        /// What each rule did.
        changes: Vec<RuleChange>,
        /// Whether the server took it.
        outcome: Result<(), Fault>,
        /// From request to answer.
        took: Duration,
    },
    /// A rule in Audit, or with a closed gate, would make this change. Once per state of object and rule.
    WouldChange(Box<RuleChange>),
    /// In a plan: a rule whose schedule is closed would make this change, if it were open. Once, as [`Report::WouldChange`].
    Closed(Box<RuleChange>),
    /// Once while it lasts.
    Finding(Finding),
    /// It no longer holds.
    FindingEnded(Finding),
    /// In a plan: a step that comes later, if the match goes on.
    Later(Later),
    /// Something about the state that outlives a restart.
    State(String),
    /// A rule aborted, or was acknowledged.
    Aborted {
        /// Name of the rule.
        rule: Arc<str>,
        /// Objects that wait to be acted on.
        due: usize,
        /// Objects acted on in the last ten minutes.
        acted: usize,
        /// Which limit, in words.
        limit: String,
    },
}
