//! CustomResourceDefinitions, good and unusable.

use super::*;

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
