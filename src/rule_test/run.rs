//! Running tests: loading what they name, stepping through simulated time, comparing.

use super::document::{self, RuleTest};
use super::files::{beside, problem_at, resolve, schema_for};
use super::step::{Seen, check, put, run_step};
use crate::engine::{EngineOptions, Schedules};
use crate::manifests::admission::Admission;
use crate::manifests::{Manifest, Simulation, World};
use crate::rule::compile::{Compiled, SourceFile};
use crate::rule::problem::{Place, Problem, Severity};
use crate::rule::set::RuleSet;
use crate::rule::yaml;
use crate::rules_dir::{self, FileSet, files};
use crate::schema::Schema;
use jiff::Timestamp;
use std::path::PathBuf;
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
    // Time only goes forward: steps before the first moment that is told are not later than it.
    let told = test.steps.iter().find_map(|step| step.at);
    let start = match test.steps.first().and_then(|step| step.at) {
        Some(at) => at,
        None => told.map_or(run.now, |at| run.now.min(at)),
    };
    let mut world = World::new(schema.clone());
    let options = EngineOptions {
        frozen: false,
        assume_enforce: true,
        dry: false,
        workers: 32,
        state_namespace: "ordain-system".into(),
        namespaces: vec![],
        narrow: true,
        schedules: Schedules::AtTheMoment,
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
