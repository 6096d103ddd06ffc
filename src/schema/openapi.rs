//! Kinds from a server's OpenAPI v3: the paths tell plural, scope, verbs and subresources, the components the fields.

use super::KindSchema;
use super::build::Builder;
use super::read::{Reader, tells_fields};
use super::types::Table;
use crate::object::Gvk;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the paths of one document say about a resource, by plural.
#[derive(Default)]
struct Resource {
    gvk: Option<Gvk>,
    namespaced: bool,
    status: bool,
    scale: bool,
    listed: bool,
    watched: bool,
}

/// The kinds of some documents; all share one table. Documents without resources (`/api`, `/apis`, `/version`) have none, and are no mistake.
pub(super) fn kinds<'v>(
    documents: impl IntoIterator<Item = &'v Value>,
) -> (Vec<KindSchema>, Vec<String>) {
    let mut builder = Builder::default();
    let mut found: Vec<(Gvk, String, Resource, Option<u32>)> = Vec::new();
    let mut problems = Vec::new();
    for (number, document) in documents.into_iter().enumerate() {
        let Some(paths) = document.get("paths").and_then(Value::as_object) else {
            problems.push(format!(
                "document {}: not an OpenAPI v3 document: it has no paths",
                number + 1
            ));
            continue;
        };
        let components = document
            .pointer("/components/schemas")
            .and_then(Value::as_object);
        let names = components.map(component_names).unwrap_or_default();
        let mut reader = Reader::new(&mut builder, components);
        for (plural, resource) in resources(paths) {
            let Some(gvk) = resource.gvk.clone() else {
                continue;
            };
            let root = names.get(&gvk).map(|name| reader.component(name));
            found.push((gvk, plural, resource, root));
        }
    }
    for (.., root) in &mut found {
        let known = root.is_some_and(|at| tells_fields(&builder, builder.node(at)));
        if !known {
            *root = None;
        }
    }
    let roots = found.iter_mut().filter_map(|(.., root)| root.as_mut());
    let types: Arc<Table> = Arc::new(builder.finish(roots));
    let kinds = found
        .into_iter()
        .map(|(gvk, plural, resource, root)| KindSchema {
            gvk,
            plural: plural.into(),
            namespaced: resource.namespaced,
            status: resource.status,
            scale: resource.scale,
            replicas: None,
            listable: resource.listed && resource.watched,
            types: types.clone(),
            root,
        })
        .collect();
    (kinds, problems)
}

/// Which component describes which kind.
fn component_names(components: &Map<String, Value>) -> BTreeMap<Gvk, &str> {
    let mut names = BTreeMap::new();
    for (name, schema) in components {
        let kinds = schema
            .get("x-kubernetes-group-version-kind")
            .and_then(Value::as_array);
        for gvk in kinds.into_iter().flatten().filter_map(read_gvk) {
            names.entry(gvk).or_insert(name.as_str());
        }
    }
    names
}

fn read_gvk(value: &Value) -> Option<Gvk> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let kind = text("kind").filter(|kind| !kind.is_empty())?;
    Some(Gvk {
        group: text("group").unwrap_or_default().into(),
        version: text("version")
            .filter(|version| !version.is_empty())?
            .into(),
        kind: kind.into(),
    })
}

fn resources(paths: &Map<String, Value>) -> BTreeMap<String, Resource> {
    let mut resources: BTreeMap<String, Resource> = BTreeMap::new();
    let mut has_watch_paths = false;
    let mut takes_parameter: BTreeSet<&str> = BTreeSet::new();
    for (path, item) in paths {
        let Some(place) = place(path) else {
            continue;
        };
        let resource = resources.entry(place.plural.to_owned()).or_default();
        resource.namespaced |= place.namespaced;
        has_watch_paths |= place.watch;
        match place.sub {
            Sub::Collection if place.watch => resource.watched = true,
            Sub::Collection => {
                let list = item.get("get").filter(|get| {
                    get.get("x-kubernetes-action")
                        .is_some_and(|action| action == "list")
                });
                resource.listed |= list.is_some();
                if list.is_some_and(takes_watch) || takes_watch(item) {
                    takes_parameter.insert(place.plural);
                }
                if resource.gvk.is_none() {
                    resource.gvk = ["get", "post", "put"]
                        .iter()
                        .find_map(|verb| {
                            read_gvk(item.get(*verb)?.get("x-kubernetes-group-version-kind")?)
                        })
                        .filter(|gvk| *gvk.group == *place.group && *gvk.version == *place.version);
                }
            }
            Sub::Status => resource.status = true,
            Sub::Scale => resource.scale = true,
            Sub::Other => {}
        }
    }
    // Kubernetes itself writes a path for each watch, and gives the parameter to kinds that it cannot watch too; for custom resources there is the parameter alone.
    if !has_watch_paths {
        for (plural, resource) in &mut resources {
            resource.watched = takes_parameter.contains(plural.as_str());
        }
    }
    resources
}

fn takes_watch(holder: &Value) -> bool {
    let parameters = holder.get("parameters").and_then(Value::as_array);
    parameters.into_iter().flatten().any(|parameter| {
        parameter.get("name").is_some_and(|name| name == "watch")
            || parameter
                .get("$ref")
                .and_then(Value::as_str)
                .is_some_and(|name| name.contains("/watch-"))
    })
}

enum Sub {
    Collection,
    Status,
    Scale,
    Other,
}

/// What a URL path means.
struct Place<'p> {
    group: &'p str,
    version: &'p str,
    plural: &'p str,
    namespaced: bool,
    watch: bool,
    sub: Sub,
}

fn place(path: &str) -> Option<Place<'_>> {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let (watch, rest) = match rest {
        ["watch", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (namespaced, rest) = match rest {
        ["namespaces", "{namespace}", rest @ ..] if !rest.is_empty() => (true, rest),
        rest => (false, rest),
    };
    let (plural, sub) = match rest {
        [plural] => (*plural, Sub::Collection),
        [plural, _, "status"] => (*plural, Sub::Status),
        [plural, _, "scale"] => (*plural, Sub::Scale),
        [plural, ..] => (*plural, Sub::Other),
        [] => return None,
    };
    (!plural.starts_with('{')).then_some(Place {
        group,
        version,
        plural,
        namespaced,
        watch,
        sub,
    })
}
