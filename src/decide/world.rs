//! What stays the same for every turn of a pass.

use super::pass::PassContext;
use super::protect::Ignored;
use super::{Subject, related};
use crate::object::{ObjectKey, Record};
use crate::rule::Rule;
use crate::rule::expr::{NamespaceObject, Scope, Variables};
use crate::rule::path::PodPrefix;
use crate::schema::{KindSchema, Schema};
use jiff::Timestamp;
use std::cell::Cell;
use std::sync::Arc;

/// What stays the same for every turn of a pass.
pub(super) struct World<'a> {
    pub subject: &'a Subject<'a>,
    pub context: &'a PassContext<'a>,
    pub ignored: Ignored<'a>,
    pub schema: Option<Arc<KindSchema>>,
    pod: PodPrefix,
    pub is_namespace: bool,
    pub lists: related::Memo,
    /// When the schedule opened of the rule whose turn it is.
    opened: Cell<Option<Timestamp>>,
}

impl<'a> World<'a> {
    pub fn new(subject: &'a Subject<'a>, context: &'a PassContext<'a>) -> Self {
        let kind = &subject.key.kind;
        let schema = schema_of(subject.key, subject.record, context.rules.schema());
        let namespace = context.namespace.ok().flatten();
        World {
            subject,
            context,
            ignored: Ignored::of(subject.record, namespace, context.now),
            pod: schema.as_ref().and_then(|s| s.pod_prefix()),
            schema,
            lists: related::Memo::default(),
            is_namespace: kind.group.is_empty() && &*kind.kind == "Namespace",
            opened: Cell::new(None),
        }
    }

    /// Where nothing but tests is asked: without a schema.
    pub fn of_tests(
        subject: &'a Subject<'a>,
        context: &'a PassContext<'a>,
        ignored: Ignored<'a>,
        pod: PodPrefix,
    ) -> Self {
        let kind = &subject.key.kind;
        World {
            subject,
            context,
            ignored,
            pod,
            schema: None,
            lists: related::Memo::default(),
            is_namespace: kind.group.is_empty() && &*kind.kind == "Namespace",
            opened: Cell::new(None),
        }
    }

    pub fn scope<'r>(&'r self, record: &'r Record, variables: Option<&'r Variables>) -> Scope<'r> {
        Scope {
            object: record.root(),
            found: None,
            pod: self.pod,
            namespace_object: self.namespace_object(record),
            now: self.context.now,
            item: None,
            applied: None,
            current: None,
            variables,
            request: self.context.request.map(Record::root),
            other: None,
            schedule_start: self.opened.get(),
            previous: None,
        }
    }

    /// When the schedule opened of the rule whose turn it is.
    pub fn opened(&self) -> Option<Timestamp> {
        self.opened.get()
    }

    /// Whether the rule enforces for the subject, where it enforces at all.
    pub fn chosen(&self, rule: &Rule) -> bool {
        let record = self.subject.record;
        rule.enforce_for
            .as_ref()
            .is_none_or(|chosen| chosen.covers(record.meta(), self.namespace_object(record)))
    }

    /// Whether the rule's schedule lets it match now, or would when it opens next, where it is asked alone; it is its turn from here on.
    pub fn opens(&self, rule: &Rule) -> bool {
        let Some(schedule) = &rule.schedule else {
            self.opened.set(None);
            return true;
        };
        let context = self.context;
        let (neighbours, now) = (context.neighbours, context.now);
        let as_if = || {
            let opens = context.alone.map(|_| schedule.next_opening(now));
            opens.map(|at| at.unwrap_or(now))
        };
        let opened = neighbours.opened(rule, schedule, now).or_else(as_if);
        self.opened.set(opened);
        opened.is_some()
    }

    pub fn namespace_object<'r>(&'r self, record: &'r Record) -> NamespaceObject<'r> {
        if self.is_namespace {
            return NamespaceObject::Known(record.root());
        }
        match self.context.namespace {
            Ok(Some(namespace)) => NamespaceObject::Known(namespace.root()),
            Ok(None) => NamespaceObject::None,
            Err(_) => NamespaceObject::Unknown,
        }
    }
}

/// The schema of a kind at the version of a record.
pub fn schema_of(key: &ObjectKey, record: &Record, all: &Schema) -> Option<Arc<KindSchema>> {
    let preferred = all.kind(&key.kind)?;
    let api_version = record.meta().api_version();
    let version = api_version.rsplit('/').next().unwrap_or(api_version);
    if *preferred.gvk.version == *version || api_version.is_empty() {
        return Some(preferred);
    }
    let gvk = crate::object::Gvk {
        group: key.kind.group.clone(),
        version: version.into(),
        kind: key.kind.kind.clone(),
    };
    all.kind_at(&gvk)
}
