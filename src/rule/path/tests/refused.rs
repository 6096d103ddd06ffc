//! What is no path, where it is marked, and the mend.

use super::*;

fn refused(path: &str) -> PathProblem {
    match Path::parse(path) {
        Err(problem) => problem,
        Ok(_) => panic!("{path} was taken"),
    }
}

/// What is marked, a part of the message, and the mend.
#[test]
fn what_people_write_by_mistake_gets_its_mend() {
    for (path, marked, message, mend) in [
        (
            ".spec.x",
            ".spec.x",
            "starts with `$`",
            "did you mean `$.spec.x`?",
        ),
        (
            "{.spec.x}",
            "{.spec.x}",
            "starts with `$`",
            "did you mean `$.spec.x`?",
        ),
        (
            "spec.x",
            "spec.x",
            "starts with `$`",
            "did you mean `$.spec.x`?",
        ),
        (
            "{$.spec.x}",
            "{$.spec.x}",
            "starts with `$`",
            "did you mean `$.spec.x`?",
        ),
        (
            "@.spec.x",
            "@",
            "only inside a filter",
            "did you mean `$.spec.x`?",
        ),
        (
            r".metadata.labels.app\.kubernetes\.io/name",
            r".metadata.labels.app\.kubernetes\.io/name",
            "starts with `$`",
            "did you mean `$.metadata.labels['app.kubernetes.io/name']`?",
        ),
        (
            "$.a[?@.x == null]",
            "null",
            "null counts as absent",
            "write `?!@.x`",
        ),
        (
            "$.a[?null == @.x['y z'][0]]",
            "null",
            "null counts as absent",
            "write `?!@.x['y z'][0]`",
        ),
        (
            "$.a[?@.x != null]",
            "null",
            "null counts as absent",
            "write `?@.x`",
        ),
        (
            "$.a[?@.name in ['a']]",
            "in",
            "no `in`",
            "write `@.x == 'a' || @.x == 'b'`, or `match(@.x, 'a|b')`",
        ),
        ("$.a[?@.x and @.y]", "and", "no `and`", "write `&&`"),
        ("$.a[?@.x or (@.y)]", "or", "no `or`", "write `||`"),
        ("$.a[?not @.x]", "not", "no `not`", "write `!`"),
        ("$.a[?@.x & @.y]", "&", "one `&`", "write `&&`"),
        ("$.a[?@.x = 'y']", "=", "one `=`", "write `==`"),
        (
            "$.a[?@.x =~ 'b']",
            "=~",
            "no `=~`",
            "write `search(@.x, 'pattern')`, or `match` for the whole text",
        ),
        (
            "$.metadata.labels.app.kubernetes.io/name",
            "/",
            "cannot stand in a name",
            "did you mean `$.metadata.labels['app.kubernetes.io/name']`?",
        ),
        (
            "$.spec.my-name",
            "-",
            "cannot stand in a name",
            "names with other characters than letters, digits and `_` are written in brackets and quotes: `['my-name']`",
        ),
        (
            "$.a[my-key]",
            "my-key",
            "without quotes",
            "did you mean `'my-key'`?",
        ),
        (
            "$.a b.c",
            "b.c",
            "a blank cannot stand in a name",
            "write names with blanks in brackets and quotes: `['a b']`",
        ),
        (
            "$.a[${object.x}]",
            "${",
            "never part of a path",
            "filter by fixed values, or write a test with `expression`",
        ),
        (
            "${object.x}",
            "${",
            "never part of a path",
            "write `expression: ${…}` instead of `path`",
        ),
        (
            "$.a[?@.x == $pod.y]",
            "$pod",
            "only at the beginning",
            "inside a filter `$` is the object",
        ),
        ("$.a[?@x == 1]", "x", "need a `.`", "did you mean `@.x`?"),
        (
            "$containers",
            "$containers",
            "lists of containers",
            "write `$containers[*]` for all of them, or `$containers[?@.name == 'app']`",
        ),
        (
            "$containers.image",
            "$containers",
            "lists of containers",
            "did you mean `$containers[*].image`?",
        ),
        (
            "$.a[?count(@.*)]",
            "count",
            "a value is no test",
            "compare it: `count(…) > 0`",
        ),
        (
            "$.a[?length(@.*) == 1]",
            "length",
            "may select several",
            "write `value(…)` around the path, or `count(…)` for how many it selects",
        ),
        (
            "$.a[?match(@.x, @.y)]",
            "match",
            "literal text",
            "quote it: `'^a.*'`",
        ),
        (
            "$.a[?search(@.x, 'a(?=b)')]",
            "a(?=b)",
            "look-around",
            "say the negation with `DoesNotMatch`, or with `!search(…)` in a filter",
        ),
        (
            "$.a[?count($..x) > 1]",
            "$.a[?count($..x) > 1]",
            "names and indexes only",
            "say the condition on the object in a test of its own",
        ),
    ] {
        let problem = refused(path);
        assert_eq!(
            &path[problem.at..problem.at + problem.length],
            marked,
            "{path}: {problem:?}"
        );
        assert!(problem.message.contains(message), "{path}: {problem:?}");
        assert_eq!(problem.mend.as_deref(), Some(mend), "{path}");
    }
}

