#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::object::{Key, symbol};
use proptest::prelude::*;
use serde_json::{Map, json};

fn pod() -> Value {
    json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7", "labels": {"app": "web"},
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]},
        "spec": {"containers": [{"name": "app", "image": "nginx", "ports": [{"containerPort": 80}]}], "priority": -5, "big": u64::MAX},
        "status": null})
}

#[test]
fn managed_fields_are_dropped_and_everything_else_comes_back() {
    let text = serde_json::to_vec(&pod()).unwrap();
    let mut expected = pod();
    expected["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    assert_eq!(Record::from_json(&text, None).unwrap().to_value(), expected);
    assert_eq!(Record::from_value(&pod()).to_value(), expected);
    assert_eq!(
        Record::from_json(&text, None).unwrap(),
        Record::from_value(&pod())
    );
}

#[test]
fn what_one_text_foresees_does_not_change_how_the_next_is_read() {
    let gvk = Gvk::from_api_version("v1", "Pod");
    let mut encoder = Encoder::default();
    let texts = [
        r#"{"kind":"Pod","metadata":{"name":"a","managedFields":[1],"labels":{"a":"b"}},"x":{"kind":"K","name":"y"}}"#,
        r#"{ "kind" : "Pod" , "metadata" : { "managedFields" : [ 1 ] , "name" : "a", "na" : 1, "names":2, "na\"me": 3 } }"#,
        r#"{"kind":"Pod","x":{"kind":{"managedFields":2},"metadata":{"managedFields":3}},"metadata":{"name":"a"}}"#,
        r#"{"metadata":{"labels":{"kind":"x","managedFields":"y","a":"b"}},"apiVersion":"v1"}"#,
    ];
    for text in texts.iter().cycle().take(16) {
        for gvk in [None, Some(&gvk)] {
            let mut expected: Value = serde_json::from_str(text).unwrap();
            expected["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("managedFields");
            if gvk.is_some() {
                expected["apiVersion"] = json!("v1");
                expected["kind"] = json!("Pod");
            }
            let read = encoder.from_json(text.as_bytes(), gvk).unwrap();
            assert!(read.root().equals(&expected), "{text}");
        }
    }
}

#[test]
fn only_metadata_of_the_object_loses_managed_fields() {
    let value = json!({"metadata": {"name": "a"}, "spec": {"template": {"metadata": {"managedFields": []}}}, "managedFields": 1});
    assert_eq!(Record::from_value(&value).to_value(), value);
    assert_eq!(
        Record::from_json(value.to_string().as_bytes(), None)
            .unwrap()
            .to_value(),
        value
    );
}

#[test]
fn the_kind_asked_for_wins_over_the_one_in_the_text() {
    let gvk = Gvk::from_api_version("apps/v1", "Deployment");
    let text = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a"}}"#;
    let record = Record::from_json(text, Some(&gvk)).unwrap();
    assert_eq!(
        (
            record.meta().api_version(),
            record.meta().kind(),
            record.meta().name()
        ),
        ("apps/v1", "Deployment", "a")
    );
    let record = Record::from_json(br#"{"metadata":{"name":"a"}}"#, Some(&gvk)).unwrap();
    assert_eq!(
        record.to_value(),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}})
    );
}

#[test]
fn text_that_is_no_object_is_an_error() {
    for text in ["", "[]", "1", "\"x\"", "{\"a\":", "{} x", "null"] {
        assert!(Record::from_json(text.as_bytes(), None).is_err(), "{text}");
    }
    let deep = "{\"a\":".repeat(10_000);
    assert!(Record::from_json(deep.as_bytes(), None).is_err());
}

#[test]
fn of_a_key_that_stands_twice_the_first_counts_everywhere() {
    let text = br#"{"a": 1, "spec": {"replicas": 1, "x": {}, "replicas": 2}, "a": 2}"#;
    let record = Record::from_json(text, None).unwrap();
    let once = json!({"a": 1, "spec": {"replicas": 1, "x": {}}});
    assert_eq!(record.to_value(), once);
    assert_eq!(record.root().get_str("a").unwrap().as_i64(), Some(1));
    assert_eq!(record.root().get(&Key::new("a")).unwrap().as_i64(), Some(1));
    let replicas = record.root().path(&["spec", "replicas"]).unwrap();
    assert_eq!(replicas.as_i64(), Some(1));
    // A record made of the tree is what is compared with, and written.
    assert_eq!(Record::from_value(&record.to_value()).to_value(), once);
}

