//! Kinds from CustomResourceDefinitions (`apiextensions.k8s.io/v1`).

use super::build::Builder;
use super::read::Reader;
use super::{KindSchema, bundle};
use crate::object::{GroupKind, Gvk};
use serde_json::Value;
use std::sync::Arc;

/// Characters of a name that are repeated in a message.
const SHOWN: usize = 253;

/// The kinds of one CustomResourceDefinition at all its served versions, and what is wrong with it. A version without a usable schema is a kind without fields.
pub(super) fn kinds(crd: &Value) -> (Vec<KindSchema>, Vec<String>) {
    let name = crd
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .map_or_else(
            || "without a name".to_owned(),
            |name| name.chars().take(SHOWN).collect(),
        );
    let what = format!("CustomResourceDefinition {name}");
    let text = |path: &str| {
        crd.pointer(path)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty() && text.len() <= SHOWN)
    };
    let refuse = |why: &str| (Vec::new(), vec![format!("{what}: {why}")]);
    if text("/kind") != Some("CustomResourceDefinition") {
        return (
            Vec::new(),
            vec![format!(
                "{} {name}: not a CustomResourceDefinition",
                text("/kind").unwrap_or("object")
            )],
        );
    }
    if text("/apiVersion") != Some("apiextensions.k8s.io/v1") {
        return refuse("its apiVersion is not apiextensions.k8s.io/v1");
    }
    let (Some(group), Some(kind), Some(plural)) = (
        text("/spec/group"),
        text("/spec/names/kind"),
        text("/spec/names/plural"),
    ) else {
        return refuse("spec.group, spec.names.kind or spec.names.plural is missing");
    };
    let namespaced = match text("/spec/scope") {
        Some("Namespaced") => true,
        Some("Cluster") => false,
        _ => return refuse("spec.scope is neither Namespaced nor Cluster"),
    };
    if bundle::builtin()
        .schema
        .kind(&GroupKind::new(group, kind))
        .is_some()
    {
        return refuse("Kubernetes itself has this kind");
    }
    let keeps_unknown = crd.pointer("/spec/preserveUnknownFields") == Some(&Value::Bool(true));
    let mut problems = Vec::new();
    let mut kinds = Vec::new();
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
    for version in versions.into_iter().flatten() {
        let Some(version_name) = version
            .get("name")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty() && name.len() <= SHOWN)
        else {
            problems.push(format!("{what}: a version without a name"));
            continue;
        };
        if version.get("served") != Some(&Value::Bool(true)) {
            continue;
        }
        let mut builder = Builder::default();
        let mut root = match version.pointer("/schema/openAPIV3Schema") {
            None => Err("has no schema"),
            Some(_) if keeps_unknown => Ok(None),
            Some(schema) => Reader::new(&mut builder, None).custom_root(schema),
        }
        .unwrap_or_else(|why| {
            problems.push(format!("{what}: version {version_name}: {why}"));
            None
        });
        let has = |subresource: &str| {
            version
                .get("subresources")
                .and_then(|all| all.get(subresource))
                .is_some_and(Value::is_object)
        };
        kinds.push(KindSchema {
            gvk: Gvk {
                group: group.into(),
                version: version_name.into(),
                kind: kind.into(),
            },
            plural: plural.into(),
            namespaced,
            status: has("status"),
            scale: has("scale"),
            replicas: version
                .pointer("/subresources/scale/specReplicasPath")
                .and_then(Value::as_str)
                .filter(|path| path.starts_with('.') && path.len() <= SHOWN)
                .map(Into::into),
            listable: true,
            types: Arc::new(builder.finish(root.as_mut())),
            root,
        });
    }
    if kinds.is_empty() {
        problems.push(format!("{what}: serves no version"));
    }
    (kinds, problems)
}
