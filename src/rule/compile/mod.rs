//! Trees to rules. Collects every problem of every file; one bad rule does not sink the rest.
//!
//! `report` problems and their places · `fields` maps with known keys · `habits` words of other tools · `file` the documents of a file · `document` one rule ·
//! `kinds` which kinds it matches · `matching` the rest of `match` · `paths` paths against schemas · `clauses` tests · `expressions` `${ }` ·
//! `related` lists of other objects (`labels` of them) · `members` the fields they name · `parameters` (`parameter_type`) and `variables` · `occasions` of `when` · `schedule` · `actions` steps · `target` on whom · `apply`, `scale`, `archive`, `metric`, `rollout` some of them ·
//! `lifetime` what they take back · `sink` where things are sent · `memory` how long a match has held · `wait` · `hash` what makes two rules the same ·
//! `edits` the six edits ·
//! `values` what they write · `pick` · `limits`, `enforce_for` · `safety` what may not be edited or deleted · `feedback` edits that feed themselves · `own_match` those that end
//! the match that they last for.

mod actions;
mod apply;
mod archive;
mod clauses;
mod document;
mod edits;
mod enforce_for;
mod expressions;
mod feedback;
mod fields;
mod file;
mod globs;
mod habits;
mod hash;
mod kinds;
mod labels;
mod lifetime;
mod limits;
mod matching;
mod members;
mod memory;
mod metric;
mod occasions;
mod own_match;
mod parameter_type;
mod parameters;
mod paths;
mod pick;
mod related;
mod report;
mod rollout;
mod safety;
mod scale;
mod schedule;
mod sink;
mod target;
mod values;
mod variables;
mod wait;

pub use parameters::Override;

