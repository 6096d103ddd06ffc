//! Thirty rules and five thousand objects, changed without a break by others who also delete, collide and undo, on an API server that is
//! killed again and again. At the end a plain recomputation says what every object must look like, and how often it may have been written.
//!
//! Long, so it is run only when asked for: `ORDAIN_SOAK=30m cargo test --test cluster soak -- --nocapture`. `ORDAIN_SOAK_OBJECTS` and
//! `ORDAIN_SOAK_CHANGES` (a second) change the load.

use crate::control_plane::{Options, Plane};
use crate::daemon::Daemon;
use crate::scene::Places;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Namespaces that the objects are spread over.
const NAMESPACES: usize = 50;
/// Rules 0 to 28 are each about the ConfigMaps of one group; group 29 is nobody's, and rule 29 is about Namespaces.
const GROUPS: usize = 30;
/// Between two deaths of the API server.
const LIFE: Duration = Duration::from_secs(40);

/// What the rules of a group do.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// The label `out` is the value of `v`.
    Copies,
    /// The annotation `owner` is there.
    Defaults,
    /// `secret` is not in the data.
    Removes,
    /// What has the label `doomed` is deleted.
    Deletes,
    /// A child has the same `v`, as long as there is the parent.
    Makes,
    /// No rule is about it.
    Nobodys,
}

fn kind(group: usize) -> Kind {
    match group {
        0..18 => Kind::Copies,
        18..22 => Kind::Defaults,
        22..25 => Kind::Removes,
        25..27 => Kind::Deletes,
        27..29 => Kind::Makes,
        _ => Kind::Nobodys,
    }
}

fn rules(prefix: &str) -> String {
    let mut all = vec![];
    for group in 0..29 {
        let actions = match kind(group) {
            Kind::Copies => {
                "  - patch:\n    - {path: $.metadata.labels.out, set: \"${object.data.v}\"}\n"
            }
            Kind::Defaults => {
                "  - patch:\n    - {path: $.metadata.annotations, default: {owner: somebody}}\n"
            }
            Kind::Removes => "  - patch:\n    - {path: $.data.secret, remove: true}\n",
            Kind::Deletes => "  - delete: {}\n",
            Kind::Makes => {
                "  - apply:
      apiVersion: v1
      kind: ConfigMap
      metadata: {name: \"${object.metadata.name}-child\"}
      data: {v: \"${object.data.v}\"}
    lifetime: WhileMatched
"
            }
            Kind::Nobodys => unreachable!(),
        };
        let tests = match kind(group) {
            Kind::Deletes => "  where:\n  - {path: $.metadata.labels.doomed, value: 'yes'}\n",
            _ => "",
        };
        all.push(format!(
            "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: soak-{group:02}}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{prefix}*']
    selector: {{matchLabels: {{group: 'g{group}'}}}}
{tests}  limits: {{abortAbove: {{objects: 1000000}}, perObject: {{changes: 100000, per: 1m}}}}
  actions:
{actions}"
        ));
    }
    all.push(format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: soak-29}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: Namespace}}]
    names: ['{prefix}-*']
  related:
  - name: full
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    selector: {{matchLabels: {{full: 'yes'}}}}
  limits: {{perObject: {{changes: 100000, per: 1m}}}}
  actions:
  - patch:
    - {{path: $.metadata.annotations.full, set: \"${{string(size(full))}}\"}}
"
    ));
    all.join("---\n")
}

/// xorshift64*
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % n as u64) as usize
    }
}

/// How often the script has tried to change each object, by namespace and name: whether the server took it cannot always be known.
type Tries = Arc<Mutex<BTreeMap<(String, String), u64>>>;

struct Script {
    client: kube::Client,
    namespaces: Vec<String>,
    objects: usize,
    tries: Tries,
    done: AtomicU64,
    failed: AtomicU64,
    end: AtomicBool,
}

fn name(n: usize) -> String {
    format!("o-{n:05}")
}

fn map(n: usize, value: usize) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name(n)),
            labels: Some([("group".to_owned(), format!("g{}", n % GROUPS))].into()),
            ..Default::default()
        },
        data: Some([("v".to_owned(), format!("v{value}"))].into()),
        ..Default::default()
    }
}

impl Script {
    fn api(&self, n: usize) -> (Api<ConfigMap>, String) {
        let namespace = self.namespaces[n % self.namespaces.len()].clone();
        (Api::namespaced(self.client.clone(), &namespace), namespace)
    }

    fn trying(&self, namespace: String, n: usize) {
        *self
            .tries
            .lock()
            .unwrap()
            .entry((namespace, name(n)))
            .or_default() += 1;
    }

    async fn create_all(&self) {
        futures::stream::iter(0..self.objects)
            .for_each_concurrent(16, |n| async move {
                let (api, namespace) = self.api(n);
                self.trying(namespace, n);
                api.create(&PostParams::default(), &map(n, 0))
                    .await
                    .unwrap();
            })
            .await;
    }

