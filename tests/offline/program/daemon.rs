//! `ordain run --manifests`: follows rules and manifests, shows what it does, stops when told.

use super::*;

fn start(dir: &Path) -> Running {
    Running::start(dir, &["--rules", "rules", "--manifests", "cluster"])
}

fn world() -> tempfile::TempDir {
    folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "one")),
        ("cluster/m.yaml", &(config_map("a") + &config_map("b"))),
    ])
}

#[test]
fn follows_edits_of_rules_and_manifests() {
    let dir = world();
    let running = start(dir.path());
    let text = running.printed("+    team: one", 2);
    assert!(text.contains("patch ConfigMap/shop/a by r\n@@ "), "{text}");
    // A rule saved in place.
    put(dir.path(), "rules/r.yaml", &label_rule("r", "team", "two"));
    running.printed("+    team: two", 2);
    // A rule written beside and renamed.
    put(dir.path(), "new", &label_rule("r", "team", "three"));
    std::fs::rename(dir.path().join("new"), dir.path().join("rules/r.yaml")).unwrap();
    running.printed("+    team: three", 2);
    // A manifest edited: the object is as the file says, and the rule acts on it again.
    put(
        dir.path(),
        "cluster/m.yaml",
        &(config_map("a").replace("key: value", "key: edited") + &config_map("b")),
    );
    running.printed("+    team: three", 3);
    // A new manifest; a broken one beside it does no harm.
    put(
        dir.path(),
        "cluster/n.yaml",
        &(config_map("c") + "kind: [\n"),
    );
    running.printed("patch ConfigMap/shop/c by r", 1);
    assert_eq!(running.stop(), 0);
}

#[test]
fn a_broken_rule_file_keeps_the_last_good_version_and_is_reported() {
    let dir = world();
    put(dir.path(), "rules/s.yaml", &label_rule("s", "tier", "one"));
    let running = start(dir.path());
    running.printed("+    team: one", 2);
    put(
        dir.path(),
        "rules/r.yaml",
        &label_rule("r", "team", "two").replace("$.metadata", "$.metaData"),
    );
    running.logged("this rule stays in its last good version");
    put(dir.path(), "cluster/n.yaml", &config_map("c"));
    running.printed("+    team: one", 3);
    let status = running.status(|s| s["problems"].as_array().is_some_and(|p| !p.is_empty()));
    assert!(
        status["problems"][0]
            .as_str()
            .unwrap()
            .contains("rules/r.yaml:11:"),
        "{status}"
    );
    let kept: Vec<bool> = status["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["lastGood"] == true)
        .collect();
    assert_eq!(kept, [true, false], "{status}");
    // A removed rule acts no more.
    std::fs::remove_file(dir.path().join("rules/r.yaml")).unwrap();
    running.status(|s| s["rules"].as_array().is_some_and(|r| r.len() == 1));
    put(dir.path(), "cluster/o.yaml", &config_map("d"));
    let text = running.printed("patch ConfigMap/shop/d by s", 1);
    assert!(!text.contains("patch ConfigMap/shop/d by r"), "{text}");
    assert_eq!(running.stop(), 0);
}

#[test]
fn an_emptied_rule_folder_is_a_fault_until_acknowledged() {
    let dir = world();
    let running = start(dir.path());
    running.printed("+    team: one", 2);
    std::fs::remove_file(dir.path().join("rules/r.yaml")).unwrap();
    let status = running.status(|s| s["fault"].is_string());
    assert_eq!(status["rules"].as_array().unwrap().len(), 1);
    put(dir.path(), "cluster/n.yaml", &config_map("c"));
    running.printed("+    team: one", 3);
    assert_eq!(running.request("POST", "/acknowledge", "").0, 200);
    running.status(|s| s["rules"].as_array().is_some_and(Vec::is_empty) && s["fault"].is_null());
    assert_eq!(running.request("POST", "/acknowledge", "").0, 404);
    assert_eq!(running.stop(), 0);
}

#[test]
fn shows_itself_and_takes_switches_from_loopback_without_a_browser() {
    let dir = world();
    let running = start(dir.path());
    running.printed("+    team: one", 2);
    running.page("/readyz", |body| body == "ok\n");
    assert_eq!(running.request("GET", "/healthz", ""), (200, "ok\n".into()));
    let metrics = running.page("/metrics", |m| {
        m.contains(
            "ordain_changes_total{rule=\"r\",kind=\"ConfigMap\",verb=\"patch\",outcome=\"Ok\"} 2",
        )
    });
    for line in [
        "ordain_rules{state=\"enforce\"} 1",
        "ordain_reload_total{result=\"ok\"} 1",
        "ordain_frozen 0",
        "ordain_ready 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    running.page("/metrics", |m| {
        m.contains("ordain_rule_objects{rule=\"r\",state=\"in_scope\"} 2")
            && m.contains("ordain_store_objects{kind=\"ConfigMap\"} 2")
            && m.contains("ordain_queue_depth 0")
            && m.contains("ordain_rule_evaluations_total{rule=\"r\"}")
    });
    let status = running.status(|s| s["ready"] == true);
    assert_eq!(status["changes"]["made"], 2, "{status}");
    assert!(
        status["kinds"]
            .as_array()
            .unwrap()
            .iter()
            .any(|k| k["kind"] == "ConfigMap" && k["state"] == "Synced"),
        "{status}"
    );
    assert_eq!(
        running
            .request("POST", "/freeze", "Origin: http://evil.example\r\n")
            .0,
        403
    );
    assert_eq!(running.request("GET", "/freeze", "").0, 405);
    assert_eq!(running.request("POST", "/freeze", "").0, 200);
    running.status(|s| s["frozen"] == true);
    put(dir.path(), "cluster/n.yaml", &config_map("c"));
    running.logged("would change");
    assert!(!running.output().contains("ConfigMap/shop/c"), "frozen");
    assert_eq!(running.request("POST", "/unfreeze", "").0, 200);
    running.printed("patch ConfigMap/shop/c by r", 1);
    assert_eq!(running.request("POST", "/acknowledge?rule=r", "").0, 404);
    assert_eq!(running.stop(), 0);
}

#[test]
fn writes_the_resulting_objects_when_it_stops() {
    let dir = world();
    let running = Running::start(
        dir.path(),
        &[
            "--rules",
            "rules",
            "--manifests",
            "cluster",
            "--write-manifests",
            "result",
        ],
    );
    running.printed("+    team: one", 2);
    assert_eq!(running.stop(), 0);
    let text = std::fs::read_to_string(dir.path().join("result/shop.yaml")).unwrap();
    assert_eq!(text.matches("team: one").count(), 2, "{text}");
}

#[test]
fn a_reader_that_went_away_does_not_end_the_daemon() {
    let dir = world();
    let follow = ["--rules", "rules", "--manifests", "cluster"];
    let listen = ["run", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let mut child = command(dir.path(), &[&listen[..], &follow].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let log = Heard::listen(child.stderr.take().unwrap());
    log.wait_for("that nobody reads", |t| {
        t.matches("changes are not printed any more").count() == 1
            && t.matches("\"message\":\"changed\"").count() == 2
    });
    // It goes on, and ends as it is told to.
    put(dir.path(), "cluster/n.yaml", &config_map("c"));
    log.wait_for("the third change", |t| {
        t.matches("\"message\":\"changed\"").count() == 3
    });
    // SAFETY: the process is our own child and has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
