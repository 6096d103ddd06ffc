//! A watch that shows only what rules can match: what leaves it looks deleted, and is not forgotten where that matters.

use super::*;
use proptest::prelude::*;

/// Labels what has no label yet, and by that takes it out of its own watch.
const UNLABELLED: &str = "  where:\n  - {path: $.metadata.labels.team, operator: DoesNotExist}\n  actions:\n  - patch:\n    - {path: $.metadata.labels.team, set: web}\n";

fn narrow() -> EngineOptions {
    EngineOptions {
        narrow: true,
        ..EngineOptions::default()
    }
}

fn labelled(name: &str, version: u64) -> Record {
    map(name, version, json!({"labels": {"team": "web"}}))
}

impl Bench {
    fn leaves(&mut self, name: &str, version: u64, now: i64) {
        let observation = Observation::Deleted {
            key: key(name),
            resource_version: Some(version.to_string()),
        };
        self.engine.observe(observation, at(now));
    }

    fn selector(&self) -> String {
        let wanted = self.engine.wanted();
        let of = wanted.iter().find(|w| w.kind == kind()).unwrap();
        of.scope.to_string()
    }

    fn known(&self, name: &str) -> bool {
        self.engine.store().get(&key(name)).is_some()
    }
}

#[test]
fn a_rule_s_own_edit_takes_an_object_out_and_is_counted_whichever_comes_first() {
    for event_first in [true, false] {
        let records = vec![map("a", 1, json!({}))];
        let mut bench = Bench::new(narrow(), rules(&[UNLABELLED]), records);
        assert_eq!(bench.selector(), "!team");
        let (id, _) = one(bench.work(0));
        if event_first {
            bench.leaves("a", 5, 1);
            bench.answer(id, Outcome::Written(labelled("a", 5)), 1);
        } else {
            bench.answer(id, Outcome::Written(labelled("a", 5)), 1);
            assert!(!bench.engine.is_idle(), "it waits for the watch");
            bench.leaves("a", 5, 1);
        }
        assert!(bench.work(1).is_empty());
        assert!(bench.engine.is_idle() && !bench.known("a"));
        let rule = &bench.engine.status(at(1)).rules[0];
        assert_eq!((rule.counts.made, rule.in_scope, rule.matched), (1, 0, 0));
    }
}

#[test]
fn somebody_who_takes_the_label_away_again_and_again_opens_the_breaker() {
    for event_first in [true, false] {
        let records = vec![map("a", 1, json!({}))];
        let mut bench = Bench::new(narrow(), rules(&[UNLABELLED]), records);
        for round in 0..5 {
            let (id, _) = one(bench.work(round));
            let version = round as u64 * 10 + 5;
            if event_first {
                bench.leaves("a", version, round);
            }
            bench.answer(id, Outcome::Written(labelled("a", version)), round);
            if !event_first {
                bench.leaves("a", version, round);
            }
            bench.see(map("a", version + 1, json!({})), round);
        }
        assert!(bench.work(6).is_empty());
        assert_eq!(bench.found(Reason::BreakerOpen), 1);
        // It stays open while the object is elsewhere, and is no finding meanwhile.
        bench.leaves("a", 90, 7);
        assert_eq!(bench.found(Reason::BreakerOpen), 0);
        assert_eq!(bench.engine.status(at(7)).rules[0].blocked, 0);
        bench.see(map("a", 91, json!({})), 8);
        assert!(bench.work(8).is_empty());
        assert_eq!(bench.found(Reason::BreakerOpen), 1);
        // A person, or another object of that name, ends it.
        bench.leaves("a", 92, 9);
        bench.engine.acknowledge("r0", at(9));
        bench.see(map("a", 93, json!({})), 9);
        assert_eq!(bench.work(9).len(), 1);
    }
}

#[test]
fn another_object_of_the_name_begins_afresh() {
    let mut bench = Bench::new(narrow(), rules(&[UNLABELLED]), vec![map("a", 1, json!({}))]);
    for round in 0..5 {
        let (id, _) = one(bench.work(round));
        let version = round as u64 * 10 + 5;
        bench.answer(id, Outcome::Written(labelled("a", version)), round);
        bench.leaves("a", version, round);
        bench.see(map("a", version + 1, json!({})), round);
    }
    assert!(bench.work(5).is_empty());
    bench.leaves("a", 90, 6);
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "a", "uid": "another", "resourceVersion": "91"}});
    bench.see(Record::from_value(&other), 7);
    assert_eq!(bench.work(7).len(), 1);
}

#[test]
fn a_direct_read_that_shows_it_outside_takes_it_out() {
    let mut bench = Bench::new(narrow(), rules(&[UNLABELLED]), vec![map("a", 1, json!({}))]);
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Failed(Fault::Timeout), 1);
    bench.work(1);
    let read = bench.effects.iter().find_map(|effect| match effect {
        Effect::Read(id, _) => Some(*id),
        _ => None,
    });
    bench.answer(read.unwrap(), Outcome::Read(labelled("a", 5)), 2);
    assert!(bench.work(2).is_empty());
    assert!(bench.engine.is_idle() && !bench.known("a"));
    bench.see(map("a", 7, json!({})), 3);
    assert_eq!(bench.work(3).len(), 1, "it comes back");
}

