//! Some of many, and numbers of all: `pick` and `metric` on the real server.
//!
//! `evictions` in the order of `pick`

mod evictions;

use crate::daemon::{Daemon, until};
use crate::prometheus::program;
use crate::scene::Place;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};

/// The number is in the data and in the name.
fn numbered(n: usize, topic: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("{topic}-{n}"), "labels": {"topic": topic}},
        "data": {"n": n.to_string()},
    }))
    .unwrap()
}

async fn names(place: &Place) -> Vec<String> {
    let list = place.maps.list(&Default::default()).await.unwrap();
    let names = list.items.into_iter().map(|m| m.metadata.name.unwrap());
    let mut names: Vec<String> = names.filter(|n| n != "kube-root-ca.crt").collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn of_each_group_the_newest_stay_and_the_others_go_in_order() {
    let place = Place::new("newest").await;
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: newest}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{}']
    selector: {{matchExpressions: [{{key: topic, operator: Exists}}]}}
  pick:
    groupBy: [\"${{replaceRegex(object.metadata.name, '-[0-9]+$', '')}}\"]
    orderBy: {{path: $.data.n, as: number, direction: Descending}}
    skip: 2
  actions:
  - delete: {{}}
",
        place.namespace
    );
    for topic in ["red", "blue"] {
        for n in 1..=6 {
            place
                .maps
                .create(&PostParams::default(), &numbered(n, topic))
                .await
                .unwrap();
        }
    }
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rule, &[]);
    let left = |expected: &'static [&'static str]| {
        let place = &place;
        move || async move { names(place).await == expected }
    };
    let newest = ["blue-5", "blue-6", "red-5", "red-6"];
    until("that the newest two are left", &daemon, || async {
        names(&place).await == newest
    })
    .await;
    // One more pushes out the oldest that was left.
    place
        .maps
        .create(&PostParams::default(), &numbered(7, "red"))
        .await
        .unwrap();
    until(
        "that red-5 goes",
        &daemon,
        left(&["blue-5", "blue-6", "red-6", "red-7"]),
    )
    .await;
    // A person deletes one: nothing is left to delete.
    place
        .maps
        .delete("red-7", &DeleteParams::default())
        .await
        .unwrap();
    place
        .maps
        .create(&PostParams::default(), &numbered(9, "blue"))
        .await
        .unwrap();
    until(
        "that blue-5 goes",
        &daemon,
        left(&["blue-6", "blue-9", "red-6"]),
    )
    .await;
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    let requests = place.plane.audit().of_ordain(&place.namespace);
    assert!(
        requests.iter().all(|r| r.verb == "delete" && r.code == 200),
        "{requests:?}"
    );
    let of = |topic: &str| -> Vec<&str> {
        let names = requests.iter().map(|r| r.name.as_str());
        names.filter(|name| name.starts_with(topic)).collect()
    };
    assert_eq!(of("red"), ["red-4", "red-3", "red-2", "red-1", "red-5"]);
    assert_eq!(
        of("blue"),
        ["blue-4", "blue-3", "blue-2", "blue-1", "blue-5"]
    );
}

/// As [`numbered`]; deleting it takes until somebody lets it go.
async fn hold(place: &Place, n: usize) {
    let mut held = numbered(n, "red");
    held.metadata.finalizers = Some(vec!["shop.example/held".into()]);
    let made = PostParams::default();
    place.maps.create(&made, &held).await.unwrap();
}

async fn let_go(place: &Place, name: &str) {
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    let params = PatchParams::default();
    place.maps.patch(name, &params, &free).await.unwrap();
}

async fn is_marked(place: &Place, name: &str) -> bool {
    let map = place.maps.get(name).await.unwrap();
    map.metadata.deletion_timestamp.is_some()
}

