//! `abortAbove` and `throttle`: how many objects are acted on, and when a person is asked.

use super::*;

#[test]
fn twenty_of_a_thousand_are_deleted_and_the_rest_waits_until_acknowledged() {
    let records = (0..1000)
        .map(|n| map(&n.to_string(), n + 1, json!({})))
        .collect();
    let mut bench = Bench::new(EngineOptions::default(), rules(&[DELETE]), records);
    assert!(bench.work(0).is_empty());
    let mut deleted = 0;
    for n in 0..1000i64 {
        let now = n * 60 / 1000;
        bench.see(
            map(
                &n.to_string(),
                2000 + n as u64,
                json!({"data": {"old": "yes"}}),
            ),
            now,
        );
        for (id, write) in bench.work(now) {
            deleted += 1;
            bench.answer(id, Outcome::Gone, now);
            bench.engine.observe(
                Observation::Deleted {
                    key: write.object,
                    resource_version: None,
                },
                at(now),
            );
        }
    }
    assert_eq!(deleted, 20);
    assert_eq!(bench.engine.status(at(60)).rules[0].state, "aborted");
    assert_eq!(bench.found(Reason::Aborted), 980);
    assert_eq!(
        bench
            .effects
            .iter()
            .filter(|e| matches!(e, Effect::Report(Report::Aborted { .. })))
            .count(),
        1
    );
    assert!(bench.engine.acknowledge("r0", at(61)));
    let mut more = 0;
    loop {
        let writes = bench.work(61);
        if writes.is_empty() {
            break;
        }
        for (id, write) in writes {
            more += 1;
            bench.answer(id, Outcome::Gone, 61);
            bench.engine.observe(
                Observation::Deleted {
                    key: write.object,
                    resource_version: None,
                },
                at(61),
            );
        }
    }
    assert_eq!(more, 980);
}

#[test]
fn a_thousand_that_match_at_the_start_delete_nothing() {
    let records = (0..1000)
        .map(|n| map(&n.to_string(), n + 1, json!({"data": {"old": "yes"}})))
        .collect();
    let mut bench = Bench::new(EngineOptions::default(), rules(&[DELETE]), records);
    assert!(bench.work(0).is_empty());
    assert_eq!(bench.engine.status(at(0)).rules[0].state, "aborted");
}

#[test]
fn throttle_lets_the_rest_wait() {
    let records = (0..5)
        .map(|n| map(&n.to_string(), n + 1, json!({})))
        .collect();
    let throttled = format!("{LABEL}  limits:\n    throttle: {{objects: 2, per: 1m}}\n");
    let mut bench = Bench::new(EngineOptions::default(), rules(&[&throttled]), records);
    let mut made = vec![];
    for now in [0, 59, 60, 61, 120] {
        let writes = bench.work(now);
        made.push(writes.len());
        for (id, write) in writes {
            let version = 100 + now as u64;
            bench.answer(
                id,
                Outcome::Written(map(
                    &write.object.name,
                    version,
                    json!({"labels": {"team": "web"}}),
                )),
                now,
            );
            bench.see(
                map(
                    &write.object.name,
                    version,
                    json!({"labels": {"team": "web"}}),
                ),
                now,
            );
        }
    }
    assert_eq!(made, [2, 0, 2, 0, 1]);
}

#[test]
fn what_may_have_been_done_keeps_its_place_in_the_throttle_and_what_was_not_gives_it_back() {
    let throttled = format!("{DELETE}  limits:\n    throttle: {{objects: 1, per: 1m}}\n");
    let old = |name: &str, version: u64| map(name, version, json!({"data": {"old": "yes"}}));
    let next_after = |fault: Fault| {
        let records = vec![old("a", 1)];
        let mut bench = Bench::new(EngineOptions::default(), rules(&[&throttled]), records);
        let (id, _) = one(bench.work(0));
        bench.answer(id, Outcome::Failed(fault), 0);
        let gone = Observation::Deleted {
            key: key("a"),
            resource_version: None,
        };
        bench.engine.observe(gone, at(1));
        bench.see(old("b", 2), 1);
        bench.work(1).len()
    };
    assert_eq!(next_after(Fault::Uncertain("gateway".into())), 0);
    assert_eq!(next_after(Fault::Rejected("quota".into())), 1);
}

