//! A cluster that is not the one that was meant, credentials that are not accepted, certificates that change: what a person reads, and
//! that the daemon goes on when it is mended.

use crate::command::{ordain, ordain_with};
use crate::control_plane::{Authority, Options, Plane};
use crate::daemon::Daemon;
use crate::scene::{Place, account_for, create, following, follows, take_step};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use serde_json::Value;

/// Whether what is said of the ConfigMaps, or of the rule's last write, contains a text.
fn told(status: &Value, text: &str) -> bool {
    let says = |value: &Value| value.as_str().is_some_and(|v| v.contains(text));
    let kinds = status["kinds"].as_array().unwrap();
    kinds.iter().any(|kind| says(&kind["reason"])) || says(&status["rules"][0]["lastError"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_for_another_cluster_is_told() {
    let Place {
        plane, namespace, ..
    } = Place::new("another").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("rules.yaml"),
        following("maps", "v1", "ConfigMap", &namespace),
    )
    .unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let plan = |text: String| {
        std::fs::write(&kubeconfig, text).unwrap();
        ordain(
            folder.path(),
            &kubeconfig,
            &["plan", "--rules", "rules.yaml"],
        )
    };

    Authority::new().write(folder.path());
    let stranger = folder.path().join("ca.crt");
    let ran = plan(plane.kubeconfig_trusting(&stranger, "{}"));
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.err.contains(
            "the server is not the one that the configuration's certificate authority vouches for"
        ),
        "{ran:?}"
    );

    let ran = plan(plane.kubeconfig_text("{token: of-another-cluster}"));
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.err.contains("does not accept our credentials"),
        "{ran:?}"
    );
    assert!(!ran.err.contains("of-another-cluster"), "{ran:?}");

    plane
        .authority()
        .write_expired_client(folder.path(), "late");
    let ran = plan(plane.kubeconfig_text("{client-certificate: late.crt, client-key: late.key}"));
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.err.contains("does not accept our credentials"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_not_for_this_machine() {
    let Place {
        plane, namespace, ..
    } = Place::new("proxied").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("rules.yaml"),
        following("maps", "v1", "ConfigMap", &namespace),
    )
    .unwrap();
    let kubeconfig = plane.kubeconfig();
    let ran = ordain_with(
        folder.path(),
        &["plan", "--rules", "rules.yaml"],
        &[
            ("KUBECONFIG", kubeconfig.to_str().unwrap()),
            ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_becomes_worthless_is_told_and_a_new_one_is_taken_up() {
    let Place {
        plane,
        client,
        namespace,
        maps,
    } = Place::new("token").await;
    create(&maps, &["a"]).await;
    account_for(&client, &namespace, &[&namespace]).await;
    // A token that is bound to a Secret is worth nothing once that is gone; none can be had that expires within minutes.
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some("anchor".into()),
            ..Default::default()
        },
        ..Default::default()
    };
    let secret = secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    let token = async |bound: Option<BoundObjectReference>| {
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                bound_object_ref: bound,
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer = accounts
            .create_token_request("ordain", &PostParams::default(), &request)
            .await
            .unwrap();
        answer.status.unwrap().token.unwrap()
    };
    let bound = BoundObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Secret".into()),
        name: Some("anchor".into()),
        uid: secret.metadata.uid,
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, token(Some(bound)).await).unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let user = format!("{{tokenFile: '{}'}}", file.display());
    std::fs::write(&kubeconfig, plane.kubeconfig_text(&user)).unwrap();
    let rules = following("maps", "v1", "ConfigMap", &namespace);
    let mut daemon = Daemon::start(&kubeconfig, &rules, &["--namespace", &namespace]);
    follows(&daemon, &maps, "a", "1").await;

    secrets
        .delete("anchor", &DeleteParams::default())
        .await
        .unwrap();
    // The server remembers for some seconds that it accepted the token.
    for step in 2.. {
        let name = format!("a-{step}");
        create(&maps, &[&name]).await;
        take_step(&maps, &name, "1").await;
        let status = daemon
            .until("that the step is taken or refused", |s| {
                told(s, "does not accept our credentials")
                    || s["changes"]["made"].as_u64() == Some(step)
            })
            .await;
        if told(&status, "does not accept our credentials") {
            break;
        }
    }
    std::fs::write(&file, token(None).await).unwrap();
    follows(&daemon, &maps, "a", "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_new_certificate_is_trusted_and_a_stranger_is_not() {
    let mut plane = Plane::start(Options::default());
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    create(&maps, &["a"]).await;
    let rules = following("maps", "v1", "ConfigMap", "default");
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rules, &[]);
    follows(&daemon, &maps, "a", "1").await;
    plane.serve_under(None);
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    follows(&daemon, &maps, "a", "2").await;
    plane.serve_under(Some(&Authority::new()));
    daemon
        .until("that the stranger is told", |s| {
            told(s, "certificate authority vouches for")
        })
        .await;
    plane.serve_under(None);
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    follows(&daemon, &maps, "a", "3").await;
    assert_eq!(
        plane.audit().of_ordain("default").len(),
        3,
        "one write for each step"
    );
}
