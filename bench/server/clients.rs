//! The participants that are part of this program. They find the server by `$KUBECONFIG`.

use crate::world;
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::sync::Arc;

/// Requests at once.
const AT_ONCE: usize = 32;

fn patch(label: &str) -> Patch<Value> {
    Patch::Merge(json!({"metadata": {"labels": {label: "yes"}}}))
}

/// Sends the patches of so many maps, and nothing else.
pub async fn ceiling(label: &str, maps: usize) {
    let client = Client::try_default().await.unwrap();
    futures::stream::iter(world::names(maps))
        .for_each_concurrent(AT_ONCE, |(namespace, name)| {
            let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
            let patch = patch(label);
            async move {
                let parameters = PatchParams::default();
                maps.patch_metadata(&name, &parameters, &patch)
                    .await
                    .unwrap();
            }
        })
        .await;
}

/// Looks for names in the bytes of a watch and patches what they are of: as little as a client can do that reacts.
pub async fn floor(label: &str) {
    let client = Client::try_default().await.unwrap();
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let watch = world::Watch::of_all(&client, &format!("!{label}")).await;
    tokio::spawn(watch.follow(move |line, _| {
        let map = (world::namespace_of(line), world::name(line));
        sender.send(map).is_ok()
    }));
    while let Some((namespace, name)) = seen.recv().await {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let patch = patch(label);
        tokio::spawn(async move {
            let parameters = PatchParams::default();
            maps.patch_metadata(&name, &parameters, &patch)
                .await
                .unwrap();
        });
    }
}

struct Context {
    client: Client,
    label: String,
}

async fn reconcile(map: Arc<ConfigMap>, context: Arc<Context>) -> Result<Action, kube::Error> {
    if !map.labels().contains_key(&context.label) {
        let namespace = map.namespace().unwrap_or_default();
        let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &namespace);
        let patch = patch(&context.label);
        maps.patch(&map.name_any(), &PatchParams::default(), &patch)
            .await?;
    }
    Ok(Action::await_change())
}

/// What people write who begin with kube-rs.
pub async fn controller(label: &str) {
    let client = Client::try_default().await.unwrap();
    let context = Arc::new(Context {
        client: client.clone(),
        label: label.to_owned(),
    });
    let again = |_: Arc<ConfigMap>, _: &kube::Error, _: Arc<Context>| {
        Action::requeue(std::time::Duration::from_secs(1))
    };
    Controller::new(Api::<ConfigMap>::all(client), watcher::Config::default())
        .with_config(Config::default().concurrency(AT_ONCE as u16))
        .run(reconcile, again, context)
        .for_each(|_| std::future::ready(()))
        .await;
}
