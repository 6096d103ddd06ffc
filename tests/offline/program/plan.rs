//! `ordain plan`.

use super::*;

const FLOOR: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: floor}
spec:
  match:
    resources:
    - {apiVersion: apps/v1, kind: Deployment}
  where:
  - {path: $.spec.replicas, operator: LessThan, value: 2}
  actions:
  - patch:
    - {path: $.spec.replicas, set: 2}
  - warn: {message: \"${object.metadata.name} ran alone\"}
";

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 1
";

#[test]
fn shows_a_diff_per_object_and_a_summary_and_writes_nothing() {
    let dir = folder(&[("r.yaml", FLOOR), ("cluster/web.yaml", WEB)]);
    let ran = ordain(
        dir.path(),
        &["plan", "--rules", "r.yaml", "--manifests", "cluster"],
    );
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(
        ran.out
            .contains("patch Deployment/shop/web by floor (Audit)\n@@ "),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("-  replicas: 1\n+  replicas: 2\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("1 to patch, 1 finding\n"), "{}", ran.out);
    assert_eq!(
        std::fs::read_to_string(dir.path().join("cluster/web.yaml")).unwrap(),
        WEB
    );
}

#[test]
fn json_has_stable_names() {
    let dir = folder(&[("r.yaml", FLOOR), ("cluster/web.yaml", WEB)]);
    let ran = ordain(
        dir.path(),
        &[
            "plan",
            "--rules",
            "r.yaml",
            "--manifests",
            "cluster",
            "-o",
            "json",
        ],
    );
    assert_eq!(ran.code, 1, "{}", ran.err);
    let json = ran.json();
    let change = &json["changes"][0];
    assert_eq!(
        (
            &change["rule"],
            &change["verb"],
            &change["object"],
            &change["mode"]
        ),
        (
            &"floor".into(),
            &"patch".into(),
            &"Deployment/shop/web".into(),
            &"Audit".into()
        )
    );
    assert!(change["diff"].as_str().unwrap().contains("+  replicas: 2"));
    let finding = &json["findings"][0];
    assert_eq!(
        (
            &finding["rule"],
            &finding["object"],
            &finding["reason"],
            &finding["message"]
        ),
        (
            &"floor".into(),
            &"Deployment/shop/web".into(),
            &"Warning".into(),
            &"web ran alone".into()
        )
    );
    assert_eq!(json["summary"], "1 to patch, 1 finding");
}

#[test]
fn nothing_to_change_is_0_and_what_cannot_be_told_is_3() {
    let good = WEB.replace("replicas: 1", "replicas: 3");
    let dir = folder(&[
        ("r.yaml", FLOOR),
        ("cluster/web.yaml", &good),
        ("broken.yaml", "kind: ["),
    ]);
    let plan = |rules: &str, manifests: &str| {
        ordain(
            dir.path(),
            &["plan", "--rules", rules, "--manifests", manifests],
        )
    };
    let ran = plan("r.yaml", "cluster");
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "nothing to change\n"),
        "{}",
        ran.err
    );
    let ran = plan("broken.yaml", "cluster");
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("broken.yaml:"), "{}", ran.err);
    let ran = plan("r.yaml", "broken.yaml");
    assert_eq!(ran.code, 3, "{}", ran.out);
    assert_eq!(plan("missing.yaml", "cluster").code, 3);
}

#[test]
fn the_time_can_be_given() {
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: old}
spec:
  match:
    resources:
    - {apiVersion: v1, kind: ConfigMap}
  where:
  - {path: $.metadata.creationTimestamp, as: age, operator: AtLeast, value: 7d}
  actions:
  - delete: {}
