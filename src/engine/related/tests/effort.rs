//! How many candidates are asked: never more than there are matches and subjects.

use super::*;

const ORPHANS: &str = r#"  match: {resources: [{apiVersion: v1, kind: ConfigMap}]}
  related:
  - name: users
    resources: [{apiVersion: v1, kind: Pod}]
    where:
    - {path: "$..['configMap','configMapRef'].name", value: "${object.metadata.name}"}
    count: {value: 0}
  actions: [{warn: {message: nobody uses it}}]
"#;

const SAME_LABEL: &str = r#"  match: {resources: [{apiVersion: v1, kind: ConfigMap}]}
  related:
  - name: siblings
    resources: [{apiVersion: v1, kind: Pod}]
    namespace: "*"
    selector: {matchLabels: {app: "${object.metadata.name}"}}
    count: {operator: AtLeast, value: 1}
  actions: [{warn: {message: "${size(siblings)}"}}]
"#;

const SUBJECTS: usize = 5_000;
const CANDIDATES: usize = 20_000;
/// Half of the subjects have candidates.
const USED: usize = SUBJECTS / 2;

fn config_map(i: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": format!("m{i}")}})
}

fn user(i: usize, of: usize, label: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": format!("p{i}"), "labels": {"app": format!("m{of}"), "x": label}},
        "spec": {"volumes": [{"name": "v", "configMap": {"name": format!("m{of}")}}]}})
}

/// Candidates are asked as often as there are matches, at most: at the start, through changes of labels, deletions, lists and reloads.
#[test]
fn no_more_candidates_are_asked_than_there_are_matches_and_subjects() {
    let both = rules(&[("orphans", ORPHANS), ("same", SAME_LABEL)]);
    let mut objects =
        vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})];
    objects.extend((0..SUBJECTS).map(config_map));
    objects.extend((0..CANDIDATES).map(|i| user(i, i % USED, "a")));
    let kinds = ["Namespace", "Pod", "ConfigMap"];
    let mut bench = Bench::new(both, &kinds, objects);
    let each = (CANDIDATES / USED) as u64;
    let rules_in_force = 2;
    let start = bench.tested();
    assert!(
        start <= rules_in_force * (CANDIDATES + SUBJECTS) as u64,
        "{start}"
    );
    assert_eq!(bench.engine.evaluations(), SUBJECTS as u64);
    // A change that no list asks for concerns those that have the object in their lists.
    let (asked, looks) = bench.cost(|bench| {
        for i in 0..1_000 {
            bench.put(user(i, i % USED, "b"));
        }
    });
    assert_eq!(looks, 1_000);
    assert!(asked <= looks * each * rules_in_force, "{asked}");
    // Another subject's label and volume: the former one and the new one, nobody else.
    let (asked, looks) = bench.cost(|bench| {
        for i in 0..100 {
            bench.put(user(i, USED + i, "b"));
        }
    });
    assert_eq!(looks, 200);
    assert!(asked <= looks * each * rules_in_force, "{asked}");
    let (asked, looks) = bench.cost(|bench| {
        for i in 0..100 {
            let key = ObjectKey::new(core("Pod"), Some("shop"), &format!("p{i}"));
            bench.delete(&key);
        }
    });
    assert_eq!((asked, looks), (0, 100), "they have no members left");
    // A list that shows nothing new asks nobody.
    assert_eq!(bench.cost(Bench::relist), (0, 0));
    // A list from which ten are missing.
    let (asked, looks) = bench.cost(|bench| {
        for i in 200..210 {
            bench
                .objects
                .remove(&ObjectKey::new(core("Pod"), Some("shop"), &format!("p{i}")));
        }
        bench.relist();
    });
    assert_eq!(looks, 10);
    assert!(asked <= looks * each * rules_in_force, "{asked}");
    // Without one of the rules, and with it again: the table of the other one stays.
    let (asked, looks) = bench.cost(|bench| {
        bench.engine.load(rules(&[("orphans", ORPHANS)]), now());
    });
    assert!(looks <= SUBJECTS as u64 && asked <= (CANDIDATES + SUBJECTS) as u64);
    let (asked, looks) = bench.cost(|bench| {
        let both = rules(&[("orphans", ORPHANS), ("same", SAME_LABEL)]);
        bench.engine.load(both, now());
    });
    assert!(looks <= SUBJECTS as u64, "{looks}");
    assert!(
        asked <= rules_in_force * (CANDIDATES + SUBJECTS) as u64,
        "{asked}"
    );
    // The same rules again concern nobody.
    let (asked, looks) = bench.cost(|bench| {
        let both = rules(&[("orphans", ORPHANS), ("same", SAME_LABEL)]);
        bench.engine.load(both, now());
    });
    assert_eq!((asked, looks), (0, 0));
    // And all is as it should be.
    let status = bench.engine.status(now());
    let counts: Vec<usize> = status.rules.iter().map(|r| r.matched).collect();
    let used: BTreeSet<&str> = bench
        .objects
        .values()
        .filter_map(|record| record.meta().label("app"))
        .collect();
    assert_eq!(counts, [SUBJECTS - used.len(), used.len()]);
}

/// Lists alike share a table, whatever their rules are called.
#[test]
fn lists_of_one_shape_share_a_table() {
    let other = ORPHANS.replace(
        "count: {value: 0}",
        "count: {operator: AtLeast, value: 100}",
    );
    let (one, two) = (
        rules(&[("a", ORPHANS)]),
        rules(&[("a", ORPHANS), ("b", &other), ("c", SAME_LABEL)]),
    );
    let shapes = |rules: &RuleSet| {
        let lists = rules.rules().iter().flat_map(|rule| &rule.related);
        lists
            .map(|list| list.shape.clone().unwrap())
            .collect::<BTreeSet<_>>()
            .len()
    };
    assert_eq!((shapes(&one), shapes(&two)), (1, 2));
}
