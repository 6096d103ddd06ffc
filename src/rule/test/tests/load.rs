//! What is refused at load, with its mend.

use super::*;

fn problem(path: &str, read_as: Option<ReadAs>, operator: Operator, right: Right) -> ClauseProblem {
    let subject = Subject::Path(Path::parse(path).unwrap());
    match Clause::new(subject, read_as, operator, right) {
        Ok(clause) => panic!("{} was taken", clause.text()),
        Err(problem) => problem,
    }
}

/// What is refused at load: the marked part, a part of the message, the mend.
#[test]
fn clauses_that_mean_nothing_are_refused() {
    let value = |value: Value| Right::Value(value);
    for (read_as, operator, right, part, message, mend) in [
        (
            None,
            GreaterThan,
            value(json!("500Mi")),
            ClausePart::Right,
            "\"500Mi\" is text",
            "add `as: quantity`",
        ),
        (
            None,
            AtLeast,
            value(json!("7d")),
            ClausePart::Right,
            "is text",
            "add `as: age`, `as: until` or `as: duration`",
        ),
        (
            None,
            AtLeast,
            value(json!("5m")),
            ClausePart::Right,
            "is text",
            "add `as: age`, `as: duration` or `as: quantity`",
        ),
        (
            None,
            LessThan,
            value(json!("1.27.0")),
            ClausePart::Right,
            "is text",
            "add `as: semver`",
        ),
        (
            None,
            LessThan,
            value(json!("3")),
            ClausePart::Right,
            "is text",
            "write it without quotes, or add `as: number` where the value is text too",
        ),
        (
            None,
            LessThan,
            value(json!("2026-01-01T00:00:00Z")),
            ClausePart::Right,
            "is text",
            "moments are compared as ages: write `as: age` and a duration",
        ),
        (
            None,
            LessThan,
            value(json!("soon")),
            ClausePart::Right,
            "is text",
            "add `as` with the type to read it as: age, until, duration, quantity, semver or number",
        ),
        (
            None,
            LessThan,
            value(json!([1])),
            ClausePart::Right,
            "compares numbers",
            "write a number",
        ),
        (
            None,
            Equals,
            value(Value::Null),
            ClausePart::Right,
            "null counts as absent",
            "write `operator: DoesNotExist` without a value",
        ),
        (
            None,
            NotEquals,
            value(Value::Null),
            ClausePart::Right,
            "null counts as absent",
            "write `operator: Exists` without a value",
        ),
        (
            None,
            In,
            Right::Values(vec![json!(1), Value::Null]),
            ClausePart::Element(1),
            "null counts as absent",
            "write `operator: DoesNotExist` without a value",
        ),
        (
            None,
            In,
            value(json!(1)),
            ClausePart::Right,
            "takes `values`",
            "write `values: [a, b]`",
        ),
        (
            None,
            In,
            Right::Values(vec![]),
            ClausePart::Right,
            "at least one value",
            "write `values: [a, b]`",
        ),
        (
            None,
            NotIn,
            Right::Nothing,
            ClausePart::Operator,
            "needs `values`",
            "write `values: [a, b]`",
        ),
        (
            None,
            Equals,
            Right::Values(vec![json!(1)]),
            ClausePart::Right,
            "takes one `value`",
            "write `value`, or `operator: In`",
        ),
        (
            None,
            Matches,
            Right::Values(vec![json!("a")]),
            ClausePart::Right,
            "takes one `value`",
            "write `value` with alternatives: `a|b`",
        ),
        (
            None,
            Equals,
            Right::Nothing,
            ClausePart::Operator,
            "needs a `value`",
            "add `value`, or write `operator: Exists`",
        ),
        (
            None,
            NotEquals,
            Right::Nothing,
            ClausePart::Operator,
            "needs a `value`",
            "add `value`, or write `operator: DoesNotExist`",
        ),
        (
            None,
            Exists,
            value(json!(true)),
            ClausePart::Right,
            "takes no value",
            "leave it out, or write `operator: Equals`",
        ),
        (
            None,
            Empty,
            value(json!(true)),
            ClausePart::Right,
            "takes no value",
            "leave it out, or write `operator: NotEquals`",
        ),
        (
            None,
            Matches,
            value(json!(5)),
            ClausePart::Right,
            "is text",
            "quote it: `\"5\"`",
        ),
        (
            None,
            DoesNotMatch,
            value(json!("a(?!b)")),
            ClausePart::Right,
            "look-around",
            "say the negation with `DoesNotMatch`, or with `!search(…)` in a filter",
        ),
        (
            Some(ReadAs::Age),
            AtLeast,
            value(json!(7)),
            ClausePart::Right,
            "7 has no unit",
            "write for example `7s` or `7d`",
        ),
        (
            Some(ReadAs::Until),
            AtLeast,
            value(json!([])),
            ClausePart::Right,
            "compares durations",
            "write for example `7d`",
        ),
        (
            Some(ReadAs::Quantity),
            AtLeast,
            value(json!(true)),
            ClausePart::Right,
            "compares quantities",
            "write for example `500Mi`",
        ),
        (
            Some(ReadAs::Semver),
            AtLeast,
            value(json!("1.27.0.1")),
            ClausePart::Right,
            "is no semantic version",
            "write for example `1.27.0`",
        ),
        (
            Some(ReadAs::Semver),
            AtLeast,
            value(json!(1.27)),
            ClausePart::Right,
            "is a number",
            "write all three parts, quoted: `\"1.27.0\"`",
        ),
        (
            Some(ReadAs::Semver),
            AtLeast,
            value(json!("newest")),
            ClausePart::Right,
            "is no semantic version",
            "write for example `1.27.0`",
        ),
        (
            Some(ReadAs::Number),
            AtLeast,
            value(json!("1Gi")),
            ClausePart::Right,
            "is no number",
            "write a number, or `as: quantity` for amounts such as `500Mi`",
        ),
        (
            Some(ReadAs::Size),
            AtLeast,
            value(json!(1.5)),
            ClausePart::Right,
            "whole numbers",
            "write a whole number, without quotes",
        ),
        (
            Some(ReadAs::Count),
            Equals,
            value(json!("2")),
            ClausePart::Right,
            "whole numbers",
            "write a whole number, without quotes",
        ),
        (
            Some(ReadAs::ImageTag),
            Equals,
            value(json!(1.27)),
            ClausePart::Right,
            "compares text",
            "quote it: `\"1.27\"`",
        ),
        (
            Some(ReadAs::ImageTag),
            GreaterThan,
            value(json!("1")),
            ClausePart::Operator,
            "has no order",
            "compare with `Equals`, `In` or `Matches`",
        ),
        (
            Some(ReadAs::Age),
            Exists,
            Right::Nothing,
            ClausePart::As,
            "does not read the value",
            "leave `as` out",
        ),
        (
            Some(ReadAs::Count),
            Exists,
            Right::Nothing,
            ClausePart::As,
            "does not read the value",
            "leave `as` out, or write `operator: GreaterThan` and `value: 0`",
        ),
        (
            Some(ReadAs::Quantity),
            Matches,
            value(json!("1")),
            ClausePart::As,
            "makes none",
            "leave `as` out, or compare with `Equals`, `GreaterThan`, `AtLeast`, `LessThan`, `AtMost`",
        ),
    ] {
        let found = problem("$.x", read_as, operator, right);
        assert_eq!(found.part, part, "{read_as:?} {operator:?}: {found:?}");
        assert!(
            found.message.contains(message),
            "{read_as:?} {operator:?}: {found:?}"
        );
        assert_eq!(
            found.mend.as_deref(),
            Some(mend),
            "{read_as:?} {operator:?}: {found:?}"
        );
    }
    for (read_as, operator, value, message) in [
        (Some(ReadAs::Age), AtLeast, json!("-1d"), "negative"),
        (Some(ReadAs::Age), AtLeast, json!("7"), "has no unit"),
        (
            Some(ReadAs::Duration),
            AtLeast,
            json!("1 week"),
            "is no duration",
        ),
        (Some(ReadAs::Quantity), AtLeast, json!("1GB"), "suffix"),
        (None, Matches, json!("("), "unclosed group"),
        (None, Matches, json!("(a{1000}){1000}"), "does not compile"),
        (None, Matches, json!("a".repeat(5000)), "at most 4096 bytes"),
    ] {
        let found = problem("$.x", read_as, operator, Right::Value(value.clone()));
        assert!(found.message.contains(message), "{value}: {found:?}");
        assert!(found.message.len() < 400, "{found:?}");
    }
}

#[test]
fn words_are_read_as_they_are_written() {
    for operator in Operator::ALL {
        assert_eq!(Operator::parse(operator.as_str()), Some(operator));
    }
    for read_as in ReadAs::ALL {
        assert_eq!(ReadAs::parse(read_as.as_str()), Some(read_as));
    }
    assert_eq!(Operator::parse("equals"), None);
    assert_eq!(ReadAs::parse("Age"), None);
    for operator in COMPARING {
        assert!(!operator.takes_nothing());
    }
}
