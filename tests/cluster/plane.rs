//! The control plane itself: it is the real one, and its audit log tells who wrote what.

use crate::control_plane::{Options, Plane, shared};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_plane_is_kubernetes_and_keeps_an_audit_log() {
    let plane = shared();
    let client = plane.client().await;
    assert_eq!(
        client.apiserver_version().await.unwrap().git_version,
        "v1.37.2"
    );
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let map = ConfigMap {
        metadata: kube::api::ObjectMeta {
            name: Some("audited".into()),
            ..Default::default()
        },
        ..Default::default()
    };
    maps.create(&PostParams::default(), &map).await.unwrap();
    assert!(
        plane.audit().of_ordain("default").is_empty(),
        "the write was not Ordain's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plane_of_its_own_survives_a_crash_of_its_api_server() {
    let mut plane = tokio::task::spawn_blocking(|| Plane::start(Options::default()))
        .await
        .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    let map = ConfigMap {
        metadata: kube::api::ObjectMeta {
            name: Some("kept".into()),
            ..Default::default()
        },
        ..Default::default()
    };
    maps.create(&PostParams::default(), &map).await.unwrap();
    let plane = tokio::task::spawn_blocking(move || {
        plane.kill("kube-apiserver");
        plane.start_again("kube-apiserver");
        plane.wait_until_ready();
        plane
    })
    .await
    .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    assert!(maps.get_opt("kept").await.unwrap().is_some());
}
