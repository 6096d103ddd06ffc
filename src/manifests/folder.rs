//! The cluster of `run --manifests`: a [`World`] behind the same trait as a real cluster, which follows the edits of its files.

use super::world::{is_namespace, seen};
use super::{Manifest, Manifests, World, export, load, state_file};
use crate::cluster::{Cluster, Message, Sender};
use crate::decide::Write;
use crate::engine::{Fault, Keep, Kept, Observation, Outcome, WatchedKind};
use crate::object::ObjectKey;
use crate::rule::problem::Problem;
use crate::rules_dir::{FileSet, files, watch};
use crate::schema::Schema;
use futures::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What one message carries at most.
const BATCH: usize = 512;

/// The cluster.
#[derive(Clone)]
pub struct Folder {
    state: Arc<Mutex<State>>,
    base: Schema,
    /// Where what rules remember is kept.
    kept: Option<PathBuf>,
    /// To the task that sends: observations keep their order, and nobody waits while holding the state.
    outbox: mpsc::UnboundedSender<Message>,
}

struct State {
    world: World,
    followed: Vec<WatchedKind>,
    /// What each object's manifest says now.
    manifests: BTreeMap<ObjectKey, Manifest>,
}

impl Folder {
    /// Reads the files below `paths`. Problems of single documents are handed back; the rest is there.
    pub fn read(
        paths: &[PathBuf],
        base: &Schema,
        sender: Sender,
    ) -> (Folder, FileSet, Vec<Problem>) {
        let set = files::read(paths, load::LONGEST);
        let mut manifests = Manifests::from_files(&set);
        let (schema, _) = manifests.schema(base);
        let mut state = State {
            world: World::new(schema),
            followed: vec![],
            manifests: BTreeMap::new(),
        };
        state.replace(&mut manifests, Timestamp::now());
        state.world.take_events();
        let (outbox, letters) = mpsc::unbounded_channel();
        tokio::spawn(send(letters, sender));
        let folder = Folder {
            state: Arc::new(Mutex::new(state)),
            base: base.clone(),
            kept: None,
            outbox,
        };
        (folder, set, manifests.problems)
    }

    /// Keeps what rules remember in a file from now on.
    pub fn keep_in(&mut self, file: Option<PathBuf>) {
        self.kept = file;
    }

    /// Follows the files until the daemon stops. `known` is what [`read`](Self::read) saw.
    pub async fn follow_files(self, paths: Vec<PathBuf>, known: FileSet) {
        let (sender, mut changes) = mpsc::channel(1);
        let watching = watch::follow(paths, load::LONGEST, &known, sender);
        let taking = async {
            while let Some(set) = changes.recv().await {
                self.files_changed(&set);
            }
        };
        tokio::join!(watching, taking);
    }

    fn files_changed(&self, set: &FileSet) {
        if set.unreadable.iter().any(|u| u.whole) {
            for u in &set.unreadable {
                tracing::warn!(path = %u.path, error = %u.reason, "manifests cannot be read: the last state stays");
            }
            return;
        }
        let mut manifests = Manifests::from_files(set);
        for problem in &manifests.problems {
            tracing::warn!(
                file = %problem.place.file,
                line = problem.place.line,
                error = %problem.message,
                "this manifest is left out: its object stays as it was"
            );
        }
        let (schema, problems) = manifests.schema(&self.base);
        for problem in problems {
            tracing::warn!(error = %problem, "this CustomResourceDefinition is left out");
        }
        let now = Timestamp::now();
        let mut state = self.state.lock();
        let definitions = |state: &State| -> Vec<Value> {
            state
                .manifests
                .iter()
                .filter(|(k, _)| &*k.kind.kind == "CustomResourceDefinition")
                .map(|(_, m)| m.value.clone())
                .collect()
        };
        let before = definitions(&state);
        let seen_changed = state.world.schema().seen() != schema.seen();
        state.world.set_schema(schema);
        let (changed, gone) = state.replace(&mut manifests, now);
        let kinds_changed = seen_changed || definitions(&state) != before;
        let events = state.events();
        tracing::info!(changed, gone, "manifests were read again");
        if kinds_changed {
            self.tell(Message::KindsChanged);
        }
        self.observed(events);
    }

    /// Writes the objects as they are now. Answers how many.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn export(&self, folder: &Path) -> std::io::Result<usize> {
        let state = self.state.lock();
        let input: Vec<Manifest> = state.manifests.values().cloned().collect();
        export::write(folder, &state.world, &input)
    }

    fn observed(&self, mut events: Vec<Observation>) {
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(BATCH));
            self.tell(Message::Observed(std::mem::replace(&mut events, rest)));
        }
    }

    fn tell(&self, message: Message) {
        // Nobody listens any more only when the daemon has stopped.
        let _ = self.outbox.send(message);
    }
}

