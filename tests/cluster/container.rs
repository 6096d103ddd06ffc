//! A Pod's container as a process: what a container runtime and the kubelet would make of it.
//!
//! Where the kernel lets us, it runs in a file system of its own: the program, what the Pod mounts, `/proc` and the system's libraries (the
//! program of the tests is linked to them; that of the image is not), all of it read-only. So the rendered arguments, environment, the
//! ServiceAccount's token and the mounted rules are used exactly as they are. The user's number is not imitated: only root may give one
//! away. Where the kernel does not allow it, paths in arguments are replaced, and a kubeconfig stands for the mounted token.

use crate::control_plane::Plane;
use crate::control_plane::processes::start;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, EnvVar, KeyToPath, Pod, ProjectedVolumeSource, ServiceAccount, Volume,
};
use kube::api::{Api, PostParams};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// What a test waits for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where every Pod finds its ServiceAccount.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The image's entry point, as deploy/Dockerfile has it.
const ENTRYPOINT: &str = "/ordain";

/// A running container. It is killed when this is dropped.
pub struct Container {
    child: Child,
    pod: Pod,
    volumes: PathBuf,
    port: u16,
    client: kube::Client,
    folder: tempfile::TempDir,
}

impl Container {
    /// Starts the first container of a Pod that the API server has. `hosts` are names that mean this machine.
    pub async fn start(plane: &Plane, pod: &Pod, hosts: &[&str]) -> Container {
        let folder = tempfile::tempdir().unwrap();
        let client = plane.client().await;
        let volumes = folder.path().join("volumes");
        mount_volumes(&client, pod, &volumes).await;
        let spec = pod.spec.as_ref().unwrap();
        let container = &spec.containers[0];
        let mut binds = vec![];
        for mount in container.volume_mounts.iter().flatten() {
            assert_eq!(mount.sub_path, None, "a subPath does not see changes");
            binds.push((volumes.join(&mount.name), mount.mount_path.clone()));
        }
        let mut command;
        let args = container.args.clone().unwrap_or_default();
        assert!(
            !args.iter().any(|a| a.contains("$(")),
            "nothing here expands $(VARIABLE): {args:?}"
        );
        if isolation() {
            let root = file_system(folder.path(), &binds, hosts);
            command = Command::new(ENTRYPOINT);
            command.env_clear().args(&args);
            root.enter(&mut command);
        } else {
            command = Command::new(env!("CARGO_BIN_EXE_ordain"));
            command.env_clear();
            let local = |text: &str| {
                let mut text = text.to_owned();
                for (from, to) in &binds {
                    // The folder above the mounts is named by --rules.
                    let above = Path::new(to).parent().unwrap().display().to_string();
                    if text.ends_with(&above) {
                        text = text.replace(&above, &from.parent().unwrap().display().to_string());
                    }
                }
                hosts
                    .iter()
                    .fold(text, |text, name| text.replace(name, "127.0.0.1"))
            };
            command.args(args.iter().map(|a| local(a)));
            if let Some((token, _)) = binds.iter().find(|(_, to)| to == ACCOUNT) {
                let token = std::fs::read_to_string(token.join("token")).unwrap();
                command.env(
                    "KUBECONFIG",
                    plane.kubeconfig_for_token(&token, folder.path()),
                );
            }
        }
        command
            .env("PATH", "/usr/bin:/bin")
            .env("HOSTNAME", pod.metadata.name.as_ref().unwrap())
            .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            .env("KUBERNETES_SERVICE_PORT", plane.port().to_string());
        for variable in container.env.iter().flatten() {
            command.env(&variable.name, value(variable, pod));
        }
        let port = container.ports.iter().flatten().next();
        Container {
            child: start(command, &folder.path().join("log")),
            pod: pod.clone(),
            volumes,
            port: port.map_or(0, |p| p.container_port as u16),
            client,
            folder,
        }
    }

    /// What the kubelet does about once a minute: mounted ConfigMaps become what they are now.
    pub async fn sync(&self) {
        mount_volumes(&self.client, &self.pod, &self.volumes).await;
    }

    /// The end of all it has printed.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// All it has printed: an object in each line, which says when, how important it is, and what.
    #[track_caller]
    pub fn json_log(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        let read = |line: &str| {
            let read: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let time = read["timestamp"].as_str().map(str::parse::<Timestamp>);
            assert!(time.is_some_and(|t| t.is_ok()), "{line}");
            let levels = ["ERROR", "WARN", "INFO"].map(Some);
            assert!(levels.contains(&read["level"].as_str()), "{line}");
            assert!(read["message"].is_string(), "{line}");
            read
        };
        log.lines().map(read).collect()
    }

