use super::*;
use crate::cli::output::Paint;
use crate::object::{GroupKind, Record};
use crate::rule::Mode;
use serde_json::json;
use std::time::Duration;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(GroupKind::new("apps", "Deployment"), Some("shop"), name)
}

fn replicas(count: u8) -> Record {
    Record::from_value(&json!({"spec": {"replicas": count}}))
}

fn change(rule: &str, verb: Verb, name: &str) -> RuleChange {
    RuleChange {
        rule: rule.into(),
        mode: if rule == "audit" {
            Mode::Audit
        } else {
            Mode::Enforce
        },
        verb,
        object: key(name),
        before: Some(replicas(1)),
        after: (verb == Verb::Patch).then(|| replicas(2)),
        why: vec![],
    }
}

fn finding(reason: Reason, rule: &str, name: &str) -> Finding {
    Finding {
        rule: rule.into(),
        object: key(name),
        reason,
        message: "why".into(),
    }
}

fn planned(changes: Vec<RuleChange>, findings: Vec<Finding>) -> Tally {
    let mut tally = Tally::default();
    for c in changes {
        tally.take(Report::WouldChange(Box::new(c)), Tense::Future);
    }
    for f in findings {
        tally.take(Report::Finding(f), Tense::Future);
    }
    tally.finish();
    tally
}

#[test]
fn the_summary_counts_objects_and_what_is_held_back() {
    let tally = planned(
        vec![
            change("r", Verb::Patch, "a"),
            change("s", Verb::Patch, "a"),
            change("r", Verb::Patch, "b"),
            change("d", Verb::Delete, "c"),
            change("d", Verb::Delete, "d"),
        ],
        vec![
            finding(Reason::Throttled, "d", "d"),
            finding(Reason::Warning, "w", "a"),
            finding(Reason::Warning, "w", "b"),
        ],
    );
    assert_eq!(
        tally.summary(Tense::Future),
        "2 to patch, 1 to delete, 1 blocked (throttle), 2 findings"
    );
    assert_eq!(tally.plan_code(), exit::FOUND);
    assert_eq!(
        planned(vec![], vec![]).summary(Tense::Future),
        "nothing to change"
    );
    assert_eq!(planned(vec![], vec![]).plan_code(), exit::DONE);
    let warned = planned(vec![], vec![finding(Reason::Warning, "w", "a")]);
    assert_eq!(
        warned.summary(Tense::Future),
        "nothing to change, 1 finding"
    );
    assert_eq!(warned.plan_code(), exit::DONE);
    assert_eq!(warned.once_code(), exit::DONE);
}

#[test]
fn what_could_not_be_decided_is_its_own_exit_code() {
    for error in [Reason::ExpressionFailed, Reason::WrongType] {
        let failed = planned(
            vec![change("r", Verb::Patch, "a")],
            vec![finding(error, "r", "b")],
        );
        assert_eq!(failed.plan_code(), exit::COULD_NOT_TELL);
        assert_eq!(failed.once_code(), exit::COULD_NOT_TELL);
    }
    let waiting = planned(vec![], vec![finding(Reason::Waiting, "r", "b")]);
    assert_eq!(waiting.plan_code(), exit::COULD_NOT_TELL);
    assert_eq!(waiting.once_code(), exit::DONE);
    let throttled = planned(vec![], vec![finding(Reason::Throttled, "r", "b")]);
    assert_eq!(throttled.once_code(), exit::COULD_NOT_TELL);
}

