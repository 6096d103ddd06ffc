//! Following one kind: list in pages, then watch from there, for ever. One task a kind.

use super::discovery::{Discovery, Resource};
use super::frames::{Line, Lines, line, page};
use super::{Message, Sender, fault, requests};
use crate::engine::{Lost, Observation, WatchedKind};
use crate::object::record::Encoder;
use arc_swap::ArcSwap;
use futures::StreamExt;
use futures::stream::SelectAll;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// Objects in a page of a list.
const PAGE: usize = 500;
/// The server ends a watch after this many seconds, and up to half as many more.
const WATCH_SECONDS: u64 = 90;
/// A watch that shows no sign of life, bookmarks included, for this long past its end is cut.
const SILENCE: Duration = Duration::from_secs(15);
/// First and longest pause after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Pause before a kind that is forbidden, or not there, is tried again.
const SLOW_RETRY: Duration = Duration::from_secs(30);

const JSON: &str = "application/json";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// What a follower needs.
pub struct Follower {
    pub client: kube::Client,
    pub discovery: Arc<ArcSwap<Discovery>>,
    /// Wakes followers of kinds that were not there.
    pub discovered: Arc<Notify>,
    pub kind: WatchedKind,
    /// Empty: all.
    pub namespaces: Vec<String>,
    pub out: Sender,
}

/// Why following stopped.
enum Stop {
    /// The version is too old: list again.
    Gone,
    Lost(Lost),
    /// Nobody listens any more.
    Closed,
    /// Try again after a pause, from where we are.
    Failed(String),
}

