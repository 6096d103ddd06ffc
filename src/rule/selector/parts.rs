//! A `match` part by part, for people who ask why it leaves an object out.

use super::{Deleting, InScope, LabelSelector, Match, is_workload};
use crate::object::{Meta, Node};
use crate::rule::expr::NamespaceObject;

/// One part of a `match` that says something about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part and what it asks, as in rule files: `names: [web-*]`.
    pub asks: String,
    /// What it saw.
    pub saw: String,
    /// How it came out.
    pub holds: InScope,
}

fn part(asks: String, saw: String, holds: bool) -> Part {
    let holds = if holds { InScope::Yes } else { InScope::No };
    Part { asks, saw, holds }
}

/// `a=b,c=d`; `none` without any.
fn labels(of: Option<Node<'_>>) -> String {
    let labels: Vec<String> = of
        .into_iter()
        .flat_map(|labels| labels.entries())
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if labels.is_empty() {
        "no labels".to_owned()
    } else {
        labels.join(",")
    }
}

impl Match {
    /// Every part that says something about this object, in the order in which [`Match::covers`] asks them, all of them also where one
    /// leaves the object out. It is covered exactly if all hold.
    pub fn parts(&self, meta: Meta<'_>, namespace: NamespaceObject<'_>) -> Vec<Part> {
        let mut parts = vec![];
        let only = self.deleting == Deleting::Only;
        if only || meta.is_deleting() {
            let asks = if only {
                "deleting: Only"
            } else {
                "deleting: Exclude"
            };
            let saw = if meta.is_deleting() {
                "it is being deleted"
            } else {
                "it is not being deleted"
            };
            parts.push(part(asks.into(), saw.into(), only == meta.is_deleting()));
        }
        if !self.names.is_empty() {
            let name = match meta.name() {
                "" => meta.generate_name(),
                name => name,
            };
            let asks = format!("names: {}", self.names);
            parts.push(part(asks, name.into(), self.names.matches(name)));
        }
        let is_namespace = meta.kind() == "Namespace" && meta.api_version() == "v1";
        let namespace_name = match meta.namespace() {
            None if is_namespace => Some(meta.name()),
            other => other,
        };
        if let Some(name) = namespace_name.filter(|_| !self.namespaces.is_empty()) {
            let asks = format!("namespaces: {}", self.namespaces);
            parts.push(part(asks, name.into(), self.namespaces.matches(name)));
        }
        if !self.selector.is_empty() {
            let asks = format!("selector: {}", self.selector.to_query());
            let holds = self.selector.matches(meta.labels());
            parts.push(part(asks, labels(meta.labels()), holds));
        }
        if self.workload && is_workload(meta) {
            let saw = match meta.controller() {
                Some(_) => "a controller owns it",
                None => "no controller owns it",
            };
            let holds = meta.controller().is_none();
            parts.push(part("kind: Workload".into(), saw.into(), holds));
        }
        if let Some(selector) = self.namespace_selector.as_ref().filter(|s| !s.is_empty()) {
            parts.extend(namespace_part(selector, meta, is_namespace, namespace));
        }
        parts
    }
}

fn namespace_part(
    selector: &LabelSelector,
    meta: Meta<'_>,
    is_namespace: bool,
    namespace: NamespaceObject<'_>,
) -> Option<Part> {
    let asks = format!("namespaceSelector: {}", selector.to_query());
    let of = match namespace {
        _ if is_namespace => meta.labels(),
        NamespaceObject::Known(namespace) => Meta::of(namespace).labels(),
        NamespaceObject::None => return None,
        NamespaceObject::Unknown => {
            return Some(Part {
                asks,
                saw: "its Namespace is not known".into(),
                holds: InScope::Unknown,
            });
        }
    };
    Some(part(asks, labels(of), selector.matches(of)))
}
