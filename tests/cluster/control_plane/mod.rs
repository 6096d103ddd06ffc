//! A real control plane as plain processes on loopback: etcd, kube-apiserver, and where a test wants them kube-controller-manager,
//! kube-scheduler and kwok.
//!
//! [`shared`] is the plane of the whole test run; [`Plane::start`] makes one that a test may damage.

pub mod access;
pub mod audit;
mod certificates;
mod flags;
mod nodes;
pub mod processes;
pub mod programs;
pub mod tools;

use audit::AuditLog;
pub use certificates::Authority;
use flags::Ports;
use processes::{free_port, reachable, spawn};
use programs::program;
use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

/// How a plane differs from the ordinary one.
#[derive(Clone, Default)]
pub struct Options {
    /// Garbage collection and namespace deletion.
    pub controller_manager: bool,
    /// Further flags of kube-apiserver.
    pub apiserver_flags: Vec<String>,
    /// Further flags of etcd.
    pub etcd_flags: Vec<String>,
    /// What is in the audit log.
    pub audited: Audited,
}

/// What is in the audit log. Watches always are.
#[derive(Clone, Copy, Default)]
#[allow(
    dead_code,
    reason = "the benchmarks and the tests use it each in their own way"
)]
pub enum Audited {
    /// Writes, when they come and when they are answered.
    #[default]
    Writes,
    /// Writes when they are answered: for a server that is measured.
    EndsOfWrites,
    /// Writes and reads when they are answered.
    Reads,
}

/// A running plane. Dropping it ends its processes; so does the end of this process, however it ends.
pub struct Plane {
    folder: tempfile::TempDir,
    programs: Mutex<Vec<Program>>,
    ports: Ports,
    authority: Authority,
}

/// A program of a plane.
struct Program {
    name: String,
    path: PathBuf,
    flags: Vec<String>,
    /// None once it was killed.
    child: Option<Child>,
}

static SHARED: OnceLock<Plane> = OnceLock::new();

/// The plane that the whole test run shares, with a controller manager. Tests keep to namespaces of their own.
pub fn shared() -> &'static Plane {
    let start = || {
        let plane = Plane::start(Options {
            controller_manager: true,
            ..Options::default()
        });
        // SAFETY: registers a function without arguments; what is static is never dropped otherwise.
        unsafe { libc::atexit(end_shared) };
        plane
    };
    block_in_place(|| SHARED.get_or_init(start))
}

/// The processes would end with this one by themselves; their folder would stay.
extern "C" fn end_shared() {
    let Some(plane) = SHARED.get() else { return };
    if let Ok(mut programs) = plane.programs.try_lock() {
        end(&mut programs);
    }
    let _ = fs::remove_dir_all(plane.folder.path());
}

