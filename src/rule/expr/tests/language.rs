//! Fields, operators, loops, optionals, faults, results.

use super::*;

#[test]
fn fields_and_operators() {
    hold(&[
        "object.metadata.name == 'web-1'",
        "object.metadata.labels['team'] == 'checkout'",
        "object.spec.containers[1].name == 'side'",
        "object.spec.containers.size() == 2 && size(object.metadata.labels) == 3",
        "object.spec.replicas + 1 == 4",
        "object.spec.replicas * 2 - 1 == 5 && 7 / 2 == 3 && 7 % 2 == 1 && -7 / 2 == -3",
        "object.spec.ratio * 2.0 == 5.0",
        "1 == 1.0 && 1u == 1 && 1 < 1.5 && 2u > 1 && 1.5 <= 2u",
        "9007199254740993 > 9007199254740992.0",
        "'a' < 'b' && b'a' < b'b' && false < true",
        "'a' + 'b' == 'ab' && [1] + [2] == [1, 2] && b'a' + b'b' == b'ab'",
        "80 in object.spec.ports && !(81 in object.spec.ports)",
        "'team' in object.metadata.labels && !('x' in object.metadata.labels)",
        "object.spec.ports == [80, 443] && [80, 443] == object.spec.ports",
        "{'a': 1, 'b': [2]} == {'b': [2.0], 'a': 1u}",
        "object.metadata.labels == {'team': 'checkout', 'app': 'web', 'empty': ''}",
        "1 != '1' && [1] != [1, 2] && null == null && {'a': 1} != {'a': 2}",
        "true ? true : 1 / (current - 3) == 1",
        "has(object.metadata.name) && !has(object.metadata.uid)",
        "!has(object.metadata.annotations)",
        "has(object.metadata.labels.empty)",
        "type(1) == int && type('a') == string && type(object) == map && type(null) == null_type && type(int) == type",
        "type(now) == google.protobuf.Timestamp && type(now - now) == google.protobuf.Duration",
        "namespaceObject.metadata.labels.env == 'prod'",
        "item.name == 'app' && current == 3",
        "{1: 'a', true: 'b', 'x': 'c'}[1] == 'a'",
        "cel.bind(x, object.spec.replicas, x * x) == 9",
        "object['metadata']['name'] == 'web-1'",
        "r'\\d' == '\\\\d' && '''a'b''' == \"a'b\" && '\\u00e9' == 'é'",
    ]);
}

#[test]
fn a_side_that_decides_makes_the_others_fault_not_matter() {
    hold(&[
        "true || object.x == 1",
        "object.x == 1 || true",
        "!(false && object.x == 1)",
        "!(object.x == 1 && false)",
        "[1, 0].exists(x, 1 / x == 1)",
        "[0, 1].exists(x, 1 / x == 1)",
        "![0, 2].all(x, 1 / x == 1)",
    ]);
    let absent = |name: &str| Err(ExprFault::Absent(name.into()));
    assert_eq!(evaluate("object.x == 1 || false"), absent("object.x"));
    assert_eq!(evaluate("object.x == 1 && true"), absent("object.x"));
    fail(&[("[0, 2].exists(x, 1 / x == 1)", "division by zero")]);
}

