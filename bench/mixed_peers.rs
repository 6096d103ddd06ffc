//! 350 of the mixed rules, those that kopf can have as handlers and an index, over the same loopback server: the daemon and kopf in turn, each
//! alone on a core. First everything is listed and comes to rest; then Pods change, each once.

use crate::{mixed, process};
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use process::{Running, cpu_seconds, kubeconfig, memory, metric, pinned};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Pods, as many ConfigMaps, and as many changes of Pods.
const PODS: usize = 1_000;

type Body = UnsyncBoxBody<Bytes, Infallible>;

fn answer(text: String) -> Response<Body> {
    Response::builder()
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(text)).boxed_unsync())
        .unwrap()
}

/// One page of a list: `limit` and `continue` are numbers of objects.
fn list(kind: &str, objects: &[Value], query: &str) -> Response<Body> {
    let number = |name: &str| {
        let mut pairs = query.split('&');
        pairs.find_map(|pair| {
            pair.strip_prefix(name)?
                .strip_prefix('=')?
                .parse::<usize>()
                .ok()
        })
    };
    let from = number("continue").unwrap_or(0);
    let until = (from + number("limit").unwrap_or(objects.len())).min(objects.len());
    let mut metadata = json!({"resourceVersion": "100"});
    if until < objects.len() {
        metadata["continue"] = json!(until.to_string());
    }
    answer(
        json!({"kind": format!("{kind}List"), "apiVersion": "v1", "metadata": metadata, "items": objects[from..until]})
            .to_string(),
    )
}

struct Shown {
    pods: Vec<Value>,
    maps: Vec<Value>,
    /// Whether Pods may change.
    go: watch::Sender<bool>,
}

fn respond(shown: &Arc<Shown>, request: &Request<Incoming>) -> Response<Body> {
    let query = request.uri().query().unwrap_or("");
    let resource = |name: &str, kind: &str, namespaced: bool| {
        json!({"name": name, "singularName": "", "namespaced": namespaced, "kind": kind,
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]})
    };
    let path = request.uri().path();
    if path == "/go" {
        shown.go.send_replace(true);
        return answer("{}".to_owned());
    }
    if query.contains("watch=") {
        let changes = path.ends_with("/pods");
        let stream = futures::stream::once({
            let mut go = shown.go.subscribe();
            async move {
                if !changes || go.wait_for(|go| *go).await.is_err() {
                    std::future::pending::<()>().await;
                }
                let mut text = String::new();
                for n in 0..PODS {
                    let event = json!({"type": "MODIFIED", "object": mixed::pod_value(n, 1_000 + n as u64)});
                    text.push_str(&event.to_string());
                    text.push('\n');
                }
                Ok::<_, Infallible>(Frame::data(Bytes::from(text)))
            }
        });
        let body = BodyExt::boxed_unsync(StreamBody::new(stream.chain(futures::stream::pending())));
        return Response::builder()
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
    }
    match path {
        "/version" => answer(json!({"major": "1", "minor": "37", "gitVersion": "v1.37.2", "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}).to_string()),
        "/api" => answer(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}).to_string()),
        "/apis" => answer(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}).to_string()),
        "/openapi/v3" => answer(json!({"paths": {}}).to_string()),
        "/api/v1" => answer(json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
            resource("pods", "Pod", true), resource("configmaps", "ConfigMap", true), resource("namespaces", "Namespace", false)]}).to_string()),
        "/api/v1/pods" => list("Pod", &shown.pods, query),
        "/api/v1/configmaps" => list("ConfigMap", &shown.maps, query),
        "/api/v1/namespaces" => list("Namespace", &[json!({"metadata": {"name": "shop", "uid": "shop", "resourceVersion": "1"}})], query),
        // What rules remember: nothing.
        _ if path.ends_with("/configmaps") => list("ConfigMap", &[], query),
        _ => Response::builder()
            .status(404)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}).to_string())).boxed_unsync())
            .unwrap(),
    }
}

