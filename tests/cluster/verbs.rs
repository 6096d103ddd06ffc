//! The verbs beside `patch` and `delete`, on the real server.

use crate::control_plane::shared;
use crate::daemon::{Daemon, until};
use crate::scene::namespace;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

fn deployment(name: &str, replicas: i32) -> Deployment {
    serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}
            }
        }
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_set_through_the_scale_subresource_once() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "scaled").await;
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: floor}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: apps/v1, kind: Deployment}}]
    namespaces: ['{name}']
  actions:
  - scale: {{replicas: 2}}
"
    );
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &name);
    for n in 0..5 {
        let made = deployment(&format!("app-{n}"), n);
        deployments
            .create(&PostParams::default(), &made)
            .await
            .unwrap();
    }
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &[]);
    let right = || async {
        let list = deployments.list(&Default::default()).await.unwrap();
        list.iter().all(|d| d.spec.replicas == Some(2))
    };
    until("two replicas each", &daemon, right).await;
    // Another client scales one of them: it is set back, as often as that happens.
    let other = Patch::Merge(json!({"spec": {"replicas": 7}}));
    deployments
        .patch_scale("app-1", &PatchParams::default(), &other)
        .await
        .unwrap();
    until("two replicas again", &daemon, right).await;
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    let mut requests = plane.audit().of_ordain(&name);
    // The controller writes status meanwhile: a stale request changes nothing and is made again.
    requests.retain(|r| r.code != 409);
    // app-2 was right; app-1 was scaled twice.
    assert_eq!(requests.len(), 5, "{requests:?}");
    for request in &requests {
        assert_eq!(
            (request.verb.as_str(), request.subresource.as_str()),
            ("patch", "scale"),
            "{request:?}"
        );
        assert_eq!(request.code, 200, "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_told_once_whatever_happens_to_the_daemon() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "told").await;
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: tells}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: apps/v1, kind: Deployment}}]
    namespaces: ['{name}']
  actions:
  - event: {{type: Warning, reason: RunsAlone, message: '${{object.metadata.name}} has ${{object.spec.replicas}}'}}
  - patch: [{{path: $.metadata.labels.told, set: 'yes'}}]
"
    );
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &name);
    for n in 0..3 {
        let made = deployment(&format!("app-{n}"), 0);
        deployments
            .create(&PostParams::default(), &made)
            .await
            .unwrap();
    }
    let events: Api<Event> = Api::namespaced(client.clone(), &name);
    let told = || async {
        let list = events.list(&Default::default()).await.unwrap();
        let own = list.items.into_iter();
        own.filter(|e| e.reporting_controller.as_deref() == Some("ordain.dev/ordain"))
            .collect::<Vec<_>>()
    };
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &[]);
    // The step behind the event comes when it is told.
    let labelled = || async {
        let list = deployments.list(&Default::default()).await.unwrap();
        list.iter().all(|d| {
            d.metadata
                .labels
                .as_ref()
                .is_some_and(|l| l.contains_key("told"))
        })
    };
    until("that each is labelled", &daemon, labelled).await;
    let first = told().await;
    assert_eq!(first.len(), 3);
    let one = first
        .iter()
        .find(|e| e.regarding.as_ref().unwrap().name.as_deref() == Some("app-1"))
        .unwrap();
    assert_eq!(one.note.as_deref(), Some("app-1 has 0"));
    assert_eq!(one.reason.as_deref(), Some("RunsAlone"));
    assert_eq!(one.type_.as_deref(), Some("Warning"));
    daemon.kill();
    daemon.start_again();
    daemon.ready().await;
    // Killed before it could keep that they were told, it tells them again, in vain: they have the same names.
    daemon
        .until("that all were looked at again", |s| {
            s["rules"][0]["objects"]["matched"] == 3 && s["requestsInFlight"] == 0
        })
        .await;
    assert_eq!(told().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_step_is_lost_when_the_first_one_ends_the_match() {
    const COUNT: usize = 20;
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "whole").await;
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: quarantines}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: apps/v1, kind: Deployment}}]
    namespaces: ['{name}']
    selector: {{matchLabels: {{quarantine: now}}}}
  actions:
  - patch: [{{path: $.metadata.labels.quarantine, set: done}}]
  - event: {{reason: Quarantined, message: 'had ${{object.spec.replicas}}'}}
  - scale: {{replicas: 0}}
  - apply:
      apiVersion: v1
      kind: ConfigMap
      metadata: {{name: '${{object.metadata.name}}-was'}}
      data: {{replicas: '${{string(object.spec.replicas)}}'}}
  - apply:
      apiVersion: v1
      kind: ConfigMap
      metadata: {{name: '${{object.metadata.name}}-is'}}
      data: {{quarantine: 'yes'}}
  - patch: [{{path: $.metadata.annotations.quarantined, set: 'yes'}}]
"
    );
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &name);
    for n in 0..COUNT {
        let mut made = deployment(&format!("app-{n}"), 2);
        let labels = [("quarantine".to_owned(), "now".to_owned())];
        made.metadata.labels = Some(labels.into());
        deployments
            .create(&PostParams::default(), &made)
            .await
            .unwrap();
    }
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &[]);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
    // Their controller changes them all the while.
    until("that every step is done", &daemon, || async {
        let list = deployments.list(&Default::default()).await.unwrap();
        let done = |d: &&Deployment| {
            let annotations = d.metadata.annotations.clone().unwrap_or_default();
            let labels = d.metadata.labels.clone().unwrap_or_default();
            d.spec.replicas == Some(0)
                && annotations.get("quarantined").is_some_and(|is| is == "yes")
                && labels["quarantine"] == "done"
        };
        list.iter().filter(done).count() == COUNT
    })
    .await;
    for n in 0..COUNT {
        let was = maps.get(&format!("app-{n}-was")).await.unwrap();
        assert_eq!(was.data.unwrap()["replicas"], "2");
        maps.get(&format!("app-{n}-is")).await.unwrap();
    }
    let events: Api<Event> = Api::namespaced(client.clone(), &name);
    let told = events.list(&Default::default()).await.unwrap();
    let told: Vec<_> = told
        .into_iter()
        .filter(|e| e.reason.as_deref() == Some("Quarantined"))
        .collect();
    assert_eq!(told.len(), COUNT);
    assert!(told.iter().all(|e| e.note.as_deref() == Some("had 2")));
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    let mut requests = plane.audit().of_ordain(&name);
    requests.retain(|r| r.code == 200 || r.code == 201);
    // Each Deployment three times (label, replicas, annotation) and two objects for it.
    assert_eq!(requests.len(), COUNT * 5, "{requests:?}");
}
