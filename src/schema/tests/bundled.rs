//! What the bundled kinds must hold.

use super::*;

#[test]
fn the_bundle_is_small_and_of_a_release() {
    let bytes = include_bytes!("../builtin.bin");
    println!("the bundle takes {} bytes", bytes.len());
    assert!(bytes.len() <= 300 * 1024, "{}", bytes.len());
    let (schema, version) = Schema::from_bundle(bytes).unwrap();
    assert!(schema.kinds().len() >= 60, "{}", schema.kinds().len());
    assert!(version.starts_with("v1."), "{version}");
    assert_eq!(version, Schema::bundled_version());
}

#[test]
fn a_bundle_written_again_is_the_same() {
    let bytes = include_bytes!("../builtin.bin");
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
    let bytes = include_bytes!("../builtin.bin");
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
