//! `ordain plan`: what Enforce would do now.

use super::run::{Pass, once_on_cluster};
use super::tally::{Tally, Tense};
use super::{output, usage};
use crate::decide::RuleChange;
use crate::engine::{EngineOptions, Report};
use crate::manifests::admission::Admission;
use crate::manifests::{Manifest, Manifests, Simulation, World};
use crate::rule::problem::Severity;
use crate::rule::set::RuleSet;
use crate::rules_dir;
use crate::schema::Schema;
use crate::settings::PlanSettings;
use std::sync::Arc;

pub fn run(settings: &PlanSettings) -> anyhow::Result<u8> {
    crate::observe::log::start(&settings.log, "warn")?;
    let paint = output::Paint::new(settings.output);
    let options = EngineOptions {
        frozen: false,
        assume_enforce: true,
        dry: true,
        workers: 32,
        state_namespace: settings.memory.state_namespace.clone(),
        namespaces: settings.cluster.namespaces.clone(),
        // Everything that is in scope is counted.
        narrow: false,
    };
    let now = settings.time.now();
    let mut tally = if settings.cluster.manifests.is_empty() {
        if settings.time.now.is_some() {
            return Ok(usage(
                "--now needs --manifests: a real cluster has its own time",
            ));
        }
        let pass = Pass {
            daemon: settings.memory.lease_name.clone(),
            engine: options,
            write_rate: 0,
            events: false,
            tense: Tense::Future,
            question: None,
        };
        once_on_cluster(&settings.rules, &settings.cluster, pass, |_| {})?
    } else {
        let (mut simulation, mut tally) = prepare(
            &settings.rules,
            &settings.cluster,
            options,
            now,
            (true, Tense::Future),
        )?;
        if let Some(file) = &settings.memory.state {
            super::run::recall(&mut simulation, file)?;
        }
        simulation.settle(&mut |report| tally.take(report, Tense::Future))?;
        tally
    };
    tally.finish();
    tally.now = Some(now);
    if !output::print_document(settings.output, &tally.json(Tense::Future))? {
        output::print(&tally.text(Tense::Future, paint))?;
    }
    Ok(tally.plan_code())
}

/// The changes of an admission as the engine reports its own.
fn reports(admission: &Admission, changes: Vec<RuleChange>, dry: bool) -> Vec<Report> {
    let (made, told): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .partition(|change| !dry && admission.acts(change.mode));
    let mut reports: Vec<Report> = told
        .into_iter()
        .map(|change| Report::WouldChange(Box::new(change)))
        .collect();
    if !made.is_empty() {
        reports.push(Report::Changed {
            changes: made,
            outcome: Ok(()),
            took: std::time::Duration::ZERO,
        });
    }
    reports
}

/// Rules and manifests, loaded into a simulation; `admits`: each manifest is presented as a creation first. What is wrong with either is printed to standard error and counted as undecided.
pub fn prepare(
    rules: &crate::settings::RuleOptions,
    cluster: &crate::settings::ClusterOptions,
    options: EngineOptions,
    now: jiff::Timestamp,
    (admits, tense): (bool, Tense),
) -> anyhow::Result<(Simulation, Tally)> {
    let mut tally = Tally::default();
    let mut manifests = Manifests::read(&cluster.manifests);
    let (schema, left_out) = manifests.schema(&Schema::bundled());
    let mut world = World::new(schema.clone());
    manifests.drop_duplicates(&world);
    for problem in &manifests.problems {
        eprintln!("{problem}\n");
        tally.undecided.push(format!(
            "{}:{}: {}",
            problem.place.file, problem.place.line, problem.message
        ));
    }
    for message in left_out {
        eprintln!("warning: {message}");
    }
    let rule_set = load(rules, &schema, &mut tally);
    tally.note_schedules(rule_set.rules(), now);
    let admission = admits.then(|| {
        Admission::new(
            &rule_set,
            options.assume_enforce,
            options.frozen,
            &options.state_namespace,
        )
    });
    // A Namespace is there before what is in it.
    let is_namespace = |manifest: &&Manifest| manifest.value["kind"] == "Namespace";
    let first = manifests.objects.iter().filter(is_namespace);
    let rest = manifests.objects.iter().filter(|m| !is_namespace(m));
    for manifest in first.chain(rest) {
        let Some(admission) = &admission else {
            world.put(&manifest.value, now);
            continue;
        };
        let admitted = admission.put(&mut world, &manifest.value, now);
        for report in reports(admission, admitted.changes, options.dry) {
            tally.take(report, tense);
        }
        tally.findings.extend(admitted.findings);
        if let Some(object) = admitted.object {
            world.put(&object, now);
        }
    }
    Ok((Simulation::new(options, rule_set, world, now), tally))
}

/// The rules of a single pass: problems are printed, and a broken rule is an answer that nobody has.
pub fn load(
    rules: &crate::settings::RuleOptions,
    schema: &Schema,
    tally: &mut Tally,
) -> Arc<RuleSet> {
    let set = rules_dir::load(&rules.rules);
    for u in &set.unreadable {
        tally
            .undecided
            .push(format!("{} cannot be read: {}", u.path, u.reason));
    }
    let compiled = rules_dir::compile_selected(&set.files, schema, &rules.selection());
    for problem in &compiled.problems {
        eprintln!("{problem}\n");
        if problem.severity == Severity::Error {
            tally.undecided.push(format!(
                "{}:{}: {}",
                problem.place.file, problem.place.line, problem.message
            ));
        }
    }
    if compiled.rules.is_empty() && tally.undecided.is_empty() {
        tally.undecided.push("no rule is there".into());
    }
    Arc::new(RuleSet::new(compiled.rules, schema.clone()))
}
