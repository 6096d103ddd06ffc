//! Steps of a rule: lists that end, steps that fail, endpoints of their own.

use super::*;
use crate::decide::Write;

#[test]
fn a_deletion_ends_the_list_and_drops_what_other_rules_would_change() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "patch",
                "priority: 1, ",
                "{patch: [{path: $.data.a, set: x}]}",
            ),
            (
                "delete",
                "where: [{path: $.data.a, value: x}], ",
                "{delete: {propagation: Orphan, gracePeriodSeconds: 5}}, {warn: {message: gone}}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    let [write] = decision.writes.as_slice() else {
        panic!("{:?}", decision.writes)
    };
    assert!(matches!(
        write.operation,
        Operation::Delete {
            propagation: Some(crate::rule::Propagation::Orphan),
            grace_period_seconds: Some(5)
        }
    ));
    assert_eq!(write.expected, None);
    let [change] = decision.changes.as_slice() else {
        panic!("{:?}", decision.changes)
    };
    assert_eq!(
        (&*change.rule, change.verb, &change.after),
        ("delete", Verb::Delete, &None)
    );
    assert_eq!(decision.findings, []);
}

#[test]
fn what_a_rule_changes_before_it_deletes_is_written_first() {
    // Whether it matches then or not.
    for tests in ["", "where: [{path: $.data.b, operator: DoesNotExist}], "] {
        let steps = "{patch: [{path: $.data.b, set: x}]}, {delete: {}}";
        let set = rules(CONFIG_MAP, &[("delete", tests, steps)]);
        let decision = Given::new(&set).pass(&config_map(json!({"a": "1"})));
        let verbs = |writes: &mut dyn Iterator<Item = &Write>| -> Vec<Verb> {
            writes.map(|write| write.operation.verb()).collect()
        };
        assert_eq!(verbs(&mut decision.writes.iter()), [Verb::Patch]);
        let left = &decision.sequels[0].stages;
        assert_eq!(
            verbs(&mut left.iter().map(|stage| &stage.write)),
            [Verb::Delete]
        );
    }
}

#[test]
fn what_comes_behind_what_is_asked_for_is_known_with_it() {
    let steps = "{patch: [{path: $.metadata.labels.done, set: 'yes'}]}, {event: {reason: A, message: a}}, {patch: [{path: $.data.b, set: x}]}, {event: {reason: B, message: b}}, {event: {reason: C, message: c}, after: 1h}";
    let tests = "where: [{path: $.metadata.labels.done, operator: DoesNotExist}], ";
    let set = rules(CONFIG_MAP, &[("told", tests, steps)]);
    let decision = Given::new(&set).pass(&config_map(json!({"a": "1"})));
    assert_eq!(decision.writes.len(), 1);
    assert_eq!(decision.others.len(), 1);
    let left = decision.sequels[0].stages.iter();
    let left: Vec<(bool, Verb)> = left
        .map(|stage| (stage.own, stage.write.operation.verb()))
        .collect();
    // What waits for its time is part of the match.
    assert_eq!(
        left,
        [
            (false, Verb::Event),
            (true, Verb::Patch),
            (false, Verb::Event)
        ]
    );
}

#[test]
fn status_is_a_write_of_its_own() {
    let set = rules(
        DEPLOYMENT,
        &[
            ("main", "", "{patch: [{path: $.spec.replicas, set: 2}]}"),
            (
                "status",
                "",
                "{patch: [{path: $.status.replicas, set: 3}], subresource: status}",
            ),
        ],
    );
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"}});
    let decision = Given::new(&set).pass(&object);
    let told: Vec<(bool, &str)> = decision
        .writes
        .iter()
        .map(|w| match &w.operation {
            Operation::Patch { status, .. } => (*status, &*w.rules[0]),
            _ => panic!("{w:?}"),
        })
        .collect();
    assert_eq!(told, [(false, "main"), (true, "status")]);
    let expected = |at: usize| tree(&decision.writes[at].expected);
    assert_eq!(
        (&expected(0)["spec"], &expected(0)["status"]),
        (&json!({"replicas": 2}), &Value::Null)
    );
    assert_eq!(
        (&expected(1)["spec"], &expected(1)["status"]),
        (&Value::Null, &json!({"replicas": 3}))
    );
}

