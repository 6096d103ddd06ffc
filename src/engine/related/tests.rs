#![allow(clippy::unwrap_used, clippy::panic)]
//! The index, driven through an engine: what it finds, whom it wakes, what that costs.

mod effort;

use crate::decide::pass::{PassContext, pass};
use crate::decide::{Neighbours, Subject};
use crate::engine::{Engine, EngineOptions, Lost, Observation};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::compile::{SourceFile, compile};
use crate::rule::related::{Member, Probe};
use crate::rule::set::RuleSet;
use crate::rule::{Occasion, Rule};
use crate::schema::Schema;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

fn rules(specs: &[(&str, &str)]) -> Arc<RuleSet> {
    let files: Vec<SourceFile> = specs
        .iter()
        .map(|(name, spec)| SourceFile {
            name: format!("{name}.yaml").into(),
            bytes: format!(
                "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n{spec}"
            )
            .into_bytes(),
        })
        .collect();
    let compiled = compile(&files, &Schema::bundled());
    let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    assert!(!compiled.has_errors(), "{}", problems.join("\n"));
    Arc::new(RuleSet::new(compiled.rules, Schema::bundled()))
}

fn core(kind: &str) -> GroupKind {
    GroupKind::new("", kind)
}

fn key_of(record: &Record) -> ObjectKey {
    let meta = record.meta();
    ObjectKey::new(core(meta.kind()), meta.namespace(), meta.name())
}

/// An engine and what it was shown.
struct Bench {
    engine: Engine,
    objects: BTreeMap<ObjectKey, Record>,
    kinds: Vec<GroupKind>,
    version: u64,
}

impl Bench {
    fn new(rules: Arc<RuleSet>, kinds: &[&str], objects: Vec<Value>) -> Bench {
        let mut bench = Bench {
            engine: Engine::new(EngineOptions::default()),
            objects: BTreeMap::new(),
            kinds: kinds.iter().map(|kind| core(kind)).collect(),
            version: 0,
        };
        bench.engine.load(rules, now());
        for object in objects {
            let record = bench.stamped(object);
            bench.objects.insert(key_of(&record), record);
        }
        bench.relist();
        bench
    }

    fn stamped(&mut self, mut object: Value) -> Record {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        object["metadata"]["uid"] = json!(format!(
            "{}-{}-{}",
            object["kind"], object["metadata"]["namespace"], object["metadata"]["name"]
        ));
        Record::from_value(&object)
    }

    /// Shows everything of every kind anew.
    fn relist(&mut self) {
        for kind in self.kinds.clone() {
            self.see(Observation::ListStarted { kind: kind.clone() });
            let records: Vec<Record> = self
                .objects
                .iter()
                .filter(|(key, _)| key.kind == kind)
                .map(|(_, record)| record.clone())
                .collect();
            for record in records {
                let kind = kind.clone();
                self.see(Observation::Applied { kind, record });
            }
            self.see(Observation::ListDone { kind });
        }
        self.work();
    }

    fn see(&mut self, observation: Observation) {
        self.engine.observe(observation, now());
    }

    fn put(&mut self, object: Value) {
        let record = self.stamped(object);
        let key = key_of(&record);
        self.objects.insert(key.clone(), record.clone());
        self.see(Observation::Applied {
            kind: key.kind,
            record,
        });
    }

    fn delete(&mut self, key: &ObjectKey) {
        if self.objects.remove(key).is_some() {
            self.see(Observation::Deleted {
                key: key.clone(),
                resource_version: None,
            });
        }
    }

    fn work(&mut self) {
        let mut effects = vec![];
        while self
            .engine
            .poll(now(), 10_000, &mut effects)
            .is_some_and(|at| at <= now())
        {}
    }

    /// Findings that stand: rule, object, what it says.
    fn findings(&self) -> BTreeSet<(String, String, String)> {
        let findings = self.engine.status(now()).findings.into_iter();
        findings.map(|f| (f.rule, f.object, f.message)).collect()
    }

    fn tested(&self) -> u64 {
        self.engine.related_tested()
    }

    /// The candidates asked, and the objects looked at, while something is done.
    fn cost(&mut self, of: impl FnOnce(&mut Bench)) -> (u64, u64) {
        let before = (self.tested(), self.engine.evaluations());
        of(self);
        self.work();
        (
            self.tested() - before.0,
            self.engine.evaluations() - before.1,
        )
    }
}

/// Every object there is, for whoever asks.
struct Plain<'a>(&'a BTreeMap<ObjectKey, Record>);

