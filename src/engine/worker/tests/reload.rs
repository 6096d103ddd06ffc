//! A reload drops no work that waits, is on its way, or will be due, and gives none to whom it does not concern.

use super::*;
use crate::decide::Operation;

/// Rules by name, kind, and the rest of their `spec`.
fn set(of: &[(&str, &str, &str)]) -> Arc<RuleSet> {
    let files: Vec<SourceFile> = of
        .iter()
        .map(|(name, kind, body)| SourceFile {
            name: format!("{name}.yaml").into(),
            bytes: format!("apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  mode: Enforce\n  match:\n    resources: [{{apiVersion: v1, kind: {kind}}}]\n{body}").into_bytes(),
        })
        .collect();
    let compiled = compile(&files, &Schema::bundled());
    assert!(!compiled.has_errors(), "{}", compiled.problems[0]);
    Arc::new(RuleSet::new(compiled.rules, Schema::bundled()))
}

const TEAM: (&str, &str, &str) = ("team", "ConfigMap", LABEL);
/// About another kind.
const OTHER: (&str, &str, &str) = ("other", "Secret", LABEL);
/// About the same kind, and no object of it that there is.
const NOBODY: (&str, &str, &str) = (
    "nobody",
    "ConfigMap",
    "    names: [nobody]\n  actions:\n  - warn: {message: hear}\n",
);

fn answer_all(bench: &mut Bench, writes: Vec<(RequestId, Write)>, now: i64) {
    for (id, write) in writes {
        let Operation::Patch { .. } = &write.operation else {
            panic!("{write:?}")
        };
        let name = write.object.name.to_string();
        let right = map(&name, 1_000, json!({"labels": {"team": "web"}}));
        bench.see(right, now);
        let right = map(&name, 1_000, json!({"labels": {"team": "web"}}));
        bench.answer(id, Outcome::Written(right), now);
    }
}

#[test]
fn what_is_queued_and_on_its_way_is_done_once_whatever_is_loaded_meanwhile() {
    let options = EngineOptions {
        workers: 4,
        ..EngineOptions::default()
    };
    let maps: Vec<Record> = (0..100)
        .map(|n| map(&format!("m{n}"), 1, json!({})))
        .collect();
    let mut bench = Bench::new(options, set(&[TEAM]), maps);
    let loads = [
        &[TEAM, OTHER][..],
        &[TEAM, NOBODY],
        &[NOBODY, TEAM, OTHER],
        &[TEAM],
    ];
    let mut written = vec![];
    let mut round = 0;
    loop {
        let writes = bench.work(round);
        // While these are on their way, and the rest waits.
        bench.engine.load(set(loads[round as usize % 4]), at(round));
        assert!(bench.work(round).is_empty(), "four at once");
        if writes.is_empty() {
            break;
        }
        written.extend(writes.iter().map(|(_, w)| w.object.name.to_string()));
        answer_all(&mut bench, writes, round);
        round += 1;
    }
    written.sort();
    let mut expected: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
    expected.sort();
    assert_eq!(written, expected);
    assert!(bench.engine.is_idle());
}

#[test]
fn nobody_is_looked_at_whom_a_reload_does_not_concern() {
    let right = json!({"labels": {"team": "web"}});
    let maps: Vec<Record> = (0..50)
        .map(|n| map(&format!("m{n}"), 1, right.clone()))
        .collect();
    let mut bench = Bench::new(EngineOptions::default(), set(&[TEAM]), maps);
    assert!(bench.work(0).is_empty());
    let looked = bench.engine.evaluations();
    assert_eq!(looked, 50);
    for (step, load) in [&[TEAM, OTHER][..], &[TEAM, NOBODY], &[TEAM]]
        .iter()
        .enumerate()
    {
        bench.engine.load(set(load), at(1));
        assert!(bench.work(1).is_empty());
        assert_eq!(bench.engine.evaluations(), looked, "load {step}");
    }
    // One that concerns a single object.
    let one = (
        "one",
        "ConfigMap",
        "    names: [m7]\n  actions:\n  - warn: {message: hear}\n",
    );
    bench.engine.load(set(&[TEAM, one]), at(2));
    assert!(bench.work(2).is_empty());
    assert_eq!(bench.engine.evaluations(), looked + 1);
}

#[test]
fn what_waits_for_a_moment_or_after_a_failure_still_does_after_a_reload() {
    let aged = (
        "aged",
        "ConfigMap",
        "  where:\n  - {path: $.metadata.creationTimestamp, as: age, operator: AtLeast, value: 60s}\n  actions:\n  - patch:\n    - {path: $.metadata.labels.team, set: web}\n",
    );
    let born = json!({"creationTimestamp": at(0).to_string()});
    let mut bench = Bench::new(
        EngineOptions::default(),
        set(&[aged]),
        vec![map("a", 1, born)],
    );
    assert!(bench.work(1).is_empty());
    bench.engine.load(set(&[aged, OTHER]), at(30));
    assert!(bench.work(30).is_empty());
    assert_eq!(bench.wake, Some(at(60)));
    let (id, _) = one(bench.work(60));
    // A webhook refuses: after a pause, which a reload of something else neither ends nor forgets.
    bench.answer(id, Outcome::Failed(Fault::Rejected("no".into())), 60);
    assert!(bench.work(60).is_empty());
    let again = bench.wake.unwrap();
    assert!(again > at(60));
    bench.engine.load(set(&[aged]), at(60));
    assert!(bench.work(60).is_empty());
    assert_eq!(bench.wake, Some(again));
    let seconds = again.as_second() - at(0).as_second() + 1;
    assert_eq!(bench.work(seconds).len(), 1);
}