impl Follower {
    /// Runs until the engine no longer listens or the task is aborted.
    pub async fn run(self) {
        let mut pause = BACKOFF.0;
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
                pause = BACKOFF.0;
            }
            let why = match stop {
                Stop::Closed => return,
                Stop::Gone => {
                    tracing::info!(kind = %self.kind.kind, "the watch is too old to go on: listing again");
                    continue;
                }
                Stop::Lost(why) => why,
                Stop::Failed(message) => Lost::Unreachable(message),
            };
            let slow = !matches!(why, Lost::Unreachable(_));
            if lost.as_ref() != Some(&why) {
                tracing::warn!(kind = %self.kind.kind, why = ?why, "a kind cannot be followed");
                lost = Some(why.clone());
                let observation = Observation::Lost {
                    kind: self.kind.kind.clone(),
                    why,
                };
                if self
                    .out
                    .send(Message::Observed(vec![observation]))
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
                sleep(pause).await;
                pause = (pause * 2).min(BACKOFF.1);
            }
        }
    }

    /// Lists, then watches, until something ends it. `listed` tells whether the list was completed.
    async fn follow(&self, listed: &mut bool) -> Stop {
        let discovery = self.discovery.load_full();
        let Some(resource) = discovery.resource(&self.kind.kind, &self.kind.version) else {
            return Stop::Lost(Lost::NoSuchKind);
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
                return Stop::Lost(Lost::Forbidden(
                    "the kind is cluster-scoped, and only some namespaces are looked at".into(),
                ));
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
        self.watch_all(resource, &scopes, versions, &mut encoder)
            .await
    }

    async fn send(&self, observations: Vec<Observation>) -> bool {
        observations.is_empty() || self.out.send(Message::Observed(observations)).await.is_ok()
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
            let request = Request::get(format!("{path}?limit={PAGE}{more}"))
                .header(header::ACCEPT, accept)
                .body(vec![]);
            let request = request.map_err(|e| Stop::Failed(e.to_string()))?;
            let answer = timeout(
                requests::READ_TIMEOUT,
                requests::send(&self.client, request),
            )
            .await
            .map_err(|_| Stop::Failed("a list is not answered".into()))?
            .map_err(|e| Stop::Failed(fault::transport_message(&e)))?;
            if !answer.status.is_success() {
                return Err(self
                    .refused(answer.status, &answer.headers, &answer.body)
                    .await);
            }
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
            (
                _,
                crate::engine::Fault::Forbidden(message) | crate::engine::Fault::Rejected(message),
            ) if status.as_u16() == 403 => Stop::Lost(Lost::Forbidden(message)),
            (
                _,
                crate::engine::Fault::Busy {
                    retry_after,
                    message,
                },
            ) => {
                if let Some(pause) = retry_after {
                    sleep(pause.min(SLOW_RETRY)).await;
                }
                Stop::Failed(message)
            }
            (_, other) => Stop::Failed(format!("{other:?}")),
        }
    }

    /// Watches all scopes; one that ends is opened again from its last version.
    async fn watch_all(
        &self,
        resource: &Resource,
        scopes: &[Option<&str>],
        mut versions: Vec<String>,
        encoder: &mut Encoder,
    ) -> Stop {
        let kind = &self.kind.kind;
        let mut streams = SelectAll::new();
        for at in 0..scopes.len() {
            match self.open(resource, scopes[at], &versions[at]).await {
                Ok(body) => streams.push(numbered(at, body)),
                Err(stop) => return stop,
            }
        }
        let mut lines: Vec<Lines> = scopes.iter().map(|_| Lines::default()).collect();
        let mut failures = 0u32;
        loop {
            let silent = Duration::from_secs(WATCH_SECONDS * 3 / 2) + SILENCE;
            let (at, frame) = match timeout(silent, streams.next()).await {
                Ok(Some(next)) => next,
                Ok(None) => return Stop::Failed("all watches ended".into()),
                Err(_) => return Stop::Failed("the watch shows no sign of life".into()),
            };
            if let Some(bytes) = frame {
                let mut batch = vec![];
                let mut stop = None;
                lines[at].push(&bytes, |text| {
                    match line(text, &resource.gvk, kind, encoder) {
                        Line::Event(observation, version) => {
                            batch.push(observation);
                            versions[at] = version;
                        }
                        Line::Bookmark(version) => versions[at] = version,
                        Line::Error { code: 410, .. } => stop = Some(Stop::Gone),
                        Line::Error { code, message } => {
                            stop = Some(Stop::Failed(format!(
                                "the watch ended with {code}: {message}"
                            )))
                        }
                        Line::Undecodable(reason) => batch.push(Observation::Undecodable {
                            kind: kind.clone(),
                            reason,
                        }),
                    }
                });
                failures = 0;
                if !self.send(batch).await {
                    return Stop::Closed;
                }
                if let Some(stop) = stop {
                    return stop;
                }
                continue;
            }
            // The stream ended: go on from where it was. A server that ends watches at once is not asked in a tight loop.
            lines[at] = Lines::default();
            if failures > 0 {
                sleep((BACKOFF.0 * 2u32.pow(failures.min(6))).min(BACKOFF.1)).await;
            }
            failures += 1;
            match self.open(resource, scopes[at], &versions[at]).await {
                Ok(body) => streams.push(numbered(at, body)),
                Err(Stop::Failed(message)) => {
                    tracing::info!(%kind, message, "a watch cannot be opened again yet");
                    streams.push(numbered(at, None));
                }
                Err(stop) => return stop,
            }
        }
    }

    async fn open(
        &self,
        resource: &Resource,
        scope: Option<&str>,
        version: &str,
    ) -> Result<Option<Body>, Stop> {
        // Spread, so that a thousand watches do not end together; the address of this follower is as good as a random number.
        let jitter = (std::ptr::from_ref(self) as usize as u64 >> 6) % (WATCH_SECONDS / 2);
        let path = format!(
            "{}?watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}",
            resource.path(scope),
            encoded(version),
            WATCH_SECONDS + jitter
        );
        let accept = if self.kind.metadata_only {
            METADATA
        } else {
            JSON
        };
        let request = Request::get(path)
            .header(header::ACCEPT, accept)
            .header(header::ACCEPT_ENCODING, "identity")
            .body(Body::empty());
        let request = request.map_err(|e| Stop::Failed(e.to_string()))?;
        let response = timeout(requests::READ_TIMEOUT, self.client.send(request))
            .await
            .map_err(|_| Stop::Failed("a watch is not answered".into()))?
            .map_err(|e| Stop::Failed(fault::transport_message(&e)))?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            return Ok(Some(body));
        }
        let body = match timeout(requests::READ_TIMEOUT, body.collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            _ => bytes::Bytes::new(),
        };
        Err(self.refused(parts.status, &parts.headers, &body).await)
    }
}

/// The data of a body, each with the number of its scope; `None` when it ends, however it ends.
fn numbered(
    at: usize,
    body: Option<Body>,
) -> futures::stream::BoxStream<'static, (usize, Option<bytes::Bytes>)> {
    let Some(body) = body else {
        return futures::stream::once(async move { (at, None) }).boxed();
    };
    body.into_data_stream()
        .map(|frame| frame.ok())
        .take_while(|frame| futures::future::ready(frame.is_some()))
        .chain(futures::stream::once(async { None }))
        .map(move |frame| (at, frame))
        .boxed()
}

/// A value of a query.
fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
