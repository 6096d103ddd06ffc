//! `docs/operations.md`, symptom by symptom: the trouble is made, the commands of its section are typed, and it is gone.

use crate::command::ordain;
use crate::control_plane::programs::program;
use crate::control_plane::{Options, Plane};
use crate::daemon::{Daemon, until};
use crate::page::{self, Step};
use crate::scene::map;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A kubelet is needed to read the log of a container.
const ELSEWHERE: [&str; 1] = ["kubectl logs "];

/// What prints nothing where the trouble is not there.
const MAY_BE_SILENT: [&str; 4] = [
    ".findings.listed[] | \"",
    "select(.state != \"Synced\")",
    "select(.outcome != \"Ok\")",
    "kubectl get events",
];

/// More than `delete` may take at once.
const MANY: usize = 25;

/// The rule `NAME` of the page: it labels ConfigMaps of the shop, and deletes those that are called `old-…`.
fn rules(more: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: labels}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: [shop]
    names: [settings]
  actions:
  - patch:
    - {{path: $.metadata.labels.team, set: shop}}
---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: cleaner}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: [shop]
    names: ['old-*']
  where:
  - {{path: $.data.keep, operator: DoesNotExist}}
  actions:
  - delete: {{}}
{more}"
    )
}

/// A rule that deletes and tests a path that no schema knows.
fn unchecked(kind: &str, group: &str) -> String {
    format!(
        "---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: unknown}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: {group}/v1, kind: {kind}}}]
    namespaces: [shop]
  where:
  - {{path: $.spec.expires, operator: DoesNotExist}}
  actions:
  - delete: {{}}
"
    )
}

struct Scene {
    daemon: Daemon,
    /// Where commands are typed; `rules` in it is what the daemon follows.
    desk: tempfile::TempDir,
    programs: tempfile::TempDir,
    kubeconfig: PathBuf,
    /// Of the identity that `ordain rbac` gives the rights to.
    own: PathBuf,
    maps: Api<ConfigMap>,
}

impl Scene {
    /// Types the commands of a section, with the daemon's own address, and a rule's name for `NAME`. All that they print.
    fn type_all(&self, steps: &[Step], name: &str) -> String {
        let address = format!("127.0.0.1:{}", self.daemon.port());
        let said = |text: &str| {
            text.replace("127.0.0.1:9464", &address)
                .replace("NAME", name)
        };
        let steps: Vec<Step> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Command(line, _) if ELSEWHERE.iter().any(|e| line.starts_with(e)) => None,
                Step::Command(line, printed) => Some(Step::Command(
                    said(line),
                    printed.iter().map(|l| said(l)).collect(),
                )),
                file => Some(file.clone()),
            })
            .collect();
        let mut printed = vec![];
        for step in &steps {
            // "With the daemon's own kubeconfig."
            let own = matches!(step, Step::Command(line, _) if line.contains("--check"));
            let kubeconfig = if own { &self.own } else { &self.kubeconfig };
            let variables = [
                ("KUBECONFIG", kubeconfig.as_path()),
                ("HOME", Path::new("/nowhere")),
            ];
            let step = std::slice::from_ref(step);
            let (desk, programs) = (self.desk.path(), self.programs.path());
            printed.extend(page::follow(step, desk, programs, &variables));
        }
        let mut all = String::new();
        for (line, shown) in printed {
            // There is something to see, but where all is well.
            let may_be_silent = MAY_BE_SILENT.iter().any(|part| line.contains(part));
            assert!(
                may_be_silent || !shown.trim().is_empty(),
                "$ {line}\nprints nothing"
            );
            assert!(
                !shown.contains("jq: error") && !shown.contains("parse error"),
                "$ {line}\n{shown}"
            );
            all.push_str(&shown);
        }
        all
    }

    async fn many_old_ones(&self) {
        for n in 0..MANY {
            let name = format!("old-{n}");
            let _ = self.maps.create(&PostParams::default(), &map(&name)).await;
        }
    }

    /// The label that the rule `labels` sets.
    async fn team(&self) -> Option<String> {
        let map = self.maps.get("settings").await.ok()?;
        map.metadata.labels?.get("team").cloned()
    }

    async fn finds(&self, reason: &str) -> bool {
        let status = self.daemon.status().await;
        status.is_some_and(|status| finding(&status, reason))
    }

    /// Sets the label of the rule `labels` back until the rule leaves it alone.
    async fn fight(&self) {
        let other = Patch::Merge(json!({"metadata": {"labels": {"team": "others"}}}));
        let robot = PatchParams {
            field_manager: Some("release-robot".into()),
            ..PatchParams::default()
        };
        for _ in 0..10 {
            until("that somebody has won", &self.daemon, || async {
                self.team().await.as_deref() == Some("shop") || self.finds("BreakerOpen").await
            })
            .await;
            if self.finds("BreakerOpen").await {
                return;
            }
            self.maps.patch("settings", &robot, &other).await.unwrap();
        }
        panic!("no breaker opens");
    }

    async fn old_ones(&self) -> usize {
        let all = self.maps.list(&ListParams::default()).await.unwrap().items;
        all.iter()
            .filter(|m| m.metadata.name.as_ref().unwrap().starts_with("old-"))
            .count()
    }
}

