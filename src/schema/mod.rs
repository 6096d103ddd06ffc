//! What kinds look like: fields with their types, list-map keys, fields fixed at creation, scope, subresources.
//!
//! PURE. Three sources feed one [`Schema`]: the bundled table of built-in kinds, CustomResourceDefinitions, a live cluster's OpenAPI v3.
//! A `Schema` is immutable and cheap to clone; adding to it makes a new one.
//!
//! * `types` – the types of fields, a flat table that kinds share
//! * `read`, `build` – from JSON schemas to such a table
//! * `openapi`, `crd`, `bundle` – the three sources
//! * `fixed` – our own list of fields fixed at creation, which no source tells
//! * `defaulted` – what the server fills in, of which the sources tell only a part
//! * `scopes` – which kinds lie in no namespace, where no source tells
//! * `nearest` – what a misspelt name was meant to be
//! * `object_name` – objects as people write them

mod build;
mod bundle;
mod crd;
mod defaulted;
mod fixed;
mod nearest;
mod object_name;
mod openapi;
mod read;
mod scopes;
#[cfg(test)]
mod tests;
mod types;
mod version;

pub use bundle::BundleError;
pub use fixed::{Fixed, Growing};
pub use nearest::nearest;
pub use object_name::parse_object;
pub use scopes::Scope;
pub use types::{Shape, Type};
pub use version::preferred_first;

use crate::object::{GroupKind, Gvk};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use types::Table;

/// The kinds that `kind: Workload` stands for, as (group, kind): what runs Pods for a person. It means those of their objects that have no controller owner.
pub const WORKLOAD: &[(&str, &str)] = &[
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
];

/// Everything known about kinds.
#[derive(Clone)]
pub struct Schema {
    /// Versions of a kind, the preferred one first; never empty.
    kinds: Arc<BTreeMap<GroupKind, Vec<Arc<KindSchema>>>>,
    /// Kinds of which there are objects, and nothing else is known.
    seen: Arc<BTreeSet<Gvk>>,
    /// Those of which every object names no namespace: either they have none, or it goes without saying.
    nowhere: Arc<BTreeSet<GroupKind>>,
    /// Groups that the server has and cannot speak of now.
    undiscovered: Arc<BTreeSet<Box<str>>>,
}

impl Schema {
    /// The built-in kinds of the Kubernetes version this release was made against.
    pub fn bundled() -> Schema {
        bundle::builtin().schema.clone()
    }

