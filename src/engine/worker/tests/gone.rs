//! Objects that are gone leave nothing behind.

use super::*;

const COUNTED: &str = "  where:\n  - {path: $.data.old, value: 'yes'}\n  actions:\n  - patch:\n    - {path: $.metadata.labels.team, set: web}\n  limits: {abortAbove: {objects: 100}}\n";

fn delete(bench: &mut Bench, name: &str, now: i64) {
    let gone = Observation::Deleted {
        key: key(name),
        resource_version: None,
    };
    bench.engine.observe(gone, at(now));
}

#[test]
fn a_rule_with_limits_knows_nothing_of_objects_that_it_did_nothing_to() {
    let due = map("due", 1, json!({"data": {"old": "yes"}}));
    let options = EngineOptions {
        frozen: true,
        ..EngineOptions::default()
    };
    let mut bench = Bench::new(options, rules(&[COUNTED]), vec![due]);
    bench.work(0);
    for n in 0..100 {
        let name = format!("passing-{n}");
        bench.see(map(&name, n + 2, json!({})), 1);
        bench.work(1);
        delete(&mut bench, &name, 1);
        bench.work(1);
    }
    delete(&mut bench, "due", 2);
    bench.work(2);
    assert!(bench.engine.states[0].limits.is_idle());
}

#[test]
fn a_refusal_of_something_for_an_object_that_is_gone_is_no_finding() {
    let event = "  actions:\n  - event: {reason: Seen, message: it is there}\n";
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[event]),
        vec![map("a", 1, json!({}))],
    );
    let (id, _) = one(bench.work(0));
    delete(&mut bench, "a", 1);
    let terminating = Fault::Rejected("the namespace is being terminated".into());
    bench.answer(id, Outcome::Failed(terminating), 1);
    assert!(bench.work(1).is_empty());
    assert_eq!(bench.engine.findings().count(), 0);
    assert!(bench.engine.is_idle());
}

/// As a Pod of a StatefulSet is.
#[test]
fn one_that_is_made_anew_under_its_name_is_not_deleted_without_end() {
    let unlimited = format!("{DELETE}  limits: {{abortAbove: {{objects: 1000}}}}\n");
    let often = format!(
        "{DELETE}  limits: {{perObject: {{changes: 1000, per: 1h}}, abortAbove: {{objects: 7}}}}\n"
    );
    for (rule, most, reason) in [
        (unlimited, 5, Reason::BreakerOpen),
        (often, 7, Reason::Aborted),
    ] {
        let mut bench = Bench::new(EngineOptions::default(), rules(&[&rule]), vec![]);
        let mut deleted = 0;
        for turn in 0..40 {
            let now = turn * 10;
            let mut old =
                map("web-0", 10 + turn as u64, json!({"data": {"old": "yes"}})).to_value();
            old["metadata"]["uid"] = json!(format!("u-{turn}"));
            bench.see(Record::from_value(&old), now);
            for (id, _) in bench.work(now) {
                deleted += 1;
                bench.answer(id, Outcome::Gone, now);
            }
            delete(&mut bench, "web-0", now);
            bench.work(now);
        }
        assert_eq!(deleted, most, "{reason}");
    }
}