#[test]
fn loops() {
    hold(&[
        "object.spec.containers.all(c, c.image != '')",
        "object.spec.containers.exists(c, c.name == 'side')",
        "object.spec.containers.exists_one(c, c.name == 'side') && [1, 2].existsOne(x, x > 1)",
        "object.spec.containers.map(c, c.name) == ['app', 'side']",
        "object.spec.containers.map(c, c.name == 'app', c.image) == ['ghcr.io/shop/web:1.4.2']",
        "object.spec.ports.filter(p, p < 100) == [80]",
        "object.metadata.labels.all(k, k != '') && object.metadata.labels.map(k, k).sort() == ['app', 'empty', 'team']",
        "object.metadata.labels.filter(k, k.startsWith('t')) == ['team']",
        // Two variables.
        "object.spec.ports.all(i, p, i < 2 && p >= 80)",
        "object.metadata.labels.exists(k, v, k == 'app' && v == 'web')",
        "object.metadata.labels.existsOne(k, v, v == '')",
        "object.spec.ports.transformList(i, p, i + p) == [80, 444]",
        "object.metadata.labels.transformList(k, v, v != '', k + '=' + v) == ['app=web', 'team=checkout']",
        "object.metadata.labels.transformMap(k, v, k != 'empty', v + '!') == {'app': 'web!', 'team': 'checkout!'}",
        "[7, 8].transformMap(i, v, v * 2) == {0: 14, 1: 16}",
        "{'a': 'x'}.transformMapEntry(k, v, {v: k}) == {'x': 'a'}",
        "[3, 1, 2].sortBy(x, -x) == [3, 2, 1]",
        // Names of loops hide others, and end with the loop.
        "[1].map(object, object + 1) == [2] && object.kind == 'Pod'",
        "[[1, 2], [3]].map(l, l.map(x, x * l.size())) == [[2, 4], [3]]",
    ]);
    fail(&[("1.0.ceil == 1", "is a double, it has no field")]);
}

#[test]
fn optionals() {
    hold(&[
        "object.metadata.?labels.?app.orValue('x') == 'web'",
        "object.metadata.?labels.?none.orValue('x') == 'x'",
        "object.metadata.?annotations.?a.orValue('x') == 'x'",
        "object.?status.phase.orValue('x') == 'x'",
        "object.metadata.labels[?'app'].orValue('x') == 'web'",
        "object.spec.containers[?5].name.orValue('x') == 'x'",
        "object.spec.containers[?0].?image.hasValue()",
        "optional.of(1).value() == 1 && !optional.none().hasValue()",
        "optional.ofNonZeroValue('').orValue('x') == 'x' && optional.ofNonZeroValue('a').orValue('x') == 'a'",
        "optional.none().or(optional.of(2)).value() == 2",
        "optional.of(1).orValue(1 / (current - 3) + object.x) == 1",
        "object.?spec.?replicas.optMap(r, r * 2).value() == 6",
        "!object.?x.optMap(r, r * 2).hasValue()",
        "optional.of(1).optFlatMap(x, optional.of(x + 1)).value() == 2",
        "[1, ?object.?x, ?optional.of(2)] == [1, 2]",
        "{'a': 1, ?'b': object.?x} == {'a': 1}",
        "optional.of(1) == optional.of(1.0) && optional.none() == optional.none()",
        "[1, 2].first().value() == 1 && [].last() == optional.none() && [1, 2].last() == optional.of(2)",
        "[optional.of(1), optional.none()].unwrapOpt() == [1]",
        "has(object.?spec.replicas)",
    ]);
    assert_eq!(evaluate("optional.none()"), Ok(None));
    assert_eq!(evaluate("object.?x"), Ok(None));
    gives("object.?kind", json!("Pod"));
    fail(&[
        ("object.metadata.?name + 'x'", "`.orValue"),
        ("object.metadata.?name.startsWith('x')", "`.orValue"),
        ("optional.none().value()", "without a value"),
        (
            "object.kind.orValue('x')",
            "object.kind must be an optional, it is a string",
        ),
    ]);
}

#[test]
fn absent_fields_are_named() {
    for (text, name) in [
        ("object.spec.replica", "object.spec.replica"),
        (
            "object.metadata.annotations.x",
            "object.metadata.annotations",
        ),
        ("object.metadata.annotations", "object.metadata.annotations"),
        (
            "object.metadata.labels['x'] == 'y'",
            "object.metadata.labels['x']",
        ),
        (
            "object.spec.containers[2].name",
            "object.spec.containers[2]",
        ),
        ("object.spec.containers.map(c, c.resources)", "c.resources"),
        ("has(object.a.b)", "object.a"),
        ("image('nginx').tag()", "image(…).tag"),
        ("image(item.image).digest", "image(…).digest"),
    ] {
        assert_eq!(
            evaluate(text),
            Err(ExprFault::Absent(name.into())),
            "{text}"
        );
    }
}

