//! Which rules may hold something in the cluster, kept in a ConfigMap of the daemon's namespace: what a rule holds that was taken away while no
//! daemon ran is given back at the next start.

use super::Daemon;
use super::memory::REFUSED_RETRY;
use crate::cluster::Cluster;
use crate::decide::{Operation, Write};
use crate::engine::worker::lifetimes::{HeldKind, Known};
use crate::engine::{Fault, Outcome};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rights::lifetimes_name;
use crate::rule::ResolvedKind;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The format that is written. Under a later one nothing is done.
const FORMAT: u64 = 1;
/// What could not be kept is tried again after this time.
const RETRY: Duration = Duration::from_secs(15);
/// What could not be read is asked for again after this time, and then after longer ones.
const RECALL_RETRY: Duration = Duration::from_secs(2);

/// Where it is kept.
#[derive(Clone, Debug)]
pub(super) struct Place {
    namespace: Arc<str>,
    /// Of the ConfigMap.
    pub name: Arc<str>,
}

impl Place {
    /// Of a daemon that is called as its Lease: two in one namespace keep their own.
    pub fn of(namespace: &str, daemon: &str) -> Place {
        Place {
            namespace: namespace.into(),
            name: lifetimes_name(daemon).into(),
        }
    }

    fn key(&self) -> ObjectKey {
        let kind = GroupKind::new("", "ConfigMap");
        ObjectKey::new(kind, Some(&*self.namespace), &self.name)
    }
}

impl Daemon {
    /// Keeps which rules may hold something, where that has changed. Until it is kept those change nothing.
    pub(super) fn keep(&mut self) {
        let known = self.engine.lifetimes();
        let Some(place) = &self.keeps else {
            return;
        };
        if self.engine.is_standby() || self.kept.as_ref() == Some(known) {
            return;
        }
        let known = known.clone();
        let request = self.cluster.write(keep(&known, place));
        self.engine.set_lifetimes_kept(false, Timestamp::now());
        self.keeping.abort_all();
        self.keeping.spawn(async move { (known, request.await) });
    }

    pub(super) fn kept(&mut self, answer: Result<(Known, Outcome), tokio::task::JoinError>) {
        let Ok((known, outcome)) = answer else {
            // A newer one is on its way.
            return;
        };
        match outcome {
            Outcome::Failed(fault) => {
                tracing::warn!(
                    name = self.keeps.as_ref().map(|place| &*place.name),
                    error = fault.message(),
                    "it cannot be kept which rules have something to give back: of one that is removed while no daemon runs nothing is given back; trying again"
                );
                // Whoever leads keeps it.
                if let Some(place) = self.keeps.as_ref().filter(|_| self.leads) {
                    let request = self.cluster.write(keep(&known, place));
                    self.keeping.spawn(async move {
                        tokio::time::sleep(RETRY).await;
                        (known, request.await)
                    });
                }
            }
            _ => self.kept = Some(known),
        }
        self.engine.set_lifetimes_kept(true, Timestamp::now());
    }
}

fn text(known: &Known) -> String {
    let kinds = |held: &HeldKind| {
        json!({
            "group": *held.resolved.kind.group,
            "version": *held.resolved.version,
            "kind": *held.resolved.kind.kind,
            "metadataOnly": held.metadata_only,
        })
    };
    let rules = known.iter().map(|(rule, held)| {
        let kinds: Vec<Value> = held.iter().map(kinds).collect();
        (rule.to_string(), Value::Array(kinds))
    });
    Value::Object(rules.collect()).to_string()
}

/// What a ConfigMap says.
#[derive(Debug, PartialEq)]
enum Said {
    Known(Known),
    /// A newer version has written it.
    Newer,
    Rubbish,
}

fn data<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    record.root().path(&["data", name])?.as_str()
}

fn parse(record: &Record) -> Said {
    match data(record, "format").and_then(|format| format.parse::<u64>().ok()) {
        Some(format) if format > FORMAT => Said::Newer,
        Some(FORMAT) => rules(record).map_or(Said::Rubbish, Said::Known),
        _ => Said::Rubbish,
    }
}

