//! What can be seen of an engine from outside.

use super::Engine;
use super::rules::RuleState;
use crate::decide::Finding;
use crate::engine::Lost;
use crate::engine::counts::{Histogram, RuleCounts};
use crate::engine::series::Labels;
use crate::engine::store::{Seen, Sync};
use crate::object::{ObjectKey, word};
use crate::rule::{Action, Mode, Rule};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One moment of an engine.
#[derive(Clone, Debug)]
pub struct Status {
    /// Every rule behaves as in Audit.
    pub frozen: bool,
    /// Every kind that rules need is known, or known to be out of reach.
    pub synced: bool,
    /// By evaluation order.
    pub rules: Vec<RuleStatus>,
    /// Sorted by name.
    pub kinds: Vec<KindStatus>,
    /// Objects that wait to be evaluated.
    pub queue_depth: usize,
    /// Seconds the longest of them has waited.
    pub queue_oldest_seconds: f64,
    /// Requests that were not answered yet.
    pub in_flight: usize,
    /// Objects with a moment at which they are looked at again.
    pub due: usize,
    /// Objects evaluated since the start.
    pub evaluations: u64,
    /// Bytes of memory by what they are for, the larger structures only, estimated from their sizes.
    pub memory: Vec<(&'static str, usize)>,
    /// Seconds from request to answer, by verb.
    pub durations: Vec<(&'static str, Histogram)>,
    /// Findings that last: how many of each rule and reason.
    pub finding_counts: BTreeMap<(String, &'static str), usize>,
    /// Findings that last.
    pub findings: Vec<FindingStatus>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct RuleStatus {
    /// As in its file.
    pub name: String,
    /// As written.
    pub mode: &'static str,
    /// `active`, `waiting` (a kind is not known), `aborted`, `refused` (a path that no schema knows and no object has), `closed` (outside its
    /// schedule), `off`.
    pub state: &'static str,
    /// Why it was stopped by a limit, if it was.
    pub aborted: Option<String>,
    /// Objects that `match` covers.
    pub in_scope: usize,
    /// Of these, objects whose tests all pass.
    pub matched: usize,
    /// Of these, objects for which something is unknown or failed.
    pub pending: usize,
    /// Objects held by a limit or a breaker.
    pub blocked: usize,
    /// Since the start.
    pub counts: RuleCounts,
    /// The latest failure, in words.
    pub last_error: Option<String>,
    /// What its `metric` steps make.
    pub metrics: Vec<MetricStatus>,
}

/// The series of one `metric` step.
#[derive(Clone, Debug)]
pub struct MetricStatus {
    /// As Prometheus names it.
    pub name: Arc<str>,
    /// It only grows, but for the end of a match.
    pub counter: bool,
    /// A sentence for people: of the rule.
    pub help: String,
    /// Names of its labels.
    pub labels: Vec<Arc<str>>,
    /// Values of the labels and the number, sorted.
    pub rows: Vec<(Labels, f64)>,
}

/// One kind.
#[derive(Clone, Debug)]
pub struct KindStatus {
    /// `Kind` or `Kind.group`.
    pub kind: String,
    /// The selector with which it is watched; empty: all of it.
    pub selector: String,
    /// Objects stored.
    pub objects: usize,
    /// Bytes of their records.
    pub bytes: usize,
    /// `pending`, `synced`, or why it is lost.
    pub sync: String,
    /// What came since it is followed.
    pub seen: Seen,
}

/// One finding.
#[derive(Clone, Debug)]
pub struct FindingStatus {
    /// Name of the rule.
    pub rule: String,
    /// As `KIND/NAMESPACE/NAME`.
    pub object: String,
    /// The stable category.
    pub reason: String,
    /// For people.
    pub message: String,
}

fn metrics(rule: &Rule, state: &RuleState) -> Vec<MetricStatus> {
    let steps = rule.steps.iter().enumerate();
    let of = |(step, of): (usize, &crate::rule::Step)| {
        let Action::Metric(metric) = &of.action else {
            return None;
        };
        let own = || format!("Made by rule {}", rule.name);
        Some(MetricStatus {
            name: metric.name.clone(),
            counter: metric.counter,
            help: rule.description.clone().unwrap_or_else(own),
            labels: metric.label_names(),
            rows: state.series.rows(step, metric),
        })
    };
    steps.filter_map(of).collect()
}

/// Most findings that are shown.
const MOST_FINDINGS: usize = 200;

impl Engine {
    fn memory(&self) -> Vec<(&'static str, usize)> {
        let (mut records, mut index) = (0, 0);
        for (_, objects) in self.store.kinds() {
            records += objects.bytes;
            index += objects.index_bytes();
        }
        let key = size_of::<ObjectKey>();
        let messages = |findings: &[Finding]| -> usize {
            findings
                .iter()
                .map(|f| size_of::<Finding>() + f.message.len())
                .sum()
        };
        let findings = self.findings.values().map(|f| key + messages(f)).sum();
        // A key that waits stands in a set and in a line.
        let queue = self.queue.len() * (2 * key + size_of::<Timestamp>());
        let matches = self.states.iter().map(|state| state.matches.bytes()).sum();
        let due = self.due.len() * (2 * key + 2 * size_of::<Timestamp>());
        vec![
            ("records", records),
            ("words", word::bytes()),
            ("index", index),
            ("related", self.related.bytes()),
            ("queue", queue),
            ("dueMoments", due),
            ("matches", matches),
            ("findings", findings),
        ]
    }

    /// What it looks like now.
    pub fn status(&self, now: Timestamp) -> Status {
        let rules = self.rules.rules().iter().zip(&self.states).enumerate().map(
            |(index, (rule, state))| {
                // A rule all of whose kinds are not there has nothing to do, and begins when one is.
                let absent = |kind: &crate::rule::ResolvedKind| {
                    let known = self.store.kind(&kind.kind);
                    known.is_some_and(|k| k.sync == Sync::Lost(Lost::NoSuchKind))
                };
                let kinds = &rule.matches.kinds;
                let waits = !state.ready || !kinds.is_empty() && kinds.iter().all(absent);
                let aborted = state.limits.aborted().is_some();
                RuleStatus {
                    name: rule.name.to_string(),
                    mode: match rule.mode {
                        Mode::Audit => "Audit",
                        Mode::Enforce => "Enforce",
                        Mode::Off => "Off",
                    },
                    state: match (rule.mode, aborted, waits) {
                        (Mode::Off, ..) => "off",
                        _ if state.refusal.is_some() => "refused",
                        (_, true, _) => "aborted",
                        (_, _, true) => "waiting",
                        _ if self.is_outside_schedule(index) => "closed",
                        _ => "active",
                    },
                    aborted: state.limits.aborted().map(str::to_owned),
                    in_scope: state.in_scope,
                    matched: state.matched,
                    pending: state.waiting,
                    blocked: if state.refusal.is_some() {
                        state.matched
                    } else if aborted {
                        state.limits.due_count()
                    } else {
                        // What is due and not done yet waits for its turn.
                        let throttled =
                            rule.limits.throttle.map_or(0, |_| state.limits.due_count());
                        throttled + state.breakers.values().filter(|b| b.is_open()).count()
                    },
                    counts: RuleCounts {
                        related_candidates: self.related.tested(&rule.name),
                        ..state.counts.clone()
                    },
                    last_error: state.last_error.clone(),
                    metrics: metrics(rule, state),
                }
            },
        );
        let mut kinds: Vec<KindStatus> = self
            .store
            .kinds()
            .map(|(kind, objects)| KindStatus {
                kind: kind.to_string(),
                selector: self
                    .followed
                    .get(kind)
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                objects: objects.len(),
                bytes: objects.bytes,
                sync: match &objects.sync {
                    Sync::Pending => "pending".into(),
                    Sync::Synced => "synced".into(),
                    Sync::Lost(why) => format!("{why:?}"),
                },
                seen: objects.seen,
            })
            .collect();
        kinds.sort_by(|a, b| a.kind.cmp(&b.kind));
        let conditions = self.states.iter().flat_map(|state| &state.conditions);
        let mut finding_counts = BTreeMap::new();
        for finding in self.findings().chain(conditions.clone()) {
            let label = (finding.rule.to_string(), finding.reason.as_str());
            *finding_counts.entry(label).or_default() += 1;
        }
        let mut findings: Vec<FindingStatus> = conditions
            .chain(self.findings())
            .take(MOST_FINDINGS)
            .map(|f| FindingStatus {
                rule: f.rule.to_string(),
                object: f.object.to_string(),
                reason: f.reason.to_string(),
                message: f.message.clone(),
            })
            .collect();
        findings.sort_by(|a, b| (&a.rule, &a.object).cmp(&(&b.rule, &b.object)));
        Status {
            frozen: self.frozen,
            synced: self.is_synced(),
            rules: rules.collect(),
            kinds,
            queue_depth: self.queue.len(),
            queue_oldest_seconds: self.queue.oldest().map_or(0.0, |since| {
                now.duration_since(since).as_secs_f64().max(0.0)
            }),
            in_flight: self.in_flight.len(),
            due: self.due.len(),
            evaluations: self.evaluations,
            memory: self.memory(),
            durations: self
                .durations
                .iter()
                .map(|(verb, histogram)| (verb.as_str(), histogram.clone()))
                .collect(),
            finding_counts,
            findings,
        }
    }
}
