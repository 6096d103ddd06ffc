//! Which findings are told with Events on their objects, and how often.

use super::*;
use crate::decide::Operation;
use crate::engine::Report;
use crate::engine::announce::{AGAIN, Announcer, BURST, MOST_WAITING, Telling};

/// An engine, and who listens to it.
struct Stage {
    bench: Bench,
    announcer: Announcer,
}

impl Stage {
    fn new(rules: Arc<RuleSet>, records: Vec<Record>) -> Stage {
        Stage {
            bench: Bench::new(EngineOptions::default(), rules, records),
            announcer: Announcer::default(),
        }
    }

    /// Everything there is to do now; answers the writes of rules.
    fn work(&mut self, now: i64) -> Vec<(RequestId, Write)> {
        let writes = self.bench.work(now);
        for effect in self.bench.effects.drain(..) {
            if let Effect::Report(report) = effect {
                self.announcer.hear(&report, &self.bench.engine, at(now));
            }
        }
        writes
    }

    /// The same, with this answer to each write; and the Events that are sent then.
    fn told(&mut self, now: i64, fault: &Fault) -> Vec<Value> {
        loop {
            let writes = self.work(now);
            if writes.is_empty() {
                return self.events(now, &Outcome::Accepted("9".into()));
            }
            for (id, _) in writes {
                self.bench.answer(id, Outcome::Failed(fault.clone()), now);
            }
        }
    }

    fn events(&mut self, now: i64, outcome: &Outcome) -> Vec<Value> {
        let due = self.announcer.due(&self.bench.engine, at(now));
        due.into_iter()
            .map(|(mark, write)| {
                self.announcer.answered(&mark, outcome, at(now));
                match write.operation {
                    Operation::Event { event, .. } => event,
                    other => panic!("{other:?}"),
                }
            })
            .collect()
    }

    fn count(&self, telling: Telling) -> u64 {
        self.announcer.counts()[telling as usize]
    }
}

fn refused() -> Fault {
    Fault::Refused("the label is too long".into())
}

fn rejected(message: &str) -> Fault {
    Fault::Rejected(message.into())
}

fn name(event: &Value) -> &str {
    event["metadata"]["name"].as_str().unwrap()
}

fn only(events: Vec<Value>) -> Value {
    assert_eq!(events.len(), 1, "{events:?}");
    events.into_iter().next().unwrap()
}

#[test]
fn a_refused_change_is_one_event_on_its_object_as_long_as_it_stands() {
    let mut stage = Stage::new(rules(&[LABEL]), vec![map("a", 1, json!({}))]);
    let event = only(stage.told(0, &refused()));
    assert!(name(&event).starts_with("a."), "{event}");
    assert_eq!(event["metadata"]["namespace"], "shop");
    assert_eq!(
        event["regarding"],
        json!({"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "a", "uid": "u-a"})
    );
    for (field, value) in [
        ("type", "Warning"),
        ("reason", "Refused"),
        ("action", "r0"),
        ("note", "rule r0: the label is too long"),
        ("reportingController", "ordain.dev/ordain"),
    ] {
        assert_eq!(event[field], value);
    }
    // It goes on: whatever happens to the object, and however often it is looked at.
    for (version, now) in [(2, 10), (3, 400), (4, 1000)] {
        stage.bench.see(
            map("a", version, json!({"data": {"x": version.to_string()}})),
            now,
        );
        assert_eq!(stage.told(now, &refused()), Vec::<Value>::new(), "at {now}");
    }
    // The server forgets it after an hour: the same is told again, and is the same while the server still has it.
    let later = AGAIN.as_secs();
    assert_eq!(stage.told(later - 1, &refused()), Vec::<Value>::new());
    assert_eq!(only(stage.told(later, &refused())), event);
    assert_eq!(stage.told(later + 1, &refused()), Vec::<Value>::new());
    // Another replica, or this one after a restart, tells the same.
    let mut other = Stage::new(rules(&[LABEL]), vec![map("a", 7, json!({}))]);
    assert_eq!(name(&only(other.told(0, &refused()))), name(&event));
}

#[test]
fn what_ends_and_begins_again_is_told_again_unless_that_is_soon() {
    let mut stage = Stage::new(rules(&[LABEL]), vec![map("a", 1, json!({}))]);
    let first = only(stage.told(0, &refused()));
    let right = json!({"labels": {"team": "web"}});
    stage.bench.see(map("a", 2, right.clone()), 10);
    assert_eq!(stage.told(10, &refused()), Vec::<Value>::new());
    stage.bench.see(map("a", 3, json!({})), 60);
    assert_eq!(stage.told(60, &refused()), Vec::<Value>::new());
    stage.bench.see(map("a", 4, right), 100);
    assert_eq!(stage.told(100, &refused()), Vec::<Value>::new());
    stage.bench.see(map("a", 5, json!({})), 200);
    let second = only(stage.told(200, &refused()));
    assert_ne!(name(&first), name(&second));
    // Of the first nothing is told again.
    assert_eq!(only(stage.told(200 + AGAIN.as_secs(), &refused())), second);
}

#[test]
fn the_words_of_a_refusal_may_change_while_it_stands() {
    let mut stage = Stage::new(rules(&[LABEL]), vec![map("a", 1, json!({}))]);
    let event = only(stage.told(0, &rejected("exceeded quota: used 3")));
    assert_eq!(event["note"], "rule r0: exceeded quota: used 3");
    let mut retries = 0;
    for now in 1..600 {
        let writes = stage.work(now);
        for (id, _) in writes {
            retries += 1;
            let fault = rejected(&format!("exceeded quota: used {now}"));
            stage.bench.answer(id, Outcome::Failed(fault), now);
        }
        assert_eq!(
            stage.events(now, &Outcome::Accepted("9".into())),
            Vec::<Value>::new()
        );
    }
    assert!(retries > 3, "{retries}");
}

#[test]
fn nothing_is_told_of_what_a_rule_in_audit_or_a_frozen_one_cannot_do() {
    // It fails before anything is asked of the server, in Audit as in Enforce.
    let fixed = "  actions:\n  - patch:\n    - {path: $.metadata.labels.a, set: '${object.data.nothing}'}\n";
    let audit = |mode: &str| {
        let text = format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r0}}\nspec:\n  mode: {mode}\n  match:\n    resources: [{{apiVersion: v1, kind: ConfigMap}}]\n{fixed}"
        );
        let file = SourceFile {
            name: "r.yaml".into(),
            bytes: text.into_bytes(),
        };
        let compiled = compile(&[file], &Schema::bundled());
        assert!(!compiled.has_errors(), "{:?}", compiled.problems);
        Arc::new(RuleSet::new(compiled.rules, Schema::bundled()))
    };
    let mut stage = Stage::new(audit("Audit"), vec![map("a", 1, json!({}))]);
    assert_eq!(stage.told(0, &refused()), Vec::<Value>::new());
    assert_eq!(stage.bench.found(Reason::ExpressionFailed), 1);
    // From Audit to Enforce: the finding is the same, and is told now. While all are frozen it is not.
    stage.bench.engine.set_frozen(true, at(10));
    stage.bench.engine.load(audit("Enforce"), at(10));
    stage.announcer.review(&stage.bench.engine, at(10));
    assert_eq!(stage.told(10, &refused()), Vec::<Value>::new());
    stage.bench.engine.set_frozen(false, at(20));
    stage.announcer.review(&stage.bench.engine, at(20));
    assert_eq!(
        only(stage.told(20, &refused()))["reason"],
        "ExpressionFailed"
    );
}

