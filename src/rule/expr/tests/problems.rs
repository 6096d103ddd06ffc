//! What is refused at load, and where the mark stands.

use super::*;

#[test]
fn names() {
    refused(&[
        (
            "objekt.spec.x == 1",
            "objekt",
            "there is no `objekt`; there are `object`, `namespaceObject` and `now` [did you mean `object`?]",
        ),
        ("1 + nov", "nov", "did you mean `now`?"),
        ("[1].map(x, y)", "y", "there is no `y`"),
        ("[1].map(port, prot)", "prot", "did you mean `port`?"),
        (
            "item.name",
            "item",
            "an edit of a patch has it, and a step with `forEach`",
        ),
        ("current", "current", "only an edit of a patch has it"),
        ("params.x", "params", "the rule declares no parameters"),
        ("applied.x", "applied", "has no meaning here"),
        ("'é' + objekt", "objekt", "did you mean `object`?"),
        ("[1].map(x.y, 1)", ".", "a name must stand here"),
        (
            "object.metadata.labels.my-label",
            "label",
            "stands in brackets",
        ),
        (
            "object.metadata.labels.app.kubernetes.io/part == 'x'",
            "part",
            "stands in brackets",
        ),
        ("Foo{a: 1}", "{", "there are only maps"),
    ]);
}

#[test]
fn functions() {
    refused(&[
        (
            "quantiti('1')",
            "quantiti",
            "there is no function `quantiti` [did you mean `quantity`?]",
        ),
        (
            "object.kind.startWith('P')",
            "startWith",
            "did you mean `startsWith`?",
        ),
        (
            "object.kind.size(1)",
            "size",
            "`size` takes 0 arguments, not 1",
        ),
        (
            "quantity()",
            "quantity",
            "`quantity` takes 1 argument, not 0",
        ),
        (
            "'a'.replace('b')",
            "replace",
            "`replace` takes 2 to 3 arguments, not 1",
        ),
        (
            "math.greatest()",
            "greatest",
            "takes at least 1 argument, not 0",
        ),
        (
            "math.gratest(1)",
            "gratest",
            "did you mean `math.greatest`?",
        ),
        (
            "lowerAscii('A')",
            "lowerAscii",
            "`lowerAscii` is called on a value [write `x.lowerAscii()`]",
        ),
        (
            "'1'.quantity()",
            "quantity",
            "`quantity` is not called on a value [write `quantity(x)`]",
        ),
        ("has(object)", "object", "`has` needs a field"),
        (
            "[1].all(x)",
            "all",
            "`all` takes one or two names and a condition",
        ),
        (
            "object.spec.containers.filter(x, y, z, true)",
            "filter",
            "a name and a condition",
        ),
        (
            "optional.of(1).optMap(x)",
            "optMap",
            "a name and an expression",
        ),
    ]);
}

#[test]
fn literals() {
    refused(&[
        (
            "'a'.startsWith(1)",
            "1",
            "`startsWith` takes string, not an int",
        ),
        (
            "1.startsWith('a')",
            "1",
            "`startsWith` is called on string, not on an int",
        ),
        ("quantity('1 Gi')", "'1 Gi'", "\"1 Gi\" is no quantity"),
        ("semver('1.2')", "'1.2'", "no semantic version"),
        ("duration('7 days')", "'7 days'", "no duration"),
        ("timestamp('yesterday')", "'yesterday'", "no timestamp"),
        ("ip('300.1.1.1')", "'300.1.1.1'", "no IP address"),
        ("cidr('10.0.0.0')", "'10.0.0.0'", "no CIDR"),
        ("url('x')", "'x'", "no URL"),
        ("image('A')", "'A'", "lower case"),
        (
            "object.kind.matches('(')",
            "'('",
            "no regular expression: unclosed group",
        ),
        (
            "object.kind.matches('x{1000}{1000}')",
            "'x{1000}{1000}'",
            "too large",
        ),
        ("1 / 0", "/", "division by zero"),
        ("1 + 'a'", "+", "`+` cannot take an int and a string"),
        ("1 < 'a'", "<", "cannot compare an int with a string"),
        ("1 && true", "1", "a bool is needed here, not an int"),
        ("!'x'", "'x'", "a bool is needed here, not a string"),
    ]);
}

#[test]
fn syntax() {
    refused(&[
        ("object.spec.", "", "ends too early"),
        ("1 +", "", "ends too early"),
        ("(1", "", "ends too early"),
        ("object[", "", "ends too early"),
        ("x ? 1", "", "ends too early"),
        ("1 2", "2", "`2` is unexpected here"),
        ("{1: }", "}", "`}` is unexpected here"),
        ("\n\n 1 +* 2", "*", "`*` is unexpected here"),
        ("é == 1", "é", "`é` is not CEL"),
        ("'é' = 1", "=", "`=` is not CEL [write `==`]"),
        ("'abc", "'", "the text that starts here is not closed"),
        (
            "object and true",
            "and",
            "`and` is unexpected here [write `&&`]",
        ),
        ("object or true", "or", "[write `||`]"),
        ("if x", "if", "`if` is a reserved word"),
        ("", "", "empty"),
    ]);
}

#[test]
fn all_problems_are_told() {
    let problems = Expr::compile("objekt.x && quantiti(1) || foo", Names::default()).unwrap_err();
    let marked: Vec<usize> = problems.iter().map(|problem| problem.at).collect();
    assert_eq!(marked, [0, 12, 27], "{problems:?}");
}
