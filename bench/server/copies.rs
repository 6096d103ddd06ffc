//! A Secret copied to 300 namespaces: how soon a change of it is in all of them.

use crate::control_plane::{self, Plane};
use crate::figures::{median, ratios};
use crate::options::Options;
use crate::participants::{Participant, Who, launch, ordain};
use futures::StreamExt;
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Copies of the Secret.
const COPIES: usize = 300;
/// Requests at once, of the bare client and of the hand-written controller.
const AT_ONCE: usize = 32;
/// Changes of the Secret that are measured in one round.
const CHANGES: usize = 5;
const PATIENCE: Duration = Duration::from_secs(120);
const PREFIX: &str = "copies-";
/// Where the Secret is.
const HOME: &str = "copies-home";
/// What it and all its copies are called.
const NAME: &str = "shared";
/// Of the Secret: where it is to be, apart by commas.
const TARGETS: &str = "bench.example/namespaces";

fn namespaces() -> impl Iterator<Item = String> {
    (0..COPIES).map(|n| format!("{PREFIX}{n:03}"))
}

fn data(version: usize) -> BTreeMap<String, k8s_openapi::ByteString> {
    let text = format!("{version:0200}").into_bytes();
    BTreeMap::from([("token".to_owned(), k8s_openapi::ByteString(text))])
}

fn manifest(namespace: &str, version: usize) -> Value {
    let secret = Secret {
        data: Some(data(version)),
        ..Secret::default()
    };
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME, "namespace": namespace}});
    object["data"] = json!(secret.data);
    object
}

/// A copy that was seen: its namespace, what it holds, and when.
type Seen = (String, usize, Instant);

/// Watches the copies from outside.
async fn observe(client: &Client) -> mpsc::UnboundedReceiver<Seen> {
    let selector = format!("fieldSelector=metadata.name%3D{NAME}");
    let list = format!("/api/v1/secrets?{selector}&limit=1");
    let answer: Value = client
        .request(http::Request::get(list).body(vec![]).unwrap())
        .await
        .unwrap();
    let mut version = answer["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let client = client.clone();
    let (sender, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        // The server may end a watch at any time: it goes on from what was seen last.
        loop {
            let watch = format!(
                "/api/v1/secrets?{selector}&watch=1&resourceVersion={version}&timeoutSeconds=3600"
            );
            let request = http::Request::get(watch)
                .body(kube::client::Body::empty())
                .unwrap();
            let Ok(answer) = client.send(request).await else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            let mut frames = answer.into_body().into_data_stream();
            let mut rest: Vec<u8> = vec![];
            while let Some(Ok(frame)) = frames.next().await {
                let now = Instant::now();
                rest.extend_from_slice(&frame);
                while let Some(length) = memchr::memchr(b'\n', &rest) {
                    let event: Value = serde_json::from_slice(&rest[..length]).unwrap();
                    rest.drain(..=length);
                    assert_ne!(event["type"], "ERROR", "{event}");
                    let secret: Secret = serde_json::from_value(event["object"].clone()).unwrap();
                    version = secret.resource_version().unwrap_or_default();
                    let namespace = secret.namespace().unwrap_or_default();
                    let held = secret.data.and_then(|mut data| data.remove("token"));
                    let held = held.and_then(|held| String::from_utf8(held.0).ok());
                    let number = held.and_then(|held| held.parse().ok());
                    if let (true, Some(number)) = (namespace != HOME, number)
                        && sender.send((namespace, number, now)).is_err()
                    {
                        return;
                    }
                }
            }
        }
    });
    seen
}

/// When the last of all namespaces has this content.
async fn everywhere(seen: &mut mpsc::UnboundedReceiver<Seen>, version: usize) -> Instant {
    let mut missing: HashSet<String> = namespaces().collect();
    let mut last = Instant::now();
    while !missing.is_empty() {
        let next = timeout(PATIENCE, seen.recv()).await;
        let Ok(Some((namespace, held, at))) = next else {
            panic!("{} copies are missing", missing.len());
        };
        if held == version && missing.remove(&namespace) {
            last = at;
        }
    }
    last
}

/// Requests for copies that the server has answered so far.
fn requests(plane: &Plane) -> usize {
    let requests = plane.audit().all(PREFIX);
    let writes = ["create", "update", "patch", "delete"];
    requests
        .iter()
        .filter(|r| {
            r.resource == "secrets" && r.namespace != HOME && writes.contains(&r.verb.as_str())
        })
        .count()
}

async fn change(client: &Client, version: usize, annotations: Value) {
    let api: Api<Secret> = Api::namespaced(client.clone(), HOME);
    let patch = json!({"data": data(version), "metadata": {"annotations": annotations}});
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
    api.patch(NAME, &parameters, &patch).await.unwrap();
}

async fn write_all(client: &Client, version: usize, manager: &str) {
    let parameters = PatchParams::apply(manager).force();
    futures::stream::iter(namespaces())
        .for_each_concurrent(AT_ONCE, |namespace| {
            let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
            let patch = Patch::Apply(manifest(&namespace, version));
            let parameters = parameters.clone();
            async move {
                api.patch(NAME, &parameters, &patch).await.unwrap();
            }
        })
        .await;
}

