//! What the world does, as an API server and its garbage collector would.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::decide::{Operation, Write};
use crate::engine::Fault;
use crate::object::difference;
use crate::rule::watch_scope::WatchScope;

const START: &str = "2026-01-01T00:00:00Z";

fn now() -> Timestamp {
    START.parse().unwrap()
}

fn later() -> Timestamp {
    "2026-01-02T00:00:00Z".parse().unwrap()
}

fn world() -> World {
    World::new(Schema::bundled())
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

fn owned(name: &str, owner: &str, uid: &str) -> Value {
    let mut object = config_map(name);
    object["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid}]);
    object
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("default"), name)
}

fn write(world: &World, key: &ObjectKey, operation: Operation) -> Write {
    let record = world.get(key).unwrap();
    Write {
        object: key.clone(),
        api_version: record.meta().api_version().into(),
        operation,
        rules: vec![],
        expected: None,
        uid: record.meta().uid().into(),
        resource_version: record.meta().resource_version().into(),
        acts: vec![],
        wanted: None,
    }
}

/// As the engine makes it: the first operation names the version that was decided on.
fn patch(world: &World, key: &ObjectKey, status: bool, after: impl Fn(&mut Value)) -> Write {
    let before = world.get(key).unwrap().to_value();
    let mut wanted = before.clone();
    after(&mut wanted);
    let mut operations: Vec<json_patch::PatchOperation> = serde_json::from_value(json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": before["metadata"]["resourceVersion"]}
    ]))
    .unwrap();
    operations.extend(difference::json_patch(&before, &wanted));
    write(world, key, Operation::Patch { status, operations })
}

fn delete(world: &World, key: &ObjectKey, propagation: Option<Propagation>) -> Write {
    write(
        world,
        key,
        Operation::Delete {
            propagation,
            grace_period_seconds: None,
        },
    )
}

fn names(world: &World) -> Vec<String> {
    world
        .objects()
        .filter(|(key, _)| &*key.kind.kind != "Namespace")
        .map(|(key, _)| key.name.to_string())
        .collect()
}

#[test]
fn fills_in_what_a_server_fills_in_and_always_the_same() {
    let make = || {
        let mut world = world();
        let key = world.put(&config_map("a"), now());
        world.get(&key).unwrap().to_value()
    };
    let object = make();
    assert_eq!(object, make());
    let meta = &object["metadata"];
    assert_eq!(meta["namespace"], "default");
    assert_eq!(meta["creationTimestamp"], START);
    assert_eq!(meta["uid"].as_str().unwrap().len(), 36);
    assert!(
        meta["resourceVersion"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 0
    );
}

#[test]
fn keeps_what_the_manifest_says_itself() {
    let mut world = world();
    let mut object = config_map("a");
    object["metadata"]["uid"] = json!("given");
    object["metadata"]["resourceVersion"] = json!("4711");
    object["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    let key = world.put(&object, now());
    let record = world.get(&key).unwrap().clone();
    assert_eq!(record.meta().uid(), "given");
    assert_eq!(record.meta().resource_version(), "4711");
    assert_eq!(
        record.meta().creation_timestamp(),
        Some("2020-01-01T00:00:00Z".parse().unwrap())
    );
    // What comes later is later.
    let other = world.put(&config_map("b"), now());
    let version: u64 = world
        .get(&other)
        .unwrap()
        .meta()
        .resource_version()
        .parse()
        .unwrap();
    assert!(version > 4711);
}

#[test]
fn namespaces_are_where_the_kind_has_them_and_exist_without_a_manifest() {
    let mut world = world();
    let mut node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "namespace": "wrong"}});
    assert_eq!(world.put(&node, now()).namespace, None);
    node["metadata"]["name"] = json!("m");
    let mut inside = config_map("a");
    inside["metadata"]["namespace"] = json!("shop");
    world.put(&inside, now());
    let shop = ObjectKey::new(GroupKind::new("", "Namespace"), None, "shop");
    assert!(world.is_implied(&shop));
    assert_eq!(
        world.get(&shop).unwrap().to_value()["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "shop"})
    );
    // A manifest that comes later describes it.
    world.put(
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": "production"}}}),
        now(),
    );
    assert!(!world.is_implied(&shop));
    assert_eq!(
        world.get(&shop).unwrap().to_value()["metadata"]["labels"],
        json!({"env": "production", "kubernetes.io/metadata.name": "shop"})
    );
    // And when it goes, the namespace stays, with what is in it.
    world.undescribe(&shop, now());
    assert!(world.is_implied(&shop));
    let mut left = names(&world);
    left.sort();
    assert_eq!(left, ["a", "n"]);
}

