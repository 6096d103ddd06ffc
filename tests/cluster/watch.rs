//! Lists and watches against the real server: whatever happens in between, what is seen ends as what is there.

use crate::control_plane::{Options, Plane, shared};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use ordain::cluster::api::Api as Server;
use ordain::cluster::connection::ConnectOptions;
use ordain::cluster::{Cluster, Message};
use ordain::engine::{Lost, Observation, WatchedKind};
use ordain::object::GroupKind;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// What has been seen, kept as the store keeps it: a new list replaces what the old one had.
pub struct Seen {
    server: Server,
    messages: mpsc::Receiver<Message>,
    objects: BTreeMap<String, String>,
    listing: Option<BTreeMap<String, String>>,
    /// Lists that were completed.
    pub lists: usize,
    pub lost: Option<Lost>,
    kinds_changed: usize,
}

impl Seen {
    pub async fn connect(kubeconfig: PathBuf, namespaces: &[&str]) -> Seen {
        Self::connect_with(kubeconfig, namespaces, None).await
    }

    pub async fn connect_with(
        kubeconfig: PathBuf,
        namespaces: &[&str],
        watch_seconds: Option<u64>,
    ) -> Seen {
        let (sender, messages) = mpsc::channel(64);
        let options = ConnectOptions {
            kubeconfig: Some(kubeconfig),
            namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect(),
            watch_seconds,
            ..ConnectOptions::default()
        };
        let server = Server::connect(&options, sender).await.unwrap();
        Seen {
            server,
            messages,
            objects: BTreeMap::new(),
            listing: None,
            lists: 0,
            lost: None,
            kinds_changed: 0,
        }
    }

    pub fn follow(&self, group: &str, version: &str, kind: &str, metadata_only: bool) {
        self.server.follow(vec![WatchedKind {
            kind: GroupKind::new(group, kind),
            version: version.into(),
            metadata_only,
        }]);
    }

    fn take(&mut self, observation: Observation) {
        match observation {
            Observation::ListStarted { .. } => self.listing = Some(BTreeMap::new()),
            Observation::ListDone { .. } => {
                self.objects = self.listing.take().unwrap_or_default();
                self.lists += 1;
                self.lost = None;
            }
            Observation::Applied { record, .. } => {
                let meta = record.meta();
                let key = format!("{}/{}", meta.namespace().unwrap_or(""), meta.name());
                let to = self.listing.as_mut().unwrap_or(&mut self.objects);
                to.insert(key, meta.label("step").unwrap_or("").to_owned());
            }
            Observation::Deleted { key, .. } => {
                self.objects.remove(&format!(
                    "{}/{}",
                    key.namespace.as_deref().unwrap_or(""),
                    key.name
                ));
            }
            Observation::Lost { why, .. } => self.lost = Some(why),
            Observation::Undecodable { reason, .. } => panic!("{reason}"),
        }
    }

    /// Takes what comes until `done`.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Seen) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            while !done(self) {
                match self.messages.recv().await.unwrap() {
                    Message::Observed(observations) => {
                        observations.into_iter().for_each(|o| self.take(o))
                    }
                    Message::KindsChanged => {
                        self.kinds_changed += 1;
                        self.server.schema().await.unwrap();
                    }
                }
            }
        });
        if waited.await.is_err() {
            panic!(
                "never saw {what}; lists {}, lost {:?}, objects {:?}",
                self.lists, self.lost, self.objects
            );
        }
    }

    pub fn has(&self, namespace: &str, expected: &[(&str, &str)]) -> bool {
        let prefix = format!("{namespace}/");
        let there: Vec<(&str, &str)> = self
            .objects
            .iter()
            .filter_map(|(key, step)| Some((key.strip_prefix(&prefix)?, step.as_str())))
            .filter(|(name, _)| *name != "kube-root-ca.crt")
            .collect();
        there == expected
    }
}

pub async fn namespace(client: &kube::Client, prefix: &str) -> String {
    let meta = ObjectMeta {
        generate_name: Some(format!("{prefix}-")),
        ..Default::default()
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace {
        metadata: meta,
        ..Default::default()
    };
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap()
        .metadata
        .name
        .unwrap()
}

pub fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..Default::default()
        },
        ..Default::default()
    }
}

