//! Expressions as subject and as right side: absent, wrong, not known.

use super::*;
use crate::rule::expr::{Expr, Names};

fn expr(text: &str) -> Expr {
    match Expr::compile(text, Names::default()) {
        Ok(expr) => expr,
        Err(problems) => panic!("{text}: {problems:?}"),
    }
}

fn computed(subject: Subject, read_as: Option<ReadAs>, operator: Operator, right: Right) -> Test {
    match Clause::new(subject, read_as, operator, right) {
        Ok(clause) => Test::Clause(clause),
        Err(problem) => panic!("{problem:?}"),
    }
}

fn of_path(path: &str) -> Subject {
    Subject::Path(Path::parse(path).unwrap())
}

fn run(tests: &[Test], object: &Value, namespace: NamespaceObject<'_>) -> Verdict {
    let record = Record::from_value(object);
    let scope = Scope {
        namespace_object: namespace,
        ..scope(&record)
    };
    let mut run = TestRun {
        scope: &scope,
        recheck_at: None,
        trace: None,
    };
    all(tests, &mut run)
}

fn object() -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "shop", "labels": {"team": "a"}},
        "spec": {"replicas": 3, "min": 2, "memory": "1Gi", "limit": "2Gi", "since": "2026-01-01T00:00:00Z", "ttl": "7d", "zero": null,
            "list": ["a", "b"], "pattern": "^we", "broken": "("}
    })
}

/// A right side is compared as a literal of its value would be. Absent it fails the test, positive or negative; of the wrong type it is counted.
#[test]
fn right_sides() {
    for (path, read_as, operator, right, expected) in [
        ("$.spec.replicas", None, GreaterThan, "object.spec.min", 'P'),
        (
            "$.spec.replicas",
            None,
            LessThan,
            "object.spec.min + 1",
            'F',
        ),
        ("$.spec.replicas", None, Equals, "object.spec.min + 1", 'P'),
        (
            "$.metadata.name",
            None,
            Equals,
            "object.metadata.labels.team",
            'F',
        ),
        ("$.metadata.name", None, Matches, "object.spec.pattern", 'P'),
        ("$.metadata.name", None, Matches, "object.spec.broken", 'W'),
        ("$.metadata.labels.team", None, In, "object.spec.list", 'P'),
        (
            "$.metadata.labels.team",
            None,
            NotIn,
            "object.spec.list",
            'F',
        ),
        ("$.metadata.name", None, NotIn, "object.spec.list", 'P'),
        ("$.metadata.name", None, In, "object.spec.pattern", 'W'),
        (
            "$.spec.memory",
            Some(ReadAs::Quantity),
            LessThan,
            "object.spec.limit",
            'P',
        ),
        (
            "$.spec.since",
            Some(ReadAs::Age),
            AtLeast,
            "object.spec.ttl",
            'P',
        ),
        (
            "$.spec.since",
            Some(ReadAs::Age),
            GreaterThan,
            "object.spec.ttl",
            'F',
        ),
        // Absent or null: the test fails.
        ("$.spec.replicas", None, Equals, "object.spec.absent", 'F'),
        (
            "$.spec.replicas",
            None,
            NotEquals,
            "object.spec.absent",
            'F',
        ),
        (
            "$.spec.replicas",
            None,
            NotEquals,
            "object.spec.?absent",
            'F',
        ),
        ("$.spec.replicas", None, NotEquals, "object.spec.zero", 'F'),
        ("$.spec.absent", None, NotEquals, "object.spec.absent", 'F'),
        ("$.spec.absent", None, Equals, "object.spec.absent", 'F'),
        // Wrong type: it fails and is counted.
        (
            "$.spec.replicas",
            None,
            GreaterThan,
            "object.spec.memory",
            'W',
        ),
        (
            "$.spec.memory",
            Some(ReadAs::Quantity),
            NotEquals,
            "object.spec.list",
            'W',
        ),
        (
            "$.spec.since",
            Some(ReadAs::Age),
            NotEquals,
            "object.spec.memory",
            'W',
        ),
        (
            "$.metadata.name",
            None,
            DoesNotMatch,
            "object.spec.replicas",
            'W',
        ),
        (
            "$.spec.replicas",
            None,
            Equals,
            "object.spec.replicas / 0",
            'W',
        ),
    ] {
        let tests = [computed(
            of_path(path),
            read_as,
            operator,
            Right::Expr(expr(right)),
        )];
        let verdict = run(&tests, &object(), NamespaceObject::None);
        assert_eq!(
            letter(&verdict),
            expected,
            "{path} {operator:?} {right}: {verdict:?}"
        );
        if let Verdict::WrongType(reason) = verdict {
            assert!(
                !reason.contains("1Gi") && !reason.contains("\"a\""),
                "quotes a value: {reason}"
            );
        }
    }
}

