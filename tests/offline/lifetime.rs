//! What rules give back when they end: each way in which that can happen, on a cluster in memory.

use ordain::decide::{Finding, Reason};
use ordain::engine::{EngineOptions, Report};
use ordain::manifests::{Simulation, World};
use ordain::object::{GroupKind, ObjectKey};
use ordain::rule::compile::{SourceFile, compile};
use ordain::rule::set::{Doubt, RuleSet};
use ordain::schema::Schema;
use serde_json::{Value, json};
use std::sync::Arc;

/// A rule for Deployments with the label `hold`.
fn rule(name: &str, more: &str, edits: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {name}}}
spec:
  mode: Enforce
{more}  match:
    resources: [{{apiVersion: apps/v1, kind: Deployment}}]
    selector: {{matchLabels: {{hold: 'yes'}}}}
  actions:
  - patch: [{edits}]
    lifetime: WhileMatched
"
    )
}

fn replicas(name: &str, n: u32) -> String {
    rule(name, "", &format!("{{path: $.spec.replicas, set: {n}}}"))
}

/// Something to follow when the others are gone.
const OTHER: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: other}
spec:
  match: {resources: [{apiVersion: v1, kind: Secret}]}
  actions: [{warn: {message: a Secret}}]
";

fn set(rules: &[&str]) -> RuleSet {
    let files: Vec<SourceFile> = rules
        .iter()
        .enumerate()
        .map(|(n, text)| SourceFile {
            name: format!("{n}.yaml").into(),
            bytes: text.as_bytes().to_vec(),
        })
        .collect();
    let compiled = compile(&files, &Schema::bundled());
    let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    RuleSet::new(compiled.rules, Schema::bundled())
}

fn deployment(labels: Value, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": labels},
        "spec": {"replicas": replicas},
    })
}

fn key() -> ObjectKey {
    ObjectKey::new(GroupKind::new("apps", "Deployment"), Some("shop"), "web")
}

struct Scene {
    simulation: Simulation,
    findings: Vec<Finding>,
    ended: Vec<Finding>,
}

impl Scene {
    fn over(world: World, rules: RuleSet) -> Scene {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let simulation = Simulation::new(EngineOptions::default(), Arc::new(rules), world, now);
        let mut scene = Scene {
            simulation,
            findings: vec![],
            ended: vec![],
        };
        scene.settle();
        scene
    }

    /// One Deployment with three replicas, which the rules match.
    fn new(rules: &[&str]) -> Scene {
        let mut world = World::new(Schema::bundled());
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        world.put(&deployment(json!({"hold": "yes"}), 3), now);
        Scene::over(world, set(rules))
    }

    fn settle(&mut self) {
        let (findings, ended) = (&mut self.findings, &mut self.ended);
        self.simulation
            .settle(&mut |report| match report {
                Report::Finding(finding) => findings.push(finding),
                Report::FindingEnded(finding) => {
                    findings.retain(|f| *f != finding);
                    ended.push(finding);
                }
                _ => {}
            })
            .unwrap();
    }

    fn load(&mut self, rules: RuleSet) {
        self.simulation.load(Arc::new(rules));
        self.settle();
    }

    fn put(&mut self, object: &Value) {
        let now = self.simulation.now();
        self.simulation.world_mut().put(object, now);
        self.settle();
    }

    fn object(&self) -> Value {
        self.simulation.world().get(&key()).unwrap().to_value()
    }

    fn replicas(&self) -> u64 {
        self.object()["spec"]["replicas"].as_u64().unwrap()
    }

