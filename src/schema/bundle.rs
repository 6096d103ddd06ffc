//! The built-in kinds, as bytes in the binary: postcard, deflated. `cargo run --example generate-schema` writes them.

use super::build::Builder;
use super::types::{Node, Table};
use super::{KindSchema, Schema};
use crate::object::Gvk;
use ahash::HashMap;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};

static BYTES: &[u8] = include_bytes!("builtin.bin");

/// Bytes a bundle may decode to.
const LARGEST: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
struct Bundle {
    /// As the API server says it: `v1.37.2`.
    kubernetes: String,
    table: Table,
    kinds: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    group: String,
    version: String,
    kind: String,
    plural: String,
    namespaced: bool,
    status: bool,
    scale: bool,
    listable: bool,
    root: Option<u32>,
}

/// A bundle that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The deflated stream is damaged.
    #[error("the schema bundle is damaged: {0}")]
    Stream(#[from] io::Error),
    /// What it decodes to is no schema.
    #[error("the schema bundle is not of this version: {0}")]
    Content(#[from] postcard::Error),
}

/// What is in the binary, decoded once.
pub(super) struct Builtin {
    pub schema: Schema,
    pub kubernetes: String,
    pub groups: BTreeSet<Arc<str>>,
}

pub(super) fn builtin() -> &'static Builtin {
    static BUILTIN: OnceLock<Builtin> = OnceLock::new();
    BUILTIN.get_or_init(|| {
        let (schema, kubernetes) = decode(BYTES).unwrap_or_else(|error| {
            // Only a broken build can come here; a test decodes these very bytes.
            tracing::error!(%error, "no built-in kinds are known");
            (Schema::empty(), String::new())
        });
        let groups = schema
            .kinds()
            .iter()
            .map(|kind| kind.gvk.group.clone())
            .collect();
        Builtin {
            schema,
            kubernetes,
            groups,
        }
    })
}

/// The type of `metadata`, for kinds whose source does not describe it.
pub(super) fn import_object_meta(builder: &mut Builder) -> u32 {
    let pod = builtin()
        .schema
        .kind_at(&Gvk::from_api_version("v1", "Pod"));
    let meta = pod
        .as_ref()
        .and_then(|pod| match pod.types.node(pod.root?) {
            Node::Object { fields, .. } => fields
                .iter()
                .find(|field| pod.types.text(field.name) == "metadata")
                .map(|field| (&pod.types, field.of)),
            _ => None,
        });
    match meta {
        Some((types, at)) => builder.import(types, at, &mut HashMap::default()),
        None => builder.add(Node::Any),
    }
}

pub(super) fn encode(schema: &Schema, kubernetes: &str) -> Result<Vec<u8>, BundleError> {
    let mut builder = Builder::default();
    let mut copied: HashMap<*const Table, HashMap<u32, u32>> = HashMap::default();
    let mut kinds: Vec<Entry> = schema
        .versions()
        .map(|kind| Entry {
            group: kind.gvk.group.to_string(),
            version: kind.gvk.version.to_string(),
            kind: kind.gvk.kind.to_string(),
            plural: kind.plural.to_string(),
            namespaced: kind.namespaced,
            status: kind.status,
            scale: kind.scale,
            listable: kind.listable,
            root: kind.root.map(|root| {
                let done = copied.entry(Arc::as_ptr(&kind.types)).or_default();
                builder.import(&kind.types, root, done)
            }),
        })
        .collect();
    let table = builder.finish(kinds.iter_mut().filter_map(|kind| kind.root.as_mut()));
    let bundle = Bundle {
        kubernetes: kubernetes.to_owned(),
        table,
        kinds,
    };
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
    deflated.write_all(&postcard::to_stdvec(&bundle)?)?;
    Ok(deflated.finish()?)
}

pub(super) fn decode(bytes: &[u8]) -> Result<(Schema, String), BundleError> {
    let mut plain = Vec::new();
    DeflateDecoder::new(bytes)
        .take(LARGEST)
        .read_to_end(&mut plain)?;
    let bundle: Bundle = postcard::from_bytes(&plain)?;
    let types = Arc::new(bundle.table);
    let kinds = bundle.kinds.into_iter().map(|entry| KindSchema {
        gvk: Gvk {
            group: entry.group.into(),
            version: entry.version.into(),
            kind: entry.kind.into(),
        },
        plural: entry.plural.into(),
        namespaced: entry.namespaced,
        status: entry.status,
        scale: entry.scale,
        replicas: None,
        listable: entry.listable,
        types: types.clone(),
        root: entry.root,
    });
    Ok((Schema::empty().with_versions(kinds), bundle.kubernetes))
}
