//! Tests: path or expression, operator, value.
//!
//! `words` the operators and the types of `as` · `clause` what a test is and what is wrong with one at load · `operand` right sides ·
//! `reading` selected values · `clockwork` ages · `evaluate` how a clause comes out · `join` equality with a value of the subject as a look-up ·
//! `shown` values for people · `sort_key` values to order objects by.
//! Here the logic of lists, `any` and `none`.

mod clause;
mod clockwork;
mod evaluate;
mod join;
mod operand;
mod reading;
mod shown;
mod sort_key;
mod words;

pub use clause::{Clause, ClausePart, ClauseProblem, Right};
pub use join::{JoinFault, both, hash_text};
pub use operand::number_as_version;
pub use sort_key::{SortKey, Unsortable};
pub use words::{Operator, ReadAs};

use super::expr::{Expr, Scope};
use super::path::Path;
use crate::object::Node;
use jiff::Timestamp;
use serde_json::Value;

/// One entry of `where`.
pub enum Test {
    /// A path or expression, an operator, a value.
    Clause(Clause),
    /// AND, within the others
    All(Vec<Test>),
    /// OR
    Any(Vec<Test>),
    /// NOT: none passes
    None(Vec<Test>),
}

impl Test {
    /// Whether some expression in it reads a variable.
    pub fn reads_variables(&self) -> bool {
        match self {
            Test::Clause(clause) => clause.reads_variables(),
            Test::All(tests) | Test::Any(tests) | Test::None(tests) => {
                tests.iter().any(Test::reads_variables)
            }
        }
    }

    /// Whether some expression in it reads a list of other objects.
    pub fn reads_lists(&self) -> bool {
        self.some_clause(|clause| clause.expressions().any(|expr| expr.reads_lists() != 0))
    }
}

/// What a clause looks at.
pub enum Subject {
    /// The values that a path selects.
    Path(Path),
    /// The one value of an expression.
    Expr(Expr),
}

/// How a test came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Pass,
    /// It does not.
    Fail,
    /// Fails, and is counted with the reason: a value could not be read as its type. The reason never quotes the value.
    WrongType(String),
    /// The object waits.
    Unknown(String),
    /// At admission: an expression failed, so that nobody can say whether it passes.
    Failed(String),
}

/// What evaluating tests needs and gathers.
pub struct TestRun<'s, 'a> {
    /// With an `item` (the `where` of an edit), `$` is that item; `$pod` and `$containers` are the object's in any case.
    pub scope: &'s Scope<'a>,
    /// The earliest later moment at which some test of this run may come out differently (ages, `until`).
    pub recheck_at: Option<Timestamp>,
    /// Every clause with its value and outcome, when somebody wants to know (`explain`, the log). Values are as they stand in the object:
    /// whoever shows them to people hides what is secret.
    pub trace: Option<&'s mut Vec<ClauseTrace>>,
}

/// What one clause saw.
#[derive(Clone, Debug)]
pub struct ClauseTrace {
    /// As written: `$.spec.replicas LessThan 3`.
    pub clause: String,
    /// The selected value, a list if there are several; long ones are cut.
    pub value: Option<Value>,
    /// Why an expression in it has no value: which field is not there.
    pub absent: Option<String>,
    /// How it came out.
    pub verdict: Verdict,
}

/// A verdict, and the earliest later moment at which time alone may change it.
struct Outcome {
    verdict: Verdict,
    flips_at: Option<Timestamp>,
}

/// The earlier of two moments.
fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// All tests, in order. A certain answer wins over an unknown one: a list with a test that fails fails, whatever else is not known.
pub fn all(tests: &[Test], run: &mut TestRun<'_, '_>) -> Verdict {
    let outcome = conjunction(tests, run);
    run.recheck_at = earlier(run.recheck_at, outcome.flips_at);
    outcome.verdict
}

/// AND. The first test that fails decides, and only its own flip can change that: what comes behind it is looked at only for a trace.
fn conjunction(tests: &[Test], run: &mut TestRun<'_, '_>) -> Outcome {
    let mut decided: Option<Outcome> = None;
    let mut unknown: Option<Verdict> = None;
    let mut flips_at = None;
    for test in tests {
        if decided.is_some() && run.trace.is_none() {
            break;
        }
        let outcome = test.outcome(run);
        if decided.is_some() {
            continue;
        }
        match outcome.verdict {
            Verdict::Pass => flips_at = earlier(flips_at, outcome.flips_at),
            Verdict::Fail | Verdict::WrongType(_) => decided = Some(outcome),
            open @ (Verdict::Unknown(_) | Verdict::Failed(_)) => {
                flips_at = earlier(flips_at, outcome.flips_at);
                unknown.get_or_insert(open);
            }
        }
    }
    decided.unwrap_or(Outcome {
        verdict: unknown.unwrap_or(Verdict::Pass),
        flips_at,
    })
}

