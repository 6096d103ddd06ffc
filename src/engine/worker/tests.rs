#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::decide::Reason;
use crate::decide::breaker::managers::ManagedFields;
use crate::engine::{Effect, Fault, Observation, Outcome};
use crate::object::Record;
use crate::rule::compile::{SourceFile, compile};
use serde_json::{Value, json};

mod after;
mod archives;
mod away;
mod events;
mod keep;
mod picks;
mod reload;
mod schedule;
mod standby;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn rules(bodies: &[&str]) -> Arc<RuleSet> {
    let files: Vec<SourceFile> = bodies
        .iter()
        .enumerate()
        .map(|(i, body)| SourceFile {
            name: format!("r{i}.yaml").into(),
            bytes: format!("apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: r{i}}}\nspec:\n  mode: Enforce\n  match:\n    resources: [{{apiVersion: v1, kind: ConfigMap}}]\n{body}").into_bytes(),
        })
        .collect();
    let compiled = compile(&files, &Schema::bundled());
    assert!(compiled.problems.is_empty(), "{}", compiled.problems[0]);
    Arc::new(RuleSet::new(compiled.rules, Schema::bundled()))
}

const LABEL: &str = "  actions:\n  - patch:\n    - {path: $.metadata.labels.team, set: web}\n";
const DELETE: &str = "  where:\n  - {path: $.data.old, value: 'yes'}\n  actions:\n  - delete: {}\n";

fn map(name: &str, version: u64, more: Value) -> Record {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": name, "uid": format!("u-{name}"), "resourceVersion": version.to_string()}});
    for (key, value) in more.as_object().unwrap() {
        match key.as_str() {
            "labels" | "creationTimestamp" => object["metadata"][key] = value.clone(),
            _ => object[key] = value.clone(),
        }
    }
    Record::from_value(&object)
}

fn kind() -> GroupKind {
    GroupKind::new("", "ConfigMap")
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(kind(), Some("shop"), name)
}

struct Bench {
    engine: Engine,
    effects: Vec<Effect>,
    wake: Option<Timestamp>,
    /// What the server says who writes fields.
    managed: Value,
}

impl Bench {
    fn new(options: EngineOptions, rules: Arc<RuleSet>, records: Vec<Record>) -> Bench {
        let mut bench = Bench {
            engine: Engine::new(options),
            effects: vec![],
            wake: None,
            managed: Value::Null,
        };
        bench.engine.load(rules, at(0));
        let namespaces = GroupKind::new("", "Namespace");
        bench.engine.observe(
            Observation::ListStarted {
                kind: namespaces.clone(),
            },
            at(0),
        );
        let shop = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        bench.engine.observe(
            Observation::Applied {
                kind: namespaces.clone(),
                record: Record::from_value(&shop),
            },
            at(0),
        );
        bench
            .engine
            .observe(Observation::ListDone { kind: namespaces }, at(0));
        bench.list(records, 0);
        bench
    }

    fn list(&mut self, records: Vec<Record>, now: i64) {
        self.engine
            .observe(Observation::ListStarted { kind: kind() }, at(now));
        for record in records {
            self.see(record, now);
        }
        self.engine
            .observe(Observation::ListDone { kind: kind() }, at(now));
    }

    fn see(&mut self, record: Record, now: i64) {
        self.engine.observe(
            Observation::Applied {
                kind: kind(),
                record,
            },
            at(now),
        );
    }

    /// Everything there is to do now; answers the writes.
    fn work(&mut self, now: i64) -> Vec<(RequestId, Write)> {
        let mut effects = vec![];
        loop {
            self.wake = self.engine.poll(at(now), 1000, &mut effects);
            if self.wake.is_none_or(|w| w > at(now)) {
                break;
            }
        }
        let mut writes = vec![];
        let mut asked = vec![];
        for effect in effects {
            match effect {
                Effect::Write(id, write) => writes.push((id, *write)),
                Effect::Managers(id, _) => asked.push(id),
                other => self.effects.push(other),
            }
        }
        if !asked.is_empty() {
            for id in asked {
                let managed = ManagedFields::read(&self.managed);
                self.answer(id, Outcome::Managers(managed), now);
            }
            writes.extend(self.work(now));
        }
        writes
    }

    fn answer(&mut self, id: RequestId, outcome: Outcome, now: i64) {
        self.engine.complete(id, outcome, at(now));
    }

