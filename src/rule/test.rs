//! Tests: path or expression, operator, value.

use super::expr::{Expr, Scope};
use super::path::Path;
use crate::object::Node;
use jiff::Timestamp;
use serde_json::Value;

/// One entry of `where`.
pub enum Test {
    Clause(Clause),
    /// OR
    Any(Vec<Test>),
    /// NOT: none passes
    None(Vec<Test>),
}

/// What a clause looks at.
pub enum Subject {
    Path(Path),
    Expr(Expr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equals,
    NotEquals,
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Empty,
    NotEmpty,
    GreaterThan,
    AtLeast,
    LessThan,
    AtMost,
    Matches,
    DoesNotMatch,
}

/// `as`: how values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAs {
    Age,
    Until,
    Duration,
    Quantity,
    Semver,
    Number,
    Size,
    Count,
    ImageRegistry,
    ImageRepository,
    ImageTag,
    ImageDigest,
}

/// `{path | expression, as, operator, value | values}`, right sides pre-parsed.
pub struct Clause {/* private fields */}

/// How a test came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
    /// Fails, and is counted with the reason: a value could not be read as its type.
    WrongType(String),
    /// The object waits.
    Unknown(String),
}

/// What evaluating tests needs and gathers.
pub struct TestRun<'s, 'a> {
    pub scope: &'s Scope<'a>,
    /// The earliest later moment at which some test of this run may come out differently (ages, `until`).
    pub recheck_at: Option<Timestamp>,
    /// Every clause with its value and outcome, when somebody wants to know (`explain`, the log).
    pub trace: Option<&'s mut Vec<ClauseTrace>>,
}

/// What one clause saw.
#[derive(Clone, Debug)]
pub struct ClauseTrace {
    /// As written: `$.spec.replicas LessThan 3`.
    pub clause: String,
    pub value: Option<Value>,
    pub verdict: Verdict,
}

/// All tests, in order. WrongType of a member of `any` or `none` fails or passes as the document's table says; an Unknown counts only if no certain answer decides.
pub fn all(_tests: &[Test], _run: &mut TestRun<'_, '_>) -> Verdict {
    todo!()
}

/// Reads one value as a type for `as`; public for `explain`.
pub fn describe(_node: Node<'_>) -> Value {
    todo!()
}
