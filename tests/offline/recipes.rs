//! `docs/recipes.md` is made of `rules/`: what stands there is what the rules say of themselves, and their very text.
//!
//! `ORDAIN_BLESS=1 cargo test --test offline recipes` writes it anew; read the difference before you commit it.

use crate::program::{ordain, root};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const INTRODUCTION: &str = "# Recipes

Ready-made rules, by topic: the problem, the rule, what can be set, and the test that shows it over time. This page is made of the files in
[`rules/`](../rules/). All of them are in Audit: they say what they would do, and do nothing.

To use one, copy its file among your rules, and look at what it would do in your cluster:

    ordain plan --rules FILE

What suits you better is said in its parameters (in a `Parameters` document, or with `--set RULE.NAME=VALUE`), or changed in the file. When the plan shows
what you expect, write `mode: Enforce`.
";

/// The entries of a folder, by name.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// A ready-made rule: `rules/TOPIC/NAME.yaml`, tested by `rules/TOPIC/tests/NAME.yaml`.
pub struct Recipe {
    pub topic: String,
    pub name: String,
    /// The whole file.
    pub text: String,
}

impl Recipe {
    pub fn file(&self) -> String {
        format!("rules/{}/{}.yaml", self.topic, self.name)
    }

    fn test(&self) -> String {
        format!("rules/{}/tests/{}.yaml", self.topic, self.name)
    }

    /// The title, what is said below it, and the documents themselves.
    fn parts(&self) -> (&str, String, String) {
        let begins = self.text.find("apiVersion:").unwrap();
        let (comment, yaml) = self.text.split_at(begins);
        let mut lines = comment
            .lines()
            .map(|line| line.strip_prefix('#').unwrap_or(line))
            .map(|line| line.strip_prefix(' ').unwrap_or(line));
        let title = lines.next().unwrap();
        let said: Vec<&str> = lines.collect();
        (title, said.join("\n").trim().to_owned(), yaml.to_owned())
    }

    fn print(&self, page: &mut String) {
        let (title, said, yaml) = self.parts();
        write!(page, "\n### {title}\n\n{said}\n").unwrap();
        let mut table = String::new();
        for document in yaml.split("\n---\n") {
            let document: Value = serde_saphyr::from_str(document).unwrap();
            let rule = document["metadata"]["name"].as_str().unwrap();
            for parameter in document["spec"]["parameters"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let default = match &parameter["default"] {
                    Value::String(text) => text.clone(),
                    Value::Array(items) => {
                        let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                        items.join(", ")
                    }
                    other => other.to_string(),
                };
                let name = parameter["name"].as_str().unwrap();
                let what = parameter["description"].as_str().unwrap();
                let what = what.trim_end_matches('.');
                writeln!(table, "| `{rule}.{name}` | {default} | {what} |").unwrap();
            }
        }
        if !table.is_empty() {
            write!(
                page,
                "\n| parameter | default | meaning |\n| --- | --- | --- |\n{table}"
            )
            .unwrap();
        }
        let (file, test) = (self.file(), self.test());
        write!(
            page,
            "\n`{file}`, and over time: `ordain test {test}`\n\n```yaml\n{yaml}```\n"
        )
        .unwrap();
    }
}

/// All of them, by topic and name.
pub fn recipes() -> Vec<Recipe> {
    let mut found = vec![];
    for topic in entries(&root().join("rules")).iter().filter(|p| p.is_dir()) {
        for file in entries(topic).iter().filter(|p| p.is_file()) {
            found.push(Recipe {
                topic: topic.file_name().unwrap().to_string_lossy().into_owned(),
                name: file.file_stem().unwrap().to_string_lossy().into_owned(),
                text: std::fs::read_to_string(file).unwrap(),
            });
        }
    }
    found
}

#[test]
fn the_page_of_recipes_is_what_the_rules_say() {
    let mut page = INTRODUCTION.to_owned();
    let mut topic = String::new();
    for recipe in recipes() {
        if recipe.topic != topic {
            topic.clone_from(&recipe.topic);
            let (first, rest) = topic.split_at(1);
            write!(page, "\n## {}{rest}\n", first.to_uppercase()).unwrap();
        }
        recipe.print(&mut page);
    }
    let path = root().join("docs/recipes.md");
    if std::env::var_os("ORDAIN_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(page.lines()).position(|(a, b)| a != b);
    assert!(
        written == page,
        "docs/recipes.md is not what the rules say, from line {}: run this test with ORDAIN_BLESS=1",
        differs.map_or(0, |line| line + 1)
    );
}

#[test]
fn every_recipe_is_tested_as_its_page_says_and_listed() {
    let list = std::fs::read_to_string(root().join("rules/README.md")).unwrap();
    let recipes = recipes();
    assert!(recipes.len() >= 37, "only {} recipes", recipes.len());
    for recipe in recipes {
        let row = format!("| `{}/` | `{}` |", recipe.topic, recipe.name);
        assert!(list.contains(&row), "rules/README.md has no row {row}");
        assert!(
            recipe.text.contains("\n  mode: Audit\n"),
            "{} is not in Audit",
            recipe.name
        );
        let ran = ordain(&root(), &["test", &recipe.test()]);
        let passed = ran.code == 0 && ran.out.contains(" passed, 0 failed");
        assert!(passed, "{}{}", ran.out, ran.err);
    }
}

#[test]
fn what_the_comments_set_is_a_parameter_of_their_rule() {
    let mut seen = 0;
    for recipe in recipes() {
        let (_, said, yaml) = recipe.parts();
        for place in said.split("`--set ").skip(1) {
            let (place, _) = place.split_once('=').unwrap();
            let (rule, name) = place.split_once('.').unwrap();
            let has = yaml.split("\n---\n").any(|document| {
                let document: Value = serde_saphyr::from_str(document).unwrap();
                let parameters = document["spec"]["parameters"].as_array();
                document["metadata"]["name"] == rule
                    && parameters.is_some_and(|all| all.iter().any(|p| p["name"] == name))
            });
            assert!(has, "{}: --set {place}", recipe.file());
            seen += 1;
        }
    }
    assert!(seen >= 7, "only {seen}");
}
