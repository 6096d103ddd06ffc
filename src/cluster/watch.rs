//! Following one kind: list in pages, then watch from there, for ever. One task a kind.

use super::discovery::{Discovery, Resource};
use super::frames::{Line, Lines, line, page};
use super::pause::{BACKOFF, paused, random};
use super::traffic::{Pulse, Restart};
use super::wire::{Flow, Wire};
use super::{Message, Sender, Stream, fault, requests, rewound};
use crate::engine::{Fault, Lost, Observation, WatchedKind};
use crate::object::Gvk;
use crate::object::record::Encoder;
use arc_swap::ArcSwap;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Objects in a page of a list.
const PAGE: usize = 500;
/// The server ends a watch after this many seconds, and up to a third as many more, unless told otherwise.
pub const WATCH_SECONDS: u64 = 90;
/// A watch that has ended this often gives way to a new list, which catches what it may have missed: after an hour or so.
pub const WATCHES: u32 = 32;
/// A watch that shows no sign of life, bookmarks included, for this long past its end is cut.
const SILENCE: Duration = Duration::from_secs(15);
/// A watch, or a list and its watch, that lasts no longer than this did not work.
const AT_ONCE: Duration = Duration::from_secs(1);
/// A watch that cannot be opened again this often in a row gives way to a new list; with the pauses, after about half a minute.
const REOPENED: u32 = 6;
/// Pause before a kind that is forbidden, or not there, is tried again.
const SLOW_RETRY: Duration = Duration::from_secs(30);

const JSON: &str = "application/json";
pub(super) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// What a follower needs.
pub struct Follower {
    pub stream: Stream,
    pub wire: Wire,
    pub discovery: Arc<ArcSwap<Discovery>>,
    /// Wakes followers of kinds that were not there.
    pub discovered: Arc<Notify>,
    pub kind: WatchedKind,
    /// The server does not take the selector of the kind's scope: everything is asked for, and what lies outside is passed over.
    pub whole: AtomicBool,
    /// Empty: all.
    pub namespaces: Vec<String>,
    /// See [`WATCH_SECONDS`].
    pub watch_seconds: u64,
    /// See [`WATCHES`].
    pub watches: u32,
    /// Counted here.
    pub pulse: Arc<Pulse>,
    pub out: Sender,
}

/// Why following stopped.
enum Stop {
    /// The version is too old: list again.
    Gone,
    /// The server's store is not as far as it was: list again.
    Rewound,
    /// The last list is long ago.
    Due,
    Lost(Lost),
    /// Nobody listens any more.
    Closed,
    /// Try again after a pause, from where we are.
    Failed(String),
    /// The same, of a server that said nothing: another one may answer the next time.
    Unanswered(String),
}

