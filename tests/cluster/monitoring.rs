//! Alerts and dashboard, judged by Debian's Prometheus.

use crate::container::get;
use crate::control_plane::processes::{free_port, start};
use crate::control_plane::shared;
use crate::control_plane::tools::run;
use crate::daemon::{Daemon, until};
use crate::prometheus::program;
use crate::proxy::{Proxy, Purpose};
use crate::scene::{map, namespace, setting};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What a test waits for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(120);

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name)
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

/// Names of alerts.
fn alerts() -> BTreeSet<String> {
    let groups = yaml("prometheus/ordain.rules.yaml");
    let groups = groups["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|g| g["rules"].as_array().unwrap());
    rules
        .map(|rule| {
            for said in ["summary", "description", "runbook"] {
                let text = rule["annotations"][said].as_str().unwrap_or("");
                assert!(text.len() > 10, "{rule} has no {said}");
            }
            assert!(
                ["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap())
            );
            rule["alert"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn each_alert_fires_when_it_should_and_not_when_all_is_well() {
    let Some(promtool) = program("promtool") else {
        return;
    };
    let promtool = |arguments: &[&str]| {
        let mut command = Command::new(&promtool);
        run(command.args(arguments).current_dir(file("prometheus"))).ok()
    };
    let checked = promtool(&["check", "rules", "ordain.rules.yaml"]);
    assert!(
        checked.contains(&format!("{} rules found", alerts().len())),
        "{checked}"
    );
    promtool(&["test", "rules", "ordain.rules.test.yaml"]);
    // Both cases are there for each.
    let (mut firing, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    for test in yaml("prometheus/ordain.rules.test.yaml")["tests"]
        .as_array()
        .unwrap()
    {
        for case in test["alert_rule_test"].as_array().into_iter().flatten() {
            assert_eq!(case["exp_alerts"], Value::Null, "{case}");
            quiet.insert(case["alertname"].as_str().unwrap().to_owned());
        }
        for case in test["promql_expr_test"].as_array().into_iter().flatten() {
            let expression = case["expr"].as_str().unwrap();
            assert!(expression.contains("alertstate=\"firing\""), "{expression}");
            assert!(!case["exp_samples"].as_array().unwrap().is_empty());
            firing.insert(expression.split('"').nth(1).unwrap().to_owned());
        }
    }
    assert_eq!(firing, alerts());
    assert_eq!(quiet, alerts());
}

/// Every query of the dashboard by panel and letter, for a Prometheus that scrapes each second.
fn queries() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file("grafana/ordain.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut queries = BTreeMap::new();
    let mut add = |of: String, expression: &str| {
        let mut expression = expression.replace("$__rate_interval", "15s");
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let name = format!("${}", variable["name"].as_str().unwrap());
            expression = expression.replace(&name, ".*");
        }
        assert!(!expression.contains('$'), "{of}: {expression}");
        assert!(
            queries.insert(of.clone(), expression).is_none(),
            "{of} is there twice"
        );
    };
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        if panel["type"] != "row" {
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
            assert!(panel["description"].as_str().unwrap().len() > 3, "{title}");
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            let letter = target["refId"].as_str().unwrap();
            add(
                format!("{title}, {letter}"),
                target["expr"].as_str().unwrap(),
            );
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        // label_values(series, label)
        let Some(query) = variable["query"]["query"].as_str() else {
            continue;
        };
        let inside = query
            .strip_prefix("label_values(")
            .and_then(|q| q.strip_suffix(')'));
        let (series, label) = inside.unwrap().rsplit_once(", ").unwrap();
        add(
            format!("variable {label}"),
            &format!("group by ({label}) ({series})"),
        );
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        // An annotation marks moments: what it looks at must be there, not the moment.
        let expression = annotation["expr"]
            .as_str()
            .unwrap()
            .split(" > ")
            .next()
            .unwrap();
        let expression = expression.replace("[1m]", "[15s]");
        add(format!("annotation {}", annotation["name"]), &expression);
    }
    queries
}

struct Prometheus {
    child: std::process::Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes a port of this machine each second, and evaluates the alerts.
    fn start(program: &Path, target: u16) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n- job_name: ordain\n  \
             static_configs:\n  - targets: ['127.0.0.1:{target}']\n    labels: {{namespace: ordain-system, pod: ordain-0}}\n",
            file("prometheus/ordain.rules.yaml").display()
        );
        let at = folder.path().join("prometheus.yaml");
        std::fs::write(&at, config).unwrap();
        let port = free_port();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", at.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(folder.path());
        Prometheus {
            child: start(command, &folder.path().join("log")),
            port,
            folder,
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What an endpoint of its API answers; nothing until it listens.
    async fn ask(&mut self, path: &str) -> Option<Value> {
        if let Some(exit) = self.child.try_wait().unwrap() {
            panic!("Prometheus ended ({exit})\n{}", self.log());
        }
        let (_, body) = get(self.port, path).await?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        Some(answer["data"].clone())
    }

    /// Whether a query has a result that is more than nothing: what is always 0 shows nothing.
    async fn has(&mut self, query: &str) -> bool {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let Some(data) = self.ask(&format!("/api/v1/query?query={query}")).await else {
            return false;
        };
        let results = data["result"].as_array().unwrap();
        let number = |r: &Value| r["value"][1].as_str().and_then(|n| n.parse::<f64>().ok());
        results.iter().any(|r| number(r).is_some_and(|n| n > 0.0))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rules of every sort, about ConfigMaps of one namespace: one that acts, one in Audit, one that warns, one whose test finds no quantity, one that
/// looks at other objects, one that may act once an hour, one that stops after the first.
fn rules(namespace: &str) -> String {
    let rule = |name: &str, mode: &str, test: &str, action: &str| {
        format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  mode: {mode}\n  match:\n    resources: [{{apiVersion: \
             v1, kind: ConfigMap}}]\n    namespaces: [{namespace}]\n    names: ['map-*']\n  where:\n  - {test}\n  actions:\n  - {action}\n"
        )
    };
    let lacks =
        |label: &str| format!("{{path: $.metadata.labels.{label}, operator: DoesNotExist}}");
    let set = |label: &str| format!("patch: [{{path: $.metadata.labels.{label}, set: \"yes\"}}]");
    [
        rule("acts", "Enforce", &lacks("acts"), &set("acts")),
        rule("would-act", "Audit", &lacks("would"), &set("would")),
        rule(
            "warns",
            "Enforce",
            &lacks("warns"),
            "warn: {message: looked at}",
        ),
        rule(
            "fails",
            "Enforce",
            "{path: $.metadata.name, as: quantity, operator: AtLeast, value: \"1\"}",
            &set("fails"),
        ),
        rule("looks-around", "Enforce", &lacks("around"), "warn: {message: looked around}").replace(
            "  actions:\n",
            "  related:\n  - {name: others, resources: [{apiVersion: v1, kind: ConfigMap}]}\n  actions:\n",
        ),
        rule("waits", "Enforce", &lacks("waits"), &set("waits"))
            + "  limits: {throttle: {objects: 1, per: 1h}}\n",
        rule("stops", "Enforce", &lacks("stops"), &set("stops"))
            + "  limits: {abortAbove: {objects: 1}}\n",
    ]
    .join("---\n")
}

/// What needs a world of its own: writes that are not answered, and a frozen daemon.
const LATE: [&str; 3] = ["Queue, A", "Oldest in the queue, A", "Frozen, A"];

/// A world in which everything happens that a dashboard is for, a bit of it with each step: objects come, watches break, the server fails for a
/// moment, rules are changed.
struct World {
    maps: Api<ConfigMap>,
    proxy: Proxy,
    rules: String,
    steps: usize,
}

impl World {
    async fn step(&mut self, daemon: &Daemon) {
        let name = format!("map-{}", self.steps);
        match self.steps % 20 {
            5 => self
                .proxy
                .refuse(Purpose::Write, &format!("/{name}"), 1, 503, Some(1)),
            10 => self.proxy.cut_watches(),
            15 => daemon.save_rules(&format!("# {}\n{}", self.steps, self.rules)),
            _ => {}
        }
        // So that there is always something to do: a rate needs counters that grow.
        self.maps
            .create(&PostParams::default(), &map(&name))
            .await
            .unwrap();
        self.steps += 1;
        sleep(Duration::from_millis(200)).await;
    }

    /// Goes on until each of these queries has shown something.
    async fn until_all_show(
        &mut self,
        mut left: BTreeMap<String, String>,
        (prometheus, daemon): (&mut Prometheus, &Daemon),
    ) {
        let started = Instant::now();
        while !left.is_empty() {
            self.step(daemon).await;
            for (of, query) in left.clone() {
                if prometheus.has(&query).await {
                    left.remove(&of);
                }
            }
            assert!(
                started.elapsed() < PATIENCE,
                "nothing but 0: {left:#?}\n{}\n{}",
                prometheus.log(),
                daemon.log()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_shows_what_happens_to_a_running_daemon() {
    let (Some(prometheus), Some(promtool)) = (program("prometheus"), program("promtool")) else {
        return;
    };
    let plane = shared();
    let client = plane.client().await;
    let home = namespace(&client, "monitored").await;
    let proxy = Proxy::start(plane.kubeconfig()).await;
    let rules = rules(&home);
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &rules, &["--workers=1"]);
    daemon.ready().await;
    let mut prometheus = Prometheus::start(&prometheus, daemon.port());
    let mut all = queries();
    assert!(all.len() > 30, "{all:?}");
    let mut world = World {
        maps: Api::namespaced(client, &home),
        proxy,
        rules,
        steps: 0,
    };
    let late = LATE.map(|of| (of.to_owned(), all.remove(of).unwrap()));
    let [depth, oldest, frozen] = late;
    world.until_all_show(all, (&mut prometheus, &daemon)).await;
    // The only request that may be on its way is not answered: all others wait.
    world.proxy.catch("PATCH", true);
    let queue = [depth, oldest].into();
    world
        .until_all_show(queue, (&mut prometheus, &daemon))
        .await;
    world.proxy.catch_nothing();
    let (code, said) = daemon.http("POST", "/freeze").await.unwrap();
    assert_eq!(code, 200, "{said}");
    world
        .until_all_show([frozen].into(), (&mut prometheus, &daemon))
        .await;

    // What it reads is well-formed, and the alerts can be evaluated on it.
    let (_, page) = daemon.http("GET", "/metrics").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("page");
    std::fs::write(&at, page).unwrap();
    let mut check = Command::new("sh");
    check.args(["-c", "\"$0\" check metrics < \"$1\""]);
    run(check.arg(promtool).arg(&at)).ok();
    let groups = prometheus.ask("/api/v1/rules").await.unwrap();
    let rules = groups["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), alerts().len());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        if rule["labels"]["severity"] == "critical" {
            let stopped = rule["name"] == "OrdainRuleAborted";
            assert_eq!(rule["state"] != "inactive", stopped, "{rule}");
        }
    }
    assert_eq!(daemon.stop().await, Some(0), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_the_queue_is_that_of_what_has_waited_longest() {
    const MAPS: usize = 6;
    let plane = shared();
    let client = plane.client().await;
    let home = namespace(&client, "queued").await;
    let maps: Api<ConfigMap> = Api::namespaced(client, &home);
    let proxy = Proxy::start(plane.kubeconfig()).await;
    let rule = setting("team", &home, "$.metadata.labels.team", "blue");
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &rule, &["--workers=1"]);
    daemon.ready().await;
    // The only request that may be on its way is not answered for a while.
    proxy.catch("PATCH", true);
    let made = Instant::now();
    for n in 0..MAPS {
        let new = map(&format!("map-{n}"));
        maps.create(&PostParams::default(), &new).await.unwrap();
    }
    let series = async |daemon: &Daemon, name: &str| -> f64 {
        let (_, page) = daemon.http("GET", "/metrics").await.unwrap();
        let value = page.lines().find_map(|l| l.strip_prefix(name));
        value.unwrap().trim().parse().unwrap()
    };
    let oldest = "ordain_queue_oldest_seconds";
    // What other tests make may wait there too.
    until("that they wait", &daemon, || async {
        series(&daemon, "ordain_queue_depth").await >= (MAPS - 1) as f64
    })
    .await;
    for seconds in [1.0, 3.0] {
        until("that they have waited longer", &daemon, || async {
            series(&daemon, oldest).await >= seconds
        })
        .await;
        let age = series(&daemon, oldest).await;
        assert!(age <= made.elapsed().as_secs_f64(), "{age}");
    }
    proxy.catch_nothing();
    until("that nobody waits", &daemon, || async {
        let all = maps.list(&Default::default()).await.unwrap();
        let done = all.iter().filter(|m| m.metadata.labels.is_some()).count();
        done == MAPS && series(&daemon, oldest).await == 0.0
    })
    .await;
}