/// Serves until it is ended; prints its port first.
pub async fn serve() {
    process::pin(0);
    let shown = Arc::new(Shown {
        pods: (0..PODS).map(|n| mixed::pod_value(n, 1)).collect(),
        maps: (0..PODS).map(mixed::map_value).collect(),
        go: watch::channel(false).0,
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        connection.set_nodelay(true).unwrap();
        let shown = Arc::clone(&shown);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let response = respond(&shown, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http
                .serve_connection(TokioIo::new(connection), service)
                .await;
        });
    }
}

struct Measured {
    /// From the start of the process until everything listed was looked at.
    start: f64,
    start_cpu: f64,
    megabytes: f64,
    /// CPU µs.
    event: f64,
}

fn go(port: u16) {
    let mut connection = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET /go HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).unwrap();
    connection.read_to_end(&mut vec![]).unwrap();
}

/// `until` waits for `rest`, until the client has looked at everything that is listed, and for `done`, at all changes.
fn measure((started, pid, port): (Instant, u32, u16), mut until: impl FnMut(&str)) -> Measured {
    until("rest");
    let start = started.elapsed().as_secs_f64();
    let start_cpu = cpu_seconds(pid);
    let megabytes = memory(pid, "VmRSS") / 1e6;
    go(port);
    until("done");
    Measured {
        start,
        start_cpu,
        megabytes,
        event: (cpu_seconds(pid) - start_cpu) / PODS as f64 * 1e6,
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(300), "never {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn ordain() -> Measured {
    let (_server, port, _) = process::server(&["--mixed".to_owned()]);
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in mixed::texts_for_handlers() {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let started = Instant::now();
    let (child, listen) = process::ordain(folder.path(), port);
    let has = |name: &str, label: &str, number: usize| {
        metric(&listen, name, label).is_some_and(|n| n >= number as f64)
            && metric(&listen, "ordain_queue_depth", "") == Some(0.0)
    };
    let maps = (0..PODS).filter(|n| mixed::is_selected(*n)).count();
    let until = |word: &str| {
        wait_until(word, || match word {
            "rest" => {
                has("ordain_store_objects{", "\"Pod\"", PODS)
                    && has("ordain_store_objects{", "\"ConfigMap\"", maps)
                    && has("ordain_rule_evaluations_total{", "", PODS)
            }
            _ => has("ordain_watch_events_total{", "type=\"modified\"", PODS),
        });
    };
    measure((started, child.0.id(), port), until)
}

fn kopf(python: &str) -> Measured {
    let (_server, port, _) = process::server(&["--mixed".to_owned()]);
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/peers/mixed_kopf.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg(kubeconfig(folder.path(), port))
        .args([(2 * PODS).to_string(), PODS.to_string()])
        .stdout(Stdio::piped());
    let started = Instant::now();
    let mut child = Running(pinned(&mut command, 1).spawn().unwrap());
    let pid = child.0.id();
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let said = |word: &str| {
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with(word), "{line}");
    };
    measure((started, pid, port), said)
}

pub fn run(rounds: usize) {
    let python = process::python();
    println!(
        "350 rules over {PODS} Pods and {PODS} ConfigMaps of a loopback server, {PODS} changes\n"
    );
    println!("| round | client | start to rest s | CPU s | MB | CPU µs a change |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut all: Vec<[Measured; 2]> = vec![];
    for round in 1..=rounds {
        let both = [ordain(), kopf(&python)];
        for (client, m) in ["ordain", "kopf"].iter().zip(&both) {
            println!(
                "| {round} | {client} | {:.2} | {:.2} | {:.0} | {:.0} |",
                m.start, m.start_cpu, m.megabytes, m.event
            );
        }
        all.push(both);
    }
    let ratio = |of: fn(&Measured) -> f64| {
        let mut ratios: Vec<f64> = all.iter().map(|[a, b]| of(b) / of(a)).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    println!(
        "\nkopf / ordain, medians: start {:.1}, CPU of the start {:.1}, memory {:.1}, CPU of a change {:.0}\n",
        ratio(|m| m.start),
        ratio(|m| m.start_cpu),
        ratio(|m| m.megabytes),
        ratio(|m| m.event)
    );
}