    /// One change of one object, by chance.
    async fn change(&self, chance: &mut Chance) -> Result<(), kube::Error> {
        let n = chance.below(self.objects);
        let value = chance.below(1000);
        let (api, namespace) = self.api(n);
        self.trying(namespace, n);
        let name = name(n);
        let merge = async |patch: serde_json::Value| {
            api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await
                .map(drop)
        };
        let labels = |key: &str, value: Option<&str>| json!({"metadata": {"labels": {key: value}}});
        match chance.below(20) {
            0..8 => merge(json!({"data": {"v": format!("v{value}")}})).await,
            // A client that read the object before it writes it: a conflict where somebody else was faster, on either side.
            8..11 => {
                let mut map = api.get(&name).await?;
                map.data
                    .get_or_insert_default()
                    .insert("v".into(), format!("v{value}"));
                api.replace(&name, &PostParams::default(), &map)
                    .await
                    .map(drop)
            }
            11 | 12 => merge(labels("out", Some("wrong"))).await,
            13 => merge(json!({"metadata": {"annotations": {"owner": null}}})).await,
            14 => merge(json!({"data": {"secret": "s"}})).await,
            15 => merge(labels("doomed", Some("yes"))).await,
            16 => merge(labels("full", [None, Some("yes")][value % 2])).await,
            17 => api.delete(&name, &DeleteParams::default()).await.map(drop),
            _ => api
                .create(&PostParams::default(), &map(n, value))
                .await
                .map(drop),
        }
    }

    async fn run(&self, seed: u64, each: Duration) {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        while !self.end.load(Relaxed) {
            let started = Instant::now();
            match self.change(&mut chance).await {
                Ok(()) => self.done.fetch_add(1, Relaxed),
                Err(_) => self.failed.fetch_add(1, Relaxed),
            };
            sleep(each.saturating_sub(started.elapsed())).await;
        }
    }
}

async fn all(client: &kube::Client, namespaces: &[String]) -> Vec<ConfigMap> {
    let mut found = vec![];
    for namespace in namespaces {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        found.extend(api.list(&ListParams::default()).await.unwrap().items);
    }
    found.retain(|m| m.metadata.name.as_ref().unwrap().starts_with("o-"));
    found
}

/// What is not as the rules want it, computed from what there is and nothing else.
async fn wrong(client: &kube::Client, namespaces: &[String]) -> Vec<String> {
    let maps = all(client, namespaces).await;
    let key = |m: &ConfigMap| {
        (
            m.metadata.namespace.clone().unwrap(),
            m.metadata.name.clone().unwrap(),
        )
    };
    let by_key: BTreeMap<_, _> = maps.iter().map(|m| (key(m), m)).collect();
    let data = |m: &ConfigMap, name: &str| m.data.as_ref().and_then(|d| d.get(name).cloned());
    let label = |m: &ConfigMap, name: &str| {
        m.metadata
            .labels
            .as_ref()
            .and_then(|l| l.get(name).cloned())
    };
    let mut wrong = vec![];
    let mut full: BTreeMap<String, usize> = namespaces.iter().map(|n| (n.clone(), 0)).collect();
    let mut children = BTreeSet::new();
    for map in &maps {
        let (namespace, name) = key(map);
        if label(map, "full").as_deref() == Some("yes") {
            *full.get_mut(&namespace).unwrap() += 1;
        }
        let Some(group) = label(map, "group").and_then(|g| g[1..].parse().ok()) else {
            continue;
        };
        let bad = match kind(group) {
            Kind::Copies => label(map, "out") != data(map, "v"),
            Kind::Defaults => map
                .metadata
                .annotations
                .as_ref()
                .is_none_or(|a| !a.contains_key("owner")),
            Kind::Removes => data(map, "secret").is_some(),
            Kind::Deletes => label(map, "doomed").is_some(),
            Kind::Makes => {
                let child = (namespace.clone(), format!("{name}-child"));
                let same = by_key
                    .get(&child)
                    .is_some_and(|c| data(c, "v") == data(map, "v"));
                children.insert(child);
                !same
            }
            Kind::Nobodys => false,
        };
        if bad {
            wrong.push(format!("{namespace}/{name} of group {group}"));
        }
    }
    for (namespace, name) in by_key.keys().filter(|(_, name)| name.ends_with("-child")) {
        if !children.contains(&(namespace.clone(), name.clone())) {
            wrong.push(format!("{namespace}/{name} without its parent"));
        }
    }
    let spaces: Api<Namespace> = Api::all(client.clone());
    for (name, count) in full {
        let space = spaces.get(&name).await.unwrap();
        let said = space
            .metadata
            .annotations
            .as_ref()
            .and_then(|a| a.get("full").cloned());
        if said != Some(count.to_string()) {
            wrong.push(format!("Namespace {name} says {said:?} and has {count}"));
        }
    }
    wrong
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(default)
}

