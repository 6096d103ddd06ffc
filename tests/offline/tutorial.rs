//! The tutorial, up to where it needs a cluster.

use crate::page;
use std::path::Path;

#[test]
fn the_tutorial_works_word_for_word() {
    let (steps, on_a_cluster) = page::steps();
    assert!(steps.len() >= 10 && !on_a_cluster.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_ordain")).parent().unwrap();
    page::follow(&steps, folder.path(), programs, &[]);
}
