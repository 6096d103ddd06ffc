//! The fire hose: how many watch events a second one core takes, from the network to the store, under 100 rules.
//!
//! A loopback HTTP server (its own process, its own core) replays Pods as a Kubernetes watch, every event a real change. On the
//! other core runs, in turn and several rounds: the daemon itself (`ordain run`, watch, decode, 100 rules of which 8 select the
//! Pod by label, store), and `kube::runtime::reflector`, which only watches, decodes and stores.
//!
//! With `--peers` also kopf and the Python client, installed by `bench/peers/install.sh`, which see fewer events because they take longer.
//! Besides, the daemon with 100 CEL rules all of which are evaluated for every event.
//!
//! `cargo bench --bench fire-hose [-- --events 100000 --rounds 3 --peers]` prints a table and the ratios. Needs Linux (`/proc`, affinity).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "pods.rs"]
mod pods;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pods in the cluster; every event after the first of each is a change of one of them.
const PODS: usize = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, or: usize| {
        args.iter()
            .position(|a| a == name)
            .map_or(or, |i| args[i + 1].parse().expect("a number"))
    };
    let events = number("--events", 60_000);
    match args.get(1).map(String::as_str) {
        Some("server") => single_thread(serve(events)),
        Some("reflector") => single_thread(reflect(number("--port", 0) as u16, events)),
        _ => {
            let peers = args.iter().any(|a| a == "--peers").then(python);
            compare(events, number("--rounds", 3), peers);
        }
    }
}

fn single_thread(task: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(task);
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

fn answer(pods: &Arc<Vec<Cut>>, events: usize, request: &Request<Incoming>) -> Response<Body> {
    let query = request.uri().query().unwrap_or("");
    let list = |kind: &str| {
        json(format!(
            r#"{{"kind":"{kind}List","apiVersion":"v1","metadata":{{"resourceVersion":"89000000"}},"items":[]}}"#
        ))
    };
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
        "/api/v1/pods" => list("Pod"),
        "/api/v1/namespaces" => list("Namespace"),
        _ => Response::builder()
            .status(404)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#)).boxed())
            .unwrap(),
    }
}

async fn serve(events: usize) {
    pin(0);
    let pods: Arc<Vec<Cut>> = Arc::new(pods::corpus(PODS).into_iter().map(cut).collect());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        connection.set_nodelay(true).unwrap();
        let pods = Arc::clone(&pods);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let response = answer(&pods, events, &request);
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

/// The peer: what a controller written with kube-rs does with an event before its own code sees it.
async fn reflect(port: u16, events: usize) {
    let client = kube::Client::try_from(kube::Config::new(
        format!("http://127.0.0.1:{port}").parse().unwrap(),
    ))
    .unwrap();
    let resource = ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&());
    let pods: Api<DynamicObject> = Api::all_with(client, &resource);
    let writer = Writer::new(resource);
    let reader = writer.as_reader();
    let mut stream = std::pin::pin!(
        reflector(writer, watcher(pods, watcher::Config::default())).default_backoff()
    );
    let mut seen = 0;
    while let Some(event) = stream.next().await {
        if matches!(event.unwrap(), watcher::Event::Apply(_)) {
            seen += 1;
            if seen == events {
                break;
            }
        }
    }
    println!("done {}", reader.len());
    std::io::stdout().flush().unwrap();
    // Stays, so that its memory can be read; the parent ends it.
    std::future::pending::<()>().await;
}

/// Binds this process to one core, so that "one core" is one.
fn pin(core: usize) {
    // SAFETY: plain system call on a zeroed set of our own.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// User and system CPU seconds of a process, and its resident memory in bytes.
fn usage(pid: u32) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // SAFETY: no arguments but a constant.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (ticks / per_second, kilobytes * 1024.0)
}

fn pinned(command: &mut Command, core: usize) -> &mut Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        command.pre_exec(move || {
            pin(core);
            Ok(())
        })
    }
}

struct Measured {
    wall: f64,
    cpu: f64,
    bytes_per_pod: f64,
}