#[test]
fn names_that_are_nearly_right_get_the_nearest() {
    for (path, marked, mend) in [
        ("$contaners[*]", "$contaners", "did you mean `$containers`?"),
        ("$pods.x", "$pods", "did you mean `$pod`?"),
        ("$spec.x", "$spec", "did you mean `$.spec`?"),
        ("$.a[?serach(@.x, 'y')]", "serach", "did you mean `search`?"),
        (
            "$.a[?startsWithIt(@.x, 'y')]",
            "startsWithIt",
            "the functions are length, count, match, search and value",
        ),
    ] {
        let problem = refused(path);
        assert_eq!(
            &path[problem.at..problem.at + problem.length],
            marked,
            "{path}"
        );
        assert_eq!(problem.mend.as_deref(), Some(mend), "{path}");
    }
}

#[test]
fn other_things_that_are_no_path_are_placed() {
    for (path, at, message) in [
        ("", 0, "a path starts with"),
        ("$.a[", 3, "ends in the middle"),
        ("$.a..", 4, "ends in the middle"),
        ("$.a[?]", 5, "does not continue"),
        ("$.a[?@.x ==]", 11, "does not continue"),
        ("$[", 1, "ends in the middle"),
        ("$pod.", 4, "ends in the middle"),
        ("$.é[?@.x ==]", 12, "does not continue"),
        ("$. a", 1, "no blank may follow `.`"),
        ("$.a[?@. x == 1]", 6, "no blank may follow `.`"),
        ("$.a['b]", 4, "never closed"),
        (
            "$.a[?length (@.b) == 1]",
            5,
            "no blank may stand between `length` and `(`",
        ),
        ("$.a[?search(@.x, '(')]", 18, "unclosed group"),
        ("$.a[?match(@.x, 'a)(b')]", 17, "does not compile"),
        ("$.a[?match(@.a, 'x') == true]", 0, "not comparable"),
        ("$.a[9007199254740992]", 0, "does not continue"),
    ] {
        let problem = refused(path);
        assert!(problem.message.contains(message), "{path}: {problem:?}");
        if at > 0 {
            assert_eq!(problem.at, at, "{path}: {problem:?}");
        }
        assert!(
            problem.at + problem.length <= path.len().max(1),
            "{path}: {problem:?}"
        );
    }
}

/// What would take forever, or the stack, is refused before it is tried.
#[test]
fn paths_are_bounded() {
    for (path, message) in [
        (format!("$.{}", "a".repeat(5000)), "at most 4096 bytes"),
        (format!("$.a{}", "[?@.a".repeat(100)), "nested deeper"),
        (format!("$.a[?{}", "(".repeat(3000)), "nested deeper"),
        (format!("$.a[?{}@.b]", "!".repeat(3000)), ""),
        (format!("${}", ".a".repeat(65)), "at most 64 steps"),
        ("$..a..b..c..d".to_owned(), "at most 3 `..`"),
        (format!("${}", "[*,*]".repeat(7)), "again and again"),
        (
            format!("$.data{}", "['a','b','c','d']".repeat(16)),
            "more than 1024 places",
        ),
        (format!("$[{}]", "0,".repeat(70) + "0"), "again and again"),
    ] {
        let problem = refused(&path);
        assert!(problem.message.contains(message), "{problem:?}");
    }
    let nested = format!("$.a{} == 1{}", "[?(@".repeat(15), ")]".repeat(15));
    assert!(Path::parse(&nested).is_ok(), "{nested}");
    // Wrong in the innermost place, where a parser that tries again and again would take forever.
    for wrong in [
        format!("$.a{} ==", "[?(@".repeat(15)),
        format!("$.a[?{}@.b ==", "(".repeat(30)),
        format!("$.a[?{}@.b ==", "!(".repeat(30)),
        format!("$.a[?{}@.b ==", "length(".repeat(3)),
        format!("$.a{}@.b ==", "[?search(@".repeat(3)),
        format!("$.a{}", "[?search(@".repeat(4)),
        format!("$.a[?{}", "length(".repeat(4)),
        format!("$.a[?{}@.b ==", "@.x && ".repeat(500)),
        format!("$.a[?{}@.b ==", "@.x || ".repeat(500)),
    ] {
        refused(&wrong);
    }
    assert!(Path::parse(&format!("$['{}']", "a','".repeat(300) + "b")).is_err());
    let names: Vec<String> = (0..300).map(|n| format!("'n{n}'")).collect();
    assert!(Path::parse(&format!("$[{}]", names.join(","))).is_ok());
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
