//! What outlives a restart: read before the engine acts, looked after while it does, written a last time when it stops.

use super::{Daemon, Fault};
use crate::engine::Effect;
use jiff::Timestamp;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often it is looked whether what was kept is as it was left.
pub(super) const LOOK: Duration = Duration::from_secs(15);
/// What could not be read is asked for again after this time, and then after longer ones.
const RETRY: Duration = Duration::from_secs(2);
/// The longest of them.
const LONGEST_RETRY: Duration = Duration::from_secs(15);
/// A state that a newer version has written is looked at again after this time.
pub(super) const REFUSED_RETRY: Duration = Duration::from_secs(30);
/// With `once`: how often it is asked for.
const ONCE_TRIES: usize = 5;

/// What follows, where what was kept cannot be read.
enum Unread {
    /// It is asked for again after this time.
    AskAgain(Duration),
    /// No rule needs it; or a plan, which does nothing, tells what it can, and that it could not tell all.
    GoOn,
    /// A single pass ends.
    End,
}

impl Daemon {
    /// Reads what was kept; until it is there the engine stands by.
    pub(super) fn recall(&mut self) {
        self.recall_after(Duration::ZERO);
    }

    fn recall_after(&mut self, pause: Duration) {
        self.recalls = JoinSet::new();
        let cluster = self.cluster.clone();
        self.recalls.spawn(async move {
            tokio::time::sleep(pause).await;
            cluster.recall().await
        });
    }

    /// It is there, or cannot be read.
    pub(super) fn recalled(&mut self, texts: Result<Vec<(String, String)>, Fault>) {
        // Of one that acts already it would forget what is not kept yet.
        if !self.leads || !self.engine.is_standby() {
            return;
        }
        let now = Timestamp::now();
        let texts = match texts {
            Ok(texts) => {
                self.recall_tries = 0;
                self.unrecalled = false;
                self.teller.status.lock().unread = None;
                texts
            }
            Err(fault) => match self.not_recalled(&fault) {
                Unread::AskAgain(pause) => return self.recall_after(pause),
                Unread::End => return,
                Unread::GoOn => return self.begin(now),
            },
        };
        let named = texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        let whole = self.cluster.keeps_in_one();
        let wanted = self.engine.wanted();
        let found = self.engine.recall(named, (&self.writer, whole), now);
        for (name, trouble) in &found.troubles {
            tracing::error!(name, error = %trouble, "a part of what was remembered is lost");
            self.teller.state(format!("{name}: {trouble}"));
        }
        if found.refused {
            tracing::error!(
                "nothing is done: what rules remember was written by a newer version. Run that version, or delete the ConfigMaps ordain-state-* to begin anew"
            );
            return self.recall_after(REFUSED_RETRY);
        }
        tracing::info!(entries = found.entries, "what was remembered is known");
        if self.engine.wanted() != wanted {
            self.follow();
        }
        self.begin(now);
    }

    fn begin(&mut self, now: Timestamp) {
        self.engine.set_standby(false, now);
        self.keep();
        self.review_events();
    }

    /// Other rules are in force: what they remember is read after all, if it could not be for the former ones, which needed nothing of it.
    pub(super) fn review_memory(&mut self) {
        if self.unrecalled && !self.engine.is_standby() && self.engine.has_to_remember() {
            self.engine.set_standby(true, Timestamp::now());
            self.recall();
        }
    }

    /// To begin as if nothing had been remembered would let go on what was aborted, and do again what is done once: nothing is done before
    /// it is known.
    fn not_recalled(&mut self, fault: &Fault) -> Unread {
        self.recall_tries += 1;
        let forbidden = matches!(fault, Fault::Forbidden(_));
        let mend = match forbidden {
            true => {
                " (grant that right, `ordain rbac` prints it, or name with --state-namespace where it is kept)"
            }
            false => "",
        };
        let why = format!(
            "what rules remember cannot be read: {}{mend}",
            fault.message()
        );
        if forbidden && !self.engine.has_to_remember() {
            tracing::warn!(error = why, "no rule needs it: going on without");
            self.unrecalled = true;
            return Unread::GoOn;
        }
        let is_news = self.teller.not_recalled(&why);
        if self.once && (forbidden || self.recall_tries >= ONCE_TRIES) {
            return match self.dry {
                true => Unread::GoOn,
                false => {
                    self.gave_up = true;
                    Unread::End
                }
            };
        }
        if is_news {
            tracing::error!(error = why, "nothing is done before it is; asking again");
        }
        let times = u32::try_from(self.recall_tries).unwrap_or(u32::MAX);
        Unread::AskAgain(RETRY.saturating_mul(times).min(LONGEST_RETRY))
    }

    /// Whether somebody has changed what was kept.
    pub(super) fn look_at_state(&mut self) {
        if self.engine.is_standby() || !self.looks.is_empty() {
            return;
        }
        let cluster = self.cluster.clone();
        self.looks.spawn(async move { cluster.damaged().await });
    }

    /// Writes what is not written yet.
    pub(super) fn keep_the_rest(&mut self) {
        let mut effects = vec![];
        self.engine.keep_at_once(Timestamp::now(), &mut effects);
        for effect in effects {
            if let Effect::Keep(id, keep) = effect {
                let request = self.cluster.keep(keep);
                self.send(id, request);
            }
        }
    }
}