    fn found(&self, reason: Reason) -> usize {
        self.engine
            .findings()
            .filter(|f| f.reason == reason)
            .count()
    }
}

fn one(writes: Vec<(RequestId, Write)>) -> (RequestId, Write) {
    assert_eq!(writes.len(), 1, "{writes:?}");
    writes.into_iter().next().unwrap()
}

#[test]
fn one_write_and_none_once_the_watch_shows_it() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
    let (id, write) = one(bench.work(0));
    assert_eq!(
        (write.object, write.resource_version.as_str()),
        (key("a"), "1")
    );
    bench.answer(
        id,
        Outcome::Written(map("a", 5, json!({"labels": {"team": "web"}}))),
        0,
    );
    // The watch is late: an older event of somebody else must not lead to a second write.
    bench.see(map("a", 3, json!({"data": {"x": "1"}})), 0);
    assert!(bench.work(0).is_empty());
    bench.see(map("a", 5, json!({"labels": {"team": "web"}})), 1);
    assert!(bench.work(1).is_empty());
    assert!(bench.engine.is_idle());
}

#[test]
fn nothing_is_done_before_the_kind_and_its_namespaces_are_known() {
    let mut bench = Bench {
        engine: Engine::new(EngineOptions::default()),
        effects: vec![],
        wake: None,
        managed: Value::Null,
    };
    bench.engine.load(rules(&[LABEL]), at(0));
    bench
        .engine
        .observe(Observation::ListStarted { kind: kind() }, at(0));
    bench.see(map("a", 1, json!({})), 0);
    assert!(bench.work(0).is_empty());
    bench
        .engine
        .observe(Observation::ListDone { kind: kind() }, at(0));
    assert!(bench.work(0).is_empty());
    let namespaces = GroupKind::new("", "Namespace");
    bench.engine.observe(
        Observation::Lost {
            kind: namespaces,
            why: crate::engine::Lost::Forbidden("no".into()),
        },
        at(0),
    );
    assert_eq!(bench.work(0).len(), 1);
}

#[test]
fn a_deletion_right_after_the_write_ends_the_waiting() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
    let (id, _) = one(bench.work(0));
    bench.engine.observe(
        Observation::Deleted {
            key: key("a"),
            resource_version: Some("6".into()),
        },
        at(0),
    );
    bench.answer(
        id,
        Outcome::Written(map("a", 5, json!({"labels": {"team": "web"}}))),
        0,
    );
    assert!(bench.work(0).is_empty());
    assert!(bench.engine.is_idle());
    // Created anew under the same name: it is an object of its own.
    bench.see(map("a", 9, json!({})), 1);
    assert_eq!(bench.work(1).len(), 1);
}

#[test]
fn a_list_that_skips_the_version_ends_the_waiting() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
    let (id, _) = one(bench.work(0));
    bench.answer(
        id,
        Outcome::Written(map("a", 5, json!({"labels": {"team": "web"}}))),
        0,
    );
    bench.list(
        vec![map(
            "a",
            8,
            json!({"labels": {"team": "web"}, "data": {"x": "1"}}),
        )],
        1,
    );
    assert!(bench.work(1).is_empty());
    assert!(bench.engine.is_idle());
}

#[test]
fn a_watch_that_never_shows_the_write_is_asked_directly() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
    let (id, _) = one(bench.work(0));
    bench.answer(
        id,
        Outcome::Written(map("a", 5, json!({"labels": {"team": "web"}}))),
        0,
    );
    assert!(bench.work(29).is_empty());
    assert_eq!(bench.wake, Some(at(30)));
    assert!(bench.work(30).is_empty());
    let read = bench.effects.iter().find_map(|e| match e {
        Effect::Read(id, key) => Some((*id, key.clone())),
        _ => None,
    });
    let (id, asked) = read.unwrap();
    assert_eq!(asked, key("a"));
    bench.answer(
        id,
        Outcome::Read(map("a", 5, json!({"labels": {"team": "web"}}))),
        30,
    );
    assert!(bench.work(30).is_empty());
    assert!(bench.engine.is_idle());
}

#[test]
fn a_stale_decision_is_made_again_from_the_newer_object() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Failed(Fault::Stale), 0);
    assert!(bench.work(0).is_empty());
    bench.see(map("a", 2, json!({"data": {"x": "1"}})), 0);
    let (_, write) = one(bench.work(0));
    assert_eq!(write.resource_version, "2");
}

#[test]
fn a_refusal_is_one_finding_and_no_retry_until_the_object_changes() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
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
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
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
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
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
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
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

