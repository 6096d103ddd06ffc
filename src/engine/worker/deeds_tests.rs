//! Requests on other objects: who waits for whom, and what follows from each answer.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::decide::{Operation, Write};
use crate::engine::{Effect, EngineOptions, Fault, Observation, Outcome};
use crate::object::Record;
use crate::rule::compile::{SourceFile, compile};
use serde_json::{Value, json};
use std::time::Duration;

const RULE: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: r}
spec:
  mode: Enforce
  match: {resources: [{apiVersion: v1, kind: ServiceAccount}]}
  actions:
  - apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: made}, data: {a: '1'}}
  - patch: [{path: $.metadata.labels.done, set: 'yes'}]
";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn kind(kind: &str) -> GroupKind {
    GroupKind::new("", kind)
}

fn object(of: &str, name: &str, version: u64) -> Value {
    json!({"apiVersion": "v1", "kind": of, "metadata": {"namespace": "shop", "name": name, "uid": format!("u-{name}"), "resourceVersion": version.to_string()}})
}

struct Bench {
    engine: Engine,
    now: i64,
}

impl Bench {
    /// With these ServiceAccounts; no ConfigMaps.
    fn new(subjects: &[&str]) -> Bench {
        Bench::of(RULE, 32, subjects)
    }

    /// With so many requests at once.
    fn of(rule: &str, workers: usize, subjects: &[&str]) -> Bench {
        let file = SourceFile {
            name: "r.yaml".into(),
            bytes: rule.into(),
        };
        let compiled = compile(&[file], &Schema::bundled());
        assert!(compiled.problems.is_empty(), "{}", compiled.problems[0]);
        let rules = Arc::new(RuleSet::new(compiled.rules, Schema::bundled()));
        let mut engine = Engine::new(EngineOptions {
            workers,
            ..EngineOptions::default()
        });
        engine.load(rules, at(0));
        let mut bench = Bench { engine, now: 0 };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "u", "resourceVersion": "1"}});
        bench.list("Namespace", vec![namespace]);
        bench.list("ConfigMap", vec![]);
        let subjects = subjects.iter().map(|n| object("ServiceAccount", n, 2));
        bench.list("ServiceAccount", subjects.collect());
        bench
    }

    fn list(&mut self, of: &str, objects: Vec<Value>) {
        let now = at(self.now);
        self.engine
            .observe(Observation::ListStarted { kind: kind(of) }, now);
        for object in objects {
            self.see(of, &object);
        }
        self.engine
            .observe(Observation::ListDone { kind: kind(of) }, now);
    }

    fn see(&mut self, of: &str, object: &Value) {
        let observation = Observation::Applied {
            kind: kind(of),
            record: Record::from_value(object),
        };
        self.engine.observe(observation, at(self.now));
    }

    /// The requests that are made now, as `verb name`.
    fn work(&mut self) -> Vec<(RequestId, Write)> {
        let mut effects = vec![];
        loop {
            let wake = self.engine.poll(at(self.now), 100, &mut effects);
            if wake.is_none_or(|wake| wake > at(self.now)) {
                break;
            }
        }
        let writes = effects.into_iter().filter_map(|effect| match effect {
            Effect::Write(id, write) => Some((id, *write)),
            _ => None,
        });
        writes.collect()
    }

    fn only(&mut self) -> (RequestId, Write) {
        let mut writes = self.work();
        assert_eq!(writes.len(), 1, "{writes:?}");
        writes.remove(0)
    }

    fn answer(&mut self, id: RequestId, outcome: Outcome) {
        self.engine.complete(id, outcome, at(self.now));
    }

    /// What the server has after taking a manifest.
    fn taken(write: &Write, version: u64) -> Value {
        let Operation::Apply { manifest, .. } = &write.operation else {
            panic!("{write:?}");
        };
        let mut made = manifest.clone();
        made["metadata"]["uid"] = json!("u-made");
        made["metadata"]["resourceVersion"] = json!(version.to_string());
        made
    }

    fn findings(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .engine
            .findings()
            .map(|f| format!("{} {}: {}", f.reason, f.object, f.message))
            .collect();
        all.sort();
        all
    }
}

