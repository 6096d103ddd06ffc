//! What is left of a rule's steps when the first of them has ended its match.

use super::*;
use crate::decide::Operation;

const TELLS: &str = "  where: [{path: $.metadata.labels.todo, operator: Exists}]\n  actions:\n  - patch: [{path: $.metadata.labels.todo, remove: true}]\n  - event: {reason: First, message: a}\n  - event: {reason: Second, message: b}\n";

fn with_label(version: u64, more: Value) -> Record {
    let mut labels = json!({"app": "web"});
    for (name, value) in more.as_object().unwrap() {
        labels[name] = value.clone();
    }
    map("a", version, json!({"labels": labels}))
}

/// A map that is to be told of, whose mark was asked to be taken away.
fn begun() -> (Bench, RequestId) {
    let shown = vec![with_label(1, json!({"todo": "x"}))];
    let mut bench = Bench::new(EngineOptions::default(), rules(&[TELLS]), shown);
    let (id, write) = one(bench.work(0));
    assert!(matches!(write.operation, Operation::Patch { .. }));
    (bench, id)
}

fn reason(write: &Write) -> &str {
    match &write.operation {
        Operation::Event { event, .. } => event["reason"].as_str().unwrap(),
        _ => panic!("{write:?}"),
    }
}

/// Both are told, the second when the first is.
fn is_told(bench: &mut Bench, now: i64) {
    for expected in ["First", "Second"] {
        let (id, write) = one(bench.work(now));
        assert_eq!(reason(&write), expected);
        assert!(bench.work(now).is_empty());
        bench.answer(id, Outcome::Accepted(String::new()), now);
    }
    assert!(bench.work(now).is_empty());
    assert!(bench.engine.sequels.is_empty());
}

#[test]
fn each_comes_when_the_one_before_it_is_done() {
    let (mut bench, id) = begun();
    bench.answer(id, Outcome::Written(with_label(2, json!({}))), 0);
    bench.see(with_label(2, json!({})), 0);
    is_told(&mut bench, 0);
}

#[test]
fn they_come_when_an_answer_was_lost_and_the_object_shows_it_all_the_same() {
    let (mut bench, id) = begun();
    bench.answer(id, Outcome::Failed(Fault::Timeout), 0);
    assert!(bench.work(0).is_empty());
    let read = bench.effects.iter().find_map(|effect| match effect {
        Effect::Read(id, _) => Some(*id),
        _ => None,
    });
    bench.answer(read.unwrap(), Outcome::Read(with_label(2, json!({}))), 0);
    is_told(&mut bench, 0);
}

#[test]
fn they_do_not_come_where_somebody_else_has_changed_the_object() {
    let (mut bench, id) = begun();
    bench.answer(id, Outcome::Failed(Fault::Stale), 0);
    bench.see(with_label(2, json!({"other": "y"})), 0);
    assert!(bench.work(0).is_empty(), "it was somebody else");
    let (mut bench, id) = begun();
    bench.answer(id, Outcome::Written(with_label(2, json!({}))), 0);
    bench.see(with_label(2, json!({})), 0);
    let (id, _) = one(bench.work(0));
    bench.see(with_label(3, json!({"other": "y"})), 0);
    bench.answer(id, Outcome::Accepted(String::new()), 0);
    assert!(bench.work(0).is_empty(), "somebody else has begun anew");
}

#[test]
fn one_that_is_refused_ends_the_list() {
    let (mut bench, id) = begun();
    bench.answer(id, Outcome::Written(with_label(2, json!({}))), 0);
    bench.see(with_label(2, json!({})), 0);
    let (id, _) = one(bench.work(0));
    let refused = Fault::Forbidden("no".into());
    bench.answer(id, Outcome::Failed(refused), 0);
    assert!(bench.work(1000).is_empty());
    assert!(bench.engine.sequels.is_empty());
}