#[test]
fn a_patch_moves_the_version_and_one_that_changes_nothing_does_not() {
    let mut world = world();
    let a = world.put(&config_map("a"), now());
    world.take_events();
    let change = patch(&world, &a, false, |o| o["data"]["a"] = json!("2"));
    let Outcome::Written(record) = world.write(&change, now()) else {
        panic!("not written")
    };
    assert_eq!(record.to_value()["data"]["a"], "2");
    assert_ne!(record.meta().resource_version(), change.resource_version);
    assert_eq!(world.take_events().len(), 1);
    // The same request again is stale, and one without effect is answered with the object as it is.
    assert!(matches!(
        world.write(&change, now()),
        Outcome::Failed(Fault::Stale)
    ));
    let nothing = patch(&world, &a, false, |_| {});
    let Outcome::Written(same) = world.write(&nothing, now()) else {
        panic!("not written")
    };
    assert_eq!(
        same.meta().resource_version(),
        record.meta().resource_version()
    );
    assert!(world.take_events().is_empty());
}

#[test]
fn a_write_for_another_object_of_the_same_name_is_stale() {
    let mut world = world();
    let a = world.put(&config_map("a"), now());
    let change = patch(&world, &a, false, |o| o["data"]["a"] = json!("2"));
    let uid = world.get(&a).unwrap().meta().uid().to_owned();
    world.delete(&a, now());
    assert!(matches!(world.write(&change, now()), Outcome::Gone));
    world.put(&config_map("a"), now());
    assert_ne!(world.get(&a).unwrap().meta().uid(), uid);
    assert!(matches!(
        world.write(&change, now()),
        Outcome::Failed(Fault::Stale)
    ));
}

#[test]
fn what_names_an_object_cannot_be_patched() {
    let mut world = world();
    let a = world.put(&config_map("a"), now());
    let change = patch(&world, &a, false, |o| o["metadata"]["name"] = json!("b"));
    let Outcome::Failed(Fault::Refused(why)) = world.write(&change, now()) else {
        panic!("not refused")
    };
    assert!(why.contains("metadata.name"), "{why}");
}

#[test]
fn status_is_written_through_its_own_endpoint_only() {
    let mut world = world();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
    let pod = world.put(&pod, now());
    let both = |o: &mut Value| {
        o["status"]["phase"] = json!("Failed");
        o["spec"]["nodeName"] = json!("m");
    };
    let main = patch(&world, &pod, false, both);
    world.write(&main, now());
    let object = world.get(&pod).unwrap().to_value();
    assert_eq!(
        (&object["status"]["phase"], &object["spec"]["nodeName"]),
        (&json!("Running"), &json!("m"))
    );
    let status = patch(&world, &pod, true, |o| {
        o["status"]["phase"] = json!("Failed");
        o["spec"]["nodeName"] = json!("x");
    });
    world.write(&status, now());
    let object = world.get(&pod).unwrap().to_value();
    assert_eq!(
        (&object["status"]["phase"], &object["spec"]["nodeName"]),
        (&json!("Failed"), &json!("m"))
    );
    let a = world.put(&config_map("a"), now());
    let none = patch(&world, &a, true, |o| o["status"] = json!({}));
    assert!(matches!(
        world.write(&none, now()),
        Outcome::Failed(Fault::Refused(_))
    ));
}

#[test]
fn finalizers_hold_an_object_until_they_are_gone() {
    let mut world = world();
    let mut held = config_map("a");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let a = world.put(&held, now());
    assert!(matches!(
        world.write(&delete(&world, &a, None), later()),
        Outcome::Gone
    ));
    let record = world.get(&a).unwrap().clone();
    assert!(record.meta().is_deleting());
    // Deleting it again changes nothing.
    world.take_events();
    world.write(&delete(&world, &a, None), later());
    assert!(world.take_events().is_empty());
    let release = patch(&world, &a, false, |o| {
        o["metadata"]
            .as_object_mut()
            .unwrap()
            .shift_remove("finalizers");
    });
    assert!(matches!(
        world.write(&release, later()),
        Outcome::Written(_)
    ));
    assert!(world.get(&a).is_none());
    assert!(matches!(
        world.take_events().back(),
        Some(Observation::Deleted { .. })
    ));
}

