//! `ordain test`: every RuleTest below some paths.

use super::{exit, output};
use crate::manifests::Manifests;
use crate::rule_test::{Run, Verdict, run_all};
use crate::schema::Schema;
use crate::settings::TestSettings;
use serde_json::{Value, json};

pub fn run(settings: &TestSettings) -> anyhow::Result<u8> {
    let manifests = Manifests::read(&settings.kinds.manifests);
    let (schema, left_out) = manifests.schema(&Schema::bundled());
    for problem in &manifests.problems {
        output::say!("{problem}\n");
    }
    for message in left_out {
        output::say!("warning: {message}");
    }
    let run = Run {
        schema,
        selection: settings.select.selection(),
        now: settings.time.now(),
    };
    let mut progress = output::Progress::new();
    let mut done = 0;
    let verdicts = run_all(&settings.paths, &run, &mut |_, verdict| {
        done += 1;
        progress.say(&format!("{done} tests, {}", verdict.name));
    });
    progress.clear();
    let passed = verdicts.iter().filter(|v| v.passed()).count();
    let failed = verdicts.len() - passed;
    // A run that found nothing to run is a mistake in its arguments, not a success.
    let code = if failed > 0 || verdicts.is_empty() || !manifests.problems.is_empty() {
        exit::FOUND
    } else {
        exit::DONE
    };
    let document = json!({
        "tests": verdicts.iter().map(verdict_json).collect::<Vec<_>>(),
        "passed": passed,
        "failed": failed,
    });
    if output::print_document(settings.output, &document)? {
        return Ok(code);
    }
    output::print(&text(
        &verdicts,
        passed,
        output::Paint::new(settings.output),
    ))?;
    Ok(code)
}

fn text(verdicts: &[Verdict], passed: usize, paint: output::Paint) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        let (word, ink) = if verdict.passed() {
            ("passed", output::Ink::Green)
        } else {
            ("FAILED", output::Ink::Red)
        };
        text.push_str(&format!(
            "{} {} ({}:{})\n",
            paint.ink(ink, word),
            verdict.name,
            verdict.file,
            verdict.line
        ));
        for problem in &verdict.problems {
            text.push_str(&indented(&paint.problem(problem)));
        }
        for failure in &verdict.failures {
            let place = format!("step in line {} at {}: ", failure.line, failure.at);
            text.push_str(&indented(&format!("{place}{}", paint.diff(&failure.text))));
        }
    }
    let failed = verdicts.len() - passed;
    let summary = if verdicts.is_empty() {
        "no RuleTest is there".to_owned()
    } else {
        format!("{passed} passed, {failed} failed")
    };
    let ink = if failed > 0 || verdicts.is_empty() {
        output::Ink::Red
    } else {
        output::Ink::Green
    };
    text.push_str(&paint.ink(ink, &summary));
    text.push('\n');
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn verdict_json(verdict: &Verdict) -> Value {
    json!({
        "name": verdict.name,
        "file": *verdict.file,
        "line": verdict.line,
        "passed": verdict.passed(),
        "failures": verdict.failures.iter().map(|f| json!({"line": f.line, "at": f.at.to_string(), "text": f.text})).collect::<Vec<_>>(),
        "problems": verdict.problems.iter().map(output::problem_json).collect::<Vec<_>>(),
    })
}