    /// The rules that remember something on the object.
    fn remembered(&self) -> Vec<String> {
        let annotations = self.object()["metadata"]["annotations"].clone();
        let names = annotations.as_object().cloned().unwrap_or_default();
        let mut names: Vec<String> = names
            .keys()
            .filter_map(|n| n.strip_prefix("state.ordain.dev/"))
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    fn reasons(&self) -> Vec<Reason> {
        self.findings.iter().map(|f| f.reason).collect()
    }

    /// Untouched, as it was before any rule.
    fn is_as_before(&self) -> bool {
        let mut object = self.object();
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .retain(|name, _| {
                ["name", "namespace", "labels", "annotations"].contains(&name.as_str())
            });
        object == deployment(json!({"hold": "yes"}), 3)
    }
}

#[test]
fn a_rule_that_is_removed_gives_back_what_it_holds() {
    // With other rules about the kind, with none, and with no rule left at all.
    let zero = replicas("zero", 0);
    let label = rule("label", "", "{path: $.metadata.labels.seen, set: 'yes'}");
    let unmatched = label.replace("hold: 'yes'", "hold: never");
    for others in [vec![&*unmatched], vec![OTHER], vec![]] {
        let mut rules = others.clone();
        rules.push(&zero);
        let mut scene = Scene::new(&rules);
        assert_eq!(
            (scene.replicas(), scene.remembered()),
            (0, vec!["zero".to_owned()])
        );
        let writes = scene.simulation.writes();
        scene.load(set(&others));
        assert!(scene.is_as_before(), "{}", scene.object());
        assert_eq!(scene.simulation.writes() - writes, 1);
        // Once, and never again.
        scene.load(set(&[&zero]));
        assert_eq!(scene.replicas(), 0);
        scene.load(set(&others));
        assert!(scene.is_as_before());
        assert!(scene.findings.is_empty(), "{:?}", scene.findings);
    }
}

#[test]
fn a_rule_that_does_not_compile_or_cannot_be_read_is_not_removed() {
    let zero = replicas("zero", 0);
    let mut scene = Scene::new(&[&zero, OTHER]);
    for doubt in [Doubt::Rules(vec!["zero".into()]), Doubt::All] {
        scene.load(set(&[OTHER]).doubting(doubt));
        assert_eq!((scene.replicas(), scene.remembered().len()), (0, 1));
    }
    // What is doubted is another rule: this one is gone.
    scene.load(set(&[OTHER]).doubting(Doubt::Rules(vec!["another".into()])));
    assert!(scene.is_as_before());
}

#[test]
fn what_another_installation_holds_is_none_of_ours() {
    let zero = replicas("zero", 0);
    let world = Scene::new(&[&zero]).simulation.into_world();
    let label = rule("label", "", "{path: $.metadata.labels.seen, set: 'yes'}");
    let mut scene = Scene::over(world, set(&[&label]));
    assert_eq!(scene.replicas(), 0);
    assert_eq!(scene.remembered(), ["label", "zero"]);
    scene.load(set(&[OTHER]));
    assert_eq!(
        (scene.replicas(), scene.remembered()),
        (0, vec!["zero".to_owned()])
    );
}

#[test]
fn a_match_that_ended_while_nobody_looked_is_given_back_at_the_start() {
    let zero = replicas("zero", 0);
    let mut world = Scene::new(&[&zero]).simulation.into_world();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    world.put(&deployment(json!({}), 0), now);
    let scene = Scene::over(world, set(&[&zero]));
    assert_eq!((scene.replicas(), scene.remembered().len()), (3, 0));
}

#[test]
fn a_rule_that_is_changed_gives_back_what_it_no_longer_changes() {
    let zero = replicas("zero", 0);
    let mut scene = Scene::new(&[&zero]);
    // Another value of the same field: the first one is remembered.
    scene.load(set(&[&replicas("zero", 1)]));
    assert_eq!((scene.replicas(), scene.remembered().len()), (1, 1));
    // Another field.
    scene.load(set(&[&rule(
        "zero",
        "",
        "{path: $.spec.paused, set: true}",
    )]));
    assert_eq!(scene.replicas(), 3);
    assert_eq!(scene.object()["spec"]["paused"], json!(true));
    // Another scope.
    scene.load(set(&[&zero.replace("hold: 'yes'", "hold: never")]));
    assert!(scene.is_as_before(), "{}", scene.object());
    // Another kind.
    scene.load(set(&[&zero]));
    assert_eq!(scene.replicas(), 0);
    scene.load(set(&[
        &zero.replace("kind: Deployment", "kind: StatefulSet")
    ]));
    assert!(scene.is_as_before(), "{}", scene.object());
}

/// A rule about a Namespace, with steps for the Deployments in it.
fn on_deployments(steps: &[&str]) -> String {
    let mut text = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: hold}
spec:
  mode: Enforce
  match: {resources: [{apiVersion: v1, kind: Namespace}], names: [shop]}
  related: [{name: servers, resources: [{apiVersion: apps/v1, kind: Deployment}]}]
  actions:
  - warn: {message: held}
"
    .to_owned();
    for step in steps {
        text += &format!("  - {step}\n    target: servers\n    lifetime: WhileMatched\n");
    }
    text
}