/// An expression is a subject like a path: absent fails positive tests and passes negative ones.
#[test]
fn subjects() {
    for (subject, read_as, operator, value, expected) in [
        (
            "object.spec.replicas - object.spec.min",
            None,
            Equals,
            json!(1),
            'P',
        ),
        (
            "object.spec.replicas > object.spec.min",
            None,
            Equals,
            json!(true),
            'P',
        ),
        (
            "object.spec.replicas > object.spec.min",
            None,
            NotEquals,
            json!(true),
            'F',
        ),
        (
            "object.metadata.name + '-x'",
            None,
            Matches,
            json!("^web-x$"),
            'P',
        ),
        (
            "object.spec.list",
            Some(ReadAs::Size),
            AtLeast,
            json!(2),
            'P',
        ),
        ("object.spec.list", None, Equals, json!(["a", "b"]), 'P'),
        (
            "object.spec.memory",
            Some(ReadAs::Quantity),
            AtMost,
            json!("1024Mi"),
            'P',
        ),
        (
            "object.spec.since",
            Some(ReadAs::Age),
            AtLeast,
            json!("7d"),
            'P',
        ),
        ("object.metadata.labels", None, Exists, Value::Null, 'P'),
        (
            "object.spec.list.filter(x, x == 'c')",
            None,
            Empty,
            Value::Null,
            'P',
        ),
        // Absent.
        ("object.spec.absent", None, Equals, json!(1), 'F'),
        ("object.spec.absent", None, NotEquals, json!(1), 'P'),
        (
            "object.spec.absent.deeper",
            None,
            DoesNotExist,
            Value::Null,
            'P',
        ),
        ("object.spec.?absent", None, DoesNotExist, Value::Null, 'P'),
        ("object.spec.?absent", None, Exists, Value::Null, 'F'),
        ("object.spec.zero", None, Exists, Value::Null, 'F'),
        // Wrong.
        ("object.spec.replicas / 0", None, Equals, json!(1), 'W'),
        ("object.spec.replicas / 0", None, NotEquals, json!(1), 'W'),
        ("object.metadata.name", None, GreaterThan, json!(1), 'W'),
        // Not known.
        (
            "namespaceObject.metadata.labels.team",
            None,
            Equals,
            json!("a"),
            'U',
        ),
        (
            "namespaceObject.metadata.labels.team",
            None,
            NotEquals,
            json!("a"),
            'U',
        ),
        (
            "namespaceObject.metadata.labels.team",
            None,
            DoesNotExist,
            Value::Null,
            'U',
        ),
    ] {
        let test = computed(
            Subject::Expr(expr(subject)),
            read_as,
            operator,
            right(operator, value),
        );
        let verdict = run(&[test], &object(), NamespaceObject::Unknown);
        assert_eq!(
            letter(&verdict),
            expected,
            "{subject} {operator:?}: {verdict:?}"
        );
    }
}

/// Third column: what is not known makes the object wait, whether the test is positive or negative.
#[test]
fn what_is_not_known_waits() {
    let namespace =
        Record::from_value(&json!({"metadata": {"name": "shop", "labels": {"team": "a"}}}));
    for (operator, known) in [
        (Equals, 'P'),
        (NotEquals, 'F'),
        (Matches, 'P'),
        (DoesNotMatch, 'F'),
    ] {
        let test = || {
            computed(
                of_path("$.metadata.labels.team"),
                None,
                operator,
                Right::Expr(expr("namespaceObject.metadata.labels.team")),
            )
        };
        assert_eq!(
            letter(&run(&[test()], &object(), NamespaceObject::Unknown)),
            'U',
            "{operator:?}"
        );
        assert_eq!(
            letter(&run(
                &[test()],
                &object(),
                NamespaceObject::Known(namespace.root())
            )),
            known,
            "{operator:?}"
        );
    }
}

