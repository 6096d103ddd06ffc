//! Each edit: what it makes of a target that is absent, and of one that is present.

use super::*;

#[test]
fn set() {
    table(
        DEPLOYMENT,
        "{path: $.spec.replicas, set: 3}",
        vec![
            (json!({}), Becomes(json!({"spec": {"replicas": 3}}))),
            (
                json!({"spec": null}),
                Becomes(json!({"spec": {"replicas": 3}})),
            ),
            (
                json!({"spec": {"replicas": null}}),
                Becomes(json!({"spec": {"replicas": 3}})),
            ),
            (
                json!({"spec": {"replicas": 1}}),
                Becomes(json!({"spec": {"replicas": 3}})),
            ),
            (json!({"spec": {"replicas": 3}}), Stays),
            (
                json!({"spec": {"replicas": "3"}}),
                Becomes(json!({"spec": {"replicas": 3}})),
            ),
            (json!({"spec": [1]}), Finds(Hindrance::WrongType)),
        ],
    );
    table(
        THING,
        "{path: $.spec.a.b, set: {c: [1]}}",
        vec![
            (
                json!({}),
                Becomes(json!({"spec": {"a": {"b": {"c": [1]}}}})),
            ),
            (
                json!({"spec": {"a": {"x": 1}}}),
                Becomes(json!({"spec": {"a": {"x": 1, "b": {"c": [1]}}}})),
            ),
            (json!({"spec": {"a": "text"}}), Finds(Hindrance::WrongType)),
        ],
    );
}

#[test]
fn a_computed_value_of_the_wrong_type_is_a_finding() {
    table(
        DEPLOYMENT,
        "{path: $.metadata.annotations.n, set: \"${object.spec.replicas}\"}",
        vec![(
            json!({"spec": {"replicas": 3}}),
            Finds(Hindrance::WrongType),
        )],
    );
}

#[test]
fn default() {
    table(
        DEPLOYMENT,
        "{path: $.spec.strategy, default: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}}",
        vec![
            (
                json!({}),
                Becomes(
                    json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
                ),
            ),
            (
                json!({"spec": {"strategy": null}}),
                Becomes(
                    json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
                ),
            ),
            (
                json!({"spec": {"strategy": {"type": "Recreate"}}}),
                Becomes(
                    json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}}),
                ),
            ),
            (
                json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": null, "maxUnavailable": 0}}}}),
                Becomes(
                    json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}}),
                ),
            ),
            (
                json!({"spec": {"strategy": {"type": "x", "rollingUpdate": {"maxSurge": 0}}}}),
                Stays,
            ),
            (
                json!({"spec": {"strategy": {"type": "x", "rollingUpdate": "y"}}}),
                Finds(Hindrance::WrongType),
            ),
            (
                json!({"spec": {"strategy": "x"}}),
                Finds(Hindrance::WrongType),
            ),
        ],
    );
    table(
        DEPLOYMENT,
        "{path: $.metadata.labels.team, default: core}",
        vec![
            (
                json!({"metadata": {"name": "a"}}),
                Becomes(json!({"metadata": {"name": "a", "labels": {"team": "core"}}})),
            ),
            (json!({"metadata": {"labels": {"team": "web"}}}), Stays),
            (json!({"metadata": {"labels": {"team": ""}}}), Stays),
            (
                json!({"metadata": {"labels": "x"}}),
                Finds(Hindrance::WrongType),
            ),
        ],
    );
}

