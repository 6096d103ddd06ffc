//! The wiring: rules and a cluster into one engine, what it wants done to the cluster, what it reports to people. Start order and shutdown.
//!
//! One task owns the engine and turns: it evaluates what is due, sends requests as tasks of their own, and waits for whatever comes first:
//! an answer, an observation, an edit of a rule, a switch, the next moment, a signal.

mod clock;
mod events;
mod lifetimes;
mod memory;
mod report;
mod rules;
mod switches;

pub use report::Teller;

use crate::cluster::lease::{Replica, Standing, Switchboard};
use crate::cluster::{Cluster, Message};
use crate::decide::Operation;
use crate::engine::worker::lifetimes::Known;
use crate::engine::{
    Effect, Engine, EngineOptions, Fault, Lost, Observation, Outcome, Report, RequestId,
};
use crate::observe::Shared;
use crate::observe::http::Control;
use crate::observe::status::Following;
use crate::rules_dir::{self, FileSet, watch};
use crate::schema::Schema;
use crate::sinks;
use clock::Clock;
use events::Events;
use jiff::Timestamp;
use rules::Rules;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switches::Told;
use tokio::sync::{Notify, mpsc};
use tokio::task::{Id, JoinSet};

/// Objects evaluated between two looks at what else has come.
const BUDGET: usize = 256;
/// Messages, and answers, taken in one turn, so that a flood of events does not keep answers waiting.
const MESSAGES: usize = 64;
/// The loop turns at least this often: `/healthz` reads when it did.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Time for requests in flight to be answered after a signal.
const GRACE: Duration = Duration::from_secs(10);
/// A schema that could not be read is asked for again after this time.
const SCHEMA_RETRY: Duration = Duration::from_secs(15);
/// With `once`: a kind that cannot be reached is given up after this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to run.
pub struct Options {
    /// The engine's own.
    pub engine: EngineOptions,
    /// Rule files and folders.
    pub rules: Vec<PathBuf>,
    /// Which rules of the files, and with which parameters.
    pub selection: rules_dir::Selection,
    /// Stop when nothing is left to do now. Rule files are then not followed.
    pub once: bool,
    /// Write Events on objects whose change failed or was blocked.
    pub events: bool,
    /// Keep in the daemon's namespace which rules may hold something, under what the daemon is called.
    pub keeps: Option<String>,
}

/// What the daemon talks to.
pub struct Surroundings {
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// What the cluster sends.
    pub messages: mpsc::Receiver<Message>,
    /// Switches that people press.
    pub control: mpsc::Receiver<Control>,
    /// Whether this replica acts, and what it is called; `None`: there is no other.
    pub election: Option<Replica>,
    /// Under which name the state is written.
    pub writer: Arc<str>,
    /// Written here for `/status` and `/metrics`.
    pub status: Shared,
    /// Hears every report, after it was counted and logged.
    pub audience: Box<dyn FnMut(Report) + Send>,
}

