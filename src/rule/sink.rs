//! Where rules send what leaves the cluster.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A compiled `Sink` document.
#[derive(Debug, PartialEq, Eq)]
pub struct Sink {
    /// `metadata.name`
    pub name: Arc<str>,
    /// What it is.
    pub directory: Directory,
}

/// `directory`: files below a folder of the machine that Ordain runs on.
#[derive(Debug, PartialEq, Eq)]
pub struct Directory {
    /// The folder, as written; relative ones have been made relative to the working directory by [`beside`].
    pub path: PathBuf,
    /// Whether Secrets may be written there.
    pub secrets_in_clear: bool,
}

/// A path as a file of rules means it: relative to that file.
pub fn beside(file: &str, path: &str) -> PathBuf {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let mut joined = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::ParentDir if joined.file_name().is_some() => {
                joined.pop();
            }
            Component::CurDir => {}
            other => joined.push(other),
        }
    }
    joined
}

/// A text as one name of a file or folder: letters, digits, `-`, `_`, `.` as they are, everything else as `%` and two hexadecimal digits.
pub fn file_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        // Neither hidden, nor `.` or `..`.
        if plain && !(byte == b'.' && name.is_empty()) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_seen_from_the_file_that_names_it() {
        for (file, path, expected) in [
            ("rules/a.yaml", "kept", "rules/kept"),
            ("rules/a.yaml", "../kept", "kept"),
            ("rules/a.yaml", "/var/kept", "/var/kept"),
            ("a.yaml", "./kept", "kept"),
            ("a.yaml", "../kept", "../kept"),
        ] {
            assert_eq!(beside(file, path), Path::new(expected), "{file} {path}");
        }
    }

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for (text, expected) in [
            ("web-1.example", "web-1.example"),
            ("..", "%2e."),
            (".hidden", "%2ehidden"),
            ("system:node/x", "system%3anode%2fx"),
            ("ä", "%c3%a4"),
        ] {
            assert_eq!(file_name(text), expected);
        }
    }
}
