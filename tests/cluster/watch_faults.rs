//! Watches through a proxy that misbehaves: whatever happens, what is seen ends as what is there, and no more is asked than needed.

use crate::control_plane::{Options, Plane};
use crate::proxy::{Proxy, Purpose};
use crate::scene::{Place, create, create_all, names, namespace, take_step};
use crate::seen::Seen;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams};
use ordain::engine::Lost;

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_cut_goes_on_where_it_was() {
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("cut").await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    create(&maps, &["goes", "stays"]).await;
    let mut seen = Seen::connect(proxy.kubeconfig(), &[&namespace]).await;
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("the list", |s| {
        s.has(&namespace, &[("goes", ""), ("stays", "")])
    })
    .await;
    proxy.hold_watches(true);
    proxy.cut_watches();
    maps.delete("goes", &DeleteParams::default()).await.unwrap();
    take_step(&maps, "stays", "1").await;
    proxy.hold_watches(false);
    seen.until("what happened meanwhile", |s| {
        s.has(&namespace, &[("stays", "1")])
    })
    .await;
    assert_eq!(seen.lists, 1, "the watch was resumed, not listed anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_too_old_is_replaced_by_a_list() {
    let mut plane = Plane::start(Options::default());
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    let proxy = Proxy::start(plane.kubeconfig()).await;
    create(&maps, &["goes", "stays"]).await;
    let mut seen = Seen::connect(proxy.kubeconfig(), &["default"]).await;
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("the list", |s| {
        s.has("default", &[("goes", ""), ("stays", "")])
    })
    .await;
    proxy.hold_watches(true);
    proxy.cut_watches();
    maps.delete("goes", &DeleteParams::default()).await.unwrap();
    take_step(&maps, "stays", "1").await;
    // A server that has just started knows nothing of what happened before: it answers 410.
    plane.crash("kube-apiserver");
    proxy.hold_watches(false);
    seen.until("a second list, without what is gone", |s| {
        s.lists == 2 && s.has("default", &[("stays", "1")])
    })
    .await;
    drop(plane);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_silent_past_its_end_is_cut() {
    let Place {
        plane,
        client,
        namespace: quiet,
        maps,
    } = Place::new("stalled").await;
    let loud = namespace(&client, "stalled").await;
    let others: Api<ConfigMap> = Api::namespaced(client, &loud);
    let proxy = Proxy::start(plane.kubeconfig()).await;
    create(&maps, &["a"]).await;
    create(&others, &["b"]).await;
    let mut seen = Seen::connect_with(proxy.kubeconfig(), &[&quiet, &loud], (Some(2), None)).await;
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("the lists", |s| {
        s.has(&quiet, &[("a", "")]) && s.has(&loud, &[("b", "")])
    })
    .await;
    let opened = proxy.count(Purpose::Watch, "/configmaps");
    proxy.stall_watches();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    take_step(&others, "b", "1").await;
    seen.until("what happened while the watches were stalled", |s| {
        s.has(&quiet, &[]) && s.has(&loud, &[("b", "1")])
    })
    .await;
    assert!(proxy.count(Purpose::Watch, "/configmaps") > opened);
    assert_eq!(seen.lists, 1, "the watches were resumed, not listed anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_is_asked_again_later() {
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("busy").await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    create(&maps, &["a"]).await;
    let mut seen = Seen::connect(proxy.kubeconfig(), &[&namespace]).await;
    proxy.refuse(Purpose::Read, "/configmaps", 2, 429, Some(1));
    proxy.refuse(Purpose::Watch, "/configmaps", 2, 429, Some(1));
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("that the kind cannot be listed now", |s| {
        matches!(s.lost, Some(Lost::Unreachable(_)))
    })
    .await;
    seen.until("the list", |s| s.has(&namespace, &[("a", "")]))
        .await;
    take_step(&maps, "a", "1").await;
    seen.until("the change", |s| s.has(&namespace, &[("a", "1")]))
        .await;
    assert_eq!(proxy.count(Purpose::Read, "/configmaps"), 3);
    assert_eq!(
        seen.lists, 1,
        "a watch that is refused for now is asked for again, without a list"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_refused_for_long_gives_way_to_a_list() {
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("refused").await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    create(&maps, &["a"]).await;
    let mut seen = Seen::connect(proxy.kubeconfig(), &[&namespace]).await;
    proxy.refuse(Purpose::Watch, "/configmaps", usize::MAX, 500, None);
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("the list", |s| s.has(&namespace, &[("a", "")]))
        .await;
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    seen.until("a second list", |s| s.lists == 2 && s.has(&namespace, &[]))
        .await;
    proxy.refuse_nothing();
    create(&maps, &["b"]).await;
    seen.until("what a watch says again", |s| {
        s.has(&namespace, &[("b", "")])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_long_list_are_put_together() {
    let Place {
        plane,
        client,
        namespace,
        ..
    } = Place::new("pages").await;
    let all = names(std::slice::from_ref(&namespace), 1_100);
    create_all(&client, &all).await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    let mut seen = Seen::connect(proxy.kubeconfig(), &[&namespace]).await;
    let expected: Vec<(&str, &str)> = all.iter().map(|(_, name)| (name.as_str(), "")).collect();
    seen.follow("", "v1", "ConfigMap", true);
    seen.until("all of them", |s| s.has(&namespace, &expected))
        .await;
    assert_eq!(proxy.count(Purpose::Read, "/configmaps"), 3);
}
