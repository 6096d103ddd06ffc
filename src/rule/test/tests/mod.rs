#![allow(clippy::unwrap_used, clippy::panic)]
mod ages;
mod computed;
mod load;
mod logic;
mod values;

use super::*;
use crate::object::Record;
use crate::rule::expr::NamespaceObject;
use Operator::*;
use serde_json::json;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn scope(record: &Record) -> Scope<'_> {
    Scope {
        object: record.root(),
        found: None,
        pod: Some(&[]),
        namespace_object: NamespaceObject::Unknown,
        now: at("2026-01-08T00:00:00Z"),
        item: None,
        applied: None,
        current: None,
        variables: None,
        request: None,
        other: None,
        schedule_start: None,
        previous: None,
    }
}

fn clause(path: &str, read_as: Option<ReadAs>, operator: Operator, right: Right) -> Test {
    let subject = Subject::Path(Path::parse(path).unwrap());
    match Clause::new(subject, read_as, operator, right) {
        Ok(clause) => Test::Clause(clause),
        Err(problem) => panic!("{path} {read_as:?} {operator:?}: {problem:?}"),
    }
}

/// `In` and `NotIn` take the elements of a list.
fn right(operator: Operator, value: Value) -> Right {
    match (operator.takes_nothing(), operator.takes_values(), value) {
        (true, _, _) => Right::Nothing,
        (_, true, Value::Array(values)) => Right::Values(values),
        (_, _, value) => Right::Value(value),
    }
}

fn run_at(tests: &[Test], object: &Value, now: Timestamp) -> (Verdict, Option<Timestamp>) {
    let record = Record::from_value(object);
    let scope = Scope {
        now,
        ..scope(&record)
    };
    let mut run = TestRun {
        scope: &scope,
        recheck_at: None,
        trace: None,
    };
    let verdict = all(tests, &mut run);
    (verdict, run.recheck_at)
}

fn verdict(
    object: &Value,
    path: &str,
    read_as: Option<ReadAs>,
    operator: Operator,
    value: Value,
) -> Verdict {
    let test = clause(path, read_as, operator, right(operator, value));
    run_at(&[test], object, at("2026-01-08T00:00:00Z")).0
}

fn is_wrong(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::WrongType(_))
}

/// P passes, F fails, W is the wrong type.
fn letter(verdict: &Verdict) -> char {
    match verdict {
        Verdict::Pass => 'P',
        Verdict::Fail => 'F',
        Verdict::WrongType(_) => 'W',
        Verdict::Unknown(_) | Verdict::Failed(_) => 'U',
    }
}

const COMPARING: [Operator; 10] = [
    Equals,
    NotEquals,
    In,
    NotIn,
    GreaterThan,
    AtLeast,
    LessThan,
    AtMost,
    Matches,
    DoesNotMatch,
];

fn sample(operator: Operator) -> Value {
    match operator {
        In | NotIn => json!([1, "a"]),
        Matches | DoesNotMatch => json!("a"),
        _ => json!(1),
    }
}