#[test]
fn a_target_gets_back_what_a_changed_rule_no_longer_changes_of_it() {
    let patch = "patch: [{path: $.spec.paused, set: true}]";
    let scale = "scale: {replicas: 0}";
    let mut scene = Scene::new(&[&on_deployments(&[patch, scale])]);
    scene.put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    assert_eq!(scene.replicas(), 0);
    assert_eq!(scene.object()["spec"]["paused"], json!(true));
    // One step is taken out, and comes again.
    scene.load(set(&[&on_deployments(&[patch])]));
    assert_eq!(scene.replicas(), 3);
    assert_eq!(scene.object()["spec"]["paused"], json!(true));
    scene.load(set(&[&on_deployments(&[patch, scale])]));
    assert_eq!(scene.replicas(), 0);
    // All of them.
    scene.load(set(&[&on_deployments(&[])]));
    assert!(scene.is_as_before(), "{}", scene.object());
    assert!(scene.remembered().is_empty(), "{}", scene.object());
}

#[test]
fn what_becomes_permanent_stays_and_is_forgotten() {
    let zero = replicas("zero", 0);
    let mut scene = Scene::new(&[&zero]);
    let writes = scene.simulation.writes();
    scene.load(set(&[&zero.replace("WhileMatched", "Permanent")]));
    assert_eq!((scene.replicas(), scene.remembered().len()), (0, 0));
    assert_eq!(scene.simulation.writes() - writes, 1);
    scene.load(set(&[OTHER]));
    assert_eq!(scene.replicas(), 0);
}

#[test]
fn a_rule_that_is_renamed_takes_over_in_one_request() {
    let mut scene = Scene::new(&[&replicas("zero", 0)]);
    let writes = scene.simulation.writes();
    scene.load(set(&[&replicas("naught", 0)]));
    assert_eq!(
        (scene.replicas(), scene.remembered()),
        (0, vec!["naught".to_owned()])
    );
    assert_eq!(scene.simulation.writes() - writes, 1);
    assert!(scene.findings.is_empty(), "{:?}", scene.findings);
    scene.load(set(&[OTHER]));
    assert!(scene.is_as_before());
}

#[test]
fn off_audit_and_freeze_hold_and_do_not_undo() {
    let zero = replicas("zero", 0);
    let mut scene = Scene::new(&[&zero]);
    for mode in ["Off", "Audit"] {
        scene.load(set(&[&zero.replace("Enforce", mode), OTHER]));
        scene.put(&deployment(json!({}), 0));
        assert_eq!(
            (scene.replicas(), scene.remembered().len()),
            (0, 1),
            "{mode}"
        );
        scene.load(set(&[&zero, OTHER]));
        assert_eq!(
            (scene.replicas(), scene.remembered().len()),
            (3, 0),
            "{mode}"
        );
        scene.put(&deployment(json!({"hold": "yes"}), 3));
        assert_eq!(scene.replicas(), 0);
    }
    let now = scene.simulation.now();
    scene.simulation.engine_mut().set_frozen(true, now);
    scene.put(&deployment(json!({}), 0));
    assert_eq!((scene.replicas(), scene.remembered().len()), (0, 1));
    scene.load(set(&[OTHER]));
    assert_eq!((scene.replicas(), scene.remembered().len()), (0, 1));
    scene.simulation.engine_mut().set_frozen(false, now);
    scene.settle();
    assert_eq!((scene.replicas(), scene.remembered().len()), (3, 0));
}

#[test]
fn ignored_and_dying_objects_are_left_alone() {
    let zero = replicas("zero", 0);
    for (field, value) in [
        ("annotations", json!({"ordain.dev/ignore": "true"})),
        ("annotations", json!({"ordain.dev/ignore-rules": "zero"})),
        ("deletionTimestamp", json!("2026-01-01T00:00:00Z")),
    ] {
        let mut scene = Scene::new(&[&zero]);
        let mut object = deployment(json!({}), 0);
        object["metadata"]["finalizers"] = json!(["shop.example/hold"]);
        object["metadata"][field] = value;
        scene.put(&object);
        scene.load(set(&[OTHER]));
        assert_eq!(
            (scene.replicas(), scene.remembered().len()),
            (0, 1),
            "{field}"
        );
    }
}

