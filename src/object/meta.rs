//! `metadata` of a record, and the two fields beside it that say what the object is.

use super::{Key, Node};
use std::sync::LazyLock;

/// The fields that every event asks for: looked up without hashing their names.
struct Keys {
    metadata: Key,
    labels: Key,
    annotations: Key,
    namespace: Key,
    name: Key,
    deletion_timestamp: Key,
    api_version: Key,
    kind: Key,
    uid: Key,
    resource_version: Key,
    owner_references: Key,
    controller: Key,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    metadata: Key::new("metadata"),
    labels: Key::new("labels"),
    annotations: Key::new("annotations"),
    namespace: Key::new("namespace"),
    name: Key::new("name"),
    deletion_timestamp: Key::new("deletionTimestamp"),
    api_version: Key::new("apiVersion"),
    kind: Key::new("kind"),
    uid: Key::new("uid"),
    resource_version: Key::new("resourceVersion"),
    owner_references: Key::new("ownerReferences"),
    controller: Key::new("controller"),
});

/// Absent or wrongly typed fields read as `None` or `""`.
#[derive(Clone, Copy)]
pub struct Meta<'a> {
    root: Node<'a>,
    metadata: Option<Node<'a>>,
}

impl<'a> Meta<'a> {
    /// Of a whole object.
    pub fn of(root: Node<'a>) -> Self {
        Self {
            root,
            metadata: root.get(&KEYS.metadata),
        }
    }

    fn text(self, name: &str) -> &'a str {
        self.metadata
            .and_then(|m| m.get_str(name))
            .and_then(Node::as_str)
            .unwrap_or("")
    }

    fn known(self, key: &Key) -> &'a str {
        self.metadata
            .and_then(|m| m.get(key))
            .and_then(Node::as_str)
            .unwrap_or("")
    }

    /// `apiVersion`
    pub fn api_version(self) -> &'a str {
        self.root
            .get(&KEYS.api_version)
            .and_then(Node::as_str)
            .unwrap_or("")
    }

    /// `kind`
    pub fn kind(self) -> &'a str {
        self.root
            .get(&KEYS.kind)
            .and_then(Node::as_str)
            .unwrap_or("")
    }

    /// `metadata.name`
    pub fn name(self) -> &'a str {
        self.known(&KEYS.name)
    }

    /// `metadata.generateName`
    pub fn generate_name(self) -> &'a str {
        self.text("generateName")
    }

    /// `metadata.namespace`; `None` for a cluster-scoped object.
    pub fn namespace(self) -> Option<&'a str> {
        Some(self.known(&KEYS.namespace)).filter(|n| !n.is_empty())
    }

    /// `metadata.uid`
    pub fn uid(self) -> &'a str {
        self.known(&KEYS.uid)
    }

    /// `metadata.resourceVersion`
    pub fn resource_version(self) -> &'a str {
        self.known(&KEYS.resource_version)
    }

    /// `metadata.labels`
    pub fn labels(self) -> Option<Node<'a>> {
        self.metadata?.get(&KEYS.labels)
    }

    /// One label's value.
    pub fn label(self, name: &str) -> Option<&'a str> {
        self.labels()?.get_str(name)?.as_str()
    }

    /// `metadata.annotations`
    pub fn annotations(self) -> Option<Node<'a>> {
        self.metadata?.get(&KEYS.annotations)
    }

    /// One annotation's value.
    pub fn annotation(self, name: &str) -> Option<&'a str> {
        self.annotations()?.get_str(name)?.as_str()
    }

    /// `metadata.creationTimestamp`
    pub fn creation_timestamp(self) -> Option<jiff::Timestamp> {
        self.text("creationTimestamp").parse().ok()
    }

    /// Whether `metadata.deletionTimestamp` is set.
    pub fn is_deleting(self) -> bool {
        self.metadata
            .and_then(|m| m.get(&KEYS.deletion_timestamp))
            .is_some_and(|t| !t.is_null())
    }

    /// The owner reference with `controller: true`: (apiVersion, kind, name).
    pub fn controller(self) -> Option<(&'a str, &'a str, &'a str)> {
        let owner = self.controlling()?;
        let field = |name| owner.get(name).and_then(Node::as_str).unwrap_or("");
        Some((
            field(&KEYS.api_version),
            field(&KEYS.kind),
            field(&KEYS.name),
        ))
    }

    /// The uid of the owner that [`Meta::controller`] names.
    pub fn controller_uid(self) -> Option<&'a str> {
        self.controlling()?.get(&KEYS.uid).and_then(Node::as_str)
    }

    fn controlling(self) -> Option<Node<'a>> {
        let mut owners = self.metadata?.get(&KEYS.owner_references)?.items();
        owners.find(|o| o.get(&KEYS.controller).and_then(Node::as_bool) == Some(true))
    }
}
