//! The three scenarios and their tables.

use crate::control_plane::{self, Plane};
use crate::figures::{median, ratios, share};
use crate::options::Options;
use crate::participants::{Participant, Who, start};
use crate::world;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// What one participant takes at most.
const PATIENCE: Duration = Duration::from_secs(180);
/// What a participant still does after its work is done counts too.
const AFTERWARDS: Duration = Duration::from_secs(3);

fn plane() -> Plane {
    Plane::start(control_plane::Options {
        audited: control_plane::Audited::EndsOfWrites,
        ..control_plane::Options::default()
    })
}

/// 10,000 ConfigMaps of 1 KB in 100 namespaces get a label, from process start to done.
pub async fn label(options: &Options) {
    let python = options.python();
    let maps = options.maps.unwrap_or(10_000);
    let plane = plane();
    let client = plane.client().await;
    world::make_namespaces(&client).await;
    world::fill(&client, maps, &[]).await;
    println!("{maps} ConfigMaps of 1 KB in 100 namespaces, each gets a label\n");
    println!("| round | participant | seconds | CPU s | MB now | MB at most | patches |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let all = [
        Who::Ceiling,
        Who::Ordain,
        Who::KubeRs,
        Who::Python,
        Who::Kopf,
    ];
    let mut measured = vec![];
    for round in 1..=options.rounds {
        for who in options.participants(&all, round) {
            let label = format!("l{round}-{}", who as usize);
            let before = world::patches(&plane);
            let mut seen = world::observe(&client, &label).await;
            let started = Instant::now();
            let participant = start(&plane, who, &label, maps, &python);
            let mut done = started;
            for count in 0..maps {
                match timeout(PATIENCE, seen.recv()).await {
                    Ok(Some((_, at))) => done = at,
                    _ => panic!("{}: only {count} were changed", who.name()),
                }
            }
            let seconds = done.duration_since(started).as_secs_f64();
            // One that has ended by itself has left nothing to read.
            if who != Who::Ceiling {
                sleep(AFTERWARDS).await;
            }
            let (cpu, now, most) = figures(&participant);
            let patches = world::patches(&plane) - before;
            println!(
                "| {round} | {} | {seconds:.2} | {cpu:.2} | {now:.0} | {most:.0} | {patches} |",
                who.name()
            );
            measured.push((who, vec![seconds, cpu, most]));
            drop(participant);
            sleep(Duration::from_secs(1)).await;
        }
    }
    ratios(&measured, &["seconds", "CPU s", "MB"], Who::Ceiling);
    ratios(&measured, &["seconds", "CPU s", "MB"], Who::KubeRs);
}

/// CPU seconds, memory now and at most in MB; a process that has ended has no memory.
fn figures(participant: &Participant) -> (f64, f64, f64) {
    let (now, most) = participant.memory();
    (participant.cpu(), now, most)
}

/// 1,500 creations at 50 a second: from the acknowledged creation to the change as an independent watch sees it.
pub async fn reaction(options: &Options) {
    let python = options.python();
    let count = options.maps.unwrap_or(1_500);
    let plane = plane();
    let client = plane.client().await;
    world::make_namespaces(&client).await;
    println!("{count} creations at 50 a second; milliseconds\n");
    println!(
        "| round | participant | creation p50 | reaction p50 | of creation | p99 | max | CPU s | patches |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let all = [Who::Floor, Who::Ordain, Who::KubeRs, Who::Python, Who::Kopf];
    let mut measured = vec![];
    for round in 1..=options.rounds {
        for who in options.participants(&all, round) {
            let label = format!("l{round}-{}", who as usize);
            let mut seen = world::observe(&client, &label).await;
            let participant = start(&plane, who, &label, 0, &python);
            // It is at work when it has changed a first object.
            let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "bench-00");
            let first = world::map("first", &[], 0);
            maps.create(&PostParams::default(), &first).await.unwrap();
            timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
            sleep(Duration::from_secs(2)).await;
            let before = world::patches(&plane);
            let cpu = participant.cpu();
            let (creations, acknowledged) = create(&client, count).await;
            let mut reactions = vec![];
            for _ in 0..count {
                let (name, at) = timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
                // Seen before the creation was acknowledged: no time at all.
                let reaction = at.saturating_duration_since(acknowledged[&name]);
                reactions.push(reaction.as_secs_f64() * 1e3);
            }
            let cpu = participant.cpu() - cpu;
            let patches = world::patches(&plane) - before;
            reactions.sort_by(f64::total_cmp);
            let creation = median(creations);
            let (p50, p99) = (share(&reactions, 0.5), share(&reactions, 0.99));
            let max = share(&reactions, 1.0);
            println!(
                "| {round} | {} | {creation:.2} | {p50:.2} | {:.2} | {p99:.2} | {max:.2} | {cpu:.2} | {patches} |",
                who.name(),
                p50 / creation,
            );
            measured.push((who, vec![p50 / creation, p99, max, cpu]));
            drop(participant);
            for n in 0..100 {
                let maps: Api<ConfigMap> =
                    Api::namespaced(client.clone(), &format!("{}{n:02}", world::PREFIX));
                let (delete, all) = (DeleteParams::default(), ListParams::default());
                maps.delete_collection(&delete, &all).await.unwrap();
            }
        }
    }
    let columns = ["p50 of creation's", "p99", "max", "CPU s"];
    ratios(&measured, &columns, Who::KubeRs);
}