fn mean(values: &[u64]) -> f64 {
    values.iter().sum::<u64>() as f64 / values.len() as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn soak() {
    let Some(length) = std::env::var("ORDAIN_SOAK").ok().filter(|l| !l.is_empty()) else {
        return;
    };
    let length = ordain::object::duration::parse(&length).expect("ORDAIN_SOAK is a duration");
    let mut plane = Plane::start(Options::default());
    let kubeconfig = plane.kubeconfig();
    let Places {
        client,
        prefix,
        namespaces,
        ..
    } = Places::on(&plane, "soak", NAMESPACES).await;
    let script = Arc::new(Script {
        client: client.clone(),
        namespaces: namespaces.clone(),
        objects: setting("ORDAIN_SOAK_OBJECTS", 5_000),
        tries: Tries::default(),
        done: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        end: AtomicBool::new(false),
    });
    script.create_all().await;
    let mut daemon = Daemon::start(&kubeconfig, &rules(&prefix), &["--write-rate=0"]);
    daemon.ready().await;
    let workers: u32 = 8;
    let rate = setting("ORDAIN_SOAK_CHANGES", 60) as u32;
    let running: Vec<_> = (0..workers)
        .map(|n| {
            let script = Arc::clone(&script);
            tokio::spawn(async move {
                script
                    .run(u64::from(n) + 1, Duration::from_secs(1) * workers / rate)
                    .await
            })
        })
        .collect();
    let (started, mut born) = (Instant::now(), Instant::now());
    let mut resident = vec![];
    let mut deaths = 0;
    while started.elapsed() < length {
        sleep(Duration::from_secs(1)).await;
        if let Some(status) = daemon.status().await {
            resident.push(status["memory"]["residentBytes"].as_u64().unwrap());
        }
        if born.elapsed() > LIFE {
            plane.crash("kube-apiserver");
            deaths += 1;
            born = Instant::now();
        }
        if resident.len() % 15 == 0 {
            let (done, failed) = (script.done.load(Relaxed), script.failed.load(Relaxed));
            println!(
                "{} s: {done} changes, {failed} refused or lost, {deaths} deaths of the server, {} MiB",
                started.elapsed().as_secs(),
                resident.last().unwrap_or(&0) >> 20
            );
        }
    }
    script.end.store(true, Relaxed);
    for worker in running {
        worker.await.unwrap();
    }
    let done = script.done.load(Relaxed);

    // Everything comes to be as the rules say.
    let settling = Instant::now();
    let mut left = wrong(&client, &namespaces).await;
    while !left.is_empty() && settling.elapsed() < Duration::from_secs(120) {
        sleep(Duration::from_secs(1)).await;
        left = wrong(&client, &namespaces).await;
    }
    assert!(
        left.is_empty(),
        "{} are not as they should be: {:?}\n{}",
        left.len(),
        &left[..left.len().min(20)],
        daemon.log()
    );

    // No write without a change of somebody else that called for it: of the object itself, of a child's parent, of what a Namespace counts.
    let written = plane.audit().of_ordain(&prefix);
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for request in written.iter().filter(|r| r.succeeded()) {
        *counts
            .entry((request.namespace.clone(), request.name.clone()))
            .or_default() += 1;
    }
    let tries = script.tries.lock().unwrap().clone();
    let mut in_namespace: BTreeMap<&str, u64> = BTreeMap::new();
    for ((namespace, _), count) in &tries {
        *in_namespace.entry(namespace).or_default() += count;
    }
    let mut failures = vec![];
    for ((namespace, name), count) in &counts {
        let of = |name: &str| {
            tries
                .get(&(namespace.clone(), name.to_owned()))
                .copied()
                .unwrap_or(0)
        };
        let group = |name: &str| {
            name.get(2..7)
                .and_then(|n| n.parse::<usize>().ok())
                .map(|n| kind(n % GROUPS))
        };
        let most = match name.strip_suffix("-child") {
            _ if name == namespace => in_namespace[namespace.as_str()] + 1,
            Some(parent) if group(parent) == Some(Kind::Makes) => of(parent),
            Some(_) => 0,
            None => match group(name) {
                Some(Kind::Nobodys) | None => 0,
                // What a rule applies is written on the child alone.
                Some(Kind::Makes) => 0,
                Some(_) => of(name),
            },
        };
        if *count > most {
            failures.push(format!(
                "{namespace}/{name}: {count} writes, {most} at most"
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} objects: {:?}",
        failures.len(),
        &failures[..failures.len().min(20)]
    );
    let total: u64 = counts.values().sum();
    assert!(
        total > done / 10,
        "{total} writes after {done} changes: the rules hardly ran"
    );

    // Memory is flat: the last quarter is as the second one.
    let quarter = resident.len() / 4;
    assert!(quarter >= 10, "too short: {} samples", resident.len());
    let (early, late) = (
        mean(&resident[quarter..2 * quarter]),
        mean(&resident[3 * quarter..]),
    );
    println!(
        "{done} changes by others, {total} writes, {deaths} deaths of the server; memory {:.1} MiB in the second quarter, {:.1} MiB in the last",
        early / 1048576.0,
        late / 1048576.0
    );
    assert!(
        late < early * 1.08 + 2e6,
        "memory grows from {early} to {late} bytes: {resident:?}"
    );
    assert_eq!(daemon.stop().await, Some(0));
}
