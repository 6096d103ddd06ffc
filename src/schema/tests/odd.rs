//! Input that nobody should send, and somebody will.

use super::*;
use proptest::prelude::*;

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
