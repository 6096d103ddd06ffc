//! The examples and tables of RFC 9535.

use super::*;

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

/// The comparisons of RFC 9535, table 11 (section 2.3.5.3): each is tried as a filter on a list of one. A comparison with null is
/// refused, and null counts as absent.
#[test]
fn comparisons_of_the_standard() {
    let value = json!({"obj": {"x": "y"}, "arr": [2, 3], "one": [0]});
    for (test, expected) in [
        ("$.absent1 == $.absent2", true),
        ("$.absent1 <= $.absent2", true),
        ("$.absent == 'g'", false),
        ("$.absent1 != $.absent2", false),
        ("$.absent != 'g'", true),
        ("1 <= 2", true),
        ("1 > 2", false),
        ("13 == '13'", false),
        ("'a' <= 'b'", true),
        ("'a' > 'b'", false),
        ("$.obj == $.arr", false),
        ("$.obj != $.arr", true),
        ("$.obj == $.obj", true),
        ("$.obj != $.obj", false),
        ("$.arr == $.arr", true),
        ("$.arr != $.arr", false),
        ("$.obj == 17", false),
        ("$.obj != 17", true),
        ("$.obj <= $.arr", false),
        ("$.obj < $.arr", false),
        ("$.obj <= $.obj", true),
        ("$.arr <= $.arr", true),
        ("1 <= $.arr", false),
        ("1 >= $.arr", false),
        ("1 > $.arr", false),
        ("1 < $.arr", false),
        ("true <= true", true),
        ("true > true", false),
        ("1 == 1.0", true),
        ("-0 == 0", true),
        ("1e2 == 100", true),
    ] {
        let path = format!("$.one[?{test}]");
        assert_eq!(!selected(&path, &value).is_empty(), expected, "{test}");
    }
}

/// RFC 9535, sections 2.3.1 to 2.3.3, 2.3.5, 2.5.1 and 2.5.2 with their tables.
#[test]
fn selectors_and_segments_of_the_standard() {
    let named = json!({"o": {"j j": {"k.k": 3}}, "'": {"@": 2}});
    let wild = json!({"o": {"j": 1, "k": 2}, "a": [5, 3]});
    let listed = json!({"l": ["a", "b"]});
    let descendants = json!({"o": {"j": 1, "k": 2}, "a": [5, 3, [{"j": 4}, {"k": 6}]]});
    let nulls = json!({"a": null, "b": [null], "c": [{}], "null": 1});
    for (value, path, expected) in [
        (&named, "$.o['j j']", json!([{"k.k": 3}])),
        (&named, "$.o['j j']['k.k']", json!([3])),
        (&named, "$.o[\"j j\"][\"k.k\"]", json!([3])),
        (&named, "$[\"'\"][\"@\"]", json!([2])),
        (&wild, "$[*]", json!([{"j": 1, "k": 2}, [5, 3]])),
        (&wild, "$.o[*]", json!([1, 2])),
        (&wild, "$.o[*, *]", json!([1, 2, 1, 2])),
        (&wild, "$.a[*]", json!([5, 3])),
        (&listed, "$.l[1]", json!(["b"])),
        (&listed, "$.l[-2]", json!(["a"])),
        (&listed, "$.l[-3]", json!([])),
        (&listed, "$.l['0']", json!([])),
        (&wild, "$.o[0]", json!([])),
        (&descendants, "$..j", json!([1, 4])),
        (&descendants, "$..[0]", json!([5, {"j": 4}])),
        (
            &descendants,
            "$..[*]",
            json!([{"j": 1, "k": 2}, [5, 3, [{"j": 4}, {"k": 6}]], 1, 2, 5, 3, [{"j": 4}, {"k": 6}], {"j": 4}, {"k": 6}, 4, 6]),
        ),
        (
            &descendants,
            "$..*",
            json!([{"j": 1, "k": 2}, [5, 3, [{"j": 4}, {"k": 6}]], 1, 2, 5, 3, [{"j": 4}, {"k": 6}], {"j": 4}, {"k": 6}, 4, 6]),
        ),
        (&descendants, "$..o", json!([{"j": 1, "k": 2}])),
        (&descendants, "$.o..[*, *]", json!([1, 2, 1, 2])),
        (
            &descendants,
            "$.a..[0, 1]",
            json!([5, 3, {"j": 4}, {"k": 6}]),
        ),
        (&nulls, "$.null", json!([1])),
        (&nulls, "$.b[?@]", json!([])),
        (&nulls, "$.a[0]", json!([])),
        (&nulls, "$.a.d", json!([])),
        (&descendants, "$ .a [ 0 ] ", json!([5])),
    ] {
        if path.ends_with(' ') {
            assert!(Path::parse(path).is_err());
            continue;
        }
        assert_eq!(json!(selected(path, value)), expected, "{path}");
    }
    let slices = json!({"l": ["a", "b", "c"]});
    for (slice, expected) in [
        (":", "abc"),
        ("-2:", "bc"),
        (":-1", "ab"),
        ("5:1", ""),
        ("-9:9", "abc"),
        ("9:-9:-1", "cba"),
        ("::2", "ac"),
        ("::-2", "ca"),
        ("1::-1", "ba"),
        (":0:-1", "cb"),
        ("0:9007199254740991:9007199254740991", "a"),
        ("::-9007199254740991", "c"),
    ] {
        let path = format!("$.l[{slice}]");
        let found = selected(&path, &slices);
        let joined: String = found.iter().filter_map(Value::as_str).collect();
        assert_eq!(joined, expected, "{slice}");
    }
}

/// RFC 9535, section 2.4: functions, and which uses of them are well-typed.
#[test]
fn functions_of_the_standard() {
    let value = json!({"a": [{"x": "Europe/Rome", "list": [1, 2], "map": {"k": 1}, "n": 3}]});
    for (test, expected) in [
        ("length(@.x) == 11", true),
        ("length(@.list) == 2", true),
        ("length(@.map) == 1", true),
        ("length(@.n) == 1", false),
        ("length(@.absent) == 0", false),
        ("length('äb') == 2", true),
        ("length(value(@..x)) > 10", true),
        ("count(@.*) == 4", true),
        ("count(@.absent) == 0", true),
        ("count(@..[*]) >= 7", true),
        ("match(@.x, 'Europe/.*')", true),
        ("match(@.x, 'Europe')", false),
        ("match(@.x, 'Rome|Europe/Rome')", true),
        ("search(@.x, 'ope')", true),
        ("search(@.n, '3')", false),
        ("search(@.absent, '')", false),
        ("!search(@.x, 'x')", true),
        ("search(@.x, '\\\\w')", true),
        ("value(@.list[*]) == 1", false),
        ("value(@..k) == 1", true),
        ("value(@.list[0]) == 1", true),
        ("@.n == 3 && (@.x || @.y) && !(@.y)", true),
        ("@.n == 4 || @.n == 3 && @.y", false),
        ("@['x'] == \"Europe/Rome\"", true),
    ] {
        let path = format!("$.a[?{test}]");
        assert_eq!(!selected(&path, &value).is_empty(), expected, "{test}");
    }
    for path in [
        "$.a[?length(@.*) < 3]",
        "$.a[?count(1) == 1]",
        "$.a[?count(foo(@.*)) == 1]",
        "$.a[?match(@.timezone, 'Europe/.*') == true]",
        "$.a[?value(@..color)]",
        "$.a[?bar(@.a)]",
        "$.a[?search(@.x)]",
        "$.a[?nin(@.x, @.y)]",
    ] {
        let record = Path::parse(path);
        assert!(record.is_err(), "{path}");
    }
}
