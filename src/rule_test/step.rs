//! One step of a test: what people do, what follows, and whether that was expected.

use super::compare;
use super::document::{ExpectedSeries, RuleTest, Step};
use super::files::resolve;
use crate::decide::{Finding, RuleChange};
use crate::engine::{Fault, Report};
use crate::manifests::admission::Admission;
use crate::manifests::{Simulation, World};
use crate::object::{ObjectKey, Record};
use crate::rule::problem::Problem;
use jiff::Timestamp;
use serde_json::Value;

/// What the engine reported.
#[derive(Default)]
pub(super) struct Seen {
    /// Made since the step before.
    pub changes: Vec<RuleChange>,
    /// Requests that the server refused since the step before.
    pub failed: Vec<String>,
    /// Standing.
    pub findings: Vec<Finding>,
    /// Told at the admissions since the step before.
    pub admitted: Vec<Finding>,
    pub writes_before: u64,
}

impl Seen {
    fn take(&mut self, report: Report) {
        match report {
            Report::Changed {
                changes,
                outcome: Ok(()),
                ..
            } => self.changes.extend(changes),
            // Nothing was refused: it is decided again from the newer object.
            Report::Changed {
                outcome: Err(Fault::Stale),
                ..
            } => {}
            Report::Changed {
                changes,
                outcome: Err(fault),
                ..
            } => {
                for change in changes {
                    self.failed.push(format!(
                        "{} {} by {}: {}",
                        change.verb.as_str(),
                        change.object,
                        change.rule,
                        fault.message()
                    ));
                }
            }
            Report::Finding(finding) => {
                if !self.findings.contains(&finding) {
                    self.findings.push(finding);
                }
            }
            Report::FindingEnded(ended) => self.findings.retain(|f| *f != ended),
            Report::WouldChange(_)
            | Report::Later(_)
            | Report::Closed(_)
            | Report::State(_)
            | Report::Aborted { .. } => {}
        }
    }
}

/// A person puts a manifest, unless a rule denies it.
pub(super) fn put(
    admission: &Admission,
    world: &mut World,
    manifest: &Value,
    now: Timestamp,
    seen: &mut Seen,
) {
    let admitted = admission.put(world, manifest, now);
    admitted.store(world, now);
    seen.changes.extend(admitted.changes);
    seen.admitted.extend(admitted.findings);
}

pub(super) fn run_step(
    test: &RuleTest,
    step: &Step,
    (simulation, admission): (&mut Simulation, &Admission),
    seen: &mut Seen,
    problems: &mut Vec<Problem>,
) -> Result<(), String> {
    if let Some(at) = step.at
        && at > simulation.now()
    {
        simulation
            .advance(at, &mut |report| seen.take(report))
            .map_err(|e| e.to_string())?;
    }
    let now = simulation.now();
    let applied = resolve(&test.file, step.line, &step.apply, problems).objects;
    for key in &step.delete {
        let key = cluster_scoped(key, simulation.world());
        if applied
            .iter()
            .any(|manifest| simulation.world().key_of(&manifest.value) == key)
        {
            return Err(format!(
                "delete: {key} is applied in the same step, where deletions come last: write two steps"
            ));
        }
    }
    for manifest in applied {
        put(
            admission,
            simulation.world_mut(),
            &manifest.value,
            now,
            seen,
        );
    }
    for manifest in resolve(&test.file, step.line, &step.status, problems).objects {
        let world = simulation.world_mut();
        let key = world.key_of(&manifest.value);
        let Some(record) = world.get(&key) else {
            return Err(format!("status: {key} does not exist"));
        };
        let mut value = record.to_value();
        match manifest.value.get("status") {
            Some(status) => value["status"] = status.clone(),
            None => {
                if let Some(object) = value.as_object_mut() {
                    object.shift_remove("status");
                }
            }
        }
        world.put(&value, now);
    }
    for key in &step.delete {
        let key = cluster_scoped(key, simulation.world());
        if let Some(admitted) = admission.delete(simulation.world(), &key, now) {
            seen.admitted.extend(admitted.findings);
            if admitted.object.is_none() {
                continue;
            }
        }
        if !simulation.world_mut().delete(&key, now) {
            return Err(format!("delete: {key} does not exist"));
        }
    }
    simulation
        .settle(&mut |report| seen.take(report))
        .map_err(|e| e.to_string())
}

/// `ConfigMap/a` of a namespaced kind means the one in `default`, as a manifest would.
fn cluster_scoped(key: &ObjectKey, world: &World) -> ObjectKey {
    let namespaced = world.schema().scope(&key.kind).is_namespaced();
    match (&key.namespace, namespaced) {
        (None, true) => ObjectKey::new(key.kind.clone(), Some("default"), &key.name),
        _ => key.clone(),
    }
}

/// All series of `metric` steps.
fn series(simulation: &Simulation) -> Vec<ExpectedSeries> {
    let mut all = vec![];
    for metric in simulation.metrics() {
        for (values, value) in &metric.rows {
            let names = metric.labels.iter().map(ToString::to_string);
            let mut labels: Vec<(String, String)> =
                names.zip(values.iter().map(ToString::to_string)).collect();
            labels.sort();
            all.push(ExpectedSeries {
                name: metric.name.to_string(),
                labels,
                value: *value,
            });
        }
    }
    all
}

pub(super) fn check(
    test: &RuleTest,
    step: &Step,
    simulation: &Simulation,
    seen: &Seen,
    problems: &mut Vec<Problem>,
) -> Vec<String> {
    let mut failures = vec![];
    let expect = &step.expect;
    let world = simulation.world();
    if let Some(expected) = &expect.changes {
        let expected: Vec<_> = expected
            .iter()
            .cloned()
            .map(|mut change| {
                change.object = cluster_scoped(&change.object, world);
                change
            })
            .collect();
        failures.extend(compare::changes(&expected, &seen.changes));
    }
    if let Some(expected) = &expect.findings {
        let expected: Vec<_> = expected
            .iter()
            .cloned()
            .map(|mut finding| {
                finding.object = finding.object.map(|o| cluster_scoped(&o, world));
                finding
            })
            .collect();
        let mut told = seen.findings.clone();
        told.extend(
            seen.admitted
                .iter()
                .filter(|f| !seen.findings.contains(f))
                .cloned(),
        );
        failures.extend(compare::findings(&expected, &told));
    }
    if let Some(expected) = &expect.metrics {
        failures.extend(compare::metrics(expected, &series(simulation)));
    }
    for manifest in resolve(&test.file, step.line, &expect.objects, problems).objects {
        let key = world.key_of(&manifest.value);
        let actual = world.get(&key).map(Record::to_value);
        failures.extend(compare::object(&key, &manifest.value, actual.as_ref()));
    }
    for key in &expect.absent {
        let key = cluster_scoped(key, world);
        if world.get(&key).is_some() {
            failures.push(format!("{key} exists"));
        }
    }
    if let Some(expected) = expect.writes {
        let actual = simulation.writes() - seen.writes_before;
        if actual != expected {
            failures.push(format!("{expected} writes expected, {actual} made"));
        }
    }
    // A refused request is never what a test means unless it says so by a finding.
    if expect.findings.is_none() && !seen.failed.is_empty() {
        failures.push(format!("refused:\n+ {}", seen.failed.join("\n+ ")));
    }
    failures
}
