//! The single controller loop, as a state machine without I/O: observations and outcomes in, requests and reports out, time as an argument.
//!
//! The daemon, `plan`, `test` and `run --once` drive the same [`Engine`].

pub mod due;
mod fingerprint;
pub mod queue;
pub mod standings;
pub mod store;
pub mod worker;

pub use worker::{Engine, EngineOptions};

use crate::decide::{Finding, RuleChange, Write};
use crate::object::{GroupKind, ObjectKey, Record};
use std::sync::Arc;
use std::time::Duration;

/// A kind to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedKind {
    pub kind: GroupKind,
    pub version: Arc<str>,
    /// Only metadata is read: PartialObjectMetadata is enough.
    pub metadata_only: bool,
}

/// What the cluster shows. For each kind: `ListStarted`, any number of `Applied`, `ListDone`, then `Applied` and `Deleted`; again from `ListStarted` after a gap.
#[derive(Debug)]
pub enum Observation {
    ListStarted {
        kind: GroupKind,
    },
    /// `ListDone`: objects of the kind (in `namespace`, if the list was of one) not seen since `ListStarted` are gone.
    ListDone {
        kind: GroupKind,
    },
    Applied {
        kind: GroupKind,
        record: Record,
    },
    /// With the last state, where the watch sent one.
    Deleted {
        key: ObjectKey,
        resource_version: Option<String>,
    },
    /// The kind cannot be followed now: its objects are not known. The last known ones are kept but no rule of the kind acts.
    Lost {
        kind: GroupKind,
        why: Lost,
    },
    /// An item was left out.
    Undecodable {
        kind: GroupKind,
        reason: String,
    },
}

/// Why a kind is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    NoSuchKind,
    Forbidden(String),
    Unreachable(String),
}

/// A request in flight. Every one is answered by exactly one [`Engine::complete`].
pub type RequestId = u64;

/// What the engine wants done.
#[derive(Debug)]
pub enum Effect {
    Write(RequestId, Box<Write>),
    /// Read the object directly (after an outcome unknown, or a write whose watch event does not come); answer with `complete`.
    Read(RequestId, ObjectKey),
    Report(Report),
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The server's answer: the object as it is now.
    Written(Record),
    /// Deleted, or marked for deletion; or a read found nothing.
    Gone,
    /// A read's answer.
    Read(Record),
    Failed(Fault),
}

/// Why a request failed; decided once, where the answer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 409 on resourceVersion or uid: decide again from the newer object.
    Stale,
    /// 409 of server-side apply, naming the managers.
    OwnershipConflict(String),
    /// 422, 400, 413, 405, 415: permanent for this object and rule version.
    Refused(String),
    /// 403 from RBAC: verb and resource.
    Forbidden(String),
    /// 403 from quota or a webhook, 500: back-off.
    Rejected(String),
    /// 429, 503, 504 with Retry-After.
    Busy {
        retry_after: Option<Duration>,
        message: String,
    },
    /// Outcome unknown: read before deciding again.
    Timeout,
    /// Connection refused and the like: back-off.
    Unreachable(String),
}

/// What a person or a metric should hear of.
#[derive(Debug)]
pub enum Report {
    /// A change was made (`Ok`), or failed.
    Changed {
        changes: Vec<RuleChange>,
        outcome: Result<(), Fault>,
        took: Duration,
    },
    /// A rule in Audit, or with a closed gate, would make this change. Once per state of object and rule.
    WouldChange(Box<RuleChange>),
    /// Once while it lasts.
    Finding(Finding),
    FindingEnded(Finding),
    /// A rule aborted, or was acknowledged.
    Aborted {
        rule: Arc<str>,
        due: usize,
        acted: usize,
        limit: String,
    },
}