#[test]
fn a_namespace_can_be_unknown_or_none() {
    let record = Record::from_value(&pod());
    let run = |text: &str, namespace_object| {
        let scope = Scope {
            object: record.root(),
            found: None,
            pod: None,
            namespace_object,
            now: Timestamp::UNIX_EPOCH,
            item: None,
            applied: None,
            current: None,
            variables: None,
            request: None,
            other: None,
            schedule_start: None,
            previous: None,
        };
        Expr::compile(text, EDIT).unwrap().evaluate(&scope)
    };
    let unknown = Err(ExprFault::Unknown("namespaceObject".into()));
    let name = "namespaceObject.metadata.name == 'x'";
    assert_eq!(run(name, NamespaceObject::Unknown), unknown);
    assert_eq!(
        run(&format!("{name} || object.x"), NamespaceObject::Unknown),
        unknown
    );
    assert_eq!(
        run(&format!("object.x || {name}"), NamespaceObject::Unknown),
        unknown
    );
    assert_eq!(
        run(&format!("{name} || true"), NamespaceObject::Unknown),
        Ok(Some(json!(true)))
    );
    assert_eq!(
        run(name, NamespaceObject::None),
        Err(ExprFault::Absent("namespaceObject.metadata".into()))
    );
    assert_eq!(
        run("namespaceObject == null", NamespaceObject::None),
        Ok(Some(json!(true)))
    );
    assert_eq!(
        run("item", NamespaceObject::None),
        Err(ExprFault::Absent("item".into()))
    );
    assert_eq!(
        run("current", NamespaceObject::None),
        Err(ExprFault::Absent("current".into()))
    );
}

#[test]
fn results_are_json() {
    gives("object.spec.replicas", json!(3));
    gives("object.spec.ratio", json!(2.5));
    gives("object.spec.replicas + 1", json!(4));
    gives(
        "18446744073709551615u",
        json!(18_446_744_073_709_551_615u64),
    );
    gives("object.spec.ports", json!([80, 443]));
    gives(
        "object.metadata.labels",
        json!({"app": "web", "team": "checkout", "empty": ""}),
    );
    gives(
        "[object.spec.ports, {'n': item.name}]",
        json!([[80, 443], {"n": "app"}]),
    );
    gives("now", json!("2026-01-08T00:00:00Z"));
    gives("now - timestamp('2026-01-07T22:30:00Z')", json!("1h30m"));
    gives("duration('-90s')", json!("-1m30s"));
    gives("quantity('1Gi').add(quantity('512Mi'))", json!("1536Mi"));
    gives("quantity('1024Mi')", json!("1024Mi"));
    gives(
        "[ip('::1'), cidr('10.0.0.0/8'), url('/a'), semver('1.2.3')]",
        json!(["::1", "10.0.0.0/8", "/a", "1.2.3"]),
    );
    gives("image('nginx:1')", json!("nginx:1"));
    gives("b'abc'", json!("YWJj"));
    gives("[optional.none(), 1]", json!([1]));
    gives(
        "{'a': optional.none(), 'b': optional.of(2)}",
        json!({"b": 2}),
    );
    gives("{1: 'a', true: 'b'}", json!({"1": "a", "true": "b"}));
    gives("null", json!(null));
    gives("int", json!("int"));
    gives("object.spec.replicas + object.spec.ratio", json!(5.5));
    gives("2 * 1.5 - 1u", json!(2));
    gives("object.spec.big", json!(18_446_744_073_709_551_615.0));
    fail(&[("1.0 / 0.0", "infinite"), ("0.0 / 0.0", "not a number")]);
}

