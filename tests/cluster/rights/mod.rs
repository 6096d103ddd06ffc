//! The rights that `ordain rbac` prints are enough for all of `rules/` on the real server, and none of them is too many.
//!
//! Which of them are needed the server says. Ordain runs with all rules in Enforce under an identity that has none of the lines; each line that the
//! server refuses ("cannot patch resource …") is needed, and the next run has it. So it goes on until every line was refused once: what was asked for
//! without a line, and without others that were not refused yet, is asked for without that line alone, too. A `get` is asked for when the answer to a
//! write was lost: in the end a proxy loses all answers, so that these are asked for, too. What has all of them is refused nothing.

mod namespaced;

use crate::control_plane::{Audited, Options, Plane};
use crate::daemon::Daemon;
use crate::proxy::Proxy;
use crate::ready_made::administrator::Cluster;
use crate::ready_made::case::{self, Case};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const HOME: &str = "ordain-system";

/// Long enough for what is remembered to be written (every 5 s), and for a Lease to be renewed.
const PATIENCE: Duration = Duration::from_secs(8);

const ELECTS: [&str; 5] = [
    "--state-namespace=ordain-system",
    "--leader-election",
    "--lease-duration=5s",
    "--lease-renew-deadline=3s",
    "--lease-retry-period=500ms",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What `ordain` prints, and whether it ended well.
fn ordain(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ordain"))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code().unwrap() < 2, "{said}");
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap() + &said,
    )
}

/// One right: the document it stands in, and a rule of RBAC with one verb of one resource.
#[derive(Clone, Debug)]
struct Line {
    document: usize,
    rule: Value,
}

impl Line {
    fn of(&self, field: &str) -> &str {
        self.rule[field][0].as_str().unwrap()
    }

    /// As the server names it in a refusal: `patch resource "pods" in API group ""`. There is one role that is given away.
    fn named(&self) -> String {
        let (verb, resource) = (self.of("verbs"), self.of("resources"));
        if verb == "bind" {
            return "attempting to grant RBAC permissions not currently held".into();
        }
        format!(
            "{verb} resource \"{resource}\" in API group \"{}\"",
            self.of("apiGroups")
        )
    }
}

/// The printed documents, and each line of them.
fn printed(rules: &Path) -> (Vec<Value>, Vec<Line>) {
    printed_within(rules, &[])
}

/// The same for a daemon that only looks into these namespaces; none: all.
fn printed_within(rules: &Path, namespaces: &[&str]) -> (Vec<Value>, Vec<Line>) {
    let (rules, definitions) = (rules.display().to_string(), root().join("rules"));
    let definitions = definitions.display().to_string();
    let mut arguments = vec![
        "rbac",
        "--rules",
        &rules,
        "--manifests",
        &definitions,
        "--state-namespace",
        HOME,
    ];
    arguments.extend(namespaces.iter().flat_map(|name| ["--namespace", *name]));
    let (good, text) = ordain(&arguments);
    assert!(good, "{text}");
    let mut documents: Vec<Value> = text
        .split("---\n")
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect();
    let mut lines = vec![];
    for (document, role) in documents.iter_mut().enumerate() {
        let Some(rules) = role.get_mut("rules").map(Value::take) else {
            continue;
        };
        for rule in rules.as_array().unwrap() {
            for resource in rule["resources"].as_array().unwrap() {
                for verb in rule["verbs"].as_array().unwrap() {
                    let mut rule = rule.clone();
                    rule["resources"] = json!([resource]);
                    rule["verbs"] = json!([verb]);
                    lines.push(Line { document, rule });
                }
            }
        }
    }
    (documents, lines)
}

/// An identity of its own with these lines.
async fn identity(plane: &Plane, name: &str, documents: &[Value], lines: &[&Line]) -> PathBuf {
    let admin = plane.client().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(admin, HOME);
    let account = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let cluster = Cluster::new(plane).await;
    for (document, printed) in documents.iter().enumerate() {
        let mut object = printed.clone();
        object["metadata"]["name"] = name.into();
        if object.get("roleRef").is_some() {
            object["roleRef"]["name"] = name.into();
            object["subjects"][0]["name"] = name.into();
        } else {
            let of_it = lines.iter().filter(|l| l.document == document);
            object["rules"] = of_it.map(|l| l.rule.clone()).collect();
        }
        cluster.put(&object).await;
    }
    // The server learns of it a moment later.
    for (i, document) in documents.iter().enumerate() {
        if let Some(last) = lines.iter().rfind(|line| line.document == i) {
            let namespace = document["metadata"]["namespace"].as_str();
            until_granted(plane, name, last, namespace).await;
        }
    }
    let folder = plane.folder_for(name);
    plane.kubeconfig_for_account(HOME, name, &folder).await
}

