//! What rules remember, in the ConfigMaps of the daemon's namespace.

use crate::command::ordain;
use crate::daemon::{Daemon, until};
use crate::proxy::{Proxy, Purpose};
use crate::scene::{Place, create_old, left_over, namespace};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Deletes what is left over so long after it has told of it.
fn rule(place: &Place, after: &str) -> String {
    let steps = format!(
        "  actions:
  - event: {{reason: LeftOver, message: it goes}}
  - after: {after}
    delete: {{}}
"
    );
    left_over(&place.namespace, &steps)
}

/// The state: name and text of each ConfigMap.
async fn state(home: &Api<ConfigMap>) -> Vec<(String, String)> {
    let all = home
        .list(&ListParams::default().labels("ordain.dev/state"))
        .await
        .unwrap();
    let texts = all.items.into_iter().map(|map| {
        let text = map
            .data
            .unwrap_or_default()
            .remove("state")
            .unwrap_or_default();
        (map.metadata.name.unwrap(), text)
    });
    texts.collect()
}

/// Since when matches are written down to hold, in milliseconds since 1970.
fn since(texts: &[(String, String)]) -> Vec<i64> {
    let mut found = vec![];
    for (_, text) in texts {
        let shard: Value = serde_json::from_str(text).unwrap_or_default();
        for one in shard["rules"]["left-over"]["matches"]
            .as_object()
            .into_iter()
            .flatten()
        {
            found.extend(one.1.as_i64().or_else(|| one.1["since"].as_i64()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_match_is_known_again_after_a_kill() {
    let place = Place::new("state").await;
    let home = namespace(&place.client, "state-home").await;
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), &home);
    create_old(&place.maps, "a").await;
    let option = format!("--state-namespace={home}");
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rule(&place, "25s"), &[&option]);
    let begun = Instant::now();
    daemon.ready().await;
    until("the match is kept", &daemon, || async {
        since(&state(&maps).await).len() == 1
    })
    .await;
    let kept = since(&state(&maps).await);
    daemon.kill();
    daemon.start_again();
    daemon.ready().await;
    assert_eq!(since(&state(&maps).await), kept, "it began when it began");

    until("it is deleted", &daemon, || async {
        place.maps.get_opt("a").await.unwrap().is_none()
    })
    .await;
    assert!(
        begun.elapsed() >= Duration::from_secs(25),
        "{:?}",
        begun.elapsed()
    );
    until("it is forgotten", &daemon, || async {
        since(&state(&maps).await).is_empty()
    })
    .await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_is_mended_and_that_is_told() {
    let place = Place::new("state-damaged").await;
    let home = namespace(&place.client, "state-home").await;
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), &home);
    create_old(&place.maps, "a").await;
    let option = format!("--state-namespace={home}");
    let mut daemon = Daemon::start(
        &place.plane.kubeconfig(),
        &rule(&place, "1h"),
        &[&option, "--log-format=json"],
    );
    daemon.ready().await;
    until("the match is kept", &daemon, || async {
        since(&state(&maps).await).len() == 1
    })
    .await;
    let kept = since(&state(&maps).await);
    let texts = state(&maps).await;
    let edited = &texts
        .iter()
        .find(|one| since(std::slice::from_ref(one)).len() == 1)
        .unwrap()
        .0;
    let rubbish = json!({"data": {"state": "rubbish"}});
    maps.patch(edited, &PatchParams::default(), &Patch::Merge(&rubbish))
        .await
        .unwrap();
    until("it is mended", &daemon, || async {
        since(&state(&maps).await) == kept
    })
    .await;
    maps.delete(edited, &DeleteParams::default()).await.unwrap();
    until("it is there again", &daemon, || async {
        since(&state(&maps).await) == kept
    })
    .await;
    let said = daemon
        .until("that it is told", |s| {
            s["state"].as_array().is_some_and(|s| s.len() >= 2)
        })
        .await;
    assert!(
        said["state"][0]
            .as_str()
            .unwrap()
            .contains("changed or deleted by somebody"),
        "{said}"
    );
    assert_eq!(daemon.stop().await, Some(0));
    // A reader of JSON takes one of two members of a name.
    let log = daemon.whole_log();
    let of_it: Vec<&str> = log.lines().filter(|l| l.contains("by somebody")).collect();
    assert!(!of_it.is_empty(), "{log}");
    assert!(
        of_it.iter().all(|l| l.matches("\"message\":").count() == 1),
        "{of_it:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_keeps_what_is_not_kept_yet() {
    let place = Place::new("state-stop").await;
    let home = namespace(&place.client, "state-home").await;
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), &home);
    let option = format!("--state-namespace={home}");
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rule(&place, "1h"), &[&option]);
    daemon.ready().await;
    for n in 0..20 {
        create_old(&place.maps, &format!("m{n}")).await;
        sleep(Duration::from_millis(20)).await;
    }
    daemon
        .until("all are seen", |s| {
            s["rules"][0]["objects"]["matched"] == 20
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0));
    assert_eq!(since(&state(&maps).await).len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_a_newer_version_is_left_alone_and_nothing_is_done() {
    let place = Place::new("state-newer").await;
    let home = namespace(&place.client, "state-home").await;
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), &home);
    let text = r#"{"version": 99}"#;
    let map = json!({"metadata": {"name": "ordain-state-4-0", "labels": {"ordain.dev/state": "ordain"}}, "data": {"state": text}});
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    create_old(&place.maps, "a").await;
    let option = format!("--state-namespace={home}");
    let mut daemon = Daemon::start(
        &place.plane.kubeconfig(),
        &rule(&place, "1s"),
        &[&option, "--lease-name=ordain"],
    );
    let said = daemon
        .until("that it is told", |s| {
            s["state"].as_array().is_some_and(|s| !s.is_empty())
        })
        .await;
    assert!(
        said["state"][0].as_str().unwrap().contains("format 99"),
        "{said}"
    );
    sleep(Duration::from_secs(3)).await;
    assert!(place.maps.get_opt("a").await.unwrap().is_some());
    assert_eq!(
        state(&maps).await,
        [("ordain-state-4-0".to_owned(), text.to_owned())]
    );
    // Deleted, it begins anew.
    maps.delete("ordain-state-4-0", &DeleteParams::default())
        .await
        .unwrap();
    daemon.kill();
    daemon.start_again();
    until("it is deleted", &daemon, || async {
        place.maps.get_opt("a").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_what_it_remembers_may_not_be_read_nothing_is_done() {
    let place = Place::new("state-unread").await;
    let home = namespace(&place.client, "state-home").await;
    create_old(&place.maps, "a").await;
    let proxy = Proxy::start(place.plane.kubeconfig()).await;
    let shards = format!("/namespaces/{home}/configmaps");
    proxy.refuse(Purpose::Read, &shards, usize::MAX, 403, None);
    let option = format!("--state-namespace={home}");
    let there = async || place.maps.get_opt("a").await.unwrap().is_some();
    let said = "what rules remember cannot be read: User 'proxied' cannot use this resource";

    let mut daemon = Daemon::start(&proxy.kubeconfig(), &rule(&place, "1s"), &[&option]);
    daemon
        .until("that it is told", |s| {
            s["state"][0].as_str().is_some_and(|s| s.contains(said))
        })
        .await;
    let asked = proxy.count(Purpose::Read, &shards);
    until("it has asked twice more", &daemon, || async {
        proxy.count(Purpose::Read, &shards) >= asked + 2
    })
    .await;
    assert!(there().await);

    let rules = daemon.rules();
    let arguments = ["run", "--once", "--rules", rules.to_str().unwrap(), &option];
    let once = ordain(&rules, &proxy.kubeconfig(), &arguments);
    assert_eq!(once.code, 3, "{once:?}");
    assert!(once.out.contains(said), "{once:?}");
    let plan = ordain(
        &rules,
        &proxy.kubeconfig(),
        &["plan", "--rules", ".", &option],
    );
    assert_eq!(plan.code, 3, "{plan:?}");
    assert!(
        plan.out.contains(said) && plan.out.contains("LeftOver"),
        "it tells what it can: {plan:?}"
    );
    let events = place.plane.audit().events_of_ordain(&place.namespace);
    assert!(there().await && events.is_empty(), "{events:?}");

    proxy.refuse_nothing();
    until("it is deleted", &daemon, || async { !there().await }).await;
    daemon
        .until("that it is told no more", |s| s["state"] == json!([]))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_namespace_it_acts_and_says_that_nothing_is_kept() {
    let place = Place::new("state-none").await;
    create_old(&place.maps, "a").await;
    let mut daemon = Daemon::start(
        &place.plane.kubeconfig(),
        &rule(&place, "1s"),
        &["--state-namespace=nowhere-to-be-found"],
    );
    let found = |status: &Value| {
        let listed = status["findings"]["listed"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        listed.iter().any(|f| {
            f["reason"] == "NotRemembered"
                && f["message"].as_str().is_some_and(|m| m.contains("there is no namespace nowhere-to-be-found: create it, or name another with --state-namespace"))
        })
    };
    daemon.until("that it is told", found).await;
    until("it is deleted", &daemon, || async {
        place.maps.get_opt("a").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_no_config_maps_it_acts_all_the_same() {
    let place = Place::new("state-no-maps").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(place.client.clone(), &place.namespace);
    let robot = json!({"metadata": {"name": "robot"}});
    let robot = serde_json::from_value(robot).unwrap();
    accounts
        .create(&PostParams::default(), &robot)
        .await
        .unwrap();
    let proxy = Proxy::start(place.plane.kubeconfig()).await;
    // A server of custom resources alone knows none of many kinds.
    proxy.replace("\"ConfigMap\"", "\"Unheard\"");
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: mark}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ServiceAccount}}]
    namespaces: ['{}']
    names: [robot]
  actions:
  - patch: [{{path: $.metadata.labels.mark, set: 'yes'}}]
    lifetime: WhileMatched
",
        place.namespace
    );
    let daemon = Daemon::start(&proxy.kubeconfig(), &rule, &[]);
    until("it is marked", &daemon, || async {
        let robot = accounts.get("robot").await.unwrap();
        let labels = robot.metadata.labels.unwrap_or_default();
        labels.get("mark").is_some_and(|mark| mark == "yes")
    })
    .await;
}

/// The moments below, as a clock shows them that is ahead by so many milliseconds.
fn shifted(value: &mut Value, ahead: i64) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|m| shifted(m, ahead)),
        Value::Array(items) => items.iter_mut().for_each(|i| shifted(i, ahead)),
        Value::Number(number) => match number.as_i64() {
            Some(at) if at > 1_000_000_000_000 => *value = json!(at + ahead),
            _ => {}
        },
        _ => {}
    }
}