impl Neighbours for Plain<'_> {
    fn get(&self, object: &ObjectKey) -> Result<Option<Record>, String> {
        Ok(self.0.get(object).cloned())
    }

    fn candidates(&self, rule: &Rule, list: usize, _: &Probe) -> Result<Vec<Member>, String> {
        let kinds = &rule.related[list].kinds;
        let of_kind = self
            .0
            .iter()
            .filter(|(key, _)| kinds.iter().any(|k| k.kind == key.kind));
        Ok(of_kind
            .map(|(key, record)| Member {
                key: key.clone(),
                record: record.clone(),
            })
            .collect())
    }
}

/// What rules say of all objects, looked at one by one, each list computed from all there is.
fn recomputed(
    rules: &RuleSet,
    objects: &BTreeMap<ObjectKey, Record>,
) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    for (key, record) in objects {
        let namespace = match &key.namespace {
            Some(name) => objects
                .get(&ObjectKey::new(core("Namespace"), None, name))
                .map(Some)
                .ok_or("it is not there"),
            None => Ok(Some(record)),
        };
        let context = PassContext {
            rules,
            namespace,
            now: now(),
            occasion: Occasion::Reconcile,
            request: None,
            gate: &|_| true,
            returns: &|_| true,
            assume_enforce: false,
            ahead: false,
            alone: None,
            neighbours: &Plain(objects),
            memory: &crate::decide::Blank,
            state_namespace: "ordain",
        };
        let decision = pass(&Subject { key, record }, &context);
        all.extend(
            decision
                .findings
                .into_iter()
                .map(|f| (f.rule.to_string(), f.object.to_string(), f.message)),
        );
    }
    all
}

const SAY: &str = "actions: [{warn: {message: \"${l.map(x, x.kind + '/' + x.metadata.?namespace.orValue('') + '/' + x.metadata.name).join(' ')}\"}}]";

/// One rule for each way in which a list finds its candidates.
fn kinds_of_lists() -> Vec<(&'static str, String)> {
    let maps = "match: {resources: [{apiVersion: v1, kind: ConfigMap}]}";
    let pods = "resources: [{apiVersion: v1, kind: Pod}]";
    let list = |name: &'static str, list: &str| {
        (
            name,
            format!("  {maps}\n  related:\n  - {{name: l, {list}}}\n  {SAY}\n"),
        )
    };
    vec![
        list(
            "by-value",
            &format!(
                "{pods}, where: [{{path: \"$..['configMap','configMapRef'].name\", value: '${{object.metadata.name}}'}}]"
            ),
        ),
        list(
            "by-label",
            &format!(
                "{pods}, selector: {{matchLabels: {{app: '${{object.metadata.labels.app}}'}}}}"
            ),
        ),
        list(
            "by-labels",
            &format!(
                "{pods}, selector: {{matchLabels: '${{object.metadata.labels}}'}}, namespace: '*'"
            ),
        ),
        list(
            "by-glob",
            &format!(
                "{pods}, names: ['${{object.metadata.name}}', 'p1*', '!${{object.data.not}}'], namespace: '*'"
            ),
        ),
        list(
            "by-name",
            "resources: [{apiVersion: v1, kind: Pod}, {apiVersion: v1, kind: Node}], names: ['${object.metadata.name}'], namespace: '${object.data.not}'",
        ),
        list(
            "by-namespace-label",
            &format!(
                "{pods}, namespaceSelector: {{matchLabels: {{env: prod}}}}, where: [{{path: $.metadata.labels.app, operator: In, values: '${{[object.data.not, object.metadata.name]}}'}}]"
            ),
        ),
        list(
            "by-either",
            &format!(
                "{pods}, where: [{{any: [{{path: $.metadata.name, value: '${{object.data.not}}'}}, {{path: $.metadata.labels.app, value: '${{object.metadata.name}}'}}]}}, {{path: $.spec.nodeName, operator: Exists}}]"
            ),
        ),
        list(
            "by-expression",
            &format!(
                "{pods}, count: {{operator: AtLeast, value: 2}}, where: [{{expression: '${{object.metadata.name}}', value: \"${{candidate.metadata.?labels.?app.orValue('m0')}}\"}}]"
            ),
        ),
        list(
            "one",
            &format!(
                "{pods}, where: [{{path: $.metadata.labels.app, value: '${{object.metadata.name}}'}}], count: {{operator: LessThan, value: 3}}"
            ),
        ),
        (
            "chain",
            format!(
                "  {maps}\n  related:\n  - {{name: first, {pods}, one: true, names: ['${{object.metadata.name}}']}}\n  - {{name: l, resources: [{{apiVersion: v1, kind: Pod}}, {{apiVersion: v1, kind: ConfigMap}}], where: [{{path: $.metadata.labels.app, value: '${{first.metadata.labels.app}}'}}]}}\n  {SAY}\n"
            ),
        ),
        (
            "namespaces",
            format!(
                "  match: {{resources: [{{apiVersion: v1, kind: Namespace}}]}}\n  related:\n  - {{name: l, {pods}}}\n  {SAY}\n"
            ),
        ),
    ]
}