    /// The Kubernetes version the bundled kinds were read from: `v1.37.2`.
    pub fn bundled_version() -> &'static str {
        &bundle::builtin().kubernetes
    }

    /// No kinds at all.
    pub fn empty() -> Schema {
        Schema {
            kinds: Arc::default(),
            seen: Arc::default(),
            nowhere: Arc::default(),
            undiscovered: Arc::default(),
        }
    }

    /// Adds the kinds of CustomResourceDefinitions (`apiextensions.k8s.io/v1`), each replacing all versions of the kind that were known. Items that are not CRDs
    /// or have no usable schema are named in the second value; a CRD that has a kind of Kubernetes itself is refused.
    pub fn with_crds<'v>(
        &self,
        crds: impl IntoIterator<Item = &'v Value>,
    ) -> (Schema, Vec<String>) {
        let mut kinds = (*self.kinds).clone();
        let mut added = Vec::new();
        let mut problems = Vec::new();
        for crd in crds {
            let (found, wrong) = crd::kinds(crd);
            if let Some(first) = found.first() {
                kinds.remove(&first.gvk.group_kind());
                added.retain(|kind: &KindSchema| kind.gvk.group_kind() != first.gvk.group_kind());
            }
            added.extend(found);
            problems.extend(wrong);
        }
        let base = Schema {
            kinds: Arc::new(kinds),
            ..self.clone()
        };
        (base.with_versions(added), problems)
    }

    /// Adds the kinds of OpenAPI v3 documents (each the body of `/openapi/v3/apis/GROUP/VERSION` or `/openapi/v3/api/v1`). Kinds it redefines replace the old ones
    /// of the same version. Documents that are none are named in the second value.
    pub fn with_openapi<'v>(
        &self,
        documents: impl IntoIterator<Item = &'v Value>,
    ) -> (Schema, Vec<String>) {
        let (kinds, problems) = openapi::kinds(documents);
        (self.with_versions(kinds), problems)
    }

    /// The same, with what CustomResourceDefinitions say of their scale subresources: OpenAPI does not tell where the replicas are.
    pub fn with_replicas_of<'v>(&self, crds: impl IntoIterator<Item = &'v Value>) -> Schema {
        let mut kinds = (*self.kinds).clone();
        for said in crds.into_iter().flat_map(|crd| crd::kinds(crd).0) {
            let versions = kinds.get_mut(&said.gvk.group_kind()).into_iter().flatten();
            for kind in versions.filter(|kind| kind.gvk == said.gvk) {
                *kind = Arc::new(KindSchema {
                    gvk: kind.gvk.clone(),
                    plural: kind.plural.clone(),
                    types: kind.types.clone(),
                    replicas: said.replicas.clone(),
                    ..**kind
                });
            }
        }
        Schema {
            kinds: Arc::new(kinds),
            ..self.clone()
        }
    }

    fn with_versions(&self, added: impl IntoIterator<Item = KindSchema>) -> Schema {
        let mut kinds = (*self.kinds).clone();
        for kind in added {
            let versions = kinds.entry(kind.gvk.group_kind()).or_default();
            versions.retain(|old| old.gvk.version != kind.gvk.version);
            versions.push(Arc::new(kind));
            versions.sort_by(|a, b| preferred_first(&a.gvk.version, &b.gvk.version));
        }
        Schema {
            kinds: Arc::new(kinds),
            ..self.clone()
        }
    }

    /// With kinds of which there are objects, at their versions, and whether the object names a namespace: those that are not known otherwise
    /// can be matched by a glob then, and their fields stay unknown.
    pub fn with_seen(&self, kinds: impl IntoIterator<Item = (Gvk, bool)>) -> Schema {
        let mut seen = (*self.seen).clone();
        let (mut somewhere, mut nowhere) = (BTreeSet::new(), BTreeSet::new());
        for (gvk, names_namespace) in kinds {
            if self.kind_at(&gvk).is_some() {
                continue;
            }
            match names_namespace {
                true => somewhere.insert(gvk.group_kind()),
                false => nowhere.insert(gvk.group_kind()),
            };
            seen.insert(gvk);
        }
        // What was seen before and not now stays as it was.
        let before = self.seen.iter().map(Gvk::group_kind);
        somewhere.extend(before.filter(|kind| !self.nowhere.contains(kind)));
        nowhere.extend(self.nowhere.iter().cloned());
        nowhere.retain(|kind| !somewhere.contains(kind));
        Schema {
            seen: Arc::new(seen),
            nowhere: Arc::new(nowhere),
            ..self.clone()
        }
    }

    /// Whether there are objects of a kind of which nobody says where they lie, and they do not either.
    pub fn lies_nowhere(&self, kind: &GroupKind) -> bool {
        self.scope(kind) == Scope::Unknown && self.nowhere.contains(kind)
    }

    /// With groups that the server has and cannot speak of now: that a kind of theirs is not known is nobody's mistake.
    pub fn with_undiscovered<'g>(&self, groups: impl IntoIterator<Item = &'g str>) -> Schema {
        Schema {
            undiscovered: Arc::new(groups.into_iter().map(Box::from).collect()),
            ..self.clone()
        }
    }

    /// Whether this group could not be asked for its kinds.
    pub fn is_undiscovered(&self, group: &str) -> bool {
        self.undiscovered.contains(group)
    }

    /// Kinds of which there are objects, and nothing else is known.
    pub fn seen(&self) -> &BTreeSet<Gvk> {
        &self.seen
    }

    /// A kind at its preferred version.
    pub fn kind(&self, kind: &GroupKind) -> Option<Arc<KindSchema>> {
        self.kinds.get(kind)?.first().cloned()
    }

    /// A kind at exactly this version.
    pub fn kind_at(&self, gvk: &Gvk) -> Option<Arc<KindSchema>> {
        let versions = self.kinds.get(&gvk.group_kind())?;
        versions
            .iter()
            .find(|kind| kind.gvk.version == gvk.version)
            .cloned()
    }

    /// All kinds, each at its preferred version, sorted by group and kind.
    pub fn kinds(&self) -> Vec<Arc<KindSchema>> {
        self.kinds
            .values()
            .filter_map(|versions| versions.first().cloned())
            .collect()
    }

    /// All kinds at all their versions, sorted by group and kind, the preferred version first.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<KindSchema>> {
        self.kinds.values().flatten()
    }

    /// Whether a group belongs to Kubernetes itself (core, apps, batch, `*.k8s.io` that is bundled): an unknown kind in it is an error, elsewhere a warning.
    pub fn is_builtin_group(&self, group: &str) -> bool {
        bundle::builtin().groups.contains(group)
    }

    /// The compact form of all kinds, as it is bundled. `kubernetes` is the version they were read from.
    pub fn to_bundle(&self, kubernetes: &str) -> Result<Vec<u8>, BundleError> {
        bundle::encode(self, kubernetes)
    }

    /// Reads what [`Self::to_bundle`] wrote, with the Kubernetes version.
    pub fn from_bundle(bytes: &[u8]) -> Result<(Schema, String), BundleError> {
        bundle::decode(bytes)
    }
}

/// One kind at one version.
pub struct KindSchema {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// As in URLs: `configmaps`.
    pub plural: Box<str>,
    /// Its objects live in namespaces.
    pub namespaced: bool,
    /// Has a `/status` subresource.
    pub status: bool,
    /// Has a `/scale` subresource.
    pub scale: bool,
    /// Where its scale subresource finds the number of replicas, as the CustomResourceDefinition says it: `.spec.tills`. `None`: nobody said.
    replicas: Option<Box<str>>,
    /// Can be listed and watched.
    pub listable: bool,
    types: Arc<Table>,
    root: Option<u32>,
}

impl KindSchema {
    /// The type of the whole object. `None` when the kind is known but its fields are not (a CRD that preserves unknown fields at the root).
    pub fn root(&self) -> Option<Type<'_>> {
        self.root.map(|root| Type::new(&self.types, root))
    }

    /// Where the number of replicas stands that the scale subresource changes, as a path: `$.spec.replicas` where nobody said otherwise.
    /// `None` if the kind has no such subresource.
    pub fn replicas_path(&self) -> Option<String> {
        let said = self.replicas.as_deref().unwrap_or(".spec.replicas");
        self.scale.then(|| format!("${said}"))
    }

    /// Where the Pod of this kind is: `[]` for Pod itself, `["spec","template"]`, `["spec","jobTemplate","spec","template"]`; `None` if it has none.
    pub fn pod_prefix(&self) -> Option<&'static [&'static str]> {
        match (&*self.gvk.group, &*self.gvk.kind) {
            ("", "Pod") => Some(&[]),
            ("", "PodTemplate") => Some(&["template"]),
            ("", "ReplicationController")
            | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | ("batch", "Job") => Some(&["spec", "template"]),
            ("batch", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template"]),
            _ => None,
        }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.versions()).finish()
    }
}

impl fmt::Debug for KindSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.gvk)
    }
}
