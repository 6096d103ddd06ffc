//! The rules of `rules/` in Enforce on the real server: each does what it is for, to what it is for, and to nothing else.
//!
//! `cases/RULE.yaml` has the objects of a rule, given and expected: in each step objects are put (as given, their status too) or removed, and all
//! that Ordain writes on the objects and in the namespaces of the case is in `done`, by the audit log. `adapt` replaces text of the rule where the
//! server's clock cannot be set: ages of creation, and how long something has to last. The rules run under exactly the rights that `ordain rbac`
//! prints for all of them.

pub mod case;

use crate::control_plane::{Options, Plane};
use crate::daemon::Daemon;
use crate::rights;
use case::{Case, Cluster};
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

/// One case from its first step to its last; what came out otherwise.
async fn play(case: &Case, cluster: &Cluster, plane: &Plane, daemon: &mut Daemon) -> String {
    let mut failures = String::new();
    for (number, step) in case.steps.iter().enumerate() {
        let before = plane.audit().of_ordain("").len();
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
        let wanted: BTreeSet<String> = step.done.iter().cloned().collect();
        let started = Instant::now();
        let mut found = case.written(plane, before);
        while !wanted.is_subset(&found) && started.elapsed() < PATIENCE {
            sleep(Duration::from_millis(50)).await;
            found = case.written(plane, before);
        }
        quiet(daemon).await;
        found = case.written(plane, before);
        if found != wanted {
            failures = format!(
                "{}, step {}: Ordain wrote {found:#?} and should write {wanted:#?}\n{}",
                case.name,
                number + 1,
                daemon.log()
            );
            break;
        }
        let status = daemon.status().await.unwrap();
        let told = case.told(&status);
        let wanted: BTreeSet<String> = step.findings.iter().cloned().collect();
        if told != wanted {
            failures = format!(
                "{}, step {}: the findings are {told:#?} and should be {wanted:#?}",
                case.name,
                number + 1
            );
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
    assert_eq!(daemon.stop().await, Some(0));
}
