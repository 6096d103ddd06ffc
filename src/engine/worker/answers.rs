//! What the server made of what was asked of it: remembered of each object and rule until the object goes or the rule changes.

use super::{Engine, InFlight};
use crate::decide::schema_of;
use crate::object::{ObjectKey, Record};
use crate::rule::edit::Answers;
use crate::rule::set::RuleIndex;
use ahash::AHashMap;
use std::sync::Arc;

/// The answers to rules, by object; of most objects none, as most values are stored as they are written.
#[derive(Default)]
pub(super) struct AllAnswers(AHashMap<ObjectKey, Vec<(Arc<str>, Answers)>>);

impl AllAnswers {
    fn of(&self, object: &ObjectKey, rule: &str) -> Option<&Answers> {
        let of_object = self.0.get(object)?;
        let (_, answers) = of_object.iter().find(|(name, _)| **name == *rule)?;
        Some(answers)
    }

    /// The object is gone, or another one of its name has taken its place.
    pub fn forget(&mut self, object: &ObjectKey) {
        if !self.0.is_empty() {
            self.0.remove(object);
        }
    }

    /// Forgets those to rules that are no longer the same.
    pub fn retain(&mut self, same: impl Fn(&Arc<str>) -> bool) {
        self.0.retain(|_, of_object| {
            of_object.retain(|(rule, _)| same(rule));
            !of_object.is_empty()
        });
    }
}

impl Engine {
    /// What the server stored in answer to what a rule asked of an object.
    pub(super) fn answers(&self, rule: RuleIndex, object: &ObjectKey) -> Option<&Answers> {
        if self.answers.0.is_empty() {
            return None;
        }
        self.answers.of(object, &self.rules.rules().get(rule)?.name)
    }

    /// A write was answered with the object as it is now.
    pub(super) fn learn(&mut self, request: &InFlight, answer: &Record) {
        let Some(write) = request.write() else { return };
        let Some(wanted) = &write.wanted else { return };
        let creates = write.uid.is_empty();
        let is_same = answer.meta().uid() == write.uid && self.store.get(&write.object).is_some();
        // Of what is gone, or another object by now, nothing is remembered.
        if !creates && !is_same {
            return;
        }
        let schema = schema_of(&write.object, answer, self.rules.schema());
        for rule in &write.rules {
            // It may have changed since it was asked for.
            if self.rules.index_of(rule).is_none() {
                continue;
            }
            let of_rule = wanted.iter().filter(|wish| wish.rule == *rule);
            let claims = of_rule.map(|wish| &wish.claim);
            let known = self.answers.0.entry(write.object.clone()).or_default();
            let at = match known.iter().position(|(name, _)| name == rule) {
                Some(at) => at,
                None => {
                    known.push((rule.clone(), Answers::default()));
                    known.len() - 1
                }
            };
            known[at].1.learn(claims, answer, schema.as_deref());
            known.retain(|(_, answers)| !answers.is_empty());
            if known.is_empty() {
                self.answers.0.remove(&write.object);
            }
        }
    }

    /// A write was answered with the version of the object that is known: it is as it was.
    pub(super) fn learn_unchanged(&mut self, request: &InFlight) {
        let Some(write) = request.write() else { return };
        if write.wanted.is_none() {
            return;
        }
        let known = self.store.get(&write.object).map(|e| e.record.clone());
        if let Some(record) = known
            && record.meta().resource_version() == write.resource_version
        {
            self.learn(request, &record);
        }
    }
}
