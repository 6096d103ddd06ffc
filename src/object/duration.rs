//! Durations as rules write them: `90s`, `7d`, `1h30m`, `500ms`, `2w`.

use std::time::Duration;

/// Reads `90s`, `7d`, `1h30m`, also Go's `1h0m0s`. Errors carry a sentence for people.
pub fn parse(_text: &str) -> Result<Duration, String> {
    todo!()
}
/// Writes the shortest form that `parse` reads back: `7d`, `1h30m`.
pub fn format(_duration: Duration) -> String {
    todo!()
}