fn rules(record: &Record) -> Option<Known> {
    let said: Value = serde_json::from_str(data(record, "rules")?).ok()?;
    let mut known = Known::default();
    for (rule, kinds) in said.as_object()? {
        let held = kinds.as_array()?.iter().filter_map(|kind| {
            let text = |field: &str| kind.get(field).and_then(Value::as_str);
            Some(HeldKind {
                resolved: ResolvedKind {
                    kind: GroupKind::new(text("group")?, text("kind")?),
                    version: text("version")?.into(),
                },
                metadata_only: kind.get("metadataOnly") == Some(&Value::Bool(true)),
            })
        });
        known.insert(rule.as_str().into(), held.collect());
    }
    Some(known)
}

/// What was kept by the daemon before.
///
/// To begin as if nothing had been kept would forget what a rule holds that is gone by now: it is asked for until it is there.
pub(super) async fn recall(cluster: &Arc<dyn Cluster>, place: &Place) -> Known {
    let mut tried = 0_u32;
    let mut told = String::new();
    loop {
        let (why, pause) = match cluster.read(place.key()).await {
            Outcome::Read(record) | Outcome::Written(record) => match parse(&record) {
                Said::Known(known) => return known,
                Said::Rubbish => {
                    tracing::warn!(
                        name = &*place.name,
                        "what rules hold cannot be read from its ConfigMap, which is written anew: a rule that was removed meanwhile gives nothing back"
                    );
                    return Known::default();
                }
                Said::Newer => (
                    "it was written by a newer version. Run that version, or delete the ConfigMap to begin anew".to_owned(),
                    REFUSED_RETRY,
                ),
            },
            Outcome::Failed(fault) if !matches!(fault, Fault::Forbidden(_)) => {
                let pause = RECALL_RETRY.saturating_mul(tried + 1);
                (fault.message().to_owned(), pause.min(RETRY))
            }
            // It is not there; or without the right to read it no rule has held anything.
            _ => return Known::default(),
        };
        tried = tried.saturating_add(1);
        let why = format!(
            "which rules have something to give back cannot be read from ConfigMap {}: {why}",
            place.name
        );
        if why != told {
            tracing::error!(error = why, "nothing is done before it is; asking again");
            told = why;
        }
        tokio::time::sleep(pause).await;
    }
}

/// The request that keeps it.
fn keep(known: &Known, place: &Place) -> Write {
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": *place.name,
            "namespace": *place.namespace,
            "labels": {"app.kubernetes.io/name": "ordain"},
        },
        "data": {"format": FORMAT.to_string(), "rules": text(known)},
    });
    Write {
        object: place.key(),
        api_version: "v1".into(),
        operation: Operation::Apply {
            manifest,
            manager: "ordain".into(),
            force: true,
            counts: false,
        },
        rules: vec![],
        expected: None,
        uid: String::new(),
        resource_version: String::new(),
        acts: vec![],
        wanted: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn what_is_kept_is_recalled_and_rubbish_is_not() {
        let mut known = Known::default();
        for (rule, group, kind, metadata_only) in [
            ("zero", "apps", "Deployment", false),
            ("label", "", "Pod", true),
        ] {
            let held = HeldKind {
                resolved: ResolvedKind {
                    kind: GroupKind::new(group, kind),
                    version: "v1".into(),
                },
                metadata_only,
            };
            known.insert(rule.into(), vec![held]);
        }
        let Operation::Apply { manifest, .. } = keep(&known, &Place::of("home", "shop")).operation
        else {
            panic!("it is applied")
        };
        assert_eq!(manifest["metadata"]["name"], "shop-lifetimes");
        assert_eq!(parse(&Record::from_value(&manifest)), Said::Known(known));
        for (field, value, said) in [
            ("format", json!("2"), Said::Newer),
            ("format", json!("one"), Said::Rubbish),
            ("format", Value::Null, Said::Rubbish),
            ("rules", json!("{"), Said::Rubbish),
            ("rules", json!("[]"), Said::Rubbish),
            ("rules", json!(r#"{"zero": 3}"#), Said::Rubbish),
            ("rules", Value::Null, Said::Rubbish),
        ] {
            let mut manifest = manifest.clone();
            manifest["data"][field] = value;
            assert_eq!(parse(&Record::from_value(&manifest)), said, "{field}");
        }
    }
}
