//! The manifest of an `apply` step: what it comes to for one subject, how it is compared with what there is, whose object it is.
//!
//! [`fields`] compares and merges as server-side apply does · [`ownership`] the annotation by which an applied object is known again.

pub mod fields;
pub mod ownership;

use super::ResolvedKind;
use super::edit;
use super::expr::{Expr, ExprFault, Scope, Template};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::schema::{Schema, Type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Annotations of kubectl and of Ordain itself, which a copy does not take along, begin with these domains.
const NOT_COPIED: [&str; 2] = ["kubectl.kubernetes.io", "ordain.dev"];

/// Fields of `metadata` that belong to one object alone.
const OWN_METADATA: [&str; 9] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "ownerReferences",
    "finalizers",
];

/// An `apply` step.
pub struct Apply {
    /// Literal in every manifest.
    pub kind: GroupKind,
    /// Literal in every manifest.
    pub api_version: Arc<str>,
    /// Its objects live in namespaces.
    pub namespaced: bool,
    /// What the object shall look like.
    pub manifest: Template,
    /// `copyOf`: the manifest lies on top of a copy of this object.
    pub copy: Option<Expr>,
    /// Takes fields that another manager owns.
    pub force: bool,
    /// Takes an object that something else created.
    pub adopt: bool,
    /// `ifExists: Keep`: an object that is there stays as it is.
    pub keep: bool,
    /// `ownerReference`: the subject owns it.
    pub owned: bool,
    /// Later steps read it as `applied.NAME`.
    pub name: Option<Arc<str>>,
    /// `lifetime: WhileMatched`: it goes with the last subject that wants it.
    pub passing: bool,
}

/// What an `apply` step comes to for one subject.
pub struct Rendered {
    /// The object it writes.
    pub object: ObjectKey,
    /// Without nulls, with its namespace, with the owner reference where one is wanted.
    pub manifest: Value,
}

impl Apply {
    /// The field manager under which a rule applies. At most 128 characters, as names of rules have at most 63.
    pub fn manager(rule: &str) -> String {
        format!("ordain/{rule}")
    }

    /// What it writes, for the watches.
    pub fn resolved(&self) -> ResolvedKind {
        let version = self.api_version.rsplit('/').next().unwrap_or_default();
        ResolvedKind {
            kind: self.kind.clone(),
            version: version.into(),
        }
    }

    /// The type of its objects, where a schema tells.
    pub fn schema(&self, schema: &Schema) -> Option<Arc<crate::schema::KindSchema>> {
        let gvk = crate::object::Gvk::from_api_version(&self.api_version, &self.kind.kind);
        schema.kind_at(&gvk)
    }

    /// What is copied: a whole object of the kind that is written.
    fn original(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Value, ExprFault> {
        let value = expr.evaluate(scope)?.unwrap_or_default();
        let text = |field: &str| value[field].as_str().unwrap_or_default();
        let of = crate::object::Gvk::from_api_version(text("apiVersion"), text("kind"));
        if of.group_kind() != self.kind {
            return Err(ExprFault::Failed(format!(
                "`copyOf` gives no {}",
                self.kind.kind
            )));
        }
        Ok(value)
    }

    /// The object that it writes for one subject, whatever else the manifest says.
    ///
    /// # Errors
    /// An expression failed, or what came out names no object.
    pub fn object(&self, scope: &Scope<'_>, subject: &ObjectKey) -> Result<ObjectKey, ExprFault> {
        let of = |field| self.manifest.render_at(&["metadata", field], scope);
        let mut name = of("name")?;
        if let (None | Some(Value::Null), Some(expr)) = (&name, &self.copy) {
            name = self
                .original(expr, scope)?
                .pointer("/metadata/name")
                .cloned();
        }
        let namespace = of("namespace")?;
        self.called((name.as_ref(), namespace.as_ref()), subject)
    }

    /// The object of a name and a namespace as they stand in a manifest.
    fn called(
        &self,
        (name, namespace): (Option<&Value>, Option<&Value>),
        subject: &ObjectKey,
    ) -> Result<ObjectKey, ExprFault> {
        let text = |value: Option<&Value>, field: &str| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(ExprFault::Failed(format!(
                "metadata.{field} of the manifest is not text"
            ))),
        };
        let Some(name) = text(name, "name")? else {
            return Err(ExprFault::Failed("the manifest has no name".into()));
        };
        let namespace = match text(namespace, "namespace")? {
            _ if !self.namespaced => None,
            Some(namespace) => Some(namespace),
            None => Some(home_of(subject).ok_or_else(|| {
                ExprFault::Failed(
                    "the manifest has no namespace, and neither has its subject".into(),
                )
            })?),
        };
        for (field, text) in [("name", Some(&name)), ("namespace", namespace.as_ref())] {
            if let Some(text) = text.filter(|text| !is_path_segment(text)) {
                return Err(ExprFault::Failed(format!(
                    "metadata.{field} of the manifest is `{text}`, and nothing can be called so"
                )));
            }
        }
        Ok(ObjectKey::new(
            self.kind.clone(),
            namespace.as_deref(),
            &name,
        ))
    }

