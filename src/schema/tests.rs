#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use proptest::prelude::*;
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

#[test]
fn the_bundle_is_small_and_of_a_release() {
    let bytes = include_bytes!("builtin.bin");
    println!("the bundle takes {} bytes", bytes.len());
    assert!(bytes.len() <= 300 * 1024, "{}", bytes.len());
    let (schema, version) = Schema::from_bundle(bytes).unwrap();
    assert!(schema.kinds().len() >= 60, "{}", schema.kinds().len());
    assert!(version.starts_with("v1."), "{version}");
    assert_eq!(version, Schema::bundled_version());
}

#[test]
fn a_bundle_written_again_is_the_same() {
    let bytes = include_bytes!("builtin.bin");
    let (schema, version) = Schema::from_bundle(bytes).unwrap();
    let again = schema.to_bundle(&version).unwrap();
    let (schema_again, _) = Schema::from_bundle(&again).unwrap();
    let sizes = |schema: &Schema| {
        let types = &schema.kinds()[0].types;
        (types.nodes.len(), types.strings.len())
    };
    assert_eq!(sizes(&schema), sizes(&schema_again));
    for (a, b) in schema.versions().zip(schema_again.versions()) {
        assert_eq!(a.gvk, b.gvk);
        assert_eq!(
            a.root().unwrap().field_names(),
            b.root().unwrap().field_names()
        );
    }
}

#[test]
fn damaged_bundles_are_errors() {
    let bytes = include_bytes!("builtin.bin");
    assert!(Schema::from_bundle(&[]).is_err());
    assert!(Schema::from_bundle(&bytes[..bytes.len() / 2]).is_err());
    assert!(Schema::from_bundle(b"not deflated").is_err());
}

#[test]
fn built_in_kinds_have_scope_plural_and_subresources() {
    let schema = Schema::bundled();
    for (api_version, name, plural, namespaced, status, scale, listable) in [
        ("v1", "Pod", "pods", true, true, false, true),
        ("v1", "ConfigMap", "configmaps", true, false, false, true),
        ("v1", "Secret", "secrets", true, false, false, true),
        ("v1", "Namespace", "namespaces", false, true, false, true),
        ("v1", "Node", "nodes", false, true, false, true),
        ("v1", "Endpoints", "endpoints", true, false, false, true),
        (
            "v1",
            "ComponentStatus",
            "componentstatuses",
            false,
            false,
            false,
            false,
        ),
        (
            "v1",
            "ReplicationController",
            "replicationcontrollers",
            true,
            true,
            true,
            true,
        ),
        (
            "apps/v1",
            "Deployment",
            "deployments",
            true,
            true,
            true,
            true,
        ),
        (
            "apps/v1",
            "DaemonSet",
            "daemonsets",
            true,
            true,
            false,
            true,
        ),
        (
            "apps/v1",
            "StatefulSet",
            "statefulsets",
            true,
            true,
            true,
            true,
        ),
        ("batch/v1", "Job", "jobs", true, true, false, true),
        ("batch/v1", "CronJob", "cronjobs", true, true, false, true),
        (
            "networking.k8s.io/v1",
            "Ingress",
            "ingresses",
            true,
            true,
            false,
            true,
        ),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "networkpolicies",
            true,
            false,
            false,
            true,
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            "clusterroles",
            false,
            false,
            false,
            true,
        ),
        (
            "authorization.k8s.io/v1",
            "SubjectAccessReview",
            "subjectaccessreviews",
            false,
            false,
            false,
            false,
        ),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            false,
            true,
            false,
            true,
        ),
        (
            "apiregistration.k8s.io/v1",
            "APIService",
            "apiservices",
            false,
            true,
            false,
            true,
        ),
    ] {
        let kind = kind(&schema, api_version, name);
        assert_eq!(
            (
                &*kind.plural,
                kind.namespaced,
                kind.status,
                kind.scale,
                kind.listable
            ),
            (plural, namespaced, status, scale, listable),
            "{name}"
        );
        assert!(kind.root().is_some(), "{name}");
    }
    for not_a_kind in [
        "PodList",
        "DeleteOptions",
        "Status",
        "WatchEvent",
        "Scale",
        "Eviction",
    ] {
        assert!(
            schema
                .kinds()
                .iter()
                .all(|kind| *kind.gvk.kind != *not_a_kind),
            "{not_a_kind}"
        );
    }
}

