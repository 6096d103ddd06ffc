//! `ordain run`: the daemon, and with `--once` a single pass.

use super::output::{self, Paint};
use super::pass::{Pass, loaded, once_on_cluster, recall};
use super::runtime::{INBOX, as_task, beside, connect, on_one_thread, stop_signal};
use super::tally::{self, Tally, Tense, share_a_diff};
use super::{exit, usage};
use crate::cluster::api::Api;
use crate::cluster::configuration::Misconfigured;
use crate::cluster::connection::ConnectOptions;
use crate::cluster::lease;
use crate::daemon::{self, Options, Surroundings};
use crate::engine::{EngineOptions, Report, Schedules};
use crate::manifests::folder::Folder;
use crate::manifests::{Manifests, export, state_file};
use crate::observe::{Status, http, log};
use crate::schema::Schema;
use crate::settings::{OutputFormat, OutputOptions, RunSettings};
use crate::sinks;
use anyhow::Context;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json;
use std::io::IsTerminal;
use std::sync::Arc;
use tokio::sync::mpsc;

pub fn run(settings: &RunSettings) -> anyhow::Result<u8> {
    let offline = !settings.cluster.manifests.is_empty();
    if settings.time.now.is_some() && !(settings.once && offline) {
        return Ok(usage(
            "--now needs --once and --manifests: anything else has its own time",
        ));
    }
    if let Some(missing) = settings
        .rules
        .rules
        .iter()
        .find(|path| path.as_os_str() != "-" && !path.exists())
    {
        return Ok(usage(&format!(
            "--rules {}: no such file or folder",
            missing.display()
        )));
    }
    if settings.admit && !(settings.once && offline) {
        return Ok(usage("--admit needs --once and --manifests"));
    }
    if settings.ignore_schedule && !settings.once {
        return Ok(usage("--ignore-schedule needs --once"));
    }
    if let Err(message) = settings.lease_times() {
        return Ok(usage(&message));
    }
    log::start(&settings.log, if settings.once { "warn" } else { "info" })?;
    let options = EngineOptions {
        frozen: settings.audit_only,
        assume_enforce: false,
        dry: false,
        workers: settings.workers.into(),
        state_namespace: settings.state_namespace.clone(),
        namespaces: settings.cluster.namespaces.clone(),
        narrow: !offline,
        schedules: match (settings.once, settings.ignore_schedule) {
            (true, true) => Schedules::Ignored,
            (true, false) => Schedules::InTheMinute,
            (false, _) => Schedules::AtTheMoment,
        },
    };
    match (settings.once, offline) {
        (true, true) => once_on_manifests(settings, options),
        (true, false) => {
            let pass = Pass {
                daemon: settings.lease_name.clone(),
                engine: options,
                write_rate: settings.write_rate,
                events: settings.events,
                tense: Tense::Past,
                question: None,
            };
            let print = print_in_text(settings.output);
            let mut tally = once_on_cluster(&settings.rules, &settings.cluster, pass, print)?;
            finish(&mut tally, settings.output)
        }
        (false, _) => follow(settings, options),
    }
}

/// Prints each change as it is made. False: nobody reads it any more.
fn print_changes(report: &Report, options: OutputOptions, paint: Paint) -> bool {
    let Report::Changed {
        changes,
        outcome: Ok(()),
        ..
    } = report
    else {
        return true;
    };
    let mut text = String::new();
    for group in changes.chunk_by(share_a_diff) {
        if options.output == OutputFormat::Text {
            text.push_str(&tally::change_text(group, |_| vec![], paint));
            text.push('\n');
        } else {
            // One document a line: the daemon's output has no end.
            for change in group {
                let document = json!({
                    "rule": *change.rule,
                    "verb": change.verb.as_str(),
                    "object": change.object.to_string(),
                    "diff": crate::object::difference::record_text(&change.object.kind, change.before.as_ref(), change.after.as_ref()),
                });
                text.push_str(&format!("{document}\n"));
            }
        }
    }
    match output::print_on_the_way(&text) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, "standard output cannot be written: changes are not printed any more");
            false
        }
    }
}

/// Prints each change of a single pass as it is made; other formats have one document at the end.
fn print_in_text(options: OutputOptions) -> impl FnMut(&Report) + Send {
    let paint = Paint::new(options);
    let mut prints = options.output == OutputFormat::Text;
    move |report| prints = prints && print_changes(report, options, paint)
}

fn finish(tally: &mut Tally, options: OutputOptions) -> anyhow::Result<u8> {
    tally.finish();
    if !output::print_document(options, &tally.json(Tense::Past))? {
        output::print(&tally.text(Tense::Past, Paint::new(options)))?;
    }
    Ok(tally.once_code())
}

fn once_on_manifests(settings: &RunSettings, options: EngineOptions) -> anyhow::Result<u8> {
    let now = settings.time.now();
    let mut print = print_in_text(settings.output);
    let loaded = loaded(&settings.rules, &settings.cluster, now, Tense::Past);
    let admits = (settings.admit, Tense::Past);
    let (simulation, mut tally) = loaded.simulation(options, now, admits, &mut print);
    let mut simulation = simulation.with_sinks(sinks::write_now);
    if let Some(file) = &settings.state {
        recall(&mut simulation, file)?;
    }
    simulation.settle(&mut |report| {
        print(&report);
        tally.take(report, Tense::Past);
    })?;
    tally.note_counted(&simulation.rules());
    if let Some(folder) = &settings.write_manifests {
        let input = Manifests::read(&settings.cluster.manifests).objects;
        export::write(folder, simulation.world(), &input)
            .with_context(|| format!("--write-manifests {}", folder.display()))?;
    }
    if let (Some(file), Some(text)) = (&settings.state, simulation.kept()) {
        state_file::write(file, &text).with_context(|| format!("--state {}", file.display()))?;
    }
    finish(&mut tally, settings.output)
}

