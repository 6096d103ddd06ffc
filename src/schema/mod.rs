//! What kinds look like: fields with their types, list-map keys, fields fixed at creation, scope, subresources.
//!
//! PURE. Three sources feed one [`Schema`]: the bundled table of built-in kinds, CustomResourceDefinitions, a live cluster's OpenAPI v3.
//! A `Schema` is immutable and cheap to clone; adding to it makes a new one.

use crate::object::{GroupKind, Gvk};
use serde_json::Value;
use std::sync::Arc;

/// Everything known about kinds.
#[derive(Clone)]
pub struct Schema(pub(crate) Arc<()>);

impl Schema {
    /// The built-in kinds of the Kubernetes version this release was made against.
    pub fn bundled() -> Schema {
        todo!()
    }
    /// No kinds at all.
    pub fn empty() -> Schema {
        todo!()
    }
    /// Adds the kinds of CustomResourceDefinitions (`apiextensions.k8s.io/v1`). Items that are not CRDs or have no usable schema are named in the second value.
    pub fn with_crds<'v>(
        &self,
        _crds: impl IntoIterator<Item = &'v Value>,
    ) -> (Schema, Vec<String>) {
        todo!()
    }
    /// Adds the kinds of OpenAPI v3 documents (each the body of `/openapi/v3/apis/GROUP/VERSION` or `/openapi/v3/api/v1`). Kinds it redefines replace the old ones.
    pub fn with_openapi<'v>(
        &self,
        _documents: impl IntoIterator<Item = &'v Value>,
    ) -> (Schema, Vec<String>) {
        todo!()
    }
    /// A kind at its preferred version.
    pub fn kind(&self, _kind: &GroupKind) -> Option<Arc<KindSchema>> {
        todo!()
    }
    /// A kind at exactly this version.
    pub fn kind_at(&self, _gvk: &Gvk) -> Option<Arc<KindSchema>> {
        todo!()
    }
    /// All kinds, each at its preferred version, sorted by group and kind.
    pub fn kinds(&self) -> Vec<Arc<KindSchema>> {
        todo!()
    }
    /// Whether a group belongs to Kubernetes itself (core, apps, batch, `*.k8s.io` that is bundled): an unknown kind in it is an error, elsewhere a warning.
    pub fn is_builtin_group(&self, _group: &str) -> bool {
        todo!()
    }
}

/// One kind at one version.
pub struct KindSchema {
    pub gvk: Gvk,
    /// As in URLs: `configmaps`.
    pub plural: Box<str>,
    pub namespaced: bool,
    /// Has a `/status` subresource.
    pub status: bool,
    /// Has a `/scale` subresource.
    pub scale: bool,
    /// Can be listed and watched.
    pub listable: bool,
    pub(crate) root: (),
}

impl KindSchema {
    /// The type of the whole object. `None` when the kind is known but its fields are not (a CRD that preserves unknown fields at the root).
    pub fn root(&self) -> Option<Type<'_>> {
        todo!()
    }
    /// Where the Pod of this kind is: `[]` for Pod itself, `["spec","template"]`, `["spec","jobTemplate","spec","template"]`; `None` if it has none.
    pub fn pod_prefix(&self) -> Option<&'static [&'static str]> {
        todo!()
    }
    /// Whether, and why, the field at `path` (names and, for list elements, `None`) cannot be changed after creation.
    /// The answer takes the whole path: `spec.containers.*.image` of a Pod can, `spec.containers.*.env` cannot.
    pub fn fixed(&self, _path: &[Option<&str>]) -> Option<Fixed> {
        todo!()
    }
}

/// A field fixed at creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The fixed field, for people: `spec of a Pod but image, tolerations added, activeDeadlineSeconds`.
    pub what: &'static str,
    /// Where to patch instead, for people, if there is such a place: `the pod template of its owner (Deployment, …)`.
    pub instead: Option<&'static str>,
}

/// The type of a field.
#[derive(Clone, Copy)]
pub struct Type<'s>(pub(crate) std::marker::PhantomData<&'s ()>);

/// What a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Named fields.
    Object,
    /// Free keys, all of one type (labels, annotations, data).
    Map,
    List,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
    /// A resource quantity.
    Quantity,
    /// An RFC 3339 time.
    Time,
    /// Anything at all: JSON, preserved unknown fields.
    Any,
}

impl<'s> Type<'s> {
    /// A number that is the same for the same type within one kind; for sets of types.
    pub fn id(self) -> usize {
        todo!()
    }
    pub fn shape(self) -> Shape {
        todo!()
    }
    /// The field of an `Object`, the value type of a `Map` (for any name), `Any` of an `Any`.
    pub fn field(self, _name: &str) -> Option<Type<'s>> {
        todo!()
    }
    /// The names of an `Object`'s fields, sorted.
    pub fn field_names(self) -> Vec<&'s str> {
        todo!()
    }
    /// The element type of a `List`.
    pub fn element(self) -> Option<Type<'s>> {
        todo!()
    }
    /// The fields that identify an element of a `List` (`x-kubernetes-list-map-keys`, else the patch merge key); empty if there are none.
    pub fn list_keys(self) -> Vec<&'s str> {
        todo!()
    }
    /// Whether elements of this `List` form a set (`x-kubernetes-list-type: set`).
    pub fn is_set(self) -> bool {
        todo!()
    }
    /// Whether an `Object` requires this field.
    pub fn requires(self, _name: &str) -> bool {
        todo!()
    }
    /// The default the server fills in (`protocol: TCP`), if the schema says.
    pub fn default_of(self, _field: &str) -> Option<Value> {
        todo!()
    }
}

/// The names nearest to `name` among `candidates`, best first; at most three; only those close enough to be a typing error.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Vec<&'c str> {
    let wanted = name.to_lowercase();
    // One slip in three letters is still a slip; more is another word.
    let most = (name.chars().count() / 3).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort();
    near.dedup();
    near.into_iter()
        .take(3)
        .map(|(_, candidate)| candidate)
        .collect()
}
