//! `ordain check`: all problems of all rule files, without any cluster.

use super::{exit, output};
use crate::manifests::Manifests;
use crate::rule::problem::{Place, Problem, Severity};
use crate::rule_test::document;
use crate::rule_test::files::schema_for;
use crate::rules_dir;
use crate::schema::Schema;
use crate::settings::CheckSettings;
use serde_json::json;

pub fn run(settings: &CheckSettings) -> anyhow::Result<u8> {
    let paint = output::Paint::new(settings.output);
    let mut problems: Vec<Problem> = vec![];
    let manifests = Manifests::read(&settings.kinds.manifests);
    let (schema, left_out) = manifests.schema(&Schema::bundled());
    problems.extend(manifests.problems);
    for message in left_out {
        problems.push(without_place("--manifests", Severity::Warning, message));
    }
    let set = rules_dir::load(&settings.paths);
    // Kinds that RuleTests beside the rules define.
    let (schema, _) = Manifests::from_files(&set).schema(&schema);
    for u in &set.unreadable {
        let message = format!("cannot be read: {}", u.reason);
        problems.push(without_place(&u.path, Severity::Error, message));
    }
    if set.files.is_empty() && set.unreadable.is_empty() {
        let paths: Vec<String> = settings
            .paths
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        let message = "no rule file (*.yaml, *.yml, *.json) is there";
        problems.push(without_place(&paths.join(", "), Severity::Error, message));
    }
    let compiled = rules_dir::compile_selected(&set.files, &schema, &settings.select.selection());
    problems.extend(compiled.problems);
    for (file, tree) in &compiled.tests {
        let text = set
            .files
            .iter()
            .find(|f| f.name == *file)
            .map(|f| String::from_utf8_lossy(&f.bytes))
            .unwrap_or_default();
        let (schema, kinds) = schema_for(file, tree, &schema);
        let (_, more) = document::read(file, &text, tree, (&schema, &kinds));
        problems.extend(more);
    }
    let order = |p: &Problem| (p.place.file.clone(), p.place.line, p.place.column);
    problems.sort_by_key(order);
    let errors = problems
        .iter()
        .filter(|p| p.severity == Severity::Error)
        .count();
    let warnings = problems.len() - errors;
    let code = if errors > 0 { exit::FOUND } else { exit::DONE };
    let document = json!({
        "problems": problems.iter().map(output::problem_json).collect::<Vec<_>>(),
        "files": set.files.len(),
        "rules": compiled.rules.len(),
        "tests": compiled.tests.len(),
        "errors": errors,
        "warnings": warnings,
    });
    if output::print_document(settings.output, &document)? {
        return Ok(code);
    }
    let mut text = String::new();
    for problem in &problems {
        text.push_str(&paint.problem(problem));
        text.push_str("\n\n");
    }
    let mut parts = vec![format!(
        "{} and {} in {}",
        output::count(compiled.rules.len(), "good rule"),
        output::count(compiled.tests.len(), "test"),
        output::count(set.files.len(), "file")
    )];
    if errors > 0 {
        parts.push(output::count(errors, "error"));
    }
    if warnings > 0 {
        parts.push(output::count(warnings, "warning"));
    }
    let ink = if errors > 0 {
        output::Ink::Red
    } else {
        output::Ink::Green
    };
    text.push_str(&paint.ink(ink, &parts.join(", ")));
    text.push('\n');
    output::print(&text)?;
    Ok(code)
}

fn without_place(file: &str, severity: Severity, message: impl Into<String>) -> Problem {
    let place = Place {
        file: file.into(),
        line: 1,
        column: 1,
        length: 1,
    };
    Problem::new(severity, place, "", message)
}
