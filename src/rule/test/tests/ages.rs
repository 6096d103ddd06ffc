//! Ages and `until`: outcomes, and the moments at which they change.

use super::*;

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
