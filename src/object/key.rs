//! How an object is named: group, kind, namespace and name. Never the version.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A kind without its version, the way the queue and the store name it. `group` is empty for the core group.
///
/// Every event looks up several tables by kind or key. What they are hashed by is therefore as short as tells them apart: of a kind its
/// ends, of a key one number and two texts; and texts that are shared, as most are, are not compared.
#[derive(Clone, Debug, Eq, PartialOrd, Ord)]
pub struct GroupKind {
    /// API group, empty for the core group.
    pub group: Arc<str>,
    /// Kind in CamelCase, as in manifests.
    pub kind: Arc<str>,
}

impl GroupKind {
    /// A kind of a group; the core group is `""`.
    pub fn new(group: &str, kind: &str) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
        }
    }

    /// What tells it apart from most others: the ends of the kind, and the length of the group.
    #[inline]
    fn digest(&self) -> u64 {
        let kind = self.kind.as_bytes();
        let ends = match (kind.first_chunk::<8>(), kind.last_chunk::<8>()) {
            (Some(first), Some(last)) => {
                u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
            }
            _ => kind
                .iter()
                .fold(0, |ends, byte| ends << 8 | u64::from(*byte)),
        };
        ends ^ ((kind.len() as u64) << 56) ^ ((self.group.len() as u64) << 48)
    }
}

/// The same text. The standard library looks at the addresses only where what is behind them has a size.
#[inline]
fn same_text(a: &Arc<str>, b: &Arc<str>) -> bool {
    Arc::ptr_eq(a, b) || **a == **b
}

impl PartialEq for GroupKind {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        same_text(&self.kind, &other.kind) && same_text(&self.group, &other.group)
    }
}

impl Hash for GroupKind {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest());
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}.{}", self.kind, self.group)
        }
    }
}

/// A kind at one version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    /// API group, empty for the core group.
    pub group: Arc<str>,
    /// Version, such as `v1`.
    pub version: Arc<str>,
    /// Kind in CamelCase.
    pub kind: Arc<str>,
}

/// The groups that end in `.k8s.io` and are served by the API server itself; others are custom resources of the community.
const OF_KUBERNETES: [&str; 17] = [
    "admissionregistration",
    "apiextensions",
    "apiregistration",
    "authentication",
    "authorization",
    "certificates",
    "coordination",
    "discovery",
    "events",
    "flowcontrol.apiserver",
    "internal.apiserver",
    "networking",
    "node",
    "rbac.authorization",
    "resource",
    "scheduling",
    "storage",
];

impl Gvk {
    /// From the two fields every manifest carries. `apiVersion` is `v1` or `group/version`.
    pub fn from_api_version(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
        }
    }

    /// `v1` for the core group, else `group/version`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether it is a kind of Kubernetes itself, not of a CustomResourceDefinition.
    pub fn is_of_kubernetes(&self) -> bool {
        match self.group.strip_suffix(".k8s.io") {
            Some(name) => OF_KUBERNETES.contains(&name),
            None => !self.group.contains('.'),
        }
    }

    /// The kind without its version.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind {
            group: self.group.clone(),
            kind: self.kind.clone(),
        }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.api_version(), self.kind)
    }
}

/// The identity of one object in the queue, the store and every report.
///
/// Printed as `KIND/NAMESPACE/NAME`, or `KIND/NAME` for a cluster-scoped object.
#[derive(Clone, Debug, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Group and kind.
    pub kind: GroupKind,
    /// Namespace; `None` for a cluster-scoped object.
    pub namespace: Option<Arc<str>>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// A key from its parts.
    pub fn new(kind: GroupKind, namespace: Option<&str>, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.map(Into::into),
            name: name.into(),
        }
    }
}

impl PartialEq for ObjectKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let same_namespace = match (&self.namespace, &other.namespace) {
            (Some(a), Some(b)) => same_text(a, b),
            (None, None) => true,
            _ => false,
        };
        // What differs most comes first.
        same_text(&self.name, &other.name) && same_namespace && self.kind == other.kind
    }
}

impl Hash for ObjectKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        // The lengths tell where one text ends.
        let lengths = (namespace.len() as u64) << 32 ^ self.name.len() as u64;
        state.write_u64(self.kind.digest() ^ lengths.rotate_left(16));
        state.write(namespace.as_bytes());
        state.write(self.name.as_bytes());
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{}/{}", self.kind.kind, namespace, self.name),
            None => write!(f, "{}/{}", self.kind.kind, self.name),
        }
    }
}