/// Somebody sets the label back again and again: how many writes were made until a breaker opened.
fn fight(bench: &mut Bench, pause: i64) -> usize {
    let (mut made, mut version) = (0, 1);
    for now in (0..20).map(|n| n * pause) {
        for (id, _) in bench.work(now) {
            made += 1;
            bench.answer(
                id,
                Outcome::Written(map("a", version + 1, json!({"labels": {"team": "web"}}))),
                now,
            );
            bench.see(
                map("a", version + 1, json!({"labels": {"team": "web"}})),
                now,
            );
        }
        version += 2;
        bench.see(map("a", version, json!({"labels": {"team": "other"}})), now);
    }
    bench.work(20 * pause);
    made
}

fn messages(bench: &Bench, reason: Reason) -> Vec<String> {
    let found = bench.engine.findings().filter(|f| f.reason == reason);
    found.map(|f| f.message.clone()).collect()
}

#[test]
fn somebody_who_fights_back_trips_the_breaker_and_is_named() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
    bench.managed = json!([{"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}}}]);
    assert_eq!(fight(&mut bench, 1), 5);
    assert_eq!(
        messages(&bench, Reason::BreakerOpen),
        [
            "changed more than 5 times in 10m: `kubectl-edit` writes the same fields ($.metadata.labels.team); the rule leaves this object alone until it is acknowledged or changed"
        ]
    );
    assert!(bench.engine.acknowledge("r0", at(20)));
    assert_eq!(bench.work(20).len(), 1);
}

#[test]
fn somebody_who_fights_back_slowly_trips_it_too() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({"labels": {"team": "other"}}))],
    );
    // Every ten minutes, as controllers do that set everything back to what is in a repository.
    assert_eq!(fight(&mut bench, 601), 6);
    assert_eq!(
        messages(&bench, Reason::BreakerOpen),
        [
            "changed back more than 5 times in 1h: something else writes the same fields ($.metadata.labels.team); the rule leaves this object alone until it is acknowledged or changed"
        ]
    );
    assert!(bench.engine.is_idle());
}

#[test]
fn a_breaker_that_opens_for_one_rule_leaves_the_others_their_part() {
    let other = "  actions:\n  - patch:\n    - {path: $.metadata.labels.other, set: x}\n  limits: {perObject: {changes: 50, per: 10m}}\n";
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL, other]),
        vec![map("a", 1, json!({}))],
    );
    let made = fight(&mut bench, 1);
    assert!(made > 10, "{made}");
    assert_eq!(bench.found(Reason::BreakerOpen), 1);
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
fn a_reload_looks_only_at_what_it_can_concern() {
    let records = (0..10)
        .map(|n| {
            map(
                &n.to_string(),
                n + 1,
                json!({"labels": {"n": n.to_string()}}),
            )
        })
        .collect();
    let warn = |value: &str| {
        format!(
            "    selector: {{matchLabels: {{n: '3'}}}}\n  where:\n  - {{path: $.data.x, value: {value}}}\n  actions:\n  - warn: {{message: found}}\n"
        )
    };
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[&warn("a"), "  actions:\n  - warn: {message: always}\n"]),
        records,
    );
    bench.work(0);
    assert_eq!(bench.engine.evaluations(), 10);
    assert_eq!(bench.found(Reason::Warning), 10);
    bench.engine.load(
        rules(&[&warn("b"), "  actions:\n  - warn: {message: always}\n"]),
        at(1),
    );
    bench.work(1);
    assert_eq!(bench.engine.evaluations(), 11);
    assert_eq!(
        bench
            .engine
            .status(at(1))
            .rules
            .iter()
            .map(|r| r.in_scope)
            .collect::<Vec<_>>(),
        [1, 10]
    );
    bench.engine.load(rules(&[&warn("b")]), at(2));
    bench.work(2);
    assert_eq!(bench.found(Reason::Warning), 0);
}

