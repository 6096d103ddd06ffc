//! Doing it twice is doing it once: rules made by chance on objects made by chance come to rest with one write, and find nothing to do in
//! their own result.

use crate::generated::{Chance, case, rule};
use crate::program::{folder, ordain};
use serde_json::Value;

const CASES: usize = 250;

/// `ORDAIN_SEED` tries others.
fn seed() -> u64 {
    let given = std::env::var("ORDAIN_SEED").ok();
    given.and_then(|s| s.parse().ok()).unwrap_or(1)
}

#[test]
fn what_was_done_is_not_done_again() {
    let mut chance = Chance::new(seed());
    let cases: Vec<_> = (0..CASES).map(|n| case(&mut chance, n, "shop")).collect();
    let of = |values: Vec<&Value>| {
        let texts: Vec<String> = values.iter().map(|v| v.to_string()).collect();
        texts.join("\n---\n")
    };
    let rules = of(cases.iter().map(|c| &c.rule).collect());
    let objects = of(cases.iter().map(|c| &c.object).collect());
    let dir = folder(&[("rules.yaml", &rules), ("objects.yaml", &objects)]);
    let run = |manifests: &str, to: &str| {
        ordain(
            dir.path(),
            &[
                "run",
                "--once",
                "--rules=rules.yaml",
                &format!("--manifests={manifests}"),
                &format!("--write-manifests={to}"),
                "--output=json",
            ],
        )
    };
    let first = run("objects.yaml", "first");
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    let first = first.json();
    let mut changed: Vec<&str> = first["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["object"].as_str().unwrap())
        .collect();
    assert!(changed.len() > CASES / 2, "only {} changed", changed.len());
    // One rule each: an object that stands there twice was written twice.
    changed.sort_unstable();
    let twice: Vec<&str> = changed
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
    let second = run("first", "second");
    assert_eq!(second.code, 0, "{}{}", second.out, second.err);
    let second = second.json();
    let mut failures = String::new();
    for change in second["changes"].as_array().unwrap() {
        let object = change["object"].as_str().unwrap();
        let (_, name) = object.rsplit_once('/').unwrap();
        let rule = &cases.iter().find(|c| c.rule["metadata"]["name"] == name);
        failures.push_str(&format!(
            "{object}\n{}\n{}\n",
            rule.unwrap().rule["spec"]["actions"],
            change["diff"].as_str().unwrap_or_default()
        ));
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Several rules on one object, of which some contradict each other: what they come to in one pass they leave alone in the next.
#[test]
fn what_several_rules_did_is_not_done_again() {
    let mut chance = Chance::new(seed() + 1);
    let (mut rules, mut objects) = (vec![], vec![]);
    for number in 0..CASES {
        let case = case(&mut chance, number, "shop");
        for more in ["b", "c"] {
            let name = format!("g-{number:03}-{more}");
            rules.push(rule(&mut chance, &case.object, &name));
        }
        rules.push(case.rule);
        objects.push(case.object);
    }
    let of = |values: &[Value]| {
        let texts: Vec<String> = values.iter().map(Value::to_string).collect();
        texts.join("\n---\n")
    };
    let (rules_text, objects_text) = (of(&rules), of(&objects));
    let dir = folder(&[("rules.yaml", &rules_text), ("objects.yaml", &objects_text)]);
    let run = |manifests: &str, to: &str| {
        let run = ordain(
            dir.path(),
            &[
                "run",
                "--once",
                "--rules=rules.yaml",
                &format!("--manifests={manifests}"),
                &format!("--write-manifests={to}"),
                "--output=json",
            ],
        );
        assert!([0, 3].contains(&run.code), "{}{}", run.out, run.err);
        run.json()
    };
    let about = |of: &Value| -> Vec<String> {
        let about = of["changes"].as_array().unwrap().iter();
        let mut about: Vec<String> = about
            .map(|c| c["object"].as_str().unwrap().to_owned())
            .collect();
        about.sort_unstable();
        about.dedup();
        about
    };
    let first = run("objects.yaml", "first");
    let changed = about(&first);
    assert!(changed.len() > CASES / 2, "only {} changed", changed.len());
    let conflicts = first["findings"].as_array().unwrap().iter();
    let conflicts = conflicts.filter(|f| f["reason"] == "Conflict").count();
    assert!(conflicts > 0, "nothing contradicts anything");
    let second = run("first", "second");
    let mut failures = String::new();
    for change in second["changes"].as_array().unwrap() {
        let object = change["object"].as_str().unwrap();
        let (_, name) = object.rsplit_once('/').unwrap();
        failures.push_str(&format!("{object} by {}\n", change["rule"]));
        for rule in &rules {
            if rule["metadata"]["name"].as_str().unwrap().starts_with(name) {
                let edits = &rule["spec"]["actions"][0]["patch"];
                failures.push_str(&format!("  {}: {edits}\n", rule["metadata"]["name"]));
            }
        }
        failures.push_str(change["diff"].as_str().unwrap_or_default());
        failures.push('\n');
    }
    assert!(failures.is_empty(), "{failures}");
}