/// Runs until `stop` is ready, or with `once` until nothing is left to do. Requests in flight are answered before it returns, or given up after ten seconds.
///
/// # Errors
/// When the kinds of the cluster cannot be read at the start.
pub async fn run(
    options: Options,
    surroundings: Surroundings,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(stop);
    let files = rules_dir::load(&options.rules);
    let schema = tokio::select! {
        schema = surroundings.cluster.schema() => schema?,
        () = &mut stop => return Ok(()),
    };
    let (changes, mut edits) = mpsc::channel(1);
    let mut following = JoinSet::new();
    // Held, so that a channel without a sender does not spin the loop.
    let _changes = changes.clone();
    if !options.once {
        // Held by the task: what it compares with is what was loaded here.
        let known = FileSet {
            files: rules::copies(&files),
            unreadable: files.unreadable.clone(),
        };
        let paths = options.rules.clone();
        following.spawn(async move {
            watch::follow(paths, crate::rule::yaml::LONGEST, &known, changes).await;
        });
    }
    let (schemas, mut new_schemas) = mpsc::channel::<Schema>(1);
    let mut daemon = Daemon {
        engine: Engine::new(options.engine.clone()),
        rules: Rules::new(options.selection),
        events: options
            .events
            .then(|| Events::new(surroundings.cluster.clone(), surroundings.status.clone())),
        cluster: surroundings.cluster,
        teller: Teller::new(surroundings.status, surroundings.audience),
        requests: JoinSet::new(),
        ids: HashMap::new(),
        recalls: JoinSet::new(),
        looks: JoinSet::new(),
        leads: true,
        once: options.once,
        recall_tries: 0,
        writer: surroundings.writer,
        started: Instant::now(),
        clock: Clock::new(Timestamp::now(), Instant::now()),
        schemas,
        switchboard: None,
        shared: None,
        keeps: options
            .keeps
            .map(|daemon| lifetimes::Place::of(&options.engine.state_namespace, &daemon)),
        kept: None,
        keeping: JoinSet::new(),
    };
    // Nothing is decided before what was kept is known.
    daemon.engine.set_standby(true, Timestamp::now());
    if let Some(place) = daemon.keeps.clone() {
        let known = tokio::select! {
            known = lifetimes::recall(&daemon.cluster, &place) => known,
            () = &mut stop => return Ok(()),
        };
        daemon.kept = Some(known.clone());
        daemon.engine.recall_lifetimes(known);
    }
    let status = daemon.teller.status.clone();
    status.lock().frozen = options.engine.frozen;
    let mut election = surroundings.election;
    match &mut election {
        Some(replica) => {
            daemon.teller.elects(replica.identity.clone());
            daemon.switchboard = Some(replica.switchboard.clone());
            daemon.lead(replica.standing.borrow_and_update().clone());
        }
        None => {
            status.lock().leader = true;
            daemon.recall();
        }
    }
    daemon.reload(Some(files), schema);
    let asked = Arc::new(Notify::new());
    status.lock().asked = Some(asked.clone());
    let mut messages = surroundings.messages;
    let mut control = surroundings.control;
    let mut control_open = true;
    let mut looks = tokio::time::interval(memory::LOOK);
    loop {
        let wake = daemon.turn();
        if options.once && messages.is_empty() && daemon.is_done(wake) {
            // Questions are about what was found.
            while let Ok(asked) = control.try_recv() {
                daemon.control(asked);
            }
            break;
        }
        tokio::select! {
            biased;
            () = &mut stop => {
                tracing::info!(in_flight = daemon.requests.len(), "stopping: no new work, requests in flight are finished");
                break;
            }
            Some(answer) = daemon.requests.join_next_with_id() => {
                daemon.answered(answer);
                // One turn serves all that have come.
                for _ in 1..MESSAGES {
                    match daemon.requests.try_join_next_with_id() {
                        Some(answer) => daemon.answered(answer),
                        None => break,
                    }
                }
                daemon.hear_more(&mut messages);
            }
            Some(()) = answered(&mut daemon.events) => {}
            Some(answer) = daemon.keeping.join_next() => daemon.kept(answer),
            standing = turned(&mut election) => match standing {
                Some(Turned::Standing(standing)) => daemon.lead(standing),
                Some(Turned::Acknowledged(rule)) => {
                    daemon.acknowledge(&rule);
                }
                None => {
                    // Nobody renews the lease any more.
                    daemon.lead(Standing::default());
                    election = None;
                }
            },
            asked = control.recv(), if control_open && !options.once => match asked {
                Some(asked) => daemon.control(asked),
                None => control_open = false,
            },
            () = asked.notified() => daemon.measure(),
            Some(Ok(texts)) = daemon.recalls.join_next() => daemon.recalled(texts),
            Some(Ok(damaged)) = daemon.looks.join_next() => daemon.engine.mend(&damaged),
            _ = looks.tick() => daemon.look_at_state(),
            Some(files) = edits.recv() => {
                let schema = daemon.rules.schema();
                daemon.reload(Some(files), schema);
            }
            Some(schema) = new_schemas.recv() => daemon.reload(None, schema),
            message = messages.recv() => match message {
                Some(message) => {
                    daemon.hear(message);
                    daemon.hear_more(&mut messages);
                }
                None => anyhow::bail!("the cluster's watches have ended"),
            },
            () = tokio::time::sleep(until(wake)) => {}
        }
    }
    status.lock().asked = None;
    following.shutdown().await;
    daemon.finish().await;
    Ok(())
}

