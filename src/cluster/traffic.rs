//! What goes over the wire, counted where it does: requests by verb and answer, and the life of each watch.

use crate::object::GroupKind;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response, header};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// How a request without an answer is counted in the place of its status code.
pub const NO_ANSWER: u16 = 0;

/// Why a watch had to begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// The server ended it when its time was over: the normal case.
    Ended,
    /// The connection broke.
    Broken,
    /// No sign of life: cut.
    Silent,
    /// Its version is too old: listed again.
    Gone,
    /// The last list is long ago: listed again.
    Due,
    /// A list or watch was answered with an error, or not at all.
    Failed,
    /// RBAC does not allow it.
    Forbidden,
    /// The server does not have the kind.
    NoSuchKind,
}

impl Restart {
    /// All of them, in order.
    pub const ALL: [Restart; 8] = [
        Restart::Ended,
        Restart::Broken,
        Restart::Silent,
        Restart::Gone,
        Restart::Due,
        Restart::Failed,
        Restart::Forbidden,
        Restart::NoSuchKind,
    ];

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Restart::Ended => "Ended",
            Restart::Broken => "Broken",
            Restart::Silent => "Silent",
            Restart::Gone => "Gone",
            Restart::Due => "Due",
            Restart::Failed => "Failed",
            Restart::Forbidden => "Forbidden",
            Restart::NoSuchKind => "NoSuchKind",
        }
    }
}

/// The life of one kind's watch.
#[derive(Debug)]
pub struct Pulse {
    /// Milliseconds since 1970 of the last sign of life.
    alive: AtomicI64,
    bookmarks: AtomicU64,
    restarts: [AtomicU64; Restart::ALL.len()],
}

/// Instead of the moment of the last sign of life.
const RESTING: i64 = i64::MAX;

impl Pulse {
    /// The server said something.
    pub fn beat(&self) {
        self.alive.store(Timestamp::now().as_millisecond(), Relaxed);
    }

    /// There is nothing to watch: no such kind, or none of ours. That is no silence.
    pub fn rest(&self) {
        self.alive.store(RESTING, Relaxed);
    }

    /// The server said how far it has come.
    pub fn bookmark(&self) {
        self.bookmarks.fetch_add(1, Relaxed);
    }

    /// It began, or begins, anew.
    pub fn restarted(&self, why: Restart) {
        self.restarts[why as usize].fetch_add(1, Relaxed);
    }
}

/// The counters, shared by all who send.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    pulses: Mutex<BTreeMap<GroupKind, Arc<Pulse>>>,
}

/// One kind's watch, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchFigures {
    /// The kind.
    pub kind: GroupKind,
    /// Since the last sign of life, bookmarks included; `None`: there is nothing to watch.
    pub age: Option<SignedDuration>,
    /// How far the server said it has come, so often.
    pub bookmarks: u64,
    /// As often as it began anew, by reason.
    pub restarts: [u64; Restart::ALL.len()],
}

/// All of it, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// By verb and status code; [`NO_ANSWER`] where none came.
    pub requests: BTreeMap<(&'static str, u16), u64>,
    /// By kind.
    pub watches: Vec<WatchFigures>,
}

impl Traffic {
    /// The pulse of a kind, begun now if it has none.
    pub fn pulse(&self, kind: &GroupKind) -> Arc<Pulse> {
        let mut pulses = self.pulses.lock();
        let pulse = pulses.entry(kind.clone()).or_insert_with(|| {
            Arc::new(Pulse {
                alive: AtomicI64::new(Timestamp::now().as_millisecond()),
                bookmarks: AtomicU64::new(0),
                restarts: Default::default(),
            })
        });
        Arc::clone(pulse)
    }

    /// Forgets kinds that are not followed any more.
    pub fn retain(&self, followed: impl Fn(&GroupKind) -> bool) {
        self.pulses.lock().retain(|kind, _| followed(kind));
    }

    /// Counts a request; `code`: its answer's, or [`NO_ANSWER`].
    fn asked(&self, verb: &'static str, code: u16) {
        *self.requests.lock().entry((verb, code)).or_default() += 1;
    }

    /// All of it now.
    pub fn figures(&self, now: Timestamp) -> Figures {
        let watches = self.pulses.lock();
        let watches = watches.iter().map(|(kind, pulse)| WatchFigures {
            kind: kind.clone(),
            age: match pulse.alive.load(Relaxed) {
                RESTING => None,
                alive => Some(SignedDuration::from_millis(
                    (now.as_millisecond() - alive).max(0),
                )),
            },
            bookmarks: pulse.bookmarks.load(Relaxed),
            restarts: pulse.restarts.each_ref().map(|n| n.load(Relaxed)),
        });
        Figures {
            requests: self.requests.lock().clone(),
            watches: watches.collect(),
        }
    }
}

/// What Kubernetes calls a request: the verb that RBAC and the server's own metrics know it by.
fn verb<B>(request: &Request<B>) -> &'static str {
    let uri = request.uri();
    match *request.method() {
        Method::GET | Method::HEAD => {
            let query = uri.query().unwrap_or("");
            if query
                .split('&')
                .any(|p| matches!(p, "watch=1" | "watch=true"))
            {
                "watch"
            } else if names_collection(uri.path()) {
                "list"
            } else {
                "get"
            }
        }
        Method::POST => "create",
        Method::PUT => "update",
        Method::DELETE if names_collection(uri.path()) => "deletecollection",
        Method::DELETE => "delete",
        Method::PATCH => {
            let media = request.headers().get(header::CONTENT_TYPE);
            match media {
                Some(media) if media.as_bytes().starts_with(b"application/apply-patch") => "apply",
                _ => "patch",
            }
        }
        _ => "other",
    }
}

