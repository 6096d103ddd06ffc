//! The daemon while its surroundings fail: it goes on where it was, and a bystander rule never stops.

use crate::control_plane::{Options, Plane};
use crate::daemon::{Daemon, until};
use crate::proxy::{Proxy, Purpose};
use crate::scene::{Place, create, define, following, follows, labelling, take_step, until_seen};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use serde_json::json;
use std::path::Path;

fn daemon_on(kubeconfig: &Path, rules: &[String], more: &[&str]) -> Daemon {
    Daemon::start(kubeconfig, &rules.join("---\n"), more)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_comes_and_goes_stops_only_its_own_rules() {
    let Place {
        plane,
        client,
        namespace,
        maps,
    } = Place::new("crd").await;
    create(&maps, &["bystander"]).await;
    let rules = [
        following("maps", "v1", "ConfigMap", &namespace),
        following("gadgets", "daemon.example/v1", "Gadget", &namespace),
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

    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = define(&crds, "daemon.example", "Gadget").await;
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

    crds.delete(&definition, &DeleteParams::default())
        .await
        .unwrap();
    daemon
        .until("that gadgets are gone", |s| state(s, "NoSuchKind"))
        .await;
    follows(&daemon, &maps, "bystander", "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_crashes_is_waited_for() {
    let mut plane = Plane::start(Options::default());
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    create(&maps, &["a", "b"]).await;
    let rules = [following("maps", "v1", "ConfigMap", "default")];
    let daemon = daemon_on(&plane.kubeconfig(), &rules, &[]);
    follows(&daemon, &maps, "a", "1").await;
    plane.crash("kube-apiserver");
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
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("blind").await;
    create(&maps, &["a", "b", "goes"]).await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    let rules = [following("maps", "v1", "ConfigMap", &namespace)];
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
    until_seen(&daemon, &maps, "a", "2").await;
    // Busy: what is to be written is refused for now.
    proxy.refuse(Purpose::Write, "/configmaps/a", 2, 429, Some(1));
    follows(&daemon, &maps, "a", "3").await;
    // Down.
    daemon.kill();
    take_step(&maps, "b", "2").await;
    daemon.start_again();
    until_seen(&daemon, &maps, "b", "2").await;
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
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("refusal").await;
    create(&maps, &["refused", "bystander"]).await;
    let words = Patch::Merge(json!({"data": {"words": "not the value of a label"}}));
    maps.patch("refused", &PatchParams::default(), &words)
        .await
        .unwrap();
    let rules = [
        following("maps", "v1", "ConfigMap", &namespace),
        labelling("words", &namespace),
    ];
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
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("odd").await;
    for name in ["first", "odd-one", "last"] {
        create(&maps, &[name]).await;
        take_step(&maps, name, "1").await;
    }
    let proxy = Proxy::start(plane.kubeconfig()).await;
    proxy.replace(
        r#""metadata":{"name":"odd-one""#,
        r#""metadata":[],"x":{"name":"odd-one""#,
    );
    let rules = [following("maps", "v1", "ConfigMap", &namespace)];
    let daemon = daemon_on(&proxy.kubeconfig(), &rules, &["--namespace", &namespace]);
    for name in ["first", "last"] {
        until_seen(&daemon, &maps, name, "1").await;
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