#[test]
fn the_next_step_comes_when_the_watch_shows_the_applied_object() {
    let mut bench = Bench::new(&["a"]);
    let (id, write) = bench.only();
    assert_eq!(write.object.to_string(), "ConfigMap/shop/made");
    let made = Bench::taken(&write, 5);
    bench.answer(id, Outcome::Written(Record::from_value(&made)));
    assert!(bench.work().is_empty(), "nothing before the watch shows it");
    bench.see("ConfigMap", &made);
    let (_, patch) = bench.only();
    assert_eq!(patch.object.to_string(), "ServiceAccount/shop/a");
}

#[test]
fn all_that_are_known_before_it_is_applied_are_written_down_at_once() {
    let mut bench = Bench::new(&["a", "b", "c", "d"]);
    let (id, write) = bench.only();
    let made = Bench::taken(&write, 5);
    let said = &made["metadata"]["annotations"]["state.ordain.dev/r"];
    for subject in ["u-a", "u-b", "u-c", "u-d"] {
        assert!(said.as_str().unwrap().contains(subject), "{said}");
    }
    bench.see("ConfigMap", &made);
    bench.answer(id, Outcome::Written(Record::from_value(&made)));
    let next = bench.work();
    assert_eq!(next.len(), 4, "each goes on: {next:?}");
}

#[test]
fn others_wait_for_the_answer_and_are_then_written_down_together() {
    let mut bench = Bench::new(&["a"]);
    let (id, write) = bench.only();
    let made = Bench::taken(&write, 5);
    for name in ["b", "c", "d"] {
        bench.see("ServiceAccount", &object("ServiceAccount", name, 2));
    }
    assert!(bench.work().is_empty());
    bench.see("ConfigMap", &made);
    // The first goes on with its next step; on one object there is one request at a time.
    let (_, next) = bench.only();
    assert_eq!(&*next.object.kind.kind, "ServiceAccount");
    bench.answer(id, Outcome::Written(Record::from_value(&made)));
    let (_, second) = bench.only();
    assert_eq!(second.object.to_string(), "ConfigMap/shop/made");
    let Operation::Apply {
        manifest, counts, ..
    } = &second.operation
    else {
        panic!("{second:?}");
    };
    assert!(!counts, "only who it is for has changed");
    assert_eq!(second.resource_version, "5");
    let said = &manifest["metadata"]["annotations"]["state.ordain.dev/r"];
    for subject in ["u-a", "u-b", "u-c", "u-d"] {
        assert!(said.as_str().unwrap().contains(subject), "{said}");
    }
}

#[test]
fn a_refusal_stands_until_the_object_changes_and_stops_the_list() {
    let mut bench = Bench::new(&["a"]);
    let (id, _) = bench.only();
    let conflict = Fault::OwnershipConflict("conflict with \"helm\" at .data.a".into());
    bench.answer(id, Outcome::Failed(conflict));
    assert!(bench.work().is_empty());
    assert_eq!(
        bench.findings(),
        [
            "OwnershipConflict ServiceAccount/shop/a: ConfigMap/shop/made: conflict with \"helm\" at .data.a: the field is another manager's; `force: true` would take it"
        ]
    );
    bench.see("ServiceAccount", &object("ServiceAccount", "a", 3));
    assert!(bench.work().is_empty());
    let foreign = object("ConfigMap", "made", 9);
    bench.see("ConfigMap", &foreign);
    assert!(bench.work().is_empty());
    assert!(bench.findings()[0].starts_with("NotOurs "));
    bench.engine.observe(
        Observation::Deleted {
            key: ObjectKey::new(kind("ConfigMap"), Some("shop"), "made"),
            resource_version: None,
        },
        at(bench.now),
    );
    assert_eq!(bench.work().len(), 1, "it is gone: asked again");
    assert!(bench.findings().is_empty());
}

#[test]
fn a_busy_server_and_a_missing_right_are_waited_for() {
    let mut bench = Bench::new(&["a"]);
    let (id, _) = bench.only();
    let busy = Fault::Busy {
        retry_after: Some(Duration::from_secs(7)),
        message: String::new(),
    };
    bench.answer(id, Outcome::Failed(busy));
    bench.now = 6;
    assert!(bench.work().is_empty());
    bench.now = 7;
    let (id, _) = bench.only();
    bench.answer(
        id,
        Outcome::Failed(Fault::Forbidden("may not patch".into())),
    );
    assert!(bench.work().is_empty());
    assert_eq!(
        bench.findings(),
        ["Forbidden ServiceAccount/shop/a: ConfigMap/shop/made: may not patch"]
    );
    bench.now = 127;
    assert_eq!(bench.work().len(), 1);
}

