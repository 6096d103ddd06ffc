//! Rules in their order on one working copy: composition, rounds, chains and conflicts.

use super::*;

#[test]
fn rules_compose_into_one_write_and_steps_see_each_other() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "low",
                "",
                "{patch: [{path: $.data.b, set: \"${object.data.a}\"}]}",
            ),
            (
                "high",
                "priority: 5, ",
                "{patch: [{path: $.data.a, set: x}, {path: $.data.c, set: \"${object.data.a}\"}]}, {patch: [{path: $.data.d, set: \"${object.data.c}\"}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(
        data(&decision),
        json!({"a": "x", "b": "x", "c": "x", "d": "x"})
    );
    let names: Vec<&str> = decision.writes[0].rules.iter().map(|r| &**r).collect();
    assert_eq!(names, ["high", "low"]);
    assert_eq!(decision.changes.len(), 2);
    assert_eq!(tree(&decision.changes[0].before)["data"], json!({}));
    assert_eq!(
        tree(&decision.changes[0].after)["data"],
        json!({"a": "x", "c": "x", "d": "x"})
    );
    assert_eq!(
        tree(&decision.changes[1].before)["data"],
        json!({"a": "x", "c": "x", "d": "x"})
    );
    assert_eq!(standings(&decision), [ACTS, ACTS]);
}

#[test]
fn a_rule_that_waits_for_a_lower_one_comes_in_the_next_round() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "high",
                "priority: 1, where: [{path: $.data.b, value: x}], ",
                "{patch: [{path: $.data.a, set: x}]}",
            ),
            ("low", "", "{patch: [{path: $.data.b, set: x}]}"),
        ],
    );
    assert_eq!(
        data(&Given::new(&set).pass(&config_map(json!({})))),
        json!({"a": "x", "b": "x"})
    );
}

#[test]
fn a_chain_lets_the_later_value_stand_and_then_rests() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "first",
                "priority: 1, ",
                "{patch: [{path: $.data.a, set: one}]}",
            ),
            (
                "then",
                "where: [{path: $.data.a, value: one}], ",
                "{patch: [{path: $.data.a, set: two}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(data(&decision), json!({"a": "two"}));
    assert_eq!(decision.findings, []);
    let rested = Given::new(&set).pass(&config_map(json!({"a": "two"})));
    assert!(
        rested.writes.is_empty() && rested.changes.is_empty(),
        "{:?}",
        rested.writes
    );
    assert_eq!(rested.findings, []);
}

#[test]
fn an_edit_of_the_value_that_stands_there_is_a_chain() {
    let set = rules(
        DEPLOYMENT,
        &[
            (
                "mirror",
                "priority: 1, ",
                "{patch: [{path: '$containers[*].image', set: \"${image(current).with('registry', 'm.io')}\"}]}",
            ),
            (
                "tag",
                "",
                "{patch: [{path: '$containers[*].image', set: \"${image(current).with('tag', '2')}\"}]}",
            ),
        ],
    );
    let object = |image: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"},
        "spec": {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}}})
    };
    let decision = Given::new(&set).pass(&object("nginx:1"));
    assert_eq!(decision.findings, []);
    assert_eq!(tree(&decision.writes[0].expected), object("m.io/nginx:2"));
    assert!(
        Given::new(&set)
            .pass(&object("m.io/nginx:2"))
            .writes
            .is_empty()
    );
}

#[test]
fn in_a_conflict_the_higher_priority_keeps_the_path_wherever_it_began() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "high",
                "priority: 1, ",
                "{patch: [{path: $.data.a, set: one}]}",
            ),
            (
                "low",
                "",
                "{patch: [{path: $.data.a, set: two}, {path: $.data.b, set: x}]}",
            ),
        ],
    );
    for before in [
        json!({}),
        json!({"a": "one"}),
        json!({"a": "two"}),
        json!({"a": "three", "b": "x"}),
    ] {
        let decision = Given::new(&set).pass(&config_map(before.clone()));
        assert_eq!(data(&decision), json!({"a": "one", "b": "x"}), "{before}");
        assert_eq!(
            reasons(&decision),
            [("low".to_owned(), Reason::Conflict)],
            "{before}"
        );
        assert!(
            decision.findings[0].message.contains("/data/a")
                && decision.findings[0].message.contains("`high`")
        );
    }
    let settled = Given::new(&set).pass(&config_map(json!({"a": "one", "b": "x"})));
    assert!(settled.writes.is_empty() && settled.changes.is_empty());
    assert_eq!(reasons(&settled), [("low".to_owned(), Reason::Conflict)]);
}

#[test]
fn a_path_above_another_is_in_conflict_with_it() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "high",
                "priority: 1, ",
                "{patch: [{path: $.data.a, set: one}]}",
            ),
            (
                "low",
                "",
                "{patch: [{path: $.data, set: {b: x}}, {path: $.metadata.labels.l, set: x}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(data(&decision), json!({"a": "one"}));
    assert_eq!(
        tree(&decision.writes[0].expected)["metadata"]["labels"],
        json!({"l": "x"})
    );
    assert_eq!(reasons(&decision), [("low".to_owned(), Reason::Conflict)]);
}

#[test]
fn equal_priorities_in_conflict_both_stop_and_others_go_on() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "a",
                "",
                "{patch: [{path: $.data.a, set: one}, {path: $.data.b, set: x}]}",
            ),
            ("b", "", "{patch: [{path: $.data.a, set: two}]}"),
            ("c", "", "{patch: [{path: $.data.c, set: x}]}"),
        ],
    );
    for before in [
        json!({}),
        json!({"a": "one", "b": "x"}),
        json!({"a": "two"}),
    ] {
        let decision = Given::new(&set).pass(&config_map(before.clone()));
        let mut after = before.clone();
        after["c"] = json!("x");
        assert_eq!(data(&decision), after);
        assert_eq!(
            reasons(&decision),
            [
                ("b".to_owned(), Reason::Conflict),
                ("a".to_owned(), Reason::Conflict)
            ],
            "{before}"
        );
    }
}

#[test]
fn equal_values_and_sets_are_no_conflict() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "a",
                "",
                "{patch: [{path: $.data.a, set: one}, {path: $.metadata.finalizers, add: [x/a]}, {path: $.metadata, merge: {labels: {a: x}}}]}",
            ),
            (
                "b",
                "",
                "{patch: [{path: $.data, merge: {a: one}}, {path: $.metadata.finalizers, add: [x/b]}, {path: $.metadata.labels.b, set: x}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(decision.findings, []);
    let after = tree(&decision.writes[0].expected);
    assert_eq!(after["metadata"]["finalizers"], json!(["x/a", "x/b"]));
    assert_eq!(after["metadata"]["labels"], json!({"a": "x", "b": "x"}));
}

#[test]
fn rules_that_never_rest_write_nothing() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "a",
                "where: [{path: $.data.n, operator: Exists}], ",
                "{patch: [{path: $.data.m, set: \"${object.data.n + 'x'}\"}]}",
            ),
            (
                "b",
                "where: [{path: $.data.m, operator: Exists}], ",
                "{patch: [{path: $.data.n, set: \"${object.data.m}\"}]}",
            ),
            ("c", "", "{warn: {message: seen}}"),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({"n": ""})));
    assert!(decision.writes.is_empty() && decision.changes.is_empty());
    assert_eq!(
        reasons(&decision),
        [
            ("c".to_owned(), Reason::Warning),
            ("a".to_owned(), Reason::NoFixpoint),
            ("b".to_owned(), Reason::NoFixpoint),
        ]
    );
}
