//! What fuzzing found worth keeping goes through the same functions again: it neither panics nor takes long.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;
use std::time::{Duration, Instant};
use targets::{Golden, TARGETS, kept, line_of};

/// Far more than any input takes, also on a machine that is busy.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn what_fuzzing_kept_does_no_harm() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for target in &TARGETS {
        let inputs = kept(root, target.name);
        assert!(!inputs.is_empty(), "nothing is kept for {}", target.name);
        for input in inputs {
            let line = line_of(&input);
            let begun = Instant::now();
            let ended = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(ended.is_ok(), "{}: {line}", target.name);
            assert!(begun.elapsed() < LONG, "{}: {line}", target.name);
        }
    }
}

#[test]
fn every_target_begins_with_the_golden_files() {
    let golden = Golden::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    for target in &TARGETS {
        let seeds = (target.seeds)(&golden);
        assert!(
            seeds.len() >= 5,
            "{} has {} seeds",
            target.name,
            seeds.len()
        );
        // Some of them; all of them are what fuzzing begins with.
        for seed in seeds.iter().step_by(1 + seeds.len() / 20) {
            (target.run)(seed);
        }
    }
}
