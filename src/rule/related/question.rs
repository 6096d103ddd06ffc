//! What a list asks for one subject.

use super::super::apply::ownership::Ownership;
use super::super::expr::{ExprFault, Other, Scope};
use super::super::selector::{LabelOperator, LabelSelector, Requirement};
use super::super::test::{self, JoinFault, Test, TestRun, Verdict, both, hash_text};
use super::finder::{Candidate, Finder, Keys, Probe};
use super::names::NamesNow;
use super::{Related, Within};
use crate::object::{ObjectKey, Record};
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// A list, with all that it takes from the subject.
pub struct Question<'q> {
    list: &'q Related,
    rule: &'q str,
    scope: &'q Scope<'q>,
    subject: &'q ObjectKey,
    namespace: Option<Arc<str>>,
    names: NamesNow<'q>,
    labels: LabelSelector,
    probe: Probe,
}

/// How one candidate came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// As of a test: it passes if the candidate belongs to the list.
    pub verdict: Verdict,
    /// The moment at which that may be otherwise.
    pub recheck_at: Option<Timestamp>,
}

impl From<Verdict> for Membership {
    fn from(verdict: Verdict) -> Self {
        Membership {
            verdict,
            recheck_at: None,
        }
    }
}

/// Why the question cannot be asked: nobody knows what belongs to the list.
fn unanswerable(what: &str, fault: ExprFault) -> String {
    match fault {
        ExprFault::Unknown(why) => why,
        ExprFault::Absent(field) => format!("for {what}, `{field}` is not there"),
        ExprFault::Failed(why) => format!("{what}: {why}"),
    }
}

impl Related {
    /// Reads of the subject what the list asks for. `home`: the namespace that a list without `namespace` is about.
    ///
    /// # Errors
    /// Something that it needs of the subject is not there, not known, or makes no sense: nobody knows what belongs to the list.
    pub fn question<'q>(
        &'q self,
        rule: &'q str,
        scope: &'q Scope<'q>,
        (subject, home): (&'q ObjectKey, Option<&Arc<str>>),
    ) -> Result<Question<'q>, String> {
        let namespace = match &self.within {
            Within::All => None,
            Within::Subject => match home {
                Some(home) => Some(home.clone()),
                // Fine for cluster-scoped kinds; others were refused at load where their scope was known.
                None => Some("".into()),
            },
            Within::Named(template) => {
                let value = match template.literal() {
                    Some(literal) => Ok(Some(literal.clone())),
                    None => template.render(scope),
                };
                match value.map_err(|fault| unanswerable("`namespace`", fault))? {
                    Some(Value::String(name)) => Some(name.into()),
                    None | Some(Value::Null) => {
                        return Err("for `namespace` there is no value".into());
                    }
                    Some(_) => return Err("`namespace` is not text".into()),
                }
            }
        };
        let names = self.names.now(scope);
        let names = names.map_err(|fault| unanswerable("`names`", fault))?;
        let labels = self.labels.now(scope);
        let labels = labels.map_err(|fault| unanswerable("`selector`", fault))?;
        for test in &self.tests {
            // A value to join by that is not there leaves the list unknown, also if there is no candidate to compare it with.
            if let Test::Clause(clause) = test
                && clause.joins_with_subject()
            {
                clause.subject_hashes(scope, &mut |_| {}).map_err(told)?;
                continue;
            }
            let mut fault = None;
            test.clauses(&mut |clause| {
                fault = fault.take().or(clause.has_right_side(scope).err());
            });
            if let Some(fault) = fault {
                return Err(told(fault));
            }
        }
        let probe = self.probe(namespace.clone(), &names, &labels, scope)?;
        Ok(Question {
            list: self,
            rule,
            scope,
            subject,
            namespace,
            names,
            labels,
            probe,
        })
    }

    fn probe(
        &self,
        namespace: Option<Arc<str>>,
        names: &NamesNow<'_>,
        labels: &LabelSelector,
        scope: &Scope<'_>,
    ) -> Result<Probe, String> {
        let mut places = vec![];
        if let Some(namespace) = namespace.as_ref().filter(|_| self.is_scoped()) {
            places.push(hash_text(namespace));
        }
        // What has no namespace, and everything of a list over all of them.
        if self.cluster_scoped || !self.is_scoped() {
            places.push(0);
        }
        let mut hashes = vec![];
        let mut each = false;
        let mut placed = Keys::new();
        match self.finder {
            Finder::Names => hashes.extend(names.exact().iter().map(|name| hash_text(name))),
            Finder::Join(test) => {
                let mut fault = None;
                self.tests[test].clauses(&mut |clause| {
                    let found = clause.subject_hashes(scope, &mut |hash| hashes.push(hash));
                    fault = fault.take().or(found.err());
                });
                if let Some(fault) = fault {
                    return Err(told(fault));
                }
            }
            Finder::Labels => {
                let hash = |key: &str, value: &str| both(hash_text(key), hash_text(value));
                hashes.extend(labels.pairs().map(|(key, value)| hash(key, value)));
                each = places.len() == 1 && !hashes.is_empty();
                // With two places one pair is enough for each.
                hashes.truncate(if each { hashes.len() } else { 1 });
                if hashes.is_empty() {
                    // One of some values: a member lies under one of them.
                    let taken = |r: &&Requirement| r.operator() == LabelOperator::In;
                    match labels.requirements().iter().find(taken) {
                        Some(one) => {
                            let values = one.values().iter();
                            hashes.extend(values.map(|value| hash(one.key(), value)));
                        }
                        None => placed.extend(places.iter().copied()),
                    }
                }
            }
            Finder::Namespace => placed.extend(places.iter().copied()),
        }
        for place in places {
            placed.extend(hashes.iter().map(|hash| both(place, *hash)));
        }
        placed.sort_unstable();
        placed.dedup();
        Ok(Probe {
            namespace,
            keys: placed,
            each,
        })
    }
}

