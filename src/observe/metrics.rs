//! Metrics: one struct, handed to whoever counts. Labels come from closed sets, rule names and kinds; never object names, namespaces or error texts.

use crate::decide::{Finding, RuleChange};
use crate::engine::{self, Fault, Observation};
use crate::object::GroupKind;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};
use std::time::Duration;

/// All of them.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    changes: IntCounterVec,
    would_change: IntCounterVec,
    write_seconds: HistogramVec,
    findings: IntGaugeVec,
    watch_events: IntCounterVec,
    reloads: IntCounterVec,
    reload_seconds: Histogram,
    /// `ordain_rules{state}`
    pub rules: IntGaugeVec,
    evaluations: IntCounterVec,
    wrong_types: IntCounterVec,
    rule_objects: IntGaugeVec,
    queue_depth: IntGauge,
    queue_oldest: Gauge,
    /// `ordain_requests_in_flight`
    pub in_flight: IntGauge,
    store_objects: IntGaugeVec,
    store_bytes: IntGaugeVec,
    /// `ordain_frozen`
    pub frozen: IntGauge,
    /// `ordain_ready`
    pub ready: IntGauge,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// A name twice, or a malformed one: a defect of this file.
    pub fn new() -> prometheus::Result<Metrics> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let write_seconds = HistogramVec::new(
            HistogramOpts::new("ordain_write_duration_seconds", "From request to answer")
                .buckets(prometheus::exponential_buckets(0.001, 2.0, 15)?),
            &["verb"],
        )?;
        registry.register(Box::new(write_seconds.clone()))?;
        let reload_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "ordain_reload_duration_seconds",
                "From reading rule files to having them in force",
            )
            .buckets(prometheus::exponential_buckets(0.001, 2.0, 15)?),
        )?;
        registry.register(Box::new(reload_seconds.clone()))?;
        let queue_oldest = Gauge::new(
            "ordain_queue_oldest_seconds",
            "How long the first of the waiting objects has waited",
        )?;
        registry.register(Box::new(queue_oldest.clone()))?;
        Ok(Metrics {
            changes: counter(
                "ordain_changes_total",
                "Changes of objects, by rule, and how they ended",
                &["rule", "kind", "verb", "outcome"],
            )?,
            would_change: counter(
                "ordain_would_change_total",
                "Changes that a rule in Audit, or one that is held back, would make; once per state of object and rule",
                &["rule", "kind", "verb"],
            )?,
            findings: gauges(
                "ordain_findings",
                "Findings that stand now",
                &["rule", "reason"],
            )?,
            watch_events: counter(
                "ordain_watch_events_total",
                "What watches and lists delivered",
                &["kind", "type"],
            )?,
            reloads: counter(
                "ordain_reload_total",
                "Reloads of rules: ok, kept (some rules stay in their last good version), fault (all do)",
                &["result"],
            )?,
            rules: gauges(
                "ordain_rules",
                "Rules in force by mode, and those kept in their last good version",
                &["state"],
            )?,
            evaluations: counter(
                "ordain_rule_evaluations_total",
                "Evaluations of a rule on an object",
                &["rule"],
            )?,
            wrong_types: counter(
                "ordain_rule_wrong_types_total",
                "Tests that failed because a value could not be read as its type",
                &["rule"],
            )?,
            rule_objects: gauges(
                "ordain_rule_objects",
                "Objects of a rule: in its scope, matched, waiting for something that is not known, blocked",
                &["rule", "state"],
            )?,
            queue_depth: gauge("ordain_queue_depth", "Objects waiting to be evaluated")?,
            queue_oldest,
            in_flight: gauge("ordain_requests_in_flight", "Requests not answered yet")?,
            store_objects: gauges("ordain_store_objects", "Objects in the store", &["kind"])?,
            store_bytes: gauges("ordain_store_bytes", "Bytes of their records", &["kind"])?,
            frozen: gauge("ordain_frozen", "1 while every rule behaves as in Audit")?,
            ready: gauge("ordain_ready", "1 once every kind has been listed")?,
            write_seconds,
            reload_seconds,
            registry,
        })
    }

    /// In the text format that Prometheus reads.
    pub fn text(&self) -> Vec<u8> {
        let mut text = vec![];
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::warn!(%error, "metrics cannot be encoded");
        }
        text
    }

    /// A change was made or failed.
    pub fn changed(&self, change: &RuleChange, outcome: &Result<(), Fault>, took: Duration) {
        let kind = change.object.kind.to_string();
        let verb = change.verb.as_str();
        self.changes
            .with_label_values(&[&*change.rule, &kind, verb, outcome_label(outcome)])
            .inc();
        self.write_seconds
            .with_label_values(&[verb])
            .observe(took.as_secs_f64());
    }

    /// A change would be made.
    pub fn would_change(&self, change: &RuleChange) {
        self.would_change
            .with_label_values(&[
                &*change.rule,
                &change.object.kind.to_string(),
                change.verb.as_str(),
            ])
            .inc();
    }

    /// A finding stands, or ended.
    pub fn finding(&self, finding: &Finding, stands: bool) {
        let gauge = self
            .findings
            .with_label_values(&[&*finding.rule, &finding.reason.to_string()]);
        if stands {
            gauge.inc();
        } else {
            gauge.dec();
        }
    }

    /// Something was seen.
    pub fn observed(&self, observations: &[Observation]) {
        // A batch is of one kind, and most of it says one thing: a series is looked up once for all that follow each other.
        for alike in observations.chunk_by(|a, b| said(a) == said(b)) {
            let Some((kind, what)) = alike.first().map(said) else {
                continue;
            };
            self.watch_events
                .with_label_values(&[&kind.to_string(), what])
                .inc_by(alike.len() as u64);
        }
    }

    /// What the engine says of itself. Series of rules and kinds that are gone go too.
    pub fn measured(&self, engine: &engine::worker::status::Status) {
        self.queue_depth.set(engine.queue_depth as i64);
        self.queue_oldest.set(engine.queue_oldest_seconds);
        self.rule_objects.reset();
        for rule in &engine.rules {
            for (state, n) in [
                ("in_scope", rule.in_scope),
                ("matched", rule.matched),
                ("waiting", rule.pending),
                ("blocked", rule.blocked),
            ] {
                self.rule_objects
                    .with_label_values(&[rule.name.as_str(), state])
                    .set(n as i64);
            }
            for (counter, total) in [
                (&self.evaluations, rule.evaluations),
                (&self.wrong_types, rule.wrong_types),
            ] {
                let counter = counter.with_label_values(&[rule.name.as_str()]);
                // A rule that changed counts from nothing again, and so does its series.
                if total < counter.get() {
                    counter.reset();
                }
                counter.inc_by(total - counter.get());
            }
        }
        self.store_objects.reset();
        self.store_bytes.reset();
        for kind in &engine.kinds {
            self.store_objects
                .with_label_values(&[kind.kind.as_str()])
                .set(kind.objects as i64);
            self.store_bytes
                .with_label_values(&[kind.kind.as_str()])
                .set(kind.bytes as i64);
        }
    }

    /// Rules were read again. `result` is `ok`, `kept` or `fault`.
    pub fn reloaded(&self, result: &str, took: Duration) {
        self.reloads.with_label_values(&[result]).inc();
        self.reload_seconds.observe(took.as_secs_f64());
    }
}

