//! The trait [`Cluster`] for a real API server.

use super::configuration::Misconfigured;
use super::connection::{ConnectOptions, Connection};
use super::discovery::Discovery;
use super::lease::{Candidate, Fence, Place, Terms};
use super::state::StateMaps;
use super::traffic::Figures;
use super::warnings::Warnings;
use super::watch::{Follower, WATCH_SECONDS, WATCHES};
use super::wire::Wire;
use super::write_request::request;
use super::{Cluster, Message, Sender, Stream, fault, requests, strategic};
use crate::decide::breaker::managers::ManagedFields;
use crate::decide::{Operation, Write};
use crate::engine::{Fault, Keep, Kept, Lost, Observation, Outcome, WatchedKind};
use crate::object::difference::is_secret;
use crate::object::{GroupKind, Gvk, ObjectKey, Record};
use crate::rule::watch_scope::WatchScope;
use crate::schema::Schema;
use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use http::{Request, StatusCode, header};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// The field manager of composed patches.
pub const FIELD_MANAGER: &str = "ordain";

/// A write that is not answered within this time has an unknown outcome.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks for metadata alone, `managedFields` included.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// The same of whoever can do it.
const METADATA_OR_WHOLE: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// CRDs come in several writes; kinds are asked for again when they have been quiet for this long,
const KINDS_SETTLE: Duration = Duration::from_secs(1);
/// but no later than this after the first,
const KINDS_LATEST: Duration = Duration::from_secs(10);
/// and once more after this: the server's discovery and OpenAPI lag behind its CRDs.
const KINDS_LAG: Duration = Duration::from_secs(5);

/// How often the server's kinds are compared where CRDs are not followed.
const KINDS_COMPARED: Duration = Duration::from_secs(30);

/// When groups that could not be asked are asked again.
const KINDS_MISSING: Duration = Duration::from_secs(60);

/// What changes when kinds come and go. An APIService is there for every group and version, those of CRDs included.
const KINDS_OF_KINDS: [(&str, &str); 2] = [
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("apiregistration.k8s.io/v1", "APIService"),
];

/// A kind as it is followed, and who follows it.
type Watch = (WatchedKind, Stream, JoinHandle<()>);

/// A connected API server.
pub struct Api {
    connection: Connection,
    namespaces: Vec<String>,
    watch_seconds: u64,
    watches: u32,
    discovery: Arc<ArcSwap<Discovery>>,
    /// Nobody has used yet what was found when the connection was made.
    just_found: AtomicBool,
    discovered: Arc<Notify>,
    followers: Mutex<HashMap<String, Watch>>,
    rate: Arc<Rate>,
    warnings: Arc<Warnings>,
    merges: Arc<strategic::Support>,
    frozen: Arc<AtomicBool>,
    /// `None`: there is no election.
    fence: Option<Arc<Fence>>,
    /// `None`: no state is kept.
    state: Option<Arc<StateMaps>>,
    out: Sender,
    kinds: Vec<JoinHandle<()>>,
    /// The next question for groups that did not answer is on its way.
    asking_again: Arc<AtomicBool>,
}

impl Api {
    /// Reads the configuration, asks the server what kinds it has, and begins to follow CustomResourceDefinitions.
    ///
    /// # Errors
    /// No usable configuration, or a server that cannot be reached or refuses discovery.
    pub async fn connect(options: &ConnectOptions, out: Sender) -> anyhow::Result<Self> {
        let connection = Connection::open(options).await?;
        let discovery = Arc::new(ArcSwap::from_pointee(
            Discovery::run(&connection.wire).await?,
        ));
        let discovered = Arc::new(Notify::new());
        let watch_seconds = options.watch_seconds.unwrap_or(WATCH_SECONDS).max(1);
        let watches = options.watches.unwrap_or(WATCHES);
        let mut kinds = vec![];
        if options.namespaces.is_empty() {
            let (sender, changes) = mpsc::channel(16);
            kinds.extend(KINDS_OF_KINDS.map(|(api_version, kind)| {
                let gvk = Gvk::from_api_version(api_version, kind);
                let follower = Follower {
                    stream: Stream::default(),
                    wire: connection.wire.clone(),
                    discovery: Arc::clone(&discovery),
                    discovered: Arc::clone(&discovered),
                    pulse: connection.traffic.pulse(&gvk.group_kind()),
                    kind: WatchedKind {
                        kind: gvk.group_kind(),
                        version: gvk.version,
                        metadata_only: true,
                        scope: WatchScope::default(),
                    },
                    whole: AtomicBool::default(),
                    namespaces: vec![],
                    watch_seconds,
                    watches,
                    out: sender.clone(),
                };
                tokio::spawn(follower.run())
            }));
            kinds.push(tokio::spawn(announce_kinds(changes, out.clone())));
        } else {
            // Rights in some namespaces allow no look at these; discovery is open to everybody.
            let wire = connection.wire.clone();
            let known = Arc::clone(&discovery);
            kinds.push(tokio::spawn(compare_kinds(wire, known, out.clone())));
        }
        Ok(Self {
            connection,
            namespaces: options.namespaces.clone(),
            watch_seconds,
            watches,
            discovery,
            just_found: AtomicBool::new(true),
            discovered,
            followers: Mutex::new(HashMap::new()),
            rate: Arc::new(Rate::new(options.write_rate)),
            warnings: Arc::default(),
            merges: Arc::default(),
            frozen: Arc::default(),
            fence: None,
            state: None,
            out,
            kinds,
            asking_again: Arc::default(),
        })
    }