/// Passes messages on in order, as fast as the daemon takes them.
async fn send(mut letters: mpsc::UnboundedReceiver<Message>, sender: Sender) {
    while let Some(message) = letters.recv().await {
        if sender.send(message).await.is_err() {
            return;
        }
    }
}

impl State {
    /// Makes the world say what the manifests say: objects whose manifest changed are replaced, those whose document vanished are deleted. Where some
    /// document of a file is broken, nothing of that file is deleted: it may be the broken one.
    fn replace(&mut self, manifests: &mut Manifests, now: Timestamp) -> (usize, usize) {
        let mut next: BTreeMap<ObjectKey, Manifest> = BTreeMap::new();
        manifests.drop_duplicates(&self.world);
        for manifest in std::mem::take(&mut manifests.objects) {
            next.insert(self.world.key_of(&manifest.value), manifest);
        }
        let broken = |file: &str| {
            manifests
                .problems
                .iter()
                .any(|problem| *problem.place.file == *file)
        };
        let (mut changed, mut gone) = (0, 0);
        for (key, manifest) in &self.manifests {
            if !next.contains_key(key) {
                if broken(&manifest.file) {
                    next.insert(key.clone(), manifest.clone());
                } else {
                    if is_namespace(key) {
                        self.world.undescribe(key, now);
                    } else {
                        self.world.delete(key, now);
                    }
                    gone += 1;
                }
            }
        }
        for (key, manifest) in &next {
            if self
                .manifests
                .get(key)
                .is_none_or(|m| m.value != manifest.value)
            {
                self.world.put(&manifest.value, now);
                changed += 1;
            }
        }
        self.manifests = next;
        (changed, gone)
    }

    /// What happened to kinds that are followed.
    fn events(&mut self) -> Vec<Observation> {
        let followed = &self.followed;
        self.world
            .take_events()
            .into_iter()
            .filter_map(|event| match &event {
                Observation::Applied { kind, record } => followed
                    .iter()
                    .find(|w| w.kind == *kind)
                    .map(|watched| seen(watched, record)),
                Observation::Deleted { key, .. } => {
                    followed.iter().any(|w| w.kind == key.kind).then_some(event)
                }
                _ => None,
            })
            .collect()
    }
}

impl Cluster for Folder {
    fn schema(&self) -> BoxFuture<'_, anyhow::Result<Schema>> {
        let schema = self.state.lock().world.schema().clone();
        Box::pin(async move { Ok(schema) })
    }

    fn follow(&self, kinds: Vec<WatchedKind>) {
        let mut state = self.state.lock();
        let mut list = state.events();
        for kind in &kinds {
            if !state.followed.contains(kind) {
                list.extend(state.world.list(kind));
            }
        }
        state.followed = kinds;
        self.observed(list);
    }

    fn write(&self, write: Write) -> BoxFuture<'static, Outcome> {
        let folder = self.clone();
        Box::pin(async move {
            let mut state = folder.state.lock();
            let outcome = state.world.write(&write, Timestamp::now());
            let events = state.events();
            folder.observed(events);
            outcome
        })
    }

    fn read(&self, key: ObjectKey) -> BoxFuture<'static, Outcome> {
        let outcome = self.state.lock().world.read(&key);
        Box::pin(async move { outcome })
    }

    fn recall(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, Fault>> {
        let file = self.kept.clone();
        Box::pin(async move {
            let Some(file) = file else {
                return Ok(vec![]);
            };
            match state_file::read(&file) {
                Ok(text) => Ok(text
                    .map(|text| (file.display().to_string(), text))
                    .into_iter()
                    .collect()),
                Err(error) => Err(Fault::Rejected(format!("{}: {error}", file.display()))),
            }
        })
    }

    fn keeps_in_one(&self) -> bool {
        true
    }

    fn keep(&self, keep: Keep) -> BoxFuture<'static, Outcome> {
        let file = self.kept.clone();
        Box::pin(async move {
            let written = keep.shards.into_iter().map(|(number, text)| {
                let written = match &file {
                    Some(file) => state_file::write(file, &text),
                    None => Ok(()),
                };
                let kept = match written {
                    Ok(()) => Kept::Done,
                    Err(error) => Kept::Failed(Fault::Rejected(error.to_string())),
                };
                (number, kept)
            });
            Outcome::Kept(written.collect())
        })
    }

    fn set_frozen(&self, _frozen: bool) {
        // Nothing waits here.
    }

    fn managers(&self, _key: ObjectKey) -> BoxFuture<'static, Outcome> {
        // Files have no field managers.
        Box::pin(async { Outcome::Managers(vec![]) })
    }
}