#[test]
fn fields_of_built_in_kinds_have_their_types() {
    let schema = Schema::bundled();
    for (api_version, name, path, shape) in [
        ("v1", "Pod", "metadata.labels", Shape::Map),
        ("v1", "Pod", "metadata.labels.app", Shape::String),
        ("v1", "Pod", "metadata.creationTimestamp", Shape::Time),
        ("v1", "Pod", "metadata.managedFields.*.fieldsV1", Shape::Any),
        (
            "v1",
            "Pod",
            "metadata.managedFields.*.fieldsV1.f:spec",
            Shape::Any,
        ),
        ("v1", "Pod", "spec.containers", Shape::List),
        ("v1", "Pod", "spec.containers.*", Shape::Object),
        (
            "v1",
            "Pod",
            "spec.containers.*.resources.limits.memory",
            Shape::Quantity,
        ),
        (
            "v1",
            "Pod",
            "spec.containers.*.ports.*.containerPort",
            Shape::Integer,
        ),
        (
            "v1",
            "Pod",
            "spec.containers.*.livenessProbe.httpGet.port",
            Shape::IntOrString,
        ),
        ("v1", "Pod", "spec.hostNetwork", Shape::Boolean),
        ("v1", "Pod", "status.startTime", Shape::Time),
        ("v1", "ConfigMap", "data", Shape::Map),
        ("v1", "ConfigMap", "data.anything", Shape::String),
        ("v1", "ConfigMap", "immutable", Shape::Boolean),
        ("v1", "Secret", "data.key", Shape::String),
        (
            "v1",
            "Service",
            "spec.ports.*.targetPort",
            Shape::IntOrString,
        ),
        ("apps/v1", "Deployment", "spec.replicas", Shape::Integer),
        (
            "apps/v1",
            "Deployment",
            "spec.strategy.rollingUpdate.maxSurge",
            Shape::IntOrString,
        ),
        (
            "apps/v1",
            "Deployment",
            "spec.template.spec.volumes.*.emptyDir.sizeLimit",
            Shape::Quantity,
        ),
        ("apps/v1", "ControllerRevision", "data.spec.x", Shape::Any),
        (
            "batch/v1",
            "Job",
            "spec.ttlSecondsAfterFinished",
            Shape::Integer,
        ),
        ("batch/v1", "Job", "status.completionTime", Shape::Time),
        (
            "batch/v1",
            "CronJob",
            "spec.jobTemplate.spec.template.spec.containers.*.image",
            Shape::String,
        ),
        (
            "coordination.k8s.io/v1",
            "Lease",
            "spec.renewTime",
            Shape::Time,
        ),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "spec.versions.*.schema.openAPIV3Schema.properties.a.properties.b.type",
            Shape::String,
        ),
    ] {
        let kind = kind(&schema, api_version, name);
        assert_eq!(
            at(&kind, path).map(Type::shape),
            Some(shape),
            "{name} {path}"
        );
    }
    for (api_version, name, path) in [
        ("apps/v1", "Deployment", "spec.replica"),
        ("v1", "Pod", "spec.containers.image"),
        ("v1", "Pod", "spec.containers.*.image.tag"),
        ("v1", "ConfigMap", "spec"),
    ] {
        assert!(
            at(&kind(&schema, api_version, name), path).is_none(),
            "{name} {path}"
        );
    }
}

#[test]
fn lists_know_their_keys_sets_and_defaults() {
    let schema = Schema::bundled();
    let pod = kind(&schema, "v1", "Pod");
    for (path, keys) in [
        ("spec.containers", &["name"][..]),
        ("spec.containers.*.env", &["name"]),
        ("spec.containers.*.ports", &["containerPort", "protocol"]),
        ("spec.containers.*.volumeMounts", &["mountPath"]),
        (
            "spec.topologySpreadConstraints",
            &["topologyKey", "whenUnsatisfiable"],
        ),
        ("spec.tolerations", &[]),
        ("metadata.ownerReferences", &["uid"]),
        ("status.conditions", &["type"]),
    ] {
        assert_eq!(at(&pod, path).unwrap().list_keys(), keys, "{path}");
    }
    assert!(at(&pod, "metadata.finalizers").unwrap().is_set());
    assert!(!at(&pod, "spec.containers").unwrap().is_set());
    let port = at(&pod, "spec.containers.*.ports.*").unwrap();
    assert_eq!(port.default_of("protocol"), Some(json!("TCP")));
    assert_eq!(port.default_of("hostPort"), None);
    assert!(port.requires("containerPort") && !port.requires("protocol"));
    let service = kind(&schema, "v1", "Service");
    let port = at(&service, "spec.ports.*").unwrap();
    assert_eq!(port.default_of("protocol"), Some(json!("TCP")));
    // Go's zero values are no defaults of the server.
    assert_eq!(pod.root().unwrap().default_of("spec"), None);
    assert_eq!(
        at(&pod, "spec").unwrap().id(),
        at(&pod, "spec").unwrap().id()
    );
    assert_ne!(
        at(&pod, "spec").unwrap().id(),
        at(&pod, "status").unwrap().id()
    );
    let names = at(&service, "spec").unwrap().field_names();
    assert!(names.is_sorted() && names.contains(&"clusterIP"));
    let deployment = kind(&schema, "apps/v1", "Deployment");
    let names = at(&deployment, "spec").unwrap().field_names();
    assert_eq!(nearest("replica", names), ["replicas"]);
}

