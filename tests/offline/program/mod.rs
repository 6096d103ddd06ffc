//! Running the program as a user does, and waiting for what it says.

mod archives;
mod check;
mod cluster;
mod daemon;
mod explain;
mod metrics;
mod once;
mod parameters;
mod parameters_of_one_rule;
mod picks;
mod plan;
mod plans;
mod rbac;
mod ready;
mod reloads;
mod rule_tests;
mod seen;
mod state;
mod usage;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of one command.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", self.out, self.err))
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command.args(arguments).current_dir(folder);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDAIN_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end in a folder.
pub fn ordain(folder: &Path, arguments: &[&str]) -> Ran {
    ordain_with(folder, arguments, &[], "")
}

/// As [`ordain`], with variables and standard input.
pub fn ordain_with(
    folder: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
    input: &str,
) -> Ran {
    let mut child = command(folder, arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        put(dir.path(), name, text);
    }
    dir
}

/// Writes a file, its folders too.
pub fn put(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A rule in Enforce that sets a label of ConfigMaps that have another one.
pub fn label_rule(name: &str, label: &str, value: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata:\n  name: {name}\nspec:\n  mode: Enforce\n  match:\n    resources:\n    \
         - {{apiVersion: v1, kind: ConfigMap}}\n  where:\n  - {{path: $.metadata.labels.{label}, operator: NotEquals, value: {value}}}\n  \
         actions:\n  - patch:\n    - {{path: $.metadata.labels.{label}, set: {value}}}\n"
    )
}

/// A ConfigMap of the namespace `shop`.
pub fn config_map(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: shop\ndata:\n  key: value\n---\n"
    )
}

/// Text that grows while others wait for it.
#[derive(Default)]
struct Heard {
    text: Mutex<String>,
    grown: Condvar,
}

impl Heard {
    fn listen(source: impl Read + Send + 'static) -> Arc<Heard> {
        let heard = Arc::new(Heard::default());
        let speaking = heard.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines() {
                let Ok(line) = line else { return };
                speaking.text.lock().unwrap().push_str(&(line + "\n"));
                speaking.grown.notify_all();
            }
        });
        heard
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        let mut text = self.text.lock().unwrap();
        while !holds(&text) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}; heard:\n{text}");
            text = self.grown.wait_timeout(text, left).unwrap().0;
        }
        text.clone()
    }
}

/// A daemon that runs until it is dropped.
pub struct Running {
    child: Child,
    out: Arc<Heard>,
    log: Arc<Heard>,
    address: String,
}

impl Running {
    /// Starts `ordain run` on a free port and waits until it listens.
    pub fn start(folder: &Path, arguments: &[&str]) -> Running {
        Running::start_within(&[], folder, arguments)
    }

    /// As [`Running::start`], by a program that becomes the one that is named behind its own arguments: `setpriv`, `unshare`.
    pub fn start_within(outer: &[&str], folder: &Path, arguments: &[&str]) -> Running {
        let mut all = vec!["run", "--listen", "127.0.0.1:0", "--log-format", "json"];
        all.extend(arguments);
        let mut command = command(folder, &all);
        if let [program, more @ ..] = outer {
            let inner = std::mem::replace(&mut command, Command::new(program));
            command
                .args(more)
                .arg(inner.get_program())
                .args(inner.get_args())
                .current_dir(folder);
            for (name, _) in inner.get_envs() {
                command.env_remove(name);
            }
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = Heard::listen(child.stdout.take().unwrap());
        let log = Heard::listen(child.stderr.take().unwrap());
        let listening = log.wait_for("the address", |t| t.contains("\"listening\""));
        let line = listening
            .lines()
            .find(|l| l.contains("\"listening\""))
            .unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let address = line["address"].as_str().unwrap().to_owned();
        Running {
            child,
            out,
            log,
            address,
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until standard output contains a text so many times.
    pub fn printed(&self, text: &str, times: usize) -> String {
        self.out.wait_for(&format!("{times} × {text:?}"), |t| {
            t.matches(text).count() >= times
        })
    }

    /// Waits until the log contains a text.
    pub fn logged(&self, text: &str) -> String {
        self.log.wait_for(text, |t| t.contains(text))
    }

    /// Everything printed so far.
    pub fn output(&self) -> String {
        self.out.text.lock().unwrap().clone()
    }

    /// Status line's code and body of an answer.
    pub fn request(&self, method: &str, path: &str, headers: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = match headers.contains("Host: ") {
            true => "",
            false => "Host: x\r\n",
        };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: 0\r\n{headers}\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        (code, body)
    }

    /// Waits until a page holds what is wanted.
    pub fn page(&self, path: &str, holds: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let (_, body) = self.request("GET", path, "");
            if holds(&body) {
                return body;
            }
            assert!(Instant::now() < end, "{path} never holds it: {body}");
            // Each request is a round trip through the daemon's runtime: no busy loop.
            std::thread::yield_now();
        }
    }

    pub fn status(&self, holds: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let parse = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap();
        parse(&self.page("/status", |body| holds(&parse(body))))
    }

    /// Asks it to stop, and answers its exit code.
    pub fn stop(mut self) -> i32 {
        // SAFETY: the process is our own child and has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
