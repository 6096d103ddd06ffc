//! Rules with `pick`.

use super::*;

/// The newest two stay.
const NEWEST: &str = "  pick: {orderBy: {path: $.metadata.creationTimestamp, direction: Descending}, skip: 2}\n  actions:\n  - patch:\n    - {path: $.metadata.labels.old, set: 'yes'}\n";
/// One after the other, by the number in `data`.
const IN_ORDER: &str = "  pick: {orderBy: {path: $.data.n, as: number, direction: Descending}}\n  actions:\n  - delete: {}\n";

fn born(name: &str, version: u64, minute: u32) -> Record {
    let born = format!("2026-01-01T00:{minute:02}:00Z");
    map(name, version, json!({"creationTimestamp": born}))
}

fn numbered(count: usize) -> Vec<Record> {
    let numbered = |n: usize| map(&format!("m{n}"), 1, json!({"data": {"n": n.to_string()}}));
    (0..count).map(numbered).collect()
}

fn names(writes: &[(RequestId, Write)]) -> Vec<&str> {
    let mut names: Vec<&str> = writes.iter().map(|(_, w)| &*w.object.name).collect();
    names.sort_unstable();
    names
}

fn gone(bench: &mut Bench, name: &str, now: i64) {
    let deleted = Observation::Deleted {
        key: key(name),
        resource_version: None,
    };
    bench.engine.observe(deleted, at(now));
}

#[test]
fn nothing_is_picked_before_everything_that_matches_is_known() {
    let mut bench = Bench::new(EngineOptions::default(), rules(&[NEWEST]), vec![]);
    bench
        .engine
        .observe(Observation::ListStarted { kind: kind() }, at(0));
    for n in 0..4 {
        bench.see(born(&format!("m{n}"), 1, n), 0);
        assert!(bench.work(0).is_empty());
    }
    // The newest comes last.
    bench.see(born("m9", 1, 9), 0);
    bench
        .engine
        .observe(Observation::ListDone { kind: kind() }, at(0));
    assert_eq!(names(&bench.work(0)), ["m0", "m1", "m2"]);
}

#[test]
fn a_change_looks_again_only_at_whom_it_concerns() {
    let records = (0..50).map(|n| born(&format!("m{n}"), 1, n)).collect();
    let options = EngineOptions {
        frozen: true,
        ..EngineOptions::default()
    };
    let mut bench = Bench::new(options, rules(&[NEWEST]), records);
    bench.work(0);
    let status = |bench: &Bench| bench.engine.status(at(0)).rules[0].clone();
    assert_eq!((status(&bench).in_scope, status(&bench).matched), (50, 48));
    let before = bench.engine.evaluations();
    bench.see(born("new", 1, 59), 1);
    bench.work(1);
    assert_eq!(
        bench.engine.evaluations() - before,
        2,
        "itself, and the one it pushes out"
    );
    assert_eq!(status(&bench).matched, 49);
    gone(&mut bench, "m3", 2);
    bench.work(2);
    assert_eq!(
        bench.engine.evaluations() - before,
        2,
        "an old one changes nothing"
    );
    gone(&mut bench, "new", 3);
    bench.work(3);
    assert_eq!(
        bench.engine.evaluations() - before,
        3,
        "one is among the newest again"
    );
    assert_eq!(status(&bench).matched, 47);
}

#[test]
fn deletions_come_in_the_order_of_pick() {
    let mut bench = Bench::new(EngineOptions::default(), rules(&[IN_ORDER]), numbered(12));
    for n in (0..12).rev() {
        let writes = bench.work(0);
        assert_eq!(names(&writes), [format!("m{n}")]);
        let (id, _) = one(writes);
        bench.answer(id, Outcome::Gone, 0);
        gone(&mut bench, &format!("m{n}"), 0);
    }
    assert!(bench.work(0).is_empty());
}

#[test]
fn one_that_cannot_be_deleted_lets_the_others_pass() {
    let mut bench = Bench::new(EngineOptions::default(), rules(&[IN_ORDER]), numbered(3));
    let (id, write) = one(bench.work(0));
    assert_eq!(&*write.object.name, "m2");
    let no = Fault::Refused("no".into());
    bench.answer(id, Outcome::Failed(no), 0);
    let (id, write) = one(bench.work(0));
    assert_eq!(&*write.object.name, "m1");
    // It is asked for again later, and is the first again then.
    bench.answer(id, Outcome::Failed(Fault::Rejected("not now".into())), 0);
    let (_, write) = one(bench.work(0));
    assert_eq!(&*write.object.name, "m0");
}