#[test]
fn a_hundred_thousand_ages_wake_nobody_before_the_first_is_due() {
    let age = "  where:\n  - {path: $.metadata.creationTimestamp, as: age, operator: AtLeast, value: 1h}\n  actions:\n  - warn: {message: old}\n";
    let created = |n: i64| at(n / 100).to_string();
    let records = (0..100_000)
        .map(|n| {
            map(
                &n.to_string(),
                n as u64 + 1,
                json!({"creationTimestamp": created(n)}),
            )
        })
        .collect();
    let mut bench = Bench::new(EngineOptions::default(), rules(&[age]), records);
    bench.work(0);
    assert_eq!(
        (bench.engine.evaluations(), bench.wake),
        (100_000, Some(at(3600)))
    );
    bench.work(3599);
    assert_eq!(bench.engine.evaluations(), 100_000);
    bench.work(3600);
    assert_eq!(
        (bench.engine.evaluations(), bench.found(Reason::Warning)),
        (100_100, 100)
    );
}

#[test]
fn what_goes_during_a_gap_is_gone_after_it() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&["  actions:\n  - warn: {message: here}\n"]),
        vec![map("a", 1, json!({})), map("b", 2, json!({}))],
    );
    bench.work(0);
    assert_eq!(bench.found(Reason::Warning), 2);
    bench.list(vec![map("b", 2, json!({}))], 1);
    bench.work(1);
    assert_eq!(bench.found(Reason::Warning), 1);
    assert_eq!(bench.engine.status(at(1)).rules[0].in_scope, 1);
}

fn secret_kind() -> GroupKind {
    GroupKind::new("", "Secret")
}

fn rule(name: &str, body: &str) -> Arc<RuleSet> {
    let file = SourceFile {
        name: "r.yaml".into(),
        bytes: format!("apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  mode: Enforce\n{body}").into_bytes(),
    };
    let compiled = compile(&[file], &Schema::bundled());
    assert!(compiled.problems.is_empty(), "{}", compiled.problems[0]);
    Arc::new(RuleSet::new(compiled.rules, Schema::bundled()))
}

const TWO_KINDS: &str = "  match:\n    resources: [{apiVersion: v1, kind: ConfigMap}, {apiVersion: v1, kind: Secret}]\n";

#[test]
fn a_rule_waits_for_all_its_kinds_and_a_lost_one_stops_it() {
    let set = rule("two", &format!("{TWO_KINDS}{LABEL}"));
    let mut bench = Bench::new(EngineOptions::default(), set, vec![map("a", 1, json!({}))]);
    assert!(bench.work(0).is_empty(), "Secrets are not known");
    assert!(
        bench
            .effects
            .iter()
            .all(|e| !matches!(e, Effect::Report(Report::WouldChange(_)))),
        "nor is anything said"
    );
    let kind = secret_kind();
    bench
        .engine
        .observe(Observation::ListStarted { kind: kind.clone() }, at(1));
    bench
        .engine
        .observe(Observation::ListDone { kind: kind.clone() }, at(1));
    let (id, _) = one(bench.work(1));
    let done = map("a", 5, json!({"labels": {"team": "web"}}));
    bench.answer(id, Outcome::Written(done.clone()), 1);
    bench.see(done, 1);
    let why = crate::engine::Lost::Forbidden("list secrets".into());
    bench.engine.observe(
        Observation::Lost {
            kind: kind.clone(),
            why,
        },
        at(2),
    );
    bench.see(map("b", 6, json!({})), 2);
    assert!(bench.work(2).is_empty(), "Secrets may not be seen any more");
    let found = bench.effects.iter().any(|e| matches!(e, Effect::Report(Report::Finding(f)) if f.reason == Reason::Forbidden && f.object.to_string() == "Secret/*"));
    assert!(found);
    assert_eq!(bench.engine.status(at(2)).rules[0].state, "waiting");
    bench
        .engine
        .observe(Observation::ListStarted { kind: kind.clone() }, at(3));
    bench
        .engine
        .observe(Observation::ListDone { kind: kind.clone() }, at(3));
    assert_eq!(bench.work(3).len(), 1);
    let ended = bench.effects.iter().any(
        |e| matches!(e, Effect::Report(Report::FindingEnded(f)) if f.reason == Reason::Forbidden),
    );
    assert!(ended);
}

#[test]
fn a_kind_that_does_not_exist_has_no_objects_and_holds_nobody_up() {
    let set = rule("two", &format!("{TWO_KINDS}{LABEL}"));
    let mut bench = Bench::new(EngineOptions::default(), set, vec![map("a", 1, json!({}))]);
    let why = crate::engine::Lost::NoSuchKind;
    bench.engine.observe(
        Observation::Lost {
            kind: secret_kind(),
            why,
        },
        at(0),
    );
    assert_eq!(bench.work(0).len(), 1);
    let why = crate::engine::Lost::NoSuchKind;
    bench
        .engine
        .observe(Observation::Lost { kind: kind(), why }, at(1));
    assert_eq!(
        bench.engine.store().kind(&kind()).unwrap().len(),
        0,
        "they went with their kind"
    );
}

