//! What `docs/recipes.md` tells people to type, and the values that `docs/install.md` shows.

use crate::chart::chart;
use crate::control_plane::tools::{render, run};
use crate::control_plane::{Options, Plane};
use crate::scene::found;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, ServiceAccount};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

async fn make<K>(api: Api<K>, object: Value)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let object: K = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

/// The commands of the page, with the rule in whose part they stand.
fn commands() -> Vec<(String, String)> {
    let (mut waiting, mut found) = (vec![], vec![]);
    for line in page("recipes.md").lines() {
        if let Some(command) = line.strip_prefix("    kubectl ") {
            waiting.push(command.to_owned());
        } else if let Some(file) = line.strip_prefix("`rules/") {
            let file = file.split('`').next().unwrap();
            let rule = Path::new(file).file_stem().unwrap().to_string_lossy();
            let told = waiting.drain(..);
            found.extend(told.map(|command| (command, rule.clone().into_owned())));
        }
    }
    assert!(waiting.is_empty(), "{waiting:?} belong to no rule");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_recipes_tell_to_type_makes_their_rules_look() {
    let plane = Plane::start(Options {
        controller_manager: true,
        ..Options::default()
    });
    let client = plane.client().await;
    for name in ["shop", "platform"] {
        make::<Namespace>(
            Api::all(client.clone()),
            json!({"metadata": {"name": name}}),
        )
        .await;
    }
    let spec = json!({"containers": [{
        "name": "web", "image": "web:1", "envFrom": [{"configMapRef": {"name": "web"}}]}]});
    let pod = json!({"metadata": {"name": "web-5d9f7", "labels": {"app": "web"}}, "spec": spec});
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    found(
        || "the account that Pods have".into(),
        || async { accounts.get_opt("default").await.unwrap() },
    )
    .await;
    make::<Pod>(Api::default_namespaced(client.clone()), pod).await;
    let labels = json!({"app": "web"});
    let deployment = json!({"metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": spec}}});
    make::<Deployment>(Api::default_namespaced(client.clone()), deployment).await;
    let map = json!({"metadata": {"name": "web"}, "data": {"a": "b"}});
    make::<ConfigMap>(Api::default_namespaced(client.clone()), map).await;
    let secret = json!({"metadata": {"name": "registry-pull"}, "stringData": {"a": "b"}});
    make::<Secret>(Api::namespaced(client.clone(), "platform"), secret).await;
    let mut typed = std::collections::BTreeMap::new();
    for (command, rule) in commands() {
        let words: Vec<&str> = command.split(' ').collect();
        plane.kubectl(&words).ok();
        *typed.entry(rule).or_insert(0) += 1;
    }
    for (rule, object) in [
        ("break-glass", "ClusterRoleBinding/tina-tonight"),
        ("copied-secrets", "Secret/platform/registry-pull"),
        ("quarantine", "Pod/default/web-5d9f7"),
        ("restart-on-change", "Deployment/default/web"),
    ] {
        assert!(typed.remove(rule).is_some(), "{rule} tells nothing to type");
        let mut explain = Command::new(env!("CARGO_BIN_EXE_ordain"));
        explain
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["explain", rule, object, "--output=json", "--rules=rules"])
            .env("KUBECONFIG", plane.kubeconfig());
        let told = run(&mut explain).json();
        let matches = told["matches"].as_array().unwrap();
        let chosen = matches.iter().all(|m| m["outcome"] == "passed");
        // It acts, knows when it will, or waits for the first change.
        let acts = told["outcome"].as_str().unwrap().starts_with("it matches");
        let waits = told["heldSince"].is_string() || told["lookAgain"].is_string();
        assert!(chosen && (acts || waits), "{rule}: {told}");
    }
    assert!(
        typed.is_empty(),
        "nobody looks whether these do anything: {typed:?}"
    );
}

#[test]
fn the_values_of_the_page_on_installing_bring_their_rule_along() {
    let page = page("install.md");
    let begins = page.find("\n    rules:\n").unwrap() + 1;
    let block = page[begins..].lines().map_while(|l| l.strip_prefix("    "));
    let values = block.collect::<Vec<_>>().join("\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, &values).unwrap();
    let made = render(
        "ordain",
        &chart(),
        &[
            "--values",
            &file.display().to_string(),
            "--set=rbac.create=false",
        ],
    );
    let made = made.unwrap_or_else(|ran| panic!("{}", ran.err));
    let shown: Value = serde_saphyr::from_str(&values).unwrap();
    let inline = shown["rules"]["inline"].as_object().unwrap();
    for (name, rule) in inline {
        let mounted = made.iter().find(|o| o["data"].get(name).is_some());
        assert_eq!(&mounted.unwrap()["data"][name], rule);
        let rules = folder.path().join(name);
        std::fs::write(&rules, rule.as_str().unwrap()).unwrap();
        run(Command::new(env!("CARGO_BIN_EXE_ordain"))
            .arg("check")
            .arg(&rules))
        .ok();
    }
}
