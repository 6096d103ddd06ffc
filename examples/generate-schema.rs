//! Writes `src/schema/builtin.bin`, the compact schema of the built-in kinds, from the OpenAPI v3 of a running kube-apiserver:
//!
//! ```sh
//! cargo run --example generate-schema -- --kubeconfig FILE
//! ```
//!
//! Use a server of the Kubernetes version the release is made against, with its default flags and without CustomResourceDefinitions. What the OpenAPI tells is
//! checked against the server's discovery before anything is written.

use anyhow::{Context, bail, ensure};
use clap::Parser;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use ordain::object::Gvk;
use ordain::schema::Schema;
use serde_json::Value;
use std::path::PathBuf;

/// Most bytes the bundle may add to the binary.
const BUDGET: usize = 300 * 1024;

#[derive(Parser)]
struct Arguments {
    /// Access to the server.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// The file to write.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/builtin.bin"))]
    output: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let access = Kubeconfig::read_from(&arguments.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(access, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;

    let version = get(&client, "/version").await?;
    let version = version["gitVersion"]
        .as_str()
        .context("the server does not say its version")?;
    let index = get(&client, "/openapi/v3").await?;
    let mut names: Vec<&String> = index["paths"]
        .as_object()
        .context("/openapi/v3 lists no documents")?
        .keys()
        .filter(|name| {
            *name == "api/v1" || name.starts_with("apis/") && name.matches('/').count() == 2
        })
        .collect();
    names.sort();
    let mut documents = Vec::new();
    for name in &names {
        documents.push(get(&client, &format!("/openapi/v3/{name}")).await?);
    }
    let (schema, problems) = Schema::empty().with_openapi(&documents);
    ensure!(problems.is_empty(), "{problems:#?}");
    for name in &names {
        agree(&schema, name, &get(&client, &format!("/{name}")).await?)?;
    }

    let bytes = schema.to_bundle(version)?;
    ensure!(
        bytes.len() <= BUDGET,
        "the bundle takes {} bytes, more than {BUDGET}",
        bytes.len()
    );
    std::fs::write(&arguments.output, &bytes)?;
    println!(
        "{}: {} kinds of Kubernetes {version} in {} bytes",
        arguments.output.display(),
        schema.kinds().len(),
        bytes.len()
    );
    Ok(())
}

async fn get(client: &Client, path: &str) -> anyhow::Result<Value> {
    let request = http::Request::get(path).body(Vec::new())?;
    client
        .request(request)
        .await
        .with_context(|| path.to_owned())
}

/// Compares one group and version with its discovery document.
fn agree(schema: &Schema, name: &str, discovery: &Value) -> anyhow::Result<()> {
    let group_version = discovery["groupVersion"]
        .as_str()
        .context("no groupVersion")?;
    let resources = discovery["resources"].as_array().context("no resources")?;
    let has = |wanted: String| resources.iter().any(|resource| resource["name"] == wanted);
    let (mut served, known) = (
        0,
        schema
            .versions()
            .filter(|kind| kind.gvk.api_version() == group_version)
            .count(),
    );
    for resource in resources {
        let (Some(plural), Some(kind)) = (resource["name"].as_str(), resource["kind"].as_str())
        else {
            bail!("{name}: a resource without name or kind");
        };
        if plural.contains('/') {
            continue;
        }
        served += 1;
        let verb = |verb: &str| {
            resource["verbs"]
                .as_array()
                .is_some_and(|verbs| verbs.iter().any(|v| v == verb))
        };
        let Some(found) = schema.kind_at(&Gvk::from_api_version(group_version, kind)) else {
            bail!("{name}: the OpenAPI does not tell of {kind}");
        };
        let told = (
            &*found.plural,
            found.namespaced,
            found.listable,
            found.status,
            found.scale,
        );
        let truth = (
            plural,
            resource["namespaced"] == true,
            verb("list") && verb("watch"),
            has(format!("{plural}/status")),
            has(format!("{plural}/scale")),
        );
        ensure!(
            told == truth,
            "{name}: {kind}: the OpenAPI tells {told:?}, discovery {truth:?}"
        );
        ensure!(found.root().is_some(), "{name}: {kind} has no fields");
    }
    ensure!(
        served == known,
        "{name}: {known} kinds in the OpenAPI, {served} in discovery"
    );
    Ok(())
}