#[test]
fn waiting_for_a_turn_and_what_a_rule_only_says_is_no_failure() {
    let throttled = format!("{DELETE}  limits:\n    throttle: {{objects: 1, per: 1m}}\n");
    let old = json!({"data": {"old": "yes"}});
    let mut stage = Stage::new(
        rules(&[&throttled, "  actions:\n  - warn: {message: hear}\n"]),
        vec![map("a", 1, old.clone()), map("b", 2, old)],
    );
    let (id, _) = one(stage.work(0));
    stage.bench.answer(id, Outcome::Gone, 0);
    stage.work(0);
    assert_eq!(stage.bench.found(Reason::Throttled), 1);
    assert!(stage.bench.found(Reason::Warning) > 0);
    assert!(stage.events(0, &Outcome::Accepted("9".into())).is_empty());
}

#[test]
fn a_stopped_rule_is_told_on_each_object_that_waits_for_it() {
    let limited = format!("{DELETE}  limits:\n    abortAbove: {{objects: 2}}\n");
    let old = json!({"data": {"old": "yes"}});
    let maps = ["a", "b", "c"].map(|name| map(name, 1, old.clone()));
    let mut stage = Stage::new(rules(&[&limited]), maps.to_vec());
    assert!(stage.work(0).is_empty());
    let events = stage.events(0, &Outcome::Accepted("9".into()));
    assert_eq!(events.len(), 3);
    assert!(
        events.iter().all(|e| e["reason"] == "Aborted"),
        "{events:?}"
    );
}

#[test]
fn many_at_once_are_told_one_after_the_other_and_not_all_wait() {
    let count = BURST as usize + MOST_WAITING;
    let maps: Vec<Record> = (0..count + 7)
        .map(|n| map(&format!("m{n}"), 1, json!({})))
        .collect();
    let mut stage = Stage::new(rules(&[LABEL]), maps);
    let mut told = 0;
    loop {
        let writes = stage.work(0);
        if writes.is_empty() {
            break;
        }
        for (id, _) in writes {
            stage.bench.answer(id, Outcome::Failed(refused()), 0);
        }
        told += stage.events(0, &Outcome::Accepted("9".into())).len();
    }
    assert_eq!(told, BURST as usize);
    // How many come before the first is sent is the queue's business.
    let dropped = stage.count(Telling::Dropped);
    assert!((7..=7 + u64::from(BURST)).contains(&dropped), "{dropped}");
    for now in 1..4 {
        assert_eq!(stage.told(now, &refused()).len(), 1);
    }
    assert_eq!(stage.told(10, &refused()).len(), 7);
    // What has ended meanwhile is not told any more: all are right now.
    for n in 0..count + 7 {
        let right = map(&format!("m{n}"), 2, json!({"labels": {"team": "web"}}));
        stage.bench.see(right, 11);
    }
    assert_eq!(stage.told(1000, &refused()), Vec::<Value>::new());
    assert_eq!(stage.count(Telling::Told), u64::from(BURST) + 10);
}

