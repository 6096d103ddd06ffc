//! `apply` on the real server, judged by its audit log.

mod force;

use crate::control_plane::audit::Request;
use crate::control_plane::{Plane, shared};
use crate::daemon::{Daemon, until};
use crate::proxy::Proxy;
use crate::scene::namespace;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

/// For every ConfigMap called `subject-…` another one, and after it a label on the subject.
fn rule(namespace: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: made}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
    names: ['subject-*']
  actions:
  - apply:
      apiVersion: v1
      kind: ConfigMap
      metadata: {{name: 'made-${{object.metadata.name}}', labels: {{made: 'yes'}}}}
      data: {{color: '${{object.data.color}}', size: '5'}}
    ownerReference: true
    name: made
  - patch:
    - {{path: $.metadata.labels.made, set: '${{applied.made.metadata.name}}'}}
"
    )
}

fn subject(name: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("subject-{name}")}, "data": {"color": "red"}
    }))
    .unwrap()
}

/// Ordain's requests on objects that it made: how many of them were answered well, and all of them.
fn requests(plane: &Plane, namespace: &str) -> (usize, Vec<Request>) {
    let mut requests = plane.audit().of_ordain(namespace);
    requests.retain(|r| r.name.starts_with("made-"));
    let good = requests.iter().filter(|r| r.succeeded()).count();
    (good, requests)
}

async fn quiet(daemon: &mut Daemon) {
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
}

async fn color(maps: &Api<ConfigMap>, name: &str) -> Option<String> {
    let map = maps.get_opt(name).await.unwrap()?;
    map.data.unwrap_or_default().get("color").cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_objects_are_made_once_and_made_right_again() {
    const SUBJECTS: usize = 20;
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "applied").await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
    for n in 0..SUBJECTS {
        let made = subject(&format!("{n:02}"));
        maps.create(&PostParams::default(), &made).await.unwrap();
    }
    // Something else was faster.
    let mut foreign = subject("foreign");
    maps.create(&PostParams::default(), &foreign).await.unwrap();
    foreign.metadata.name = Some("made-subject-foreign".into());
    maps.create(&PostParams::default(), &foreign).await.unwrap();

    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule(&name), &["--write-rate=0"]);
    until("the label behind each object", &daemon, || async {
        labelled(&maps).await == SUBJECTS
    })
    .await;
    quiet(&mut daemon).await;
    let (good, all) = requests(plane, &name);
    assert_eq!((good, all.len()), (SUBJECTS, SUBJECTS), "{all:?}");
    assert!(
        all.iter().all(|r| r.verb == "patch" && r.code == 201),
        "{all:?}"
    );
    daemon
        .until("the finding about the foreign object", |s| {
            s["findings"]["byReason"]["NotOurs"] == 1
        })
        .await;
    let manager = maps.get("made-subject-00").await.unwrap();
    let managers = manager.metadata.managed_fields.unwrap_or_default();
    assert_eq!(managers.len(), 1);
    assert_eq!(managers[0].manager.as_deref(), Some("ordain/made"));
    assert_eq!(managers[0].operation.as_deref(), Some("Apply"));

    // A restart writes nothing.
    assert_eq!(daemon.stop().await, Some(0), "{}", daemon.log());
    daemon.start_again();
    daemon.ready().await;
    daemon
        .until("the finding about the foreign object", |s| {
            s["findings"]["byReason"]["NotOurs"] == 1
        })
        .await;
    quiet(&mut daemon).await;
    assert_eq!(requests(plane, &name).1.len(), SUBJECTS);

    // Deleted: made again. A field taken away: comes back. The subject's field changed: follows.
    maps.delete("made-subject-00", &DeleteParams::default())
        .await
        .unwrap();
    until("that it is there again", &daemon, || async {
        color(&maps, "made-subject-00").await.as_deref() == Some("red")
    })
    .await;
    let without: Patch<Value> = Patch::Merge(json!({"data": {"color": null}}));
    maps.patch("made-subject-01", &PatchParams::default(), &without)
        .await
        .unwrap();
    until("that the field is there again", &daemon, || async {
        color(&maps, "made-subject-01").await.as_deref() == Some("red")
    })
    .await;
    let blue: Patch<Value> = Patch::Merge(json!({"data": {"color": "blue"}}));
    maps.patch("subject-02", &PatchParams::default(), &blue)
        .await
        .unwrap();
    until("that it follows its subject", &daemon, || async {
        color(&maps, "made-subject-02").await.as_deref() == Some("blue")
    })
    .await;
    quiet(&mut daemon).await;
    let (good, all) = requests(plane, &name);
    assert_eq!((good, all.len()), (SUBJECTS + 3, SUBJECTS + 3), "{all:?}");

    // Another manager takes a field: it keeps it, one request finds that out, and the finding names it.
    let green: Patch<Value> = Patch::Merge(json!({"data": {"color": "green"}}));
    let intruder = PatchParams {
        field_manager: Some("intruder".into()),
        ..PatchParams::default()
    };
    maps.patch("made-subject-03", &intruder, &green)
        .await
        .unwrap();
    daemon
        .until("the finding about the other manager", |s| {
            s["findings"]["byReason"]["OwnershipConflict"] == 1
        })
        .await;
    assert!(daemon.log().contains("intruder"), "{}", daemon.log());
    quiet(&mut daemon).await;
    assert_eq!(
        color(&maps, "made-subject-03").await.as_deref(),
        Some("green")
    );
    let (good, all) = requests(plane, &name);
    assert_eq!((good, all.len()), (SUBJECTS + 3, SUBJECTS + 4), "{all:?}");
    assert_eq!(all.last().map(|r| r.code), Some(409), "{all:?}");

    // With its subject goes what was made for it.
    maps.delete("subject-04", &DeleteParams::default())
        .await
        .unwrap();
    until("that the garbage collector took it", &daemon, || async {
        maps.get_opt("made-subject-04").await.unwrap().is_none()
    })
    .await;
    quiet(&mut daemon).await;
    assert_eq!(requests(plane, &name).1.len(), SUBJECTS + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_writes_in_its_own_way_is_not_applied_again() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "own-way").await;
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: own-way}}
spec:
  mode: Enforce
  match: {{resources: [{{apiVersion: v1, kind: Namespace}}], names: ['{name}']}}
  actions:
  - apply:
      apiVersion: apps/v1
      kind: Deployment
      metadata: {{name: made-app}}
      spec:
        replicas: 0
        selector: {{matchLabels: {{app: a}}}}
        template:
          metadata: {{labels: {{app: a}}}}
          spec:
            containers:
            - name: app
              image: registry.example/app:1
              ports: [{{containerPort: 80}}]
              resources: {{requests: {{cpu: 1000m, memory: 1024Mi}}}}
              volumeMounts: [{{name: tmp, mountPath: /tmp}}]
            volumes: [{{name: tmp, emptyDir: {{}}}}]
  - apply:
      apiVersion: v1
      kind: Secret
      metadata: {{name: made-secret}}
      stringData: {{a: text}}
  - apply:
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {{name: made-policy}}
      spec:
        podSelector: {{}}
        policyTypes: [Ingress]
        ingress: [{{ports: [{{port: 80}}]}}]
  - apply:
      apiVersion: rbac.authorization.k8s.io/v1
      kind: Role
      metadata: {{name: made-role}}
      rules: [{{apiGroups: [''], resources: [pods], verbs: [get]}}]
