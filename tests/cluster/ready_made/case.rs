//! A case: the objects of a rule on a real server, step by step.

use crate::control_plane::Plane;
use crate::control_plane::audit::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A rule that is about nothing: a daemon needs one.
pub const NOTHING: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: nothing}
spec:
  match:
    resources: [{apiVersion: v1, kind: Namespace}]
    names: [no-such-namespace]
  actions:
  - warn: {message: here}
";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// One step of a case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Created, or replaced if they are there; their status too.
    #[serde(default)]
    pub put: Vec<Value>,
    /// Objects of the case that a person deletes: kind and name.
    #[serde(default)]
    pub remove: Vec<Value>,
    /// All that Ordain writes, once each: `VERB RESOURCE[/SUBRESOURCE] [NAMESPACE/]NAME`.
    #[serde(default)]
    pub done: Vec<String>,
    /// What objects are like then, see [`super::left::differences`]; every object that was written to is one of them.
    #[serde(default)]
    pub left: Vec<Value>,
    /// All Events that Ordain writes: `REASON OBJECT: NOTE`.
    #[serde(default)]
    pub events: Vec<String>,
    /// What the files are like that come into the archive; whole objects, as in `left`.
    #[serde(default)]
    pub archived: Vec<Value>,
    /// All that it tells: `REASON OBJECT`.
    #[serde(default)]
    pub findings: Vec<String>,
}

/// The case of one file of `rules/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    #[serde(skip)]
    pub name: String,
    #[serde(skip)]
    pub path: PathBuf,
    /// `[text, other text]` of the rule.
    #[serde(default)]
    adapt: Vec<(String, String)>,
    pub steps: Vec<Step>,
}

/// Topic and name of each file of rules.
pub fn files() -> Vec<(String, String)> {
    let mut found = vec![];
    for topic in std::fs::read_dir(root().join("rules")).unwrap().flatten() {
        for file in std::fs::read_dir(topic.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = file.path();
            if path.extension().is_some_and(|e| e == "yaml") {
                let topic = topic.file_name().to_string_lossy().into_owned();
                found.push((
                    topic,
                    path.file_stem().unwrap().to_string_lossy().into_owned(),
                ));
            }
        }
    }
    found.sort();
    found
}

/// The cases of all rules.
pub fn all() -> Vec<Case> {
    let folder = root().join("tests/cluster/ready_made/cases");
    let mut cases = vec![];
    for (topic, name) in files() {
        let text = std::fs::read_to_string(folder.join(format!("{name}.yaml")));
        let text = text.unwrap_or_else(|_| panic!("the rule {name} has no case"));
        let mut case: Case =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        case.path = root()
            .join("rules")
            .join(topic)
            .join(format!("{name}.yaml"));
        case.name = name;
        cases.push(case);
    }
    cases
}

impl Case {
    /// The rules, in Enforce.
    pub fn text(&self) -> String {
        let mut text = std::fs::read_to_string(&self.path).unwrap();
        for (from, to) in &self.adapt {
            assert!(text.contains(from), "{}: no {from:?} in it", self.name);
            text = text.replace(from, to);
        }
        text.replace("mode: Audit", "mode: Enforce")
    }

    /// The same, about nothing but the namespaces and objects of the case.
    pub fn text_for_its_own(&self) -> String {
        let mut documents = vec![];
        for document in self.text().split("\n---\n") {
            let mut document: Value = serde_saphyr::from_str(document).unwrap();
            let resources = document["spec"]["match"]["resources"].as_array().cloned();
            let kinds: BTreeSet<String> = resources
                .into_iter()
                .flatten()
                .filter_map(|r| r["kind"].as_str().map(str::to_owned))
                .collect();
            let everywhere = [
                "Namespace",
                "Node",
                "PersistentVolume",
                "ClusterRoleBinding",
            ];
            let is_global = |kind: &String| everywhere.contains(&&**kind);
            if kinds.iter().all(is_global) && !kinds.is_empty() {
                let ours = self
                    .objects()
                    .filter(|o| kinds.iter().any(|k| o["kind"] == **k));
                let names: BTreeSet<&str> = ours
                    .filter_map(|o| o["metadata"]["name"].as_str())
                    .collect();
                document["spec"]["match"]["names"] = json!(names);
            } else if !kinds.iter().any(is_global) && !kinds.is_empty() {
                document["spec"]["match"]["namespaces"] = json!(self.namespaces());
            }
            documents.push(document.to_string());
        }
        documents.join("\n---\n")
    }