    /// Whether this process is a Pod of the cluster.
    pub fn in_cluster(&self) -> bool {
        self.connection.in_cluster
    }

    /// Begins to compete for a Lease. From now on nothing is written but while this replica holds it.
    /// On the runtime in whose context this is called, over connections of its own.
    ///
    /// # Errors
    /// The configuration can no longer be used.
    pub fn elect(&mut self, place: Place, terms: Terms) -> Result<Candidate, Misconfigured> {
        let candidate = Candidate::start(&self.connection, place, terms)?;
        self.fence = Some(candidate.fence());
        Ok(candidate)
    }

    /// Keeps the state of a daemon of this name in this namespace from now on, as a writer. Called after [`Api::elect`], whose fence holds for it too.
    pub fn keep_in(&mut self, (namespace, daemon): (&str, &str), writer: &str) {
        let wire = self.connection.wire.clone();
        let place = (namespace.to_owned(), daemon.to_owned());
        let maps = StateMaps::new(wire, place, writer.into(), self.fence.clone());
        self.state = Some(Arc::new(maps));
    }

    /// Groups that could not be asked are asked again after a while: nobody announces that an extension server is back.
    fn ask_again(&self) {
        if self.asking_again.swap(true, Ordering::Relaxed) {
            return;
        }
        let (out, asking) = (self.out.clone(), Arc::clone(&self.asking_again));
        tokio::spawn(async move {
            sleep(KINDS_MISSING).await;
            asking.store(false, Ordering::Relaxed);
            // Closed only when the daemon stops.
            let _ = out.send(Message::KindsChanged).await;
        });
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.kinds.iter().for_each(JoinHandle::abort);
        for (_, (_, _, follower)) in self.followers.lock().drain() {
            follower.abort();
        }
    }
}

