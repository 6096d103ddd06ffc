//! What a rule is: from text to an immutable, compiled [`set::RuleSet`].
//!
//! PURE. `yaml` reads text into a tree with a position on every node; `compile` turns trees into [`Rule`]s and collects every problem;
//! `path` is the only user of the JSONPath crate, `expr` the only user of the CEL crate. `language` is the language as data: a JSON Schema.

pub mod apply;
pub mod archive;
pub mod candidates;
pub mod compile;
pub mod edit;
pub mod enforce_for;
pub mod expr;
pub mod language;
pub mod metric;
mod number;
pub mod path;
mod pattern;
pub mod pick;
pub mod problem;
pub mod protection;
pub mod related;
pub mod rollout;
pub mod schedule;
pub mod selector;
pub mod set;
pub mod sink;
pub mod test;
pub mod watch_scope;
pub mod yaml;

use crate::object::GroupKind;
use apply::Apply;
use edit::Edit;
use expr::Template;
use related::Related;
use selector::Match;
use std::sync::Arc;
use std::time::Duration;
use test::Test;

/// Whether a rule acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Evaluate and report what it would do.
    #[default]
    Audit,
    /// Do it.
    Enforce,
    /// Not evaluated.
    Off,
}

/// When a rule looks at an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The loop: every object, new or old.
    Reconcile,
    /// At admission, while it is being created.
    Create,
    /// At admission, while it is being updated.
    Update,
    /// At admission, while it is being deleted.
    Delete,
}

/// A set of occasions, never empty for a compiled rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasions(u8);

impl Occasions {
    /// None of them.
    pub const NONE: Occasions = Occasions(0);

    /// This set and one more.
    #[must_use]
    pub fn and(self, occasion: Occasion) -> Self {
        Occasions(self.0 | 1 << occasion as u8)
    }

    /// Whether it is one of them.
    pub fn has(self, occasion: Occasion) -> bool {
        self.0 & 1 << occasion as u8 != 0
    }
}

impl Occasions {
    /// Whether some of them is an admission.
    pub fn admits(self) -> bool {
        let admissions = [Occasion::Create, Occasion::Update, Occasion::Delete];
        admissions.into_iter().any(|occasion| self.has(occasion))
    }
}

impl Default for Occasions {
    fn default() -> Self {
        Occasions::NONE.and(Occasion::Reconcile)
    }
}

/// `admission` of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionOptions {
    /// `failurePolicy: Fail`: a request of which something is not known is refused. Otherwise it passes unchanged.
    pub fails: bool,
    /// `timeoutSeconds`, from 1 to 30.
    pub timeout_seconds: u8,
}

impl Default for AdmissionOptions {
    fn default() -> Self {
        AdmissionOptions {
            fails: false,
            timeout_seconds: 2,
        }
    }
}