fn outcome_label(outcome: &Result<(), Fault>) -> &'static str {
    match outcome {
        Ok(()) => "ok",
        Err(Fault::Stale) => "stale",
        Err(Fault::OwnershipConflict(_)) => "conflict",
        Err(Fault::Refused(_)) => "refused",
        Err(Fault::Forbidden(_)) => "forbidden",
        Err(Fault::Rejected(_)) => "rejected",
        Err(Fault::Busy { .. }) => "busy",
        Err(Fault::Timeout) => "timeout",
        Err(Fault::Unreachable(_)) => "unreachable",
    }
}

/// The kind an observation is of, and the word for it.
fn said(observation: &Observation) -> (&GroupKind, &'static str) {
    match observation {
        Observation::ListStarted { kind } => (kind, "list"),
        Observation::ListDone { kind } => (kind, "listed"),
        Observation::Applied { kind, .. } => (kind, "applied"),
        Observation::Deleted { key, .. } => (&key.kind, "deleted"),
        Observation::Lost { kind, .. } => (kind, "lost"),
        Observation::Undecodable { kind, .. } => (kind, "undecodable"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::ObjectKey;
    use crate::rule::{Mode, Verb};
    use serde_json::Value;

    #[test]
    fn a_change_is_counted_by_rule_kind_verb_and_outcome_and_never_by_name() {
        let metrics = Metrics::new().unwrap();
        let change = RuleChange {
            rule: "r".into(),
            mode: Mode::Enforce,
            verb: Verb::Patch,
            object: ObjectKey::new(
                GroupKind::new("apps", "Deployment"),
                Some("private"),
                "hidden",
            ),
            before: Value::Null,
            after: None,
        };
        metrics.changed(&change, &Ok(()), Duration::from_millis(3));
        metrics.changed(
            &change,
            &Err(Fault::Refused("secret text".into())),
            Duration::ZERO,
        );
        let text = String::from_utf8(metrics.text()).unwrap();
        for line in [
            "ordain_changes_total{kind=\"Deployment.apps\",outcome=\"ok\",rule=\"r\",verb=\"patch\"} 1",
            "ordain_changes_total{kind=\"Deployment.apps\",outcome=\"refused\",rule=\"r\",verb=\"patch\"} 1",
            "ordain_write_duration_seconds_count{verb=\"patch\"} 2",
        ] {
            assert!(text.contains(line), "{text}");
        }
        for hidden in ["private", "hidden", "secret text"] {
            assert!(!text.contains(hidden));
        }
    }
}
