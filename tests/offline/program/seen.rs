//! What the log, `/status` and the other pages tell of a running daemon, and what they never tell.

use super::*;
use serde_json::Value;

const ARGUMENTS: [&str; 4] = ["--rules", "rules", "--manifests", "cluster"];

/// The lines of the log that name an object: what `grep` finds.
fn grep(log: &str, object: &str) -> Vec<Value> {
    log.lines()
        .filter(|l| l.contains(object))
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn one_grep_tells_what_was_done_to_an_object_and_why() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "one")),
        ("cluster/m.yaml", &(config_map("a") + &config_map("b"))),
    ]);
    let running = Running::start(dir.path(), &ARGUMENTS);
    running.printed("+    team: one", 2);
    let log = running.logged("\"object\":\"ConfigMap/shop/a\"");
    let lines = grep(&log, "ConfigMap/shop/a");
    assert_eq!(lines.len(), 1, "{log}");
    let line = &lines[0];
    for (field, wanted) in [
        ("message", "changed"),
        ("level", "INFO"),
        ("rule", "r"),
        ("verb", "patch"),
        ("outcome", "Ok"),
        ("why", "$.metadata.labels.team NotEquals \"one\""),
        ("fields", "$.metadata.labels: absent -> {\"team\":\"one\"}"),
    ] {
        assert_eq!(line[field], wanted, "{line}");
    }
    assert!(line["millis"].is_number() && line["timestamp"].is_string());
    // `/status` tells the same of the last changes, newest first.
    let status = running.status(|s| s["changes"]["latest"].as_array().unwrap().len() == 2);
    let change = status["changes"]["latest"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["object"] == "ConfigMap/shop/a")
        .unwrap();
    assert_eq!(change["why"][0], "$.metadata.labels.team NotEquals \"one\"");
    assert_eq!(change["fields"][0]["path"], "$.metadata.labels");
    assert_eq!(change["fields"][0]["before"], Value::Null);
    let rule = &status["rules"][0];
    assert_eq!(rule["changes"]["made"], 2, "{status}");
    assert_eq!(rule["objects"]["inScope"], 2, "{status}");
    assert!(status["memory"]["residentBytes"].as_u64() > Some(1 << 20));
    assert!(status["memory"]["sources"]["records"].as_u64() > Some(0));
    assert_eq!(status["reloads"]["last"], "ok");
    assert_eq!(running.stop(), 0);
}

#[test]
fn the_level_of_each_module_can_be_changed_while_it_runs() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "one")),
        ("cluster/m.yaml", &config_map("a")),
    ]);
    let running = Running::start(dir.path(), &ARGUMENTS);
    running.printed("+    team: one", 1);
    assert_eq!(
        running.request("GET", "/log-level", ""),
        (200, "info\n".into())
    );
    let put = |filter: &str, headers: &str| {
        running.request("PUT", &format!("/log-level?filter={filter}"), headers)
    };
    assert_eq!(put("error", "Origin: http://evil.example\r\n").0, 403);
    assert_eq!(put("ordain=loud", "").0, 400);
    assert_eq!(put("kube_client=trace", "").0, 400, "it logs Secrets");
    assert_eq!(running.request("PUT", "/log-level", "").0, 400);
    assert_eq!(put("off", ""), (200, "off\n".into()));
    super::put(dir.path(), "cluster/quiet.yaml", &config_map("quiet"));
    running.printed("patch ConfigMap/shop/quiet by r", 1);
    assert_eq!(put("info,ordain::daemon=debug", "").0, 200);
    super::put(dir.path(), "cluster/loud.yaml", &config_map("loud"));
    let log = running.logged("ConfigMap/shop/loud");
    assert!(grep(&log, "ConfigMap/shop/quiet").is_empty(), "{log}");
    assert_eq!(
        running.request("GET", "/log-level", "").1,
        "info,ordain::daemon=debug\n"
    );
    assert_eq!(running.stop(), 0);
}

#[test]
fn what_is_held_back_is_told_by_its_finding_and_in_full_only_at_debug() {
    let rule = "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {name: sweeps}\nspec:\n  mode: Enforce\n  match:\n    resources:\n    \
        - {apiVersion: v1, kind: ConfigMap}\n  actions:\n  - delete: {}\n  limits: {abortAbove: {objects: 1}}\n";
    let dir = folder(&[
        ("rules/r.yaml", rule),
        ("cluster/m.yaml", &(config_map("a") + &config_map("b"))),
    ]);
    for (level, told) in [("info", false), ("info,ordain::daemon=debug", true)] {
        let arguments = [&ARGUMENTS[..], &["--log-level", level]].concat();
        let running = Running::start(dir.path(), &arguments);
        running.status(|s| s["findings"]["byReason"]["Aborted"] == 2);
        // Both are reported in one turn, the finding last.
        let log = running.logged("\"object\":\"ConfigMap/shop/b\",\"reason\":\"Aborted\"");
        assert_eq!(log.contains("held back"), told, "{log}");
        assert!(!log.contains("would change"), "{log}");
        assert!(log.contains("\"ordain starts\""), "{log}");
        assert_eq!(running.stop(), 0);
    }
}

