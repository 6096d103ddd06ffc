//! What the server answers to a write: stale, refused, lost, forbidden, unchanged.

use super::*;

#[test]
fn a_stale_decision_is_made_again_from_the_newer_object() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Failed(Fault::Stale), 0);
    assert!(bench.work(0).is_empty());
    bench.see(map("a", 2, json!({"data": {"x": "1"}})), 0);
    let (_, write) = one(bench.work(0));
    assert_eq!(write.resource_version, "2");
}

#[test]
fn a_refusal_is_one_finding_and_no_retry_until_the_object_changes() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Failed(Fault::Refused("too long".into())), 0);
    assert!(bench.work(0).is_empty());
    bench.see(map("a", 2, json!({})), 10);
    assert!(bench.work(1000).is_empty());
    assert_eq!(bench.found(Reason::Refused), 1);
    bench.see(map("a", 3, json!({"data": {"x": "1"}})), 1001);
    assert_eq!(bench.work(1001).len(), 1);
}

#[test]
fn an_answer_that_changed_nothing_is_not_asked_for_again() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Written(map("a", 1, json!({}))), 0);
    assert!(bench.work(1000).is_empty());
    bench.engine.load(
        rules(&["  actions:\n  - patch:\n    - {path: $.metadata.labels.team, set: other}\n"]),
        at(1001),
    );
    assert_eq!(bench.work(1001).len(), 1);
}

#[test]
fn a_lost_answer_is_followed_by_a_read() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Failed(Fault::Timeout), 0);
    assert!(bench.work(0).is_empty());
    assert!(
        bench
            .effects
            .iter()
            .any(|e| matches!(e, Effect::Read(_, k) if *k == key("a")))
    );
}

#[test]
fn trouble_of_the_server_is_met_with_growing_pauses() {
    let mut bench = Bench::labelling();
    let mut now = 0;
    for pause in [1, 1, 2, 4] {
        let (id, _) = one(bench.work(now));
        bench.answer(
            id,
            Outcome::Failed(Fault::Unreachable("refused".into())),
            now,
        );
        assert!(bench.work(now).is_empty());
        now += pause;
    }
    let (id, _) = one(bench.work(now));
    bench.answer(
        id,
        Outcome::Failed(Fault::Busy {
            retry_after: Some(std::time::Duration::from_secs(17)),
            message: String::new(),
        }),
        now,
    );
    assert!(bench.work(now + 16).is_empty());
    assert_eq!(bench.work(now + 17).len(), 1);
}

#[test]
fn a_rule_whose_change_is_refused_delays_only_itself() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL, LABEL_TWO]),
        vec![map("a", 1, json!({}))],
    );
    let (id, write) = one(bench.work(0));
    assert_eq!(write.rules.len(), 2);
    let refuse = || Outcome::Failed(Fault::Refused("team is reserved".into()));
    bench.answer(id, refuse(), 0);
    let (id, write) = one(bench.work(0));
    assert_eq!(write.rules, ["r0".into()]);
    bench.answer(id, refuse(), 0);
    let (id, write) = one(bench.work(0));
    assert_eq!(write.rules, ["r1".into()]);
    let done = map("a", 5, json!({"labels": {"cost": "low"}}));
    bench.answer(id, Outcome::Written(done.clone()), 0);
    bench.see(done, 0);
    // The object is another now: the first rule may try once more.
    let (id, write) = one(bench.work(0));
    assert_eq!(write.rules, ["r0".into()]);
    bench.answer(id, refuse(), 0);
    assert!(bench.work(0).is_empty());
    assert!(bench.work(1000).is_empty());
    assert_eq!(bench.found(Reason::Refused), 1);
    bench.see(
        map("a", 9, json!({"labels": {"cost": "low", "team": "web"}})),
        1001,
    );
    assert!(bench.work(1001).is_empty());
    assert_eq!(bench.found(Reason::Refused), 0);
}

#[test]
fn an_answer_that_is_not_what_was_asked_for_is_not_asked_for_again() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    // A webhook takes the label away and leaves a mark of its own.
    let answer = map("a", 5, json!({"data": {"seen": "1"}}));
    bench.answer(id, Outcome::Written(answer.clone()), 0);
    bench.see(answer, 0);
    assert!(bench.work(0).is_empty());
    assert!(bench.engine.is_idle());
    bench.see(map("a", 6, json!({"data": {"seen": "2"}})), 1);
    assert_eq!(bench.work(1).len(), 1, "the object changed");
}

#[test]
fn what_rbac_forbids_is_found_out_once_for_a_kind_and_namespace() {
    let records = (0..5)
        .map(|n| map(&n.to_string(), n + 1, json!({})))
        .collect();
    let options = EngineOptions {
        workers: 1,
        ..EngineOptions::default()
    };
    let mut bench = Bench::new(options, rules(&[LABEL]), records);
    let forbid = || Outcome::Failed(Fault::Forbidden("patch configmaps".into()));
    let (id, _) = one(bench.work(0));
    bench.answer(id, forbid(), 0);
    assert!(bench.work(0).is_empty());
    assert_eq!(bench.found(Reason::Forbidden), 5);
    assert!(bench.work(119).is_empty());
    let (id, write) = one(bench.work(120));
    bench.answer(
        id,
        Outcome::Written(map(
            &write.object.name,
            50,
            json!({"labels": {"team": "web"}}),
        )),
        120,
    );
    assert_eq!(bench.work(120).len(), 1);
}

#[test]
fn a_failure_is_waited_out_whatever_happens_to_the_object() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    let busy = Fault::Busy {
        retry_after: Some(std::time::Duration::from_secs(30)),
        message: "later".into(),
    };
    bench.answer(id, Outcome::Failed(busy), 0);
    for now in 1..30 {
        let data = json!({"data": {"x": now.to_string()}});
        bench.see(map("a", 1 + now as u64, data), now);
        assert!(bench.work(now).is_empty(), "{now}");
        assert_eq!(bench.wake, Some(at(30)));
    }
    assert_eq!(bench.work(30).len(), 1);
}

#[test]
fn a_refusal_of_what_is_gone_is_not_remembered() {
    for fault in [
        Fault::Rejected("no".into()),
        Fault::Refused("no".into()),
        Fault::Unreachable("no".into()),
    ] {
        let mut bench = Bench::labelling();
        let (id, _) = one(bench.work(0));
        bench.engine.observe(
            Observation::Deleted {
                key: key("a"),
                resource_version: None,
            },
            at(0),
        );
        bench.answer(id, Outcome::Failed(fault), 0);
        assert!(bench.work(1_000).is_empty());
        assert_eq!(bench.engine.status(at(0)).due, 0);
        assert_eq!(bench.engine.findings().count(), 0);
        assert!(bench.engine.is_idle());
    }
}
