//! Applied once for each key, and gone with the match: on the real server, judged by its audit log.

use crate::daemon::{Daemon, until};
use crate::scene::{Place, namespace};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_once_stays_away_when_deleted_and_goes_with_the_match() {
    let place = Place::new("reported").await;
    let maps = &place.maps;
    let subject: ConfigMap = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "web", "labels": {"reported": "yes"}}, "data": {"release": "one", "size": "5"}
    }))
    .unwrap();
    maps.create(&PostParams::default(), &subject).await.unwrap();
    let home = namespace(&place.client, "home").await;
    let option = format!("--state-namespace={home}");
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