/// Says when the set of kinds changes: by asking the server for it again and again.
async fn compare_kinds(wire: Wire, known: Arc<ArcSwap<Discovery>>, out: Sender) {
    loop {
        sleep(KINDS_COMPARED).await;
        let before = known.load_full();
        match before.again(&wire).await {
            // What did not answer is asked again by whoever asked first.
            Ok(found) if found.incomplete || found == *before => {}
            Ok(_) => {
                if out.send(Message::KindsChanged).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::debug!(%error, "the kinds of the cluster cannot be asked for"),
        }
    }
}

/// Says when the set of kinds changes. Where following CRDs and APIServices is forbidden only the log says so, and kinds are only asked for at
/// start.
async fn announce_kinds(mut changes: mpsc::Receiver<Message>, out: Sender) {
    let mut listed: HashSet<GroupKind> = HashSet::new();
    let mut announcements = 0;
    let mut first = Instant::now();
    let mut due = Instant::now();
    loop {
        let message = tokio::select! {
            message = changes.recv() => message,
            () = sleep_until(due), if announcements > 0 => {
                if out.send(Message::KindsChanged).await.is_err() {
                    return;
                }
                announcements -= 1;
                due = Instant::now() + KINDS_LAG;
                continue;
            }
        };
        let observations = match message {
            Some(Message::Observed(observations) | Message::Followed(_, observations)) => {
                observations
            }
            Some(Message::KindsChanged) => continue,
            None => return,
        };
        let mut changed = false;
        for observation in observations {
            match observation {
                Observation::ListDone { kind } => {
                    changed |= !listed.insert(kind);
                }
                Observation::Lost { kind, why } => {
                    let error = lost_text(&why);
                    tracing::warn!(%kind, %error, "it cannot be followed: kinds that come or go later are not noticed");
                }
                Observation::Applied { kind, .. } => changed |= listed.contains(&kind),
                Observation::Deleted { key, .. } => changed |= listed.contains(&key.kind),
                _ => {}
            }
        }
        if changed {
            let now = Instant::now();
            if announcements < 2 {
                first = now;
            }
            announcements = 2;
            due = (now + KINDS_SETTLE).min(first + KINDS_LATEST);
        }
    }
}

impl Cluster for Api {
    fn schema(&self) -> BoxFuture<'_, anyhow::Result<Schema>> {
        Box::pin(async {
            let known = self.discovery.load_full();
            let found = match self.just_found.swap(false, Ordering::Relaxed) {
                true => (*known).clone(),
                false => known.again(&self.connection.wire).await?,
            };
            if found.incomplete {
                self.ask_again();
            }
            let schema = found.schema(&self.connection.wire).await?;
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
        followers.retain(|_, (running, stream, task)| {
            let stays = kinds.contains(running) && !task.is_finished();
            if !stays {
                stream.end();
                task.abort();
            }
            stays
        });
        self.connection.traffic.retain(|followed| {
            kinds.iter().any(|k| k.kind == *followed)
                || KINDS_OF_KINDS
                    .iter()
                    .any(|(_, kind)| *kind == &*followed.kind)
        });
        for kind in kinds {
            followers.entry(name(&kind)).or_insert_with(|| {
                let stream = Stream::default();
                let follower = Follower {
                    stream: stream.clone(),
                    wire: self.connection.wire.clone(),
                    discovery: Arc::clone(&self.discovery),
                    discovered: Arc::clone(&self.discovered),
                    kind: kind.clone(),
                    whole: AtomicBool::default(),
                    namespaces: self.namespaces.clone(),
                    watch_seconds: self.watch_seconds,
                    watches: self.watches,
                    pulse: self.connection.traffic.pulse(&kind.kind),
                    out: self.out.clone(),
                };
                (kind, stream, tokio::spawn(follower.run()))
            });
        }
    }

    fn write(&self, write: Write) -> BoxFuture<'static, Outcome> {
        let (wire, rate, discovery) = (
            self.connection.wire.clone(),
            Arc::clone(&self.rate),
            self.discovery.load_full(),
        );
        let (warnings, frozen) = (Arc::clone(&self.warnings), Arc::clone(&self.frozen));
        let (fence, merges) = (self.fence.clone(), Arc::clone(&self.merges));
        // The answer is compared with what the watch will show.
        let accept = match self.shows_metadata_alone(&write) {
            true => METADATA_OR_WHOLE,
            false => "application/json",
        };
        Box::pin(async move {
            let gvk = Gvk::from_api_version(&write.api_version, &write.object.kind.kind);
            let Some(resource) = discovery.resource(&write.object.kind, &gvk.version) else {
                return Outcome::Failed(Fault::Rejected(format!(
                    "the server has no kind {gvk} now"
                )));
            };
            let kind_path = resource.path(write.object.namespace.as_deref());
            let path = match &write.operation {
                Operation::Event { .. } => kind_path,
                _ => format!("{kind_path}/{}", write.object.name),
            };
            rate.wait().await;
            if frozen.load(Ordering::SeqCst) {
                return Outcome::Failed(Fault::Busy {
                    retry_after: Some(Duration::ZERO),
                    message: "everything was frozen before the request was sent".into(),
                });
            }
            // Last of all: waiting may have taken long.
            let within = match &fence {
                Some(fence) => match fence.admits(std::time::Instant::now()) {
                    Some(within) => within.min(WRITE_TIMEOUT),
                    None => return Outcome::Failed(Fault::Fenced),
                },
                None => WRITE_TIMEOUT,
            };
            match request(&path, &write, accept, merges.is_given()) {
                Ok(sent) => {
                    let is_merged = strategic::is_one(&sent);
                    let unmerged = || {
                        merges.refused();
                        request(&path, &write, accept, false).ok()
                    };
                    let otherwise = || is_merged.then(unmerged).flatten();
                    let told = (&*write.rules, &*warnings);
                    let sent = (sent, otherwise);
                    let outcome = ask(&wire, sent, &gvk, &write.object, told, within).await;
                    match (outcome, &write.operation) {
                        // The answer is a Scale, at the version of the object.
                        (Outcome::Written(scale), Operation::Scale { .. }) => {
                            Outcome::Accepted(scale.meta().resource_version().to_owned())
                        }
                        (Outcome::Written(event), Operation::Event { .. }) => {
                            Outcome::Accepted(event.meta().resource_version().to_owned())
                        }
                        // The answer is a Status: the Pod is on its way out.
                        (Outcome::Written(_), Operation::Evict) => Outcome::Gone,
                        // It was told before: the same Event again is none.
                        (Outcome::Failed(Fault::Stale), Operation::Event { .. }) => {
                            Outcome::Accepted(String::new())
                        }
                        (Outcome::Gone, Operation::Apply { .. } | Operation::Event { .. }) => {
                            Outcome::Failed(Fault::Rejected(match &write.object.namespace {
                                Some(namespace) => format!("there is no namespace {namespace}"),
                                None => "the server does not find it".to_owned(),
                            }))
                        }
                        (outcome, _) => outcome,
                    }
                }
                Err(message) => Outcome::Failed(Fault::Refused(message)),
            }
        })
    }

    fn figures(&self, now: Timestamp) -> Figures {
        self.connection.traffic.figures(now)
    }

    fn recall(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, Fault>> {
        match self.state.clone() {
            Some(state) => Box::pin(async move { state.recall().await }),
            None => Box::pin(async { Ok(vec![]) }),
        }
    }

    fn keep(&self, keep: Keep) -> BoxFuture<'static, Outcome> {
        match self.state.clone() {
            Some(state) => Box::pin(async move { state.keep(keep).await }),
            None => {
                let done = keep
                    .shards
                    .into_iter()
                    .map(|(number, _)| (number, Kept::Done));
                let done = done.collect();
                Box::pin(async { Outcome::Kept(done) })
            }
        }
    }

    fn damaged(&self) -> BoxFuture<'static, Vec<usize>> {
        match self.state.clone() {
            Some(state) => Box::pin(async move { state.damaged().await }),
            None => Box::pin(async { vec![] }),
        }
    }

    fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
    }

    fn read(&self, key: ObjectKey) -> BoxFuture<'static, Outcome> {
        if self.lacks(&key.kind) {
            return Box::pin(async { Outcome::Gone });
        }
        let (wire, path) = (self.connection.wire.clone(), self.path_of(&key));
        let warnings = Arc::clone(&self.warnings);
        Box::pin(async move {
            match path.and_then(|(gvk, path)| Ok((gvk, get(path, "application/json")?))) {
                Ok((gvk, request)) => {
                    let (request, told) = ((request, || None), (&[][..], &*warnings));
                    match ask(&wire, request, &gvk, &key, told, WRITE_TIMEOUT).await {
                        Outcome::Written(record) => Outcome::Read(record),
                        other => other,
                    }
                }
                Err(fault) => Outcome::Failed(fault),
            }
        })
    }

    fn managers(&self, key: ObjectKey) -> BoxFuture<'static, Outcome> {
        let (wire, path) = (self.connection.wire.clone(), self.path_of(&key));
        Box::pin(async move {
            let outcome = match path.and_then(|(_, path)| get(path, METADATA)) {
                Ok(request) => managers(&wire, request).await,
                Err(fault) => Outcome::Failed(fault),
            };
            if let Outcome::Failed(fault) = &outcome {
                tracing::warn!(object = %key, error = ?fault, "who writes its fields cannot be read");
            }
            outcome
        })
    }
}

