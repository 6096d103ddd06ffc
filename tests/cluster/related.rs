//! Rules that see other objects, on the real server, judged by its audit log.

use crate::control_plane::audit::Request;
use crate::control_plane::{Plane, shared};
use crate::daemon::{Daemon, until};
use crate::scene::{self, Place, account_everywhere, define, following, follows, namespace};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams,
};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A ready-made rule, in Enforce, in one namespace, without waiting.
fn ready_made(file: &str, kind: &str, namespace: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("rules")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let within = format!("{kind}}}\n    namespaces: ['{namespace}']\n");
    let here =
        text.replace("mode: Audit", "mode: Enforce")
            .replacen(&format!("{kind}}}\n"), &within, 1);
    assert!(here.contains(&within), "{here}");
    let lines = here
        .lines()
        .filter(|line| !line.contains("after: ") && !line.contains("as: age"));
    lines.collect::<Vec<_>>().join("\n")
}

fn made<K: serde::de::DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}

async fn create<K>(api: &Api<K>, object: Value)
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    api.create(&PostParams::default(), &made(object))
        .await
        .unwrap();
}

fn pod(name: &str, map: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "containers": [{"name": "app", "image": "app", "envFrom": [{"configMapRef": {"name": map}}]}]}})
}

fn deletions(plane: &Plane, namespace: &str) -> Vec<Request> {
    let mut requests = plane.audit().of_ordain(namespace);
    requests.retain(|r| r.verb == "delete");
    requests
}

/// Nobody who may not list Pods concludes that no Pod uses something.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_listed_is_not_none() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "orphans").await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
    let pods: Api<Pod> = Api::namespaced(client.clone(), &name);
    for map in ["used", "unused"] {
        create(&maps, json!({"metadata": {"name": map}})).await;
    }
    until_account(&client, &name).await;
    create(&pods, pod("reader", "used")).await;
    account_everywhere(&client, &name).await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = plane
        .kubeconfig_for_account(&name, "ordain", folder.path())
        .await;
    let rule = ready_made("unused/orphaned-configmaps.yaml", "kind: ConfigMap", &name);
    let mut daemon = Daemon::start(&kubeconfig, &rule, &[]);
    let status = daemon
        .until("that Pods may not be listed", |s| {
            s["findings"]["byReason"]["Forbidden"].as_u64() >= Some(1)
        })
        .await;
    assert_eq!(status["rules"][0]["state"], "waiting", "{status}");
    assert!(deletions(plane, &name).is_empty());

    // Once it may, it knows.
    let role = format!("{name}-readers");
    let rights = json!({"metadata": {"name": role}, "rules": [
        {"apiGroups": ["", "apps", "batch"], "resources": ["pods", "replicasets", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["delete"]}]});
    create(&Api::<ClusterRole>::all(client.clone()), rights).await;
    let binding = json!({"metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "ordain", "namespace": name}]});
    create(&Api::<ClusterRoleBinding>::all(client.clone()), binding).await;
    until("that what nobody uses is gone", &daemon, || async {
        maps.get_opt("unused").await.unwrap().is_none()
    })
    .await;
    // The last user goes.
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete("reader", &at_once).await.unwrap();
    until("that what it used is gone too", &daemon, || async {
        maps.get_opt("used").await.unwrap().is_none()
    })
    .await;
    let all = deletions(plane, &name);
    let names: Vec<&str> = all.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["unused", "used"], "{all:?}");
}

/// Without its account the server takes no Pod.
async fn until_account(client: &kube::Client, namespace: &str) {
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
        Api::namespaced(client.clone(), namespace);
    let account = json!({"metadata": {"name": "default"}});
    match accounts
        .create(&PostParams::default(), &made(account))
        .await
    {
        Err(kube::Error::Api(error)) if error.code == 409 => {}
        other => drop(other.unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_without_endpoints_are_told_while_they_are_so() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "endless").await;
    let services: Api<Service> = Api::namespaced(client.clone(), &name);
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &name);
    for service in ["served", "nobody"] {
        let spec = json!({"selector": {"app": service}, "ports": [{"port": 80}]});
        create(
            &services,
            json!({"metadata": {"name": service}, "spec": spec}),
        )
        .await;
    }
    let slice = |service: &str| {
        json!({"metadata": {"name": format!("{service}-by-hand"), "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"]}], "ports": []})
    };
    create(&slices, slice("served")).await;
    let file = "services/services-without-endpoints.yaml";
    let rule = ready_made(file, "kind: Service", &name);
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &[]);
    let told = |status: &Value, of: &[&str]| {
        let all = status["findings"]["listed"].as_array().unwrap();
        let mut found: Vec<&str> = all.iter().filter_map(|f| f["object"].as_str()).collect();
        found.sort_unstable();
        let wanted: Vec<String> = of.iter().map(|s| format!("Service/{name}/{s}")).collect();
        found == wanted
    };
    daemon
        .until("the one without an endpoint", |s| told(s, &["nobody"]))
        .await;
    create(&slices, slice("nobody")).await;
    daemon
        .until("that it has one", |s| s["ready"] == true && told(s, &[]))
        .await;
    slices
        .delete("served-by-hand", &DeleteParams::default())
        .await
        .unwrap();
    daemon
        .until("the other one", |s| told(s, &["served"]))
        .await;
    assert!(plane.audit().of_ordain(&name).is_empty());
}