#[test]
fn of_two_rules_with_one_field_the_one_that_is_left_has_it() {
    let low = replicas("low", 1);
    let high = rule("high", "  priority: 5\n", "{path: $.spec.replicas, set: 0}");
    // The lower one comes first, the higher one takes the field over, and goes.
    let mut scene = Scene::new(&[&low]);
    scene.load(set(&[&low, &high]));
    assert_eq!(scene.replicas(), 0);
    assert_eq!(scene.reasons(), [Reason::Conflict]);
    scene.load(set(&[&low]));
    assert_eq!((scene.replicas(), scene.findings.len()), (1, 0));
    scene.load(set(&[OTHER]));
    assert!(scene.is_as_before(), "{}", scene.object());
    // The lower one goes first: what it had found is given back by the higher one.
    scene.load(set(&[&low]));
    scene.load(set(&[&low, &high]));
    scene.load(set(&[&high]));
    assert_eq!(
        (scene.replicas(), scene.remembered()),
        (0, vec!["high".to_owned()])
    );
    scene.load(set(&[OTHER]));
    assert!(scene.is_as_before(), "{}", scene.object());
    // Both together.
    scene.load(set(&[&low]));
    scene.load(set(&[&low, &high]));
    scene.load(set(&[OTHER]));
    assert!(scene.is_as_before(), "{}", scene.object());
    assert!(scene.findings.is_empty(), "{:?}", scene.findings);
}

#[test]
fn two_rules_that_want_the_same_of_a_field_hold_it_one_after_the_other() {
    let (a, b) = (replicas("a", 0), replicas("b", 0));
    let mut scene = Scene::new(&[&a, &b]);
    assert_eq!((scene.replicas(), scene.remembered().len()), (0, 1));
    let writes = scene.simulation.writes();
    scene.load(set(&[&b]));
    assert_eq!(
        (scene.replicas(), scene.remembered()),
        (0, vec!["b".to_owned()])
    );
    assert_eq!(scene.simulation.writes() - writes, 1);
    scene.load(set(&[OTHER]));
    assert!(scene.is_as_before());
}

#[test]
fn a_field_that_somebody_else_changed_stays_theirs_and_is_told() {
    let zero = replicas("zero", 0);
    let mut scene = Scene::new(&[&zero]);
    scene.put(&deployment(json!({}), 8));
    assert_eq!((scene.replicas(), scene.remembered().len()), (8, 0));
    assert_eq!(scene.reasons(), [Reason::TakenOver]);
    let message = &scene.findings[0].message;
    assert!(
        message.contains("/spec/replicas") && !message.contains('8'),
        "{message}"
    );
    // Until the rule matches again.
    scene.put(&deployment(json!({"hold": "yes"}), 8));
    assert_eq!((scene.replicas(), scene.findings.len()), (0, 0));
    assert_eq!(scene.ended.len(), 1);
}

#[test]
fn the_labels_of_the_namespace_end_a_match_too() {
    let quiet = replicas("zero", 0).replace(
        "    selector: {matchLabels: {hold: 'yes'}}\n",
        "    namespaceSelector: {matchLabels: {hold: 'yes'}}\n",
    );
    let mut scene = Scene::new(&[&quiet]);
    let namespace = |labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}});
    assert_eq!(scene.replicas(), 3);
    scene.put(&namespace(json!({"hold": "yes"})));
    assert_eq!(scene.replicas(), 0);
    scene.put(&namespace(json!({})));
    assert!(scene.is_as_before());
}

