//! The trait [`Cluster`] for a real API server.

use super::connection::{ConnectOptions, Connection};
use super::discovery::Discovery;
use super::watch::Follower;
use super::{Cluster, Message, Sender, fault, requests};
use crate::decide::{Operation, Write};
use crate::engine::{Fault, Lost, Observation, Outcome, WatchedKind};
use crate::object::{Gvk, ObjectKey, Record};
use crate::rule::Propagation;
use crate::schema::Schema;
use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use http::{Request, header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// The field manager of composed patches.
pub const FIELD_MANAGER: &str = "ordain";

/// A write that is not answered within this time has an unknown outcome.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// CRDs come in several writes; kinds are asked for again when they have been quiet for this long.
const KINDS_SETTLE: Duration = Duration::from_secs(1);

/// A connected API server.
pub struct Api {
    connection: Connection,
    namespaces: Vec<String>,
    discovery: Arc<ArcSwap<Discovery>>,
    discovered: Arc<Notify>,
    followers: Mutex<HashMap<String, (WatchedKind, JoinHandle<()>)>>,
    rate: Arc<Rate>,
    out: Sender,
    kinds: JoinHandle<()>,
}

impl Api {
    /// Reads the configuration, asks the server what kinds it has, and begins to follow CustomResourceDefinitions.
    ///
    /// # Errors
    /// No usable configuration, or a server that cannot be reached or refuses discovery.
    pub async fn connect(options: &ConnectOptions, out: Sender) -> anyhow::Result<Self> {
        let connection = Connection::open(options).await?;
        let discovery = Arc::new(ArcSwap::from_pointee(
            Discovery::run(&connection.watches).await?,
        ));
        let discovered = Arc::new(Notify::new());
        let kinds = tokio::spawn(follow_kinds(
            connection.watches.clone(),
            Arc::clone(&discovery),
            out.clone(),
        ));
        Ok(Self {
            connection,
            namespaces: options.namespaces.clone(),
            discovery,
            discovered,
            followers: Mutex::new(HashMap::new()),
            rate: Arc::new(Rate::new(options.write_rate)),
            out,
            kinds,
        })
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.kinds.abort();
        for (_, (_, follower)) in self.followers.lock().drain() {
            follower.abort();
        }
    }
}

/// Says when the set of kinds changes: CRDs are watched as metadata; where that is forbidden nothing is said, and kinds are only asked for at start.
async fn follow_kinds(client: kube::Client, discovery: Arc<ArcSwap<Discovery>>, out: Sender) {
    let (sender, mut changes) = mpsc::channel(16);
    let kind = Gvk::from_api_version("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let follower = Follower {
        client,
        discovery,
        discovered: Arc::new(Notify::new()),
        kind: WatchedKind {
            kind: kind.group_kind(),
            version: kind.version.clone(),
            metadata_only: true,
        },
        namespaces: vec![],
        out: sender,
    };
    let watch = tokio::spawn(follower.run());
    let mut listed = false;
    while let Some(message) = changes.recv().await {
        let Message::Observed(observations) = message else {
            continue;
        };
        let changed = listed
            && observations
                .iter()
                .any(|o| !matches!(o, Observation::Lost { .. }));
        listed |= observations
            .iter()
            .any(|o| matches!(o, Observation::ListDone { .. }));
        if changed {
            while tokio::time::timeout(KINDS_SETTLE, changes.recv())
                .await
                .is_ok_and(|m| m.is_some())
            {}
            if out.send(Message::KindsChanged).await.is_err() {
                break;
            }
        }
    }
    watch.abort();
}

impl Cluster for Api {
    fn schema(&self) -> BoxFuture<'_, anyhow::Result<Schema>> {
        Box::pin(async {
            let found = Discovery::run(&self.connection.watches).await?;
            let schema = found.schema(&self.connection.watches).await?;
            if **self.discovery.load() != found {
                self.discovery.store(Arc::new(found));
            }
            self.discovered.notify_waiters();
            Ok(schema)
        })
    }

    fn follow(&self, kinds: Vec<WatchedKind>) {
        let mut followers = self.followers.lock();
        let name = |k: &WatchedKind| k.kind.to_string();
        followers.retain(|_, (running, task)| {
            let stays = kinds.contains(running) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for kind in kinds {
            followers.entry(name(&kind)).or_insert_with(|| {
                let follower = Follower {
                    client: self.connection.watches.clone(),
                    discovery: Arc::clone(&self.discovery),
                    discovered: Arc::clone(&self.discovered),
                    kind: kind.clone(),
                    namespaces: self.namespaces.clone(),
                    out: self.out.clone(),
                };
                (kind, tokio::spawn(follower.run()))
            });
        }
    }

    fn write(&self, write: Write) -> BoxFuture<'static, Outcome> {
        let (client, rate, discovery) = (
            self.connection.writes.clone(),
            Arc::clone(&self.rate),
            self.discovery.load_full(),
        );
        Box::pin(async move {
            let gvk = Gvk::from_api_version(&write.api_version, &write.object.kind.kind);
            let Some(resource) = discovery.resource(&write.object.kind, &gvk.version) else {
                return Outcome::Failed(Fault::Rejected(format!(
                    "the server has no kind {gvk} now"
                )));
            };
            let path = format!(
                "{}/{}",
                resource.path(write.object.namespace.as_deref()),
                write.object.name
            );
            rate.wait().await;
            match request(&path, &write) {
                Ok(request) => ask(&client, request, &gvk, &write.object, true).await,
                Err(message) => Outcome::Failed(Fault::Refused(message)),
            }
        })
    }

    fn read(&self, key: ObjectKey) -> BoxFuture<'static, Outcome> {
        let (client, discovery) = (self.connection.writes.clone(), self.discovery.load_full());
        let version = self
            .followers
            .lock()
            .values()
            .find(|(w, _)| w.kind == key.kind)
            .map(|(w, _)| w.version.clone());
        Box::pin(async move {
            let Some(resource) = version.and_then(|v| discovery.resource(&key.kind, &v)) else {
                return Outcome::Failed(Fault::Rejected(format!(
                    "the server has no kind {} now",
                    key.kind
                )));
            };
            let path = format!("{}/{}", resource.path(key.namespace.as_deref()), key.name);
            match Request::get(path)
                .header(header::ACCEPT, "application/json")
                .body(vec![])
            {
                Ok(request) => match ask(&client, request, &resource.gvk, &key, false).await {
                    Outcome::Written(record) => Outcome::Read(record),
                    other => other,
                },
                Err(error) => Outcome::Failed(Fault::Refused(error.to_string())),
            }
        })
    }
}

