//! `archive` to a directory, as a user sees it.

use super::*;

const RULES: &str = "apiVersion: ordain.dev/v1alpha1
kind: Sink
metadata: {name: backups}
spec: {directory: {path: ../kept}}
---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: sweep}
spec:
  mode: Enforce
  match:
    resources: [{apiVersion: v1, kind: ConfigMap}]
    names: [left-over]
  actions:
  - archive: {sink: backups}
  - delete: {}
";

fn once(dir: &Path) -> Ran {
    ordain(
        dir,
        &[
            "run",
            "--once",
            "--rules",
            "rules",
            "--manifests",
            "maps.yaml",
            "--write-manifests",
            "result",
        ],
    )
}

/// Every file below a folder, relative to it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(folder).unwrap().display().to_string()),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_a_rule_deletes_lies_in_the_directory_first() {
    let maps = config_map("left-over") + &config_map("used");
    let dir = folder(&[("rules/sweep.yaml", RULES), ("maps.yaml", &maps)]);
    let planned = ordain(
        dir.path(),
        &["plan", "--rules", "rules", "--manifests", "maps.yaml"],
    );
    assert_eq!(planned.code, 1, "{}{}", planned.out, planned.err);
    for expected in [
        "archive ConfigMap/shop/left-over by sweep",
        "delete ConfigMap/shop/left-over by sweep",
    ] {
        assert!(planned.out.contains(expected), "{}", planned.out);
    }
    assert_eq!(
        files(&dir.path().join("kept")),
        Vec::<String>::new(),
        "a plan writes nothing"
    );
    let ran = once(dir.path());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("1 archived") && ran.out.contains("1 deleted"),
        "{}",
        ran.out
    );
    let kept = files(&dir.path().join("kept"));
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(
        kept[0].starts_with("sweep/shop/ConfigMap/left-over/") && kept[0].ends_with(".yaml"),
        "{kept:?}"
    );
    let text = std::fs::read_to_string(dir.path().join("kept").join(&kept[0])).unwrap();
    assert!(
        text.contains("name: left-over") && text.contains("key: value"),
        "{text}"
    );
    let result = std::fs::read_to_string(dir.path().join("result/shop.yaml")).unwrap();
    assert!(
        result.contains("used") && !result.contains("left-over"),
        "{result}"
    );
    // It is a manifest like any other.
    let again = ordain(
        dir.path(),
        &["plan", "--rules", "rules", "--manifests", "kept"],
    );
    assert!(
        again.out.contains("delete ConfigMap/shop/left-over"),
        "{}{}",
        again.out,
        again.err
    );
}

#[test]
fn what_cannot_be_archived_is_not_deleted() {
    let maps = config_map("left-over");
    // Where the directory should be, there is a file.
    let dir = folder(&[
        ("rules/sweep.yaml", RULES),
        ("maps.yaml", &maps),
        ("kept", ""),
    ]);
    let ran = once(dir.path());
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("sink `backups`") && !ran.out.contains("deleted"),
        "{}",
        ran.out
    );
    let result = std::fs::read_to_string(dir.path().join("result/shop.yaml")).unwrap();
    assert!(result.contains("left-over"), "{result}");
}