#[test]
fn pods_are_found_where_they_are() {
    let schema = Schema::bundled();
    let mut with_pods: Vec<_> = Vec::new();
    for kind in schema.kinds() {
        let Some(prefix) = kind.pod_prefix() else {
            continue;
        };
        let steps: Vec<_> = prefix
            .iter()
            .copied()
            .chain(["spec", "containers"])
            .map(Some)
            .collect();
        assert_eq!(
            kind.root().unwrap().at(&steps).map(Type::shape),
            Some(Shape::List),
            "{kind:?}"
        );
        with_pods.push(kind.gvk.kind.to_string());
    }
    assert_eq!(
        with_pods,
        [
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "DaemonSet",
            "Deployment",
            "ReplicaSet",
            "StatefulSet",
            "CronJob",
            "Job"
        ]
    );
    for (group, name) in WORKLOAD {
        let kind = schema.kind(&GroupKind::new(group, name)).unwrap();
        assert!(kind.pod_prefix().is_some());
    }
}

#[test]
fn the_preferred_version_and_others() {
    let schema = Schema::bundled();
    let autoscaler = GroupKind::new("autoscaling", "HorizontalPodAutoscaler");
    assert_eq!(&*schema.kind(&autoscaler).unwrap().gvk.version, "v2");
    let old = kind(&schema, "autoscaling/v1", "HorizontalPodAutoscaler");
    assert!(at(&old, "spec.targetCPUUtilizationPercentage").is_some());
    assert!(
        schema
            .kind_at(&Gvk::from_api_version("apps/v1beta1", "Deployment"))
            .is_none()
    );
    let kinds = schema.kinds();
    assert!(kinds.is_sorted_by_key(|kind| kind.gvk.group_kind()));
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| kind.gvk.group_kind() == autoscaler)
            .count(),
        1
    );
}