/// Writes this state now, as a replica does whose clock is ahead by so many milliseconds.
async fn write_by_clock(home: &Api<ConfigMap>, texts: &[(String, String)], ahead: i64) {
    for (name, text) in texts {
        let mut shard: Value = serde_json::from_str(text).unwrap();
        shard["at"] = json!(Timestamp::now().as_millisecond());
        shifted(&mut shard, ahead);
        shard["writer"] = json!("another-replica");
        let mut map = home.get(name).await.unwrap();
        map.data = Some([("state".to_owned(), shard.to_string())].into());
        let as_ordain = PostParams {
            field_manager: Some("ordain".into()),
            ..PostParams::default()
        };
        home.replace(name, &as_ordain, &map).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_clock_is_hours_wrong_makes_no_match_older_or_younger() {
    const HOURS: i64 = 2 * 3_600_000;
    let place = Place::new("state-clock").await;
    let home = namespace(&place.client, "state-home").await;
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), &home);
    create_old(&place.maps, "a").await;
    let option = format!("--state-namespace={home}");
    let kubeconfig = place.plane.kubeconfig();
    let mut daemon = Daemon::start(&kubeconfig, &rule(&place, "1h"), &[&option]);
    daemon.ready().await;
    until("the match is kept", &daemon, || async {
        since(&state(&maps).await).len() == 1
    })
    .await;
    let begun = since(&state(&maps).await)[0];
    // Older than the time by which it may be taken for younger.
    until("that it has held for a while", &daemon, || async {
        Timestamp::now().as_millisecond() > begun + 10_000
    })
    .await;
    let page = format!(
        "/explain?rule=left-over&object=ConfigMap/{}/a",
        place.namespace
    );
    assert_eq!(daemon.stop().await, Some(0));
    let texts = state(&maps).await;
    for (ahead, told) in [(-HOURS, "seconds=-7"), (HOURS, "seconds=7")] {
        write_by_clock(&maps, &texts, ahead).await;
        daemon.start_again();
        let held = async || -> Option<Timestamp> {
            let (_, said) = daemon.http("GET", &page).await?;
            let said: Value = serde_json::from_str(&said).ok()?;
            said["heldSince"].as_str()?.parse().ok()
        };
        until("since when it holds", &daemon, || async {
            held().await.is_some()
        })
        .await;
        let later = held().await.unwrap().as_millisecond() - begun;
        assert!((0..5_000).contains(&later), "{ahead}: {later} ms later");
        let log = daemon.whole_log();
        assert!(
            log.lines()
                .any(|l| l.contains("was written by a clock") && l.contains(told)),
            "{log}"
        );
        assert_eq!(daemon.stop().await, Some(0));
    }
    // It was told of once, and is there.
    assert!(place.maps.get_opt("a").await.unwrap().is_some());
    let told = place.plane.audit().of_ordain(&place.namespace);
    assert!(told.iter().all(|r| r.verb != "delete"), "{told:?}");
    let events = place.plane.audit().events_of_ordain(&place.namespace);
    assert_eq!(events.len(), 1, "{events:?}");
}
