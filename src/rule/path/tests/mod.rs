#![allow(clippy::unwrap_used, clippy::panic)]
mod check;
mod places;
mod refused;
mod standard;

use super::*;
use crate::object::Record;
use proptest::prelude::*;
use serde_json::{Value, json};

fn selected(path: &str, value: &Value) -> Vec<Value> {
    selected_in(path, value, Some(&[]))
}

fn selected_in(path: &str, value: &Value, pod: PodPrefix) -> Vec<Value> {
    let record = Record::from_value(value);
    let mut out = vec![];
    Path::parse(path)
        .unwrap_or_else(|p| panic!("{path}: {p:?}"))
        .select(record.root(), pod, &mut |n| {
            out.push(n.to_value());
            true
        });
    out
}

#[test]
fn roots_follow_the_kind() {
    let pod = json!({"spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}], "ephemeralContainers": [{"name": "e"}]}});
    assert_eq!(
        json!(selected("$containers[*].name", &pod)),
        json!(["a", "i", "e"])
    );
    assert_eq!(
        json!(selected("$containers[?@.name == 'i'].name", &pod)),
        json!(["i"])
    );
    assert_eq!(
        json!(selected("$pod.spec.containers[0].name", &pod)),
        json!(["a"])
    );
    let deployment = json!({"spec": {"template": pod}});
    assert_eq!(
        json!(selected_in(
            "$pod..name",
            &deployment,
            Some(&["spec", "template"])
        )),
        json!(["a", "i", "e"])
    );
    assert_eq!(
        json!(selected_in("$containers[*].name", &deployment, None)),
        json!([])
    );
}

#[test]
fn null_is_absent() {
    let value = json!({"a": null, "l": [null, 1], "m": [{"x": null}, {"x": 1}]});
    assert_eq!(json!(selected("$.a", &value)), json!([]));
    assert_eq!(json!(selected("$.l[*]", &value)), json!([1]));
    assert_eq!(json!(selected("$.m[?@.x].x", &value)), json!([1]));
    assert_eq!(json!(selected("$.m[?!@.x]", &value)), json!([{"x": null}]));
}

#[test]
fn large_integers_are_compared_exactly() {
    let value = json!({"a": [9_007_199_254_740_993_i64, 9_007_199_254_740_992_i64]});
    assert_eq!(
        json!(selected("$.a[?@ == $.a[1]]", &value)),
        json!([9_007_199_254_740_992_i64])
    );
}

#[test]
fn metadata_only_is_told_apart() {
    for (path, is) in [
        ("$.metadata.labels.a", true),
        ("$.kind", true),
        ("$.metadata.ownerReferences[?@.kind == 'Job']", true),
        ("$.metadata.ownerReferences[?@.kind == $.spec.x]", false),
        ("$.spec.replicas", false),
        ("$..name", false),
        ("$pod.metadata.labels", false),
        ("$['metadata','spec']", false),
    ] {
        assert_eq!(Path::parse(path).unwrap().is_metadata_only(), is, "{path}");
    }
}