#[test]
fn a_reload_that_widens_the_scope_waits_for_the_list_and_one_that_narrows_it_does_not() {
    let web = "    selector: {matchLabels: {team: web}}\n  actions:\n  - patch:\n    - {path: $.data.seen, set: 'yes'}\n";
    let mut bench = Bench::new(narrow(), rules(&[web]), vec![labelled("a", 1)]);
    assert_eq!(bench.selector(), "team=web");
    let (id, _) = one(bench.work(0));
    let done = json!({"labels": {"team": "web"}, "data": {"seen": "yes"}});
    bench.answer(id, Outcome::Written(map("a", 2, done.clone())), 0);
    bench.see(map("a", 2, done.clone()), 0);
    assert!(bench.work(0).is_empty());

    bench.engine.load(rules(&[web, LABEL_TWO]), at(1));
    assert_eq!(bench.selector(), "");
    assert!(bench.work(1).is_empty(), "others are not known yet");
    bench.list(vec![map("a", 2, done.clone()), map("b", 3, json!({}))], 2);
    let mut writes = bench.work(2);
    writes.sort_by(|(_, a), (_, b)| a.object.cmp(&b.object));
    assert_eq!(writes.len(), 2);
    for (id, write) in writes {
        let name = write.object.name.to_string();
        let mut more = match &*name {
            "a" => done.clone(),
            _ => json!({"labels": {}}),
        };
        more["labels"]["cost"] = json!("low");
        let written = map(&name, 9, more);
        bench.answer(id, Outcome::Written(written.clone()), 2);
        bench.see(written, 2);
    }
    assert!(bench.work(2).is_empty());

    bench.engine.load(rules(&[web]), at(3));
    assert_eq!(bench.selector(), "team=web");
    let gone_on = json!({"labels": {"team": "web"}, "data": {"seen": "no"}});
    bench.see(map("a", 11, gone_on.clone()), 3);
    assert_eq!(bench.work(3).len(), 1, "what is known is enough");
    bench.list(vec![map("a", 11, gone_on)], 4);
    assert!(!bench.known("b"), "it is no rule's any more");
}

#[test]
fn limits_count_what_was_deleted_or_left() {
    let limited = "  where:\n  - {path: $.metadata.labels.team, operator: DoesNotExist}\n  limits: {throttle: {objects: 2, per: 1m}}\n  actions:\n  - patch:\n    - {path: $.metadata.labels.team, set: web}\n";
    let records = ["a", "b", "c"].map(|name| map(name, 1, json!({})));
    let mut bench = Bench::new(narrow(), rules(&[limited]), records.to_vec());
    let writes = bench.work(0);
    assert_eq!(writes.len(), 2);
    for (id, write) in writes {
        let name = write.object.name.to_string();
        bench.leaves(&name, 5, 1);
        bench.answer(id, Outcome::Written(labelled(&name, 5)), 1);
    }
    assert!(bench.work(2).is_empty(), "the third waits for its turn");
    assert_eq!(bench.work(61).len(), 1);
}

fn clause() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec!["a", "b"]);
    let operator = prop::sample::select(vec![
        "operator: Exists",
        "operator: DoesNotExist",
        "value: x",
        "operator: NotEquals, value: x",
        "operator: In, values: [x, y]",
        "operator: NotIn, values: [x, y]",
        "operator: Empty",
        "operator: Matches, value: x",
        "as: count, value: 0",
    ]);
    (key, operator).prop_map(|(key, rest)| format!("{{path: $.metadata.labels.{key}, {rest}}}"))
}

fn test() -> impl Strategy<Value = String> {
    let several = || prop::collection::vec(clause(), 1..3).prop_map(|all| all.join(", "));
    prop_oneof![
        3 => clause(),
        1 => several().prop_map(|all| format!("{{any: [{all}]}}")),
        1 => several().prop_map(|all| format!("{{none: [{all}]}}")),
    ]
}

pub(super) fn body() -> impl Strategy<Value = String> {
    let selector = prop_oneof![
        Just(String::new()),
        Just("    selector: {matchLabels: {a: x}}\n".to_owned()),
        Just("    namespaces: [shop]\n".to_owned()),
        Just("    names: ['!one']\n".to_owned()),
    ];
    (selector, prop::collection::vec(test(), 0..3)).prop_map(|(selector, tests)| {
        let tests: String = tests.iter().map(|test| format!("  - {test}\n")).collect();
        let tests = match tests.is_empty() {
            true => tests,
            false => format!("  where:\n{tests}"),
        };
        format!(
            "{selector}{tests}  actions:\n  - patch:\n    - {{path: $.data.seen, set: 'yes'}}\n"
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_a_watch_leaves_out_no_rule_would_have_changed(
        bodies in prop::collection::vec(body(), 1..3),
        objects in prop::collection::vec(prop::collection::btree_map("[abc]", "[xyz]?", 0..3), 1..6),
    ) {
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        let names = ["one", "two", "three", "four", "five"];
        let records = || -> Vec<Record> {
            let all = names.iter().zip(&objects);
            all.map(|(name, labels)| map(name, 1, json!({"labels": labels}))).collect()
        };
        let written = |options: EngineOptions| {
            let mut bench = Bench::new(options, rules(&bodies), records());
            let mut written: Vec<String> = bench.work(0).iter().map(|(_, w)| format!("{w:?}")).collect();
            written.sort();
            written
        };
        prop_assert_eq!(written(narrow()), written(EngineOptions::default()));
    }
}