    /// Their names.
    pub fn rules(&self) -> Vec<String> {
        let text = self.text();
        let documents = text.split("\n---\n").filter(|d| d.contains("kind: Rule\n"));
        documents
            .map(|document| {
                let document: Value = serde_saphyr::from_str(document).unwrap();
                document["metadata"]["name"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    pub fn is_of(&self, rule: &str) -> bool {
        self.rules().iter().any(|name| name == rule)
    }

    /// Every object that it puts.
    pub fn objects(&self) -> impl Iterator<Item = &Value> {
        self.steps.iter().flat_map(|step| &step.put)
    }

    /// The namespaces that it is played in.
    pub fn namespaces(&self) -> BTreeSet<String> {
        let namespaces = self.objects().filter_map(|o| match o["kind"].as_str()? {
            "Namespace" => o["metadata"]["name"].as_str(),
            _ => o["metadata"]["namespace"].as_str(),
        });
        namespaces.map(str::to_owned).collect()
    }

    /// What Ordain has written in its namespaces and on its objects without a namespace, but for Events, by the audit log from this place on.
    pub fn written(&self, plane: &Plane, from: usize) -> Vec<Request> {
        let mut audit = plane.audit().of_ordain("");
        let requests = audit.drain(from.min(audit.len())..);
        let ours = requests.filter(|r| match r.namespace.as_str() {
            "" => self.has("", &r.name),
            // The audit log has the Namespace's own name as its namespace.
            namespace => self.has(namespace, &r.name),
        });
        ours.collect()
    }

    /// Whether an object is in one of its namespaces, or is one of its own without a namespace.
    pub fn has(&self, namespace: &str, name: &str) -> bool {
        match namespace {
            "" => self
                .objects()
                .any(|o| o["metadata"]["namespace"].is_null() && o["metadata"]["name"] == *name),
            namespace => self.namespaces().contains(namespace),
        }
    }

    /// What its rules tell of objects in its namespaces, or of its objects without one.
    pub fn told(&self, status: &Value) -> BTreeSet<String> {
        let listed = status["findings"]["listed"].as_array().unwrap().iter();
        let namespaces = self.namespaces();
        let told = listed.filter(|f| self.is_of(f["rule"].as_str().unwrap()));
        told.filter(|f| {
            let object = f["object"].as_str().unwrap();
            let place = object.split('/').rev().nth(1).unwrap_or_default();
            let named = self.objects().any(|o| {
                let name = o["metadata"]["name"].as_str().unwrap();
                o["metadata"]["namespace"].is_null() && object.ends_with(&format!("/{name}"))
            });
            named || namespaces.contains(place)
        })
        .map(|f| {
            let (reason, object) = (f["reason"].as_str().unwrap(), f["object"].as_str().unwrap());
            format!("{reason} {object}")
        })
        .collect()
    }
}

/// A request as a case says it.
pub fn said(request: &Request) -> String {
    let resource = match request.subresource.as_str() {
        "" => request.resource.clone(),
        sub => format!("{}/{sub}", request.resource),
    };
    let object = match (request.namespace.as_str(), request.resource.as_str()) {
        ("", _) | (_, "namespaces") => request.name.clone(),
        (namespace, _) => format!("{namespace}/{}", request.name),
    };
    let refused = match request.code {
        200..300 => String::new(),
        code => format!(" refused with {code}"),
    };
    format!("{} {resource} {object}{refused}", request.verb)
}
