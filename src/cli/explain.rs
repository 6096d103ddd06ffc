//! `ordain explain`: what a rule makes of an object, clause by clause.

use super::output::{self, Ink, Paint};
use super::pass::{Pass, loaded, once_on_cluster, recall};
use super::tally::Tense;
use super::{ask, exit, usage};
use crate::decide::explain::{Check, CheckOutcome, Computed, Explanation};
use crate::engine::{EngineOptions, Report, Schedules, Unexplained};
use crate::observe::http::Question;
use crate::rule::Occasion;
use crate::settings::ExplainSettings;
use anyhow::Context;
use serde_json::Value;
use tokio::sync::oneshot;

pub fn run(settings: &ExplainSettings) -> anyhow::Result<u8> {
    crate::observe::log::start(&settings.plan.log, "warn")?;
    let explanation = match &settings.from {
        Some(address) => asked(address, settings)?,
        None => looked_up(settings)?,
    };
    let explanation = match explanation {
        Ok(explanation) => explanation,
        Err(Answer::Usage(message)) => return Ok(usage(&message)),
        Err(Answer::None(message)) => {
            output::say!("ordain: {message}");
            return Ok(exit::COULD_NOT_TELL);
        }
    };
    if !output::print_document(settings.plan.output, &explanation)? {
        output::print(&text(&explanation, Paint::new(settings.plan.output)))?;
    }
    Ok(if explanation.acts {
        exit::DONE
    } else {
        exit::FOUND
    })
}

/// Why there is nothing to show.
enum Answer {
    /// The command was given something that is not there.
    Usage(String),
    /// Nobody knows.
    None(String),
}

impl From<Unexplained> for Answer {
    fn from(unexplained: Unexplained) -> Answer {
        let message = unexplained.to_string();
        match unexplained {
            Unexplained::NoRule(..) | Unexplained::NoName(_) | Unexplained::NotAbout(..) => {
                Answer::Usage(message)
            }
            Unexplained::NoObject(..) | Unexplained::NotKnown(..) => Answer::None(message),
        }
    }
}

/// A running daemon's answer.
fn asked(address: &str, settings: &ExplainSettings) -> anyhow::Result<Result<Explanation, Answer>> {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("rule", &settings.rule)
        .append_pair("object", &settings.object)
        .finish();
    let answer = ask::get(address, &format!("/explain?{query}"));
    let (code, body) = answer.with_context(|| format!("--from {address}"))?;
    match code {
        200 => Ok(Ok(serde_json::from_str(&body).context(
            "the daemon's answer cannot be read: is it of another version?",
        )?)),
        404 => Ok(Err(Answer::Usage(body.trim().to_owned()))),
        _ => Ok(Err(Answer::None(format!("{address}: {}", body.trim())))),
    }
}

/// From manifests or a cluster, changing nothing.
fn looked_up(settings: &ExplainSettings) -> anyhow::Result<Result<Explanation, Answer>> {
    let options = EngineOptions {
        frozen: false,
        assume_enforce: false,
        dry: true,
        // The object asked for may be one that no rule can match.
        narrow: false,
        schedules: Schedules::AtTheMoment,
        workers: 32,
        state_namespace: settings.plan.memory.state_namespace.clone(),
        namespaces: settings.plan.cluster.namespaces.clone(),
    };
    if !settings.plan.cluster.manifests.is_empty() {
        let now = settings.plan.time.now();
        let plan = &settings.plan;
        let loaded = loaded(&plan.rules, &plan.cluster, now, Tense::Future);
        let asked = (&*settings.rule, &*settings.object);
        let admitted = match loaded.explained(&options, now, asked) {
            Ok(admitted) => admitted,
            Err(unexplained) => return Ok(Err(unexplained.into())),
        };
        let index = loaded.rules.index_of(&settings.rule);
        let loops = index.is_some_and(|at| loaded.rules.rules()[at].when.has(Occasion::Reconcile));
        // What a rule does to a new object, `plan` shows too; what it does to one that is there comes after.
        if let Some(explanation) = admitted.filter(|said| said.acts || !loops) {
            return Ok(Ok(explanation));
        }
        let quiet = &mut |_: &Report| {};
        let (mut simulation, _) = loaded.simulation(options, now, (false, Tense::Future), quiet);
        if let Some(file) = &settings.plan.memory.state {
            recall(&mut simulation, file)?;
        }
        simulation.settle(&mut |_| {})?;
        let explanation = simulation.explain(&settings.rule, &settings.object);
        return Ok(explanation.map_err(Answer::from));
    }
    if settings.plan.time.now.is_some() {
        let message = "--now needs --manifests: a real cluster has its own time";
        return Ok(Err(Answer::Usage(message.into())));
    }
    let (answer, mut answered) = oneshot::channel();
    let pass = Pass {
        daemon: settings.plan.memory.lease_name.clone(),
        engine: options,
        write_rate: 0,
        events: false,
        tense: Tense::Future,
        question: Some(Question {
            rule: settings.rule.clone(),
            object: settings.object.clone(),
            answer,
        }),
    };
    once_on_cluster(&settings.plan.rules, &settings.plan.cluster, pass, |_| {})?;
    Ok(match answered.try_recv() {
        Ok(explanation) => explanation.map_err(Answer::from),
        Err(_) => Err(Answer::None(
            "stopped before everything was looked at".into(),
        )),
    })
}

