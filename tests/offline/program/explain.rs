//! `ordain explain`: on manifests, and asked of a running daemon.
//!
//! `obstacles` what is not known, not yet, or in the way

mod obstacles;

use super::*;

const FLOOR: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: floor}
spec:
  match:
    resources:
    - {apiVersion: apps/v1, kind: Deployment}
    names: ['web*']
    namespaces: [shop]
  where:
  - {path: $.spec.replicas, operator: LessThan, value: 2}
  - any:
    - {path: \"$.metadata.labels['tier']\", value: front}
    - {path: $.spec.paused, operator: DoesNotExist}
  - {expression: '${variables.label}', value: web}
  variables:
  - {name: label, expression: '${object.metadata.name}'}
  actions:
  - patch:
    - {path: $.spec.replicas, set: 2}
";

fn deployment(name: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{replicas: {replicas}}}\n---\n"
    )
}

fn shop() -> tempfile::TempDir {
    let cluster = deployment("web", 1) + &deployment("web-2", 3) + &deployment("other", 1);
    let floor = FLOOR.replace("${variables.label}", "${label}");
    folder(&[("r.yaml", &floor), ("cluster/all.yaml", &cluster)])
}

fn explain(dir: &Path, rule: &str, object: &str, more: &[&str]) -> Ran {
    let mut arguments = vec!["explain", rule, object, "--rules", "r.yaml"];
    arguments.extend(["--manifests", "cluster"]);
    arguments.extend(more);
    ordain(dir, &arguments)
}

#[test]
fn every_clause_is_shown_with_the_value_it_saw_and_what_follows() {
    let dir = shop();
    let now = ["--now", "2026-01-01T00:00:00Z"];
    let ran = explain(dir.path(), "floor", "Deployment/shop/web", &now);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(
        ran.out,
        "floor and Deployment/shop/web, 2026-01-01T00:00:00Z
mode: Audit
match:
  passed  names: [web*] (is web)
  passed  namespaces: [shop] (is shop)
where:
  passed  $.spec.replicas LessThan 2 (is 1)
  passed  any of
    failed  $.metadata.labels['tier'] Equals \"front\"
    passed  $.spec.paused DoesNotExist
  passed  ${label} Equals \"web\" (is web)
variables:
  label = web
it matches, and there is something to do
in the way: mode: Audit: it is only told

patch Deployment/shop/web
@@ -4,4 +4,4 @@
   name: web
   namespace: shop
 spec:
-  replicas: 1
+  replicas: 2
"
    );
}

#[test]
fn what_does_not_act_says_which_clause_kept_it() {
    let dir = shop();
    let ran = explain(
        dir.path(),
        "floor",
        "Deployment/shop/web-2",
        &["-o", "json"],
    );
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let told = ran.json();
    assert_eq!(told["outcome"], "a test failed");
    assert_eq!(told["acts"], false);
    assert_eq!(told["tests"][0]["outcome"], "failed");
    assert_eq!(told["tests"][0]["value"], 3);
    assert_eq!(told["changes"], serde_json::json!([]));
    let ran = explain(dir.path(), "floor", "Deployment/shop/other", &[]);
    assert_eq!(ran.code, 1);
    let left_out = "  failed  names: [web*] (is other)\n";
    assert!(ran.out.contains(left_out), "{}", ran.out);
    assert!(ran.out.contains("`match` leaves it out"), "{}", ran.out);
}

