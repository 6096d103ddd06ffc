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
    let explained = bench.engine.explain("r0", "ConfigMap/shop/a", at(1000));
    assert_eq!(explained.unwrap().in_the_way, ["Refused: too long"]);
    bench.see(map("a", 3, json!({"data": {"x": "1"}})), 1001);
    assert_eq!(bench.work(1001).len(), 1);
}

#[test]
fn what_is_done_once_is_refused_once_however_much_later_it_is_looked_at() {
    let patch = "patch: [{path: $.metadata.labels.team, set: web}]";
    let apply = "apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {x: '1'}}";
    for step in [patch, apply] {
        let body = format!(
            "    names: [a]\n  actions:\n  - {step}\n    once: {{key: '${{object.?data.?x.orValue(0)}}'}}\n"
        );
        let shown = vec![map("a", 1, json!({}))];
        let mut bench = Bench::new(EngineOptions::default(), rules(&[&body]), shown);
        let refused = || Outcome::Failed(Fault::Refused("too long".into()));
        let (id, _) = one(bench.work(0));
        bench.answer(id, refused(), 0);
        bench.see(map("a", 2, json!({})), 10);
        for later in [11, 12, 13] {
            assert!(bench.work(later).is_empty(), "{step} after {later} s");
        }
        assert_eq!(bench.found(Reason::Refused), 1, "{step}");
        bench.see(map("a", 3, json!({"data": {"x": "1"}})), 14);
        assert_eq!(bench.work(14).len(), 1, "another key: {step}");
    }
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
fn a_server_that_may_have_done_it_is_asked_again_and_opens_no_breaker() {
    let mut bench = Bench::labelling();
    let mut now = 0;
    for pause in [1, 1, 2, 4, 8, 16, 32, 64, 128] {
        let (id, _) = one(bench.work(now));
        let slow = Fault::Uncertain("etcdserver: request timed out".into());
        bench.answer(id, Outcome::Failed(slow), now);
        assert_eq!(bench.found(Reason::Refused), 1);
        assert!(bench.work(now).is_empty());
        now += pause;
    }
    assert_eq!(bench.work(now).len(), 1);
    assert_eq!(bench.found(Reason::BreakerOpen), 0);
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
    assert!(bench.work(1).is_empty(), "the label is as it was answered");
    let told = "/metadata/labels/team is nothing and not \"web\": the server took the change and stored that instead, as an admission policy or webhook may do";
    assert_eq!(messages(&bench, Reason::Overruled), [told]);
    // Somebody else has another value there: that is no answer.
    bench.see(map("a", 7, json!({"labels": {"team": "db"}})), 2);
    let (id, _) = one(bench.work(2));
    assert_eq!(bench.found(Reason::Overruled), 0);
    let answer = labelled(8);
    bench.answer(id, Outcome::Written(answer.clone()), 2);
    bench.see(answer, 2);
    assert!(bench.work(2).is_empty());
    // Now the server keeps it. What it did before is forgotten.
    bench.see(map("a", 9, json!({})), 3);
    assert_eq!(bench.work(3).len(), 1);
}

/// A rule that sets all of `data`.
const SET: &str = "  actions:\n  - patch:\n    - {path: $.data, set: {a: '1'}}\n";

/// What the server makes of it, with a label.
fn completed(version: u64, label: &str) -> Record {
    let more = json!({"labels": {"by": label}, "data": {"a": "1", "default": "x"}});
    map("a", version, more)
}

/// The rule [`SET`], answered with `completed(2, "x")`.
fn setting() -> Bench {
    let options = EngineOptions::default();
    let mut bench = Bench::new(options, rules(&[SET]), vec![map("a", 1, json!({}))]);
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Written(completed(2, "x")), 0);
    bench.see(completed(2, "x"), 0);
    assert!(bench.work(0).is_empty());
    bench
}

#[test]
fn what_the_server_completes_is_not_written_again_whatever_else_changes() {
    let mut bench = setting();
    for version in 3..20 {
        bench.see(completed(version, &version.to_string()), version as i64);
        assert!(bench.work(version as i64).is_empty(), "{version}");
    }
    assert_eq!(bench.engine.findings().count(), 0, "nothing is amiss");
    // Somebody adds to it.
    let more = json!({"data": {"a": "1", "default": "x", "b": "2"}});
    bench.see(map("a", 20, more), 20);
    let (id, write) = one(bench.work(20));
    assert_eq!(write.resource_version, "20");
    bench.answer(id, Outcome::Written(completed(21, "x")), 20);
    bench.see(completed(21, "x"), 20);
    // Or takes away what it completed.
    bench.see(map("a", 22, json!({"data": {"a": "1"}})), 21);
    assert!(bench.work(21).is_empty(), "just what the rule wants");
    bench.see(completed(23, "x"), 22);
    assert!(bench.work(22).is_empty());
}

#[test]
fn another_object_or_another_rule_is_asked_for_anew() {
    let mut bench = setting();
    bench.engine.observe(
        Observation::Deleted {
            key: key("a"),
            resource_version: None,
        },
        at(1),
    );
    bench.see(completed(5, "x"), 1);
    let (id, _) = one(bench.work(1));
    // The answer to what changed nothing teaches as well.
    bench.answer(id, Outcome::Written(completed(5, "x")), 1);
    assert!(bench.work(1).is_empty());
    bench.see(completed(6, "y"), 2);
    assert!(bench.work(2).is_empty());
    let other = SET.replace("a: '1'", "a: '1', default: x");
    bench.engine.load(rules(&[&other]), at(3));
    assert!(bench.work(3).is_empty(), "it is so already");
    bench.engine.load(rules(&[SET]), at(4));
    assert_eq!(bench.work(4).len(), 1);
}

#[test]
fn answers_that_change_nothing_open_no_breaker() {
    let mut bench = setting();
    for version in 3..30 {
        // Somebody writes there, and the server answers that this is what it makes of the rule's value.
        let more = json!({"data": {"a": "1", "default": version.to_string()}});
        let record = map("a", version, more);
        bench.see(record.clone(), version as i64);
        let (id, _) = one(bench.work(version as i64));
        bench.answer(id, Outcome::Written(record), version as i64);
        assert!(bench.work(version as i64).is_empty());
    }
    assert_eq!(bench.found(Reason::BreakerOpen), 0);
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
