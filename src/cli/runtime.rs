//! What a command that waits for others runs on: threads, signals, the way to the cluster.

use crate::cluster::connection::ConnectOptions;
use crate::daemon::rest::Rest;
use crate::settings::ClusterOptions;
use anyhow::Context;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

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

/// Waits for a command's work: the loop, its watches and its requests, on one thread. What they hand to each other stays on one core and wakes
/// nobody; on two, labels on 10,000 objects took a tenth more CPU. What blocks at the end (a sink that hangs) is left behind.
///
/// # Errors
/// Those of the work, or the system gives no threads.
pub fn on_one_thread<T, W>(work: impl FnOnce(Rest) -> W) -> anyhow::Result<T>
where
    W: Future<Output = anyhow::Result<T>>,
{
    crate::daemon::allocator::give_back_freed_memory();
    let rest = Rest::default();
    let mut one = Builder::new_current_thread();
    let before_it_waits = rest.clone();
    one.on_thread_park(move || before_it_waits.take());
    let runtime = one.enable_all().build()?;
    let ended = runtime.block_on(work(rest));
    runtime.shutdown_timeout(LEAVING);
    ended
}

/// What runs on a thread of its own, so that no long turn of the loop is in its way: the term of the Lease, and the answers to probes.
///
/// # Errors
/// The system gives no threads.
pub fn beside() -> anyhow::Result<Runtime> {
    let mut one = Builder::new_multi_thread();
    Ok(one.worker_threads(1).enable_all().build()?)
}

/// Runs the loop as a task: one that dies is an error, and what comes after it still happens.
///
/// # Errors
/// Those of the loop, or that it panicked.
pub async fn as_task(
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
        let ended = on_one_thread(async |_| {
            tokio::task::spawn_blocking(move || wait.recv_timeout(Duration::from_secs(60)));
            Ok(7)
        });
        assert_eq!(ended.ok(), Some(7));
        assert!(began.elapsed() < Duration::from_secs(30));
        drop(free);
    }
}