#[test]
fn a_step_that_fails_is_undone_and_ends_its_list_and_no_other() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "bad",
                "",
                "{patch: [{path: $.data.a, set: x}, {path: $.data.b, set: \"${object.data.gone}\"}]}",
            ),
            ("good", "", "{patch: [{path: $.data.c, set: x}]}"),
            (
                "half",
                "",
                "{patch: [{path: $.data.h, set: x}]}, {patch: [{path: $.data.i, set: x}, {path: $.data.j, set: \"${object.data.gone}\"}]}, {patch: [{path: $.data.k, set: x}]}",
            ),
            (
                "waits",
                "",
                "{patch: [{path: $.data.e, set: x}]}, {patch: [{path: $.data.d, set: \"${namespaceObject.metadata.name}\"}]}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(data(&decision), json!({"c": "x", "h": "x"}));
    assert_eq!(
        reasons(&decision),
        [
            ("bad".to_owned(), Reason::ExpressionFailed),
            ("half".to_owned(), Reason::ExpressionFailed),
            ("waits".to_owned(), Reason::Waiting)
        ]
    );
    assert_eq!(
        standings(&decision),
        [Standing::Failed, ACTS, ACTS, Standing::Waiting]
    );
}

#[test]
fn a_step_that_was_undone_has_not_acted() {
    let step = "{forEach: \"${['one', 'two']}\", once: {}, patch: [{path: $.data, merge: {\"out-${item}\": \"${object.data['in-' + item]}\"}}]}";
    let set = rules(
        CONFIG_MAP,
        &[(
            "copies",
            "",
            &format!("{{patch: [{{path: $.metadata.labels.first, set: a}}]}}, {step}"),
        )],
    );
    let half = Given::new(&set).pass(&config_map(json!({"in-one": "1"})));
    assert_eq!(
        reasons(&half),
        [("copies".to_owned(), Reason::ExpressionFailed)]
    );
    assert_eq!(data(&half), json!({"in-one": "1"}));
    assert_eq!(half.writes[0].acts, []);
    let places = |decision: &Decision| -> Vec<String> {
        let wanted = decision.writes[0].wanted.iter().flat_map(|all| all.iter());
        wanted.map(|of| of.claim.pointer.to_string()).collect()
    };
    assert_eq!(places(&half), ["/metadata/labels/first"]);
    let whole = Given::new(&set).pass(&config_map(json!({"in-one": "1", "in-two": "2"})));
    assert_eq!(whole.writes[0].acts.len(), 2);
    // What is so already counts as done, unless the step fails later on.
    let so = json!({"in-one": "1", "out-one": "1"});
    assert_eq!(Given::new(&set).pass(&config_map(so)).notes, []);
    // A step before the one that fails has acted, though there was nothing for it to do.
    let set = rules(
        CONFIG_MAP,
        &[(
            "copies",
            "",
            &format!("{{once: {{}}, patch: [{{path: \"$.data['in-one']\", set: '1'}}]}}, {step}"),
        )],
    );
    let noted = Given::new(&set).pass(&config_map(json!({"in-one": "1"})));
    assert_eq!(
        (noted.notes.len(), standings(&noted)),
        (1, vec![Standing::Failed])
    );
}