#[test]
fn what_cannot_be_kept_is_not_changed() {
    let note = rule(
        "note",
        "",
        "{path: $.metadata.annotations.note, remove: true}",
    );
    let mut scene = Scene::new(&[&note]);
    let mut object = deployment(json!({"hold": "yes"}), 3);
    object["metadata"]["annotations"] = json!({"note": "x".repeat(100_000)});
    scene.put(&object);
    assert_eq!(scene.reasons(), [Reason::NotKept]);
    assert!(scene.object()["metadata"]["annotations"]["note"].is_string());
    object["metadata"]["annotations"] = json!({"note": "x"});
    scene.put(&object);
    assert!(scene.findings.is_empty(), "{:?}", scene.findings);
    assert!(scene.object()["metadata"]["annotations"]["note"].is_null());
    // A later version of Ordain wrote this: nothing may be concluded from it.
    let uid = scene.object()["metadata"]["uid"].clone();
    let text = json!({"version": 99, "uid": uid}).to_string();
    object["metadata"]["annotations"] = json!({"note": "x", "state.ordain.dev/note": text});
    scene.put(&object);
    assert_eq!(scene.reasons(), [Reason::NotKept]);
    assert_eq!(
        scene.object()["metadata"]["annotations"]["note"],
        json!("x")
    );
}

#[test]
fn what_a_secret_holds_is_never_kept() {
    let text = rule("secret", "", "{path: $.data.password, remove: true}").replace(
        "{apiVersion: apps/v1, kind: Deployment}",
        "{apiVersion: v1, kind: Secret}",
    );
    let file = SourceFile {
        name: "r.yaml".into(),
        bytes: text.into_bytes(),
    };
    let compiled = compile(&[file], &Schema::bundled());
    let told: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    assert!(
        told.join("\n")
            .contains("what a Secret holds is never kept"),
        "{told:?}"
    );
}

#[test]
fn a_match_that_its_own_change_ends_by_a_detour_does_not_flip() {
    // Not seen at load: the test reads another field than the one that is written.
    let text = rule("detour", "", "{path: $.metadata.labels.size, set: none}").replace(
        "  actions:",
        "  where:\n  - {expression: \"${namespaceObject.metadata.name == 'shop' && object.metadata.?labels.?size.orValue('') != 'none'}\", value: true}\n  actions:",
    );
    let mut scene = Scene::new(&[&text]);
    assert_eq!(scene.object()["metadata"]["labels"]["size"], json!("none"));
    let writes = scene.simulation.writes();
    scene.put(&deployment(json!({"hold": "yes", "size": "none"}), 4));
    assert_eq!(scene.simulation.writes(), writes);
    // The rule is seen to match what it found, and holds it.
    scene.load(set(&[OTHER]));
    assert_eq!(scene.object()["metadata"]["labels"], json!({"hold": "yes"}));
}

/// Each Deployment with the label `hold` gets a ConfigMap for each name in its annotation `maps`.
const MAPS: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: maps}
spec:
  mode: Enforce
  match:
    resources: [{apiVersion: apps/v1, kind: Deployment}]
    selector: {matchLabels: {hold: 'yes'}}
  actions:
  - apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: '${item}'}, data: {a: b}}
    forEach: \"${object.metadata.annotations.maps.split(',')}\"
    lifetime: WhileMatched
";

fn with_maps(name: &str, labels: Value, maps: &str) -> Value {
    let mut object = deployment(labels, 1);
    object["metadata"]["name"] = json!(name);
    object["metadata"]["annotations"] = json!({"maps": maps});
    object
}

fn hold() -> Value {
    json!({"hold": "yes"})
}

impl Scene {
    fn empty(rules: &[&str]) -> Scene {
        Scene::over(World::new(Schema::bundled()), set(rules))
    }

    fn delete(&mut self, kind: GroupKind, name: &str) {
        let now = self.simulation.now();
        let key = ObjectKey::new(kind, Some("shop"), name);
        assert!(self.simulation.world_mut().delete(&key, now));
        self.settle();
    }

    fn hours(&mut self, hours: i64) {
        let later = self.simulation.now() + jiff::SignedDuration::from_hours(hours);
        self.simulation.advance(later, &mut |_| {}).unwrap();
    }

    /// The names of the ConfigMaps there are, of these.
    fn maps<'n>(&self, names: &[&'n str]) -> Vec<&'n str> {
        let there = |name: &&&str| {
            let key = ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("shop"), name);
            self.simulation.world().get(&key).is_some()
        };
        names.iter().filter(there).copied().collect()
    }
}

fn deployments() -> GroupKind {
    GroupKind::new("apps", "Deployment")
}

