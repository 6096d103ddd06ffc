//! The tutorial, from nothing to a rule that acts on a cluster.

use crate::control_plane::programs::program;
use crate::control_plane::{Options, Plane};
use crate::page;
use std::path::{Path, PathBuf};

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_works_word_for_word_on_a_cluster() {
    let plane = Plane::start(Options::default());
    let (before, on_a_cluster) = page::steps();
    assert!(on_a_cluster.len() >= 5);
    let folder = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    for (name, path) in [
        ("ordain", PathBuf::from(env!("CARGO_BIN_EXE_ordain"))),
        ("kubectl", program("kubectl")),
    ] {
        std::os::unix::fs::symlink(path, programs.path().join(name)).unwrap();
    }
    let nowhere = Path::new("/nowhere");
    page::follow(&before, folder.path(), programs.path(), &[]);
    let kubeconfig = plane.kubeconfig();
    let variables = [("KUBECONFIG", kubeconfig.as_path()), ("HOME", nowhere)];
    page::follow(&on_a_cluster, folder.path(), programs.path(), &variables);
}
