//! What is fuzzed: functions that take any bytes and must neither panic nor hang nor want much memory, and what must hold of their answers.
//!
//! `examples/fuzz.rs` drives them with inputs made by chance, `tests/offline/corpus.rs` with those that were kept.

use base64::Engine as _;
use ordain::cluster::frames::{self, Lines};
use ordain::decide::state_annotation::{Said, SubjectState};
use ordain::engine::{EngineOptions, Schedules};
use ordain::manifests::{Simulation, World};
use ordain::object::record::{Encoder, skim};
use ordain::object::{GroupKind, Gvk, Node, Record, duration, image, quantity};
use ordain::rule::Action;
use ordain::rule::compile::{Compiled, SourceFile, compile};
use ordain::rule::edit::{self, EditContext, Endpoint, FixedFields};
use ordain::rule::expr::{Expr, Names, NamespaceObject, Scope};
use ordain::rule::path::Path;
use ordain::rule::set::RuleSet;
use ordain::rule::yaml;
use ordain::rule_test::document;
use ordain::schema::Schema;
use ordain::state::{self, Shard};
use serde_json::{Value, json};
use std::path::Path as FilePath;
use std::sync::{Arc, LazyLock};

/// One thing that is fuzzed.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Inputs to begin with, made of all golden files of a checkout.
    pub seeds: fn(&Golden) -> Vec<Vec<u8>>,
}

pub const TARGETS: [Target; 6] = [
    Target {
        name: "rule",
        run: rule,
        seeds: |golden| golden.files.clone(),
    },
    Target {
        name: "path",
        run: path,
        seeds: |golden| golden.paths.clone(),
    },
    Target {
        name: "cel",
        run: cel,
        seeds: |golden| golden.expressions.clone(),
    },
    Target {
        name: "record",
        run: record,
        seeds: record_seeds,
    },
    Target {
        name: "edits",
        run: edits,
        seeds: edit_seeds,
    },
    Target {
        name: "state",
        run: state,
        seeds: state_seeds,
    },
];

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::bundled);
const NOW: &str = "2026-01-08T00:00:00Z";

/// A world with one object of the kinds that most rules are about.
static WORLD: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let pod = json!({
        "containers": [
            {"name": "app", "image": "ghcr.io/shop/web:1.4.2", "env": [{"name": "LOG_LEVEL", "value": "debug"}],
             "ports": [{"containerPort": 80, "name": "http"}],
             "resources": {"limits": {"memory": "512Mi", "cpu": "500m"}}},
            {"name": "side", "image": "nginx"}],
        "initContainers": [{"name": "first", "image": "nginx:latest"}],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    });
    let meta = |name: &str| {
        json!({"name": name, "namespace": "shop", "uid": format!("0000-{name}"),
            "labels": {"app": "web", "team": "checkout", "empty": ""}, "annotations": {"example.com/a": "1", "b": null},
            "creationTimestamp": "2026-01-01T00:00:00Z"})
    };
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": "production", "team": "checkout"}}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta("web-1"), "spec": pod,
            "status": {"phase": "Failed", "conditions": [{"type": "Ready", "status": "False"}]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("web"),
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod}},
            "status": {"replicas": 1, "unavailableReplicas": 1}}),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta("once"),
            "spec": {"template": {"spec": pod}}, "status": {"succeeded": 1, "completionTime": "2026-01-01T00:00:00Z"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("settings"), "data": {"a.b": "x", "n": "5", "json": "{\"a\": [1, 2]}"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta("token"), "data": {"password": "aHVudGVyMg=="}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": meta("web"),
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "name": "http"}, {"port": 53, "protocol": "UDP"}]}}),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one", "labels": {"zone": "a"}}, "spec": {"taints": []}}),
    ]
});

fn compiled(bytes: &[u8]) -> Compiled {
    let file = SourceFile {
        name: "rule.yaml".into(),
        bytes: bytes.to_vec(),
    };
    compile(&[file], &SCHEMA)
}

/// Lets rules act on objects until nothing is left to do, if that comes at all.
fn act(compiled: Compiled, objects: &[Value]) {
    let now = NOW.parse().unwrap();
    let mut world = World::new(SCHEMA.clone());
    for object in objects {
        world.put(object, now);
    }
    let options = EngineOptions {
        frozen: false,
        assume_enforce: true,
        dry: false,
        workers: 32,
        state_namespace: "ordain-system".into(),
        namespaces: vec![],
        narrow: true,
        schedules: Schedules::AtTheMoment,
    };
    let rules = Arc::new(RuleSet::new(compiled.rules, SCHEMA.clone()));
    let mut simulation = Simulation::new(options, rules, world, now);
    let settled = simulation.settle(&mut |_| ());
    assert!(settled.is_ok(), "no rest: {:?}", settled.err());
}

