//! `archive`: an object as a manifest that can be applied again.

use super::sink::{Sink, file_name};
use crate::object::{ObjectKey, Record};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// A compiled `archive` step.
#[derive(Debug)]
pub struct Archive {
    /// Where it is written.
    pub sink: Arc<Sink>,
    /// How many manifests of each object stay; `None`: all.
    pub keep: Option<usize>,
}

/// Labels that the Job controller gives the Pods of a Job with a selector of its own making.
const JOB_LABELS: [&str; 4] = [
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
];
/// Annotations that controllers bind an object to others with.
const BINDING: [&str; 2] = ["pv.kubernetes.io/", "volume.kubernetes.io/selected-node"];

/// The object without what the server and controllers fill in, so that `kubectl apply` makes it anew.
pub fn manifest(record: &Record) -> Value {
    let mut object = super::apply::copy_of(record.to_value());
    let meta = record.meta();
    if let Some(fields) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        fields.insert("name".into(), meta.name().into());
        if let Some(namespace) = meta.namespace() {
            fields.insert("namespace".into(), namespace.into());
        }
    }
    let (api_version, kind) = (meta.api_version().to_owned(), meta.kind().to_owned());
    match (api_version.as_str(), kind.as_str()) {
        ("batch/v1", "Job") => generated_selector(&mut object),
        ("v1", "PersistentVolumeClaim") => {
            without(object.pointer_mut("/metadata/annotations"), |name| {
                BINDING.iter().any(|binding| name.starts_with(binding))
            });
        }
        // Its address may be another's by then. `None` is no address: a headless Service stays one.
        ("v1", "Service") if object["spec"]["clusterIP"] != "None" => {
            let given = ["clusterIP", "clusterIPs", "healthCheckNodePort"];
            without(object.get_mut("spec"), |name| given.contains(&name));
        }
        _ => {}
    }
    without(object.get_mut("metadata"), |name| {
        ["selfLink", "generateName"].contains(&name)
    });
    object
}

/// The selector and labels that the server gives a Job which does not select for itself: it refuses those of another Job.
fn generated_selector(job: &mut Value) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    without(job.get_mut("spec"), |name| name == "selector");
    for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
        without(job.pointer_mut(labels), |name| JOB_LABELS.contains(&name));
    }
}

fn without(map: Option<&mut Value>, gone: impl Fn(&str) -> bool) {
    if let Some(map) = map.and_then(Value::as_object_mut) {
        map.retain(|name, _| !gone(name));
    }
}

/// Where the manifests of an object lie, relative to the sink: one folder each.
pub fn folder(rule: &str, key: &ObjectKey) -> PathBuf {
    let namespace = key.namespace.as_deref().unwrap_or("_cluster");
    [rule, namespace, &key.kind.to_string(), &key.name]
        .iter()
        .map(|part| file_name(part))
        .collect()
}

/// The name of a manifest: the same for the same object and content.
pub fn file(uid: &str, content: u64) -> String {
    format!("{}.{content:016x}.yaml", file_name(uid))
}

/// FNV-1a over a manifest's text, as JSON.
pub fn content(manifest: &Value) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in manifest.to_string().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_manifest_has_nothing_of_the_server() {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"job-name": "a", "team": "web"}, "finalizers": ["x/y"], "ownerReferences": [{"uid": "o"}],
                "managedFields": [{}], "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "n"},
            },
            "spec": {
                "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
                "template": {"metadata": {"labels": {"batch.kubernetes.io/controller-uid": "u", "app": "a"}}, "spec": {"restartPolicy": "Never"}},
            },
            "status": {"succeeded": 1},
        });
        assert_eq!(
            manifest(&Record::from_value(&job)),
            json!({
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": "a", "namespace": "shop", "labels": {"team": "web"}, "annotations": {"note": "n"}},
                "spec": {"template": {"metadata": {"labels": {"app": "a"}}, "spec": {"restartPolicy": "Never"}}},
            })
        );
    }

    #[test]
    fn bindings_and_given_addresses_stay_behind() {
        let of = |value| manifest(&Record::from_value(&value));
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a", "namespace": "n", "annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "spec": {"volumeName": "v"}});
        let claim = of(claim);
        assert_eq!(claim["metadata"]["annotations"], json!({}));
        assert_eq!(
            claim["spec"]["volumeName"], "v",
            "it says which volume has the data"
        );
        let service = |ip: &str| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "n"}, "spec": {"clusterIP": ip, "clusterIPs": [ip]}});
        assert_eq!(of(service("10.0.0.7"))["spec"], json!({}));
        assert_eq!(of(service("None"))["spec"]["clusterIP"], "None");
    }

    #[test]
    fn names_are_the_same_for_the_same_thing() {
        let key = ObjectKey::new(
            crate::object::GroupKind::new("apps", "Deployment"),
            Some("shop"),
            "web",
        );
        assert_eq!(
            folder("old", &key).to_string_lossy(),
            "old/shop/Deployment.apps/web"
        );
        let (one, other) = (json!({"a": 1}), json!({"a": 2}));
        assert_eq!(file("u", content(&one)), file("u", content(&one)));
        assert_ne!(file("u", content(&one)), file("u", content(&other)));
    }
}
