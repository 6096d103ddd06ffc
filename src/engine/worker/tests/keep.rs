//! What outlives a restart.

use super::*;
use crate::engine::{Keep, Kept};
use std::collections::BTreeMap;

const HOUR: i64 = 3_600;
const AFTER: &str =
    "  where:\n  - {path: $.data.old, value: 'yes'}\n  actions:\n  - after: 10h\n    delete: {}\n";

fn old(name: &str) -> Record {
    map(name, 1, json!({"data": {"old": "yes"}}))
}

/// A daemon and what it has kept.
struct Daemon {
    bench: Bench,
    texts: BTreeMap<String, String>,
    writes: usize,
}

impl Daemon {
    fn start(
        bodies: &[&str],
        records: Vec<Record>,
        texts: BTreeMap<String, String>,
        now: i64,
    ) -> Self {
        let mut engine = Engine::new(EngineOptions::default());
        engine.load(rules(bodies), at(now));
        let named = texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        let found = engine.recall(named, ("me", false), at(now));
        assert!(found.troubles.is_empty(), "{:?}", found.troubles);
        let mut bench = Bench {
            engine,
            effects: vec![],
            wake: None,
            managed: Value::Null,
        };
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
        bench.list(records, now);
        Daemon {
            bench,
            texts,
            writes: 0,
        }
    }

    fn work(&mut self, now: i64) -> Vec<(RequestId, Write)> {
        let writes = self.bench.work(now);
        for (id, keep) in self.asked() {
            self.take(id, keep, now);
        }
        writes
    }

    fn asked(&mut self) -> Vec<(RequestId, Keep)> {
        let effects = std::mem::take(&mut self.bench.effects);
        let (keeps, others): (Vec<_>, Vec<_>) = effects
            .into_iter()
            .partition(|e| matches!(e, Effect::Keep(..)));
        self.bench.effects = others;
        let keeps = keeps.into_iter().filter_map(|effect| match effect {
            Effect::Keep(id, keep) => Some((id, keep)),
            _ => None,
        });
        keeps.collect()
    }

    fn take(&mut self, id: RequestId, keep: Keep, now: i64) {
        if keep.whole {
            self.texts.clear();
        }
        let mut done = vec![];
        let numbers: std::collections::BTreeSet<usize> =
            keep.shards.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers.len(), keep.shards.len(), "each shard once");
        for (number, text) in keep.shards {
            assert!(text.len() < 1 << 20);
            self.writes += 1;
            self.texts.insert(format!("{}-{number}", keep.layout), text);
            done.push((number, Kept::Done));
        }
        self.bench.answer(id, Outcome::Kept(done), now);
    }

    fn said(&self) -> Vec<&str> {
        let said = self.bench.effects.iter().filter_map(|effect| match effect {
            Effect::Report(crate::engine::Report::State(message)) => Some(message.as_str()),
            _ => None,
        });
        said.collect()
    }
}

#[test]
fn a_match_goes_on_after_a_restart() {
    let mut first = Daemon::start(&[AFTER], vec![old("a")], BTreeMap::new(), 0);
    assert!(first.work(0).is_empty());
    assert_eq!(first.writes, 1);
    // Nothing is written again for nothing.
    first.work(HOUR);
    assert_eq!(first.writes, 1);
    let mut second = Daemon::start(&[AFTER], vec![old("a")], first.texts, 3 * HOUR);
    assert!(second.work(3 * HOUR).is_empty());
    assert_eq!(second.bench.wake, Some(at(10 * HOUR)));
    assert_eq!(second.writes, 0);
    assert_eq!(second.work(10 * HOUR).len(), 1);
}

#[test]
fn what_is_of_no_use_any_more_is_not_recalled() {
    let mut first = Daemon::start(&[AFTER], vec![old("a"), old("b")], BTreeMap::new(), 0);
    first.work(0);
    // One is gone meanwhile, and one matches no more.
    let records = vec![map("b", 7, json!({"data": {"old": "no"}}))];
    let mut second = Daemon::start(&[AFTER], records, first.texts.clone(), HOUR);
    second.work(HOUR);
    assert_eq!(second.bench.engine.states[0].matches.len(), 0);
    second.work(HOUR + 5);
    let mut third = Daemon::start(&[AFTER], vec![old("a"), old("b")], second.texts, 2 * HOUR);
    third.work(2 * HOUR);
    assert_eq!(third.bench.wake, Some(at(12 * HOUR)));
    // Another rule of the same name.
    let other = AFTER.replace("'yes'", "'no'");
    let mut changed = Daemon::start(&[&other], vec![old("a")], first.texts, HOUR);
    changed.work(HOUR);
    assert_eq!(changed.bench.engine.states[0].matches.len(), 0);
}