";
    let object = config_map("a").replace(
        "  namespace: shop\n",
        "  namespace: shop\n  creationTimestamp: 2026-01-01T00:00:00Z\n",
    );
    let dir = folder(&[("r.yaml", rule), ("m.yaml", &object)]);
    let plan = |now: &str| {
        ordain(
            dir.path(),
            &[
                "plan",
                "--rules",
                "r.yaml",
                "--manifests",
                "m.yaml",
                "--now",
                now,
            ],
        )
    };
    assert_eq!(plan("2026-01-07T23:59:59Z").code, 0);
    let ran = plan("2026-01-08T00:00:00Z");
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("delete ConfigMap/shop/a by old (Audit)"),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("1 to delete\n"), "{}", ran.out);
}

#[test]
fn secrets_are_never_printed() {
    let rule = label_rule("r", "a", "b").replace("ConfigMap", "Secret").replace(
        "    - {path: $.metadata.labels.a, set: b}",
        "    - {path: $.metadata.labels.a, set: b}\n    - {path: $.data.password, set: bmV3cGFzcw==}",
    );
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\ndata: {password: b2xkcGFzcw==}\n";
    let dir = folder(&[("r.yaml", &rule), ("m.yaml", secret)]);
    for format in ["text", "json", "yaml"] {
        let ran = ordain(
            dir.path(),
            &[
                "plan",
                "--rules",
                "r.yaml",
                "--manifests",
                "m.yaml",
                "-o",
                format,
                "--log-level",
                "trace",
            ],
        );
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(
            ran.out.contains("(sensitive, 7 bytes, changed)"),
            "{}",
            ran.out
        );
        for hidden in ["b2xkcGFzcw", "bmV3cGFzcw", "oldpass", "newpass"] {
            assert!(
                !ran.out.contains(hidden) && !ran.err.contains(hidden),
                "{format}: {}{}",
                ran.out,
                ran.err
            );
        }
    }
}

#[test]
fn what_a_limit_holds_back_is_counted_apart() {
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: sweep}
spec:
  match:
    resources:
    - {apiVersion: v1, kind: ConfigMap}
  actions:
  - delete: {}
  limits:
    throttle: {objects: 2, per: 1m}
";
    let objects: String = ["a", "b", "c"].map(config_map).concat();
    let dir = folder(&[("r.yaml", rule), ("m.yaml", &objects)]);
    let ran = ordain(
        dir.path(),
        &["plan", "--rules", "r.yaml", "--manifests", "m.yaml"],
    );
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.ends_with("2 to delete, 1 blocked (throttle)\n"),
        "{}",
        ran.out
    );
}

const BASKETS: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: baskets}
spec:
  mode: Enforce
  match:
    resources:
    - {apiVersion: shop.example/v1, kind: Basket}
  where:
  - {path: $.spec.customr, operator: DoesNotExist}
  actions:
  - delete: {}
";

#[test]
fn a_deletion_that_rests_on_a_path_nothing_has_is_shown_as_blocked() {
    let basket = |name: &str| {
        format!(
            "apiVersion: shop.example/v1\nkind: Basket\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{customer: jo}}\n---\n"
        )
    };
    let baskets = basket("a") + &basket("b");
    let dir = folder(&[("r.yaml", BASKETS), ("cluster/baskets.yaml", &baskets)]);
    let ran = ordain(
        dir.path(),
        &["plan", "--rules", "r.yaml", "--manifests", "cluster"],
    );
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    for part in [
        "delete Basket/shop/a by baskets (blocked: unchecked path)\n",
        "UncheckedPath Basket/* by baskets: no schema knows `$.spec.customr` and no object in the scope has it",
        "nothing to change, 2 blocked (unchecked path)\n",
    ] {
        assert!(ran.out.contains(part), "{part}\n{}", ran.out);
    }
    let once = ordain(
        dir.path(),
        &[
            "run",
            "--once",
            "--rules",
            "r.yaml",
            "--manifests",
            "cluster",
        ],
    );
    assert_eq!(once.code, 3, "{}{}", once.out, once.err);
    assert_eq!(
        std::fs::read_to_string(dir.path().join("cluster/baskets.yaml")).unwrap(),
        baskets
    );
}

