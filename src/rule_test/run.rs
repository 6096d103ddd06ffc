//! Running tests: loading what they name, stepping through simulated time, comparing.

use super::compare;
use super::document::{self, ExpectedSeries, RuleTest, Source, Step};
use crate::decide::{Finding, RuleChange};
use crate::engine::{EngineOptions, Report};
use crate::manifests::admission::Admission;
use crate::manifests::load::complete_name;
use crate::manifests::{Manifest, Manifests, Simulation, World};
use crate::object::{GroupKind, Gvk, ObjectKey};
use crate::rule::compile::{Compiled, SourceFile};
use crate::rule::problem::{Place, Problem, Severity};
use crate::rule::set::RuleSet;
use crate::rule::yaml;
use crate::rules_dir::{self, FileSet, files};
use crate::schema::Schema;
use jiff::Timestamp;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How tests are run.
#[derive(Clone)]
pub struct Run {
    /// What kinds look like, those among the manifests of a test not yet added.
    pub schema: Schema,
    /// Only these rules; empty: all.
    pub selection: rules_dir::Selection,
    /// The time of a first step that names none.
    pub now: Timestamp,
}

/// How one test came out.
#[derive(Debug)]
pub struct Verdict {
    /// Its name; for a file that holds a broken test, the file's.
    pub name: String,
    /// Where it stands.
    pub file: Arc<str>,
    /// 1-based line.
    pub line: usize,
    /// What went otherwise than expected, in order; empty: passed.
    pub failures: Vec<Failure>,
    /// What is wrong with the test, its rules or its manifests. An error here is a failure too.
    pub problems: Vec<Problem>,
}

/// One difference.
#[derive(Debug)]
pub struct Failure {
    /// 1-based line of the step.
    pub line: usize,
    /// The simulated time.
    pub at: Timestamp,
    /// Several lines for people.
    pub text: String,
}

impl Verdict {
    /// Whether all was as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty() && !self.problems.iter().any(|p| p.severity == Severity::Error)
    }
}

/// Runs every RuleTest in the files below `paths`, telling each verdict as it comes. Files without a test are passed over.
pub fn run_all(
    paths: &[PathBuf],
    run: &Run,
    tell: &mut dyn FnMut(usize, &Verdict),
) -> Vec<Verdict> {
    let set = files::read(paths, yaml::LONGEST);
    let mut verdicts: Vec<Verdict> = set
        .unreadable
        .iter()
        .map(|u| Verdict {
            name: u.path.clone(),
            file: u.path.as_str().into(),
            line: 1,
            failures: vec![],
            problems: vec![problem_at(
                &u.path.as_str().into(),
                1,
                format!("cannot be read: {}", u.reason),
            )],
        })
        .collect();
    for verdict in &verdicts {
        tell(set.files.len(), verdict);
    }
    for file in &set.files {
        for verdict in run_file(file, run) {
            tell(set.files.len(), &verdict);
            verdicts.push(verdict);
        }
    }
    verdicts
}

/// Runs the tests of one file, in order; none if it holds no RuleTest.
pub fn run_file(file: &SourceFile, run: &Run) -> Vec<Verdict> {
    let text = String::from_utf8_lossy(&file.bytes);
    // Manifests and rules lie among the tests: only a file that names the kind is taken apart.
    if !text.contains("RuleTest") {
        return vec![];
    }
    let (trees, yaml_problems) = yaml::read(&text);
    let mut verdicts = vec![];
    if !yaml_problems.is_empty() {
        let problems = yaml_problems
            .into_iter()
            .map(|p| {
                let place = Place {
                    file: file.name.clone(),
                    line: p.line,
                    column: p.column,
                    length: p.length,
                };
                let line = text.lines().nth(p.line.saturating_sub(1)).unwrap_or("");
                let mut problem = Problem::new(Severity::Error, place, line, p.message);
                problem.mend = p.mend;
                problem
            })
            .collect();
        verdicts.push(Verdict {
            name: file.name.to_string(),
            file: file.name.clone(),
            line: 1,
            failures: vec![],
            problems,
        });
    }
    for tree in &trees {
        let is_test = tree.get("kind").and_then(|k| k.text()) == Some("RuleTest")
            && tree
                .get("apiVersion")
                .and_then(|a| a.text())
                .is_some_and(|a| a.starts_with("ordain.dev/"));
        if !is_test {
            continue;
        }
        // CustomResourceDefinitions among its objects must be known before its object names are read.
        let (schema, kinds) = schema_for(&file.name, tree, &run.schema);
        let (test, mut problems) = document::read(&file.name, &text, tree, (&schema, &kinds));
        let name = tree
            .get("metadata")
            .and_then(|m| m.get("name"))
            .and_then(|n| n.text())
            .unwrap_or(&file.name)
            .to_owned();
        let mut failures = vec![];
        if let Some(test) = test {
            (failures, problems) = run_test(&test, run);
        }
        verdicts.push(Verdict {
            name,
            file: file.name.clone(),
            line: tree.line,
            failures,
            problems,
        });
    }
    verdicts
}

