//! What a rule waits for: its kinds and their Namespaces known, and known whole.

use super::*;
use crate::engine::Lost;
use crate::rule::related::{Keys, Probe};

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
fn a_rule_all_of_whose_kinds_are_not_there_is_shown_to_wait() {
    let set = rule("two", &format!("{TWO_KINDS}{LABEL}"));
    let mut bench = Bench::new(EngineOptions::default(), set, vec![]);
    let state = |bench: &Bench| bench.engine.status(at(0)).rules[0].state;
    let gone = |bench: &mut Bench, kind: GroupKind| {
        let why = Lost::NoSuchKind;
        bench.engine.observe(Observation::Lost { kind, why }, at(0));
        bench.work(0);
    };
    gone(&mut bench, secret_kind());
    assert_eq!(state(&bench), "active", "ConfigMaps are there");
    gone(&mut bench, kind());
    assert_eq!(state(&bench), "waiting");
    bench.list(vec![], 0);
    assert_eq!(state(&bench), "active");
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
    let done = labelled(5);
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
fn a_finding_with_other_words_comes_when_the_former_has_ended() {
    let set = rule("two", &format!("{TWO_KINDS}{LABEL}"));
    let mut bench = Bench::new(EngineOptions::default(), set, vec![map("a", 1, json!({}))]);
    for why in ["list secrets", "watch secrets"] {
        let why = crate::engine::Lost::Forbidden(why.into());
        let kind = secret_kind();
        bench.engine.observe(Observation::Lost { kind, why }, at(1));
        bench.work(1);
    }
    let told = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Report(Report::Finding(f)) => Some((true, f.message.contains("watch secrets"))),
        Effect::Report(Report::FindingEnded(f)) => {
            Some((false, f.message.contains("watch secrets")))
        }
        _ => None,
    });
    let told: Vec<(bool, bool)> = told.collect();
    assert_eq!(told, [(true, false), (false, false), (true, true)]);
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

/// Deletes the ConfigMaps that no Secret uses.
const UNUSED: &str = "  match:
    resources: [{apiVersion: v1, kind: ConfigMap}]
  related:
  - name: users
    resources: [{apiVersion: v1, kind: Secret}]
    selector: {matchLabels: {uses: '${object.metadata.name}'}}
    count: {value: 0}
  actions:
  - delete: {}
  limits: {abortAbove: {objects: 20}}
";

fn listed(bench: &mut Bench, secrets: &[Record], now: i64) {
    let kind = secret_kind;
    let started = Observation::ListStarted { kind: kind() };
    bench.engine.observe(started, at(now));
    for record in secrets {
        let (kind, record) = (kind(), record.clone());
        let seen = Observation::Applied { kind, record };
        bench.engine.observe(seen, at(now));
    }
    let done = Observation::ListDone { kind: kind() };
    bench.engine.observe(done, at(now));
}

fn lost(bench: &mut Bench, why: Lost, now: i64) {
    let kind = secret_kind();
    bench
        .engine
        .observe(Observation::Lost { kind, why }, at(now));
}

/// Asks for the list of the rule [`UNUSED`] itself, whether the rule is ready or not.
fn users(bench: &Bench) -> Result<usize, String> {
    let rule = &bench.engine.rules.rules()[0];
    let everywhere = Probe {
        namespace: None,
        keys: Keys::new(),
        each: false,
    };
    let members = bench.engine.candidates(rule, 0, &everywhere)?;
    Ok(members.len())
}

#[test]
fn nobody_is_taken_for_unused_while_it_is_not_known_who_uses_it() {
    let unknown = [
        None,
        Some(Lost::NoSuchKind),
        Some(Lost::Forbidden("no".into())),
        Some(Lost::Unreachable("no".into())),
    ];
    for why in unknown {
        let records = vec![map("a", 1, json!({}))];
        let options = EngineOptions::default();
        let mut bench = Bench::new(options, rule("unused", UNUSED), records);
        match why.clone() {
            Some(why) => lost(&mut bench, why, 0),
            // It has begun, and nobody knows what is still to come.
            None => {
                let kind = secret_kind();
                let started = Observation::ListStarted { kind };
                bench.engine.observe(started, at(0));
            }
        }
        assert!(bench.work(0).is_empty(), "{why:?}");
        bench.see(map("b", 2, json!({})), 1);
        assert!(bench.work(1).is_empty(), "{why:?}");
        assert_eq!(bench.engine.status(at(1)).rules[0].state, "waiting");
        assert!(users(&bench).is_err(), "{why:?}");
        let told = messages(&bench, Reason::Waiting).concat()
            + &messages(&bench, Reason::Forbidden).concat();
        assert_eq!(told.contains("Secret"), why.is_some(), "{told}");
        // There are none, and that is known.
        listed(&mut bench, &[], 2);
        assert_eq!(users(&bench), Ok(0));
        assert_eq!(bench.work(2).len(), 2, "{why:?}");
    }
}

#[test]
fn what_went_with_its_kind_proves_nothing() {
    let options = EngineOptions::default();
    let records = vec![map("a", 1, json!({}))];
    let mut bench = Bench::new(options, rule("unused", UNUSED), records);
    let user = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"namespace": "shop", "name": "one", "uid": "u-one", "resourceVersion": "2", "labels": {"uses": "a"}}});
    let user = Record::from_value(&user);
    listed(&mut bench, std::slice::from_ref(&user), 0);
    assert!(bench.work(0).is_empty(), "it is used");
    lost(&mut bench, Lost::NoSuchKind, 1);
    bench.see(map("b", 3, json!({})), 1);
    assert!(bench.work(1).is_empty());
    assert_eq!(bench.engine.status(at(1)).rules[0].state, "waiting");
    // It is there again, and so is the one.
    listed(&mut bench, &[user], 2);
    let (_, write) = one(bench.work(2));
    assert_eq!(write.object, key("b"));
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
