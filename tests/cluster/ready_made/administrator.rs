//! The administrator's hands: what a person does to the cluster in a case, and sees there.

use super::case::{Case, Step};
use crate::control_plane::Plane;
use k8s_openapi::api::events::v1::Event;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use ordain::object::Gvk;
use ordain::schema::Schema;
use serde_json::{Value, json};

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

/// What its kind is called in paths and in the audit log.
pub fn plural(object: &Value) -> String {
    let of = |field: &str| object[field].as_str().unwrap();
    match of("kind") {
        // Their definitions are not bundled.
        "WebApp" => "webapps".to_owned(),
        "Certificate" => "certificates".to_owned(),
        "CustomResourceDefinition" => "customresourcedefinitions".to_owned(),
        kind => {
            let gvk = Gvk::from_api_version(of("apiVersion"), kind);
            Schema::bundled().kind_at(&gvk).unwrap().plural.to_string()
        }
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

    /// The object as it is now; none if it is gone.
    pub async fn look(&self, object: &Value) -> Option<Value> {
        let name = object["metadata"]["name"].as_str().unwrap();
        let found = self.api(object).get_opt(name).await.unwrap()?;
        Some(serde_json::to_value(found).unwrap())
    }

    /// The Events that Ordain wrote about objects of a case.
    pub async fn events(&self, case: &Case) -> Vec<Event> {
        let all: Api<Event> = Api::all(self.client.clone());
        let list = all.list(&ListParams::default()).await.unwrap();
        let ours = list.items.into_iter().filter(|event| {
            let about = event.regarding.as_ref().unwrap();
            let namespace = about.namespace.as_deref().unwrap_or_default();
            event.reporting_controller.as_deref() == Some("ordain.dev/ordain")
                && case.has(namespace, about.name.as_deref().unwrap())
        });
        ours.collect()
    }

    fn api(&self, object: &Value) -> Api<DynamicObject> {
        let of = |field: &str| object[field].as_str().unwrap();
        let gvk = Gvk::from_api_version(of("apiVersion"), of("kind"));
        let plural = plural(object);
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
