//! From rule files to a rule set in force: compile, keep the last good versions, notice what changed.

use crate::rule::compile::Compiled;
use crate::rule::compile::SourceFile;
use crate::rule::problem::{Problem, Severity};
use crate::rule::set::{Doubt, RuleSet};
use crate::rules_dir::{self, FileSet, LastGood, Selection};
use crate::schema::Schema;
use std::sync::Arc;

/// The rules of the daemon.
pub struct Rules {
    last: LastGood,
    files: FileSet,
    selection: Selection,
    schema: Schema,
    set: Option<Arc<RuleSet>>,
}

/// What came of a load.
pub struct Loaded {
    /// To put in force; `None` if the load was taken for a fault.
    pub set: Option<Arc<RuleSet>>,
    /// Rules that stay in their last good version.
    pub kept: Vec<Arc<str>>,
    /// The whole load was taken for a fault.
    pub fault: Option<String>,
    /// Of the files.
    pub problems: Vec<Problem>,
    /// Added, changed, removed.
    pub difference: (usize, usize, usize),
}

impl Rules {
    pub fn new(selection: Selection) -> Rules {
        Rules {
            last: LastGood::default(),
            files: FileSet::default(),
            selection,
            schema: Schema::empty(),
            set: None,
        }
    }

    pub fn schema(&self) -> Schema {
        self.schema.clone()
    }

    /// New files, or the last ones against another schema.
    pub fn load(&mut self, files: Option<FileSet>, schema: Schema) -> Loaded {
        if let Some(files) = files {
            self.files = files;
        }
        self.schema = schema;
        let compiled =
            rules_dir::compile_selected(&self.files.files, &self.schema, &self.selection);
        let composition = self.last.compose(&self.files, &compiled);
        let doubt = self.doubt(&compiled, composition.fault.is_some());
        let mut problems = compiled.problems;
        for u in &self.files.unreadable {
            let place = crate::rule::problem::Place {
                file: u.path.as_str().into(),
                line: 1,
                column: 1,
                length: 1,
            };
            let message = format!("cannot be read: {}", u.reason);
            problems.push(Problem::new(Severity::Error, place, "", message));
        }
        if composition.fault.is_some() && self.set.is_some() {
            return Loaded {
                set: None,
                kept: vec![],
                fault: composition.fault,
                problems,
                difference: (0, 0, 0),
            };
        }
        let set = RuleSet::new(composition.rules, self.schema.clone()).doubting(doubt);
        let set = Arc::new(set);
        let difference = match &self.set {
            Some(older) => {
                let d = set.difference(older);
                (d.added.len(), d.changed.len(), d.removed.len())
            }
            None => (set.rules().len(), 0, 0),
        };
        self.set = Some(set.clone());
        Loaded {
            set: Some(set),
            kept: composition.kept,
            fault: composition.fault,
            problems,
            difference,
        }
    }

    /// Rules that are not in force and may not be taken for gone all the same.
    fn doubt(&self, compiled: &Compiled, fault: bool) -> Doubt {
        let unreadable = !self.files.unreadable.is_empty() || !compiled.unreadable.is_empty();
        if fault || unreadable || self.files.is_empty() || !self.selection.only.is_empty() {
            return Doubt::All;
        }
        let broken: Vec<Arc<str>> = compiled
            .broken
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        match broken.is_empty() {
            true => Doubt::None,
            false => Doubt::Rules(broken),
        }
    }

    /// A person says that the loss of rules was meant.
    pub fn acknowledge(&mut self) -> Option<Arc<RuleSet>> {
        let rules = self.last.acknowledge()?;
        let set = Arc::new(RuleSet::new(rules, self.schema.clone()));
        self.set = Some(set.clone());
        Some(set)
    }
}

/// The same files again, for the task that compares.
pub fn copies(files: &FileSet) -> Vec<SourceFile> {
    files
        .files
        .iter()
        .map(|f| SourceFile {
            name: f.name.clone(),
            bytes: f.bytes.clone(),
        })
        .collect()
}