#[test]
fn it_is_kept_at_most_every_five_seconds_and_one_write_a_shard() {
    let records: Vec<Record> = (0..1_000).map(|n| old(&format!("m{n}"))).collect();
    let mut daemon = Daemon::start(&[AFTER], vec![], BTreeMap::new(), 0);
    daemon.work(0);
    for record in records {
        daemon.bench.see(record, 1);
    }
    daemon.work(1);
    let first = daemon.writes;
    assert!(first <= 4, "{first} writes");
    for n in 0..100 {
        daemon.bench.see(old(&format!("n{n}")), 2);
        daemon.work(2);
    }
    assert_eq!(daemon.writes, first, "not before its time");
    assert_eq!(daemon.bench.wake, Some(at(6)));
    daemon.work(6);
    assert!(daemon.writes > first && daemon.writes <= first + 4);
    assert_eq!(daemon.bench.wake, Some(at(10 * HOUR + 1)));
}

#[test]
fn shards_are_cut_finer_before_they_are_too_large() {
    let mut daemon = Daemon::start(&[AFTER], vec![], BTreeMap::new(), 0);
    let count = 60_000_u128;
    for n in 0..count {
        let uid = crate::engine::memory::Uid::from(
            n.wrapping_mul(0x9e37_79b9_7f4a_7c15_9e37_79b9_7f4a_7c15),
        );
        daemon.bench.engine.states[0].matches.holds(uid, at(0));
    }
    daemon.work(0);
    let layouts: std::collections::BTreeSet<&str> = daemon
        .texts
        .keys()
        .filter_map(|k| k.split('-').next())
        .collect();
    assert_eq!(layouts.into_iter().collect::<Vec<_>>(), ["16"]);
    let again = Daemon::start(&[AFTER], vec![], daemon.texts, 1);
    assert_eq!(again.bench.engine.states[0].matches.len(), count as usize);
}

#[test]
fn what_could_not_be_kept_is_told_and_tried_again() {
    let mut daemon = Daemon::start(&[AFTER], vec![old("a")], BTreeMap::new(), 0);
    assert!(daemon.bench.work(0).is_empty());
    let (id, keep) = daemon.asked().remove(0);
    let fault = Fault::Rejected("there is no namespace".into());
    let failed = keep
        .shards
        .iter()
        .map(|(number, _)| (*number, Kept::Failed(fault.clone())));
    daemon.bench.answer(id, Outcome::Kept(failed.collect()), 1);
    daemon.work(1);
    assert_eq!(daemon.bench.found(Reason::NotRemembered), 1);
    daemon.work(20);
    assert_eq!(
        (daemon.bench.found(Reason::NotRemembered), daemon.writes),
        (0, 1)
    );
    // No answer at all.
    daemon.bench.see(old("b"), 30);
    daemon.bench.work(30);
    let (id, _) = daemon.asked().remove(0);
    daemon.bench.answer(id, Outcome::Failed(Fault::Timeout), 31);
    daemon.work(60);
    assert_eq!(
        (daemon.bench.found(Reason::NotRemembered), daemon.writes),
        (0, 2)
    );
}

#[test]
fn a_shard_that_somebody_changed_is_written_anew() {
    let mut daemon = Daemon::start(&[AFTER], vec![old("a")], BTreeMap::new(), 0);
    daemon.work(0);
    daemon.bench.engine.mend(&[0, 1, 2, 3]);
    assert!(daemon.bench.work(10).is_empty());
    let (id, keep) = daemon.asked().remove(0);
    let mended = keep
        .shards
        .iter()
        .map(|(number, _)| (*number, Kept::Mended))
        .collect();
    daemon.bench.answer(id, Outcome::Kept(mended), 10);
    daemon.work(11);
    assert_eq!(daemon.said().len(), 4);
}

