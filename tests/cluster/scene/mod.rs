//! What the tests are played with: a namespace or many, ConfigMaps, rules over them, accounts with few rights, and the audit log's
//! account of what Ordain wrote there.

mod accounts;
mod audited;
mod maps;
mod rules;

pub use accounts::*;
pub use audited::*;
pub use maps::*;
pub use rules::*;

use crate::control_plane::{Plane, shared};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What a test waits for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something is there, and answers it.
pub async fn found<T, F: Future<Output = Option<T>>>(
    what: impl Fn() -> String,
    mut look: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "never saw {}", what());
        sleep(Duration::from_millis(50)).await;
    }
}

/// A namespace for one test alone.
pub struct Place {
    pub plane: &'static Plane,
    /// The administrator.
    pub client: kube::Client,
    pub namespace: String,
    /// The ConfigMaps there.
    pub maps: Api<ConfigMap>,
}

impl Place {
    /// A new one on the shared plane; its name begins with `word`.
    pub async fn new(word: &str) -> Place {
        let plane = shared();
        let client = plane.client().await;
        let namespace = namespace(&client, word).await;
        Place {
            plane,
            maps: Api::namespaced(client.clone(), &namespace),
            client,
            namespace,
        }
    }
}

/// Many namespaces for one test alone.
pub struct Places<'p> {
    pub plane: &'p Plane,
    /// The administrator.
    pub client: kube::Client,
    /// All the names begin so, and no others do. It is the name of one more namespace.
    pub prefix: String,
    pub namespaces: Vec<String>,
}

impl Places<'static> {
    /// New ones on the shared plane; their names begin with `word`.
    pub async fn new(word: &str, count: usize) -> Self {
        Places::on(shared(), word, count).await
    }
}

impl<'p> Places<'p> {
    /// New ones; their names begin with `word`.
    pub async fn on(plane: &'p Plane, word: &str, count: usize) -> Self {
        let client = plane.client().await;
        let prefix = namespace(&client, word).await;
        let all: Api<Namespace> = Api::all(client.clone());
        let mut namespaces = vec![];
        for n in 0..count {
            let name = format!("{prefix}-{n:02}");
            let namespace = Namespace {
                metadata: ObjectMeta {
                    name: Some(name.clone()),
                    ..Default::default()
                },
                ..Default::default()
            };
            all.create(&PostParams::default(), &namespace)
                .await
                .unwrap();
            namespaces.push(name);
        }
        Places {
            plane,
            client,
            prefix,
            namespaces,
        }
    }
}

/// A new namespace; its name begins with `word`.
pub async fn namespace(client: &kube::Client, word: &str) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace {
        metadata: ObjectMeta {
            generate_name: Some(format!("{word}-")),
            ..Default::default()
        },
        ..Default::default()
    };
    let created = namespaces.create(&PostParams::default(), &namespace).await;
    created.unwrap().metadata.name.unwrap()
}

/// A namespaced kind of `group`, version v1, without a schema. Its name is answered.
pub async fn define(crds: &Api<CustomResourceDefinition>, group: &str, kind: &str) -> String {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    let name = format!("{plural}.{group}");
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "singular": singular, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": anything}}]}}))
    .unwrap();
    crds.create(&PostParams::default(), &definition)
        .await
        .unwrap();
    name
}