"
    );
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &[]);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &name);
    let made = || {
        let mut names: Vec<String> = requests(plane, &name)
            .1
            .iter()
            .map(|r| format!("{} {}", r.name, r.code))
            .collect();
        names.sort();
        names
    };
    let all = [
        "made-app 201",
        "made-policy 201",
        "made-role 201",
        "made-secret 201",
    ];
    until("all four", &daemon, || async { made().len() >= all.len() }).await;
    quiet(&mut daemon).await;
    assert_eq!(made(), all);
    let secret = secrets.get("made-secret").await.unwrap();
    assert_eq!(secret.data.unwrap()["a"].0, b"text");
    // The controllers have changed its status meanwhile; nothing of that is a reason to write.
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &name);
    until("the controller's answer", &daemon, || async {
        let status = deployments.get("made-app").await.unwrap().status;
        status.and_then(|s| s.observed_generation).is_some()
    })
    .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", daemon.log());
    daemon.start_again();
    daemon.ready().await;
    // It is at rest when it has made again what is deleted now.
    secrets
        .delete("made-secret", &DeleteParams::default())
        .await
        .unwrap();
    until("the secret again", &daemon, || async {
        secrets.get_opt("made-secret").await.unwrap().is_some()
    })
    .await;
    quiet(&mut daemon).await;
    assert_eq!(made().len(), all.len() + 1, "{:?}", made());
}

