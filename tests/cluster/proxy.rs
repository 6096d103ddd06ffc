//! What stands between Ordain and the API server in tests of faults: a proxy that delays, holds, cuts and refuses.
//!
//! Plain HTTP in front, so that a kubeconfig needs only its address; behind it the administrator's client.

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Watch,
    /// A list or a GET of one object, or discovery.
    Read,
    Write,
}

/// A refusal that stands until its count is used up.
struct Refusal {
    purpose: Purpose,
    path_ends_with: String,
    times: usize,
    status: u16,
    retry_after: Option<u64>,
}

struct Faults {
    /// Milliseconds by which everything that watches say is late.
    delay: AtomicU64,
    /// Watches opened before this number was raised say nothing any more, and stay open.
    stalled: watch::Sender<u64>,
    /// Watches opened before this number was raised are cut.
    cut: watch::Sender<u64>,
    /// While true, watches are passed on only once it is false.
    held: watch::Sender<bool>,
    refusals: Mutex<Vec<Refusal>>,
    /// Answers of so many writes are lost: the server acts, the client is cut.
    lose: AtomicU64,
    /// But not of those whose path holds this.
    spared: Mutex<Option<String>>,
    /// Writes whose method and path hold the text are caught; whether before the server has seen them.
    trap: Mutex<Option<(String, bool)>>,
    caught: AtomicU64,
    /// In what is read, each text is replaced by another.
    replaced: Mutex<Vec<(String, String)>>,
    /// Requests of this content type are answered 415.
    untaken: Mutex<Option<String>>,
    seen: Mutex<Vec<(Purpose, String)>>,
}

