//! What is written down on an object in the request that changes it: a daemon that is killed before it could keep anything else does nothing twice.

use jiff::Timestamp;
use ordain::decide::{Act, LastAct, Note};
use ordain::engine::EngineOptions;
use ordain::engine::memory::{Matches, Uid};
use ordain::manifests::{Simulation, World};
use ordain::object::{GroupKind, ObjectKey};
use ordain::rule::compile::{SourceFile, compile};
use ordain::rule::set::RuleSet;
use ordain::schema::Schema;
use serde_json::{Value, json};
use std::sync::Arc;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn set(rest: &str) -> Arc<RuleSet> {
    compiled(format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: again}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: apps/v1, kind: Deployment}}]
{rest}"
    ))
}

fn compiled(text: String) -> Arc<RuleSet> {
    let file = SourceFile {
        name: "r.yaml".into(),
        bytes: text.into_bytes(),
    };
    let compiled = compile(&[file], &Schema::bundled());
    let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Arc::new(RuleSet::new(compiled.rules, Schema::bundled()))
}

fn web(annotations: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}},
    })
}

fn object(world: &World) -> Value {
    let kind = GroupKind::new("apps", "Deployment");
    world
        .get(&ObjectKey::new(kind, Some("shop"), "web"))
        .unwrap()
        .to_value()
}

fn restarted_at(world: &World) -> Option<String> {
    let at = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    object(world)
        .pointer(at)
        .map(|at| at.as_str().unwrap().to_owned())
}

/// A daemon that knows nothing but what the cluster shows.
fn daemon(world: World, rules: &Arc<RuleSet>, from: &str) -> Simulation {
    let (options, rules) = (EngineOptions::default(), Arc::clone(rules));
    Simulation::new(options, rules, world, at(from))
}

/// What the cluster shows at a moment, and all that follows at once from it.
fn put(simulation: &mut Simulation, object: &Value, when: &str) {
    simulation.world_mut().put(object, at(when));
    simulation.settle(&mut |_| {}).unwrap();
}

/// Lets time pass.
fn until(simulation: &mut Simulation, when: &str) {
    simulation.advance(at(when), &mut |_| {}).unwrap();
}

/// A whole life of such a daemon: the requests that it makes, and the cluster afterwards.
fn life(world: World, rules: &Arc<RuleSet>, from: &str, to: &str) -> (u64, World) {
    let mut simulation = daemon(world, rules, from);
    simulation.settle(&mut |_| {}).unwrap();
    until(&mut simulation, to);
    (simulation.writes(), simulation.into_world())
}

const ASKED: &str =
    "  where: [{path: \"$.metadata.annotations['shop.example/restart']\", operator: Exists}]\n";

