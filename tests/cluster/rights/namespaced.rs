//! `ordain rbac --namespace A --namespace B`: Roles there, and nothing for the whole cluster. A daemon with the same namespaces needs no more.

use super::*;
use crate::daemon::until;
use crate::scene::{create, create_old, namespace};
use k8s_openapi::api::core::v1::Secret;

/// Rules of many verbs, about all namespaces that are looked into: one patches, one applies, one asks for other objects, tells and deletes.
const RULES: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: labels}
spec:
  mode: Enforce
  match:
    resources: [{apiVersion: v1, kind: ConfigMap}]
    names: ['map-*']
  actions:
  - patch:
    - {path: $.metadata.labels.team, set: blue}
---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: made}
spec:
  mode: Enforce
  match:
    resources: [{apiVersion: v1, kind: ConfigMap}]
    names: ['map-*']
  actions:
  - apply:
      apiVersion: v1
      kind: Secret
      metadata: {name: 'made-${object.metadata.name}'}
      stringData: {of: '${object.metadata.namespace}'}
    lifetime: WhileMatched
---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: left-over}
spec:
  mode: Enforce
  match:
    resources: [{apiVersion: v1, kind: ConfigMap}]
    selector: {matchLabels: {old: 'yes'}}
  related:
  - name: services
    resources: [{apiVersion: v1, kind: Service}]
    names: ['${object.metadata.name}']
    count: {value: 0}
  actions:
  - event: {reason: LeftOver, message: nobody uses it}
  - delete: {}
  limits: {abortAbove: {objects: 20}}
";

#[tokio::test(flavor = "multi_thread")]
async fn roles_in_some_namespaces_are_enough_for_a_daemon_of_these() {
    let options = Options {
        audited: Audited::Reads,
        ..Options::default()
    };
    let plane = tokio::task::spawn_blocking(|| Plane::start(options))
        .await
        .unwrap();
    let client = plane.client().await;
    let mut names = vec![];
    for word in ["a", "b", "outside"] {
        names.push(namespace(&client, word).await);
    }
    let [a, b, outside] = &names[..] else {
        unreachable!()
    };
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, RULES).unwrap();
    let (documents, lines) = printed_within(&rules, &[a, b]);
    let places: BTreeSet<&str> = documents
        .iter()
        .map(|d| {
            let kind = d["kind"].as_str().unwrap();
            assert!(["Role", "RoleBinding"].contains(&kind), "{d}");
            d["metadata"]["namespace"].as_str().unwrap()
        })
        .collect();
    assert_eq!(places, [a.as_str(), b.as_str(), HOME].into());

    let all: Vec<&Line> = lines.iter().collect();
    let kubeconfig = identity(&plane, "some", &documents, &all).await;
    let mut flags = ELECTS.to_vec();
    flags.extend(["--namespace", a, "--namespace", b]);
    let maps = |name: &str| Api::<ConfigMap>::namespaced(client.clone(), name);
    for name in &names {
        create(&maps(name), &["map-one"]).await;
        create_old(&maps(name), "left").await;
    }
    let mut daemon = Daemon::start(&kubeconfig, RULES, &flags);
    let acted = async |name: &str| {
        let labels = maps(name).get("map-one").await.unwrap().metadata.labels;
        let secrets: Api<Secret> = Api::namespaced(client.clone(), name);
        [
            labels.is_some_and(|l| l["team"] == "blue"),
            secrets.get_opt("made-map-one").await.unwrap().is_some(),
            maps(name).get_opt("left").await.unwrap().is_none(),
        ]
    };
    for name in [a, b] {
        until("all that the rules do", &daemon, || async {
            acted(name).await == [true; 3]
        })
        .await;
        // And what they take back.
        let delete = DeleteParams::default();
        maps(name).delete("map-one", &delete).await.unwrap();
        let secrets: Api<Secret> = Api::namespaced(client.clone(), name);
        until("that what was made goes", &daemon, || async {
            secrets.get_opt("made-map-one").await.unwrap().is_none()
        })
        .await;
    }
    let status = daemon
        .until("that it is idle", |s| {
            s["requestsInFlight"] == 0 && s["queueDepth"] == 0
        })
        .await;
    assert_eq!(status["leader"]["leading"], true, "{status}");
    assert_eq!(status["findings"]["total"], 0, "{status}");
    assert_eq!(acted(outside).await, [false; 3]);
    assert_eq!(daemon.stop().await, Some(0), "{}", daemon.log());

    let user = format!("system:serviceaccount:{HOME}:some");
    let mut requests = plane.audit().all("");
    requests.retain(|r| r.user == user);
    let of = |verb: &str| requests.iter().filter(|r| r.verb == verb).count();
    assert!(of("list") > 0 && of("watch") > 0 && of("delete") > 0);
    requests.retain(|r| r.code == 403 || r.namespace == *outside);
    assert!(requests.is_empty(), "{requests:?}");
}
