//! What rules send out of the cluster. `directory` files below a folder.
//!
//! An answer comes only when what was sent is safe: steps behind it wait for that.

mod directory;

use crate::decide::{Operation, Write};
use crate::engine::{Fault, Outcome};
use crate::rule::sink::Sink;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A sink that has not taken a manifest within this time has failed: a file system on a server that is gone may block for ever, and nobody can
/// make it let go.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most manifests that one sink is given at once. What blocks holds a thread, and threads are few; another sink has its own.
const LANES: usize = 8;

/// The lanes of each sink, by its folder.
static SINKS: Mutex<BTreeMap<PathBuf, [Lane; LANES]>> = Mutex::new(BTreeMap::new());

/// One manifest goes on it at a time.
type Lane = Arc<tokio::sync::Mutex<()>>;

/// The lane for a folder of a sink: always the same, so that what was given up on cannot come to an end behind what came later.
fn lane(base: &Path, folder: &Path) -> Lane {
    let mut sinks = SINKS.lock();
    let lanes = sinks.entry(base.into()).or_default();
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    Arc::clone(&lanes[hasher.finish() as usize % LANES])
}

/// Writes to a sink, away from the caller's thread.
pub fn write(write: Write) -> BoxFuture<'static, Outcome> {
    let Operation::Archive { sink, folder, .. } = &write.operation else {
        return Box::pin(async { failed("this is for no sink") });
    };
    let sink = Arc::clone(sink);
    let lane = lane(&sink.directory.path, folder);
    Box::pin(in_time(sink, lane, TIMEOUT, move || write_now(&write)))
}

async fn in_time(
    sink: Arc<Sink>,
    lane: Lane,
    time: Duration,
    write: impl FnOnce() -> Outcome + Send + 'static,
) -> Outcome {
    let written = tokio::time::timeout(time, async {
        let turn = lane.lock_owned().await;
        tokio::task::spawn_blocking(move || {
            let outcome = write();
            drop(turn);
            outcome
        })
        .await
    });
    match written.await {
        Ok(written) => written.unwrap_or_else(|error| failed(&error.to_string())),
        Err(_) => failed(&format!(
            "sink `{}` ({}): it has not taken it within {} s",
            sink.name,
            sink.directory.path.display(),
            time.as_secs()
        )),
    }
}

/// Writes to a sink; blocks until it is done. Anything but an archive is refused.
pub fn write_now(write: &Write) -> Outcome {
    let Operation::Archive {
        sink,
        folder,
        file,
        manifest,
        keep,
        ..
    } = &write.operation
    else {
        return failed("this is for no sink");
    };
    let base = &sink.directory.path;
    let text = crate::object::difference::yaml(manifest);
    match directory::put(base, folder, file, text.as_bytes(), *keep) {
        Ok(()) => Outcome::Accepted(String::new()),
        Err(error) => failed(&format!(
            "sink `{}` ({}): {error}",
            sink.name,
            base.display()
        )),
    }
}

fn failed(message: &str) -> Outcome {
    Outcome::Failed(Fault::Rejected(message.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;
    use crate::rule::sink::Directory;
    use std::sync::mpsc;

    fn sink() -> Arc<Sink> {
        let path = "/archive".into();
        Arc::new(Sink {
            name: "archive".into(),
            directory: Directory {
                path,
                secrets_in_clear: false,
            },
        })
    }

    fn done() -> Outcome {
        Outcome::Accepted(String::new())
    }

    #[tokio::test]
    async fn a_sink_that_hangs_is_given_up_on_and_holds_nobody_else_up() {
        let (free, wait) = mpsc::channel::<()>();
        let lane = Lane::default();
        let soon = Duration::from_millis(50);
        let hangs = move || {
            let _ = wait.recv();
            done()
        };
        let hung = in_time(sink(), lane.clone(), soon, hangs).await;
        let Outcome::Failed(fault) = hung else {
            panic!("{hung:?}")
        };
        assert_eq!(
            fault.message(),
            "sink `archive` (/archive): it has not taken it within 0 s"
        );
        let behind = in_time(sink(), lane.clone(), soon, || {
            panic!("not beside the other")
        });
        assert!(matches!(behind.await, Outcome::Failed(_)));
        let long = Duration::from_secs(60);
        let beside = in_time(sink(), Lane::default(), long, done);
        assert!(matches!(beside.await, Outcome::Accepted(_)));
        drop(free);
        let after = in_time(sink(), lane, long, done);
        assert!(matches!(after.await, Outcome::Accepted(_)));
    }

    #[test]
    fn a_folder_has_one_lane_and_each_sink_its_own() {
        let of = |base: &str, folder: &str| lane(Path::new(base), Path::new(folder));
        assert!(Arc::ptr_eq(&of("/a", "x"), &of("/a", "x")));
        assert!(!Arc::ptr_eq(&of("/a", "x"), &of("/b", "x")));
    }
}
