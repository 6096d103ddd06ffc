//! The heart: (rules, one object, its namespace, now) → [`Decision`].
//!
//! PURE. Rules run in priority order on one working copy; the sequence repeats until a round changes nothing; only the end result is compared with the stored object.
//!
//! * `pass` the rounds
//! * `turn` one rule's turn on the copy, and what came of it: `look` whether it matches, `steps` what it does, `checkpoint` a step undone
//! * `world` what all turns of a pass share
//! * `answered` what the server made of what rules asked for
//! * `patch`, `scale`, `rollout` (with `rollback`), `tell` steps that are about the subject itself
//! * `working` the copy
//! * `conflict` rules that want different things
//! * `memory` how long a match has held, `once` whether a step has acted
//! * `related` the lists of other objects
//! * `apply`, `event`, `archive`, `target` steps that act on something else
//! * `metric` numbers of the object
//! * `wait` for what a step wrote
//! * `elements` for each of a list
//! * `lifetime` what is given back when a match ends
//! * `state_annotation` what a rule remembers on its subject
//! * `writes` the end result as requests
//! * `protect` what is left alone
//! * `limits`, `breaker` how much is let through
//! * `explain` clause by clause, for people

mod answered;
mod apply;
mod archive;
pub mod breaker;
mod checkpoint;
mod conflict;
mod elements;
pub(crate) mod event;
pub mod explain;
pub mod glance;
mod lifetime;
pub mod limits;
pub mod look;
mod memory;
mod metric;
mod once;
pub mod pass;
mod patch;
pub mod protect;
mod related;
mod rollback;
mod rollout;
mod says;
mod scale;
mod sequel;
pub mod state_annotation;
mod steps;
mod target;
mod tell;
mod turn;
mod wait;
mod working;
mod world;
mod writes;

pub use apply::{Alone, BETWEEN, Neighbours, Opponent, Picked, Prospect, Want, kept};
pub use conflict::opposes;
pub use lifetime::{held, held_at};
pub use memory::{Blank, LastAct, Later, Memory, Note};
pub use once::{Act, Acted, LONGEST_KEY, MOST, Present, SPARE, in_annotation};
pub use sequel::{Carried, Remaining, Sequel};
pub use world::schema_of;
pub use writes::{part_of, rebased};

use crate::object::difference::record_patch;
use crate::object::{ObjectKey, Record};
use crate::rule::edit::{Claim, Hindrance, meets};
use crate::rule::metric::Sample;
use crate::rule::pick::Rank;
use crate::rule::sink::Sink;
use crate::rule::{Mode, Propagation, Verb};
use jiff::Timestamp;
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A stable category of a finding, for output, Events, metrics and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A `warn` step.
    Warning,
    /// A `deny` step.
    Denied,
    /// A value is not of the type that an edit or a test reads.
    WrongType,
    /// A field that is fixed at creation.
    ImmutableField,
    /// Two rules write different values to one path.
    Conflict,
    /// Ten rounds and still changing.
    NoFixpoint,
    /// An expression failed or read what is not there.
    ExpressionFailed,
    /// Something the rule reads is not known: the object waits.
    Waiting,
    /// The object is protected from this verb.
    Protected,
    /// More objects than `abortAbove` allows.
    Aborted,
    /// `throttle`: the rest waits.
    Throttled,
    /// The breaker of this rule and object is open.
    BreakerOpen,
    /// A rule changes objects that a controller owns, and not their owners.
    OwnedByController,
    /// A rule that deletes tests a path that no schema knows and no object in its scope has.
    UncheckedPath,
    /// The server refused the change (422, 400, 413, 415, or a webhook).
    Refused,
    /// RBAC forbids it.
    Forbidden,
    /// The server took a change and stored something else: an admission policy or webhook rewrites it.
    Overruled,
    /// An `apply` meets an object that something else created.
    NotOurs,
    /// An `apply` meets a field that another field manager owns.
    OwnershipConflict,
    /// A `metric` would have more series than it may.
    TooManySeries,
    /// What a step waits for does not come in time.
    TimedOut,
    /// A step with `lifetime: WhileMatched` is not made, as what it would write over cannot be kept.
    NotKept,
    /// A field that a rule would give its former value back was changed by somebody else meanwhile.
    TakenOver,
    /// A `rollback` has no revision to go to.
    NoRevision,
    /// What the rule remembers cannot be kept beyond a restart, or there is too much to remember.
    NotRemembered,
}

