//! Sends the Events of [`crate::engine::announce`]. That one cannot be written disturbs nothing else.

use crate::cluster::Cluster;
use crate::engine::announce::{Announcer, Mark};
use crate::engine::{Engine, Outcome, Report};
use crate::observe::Shared;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// When the daemon ends, Events on their way have this long.
const GRACE: Duration = Duration::from_secs(2);

/// Events on objects whose change failed or was blocked.
pub struct Events {
    announcer: Announcer,
    cluster: Arc<dyn Cluster>,
    status: Shared,
    requests: JoinSet<(Mark, Outcome)>,
}

impl Events {
    pub fn new(cluster: Arc<dyn Cluster>, status: Shared) -> Events {
        Events {
            announcer: Announcer::default(),
            cluster,
            status,
            requests: JoinSet::new(),
        }
    }

    /// Before people are told of it.
    pub fn hear(&mut self, report: &Report, engine: &Engine, now: Timestamp) {
        self.announcer.hear(report, engine, now);
    }

    /// Rules, or whether they act, are otherwise now.
    pub fn review(&mut self, engine: &Engine, now: Timestamp) {
        if engine.is_standby() {
            self.announcer.silence();
        } else {
            self.announcer.review(engine, now);
        }
    }

    /// Sends what is due.
    pub fn send(&mut self, engine: &Engine, now: Timestamp) {
        for (mark, write) in self.announcer.due(engine, now) {
            let request = self.cluster.write(write);
            self.requests.spawn(async move { (mark, request.await) });
        }
    }

    /// Waits for an answer; at once `None` if nothing was sent.
    pub async fn answered(&mut self) -> Option<()> {
        let answer = self.requests.join_next().await?;
        if let Ok((mark, outcome)) = answer {
            let why = self.announcer.answered(&mark, &outcome, Timestamp::now());
            if let Some(why) = why {
                tracing::warn!(
                    error = why,
                    "Events on objects cannot be written now: what failed is told here, in /status and in /metrics alone"
                );
            }
            self.status.lock().events = self.announcer.counts();
        }
        Some(())
    }

    /// Waits for what is on its way, not for long.
    pub async fn finish(&mut self) {
        let all = async { while self.answered().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, all).await;
    }
}
