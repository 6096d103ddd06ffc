//! What the daemon says: each report is counted, logged, written to the status, and handed on.

use super::rules::Loaded;
use crate::cluster::lease::Standing;
use crate::engine::{Fault, Lost, Observation, Report, WatchedKind};
use crate::object::difference::is_secret;
use crate::observe::Shared;
use crate::observe::change::{Told, millis};
use crate::observe::status::{Following, ReloadResult};
use crate::rule::problem::Severity;
use crate::rule::set::RuleSet;
use crate::rule::{Mode, Occasion};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most messages about what rules remember that are shown.
const MOST_OF_STATE: usize = 20;

/// Says it.
pub struct Teller {
    pub(super) status: Shared,
    audience: Box<dyn FnMut(Report) + Send>,
}

impl Teller {
    /// Writes into `status`, hands on to `audience`.
    pub fn new(status: Shared, audience: Box<dyn FnMut(Report) + Send>) -> Teller {
        Teller { status, audience }
    }

    /// This replica takes part in an election, under this name.
    pub(super) fn elects(&mut self, identity: Arc<str>) {
        self.status.lock().election = Some((identity, Standing::default()));
    }

    /// How the election stands.
    pub(super) fn stands(&mut self, standing: Standing) {
        let mut status = self.status.lock();
        status.leader = standing.leading;
        if !standing.leading {
            // Whoever acts now reads it.
            status.unread = None;
        }
        if let Some((_, known)) = &mut status.election {
            *known = standing;
        }
    }

    /// The loop has turned.
    pub(super) fn turned(&mut self, now: Timestamp, in_flight: usize) {
        let mut status = self.status.lock();
        status.turned = now;
        status.in_flight = in_flight;
    }

    pub(super) fn observed(&mut self, observations: &[Observation]) {
        for observation in observations {
            self.noted(observation);
        }
    }

    /// What is logged, or changes the status.
    fn noted(&mut self, observation: &Observation) {
        if let Observation::Undecodable { kind, reason } = observation {
            // A decoder may quote what it cannot read.
            let reason = match is_secret(kind) {
                true => "it cannot be decoded",
                false => reason,
            };
            tracing::warn!(%kind, error = reason, "an object was left out");
        }
        let Some((kind, following)) = following(observation) else {
            return;
        };
        let mut status = self.status.lock();
        let Some((_, known)) = status.kinds.get_mut(kind) else {
            return;
        };
        if *known != following {
            match &following {
                Following::Lost(Lost::NoSuchKind) => {
                    tracing::warn!(%kind, "the cluster has no such kind: its rules wait until it has")
                }
                Following::Lost(Lost::OutOfScope) => {
                    tracing::info!(%kind, "not looked at: it is cluster-scoped, and only some namespaces are (--namespace)")
                }
                Following::Lost(Lost::Forbidden(why)) => {
                    tracing::error!(%kind, error = %why, "RBAC forbids to follow this kind: its rules wait")
                }
                Following::Lost(Lost::Unreachable(why)) => {
                    tracing::warn!(%kind, error = %why, "this kind cannot be followed now: its rules wait")
                }
                _ => tracing::info!(%kind, "followed"),
            }
            *known = following;
        }
        if !status.ready && status.is_settled() {
            status.ready = true;
            tracing::info!(
                kinds = status.kinds.len(),
                "ready: every kind has been listed"
            );
        }
    }

    /// These kinds are followed from now on.
    pub(super) fn following(&mut self, wanted: &[WatchedKind]) {
        let mut status = self.status.lock();
        let mut kinds = std::mem::take(&mut status.kinds);
        for watched in wanted {
            let former = kinds.remove(&watched.kind);
            let entry = former.filter(|(version, _)| *version == watched.version);
            status.kinds.insert(
                watched.kind.clone(),
                entry.unwrap_or((watched.version.clone(), Following::Listing)),
            );
        }
        // No rule, no kind: there is nothing to wait for.
        if status.kinds.is_empty() {
            status.ready = true;
        }
    }

    pub(super) fn reloaded(&mut self, loaded: &Loaded, began: Instant) {
        for problem in &loaded.problems {
            let place = &problem.place;
            match problem.severity {
                Severity::Error => tracing::error!(
                    file = %place.file, line = place.line, column = place.column, rule = problem.rule.as_deref(),
                    mend = problem.mend, "{}", problem.message
                ),
                Severity::Warning => tracing::warn!(
                    file = %place.file, line = place.line, column = place.column, rule = problem.rule.as_deref(),
                    mend = problem.mend, "{}", problem.message
                ),
            }
        }
        {
            let mut status = self.status.lock();
            status.problems = loaded.problems.iter().map(ToString::to_string).collect();
            status.errors = loaded
                .problems
                .iter()
                .filter(|p| p.severity == Severity::Error)
                .map(|p| format!("{}:{}: {}", p.place.file, p.place.line, p.message))
                .collect();
        }
        let took = began.elapsed();
        let result = match (&loaded.set, self.status.lock().errors.is_empty()) {
            (None, _) => ReloadResult::Fault,
            (Some(_), false) => ReloadResult::Partial,
            (Some(_), true) => ReloadResult::Ok,
        };
        let now = Timestamp::now();
        self.status.lock().reloads.add(result, took, now);
        let (added, changed, removed) = loaded.difference;
        let millis = millis(took);
        match (&loaded.set, &loaded.fault) {
            (None, fault) => {
                let fault = fault.as_deref().unwrap_or("");
                self.status.lock().fault = loaded.fault.clone();
                tracing::error!(
                    error = fault,
                    "this is taken for a fault: the rules stay as they are until POST /acknowledge"
                );
            }
            (Some(set), _) => {
                self.in_force(set, &loaded.kept, loaded.fault.clone());
                tracing::info!(
                    rules = set.rules().len(),
                    added,
                    changed,
                    removed,
                    millis,
                    "rules are in force"
                );
                for rule in &loaded.kept {
                    tracing::warn!(%rule, "this rule stays in its last good version");
                }
                if set.rules().is_empty() {
                    tracing::warn!("there is no rule: nothing will be done");
                }
            }
        }
    }