/// A rule with this `pick` that deletes, and one that labels every marker.
fn held_rules(place: &Place, pick: &str) -> String {
    let of = |name: &str, topic: &str, rest: &str| {
        format!(
            "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {name}}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{}']
    selector: {{matchLabels: {{topic: {topic}}}}}
{rest}",
            place.namespace
        )
    };
    let deletes = of(
        "deletes",
        "red",
        &format!("  pick: {pick}\n  actions: [delete: {{}}]\n"),
    );
    let marks = "  actions:\n  - patch: [{path: $.metadata.labels.seen, set: 'yes'}]\n";
    format!("{deletes}---\n{}", of("marks", "marker", marks))
}

/// Waits until an object that is made now was seen and changed: whatever happened before it was seen too, and decided on.
async fn seen_so_far(place: &Place, daemon: &mut Daemon, n: usize) {
    let made = PostParams::default();
    let marker = numbered(n, "marker");
    place.maps.create(&made, &marker).await.unwrap();
    let name = marker.metadata.name.unwrap();
    until("that the marker is labelled", daemon, || async {
        let labels = place.maps.get(&name).await.unwrap().metadata.labels;
        labels.is_some_and(|labels| labels.contains_key("seen"))
    })
    .await;
    daemon
        .until("that nothing is in flight", |s| {
            s["requestsInFlight"] == 0 && s["queueDepth"] == 0
        })
        .await;
}