#[derive(Clone, Debug)]
enum Event {
    Put(Value),
    Delete(&'static str, Option<String>, String),
    Relist(u64),
    Reload(u64),
    Forbid,
}

fn event() -> impl Strategy<Value = Event> {
    let namespace = prop::sample::select(vec!["a", "b"]);
    let name = "(m[0-3]|p1[01])";
    let labels = prop::option::of(prop::option::of("(m[0-3]|x)"));
    let labelled = |labels: Option<Option<String>>| match labels {
        None => Value::Null,
        Some(None) => json!({}),
        Some(Some(app)) => json!({"app": app}),
    };
    let map = (namespace.clone(), name, labels.clone(), prop::option::of("(a|b|m[0-3])")).prop_map(
        move |(namespace, name, labels, not)| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name, "labels": labelled(labels)}, "data": {"not": not}})
        },
    );
    let pod = (
        namespace.clone(),
        name,
        labels,
        prop::collection::vec("m[0-3]", 0..3),
        any::<bool>(),
    )
        .prop_map(move |(namespace, name, labels, maps, node)| {
            let volumes: Vec<Value> = maps.iter().map(|m| json!({"configMap": {"name": m}})).collect();
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name, "labels": labelled(labels)},
                "spec": {"volumes": volumes, "nodeName": node.then_some("n"), "containers": [{"envFrom": [{"configMapRef": {"name": maps.first()}}]}]}})
        });
    let node = "m[0-3]"
        .prop_map(|name| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}));
    let env = (namespace.clone(), any::<bool>()).prop_map(|(name, prod)| {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"env": if prod { "prod" } else { "dev" }}}})
    });
    prop_oneof![
        4 => map.prop_map(Event::Put),
        6 => pod.prop_map(Event::Put),
        1 => node.prop_map(Event::Put),
        2 => env.prop_map(Event::Put),
        4 => (prop::sample::select(vec!["ConfigMap", "Pod"]), namespace, name)
            .prop_map(|(kind, namespace, name)| Event::Delete(kind, Some(namespace.into()), name)),
        1 => "m[0-3]".prop_map(|name| Event::Delete("Node", None, name)),
        1 => any::<u64>().prop_map(Event::Relist),
        1 => any::<u64>().prop_map(Event::Reload),
        1 => Just(Event::Forbid),
    ]
}

/// Those rules of which the bit is set.
fn chosen(all: &[(&'static str, String)], bits: u64) -> Arc<RuleSet> {
    let chosen: Vec<(&str, &str)> = all
        .iter()
        .enumerate()
        .filter(|(place, _)| bits & 1 << place != 0)
        .map(|(_, (name, spec))| (*name, &**spec))
        .collect();
    rules(&chosen)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// After any sequence of events the engine says what a look at everything says that uses no index.
    #[test]
    fn any_events_lead_to_what_a_recomputation_says(events in prop::collection::vec(event(), 1..60)) {
        let all = kinds_of_lists();
        let mut in_force = chosen(&all, u64::MAX);
        let namespaces = ["a", "b"].map(|n| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": {"env": "prod"}}}));
        let kinds = ["Namespace", "Node", "Pod", "ConfigMap"];
        let mut bench = Bench::new(in_force.clone(), &kinds, namespaces.to_vec());
        for event in events {
            let told = format!("{event:?}");
            match event {
                Event::Put(object) => bench.put(object),
                Event::Delete(kind, namespace, name) => {
                    bench.delete(&ObjectKey::new(core(kind), namespace.as_deref(), &name));
                }
                // What a watch missed: some objects are gone when all are listed again.
                Event::Relist(bits) => {
                    let mut place = 0;
                    bench.objects.retain(|key, _| {
                        place += 1;
                        &*key.kind.kind == "Namespace" || bits & 1 << (place % 64) != 0
                    });
                    bench.relist();
                }
                Event::Reload(bits) => {
                    in_force = chosen(&all, bits);
                    bench.engine.load(in_force.clone(), now());
                    // What is followed anew is listed.
                    bench.relist();
                }
                Event::Forbid => {
                    let (kind, why) = (core("Pod"), Lost::Forbidden("no".into()));
                    bench.see(Observation::Lost { kind, why });
                    bench.work();
                    bench.relist();
                }
            }
            bench.work();
            prop_assert_eq!(bench.findings(), recomputed(&in_force, &bench.objects), "after {}", told);
        }
        // Nothing of what is gone is kept.
        for key in bench.objects.keys().cloned().collect::<Vec<_>>() {
            bench.delete(&key);
        }
        bench.work();
        prop_assert!(bench.findings().is_empty());
        prop_assert_eq!(bench.engine.related_len(), 0);
    }
}