const DEFAULTS: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: defaults}
spec:
  match: {resources: [{apiVersion: apps/v1, kind: Deployment}]}
  actions:
  - apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: one}}
  - apply: {apiVersion: v1, kind: Secret, metadata: {name: token}, stringData: {token: canary-7}}
  - scale: {replicas: 3}
  - event: {reason: Scaled, message: to three}
";

#[test]
fn shows_what_would_be_made_scaled_and_told() {
    let dir = folder(&[("r.yaml", DEFAULTS), ("cluster/web.yaml", WEB)]);
    let arguments = ["plan", "--rules", "r.yaml", "--manifests", "cluster"];
    let ran = ordain(dir.path(), &arguments);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    for part in [
        "apply ConfigMap/shop/settings by defaults (Audit)\n",
        "+  a: one\n",
        "apply Secret/shop/token by defaults (Audit)\n",
        "scale Deployment/shop/web by defaults (Audit)\n",
        "-  replicas: 1\n+  replicas: 3\n",
        "event Deployment/shop/web by defaults (Audit)\n",
        "+note: to three\n",
    ] {
        assert!(ran.out.contains(part), "{part}\n{}", ran.out);
    }
    assert!(
        ran.out
            .ends_with("1 to scale, 2 to apply, 1 event to tell\n"),
        "{}",
        ran.out
    );
    for secret in ["canary", "Y2FuYXJ5"] {
        assert!(!ran.out.contains(secret), "{}", ran.out);
    }
}

#[test]
fn what_comes_later_is_told_with_how_long_it_takes() {
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: left-over}
spec:
  match:
    resources:
    - {apiVersion: apps/v1, kind: Deployment}
  actions:
  - after: 1d12h30m
    patch: [{path: $.spec.replicas, set: 0}]
  - after: 7d
    delete: {}
";
    let dir = folder(&[("r.yaml", rule), ("cluster/web.yaml", WEB)]);
    let mut args = vec!["plan", "--rules", "r.yaml", "--manifests", "cluster"];
    let ran = ordain(dir.path(), &args);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(
        ran.out,
        "in 1d12h patch Deployment/shop/web by left-over (Audit)
in 7d delete Deployment/shop/web by left-over (Audit)
nothing to change, 2 later
"
    );
    args.extend(["-o", "json", "--now", "2026-01-01T00:00:00Z"]);
    let json = ordain(dir.path(), &args).json();
    assert_eq!(
        json["later"][1],
        serde_json::json!({"rule": "left-over", "mode": "Audit", "verb": "delete", "object": "Deployment/shop/web", "at": "2026-01-08T00:00:00Z"})
    );
    assert_eq!(json["changes"], serde_json::json!([]));
}

#[test]
fn what_a_schedule_hides_is_shown_and_marked() {
    let nights = FLOOR.replace(
        "spec:\n  match",
        "spec:\n  schedule: [{cron: \"0 20 * * *\", duration: 11h, timeZone: Europe/Berlin}]\n  match",
    );
    let dir = folder(&[("r.yaml", &nights), ("cluster/web.yaml", WEB)]);
    let plan = |now: &str, more: &[&str]| {
        let at = [
            "plan",
            "--rules",
            "r.yaml",
            "--manifests",
            "cluster",
            "--now",
            now,
        ];
        ordain(dir.path(), &[&at[..], more].concat())
    };
    let noon = plan("2026-01-05T12:00:00Z", &[]);
    let marked = "patch Deployment/shop/web by floor (Audit, outside its schedule until 2026-01-05T19:00:00Z)\n";
    assert!(noon.out.contains(marked), "{}{}", noon.out, noon.err);
    assert_eq!(noon.code, 1);
    let json = plan("2026-01-05T12:00:00Z", &["--output", "json"]);
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        document["changes"][0]["outsideSchedule"]["opens"],
        "2026-01-05T19:00:00Z"
    );
    let night = plan("2026-01-05T19:00:00Z", &[]);
    assert!(
        night
            .out
            .contains("patch Deployment/shop/web by floor (Audit)\n"),
        "{}",
        night.out
    );
    // A run heeds it.
    let run = |now: &str| {
        let enforced = nights.replace("spec:\n  schedule", "spec:\n  mode: Enforce\n  schedule");
        std::fs::write(dir.path().join("enforced.yaml"), enforced).unwrap();
        let at = [
            "run",
            "--once",
            "--rules",
            "enforced.yaml",
            "--manifests",
            "cluster",
            "--now",
            now,
        ];
        ordain(dir.path(), &at).out
    };
    assert!(run("2026-01-05T12:00:00Z").contains("nothing changed"));
    assert!(run("2026-01-05T22:00:00Z").contains("1 patched"));
}

