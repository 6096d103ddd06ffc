#![allow(clippy::unwrap_used)]
use super::fields::{agrees, hash, lay_over, places, take_away, value_at};
use super::ownership::{Ownership, annotation};
use super::*;
use crate::object::Gvk;

fn pod() -> Arc<crate::schema::KindSchema> {
    let schema = Schema::bundled();
    schema.kind_at(&Gvk::from_api_version("v1", "Pod")).unwrap()
}

fn live() -> Value {
    json!({"metadata": {"name": "a", "labels": {"x": "1", "y": "2"}, "finalizers": ["f/a", "f/b"]},
    "spec": {"containers": [
        {"name": "app", "image": "app:1", "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {"limits": {"cpu": "1"}}, "args": ["a", "b"]},
        {"name": "log", "image": "log:1"}
    ]}})
}

#[test]
fn what_a_manifest_does_not_say_is_not_looked_at() {
    let kind = pod();
    let record = Record::from_value(&live());
    for (manifest, expected) in [
        (json!({"metadata": {"labels": {"x": "1"}}}), true),
        (json!({"metadata": {"labels": {"x": "2"}}}), false),
        (json!({"metadata": {"labels": {"z": "1"}}}), false),
        (json!({"metadata": {"finalizers": ["f/b"]}}), true),
        (json!({"metadata": {"finalizers": ["f/c"]}}), false),
        (
            json!({"spec": {"containers": [{"name": "log", "image": "log:1"}]}}),
            true,
        ),
        (
            json!({"spec": {"containers": [{"name": "log", "image": "log:2"}]}}),
            false,
        ),
        (
            json!({"spec": {"containers": [{"name": "new", "image": "log:1"}]}}),
            false,
        ),
        // The server fills in the protocol, and writes quantities in its own way.
        (
            json!({"spec": {"containers": [{"name": "app", "ports": [{"containerPort": 80}]}]}}),
            true,
        ),
        (
            json!({"spec": {"containers": [{"name": "app", "resources": {"limits": {"cpu": "1000m"}}}]}}),
            true,
        ),
        // A list without keys is one value.
        (
            json!({"spec": {"containers": [{"name": "app", "args": ["a", "b"]}]}}),
            true,
        ),
        (
            json!({"spec": {"containers": [{"name": "app", "args": ["a"]}]}}),
            false,
        ),
        (
            json!({"spec": {"containers": [{"name": "app", "args": ["b", "a"]}]}}),
            false,
        ),
        (json!({"spec": "text"}), false),
    ] {
        assert_eq!(
            agrees(record.root(), &manifest, kind.root()),
            expected,
            "{manifest}"
        );
        let mut laid = live();
        lay_over(&mut laid, &manifest, kind.root());
        let laid = Record::from_value(&laid);
        assert!(agrees(laid.root(), &manifest, kind.root()), "{manifest}");
    }
}

#[test]
fn places_name_elements_by_their_keys_and_can_be_taken_away() {
    let kind = pod();
    let manifest = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"a/b": "1"}, "finalizers": ["f/a"]},
        "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 80}], "args": ["x"]}]}});
    let found = places(&manifest, kind.root());
    let expected = [
        "/metadata/finalizers/=f~1a",
        "/metadata/labels/a~1b",
        "/spec/containers/name=app/args",
        "/spec/containers/name=app/name",
        "/spec/containers/name=app/ports/containerPort=80,protocol=TCP/containerPort",
    ];
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    for place in expected {
        assert!(value_at(&manifest, place, kind.root()).is_some(), "{place}");
    }
    let mut object = live();
    lay_over(&mut object, &manifest, kind.root());
    let gone: Vec<String> = expected
        .iter()
        .filter(|p| !p.ends_with("/name"))
        .map(|p| (*p).to_owned())
        .collect();
    take_away(&mut object, &gone, kind.root());
    for place in &gone {
        assert_eq!(value_at(&object, place, kind.root()), None, "{place}");
    }
    assert_eq!(object["metadata"]["labels"], json!({"x": "1", "y": "2"}));
    assert_eq!(
        object["spec"]["containers"][1],
        live()["spec"]["containers"][1]
    );
    assert_ne!(hash(&found), hash(&places(&live(), kind.root())));
}

