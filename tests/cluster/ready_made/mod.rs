//! The rules of `rules/` in Enforce on the real server: each does what it is for, to what it is for, and to nothing else.
//!
//! `cases/RULE.yaml` has the objects of a rule, given and expected: in each step objects are put (as given, their status too) or removed, and all
//! that Ordain writes on the objects and in the namespaces of the case is in `done`, by the audit log, each write once. What the objects that it
//! wrote to are like then is in `left`, the Events that it writes in `events`, the files of the archive in `archived`. `adapt` replaces text of the rule where the
//! server's clock cannot be set: ages of creation, and how long something has to last. The rules run under exactly the rights that `ordain rbac`
//! prints for all of them.

pub mod administrator;
pub mod case;
mod left;

use crate::control_plane::{Options, Plane};
use crate::daemon::Daemon;
use crate::rights;
use administrator::Cluster;
use case::{Case, Step, said};
use left::Before;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What a step does is done within this time, or never.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long Ordain has nothing to do before it is believed.
const QUIET: Duration = Duration::from_millis(400);

/// Waits until the daemon has nothing to do, and goes on to have nothing to do.
async fn quiet(daemon: &Daemon) {
    let started = Instant::now();
    let mut since = Instant::now();
    while since.elapsed() < QUIET {
        let status = daemon.status().await;
        let idle = |s: &serde_json::Value| s["requestsInFlight"] == 0 && s["queueDepth"] == 0;
        if !status.as_ref().is_some_and(idle) {
            since = Instant::now();
        }
        assert!(
            started.elapsed() < PATIENCE,
            "it is never done\n{}",
            daemon.log()
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// Whether all of `wanted` are there, each as often.
fn holds(found: &[String], wanted: &[String]) -> bool {
    let times = |list: &[String], item| list.iter().filter(|other| *other == item).count();
    wanted
        .iter()
        .all(|item| times(found, item) >= times(wanted, item))
}

fn sorted(list: &[String]) -> Vec<String> {
    let mut list = list.to_vec();
    list.sort();
    list
}

/// What came of a step otherwise than the case says: once it has come, or after a long time, and Ordain has nothing left to do.
async fn outcome(
    step: &Step,
    case: &Case,
    (from, before): (usize, &Before),
    (cluster, plane, daemon): (&Cluster, &Plane, &Daemon),
) -> Vec<String> {
    let archive = daemon.rules().join("../archive");
    let written = || case.written(plane, from);
    let started = Instant::now();
    loop {
        let done: Vec<String> = written().iter().map(said).collect();
        let events = before.events(case, cluster, plane).await;
        let archived = before.archived(&archive).len() >= step.archived.len();
        let all = holds(&done, &step.done) && holds(&events, &step.events) && archived;
        if all || started.elapsed() > PATIENCE {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    quiet(daemon).await;
    let mut failures = vec![];
    let written = written();
    let mut done: Vec<String> = written.iter().map(said).collect();
    done.sort();
    let mut compare = |what: &str, found: Vec<String>, wanted: &[String]| {
        let wanted = sorted(wanted);
        if found != wanted {
            failures.push(format!("{what} {found:#?} and should be {wanted:#?}"));
        }
    };
    compare("what Ordain wrote is", done, &step.done);
    let events = before.events(case, cluster, plane).await;
    compare("the Events are", events, &step.events);
    let status = daemon.status().await.unwrap();
    let told = case.told(&status).into_iter().collect();
    compare("the findings are", told, &step.findings);
    let archived = before.archived(&archive);
    let wanted = serde_json::Value::Array(step.archived.clone());
    failures.extend(left::differences(&wanted, &archived.into(), "archived"));
    failures.extend(left::objects(step, case, &written, cluster).await);
    failures
}

/// One case from its first step to its last; what came out otherwise.
async fn play(case: &Case, cluster: &Cluster, plane: &Plane, daemon: &mut Daemon) -> String {
    let mut failures = String::new();
    for (number, step) in case.steps.iter().enumerate() {
        let from = plane.audit().of_ordain("").len();
        let archive = daemon.rules().join("../archive");
        let before = Before::new(case, cluster, plane, &archive).await;
        cluster.change(step).await;
        if number == 0 {
            daemon.save_rules(&case.text());
            daemon
                .until(&format!("{} in force", case.name), |s| {
                    let rules = s["rules"].as_array().unwrap();
                    let ours = rules
                        .iter()
                        .filter(|r| case.is_of(r["name"].as_str().unwrap()));
                    let kinds = s["kinds"].as_array().unwrap();
                    ours.count() == case.rules().len()
                        && rules.len() == case.rules().len()
                        && kinds.iter().all(|k| k["state"] == "Synced")
                })
                .await;
        }
        let failed = outcome(step, case, (from, &before), (cluster, plane, daemon)).await;
        if !failed.is_empty() {
            let (name, number, log) = (&case.name, number + 1, daemon.log());
            failures = format!("{name}, step {number}: {}\n{log}", failed.join("\n"));
            break;
        }
    }
    daemon.save_rules(case::NOTHING);
    daemon
        .until("that the rule is gone", |s| {
            s["rules"].as_array().is_some_and(|r| r.len() == 1)
        })
        .await;
    quiet(daemon).await;
    cluster.clear(case).await;
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn every_ready_made_rule_does_what_it_is_for_on_a_real_cluster() {
    let cases = case::all();
    // Every file of rules/ has one.
    let files: BTreeSet<String> = case::files().into_iter().map(|(_, name)| name).collect();
    let covered: BTreeSet<String> = cases.iter().map(|case| case.name.clone()).collect();
    assert_eq!(covered, files);
    let plane = tokio::task::spawn_blocking(|| Plane::start(Options::default()))
        .await
        .unwrap();
    let cluster = Cluster::new(&plane).await;
    for case in &cases {
        cluster.prepare(case).await;
    }
    let kubeconfig = rights::whole_identity(&plane, &cases).await;
    let mut daemon = Daemon::start(
        &kubeconfig,
        case::NOTHING,
        &[
            "--state-namespace=ordain-system",
            "--leader-election",
            "--lease-name=ordain",
        ],
    );
    daemon.ready().await;
    let mut failures = vec![];
    for case in &cases {
        if std::env::var("ORDAIN_RULE").is_ok_and(|only| only != case.name) {
            continue;
        }
        let started = Instant::now();
        let failure = play(case, &cluster, &plane, &mut daemon).await;
        if !failure.is_empty() {
            println!("{failure}");
        }
        failures.push(failure);
        println!("{:>6} ms {}", started.elapsed().as_millis(), case.name);
    }
    failures.retain(|failure| !failure.is_empty());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let log = daemon.whole_log().to_lowercase();
    assert!(!log.contains("forbidden"), "{}", daemon.log());
    // What it keeps in its own namespace it can keep again and again.
    let mut refused = plane.audit().of_ordain("ordain-system");
    refused.retain(|r| !(200..300).contains(&r.code));
    assert!(refused.is_empty(), "{refused:#?}");
    assert_eq!(daemon.stop().await, Some(0));
}
