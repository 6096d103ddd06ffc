//! What `plan` tells is what a run does: each folder of `tests/offline/plans` holds rules and a cluster, what `plan` says of them (`plan.txt`)
//! and what `run --once` does (`run.txt`), on a Thursday, half a minute past nine in the evening.
//!
//! `ORDAIN_BLESS=1 cargo test --test offline plans` writes what came out; read the difference before you commit it.

use super::*;
use serde_json::Value;
use std::collections::BTreeSet;

const NOW: &str = "2026-01-08T21:00:30Z";

/// `plan`, or a run, in one of the folders.
fn told(case: &Path, words: &[&str]) -> Ran {
    let world = ["--rules", "rule.yaml", "--manifests", "cluster.yaml"];
    ordain(case, &[words, &world, &["--now", NOW]].concat())
}

/// What is done to which object now, by rules in Enforce.
fn done(document: &Value) -> BTreeSet<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = document["changes"].as_array().unwrap().iter();
    changes
        .filter(|c| c["mode"] == "Enforce" && c["outsideSchedule"].is_null())
        .filter(|c| c["blocked"].is_null())
        .map(|c| (text(&c["rule"]), text(&c["verb"]), text(&c["object"])))
        .collect()
}

/// What `warn` and `deny` steps say now.
fn said(document: &Value) -> Vec<Value> {
    let findings = document["findings"].as_array().unwrap().iter();
    findings
        .filter(|f| f["reason"] == "Warning" || f["reason"] == "Denied")
        .filter(|f| f["outsideSchedule"].is_null())
        .cloned()
        .collect()
}

#[test]
fn what_a_plan_tells_is_what_a_run_does() {
    let bless = std::env::var_os("ORDAIN_BLESS").is_some();
    let mut failures = vec![];
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root().join("tests/offline/plans"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 5, "only {} cases", cases.len());
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let run = &["run", "--once", "--admit"];
        for (file, words) in [("plan.txt", &["plan"][..]), ("run.txt", run)] {
            let found = told(&case, words).out;
            if bless {
                std::fs::write(case.join(file), &found).unwrap();
            }
            let expected = std::fs::read_to_string(case.join(file)).unwrap_or_default();
            if found != expected {
                failures.push(format!(
                    "--- {name}/{file}: expected\n{expected}--- {name}/{file}: found\n{found}"
                ));
            }
        }
        let json = |words: &[&str]| told(&case, &[words, &["-o", "json"]].concat()).json();
        let (plan, run) = (json(&["plan"]), json(run));
        let (planned, made) = (done(&plan), done(&run));
        if planned != made {
            failures.push(format!("--- {name}: planned {planned:#?}\nmade {made:#?}"));
        }
        if said(&plan) != said(&run) {
            failures.push(format!("--- {name}: said {plan:#}\nand {run:#}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