#[tokio::test(flavor = "multi_thread")]
async fn adopting_keeping_and_what_is_protected() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "adopted").await;
    let step = |object: &str, namespace: &str, more: &str| {
        format!(
            "  - apply: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: {object}, namespace: {namespace}}}, data: {{mine: 'yes'}}}}\n    {more}\n"
        )
    };
    let rules = [
        ("adopts", step("made-adopted", &name, "adopt: true")),
        ("keeps", step("made-kept", &name, "ifExists: Keep")),
        ("strays", step("made-strayed", "kube-system", "adopt: true")),
        (
            "homeless",
            step("made-nowhere", "no-such-namespace", "adopt: true"),
        ),
    ]
    .map(|(rule, step)| {
        format!(
            "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {rule}}}
spec:
  mode: Enforce
  match: {{resources: [{{apiVersion: v1, kind: Namespace}}], names: ['{name}']}}
  actions:
{step}"
        )
    })
    .join("---\n");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
    for object in ["made-adopted", "made-kept"] {
        let mut there = subject("x");
        there.metadata.name = Some(object.into());
        maps.create(&PostParams::default(), &there).await.unwrap();
    }
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rules, &[]);
    until("that one is adopted", &daemon, || async {
        let map = maps.get("made-adopted").await.unwrap();
        map.data.unwrap_or_default().contains_key("mine")
    })
    .await;
    daemon
        .until("what could not be done", |s| {
            let reasons = &s["findings"]["byReason"];
            reasons["Protected"] == 1 && reasons["Refused"] == 1
        })
        .await;
    quiet(&mut daemon).await;
    let adopted = maps.get("made-adopted").await.unwrap();
    assert_eq!(
        adopted.data.unwrap()["color"],
        "red",
        "what was there stays"
    );
    let kept = maps.get("made-kept").await.unwrap();
    assert!(!kept.data.unwrap().contains_key("mine"));
    let (good, all) = requests(plane, &name);
    assert_eq!((good, all.len()), (1, 1), "{all:?}");
    assert!(requests(plane, "kube-system").1.is_empty());
}

/// How many subjects carry the label that comes behind what was made for them.
async fn labelled(maps: &Api<ConfigMap>) -> usize {
    let list = maps.list(&Default::default()).await.unwrap();
    let made = list.iter().filter(|m| {
        let labels = m.metadata.labels.as_ref();
        labels
            .and_then(|l| l.get("made"))
            .is_some_and(|v| v.starts_with("made-"))
    });
    made.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn late_watches_and_lost_answers_make_nothing_twice() {
    const SUBJECTS: usize = 40;
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "late-made").await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
    for n in 0..SUBJECTS {
        let made = subject(&format!("{n:02}"));
        maps.create(&PostParams::default(), &made).await.unwrap();
    }
    let proxy = Proxy::start(plane.kubeconfig()).await;
    proxy.delay_watches(Duration::from_millis(200));
    proxy.lose_answers(10);
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &rule(&name), &["--write-rate=0"]);
    until("the label behind each object", &daemon, || async {
        labelled(&maps).await == SUBJECTS
    })
    .await;
    quiet(&mut daemon).await;
    let (good, all) = requests(plane, &name);
    assert_eq!((good, all.len()), (SUBJECTS, SUBJECTS), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_in_between_and_is_not_seen_yet_is_not_merged_into() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "made-between").await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
    let proxy = Proxy::start(plane.kubeconfig()).await;
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &rule(&name), &[]);
    daemon
        .until("that it has listed all", |s| {
            let kinds = s["kinds"].as_array();
            kinds.is_some_and(|k| !k.is_empty() && k.iter().all(|k| k["state"] == "Synced"))
        })
        .await;
    proxy.delay_watches(Duration::from_secs(2));
    let made = PostParams::default();
    maps.create(&made, &subject("late")).await.unwrap();
    // When the subject is seen it is there, and seen after that.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut foreign = subject("x");
    foreign.metadata.name = Some("made-subject-late".into());
    foreign.data = Some([("theirs".to_owned(), "yes".to_owned())].into());
    maps.create(&made, &foreign).await.unwrap();
    daemon
        .until("that it is found to be another's", |s| {
            s["findings"]["byReason"]["NotOurs"] == 1
        })
        .await;
    let there = maps.get("made-subject-late").await.unwrap();
    assert_eq!(there.data, foreign.data);
    assert_eq!(there.metadata.annotations, None);
    // It was asked for, and refused.
    let (good, all) = requests(plane, &name);
    let codes: Vec<u64> = all.iter().map(|r| r.code).collect();
    assert!(good == 0 && codes.contains(&409), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_for_many_subjects_names_them_all_and_goes_with_the_last() {
    const SUBJECTS: usize = 30;
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "shared-made").await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
    for n in 0..SUBJECTS {
        let made = subject(&format!("{n:02}"));
        maps.create(&PostParams::default(), &made).await.unwrap();
    }
    let rule = rule(&name).replace("made-${object.metadata.name}", "made-shared");
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &["--write-rate=0"]);
    until("the label behind it", &daemon, || async {
        labelled(&maps).await == SUBJECTS
    })
    .await;
    quiet(&mut daemon).await;
    let made = maps.get("made-shared").await.unwrap().metadata;
    assert_eq!(made.owner_references.unwrap_or_default().len(), SUBJECTS);
    let said = &made.annotations.unwrap_or_default()["state.ordain.dev/made"];
    let said: Value = serde_json::from_str(said).unwrap();
    assert_eq!(said["subjects"].as_array().unwrap().len(), SUBJECTS);
    // The first for whoever was first, each further one for all that had come meanwhile.
    let (good, all) = requests(plane, &name);
    assert_eq!(good, all.len(), "{all:?}");
    assert!(good < SUBJECTS / 2, "{good} requests for one object");
    for n in 0..SUBJECTS {
        maps.delete(&format!("subject-{n:02}"), &DeleteParams::default())
            .await
            .unwrap();
    }
    until("that it went with the last", &daemon, || async {
        maps.get_opt("made-shared").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_copied_into_each_namespace_of_a_list_and_follows_its_original() {
    let plane = shared();
    let client = plane.client().await;
    let origin = namespace(&client, "copied").await;
    let mut targets = vec![];
    for n in 0..3 {
        targets.push(namespace(&client, &format!("{origin}-{n}")).await);
    }
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: copies}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: Secret}}]
    namespaces: ['{origin}']
    names: [pull]
  actions:
  - forEach: [{}]
    apply:
      apiVersion: v1
      kind: Secret
      metadata: {{namespace: '${{item}}', labels: {{from: '{origin}'}}}}
    copyOf: ${{object}}
