//! What rules remember from one run to the next: `--state`.

use super::*;

const RULE: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: left-over}
spec:
  mode: Enforce
  match:
    resources:
    - {apiVersion: v1, kind: ConfigMap}
  actions:
  - event: {reason: Unused, message: goes in a week}
  - after: 7d
    delete: {}
";

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n";

fn run(dir: &Path, command: &[&str], now: &str) -> Ran {
    let mut args = command.to_vec();
    args.extend([
        "--rules",
        "r.yaml",
        "--manifests",
        "cluster",
        "--state",
        "state.json",
        "--now",
        now,
    ]);
    ordain(dir, &args)
}

#[test]
fn runs_that_follow_each_other_know_how_long_a_match_holds() {
    let dir = folder(&[("r.yaml", RULE), ("cluster/a.yaml", MAP)]);
    let once = ["run", "--once"];
    let first = run(dir.path(), &once, "2026-01-01T00:00:00Z");
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    assert!(first.out.ends_with("1 event told\n"), "{}", first.out);
    let second = run(dir.path(), &once, "2026-01-03T00:00:00Z");
    assert!(second.out.ends_with("nothing changed\n"), "{}", second.out);
    let plan = run(dir.path(), &["plan"], "2026-01-03T12:00:00Z");
    assert_eq!(plan.code, 0, "{}", plan.err);
    assert_eq!(
        plan.out,
        "in 4d12h delete ConfigMap/shop/a by left-over\nnothing to change, 1 later\n"
    );
    let last = run(dir.path(), &once, "2026-01-08T00:00:00Z");
    assert!(last.out.ends_with("1 deleted\n"), "{}", last.out);
}

#[test]
fn a_damaged_file_is_told_and_a_newer_one_refused() {
    let dir = folder(&[
        ("r.yaml", RULE),
        ("cluster/a.yaml", MAP),
        ("state.json", "rubbish"),
    ]);
    let ran = run(dir.path(), &["run", "--once"], "2026-01-01T00:00:00Z");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains(
            "--state state.json: it is no state of Ordain's: line 1: what is lost begins anew"
        ),
        "{}",
        ran.err
    );
    let written = std::fs::read_to_string(dir.path().join("state.json")).unwrap();
    assert!(written.contains("\"left-over\""), "{written}");
    let newer = "{\"version\": 7}";
    std::fs::write(dir.path().join("state.json"), newer).unwrap();
    let ran = run(dir.path(), &["run", "--once"], "2026-01-01T00:00:00Z");
    assert_ne!(ran.code, 0);
    assert!(
        ran.err.contains("format 7, written by a newer version"),
        "{}",
        ran.err
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("state.json")).unwrap(),
        newer
    );
}

const HELD: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: frozen}
spec:
  mode: Enforce
  match:
    resources: [{apiVersion: v1, kind: ConfigMap}]
  actions:
  - patch: [{path: $.data.frozen, set: \"yes\"}]
    lifetime: WhileMatched
";

const OTHER: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: other}
spec:
  match:
    resources: [{apiVersion: v1, kind: Secret}]
  actions:
  - warn: {message: a Secret}
";

#[test]
fn what_a_rule_holds_is_given_back_by_a_run_without_it() {
    let dir = folder(&[
        ("r.yaml", HELD),
        ("other.yaml", OTHER),
        ("cluster/a.yaml", MAP),
    ]);
    let run = |rules: &str, from: &str, to: &str| {
        let manifests = [
            "run",
            "--once",
            "--rules",
            rules,
            "--manifests",
            from,
            "--write-manifests",
            to,
            "--state",
            "state.json",
            "--now",
            "2026-01-01T00:00:00Z",
        ];
        let ran = ordain(dir.path(), &manifests);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        let mut text = String::new();
        for file in std::fs::read_dir(dir.path().join(to)).unwrap() {
            text.push_str(&std::fs::read_to_string(file.unwrap().path()).unwrap());
        }
        (ran.out, text)
    };
    let state = || std::fs::read_to_string(dir.path().join("state.json")).unwrap();
    let (_, first) = run("r.yaml", "cluster", "first");
    assert!(first.contains("frozen: "), "{first}");
    assert!(state().contains("\"holds\""), "{}", state());
    // Another rule, and not this one.
    let (out, second) = run("other.yaml", "first", "second");
    assert!(out.ends_with("1 patched\n"), "{out}");
    assert!(
        !second.contains("frozen") && !second.contains("ordain.dev"),
        "{second}"
    );
    assert!(!state().contains("\"holds\""), "{}", state());
    let (out, _) = run("other.yaml", "second", "third");
    assert!(out.ends_with("nothing changed\n"), "{out}");
}
