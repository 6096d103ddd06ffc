//! What a step leaves behind: objects as they are then, Events, files of the archive.

use super::administrator::{Cluster, plural};
use super::case::{Case, Step};
use crate::control_plane::Plane;
use crate::control_plane::audit::Request;
use k8s_openapi::api::events::v1::Event;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A time that is written so in a case is one of the last minutes.
const NOW: &str = "<now>";

/// In seconds: how long ago `<now>` may be.
const LATELY: i64 = 120;

/// In what an object is not as a case says. A field that the case does not name is free, one that it says to be null is not there, and a
/// list has the elements that it says, in that order, and no more.
pub fn differences(wanted: &Value, found: &Value, path: &str) -> Vec<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(fields)) => {
            let of = |(name, wanted): (&String, &Value)| {
                let found = fields.get(name).unwrap_or(&Value::Null);
                differences(wanted, found, &format!("{path}.{name}"))
            };
            wanted.iter().flat_map(of).collect()
        }
        // Of what is not there, nothing is there.
        (Value::Object(_), Value::Null) => differences(wanted, &json!({}), path),
        (Value::Array(wanted), Value::Array(items)) if wanted.len() == items.len() => {
            let pairs = wanted.iter().zip(items).enumerate();
            let of = |(n, (w, f))| differences(w, f, &format!("{path}[{n}]"));
            pairs.flat_map(of).collect()
        }
        (Value::String(wanted), Value::String(found)) if wanted == NOW => match is_now(found) {
            true => vec![],
            false => vec![format!("{path} is {found}, and that is not now")],
        },
        _ if wanted == found => vec![],
        _ => vec![format!("{path} is {found} and should be {wanted}")],
    }
}

fn is_now(time: &str) -> bool {
    let passed = |time: jiff::Timestamp| jiff::Timestamp::now().as_second() - time.as_second();
    time.parse().is_ok_and(|t| (0..LATELY).contains(&passed(t)))
}

/// What is not so of the objects that a step leaves, and which of those that were written to are not said.
pub async fn objects(
    step: &Step,
    case: &Case,
    written: &[Request],
    cluster: &Cluster,
) -> Vec<String> {
    let mut failures = vec![];
    for wanted in &step.left {
        let name = format!("{} {}", wanted["kind"], wanted["metadata"]["name"]);
        match cluster.look(wanted).await {
            None => failures.push(format!("{name} is not there")),
            Some(found) => failures.extend(differences(wanted, &found, &name)),
        }
    }
    for request in written {
        let is_it = |o: &&Value| {
            let place = &o["metadata"]["namespace"];
            let same_place = place.is_null() || *place == *request.namespace;
            plural(o) == request.resource && o["metadata"]["name"] == *request.name && same_place
        };
        let removes = request.verb == "delete" || request.subresource == "eviction";
        if !removes && !step.left.iter().any(|o| is_it(&o)) {
            failures.push(format!(
                "nothing is said of what is left of {} {}",
                request.resource, request.name
            ));
        }
        // What was applied is not among the objects of a case: that it goes is in the audit log.
        let object = case.objects().find(is_it);
        if let Some(object) = object.filter(|_| removes)
            && let Some(found) = cluster.look(object).await
            && found["metadata"]["deletionTimestamp"].is_null()
        {
            failures.push(format!("{} {} stays", request.resource, request.name));
        }
    }
    failures
}

/// The Events and files that there were before a step.
pub struct Before {
    events: BTreeSet<String>,
    audited: usize,
    files: BTreeSet<PathBuf>,
}

impl Before {
    pub async fn new(case: &Case, cluster: &Cluster, plane: &Plane, archive: &Path) -> Before {
        let events = cluster.events(case).await;
        Before {
            events: events.iter().map(name).collect(),
            audited: plane.audit().events_of_ordain("").len(),
            files: files(archive),
        }
    }

    /// The Events that have come, as a case says them, in order; one that was written a second time is there twice.
    pub async fn events(&self, case: &Case, cluster: &Cluster, plane: &Plane) -> Vec<String> {
        // In this order: who wrote what is there is in the log.
        let events = cluster.events(case).await;
        let audited = plane.audit().events_of_ordain("");
        let mut told = vec![];
        for event in events {
            let name = name(&event);
            let requests = audited[self.audited..].iter().filter(|r| r.name == name);
            let times = requests.count();
            let is_new = !self.events.contains(&name);
            assert!(!is_new || times > 0, "who wrote {event:?}?");
            told.extend(std::iter::repeat_n(said(&event), times));
        }
        told.sort();
        told
    }

    /// The manifests that have come into the archive.
    pub fn archived(&self, archive: &Path) -> Vec<Value> {
        let files = files(archive);
        let new = files.difference(&self.files);
        new.map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
        })
        .collect()
    }
}

fn name(event: &Event) -> String {
    event.metadata.name.clone().unwrap()
}

fn said(event: &Event) -> String {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let about = event.regarding.as_ref().unwrap();
    let place = match &about.namespace {
        Some(namespace) => format!("{namespace}/"),
        None => String::new(),
    };
    let (kind, name) = (of(&about.kind), of(&about.name));
    let (reason, note) = (of(&event.reason), of(&event.note));
    format!("{reason} {kind}/{place}{name}: {note}")
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path)),
        }
    }
    found
}
