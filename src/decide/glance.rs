//! A look at the tests of some rules alone, at one object of a kind after the other.

use super::apply::Alone;
use super::look::look_inside;
use super::memory::Blank;
use super::pass::PassContext;
use super::protect::Ignored;
use super::turn::Turn;
use super::world::{World, schema_of};
use super::{Standing, Subject};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::expr::NamespaceObject;
use crate::rule::path::PodPrefix;
use crate::rule::selector::InScope;
use crate::rule::set::{RuleIndex, RuleSet};
use crate::rule::{Occasion, Rule};
use jiff::Timestamp;

/// The Namespace of an object, as [`PassContext::namespace`].
pub type Namespace<'a> = Result<Option<&'a Record>, &'a str>;

/// What an object has to do with the rules that are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glimpse {
    /// They leave it out.
    OutOfScope,
    /// Some do not, but they have nothing to do with it and nothing to say of it, now or later.
    Silent,
    /// More than a glance is needed.
    More,
}

/// Looks at objects of one kind. Only for rules whose tests need nothing but the object and its Namespace.
pub struct Glance<'a> {
    rules: &'a RuleSet,
    asked: Vec<&'a Rule>,
    /// Tests read the record: of the name of the object only the kind matters.
    key: ObjectKey,
    /// The version that the schema prefers, and where objects of it keep their Pod.
    preferred: Option<(Box<str>, PodPrefix)>,
    now: Timestamp,
    state_namespace: &'a str,
}

impl<'a> Glance<'a> {
    /// At objects of a kind, by these rules of the set.
    pub fn new(
        rules: &'a RuleSet,
        (kind, asked): (&GroupKind, impl Iterator<Item = RuleIndex>),
        now: Timestamp,
        state_namespace: &'a str,
    ) -> Self {
        let schema = rules.schema().kind(kind);
        Self {
            rules,
            asked: asked.map(|index| &*rules.rules()[index]).collect(),
            key: ObjectKey::new(kind.clone(), None, ""),
            preferred: schema.map(|s| ((&*s.gvk.version).into(), s.pod_prefix())),
            now,
            state_namespace,
        }
    }

    /// Whether some rule that is asked does not leave the object out.
    pub fn concerns(&self, record: &Record, namespace: Namespace<'_>) -> bool {
        let meta = record.meta();
        let namespace = self.namespace_object(record, namespace);
        let mut asked = self.asked.iter();
        asked.any(|rule| rule.matches.covers(meta, namespace) != InScope::No)
    }

    /// How the rules stand towards an object as it is; the standing of each is noted in turn, until one needs more than a glance.
    pub fn at(
        &self,
        record: &Record,
        namespace: Namespace<'_>,
        mut note: impl FnMut(Standing),
    ) -> Glimpse {
        let meta = record.meta();
        let namespace_object = self.namespace_object(record, namespace);
        let subject = Subject {
            key: &self.key,
            record,
        };
        let context = PassContext {
            rules: self.rules,
            namespace,
            now: self.now,
            occasion: Occasion::Reconcile,
            request: None,
            gate: &|_| false,
            returns: &|_| false,
            assume_enforce: false,
            ahead: false,
            alone: None,
            neighbours: &Alone,
            memory: &Blank,
            state_namespace: self.state_namespace,
        };
        let mut world: Option<World<'_>> = None;
        let mut glimpse = Glimpse::OutOfScope;
        for rule in &self.asked {
            match rule.matches.covers(meta, namespace_object) {
                InScope::No => {
                    note(Standing::OutOfScope);
                    continue;
                }
                InScope::Unknown => return Glimpse::More,
                InScope::Yes => {}
            }
            let world = world.get_or_insert_with(|| self.world(&subject, &context));
            let mut turn = Turn::new();
            look_inside(world, rule, record, &mut turn);
            let silent = matches!(turn.standing, Standing::Ignored | Standing::Unmatched)
                && turn.findings.is_empty()
                && turn.wrong_types.is_empty()
                && turn.recheck_at.is_none();
            if !silent {
                return Glimpse::More;
            }
            glimpse = Glimpse::Silent;
            note(turn.standing);
        }
        glimpse
    }

    fn world<'r>(&self, subject: &'r Subject<'r>, context: &'r PassContext<'r>) -> World<'r> {
        let api_version = subject.record.meta().api_version();
        let version = api_version.rsplit('/').next().unwrap_or(api_version);
        let pod = match &self.preferred {
            Some((preferred, pod)) if **preferred == *version || version.is_empty() => *pod,
            _ => schema_of(subject.key, subject.record, context.rules.schema())
                .and_then(|s| s.pod_prefix()),
        };
        let namespace = context.namespace.ok().flatten();
        let ignored = Ignored::of(subject.record, namespace, self.now);
        World::of_tests(subject, context, ignored, pod)
    }

    fn namespace_object<'r>(
        &self,
        record: &'r Record,
        namespace: Namespace<'r>,
    ) -> NamespaceObject<'r> {
        let kind = &self.key.kind;
        if kind.group.is_empty() && &*kind.kind == "Namespace" {
            return NamespaceObject::Known(record.root());
        }
        match namespace {
            Ok(Some(namespace)) => NamespaceObject::Known(namespace.root()),
            Ok(None) => NamespaceObject::None,
            Err(_) => NamespaceObject::Unknown,
        }
    }
}