#[test]
fn applied_objects_go_with_the_match_and_elements_that_vanish() {
    let names = ["a", "b", "c"];
    let mut scene = Scene::empty(&[MAPS]);
    scene.put(&with_maps("web", hold(), "a,b,c"));
    assert_eq!(scene.maps(&names), names);
    // An element vanishes.
    scene.put(&with_maps("web", hold(), "a,c"));
    assert_eq!(scene.maps(&names), ["a", "c"]);
    // It comes back, and the match ends.
    scene.put(&with_maps("web", hold(), "a,b"));
    assert_eq!(scene.maps(&names), ["a", "b"]);
    scene.put(&with_maps("web", json!({}), "a,b"));
    assert!(scene.maps(&names).is_empty());
    // The subject goes. Not at once: changes that come and go trip a breaker.
    scene.hours(2);
    scene.put(&with_maps("web", hold(), "a,b"));
    scene.delete(deployments(), "web");
    assert!(scene.maps(&names).is_empty());
    assert!(scene.findings.is_empty(), "{:?}", scene.findings);
}

#[test]
fn an_object_that_is_applied_for_many_goes_with_the_last() {
    let names = ["shared", "one", "two"];
    let mut scene = Scene::empty(&[MAPS]);
    scene.put(&with_maps("one", hold(), "shared,one"));
    scene.put(&with_maps("two", hold(), "shared,two"));
    assert_eq!(scene.maps(&names), names);
    scene.put(&with_maps("one", json!({}), "shared,one"));
    assert_eq!(scene.maps(&names), ["shared", "two"]);
    // Deleted and created anew: it is another subject, and wants it again.
    scene.delete(deployments(), "two");
    assert!(scene.maps(&names).is_empty());
    scene.put(&with_maps("two", hold(), "shared,two"));
    assert_eq!(scene.maps(&names), ["shared", "two"]);
    let now = scene.simulation.now();
    let two = ObjectKey::new(deployments(), Some("shop"), "two");
    // Both before anybody looks.
    scene.simulation.world_mut().delete(&two, now);
    scene.put(&with_maps("two", hold(), "shared"));
    assert_eq!(scene.maps(&names), ["shared"]);
}

#[test]
fn applied_objects_go_with_the_rule_and_stay_with_a_doubt() {
    let names = ["a", "b"];
    let mut scene = Scene::empty(&[MAPS, OTHER]);
    scene.put(&with_maps("web", hold(), "a,b"));
    scene.load(set(&[OTHER]).doubting(Doubt::All));
    assert_eq!(scene.maps(&names), names);
    for mode in ["Off", "Audit"] {
        scene.load(set(&[&MAPS.replace("Enforce", mode), OTHER]));
        scene.put(&with_maps("web", json!({}), "a,b"));
        assert_eq!(scene.maps(&names), names, "{mode}");
        scene.put(&with_maps("web", hold(), "a,b"));
    }
    // Another name for one of them; the others stay.
    scene.load(set(&[&MAPS.replace("'${item}'", "'${item}2'"), OTHER]));
    assert_eq!(scene.maps(&["a", "b", "a2", "b2"]), ["a2", "b2"]);
    scene.load(set(&[OTHER]));
    assert!(scene.maps(&["a", "b", "a2", "b2"]).is_empty());
    // What was made to last lasts.
    let lasting = MAPS.replace("WhileMatched", "Permanent");
    scene.load(set(&[MAPS]));
    scene.load(set(&[&lasting]));
    scene.load(set(&[OTHER]));
    assert_eq!(scene.maps(&names), names);
}

#[test]
fn only_what_bears_the_mark_of_the_rule_is_deleted() {
    let names = ["mine", "theirs"];
    let mut scene = Scene::empty(&[MAPS]);
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": "shop"}});
    scene.put(&theirs);
    scene.put(&with_maps("web", hold(), "mine,theirs"));
    assert_eq!(scene.reasons(), [Reason::NotOurs]);
    scene.put(&with_maps("web", json!({}), "mine,theirs"));
    assert_eq!(scene.maps(&names), ["theirs"]);
    // A copy of the annotation on another object says nothing about that.
    scene.put(&with_maps("web", hold(), "mine"));
    let mine = ObjectKey::new(GroupKind::new("", "ConfigMap"), Some("shop"), "mine");
    let mut copy = scene.simulation.world().get(&mine).unwrap().to_value();
    copy["metadata"]["name"] = json!("copy");
    copy["metadata"]
        .as_object_mut()
        .unwrap()
        .shift_remove("uid");
    scene.put(&copy);
    scene.put(&with_maps("web", json!({}), "mine"));
    assert_eq!(scene.maps(&["mine", "copy"]), ["copy"]);
}

