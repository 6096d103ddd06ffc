//! The Helm chart on a real API server, by the real helm: what is installed is accepted, acts, follows its rules, survives upgrades.

mod replicas;

use crate::container::Container;
use crate::control_plane::processes::free_port;
use crate::control_plane::programs::program;
use crate::control_plane::tools::{Ran, helm, render, run};
use crate::control_plane::{Plane, shared};
use crate::prometheus;
use crate::scene::{found, map, namespace};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn chart() -> PathBuf {
    root().join("charts/ordain")
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn ci(name: &str) -> String {
    path(&chart().join(format!("ci/{name}-values.yaml")))
}

/// A namespace in which Pod security is enforced as strictly as Kubernetes can.
pub async fn restricted(client: &kube::Client, word: &str) -> String {
    let name = namespace(client, word).await;
    let all: Api<Namespace> = Api::all(client.clone());
    let strict = json!({"metadata": {"labels": {
        "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}}});
    let as_test = PatchParams::default();
    all.patch(&name, &as_test, &Patch::Merge(strict))
        .await
        .unwrap();
    name
}

/// What helm did, if it did it without a word of warning.
#[track_caller]
pub fn quiet(ran: Ran) -> String {
    let err = ran.err.to_lowercase();
    assert!(!err.contains("warn"), "{}", ran.err);
    ran.ok()
}

/// The Pod that the Deployment's controller made.
async fn pod(client: &kube::Client, namespace: &str, component: &str) -> Pod {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let of = ListParams::default().labels(&format!("app.kubernetes.io/component={component}"));
    found(
        || "the Pod".into(),
        || async {
            let mut found = pods.list(&of).await.unwrap().items;
            found.retain(|p| p.metadata.deletion_timestamp.is_none());
            found.pop()
        },
    )
    .await
}

/// The value set with rules, for ConfigMaps that no other test has, and with replacements; in a file.
fn rules_for(whose: &str, replacements: &[(&str, &str)], folder: &Path) -> String {
    let mut text = std::fs::read_to_string(ci("rules")).unwrap();
    let whose = format!("ordain-test: {whose}");
    for (from, to) in [("ordain-test: \"yes\"", whose.as_str())]
        .iter()
        .chain(replacements)
    {
        assert_eq!(text.matches(from).count(), 1, "{from}\n{text}");
        text = text.replace(from, to);
    }
    let at = folder.join("values.yaml");
    std::fs::write(&at, text).unwrap();
    path(&at)
}

async fn labelled(client: &kube::Client, whose: &str, namespace: &str, name: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let mut new = map(name);
    new.metadata.labels = Some([("ordain-test".to_owned(), whose.to_owned())].into());
    maps.create(&PostParams::default(), &new).await.unwrap();
}

/// Waits until a ConfigMap has the label `owner` with a value.
async fn owned_by(
    container: &Container,
    client: &kube::Client,
    (namespace, name): (&str, &str),
    owner: &str,
) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let what = || format!("owner={owner} at {namespace}/{name}\n{}", container.log());
    found(what, || async {
        let map = maps.get(name).await.unwrap();
        let label = map.metadata.labels.and_then(|l| l.get("owner").cloned());
        (label.as_deref() == Some(owner)).then_some(())
    })
    .await;
}

fn operator_kinds(plane: &Plane) {
    for file in prometheus::operator_kinds() {
        plane
            .kubectl(&["apply", "--server-side", "-f", &path(&file)])
            .ok();
    }
    let wait =
        "crd/servicemonitors.monitoring.coreos.com crd/prometheusrules.monitoring.coreos.com";
    let mut arguments = vec!["wait", "--for=condition=Established", "--timeout=60s"];
    arguments.extend(wait.split(' '));
    plane.kubectl(&arguments).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_set_is_accepted_without_a_warning_and_goes_without_a_trace() {
    let plane = shared();
    let client = plane.client().await;
    operator_kinds(plane);
    // The two that the namespaced set names.
    let all: Api<Namespace> = Api::all(client.clone());
    for name in ["ordain-ci-a", "ordain-ci-b"] {
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.into()),
                ..Default::default()
            },
            ..Default::default()
        };
        all.create(&PostParams::default(), &namespace)
            .await
            .unwrap();
    }
    let mut kinds = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(chart().join("ci")).unwrap() {
        let file = path(&file.unwrap().path());
        let home = restricted(&client, "chart").await;
        let installed = plane.helm(&[
            "install",
            "ordain",
            &path(&chart()),
            "--namespace",
            &home,
            "--values",
            &file,
        ]);
        let notes = quiet(installed);
        assert!(
            notes.contains(&format!("--namespace {home} exec")),
            "{notes}"
        );
        assert!(notes.contains("/freeze"), "{notes}");
        let manifest = quiet(plane.helm(&["get", "manifest", "ordain", "--namespace", &home]));
        let folder = tempfile::tempdir().unwrap();
        let at = path(&folder.path().join("manifest.yaml"));
        std::fs::write(&at, &manifest).unwrap();
        // Each object is there and is Ordain's own by its label.
        let found = plane.kubectl(&["get", "-f", &at, "-o", "json"]).ok();
        let found: Value = serde_json::from_str(&found).unwrap();
        let objects = found["items"].as_array().unwrap();
        assert_eq!(
            objects.len(),
            manifest.matches("\nkind: ").count(),
            "{file}"
        );
        for object in objects {
            kinds.insert(object["kind"].as_str().unwrap().to_owned());
            assert_eq!(
                object["metadata"]["labels"]["app.kubernetes.io/name"], "ordain",
                "{object}"
            );
        }
        quiet(plane.helm(&["uninstall", "ordain", "--namespace", &home, "--wait"]));
        let left = plane.kubectl(&["get", "-f", &at, "-o", "name", "--ignore-not-found"]);
        assert_eq!(left.ok(), "", "{file}");
    }
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    assert_eq!(
        kinds,
        [
            "ClusterRole",
            "ClusterRoleBinding",
            "ConfigMap",
            "Deployment",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "PrometheusRule",
            "Role",
            "RoleBinding",
            "Service",
            "ServiceAccount",
            "ServiceMonitor"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_acts_as_installed_follows_its_rules_and_passes_its_own_test() {
    let plane = shared();
    let client = plane.client().await;
    let home = restricted(&client, "chart-acts").await;
    // Not the release's own: that one is protected.
    let place = namespace(&client, "chart-acts-on").await;
    let port = format!("port={}", free_port());
    let install = |command: &[&str], values: &str| {
        let mut arguments = command.to_vec();
        let chart = path(&chart());
        arguments.extend([
            "ordain",
            &chart,
            "--namespace",
            &home,
            "--values",
            values,
            "--set",
            &port,
        ]);
        quiet(plane.helm(&arguments))
    };
    let folder = tempfile::tempdir().unwrap();
    install(&["install"], &rules_for(&home, &[], folder.path()));
    labelled(&client, &home, &place, "first").await;

    let service = format!("ordain.{home}");
    let created = pod(&client, &home, "daemon").await;
    let mut container = Container::start(plane, &created, &[]).await;
    let probes = &created.spec.as_ref().unwrap().containers[0];
    for probe in [&probes.liveness_probe, &probes.readiness_probe] {
        let asked = probe.as_ref().unwrap().http_get.as_ref().unwrap();
        container.until_ok(asked.path.as_ref().unwrap()).await;
    }
    owned_by(&container, &client, (&place, "first"), &place).await;

    // A rule is changed by an upgrade. The Deployment is not: the running daemon gets it.
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &home);
    let before = deployments.get("ordain").await.unwrap().metadata.generation;
    let changed = [
        (
            "operator: DoesNotExist",
            "operator: NotEquals, value: somebody",
        ),
        ("\"${object.metadata.namespace}\"", "somebody"),
    ];
    let changed = rules_for(&home, &changed, folder.path());
    install(&["upgrade"], &changed);
    container.sync().await;
    owned_by(&container, &client, (&place, "first"), "somebody").await;
    labelled(&client, &home, &place, "second").await;
    owned_by(&container, &client, (&place, "second"), "somebody").await;
    let after = deployments.get("ordain").await.unwrap().metadata.generation;
    assert_eq!(before, after, "a rule is no reason for a new Pod");

    // The release's own test, with this test as the kubelet of its Pod.
    let home_of_test = home.clone();
    let test = tokio::task::spawn_blocking(move || {
        plane.helm(&[
            "test",
            "ordain",
            "--namespace",
            &home_of_test,
            "--timeout",
            "120s",
        ])
    });
    let asking = pod(&client, &home, "test").await;
    let mut asked = Container::start(plane, &asking, &[&service]).await;
    let code = asked.wait().await;
    assert_eq!(code, Some(0), "{}", asked.log());
    let pods: Api<Pod> = Api::namespaced(client.clone(), &home);
    let ended = json!({"status": {"phase": "Succeeded"}});
    pods.patch_status(
        asking.metadata.name.as_ref().unwrap(),
        &PatchParams::default(),
        &Patch::Merge(ended),
    )
    .await
    .unwrap();
    let said = quiet(test.await.unwrap());
    assert!(said.contains("Succeeded"), "{said}");

    // What was written, by whom, and nothing else.
    let writes = plane.audit().of_ordain(&place);
    let patches: Vec<_> = writes
        .iter()
        .filter(|w| w.resource == "configmaps")
        .collect();
    assert_eq!(patches.len(), 3, "{writes:?}");
    assert!(
        patches.iter().all(|w| w.verb == "patch" && w.code == 200),
        "{writes:?}"
    );
    assert_eq!(writes.len(), patches.len(), "{writes:?}");
    assert_eq!(container.stop().await, Some(0), "{}", container.log());
    // From the first line to the last, whoever collects it can read it.
    let log = container.json_log();
    let said = |message: &str| log.iter().any(|line| line["message"] == message);
    assert!(said("ordain starts") && said("changed"), "{log:?}");
    quiet(plane.helm(&["uninstall", "ordain", "--namespace", &home]));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_namespaces_it_acts_there_and_has_no_right_elsewhere() {
    let plane = shared();
    let client = plane.client().await;
    let home = restricted(&client, "chart-few").await;
    let inside = [
        namespace(&client, "chart-in").await,
        namespace(&client, "chart-in").await,
    ];
    let outside = namespace(&client, "chart-out").await;
    // Rules in a ConfigMap that the release does not own.
    let folder = tempfile::tempdir().unwrap();
    let values = rules_for(&home, &[], folder.path());
    let values: Value = serde_saphyr::from_str(&std::fs::read_to_string(values).unwrap()).unwrap();
    let rules = ConfigMap {
        metadata: ObjectMeta {
            name: Some("team-rules".into()),
            ..Default::default()
        },
        data: Some(serde_json::from_value(values["rules"]["inline"].clone()).unwrap()),
        ..Default::default()
    };
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &home);
    maps.create(&PostParams::default(), &rules).await.unwrap();
    quiet(plane.helm(&[
        "install",
        "ordain",
        &path(&chart()),
        "--namespace",
        &home,
        "--values",
        &ci("namespaced"),
        "--set",
        &format!(
            "port={},auditOnly=false,namespaces={{{},{}}}",
            free_port(),
            inside[0],
            inside[1]
        ),
    ]));
    for place in inside.iter().chain([&outside]) {
        labelled(&client, &home, place, "mine").await;
    }
    let created = pod(&client, &home, "daemon").await;
    let mut container = Container::start(plane, &created, &[]).await;
    container.until_ok("/readyz").await;
    for place in &inside {
        owned_by(&container, &client, (place, "mine"), place).await;
    }
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &outside);
    let untouched = maps.get("mine").await.unwrap().metadata.labels.unwrap();
    assert_eq!(untouched.get("owner"), None);
    let bound = plane
        .kubectl(&["get", "clusterrolebindings", "-o", "json"])
        .ok();
    assert!(
        !bound.contains(&format!("\"{home}\"")),
        "bound for the whole cluster"
    );
    assert_eq!(container.stop().await, Some(0), "{}", container.log());
    quiet(plane.helm(&["uninstall", "ordain", "--namespace", &home]));
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_rollback_and_uninstall_leave_its_state_alone() {
    let plane = shared();
    let client = plane.client().await;
    let home = restricted(&client, "chart-keeps").await;
    let chart = path(&chart());
    let run = |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["--namespace", &home]);
        quiet(plane.helm(&all))
    };
    run(&["install", "ordain", &chart]);
    // What the daemon keeps is in the release's namespace, and is not the release's.
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &home);
    let leases: Api<Lease> = Api::namespaced(client.clone(), &home);
    let state = maps
        .create(&PostParams::default(), &map("ordain-state-0"))
        .await
        .unwrap();
    let lease: Lease = serde_json::from_value(
        json!({"metadata": {"name": "ordain"}, "spec": {"holderIdentity": "somebody"}}),
    )
    .unwrap();
    let lease = leases.create(&PostParams::default(), &lease).await.unwrap();
    let kept = || async {
        let now = (
            maps.get("ordain-state-0").await.unwrap().metadata,
            leases.get("ordain").await.unwrap().metadata,
        );
        assert_eq!(now.0.resource_version, state.metadata.resource_version);
        assert_eq!(now.1.resource_version, lease.metadata.resource_version);
    };
    let rules = || async {
        let data = maps.get("ordain-rules").await.unwrap().data.unwrap();
        data.into_keys().collect::<Vec<_>>()
    };
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &home);
    let arguments = || async {
        let spec = deployments.get("ordain").await.unwrap().spec;
        let pod = spec.template.spec.unwrap();
        pod.containers[0].args.clone().unwrap()
    };
    let first = (rules().await, arguments().await);
    assert_eq!(first.0, ["required-labels.yaml"]);

    run(&[
        "upgrade",
        "ordain",
        &chart,
        "--values",
        &ci("rules"),
        "--set",
        "workers=7,auditOnly=true",
    ]);
    assert_eq!(rules().await, ["owner-label.yaml"]);
    let second = arguments().await;
    assert!(second.contains(&"--workers=7".to_owned()), "{second:?}");
    assert!(second.contains(&"--audit-only".to_owned()), "{second:?}");
    kept().await;

    run(&["rollback", "ordain", "1"]);
    assert_eq!((rules().await, arguments().await), first);
    kept().await;

    run(&["uninstall", "ordain"]);
    assert!(
        deployments
            .get_opt("ordain")
            .await
            .unwrap()
            .is_none_or(|d| d.metadata.deletion_timestamp.is_some())
    );
    kept().await;
}

