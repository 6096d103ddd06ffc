//! What a rule is: from text to an immutable, compiled [`set::RuleSet`].
//!
//! PURE. `yaml` reads text into a tree with a position on every node; `compile` turns trees into [`Rule`]s and collects every problem;
//! `path` is the only user of the JSONPath crate, `expr` the only user of the CEL crate. `language` is the language as data: a JSON Schema.
//! `occasion` says when a rule looks and whether it acts, `step` is a verb with its modifiers, `action` the verb itself, `rivals` tells which
//! rules may want different things of one target.

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

mod action;
mod occasion;
mod rivals;
mod step;

pub use action::{Action, Propagation, Revision, Verb};
pub use occasion::{AdmissionOptions, Mode, Occasion, Occasions};
pub use step::{FirstSeen, Lifetime, Once, Step, StepId, Wait};

use crate::object::difference::is_secret;
use crate::object::{GroupKind, Meta};
use expr::NamespaceObject;
use related::Related;
use selector::{Deleting, InScope, Match};
use std::sync::Arc;
use std::time::Duration;
use test::Test;

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
    /// Whether some test, edit or expression reads `namespaceObject`: any part of a Namespace may decide, not its labels alone.
    pub reads_namespace_object: bool,
    /// Whether some right side or test reads `now` through CEL: such a rule looks at its objects again every ten minutes.
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

    /// Whether what it computes for a subject of this kind may quote the data of a Secret.
    pub fn may_quote_secrets(&self, subject: &GroupKind) -> bool {
        let reads_data = |list: &Related| {
            let secret = |kind: &ResolvedKind| is_secret(&kind.kind);
            !list.metadata_only && list.kinds.iter().any(secret)
        };
        is_secret(subject) || self.related.iter().any(reads_data)
    }

    /// Every kind that it matches, has a list of, reads or applies; some more than once.
    pub fn kinds(&self) -> impl Iterator<Item = ResolvedKind> {
        let listed = self.related.iter().flat_map(|list| &list.kinds);
        let named = self.matches.kinds.iter().chain(listed).cloned();
        named.chain(self.read_kinds()).chain(self.applied_kinds())
    }

    /// Whether it deletes objects, or evicts them.
    pub fn deletes(&self) -> bool {
        let deletes = |step: &Step| matches!(step.action, Action::Delete { .. } | Action::Evict);
        self.steps.iter().any(deletes)
    }

    /// Whether it makes objects of a kind.
    pub fn applies(&self, kind: &GroupKind) -> bool {
        let applies = |step: &Step| match &step.action {
            Action::Apply(apply) => apply.resolved().kind == *kind,
            _ => false,
        };
        self.steps.iter().any(applies)
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

    /// Whether it deletes or evicts so many of its objects at once: one that is being deleted, by whomever, holds its place among those that
    /// `pick` takes until it is gone.
    pub fn holds_places(&self) -> bool {
        let goes = |step: &Step| {
            step.target.is_none() && matches!(step.action.verb(), Verb::Delete | Verb::Evict)
        };
        self.pick.as_ref().is_some_and(|pick| pick.take.is_some())
            && self.matches.deleting == Deleting::Exclude
            && self.steps.iter().any(goes)
    }

    /// Whether it may have to do with an object by its `match`: it is in scope, or was until it was marked for deletion and holds a place.
    pub fn concerns(&self, meta: Meta<'_>, namespace: NamespaceObject<'_>) -> bool {
        let covers = |deleting| self.matches.covers_one(meta, deleting, namespace) != InScope::No;
        let deleting = meta.is_deleting();
        covers(deleting) || (deleting && self.holds_places() && covers(false))
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