/// A turn of the election.
enum Turned {
    Standing(Standing),
    /// A rule may go on.
    Acknowledged(Arc<str>),
}

/// The next turn of the election; never, if there is none. `None`: it has ended.
async fn turned(election: &mut Option<Replica>) -> Option<Turned> {
    let Some(replica) = election else {
        return std::future::pending().await;
    };
    tokio::select! {
        changed = replica.standing.changed() => match changed {
            Ok(()) => Some(Turned::Standing(replica.standing.borrow_and_update().clone())),
            Err(_) => None,
        },
        Some(rule) = replica.acknowledged.recv() => Some(Turned::Acknowledged(rule)),
    }
}

/// An answer to an Event that was sent.
async fn answered(events: &mut Option<Events>) -> Option<()> {
    events.as_mut()?.answered().await
}

/// How long to sleep. A turn that left work comes back at once, after a look at what else has come.
fn until(wake: Option<Timestamp>) -> Duration {
    let left = wake.map(|at| at.duration_since(Timestamp::now()));
    match left {
        Some(left) => Duration::try_from(left)
            .unwrap_or(Duration::ZERO)
            .min(HEARTBEAT),
        None => HEARTBEAT,
    }
}

struct Daemon {
    engine: Engine,
    rules: Rules,
    /// `None`: none are written.
    events: Option<Events>,
    cluster: Arc<dyn Cluster>,
    teller: Teller,
    requests: JoinSet<(RequestId, Outcome)>,
    /// So that a request whose task died is answered too.
    ids: HashMap<Id, RequestId>,
    /// What was kept is being read.
    recalls: JoinSet<Result<Vec<(String, String)>, Fault>>,
    /// What is kept is being looked at.
    looks: JoinSet<Vec<usize>>,
    /// Whether this replica is to act.
    leads: bool,
    once: bool,
    recall_tries: usize,
    /// Under which name the state is written.
    writer: Arc<str>,
    started: Instant,
    clock: Clock,
    schemas: mpsc::Sender<Schema>,
    /// Of all replicas; `None`: this one is alone.
    switchboard: Option<Switchboard>,
    /// As all replicas were told last.
    shared: Option<Told>,
    /// Where it is kept which rules may hold something, if it is.
    keeps: Option<lifetimes::Place>,
    /// What was kept last.
    kept: Option<Known>,
    keeping: JoinSet<(Known, Outcome)>,
}

impl Daemon {
    fn turn(&mut self) -> Option<Timestamp> {
        let now = Timestamp::now();
        if let Some(by) = self.clock.moved(now, Instant::now()) {
            tracing::warn!(seconds = by.as_secs(), "the clock was moved");
            self.engine.clock_moved(by);
        }
        let mut effects = vec![];
        let wake = self.engine.poll(now, BUDGET, &mut effects);
        for effect in effects {
            match effect {
                Effect::Write(id, write) => {
                    let request = match write.operation {
                        Operation::Archive { .. } => sinks::write(*write),
                        _ => self.cluster.write(*write),
                    };
                    self.send(id, request);
                }
                Effect::Read(id, key) => {
                    let request = self.cluster.read(key);
                    self.send(id, request);
                }
                Effect::Managers(id, key) => {
                    let request = self.cluster.managers(key);
                    self.send(id, request);
                }
                Effect::Keep(id, keep) => {
                    let request = self.cluster.keep(keep);
                    self.send(id, request);
                }
                Effect::Report(report) => self.report(report, now),
            }
        }
        if let Some(events) = &mut self.events {
            events.send(&self.engine, now);
        }
        self.teller.turned(now, self.requests.len());
        wake
    }

    fn report(&mut self, report: Report, now: Timestamp) {
        if let Some(events) = &mut self.events {
            events.hear(&report, &self.engine, now);
        }
        self.teller.tell(report);
    }

