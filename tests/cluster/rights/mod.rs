//! The rights that `ordain rbac` prints are enough for all of `rules/` on the real server, and none of them is too many.

use crate::control_plane::{Options, Plane};
use crate::daemon::Daemon;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use ordain::object::Gvk;
use ordain::schema::Schema;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const HOME: &str = "ordain-system";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Ready-made rules, in Enforce: all, or those of these names.
fn rules(names: &[&str]) -> String {
    let mut files = vec![];
    for topic in std::fs::read_dir(root().join("rules")).unwrap().flatten() {
        // A kind of its own has to be defined first; a claim cannot be made smaller again for the next run.
        let left_out = ["operators", "storage"]
            .iter()
            .any(|name| topic.file_name() == *name);
        if !topic.path().is_dir() || left_out {
            continue;
        }
        for file in std::fs::read_dir(topic.path()).unwrap().flatten() {
            let path = file.path();
            let meant = |name: &&str| path.file_stem().is_some_and(|stem| stem == *name);
            let wanted = names.is_empty() || names.iter().any(meant);
            if wanted && path.extension().is_some_and(|e| e == "yaml") {
                files.push(std::fs::read_to_string(file.path()).unwrap());
            }
        }
    }
    assert!(files.len() >= 3);
    files
        .join("\n---\n")
        .replace("mode: Audit", "mode: Enforce")
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
}

/// The printed documents, and each line of them.
fn printed(folder: &Path) -> (Vec<Value>, Vec<Line>) {
    let rules = folder.display().to_string();
    let (good, text) = ordain(&["rbac", "--rules", &rules, "--state-namespace", HOME]);
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

/// The namespace of the Role that a line stands in.
fn documents_namespace<'s>(scene: &'s Scene, line: &Line) -> Option<&'s str> {
    scene.documents[line.document]["metadata"]["namespace"].as_str()
}

async fn put(client: &kube::Client, object: &Value) {
    let gvk = Gvk::from_api_version(
        object["apiVersion"].as_str().unwrap(),
        object["kind"].as_str().unwrap(),
    );
    let known = Schema::bundled().kind_at(&gvk).unwrap();
    let resource = ApiResource {
        group: gvk.group.to_string(),
        version: gvk.version.to_string(),
        api_version: gvk.api_version(),
        kind: gvk.kind.to_string(),
        plural: known.plural.to_string(),
    };
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let made: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let name = object["metadata"]["name"].as_str().unwrap();
    match api.create(&PostParams::default(), &made).await {
        // As it was before rules changed it.
        Err(kube::Error::Api(error)) if error.code == 409 => match &*gvk.kind {
            "Deployment" | "ServiceAccount" => {
                api.delete(name, &DeleteParams::default()).await.unwrap();
                api.create(&PostParams::default(), &made).await.unwrap();
            }
            "Namespace" => {
                let labels = json!({"pod-security.kubernetes.io/enforce": null, "pod-security.kubernetes.io/warn": null});
                let without = Patch::Merge(json!({"metadata": {"labels": labels}}));
                api.patch(name, &PatchParams::default(), &without)
                    .await
                    .unwrap();
            }
            _ => {}
        },
        other => drop(other.unwrap()),
    }
    if !object["status"].is_null() {
        let status = Patch::Merge(json!({"status": object["status"]}));
        api.patch_status(name, &PatchParams::default(), &status)
            .await
            .unwrap();
    }
}

struct Scene {
    plane: Plane,
    admin: kube::Client,
    folder: tempfile::TempDir,
    documents: Vec<Value>,
    rules: String,
}

impl Scene {
    /// Puts the objects back that rules have acted on.
    async fn set(&self) {
        let text = std::fs::read_to_string(root().join("tests/cluster/rights/objects.yaml"));
        for object in text.unwrap().split("---\n") {
            put(&self.admin, &serde_saphyr::from_str(object).unwrap()).await;
        }
    }

