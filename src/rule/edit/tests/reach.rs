//! Where an edit reaches, and where it leaves off: lists, items, fields fixed at creation, endpoints.

use super::*;

#[test]
fn edits_reach_into_lists_and_leave_ephemeral_containers_out() {
    let spec = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers, "initContainers": [{"name": "i"}], "ephemeralContainers": [{"name": "e"}]}}}});
    let rule = rule(
        DEPLOYMENT,
        "{path: '$containers[*].resources.limits.memory', default: 128Mi}",
    );
    let before = object(
        DEPLOYMENT,
        spec(
            json!([{"name": "a"}, {"name": "b", "resources": {"limits": {"memory": "1Gi"}}}, {"name": "c", "resources": "x"}]),
        ),
    );
    let made = make(&rule, &before);
    let pod = &made.after["spec"]["template"]["spec"];
    let limits = json!({"limits": {"memory": "128Mi"}});
    assert_eq!(pod["containers"][0]["resources"], limits);
    assert_eq!(pod["containers"][1]["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(pod["containers"][2]["resources"], "x");
    assert_eq!(pod["initContainers"][0]["resources"], limits);
    assert_eq!(pod["ephemeralContainers"][0], json!({"name": "e"}));
    assert_eq!(
        made.planned.findings,
        [(
            Hindrance::WrongType,
            "/spec/template/spec/containers/name=c/resources is not a map".to_owned()
        )]
    );
}

#[test]
fn where_tests_the_item_and_on_a_plain_path_the_object() {
    let pods = |a: &str, b: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": a}, {"name": "b", "image": b}]}}}});
    table(
        DEPLOYMENT,
        "{path: '$containers[*].image', where: [{path: $.image, as: image.registry, value: docker.io}], set: \"${image(current).with('registry', 'm.io')}\"}",
        vec![
            (
                pods("nginx:1", "quay.io/x:1"),
                Becomes(pods("m.io/nginx:1", "quay.io/x:1")),
            ),
            (pods("m.io/nginx:1", "quay.io/x:1"), Stays),
        ],
    );
    table(
        DEPLOYMENT,
        "{path: '$containers[*].imagePullPolicy', where: [{path: $.name, value: a}], set: \"${item.name == 'a' ? 'Always' : 'Never'}\"}",
        vec![(
            pods("x", "y"),
            Becomes(
                json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "x", "imagePullPolicy": "Always"}, {"name": "b", "image": "y"}]}}}}),
            ),
        )],
    );
    table(
        DEPLOYMENT,
        "{path: $.spec.replicas, where: [{path: $.metadata.name, value: web}], set: 2}",
        vec![
            (
                json!({"metadata": {"name": "web"}}),
                Becomes(json!({"metadata": {"name": "web"}, "spec": {"replicas": 2}})),
            ),
            (json!({"metadata": {"name": "other"}}), Stays),
        ],
    );
}

#[test]
fn an_edit_that_uses_current_skips_where_there_is_none() {
    table(
        DEPLOYMENT,
        "{path: $.metadata.labels.team, set: \"${replaceRegex(current, 'a', 'b')}\"}",
        vec![
            (json!({"metadata": {}}), Stays),
            (json!({"metadata": {"labels": {"team": null}}}), Stays),
            (
                json!({"metadata": {"labels": {"team": "a"}}}),
                Becomes(json!({"metadata": {"labels": {"team": "b"}}})),
            ),
        ],
    );
}

#[test]
fn none_drops_the_edit_and_a_fault_fails_it() {
    table(
        DEPLOYMENT,
        "{path: $.metadata.labels.team, set: \"${object.metadata.?annotations.?team}\"}",
        vec![
            (json!({"metadata": {}}), Stays),
            (
                json!({"metadata": {"annotations": {"team": "a"}}}),
                Becomes(
                    json!({"metadata": {"annotations": {"team": "a"}, "labels": {"team": "a"}}}),
                ),
            ),
        ],
    );
    let rule = rule(
        DEPLOYMENT,
        "{path: $.metadata.labels.team, set: \"${object.metadata.annotations.team}\"}",
    );
    let before = object(DEPLOYMENT, json!({"metadata": {"annotations": {}}}));
    assert!(matches!(
        try_make(&rule, &before, &[]).err(),
        Some(ExprFault::Absent(_))
    ));
}

