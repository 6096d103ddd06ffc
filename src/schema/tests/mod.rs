#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bundled;
mod crd;
mod odd;
mod openapi;

use super::*;
use serde_json::json;

fn kind(schema: &Schema, api_version: &str, kind: &str) -> Arc<KindSchema> {
    schema
        .kind_at(&Gvk::from_api_version(api_version, kind))
        .unwrap_or_else(|| panic!("no {api_version} {kind}"))
}

/// `spec.containers.*.image`.
fn at<'k>(kind: &'k KindSchema, path: &str) -> Option<Type<'k>> {
    let steps: Vec<_> = path
        .split('.')
        .map(|step| (step != "*").then_some(step))
        .collect();
    kind.root()?.at(&steps)
}

fn shop_spec() -> Value {
    json!({"type": "object", "required": ["owner"], "properties": {
                            "owner": {"type": "string"},
                            "tills": {"type": "integer", "default": 0},
                            "open": {"type": "boolean", "default": true},
                            "since": {"type": "string", "format": "date-time"},
                            "port": {"x-kubernetes-int-or-string": true},
                            "share": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true},
                            "memory": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true,
                                       "pattern": "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$"},
                            "rate": {"type": "number"},
                            "notes": {"x-kubernetes-preserve-unknown-fields": true},
                            "half": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "string"}}},
                            "empty": {"type": "object"},
                            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                            "shelves": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["aisle", "level"],
                                "items": {"type": "object", "required": ["aisle"], "properties": {
                                    "aisle": {"type": "string"}, "level": {"type": "integer", "default": 1}}}},
                            "prices": {"type": "object", "additionalProperties": {"type": "object", "properties": {"cents": {"type": "integer"}}}},
                            "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}
    }})
}

fn shop_crd() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "shops.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Shop", "plural": "shops"},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1alpha1", "served": true, "storage": false, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
                {"name": "v1beta1", "served": false, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}},
                {"name": "v1", "served": true, "storage": true, "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.tills"}},
                 "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
                    "metadata": {"type": "object"},
                    "spec": shop_spec(),
                 }}}}
            ]
        }
    })
}

/// The document a server writes for a custom resource, abridged.
fn shop_document() -> Value {
    let gvk = json!({"group": "example.com", "version": "v1", "kind": "Shop"});
    let operation = |action: &str| json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk, "parameters": [{"name": "watch", "in": "query"}]});
    json!({
        "openapi": "3.0.0",
        "paths": {
            "/apis/example.com/v1/shops": {"get": operation("list")},
            "/apis/example.com/v1/namespaces/{namespace}/shops": {"get": operation("list"), "post": operation("post")},
            "/apis/example.com/v1/namespaces/{namespace}/shops/{name}": {"get": operation("get")},
            "/apis/example.com/v1/namespaces/{namespace}/shops/{name}/status": {"get": operation("get")},
        },
        "components": {"schemas": {
            "com.example.v1.Shop": {
                "type": "object",
                "x-kubernetes-group-version-kind": [gvk],
                "properties": {
                    "metadata": {"description": "…", "allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]},
                    "spec": {"type": "object", "properties": {"open": {"type": "boolean", "default": false}, "next": {"$ref": "#/components/schemas/com.example.v1.Shop"}}},
                    "alias": {"$ref": "#/components/schemas/a"},
                    "lost": {"$ref": "#/components/schemas/nowhere"},
                },
            },
            "a": {"$ref": "#/components/schemas/b"},
            "b": {"$ref": "#/components/schemas/a"},
            "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"type": "object", "properties": {"name": {"type": "string"}}},
        }},
    })
}
