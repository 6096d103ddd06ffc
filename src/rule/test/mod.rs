//! Tests: path or expression, operator, value.
//!
//! `clause` what a test is and what is wrong with it at load · `operand` values and right sides read as a type · `evaluate` how one comes out.
//! Here the words of the language, and the logic of lists, `any` and `none`.

mod clause;
mod evaluate;
mod operand;

pub use clause::{Clause, ClausePart, ClauseProblem, Right};

use super::expr::{Expr, Scope};
use super::path::Path;
use crate::object::Node;
use jiff::Timestamp;
use serde_json::Value;

/// One entry of `where`.
pub enum Test {
    /// A path or expression, an operator, a value.
    Clause(Clause),
    /// OR
    Any(Vec<Test>),
    /// NOT: none passes
    None(Vec<Test>),
}

/// What a clause looks at.
pub enum Subject {
    /// The values that a path selects.
    Path(Path),
    /// The one value of an expression.
    Expr(Expr),
}

/// `operator`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal, by type and deeply: 8080 is not `"8080"`.
    Equals,
    /// No selected value is equal.
    NotEquals,
    /// Equal to one of `values`.
    In,
    /// No selected value is equal to one of `values`.
    NotIn,
    /// Something is selected.
    Exists,
    /// Nothing is selected.
    DoesNotExist,
    /// Nothing is selected but null, `""`, `[]`, `{}`.
    Empty,
    /// Something else is selected.
    NotEmpty,
    /// `>`
    GreaterThan,
    /// `>=`
    AtLeast,
    /// `<`
    LessThan,
    /// `<=`
    AtMost,
    /// A regular expression is found in the text, unanchored.
    Matches,
    /// It is found in no selected text.
    DoesNotMatch,
}

impl Operator {
    /// All of them, in the order of the language's documentation.
    pub const ALL: [Operator; 14] = [
        Self::Equals,
        Self::NotEquals,
        Self::In,
        Self::NotIn,
        Self::Exists,
        Self::DoesNotExist,
        Self::Empty,
        Self::NotEmpty,
        Self::GreaterThan,
        Self::AtLeast,
        Self::LessThan,
        Self::AtMost,
        Self::Matches,
        Self::DoesNotMatch,
    ];

    /// As written in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equals => "Equals",
            Self::NotEquals => "NotEquals",
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
            Self::Empty => "Empty",
            Self::NotEmpty => "NotEmpty",
            Self::GreaterThan => "GreaterThan",
            Self::AtLeast => "AtLeast",
            Self::LessThan => "LessThan",
            Self::AtMost => "AtMost",
            Self::Matches => "Matches",
            Self::DoesNotMatch => "DoesNotMatch",
        }
    }

    /// Reads what rule files write; the case counts.
    pub fn parse(text: &str) -> Option<Operator> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.as_str() == text)
    }

    /// Passes when no selected value fulfils the positive form.
    pub fn is_negative(self) -> bool {
        matches!(
            self,
            Self::NotEquals | Self::NotIn | Self::DoesNotExist | Self::DoesNotMatch | Self::Empty
        )
    }

    /// The form that a selected value fulfils; a negative operator passes when none does.
    fn positive(self) -> Operator {
        match self {
            Self::NotEquals => Self::Equals,
            Self::NotIn => Self::In,
            Self::DoesNotExist => Self::Exists,
            Self::DoesNotMatch => Self::Matches,
            Self::Empty => Self::NotEmpty,
            positive => positive,
        }
    }

    /// `GreaterThan` `AtLeast` `LessThan` `AtMost`
    pub fn is_ordering(self) -> bool {
        matches!(
            self,
            Self::GreaterThan | Self::AtLeast | Self::LessThan | Self::AtMost
        )
    }

    /// Whether it takes `values`, not `value`.
    pub fn takes_values(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
    }

    /// Whether it takes neither `value` nor `values`.
    pub fn takes_nothing(self) -> bool {
        matches!(
            self,
            Self::Exists | Self::DoesNotExist | Self::Empty | Self::NotEmpty
        )
    }
}

/// `as`: how values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAs {
    /// now − timestamp
    Age,
    /// timestamp − now
    Until,
    /// `90s`, `7d`, `1h30m`
    Duration,
    /// `500Mi`
    Quantity,
    /// A semantic version, with or without a leading `v`; ordered by precedence.
    Semver,
    /// A number, also one written as text.
    Number,
    /// The length of one value: characters, elements, members.
    Size,
    /// The number of selected values.
    Count,
    /// The registry of an image reference, `docker.io` if it names none.
    ImageRegistry,
    /// The repository of an image reference.
    ImageRepository,
    /// The tag of an image reference; absent if it has none.
    ImageTag,
    /// The digest of an image reference; absent if it has none.
    ImageDigest,
}

