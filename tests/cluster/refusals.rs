//! What an admission policy of the cluster refuses, and allows later.

use crate::daemon::{Daemon, until};
use crate::scene::{Place, create, following, follows, take_step};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_refuses_is_done_once_it_allows_it() {
    let place = Place::new("refusals").await;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(place.client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(place.client.clone());
    let name = format!("no-seen.{}", place.namespace);
    let policy = json!({
    "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
    "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
            "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}],
        },
        "validations": [{"expression": "!has(object.metadata.labels) || !('seen' in object.metadata.labels)", "message": "not today"}],
    }});
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]}});
    let post = PostParams::default();
    let policy = serde_json::from_value(policy).unwrap();
    policies.create(&post, &policy).await.unwrap();
    let binding = serde_json::from_value(binding).unwrap();
    bindings.create(&post, &binding).await.unwrap();
    // In force a moment after it was made.
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let labelled =
        serde_json::from_value(json!({"metadata": {"name": "trial", "labels": {"seen": "1"}}}));
    let labelled = labelled.unwrap();
    let started = std::time::Instant::now();
    while place.maps.create(&dry, &labelled).await.is_ok() {
        assert!(
            started.elapsed().as_secs() < 60,
            "the policy is never in force"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    create(&place.maps, &["a"]).await;
    take_step(&place.maps, "a", "1").await;

    let rule = following("follow", "v1", "ConfigMap", &place.namespace);
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rule, &[]);
    let refused = |status: &Value| status["findings"]["byReason"]["Refused"] == 1;
    daemon.until("that it is refused", refused).await;
    let page = format!(
        "/explain?rule=follow&object=ConfigMap/{}/a",
        place.namespace
    );
    until("that explain says so", &daemon, || async {
        let answer = daemon.http("GET", &page).await;
        answer.is_some_and(|(_, said)| said.contains("Refused: ") && said.contains("not today"))
    })
    .await;
    let delete = DeleteParams::default();
    bindings.delete(&name, &delete).await.unwrap();
    policies.delete(&name, &delete).await.unwrap();
    // Neither the object nor the rule has changed.
    follows(&daemon, &place.maps, "a", "1").await;
    daemon
        .until("that it is told no more", |s| s["findings"]["total"] == 0)
        .await;
}
