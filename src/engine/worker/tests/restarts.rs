//! What one daemon keeps and the next one begins with.

use super::*;
use crate::decide::Operation;
use crate::engine::Kept;

/// A daemon that starts with what was kept before. The clock is looked at before the objects are known.
pub(super) fn start(set: Arc<RuleSet>, kept: &[String], records: Vec<Record>, now: i64) -> Bench {
    let mut bench = Bench {
        engine: Engine::new(EngineOptions::default()),
        effects: vec![],
        wake: None,
        managed: Value::Null,
    };
    bench.engine.set_standby(true, at(now));
    bench.engine.load(set, at(now));
    let named = kept.iter().map(|text| ("", text.as_str()));
    let found = bench.engine.recall(named, ("me", false), at(now));
    assert!(found.troubles.is_empty(), "{:?}", found.troubles);
    bench.engine.set_standby(false, at(now));
    let namespaces = GroupKind::new("", "Namespace");
    let shop = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    for observation in [
        Observation::ListStarted {
            kind: namespaces.clone(),
        },
        Observation::Applied {
            kind: namespaces.clone(),
            record: Record::from_value(&shop),
        },
        Observation::ListDone { kind: namespaces },
    ] {
        bench.engine.observe(observation, at(now));
    }
    assert!(bench.work(now).is_empty());
    keeps(&mut bench, now);
    bench.list(records, now);
    bench
}

/// What was asked to be kept is kept: how many shards.
pub(super) fn keeps(bench: &mut Bench, now: i64) -> usize {
    let mut count = 0;
    for effect in std::mem::take(&mut bench.effects) {
        if let Effect::Keep(id, keep) = effect {
            let done = keep.shards.iter().map(|(n, _)| (*n, Kept::Done));
            count += keep.shards.len();
            bench.answer(id, Outcome::Kept(done.collect()), now);
        }
    }
    count
}

/// All that is to be kept.
pub(super) fn kept(bench: &mut Bench, now: i64) -> Vec<String> {
    let all: Vec<usize> = (0..4).collect();
    keeps(bench, now);
    bench.engine.mend(&all);
    let mut effects = vec![];
    bench.engine.keep_at_once(at(now), &mut effects);
    let mut texts = vec![];
    for effect in effects {
        if let Effect::Keep(id, keep) = effect {
            let done = keep.shards.iter().map(|(n, _)| (*n, Kept::Done));
            bench.answer(id, Outcome::Kept(done.collect()), now);
            texts.extend(keep.shards.into_iter().map(|(_, text)| text));
        }
    }
    assert!(!texts.is_empty());
    texts
}

const MINUTE: i64 = 60;

fn old(more: &str) -> Record {
    map("a", 1, json!({"data": {"old": "yes", "more": more}}))
}

const ARCHIVE: &str = "  where: [{path: $.data.old, value: 'yes'}]
  actions:
  - archive: {sink: kept}
  - delete: {}
---
apiVersion: ordain.dev/v1alpha1
kind: Sink
metadata: {name: kept}
spec: {directory: {path: /kept}}
";

#[test]
fn what_was_archived_is_not_archived_again_but_what_has_changed_since_is() {
    let set = || rules(&[ARCHIVE]);
    let mut first = start(set(), &[], vec![old("x")], 0);
    let (id, write) = one(first.work(0));
    assert!(
        matches!(write.operation, Operation::Archive { .. }),
        "{write:?}"
    );
    first.answer(id, Outcome::Accepted(String::new()), 0);
    let texts = kept(&mut first, 0);
    let next = |texts: &[String], set: Arc<RuleSet>, record: Record| {
        let mut daemon = start(set, texts, vec![record], MINUTE);
        let (_, write) = one(daemon.work(MINUTE));
        matches!(write.operation, Operation::Delete { .. })
    };
    assert!(next(&texts, set(), old("x")), "it lies in the sink");
    assert!(!next(&texts, set(), old("y")), "that does not");
    assert!(!next(&[], set(), old("x")), "nobody knows of any");
    // In another text of the rule the first step may be another one.
    let other = ARCHIVE.replace("  where", "  description: another text\n  where");
    assert!(!next(&texts, rules(&[&other]), old("x")));
}

#[test]
fn a_step_waits_on_after_a_restart() {
    let body = "  actions:
  - patch: [{path: $.metadata.labels.a, set: x}]
    wait: {for: [{path: $.data.done, operator: Exists}], timeout: 1h}
  - event: {reason: Done, message: done}
";
    let labelled = || vec![map("a", 1, json!({"labels": {"a": "x"}}))];
    let set = || rules(&[body]);
    let mut first = start(set(), &[], labelled(), 0);
    assert!(first.work(0).is_empty());
    assert!(first.work(30 * MINUTE).is_empty());
    let texts = kept(&mut first, 30 * MINUTE);
    let mut second = start(set(), &texts, labelled(), 31 * MINUTE);
    assert!(second.work(31 * MINUTE).is_empty());
    assert_eq!(second.found(Reason::TimedOut), 0);
    assert_eq!(second.wake, Some(at(60 * MINUTE)));
    second.work(60 * MINUTE);
    assert_eq!(second.found(Reason::TimedOut), 1);
    // What it waited for has come: nothing of the waiting is kept.
    second.see(
        map(
            "a",
            2,
            json!({"labels": {"a": "x"}, "data": {"done": "yes"}}),
        ),
        61 * MINUTE,
    );
    let (_, write) = one(second.work(61 * MINUTE));
    assert!(
        matches!(write.operation, Operation::Event { .. }),
        "{write:?}"
    );
    let texts = kept(&mut second, 61 * MINUTE);
    assert!(
        texts.iter().all(|text| !text.contains("waits")),
        "{texts:?}"
    );
}

#[test]
fn a_format_that_knows_less_is_read_and_written_anew() {
    let after =
        "  where: [{path: $.data.old, value: 'yes'}]\n  actions: [{after: 1h, delete: {}}]\n";
    let mut first = start(rules(&[after]), &[], vec![old("x")], 0);
    assert!(first.work(0).is_empty());
    let before: Vec<String> = kept(&mut first, 0)
        .iter()
        .map(|text| {
            let mut shard: Value = serde_json::from_str(text).unwrap();
            shard["version"] = json!(1);
            for (_, rule) in shard["rules"].as_object_mut().unwrap() {
                rule.as_object_mut().unwrap().shift_remove("numbers");
            }
            shard.to_string()
        })
        .collect();
    let mut second = start(rules(&[after]), &before, vec![old("x")], 30 * MINUTE);
    assert!(second.work(30 * MINUTE).is_empty());
    assert_eq!(second.wake, Some(at(60 * MINUTE)), "it holds since then");
    let texts = kept(&mut second, 30 * MINUTE);
    let current = format!("\"version\":{}", crate::state::VERSION);
    assert!(
        texts.iter().all(|text| text.contains(&current)),
        "{texts:?}"
    );
}
