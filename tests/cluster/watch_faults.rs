//! Watches through a proxy that misbehaves: whatever happens, what is seen ends as what is there, and no more is asked than needed.

use crate::control_plane::{Options, Plane};
use crate::daemon::{Daemon, until};
use crate::proxy::{Proxy, Purpose};
use crate::scene::{
    Place, create, create_all, following, follows, names, namespace, take_step, until_seen,
};
use crate::seen::Seen;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams};
use ordain::engine::Lost;
use serde_json::Value;

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
async fn a_store_that_has_gone_back_is_listed_anew() {
    let mut plane = Plane::start(Options::default());
    let client = plane.client().await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    // The new store shall not come as far as the old one for the length of the test.
    create_all(&client, &names(&["default".to_owned()], 600)).await;
    let mut seen = Seen::connect(plane.kubeconfig(), &["default"]).await;
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("the list", |s| s.lists == 1).await;
    take_step(&maps, "map-0000", "1").await;
    seen.until("the change", |s| s.step("default", "map-0000") == Some("1"))
        .await;
    plane.lose_store();
    create(&maps, &["new"]).await;
    seen.until("what the new store has, and nothing else", |s| {
        s.lists == 2 && s.has("default", &[("new", "")])
    })
    .await;
    take_step(&maps, "new", "2").await;
    seen.until("the change", |s| s.has("default", &[("new", "2")]))
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

/// Seconds since the watch of a kind has shown a sign of life.
fn age(status: &Value, kind: &str) -> f64 {
    let kinds = status["kinds"].as_array().unwrap();
    let of_it = kinds.iter().find(|k| k["kind"] == kind);
    of_it.unwrap()["watchAgeSeconds"].as_f64().unwrap()
}

/// Whether a line of the log says this of ConfigMaps.
fn told(daemon: &Daemon, what: &str) -> bool {
    let log = daemon.whole_log();
    log.lines()
        .any(|l| l.contains(what) && l.contains("kind=ConfigMap"))
}

/// A watch lives for a minute and a half, up to two, and a quarter of a minute more while it is silent: so long this takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_tells_of_watches_that_are_cut_or_silent_and_how_old_each_is() {
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("told").await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    create(&maps, &["a"]).await;
    let rule = following("maps", "v1", "ConfigMap", &namespace);
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &rule, &[]);
    follows(&daemon, &maps, "a", "1").await;
    let status = daemon.status().await.unwrap();
    let kinds = status["kinds"].as_array().unwrap();
    assert!(
        kinds.iter().all(|k| k["watchAgeSeconds"].is_f64()),
        "{status}"
    );
    assert!(!told(&daemon, "a watch"), "{}", daemon.log());

    proxy.cut_watches();
    until("a word of the watch that was cut", &daemon, || async {
        told(&daemon, "a watch was cut")
    })
    .await;
    follows(&daemon, &maps, "a", "2").await;

    // Each change is a sign of life.
    let young = daemon
        .until("a watch that is alive", |s| age(s, "ConfigMap") < 5.0)
        .await;
    proxy.stall_watches();
    take_step(&maps, "a", "3").await;
    for older in [10.0, 60.0] {
        let status = daemon
            .until("that it grows older", |s| age(s, "ConfigMap") > older)
            .await;
        assert!(age(&status, "ConfigMap") > age(&young, "ConfigMap"));
    }
    assert!(!told(&daemon, "shows no sign of life"), "{}", daemon.log());
    until("a word of the silent watch", &daemon, || async {
        told(&daemon, "a watch shows no sign of life")
    })
    .await;
    until_seen(&daemon, &maps, "a", "3").await;
    daemon
        .until("that it is alive", |s| age(s, "ConfigMap") < 5.0)
        .await;
}
