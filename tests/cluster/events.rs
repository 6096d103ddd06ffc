//! Events on objects whose change failed: what `kubectl describe` shows, and how often.

use crate::control_plane::Plane;
use crate::daemon::{Daemon, until};
use crate::scene::{Place, create, labelling};
use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The Events in a namespace that Ordain wrote.
async fn told(client: &kube::Client, namespace: &str) -> Vec<Event> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let list = events.list(&Default::default()).await.unwrap();
    let own = list.items.into_iter();
    own.filter(|e| e.reporting_controller.as_deref() == Some("ordain.dev/ordain"))
        .collect()
}

/// Waits until the server knows of a quota that allows no further Secret: it hears of it like everybody else.
pub async fn quota_in_force(client: &kube::Client, namespace: &str) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let probe: Secret = serde_json::from_value(json!({"metadata": {"name": "probe"}})).unwrap();
    let dry = PostParams {
        dry_run: true,
        ..Default::default()
    };
    let begun = Instant::now();
    loop {
        let answer = secrets.create(&dry, &probe).await;
        if answer.is_err_and(|e| e.to_string().contains("exceeded quota")) {
            return;
        }
        assert!(
            begun.elapsed().as_secs() < 60,
            "the quota is never in force"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

/// How Ordain's attempts to make something of a kind were answered.
fn answers(plane: &Plane, namespace: &str, resource: &str) -> Vec<u64> {
    let requests = match resource {
        "events" => plane.audit().events_of_ordain(namespace),
        _ => plane.audit().of_ordain(namespace),
    };
    let of_kind = requests.iter().filter(|r| r.resource == resource);
    of_kind.map(|r| r.code).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_quota_refuses_is_one_event_on_the_object_until_it_is_mended() {
    let Place {
        plane,
        client,
        namespace,
        maps,
    } = Place::new("quota").await;
    create(&maps, &["source"]).await;
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &namespace);
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"count/secrets": "0"}}});
    let quota = serde_json::from_value(quota).unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    quota_in_force(&client, &namespace).await;
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: keys}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
    names: [source]
  actions:
  - apply:
      apiVersion: v1
      kind: Secret
      metadata: {{name: made}}
"
    );
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &[]);
    until("the event", &daemon, || async {
        told(&client, &namespace).await.len() == 1
    })
    .await;
    let event = told(&client, &namespace).await.remove(0);
    let regarding = event.regarding.unwrap();
    assert_eq!(regarding.name.as_deref(), Some("source"));
    assert_eq!(
        regarding.uid,
        maps.get("source").await.unwrap().metadata.uid
    );
    assert_eq!(event.reason.as_deref(), Some("Refused"));
    assert_eq!(event.action.as_deref(), Some("keys"));
    let note = event.note.unwrap();
    assert!(
        note.starts_with("rule keys: Secret/") && note.contains("exceeded quota: few"),
        "{note}"
    );
    let described = plane
        .kubectl(&["describe", "configmap", "source", "-n", &namespace])
        .ok();
    let line = described.lines().find(|l| l.contains("Refused"));
    assert!(
        line.is_some_and(|l| l.contains("Warning") && l.contains("rule keys: ")),
        "{described}"
    );
    // It is tried again and again, and told once; by a daemon that was started again, too.
    let tries = |least: usize| {
        let answers = answers(plane, &namespace, "secrets");
        answers.len() >= least && answers.iter().all(|code| *code == 403)
    };
    until("three tries", &daemon, || async { tries(3) }).await;
    assert_eq!(told(&client, &namespace).await.len(), 1);
    daemon.kill();
    daemon.start_again();
    until("that it was told again, in vain", &daemon, || async {
        answers(plane, &namespace, "events") == [201, 409]
    })
    .await;
    assert_eq!(told(&client, &namespace).await.len(), 1);
    daemon
        .until("the finding", |s| {
            s["findings"]["byReason"]["Refused"].as_u64() == Some(1)
        })
        .await;
    let more = Patch::Merge(json!({"spec": {"hard": {"count/secrets": "5"}}}));
    quotas
        .patch("few", &PatchParams::default(), &more)
        .await
        .unwrap();
    daemon
        .until("that it is mended", |s| {
            s["changes"]["made"] == 1 && s["findings"]["total"] == 0
        })
        .await;
    assert_eq!(told(&client, &namespace).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_change_is_told_with_the_servers_words_unless_that_is_switched_off() {
    let Place {
        plane,
        client,
        namespace,
        maps,
    } = Place::new("invalid").await;
    create(&maps, &["refused"]).await;
    let words = Patch::Merge(json!({"data": {"words": "not the value of a label"}}));
    maps.patch("refused", &PatchParams::default(), &words)
        .await
        .unwrap();
    let rule = labelling("words", &namespace);
    let refused = |s: &serde_json::Value| s["findings"]["byReason"]["Refused"] == 1;
    for quiet in [&["--events=false"][..], &["--audit-only"]] {
        let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, quiet);
        match quiet {
            ["--events=false"] => drop(daemon.until("the finding", refused).await),
            _ => daemon.ready().await,
        }
        assert_eq!(daemon.stop().await, Some(0));
        assert!(told(&client, &namespace).await.is_empty(), "{quiet:?}");
    }
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &[]);
    until("the event", &daemon, || async {
        told(&client, &namespace).await.len() == 1
    })
    .await;
    let note = told(&client, &namespace).await[0].note.clone().unwrap();
    assert!(
        note.starts_with("rule words: ") && note.contains("a valid label must be"),
        "{note}"
    );
    let status = daemon.until("the finding", refused).await;
    assert_eq!(status["findings"]["total"], 1);
    let (_, metrics) = daemon.http("GET", "/metrics").await.unwrap();
    assert!(
        metrics.contains("ordain_events_total{outcome=\"told\"} 1\n"),
        "{metrics}"
    );
    // What one pass leaves undone is told too.
    assert_eq!(daemon.stop().await, Some(0));
    assert_eq!(answers(plane, &namespace, "events"), [201]);
}