#[test]
fn throttled_deletions_come_in_the_order_of_pick() {
    let throttled = format!("{IN_ORDER}  limits: {{throttle: {{objects: 1, per: 1m}}}}\n");
    let mut bench = Bench::new(EngineOptions::default(), rules(&[&throttled]), numbered(9));
    for minute in 0..9 {
        let (id, write) = one(bench.work(minute * 60));
        assert_eq!(*write.object.name, *format!("m{}", 8 - minute));
        bench.answer(id, Outcome::Gone, minute * 60);
        gone(&mut bench, &format!("m{}", 8 - minute), minute * 60);
        assert!(bench.work(minute * 60 + 59).is_empty());
    }
}

#[test]
fn what_is_picked_counts_all_at_once_for_the_limits() {
    let limited = "  pick: {orderBy: {path: $.data.n, as: number}, skip: 2}\n  actions:\n  - delete: {}\n  limits: {abortAbove: {objects: 5}}\n";
    let mut bench = Bench::new(EngineOptions::default(), rules(&[limited]), numbered(7));
    assert_eq!(bench.work(0).len(), 1, "five of seven are picked");
    let mut bench = Bench::new(EngineOptions::default(), rules(&[limited]), numbered(8));
    assert!(bench.work(0).is_empty());
    assert_eq!(bench.engine.status(at(0)).rules[0].state, "aborted");
    assert!(bench.engine.acknowledge("r0", at(1)));
    let (_, write) = one(bench.work(1));
    assert_eq!(&*write.object.name, "m2");
}

/// One at a time, the highest number first; a finalizer lets each deletion take its time.
const ONE_AT_A_TIME: &str = "  pick: {orderBy: {path: $.data.n, as: number, direction: Descending}, take: 1}\n  actions:\n  - delete: {}\n";

/// As the watch shows it while its finalizer is there.
fn going(name: &str, version: u64, n: u64) -> Record {
    let marked = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["shop.example/held"], "data": {"n": n.to_string()}});
    map(name, version, marked)
}

#[test]
fn with_take_1_nothing_else_is_deleted_until_the_one_is_gone() {
    let rules = rules(&[ONE_AT_A_TIME]);
    let mut bench = Bench::new(EngineOptions::default(), rules, numbered(3));
    for n in (1..3).rev() {
        let name = format!("m{n}");
        let (id, write) = one(bench.work(0));
        assert_eq!(*write.object.name, *name);
        assert!(bench.work(0).is_empty(), "on its way");
        bench.answer(id, Outcome::Gone, 0);
        assert!(bench.work(0).is_empty(), "answered, and not seen yet");
        bench.see(going(&name, 2, n), 1);
        assert!(bench.work(1).is_empty(), "marked");
        // Somebody touches it meanwhile, and the others are looked at.
        bench.see(going(&name, 3, n), 2);
        bench.see(
            map(
                "m0",
                2 + 10 / n,
                json!({"data": {"n": "0"}, "labels": {"touched": "yes"}}),
            ),
            2,
        );
        assert!(bench.work(3_600).is_empty(), "held for long");
        gone(&mut bench, &name, 3_601);
        assert_eq!(bench.engine.status(at(3_601)).rules[0].matched, 0);
    }
    let (_, write) = one(bench.work(3_601));
    assert_eq!(&*write.object.name, "m0");
}

#[test]
fn one_that_somebody_else_deletes_counts_also_if_it_was_going_before_the_start() {
    for order in [0, 2] {
        // Of three one goes, wherever it stands.
        let mut records = numbered(3);
        records[order] = going(&format!("m{order}"), 1, order as u64);
        let mut bench = Bench::new(EngineOptions::default(), rules(&[ONE_AT_A_TIME]), records);
        assert!(bench.work(0).is_empty());
        // Nor after a reload, or when this replica leads again.
        bench.engine.load(
            rules(&[ONE_AT_A_TIME, "  actions:\n  - warn: {message: here}\n"]),
            at(1),
        );
        assert!(bench.work(1).is_empty());
        let changed = format!("  where: [{{path: $.data.n, operator: Exists}}]\n{ONE_AT_A_TIME}");
        bench.engine.load(rules(&[&changed]), at(2));
        assert!(bench.work(2).is_empty());
        bench.engine.set_standby(true, at(3));
        bench.engine.set_standby(false, at(4));
        assert!(bench.work(4).is_empty());
        gone(&mut bench, &format!("m{order}"), 5);
        let (_, write) = one(bench.work(5));
        assert_eq!(
            *write.object.name,
            *format!("m{}", if order == 2 { 1 } else { 2 })
        );
    }
}

