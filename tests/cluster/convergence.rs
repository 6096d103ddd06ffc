//! A world that does not change is not written to again, whoever else has a word in what is stored: the server's defaults and its own
//! spelling of numbers, an admission policy or a webhook that rewrites, an autoscaler.
//!
//! `completed` lists and maps that the server completes
//! `reordered` lists that somebody else puts in another order
//! `webhook`   what a mutating webhook makes of them

mod completed;
mod reordered;
mod webhook;

use crate::daemon::{Daemon, until};
use crate::scene::{Place, found, map};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::discovery::pinned_kind;
use serde_json::{Value, json};

const DEPLOYMENTS: &str = "{apiVersion: apps/v1, kind: Deployment}";
const MAPS: &str = "{apiVersion: v1, kind: ConfigMap}";

fn rule(place: &Place, kind: &str, actions: &str, limits: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: converging}}
spec:
  mode: Enforce
  match:
    resources: [{kind}]
    namespaces: ['{}']
  actions:
{actions}{limits}",
        place.namespace
    )
}

/// The changes that the server took.
fn written(place: &Place) -> usize {
    let requests = place.plane.audit().of_ordain(&place.namespace);
    requests.iter().filter(|r| r.code == 200).count()
}

fn finding(status: &Value, reason: &str) -> Option<String> {
    let listed = status["findings"]["listed"].as_array()?;
    let finding = listed.iter().find(|f| f["reason"] == reason)?;
    finding["message"].as_str().map(str::to_owned)
}

async fn make(place: &Place, api_version: &str, object: Value) {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = object["kind"].as_str().unwrap();
    let gvk = kube::api::GroupVersionKind::gvk(group, version, kind);
    let (resource, capabilities) = pinned_kind(&place.client, &gvk).await.unwrap();
    let api: Api<DynamicObject> = match capabilities.scope {
        kube::discovery::Scope::Namespaced => {
            Api::namespaced_with(place.client.clone(), &place.namespace, &resource)
        }
        kube::discovery::Scope::Cluster => Api::all_with(place.client.clone(), &resource),
    };
    let mut object: DynamicObject = serde_json::from_value(object).unwrap();
    object.types = None;
    api.create(&PostParams::default(), &object).await.unwrap();
}

/// A Deployment of which nothing but what is asked for is said.
async fn deployment(place: &Place, replicas: u32) -> Api<Deployment> {
    let deployments: Api<Deployment> = Api::namespaced(place.client.clone(), &place.namespace);
    let made = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]},
            },
        },
    }));
    deployments
        .create(&PostParams::default(), &made.unwrap())
        .await
        .unwrap();
    deployments
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_spells_in_its_own_way_is_written_once() {
    let place = Place::new("spelt").await;
    let deployments = deployment(&place, 1).await;
    // What `set` writes is all there is to be: where the server completes a value, `merge` and `upsert` say only what matters.
    let actions = "  - patch:
    - path: $containers[*].resources
      set: {requests: {cpu: 1000m, memory: 1024Mi}, limits: {cpu: '2.50', memory: 1.5Gi}}
    - path: $containers[*].ports
      upsert: [{containerPort: 8080, name: web}, {containerPort: 53, name: dns, protocol: UDP}]
    - path: $containers[*].env
      upsert: [{name: B, value: '1'}, {name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    - path: $containers[*].readinessProbe
      merge: {httpGet: {path: /, port: 8080}}
    - path: $.spec.template.spec.volumes
      upsert: [{name: settings, configMap: {name: settings}}]
    - path: $.spec.template.spec.securityContext
      merge: {runAsUser: 1000}
    - path: $.spec.strategy
      merge: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%}}
";
    let rules = rule(&place, DEPLOYMENTS, actions, "");
    let daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    let port = || async {
        let web = deployments.get("web").await.unwrap();
        let mut containers = web.spec.template.spec.unwrap().containers;
        containers.remove(0).ports?.remove(0).protocol
    };
    let stored = found(|| format!("the ports\n{}", daemon.log()), port).await;
    assert_eq!(stored, "TCP", "the server has put its default there");
    // It is looked at again each time that somebody changes something else.
    for n in 0..3 {
        let note = json!({"metadata": {"labels": {"looked-at": n.to_string()}}});
        deployments
            .patch("web", &PatchParams::default(), &Patch::Merge(note))
            .await
            .unwrap();
        let seen = format!("looked-at {n}");
        until(&seen, &daemon, || async {
            let (_, page) = daemon.http("GET", "/metrics").await.unwrap();
            let evaluated = page.lines().find_map(|line| {
                line.strip_prefix("ordain_rule_evaluations_total{rule=\"converging\"} ")
            });
            evaluated.is_some_and(|count| count.parse::<f64>().unwrap() >= f64::from(n) + 2.0)
        })
        .await;
    }
    assert_eq!(written(&place), 1, "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_admission_rewrites_is_written_once_and_told() {
    let place = Place::new("rewritten").await;
    let name = format!("lower-{}", place.namespace);
    make(
        &place,
        "admissionregistration.k8s.io/v1",
        json!({
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"],
                }]},
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
                    "Object{metadata: Object.metadata{labels: {'team': 'lower'}}}"}}],
            },
        }),
    )
    .await;
    make(
        &place,
        "admissionregistration.k8s.io/v1",
        json!({
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "matchResources": {"namespaceSelector": {"matchLabels": {
                "kubernetes.io/metadata.name": place.namespace}}}},
        }),
    )
    .await;
    // A policy is in force a moment after it was made.
    let mut tries = 0;
    found(
        || "the policy in force".to_owned(),
        || {
            tries += 1;
            let (maps, name) = (place.maps.clone(), format!("tried-{tries}"));
            async move {
                let made = maps.create(&PostParams::default(), &map(&name)).await;
                made.unwrap().metadata.labels?.remove("team")
            }
        },
    )
    .await;
    place
        .maps
        .create(&PostParams::default(), &map("kept-low"))
        .await
        .unwrap();
    let actions = "  - patch:
    - {path: $.metadata.labels.team, set: UPPER}