    /// What was not told with an Event so far may have to be now.
    fn review_events(&mut self) {
        if let Some(events) = &mut self.events {
            events.review(&self.engine, Timestamp::now());
        }
    }

    /// Shows the figures to whoever asked for them.
    fn measure(&self) {
        let now = Timestamp::now();
        let engine = self.engine.status(now);
        let traffic = self.cluster.figures(now);
        let mut status = self.teller.status.lock();
        status.engine = Some(engine);
        status.traffic = traffic;
        for looker in status.lookers.drain(..) {
            // It may have given up.
            let _ = looker.send(());
        }
    }

    fn send(&mut self, id: RequestId, request: futures::future::BoxFuture<'static, Outcome>) {
        let task = self.requests.spawn(async move { (id, request.await) });
        self.ids.insert(task.id(), id);
    }

    fn answered(&mut self, answer: Result<(Id, (RequestId, Outcome)), tokio::task::JoinError>) {
        let (id, outcome) = match answer {
            Ok((task, answer)) => {
                self.ids.remove(&task);
                answer
            }
            Err(error) => {
                tracing::error!(%error, "a request died: its outcome is unknown");
                match self.ids.remove(&error.id()) {
                    Some(id) => (id, Outcome::Failed(Fault::Timeout)),
                    None => return,
                }
            }
        };
        self.engine.complete(id, outcome, Timestamp::now());
    }

    /// What else the cluster has sent meanwhile.
    fn hear_more(&mut self, messages: &mut mpsc::Receiver<Message>) {
        for _ in 1..MESSAGES {
            match messages.try_recv() {
                Ok(message) => self.hear(message),
                Err(_) => break,
            }
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Followed(stream, _) if stream.is_over() => {}
            Message::Observed(observations) | Message::Followed(_, observations) => {
                let now = Timestamp::now();
                self.teller.observed(&observations);
                for observation in observations {
                    self.engine.observe(observation, now);
                }
            }
            Message::KindsChanged => {
                let cluster = self.cluster.clone();
                let schemas = self.schemas.clone();
                tokio::spawn(async move {
                    loop {
                        match cluster.schema().await {
                            Ok(schema) => {
                                // Closed only when the daemon stops.
                                let _ = schemas.send(schema).await;
                                return;
                            }
                            Err(error) => {
                                tracing::warn!(%error, "the cluster's kinds cannot be read; asking again");
                                tokio::time::sleep(SCHEMA_RETRY).await;
                            }
                        }
                        if schemas.is_closed() {
                            return;
                        }
                    }
                });
            }
        }
    }

    /// Compiles files (the last ones, if there are no new ones) against a schema, and puts what is good of them in force.
    fn reload(&mut self, files: Option<FileSet>, schema: Schema) {
        let began = Instant::now();
        let loaded = self.rules.load(files, schema);
        self.teller.reloaded(&loaded, began);
        if let Some(set) = loaded.set {
            self.engine.load(set, Timestamp::now());
            self.review_events();
            self.follow();
            self.keep();
            for rule in self.engine.withheld_lifetimes() {
                tracing::warn!(
                    rule = &**rule,
                    "the rule is gone since the last start, with most others: what it holds is given back when that is acknowledged"
                );
            }
        }
    }

    /// Keeps which rules may hold something, where that has changed. Until it is kept those change nothing.
    fn keep(&mut self) {
        let known = self.engine.lifetimes();
        let Some(place) = &self.keeps else {
            return;
        };
        if self.engine.is_standby() || self.kept.as_ref() == Some(known) {
            return;
        }
        let known = known.clone();
        let request = self.cluster.write(lifetimes::keep(&known, place));
        self.engine.set_lifetimes_kept(false, Timestamp::now());
        self.keeping.abort_all();
        self.keeping.spawn(async move { (known, request.await) });
    }

    fn kept(&mut self, answer: Result<(Known, Outcome), tokio::task::JoinError>) {
        let Ok((known, outcome)) = answer else {
            // A newer one is on its way.
            return;
        };
        match outcome {
            Outcome::Failed(fault) => tracing::warn!(
                name = self.keeps.as_ref().map(|place| &*place.name),
                error = fault.message(),
                "it cannot be kept which rules have something to give back: of one that is removed while no daemon runs nothing is given back"
            ),
            _ => self.kept = Some(known),
        }
        self.engine.set_lifetimes_kept(true, Timestamp::now());
    }