/// For people.
fn text(explanation: &Explanation, paint: Paint) -> String {
    let mut lines = vec![];
    let presented = match explanation.occasion.as_deref() {
        Some("Create") => " as it is created",
        Some("Update") => " as it is updated",
        Some("Delete") => " as it is deleted",
        _ => "",
    };
    let head = format!(
        "{} and {}{presented}, {}",
        explanation.rule, explanation.object, explanation.at
    );
    lines.push(paint.ink(Ink::Bold, &head));
    lines.push(format!("mode: {}", explanation.mode));
    let clauses = &explanation.clauses;
    section(&mut lines, "match", &clauses.matches, paint);
    if let Some(why) = &clauses.ignored {
        lines.push(paint.ink(Ink::Yellow, &format!("left alone: {why}")));
    }
    section(&mut lines, "where", &clauses.tests, paint);
    if !clauses.related.is_empty() {
        lines.push("related:".into());
        lines.extend(clauses.related.iter().map(computed));
    }
    if !clauses.variables.is_empty() {
        lines.push("variables:".into());
        lines.extend(clauses.variables.iter().map(computed));
    }
    let ink = if explanation.acts {
        Ink::Green
    } else {
        Ink::Yellow
    };
    lines.push(paint.ink(ink, &explanation.outcome));
    if let Some(since) = explanation.held_since {
        lines.push(format!("it has matched since {since}"));
    }
    for step in &explanation.later {
        lines.push(format!(
            "{} at {}, if it goes on matching",
            step.verb, step.at
        ));
    }
    for why in &explanation.in_the_way {
        lines.push(paint.ink(Ink::Red, &format!("in the way: {why}")));
    }
    for other in &explanation.beside {
        lines.push(format!("beside it: {other}"));
    }
    for finding in &explanation.findings {
        lines.push(format!("{}: {}", finding.reason, finding.message));
    }
    if let Some(at) = explanation.look_again {
        lines.push(format!(
            "looked at again at {at}, or when something changes"
        ));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    for change in &explanation.changes {
        let head = format!("\n{} {}\n", change.verb, change.object);
        text.push_str(&paint.ink(Ink::Bold, head.trim_end()));
        text.push('\n');
        text.push_str(&paint.diff(&change.diff));
    }
    text
}

fn section(lines: &mut Vec<String>, name: &str, checks: &[Check], paint: Paint) {
    if checks.is_empty() {
        return;
    }
    lines.push(format!("{name}:"));
    for check in checks {
        add(lines, check, 1, paint);
    }
}

fn add(lines: &mut Vec<String>, check: &Check, level: usize, paint: Paint) {
    let (word, ink) = match check.outcome {
        CheckOutcome::Passed => ("passed ", Ink::Green),
        CheckOutcome::Failed => ("failed ", Ink::Red),
        CheckOutcome::WrongType => ("wrong  ", Ink::Red),
        CheckOutcome::Unknown => ("unknown", Ink::Yellow),
    };
    let mut line = format!(
        "{}{} {}",
        "  ".repeat(level),
        paint.ink(ink, word),
        check.clause
    );
    if let Some(value) = &check.value {
        line.push_str(&format!(" (is {})", shown(value)));
    }
    if let Some(why) = &check.why {
        line.push_str(&format!(": {why}"));
    }
    lines.push(line);
    for inner in &check.inner {
        add(lines, inner, level + 1, paint);
    }
}

fn computed(variable: &Computed) -> String {
    let what = match (&variable.value, &variable.why) {
        (Some(value), _) => shown(value),
        (None, Some(why)) => format!("has no value: {why}"),
        (None, None) => "has no value, or one that is not shown".into(),
    };
    format!("  {} = {what}", variable.name)
}

/// Text as it is, anything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
