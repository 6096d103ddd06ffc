//! The freeze switch while requests wait for their turn.

use crate::control_plane::shared;
use crate::daemon::Daemon;
use crate::scene::{map, namespace};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};

const MAPS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_yet_is_not_sent_any_more() {
    let plane = shared();
    let client = plane.client().await;
    let namespace = namespace(&client, "freeze").await;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    for n in 0..MAPS {
        maps.create(&PostParams::default(), &map(&format!("m{n}")))
            .await
            .unwrap();
    }
    let rules = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: labels}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
    names: ['m*']
  actions:
  - patch:
    - {{path: $.metadata.labels.team, set: shop}}
"
    );
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rules, &["--write-rate=1"]);
    daemon
        .until("the first change", |s| s["changes"]["made"] != 0)
        .await;
    let (code, _) = daemon.http("POST", "/freeze").await.unwrap();
    assert_eq!(code, 200);
    let status = daemon
        .until("that nothing is in flight", |s| {
            s["frozen"] == true && s["requestsInFlight"] == 0
        })
        .await;
    let written = || {
        let all = plane.audit().of_ordain(&namespace);
        all.iter().filter(|r| r.verb == "patch").count()
    };
    let made = written();
    assert_eq!(status["changes"]["made"], made);
    assert!(made < MAPS, "{made} were written");
    daemon.http("POST", "/unfreeze").await.unwrap();
    daemon
        .until("the rest", |s| s["changes"]["made"] == MAPS)
        .await;
    assert_eq!(written(), MAPS);
}