fn follow(settings: &RunSettings, engine: EngineOptions) -> anyhow::Result<u8> {
    let paint = Paint::new(settings.output);
    let output = settings.output;
    // On a real cluster the log has a line for every change; nobody reads a second account of it in a file.
    let mut prints = !settings.cluster.manifests.is_empty()
        || output.output != OutputFormat::Text
        || std::io::stdout().is_terminal();
    let beside = beside()?;
    let listener = beside
        .block_on(tokio::net::TcpListener::bind(settings.listen))
        .with_context(|| format!("--listen {}", settings.listen))?;
    on_one_thread(async |rest| {
        let stop = stop_signal()?;
        let rules: Vec<String> = settings
            .rules
            .rules
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            rules = rules.join(","),
            namespaces = settings.cluster.namespaces.join(","),
            audit_only = settings.audit_only,
            "ordain starts"
        );
        tracing::info!(address = %listener.local_addr()?, "listening");
        let status = Arc::new(Mutex::new(Status::new(Timestamp::now())));
        let (control, asked) = mpsc::channel(16);
        let server = beside.spawn(http::serve(listener, status.clone(), control));
        let (sender, messages) = mpsc::channel(INBOX);
        let manifests = &settings.cluster.manifests;
        let mut stop = Box::pin(stop);
        let mut folder = None;
        let mut candidate = None;
        let writer = lease::identity();
        let cluster: Arc<dyn crate::cluster::Cluster> = if manifests.is_empty() {
            let options = connect(&settings.cluster, settings.write_rate);
            tokio::select! {
                api = connected(&options, &sender, &status) => {
                    let mut api = api?;
                    if settings.leader_election.unwrap_or_else(|| api.in_cluster()) {
                        let _on = beside.enter();
                        candidate = Some(elect(settings, &mut api)?);
                    }
                    api.keep_in((&settings.state_namespace, &settings.lease_name), &writer);
                    Arc::new(api)
                }
                () = &mut stop => return Ok(exit::DONE),
            }
        } else {
            let (mut read, known, problems) = Folder::read(manifests, &Schema::bundled(), sender);
            read.keep_in(settings.state.clone());
            for problem in problems {
                output::say!("{problem}\n");
            }
            tokio::spawn(read.clone().follow_files(manifests.clone(), known));
            folder = Some(read.clone());
            Arc::new(read)
        };
        let surroundings = Surroundings {
            cluster,
            messages,
            control: asked,
            election: candidate.as_mut().map(lease::Candidate::replica),
            writer,
            status,
            rest,
            audience: Box::new(move |report| {
                prints = prints && print_changes(&report, output, paint);
            }),
        };
        let options = Options {
            engine,
            rules: settings.rules.rules.clone(),
            selection: settings.rules.selection(),
            once: false,
            events: settings.events && manifests.is_empty(),
            keeps: (manifests.is_empty() && !settings.audit_only)
                .then(|| settings.lease_name.clone()),
        };
        let ended = as_task(daemon::run(options, surroundings, stop)).await;
        // Only now: what was in flight is answered, and nothing more is written.
        if let Some(candidate) = candidate {
            candidate.release().await;
        }
        ended?;
        server.abort();
        if let (Some(folder), Some(target)) = (folder, &settings.write_manifests) {
            folder
                .export(target)
                .with_context(|| format!("--write-manifests {}", target.display()))?;
        }
        Ok(exit::DONE)
    })
}

fn elect(settings: &RunSettings, api: &mut Api) -> anyhow::Result<lease::Candidate> {
    let (duration, renew_deadline, retry_period) =
        settings.lease_times().map_err(anyhow::Error::msg)?;
    let place = lease::Place {
        namespace: settings.state_namespace.clone(),
        name: settings.lease_name.clone(),
    };
    let terms = lease::Terms {
        identity: lease::identity(),
        duration,
        renew_deadline,
        retry_period,
    };
    tracing::info!(
        identity = %terms.identity, lease = place.name, namespace = place.namespace,
        "competing for the lease: until this replica has it, it only watches"
    );
    Ok(api.elect(place, terms)?)
}

/// A server that cannot be reached yet is waited for: a daemon may well be started before its API server.
///
/// # Errors
/// A configuration that cannot be used.
async fn connected(
    options: &ConnectOptions,
    sender: &crate::cluster::Sender,
    status: &crate::observe::Shared,
) -> anyhow::Result<Api> {
    let mut pause = std::time::Duration::from_secs(1);
    loop {
        match Api::connect(options, sender.clone()).await {
            Ok(api) => return Ok(api),
            Err(error) if error.is::<Misconfigured>() => return Err(error),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the cluster cannot be reached; trying again"
                );
            }
        }
        status.lock().turned = Timestamp::now();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(std::time::Duration::from_secs(30));
    }
}
