//! Files below a folder, each written whole or not at all, and safe on the disk when it is said to be written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files that are not finished begin so; they are never counted.
const UNFINISHED: &str = ".unfinished-";

/// Puts a file into `base/folder`, which is made where it is missing. The newest file, if it is this very one, is left as it is. Of the files there
/// only `keep` stay, the newest.
///
/// # Errors
/// Something could not be read or written. Then the file is there whole, or not at all.
pub(super) fn put(
    base: &Path,
    folder: &Path,
    name: &str,
    content: &[u8],
    keep: Option<usize>,
) -> io::Result<()> {
    let place = made(base, folder)?;
    let file = place.join(name);
    let files = finished(&place)?;
    let newest = files.first().is_some_and(|(_, newest)| *newest == file);
    if !newest || fs::read(&file)? != content {
        let unfinished = place.join(format!("{UNFINISHED}{name}"));
        let written = write(&unfinished, content).and_then(|()| fs::rename(&unfinished, &file));
        if let Err(error) = written {
            // What is left of it helps nobody; that it cannot be removed is less than what went wrong.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        sync(&place)?;
    }
    let Some(keep) = keep else { return Ok(()) };
    let others = files
        .into_iter()
        .map(|(_, path)| path)
        .filter(|path| *path != file);
    let mut removed = false;
    for old in others.skip(keep.saturating_sub(1)) {
        fs::remove_file(old)?;
        removed = true;
    }
    if removed { sync(&place) } else { Ok(()) }
}

/// The folder, with every folder on the way to it safe on the disk.
fn made(base: &Path, folder: &Path) -> io::Result<PathBuf> {
    let place = base.join(folder);
    if place.is_dir() {
        return Ok(place);
    }
    let missing: Vec<&Path> = place
        .ancestors()
        .take_while(|path| !path.exists() && !path.as_os_str().is_empty())
        .collect();
    fs::create_dir_all(&place)?;
    // A new folder is an entry of the one above it.
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        sync(above.unwrap_or(Path::new(".")))?;
    }
    Ok(place)
}

/// The files of a folder, the newest first.
fn finished(place: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let mut files = vec![];
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        if entry.file_type()?.is_file() && !unfinished {
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    files.sort();
    files.reverse();
    Ok(files)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Objects may say what not everybody on the machine shall read.
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(place: &Path) -> Vec<String> {
        let entries = fs::read_dir(place).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn aged(path: &Path, seconds: u64) {
        let at = SystemTime::now() - std::time::Duration::from_secs(seconds);
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(at)
            .unwrap();
    }

    #[test]
    fn the_newest_files_stay_and_the_same_is_not_written_twice() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().join("new/folder");
        let folder = Path::new("rule/shop/ConfigMap/web");
        let place = base.join(folder);
        let put = |name: &str| super::put(&base, folder, name, name.as_bytes(), Some(2)).unwrap();
        for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
            put(name);
            aged(&place.join(name), 100 - n as u64);
        }
        assert_eq!(names(&place), ["b", "c"]);
        let before = fs::metadata(place.join("c")).unwrap().modified().unwrap();
        put("c");
        assert_eq!(
            fs::metadata(place.join("c")).unwrap().modified().unwrap(),
            before
        );
        // What was so once before is the newest again.
        put("b");
        put("d");
        assert_eq!(names(&place), ["b", "d"]);
        assert_eq!(fs::read(place.join("d")).unwrap(), b"d");
    }

    #[test]
    fn a_damaged_file_is_mended_and_an_unfinished_one_is_none() {
        let base = tempfile::tempdir().unwrap();
        let put = || super::put(base.path(), Path::new("a"), "x", b"whole", Some(1)).unwrap();
        put();
        let place = base.path().join("a");
        fs::write(place.join("x"), b"who").unwrap();
        fs::write(place.join(format!("{UNFINISHED}y")), b"w").unwrap();
        put();
        assert_eq!(fs::read(place.join("x")).unwrap(), b"whole");
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, b"").unwrap();
        assert!(super::put(&file, Path::new("a"), "x", b"", None).is_err());
    }
}