impl Reason {
    /// All of them, in the order in which they were thought of.
    pub const ALL: [Reason; 25] = [
        Reason::Warning,
        Reason::Denied,
        Reason::WrongType,
        Reason::ImmutableField,
        Reason::Conflict,
        Reason::NoFixpoint,
        Reason::ExpressionFailed,
        Reason::Waiting,
        Reason::Protected,
        Reason::Aborted,
        Reason::Throttled,
        Reason::BreakerOpen,
        Reason::Refused,
        Reason::Overruled,
        Reason::Forbidden,
        Reason::UncheckedPath,
        Reason::OwnedByController,
        Reason::NotOurs,
        Reason::OwnershipConflict,
        Reason::TooManySeries,
        Reason::TimedOut,
        Reason::NotKept,
        Reason::TakenOver,
        Reason::NoRevision,
        Reason::NotRemembered,
    ];

    /// As in output, Events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Warning => "Warning",
            Reason::Denied => "Denied",
            Reason::WrongType => "WrongType",
            Reason::ImmutableField => "ImmutableField",
            Reason::Conflict => "Conflict",
            Reason::NoFixpoint => "NoFixpoint",
            Reason::ExpressionFailed => "ExpressionFailed",
            Reason::Waiting => "Waiting",
            Reason::Protected => "Protected",
            Reason::Aborted => "Aborted",
            Reason::Throttled => "Throttled",
            Reason::BreakerOpen => "BreakerOpen",
            Reason::Refused => "Refused",
            Reason::Forbidden => "Forbidden",
            Reason::UncheckedPath => "UncheckedPath",
            Reason::OwnedByController => "OwnedByController",
            Reason::Overruled => "Overruled",
            Reason::NotOurs => "NotOurs",
            Reason::OwnershipConflict => "OwnershipConflict",
            Reason::TooManySeries => "TooManySeries",
            Reason::TimedOut => "TimedOut",
            Reason::NotKept => "NotKept",
            Reason::TakenOver => "TakenOver",
            Reason::NoRevision => "NoRevision",
            Reason::NotRemembered => "NotRemembered",
        }
    }

    /// Whether an evaluation went wrong, as opposed to being held back or refused by the server.
    pub fn is_error(self) -> bool {
        matches!(
            self,
            Reason::WrongType
                | Reason::ImmutableField
                | Reason::Conflict
                | Reason::NoFixpoint
                | Reason::ExpressionFailed
                | Reason::TimedOut
        )
    }
}