/// An update of the original is one request for each copy; what is unchanged is asked for by nobody; a new namespace costs one request.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_copied_into_the_namespaces_of_a_list() {
    const COPIES: usize = 300;
    let plane = shared();
    let client = plane.client().await;
    let origin = namespace(&client, "fanned").await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let space = |n: usize| json!({"metadata": {"name": format!("{origin}-{n:03}"), "labels": {"wants": origin}}});
    for n in 0..COPIES {
        create(&namespaces, space(n)).await;
    }
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: fanned}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: Secret}}]
    namespaces: ['{origin}']
    names: [pull]
  related:
  - name: wanting
    resources: [{{apiVersion: v1, kind: Namespace}}]
    selector: {{matchLabels: {{wants: '{origin}'}}}}
  actions:
  - forEach: ${{wanting.map(n, n.metadata.name)}}
    apply: {{apiVersion: v1, kind: Secret, metadata: {{namespace: '${{item}}'}}}}
    copyOf: ${{object}}
"
    );
    let originals: Api<Secret> = Api::namespaced(client.clone(), &origin);
    let secret = json!({"type": "example.com/pull", "metadata": {"name": "pull"}, "stringData": {"token": "one"}});
    create(&originals, secret).await;
    let all: Api<Secret> = Api::all(client.clone());
    let saying = |token: &'static str| {
        let all = all.clone();
        let prefix = format!("{origin}-");
        async move {
            let pulls = ListParams::default().fields("type=example.com/pull");
            let found = all.list(&pulls).await.unwrap();
            let says = |s: &&Secret| {
                let there = s.metadata.namespace.as_ref();
                let data = s.data.as_ref().and_then(|d| d.get("token"));
                there.is_some_and(|n| n.starts_with(&prefix))
                    && data.is_some_and(|t| t.0 == token.as_bytes())
            };
            found.iter().filter(says).count()
        }
    };
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &["--write-rate=0"]);
    until("the copies", &daemon, || async {
        saying("one").await == COPIES
    })
    .await;
    let quiet = async |daemon: &mut Daemon| {
        daemon
            .until("that nothing is in flight", |s| {
                s["requestsInFlight"] == 0 && s["queueDepth"] == 0
            })
            .await;
    };
    quiet(&mut daemon).await;
    let count = || plane.audit().of_ordain(&origin).len();
    assert_eq!(count(), COPIES);

    // The content changes.
    let two: Patch<Value> = Patch::Merge(json!({"stringData": {"token": "two"}}));
    originals
        .patch("pull", &PatchParams::default(), &two)
        .await
        .unwrap();
    until("that all follow", &daemon, || async {
        saying("two").await == COPIES
    })
    .await;
    quiet(&mut daemon).await;
    assert_eq!(count(), 2 * COPIES);

    // Nothing that is copied changes, neither in the original nor in a namespace.
    let noted: Patch<Value> =
        Patch::Merge(json!({"metadata": {"annotations": {"ordain.dev/note": "seen"}}}));
    originals
        .patch("pull", &PatchParams::default(), &noted)
        .await
        .unwrap();
    let labelled: Patch<Value> = Patch::Merge(json!({"metadata": {"labels": {"team": "a"}}}));
    namespaces
        .patch(&format!("{origin}-000"), &PatchParams::default(), &labelled)
        .await
        .unwrap();
    // One more namespace shows that both have been seen.
    create(&namespaces, space(COPIES)).await;
    until("the copy in the new namespace", &daemon, || async {
        saying("two").await == COPIES + 1
    })
    .await;
    quiet(&mut daemon).await;
    let requests = plane.audit().of_ordain(&origin);
    assert_eq!(requests.len(), 2 * COPIES + 1);
    assert!(requests.iter().all(|r| r.code < 300));
}

