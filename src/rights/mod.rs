//! The least rights that rules need: from a rule set to grants, each with the rules that need it.
//!
//! PURE. `own` what the daemon itself needs · `given` roles that rules give away · `manifest` grants as Roles and bindings.
//!
//! What is granted is what `cluster/` asks for: a list and a watch of every kind that is read; a `get` where a write may have an unknown outcome;
//! the verbs of the steps. Discovery and OpenAPI are open to every identity (ClusterRole `system:discovery`) and so are questions about one's own
//! rights (`system:basic-user`); neither is granted again.

mod given;
pub mod manifest;
mod own;
#[cfg(test)]
mod tests;

pub use own::{DEFAULT_LEASE, Own, lifetimes_name};

use crate::object::{GroupKind, Gvk};
use crate::rule::set::RuleSet;
use crate::rule::{Action, Lifetime, Mode, Occasion, ResolvedKind, Rule, Step, protection};
use crate::schema::{KindSchema, Schema};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// A verb of RBAC, in the order in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RbacVerb {
    /// One object.
    Get,
    /// All objects.
    List,
    /// Their changes.
    Watch,
    /// A new object.
    Create,
    /// The whole object.
    Update,
    /// Parts of an object.
    Patch,
    /// One object.
    Delete,
    /// A role, to those that a binding names.
    Bind,
}

impl RbacVerb {
    /// As RBAC writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            RbacVerb::Get => "get",
            RbacVerb::List => "list",
            RbacVerb::Watch => "watch",
            RbacVerb::Create => "create",
            RbacVerb::Update => "update",
            RbacVerb::Patch => "patch",
            RbacVerb::Delete => "delete",
            RbacVerb::Bind => "bind",
        }
    }
}

/// Where a grant holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the whole cluster: a ClusterRole.
    Cluster,
    /// In one namespace: a Role.
    Namespace(Arc<str>),
}

/// What may be done: one verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// Where.
    pub place: Place,
    /// API group, empty for the core group.
    pub group: Arc<str>,
    /// The plural, with its subresource: `pods`, `pods/status`.
    pub resource: String,
    /// Only the object of this name.
    pub name: Option<Arc<str>>,
    /// The verb.
    pub verb: RbacVerb,
}

impl Right {
    /// Whether who has this right needs the other one no more.
    fn covers(&self, other: &Right) -> bool {
        let what = (&self.group, &self.resource, self.verb);
        what == (&other.group, &other.resource, other.verb)
            && (self.place == Place::Cluster || self.place == other.place)
            && (self.name.is_none() || self.name == other.name)
    }
}

/// Who needs a right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The daemon itself, with or without rules; in words.
    Daemon(&'static str),
    /// These rules, by name.
    Rules(BTreeSet<Arc<str>>),
}

/// A right and who needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What may be done.
    pub right: Right,
    /// Who needs it.
    pub reason: Reason,
}

/// What a rule needs besides, and only a person can decide on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByHand {
    /// Its name.
    pub rule: Arc<str>,
    /// What it does, and what to grant for that, as a sentence that goes on from the name.
    pub what: String,
}

impl fmt::Display for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}` {}", self.rule, self.what)
    }
}

/// Everything that a rule set needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Sorted by place, group, resource, name and verb; each right once.
    pub grants: Vec<Grant>,
    /// Kinds that a rule is about and that Roles in some namespaces cannot reach, as cluster-scoped ones; sorted.
    pub out_of_reach: Vec<(Arc<str>, GroupKind)>,
    /// What is not among the grants; sorted.
    pub by_hand: Vec<ByHand>,
}

/// A kind whose plural nobody knows: RBAC speaks in plurals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}` is about {kind}, and no schema tells its plural name, which RBAC needs")]
pub struct UnknownPlural {
    /// The first rule that names it.
    pub rule: Arc<str>,
    /// The kind.
    pub kind: Gvk,
}

/// What to grant.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The namespaces that are looked at; empty: the whole cluster.
    pub namespaces: Vec<Arc<str>>,
    /// Only what a daemon needs that changes nothing (`run --audit-only`).
    pub read_only: bool,
    /// What the daemon itself needs.
    pub own: Own,
}

