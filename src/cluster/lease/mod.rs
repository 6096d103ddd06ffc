//! Which of several replicas acts: the one that holds a Lease.
//!
//! `election` who holds it, as a state machine without I/O · `fence` how long a write may take · `switches` what people tell all replicas · here the task that asks the server.
//!
//! No two clocks are compared: a replica watches how long, by its own monotonic clock, the record in the Lease has not changed, and counts its
//! own term from the moment before it sent the renewal that was taken. So clocks of replicas may differ by any amount.

mod election;
mod fence;
mod switches;
#[cfg(test)]
mod tests;

pub use election::{Standing, Terms};
pub use fence::Fence;
pub use switches::Switch;

use super::configuration::Misconfigured;
use super::connection::Connection;
use super::wire::Wire;
use super::{fault, requests};
use election::{Answer, Ask, Election};
use http::{Method, Request, header};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Giving the Lease back must not keep a daemon from ending.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the Lease is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The daemon's own namespace.
    pub namespace: String,
    /// Of the Lease.
    pub name: String,
}

/// How often a switch that is pressed meets somebody else's change of the Lease before that is given up.
const MOST_CONFLICTS: usize = 10;

/// A switch that is to be pressed, and who waits for the answer.
type Press = (Switch, oneshot::Sender<Result<(), String>>);

/// What a daemon knows of its part in an election.
pub struct Replica {
    /// What it is called in the Lease.
    pub identity: Arc<str>,
    /// Whether it leads, and what keeps it from it.
    pub standing: watch::Receiver<Standing>,
    /// Rules that were stopped and may go on; only of the one that leads.
    pub acknowledged: mpsc::UnboundedReceiver<Arc<str>>,
    /// To press a switch for all replicas.
    pub switchboard: Switchboard,
}

/// Presses switches for all replicas.
#[derive(Clone)]
pub struct Switchboard(mpsc::Sender<Press>);

impl Switchboard {
    /// Writes it into the Lease.
    ///
    /// # Errors
    /// Why it could not be written, for people.
    pub async fn press(&self, switch: Switch) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let ended = || "this replica takes no part in the election any more".to_owned();
        let sent = self.0.send((switch, answer)).await;
        sent.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// A replica that takes part in an election until it is released or dropped.
pub struct Candidate {
    /// What this replica is called in the Lease.
    pub identity: Arc<str>,
    standing: watch::Receiver<Standing>,
    fence: Arc<Fence>,
    release: oneshot::Sender<()>,
    switchboard: Switchboard,
    /// `None`: somebody has it.
    acknowledged: Option<mpsc::UnboundedReceiver<Arc<str>>>,
    task: JoinHandle<()>,
}

impl Candidate {
    /// Begins to compete for the Lease, on the runtime in whose context this is called.
    ///
    /// # Errors
    /// Those of [`Connection::apart`].
    pub(super) fn start(
        connection: &Connection,
        place: Place,
        terms: Terms,
    ) -> Result<Candidate, Misconfigured> {
        let (told, standing) = watch::channel(Standing::default());
        let (release, released) = oneshot::channel();
        let fence = Arc::new(Fence::new(terms.term()));
        let (presses, pressed) = mpsc::channel(4);
        let (acknowledge, acknowledged) = mpsc::unbounded_channel();
        let identity = terms.identity.clone();
        let task = Task {
            wire: connection.apart()?,
            election: Election::new(terms, &place.name),
            place,
            fence: fence.clone(),
            told,
            pressed,
            acknowledge,
        };
        Ok(Candidate {
            identity,
            standing,
            fence,
            release,
            switchboard: Switchboard(presses),
            acknowledged: Some(acknowledged),
            task: tokio::spawn(task.run(released)),
        })
    }

    /// For the daemon. What is acknowledged is heard by whoever asks first.
    pub fn replica(&mut self) -> Replica {
        let silent = || mpsc::unbounded_channel().1;
        Replica {
            identity: self.identity.clone(),
            standing: self.standing.clone(),
            acknowledged: self.acknowledged.take().unwrap_or_else(silent),
            switchboard: self.switchboard.clone(),
        }
    }

    /// Asked before each write.
    pub(super) fn fence(&self) -> Arc<Fence> {
        self.fence.clone()
    }

    /// Gives the Lease back, if this replica holds it, so that another one need not wait for its end. Nothing may be written any more.
    pub async fn release(mut self) {
        self.fence.close();
        let (never, _) = oneshot::channel();
        let release = std::mem::replace(&mut self.release, never);
        let _ = release.send(());
        if tokio::time::timeout(RELEASE_TIMEOUT, &mut self.task)
            .await
            .is_err()
        {
            tracing::warn!(
                "the lease could not be given back in time: another replica waits for its end"
            );
        }
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.fence.close();
        self.task.abort();
    }
}

/// A name that no other replica has: the host's, which is the Pod's in a cluster, and a random part, because a process that was killed and
/// started again is another one.
pub fn identity() -> Arc<str> {
    let host = std::env::var("HOSTNAME")
        .ok()
        .filter(|h| !h.is_empty())
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .unwrap_or_default();
    // The standard library seeds its hashers at random.
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}_{random:016x}", host.trim()).into()
}

struct Task {
    wire: Wire,
    election: Election,
    place: Place,
    fence: Arc<Fence>,
    told: watch::Sender<Standing>,
    pressed: mpsc::Receiver<Press>,
    acknowledge: mpsc::UnboundedSender<Arc<str>>,
}

