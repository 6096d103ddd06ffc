//! Following the edits of files: `notify` for speed, a look at the contents every few seconds for certainty.
//!
//! Editors save in place, or write a file beside it and rename; mounted ConfigMaps swap a symbolic link; network file systems tell nothing.
//! All of them come out as: the contents differ now.

use super::files::{self, FileSet, STDIN};
use crate::rule::compile::SourceFile;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

/// Quiet time after an event before the files are read: an editor's several steps are one save.
pub const QUIET: Duration = Duration::from_millis(50);
/// A folder that never gets quiet is read after this time all the same.
pub const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// How often the contents are compared without any event.
pub const PERIOD: Duration = Duration::from_secs(5);
/// A file that is empty now and was not before is being written: it is read again after this time, up to [`RETRIES`] times.
const HALF_WRITTEN: Duration = Duration::from_millis(100);
const RETRIES: usize = 5;

/// Sends the contents of `paths` each time they differ from before, until the receiver is dropped. `known` is what has been read already.
pub async fn follow(
    paths: Vec<PathBuf>,
    longest: usize,
    known: &FileSet,
    changes: mpsc::Sender<FileSet>,
) {
    // Standard input is read once.
    let paths: Arc<[PathBuf]> = paths.into_iter().filter(|p| p.as_os_str() != "-").collect();
    let mut fingerprint = known.fingerprint();
    let mut sizes = sizes(known);
    let stdin: Option<Vec<u8>> = known
        .files
        .iter()
        .find(|f| &*f.name == STDIN)
        .map(|f| f.bytes.clone());
    if paths.is_empty() {
        return changes.closed().await;
    }
    let touched = Arc::new(Touched::default());
    let mut watcher = start(&paths, touched.clone());
    // Between reading `known` and starting the watch something may have changed: look once at once.
    let mut look_now = true;
    loop {
        // Events were lost, and with them folders that are to be watched: all is watched anew, and read after that.
        if touched.lost.swap(false, Ordering::Relaxed) && watcher.is_some() {
            drop(watcher.take());
            watcher = start(&paths, touched.clone());
            look_now = true;
        }
        let mut unheard = false;
        if !look_now {
            tokio::select! {
                () = changes.closed() => return,
                event = timeout(PERIOD, touched.notify.notified()) => match event {
                    Ok(()) => settle(&touched.notify).await,
                    Err(_) => unheard = true,
                }
            }
        }
        look_now = false;
        let Some(mut found) = read(&paths, longest, stdin.as_deref()).await else {
            return;
        };
        for _ in 0..RETRIES {
            if !found
                .files
                .iter()
                .any(|f| f.bytes.is_empty() && sizes.iter().any(|(n, s)| n == &f.name && *s > 0))
            {
                break;
            }
            tokio::time::sleep(HALF_WRITTEN).await;
            match read(&paths, longest, stdin.as_deref()).await {
                Some(again) => found = again,
                None => return,
            }
        }
        let now = found.fingerprint();
        if fingerprint == now {
            continue;
        }
        fingerprint = now;
        sizes = self::sizes(&found);
        // The watch did not tell: what it watches is not what lies there now (a folder in its place, another file system).
        touched.lost.fetch_or(unheard, Ordering::Relaxed);
        if changes.send(found).await.is_err() {
            return;
        }
    }
}

fn sizes(set: &FileSet) -> Vec<(Arc<str>, usize)> {
    set.files
        .iter()
        .map(|f| (f.name.clone(), f.bytes.len()))
        .collect()
}