/// The schema of a test: the base, and the kinds that its own objects define; and the kinds of its objects.
pub(crate) fn schema_for(
    file: &Arc<str>,
    tree: &yaml::Tree,
    base: &Schema,
) -> (Schema, Vec<GroupKind>) {
    let Some(objects) = tree.get("spec").and_then(|s| s.get("objects")) else {
        return (base.clone(), vec![]);
    };
    let sources: Vec<Source> = match objects.to_value() {
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| match item {
                Value::String(name) => Some(Source::File(name)),
                Value::Object(_) => Some(Source::Inline(item)),
                _ => None,
            })
            .collect(),
        _ => vec![],
    };
    let mut ignored = vec![];
    let manifests = resolve(file, 1, &sources, &mut ignored);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kinds = manifests.objects.iter().map(|manifest| {
        let value = &manifest.value;
        Gvk::from_api_version(&text(&value["apiVersion"]), &text(&value["kind"])).group_kind()
    });
    let kinds = kinds.collect();
    (manifests.schema(base).0, kinds)
}

fn problem_at(file: &Arc<str>, line: usize, message: String) -> Problem {
    let place = Place {
        file: file.clone(),
        line,
        column: 1,
        length: 1,
    };
    Problem::new(Severity::Error, place, "", message)
}

/// A path as a test names it: relative to the test's own file.
fn beside(file: &Arc<str>, name: &str) -> PathBuf {
    let folder = Path::new(&**file).parent().unwrap_or(Path::new(""));
    let joined = folder.join(name);
    // `tests/../rule.yaml` is shown as `rule.yaml`.
    let mut shown = PathBuf::new();
    for part in joined.components() {
        match part {
            std::path::Component::ParentDir if shown.file_name().is_some_and(|n| n != "..") => {
                shown.pop();
            }
            std::path::Component::CurDir => {}
            other => shown.push(other),
        }
    }
    shown
}

fn resolve(
    file: &Arc<str>,
    line: usize,
    sources: &[Source],
    problems: &mut Vec<Problem>,
) -> Manifests {
    let mut all = Manifests::default();
    for (number, source) in sources.iter().enumerate() {
        match source {
            Source::Inline(value) => {
                let mut value = value.clone();
                complete_name(&mut value, &format!("{file}:{number}"), line);
                all.objects.push(Manifest {
                    value,
                    file: file.clone(),
                    line,
                });
            }
            Source::File(name) => {
                let mut read = Manifests::read(&[beside(file, name)]);
                all.objects.append(&mut read.objects);
                problems.append(&mut read.problems);
            }
        }
    }
    all
}

