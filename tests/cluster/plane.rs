//! The control plane itself: it is the real one, and its audit log tells who wrote what.

use crate::control_plane::tools::render;
use crate::control_plane::{Options, Plane};
use crate::scene::{Place, create};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_plane_is_kubernetes_and_keeps_an_audit_log() {
    let Place {
        plane,
        client,
        namespace,
        maps,
    } = Place::new("audited").await;
    assert_eq!(
        client.apiserver_version().await.unwrap().git_version,
        "v1.37.2"
    );
    create(&maps, &["audited"]).await;
    assert!(
        plane.audit().of_ordain(&namespace).is_empty(),
        "the write was not Ordain's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plane_of_its_own_survives_a_crash_of_its_api_server() {
    let mut plane = Plane::start(Options::default());
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    create(&maps, &["kept"]).await;
    plane.crash("kube-apiserver");
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    assert!(maps.get_opt("kept").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_deployment_run_on_a_node() {
    let Place {
        plane,
        client,
        namespace,
        ..
    } = Place::new("nodes").await;
    plane.start_nodes().await;
    let labels = json!({"app": "web"});
    let web: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]}}}}))
    .unwrap();
    let deployments: Api<Deployment> = Api::namespaced(client, &namespace);
    deployments
        .create(&PostParams::default(), &web)
        .await
        .unwrap();
    let ready = await_condition(deployments.clone(), "web", |web: Option<&Deployment>| {
        web.and_then(|w| w.status.as_ref()?.ready_replicas) == Some(2)
    });
    tokio::time::timeout(Duration::from_secs(60), ready)
        .await
        .expect("the Pods become ready")
        .unwrap();
    deployments
        .delete("web", &DeleteParams::default())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_is_rendered_and_installed() {
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("chart").await;
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("greeting");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    let files = [
        (
            "Chart.yaml",
            "apiVersion: v2\nname: greeting\nversion: 0.1.0\n",
        ),
        ("values.yaml", "word: hello\n"),
        (
            "templates/map.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {word: '{{ required \"a word\" .Values.word }}'}\n",
        ),
    ];
    for (name, text) in files {
        std::fs::write(chart.join(name), text).unwrap();
    }
    let objects = render("first", &chart, &["--set", "word=moin"]).unwrap();
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["data"]["word"], "moin");
    let refused = render("first", &chart, &["--set", "word="]).unwrap_err();
    assert!(refused.err.contains("a word"), "{refused:?}");

    let chart = chart.display().to_string();
    plane
        .helm(&["install", "first", &chart, "--namespace", &namespace])
        .ok();
    let map = maps.get("first").await.unwrap();
    assert_eq!(map.data.unwrap()["word"], "hello");
    let word = plane.kubectl(&[
        "get",
        "configmap",
        "first",
        "--namespace",
        &namespace,
        "--output=jsonpath={.data.word}",
    ]);
    assert_eq!(word.ok(), "hello");
}