    /// An identity of its own with these lines.
    async fn identity(&self, name: &str, lines: &[&Line]) -> PathBuf {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.clone(), HOME);
        let account = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        accounts
            .create(&PostParams::default(), &account)
            .await
            .unwrap();
        for (document, printed) in self.documents.iter().enumerate() {
            let mut object = printed.clone();
            object["metadata"]["name"] = name.into();
            if object.get("roleRef").is_some() {
                object["roleRef"]["name"] = name.into();
                object["subjects"][0]["name"] = name.into();
            } else {
                let of_it = lines.iter().filter(|l| l.document == document);
                object["rules"] = of_it.map(|l| l.rule.clone()).collect();
            }
            put(&self.admin, &object).await;
        }
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        self.plane.kubeconfig_for_account(HOME, name, &folder).await
    }

    fn daemon(&self, kubeconfig: &Path, more: &[&str]) -> Daemon {
        let state = format!("--state-namespace={HOME}");
        let mut all = vec![state.as_str()];
        all.extend(more);
        Daemon::start(kubeconfig, &self.rules, &all)
    }
}

const ELECTS: [&str; 4] = [
    "--leader-election",
    "--lease-duration=5s",
    "--lease-renew-deadline=3s",
    "--lease-retry-period=500ms",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_rights_are_enough_for_all_rules_and_each_of_them_is_needed() {
    let plane = tokio::task::spawn_blocking(|| Plane::start(Options::default()))
        .await
        .unwrap();
    let admin = plane.client().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("rules/all.yaml"), rules(&[])).unwrap();
    let (documents, lines) = printed(&folder.path().join("rules"));
    for name in ["shop", HOME] {
        put(
            &admin,
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
        )
        .await;
    }
    // Without a controller manager nobody else makes it.
    put(
        &admin,
        &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "shop"}}),
    )
    .await;
    let mut scene = Scene {
        plane,
        admin,
        folder,
        documents,
        rules: rules(&[]),
    };
    let all: Vec<&Line> = lines.iter().collect();
    let rules_folder = scene.folder.path().join("rules").display().to_string();
    let check = |kubeconfig: &Path| {
        let kubeconfig = kubeconfig.display().to_string();
        ordain(&[
            "rbac",
            "--check",
            "--rules",
            &rules_folder,
            "--state-namespace",
            HOME,
            "--kubeconfig",
            &kubeconfig,
        ])
    };

    // Enough.
    scene.set().await;
    let kubeconfig = scene.identity("whole", &all).await;
    let (good, said) = check(&kubeconfig);
    assert!(good && said.contains("all are granted"), "{said}");
    let mut daemon = scene.daemon(&kubeconfig, &ELECTS);
    let acted = |status: &Value| {
        status["changes"]["made"].as_u64() >= Some(6)
            && status["findings"]["total"].as_u64() >= Some(1)
            && status["requestsInFlight"] == 0
            && status["queueDepth"] == 0
    };
    let status = daemon.until("that all rules have acted", acted).await;
    let synced = |kind: &Value| kind["state"] == "Synced";
    assert!(
        status["kinds"].as_array().unwrap().iter().all(synced),
        "{status}"
    );
    assert_eq!(status["leader"]["trouble"], Value::Null);
    let log = daemon.log();
    assert!(!log.to_lowercase().contains("forbidden"), "{log}");
    assert_eq!(daemon.stop().await, Some(0));
    // What these objects give cause for; of what nothing gave cause for it is only checked that it is missed.
    let used: Vec<(String, String)> = scene
        .plane
        .audit()
        .of_ordain("")
        .into_iter()
        .filter(|request| request.code < 300)
        .map(|request| (request.verb, request.resource))
        .collect();
    let is_used = |verb: &str, resource: &str| {
        let plain = resource.split('/').next().unwrap();
        used.iter().any(|(v, r)| v == verb && r == plain)
    };
    for (verb, resource) in [
        ("delete", "jobs"),
        ("delete", "pods"),
        ("delete", "leases"),
        ("delete", "clusterrolebindings"),
        ("patch", "deployments"),
        ("patch", "namespaces"),
        ("patch", "serviceaccounts"),
    ] {
        assert!(is_used(verb, resource), "{verb} {resource}: {used:?}");
    }

    // Not too much: of rules that find something to do among these objects.
    scene.rules = rules(&["required-labels", "finished-jobs", "evicted-pods"]);
    std::fs::write(scene.folder.path().join("rules/all.yaml"), &scene.rules).unwrap();
    let (documents, lines) = printed(&scene.folder.path().join("rules"));
    let all: Vec<&Line> = lines.iter().collect();
    scene.documents = documents;
    let leases: Api<Lease> = Api::namespaced(scene.admin.clone(), HOME);
    for (n, line) in lines.iter().enumerate() {
        let (group, resource, verb) =
            (line.of("apiGroups"), line.of("resources"), line.of("verbs"));
        let what = format!("{verb} {resource} of {group:?}");
        let rest: Vec<&Line> = all
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != n)
            .map(|(_, l)| *l)
            .collect();
        let kubeconfig = scene.identity(&format!("without-{n}"), &rest).await;
        let (good, said) = check(&kubeconfig);
        assert!(
            !good && said.contains(&format!("missing: {verb} {resource}")),
            "{what}: {said}"
        );
        assert!(said.contains(" 1 missing"), "{what}: {said}");
        let own = documents_namespace(&scene, line) == Some(HOME) && resource == "configmaps";
        match (group, verb) {
            (_, "list") if own => {
                let daemon = scene.daemon(&kubeconfig, &[]);
                crate::daemon::until(&what, &daemon, || async {
                    daemon.log().contains("what was remembered cannot be read")
                })
                .await;
            }
            (_, "create") if own => {
                let mut daemon = scene.daemon(&kubeconfig, &[]);
                daemon
                    .until(&what, |s| {
                        s["findings"]["byReason"]["NotRemembered"].as_u64() >= Some(1)
                    })
                    .await;
            }
            // Needed when somebody else has written there, and when there is more to keep.
            _ if own => {}
            ("coordination.k8s.io", "create" | "update") => {
                let _ = leases.delete("ordain", &DeleteParams::default()).await;
                let mut daemon = scene.daemon(&kubeconfig, &ELECTS);
                let refused = format!("to {verb} the Lease");
                daemon
                    .until(&what, |s| {
                        let trouble = s["leader"]["trouble"].as_str();
                        trouble.is_some_and(|t| t.contains(&refused) && t.contains("ordain rbac"))
                    })
                    .await;
            }
            // Without them kinds that come later are not noticed, which is said; rules of kinds that are there work.
            ("apiextensions.k8s.io" | "apiregistration.k8s.io", _) => {
                let daemon = scene.daemon(&kubeconfig, &["--audit-only"]);
                let kind = match group {
                    "apiextensions.k8s.io" => "CustomResourceDefinition",
                    _ => "APIService",
                };
                crate::daemon::until(&what, &daemon, || async {
                    let log = daemon.log();
                    log.lines()
                        .any(|l| l.contains(kind) && l.contains("cannot be followed"))
                })
                .await;
            }
            (_, "list" | "watch") => {
                let mut daemon = scene.daemon(&kubeconfig, &["--audit-only"]);
                daemon
                    .until(&what, |s| {
                        let kinds = s["kinds"].as_array().unwrap();
                        kinds.iter().any(|k| k["state"] == "Forbidden")
                    })
                    .await;
            }
            // Without it nothing fails but that it is not told on the object: here, that another right is missing too.
            ("events.k8s.io", "create") => {
                scene.set().await;
                let patches = |l: &&&Line| !["patch", "delete"].contains(&l.of("verbs"));
                let fewer: Vec<&Line> = rest.iter().filter(patches).copied().collect();
                let kubeconfig = scene.identity("tells-nothing", &fewer).await;
                let mut daemon = scene.daemon(&kubeconfig, &[]);
                daemon
                    .until(&what, |s| {
                        s["findings"]["byReason"]["Forbidden"].as_u64() >= Some(1)
                    })
                    .await;
                crate::daemon::until(&what, &daemon, || async {
                    daemon.log().contains("Events on objects cannot be written")
                })
                .await;
            }
            // Needed only when the answer to a write is lost.
            (_, "get") => {}
            (_, _) if !is_used(verb, resource) => {}
            (_, _) => {
                scene.set().await;
                let mut daemon = scene.daemon(&kubeconfig, &[]);
                daemon
                    .until(&what, |s| {
                        s["findings"]["byReason"]["Forbidden"].as_u64() >= Some(1)
                    })
                    .await;
            }
        }
    }
}
