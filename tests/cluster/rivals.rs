//! Rules that want other values of one object, one as its own rule and one that has it as a target: nothing goes to and fro, not at a restart
//! either.

use crate::daemon::{Daemon, until};
use crate::scene::Place;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use serde_json::json;

fn rules(namespace: &str, priority: i64) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: own}}
spec:
  mode: Enforce
  match: {{resources: [{{apiVersion: v1, kind: ConfigMap}}], namespaces: ['{namespace}'], names: ['part-*']}}
  actions:
  - patch: [{{path: $.data.color, set: red}}]
---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: of-the-whole}}
spec:
  mode: Enforce
  priority: {priority}
  match: {{resources: [{{apiVersion: v1, kind: ConfigMap}}], namespaces: ['{namespace}'], names: [whole]}}
  related:
  - {{name: parts, resources: [{{apiVersion: v1, kind: ConfigMap}}], names: ['part-*']}}
  actions:
  - target: parts
    patch: [{{path: $.data, set: {{color: blue}}}}]
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_about_an_object_and_one_that_has_it_as_a_target_do_not_undo_each_other() {
    const PARTS: usize = 10;
    let place = Place::new("rivals").await;
    let names = (0..PARTS).map(|n| format!("part-{n}"));
    for name in names.chain(["whole".to_owned()]) {
        let map: ConfigMap =
            serde_json::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"color": "green"}}))
                .unwrap();
        place
            .maps
            .create(&PostParams::default(), &map)
            .await
            .unwrap();
    }
    let config = place.plane.kubeconfig();
    let mut daemon = Daemon::start(&config, &rules(&place.namespace, 0), &[]);
    // Each part is told of by its own rule, and the whole by the other.
    daemon
        .until("that both tell of it", |s| {
            s["findings"]["byReason"]["Conflict"].as_u64() >= Some(PARTS as u64 + 1)
        })
        .await;
    assert!(place.plane.audit().of_ordain(&place.namespace).is_empty());
    daemon.save_rules(&rules(&place.namespace, 1));
    let all = |color: &'static str| {
        let maps = place.maps.clone();
        move || {
            let maps = maps.clone();
            async move {
                let all = maps.list(&Default::default()).await.unwrap().items;
                let parts = all.iter().filter(|m| {
                    m.metadata
                        .name
                        .as_deref()
                        .is_some_and(|n| n.starts_with("part-"))
                });
                let mut colors = parts.filter_map(|m| m.data.as_ref()?.get("color"));
                colors.all(|c| c == color)
            }
        }
    };
    until("that the higher one has its way", &daemon, all("blue")).await;
    for _ in 0..2 {
        daemon.kill();
        daemon.start_again();
        daemon
            .until("that the lower one tells of it", |s| {
                s["findings"]["byReason"]["Conflict"] == PARTS as u64 && s["requestsInFlight"] == 0
            })
            .await;
    }
    let requests = place.plane.audit().of_ordain(&place.namespace);
    assert_eq!(requests.len(), PARTS, "{requests:?}");
}
