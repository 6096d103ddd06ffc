//! A real control plane as plain processes on loopback: etcd, kube-apiserver, and kube-controller-manager where a test wants it.

pub mod audit;
mod certificates;
pub mod programs;

use audit::AuditLog;
use programs::program;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// How a plane differs from the ordinary one.
#[derive(Clone, Default)]
pub struct Options {
    /// Garbage collection and namespace deletion.
    pub controller_manager: bool,
    /// Further flags of kube-apiserver.
    pub apiserver_flags: Vec<String>,
    /// Further flags of etcd.
    pub etcd_flags: Vec<String>,
}

/// A running plane. Dropping it ends its processes; so does the end of this process, however it ends.
pub struct Plane {
    folder: tempfile::TempDir,
    processes: Vec<(String, Child)>,
    commands: Vec<(String, Vec<String>)>,
    port: u16,
}

static SHARED: OnceLock<Plane> = OnceLock::new();

/// The plane that the whole test run shares, with a controller manager. Tests keep to namespaces of their own.
pub fn shared() -> &'static Plane {
    SHARED.get_or_init(|| {
        let plane = Plane::start(Options {
            controller_manager: true,
            ..Options::default()
        });
        // SAFETY: registers a function without arguments; what is static is never dropped otherwise.
        unsafe { libc::atexit(end_shared) };
        plane
    })
}

/// The processes would end with this one by themselves; their folder would stay.
extern "C" fn end_shared() {
    let Some(plane) = SHARED.get() else { return };
    for (_, child) in &plane.processes {
        // SAFETY: plain system calls on a child that nobody has waited for.
        unsafe {
            libc::kill(child.id() as i32, libc::SIGKILL);
            libc::waitpid(child.id() as i32, std::ptr::null_mut(), 0);
        }
    }
    let _ = fs::remove_dir_all(plane.folder.path());
}

/// Removes the folders of planes whose test run was killed.
fn sweep() {
    let folders = fs::read_dir(std::env::temp_dir()).into_iter().flatten();
    for folder in folders.flatten() {
        let name = folder.file_name();
        let name = name.to_string_lossy();
        let owner = name.strip_prefix(FOLDER).and_then(|n| n.split('-').next());
        let owner = owner.and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

/// Folders of planes are called so, and then after the process that made them.
const FOLDER: &str = "ordain-plane-";

/// A port of the loopback address that nobody uses now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

type Job = Box<dyn FnOnce() + Send>;

/// Runs `job` on a thread that lives as long as the process: the kernel ends a child when the *thread* that made it ends, and test
/// threads end with their test.
fn on_keeper<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    static KEEPER: OnceLock<Sender<Job>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        std::thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        sender
    });
    let (answer, wait) = channel();
    keeper
        .send(Box::new(move || drop(answer.send(job()))))
        .unwrap();
    wait.recv().unwrap()
}

/// Starts a process that ends with this one.
pub fn spawn(program: PathBuf, arguments: Vec<String>, log: &Path) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    on_keeper(move || {
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        // SAFETY: between fork and exec only a system call is made.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        command
            .spawn()
            .unwrap_or_else(|e| panic!("{} does not start: {e}", program.display()))
    })
}

