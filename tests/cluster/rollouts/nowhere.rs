//! A rollback that has nowhere to go: what it went back to fails too, or nothing was there before.

use super::{image, of, rule, workload};
use crate::daemon::Daemon;
use crate::scene::{Place, found};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// The reasons and messages of all that is told.
fn told(status: &Value) -> Vec<(String, String)> {
    let listed = status["findings"]["listed"].as_array().unwrap().iter();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    listed
        .map(|f| (text(&f["reason"]), text(&f["message"])))
        .collect()
}

/// The changes of workloads that Ordain has made.
fn patches(place: &Place) -> usize {
    let mut requests = place.plane.audit().of_ordain(&place.namespace);
    requests.retain(|r| r.verb == "patch");
    assert!(requests.iter().all(|r| r.code == 200), "{requests:?}");
    requests.len()
}

/// Waits until the server knows that the account of the Pods is gone: it hears of it like everybody else.
async fn refuses_pods(place: &Place) {
    let pods: Api<Pod> = Api::namespaced(place.client.clone(), &place.namespace);
    let probe: Pod = of(json!({"metadata": {"name": "probe"}, "spec": {
        "serviceAccountName": "runner", "containers": [{"name": "app", "image": "registry.example/app:1"}]}}));
    let dry = PostParams {
        dry_run: true,
        ..Default::default()
    };
    let refused = || async { pods.create(&dry, &probe).await.err() };
    found(|| "that no Pod can be made".to_owned(), refused).await;
}

/// The generation whose rollout the controller has given up, if it is the present one.
fn given_up(web: &Deployment) -> Option<i64> {
    let status = web.status.as_ref()?;
    let mut conditions = status.conditions.iter().flatten();
    let failed = conditions.any(|c| c.reason.as_deref() == Some("ProgressDeadlineExceeded"));
    let generation = web.metadata.generation;
    (failed && status.observed_generation == generation)
        .then_some(generation)
        .flatten()
}

