//! Lists, `any`, `none`, traces, and what `$` is.

use super::*;

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
