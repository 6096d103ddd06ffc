//! The verb of a step: what it does, and in which words it is called.

use super::apply::Apply;
use super::archive;
use super::edit::Edit;
use super::expr::Template;
use super::metric;
use crate::object::GroupKind;

/// What a step does.
pub enum Action {
    /// Changes the object.
    Patch {
        /// In order; each sees the last one's result.
        edits: Vec<Edit>,
        /// Through the status subresource.
        status: bool,
    },
    /// Sets the number of replicas through the scale subresource.
    Scale {
        /// Each for the kinds that have their replicas where it writes.
        edits: Vec<(Vec<GroupKind>, Edit)>,
    },
    /// Applies another object for it.
    Apply(Box<Apply>),
    /// Deletes the object.
    Delete {
        /// What becomes of dependents.
        propagation: Option<Propagation>,
        /// Seconds.
        grace_period_seconds: Option<i64>,
    },
    /// Evicts the Pod, which PodDisruptionBudgets may delay.
    Evict,
    /// Replaces the Pods of a workload, once each time a match begins.
    Restart {
        /// Of the annotation that `kubectl rollout restart` writes.
        edit: Edit,
    },
    /// Goes back to an earlier Pod template, once each time a match begins.
    Rollback {
        /// Which.
        to: Revision,
    },
    /// A finding on an existing object; at admission a warning in the answer.
    Warn {
        /// What to say.
        message: Template,
    },
    /// A finding on an existing object; at admission a refusal.
    Deny {
        /// What to say.
        message: Template,
    },
    /// Writes the object to a sink, before the steps behind it.
    Archive(archive::Archive),
    /// A number of the object, for `/metrics`.
    Metric(Box<metric::Metric>),
    /// A Kubernetes Event on the object, once each time a match begins.
    Event {
        /// `type: Warning`, not `Normal`.
        warning: bool,
        /// One word in CamelCase.
        reason: Template,
        /// What to say.
        message: Template,
    },
}

impl Action {
    /// Whether it is one that must not happen to many at once by mistake: without `limits` the rule gets some.
    pub fn takes_away(&self) -> bool {
        matches!(
            self,
            Action::Delete { .. } | Action::Evict | Action::Rollback { .. }
        )
    }

    /// Whether doing it again is doing something else again: it acts once each time a match begins.
    pub fn acts_once(&self) -> bool {
        matches!(
            self,
            Action::Event { .. }
                | Action::Archive(_)
                | Action::Evict
                | Action::Restart { .. }
                | Action::Rollback { .. }
        )
    }

    /// The verb, for output and `allowProtected`.
    pub fn verb(&self) -> Verb {
        match self {
            Action::Patch { .. } => Verb::Patch,
            Action::Scale { .. } => Verb::Scale,
            Action::Apply(_) => Verb::Apply,
            Action::Delete { .. } => Verb::Delete,
            Action::Evict => Verb::Evict,
            Action::Restart { .. } => Verb::Restart,
            Action::Rollback { .. } => Verb::Rollback,
            Action::Warn { .. } => Verb::Warn,
            Action::Deny { .. } => Verb::Deny,
            Action::Event { .. } => Verb::Event,
            Action::Metric(_) => Verb::Metric,
            Action::Archive(_) => Verb::Archive,
        }
    }
}

/// A step's verb, also the word for it in output and in `allowProtected`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Changes the object.
    Patch,
    /// Changes its number of replicas.
    Scale,
    /// Makes or changes another object for it.
    Apply,
    /// Deletes the object.
    Delete,
    /// Evicts the Pod.
    Evict,
    /// Replaces its Pods.
    Restart,
    /// Goes back to an earlier Pod template.
    Rollback,
    /// Tells people.
    Warn,
    /// Refuses at admission; of what exists, tells people.
    Deny,
    /// Tells whoever looks at the object.
    Event,
    /// Shows a number of the object.
    Metric,
    /// Keeps the object outside of the cluster.
    Archive,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 12] = [
        Verb::Patch,
        Verb::Scale,
        Verb::Apply,
        Verb::Delete,
        Verb::Warn,
        Verb::Deny,
        Verb::Event,
        Verb::Metric,
        Verb::Archive,
        Verb::Evict,
        Verb::Restart,
        Verb::Rollback,
    ];

    /// The verb of a word.
    pub fn parse(word: &str) -> Option<Verb> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == word)
    }

    /// Whether it leaves its subject as it is: nothing is protected from it.
    pub fn is_free(self) -> bool {
        use Verb::{Archive, Deny, Event, Metric, Warn};
        matches!(self, Warn | Deny | Event | Metric | Archive)
    }

    /// Whether it asks for nothing, neither of the cluster nor of anybody else: it is no change.
    pub fn only_tells(self) -> bool {
        matches!(self, Verb::Warn | Verb::Deny | Verb::Metric)
    }

    /// As written in rule files: `patch`, `scale`, `apply`, `delete`, `warn`, `event`, ….
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Patch => "patch",
            Verb::Scale => "scale",
            Verb::Apply => "apply",
            Verb::Delete => "delete",
            Verb::Evict => "evict",
            Verb::Restart => "restart",
            Verb::Rollback => "rollback",
            Verb::Warn => "warn",
            Verb::Deny => "deny",
            Verb::Event => "event",
            Verb::Metric => "metric",
            Verb::Archive => "archive",
        }
    }
}

/// The revision that a `rollback` goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// `PreviousRevision`: the one before the present.
    Previous,
    /// The one of this number, as `kubectl rollout history` shows it.
    Number(i64),
}

/// `propagationPolicy` of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// The object goes at once, its dependents after it.
    Background,
    /// Dependents go first.
    Foreground,
    /// Dependents stay.
    Orphan,
}
