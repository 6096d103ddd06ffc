//! `--set NAME=VALUE`: whose value counts, and what is wrong with one.

use super::*;

const FLOOR: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: floor}
spec:
  mode: Enforce
  parameters:
  - {name: minimum, type: integer, default: 2}
  - {name: tier, default: front}
  match:
    resources: [{apiVersion: apps/v1, kind: Deployment}]
  where:
  - {path: $.spec.replicas, operator: LessThan, value: '${params.minimum}'}
  actions:
  - patch:
    - {path: $.spec.replicas, set: '${params.minimum}'}
    - {path: $.metadata.labels.tier, set: '${params.tier}'}
";

const PRODUCTION: &str = "apiVersion: ordain.dev/v1alpha1
kind: Parameters
metadata: {name: production}
spec:
  rules: ['floor']
  values: {minimum: 3}
";

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 1}
";

fn shop(parameters: &str) -> tempfile::TempDir {
    let rules = format!("{FLOOR}---\n{parameters}");
    folder(&[("r.yaml", &rules), ("cluster/web.yaml", WEB)])
}

fn plan(dir: &Path, more: &[&str]) -> Ran {
    let mut arguments = vec!["plan", "--rules", "r.yaml", "--manifests", "cluster"];
    arguments.extend(more);
    ordain(dir, &arguments)
}

/// Whether the plan gives the Deployment so many replicas, and this label.
#[track_caller]
fn plans(ran: &Ran, replicas: u32, tier: &str) {
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    for line in [
        format!("+  replicas: {replicas}\n"),
        format!("+    tier: {tier}\n"),
    ] {
        assert!(ran.out.contains(&line), "{line}{}{}", ran.out, ran.err);
    }
}

#[test]
fn the_default_is_beneath_parameters_and_these_beneath_what_is_set() {
    let (bare, production) = (shop(""), shop(PRODUCTION));
    plans(&plan(bare.path(), &[]), 2, "front");
    plans(&plan(production.path(), &[]), 3, "front");
    let five = ["--set", "minimum=5"];
    plans(&plan(bare.path(), &five), 5, "front");
    plans(&plan(production.path(), &five), 5, "front");
    // Each for itself; and a value goes on behind the first `=`.
    let both = ["--set", "tier=back=end", "--set", "minimum=4"];
    plans(&plan(production.path(), &both), 4, "back=end");
    let tier = ["--set", "tier=7"];
    plans(&plan(production.path(), &tier), 3, "\"7\"");
    // It is not just the plan's: a pass and an explanation read it too.
    let more = [
        "--rules",
        "r.yaml",
        "--manifests",
        "cluster",
        "--set",
        "minimum=6",
    ];
    let explain = [&["explain", "floor", "Deployment/shop/web"][..], &more].concat();
    let ran = ordain(bare.path(), &explain);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("$.spec.replicas LessThan 6 (is 1)"),
        "{}",
        ran.out
    );
    let once = [&["run", "--once", "--write-manifests", "result"][..], &more].concat();
    let ran = ordain(bare.path(), &once);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("+  replicas: 6\n"), "{}", ran.out);
}

#[test]
fn a_value_that_does_not_fit_its_type_is_a_problem_of_the_rule() {
    let dir = shop(PRODUCTION);
    for (value, said) in [("few", "few"), ("2.5", "2.5"), ("", "")] {
        let ran = plan(dir.path(), &["--set", &format!("minimum={value}")]);
        assert_eq!(ran.code, 3, "{value}: {}{}", ran.out, ran.err);
        for part in ["r.yaml:7:", "`--set minimum=…` does not fit: ", said] {
            assert!(ran.err.contains(part), "{part}: {}", ran.err);
        }
        assert!(!ran.out.contains("+  replicas"), "{}", ran.out);
    }
}

#[test]
fn a_name_that_no_rule_has_is_answered_with_the_nearest() {
    let dir = shop("");
    let ran = plan(dir.path(), &["--set", "minimun=3"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    let said = "no rule has a parameter `minimun`: did you mean `minimum`?";
    assert!(ran.err.contains(said), "{}", ran.err);
    let ran = plan(dir.path(), &["--set", "colour=red"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(
        ran.err.contains("no rule has a parameter `colour`\n"),
        "{}",
        ran.err
    );
}