#[test]
fn a_workload_is_not_restarted_again_by_a_daemon_that_was_killed() {
    let rules = set(&format!("{ASKED}  actions: [restart: {{}}]\n"));
    let mut world = World::new(Schema::bundled());
    let asks = || web(json!({"shop.example/restart": "a"}));
    world.put(&asks(), at("2026-01-01T00:00:00Z"));
    let (writes, world) = life(
        world,
        &rules,
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:10:00Z",
    );
    assert_eq!(writes, 1);
    let first = restarted_at(&world);
    assert_eq!(first.as_deref(), Some("2026-01-01T00:00:00Z"));
    let said = object(&world)["metadata"]["annotations"]["state.ordain.dev/again"].clone();
    let said: Value = serde_json::from_str(said.as_str().unwrap()).unwrap();
    assert_eq!(said["once"]["restart"]["nth"], 0, "{said}");
    let (writes, world) = life(
        world,
        &rules,
        "2026-01-01T00:20:00Z",
        "2026-01-01T00:30:00Z",
    );
    assert_eq!((writes, restarted_at(&world)), (0, first));
    // The match ends while a daemon looks, and it is killed then: the next match is another one.
    let mut ended = object(&world);
    let annotations = ended["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.shift_remove("shop.example/restart");
    let mut simulation = daemon(world, &rules, "2026-01-01T01:00:00Z");
    simulation.settle(&mut |_| {}).unwrap();
    put(&mut simulation, &ended, "2026-01-01T01:00:00Z");
    let mut begins = object(simulation.world());
    begins["metadata"]["annotations"]["shop.example/restart"] = json!("b");
    put(&mut simulation, &begins, "2026-01-01T01:00:00Z");
    until(&mut simulation, "2026-01-01T01:00:10Z");
    assert_eq!(simulation.writes(), 1);
    let world = simulation.into_world();
    let second = restarted_at(&world);
    assert_eq!(second.as_deref(), Some("2026-01-01T01:00:00Z"));
    let (writes, world) = life(
        world,
        &rules,
        "2026-01-01T02:00:00Z",
        "2026-01-01T02:10:00Z",
    );
    assert_eq!((writes, restarted_at(&world)), (0, second));
}

#[test]
fn a_restart_each_night_comes_once_a_night_whoever_is_killed() {
    let rules = set("  schedule: [{cron: '0 3 * * *'}]\n  actions: [restart: {}]\n");
    let mut world = World::new(Schema::bundled());
    world.put(&web(json!({})), at("2026-01-01T00:00:00Z"));
    let (writes, world) = life(
        world,
        &rules,
        "2026-01-01T02:00:00Z",
        "2026-01-01T03:00:00Z",
    );
    assert_eq!(writes, 1);
    // Another daemon that begins in this very moment.
    let (writes, world) = life(
        world,
        &rules,
        "2026-01-01T03:00:00Z",
        "2026-01-01T03:10:00Z",
    );
    assert_eq!(writes, 0);
    let (writes, world) = life(
        world,
        &rules,
        "2026-01-02T02:00:00Z",
        "2026-01-02T04:00:00Z",
    );
    assert_eq!(writes, 1);
    assert_eq!(
        restarted_at(&world).as_deref(),
        Some("2026-01-02T03:00:00Z")
    );
}

#[test]
fn a_restart_with_a_key_comes_when_that_changes() {
    let rules = set("  actions:
  - restart: {}
    once: {key: \"${object.metadata.annotations['shop.example/version']}\", firstSeen: Record}
");
    let mut world = World::new(Schema::bundled());
    world.put(
        &web(json!({"shop.example/version": "1"})),
        at("2026-01-01T00:00:00Z"),
    );
    let mut simulation = daemon(world, &rules, "2026-01-01T00:00:00Z");
    simulation.settle(&mut |_| {}).unwrap();
    assert_eq!(
        simulation.writes(),
        0,
        "never because the daemon has started"
    );
    for (version, writes) in [("2", 1), ("2", 1), ("3", 2)] {
        let mut next = object(simulation.world());
        next["metadata"]["annotations"]["shop.example/version"] = json!(version);
        let now = simulation.now();
        simulation.world_mut().put(&next, now);
        simulation.settle(&mut |_| {}).unwrap();
        let later = simulation.now() + jiff::SignedDuration::from_mins(1);
        simulation.advance(later, &mut |_| {}).unwrap();
        assert_eq!(simulation.writes(), writes, "version {version}");
    }
    let world = simulation.into_world();
    let (writes, _) = life(
        world,
        &rules,
        "2026-01-02T00:00:00Z",
        "2026-01-02T00:10:00Z",
    );
    assert_eq!(writes, 0);
}

/// Restarts what belongs to a ConfigMap when its content changes.
const MEMBERS: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: again}
spec:
  mode: Enforce
  match:
    resources: [{apiVersion: v1, kind: ConfigMap}]
  related:
  - name: users
    resources: [{apiVersion: apps/v1, kind: Deployment}]
    selector: {matchLabels: {config: \"${object.metadata.name}\"}}
  actions:
  - target: users
    restart: {}
    once: {key: \"${hash(object.data)}\", firstSeen: Record}
";

#[test]
fn a_member_is_not_restarted_again_by_a_daemon_that_was_killed() {
    let rules = compiled(MEMBERS.to_owned());
    let settings = |content: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": "shop"},
            "data": {"content": content},
        })
    };
    let mut user = web(json!({}));
    user["metadata"]["labels"] = json!({"config": "settings"});
    let mut world = World::new(Schema::bundled());
    world.put(&user, at("2026-01-01T00:00:00Z"));
    world.put(&settings("a"), at("2026-01-01T00:00:00Z"));
    let mut simulation = daemon(world, &rules, "2026-01-01T00:00:00Z");
    simulation.settle(&mut |_| {}).unwrap();
    assert_eq!(
        simulation.writes(),
        0,
        "never because the daemon has started"
    );
    let kept = simulation.kept();
    put(&mut simulation, &settings("b"), "2026-01-01T00:00:00Z");
    until(&mut simulation, "2026-01-01T00:10:00Z");
    assert_eq!(simulation.writes(), 1);
    let world = simulation.into_world();
    let first = restarted_at(&world);
    assert!(first.is_some());
    // What was kept is older than the restart.
    let mut simulation = daemon(world, &rules, "2026-01-01T00:20:00Z");
    simulation.recall(kept.as_deref());
    simulation.settle(&mut |_| {}).unwrap();
    until(&mut simulation, "2026-01-01T00:30:00Z");
    assert_eq!(simulation.writes(), 0);
    assert_eq!(restarted_at(simulation.world()), first);
    // The next change is another one.
    put(&mut simulation, &settings("c"), "2026-01-01T00:30:00Z");
    until(&mut simulation, "2026-01-01T00:40:00Z");
    assert_eq!(simulation.writes(), 1);
    assert_ne!(restarted_at(simulation.world()), first);
}

/// What the process has in memory, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
#[ignore = "a measurement: run it alone, with --nocapture"]
fn what_a_hundred_thousand_matches_take() {
    let now = at("2026-01-01T00:00:00Z");
    let uid = |n: usize| Uid::of(&format!("{n:08x}-0000-4000-8000-000000000000"));
    for key in [false, true] {
        let before = resident();
        let mut matches = Matches::default();
        for n in 0..100_000 {
            matches.holds(uid(n), now);
        }
        let held = resident() - before;
        for n in 0..100_000 {
            let last = LastAct {
                key: key.then(|| format!("{n:016x}").into()),
                nth: 0,
                at: now,
            };
            let act = Act::parse("event").unwrap();
            matches.note(uid(n), Note::Acted(act, last), now);
        }
        let acted = resident() - before;
        println!(
            "since when they hold: {held} bytes; with a step that has acted (a key: {key}): {acted} bytes"
        );
        assert!(matches.len() == 100_000 && acted <= 20_000_000, "{acted}");
        std::mem::forget(matches);
    }
}