fn told(fault: JoinFault) -> String {
    match fault {
        JoinFault::Unknown(why) | JoinFault::Failed(why) => why,
    }
}

impl Question<'_> {
    /// Which candidates to fetch: all that may belong to the list, and few others.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Whether a candidate belongs to the list. `namespace` is asked for the candidate's Namespace.
    pub fn admits(
        &self,
        (key, candidate): (&ObjectKey, Candidate<'_>),
        namespace: &mut dyn FnMut(&str) -> Result<Option<Record>, String>,
    ) -> Membership {
        let list = self.list;
        let meta = candidate.record.meta();
        if key == self.subject || !list.kinds.iter().any(|k| k.kind == key.kind) {
            return Verdict::Fail.into();
        }
        if let (Some(wanted), Some(own)) = (&self.namespace, &key.namespace)
            && wanted != own
        {
            return Verdict::Fail.into();
        }
        if !self.names.take(&key.name)
            || !list.labels.fixed.matches(meta.labels())
            || !self.labels.matches(meta.labels())
            || list.leaves_to_owner(&key.kind, meta)
        {
            return Verdict::Fail.into();
        }
        // What the rule itself has applied, for whatever subject, would feed it with its own output.
        let marked = meta.annotations().and_then(|all| all.get(&list.own));
        if marked.is_some() && Ownership::read(meta, self.rule, key).is_some() {
            return Verdict::Fail.into();
        }
        if let (Some(selector), Some(name)) = (&list.namespace_selector, &key.namespace) {
            match namespace(name) {
                Ok(Some(record)) if selector.matches(record.meta().labels()) => {}
                Ok(_) => return Verdict::Fail.into(),
                Err(why) => {
                    let why = format!("the Namespace {name} is not known: {why}");
                    return Verdict::Unknown(why).into();
                }
            }
        }
        let scope = Scope {
            other: Some(Other {
                object: candidate.record.root(),
                pod: candidate.pod,
                joins: true,
            }),
            ..*self.scope
        };
        let mut run = TestRun {
            scope: &scope,
            recheck_at: None,
            trace: None,
        };
        let verdict = test::all(&list.tests, &mut run);
        Membership {
            verdict,
            recheck_at: run.recheck_at,
        }
    }
}
