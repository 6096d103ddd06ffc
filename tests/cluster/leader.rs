//! Two replicas: one acts, the other stands by. Judged by the server's audit log and by an independent watch.

use crate::control_plane::shared;
use crate::daemon::{Daemon, until};
use crate::proxy::{Proxy, Purpose};
use crate::scene::{create_old, left_over, namespace};
use futures::TryStreamExt;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Long enough for a busy machine to renew in time.
const LEASE: Duration = Duration::from_secs(5);
const PERIOD: Duration = Duration::from_millis(500);
/// How often a leader is killed.
const KILLS: usize = 10;
/// What a hand-over is made of beside the waiting: the Lease is read and taken, what is remembered is read, and the first write reaches the audit
/// log. Some 50 ms, on a busy machine more.
const TAKING: Duration = Duration::from_secs(1);

/// Sets the label `seen` of the maps of a namespace to the value of their label `step`.
fn rule(namespace: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: seeing}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
  where:
  - {{path: $.metadata.labels.step, operator: Exists}}
  actions:
  - patch:
    - {{path: $.metadata.labels.seen, set: '${{object.metadata.labels.step}}'}}
  limits:
    perObject: {{changes: 100000, per: 1m}}
"
    )
}

/// A replica of the daemon of a namespace, whose Lease is there too.
fn replica(kubeconfig: &Path, namespace: &str, state_namespace: &str) -> Daemon {
    replica_for(LEASE, kubeconfig, &rule(namespace), state_namespace)
}

/// The same, with a term of its own.
fn replica_for(lease: Duration, kubeconfig: &Path, rules: &str, state_namespace: &str) -> Daemon {
    let more = [
        "--leader-election",
        &format!("--state-namespace={state_namespace}"),
        &format!("--lease-duration={}s", lease.as_secs()),
        &format!("--lease-renew-deadline={}ms", lease.as_millis() * 6 / 10),
        &format!("--lease-retry-period={}ms", PERIOD.as_millis()),
    ];
    Daemon::start(kubeconfig, rules, &more)
}

fn leads(status: &Value) -> bool {
    status["leader"]["leading"] == true
}

fn stands_by(status: &Value) -> bool {
    status["ready"] == true
        && status["leader"]["leading"] == false
        && status["leader"]["holder"].is_string()
}

fn seen_of(map: &ConfigMap) -> Option<String> {
    map.metadata.labels.as_ref()?.get("seen").cloned()
}

async fn take_step(maps: &Api<ConfigMap>, name: &str, to: &str) {
    let step = Patch::Merge(json!({"metadata": {"labels": {"step": to}}}));
    maps.patch(name, &PatchParams::default(), &step)
        .await
        .unwrap();
}

/// Changes an object and waits until some replica has followed.
async fn follows(daemon: &Daemon, maps: &Api<ConfigMap>, name: &str, to: &str) {
    take_step(maps, name, to).await;
    until(&format!("step {to} of {name}"), daemon, || async {
        seen_of(&maps.get(name).await.unwrap()).as_deref() == Some(to)
    })
    .await;
}

/// A namespace with maps, and the daemon's own namespace with its Lease.
struct Scene {
    namespace: String,
    home: String,
    maps: Api<ConfigMap>,
    leases: Api<Lease>,
}