/// Text of a rule file: compiled, told about, and let loose on a small world.
fn rule(bytes: &[u8]) {
    let compiled = compiled(bytes);
    // In YAML a carriage return alone ends a line, too.
    let lines = bytes.iter().filter(|b| matches!(b, b'\n' | b'\r')).count() + 1;
    for problem in &compiled.problems {
        let place = &problem.place;
        assert!(
            place.line >= 1 && place.line <= lines + 1 && place.column >= 1 && place.length >= 1,
            "{problem}"
        );
        let text = problem.to_string();
        assert!(text.len() < 20_000, "a message of {} bytes", text.len());
    }
    let text = String::from_utf8_lossy(bytes);
    for (file, tree) in &compiled.tests {
        let _ = document::read(file, &text, tree, (&SCHEMA, &[]));
    }
    if !compiled.rules.is_empty() {
        act(compiled, &WORLD);
    }
}

/// A JSONPath: parsed, checked against schemas, walked, and asked where an edit would go.
fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let path = match Path::parse(text) {
        Ok(path) => path,
        Err(problem) => {
            assert!(
                problem.at <= text.len() && problem.length >= 1,
                "{problem:?}"
            );
            assert!(text.is_char_boundary(problem.at), "{problem:?}");
            return;
        }
    };
    for object in WORLD.iter() {
        let record = Record::from_value(object);
        let kind = SCHEMA.kind_at(&Gvk::from_api_version(
            object["apiVersion"].as_str().unwrap(),
            object["kind"].as_str().unwrap(),
        ));
        let kind = kind.unwrap();
        let pod = kind.pod_prefix();
        let _ = path.check(&kind);
        let _ = path.type_in(&kind);
        let _ = path.fields(&kind);
        let mut selected = 0;
        path.select(record.root(), pod, &mut |node| {
            assert!(!node.is_null());
            selected += 1;
            true
        });
        let first = path.first(record.root(), pod);
        assert_eq!(first.is_some(), selected > 0);
        if !path.has_descendants() {
            let places = path.places(record.root(), pod);
            let present = places.iter().filter(|place| place.present).count();
            // `$containers` of an edit leaves the ephemeral ones out.
            assert!(present <= selected, "{present} places, {selected} values");
        }
        let _ = path.planted(object, pod, &json!("x"));
    }
}

/// CEL as it stands between `${` and `}`.
fn cel(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let names = Names {
        item: true,
        current: true,
        ..Names::default()
    };
    let expr = match Expr::compile(text, names) {
        Ok(expr) => expr,
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(
                    problem.at <= text.len() && problem.length >= 1,
                    "{problem:?}"
                );
                assert!(text.is_char_boundary(problem.at), "{problem:?}");
            }
            return;
        }
    };
    let namespace = Record::from_value(&WORLD[0]);
    for object in &WORLD[1..5] {
        let record = Record::from_value(object);
        let root = record.root();
        let item = root.get_str("metadata");
        let scope = Scope {
            object: root,
            found: None,
            pod: None,
            namespace_object: NamespaceObject::Known(namespace.root()),
            now: NOW.parse().unwrap(),
            item,
            current: item.and_then(|item| item.get_str("name")),
            variables: None,
            applied: None,
            request: None,
            schedule_start: None,
            previous: None,
            other: None,
        };
        let value = expr.evaluate(&scope);
        assert_eq!(value, expr.evaluate(&scope), "twice is not the same");
        let _ = expr.evaluate_bool(&scope);
    }
}

/// What a server sends: one object, a page of a list, the lines of a watch.
fn has_a_key_twice(node: Node<'_>) -> bool {
    let mut keys = std::collections::HashSet::new();
    node.entries()
        .any(|(key, value)| !keys.insert(key) || has_a_key_twice(value))
        || node.items().any(has_a_key_twice)
}

/// The same but for the last bits of numbers: serde_json rounds long ones less exactly than the standard library does.
fn as_near(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0));
            (a - b).abs() <= a.abs() * 1e-15
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| as_near(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| as_near(a, b));
            a.len() == b.len() && a.iter().all(has)
        }
        _ => a == b,
    }
}

