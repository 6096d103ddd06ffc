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