#[test]
fn merge() {
    table(
        CONFIG_MAP,
        "{path: $.data, merge: {a: x, b: null}}",
        vec![
            (json!({}), Becomes(json!({"data": {"a": "x"}}))),
            (json!({"data": null}), Becomes(json!({"data": {"a": "x"}}))),
            (
                json!({"data": {"b": "1", "c": "2"}}),
                Becomes(json!({"data": {"c": "2", "a": "x"}})),
            ),
            (json!({"data": {"a": "x", "c": "2"}}), Stays),
            (json!({"data": {"a": "x", "b": null}}), Stays),
            (json!({"data": "x"}), Finds(Hindrance::WrongType)),
        ],
    );
    table(
        THING,
        "{path: $.spec, merge: {deep: {list: [1], gone: null}}}",
        vec![
            (json!({}), Becomes(json!({"spec": {"deep": {"list": [1]}}}))),
            (
                json!({"spec": {"deep": {"list": [2, 3], "gone": 1, "kept": 1}}}),
                Becomes(json!({"spec": {"deep": {"list": [1], "kept": 1}}})),
            ),
            (
                json!({"spec": {"deep": "scalar"}}),
                Becomes(json!({"spec": {"deep": {"list": [1]}}})),
            ),
        ],
    );
    table(
        CONFIG_MAP,
        "{path: $.data, merge: {b: null}}",
        vec![
            (json!({}), Stays),
            (
                json!({"data": {"b": "1", "a": "2"}}),
                Becomes(json!({"data": {"a": "2"}})),
            ),
        ],
    );
}

#[test]
fn upsert() {
    let pod =
        |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    table(
        DEPLOYMENT,
        "{path: $pod.spec.containers, upsert: [{name: side, image: s:1}]}",
        vec![
            (
                pod(json!(null)),
                Becomes(pod(json!([{"name": "side", "image": "s:1"}]))),
            ),
            (
                pod(json!([{"name": "app"}])),
                Becomes(pod(
                    json!([{"name": "app"}, {"name": "side", "image": "s:1"}]),
                )),
            ),
            (
                pod(json!([{"name": "side", "image": "s:0", "tty": true}, {"name": "app"}])),
                Becomes(pod(
                    json!([{"name": "side", "image": "s:1", "tty": true}, {"name": "app"}]),
                )),
            ),
            (
                pod(json!([{"name": "app"}, {"name": "side", "image": "s:1", "tty": true}])),
                Stays,
            ),
            (pod(json!({"name": "side"})), Finds(Hindrance::WrongType)),
        ],
    );
    table(
        DEPLOYMENT,
        "{path: $pod.spec.containers, upsert: [{name: b}, {name: a}], at: Start}",
        vec![(
            pod(json!([{"name": "app"}])),
            Becomes(pod(json!([{"name": "b"}, {"name": "a"}, {"name": "app"}]))),
        )],
    );
    // The default of `protocol` counts on both sides.
    table(
        SERVICE,
        "{path: $.spec.ports, upsert: [{port: 80, name: http}]}",
        vec![
            (
                json!({"spec": {"ports": [{"port": 80}]}}),
                Becomes(json!({"spec": {"ports": [{"port": 80, "name": "http"}]}})),
            ),
            (
                json!({"spec": {"ports": [{"port": 80, "protocol": "UDP"}, {"port": 80, "protocol": "TCP"}]}}),
                Becomes(
                    json!({"spec": {"ports": [{"port": 80, "protocol": "UDP"}, {"port": 80, "protocol": "TCP", "name": "http"}]}}),
                ),
            ),
            (
                json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "http"}]}}),
                Stays,
            ),
            (
                json!({"spec": {"ports": [{"port": 80, "protocol": "UDP"}]}}),
                Becomes(
                    json!({"spec": {"ports": [{"port": 80, "protocol": "UDP"}, {"port": 80, "name": "http"}]}}),
                ),
            ),
        ],
    );
    table(
        THING,
        "{path: $.spec.l, upsert: [{a: 1, b: x, c: 2}], key: [a, b]}",
        vec![
            (
                json!({}),
                Becomes(json!({"spec": {"l": [{"a": 1, "b": "x", "c": 2}]}})),
            ),
            (
                json!({"spec": {"l": [{"a": 1, "b": "y"}, {"a": 1, "b": "x"}]}}),
                Becomes(json!({"spec": {"l": [{"a": 1, "b": "y"}, {"a": 1, "b": "x", "c": 2}]}})),
            ),
        ],
    );
}

