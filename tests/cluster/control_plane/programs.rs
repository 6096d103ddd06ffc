//! The control plane's programs: found in `$KUBEBUILDER_ASSETS`, in the cache, or built from Go modules, once.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Makes kube-apiserver say which version it is.
const VERSION_FLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37";

/// (program, module folder, package, linker flags)
const PROGRAMS: [(&str, &str, &str, &str); 4] = [
    ("etcd", "kubernetes", "go.etcd.io/etcd/server/v3", "-s -w"),
    (
        "kube-apiserver",
        "kubernetes",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        VERSION_FLAGS,
    ),
    (
        "kube-controller-manager",
        "kubernetes",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        VERSION_FLAGS,
    ),
    (
        "kubectl",
        "kubernetes",
        "k8s.io/kubernetes/cmd/kubectl",
        VERSION_FLAGS,
    ),
];

/// The test harness captures what is printed with macros; builds of minutes must be seen.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn module(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/control-plane")
        .join(folder)
}

/// FNV-1a (Fowler, Noll, Vo), 64 bits: the same on every machine and toolchain.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn cache(folder: &str) -> PathBuf {
    let root = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    let files = ["go.mod", "go.sum"].map(|f| {
        fs::read(module(folder).join(f)).expect("the module files are part of the checkout")
    });
    root.join("ordain/control-plane")
        .join(format!("{:016x}", hash(&files.concat())))
}

/// The path of a program; built if it is nowhere.
pub fn program(name: &str) -> PathBuf {
    let (_, folder, package, flags) = PROGRAMS
        .iter()
        .find(|p| p.0 == name)
        .expect("a program of the control plane");
    if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") {
        let found = Path::new(&assets).join(name);
        if found.is_file() {
            return found;
        }
    }
    let cache = cache(folder);
    let target = cache.join(name);
    if target.is_file() {
        return target;
    }
    fs::create_dir_all(&cache).expect("the cache folder can be made");
    let lock = fs::File::create(cache.join("lock")).expect("the cache folder can be written");
    lock.lock().expect("the cache can be locked");
    if !target.is_file() {
        build(name, folder, package, flags, &target);
    }
    target
}

fn build(name: &str, folder: &str, package: &str, flags: &str, target: &Path) {
    if Command::new("go").arg("version").output().is_err() {
        panic!(
            "the cluster tests need Go 1.26 to build {name}: install it from your distribution or go.dev, or point KUBEBUILDER_ASSETS at ready programs"
        );
    }
    say(&format!(
        "building {name} from Go modules (once; kube-apiserver takes about five minutes)"
    ));
    let started = Instant::now();
    // Built beside its place and moved: a build that was interrupted leaves nothing that looks finished.
    let unfinished = target.with_extension("unfinished");
    let status = Command::new("go")
        .args(["build", "-ldflags", flags, "-o"])
        .arg(&unfinished)
        .arg(package)
        .current_dir(module(folder))
        .env("GOFLAGS", "-mod=mod")
        .env("GOWORK", "off")
        .status()
        .expect("go runs");
    assert!(
        status.success(),
        "go could not build {name}: its own message stands above"
    );
    fs::rename(&unfinished, target).expect("the finished program can be moved");
    say(&format!(
        "built {name} in {} s",
        started.elapsed().as_secs()
    ));
}