/// A running proxy; it ends with the runtime of its test.
pub struct Proxy {
    port: u16,
    faults: Arc<Faults>,
    folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts one in front of the server of this kubeconfig.
    pub async fn start(kubeconfig: PathBuf) -> Proxy {
        let client = client(&kubeconfig).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let faults = Arc::new(Faults {
            delay: AtomicU64::new(0),
            stalled: watch::Sender::new(0),
            cut: watch::Sender::new(0),
            held: watch::Sender::new(false),
            refusals: Mutex::default(),
            lose: AtomicU64::new(0),
            spared: Mutex::default(),
            trap: Mutex::default(),
            caught: AtomicU64::new(0),
            replaced: Mutex::default(),
            untaken: Mutex::default(),
            seen: Mutex::default(),
        });
        let shared = Arc::clone(&faults);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (client, faults) = (client.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let (client, faults) = (client.clone(), Arc::clone(&faults));
                        async move { pass(client, faults, request).await }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), service)
                        .await;
                });
            }
        });
        let proxy = Proxy {
            port,
            faults,
            folder: tempfile::tempdir().unwrap(),
        };
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\nusers: [{{name: u, user: {{}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n",
            proxy.port
        );
        std::fs::write(proxy.kubeconfig(), text).unwrap();
        proxy
    }

    /// Leads through the proxy, as the administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// From now on all that watches say comes this much later.
    pub fn delay_watches(&self, by: Duration) {
        self.faults
            .delay
            .store(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// Open watches say nothing any more, and stay open; later ones work.
    pub fn stall_watches(&self) {
        self.faults.stalled.send_modify(|n| *n += 1);
    }

    /// Open watches are cut; later ones work.
    pub fn cut_watches(&self) {
        self.faults.cut.send_modify(|n| *n += 1);
    }

    /// Whether new watches have to wait before they are passed on.
    pub fn hold_watches(&self, held: bool) {
        self.faults.held.send_replace(held);
    }

    /// The next requests of this purpose whose path ends so are refused.
    pub fn refuse(
        &self,
        purpose: Purpose,
        path_ends_with: &str,
        times: usize,
        status: u16,
        retry_after: Option<u64>,
    ) {
        self.faults.refusals.lock().unwrap().push(Refusal {
            purpose,
            path_ends_with: path_ends_with.to_owned(),
            times,
            status,
            retry_after,
        });
    }

    /// Takes all refusals back.
    pub fn refuse_nothing(&self) {
        self.faults.refusals.lock().unwrap().clear();
    }

    /// The server does what the next writes ask, but its answers are lost.
    pub fn lose_answers(&self, writes: u64) {
        self.faults.lose.store(writes, Ordering::SeqCst);
    }

    /// As [`Proxy::lose_answers`], of all writes but those whose path holds this text.
    pub fn lose_all_answers_but(&self, text: &str) {
        *self.faults.spared.lock().unwrap() = Some(text.to_owned());
        self.lose_answers(u64::MAX);
    }

    /// From now on writes whose method and path hold this text are caught and never answered: `before` the server has seen them, or after it
    /// has done what they ask.
    pub fn catch(&self, text: &str, before: bool) {
        self.faults.caught.store(0, Ordering::SeqCst);
        *self.faults.trap.lock().unwrap() = Some((text.to_owned(), before));
    }

    /// Catches no more; what was caught stays so.
    pub fn catch_nothing(&self) {
        *self.faults.trap.lock().unwrap() = None;
    }

    /// How many writes were caught since [`Proxy::catch`].
    pub fn caught(&self) -> u64 {
        self.faults.caught.load(Ordering::SeqCst)
    }

    /// From now on, in what is listed or read, this text is replaced by another.
    pub fn replace(&self, text: &str, with: &str) {
        let mut replaced = self.faults.replaced.lock().unwrap();
        replaced.push((text.to_owned(), with.to_owned()));
    }

    /// From now on requests of this content type are not taken: as a server says it of a kind that is a custom resource there.
    pub fn take_none_of(&self, media: &str) {
        *self.faults.untaken.lock().unwrap() = Some(media.to_owned());
    }

    /// How many requests of a purpose have come for a path that ends so.
    pub fn count(&self, purpose: Purpose, path_ends_with: &str) -> usize {
        let seen = self.faults.seen.lock().unwrap();
        seen.iter()
            .filter(|(p, path)| *p == purpose && path.ends_with(path_ends_with))
            .count()
    }
}

async fn client(kubeconfig: &Path) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(
        kubeconfig,
        &kube::config::KubeConfigOptions::default(),
    )
    .await
    .unwrap();
    config.default_retry = false;
    config.read_timeout = None;
    config.disable_compression = true;
    kube::Client::try_from(config).unwrap()
}

fn lost() -> std::io::Error {
    std::io::ErrorKind::ConnectionReset.into()
}

async fn pass(
    client: kube::Client,
    faults: Arc<Faults>,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::io::Error> {
    let query = request.uri().query().unwrap_or("");
    let purpose = match request.method().as_str() {
        "GET"
            if query
                .split('&')
                .any(|p| p == "watch=1" || p == "watch=true") =>
        {
            Purpose::Watch
        }
        "GET" => Purpose::Read,
        _ => Purpose::Write,
    };
    let path = request.uri().path().to_owned();
    faults.seen.lock().unwrap().push((purpose, path.clone()));
    let mut stalled = faults.stalled.subscribe();
    let mut cut = faults.cut.subscribe();
    if purpose == Purpose::Watch {
        let mut held = faults.held.subscribe();
        tokio::select! {
            _ = held.wait_for(|held| !held) => {}
            _ = cut.changed() => return Err(lost()),
        }
    }
    let media = request.headers().get(header::CONTENT_TYPE);
    let untaken = faults.untaken.lock().unwrap().clone();
    if media.is_some_and(|media| untaken.is_some_and(|untaken| *media == *untaken)) {
        return Ok(refused(
            415,
            "the body of the request was in an unknown format",
            None,
        ));
    }
    if let Some(refused) = refusal(&faults, purpose, &path) {
        return Ok(refused);
    }
    let method = request.method().to_string();
    let caught = |before: bool| {
        let trap = faults.trap.lock().unwrap();
        let what = format!("{method} {path}");
        purpose == Purpose::Write
            && trap
                .as_ref()
                .is_some_and(|(text, when)| *when == before && what.contains(text))
    };
    if caught(true) {
        faults.caught.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(header::HOST);
    let body = body.collect().await.map_err(|_| lost())?.to_bytes();
    let request = Request::from_parts(parts, kube::client::Body::from(body));
    let response = client.send(request).await.map_err(|_| lost())?;
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::TRANSFER_ENCODING);
    if caught(false) {
        faults.caught.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
    let spared = faults.spared.lock().unwrap().clone();
    let spared = spared.is_some_and(|text| path.contains(&text));
    if purpose == Purpose::Write && !spared && take_one(&faults.lose) {
        return Err(lost());
    }
    let replaced = faults.replaced.lock().unwrap().clone();
    if purpose == Purpose::Read && !replaced.is_empty() {
        parts.headers.remove(header::CONTENT_LENGTH);
        let body = body.collect().await.map_err(|_| lost())?.to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let text = replaced
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to));
        let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
        return Ok(Response::from_parts(parts, body.boxed_unsync()));
    }
    if purpose != Purpose::Watch || !parts.status.is_success() {
        let body = body.map_err(|_| lost()).boxed_unsync();
        return Ok(Response::from_parts(parts, body));
    }
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let delay = Arc::clone(&faults);
    tokio::spawn(async move {
        let mut frames = body.into_data_stream();
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                // Its sender is kept, so that the watch stays open.
                _ = stalled.changed() => { sender.closed().await; return; }
                _ = cut.changed() => { let _ = sender.send((Instant::now(), Err(lost()))); return; }
                () = sender.closed() => return,
            };
            let late = Duration::from_millis(delay.delay.load(Ordering::SeqCst));
            match frame {
                Some(frame) => {
                    let frame = frame.map(Frame::data).map_err(|_| lost());
                    if sender.send((Instant::now() + late, frame)).is_err() {
                        return;
                    }
                }
                None => return,
            }
        }
    });
    let frames = futures::stream::unfold(receiver, |mut receiver| async move {
        let (due, frame) = receiver.recv().await?;
        sleep_until(due).await;
        Some((frame, receiver))
    });
    Ok(Response::from_parts(
        parts,
        BodyExt::boxed_unsync(StreamBody::new(frames)),
    ))
}

fn take_one(counter: &AtomicU64) -> bool {
    counter
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
        .is_ok()
}

fn refusal(faults: &Faults, purpose: Purpose, path: &str) -> Option<Response<Body>> {
    let mut refusals = faults.refusals.lock().unwrap();
    let refusal = refusals
        .iter_mut()
        .find(|r| r.times > 0 && r.purpose == purpose && path.ends_with(&r.path_ends_with))?;
    refusal.times -= 1;
    // As RBAC would say it.
    let message = match refusal.status {
        403 => "User 'proxied' cannot use this resource by the proxy",
        _ => "the proxy refuses",
    };
    Some(refused(refusal.status, message, refusal.retry_after))
}

fn refused(status: u16, message: &str, retry_after: Option<u64>) -> Response<Body> {
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","code":{status}}}"#
    );
    let mut response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    response.body(body.boxed_unsync()).unwrap()
}