use super::Rule;
use super::problem::{Problem, Severity};
use super::yaml::Tree;
use crate::schema::Schema;
use ahash::{AHashMap, AHashSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A rule file as read.
pub struct SourceFile {
    /// The path shown to people.
    pub name: Arc<str>,
    /// Its content; need not be UTF-8.
    pub bytes: Vec<u8>,
}

/// What came of compiling.
#[derive(Default)]
pub struct Compiled {
    /// The rules without errors, in the order of the files' names.
    pub rules: Vec<Arc<Rule>>,
    /// Names of rules that have errors, with their file: the daemon keeps their last good version.
    pub broken: Vec<(Arc<str>, Arc<str>)>,
    /// Files in which some document could not be read as YAML, or has no name: the daemon keeps every rule that came from them.
    pub unreadable: Vec<Arc<str>>,
    /// Sorted by file, line and column.
    pub problems: Vec<Problem>,
    /// What is wrong with the overrides: no rule has such a parameter, or one is set twice.
    pub wrong_overrides: Vec<String>,
    /// Files with `Parameters` or `Sink` documents.
    pub with_parameters: Vec<Arc<str>>,
    /// `RuleTest` documents lying among the files, with their file.
    pub tests: Vec<(Arc<str>, Tree)>,
}

impl Compiled {
    /// Whether some problem is an error.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }
}

/// A rule that compiled, with the places that other rules are compared with.
struct Draft {
    rule: Rule,
    name_at: report::Spot,
    /// Where each kind is named.
    kinds_at: Vec<report::Spot>,
    /// The kinds that it applies or has lists of, and where each is named.
    applied: Vec<(super::ResolvedKind, report::Spot)>,
    /// The names of its metrics, and where each stands.
    metrics: Vec<(Arc<str>, report::Spot)>,
}

/// Compiles all files against a schema. Documents of other kinds (other YAML lying among the rules) are a warning, `RuleTest`s are handed back;
/// files that a `RuleTest` names are its objects, and no warning.
pub fn compile(files: &[SourceFile], schema: &Schema) -> Compiled {
    compile_with(files, schema, &[])
}

/// As [`compile`], with values for parameters that win over those of the files.
pub fn compile_with(files: &[SourceFile], schema: &Schema, overrides: &[Override]) -> Compiled {
    let mut compiled = Compiled::default();
    let mut order: Vec<&SourceFile> = files.iter().collect();
    order.sort_by(|a, b| a.name.cmp(&b.name));
    let read: Vec<file::File<'_>> = order.iter().map(|file| file::File::read(file)).collect();
    for file in &read {
        for test in file.tests() {
            compiled.tests.push((file.name.clone(), test.clone()));
        }
    }
    let belongs_to_tests = file::named_by_tests(&compiled.tests);
    let mut drafts: Vec<(usize, Draft)> = vec![];
    let mut names = Names::default();
    let mut reports: Vec<report::Report<'_>> = read.iter().map(report::Report::new).collect();
    let given = parameters::Given::read(&read, &mut reports, overrides);
    let sinks = sink::Sinks::read(&read, &mut reports);
    let mut guessed = BTreeSet::new();
    for (index, (file, report)) in read.iter().zip(&mut reports).enumerate() {
        if file.parameters().chain(file.sinks()).next().is_some() {
            compiled.with_parameters.push(file.name.clone());
        }
        let quiet = belongs_to_tests.contains(&*file.name);
        report.guessed = std::mem::take(&mut guessed);
        let outcome = file.compile(report, schema, (&given, &sinks), quiet);
        guessed = std::mem::take(&mut report.guessed);
        if outcome.unreadable {
            compiled.unreadable.push(file.name.clone());
        }
        for (name, at) in &outcome.names {
            names.add(name, index, *at, report, &read);
        }
        for name in outcome.broken {
            compiled.broken.push((name, file.name.clone()));
        }
        drafts.extend(outcome.drafts.into_iter().map(|draft| (index, draft)));
    }
    compiled.wrong_overrides = given.finish(&mut reports);
    let drafts = versions_agree(drafts, &read, &mut reports, &mut compiled.broken);
    for (index, draft) in metric::names_agree(drafts, &read, &mut reports, &mut compiled.broken) {
        let name = &draft.rule.name;
        if names.twice.contains(name) {
            compiled
                .broken
                .push((name.clone(), read[index].name.clone()));
        } else {
            compiled.rules.push(Arc::new(draft.rule));
        }
    }
    compiled.broken.sort();
    compiled.broken.dedup();
    compiled.problems = reports
        .into_iter()
        .flat_map(report::Report::finish)
        .collect();
    compiled.problems.sort_by(|a, b| {
        let place = |p: &Problem| (p.place.line, p.place.column);
        (&a.place.file, place(a)).cmp(&(&b.place.file, place(b)))
    });
    compiled
}

/// Which names were seen, and where first.
#[derive(Default)]
struct Names {
    first: AHashMap<Arc<str>, (usize, report::Spot)>,
    /// Names of more than one rule: none of those is loaded, for nobody can know which was meant.
    twice: AHashSet<Arc<str>>,
}

impl Names {
    fn add(
        &mut self,
        name: &Arc<str>,
        file: usize,
        at: report::Spot,
        report: &mut report::Report<'_>,
        files: &[file::File<'_>],
    ) {
        let Some((first_file, first)) = self.first.get(name) else {
            self.first.insert(name.clone(), (file, at));
            return;
        };
        self.twice.insert(name.clone());
        report.for_rule(Some(name.clone()));
        report.error(
            at,
            format!(
                "a rule named `{name}` stands already in {}:{}",
                files[*first_file].name, first.line
            ),
            Some("give each rule its own name".into()),
        );
        report.for_rule(None);
    }
}

/// One kind is watched at one version: a rule that names another one than the rules before it is broken.
fn versions_agree(
    drafts: Vec<(usize, Draft)>,
    files: &[file::File<'_>],
    reports: &mut [report::Report<'_>],
    broken: &mut Vec<(Arc<str>, Arc<str>)>,
) -> Vec<(usize, Draft)> {
    let mut versions: AHashMap<crate::object::GroupKind, (Arc<str>, Arc<str>, usize, usize)> =
        AHashMap::new();
    let mut good = vec![];
    for (index, draft) in drafts {
        let mut agrees = true;
        let matched = draft.rule.matches.kinds.iter().zip(&draft.kinds_at);
        let applied = draft.applied.iter().map(|(resolved, at)| (resolved, at));
        for (resolved, at) in matched.chain(applied) {
            let (version, rule, file, line) =
                versions.entry(resolved.kind.clone()).or_insert_with(|| {
                    (
                        resolved.version.clone(),
                        draft.rule.name.clone(),
                        index,
                        at.line,
                    )
                });
            if *version == resolved.version {
                continue;
            }
            agrees = false;
            let report = &mut reports[index];
            report.for_rule(Some(draft.rule.name.clone()));
            report.error(
                *at,
                format!(
                    "{} is named here at {} and by rule `{rule}` at {version} ({}:{line}): a kind is watched at one version",
                    resolved.kind, resolved.version, files[*file].name
                ),
                Some(format!("write the same version in both: `{version}`")),
            );
            report.for_rule(None);
        }
        if agrees {
            good.push((index, draft));
        } else {
            broken.push((draft.rule.name.clone(), files[index].name.clone()));
        }
    }
    good
}

#[cfg(test)]
mod tests;
