//! The language, statement by statement: `tests/golden/index.yaml` has every statement, in order, and a folder for each that shows it.
//!
//! A folder holds RuleTests beside their rules, or `rule.yaml` and the messages it gets at load, `expected.txt`
//! (`ORDAIN_BLESS=1 cargo test --test offline golden` writes what came out). `policies/` holds rules as people write them.

use crate::messages::printed_of;
use ordain::rule::yaml;
use ordain::rule_test::{Run, Verdict, run_all};
use ordain::schema::Schema;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One statement of the index.
struct Statement {
    /// The folder that shows it.
    id: String,
    /// Why it cannot be shown yet. As long as `later.yaml` of its folder is refused as not supported, what else is in the folder waits.
    later: Option<String>,
    /// Folders of `tests/offline/messages` that show it, instead of a folder or beside it.
    messages: Vec<String>,
    /// `FILE::FUNCTION` of tests that show it.
    tests: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn golden() -> PathBuf {
    root().join("tests/golden")
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.map(|t| t.as_str().unwrap().to_owned()).collect()
}

fn statements() -> Vec<Statement> {
    let text = std::fs::read_to_string(golden().join("index.yaml")).unwrap();
    let (trees, problems) = yaml::read(&text);
    assert!(problems.is_empty(), "{problems:?}");
    let mut all = vec![];
    for section in trees[0].to_value().as_array().unwrap() {
        assert!(section["section"].is_string(), "{section}");
        for statement in section["statements"].as_array().unwrap() {
            let known = ["id", "says", "later", "messages", "tests"];
            for key in statement.as_object().unwrap().keys() {
                assert!(known.contains(&key.as_str()), "{statement}");
            }
            assert!(
                statement["says"].as_str().is_some_and(|s| s.len() > 3),
                "{statement}"
            );
            all.push(Statement {
                id: statement["id"].as_str().unwrap().to_owned(),
                later: statement["later"].as_str().map(str::to_owned),
                messages: texts(&statement["messages"]),
                tests: texts(&statement["tests"]),
            });
        }
    }
    all
}

/// Every folder below `tests/golden` that holds files, by its path.
fn folders() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![golden()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if folder != golden() {
                let name = folder.strip_prefix(golden()).unwrap();
                found.insert(name.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn every_statement_has_what_shows_it_and_every_folder_a_statement() {
    let statements = statements();
    assert!(
        statements.len() > 150,
        "only {} statements",
        statements.len()
    );
    let mut failures = vec![];
    let mut open = folders();
    let mut seen = BTreeSet::new();
    for statement in &statements {
        let Statement {
            id,
            later,
            messages,
            tests,
        } = statement;
        if !seen.insert(id.clone()) {
            failures.push(format!("{id} stands twice in the index"));
        }
        let has_folder = open.remove(id);
        if !has_folder && messages.is_empty() && tests.is_empty() {
            failures.push(format!("{id} has no folder"));
        }
        let folder = golden().join(id);
        if folder.join("later.yaml").exists() != later.is_some() {
            failures.push(format!(
                "{id}: `later` in the index and `later.yaml` go together"
            ));
        }
        for name in messages {
            if !root()
                .join("tests/offline/messages")
                .join(name)
                .join("expected.txt")
                .exists()
            {
                failures.push(format!("{id}: no message `{name}`"));
            }
        }
        for test in tests {
            let (file, function) = test.split_once("::").unwrap();
            let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            if !text.contains(&format!("fn {function}(")) {
                failures.push(format!("{id}: no test {test}"));
            }
        }
    }
    open.retain(|folder| !folder.starts_with("policies"));
    failures.extend(
        open.iter()
            .map(|folder| format!("{folder} shows no statement of the index")),
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whether a folder shows what is not built yet.
fn waits(folder: &Path) -> bool {
    let rule = std::fs::read(folder.join("later.yaml"));
    rule.is_ok_and(|rule| printed_of("later.yaml", rule).contains("not supported yet"))
}

#[test]
fn what_comes_later_is_shown_once_it_is_there() {
    let mut failures = vec![];
    for statement in statements().iter().filter(|s| s.later.is_some()) {
        let folder = golden().join(&statement.id);
        let shown = ["test.yaml", "rule.yaml", "prepared.yaml"]
            .iter()
            .any(|name| folder.join(name).exists());
        if !shown && !waits(&folder) {
            failures.push(format!("{} is built: show it", statement.id));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn load_errors_are_as_expected() {
    let bless = std::env::var_os("ORDAIN_BLESS").is_some();
    let mut failures = vec![];
    for folder in folders() {
        let folder = golden().join(folder);
        let Ok(rule) = std::fs::read(folder.join("rule.yaml")) else {
            continue;
        };
        let found = printed_of("rule.yaml", rule);
        let file = folder.join("expected.txt");
        if bless {
            std::fs::write(&file, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if found != expected || found.trim().is_empty() {
            let shown = folder.display();
            failures.push(format!(
                "--- {shown}: expected\n{expected}--- found\n{found}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn run(folder: PathBuf) -> Vec<Verdict> {
    let run = Run {
        schema: Schema::bundled(),
        selection: ordain::rules_dir::Selection::default(),
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    run_all(&[folder], &run, &mut |_, _| {})
}

#[test]
fn every_folder_comes_out_as_its_tests_say() {
    let verdicts = run(golden());
    let mut failed = String::new();
    let waiting = |verdict: &Verdict| Path::new(&*verdict.file).parent().is_some_and(waits);
    for verdict in verdicts.iter().filter(|v| !v.passed() && !waiting(v)) {
        failed.push_str(&format!("--- {} ({})\n", verdict.name, verdict.file));
        for problem in &verdict.problems {
            failed.push_str(&format!("{problem}\n"));
        }
        for failure in &verdict.failures {
            failed.push_str(&format!("line {}: {}\n", failure.line, failure.text));
        }
    }
    assert!(failed.is_empty(), "{failed}");
    assert!(verdicts.len() > 100, "only {} tests", verdicts.len());
}

/// The same folder with rules that match nothing: were its tests to pass, they would show nothing.
#[test]
fn every_folder_fails_without_its_rules() {
    let mut failures = vec![];
    for folder in folders() {
        let from = golden().join(&folder);
        if waits(&from) {
            continue;
        }
        let to = tempfile::tempdir().unwrap();
        let tests = copy_without_rules(&from, to.path());
        if tests == 0 {
            if !from.join("rule.yaml").exists() {
                failures.push(format!("{folder} holds no test"));
            }
        } else if run(to.path().to_owned()).iter().all(Verdict::passed) {
            failures.push(format!("{folder} passes with rules that match nothing"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Copies the files of a folder, rules so that they match nothing. How many RuleTests there are.
fn copy_without_rules(from: &Path, to: &Path) -> usize {
    let mut tests = 0;
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_without_rules(&path, &target);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        if path.extension().is_none_or(|e| e != "yaml") {
            std::fs::write(&target, text).unwrap();
            continue;
        }
        let documents: Vec<String> = yaml::read(&text)
            .0
            .iter()
            .map(|tree| {
                let mut value = tree.to_value();
                if value["kind"] == "RuleTest" {
                    tests += 1;
                }
                if value["kind"] == "Rule" && value["spec"].is_object() {
                    let never = json!({"path": "$.metadata.name", "value": "NOT A NAME"});
                    match value["spec"]["where"].as_array_mut() {
                        Some(list) => list.push(never),
                        None => value["spec"]["where"] = json!([never]),
                    }
                }
                value.to_string()
            })
            .collect();
        std::fs::write(&target, documents.join("\n---\n")).unwrap();
    }
    tests
}