impl From<Hindrance> for Reason {
    fn from(hindrance: Hindrance) -> Self {
        match hindrance {
            Hindrance::WrongType => Reason::WrongType,
            Hindrance::ImmutableField => Reason::ImmutableField,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something a person should know about one rule and one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// The object.
    pub object: ObjectKey,
    /// The stable category.
    pub reason: Reason,
    /// A sentence for people; never quotes secret data.
    pub message: String,
}

/// What one rule does, or would do, to one object: for reports, `plan`, limits. Data before it is a request.
#[derive(Clone, Debug)]
pub struct RuleChange {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Mode of the rule, as written.
    pub mode: Mode,
    /// What the step does.
    pub verb: Verb,
    /// The object.
    pub object: ObjectKey,
    /// The object before this rule's turn (all rounds together); `None`: there was none. Of an `event`, `None`.
    pub before: Option<Record>,
    /// The state after it; `None`: deleted. Of an `event`, what it says.
    pub after: Option<Record>,
    /// The tests that held, as written, with the values they saw; without values where these may be secret.
    pub why: Vec<String>,
}

/// One request to the server: at most one per endpoint, object and pass.
#[derive(Clone, Debug)]
pub struct Write {
    /// The object.
    pub object: ObjectKey,
    /// apiVersion to write at.
    pub api_version: String,
    /// What is asked.
    pub operation: Operation,
    /// The rules it is made of, in order.
    pub rules: Vec<Arc<str>>,
    /// What the object will look like if the server takes it as it is (`None`: gone).
    pub expected: Option<Record>,
    /// Preconditions: the state that was decided on.
    pub uid: String,
    /// `metadata.resourceVersion` of the state that was decided on.
    pub resource_version: String,
    /// The steps it is made of that act once.
    pub acts: Vec<Acted>,
    /// What rules want where it writes: to be compared with the server's answer.
    pub wanted: Option<Arc<[Wanted]>>,
}

/// What a rule wants at a place of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// The place and the value.
    pub claim: Claim,
}

/// What a [`Write`] asks of the server.
#[derive(Clone, Debug)]
pub enum Operation {
    /// JSON patch under field manager `ordain`; its first operation replaces `/metadata/resourceVersion`.
    Patch {
        /// The `/status` endpoint instead of the main one.
        status: bool,
        /// RFC 6902.
        operations: Vec<json_patch::PatchOperation>,
    },
    /// Through the scale subresource, with preconditions on uid and resourceVersion.
    Scale {
        /// The new number.
        replicas: Value,
        /// Where the object keeps it: names from its root.
        path: Vec<String>,
    },
    /// Server-side apply.
    Apply {
        /// The whole manifest.
        manifest: Value,
        /// The field manager.
        manager: String,
        /// Takes fields of other managers.
        force: bool,
        /// The object's contents change, not only what is written down of its subjects: counted by the breaker.
        counts: bool,
    },
    /// A new Event; that it is there already is success.
    Event {
        /// All of it but the time.
        event: Value,
        /// When it happened.
        time: Timestamp,
        /// Which step of the rule tells it, and for which element.
        step: usize,
    },
    /// A manifest in a sink; no request to the server.
    Archive {
        /// Where.
        sink: Arc<Sink>,
        /// The folder of the object's manifests, relative to the sink.
        folder: PathBuf,
        /// The manifest's name in it: the same for the same object and content.
        file: String,
        /// The object, as it can be applied again.
        manifest: Value,
        /// How many manifests stay in the folder; `None`: all.
        keep: Option<usize>,
        /// Which step of the rule asks for it.
        step: usize,
        /// Hash of the manifest.
        content: u64,
    },
    /// Through the eviction subresource, with preconditions on uid and resourceVersion.
    Evict,
    /// With preconditions on uid and resourceVersion.
    Delete {
        /// `propagationPolicy`; `None`: the kind's default.
        propagation: Option<Propagation>,
        /// Seconds; `None`: the object's own.
        grace_period_seconds: Option<i64>,
    },
}

impl Operation {
    /// The verb of the steps that ask for this.
    pub fn verb(&self) -> Verb {
        match self {
            Operation::Patch { .. } => Verb::Patch,
            Operation::Scale { .. } => Verb::Scale,
            Operation::Apply { .. } => Verb::Apply,
            Operation::Event { .. } => Verb::Event,
            Operation::Archive { .. } => Verb::Archive,
            Operation::Evict => Verb::Evict,
            Operation::Delete { .. } => Verb::Delete,
        }
    }
}

impl Write {
    /// Whether it is an Event that tells what a change says, of the same object, or the file that it names.
    fn tells(&self, change: &RuleChange) -> bool {
        let said = |name: &str| {
            let said = change.after.as_ref()?.root().get_str(name)?;
            said.as_str()
        };
        let event = match &self.operation {
            Operation::Event { event, .. } => event,
            Operation::Archive { .. } => return said("file") == Some(&*self.object.name),
            _ => return false,
        };
        let regarding = &event["regarding"];
        event["note"].as_str() == said("note")
            && regarding["name"].as_str() == Some(&*change.object.name)
            && regarding["namespace"].as_str() == change.object.namespace.as_deref()
            && regarding["kind"].as_str() == Some(&*change.object.kind.kind)
    }

