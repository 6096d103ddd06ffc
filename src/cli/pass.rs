//! One pass over everything, of manifests in memory or of a real cluster: what `plan`, `explain` and `run --once` have in common.

use super::output;
use super::runtime::{INBOX, as_task, connect, on_one_thread, stop_signal};
use super::tally::{Tally, Tense};
use crate::cluster::api::Api;
use crate::cluster::lease;
use crate::daemon::{self, Options, Surroundings};
use crate::decide::RuleChange;
use crate::decide::explain::Explanation;
use crate::engine::{EngineOptions, Report, Unexplained, key_of_text};
use crate::manifests::admission::Admission;
use crate::manifests::{Manifest, Manifests, Simulation, World, state_file};
use crate::object::Record;
use crate::observe::status::Following;
use crate::observe::{Status, http};
use crate::rule::Occasion;
use crate::rule::problem::Severity;
use crate::rule::set::RuleSet;
use crate::rules_dir;
use crate::schema::Schema;
use crate::settings::{ClusterOptions, RuleOptions};
use anyhow::Context;
use jiff::Timestamp;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

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
            took: Duration::ZERO,
        });
    }
    reports
}

/// Rules and manifests of a single pass.
pub struct Loaded {
    /// The rules.
    pub rules: Arc<RuleSet>,
    schema: Schema,
    manifests: Manifests,
    tally: Tally,
}

/// What is wrong with either is printed to standard error and counted as undecided.
pub fn loaded(
    rules: &RuleOptions,
    cluster: &ClusterOptions,
    now: Timestamp,
    tense: Tense,
) -> Loaded {
    let mut tally = Tally::default();
    let mut manifests = Manifests::read(&cluster.manifests);
    let (schema, left_out) = manifests.schema(&Schema::bundled());
    manifests.drop_duplicates(&World::new(schema.clone()));
    for problem in &manifests.problems {
        output::say!("{problem}\n");
        tally.undecided.push(format!(
            "{}:{}: {}",
            problem.place.file, problem.place.line, problem.message
        ));
    }
    for message in left_out {
        output::say!("warning: {message}");
    }
    let rules = load(rules, &schema, &mut tally);
    for (place, message) in manifests.of_other_versions(&rules) {
        output::say!("{place}: warning: {message}\n");
        tally.undecided.push(format!("{place}: {message}"));
    }
    if tense == Tense::Future {
        tally.note_schedules(rules.rules(), now);
    }
    Loaded {
        rules,
        schema,
        manifests,
        tally,
    }
}

impl Loaded {
    /// A Namespace is there before what is in it.
    fn in_order(&self) -> impl Iterator<Item = &Manifest> {
        let is_namespace = |manifest: &&Manifest| manifest.value["kind"] == "Namespace";
        let first = self.manifests.objects.iter().filter(is_namespace);
        let rest = self.manifests.objects.iter();
        first.chain(rest.filter(move |m| !is_namespace(m)))
    }

    fn admission(&self, options: &EngineOptions) -> Admission {
        Admission::new(
            &self.rules,
            options.assume_enforce,
            options.frozen,
            &options.state_namespace,
        )
        .within(&options.namespaces)
        .planned(options.dry)
    }

    /// All of it in a simulation; `admits`: each manifest is presented as a creation first, and `print` hears of what comes of that.
    pub fn simulation(
        mut self,
        options: EngineOptions,
        now: Timestamp,
        (admits, tense): (bool, Tense),
        print: &mut dyn FnMut(&Report),
    ) -> (Simulation, Tally) {
        let mut world = World::new(self.schema.clone());
        let mut tally = std::mem::take(&mut self.tally);
        let admission = admits.then(|| self.admission(&options));
        for manifest in self.in_order() {
            let Some(admission) = &admission else {
                world.put(&manifest.value, now);
                continue;
            };
            let admitted = admission.put(&mut world, &manifest.value, now);
            admitted.store(&mut world, now);
            for report in reports(admission, admitted.changes, options.dry) {
                print(&report);
                tally.take(report, tense);
            }
            tally.findings.extend(admitted.findings);
            tally.only_told.extend(admitted.only_told);
            tally.note_unreadable(admitted.unreadable);
        }
        (Simulation::new(options, self.rules, world, now), tally)
    }

    /// What a rule that looks at admission makes of an object: as a creation where it looks at those, when all that stands before it in
    /// the manifests has come, else as an update without a change or as a deletion. `None`: the rule looks at no admission.
    ///
    /// # Errors
    /// When the text names no object of the rule, or one that is not there.
    pub fn explained(
        &self,
        options: &EngineOptions,
        now: Timestamp,
        (rule, object): (&str, &str),
    ) -> Result<Option<Explanation>, Unexplained> {
        let Some(index) = self.rules.index_of(rule) else {
            return Ok(None);
        };
        let rule = &self.rules.rules()[index];
        let admissions = [Occasion::Create, Occasion::Update, Occasion::Delete];
        let Some(occasion) = admissions.into_iter().find(|o| rule.when.has(*o)) else {
            return Ok(None);
        };
        let key = key_of_text(object, rule, &self.schema)?;
        let admission = self.admission(options);
        if !admission.looks_into(key.namespace.as_deref()) {
            let why = ": its namespace is not looked at (--namespace)";
            return Err(Unexplained::NoObject(key, why.into()));
        }
        let mut world = World::new(self.schema.clone());
        for manifest in self.in_order() {
            let found = world.key_of(&manifest.value) == key;
            if found && occasion == Occasion::Create {
                let at = (&mut world, &manifest.value);
                return Ok(admission.explain(&rule.name, at, occasion, now));
            }
            let admitted = admission.put(&mut world, &manifest.value, now);
            admitted.store(&mut world, now);
        }
        let Some(there) = world.get(&key).map(Record::to_value) else {
            return match rule.when.has(Occasion::Reconcile) {
                // The loop knows what is near by.
                true => Ok(None),
                false => Err(Unexplained::NoObject(key, String::new())),
            };
        };
        Ok(admission.explain(&rule.name, (&mut world, &there), occasion, now))
    }
}

