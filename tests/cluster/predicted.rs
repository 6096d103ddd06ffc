//! What is decided is what comes of it: for rules and objects made by chance, the result that Ordain foresees from the object that the
//! server stores, put there by a person, would be stored as what the server stores after Ordain's write; one write each, and none the next
//! time.

use crate::command::ordain;
use crate::generated::{Case, Chance, case};
use crate::scene::Place;
use kube::api::{Api, DynamicObject, PostParams};
use kube::discovery::pinned_kind;
use serde_json::Value;
use std::collections::BTreeMap;

/// `ORDAIN_SEED` tries others.
const CASES: usize = 120;

/// As a manifest: without what the server adds of its own accord.
fn stored(object: &DynamicObject, kind: &Value) -> Value {
    let mut value = serde_json::to_value(object).unwrap();
    value["apiVersion"] = kind["apiVersion"].clone();
    value["kind"] = kind["kind"].clone();
    let meta = value["metadata"].as_object_mut().unwrap();
    for field in [
        "managedFields",
        "resourceVersion",
        "uid",
        "creationTimestamp",
        "generation",
    ] {
        meta.shift_remove(field);
    }
    // The controller's own.
    if let Some(annotations) = meta.get_mut("annotations") {
        let annotations = annotations.as_object_mut().unwrap();
        annotations.shift_remove("deployment.kubernetes.io/revision");
    }
    for field in ["labels", "annotations"] {
        if meta
            .get(field)
            .is_some_and(|m| m.as_object().unwrap().is_empty())
        {
            meta.shift_remove(field);
        }
    }
    value.as_object_mut().unwrap().shift_remove("status");
    value
}

async fn api(place: &Place, object: &Value) -> Api<DynamicObject> {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = kube::api::GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap());
    let (resource, _) = pinned_kind(&place.client, &gvk).await.unwrap();
    Api::namespaced_with(place.client.clone(), &place.namespace, &resource)
}

fn documents(values: impl Iterator<Item = Value>) -> String {
    let texts: Vec<String> = values.map(|v| v.to_string()).collect();
    texts.join("\n---\n")
}

/// By name.
fn read(folder: &std::path::Path) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for tree in ordain::rule::yaml::read(&text).0 {
            let value = tree.to_value();
            let name = value["metadata"]["name"].as_str().unwrap().to_owned();
            found.insert(name, value);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_stores_what_was_foreseen() {
    let place = Place::new("foreseen").await;
    let given = std::env::var("ORDAIN_SEED").ok();
    let mut chance = Chance::new(given.and_then(|s| s.parse().ok()).unwrap_or(7));
    let cases: Vec<Case> = (0..CASES)
        .map(|n| case(&mut chance, n, &place.namespace))
        .collect();
    let mut before = vec![];
    for case in &cases {
        let object: DynamicObject = serde_json::from_value(case.object.clone()).unwrap();
        let api = api(&place, &case.object).await;
        let made = api.create(&PostParams::default(), &object).await;
        let made = made.unwrap_or_else(|e| panic!("{}: {e}", case.object));
        before.push(stored(&made, &case.object));
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "rules.yaml",
        documents(cases.iter().map(|c| c.rule.clone())),
    );
    write("objects.yaml", documents(before.iter().cloned()));
    let run = |more: &[&str]| {
        let mut arguments = vec!["run", "--once", "--rules=rules.yaml", "--output=json"];
        arguments.extend(more);
        ordain(folder.path(), &place.plane.kubeconfig(), &arguments)
    };
    let foreseen = run(&["--manifests=objects.yaml", "--write-manifests=foreseen"]);
    assert_eq!(foreseen.code, 0, "{foreseen:?}");
    let foreseen = read(&folder.path().join("foreseen"));

    // What the server would make of it, defaults and all; none where it would refuse it.
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut expected = BTreeMap::new();
    for case in &cases {
        let name = case.object["metadata"]["name"].as_str().unwrap();
        let wanted: DynamicObject = serde_json::from_value(foreseen[name].clone()).unwrap();
        let api = api(&place, &case.object).await;
        let answer = match api.replace(name, &dry, &wanted).await {
            Ok(answer) => Some(stored(&answer, &case.object)),
            Err(kube::Error::Api(status)) if status.code == 422 => None,
            Err(error) => panic!("{name}: {error}"),
        };
        expected.insert(name, answer);
    }
    let refusals = expected.values().filter(|e| e.is_none()).count();
    assert!(refusals < CASES / 10, "{refusals} are refused");

    let done = run(&[]);
    assert!(done.code == 0 || done.code == 3, "{done:?}");
    let done = done.json();
    let refused: Vec<&str> = done["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["rule"].as_str().unwrap())
        .collect();
    let mut failures = vec![];
    for case in &cases {
        let name = case.object["metadata"]["name"].as_str().unwrap();
        let actions = &case.rule["spec"]["actions"];
        let Some(expected) = &expected[name] else {
            if !refused.contains(&name) {
                failures.push(format!("{name}: {actions} is not refused"));
            }
            continue;
        };
        let after = api(&place, &case.object).await.get(name).await.unwrap();
        let after = stored(&after, &case.object);
        if *expected != after {
            failures.push(format!(
                "{name}: {actions}\nforeseen {expected}\nstored   {after}"
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.join("\n"),
        done["findings"]
    );

    let again = run(&[]).json();
    let repeated: Vec<&Value> = again["changes"].as_array().unwrap().iter().collect();
    assert!(repeated.is_empty(), "{repeated:?}");
    let requests = place.plane.audit().of_ordain(&place.namespace);
    let mut per_object: BTreeMap<&str, usize> = BTreeMap::new();
    for request in requests.iter().filter(|r| r.succeeded()) {
        *per_object.entry(&request.name).or_default() += 1;
    }
    assert!(per_object.len() > CASES / 2, "{per_object:?}");
    per_object.retain(|_, writes| *writes > 1);
    assert!(per_object.is_empty(), "{per_object:?}");
}
