//! Debian's Prometheus and promtool, and the kinds of the Prometheus operator.

use crate::control_plane::programs::say;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The module whose CustomResourceDefinitions are used, and the checksum of its content as Go's checksum database has it.
const OPERATOR: (&str, &str) = (
    "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
);

/// `prometheus` or `promtool`: in PATH, else of Debian's package, unpacked into the cache.
pub fn program(name: &str) -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&paths)
        .map(|p| p.join(name))
        .find(|p| p.is_file())
    {
        return found;
    }
    static PACKAGE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PACKAGE.get_or_init(package) {
        Ok(folder) => folder.join("usr/bin").join(name),
        Err(why) => panic!(
            "these tests need prometheus and promtool: install the package `prometheus` ({why})"
        ),
    }
}

/// Debian's package, unpacked outside the checkout; nothing is installed.
fn package() -> Result<PathBuf, String> {
    let root = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    let cache = root.join("ordain");
    let target = cache.join("prometheus");
    fs::create_dir_all(&cache).map_err(|e| e.to_string())?;
    let lock = fs::File::create(cache.join("prometheus.lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    if target.is_dir() {
        return Ok(target);
    }
    say("fetching Debian's package of Prometheus (once, 19 MB)");
    // Unpacked beside its place and moved: what was interrupted leaves nothing that looks finished.
    let unfinished = cache.join("prometheus.unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(unfinished.join("deb")).map_err(|e| e.to_string())?;
    run(Command::new("apt-get")
        .args(["download", "prometheus"])
        .current_dir(unfinished.join("deb")))?;
    let package = fs::read_dir(unfinished.join("deb")).map_err(|e| e.to_string())?;
    let package = package
        .flatten()
        .map(|e| e.path())
        .find(|p| p.extension() == Some("deb".as_ref()));
    let package = package.ok_or("apt-get fetched no package")?;
    run(Command::new("dpkg-deb")
        .arg("-x")
        .arg(&package)
        .arg(&unfinished))?;
    fs::remove_dir_all(unfinished.join("deb")).map_err(|e| e.to_string())?;
    fs::rename(&unfinished, &target).map_err(|e| e.to_string())?;
    Ok(target)
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}

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