/// What tests came to of which none passes.
struct NonePasses {
    /// Why one might, the first reason.
    unknown: Option<Verdict>,
    /// A value of the wrong type, the first one.
    wrong: Option<String>,
    flips_at: Option<Timestamp>,
}

/// The first test that passes. With a trace the others are looked at too.
fn first_that_passes(tests: &[Test], run: &mut TestRun<'_, '_>) -> Result<Outcome, NonePasses> {
    let mut passed: Option<Outcome> = None;
    let mut none = NonePasses {
        unknown: None,
        wrong: None,
        flips_at: None,
    };
    for test in tests {
        if passed.is_some() && run.trace.is_none() {
            break;
        }
        let outcome = test.outcome(run);
        if passed.is_some() {
            continue;
        }
        none.flips_at = earlier(none.flips_at, outcome.flips_at);
        match outcome.verdict {
            Verdict::Pass => passed = Some(outcome),
            Verdict::Fail => {}
            Verdict::WrongType(reason) => {
                none.wrong.get_or_insert(reason);
            }
            open @ (Verdict::Unknown(_) | Verdict::Failed(_)) => {
                none.unknown.get_or_insert(open);
            }
        }
    }
    passed.ok_or(none)
}

/// OR. The first test that passes decides; without one, what is unknown might, and a value of the wrong type is worth counting.
fn disjunction(tests: &[Test], run: &mut TestRun<'_, '_>) -> Outcome {
    first_that_passes(tests, run).unwrap_or_else(|none| Outcome {
        verdict: match (none.unknown, none.wrong) {
            (Some(open), _) => open,
            (None, Some(reason)) => Verdict::WrongType(reason),
            (None, None) => Verdict::Fail,
        },
        flips_at: none.flips_at,
    })
}

/// NOT: none passes. One that passes decides; so does a value of the wrong type, for with it nothing can be said to hold for none.
fn negation(tests: &[Test], run: &mut TestRun<'_, '_>) -> Outcome {
    match first_that_passes(tests, run) {
        Ok(passed) => Outcome {
            verdict: Verdict::Fail,
            flips_at: passed.flips_at,
        },
        Err(none) => Outcome {
            verdict: match (none.wrong, none.unknown) {
                (Some(reason), _) => Verdict::WrongType(reason),
                (None, Some(open)) => open,
                (None, None) => Verdict::Pass,
            },
            flips_at: none.flips_at,
        },
    }
}

impl Test {
    fn outcome(&self, run: &mut TestRun<'_, '_>) -> Outcome {
        match self {
            Test::Clause(clause) => clause.outcome(run),
            Test::All(tests) => conjunction(tests, run),
            Test::Any(tests) => disjunction(tests, run),
            Test::None(tests) => negation(tests, run),
        }
    }

    /// Calls `found` for each clause, also inside `any` and `none`, in the order of the file.
    pub fn clauses<'t>(&'t self, found: &mut dyn FnMut(&'t Clause)) {
        match self {
            Test::Clause(clause) => found(clause),
            Test::All(tests) | Test::Any(tests) | Test::None(tests) => {
                for test in tests {
                    test.clauses(found);
                }
            }
        }
    }

    /// Whether some clause fulfils a condition.
    fn some_clause(&self, mut holds: impl FnMut(&Clause) -> bool) -> bool {
        let mut some = false;
        self.clauses(&mut |clause| some |= holds(clause));
        some
    }

    /// Whether it reads of the object only `metadata`, `apiVersion` and `kind`.
    pub fn is_metadata_only(&self) -> bool {
        !self.some_clause(|clause| {
            let subject = match clause.subject() {
                Subject::Path(path) => path.is_metadata_only(),
                Subject::Expr(_) => true,
            };
            !subject || !clause.expressions().all(Expr::is_metadata_only)
        })
    }

    /// Whether some expression in it reads `now`.
    pub fn reads_now(&self) -> bool {
        self.some_clause(|clause| clause.expressions().any(Expr::reads_now))
    }

    /// Whether some expression in it reads `namespaceObject`.
    pub fn reads_namespace_object(&self) -> bool {
        self.some_clause(|clause| clause.expressions().any(Expr::reads_namespace_object))
    }
}

/// A value for people and traces: long text, lists and maps are cut.
pub fn describe(node: Node<'_>) -> Value {
    shown::shortened(node, 0)
}

#[cfg(test)]
mod tests;