",
        targets.join(", ")
    );
    let made: Secret = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "example.com/pull",
        "metadata": {"name": "pull", "labels": {"kept": "yes"}, "finalizers": ["example.com/keep"]},
        "stringData": {"token": "one"}
    }))
    .unwrap();
    let originals: Api<Secret> = Api::namespaced(client.clone(), &origin);
    originals
        .create(&PostParams::default(), &made)
        .await
        .unwrap();
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rule, &[]);
    let copies = || async {
        let mut found = vec![];
        for target in &targets {
            let secrets: Api<Secret> = Api::namespaced(client.clone(), target);
            found.extend(secrets.get_opt("pull").await.unwrap());
        }
        found
    };
    let all_say = |token: &'static str| {
        let copies = copies();
        async move {
            let found = copies.await;
            found.len() == 3
                && found.iter().all(|s| {
                    s.data
                        .as_ref()
                        .and_then(|d| d.get("token"))
                        .map(|t| t.0.as_slice())
                        == Some(token.as_bytes())
                })
        }
    };
    until("three copies", &daemon, || all_say("one")).await;
    for copy in copies().await {
        assert_eq!(copy.type_.as_deref(), Some("example.com/pull"));
        let meta = copy.metadata;
        let labels = meta.labels.unwrap_or_default();
        assert_eq!((labels["kept"].as_str(), &labels["from"]), ("yes", &origin));
        assert!(meta.finalizers.is_none() && meta.owner_references.is_none());
    }
    let patch: Patch<Value> = Patch::Merge(json!({"stringData": {"token": "two"}}));
    originals
        .patch("pull", &PatchParams::default(), &patch)
        .await
        .unwrap();
    until("that the copies follow", &daemon, || all_say("two")).await;
    quiet(&mut daemon).await;
    let requests = plane.audit().of_ordain(&origin);
    assert_eq!(requests.len(), 6, "{requests:?}");
    assert!(
        requests
            .iter()
            .all(|r| r.namespace != origin && r.code < 300)
    );
    let log = daemon.log();
    for secret in ["b25l", "dHdv"] {
        assert!(!log.contains(secret), "secret data in the log\n{log}");
    }
    let patch: Patch<Value> = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    originals
        .patch("pull", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_comes_later_is_applied_when_it_is_there() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "later-made").await;
    let group = format!("{name}.example");
    let rules = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: later}}
spec:
  mode: Enforce
  match: {{resources: [{{apiVersion: v1, kind: Namespace}}], names: ['{name}']}}
  actions:
  - apply: {{apiVersion: {group}/v1, kind: Till, metadata: {{name: made-till}}, spec: {{count: 1}}}}
---
{}",
        rule(&name)
    );
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
    maps.create(&PostParams::default(), &subject("a"))
        .await
        .unwrap();
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rules, &[]);
    until(
        "that the other rule is not kept from its work",
        &daemon,
        || async { labelled(&maps).await == 1 },
    )
    .await;
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("tills.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": "Till", "plural": "tills", "singular": "till", "listKind": "TillList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": {"type": "object", "properties": {"count": {"type": "integer"}}}}
            }}}]
        }
    }))
    .unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions
        .create(&PostParams::default(), &definition)
        .await
        .unwrap();
    let tills = || {
        let mut requests = requests(plane, &name).1;
        requests.retain(|r| r.resource == "tills");
        requests
    };
    until("the object of the new kind", &daemon, || async {
        !tills().is_empty()
    })
    .await;
    quiet(&mut daemon).await;
    let made = tills();
    assert_eq!((made.len(), made[0].code), (1, 201), "{made:?}");
    let delete = DeleteParams::default();
    definitions
        .delete(&format!("tills.{group}"), &delete)
        .await
        .unwrap();
}
