//! `pick` on manifests, as a user sees it.

use super::*;

fn rule(mode: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: newest}}
spec:
  mode: {mode}
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
  pick:
    groupBy: [\"${{replaceRegex(object.metadata.name, '-[0-9]+$', '')}}\"]
    orderBy: {{path: $.metadata.name, direction: Descending}}
    skip: 1
  actions:
  - delete: {{}}
"
    )
}

#[test]
fn a_plan_and_a_run_do_the_same_to_the_same_objects() {
    let maps: String = ["red-1", "red-2", "red-3", "blue-1", "blue-2"]
        .map(config_map)
        .concat();
    let audit = rule("Audit");
    let dir = folder(&[("rules/r.yaml", &audit), ("maps.yaml", &maps)]);
    let arguments = ["--rules", "rules", "--manifests", "maps.yaml"];
    let plan = |dir: &Path| ordain(dir, &[&["plan"][..], &arguments[..]].concat());
    let gone = [
        "ConfigMap/shop/red-1",
        "ConfigMap/shop/red-2",
        "ConfigMap/shop/blue-1",
    ];
    let stays = ["ConfigMap/shop/red-3", "ConfigMap/shop/blue-2"];
    let planned = plan(dir.path());
    assert_eq!(planned.code, 1, "{}{}", planned.out, planned.err);
    assert!(planned.out.contains("3 to delete"), "{}", planned.out);
    for object in gone {
        assert!(
            planned.out.contains(&format!("delete {object} by newest")),
            "{}",
            planned.out
        );
    }
    assert!(
        stays.iter().all(|object| !planned.out.contains(object)),
        "{}",
        planned.out
    );
    put(dir.path(), "rules/r.yaml", &rule("Enforce"));
    let run = ["run", "--once", "--write-manifests", "result"];
    let ran = ordain(dir.path(), &[&run[..], &arguments[..]].concat());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    // One after the other, as `pick` orders each group.
    let at = |object: &str| ran.out.find(&format!("delete {object} by newest"));
    assert!(at(gone[1]).unwrap() < at(gone[0]).unwrap(), "{}", ran.out);
    assert!(
        at(gone[2]).is_some() && stays.iter().all(|object| at(object).is_none()),
        "{}",
        ran.out
    );
    // What is left needs nothing more.
    let arguments = ["plan", "--rules", "rules", "--manifests", "result"];
    assert_eq!(ordain(dir.path(), &arguments).code, 0);
}
