//! What people read when a rule file is wrong: `messages/NAME/rule.yaml` beside `messages/NAME/expected.txt`.
//!
//! `ORDAIN_BLESS=1 cargo test --test offline messages` writes what came out as expected; read the difference before you commit it.

use ordain::manifests::Manifests;
use ordain::rule::compile::{Compiled, SourceFile, compile};
use ordain::rule::problem::Severity;
use ordain::rules_dir;
use ordain::schema::Schema;
use proptest::prelude::*;
use std::fmt::Write;
use std::path::PathBuf;

fn problems(name: &str, bytes: Vec<u8>) -> Compiled {
    let name = name.into();
    compile(&[SourceFile { name, bytes }], &Schema::bundled())
}

fn printed(compiled: &Compiled) -> String {
    let texts: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    texts.join("\n\n") + "\n"
}

/// Everything that is printed of the problems of one file.
pub fn printed_of(name: &str, bytes: Vec<u8>) -> String {
    printed(&problems(name, bytes))
}

#[test]
fn every_message_is_as_expected() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/offline/messages");
    let bless = std::env::var_os("ORDAIN_BLESS").is_some();
    let mut failures = String::new();
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let compiled = problems("rule.yaml", std::fs::read(case.join("rule.yaml")).unwrap());
        let found = printed(&compiled);
        let file = case.join("expected.txt");
        if bless {
            std::fs::write(&file, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if found != expected {
            write!(
                failures,
                "--- {name}: expected\n{expected}--- {name}: found\n{found}\n"
            )
            .unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// One error of a text, which must come within the bounds of the compiler whatever the text.
fn error(bytes: Vec<u8>) -> String {
    let compiled = problems("rule.yaml", bytes);
    assert!(compiled.rules.is_empty());
    let first = compiled
        .problems
        .iter()
        .find(|p| p.severity == Severity::Error);
    let text = first.expect("an error").to_string();
    assert!(text.len() < 1_500, "{} bytes of message", text.len());
    text
}

fn rule(spec: &str) -> Vec<u8> {
    format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: large}}\nspec:\n  match: {{resources: [{{apiVersion: v1, kind: Pod}}]}}\n{spec}"
    )
    .into_bytes()
}

#[test]
fn a_file_of_50_mib_is_refused_unread() {
    let text = error(vec![b'a'; 50 << 20]);
    assert!(
        text.contains("rule.yaml:1:1: error: the file has 50 MiB, and at most 4 MiB are read"),
        "{text}"
    );
}

#[test]
fn an_expression_of_1_mb_is_refused() {
    let sum = vec!["1"; 300_000].join(" + ");
    let text = error(rule(&format!(
        "  actions:\n  - warn:\n      message: \"${{{sum}}}\"\n"
    )));
    assert!(text.starts_with("rule.yaml:8:"), "{text}");
    assert!(text.contains("at most 16384 are read"), "{text}");
}

#[test]
fn of_many_problems_a_few_are_shown_and_the_rest_is_counted() {
    let text = error(rule(&format!(
        "  actions:\n  - warn:\n      message: \"{}\"\n",
        "${x}".repeat(900_000)
    )));
    assert!(
        text.contains("more than 1000 `${ }` in one value"),
        "{text}"
    );
    let steps = "  - warn: {message: \"${x}\"}\n".repeat(5_000);
    let compiled = problems("rule.yaml", rule(&format!("  actions:\n{steps}")));
    assert!(compiled.rules.is_empty());
    assert_eq!(compiled.problems.len(), 101);
    let printed = printed(&compiled);
    assert!(
        printed.contains("error: 4900 more problems in this file"),
        "{printed}"
    );
}

