//! `docs/install.md`, command by command, on a real control plane.

use crate::control_plane::programs::program;
use crate::control_plane::tools::{Ran, run};
use crate::control_plane::{Options, Plane};
use crate::scene::define;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: [&str; 5] = ["helm ", "kubectl ", "ordain ", "docker ", "promtool "];

/// What needs more than an API server: an engine for images, a kubelet, another program.
const ELSEWHERE: [&str; 3] = ["docker ", "helm test ", "promtool "];

/// The commands of the page, in their order.
fn commands() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install.md");
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.lines().filter_map(|l| l.strip_prefix("    "));
    let is_command = |line: &&str| PROGRAMS.iter().any(|program| line.starts_with(program));
    code.filter(is_command).map(str::to_owned).collect()
}

/// A copy of what the commands use of the checkout, and the programs in a folder of their own.
struct Desk {
    folder: tempfile::TempDir,
    kubeconfig: PathBuf,
}

impl Desk {
    fn new(kubeconfig: PathBuf) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for part in ["charts", "deploy", "rules"] {
            let mut copy = Command::new("cp");
            copy.arg("-RL").arg(root.join(part)).arg(folder.path());
            run(&mut copy).ok();
        }
        let programs = folder.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        for (name, path) in [
            ("helm", program("helm")),
            ("kubectl", program("kubectl")),
            ("ordain", PathBuf::from(env!("CARGO_BIN_EXE_ordain"))),
        ] {
            std::os::unix::fs::symlink(path, programs.join(name)).unwrap();
        }
        Desk { folder, kubeconfig }
    }

    /// Types a command.
    fn types(&self, line: &str) -> Ran {
        let at = |name: &str| self.folder.path().join(name);
        let path = format!(
            "{}:{}",
            at("bin").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let mut shell = Command::new("sh");
        shell
            .args(["-c", line])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", &self.kubeconfig);
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            shell.env(variable, at(variable));
        }
        run(&mut shell)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_page_on_installing_works() {
    let plane = Plane::start(Options {
        controller_manager: true,
        ..Options::default()
    });
    let client = plane.client().await;
    // What the page takes for granted: namespaces with something in them, and in its last part the Prometheus operator.
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in ["shop", "warehouse"] {
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
    }
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        define(&crds, "monitoring.coreos.com", kind).await;
    }
    let desk = Desk::new(plane.kubeconfig());
    let commands = commands();
    let installs = commands
        .iter()
        .find(|c| c.starts_with("helm install "))
        .unwrap();
    let installed = || {
        desk.types("helm status ordain --namespace ordain-system")
            .code
            == 0
    };
    let mut done = 0;
    for line in &commands {
        if ELSEWHERE.iter().any(|other| line.starts_with(other)) {
            continue;
        }
        // The page's parts are alternatives: one begins without a release, another with one.
        if line.starts_with("helm install ") || line.starts_with("kubectl apply -k ") {
            if installed() {
                desk.types("helm uninstall ordain --namespace ordain-system --wait")
                    .ok();
            }
        } else if line.starts_with("helm ") && !installed() {
            desk.types(installs).ok();
        }
        let ran = desk.types(line);
        assert_eq!(ran.code, 0, "{line}\n{}\n{}", ran.out, ran.err);
        done += 1;
        // What it leaves is a Deployment as the page says.
        if line.starts_with("helm install ") || line.starts_with("helm upgrade ") {
            let deployments: Api<Deployment> = Api::namespaced(client.clone(), "ordain-system");
            let made = deployments.get("ordain").await.unwrap().spec;
            if line.contains("replicas=2") {
                assert_eq!(made.replicas, Some(2));
            }
            let container = &made.template.spec.unwrap().containers[0];
            let arguments = container.args.clone().unwrap_or_default();
            let only = |name: &str| arguments.contains(&format!("--namespace={name}"));
            if line.contains("namespaces={shop,warehouse}") {
                assert!(only("shop") && only("warehouse"), "{arguments:?}");
            }
            assert!(
                container
                    .image
                    .as_ref()
                    .is_some_and(|image| image.contains("ordain")),
                "{container:?}"
            );
        }
    }
    assert!(done >= 12, "{done} commands of {commands:?}");
}
