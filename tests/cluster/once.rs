//! Applied once for each key, and gone with the match: on the real server, judged by its audit log.

use crate::daemon::{Daemon, until};
use crate::scene::{Place, namespace};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

fn rule(namespace: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: reports}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
    selector: {{matchLabels: {{reported: 'yes'}}}}
  actions:
  - apply:
      apiVersion: v1
      kind: ConfigMap
      metadata: {{name: 'report-of-${{object.data.release}}'}}
      data: {{size: '${{object.data.size}}'}}
    once: {{key: '${{object.data.release}}'}}
    lifetime: WhileMatched
    name: report
  - patch: [{{path: $.metadata.annotations.report, set: \"${{applied.?report.metadata.?name.orValue('gone')}}\"}}]
"
    )
}

/// Something to report of; the daemon's own namespace, and the option that names it.
async fn to_report(place: &Place) -> (String, String) {
    let subject: ConfigMap = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "web", "labels": {"reported": "yes"}}, "data": {"release": "one", "size": "5"}
    }))
    .unwrap();
    let made = place.maps.create(&PostParams::default(), &subject).await;
    made.unwrap();
    let home = namespace(&place.client, "home").await;
    let option = format!("--state-namespace={home}");
    (home, option)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_once_stays_away_when_deleted_and_goes_with_the_match() {
    let place = Place::new("reported").await;
    let maps = &place.maps;
    let (_, option) = to_report(&place).await;
    let config = place.plane.kubeconfig();
    let mut daemon = Daemon::start(&config, &rule(&place.namespace), &[&option]);
    let annotated = |with: &'static str| async move {
        let annotations = maps.get("web").await.unwrap().metadata.annotations;
        annotations
            .unwrap_or_default()
            .get("report")
            .map(String::as_str)
            == Some(with)
    };
    let change = |patch: Value| async move {
        let patch = Patch::Merge(patch);
        maps.patch("web", &PatchParams::default(), &patch)
            .await
            .unwrap();
    };
    until("the first report", &daemon, || annotated("report-of-one")).await;
    // What it is made of changes, and somebody takes it away: neither makes it anew.
    change(json!({"data": {"size": "6"}})).await;
    maps.delete("report-of-one", &DeleteParams::default())
        .await
        .unwrap();
    until("that it is missed", &daemon, || annotated("gone")).await;
    assert_eq!(daemon.stop().await, Some(0));
    daemon.start_again();
    change(json!({"data": {"release": "two"}})).await;
    until("the second report", &daemon, || annotated("report-of-two")).await;
    let second = maps.get("report-of-two").await.unwrap();
    assert_eq!(second.data.unwrap()["size"], "6");
    assert!(maps.get_opt("report-of-one").await.unwrap().is_none());
    change(json!({"metadata": {"labels": {"reported": null}}})).await;
    until("that it went with the match", &daemon, || async {
        maps.get_opt("report-of-two").await.unwrap().is_none()
    })
    .await;
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    let mut requests = place.plane.audit().of_ordain(&place.namespace);
    requests.retain(|r| r.name.starts_with("report-of-"));
    let told: Vec<String> = requests
        .iter()
        .map(|r| format!("{} {}", r.verb, r.name))
        .collect();
    assert_eq!(
        told,
        [
            "patch report-of-one",
            "patch report-of-two",
            "delete report-of-two"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_once_says_so_itself_when_all_else_is_lost() {
    let place = Place::new("kept-once").await;
    let maps = &place.maps;
    let (home, option) = to_report(&place).await;
    let rule = rule(&place.namespace).replace("    lifetime: WhileMatched\n", "");
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rule, &[&option]);
    let reported = |release: &'static str| async move {
        let report = maps.get_opt(&format!("report-of-{release}")).await.unwrap();
        report.and_then(|report| report.data?.get("size").cloned())
    };
    until("the first report", &daemon, || async {
        reported("one").await.is_some()
    })
    .await;
    // It is killed before it has written down what it did, and what there is of it is lost as well.
    daemon.kill();
    let remembered: Api<ConfigMap> = Api::namespaced(place.client.clone(), &home);
    remembered
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();
    let change = |data: Value| async move {
        let patch = Patch::Merge(json!({"data": data}));
        maps.patch("web", &PatchParams::default(), &patch)
            .await
            .unwrap();
    };
    change(json!({"size": "6"})).await;
    daemon.start_again();
    daemon.ready().await;
    daemon
        .until("that it is at rest", |s| {
            s["queueDepth"] == 0 && s["requestsInFlight"] == 0
        })
        .await;
    assert_eq!(reported("one").await.as_deref(), Some("5"));
    change(json!({"release": "two"})).await;
    until("the second report", &daemon, || async {
        reported("two").await.as_deref() == Some("6")
    })
    .await;
}