#[test]
fn what_another_installation_has_done_is_not_taken_for_ones_own() {
    let set = rules(
        CONFIG_MAP,
        &[("again", "", "{once: {}, patch: [{path: $.data.a, set: x}]}")],
    );
    let by = |by: &str| {
        let said = json!({"version": 1, "uid": "u-1", "by": by, "once": {"patch": {"nth": 0, "at": "2025-12-31T00:00:00Z"}}});
        annotated(
            &crate::decide::state_annotation::names("again")[0],
            &said.to_string(),
        )
    };
    let own = Given::new(&set).pass(&by("ordain"));
    assert_eq!((standings(&own), own.findings), (vec![MATCHES], vec![]));
    let object = by("another");
    let others = Given::new(&set).pass(&object);
    let [finding] = others.findings.as_slice() else {
        panic!("{:?}", others.findings)
    };
    assert!(
        finding
            .message
            .contains("installation of namespace another"),
        "{finding:?}"
    );
    let object = Record::from_value(&object);
    let told = |by: &str| crate::decide::in_annotation(&object, "again", by).len();
    assert_eq!((told("another"), told("ordain")), (1, 0));
}

#[test]
fn a_value_that_cannot_be_read_is_counted() {
    let set = rules(
        CONFIG_MAP,
        &[(
            "a",
            "where: [{path: $.data.q, as: quantity, operator: GreaterThan, value: 1Gi}], ",
            "{warn: {message: large}}",
        )],
    );
    let decision = Given::new(&set).pass(&config_map(json!({"q": "much"})));
    assert_eq!(standings(&decision), [Standing::Unmatched]);
    assert_eq!(decision.wrong_types.len(), 1);
    assert!(!decision.wrong_types[0].1.contains("much"));
}

#[test]
fn warnings_are_rendered_and_stay_with_what_the_rule_itself_changed() {
    let set = rules(
        CONFIG_MAP,
        &[
            (
                "a",
                "where: [{path: $.data.a, operator: DoesNotExist}], ",
                "{warn: {message: \"no a in ${object.metadata.name}\"}}, {patch: [{path: $.data.a, set: x}]}",
            ),
            (
                "b",
                "priority: 1, where: [{path: $.data.a, operator: DoesNotExist}], ",
                "{warn: {message: not yet}}",
            ),
        ],
    );
    let decision = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(reasons(&decision), [("a".to_owned(), Reason::Warning)]);
    assert_eq!(decision.findings[0].message, "no a in c");
}

#[test]
fn the_patch_is_as_small_as_the_change() {
    let set = rules(
        CONFIG_MAP,
        &[("a", "", "{patch: [{path: $.data.b, remove: true}]}")],
    );
    let decision = Given::new(&set).pass(&config_map(json!({"a": "1", "b": "2"})));
    let Operation::Patch {
        operations,
        status: false,
    } = &decision.writes[0].operation
    else {
        panic!()
    };
    let [_, PatchOperation::Remove(remove)] = operations.as_slice() else {
        panic!("{operations:?}")
    };
    assert_eq!(remove.path.as_str(), "/data/b");
}

#[test]
fn an_object_is_due_for_every_rule_that_would_delete_it() {
    let rules = rules(
        CONFIG_MAP,
        &[
            ("first", "priority: 1, ", "{delete: {}}"),
            (
                "second",
                "",
                "{patch: [{path: $.data.a, set: b}]}, {delete: {}}",
            ),
            ("third", "", "{patch: [{path: $.data.a, set: c}]}"),
        ],
    );
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "n", "name": "a", "uid": "u-1", "resourceVersion": "7"}});
    let decision = Given::new(&rules).pass(&object);
    let standings: Vec<Standing> = decision.standings.into_iter().map(|(_, s)| s).collect();
    let acts = |acts| Standing::Matched { acts };
    assert_eq!(standings, [acts(true), acts(true), acts(false)]);
    assert_eq!(decision.writes.len(), 1);
    assert_eq!(&*decision.writes[0].rules[0], "first");
    let authors: Vec<&str> = decision.changes.iter().map(|c| &*c.rule).collect();
    assert_eq!(authors, ["first"]);
}
