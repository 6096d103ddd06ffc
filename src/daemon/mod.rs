//! The wiring: rules and a cluster into one engine, what it wants done to the cluster, what it reports to people. Start order and shutdown.
//!
//! One task owns the engine and turns: it evaluates what is due, sends requests as tasks of their own, and waits for whatever comes first:
//! an answer, an observation, an edit of a rule, a switch, the next moment, a signal.
//!
//! | file | what of it |
//! | --- | --- |
//! | `turn` | one turn: requests sent, answers and observations heard; the last turns before it ends |
//! | `once` | when a single pass is over, and what it could not look at |
//! | `rules` | rule files, compiled against the schema there is |
//! | `memory`, `lifetimes` | what is kept in the cluster: read before the engine acts, written while it does |
//! | `switches` | freeze, unfreeze, acknowledge; the same for all replicas |
//! | `report`, `events` | what is told: log, metrics, status; Events |
//! | `clock` | whether the clock was moved |

pub mod allocator;
mod clock;
mod events;
mod lifetimes;
mod memory;
mod once;
mod report;
pub mod rest;
mod rules;
mod switches;
mod turn;

pub use once::undecided;
pub use report::Teller;

use crate::cluster::lease::{Replica, Standing, Switchboard};
use crate::cluster::{Cluster, Message};
use crate::engine::worker::lifetimes::Known;
use crate::engine::{Engine, EngineOptions, Fault, Outcome, Report, RequestId};
use crate::observe::Shared;
use crate::observe::http::Control;
use crate::rules_dir::{self, FileSet, watch};
use crate::schema::Schema;
use clock::Clock;
use events::Events;
use jiff::Timestamp;
use rest::Rest;
use rules::Rules;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switches::Told;
use tokio::sync::{Notify, mpsc};
use tokio::task::{Id, JoinSet};

/// Messages, and answers, taken in one turn, so that a flood of events does not keep answers waiting.
const MESSAGES: usize = 64;
/// The loop turns at least this often: `/healthz` reads when it did.
const HEARTBEAT: Duration = Duration::from_secs(2);

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
    /// Of the thread that this runs on.
    pub rest: Rest,
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
        discovery: JoinSet::new(),
        looks: JoinSet::new(),
        leads: true,
        once: options.once,
        dry: options.engine.dry,
        recall_tries: 0,
        gave_up: false,
        unrecalled: false,
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
    let rest = surroundings.rest;
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
        rest.review(daemon.requests.len(), options.engine.workers);
        if options.once && messages.is_empty() && daemon.is_done(wake) {
            // Questions are about what was found.
            while let Ok(asked) = control.try_recv() {
                daemon.control(asked);
            }
            break;
        }
        if wake.is_some_and(|wake| wake <= Timestamp::now()) {
            // There is more to look at: what else runs on this thread has its turn too.
            tokio::task::yield_now().await;
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
            // One that died has not answered: it is asked again.
            Some(texts) = daemon.recalls.join_next() => daemon.recalled(texts.unwrap_or(Err(Fault::Timeout))),
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
    /// The cluster's kinds are being read.
    discovery: JoinSet<()>,
    /// What is kept is being looked at.
    looks: JoinSet<Vec<usize>>,
    /// Whether this replica is to act.
    leads: bool,
    once: bool,
    /// Nothing is written, whatever is found.
    dry: bool,
    recall_tries: usize,
    /// What was kept cannot be read, and a single pass does not wait for it.
    gave_up: bool,
    /// It may not be read, and no rule so far needs it.
    unrecalled: bool,
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
    /// What was not told with an Event so far may have to be now.
    fn review_events(&mut self) {
        if let Some(events) = &mut self.events {
            events.review(&self.engine, Timestamp::now());
        }
    }

    /// Compiles files (the last ones, if there are no new ones) against a schema, and puts what is good of them in force.
    fn reload(&mut self, files: Option<FileSet>, schema: Schema) {
        let began = Instant::now();
        let loaded = self.rules.load(files, schema);
        self.teller.reloaded(&loaded, began);
        if let Some(set) = loaded.set {
            self.engine.load(set, Timestamp::now());
            self.review_memory();
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

    fn follow(&mut self) {
        let wanted = self.engine.wanted();
        self.teller.following(&wanted);
        self.cluster.follow(wanted);
    }

    /// Acts, or stands by; and follows the switches that all replicas share.
    fn lead(&mut self, standing: Standing) {
        let led = std::mem::replace(&mut self.leads, standing.leading);
        if !standing.leading {
            self.engine.set_standby(true, Timestamp::now());
        } else if !led || (self.engine.is_standby() && self.recalls.is_empty()) {
            // Another replica may have written since this one asked. One that acts already knows more than it has kept.
            self.recall();
        }
        self.keep();
        self.review_events();
        self.heed(&standing);
        self.teller.stands(standing);
    }
}
