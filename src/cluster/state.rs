//! The state of the daemon in ConfigMaps of its own namespace, one a shard.
//!
//! A shard is written with the `resourceVersion` that this daemon saw last, so that nobody's write is lost unseen: where somebody else has
//! written meanwhile it is read first. What a person has edited or deleted is written anew; what another daemon has written is handed back.
//! What is read is handed on by our own clock, if the writer's was another one.

use super::lease::Fence;
use super::requests::{self, Answer};
use super::skew::Clocks;
use super::wire::Wire;
use super::{api, fault};
use crate::engine::{Fault, Keep, Kept, Outcome};
use crate::state::{Shard, stamp_of};
use futures::future::join_all;
use http::{Request, header};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The label by which the ConfigMaps are found; its value is what the daemon is called, the name of its Lease.
pub const LABEL: &str = "ordain.dev/state";

/// A request that is not answered within this time has an unknown outcome.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a shard is tried again that changes under the hand.
const TRIES: usize = 3;
/// Metadata alone.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// The ConfigMaps.
pub struct StateMaps {
    wire: Wire,
    home: String,
    /// What the daemon is called: two in one namespace keep their own.
    daemon: String,
    writer: String,
    fence: Option<Arc<Fence>>,
    known: Mutex<BTreeMap<String, Known>>,
}

/// What was last seen of a shard.
#[derive(Clone, Default)]
struct Known {
    /// Its `resourceVersion`; empty: it is not there.
    version: String,
    text: Arc<str>,
    /// What was sent last, if nobody knows whether it was taken.
    sent: Option<Arc<str>>,
}

