//! A daemon that is killed again and again, at the worst moments: between a write and its acknowledgement, and between an effect and the moment at
//! which it would be remembered. The audit log and the objects themselves say whether anything was done too early, twice, or not at all.
//!
//! `ORDAIN_KILLS` says how often; the default is made for every day.

use crate::daemon::{Daemon, until};
use crate::proxy::Proxy;
use crate::scene::{Place, namespace};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const KILLS: usize = 16;
/// `after` of the rule that deletes.
const AFTER: i64 = 12;
/// Every moment comes within this time, that of the deletion as well.
const MOMENT: Duration = Duration::from_secs(30);

fn rules(namespace: &str) -> String {
    let of = |name: &str, kind: &str, actions: &str| {
        format!(
            "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {name}}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: [{namespace}]
    selector: {{matchLabels: {{kind: {kind}}}}}
  limits: {{abortAbove: {{objects: 100000}}, perObject: {{changes: 100, per: 1m}}}}
  actions:
{actions}"
        )
    };
    let restarts = of("restarts", "again", "  - restart: {}\n").replace(
        "apiVersion: v1, kind: ConfigMap",
        "apiVersion: apps/v1, kind: Deployment",
    );
    [
        restarts,
        of(
            "deletes",
            "goes",
            &format!("  - after: {AFTER}s\n    delete: {{}}\n"),
        ),
        of(
            "tells",
            "told",
            "  - event: {reason: Told, message: once}\n",
        ),
        of(
            "counts",
            "counted",
            "  - once: {key: \"${object.data.version}\"}
    patch:
    - path: $.data.count
      set: ${string(int(object.data.?count.orValue('0')) + 1)}
",
        ),
    ]
    .join("---\n")
}

async fn put(place: &Place, kind: &str, name: &str) {
    let map =
        json!({"metadata": {"name": name, "labels": {"kind": kind}}, "data": {"version": "1"}});
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    place
        .maps
        .create(&PostParams::default(), &map)
        .await
        .unwrap();
}

