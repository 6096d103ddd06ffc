//! How the candidates of a list are found: each lies under keys made from what it holds, and a subject asks for keys made from what it holds.
//!
//! A key is a hash. A candidate that belongs to a subject's list lies under a key that the subject asks for; not every candidate that does so
//! belongs to it.

use super::super::expr::{NamespaceObject, Other, Scope};
use super::super::path::PodPrefix;
use super::super::test::{self, Clause, Subject, Test, TestRun, Verdict, both, hash_text};
use super::{Labels, Names, Related, Within};
use crate::object::{GroupKind, Meta, Record};
use jiff::Timestamp;
use smallvec::SmallVec;
use std::sync::Arc;

/// The keys that a candidate lies under; sorted, each once.
pub type Keys = SmallVec<[u64; 2]>;

/// The key of the namespace of what has none, and of a list over all namespaces.
const NOWHERE: u64 = 0;

/// By what candidates are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finder {
    /// Each name that the list takes is known.
    Names,
    /// The test at this place is an equality, or some equalities in `any`.
    Join(usize),
    /// A label.
    Labels,
    /// All of a namespace.
    Namespace,
}

/// An object that may belong to a list.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// Its kind.
    pub kind: &'a GroupKind,
    /// As last seen.
    pub record: &'a Record,
    /// Where its kind keeps its Pod.
    pub pod: PodPrefix,
}

/// Which candidates to fetch for a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The namespace they are looked for in, `None`: all.
    pub namespace: Option<Arc<str>>,
    /// Those under one of these keys.
    pub keys: Keys,
    /// Every member lies under each of the keys, so that one of them is enough.
    pub each: bool,
}

impl Finder {
    /// The one that leaves the fewest candidates.
    pub fn best(names: &Names, labels: &Labels, tests: &[Test]) -> Finder {
        if names.are_exact() {
            return Finder::Names;
        }
        if let Some(at) = tests.iter().position(|test| joins(test, true)) {
            return Finder::Join(at);
        }
        if labels.find() {
            return Finder::Labels;
        }
        match tests.iter().position(|test| joins(test, false)) {
            Some(at) => Finder::Join(at),
            None => Finder::Namespace,
        }
    }
}

/// Whether a test is an equality that candidates can be looked up by, or some of them in `any`.
fn joins(test: &Test, with_subject: bool) -> bool {
    let clause = |test: &Test| matches!(test, Test::Clause(clause) if clause.joins());
    let computed =
        |test: &Test| matches!(test, Test::Clause(clause) if clause.joins_with_subject());
    let all = match test {
        Test::Any(tests) => tests.as_slice(),
        Test::Clause(_) => std::slice::from_ref(test),
        Test::All(_) | Test::None(_) => return false,
    };
    all.iter().all(clause) && all.iter().any(computed) >= with_subject
}

impl Related {
    /// How its candidates are kept, as text: equal for lists that keep them alike. `None`: it cannot be told from a text, for a parameter has a
    /// part in it.
    pub fn shape_told(&self) -> Option<String> {
        let mut parts: Vec<String> = self
            .kinds
            .iter()
            .map(|k| format!("{}/{}", k.kind, k.version))
            .collect();
        parts.sort();
        parts.push(format!("{:?}", self.uncontrolled));
        parts.push(format!("{} {}", self.is_scoped(), self.names.told()));
        parts.push(self.labels.fixed.to_query());
        let mut parameters = false;
        let mut told = |clause: &Clause, whole: bool, parts: &mut Vec<String>| {
            parameters |= clause.expressions().any(|expr| expr.reads_parameters());
            parts.push(match (whole, clause.subject()) {
                (true, _) => clause.text().to_owned(),
                (false, Subject::Path(path)) => path.text().to_owned(),
                (false, Subject::Expr(expr)) => expr.text().to_owned(),
            });
        };
        match self.finder {
            Finder::Names => parts.push("by name".into()),
            Finder::Join(test) => {
                parts.push("by value".into());
                self.tests[test].clauses(&mut |clause| told(clause, false, &mut parts));
            }
            Finder::Labels => parts.push(format!("by {:?}", self.labels.computed_keys())),
            Finder::Namespace => parts.push("by namespace".into()),
        }
        for at in &self.fixed {
            tell(&self.tests[*at], &mut parts, &mut told);
        }
        parts.extend(
            self.unchecked_paths
                .iter()
                .map(|path| path.text().to_owned()),
        );
        (!parameters).then(|| parts.join("\n"))
    }

