//! A long list: how much more memory the daemon needs at the most while it takes the list in than it keeps.
//!
//! A loopback server has 50,000 Pods of 9.2 KB; the daemon lists them in pages under one rule and then stands still.
//!
//! `cargo bench --bench list [-- --pods 50000]`. Needs Linux (`/proc`, affinity).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "pods.rs"]
mod pods;
#[path = "process.rs"]
mod process;
#[path = "replay.rs"]
mod replay;

use process::{cpu_seconds, memory, metric};
use std::time::{Duration, Instant};

/// What is aimed at: peak memory over steady memory.
const AIM: f64 = 1.3;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let pods = args
        .iter()
        .position(|a| a == "--pods")
        .map_or(50_000, |i| args[i + 1].parse().expect("a number"));
    if args.get(1).map(String::as_str) == Some("server") {
        let serve = replay::serve(replay::Replay {
            pods,
            listed: pods,
            events: 0,
        });
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(serve);
        return;
    }
    let (_server, port, _lines) = process::server(&["--pods".to_owned(), pods.to_string()]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("r.yaml"),
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {name: r}\nspec:\n  match:\n    resources:\n    - {apiVersion: v1, kind: Pod}\n  where:\n  - {path: $.spec.nodeName, operator: DoesNotExist}\n  actions:\n  - warn: {message: found}\n",
    )
    .unwrap();
    let started = Instant::now();
    let (daemon, listen) = process::ordain(folder.path(), port);
    while metric(&listen, "ordain_store_objects{", "kind=\"Pod\"") != Some(pods as f64)
        || metric(&listen, "ordain_queue_depth", "") != Some(0.0)
    {
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "the list never ends"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let took = started.elapsed().as_secs_f64();
    // What is freed late is freed by then.
    std::thread::sleep(Duration::from_secs(2));
    let pid = daemon.0.id();
    let (peak, steady) = (memory(pid, "VmHWM"), memory(pid, "VmRSS"));
    println!(
        "| Pods | seconds | CPU seconds | peak MB | steady MB | peak / steady (aim {AIM}) | bytes per Pod |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    println!(
        "| {pods} | {took:.1} | {:.1} | {:.0} | {:.0} | {:.2} | {:.0} |",
        cpu_seconds(pid),
        peak / 1e6,
        steady / 1e6,
        peak / steady,
        steady / pods as f64
    );
}
