//! What rules ask of labels, names and namespaces goes into the watch: what concerns no rule never arrives, and what comes and goes is
//! handled as if all had been seen.

use crate::control_plane::{Options, Plane};
use crate::daemon::{Daemon, until};
use crate::scene::{Places, create, is_blue, map, per_object, setting, take_step, written};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Gives the label `team` to what has none in one namespace.
fn lacking(namespace: &str) -> String {
    let rule = setting("team", "", "$.metadata.labels.team", "blue");
    let rule = rule.replace("namespaces: ['*']", &format!("namespaces: [{namespace}]"));
    let test = "  where:\n  - {path: $.metadata.labels.team, operator: DoesNotExist}\n  actions:\n";
    rule.replace("  actions:\n", test)
}

async fn relabel(maps: &Api<ConfigMap>, name: &str, team: Option<&str>) {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"team": team}}}));
    let changed = maps.patch(name, &PatchParams::default(), &patch).await;
    changed.unwrap();
}

async fn team(maps: &Api<ConfigMap>, name: &str) -> Option<String> {
    let labels = maps.get(name).await.unwrap().metadata.labels;
    labels.unwrap_or_default().get("team").cloned()
}

fn of_maps(status: &Value) -> &Value {
    let kinds = status["kinds"].as_array().unwrap();
    kinds.iter().find(|k| k["kind"] == "ConfigMap").unwrap()
}

/// The sum of the series of watch events of ConfigMaps of this type.
async fn events(daemon: &Daemon, kind: &str) -> f64 {
    let (_, page) = daemon.http("GET", "/metrics").await.unwrap();
    let series = page.lines().filter(|line| {
        line.starts_with("ordain_watch_events_total{")
            && line.contains("kind=\"ConfigMap\"")
            && line.contains(&format!("type=\"{kind}\""))
    });
    series
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_rule_can_match_arrives() {
    let plane = Plane::start(Options::default());
    let Places {
        client,
        prefix,
        namespaces,
        ..
    } = Places::on(&plane, "scope", 1).await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespaces[0]);
    let mut done = map("map-done");
    done.metadata.labels = Some([("team".to_owned(), "red".to_owned())].into());
    maps.create(&PostParams::default(), &done).await.unwrap();
    create(&maps, &["map-new"]).await;
    let labelled = |name: &'static str| {
        let maps = maps.clone();
        move || {
            let maps = maps.clone();
            async move { team(&maps, name).await.as_deref() == Some("blue") }
        }
    };

    let mut daemon = Daemon::start(&plane.kubeconfig(), &lacking(&namespaces[0]), &[]);
    until("the first label", &daemon, labelled("map-new")).await;
    let status = daemon
        .until("that the labelled object has left", |s| {
            of_maps(s)["objects"] == 0 && s["requestsInFlight"] == 0
        })
        .await;
    let selector = format!("!team,metadata.namespace={}", namespaces[0]);
    assert_eq!(of_maps(&status)["selector"], *selector, "{status}");
    let watches = plane.audit().watches_of_ordain("configmaps");
    assert!(
        !watches.is_empty() && watches.iter().all(|q| q.contains("labelSelector=%21team")),
        "{watches:?}"
    );

    // What concerns no rule does not arrive; what loses the label, and what is new, does.
    for step in 0..20 {
        take_step(&maps, "map-done", &step.to_string()).await;
    }
    relabel(&maps, "map-done", None).await;
    until("the label of what lost it", &daemon, labelled("map-done")).await;
    create(&maps, &["map-last"]).await;
    until("the label of what is new", &daemon, labelled("map-last")).await;
    assert_eq!(events(&daemon, "modified").await, 0.0);
    assert_eq!(events(&daemon, "added").await, 2.0);
    let made = per_object(&written(&plane, &prefix));
    assert!(
        made.len() == 3 && made.values().all(|writes| *writes == 1),
        "{made:?}"
    );

    // An object is deleted and made anew while its rule cannot see it.
    maps.delete("map-last", &DeleteParams::default())
        .await
        .unwrap();
    create(&maps, &["map-last"]).await;
    until("the label of the new one", &daemon, labelled("map-last")).await;

    // A rule about all of them: everything is listed, and what was out of sight is changed.
    let seen = setting("seen", &prefix, "$.data.seen", "yes");
    daemon.save_rules(&format!("{}---\n{seen}", lacking(&namespaces[0])));
    until("the change of all", &daemon, || async {
        let mut all = true;
        for name in ["map-done", "map-new", "map-last"] {
            all &= is_blue(&maps.get(name).await.unwrap());
        }
        all
    })
    .await;
    let status = daemon.status().await.unwrap();
    assert_eq!(of_maps(&status)["selector"], Value::Null, "{status}");
    // And back.
    daemon.save_rules(&lacking(&namespaces[0]));
    daemon
        .until("that they are out of sight again", |s| {
            of_maps(s)["selector"] == *selector && of_maps(s)["objects"] == 0
        })
        .await;
    relabel(&maps, "map-new", None).await;
    until("the label once more", &daemon, labelled("map-new")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_takes_the_label_away_again_and_again_is_found_out() {
    let plane = Plane::start(Options::default());
    let Places {
        client,
        prefix,
        namespaces,
        ..
    } = Places::on(&plane, "scope", 1).await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespaces[0]);
    create(&maps, &["map-fought"]).await;
    let mut daemon = Daemon::start(&plane.kubeconfig(), &lacking(&namespaces[0]), &[]);
    for _ in 0..5 {
        until("the label", &daemon, || async {
            team(&maps, "map-fought").await.is_some()
        })
        .await;
        relabel(&maps, "map-fought", None).await;
    }
    daemon
        .until("that the breaker is open", |s| {
            s["findings"].to_string().contains("BreakerOpen")
        })
        .await;
    assert_eq!(written(&plane, &prefix).len(), 5);
    // Its own label takes it out of sight; when it is back the breaker is still open.
    relabel(&maps, "map-fought", Some("red")).await;
    daemon
        .until("that the finding has ended", |s| {
            !s["findings"].to_string().contains("BreakerOpen")
        })
        .await;
    relabel(&maps, "map-fought", None).await;
    daemon
        .until("that it is open still", |s| {
            s["findings"].to_string().contains("BreakerOpen")
        })
        .await;
    assert_eq!(written(&plane, &prefix).len(), 5);
}
