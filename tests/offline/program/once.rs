//! `ordain run --once` on manifests.

use super::*;

/// Presents `m.yaml` to the rules in `r.yaml`; what they make of it goes to `result`.
const ADMIT: [&str; 6] = [
    "run",
    "--once",
    "--admit",
    "--rules=r.yaml",
    "--manifests=m.yaml",
    "--write-manifests=result",
];

fn shop() -> (String, String) {
    let root = root();
    let path = |p: &str| root.join(p).display().to_string();
    (path("examples/shop/cluster"), path("examples/shop/rules"))
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.clone(), std::fs::read(p).unwrap()))
        .collect();
    found.sort();
    found
}

#[test]
fn the_example_comes_to_rest_and_its_result_needs_nothing_more() {
    let (cluster, rules) = shop();
    let before = contents(Path::new(&cluster));
    let dir = folder(&[]);
    let run = |manifests: &str| {
        ordain(
            dir.path(),
            &[
                "run",
                "--once",
                "--manifests",
                manifests,
                "--rules",
                &rules,
                "--write-manifests",
                "result",
                "--now",
                "2026-03-01T00:00:00Z",
            ],
        )
    };
    let ran = run(&cluster);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains(" patched, "), "{}", ran.out);
    assert!(
        ran.out
            .contains("patch Deployment/storefront/catalog by replicas-floor"),
        "{}",
        ran.out
    );
    assert_eq!(
        contents(Path::new(&cluster)),
        before,
        "manifests are never changed"
    );
    let first = contents(&dir.path().join("result"));
    assert!(first.len() >= 3, "{first:?}");
    let text: String = first
        .iter()
        .map(|(_, b)| String::from_utf8_lossy(b).into_owned())
        .collect();
    assert!(
        !text.contains("resourceVersion"),
        "what the server fills in is left out"
    );
    let again = run("result");
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert!(again.out.contains("nothing changed"), "{}", again.out);
    assert_eq!(contents(&dir.path().join("result")), first);
}

#[test]
fn a_limit_that_stops_a_rule_is_3() {
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: sweep}
spec:
  mode: Enforce
  match:
    resources:
    - {apiVersion: v1, kind: ConfigMap}
  actions:
  - delete: {}
  limits:
    abortAbove: {objects: 2}
";
    let objects: String = ["a", "b", "c"].map(config_map).concat();
    let dir = folder(&[("r.yaml", rule), ("m.yaml", &objects)]);
    let ran = ordain(
        dir.path(),
        &[
            "run",
            "--once",
            "--rules",
            "r.yaml",
            "--manifests",
            "m.yaml",
            "--write-manifests",
            "result",
        ],
    );
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("sweep"), "{}", ran.out);
    let left = std::fs::read_to_string(dir.path().join("result/shop.yaml")).unwrap();
    assert_eq!(left.matches("kind: ConfigMap").count(), 3);
    let few: String = ["a", "b"].map(config_map).concat();
    put(dir.path(), "m.yaml", &few);
    let ran = ordain(
        dir.path(),
        &[
            "run",
            "--once",
            "--rules",
            "r.yaml",
            "--manifests",
            "m.yaml",
            "--write-manifests",
            "result",
        ],
    );
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.ends_with("2 deleted\n"), "{}", ran.out);
    assert!(
        !dir.path().join("result/shop.yaml").exists(),
        "a namespace that is empty has no file"
    );
}