/// Milliseconds that each creation took, and when each was acknowledged.
async fn create(client: &Client, count: usize) -> (Vec<f64>, HashMap<String, Instant>) {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let mut requests = tokio::task::JoinSet::new();
    for (namespace, name) in world::names(count) {
        tick.tick().await;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        requests.spawn(async move {
            let map = world::map(&name, &[], 0);
            let sent = Instant::now();
            maps.create(&PostParams::default(), &map).await.unwrap();
            (name, sent.elapsed(), Instant::now())
        });
    }
    let mut took = vec![];
    let mut acknowledged = HashMap::new();
    for (name, elapsed, at) in requests.join_all().await {
        took.push(elapsed.as_secs_f64() * 1e3);
        acknowledged.insert(name, at);
    }
    (took, acknowledged)
}

/// 300 updates a second of 5,000 objects that need no change.
pub async fn irrelevant(options: &Options) {
    const PER_SECOND: usize = 300;
    const SECONDS: usize = 20;
    let python = options.python();
    let count = options.maps.unwrap_or(5_000);
    let plane = plane();
    let client = plane.client().await;
    world::make_namespaces(&client).await;
    world::fill(&client, count, &["done"]).await;
    println!("{PER_SECOND} updates a second of {count} ConfigMaps, for {SECONDS} s\n");
    println!("| round | participant | CPU ms per 1,000 updates | MB now | patches |");
    println!("| --- | --- | --- | --- | --- |");
    let all = [
        Who::Ordain,
        Who::OrdainWhole,
        Who::KubeRs,
        Who::Python,
        Who::Kopf,
    ];
    let mut measured = vec![];
    let mut filling = 0;
    for round in 1..=options.rounds {
        for who in options.participants(&all, round) {
            let participant = start(&plane, who, "done", 0, &python);
            // Until it has listed everything and is at rest.
            let mut before = -1.0;
            while participant.cpu() - before > 0.05 {
                before = participant.cpu();
                sleep(Duration::from_secs(3)).await;
            }
            let patches = world::patches(&plane);
            let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND as u32);
            let mut requests = tokio::task::JoinSet::new();
            let mut names = world::names(count).collect::<Vec<_>>().into_iter().cycle();
            let cpu = participant.cpu();
            for _ in 0..PER_SECOND * SECONDS {
                tick.tick().await;
                filling += 1;
                let (namespace, name) = names.next().unwrap();
                let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
                let map = world::map(&name, &["done"], filling);
                requests.spawn(async move {
                    maps.replace(&name, &PostParams::default(), &map)
                        .await
                        .unwrap();
                });
            }
            requests.join_all().await;
            sleep(Duration::from_secs(1)).await;
            let per_thousand =
                (participant.cpu() - cpu) * 1e3 / (PER_SECOND * SECONDS) as f64 * 1e3;
            let patches = world::patches(&plane) - patches;
            let (now, _) = participant.memory();
            println!(
                "| {round} | {} | {per_thousand:.0} | {now:.0} | {patches} |",
                who.name()
            );
            measured.push((who, vec![per_thousand]));
        }
    }
    ratios(&measured, &["CPU ms"], Who::KubeRs);
}