#[test]
fn fields_fixed_at_creation_are_left_out_with_one_finding() {
    table(
        CONFIG_MAP,
        "{path: $.data.a, set: x}",
        vec![
            (
                json!({"immutable": true, "data": {}}),
                Finds(Hindrance::ImmutableField),
            ),
            (json!({"immutable": true, "data": {"a": "x"}}), Stays),
            (
                json!({"immutable": false}),
                Becomes(json!({"immutable": false, "data": {"a": "x"}})),
            ),
        ],
    );
    table(
        CONFIG_MAP,
        "{path: $.metadata.labels.a, set: x}",
        vec![(
            json!({"immutable": true}),
            Becomes(json!({"immutable": true, "metadata": {"labels": {"a": "x"}}})),
        )],
    );
    // A value that differs in what is fixed and in what is not.
    let rule = rule(
        POD,
        "{path: '$containers[*]', merge: {image: 'x:2', tty: true}}",
    );
    let pod = |image: &str, tty: bool| {
        object(
            POD,
            json!({"spec": {"containers": [{"name": "a", "image": image, "tty": tty}]}}),
        )
    };
    let made = make(&rule, &pod("x:1", true));
    assert_eq!(made.after, pod("x:2", true));
    let made = make(&rule, &pod("x:1", false));
    assert_eq!(made.after, pod("x:1", false));
    assert_eq!(made.planned.findings.len(), 1);
    assert_eq!(made.planned.findings[0].0, Hindrance::ImmutableField);
}

#[test]
fn finished_jobs_are_not_edited_below_their_pod() {
    let job = |condition: &str, ttl: Value| {
        object(
            JOB,
            json!({"spec": {"ttlSecondsAfterFinished": ttl, "suspend": true, "template": {"metadata": {"labels": {"a": "b"}}}},
                   "status": {"conditions": [{"type": condition, "status": "True"}]}}),
        )
    };
    let made = rule(JOB, "{path: $.spec.ttlSecondsAfterFinished, set: 60}");
    assert_eq!(
        make(&made, &job("Complete", json!(1))).after,
        job("Complete", json!(60))
    );
    let labels = rule(
        ("batch/v1", "CronJob"),
        "{path: $pod.metadata.labels.a, set: c}",
    );
    for condition in ["Complete", "Failed"] {
        let before = job(condition, json!(1));
        let made = make(&labels, &before);
        assert_eq!(made.after, before);
        assert!(made.planned.findings.is_empty());
    }
}

#[test]
fn each_endpoint_writes_only_its_own_part() {
    let rule = rule(DEPLOYMENT, "{path: $.metadata, merge: {labels: {a: b}}}");
    let (edit, _) = parts(&rule);
    let before = object(DEPLOYMENT, json!({"metadata": {"name": "a"}}));
    let record = Record::from_value(&before);
    let scope = Scope {
        object: record.root(),
        found: None,
        pod: None,
        namespace_object: NamespaceObject::None,
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        item: None,
        applied: None,
        current: None,
        variables: None,
        request: None,
        other: None,
        schedule_start: None,
        previous: None,
    };
    let context = EditContext {
        fixed: FixedFields::Told,
        schema: None,
        endpoint: Endpoint::Status,
        barred: &[],
        answers: None,
    };
    assert!(!plan(edit, &scope, &context).unwrap().changes());
}

#[test]
fn claims_name_elements_by_their_keys_and_barred_ones_are_left_out() {
    let app = |image: &str| {
        object(
            DEPLOYMENT,
            json!({"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "b", "image": image}]}}}}),
        )
    };
    let pointers = |rule: &Rule, before: &Value| -> Vec<String> {
        make(rule, before)
            .planned
            .claims
            .iter()
            .map(|c| c.pointer.to_string())
            .collect()
    };
    let image = rule(
        DEPLOYMENT,
        "{path: \"$containers[?@.name == 'b'].image\", set: 'y:1'}",
    );
    let place = "/spec/template/spec/containers/name=b/image";
    assert_eq!(pointers(&image, &app("x:1")), [place]);
    assert_eq!(pointers(&image, &app("y:1")), [place]);
    let upsert = rule(
        DEPLOYMENT,
        "{path: $pod.spec.containers, upsert: [{name: b, image: 'y:1'}, {name: c}]}",
    );
    let barred: [Box<str>; 1] = ["/spec/template/spec/containers/name=b".into()];
    assert_eq!(pointers(&upsert, &app("x:1"))[..1], [barred[0].to_string()]);
    let made = try_make(&upsert, &app("x:1"), &barred).unwrap();
    let containers = &made.after["spec"]["template"]["spec"]["containers"];
    assert_eq!(
        *containers,
        json!([{"name": "a"}, {"name": "b", "image": "x:1"}, {"name": "c"}])
    );
    let merge = rule(
        DEPLOYMENT,
        "{path: $.metadata, merge: {labels: {\"a/b\": x, c: null}}}",
    );
    let before = object(DEPLOYMENT, json!({"metadata": {"labels": {"c": "d"}}}));
    assert_eq!(
        pointers(&merge, &before),
        ["/metadata/labels/a~1b", "/metadata/labels/c"]
    );
    let made = try_make(&merge, &before, &["/metadata/labels/c".into()]).unwrap();
    assert_eq!(
        made.after["metadata"]["labels"],
        json!({"c": "d", "a/b": "x"})
    );
    let add = rule(DEPLOYMENT, "{path: $.metadata.finalizers, add: [a/b]}");
    assert_eq!(pointers(&add, &before), ["/metadata/finalizers/=a~1b"]);
}
