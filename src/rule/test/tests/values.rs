//! Operators and `as` on every kind of value.

use super::*;

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