#[test]
fn an_element_goes_whichever_of_its_fields_comes_first() {
    let schema = Schema::bundled();
    let service = schema.kind_at(&Gvk::from_api_version("v1", "Service"));
    let service = service.unwrap();
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "https", "port": 443, "targetPort": 8443}
    ]);
    let whole = json!({"spec": {"ports": ports}});
    let second: Vec<String> = places(&whole, service.root())
        .into_iter()
        .filter(|place| place.contains("=443"))
        .collect();
    assert_eq!(second.len(), 3, "{second:?}");
    let mut object = whole.clone();
    take_away(&mut object, &second, service.root());
    assert_eq!(object, json!({"spec": {"ports": [ports[0]]}}));
    // What somebody else says of the element keeps it, and its keys.
    let mut object = whole.clone();
    object["spec"]["ports"][1]["appProtocol"] = json!("h2c");
    take_away(&mut object, &second, service.root());
    assert_eq!(
        object["spec"]["ports"][1],
        json!({"port": 443, "appProtocol": "h2c"})
    );
    let mut object = whole.clone();
    let all: Vec<String> = places(&whole, service.root()).into_iter().collect();
    take_away(&mut object, &all, service.root());
    assert_eq!(object, json!({}));
}

#[test]
fn the_annotation_is_void_on_another_object() {
    let key = |name: &str| ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("shop"), name);
    let subject = ObjectKey::new(GroupKind::new("apps", "Deployment"), Some("shop"), "web");
    let said = Ownership {
        subjects: vec![(subject.clone(), "u-1".into())],
        more: false,
        fields: 255,
        passing: true,
        by: "ordain".into(),
        once: json!({"apply@u-1": {"nth": 1}})
            .as_object()
            .unwrap()
            .clone(),
    };
    let object = |name: &str, text: &str| {
        Record::from_value(
            &json!({"metadata": {"name": name, "annotations": {annotation("r"): text}}}),
        )
    };
    let text = said.clone().write(&key("a"));
    let record = object("a", &text);
    assert_eq!(
        Ownership::read(record.meta(), "r", &key("a")),
        Some(said.clone())
    );
    assert!(said.names(&subject, "u-1") && !said.names(&subject, "u-2"));
    assert_eq!(Ownership::read(record.meta(), "r", &key("b")), None);
    assert_eq!(Ownership::read(record.meta(), "other", &key("a")), None);
    for odd in ["", "{}", "[1]", "{\"object\": 3}", "not json"] {
        let record = object("a", odd);
        assert_eq!(
            Ownership::read(record.meta(), "r", &key("a")),
            None,
            "{odd}"
        );
    }
    let many = Ownership {
        subjects: (0..600)
            .map(|n| (key(&n.to_string()), "u".into()))
            .collect(),
        ..Ownership::default()
    };
    let record = object("a", &many.write(&key("a")));
    let read = Ownership::read(record.meta(), "r", &key("a")).unwrap();
    assert!(read.more && read.subjects.len() == 500 && read.names(&subject, "u-1"));
}

#[test]
fn a_copy_leaves_out_what_is_the_original_s_own() {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"uid": "o"}], "finalizers": ["f/a"], "labels": {"keep": "me"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "state.ordain.dev/r": "{}",
                "ordain.dev/ignore": "false", "shop.example/kept": "yes", "plain": "too"},
        },
        "data": {"a": "1"}, "status": {"phase": "x"},
    });
    let expected = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "a", "labels": {"keep": "me"}, "annotations": {"shop.example/kept": "yes", "plain": "too"}},
        "data": {"a": "1"},
    });
    assert_eq!(copy_of(object), expected);
    let bare = json!({"kind": "X", "metadata": {"name": "a", "annotations": {"ordain.dev/ignore": "true"}}});
    assert_eq!(
        copy_of(bare),
        json!({"kind": "X", "metadata": {"name": "a"}})
    );
}

#[test]
fn a_name_leads_to_no_other_place() {
    for (name, good) in [
        ("a", true),
        ("system:node", true),
        ("a.b-c", true),
        ("..", false),
        (".", false),
        ("../../kube-system/configmaps/coredns", false),
        ("a%2Fb", false),
    ] {
        assert_eq!(is_path_segment(name), good, "{name}");
    }
    assert!(!is_path_segment(&"a".repeat(254)));
}
