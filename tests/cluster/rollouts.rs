//! Restarts, rollbacks and evictions, on the real server with its controllers, and kwok as the kubelet.
//!
//! `nowhere` rollbacks that have nowhere to go

mod nowhere;

use crate::control_plane::shared;
use crate::daemon::{Daemon, until};
use crate::scene::namespace;
use k8s_openapi::api::apps::v1::{
    ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A workload whose Pods run `image`.
fn workload(kind: &str, name: &str, image: &str, replicas: i32) -> Value {
    let mut workload = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": image, "args": ["${HOME}"]}]}
            }
        }
    });
    if kind != "DaemonSet" {
        workload["spec"]["replicas"] = json!(replicas);
    }
    if kind == "StatefulSet" {
        workload["spec"]["serviceName"] = json!(name);
    }
    workload
}

fn rule(name: &str, namespace: &str, kinds: &str, rest: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {name}}}
spec:
  mode: Enforce
  match:
    resources: [{kinds}]
    namespaces: ['{namespace}']
{rest}"
    )
}

const ROLLED_OUT: &str = "{apiVersion: apps/v1, kind: Deployment}, {apiVersion: apps/v1, kind: StatefulSet}, {apiVersion: apps/v1, kind: DaemonSet}";

fn restarted_at(template: &k8s_openapi::api::core::v1::PodTemplateSpec) -> Option<String> {
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    annotations
        .get("kubectl.kubernetes.io/restartedAt")
        .cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_workload_is_restarted_once_each_time_a_match_begins() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "restarted").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &name);
    let stateful: Api<StatefulSet> = Api::namespaced(client.clone(), &name);
    let daemons: Api<DaemonSet> = Api::namespaced(client.clone(), &name);
    let made = PostParams::default();
    let web = of(workload("Deployment", "web", "registry.example/app:1", 0));
    deployments.create(&made, &web).await.unwrap();
    let db = of(workload("StatefulSet", "db", "registry.example/app:1", 0));
    stateful.create(&made, &db).await.unwrap();
    let agent = of(workload("DaemonSet", "agent", "registry.example/app:1", 0));
    daemons.create(&made, &agent).await.unwrap();
    let wanted = rule(
        "again",
        &name,
        ROLLED_OUT,
        "  where:
  - {path: \"$.metadata.annotations['shop.example/restart']\", operator: Exists}
  actions:
  - restart: {}
",
    );
    let mut daemon = Daemon::start(&plane.kubeconfig(), &wanted, &[]);
    daemon.ready().await;
    let ask = |value: Value| {
        Patch::Merge(json!({"metadata": {"annotations": {"shop.example/restart": value}}}))
    };
    let params = PatchParams::default();
    deployments
        .patch("web", &params, &ask(json!("a")))
        .await
        .unwrap();
    stateful
        .patch("db", &params, &ask(json!("a")))
        .await
        .unwrap();
    daemons
        .patch("agent", &params, &ask(json!("a")))
        .await
        .unwrap();
    let times = || async {
        let web = deployments.get("web").await.unwrap().spec.template;
        let db = stateful.get("db").await.unwrap().spec.template;
        let agent = daemons.get("agent").await.unwrap().spec.template;
        [web, db, agent]
            .iter()
            .filter_map(restarted_at)
            .collect::<Vec<_>>()
    };
    until("three restarts", &daemon, || async {
        times().await.len() == 3
    })
    .await;
    let first = times().await;
    // As kubectl writes it: to the second.
    assert!(
        first
            .iter()
            .all(|t| t.len() == "2026-01-05T10:00:00Z".len()),
        "{first:?}"
    );
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    let patches = || {
        let mut all = plane.audit().of_ordain(&name);
        all.retain(|r| r.verb == "patch" && r.code == 200);
        all.len()
    };
    assert_eq!(patches(), 3);
    // The match of one ends, and begins anew a second later.
    deployments
        .patch("web", &params, &ask(Value::Null))
        .await
        .unwrap();
    // The time of a restart is to the second.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    deployments
        .patch("web", &params, &ask(json!("b")))
        .await
        .unwrap();
    until("one more", &daemon, || async { patches() == 4 }).await;
    assert_ne!(times().await[0], first[0]);
}

