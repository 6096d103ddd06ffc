//! ConfigMaps: one at a time, or thousands.

use crate::daemon::{Daemon, until};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

/// Requests of a test in flight at once.
const AT_ONCE: usize = 16;

pub fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..Default::default()
        },
        ..Default::default()
    }
}

pub async fn create(maps: &Api<ConfigMap>, names: &[&str]) {
    for name in names {
        maps.create(&PostParams::default(), &map(name))
            .await
            .unwrap();
    }
}

/// Creates one that the rule of [`super::left_over`] is about.
pub async fn create_old(maps: &Api<ConfigMap>, name: &str) {
    let mut old = map(name);
    old.metadata.labels = Some([("old".to_owned(), "yes".to_owned())].into());
    maps.create(&PostParams::default(), &old).await.unwrap();
}

/// Sets the label `step`, which the rules of `following` follow.
pub async fn take_step(maps: &Api<ConfigMap>, name: &str, to: &str) {
    let step = Patch::Merge(json!({"metadata": {"labels": {"step": to}}}));
    maps.patch(name, &PatchParams::default(), &step)
        .await
        .unwrap();
}

/// Whether a rule of `following` has seen this step.
async fn seen(maps: &Api<ConfigMap>, name: &str, step: &str) -> bool {
    let map = maps.get(name).await;
    map.is_ok_and(|m| m.metadata.labels.unwrap_or_default().get("seen") == Some(&step.to_owned()))
}

/// Changes an object and waits until the rule of `following` has followed.
pub async fn follows(daemon: &Daemon, maps: &Api<ConfigMap>, name: &str, to: &str) {
    take_step(maps, name, to).await;
    until_seen(daemon, maps, name, to).await;
}

/// Waits until a rule of `following` has seen this step.
pub async fn until_seen(daemon: &Daemon, maps: &Api<ConfigMap>, name: &str, to: &str) {
    until(&format!("step {to} of {name}"), daemon, || {
        seen(maps, name, to)
    })
    .await;
}

/// Names of so many maps `(namespace, name)`, in turn in these namespaces.
pub fn names(namespaces: &[String], count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|n| {
            (
                namespaces[n % namespaces.len()].clone(),
                format!("map-{n:04}"),
            )
        })
        .collect()
}

/// Does something with every map `(namespace, name)`.
pub async fn each<F: Future<Output = ()>>(
    client: &kube::Client,
    maps: &[(String, String)],
    job: impl Fn(Api<ConfigMap>, String) -> F,
) {
    futures::stream::iter(maps)
        .for_each_concurrent(AT_ONCE, |(namespace, name)| {
            job(Api::namespaced(client.clone(), namespace), name.clone())
        })
        .await;
}

pub async fn create_all(client: &kube::Client, maps: &[(String, String)]) {
    each(client, maps, |api, name| async move {
        api.create(&PostParams::default(), &map(&name))
            .await
            .unwrap();
    })
    .await;
}

/// The maps called `map-…` in these namespaces.
pub async fn data_of(client: &kube::Client, namespaces: &[String]) -> Vec<ConfigMap> {
    let mut found = vec![];
    for namespace in namespaces {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let list = maps.list(&ListParams::default()).await.unwrap();
        found.extend(
            list.items
                .into_iter()
                .filter(|m| m.metadata.name.as_deref().unwrap().starts_with("map-")),
        );
    }
    found
}

/// Whether the rules of `both` are content with it.
pub fn is_blue(map: &ConfigMap) -> bool {
    let label = |m: &ConfigMap| m.metadata.labels.as_ref()?.get("team").cloned();
    let data = |m: &ConfigMap| m.data.as_ref()?.get("seen").cloned();
    label(map).as_deref() == Some("blue") && data(map).as_deref() == Some("yes")
}

/// Waits until the rules of `both` are content with all maps.
pub async fn until_blue(daemon: &Daemon, client: &kube::Client, namespaces: &[String]) {
    until("that every object is right", daemon, || async {
        data_of(client, namespaces).await.iter().all(is_blue)
    })
    .await;
}
