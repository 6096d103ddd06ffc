//! Printing: formats, colour, progress.

use crate::rule::problem::{Problem, Severity};
use crate::settings::{ColorChoice, OutputFormat, OutputOptions};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Writes a line to standard error. That nobody reads it is no reason to stop, nor to panic.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}
pub(super) use say;

/// Writes to standard output. A reader that went away (`| head`) ends the program quietly, as with any other tool.
///
/// # Errors
/// Any other failure to write.
pub fn print(text: &str) -> std::io::Result<()> {
    match print_on_the_way(text) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other,
    }
}

/// As [`print`], while there is work in hand: a reader that went away does not end that.
///
/// # Errors
/// Any failure to write.
pub fn print_on_the_way(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Prints a result as JSON or YAML; false for text, which the caller prints.
///
/// # Errors
/// Failure to write.
pub fn print_document(options: OutputOptions, document: &impl Serialize) -> anyhow::Result<bool> {
    let value = serde_json::to_value(document)?;
    match options.output {
        OutputFormat::Text => return Ok(false),
        OutputFormat::Json => print(&format!("{value:#}\n"))?,
        OutputFormat::Yaml => print(&crate::object::difference::yaml(&value))?,
    }
    Ok(true)
}

/// How to colour what goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint(bool);

/// SGR codes.
#[derive(Clone, Copy)]
pub enum Ink {
    /// Problems, what goes.
    Red,
    /// What comes, what passed.
    Green,
    /// Warnings.
    Yellow,
    /// Places in a diff.
    Cyan,
    /// Headings.
    Bold,
}

impl Paint {
    /// As the options and the terminal say.
    pub fn new(options: OutputOptions) -> Paint {
        Paint(match options.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                std::io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        })
    }

    /// Without colour.
    #[cfg(test)]
    pub const fn none() -> Paint {
        Paint(false)
    }

    /// A text in one colour.
    pub fn ink(self, ink: Ink, text: &str) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Red => 31,
            Ink::Green => 32,
            Ink::Yellow => 33,
            Ink::Cyan => 36,
            Ink::Bold => 1,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A diff: what goes red, what comes green.
    pub fn diff(self, diff: &str) -> String {
        let mut text = String::with_capacity(diff.len());
        for line in diff.lines() {
            let line = match line.as_bytes().first() {
                Some(b'-') => self.ink(Ink::Red, line),
                Some(b'+') => self.ink(Ink::Green, line),
                Some(b'@') => self.ink(Ink::Cyan, line),
                _ => line.to_owned(),
            };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// A problem of a file.
    pub fn problem(self, problem: &Problem) -> String {
        let plain = problem.to_string();
        if !self.0 {
            return plain;
        }
        let (word, ink) = match problem.severity {
            Severity::Error => (": error: ", Ink::Red),
            Severity::Warning => (": warning: ", Ink::Yellow),
        };
        let mut lines = plain.lines().map(|line| {
            let bare = line.trim_start_matches([' ', '|']);
            if !bare.is_empty() && bare.chars().all(|c| c == '^') {
                self.ink(ink, line)
            } else if let Some((place, message)) = line.split_once(word) {
                let word = self.ink(ink, word.trim_matches([':', ' ']));
                format!("{place}: {word}: {}", self.ink(Ink::Bold, message))
            } else {
                line.to_owned()
            }
        });
        let mut text = lines.next().unwrap_or_default();
        for line in lines {
            text.push('\n');
            text.push_str(&line);
        }
        text
    }
}

/// A problem with stable field names.
pub fn problem_json(problem: &Problem) -> Value {
    json!({
        "file": *problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "severity": match problem.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "message": problem.message,
        "mend": problem.mend,
        "rule": problem.rule.as_deref(),
    })
}

/// `1 rule`, `2 rules`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

/// A line on the terminal that says how far something is; nothing where standard error is no terminal.
pub struct Progress {
    shown: bool,
    last: Option<Instant>,
}

/// How often the line is drawn at most.
const REDRAW: Duration = Duration::from_millis(100);

impl Progress {
    /// Nothing is drawn yet.
    pub fn new() -> Progress {
        Progress {
            shown: std::io::stderr().is_terminal(),
            last: None,
        }
    }

    /// Draws the line anew.
    pub fn say(&mut self, line: &str) {
        if self.shown && self.last.is_none_or(|l| l.elapsed() >= REDRAW) {
            draw(&format!("\r\x1b[K{line}"));
            self.last = Some(Instant::now());
        }
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if self.last.take().is_some() {
            draw("\r\x1b[K");
        }
    }
}

fn draw(line: &str) {
    let _ = std::io::stderr().write_all(line.as_bytes());
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::problem::Place;

    fn options(color: ColorChoice) -> OutputOptions {
        OutputOptions {
            output: OutputFormat::Text,
            color,
        }
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let place = Place {
            file: "r.yaml".into(),
            line: 3,
            column: 5,
            length: 4,
        };
        let mut problem = Problem::new(Severity::Error, place, "    kind: x", "no such kind");
        problem.mend = Some("did you mean `y`?".into());
        let plain = Paint::new(options(ColorChoice::Never)).problem(&problem);
        let coloured = Paint::new(options(ColorChoice::Always)).problem(&problem);
        assert_eq!(plain, problem.to_string());
        assert!(coloured.contains("\x1b[31merror\x1b[0m"), "{coloured}");
        let mut bare = String::new();
        let mut rest = coloured.as_str();
        while let Some((text, after)) = rest.split_once('\x1b') {
            bare.push_str(text);
            rest = after.split_once('m').map_or("", |(_, after)| after);
        }
        bare.push_str(rest);
        assert_eq!(bare, plain);
    }

    #[test]
    fn counts_are_words() {
        assert_eq!(count(1, "rule"), "1 rule");
        assert_eq!(count(0, "rule"), "0 rules");
    }
}
