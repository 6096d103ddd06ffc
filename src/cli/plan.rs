//! `ordain plan`: what Enforce would do now.

use super::pass::{Pass, loaded, once_on_cluster, recall};
use super::tally::Tense;
use super::{output, usage};
use crate::engine::{EngineOptions, Report, Schedules};
use crate::settings::PlanSettings;

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
        // As `run --once`.
        schedules: Schedules::InTheMinute,
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
        let loaded = loaded(&settings.rules, &settings.cluster, now, Tense::Future);
        let quiet = &mut |_: &Report| {};
        let (mut simulation, mut tally) =
            loaded.simulation(options, now, (true, Tense::Future), quiet);
        if let Some(file) = &settings.memory.state {
            recall(&mut simulation, file)?;
        }
        simulation.settle(&mut |report| tally.take(report, Tense::Future))?;
        tally.note_counted(&simulation.rules());
        tally
    };
    tally.finish();
    tally.chain();
    tally.now = Some(now);
    if !output::print_document(settings.output, &tally.json(Tense::Future))? {
        output::print(&tally.text(Tense::Future, paint))?;
    }
    Ok(tally.plan_code())
}
