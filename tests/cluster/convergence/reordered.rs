//! Lists whose elements have names of their own, and sets: in which order somebody else puts them is no matter of a rule.

use super::completed::{asked, disturb, of};
use super::{DEPLOYMENTS, deployment, make, rule};
use crate::daemon::{Daemon, until};
use crate::scene::Place;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

/// Turns a list of an object around; each element is still there, as it was.
async fn turn(api: &Api<DynamicObject>, name: &str, pointer: &str) {
    let object = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
    let mut list = object.pointer(pointer).unwrap().as_array().unwrap().clone();
    assert!(list.len() > 1, "{pointer}: {list:?}");
    list.reverse();
    let operation: Value = json!([{"op": "replace", "path": pointer, "value": list}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(operation).unwrap());
    api.patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    let stored = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
    assert_eq!(*stored.pointer(pointer).unwrap(), Value::Array(list));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_upserted_or_added_may_stand_in_any_order() {
    let place = Place::new("turned").await;
    deployment(&place, 1).await;
    let deployments = of(&place, "apps/v1", "Deployment");
    let actions = "  - patch:
    - path: $containers[*].env
      upsert: [{name: A, value: '1'}, {name: B, value: '2'}, {name: C, value: '3'}]
    - path: $containers[*].ports
      upsert: [{containerPort: 53, protocol: UDP}, {containerPort: 53}, {containerPort: 8080}]
    - path: $.spec.template.spec.volumes
      upsert: [{name: one, emptyDir: {}}, {name: two, configMap: {name: two}}]
    - path: $.metadata.finalizers
      add: [shop.example/a, shop.example/b]
";
    let rules = rule(&place, DEPLOYMENTS, actions, "");
    let daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    until("the change", &daemon, || async {
        asked(&place, "deployments", "web") == 1
    })
    .await;
    for list in [
        "/spec/template/spec/containers/0/env",
        "/spec/template/spec/containers/0/ports",
        "/spec/template/spec/volumes",
        "/metadata/finalizers",
    ] {
        turn(&deployments, "web", list).await;
        disturb(&daemon, &deployments, "web", 2).await;
        assert_eq!(asked(&place, "deployments", "web"), 1, "{list}");
    }
    // An element that somebody takes out comes back, and nothing else moves.
    let fewer: Patch<()> = Patch::Json(
        serde_json::from_value(
            json!([{"op": "remove", "path": "/spec/template/spec/containers/0/env/1"}]),
        )
        .unwrap(),
    );
    deployments
        .patch("web", &PatchParams::default(), &fewer)
        .await
        .unwrap();
    until("all variables", &daemon, || async {
        let web = deployments.get("web").await.unwrap();
        let env = &web.data["spec"]["template"]["spec"]["containers"][0]["env"];
        let names = env.as_array().unwrap().iter().map(|e| e["name"].as_str());
        names.eq([Some("C"), Some("A"), Some("B")])
    })
    .await;
    disturb(&daemon, &deployments, "web", 1).await;
    assert_eq!(asked(&place, "deployments", "web"), 2);
    // The test is over: let it go.
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    drop(daemon);
    deployments
        .patch("web", &PatchParams::default(), &free)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_may_stand_in_any_order() {
    let place = Place::new("turned-too").await;
    make(
        &place,
        "v1",
        json!({"kind": "ConfigMap", "metadata": {"name": "ports"}}),
    )
    .await;
    let actions = "  - apply:
      apiVersion: v1
      kind: Service
      metadata: {name: web, finalizers: [shop.example/a, shop.example/b]}
      spec:
        selector: {app: web}
        ports: [{name: dns, port: 53, protocol: UDP}, {name: http, port: 80}, {name: https, port: 443}]
";
    let maps = "{apiVersion: v1, kind: ConfigMap}";
    let rules = rule(&place, maps, actions, "")
        .replace("    namespaces:", "    names: [ports]\n    namespaces:");
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    until("the Service", &daemon, || async {
        asked(&place, "services", "web") == 1
    })
    .await;
    let services = of(&place, "v1", "Service");
    let subjects = of(&place, "v1", "ConfigMap");
    for list in ["/spec/ports", "/metadata/finalizers"] {
        turn(&services, "web", list).await;
        // The subject is looked at again, and so is what was applied for it.
        disturb(&daemon, &subjects, "ports", 2).await;
        daemon
            .until("that nothing is in flight", |s| {
                s["requestsInFlight"] == 0 && s["queueDepth"] == 0
            })
            .await;
        assert_eq!(asked(&place, "services", "web"), 1, "{list}");
    }
    drop(daemon);
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    services
        .patch("web", &PatchParams::default(), &free)
        .await
        .unwrap();
}