impl Api {
    /// Whether an object is patched of whose kind the watch shows metadata alone.
    fn shows_metadata_alone(&self, write: &Write) -> bool {
        let patches = matches!(write.operation, Operation::Patch { .. });
        let followers = self.followers.lock();
        let mut kinds = followers.values().map(|(watched, ..)| watched);
        patches && kinds.any(|w| w.metadata_only && w.kind == write.object.kind)
    }

    /// Whether the server, having told all its core kinds, has none of this name: some serve custom resources and nothing else.
    fn lacks(&self, kind: &GroupKind) -> bool {
        let discovery = self.discovery.load();
        kind.group.is_empty()
            && discovery.resource(kind, "v1").is_none()
            && discovery.unasked(kind, "v1").is_none()
    }

    /// Where an object is, at the version at which its kind is followed.
    fn path_of(&self, key: &ObjectKey) -> Result<(Gvk, String), Fault> {
        let version = self
            .followers
            .lock()
            .values()
            .find(|(w, ..)| w.kind == key.kind)
            .map(|(w, ..)| w.version.clone())
            // The core group has one version, and the daemon's own objects are of no rule's kinds.
            .or_else(|| key.kind.group.is_empty().then(|| "v1".into()));
        let discovery = self.discovery.load();
        let resource = version.and_then(|v| discovery.resource(&key.kind, &v));
        let Some(resource) = resource else {
            let message = format!("the server has no kind {} now", key.kind);
            return Err(Fault::Rejected(message));
        };
        let path = format!("{}/{}", resource.path(key.namespace.as_deref()), key.name);
        Ok((resource.gvk.clone(), path))
    }
}

