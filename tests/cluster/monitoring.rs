//! Alerts, judged by Debian's promtool.

use crate::control_plane::tools::run;
use crate::prometheus::program;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name)
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

/// Names of alerts.
fn alerts() -> BTreeSet<String> {
    let groups = yaml("prometheus/ordain.rules.yaml");
    let groups = groups["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|g| g["rules"].as_array().unwrap());
    rules
        .map(|rule| {
            for said in ["summary", "description", "runbook"] {
                let text = rule["annotations"][said].as_str().unwrap_or("");
                assert!(text.len() > 10, "{rule} has no {said}");
            }
            assert!(
                ["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap())
            );
            rule["alert"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn each_alert_fires_when_it_should_and_not_when_all_is_well() {
    let promtool = |arguments: &[&str]| {
        let mut command = Command::new(program("promtool"));
        run(command.args(arguments).current_dir(file("prometheus"))).ok()
    };
    let checked = promtool(&["check", "rules", "ordain.rules.yaml"]);
    assert!(
        checked.contains(&format!("{} rules found", alerts().len())),
        "{checked}"
    );
    promtool(&["test", "rules", "ordain.rules.test.yaml"]);
    // Both cases are there for each.
    let (mut firing, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    for test in yaml("prometheus/ordain.rules.test.yaml")["tests"]
        .as_array()
        .unwrap()
    {
        for case in test["alert_rule_test"].as_array().into_iter().flatten() {
            assert_eq!(case["exp_alerts"], Value::Null, "{case}");
            quiet.insert(case["alertname"].as_str().unwrap().to_owned());
        }
        for case in test["promql_expr_test"].as_array().into_iter().flatten() {
            let expression = case["expr"].as_str().unwrap();
            assert!(expression.contains("alertstate=\"firing\""), "{expression}");
            assert!(!case["exp_samples"].as_array().unwrap().is_empty());
            firing.insert(expression.split('"').nth(1).unwrap().to_owned());
        }
    }
    assert_eq!(firing, alerts());
    assert_eq!(quiet, alerts());
}
