//! Reading all files below some paths, bounded, with what could not be read said.

use super::EXTENSIONS;
use crate::rule::compile::SourceFile;
use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most files that are read; more are a fault of the folder (a whole disk given by mistake), not rules.
pub const MOST_FILES: usize = 20_000;
/// How standard input is named.
pub const STDIN: &str = "<stdin>";
/// Deepest folder below a path given.
const DEEPEST: usize = 32;

/// A path that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unreadable {
    /// As shown to people.
    pub path: String,
    /// Why.
    pub reason: String,
    /// It was named by the user, or a folder: everything below it is not known.
    pub whole: bool,
}

impl Unreadable {
    /// Whether what this file says is not known.
    pub fn covers(&self, file: &str) -> bool {
        let below = file.strip_prefix(&*self.path);
        below.is_some_and(|rest| rest.is_empty() || (self.whole && rest.starts_with('/')))
    }
}

/// What was found.
#[derive(Default)]
pub struct FileSet {
    /// Sorted by name; each once.
    pub files: Vec<SourceFile>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

impl FileSet {
    /// Changes whenever a name or a content does.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for file in &self.files {
            file.name.hash(&mut hasher);
            file.bytes.hash(&mut hasher);
        }
        self.unreadable.hash(&mut hasher);
        hasher.finish()
    }

    /// Whether there is no file at all.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// Reads each path: a file whatever its name, a folder recursively (`*.yaml`, `*.yml`, `*.json`; names that begin with a dot are passed
/// over, as mounted ConfigMaps keep their bookkeeping there), `-` standard input. Of a file longer than `longest` bytes only so much and one
/// byte is kept, so that whoever parses it can say that it is too long.
pub fn read(paths: &[PathBuf], longest: usize) -> FileSet {
    let mut found = BTreeSet::new();
    let mut set = FileSet::default();
    for path in paths {
        if path.as_os_str() == "-" {
            match read_bounded(std::io::stdin().lock(), longest) {
                Ok(bytes) => set.files.push(SourceFile {
                    name: STDIN.into(),
                    bytes,
                }),
                Err(e) => set.fault(STDIN, &e, true),
            }
            continue;
        }
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                let mut visited = BTreeSet::new();
                walk(path, 0, &mut visited, &mut found, &mut set);
            }
            Ok(_) => {
                found.insert(path.clone());
            }
            Err(e) => set.fault(&shown(path), &e, true),
        }
    }
    for path in found {
        match fs::File::open(&path).and_then(|f| read_bounded(f, longest)) {
            Ok(bytes) => set.files.push(SourceFile {
                name: shown(&path).into(),
                bytes,
            }),
            // Removed since it was listed: as if it had not been there.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => set.fault(&shown(&path), &e, false),
        }
    }
    set.files.sort_by(|a, b| a.name.cmp(&b.name));
    set
}

impl FileSet {
    fn fault(&mut self, path: &str, error: &std::io::Error, whole: bool) {
        self.unreadable.push(Unreadable {
            path: path.into(),
            reason: error.to_string(),
            whole,
        });
    }
}

fn walk(
    folder: &Path,
    depth: usize,
    visited: &mut BTreeSet<PathBuf>,
    found: &mut BTreeSet<PathBuf>,
    set: &mut FileSet,
) {
    // A symbolic link that leads back into its own folder is entered once.
    if let Ok(real) = folder.canonicalize()
        && !visited.insert(real)
    {
        return;
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if depth > 0 && e.kind() == std::io::ErrorKind::NotFound => return,
        Err(e) => return set.fault(&shown(folder), &e, true),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => return set.fault(&shown(folder), &e, true),
        };
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        // Follows links: a mounted ConfigMap consists of them.
        let meta = match fs::metadata(&path) {
            Ok(meta) => meta,
            // Removed since it was listed, or a link to nothing.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => {
                if has_extension(&path) {
                    set.fault(&shown(&path), &e, false);
                }
                continue;
            }
        };
        if meta.is_dir() {
            if depth < DEEPEST {
                walk(&path, depth + 1, visited, found, set);
            }
        } else if has_extension(&path) {
            if found.len() >= MOST_FILES {
                let error = std::io::Error::other(format!("more than {MOST_FILES} files"));
                return set.fault(&shown(folder), &error, true);
            }
            found.insert(path);
        }
    }
}

/// Whether a file in a folder is read.
pub fn has_extension(path: &Path) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| EXTENSIONS.contains(&e))
}

fn read_bounded(source: impl Read, longest: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(longest as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > longest {
        // Cut between characters, so that the file is called too long and not malformed.
        while bytes.last().is_some_and(|b| !b.is_ascii()) {
            bytes.pop();
        }
        while bytes.len() <= longest {
            bytes.push(b'\n');
        }
    }
    Ok(bytes)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(set: &FileSet, below: &Path) -> Vec<String> {
        set.files
            .iter()
            .map(|f| {
                Path::new(&*f.name)
                    .strip_prefix(below)
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect()
    }

    #[test]
    fn reads_folders_recursively_and_leaves_out_what_is_no_rule_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("sub/..data")).unwrap();
        for name in [
            "b.yaml",
            "a.yml",
            "sub/c.json",
            "notes.md",
            ".hidden.yaml",
            "sub/..data/d.yaml",
        ] {
            fs::write(at(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(dir.path(), at("sub/loop")).unwrap();
        let set = read(&[dir.path().to_owned()], 100);
        assert_eq!(names(&set, dir.path()), ["a.yml", "b.yaml", "sub/c.json"]);
        assert_eq!(set.unreadable, []);
        // A file that is named is read whatever its name, and once.
        let named = read(&[at("notes.md"), dir.path().to_owned(), at("a.yml")], 100);
        assert_eq!(named.files.len(), 4);
    }

    #[test]
    fn says_what_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let set = read(&[dir.path().join("missing")], 100);
        assert_eq!(set.unreadable.len(), 1);
        assert!(set.unreadable[0].whole && set.unreadable[0].reason.contains("No such file"));
    }

    #[test]
    fn a_file_that_is_too_long_is_cut_just_past_the_bound() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "é".repeat(100)).unwrap();
        let set = read(&[dir.path().to_owned()], 51);
        assert_eq!(set.files[0].bytes.len(), 52);
        assert!(std::str::from_utf8(&set.files[0].bytes).is_ok());
    }

    #[test]
    fn the_fingerprint_follows_names_and_contents() {
        let dir = tempfile::tempdir().unwrap();
        let print = || read(&[dir.path().to_owned()], 100).fingerprint();
        let empty = print();
        fs::write(dir.path().join("a.yaml"), "1").unwrap();
        let one = print();
        fs::write(dir.path().join("a.yaml"), "2").unwrap();
        let two = print();
        fs::rename(dir.path().join("a.yaml"), dir.path().join("b.yaml")).unwrap();
        let moved = print();
        assert!(empty != one && one != two && two != moved);
        fs::rename(dir.path().join("b.yaml"), dir.path().join("a.yaml")).unwrap();
        assert_eq!(print(), two);
    }
}
