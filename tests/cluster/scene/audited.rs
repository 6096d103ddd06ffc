//! What Ordain wrote on the objects of a scene, by the server's audit log.

use super::{create, is_blue};
use crate::control_plane::Plane;
use crate::control_plane::audit::Request;
use crate::daemon::{Daemon, until};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams};
use std::collections::BTreeMap;

/// Waits until the daemon has nothing in flight, and has seen and changed an object that was made last. `marker` begins with `map-z`.
pub async fn settled(daemon: &mut Daemon, client: &kube::Client, namespace: &str, marker: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    create(&maps, &[marker]).await;
    until("the change of the last object", daemon, || async {
        is_blue(&maps.get(marker).await.unwrap())
    })
    .await;
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    maps.delete(marker, &DeleteParams::default()).await.unwrap();
}

/// Ordain's requests in namespaces that start so, but for those on the markers of [`settled`].
pub fn written(plane: &Plane, prefix: &str) -> Vec<Request> {
    let mut requests = plane.audit().of_ordain(prefix);
    requests.retain(|r| !r.name.starts_with("map-z"));
    requests
}

/// How often each object was changed.
pub fn per_object(requests: &[Request]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for request in requests.iter().filter(|r| r.code == 200) {
        *counts
            .entry((request.namespace.clone(), request.name.clone()))
            .or_default() += 1;
    }
    counts
}