#[test]
fn after_a_lost_answer_the_object_is_read_first() {
    let mut bench = Bench::new(&["a"]);
    let (id, write) = bench.only();
    bench.answer(id, Outcome::Failed(Fault::Timeout));
    let mut effects = vec![];
    bench.engine.poll(at(bench.now), 100, &mut effects);
    let read = effects.iter().find_map(|effect| match effect {
        Effect::Read(id, key) => Some((*id, key.clone())),
        Effect::Write(..) => panic!("{effects:?}"),
        _ => None,
    });
    let (id, key) = read.unwrap();
    assert_eq!(key, write.object);
    let made = Bench::taken(&write, 5);
    bench.answer(id, Outcome::Read(Record::from_value(&made)));
    let (_, patch) = bench.only();
    assert_eq!(patch.object.to_string(), "ServiceAccount/shop/a");
}

#[test]
fn an_object_that_is_deleted_again_and_again_is_given_up() {
    let mut bench = Bench::new(&["a"]);
    let key = ObjectKey::new(kind("ConfigMap"), Some("shop"), "made");
    let mut made = 0;
    for turn in 0..20 {
        bench.now = turn * 10;
        let applied: Vec<_> = bench
            .work()
            .into_iter()
            .filter(|(_, w)| w.object == key)
            .collect();
        let Some((id, write)) = applied.into_iter().next() else {
            break;
        };
        made += 1;
        let object = Bench::taken(&write, 100 + turn as u64);
        bench.answer(id, Outcome::Written(Record::from_value(&object)));
        bench.see("ConfigMap", &object);
        bench.engine.observe(
            Observation::Deleted {
                key: key.clone(),
                resource_version: None,
            },
            at(bench.now),
        );
    }
    assert_eq!(made, 5, "five changes in ten minutes");
}

const FAN: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: r}
spec:
  mode: Enforce
  match: {resources: [{apiVersion: v1, kind: ServiceAccount}]}
  actions:
  - forEach: ${lists.range(100)}
    apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: 'made-${item}'}, data: {a: '1'}}
";

/// A hundred requests of one subject, eight at once: it is looked at a few times, not after each answer.
#[test]
fn many_requests_of_one_subject_are_made_without_looking_at_it_each_time() {
    let mut bench = Bench::of(FAN, 8, &["a"]);
    let (mut made, mut version) = (0, 10);
    loop {
        let writes = bench.work();
        if writes.is_empty() {
            break;
        }
        assert!(writes.len() <= 8, "{}", writes.len());
        for (id, write) in writes {
            made += 1;
            version += 1;
            let object = Bench::taken(&write, version);
            bench.answer(id, Outcome::Written(Record::from_value(&object)));
            bench.see("ConfigMap", &object);
        }
    }
    assert_eq!(made, 100);
    let looks = bench.engine.evaluations();
    assert!(looks <= 8, "{looks}");
    assert!(bench.engine.is_idle());
}

/// One that fails is asked for again after its pause; the others are not.
#[test]
fn of_many_requests_only_the_one_that_failed_is_made_again() {
    let mut bench = Bench::of(FAN, 8, &["a"]);
    let mut version = 10;
    let mut asked: Vec<String> = vec![];
    for _ in 0..40 {
        for (id, write) in bench.work() {
            let name = write.object.name.to_string();
            let first = !asked.contains(&name);
            asked.push(name.clone());
            if name == "made-5" && first {
                let busy = Fault::Busy {
                    retry_after: None,
                    message: "later".into(),
                };
                bench.answer(id, Outcome::Failed(busy));
                continue;
            }
            version += 1;
            let object = Bench::taken(&write, version);
            bench.answer(id, Outcome::Written(Record::from_value(&object)));
            bench.see("ConfigMap", &object);
        }
        bench.now += 1;
    }
    asked.sort();
    assert_eq!(asked.len(), 101);
    assert_eq!(asked.iter().filter(|n| *n == "made-5").count(), 2);
    assert!(bench.engine.is_idle());
}

