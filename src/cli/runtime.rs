//! What a command that waits for others runs on: threads, signals, the way to the cluster.

use crate::cluster::connection::ConnectOptions;
use crate::settings::ClusterOptions;
use anyhow::Context;
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

/// What the loop runs on, with the watches and the requests: one thread. What they hand to each other stays on one core and wakes nobody;
/// on two, labels on 10,000 objects took a quarter more CPU.
///
/// # Errors
/// The system gives no threads.
pub fn runtime() -> anyhow::Result<Runtime> {
    crate::daemon::allocator::give_back_freed_memory();
    Ok(Builder::new_current_thread().enable_all().build()?)
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
