//! Processes of a test run: none outlives it, and their folders go with it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// A port of the loopback address that nobody uses now. None is given twice, and none is of those that the kernel gives to
/// connections (on Linux from 32768), so that nobody takes it before it is listened on.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u32 = 20_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        // Test runs at the same time begin at different places.
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        let nth = std::process::id().wrapping_mul(997).wrapping_add(given) % COUNT;
        let port = FIRST + nth as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
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
    let mut command = Command::new(program);
    command.args(arguments);
    // What tests are told by variables of their own is no option of the program.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDAIN_") {
            command.env_remove(name);
        }
    }
    start(command, log)
}

/// Starts a command as a process that ends with this one. What it prints goes to a file.
pub fn start(mut command: Command, log: &Path) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    on_keeper(move || {
        command
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
            .unwrap_or_else(|e| panic!("{} does not start: {e}", command.get_program().display()))
    })
}

/// Whether somebody listens there.
pub fn reachable(port: u16) -> bool {
    std::net::TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_millis(200))
        .is_ok()
}

/// Folders of planes are called so, and then after the process that made them.
const FOLDER: &str = "ordain-plane-";

/// A new folder for a plane. Those of test runs that were killed are removed.
pub fn folder() -> tempfile::TempDir {
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
    tempfile::Builder::new()
        .prefix(&format!("{FOLDER}{}-", std::process::id()))
        .tempdir()
        .unwrap()
}