impl Plane {
    /// Starts one and waits until it is ready.
    pub fn start(options: Options) -> Plane {
        let etcd = program("etcd");
        let apiserver = program("kube-apiserver");
        let controller_manager = options
            .controller_manager
            .then(|| program("kube-controller-manager"));
        let folder = tempfile::Builder::new()
            .prefix(&format!("{FOLDER}{}-", std::process::id()))
            .tempdir()
            .unwrap();
        sweep();
        certificates::write(folder.path());
        let (client, peer, port) = (free_port(), free_port(), free_port());
        let file = |name: &str| folder.path().join(name).display().to_string();
        fs::write(file("audit.yaml"), AUDIT_POLICY).unwrap();
        let mut plane = Plane {
            processes: vec![],
            commands: vec![],
            port,
            folder,
        };

        let mut flags = vec![
            "--name=n0".to_owned(),
            format!("--data-dir={}", plane.file("etcd")),
            format!("--listen-client-urls=http://127.0.0.1:{client}"),
            format!("--advertise-client-urls=http://127.0.0.1:{client}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-cluster=n0=http://127.0.0.1:{peer}"),
            "--unsafe-no-fsync".to_owned(),
            "--quota-backend-bytes=8589934592".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        flags.extend(options.etcd_flags);
        plane.run("etcd", &etcd, flags);
        plane.wait_for("etcd", || reachable(client));

        let mut flags = vec![
            format!("--etcd-servers=http://127.0.0.1:{client}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", plane.file("admin.crt")),
            format!("--tls-private-key-file={}", plane.file("admin.key")),
            format!("--client-ca-file={}", plane.file("ca.crt")),
            format!("--service-account-key-file={}", plane.file("admin.pub")),
            format!(
                "--service-account-signing-key-file={}",
                plane.file("admin.key")
            ),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--audit-policy-file={}", plane.file("audit.yaml")),
            format!("--audit-log-path={}", plane.file("audit.log")),
            "--audit-log-mode=blocking".to_owned(),
        ];
        flags.extend(options.apiserver_flags);
        plane.write_kubeconfig();
        plane.run("kube-apiserver", &apiserver, flags);
        plane.wait_until_ready();

        if let Some(program) = controller_manager {
            let flags = vec![
                format!("--kubeconfig={}", plane.file("kubeconfig")),
                format!("--secure-port={}", free_port()),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--root-ca-file={}", plane.file("ca.crt")),
                format!(
                    "--service-account-private-key-file={}",
                    plane.file("admin.key")
                ),
                "--kube-api-qps=5000".to_owned(),
                "--kube-api-burst=10000".to_owned(),
                "--leader-elect=false".to_owned(),
            ];
            plane.run("kube-controller-manager", &program, flags);
        }
        plane
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&mut self, name: &str, program: &Path, flags: Vec<String>) {
        let log = self.folder.path().join(format!("{name}.log"));
        let child = spawn(program.to_owned(), flags.clone(), &log);
        self.commands.push((
            name.to_owned(),
            std::iter::once(program.display().to_string())
                .chain(flags)
                .collect(),
        ));
        self.processes.push((name.to_owned(), child));
    }

    fn wait_for(&self, name: &str, ready: impl Fn() -> bool) {
        let started = Instant::now();
        while !ready() {
            if started.elapsed() > Duration::from_secs(90) {
                let log = fs::read_to_string(self.folder.path().join(format!("{name}.log")))
                    .unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(15).collect();
                panic!(
                    "{name} is not ready after 90 s; the end of its log:\n{}",
                    tail.into_iter().rev().collect::<Vec<_>>().join("\n")
                );
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Waits until the API server says that it is ready.
    pub fn wait_until_ready(&self) {
        // On a thread of its own: callers may be inside a runtime already.
        let outcome = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    self.wait_for("kube-apiserver", || runtime.block_on(self.is_ready()));
                })
                .join()
        });
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }

    async fn is_ready(&self) -> bool {
        let request = http::Request::get("/readyz").body(vec![]).unwrap();
        let asked = async { self.client().await.request_text(request).await.is_ok() };
        tokio::time::timeout(Duration::from_secs(3), asked)
            .await
            .unwrap_or(false)
    }

    fn write_kubeconfig(&self) {
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority: '{}'}}}}]\nusers: [{{name: u, user: {{client-certificate: '{}', client-key: '{}'}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n",
            self.port,
            self.file("ca.crt"),
            self.file("admin.crt"),
            self.file("admin.key")
        );
        fs::write(self.kubeconfig(), text).unwrap();
    }

    /// Of the administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A kubeconfig for a bearer token.
    pub fn kubeconfig_for_token(&self, token: &str, folder: &Path) -> PathBuf {
        let path = folder.join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority: '{}'}}}}]\nusers: [{{name: u, user: {{token: '{token}'}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n",
            self.port,
            self.file("ca.crt")
        );
        fs::write(&path, text).unwrap();
        path
    }

    /// A client of the administrator.
    pub async fn client(&self) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(
            kubeconfig,
            &kube::config::KubeConfigOptions::default(),
        )
        .await
        .unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// What was written, as the server saw it.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.folder.path().join("audit.log"))
    }

    /// Ends a process at once, as a crash would.
    pub fn kill(&mut self, name: &str) {
        let at = self.processes.iter().position(|(n, _)| n == name).unwrap();
        let (_, mut child) = self.processes.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts a killed process again, with the flags it had.
    pub fn start_again(&mut self, name: &str) {
        let (_, command) = self
            .commands
            .iter()
            .find(|(n, _)| n == name)
            .unwrap()
            .clone();
        let log = self.folder.path().join(format!("{name}.log"));
        let child = spawn(PathBuf::from(&command[0]), command[1..].to_vec(), &log);
        self.processes.push((name.to_owned(), child));
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        for (_, child) in self.processes.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn reachable(port: u16) -> bool {
    std::net::TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_millis(200))
        .is_ok()
}

/// Every write, without its body.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
";