#[test]
fn values_that_do_not_fit_are_refused_with_the_place() {
    for (set, said) in [
        ("replica=2", "additional properties 'replica' not allowed"),
        (
            "image.repo=x",
            "at '/image': additional properties 'repo' not allowed",
        ),
        (
            "rules.inlin.a=b",
            "at '/rules': additional properties 'inlin' not allowed",
        ),
        (r"rules.inline.notes\.txt=b", "notes.txt"),
        (
            r"rules.inline.a\.yaml.b=c",
            "at '/rules/inline/a.yaml': got object, want string",
        ),
        (
            "rbac.clusterRules[0].verb=get",
            "additional properties 'verb' not allowed",
        ),
        ("workers=0", "at '/workers': minimum: got 0, want 1"),
        (
            "writeRate=fast",
            "at '/writeRate': got string, want integer",
        ),
        ("log.format=xml", "at '/log/format'"),
        ("namespaces[0]=Shop", "at '/namespaces/0'"),
        ("extraArgs[0]=-x", "at '/extraArgs/0'"),
        (
            "extraEnv[0].name=A,extraEnv[0].valueForm.a=b",
            "additional properties 'valueForm' not allowed",
        ),
        ("port=80", "at '/port'"),
        ("listenAddress=everywhere", "at '/listenAddress'"),
        (
            "resources.limit.cpu=1",
            "at '/resources': additional properties 'limit' not allowed",
        ),
        (
            "resources.limits.memory=lots",
            "at '/resources/limits/memory'",
        ),
        (
            "terminationGracePeriodSeconds=5",
            "at '/terminationGracePeriodSeconds': minimum: got 5, want 11",
        ),
        (
            "securityContext.readOnlyRootFileSystem=true",
            "additional properties 'readOnlyRootFileSystem' not allowed",
        ),
        (
            "tolerations[0].effects=NoSchedule",
            "additional properties 'effects' not allowed",
        ),
        (
            "serviceMonitor.enabled=true",
            "at '/serviceMonitor': additional properties 'enabled' not allowed",
        ),
        (
            "networkPolicy.apiServerPorts[0]=0",
            "at '/networkPolicy/apiServerPorts/0'",
        ),
    ] {
        let refused = render("ordain", &chart(), &["--set", set]).expect_err(set);
        assert!(refused.err.contains(said), "{set}: {}", refused.err);
    }
}