";
    let rules = rule(&place, MAPS, actions, "").replace(
        "    namespaces:",
        "    names: [kept-low, later]\n    namespaces:",
    );
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    daemon
        .until("its change", |s| s["changes"]["made"].as_u64() >= Some(1))
        .await;
    // Whoever else changes the object is no reason to try for ever.
    for n in 0..10 {
        let note = Patch::Merge(json!({"data": {"looked-at": n.to_string()}}));
        let parameters = PatchParams::default();
        place
            .maps
            .patch("kept-low", &parameters, &note)
            .await
            .unwrap();
    }
    // All of that has been seen when this has.
    let later = map("later");
    place
        .maps
        .create(&PostParams::default(), &later)
        .await
        .unwrap();
    daemon
        .until("what came later", |s| {
            s["changes"]["made"].as_u64() >= Some(2)
        })
        .await;
    let asked = |name: &str| {
        let requests = place.plane.audit().of_ordain(&place.namespace);
        requests.iter().filter(|r| r.name == name).count()
    };
    assert_eq!(asked("kept-low"), 1, "{}", daemon.log());
    let both = |s: &Value| s["findings"]["listed"].as_array().map_or(0, Vec::len) == 2;
    let status = daemon.until("what the server keeps", both).await;
    let message = finding(&status, "Overruled").unwrap();
    assert!(
        message.starts_with("/metadata/labels/team is \"lower\" and not \"UPPER\": "),
        "{message}"
    );
    let (_, page) = daemon.http("GET", "/metrics").await.unwrap();
    let counted = "ordain_findings{rule=\"converging\",reason=\"Overruled\"} 2";
    assert!(page.contains(counted), "{page}");
    // What the server may have is in force, and nothing is left to tell.
    daemon.save_rules(&rules.replace("UPPER", "lower"));
    daemon
        .until("nothing to tell", |s| s["findings"]["total"] == 0)
        .await;
    assert_eq!((asked("kept-low"), asked("later")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_floor_beneath_an_autoscaler_is_written_once_and_a_number_against_it_is_given_up() {
    let place = Place::new("scaled").await;
    let deployments = deployment(&place, 1).await;
    let floor = "  - patch:
    - {path: $.spec.replicas, set: 2}
  where:
  - {path: $.spec.replicas, operator: LessThan, value: 2}
";
    let rules = rule(&place, DEPLOYMENTS, floor, "");
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    let replicas = || async { deployments.get("web").await.unwrap().spec.replicas };
    until("the floor", &daemon, || async {
        replicas().await == Some(2)
    })
    .await;
    // It needs no metrics to keep to its own least number.
    make(
        &place,
        "autoscaling/v2",
        json!({
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "minReplicas": 3, "maxReplicas": 5,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
            },
        }),
    )
    .await;
    until("the autoscaler's number", &daemon, || async {
        replicas().await == Some(3)
    })
    .await;
    assert_eq!(written(&place), 1, "{}", daemon.log());
    // Now a rule that will not have it so. It is stopped sooner than usual: the autoscaler looks every 15 seconds.
    let number = "  - patch:
    - {path: $.spec.replicas, set: 2}
";
    let limits = "  limits: {perObject: {changes: 2, per: 10m}}\n";
    daemon.save_rules(&rule(&place, DEPLOYMENTS, number, limits));
    let status = daemon
        .until("an open breaker", |s| finding(s, "BreakerOpen").is_some())
        .await;
    let message = finding(&status, "BreakerOpen").unwrap();
    assert!(
        message.contains("`kube-controller-manager` writes the same fields ($.spec.replicas)"),
        "{message}"
    );
    assert_eq!(written(&place), 3, "{}", daemon.log());
    assert_eq!(replicas().await, Some(3));
}