#[test]
fn what_the_server_makes_of_a_manifest_is_not_applied_again_and_told() {
    let mut bench = Bench::new(&["a"]);
    let (id, write) = bench.only();
    let expected = write.expected.unwrap().to_value();
    let stored = |version: u64, data: &str| {
        let mut stored = expected.clone();
        stored["metadata"]["uid"] = json!("u-made");
        stored["metadata"]["resourceVersion"] = json!(version.to_string());
        stored["metadata"]["labels"] = json!({"note": version.to_string()});
        stored["data"]["a"] = json!(data);
        stored
    };
    // An admission policy has its own mind.
    let answer = stored(10, "2");
    bench.answer(id, Outcome::Written(Record::from_value(&answer)));
    bench.see("ConfigMap", &answer);
    let (id, write) = bench.only();
    assert_eq!(&*write.object.name, "a", "the next step comes");
    let mut done = object("ServiceAccount", "a", 11);
    done["metadata"]["labels"] = json!({"done": "yes"});
    bench.answer(id, Outcome::Written(Record::from_value(&done)));
    bench.see("ServiceAccount", &done);
    for version in 12..20 {
        bench.see("ConfigMap", &stored(version, "2"));
        assert!(bench.work().is_empty(), "{version}");
    }
    let told: Vec<String> = bench
        .engine
        .findings()
        .map(|f| format!("{}: {}", f.reason, f.message))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let place = "Overruled: ConfigMap/shop/made: /data/a is \"2\" and not \"1\": ";
    assert!(told[0].starts_with(place), "{told:?}");
    bench.see("ConfigMap", &stored(20, "3"));
    assert_eq!(bench.work().len(), 1, "somebody else's value");
    assert_eq!(bench.engine.findings().count(), 0);
}

#[test]
fn a_number_of_replicas_that_is_not_taken_is_asked_for_once() {
    let rule = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: r}
spec:
  mode: Enforce
  match: {resources: [{apiVersion: v1, kind: ReplicationController}]}
  actions:
  - scale: {replicas: 5}
";
    let mut bench = Bench::of(rule, 32, &[]);
    let of = |version: u64, replicas: u64| {
        let mut of = object("ReplicationController", "web", version);
        of["spec"] = json!({"replicas": replicas});
        of["status"] = json!({"observedGeneration": version});
        of
    };
    bench.list("ReplicationController", vec![of(2, 3)]);
    let (id, write) = bench.only();
    assert!(matches!(write.operation, Operation::Scale { .. }));
    // It is as it was: something lets nobody have more than three.
    bench.answer(id, Outcome::Accepted("2".into()));
    for version in 3..10 {
        bench.see("ReplicationController", &of(version, 3));
        assert!(bench.work().is_empty(), "{version}");
    }
    let told = bench.engine.findings().map(|f| f.message.clone());
    let told: Vec<String> = told.collect();
    assert!(
        told[0].starts_with("/spec/replicas is 3 and not 5: "),
        "{told:?}"
    );
    bench.see("ReplicationController", &of(10, 2));
    assert_eq!(bench.work().len(), 1);
}

/// Of a ServiceAccount and all ConfigMaps beside it; steps follow.
const OF_MANY: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: r}
spec:
  mode: Enforce
  match: {resources: [{apiVersion: v1, kind: ServiceAccount}]}
  related: [{name: maps, resources: [{apiVersion: v1, kind: ConfigMap}]}]
  actions:
";

fn labelling_targets() -> String {
    format!(
        "{OF_MANY}  - {{target: maps, patch: [{{path: $.metadata.labels.seen, set: 'yes'}}]}}\n"
    )
}

/// What the watch shows next differs in nothing that is kept of the object.
#[test]
fn a_conflict_on_a_target_is_tried_again_though_nothing_of_it_is_seen_to_change() {
    let mut bench = Bench::of(&labelling_targets(), 32, &["a"]);
    bench.see("ConfigMap", &object("ConfigMap", "map-0", 5));
    let (id, _) = bench.only();
    bench.answer(id, Outcome::Failed(Fault::Stale));
    assert!(bench.work().is_empty(), "the watch is behind");
    bench.see("ConfigMap", &object("ConfigMap", "map-0", 6));
    let (_, write) = bench.only();
    assert_eq!(write.resource_version, "6");
}

