//! The daemon as a process, with rules and a kubeconfig, watched through its log and `/status`.

use crate::control_plane::processes::{free_port, spawn};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// What a test waits for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `ordain run`. It is killed when this is dropped.
pub struct Daemon {
    child: Child,
    arguments: Vec<String>,
    port: u16,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts it with one file of rules. `more` are further arguments.
    pub fn start(kubeconfig: &Path, rules: &str, more: &[&str]) -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        std::fs::write(folder.path().join("rules/rules.yaml"), rules).unwrap();
        let mut arguments = vec![
            "run".to_owned(),
            format!("--rules={}", folder.path().join("rules").display()),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--listen=127.0.0.1:{port}"),
        ];
        if !more.iter().any(|m| m.starts_with("--log-format")) {
            arguments.push("--log-format=text".to_owned());
        }
        let named = |m: &&str| m.starts_with("--lease-name") || m.starts_with("--leader-election");
        if !more.iter().any(named) {
            // Each remembers for itself.
            arguments.push(format!("--lease-name=t{port}"));
        }
        arguments.extend(more.iter().map(|m| (*m).to_owned()));
        let child = run(&arguments, folder.path());
        Daemon {
            child,
            arguments,
            port,
            folder,
        }
    }

    /// Saves other rules in the place of those that it was started with.
    pub fn save_rules(&self, rules: &str) {
        std::fs::write(self.folder.path().join("rules/rules.yaml"), rules).unwrap();
    }

    /// The folder of its rules.
    pub fn rules(&self) -> PathBuf {
        self.folder.path().join("rules")
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`Daemon::kill`] or [`Daemon::stop`].
    pub fn start_again(&mut self) {
        self.child = run(&self.arguments, self.folder.path());
    }

    /// Asks it to stop and waits until it has; answers its exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        // SAFETY: a plain system call; the process is our child and has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                started.elapsed() < PATIENCE,
                "it does not stop\n{}",
                self.log()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The end of all it has printed.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// All it has printed.
    pub fn whole_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `/status`, if it answers.
    pub async fn status(&self) -> Option<Value> {
        let (code, body) = self.http("GET", "/status").await?;
        (code == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    /// A request without a body: status code and answer.
    pub async fn http(&self, method: &str, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Waits until its status is as wanted.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let status = self.status().await;
            if let Some(status) = &status
                && done(status)
            {
                return status.clone();
            }
            if let Some(exit) = self.child.try_wait().unwrap() {
                panic!("it ended ({exit}) while waiting for {what}\n{}", self.log());
            }
            assert!(
                started.elapsed() < PATIENCE,
                "never saw {what}; status {}\n{}",
                status.unwrap_or_default(),
                self.log()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until every kind has been listed.
    pub async fn ready(&mut self) {
        self.until("that it is ready", |s| s["ready"] == true).await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(arguments: &[String], folder: &Path) -> Child {
    spawn(
        PathBuf::from(env!("CARGO_BIN_EXE_ordain")),
        arguments.to_vec(),
        &folder.join("log"),
    )
}

/// Waits until `done`, which asks whoever knows.
pub async fn until<F: Future<Output = bool>>(
    what: &str,
    daemon: &Daemon,
    mut done: impl FnMut() -> F,
) {
    let started = Instant::now();
    while !done().await {
        assert!(
            started.elapsed() < PATIENCE,
            "never saw {what}\n{}",
            daemon.log()
        );
        sleep(Duration::from_millis(50)).await;
    }
}
