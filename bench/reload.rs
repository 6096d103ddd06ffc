//! Hot reload: what it costs to put one changed rule in force, and how long it takes from the save of a file to the effect.
//!
//! In memory: an engine with 100,000 Pods under 100 rules, one of which is changed back and forth; all its objects are looked at again.
//! Through everything: the daemon follows 10,000 Pods of a loopback server; a rule file is saved, and the time is taken until the server
//! receives the patch that the saved rule asks for.
//!
//! With `mixed`: 500 rules of all sorts over 50,000 objects. With `--peers` besides, in the same run, those of them that kopf can have as
//! handlers and an index: the daemon and kopf over the same loopback server.
//!
//! `cargo bench --bench reload [-- --records 100000 --rounds 5]`, `cargo bench --bench reload -- mixed [--peers --rounds 2]`. Needs Linux (`/proc`, affinity).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mixed.rs"]
mod mixed;
#[path = "mixed_peers.rs"]
mod mixed_peers;
#[path = "pods.rs"]
mod pods;
#[path = "process.rs"]
mod process;
#[path = "replay.rs"]
mod replay;

use jiff::Timestamp;
use ordain::engine::{Engine, EngineOptions, Observation};
use ordain::object::record::Encoder;
use ordain::object::{GroupKind, Record};
use ordain::rule::compile::{SourceFile, compile};
use ordain::rule::set::RuleSet;
use ordain::schema::Schema;
use process::metric;
use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pods behind the loopback server.
const PODS: usize = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |name, or| process::number(&args, name, or);
    let has = |word: &str| args.iter().any(|arg| arg == word);
    if args.get(1).map(String::as_str) == Some("server") {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        if has("--mixed") {
            return runtime.block_on(mixed_peers::serve());
        }
        return runtime.block_on(replay::serve(replay::Replay {
            pods: PODS,
            listed: PODS,
            events: 0,
        }));
    }
    if has("mixed") {
        mixed::run();
        if has("--peers") {
            mixed_peers::run(number("--rounds", 2));
        }
        return;
    }
    let rounds = number("--rounds", 5);
    in_memory(number("--records", 100_000), rounds);
    through_everything(rounds);
}

fn now() -> Timestamp {
    "2026-08-01T00:00:00Z".parse().unwrap()
}

fn rule(name: &str, body: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  match:\n    resources:\n    - {{apiVersion: v1, kind: Pod}}\n{body}"
    )
}

/// 99 rules that stay, and one that asks for this restart policy.
fn rule_set(policy: &str) -> Arc<RuleSet> {
    let mut texts: Vec<String> = (0..99)
        .map(|i| {
            rule(
                &format!("r{i}"),
                &format!("    selector: {{matchLabels: {{no-such-label: v{i}}}}}\n  actions:\n  - warn: {{message: found}}\n"),
            )
        })
        .collect();
    texts.push(rule(
        "changed",
        &format!("  where:\n  - {{path: $.spec.restartPolicy, value: {policy}}}\n  actions:\n  - warn: {{message: found}}\n"),
    ));
    let files: Vec<SourceFile> = texts
        .into_iter()
        .enumerate()
        .map(|(i, text)| SourceFile {
            name: format!("r{i}.yaml").into(),
            bytes: text.into_bytes(),
        })
        .collect();
    let schema = Schema::bundled();
    let compiled = compile(&files, &schema);
    assert!(compiled.problems.is_empty(), "{}", compiled.problems[0]);
    Arc::new(RuleSet::new(compiled.rules, schema))
}

/// Evaluates until nothing is left; answers how many objects have ever been.
fn drain(engine: &mut Engine) -> u64 {
    let mut effects = vec![];
    while engine
        .poll(now(), 10_000, &mut effects)
        .is_some_and(|again| again <= now())
    {}
    engine.evaluations()
}

/// Many Pods from few texts: each with a name and uid of its own.
fn records(count: usize) -> impl Iterator<Item = Record> {
    let texts = pods::corpus(1000.min(count));
    let mut encoder = Encoder::default();
    (0..count).map(move |n| {
        let text = String::from_utf8(texts[n % texts.len()].clone()).unwrap();
        let text = text.replacen("\"name\":\"", &format!("\"name\":\"n{n}-"), 1);
        encoder.from_json(text.as_bytes(), None).unwrap()
    })
}

fn in_memory(count: usize, rounds: usize) {
    let sets = [rule_set("Never"), rule_set("OnFailure")];
    let mut engine = Engine::new(EngineOptions::default());
    engine.load(sets[0].clone(), now());
    for kind in ["Namespace", "Pod"].map(|kind| GroupKind::new("", kind)) {
        engine.observe(Observation::ListStarted { kind: kind.clone() }, now());
        if &*kind.kind == "Pod" {
            for record in records(count) {
                let kind = kind.clone();
                engine.observe(Observation::Applied { kind, record }, now());
            }
        }
        engine.observe(Observation::ListDone { kind }, now());
    }
    assert_eq!(drain(&mut engine), count as u64);
    println!("one of 100 rules changed, {count} Pods (aim 0.25 s)\n");
    println!("| round | put in force s | evaluated | evaluation s | together s |");
    println!("| --- | --- | --- | --- | --- |");
    let mut all = vec![];
    for round in 1..=rounds {
        let before = engine.evaluations();
        let started = Instant::now();
        engine.load(sets[round % 2].clone(), now());
        let loaded = started.elapsed().as_secs_f64();
        let evaluated = drain(&mut engine) - before;
        let took = started.elapsed().as_secs_f64();
        assert_eq!(evaluated, count as u64);
        println!(
            "| {round} | {loaded:.3} | {evaluated} | {:.3} | {took:.3} |",
            took - loaded
        );
        all.push(took);
    }
    all.sort_by(f64::total_cmp);
    println!("\nmedian {:.3} s\n", all[all.len() / 2]);
}

fn through_everything(rounds: usize) {
    let (_server, port, mut lines) = process::server(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.yaml");
    let first: serde_json::Value = serde_json::from_slice(&pods::corpus(1)[0]).unwrap();
    let name = first["metadata"]["name"].as_str().unwrap().to_owned();
    let text = |value: &str| {
        rule(
            "r",
            &format!(
                "    names: [{name}, no-such-*]\n  mode: Enforce\n  actions:\n  - patch:\n    - {{path: $.metadata.labels.reload, set: {value}}}\n"
            ),
        )
    };
    let mut received = || {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(line.contains(&name), "{line}");
    };
    std::fs::write(&file, text("v0")).unwrap();
    let started = Instant::now();
    let (_daemon, listen) = process::ordain(folder.path(), port);
    received();
    println!(
        "the daemon over {PODS} Pods: start to first patch {:.2} s\n",
        started.elapsed().as_secs_f64()
    );
    println!("| round | save to patch received ms |");
    println!("| --- | --- |");
    let mut all = vec![];
    for round in 1..=rounds {
        // Until it stands still, so that only the reload is measured.
        while metric(&listen, "ordain_requests_in_flight", "") != Some(0.0) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let next = folder.path().join(".next");
        std::fs::write(&next, text(&format!("v{round}"))).unwrap();
        let saved = Instant::now();
        std::fs::rename(&next, &file).unwrap();
        received();
        let took = saved.elapsed().as_secs_f64() * 1000.0;
        println!("| {round} | {took:.0} |");
        all.push(took);
    }
    all.sort_by(f64::total_cmp);
    println!(
        "\nmedian {:.0} ms (of which 50 ms are waited for the end of a save)",
        all[all.len() / 2]
    );
}
