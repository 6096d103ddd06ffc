//! The daemon while its surroundings fail: it goes on where it was, and a bystander rule never stops.

use crate::control_plane::{Options, Plane, shared};
use crate::daemon::{Daemon, until};
use crate::proxy::{Proxy, Purpose};
use crate::watch::{map, namespace, step};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use serde_json::json;
use std::path::Path;

/// Sets the label `seen` of objects of one kind in one namespace to the value of their label `step`.
fn seeing(name: &str, api_version: &str, kind: &str, namespace: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {name}}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: {api_version}, kind: {kind}}}]
    namespaces: ['{namespace}']
    names: ['!kube-root-ca.crt']
  where:
  - {{path: $.metadata.labels.step, operator: Exists}}
  actions:
  - patch:
    - {{path: $.metadata.labels.seen, set: '${{object.metadata.labels.step}}'}}
"
    )
}

async fn seen(maps: &Api<ConfigMap>, name: &str, step: &str) -> bool {
    let map = maps.get(name).await;
    map.is_ok_and(|m| m.metadata.labels.unwrap_or_default().get("seen") == Some(&step.to_owned()))
}

async fn take_step(maps: &Api<ConfigMap>, name: &str, to: &str) {
    maps.patch(name, &PatchParams::default(), &step(to))
        .await
        .unwrap();
}

/// Changes an object and waits until the rule has followed.
async fn follows(daemon: &Daemon, maps: &Api<ConfigMap>, name: &str, to: &str) {
    take_step(maps, name, to).await;
    until(&format!("step {to} of {name}"), daemon, || {
        seen(maps, name, to)
    })
    .await;
}