    /// These rules are in force now.
    pub(super) fn in_force(&mut self, set: &RuleSet, kept: &[Arc<str>], fault: Option<String>) {
        for rule in set.rules().iter().filter(|rule| rule.when.admits()) {
            let runs = if rule.when.has(Occasion::Reconcile) {
                "only its Reconcile part runs"
            } else {
                "it does nothing"
            };
            tracing::warn!(rule = %rule.name, "it looks at admission, and there is no admission server yet: {runs}");
        }
        let mut status = self.status.lock();
        status.rules = set.rules().to_vec();
        status.kept = kept.to_vec();
        status.fault = fault;
    }

    /// What rules remember cannot be read, and why. Whether that is news.
    pub(super) fn not_recalled(&mut self, why: &str) -> bool {
        let mut status = self.status.lock();
        let is_news = status.unread.as_deref() != Some(why);
        status.unread = Some(why.to_owned());
        is_news
    }

    /// Something is wrong with what rules remember.
    pub(super) fn state(&mut self, message: String) {
        let mut status = self.status.lock();
        status.state.push(message);
        let over = status.state.len().saturating_sub(MOST_OF_STATE);
        status.state.drain(..over);
    }

    /// Counts, logs, hands on.
    pub fn tell(&mut self, report: Report) {
        match &report {
            Report::Changed {
                changes,
                outcome,
                took,
            } => {
                let now = Timestamp::now();
                for change in changes {
                    let told = Told::new(change, outcome, *took, now);
                    let (rule, object, verb) = (&*told.rule, &*told.object, told.verb);
                    let (outcome_name, millis) = (told.outcome, told.millis);
                    match outcome {
                        Ok(()) => tracing::info!(
                            rule,
                            object,
                            verb,
                            fields = told.fields_text(),
                            why = told.why_text(),
                            outcome = outcome_name,
                            millis,
                            "changed"
                        ),
                        Err(fault @ Fault::Stale) => {
                            tracing::debug!(
                                rule,
                                object,
                                verb,
                                outcome = outcome_name,
                                millis,
                                "{}",
                                fault.message()
                            )
                        }
                        Err(fault) => tracing::warn!(
                            rule,
                            object,
                            verb,
                            fields = told.fields_text(),
                            why = told.why_text(),
                            outcome = outcome_name,
                            error = fault.message(),
                            millis,
                            "not changed"
                        ),
                    }
                    if !matches!(outcome, Err(Fault::Stale)) {
                        self.status.lock().latest.add(told);
                    }
                }
                let mut status = self.status.lock();
                match outcome {
                    Ok(()) => status.made += 1,
                    Err(Fault::Stale) => {}
                    Err(_) => status.failed += 1,
                }
            }
            Report::WouldChange(change) => {
                let told = Told::new(change, &Ok(()), Duration::ZERO, Timestamp::UNIX_EPOCH);
                let (rule, object, verb) = (&*told.rule, &*told.object, told.verb);
                let (fields, why) = (told.fields_text(), told.why_text());
                // Of a rule in Enforce a finding says what holds it back.
                if change.mode == Mode::Enforce && !self.status.lock().frozen {
                    tracing::debug!(rule, object, verb, fields, why, "held back");
                } else {
                    tracing::info!(rule, object, verb, fields, why, "would change");
                }
            }
            Report::Finding(finding) => {
                self.status.lock().add_finding(finding);
                tracing::warn!(
                    rule = %finding.rule, object = %finding.object, reason = %finding.reason, "{}", finding.message
                );
            }
            Report::FindingEnded(finding) => {
                let leads = {
                    let mut status = self.status.lock();
                    status.end_finding(finding);
                    status.leader
                };
                if !leads {
                    // It may well be so: whoever leads now says it.
                    return (self.audience)(report);
                }
                tracing::info!(rule = %finding.rule, object = %finding.object, reason = %finding.reason, "no longer so");
            }
            // Only a plan tells of it.
            Report::Later(_) | Report::Closed(_) => {}
            Report::State(message) => {
                tracing::warn!(trouble = message, "what rules remember");
                self.state(message.clone());
            }
            Report::Aborted {
                rule,
                due,
                acted,
                limit,
            } => {
                tracing::error!(
                    %rule, due, acted, limit, "this rule was stopped: it does nothing more until it is changed or acknowledged"
                );
            }
        }
        (self.audience)(report);
    }
}

/// What an observation says about how its kind is followed.
fn following(observation: &Observation) -> Option<(&crate::object::GroupKind, Following)> {
    match observation {
        Observation::ListDone { kind } => Some((kind, Following::Synced)),
        Observation::Lost { kind, why } => Some((kind, Following::Lost(why.clone()))),
        _ => None,
    }
}
