//! What rules remember where it is hardest: moments that nobody saw, two daemons on one state, a state full of rubbish.

use crate::daemon::{Daemon, until};
use crate::scene::{Place, create_old, left_over, namespace};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// The objects of which something is remembered, by all shards of the state.
async fn remembered(home: &Api<ConfigMap>) -> usize {
    let all = ListParams::default().labels("ordain.dev/state");
    let mut count = 0;
    for map in home.list(&all).await.unwrap().items {
        let text = map.data.unwrap_or_default().remove("state");
        let shard: Value = serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default();
        let matches = shard["rules"]["left-over"]["matches"].as_object();
        count += matches.map_or(0, |matches| matches.len());
    }
    count
}

async fn count(place: &Place, name: &str) -> String {
    let data = place.maps.get(name).await.unwrap().data.unwrap_or_default();
    data.get("count").cloned().unwrap_or_default()
}

fn minute() -> i64 {
    Timestamp::now().as_second() / 60
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_came_while_no_daemon_ran_is_made_up_for_once() {
    let place = Place::new("moments").await;
    let home = namespace(&place.client, "moments-home").await;
    let option = format!("--state-namespace={home}");
    let rules = left_over(
        &place.namespace,
        "  schedule: [{cron: '* * * * *'}]
  actions:
  - once: {}
    patch:
    - path: $.data.count
      set: ${string(int(object.?data.?count.orValue('0')) + 1)}
",
    );
    create_old(&place.maps, "a").await;
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[&option]);
    until("the first moment", &daemon, || async {
        count(&place, "a").await == "1"
    })
    .await;
    assert_eq!(daemon.stop().await, Some(0));
    let stopped = minute();
    assert_eq!(count(&place, "a").await, "1");
    while minute() == stopped {
        sleep(Duration::from_millis(200)).await;
    }
    let missed = minute();
    daemon.start_again();
    until("the moment that was missed", &daemon, || async {
        count(&place, "a").await == "2"
    })
    .await;
    assert_eq!(minute(), missed, "that was the next moment");
    // It is made up for once, also if the daemon is killed before it could keep that.
    daemon.kill();
    daemon.start_again();
    daemon.ready().await;
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    sleep(Duration::from_secs(2)).await;
    let passed = minute() - missed;
    let expected = 2 + passed;
    let counted: i64 = count(&place, "a").await.parse().unwrap();
    assert!(
        counted == expected || counted == expected - 1,
        "{counted} after {passed} further moments"
    );
    if passed == 0 {
        assert_eq!(counted, 2);
    }
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_on_one_state_lose_nothing_and_say_so() {
    const AFTER: i64 = 40;
    let place = Place::new("two").await;
    let home = namespace(&place.client, "two-home").await;
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), &home);
    let option = format!("--state-namespace={home}");
    let options = [
        option.as_str(),
        "--lease-name=both",
        "--leader-election=false",
    ];
    let rules = left_over(
        &place.namespace,
        &format!(
            "  limits: {{abortAbove: {{objects: 1000}}}}
  actions:
  - event: {{reason: LeftOver, message: it goes}}
  - after: {AFTER}s
    delete: {{}}
"
        ),
    );
    let mut one = Daemon::start(&place.plane.kubeconfig(), &rules, &options);
    let mut two = Daemon::start(&place.plane.kubeconfig(), &rules, &options);
    one.ready().await;
    two.ready().await;
    let mut made = 0;
    let (mut first, mut second) = (Value::Null, Value::Null);
    let tells = |status: &Value| {
        let told = status["state"].as_array().cloned().unwrap_or_default();
        told.iter().any(|said| {
            said.as_str()
                .is_some_and(|s| s.contains("another daemon writes shard"))
        })
    };
    // Both write as long as there is something new.
    while !tells(&first) && !tells(&second) {
        assert!(made < 60, "{first}\n{second}");
        create_old(&place.maps, &format!("m{made}")).await;
        made += 1;
        sleep(Duration::from_millis(500)).await;
        first = one.status().await.unwrap_or_default();
        second = two.status().await.unwrap_or_default();
    }
    until("all is kept", &one, || async {
        let left = place
            .maps
            .list(&ListParams::default().labels("old=yes"))
            .await;
        remembered(&maps).await >= left.unwrap().items.len()
    })
    .await;
    // Neither stops the other.
    one.kill();
    two.kill();
    one.start_again();
    until("all are deleted", &one, || async {
        let left = place
            .maps
            .list(&ListParams::default().labels("old=yes"))
            .await;
        left.unwrap().items.is_empty()
    })
    .await;
    // None too early.
    let mut since: BTreeMap<String, Timestamp> = BTreeMap::new();
    for request in place.plane.audit().all(&place.namespace) {
        if request.resource != "configmaps" || !request.name.starts_with('m') {
            continue;
        }
        let at: Timestamp = request.received.parse().unwrap();
        match request.verb.as_str() {
            "create" => drop(since.insert(request.name, at)),
            "delete" => {
                let held = at.duration_since(since[&request.name]);
                assert!(held.as_secs() >= AFTER, "{} after {held:#}", request.name);
            }
            _ => {}
        }
    }
    assert_eq!(since.len(), made);
    // Told once each.
    let told: Api<Event> = Api::namespaced(place.client.clone(), &place.namespace);
    let told = told.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(told.len(), made);
    assert_eq!(one.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_full_of_rubbish_is_told_and_written_anew() {
    let place = Place::new("rubbish").await;
    let home = namespace(&place.client, "rubbish-home").await;
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), &home);
    let shards = [
        ("ordain-state-4-0", "\u{1F5D1}".repeat(200_000)),
        (
            "ordain-state-4-1",
            r#"{"version": 1, "shards": 4, "shard": 1, "rules": {"left-over": 7}}"#.to_owned(),
        ),
        (
            "ordain-state-4-77",
            r#"{"version": 1, "shards": 3, "shard": 9}"#.to_owned(),
        ),
        ("something-else", String::new()),
    ];
    for (name, text) in &shards {
        let map = json!({"metadata": {"name": name, "labels": {"ordain.dev/state": "ordain"}}, "data": {"state": text}});
        let map: ConfigMap = serde_json::from_value(map).unwrap();
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    create_old(&place.maps, "a").await;
    let option = format!("--state-namespace={home}");
    let rules = left_over(&place.namespace, "  actions: [{after: 1h, delete: {}}]\n");
    let mut daemon = Daemon::start(
        &place.plane.kubeconfig(),
        &rules,
        &[&option, "--lease-name=ordain"],
    );
    daemon
        .until("that it is told", |s| {
            s["state"].as_array().is_some_and(|told| told.len() >= 4)
        })
        .await;
    until("it is written anew", &daemon, || async {
        remembered(&maps).await == 1
    })
    .await;
    let all = ListParams::default().labels("ordain.dev/state");
    until("the rubbish is gone", &daemon, || async {
        let left = maps.list(&all).await.unwrap().items;
        let mut names: Vec<String> = left.into_iter().filter_map(|m| m.metadata.name).collect();
        names.sort();
        names
            == (0..4)
                .map(|n| format!("ordain-state-4-{n}"))
                .collect::<Vec<_>>()
    })
    .await;
    assert_eq!(daemon.stop().await, Some(0));
}