fn daemon_on(kubeconfig: &Path, rules: &[String], more: &[&str]) -> Daemon {
    Daemon::start(kubeconfig, &rules.join("---\n"), more)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_comes_and_goes_stops_only_its_own_rules() {
    let plane = shared();
    let client = plane.client().await;
    let namespace = namespace(&client, "crd").await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    maps.create(&PostParams::default(), &map("bystander"))
        .await
        .unwrap();
    let rules = [
        seeing("maps", "v1", "ConfigMap", &namespace),
        seeing("gadgets", "daemon.example/v1", "Gadget", &namespace),
    ];
    let mut daemon = daemon_on(&plane.kubeconfig(), &rules, &[]);
    let state = |s: &serde_json::Value, state: &str| {
        let kinds = s["kinds"].as_array().unwrap();
        kinds
            .iter()
            .any(|k| k["kind"] == "Gadget.daemon.example" && k["state"] == state)
    };
    daemon
        .until("that there are no gadgets", |s| state(s, "NoSuchKind"))
        .await;
    follows(&daemon, &maps, "bystander", "1").await;

    let crd: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "gadgets.daemon.example"},
        "spec": {"group": "daemon.example", "scope": "Namespaced", "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}))
    .unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    crds.create(&PostParams::default(), &crd).await.unwrap();
    daemon
        .until("that gadgets are followed", |s| state(s, "Synced"))
        .await;
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("daemon.example", "v1", "Gadget"),
        "gadgets",
    );
    let gadgets: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    let gadget = DynamicObject::new("one", &resource).data(json!({}));
    gadgets
        .create(&PostParams::default(), &gadget)
        .await
        .unwrap();
    let labelled = Patch::Merge(json!({"metadata": {"labels": {"step": "1"}}}));
    gadgets
        .patch("one", &PatchParams::default(), &labelled)
        .await
        .unwrap();
    until("the change of a gadget", &daemon, || async {
        let labels = gadgets.get("one").await.unwrap().metadata.labels;
        labels.unwrap_or_default().get("seen").map(String::as_str) == Some("1")
    })
    .await;

    crds.delete("gadgets.daemon.example", &DeleteParams::default())
        .await
        .unwrap();
    daemon
        .until("that gadgets are gone", |s| state(s, "NoSuchKind"))
        .await;
    follows(&daemon, &maps, "bystander", "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_crashes_is_waited_for() {
    let plane = tokio::task::spawn_blocking(|| Plane::start(Options::default()))
        .await
        .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    for name in ["a", "b"] {
        maps.create(&PostParams::default(), &map(name))
            .await
            .unwrap();
    }
    let rules = [seeing("maps", "v1", "ConfigMap", "default")];
    let daemon = daemon_on(&plane.kubeconfig(), &rules, &[]);
    follows(&daemon, &maps, "a", "1").await;
    let plane = tokio::task::spawn_blocking(move || {
        let mut plane = plane;
        plane.kill("kube-apiserver");
        plane.start_again("kube-apiserver");
        plane.wait_until_ready();
        plane
    })
    .await
    .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    follows(&daemon, &maps, "a", "2").await;
    follows(&daemon, &maps, "b", "1").await;
    assert_eq!(
        plane.audit().of_ordain("default").len(),
        3,
        "one write for each step"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_the_daemon_is_down_or_blind_is_made_right() {
    let plane = shared();
    let client = plane.client().await;
    let namespace = namespace(&client, "blind").await;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    for name in ["a", "b", "goes"] {
        maps.create(&PostParams::default(), &map(name))
            .await
            .unwrap();
    }
    let proxy = Proxy::start(plane.kubeconfig()).await;
    let rules = [seeing("maps", "v1", "ConfigMap", &namespace)];
    let mut daemon = daemon_on(&proxy.kubeconfig(), &rules, &[]);
    for name in ["a", "b", "goes"] {
        follows(&daemon, &maps, name, "1").await;
    }
    // Blind: the watch is cut, and when it is asked for again its version is too old.
    proxy.hold_watches(true);
    proxy.refuse(Purpose::Watch, "/configmaps", 1, 410, None);
    proxy.cut_watches();
    maps.delete("goes", &DeleteParams::default()).await.unwrap();
    take_step(&maps, "a", "2").await;
    proxy.hold_watches(false);
    until("step 2", &daemon, || seen(&maps, "a", "2")).await;
    // Busy: what is to be written is refused for now.
    proxy.refuse(Purpose::Write, "/configmaps/a", 2, 429, Some(1));
    follows(&daemon, &maps, "a", "3").await;
    // Down.
    daemon.kill();
    take_step(&maps, "b", "2").await;
    daemon.start_again();
    until("step 2 of b", &daemon, || seen(&maps, "b", "2")).await;
    let written = plane.audit().of_ordain(&namespace);
    assert_eq!(
        written.len(),
        6,
        "one write for each step: {written:?}\n{}",
        daemon.log()
    );
    assert!(written.iter().all(|r| r.code == 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_server_is_reported_and_not_repeated() {
    let plane = shared();
    let client = plane.client().await;
    let namespace = namespace(&client, "refusal").await;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    for name in ["refused", "bystander"] {
        maps.create(&PostParams::default(), &map(name))
            .await
            .unwrap();
    }
    let words = Patch::Merge(json!({"data": {"words": "not the value of a label"}}));
    maps.patch("refused", &PatchParams::default(), &words)
        .await
        .unwrap();
    let words = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: words}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
    names: [refused]
  actions:
  - patch:
    - {{path: $.metadata.labels.words, set: '${{object.data.words}}'}}
"
    );
    let rules = [seeing("maps", "v1", "ConfigMap", &namespace), words];
    let mut daemon = daemon_on(&plane.kubeconfig(), &rules, &[]);
    daemon
        .until("the finding", |s| {
            s["findings"]["byReason"]["Refused"].as_u64() == Some(1)
        })
        .await;
    for step in ["1", "2", "3"] {
        follows(&daemon, &maps, "bystander", step).await;
    }
    let refused = plane.audit().of_ordain(&namespace);
    let refused: Vec<u64> = refused
        .iter()
        .filter(|r| r.name == "refused")
        .map(|r| r.code)
        .collect();
    assert_eq!(refused, [422]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_a_list_that_cannot_be_read_is_left_out_and_counted() {
    let plane = shared();
    let client = plane.client().await;
    let namespace = namespace(&client, "odd").await;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    for name in ["first", "odd-one", "last"] {
        maps.create(&PostParams::default(), &map(name))
            .await
            .unwrap();
        take_step(&maps, name, "1").await;
    }
    let proxy = Proxy::start(plane.kubeconfig()).await;
    proxy.replace(
        r#""metadata":{"name":"odd-one""#,
        r#""metadata":[],"x":{"name":"odd-one""#,
    );
    let rules = [seeing("maps", "v1", "ConfigMap", &namespace)];
    let daemon = daemon_on(&proxy.kubeconfig(), &rules, &["--namespace", &namespace]);
    for name in ["first", "last"] {
        until(name, &daemon, || seen(&maps, name, "1")).await;
    }
    let (_, metrics) = daemon.http("GET", "/metrics").await.unwrap();
    assert!(
        metrics
            .lines()
            .any(|l| l.contains("undecodable") && l.contains("ConfigMap") && l.ends_with(" 1")),
        "{metrics}"
    );
    // The watch shows it as it is.
    follows(&daemon, &maps, "odd-one", "2").await;
}