/// A Deployment without Pods.
async fn deploy(place: &Place, name: &str) {
    let app = json!({"app": name});
    let deployment = json!({
        "metadata": {"name": name, "labels": {"kind": "again"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": app}, "template": {
            "metadata": {"labels": app},
            "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}}}
    });
    let deployment: Deployment = serde_json::from_value(deployment).unwrap();
    let all: Api<Deployment> = Api::namespaced(place.client.clone(), &place.namespace);
    all.create(&PostParams::default(), &deployment)
        .await
        .unwrap();
}

/// How often the content of each Deployment was changed since it was made.
async fn changes(place: &Place) -> BTreeMap<i64, usize> {
    let all: Api<Deployment> = Api::namespaced(place.client.clone(), &place.namespace);
    let mut changes = BTreeMap::new();
    for deployment in all.list(&ListParams::default()).await.unwrap().items {
        let generation = deployment.metadata.generation.unwrap_or_default();
        *changes.entry(generation - 1).or_default() += 1;
    }
    changes
}

async fn of_kind(place: &Place, kind: &str) -> Vec<ConfigMap> {
    let all = ListParams::default().labels(&format!("kind={kind}"));
    place.maps.list(&all).await.unwrap().items
}

fn counts(maps: &[ConfigMap]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for map in maps {
        let count = map.data.as_ref().and_then(|data| data.get("count"));
        *counts
            .entry(count.cloned().unwrap_or_default())
            .or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_moment_it_is_killed_nothing_is_shortened_doubled_or_lost() {
    let kills = std::env::var("ORDAIN_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(KILLS);
    let place = Place::new("kills").await;
    let home = namespace(&place.client, "kills-home").await;
    let proxy = Proxy::start(place.plane.kubeconfig()).await;
    let option = format!("--state-namespace={home}");
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &rules(&place.namespace), &[&option]);
    daemon.ready().await;
    let events = format!(
        "POST /apis/events.k8s.io/v1/namespaces/{}/events",
        place.namespace
    );
    let patches = format!(
        "PATCH /api/v1/namespaces/{}/configmaps/counted",
        place.namespace
    );
    let deletes = format!(
        "DELETE /api/v1/namespaces/{}/configmaps/goes",
        place.namespace
    );
    let restarts = format!(
        "PATCH /apis/apps/v1/namespaces/{}/deployments/again",
        place.namespace
    );
    let state = format!("/api/v1/namespaces/{home}/configmaps");
    // What is caught, and whether before the server has done it.
    let traps = [
        (&events, false),
        (&patches, false),
        (&restarts, false),
        (&state, true),
        (&state, false),
        (&deletes, false),
        (&events, true),
        (&patches, true),
    ];
    let (mut landed, mut rounds) = (0, 0);
    while landed < kills {
        assert!(
            rounds < 2 * kills,
            "only {landed} of {rounds} kills came at their moment"
        );
        let (trap, before) = traps[landed % traps.len()];
        proxy.catch(trap, before);
        for kind in ["goes", "told", "counted"] {
            put(&place, kind, &format!("{kind}-{rounds}")).await;
        }
        deploy(&place, &format!("again-{rounds}")).await;
        rounds += 1;
        let started = Instant::now();
        while proxy.caught() == 0 && started.elapsed() < MOMENT {
            sleep(Duration::from_millis(5)).await;
        }
        // One that missed its moment is a kill like another, and is made up for.
        landed += usize::from(proxy.caught() > 0);
        daemon.kill();
        proxy.catch_nothing();
        daemon.start_again();
    }
    until("all are deleted", &daemon, || async {
        of_kind(&place, "goes").await.is_empty()
    })
    .await;
    until("all are counted", &daemon, || async {
        counts(&of_kind(&place, "counted").await)
            .keys()
            .all(|count| count == "1")
    })
    .await;
    let each_once = || [(1, rounds)].into();
    until("all are restarted", &daemon, || async {
        changes(&place).await == each_once()
    })
    .await;

    // None too early.
    let mut made: BTreeMap<String, Timestamp> = BTreeMap::new();
    let mut gone = 0;
    for request in place.plane.audit().all(&place.namespace) {
        let at: Timestamp = request.received.parse().unwrap();
        let success = request.succeeded();
        if request.resource != "configmaps" || !request.name.starts_with("goes-") {
            continue;
        }
        match request.verb.as_str() {
            "create" if success => drop(made.insert(request.name, at)),
            "delete" => {
                let since = made[&request.name];
                let held = at.duration_since(since);
                assert!(
                    held.as_millis() >= i128::from(AFTER) * 1_000,
                    "{} was deleted after {held:#}",
                    request.name
                );
                gone += usize::from(success);
            }
            _ => {}
        }
    }
    assert_eq!(made.len(), rounds);
    // All are gone, none twice. Of a request whose client was killed the log need not tell that it succeeded.
    assert!(gone <= rounds, "{gone} deletions of {rounds} objects");

    // None told twice, none not told.
    let told: Api<Event> = Api::namespaced(place.client.clone(), &place.namespace);
    until("all are told", &daemon, || async {
        told.list(&ListParams::default()).await.unwrap().items.len() >= rounds
    })
    .await;
    let told = told.list(&ListParams::default()).await.unwrap();
    let mut of: BTreeMap<String, usize> = BTreeMap::new();
    for event in told.items {
        *of.entry(event.regarding.unwrap().name.unwrap())
            .or_default() += 1;
    }
    assert_eq!(of.len(), rounds);
    assert!(of.values().all(|times| *times == 1), "{of:?}");

    assert_eq!(changes(&place).await, each_once(), "each restarted once");

    // And what is remembered of each is still right: the same key does nothing, another one acts once.
    let all = counts(&of_kind(&place, "counted").await);
    assert_eq!(all, [("1".to_owned(), rounds)].into(), "each once");
    for map in of_kind(&place, "counted").await {
        let name = map.metadata.name.unwrap();
        let patch = json!({"data": {"version": "2"}});
        place
            .maps
            .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }
    until("each is counted again", &daemon, || async {
        counts(&of_kind(&place, "counted").await) == [("2".to_owned(), rounds)].into()
    })
    .await;
    assert_eq!(daemon.stop().await, Some(0));
}