#[test]
fn fields_are_found_by_key_and_by_text() {
    let record = Record::from_value(&pod());
    let root = record.root();
    assert_eq!(
        root.path(&["spec", "containers"])
            .unwrap()
            .at(0)
            .unwrap()
            .get(&Key::new("image"))
            .unwrap()
            .as_str(),
        Some("nginx")
    );
    assert_eq!(root.path(&["spec", "priority"]).unwrap().as_i64(), Some(-5));
    assert_eq!(
        root.path(&["spec", "big"]).unwrap().to_value(),
        json!(u64::MAX)
    );
    assert!(root.get_str("status").unwrap().is_null());
    assert!(root.get_str("never interned anywhere").is_none());
    assert!(root.get(&Key::new("absent")).is_none());
    assert_eq!(root.path(&["spec", "containers"]).unwrap().len(), Some(1));
    assert!(root.at(0).is_none());
}

#[test]
fn names_too_long_to_intern_are_found_all_the_same() {
    let long = "x".repeat(symbol::LONGEST + 1);
    let record = Record::from_value(&json!({ long.clone(): 1, "after": 2 }));
    assert_eq!(
        record.root().get(&Key::new(&long)).unwrap().as_i64(),
        Some(1)
    );
    assert_eq!(record.root().get_str(&long).unwrap().as_i64(), Some(1));
    assert_eq!(
        record.root().get(&Key::new("after")).unwrap().as_i64(),
        Some(2)
    );
    assert_eq!(record.to_value(), json!({ long: 1, "after": 2 }));
}

#[test]
fn a_hundred_thousand_label_keys_leave_the_fields_of_the_api_interned() {
    for batch in 0..100 {
        let labels: Map<String, Value> = (0..1000)
            .map(|i| (format!("flood-{batch}-{i}"), json!("v")))
            .collect();
        let record = Record::from_value(&json!({"metadata": {"labels": labels}}));
        assert_eq!(
            record.meta().label(&format!("flood-{batch}-999")),
            Some("v")
        );
    }
    assert!(symbol::interned() <= symbol::FREE_CAPACITY + symbol::CAPACITY);
    assert!(symbol::intern("aFieldSeenForTheFirstTimeAfterTheFlood", false).is_some());
}

#[test]
fn equality_does_not_mind_order_or_the_way_a_number_is_written() {
    let a = Record::from_value(&json!({"a": 1, "b": [1, {"x": 1, "y": 2}]}));
    assert!(
        a.root()
            .equals(&json!({"b": [1.0, {"y": 2, "x": 1}], "a": 1}))
    );
    assert_eq!(
        a,
        Record::from_value(&json!({"b": [1, {"y": 2, "x": 1}], "a": 1.0}))
    );
    for other in [
        json!({"a": 1}),
        json!({"a": 1, "b": [1]}),
        json!({"a": 2, "b": [1, {"x": 1, "y": 2}]}),
        json!({"a": 1, "c": [1, {"x": 1, "y": 2}]}),
    ] {
        assert_ne!(a, Record::from_value(&other), "{other}");
        assert!(!a.root().equals(&other), "{other}");
    }
}

#[test]
fn a_text_that_stands_in_many_objects_is_stored_once() {
    let text = |n: usize| {
        format!(
            r#"{{"metadata":{{"name":"w-{n}"}},"spec":{{"policy":"AsOftenAsNeeded","list":["AsOftenAsNeeded","not/that \"one"]}}}}"#
        )
    };
    let mut encoder = Encoder::default();
    let mut read = |n: usize| encoder.from_json(text(n).as_bytes(), None).unwrap();
    let first = read(1);
    let last = (2..100).map(&mut read).last().unwrap();
    assert!(last.size() + 20 < first.size());
    for (n, record) in [(1, &first), (99, &last)] {
        let tree: Value = serde_json::from_str(&text(n)).unwrap();
        assert_eq!(record.to_value(), tree);
        assert!(record.root().equals(&tree));
        let spec = record.root().get_str("spec").unwrap();
        let policy = spec.get_str("policy").unwrap();
        assert_eq!(policy.as_str(), Some("AsOftenAsNeeded"));
        assert_eq!(policy.len(), Some(15));
        assert_eq!(policy.kind(), NodeKind::String);
        assert_eq!(spec.get_str("list").unwrap().at(1).unwrap().len(), Some(13));
    }
    let again = Record::from_json(text(1).as_bytes(), None).unwrap();
    assert_eq!(first, again);
    assert_eq!(Record::from_value(&first.to_value()), again);
}

