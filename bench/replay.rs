//! A loopback API server with Pods in it: lists them in pages, then replays events as a watch, every event a real change.
#![allow(dead_code)]

use crate::pods;
use crate::process::pin;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;

/// What the server shows.
pub struct Replay {
    /// Different Pods.
    pub pods: usize,
    /// How many of them are there from the start, in lists.
    pub listed: usize,
    /// Events of the watch.
    pub events: usize,
}

/// One Pod's text, cut where the version and the restart count stand, so that each event is a change without building it anew.
struct Cut {
    parts: [Bytes; 3],
}

fn cut(pod: Vec<u8>) -> Cut {
    let pod = Bytes::from(pod);
    let after = |needle: &[u8], from: usize| {
        memchr::memmem::find(&pod[from..], needle).unwrap() + from + needle.len()
    };
    let version = after(b"\"resourceVersion\":\"", 0);
    let version_end = after(b"\"", version) - 1;
    let restarts = after(b"\"restartCount\":", version_end);
    let restarts_end = restarts
        + pod[restarts..]
            .iter()
            .position(|b| !b.is_ascii_digit())
            .unwrap();
    Cut {
        parts: [
            pod.slice(..version),
            pod.slice(version_end..restarts),
            pod.slice(restarts_end..),
        ],
    }
}

type Body = BoxBody<Bytes, Infallible>;

fn json(text: impl Into<Bytes>) -> Response<Body> {
    Response::builder()
        .header("content-type", "application/json")
        .body(Full::new(text.into()).boxed())
        .unwrap()
}

/// Writes events `from..` into one chunk of about 64 KiB and answers where it stopped.
fn chunk(pods: &[Cut], from: usize, until: usize) -> (Bytes, usize) {
    let mut out = BytesMut::with_capacity(80 * 1024);
    let mut event = from;
    while event < until && out.len() < 64 * 1024 {
        let pod = &pods[event % pods.len()];
        let kind: &[u8] = if event < pods.len() {
            b"ADDED"
        } else {
            b"MODIFIED"
        };
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind);
        out.extend_from_slice(b"\",\"object\":");
        out.extend_from_slice(&pod.parts[0]);
        out.extend_from_slice((90_000_000 + event).to_string().as_bytes());
        out.extend_from_slice(&pod.parts[1]);
        out.extend_from_slice((event / pods.len()).to_string().as_bytes());
        out.extend_from_slice(&pod.parts[2]);
        out.extend_from_slice(b"}\n");
        event += 1;
    }
    (out.freeze(), event)
}

/// One page: `limit` and `continue` are numbers of Pods.
fn list(pods: &[Cut], listed: usize, query: &str) -> Response<Body> {
    let number = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    };
    let from: usize = number("continue").unwrap_or(0);
    let until = (from + number("limit").unwrap_or(listed)).min(listed);
    let next = if until < listed {
        format!(r#","continue":"{until}""#)
    } else {
        String::new()
    };
    let mut out = BytesMut::from(
        format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"89000000"{next}}},"items":["#).as_bytes(),
    );
    for (number, pod) in pods[from..until].iter().enumerate() {
        if number > 0 {
            out.extend_from_slice(b",");
        }
        out.extend_from_slice(&pod.parts[0]);
        out.extend_from_slice((80_000_000 + from + number).to_string().as_bytes());
        out.extend_from_slice(&pod.parts[1]);
        out.extend_from_slice(b"0");
        out.extend_from_slice(&pod.parts[2]);
    }
    out.extend_from_slice(b"]}");
    json(out.freeze())
}

fn answer(pods: &Arc<Vec<Cut>>, replay: &Replay, request: &Request<Incoming>) -> Response<Body> {
    if request.method() == hyper::Method::PATCH {
        println!("patch {}", request.uri().path());
        return Response::builder()
            .status(422)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","message":"only a replay","code":422}"#)).boxed())
            .unwrap();
    }
    let query = request.uri().query().unwrap_or("");
    let events = replay.events;
    match request.uri().path() {
        "/version" => json(r#"{"major":"1","minor":"37","gitVersion":"v1.37.2","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#),
        "/api" => json(r#"{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[]}"#),
        "/apis" => json(r#"{"kind":"APIGroupList","apiVersion":"v1","groups":[]}"#),
        "/openapi/v3" => json(r#"{"paths":{}}"#),
        "/api/v1" => json(
            r#"{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["create","delete","get","list","patch","update","watch"]},{"name":"namespaces","singularName":"namespace","namespaced":false,"kind":"Namespace","verbs":["get","list","watch"]}]}"#,
        ),
        path if query.contains("watch=") => {
            let events = if path.ends_with("/pods") { events } else { 0 };
            let pods = Arc::clone(pods);
            let stream = futures::stream::unfold(0, move |at| {
                let next = (at < events).then(|| chunk(&pods, at, events));
                futures::future::ready(next.map(|(bytes, at)| (Ok::<_, Infallible>(Frame::data(bytes)), at)))
            });
            let body = BodyExt::boxed(StreamBody::new(stream.chain(futures::stream::pending())));
            Response::builder().header("content-type", "application/json").body(body).unwrap()
        }
        "/api/v1/pods" => list(pods, replay.listed, query),
        "/api/v1/namespaces" => json(r#"{"kind":"NamespaceList","apiVersion":"v1","metadata":{"resourceVersion":"89000000"},"items":[]}"#),
        // What rules remember: nothing yet. Until that is known nothing is evaluated.
        path if path.ends_with("/configmaps") => {
            json(r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"89000000"},"items":[]}"#)
        }
        _ => Response::builder()
            .status(404)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#)).boxed())
            .unwrap(),
    }
}

/// Serves until it is ended; prints its port first.
pub async fn serve(replay: Replay) {
    pin(0);
    let pods: Arc<Vec<Cut>> = Arc::new(pods::corpus(replay.pods).into_iter().map(cut).collect());
    let replay = Arc::new(replay);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        connection.set_nodelay(true).unwrap();
        let (pods, replay) = (Arc::clone(&pods), Arc::clone(&replay));
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let response = answer(&pods, &replay, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            let _ = http
                .max_buf_size(1 << 20)
                .serve_connection(TokioIo::new(connection), service)
                .await;
        });
    }
}
