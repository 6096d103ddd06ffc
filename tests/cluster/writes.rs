//! What the daemon writes, judged by the server's audit log.

use crate::control_plane::audit::Request;
use crate::control_plane::{Plane, shared};
use crate::daemon::{Daemon, until};
use crate::proxy::{Proxy, Purpose};
use crate::watch::{account_for, map, namespace};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Requests of a test in flight at once.
const AT_ONCE: usize = 16;

/// A rule that sets one value in ConfigMaps called `map-…` of namespaces that start with `prefix`.
fn setting(name: &str, prefix: &str, path: &str, value: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {name}}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{prefix}*']
    names: ['map-*']
  actions:
  - patch:
    - {{path: {path}, set: '{value}'}}
"
    )
}

fn both(prefix: &str) -> String {
    [
        setting("team", prefix, "$.metadata.labels.team", "blue"),
        setting("seen", prefix, "$.data.seen", "yes"),
    ]
    .join("---\n")
}

/// Namespaces whose names have a prefix of their own, which is answered.
async fn namespaces(client: &kube::Client, word: &str, count: usize) -> (String, Vec<String>) {
    let prefix = namespace(client, word).await;
    let all: Api<Namespace> = Api::all(client.clone());
    let mut names = vec![];
    for n in 0..count {
        let name = format!("{prefix}-{n:02}");
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..Default::default()
            },
            ..Default::default()
        };
        all.create(&PostParams::default(), &namespace)
            .await
            .unwrap();
        names.push(name);
    }
    (prefix, names)
}

/// Does something with every map `(namespace, name)`.
async fn each<F: Future<Output = ()>>(
    client: &kube::Client,
    maps: &[(String, String)],
    job: impl Fn(Api<ConfigMap>, String) -> F,
) {
    futures::stream::iter(maps)
        .for_each_concurrent(AT_ONCE, |(namespace, name)| {
            job(Api::namespaced(client.clone(), namespace), name.clone())
        })
        .await;
}

async fn create_all(client: &kube::Client, maps: &[(String, String)]) {
    each(client, maps, |api, name| async move {
        api.create(&PostParams::default(), &map(&name))
            .await
            .unwrap();
    })
    .await;
}

fn names(namespaces: &[String], count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|n| {
            (
                namespaces[n % namespaces.len()].clone(),
                format!("map-{n:04}"),
            )
        })
        .collect()
}

async fn data_of(client: &kube::Client, namespaces: &[String]) -> Vec<ConfigMap> {
    let mut found = vec![];
    for namespace in namespaces {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let list = maps.list(&ListParams::default()).await.unwrap();
        found.extend(
            list.items
                .into_iter()
                .filter(|m| m.metadata.name.as_deref().unwrap().starts_with("map-")),
        );
    }
    found
}

fn is_blue(map: &ConfigMap) -> bool {
    let label = |m: &ConfigMap| m.metadata.labels.as_ref()?.get("team").cloned();
    let data = |m: &ConfigMap| m.data.as_ref()?.get("seen").cloned();
    label(map).as_deref() == Some("blue") && data(map).as_deref() == Some("yes")
}

/// Waits until the daemon has nothing in flight, and has seen and changed an object that was made last.
async fn settled(daemon: &mut Daemon, client: &kube::Client, namespace: &str, marker: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    maps.create(&PostParams::default(), &map(marker))
        .await
        .unwrap();
    until("the change of the last object", daemon, || async {
        maps.get(marker)
            .await
            .unwrap()
            .metadata
            .labels
            .unwrap_or_default()
            .contains_key("team")
    })
    .await;
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    maps.delete(marker, &DeleteParams::default()).await.unwrap();
}

/// Ordain's requests of a test, but for those on markers.
fn written(plane: &Plane, prefix: &str) -> Vec<Request> {
    let mut requests = plane.audit().of_ordain(prefix);
    requests.retain(|r| !r.name.starts_with("map-z"));
    requests
}