pub fn step(step: &str) -> Patch<serde_json::Value> {
    Patch::Merge(json!({"metadata": {"labels": {"step": step}}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn creations_changes_and_deletions_are_seen() {
    let plane = shared();
    let client = plane.client().await;
    let namespace = namespace(&client, "watch").await;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    maps.create(&PostParams::default(), &map("before"))
        .await
        .unwrap();
    for metadata_only in [false, true] {
        let mut seen = Seen::connect(plane.kubeconfig(), &[]).await;
        seen.follow("", "v1", "ConfigMap", metadata_only);
        seen.until("the list", |s| {
            s.lists == 1 && s.has(&namespace, &[("before", "")])
        })
        .await;
        maps.create(&PostParams::default(), &map("new"))
            .await
            .unwrap();
        maps.patch("new", &PatchParams::default(), &step("1"))
            .await
            .unwrap();
        seen.until("the change", |s| {
            s.has(&namespace, &[("before", ""), ("new", "1")])
        })
        .await;
        maps.delete("new", &DeleteParams::default()).await.unwrap();
        seen.until("the deletion", |s| s.has(&namespace, &[("before", "")]))
            .await;
        assert_eq!(seen.lists, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_namespaces_asked_for_are_listed_under_rights_in_those() {
    let plane = shared();
    let admin = plane.client().await;
    let (a, b, c) = (
        namespace(&admin, "a").await,
        namespace(&admin, "b").await,
        namespace(&admin, "c").await,
    );
    account_for(&admin, &a, &[&a, &b]).await;
    for ns in [&a, &b, &c] {
        Api::<ConfigMap>::namespaced(admin.clone(), ns)
            .create(&PostParams::default(), &map("here"))
            .await
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = plane
        .kubeconfig_for_account(&a, "ordain", folder.path())
        .await;

    let mut everywhere = Seen::connect(kubeconfig.clone(), &[]).await;
    everywhere.follow("", "v1", "ConfigMap", false);
    everywhere
        .until("that the kind is forbidden", |s| {
            matches!(s.lost, Some(Lost::Forbidden(_)))
        })
        .await;

    let mut seen = Seen::connect(kubeconfig, &[&a, &b]).await;
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("both lists", |s| {
        s.has(&a, &[("here", "")]) && s.has(&b, &[("here", "")])
    })
    .await;
    let maps: Api<ConfigMap> = Api::namespaced(admin, &b);
    maps.patch("here", &PatchParams::default(), &step("1"))
        .await
        .unwrap();
    seen.until("a change in the second", |s| s.has(&b, &[("here", "1")]))
        .await;
    assert!(seen.has(&c, &[]));
}

/// A ServiceAccount `ordain` in `home`, which may read and patch ConfigMaps in these namespaces.
pub async fn account_for(admin: &kube::Client, home: &str, namespaces: &[&str]) {
    use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), home);
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some("ordain".into()),
            ..Default::default()
        },
        ..Default::default()
    };
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    for namespace in namespaces {
        let role: Role = serde_json::from_value(json!({"metadata": {"name": "ordain"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch", "patch"]}]}))
        .unwrap();
        Api::<Role>::namespaced(admin.clone(), namespace)
            .create(&PostParams::default(), &role)
            .await
            .unwrap();
        let binding: RoleBinding = serde_json::from_value(json!({"metadata": {"name": "ordain"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "ordain"},
            "subjects": [{"kind": "ServiceAccount", "name": "ordain", "namespace": home}]}))
        .unwrap();
        Api::<RoleBinding>::namespaced(admin.clone(), namespace)
            .create(&PostParams::default(), &binding)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_appears_is_followed_and_one_that_goes_is_lost() {
    let plane = shared();
    let client = plane.client().await;
    let mut seen = Seen::connect(plane.kubeconfig(), &[]).await;
    seen.follow("watch.example", "v1", "Widget", false);
    seen.until("that there is no such kind", |s| {
        s.lost == Some(Lost::NoSuchKind)
    })
    .await;

    let crd: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "widgets.watch.example"},
        "spec": {"group": "watch.example", "scope": "Namespaced", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}))
    .unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    crds.create(&PostParams::default(), &crd).await.unwrap();
    seen.until("the list of the new kind", |s| {
        s.kinds_changed > 0 && s.lists == 1
    })
    .await;

    crds.delete("widgets.watch.example", &DeleteParams::default())
        .await
        .unwrap();
    seen.until("that the kind is gone", |s| {
        s.lost == Some(Lost::NoSuchKind)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_crashes_is_followed_again_and_nothing_is_missed() {
    let plane = tokio::task::spawn_blocking(|| Plane::start(Options::default()))
        .await
        .unwrap();
    let client = plane.client().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    for name in ["goes", "stays"] {
        maps.create(&PostParams::default(), &map(name))
            .await
            .unwrap();
    }
    let mut seen = Seen::connect(plane.kubeconfig(), &[]).await;
    seen.follow("", "v1", "ConfigMap", false);
    seen.until("the list", |s| {
        s.has("default", &[("goes", ""), ("stays", "")])
    })
    .await;
    let plane = tokio::task::spawn_blocking(move || {
        let mut plane = plane;
        plane.kill("kube-apiserver");
        plane.start_again("kube-apiserver");
        plane.wait_until_ready();
        plane
    })
    .await
    .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "default");
    maps.delete("goes", &DeleteParams::default()).await.unwrap();
    maps.patch("stays", &PatchParams::default(), &step("1"))
        .await
        .unwrap();
    seen.until("what happened meanwhile", |s| {
        s.has("default", &[("stays", "1")])
    })
    .await;
}
