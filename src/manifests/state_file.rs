//! What rules remember, in a file: the state of a cluster that is a folder.

use std::io::{ErrorKind, Write};
use std::path::Path;

/// The text of the file; `None`: it is not there yet.
///
/// # Errors
/// It cannot be read.
pub fn read(file: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the file so that it always holds either the former text or this one.
///
/// # Errors
/// It cannot be written.
pub fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = folder.join(name);
    let mut written = std::fs::File::create(&new)?;
    written.write_all(text.as_bytes())?;
    written.write_all(b"\n")?;
    written.sync_all()?;
    std::fs::rename(&new, file)
}