/// The HTTP request of a write.
fn request(path: &str, write: &Write) -> Result<Request<Vec<u8>>, String> {
    let (request, body) = match &write.operation {
        Operation::Patch { status, operations } => {
            let endpoint = if *status {
                format!("{path}/status")
            } else {
                path.to_owned()
            };
            let request = Request::patch(format!(
                "{endpoint}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict"
            ))
            .header(header::CONTENT_TYPE, "application/json-patch+json");
            (request, serde_json::to_vec(operations))
        }
        Operation::Delete {
            propagation,
            grace_period_seconds,
        } => {
            let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions",
                "preconditions": {"uid": write.uid, "resourceVersion": write.resource_version}});
            if let Some(propagation) = propagation {
                options["propagationPolicy"] = Value::from(match propagation {
                    Propagation::Background => "Background",
                    Propagation::Foreground => "Foreground",
                    Propagation::Orphan => "Orphan",
                });
            }
            if let Some(seconds) = grace_period_seconds {
                options["gracePeriodSeconds"] = Value::from(*seconds);
            }
            (
                Request::delete(path).header(header::CONTENT_TYPE, "application/json"),
                serde_json::to_vec(&options),
            )
        }
    };
    let body = body.map_err(|e| e.to_string())?;
    request
        .header(header::ACCEPT, "application/json")
        .body(body)
        .map_err(|e| e.to_string())
}

/// Sends and reads the answer. `writes`: without an answer the outcome is unknown.
async fn ask(
    client: &kube::Client,
    request: Request<Vec<u8>>,
    gvk: &Gvk,
    key: &ObjectKey,
    writes: bool,
) -> Outcome {
    let deletes = request.method() == http::Method::DELETE;
    let answer = match tokio::time::timeout(WRITE_TIMEOUT, requests::send(client, request)).await {
        Err(_) => return Outcome::Failed(Fault::Timeout),
        Ok(Err(error)) => {
            let fault = fault::of_transport(&error);
            // A connection that was never made has written nothing; one that broke may have.
            let never_sent = fault::never_sent(&error);
            return Outcome::Failed(if writes && !never_sent {
                Fault::Timeout
            } else {
                fault
            });
        }
        Ok(Ok(answer)) => answer,
    };
    for warning in answer.headers.get_all("warning") {
        tracing::debug!(object = %key, warning = warning.to_str().unwrap_or(""), "the server warns");
    }
    if answer.status.as_u16() == 404 || (deletes && answer.status.is_success()) {
        return Outcome::Gone;
    }
    if !answer.status.is_success() {
        let sensitive = &*key.kind.kind == "Secret" && key.kind.group.is_empty();
        return Outcome::Failed(fault::of_answer(
            answer.status,
            &answer.headers,
            &answer.body,
            sensitive,
        ));
    }
    match Record::from_json(&answer.body, Some(gvk)) {
        Ok(record) => Outcome::Written(record),
        // Done, but the answer cannot be read: ask what there is now.
        Err(_) => Outcome::Failed(Fault::Timeout),
    }
}

/// At most so many writes a second, with a burst of as many: a token bucket.
struct Rate {
    per_second: u32,
    /// When the next token is due if none is saved.
    next: tokio::sync::Mutex<tokio::time::Instant>,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            next: tokio::sync::Mutex::new(tokio::time::Instant::now()),
        }
    }

    async fn wait(&self) {
        if self.per_second == 0 {
            return;
        }
        let due = {
            let mut next = self.next.lock().await;
            let now = tokio::time::Instant::now();
            // Up to a second's worth of tokens is saved.
            let earliest = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
            let due = (*next).max(earliest);
            *next = due + Duration::from_secs(1) / self.per_second;
            due
        };
        tokio::time::sleep_until(due).await;
    }
}

/// The kind was lost because nobody may follow it: for messages.
pub fn lost_text(why: &Lost) -> String {
    match why {
        Lost::NoSuchKind => "the cluster has no such kind".into(),
        Lost::Forbidden(message) => format!("forbidden: {message}"),
        Lost::Unreachable(message) => format!("unreachable: {message}"),
    }
}
