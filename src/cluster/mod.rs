//! A real Kubernetes API server. The only user of kube.

pub mod api;
pub mod configuration;
pub mod connection;
pub mod discovery;
pub mod fault;
pub mod frames;
pub mod lease;
mod pause;
mod proxy;
mod requests;
mod rewound;
pub mod rights;
mod skew;
pub mod state;
mod strategic;
pub mod traffic;
mod warnings;
mod watch;
mod wire;
mod write_request;

use crate::decide::Write;
use crate::engine::{Fault, Keep, Kept, Observation, Outcome, WatchedKind};
use crate::object::ObjectKey;
use crate::schema::Schema;
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use traffic::Figures;

/// A cluster: a real one (`cluster::api`), or a folder of manifests (`manifests::folder`).
pub trait Cluster: Send + Sync + 'static {
    /// What kinds there are. Called at start and whenever a message on `changes` says that kinds changed.
    fn schema(&self) -> BoxFuture<'_, anyhow::Result<Schema>>;
    /// Follows exactly these kinds from now on: starts what is new, stops what is no longer named, leaves the rest alone. Observations go to the sender given at construction.
    fn follow(&self, kinds: Vec<WatchedKind>);
    /// Makes one write; never fails but with a fault. Bounded in time.
    fn write(&self, write: Write) -> BoxFuture<'static, Outcome>;
    /// From now on writes that wait for their turn are not sent but answered as failed; or they are again.
    fn set_frozen(&self, frozen: bool);
    /// Reads one object.
    fn read(&self, key: ObjectKey) -> BoxFuture<'static, Outcome>;
    /// Asks who writes the fields of one object: [`Outcome::Managers`].
    fn managers(&self, key: ObjectKey) -> BoxFuture<'static, Outcome>;
    /// What was kept of the state beyond a restart, as names and texts; none where nothing is kept.
    fn recall(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, Fault>> {
        Box::pin(async { Ok(vec![]) })
    }
    /// Whether it is kept in one piece, as a file.
    fn keeps_in_one(&self) -> bool {
        false
    }
    /// Keeps shards of the state: [`Outcome::Kept`].
    fn keep(&self, keep: Keep) -> BoxFuture<'static, Outcome> {
        let done = keep
            .shards
            .into_iter()
            .map(|(number, _)| (number, Kept::Done));
        let done = done.collect();
        Box::pin(async { Outcome::Kept(done) })
    }
    /// Shards that somebody has changed or deleted since they were kept, by their numbers.
    fn damaged(&self) -> BoxFuture<'static, Vec<usize>> {
        Box::pin(async { vec![] })
    }
    /// What went over the wire so far.
    fn figures(&self, _now: Timestamp) -> Figures {
        Figures::default()
    }
}

/// What a cluster tells the daemon.
#[derive(Debug)]
pub enum Message {
    /// In order; batched so that one wake-up serves many events.
    Observed(Vec<Observation>),
    /// As `Observed`, by one of the watches of a kind, which may have been stopped since.
    Followed(Stream, Vec<Observation>),
    /// A CRD or APIService changed: ask `schema` again.
    KindsChanged,
}

/// One watch of one kind. What it sent before it was stopped may be of a version, or of metadata alone, that rules no longer go by: nobody
/// may take that for what the watch in its place will send.
#[derive(Clone, Debug, Default)]
pub struct Stream(Arc<AtomicBool>);

impl Stream {
    /// It was stopped.
    pub fn end(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was stopped.
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Where a cluster sends what it sees. Bounded: a slow engine slows the watches, nothing is dropped.
pub type Sender = mpsc::Sender<Message>;