fn per_object(requests: &[Request]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for request in requests.iter().filter(|r| r.code == 200) {
        *counts
            .entry((request.namespace.clone(), request.name.clone()))
            .or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_objects_under_two_rules_are_written_once_each() {
    let plane = shared();
    let client = plane.client().await;
    let (prefix, namespaces) = namespaces(&client, "once", 50).await;
    let maps = names(&namespaces, 2_000);
    create_all(&client, &maps).await;
    let mut daemon = Daemon::start(&plane.kubeconfig(), &both(&prefix), &["--write-rate=0"]);
    daemon.ready().await;
    until("that every object is right", &daemon, || async {
        data_of(&client, &namespaces).await.iter().all(is_blue)
    })
    .await;
    settled(&mut daemon, &client, &namespaces[0], "map-z1").await;
    let requests = written(plane, &prefix);
    assert_eq!(requests.len(), 2_000, "one request for each object");
    assert!(requests.iter().all(|r| r.code == 200 && r.verb == "patch"));
    assert_eq!(per_object(&requests).len(), 2_000);

    assert_eq!(
        daemon.stop().await,
        Some(0),
        "a clean stop\n{}",
        daemon.log()
    );
    daemon.start_again();
    daemon.ready().await;
    settled(&mut daemon, &client, &namespaces[0], "map-z2").await;
    assert_eq!(
        written(plane, &prefix).len(),
        2_000,
        "nothing is left to write"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_of_another_client_is_lost() {
    let plane = shared();
    let client = plane.client().await;
    let (prefix, namespaces) = namespaces(&client, "both", 5).await;
    let maps = names(&namespaces, 300);
    create_all(&client, &maps).await;
    let rules = [
        both(&prefix),
        setting(
            "copy",
            &prefix,
            "$.data.copy",
            "${object.data.?n.orValue(\"none\")}",
        ),
    ]
    .join("---\n");
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rules, &["--write-rate=0"]);
    // The other client reads, changes and replaces whole objects, again where Ordain was faster.
    for round in ["1", "2", "3"] {
        each(&client, &maps, |api, name| async move {
            loop {
                let mut map = api.get(&name).await.unwrap();
                map.data
                    .get_or_insert_default()
                    .insert("n".into(), round.into());
                match api.replace(&name, &PostParams::default(), &map).await {
                    Ok(_) => break,
                    Err(kube::Error::Api(status)) if status.code == 409 => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
    }
    let right = |map: &ConfigMap| {
        let data = map.data.clone().unwrap_or_default();
        is_blue(map)
            && data.get("n").map(String::as_str) == Some("3")
            && data.get("copy").map(String::as_str) == Some("3")
    };
    until("both clients' values everywhere", &daemon, || async {
        data_of(&client, &namespaces).await.iter().all(right)
    })
    .await;
    settled(&mut daemon, &client, &namespaces[0], "map-z1").await;
    assert!(data_of(&client, &namespaces).await.iter().all(right));
    let codes: Vec<u64> = written(plane, &prefix).iter().map(|r| r.code).collect();
    assert!(codes.iter().all(|c| [200, 409].contains(c)), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_killed_writes_only_what_is_left() {
    let plane = shared();
    let client = plane.client().await;
    let (prefix, namespaces) = namespaces(&client, "killed", 5).await;
    let maps = names(&namespaces, 500);
    create_all(&client, &maps).await;
    let mut daemon = Daemon::start(&plane.kubeconfig(), &both(&prefix), &["--write-rate=100"]);
    until("half of the writes", &daemon, || async {
        written(plane, &prefix).len() >= 200
    })
    .await;
    daemon.kill();
    let before = written(plane, &prefix).len();
    assert!(before < 500, "it was killed in the middle");
    daemon.start_again();
    until("that every object is right", &daemon, || async {
        data_of(&client, &namespaces).await.iter().all(is_blue)
    })
    .await;
    settled(&mut daemon, &client, &namespaces[0], "map-z1").await;
    let requests = written(plane, &prefix);
    // A write that was in flight may have been made without anybody to answer to: it is in the log without a 200.
    assert!(
        per_object(&requests).values().all(|writes| *writes == 1),
        "no object was changed twice"
    );
    assert!(
        (500..=500 + 32).contains(&requests.len()),
        "at most one more request for each in flight: {}",
        requests.len()
    );
}

fn deleting(name: &str, prefix: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {name}}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{prefix}*']
    selector: {{matchLabels: {{doomed: 'yes'}}}}
  actions:
  - delete: {{}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_twenty_of_a_thousand_are_deleted_until_a_person_agrees() {
    let plane = shared();
    let client = plane.client().await;
    let (prefix, namespaces) = namespaces(&client, "doomed", 1).await;
    let maps = names(&namespaces, 1_000);
    create_all(&client, &maps).await;
    let mut daemon = Daemon::start(
        &plane.kubeconfig(),
        &deleting("doomed-maps", &prefix),
        &["--write-rate=0"],
    );
    daemon.ready().await;
    // One at a time over a minute.
    let mut pace = tokio::time::interval(Duration::from_millis(60));
    let doom = Patch::Merge(json!({"metadata": {"labels": {"doomed": "yes"}}}));
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &namespaces[0]);
    for (_, name) in &maps {
        pace.tick().await;
        api.patch(name, &PatchParams::default(), &doom)
            .await
            .unwrap();
    }
    let status = daemon
        .until("that the rule stopped", |s| {
            s["rules"][0]["aborted"] != Value::Null
        })
        .await;
    assert_eq!(status["rules"][0]["name"], "doomed-maps");
    // The daemon has seen the last of them when it reports all that wait.
    daemon
        .until("a report of each that waits", |s| {
            s["findings"]["byReason"]["Aborted"].as_u64() >= Some(980)
        })
        .await;
    let left = data_of(&client, &namespaces).await.len();
    assert_eq!(left, 980, "the default limit is 20");
    assert_eq!(written(plane, &prefix).len(), 20);

    let (code, _) = daemon
        .http("POST", "/acknowledge?rule=doomed-maps")
        .await
        .unwrap();
    assert_eq!(code, 200);
    until("that the rest is gone", &daemon, || async {
        data_of(&client, &namespaces).await.is_empty()
    })
    .await;
    assert_eq!(written(plane, &prefix).len(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_watches_cause_no_second_write() {
    let plane = shared();
    let client = plane.client().await;
    let (prefix, namespaces) = namespaces(&client, "late", 2).await;
    let maps = names(&namespaces, 200);
    create_all(&client, &maps).await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    proxy.delay_watches(Duration::from_millis(200));
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &both(&prefix), &["--write-rate=0"]);
    daemon.ready().await;
    until("that every object is right", &daemon, || async {
        data_of(&client, &namespaces).await.iter().all(is_blue)
    })
    .await;
    settled(&mut daemon, &client, &namespaces[0], "map-z1").await;
    assert_eq!(written(plane, &prefix).len(), 200);

    // Objects that go right after they were written: their keys do not wait for ever, and are made right when they come again.
    let (gone, fresh) = (names(&namespaces[..1], 20), "again");
    let doomed: Vec<(String, String)> = gone
        .iter()
        .map(|(namespace, name)| (namespace.clone(), format!("{name}-{fresh}")))
        .collect();
    for _ in 0..2 {
        let before = written(plane, &prefix).len();
        create_all(&client, &doomed).await;
        each(&client, &doomed, |api, name| async move {
            while !is_blue(&api.get(&name).await.unwrap()) {
                tokio::task::yield_now().await;
            }
            api.delete(&name, &DeleteParams::default()).await.unwrap();
        })
        .await;
        assert_eq!(written(plane, &prefix).len(), before + doomed.len());
    }

    // A list that skips the version a write gave: the watches are cut, the objects change again meanwhile, and the version is too old.
    let before = written(plane, &prefix).len();
    proxy.hold_watches(true);
    proxy.refuse(Purpose::Watch, "/configmaps", 1, 410, None);
    proxy.cut_watches();
    each(&client, &maps, |api, name| async move {
        let patch = Patch::Merge(json!({"data": {"seen": null}}));
        api.patch(&name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    })
    .await;
    proxy.hold_watches(false);
    until("that every object is right again", &daemon, || async {
        data_of(&client, &namespaces).await.iter().all(is_blue)
    })
    .await;
    settled(&mut daemon, &client, &namespaces[0], "map-z2").await;
    assert_eq!(written(plane, &prefix).len(), before + 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_not_made_again() {
    let plane = shared();
    let client = plane.client().await;
    let (prefix, namespaces) = namespaces(&client, "lost", 1).await;
    let maps = names(&namespaces, 20);
    create_all(&client, &maps).await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    proxy.lose_answers(10);
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &both(&prefix), &["--write-rate=0"]);
    until("that every object is right", &daemon, || async {
        data_of(&client, &namespaces).await.iter().all(is_blue)
    })
    .await;
    settled(&mut daemon, &client, &namespaces[0], "map-z1").await;
    assert_eq!(written(plane, &prefix).len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_in_two_namespaces_are_enough_and_a_forbidden_kind_stops_only_its_rule() {
    let plane = shared();
    let admin = plane.client().await;
    let (prefix, namespaces) = namespaces(&admin, "rights", 3).await;
    let (a, b, c) = (&namespaces[0], &namespaces[1], &namespaces[2]);
    account_for(&admin, a, &[a, b]).await;
    let maps = names(&namespaces, 3);
    create_all(&admin, &maps).await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = plane
        .kubeconfig_for_account(a, "ordain", folder.path())
        .await;
    let secrets = "---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: secrets}
spec:
  mode: Enforce
  match: {resources: [{apiVersion: v1, kind: Secret}]}
  actions: [{patch: [{path: $.metadata.labels.team, set: blue}]}]
";
    let rules = both(&prefix) + secrets;
    let mut daemon = Daemon::start(&kubeconfig, &rules, &["--namespace", a, "--namespace", b]);
    until("the changes in both namespaces", &daemon, || async {
        data_of(&admin, &[a.clone(), b.clone()])
            .await
            .iter()
            .all(is_blue)
    })
    .await;
    daemon
        .until("that Secrets are forbidden", |s| {
            s["kinds"]
                .as_array()
                .unwrap()
                .iter()
                .any(|k| k["kind"] == "Secret" && k["state"] == "Forbidden")
        })
        .await;
    settled(&mut daemon, &admin, b, "map-z1").await;
    let requests = written(plane, &prefix);
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|r| r.namespace != *c));
    assert!(
        !data_of(&admin, std::slice::from_ref(c))
            .await
            .iter()
            .any(is_blue)
    );
}