/// As the Pods of a StatefulSet are.
#[test]
fn a_target_that_is_made_anew_under_its_name_again_and_again_is_no_fight() {
    let mut bench = Bench::of(&labelling_targets(), 32, &["a"]);
    for turn in 0..10 {
        bench.now = turn * 10;
        let version = 10 * (turn as u64 + 1);
        let mut map = object("ConfigMap", "map-0", version);
        map["metadata"]["uid"] = json!(format!("u-{turn}"));
        bench.see("ConfigMap", &map);
        let (id, write) = bench.only();
        let mut stored = write.expected.unwrap().to_value();
        stored["metadata"]["resourceVersion"] = json!((version + 1).to_string());
        bench.answer(id, Outcome::Written(Record::from_value(&stored)));
        bench.see("ConfigMap", &stored);
        assert!(bench.work().is_empty());
        bench.engine.observe(
            Observation::Deleted {
                key: write.object,
                resource_version: None,
            },
            at(bench.now),
        );
        assert!(bench.work().is_empty());
    }
    assert!(bench.findings().is_empty(), "{:?}", bench.findings());
}

/// So many ConfigMaps.
fn see_maps(bench: &mut Bench, count: usize) {
    let maps = (0..count).map(|n| object("ConfigMap", &format!("m{n}"), 3));
    bench.list("ConfigMap", maps.collect());
}

/// Answers all that is asked well; which are the requests.
fn done(bench: &mut Bench) -> Vec<Write> {
    let mut all = vec![];
    loop {
        let writes = bench.work();
        if writes.is_empty() {
            return all;
        }
        for (id, write) in writes {
            bench.answer(id, Outcome::Accepted(String::new()));
            all.push(write);
        }
    }
}

#[test]
fn a_step_that_acts_once_does_so_for_as_many_as_are_remembered() {
    use crate::decide::{MOST, SPARE};
    for step in ["event", "once: {key: k}, event"] {
        let rule = format!("{OF_MANY}  - {{target: maps, {step}: {{reason: Seen, message: m}}}}\n");
        let mut bench = Bench::of(&rule, 10_000, &["a"]);
        see_maps(&mut bench, MOST + 10);
        assert_eq!(done(&mut bench).len(), MOST);
        let findings = bench.findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].starts_with("NotRemembered ServiceAccount/shop/a: `event` acts once"));
        bench.now += 3_600;
        bench.see("ServiceAccount", &object("ServiceAccount", "a", 4));
        assert_eq!(done(&mut bench).len(), 0, "nobody is forgotten for another");
        // Some go: there is room for those that were left out.
        see_maps(&mut bench, 5);
        assert_eq!(done(&mut bench).len(), 0);
        assert_eq!(bench.findings(), [""; 0]);
        let remembered = |bench: &Bench| bench.engine.states[0].matches.bytes();
        assert!(
            remembered(&bench) < (5 + SPARE) * 200,
            "{}",
            remembered(&bench)
        );
        see_maps(&mut bench, MOST);
        let again = MOST - 5 - SPARE;
        assert_eq!(
            done(&mut bench).len(),
            again,
            "the last that went are remembered"
        );
    }
}

#[test]
fn what_was_archived_of_those_that_are_gone_is_forgotten() {
    let sink = "---\napiVersion: ordain.dev/v1alpha1\nkind: Sink\nmetadata: {name: kept}\nspec: {directory: {path: /tmp/none}}\n";
    let rule = format!(
        "{OF_MANY}  - {{target: maps, archive: {{sink: kept}}}}\n  - {{target: maps, delete: {{}}}}\n  limits: {{abortAbove: {{objects: 10000}}}}\n{sink}"
    );
    let mut bench = Bench::of(&rule, 10_000, &["a"]);
    for round in 0..4 {
        let name = |n: usize| format!("m{round}-{n}");
        let maps = (0..400).map(|n| object("ConfigMap", &name(n), 3));
        bench.list("ConfigMap", maps.collect());
        let writes = bench.work();
        assert_eq!(writes.len(), 400, "{:?}", bench.findings());
        for (id, _) in writes {
            bench.answer(id, Outcome::Accepted(String::new()));
        }
        let deletes = bench.work();
        assert_eq!(deletes.len(), 400, "{:?}", bench.findings());
        for (id, _) in deletes {
            bench.answer(id, Outcome::Gone);
        }
        bench.list("ConfigMap", vec![]);
        assert_eq!(done(&mut bench).len(), 0);
    }
    let mut kept = bench.engine.states[0]
        .matches
        .kept(crate::state::Slots::ALL);
    let (_, of_subject) = kept.next().unwrap();
    assert_eq!(of_subject.archived.len(), crate::decide::SPARE);
    assert_eq!(of_subject.done.len(), crate::decide::SPARE);
}
