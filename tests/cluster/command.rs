//! The program run to its end on a real cluster.

use crate::control_plane::tools::{Ran, run};
use std::path::Path;
use std::process::Command;

/// Runs `ordain` in a folder; `KUBECONFIG` leads to the cluster.
pub fn ordain(folder: &Path, kubeconfig: &Path, arguments: &[&str]) -> Ran {
    ordain_with(
        folder,
        arguments,
        &[("KUBECONFIG", kubeconfig.to_str().unwrap())],
    )
}

/// As [`ordain`], with these variables and no others that matter to it.
pub fn ordain_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied());
    run(&mut command)
}
