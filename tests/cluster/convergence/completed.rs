//! What the server completes with its defaults is as it was asked for, whatever else becomes of the object; what somebody else makes of it
//! is put right again.

use super::{DEPLOYMENTS, deployment, make, rule};
use crate::daemon::{Daemon, until};
use crate::scene::{Place, found};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often Ordain has written to one object. A request that came too late, as a controller has just written the status, is made anew.
pub(super) fn asked(place: &Place, resource: &str, name: &str) -> usize {
    let requests = place.plane.audit().of_ordain(&place.namespace);
    let of_it = requests
        .iter()
        .filter(|r| r.resource == resource && r.name == name && (200..300).contains(&r.code));
    of_it.count()
}

pub(super) fn of(place: &Place, api_version: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk(&gvk);
    Api::namespaced_with(place.client.clone(), &place.namespace, &resource)
}

async fn label(api: &Api<DynamicObject>, name: &str, value: &str) {
    let note = Patch::Merge(json!({"metadata": {"labels": {"noted": value}}}));
    api.patch(name, &PatchParams::default(), &note)
        .await
        .unwrap();
}

/// Changes the labels of an object again and again; the daemon has looked at each when this returns.
pub(super) async fn disturb(daemon: &Daemon, api: &Api<DynamicObject>, name: &str, times: usize) {
    static NOTES: AtomicUsize = AtomicUsize::new(0);
    for _ in 0..times {
        let before = evaluated(daemon).await;
        let note = NOTES.fetch_add(1, Ordering::Relaxed);
        label(api, name, &note.to_string()).await;
        until("another look", daemon, || async {
            evaluated(daemon).await > before
        })
        .await;
    }
}

async fn evaluated(daemon: &Daemon) -> f64 {
    let Some((_, page)) = daemon.http("GET", "/metrics").await else {
        return 0.0;
    };
    let counted = page
        .lines()
        .find_map(|line| line.strip_prefix("ordain_rule_evaluations_total{rule=\"converging\"} "));
    counted.map_or(0.0, |count| count.parse().unwrap())
}