#[test]
fn a_list_anew_is_looked_at_as_a_whole_before_anything_is_deleted() {
    let mut bench = Bench::new(EngineOptions::default(), rules(&[DELETE]), vec![]);
    assert!(bench.work(0).is_empty());
    let old = |n: u64| map(&n.to_string(), n + 1, json!({"data": {"old": "yes"}}));
    bench
        .engine
        .observe(Observation::ListStarted { kind: kind() }, at(1));
    for n in 0..15 {
        bench.see(old(n), 1);
    }
    assert!(bench.work(1).is_empty(), "the list is not complete");
    for n in 15..30 {
        bench.see(old(n), 1);
    }
    bench
        .engine
        .observe(Observation::ListDone { kind: kind() }, at(1));
    assert!(bench.work(1).is_empty(), "30 are more than 20");
    assert_eq!(bench.found(Reason::Aborted), 30);
}

const LABEL_TWO: &str = "  actions:\n  - patch:\n    - {path: $.metadata.labels.cost, set: low}\n";

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
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
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
fn another_object_of_the_same_name_has_no_past() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Failed(Fault::Refused("no".into())), 0);
    assert!(bench.work(0).is_empty());
    let mut other = map("a", 2, json!({})).to_value();
    other["metadata"]["uid"] = "other".into();
    bench.see(Record::from_value(&other), 1);
    assert_eq!(bench.found(Reason::Refused), 0);
    assert_eq!(bench.work(1).len(), 1);
}

#[test]
fn a_list_that_began_before_the_write_does_not_end_the_waiting() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
    let (id, _) = one(bench.work(0));
    bench
        .engine
        .observe(Observation::ListStarted { kind: kind() }, at(0));
    bench.see(map("a", 1, json!({})), 0);
    bench.answer(
        id,
        Outcome::Written(map("a", 5, json!({"labels": {"team": "web"}}))),
        0,
    );
    bench
        .engine
        .observe(Observation::ListDone { kind: kind() }, at(0));
    assert!(bench.work(0).is_empty(), "the list is older than the write");
    bench.see(map("a", 5, json!({"labels": {"team": "web"}})), 1);
    assert!(bench.work(1).is_empty());
    assert!(bench.engine.is_idle());
}

#[test]
fn a_rule_that_reads_more_than_metadata_waits_for_the_whole_objects() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({"labels": {"team": "web"}}))],
    );
    assert!(
        bench
            .engine
            .wanted()
            .iter()
            .any(|w| w.kind == kind() && w.metadata_only)
    );
    assert!(bench.work(0).is_empty());
    let reads_data =
        "  where:\n  - {path: $.data.keep, operator: DoesNotExist}\n  actions:\n  - delete: {}\n";
    bench.engine.load(rules(&[LABEL, reads_data]), at(1));
    assert!(bench.work(1).is_empty(), "the data was not followed so far");
    let whole = map(
        "a",
        1,
        json!({"labels": {"team": "web"}, "data": {"keep": "yes"}}),
    );
    bench.list(vec![whole], 2);
    assert!(bench.work(2).is_empty());
}

#[test]
fn the_clock_may_go_back() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
    let (id, _) = one(bench.work(86_400));
    bench.answer(id, Outcome::Failed(Fault::Unreachable("x".into())), 86_400);
    assert!(bench.work(86_400).is_empty(), "it is a pause");
    // Two days back: the pause does not last until then.
    let (id, _) = one(bench.work(-86_400));
    bench.engine.status(at(-86_400));
    bench.answer(id, Outcome::Failed(Fault::Unreachable("x".into())), -86_400);
    assert_eq!(bench.work(-86_390).len(), 1);
}

/// One rule of another kind.
fn rule_of(name: &str, api_version: &str, kind: &str, body: &str) -> SourceFile {
    SourceFile {
        name: format!("{name}.yaml").into(),
        bytes: format!("apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  mode: Enforce\n  match:\n    resources: [{{apiVersion: {api_version}, kind: {kind}}}]\n{body}").into_bytes(),
    }
}