fn record(bytes: &[u8]) {
    let gvk = Gvk::from_api_version("v1", "Pod");
    let kind = GroupKind::new("", "Pod");
    let mut encoder = Encoder::default();
    let decoded = encoder.from_json(bytes, None);
    let tree = serde_json::from_slice::<Value>(bytes);
    if let Some(extent) = skim::extent(bytes) {
        assert!(extent <= bytes.len());
    }
    if let (Ok(record), Ok(tree)) = (&decoded, &tree) {
        let again = Record::from_value(&record.to_value());
        // A name that stands twice in one map, which no server sends, is kept twice: the first counts, and serde takes the last.
        if !has_a_key_twice(record.root()) {
            assert!(*record == again, "not the same when it is read again");
            let same = Record::from_value(tree);
            assert!(
                as_near(&same.to_value(), &record.to_value()),
                "another object than serde's"
            );
        }
        let meta = record.meta();
        let _ = (
            meta.name(),
            meta.namespace(),
            meta.uid(),
            meta.resource_version(),
        );
    }
    if let Ok(page) = frames::page(bytes, &gvk, &mut encoder) {
        assert!(page.records.iter().all(|r| !r.meta().name().is_empty()));
    }
    let mut version = String::new();
    let mut whole = vec![];
    Lines::default().push(bytes, |line| {
        whole.push(line.to_vec());
        let _ = frames::line(line, &gvk, &kind, &mut encoder, &mut version);
    });
    // However the bytes are cut on the way, the lines are the same.
    let mut lines = Lines::default();
    let mut cut = vec![];
    for part in bytes.chunks(7) {
        lines.push(part, |line| cut.push(line.to_vec()));
    }
    assert!(whole == cut);
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok((quantity, format)) = quantity::Quantity::parse_with_format(text) {
            let again = quantity::Quantity::parse(&quantity.text(format));
            assert!(again.is_ok(), "{text:?} becomes what is no quantity");
        }
        if let Ok(length) = duration::parse(text) {
            assert_eq!(duration::parse(&duration::format(length)), Ok(length));
        }
        if let Ok(image) = image::Image::parse(text) {
            let _ = image.with("registry", "mirror.example/hub");
        }
    }
}

/// `{"patch": [edits], "object": {…}}`: what the edits make of the object, and what they make of that.
fn edits(bytes: &[u8]) {
    let Ok(input) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let (patch, mut object) = (&input["patch"], input["object"].clone());
    let text = |value: &Value, other: &str| value.as_str().unwrap_or(other).to_owned();
    let api_version = text(&object["apiVersion"], "v1");
    let kind = text(&object["kind"], "ConfigMap");
    if !object.is_object() {
        return;
    }
    let rule = json!({"apiVersion": "ordain.dev/v1alpha1", "kind": "Rule", "metadata": {"name": "fuzz"}, "spec": {
        "match": {"resources": [{"apiVersion": api_version, "kind": kind}]},
        "actions": [{"patch": patch}]}});
    let compiled = compiled(rule.to_string().as_bytes());
    let Some(rule) = compiled.rules.first().cloned() else {
        return;
    };
    let gvk = Gvk::from_api_version(&api_version, &kind);
    let schema = SCHEMA.kind_at(&gvk);
    let namespace = Record::from_value(&WORLD[0]);
    let Action::Patch { edits, .. } = &rule.steps[0].action else {
        return;
    };
    let mut make = |edit: &edit::Edit| {
        let record = Record::from_value(&object);
        // What the record leaves out is not there for an edit.
        object = record.to_value();
        let scope = Scope {
            object: record.root(),
            found: None,
            pod: schema.as_ref().and_then(|s| s.pod_prefix()),
            namespace_object: NamespaceObject::Known(namespace.root()),
            now: NOW.parse().unwrap(),
            item: None,
            current: None,
            variables: None,
            applied: None,
            request: None,
            schedule_start: None,
            previous: None,
            other: None,
        };
        let context = EditContext {
            answers: None,
            schema: schema.as_deref(),
            endpoint: Endpoint::Main,
            fixed: FixedFields::Told,
            barred: &[],
        };
        let planned = edit::plan(edit, &scope, &context);
        // What is said to change nothing changes nothing.
        if edit::is_noop(edit, &scope, schema.as_deref(), &mut None)
            && let Ok(planned) = &planned
        {
            assert!(!planned.changes(), "line {}: no change, and one", edit.line);
        }
        edit::apply(edit, &scope, &context, &mut object).is_ok_and(|planned| planned.changes())
    };
    for edit in edits {
        make(edit);
        // Doing it twice is doing it once, where the value does not depend on what stands there.
        let literal = edit.change.template().is_none_or(|t| t.literal().is_some());
        if literal && edit.tests.is_empty() {
            assert!(
                !make(edit),
                "a second application of {} changes something",
                edit.path.text()
            );
        }
    }
    let meta = &input["object"]["metadata"];
    if meta["name"].as_str().is_some_and(|name| !name.is_empty()) {
        act(compiled, &[input["object"].clone()]);
    }
}

