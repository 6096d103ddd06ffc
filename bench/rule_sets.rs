//! Rules of Pods, made in memory, and the moment at which they are asked.

use jiff::Timestamp;
use ordain::rule::compile::{SourceFile, compile};
use ordain::rule::set::RuleSet;
use ordain::schema::Schema;
use std::sync::Arc;

pub fn rule(name: &str, body: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  mode: Enforce\n  match:\n    resources:\n    - {{apiVersion: v1, kind: Pod}}\n{body}"
    )
}

pub fn rule_set(texts: &[String]) -> Arc<RuleSet> {
    let files: Vec<SourceFile> = texts
        .iter()
        .enumerate()
        .map(|(i, t)| SourceFile {
            name: format!("r{i}.yaml").into(),
            bytes: t.clone().into_bytes(),
        })
        .collect();
    let schema = Schema::bundled();
    let compiled = compile(&files, &schema);
    // Warnings are no matter here.
    assert!(!compiled.has_errors(), "{}", compiled.problems[0]);
    Arc::new(RuleSet::new(compiled.rules, schema))
}

pub fn now() -> Timestamp {
    "2026-08-01T00:00:00Z".parse().unwrap()
}
