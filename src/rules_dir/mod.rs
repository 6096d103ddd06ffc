//! Rule files on disk: loading them, following their edits, and keeping the last good version of each rule.
//!
//! I/O. The only user of the `notify` crate, with `manifests::folder`, which follows its files through [`watch`].

pub mod files;
pub mod keep;
pub mod watch;

pub use files::{FileSet, Unreadable};
pub use keep::{Composition, LastGood};

use crate::rule::Rule;
use crate::rule::compile::{Compiled, Override, SourceFile, compile_with};
use crate::rule::problem::{Place, Problem, Severity};
use crate::rule::selector::Globs;
use crate::schema::Schema;
use std::path::PathBuf;
use std::sync::Arc;

/// Extensions of files that are read from folders.
pub const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads every rule file below `paths`.
pub fn load(paths: &[PathBuf]) -> FileSet {
    files::read(paths, crate::rule::yaml::LONGEST)
}

/// Which rules of the files, and with which parameters.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Globs over the names of rules; empty: all.
    pub only: Vec<String>,
    /// `--set`
    pub set: Vec<Override>,
}

/// Compiles a set of files, keeping only the rules that are selected. Problems of rules that are left out are kept: a broken file is
/// never good.
pub fn compile_selected(files: &[SourceFile], schema: &Schema, selection: &Selection) -> Compiled {
    let mut compiled = compile_with(files, schema, &selection.set);
    for message in std::mem::take(&mut compiled.wrong_overrides) {
        let place = Place {
            file: "--set".into(),
            line: 1,
            column: 1,
            length: 1,
        };
        let problem = Problem::new(Severity::Error, place, "", message);
        compiled.problems.push(problem);
    }
    if !selection.only.is_empty() {
        let globs = Globs::new(selection.only.clone());
        compiled
            .rules
            .retain(|rule: &Arc<Rule>| globs.matches(&rule.name));
        compiled.broken.retain(|(name, _)| globs.matches(name));
    }
    compiled
}