#[test]
fn frozen_changes_nothing() {
    let dir = folder(&[
        ("r.yaml", &label_rule("r", "a", "b")),
        ("m.yaml", &config_map("a")),
    ]);
    let ran = ordain(
        dir.path(),
        &[
            "run",
            "--once",
            "--rules",
            "r.yaml",
            "--manifests",
            "m.yaml",
            "--audit-only",
            "-o",
            "json",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.json()["summary"], "nothing changed");
}

#[test]
fn only_the_rules_and_namespaces_asked_for() {
    let mut objects = config_map("a");
    objects.push_str(&config_map("b").replace("namespace: shop", "namespace: mill"));
    let dir = folder(&[
        ("r/one.yaml", &label_rule("one", "a", "b")),
        ("r/two.yaml", &label_rule("two", "c", "d")),
        ("m.yaml", &objects),
    ]);
    let ran = ordain(
        dir.path(),
        &[
            "run",
            "--once",
            "--rules",
            "r",
            "--rule",
            "t*",
            "--manifests",
            "m.yaml",
            "--namespace",
            "mill",
            "-o",
            "json",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let json = ran.json();
    assert_eq!(json["changes"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(
        (&json["changes"][0]["rule"], &json["changes"][0]["object"]),
        (&"two".into(), &"ConfigMap/mill/b".into())
    );
}

#[test]
fn what_comes_to_other_namespaces_is_not_looked_at_either() {
    let gate = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: gate}
spec:
  mode: Enforce
  when: [Create]
  match: {resources: [{apiVersion: v1, kind: ConfigMap}]}
  actions: [{deny: {message: not this one}}]
";
    let objects = config_map("a") + &config_map("b").replace("namespace: shop", "namespace: mill");
    let dir = folder(&[("r.yaml", gate), ("m.yaml", &objects)]);
    let asked = ["--rules", "r.yaml", "--manifests", "m.yaml", "-n", "mill"];
    for command in [&["plan"][..], &["run", "--once", "--admit"]] {
        let ran = ordain(dir.path(), &[command, &asked].concat());
        let denied: Vec<&str> = ran
            .out
            .lines()
            .filter(|l| l.starts_with("Denied"))
            .collect();
        assert_eq!(denied, ["Denied ConfigMap/mill/b by gate: not this one"]);
    }
    let explain = ["explain", "gate", "ConfigMap/shop/a"];
    let ran = ordain(dir.path(), &[&explain[..], &asked].concat());
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    let said = "its namespace is not looked at (--namespace)";
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[test]
fn in_audit_an_admission_changes_and_refuses_nothing() {
    let rule = |mode: &str| {
        format!(
            "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: gate}}
spec:
  mode: {mode}
  when: [Create]
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
  actions:
  - patch: [{{path: $.data.seen, set: 'yes'}}]
  - deny: {{message: not this one}}
"
        )
    };
    let result = |mode: &str| {
        let dir = folder(&[("r.yaml", &rule(mode)), ("m.yaml", &config_map("a"))]);
        let plan = ["plan", "--rules=r.yaml", "--manifests=m.yaml"];
        let mark = match mode {
            "Audit" => " (Audit)",
            _ => "",
        };
        let said = format!("Denied ConfigMap/shop/a by gate{mark}: not this one");
        for arguments in [&plan[..], &ADMIT] {
            let ran = ordain(dir.path(), arguments);
            assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
            assert!(ran.out.contains(&said), "{}", ran.out);
        }
        let ran = ordain(dir.path(), &[&plan[..], &["-o", "json"]].concat());
        let expected = (mode == "Audit").then_some("Audit");
        assert_eq!(ran.json()["findings"][0]["mode"].as_str(), expected);
        std::fs::read_to_string(dir.path().join("result/shop.yaml")).unwrap_or_default()
    };
    let audited = result("Audit");
    assert!(
        audited.contains("name: a") && !audited.contains("seen"),
        "{audited}"
    );
    assert_eq!(result("Enforce"), "");
}

#[test]
fn a_manifest_of_another_version_is_left_out_and_named() {
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: wide}
spec:
  when: [Create, Reconcile]
  match: {resources: [{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler}]}
  where: [{path: $.spec.maxReplicas, operator: GreaterThan, value: 5}]
  actions: [{warn: {message: wide}}]
";
    let scaler = |version: &str| {
        format!(
            "apiVersion: autoscaling/{version}
kind: HorizontalPodAutoscaler
metadata: {{name: of-{version}, namespace: shop}}
spec: {{maxReplicas: 9, scaleTargetRef: {{kind: Deployment, name: a}}}}
---
"
        )
    };
    let both = scaler("v1") + &scaler("v2");
    let dir = folder(&[("r.yaml", rule), ("m.yaml", &both)]);
    let ran = ordain(
        dir.path(),
        &["plan", "--rules=r.yaml", "--manifests=m.yaml"],
    );
    assert_eq!(
        ran.out,
        "Waiting HorizontalPodAutoscaler/shop/of-v1 by wide: it is written at autoscaling/v1, and the rule reads v2: manifests are not converted
Warning HorizontalPodAutoscaler/shop/of-v2 by wide: wide
m.yaml:1: HorizontalPodAutoscaler of-v1 is written at autoscaling/v1, and the rules read v2: manifests are not converted, so it is left out
nothing to change, 2 findings, 1 could not be looked at
"
    );
    assert_eq!(ran.code, 3);
    let said = "m.yaml:1: warning: HorizontalPodAutoscaler of-v1 is written at autoscaling/v1, and the rules read v2";
    assert!(ran.err.contains(said), "{}", ran.err);
    // What is not known is decided by `failurePolicy`.
    for (failure_policy, stays) in [("Ignore", true), ("Fail", false)] {
        let options =
            format!("spec:\n  mode: Enforce\n  admission: {{failurePolicy: {failure_policy}}}\n");
        let rule = rule.replace("spec:\n", &options).replace("warn", "deny");
        let dir = folder(&[("r.yaml", &rule), ("m.yaml", &scaler("v1"))]);
        let ran = ordain(dir.path(), &ADMIT);
        assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
        let result = std::fs::read_to_string(dir.path().join("result/shop.yaml"));
        let result = result.unwrap_or_default();
        assert_eq!(
            result.contains("of-v1"),
            stays,
            "{failure_policy}: {result}"
        );
    }
}

#[test]
fn what_an_admission_changes_is_printed_as_any_other_change() {
    let rule = label_rule("r", "a", "b").replace("spec:\n", "spec:\n  when: [Create]\n");
    let dir = folder(&[("r.yaml", &rule), ("m.yaml", &config_map("a"))]);
    let arguments = [
        "run",
        "--once",
        "--admit",
        "--rules=r.yaml",
        "--manifests=m.yaml",
    ];
    std::fs::write(dir.path().join("r.yaml"), rule.replace("Enforce", "Audit")).unwrap();
    let ran = ordain(dir.path(), &arguments);
    assert_eq!(ran.out, "nothing changed\n", "{}", ran.err);
    std::fs::write(dir.path().join("r.yaml"), rule).unwrap();
    let ran = ordain(dir.path(), &arguments);
    assert!(
        ran.out.starts_with("patch ConfigMap/shop/a by r\n@@"),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("1 patched\n"), "{}", ran.out);
}

#[test]
fn a_moment_is_due_in_its_minute_and_a_schedule_can_be_left_out_of_account() {
    let moment =
        label_rule("r", "a", "b").replace("spec:\n", "spec:\n  schedule: [{cron: '0 3 * * *'}]\n");
    let window = moment.replace("* * *'}", "* * *', duration: 1h}");
    assert!(moment.contains("schedule") && window.contains("duration"));
    let dir = folder(&[
        ("moment.yaml", &moment),
        ("window.yaml", &window),
        ("m.yaml", &config_map("a")),
    ]);
    let summary = |rules: &str, now: &str, more: &[&str]| {
        let mut arguments = vec![
            "run",
            "--once",
            "--rules",
            rules,
            "--manifests",
            "m.yaml",
            "--now",
            now,
            "-o",
            "json",
        ];
        arguments.extend(more);
        let ran = ordain(dir.path(), &arguments);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.json()["summary"].as_str().unwrap().to_owned()
    };
    for (rules, now, due) in [
        ("moment.yaml", "2026-01-01T02:59:59Z", false),
        ("moment.yaml", "2026-01-01T03:00:00Z", true),
        ("moment.yaml", "2026-01-01T03:00:59Z", true),
        ("moment.yaml", "2026-01-01T03:01:00Z", false),
        ("window.yaml", "2026-01-01T03:59:59Z", true),
        ("window.yaml", "2026-01-01T04:00:00Z", false),
    ] {
        let expected = if due { "1 patched" } else { "nothing changed" };
        assert_eq!(summary(rules, now, &[]), expected, "{rules} at {now}");
        assert_eq!(
            summary(rules, now, &["--ignore-schedule"]),
            "1 patched",
            "{rules} at {now}"
        );
    }
    let alone = ordain(
        dir.path(),
        &[
            "run",
            "--ignore-schedule",
            "--rules",
            "moment.yaml",
            "--manifests",
            "m.yaml",
        ],
    );
    assert_eq!(alone.code, 2);
    assert!(alone.err.contains("--once"), "{}", alone.err);
}

/// What lies in a namespace that is not looked at is not gone.
#[test]
fn who_looks_at_fewer_namespaces_deletes_nothing_for_it() {
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: share}
spec:
  mode: Enforce
  match: {resources: [{apiVersion: v1, kind: ConfigMap}], selector: {matchLabels: {share: 'yes'}}}
  actions:
  - apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: '${object.metadata.name}', namespace: shop}, data: '${object.data}'}
    lifetime: WhileMatched
";
    let shared = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: platform, uid: u-c, labels: {share: 'yes'}}\ndata: {a: b}\n";
    let dir = folder(&[("rules/r.yaml", rule), ("cluster/c.yaml", shared)]);
    let once = [
        "run",
        "--once",
        "--rules",
        "rules",
        "--manifests",
        "cluster",
        "--write-manifests",
        "after",
    ];
    let ran = ordain(dir.path(), &once);
    assert!(
        ran.out.contains("apply ConfigMap/shop/c by share"),
        "{}",
        ran.out
    );
    for (namespace, said) in [
        ("shop", "nothing to change"),
        ("platform", "nothing to change"),
    ] {
        let plan = [
            "plan",
            "--rules",
            "rules",
            "--manifests",
            "after",
            "--namespace",
            namespace,
        ];
        let ran = ordain(dir.path(), &plan);
        assert!(
            ran.out.contains(said),
            "{namespace}: {}{}",
            ran.out,
            ran.err
        );
    }
}

#[test]
fn a_date_that_cannot_be_read_is_told_with_its_object_and_what_can_be_read() {
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: janitor}
spec:
  match: {resources: [{apiVersion: v1, kind: ConfigMap}]}
  where: [{path: \"$.metadata.annotations['janitor/expires']\", as: until, operator: LessThan, value: 0s}]
  actions: [{warn: {message: expired}}]
";
    for written in ["2026-01-07", "2027-01-07T10:00"] {
        let map = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: shop, annotations: {{janitor/expires: \"{written}\"}}}}\n"
        );
        let dir = folder(&[("r.yaml", rule), ("m.yaml", &map)]);
        let ran = ordain(dir.path(), &ADMIT);
        let told = "rule janitor: 1 test failed for what could not be read: `$.metadata.annotations['janitor/expires']` of ConfigMap/shop/a is text that cannot be read as a moment, which is written `2026-01-07T10:00:00Z` (RFC 3339)\n";
        assert!(ran.out.contains(told), "{written}: {}", ran.out);
    }
}
