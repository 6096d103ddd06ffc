//! Processes that are measured: each on its own core, ended when dropped.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Binds this process to one core, so that "one core" is one.
pub fn pin(core: usize) {
    // SAFETY: plain system call on a zeroed set of our own.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// User and system CPU seconds of a process.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // SAFETY: no arguments but a constant.
    ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
}

/// `VmRSS`, the memory it has now, or `VmHWM`, the most it ever had, in bytes. A process that has ended has none: that is no number.
pub fn memory(pid: u32, what: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let Some(line) = status.lines().find_map(|l| l.strip_prefix(what)) else {
        return f64::NAN;
    };
    let kilobytes: f64 = line
        .trim_matches([':', ' ', '\t'])
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .unwrap();
    kilobytes * 1024.0
}

pub fn pinned(command: &mut Command, core: usize) -> &mut Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        command.pre_exec(move || {
            pin(core);
            Ok(())
        })
    }
}

/// Starts this very program once more, as a server on core 0. Answers its port and what else it will print.
pub fn server(arguments: &[String]) -> (Running, u16, BufReader<ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("server").args(arguments).stdout(Stdio::piped());
    let mut child = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    (child, line.trim().parse().unwrap(), lines)
}

/// The daemon, under the rules in `folder`, on core 1; where it listens.
pub fn ordain(folder: &Path, port: u16) -> (Running, String) {
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command
        .args([
            "run",
            "--log-level",
            "error",
            "--listen",
            &listen,
            "--rules",
        ])
        .arg(folder)
        .arg("--kubeconfig")
        .arg(kubeconfig(folder, port))
        .stdout(Stdio::null());
    (Running(pinned(&mut command, 1).spawn().unwrap()), listen)
}

/// The sum of the daemon's series that begin with `prefix` and contain `has`; `None` while it does not answer.
pub fn metric(listen: &str, prefix: &str, has: &str) -> Option<f64> {
    let mut connection = std::net::TcpStream::connect(listen).ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).ok()?;
    let mut page = String::new();
    connection.read_to_string(&mut page).ok()?;
    Some(
        page.lines()
            .filter(|l| l.starts_with(prefix) && l.contains(has))
            .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
            .sum(),
    )
}

/// Writes one for the server on a port.
pub fn kubeconfig(folder: &Path, port: u16) -> PathBuf {
    let path = folder.join("kubeconfig");
    std::fs::write(
        &path,
        format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\nusers: [{{name: u, user: {{}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n"
        ),
    )
    .unwrap();
    path
}

/// The interpreter that the Python peers run in.
pub fn python() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/peers/install.sh");
    let output = Command::new("sh")
        .arg(script)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "the peers could not be installed; leave out --peers"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A port that is free now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The number behind an option, else `or`.
#[allow(dead_code, reason = "not every benchmark has options")]
pub fn number(args: &[String], name: &str, or: usize) -> usize {
    let given = args.iter().skip_while(|arg| *arg != name).nth(1);
    given.map_or(or, |text| text.parse().expect("a number behind the option"))
}