#[test]
fn groups_of_kubernetes_itself() {
    let schema = Schema::empty();
    assert!(schema.kinds().is_empty());
    for own in [
        "",
        "apps",
        "batch",
        "autoscaling",
        "policy",
        "networking.k8s.io",
        "rbac.authorization.k8s.io",
    ] {
        assert!(schema.is_builtin_group(own), "{own}");
    }
    for other in [
        "example.com",
        "gateway.networking.k8s.io",
        "cert-manager.io",
        "App",
        "k8s.io",
    ] {
        assert!(!schema.is_builtin_group(other), "{other}");
    }
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

#[test]
fn a_custom_resource_definition_is_a_kind() {
    let (schema, problems) = Schema::bundled().with_crds([&shop_crd()]);
    assert_eq!(problems, Vec::<String>::new());
    let group_kind = GroupKind::new("example.com", "Shop");
    let shop = schema.kind(&group_kind).unwrap();
    assert_eq!(shop.gvk.api_version(), "example.com/v1");
    assert_eq!(
        (
            &*shop.plural,
            shop.namespaced,
            shop.status,
            shop.scale,
            shop.listable
        ),
        ("shops", true, true, true, true)
    );
    for (path, shape) in [
        ("apiVersion", Shape::String),
        ("metadata.labels.app", Shape::String),
        ("metadata.creationTimestamp", Shape::Time),
        ("spec.owner", Shape::String),
        ("spec.tills", Shape::Integer),
        ("spec.since", Shape::Time),
        ("spec.port", Shape::IntOrString),
        ("spec.share", Shape::IntOrString),
        ("spec.memory", Shape::Quantity),
        ("spec.rate", Shape::Number),
        ("spec.notes", Shape::Any),
        ("spec.notes.deep.*.er", Shape::Any),
        ("spec.half", Shape::Object),
        ("spec.half.known", Shape::String),
        ("spec.half.other.thing", Shape::Any),
        ("spec.empty", Shape::Object),
        ("spec.prices.bread.cents", Shape::Integer),
        ("spec.pod.metadata.ownerReferences.*.uid", Shape::String),
        ("spec.pod.spec.anything", Shape::Any),
    ] {
        assert_eq!(at(&shop, path).map(Type::shape), Some(shape), "{path}");
    }
    for path in ["spec.ownr", "spec.empty.x", "status", "metadata.label"] {
        assert!(at(&shop, path).is_none(), "{path}");
    }
    let spec = at(&shop, "spec").unwrap();
    assert!(spec.requires("owner") && !spec.requires("tills"));
    assert_eq!(spec.default_of("tills"), Some(json!(0)));
    assert_eq!(spec.default_of("open"), Some(json!(true)));
    assert!(at(&shop, "spec.tags").unwrap().is_set());
    assert_eq!(
        at(&shop, "spec.shelves").unwrap().list_keys(),
        ["aisle", "level"]
    );
    assert_eq!(
        at(&shop, "spec.shelves.*").unwrap().default_of("level"),
        Some(json!(1))
    );
    assert_eq!(shop.pod_prefix(), None);
    assert!(shop.fixed(&[Some("spec")]).is_none());
    assert!(shop.fixed(&[Some("metadata"), Some("name")]).is_some());

    let versions: Vec<_> = schema
        .versions()
        .filter(|kind| kind.gvk.group_kind() == group_kind)
        .collect();
    assert_eq!(versions.len(), 2, "v1beta1 is not served");
    assert!(versions[1].root().is_none() && &*versions[1].gvk.version == "v1alpha1");
    assert!(
        Schema::bundled().kind(&group_kind).is_none(),
        "the old schema is as it was"
    );
}

#[test]
fn a_later_definition_replaces_the_kind() {
    let (schema, _) = Schema::empty().with_crds([&shop_crd()]);
    let mut newer = shop_crd();
    newer["spec"]["versions"] = json!([{"name": "v2", "served": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}]);
    for schema in [
        schema.with_crds([&newer]).0,
        Schema::empty().with_crds([&shop_crd(), &newer]).0,
    ] {
        let versions: Vec<_> = schema
            .versions()
            .map(|kind| kind.gvk.version.to_string())
            .collect();
        assert_eq!(versions, ["v2"]);
    }
}

#[test]
fn unusable_definitions_are_named() {
    let crd = |change: fn(&mut Value)| {
        let mut crd = shop_crd();
        change(&mut crd);
        crd
    };
    for (crd, says, kinds) in [
        (
            json!({"kind": "Pod", "metadata": {"name": "web"}}),
            "Pod web: not a CustomResourceDefinition",
            0,
        ),
        (json!(null), "not a CustomResourceDefinition", 0),
        (
            crd(|crd| crd["apiVersion"] = json!("apiextensions.k8s.io/v1beta1")),
            "apiVersion",
            0,
        ),
        (crd(|crd| crd["spec"] = json!({})), "spec.group", 0),
        (
            crd(|crd| crd["spec"]["scope"] = json!("Galaxy")),
            "spec.scope",
            0,
        ),
        (
            crd(|crd| crd["spec"]["versions"] = json!([])),
            "serves no version",
            0,
        ),
        (
            crd(|crd| crd["spec"]["versions"][0]["name"] = json!(7)),
            "a version without a name",
            1,
        ),
        (
            crd(|crd| crd["spec"]["versions"][2]["schema"] = json!(null)),
            "version v1: has no schema",
            2,
        ),
        (
            crd(|crd| {
                crd["spec"]["versions"][2]["schema"]["openAPIV3Schema"] = json!({"type": "string"})
            }),
            "not an object",
            2,
        ),
        (
            crd(|crd| {
                crd["spec"]["group"] = json!("apps");
                crd["spec"]["names"]["kind"] = json!("Deployment");
            }),
            "Kubernetes itself has this kind",
            0,
        ),
    ] {
        let (schema, problems) = Schema::empty().with_crds([&crd]);
        assert!(
            problems.len() == 1 && problems[0].contains(says),
            "{says}: {problems:?}"
        );
        assert_eq!(schema.versions().count(), kinds, "{says}");
    }
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

#[test]
fn openapi_documents_add_kinds() {
    let (schema, problems) = Schema::bundled().with_openapi([&shop_document()]);
    assert_eq!(problems, Vec::<String>::new());
    let shop = kind(&schema, "example.com/v1", "Shop");
    assert_eq!(
        (
            &*shop.plural,
            shop.namespaced,
            shop.status,
            shop.scale,
            shop.listable
        ),
        ("shops", true, true, false, true)
    );
    for (path, shape) in [
        ("metadata.name", Shape::String),
        ("spec.next.spec.next.spec.open", Shape::Boolean),
        ("alias", Shape::Any),
        ("lost", Shape::Any),
    ] {
        assert_eq!(at(&shop, path).map(Type::shape), Some(shape), "{path}");
    }
    assert_eq!(
        at(&shop, "spec").unwrap().default_of("open"),
        Some(json!(false))
    );
    assert!(schema.kind(&GroupKind::new("", "Pod")).is_some());
    let (_, problems) = schema.with_openapi([&json!({"kind": "Status"}), &json!({"paths": {}})]);
    assert_eq!(
        problems,
        ["document 1: not an OpenAPI v3 document: it has no paths"]
    );
}

#[test]
fn deep_nesting_is_anything_below_some_level() {
    let mut schema = json!({"type": "string"});
    for _ in 0..5_000 {
        let mut outer = json!({"type": "object", "properties": {}});
        outer["properties"]["a"] = schema;
        schema = outer;
    }
    let mut crd = shop_crd();
    crd["spec"]["versions"][2]["schema"]["openAPIV3Schema"] = schema;
    let (schema, problems) = Schema::empty().with_crds([&crd]);
    assert!(problems.is_empty());
    let shop = kind(&schema, "example.com/v1", "Shop");
    assert_eq!(at(&shop, "a.a.a").unwrap().shape(), Shape::Object);
    let deep = vec![Some("a"); 500];
    assert_eq!(shop.root().unwrap().at(&deep).unwrap().shape(), Shape::Any);
    // Dropping so deep a value would recurse; what was to be shown was shown.
    std::mem::forget(crd);
}

/// Any JSON, with a liking for the words that schemas are made of.
fn odd_json() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] = &[
        "type",
        "properties",
        "items",
        "object",
        "array",
        "string",
        "integer",
        "additionalProperties",
        "required",
        "default",
        "$ref",
        "allOf",
        "anyOf",
        "#/components/schemas/a",
        "#/components/schemas/b",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "set",
        "map",
        "format",
        "date-time",
        "pattern",
        "[KMGTPE]i",
        "name",
        "served",
        "schema",
        "openAPIV3Schema",
        "subresources",
        "status",
        "scale",
        "a",
        "b",
        "x-kubernetes-group-version-kind",
        "kind",
        "group",
        "version",
        "get",
        "post",
        "parameters",
        "x-kubernetes-action",
        "list",
        "",
    ];
    let word = prop::sample::select(WORDS).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Everything that can be asked of a type, some levels down.
fn ask(of: Type<'_>, depth: usize) {
    of.list_keys();
    of.is_set();
    for name in of.field_names() {
        of.requires(name);
        of.default_of(name);
        assert!(of.field(name).is_some());
    }
    if depth > 0 {
        let below = of
            .field_names()
            .into_iter()
            .filter_map(|name| of.field(name))
            .chain(of.element())
            .chain(of.field("x"));
        below.for_each(|below| ask(below, depth - 1));
    }
}

fn ask_all(schema: &Schema) {
    for kind in schema.versions() {
        if let Some(root) = kind.root() {
            ask(root, 3);
        }
    }
    let bytes = schema.to_bundle("v0").unwrap();
    let (again, _) = Schema::from_bundle(&bytes).unwrap();
    assert_eq!(again.versions().count(), schema.versions().count());
}

proptest! {
    #[test]
    fn odd_definitions_do_no_harm(odd in odd_json(), schema in odd_json(), version in odd_json()) {
        Schema::empty().with_crds([&odd]);
        let mut crd = shop_crd();
        crd["spec"]["versions"][2]["schema"]["openAPIV3Schema"] = schema;
        crd["spec"]["versions"][0] = version;
        let (schema, _) = Schema::empty().with_crds([&crd]);
        ask_all(&schema);
        crd["spec"] = odd;
        Schema::empty().with_crds([&crd]);
    }

    #[test]
    fn odd_documents_do_no_harm(odd in odd_json(), a in odd_json(), b in odd_json()) {
        Schema::empty().with_openapi([&odd]);
        let mut document = shop_document();
        document["components"]["schemas"]["a"] = a;
        document["components"]["schemas"]["b"] = b;
        document["paths"]["/apis/example.com/v1/namespaces/{namespace}/shops/{name}/scale"] = odd.clone();
        let (schema, _) = Schema::empty().with_openapi([&document]);
        ask_all(&schema);
        document["paths"]["/apis/example.com/v1/shops"] = odd;
        Schema::empty().with_openapi([&document]);
    }

    #[test]
    fn odd_bundles_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((schema, _)) = Schema::from_bundle(&bytes) {
            ask_all(&schema);
        }
    }
}
