//! `/metrics` of a running daemon.

use super::*;
use crate::prometheus;

/// Rules whose every kind of trouble shows on the page, and objects for them.
fn busy() -> tempfile::TempDir {
    let misread = label_rule("misread", "size", "big").replace(
        "  where:\n",
        "  where:\n  - {path: $.data.key, as: quantity, operator: GreaterThan, value: 1Gi}\n",
    );
    let audit = label_rule("watching", "seen", "yes").replace("Enforce", "Audit");
    folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "one")),
        ("rules/misread.yaml", &misread),
        ("rules/watching.yaml", &audit),
        ("cluster/m.yaml", &(config_map("a") + &config_map("b"))),
    ])
}

/// The value of the one series that begins so.
fn value(page: &str, series: &str) -> Option<f64> {
    let rest = page.lines().find_map(|l| l.strip_prefix(series))?;
    rest.trim().parse().ok()
}

#[test]
fn promtool_finds_no_fault_with_the_page() {
    let dir = busy();
    let running = Running::start(dir.path(), &["--rules", "rules", "--manifests", "cluster"]);
    let page = running.page("/metrics", |page| {
        value(page, "ordain_reaction_seconds_count{rule=\"r\"}") == Some(2.0)
            && page.contains("ordain_would_change_total{rule=\"watching\"")
    });
    let Some(promtool) = prometheus::program("promtool") else {
        return;
    };
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = check.stdin.take().unwrap();
    input.write_all(page.as_bytes()).unwrap();
    drop(input);
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
}

#[test]
fn each_rule_counts_its_own_and_takes_its_series_along() {
    let dir = busy();
    let running = Running::start(dir.path(), &["--rules", "rules", "--manifests", "cluster"]);
    let page = running.page("/metrics", |page| {
        value(page, "ordain_reaction_seconds_count{rule=\"r\"}") == Some(2.0)
    });
    for (series, wanted) in [
        ("ordain_leader", 1.0),
        ("ordain_rules{state=\"enforce\"}", 2.0),
        ("ordain_rules{state=\"audit\"}", 1.0),
        ("ordain_rule_objects{rule=\"r\",state=\"in_scope\"}", 2.0),
        (
            "ordain_rule_objects{rule=\"watching\",state=\"matched\"}",
            2.0,
        ),
        (
            "ordain_would_change_total{rule=\"watching\",kind=\"ConfigMap\",verb=\"patch\"}",
            2.0,
        ),
        (
            "ordain_changes_total{rule=\"r\",kind=\"ConfigMap\",verb=\"patch\",outcome=\"Ok\"}",
            2.0,
        ),
        ("ordain_change_duration_seconds_count{verb=\"patch\"}", 2.0),
        ("ordain_store_objects{kind=\"ConfigMap\"}", 2.0),
        (
            "ordain_watch_events_total{kind=\"ConfigMap\",type=\"listed\"}",
            2.0,
        ),
        ("ordain_reload_total{result=\"ok\"}", 1.0),
        ("ordain_reload_last_successful", 1.0),
        ("ordain_queue_depth", 0.0),
    ] {
        assert_eq!(value(&page, series), Some(wanted), "{series}: {page}");
    }
    let misread = "ordain_rule_errors_total{rule=\"misread\",reason=\"WrongType\"}";
    assert!(value(&page, misread) >= Some(2.0), "{page}");
    let last = value(&page, "ordain_reload_last_success_timestamp_seconds");
    let started = value(&page, "process_start_time_seconds");
    assert!(last >= started && started > Some(1.7e9), "{page}");
    for hidden in ["shop", "/a", "value"] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }
    // An error of the file: the rule stays, and the page says so.
    let good = label_rule("watching", "seen", "yes");
    put(
        dir.path(),
        "rules/watching.yaml",
        &good.replace("$.metadata", "$.metaData"),
    );
    running.page("/metrics", |page| {
        value(page, "ordain_rules{state=\"last_good\"}") == Some(1.0)
            && value(page, "ordain_reload_total{result=\"partial\"}") == Some(1.0)
            && value(page, "ordain_reload_last_successful") == Some(0.0)
    });
    std::fs::remove_file(dir.path().join("rules/watching.yaml")).unwrap();
    let page = running.page("/metrics", |page| !page.contains("watching"));
    assert_eq!(value(&page, "ordain_reload_last_successful"), Some(1.0));
    assert!(page.contains("rule=\"r\""), "{page}");
    assert_eq!(running.stop(), 0);
}