/// A fresh server for each run: a watch starts at its first event.
fn server(events: usize) -> (Running, u16) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command
        .args(["server", "--events", &events.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (Running(child), line.trim().parse().unwrap())
}

/// The interpreter that the Python peers run in.
fn python() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/peers/install.sh");
    let output = Command::new("sh")
        .arg(script)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "the peers could not be installed; leave out --peers"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn measure_reflector(events: usize) -> Measured {
    let (_server, port) = server(events);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "reflector",
        "--port",
        &port.to_string(),
        "--events",
        &events.to_string(),
    ]);
    measure_peer(command)
}

fn measure_python(python: &str, script: &str, events: usize) -> Measured {
    let (_server, port) = server(events);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(python);
    command
        .arg(format!(
            "{}/bench/peers/{script}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .arg(kubeconfig(folder.path(), port))
        .arg(events.to_string());
    measure_peer(command)
}

/// A peer says `done`, and how many Pods it keeps, when it has seen every event; then it stays.
fn measure_peer(mut command: Command) -> Measured {
    command.stdout(Stdio::piped());
    let started = Instant::now();
    let mut child = Running(pinned(&mut command, 1).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let wall = started.elapsed().as_secs_f64();
    let stored: f64 = line.trim().trim_start_matches("done ").parse().unwrap();
    let (cpu, resident) = usage(child.0.id());
    Measured {
        wall,
        cpu,
        bytes_per_pod: resident / stored,
    }
}

fn kubeconfig(folder: &std::path::Path, port: u16) -> std::path::PathBuf {
    let path = folder.join("kubeconfig");
    std::fs::write(
        &path,
        format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\nusers: [{{name: u, user: {{}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n"
        ),
    )
    .unwrap();
    path
}

/// 100 rules about all Pods, each with a test in CEL that no Pod passes.
fn cel_rules(folder: &std::path::Path) {
    for i in 0..100 {
        let expression = match i % 4 {
            0 => format!("object.spec.containers.exists(c, c.image.endsWith(':never-{i}'))"),
            1 => format!("size(object.spec.containers) > {}", 100 + i),
            2 => format!("object.status.phase == 'Never{i}'"),
            _ => format!(
                "object.metadata.name.startsWith('never-{i}') && object.spec.restartPolicy == 'Never'"
            ),
        };
        let text = format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r{i}}}\nspec:\n  match:\n    resources:\n    - {{apiVersion: v1, kind: Pod}}\n  where:\n  - {{expression: \"${{{expression}}}\", value: true}}\n  actions:\n  - warn: {{message: found}}\n"
        );
        std::fs::write(folder.join(format!("r{i}.yaml")), text).unwrap();
    }
}

/// 100 rules about Pods; of one team's Pods, 8 of them select by label. They report and change nothing.
fn rules(folder: &std::path::Path) {
    let teams = [
        "core", "edge", "sre", "data", "ml", "payments", "growth", "identity",
    ];
    for i in 0..100 {
        let selector = if i < 64 {
            format!("{{team: {}}}", teams[i % 8])
        } else {
            format!("{{no-such-label: v{i}}}")
        };
        let test = match i / 8 % 4 {
            0 => "{path: '$.spec.containers[?!@.resources]', operator: Exists}",
            1 => "{path: '$.spec.containers[*].image', operator: Matches, value: ':never$'}",
            2 => "{path: $.spec.nodeName, operator: DoesNotExist}",
            _ => "{path: $.status.phase, operator: NotEquals, value: Running}",
        };
        let text = format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r{i}}}\nspec:\n  match:\n    resources:\n    - {{apiVersion: v1, kind: Pod}}\n    selector:\n      matchLabels: {selector}\n  where:\n  - {test}\n  actions:\n  - warn: {{message: found}}\n"
        );
        std::fs::write(folder.join(format!("r{i}.yaml")), text).unwrap();
    }
}

fn measure_ordain(events: usize, rules: fn(&std::path::Path)) -> Measured {
    let (_server, port) = server(events);
    let folder = tempfile::tempdir().unwrap();
    rules(folder.path());
    let kubeconfig = kubeconfig(folder.path(), port);
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command
        .args([
            "run",
            "--log-level",
            "error",
            "--listen",
            &listen,
            "--rules",
        ])
        .arg(folder.path())
        .arg("--kubeconfig")
        .arg(&kubeconfig);
    command.stdout(Stdio::null());
    let started = Instant::now();
    let child = Running(pinned(&mut command, 1).spawn().unwrap());
    let wall = wait_for_events(&listen, events, started);
    let (cpu, resident) = usage(child.0.id());
    Measured {
        wall,
        cpu,
        bytes_per_pod: resident / PODS as f64,
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Seconds until the daemon's own counter of Pod events says that all have been taken in and the queue is empty.
fn wait_for_events(listen: &str, events: usize, started: Instant) -> f64 {
    use std::io::Read;
    loop {
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "the daemon never saw {events} events"
        );
        std::thread::sleep(Duration::from_millis(50));
        let Ok(mut connection) = std::net::TcpStream::connect(listen) else {
            continue;
        };
        let mut page = String::new();
        if connection
            .write_all(
                format!("GET /metrics HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .is_err()
            || connection.read_to_string(&mut page).is_err()
        {
            continue;
        }
        let sum = |prefix: &str, has: &str| -> f64 {
            page.lines()
                .filter(|l| l.starts_with(prefix) && l.contains(has))
                .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
                .sum()
        };
        if sum("ordain_watch_events_total{", "kind=\"Pod\"") >= events as f64
            && sum("ordain_queue_depth", "") == 0.0
        {
            return started.elapsed().as_secs_f64();
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compare(events: usize, rounds: usize, python: Option<String>) {
    println!("{PODS} Pods, {events} events, {rounds} rounds, server on core 0, client on core 1\n");
    println!("| round | client | events/s (wall) | events/s (CPU) | resident bytes per Pod |");
    println!("| --- | --- | --- | --- | --- |");
    // Python takes a minute for what takes others seconds.
    let fewer = events.min(15_000);
    type Run<'r> = Box<dyn Fn() -> Measured + 'r>;
    let mut clients: Vec<(&str, usize, Run<'_>)> = vec![
        (
            "ordain, 100 rules",
            events,
            Box::new(move || measure_ordain(events, rules)),
        ),
        (
            "kube::runtime::reflector",
            events,
            Box::new(move || measure_reflector(events)),
        ),
        (
            "ordain, 100 CEL rules, all evaluated",
            events,
            Box::new(move || measure_ordain(events, cel_rules)),
        ),
    ];
    if let Some(python) = &python {
        for (name, script) in [
            ("kopf 1.45", "watch_kopf.py"),
            ("kubernetes client 37", "watch_client.py"),
        ] {
            let run = move || measure_python(python, script, fewer);
            clients.push((name, fewer, Box::new(run)));
        }
    }
    let mut all: Vec<Vec<(f64, f64, f64)>> = clients.iter().map(|_| vec![]).collect();
    for round in 1..=rounds {
        for ((name, events, run), of_client) in clients.iter().zip(&mut all) {
            let measured = run();
            let (wall, cpu) = (
                *events as f64 / measured.wall,
                *events as f64 / measured.cpu,
            );
            println!(
                "| {round} | {name} | {wall:.0} | {cpu:.0} | {:.0} |",
                measured.bytes_per_pod
            );
            of_client.push((wall, cpu, measured.bytes_per_pod));
        }
    }
    println!("\n| medians | events per CPU second | memory |");
    println!("| --- | --- | --- |");
    let of = |client: usize, what: fn(&(f64, f64, f64)) -> f64| {
        median(all[client].iter().map(what).collect())
    };
    for (client, (name, ..)) in clients.iter().enumerate().skip(1) {
        println!(
            "| {} / {name} | {:.2} | {:.3} |",
            clients[0].0,
            of(0, |m| m.1) / of(client, |m| m.1),
            of(0, |m| m.2) / of(client, |m| m.2)
        );
    }
}