    fn follow(&mut self) {
        let wanted = self.engine.wanted();
        self.teller.following(&wanted);
        self.cluster.follow(wanted);
    }

    /// Acts, or stands by; and follows the switches that all replicas share.
    fn lead(&mut self, standing: Standing) {
        self.leads = standing.leading;
        match standing.leading {
            true => self.recall(),
            false => self.engine.set_standby(true, Timestamp::now()),
        }
        self.keep();
        self.review_events();
        self.heed(&standing);
        self.teller.stands(standing);
    }

    /// With `once`: everything has been listed, and nothing is left to do now.
    fn is_done(&self, wake: Option<Timestamp>) -> bool {
        let listed = {
            let status = self.teller.status.lock();
            status.kinds.values().all(|(_, following)| match following {
                Following::Synced => true,
                Following::Listing => false,
                // A connection that fails at once may come back in a moment.
                Following::Lost(Lost::Unreachable(_)) => self.started.elapsed() > PATIENCE,
                Following::Lost(_) => true,
            })
        };
        listed
            && !self.engine.is_standby()
            && self.requests.is_empty()
            && self.keeping.is_empty()
            && self.engine.is_idle()
            && wake.is_none_or(|at| at > Timestamp::now())
    }

    /// Waits for what is in flight.
    async fn finish(&mut self) {
        let end = tokio::time::Instant::now() + GRACE;
        self.engine.stop_taking();
        let mut written = 0;
        loop {
            // What was done is answered; what is remembered of it is written, and that answered too.
            if self.requests.is_empty() && written < 2 && !self.engine.is_kept() {
                written += 1;
                self.keep_the_rest();
            }
            let next = tokio::time::timeout_at(end, self.requests.join_next_with_id()).await;
            let Ok(Some(answer)) = next else {
                break;
            };
            self.answered(answer);
            // Only to hear what became of it: what else the engine wants is not done any more.
            let mut effects = vec![];
            self.engine.poll(Timestamp::now(), 0, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Report(report) => self.report(report, Timestamp::now()),
                    Effect::Keep(id, keep) => {
                        let request = self.cluster.keep(keep);
                        self.send(id, request);
                    }
                    _ => {}
                }
            }
        }
        if let Some(events) = &mut self.events {
            events.send(&self.engine, Timestamp::now());
            events.finish().await;
        }
        if !self.requests.is_empty() {
            tracing::warn!(
                requests = self.requests.len(),
                "requests were not answered in time and are given up"
            );
        }
    }
}

/// The kinds that some rule needs and that could not be looked at, for the exit code of a single pass.
pub fn undecided(status: &Shared) -> Vec<String> {
    let status = status.lock();
    let needed = status.kinds.iter().filter(|(kind, (_, following))| {
        // Rules that need a kind that is lost say so. Without rights beyond some namespaces the Namespaces are lost, and few rules care.
        *following == Following::Listing || status.is_missed(kind)
    });
    needed
        .filter_map(|(kind, (_, following))| match following {
            Following::Lost(Lost::Forbidden(why)) => Some(format!("{kind}: forbidden: {why}")),
            Following::Lost(Lost::Unreachable(why)) => Some(format!("{kind}: {why}")),
            Following::Lost(Lost::OutOfScope) => Some(format!(
                "{kind}: cluster-scoped, and only some namespaces are looked at"
            )),
            Following::Listing => Some(format!("{kind}: not listed")),
            Following::Synced | Following::Lost(Lost::NoSuchKind) => None,
        })
        .collect()
}

/// What an observation says about how its kind is followed.
fn following(observation: &Observation) -> Option<(&crate::object::GroupKind, Following)> {
    match observation {
        Observation::ListDone { kind } => Some((kind, Following::Synced)),
        Observation::Lost { kind, why } => Some((kind, Following::Lost(why.clone()))),
        _ => None,
    }
}