/// The page of a daemon over these manifests, with one rule, once these series have these values.
fn page_over(objects: &str, rule: &str, wanted: &[(&str, f64)]) -> String {
    let dir = folder(&[("cluster/m.yaml", objects), ("rules/r.yaml", rule)]);
    let running = Running::start(dir.path(), &["--rules", "rules", "--manifests", "cluster"]);
    running.page("/metrics", |page| {
        let is = |(series, wanted): &(&str, f64)| value(page, series) == Some(*wanted);
        wanted.iter().all(is)
    })
}

#[test]
fn what_a_kind_takes_in_memory_is_the_size_of_its_objects() {
    const MORE: usize = 20_000;
    // Data is only kept where a rule reads it.
    let reads = label_rule("reads", "size", "big").replace(
        "  where:\n",
        "  where:\n  - {path: $.data.key, operator: Exists}\n",
    );
    let bytes = |more: usize| {
        let large = config_map("b").replace("key: value", &format!("key: {}", "x".repeat(more)));
        let both_changed = (
            "ordain_watch_events_total{kind=\"ConfigMap\",type=\"modified\"}",
            2.0,
        );
        let page = page_over(&(config_map("a") + &large), &reads, &[both_changed]);
        value(&page, "ordain_store_bytes{kind=\"ConfigMap\"}").unwrap() as usize
    };
    let (small, large) = (bytes(1), bytes(1 + MORE));
    assert!((100..10_000).contains(&small), "{small}");
    assert!(
        (large - small).abs_diff(MORE) < 100,
        "{MORE} bytes more: {small}, {large}"
    );
}

#[test]
fn objects_of_which_something_is_not_known_are_pending() {
    // Where the name of the other object is absent nobody knows which it is.
    let joins = label_rule("joins", "size", "big").replace(
        "  where:\n",
        "  related:\n  - name: others\n    resources: [{apiVersion: v1, kind: ConfigMap}]\n    names: ['${object.data.other}']\n    count: {value: 1}\n  where:\n",
    );
    let known = config_map("c").replace("key: value", "other: a");
    let objects = config_map("a") + &config_map("b") + &known;
    page_over(
        &objects,
        &joins,
        &[
            (
                "ordain_rule_objects{rule=\"joins\",state=\"in_scope\"}",
                3.0,
            ),
            ("ordain_rule_objects{rule=\"joins\",state=\"pending\"}", 2.0),
            (
                "ordain_changes_total{rule=\"joins\",kind=\"ConfigMap\",verb=\"patch\",outcome=\"Ok\"}",
                1.0,
            ),
        ],
    );
}

#[test]
fn a_metric_has_so_many_series_on_the_page_and_that_there_are_more_is_told_until_there_are_not() {
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: numbered}
spec:
  match:
    resources: [{apiVersion: v1, kind: ConfigMap}]
  actions:
  - metric: {name: shop_number, value: '${object.data.key}'}
";
    let numbered =
        |n: usize| config_map(&format!("m{n}")).replace("key: value", &format!("key: '{n}'"));
    let most: String = (0..1_000).map(numbered).collect();
    let dir = folder(&[
        ("rules/r.yaml", rule),
        ("cluster/most.yaml", &most),
        ("cluster/more.yaml", &numbered(1_000)),
    ]);
    let running = Running::start(dir.path(), &["--rules", "rules", "--manifests", "cluster"]);
    let rows = |page: &str| {
        page.lines()
            .filter(|l| l.starts_with("shop_number{"))
            .count()
    };
    let told = "ordain_findings{rule=\"numbered\",reason=\"TooManySeries\"}";
    let page = running.page("/metrics", |page| value(page, told) == Some(1.0));
    assert_eq!(rows(&page), 1_000);
    let status = running.status(|s| s["findings"]["byReason"]["TooManySeries"] == 1);
    let message = status["findings"]["listed"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("`shop_number` would have more than 1000 series: "),
        "{message}"
    );
    // One goes, whichever it is.
    let (_, fewer) = most.split_once("---\n").unwrap();
    put(dir.path(), "cluster/most.yaml", fewer);
    let page = running.page("/metrics", |page| {
        value(page, told).is_none_or(|n| n == 0.0)
    });
    assert_eq!(rows(&page), 1_000);
}