#[test]
fn dependents_go_with_their_last_owner_or_are_orphaned() {
    for (propagation, left) in [
        (None, vec!["both", "free", "other"]),
        (Some(Propagation::Background), vec!["both", "free", "other"]),
        (Some(Propagation::Foreground), vec!["both", "free", "other"]),
        (
            Some(Propagation::Orphan),
            vec!["both", "child", "free", "grandchild", "other"],
        ),
    ] {
        let mut world = world();
        let mut owner = config_map("owner");
        owner["metadata"]["uid"] = json!("u-owner");
        let owner = world.put(&owner, now());
        world.put(&config_map("other"), now());
        world.put(&config_map("free"), now());
        world.put(&owned("child", "owner", "u-owner"), now());
        // The child's uid is made here: the reference finds it by name.
        world.put(&owned("grandchild", "child", "whatever"), now());
        let mut both = owned("both", "owner", "u-owner");
        both["metadata"]["ownerReferences"]
            .as_array_mut()
            .unwrap()
            .push(json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "x"}));
        world.put(&both, now());
        let request = delete(&world, &owner, propagation);
        world.write(&request, now());
        assert_eq!(names(&world), left, "{propagation:?}");
        let both = world.get(&key("both")).unwrap().to_value();
        let owners = both["metadata"]["ownerReferences"].as_array().unwrap();
        assert_eq!(owners.len(), 1, "{propagation:?}");
        assert_eq!(owners[0]["name"], "other");
        if propagation == Some(Propagation::Orphan) {
            let child = world.get(&key("child")).unwrap().to_value();
            assert!(child["metadata"].get("ownerReferences").is_none());
        }
    }
}

#[test]
fn a_job_deleted_without_a_word_leaves_its_pods_behind_as_on_a_server() {
    for (propagation, pods) in [(None, 1), (Some(Propagation::Background), 0)] {
        let mut world = world();
        let job = world.put(
            &json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "uid": "u"}}),
            now(),
        );
        world.put(
            &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": true}]}}),
            now(),
        );
        let request = delete(&world, &job, propagation);
        world.write(&request, now());
        assert_eq!(names(&world).len(), pods, "{propagation:?}");
    }
}

#[test]
fn a_long_chain_of_owners_is_collected() {
    let mut world = world();
    let first = world.put(&config_map("n00000"), now());
    for n in 1..400 {
        world.put(
            &owned(&format!("n{n:05}"), &format!("n{:05}", n - 1), "x"),
            now(),
        );
    }
    world.delete(&first, now());
    assert_eq!(names(&world), Vec::<String>::new());
}

#[test]
fn a_replaced_manifest_is_a_new_state_of_the_same_object() {
    let mut world = world();
    let a = world.put(&config_map("a"), now());
    let before = world.get(&a).unwrap().clone();
    world.take_events();
    // The same content is no event.
    world.put(&config_map("a"), later());
    assert!(world.take_events().is_empty());
    let mut changed = config_map("a");
    changed["data"] = json!({"b": "2"});
    world.put(&changed, later());
    let after = world.get(&a).unwrap().clone();
    assert_eq!(after.meta().uid(), before.meta().uid());
    assert_eq!(after.to_value()["metadata"]["creationTimestamp"], START);
    assert_ne!(
        after.meta().resource_version(),
        before.meta().resource_version()
    );
    assert_eq!(after.to_value()["data"], json!({"b": "2"}));
}

#[test]
fn a_list_leaves_out_and_names_what_is_written_at_another_version() {
    let mut world = world();
    world.put(
        &json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}}),
        now(),
    );
    let watched = WatchedKind {
        kind: GroupKind::new("autoscaling", "HorizontalPodAutoscaler"),
        version: "v2".into(),
        metadata_only: false,
        scope: WatchScope::default(),
    };
    let list = world.list(&watched);
    assert_eq!(list.len(), 3);
    let Observation::Undecodable { reason, .. } = &list[1] else {
        panic!("{list:?}")
    };
    assert_eq!(
        reason,
        "h is written at autoscaling/v1, the rules read v2: manifests are not converted"
    );
}
