//! The verbs beside `patch` and `delete`, on the real server.

use crate::control_plane::shared;
use crate::daemon::{Daemon, until};
use crate::watch::namespace;
use k8s_openapi::api::apps::v1::Deployment;
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
    let requests = plane.audit().of_ordain(&name);
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