/// One compiled rule. Immutable; shared by `Arc`.
pub struct Rule {
    /// DNS label of at most 63 characters.
    pub name: Arc<str>,
    /// A sentence for people.
    pub description: Option<String>,
    /// Whether it acts.
    pub mode: Mode,
    /// The objects that it enforces for, if it does not for all.
    pub enforce_for: Option<enforce_for::EnforceFor>,
    /// When it looks.
    pub when: Occasions,
    /// `admission`: what becomes of a request that the rule cannot decide.
    pub admission: AdmissionOptions,
    /// Higher first; ties by name.
    pub priority: i64,
    /// It matches only inside these times. `None`: always.
    pub schedule: Option<schedule::Schedule>,
    /// Which objects it is about.
    pub matches: Match,
    /// All must pass. Those that read lists come after those that do not, those that read variables last.
    pub tests: Vec<Test>,
    /// How many of the tests read neither a list nor a variable.
    pub tests_without_lists: usize,
    /// How many of the tests read no variable.
    pub tests_without_variables: usize,
    /// Lists of other objects, computed in order once the tests that read none have passed.
    pub related: Vec<Related>,
    /// Computed in order, once the tests that read none have passed.
    pub variables: Vec<expr::Variable>,
    /// Which of all matching objects it is about.
    pub pick: Option<pick::Pick>,
    /// What it does, in order.
    pub steps: Vec<Step>,
    /// How much it may do.
    pub limits: Limits,
    /// Verbs allowed on protected objects.
    pub allow_protected: Vec<Verb>,
    /// Where it stands: file and line (1-based) of the document.
    pub source: (Arc<str>, usize),
    /// Hash of the rule's document (normalised: comments and formatting do not count). Equal hash: same rule.
    pub hash: u64,
    /// Hash of what decides whether it matches: the document without what only says what is done about it. A change of it begins all matches anew.
    pub match_hash: u64,
    /// Whether evaluating this rule reads anything but `metadata`, `apiVersion` and `kind`.
    pub metadata_only: bool,
    /// Whether some test, edit or expression reads `namespaceObject`, or `match` has a `namespaceSelector`.
    pub reads_namespace: bool,
    /// Whether some right side or test reads `now` through CEL: such a rule is looked at again at each re-list.
    pub reads_now: bool,
    /// Paths of tests of a rule with `delete` that no schema could vouch for: while one selects nothing in the whole scope it may be a typing
    /// error, and the rule must not act. Empty for other rules.
    pub unchecked_paths: Vec<path::Path>,
}

impl Rule {
    /// Whether some step waits until the match has held for a time.
    pub fn waits(&self) -> bool {
        self.steps.iter().any(|step| step.after.is_some())
    }

    /// Whether its subjects tell themselves which of its steps have acted.
    pub fn writes_what_acted(&self) -> bool {
        let tells = |step: &Step| step.once.is_some() && step.writes_that_it_acted();
        self.steps.iter().any(tells)
    }

    /// Whether something is remembered of each of its matches.
    pub fn remembers(&self) -> bool {
        let remembers =
            |step: &Step| step.after.is_some() || step.acts_once() || step.wait.is_some();
        self.steps.iter().any(remembers)
    }

    /// Whether the engine keeps something of every object that matches: for limits, for `pick`, for `metric`.
    pub fn is_counted(&self) -> bool {
        let metric = |step: &Step| matches!(step.action, Action::Metric(_));
        self.limits.are_counted() || self.pick.is_some() || self.steps.iter().any(metric)
    }

    /// Whether it deletes or evicts one object after the other, in the order of its `pick`.
    pub fn acts_in_order(&self) -> bool {
        let pick = self.pick.as_ref();
        let goes = |step: &Step| ["delete", "evict"].contains(&step.action.verb().as_str());
        pick.is_some_and(|p| p.order_by.is_some()) && self.steps.iter().any(goes)
    }

    /// The kinds that its `apply` steps write.
    pub fn applied_kinds(&self) -> impl Iterator<Item = ResolvedKind> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Apply(apply) => Some(apply.resolved()),
            _ => None,
        })
    }
}

impl Rule {
    /// Whether another rule matches, and has lists of, the same kinds: globs mean different ones as kinds come and go.
    pub fn is_about_the_same_as(&self, other: &Rule) -> bool {
        self.matches.kinds == other.matches.kinds && self.related_kinds().eq(other.related_kinds())
    }

    /// The steps that act on members of a list, each with the kinds of that list.
    pub fn targeting(&self) -> impl Iterator<Item = (&Step, &[ResolvedKind])> {
        self.steps.iter().filter_map(|step| {
            let list = self.related.get(step.target?)?;
            Some((step, list.kinds.as_slice()))
        })
    }

    /// The kinds of other objects that it has lists of.
    pub fn related_kinds(&self) -> impl Iterator<Item = &ResolvedKind> {
        self.related.iter().flat_map(|list| &list.kinds)
    }

