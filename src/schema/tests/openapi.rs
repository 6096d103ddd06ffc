//! Documents of a live server.

use super::*;

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

/// The server adds what every object has, where the definition says nothing.
#[test]
fn a_root_that_takes_anything_tells_no_fields() {
    let mut document = shop_document();
    let root = &mut document["components"]["schemas"]["com.example.v1.Shop"];
    root["x-kubernetes-preserve-unknown-fields"] = json!(true);
    let (schema, _) = Schema::empty().with_openapi([&document]);
    assert!(at(&kind(&schema, "example.com/v1", "Shop"), "spec.next").is_some());

    let root = &mut document["components"]["schemas"]["com.example.v1.Shop"];
    let properties = root["properties"].as_object_mut().unwrap();
    properties.retain(|name, _| name == "metadata");
    let (schema, problems) = Schema::empty().with_openapi([&document]);
    assert!(problems.is_empty());
    assert!(kind(&schema, "example.com/v1", "Shop").root().is_none());
}