/// Alone it takes seven seconds. On a busy machine the controller of Deployments may keep saying `NewReplicaSetAvailable` of a revision of which no
/// Pod can be made, whatever its deadline, and then there is no failure to see: `cargo test --test cluster nowhere -- --include-ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits for a controller that a busy machine holds up"]
async fn a_rule_never_rolls_back_its_own_rollback() {
    let place = Place::new("no-further").await;
    place.plane.start_nodes().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(place.client.clone(), &place.namespace);
    let deployments: Api<Deployment> = Api::namespaced(place.client.clone(), &place.namespace);
    let made = PostParams::default();
    let runner = of(json!({"metadata": {"name": "runner"}}));
    accounts.create(&made, &runner).await.unwrap();
    let mut web = workload("Deployment", "web", "registry.example/app:1", 1);
    web["spec"]["strategy"] = json!({"type": "Recreate"});
    web["spec"]["template"]["spec"]["serviceAccountName"] = json!("runner");
    deployments.create(&made, &of(web)).await.unwrap();
    let wanted = rule(
        "back",
        &place.namespace,
        "{apiVersion: apps/v1, kind: Deployment}",
        "  where:
  - path: $.status.conditions[?@.type == 'Progressing' && @.reason == 'ProgressDeadlineExceeded']
    operator: Exists
  - {path: $.status.observedGeneration, operator: AtLeast, value: '${object.metadata.generation}'}
  actions:
  - rollback: {to: PreviousRevision}
  - event: {type: Warning, reason: RolledBack, message: it did not come up}
",
    );
    let now = || async { deployments.get("web").await.unwrap() };
    // However long the first rollout takes: nothing looks at it yet, and only the next one has a deadline.
    found(
        || "the first revision".to_owned(),
        || async {
            let status = now().await.status?;
            (status.available_replicas == Some(1)).then_some(())
        },
    )
    .await;
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &wanted, &[]);
    daemon.ready().await;
    // Without it no Pod can be made, of the second revision or of the first.
    accounts
        .delete("runner", &DeleteParams::default())
        .await
        .unwrap();
    refuses_pods(&place).await;
    let second = json!({"spec": {"progressDeadlineSeconds": 2, "template": {"spec": {
        "containers": [{"name": "app", "image": "registry.example/app:2"}]}}}});
    let params = PatchParams::default();
    let patched = deployments
        .patch("web", &params, &Patch::Strategic(second))
        .await
        .unwrap();
    let second = patched.metadata.generation.unwrap();
    // The controller of Deployments looks at one that waits for its old Pods when it hears of something, and it may have missed the last.
    let hears = {
        let (deployments, params) = (deployments.clone(), params.clone());
        tokio::spawn(async move {
            for n in 0.. {
                let note = json!({"metadata": {"labels": {"heard-of": format!("n{n}")}}});
                let patch = Patch::Merge(note);
                deployments.patch("web", &params, &patch).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        })
    };
    let status = daemon
        .until("that it goes no further", |s| {
            s["findings"]["byReason"]["NoRevision"] == 1
        })
        .await;
    hears.abort();
    let web = now().await;
    assert_eq!(image(&web.spec.template), "registry.example/app:1");
    assert!(
        given_up(&web).is_some_and(|failed| failed > second),
        "the rollback has failed too: {web:?}"
    );
    let found = told(&status);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].1.ends_with("it is not rolled back any further"),
        "{found:?}"
    );
    // Whatever becomes of it, for a daemon that was started again as well.
    for n in 0..3 {
        let note = json!({"metadata": {"labels": {"looked-at": n.to_string()}}});
        deployments
            .patch("web", &params, &Patch::Merge(note))
            .await
            .unwrap();
        assert_eq!(daemon.stop().await, Some(0));
        daemon.start_again();
        let status = daemon
            .until("that it says so again", |s| {
                s["findings"]["byReason"]["NoRevision"] == 1
                    && s["requestsInFlight"] == 0
                    && s["queueDepth"] == 0
            })
            .await;
        assert_eq!(told(&status), found);
    }
    assert_eq!(image(&now().await.spec.template), "registry.example/app:1");
    assert_eq!(patches(&place), 1);
    let events = place.plane.audit().events_of_ordain(&place.namespace);
    let rolled_back = events.iter().filter(|r| r.code == 201).count();
    assert_eq!(rolled_back, 1, "of one rollback is told: {events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn that_there_is_nothing_to_roll_back_to_is_told() {
    let place = Place::new("no-revision").await;
    let deployments: Api<Deployment> = Api::namespaced(place.client.clone(), &place.namespace);
    let stateful: Api<StatefulSet> = Api::namespaced(place.client.clone(), &place.namespace);
    let made = PostParams::default();
    let web = of(workload("Deployment", "web", "registry.example/app:1", 0));
    deployments.create(&made, &web).await.unwrap();
    let db = of(workload("StatefulSet", "db", "registry.example/app:1", 0));
    stateful.create(&made, &db).await.unwrap();
    let wanted = |to: &str| {
        rule(
            "back",
            &place.namespace,
            "{apiVersion: apps/v1, kind: StatefulSet}, {apiVersion: apps/v1, kind: Deployment}",
            &format!(
                "  where:
  - {{path: \"$.metadata.annotations['shop.example/well']\", operator: DoesNotExist}}
  actions:
  - rollback: {{to: {to}}}
"
            ),
        )
    };
    let rules = wanted("PreviousRevision");
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    let says = |message: &'static str| {
        move |s: &Value| {
            let all = told(s);
            all.len() == 2
                && all
                    .iter()
                    .all(|f| f.0 == "NoRevision" && f.1.ends_with(message))
        }
    };
    let none = "there is no earlier revision to roll back to";
    daemon.until("that there is none", says(none)).await;
    daemon.save_rules(&wanted("7"));
    let seventh = "there is no revision 7 to roll back to";
    daemon
        .until("that there is no seventh", says(seventh))
        .await;
    // Nobody wants it any more: nothing is left to tell.
    let well = Patch::Merge(json!({"metadata": {"annotations": {"shop.example/well": "yes"}}}));
    let params = PatchParams::default();
    deployments.patch("web", &params, &well).await.unwrap();
    stateful.patch("db", &params, &well).await.unwrap();
    daemon
        .until("nothing to tell", |s| s["findings"]["total"] == 0)
        .await;
    assert_eq!(patches(&place), 0);
}