async fn until_granted(plane: &Plane, account: &str, line: &Line, namespace: Option<&str>) {
    let reviews: Api<SubjectAccessReview> = Api::all(plane.client().await);
    let (resource, subresource) = match line.of("resources").split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (line.of("resources"), None),
    };
    let review: SubjectAccessReview = serde_json::from_value(json!({
        "metadata": {},
        "spec": {
            "user": format!("system:serviceaccount:{HOME}:{account}"),
            "resourceAttributes": {
                "group": line.of("apiGroups"), "resource": resource, "subresource": subresource, "verb": line.of("verbs"),
                "name": line.rule["resourceNames"][0], "namespace": namespace,
            }}}))
    .unwrap();
    let started = Instant::now();
    loop {
        let answer = reviews
            .create(&PostParams::default(), &review)
            .await
            .unwrap();
        if answer.status.unwrap().allowed {
            return;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{line:?} is not granted to {account}"
        );
        sleep(Duration::from_millis(20)).await;
    }
}

/// All rules of the cases in one folder.
fn rules_of(cases: &[Case], text: impl Fn(&Case) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for case in cases {
        std::fs::write(
            folder.path().join(format!("{}.yaml", case.name)),
            text(case),
        )
        .unwrap();
    }
    folder
}

/// An identity with exactly what is printed for the rules of all cases.
pub async fn whole_identity(plane: &Plane, cases: &[Case]) -> PathBuf {
    let folder = rules_of(cases, Case::text);
    let (documents, lines) = printed(folder.path());
    let all: Vec<&Line> = lines.iter().collect();
    identity(plane, "whole", &documents, &all).await
}

/// The lines, by their place among all, that the server has refused to an identity since the audit log was that long.
fn refused(plane: &Plane, account: &str, lines: &[Line], from: usize) -> BTreeSet<usize> {
    let user = format!("system:serviceaccount:{HOME}:{account}");
    let mut audit = plane.audit().all("");
    let requests = audit.drain(from.min(audit.len())..);
    let words: Vec<String> = requests
        .filter(|r| r.user == user && r.code == 403)
        .map(|r| r.message)
        .collect();
    let named = |line: &Line| {
        let named = line.named();
        words.iter().any(|w| w.contains(&named))
    };
    let numbered = lines.iter().enumerate();
    numbered
        .filter(|(_, line)| named(line))
        .map(|(n, _)| n)
        .collect()
}

/// The lines without which Ordain says that it does not notice which kinds come and go: to list, and once that is granted to watch.
fn unnoticed(daemon: &Daemon, lines: &[Line], needed: &BTreeSet<usize>) -> BTreeSet<usize> {
    let log = daemon.whole_log();
    let mut found = BTreeSet::new();
    for (resource, kind) in [
        ("customresourcedefinitions", "CustomResourceDefinition"),
        ("apiservices", "APIService"),
    ] {
        let said = |l: &str| l.contains(kind) && l.contains("cannot be followed");
        let numbered = lines.iter().enumerate();
        let mut open =
            numbered.filter(|(n, l)| l.of("resources") == resource && !needed.contains(n));
        if log.lines().any(said) {
            // They are printed in this order.
            found.extend(open.next().map(|(n, _)| n));
        }
    }
    found
}

async fn is_idle(daemon: &Daemon) -> bool {
    daemon
        .status()
        .await
        .is_some_and(|s| s["requestsInFlight"] == 0 && s["queueDepth"] == 0)
}

/// The state of the world: how many steps of each case were taken.
struct World {
    cluster: Cluster,
    cases: Vec<Case>,
    steps: usize,
    remembered: Api<ConfigMap>,
}

impl World {
    /// The next step of each case; false if there is none.
    async fn step(&mut self) -> bool {
        let steps = self
            .cases
            .iter()
            .filter_map(|case| case.steps.get(self.steps));
        let mut any = false;
        for step in steps {
            self.cluster.change(step).await;
            any = true;
        }
        self.steps += 1;
        any
    }

