//! Evictions go in the order of `pick`, as deletions do; one that a disruption budget holds up lets no other one go before it.

use crate::daemon::{Daemon, until};
use crate::scene::{Place, found};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

/// Makes a Pod that nobody schedules; the number is in its annotation and in its name.
async fn make(place: &Place, n: usize) {
    let pods: Api<Pod> = Api::namespaced(place.client.clone(), &place.namespace);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": format!("red-{n}"), "labels": {"n": n.to_string()}, "annotations": {"shop.example/n": n.to_string()}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "app", "image": "registry.example/app:1"}]},
    }))
    .unwrap();
    // A namespace gets the account that Pods need a moment after it was made.
    let made = || async { pods.create(&PostParams::default(), &pod).await.ok() };
    found(|| format!("{pod:?}"), made).await;
}

fn rule(place: &Place, pick: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: evicts}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: Pod}}]
    namespaces: ['{}']
  pick: {{orderBy: {{path: \"$.metadata.annotations['shop.example/n']\", as: number, direction: Descending}}{pick}}}
  actions:
  - evict: {{}}
",
        place.namespace
    )
}

/// The evictions that Ordain has asked for, in order, and how each was answered.
fn asked(place: &Place) -> Vec<(String, u64)> {
    let requests = place.plane.audit().of_ordain(&place.namespace);
    let evictions = requests.into_iter().filter(|r| r.subresource == "eviction");
    evictions.map(|r| (r.name, r.code)).collect()
}

fn granted(names: &[&str]) -> Vec<(String, u64)> {
    names.iter().map(|name| ((*name).to_owned(), 201)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_are_evicted_in_order() {
    let place = Place::new("evicted-in-order").await;
    // Neither as they were made nor by their names, for ten comes before nine.
    for n in [3, 10, 1, 9, 2] {
        make(&place, n).await;
    }
    let rules = rule(&place, ", skip: 1");
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    until("that one is left", &daemon, || async {
        asked(&place).len() == 4
    })
    .await;
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    assert_eq!(
        asked(&place),
        granted(&["red-9", "red-3", "red-2", "red-1"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_a_budget_holds_up_is_not_passed_over() {
    let place = Place::new("evicted-in-turn").await;
    let pods: Api<Pod> = Api::namespaced(place.client.clone(), &place.namespace);
    for n in 1..=3 {
        make(&place, n).await;
    }
    // A budget counts for Pods that run.
    let runs = Patch::Merge(
        json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
    );
    pods.patch_status("red-3", &PatchParams::default(), &runs)
        .await
        .unwrap();
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(place.client.clone(), &place.namespace);
    let budget = json!({"metadata": {"name": "third"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"n": "3"}}}});
    let budget = serde_json::from_value(budget).unwrap();
    budgets
        .create(&PostParams::default(), &budget)
        .await
        .unwrap();
    let held = || async {
        let status = budgets.get("third").await.unwrap().status?;
        (status.current_healthy? == 1).then_some(())
    };
    found(|| "that the budget knows the Pod".to_owned(), held).await;
    let rules = rule(&place, ", take: 1");
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    daemon
        .until("that the budget is waited for", |s| {
            s["findings"]["byReason"]["Waiting"] == 1 && s["requestsInFlight"] == 0
        })
        .await;
    let refused = asked(&place);
    assert!(
        !refused.is_empty() && refused.iter().all(|(n, code)| n == "red-3" && *code == 429),
        "{refused:?}"
    );
    budgets
        .delete("third", &DeleteParams::default())
        .await
        .unwrap();
    until("that all are gone", &daemon, || async {
        pods.list(&Default::default())
            .await
            .unwrap()
            .items
            .is_empty()
    })
    .await;
    let mut all = asked(&place);
    all.retain(|(_, code)| *code != 429);
    assert_eq!(all, granted(&["red-3", "red-2", "red-1"]));
}