#[test]
fn one_that_goes_and_would_not_match_holds_up_nobody() {
    let some =
        format!("  where: [{{path: $.data.n, operator: NotEquals, value: '0'}}]\n{ONE_AT_A_TIME}");
    let mut records = numbered(3);
    records[0] = going("m0", 1, 0);
    let mut bench = Bench::new(EngineOptions::default(), rules(&[&some]), records);
    let (_, write) = one(bench.work(0));
    assert_eq!(&*write.object.name, "m2");
}

#[test]
fn the_newest_that_stay_are_those_that_are_not_going() {
    let keep = NEWEST.replace(
        "patch:\n    - {path: $.metadata.labels.old, set: 'yes'}",
        "delete: {}",
    );
    let records = |count| (0..count).map(|n| born(&format!("m{n}"), 1, n)).collect();
    let mut bench = Bench::new(EngineOptions::default(), rules(&[&keep]), records(3));
    let (id, write) = one(bench.work(0));
    assert_eq!(&*write.object.name, "m0");
    bench.answer(id, Outcome::Gone, 0);
    gone(&mut bench, "m0", 0);
    // A person deletes the newest, which takes its time: the other two are the newest now, also when it is gone.
    let marked = json!({"creationTimestamp": "2026-01-01T00:02:00Z", "deletionTimestamp": "2026-01-01T00:09:00Z", "finalizers": ["a/b"]});
    bench.see(map("m2", 2, marked), 1);
    bench.see(born("m3", 1, 3), 2);
    assert!(bench.work(2).is_empty());
    gone(&mut bench, "m2", 3);
    assert!(bench.work(3).is_empty());
    // With one more the oldest of them goes.
    bench.see(born("m4", 1, 4), 4);
    let (id, write) = one(bench.work(4));
    assert_eq!(&*write.object.name, "m1");
    bench.answer(id, Outcome::Gone, 4);
    gone(&mut bench, "m1", 4);
    assert!(bench.work(4).is_empty());
}

#[test]
fn what_another_rule_has_deleted_stays_for_nobody_from_the_answer_on() {
    let keep = NEWEST.replace(
        "patch:\n    - {path: $.metadata.labels.old, set: 'yes'}",
        "delete: {}",
    );
    let bad =
        "  where: [{path: $.metadata.labels.bad, operator: Exists}]\n  actions:\n  - delete: {}\n";
    let records = (1..3).map(|n| born(&format!("m{n}"), 1, n)).collect();
    let mut bench = Bench::new(EngineOptions::default(), rules(&[&keep, bad]), records);
    assert!(bench.work(0).is_empty());
    let labelled = json!({"creationTimestamp": "2026-01-01T00:02:00Z", "labels": {"bad": "yes"}});
    bench.see(map("m2", 2, labelled), 1);
    let (id, write) = one(bench.work(1));
    assert_eq!(&*write.object.name, "m2");
    bench.answer(id, Outcome::Gone, 1);
    // The watch still shows it when a new one comes: it and m1 are the newest two.
    bench.see(born("m3", 1, 3), 1);
    assert!(bench.work(1).is_empty());
    gone(&mut bench, "m2", 2);
    assert!(bench.work(2).is_empty());
}

#[test]
fn an_explanation_names_the_one_that_is_waited_for() {
    let mut records = numbered(3);
    records[2] = going("m2", 1, 2);
    let mut bench = Bench::new(EngineOptions::default(), rules(&[ONE_AT_A_TIME]), records);
    assert!(bench.work(0).is_empty());
    let explained = bench
        .engine
        .explain("r0", "ConfigMap/shop/m1", at(0))
        .unwrap();
    assert_eq!(explained.outcome, "it matches, and `pick` leaves it out");
    assert_eq!(
        explained.in_the_way,
        [
            "pick: ConfigMap/shop/m2 of its group, being deleted, is among those that `take` counts until it is gone"
        ]
    );
}

