//! A case: the objects of a rule on a real server, step by step.

use crate::control_plane::Plane;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use ordain::object::Gvk;
use ordain::schema::Schema;
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
    /// All that Ordain writes: `VERB RESOURCE[/SUBRESOURCE] [NAMESPACE/]NAME`.
    #[serde(default)]
    pub done: Vec<String>,
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
    path: PathBuf,
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

    /// What Ordain has written in its namespaces and on its objects without a namespace, by the audit log from this place on.
    pub fn written(&self, plane: &Plane, from: usize) -> BTreeSet<String> {
        let namespaces = self.namespaces();
        let names: BTreeSet<&str> = self
            .objects()
            .filter(|o| o["metadata"]["namespace"].is_null())
            .filter_map(|o| o["metadata"]["name"].as_str())
            .collect();
        let mut audit = plane.audit().of_ordain("");
        let requests = audit.drain(from.min(audit.len())..);
        let ours = requests.filter(|r| match r.namespace.as_str() {
            "" => names.contains(&*r.name),
            // The audit log has the Namespace's own name as its namespace.
            namespace => namespaces.contains(namespace),
        });
        ours.map(|r| {
            let resource = match r.subresource.as_str() {
                "" => r.resource.clone(),
                sub => format!("{}/{sub}", r.resource),
            };
            let object = match (r.namespace.as_str(), r.resource.as_str()) {
                ("", _) | (_, "namespaces") => r.name.clone(),
                (namespace, _) => format!("{namespace}/{}", r.name),
            };
            let refused = match r.code {
                200..300 => String::new(),
                code => format!(" refused with {code}"),
            };
            format!("{} {resource} {object}{refused}", r.verb)
        })
        .collect()
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

/// An object to create: null takes a field away from one that is there.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// What rules apply, beside what a case puts.
const APPLIED: [(&str, &str); 9] = [
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    ("apps/v1", "Deployment"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
];

/// The administrator's hands.
pub struct Cluster {
    client: kube::Client,
}

impl Cluster {
    pub async fn new(plane: &Plane) -> Cluster {
        Cluster {
            client: plane.client().await,
        }
    }

    fn api(&self, object: &Value) -> Api<DynamicObject> {
        let of = |field: &str| object[field].as_str().unwrap();
        let gvk = Gvk::from_api_version(of("apiVersion"), of("kind"));
        let plural = match &*gvk.kind {
            // Their definitions are not bundled.
            "WebApp" => "webapps".to_owned(),
            "Certificate" => "certificates".to_owned(),
            "CustomResourceDefinition" => "customresourcedefinitions".to_owned(),
            _ => Schema::bundled().kind_at(&gvk).unwrap().plural.to_string(),
        };
        let resource = ApiResource {
            group: gvk.group.to_string(),
            version: gvk.version.to_string(),
            api_version: gvk.api_version(),
            kind: gvk.kind.to_string(),
            plural,
        };
        match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Creates an object, or changes it if it is there, and its status.
    pub async fn put(&self, object: &Value) {
        let api = self.api(object);
        let name = object["metadata"]["name"].as_str().unwrap();
        let made: DynamicObject = serde_json::from_value(without_nulls(object)).unwrap();
        if api.get_opt(name).await.unwrap().is_some() {
            // Labels, annotations and all fields that the object says; null removes one.
            let patch = Patch::Merge(object);
            api.patch(name, &PatchParams::default(), &patch)
                .await
                .unwrap_or_else(|error| panic!("{object}: {error}"));
        } else {
            api.create(&PostParams::default(), &made)
                .await
                .unwrap_or_else(|error| panic!("{object}: {error}"));
        }
        if !object["status"].is_null() {
            let status = Patch::Merge(json!({"status": object["status"]}));
            api.patch_status(name, &PatchParams::default(), &status)
                .await
                .unwrap_or_else(|error| panic!("{object}: {error}"));
        }
    }

    /// Makes the namespaces of a case.
    pub async fn prepare(&self, case: &Case) {
        let definitions = case
            .path
            .parent()
            .unwrap()
            .join("tests")
            .join(&case.name)
            .join("crd.yaml");
        if let Ok(text) = std::fs::read_to_string(definitions) {
            self.put(&serde_saphyr::from_str(&text).unwrap()).await;
        }
        for namespace in case.namespaces() {
            self.make_namespace(case, &namespace).await;
        }
    }

    /// A Namespace of a case, and the ServiceAccount that Pods need, which a controller would make.
    async fn make_namespace(&self, case: &Case, name: &str) {
        let ours =
            |o: &&Value| o["kind"] == "Namespace" && o["metadata"]["name"].as_str() == Some(name);
        let mut namespace = match case.objects().find(ours) {
            Some(object) => object.clone(),
            None => json!({"metadata": {}}),
        };
        namespace["apiVersion"] = "v1".into();
        namespace["kind"] = "Namespace".into();
        namespace["metadata"]["name"] = name.into();
        self.put(&namespace).await;
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}});
        self.put(&account).await;
    }

    /// What a step changes, as a person would.
    pub async fn change(&self, step: &Step) {
        for object in &step.put {
            let mut object = object.clone();
            let doomed = object["metadata"]["deletionTimestamp"].take();
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.retain(|key, value| key != "deletionTimestamp" || !value.is_null());
            }
            self.with_owners(&mut object).await;
            self.put(&object).await;
            if !doomed.is_null() {
                self.remove(&object).await;
            }
        }
        for object in &step.remove {
            self.remove(object).await;
        }
    }

    /// Owners are named by kind and name in a case; their uid is known only now.
    async fn with_owners(&self, object: &mut Value) {
        let namespace = object["metadata"]["namespace"].clone();
        let owners = object["metadata"].get_mut("ownerReferences");
        let Some(owners) = owners.and_then(Value::as_array_mut) else {
            return;
        };
        for owner in owners {
            let named = json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "metadata": {"namespace": namespace}});
            let name = owner["name"].as_str().unwrap();
            let live = self.api(&named).get(name).await.unwrap();
            owner["uid"] = json!(live.metadata.uid.unwrap());
        }
    }

    async fn remove(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let at_once = DeleteParams {
            grace_period_seconds: Some(0),
            ..Default::default()
        };
        match self.api(object).delete(name, &at_once).await {
            Err(kube::Error::Api(error)) if error.code == 404 => {}
            other => drop(other.unwrap_or_else(|error| panic!("{object}: {error}"))),
        }
    }

    /// Takes the objects of a case away, but for its Namespaces.
    pub async fn clear(&self, case: &Case) {
        for object in case.objects().filter(|o| o["kind"] != "Namespace") {
            let name = object["metadata"]["name"].as_str().unwrap();
            let api = self.api(object);
            self.remove(object).await;
            // What protects it while it is in use is taken off by controllers that do not run here.
            let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            let _ = api.patch(name, &PatchParams::default(), &free).await;
        }
        for namespace in case.namespaces() {
            for (api_version, kind) in APPLIED {
                let named = json!({"apiVersion": api_version, "kind": kind, "metadata": {"namespace": namespace}});
                let all = ListParams::default();
                self.api(&named)
                    .delete_collection(&DeleteParams::default(), &all)
                    .await
                    .unwrap();
            }
        }
    }
}
