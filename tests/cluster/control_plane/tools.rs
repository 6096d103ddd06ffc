//! kubectl and helm, run to their end.

use super::Plane;
use super::programs::program;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What came of one command.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// What it printed, if it ended well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self.out
    }

    /// What it printed, as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", self.out, self.err))
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    let output = tokio::task::block_in_place(|| command.output())
        .unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// helm without a cluster: `template`, `lint`, `package`. It keeps nothing of its own.
pub fn helm(arguments: &[&str]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = home.path().join("no-cluster");
    run(helm_command(home.path(), &kubeconfig).args(arguments))
}

/// The objects that `helm template` makes of a chart; `more` are further arguments.
pub fn render(release: &str, chart: &Path, more: &[&str]) -> Result<Vec<Value>, Ran> {
    let chart = chart.display().to_string();
    let mut arguments = vec!["template", release, &chart];
    arguments.extend(more);
    let ran = helm(&arguments);
    if ran.code != 0 {
        return Err(ran);
    }
    let objects: Vec<Value> = serde_saphyr::from_multiple(&ran.out)
        .unwrap_or_else(|e| panic!("the chart makes what is not YAML: {e}\n{}", ran.out));
    Ok(objects.into_iter().filter(|o| !o.is_null()).collect())
}

fn helm_command(home: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program("helm"));
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, home.join(variable));
    }
    command.env("KUBECONFIG", kubeconfig);
    command
}

impl Plane {
    /// helm as the administrator. Its caches lie in the plane's folder.
    pub fn helm(&self, arguments: &[&str]) -> Ran {
        run(helm_command(&self.folder.path().join("helm"), &self.kubeconfig()).args(arguments))
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(program("kubectl"));
        command
            .arg(format!("--cache-dir={}", self.file("kubectl")))
            .env("KUBECONFIG", self.kubeconfig());
        run(command.args(arguments))
    }
}
