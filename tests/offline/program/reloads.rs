//! Every way a rule file can change under a running daemon.

use super::*;
use serde_json::Value;
use std::os::unix::fs::symlink;

fn start(dir: &Path) -> Running {
    Running::start(dir, &["--rules", "rules", "--manifests", "cluster"])
}

fn rules(status: &Value) -> usize {
    status["rules"].as_array().map_or(0, Vec::len)
}

fn kept(status: &Value) -> usize {
    let rules = status["rules"].as_array().unwrap();
    rules.iter().filter(|r| r["lastGood"] == true).count()
}

#[test]
fn a_mounted_config_map_is_swapped_by_the_kubelet() {
    // The kubelet's layout: files are links into `..data`, which is a link to a folder with a time in its name.
    let dir = folder(&[
        ("rules/..2026_01/r.yaml", &label_rule("r", "team", "one")),
        ("cluster/m.yaml", &config_map("a")),
    ]);
    let at = |name: &str| dir.path().join("rules").join(name);
    symlink("..2026_01", at("..data")).unwrap();
    symlink("..data/r.yaml", at("r.yaml")).unwrap();
    let running = start(dir.path());
    running.printed("+    team: one", 1);
    put(
        dir.path(),
        "rules/..2026_02/r.yaml",
        &label_rule("r", "team", "two"),
    );
    symlink("..2026_02", at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    std::fs::remove_dir_all(at("..2026_01")).unwrap();
    running.printed("+    team: two", 1);
    let status = running.status(|s| rules(s) == 1);
    assert!(status["fault"].is_null(), "{status}");
    assert_eq!(running.stop(), 0);
}

#[test]
fn editors_new_folders_and_many_files_at_once() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "one")),
        ("cluster/m.yaml", &config_map("a")),
    ]);
    let at = |name: &str| dir.path().join("rules").join(name);
    let running = start(dir.path());
    running.printed("+    team: one", 1);
    // Backup and rename: for a moment there is no file of that name.
    std::fs::rename(at("r.yaml"), at("r.yaml~")).unwrap();
    put(dir.path(), "rules/r.yaml", &label_rule("r", "team", "two"));
    std::fs::remove_file(at("r.yaml~")).unwrap();
    running.printed("+    team: two", 1);
    put(
        dir.path(),
        "rules/new/deep/s.yaml",
        &label_rule("s", "tier", "x"),
    );
    running.printed("+    tier: x", 1);
    for n in 0..500 {
        let rule = label_rule(&format!("r{n}"), "team", "x").replace("Enforce", "Off");
        put(dir.path(), &format!("rules/many/{n}.yaml"), &rule);
    }
    running.status(|s| rules(s) == 502 && s["fault"].is_null());
    assert_eq!(running.stop(), 0);
}

#[test]
fn what_is_ambiguous_or_cannot_be_read_keeps_the_last_good_version() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "one")),
        ("rules/s.yaml", &label_rule("s", "tier", "one")),
        ("cluster/m.yaml", &config_map("a")),
    ]);
    let running = start(dir.path());
    running.printed("+    team: one", 1);
    // Two files with one rule name.
    put(dir.path(), "rules/t.yaml", &label_rule("r", "team", "two"));
    let status = running.status(|s| kept(s) == 1);
    assert!(
        status["problems"][0].as_str().unwrap().contains("r"),
        "{status}"
    );
    std::fs::remove_file(dir.path().join("rules/t.yaml")).unwrap();
    running.status(|s| kept(s) == 0 && s["problems"] == serde_json::json!([]));
    // A file that cannot be read, root or not: a link to itself.
    symlink("r.yaml", dir.path().join("rules/new")).unwrap();
    std::fs::rename(
        dir.path().join("rules/new"),
        dir.path().join("rules/r.yaml"),
    )
    .unwrap();
    running.status(|s| kept(s) == 1 && rules(s) == 2);
    put(dir.path(), "cluster/n.yaml", &config_map("b"));
    running.printed("+    team: one", 2);
    assert_eq!(running.stop(), 0);
}

#[test]
fn a_folder_that_goes_and_comes_back_changes_nothing() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "one")),
        ("cluster/m.yaml", &config_map("a")),
    ]);
    let running = start(dir.path());
    running.printed("+    team: one", 1);
    let (here, away) = (dir.path().join("rules"), dir.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let status = running.status(|s| s["fault"].is_string());
    assert_eq!(rules(&status), 1, "{status}");
    put(dir.path(), "cluster/n.yaml", &config_map("b"));
    running.printed("+    team: one", 2);
    std::fs::rename(&away, &here).unwrap();
    running.status(|s| s["fault"].is_null() && rules(s) == 1);
    assert_eq!(running.stop(), 0);
}

#[test]
fn a_burst_of_saves_is_a_few_reloads() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "first")),
        ("cluster/m.yaml", &config_map("a")),
    ]);
    let running = start(dir.path());
    running.printed("+    team: first", 1);
    for n in 0..100 {
        put(
            dir.path(),
            "rules/r.yaml",
            &label_rule("r", "team", &format!("v{n}")),
        );
    }
    running.printed("+    team: v99", 1);
    let status = running.status(|_| true);
    let reloads = status["reloads"]["total"].as_u64().unwrap();
    assert!(reloads < 40, "{reloads} reloads");
    assert_eq!(running.stop(), 0);
}