async fn read(paths: &Arc<[PathBuf]>, longest: usize, stdin: Option<&[u8]>) -> Option<FileSet> {
    let paths = paths.clone();
    // Fails only when the runtime stops.
    let mut set = tokio::task::spawn_blocking(move || files::read(&paths, longest))
        .await
        .ok()?;
    if let Some(bytes) = stdin {
        set.files.push(SourceFile {
            name: STDIN.into(),
            bytes: bytes.to_vec(),
        });
        set.files.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Some(set)
}

/// Waits until nothing has happened for [`QUIET`].
async fn settle(touched: &Notify) {
    let end = Instant::now() + LONGEST_WAIT;
    while timeout_at(end.min(Instant::now() + QUIET), touched.notified())
        .await
        .is_ok()
    {
        if Instant::now() >= end {
            return;
        }
    }
}

/// What the watch has told.
#[derive(Default)]
struct Touched {
    notify: Notify,
    /// Something that it has not told.
    lost: AtomicBool,
}

fn start(paths: &[PathBuf], touched: Arc<Touched>) -> Option<RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        if event.as_ref().is_ok_and(notify::Event::need_rescan) {
            touched.lost.store(true, Ordering::Relaxed);
        }
        // Reading is no change; whatever else happened is worth a look, an error of the watch included.
        if !matches!(event, Ok(ref e) if matches!(e.kind, EventKind::Access(_))) {
            touched.notify.notify_one();
        }
    };
    let mut watcher = match notify::recommended_watcher(handler) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "files are looked at every {} s only", PERIOD.as_secs());
            return None;
        }
    };
    for path in paths {
        // A file is watched through its folder: a rename replaces the file that was watched.
        let (target, mode) = if path.is_dir() {
            (path.as_path(), RecursiveMode::Recursive)
        } else {
            let folder = path
                .parent()
                .filter(|p| !p.as_os_str().is_empty())
                .unwrap_or(Path::new("."));
            (folder, RecursiveMode::NonRecursive)
        };
        if let Err(error) = watcher.watch(target, mode) {
            tracing::warn!(%error, path = %path.display(), "this path is looked at every {} s only", PERIOD.as_secs());
        }
    }
    Some(watcher)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn text(set: &FileSet, name: &str) -> Option<String> {
        set.files
            .iter()
            .find(|f| f.name.ends_with(name))
            .map(|f| String::from_utf8(f.bytes.clone()).unwrap())
    }

    async fn until(
        changes: &mut mpsc::Receiver<FileSet>,
        name: &str,
        wanted: Option<&str>,
    ) -> FileSet {
        loop {
            let set = timeout(PATIENCE, changes.recv()).await.unwrap().unwrap();
            if text(&set, name).as_deref() == wanted {
                return set;
            }
        }
    }

    #[tokio::test]
    async fn follows_every_way_to_save() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs::write(&file, "one").unwrap();
        let paths = vec![dir.path().to_owned()];
        let known = files::read(&paths, 100);
        let (sender, mut changes) = mpsc::channel(1);
        let task = tokio::spawn(async move { follow(paths, 100, &known, sender).await });
        fs::write(&file, "two").unwrap();
        until(&mut changes, "a.yaml", Some("two")).await;
        fs::write(dir.path().join(".a.swp"), "three").unwrap();
        fs::rename(dir.path().join(".a.swp"), &file).unwrap();
        until(&mut changes, "a.yaml", Some("three")).await;
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/b.yaml"), "four").unwrap();
        until(&mut changes, "sub/b.yaml", Some("four")).await;
        fs::remove_file(&file).unwrap();
        let set = until(&mut changes, "a.yaml", None).await;
        assert_eq!(set.files.len(), 1);
        drop(changes);
        timeout(PATIENCE, task).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_single_file_is_followed_through_renames() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs::write(&file, "one").unwrap();
        let paths = vec![file.clone()];
        let known = files::read(&paths, 100);
        let (sender, mut changes) = mpsc::channel(1);
        let task = tokio::spawn(async move { follow(paths, 100, &known, sender).await });
        for content in ["two", "three"] {
            fs::write(dir.path().join("new"), content).unwrap();
            fs::rename(dir.path().join("new"), &file).unwrap();
            until(&mut changes, "a.yaml", Some(content)).await;
        }
        drop(changes);
        timeout(PATIENCE, task).await.unwrap().unwrap();
    }
}