/// The rights that the rules of a set need, whatever their mode is: going from Audit to Enforce is an edit of a rule, and no change of rights.
/// Rules that are `Off` need none, nor do those that look at admission alone: what they change is part of the answer to a request.
///
/// # Errors
/// Every kind whose plural the set's schema does not know.
pub fn derive(set: &RuleSet, scope: &Scope) -> Result<Rights, Vec<UnknownPlural>> {
    let mut needed = Needed::default();
    let mut by_hand = vec![];
    let mut reach = Reach {
        schema: set.schema(),
        namespaces: &scope.namespaces,
        unknown: vec![],
        beyond: BTreeSet::new(),
    };
    for rule in set.rules().iter().filter(|r| acts_in_the_loop(r)) {
        for kind in &rule.matches.kinds {
            let Some((group, schema)) = reach.of(rule, kind) else {
                continue;
            };
            let own = rule
                .steps
                .iter()
                .filter(|step| step.target.is_none() && may_act(rule, step, kind));
            given::patched((rule, kind), own.clone(), scope, &mut by_hand);
            for (subresource, verb) in verbs(own, scope.read_only) {
                let resource = resource(&schema.plural, subresource);
                needed.add(scope, group, resource, verb, &rule.name);
            }
        }
        for kind in rule.related_kinds() {
            let Some((group, schema)) = reach.of(rule, kind) else {
                continue;
            };
            let on_members = rule.targeting().filter(|(_, kinds)| kinds.contains(kind));
            let steps: Vec<&Step> = on_members
                .map(|(step, _)| step)
                .filter(|step| may_act(rule, step, kind))
                .collect();
            given::patched((rule, kind), steps.iter().copied(), scope, &mut by_hand);
            for (subresource, verb) in verbs(steps.into_iter(), scope.read_only) {
                let resource = resource(&schema.plural, subresource);
                needed.add(scope, group, resource, verb, &rule.name);
            }
        }
        for kind in rule.applied_kinds() {
            let Some((group, schema)) = reach.of(rule, &kind) else {
                continue;
            };
            given::applied((rule, &kind), scope, &mut needed, &mut by_hand);
            let reads = [RbacVerb::List, RbacVerb::Watch];
            let passes = rule.steps.iter().any(|step| {
                matches!(&step.action, Action::Apply(apply) if apply.passing && apply.kind == kind.kind)
            });
            let writes = [RbacVerb::Get, RbacVerb::Create, RbacVerb::Patch];
            let deletes = passes.then_some(RbacVerb::Delete);
            let writes = writes.into_iter().chain(deletes);
            let writes = writes.filter(|_| !scope.read_only);
            for verb in reads.into_iter().chain(writes) {
                let resource = schema.plural.to_string();
                needed.add(scope, group, resource, verb, &rule.name);
            }
        }
        for kind in rule.read_kinds() {
            let gvk = gvk(&kind);
            let Some(schema) = set.schema().kind_at(&gvk) else {
                continue;
            };
            for verb in [RbacVerb::List, RbacVerb::Watch] {
                let resource = schema.plural.to_string();
                needed.add(scope, &gvk.group, resource, verb, &rule.name);
            }
        }
        let tells = rule
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::Event { .. }));
        if tells && !scope.read_only {
            let (group, resource) = ("events.k8s.io".into(), "events".to_owned());
            needed.add(scope, &group, resource, RbacVerb::Create, &rule.name);
        }
        if scope.namespaces.is_empty() {
            // Their annotations can tell any rule to leave what is in them alone.
            for verb in [RbacVerb::List, RbacVerb::Watch] {
                needed.add(scope, &"".into(), "namespaces".into(), verb, &rule.name);
            }
        }
    }
    if !reach.unknown.is_empty() {
        return Err(reach.unknown);
    }
    let mut grants = needed.grants();
    let changes = set
        .rules()
        .iter()
        .filter(|r| acts_in_the_loop(r))
        .flat_map(|r| &r.steps)
        .any(|step| {
            !matches!(
                step.action,
                Action::Event { .. }
                    | Action::Warn { .. }
                    | Action::Deny { .. }
                    | Action::Metric(_)
            )
        });
    let holds = set.rules().iter().any(|rule| {
        let mut steps = rule.steps.iter();
        acts_in_the_loop(rule) && steps.any(|s| s.lifetime == Lifetime::WhileMatched)
    });
    for own in scope
        .own
        .grants(scope, (changes, holds && !scope.read_only))
    {
        // What a rule needs too is the rule's, and what it may everywhere the daemon may at home.
        if !grants.iter().any(|g| g.right.covers(&own.right)) {
            grants.push(own);
        }
    }
    grants.sort_by(|a, b| a.right.cmp(&b.right));
    by_hand.sort();
    Ok(Rights {
        by_hand,
        grants,
        out_of_reach: reach.beyond.into_iter().collect(),
    })
}

/// Whether a rule asks the server for anything.
fn acts_in_the_loop(rule: &Rule) -> bool {
    rule.mode != Mode::Off && rule.when.has(Occasion::Reconcile)
}

/// Which kinds rights can be given to, and what was found to have none.
struct Reach<'s> {
    schema: &'s Schema,
    namespaces: &'s [Arc<str>],
    /// Kinds whose plural is not known, each once.
    unknown: Vec<UnknownPlural>,
    /// Rules with the kinds that no Role in a namespace reaches.
    beyond: BTreeSet<(Arc<str>, GroupKind)>,
}