/// What is read after a restart: shards, and what objects say of themselves.
fn state(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = state::stamp_of(text);
    if let Ok((shard, _)) = Shard::read(text) {
        // A shard that is written as it was read is read as it was written.
        let written = shard.write();
        let Ok((again, trouble)) = Shard::read(&written) else {
            panic!("what was written cannot be read: {written}");
        };
        assert_eq!(trouble, None, "{written}");
        assert_eq!(again, shard);
        let mut merged = shard.state.clone();
        merged.merge(again.state);
        let other = Shard {
            shards: 4,
            shard: 1,
            state: merged,
            ..shard
        };
        let _ = state::read([("a", text), ("b", &other.write()), ("c", "{")]);
    }
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "a", "namespace": "shop", "uid": "u", "annotations": {"state.ordain.dev/fuzz": text}}});
    let record = Record::from_value(&object);
    if let Said::State(said) = SubjectState::read(record.meta(), "fuzz") {
        let mut written = object.clone();
        if said.write(record.meta(), "fuzz", &mut written).is_ok() && !said.is_empty() {
            let again = Record::from_value(&written);
            match SubjectState::read(again.meta(), "fuzz") {
                Said::State(again) => {
                    assert_eq!(again.former, said.former);
                    assert_eq!(again.once, said.once);
                }
                _ => panic!("what was written cannot be read: {written}"),
            }
        }
    }
}

/// Everything golden that a checkout holds.
#[derive(Default)]
pub struct Golden {
    pub files: Vec<Vec<u8>>,
    pub paths: Vec<Vec<u8>>,
    pub expressions: Vec<Vec<u8>>,
    /// Objects of manifests and tests.
    pub objects: Vec<Value>,
    /// `patch` of steps.
    pub patches: Vec<Value>,
}

impl Golden {
    pub fn read(root: &FilePath) -> Golden {
        let mut golden = Golden::default();
        for folder in [
            "rules",
            "examples",
            "tests/golden",
            "tests/offline/messages",
            "tests/offline/verbs",
        ] {
            golden.folder(&root.join(folder));
        }
        let cts = std::fs::read(root.join("tests/jsonpath/cts.json")).unwrap();
        let cts: Value = serde_json::from_slice(&cts).unwrap();
        for case in cts["tests"].as_array().unwrap() {
            let selector = case["selector"].as_str().unwrap();
            golden.paths.push(selector.into());
        }
        let cel = std::fs::read_to_string(root.join("tests/cluster/cel.txt")).unwrap();
        for line in cel.lines().filter(|line| !line.starts_with('#')) {
            let line = line.rsplit("~ ").next().unwrap();
            golden.expressions.push(line.into());
        }
        for list in [
            &mut golden.files,
            &mut golden.paths,
            &mut golden.expressions,
        ] {
            list.sort();
            list.dedup();
        }
        golden
    }

    fn folder(&mut self, folder: &FilePath) {
        let mut entries: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                self.folder(&path);
            } else if path.extension().is_some_and(|e| e == "yaml") {
                let bytes = std::fs::read(&path).unwrap();
                if let Ok(text) = std::str::from_utf8(&bytes) {
                    for tree in yaml::read(text).0 {
                        self.tree(&tree.to_value());
                    }
                }
                self.files.push(bytes);
            }
        }
    }

    fn tree(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                if text.starts_with('$') && !text.contains("${") {
                    self.paths.push(text.as_str().into());
                }
                for part in text.split("${").skip(1) {
                    let end = part.rfind('}').unwrap_or(part.len());
                    self.expressions.push(part[..end].into());
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.tree(item)),
            Value::Object(map) => {
                let ordain = value["apiVersion"]
                    .as_str()
                    .is_some_and(|v| v.starts_with("ordain.dev"));
                if !ordain && map.contains_key("apiVersion") && map.contains_key("metadata") {
                    self.objects.push(value.clone());
                }
                if let Some(patch) = map.get("patch").filter(|p| p.is_array()) {
                    self.patches.push(patch.clone());
                }
                map.values().for_each(|value| self.tree(value));
            }
            _ => {}
        }
    }
}

