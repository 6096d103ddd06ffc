//! Where an edit goes.

use super::*;

fn places(path: &str, value: &Value) -> Vec<(String, Option<usize>, bool)> {
    let record = Record::from_value(value);
    Path::parse(path)
        .unwrap()
        .places(record.root(), Some(&[]))
        .into_iter()
        .map(|p| {
            let hops: Vec<String> = p
                .location
                .iter()
                .map(|h| match h {
                    Hop::Name(n) => n.to_string(),
                    Hop::Index(i) => i.to_string(),
                })
                .collect();
            (hops.join("/"), p.item, p.present)
        })
        .collect()
}

#[test]
fn an_edit_knows_its_places() {
    let pod = json!({"metadata": {"labels": null}, "spec": {"containers": [{"name": "a", "env": [{"name": "X"}]}, {"name": "b"}],
        "initContainers": [{"name": "i"}], "ephemeralContainers": [{"name": "e"}]}});
    assert_eq!(
        places("$.metadata.labels.team", &pod),
        [("metadata/labels/team".to_owned(), None, false)]
    );
    assert_eq!(
        places("$containers[*].resources.limits", &pod),
        [
            (
                "spec/containers/0/resources/limits".to_owned(),
                Some(3),
                false
            ),
            (
                "spec/containers/1/resources/limits".to_owned(),
                Some(3),
                false
            ),
            (
                "spec/initContainers/0/resources/limits".to_owned(),
                Some(3),
                false
            )
        ]
    );
    assert_eq!(
        places("$.spec.containers[?@.name == 'b'].name", &pod),
        [("spec/containers/1/name".to_owned(), Some(3), true)]
    );
    assert_eq!(
        places("$.spec.containers[*].env[*].value", &pod),
        [("spec/containers/0/env/0/value".to_owned(), Some(5), false)]
    );
    assert_eq!(places("$.spec.volumes[*].name", &pod), []);
    assert_eq!(
        places("$.spec.containers[-1].image", &pod),
        [("spec/containers/1/image".to_owned(), Some(3), false)]
    );
    assert_eq!(places("$..name", &pod), []);
}

#[test]
fn an_edit_by_several_names_may_create_each() {
    let value = json!({"spec": {"a": 1, "list": [null, {"x": 1}]}});
    assert_eq!(
        places("$.spec['a','b']", &value),
        [
            ("spec/a".to_owned(), None, true),
            ("spec/b".to_owned(), None, false)
        ]
    );
    assert_eq!(
        places("$.spec.list[*].y", &value),
        [("spec/list/1/y".to_owned(), Some(3), false)]
    );
    assert_eq!(
        places("$.spec.list[1,-1]", &value),
        [("spec/list/1".to_owned(), Some(3), true)]
    );
    assert_eq!(
        places("$.spec.list[::-1].x", &value),
        [("spec/list/1/x".to_owned(), Some(3), true)]
    );
}