#[test]
fn events_that_may_not_be_written_are_not_tried_all_the_time() {
    let mut stage = Stage::new(rules(&[LABEL]), vec![map("a", 1, json!({}))]);
    for (id, _) in stage.work(0) {
        stage.bench.answer(id, Outcome::Failed(refused()), 0);
    }
    stage.work(0);
    let due = stage.announcer.due(&stage.bench.engine, at(0));
    let forbidden = Outcome::Failed(Fault::Forbidden("no".into()));
    assert_eq!(
        stage
            .announcer
            .answered(&due[0].0, &forbidden, at(0))
            .as_deref(),
        Some("no"),
        "said"
    );
    assert_eq!(stage.told(599, &refused()), Vec::<Value>::new());
    assert_eq!(stage.told(600, &refused()).len(), 1);
    assert_eq!(
        (stage.count(Telling::Failed), stage.count(Telling::Told)),
        (1, 1)
    );
}

#[test]
fn who_stands_by_tells_nothing() {
    let mut stage = Stage::new(rules(&[LABEL]), vec![map("a", 1, json!({}))]);
    let first = only(stage.told(0, &refused()));
    stage.bench.engine.set_standby(true, at(5));
    stage.announcer.silence();
    assert_eq!(stage.told(AGAIN.as_secs(), &refused()), Vec::<Value>::new());
    stage.bench.engine.set_standby(false, at(2000));
    stage.announcer.review(&stage.bench.engine, at(2000));
    assert_eq!(only(stage.told(2000, &refused())), first, "the same");
}

#[test]
fn nothing_is_told_of_events_nor_of_what_the_cluster_protects_itself() {
    let text = |kind: &str| {
        format!(
            "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r0}}\nspec:\n  mode: Enforce\n  match:\n    resources: [{kind}]\n{LABEL}"
        )
    };
    let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"namespace": "shop", "name": "e", "uid": "u", "resourceVersion": "1"}});
    let system = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "kube-system", "name": "s", "uid": "u", "resourceVersion": "1"}});
    for (kind, group, object, reason, fault) in [
        (
            "{apiVersion: events.k8s.io/v1, kind: Event}",
            GroupKind::new("events.k8s.io", "Event"),
            event,
            Reason::Refused,
            1,
        ),
        (
            "{apiVersion: v1, kind: ConfigMap}",
            kind(),
            system,
            Reason::Protected,
            0,
        ),
    ] {
        let file = SourceFile {
            name: "r.yaml".into(),
            bytes: text(kind).into_bytes(),
        };
        let compiled = compile(&[file], &Schema::bundled());
        assert!(!compiled.has_errors(), "{:?}", compiled.problems);
        let set = Arc::new(RuleSet::new(compiled.rules, Schema::bundled()));
        let mut stage = Stage::new(set, vec![]);
        let namespaces = GroupKind::new("", "Namespace");
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}});
        let seen = [
            Observation::Applied {
                kind: namespaces,
                record: Record::from_value(&namespace),
            },
            Observation::ListStarted {
                kind: group.clone(),
            },
            Observation::Applied {
                kind: group.clone(),
                record: Record::from_value(&object),
            },
            Observation::ListDone {
                kind: group.clone(),
            },
        ];
        for observation in seen {
            stage.bench.engine.observe(observation, at(0));
        }
        assert_eq!(stage.told(0, &refused()), Vec::<Value>::new(), "{kind}");
        assert_eq!(stage.bench.found(reason), 1, "{kind}");
        let failed: u64 = stage.bench.engine.status(at(0)).rules[0].counts.failures;
        assert_eq!(failed, fault, "{kind}");
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_silence_it() {
    let mut stage = Stage::new(
        rules(&[LABEL]),
        vec![map("a", 1, json!({})), map("b", 1, json!({}))],
    );
    assert_eq!(stage.told(5000, &refused()).len(), 2);
    stage.bench.see(map("c", 1, json!({})), 100);
    assert_eq!(stage.told(100, &refused()).len(), 1);
}

#[test]
fn reports_of_other_things_are_none_of_its_business() {
    let mut stage = Stage::new(rules(&[LABEL]), vec![map("a", 1, json!({}))]);
    let report = Report::Aborted {
        rule: "r0".into(),
        due: 1,
        acted: 2,
        limit: "objects".into(),
    };
    stage.announcer.hear(&report, &stage.bench.engine, at(0));
    assert!(stage.events(0, &Outcome::Accepted("9".into())).is_empty());
}