#[test]
fn throttle_takes_them_by_namespace_and_name() {
    let throttled = format!("{LABEL}  limits:\n    throttle: {{objects: 7, per: 1m}}\n");
    let mut expected: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    expected.sort();
    // Tables are in another order each time.
    for shift in 0..5 {
        let records = (0..40)
            .map(|n| map(&format!("m{}", (n * 7 + shift) % 40), n + 1, json!({})))
            .collect();
        let mut bench = Bench::new(EngineOptions::default(), rules(&[&throttled]), records);
        let mut order = vec![];
        for minute in 0..6 {
            for (id, write) in bench.work(minute * 60) {
                let done = json!({"labels": {"team": "web"}});
                let done = map(&write.object.name, 100 + minute as u64, done);
                order.push(write.object.name.to_string());
                bench.answer(id, Outcome::Written(done.clone()), minute * 60);
                bench.see(done, minute * 60);
            }
        }
        assert_eq!(order, expected);
    }
}

#[test]
fn frozen_rules_only_tell() {
    let mut bench = Bench::new(
        EngineOptions {
            frozen: true,
            ..EngineOptions::default()
        },
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
    assert!(bench.work(0).is_empty());
    assert_eq!(
        bench
            .effects
            .iter()
            .filter(|e| matches!(e, Effect::Report(Report::WouldChange(_))))
            .count(),
        1
    );
    bench.engine.set_frozen(false, at(1));
    assert_eq!(bench.work(1).len(), 1);
}

#[test]
fn a_plan_shows_what_a_throttle_holds_back() {
    let records = (0..5)
        .map(|n| map(&n.to_string(), n + 1, json!({})))
        .collect();
    let throttled = format!("{LABEL}  limits:\n    throttle: {{objects: 2, per: 1m}}\n");
    let options = EngineOptions {
        dry: true,
        assume_enforce: true,
        ..EngineOptions::default()
    };
    let mut bench = Bench::new(options, rules(&[&throttled]), records);
    assert!(bench.work(0).is_empty());
    assert_eq!(bench.found(Reason::Throttled), 3);
    let would = bench
        .effects
        .iter()
        .filter(|e| matches!(e, Effect::Report(Report::WouldChange(_))));
    assert_eq!(would.count(), 5);
}

#[test]
fn what_became_due_while_frozen_is_counted_before_the_first_step() {
    let mut bench = Bench::new(
        EngineOptions {
            frozen: true,
            ..EngineOptions::default()
        },
        rules(&[DELETE]),
        (0..30)
            .map(|n| map(&n.to_string(), n + 1, json!({})))
            .collect(),
    );
    assert!(bench.work(0).is_empty());
    for n in 0..30 {
        let old = json!({"data": {"old": "yes"}});
        bench.see(map(&n.to_string(), n + 100, old), 1);
    }
    assert!(bench.work(1).is_empty());
    bench.engine.set_frozen(false, at(2));
    assert!(bench.work(2).is_empty(), "20 are allowed, 30 are due");
    assert_eq!(bench.found(Reason::Aborted), 30);
}

#[test]
fn of_two_rules_that_delete_both_count_what_they_would() {
    let second = format!("{DELETE}  limits: {{abortAbove: {{objects: 2}}}}\n");
    let first = format!("  priority: 1\n{DELETE}  limits: {{abortAbove: {{objects: 50}}}}\n");
    let files: Vec<SourceFile> = [("first", &first), ("second", &second)]
        .iter()
        .map(|(name, body)| rule_of(name, "v1", "ConfigMap", body))
        .collect();
    let mut bench = Bench::new(EngineOptions::default(), set_of(&files), vec![]);
    bench.work(0);
    for n in 0..3 {
        let old = json!({"data": {"old": "yes"}});
        bench.see(map(&n.to_string(), n + 1, old), 1);
    }
    let writes = bench.work(1);
    assert_eq!(writes.len(), 3);
    let aborted: Vec<&str> = bench
        .effects
        .iter()
        .filter_map(|e| match e {
            Effect::Report(Report::Aborted { rule, .. }) => Some(&**rule),
            _ => None,
        })
        .collect();
    assert_eq!(aborted, ["second"]);
}