/// The rules of a single pass: problems are printed, and a broken rule is an answer that nobody has.
fn load(rules: &RuleOptions, schema: &Schema, tally: &mut Tally) -> Arc<RuleSet> {
    let set = rules_dir::load(&rules.rules);
    for u in &set.unreadable {
        tally
            .undecided
            .push(format!("{} cannot be read: {}", u.path, u.reason));
    }
    let compiled = rules_dir::compile_selected(&set.files, schema, &rules.selection());
    for problem in &compiled.problems {
        output::say!("{problem}\n");
        if problem.severity == Severity::Error {
            tally.undecided.push(format!(
                "{}:{}: {}",
                problem.place.file, problem.place.line, problem.message
            ));
        }
    }
    if compiled.rules.is_empty() && tally.undecided.is_empty() {
        let only = &rules.select.only;
        tally.undecided.push(match only.is_empty() {
            true => "no rule is there".into(),
            false => format!("no rule has a name that --rule {} asks for", only.join(",")),
        });
    }
    Arc::new(RuleSet::new(compiled.rules, schema.clone()))
}

/// Reads what an earlier run remembered. A file that is not there yet holds nothing.
///
/// # Errors
/// It cannot be read, or a newer version wrote it.
pub fn recall(simulation: &mut Simulation, file: &Path) -> anyhow::Result<()> {
    let text = state_file::read(file).with_context(|| format!("--state {}", file.display()))?;
    let found = simulation.recall(text.as_deref());
    for (_, trouble) in &found.troubles {
        anyhow::ensure!(!found.refused, "--state {}: {trouble}", file.display());
        output::say!(
            "warning: --state {}: {trouble}: what is lost begins anew\n",
            file.display()
        );
    }
    for rule in simulation.engine_mut().withheld_lifetimes() {
        output::say!(
            "warning: --state {}: the rule {rule} is gone since the last run, with most others: what it holds stays\n",
            file.display()
        );
    }
    Ok(())
}

/// How one pass over a real cluster is made.
pub struct Pass {
    /// What the daemon is called whose memory is used.
    pub daemon: String,
    /// With options that write nothing, a plan.
    pub engine: EngineOptions,
    /// Writes a second; 0 is without bound.
    pub write_rate: u32,
    /// Write Events on objects whose change failed or was blocked.
    pub events: bool,
    /// How changes are told.
    pub tense: Tense,
    /// Answered when everything was looked at.
    pub question: Option<http::Question>,
}

/// One pass over a real cluster: `run --once`, `plan`, `explain`. `told` hears every report at once.
pub fn once_on_cluster(
    rules: &RuleOptions,
    cluster: &ClusterOptions,
    pass: Pass,
    mut told: impl FnMut(&Report) + Send + 'static,
) -> anyhow::Result<Tally> {
    let tally = Arc::new(Mutex::new(Tally::default()));
    let hearing = tally.clone();
    let (sender, messages) = mpsc::channel(INBOX);
    let (control, asked) = mpsc::channel(1);
    let status = Arc::new(Mutex::new(Status::new(Timestamp::now())));
    let tense = pass.tense;
    on_one_thread(async |rest| {
        if let Some(question) = pass.question {
            // There is room for one, and nobody else asks.
            let _ = control.try_send(http::Control::Explain(question));
        }
        let mut api = Api::connect(&connect(cluster, pass.write_rate), sender)
            .await
            .context("the cluster")?;
        let writer = lease::identity();
        api.keep_in((&pass.engine.state_namespace, &pass.daemon), &writer);
        let surroundings = Surroundings {
            cluster: Arc::new(api),
            messages,
            control: asked,
            election: None,
            writer,
            status: status.clone(),
            rest,
            audience: Box::new(move |report| {
                told(&report);
                hearing.lock().take(report, tense);
            }),
        };
        let options = Options {
            engine: pass.engine,
            rules: rules.rules.clone(),
            selection: rules.selection(),
            once: true,
            events: pass.events,
            keeps: None,
        };
        let telling = tokio::spawn(tell_progress(status.clone()));
        let ended = as_task(daemon::run(options, surroundings, stop_signal()?)).await;
        telling.abort();
        ended
    })?;
    let mut tally = std::mem::take(&mut *tally.lock());
    tally.undecided = daemon::undecided(&status);
    if tense == Tense::Future {
        tally.note_schedules(&status.lock().rules, Timestamp::now());
    }
    tally.undecided.extend(status.lock().errors.iter().cloned());
    if let Some(engine) = &status.lock().engine {
        tally.note_counted(&engine.rules);
    }
    Ok(tally)
}

/// On a terminal: how far a pass over a cluster is.
async fn tell_progress(status: crate::observe::Shared) {
    let mut progress = output::Progress::new();
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tick.tick().await;
        let line = {
            let status = status.lock();
            let listed = status
                .kinds
                .values()
                .filter(|(_, following)| *following != Following::Listing)
                .count();
            format!(
                "{listed} of {} kinds listed, {} changes made",
                status.kinds.len(),
                status.made
            )
        };
        progress.say(&line);
    }
}
