//! What `explain` says where it is not a test that failed: what is not known, a moment that is still to come, other rules, limits.

use super::*;

fn world(rules: &str) -> tempfile::TempDir {
    let cluster = config_map("a") + &config_map("b");
    folder(&[("r.yaml", rules), ("cluster/all.yaml", &cluster)])
}

/// Whether a whole line was printed.
#[track_caller]
fn says(ran: &Ran, line: &str) {
    let found = ran.out.lines().any(|printed| printed == line);
    assert!(found, "no line {line:?} in\n{}{}", ran.out, ran.err);
}

/// What a running daemon says.
fn ask(daemon: &Running, dir: &Path, rule: &str, object: &str) -> Ran {
    let from = daemon.address();
    ordain(dir, &["explain", rule, object, "--from", from])
}

#[test]
fn a_clause_whose_answer_nobody_knows_says_why() {
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: joined}
spec:
  match:
    resources: [{apiVersion: v1, kind: ConfigMap}]
  where:
  - {path: $.data.key, value: value}
  - {expression: '${size(partners)}', operator: AtLeast, value: 1}
  related:
  - name: partners
    resources: [{apiVersion: v1, kind: ConfigMap}]
    names: ['${object.data.partner}']
  actions:
  - patch:
    - {path: $.metadata.labels.joined, set: 'yes'}