#[test]
fn what_secrets_hold_is_never_kept_beyond_them() {
    let text = |field: &str| {
        format!(r#"{{"metadata":{{"name":"a"}},"{field}":{{"password":"canary-of-words"}}}}"#)
    };
    let mut encoder = Encoder::default();
    let sizes: Vec<usize> = ["data", "stringData", "binaryData"]
        .into_iter()
        .flat_map(|field| (0..100).map(move |_| field))
        .map(|field| {
            encoder
                .from_json(text(field).as_bytes(), None)
                .unwrap()
                .size()
        })
        .collect();
    let (shortest, longest) = (sizes.iter().min(), sizes.iter().max());
    // The name of the field may take a byte more.
    assert!(shortest.unwrap() + 2 >= *longest.unwrap(), "{sizes:?}");
}

#[test]
fn what_is_longer_than_two_bytes_can_say_is_read_all_the_same() {
    for letters in [65_530, 65_531, 65_532, 65_533, 70_000, 200_000] {
        let text = "x".repeat(letters);
        let value = json!({"data": {"long": text, "more": {"b": 1}}, "list": [[text], 2], "after": {"a": [3]}});
        let record = Record::from_value(&value);
        assert_eq!(record.to_value(), value, "{letters}");
        assert_eq!(record.root().path(&["after", "a"]).unwrap().len(), Some(1));
        assert_eq!(record.root().get_str("list").unwrap().len(), Some(2));
        assert!(record.root().size() + 1 == record.size());
        let read = Record::from_json(value.to_string().as_bytes(), None).unwrap();
        assert_eq!(read, record);
        assert!(!record.root().get_str("data").unwrap().is_empty());
    }
}

#[test]
fn whether_rules_keep_state_on_an_object_is_known_without_a_look() {
    let carries = |annotations: Value| {
        let value = json!({"kind": "Pod", "metadata": {"name": "a", "labels": {"state.ordain.dev/r": "x"}, "annotations": annotations}});
        let record = Record::from_value(&value);
        let read = Record::from_json(value.to_string().as_bytes(), None).unwrap();
        assert_eq!(record.may_carry_state(), read.may_carry_state());
        record.may_carry_state()
    };
    assert!(carries(json!({"a": "b", "state.ordain.dev/r": "{}"})));
    assert!(carries(json!({"subject.ordain.dev/r": "{}"})));
    assert!(!carries(
        json!({"a": "state.ordain.dev/r", "ordain.dev/r": "", "state.ordain.dev": ""})
    ));
    assert!(!carries(Value::Null));
    assert!(!Record::from_value(&Value::Null).may_carry_state());
}

/// What [`Record::with`] is to do, on a tree.
fn put_into(tree: &mut Value, path: &[&str], value: &Value) -> bool {
    let Some((name, below)) = path.split_first() else {
        *tree = value.clone();
        return true;
    };
    if tree.is_null() {
        *tree = json!({});
    }
    let Some(map) = tree.as_object_mut() else {
        return false;
    };
    put_into(map.entry(*name).or_insert(Value::Null), below, value)
}

#[test]
fn a_value_is_put_in_where_nothing_is_where_something_is_and_behind_much() {
    let long = "x".repeat(70_000);
    let object = json!({"kind": "Pod", "metadata": {"name": "a", "labels": {"a": "b"}, "uid": null}, "spec": {"list": [1], "long": long}, "odd~/": 1});
    for path in [
        vec!["metadata", "labels", "a"],
        vec!["metadata", "labels", "state.ordain.dev/x"],
        vec!["metadata", "annotations", "state.ordain.dev/x"],
        vec!["metadata", "uid", "below"],
        vec!["spec", "n"],
        vec!["spec", "long"],
        vec!["spec"],
        vec!["odd~/"],
        vec!["new", "and", "newer"],
    ] {
        for value in [json!("c"), json!(7), json!({"x": [null, {}]}), json!(long)] {
            let mut tree = object.clone();
            assert!(put_into(&mut tree, &path, &value));
            let with = Record::from_value(&object).with(&path, &value).unwrap();
            assert_eq!(with.to_value(), tree, "{path:?}");
            let whole = Record::from_value(&tree);
            assert_eq!(with, whole);
            assert_eq!(with.may_carry_state(), whole.may_carry_state(), "{path:?}");
            let order = |value: &Value| value.to_string();
            assert_eq!(order(&with.to_value()), order(&tree));
        }
    }
    let record = Record::from_value(&object);
    assert!(record.with(&["spec", "list", "x"], &json!(1)).is_none());
    assert!(record.with(&["kind", "x"], &json!(1)).is_none());
    assert!(
        record
            .with(&["metadata", "managedFields"], &json!([]))
            .is_none()
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u32>().prop_map(|n| Value::from(f64::from(n) + 0.5)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec(("[a-zA-Z./]{0,8}", inner), 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_goes_in_comes_out(value in any_json()) {
        let value = json!({"spec": value});
        let record = Record::from_value(&value);
        prop_assert_eq!(record.to_value(), value.clone());
        prop_assert!(record.root().equals(&value));
        let parsed = Record::from_json(value.to_string().as_bytes(), None).unwrap();
        prop_assert_eq!(&parsed, &record);
        prop_assert_eq!(serde_json::to_value(parsed.root()).unwrap(), value);
    }

    #[test]
    fn a_value_put_in_is_as_one_put_into_the_tree(object in any_json(), value in any_json(), path in prop::collection::vec("[a-c]|spec|labels", 1..4)) {
        let mut tree = json!({"a": {"b": object.clone(), "labels": {"a": 1}}, "b": object, "spec": {"a": null}});
        let record = Record::from_value(&tree);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let with = record.with(&path, &value).map(|with| with.to_value());
        let put = put_into(&mut tree, &path, &value);
        prop_assert_eq!(with, put.then_some(tree));
    }

    #[test]
    fn text_is_read_as_serde_json_reads_it(value in any_json(), text in r#"([ -~\\t\\né€]|\\\\[nrtbf/"\\\\]|\\\\u[0-9a-f]{4}){0,40}"#) {
        let escaped: String = text.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
        let pretty = serde_json::to_string_pretty(&json!({"a": value})).unwrap();
        for text in [pretty, format!(r#"{{"a": "{text}", "{text}b": [ ] , "c":"{escaped}"}}"#)] {
            let tree = serde_json::from_str::<Value>(&text);
            let mut encoder = Encoder::default();
            let first = encoder.from_json(text.as_bytes(), None);
            let read = encoder.from_json(text.as_bytes(), None);
            prop_assert_eq!(first.ok(), read.as_ref().ok().cloned());
            prop_assert_eq!(tree.is_ok(), read.is_ok(), "{} {:?} {:?}", text, tree, read);
            if let (Ok(tree), Ok(read)) = (tree, read) {
                prop_assert_eq!(read.to_value(), tree);
            }
        }
    }

    #[test]
    fn what_was_met_before_does_not_change_what_is_read(texts in prop::collection::vec((prop::sample::select(vec!["a", "b", "c"]), prop::sample::select(vec!["on", "onward", "o", "", "é", "on\"", "offline"])), 1..400)) {
        let mut encoder = Encoder::default();
        for chunk in texts.chunks(4) {
            let value = json!({"spec": chunk.iter().map(|(key, text)| json!({*key: text, "list": [text, text]})).collect::<Vec<_>>()});
            let read = encoder.from_json(value.to_string().as_bytes(), None).unwrap();
            prop_assert_eq!(read.to_value(), value.clone());
            prop_assert!(read.root().equals(&value));
            prop_assert_eq!(read, Record::from_value(&value));
        }
    }

    #[test]
    fn damaged_text_is_refused_where_serde_json_refuses_it(value in any_json(), damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"{}[]\",:\\0-+.eEu \x00\x1f\x7f\xc3\xa9".to_vec())), 1..4)) {
        let mut text = json!({"a": value}).to_string().into_bytes();
        for (place, byte) in damage {
            let at = place.index(text.len());
            if byte == 0x7f { text.remove(at); } else { text[at] = byte; }
        }
        prop_assume!(!text.is_empty());
        let tree = serde_json::from_slice::<Value>(&text).is_ok_and(|tree| tree.is_object());
        let read = Record::from_json(&text, None);
        prop_assert_eq!(tree, read.is_ok(), "{} {:?}", String::from_utf8_lossy(&text), read);
    }

    #[test]
    fn numbers_are_read_as_serde_json_reads_them(text in "-?[0-9]{1,22}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,3})?") {
        let text = format!("{{\"a\":{text}}}");
        let tree = serde_json::from_str::<Value>(&text);
        let read = Record::from_json(text.as_bytes(), None);
        prop_assert_eq!(tree.is_ok(), read.is_ok(), "{}", text);
        if let (Ok(tree), Ok(read)) = (tree, read) {
            let (a, b) = (tree["a"].as_f64().unwrap(), read.to_value()["a"].as_f64().unwrap());
            prop_assert!((a - b).abs() <= a.abs() * 1e-15, "{} {} {}", text, a, b);
            prop_assert_eq!(tree["a"].is_f64(), read.to_value()["a"].is_f64(), "{}", text);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::from_json(&bytes, None);
    }
}
