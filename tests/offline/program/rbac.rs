//! `ordain rbac`.

use super::*;

const CRD: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: wolves.zoo.example}
spec:
  group: zoo.example
  scope: Namespaced
  names: {plural: wolves, singular: wolf, kind: Wolf}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";

fn wolf_rule() -> String {
    label_rule("wolves", "pack", "grey").replace(
        "apiVersion: v1, kind: ConfigMap",
        "apiVersion: zoo.example/v1, kind: Wolf",
    )
}

#[test]
fn the_rights_of_the_ready_made_rules_are_printed_with_their_reasons() {
    // Two are about custom resources, whose definitions lie beside their tests.
    let ran = ordain(&root(), &["rbac", "--rules", "rules"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.err, "");
    let lines: Vec<&str> = ran.out.lines().collect();
    // Two rules delete Pods.
    let at = (1..lines.len())
        .find(|at| lines[at - 1] == "  resources: [pods]" && lines[*at] == "  verbs: [delete]")
        .unwrap_or_else(|| panic!("{}", ran.out));
    let reason = lines[..at].iter().rev().find(|l| l.starts_with("# rule"));
    assert_eq!(
        reason,
        Some(&"# rules evicted-pods, ordered-restart"),
        "{}",
        ran.out
    );
    // Secrets may be read for the rules that are about them alone.
    let at = lines.iter().position(|l| l.contains("[secrets]"));
    let why = at.map(|at| lines[at - 2]);
    assert_eq!(
        why,
        Some("# rules copied-secrets, orphaned-secrets, tenant"),
        "{}",
        ran.out
    );
}

#[test]
fn names_and_namespaces_are_as_given() {
    let dir = folder(&[("r.yaml", &label_rule("r", "a", "b"))]);
    let ran = ordain(
        dir.path(),
        &[
            "rbac",
            "--rules",
            "r.yaml",
            "-n",
            "shop",
            "-n",
            "bar",
            "--name",
            "keeper",
            "--service-account",
            "sa",
            "--state-namespace",
            "home",
            "--lease-name",
            "two",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.contains("Cluster"), "{}", ran.out);
    for expected in [
        "metadata:\n  name: keeper\n  namespace: bar\n  labels:\n    app.kubernetes.io/name: ordain\nrules:\n# rule r\n- apiGroups: [\"\"]\n  resources: [configmaps]\n  verbs: [get, list, watch, patch]\n",
        "metadata:\n  name: keeper\n  namespace: home\n",
        "metadata:\n  name: keeper\n  namespace: shop\n",
        "  resourceNames: [two]\n",
        "- kind: ServiceAccount\n  name: sa\n  namespace: home\n",
    ] {
        assert!(ran.out.contains(expected), "{expected}\nin\n{}", ran.out);
    }
    let frozen = ordain(dir.path(), &["rbac", "--rules", "r.yaml", "--audit-only"]);
    assert!(
        frozen
            .out
            .contains("resources: [configmaps, namespaces]\n  verbs: [list, watch]\n")
            && !frozen.out.contains("patch"),
        "{}",
        frozen.out
    );
}

#[test]
fn a_kind_without_a_known_plural_is_an_error_with_its_mend() {
    let dir = folder(&[("rules/wolf.yaml", &wolf_rule()), ("crds/wolf.yaml", CRD)]);
    let ran = ordain(dir.path(), &["rbac"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(
        ran.err
            .contains("error: rule `wolves` is about zoo.example/v1/Wolf")
            && ran.err.contains("--manifests"),
        "{}",
        ran.err
    );
    let ran = ordain(dir.path(), &["rbac", "--manifests", "crds"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out
            .contains("- apiGroups: [zoo.example]\n  resources: [wolves]\n"),
        "{}",
        ran.out
    );
}

#[test]
fn rules_with_errors_have_no_rights() {
    let broken = label_rule("broken", "a", "b").replace("Enforce", "Enforced");
    let dir = folder(&[
        ("broken/good.yaml", &label_rule("good", "a", "b")),
        ("broken/broken.yaml", &broken),
        ("empty/readme.txt", ""),
    ]);
    let ran = ordain(dir.path(), &["rbac", "--rules", "broken"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(
        ran.err.contains("broken/broken.yaml:6:9: error: "),
        "{}",
        ran.err
    );
    let ran = ordain(dir.path(), &["rbac", "--rules", "empty"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(ran.err.contains("there is no rule"), "{}", ran.err);
}

#[test]
fn what_namespaces_cannot_reach_is_said() {
    let nodes = label_rule("nodes", "a", "b").replace("kind: ConfigMap", "kind: Node");
    let dir = folder(&[("r.yaml", &nodes)]);
    let ran = ordain(dir.path(), &["rbac", "--rules", "r.yaml", "-n", "shop"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("rule `nodes`: Node is cluster-scoped"),
        "{}",
        ran.err
    );
    assert!(!ran.out.contains("nodes"), "{}", ran.out);
}

#[test]
fn a_cluster_that_is_not_there_is_no_answer() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "a", "b")),
        (
            "kubeconfig",
            "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n\
             contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
        ),
    ]);
    for more in [&["--check"][..], &[]] {
        let mut arguments = vec!["rbac", "--kubeconfig", "kubeconfig"];
        arguments.extend(more);
        let ran = ordain(dir.path(), &arguments);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{}", ran.err);
        assert!(ran.err.contains("the cluster"), "{}", ran.err);
    }
}