fn get(path: String, accept: &str) -> Result<Request<Vec<u8>>, Fault> {
    let request = Request::get(path).header(header::ACCEPT, accept);
    request
        .body(vec![])
        .map_err(|error| Fault::Refused(error.to_string()))
}

/// Who writes an object's fields. Nothing else of the object is looked at.
async fn managers(wire: &Wire, request: Request<Vec<u8>>) -> Outcome {
    let answer = match tokio::time::timeout(WRITE_TIMEOUT, requests::send(wire, request)).await {
        Err(_) => return Outcome::Failed(Fault::Timeout),
        Ok(Err(error)) => return Outcome::Failed(fault::of_transport(&error)),
        Ok(Ok(answer)) => answer,
    };
    if answer.status.as_u16() == 404 {
        return Outcome::Gone;
    }
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(object) if answer.status.is_success() => {
            Outcome::Managers(ManagedFields::read(&object["metadata"]["managedFields"]))
        }
        _ => Outcome::Failed(Fault::Rejected(format!(
            "the server answered {}",
            answer.status
        ))),
    }
}

/// Sends and reads the answer, `within` a time. Of a write, which is made for `rules`, the outcome is unknown without an answer.
///
/// Where the server does not take what the request is written in it is sent `otherwise`, if it can be.
async fn ask(
    wire: &Wire,
    (request, otherwise): (Request<Vec<u8>>, impl FnOnce() -> Option<Request<Vec<u8>>>),
    gvk: &Gvk,
    key: &ObjectKey,
    (rules, warnings): (&[Arc<str>], &Warnings),
    within: Duration,
) -> Outcome {
    let writes = request.method() != http::Method::GET;
    let deletes = request.method() == http::Method::DELETE;
    let exchange = async {
        let answer = requests::send(wire, request).await?;
        if answer.status == StatusCode::UNSUPPORTED_MEDIA_TYPE
            && let Some(request) = otherwise()
        {
            return requests::send(wire, request).await;
        }
        Ok(answer)
    };
    let answer = match tokio::time::timeout(within, exchange).await {
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
    warnings.tell(&answer.headers, rules, key);
    if answer.status.as_u16() == 404 || (deletes && answer.status.is_success()) {
        return Outcome::Gone;
    }
    if !answer.status.is_success() {
        let sensitive = is_secret(&key.kind);
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
    next: tokio::sync::Mutex<Instant>,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            next: tokio::sync::Mutex::new(Instant::now()),
        }
    }

    async fn wait(&self) {
        if self.per_second == 0 {
            return;
        }
        let due = {
            let mut next = self.next.lock().await;
            let now = Instant::now();
            // Up to a second's worth of tokens is saved.
            let earliest = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
            let due = (*next).max(earliest);
            *next = due + Duration::from_secs(1) / self.per_second;
            due
        };
        sleep_until(due).await;
    }
}

/// Why a kind is lost: for messages.
pub fn lost_text(why: &Lost) -> String {
    match why {
        Lost::NoSuchKind => "the cluster has no such kind".into(),
        Lost::OutOfScope => "cluster-scoped, and only some namespaces are looked at".into(),
        Lost::Forbidden(message) => format!("forbidden: {message}"),
        Lost::Unreachable(message) => format!("unreachable: {message}"),
    }
}