fn record_seeds(golden: &Golden) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = vec![];
    for (n, object) in golden.objects.iter().enumerate() {
        let text = object.to_string();
        seeds.push(match n % 4 {
            0 => text,
            1 => format!("{{\"type\":\"ADDED\",\"object\":{text}}}\n{{\"type\":\"DELETED\",\"object\":{text}}}\n"),
            2 => format!("{{\"kind\":\"List\",\"metadata\":{{\"resourceVersion\":\"7\",\"continue\":\"x\"}},\"items\":[{text},{text}]}}"),
            _ => serde_json::to_string_pretty(object).unwrap(),
        }.into());
    }
    for text in [
        "1.5Gi",
        "1h30m",
        "ghcr.io/shop/web:1.4.2@sha256:00",
        "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"message\":\"too old\"}}\n",
    ] {
        seeds.push(text.into());
    }
    let odd = r#"{"metadata":{"name":"a","managedFields":[{"a":1}],"labels":{"\u00e4\ud83d\ude00":"\n"}},"n":[-1,1.5e3,18446744073709551615,9223372036854775808,-9223372036854775808,1e400,0.0]}"#;
    seeds.push(odd.into());
    seeds
}

fn edit_seeds(golden: &Golden) -> Vec<Vec<u8>> {
    let mut seeds = vec![];
    let objects: Vec<&Value> = golden.objects.iter().chain(WORLD.iter()).collect();
    for (n, patch) in golden.patches.iter().enumerate() {
        for object in [
            objects[n % objects.len()],
            &WORLD[n % WORLD.len()],
            &WORLD[2],
        ] {
            seeds.push(json!({"patch": patch, "object": object}).to_string().into());
        }
    }
    seeds
}

fn state_seeds(_: &Golden) -> Vec<Vec<u8>> {
    let shard = r#"{"version":1,"shards":4,"shard":0,"at":1767225600000,"writer":"w","rules":{"left-over":{"match":"00000000000000ff","matches":{"0123456789abcdef0123456789abcdef":1767225600000,"1123456789abcdef0123456789abcdef":{"since":1767225600000,"doubt":1767225600001,"nth":1,"done":{"event":{"nth":1,"at":1767225600000,"key":"k"}},"pending":{"event":["key",1767225600000]}}},"document":"00000000000000ff","acted":{"ConfigMap/shop/a":1767225600000},"approved":["Deployment.apps/shop/b"],"aborted":"objects","open":{"ConfigMap/shop/a":{"trip":"TooMany","places":["$.data.a"],"others":"kubectl"}}}}}"#;
    let annotation = r#"{"version":1,"uid":"u","by":"ordain-system","former":{"/spec/replicas":{"was":3,"set":0,"made":1},"/data/a":{"set":"x"}},"once":{"patch":{"nth":1,"key":"k"},"scale#1":"x"}}"#;
    let later = r#"{"version":2,"shards":4,"shard":0,"at":1767225600000,"writer":"w","rules":{"left-over":{"match":"00000000000000ff","matches":{"0123456789abcdef0123456789abcdef":{"since":1767225600000,"nth":1,"done":{"event":{"nth":1,"at":1767225600000,"key":"k"}},"pending":{"event":["key",1767225600000]},"waits":[[65536,1767225600000]],"archived":[[0,"00000000000000ff"]]}},"numbers":"00000000000000ff","moments":["00000000000000ff",1767225600000],"holds":[{"group":"apps","version":"v1","kind":"Deployment","metadataOnly":false}],"document":"00000000000000ff","acted":{"ConfigMap/shop/a":1767225600000}}}}"#;
    vec![
        later.into(),
        later.replace("\"shards\":4", "\"shards\":16").into(),
        shard.into(),
        annotation.into(),
        shard.replace("\"shards\":4", "\"shards\":16").into(),
        r#"{"version":2,"shards":1,"shard":0,"rules":{}}"#.into(),
        r#"{"version":1,"shards":1,"shard":0,"rules":{}}"#.into(),
    ]
}

/// A kept input as one line of text: JSON text, or `{"base64": …}` of what is not UTF-8.
pub fn line_of(input: &[u8]) -> String {
    match std::str::from_utf8(input) {
        Ok(text) => json!(text).to_string(),
        Err(_) => json!({"base64": base64::prelude::BASE64_STANDARD.encode(input)}).to_string(),
    }
}

/// The inputs that were kept for a target, as `line_of` wrote them.
pub fn kept(root: &FilePath, target: &str) -> Vec<Vec<u8>> {
    let path = root
        .join("tests/fuzz/corpus")
        .join(format!("{target}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| match serde_json::from_str(line).unwrap() {
            Value::String(text) => text.into_bytes(),
            other => base64::prelude::BASE64_STANDARD
                .decode(other["base64"].as_str().unwrap())
                .unwrap(),
        })
        .collect()
}