async fn reconcile(secret: Arc<Secret>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let held = secret.data.as_ref().and_then(|data| data.get("token"));
    let held = held.and_then(|held| std::str::from_utf8(&held.0).ok());
    if let Some(version) = held.and_then(|held| held.parse().ok()) {
        write_all(&client, version, "kube-rs").await;
    }
    Ok(Action::await_change())
}

/// What people write who begin with kube-rs: all copies are applied again whenever the Secret changes.
pub async fn controller() {
    let client = Client::try_default().await.unwrap();
    let again =
        |_: Arc<Secret>, _: &kube::Error, _: Arc<Client>| Action::requeue(Duration::from_secs(1));
    let secrets: Api<Secret> = Api::namespaced(client.clone(), HOME);
    Controller::new(secrets, watcher::Config::default())
        .with_config(Config::default().concurrency(1))
        .run(reconcile, again, Arc::new(client))
        .for_each(|_| std::future::ready(()))
        .await;
}

/// Makes the namespaces and the Secret.
async fn fill(client: &Client) {
    let all: Api<Namespace> = Api::all(client.clone());
    for name in namespaces().chain([HOME.to_owned()]) {
        let metadata = ObjectMeta {
            name: Some(name),
            ..ObjectMeta::default()
        };
        let namespace = Namespace {
            metadata,
            ..Namespace::default()
        };
        all.create(&PostParams::default(), &namespace)
            .await
            .unwrap();
    }
    let targets: Vec<String> = namespaces().collect();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            annotations: Some(BTreeMap::from([(TARGETS.to_owned(), targets.join(","))])),
            ..ObjectMeta::default()
        },
        data: Some(data(1)),
        ..Secret::default()
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), HOME);
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
}

/// Starts one that copies a Secret to the namespaces that one of its annotations names.
fn start_copier(plane: &Plane, who: Who) -> Participant {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let command = match who {
        Who::Ordain => {
            let text = format!(
                "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: copies}}\nspec:\n  mode: Enforce\n  match:\n    resources: [{{apiVersion: v1, kind: Secret}}]\n    names: [{NAME}]\n    namespaces: [{HOME}]\n  actions:\n  - forEach: ${{object.metadata.annotations['{TARGETS}'].split(',')}}\n    apply: {{apiVersion: v1, kind: Secret, metadata: {{namespace: '${{item}}', annotations: {{'{TARGETS}': null}}}}}}\n    copyOf: ${{object}}\n  # The Secret changes more often than the breaker takes for no fight.\n  limits: {{perObject: {{changes: 1000, per: 10m}}}}\n"
            );
            std::fs::write(rules.join("rule.yaml"), text).unwrap();
            ordain(&rules)
        }
        Who::KubeRs => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg("copier");
            command
        }
        _ => panic!("{who:?} does not take part"),
    };
    launch(plane, command, folder)
}

/// A Secret in 300 namespaces: from a change of it to the last copy, as an independent watch sees it.
pub async fn copies(options: &Options) {
    println!("a Secret in {COPIES} namespaces: {CHANGES} changes of it\n");
    println!(
        "| round | participant | seconds | CPU s | requests a change | where nothing changed |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut measured = vec![];
    for round in 1..=options.rounds {
        for who in options.participants(&[Who::Ceiling, Who::Ordain, Who::KubeRs], round) {
            // Whose copies they are is remembered on them: each participant gets a server of its own.
            let plane = Plane::start(control_plane::Options {
                audited: control_plane::Audited::EndsOfWrites,
                ..control_plane::Options::default()
            });
            let client = plane.client().await;
            fill(&client).await;
            let mut seen = observe(&client).await;
            let participant = match who {
                Who::Ceiling => None,
                _ => Some(start_copier(&plane, who)),
            };
            if who == Who::Ceiling {
                write_all(&client, 1, "bare").await;
            }
            everywhere(&mut seen, 1).await;
            sleep(Duration::from_secs(2)).await;
            let cpu = |()| participant.as_ref().map_or(f64::NAN, |p| p.cpu());
            let (before, cpu_before) = (requests(&plane), cpu(()));
            let mut took = vec![];
            for version in 2..2 + CHANGES {
                let started = Instant::now();
                match who {
                    Who::Ceiling => write_all(&client, version, "bare").await,
                    _ => change(&client, version, json!({})).await,
                }
                let last = everywhere(&mut seen, version).await;
                took.push(last.duration_since(started).as_secs_f64());
                sleep(Duration::from_secs(1)).await;
            }
            let used = (cpu(()) - cpu_before) / CHANGES as f64;
            let made = (requests(&plane) - before) as f64 / CHANGES as f64;
            // A change that makes no difference to any copy: of an annotation that is not copied.
            let before = requests(&plane);
            change(
                &client,
                1 + CHANGES,
                json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"}),
            )
            .await;
            sleep(Duration::from_secs(2)).await;
            let idle = requests(&plane) - before;
            let seconds = median(took);
            println!(
                "| {round} | {} | {seconds:.3} | {used:.3} | {made:.1} | {idle} |",
                who.name()
            );
            measured.push((who, vec![seconds, used]));
        }
    }
    ratios(&measured, &["seconds", "CPU s"], Who::Ceiling);
    ratios(&measured, &["seconds", "CPU s"], Who::KubeRs);
}
