//! What is seen of a server through lists and watches, without a daemon.

use ordain::cluster::api::Api as Server;
use ordain::cluster::connection::ConnectOptions;
use ordain::cluster::{Cluster, Message};
use ordain::engine::{Lost, Observation, WatchedKind};
use ordain::object::GroupKind;
use ordain::rule::watch_scope::WatchScope;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// What has been seen, kept as the store keeps it: a new list replaces what the old one had.
pub struct Seen {
    server: Server,
    messages: mpsc::Receiver<Message>,
    objects: BTreeMap<String, String>,
    listing: Option<BTreeMap<String, String>>,
    /// Lists that were completed.
    pub lists: usize,
    pub lost: Option<Lost>,
    pub kinds_changed: usize,
}

impl Seen {
    pub async fn connect(kubeconfig: PathBuf, namespaces: &[&str]) -> Seen {
        Self::connect_with(kubeconfig, namespaces, (None, None)).await
    }

    pub async fn connect_with(
        kubeconfig: PathBuf,
        namespaces: &[&str],
        (watch_seconds, watches): (Option<u64>, Option<u32>),
    ) -> Seen {
        let (sender, messages) = mpsc::channel(64);
        let options = ConnectOptions {
            kubeconfig: Some(kubeconfig),
            namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect(),
            watch_seconds,
            watches,
            ..ConnectOptions::default()
        };
        let server = Server::connect(&options, sender).await.unwrap();
        Seen {
            server,
            messages,
            objects: BTreeMap::new(),
            listing: None,
            lists: 0,
            lost: None,
            kinds_changed: 0,
        }
    }

    pub fn follow(&self, group: &str, version: &str, kind: &str, metadata_only: bool) {
        self.server.follow(vec![WatchedKind {
            kind: GroupKind::new(group, kind),
            version: version.into(),
            metadata_only,
            scope: WatchScope::default(),
        }]);
    }

    fn take(&mut self, observation: Observation) {
        match observation {
            Observation::ListStarted { .. } => self.listing = Some(BTreeMap::new()),
            Observation::ListDone { .. } => {
                self.objects = self.listing.take().unwrap_or_default();
                self.lists += 1;
                self.lost = None;
            }
            Observation::Applied { record, .. } => {
                let meta = record.meta();
                let key = format!("{}/{}", meta.namespace().unwrap_or(""), meta.name());
                let to = self.listing.as_mut().unwrap_or(&mut self.objects);
                to.insert(key, meta.label("step").unwrap_or("").to_owned());
            }
            Observation::Deleted { key, .. } => {
                self.objects.remove(&format!(
                    "{}/{}",
                    key.namespace.as_deref().unwrap_or(""),
                    key.name
                ));
            }
            Observation::Lost { why, .. } => self.lost = Some(why),
            Observation::Undecodable { reason, .. } => panic!("{reason}"),
        }
    }

    /// Takes what comes until `done`.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Seen) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            while !done(self) {
                match self.messages.recv().await.unwrap() {
                    Message::Observed(observations) | Message::Followed(_, observations) => {
                        observations.into_iter().for_each(|o| self.take(o))
                    }
                    Message::KindsChanged => {
                        self.kinds_changed += 1;
                        self.server.schema().await.unwrap();
                    }
                }
            }
        });
        if waited.await.is_err() {
            panic!(
                "never saw {what}; lists {}, lost {:?}, objects {:?}",
                self.lists, self.lost, self.objects
            );
        }
    }

    /// The step of an object, if it was seen.
    pub fn step(&self, namespace: &str, name: &str) -> Option<&str> {
        let step = self.objects.get(&format!("{namespace}/{name}"));
        step.map(String::as_str)
    }

    pub fn has(&self, namespace: &str, expected: &[(&str, &str)]) -> bool {
        let prefix = format!("{namespace}/");
        let there: Vec<(&str, &str)> = self
            .objects
            .iter()
            .filter_map(|(key, step)| Some((key.strip_prefix(&prefix)?, step.as_str())))
            .filter(|(name, _)| *name != "kube-root-ca.crt")
            .collect();
        there == expected
    }
}