#[test]
fn a_hundred_thousand_findings_and_changes_are_told_in_a_moment() {
    let name = |n: usize| format!("d{n}");
    let changes = (0..100_000).map(|n| change("r", Verb::Patch, &name(n)));
    let throttled = (0..100_000).map(|n| finding(Reason::Throttled, "r", &name(n)));
    let started = std::time::Instant::now();
    let mut tally = planned(changes.collect(), throttled.collect());
    assert_eq!(
        tally.summary(Tense::Future),
        "nothing to change, 100000 blocked (throttle)"
    );
    tally.take(
        Report::FindingEnded(finding(Reason::Throttled, "r", &name(7))),
        Tense::Future,
    );
    // A minute or more, if each were compared with all others.
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_finding_that_has_ended_is_not_told_and_one_that_comes_twice_is_told_once() {
    let mut tally = Tally::default();
    let (ended, stands) = (
        finding(Reason::Warning, "w", "a"),
        finding(Reason::Warning, "w", "b"),
    );
    for report in [
        Report::Finding(ended.clone()),
        Report::Finding(stands.clone()),
        Report::Finding(stands.clone()),
        Report::FindingEnded(ended),
    ] {
        tally.take(report, Tense::Past);
    }
    // An admission tells its own beside the engine's.
    tally.findings.push(stands.clone());
    tally.finish();
    assert_eq!(tally.findings, [stands]);
}

#[test]
fn rules_that_change_one_object_share_a_diff() {
    let tally = planned(
        vec![
            change("audit", Verb::Patch, "a"),
            change("s", Verb::Patch, "a"),
        ],
        vec![finding(Reason::BreakerOpen, "s", "a")],
    );
    assert_eq!(
        tally.text(Tense::Future, Paint::none()),
        "patch Deployment/shop/a by audit (Audit), s (blocked: breaker)\n@@ -1,2 +1,2 @@\n spec:\n-  replicas: 1\n+  replicas: 2\n\n\
         BreakerOpen Deployment/shop/a by s: why\n1 to patch, 1 blocked (breaker)\n"
    );
}

#[test]
fn a_refused_request_is_told_and_a_stale_one_is_not() {
    let mut tally = Tally::default();
    for fault in [Fault::Stale, Fault::Refused("no".into())] {
        tally.take(
            Report::Changed {
                changes: vec![change("r", Verb::Patch, "a")],
                outcome: Err(fault),
                took: Duration::ZERO,
            },
            Tense::Past,
        );
    }
    tally.take(
        Report::WouldChange(Box::new(change("audit", Verb::Patch, "a"))),
        Tense::Past,
    );
    assert_eq!(tally.failed.len(), 1);
    assert_eq!(tally.summary(Tense::Past), "nothing changed, 1 refused");
    assert_eq!(tally.once_code(), exit::COULD_NOT_TELL);
    assert_eq!(tally.json(Tense::Past)["failed"][0]["message"], "no");
}

#[test]
fn the_diff_of_several_rules_spans_all_of_them_in_whatever_order_they_acted() {
    let step = |rule: &str, from: u8, to: u8| RuleChange {
        before: Some(replicas(from)),
        after: Some(replicas(to)),
        ..change(rule, Verb::Patch, "a")
    };
    // The first in order went on from what the second left.
    for group in [
        [step("high", 2, 3), step("low", 1, 2)],
        [step("high", 1, 2), step("low", 2, 3)],
    ] {
        let text = change_text(&group, |_| vec![], Paint::none());
        assert!(text.contains("by high, low\n"), "{text}");
        assert!(text.contains("-  replicas: 1\n"), "{text}");
        assert!(text.contains("+  replicas: 3\n"), "{text}");
    }
}

#[test]
fn a_plan_lets_each_change_go_on_from_those_before_it() {
    let step = |rule: &str, from: u8, to: u8| RuleChange {
        before: Some(replicas(from)),
        after: Some(replicas(to)),
        ..change(rule, Verb::Patch, "a")
    };
    // In whatever order they acted; the last of them finds nothing left to do.
    let mut tally = planned(
        vec![step("high", 2, 3), step("low", 1, 2), step("other", 1, 3)],
        vec![],
    );
    tally.chain();
    let states = |change: &RuleChange| (change.before.clone(), change.after.clone());
    let chain: Vec<_> = tally.changes.iter().map(states).collect();
    let state = |n: u8| Some(replicas(n));
    assert_eq!(chain, [(state(2), state(3)), (state(1), state(2))]);
}