    /// As it was in the beginning, after the first step; what rules remember is forgotten: they have acted on more than they may at once.
    async fn again(&mut self) {
        let all = ListParams::default();
        self.remembered
            .delete_collection(&DeleteParams::default(), &all)
            .await
            .unwrap();
        for case in &self.cases {
            self.cluster.clear(case).await;
        }
        self.steps = 0;
        self.step().await;
    }
}

/// No controller runs that gathers it, and a role that holds nothing anybody may give away.
async fn fill_the_role_of_editors(plane: &Plane) {
    let roles: Api<ClusterRole> = Api::all(plane.client().await);
    let gathered = roles.get("system:aggregate-to-edit").await.unwrap();
    let patch = Patch::Merge(json!({"rules": gathered.rules}));
    let done = roles.patch("edit", &PatchParams::default(), &patch).await;
    assert!(!done.unwrap().rules.unwrap_or_default().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_rights_are_enough_for_all_rules_and_each_of_them_is_needed() {
    let options = Options {
        audited: Audited::Reads,
        ..Options::default()
    };
    let plane = tokio::task::spawn_blocking(|| Plane::start(options))
        .await
        .unwrap();
    // Each rule keeps to the namespaces and objects of its case, so that none takes away what another one is about.
    let cases = case::all();
    let folder = rules_of(&cases, Case::text_for_its_own);
    let text: Vec<String> = cases.iter().map(Case::text_for_its_own).collect();
    let text = text.join("\n---\n");
    let (documents, lines) = printed(folder.path());
    let names: BTreeSet<String> = lines.iter().map(Line::named).collect();
    assert_eq!(
        names.len(),
        lines.len(),
        "some line is printed twice: {lines:#?}"
    );
    fill_the_role_of_editors(&plane).await;
    let cluster = Cluster::new(&plane).await;
    for case in &cases {
        cluster.prepare(case).await;
    }
    let mut world = World {
        cluster,
        cases,
        steps: 0,
        remembered: Api::namespaced(plane.client().await, HOME),
    };
    world.step().await;
    let leases: Api<Lease> = Api::namespaced(plane.client().await, HOME);

    let mut needed: BTreeSet<usize> = BTreeSet::new();
    let mut loses = false;
    for round in 0.. {
        assert!(round < 40, "it goes on for ever");
        let _ = leases.delete("ordain", &DeleteParams::default()).await;
        let account = format!("round-{round}");
        let granted: Vec<&Line> = needed.iter().map(|n| &lines[*n]).collect();
        let kubeconfig = identity(&plane, &account, &documents, &granted).await;
        let proxy = Proxy::start(kubeconfig.clone()).await;
        if loses {
            // An Event is told again until that is answered, and what stands behind its step is never come to.
            proxy.lose_all_answers_but("/events");
            // Nor does a watch tell in time what became of a write.
            proxy.delay_watches(Duration::from_secs(3));
        }
        let way = if loses {
            proxy.kubeconfig()
        } else {
            kubeconfig
        };
        let from = plane.audit().all("").len();
        // A Lease that is never seen to be taken is never held.
        let flags = if loses { &ELECTS[..1] } else { &ELECTS[..] };
        let daemon = Daemon::start(&way, &text, flags);
        let started = Instant::now();
        // Until it has nothing to do, and was refused something; or for long enough.
        let mut found = BTreeSet::new();
        let mut calm = Instant::now();
        while started.elapsed() < PATIENCE {
            sleep(Duration::from_millis(100)).await;
            let mut now = refused(&plane, &account, &lines, from);
            now.extend(unnoticed(&daemon, &lines, &needed));
            if now.len() > found.len() || !is_idle(&daemon).await {
                calm = Instant::now();
            }
            found = now;
            if found.iter().any(|n| !needed.contains(n)) && calm.elapsed() > Duration::from_secs(1)
            {
                break;
            }
        }
        if !found.is_empty() && !loses {
            // Not only the server knows of it. A look at what became of a write is repeated in silence.
            let log = daemon.whole_log();
            assert!(
                log.contains("forbidden") || log.contains("Forbidden"),
                "{log}"
            );
        }
        let both: Vec<String> = found
            .intersection(&needed)
            .map(|wrong| lines[*wrong].named())
            .collect();
        assert!(both.is_empty(), "granted and refused: {both:?}");
        println!(
            "round {round}: {} lines are needed, {} more in {:?}",
            needed.len(),
            found.len(),
            started.elapsed()
        );
        let more = found.len();
        needed.extend(found);
        drop(daemon);
        if needed.len() == lines.len() {
            break;
        }
        if more > 0 {
            continue;
        }
        if world.step().await {
            continue;
        }
        let left = lines
            .iter()
            .enumerate()
            .filter(|(n, _)| !needed.contains(n));
        let left: Vec<String> = left.map(|(_, line)| line.named()).collect();
        let reads = left.iter().all(|name| name.starts_with("get "));
        assert!(!loses && reads, "nothing asks for {left:#?}");
        // What is left is asked for when an answer was lost: all over again.
        loses = true;
        world.again().await;
    }

    // And they are enough.
    world.again().await;
    let _ = leases.delete("ordain", &DeleteParams::default()).await;
    let all: Vec<&Line> = lines.iter().collect();
    let kubeconfig = identity(&plane, "all-of-them", &documents, &all).await;
    let rules = folder.path().display().to_string();
    let asks = kubeconfig.display().to_string();
    let check = [
        "rbac",
        "--check",
        "--rules",
        &rules,
        "--state-namespace",
        HOME,
        "--kubeconfig",
        &asks,
    ];
    let (good, said) = ordain(&check);
    assert!(good && said.contains("all are granted"), "{said}");
    let from = plane.audit().all("").len();
    let mut daemon = Daemon::start(&kubeconfig, &text, &ELECTS);
    let status = daemon
        .until("that it leads and has acted", |s| {
            s["leader"]["leading"] == true
                && s["changes"]["made"].as_u64() >= Some(40)
                && s["requestsInFlight"] == 0
                && s["queueDepth"] == 0
        })
        .await;
    while world.step().await {
        let settled = Instant::now();
        while settled.elapsed() < Duration::from_secs(1) || !is_idle(&daemon).await {
            sleep(Duration::from_millis(100)).await;
        }
    }
    let kinds = status["kinds"].as_array().unwrap();
    assert!(
        kinds.iter().all(|kind| kind["state"] == "Synced"),
        "{status}"
    );
    assert_eq!(status["leader"]["trouble"], Value::Null);
    assert_eq!(daemon.stop().await, Some(0));
    let refused = refused(&plane, "all-of-them", &lines, from);
    assert!(refused.is_empty(), "{refused:?}");
    let log = daemon.whole_log();
    assert!(!log.to_lowercase().contains("forbidden"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_with_the_rule_that_needs_it() {
    let plane = tokio::task::spawn_blocking(|| Plane::start(Options::default()))
        .await
        .unwrap();
    let rules = root().join("rules/pods/evicted-pods.yaml");
    let (documents, lines) = printed(&rules);
    // Namespaces are read for their annotations, which may except their objects from the rule.
    let of_the_rule = |line: &Line| ["pods", "namespaces"].contains(&line.of("resources"));
    assert!(lines.iter().any(of_the_rule) && !lines.iter().all(of_the_rule));
    for (n, line) in lines.iter().enumerate() {
        let rest = lines.iter().enumerate().filter(|(other, _)| *other != n);
        let rest: Vec<&Line> = rest.map(|(_, line)| line).collect();
        let kubeconfig = identity(&plane, &format!("without-{n}"), &documents, &rest).await;
        let (rules, kubeconfig) = (
            rules.display().to_string(),
            kubeconfig.display().to_string(),
        );
        let check = [
            "rbac",
            "--check",
            "--rules",
            &rules,
            "--state-namespace",
            HOME,
            "--kubeconfig",
            &kubeconfig,
        ];
        let (good, said) = ordain(&check);
        let missing = format!("missing: {} {}", line.of("verbs"), line.of("resources"));
        let needed_by = match of_the_rule(line) {
            true => ", for rule evicted-pods",
            false => ", for the daemon itself: ",
        };
        let told = |l: &str| l.starts_with(&missing) && l.contains(needed_by);
        assert!(
            !good && said.lines().any(told) && said.contains(" 1 missing"),
            "{line:?}: {said}"
        );
    }
}
