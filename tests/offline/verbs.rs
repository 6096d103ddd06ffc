//! What each verb does, told as RuleTests: every file of `verbs/` holds rules and the tests that name it.

use ordain::rule_test::{Run, run_all};
use ordain::schema::Schema;
use std::path::PathBuf;

#[test]
fn verbs_do_what_their_tests_say() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/offline/verbs");
    let run = Run {
        schema: Schema::bundled(),
        selection: ordain::rules_dir::Selection::default(),
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let verdicts = run_all(&[folder], &run, &mut |_, _| {});
    let mut failed = String::new();
    for verdict in verdicts.iter().filter(|v| !v.passed()) {
        failed.push_str(&format!("--- {} ({})\n", verdict.name, verdict.file));
        for problem in &verdict.problems {
            failed.push_str(&format!("{problem}\n"));
        }
        for failure in &verdict.failures {
            failed.push_str(&format!("line {}: {}\n", failure.line, failure.text));
        }
    }
    assert!(failed.is_empty(), "{failed}");
    assert!(!verdicts.is_empty(), "no test found");
}