/// A certain answer wins over what is not known; what is not known wins where it may still decide.
#[test]
fn certain_answers_win() {
    let member = |letter: char| match letter {
        'P' => computed(
            of_path("$.spec.replicas"),
            None,
            Equals,
            Right::Value(json!(3)),
        ),
        'F' => computed(
            of_path("$.spec.replicas"),
            None,
            Equals,
            Right::Value(json!(4)),
        ),
        'W' => computed(
            of_path("$.metadata.name"),
            None,
            GreaterThan,
            Right::Value(json!(4)),
        ),
        _ => computed(
            Subject::Expr(expr("namespaceObject.metadata.name")),
            None,
            Equals,
            Right::Value(json!("x")),
        ),
    };
    for (members, all_of, any, none) in [
        ("U", 'U', 'U', 'U'),
        ("UP", 'U', 'P', 'F'),
        ("PU", 'U', 'P', 'F'),
        ("UF", 'F', 'U', 'U'),
        ("FU", 'F', 'U', 'U'),
        ("UW", 'W', 'U', 'W'),
        ("WU", 'W', 'U', 'W'),
        ("UWP", 'W', 'P', 'F'),
        ("UFW", 'F', 'U', 'W'),
    ] {
        let tests = || members.chars().map(member).collect::<Vec<_>>();
        let of = |tests: &[Test]| letter(&run(tests, &object(), NamespaceObject::Unknown));
        assert_eq!(of(&tests()), all_of, "all {members}");
        assert_eq!(of(&[Test::Any(tests())]), any, "any {members}");
        assert_eq!(of(&[Test::None(tests())]), none, "none {members}");
    }
}

/// A positive test of what is absent fails for certain, whatever its right side would have been.
#[test]
fn nothing_selected_needs_no_right_side() {
    let unknown = || Right::Expr(expr("namespaceObject.metadata.name"));
    for (operator, expected) in [
        (Equals, 'F'),
        (In, 'F'),
        (Matches, 'F'),
        (NotEquals, 'U'),
        (NotIn, 'U'),
        (DoesNotMatch, 'U'),
    ] {
        let test = computed(of_path("$.spec.absent"), None, operator, unknown());
        assert_eq!(
            letter(&run(&[test], &object(), NamespaceObject::Unknown)),
            expected,
            "{operator:?}"
        );
    }
    let count = computed(
        of_path("$.spec.absent[*]"),
        Some(ReadAs::Count),
        Equals,
        Right::Expr(expr("object.spec.min - 2")),
    );
    assert_eq!(
        letter(&run(&[count], &object(), NamespaceObject::None)),
        'P'
    );
}

#[test]
fn a_computed_pattern_follows_the_object() {
    let tests = [computed(
        of_path("$.name"),
        None,
        Matches,
        Right::Expr(expr("object.pattern")),
    )];
    for (pattern, expected) in [
        ("^we", 'P'),
        ("^we", 'P'),
        ("^x", 'F'),
        ("(", 'W'),
        ("b$", 'P'),
    ] {
        let object = json!({"name": "web", "pattern": pattern});
        assert_eq!(
            letter(&run(&tests, &object, NamespaceObject::None)),
            expected,
            "{pattern}"
        );
    }
}

#[test]
fn the_age_of_a_computed_right_side_has_its_moment() {
    let record = Record::from_value(&json!({"t": "2026-01-07T00:00:00Z", "ttl": "3d"}));
    let scope = scope(&record);
    let mut run = TestRun {
        scope: &scope,
        recheck_at: None,
        trace: None,
    };
    let test = computed(
        of_path("$.t"),
        Some(ReadAs::Age),
        AtLeast,
        Right::Expr(expr("object.ttl")),
    );
    assert_eq!(all(&[test], &mut run), Verdict::Fail);
    assert_eq!(run.recheck_at, Some(at("2026-01-10T00:00:00Z")));
}

#[test]
fn what_a_test_reads_is_known() {
    for (path, right, metadata_only, reads_now, reads_namespace) in [
        (
            "$.metadata.name",
            "object.metadata.namespace",
            true,
            false,
            false,
        ),
        ("$.metadata.name", "object.spec.x", false, false, false),
        ("$.spec.x", "object.metadata.name", false, false, false),
        (
            "$.metadata.name",
            "namespaceObject.metadata.name",
            true,
            false,
            true,
        ),
        ("$.metadata.name", "string(now)", true, true, false),
    ] {
        let test = Test::Any(vec![computed(
            of_path(path),
            None,
            Equals,
            Right::Expr(expr(right)),
        )]);
        assert_eq!(test.is_metadata_only(), metadata_only, "{path} {right}");
        assert_eq!(test.reads_now(), reads_now, "{path} {right}");
        assert_eq!(
            test.reads_namespace_object(),
            reads_namespace,
            "{path} {right}"
        );
    }
}

#[test]
fn counting_an_expression_is_refused() {
    let subject = Subject::Expr(expr("object.spec.list"));
    match Clause::new(subject, Some(ReadAs::Count), Equals, Right::Value(json!(2))) {
        Ok(_) => panic!("was taken"),
        Err(problem) => {
            assert_eq!(problem.part, ClausePart::As);
            assert_eq!(
                problem.mend.as_deref(),
                Some("write `as: size` for the length of a list")
            );
        }
    }
}
