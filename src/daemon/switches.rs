//! Switches that people press: on this replica, or for all of them through the Lease.

use super::Daemon;
use crate::cluster::lease::{Standing, Switch};
use crate::observe::http::{Acknowledged, Control};
use jiff::Timestamp;
use std::sync::Arc;

/// What the Lease said last.
pub struct Told {
    frozen: bool,
    reload: Option<Arc<str>>,
}

impl Daemon {
    pub(super) fn control(&mut self, asked: Control) {
        match asked {
            Control::Freeze(frozen, answer) => {
                tracing::warn!(frozen, "the freeze switch was pressed");
                self.freeze(frozen);
                self.pass_on(Switch::Freeze(frozen), move |passed| {
                    let _ = answer.send(passed);
                });
            }
            Control::Explain(asked) => {
                let now = Timestamp::now();
                let explanation = self.engine.explain(&asked.rule, &asked.object, now);
                // Whoever asked may have given up.
                let _ = asked.answer.send(explanation);
            }
            Control::Acknowledge(Some(rule), answer) => {
                if self.switchboard.is_some() && self.engine.is_standby() {
                    // What was stopped is known to the one that leads.
                    tracing::warn!(
                        rule,
                        "a stopped rule is acknowledged, if it is one: the replica that leads is told"
                    );
                    let switch = Switch::Acknowledge(rule.as_str().into());
                    self.pass_on(switch, move |passed| {
                        let _ = answer.send(match passed {
                            Ok(()) => Acknowledged::PassedOn,
                            Err(why) => Acknowledged::Failed(why),
                        });
                    });
                    return;
                }
                let _ = answer.send(match self.acknowledge(&rule) {
                    true => Acknowledged::Done,
                    false => Acknowledged::Nothing,
                });
            }
            Control::Acknowledge(None, answer) => {
                if !self.acknowledge_reload() {
                    let _ = answer.send(Acknowledged::Nothing);
                    return;
                }
                // The others read the same files, and have withheld the same.
                let switch = Switch::AcknowledgeReload(Timestamp::now().to_string());
                self.pass_on(switch, move |passed| {
                    let _ = answer.send(match passed {
                        Ok(()) => Acknowledged::Done,
                        Err(why) => Acknowledged::Failed(why),
                    });
                });
            }
        }
    }

    /// Presses a switch for all replicas, if there are others. `then` hears what came of it.
    fn pass_on(&self, switch: Switch, then: impl FnOnce(Result<(), String>) + Send + 'static) {
        let Some(switchboard) = self.switchboard.clone() else {
            return then(Ok(()));
        };
        tokio::spawn(async move {
            let passed = switchboard.press(switch).await;
            if let Err(error) = &passed {
                tracing::error!(error, "the other replicas could not be told of the switch");
            }
            then(passed);
        });
    }

    /// Follows what the Lease says, where that is otherwise than before: `--audit-only` is not undone by a Lease that says nothing.
    pub(super) fn heed(&mut self, standing: &Standing) {
        let Some(frozen) = standing.frozen else {
            return;
        };
        let told = Told {
            frozen,
            reload: standing.reload.clone(),
        };
        let before = self.shared.replace(told);
        let was_frozen = before.as_ref().is_some_and(|told| told.frozen);
        if frozen != was_frozen && self.engine.is_frozen() != frozen {
            tracing::warn!(
                frozen,
                "the freeze switch was pressed for all replicas: an annotation of the Lease says so"
            );
            self.freeze(frozen);
        }
        if before.is_some_and(|told| told.reload != standing.reload) && standing.reload.is_some() {
            self.acknowledge_reload();
        }
    }

    fn freeze(&mut self, frozen: bool) {
        self.cluster.set_frozen(frozen);
        self.engine.set_frozen(frozen, Timestamp::now());
        self.review_events();
        self.teller.status.lock().frozen = frozen;
    }

    /// Lets a rule go on that was stopped; false if it was not.
    pub(super) fn acknowledge(&mut self, rule: &str) -> bool {
        let known = self.engine.acknowledge(rule, Timestamp::now());
        tracing::warn!(rule, known, "a stopped rule was acknowledged");
        known
    }

    /// Puts the rules in force that were withheld; false if none were.
    fn acknowledge_reload(&mut self) -> bool {
        let gone = self.engine.acknowledge_lifetimes(Timestamp::now());
        if gone {
            tracing::warn!("that rules are gone was acknowledged: what they hold is given back");
            self.follow();
        }
        let Some(set) = self.rules.acknowledge() else {
            return gone;
        };
        tracing::warn!(
            rules = set.rules().len(),
            "the loss of rules was acknowledged"
        );
        self.teller.in_force(&set, &[], None);
        self.engine.load(set, Timestamp::now());
        self.review_events();
        self.follow();
        true
    }
}
