//! `--set RULE.NAME=VALUE`: a parameter of one rule alone.

use super::*;

/// Two rules with a parameter of the same name.
const FLOORS: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: floor}
spec:
  parameters: [{name: minimum, type: integer, default: 2}]
  match:
    resources: [{apiVersion: apps/v1, kind: Deployment}]
  actions:
  - warn: {message: \"floor ${params.minimum}\"}
---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: other}
spec:
  parameters: [{name: minimum, type: integer, default: 2}]
  match:
    resources: [{apiVersion: apps/v1, kind: Deployment}]
  actions:
  - warn: {message: \"other ${params.minimum}\"}
";

const WEB: &str =
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}}\n";

fn plan(set: &[&str]) -> Ran {
    let dir = folder(&[("r.yaml", FLOORS), ("cluster/web.yaml", WEB)]);
    let mut arguments = vec!["plan", "--rules", "r.yaml", "--manifests", "cluster"];
    for given in set {
        arguments.extend(["--set", given]);
    }
    ordain(dir.path(), &arguments)
}

#[test]
fn a_value_for_one_rule_goes_before_one_for_all_in_whatever_order() {
    for (set, floor, other) in [
        (&[][..], 2, 2),
        (&["minimum=5"], 5, 5),
        (&["floor.minimum=7"], 7, 2),
        (&["minimum=5", "floor.minimum=7"], 7, 5),
        (&["floor.minimum=7", "minimum=5"], 7, 5),
        (&["floor.minimum=7", "other.minimum=8"], 7, 8),
    ] {
        let ran = plan(set);
        for told in [format!("floor {floor}"), format!("other {other}")] {
            assert!(ran.out.contains(&told), "{set:?}: {}{}", ran.out, ran.err);
        }
    }
}

#[test]
fn what_is_wrong_with_it_is_said_with_the_nearest_name() {
    for (set, told) in [
        (
            &["flor.minimum=7"][..],
            "there is no rule `flor` with parameters: did you mean `floor`?",
        ),
        (
            &["floor.minimun=7"],
            "the rule `floor` has no parameter `minimun`: did you mean `minimum`?",
        ),
        (
            &["floor.minimum=few"],
            "`--set floor.minimum=…` does not fit: ",
        ),
        (
            &["minimum=3", "minimum=4"],
            "`minimum` is set twice, to `3` and to `4`: take one of them out",
        ),
        (
            &["floor.minimum=3", "minimum=1", "floor.minimum=3"],
            "`floor.minimum` is set twice, to `3` and to `3`",
        ),
        (&["floor.=3"], "`` is no name of a parameter"),
        (&["floor"], "write NAME=VALUE or RULE.NAME=VALUE"),
    ] {
        let ran = plan(set);
        assert_ne!(ran.code, 0, "{set:?}");
        assert!(ran.err.contains(told), "{set:?}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn a_value_that_does_not_fit_is_the_only_problem_of_its_rule() {
    let rule = FLOORS.replace(
        "floor ${params.minimum}",
        "floor ${string(params.minimum)} of ${string(params.minimum + 1)}",
    );
    for default in ["type: integer, default: 2", "type: integer"] {
        let rule = rule.replacen("type: integer, default: 2", default, 1);
        let dir = folder(&[("r.yaml", &rule)]);
        let ran = ordain(
            dir.path(),
            &["check", "--set", "floor.minimum=few", "r.yaml"],
        );
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        let said = ran.out + &ran.err;
        assert_eq!(said.matches(" error: ").count(), 1, "{said}");
    }
}