fn end(programs: &mut [Program]) {
    for program in programs.iter_mut().rev() {
        if let Some(mut child) = program.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Plane {
    /// Starts one and waits until it is ready.
    pub fn start(options: Options) -> Plane {
        block_in_place(|| Self::start_blocking(options))
    }

    fn start_blocking(options: Options) -> Plane {
        // What has to be built is built before anything runs.
        let etcd = program("etcd");
        let apiserver = program("kube-apiserver");
        let controller_manager = options
            .controller_manager
            .then(|| program("kube-controller-manager"));
        let plane = Plane {
            folder: processes::folder(),
            programs: Mutex::default(),
            ports: Ports {
                etcd: free_port(),
                etcd_peer: free_port(),
                apiserver: free_port(),
            },
            authority: Authority::new(),
        };
        plane.authority.write(plane.folder.path());
        plane.authority.write_server(plane.folder.path());
        plane.authority.write_client(plane.folder.path(), "admin");
        // Only its keys are used, for signing the tokens of service accounts.
        plane
            .authority
            .write_client(plane.folder.path(), "accounts");
        let policy = match options.audited {
            Audited::Writes => flags::AUDIT_POLICY,
            Audited::EndsOfWrites => flags::AUDIT_POLICY_OF_ENDS,
            Audited::Reads => flags::AUDIT_POLICY_WITH_READS,
        };
        fs::write(plane.file("audit.yaml"), policy).unwrap();
        plane.write_kubeconfig();

        let mut flags = flags::etcd(plane.ports, |name| plane.file(name));
        flags.extend(options.etcd_flags);
        plane.start_once("etcd", || (etcd, flags));
        plane.wait_for("etcd", || reachable(plane.ports.etcd));

        let mut flags = flags::apiserver(plane.ports, |name| plane.file(name));
        flags.extend(options.apiserver_flags);
        plane.start_once("kube-apiserver", || (apiserver, flags));
        plane.wait_until_ready();

        if let Some(program) = controller_manager {
            let flags = flags::controller_manager(free_port(), |name| plane.file(name));
            plane.start_once("kube-controller-manager", || (program, flags));
        }
        plane
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A new folder that goes with the plane.
    pub fn folder_for(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    /// Starts a program of the plane unless it was started before.
    fn start_once(&self, name: &str, what: impl FnOnce() -> (PathBuf, Vec<String>)) {
        let mut programs = self.programs.lock().unwrap();
        if programs.iter().any(|p| p.name == name) {
            return;
        }
        let (path, flags) = what();
        let child = spawn(path.clone(), flags.clone(), &self.log_of(name));
        programs.push(Program {
            name: name.to_owned(),
            path,
            flags,
            child: Some(child),
        });
    }

    fn wait_for(&self, name: &str, ready: impl Fn() -> bool) {
        let started = Instant::now();
        while !ready() {
            if started.elapsed() > Duration::from_secs(90) {
                let log = fs::read_to_string(self.log_of(name)).unwrap_or_default();
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
    fn wait_until_ready(&self) {
        // On a thread of its own: callers may be inside a runtime already.
        let outcome = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    self.wait_for("kube-apiserver", || runtime.block_on(self.is_ready()));
                    runtime.block_on(self.make_home());
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

    /// Where daemons keep what they remember, if they are not told otherwise.
    async fn make_home(&self) {
        let home =
            r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ordain-system"}}"#;
        let request =
            http::Request::post("/api/v1/namespaces").header("content-type", "application/json");
        let request = request.body(home.as_bytes().to_vec()).unwrap();
        // It may be there already.
        let asked = async { self.client().await.request_text(request).await };
        let _ = tokio::time::timeout(Duration::from_secs(5), asked).await;
    }

    /// What was written, as the server saw it.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.folder.path().join("audit.log"))
    }

    /// Ends a program at once, starts it again with the flags it had, and waits until the API server is ready.
    pub fn crash(&mut self, name: &str) {
        block_in_place(|| {
            self.kill(name);
            self.start_again(name);
            self.wait_until_ready();
        });
    }

    /// Puts an empty store in the place of the plane's, as whoever restores a backup does.
    pub fn lose_store(&mut self) {
        block_in_place(|| {
            self.kill("kube-apiserver");
            self.kill("etcd");
            fs::remove_dir_all(self.file("etcd")).unwrap();
            self.start_again("etcd");
            self.wait_for("etcd", || reachable(self.ports.etcd));
            self.start_again("kube-apiserver");
            self.wait_until_ready();
        });
    }

    /// Starts the API server again with a new certificate: of the plane's own authority, or of a stranger.
    pub fn serve_under(&mut self, stranger: Option<&Authority>) {
        self.kill("kube-apiserver");
        let authority = stranger.unwrap_or(&self.authority);
        authority.write_server(self.folder.path());
        self.start_again("kube-apiserver");
        block_in_place(|| match stranger {
            None => self.wait_until_ready(),
            Some(_) => self.wait_for("kube-apiserver", || reachable(self.ports.apiserver)),
        });
    }

    /// Ends a program at once.
    fn kill(&mut self, name: &str) {
        let mut programs = self.programs.lock().unwrap();
        let program = programs.iter_mut().find(|p| p.name == name).unwrap();
        let mut child = program.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts a killed program again, with the flags it had.
    fn start_again(&mut self, name: &str) {
        let log = self.log_of(name);
        let mut programs = self.programs.lock().unwrap();
        let program = programs.iter_mut().find(|p| p.name == name).unwrap();
        program.child = Some(spawn(program.path.clone(), program.flags.clone(), &log));
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        end(self.programs.get_mut().unwrap());
    }
}