#[test]
fn what_is_not_there_is_told_with_the_nearest_name() {
    let dir = shop();
    for (rule, object, code, said) in [
        ("flor", "Deployment/shop/web", 2, "did you mean `floor`?"),
        (
            "floor",
            "Deployment/shop/wep",
            3,
            "there is no Deployment/shop/wep: did you mean `web`?",
        ),
        (
            "floor",
            "Deployment/bar/web",
            3,
            "one of this name is in `shop`",
        ),
        (
            "floor",
            "ConfigMap/shop/web",
            2,
            "the rule is about Deployment.apps, not about ConfigMap",
        ),
        (
            "floor",
            "Deploymnet/shop/web",
            2,
            "did you mean `Deployment`?",
        ),
        ("floor", "web", 2, "names no kind"),
    ] {
        let ran = explain(dir.path(), rule, object, &[]);
        assert_eq!(ran.code, code, "{rule} {object}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(said), "{rule} {object}: {}", ran.err);
    }
}

/// Rules that look at admission only.
const AT_ADMISSION: &str = "\
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: unique}
spec:
  mode: Enforce
  when: [Create]
  match: {resources: [{apiVersion: v1, kind: ConfigMap}]}
  related:
  - name: same
    resources: [{apiVersion: v1, kind: ConfigMap}]
    where: [{path: $.data.key, value: \"${object.data.key}\"}]
    count: {operator: AtLeast, value: 1}
  actions: [{deny: {message: \"${request.operation}: as in ${same[0].metadata.name}\"}}]
---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: kept}
spec:
  when: [Delete]
  match: {resources: [{apiVersion: v1, kind: ConfigMap}]}
  where: [{expression: \"${request.oldObject.metadata.name}\", value: first}]
  actions: [{deny: {message: \"${request.operation} of ${object.metadata.name}\"}}]
";

#[test]
fn a_rule_that_looks_at_admission_only_is_explained_as_if_the_object_came_to_be() {
    let cluster = config_map("first") + &config_map("second");
    let dir = folder(&[("r.yaml", AT_ADMISSION), ("cluster/all.yaml", &cluster)]);
    // When the first one came, there was no other.
    let ran = explain(dir.path(), "unique", "ConfigMap/shop/first", &[]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("a test failed"), "{}", ran.out);
    let ran = explain(dir.path(), "unique", "ConfigMap/shop/second", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    for said in [
        "unique and ConfigMap/shop/second as it is created",
        "same = [\"ConfigMap/shop/first\"]",
        "it matches, and there is something to say",
        "Denied: CREATE: as in first",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    let json = ["-o", "json"];
    let ran = explain(dir.path(), "kept", "ConfigMap/shop/first", &json);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let told = ran.json();
    assert_eq!(told["occasion"], "Delete");
    assert_eq!(told["acts"], true);
    assert_eq!(told["inTheWay"][0], "mode: Audit: it is only told");
    assert_eq!(told["findings"][0]["message"], "DELETE of first");
    let ran = explain(dir.path(), "kept", "ConfigMap/shop/third", &[]);
    assert_eq!(ran.code, 3);
    let said = "there is no ConfigMap/shop/third";
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[test]
fn the_data_of_a_secret_is_not_shown() {
    let rule = label_rule("marked", "seen", "yes")
        .replace("ConfigMap", "Secret")
        .replace(
            "  where:\n",
            "  where:\n  - {path: $.data.key, operator: NotEquals, value: b3BlbiBzZXNhbWU=}\n",
        );
    let secret = config_map("key")
        .replace("ConfigMap", "Secret")
        .replace("key: value", "key: Y2FuYXJ5");
    let dir = folder(&[("r.yaml", &rule), ("cluster/all.yaml", &secret)]);
    for output in ["text", "json"] {
        let ran = explain(dir.path(), "marked", "Secret/shop/key", &["-o", output]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        let said = ran.out + &ran.err;
        assert!(
            !said.contains("Y2FuYXJ5") && !said.contains("canary"),
            "{said}"
        );
        assert!(said.contains("$.data.key NotEquals"), "{said}");
    }
}

#[test]
fn a_running_daemon_explains_what_stands_in_the_way_there() {
    let dir = folder(&[
        ("r.yaml", &label_rule("team", "team", "blue")),
        ("cluster/all.yaml", &config_map("a")),
    ]);
    let arguments = [
        "--rules",
        "r.yaml",
        "--manifests",
        "cluster",
        "--audit-only",
    ];
    let daemon = Running::start(dir.path(), &arguments);
    daemon.page("/readyz", |body| body == "ok\n");
    let from = [
        "explain",
        "team",
        "ConfigMap/shop/a",
        "--from",
        daemon.address(),
    ];
    let ran = ordain(dir.path(), &from);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(
        ran.out
            .contains("in the way: all rules are frozen to Audit"),
        "{}",
        ran.out
    );
    let (code, body) = daemon.request("GET", "/explain?rule=team", "");
    assert_eq!(
        (code, body.contains("which object?")),
        (400, true),
        "{body}"
    );
    let (code, body) = daemon.request("GET", "/explain?rule=temm&object=ConfigMap/shop/a", "");
    assert_eq!(code, 404);
    assert!(body.contains("did you mean `team`?"), "{body}");
    let page = "/explain?rule=team&object=ConfigMap/shop/a";
    let (code, _) = daemon.request("GET", page, "Origin: http://evil.example\r\n");
    assert_eq!(code, 403, "a web page reads nothing");
    // A page of a host whose name has come to mean this address.
    for (host, expected) in [
        ("evil.example", 403),
        ("evil.example:9464", 403),
        ("localhost:9464", 200),
        ("127.0.0.1:9464", 200),
        ("[::1]:9464", 200),
    ] {
        let (code, _) = daemon.request("GET", page, &format!("Host: {host}\r\n"));
        assert_eq!(code, expected, "{host}");
    }
    let ran = ordain(
        dir.path(),
        &[
            "explain",
            "team",
            "ConfigMap/shop/b",
            "--from",
            daemon.address(),
        ],
    );
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    assert!(
        ran.err.contains("there is no ConfigMap/shop/b"),
        "{}",
        ran.err
    );
}

#[test]
fn an_expression_without_a_value_says_which_field_is_not_there() {
    let floor = FLOOR.replace(
        "${variables.label}",
        "${object.spec.template.spec.hostname}",
    );
    let dir = folder(&[
        ("r.yaml", &floor),
        ("cluster/all.yaml", &deployment("web", 1)),
    ]);
    let ran = explain(dir.path(), "floor", "Deployment/shop/web", &[]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let why = "failed  ${object.spec.template.spec.hostname} Equals \"web\": `object.spec.template` is not there";
    assert!(ran.out.contains(why), "{}", ran.out);
}
