//! A mutating webhook that rewrites what Ordain writes: it has the last word, and is asked once.

use super::completed::{asked, disturb, of};
use super::{MAPS, finding, make, rule};
use crate::control_plane::Authority;
use crate::daemon::Daemon;
use crate::scene::{Place, found, map};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use kube::api::PostParams;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A webhook server on this machine; it ends with the runtime of its test.
struct Webhook {
    port: u16,
    authority: Authority,
    /// The requests that it was asked about.
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    async fn start() -> Webhook {
        let authority = Authority::new();
        let folder = tempfile::tempdir().unwrap();
        authority.write_server(folder.path());
        let certificate = CertificateDer::from_pem_file(folder.path().join("server.crt"));
        let key = PrivateKeyDer::from_pem_file(folder.path().join("server.key"));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.unwrap()], key.unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let requests = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (acceptor, requests) = (acceptor.clone(), Arc::clone(&requests));
                tokio::spawn(async move {
                    let Ok(connection) = acceptor.accept(connection).await else {
                        return;
                    };
                    let service = hyper::service::service_fn(move |request| {
                        answer(request, Arc::clone(&requests))
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), service)
                        .await;
                });
            }
        });
        Webhook {
            port,
            authority,
            asked,
        }
    }

    /// Has the server ask it about every ConfigMap of a place, and waits until it does.
    async fn stand_before(&self, place: &Place) {
        let webhook = json!({
            "name": "rewrites.shop.example",
            "clientConfig": {
                "url": format!("https://127.0.0.1:{}/", self.port),
                "caBundle": BASE64.encode(self.authority.pem()),
            },
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        });
        make(
            place,
            "admissionregistration.k8s.io/v1",
            json!({
                "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": format!("rewrites-{}", place.namespace)},
                "webhooks": [webhook],
            }),
        )
        .await;
        let mut tries = 0;
        found(
            || "the webhook in force".to_owned(),
            || {
                tries += 1;
                let probe = map(&format!("tried-{tries}"));
                async move {
                    let made = place.maps.create(&PostParams::default(), &probe).await;
                    made.unwrap().data?.remove("injected")
                }
            },
        )
        .await;
    }

    /// How often it was asked about what Ordain wrote to an object.
    fn asked_for_ordain(&self, name: &str) -> usize {
        let requests = self.asked.lock().unwrap();
        let of_ordain = requests
            .iter()
            .filter(|r| r["name"] == name && r["options"]["fieldManager"] == "ordain");
        of_ordain.count()
    }
}

/// A label `team` is in small letters, and something is injected into the data.
async fn answer(
    request: Request<Incoming>,
    requests: Arc<Mutex<Vec<Value>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    let request = &review["request"];
    let mut patch = vec![];
    if let Some(team) = request["object"]["metadata"]["labels"]["team"].as_str() {
        patch.push(
            json!({"op": "replace", "path": "/metadata/labels/team", "value": team.to_lowercase()}),
        );
    }
    let mut data = request["object"]["data"].clone();
    data["injected"] = "yes".into();
    patch.push(json!({"op": "add", "path": "/data", "value": data}));
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": request["uid"],
            "allowed": true,
            "patchType": "JSONPatch",
            "patch": BASE64.encode(serde_json::to_vec(&patch).unwrap()),
        },
    });
    requests.lock().unwrap().push(request.clone());
    let answer = Response::builder()
        .header("content-type", "application/json")
        .body(Full::from(answer.to_string()));
    Ok(answer.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_rewrites_is_written_once_and_told() {
    let place = Place::new("hooked").await;
    let webhook = Webhook::start().await;
    webhook.stand_before(&place).await;
    let made = PostParams::default();
    place.maps.create(&made, &map("shouted")).await.unwrap();
    let actions = "  - patch:
    - {path: $.metadata.labels.team, set: BLUE}
    - {path: $.data, set: {color: blue}}
";
    let rules = rule(&place, MAPS, actions, "")
        .replace("    namespaces:", "    names: [shouted]\n    namespaces:");
    let mut daemon = Daemon::start(&place.plane.kubeconfig(), &rules, &[]);
    daemon
        .until("its change", |s| s["changes"]["made"].as_u64() >= Some(1))
        .await;
    let stored = place.maps.get("shouted").await.unwrap();
    let data = json!({"color": "blue", "injected": "yes"});
    assert_eq!(json!(stored.data), data);
    assert_eq!(stored.metadata.labels.unwrap()["team"], "blue");
    // Whoever else changes the object is no reason to try for ever.
    let maps = of(&place, "v1", "ConfigMap");
    disturb(&daemon, &maps, "shouted", 8).await;
    let status = daemon
        .until("what the webhook made of it", |s| {
            finding(s, "Overruled").is_some() && s["requestsInFlight"] == 0
        })
        .await;
    let message = finding(&status, "Overruled").unwrap();
    // What it has added beside what the rule says is like what the server completes.
    assert!(
        message.starts_with("/metadata/labels/team is \"blue\" and not \"BLUE\": "),
        "{message}"
    );
    assert_eq!(status["findings"]["total"], 1, "{status}");
    let counts = || {
        (
            asked(&place, "configmaps", "shouted"),
            webhook.asked_for_ordain("shouted"),
        )
    };
    assert_eq!(counts(), (1, 1), "{}", daemon.log());
    // Nobody remembers after a restart: one request finds out, and changes nothing.
    let version = maps.get("shouted").await.unwrap().metadata.resource_version;
    daemon.kill();
    daemon.start_again();
    daemon
        .until("that it was found out", |s| {
            finding(s, "Overruled").is_some()
        })
        .await;
    let after = maps.get("shouted").await.unwrap().metadata.resource_version;
    assert_eq!(after, version);
    disturb(&daemon, &maps, "shouted", 3).await;
    assert_eq!(counts(), (2, 2), "{}", daemon.log());
    // A rule that asks for what the webhook lets stand has nothing to write, and nothing is told any more.
    daemon.save_rules(
        &rules
            .replace("BLUE", "blue")
            .replace("{color: blue}", "{color: blue, injected: 'yes'}"),
    );
    daemon
        .until("nothing to tell", |s| s["findings"]["total"] == 0)
        .await;
    assert_eq!(counts(), (2, 2), "{}", daemon.log());
}
