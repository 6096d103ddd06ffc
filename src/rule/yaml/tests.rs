#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn value(text: &str) -> Value {
    let (trees, problems) = read(text);
    assert!(problems.is_empty(), "{problems:?}");
    trees[0].to_value()
}

fn problem(text: &str) -> YamlProblem {
    let (_, problems) = read(text);
    problems
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("no problem in {text:?}"))
}

#[test]
fn scalars_are_what_kubernetes_takes_them_for() {
    assert_eq!(
        value(
            "{a: 1, b: -2, c: 0644, d: 0x1f, e: 1.5, f: 1e3, g: true, h: ~, i: yes, j: '1', k: 1.2.3, l: 10m, m: .5, n: 2026-01-01, o: 18446744073709551615}"
        ),
        json!({"a": 1, "b": -2, "c": 420, "d": 31, "e": 1.5, "f": 1000.0, "g": true, "h": null, "i": "yes", "j": "1", "k": "1.2.3", "l": "10m", "m": 0.5, "n": "2026-01-01", "o": u64::MAX})
    );
    assert_eq!(value("1: a\ntrue: b"), json!({"1": "a", "true": "b"}));
}

#[test]
fn every_node_knows_its_place() {
    let (trees, _) = read("# top\n---\na:\n  - b: xyz\n    ü: 'q'\n---\nsecond: 1\n");
    let item = match &trees[0].get("a").unwrap().data {
        Data::List(items) => &items[0],
        _ => panic!("no list"),
    };
    let (key, scalar) = item.entry("b").unwrap();
    assert_eq!(
        (
            key.line,
            key.column,
            scalar.line,
            scalar.column,
            scalar.length
        ),
        (4, 5, 4, 8, 3)
    );
    assert_eq!(
        (item.get("ü").unwrap().line, item.get("ü").unwrap().column),
        (5, 8)
    );
    assert_eq!(
        (
            trees[1].get("second").unwrap().line,
            trees[1].get("second").unwrap().column
        ),
        (7, 9)
    );
}

#[test]
fn one_broken_document_leaves_the_others() {
    let (trees, problems) = read("a: 1\n---\nb: [\n---\nc: 3\n");
    assert_eq!(
        trees.iter().map(Tree::to_value).collect::<Vec<_>>(),
        [json!({"a": 1}), json!({"c": 3})]
    );
    assert_eq!(problems.len(), 1);
}

#[test]
fn directives_and_ends_of_documents_are_understood() {
    let (trees, problems) = read("%YAML 1.2\n# x\n---\na: 1\n...\n---\nb: 2\n...\nc: 3\n");
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(
        trees.iter().map(Tree::to_value).collect::<Vec<_>>(),
        [json!({"a": 1}), json!({"b": 2}), json!({"c": 3})]
    );
    assert_eq!(trees[2].line, 9);
}

#[test]
fn equal_keys_are_a_problem_and_the_first_stays() {
    let (trees, problems) = read("a: 1\nb: 2\na: 3\n");
    assert_eq!(trees[0].to_value(), json!({"a": 1, "b": 2}));
    assert_eq!(
        (
            problems[0].line,
            problems[0].column,
            problems[0].message.as_str()
        ),
        (3, 1, "`a` stands here a second time, first in line 1")
    );
}

#[test]
fn hostile_texts_are_refused_quickly() {
    let bomb: String = (1..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, i| {
        let alias = format!("*a{}", i - 1);
        text + &format!("a{i}: &a{i} [{}]\n", vec![alias; 9].join(","))
    });
    assert!(problem(&bomb).message.contains("aliases counted in full"));
    // Two million values on one line, and as many equal keys, cost no more than their length.
    assert!(!read(&format!("[{}]", "a-b,".repeat(900_000))).1.is_empty());
    assert!(!read(&"a: 1\n".repeat(90_000)).1.is_empty());
    let chain: String = (1..100).fold("a0: &a0 [x]\n".to_owned(), |text, i| {
        text + &format!("a{i}: &a{i} [*a{}]\n", i - 1)
    });
    assert!(problem(&chain).message.contains("nested deeper"));
    assert!(problem("a: &a [*a]").message.contains("part of"));
    for one in ["{a: ", "? ", "[", "- [", "a:\n- "] {
        let _ = read(&one.repeat(10_000));
    }
    assert!(
        problem(&"[".repeat(10_000))
            .message
            .contains("nested deeper")
    );
    assert!(
        problem(&"- ".repeat(10_000))
            .message
            .contains("nested deeper")
    );
    let indented: String = (0..200).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    assert!(problem(&indented).message.contains("nested deeper"));
    assert!(problem(&"a".repeat(LONGEST + 1)).message.contains("MiB"));
}

#[test]
fn the_mend_of_common_slips() {
    assert_eq!(
        problem("a:\n\tb: 1\n").mend.as_deref(),
        Some("indent with blanks")
    );
    assert!(
        problem("a: ${x ? {b: 1} : 2}\n")
            .mend
            .unwrap()
            .contains("quote this value")
    );
    assert!(
        problem("a: {b: ${object.metadata.name}}\n")
            .mend
            .unwrap()
            .contains("quote this value")
    );
}

proptest! {
    #[test]
    fn never_panics(text in "[\\[\\]{}:,\\-?&*!|>'\"%@`# \\na-c0-9\\t]{0,120}") { let _ = read(&text); }
}

#[test]
fn merge_keys_take_over_what_the_map_itself_does_not_say() {
    let text = "base: &base {image: a, tty: true}\nmore: &more {tty: false, stdin: true}\none:\n  <<: *base\n  name: x\n  image: b\ntwo: {<<: [*more, *base], name: y}\n'<<': text\n";
    let value = value(text);
    assert_eq!(
        value["one"],
        json!({"name": "x", "image": "b", "tty": true})
    );
    assert_eq!(
        value["two"],
        json!({"name": "y", "tty": false, "stdin": true, "image": "a"})
    );
    assert_eq!(value["<<"], "text");
    let wrong = problem("a: &a text\nb:\n  <<: *a\n");
    assert_eq!((wrong.line, wrong.column), (3, 3));
    assert!(wrong.message.contains("of a map"), "{}", wrong.message);
}