    /// The manifest for one subject.
    ///
    /// # Errors
    /// An expression failed, or what came out names no object.
    pub fn render(
        &self,
        scope: &Scope<'_>,
        subject: (&ObjectKey, &Record),
        ty: Option<Type<'_>>,
    ) -> Result<Rendered, ExprFault> {
        let (key, record) = subject;
        let rendered = match self.manifest.literal() {
            Some(literal) => literal.clone(),
            None => self.manifest.render(scope)?.unwrap_or_default(),
        };
        let mut manifest = match &self.copy {
            Some(expr) => {
                let mut copy = copy_of(self.original(expr, scope)?);
                merge(&mut copy, rendered);
                copy
            }
            None => rendered,
        };
        without_nulls(&mut manifest);
        manifest["apiVersion"] = json!(*self.api_version);
        manifest["kind"] = json!(*self.kind.kind);
        let meta = &mut manifest["metadata"];
        let object = self.called((meta.get("name"), meta.get("namespace")), key)?;
        match &object.namespace {
            Some(namespace) => meta["namespace"] = json!(**namespace),
            None => {
                if let Some(meta) = meta.as_object_mut() {
                    meta.shift_remove("namespace");
                }
            }
        }
        if self.owned {
            if key.namespace.is_some() && key.namespace != object.namespace {
                return Err(ExprFault::Failed(format!(
                    "{object} cannot have an owner in another namespace"
                )));
            }
            let owner = owner_reference(record);
            match manifest["metadata"]["ownerReferences"].as_array_mut() {
                Some(owners) => owners.push(owner),
                None => manifest["metadata"]["ownerReferences"] = json!([owner]),
            }
        }
        if self.kind == GroupKind::new("", "Secret") {
            fold_string_data(&mut manifest);
        }
        if let Some(ty) = ty {
            let mut below = String::new();
            if let Some(words) = edit::misfit(&manifest, ty, &mut below) {
                return Err(ExprFault::Failed(format!(
                    "{below} of the manifest is not {words}"
                )));
            }
        }
        Ok(Rendered { object, manifest })
    }
}

/// An owner reference to an object, neither `controller` nor `blockOwnerDeletion`.
pub fn owner_reference(owner: &Record) -> Value {
    let meta = owner.meta();
    json!({
        "apiVersion": meta.api_version(),
        "kind": meta.kind(),
        "name": meta.name(),
        "uid": meta.uid(),
    })
}

/// The namespace of what is applied for a subject; of a Namespace, itself.
fn home_of(subject: &ObjectKey) -> Option<String> {
    if subject.kind.group.is_empty() && &*subject.kind.kind == "Namespace" {
        return Some(subject.name.to_string());
    }
    subject.namespace.as_deref().map(str::to_owned)
}

/// An object without what is its own: status, identity, times, owners, finalizers, the annotations of kubectl and Ordain.
pub(super) fn copy_of(mut copy: Value) -> Value {
    let Some(object) = copy.as_object_mut() else {
        return json!({});
    };
    object.shift_remove("status");
    let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return copy;
    };
    for field in OWN_METADATA.iter().chain(&["namespace"]) {
        meta.shift_remove(*field);
    }
    let emptied = match meta.get_mut("annotations").and_then(Value::as_object_mut) {
        Some(annotations) => {
            annotations.retain(|name, _| {
                let domain = name.split_once('/').map_or("", |(domain, _)| domain);
                let of = |owner: &str| domain == owner || domain.ends_with(&format!(".{owner}"));
                !NOT_COPIED.iter().any(|owner| of(owner))
            });
            annotations.is_empty()
        }
        None => false,
    };
    if emptied {
        meta.shift_remove("annotations");
    }
    copy
}

/// RFC 7386: maps deep, lists replaced, null removes.
fn merge(target: &mut Value, top: Value) {
    let Value::Object(top) = top else {
        *target = top;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (name, value) in top {
        if value.is_null() {
            target.shift_remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, member| !member.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// `stringData` only goes in: the server turns it into `data`, and shows that.
pub fn fold_string_data(manifest: &mut Value) {
    let Some(object) = manifest.as_object_mut() else {
        return;
    };
    let Some(Value::Object(clear)) = object.shift_remove("stringData") else {
        return;
    };
    let data = object.entry("data").or_insert_with(|| json!({}));
    for (name, value) in clear {
        if let Some(text) = value.as_str() {
            data[name] = json!(STANDARD.encode(text));
        }
    }
}

/// Whether a text can be the name of an object of any kind: it is a part of a path, and must not lead to another one.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#path-segment-names>
fn is_path_segment(text: &str) -> bool {
    !matches!(text, "." | "..") && !text.contains(['/', '%']) && text.len() <= 253
}

#[cfg(test)]
mod tests;
