//! Nothing panics, runs away or overflows the stack.

use super::*;

/// Runs where a stack overflow would be met: on 2 MiB, as the runtime's workers have.
fn on_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn what_is_too_large_or_deep_is_refused_before_it_is_parsed() {
    on_small_stack(|| {
        for text in [
            format!("'{}'", "x".repeat(1 << 20)),
            format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)),
            "[".repeat(10_000),
            "(".repeat(8_000),
            format!("1{}", " + 1".repeat(2_000)),
            format!("a{}", ".a".repeat(4_000)),
            format!("a{}", "()".repeat(4_000)),
            format!("a{}", "[0]".repeat(4_000)),
            format!("{}1", "-".repeat(8_000)),
            format!("{}true", "!".repeat(8_000)),
            format!("{}1", "true ? 1 : ".repeat(1_000)),
            format!("{}1{}", "f(".repeat(5_000), ")".repeat(5_000)),
            format!("{}1{}", "{1:".repeat(5_000), "}".repeat(5_000)),
            format!("1{}", " in [1]".repeat(2_000)),
        ] {
            assert!(Expr::compile(&text, EDIT).is_err(), "{}", &text[..20]);
        }
    });
}

#[test]
fn what_is_just_within_the_bounds_runs() {
    on_small_stack(|| {
        for (text, value) in [
            (format!("1{}", " + 1".repeat(160)), json!(161)),
            (format!("{}1{}", "(".repeat(32), ")".repeat(32)), json!(1)),
            (format!("{}1", "false ? 2 : ".repeat(32)), json!(1)),
            (
                format!("{}1{}", "[".repeat(32), "][0]".repeat(32)),
                json!(1),
            ),
            (format!("true{}", " && true".repeat(1_800)), json!(true)),
            (format!("[1{}].size()", ",1".repeat(4_000)), json!(4_001)),
            (format!("{}true", "!".repeat(160)), json!(true)),
            (
                format!("{}x{}", "[1].map(x, ".repeat(30), ")".repeat(30)),
                (0..30).fold(json!(1), |inner, _| json!([inner])),
            ),
        ] {
            assert_eq!(evaluate(&text), Ok(Some(value)), "{}", &text[..20]);
        }
    });
}

#[test]
fn loops_and_growth_are_bounded() {
    let many = "lists.range(1000)";
    let nested = format!("{many}.all(a, {many}.all(b, {many}.all(c, {many}.all(d, true))))");
    let doubled = (0..60).fold("object.kind".to_owned(), |inner, _| {
        format!("cel.bind(x, {inner}, x + x)")
    });
    let _ = doubled;
    let doubling = format!(
        "{}x{}",
        "cel.bind(x, 'abcdefghijklmnop', ".to_owned() + &"cel.bind(x, x + x, ".repeat(25),
        ")".repeat(26)
    );
    let lists = format!(
        "{}x{}",
        "cel.bind(x, [1, 2], ".to_owned() + &"cel.bind(x, [x, x], ".repeat(25),
        ")".repeat(26)
    );
    let compared = format!(
        "{}x == x + []{}",
        "cel.bind(x, [1, 2], ".to_owned() + &"cel.bind(x, [x, x], ".repeat(25),
        ")".repeat(26)
    );
    fail(&[
        (&nested, "a million steps"),
        (&doubling, "larger than 1 MiB"),
        (&lists, "larger than 1 MiB"),
        (&compared, "a million steps"),
        ("lists.range(9223372036854775807)", "a million steps"),
        (
            "'x'.replace('', lists.range(2000).map(i, 'y').join()).replace('', lists.range(2000).map(i, 'y').join())",
            "larger than 1 MiB",
        ),
        ("lists.range(400000).map(x, 'aaaa')", "larger than 1 MiB"),
        // A bound that is met is no fault that `||` could pass over.
        (&format!("{nested} || true"), "a million steps"),
        (
            &format!("[1].exists(x, {nested}) || true"),
            "a million steps",
        ),
    ]);
}

#[test]
fn computed_patterns_are_bounded() {
    fail(&[
        (
            "lists.range(100000).all(i, 'x'.matches(string(i)) || true)",
            "a million steps",
        ),
        (
            "lists.range(40).map(i, 'x{1000}').join('|').matches(lists.range(40).map(i, 'x{1000}').join('|'))",
            "no regular expression",
        ),
    ]);
}

proptest! {
    #[test]
    fn arbitrary_text_is_compiled_or_refused(text in "\\PC{0,60}") {
        let _ = Expr::compile(&text, EDIT);
    }

    #[test]
    fn literals_of_any_shape_are_compiled_or_refused(
        text in r#"([rRbB]{0,2}('|"|'''|""")[\\xXuU0-9a-fn'"?é]{0,12}('|"|'''|""")|-?[0-9xXuUeE.+a-f]{0,24})"#,
    ) {
        if let Ok(expr) = Expr::compile(&text, EDIT) {
            let _ = with_scope(|scope| expr.evaluate(scope));
        }
    }

    #[test]
    fn tokens_in_any_order_are_compiled_or_refused_and_run(
        tokens in proptest::collection::vec(
            prop::sample::select(vec![
                "object", ".metadata", ".?labels", "[0]", "[?'a']", "(", ")", "[", "]", "{", "}", ",", ":", "?", "'a'", "1", "2u", "1.5",
                "true", "null", "+", "-", "*", "/", "%", "==", "<", "&&", "||", "!", " in ", ".map(x, x)", ".all(k, v, true)", "x",
                ".size()", ".split('')", "quantity('1')", "optional.of(1)", ".orValue(1)", "now", "item", "has(object.a)", "math.least(1, ",
                "hash(", "string(", ".sort()", "`", "\"", "\\", "r'", "//", "\n", "é", "cel.bind(x, 1, ", "type(", "b'",
            ]),
            0..14,
        ),
    ) {
        let text = tokens.concat();
        match Expr::compile(&text, EDIT) {
            Ok(expr) => {
                let _ = with_scope(|scope| expr.evaluate(scope));
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(text.is_char_boundary(problem.at), "{} {:?}", text, problem);
                }
            }
        }
    }
}