impl ReadAs {
    /// All of them, in the order of the language's documentation.
    pub const ALL: [ReadAs; 12] = [
        Self::Age,
        Self::Until,
        Self::Duration,
        Self::Quantity,
        Self::Semver,
        Self::Number,
        Self::Size,
        Self::Count,
        Self::ImageRegistry,
        Self::ImageRepository,
        Self::ImageTag,
        Self::ImageDigest,
    ];

    /// As written in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Until => "until",
            Self::Duration => "duration",
            Self::Quantity => "quantity",
            Self::Semver => "semver",
            Self::Number => "number",
            Self::Size => "size",
            Self::Count => "count",
            Self::ImageRegistry => "image.registry",
            Self::ImageRepository => "image.repository",
            Self::ImageTag => "image.tag",
            Self::ImageDigest => "image.digest",
        }
    }

    /// Reads what rule files write; the case counts.
    pub fn parse(text: &str) -> Option<ReadAs> {
        Self::ALL
            .into_iter()
            .find(|read_as| read_as.as_str() == text)
    }

    /// A part of an image reference: text.
    pub fn is_image(self) -> bool {
        matches!(
            self,
            Self::ImageRegistry | Self::ImageRepository | Self::ImageTag | Self::ImageDigest
        )
    }
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
    let mut unknown: Option<String> = None;
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
            Verdict::Unknown(reason) => {
                flips_at = earlier(flips_at, outcome.flips_at);
                unknown.get_or_insert(reason);
            }
        }
    }
    decided.unwrap_or(Outcome {
        verdict: unknown.map_or(Verdict::Pass, Verdict::Unknown),
        flips_at,
    })
}

/// OR. The first test that passes decides; without one, what is unknown might, and a value of the wrong type is worth counting.
fn disjunction(tests: &[Test], run: &mut TestRun<'_, '_>) -> Outcome {
    let mut decided: Option<Outcome> = None;
    let (mut unknown, mut wrong) = (None, None);
    let mut flips_at = None;
    for test in tests {
        if decided.is_some() && run.trace.is_none() {
            break;
        }
        let outcome = test.outcome(run);
        if decided.is_some() {
            continue;
        }
        flips_at = earlier(flips_at, outcome.flips_at);
        match outcome.verdict {
            Verdict::Pass => decided = Some(outcome),
            Verdict::Fail => {}
            Verdict::WrongType(reason) => {
                wrong.get_or_insert(reason);
            }
            Verdict::Unknown(reason) => {
                unknown.get_or_insert(reason);
            }
        }
    }
    decided.unwrap_or(Outcome {
        verdict: match (unknown, wrong) {
            (Some(reason), _) => Verdict::Unknown(reason),
            (None, Some(reason)) => Verdict::WrongType(reason),
            (None, None) => Verdict::Fail,
        },
        flips_at,
    })
}

/// NOT: none passes. One that passes decides; so does a value of the wrong type, for with it nothing can be said to hold for none.
fn negation(tests: &[Test], run: &mut TestRun<'_, '_>) -> Outcome {
    let mut decided: Option<Outcome> = None;
    let (mut unknown, mut wrong) = (None, None);
    let mut flips_at = None;
    for test in tests {
        if decided.is_some() && run.trace.is_none() {
            break;
        }
        let outcome = test.outcome(run);
        if decided.is_some() {
            continue;
        }
        flips_at = earlier(flips_at, outcome.flips_at);
        match outcome.verdict {
            Verdict::Pass => {
                decided = Some(Outcome {
                    verdict: Verdict::Fail,
                    flips_at: outcome.flips_at,
                });
            }
            Verdict::Fail => {}
            Verdict::WrongType(reason) => {
                wrong.get_or_insert(reason);
            }
            Verdict::Unknown(reason) => {
                unknown.get_or_insert(reason);
            }
        }
    }
    decided.unwrap_or(Outcome {
        verdict: match (wrong, unknown) {
            (Some(reason), _) => Verdict::WrongType(reason),
            (None, Some(reason)) => Verdict::Unknown(reason),
            (None, None) => Verdict::Pass,
        },
        flips_at,
    })
}

impl Test {
    fn outcome(&self, run: &mut TestRun<'_, '_>) -> Outcome {
        match self {
            Test::Clause(clause) => clause.outcome(run),
            Test::Any(tests) => disjunction(tests, run),
            Test::None(tests) => negation(tests, run),
        }
    }

    /// Calls `found` for each clause, also inside `any` and `none`, in the order of the file.
    pub fn clauses<'t>(&'t self, found: &mut dyn FnMut(&'t Clause)) {
        match self {
            Test::Clause(clause) => found(clause),
            Test::Any(tests) | Test::None(tests) => {
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
    evaluate::shortened(node, 0)
}

#[cfg(test)]
mod tests;
