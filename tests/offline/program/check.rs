//! `ordain check`.

use super::*;

const MISSPELT: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata:
  name: floor
spec:
  match:
    resources:
    - {apiVersion: apps/v1, kind: Deployment}
  where:
  - {path: $.spec.replica, operator: LessThan, value: 2}
  actions:
  - patch:
    - {path: $.spec.replicas, set: 2}
";

#[test]
fn good_files_are_good() {
    for path in ["rules", "examples/shop/rules"] {
        let ran = ordain(&root(), &["check", path]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        assert!(ran.out.contains("good rules"), "{}", ran.out);
    }
}

#[test]
fn every_problem_of_every_file_is_printed_with_its_place_and_mend() {
    let dir = folder(&[
        ("a/floor.yaml", MISSPELT),
        ("a/b/good.yaml", &label_rule("good", "a", "b")),
        (
            "a/b/mode.yml",
            &label_rule("mode", "a", "b").replace("Enforce", "Enforced"),
        ),
        ("a/notes.txt", "not read"),
    ]);
    let ran = ordain(dir.path(), &["check", "a"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains("a/floor.yaml:10:19: error: Deployment has no field `replica` here\n   |\n10 |   - {path: $.spec.replica, "),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("= help: did you mean `replicas`?"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("a/b/mode.yml:6:9: error: "), "{}", ran.out);
    assert!(
        ran.out
            .ends_with("1 good rule and 0 tests in 3 files, 2 errors\n"),
        "{}",
        ran.out
    );
    let json = ordain(dir.path(), &["check", "a", "-o", "json"]);
    assert_eq!(json.code, 1);
    let json = json.json();
    assert_eq!(json["errors"], 2);
    let problem = json["problems"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["file"] == "a/floor.yaml")
        .unwrap();
    assert_eq!(
        (
            &problem["line"],
            &problem["column"],
            &problem["severity"],
            &problem["mend"],
            &problem["rule"]
        ),
        (
            &10.into(),
            &19.into(),
            &"error".into(),
            &"did you mean `replicas`?".into(),
            &"floor".into()
        )
    );
    let yaml = ordain(dir.path(), &["check", "a", "-o", "yaml"]);
    assert!(yaml.out.contains("errors: 2\n"), "{}", yaml.out);
    let colour = ordain(dir.path(), &["check", "a", "--color", "always"]);
    assert!(
        colour.out.contains("\x1b[31merror\x1b[0m"),
        "{}",
        colour.out
    );
    assert!(!ran.out.contains('\x1b'), "no terminal, no colour");
}

#[test]
fn reads_standard_input() {
    let dir = folder(&[]);
    let ran = ordain_with(dir.path(), &["check", "-"], &[], MISSPELT);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("<stdin>:10:19: error"), "{}", ran.out);
    assert_eq!(
        ordain_with(dir.path(), &["check", "-"], &[], &label_rule("r", "a", "b")).code,
        0
    );
}

#[test]
fn nothing_to_check_is_a_problem() {
    let dir = folder(&[("empty/notes.txt", "x")]);
    let ran = ordain(dir.path(), &["check", "missing"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out
            .contains("missing:1:1: error: cannot be read: No such file"),
        "{}",
        ran.out
    );
    let ran = ordain(dir.path(), &["check", "empty"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("no rule file"), "{}", ran.out);
}

#[test]
fn kinds_of_definitions_among_the_manifests_are_known() {
    let crd = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Boat, plural: boats}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {sails: {type: integer}}}
";
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: sails}
spec:
  match:
    resources:
    - {apiVersion: example.com/v1, kind: Boat}
  actions:
  - patch:
    - {path: $.spec.sail, set: 2}
";
    let dir = folder(&[("crds/boat.yaml", crd), ("r.yaml", rule)]);
    let without = ordain(dir.path(), &["check", "r.yaml"]);
    assert_eq!(
        without.code, 0,
        "an unknown kind of a foreign group is a warning: {}",
        without.out
    );
    assert!(without.out.contains("warning"), "{}", without.out);
    let with = ordain(dir.path(), &["check", "r.yaml", "--manifests", "crds"]);
    assert_eq!(with.code, 1, "{}", with.out);
    assert!(with.out.contains("did you mean `sails`?"), "{}", with.out);
}

#[test]
fn that_a_scope_is_a_guess_is_said_once_and_only_where_it_decides() {
    let rule = |name: &str, kind: &str| {
        format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  match: {{resources: [{{apiVersion: example.com/v1, kind: {kind}}}]}}\n  actions: [{{warn: {{message: seen}}}}]\n"
        )
    };
    let boat =
        |at: &str| format!("apiVersion: example.com/v1\nkind: Boat\nmetadata: {{name: b{at}}}\n");
    let dir = folder(&[
        ("rules/a.yaml", &rule("a", "Boat")),
        ("rules/b.yaml", &rule("b", "Boat")),
        ("rules/c.yaml", &rule("c", "\"*\"")),
        ("bare/boat.yaml", &boat("")),
        ("placed/boat.yaml", &boat(", namespace: harbour")),
    ]);
    let guess =
        "nothing says whether Boat.example.com is cluster-scoped: it is taken to be namespaced";
    let times = |text: &str| text.matches(guess).count();
    let check = |more: &[&str]| ordain(dir.path(), &[&["check", "rules"], more].concat());
    let bare = check(&["--manifests", "bare"]);
    assert_eq!((bare.code, times(&bare.out)), (0, 1), "{}", bare.out);
    // Without manifests a cluster says it; and a namespace among them does.
    assert_eq!(times(&check(&[]).out), 0);
    assert_eq!(times(&check(&["--manifests", "placed"]).out), 0);
    let plan = ["plan", "--rules", "rules", "--manifests", "bare"];
    let plan = ordain(dir.path(), &plan);
    assert_eq!(times(&plan.err), 1, "{}", plan.err);
    assert!(plan.out.contains("Boat/default/b"), "{}", plan.out);
}

#[test]
fn a_broken_rule_test_is_a_problem_too() {
    let test = "apiVersion: ordain.dev/v1alpha1
kind: RuleTest
metadata: {name: t}
spec:
  rule: [r.yaml]
  steps:
  - at: 2026-13-01
    expect: {change: []}
";
    let dir = folder(&[("r.yaml", &label_rule("r", "a", "b")), ("t.yaml", test)]);
    let ran = ordain(dir.path(), &["check", "."]);
    assert_eq!(ran.code, 1);
    for said in [
        "t.yaml:5:3: error: unknown field `rule` of spec",
        "did you mean `rules`?",
        "t.yaml:7:9: error: `2026-13-01` is no time",
        "t.yaml:8:14: error: unknown field `change` of expect",
        "did you mean `changes`?",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
}
