//! The control plane's programs: found in `$KUBEBUILDER_ASSETS`, in the cache, or built from Go modules, once.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Makes kube-apiserver say which version it is.
const VERSION_FLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37";

/// A program that can be built.
struct Source {
    name: &'static str,
    /// A folder of `tests/control-plane`.
    module: &'static str,
    package: &'static str,
    linker_flags: &'static str,
}

const fn of_kubernetes(name: &'static str, package: &'static str) -> Source {
    Source {
        name,
        module: "kubernetes",
        package,
        linker_flags: VERSION_FLAGS,
    }
}

const SOURCES: [Source; 7] = [
    Source {
        name: "etcd",
        module: "kubernetes",
        package: "go.etcd.io/etcd/server/v3",
        linker_flags: "-s -w",
    },
    of_kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    of_kubernetes(
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    of_kubernetes("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    of_kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    Source {
        name: "kwok",
        module: "kwok-helm",
        package: "sigs.k8s.io/kwok/cmd/kwok",
        linker_flags: "-s -w",
    },
    Source {
        name: "helm",
        module: "kwok-helm",
        package: "helm.sh/helm/v4/cmd/helm",
        linker_flags: "-s -w",
    },
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
    let source = SOURCES
        .iter()
        .find(|s| s.name == name)
        .expect("a program of the control plane");
    if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") {
        let found = Path::new(&assets).join(name);
        if found.is_file() {
            return found;
        }
    }
    cached(source.module, name, |target| build(source, target))
}

/// kwok's own description of how Nodes and Pods come to life, at once: a file of Stages.
pub fn kwok_stages() -> PathBuf {
    cached("kwok-helm", "kwok-stages.yaml", |target| {
        let kwok = module_folder("kwok-helm", "sigs.k8s.io/kwok");
        let stages = ["node", "pod"].map(|of| kwok.join("kustomize/stage").join(of).join("fast"));
        let mut files: Vec<PathBuf> = stages
            .iter()
            .flat_map(|folder| fs::read_dir(folder).expect("kwok brings its stages"))
            .map(|entry| entry.expect("the module can be read").path())
            .filter(|path| path.file_name() != Some("kustomization.yaml".as_ref()))
            .filter(|path| path.extension() == Some("yaml".as_ref()))
            .collect();
        files.sort();
        let texts = files
            .iter()
            .map(|path| fs::read_to_string(path).expect("the module can be read"));
        fs::write(target, texts.collect::<Vec<_>>().join("\n---\n"))
            .expect("the cache folder can be written");
    })
}

/// A file of the cache; made if it is not there.
fn cached(module: &str, name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let cache = cache(module);
    let target = cache.join(name);
    if target.is_file() {
        return target;
    }
    fs::create_dir_all(&cache).expect("the cache folder can be made");
    let lock = fs::File::create(cache.join("lock")).expect("the cache folder can be written");
    lock.lock().expect("the cache can be locked");
    if !target.is_file() {
        // Made beside its place and moved: what was interrupted leaves nothing that looks finished.
        let unfinished = cache.join(format!("{name}.unfinished"));
        make(&unfinished);
        fs::rename(&unfinished, &target).expect("the finished file can be moved");
    }
    target
}

/// The go command in the folder of a module, which it does not change.
fn go(module: &str, wanted: &str) -> Command {
    if Command::new("go").arg("version").output().is_err() {
        panic!(
            "the cluster tests need Go 1.26 to build {wanted}: install it from your distribution or go.dev, or point KUBEBUILDER_ASSETS at ready programs"
        );
    }
    let mut command = Command::new("go");
    command
        .current_dir(self::module(module))
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off");
    command
}

fn build(source: &Source, target: &Path) {
    let name = source.name;
    let mut go = go(source.module, name);
    say(&format!(
        "building {name} from Go modules (once; kube-apiserver takes about five minutes)"
    ));
    let started = Instant::now();
    let status = go
        .args(["build", "-ldflags", source.linker_flags, "-o"])
        .args([target.as_os_str(), source.package.as_ref()])
        .status()
        .expect("go runs");
    assert!(
        status.success(),
        "go could not build {name}: its own message stands above"
    );
    say(&format!(
        "built {name} in {} s",
        started.elapsed().as_secs()
    ));
}

/// Where Go keeps the files of a dependency of one of our modules; downloaded if need be.
fn module_folder(module: &str, dependency: &str) -> PathBuf {
    let output = go(module, dependency)
        .args(["mod", "download", "-json", dependency])
        .output()
        .expect("go runs");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!(
            "go could not download {dependency}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    PathBuf::from(told["Dir"].as_str().expect("go tells the folder"))
}
