//! Debian's Prometheus: found in `$PATH`, else its package is downloaded and unpacked, once, outside the checkout. Nothing is installed.
//!
//! On a machine with apt-get it has to be there: a test that needs it fails without it, unless `ORDAIN_WITHOUT_PROMETHEUS` is set.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Says that the tests may go without it.
const WITHOUT: &str = "ORDAIN_WITHOUT_PROMETHEUS";

/// The path of `prometheus` or `promtool`; `None`, after one line on standard error, where this machine cannot have it.
///
/// # Panics
/// It could have it, and does not.
pub fn program(name: &str) -> Option<PathBuf> {
    if let Some(found) = in_path(name) {
        return Some(found);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("ordain/prometheus");
    let program = cache.join("usr/bin").join(name);
    if program.is_file() {
        return Some(program);
    }
    match unpack(&cache) {
        Ok(()) if program.is_file() => Some(program),
        Ok(()) => skip(name, "its package does not hold it"),
        Err(why) => skip(name, &why),
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs = std::env::split_paths(&path).map(|folder| folder.join(name));
    programs.find(|program| program.is_file())
}

fn skip(name: &str, why: &str) -> Option<PathBuf> {
    let may = std::env::var_os(WITHOUT).is_some() || in_path("apt-get").is_none();
    assert!(
        may,
        "there is no {name} here and none can be had: {why}; `apt install prometheus`, or say {WITHOUT}=1 to test without it"
    );
    // Written past the test harness, which shows only what failed tests print.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: there is no {name} here (apt install prometheus) and none can be had: {why}"
    );
    None
}

/// Downloads the package and unpacks it into `cache`.
fn unpack(cache: &Path) -> Result<(), String> {
    let told = |e: std::io::Error| e.to_string();
    let parent = cache.parent().ok_or("there is no cache folder")?;
    fs::create_dir_all(parent).map_err(told)?;
    let lock = fs::File::create(parent.join("prometheus.lock")).map_err(told)?;
    lock.lock().map_err(told)?;
    if cache.is_dir() {
        return Ok(());
    }
    let work = tempfile::tempdir_in(parent).map_err(told)?;
    run(
        Command::new("apt-get").args(["download", "prometheus"]),
        work.path(),
    )?;
    let package = fs::read_dir(work.path())
        .map_err(told)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "deb"))
        .ok_or("apt-get downloaded no package")?;
    let target = work.path().join("unpacked");
    run(
        Command::new("dpkg-deb")
            .arg("-x")
            .arg(&package)
            .arg(&target),
        work.path(),
    )?;
    // Moved when it is whole: an interrupted download leaves nothing that looks finished.
    fs::rename(&target, cache).map_err(told)
}

fn run(command: &mut Command, folder: &Path) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or("it failed").trim();
    Err(format!("{name}: {last}"))
}
