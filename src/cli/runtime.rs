//! What a command that waits for others runs on: threads, signals, the way to the cluster.

use crate::cluster::connection::ConnectOptions;
use crate::settings::ClusterOptions;
use anyhow::Context;
use std::time::Duration;

/// Messages that may wait before a watch waits for the engine.
pub const INBOX: usize = 16;

/// How the cluster is reached; `write_rate` is writes a second, 0 is without bound.
pub fn connect(cluster: &ClusterOptions, write_rate: u32) -> ConnectOptions {
    ConnectOptions {
        kubeconfig: cluster.kubeconfig.clone(),
        context: cluster.context.clone(),
        namespaces: cluster.namespaces.clone(),
        write_rate,
        ..ConnectOptions::default()
    }
}

/// Time for what blocks to come to an end when all else has.
const LEAVING: Duration = Duration::from_secs(1);

/// Waits for a command's work on several threads. What blocks then (a sink that hangs) is left behind.
///
/// # Errors
/// Those of the work, or the system gives no threads.
pub fn on_threads<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    crate::daemon::allocator::give_back_freed_memory();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(work);
    runtime.shutdown_timeout(LEAVING);
    ended
}

/// Runs the loop on a worker of the runtime, not on the thread that waits for it: what it starts and what wakes it then mostly
/// stays on one thread, and costs no system call.
///
/// # Errors
/// Those of the loop, or that it panicked.
pub async fn on_worker(
    running: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) -> anyhow::Result<()> {
    let ended = tokio::spawn(running).await;
    ended.context("the daemon's loop died")?
}

/// Ready at SIGTERM or SIGINT.
///
/// # Errors
/// The system takes no handler for them.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn what_hangs_keeps_no_command_from_ending() {
        let (free, wait) = mpsc::channel::<()>();
        let began = std::time::Instant::now();
        let ended = on_threads(async {
            tokio::task::spawn_blocking(move || wait.recv_timeout(Duration::from_secs(60)));
            Ok(7)
        });
        assert_eq!(ended.ok(), Some(7));
        assert!(began.elapsed() < Duration::from_secs(30));
        drop(free);
    }
}
