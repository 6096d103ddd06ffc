//! Which kinds the server has: plural, scope, verbs, subresources; and the schemas of those that are not bundled.

use super::requests::get;
use super::wire::Wire;
use crate::object::{GroupKind, Gvk};
use crate::schema::Schema;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResourceList};
use serde_json::Value;
use std::collections::BTreeMap;

/// Discovery and OpenAPI documents fetched at once.
const AT_ONCE: usize = 8;

/// One kind at one version, as the server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Group, version, kind.
    pub gvk: Gvk,
    /// As in URLs.
    pub plural: String,
    /// Lives in namespaces.
    pub namespaced: bool,
    /// Can be listed and watched.
    pub listable: bool,
}

impl Resource {
    /// The path of the collection, or of all namespaces' collections.
    pub fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.gvk.group.is_empty() {
            "/api".to_owned()
        } else {
            format!("/apis/{}", self.gvk.group)
        };
        match namespace {
            Some(namespace) if self.namespaced => format!(
                "{root}/{}/namespaces/{namespace}/{}",
                self.gvk.version, self.plural
            ),
            _ => format!("{root}/{}/{}", self.gvk.version, self.plural),
        }
    }
}

/// What the server has, at the moment of asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    resources: BTreeMap<(GroupKind, String), Resource>,
    /// Some group could not be asked: ask again later.
    pub incomplete: bool,
    /// Groups and versions that could not be asked, and why: whether they have a kind nobody knows.
    unasked: BTreeMap<(String, String), String>,
}

/// Where CustomResourceDefinitions are.
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

impl Discovery {
    /// Asks the server for everything. A group that cannot be asked (its extension server is down) is left out, with a warning.
    ///
    /// # Errors
    /// The server cannot be reached or refuses discovery as a whole.
    pub async fn run(wire: &Wire) -> anyhow::Result<Self> {
        Self::default().again(wire).await
    }

    /// As [`Discovery::run`]; but of a group that cannot be asked what is known here stays: nobody said that its kinds are gone.
    ///
    /// # Errors
    /// The same.
    pub async fn again(&self, wire: &Wire) -> anyhow::Result<Self> {
        let mut paths = vec![("/api/v1".to_owned(), String::new(), "v1".to_owned())];
        let groups: APIGroupList = serde_json::from_slice(&get(wire, "/apis").await?)?;
        for group in groups.groups {
            for version in group.versions {
                paths.push((
                    format!("/apis/{}", version.group_version),
                    group.name.clone(),
                    version.version,
                ));
            }
        }
        let mut found = Self::default();
        let answers = stream::iter(paths).map(|(path, group, version)| async move {
            let answer = get(wire, &path)
                .await
                .and_then(|body| Ok(serde_json::from_slice::<APIResourceList>(&body)?));
            (path, group, version, answer)
        });
        let mut answers = answers.buffer_unordered(AT_ONCE);
        while let Some((path, group, version, answer)) = answers.next().await {
            match answer {
                Ok(list) => found.add(&group, &version, list),
                Err(error) if path == "/api/v1" => return Err(error),
                Err(error) => {
                    tracing::warn!(%path, %error, "a group of the API cannot be discovered: what was known of its kinds stays");
                    found.incomplete = true;
                    found.keep(&group, &version, self);
                    found.unasked.insert((group, version), error.to_string());
                }
            }
        }
        Ok(found)
    }

    fn keep(&mut self, group: &str, version: &str, before: &Discovery) {
        let kept = before
            .resources
            .iter()
            .filter(|((kind, v), _)| &*kind.group == group && v == version);
        self.resources
            .extend(kept.map(|(key, resource)| (key.clone(), resource.clone())));
    }

    fn add(&mut self, group: &str, version: &str, list: APIResourceList) {
        for resource in list.resources {
            // `deployments/scale` is a subresource, not a kind of its own.
            if resource.name.contains('/') {
                continue;
            }
            let gvk = Gvk {
                group: group.into(),
                version: version.into(),
                kind: resource.kind.as_str().into(),
            };
            let listable = ["list", "watch"]
                .iter()
                .all(|v| resource.verbs.iter().any(|r| r == v));
            let entry = Resource {
                plural: resource.name,
                namespaced: resource.namespaced,
                listable,
                gvk,
            };
            self.resources
                .entry((entry.gvk.group_kind(), version.to_owned()))
                .or_insert(entry);
        }
    }

    /// A kind at a version.
    pub fn resource(&self, kind: &GroupKind, version: &str) -> Option<&Resource> {
        self.resources.get(&(kind.clone(), version.to_owned()))
    }

    /// Why nobody knows whether the server has a kind that was not found, if that is so.
    pub fn unasked(&self, kind: &GroupKind, version: &str) -> Option<&str> {
        let place = (kind.group.to_string(), version.to_owned());
        self.unasked.get(&place).map(String::as_str)
    }

    /// The bundled schema, and what the server says of groups that are not in it.
    ///
    /// # Errors
    /// The server cannot be reached. Documents that cannot be read are left out, with a warning.
    pub async fn schema(&self, wire: &Wire) -> anyhow::Result<Schema> {
        let bundled = Schema::bundled();
        let mut wanted: Vec<String> = self
            .resources
            .values()
            .filter(|r| {
                // Of the built-in groups only what a newer server has beyond what is bundled.
                !bundled.is_builtin_group(&r.gvk.group)
                    || (r.listable && bundled.kind_at(&r.gvk).is_none())
            })
            .map(|r| match &*r.gvk.group {
                "" => format!("/openapi/v3/api/{}", r.gvk.version),
                group => format!("/openapi/v3/apis/{group}/{}", r.gvk.version),
            })
            .collect();
        wanted.sort();
        wanted.dedup();
        let documents = stream::iter(wanted).map(|path| async move {
            match get(wire, &path).await {
                Ok(body) => Ok(serde_json::from_slice::<Value>(&body).ok()),
                // Kinds without a document are kinds without a schema: their paths are warnings, not errors.
                Err(error) => {
                    tracing::debug!(%path, %error, "no OpenAPI document");
                    Ok::<_, anyhow::Error>(None)
                }
            }
        });
        let documents: Vec<Option<Value>> = documents.buffered(AT_ONCE).try_collect().await?;
        let (schema, unread) = bundled.with_openapi(documents.iter().flatten());
        for part in unread {
            tracing::warn!(part, "a part of the server's OpenAPI is not understood");
        }
        let scaled: Vec<String> = schema
            .kinds()
            .iter()
            .filter(|k| k.scale && !bundled.is_builtin_group(&k.gvk.group))
            .map(|k| format!("{DEFINITIONS}/{}.{}", k.plural, k.gvk.group))
            .collect();
        let definitions = stream::iter(scaled).map(|path| async move {
            // Without the right to read it, or of an aggregated API: the replicas are where they are of nearly all kinds.
            let body = get(wire, &path).await.ok()?;
            serde_json::from_slice::<Value>(&body).ok()
        });
        let definitions: Vec<Value> = definitions
            .buffered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        let unasked = self.unasked.keys().map(|(group, _)| group.as_str());
        Ok(schema
            .with_replicas_of(&definitions)
            .with_undiscovered(unasked))
    }
}