/// The owner of a Pod that crashes, two lists away, is scaled with one request.
#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_crashing_pod_is_scaled() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "crashing").await;
    until_account(&client, &name).await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &name);
    let pods: Api<Pod> = Api::namespaced(client.clone(), &name);
    for deployment in ["crashing", "fine"] {
        let template = json!({"metadata": {"labels": {"app": deployment}}, "spec": {"containers": [{"name": "app", "image": "app"}]}});
        create(
            &deployments,
            json!({"metadata": {"name": deployment}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": deployment}}, "template": template}}),
        )
        .await;
    }
    let rule = ready_made("pods/crash-loops.yaml", "kind: Pod", &name);
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &[]);
    daemon.ready().await;
    let of = ListParams::default().labels("app=crashing");
    until("the Pods", &daemon, || async {
        pods.list(&of).await.unwrap().items.len() == 2
    })
    .await;
    let crashed: Patch<Value> = Patch::Merge(json!({"status": {"containerStatuses": [
        {"name": "app", "image": "app", "imageID": "", "ready": false, "restartCount": 25, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}));
    for pod in pods.list(&of).await.unwrap() {
        let name = pod.metadata.name.unwrap();
        pods.patch_status(&name, &PatchParams::default(), &crashed)
            .await
            .unwrap();
    }
    let replicas = async |name: &str| deployments.get(name).await.unwrap().spec.replicas;
    until("that it is scaled", &daemon, || async {
        replicas("crashing").await == Some(0)
    })
    .await;
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    assert_eq!(replicas("fine").await, Some(2));
    let mut requests = plane.audit().of_ordain(&name);
    requests.retain(|r| r.resource == "deployments");
    let scaled: Vec<(&str, &str, u64)> = requests
        .iter()
        .map(|r| (r.name.as_str(), r.subresource.as_str(), r.code))
        .collect();
    assert_eq!(scaled, [("crashing", "scale", 200)], "{requests:?}");
}

/// Deletes the ConfigMaps called `map-…` that no Ticket of `group` uses.
fn unused(namespace: &str, group: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: unused}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
    names: ['map-*']
  related:
  - name: users
    resources: [{{apiVersion: {group}/v1, kind: Ticket}}]
    selector: {{matchLabels: {{uses: '${{object.metadata.name}}'}}}}
    count: {{value: 0}}
  actions:
  - delete: {{}}
  limits: {{abortAbove: {{objects: 20}}}}
"
    )
}

/// A kind that is not there has no objects, and that proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_not_there_is_not_none() {
    let Place {
        plane,
        client,
        namespace,
        maps,
    } = Place::new("unused").await;
    let group = format!("{namespace}.example");
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    scene::create(&maps, &["map-a", "bystander"]).await;
    // What this one does shows that a change was seen: both look at the same objects.
    let rules = [
        unused(&namespace, &group),
        following("seeing", "v1", "ConfigMap", &namespace),
    ];
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rules.join("---\n"), &[]);
    let kind = format!("Ticket.{group}");
    let missed = |status: &Value| {
        let kinds = status["kinds"].as_array().unwrap();
        let findings = status["findings"]["listed"].as_array().unwrap();
        let rule = status["rules"].as_array().unwrap();
        kinds
            .iter()
            .any(|k| k["kind"] == kind.as_str() && k["state"] == "NoSuchKind")
            && findings.iter().any(|f| {
                f["rule"] == "unused"
                    && f["reason"] == "Waiting"
                    && f["message"].as_str().unwrap().contains(&kind)
            })
            && rule
                .iter()
                .any(|r| r["name"] == "unused" && r["state"] == "waiting")
    };
    daemon.until("which kind the rule waits for", missed).await;
    follows(&daemon, &maps, "map-a", "1").await;
    follows(&daemon, &maps, "bystander", "1").await;
    assert!(deletions(plane, &namespace).is_empty());
    assert!(missed(&daemon.status().await.unwrap()));

    // It comes, and there are none.
    let definition = define(&crds, &group, "Ticket").await;
    let gone = async |name: &str| maps.get_opt(name).await.unwrap().is_none();
    until("that what nobody uses is gone", &daemon, || gone("map-a")).await;
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(&group, "v1", "Ticket"),
        "tickets",
    );
    let tickets: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    let mut ticket = DynamicObject::new("one", &resource);
    ticket.metadata.labels = Some([("uses".to_owned(), "map-b".to_owned())].into());
    let make = PostParams::default();
    tickets.create(&make, &ticket).await.unwrap();
    daemon
        .until("the ticket", |s| {
            let kinds = s["kinds"].as_array().unwrap();
            kinds
                .iter()
                .any(|k| k["kind"] == kind.as_str() && k["objects"] == 1)
        })
        .await;
    scene::create(&maps, &["map-b"]).await;
    follows(&daemon, &maps, "map-b", "1").await;
    tickets
        .delete("one", &DeleteParams::default())
        .await
        .unwrap();
    until("that what it used is gone", &daemon, || gone("map-b")).await;

    // It goes while the daemon runs.
    crds.delete(&definition, &DeleteParams::default())
        .await
        .unwrap();
    daemon.until("that the kind is missed again", missed).await;
    scene::create(&maps, &["map-c"]).await;
    follows(&daemon, &maps, "map-c", "1").await;
    follows(&daemon, &maps, "bystander", "2").await;
    assert!(!gone("map-c").await);
    define(&crds, &group, "Ticket").await;
    until("that it goes when that is known", &daemon, || gone("map-c")).await;
    let all = deletions(plane, &namespace);
    let names: Vec<(&str, u64)> = all.iter().map(|r| (r.name.as_str(), r.code)).collect();
    let wanted = [("map-a", 200), ("map-b", 200), ("map-c", 200)];
    assert_eq!(names, wanted, "{all:?}");
    crds.delete(&definition, &DeleteParams::default())
        .await
        .unwrap();
}