#[test]
fn values_that_contradict_each_other_are_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let at = folder.path().join(name);
        std::fs::write(&at, text).unwrap();
        format!("rbac.manifest={}", at.display())
    };
    let elsewhere = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: ordain, namespace: elsewhere}\nrules: []\n";
    let elsewhere = file("elsewhere.yaml", elsewhere);
    let other = file(
        "other.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
    );
    let broken = file("broken.yaml", "a: [\n");
    let rule = r"rules.inline.a\.yaml=x";
    for (arguments, said) in [
        (
            &["--set", rule, "--namespace", "home"][..],
            "ordain rbac --rules RULES --state-namespace home > rbac.yaml",
        ),
        (
            &["--set", "rules.configMaps={a},namespaces={b}"],
            "--state-namespace default --namespace b > rbac.yaml",
        ),
        (
            &["--set-file", &elsewhere],
            "neither the release's (default) nor one of `namespaces`",
        ),
        (&["--set-file", &other], "it has a ConfigMap"),
        (&["--set-file", &broken], "not what `ordain rbac` prints"),
        (
            &["--set", "rbac.namespaceRules[0].verbs={get}"],
            "but no namespaces",
        ),
        (
            &["--set", "serviceMonitor.create=true,service.create=false"],
            "serviceMonitor.create needs service.create",
        ),
    ] {
        let refused = render("ordain", &chart(), arguments).expect_err(said);
        assert!(refused.err.contains(said), "{arguments:?}: {}", refused.err);
    }
}

