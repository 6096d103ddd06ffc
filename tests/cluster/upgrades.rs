//! What rules remember outlives an upgrade and a rollback of the chart.

use crate::chart::{chart, quiet, restricted};
use crate::container::Container;
use crate::control_plane::processes::free_port;
use crate::control_plane::shared;
use crate::scene::{found, left_over, namespace};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use tokio::time::sleep;

/// `after` of the rule: long enough for both.
const AFTER: i64 = 75;

fn rules(namespace: &str) -> String {
    let steps = format!(
        "  actions:
  - event: {{reason: LeftOver, message: it goes}}
  - once: {{}}
    patch:
    - path: $.data.count
      set: ${{string(int(object.?data.?count.orValue('0')) + 1)}}
  - after: {AFTER}s
    delete: {{}}
"
    );
    left_over(namespace, &steps)
}

/// The Pod that was made with this argument.
async fn pod_with(client: &kube::Client, namespace: &str, argument: &str) -> Pod {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let of = ListParams::default().labels("app.kubernetes.io/component=daemon");
    let what = || format!("a Pod with {argument}");
    found(what, || async {
        let found = pods.list(&of).await.unwrap().items;
        found.into_iter().find(|pod| {
            let container = &pod.spec.as_ref().unwrap().containers[0];
            container.args.iter().flatten().any(|a| a == argument)
        })
    })
    .await
}

/// Since when the match is kept to hold, in milliseconds since 1970.
async fn since(home: &Api<ConfigMap>) -> Option<i64> {
    let all = ListParams::default().labels("ordain.dev/state");
    home.list(&all)
        .await
        .unwrap()
        .items
        .into_iter()
        .find_map(|map| {
            let text = map.data?.remove("state")?;
            let shard: Value = serde_json::from_str(&text).ok()?;
            let matches = shard["rules"]["left-over"]["matches"].as_object()?.clone();
            let one = matches.values().next()?;
            one.as_i64().or_else(|| one["since"].as_i64())
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_remember_outlives_an_upgrade_and_a_rollback() {
    let plane = shared();
    let client = plane.client().await;
    let home = restricted(&client, "chart-remembers").await;
    let place = namespace(&client, "chart-remembered").await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("rules.yaml"), rules(&place)).unwrap();
    let printed = Command::new(env!("CARGO_BIN_EXE_ordain"))
        .args([
            "rbac",
            "--rules",
            &at("rules.yaml"),
            "--state-namespace",
            &home,
        ])
        .output()
        .unwrap();
    assert!(printed.status.success(), "{printed:?}");
    std::fs::write(at("rbac.yaml"), printed.stdout).unwrap();
    let values = json!({"rules": {"inline": {"rules.yaml": rules(&place)}}});
    std::fs::write(at("values.json"), values.to_string()).unwrap();
    let helm = |command: &str, more: &str| {
        let chart = chart().display().to_string();
        let (values, rights) = (
            at("values.json"),
            format!("rbac.manifest={}", at("rbac.yaml")),
        );
        let rest = ["--values", &values, "--set-file", &rights, "--set", more];
        let mut arguments = vec![command, "ordain", &chart, "--namespace", &home];
        arguments.extend(rest);
        quiet(plane.helm(&arguments))
    };
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &place);
    let kept: Api<ConfigMap> = Api::namespaced(client.clone(), &home);
    let map = json!({"metadata": {"name": "a", "labels": {"old": "yes"}}});
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    let (first_port, second_port) = (free_port(), free_port());

    helm("install", &format!("port={first_port},workers=6"));
    let created = pod_with(&client, &home, "--workers=6").await;
    let mut first = Container::start(plane, &created, &[]).await;
    first.until_ok("/readyz").await;
    maps.create(&PostParams::default(), &map).await.unwrap();
    let what = || {
        let written = plane.audit().all(&home);
        let written: Vec<String> = written.iter().map(|r| format!("{r:?}")).collect();
        format!("that it is kept\n{}\n{}", first.log(), written.join("\n"))
    };
    let begun = found(what, || since(&kept)).await;

    helm("upgrade", &format!("port={second_port},workers=7"));
    let upgraded = pod_with(&client, &home, "--workers=7").await;
    let mut second = Container::start(plane, &upgraded, &[]).await;
    second.until_ok("/readyz").await;
    assert_eq!(first.stop().await, Some(0), "{}", first.log());
    sleep(Duration::from_secs(6)).await;
    assert_eq!(since(&kept).await, Some(begun), "{}", second.log());

    quiet(plane.helm(&["rollback", "ordain", "1", "--namespace", &home]));
    let back = pod_with(&client, &home, "--workers=6").await;
    let mut third = Container::start(plane, &back, &[]).await;
    third.until_ok("/readyz").await;
    assert_eq!(second.stop().await, Some(0), "{}", second.log());
    sleep(Duration::from_secs(6)).await;
    let there = maps.get("a").await.unwrap();
    assert_eq!(since(&kept).await, Some(begun), "{}", third.log());
    assert_eq!(there.data.unwrap()["count"], "1");

    let what = || format!("that it is deleted\n{}", third.log());
    found(what, || async {
        maps.get_opt("a").await.unwrap().is_none().then_some(())
    })
    .await;
    let requests = plane.audit().all(&place);
    let received = |verb: &str| -> Timestamp {
        let found = requests.iter().find(|r| r.verb == verb && r.name == "a");
        found.unwrap().received.parse().unwrap()
    };
    let held = received("delete").duration_since(received("create"));
    assert!(
        held.as_secs() >= AFTER && held.as_secs() < AFTER + 15,
        "{held:#}"
    );
    let told: Api<Event> = Api::namespaced(client.clone(), &place);
    assert_eq!(
        told.list(&ListParams::default()).await.unwrap().items.len(),
        1
    );
    let patches = requests
        .iter()
        .filter(|r| r.verb == "patch" && r.name == "a");
    assert_eq!(patches.count(), 1);
    assert_eq!(third.stop().await, Some(0), "{}", third.log());
    quiet(plane.helm(&["uninstall", "ordain", "--namespace", &home]));
}
