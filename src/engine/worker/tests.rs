#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::decide::Reason;
use crate::decide::breaker::managers::ManagedFields;
use crate::engine::{Effect, Fault, Observation, Outcome};
use crate::object::Record;
use crate::rule::compile::{SourceFile, compile};
use serde_json::{Value, json};

mod after;
mod answers;
mod archives;
mod away;
mod breakers;
mod echoes;
mod events;
mod glances;
mod gone;
mod keep;
mod kinds;
mod limits;
mod looked_after;
mod namespaces;
mod picks;
mod reload;
mod restarts;
mod scales;
mod schedule;
mod sequels;
mod series;
mod standby;
mod unfinished;

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
    in_force(&files)
}

fn in_force(files: &[SourceFile]) -> Arc<RuleSet> {
    let compiled = compile(files, &Schema::bundled());
    assert!(compiled.problems.is_empty(), "{}", compiled.problems[0]);
    Arc::new(RuleSet::new(compiled.rules, Schema::bundled()))
}

/// The one rule of a whole document.
fn whole(document: &str) -> Arc<RuleSet> {
    in_force(&[SourceFile {
        name: "rule.yaml".into(),
        bytes: document.into(),
    }])
}

const LABEL: &str = "  actions:\n  - patch:\n    - {path: $.metadata.labels.team, set: web}\n";

const DELETE: &str = "  where:\n  - {path: $.data.old, value: 'yes'}\n  actions:\n  - delete: {}\n";

fn map(name: &str, version: u64, more: Value) -> Record {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": name, "uid": format!("u-{name}"), "resourceVersion": version.to_string()}});
    for (key, value) in more.as_object().unwrap() {
        match key.as_str() {
            "labels" | "creationTimestamp" | "deletionTimestamp" | "finalizers" => {
                object["metadata"][key] = value.clone()
            }
            _ => object[key] = value.clone(),
        }
    }
    Record::from_value(&object)
}

/// `a` as the rule [`LABEL`] wants it.
fn labelled(version: u64) -> Record {
    map("a", version, json!({"labels": {"team": "web"}}))
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

    /// The rule [`LABEL`] and one object, `a`, that lacks the label.
    fn labelling() -> Bench {
        let options = EngineOptions::default();
        Bench::new(options, rules(&[LABEL]), vec![map("a", 1, json!({}))])
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

fn messages(bench: &Bench, reason: Reason) -> Vec<String> {
    let found = bench.engine.findings().filter(|f| f.reason == reason);
    found.map(|f| f.message.clone()).collect()
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
fn an_expression_that_reads_now_is_looked_at_again() {
    let old = "  where:\n  - {expression: \"${now - timestamp(object.metadata.creationTimestamp) > duration('1h')}\", value: true}\n  actions:\n  - warn: {message: old}\n";
    let made = map("a", 1, json!({"creationTimestamp": at(0).to_string()}));
    // `check` warns of it.
    let compiled = compile(&[rule_of("r0", "v1", "ConfigMap", old)], &Schema::bundled());
    assert_eq!(compiled.rules.len(), 1, "{:?}", compiled.problems);
    let rules = Arc::new(RuleSet::new(compiled.rules, Schema::bundled()));
    let mut bench = Bench::new(EngineOptions::default(), rules, vec![made]);
    bench.work(0);
    for now in (0..3600).step_by(60) {
        bench.work(now);
    }
    assert_eq!(bench.found(Reason::Warning), 0);
    assert_eq!(bench.engine.evaluations(), 6, "every ten minutes");
    bench.work(4200);
    assert_eq!(bench.found(Reason::Warning), 1);
}

fn secret_kind() -> GroupKind {
    GroupKind::new("", "Secret")
}

fn rule(name: &str, body: &str) -> Arc<RuleSet> {
    whole(&format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  mode: Enforce\n{body}"
    ))
}

const TWO_KINDS: &str = "  match:\n    resources: [{apiVersion: v1, kind: ConfigMap}, {apiVersion: v1, kind: Secret}]\n";

const LABEL_TWO: &str = "  actions:\n  - patch:\n    - {path: $.metadata.labels.cost, set: low}\n";

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

#[test]
fn a_clock_that_is_only_kept_right_makes_nobody_look_again() {
    let warn = "  actions:\n  - warn: {message: hear}\n";
    let records = vec![map("a", 1, json!({})), map("b", 2, json!({}))];
    let mut bench = Bench::new(EngineOptions::default(), rules(&[warn]), records);
    bench.work(10);
    bench.work(9);
    assert_eq!(bench.engine.evaluations(), 2);
    bench.work(-600);
    assert_eq!(bench.engine.evaluations(), 4);
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