impl Reach<'_> {
    /// The group and the schema of a kind that a rule needs rights to; `None`: it can have none, which is noted.
    fn of<'k>(
        &mut self,
        rule: &Rule,
        kind: &'k ResolvedKind,
    ) -> Option<(&'k Arc<str>, Arc<KindSchema>)> {
        let gvk = gvk(kind);
        let Some(schema) = self.schema.kind_at(&gvk) else {
            if self.unknown.iter().all(|u| u.kind != gvk) {
                self.unknown.push(UnknownPlural {
                    rule: rule.name.clone(),
                    kind: gvk,
                });
            }
            return None;
        };
        if !schema.namespaced && !self.namespaces.is_empty() {
            self.beyond.insert((rule.name.clone(), kind.kind.clone()));
            return None;
        }
        Some((&kind.kind.group, schema))
    }
}

fn resource(plural: &str, subresource: Option<&str>) -> String {
    match subresource {
        Some(subresource) => format!("{plural}/{subresource}"),
        None => plural.to_owned(),
    }
}

fn gvk(kind: &ResolvedKind) -> Gvk {
    Gvk {
        group: kind.kind.group.clone(),
        version: kind.version.clone(),
        kind: kind.kind.kind.clone(),
    }
}

/// Whether a step is not kept from every object of a kind: what is protected as such is skipped.
fn may_act(rule: &Rule, step: &Step, kind: &ResolvedKind) -> bool {
    let verb = step.action.verb();
    let (group, kind) = (&*kind.kind.group, &*kind.kind.kind);
    rule.allow_protected.contains(&verb) || protection::of_kind(group, kind, verb).is_none()
}

/// What steps do to the objects that they act on: subresource and verb.
fn verbs<'s>(
    steps: impl Iterator<Item = &'s Step>,
    read_only: bool,
) -> BTreeSet<(Option<&'static str>, RbacVerb)> {
    let mut verbs = BTreeSet::from([(None, RbacVerb::List), (None, RbacVerb::Watch)]);
    if read_only {
        return verbs;
    }
    for step in steps {
        let write = match &step.action {
            Action::Patch { status: false, .. } => (None, RbacVerb::Patch),
            Action::Patch { status: true, .. } => (Some("status"), RbacVerb::Patch),
            // What it was, or what it was for, is written down in the same request.
            Action::Scale { .. }
                if step.lifetime == Lifetime::WhileMatched || step.once.is_some() =>
            {
                (None, RbacVerb::Patch)
            }
            Action::Scale { .. } => (Some("scale"), RbacVerb::Patch),
            Action::Delete { .. } => (None, RbacVerb::Delete),
            Action::Evict => (Some("eviction"), RbacVerb::Create),
            Action::Restart { .. } | Action::Rollback { .. } => (None, RbacVerb::Patch),
            // On other objects than the subject.
            Action::Apply(_) | Action::Event { .. } => continue,
            Action::Warn { .. } | Action::Deny { .. } | Action::Metric(_) | Action::Archive(_) => {
                continue;
            }
        };
        // A write whose answer is lost is followed by a look at what became of it.
        verbs.extend([write, (None, RbacVerb::Get)]);
    }
    verbs
}

/// Rights with the rules that need them.
#[derive(Default)]
struct Needed(BTreeMap<Right, BTreeSet<Arc<str>>>);

impl Needed {
    fn add(
        &mut self,
        scope: &Scope,
        group: &Arc<str>,
        resource: String,
        verb: RbacVerb,
        rule: &Arc<str>,
    ) {
        self.add_named(scope, group, (resource, verb), None, rule);
    }

    fn add_named(
        &mut self,
        scope: &Scope,
        group: &Arc<str>,
        (resource, verb): (String, RbacVerb),
        name: Option<Arc<str>>,
        rule: &Arc<str>,
    ) {
        for place in scope.places() {
            let right = Right {
                place,
                group: group.clone(),
                resource: resource.clone(),
                name: name.clone(),
                verb,
            };
            self.0.entry(right).or_default().insert(rule.clone());
        }
    }

    fn grants(self) -> Vec<Grant> {
        let grants = self.0.into_iter().map(|(right, rules)| Grant {
            right,
            reason: Reason::Rules(rules),
        });
        grants.collect()
    }
}

impl Scope {
    /// Where subjects of rules are.
    fn places(&self) -> Vec<Place> {
        if self.namespaces.is_empty() {
            return vec![Place::Cluster];
        }
        self.namespaces
            .iter()
            .cloned()
            .map(Place::Namespace)
            .collect()
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.as_str(), self.resource)?;
        if !self.group.is_empty() {
            write!(f, " of {}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        match &self.place {
            Place::Cluster => f.write_str(" in the whole cluster"),
            Place::Namespace(namespace) => write!(f, " in namespace {namespace}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Daemon(what) => write!(f, "the daemon itself: {what}"),
            Reason::Rules(rules) => {
                f.write_str(if rules.len() == 1 { "rule " } else { "rules " })?;
                for (n, rule) in rules.iter().enumerate() {
                    write!(f, "{}{rule}", if n == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}
