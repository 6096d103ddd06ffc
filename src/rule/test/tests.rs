#![allow(clippy::unwrap_used, clippy::panic)]
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
        pod: Some(&[]),
        namespace_object: NamespaceObject::Unknown,
        now: at("2026-01-08T00:00:00Z"),
        item: None,
        current: None,
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
        Verdict::Unknown(_) => 'U',
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

/// First row and column of "Absent, null, wrong, unknown": a positive test of what is absent or null fails, a negative one passes.
#[test]
fn absent_and_null() {
    let object = json!({"null": null, "list": [null, null], "elements": [{"x": null}, {}]});
    for operator in Operator::ALL {
        for path in [
            "$.absent",
            "$.null",
            "$.absent.deeper",
            "$.list[*]",
            "$.elements[*].x",
            "$.list[7]",
        ] {
            let expected = if operator.is_negative() {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            assert_eq!(
                verdict(&object, path, None, operator, sample(operator)),
                expected,
                "{path} {operator:?}"
            );
        }
    }
    for read_as in [ReadAs::Age, ReadAs::Until, ReadAs::Duration] {
        for path in ["$.absent", "$.null"] {
            assert_eq!(
                verdict(&object, path, Some(read_as), AtLeast, json!("1s")),
                Verdict::Fail
            );
            assert_eq!(
                verdict(&object, path, Some(read_as), NotEquals, json!("1s")),
                Verdict::Pass
            );
        }
    }
    for (read_as, value) in [
        (ReadAs::Quantity, json!("1Gi")),
        (ReadAs::Semver, json!("1.0.0")),
        (ReadAs::Number, json!(1)),
        (ReadAs::Size, json!(1)),
        (ReadAs::ImageTag, json!("x")),
        (ReadAs::ImageDigest, json!("x")),
        (ReadAs::ImageRegistry, json!("x")),
        (ReadAs::ImageRepository, json!("x")),
    ] {
        for path in ["$.absent", "$.null"] {
            assert_eq!(
                verdict(&object, path, Some(read_as), Equals, value.clone()),
                Verdict::Fail,
                "{read_as:?}"
            );
            assert_eq!(
                verdict(&object, path, Some(read_as), NotEquals, value.clone()),
                Verdict::Pass,
                "{read_as:?}"
            );
        }
    }
}

/// Second column: a value that cannot be read as its type fails positive and negative tests alike, and is counted.
#[test]
fn wrong_types() {
    let object = json!({"text": "abc", "number": 1, "bool": true, "list": [1], "map": {"a": 1}});
    for (path, read_as, operator, value) in [
        ("$.text", None, GreaterThan, json!(1)),
        ("$.text", None, AtMost, json!(1)),
        ("$.bool", None, LessThan, json!(1)),
        ("$.list", None, AtLeast, json!(1)),
        ("$.number", None, Matches, json!("1")),
        ("$.number", None, DoesNotMatch, json!("1")),
        ("$.map", None, DoesNotMatch, json!("1")),
        ("$.text", Some(ReadAs::Age), AtLeast, json!("1d")),
        ("$.number", Some(ReadAs::Age), NotEquals, json!("1d")),
        ("$.text", Some(ReadAs::Until), LessThan, json!("1d")),
        ("$.text", Some(ReadAs::Duration), Equals, json!("1d")),
        ("$.number", Some(ReadAs::Duration), NotEquals, json!("1d")),
        ("$.text", Some(ReadAs::Quantity), Equals, json!("1Gi")),
        ("$.text", Some(ReadAs::Quantity), NotEquals, json!("1Gi")),
        ("$.bool", Some(ReadAs::Quantity), NotIn, json!(["1Gi"])),
        ("$.text", Some(ReadAs::Semver), GreaterThan, json!("1.0.0")),
        ("$.number", Some(ReadAs::Semver), NotEquals, json!("1.0.0")),
        ("$.text", Some(ReadAs::Number), Equals, json!(1)),
        ("$.list", Some(ReadAs::Number), NotEquals, json!(1)),
        ("$.number", Some(ReadAs::Size), AtLeast, json!(1)),
        ("$.bool", Some(ReadAs::Size), NotEquals, json!(1)),
        ("$.number", Some(ReadAs::ImageTag), Equals, json!("x")),
        ("$.map", Some(ReadAs::ImageRegistry), NotEquals, json!("x")),
        ("$.map", Some(ReadAs::ImageTag), DoesNotExist, Value::Null),
    ] {
        let verdict = verdict(&object, path, read_as, operator, value);
        let Verdict::WrongType(reason) = &verdict else {
            panic!("{path} {read_as:?} {operator:?}: {verdict:?}");
        };
        assert!(reason.contains(path), "{reason}");
    }
}

/// One value of the wrong type fails the whole test, wherever it stands among others that would do. The reason never quotes the value.
#[test]
fn one_wrong_value_spoils_the_test() {
    let object = json!({"first": [5, "secret"], "last": ["secret", 5]});
    for path in ["$.first[*]", "$.last[*]"] {
        for operator in [GreaterThan, LessThan] {
            let Verdict::WrongType(reason) = verdict(&object, path, None, operator, json!(1))
            else {
                panic!("{path} {operator:?}");
            };
            assert_eq!(
                reason,
                format!("`{path}` is text that cannot be read as a number")
            );
        }
    }
}

/// Every operator on every kind of value, as one letter per value.
#[test]
fn operators_on_values() {
    let values = json!({
        "v0": 8080, "v1": "8080", "v2": 8080.0, "v3": true, "v4": "", "v5": [], "v6": {}, "v7": [8080], "v8": {"a": 8080}, "v9": 0
    });
    for (operator, value, expected) in [
        (Equals, json!(8080), "PFPFFFFFFF"),
        (NotEquals, json!(8080), "FPFPPPPPPP"),
        (Equals, json!("8080"), "FPFFFFFFFF"),
        (Equals, json!(true), "FFFPFFFFFF"),
        (Equals, json!(""), "FFFFPFFFFF"),
        (Equals, json!([]), "FFFFFPFFFF"),
        (Equals, json!({}), "FFFFFFPFFF"),
        (Equals, json!([8080]), "FFFFFFFPFF"),
        (Equals, json!({"a": 8080}), "FFFFFFFFPF"),
        (In, json!([8080, "", {}]), "PFPFPFPFFF"),
        (NotIn, json!([8080, "", {}]), "FPFPFPFPPP"),
        (Exists, Value::Null, "PPPPPPPPPP"),
        (DoesNotExist, Value::Null, "FFFFFFFFFF"),
        (Empty, Value::Null, "FFFFPPPFFF"),
        (NotEmpty, Value::Null, "PPPPFFFPPP"),
        (GreaterThan, json!(8080), "FWFWWWWWWF"),
        (AtLeast, json!(8080), "PWPWWWWWWF"),
        (LessThan, json!(8080), "FWFWWWWWWP"),
        (AtMost, json!(8080), "PWPWWWWWWP"),
        (LessThan, json!(8080.5), "PWPWWWWWWP"),
        (Matches, json!("80$"), "WPWWFWWWWW"),
        (DoesNotMatch, json!("80$"), "WFWWPWWWWW"),
        (Matches, json!(""), "WPWWPWWWWW"),
    ] {
        let found: String = (0..10)
            .map(|n| {
                letter(&verdict(
                    &values,
                    &format!("$.v{n}"),
                    None,
                    operator,
                    value.clone(),
                ))
            })
            .collect();
        assert_eq!(found, expected, "{operator:?} {value}");
    }
}

/// Several selected values: positive passes when some value does, negative when none does.
#[test]
fn operators_on_several_values() {
    let object = json!({"n": [1, 2, 3], "t": ["a", "b"], "e": ["", []], "some": ["", "x"]});
    for (path, operator, value, passes) in [
        ("$.n[*]", Equals, json!(2), true),
        ("$.n[*]", Equals, json!(4), false),
        ("$.n[*]", NotEquals, json!(2), false),
        ("$.n[*]", NotEquals, json!(4), true),
        ("$.n[*]", In, json!([4, 3]), true),
        ("$.n[*]", NotIn, json!([4, 3]), false),
        ("$.n[*]", NotIn, json!([4, 5]), true),
        ("$.n[*]", GreaterThan, json!(2), true),
        ("$.n[*]", GreaterThan, json!(3), false),
        ("$.n[*]", AtMost, json!(1), true),
        ("$.t[*]", Matches, json!("^b$"), true),
        ("$.t[*]", DoesNotMatch, json!("^b$"), false),
        ("$.t[*]", DoesNotMatch, json!("c"), true),
        ("$.e[*]", Empty, Value::Null, true),
        ("$.some[*]", Empty, Value::Null, false),
        ("$.some[*]", NotEmpty, Value::Null, true),
        ("$.t[?@ == 'c']", Exists, Value::Null, false),
        ("$.t[?@ == 'b']", Exists, Value::Null, true),
        ("$.t[?@ == 'c']", DoesNotExist, Value::Null, true),
        ("$.n", Equals, json!([1, 2, 3]), true),
        ("$.n", Equals, json!([3, 2, 1]), false),
    ] {
        let expected = if passes { Verdict::Pass } else { Verdict::Fail };
        assert_eq!(
            verdict(&object, path, None, operator, value.clone()),
            expected,
            "{path} {operator:?} {value}"
        );
    }
}

#[test]
fn integers_are_compared_exactly() {
    let object = json!({"n": 9_007_199_254_740_993_i64});
    for (operator, value, passes) in [
        (Equals, json!(9_007_199_254_740_993_i64), true),
        (Equals, json!(9_007_199_254_740_992_i64), false),
        (GreaterThan, json!(9_007_199_254_740_992_i64), true),
        (Equals, json!(9_007_199_254_740_992.0), false),
        (GreaterThan, json!(9_007_199_254_740_992.0), true),
        (LessThan, json!(1e300), true),
    ] {
        let expected = if passes { Verdict::Pass } else { Verdict::Fail };
        assert_eq!(
            verdict(&object, "$.n", None, operator, value.clone()),
            expected,
            "{operator:?} {value}"
        );
    }
}

/// Each `as`: its value and a right side, for `LessThan` `AtMost` `Equals` `AtLeast` `GreaterThan` in turn.
#[test]
fn values_read_as_a_type() {
    let object = json!({
        "memory": "512Mi", "cpu": 0.5, "whole": 2, "timeout": "90m", "version": "v1.29.3+k3s1", "pre": "1.30.0-rc.1",
        "text": "3", "exp": "1.5e1", "list": [1, 2], "map": {"a": 1}, "word": "äöü", "float": 1.5
    });
    for (path, read_as, value, expected) in [
        ("$.memory", ReadAs::Quantity, json!("1Gi"), "PPFFF"),
        ("$.memory", ReadAs::Quantity, json!("0.5Gi"), "FPPPF"),
        ("$.memory", ReadAs::Quantity, json!(536_870_912), "FPPPF"),
        ("$.memory", ReadAs::Quantity, json!("500M"), "FFFPP"),
        ("$.cpu", ReadAs::Quantity, json!("500m"), "FPPPF"),
        ("$.whole", ReadAs::Quantity, json!("2000m"), "FPPPF"),
        ("$.timeout", ReadAs::Duration, json!("1h30m"), "FPPPF"),
        ("$.timeout", ReadAs::Duration, json!("2h"), "PPFFF"),
        ("$.version", ReadAs::Semver, json!("1.29.3"), "FPPPF"),
        ("$.version", ReadAs::Semver, json!("v1.30.0"), "PPFFF"),
        ("$.version", ReadAs::Semver, json!("1.9.0"), "FFFPP"),
        ("$.pre", ReadAs::Semver, json!("1.30.0"), "PPFFF"),
        ("$.text", ReadAs::Number, json!(3), "FPPPF"),
        ("$.text", ReadAs::Number, json!("10"), "PPFFF"),
        ("$.exp", ReadAs::Number, json!(15), "FPPPF"),
        ("$.float", ReadAs::Number, json!(1), "FFFPP"),
        ("$.list", ReadAs::Size, json!(2), "FPPPF"),
        ("$.map", ReadAs::Size, json!(2), "PPFFF"),
        ("$.word", ReadAs::Size, json!(3), "FPPPF"),
        ("$.list[*]", ReadAs::Count, json!(2), "FPPPF"),
        ("$.list", ReadAs::Count, json!(2), "PPFFF"),
        ("$.absent[*]", ReadAs::Count, json!(1), "PPFFF"),
        ("$.absent[*]", ReadAs::Count, json!(0), "FPPPF"),
    ] {
        let found: String = [LessThan, AtMost, Equals, AtLeast, GreaterThan]
            .map(|operator| {
                letter(&verdict(
                    &object,
                    path,
                    Some(read_as),
                    operator,
                    value.clone(),
                ))
            })
            .iter()
            .collect();
        assert_eq!(found, expected, "{path} {read_as:?} {value}");
        let not = letter(&verdict(
            &object,
            path,
            Some(read_as),
            NotEquals,
            value.clone(),
        ));
        assert_eq!(
            not == 'P',
            expected.as_bytes()[2] == b'F',
            "{path} {read_as:?} NotEquals {value}"
        );
        let within = letter(&verdict(&object, path, Some(read_as), In, json!([value])));
        assert_eq!(
            within,
            expected.as_bytes()[2] as char,
            "{path} {read_as:?} In {value}"
        );
    }
}

#[test]
fn parts_of_images() {
    let object = json!({
        "full": "ghcr.io/team/app:v1.2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "short": "nginx", "bad": "UPPER//x"
    });
    for (path, read_as, operator, value, expected) in [
        (
            "$.full",
            ReadAs::ImageRegistry,
            Equals,
            json!("ghcr.io"),
            'P',
        ),
        (
            "$.short",
            ReadAs::ImageRegistry,
            Equals,
            json!("docker.io"),
            'P',
        ),
        (
            "$.short",
            ReadAs::ImageRepository,
            In,
            json!(["nginx", "x"]),
            'P',
        ),
        (
            "$.full",
            ReadAs::ImageRepository,
            Matches,
            json!("^team/"),
            'P',
        ),
        ("$.full", ReadAs::ImageTag, Equals, json!("v1.2"), 'P'),
        (
            "$.full",
            ReadAs::ImageDigest,
            Matches,
            json!("^sha256:"),
            'P',
        ),
        // No tag is an absent value.
        ("$.short", ReadAs::ImageTag, Equals, json!("latest"), 'F'),
        ("$.short", ReadAs::ImageTag, NotEquals, json!("latest"), 'P'),
        (
            "$.short",
            ReadAs::ImageTag,
            DoesNotMatch,
            json!("latest"),
            'P',
        ),
        ("$.short", ReadAs::ImageTag, DoesNotExist, Value::Null, 'P'),
        ("$.short", ReadAs::ImageTag, Exists, Value::Null, 'F'),
        ("$.full", ReadAs::ImageTag, Exists, Value::Null, 'P'),
        ("$.full", ReadAs::ImageDigest, NotEmpty, Value::Null, 'P'),
        ("$.short", ReadAs::ImageDigest, Empty, Value::Null, 'P'),
        ("$.bad", ReadAs::ImageTag, NotEquals, json!("x"), 'W'),
        ("$.bad", ReadAs::ImageDigest, DoesNotExist, Value::Null, 'W'),
    ] {
        let found = letter(&verdict(
            &object,
            path,
            Some(read_as),
            operator,
            value.clone(),
        ));
        assert_eq!(found, expected, "{path} {read_as:?} {operator:?} {value}");
    }
}

/// Every operator on an age and an `until`: before, at and after the moment of equality, with the moment at which it flips next.
/// The timestamp is 2026-01-08T00:00:00Z; the moment of equality is a day later for the age, a day earlier for `until`.
#[test]
fn ages_come_due_at_the_very_moment() {
    let object = json!({"t": "2026-01-08T00:00:00Z"});
    let tick = jiff::SignedDuration::from_nanos(1);
    for (read_as, equal) in [
        (ReadAs::Age, at("2026-01-09T00:00:00Z")),
        (ReadAs::Until, at("2026-01-07T00:00:00Z")),
    ] {
        let after = equal.checked_add(tick).unwrap();
        let before = equal.checked_sub(tick).unwrap();
        let long_before = at("2020-01-01T00:00:00Z");
        // A letter and what comes next (=: the moment of equality, >: a tick later, -: nothing) for: long before, before, at, after.
        for (operator, age, until) in [
            (AtLeast, "F= F= P- P-", "P> P> P> F-"),
            (GreaterThan, "F> F> F> P-", "P= P= F- F-"),
            (LessThan, "P= P= F- F-", "F> F> F> P-"),
            (AtMost, "P> P> P> F-", "F= F= P- P-"),
            (Equals, "F= F= P> F-", "F= F= P> F-"),
            (NotEquals, "P= P= F> P-", "P= P= F> P-"),
            (In, "F= F= P> F-", "F= F= P> F-"),
            (NotIn, "P= P= F> P-", "P= P= F> P-"),
        ] {
            let value = if operator.takes_values() {
                json!(["1d"])
            } else {
                json!("1d")
            };
            let tests = [clause(
                "$.t",
                Some(read_as),
                operator,
                right(operator, value),
            )];
            let found = [long_before, before, equal, after].map(|now| {
                let (verdict, recheck_at) = run_at(&tests, &object, now);
                let next = match recheck_at {
                    None => '-',
                    Some(moment) if moment == equal => '=',
                    Some(moment) if moment == after => '>',
                    Some(other) => panic!("{operator:?} {read_as:?}: {other}"),
                };
                format!("{}{next}", letter(&verdict))
            });
            let expected = if read_as == ReadAs::Age { age } else { until };
            assert_eq!(found.join(" "), expected, "{read_as:?} {operator:?}");
        }
    }
}

/// At each moment that is promised the outcome really differs, and between it and now it does not.
#[test]
fn no_promise_comes_late() {
    let object = json!({"t": ["2026-01-08T00:00:00Z", "2026-01-08T00:00:07Z"]});
    let start = at("2026-01-07T23:59:40Z");
    for read_as in [ReadAs::Age, ReadAs::Until] {
        for operator in [
            Equals,
            NotEquals,
            GreaterThan,
            AtLeast,
            LessThan,
            AtMost,
            In,
            NotIn,
        ] {
            let value = if operator.takes_values() {
                json!(["3s", "5s"])
            } else {
                json!("5s")
            };
            let tests = [clause(
                "$.t[*]",
                Some(read_as),
                operator,
                right(operator, value),
            )];
            let mut next = None;
            let mut last = run_at(&tests, &object, start).0;
            for step in 0..80 {
                let now = start
                    .checked_add(jiff::SignedDuration::from_millis(500 * step))
                    .unwrap();
                let (verdict, recheck_at) = run_at(&tests, &object, now);
                if verdict != last {
                    let promised: Timestamp = next.unwrap();
                    assert!(
                        promised <= now,
                        "{read_as:?} {operator:?} at {now}: {promised}"
                    );
                    last = verdict;
                }
                assert!(recheck_at.is_none_or(|moment| moment > now));
                next = recheck_at;
            }
        }
    }
}

#[test]
fn only_what_decides_is_waited_for() {
    let object = json!({"old": "2026-01-01T00:00:00Z", "new": "2026-01-07T00:00:00Z", "name": "x", "both": ["2026-01-01T00:00:00Z", "2026-01-07T00:00:00Z"]});
    let now = at("2026-01-08T00:00:00Z");
    let age = |path: &str, operator, value: &str| {
        clause(
            path,
            Some(ReadAs::Age),
            operator,
            Right::Value(json!(value)),
        )
    };
    let named = |name: &str| clause("$.name", None, Equals, Right::Value(json!(name)));
    for (what, tests, verdict, recheck_at) in [
        (
            "a test that time cannot change has no moment",
            vec![named("x")],
            Verdict::Pass,
            None,
        ),
        (
            "an age that has come stays",
            vec![age("$.old", AtLeast, "7d")],
            Verdict::Pass,
            None,
        ),
        (
            "one that has not yet",
            vec![age("$.new", AtLeast, "7d")],
            Verdict::Fail,
            Some("2026-01-14T00:00:00Z"),
        ),
        (
            "what fails for another reason need not be looked at when the age comes",
            vec![named("y"), age("$.new", AtLeast, "7d")],
            Verdict::Fail,
            None,
        ),
        (
            "nor when the age is tested first and holds for now",
            vec![age("$.new", LessThan, "7d"), named("y")],
            Verdict::Fail,
            None,
        ),
        (
            "all hold: the first that ends",
            vec![age("$.new", LessThan, "7d"), age("$.old", LessThan, "8d")],
            Verdict::Pass,
            Some("2026-01-09T00:00:00Z"),
        ),
        (
            "any: one that holds for good decides",
            vec![Test::Any(vec![age("$.new", AtLeast, "7d"), named("x")])],
            Verdict::Pass,
            None,
        ),
        (
            "any: none holds yet, the first that will",
            vec![Test::Any(vec![
                age("$.new", AtLeast, "7d"),
                age("$.old", AtLeast, "30d"),
                named("y"),
            ])],
            Verdict::Fail,
            Some("2026-01-14T00:00:00Z"),
        ),
        (
            "none: none holds yet, the first that will",
            vec![Test::None(vec![age("$.new", AtLeast, "7d"), named("y")])],
            Verdict::Pass,
            Some("2026-01-14T00:00:00Z"),
        ),
        (
            "some selected value fulfils it already and for good",
            vec![age("$.both[*]", AtLeast, "7d")],
            Verdict::Pass,
            None,
        ),
        (
            "some selected value is young enough until the last is not",
            vec![age("$.both[*]", LessThan, "8d")],
            Verdict::Pass,
            Some("2026-01-15T00:00:00Z"),
        ),
        (
            "beyond the end of time",
            vec![clause(
                "$.old",
                Some(ReadAs::Age),
                AtLeast,
                Right::Value(json!("36500d")),
            )],
            Verdict::Fail,
            Some("2125-12-08T00:00:00Z"),
        ),
    ] {
        assert_eq!(
            run_at(&tests, &object, now),
            (verdict, recheck_at.map(at)),
            "{what}"
        );
    }
    let far = json!({"t": "9999-12-30T22:00:00Z"});
    let tests = [age("$.t", AtLeast, "36500d")];
    assert_eq!(run_at(&tests, &far, now), (Verdict::Fail, None));
}

#[test]
fn several_runs_keep_the_earliest_moment() {
    let record = Record::from_value(&json!({"t": "2026-01-07T00:00:00Z"}));
    let scope = scope(&record);
    let mut run = TestRun {
        scope: &scope,
        recheck_at: None,
        trace: None,
    };
    for (days, expected) in [
        ("7d", "2026-01-14T00:00:00Z"),
        ("9d", "2026-01-14T00:00:00Z"),
        ("2d", "2026-01-09T00:00:00Z"),
    ] {
        all(
            &[clause(
                "$.t",
                Some(ReadAs::Age),
                AtLeast,
                Right::Value(json!(days)),
            )],
            &mut run,
        );
        assert_eq!(run.recheck_at, Some(at(expected)));
    }
}

/// `any` and `none` over passing, failing and wrongly typed members.
#[test]
fn any_and_none() {
    let object = json!({"a": 1, "text": "x"});
    let member = |letter: char| match letter {
        'P' => clause("$.a", None, Equals, Right::Value(json!(1))),
        'F' => clause("$.a", None, Equals, Right::Value(json!(2))),
        _ => clause("$.text", None, GreaterThan, Right::Value(json!(2))),
    };
    for (members, all_of, any, none) in [
        ("", 'P', 'F', 'P'),
        ("P", 'P', 'P', 'F'),
        ("F", 'F', 'F', 'P'),
        ("W", 'W', 'W', 'W'),
        ("PF", 'F', 'P', 'F'),
        ("FP", 'F', 'P', 'F'),
        ("WP", 'W', 'P', 'F'),
        ("PW", 'W', 'P', 'F'),
        ("WF", 'W', 'W', 'W'),
        ("FW", 'F', 'W', 'W'),
        ("PP", 'P', 'P', 'F'),
        ("FF", 'F', 'F', 'P'),
    ] {
        let tests = || members.chars().map(member).collect::<Vec<_>>();
        let now = at("2026-01-08T00:00:00Z");
        assert_eq!(
            letter(&run_at(&tests(), &object, now).0),
            all_of,
            "all {members}"
        );
        assert_eq!(
            letter(&run_at(&[Test::Any(tests())], &object, now).0),
            any,
            "any {members}"
        );
        assert_eq!(
            letter(&run_at(&[Test::None(tests())], &object, now).0),
            none,
            "none {members}"
        );
        let twice = [Test::None(vec![Test::None(tests())])];
        let not_not = match none {
            'P' => 'F',
            'F' => 'P',
            other => other,
        };
        assert_eq!(
            letter(&run_at(&twice, &object, now).0),
            not_not,
            "none none {members}"
        );
    }
}

#[test]
fn a_trace_tells_every_clause_and_changes_nothing() {
    let object = json!({"spec": {"replicas": 1, "list": ["a", "b"]}, "text": "x".repeat(1000)});
    let record = Record::from_value(&object);
    let scope = scope(&record);
    let tests = [
        clause("$.spec.replicas", None, LessThan, Right::Value(json!(3))),
        clause("$.absent", None, Exists, Right::Nothing),
        Test::Any(vec![
            clause("$.spec.list[*]", None, In, Right::Values(vec![json!("b")])),
            clause("$.text", Some(ReadAs::Size), AtMost, Right::Value(json!(5))),
        ]),
    ];
    let mut trace = vec![];
    let mut run = TestRun {
        scope: &scope,
        recheck_at: None,
        trace: Some(&mut trace),
    };
    assert_eq!(all(&tests, &mut run), Verdict::Fail);
    let told: Vec<String> = trace
        .iter()
        .map(|entry| {
            format!(
                "{} | {} | {}",
                entry.clause,
                entry.value.clone().unwrap_or_default(),
                letter(&entry.verdict)
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "$.spec.replicas LessThan 3 | 1 | P".to_owned(),
            "$.absent Exists | null | F".to_owned(),
            "$.spec.list[*] In [\"b\"] | [\"a\",\"b\"] | P".to_owned(),
            format!("$.text as size AtMost 5 | \"{}…\" | F", "x".repeat(256)),
        ]
    );
}

#[test]
fn in_the_where_of_an_edit_the_root_is_the_item() {
    let record =
        Record::from_value(&json!({"name": "object", "spec": {"containers": [{"name": "app"}]}}));
    let object = scope(&record);
    let item = record
        .root()
        .path(&["spec"])
        .and_then(|spec| spec.get_str("containers"))
        .and_then(|list| list.at(0));
    let of_item = Scope { item, ..object };
    for (path, on, passes) in [
        ("$.name", &object, "object"),
        ("$.name", &of_item, "app"),
        ("$pod.name", &of_item, "object"),
        ("$containers[0].name", &of_item, "app"),
    ] {
        let tests = [clause(path, None, Equals, Right::Value(json!(passes)))];
        let mut run = TestRun {
            scope: on,
            recheck_at: None,
            trace: None,
        };
        assert_eq!(all(&tests, &mut run), Verdict::Pass, "{path} {passes}");
    }
}

#[test]
fn objects_that_break_their_schema_harm_nothing() {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({"a": [deep]});
    }
    let object = json!({"deep": deep, "big": "x".repeat(1_000_000), "t": "2026-13-45", "neg": i64::MIN, "huge": u64::MAX, "float": 1e308});
    for path in [
        "$.deep", "$.big", "$.t", "$.neg", "$.huge", "$.float", "$..a", "$..*",
    ] {
        for operator in Operator::ALL {
            verdict(&object, path, None, operator, sample(operator));
        }
        for read_as in ReadAs::ALL {
            let value = match read_as {
                ReadAs::Age | ReadAs::Until | ReadAs::Duration => json!("1d"),
                ReadAs::Quantity => json!("1"),
                ReadAs::Semver => json!("1.0.0"),
                part if part.is_image() => json!("x"),
                _ => json!(-1),
            };
            let read = verdict(&object, path, Some(read_as), NotEquals, value);
            assert!(
                is_wrong(&read) || read == Verdict::Pass || read_as == ReadAs::Count,
                "{path} {read_as:?} {read:?}"
            );
        }
    }
}

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
            value(json!("1.27")),
            ClausePart::Right,
            "is no semantic version",
            "write all three parts: `\"1.27.0\"`",
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