/// What Ordain has deleted, in order.
fn deleted(place: &Place) -> Vec<String> {
    let mut requests = place.plane.audit().of_ordain(&place.namespace);
    requests.retain(|r| r.verb == "delete");
    assert!(requests.iter().all(|r| r.code == 200), "{requests:?}");
    requests.into_iter().map(|r| r.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_take_1_the_next_one_goes_when_the_one_before_it_is_gone() {
    let place = Place::new("one-at-a-time").await;
    for n in 1..=4 {
        hold(&place, n).await;
    }
    let descending = "{orderBy: {path: $.data.n, as: number, direction: Descending}, take: 1}";
    let rules = held_rules(&place, descending);
    let kubeconfig = place.plane.kubeconfig();
    let mut daemon = Daemon::start(&kubeconfig, &rules, &[]);
    until("that red-4 is marked", &daemon, || async {
        is_marked(&place, "red-4").await
    })
    .await;
    seen_so_far(&place, &mut daemon, 1).await;
    assert_eq!(deleted(&place), ["red-4"], "it is still there");
    // Nor does a daemon begin another that did not see it go.
    assert_eq!(daemon.stop().await, Some(0));
    let mut daemon = Daemon::start(&kubeconfig, &rules, &[]);
    seen_so_far(&place, &mut daemon, 2).await;
    assert_eq!(deleted(&place), ["red-4"], "it is still there");
    // A person deletes another one, which is on its way when the first is gone.
    let params = DeleteParams::default();
    place.maps.delete("red-2", &params).await.unwrap();
    let_go(&place, "red-4").await;
    seen_so_far(&place, &mut daemon, 3).await;
    assert_eq!(deleted(&place), ["red-4"], "red-2 is still there");
    let_go(&place, "red-2").await;
    until("that red-3 is marked", &daemon, || async {
        is_marked(&place, "red-3").await
    })
    .await;
    seen_so_far(&place, &mut daemon, 4).await;
    assert_eq!(deleted(&place), ["red-4", "red-3"]);
    let_go(&place, "red-3").await;
    until("that red-1 is marked", &daemon, || async {
        is_marked(&place, "red-1").await
    })
    .await;
    let_go(&place, "red-1").await;
    seen_so_far(&place, &mut daemon, 5).await;
    assert_eq!(deleted(&place), ["red-4", "red-3", "red-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_stay_are_counted_without_one_that_is_going() {
    let place = Place::new("three-stay").await;
    for n in 1..=5 {
        hold(&place, n).await;
    }
    // A person deletes the newest, and it takes its time.
    let params = DeleteParams::default();
    place.maps.delete("red-5", &params).await.unwrap();
    let newest = "{orderBy: {path: $.data.n, as: number, direction: Descending}, skip: 3}";
    let rules = held_rules(&place, newest);
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    until("that red-1 is marked", &daemon, || async {
        is_marked(&place, "red-1").await
    })
    .await;
    for gone in ["red-1", "red-5"] {
        let_go(&place, gone).await;
    }
    seen_so_far(&place, &mut daemon, 1).await;
    assert_eq!(deleted(&place), ["red-1"], "three are left, and stay");
}

/// What Prometheus' own tool has to say of a page.
fn checked(page: &str) {
    let Some(promtool) = program("promtool") else {
        return;
    };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}\n{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_on_the_page_while_the_match_lasts() {
    let place = Place::new("counted").await;
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: counted}}
spec:
  description: \"Numbers, with a \\\\ and\\na second line.\"
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{}']
    selector: {{matchExpressions: [{{key: topic, operator: Exists}}]}}
  where:
  - {{path: $.data.n, as: number, operator: AtLeast, value: 2}}
  actions:
  - metric: {{name: shop_map_bytes, value: \"${{object.data.n}}Ki\"}}
  - metric:
      name: shop_maps_total
      type: Counter
      labels: {{topic: '${{object.metadata.labels.topic}} \"quoted\"'}}
      value: ${{object.data.n}}
      aggregate: Sum
",
        place.namespace
    );
    for n in 1..=4 {
        place
            .maps
            .create(&PostParams::default(), &numbered(n, "red"))
            .await
            .unwrap();
    }
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rule, &[]);
    daemon.ready().await;
    let page = || async {
        daemon
            .http("GET", "/metrics")
            .await
            .map_or(String::new(), |(_, page)| page)
    };
    let own = |page: &str| -> Vec<String> {
        let lines = page.lines().filter(|l| l.starts_with("shop_"));
        lines.map(|l| l.replace(&place.namespace, "NS")).collect()
    };
    let sum = |n| format!("shop_maps_total{{topic=\"red \\\"quoted\\\"\"}} {n}");
    let bytes = |n: usize| {
        format!(
            "shop_map_bytes{{kind=\"ConfigMap\",namespace=\"NS\",name=\"red-{n}\"}} {}",
            n * 1024
        )
    };
    let all = vec![bytes(2), bytes(3), bytes(4), sum(9)];
    until("all numbers", &daemon, || async {
        own(&page().await) == all
    })
    .await;
    checked(&page().await);
    place
        .maps
        .delete("red-3", &DeleteParams::default())
        .await
        .unwrap();
    let fewer = vec![bytes(2), bytes(4), sum(6)];
    until("that one is gone", &daemon, || async {
        own(&page().await) == fewer
    })
    .await;
    place
        .maps
        .delete("red-2", &DeleteParams::default())
        .await
        .unwrap();
    place
        .maps
        .delete("red-4", &DeleteParams::default())
        .await
        .unwrap();
    until("that all are gone", &daemon, || async {
        own(&page().await).is_empty()
    })
    .await;
    checked(&page().await);
    assert_eq!(place.plane.audit().of_ordain(&place.namespace).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttle_goes_by_name() {
    let place = Place::new("queue").await;
    for n in [5, 2, 6, 1, 4, 3] {
        place
            .maps
            .create(&PostParams::default(), &numbered(n, "waits"))
            .await
            .unwrap();
    }
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: one-by-one}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{}']
    selector: {{matchExpressions: [{{key: topic, operator: Exists}}]}}
  actions:
  - patch:
    - {{path: $.data.seen, set: 'yes'}}
  limits:
    throttle: {{objects: 2, per: 2s}}
",
        place.namespace
    );
    let daemon = Daemon::start(&place.plane.kubeconfig(), &rule, &[]);
    let written = || {
        let requests = place.plane.audit().of_ordain(&place.namespace);
        let names = requests.into_iter().map(|r| r.name);
        names.collect::<Vec<String>>()
    };
    until("the last", &daemon, || async { written().len() == 6 }).await;
    let all = written();
    // Those that go together are asked for at once.
    for (pair, names) in all.chunks(2).zip([["1", "2"], ["3", "4"], ["5", "6"]]) {
        let mut pair = pair.to_vec();
        pair.sort();
        assert_eq!(pair, names.map(|n| format!("waits-{n}")), "{all:?}");
    }
}
