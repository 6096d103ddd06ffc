//! `ordain schema`: what rule and test files may hold, for editors.

use super::{exit, output};
use crate::rule::language;

pub fn run() -> anyhow::Result<u8> {
    let mut text = serde_json::to_string_pretty(&language::schema())?;
    text.push('\n');
    output::print(&text)?;
    Ok(exit::DONE)
}
