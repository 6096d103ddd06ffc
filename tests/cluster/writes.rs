//! What the daemon writes, judged by the server's audit log.

use crate::daemon::{Daemon, until};
use crate::proxy::{Proxy, Purpose};
use crate::scene::{
    Places, account_for, both, create_all, data_of, deleting, each, is_blue, names, per_object,
    setting, settled, until_blue, written,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_objects_under_two_rules_are_written_once_each() {
    let Places {
        plane,
        client,
        prefix,
        namespaces,
    } = Places::new("once", 50).await;
    let maps = names(&namespaces, 2_000);
    create_all(&client, &maps).await;
    let mut daemon = Daemon::start(&plane.kubeconfig(), &both(&prefix), &["--write-rate=0"]);
    daemon.ready().await;
    until_blue(&daemon, &client, &namespaces).await;
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
async fn a_server_that_takes_no_strategic_merge_patches_gets_others() {
    let Places {
        plane,
        client,
        prefix,
        namespaces,
    } = Places::new("plain", 2).await;
    let maps = names(&namespaces, 60);
    create_all(&client, &maps).await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    proxy.take_none_of("application/strategic-merge-patch+json");
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &both(&prefix), &[]);
    daemon.ready().await;
    until_blue(&daemon, &client, &namespaces).await;
    settled(&mut daemon, &client, &namespaces[0], "map-z1").await;
    let requests = written(plane, &prefix);
    assert_eq!(requests.len(), 60, "one request for each object");
    assert!(requests.iter().all(|r| r.code == 200 && r.verb == "patch"));
    let log = daemon.whole_log();
    assert_eq!(
        log.matches("takes no strategic merge patches").count(),
        1,
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_of_another_client_is_lost() {
    let Places {
        plane,
        client,
        prefix,
        namespaces,
    } = Places::new("both", 5).await;
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
    let Places {
        plane,
        client,
        prefix,
        namespaces,
    } = Places::new("killed", 5).await;
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
    until_blue(&daemon, &client, &namespaces).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn at_most_twenty_of_a_thousand_are_deleted_until_a_person_agrees() {
    let Places {
        plane,
        client,
        prefix,
        namespaces,
    } = Places::new("doomed", 1).await;
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
    let Places {
        plane,
        client,
        prefix,
        namespaces,
    } = Places::new("late", 2).await;
    let maps = names(&namespaces, 200);
    create_all(&client, &maps).await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    proxy.delay_watches(Duration::from_millis(200));
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &both(&prefix), &["--write-rate=0"]);
    daemon.ready().await;
    until_blue(&daemon, &client, &namespaces).await;
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
    until_blue(&daemon, &client, &namespaces).await;
    settled(&mut daemon, &client, &namespaces[0], "map-z2").await;
    assert_eq!(written(plane, &prefix).len(), before + 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_not_made_again() {
    let Places {
        plane,
        client,
        prefix,
        namespaces,
    } = Places::new("lost", 1).await;
    let maps = names(&namespaces, 20);
    create_all(&client, &maps).await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    proxy.lose_answers(10);
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &both(&prefix), &["--write-rate=0"]);
    until_blue(&daemon, &client, &namespaces).await;
    settled(&mut daemon, &client, &namespaces[0], "map-z1").await;
    assert_eq!(written(plane, &prefix).len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_in_two_namespaces_are_enough_and_a_forbidden_kind_stops_only_its_rule() {
    let Places {
        plane,
        client: admin,
        prefix,
        namespaces,
    } = Places::new("rights", 3).await;
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
    until_blue(&daemon, &admin, &[a.clone(), b.clone()]).await;
    daemon
        .until("that Secrets are forbidden", |s| {
            s["kinds"]
                .as_array()
                .unwrap()
                .iter()
                .any(|k| k["kind"] == "Secret" && k["state"] == "Forbidden")
        })
        .await;
    let status = daemon.status().await.unwrap();
    let kinds = status["kinds"].as_array().unwrap();
    let namespaces = kinds.iter().find(|k| k["kind"] == "Namespace").unwrap();
    assert_eq!(namespaces["state"], "OutOfScope", "nobody forbade them");
    let log = daemon.whole_log();
    let forbidden: Vec<&str> = log.lines().filter(|l| l.contains("RBAC forbids")).collect();
    assert!(
        forbidden.len() == 1 && forbidden[0].contains("kind=Secret"),
        "{forbidden:?}"
    );
    // Nothing is asked of the whole cluster.
    let asked = plane.audit().all("");
    let beyond = asked
        .iter()
        .find(|r| r.user == format!("system:serviceaccount:{a}:ordain") && r.namespace.is_empty());
    assert_eq!(beyond.map(|r| &r.uri), None);
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