#[test]
fn rubbish_is_told_and_written_over_and_a_later_format_is_left_alone() {
    let mut engine = Engine::new(EngineOptions::default());
    engine.load(rules(&[AFTER]), at(0));
    let found = engine.recall([("ordain-state-4-0", "rubbish")], ("me", false), at(0));
    assert!(!found.refused && found.troubles.len() == 1);
    let mut effects = vec![];
    engine.keep_at_once(at(0), &mut effects);
    assert!(
        matches!(&effects[..], [Effect::Keep(_, keep)] if keep.whole && keep.shards.len() == 4)
    );
    let mut engine = Engine::new(EngineOptions::default());
    engine.load(rules(&[AFTER]), at(0));
    let found = engine.recall([("x", r#"{"version": 99}"#)], ("me", false), at(0));
    assert!(found.refused);
    let mut effects = vec![];
    engine.keep_at_once(at(0), &mut effects);
    assert!(effects.is_empty() && engine.is_kept());
}

#[test]
fn two_daemons_on_one_state_take_the_safe_side() {
    let mut one = Daemon::start(&[AFTER], vec![old("a")], BTreeMap::new(), 0);
    one.work(0);
    let mut two = Daemon::start(&[AFTER], vec![old("a")], BTreeMap::new(), 2 * HOUR);
    assert!(two.bench.work(2 * HOUR).is_empty());
    let (_, keep) = two.asked().remove(0);
    let (number, text) = keep.shards[0].clone();
    one.bench.engine.mend(&[number]);
    one.bench.work(3 * HOUR);
    let (id, _) = one.asked().remove(0);
    one.bench.answer(
        id,
        Outcome::Kept(vec![(number, Kept::Foreign(text))]),
        3 * HOUR,
    );
    assert!(
        one.work(10 * HOUR).is_empty(),
        "the other has seen it for less long"
    );
    assert!(one.said()[0].contains("another daemon"), "{:?}", one.said());
    assert_eq!(one.work(12 * HOUR).len(), 1);
}

#[test]
fn an_abort_and_what_was_approved_outlive_a_restart() {
    let limited = format!("  limits: {{abortAbove: {{objects: 2}}}}\n{DELETE}");
    let records = || (0..4).map(|n| old(&format!("m{n}"))).collect::<Vec<_>>();
    let mut first = Daemon::start(&[&limited], records(), BTreeMap::new(), 0);
    assert!(first.work(0).is_empty());
    first.work(5);
    let mut second = Daemon::start(&[&limited], records(), first.texts, 60);
    assert!(second.work(60).is_empty(), "it stays stopped");
    assert!(second.bench.engine.acknowledge("r0", at(61)));
    assert_eq!(second.work(61).len(), 4);
    second.work(70);
    // Two objects were deleted a minute ago by one that was killed: they count on.
    let mut third = Daemon::start(&[&limited], vec![old("x")], BTreeMap::new(), 100);
    let writes = third.work(100);
    assert_eq!(writes.len(), 1);
    third.bench.answer(writes[0].0, Outcome::Gone, 100);
    third.work(106);
    let mut fourth = Daemon::start(&[&limited], vec![old("y"), old("z")], third.texts, 110);
    assert!(fourth.work(110).is_empty(), "three in ten minutes");
}

#[test]
fn an_abort_and_what_a_person_says_of_it_are_kept_at_once() {
    let limited = format!("  limits: {{abortAbove: {{objects: 2}}}}\n{DELETE}");
    let records = || (0..2).map(|n| old(&format!("m{n}"))).collect::<Vec<_>>();
    let mut first = Daemon::start(&[&limited], records(), BTreeMap::new(), 0);
    for (id, _) in first.work(0) {
        first.bench.answer(id, Outcome::Gone, 0);
    }
    first.work(5);
    first.work(10);
    // Something is kept now, and nothing more for five seconds.
    first.bench.engine.mend(&[0]);
    first.work(20);
    let before = first.texts.clone();
    first.bench.see(old("x"), 21);
    assert!(first.work(21).is_empty(), "three in ten minutes");
    assert_ne!(first.texts, before, "killed now, it is known");
    let mut second = Daemon::start(&[&limited], vec![old("x")], first.texts.clone(), 22);
    assert!(second.work(22).is_empty(), "it stays stopped");
    let status = second.bench.engine.status(at(22));
    assert_eq!(status.rules[0].state, "aborted");
    assert_eq!(
        status.rules[0].aborted.as_deref(),
        Some("2 acted on in the last 10 minutes and 1 due, more than abortAbove.objects: 2 allows")
    );
    assert!(first.bench.engine.acknowledge("r0", at(23)));
    first.work(23);
    let mut third = Daemon::start(&[&limited], vec![old("x")], first.texts, 24);
    assert_eq!(third.work(24).len(), 1, "a person has let it go on");
}

#[test]
fn a_shard_that_no_config_map_holds_is_told_until_it_is_smaller() {
    let limited = format!("  limits: {{abortAbove: {{objects: 100000}}}}\n{DELETE}");
    let mut daemon = Daemon::start(&[&limited], vec![], BTreeMap::new(), 0);
    daemon.work(0);
    // What a rule has acted on lately stands in one shard, however many there are.
    let rule = Arc::clone(&daemon.bench.engine.rules.rules()[0]);
    for n in 0..30_000 {
        let limits = &mut daemon.bench.engine.states[0].limits;
        limits.acted(
            &key(&format!("a-name-of-some-length-{n}")),
            &rule.limits,
            at(0),
        );
    }
    daemon.bench.engine.keeper.touch();
    daemon.work(10);
    daemon.work(10);
    assert!(
        daemon
            .texts
            .values()
            .all(|text| text.len() <= crate::state::LARGEST)
    );
    let told = messages(&daemon.bench, Reason::NotRemembered);
    assert!(
        told[0].contains("and a ConfigMap holds 900000 of them"),
        "{told:?}"
    );
    // Ten minutes later nobody counts them any more.
    let limits = &mut daemon.bench.engine.states[0].limits;
    limits.acted_count(at(2_000));
    daemon.bench.engine.keeper.touch();
    daemon.work(2_000);
    daemon.work(2_000);
    assert_eq!(daemon.bench.found(Reason::NotRemembered), 0);
}
