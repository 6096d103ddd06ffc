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

/// A signal to a daemon.
fn send(running: &Running, signal: i32) {
    // SAFETY: a plain system call; the process is a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(running.id() as i32, signal) }, 0);
}

/// Waits until a daemon has stood still at a signal.
fn until_stopped(running: &Running) {
    let stat = format!("/proc/{}/stat", running.id());
    let state = || {
        let stat = std::fs::read_to_string(&stat).unwrap();
        stat.rsplit(')').next().unwrap().trim().chars().next()
    };
    let started = Instant::now();
    while state() != Some('T') {
        assert!(started.elapsed().as_secs() < 30, "it does not stop");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn events_that_overflow_the_kernels_queue_are_made_up_for() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "one")),
        ("rules/notes", ""),
        ("cluster/m.yaml", &config_map("a")),
    ]);
    let running = start(dir.path());
    running.printed("+    team: one", 1);
    send(&running, libc::SIGSTOP);
    until_stopped(&running);
    // More than the kernel keeps (`fs.inotify.max_queued_events`), and nothing but reading, which is no reason to look: what comes after it is
    // told of by no event. Each file in turn, since the same event twice in a row is one.
    let kept = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let kept: usize = kept.trim().parse().unwrap();
    let files = ["rules/r.yaml", "rules/notes"].map(|name| dir.path().join(name));
    for _ in 0..=kept {
        for file in &files {
            drop(std::fs::File::open(file).unwrap());
        }
    }
    put(dir.path(), "rules/r.yaml", &label_rule("r", "team", "two"));
    put(
        dir.path(),
        "rules/new/s.yaml",
        &label_rule("s", "tier", "x"),
    );
    send(&running, libc::SIGCONT);
    running.printed("+    team: two", 1);
    running.printed("+    tier: x", 1);
    // A folder whose beginning was never told of is followed too.
    put(
        dir.path(),
        "rules/new/s.yaml",
        &label_rule("s", "tier", "z"),
    );
    running.printed("+    tier: z", 1);
    assert_eq!(running.stop(), 0);
}

/// Runs a program to its end.
fn run(program: &str, arguments: &[&str]) -> bool {
    let ended = Command::new(program).args(arguments).output();
    ended.is_ok_and(|output| output.status.success())
}

/// Whether programs can have a user, and file systems, of their own here.
fn has_namespaces() -> bool {
    let has = run("unshare", &["--user", "--map-root-user", "--mount", "true"]);
    if !has {
        eprintln!("no user namespaces here: not tested");
    }
    has
}

#[test]
fn without_any_event_the_contents_are_compared() {
    if !has_namespaces() {
        return;
    }
    // No inotify instance for this user, or none that may watch anything.
    for (limit, said) in [
        (
            "max_inotify_instances",
            "files are looked at every 5 s only",
        ),
        (
            "max_inotify_watches",
            "this path is looked at every 5 s only",
        ),
    ] {
        let dir = folder(&[
            ("rules/r.yaml", &label_rule("r", "team", "one")),
            ("cluster/m.yaml", &config_map("a")),
        ]);
        let script = format!("echo 0 > /proc/sys/user/{limit} && exec \"$0\" \"$@\"");
        let outer = ["unshare", "--user", "--map-root-user", "sh", "-c", &script];
        let running = Running::start_within(
            &outer,
            dir.path(),
            &["--rules", "rules", "--manifests", "cluster"],
        );
        running.logged(said);
        running.printed("+    team: one", 1);
        put(dir.path(), "rules/r.yaml", &label_rule("r", "team", "two"));
        running.printed("+    team: two", 1);
        put(dir.path(), "cluster/n.yaml", &config_map("b"));
        running.printed("+    team: two", 2);
        assert_eq!(running.stop(), 0);
    }
}

#[test]
fn a_folder_that_is_unmounted_and_mounted_again_changes_nothing() {
    if !has_namespaces() {
        return;
    }
    let dir = folder(&[
        ("disk/r.yaml", &label_rule("r", "team", "one")),
        ("cluster/m.yaml", &config_map("a")),
    ]);
    std::fs::create_dir(dir.path().join("rules")).unwrap();
    let script = "mount --bind disk rules && exec \"$0\" \"$@\"";
    let outer = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        script,
    ];
    let running = Running::start_within(
        &outer,
        dir.path(),
        &["--rules", "rules", "--manifests", "cluster"],
    );
    running.printed("+    team: one", 1);
    let process = running.id().to_string();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let within = |program: &[&str]| {
        let mut all = vec!["--target", &process, "--user", "--mount"];
        all.push("--preserve-credentials");
        all.extend(program);
        assert!(run("nsenter", &all), "{program:?}");
    };
    within(&["umount", "--lazy", &at("rules")]);
    let status = running.status(|s| s["fault"].is_string());
    assert_eq!(rules(&status), 1, "{status}");
    put(dir.path(), "cluster/n.yaml", &config_map("b"));
    running.printed("+    team: one", 2);
    // Back, as it was and then with another rule.
    within(&["mount", "--bind", &at("disk"), &at("rules")]);
    running.status(|s| s["fault"].is_null() && rules(s) == 1);
    put(dir.path(), "disk/r.yaml", &label_rule("r", "team", "two"));
    running.printed("+    team: two", 2);
    assert_eq!(running.stop(), 0);
}

#[test]
fn files_and_folders_that_may_not_be_read_any_more_keep_their_rules() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "one")),
        ("rules/s.yaml", &label_rule("s", "tier", "one")),
        ("cluster/m.yaml", &config_map("a")),
    ]);
    let may = |name: &str, mode: u32| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(dir.path().join(name), mode).unwrap();
    };
    may(".", 0o755);
    // Permissions do not hold back root.
    // SAFETY: only answers a number.
    let root = unsafe { libc::geteuid() } == 0;
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let outer = if root { &nobody[..] } else { &[] };
    let running = Running::start_within(
        outer,
        dir.path(),
        &["--rules", "rules", "--manifests", "cluster"],
    );
    running.printed("+    team: one", 1);
    may("rules/r.yaml", 0o000);
    let status = running.status(|s| kept(s) == 1);
    assert_eq!(rules(&status), 2, "{status}");
    let problem = status["problems"].to_string();
    assert!(
        problem.contains("rules/r.yaml") && problem.contains("Permission denied"),
        "{problem}"
    );
    put(dir.path(), "cluster/n.yaml", &config_map("b"));
    running.printed("+    team: one", 2);
    may("rules/r.yaml", 0o644);
    running.status(|s| kept(s) == 0 && s["problems"] == serde_json::json!([]));
    // The whole folder: a fault, and not an order to forget its rules.
    may("rules", 0o000);
    let status = running.status(|s| s["fault"].is_string());
    assert_eq!(rules(&status), 2, "{status}");
    put(dir.path(), "cluster/o.yaml", &config_map("c"));
    running.printed("+    team: one", 3);
    may("rules", 0o755);
    running.status(|s| s["fault"].is_null() && rules(s) == 2);
    put(dir.path(), "rules/r.yaml", &label_rule("r", "team", "two"));
    running.printed("+    team: two", 3);
    assert_eq!(running.stop(), 0);
}