#[test]
fn faults_name_kinds_and_never_values() {
    fail(
        &[
            (
                "object.data.password + 1",
                "`+` cannot take a string and an int",
            ),
            (
                "object.data.password > 1",
                "`>` cannot compare a string with an int",
            ),
            (
                "object.data.password ? 1 : 2",
                "object.data.password must be a bool",
            ),
            (
                "object.data.password.x",
                "object.data.password is a string, it has no field `x`",
            ),
            (
                "object.data.password[0]",
                "object.data.password is a string",
            ),
            ("object.data[object.data.password].x || true.x", ""),
            (
                "quantity(object.data.password)",
                "`quantity`: the text is no quantity",
            ),
            ("int(object.data.password)", "`int`: the text is no integer"),
            ("timestamp(object.data.password)", "no timestamp"),
            ("duration(object.data.password)", "no duration"),
            ("image(object.data.password + ' ')", "no image reference"),
            (
                "image('nginx').with('tag', object.data.password + ' ')",
                "no such part",
            ),
            ("ip(object.data.password)", "no IP"),
            ("url(object.data.password)", "no URL"),
            ("semver(object.data.password)", "no semantic version"),
            ("fromJson(object.data.password)", "no JSON"),
            ("base64.decode(object.data.password + '!')", "no base64"),
            (
                "'x'.matches(object.data.password + '(')",
                "no regular expression",
            ),
            (
                "object.data.password in object.kind",
                "`in` needs a list or a map",
            ),
            (
                "'%d'.format([object.data.password])",
                "`%d` cannot take a string",
            ),
            (
                "object.data.password.map(x, x)",
                "`map` needs a list or a map",
            ),
            (
                "[object.data.password, 1].sort()",
                "cannot order a string and an int",
            ),
            ("1 / (object.spec.replicas - 3)", "division by zero"),
            ("9223372036854775807 + object.spec.replicas", "out of range"),
        ]
        .into_iter()
        .filter(|(_, words)| !words.is_empty())
        .collect::<Vec<_>>(),
    );
}

#[test]
fn what_an_expression_reads_is_known() {
    let compile = |text: &str| Expr::compile(text, EDIT).unwrap();
    for (text, metadata_only) in [
        ("object.metadata.name", true),
        (
            "object['metadata'].labels[?'a'].orValue('') + object.kind + object.apiVersion",
            true,
        ),
        ("has(object.metadata) && object.?kind.hasValue()", true),
        ("object.spec.x", false),
        ("object", false),
        ("[object].size()", false),
        ("[1].map(object, object)", true),
        ("namespaceObject.spec.x", true),
        ("object[object.kind]", false),
    ] {
        assert_eq!(compile(text).is_metadata_only(), metadata_only, "{text}");
    }
    assert!(
        compile("now").reads_now()
            && compile("age(object.metadata.creationTimestamp) > duration('1h')").reads_now()
    );
    assert!(!compile("[1].map(now, now)").reads_now() && !compile("object.now").reads_now());
    assert!(
        compile("namespaceObject").reads_namespace_object()
            && !compile("object").reads_namespace_object()
    );
    assert!(compile("item.x").reads_item() && !compile("object.item").reads_item());
    assert!(compile("current + 1").reads_current());
    assert_eq!(compile(" 1 ").text(), " 1 ");
}

#[test]
fn bools_are_read_without_a_tree() {
    with_scope(|scope| {
        let run = |text: &str| Expr::compile(text, EDIT).unwrap().evaluate_bool(scope);
        assert_eq!(run("object.kind == 'Pod'"), Ok(Some(true)));
        assert_eq!(run("object.?x"), Ok(None));
        assert_eq!(run("optional.of(false)"), Ok(Some(false)));
        assert_eq!(
            run("'true'"),
            Err(ExprFault::Failed(
                "the expression must give a bool, it gives a string".into()
            ))
        );
    });
}