    /// Asks what a probe asks until it is answered well.
    pub async fn until_ok(&mut self, path: &str) {
        let started = Instant::now();
        loop {
            let answer = get(self.port, path).await;
            if answer.as_ref().is_some_and(|(code, _)| *code == 200) {
                return;
            }
            if let Some(exit) = self.child.try_wait().unwrap() {
                panic!("it ended ({exit}) before {path} was good\n{}", self.log());
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{path} says {answer:?}\n{}",
                self.log()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Does what the kubelet does at the end of a Pod; answers the exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        // SAFETY: a plain system call; the process is our child and has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        self.wait().await
    }

    /// Waits until it has ended; answers its exit code.
    pub async fn wait(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                started.elapsed() < PATIENCE,
                "it does not end\n{}",
                self.log()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request to a port of this machine: status code and answer. HTTP/1.0, so that the answer comes in one piece.
pub async fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn value(variable: &EnvVar, pod: &Pod) -> String {
    let Some(from) = &variable.value_from else {
        return variable.value.clone().unwrap_or_default();
    };
    let path = &from
        .field_ref
        .as_ref()
        .expect("a field of the Pod")
        .field_path;
    field(pod, path)
}

fn field(pod: &Pod, path: &str) -> String {
    let value = serde_json::to_value(pod).unwrap();
    let found = value.pointer(&format!("/{}", path.replace('.', "/")));
    found.and_then(|v| v.as_str()).unwrap_or("").to_owned()
}

async fn mount_volumes(client: &kube::Client, pod: &Pod, volumes: &Path) {
    for volume in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
        let files = files(client, pod, volume).await;
        project(&volumes.join(&volume.name), &files);
    }
}

async fn files(client: &kube::Client, pod: &Pod, volume: &Volume) -> BTreeMap<String, String> {
    if let Some(source) = &volume.config_map {
        return config_map(client, pod, &source.name, source.items.as_deref()).await;
    }
    if let Some(source) = &volume.projected {
        return projected(client, pod, source).await;
    }
    assert!(
        volume.empty_dir.is_some()
            || volume
                .secret
                .as_ref()
                .is_some_and(|s| s.optional == Some(true)),
        "no test has needed such a volume: {volume:?}"
    );
    BTreeMap::new()
}

async fn config_map(
    client: &kube::Client,
    pod: &Pod,
    name: &str,
    items: Option<&[KeyToPath]>,
) -> BTreeMap<String, String> {
    let maps: Api<ConfigMap> =
        Api::namespaced(client.clone(), pod.metadata.namespace.as_ref().unwrap());
    let started = Instant::now();
    // The kubelet waits for what a Pod mounts.
    let map = loop {
        match maps.get_opt(name).await.unwrap() {
            Some(map) => break map,
            None => assert!(started.elapsed() < PATIENCE, "no ConfigMap {name}"),
        }
        sleep(Duration::from_millis(50)).await;
    };
    let data = map.data.unwrap_or_default();
    match items {
        None => data,
        Some(items) => items
            .iter()
            .map(|item| (item.path.clone(), data[&item.key].clone()))
            .collect(),
    }
}

async fn projected(
    client: &kube::Client,
    pod: &Pod,
    source: &ProjectedVolumeSource,
) -> BTreeMap<String, String> {
    let namespace = pod.metadata.namespace.as_ref().unwrap();
    let mut files = BTreeMap::new();
    for source in source.sources.iter().flatten() {
        if let Some(token) = &source.service_account_token {
            let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
            let request = TokenRequest {
                spec: Some(TokenRequestSpec {
                    expiration_seconds: token.expiration_seconds,
                    ..TokenRequestSpec::default()
                }),
                ..TokenRequest::default()
            };
            let account = pod.spec.as_ref().unwrap().service_account_name.as_ref();
            let answer = accounts
                .create_token_request(account.unwrap(), &PostParams::default(), &request)
                .await
                .unwrap();
            files.insert(token.path.clone(), answer.status.unwrap().token.unwrap());
        }
        if let Some(map) = &source.config_map {
            let items = map.items.as_deref();
            files.extend(config_map(client, pod, &map.name, items).await);
        }
        for item in source
            .downward_api
            .iter()
            .flat_map(|d| d.items.iter().flatten())
        {
            let path = &item.field_ref.as_ref().unwrap().field_path;
            files.insert(item.path.clone(), field(pod, path));
        }
    }
    files
}

/// Writes files as the kubelet does: a folder with the time in its name, `..data` a link to it that is swapped at once, and a link for each
/// file through `..data`.
fn project(folder: &Path, files: &BTreeMap<String, String>) {
    use std::os::unix::fs::symlink;
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let data = folder.join(format!("..2026_01_01_00_00_00.{n}"));
    std::fs::create_dir_all(&data).unwrap();
    for (name, text) in files {
        std::fs::write(data.join(name), text).unwrap();
    }
    let old = std::fs::read_link(folder.join("..data")).ok();
    symlink(data.file_name().unwrap(), folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    for name in files.keys() {
        let link = folder.join(name);
        if !link.is_symlink() {
            symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !name.starts_with("..") && !files.contains_key(&name) {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    if let Some(old) = old {
        std::fs::remove_dir_all(folder.join(old)).unwrap();
    }
}

/// One mount: from, to, flags; read-only ones are mounted a second time, as the kernel wants it.
struct Mount {
    from: CString,
    to: CString,
    recursive: bool,
}

/// A file system for one process.
struct Root {
    at: CString,
    mounts: Vec<Mount>,
    identity: [(CString, String); 3],
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
}

fn file_system(folder: &Path, volumes: &[(PathBuf, String)], hosts: &[&str]) -> Root {
    let root = folder.join("root");
    std::fs::create_dir_all(root.join("etc")).unwrap();
    let hosts: Vec<String> = hosts.iter().map(|h| format!("127.0.0.1 {h}\n")).collect();
    std::fs::write(root.join("etc/hosts"), hosts.concat()).unwrap();
    std::fs::write(root.join("etc/nsswitch.conf"), "hosts: files\n").unwrap();
    // The root itself, to make it a mount that can be read-only.
    let mut mounts = vec![Mount {
        from: text(&root),
        to: text(&root),
        recursive: false,
    }];
    let mut folders = vec![];
    for (from, to) in ["/usr", "/lib", "/lib64", "/proc"]
        .iter()
        .map(|p| (PathBuf::from(p), (*p).to_owned()))
        .chain(volumes.iter().cloned())
    {
        if from.is_dir() {
            folders.push((from, root.join(to.trim_start_matches('/'))));
        }
    }
    for (from, to) in folders {
        std::fs::create_dir_all(&to).unwrap();
        let recursive = from == Path::new("/proc");
        mounts.push(Mount {
            from: text(&from),
            to: text(&to),
            recursive,
        });
    }
    let program = root.join(ENTRYPOINT.trim_start_matches('/'));
    std::fs::write(&program, "").unwrap();
    mounts.push(Mount {
        from: text(Path::new(env!("CARGO_BIN_EXE_ordain"))),
        to: text(&program),
        recursive: false,
    });
    // SAFETY: both only answer a number.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    let own = |file: &str, what: String| (text(&Path::new("/proc/self").join(file)), what);
    Root {
        at: text(&root),
        mounts,
        identity: [
            own("setgroups", "deny".into()),
            own("uid_map", format!("{user} {user} 1")),
            own("gid_map", format!("{group} {group} 1")),
        ],
    }
}

impl Root {
    /// The command begins in this file system, and may never get more rights than it has there.
    fn enter(self, command: &mut Command) {
        // SAFETY: between fork and exec only system calls are made, on memory that was made before.
        unsafe { command.pre_exec(move || self.enter_now()) };
    }

    fn enter_now(&self) -> io::Result<()> {
        let done = |code: libc::c_int| match code {
            0.. => Ok(code),
            _ => Err(io::Error::last_os_error()),
        };
        // SAFETY: plain system calls with strings that live long enough.
        unsafe {
            done(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS))?;
            for (path, what) in &self.identity {
                let file = done(libc::open(path.as_ptr(), libc::O_WRONLY))?;
                done(libc::write(file, what.as_ptr().cast(), what.len()) as libc::c_int)?;
                libc::close(file);
            }
            let none = std::ptr::null();
            for mount in &self.mounts {
                let deep = if mount.recursive { libc::MS_REC } else { 0 };
                let flags = libc::MS_BIND | deep;
                let (from, to) = (mount.from.as_ptr(), mount.to.as_ptr());
                done(libc::mount(from, to, none, flags, none.cast()))?;
            }
            // Read-only last: mount points lie in each other. What is locked by those who own the mounts stays as it is.
            for mount in self.mounts.iter().filter(|m| !m.recursive) {
                let locked = [
                    0,
                    libc::MS_NOSUID | libc::MS_NODEV,
                    libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
                ];
                let read_only = locked.iter().find(|locked| {
                    let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | **locked;
                    libc::mount(none, mount.to.as_ptr(), none, flags, none.cast()) == 0
                });
                if read_only.is_none() {
                    return Err(io::Error::last_os_error());
                }
            }
            done(libc::chroot(self.at.as_ptr()))?;
            done(libc::chdir(c"/".as_ptr()))?;
            done(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        }
        Ok(())
    }
}

/// Whether this kernel lets us make file systems for single processes.
fn isolation() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(ENTRYPOINT);
        command.arg("--version");
        file_system(folder.path(), &[], &[]).enter(&mut command);
        let works = command.output().is_ok_and(|o| o.status.success());
        if !works {
            crate::control_plane::programs::say(
                "no file system for a single process here: containers run with their paths replaced, and with a kubeconfig",
            );
        }
        works
    })
}