fn set_of(files: &[SourceFile]) -> Arc<RuleSet> {
    let compiled = compile(files, &Schema::bundled());
    assert!(compiled.problems.is_empty(), "{}", compiled.problems[0]);
    Arc::new(RuleSet::new(compiled.rules, Schema::bundled()))
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
fn a_kind_that_no_rule_is_about_any_more_leaves_nothing() {
    let warn = "  where:\n  - {path: $.metadata.creationTimestamp, as: age, operator: LessThan, value: 7d}\n  actions:\n  - warn: {message: found}\n";
    let young = json!({"creationTimestamp": "2026-01-01T00:00:00Z"});
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL, warn]),
        vec![map("a", 1, young.clone()), map("b", 2, young.clone())],
    );
    let writes = bench.work(0);
    assert_eq!((writes.len(), bench.found(Reason::Warning)), (2, 2));
    bench.see(map("b", 3, young.clone()), 1);
    let secrets = rule_of("s", "v1", "Secret", LABEL);
    bench.engine.load(set_of(&[secrets]), at(1));
    let [(first, _), (second, _)] = &writes[..] else {
        panic!("{writes:?}")
    };
    bench.answer(*first, Outcome::Written(map("a", 9, young.clone())), 1);
    let refused = Fault::Rejected("no".into());
    bench.answer(*second, Outcome::Failed(refused), 1);
    // What its watch had sent before it was stopped.
    bench.list(vec![map("c", 4, young)], 1);
    assert!(bench.work(1).is_empty());
    let status = bench.engine.status(at(1));
    assert!(bench.engine.store().kind(&kind()).is_none());
    assert_eq!(
        (status.queue_depth, status.due, status.in_flight),
        (0, 0, 0)
    );
    assert!(status.findings.is_empty(), "{:?}", status.findings);
    assert!(bench.engine.is_idle());
    let ended = |e: &&Effect| matches!(e, Effect::Report(Report::FindingEnded(f)) if f.reason == Reason::Warning);
    assert_eq!(bench.effects.iter().filter(ended).count(), 2);
}

#[test]
fn a_failure_is_waited_out_whatever_happens_to_the_object() {
    let mut bench = Bench::new(
        EngineOptions::default(),
        rules(&[LABEL]),
        vec![map("a", 1, json!({}))],
    );
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
        let mut bench = Bench::new(
            EngineOptions::default(),
            rules(&[LABEL]),
            vec![map("a", 1, json!({}))],
        );
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

#[test]
fn no_more_reads_are_in_flight_than_workers() {
    let mut bench = Bench::new(
        EngineOptions {
            workers: 2,
            ..EngineOptions::default()
        },
        rules(&[LABEL]),
        (0..6)
            .map(|n| map(&n.to_string(), n + 1, json!({})))
            .collect(),
    );
    let shown = |name: &str| map(name, 100, json!({"labels": {"team": "web"}}));
    loop {
        let writes = bench.work(0);
        if writes.is_empty() {
            break;
        }
        for (id, write) in writes {
            bench.answer(id, Outcome::Written(shown(&write.object.name)), 0);
        }
    }
    // No watch shows any of them.
    let mut read = 0;
    loop {
        bench.work(60);
        let asked: Vec<(RequestId, ObjectKey)> = bench
            .effects
            .drain(..)
            .filter_map(|e| match e {
                Effect::Read(id, key) => Some((id, key)),
                _ => None,
            })
            .collect();
        assert!(asked.len() <= 2, "{asked:?}");
        if asked.is_empty() {
            break;
        }
        assert_eq!(bench.wake, None, "an answer comes first");
        for (id, key) in asked {
            read += 1;
            bench.answer(id, Outcome::Read(shown(&key.name)), 60);
        }
    }
    assert_eq!(read, 6);
    assert!(bench.engine.is_idle());
}

#[test]
fn objects_that_were_there_before_any_rule_hold_up_none() {
    let mut bench = Bench::new(EngineOptions::default(), rules(&[LABEL]), vec![]);
    let label = rule_of(
        "n",
        "v1",
        "Namespace",
        "    names: [other]\n  actions:\n  - patch:\n    - {path: $.metadata.labels.team, set: web}\n  limits: {abortAbove: {objects: 5}}\n",
    );
    bench.engine.load(set_of(&[label]), at(1));
    let namespaces = GroupKind::new("", "Namespace");
    bench.engine.observe(
        Observation::Applied {
            kind: namespaces,
            record: Record::from_value(
                &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other", "uid": "u", "resourceVersion": "9"}}),
            ),
        },
        at(1),
    );
    assert_eq!(bench.work(1).len(), 1);
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
