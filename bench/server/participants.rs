//! The participants as processes.

use crate::control_plane::Plane;
use crate::process::{Running, cpu_seconds, free_port, memory};
use std::path::Path;
use std::process::{Command, Stdio};

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Ceiling,
    Floor,
    Ordain,
    /// Under a rule that has to see every object.
    OrdainWhole,
    KubeRs,
    Kopf,
    Python,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Who::Ceiling => "ceiling",
            Who::Floor => "floor",
            Who::Ordain => "ordain",
            Who::OrdainWhole => "ordain, whole",
            Who::KubeRs => "kube-rs",
            Who::Kopf => "kopf 1.45",
            Who::Python => "python client 37",
        }
    }

    pub fn needs_python(self) -> bool {
        matches!(self, Who::Kopf | Who::Python)
    }
}

/// A participant at work. It is ended when this is dropped.
pub struct Participant {
    running: Running,
    _folder: tempfile::TempDir,
}

impl Participant {
    /// CPU seconds since its start.
    pub fn cpu(&self) -> f64 {
        cpu_seconds(self.running.0.id())
    }

    /// Memory in MB: now, and the most it ever had.
    pub fn memory(&self) -> (f64, f64) {
        let of = |what| memory(self.running.0.id(), what) / 1e6;
        (of("VmRSS"), of("VmHWM"))
    }
}

fn rule(folder: &Path, label: &str, whole: bool) {
    let lacks = format!("{{path: \"$.metadata.labels['{label}']\", operator: DoesNotExist}}");
    // The same for these objects; but an update of the data may decide it.
    let test = match whole {
        true => format!("{{any: [{lacks}, {{path: $.data.wanted, value: 'yes'}}]}}"),
        false => lacks,
    };
    let text = format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: label}}\nspec:\n  mode: Enforce\n  match:\n    resources: [{{apiVersion: v1, kind: ConfigMap}}]\n  where:\n  - {test}\n  actions:\n  - patch:\n    - {{path: \"$.metadata.labels['{label}']\", set: 'yes'}}\n"
    );
    std::fs::write(folder.join("rule.yaml"), text).unwrap();
}

/// Starts one that gives every ConfigMap a label.
pub fn start(plane: &Plane, who: Who, label: &str, maps: usize, python: &str) -> Participant {
    let folder = tempfile::tempdir().unwrap();
    // Not where the rules are: the daemon follows what happens there.
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let this = || Command::new(std::env::current_exe().unwrap());
    let script = |name: &str| {
        let mut command = Command::new(python);
        command
            .arg(format!("{}/bench/peers/{name}", env!("CARGO_MANIFEST_DIR")))
            .arg(label);
        command
    };
    let command = match who {
        Who::Ceiling => {
            let mut command = this();
            command.args(["ceiling", label, &maps.to_string()]);
            command
        }
        Who::Floor => {
            let mut command = this();
            command.args(["floor", label]);
            command
        }
        Who::KubeRs => {
            let mut command = this();
            command.args(["controller", label]);
            command
        }
        Who::Ordain | Who::OrdainWhole => {
            rule(&rules, label, who == Who::OrdainWhole);
            ordain(&rules)
        }
        Who::Kopf => script("label_kopf.py"),
        Who::Python => script("label_client.py"),
    };
    launch(plane, command, folder)
}

/// The daemon, with the rules of a folder.
pub fn ordain(rules: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    let listen = format!("127.0.0.1:{}", free_port());
    command
        .args(["run", "--write-rate=0", "--listen", &listen, "--rules"])
        .arg(rules);
    command
}

/// Starts a participant against a server; its log goes into its folder.
pub fn launch(plane: &Plane, mut command: Command, folder: tempfile::TempDir) -> Participant {
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    command
        .env("KUBECONFIG", plane.kubeconfig())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    Participant {
        running: Running(command.spawn().unwrap()),
        _folder: folder,
    }
}
