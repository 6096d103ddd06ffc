//! One turn of the loop: what the engine wants is asked of the cluster, what comes back is told to it. And the last turns, which only wait.

use super::{Daemon, MESSAGES};
use crate::cluster::Message;
use crate::decide::Operation;
use crate::engine::{Effect, Fault, Outcome, Report, RequestId};
use crate::sinks;
use jiff::Timestamp;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};

/// Objects evaluated between two looks at what else has come.
const BUDGET: usize = 256;
/// A schema that could not be read is asked for again after this time.
const SCHEMA_RETRY: Duration = Duration::from_secs(15);
/// Time for requests in flight to be answered after a signal.
const GRACE: Duration = Duration::from_secs(10);

impl Daemon {
    pub(super) fn turn(&mut self) -> Option<Timestamp> {
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

    pub(super) fn report(&mut self, report: Report, now: Timestamp) {
        if let Some(events) = &mut self.events {
            events.hear(&report, &self.engine, now);
        }
        self.teller.tell(report);
    }

    /// Shows the figures to whoever asked for them.
    pub(super) fn measure(&self) {
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

    pub(super) fn send(
        &mut self,
        id: RequestId,
        request: futures::future::BoxFuture<'static, Outcome>,
    ) {
        let task = self.requests.spawn(async move { (id, request.await) });
        self.ids.insert(task.id(), id);
    }

    pub(super) fn answered(
        &mut self,
        answer: Result<(Id, (RequestId, Outcome)), tokio::task::JoinError>,
    ) {
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
    pub(super) fn hear_more(&mut self, messages: &mut mpsc::Receiver<Message>) {
        for _ in 1..MESSAGES {
            match messages.try_recv() {
                Ok(message) => self.hear(message),
                Err(_) => break,
            }
        }
    }

    pub(super) fn hear(&mut self, message: Message) {
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
                // One that still asks would be answered with what is older.
                self.discovery = JoinSet::new();
                self.discovery.spawn(async move {
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

    /// Waits for what is in flight.
    pub(super) async fn finish(&mut self) {
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