/// A rule that reads a Secret for another object.
const BESIDE_A_SECRET: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: beside}
spec:
  mode: Enforce
  match: {resources: [{apiVersion: v1, kind: ConfigMap}]}
  related:
  - {name: creds, resources: [{apiVersion: v1, kind: Secret}], names: [s], one: true}
  where:
  - {expression: '${base64.decode(creds.data.password)}', operator: DoesNotMatch, value: '^sha256:'}
  - {expression: '${all}', operator: Exists}
  variables:
  - {name: all, expression: '${creds}'}
  actions:
  - patch:
    - {path: $.metadata.labels.weak, set: 'yes'}
  - once: {key: '${hash(object.metadata.name) + creds.data.password}'}
    patch:
    - {path: $.metadata.labels.told, set: 'yes'}
";

#[test]
fn a_rule_that_reads_a_secret_neither_shows_nor_keeps_it() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\ndata: {password: Y2FuYXJ5LWRhdGE=}\n";
    let dir = folder(&[
        ("rules/r.yaml", BESIDE_A_SECRET),
        ("cluster/s.yaml", secret),
        ("cluster/a.yaml", &config_map("a")),
    ]);
    let at = ["--rules", "rules", "--manifests", "cluster"];
    let explain = ["explain", "beside", "ConfigMap/shop/a", "-o", "json"];
    let once = [
        "run",
        "--once",
        "--state",
        "state.json",
        "--write-manifests",
        "after",
    ];
    let mut said = String::new();
    for command in [&["plan"][..], &explain, &once] {
        let ran = ordain(dir.path(), &[command, &at].concat());
        assert!(ran.out.len() + ran.err.len() > 50, "{}{}", ran.out, ran.err);
        said += &(ran.out + &ran.err);
    }
    let after = std::fs::read_dir(dir.path().join("after")).unwrap();
    let after = after.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let after: Vec<String> = after.collect();
    let documents = after.iter().flat_map(|text| text.split("---\n"));
    let kept: Vec<&str> = documents.filter(|text| text.contains("weak")).collect();
    assert!(kept.len() == 1 && kept[0].contains("told"), "{kept:?}");
    said += kept[0];
    said += &std::fs::read_to_string(dir.path().join("state.json")).unwrap();
    assert!(said.contains("once"), "{said}");
    for hidden in ["canary", "Y2FuYXJ5"] {
        assert!(!said.contains(hidden), "{said}");
    }
}

#[test]
fn what_a_secret_holds_is_never_told() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: shop\n  annotations:\n    \
        kubectl.kubernetes.io/last-applied-configuration: '{\"stringData\":{\"token\":\"canary-applied\"}}'\n\
        data:\n  password: Y2FuYXJ5LWRhdGE=\n  count: canary-base\nstringData:\n  token: canary-string\n";
    // Tests that see values, values that cannot be read, expressions that fail on them, edits of the data itself.
    let rule = |name: &str, mode: &str, tests: &str, edit: &str| {
        format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  mode: {mode}\n  match:\n    resources:\n    \
             - {{apiVersion: v1, kind: Secret}}\n  where:\n{tests}  actions:\n  - patch:\n    - {edit}\n---\n"
        )
    };
    let rules = [
        rule(
            "sees",
            "Enforce",
            "  - {path: $.data.password, operator: Exists}\n  - {path: $.metadata.labels.a, operator: DoesNotExist}\n",
            "{path: $.metadata.labels.a, set: b}",
        ),
        rule(
            "misreads",
            "Enforce",
            "  - {path: $.data.count, as: quantity, operator: GreaterThan, value: 1}\n",
            "{path: $.metadata.labels.c, set: d}",
        ),
        rule(
            "fails",
            "Enforce",
            "  - {path: $.data.password, operator: Exists}\n",
            "{path: $.metadata.labels.e, set: '${string(int(object.data.count))}'}",
        ),
        rule(
            "writes",
            "Audit",
            "  - {path: $.data.password, operator: Exists}\n",
            "{path: $.data.password, set: Y2FuYXJ5LW90aGVy}",
        ),
        BESIDE_A_SECRET.to_owned(),
    ]
    .concat();
    let dir = folder(&[
        ("rules/r.yaml", &rules),
        ("cluster/s.yaml", secret),
        ("cluster/a.yaml", &config_map("a")),
    ]);
    let arguments = [&ARGUMENTS[..], &["--log-level", "trace"]].concat();
    let running = Running::start(dir.path(), &arguments);
    running.printed("patch Secret/shop/s by sees", 1);
    running.printed("patch ConfigMap/shop/a by beside", 1);
    running.logged("would change");
    let status = running.page("/status", |s| {
        s.contains("\"misreads\"") && s.contains("ExpressionFailed")
    });
    let log = running.logged("\"changed\"");
    let metrics = running.request("GET", "/metrics", "").1;
    let plan = ordain(
        dir.path(),
        &["plan", "--rules", "rules", "--manifests", "cluster"],
    );
    for (what, text) in [
        ("log", &log),
        ("/status", &status),
        ("/metrics", &metrics),
        ("run", &running.output()),
        ("plan", &(plan.out + &plan.err)),
    ] {
        assert!(text.len() > 100, "{what} says nothing: {text}");
        for hidden in ["canary", "Y2FuYXJ5"] {
            assert!(!text.contains(hidden), "{what} tells {hidden}: {text}");
        }
    }
    assert_eq!(running.stop(), 0);
}
