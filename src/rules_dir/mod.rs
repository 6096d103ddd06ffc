//! Rule files on disk: loading them, following their edits, and keeping the last good version of each rule.
//!
//! I/O. The only user of the `notify` crate, with `manifests::folder`, which follows its files through [`watch`].

pub mod files;
pub mod keep;
pub mod watch;

pub use files::{FileSet, Unreadable};
pub use keep::{Composition, LastGood};

use crate::rule::Rule;
use crate::rule::compile::{Compiled, SourceFile, compile};
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

/// Compiles a set of files, keeping only the rules whose names `only` takes. Problems of rules that are left out are kept: a broken file is
/// never good.
pub fn compile_only(files: &[SourceFile], schema: &Schema, only: &[String]) -> Compiled {
    let mut compiled = compile(files, schema);
    if !only.is_empty() {
        let globs = Globs::new(only.to_vec());
        compiled
            .rules
            .retain(|rule: &Arc<Rule>| globs.matches(&rule.name));
        compiled.broken.retain(|(name, _)| globs.matches(name));
    }
    compiled
}