";
    let dir = world(rule);
    let ran = explain(dir.path(), "joined", "ConfigMap/shop/a", &[]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    says(&ran, "  passed  $.data.key Equals \"value\" (is value)");
    says(
        &ran,
        "  unknown ${size(partners)} AtLeast 1: `partners` is not known: for `names`, `object.data.partner` is not there",
    );
    let ran = explain(dir.path(), "joined", "ConfigMap/shop/a", &["-o", "json"]);
    let told = ran.json();
    assert_eq!(told["tests"][1]["outcome"], "unknown");
    assert_eq!(told["acts"], false);
    // Once it is known, it is a test like another.
    let partner = config_map("a").replace("key: value", "key: value\n  partner: b");
    put(
        dir.path(),
        "cluster/all.yaml",
        &(partner + &config_map("b")),
    );
    let ran = explain(dir.path(), "joined", "ConfigMap/shop/a", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    says(&ran, "  passed  ${size(partners)} AtLeast 1 (is 1)");
}

#[test]
fn a_moment_that_is_still_to_come_is_named() {
    let rule = label_rule("aged", "old", "yes").replace(
        "  where:\n",
        "  where:\n  - {path: $.metadata.creationTimestamp, as: age, operator: AtLeast, value: 1h}\n",
    );
    let dir = world(&rule);
    let made = "name: a\n  creationTimestamp: 2026-01-01T00:00:00Z";
    put(
        dir.path(),
        "cluster/all.yaml",
        &config_map("a").replace("name: a", made),
    );
    let early = ["--now", "2026-01-01T00:20:00Z"];
    let ran = explain(dir.path(), "aged", "ConfigMap/shop/a", &early);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    says(
        &ran,
        "looked at again at 2026-01-01T01:00:00Z, or when something changes",
    );
    let due = ["--now", "2026-01-01T01:00:00Z"];
    let ran = explain(dir.path(), "aged", "ConfigMap/shop/a", &due);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(!ran.out.contains("looked at again"), "{}", ran.out);
}

#[test]
fn other_rules_that_act_on_the_object_are_beside_it() {
    let first =
        label_rule("first", "one", "yes").replace("mode: Enforce", "mode: Enforce\n  priority: 5");
    let idle = label_rule("idle", "two", "yes").replace(
        "  where:\n",
        "  where:\n  - {path: $.data.key, value: other}\n",
    );
    let own = label_rule("own", "three", "yes").replace("Enforce", "Audit");
    let dir = world(&[first, idle, own].join("---\n"));
    let ran = explain(dir.path(), "own", "ConfigMap/shop/a", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    says(
        &ran,
        "beside it: first (Enforce, priority 5), whose turn is before this rule's, wants to patch it",
    );
    assert!(!ran.out.contains("idle"), "{}", ran.out);
    let ran = explain(dir.path(), "first", "ConfigMap/shop/a", &[]);
    says(
        &ran,
        "beside it: own (Audit, priority 0), whose turn is after this rule's, wants to patch it",
    );
}

#[test]
fn a_limit_that_holds_it_up_is_in_the_way() {
    let limited = label_rule("limited", "team", "blue") + "  limits: {abortAbove: {objects: 1}}\n";
    let dir = world(&limited);
    let ran = explain(dir.path(), "limited", "ConfigMap/shop/a", &[]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    says(&ran, "it matches, and the rule is stopped");
    says(
        &ran,
        "in the way: Aborted: the rule stopped: 0 acted on in the last 10 minutes and 2 due, more than abortAbove.objects: 1 allows; it goes on when it is acknowledged or changed",
    );
    // One of the two has had its turn, the other one waits.
    let throttled =
        label_rule("slow", "team", "blue") + "  limits: {throttle: {objects: 1, per: 1h}}\n";
    put(dir.path(), "r.yaml", &throttled);
    let daemon = Running::start(dir.path(), &["--rules", "r.yaml", "--manifests", "cluster"]);
    daemon.status(|s| s["changes"]["made"] == 1 && s["findings"]["byReason"]["Throttled"] == 1);
    let ran = ask(&daemon, dir.path(), "slow", "ConfigMap/shop/b");
    let waits = "in the way: Throttled: ";
    assert!(ran.out.contains(waits), "{}{}", ran.out, ran.err);
}

#[test]
fn a_schedule_that_is_closed_keeps_a_rule_from_acting() {
    let nightly = label_rule("nightly", "team", "blue")
        + "  schedule: [{cron: '0 20 * * *', duration: 2h, timeZone: Europe/Berlin}]\n";
    let dir = world(&nightly);
    let day = ["--now", "2026-10-25T10:00:00Z"];
    let ran = explain(dir.path(), "nightly", "ConfigMap/shop/a", &day);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    says(&ran, "its schedule is closed");
    says(
        &ran,
        "in the way: schedule: it opens at 2026-10-25T19:00:00Z",
    );
    assert!(!ran.out.contains("it matches"), "{}", ran.out);
    // What it will do is shown all the same.
    assert!(ran.out.contains("patch ConfigMap/shop/a"), "{}", ran.out);
    let night = ["--now", "2026-10-25T19:30:00Z"];
    let ran = explain(dir.path(), "nightly", "ConfigMap/shop/a", &night);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    says(&ran, "it matches, and there is something to do");
}

#[test]
fn an_open_breaker_is_in_the_way() {
    let rule =
        label_rule("again", "team", "blue") + "  limits: {perObject: {changes: 2, per: 10m}}\n";
    let dir = world(&rule);
    let daemon = Running::start(dir.path(), &["--rules", "r.yaml", "--manifests", "cluster"]);
    daemon.status(|s| s["changes"]["made"] == 2);
    // Whoever writes this file takes the label away each time.
    let mut times = 0;
    let status = loop {
        times += 1;
        let other = config_map("a").replace("key: value", &format!("key: '{times}'"));
        put(dir.path(), "cluster/all.yaml", &(other + &config_map("b")));
        let status = daemon.status(|s| {
            s["changes"]["made"].as_u64() > Some(1 + times)
                || s["findings"]["byReason"]["BreakerOpen"] == 1
        });
        if status["findings"]["byReason"]["BreakerOpen"] == 1 {
            break status;
        }
        assert!(times < 5, "{status}");
    };
    let message = status["findings"]["listed"][0]["message"].as_str().unwrap();
    let ran = ask(&daemon, dir.path(), "again", "ConfigMap/shop/a");
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    says(&ran, &format!("in the way: BreakerOpen: {message}"));
    let ran = ask(&daemon, dir.path(), "again", "ConfigMap/shop/b");
    assert!(!ran.out.contains("BreakerOpen"), "{}", ran.out);
}