#[test]
fn an_object_without_the_value_is_not_picked_and_told_of() {
    let mut records = numbered(2);
    records.push(map("bare", 1, json!({})));
    let mut bench = Bench::new(EngineOptions::default(), rules(&[IN_ORDER]), records);
    assert_eq!(names(&bench.work(0)), ["m1"]);
    let found: Vec<_> = bench.engine.findings().collect();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].reason, &found[0].object),
        (Reason::WrongType, &key("bare"))
    );
    assert_eq!(
        found[0].message,
        "pick: `$.data.n` of `orderBy` is not there: the object is not picked; a test with `Exists` in `where` would say that this is meant"
    );
}

#[test]
fn a_standby_ranks_anew_when_it_leads() {
    let records = (0..4).map(|n| born(&format!("m{n}"), 1, n)).collect();
    let mut bench = Bench::new(EngineOptions::default(), rules(&[NEWEST]), records);
    bench.engine.set_standby(true, at(0));
    assert!(bench.work(0).is_empty());
    bench.engine.set_standby(false, at(1));
    assert_eq!(names(&bench.work(1)), ["m0", "m1"]);
}

#[test]
fn each_is_archived_and_deleted_before_the_next_one() {
    let sink = "---\napiVersion: ordain.dev/v1alpha1\nkind: Sink\nmetadata: {name: kept}\nspec: {directory: {path: /kept}}\n";
    let order = "  pick: {orderBy: {path: $.data.n, as: number, direction: Descending}}\n";
    let rule = format!("{order}  actions: [archive: {{sink: kept}}, delete: {{}}]\n{sink}");
    let mut bench = Bench::new(EngineOptions::default(), rules(&[&rule]), numbered(3));
    let mut seen = vec![];
    while seen.len() < 6 {
        let (id, write) = one(bench.work(0));
        match &write.operation {
            crate::decide::Operation::Archive { manifest, .. } => {
                seen.push(format!(
                    "archive {}",
                    manifest["metadata"]["name"].as_str().unwrap()
                ));
                bench.answer(id, Outcome::Accepted(String::new()), 0);
            }
            _ => {
                seen.push(format!("delete {}", write.object.name));
                bench.answer(id, Outcome::Gone, 0);
                gone(&mut bench, &write.object.name, 0);
            }
        }
    }
    let expected = [
        "archive m2",
        "delete m2",
        "archive m1",
        "delete m1",
        "archive m0",
        "delete m0",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_changes_for_many_at_once_changes_for_one_after_the_other() {
    let first = "  where: [{path: $.data.go, value: 'yes'}]\n  pick: {orderBy: {path: $.data.n, as: number, direction: Descending}, take: 1}\n  actions:\n  - delete: {}\n";
    let of = |n: u64, version, go: &str| {
        map(
            &format!("m{n}"),
            version,
            json!({"data": {"n": n.to_string(), "go": go}}),
        )
    };
    let records = (0..4).map(|n| of(n, 1, "no")).collect();
    let mut bench = Bench::new(EngineOptions::default(), rules(&[first]), records);
    assert!(bench.work(0).is_empty());
    // The one that comes last of all is seen first.
    for n in 0..4 {
        bench.see(of(n, 2, "yes"), 1);
    }
    let (id, write) = one(bench.work(1));
    assert_eq!(&*write.object.name, "m3");
    bench.answer(id, Outcome::Gone, 1);
    gone(&mut bench, "m3", 1);
    // While the next one is looked at, its condition goes.
    for n in 0..3 {
        bench.see(of(n, 3, "no"), 1);
    }
    assert!(bench.work(1).is_empty());
}

#[test]
fn one_that_was_refused_has_its_turn_again_when_its_pause_is_over() {
    let take = IN_ORDER.replace("direction: Descending}", "direction: Descending}, take: 1");
    let mut bench = Bench::new(EngineOptions::default(), rules(&[&take]), numbered(3));
    let (id, write) = one(bench.work(0));
    assert_eq!(&*write.object.name, "m2");
    let refused = || Outcome::Failed(Fault::Budget("not now".into()));
    bench.answer(id, refused(), 0);
    assert!(bench.work(0).is_empty(), "nobody else has the turn");
    let wake = bench.wake.unwrap().as_second() - at(0).as_second();
    let (id, write) = one(bench.work(wake));
    assert_eq!(&*write.object.name, "m2");
    // So it is again and again.
    bench.answer(id, refused(), wake);
    assert!(bench.work(wake).is_empty());
    let wake = bench.wake.unwrap().as_second() - at(0).as_second();
    let (_, write) = one(bench.work(wake));
    assert_eq!(&*write.object.name, "m2");
}