impl Follower {
    /// Runs until the engine no longer listens or the task is aborted.
    pub async fn run(self) {
        let mut failures = 0;
        let mut lost: Option<Lost> = None;
        loop {
            let started = Instant::now();
            let mut listed = false;
            let stop = self.follow(&mut listed).await;
            // A list clears what was said before it; the pause starts small again only after a while that went well.
            if listed {
                lost = None;
            }
            if listed && started.elapsed() > BACKOFF.1 {
                failures = 0;
            }
            let why = match stop {
                Stop::Closed => return,
                Stop::Gone => {
                    self.pulse.restarted(Restart::Gone);
                    tracing::info!(kind = %self.kind.kind, "the watch is too old to go on: listing again");
                    if started.elapsed() < AT_ONCE {
                        failures += 1;
                        sleep(paused(failures)).await;
                    }
                    continue;
                }
                Stop::Rewound => {
                    self.pulse.restarted(Restart::Gone);
                    tracing::warn!(kind = %self.kind.kind, "the server's store has gone back behind what was seen of it (a backup was restored?): listing again");
                    continue;
                }
                Stop::Due => {
                    self.pulse.restarted(Restart::Due);
                    continue;
                }
                Stop::Lost(why) => why,
                Stop::Failed(message) | Stop::Unanswered(message) => Lost::Unreachable(message),
            };
            match why {
                Lost::NoSuchKind => {
                    self.pulse.restarted(Restart::NoSuchKind);
                    self.pulse.rest();
                }
                // It was not begun.
                Lost::OutOfScope => self.pulse.rest(),
                Lost::Forbidden(_) => self.pulse.restarted(Restart::Forbidden),
                Lost::Unreachable(_) => self.pulse.restarted(Restart::Failed),
            }
            let slow = !matches!(why, Lost::Unreachable(_));
            if lost.as_ref() != Some(&why) {
                tracing::debug!(kind = %self.kind.kind, why = ?why, "a kind cannot be followed");
                lost = Some(why.clone());
                let observation = Observation::Lost {
                    kind: self.kind.kind.clone(),
                    why,
                };
                if self
                    .out
                    .send(Message::Followed(self.stream.clone(), vec![observation]))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            if slow {
                // A kind that appears is announced; rights that are granted are not.
                let _ = timeout(SLOW_RETRY, self.discovered.notified()).await;
            } else {
                failures += 1;
                sleep(paused(failures)).await;
            }
        }
    }

    /// Lists, then watches, until something ends it. `listed` tells whether the list was completed.
    async fn follow(&self, listed: &mut bool) -> Stop {
        let discovery = self.discovery.load_full();
        let Some(resource) = discovery.resource(&self.kind.kind, &self.kind.version) else {
            return match discovery.unasked(&self.kind.kind, &self.kind.version) {
                Some(why) => Stop::Failed(format!("its API group cannot be discovered: {why}")),
                None => Stop::Lost(Lost::NoSuchKind),
            };
        };
        if !resource.listable {
            return Stop::Lost(Lost::Forbidden(
                "the server cannot list and watch this kind".into(),
            ));
        }
        let scopes: Vec<Option<&str>> = match (self.namespaces.is_empty(), resource.namespaced) {
            (true, _) => vec![None],
            (false, true) => self.namespaces.iter().map(|n| Some(n.as_str())).collect(),
            (false, false) => {
                return Stop::Lost(Lost::OutOfScope);
            }
        };
        let mut encoder = Encoder::default();
        if !self
            .send(vec![Observation::ListStarted {
                kind: self.kind.kind.clone(),
            }])
            .await
        {
            return Stop::Closed;
        }
        let mut versions = vec![];
        for scope in &scopes {
            match self.list(resource, *scope, &mut encoder).await {
                Ok(version) => versions.push(version),
                Err(stop) => return stop,
            }
        }
        if !self
            .send(vec![Observation::ListDone {
                kind: self.kind.kind.clone(),
            }])
            .await
        {
            return Stop::Closed;
        }
        *listed = true;
        self.watch_all(resource, &scopes, versions).await
    }

    async fn send(&self, observations: Vec<Observation>) -> bool {
        observations.is_empty()
            || self
                .out
                .send(Message::Followed(self.stream.clone(), observations))
                .await
                .is_ok()
    }

    /// All pages of one scope; answers the version of the list.
    async fn list(
        &self,
        resource: &Resource,
        scope: Option<&str>,
        encoder: &mut Encoder,
    ) -> Result<String, Stop> {
        let path = resource.path(scope);
        let accept = if self.kind.metadata_only {
            METADATA_LIST
        } else {
            JSON
        };
        let mut next = String::new();
        loop {
            let more = if next.is_empty() {
                String::new()
            } else {
                format!("&continue={}", encoded(&next))
            };
            let scoped = self.selectors();
            let request = Request::get(format!("{path}?limit={PAGE}{scoped}{more}"))
                .header(header::ACCEPT, accept)
                .body(vec![]);
            let request = request.map_err(|e| Stop::Failed(e.to_string()))?;
            let answer = timeout(requests::READ_TIMEOUT, requests::send(&self.wire, request))
                .await
                .map_err(|_| Stop::Failed("a list is not answered".into()))?
                .map_err(|e| Stop::Failed(fault::transport_message(&e)))?;
            if answer.status == StatusCode::BAD_REQUEST && !scoped.is_empty() {
                tracing::info!(kind = %self.kind.kind, selector = %self.kind.scope, "the server does not take the selector: everything is listed");
                self.whole.store(true, Relaxed);
                next.clear();
                continue;
            }
            if !answer.status.is_success() {
                return Err(self
                    .refused(answer.status, &answer.headers, &answer.body)
                    .await);
            }
            self.pulse.beat();
            let page = page(&answer.body, &resource.gvk, encoder).map_err(Stop::Failed)?;
            let kind = &self.kind.kind;
            let mut observations: Vec<Observation> = page
                .records
                .into_iter()
                .map(|record| Observation::Applied {
                    kind: kind.clone(),
                    record,
                })
                .collect();
            observations.extend(page.undecodable.into_iter().map(|reason| {
                Observation::Undecodable {
                    kind: kind.clone(),
                    reason,
                }
            }));
            if !self.send(observations).await {
                return Err(Stop::Closed);
            }
            next = page.next;
            if next.is_empty() {
                return Ok(page.resource_version);
            }
        }
    }

    /// What an answer that is not 2xx means for a list or a watch.
    async fn refused(&self, status: StatusCode, headers: &http::HeaderMap, body: &[u8]) -> Stop {
        match (
            status.as_u16(),
            fault::of_answer(status, headers, body, false),
        ) {
            (404, _) => Stop::Lost(Lost::NoSuchKind),
            (410, _) => Stop::Gone,
            (403, Fault::Forbidden(message) | Fault::Rejected(message)) => {
                Stop::Lost(Lost::Forbidden(message))
            }
            (
                _,
                Fault::Busy {
                    retry_after,
                    message,
                },
            ) => {
                if let Some(pause) = retry_after {
                    sleep(pause.min(SLOW_RETRY)).await;
                }
                Stop::Failed(message)
            }
            (
                _,
                Fault::Refused(message) | Fault::Rejected(message) | Fault::Unreachable(message),
            ) => Stop::Failed(message),
            _ => Stop::Failed(format!("the server answered {status}")),
        }
    }

    /// Watches all scopes at once, until one of them needs a new list.
    async fn watch_all(
        &self,
        resource: &Resource,
        scopes: &[Option<&str>],
        versions: Vec<String>,
    ) -> Stop {
        let mut watches: FuturesUnordered<_> = scopes
            .iter()
            .zip(versions)
            .map(|(scope, version)| self.watch(resource, *scope, version))
            .collect();
        match watches.next().await {
            Some(stop) => stop,
            None => Stop::Failed("there is nothing to watch".into()),
        }
    }

    /// Watches one scope; a watch that ends is opened again from its last version.
    async fn watch(&self, resource: &Resource, scope: Option<&str>, mut version: String) -> Stop {
        let mut encoder = Encoder::default();
        let mut failures = 0;
        let mut left = self.watches.max(1);
        let mut doubted = false;
        loop {
            if doubted {
                match self.is_rewound(resource, scope, &version).await {
                    Some(true) => return Stop::Rewound,
                    Some(false) => doubted = false,
                    None => {}
                }
            }
            let opened = Instant::now();
            // Spread, so that a thousand watches do not end together.
            let seconds = self.watch_seconds + random() % (self.watch_seconds / 3).max(1);
            let failure = match self.open(resource, scope, &version, seconds).await {
                Ok(body) => {
                    let ends = opened + Duration::from_secs(seconds);
                    match self
                        .read(body, &resource.gvk, &mut version, &mut encoder, ends)
                        .await
                    {
                        Ok((ended, told)) => {
                            let meant = Duration::from_secs(seconds);
                            doubted |= rewound::doubted(ended, told, opened.elapsed(), meant);
                            left -= 1;
                            if left == 0 {
                                return Stop::Due;
                            }
                            self.pulse.restarted(ended);
                            None
                        }
                        Err(stop) => return stop,
                    }
                }
                Err(Stop::Failed(message)) => Some(message),
                Err(Stop::Unanswered(message)) => {
                    doubted = true;
                    Some(message)
                }
                Err(stop) => return stop,
            };
            // A server that ends watches at once is not asked in a tight loop, and one that goes on refusing is asked for a list.
            let failure = match failure {
                None if opened.elapsed() > AT_ONCE => {
                    failures = 0;
                    continue;
                }
                None => "the watch ended at once".to_owned(),
                Some(message) => message,
            };
            failures += 1;
            if failures > REOPENED {
                return Stop::Failed(failure);
            }
            self.pulse.restarted(Restart::Failed);
            tracing::info!(kind = %self.kind.kind, failure, "a watch cannot be opened again yet");
            sleep(paused(failures)).await;
        }
    }

    /// Passes on what a watch says until it ends, however it ends. And whether it said anything.
    async fn read(
        &self,
        body: Flow,
        gvk: &Gvk,
        version: &mut String,
        encoder: &mut Encoder,
        ends: Instant,
    ) -> Result<(Restart, bool), Stop> {
        let kind = &self.kind.kind;
        let mut told = false;
        let mut frames = body.into_data_stream();
        let mut lines = Lines::default();
        loop {
            let cut = ends.max(Instant::now()) + SILENCE;
            let frame = match timeout_at(cut, frames.next()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => return Ok((Restart::Ended, told)),
                Ok(Some(Err(error))) => {
                    // Nothing is lost: the next one goes on from the last version. Who sees many looks at what lies between.
                    let error = fault::transport_message(&error);
                    tracing::info!(%kind, error, "a watch was cut: it goes on from where it was");
                    return Ok((Restart::Broken, told));
                }
                Err(_) => {
                    tracing::warn!(%kind, "a watch shows no sign of life: cut");
                    return Ok((Restart::Silent, told));
                }
            };
            self.pulse.beat();
            told = true;
            let mut batch = vec![];
            let mut stop = None;
            let undecodable = |reason| Observation::Undecodable {
                kind: kind.clone(),
                reason,
            };
            let too_long = lines.push(&frame, |text| {
                match line(text, gvk, kind, encoder, version) {
                    Line::Event(observation) => batch.push(observation),
                    Line::Bookmark => self.pulse.bookmark(),
                    Line::Error { code: 410, .. } => stop = Some(Stop::Gone),
                    Line::Error { code, message } => {
                        stop = Some(Stop::Failed(format!(
                            "the watch ended with {code}: {message}"
                        )));
                    }
                    Line::Undecodable(reason) => batch.push(undecodable(reason)),
                }
            });
            if too_long > 0 {
                batch.push(undecodable("a watch event is too long".into()));
            }
            if !self.send(batch).await {
                return Err(Stop::Closed);
            }
            if let Some(stop) = stop {
                return Err(stop);
            }
        }
    }

    /// What of the kind is asked for, as parameters of a query.
    pub(super) fn selectors(&self) -> String {
        if self.whole.load(Relaxed) {
            return String::new();
        }
        let scope = &self.kind.scope;
        let parameters = [
            ("labelSelector", scope.label_selector()),
            ("fieldSelector", scope.field_selector()),
        ];
        let asked = parameters.iter().filter(|(_, text)| !text.is_empty());
        asked
            .map(|(name, text)| format!("&{name}={}", encoded(text)))
            .collect()
    }

    async fn open(
        &self,
        resource: &Resource,
        scope: Option<&str>,
        version: &str,
        seconds: u64,
    ) -> Result<Flow, Stop> {
        let path = format!(
            "{}?watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={seconds}{}",
            resource.path(scope),
            encoded(version),
            self.selectors(),
        );
        let accept = if self.kind.metadata_only {
            METADATA
        } else {
            JSON
        };
        let request = Request::get(path)
            .header(header::ACCEPT, accept)
            .header(header::ACCEPT_ENCODING, "identity")
            .body(vec![]);
        let request = request.map_err(|e| Stop::Failed(e.to_string()))?;
        let response = timeout(requests::READ_TIMEOUT, self.wire.open(request))
            .await
            .map_err(|_| Stop::Unanswered("a watch is not answered".into()))?
            .map_err(|e| Stop::Unanswered(fault::transport_message(&e)))?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            self.pulse.beat();
            return Ok(body);
        }
        let body = match timeout(requests::READ_TIMEOUT, body.collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            _ => bytes::Bytes::new(),
        };
        Err(self.refused(parts.status, &parts.headers, &body).await)
    }
}

/// A value of a query.
fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