proptest! {
    /// A good rule with a piece of it replaced by something else is good or refused, and every place is in the file.
    #[test]
    fn damaged_rules_are_refused_without_harm(
        from in 0usize..GOOD.len(),
        length in 0usize..40,
        piece in "[\\[\\]{}:,\\-?&*!|>'\"%@`# \\n$a-z0-9.()=]{0,12}|\\$\\{[a-z.()+ ]{0,12}\\}|[a-z]{1,8}: |\\PC{0,8}",
    ) {
        let boundary = |mut at: usize| {
            while !GOOD.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (from, to) = (boundary(from), boundary((from + length).min(GOOD.len())));
        let text = format!("{}{piece}{}", &GOOD[..from], &GOOD[to..]);
        let lines = text.split('\n').count();
        let compiled = problems("rule.yaml", text.clone().into_bytes());
        for problem in &compiled.problems {
            let place = &problem.place;
            prop_assert!(place.line >= 1 && place.line <= lines + 1, "{problem}\n{text}");
            prop_assert!(place.column >= 1 && place.length >= 1, "{problem}\n{text}");
        }
    }
}

/// Some of everything.
const GOOD: &str = r#"apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: good}
spec:
  description: Some of everything — äöü.
  mode: Enforce
  priority: 3
  match:
    resources:
    - {kind: Workload}
    - {apiVersion: v1, kind: Pod}
    names: ["web-*", "!*-canary"]
    namespaceSelector:
      matchExpressions:
      - {key: env, operator: In, values: [production]}
  where:
  - {path: "$containers[?@.name == 'app'].image", as: image.tag, value: latest}
  - any:
    - {path: $.metadata.creationTimestamp, as: age, operator: AtLeast, value: 7d}
    - expression: ${object.metadata.name.startsWith('a')}
      value: true
  - none:
    - {path: $.metadata.labels.team, operator: In, values: [a, b]}
  actions:
  - patch:
    - path: $containers[*].image
      where:
      - {path: $.image, as: image.registry, value: docker.io}
      set: ${image(current).with('registry', 'mirror.example')}
    - path: $.metadata.annotations
      merge: {a: "x ${object.kind}", b: null}
  - warn:
      message: >-
        ${object.metadata.name} is
        ${object.kind}
  limits:
    abortAbove: {objects: 50, percent: 10}
    throttle: {objects: 5, per: 1m}
"#;

#[test]
fn the_rule_that_is_damaged_was_good() {
    let compiled = problems("rule.yaml", GOOD.into());
    let errors: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    assert_eq!(compiled.rules.len(), 1, "{errors:?}");
}

#[test]
fn ten_thousand_levels_are_refused() {
    for text in [
        format!("  actions: {}\n", "[".repeat(10_000)),
        format!("  actions: {}\n", "{a: ".repeat(10_000)),
        format!("  actions:\n  {}\n", "- ".repeat(10_000)),
        (0..2_000)
            .map(|i| format!("{}a:\n", " ".repeat(i + 2)))
            .collect(),
    ] {
        let text = error(rule(&text));
        assert!(text.contains("nested deeper than 64 levels"), "{text}");
    }
    let deep = format!("${{{}1{}}}", "(".repeat(10_000), ")".repeat(10_000));
    let message = format!("  actions:\n  - warn:\n      message: \"{}\"\n", deep);
    error(rule(&message));
    let path = format!(
        "  where:\n  - path: \"$.spec{}\"\n    operator: Exists\n  actions: [{{delete: {{}}}}]\n",
        "[?@.a".repeat(5_000)
    );
    error(rule(&path));
}

#[test]
fn a_rule_that_is_good_beside_one_that_is_not_loads() {
    let good = "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {name: good}\nspec:\n  match: {resources: [{apiVersion: v1, kind: Pod}]}\n  actions: [{delete: {}}]\n";
    let bad = good
        .replace("name: good", "name: bad")
        .replace("actions", "axtions");
    let compiled = problems("rules.yaml", format!("{bad}---\n{good}").into_bytes());
    assert_eq!(compiled.rules.len(), 1);
    assert_eq!(&*compiled.rules[0].name, "good");
    assert_eq!(compiled.rules[0].source.1, 8);
    assert_eq!(compiled.rules[0].limits.abort_objects, Some(20));
    assert_eq!(compiled.broken, [("bad".into(), "rules.yaml".into())]);
    assert!(compiled.unreadable.is_empty());
    let damaged = problems("rules.yaml", format!("a: [\n---\n{good}").into_bytes());
    assert_eq!((damaged.rules.len(), damaged.unreadable.len()), (1, 1));
}

#[test]
fn the_objects_of_a_rule_test_are_no_surprise() {
    let file = |name: &str, text: &str| SourceFile {
        name: name.into(),
        bytes: text.into(),
    };
    let objects = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let test = "apiVersion: ordain.dev/v1alpha1\nkind: RuleTest\nmetadata: {name: a}\nspec:\n  rules: [../a.yaml]\n  objects: [./objects.yaml]\n";
    let files = [
        file("rules/tests/a.yaml", test),
        file("rules/tests/objects.yaml", objects),
        file("rules/stray.yaml", objects),
    ];
    let compiled = compile(&files, &Schema::bundled());
    assert_eq!(compiled.tests.len(), 1);
    assert_eq!(&*compiled.tests[0].0, "rules/tests/a.yaml");
    let places: Vec<&str> = compiled.problems.iter().map(|p| &*p.place.file).collect();
    assert_eq!(places, ["rules/stray.yaml"]);
}

#[test]
fn every_rule_that_is_shipped_compiles() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for folder in ["rules", "examples/shop/rules"] {
        let set = rules_dir::load(&[root.join(folder)]);
        assert!(set.unreadable.is_empty(), "{folder}");
        // As `check` does: kinds whose definitions lie beside the tests are known.
        let (schema, _) = Manifests::from_files(&set).schema(&Schema::bundled());
        let compiled = compile(&set.files, &schema);
        assert!(compiled.problems.is_empty(), "{}", printed(&compiled));
        seen += compiled.rules.len();
    }
    assert!(seen >= 40, "only {seen} rules");
}

#[test]
fn comments_and_formatting_do_not_change_a_rule() {
    let hash = |text: &str| problems("a.yaml", text.as_bytes().to_vec()).rules[0].hash;
    let one = "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {name: a}\nspec:\n  match: {resources: [{apiVersion: v1, kind: Pod}]}\n  actions: [{delete: {}}]\n";
    let same = "# A comment\nkind: Rule\napiVersion: ordain.dev/v1alpha1\nmetadata:\n  name: a\nspec:\n  actions:\n  - delete: {}   # all\n  match:\n    resources:\n    - kind: Pod\n      apiVersion: \"v1\"\n";
    let other = one.replace("Pod", "Secret");
    assert_eq!(hash(one), hash(same));
    assert_ne!(hash(one), hash(&other));
}
