//! Objects and rule files that mean harm, or are merely broken: the others are served all the same.

use crate::program::{config_map, folder, label_rule, ordain, put};
use serde_json::{Map, Value, json};

/// Rules that read much of an object: labels, annotations, everything below `..`, CEL.
const READER: &str = "
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata:
  name: reader
spec:
  mode: Enforce
  match:
    resources:
    - {apiVersion: v1, kind: ConfigMap}
    selector:
      matchExpressions:
      - {key: never, operator: DoesNotExist}
  where:
  - {path: $..never, operator: DoesNotExist}
  - any:
    - {path: $.metadata.annotations, operator: DoesNotExist}
    - {path: $.metadata.annotations, as: size, operator: AtLeast, value: 0}
  - {expression: \"${object.metadata.?labels.orValue({}).size() >= 0}\", value: true}
  actions:
  - patch:
    - {path: $.metadata.labels.read, set: 'yes'}
";

fn object(name: &str, metadata: Value, more: Value) -> String {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}});
    for (into, from) in [("/metadata", metadata), ("", more)] {
        let Some(Value::Object(target)) = object.pointer_mut(into) else {
            panic!("no {into}")
        };
        target.extend(from.as_object().cloned().unwrap_or_default());
    }
    object.to_string()
}

#[test]
fn objects_without_measure_leave_the_others_served() {
    let huge = "x".repeat(1 << 20);
    let labels: Map<String, Value> = (0..100_000)
        .map(|n| (format!("flood-{n}"), json!("v")))
        .collect();
    let mut deep = json!("bottom");
    for _ in 0..60 {
        deep = json!({ "d": deep });
    }
    let deepest = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"deepest\"}},\"data\":{}1{}}}",
        "{\"a\":".repeat(50_000),
        "}".repeat(50_000)
    );
    let dir = folder(&[
        ("cluster/a.yaml", &config_map("plain")),
        (
            "cluster/annotation.json",
            &object(
                "annotation",
                json!({"annotations": {"big": huge}}),
                json!({}),
            ),
        ),
        (
            "cluster/labels.json",
            &object("labels", json!({ "labels": labels }), json!({})),
        ),
        (
            "cluster/deep.json",
            &object("deep", json!({}), json!({ "data": deep })),
        ),
        ("cluster/deepest.json", &deepest),
        (
            "cluster/wrong.json",
            &object(
                "wrong",
                json!({"labels": "a text", "annotations": [1, 2]}),
                json!({"data": 7}),
            ),
        ),
        ("cluster/nonsense.yaml", "just: {a: [\n"),
        ("cluster/binary.yaml", "\u{0}\u{1}"),
        ("rules/reader.yaml", READER),
        ("rules/team.yaml", &label_rule("team", "team", "web")),
    ]);
    let ran = ordain(
        dir.path(),
        &[
            "run",
            "--once",
            "--manifests",
            "cluster",
            "--rules",
            "rules",
            "--write-manifests",
            "out",
            "--now",
            "2026-01-01T00:00:00Z",
        ],
    );
    assert!([0, 3].contains(&ran.code), "{}", ran.err);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    assert!(
        ran.err.contains("nonsense.yaml") && ran.err.contains("deepest.json"),
        "what is left out is named: {}",
        ran.err
    );
    let written = ordain(
        dir.path(),
        &["plan", "--manifests", "out", "--rules", "rules"],
    );
    for name in ["plain", "annotation", "deep"] {
        assert!(
            ran.out
                .contains(&format!("patch ConfigMap/shop/{name} by reader, team")),
            "{name} was not served"
        );
    }
    assert!(!written.err.contains("panicked"), "{}", written.err);
}

#[test]
fn rule_files_without_measure_leave_the_good_ones_in_force() {
    let nested = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let bomb: String = (1..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        format!(
            "{text}a{n}: &a{n} [{}]\n",
            vec![format!("*a{}", n - 1); 9].join(",")
        )
    });
    let expression = label_rule("long", "team", "web").replace(
        "set: web",
        &format!("set: \"${{{}1}}\"", "1 + ".repeat(250_000)),
    );
    let dir = folder(&[
        ("cluster/a.yaml", &config_map("plain")),
        ("rules/good.yaml", &label_rule("good", "team", "web")),
        ("rules/nested.yaml", &nested),
        ("rules/bomb.yaml", &bomb),
        ("rules/expression.yaml", &expression),
        ("rules/other.yaml", &config_map("lying-about")),
    ]);
    put(dir.path(), "rules/large.yaml", &"# ".repeat(25 << 20));
    std::fs::write(dir.path().join("rules/latin.yaml"), b"apiVersion: \xe9\n").unwrap();
    let checked = ordain(dir.path(), &["check", "rules"]);
    assert_eq!(checked.code, 1);
    for (file, said) in [
        ("nested.yaml", "nested deeper than"),
        ("bomb.yaml", "alias"),
        ("expression.yaml", "at most 16384"),
        ("large.yaml", "MiB"),
        ("latin.yaml", "UTF-8"),
        ("other.yaml", "warning"),
    ] {
        let told = checked
            .out
            .lines()
            .chain(checked.err.lines())
            .any(|l| l.contains(file) && l.contains(said));
        assert!(
            told,
            "{file} should be told with {said:?}:\n{}{}",
            checked.out, checked.err
        );
    }
    let ran = ordain(
        dir.path(),
        &[
            "run",
            "--once",
            "--manifests",
            "cluster",
            "--rules",
            "rules",
        ],
    );
    assert!(
        ran.out.contains("patch ConfigMap/shop/plain by good"),
        "{}{}",
        ran.out,
        ran.err
    );
}

#[test]
fn every_ready_made_rule_checks_clean_and_passes_its_test() {
    let root = crate::program::root();
    let checked = ordain(&root, &["check", "rules"]);
    assert_eq!(
        (checked.code, checked.out.contains("warning")),
        (0, false),
        "{}{}",
        checked.out,
        checked.err
    );
    let tested = ordain(&root, &["test", "rules"]);
    assert_eq!(tested.code, 0, "{}{}", tested.out, tested.err);
    // Each topic has its tests beside its rules.
    let topics = std::fs::read_dir(root.join("rules")).unwrap();
    let tests =
        topics.filter_map(|topic| std::fs::read_dir(topic.unwrap().path().join("tests")).ok());
    let is_test = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().path().is_file();
    let count: usize = tests
        .map(|tests| tests.filter_map(|e| is_test(e).then_some(())).count())
        .sum();
    let all = format!("{count} passed, 0 failed");
    assert!(count >= 4 && tested.out.contains(&all), "{}", tested.out);
    let example = ordain(&root, &["check", "examples/shop/rules"]);
    assert_eq!(
        (example.code, example.out.contains("warning")),
        (0, false),
        "{}{}",
        example.out,
        example.err
    );
}