fn service(name: &str) -> Value {
    json!({
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 9000}]},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_the_server_completes_is_set_once() {
    let place = Place::new("completed").await;
    make(&place, "v1", service("web")).await;
    make(
        &place,
        "networking.k8s.io/v1",
        json!({
            "kind": "NetworkPolicy",
            "metadata": {"name": "web"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
        }),
    )
    .await;
    let kinds =
        "{apiVersion: v1, kind: Service}, {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy}";
    let actions = "  - patch:
    - path: $.spec.ports
      set: [{name: http, port: 80}, {name: https, port: 443}]
    - path: $.spec.ingress
      set: [{ports: [{port: 80}, {port: 443}]}]
";
    let rules = rule(&place, kinds, actions, "");
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    let services = of(&place, "v1", "Service");
    let policies = of(&place, "networking.k8s.io/v1", "NetworkPolicy");
    let ports = || async {
        let web = services.get("web").await.unwrap();
        let ports = web.data["spec"]["ports"].clone();
        (ports.as_array().unwrap().len() == 2).then_some(ports)
    };
    let stored = found(|| format!("the ports\n{}", daemon.log()), ports).await;
    assert_eq!(
        stored[1],
        json!({"name": "https", "port": 443, "protocol": "TCP", "targetPort": 443}),
        "the server has completed it"
    );
    until("the policy", &daemon, || async {
        let web = policies.get("web").await.unwrap();
        web.data["spec"]["ingress"][0]["ports"][1]["protocol"] == "TCP"
    })
    .await;
    disturb(&daemon, &services, "web", 8).await;
    disturb(&daemon, &policies, "web", 8).await;
    assert_eq!(asked(&place, "services", "web"), 1, "{}", daemon.log());
    assert_eq!(
        asked(&place, "networkpolicies", "web"),
        1,
        "{}",
        daemon.log()
    );
    // Somebody else adds what the rule does not want there.
    let more = Patch::Merge(json!({"spec": {"ports": [
        {"name": "http", "port": 80}, {"name": "https", "port": 443}, {"name": "more", "port": 81}]}}));
    services
        .patch("web", &PatchParams::default(), &more)
        .await
        .unwrap();
    until("the ports as they were", &daemon, || async {
        ports().await.is_some() && asked(&place, "services", "web") == 2
    })
    .await;
    // What the server completes may not be changed by others either.
    let other = Patch::Merge(json!({"spec": {"ports": [
        {"name": "http", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443}]}}));
    services
        .patch("web", &PatchParams::default(), &other)
        .await
        .unwrap();
    until("the port as it was", &daemon, || async {
        ports()
            .await
            .is_some_and(|ports| ports[0]["targetPort"] == 80)
    })
    .await;
    disturb(&daemon, &services, "web", 3).await;
    assert_eq!(asked(&place, "services", "web"), 3, "{}", daemon.log());
    // What was answered is not known after a restart: one request finds out, and changes nothing.
    let version = services.get("web").await.unwrap().metadata.resource_version;
    daemon.kill();
    daemon.start_again();
    until("the request", &daemon, || async {
        asked(&place, "services", "web") == 4
    })
    .await;
    let after = services.get("web").await.unwrap().metadata.resource_version;
    assert_eq!(after, version);
    disturb(&daemon, &services, "web", 3).await;
    assert_eq!(asked(&place, "services", "web"), 4, "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_completes_in_a_deployment_is_set_once_while_its_status_changes() {
    let place = Place::new("completes").await;
    let typed: Api<Deployment> = deployment(&place, 1).await;
    let deployments = of(&place, "apps/v1", "Deployment");
    let actions = "  - patch:
    - path: $containers[*].readinessProbe
      set: {httpGet: {path: /, port: 8080}}
    - path: $.spec.template.spec.volumes
      set: [{name: settings, configMap: {name: settings}}]
    - path: $.spec.strategy
      set: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}
";
    let rules = rule(&place, DEPLOYMENTS, actions, "");
    let daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    let volume = || async {
        let web = typed.get("web").await.unwrap();
        web.spec.template.spec.unwrap().volumes?.pop()
    };
    let stored = found(|| format!("the volume\n{}", daemon.log()), volume).await;
    assert_eq!(
        stored.config_map.unwrap().default_mode,
        Some(0o644),
        "the server has completed it"
    );
    for n in 0..6 {
        // What controllers do all day.
        let condition = json!({"type": "Tried", "status": "True", "reason": format!("Try{n}"), "message": "",
            "lastUpdateTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = Patch::Strategic(json!({"status": {"conditions": [condition]}}));
        typed
            .patch_status("web", &PatchParams::default(), &status)
            .await
            .unwrap();
        disturb(&daemon, &deployments, "web", 1).await;
    }
    assert_eq!(asked(&place, "deployments", "web"), 1, "{}", daemon.log());
    let probe = |seconds: i64| {
        let container = json!({"name": "web", "readinessProbe": {"timeoutSeconds": seconds}});
        Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": [container]}}}}))
    };
    typed
        .patch("web", &PatchParams::default(), &probe(7))
        .await
        .unwrap();
    until("the probe as it was", &daemon, || async {
        let web = typed.get("web").await.unwrap();
        let container = web.spec.template.spec.unwrap().containers.remove(0);
        container.readiness_probe.unwrap().timeout_seconds == Some(1)
    })
    .await;
    disturb(&daemon, &deployments, "web", 3).await;
    assert_eq!(asked(&place, "deployments", "web"), 2, "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_set_once_too() {
    let place = Place::new("aimed").await;
    make(&place, "v1", service("web")).await;
    make(
        &place,
        "v1",
        json!({"kind": "ConfigMap", "metadata": {"name": "ports"}, "data": {"port": "80"}}),
    )
    .await;
    let rules = rule(
        &place,
        "{apiVersion: v1, kind: ConfigMap}",
        "  - target: services
    patch:
    - path: $.spec.ports
      set: [{name: http, port: \"${int(object.data.port)}\"}]
",
        "",
    )
    .replace("    namespaces:", "    names: [ports]\n    namespaces:")
    .replace(
        "  actions:",
        "  related:\n  - {name: services, resources: [{apiVersion: v1, kind: Service}]}\n  actions:",
    );
    let daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    let services = of(&place, "v1", "Service");
    until("the port", &daemon, || async {
        services.get("web").await.unwrap().data["spec"]["ports"][0]["port"] == 80
    })
    .await;
    disturb(&daemon, &services, "web", 6).await;
    assert_eq!(asked(&place, "services", "web"), 1, "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_for_as_long_as_a_match_lasts_is_given_back_though_the_server_completed_it() {
    let place = Place::new("lent").await;
    let typed: Api<Deployment> = deployment(&place, 1).await;
    let deployments = of(&place, "apps/v1", "Deployment");
    let actions = "  - patch:
    - path: $.spec.strategy
      set: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}
    lifetime: WhileMatched
  where:
  - {path: $.metadata.labels.over, operator: DoesNotExist}
";
    let rules = rule(&place, DEPLOYMENTS, actions, "");
    let daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    let surge = || async {
        let web = deployments.get("web").await.unwrap();
        web.data["spec"]["strategy"]["rollingUpdate"].clone()
    };
    until("the strategy", &daemon, || async {
        surge().await == json!({"maxSurge": 1, "maxUnavailable": "25%"})
    })
    .await;
    disturb(&daemon, &deployments, "web", 3).await;
    assert_eq!(asked(&place, "deployments", "web"), 1, "{}", daemon.log());
    let over = Patch::Merge(json!({"metadata": {"labels": {"over": "yes"}}}));
    typed
        .patch("web", &PatchParams::default(), &over)
        .await
        .unwrap();
    until("the strategy of before", &daemon, || async {
        surge().await == json!({"maxSurge": "25%", "maxUnavailable": "25%"})
    })
    .await;
}
