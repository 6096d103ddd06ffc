//! On a real API server, beside peers: how long 10,000 changes take, how soon a new object is changed, what updates cost that concern nobody,
//! how soon a Secret is the same in 300 namespaces.
//!
//! The server and etcd are those of the cluster tests, started for each scenario; each participant runs as a process of its own, alone, in
//! turn and several rounds, every other one the other way round, each with a label of its own, so that all find the same objects and none what
//! another did:
//!
//! * `ceiling`: knows every name beforehand and only sends the patches, 32 at once: what the server can take.
//! * `floor`: looks for names in the bytes of the watch, and patches: what reacting costs at least. In the second scenario.
//! * `ordain`: `ordain run` with one rule. `ordain, whole` in the third scenario: with a rule that no selector can say, so that every update arrives.
//! * `kube-rs`: a minimal controller on `kube::runtime::Controller`, 32 reconciliations at once.
//! * with `--peers` kopf and the Python client, installed by `bench/peers/install.sh`.
//!
//! `cargo bench --bench server -- label|reaction|irrelevant|copies [--rounds 2] [--peers] [--only ordain]`. Needs Linux (`/proc`) and Go, as the
//! cluster tests do. How many writes there were the server's audit log says.
#![allow(
    missing_docs,
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod clients;
#[path = "../../tests/cluster/control_plane/mod.rs"]
mod control_plane;
mod copies;
mod figures;
mod options;
mod participants;
#[path = "../process.rs"]
mod process;
mod scenarios;
mod world;

fn main() {
    let args: Vec<String> = std::env::args().filter(|arg| arg != "--bench").collect();
    let word = |at: usize| args.get(at).map_or("", String::as_str);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match word(1) {
        "ceiling" => runtime.block_on(clients::ceiling(word(2), word(3).parse().unwrap())),
        "floor" => runtime.block_on(clients::floor(word(2))),
        "controller" => runtime.block_on(clients::controller(word(2))),
        "copier" => runtime.block_on(copies::controller()),
        "copies" => runtime.block_on(copies::copies(&options::Options::read(&args))),
        "label" => runtime.block_on(scenarios::label(&options::Options::read(&args))),
        "reaction" => runtime.block_on(scenarios::reaction(&options::Options::read(&args))),
        "irrelevant" => runtime.block_on(scenarios::irrelevant(&options::Options::read(&args))),
        _ => eprintln!("say which scenario: label, reaction, irrelevant or copies"),
    }
}