/// What `kubectl rollout undo` would have left there.
fn image(template: &k8s_openapi::api::core::v1::PodTemplateSpec) -> String {
    let containers = &template.spec.as_ref().unwrap().containers;
    containers[0].image.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_rollout_goes_back_once_and_no_further() {
    let plane = shared();
    plane.start_nodes().await;
    let client = plane.client().await;
    let name = namespace(&client, "rolled").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &name);
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), &name);
    let mut web = workload("Deployment", "web", "registry.example/app:1", 1);
    web["spec"]["progressDeadlineSeconds"] = json!(2);
    deployments
        .create(&PostParams::default(), &of(web))
        .await
        .unwrap();
    let wanted = rule(
        "back",
        &name,
        "{apiVersion: apps/v1, kind: Deployment}",
        "  where:
  - path: $.status.conditions[?@.type == 'Progressing' && @.reason == 'ProgressDeadlineExceeded']
    operator: Exists
  actions:
  - rollback: {to: PreviousRevision}
  - event: {type: Warning, reason: RolledBack, message: it did not come up}
",
    );
    let mut daemon = Daemon::start(&plane.kubeconfig(), &wanted, &[]);
    let available = || async {
        let web = deployments.get("web").await.unwrap();
        web.status.is_some_and(|s| s.available_replicas == Some(1))
    };
    until("the first revision", &daemon, available).await;
    // Nothing can run this one: no Node has what it asks for.
    let bad = json!({"spec": {"template": {"spec": {
        "containers": [{"name": "app", "image": "registry.example/app:2", "args": ["${HOME}"]}],
        "nodeSelector": {"there-is": "none"}}}}});
    let params = PatchParams::default();
    deployments
        .patch("web", &params, &Patch::Strategic(bad))
        .await
        .unwrap();
    let present = || async {
        let web = deployments.get("web").await.unwrap();
        let spec = web.spec;
        (
            image(&spec.template),
            spec.template.spec.unwrap().node_selector,
        )
    };
    until("two revisions", &daemon, || async {
        sets.list(&Default::default()).await.unwrap().items.len() == 2
    })
    .await;
    until("the first revision again", &daemon, || async {
        present().await == ("registry.example/app:1".to_owned(), None)
    })
    .await;
    // The controller knows it again: no third ReplicaSet.
    until("that it is seen through", &daemon, || async {
        let web = deployments.get("web").await.unwrap();
        web.status.unwrap().observed_generation == web.metadata.generation
    })
    .await;
    assert_eq!(sets.list(&Default::default()).await.unwrap().items.len(), 2);
    let told = || {
        let all = plane.audit().events_of_ordain(&name);
        all.iter()
            .filter(|r| r.verb == "create" && r.code == 201)
            .count()
    };
    until("that it was told", &daemon, || async { told() == 1 }).await;
    let patches = || {
        let mut all = plane.audit().of_ordain(&name);
        all.retain(|r| r.verb == "patch" && r.code == 200);
        all.len()
    };
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    assert_eq!(patches(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stateful_and_daemon_sets_go_back_by_their_controller_revisions() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "revised").await;
    let stateful: Api<StatefulSet> = Api::namespaced(client.clone(), &name);
    let daemons: Api<DaemonSet> = Api::namespaced(client.clone(), &name);
    let revisions: Api<ControllerRevision> = Api::namespaced(client.clone(), &name);
    let made = PostParams::default();
    stateful
        .create(
            &made,
            &of(workload("StatefulSet", "db", "registry.example/app:1", 0)),
        )
        .await
        .unwrap();
    daemons
        .create(
            &made,
            &of(workload("DaemonSet", "agent", "registry.example/app:1", 0)),
        )
        .await
        .unwrap();
    let wanted = rule(
        "back",
        &name,
        "{apiVersion: apps/v1, kind: StatefulSet}, {apiVersion: apps/v1, kind: DaemonSet}",
        "  where:
  - {path: \"$.metadata.annotations['shop.example/bad']\", operator: Exists}
  actions:
  - rollback: {to: PreviousRevision}
",
    );
    let daemon = Daemon::start(&plane.kubeconfig(), &wanted, &[]);
    let count = || async {
        revisions
            .list(&Default::default())
            .await
            .unwrap()
            .items
            .len()
    };
    until("a revision each", &daemon, || async { count().await == 2 }).await;
    let params = PatchParams::default();
    let bad = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/app:2"}]}}}});
    stateful
        .patch("db", &params, &Patch::Strategic(&bad))
        .await
        .unwrap();
    daemons
        .patch("agent", &params, &Patch::Strategic(&bad))
        .await
        .unwrap();
    until("two revisions each", &daemon, || async {
        count().await == 4
    })
    .await;
    let ask = json!({"metadata": {"annotations": {"shop.example/bad": "yes"}}});
    stateful
        .patch("db", &params, &Patch::Merge(&ask))
        .await
        .unwrap();
    daemons
        .patch("agent", &params, &Patch::Merge(&ask))
        .await
        .unwrap();
    until("the first revisions again", &daemon, || async {
        let db = stateful.get("db").await.unwrap().spec.template;
        let agent = daemons.get("agent").await.unwrap().spec.template;
        [db, agent].iter().all(|t| image(t).ends_with(":1"))
    })
    .await;
    // The controllers know them again.
    assert_eq!(count().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_waits_for_the_disruption_budget() {
    let plane = shared();
    plane.start_nodes().await;
    let client = plane.client().await;
    let name = namespace(&client, "evicted").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &name);
    let pods: Api<Pod> = Api::namespaced(client.clone(), &name);
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), &name);
    let made = PostParams::default();
    budgets
        .create(
            &made,
            &of(json!({"metadata": {"name": "web"},
            "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}})),
        )
        .await
        .unwrap();
    let web = of(workload("Deployment", "web", "registry.example/app:1", 2));
    deployments.create(&made, &web).await.unwrap();
    let wanted = rule(
        "away",
        &name,
        "{apiVersion: v1, kind: Pod}",
        "  where:
  - {path: $.metadata.labels.away, operator: Exists}
  actions:
  - evict: {}
",
    );
    let mut daemon = Daemon::start(&plane.kubeconfig(), &wanted, &[]);
    let healthy = || async {
        let budget = budgets.get("web").await.unwrap();
        budget.status.is_some_and(|s| s.current_healthy == Some(2))
    };
    until("two healthy Pods", &daemon, healthy).await;
    let one = pods
        .list(&Default::default())
        .await
        .unwrap()
        .items
        .remove(0);
    let one = one.metadata.name.unwrap();
    let label = Patch::Merge(json!({"metadata": {"labels": {"away": "yes"}}}));
    pods.patch(&one, &PatchParams::default(), &label)
        .await
        .unwrap();
    let status = daemon
        .until("that the budget is waited for", |s| {
            s["findings"]["listed"]
                .as_array()
                .is_some_and(|all| all.iter().any(|f| f["reason"] == "Waiting"))
        })
        .await;
    let message = &status["findings"]["listed"][0]["message"];
    assert!(
        message.as_str().unwrap().contains("disruption budget"),
        "{message}"
    );
    // It is no failure of the rule.
    assert_eq!(status["rules"][0]["changes"]["failed"], 0, "{status}");
    assert!(pods.get(&one).await.is_ok());
    let more = Patch::Merge(json!({"spec": {"replicas": 3}}));
    deployments
        .patch("web", &PatchParams::default(), &more)
        .await
        .unwrap();
    until("that it is gone", &daemon, || async {
        pods.get_opt(&one).await.unwrap().is_none()
    })
    .await;
    let evictions: Vec<u64> = plane
        .audit()
        .of_ordain(&name)
        .iter()
        .filter(|r| r.subresource == "eviction")
        .map(|r| r.code)
        .collect();
    // One is granted; asked again before the watch tells that the Pod goes, the server answers that it has changed, or is gone.
    let granted = evictions.iter().filter(|code| **code == 201).count();
    assert_eq!(granted, 1, "{evictions:?}");
    let known = |code: &u64| [201, 404, 409, 429].contains(code);
    assert!(evictions.iter().all(known), "{evictions:?}");
    assert!(evictions.contains(&429), "{evictions:?}");
    assert!(
        evictions.len() <= 8,
        "it does not ask all the time: {evictions:?}"
    );
}
