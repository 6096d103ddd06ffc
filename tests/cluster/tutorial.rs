//! The tutorial, from nothing to a rule that acts on a cluster.

use crate::control_plane::programs::program;
use crate::control_plane::{Options, Plane};
use crate::daemon::Daemon;
use crate::page::{self, Step};
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

    // What `--help` teaches, with the same rule and the same shop: that it is taken, and what its exit code says.
    let rules = std::fs::read_to_string(folder.path().join("rules/replicas-floor.yaml")).unwrap();
    let mut typed = 0;
    for example in page::examples().iter().filter(|e| e.needs_a_cluster()) {
        typed += 1;
        if example.stays() {
            let words = example
                .line
                .strip_prefix("ordain run --rules rules")
                .unwrap();
            let more: Vec<&str> = words.split_whitespace().collect();
            let mut daemon = Daemon::start(&kubeconfig, &rules, &more);
            let status = daemon
                .until("that it is ready", |s| s["ready"] == true)
                .await;
            assert_eq!(status["frozen"], more.contains(&"--audit-only"));
            assert_eq!(daemon.stop().await, Some(0), "{}", example.line);
            continue;
        }
        // `ready`, and `--from`: a daemon is asked, which listens where it can here.
        let asks = example.command == "ready" || example.line.contains("--from");
        let mut daemon = asks.then(|| Daemon::start(&kubeconfig, &rules, &[]));
        let mut line = example.line.clone();
        if let Some(daemon) = &mut daemon {
            daemon.ready().await;
            let address = format!("127.0.0.1:{}", daemon.port());
            line = line
                .replace("127.0.0.1:9464", &address)
                .replace("ordain.ordain-system:9464", &address);
            if line == "ordain ready" {
                line = format!("{line} {address}");
            }
        }
        // All is as the rule wants it, so that `explain` says with 1 that it would not act.
        let expected = i32::from(example.command == "explain");
        let code = format!("{line} > out; echo $?");
        let step = Step::Command(code, vec!["…".into(), expected.to_string()]);
        page::follow(&[step], folder.path(), programs.path(), &variables);
    }
    assert!(typed >= 9, "only {typed} examples");
}
