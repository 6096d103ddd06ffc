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
#[path = "process.rs"]
mod process;
#[path = "replay.rs"]
mod replay;

use futures::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use process::{Running, cpu_seconds, kubeconfig, memory, metric, pinned};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Pods in the cluster; every event after the first of each is a change of one of them.
const PODS: usize = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |name, or| process::number(&args, name, or);
    let events = number("--events", 60_000);
    match args.get(1).map(String::as_str) {
        Some("server") => single_thread(replay::serve(replay::Replay {
            pods: PODS,
            listed: 0,
            events,
        })),
        Some("reflector") => single_thread(reflect(number("--port", 0) as u16, events)),
        _ => {
            let peers = args.iter().any(|a| a == "--peers").then(process::python);
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

struct Measured {
    wall: f64,
    cpu: f64,
    bytes_per_pod: f64,
    /// How many of the events were evaluated by the rules in question; one that comes before the last one of its Pod was looked at replaces
    /// it. Of a client without rules: no number.
    evaluated: f64,
}

/// A fresh server for each run: a watch starts at its first event.
fn server(events: usize) -> (Running, u16) {
    let (server, port, _) = process::server(&["--events".to_owned(), events.to_string()]);
    (server, port)
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
    Measured {
        wall,
        cpu: cpu_seconds(child.0.id()),
        bytes_per_pod: memory(child.0.id(), "VmRSS") / stored,
        evaluated: f64::NAN,
    }
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

/// With rules of which so many are in question for each Pod.
fn measure_ordain(events: usize, rules: fn(&std::path::Path), in_question: usize) -> Measured {
    let (_server, port) = server(events);
    let folder = tempfile::tempdir().unwrap();
    rules(folder.path());
    let started = Instant::now();
    let (child, listen) = process::ordain(folder.path(), port);
    let wall = wait_for_events(&listen, events, started);
    let evaluations = metric(&listen, "ordain_rule_evaluations_total{", "").unwrap_or(f64::NAN);
    assert!(evaluations > 0.0, "no rule was evaluated");
    Measured {
        wall,
        evaluated: evaluations / in_question as f64,
        cpu: cpu_seconds(child.0.id()),
        bytes_per_pod: memory(child.0.id(), "VmRSS") / PODS as f64,
    }
}

/// Seconds until the daemon's own counter of Pod events says that all have been taken in and the queue is empty.
fn wait_for_events(listen: &str, events: usize, started: Instant) -> f64 {
    loop {
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "the daemon never saw {events} events"
        );
        std::thread::sleep(Duration::from_millis(50));
        if metric(listen, "ordain_watch_events_total{", "kind=\"Pod\"")
            .is_some_and(|seen| seen >= events as f64)
            && metric(listen, "ordain_queue_depth", "") == Some(0.0)
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
    println!(
        "| round | client | events/s (wall) | events/s (CPU) | resident bytes per Pod | evaluated |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    // Python takes a minute for what takes others seconds.
    let fewer = events.min(15_000);
    type Run<'r> = Box<dyn Fn() -> Measured + 'r>;
    let mut clients: Vec<(&str, usize, Run<'_>)> = vec![
        (
            "ordain, 100 rules",
            events,
            Box::new(move || measure_ordain(events, rules, 8)),
        ),
        (
            "kube::runtime::reflector",
            events,
            Box::new(move || measure_reflector(events)),
        ),
        (
            "ordain, 100 CEL rules, all evaluated",
            events,
            Box::new(move || measure_ordain(events, cel_rules, 100)),
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
                "| {round} | {name} | {wall:.0} | {cpu:.0} | {:.0} | {:.0} |",
                measured.bytes_per_pod, measured.evaluated
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
