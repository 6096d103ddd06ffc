//! What rules send out of the cluster. `directory` files below a folder.
//!
//! An answer comes only when what was sent is safe: steps behind it wait for that.

mod directory;

use crate::decide::{Operation, Write};
use crate::engine::{Fault, Outcome};
use futures::future::BoxFuture;

/// Writes to a sink, away from the caller's thread.
pub fn write(write: Write) -> BoxFuture<'static, Outcome> {
    Box::pin(async move {
        let written = tokio::task::spawn_blocking(move || write_now(&write)).await;
        written.unwrap_or_else(|error| failed(&error.to_string()))
    })
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