    /// The kinds that its steps read beside those that it is about: the revisions of what it rolls back.
    pub fn read_kinds(&self) -> Vec<ResolvedKind> {
        let rolls_back = |step: &&Step| matches!(step.action, Action::Rollback { .. });
        let steps = self.steps.iter().filter(rolls_back);
        let kinds = steps.flat_map(|step| match step.target {
            None => &self.matches.kinds[..],
            Some(list) => self.related.get(list).map_or(&[][..], |list| &list.kinds),
        });
        let mut kinds: Vec<ResolvedKind> = kinds
            .filter_map(|k| rollout::revisions_of(&k.kind))
            .collect();
        kinds.sort_by(|a, b| a.kind.cmp(&b.kind));
        kinds.dedup();
        kinds
    }
}

/// How long what a step does stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Until somebody changes it.
    #[default]
    Permanent,
    /// As long as the match: then fields get their former values back, and applied objects go.
    WhileMatched,
}

/// One step of `actions`.
pub struct Step {
    /// What it does.
    pub action: Action,
    /// The list, by its place, of whose members each is its target; `None`: the subject.
    pub target: Option<usize>,
    /// It is made for each element of this list, which is its `item`.
    pub for_each: Option<Template>,
    /// Which one it is of the rule's steps with this verb.
    pub id: StepId,
    /// `after`: the match has held this long without a break.
    pub after: Option<Duration>,
    /// The next step comes when what it wrote passes these tests.
    pub wait: Option<Wait>,
    /// How long what it does stays.
    pub lifetime: Lifetime,
    /// `once`
    pub once: Option<Once>,
    /// 1-based line in the rule's file.
    pub line: usize,
}

impl Step {
    /// Whether it acts once each time a match begins, or when its key has changed.
    pub fn acts_once(&self) -> bool {
        self.once.is_some() || self.action.acts_once()
    }

    /// Whether it is a part of the write of the subject itself, which then tells that it was done.
    pub fn writes_that_it_acted(&self) -> bool {
        self.target.is_none()
            && matches!(
                self.action,
                Action::Patch { status: false, .. }
                    | Action::Scale { .. }
                    | Action::Restart { .. }
                    | Action::Rollback { .. }
            )
    }

    /// Whether it acts when its key has changed.
    pub fn has_key(&self) -> bool {
        self.once.as_ref().is_some_and(|once| once.key.is_some())
    }
}

/// A step as it is remembered: another one above it, or another text of its own, leaves it the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId {
    /// What it does.
    pub verb: Verb,
    /// How many steps above it do that.
    pub nth: u16,
}

/// `once`: a step acts when its key differs from the remembered one.
pub struct Once {
    /// `None`: once each time a match begins.
    pub key: Option<Template>,
    /// The same key acts again after this time.
    pub within: Option<Duration>,
    /// What comes of a key where none is remembered.
    pub first_seen: FirstSeen,
}

/// What comes of the first key of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstSeen {
    /// The step acts.
    #[default]
    Act,
    /// It is remembered.
    Record,
}

/// `wait` of a step.
pub struct Wait {
    /// All must pass. `$` is the object that the step wrote.
    pub tests: Vec<Test>,
    /// After this long it is told that they do not.
    pub timeout: Option<Duration>,
}

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

/// `limits`, with the defaults of the document filled in (a `delete` without `limits` has `abort_objects: Some(20)`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// `abortAbove.objects`: abort when more than this many objects were acted on in the last 10 minutes or are due now.
    pub abort_objects: Option<u64>,
    /// `abortAbove.percent` of the objects in scope, 0–100; not looked at while the count is below 10.
    pub abort_percent: Option<f64>,
    /// `throttle`: at most this many objects per period.
    pub throttle: Option<(u64, Duration)>,
    /// `perObject`: more changes of one object than this per period trip its breaker. Default 5 in 10 minutes.
    pub per_object: Option<(u64, Duration)>,
}

impl Limits {
    /// Whether `abortAbove` or `throttle` has to be asked before the rule acts.
    pub fn are_counted(&self) -> bool {
        self.abort_objects.is_some() || self.abort_percent.is_some() || self.throttle.is_some()
    }
}

/// Kinds as a rule names them, resolved against a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedKind {
    /// Group and kind.
    pub kind: GroupKind,
    /// The version to watch and write at.
    pub version: Arc<str>,
}
