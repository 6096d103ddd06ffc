//! Lists and watches against the real server: whatever happens in between, what is seen ends as what is there.

use crate::control_plane::{Options, Plane};
use crate::scene::{Place, account_for, create, define, namespace, take_step};
use crate::seen::Seen;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams};
use ordain::engine::Lost;

#[tokio::test(flavor = "multi_thread")]
async fn creations_changes_and_deletions_are_seen() {
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("watch").await;
    create(&maps, &["before"]).await;
    for metadata_only in [false, true] {
        let mut seen = Seen::connect(plane.kubeconfig(), &[]).await;
        seen.follow("", "v1", "ConfigMap", metadata_only);
        seen.until("the list", |s| {
            s.lists == 1 && s.has(&namespace, &[("before", "")])
        })
        .await;
        create(&maps, &["new"]).await;
        take_step(&maps, "new", "1").await;
        seen.until("the change", |s| {
            s.has(&namespace, &[("before", ""), ("new", "1")])
        })
        .await;
        maps.delete("new", &DeleteParams::default()).await.unwrap();
        seen.until("the deletion", |s| s.has(&namespace, &[("before", "")]))
            .await;
        assert_eq!(seen.lists, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_namespaces_asked_for_are_listed_under_rights_in_those() {
    let Place {
        plane,
        client: admin,
        namespace: a,
        ..
    } = Place::new("a").await;
    let (b, c) = (namespace(&admin, "b").await, namespace(&admin, "c").await);
    account_for(&admin, &a, &[&a, &b]).await;
    for ns in [&a, &b, &c] {
        create(&Api::namespaced(admin.clone(), ns), &["here"]).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = plane
        .kubeconfig_for_account(&a, "ordain", folder.path())
        .await;

    let mut everywhere = Seen::connect(kubeconfig.clone(), &[]).await;
    everywhere.follow("", "v1", "ConfigMap", false);
    everywhere
        .until("that the kind is forbidden", |s| {
            matches!(s.lost, Some(Lost::Forbidden(_)))
        })
        .await;

    let mut seen = Seen::connect(kubeconfig, &[&a, &b]).await;
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("both lists", |s| {
        s.has(&a, &[("here", "")]) && s.has(&b, &[("here", "")])
    })
    .await;
    let maps: Api<ConfigMap> = Api::namespaced(admin, &b);
    take_step(&maps, "here", "1").await;
    seen.until("a change in the second", |s| s.has(&b, &[("here", "1")]))
        .await;
    assert!(seen.has(&c, &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_appears_is_followed_and_one_that_goes_is_lost() {
    let Place { plane, client, .. } = Place::new("kinds").await;
    let mut seen = Seen::connect(plane.kubeconfig(), &[]).await;
    seen.follow("watch.example", "v1", "Widget", false);
    seen.until("that there is no such kind", |s| {
        s.lost == Some(Lost::NoSuchKind)
    })
    .await;

    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = define(&crds, "watch.example", "Widget").await;
    seen.until("the list of the new kind", |s| {
        s.kinds_changed > 0 && s.lists == 1
    })
    .await;

    crds.delete(&definition, &DeleteParams::default())
        .await
        .unwrap();
    seen.until("that the kind is gone", |s| {
        s.lost == Some(Lost::NoSuchKind)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_crashes_is_followed_again_and_nothing_is_missed() {
    let mut plane = Plane::start(Options::default());
    let client = plane.client().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    create(&maps, &["goes", "stays"]).await;
    let mut seen = Seen::connect(plane.kubeconfig(), &[]).await;
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("the list", |s| {
        s.has("default", &[("goes", ""), ("stays", "")])
    })
    .await;
    plane.crash("kube-apiserver");
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    maps.delete("goes", &DeleteParams::default()).await.unwrap();
    take_step(&maps, "stays", "1").await;
    seen.until("what happened meanwhile", |s| {
        s.has("default", &[("stays", "1")])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_while_the_kind_is_listed_anew() {
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("relisted").await;
    create(&maps, &["a"]).await;
    let often = (Some(1), Some(2));
    let mut seen = Seen::connect_with(plane.kubeconfig(), &[&namespace], often).await;
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("a third list", |s| {
        s.lists == 3 && s.has(&namespace, &[("a", "")])
    })
    .await;
    take_step(&maps, "a", "1").await;
    seen.until("the change", |s| s.has(&namespace, &[("a", "1")]))
        .await;
}
