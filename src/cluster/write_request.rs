//! What the engine asks for, as the HTTP request that does it.

use super::api::FIELD_MANAGER;
use super::strategic;
use crate::decide::{Operation, Write};
use crate::rule::Propagation;
use http::{Request, header};
use serde_json::{Value, json};

/// A version that no object has. An apply that asks for it makes an object that is not there, and is 409 where one is: what came in between is
/// never merged into.
const ABSENT: &str = "9223372036854775807";

/// The state that was decided on: another one is 409. An object that was not there has none.
fn precondition(body: &mut Value, write: &Write) {
    let fields = [
        ("uid", &write.uid),
        ("resourceVersion", &write.resource_version),
    ];
    for (field, value) in fields {
        if !value.is_empty() {
            body["metadata"][field] = Value::from(value.as_str());
        }
    }
}

/// The HTTP request of a write at a path; a patch as a strategic merge patch where it can be and the server `merges`.
pub(super) fn request(
    path: &str,
    write: &Write,
    accept: &str,
    merges: bool,
) -> Result<Request<Vec<u8>>, String> {
    let (request, body) = match &write.operation {
        Operation::Patch { status, operations } => {
            let endpoint = if *status {
                format!("{path}/status")
            } else {
                path.to_owned()
            };
            let request = Request::patch(format!(
                "{endpoint}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict"
            ));
            let after = write.expected.as_ref().filter(|_| merges);
            let merged =
                after.and_then(|after| strategic::patch(&write.object.kind, operations, after));
            match merged {
                Some(patch) => (
                    request.header(header::CONTENT_TYPE, strategic::MEDIA),
                    serde_json::to_vec(&patch),
                ),
                None => (
                    request.header(header::CONTENT_TYPE, "application/json-patch+json"),
                    serde_json::to_vec(operations),
                ),
            }
        }
        Operation::Apply {
            manifest,
            manager,
            force,
            ..
        } => {
            let mut body = manifest.clone();
            precondition(&mut body, write);
            // What the daemon keeps of its own, for no rule, takes the place of what it kept before.
            if write.resource_version.is_empty() && !write.rules.is_empty() {
                body["metadata"]["resourceVersion"] = Value::from(ABSENT);
            }
            // The only character of a field manager that a query does not take as it is.
            let manager = manager.replace('/', "%2F");
            let request = Request::patch(format!(
                "{path}?fieldManager={manager}&force={force}&fieldValidation=Strict"
            ))
            .header(header::CONTENT_TYPE, "application/apply-patch+yaml");
            (request, serde_json::to_vec(&body))
        }
        Operation::Archive { .. } => return Err("an archive is no request to a server".into()),
        Operation::Event { event, time, .. } => {
            let mut body = event.clone();
            body["eventTime"] = Value::from(format!("{time:.6}"));
            let request = Request::post(format!(
                "{path}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict"
            ))
            .header(header::CONTENT_TYPE, "application/json");
            (request, serde_json::to_vec(&body))
        }
        Operation::Scale { replicas, .. } => {
            let mut body = json!({"metadata": {}, "spec": {"replicas": replicas}});
            precondition(&mut body, write);
            let request = Request::patch(format!("{path}/scale?fieldManager={FIELD_MANAGER}"))
                .header(header::CONTENT_TYPE, "application/merge-patch+json");
            (request, serde_json::to_vec(&body))
        }
        Operation::Evict => {
            let mut meta = json!({"name": *write.object.name});
            if let Some(namespace) = &write.object.namespace {
                meta["namespace"] = json!(**namespace);
            }
            let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta,
                "deleteOptions": {"preconditions": {"uid": write.uid, "resourceVersion": write.resource_version}}});
            let request = Request::post(format!("{path}/eviction"))
                .header(header::CONTENT_TYPE, "application/json");
            (request, serde_json::to_vec(&eviction))
        }
        Operation::Delete {
            propagation,
            grace_period_seconds,
        } => {
            let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions",
                "preconditions": {"uid": write.uid, "resourceVersion": write.resource_version}});
            if let Some(propagation) = propagation {
                options["propagationPolicy"] = Value::from(match propagation {
                    Propagation::Background => "Background",
                    Propagation::Foreground => "Foreground",
                    Propagation::Orphan => "Orphan",
                });
            }
            if let Some(seconds) = grace_period_seconds {
                options["gracePeriodSeconds"] = Value::from(*seconds);
            }
            (
                Request::delete(path).header(header::CONTENT_TYPE, "application/json"),
                serde_json::to_vec(&options),
            )
        }
    };
    let body = body.map_err(|e| e.to_string())?;
    request
        .header(header::ACCEPT, accept)
        .body(body)
        .map_err(|e| e.to_string())
}