impl Task {
    async fn run(mut self, mut released: oneshot::Receiver<()>) {
        loop {
            let ask = self.election.next(Timestamp::now());
            let sent = Instant::now();
            // Not cut short by a release: a renewal whose answer nobody reads leaves the Lease at an unknown version.
            let answer = self.ask(&ask).await;
            self.election.heard(&ask, answer, sent, Instant::now());
            self.tell();
            let pause = self.election.pause(Instant::now());
            tokio::select! {
                _ = &mut released => break,
                Some((switch, answer)) = self.pressed.recv() => {
                    let outcome = self.press(&switch).await;
                    // Who asked may have given up.
                    let _ = answer.send(outcome);
                    self.tell();
                }
                () = tokio::time::sleep(pause) => self.tell(),
            }
        }
        if let Some(ask) = self.election.give_back(Timestamp::now(), Instant::now()) {
            match self.ask(&ask).await {
                Answer::Found(_) => tracing::info!("the lease is given back"),
                answer => tracing::warn!(?answer, "the lease could not be given back"),
            }
        }
    }

    /// Writes a switch into the Lease as it is, whoever holds it.
    async fn press(&mut self, switch: &Switch) -> Result<(), String> {
        for _ in 0..MOST_CONFLICTS {
            let lease = match self.ask(&Ask::Read).await {
                Answer::Found(lease) => lease,
                Answer::Missing => return Err("there is no Lease yet".into()),
                Answer::Refused(why) | Answer::Failed(why) => return Err(why),
                Answer::Conflict => continue,
            };
            let pressed = switches::press(lease, switch);
            match self.ask(&Ask::Replace(pressed)).await {
                Answer::Found(lease) => {
                    self.election.noticed(lease, Instant::now());
                    return Ok(());
                }
                Answer::Refused(why) | Answer::Failed(why) => return Err(why),
                Answer::Missing | Answer::Conflict => {}
            }
        }
        Err("somebody else changes the Lease all the time".into())
    }

    /// Lets fence, daemon and log know.
    fn tell(&mut self) {
        let now = Instant::now();
        for rule in self.election.take_acknowledged() {
            // Nobody hears it any more only when the daemon stops.
            let _ = self.acknowledge.send(rule);
        }
        let standing = self.election.standing(now);
        match self.election.term_end(now) {
            Some(end) => self.fence.open_until(end),
            None => self.fence.close(),
        }
        let before = self.told.borrow().clone();
        if before == standing {
            return;
        }
        let holder = standing.holder.as_deref().unwrap_or("");
        if standing.leading != before.leading {
            match standing.leading {
                true => tracing::info!(identity = holder, "this replica leads"),
                false => tracing::warn!(
                    holder,
                    "this replica does not lead any more: it writes nothing"
                ),
            }
        } else if standing.holder != before.holder && !standing.leading {
            match &standing.holder {
                Some(holder) => {
                    tracing::info!(%holder, lease = %self.place.name, "standing by: another holds the lease")
                }
                None => tracing::info!(lease = %self.place.name, "nobody holds the lease"),
            }
        }
        if standing.trouble != before.trouble
            && let Some(trouble) = &standing.trouble
        {
            tracing::error!(error = %trouble, "the lease cannot be had");
        }
        self.told.send_replace(standing);
    }

    async fn ask(&self, ask: &Ask) -> Answer {
        let Place { namespace, name } = &self.place;
        let all = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        let manager = "fieldManager=ordain";
        let (method, path, body, verb) = match ask {
            Ask::Read => (Method::GET, format!("{all}/{name}"), None, "get"),
            Ask::Create(lease) => (
                Method::POST,
                format!("{all}?{manager}"),
                Some(lease),
                "create",
            ),
            Ask::Replace(lease) => (
                Method::PUT,
                format!("{all}/{name}?{manager}"),
                Some(lease),
                "update",
            ),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Vec::new, |lease| lease.to_string().into_bytes()));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Answer::Failed(error.to_string()),
        };
        let sent = requests::send(&self.wire, request);
        let answer = match tokio::time::timeout(self.election.patience(), sent).await {
            Err(_) => return Answer::Failed("the server does not answer".into()),
            Ok(Err(error)) => return Answer::Failed(fault::transport_message(&error)),
            Ok(Ok(answer)) => answer,
        };
        let message = || {
            let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let message = status["message"].as_str().map(str::to_owned);
            message.unwrap_or_else(|| format!("the server answered {}", answer.status))
        };
        match (answer.status.as_u16(), ask) {
            (200..300, _) => match serde_json::from_slice(&answer.body) {
                Ok(lease) => Answer::Found(lease),
                Err(error) => Answer::Failed(format!("the Lease cannot be read: {error}")),
            },
            (404, Ask::Read | Ask::Replace(_)) => Answer::Missing,
            (404, Ask::Create(_)) => Answer::Refused(format!(
                "the namespace {namespace} does not exist: create it, or name another one with --state-namespace"
            )),
            (409, _) => Answer::Conflict,
            (401 | 403, _) => Answer::Refused(format!(
                "to {verb} the Lease {namespace}/{name} is not allowed; `ordain rbac` prints the rights that are needed: {}",
                message()
            )),
            _ => Answer::Failed(message()),
        }
    }
}
