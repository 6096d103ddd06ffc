//! `--write-manifests`: the resulting objects as files that `kubectl apply` takes.

use super::world::without_generated;
use super::{Manifest, World};
use crate::object::difference;
use crate::object::{GroupKind, ObjectKey};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

/// Kinds that others need to exist first, in the order of application; all others follow by kind.
const FIRST: [&str; 9] = [
    "CustomResourceDefinition",
    "Namespace",
    "PriorityClass",
    "StorageClass",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Service",
];

/// Writes one file per namespace (`NAMESPACE.yaml`) and one for what has none (`cluster.yaml`), each replaced at once and not in part.
/// What a server fills in is left out, unless the input said it. Namespaces that no manifest describes are not written.
/// Files of an earlier run whose namespace is empty now are removed.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(folder: &Path, world: &World, input: &[Manifest]) -> std::io::Result<usize> {
    std::fs::create_dir_all(folder)?;
    let said: BTreeMap<ObjectKey, &Value> = input
        .iter()
        .map(|m| (world.key_of(&m.value), &m.value))
        .collect();
    let mut files: BTreeMap<String, Vec<(usize, &ObjectKey, Value)>> = BTreeMap::new();
    for (key, record) in world.objects() {
        if world.is_implied(key) {
            continue;
        }
        let name = match &key.namespace {
            Some(namespace) => file_name(namespace),
            None => "cluster.yaml".into(),
        };
        let value = without_generated(&record.to_value(), said.get(key).copied());
        files
            .entry(name)
            .or_default()
            .push((rank(&key.kind), key, value));
    }
    let mut written = 0;
    for (name, objects) in &mut files {
        objects.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        let text: String = objects
            .iter()
            .map(|(_, _, value)| format!("---\n{}", difference::yaml(value)))
            .collect();
        written += objects.len();
        // As any file is made, not private as a temporary one: the umask says who may read it.
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(folder.join(name))?;
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        if name.ends_with(".yaml") && !files.contains_key(name) && is_ours(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(written)
}

fn rank(kind: &GroupKind) -> usize {
    FIRST
        .iter()
        .position(|k| *k == &*kind.kind)
        .unwrap_or(FIRST.len())
}

/// A namespace is a DNS label; anything else a manifest may say must not lead out of the folder. `cluster` is taken.
fn file_name(namespace: &str) -> String {
    let safe: String = namespace
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if safe == "cluster" {
        "cluster_.yaml".into()
    } else {
        format!("{safe}.yaml")
    }
}

/// A file as [`write`] makes them: nobody else's file is removed.
fn is_ours(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"---\napiVersion: "))
}