#[test]
fn a_match_that_ended_while_nobody_looked_takes_what_was_applied_along() {
    let mut scene = Scene::empty(&[MAPS]);
    scene.put(&with_maps("web", hold(), "a,b"));
    let mut world = scene.simulation.into_world();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    world.put(&with_maps("web", hold(), "b"), now);
    let scene = Scene::over(world, set(&[MAPS]));
    assert_eq!(scene.maps(&["a", "b"]), ["b"]);
    let mut world = scene.simulation.into_world();
    world.delete(&ObjectKey::new(deployments(), Some("shop"), "web"), now);
    let scene = Scene::over(world, set(&[MAPS]));
    assert!(scene.maps(&["a", "b"]).is_empty());
}

#[test]
fn a_rule_that_was_removed_while_nobody_looked_gives_back_what_it_holds() {
    let zero = replicas("zero", 0);
    let mut scene = Scene::new(&[&zero]);
    let known = scene.simulation.engine_mut().lifetimes().clone();
    let world = scene.simulation.into_world();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let start = |world: World, rules: RuleSet| {
        let known = known.clone();
        let simulation =
            Simulation::remembering(EngineOptions::default(), Arc::new(rules), world, now, known);
        let mut scene = Scene {
            simulation,
            findings: vec![],
            ended: vec![],
        };
        scene.settle();
        scene
    };
    // Nobody can say whether it is gone.
    let scene = start(
        world,
        set(&[OTHER]).doubting(Doubt::Rules(vec!["zero".into()])),
    );
    assert_eq!(scene.replicas(), 0);
    let scene = start(scene.simulation.into_world(), set(&[OTHER]));
    assert!(scene.is_as_before(), "{}", scene.object());
}

#[test]
fn most_rules_gone_at_a_start_are_a_fault_until_a_person_says_otherwise() {
    let rules: Vec<String> = (0..4)
        .map(|n| {
            let label = format!("{{path: $.metadata.labels.l{n}, set: 'yes'}}");
            rule(&format!("r{n}"), "", &label)
        })
        .collect();
    let all: Vec<&str> = rules.iter().map(String::as_str).collect();
    let mut scene = Scene::new(&all);
    let known = scene.simulation.engine_mut().lifetimes().clone();
    let world = scene.simulation.into_world();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let simulation = Simulation::remembering(
        EngineOptions::default(),
        Arc::new(set(&[OTHER])),
        world,
        now,
        known,
    );
    let mut scene = Scene {
        simulation,
        findings: vec![],
        ended: vec![],
    };
    scene.settle();
    assert_eq!(scene.remembered().len(), 4);
    assert_eq!(
        scene.simulation.engine_mut().withheld_lifetimes().count(),
        4
    );
    scene.load(set(&[OTHER]));
    assert_eq!(scene.remembered().len(), 4);
    assert!(scene.simulation.engine_mut().acknowledge_lifetimes(now));
    scene.load(set(&[OTHER]));
    scene.settle();
    assert!(scene.is_as_before(), "{}", scene.object());
}

#[test]
fn a_rule_of_the_same_name_of_another_installation_is_left_alone() {
    let zero = replicas("zero", 0);
    let world = Scene::new(&[&zero]).simulation.into_world();
    let other = zero.replace("hold: 'yes'", "hold: never");
    let options = EngineOptions {
        state_namespace: "elsewhere".into(),
        ..EngineOptions::default()
    };
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let simulation = Simulation::new(options, Arc::new(set(&[&other])), world, now);
    let mut scene = Scene {
        simulation,
        findings: vec![],
        ended: vec![],
    };
    scene.settle();
    // It does not match there, and holds what the other one wrote.
    assert_eq!((scene.replicas(), scene.remembered().len()), (0, 1));
    // It would match: two rules of one name cannot both remember.
    scene.load(set(&[&replicas("zero", 5)]));
    assert_eq!(scene.replicas(), 0);
    assert_eq!(scene.reasons(), [Reason::NotKept]);
}
