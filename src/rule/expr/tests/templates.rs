//! YAML with `${ }`.

use super::*;
use crate::rule::path::Hop;

fn render(tree: Value) -> Result<Option<Value>, ExprFault> {
    let template = match Template::compile(&tree, EDIT) {
        Ok(template) => template,
        Err(problems) => panic!("{tree}: {problems:?}"),
    };
    with_scope(|scope| template.render(scope))
}

#[test]
fn values_and_keys() {
    for (tree, wanted) in [
        (json!("${object.spec.replicas}"), json!(3)),
        (json!("${object.spec.ports}"), json!([80, 443])),
        (json!("n=${object.spec.replicas}"), json!("n=3")),
        (
            json!("${object.kind} ${object.metadata.name}"),
            json!("Pod web-1"),
        ),
        (
            json!("${object.spec.ratio}/${2.0}/${true}/${now}"),
            json!("2.5/2/true/2026-01-08T00:00:00Z"),
        ),
        (
            json!(
                "mem ${quantity('1Gi').add(quantity('1Gi'))} age ${age(object.metadata.creationTimestamp)}"
            ),
            json!("mem 2Gi age 7d"),
        ),
        (json!("list ${object.spec.ports}"), json!("list [80,443]")),
        (json!("${object.?kind}!"), json!("Pod!")),
        (
            json!({"${object.kind}-x": "a", "y": ["${1}", "b"]}),
            json!({"Pod-x": "a", "y": [1, "b"]}),
        ),
        (json!({"${object.kind}": 1}), json!({"Pod": 1})),
        (
            json!({"a": "${object.?x}", "b": ["${object.?x}", 1]}),
            json!({"b": [1]}),
        ),
        (json!("$${x} costs $5"), json!("${x} costs $5")),
        (json!({"a": {"b": "${'}'}"}}), json!({"a": {"b": "}"}})),
        (json!("${{'a': {'b': 1}}}"), json!({"a": {"b": 1}})),
        (json!("${null}"), json!(null)),
    ] {
        assert_eq!(render(tree.clone()), Ok(Some(wanted)), "{tree}");
    }
    assert_eq!(render(json!("${object.?x}")), Ok(None));
    assert!(matches!(
        render(json!("a${object.?x}")),
        Err(ExprFault::Absent(_))
    ));
    assert!(matches!(
        render(json!("a${object.x}")),
        Err(ExprFault::Absent(_))
    ));
    assert!(matches!(
        render(json!({"${'a'}": 1, "a": 2})),
        Err(ExprFault::Failed(_))
    ));
}

#[test]
fn literals_are_kept() {
    for (tree, literal) in [
        (json!({"a": [1, null, "x"]}), json!({"a": [1, null, "x"]})),
        (json!({"$${a}": "$${b}"}), json!({"${a}": "${b}"})),
        (json!(""), json!("")),
    ] {
        let template = Template::compile(&tree, Names::default()).unwrap();
        assert_eq!(template.literal(), Some(&literal));
        assert!(template.expressions().is_empty());
    }
    let template =
        Template::compile(&json!({"a": ["${1}", "x${2}${3}"], "${'k'}": 1}), EDIT).unwrap();
    assert!(template.literal().is_none());
    let texts: Vec<&str> = template
        .expressions()
        .iter()
        .map(|expr| expr.text())
        .collect();
    assert_eq!(texts, ["1", "2", "3", "'k'"]);
}

#[test]
fn what_is_literal_at_a_place_is_known_without_the_rest() {
    let tree = json!({"a": {"b": 1, "c": "${2}"}, "d": {"e": {"f": 3}}, "${'k'}": 4});
    let template = Template::compile(&tree, EDIT).unwrap();
    for (place, literal) in [
        (&["a", "b"][..], Some(json!(1))),
        (&["a"], None),
        (&["d"], Some(json!({"e": {"f": 3}}))),
        (&["d", "e", "f"], Some(json!(3))),
        (&["d", "x"], None),
        (&["x", "y"], None),
    ] {
        assert_eq!(template.literal_at(place), literal.as_ref(), "{place:?}");
    }
}

#[test]
fn problems_say_where() {
    let tree = json!({"a": [1, "é ${objekt}"], "k${nov}": 1, "open": "x ${ 'a"});
    let problems = Template::compile(&tree, Names::default()).unwrap_err();
    let [first, second, third] = problems.as_slice() else {
        panic!("{problems:?}");
    };
    assert_eq!(
        first.location.as_slice(),
        [Hop::Name("a".into()), Hop::Index(1)]
    );
    assert_eq!(
        (first.in_key, first.problem.at, first.problem.length),
        (false, 5, 6)
    );
    assert_eq!(second.location.as_slice(), [Hop::Name("k${nov}".into())]);
    assert_eq!((second.in_key, second.problem.at), (true, 3));
    assert_eq!((third.in_key, third.problem.at), (false, 2));
    assert!(third.problem.message.contains("not closed"));
}

proptest! {
    #[test]
    fn arbitrary_text_is_a_template_or_a_problem(text in "[a$ {}'\"\\\\é/\n.r]{0,30}") {
        if let Ok(template) = Template::compile(&Value::String(text), EDIT) {
            let _ = with_scope(|scope| template.render(scope));
        }
    }
}