    /// Whether candidates are told apart by their namespace.
    pub(super) fn is_scoped(&self) -> bool {
        !matches!(self.within, Within::All)
    }

    fn place(&self, namespace: Option<&str>) -> u64 {
        match namespace {
            Some(namespace) if self.is_scoped() => hash_text(namespace),
            _ => NOWHERE,
        }
    }

    /// The keys that a candidate lies under; none if no subject can have it in its list.
    pub fn keys(&self, candidate: Candidate<'_>) -> Keys {
        let mut keys = Keys::new();
        let meta = candidate.record.meta();
        if !self.may_hold(candidate, meta) {
            return keys;
        }
        let place = self.place(meta.namespace());
        match self.finder {
            Finder::Names => keys.push(both(place, hash_text(meta.name()))),
            Finder::Join(test) => {
                let scope = alone(candidate);
                self.tests[test].clauses(&mut |clause| {
                    clause.candidate_hashes(&scope, &mut |hash| keys.push(both(place, hash)));
                });
            }
            Finder::Labels => {
                let wanted = self.labels.computed_keys();
                let labels = meta.labels();
                for (key, value) in labels.iter().flat_map(|labels| labels.entries()) {
                    let some = wanted.as_ref().is_none_or(|keys| keys.contains(&key));
                    if let (true, Some(value)) = (some, value.as_str()) {
                        keys.push(both(place, both(hash_text(key), hash_text(value))));
                    }
                }
                // A selector may ask for nothing.
                if wanted.is_none() {
                    keys.push(place);
                }
            }
            Finder::Namespace => keys.push(place),
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether it is one of the workloads that a controller made for another.
    pub(super) fn leaves_to_owner(&self, kind: &GroupKind, meta: Meta<'_>) -> bool {
        self.uncontrolled.contains(kind) && meta.controller().is_some()
    }

    /// Whether some subject may have it in its list, as far as the candidate alone tells.
    fn may_hold(&self, candidate: Candidate<'_>, meta: Meta<'_>) -> bool {
        if self.leaves_to_owner(candidate.kind, meta) {
            return false;
        }
        if !self.names.may_take(meta.name()) || !self.labels.fixed.matches(meta.labels()) {
            return false;
        }
        if self.fixed.is_empty() {
            return true;
        }
        let scope = alone(candidate);
        let mut run = TestRun {
            scope: &scope,
            recheck_at: None,
            trace: None,
        };
        self.fixed.iter().all(|at| {
            let test = std::slice::from_ref(&self.tests[*at]);
            // What cannot be read is asked again, and counted then.
            test::all(test, &mut run) != Verdict::Fail
        })
    }
}

/// The places of the tests that come out the same for a candidate whatever the subject and the time.
pub fn fixed(tests: &[Test]) -> Vec<usize> {
    let places = tests.iter().enumerate().filter(|(_, test)| is_fixed(test));
    places.map(|(at, _)| at).collect()
}

/// Whether a test comes out the same for a candidate whatever the subject and the time.
fn is_fixed(test: &Test) -> bool {
    let mut fixed = true;
    test.clauses(&mut |clause| {
        fixed &= clause.read_as().is_none_or(|read_as| !read_as.is_of_time())
            && clause
                .expressions()
                .all(|expr| expr.is_of_candidate_alone());
    });
    fixed
}

/// A test's clauses, and how they hang together.
fn tell(
    test: &Test,
    parts: &mut Vec<String>,
    told: &mut dyn FnMut(&Clause, bool, &mut Vec<String>),
) {
    let (word, tests) = match test {
        Test::Clause(clause) => return told(clause, true, parts),
        Test::All(tests) => ("all", tests),
        Test::Any(tests) => ("any", tests),
        Test::None(tests) => ("none", tests),
    };
    parts.push(format!("{word} of {}", tests.len()));
    tests.iter().for_each(|test| tell(test, parts, told));
}

/// What may be asked of a candidate without a subject.
fn alone(candidate: Candidate<'_>) -> Scope<'_> {
    let object = candidate.record.root();
    Scope {
        previous: None,
        object,
        found: None,
        pod: candidate.pod,
        namespace_object: NamespaceObject::Unknown,
        now: Timestamp::UNIX_EPOCH,
        item: None,
        current: None,
        variables: None,
        applied: None,
        request: None,
        schedule_start: None,
        other: Some(Other {
            object,
            pod: candidate.pod,
            joins: true,
        }),
    }
}