impl StateMaps {
    pub(super) fn new(
        wire: Wire,
        (home, daemon): (String, String),
        writer: String,
        fence: Option<Arc<Fence>>,
    ) -> Self {
        StateMaps {
            wire,
            home,
            daemon,
            writer,
            fence,
            known: Mutex::default(),
        }
    }

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps", self.home)
    }

    /// A label holds less than a name.
    fn label(&self) -> String {
        match self.daemon.len() {
            0..=63 => self.daemon.clone(),
            _ => format!("{:04x}", crate::state::slot_of_rule(&self.daemon)),
        }
    }

    fn name(&self, layout: usize, number: usize) -> String {
        format!("{}-state-{layout}-{number}", self.daemon)
    }

    /// All shards that are there: names and texts.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn recall(&self) -> Result<Vec<(String, String)>, Fault> {
        let (list, clocks) = match self.list("application/json").await {
            // Rights are asked for before it is looked whether there is such a namespace.
            Err(fault @ Fault::Forbidden(_)) => match self.has_no_home().await {
                true => return Ok(vec![]),
                false => return Err(fault),
            },
            listed => listed?,
        };
        let mut known = BTreeMap::new();
        let mut texts = vec![];
        for item in list["items"].as_array().into_iter().flatten() {
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            let text = item["data"]["state"].as_str().unwrap_or_default();
            known.insert(name.to_owned(), seen(item));
            texts.push((name.to_owned(), by_our_clock(name, text, item, clocks)));
        }
        *self.known.lock() = known;
        Ok(texts)
    }

    /// Whether its namespace is known not to exist: then nothing was ever kept there.
    async fn has_no_home(&self) -> bool {
        let request = Request::get(format!("/api/v1/namespaces/{}", self.home))
            .header(header::ACCEPT, "application/json")
            .body(vec![]);
        let answer = self.send(request, TIMEOUT).await;
        answer.is_ok_and(|answer| answer.status.as_u16() == 404)
    }

    async fn list(&self, accept: &str) -> Result<(Value, Option<Clocks>), Fault> {
        let label = LABEL.replace('/', "%2F");
        let path = format!("{}?labelSelector={label}%3D{}", self.path(), self.label());
        let request = Request::get(path)
            .header(header::ACCEPT, accept)
            .body(vec![]);
        let answer = self.send(request, TIMEOUT).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        let clocks = Clocks::of(&answer.headers, Timestamp::now());
        let list = serde_json::from_slice(&answer.body)
            .map_err(|error| Fault::Rejected(format!("the list of its state: {error}")))?;
        Ok((list, clocks))
    }

    /// Shards that are not as they were left, by their numbers. None if nobody can tell.
    pub async fn damaged(&self) -> Vec<usize> {
        let before = self.known.lock().clone();
        let Ok((list, _)) = self.list(METADATA).await else {
            return vec![];
        };
        let there: BTreeMap<&str, &str> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| {
                let meta = &item["metadata"];
                Some((meta["name"].as_str()?, meta["resourceVersion"].as_str()?))
            })
            .collect();
        let now = self.known.lock();
        let mut damaged = vec![];
        for (name, known) in &before {
            // What was written meanwhile is not looked at.
            let untouched = now
                .get(name)
                .is_some_and(|now| now.version == known.version);
            if known.version.is_empty()
                || !untouched
                || there.get(name.as_str()) == Some(&&*known.version)
            {
                continue;
            }
            let number: Option<usize> = name
                .rsplit('-')
                .next()
                .and_then(|number| number.parse().ok());
            damaged.extend(number);
        }
        damaged
    }

    /// Writes shards.
    pub async fn keep(&self, keep: Keep) -> Outcome {
        let layout = keep.layout;
        let writes = keep.shards.iter().map(|(number, text)| async move {
            let name = self.name(layout, *number);
            (*number, self.write(&name, text).await)
        });
        let kept = join_all(writes).await;
        let all = kept
            .iter()
            .all(|(_, kept)| matches!(kept, Kept::Done | Kept::Mended));
        if keep.whole && all {
            self.clear(layout).await;
        }
        Outcome::Kept(kept)
    }

    /// Deletes the shards of other layouts, and what is no shard.
    async fn clear(&self, layout: usize) {
        let ours: Vec<String> = (0..layout)
            .map(|number| self.name(layout, number))
            .collect();
        let others: Vec<String> = {
            let known = self.known.lock();
            let others = known.keys().filter(|name| !ours.contains(name));
            others.cloned().collect()
        };
        for name in others {
            let request = Request::delete(format!("{}/{name}", self.path())).body(vec![]);
            match self.change(request).await {
                Ok(answer) if answer.status.is_success() || answer.status == 404 => {
                    self.known.lock().remove(&name);
                }
                Ok(answer) => {
                    tracing::warn!(name, status = %answer.status, "a shard of the state that is out of use cannot be deleted");
                }
                Err(fault) => {
                    tracing::warn!(
                        name,
                        error = fault.message(),
                        "a shard of the state that is out of use cannot be deleted"
                    );
                }
            }
        }
    }

    async fn write(&self, name: &str, text: &str) -> Kept {
        let mut mended = false;
        for _ in 0..TRIES {
            let known = self.known.lock().get(name).cloned().unwrap_or_default();
            let answer = match self.send_shard(name, text, &known.version).await {
                Ok(answer) => answer,
                Err(fault) => return Kept::Failed(fault),
            };
            let status = answer.status.as_u16();
            if answer.status.is_success() {
                let written: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                self.known.lock().insert(name.to_owned(), seen(&written));
                return match mended {
                    true => Kept::Mended,
                    false => Kept::Done,
                };
            }
            match status {
                // Deleted since: it is made anew.
                404 if !known.version.is_empty() => {
                    mended = true;
                    self.known.lock().remove(name);
                }
                404 => {
                    let message = format!(
                        "there is no namespace {}: create it, or name another with --state-namespace",
                        self.home
                    );
                    return Kept::Failed(Fault::Rejected(message));
                }
                409 => match self.look(name, &known).await {
                    Ok(Look::Ours) => {}
                    Ok(Look::Changed) => mended = true,
                    Ok(Look::Foreign(text)) => return Kept::Foreign(text),
                    Err(fault) => return Kept::Failed(fault),
                },
                _ => return Kept::Failed(self.refusal(&answer)),
            }
        }
        Kept::Failed(Fault::Stale)
    }

    /// Who has written a shard since.
    async fn look(&self, name: &str, known: &Known) -> Result<Look, Fault> {
        let request = Request::get(format!("{}/{name}", self.path()))
            .header(header::ACCEPT, "application/json")
            .body(vec![]);
        let answer = self.send(request, TIMEOUT).await?;
        if answer.status.as_u16() == 404 {
            self.known.lock().remove(name);
            return Ok(Look::Changed);
        }
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        let clocks = Clocks::of(&answer.headers, Timestamp::now());
        let map: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let there = seen(&map);
        self.known.lock().insert(name.to_owned(), there.clone());
        if there.text == known.text || known.sent.as_ref() == Some(&there.text) {
            return Ok(Look::Ours);
        }
        let before = stamp_of(&known.text).map(|(_, at)| at);
        match stamp_of(&there.text) {
            // A person who edits a text leaves the moment alone at which it was written.
            Some((writer, at)) if writer != self.writer && Some(at) > before => {
                Ok(Look::Foreign(by_our_clock(name, &there.text, &map, clocks)))
            }
            _ => Ok(Look::Changed),
        }
    }

    async fn send_shard(&self, name: &str, text: &str, version: &str) -> Result<Answer, Fault> {
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": self.home,
                "labels": {LABEL: self.label(), "app.kubernetes.io/managed-by": "ordain"},
            },
            "data": {"state": text},
        });
        let manager = format!("fieldManager={}", api::FIELD_MANAGER);
        let request = if version.is_empty() {
            Request::post(format!("{}?{manager}", self.path()))
        } else {
            body["metadata"]["resourceVersion"] = json!(version);
            Request::put(format!("{}/{name}?{manager}", self.path()))
        };
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(body.to_string().into_bytes());
        let answer = self.change(request).await;
        let in_doubt = match &answer {
            Err(fault) => matches!(fault, Fault::Timeout | Fault::Unreachable(_)),
            Ok(answer) => answer.status.is_server_error(),
        };
        if in_doubt {
            let mut known = self.known.lock();
            known.entry(name.to_owned()).or_default().sent = Some(text.into());
        }
        answer
    }

    /// A request that writes: not while another replica may lead.
    async fn change(&self, request: http::Result<Request<Vec<u8>>>) -> Result<Answer, Fault> {
        let within = match &self.fence {
            Some(fence) => fence
                .admits(Instant::now())
                .ok_or(Fault::Fenced)?
                .min(TIMEOUT),
            None => TIMEOUT,
        };
        self.send(request, within).await
    }

    async fn send(
        &self,
        request: http::Result<Request<Vec<u8>>>,
        within: Duration,
    ) -> Result<Answer, Fault> {
        let request = request.map_err(|error| Fault::Refused(error.to_string()))?;
        match tokio::time::timeout(within, requests::send(&self.wire, request)).await {
            Err(_) => Err(Fault::Timeout),
            Ok(Err(error)) => Err(fault::of_transport(&error)),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    fn refusal(&self, answer: &Answer) -> Fault {
        fault::of_answer(answer.status, &answer.headers, &answer.body, false)
    }
}

/// Who has written a shard since.
enum Look {
    /// This daemon, though nobody had told it so; or nobody.
    Ours,
    /// A person.
    Changed,
    /// Another daemon, this.
    Foreign(String),
}

/// The text of a shard as our clock would have it. Without a word of the server, or where it cannot be read, it stays as it is.
fn by_our_clock(name: &str, text: &str, map: &Value, clocks: Option<Clocks>) -> String {
    let ahead = || {
        let (writer, at) = stamp_of(text)?;
        let at = Timestamp::from_millisecond(at).ok()?;
        Some((writer, clocks?.ahead(at, map)?))
    };
    let Some((writer, ahead)) = ahead() else {
        return text.to_owned();
    };
    // What is wrong with it is told by whoever reads it: then it stays as it is, too.
    let Ok((mut shard, None)) = Shard::read(text) else {
        return text.to_owned();
    };
    tracing::warn!(
        name,
        writer,
        seconds = ahead.as_secs(),
        "what was remembered was written by a clock that is so far ahead of this one (negative: behind): what has lasted so long has lasted so long"
    );
    shard.shift(-ahead);
    shard.write()
}

fn seen(map: &Value) -> Known {
    let version = map["metadata"]["resourceVersion"].as_str();
    Known {
        version: version.unwrap_or_default().to_owned(),
        text: map["data"]["state"].as_str().unwrap_or_default().into(),
        sent: None,
    }
}