async fn scene(word: &str, names: &[&str]) -> Scene {
    let client = shared().client().await;
    let home = namespace(&client, "home").await;
    let namespace = namespace(&client, word).await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    for name in names {
        let map = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    Scene {
        leases: Api::namespaced(client, &home),
        namespace,
        home,
        maps,
    }
}

fn writes(namespace: &str) -> usize {
    let requests = shared().audit().of_ordain(namespace);
    requests
        .iter()
        .filter(|r| r.resource == "configmaps")
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_warm_and_takes_over_after_sigterm_and_after_a_kill() {
    let plane = shared();
    let Scene {
        namespace,
        home,
        maps,
        leases,
    } = scene("pair", &["a"]).await;
    let mut one = replica(&plane.kubeconfig(), &namespace, &home);
    one.until("that it leads", leads).await;
    follows(&one, &maps, "a", "1").await;

    let mut two = replica(&plane.kubeconfig(), &namespace, &home);
    let status = two.until("that it stands by", stands_by).await;
    assert_eq!(
        status["leader"]["holder"],
        one.status().await.unwrap()["leader"]["identity"]
    );
    assert_ne!(status["leader"]["holder"], status["leader"]["identity"]);
    assert_eq!(status["rules"].as_array().unwrap().len(), 1);
    assert_eq!(status["changes"]["made"], 0);
    let (ready, _) = two.http("GET", "/readyz").await.unwrap();
    assert_eq!(ready, 200);
    let metric = async |daemon: &Daemon| {
        let (_, page) = daemon.http("GET", "/metrics").await.unwrap();
        let line = page
            .lines()
            .find(|l| l.starts_with("ordain_leader "))
            .unwrap()
            .to_owned();
        line.ends_with(" 1")
    };
    assert!(metric(&one).await && !metric(&two).await);
    follows(&one, &maps, "a", "2").await;

    // SIGTERM: the lease is given back, and taken at the next look.
    assert_eq!(one.stop().await, Some(0));
    let given = leases.get("ordain").await.unwrap().spec.unwrap();
    assert!(
        given.holder_identity.as_deref() == Some("") || given.lease_transitions == Some(1),
        "{given:?}"
    );
    take_step(&maps, "a", "3").await;
    two.until("that it leads", leads).await;
    follows(&two, &maps, "a", "4").await;

    // A kill: the lease is waited for.
    one.start_again();
    one.until("that it stands by", stands_by).await;
    two.kill();
    take_step(&maps, "a", "5").await;
    one.until("that it leads", leads).await;
    follows(&one, &maps, "a", "6").await;
    let written = writes(&namespace);
    assert!(
        (4..=6).contains(&written),
        "at most one write a step: {written}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_namespace_that_does_not_exist_is_one_clear_error() {
    let plane = shared();
    let Scene {
        namespace, maps, ..
    } = scene("homeless", &["a"]).await;
    let home = format!("{namespace}-home");
    let mut daemon = replica(&plane.kubeconfig(), &namespace, &home);
    let status = daemon
        .until("what is missing", |s| s["leader"]["trouble"].is_string())
        .await;
    let said = status["leader"]["trouble"].as_str().unwrap();
    assert!(
        said.contains(&format!("the namespace {home} does not exist"))
            && said.contains("--state-namespace"),
        "{said}"
    );
    take_step(&maps, "a", "1").await;
    daemon.ready().await;
    let home = Namespace {
        metadata: ObjectMeta {
            name: Some(home),
            ..Default::default()
        },
        ..Default::default()
    };
    let namespaces: Api<Namespace> = Api::all(plane.client().await);
    namespaces
        .create(&PostParams::default(), &home)
        .await
        .unwrap();
    daemon.until("that it leads", leads).await;
    follows(&daemon, &maps, "a", "2").await;
    let log = daemon.log();
    assert_eq!(log.matches("does not exist").count(), 1, "{log}");
}

/// A Lease that somebody holds who is no replica of ours.
fn foreign(renewed: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "ordain"},
        "spec": {
            "holderIdentity": "a-stranger",
            "leaseDurationSeconds": LEASE.as_secs(),
            "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_reported_and_its_clock_does_not_matter() {
    let plane = shared();
    for (word, ahead) in [("behind", -3600), ("ahead", 3600)] {
        let Scene {
            namespace,
            home,
            maps,
            leases,
        } = scene(word, &["a"]).await;
        let time = move || Timestamp::now() + jiff::SignedDuration::from_secs(ahead);
        let lease: Lease = serde_json::from_value(foreign(time())).unwrap();
        leases.create(&PostParams::default(), &lease).await.unwrap();
        // It renews, by a clock that is an hour wrong.
        let renews = Arc::new(AtomicBool::new(true));
        let renewing = tokio::spawn({
            let (leases, renews) = (leases.clone(), renews.clone());
            async move {
                while renews.load(Ordering::SeqCst) {
                    let renewed = Patch::Merge(foreign(time()));
                    leases
                        .patch("ordain", &PatchParams::default(), &renewed)
                        .await
                        .unwrap();
                    sleep(PERIOD).await;
                }
            }
        });
        let mut daemon = replica(&plane.kubeconfig(), &namespace, &home);
        let status = daemon.until("that it stands by", stands_by).await;
        assert_eq!(status["leader"]["holder"], "a-stranger");
        take_step(&maps, "a", "1").await;
        // As long as a lease lasts, and longer.
        let begun = Instant::now();
        while begun.elapsed() < LEASE + PERIOD * 2 {
            let status = daemon.status().await.unwrap();
            assert!(!leads(&status), "{status}");
            sleep(PERIOD).await;
        }
        assert_eq!(writes(&namespace), 0);
        renews.store(false, Ordering::SeqCst);
        renewing.await.unwrap();
        daemon.until("that it leads", leads).await;
        follows(&daemon, &maps, "a", "2").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_stops_and_stands_by() {
    let plane = shared();
    let Scene {
        namespace,
        home,
        maps,
        leases,
    } = scene("loses", &["a"]).await;
    let mut daemon = replica(&plane.kubeconfig(), &namespace, &home);
    daemon.until("that it leads", leads).await;
    follows(&daemon, &maps, "a", "1").await;
    let taken = Patch::Merge(foreign(Timestamp::now()));
    leases
        .patch("ordain", &PatchParams::default(), &taken)
        .await
        .unwrap();
    daemon.until("that it stands by", stands_by).await;
    take_step(&maps, "a", "2").await;
    // The stranger does not renew.
    daemon.until("that it leads again", leads).await;
    follows(&daemon, &maps, "a", "3").await;
    let written = writes(&namespace);
    assert!((2..=3).contains(&written), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_renew_stops_before_another_begins() {
    let plane = shared();
    let Scene {
        namespace,
        home,
        maps,
        ..
    } = scene("cut-off", &["a"]).await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    // That the first one leads until it cannot renew is what is played here: a busy machine must not end its term.
    let term = LEASE * 2;
    let mut one = replica_for(term, &proxy.kubeconfig(), &rule(&namespace), &home);
    one.until("that it leads", leads).await;
    let mut two = replica_for(term, &plane.kubeconfig(), &rule(&namespace), &home);
    two.until("that it stands by", stands_by).await;
    let observed = Observed::start(&maps).await;
    let load = Load::start(&maps, vec!["a".into()]);
    // Everything else of it still works.
    proxy.refuse(Purpose::Write, "/leases/ordain", usize::MAX, 503, None);
    // In the log: on the page it is gone as soon as the Lease can be read.
    until("that it tells of its trouble", &one, || async {
        one.log().contains("the lease cannot be had")
    })
    .await;
    two.until("that it leads", leads).await;
    one.until("that it stands by", stands_by).await;
    load.stop().await;
    follows(&two, &maps, "a", "last").await;
    observed.agrees_with_the_audit_log(&namespace).await;
    proxy.refuse_nothing();
    two.kill();
    one.until("that it leads again", leads).await;
    follows(&one, &maps, "a", "very-last").await;
}

/// Changes objects all the time.
struct Load {
    goes_on: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    fn start(maps: &Api<ConfigMap>, names: Vec<String>) -> Load {
        let goes_on = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn({
            let (maps, goes_on) = (maps.clone(), goes_on.clone());
            async move {
                let mut count = 0u32;
                while goes_on.load(Ordering::SeqCst) {
                    let name = &names[count as usize % names.len()];
                    take_step(&maps, name, &format!("s{count}")).await;
                    count += 1;
                    sleep(Duration::from_millis(30)).await;
                }
            }
        });
        Load { goes_on, task }
    }

    async fn stop(self) {
        self.goes_on.store(false, Ordering::SeqCst);
        self.task.await.unwrap();
    }
}

/// By name: the last value of the label `seen`, and how often it has changed.
type Changes = Arc<Mutex<HashMap<String, (Option<String>, usize)>>>;

/// How often the label `seen` of each object has changed, by an independent watch.
struct Observed {
    changes: Changes,
    task: tokio::task::JoinHandle<()>,
}

impl Observed {
    /// Returns when it has seen what is there: two changes before that would be one to it.
    async fn start(maps: &Api<ConfigMap>) -> Observed {
        let changes = Changes::default();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let task = tokio::spawn({
            let (maps, changes) = (maps.clone(), changes.clone());
            async move {
                let events = watcher(maps, watcher::Config::default());
                let mut events = std::pin::pin!(events);
                let mut begun = Some(begun);
                while let Some(event) = events.try_next().await.unwrap() {
                    let (map, listed) = match event {
                        watcher::Event::InitDone => {
                            begun.take().map(|begun| begun.send(()));
                            continue;
                        }
                        watcher::Event::Apply(map) => (map, false),
                        watcher::Event::InitApply(map) => (map, true),
                        _ => continue,
                    };
                    let mut changes = changes.lock().unwrap();
                    let name = map.metadata.name.clone().unwrap();
                    let known = changes.entry(name).or_default();
                    let seen = seen_of(&map);
                    known.1 += usize::from(seen != known.0);
                    assert!(!listed || known.1 <= 1, "the watch has a gap");
                    known.0 = seen;
                }
            }
        });
        begins.await.unwrap();
        Observed { changes, task }
    }

    fn count(&self) -> usize {
        self.changes.lock().unwrap().values().map(|(_, n)| n).sum()
    }

    /// Every write that the server took has changed an object: none was made twice.
    async fn agrees_with_the_audit_log(self, namespace: &str) {
        let ended = |code: fn(u64) -> bool| {
            let requests = shared().audit().of_ordain(namespace);
            let ended = requests
                .iter()
                .filter(|r| r.resource == "configmaps" && code(r.code));
            ended.count()
        };
        let taken = || ended(|code| code == 200);
        let begun = Instant::now();
        while self.count() < taken() && begun.elapsed() < Duration::from_secs(20) {
            sleep(Duration::from_millis(50)).await;
        }
        assert!(!self.task.is_finished());
        // Of a client that was killed meanwhile the server may do what it asked, and log another code, or none.
        let (changed, taken) = (self.count(), taken());
        let unclear = KILLS + ended(|code| code != 200 && code != 409);
        assert!(
            changed >= taken && changed <= taken + unclear,
            "a write was made twice: {taken} were taken, {changed} changed something, of {unclear} it is not known"
        );
        self.task.abort();
    }
}

/// The longest time without a write that the server took, between two moments.
fn longest_gap(namespace: &str, from: Timestamp, to: Timestamp) -> Duration {
    let requests = shared().audit().of_ordain(namespace);
    let mut times: Vec<Timestamp> = requests
        .iter()
        .filter(|r| r.resource == "configmaps" && r.code == 200)
        .map(|r| r.received.parse().unwrap())
        .filter(|t| *t >= from && *t <= to)
        .collect();
    times.extend([from, to]);
    times.sort();
    let gaps = times.windows(2).map(|w| w[1].duration_since(w[0]));
    gaps.max().unwrap().unsigned_abs()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_and_ten_kills_under_load_write_nothing_twice_and_leave_no_gap() {
    let plane = shared();
    let names: Vec<String> = (0..40).map(|n| format!("map-{n}")).collect();
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    let Scene {
        namespace,
        home,
        maps,
        leases,
    } = scene("rolling", &words).await;
    let kubeconfig = plane.kubeconfig();
    let mut old = [
        replica(&kubeconfig, &namespace, &home),
        replica(&kubeconfig, &namespace, &home),
    ];
    for daemon in &mut old {
        daemon
            .until("that it leads or stands by", |s| leads(s) || stands_by(s))
            .await;
        daemon.ready().await;
    }
    let observed = Observed::start(&maps).await;
    follows(&old[0], &maps, "map-0", "first").await;
    let load = Load::start(&maps, names);

    // Each old one goes when a new one is ready, as a Deployment does it.
    let begun = Timestamp::now();
    let mut new = vec![];
    for daemon in &mut old {
        let mut another = replica(&kubeconfig, &namespace, &home);
        another.ready().await;
        new.push(another);
        assert_eq!(daemon.stop().await, Some(0));
    }
    let mut leader = lead_among(&mut new).await;
    until("that the new leader writes", &new[leader], || async {
        longest_gap(
            &namespace,
            Timestamp::now() - jiff::SignedDuration::from_secs(1),
            Timestamp::now(),
        ) < Duration::from_millis(900)
    })
    .await;
    let gap = longest_gap(&namespace, begun, Timestamp::now());
    assert!(
        gap < PERIOD + TAKING,
        "a rolling update waits for no lease: {gap:?}"
    );

    let begun = Timestamp::now();
    for _ in 0..KILLS {
        // The worst moment: it has just renewed the Lease, and the other one has still to see that.
        renewed(&new[leader], &leases).await;
        new[leader].kill();
        new[1 - leader].until("that it leads", leads).await;
        new[leader].start_again();
        new[leader].until("that it stands by", stands_by).await;
        leader = 1 - leader;
    }
    let gap = longest_gap(&namespace, begun, Timestamp::now());
    assert!(gap <= LEASE, "longer than a lease: {gap:?}");
    load.stop().await;
    follows(&new[leader], &maps, "map-0", "last").await;
    observed.agrees_with_the_audit_log(&namespace).await;
}

/// Waits until the Lease is renewed.
async fn renewed(daemon: &Daemon, leases: &Api<Lease>) {
    let time = async || {
        let spec = leases.get("ordain").await.unwrap().spec.unwrap();
        spec.renew_time
    };
    let before = time().await;
    until("that the lease is renewed", daemon, || async {
        time().await != before
    })
    .await;
}

/// Which one leads; waits until one does.
async fn lead_among(daemons: &mut [Daemon]) -> usize {
    loop {
        for (n, daemon) in daemons.iter().enumerate() {
            if daemon.status().await.is_some_and(|s| leads(&s)) {
                return n;
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Presses a switch on a replica.
async fn press(daemon: &Daemon, path: &str) -> (u16, String) {
    daemon.http("POST", path).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_is_pressed_on_one_replica_holds_for_all_and_for_those_to_come() {
    let plane = shared();
    let Scene {
        namespace,
        home,
        maps,
        leases,
    } = scene("switches", &["a"]).await;
    let mut one = replica(&plane.kubeconfig(), &namespace, &home);
    one.until("that it leads", leads).await;
    let mut two = replica(&plane.kubeconfig(), &namespace, &home);
    two.until("that it stands by", stands_by).await;
    follows(&one, &maps, "a", "1").await;

    // On the one that stands by.
    let (code, said) = press(&two, "/freeze").await;
    assert_eq!(code, 200, "{said}");
    let frozen = |s: &Value| s["frozen"] == true;
    one.until("that the leader is frozen", frozen).await;
    take_step(&maps, "a", "2").await;
    // It sees the step, and would follow.
    until("what it would do", &one, || async {
        let (_, metrics) = one.http("GET", "/metrics").await.unwrap();
        metrics.contains(
            "ordain_would_change_total{rule=\"seeing\",kind=\"ConfigMap\",verb=\"patch\"} 1",
        )
    })
    .await;
    // The leader goes; the next one is frozen, and one that is started anew.
    one.kill();
    two.until("that it leads, frozen", |s| leads(s) && frozen(s))
        .await;
    one.start_again();
    one.until("that it stands by, frozen", |s| stands_by(s) && frozen(s))
        .await;
    assert_eq!(writes(&namespace), 1);
    // Somebody without a way to the replicas ends it.
    let unfrozen = Patch::Merge(json!({"metadata": {"annotations": {"ordain.dev/frozen": null}}}));
    leases
        .patch("ordain", &PatchParams::default(), &unfrozen)
        .await
        .unwrap();
    follows(&two, &maps, "a", "3").await;
    one.until("that it is not frozen", |s| s["frozen"] == false)
        .await;
}

/// Since when a match holds, as `explain` says.
async fn held_since(daemon: &Daemon, page: &str) -> String {
    let (_, said) = daemon.http("GET", page).await.unwrap();
    let explained: Value = serde_json::from_str(&said).unwrap();
    let since = explained["heldSince"].as_str();
    since.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_is_pressed_makes_nobody_forget_since_when_a_match_holds() {
    let plane = shared();
    let Scene {
        namespace,
        home,
        maps,
        ..
    } = scene("frozen-while", &[]).await;
    let waits = "  actions:\n  - after: 1h\n    delete: {}\n";
    let rules = format!("{}---\n{}", rule(&namespace), left_over(&namespace, waits));
    let mut daemon = replica_for(LEASE, &plane.kubeconfig(), &rules, &home);
    daemon.until("that it leads", leads).await;
    create_old(&maps, "a").await;
    follows(&daemon, &maps, "a", "1").await;
    let page = format!("/explain?rule=left-over&object=ConfigMap/{namespace}/a");
    let begun = held_since(&daemon, &page).await;
    for (switch, frozen) in [("/freeze", true), ("/unfreeze", false)] {
        let (code, said) = press(&daemon, switch).await;
        assert_eq!(code, 200, "{said}");
        daemon.until(switch, |s| s["frozen"] == frozen).await;
    }
    follows(&daemon, &maps, "a", "2").await;
    assert_eq!(held_since(&daemon, &page).await, begun);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_is_acknowledged_on_any_replica() {
    let plane = shared();
    let names: Vec<String> = (0..5).map(|n| format!("map-{n}")).collect();
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    let Scene {
        namespace,
        home,
        maps,
        leases,
    } = scene("stopped", &words).await;
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: sweeps}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
    names: ['map-*']
  actions:
  - delete: {{}}
  limits:
    abortAbove: {{objects: 3}}
"
    );
    let start = || {
        let more = [
            "--leader-election",
            &format!("--state-namespace={home}"),
            "--lease-duration=5s",
            "--lease-renew-deadline=3s",
            "--lease-retry-period=500ms",
        ];
        Daemon::start(&plane.kubeconfig(), &rule, &more)
    };
    let mut one = start();
    one.until("that it leads", leads).await;
    let mut two = start();
    two.until("that it stands by", stands_by).await;
    one.until("that the rule is stopped", |s| {
        s["rules"][0]["state"] == "aborted"
    })
    .await;
    let (code, said) = press(&two, "/acknowledge?rule=sweeps").await;
    assert_eq!(code, 202, "{said}");
    until("that all are gone", &one, || async {
        let left = maps.list(&Default::default()).await.unwrap();
        let swept = |m: &&ConfigMap| m.metadata.name.as_deref().unwrap().starts_with("map-");
        left.items.iter().filter(swept).count() == 0
    })
    .await;
    // Done, and not asked for again.
    until("that the Lease does not ask any more", &one, || async {
        let lease = leases.get("ordain").await.unwrap();
        let annotations = lease.metadata.annotations.unwrap_or_default();
        !annotations.contains_key("ordain.dev/acknowledge")
    })
    .await;
    let (code, _) = press(&one, "/acknowledge?rule=sweeps").await;
    assert_eq!(code, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_cannot_be_written_says_so_and_holds_where_it_was_pressed() {
    let plane = shared();
    let Scene {
        namespace,
        home,
        maps,
        ..
    } = scene("unwritten", &["a"]).await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    let mut daemon = replica(&proxy.kubeconfig(), &namespace, &home);
    daemon.until("that it leads", leads).await;
    follows(&daemon, &maps, "a", "1").await;
    proxy.refuse(Purpose::Write, "/leases/ordain", usize::MAX, 403, None);
    let (code, said) = press(&daemon, "/freeze").await;
    assert_eq!(code, 502, "{said}");
    assert!(said.contains("press it there too"), "{said}");
    proxy.refuse_nothing();
    let status = daemon.until("that it leads", leads).await;
    assert_eq!(status["frozen"], true);
}