#[test]
fn add() {
    table(
        DEPLOYMENT,
        "{path: $.metadata.finalizers, add: [example.com/a, example.com/b]}",
        vec![
            (
                json!({"metadata": {}}),
                Becomes(json!({"metadata": {"finalizers": ["example.com/a", "example.com/b"]}})),
            ),
            (
                json!({"metadata": {"finalizers": null}}),
                Becomes(json!({"metadata": {"finalizers": ["example.com/a", "example.com/b"]}})),
            ),
            (
                json!({"metadata": {"finalizers": ["example.com/b", "c"]}}),
                Becomes(
                    json!({"metadata": {"finalizers": ["example.com/b", "c", "example.com/a"]}}),
                ),
            ),
            (
                json!({"metadata": {"finalizers": ["example.com/b", "x", "example.com/a"]}}),
                Stays,
            ),
            (
                json!({"metadata": {"finalizers": "x"}}),
                Finds(Hindrance::WrongType),
            ),
        ],
    );
    table(
        THING,
        "{path: $.spec.l, add: [2], at: Start}",
        vec![
            (
                json!({"spec": {"l": [1]}}),
                Becomes(json!({"spec": {"l": [2, 1]}})),
            ),
            (json!({"spec": {"l": [2.0]}}), Stays),
        ],
    );
}

#[test]
fn remove() {
    table(
        DEPLOYMENT,
        "{path: \"$.metadata.annotations['a/b']\", remove: true}",
        vec![
            (json!({}), Stays),
            (json!({"metadata": {"annotations": {"a/b": null}}}), Stays),
            (json!({"metadata": {"annotations": {"c": "1"}}}), Stays),
            (
                json!({"metadata": {"annotations": {"a/b": "1", "c": "2"}}}),
                Becomes(json!({"metadata": {"annotations": {"c": "2"}}})),
            ),
            (
                json!({"metadata": {"name": "x", "annotations": {"a/b": "1"}}}),
                Becomes(json!({"metadata": {"name": "x"}})),
            ),
            (json!({"metadata": {"annotations": "x"}}), Stays),
        ],
    );
    // A struct stays, and what is above the list stays: one level.
    let affinity = |value: Value| json!({"spec": {"template": {"spec": {"affinity": value}}}});
    table(
        DEPLOYMENT,
        "{path: $pod.spec.affinity.podAffinity, remove: true}",
        vec![(
            affinity(json!({"podAffinity": {}})),
            Becomes(affinity(json!({}))),
        )],
    );
    let env = |value: Value| json!({"spec": {"template": {"spec": {"containers": [value]}}}});
    table(
        DEPLOYMENT,
        "{path: \"$containers[*].env[?@.name == 'A']\", remove: true}",
        vec![
            (
                env(json!({"name": "c", "env": [{"name": "A"}, {"name": "B"}, {"name": "A"}]})),
                Becomes(env(json!({"name": "c", "env": [{"name": "B"}]}))),
            ),
            (
                env(json!({"name": "c", "env": [{"name": "A"}]})),
                Becomes(env(json!({"name": "c"}))),
            ),
            (env(json!({"name": "c"})), Stays),
        ],
    );
    // `containers` is required.
    table(
        DEPLOYMENT,
        "{path: \"$containers[?@.name == 'c']\", remove: true}",
        vec![(
            env(json!({"name": "c"})),
            Becomes(json!({"spec": {"template": {"spec": {"containers": []}}}})),
        )],
    );
    let ends = rule(THING, "{path: \"$.spec.l[0,2,-1]\", remove: true}");
    let before = object(THING, json!({"spec": {"l": [1, 2, 3]}}));
    assert_eq!(make(&ends, &before).after["spec"], json!({"l": [2]}));
}