/// Lets the identity of `ordain rbac` read, and change nothing.
async fn may_read(client: &kube::Client) {
    let role: ClusterRole = serde_json::from_value(json!({"metadata": {"name": "reads"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps", "namespaces"], "verbs": ["get", "list", "watch"]}]}))
    .unwrap();
    let roles: Api<ClusterRole> = Api::all(client.clone());
    roles.create(&PostParams::default(), &role).await.unwrap();
    let binding: ClusterRoleBinding = serde_json::from_value(json!({"metadata": {"name": "reads"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reads"},
        "subjects": [{"kind": "ServiceAccount", "name": "ordain", "namespace": "ordain-system"}]}))
    .unwrap();
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let made = bindings.create(&PostParams::default(), &binding).await;
    made.unwrap();
}

/// A rule of another daemon, which sets another label.
fn crews(more: &str) -> String {
    let all = rules("");
    let (first, _) = all.split_once("---\n").unwrap();
    let rule = first.replace("labels.team", "labels.crew");
    rule.replace("spec:\n", &format!("spec:\n{more}"))
}

fn finding(status: &Value, reason: &str) -> bool {
    status["findings"]["byReason"][reason].as_u64().unwrap_or(0) > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_of_the_page_on_operations_is_mended_as_it_says() {
    let plane = Plane::start(Options::default());
    let client = plane.client().await;
    let spaces: Api<Namespace> = Api::all(client.clone());
    let space = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    spaces.create(&PostParams::default(), &space).await.unwrap();
    let crds = Api::all(client.clone());
    crate::scene::define(&crds, "operations.example", "Ticket").await;
    // Whom `ordain rbac` gives the rights.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "ordain-system");
    let account = serde_json::from_value(json!({"metadata": {"name": "ordain"}})).unwrap();
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "shop");
    let mut settings = map("settings");
    // The server does not begin to say who writes the fields of an object that was created without any.
    settings.data = Some([("a".to_owned(), "b".to_owned())].into());
    let made = maps.create(&PostParams::default(), &settings).await;
    made.unwrap();
    let kubeconfig = plane.kubeconfig();
    let mut daemon = Daemon::start(&kubeconfig, &rules(""), &["--leader-election"]);
    daemon.ready().await;
    let (desk, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(daemon.rules(), desk.path().join("rules")).unwrap();
    for (name, path) in [
        ("ordain", PathBuf::from(env!("CARGO_BIN_EXE_ordain"))),
        ("kubectl", program("kubectl")),
    ] {
        std::os::unix::fs::symlink(path, programs.path().join(name)).unwrap();
    }
    let of_own = plane.folder_for("own");
    let own = plane.kubeconfig_for_account("ordain-system", "ordain", &of_own);
    let mut scene = Scene {
        daemon,
        desk,
        programs,
        kubeconfig,
        own: own.await,
        maps,
    };
    let sections = page::sections("operations.md");
    assert!(
        sections.len() >= 13,
        "only {} sections have commands",
        sections.len()
    );
    for (heading, steps) in &sections {
        let mut name = "labels";
        match heading.as_str() {
            "A rule was aborted" => {
                name = "cleaner";
                scene.many_old_ones().await;
                scene
                    .daemon
                    .until("that the rule is aborted", |s| finding(s, "Aborted"))
                    .await;
            }
            "Objects of a rule are blocked" => {
                scene
                    .daemon
                    .save_rules(&rules("  limits: {throttle: {objects: 1, per: 1h}}\n"));
                scene.many_old_ones().await;
                scene
                    .daemon
                    .until("that objects wait for their turn", |s| {
                        finding(s, "Throttled")
                    })
                    .await;
            }
            "A rule is refused: UncheckedPath" => {
                name = "unknown";
                scene
                    .daemon
                    .save_rules(&rules(&unchecked("Ticket", "operations.example")));
                let resource = kube::core::ApiResource {
                    group: "operations.example".into(),
                    version: "v1".into(),
                    api_version: "operations.example/v1".into(),
                    kind: "Ticket".into(),
                    plural: "tickets".into(),
                };
                let tickets: Api<kube::api::DynamicObject> =
                    Api::namespaced_with(client.clone(), "shop", &resource);
                let ticket = kube::api::DynamicObject::new("one", &resource);
                tickets
                    .create(&PostParams::default(), &ticket)
                    .await
                    .unwrap();
                scene
                    .daemon
                    .until("that the path is told", |s| finding(s, "UncheckedPath"))
                    .await;
            }
            "A breaker is open" => scene.fight().await,
            "Which rights it needs" => {
                // A daemon that may not do what its rule says.
                may_read(&client).await;
                let mut barred = Daemon::start(&scene.own, &crews(""), &[]);
                barred
                    .until("that it may not", |s| finding(s, "Forbidden"))
                    .await;
                std::mem::swap(&mut scene.daemon, &mut barred);
                let (grants, checks) = steps.split_at(steps.len() - 1);
                scene.type_all(grants, name);
                until("that the rights are there", &scene.daemon, || async {
                    let check = ["rbac", "--rules", "rules", "--check"];
                    ordain(scene.desk.path(), &scene.own, &check).code == 0
                })
                .await;
                scene.type_all(checks, name);
                // A changed rule is tried at once.
                scene.daemon.save_rules(&crews("  description: It may.\n"));
                scene
                    .daemon
                    .until("that it may", |s| {
                        !finding(s, "Forbidden") && s["changes"]["made"].as_u64() > Some(0)
                    })
                    .await;
                std::mem::swap(&mut scene.daemon, &mut barred);
                continue;
            }
            "A kind cannot be watched" => {
                scene
                    .daemon
                    .save_rules(&rules(&unchecked("Ghost", "nowhere.example")));
                scene
                    .daemon
                    .until("that the kind is missed", |s| {
                        let kinds = s["kinds"].as_array().unwrap();
                        kinds.iter().any(|k| k["state"] == "NoSuchKind")
                    })
                    .await;
            }
            "What rules remember" => {
                // One of its ConfigMaps is edited by somebody.
                let kept: Api<ConfigMap> = Api::namespaced(client.clone(), "ordain-system");
                let all = ListParams::default().labels("ordain.dev/state=ordain");
                let one = kept.list(&all).await.unwrap().items.remove(0);
                let rubbish = Patch::Merge(json!({"data": {"state": "rubbish"}}));
                let name = one.metadata.name.unwrap();
                let patched = kept.patch(&name, &PatchParams::default(), &rubbish).await;
                patched.unwrap();
                scene
                    .daemon
                    .until("that it is noticed", |s| {
                        s["state"].as_array().is_some_and(|told| !told.is_empty())
                    })
                    .await;
            }
            "A rule file has an error" => {
                scene
                    .daemon
                    .save_rules(&rules("").replace("set: shop", "sett: shop"));
                scene
                    .daemon
                    .until("that the last good version is kept", |s| {
                        s["rules"][0]["lastGood"] == true || s["rules"][1]["lastGood"] == true
                    })
                    .await;
            }
            _ => {}
        }
        if heading == "A rule file has an error" {
            // The file is looked at; then more than three rules are gone at once, which is taken for a fault.
            let (looked, acknowledged) = steps.split_at(steps.len() - 1);
            // `ordain check` says that there is an error, by its exit code too, and that is what is printed.
            scene.type_all(looked, name);
            let more: String = (0..6)
                .map(|n| {
                    rules("")
                        .split("---\n")
                        .next()
                        .unwrap()
                        .replace("name: labels", &format!("name: more-{n}"))
                        + "---\n"
                })
                .collect();
            scene.daemon.save_rules(&format!("{more}{}", rules("")));
            scene
                .daemon
                .until("eight rules", |s| {
                    s["rules"].as_array().is_some_and(|r| r.len() == 8)
                })
                .await;
            scene.daemon.save_rules(&rules(""));
            scene
                .daemon
                .until("a fault", |s| s["fault"].is_string())
                .await;
            scene.type_all(acknowledged, name);
            scene
                .daemon
                .until("two rules", |s| {
                    s["rules"].as_array().is_some_and(|r| r.len() == 2)
                })
                .await;
            continue;
        }
        let printed = scene.type_all(steps, name);
        let told = match heading.as_str() {
            "A rule was aborted" => "20",
            "Objects of a rule are blocked" => "Throttled",
            "A breaker is open" => "`release-robot` writes the same fields",
            "A kind cannot be watched" => "Ghost.nowhere.example",
            "What rules remember" => "changed or deleted by somebody",
            _ => "",
        };
        assert!(printed.contains(told), "{heading}: {told}\n{printed}");
        match heading.as_str() {
            "Everything must stop changing things, now" => {
                scene
                    .daemon
                    .until("that it acts again", |s| s["frozen"] == false)
                    .await;
            }
            "A rule was aborted" => {
                until("that the rule goes on", &scene.daemon, || async {
                    scene.old_ones().await == 0
                })
                .await;
            }
            "Objects of a rule are blocked" => {
                scene.daemon.save_rules(&rules(""));
                for n in 0..MANY {
                    let _ = scene
                        .maps
                        .delete(&format!("old-{n}"), &DeleteParams::default())
                        .await;
                }
            }
            "A rule is refused: UncheckedPath" => {
                scene
                    .daemon
                    .until("that the rule goes on", |s| !finding(s, "UncheckedPath"))
                    .await;
                scene.daemon.save_rules(&rules(""));
            }
            "A breaker is open" => {
                until("that the rule goes on", &scene.daemon, || async {
                    scene.team().await.as_deref() == Some("shop")
                        && !scene.finds("BreakerOpen").await
                })
                .await;
            }
            "A kind cannot be watched" => scene.daemon.save_rules(&rules("")),
            "Two replicas, and which of them acts" => {
                let leases: Api<Lease> = Api::namespaced(client.clone(), "ordain-system");
                until(
                    "that the annotation is taken away",
                    &scene.daemon,
                    || async {
                        let lease = leases.get("ordain").await.unwrap();
                        let annotations = lease.metadata.annotations.unwrap_or_default();
                        !annotations.contains_key("ordain.dev/acknowledge")
                    },
                )
                .await;
                scene
                    .daemon
                    .until("that it is not frozen", |s| s["frozen"] == false)
                    .await;
            }
            _ => {}
        }
    }
    // After all that it does its work.
    let label = Patch::Merge(json!({"metadata": {"labels": {"team": "others"}}}));
    scene
        .maps
        .patch("settings", &PatchParams::default(), &label)
        .await
        .unwrap();
    until("that the rule acts", &scene.daemon, || async {
        let labels = scene.maps.get("settings").await.unwrap().metadata.labels;
        labels
            .unwrap_or_default()
            .get("team")
            .is_some_and(|team| team == "shop")
    })
    .await;
}