#[test]
fn rules_pass_through_helm_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    // What helm's or YAML's own syntax might eat.
    let text = "# {{ .Values.port }}\n\n  indented: ${object.metadata.name}\n\ttab: '{{ fail \"x\" }}'\n\"quoted\": é\\n\n\n";
    let at = folder.path().join("odd.yaml");
    std::fs::write(&at, text).unwrap();
    let file = format!(r"rules.inline.odd\.yaml={}", at.display());
    let more = ["--set-file", &file, "--set", "rbac.create=false"];
    let objects = render("ordain", &chart(), &more).unwrap();
    let rules = objects
        .iter()
        .find(|o| o["metadata"]["name"] == "ordain-rules");
    assert_eq!(rules.unwrap()["data"]["odd.yaml"], text);
    let more = ["--set", "dashboard.create=true,prometheusRule.create=true"];
    let objects = render("ordain", &chart(), &more).unwrap();
    let of = |kind: &str, name: &str| {
        let found = objects
            .iter()
            .find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
        found.unwrap().clone()
    };
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let alerts: Value =
        serde_saphyr::from_str(&read("deploy/prometheus/ordain.rules.yaml")).unwrap();
    assert_eq!(of("PrometheusRule", "ordain")["spec"], alerts);
    let shown = of("ConfigMap", "ordain-dashboard")["data"]["ordain.json"].clone();
    let shown: Value = serde_json::from_str(shown.as_str().unwrap()).unwrap();
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/ordain.json")).unwrap();
    assert_eq!(shown, dashboard);
}

