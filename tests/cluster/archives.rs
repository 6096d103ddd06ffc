//! `archive` on the real server: what is deleted lies in the directory before, as a manifest that kubectl takes.

use crate::daemon::{Daemon, until};
use crate::scene::Place;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

fn rules(namespace: &str, directory: &Path) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Sink
metadata: {{name: backups}}
spec: {{directory: {{path: {}}}}}
---
apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: sweep}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}, {{apiVersion: batch/v1, kind: Job}}]
    namespaces: ['{namespace}']
    selector: {{matchLabels: {{old: 'yes'}}}}
  actions:
  - archive: {{sink: backups, keep: 2}}
  - delete: {{propagation: Background}}
",
        directory.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_can_be_applied_again() {
    let place = Place::new("archived").await;
    let directory = tempfile::tempdir().unwrap();
    // Values that YAML could take for something else.
    let tricky = json!({"yes": "yes", "number": "1e3", "octal": "0777", "null": "~", "lines": "a\n  b\n\nc: d # e\n", "empty": "", "tab": "\ta", "date": "2026-01-01"});
    let map: ConfigMap = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "left-over", "labels": {"old": "yes"}, "annotations": {"note": "true"}},
        "data": tricky,
    }))
    .unwrap();
    let job: Job = serde_json::from_value(json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "done", "labels": {"old": "yes"}},
        "spec": {"suspend": true, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "registry.example/a:1"}]}}},
    }))
    .unwrap();
    let jobs: Api<Job> = Api::namespaced(place.client.clone(), &place.namespace);
    place
        .maps
        .create(&PostParams::default(), &map)
        .await
        .unwrap();
    jobs.create(&PostParams::default(), &job).await.unwrap();
    let mut daemon = Daemon::start(
        &place.plane.kubeconfig(),
        &rules(&place.namespace, directory.path()),
        &[],
    );
    let gone = || async {
        place.maps.get_opt("left-over").await.unwrap().is_none()
            && jobs.get_opt("done").await.unwrap().is_none()
    };
    until("that both are deleted", &daemon, gone).await;
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    let kept = files(directory.path());
    assert_eq!(kept.len(), 2, "{kept:?}");
    daemon.stop().await;
    for file in &kept {
        let file = file.to_str().unwrap();
        place
            .plane
            .kubectl(&["apply", "--validate=strict", "-f", file])
            .ok();
    }
    let restored = place.maps.get("left-over").await.unwrap();
    assert_eq!(json!(restored.data), tricky);
    assert_eq!(restored.metadata.annotations.unwrap()["note"], "true");
    assert_eq!(
        jobs.get("done").await.unwrap().spec.unwrap().suspend,
        Some(true)
    );
    // The same content is the same file; what is another object's is not.
    daemon.start_again();
    until("that both are deleted again", &daemon, gone).await;
    assert_eq!(
        files(directory.path()).len(),
        4,
        "new objects have new uids"
    );
    // Of each only two stay.
    for n in 0..2 {
        let next: ConfigMap = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "left-over", "labels": {"old": "yes"}}, "data": {"n": n.to_string()},
        }))
        .unwrap();
        place
            .maps
            .create(&PostParams::default(), &next)
            .await
            .unwrap();
        until("that it is deleted", &daemon, gone).await;
    }
    let of_map = directory
        .path()
        .join("sweep")
        .join(&place.namespace)
        .join("ConfigMap/left-over");
    let texts: Vec<String> = files(&of_map)
        .iter()
        .map(|f| std::fs::read_to_string(f).unwrap())
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts.iter().all(|t| t.contains("\"n\": ")), "{texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_while_the_sink_fails() {
    let place = Place::new("unarchived").await;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("kept");
    std::fs::write(&directory, "a file stands in the way").unwrap();
    let map: ConfigMap = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "left-over", "labels": {"old": "yes"}}, "data": {"n": "1"},
    }))
    .unwrap();
    place
        .maps
        .create(&PostParams::default(), &map)
        .await
        .unwrap();
    let mut daemon = Daemon::start(
        &place.plane.kubeconfig(),
        &rules(&place.namespace, &directory),
        &[],
    );
    daemon
        .until("that the failure is told", |s| {
            let listed = s["findings"]["listed"].as_array().unwrap();
            listed
                .iter()
                .any(|f| f["message"].as_str().unwrap().contains("sink `backups`"))
        })
        .await;
    assert!(place.maps.get_opt("left-over").await.unwrap().is_some());
    // What changes meanwhile is archived as it is when it goes.
    let changed = Patch::Merge(json!({"data": {"n": "2"}}));
    place
        .maps
        .patch("left-over", &PatchParams::default(), &changed)
        .await
        .unwrap();
    std::fs::remove_file(&directory).unwrap();
    until("that it is deleted", &daemon, || async {
        place.maps.get_opt("left-over").await.unwrap().is_none()
    })
    .await;
    let kept = files(&directory);
    let texts: Vec<String> = kept
        .iter()
        .map(|f| std::fs::read_to_string(f).unwrap())
        .collect();
    assert!(texts.iter().any(|t| t.contains(": \"2\"")), "{texts:?}");
    let mut requests = place.plane.audit().of_ordain(&place.namespace);
    requests.retain(|r| r.resource == "configmaps");
    assert_eq!(
        requests.len(),
        1,
        "one deletion and nothing else: {requests:?}"
    );
    daemon.stop().await;
}
