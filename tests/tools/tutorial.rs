//! A page of the documentation as a person follows it: files are written, commands are typed, and what they print is what the page says.
#![allow(dead_code, reason = "each test uses its part")]

use clap::CommandFactory;
use std::path::Path;
use std::process::Command;

/// What the page asks its reader to do next.
#[derive(Clone)]
pub enum Step {
    /// Write a file: its path and text.
    File(String, String),
    /// Type a command, and see this.
    Command(String, Vec<String>),
}

/// The heading of the part that needs a cluster.
pub const ON_A_CLUSTER: &str = "## On a cluster";

/// The steps of the page in their order, those before the cluster and those on it.
pub fn steps() -> (Vec<Step>, Vec<Step>) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (folder, cluster) = text.split_once(ON_A_CLUSTER).unwrap();
    (steps_of(folder), steps_of(cluster))
}

/// The sections of a page by their headings, with the steps of those that have some.
pub fn sections(page: &str) -> Vec<(String, Vec<Step>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(page);
    let text = std::fs::read_to_string(page).unwrap();
    let parts = text.split("\n## ").skip(1);
    parts
        .map(|part| {
            let (heading, rest) = part.split_once('\n').unwrap();
            (heading.to_owned(), steps_of(rest))
        })
        .filter(|(_, steps)| !steps.is_empty())
        .collect()
}

fn steps_of(text: &str) -> Vec<Step> {
    let mut steps = vec![];
    let mut lines = text.lines();
    // What stands before a block: the block's first line itself is not shown.
    let mut told = String::new();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else {
            if line.starts_with('#') {
                told.clear();
            }
            told.push_str(line);
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match fence.split_once(' ') {
            Some(("yaml", file)) => {
                let named = told.contains(&format!("`{file}`"));
                assert!(named, "nothing tells the reader to call it {file}");
                steps.push(Step::File(file.into(), block.join("\n") + "\n"));
            }
            None if fence == "console" => {
                for line in block {
                    match (line.strip_prefix("$ "), steps.last_mut()) {
                        (Some(command), _) => steps.push(Step::Command(command.into(), vec![])),
                        (None, Some(Step::Command(_, printed))) => printed.push(line.into()),
                        _ => panic!("{line}: printed by no command"),
                    }
                }
            }
            _ => panic!("```{fence}: is it a file, or what a console shows?"),
        }
    }
    steps
}

/// Does what the page says, in a folder, with `programs` first in the path. Panics where something else is printed. What each command printed.
pub fn follow(
    steps: &[Step],
    folder: &Path,
    programs: &Path,
    variables: &[(&str, &Path)],
) -> Vec<(String, String)> {
    let mut all = vec![];
    for step in steps {
        let (command, expected) = match step {
            Step::File(path, text) => {
                let path = folder.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
                continue;
            }
            Step::Command(command, expected) => (command, expected),
        };
        let search = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        // What tests are told by variables of their own is no option of the program.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ORDAIN_") {
                shell.env_remove(name);
            }
        }
        let output = shell
            .args(["-c", command])
            .current_dir(folder)
            .env("PATH", format!("{}:{search}", programs.display()))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // A terminal shows both.
        let shown = text(&output.stderr) + &text(&output.stdout);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            fits(expected, &lines),
            "$ {command}\n{shown}\nbut the page says:\n{}",
            expected.join("\n")
        );
        all.push((command.clone(), shown));
    }
    all
}

/// `…` alone stands for any number of lines, inside a line for anything.
fn fits(expected: &[String], lines: &[&str]) -> bool {
    let Some((first, rest)) = expected.split_first() else {
        return lines.is_empty();
    };
    if first == "…" {
        return (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..]));
    }
    let Some((line, later)) = lines.split_first() else {
        return false;
    };
    let same = match first.split_once('…') {
        Some((start, end)) => {
            line.len() >= start.len() + end.len() && line.starts_with(start) && line.ends_with(end)
        }
        None => first == line,
    };
    same && fits(rest, later)
}

/// An example of a command's help.
pub struct Example {
    /// The command whose help it is of; empty for that of the program.
    pub command: String,
    /// What is typed.
    pub line: String,
}

impl Example {
    /// Whether it goes on until it is stopped.
    pub fn stays(&self) -> bool {
        self.line.starts_with("ordain run") && !self.line.contains("--once")
    }

    /// Whether it asks a cluster, or a daemon.
    pub fn needs_a_cluster(&self) -> bool {
        let words: Vec<&str> = self.line.split_whitespace().collect();
        let asks =
            ["run", "plan", "explain"].contains(&words[1]) && !words.contains(&"--manifests");
        asks || words[1] == "ready" || words.contains(&"--check") || words.contains(&"kubectl")
    }
}

/// The examples of each command's help. Those of the program itself speak of rules and objects by words, and are of the same forms.
pub fn examples() -> Vec<Example> {
    let program = ordain::settings::Arguments::command();
    let mut all = vec![];
    for command in program.get_subcommands() {
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let lines = help
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#') && line.contains("ordain "));
        all.extend(lines.map(|line| Example {
            command: command.get_name().to_owned(),
            line: line.to_owned(),
        }));
    }
    all
}
