//! What Secrets hold is never told, whatever a real server answers: in the log at its loudest, `/status`, `/metrics`, Events.

use crate::daemon::{Daemon, until};
use crate::events::quota_in_force;
use crate::proxy::Proxy;
use crate::scene::Place;
use base64::Engine as _;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

/// What is in each Secret; nothing else has this word.
const CANARY: &str = "canary-bird";

/// A policy that looks at the Secrets of this name in a namespace, and quotes what they hold.
fn policy(name: &str, namespace: &str, secret: &str, action: &str) -> (Value, Value) {
    let policy = json!({
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["secrets"]}],
            },
            "validations": [{
                "expression": format!("object.metadata.name != '{secret}'"),
                "messageExpression": "'the token is ' + string(object.data['token'])",
            }],
        },
    });
    let binding = json!({
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": [action]},
    });
    (policy, binding)
}

fn rule(name: &str, namespace: &str, secret: &str, edit: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {name}}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: Secret}}]
    namespaces: ['{namespace}']
    names: [{secret}]
  where:
  - {{path: $.data.token, operator: Exists}}
  - {{path: $.data.token, operator: NotEquals, value: nothing}}
  actions:
  - patch:
    - {edit}
---
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_the_server_makes_it_tell_what_a_secret_holds() {
    let Place {
        plane,
        client,
        namespace,
        ..
    } = Place::new("canaries").await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let secret = |name: &str| -> Secret {
        let held = json!({"metadata": {"name": name}, "stringData": {"token": CANARY, "odd": format!("{CANARY}-2")}});
        serde_json::from_value(held).unwrap()
    };
    for name in [
        "changed",
        "invalid",
        "malformed",
        "denied",
        "warned",
        "copied",
        "failing",
        "unreadable",
    ] {
        secrets
            .create(&PostParams::default(), &secret(name))
            .await
            .unwrap();
    }
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    for (word, action) in [("denied", "Deny"), ("warned", "Warn")] {
        let name = format!("{namespace}-{word}");
        let (policy, binding) = policy(&name, &namespace, word, action);
        let policy = serde_json::from_value(policy).unwrap();
        policies
            .create(&PostParams::default(), &policy)
            .await
            .unwrap();
        let binding = serde_json::from_value(binding).unwrap();
        bindings
            .create(&PostParams::default(), &binding)
            .await
            .unwrap();
    }
    // A policy is in force some moments after it was made: until a change that it denies is denied.
    let probe = kube::api::Patch::Merge(json!({"metadata": {"labels": {"probe": "1"}}}));
    let quick = kube::api::PatchParams {
        dry_run: true,
        ..Default::default()
    };
    let begun = std::time::Instant::now();
    while secrets.patch("denied", &quick, &probe).await.is_ok() {
        assert!(
            begun.elapsed().as_secs() < 60,
            "the policy is never in force"
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"count/secrets": "8"}}});
    Api::<ResourceQuota>::namespaced(client.clone(), &namespace)
        .create(
            &PostParams::default(),
            &serde_json::from_value(quota).unwrap(),
        )
        .await
        .unwrap();

    quota_in_force(&client, &namespace).await;
    let label = "{path: $.metadata.labels.seen, set: 'yes'}";
    let rules = [
        rule("changes", &namespace, "changed", label),
        // 422: a key that no Secret may have.
        rule(
            "invalid",
            &namespace,
            "invalid",
            "{path: \"$.data['a b']\", set: '${object.data.token}'}",
        ),
        // 400 or 422, with the whole object: what is no base64.
        rule(
            "malformed",
            &namespace,
            "malformed",
            "{path: $.data.other, set: '${object.data.token}!'}",
        ),
        rule("denied", &namespace, "denied", label),
        rule("warned", &namespace, "warned", label),
        rule(
            "failing",
            &namespace,
            "failing",
            "{path: $.metadata.labels.seen, set: '${string(int(object.data.token))}'}",
        ),
        rule("unreadable", &namespace, "unreadable", label),
        format!(
            "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: copies}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: Secret}}]
    namespaces: ['{namespace}']
    names: [copied]
  actions:
  - apply:
      apiVersion: v1
      kind: Secret
      metadata: {{name: copy}}
      data: {{token: '${{object.data.token}}'}}
"
        ),
    ]
    .concat();
    let proxy = Proxy::start(plane.kubeconfig()).await;
    proxy.replace(
        r#""metadata":{"name":"unreadable""#,
        r#""metadata":[],"x":{"name":"unreadable""#,
    );
    let more = ["--log-level=trace", "--namespace", &namespace];
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &rules, &more);
    // What is told is enough to go by.
    let telling = [
        "Invalid (422): data[a b]",
        "denied request: …",
        "exceeded quota: few",
    ];
    daemon
        .until("every refusal", |s| {
            let listed = s["findings"]["listed"].to_string();
            telling.iter().all(|said| listed.contains(said))
                && s["findings"]["byReason"]["Refused"].as_u64() >= Some(4)
                && s["findings"]["byReason"]["ExpressionFailed"] == 1
                && s["changes"]["made"].as_u64() >= Some(2)
        })
        .await;
    let told = || async {
        let events: Api<k8s_openapi::api::events::v1::Event> =
            Api::namespaced(client.clone(), &namespace);
        let list = events.list(&Default::default()).await.unwrap();
        serde_json::to_string(&list.items).unwrap()
    };
    until("the events", &daemon, || async {
        told().await.matches("\"ordain.dev/ordain\"").count() >= 5
    })
    .await;
    // Louder than that it does not get.
    let (refused, _) = daemon
        .http("PUT", "/log-level?filter=trace,kube_client=trace")
        .await
        .unwrap();
    assert_eq!(refused, 400);
    let status = daemon.status().await.unwrap();
    let log = daemon.whole_log();
    assert!(log.contains("may quote a Secret") && log.contains("it cannot be decoded"));
    let metrics = daemon.http("GET", "/metrics").await.unwrap().1;
    let base64 = base64::engine::general_purpose::STANDARD.encode(CANARY);
    for (what, text) in [
        ("the log", log),
        ("/status", status.to_string()),
        ("/metrics", metrics),
        ("an Event", told().await),
    ] {
        assert!(text.len() > 100, "{what} says nothing: {text}");
        // Without its padding, which a longer text does not have at this place.
        for hidden in [CANARY, &base64[..12]] {
            if let Some(at) = text.find(hidden) {
                let from = text[..at].rfind('\n').map_or(0, |n| n + 1);
                panic!("{what} tells {hidden}: {}", &text[from..at + hidden.len()]);
            }
        }
    }
    assert_eq!(daemon.stop().await, Some(0));
    for word in ["denied", "warned"] {
        let name = format!("{namespace}-{word}");
        let gone = DeleteParams::default();
        bindings.delete(&name, &gone).await.unwrap();
        policies.delete(&name, &gone).await.unwrap();
    }
}
