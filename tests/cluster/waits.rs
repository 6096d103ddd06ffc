//! `wait` on the real server: the next step comes when what was applied has come so far, and nothing else is held up.

use crate::daemon::{Daemon, until};
use crate::scene::Place;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

fn subject(name: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"kind": "environment"}},
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_step_comes_when_what_was_applied_passes() {
    let place = Place::new("waiting").await;
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: environments}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{}']
    selector: {{matchLabels: {{kind: environment}}}}
  actions:
  - apply: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: '${{object.metadata.name}}-state'}}, data: {{made: 'yes'}}}}
    wait:
      for: [{{path: $.metadata.labels.ready, value: 'yes'}}]
      timeout: 2s
  - apply: {{apiVersion: v1, kind: Service, metadata: {{name: '${{object.metadata.name}}'}}, spec: {{ports: [{{port: 80}}]}}}}
",
        place.namespace
    );
    let services: Api<Service> = Api::namespaced(place.client.clone(), &place.namespace);
    for name in ["one", "two"] {
        place
            .maps
            .create(&PostParams::default(), &subject(name))
            .await
            .unwrap();
    }
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rule, &[]);
    let timed_out = |status: &serde_json::Value| {
        let listed = status["findings"]["listed"].as_array().unwrap();
        listed.iter().filter(|f| f["reason"] == "TimedOut").count()
    };
    daemon
        .until("that both have waited too long", |s| timed_out(s) == 2)
        .await;
    assert_eq!(
        services
            .list(&Default::default())
            .await
            .unwrap()
            .items
            .len(),
        0
    );
    // One comes so far after all: it goes on, the other waits.
    let ready = Patch::Merge(json!({"metadata": {"labels": {"ready": "yes"}}}));
    place
        .maps
        .patch("two-state", &PatchParams::default(), &ready)
        .await
        .unwrap();
    until("the service of the one that is ready", &daemon, || async {
        services.get_opt("two").await.unwrap().is_some()
    })
    .await;
    daemon
        .until("that one still waits", |s| timed_out(s) == 1)
        .await;
    assert!(services.get_opt("one").await.unwrap().is_none());
    // A new one begins its own wait at once.
    place
        .maps
        .create(&PostParams::default(), &subject("three"))
        .await
        .unwrap();
    until("what is applied for it", &daemon, || async {
        place.maps.get_opt("three-state").await.unwrap().is_some()
    })
    .await;
    assert!(services.get_opt("three").await.unwrap().is_none());
}