    /// Whether this request makes that change, or a part of it.
    pub fn makes(&self, change: &RuleChange) -> bool {
        let composed = matches!(change.verb, Verb::Restart | Verb::Rollback)
            && self.operation.verb() == Verb::Patch;
        (composed || self.operation.verb() == change.verb || self.scales_along(change))
            && (self.object == change.object || self.tells(change))
            && self.rules.contains(&change.rule)
    }

    /// Replicas whose former number is written down go through the main endpoint, in one request with that.
    fn scales_along(&self, change: &RuleChange) -> bool {
        let Operation::Patch {
            status: false,
            operations,
        } = &self.operation
        else {
            return false;
        };
        let Some(after) = change.after.as_ref().filter(|_| change.verb == Verb::Scale) else {
            return false;
        };
        let Some(before) = &change.before else {
            return false;
        };
        record_patch(before.root(), after.root()).iter().all(|of| {
            operations
                .iter()
                .any(|op| meets(op.path().as_str(), of.path().as_str()))
        })
    }
}

/// How one rule came out for one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// `match` does not cover it.
    OutOfScope,
    /// Some test failed.
    Unmatched,
    /// All tests passed, and `pick` leaves it out.
    NotPicked,
    /// All tests passed. `acts`: some step changes something now.
    Matched {
        /// Some step changes something now.
        acts: bool,
    },
    /// Something is unknown; the object waits.
    Waiting,
    /// Annotated `ordain.dev/ignore…`.
    Ignored,
    /// An expression failed.
    Failed,
}

/// Everything that came of one pass over one object.
#[derive(Debug, Default)]
pub struct Decision {
    /// Only of rules that enforce and whose gate is open.
    pub writes: Vec<Write>,
    /// Requests on other objects, under the same conditions: what `apply` and `event` steps ask.
    pub others: Vec<Write>,
    /// What rules do when that is done which they ask for.
    pub sequels: Vec<Sequel>,
    /// What the rules want of other objects, be it so already or not.
    pub wants: Vec<Want>,
    /// Of every rule, whatever its mode.
    pub changes: Vec<RuleChange>,
    /// In a plan: what rules would do whose schedule is closed, each for itself, if it were open.
    pub closed: Vec<RuleChange>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// In a plan: steps whose match has not held long enough.
    pub later: Vec<Later>,
    /// What is to be remembered of the subject, beside how the rules came out.
    pub notes: Vec<(usize, Note)>,
    /// The earliest later moment at which something may come out differently.
    pub recheck_at: Option<Timestamp>,
    /// Per rule of this kind that is in scope, in evaluation order: index in the set, how it came out.
    pub standings: Vec<(usize, Standing)>,
    /// The place of the object among those that match, per rule (index in the set) that picks.
    pub ranks: Vec<(usize, Rank)>,
    /// Steps behind which it is waited: rule (index in the set) and number.
    pub waits: Vec<(usize, usize)>,
    /// What `metric` steps say of the object, by rule (index in the set).
    pub samples: Vec<(usize, Sample)>,
    /// Rules that give back what they changed, done or held back: index in the set.
    pub ending: Vec<usize>,
    /// Rules that matched in some round, enforce, and may not act now: index in the set.
    pub gated: Vec<usize>,
    /// Rules whose turn ended before its last step, so that they may want more: index in the set.
    pub cut: Vec<usize>,
    /// Tests failed on values that could not be read: (rule index, reason). Counted.
    pub wrong_types: Vec<(usize, String)>,
}

impl Decision {
    /// How the rule at this index came out.
    pub fn standing(&self, index: usize) -> Standing {
        self.standings
            .binary_search_by_key(&index, |(index, _)| *index)
            .map_or(Standing::OutOfScope, |at| self.standings[at].1)
    }
}

/// An object under evaluation.
#[derive(Clone)]
pub struct Subject<'a> {
    /// Its identity.
    pub key: &'a ObjectKey,
    /// Its state.
    pub record: &'a Record,
}
