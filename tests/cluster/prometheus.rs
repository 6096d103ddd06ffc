//! Debian's Prometheus and promtool, and the kinds of the Prometheus operator.

#[path = "../tools/prometheus.rs"]
mod debian;

pub use debian::program;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The module whose CustomResourceDefinitions are used, and the checksum of its content as Go's checksum database has it.
const OPERATOR: (&str, &str) = (
    "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
);

/// The files of the CustomResourceDefinitions ServiceMonitor and PrometheusRule.
pub fn operator_kinds() -> Vec<PathBuf> {
    let output = Command::new("go")
        .args(["mod", "download", "-json", OPERATOR.0])
        .current_dir(std::env::temp_dir())
        .env("GOWORK", "off")
        .output()
        .expect("the cluster tests need Go 1.26");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!(
            "go could not download {}: {}",
            OPERATOR.0,
            String::from_utf8_lossy(&output.stderr)
        )
    });
    assert_eq!(told["Sum"], OPERATOR.1, "not the module it was: {told}");
    let folder = Path::new(told["Dir"].as_str().unwrap()).join("example/prometheus-operator-crd");
    ["servicemonitors", "prometheusrules"]
        .map(|kind| folder.join(format!("monitoring.coreos.com_{kind}.yaml")))
        .to_vec()
}
