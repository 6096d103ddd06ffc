//! `ordain test`, and every RuleTest that the project ships.

use super::*;
use ordain::rule_test::{Run, run_all};
use ordain::schema::Schema;

const TEST: &str = "apiVersion: ordain.dev/v1alpha1
kind: RuleTest
metadata:
  name: teams
spec:
  rules: [../r.yaml]
  objects:
  - objects.yaml
  steps:
  - at: 2026-01-01T00:00:00Z
    expect:
      changes:
      - {verb: patch, object: ConfigMap/shop/a, rule: r}
      - {verb: patch, object: ConfigMap/shop/b}
      findings: []
      writes: 2
      objects:
      - apiVersion: v1
        kind: ConfigMap
        metadata: {name: a, namespace: shop, labels: {team: one}}
        data: {key: value}
  - expect: {changes: [], writes: 0}
  - at: 2026-01-02T00:00:00Z
    apply:
    - apiVersion: v1
      kind: ConfigMap
      metadata: {name: c, namespace: shop}
    delete: [ConfigMap/shop/b]
    expect:
      changes:
      - {verb: patch, object: ConfigMap/shop/c}
      absent: [ConfigMap/shop/b]
";

fn tested(test: &str) -> tempfile::TempDir {
    folder(&[
        // Audit is taken as Enforce.
        (
            "r.yaml",
            &label_rule("r", "team", "one").replace("Enforce", "Audit"),
        ),
        ("tests/objects.yaml", &(config_map("a") + &config_map("b"))),
        ("tests/t.yaml", test),
    ])
}

#[test]
fn a_test_that_holds_passes() {
    let dir = tested(TEST);
    let ran = ordain(dir.path(), &["test", "."]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "passed teams (./tests/t.yaml:1)\n1 passed, 0 failed\n"),
        "{}",
        ran.err
    );
    let json = ordain(dir.path(), &["test", "tests", "-o", "json"]).json();
    assert_eq!(
        (&json["passed"], &json["failed"], &json["tests"][0]["name"]),
        (&1.into(), &0.into(), &"teams".into())
    );
}

#[test]
fn a_test_that_does_not_hold_says_what_differs() {
    let wrong = TEST
        .replace(
            "object: ConfigMap/shop/b}\n      findings",
            "object: ConfigMap/shop/z}\n      findings",
        )
        .replace("labels: {team: one}", "labels: {team: two}")
        .replace("writes: 0", "writes: 7")
        .replace("absent: [ConfigMap/shop/b]", "absent: [ConfigMap/shop/a]");
    let dir = tested(&wrong);
    let ran = ordain(dir.path(), &["test", "."]);
    assert_eq!(ran.code, 1);
    for said in [
        "FAILED teams (./tests/t.yaml:1)",
        "step in line 10 at 2026-01-01T00:00:00Z: changes differ (- expected, + actual)",
        "  - patch ConfigMap/shop/z\n  + patch ConfigMap/shop/b by r\n",
        "ConfigMap/shop/a differs (- expected, + actual)",
        "-    team: two\n  +    team: one\n",
        "7 writes expected, 0 made",
        "ConfigMap/shop/a exists",
        "0 passed, 1 failed\n",
    ] {
        assert!(ran.out.contains(said), "{said}:\n{}", ran.out);
    }
}

#[test]
fn a_test_that_cannot_be_run_fails_with_the_place() {
    for (broken, said) in [
        (
            TEST.replace("../r.yaml", "../s.yaml"),
            "s.yaml cannot be read: No such file",
        ),
        (
            TEST.replace("verb: patch", "verb: pat"),
            "t.yaml:13:16: error: no verb `pat`",
        ),
        (
            TEST.replace(
                "ConfigMap/shop/b}\n      findings",
                "ConfgMap/shop/b}\n      findings",
            ),
            "did you mean `ConfigMap`?",
        ),
        (
            TEST.replace("2026-01-02T", "2025-01-02T"),
            "earlier than the step before it",
        ),
        (
            TEST.replace("  - objects.yaml", "  - missing.yaml"),
            "missing.yaml:1:1: error: cannot be read",
        ),
        (
            TEST.replace(
                "    delete: [ConfigMap/shop/b]",
                "    delete: [ConfigMap/shop/x]",
            ),
            "delete: ConfigMap/shop/x does not exist",
        ),
        (TEST.replace("spec:\n", "spec: [\n"), "t.yaml:"),
        (
            TEST.replace("findings: []", "findings: [{reason: Warnings}]"),
            "did you mean `Warning`?",
        ),
    ] {
        let dir = tested(&broken);
        let ran = ordain(dir.path(), &["test", "tests"]);
        assert_eq!(ran.code, 1, "{said}: {}", ran.out);
        assert!(ran.out.contains(said), "{said}:\n{}", ran.out);
    }
    let dir = tested(TEST);
    put(
        dir.path(),
        "r.yaml",
        &label_rule("r", "team", "one").replace("$.metadata", "$.metaData"),
    );
    let ran = ordain(dir.path(), &["test", "tests"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains("r.yaml:11:") && ran.out.contains("did you mean `metadata`?"),
        "{}",
        ran.out
    );
}

#[test]
fn nothing_to_test_is_no_success() {
    let dir = folder(&[("r.yaml", &label_rule("r", "a", "b"))]);
    let ran = ordain(dir.path(), &["test", "."]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "no RuleTest is there\n"));
}

/// Every RuleTest of the project passes: the ready-made rules, and what the engine's own tests say as rules and objects.
#[test]
fn every_rule_test_of_the_project_passes() {
    let run = Run {
        schema: Schema::bundled(),
        selection: ordain::rules_dir::Selection::default(),
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let paths: Vec<PathBuf> = ["rules", "tests/offline/rules"]
        .map(|p| root().join(p))
        .into();
    let verdicts = run_all(&paths, &run, &mut |_, _| {});
    assert!(verdicts.len() >= 3);
    let failed: Vec<String> = verdicts
        .iter()
        .filter(|v| !v.passed())
        .map(|v| {
            let problems = v.problems.iter().map(ToString::to_string);
            let failures = v
                .failures
                .iter()
                .map(|f| format!("line {} at {}: {}", f.line, f.at, f.text));
            format!(
                "{} ({}:{})\n{}",
                v.name,
                v.file,
                v.line,
                problems.chain(failures).collect::<Vec<_>>().join("\n")
            )
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn what_a_step_applies_it_does_not_delete() {
    let dir = tested(&TEST.replace("delete: [ConfigMap/shop/b]", "delete: [ConfigMap/shop/c]"));
    let ran = ordain(dir.path(), &["test", "."]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let why = "delete: ConfigMap/shop/c is applied in the same step, where deletions come last: write two steps";
    assert!(ran.out.contains(why), "{}", ran.out);
}
