//! Others who write the same fields, and what the server says beside its answers.

use crate::control_plane::shared;
use crate::daemon::{Daemon, until};
use crate::scene::{map, namespace};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

async fn team(maps: &Api<ConfigMap>) -> Option<String> {
    let map = maps.get("fought").await.ok()?;
    map.metadata.labels?.get("team").cloned()
}

fn found<'s>(status: &'s Value, reason: &str) -> Option<&'s str> {
    let listed = status["findings"]["listed"].as_array()?;
    let finding = listed.iter().find(|f| f["reason"] == reason)?;
    finding["message"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_fights_over_a_field_is_named() {
    let plane = shared();
    let client = plane.client().await;
    let namespace = namespace(&client, "fight").await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    // The server does not begin to say who writes the fields of an object that was created without any.
    let mut fought = map("fought");
    fought.data = Some([("a".to_owned(), "b".to_owned())].into());
    maps.create(&PostParams::default(), &fought).await.unwrap();
    let rules = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: teams}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
    names: [fought]
  actions:
  - patch:
    - {{path: $.metadata.labels.team, set: shop}}
"
    );
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rules, &[]);
    for _ in 0..5 {
        until("the rule's value", &daemon, || async {
            team(&maps).await.as_deref() == Some("shop")
        })
        .await;
        plane
            .kubectl(&[
                "--namespace",
                &namespace,
                "patch",
                "configmap",
                "fought",
                "--field-manager=release-robot",
                "--type=merge",
                "--patch={\"metadata\": {\"labels\": {\"team\": \"other\"}}}",
            ])
            .ok();
    }
    let status = daemon
        .until("an open breaker", |s| found(s, "BreakerOpen").is_some())
        .await;
    assert_eq!(
        found(&status, "BreakerOpen").unwrap(),
        "changed more than 5 times in 10m: `release-robot` writes the same fields ($.metadata.labels.team); the rule leaves this object alone until it is acknowledged or changed",
        "{}",
        daemon.log()
    );
    assert_eq!(team(&maps).await.as_deref(), Some("other"));
    let written = || {
        let all = plane.audit().of_ordain(&namespace);
        all.iter()
            .filter(|r| r.verb == "patch" && r.code == 200)
            .count()
    };
    assert_eq!(written(), 5);
    let (code, _) = daemon
        .http("POST", "/acknowledge?rule=teams")
        .await
        .unwrap();
    assert_eq!(code, 200);
    until("that it goes on", &daemon, || async {
        team(&maps).await.as_deref() == Some("shop")
    })
    .await;
    daemon
        .until("that the finding has ended", |s| {
            found(s, "BreakerOpen").is_none()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_of_the_server_is_told_once_for_a_rule() {
    let plane = shared();
    let client = plane.client().await;
    let namespace = namespace(&client, "warned").await;
    let warn = json!({"metadata": {"labels": {"pod-security.kubernetes.io/warn": "restricted"}}});
    Api::<Namespace>::all(client.clone())
        .patch(&namespace, &PatchParams::default(), &Patch::Merge(warn))
        .await
        .unwrap();
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    for name in ["one", "two", "three"] {
        let labels = json!({"app": "a"});
        let deployment = json!({"metadata": {"name": name}, "spec": {"replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "nginx"}]}}}});
        let deployment: Deployment = serde_json::from_value(deployment).unwrap();
        deployments
            .create(&PostParams::default(), &deployment)
            .await
            .unwrap();
    }
    let rules = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: annotated}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: apps/v1, kind: Deployment}}]
    namespaces: ['{namespace}']
  actions:
  - patch:
    - {{path: $.spec.template.metadata.annotations.team, set: shop}}
"
    );
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rules, &[]);
    daemon
        .until("three changes", |s| s["changes"]["made"] == 3)
        .await;
    let log = daemon.log();
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("the server warns"))
        .collect();
    assert_eq!(told.len(), 1, "{log}");
    for part in ["WARN", "annotated", "would violate PodSecurity"] {
        assert!(told[0].contains(part), "{part}: {}", told[0]);
    }
}
