//! What is remembered of the server's answers.

use super::*;

/// What comes of an edit on an object that is `later` as it says, after it was made on one without anything and answered with `answer`.
fn later(kind: (&str, &str), edit: &str, answer: Value, later: Value) -> Planned {
    let rule = rule(kind, edit);
    let before = object(kind, json!({"metadata": {"name": "a"}}));
    after(&rule, &before, &object(kind, answer), &object(kind, later))
}

fn after(rule: &Rule, before: &Value, answer: &Value, later: &Value) -> Planned {
    let asked = make(rule, before);
    assert!(asked.planned.changes(), "nothing was asked for");
    let answer = Record::from_value(answer);
    let group = answer.meta().api_version();
    let group = group.split_once('/').map_or("", |(g, _)| g);
    let schema = Schema::bundled().kind(&GroupKind::new(group, answer.meta().kind()));
    let mut answers = Answers::default();
    answers.learn(asked.planned.claims.iter(), &answer, schema.as_deref());
    let made = try_answered(rule, later, &[], Some(&answers)).unwrap();
    made.planned
}

#[test]
fn what_was_answered_is_not_asked_for_again() {
    let ports = json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]);
    let spec = |ports: &Value, more: &str| json!({"metadata": {"labels": {"n": more}}, "spec": {"ports": ports}});
    for edit in [
        "{path: $.spec.ports, set: [{port: 80}]}",
        "{path: $.spec.ports, default: [{port: 80}]}",
        "{path: $.spec, merge: {ports: [{port: 80}]}}",
        "{path: $.spec, default: {ports: [{port: 80}]}}",
        "{path: $.spec.ports, upsert: [{port: 80}]}",
    ] {
        let planned = later(SERVICE, edit, spec(&ports, "1"), spec(&ports, "2"));
        assert!(!planned.changes(), "{edit}");
        assert_eq!(planned.overruled, None, "{edit}: completed, no more");
        let kept = edit.contains("default");
        assert!(
            kept || !planned.claims.is_empty(),
            "{edit}: it is wanted still"
        );
    }
}

#[test]
fn what_somebody_else_changes_is_put_right() {
    let answer = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}});
    let edit = "{path: $.spec.ports, set: [{port: 80}]}";
    for ports in [
        json!([{"port": 80, "protocol": "TCP", "targetPort": 8080}]),
        json!([{"port": 80, "protocol": "TCP", "targetPort": 80, "name": "x"}]),
        json!([{"port": 80, "protocol": "TCP", "targetPort": 80}, {"port": 81}]),
        json!([]),
        json!([{"port": 80, "protocol": "UDP", "targetPort": 80}]),
    ] {
        let later = later(
            SERVICE,
            edit,
            answer.clone(),
            json!({"spec": {"ports": ports}}),
        );
        assert!(later.changes(), "{ports}");
    }
}

#[test]
fn what_is_no_part_of_an_upsert_is_nothing_to_it() {
    let edit = "{path: $.spec.ports, upsert: [{name: web, port: 80, appProtocol: HTTP}]}";
    let port = |app: &str, target: i64| json!({"spec": {"ports": [{"name": "web", "port": 80, "appProtocol": app, "targetPort": target}]}});
    let same = later(SERVICE, edit, port("http", 80), port("http", 9));
    assert!(!same.changes());
    assert!(same.overruled.is_some());
    assert!(later(SERVICE, edit, port("http", 80), port("https", 80)).changes());
}

#[test]
fn what_the_server_keeps_instead_is_told() {
    let labels = |labels: Value| json!({"metadata": {"labels": labels}});
    let cases = [
        (
            "{path: $.metadata.labels.team, set: UPPER}",
            labels(json!({"team": "upper"})),
            ("/metadata/labels/team", Some("UPPER"), Some("upper")),
        ),
        (
            "{path: $.metadata.labels, merge: {team: web, tier: front}}",
            labels(json!({"tier": "front"})),
            ("/metadata/labels/team", Some("web"), None),
        ),
        (
            "{path: $.metadata.finalizers, add: [example.com/a, example.com/b]}",
            json!({"metadata": {"finalizers": ["example.com/b"]}}),
            (
                "/metadata/finalizers/=example.com~1a",
                Some("example.com/a"),
                None,
            ),
        ),
    ];
    for (edit, answer, (place, wanted, kept)) in cases {
        let planned = later(CONFIG_MAP, edit, answer.clone(), answer);
        assert!(!planned.changes(), "{edit}");
        let overruled = planned.overruled.unwrap();
        assert_eq!(&*overruled.pointer, place);
        assert_eq!(overruled.wanted, wanted.map(Value::from));
        assert_eq!(overruled.kept, kept.map(Value::from));
    }
}

#[test]
fn what_the_server_puts_back_is_told() {
    let rule = rule(DEPLOYMENT, "{path: $.spec.strategy, remove: true}");
    let with = |strategy: &str| {
        object(
            DEPLOYMENT,
            json!({"spec": {"strategy": {"type": strategy}}}),
        )
    };
    let answered = with("RollingUpdate");
    let planned = after(&rule, &with("Recreate"), &answered, &answered);
    assert!(!planned.changes());
    let overruled = planned.overruled.unwrap();
    assert_eq!(overruled.wanted, None);
    assert_eq!(overruled.kept, Some(json!({"type": "RollingUpdate"})));
    assert!(after(&rule, &with("Recreate"), &answered, &with("Recreate")).changes());
}

#[test]
fn a_list_in_another_order_is_what_was_asked_for() {
    let edit = "{path: $.spec.items, set: [{a: 1}, {b: 2}, c]}";
    let answer = json!({"spec": {"items": ["c", {"b": 2, "x": 0}, {"a": 1}]}});
    let planned = later(THING, edit, answer.clone(), answer);
    assert!(!planned.changes());
    assert_eq!(planned.overruled, None);
}

#[test]
fn another_value_is_asked_for() {
    let with = |data: Value| {
        object(
            CONFIG_MAP,
            json!({"metadata": {"annotations": {"n": data["n"]}}, "data": data}),
        )
    };
    let rule = rule(
        CONFIG_MAP,
        "{path: $.data.a, set: \"A${object.metadata.annotations['n']}\"}",
    );
    let answer = with(json!({"a": "a1", "n": "1"}));
    let before = with(json!({"n": "1"}));
    assert!(!after(&rule, &before, &answer, &answer).changes());
    let another = with(json!({"a": "a1", "n": "2"}));
    assert!(after(&rule, &before, &answer, &another).changes());
}

#[test]
fn what_is_remembered_of_an_object_is_bounded() {
    let keys: Vec<String> = (0..500).map(|n| format!("k{n}: V")).collect();
    let edit = format!("{{path: $.data, merge: {{{}}}}}", keys.join(", "));
    let lower: serde_json::Map<String, Value> =
        (0..500).map(|n| (format!("k{n}"), json!("v"))).collect();
    let answer = json!({"data": lower});
    let rule = rule(CONFIG_MAP, &edit);
    let asked = make(&rule, &object(CONFIG_MAP, json!({})));
    let mut answers = Answers::default();
    let answered = Record::from_value(&object(CONFIG_MAP, answer));
    answers.learn(asked.planned.claims.iter(), &answered, None);
    assert!(format!("{answers:?}").matches("stored").count() <= 64);
}
