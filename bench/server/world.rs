//! What there is on the server, and who looks at it from outside.

use crate::control_plane::Plane;
use futures::StreamExt;
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use std::collections::BTreeMap;
use std::time::Instant;
use tokio::sync::mpsc;

/// All namespaces of the benchmark begin so.
pub const PREFIX: &str = "bench-";
const NAMESPACES: usize = 100;
/// Of the value of a map.
const BYTES: usize = 1_000;

fn namespace(n: usize) -> String {
    format!("{PREFIX}{:02}", n % NAMESPACES)
}

/// Namespace and name of so many maps.
pub fn names(maps: usize) -> impl Iterator<Item = (String, String)> {
    (0..maps).map(|n| (namespace(n), format!("map-{n:05}")))
}

/// A map of 1 KB.
pub fn map(name: &str, labels: &[&str], filling: usize) -> ConfigMap {
    let label = |key: &&str| ((*key).to_owned(), "yes".to_owned());
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: (!labels.is_empty()).then(|| labels.iter().map(label).collect()),
            ..Default::default()
        },
        data: Some(BTreeMap::from([(
            "text".to_owned(),
            format!("{filling:0BYTES$}"),
        )])),
        ..Default::default()
    }
}

pub async fn make_namespaces(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for n in 0..NAMESPACES {
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(namespace(n)),
                ..Default::default()
            },
            ..Default::default()
        };
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
    }
}

/// Makes so many maps.
pub async fn fill(client: &Client, maps: usize, labels: &[&str]) {
    futures::stream::iter(names(maps))
        .for_each_concurrent(32, |(namespace, name)| {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
            let map = map(&name, labels, 0);
            async move {
                api.create(&PostParams::default(), &map).await.unwrap();
            }
        })
        .await;
}

/// Watches maps with a label, looking at nothing but names: each that comes to have it, and when that was seen.
pub async fn observe(client: &Client, label: &str) -> mpsc::UnboundedReceiver<(String, Instant)> {
    let (sender, seen) = mpsc::unbounded_channel();
    let watch = Watch::begin(client, label).await;
    tokio::spawn(watch.follow(move |line, now| sender.send((name(line), now)).is_ok()));
    seen
}

/// A watch of maps that is looked at as bytes.
pub struct Watch(kube::client::Body);

impl Watch {
    /// Of those that match a selector from now on.
    pub async fn begin(client: &Client, selector: &str) -> Watch {
        let list = format!("/api/v1/configmaps?labelSelector={selector}&limit=1");
        let request = http::Request::get(list).body(vec![]).unwrap();
        let answer: serde_json::Value = client.request(request).await.unwrap();
        let version = answer["metadata"]["resourceVersion"].as_str().unwrap();
        Watch::ask(client, selector, &format!("&resourceVersion={version}")).await
    }

    /// Of those that match a selector, the ones that are there first.
    pub async fn of_all(client: &Client, selector: &str) -> Watch {
        Watch::ask(client, selector, "").await
    }

    async fn ask(client: &Client, selector: &str, from: &str) -> Watch {
        let watch = format!(
            "/api/v1/configmaps?labelSelector={selector}&watch=1{from}&timeoutSeconds=3600"
        );
        let request = http::Request::get(watch)
            .body(kube::client::Body::empty())
            .unwrap();
        Watch(client.send(request).await.unwrap().into_body())
    }

    /// Hands each line on that a map of the benchmark was added by, until nobody wants more.
    pub async fn follow(self, mut added: impl FnMut(&[u8], Instant) -> bool) {
        let mut frames = self.0.into_data_stream();
        let mut rest: Vec<u8> = vec![];
        while let Some(Ok(frame)) = frames.next().await {
            let now = Instant::now();
            rest.extend_from_slice(&frame);
            let mut start = 0;
            while let Some(length) = memchr::memchr(b'\n', &rest[start..]) {
                let line = &rest[start..start + length];
                // Some participants label the server's own maps, too.
                if line.starts_with(b"{\"type\":\"ADDED\"")
                    && memchr::memmem::find(line, b"\"namespace\":\"bench-").is_some()
                    && !added(line, now)
                {
                    return;
                }
                start += length + 1;
            }
            rest.drain(..start);
        }
    }
}

/// The name of the map on a line.
pub fn name(line: &[u8]) -> String {
    text_after(line, b"\"metadata\":{\"name\":\"")
}

/// The namespace of the map on a line.
pub fn namespace_of(line: &[u8]) -> String {
    text_after(line, b"\"namespace\":\"")
}

fn text_after(line: &[u8], before: &[u8]) -> String {
    let at = memchr::memmem::find(line, before).unwrap() + before.len();
    let length = memchr::memchr(b'"', &line[at..]).unwrap();
    String::from_utf8(line[at..at + length].to_vec()).unwrap()
}

/// Patches of maps that the server has answered so far, and how many of them changed nothing or failed is not asked: all count.
pub fn patches(plane: &Plane) -> usize {
    let requests = plane.audit().all(PREFIX);
    let of_maps = requests.iter().filter(|r| r.resource == "configmaps");
    of_maps.filter(|r| r.verb == "patch").count()
}
