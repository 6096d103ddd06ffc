//! Some of many, and numbers of all: `pick` and `metric` on the real server.

use crate::daemon::{Daemon, until};
use crate::prometheus::program;
use crate::scene::Place;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, PostParams};
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
