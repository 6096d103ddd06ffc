//! What the documentation shows is true: every YAML block that is a rule compiles without a problem.

use ordain::rule::compile::{SourceFile, compile};
use ordain::schema::Schema;
use std::path::PathBuf;

/// (file, line of the block's first line, text) of every block fenced as `language`.
pub fn blocks(language: &str) -> Vec<(String, usize, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        pages.push(entry.unwrap().path());
    }
    // Made of the rules themselves (`recipes`), some of which are about kinds whose definitions lie beside their tests.
    pages.retain(|page| !page.ends_with("docs/recipes.md"));
    let mut found = vec![];
    for page in pages
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "md"))
    {
        let name = page.strip_prefix(&root).unwrap().display().to_string();
        let mut block: Option<(usize, String)> = None;
        for (number, line) in std::fs::read_to_string(page).unwrap().lines().enumerate() {
            match &mut block {
                None if line == format!("```{language}") => {
                    block = Some((number + 2, String::new()))
                }
                None => {}
                Some((start, text)) if line == "```" => {
                    found.push((name.clone(), *start, std::mem::take(text)));
                    block = None;
                }
                Some((_, text)) => {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    found
}

#[test]
fn every_rule_in_the_documentation_compiles() {
    let schema = Schema::bundled();
    let blocks = blocks("yaml");
    assert!(blocks.len() >= 8, "only {} blocks found", blocks.len());
    for (page, line, text) in blocks {
        let file = SourceFile {
            name: format!("{page}:{line}").into(),
            bytes: text.into_bytes(),
        };
        let compiled = compile(&[file], &schema);
        let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        assert!(
            !compiled.rules.is_empty() || !compiled.tests.is_empty(),
            "{page}:{line} is neither rule nor test"
        );
    }
}

#[test]
fn the_rule_tests_in_the_documentation_pass() {
    let run = ordain::rule_test::Run {
        schema: Schema::bundled(),
        selection: ordain::rules_dir::Selection::default(),
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let mut ran = 0;
    for (page, line, text) in blocks("yaml") {
        let Some(name) = text
            .contains("kind: Rule\n")
            .then(|| text.split("rules: [").nth(1)?.split(']').next())
            .flatten()
        else {
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), &text).unwrap();
        let verdicts =
            ordain::rule_test::run_all(&[folder.path().to_owned()], &run, &mut |_, _| {});
        for verdict in &verdicts {
            assert!(
                verdict.passed(),
                "{page}:{line}: {:?} {:?}",
                verdict.failures,
                verdict.problems
            );
        }
        ran += verdicts.len();
    }
    assert!(ran >= 3, "only {ran} tests found");
}

#[test]
fn every_metric_is_documented_and_none_that_is_not_there() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let text = std::fs::read_to_string(path).unwrap();
    let documented: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("| `ordain_") || l.starts_with("| `process_"))
        .collect();
    let wanted: Vec<String> = ordain::observe::metrics::FAMILIES
        .iter()
        .map(|family| {
            let labels = match family.labels {
                [] => String::new(),
                labels => format!("{{{}}}", labels.join(",")),
            };
            let (name, kind) = (family.name, family.kind.as_str());
            format!("| `{name}{labels}` | {kind} | {} |", family.help)
        })
        .collect();
    assert_eq!(
        documented,
        wanted,
        "the table should read:\n{}",
        wanted.join("\n")
    );
}