/// Two ConfigMaps whose names are too short for what the test computes.
fn unreadable() -> tempfile::TempDir {
    let rule = label_rule("far", "team", "one").replace(
        "  where:\n",
        "  where:\n  - {expression: '${object.metadata.name.substring(0, 50)}', value: x}\n",
    );
    folder(&[
        ("rules/r.yaml", &rule),
        ("cluster/all.yaml", &(config_map("a") + &config_map("b"))),
    ])
}

#[test]
fn tests_that_failed_for_what_could_not_be_read_are_told_once_for_each_rule() {
    let dir = unreadable();
    let told = "rule far: 2 tests failed for what could not be read: `${object.metadata.name.substring(0, 50)}`: `substring`";
    for command in [
        &["plan", "--manifests", "cluster"][..],
        &["run", "--once", "--manifests", "cluster"],
    ] {
        let ran = ordain(dir.path(), command);
        assert!(ran.out.contains(told), "{command:?}: {}", ran.out);
        // The tests are decided: they failed.
        assert_eq!(ran.code, 0, "{}", ran.err);
        let json = ordain(dir.path(), &[command, &["-o", "json"]].concat()).json();
        let unreadable = &json["unreadable"][0];
        assert_eq!(
            (&unreadable["rule"], &unreadable["tests"]),
            (&"far".into(), &2.into()),
            "{json}"
        );
    }
}

#[test]
fn what_a_rule_says_of_a_secret_never_quotes_it() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\ndata: {password: aHVudGVyMg==}\n";
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: weak}
spec:
  match: {resources: [{apiVersion: v1, kind: Secret}]}
  actions:
  - warn: {message: 'weak: ${object.data.password} ${base64.decode(object.data.password)}'}
  - event: {reason: Weak, message: 'it is ${base64.decode(object.data.password)}'}
  - patch:
    - {path: $.metadata.annotations.copy, set: '${base64.decode(object.data.password)}'}
---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: reads}
spec:
  match: {resources: [{apiVersion: v1, kind: ConfigMap}]}
  related:
  - {name: secrets, resources: [{apiVersion: v1, kind: Secret}]}
  actions:
  - warn: {message: \"beside ${secrets.map(s, base64.decode(s.data.password)).join(',')}\"}
";
    let dir = folder(&[
        ("rules/r.yaml", rule),
        (
            "cluster/all.yaml",
            &(secret.to_owned() + "---\n" + &config_map("a")),
        ),
    ]);
    for command in [
        &["plan", "--manifests", "cluster"][..],
        &["plan", "--manifests", "cluster", "-o", "json"],
        &["run", "--once", "--manifests", "cluster"],
        &["explain", "weak", "Secret/shop/a", "--manifests", "cluster"],
        &[
            "explain",
            "reads",
            "ConfigMap/shop/a",
            "--manifests",
            "cluster",
        ],
    ] {
        let ran = ordain(dir.path(), command);
        assert!(
            ran.out.contains("(sensitive, 7 bytes"),
            "{command:?}: {}",
            ran.out
        );
        for hidden in ["hunter2", "aHVudGVyMg=="] {
            assert!(!ran.out.contains(hidden), "{command:?}: {}", ran.out);
            assert!(!ran.err.contains(hidden), "{command:?}: {}", ran.err);
        }
    }
}