/// Whether a path is of all objects of a kind: `/api/v1/pods`, `/apis/apps/v1/namespaces/a/deployments`.
fn names_collection(path: &str) -> bool {
    let mut parts = path.split('/').filter(|p| !p.is_empty());
    let prefix = match parts.next() {
        Some("api") => 1,
        Some("apis") => 2,
        _ => return false,
    };
    let parts: Vec<&str> = parts.skip(prefix).collect();
    match parts[..] {
        ["namespaces", _, _, ..] => parts.len() == 3,
        _ => parts.len() == 1,
    }
}

/// Counts every request of a client.
#[derive(Clone)]
pub struct Counting(pub Arc<Traffic>);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            traffic: Arc::clone(&self.0),
        }
    }
}

/// A client whose requests are counted.
#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    traffic: Arc<Traffic>,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let asked = Asked {
            traffic: Arc::clone(&self.traffic),
            verb: verb(&request),
            code: NO_ANSWER,
        };
        let answer = self.inner.call(request);
        async move {
            let mut asked = asked;
            let answer = answer.await;
            if let Ok(answer) = &answer {
                asked.code = answer.status().as_u16();
            }
            answer
        }
        .boxed()
    }
}

/// A request under way: one that is given up counts as not answered.
struct Asked {
    traffic: Arc<Traffic>,
    verb: &'static str,
    code: u16,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.traffic.asked(self.verb, self.code);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kube::client::Body;

    fn of(method: &str, uri: &str) -> &'static str {
        verb(&Request::builder().method(method).uri(uri).body(()).unwrap())
    }

    #[test]
    fn requests_have_the_verbs_of_kubernetes() {
        for (wanted, method, uri) in [
            ("list", "GET", "/api/v1/pods?limit=500"),
            ("list", "GET", "/api/v1/namespaces"),
            ("list", "GET", "/apis/apps/v1/namespaces/a/deployments"),
            ("watch", "GET", "/api/v1/pods?watch=1&resourceVersion=5"),
            ("get", "GET", "/api/v1/namespaces/a"),
            ("get", "GET", "/apis/apps/v1/namespaces/a/deployments/b"),
            (
                "get",
                "GET",
                "/apis/apps/v1/namespaces/a/deployments/b/scale",
            ),
            ("get", "GET", "/apis"),
            ("get", "GET", "/openapi/v3/api/v1"),
            (
                "patch",
                "PATCH",
                "/api/v1/namespaces/a/pods/b?fieldManager=ordain",
            ),
            (
                "create",
                "POST",
                "/apis/events.k8s.io/v1/namespaces/a/events",
            ),
            (
                "update",
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/b",
            ),
            ("delete", "DELETE", "/api/v1/namespaces/a/pods/b"),
            ("deletecollection", "DELETE", "/api/v1/namespaces/a/pods"),
        ] {
            assert_eq!(of(method, uri), wanted, "{method} {uri}");
        }
        let apply = Request::patch("/api/v1/namespaces/a/pods/b")
            .header(header::CONTENT_TYPE, "application/apply-patch+yaml")
            .body(())
            .unwrap();
        assert_eq!(verb(&apply), "apply");
    }

    #[tokio::test]
    async fn answers_failures_and_requests_given_up_are_counted() {
        let traffic = Arc::new(Traffic::default());
        let inner = tower::service_fn(|request: Request<Body>| async move {
            match request.uri().path() {
                "/api/v1/pods" => Ok(Response::builder().status(410).body(()).unwrap()),
                "/api/v1/nodes" => Err("refused"),
                _ => std::future::pending().await,
            }
        });
        let mut client = Counting(Arc::clone(&traffic)).layer(inner);
        let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        let _ = client.call(get("/api/v1/pods")).await;
        let _ = client.call(get("/api/v1/nodes")).await;
        drop(client.call(get("/api/v1/secrets/a")));
        let counted = traffic.figures(Timestamp::now()).requests;
        let counted: Vec<_> = counted.into_iter().collect();
        assert_eq!(
            counted,
            [(("get", 0), 1), (("list", 0), 1), (("list", 410), 1)]
        );
    }

    #[test]
    fn a_watch_ages_until_it_shows_a_sign_of_life_and_is_forgotten_with_its_kind() {
        let traffic = Traffic::default();
        let kind = GroupKind::new("", "Pod");
        let pulse = traffic.pulse(&kind);
        pulse.alive.store(1_000, Relaxed);
        pulse.restarted(Restart::Gone);
        let now = Timestamp::from_second(31).unwrap();
        let watch = &traffic.figures(now).watches[0];
        assert_eq!(watch.age, Some(SignedDuration::from_secs(30)));
        assert_eq!(watch.restarts[Restart::Gone as usize], 1);
        pulse.rest();
        assert_eq!(traffic.figures(now).watches[0].age, None);
        pulse.beat();
        assert_eq!(
            traffic.figures(now).watches[0].age,
            Some(SignedDuration::ZERO)
        );
        traffic.retain(|_| false);
        assert!(traffic.figures(now).watches.is_empty());
    }
}