fn run_test(test: &RuleTest, run: &Run) -> (Vec<Failure>, Vec<Problem>) {
    let mut problems = vec![];
    let objects = resolve(&test.file, test.line, &test.objects, &mut problems);
    let (schema, crd_problems) = objects.schema(&run.schema);
    problems.extend(
        crd_problems
            .into_iter()
            .map(|message| problem_at(&test.file, test.line, message)),
    );
    let paths: Vec<PathBuf> = test
        .rules
        .iter()
        .map(|name| beside(&test.file, name))
        .collect();
    let set: FileSet = rules_dir::load(&paths);
    for u in &set.unreadable {
        problems.push(problem_at(
            &test.file,
            test.line,
            format!("{} cannot be read: {}", u.path, u.reason),
        ));
    }
    let compiled: Compiled = rules_dir::compile_selected(&set.files, &schema, &run.selection);
    let errors = |problems: &[Problem]| problems.iter().any(|p| p.severity == Severity::Error);
    problems.extend(
        compiled
            .problems
            .into_iter()
            .filter(|p| p.severity == Severity::Error),
    );
    if errors(&problems) {
        return (vec![], problems);
    }
    if compiled.rules.is_empty() {
        problems.push(problem_at(
            &test.file,
            test.line,
            "the files named in `rules` hold no rule".into(),
        ));
        return (vec![], problems);
    }
    let start = test.steps.first().and_then(|s| s.at).unwrap_or(run.now);
    let mut world = World::new(schema.clone());
    let options = EngineOptions {
        frozen: false,
        assume_enforce: true,
        dry: false,
        workers: 32,
        state_namespace: "ordain-system".into(),
        namespaces: vec![],
        narrow: true,
    };
    let rules = Arc::new(RuleSet::new(compiled.rules, schema));
    let admission = Admission::new(&rules, true, false, &options.state_namespace);
    let mut seen = Seen::default();
    // A Namespace is there before what is in it.
    let is_namespace = |manifest: &&Manifest| manifest.value["kind"] == "Namespace";
    let first = objects.objects.iter().filter(is_namespace);
    let rest = objects.objects.iter().filter(|m| !is_namespace(m));
    for object in first.chain(rest) {
        put(&admission, &mut world, &object.value, start, &mut seen);
    }
    let mut simulation = Simulation::new(options, rules, world, start);
    let mut failures = vec![];
    for step in &test.steps {
        if let Err(text) = run_step(
            test,
            step,
            (&mut simulation, &admission),
            &mut seen,
            &mut problems,
        ) {
            failures.push(Failure {
                line: step.line,
                at: simulation.now(),
                text,
            });
            break;
        }
        for text in check(test, step, &simulation, &seen, &mut problems) {
            failures.push(Failure {
                line: step.line,
                at: simulation.now(),
                text,
            });
        }
        seen.changes.clear();
        seen.admitted.clear();
        seen.failed.clear();
        seen.writes_before = simulation.writes();
    }
    (failures, problems)
}

/// What the engine reported.
#[derive(Default)]
struct Seen {
    /// Made since the step before.
    changes: Vec<RuleChange>,
    /// Requests that the server refused since the step before.
    failed: Vec<String>,
    /// Standing.
    findings: Vec<Finding>,
    /// Told at the admissions since the step before.
    admitted: Vec<Finding>,
    writes_before: u64,
}

impl Seen {
    fn take(&mut self, report: Report) {
        match report {
            Report::Changed {
                changes,
                outcome: Ok(()),
                ..
            } => self.changes.extend(changes),
            Report::Changed {
                changes,
                outcome: Err(fault),
                ..
            } => {
                for change in changes {
                    self.failed.push(format!(
                        "{} {} by {}: {fault:?}",
                        change.verb.as_str(),
                        change.object,
                        change.rule
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
            | Report::State(_)
            | Report::Aborted { .. } => {}
        }
    }
}

/// A person puts a manifest, unless a rule denies it.
fn put(
    admission: &Admission,
    world: &mut World,
    manifest: &Value,
    now: Timestamp,
    seen: &mut Seen,
) {
    let admitted = admission.put(world, manifest, now);
    seen.changes.extend(admitted.changes);
    seen.admitted.extend(admitted.findings);
    if let Some(object) = admitted.object {
        world.put(&object, now);
    }
}

fn run_step(
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
    for manifest in resolve(&test.file, step.line, &step.apply, problems).objects {
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
    let namespaced = world.schema().kind(&key.kind).is_some_and(|k| k.namespaced);
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

fn check(
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
        let actual = world.get(&key).map(crate::object::Record::to_value);
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