#[test]
fn the_rights_that_were_printed_are_the_rights_that_are_given() {
    let ordain = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_ordain"))
            .arg("rbac")
            .args(arguments)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // Apart from the Lease, which the chart calls after the release.
    let rules_of = |objects: &[Value]| {
        let mut found: Vec<(String, String)> = vec![];
        for object in objects {
            let kind = object["kind"].as_str().unwrap();
            for rule in object["rules"].as_array().into_iter().flatten() {
                if rule["apiGroups"][0] != "coordination.k8s.io" {
                    let place = object["metadata"]["namespace"].as_str().unwrap_or("");
                    // helm sorts the fields.
                    let fields = rule.as_object().unwrap().iter();
                    let fields: std::collections::BTreeMap<_, _> = fields.collect();
                    found.push((format!("{kind}/{place}"), format!("{fields:?}")));
                }
            }
        }
        found.sort();
        found
    };
    let folder = tempfile::tempdir().unwrap();
    for options in [&[][..], &["--namespace", "a", "--namespace", "home"]] {
        let mut arguments = vec!["--rules", "rules", "--state-namespace", "home"];
        arguments.extend(options);
        let printed = ordain(&arguments);
        let at = folder.path().join("rbac.yaml");
        std::fs::write(&at, &printed).unwrap();
        let file = format!("rbac.manifest={}", at.display());
        let mut more = vec!["--namespace", "home", "--set-file", &file];
        if !options.is_empty() {
            more.extend(["--set", "namespaces={a,home}"]);
        }
        let printed: Vec<Value> = serde_saphyr::from_multiple(&printed).unwrap();
        let rendered = render("ordain", &chart(), &more).unwrap();
        assert!(!rules_of(&printed).is_empty());
        assert_eq!(rules_of(&rendered), rules_of(&printed), "{options:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_manifests_are_those_of_the_chart_and_are_accepted() {
    let fresh = tempfile::tempdir().unwrap();
    let made = std::process::Command::new(root().join("deploy/generate"))
        .arg(fresh.path())
        .env("HELM", program("helm"))
        .env("ORDAIN", env!("CARGO_BIN_EXE_ordain"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut compared = 0;
    let mut folders = vec![fresh.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let at = entry.unwrap().path();
            if at.is_dir() {
                folders.push(at);
                continue;
            }
            let name = at.strip_prefix(fresh.path()).unwrap();
            let committed = std::fs::read_to_string(root().join(name)).unwrap_or_default();
            let new = std::fs::read_to_string(&at).unwrap();
            assert!(
                new == committed,
                "{} is out of date: run deploy/generate",
                name.display()
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 4);

    // As an operator takes them: a kustomization over them, here with another namespace.
    let plane = shared();
    let client = plane.client().await;
    let home = restricted(&client, "manifests").await;
    let overlay = tempfile::tempdir_in(root().join("target")).unwrap();
    let text = format!(
        "resources: [../../deploy/manifests]\nnamespace: {home}\nimages: [{{name: ordain, newName: registry.example.com/ordain, newTag: '1'}}]\n\
         configMapGenerator:\n- {{name: ordain-rules, namespace: ordain-system, behavior: replace, files: [mine.yaml], options: {{disableNameSuffixHash: true}}}}\n"
    );
    std::fs::write(overlay.path().join("kustomization.yaml"), text).unwrap();
    std::fs::copy(
        root().join("rules/jobs/finished-jobs.yaml"),
        overlay.path().join("mine.yaml"),
    )
    .unwrap();
    let applied = plane.kubectl(&["apply", "-k", &path(overlay.path())]);
    assert_eq!(
        applied.err.to_lowercase().matches("warning").count(),
        1,
        "the namespace was there before: {}",
        applied.err
    );
    applied.ok();
    let created = pod(&client, &home, "daemon").await;
    let container = &created.spec.as_ref().unwrap().containers[0];
    assert_eq!(
        container.image.as_deref(),
        Some("registry.example.com/ordain:1")
    );
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &home);
    let rules = maps.get("ordain-rules").await.unwrap().data.unwrap();
    assert_eq!(rules.into_keys().collect::<Vec<_>>(), ["mine.yaml"]);
    plane
        .kubectl(&[
            "delete",
            "clusterrole,clusterrolebinding",
            "ordain-system:ordain",
        ])
        .ok();
}

#[test]
fn the_rules_in_the_value_sets_are_good() {
    let mut found = 0;
    for set in ["default", "rules"] {
        for object in render("ordain", &chart(), &["--values", &ci(set)]).unwrap() {
            if object["kind"] != "ConfigMap" {
                continue;
            }
            for (name, text) in object["data"].as_object().unwrap() {
                let folder = tempfile::tempdir().unwrap();
                let at = folder.path().join(name);
                std::fs::write(&at, text.as_str().unwrap()).unwrap();
                let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_ordain"));
                run(check.arg("check").arg(&at)).ok();
                found += 1;
            }
        }
    }
    assert_eq!(found, 2);
}

#[test]
fn the_chart_is_as_helm_wants_it() {
    let said = helm(&["lint", "--strict", &path(&chart())]).ok();
    assert!(
        said.contains("0 chart(s) failed") && !said.contains("WARN"),
        "{said}"
    );
    let folder = tempfile::tempdir().unwrap();
    helm(&[
        "package",
        &path(&chart()),
        "--destination",
        &path(folder.path()),
    ])
    .ok();
    let package = folder.path().join("ordain-0.1.0.tgz");
    // What is packaged makes what the folder makes.
    let more = ["--set", "dashboard.create=true,prometheusRule.create=true"];
    assert_eq!(
        render("ordain", &package, &more).unwrap(),
        render("ordain", &chart(), &more).unwrap()
    );
}
