#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::object::Record;
use proptest::prelude::*;
use serde_json::json;

fn selected(path: &str, value: &Value) -> Vec<Value> {
    selected_in(path, value, Some(&[]))
}

fn selected_in(path: &str, value: &Value, pod: PodPrefix) -> Vec<Value> {
    let record = Record::from_value(value);
    let mut out = vec![];
    Path::parse(path)
        .unwrap_or_else(|p| panic!("{path}: {p:?}"))
        .select(record.root(), pod, &mut |n| {
            out.push(n.to_value());
            true
        });
    out
}

/// RFC 9535, figure 1 and its table of examples (section 1.5), and the tables of sections 2.3.
#[test]
fn the_examples_of_the_standard() {
    let store = json!({"store": {"book": [
        {"category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95},
        {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99},
        {"category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99},
        {"category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395-19395-8", "price": 22.99}],
        "bicycle": {"color": "red", "price": 399}}});
    for (path, expected) in [
        (
            "$.store.book[*].author",
            json!([
                "Nigel Rees",
                "Evelyn Waugh",
                "Herman Melville",
                "J. R. R. Tolkien"
            ]),
        ),
        (
            "$..author",
            json!([
                "Nigel Rees",
                "Evelyn Waugh",
                "Herman Melville",
                "J. R. R. Tolkien"
            ]),
        ),
        ("$.store..price", json!([8.95, 12.99, 8.99, 22.99, 399])),
        ("$..book[2].title", json!(["Moby Dick"])),
        ("$..book[2].publisher", json!([])),
        ("$..book[-1].title", json!(["The Lord of the Rings"])),
        (
            "$..book[0,1].title",
            json!(["Sayings of the Century", "Sword of Honour"]),
        ),
        (
            "$..book[:2].title",
            json!(["Sayings of the Century", "Sword of Honour"]),
        ),
        (
            "$..book[?@.isbn].title",
            json!(["Moby Dick", "The Lord of the Rings"]),
        ),
        (
            "$..book[?@.price<10].title",
            json!(["Sayings of the Century", "Moby Dick"]),
        ),
        ("$.store.bicycle['color']", json!(["red"])),
    ] {
        assert_eq!(json!(selected(path, &store)), expected, "{path}");
    }
    let letters = json!(["a", "b", "c", "d", "e", "f", "g"]);
    let wrapped = json!({ "l": letters });
    for (path, expected) in [
        ("$.l[1:3]", json!(["b", "c"])),
        ("$.l[5:]", json!(["f", "g"])),
        ("$.l[1:5:2]", json!(["b", "d"])),
        ("$.l[5:1:-2]", json!(["f", "d"])),
        ("$.l[::-1]", json!(["g", "f", "e", "d", "c", "b", "a"])),
        ("$.l[1]", json!(["b"])),
        ("$.l[-2]", json!(["f"])),
        ("$.l[9]", json!([])),
        ("$.l[0:3,5]", json!(["a", "b", "c", "f"])),
        ("$.l[0,0]", json!(["a", "a"])),
        ("$.l[1:1]", json!([])),
        ("$.l[::0]", json!([])),
    ] {
        assert_eq!(json!(selected(path, &wrapped)), expected, "{path}");
    }
    let mixed = json!({"a": [3, 5, 1, 2, 4, 6, {"b": "j"}, {"b": "k"}, {"b": {}}, {"b": "kilo"}],
        "o": {"p": 1, "q": 2, "r": 3, "s": 5, "t": {"u": 6}}, "e": "f"});
    for (path, expected) in [
        ("$.a[?@.b == 'kilo']", json!([{"b": "kilo"}])),
        ("$.a[?(@.b == 'kilo')]", json!([{"b": "kilo"}])),
        ("$.a[?@>3.5]", json!([5, 4, 6])),
        (
            "$.a[?@.b]",
            json!([{"b": "j"}, {"b": "k"}, {"b": {}}, {"b": "kilo"}]),
        ),
        (
            "$[?@.*]",
            json!([[3, 5, 1, 2, 4, 6, {"b": "j"}, {"b": "k"}, {"b": {}}, {"b": "kilo"}], {"p": 1, "q": 2, "r": 3, "s": 5, "t": {"u": 6}}]),
        ),
        (
            "$[?@[?@.b]]",
            json!([[3, 5, 1, 2, 4, 6, {"b": "j"}, {"b": "k"}, {"b": {}}, {"b": "kilo"}]]),
        ),
        ("$.a[?@<2 || @.b == \"k\"]", json!([1, {"b": "k"}])),
        (
            "$.a[?match(@.b, \"[jk]\")]",
            json!([{"b": "j"}, {"b": "k"}]),
        ),
        (
            "$.a[?search(@.b, \"[jk]\")]",
            json!([{"b": "j"}, {"b": "k"}, {"b": "kilo"}]),
        ),
        ("$.o[?@>1 && @<4]", json!([2, 3])),
        ("$.o[?@.u || @.x]", json!([{"u": 6}])),
        ("$.a[?@.b == $.x]", json!([3, 5, 1, 2, 4, 6])),
        (
            "$.a[?@ == @]",
            json!([3, 5, 1, 2, 4, 6, {"b": "j"}, {"b": "k"}, {"b": {}}, {"b": "kilo"}]),
        ),
        ("$.a[?length(@.b) == 4]", json!([{"b": "kilo"}])),
        ("$[?count(@.*) == 5].p", json!([1])),
        ("$.a[?value(@..b) == 'j']", json!([{"b": "j"}])),
        ("$.a[?!@.b][0]", json!([])),
    ] {
        assert_eq!(json!(selected(path, &mixed)), expected, "{path}");
    }
    let odd = json!({"j j": {"k.k": 3}, "'": {"@": 2}, "é": 1, "a\\b": 4});
    for (path, expected) in [
        ("$['j j']['k.k']", json!([3])),
        ("$[\"'\"]['@']", json!([2])),
        ("$['\\'']['@']", json!([2])),
        ("$.é", json!([1])),
        ("$['\\u00e9']", json!([1])),
        ("$['a\\\\b']", json!([4])),
    ] {
        assert_eq!(json!(selected(path, &odd)), expected, "{path}");
    }
}

#[test]
fn roots_follow_the_kind() {
    let pod = json!({"spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}], "ephemeralContainers": [{"name": "e"}]}});
    assert_eq!(
        json!(selected("$containers[*].name", &pod)),
        json!(["a", "i", "e"])
    );
    assert_eq!(
        json!(selected("$containers[?@.name == 'i'].name", &pod)),
        json!(["i"])
    );
    assert_eq!(
        json!(selected("$pod.spec.containers[0].name", &pod)),
        json!(["a"])
    );
    let deployment = json!({"spec": {"template": pod}});
    assert_eq!(
        json!(selected_in(
            "$pod..name",
            &deployment,
            Some(&["spec", "template"])
        )),
        json!(["a", "i", "e"])
    );
    assert_eq!(
        json!(selected_in("$containers[*].name", &deployment, None)),
        json!([])
    );
}

#[test]
fn null_is_absent() {
    let value = json!({"a": null, "l": [null, 1], "m": [{"x": null}, {"x": 1}]});
    assert_eq!(json!(selected("$.a", &value)), json!([]));
    assert_eq!(json!(selected("$.l[*]", &value)), json!([1]));
    assert_eq!(json!(selected("$.m[?@.x].x", &value)), json!([1]));
    assert_eq!(json!(selected("$.m[?!@.x]", &value)), json!([{"x": null}]));
}

#[test]
fn large_integers_are_compared_exactly() {
    let value = json!({"a": [9_007_199_254_740_993_i64, 9_007_199_254_740_992_i64]});
    assert_eq!(
        json!(selected("$.a[?@ == $.a[1]]", &value)),
        json!([9_007_199_254_740_992_i64])
    );
}

fn refused(path: &str) -> PathProblem {
    match Path::parse(path) {
        Err(problem) => problem,
        Ok(_) => panic!("{path} was taken"),
    }
}

#[test]
fn what_people_write_by_mistake_gets_its_mend() {
    for (path, mend) in [
        (".spec.x", "did you mean `$.spec.x`?"),
        ("{.spec.x}", "did you mean `$.spec.x`?"),
        ("spec.x", "did you mean `$.spec.x`?"),
        ("{$.spec.x}", "did you mean `$.spec.x`?"),
        ("$.a[?@.x == null]", "write `?!@.x`"),
        ("$.a[?@.x != null]", "write `?@.x`"),
        ("$.a[?@.name in ['a']]", "write `@.x == 'a' || @.x == 'b'`"),
        ("$.a[?@.x and @.y]", "write `&&`"),
        (
            "$.metadata.labels.app.kubernetes.io/name",
            "names with other characters than letters, digits and `_` are written in brackets and quotes: `['app.kubernetes.io/name']`",
        ),
        ("$.a[${object.x}]", "use a filter, or an `expression` test"),
        ("$contaners[*]", "did you mean `$containers`?"),
        (
            "$containers",
            "write `$containers[*]` for all of them, or `$containers[?@.name == 'app']`",
        ),
        (
            "$.a[?@.x =~ 'b']",
            "write `search(@.x, 'pattern')` or `match(@.x, 'pattern')`",
        ),
    ] {
        assert_eq!(
            refused(path).mend.as_deref(),
            Some(mend),
            "{path}: {:?}",
            refused(path)
        );
    }
    assert!(
        refused("$.a[?search(@.x, '(')]")
            .message
            .contains("unclosed group")
    );
    assert!(refused("$.a[?foo(@.x)]").length > 0);
    assert!(
        refused(&format!("$.a{}", "[?@.a".repeat(100)))
            .message
            .contains("nested deeper")
    );
    assert!(
        refused(&format!("$.{}", "a".repeat(5000)))
            .message
            .contains("at most")
    );
    for path in [
        "$",
        "$.a[",
        "$.a..",
        "$.a[?]",
        "$.a[?@.x ==]",
        "$[",
        "$pod.",
    ] {
        if path != "$" {
            refused(path);
        }
    }
}

fn places(path: &str, value: &Value) -> Vec<(String, Option<usize>, bool)> {
    let record = Record::from_value(value);
    Path::parse(path)
        .unwrap()
        .places(record.root(), Some(&[]))
        .into_iter()
        .map(|p| {
            let hops: Vec<String> = p
                .location
                .iter()
                .map(|h| match h {
                    Hop::Name(n) => n.to_string(),
                    Hop::Index(i) => i.to_string(),
                })
                .collect();
            (hops.join("/"), p.item, p.present)
        })
        .collect()
}

#[test]
fn an_edit_knows_its_places() {
    let pod = json!({"metadata": {"labels": null}, "spec": {"containers": [{"name": "a", "env": [{"name": "X"}]}, {"name": "b"}],
        "initContainers": [{"name": "i"}], "ephemeralContainers": [{"name": "e"}]}});
    assert_eq!(
        places("$.metadata.labels.team", &pod),
        [("metadata/labels/team".to_owned(), None, false)]
    );
    assert_eq!(
        places("$containers[*].resources.limits", &pod),
        [
            (
                "spec/containers/0/resources/limits".to_owned(),
                Some(3),
                false
            ),
            (
                "spec/containers/1/resources/limits".to_owned(),
                Some(3),
                false
            ),
            (
                "spec/initContainers/0/resources/limits".to_owned(),
                Some(3),
                false
            )
        ]
    );
    assert_eq!(
        places("$.spec.containers[?@.name == 'b'].name", &pod),
        [("spec/containers/1/name".to_owned(), Some(3), true)]
    );
    assert_eq!(
        places("$.spec.containers[*].env[*].value", &pod),
        [("spec/containers/0/env/0/value".to_owned(), Some(5), false)]
    );
    assert_eq!(places("$.spec.volumes[*].name", &pod), []);
    assert_eq!(
        places("$.spec.containers[-1].image", &pod),
        [("spec/containers/1/image".to_owned(), Some(3), false)]
    );
    assert_eq!(places("$..name", &pod), []);
}

#[test]
fn metadata_only_is_told_apart() {
    for (path, is) in [
        ("$.metadata.labels.a", true),
        ("$.kind", true),
        ("$.metadata.ownerReferences[?@.kind == 'Job']", true),
        ("$.metadata.ownerReferences[?@.kind == $.spec.x]", false),
        ("$.spec.replicas", false),
        ("$..name", false),
        ("$pod.metadata.labels", false),
        ("$['metadata','spec']", false),
    ] {
        assert_eq!(Path::parse(path).unwrap().is_metadata_only(), is, "{path}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in "\\$[a-c.\\[\\]?@*'(): ,!&|=<>0-9-]{0,40}") {
        let record = Record::from_value(&json!({"a": [1, {"b": [2, 3]}], "b": {"c": "x"}}));
        if let Ok(path) = Path::parse(&text) {
            path.select(record.root(), Some(&[]), &mut |_| true);
            path.places(record.root(), Some(&[]));
        }
    }
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,60}") { let _ = Path::parse(&text); }
}
