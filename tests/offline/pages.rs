//! Pages of the documentation that are made from something else, and the book that holds them all.
//!
//! `docs/generate` (`ORDAIN_BLESS=1 cargo test --test offline pages`) writes them anew; read the difference before you commit it.

use crate::program::root;
use crate::schema::{Validator, corpus, is_ours};
use clap::CommandFactory;
use ordain::rule::expr::{macros, signatures};
use ordain::rule::language;
use ordain::settings::Arguments;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// Compares a page with what it is made from, or writes it.
#[track_caller]
fn is_made(page: &str, text: &str) {
    let path = root().join("docs").join(page);
    if std::env::var_os("ORDAIN_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    if there != text {
        let lines = there.lines().zip(text.lines());
        let first = lines.enumerate().find(|(_, (a, b))| a != b);
        panic!("docs/{page} is out of date: run docs/generate ({first:?})");
    }
}

/// A value as one would write it on one line of YAML.
fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{}: {}", word(k), flow(v)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::String(text) => word(text),
        other => other.to_string(),
    }
}

/// Text, quoted where YAML would take it for something else.
fn word(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '$')
        && !text.contains([
            ',', '[', ']', '{', '}', '"', '\'', '&', '*', '!', '|', '>', '%', '@', '`', '\n',
        ])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !["true", "false", "null", "yes", "no", "on", "off"]
            .contains(&text.to_lowercase().as_str());
    let read = ordain::rule::yaml::read(&format!("- {text}")).0;
    let same = read
        .first()
        .is_some_and(|tree| tree.to_value() == serde_json::json!([text]));
    if plain && same {
        text.to_owned()
    } else {
        serde_json::json!(text).to_string()
    }
}

/// In a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Where examples come from: a golden file sooner than a ready-made rule, that sooner than a page.
fn rank(file: &str) -> usize {
    let folders = ["tests/golden/", "rules/", "examples/"];
    folders
        .iter()
        .position(|folder| file.starts_with(folder))
        .unwrap_or(folders.len())
}

/// The shortest example of each field, by the pointer of its description: the file, and the value.
fn examples() -> BTreeMap<String, (String, Value)> {
    let schema = language::schema();
    let validator = Validator { schema: &schema };
    let mut best: BTreeMap<String, (usize, usize, String, Value)> = BTreeMap::new();
    for file in corpus() {
        for document in file.documents.iter().filter(|d| is_ours(d)) {
            for (field, place) in validator.validate(document).unwrap_or_default() {
                let value = document.pointer(&place).unwrap();
                let text = flow(value);
                // What says something: not an empty map where there is a fuller one.
                let length = if text.len() < 4 { 60 } else { text.len() };
                let candidate = (rank(&file.file), length, file.file.clone(), value.clone());
                let better = best.get(&field).is_none_or(|known| {
                    (candidate.0, candidate.1, &candidate.2) < (known.0, known.1, &known.2)
                });
                if better {
                    best.insert(field, candidate);
                }
            }
        }
    }
    best.into_iter()
        .map(|(field, (_, _, file, value))| (field, (file, value)))
        .collect()
}

/// What may stand in a field, in words, with links to the sections of the page.
fn type_of(of: &Value) -> String {
    let definitions = &language::described()["definitions"];
    if let Some(reference) = of["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let title = definitions[name]["title"].as_str().unwrap();
        return format!("[{title}](#{})", anchor(title));
    }
    if let Some(words) = of["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|w| format!("`{}`", flow(w))).collect();
        return words.join(", ");
    }
    if let Some(options) = of["anyOf"].as_array() {
        let options: Vec<String> = options.iter().map(type_of).collect();
        return options.join(" or ");
    }
    let name = |name: &str| match name {
        "array" => match &of["items"] {
            Value::Null => "list".to_owned(),
            items if items["title"].is_string() && items.get("$ref").is_none() => {
                let title = items["title"].as_str().unwrap();
                format!("list of [{title}](#{})", anchor(title))
            }
            items => format!("list of {}", type_of(items)),
        },
        "object" if of["title"].is_string() && of["properties"].is_object() => {
            let title = of["title"].as_str().unwrap();
            format!("[{title}](#{})", anchor(title))
        }
        "object" => "map".to_owned(),
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "null" => "nothing".to_owned(),
        other => other.to_owned(),
    };
    match &of["type"] {
        Value::String(one) => name(one),
        Value::Array(all) => {
            let all: Vec<String> = all.iter().map(|n| name(n.as_str().unwrap())).collect();
            all.join(" or ")
        }
        _ => "any value".to_owned(),
    }
}

/// As mdBook and GitHub name a heading.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

struct Reference {
    text: String,
    examples: BTreeMap<String, (String, Value)>,
    written: BTreeSet<String>,
}

impl Reference {
    /// One section: a table of the fields, then the maps that have no name of their own.
    fn section(&mut self, of: &Value, at: &str) {
        let title = of["title"]
            .as_str()
            .unwrap_or_else(|| panic!("{at} has no title"));
        if !self.written.insert(title.to_owned()) {
            return;
        }
        writeln!(self.text, "\n## {title}\n").unwrap();
        if let Some(description) = of["description"].as_str() {
            writeln!(self.text, "{description}\n").unwrap();
        }
        if let Some(words) = of["x-words"].as_object() {
            let expressions = expressions();
            writeln!(
                self.text,
                "| word | meaning | example |\n| --- | --- | --- |"
            )
            .unwrap();
            for (name, meaning) in words {
                let example = match title {
                    "operator" | "as" => shortest_test(title, name),
                    _ => shortest_expression(&expressions, name),
                };
                writeln!(
                    self.text,
                    "| `{name}` | {} | {example} |",
                    cell(meaning.as_str().unwrap())
                )
                .unwrap();
            }
        }
        let Some(fields) = of["properties"].as_object() else {
            if of["x-words"].is_null() {
                writeln!(self.text, "{}", kind_in_words(of)).unwrap();
            }
            return;
        };
        let required = |name: &str| {
            of["required"]
                .as_array()
                .is_some_and(|all| all.iter().any(|n| n == name))
        };
        let described = &language::described()["definitions"];
        writeln!(
            self.text,
            "| field | type | default | meaning | example |\n| --- | --- | --- | --- | --- |"
        )
        .unwrap();
        let mut inner = vec![];
        for (name, field) in fields {
            let target = field["$ref"]
                .as_str()
                .and_then(|r| described.get(r.rsplit('/').next().unwrap()));
            let default = match (field.get("default"), field["x-default"].as_str()) {
                (Some(value), _) => format!("`{}`", flow(value)),
                (_, Some(text)) => text.to_owned(),
                _ if required(name) => "required".to_owned(),
                _ => "–".to_owned(),
            };
            let meaning = field["description"]
                .as_str()
                .or_else(|| target.and_then(|t| t["description"].as_str()));
            let place = format!("{at}/properties/{name}");
            let example = match self.examples.get(&place) {
                Some((file, value)) => {
                    let written = format!("{name}: {}", flow(value));
                    format!("{} {}", code(&written), link(file))
                }
                None => String::new(),
            };
            writeln!(
                self.text,
                "| `{name}` | {} | {default} | {} | {example} |",
                cell(&type_of(field)),
                cell(meaning.unwrap_or_default())
            )
            .unwrap();
            let items = (field["items"].clone(), format!("{place}/items"));
            for (of, at) in [(field.clone(), place), items] {
                if of["title"].is_string() && of["properties"].is_object() {
                    inner.push((of, at));
                }
            }
        }
        for (of, at) in inner {
            self.section(&of, &at);
        }
    }
}

/// Text as code in a cell, cut where it is long.
fn code(text: &str) -> String {
    const LONGEST: usize = 110;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    let short = cell(&short);
    if short.contains('`') {
        format!("`` {short} ``")
    } else {
        format!("`{short}`")
    }
}

/// A link to the file of an example.
fn link(file: &str) -> String {
    match file.split_once(".md:") {
        Some((page, _)) => format!(
            "([{}]({}.md))",
            page.trim_start_matches("docs/"),
            page.trim_start_matches("docs/")
        ),
        None => format!("([file](../{file}))"),
    }
}

fn kind_in_words(of: &Value) -> String {
    match of["pattern"].as_str() {
        Some(pattern) => format!("Text that matches `{}`.", cell(pattern)),
        None => {
            let kind = type_of(&{
                let mut bare = of.clone();
                bare.as_object_mut().unwrap().remove("title");
                bare
            });
            let bounds = [("minimum", "from"), ("maximum", "to")];
            let bounds: Vec<String> = bounds
                .iter()
                .filter_map(|(key, word)| Some(format!("{word} {}", of.get(*key)?)))
                .collect();
            format!("{kind} {}", bounds.join(" ")).trim().to_owned() + "."
        }
    }
}

/// The shortest test of a golden file with this word.
fn shortest_test(field: &str, wanted: &str) -> String {
    fn all<'v>(value: &'v Value, found: &mut dyn FnMut(&'v Value)) {
        found(value);
        match value {
            Value::Array(items) => items.iter().for_each(|v| all(v, found)),
            Value::Object(map) => map.values().for_each(|v| all(v, found)),
            _ => {}
        }
    }
    let mut best: Option<(usize, String, String)> = None;
    for file in corpus() {
        for document in file
            .documents
            .iter()
            .filter(|d| d["kind"] == "Rule" && is_ours(d))
        {
            all(document, &mut |value| {
                let equals = wanted == "Equals"
                    && value["path"].is_string()
                    && value["operator"].is_null()
                    && value["value"].is_string();
                if value[field] == wanted
                    && (value["path"].is_string() || value["expression"].is_string())
                    || equals
                {
                    let text = flow(value);
                    let candidate = (
                        rank(&file.file) * 10_000 + text.len(),
                        text,
                        file.file.clone(),
                    );
                    if best.as_ref().is_none_or(|known| candidate < *known) {
                        best = Some(candidate);
                    }
                }
            });
        }
    }
    let (_, text, file) = best.unwrap_or_else(|| panic!("no example of {field}: {wanted}"));
    format!("{} {}", code(&text), link(&file))
}

/// The shortest expression of a golden file that reads a name.
fn shortest_expression(expressions: &[(usize, String, String)], name: &str) -> String {
    let reads = |text: &str| {
        text.match_indices(name).any(|(at, _)| {
            let inside = |c: char| c.is_alphanumeric() || ['_', '.', '\'', '?'].contains(&c);
            let before = text[..at].chars().next_back();
            let behind = text[at + name.len()..].chars().next();
            !before.is_some_and(inside)
                && !behind.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '\'')
        })
    };
    let fitting = expressions
        .iter()
        .filter(|(_, text, file)| reads(text) && !file.ends_with(".txt"));
    let best = fitting.min_by_key(|(rank, text, file)| (*rank, text.len(), text.clone(), file));
    let (_, text, file) =
        best.unwrap_or_else(|| panic!("no golden file reads `{name}` in `${{ }}`"));
    format!("{} {}", code(&format!("${{{text}}}")), link(file))
}

/// Expressions of golden files and of the comparison with the API server, with where they stand.
fn expressions() -> Vec<(usize, String, String)> {
    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => {
                for part in text.split("${").skip(1) {
                    // The brace that closes it: braces inside are in pairs.
                    let mut depth = 0;
                    let end = part.char_indices().find(|(_, c)| {
                        depth += i32::from(*c == '{') - i32::from(*c == '}');
                        depth < 0
                    });
                    found.extend(end.map(|(end, _)| part[..end].to_owned()));
                }
            }
            Value::Array(items) => items.iter().for_each(|v| texts(v, found)),
            Value::Object(map) => map.values().for_each(|v| texts(v, found)),
            _ => {}
        }
    }
    let mut all = vec![];
    for file in corpus() {
        let mut found = vec![];
        file.documents
            .iter()
            .filter(|d| is_ours(d))
            .for_each(|d| texts(d, &mut found));
        all.extend(
            found
                .into_iter()
                .map(|text| (rank(&file.file), text, file.file.clone())),
        );
    }
    let cel = std::fs::read_to_string(root().join("tests/cluster/cel.txt")).unwrap();
    for line in cel.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        all.push((
            9,
            line.rsplit("~ ").next().unwrap().to_owned(),
            "tests/cluster/cel.txt".into(),
        ));
    }
    let own = std::fs::read_to_string(root().join("docs/functions.txt")).unwrap();
    for line in own.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        all.push((10, line.to_owned(), "docs/functions.txt".into()));
    }
    all
}

fn functions(text: &mut String) {
    let expressions = expressions();
    let example = |name: &str, member: bool| -> String {
        let call = if member {
            format!(".{name}(")
        } else {
            format!("{name}(")
        };
        let calls = |text: &str| {
            text.match_indices(&call).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                member || !before.is_some_and(|c| c.is_alphanumeric() || c == '.' || c == '_')
            })
        };
        let fitting = expressions.iter().filter(|(_, text, _)| calls(text));
        let best = fitting
            .min_by_key(|(rank, text, file)| (*rank, text.len(), text.clone(), file.clone()));
        let (_, text, file) = best.unwrap_or_else(|| {
            panic!("no golden file calls `{call}`: add one, or a line to docs/functions.txt")
        });
        format!("{} {}", code(text), link(file))
    };
    writeln!(
        text,
        "\n## Functions\n\nWhat CEL in `${{ }}` may call beside its operators. A function *of* a kind of value is called on it: `x.contains('a')`. Arguments in brackets may be left out; `…` may be repeated. `docs/functions.txt` has calls that a test evaluates.\n"
    )
    .unwrap();
    writeln!(
        text,
        "| function | of | arguments | library | example |\n| --- | --- | --- | --- | --- |"
    )
    .unwrap();
    for signature in signatures() {
        let least = signature.arguments.len() - signature.optional;
        let arguments: Vec<String> = signature
            .arguments
            .iter()
            .enumerate()
            .map(|(n, kinds)| {
                let last = n + 1 == signature.arguments.len();
                let more = if signature.variadic && last {
                    " …"
                } else {
                    ""
                };
                if n < least {
                    format!("{kinds}{more}")
                } else {
                    format!("[{kinds}]{more}")
                }
            })
            .collect();
        writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            signature.name,
            signature.receiver.as_deref().unwrap_or("–"),
            if arguments.is_empty() {
                "–".into()
            } else {
                arguments.join(", ")
            },
            signature.library,
            example(signature.name, signature.receiver.is_some())
        )
        .unwrap();
    }
    writeln!(text, "\n## Macros\n\nCalls that bring a name along, or do not evaluate all that they are given.\n").unwrap();
    writeln!(text, "| macro | example |\n| --- | --- |").unwrap();
    for name in std::iter::once(&"has").chain(macros()) {
        let global = *name == "has";
        let name_of_call = if *name == "bind" { "cel.bind" } else { name };
        writeln!(
            text,
            "| `{name_of_call}` | {} |",
            example(name_of_call, !global && *name != "bind")
        )
        .unwrap();
    }
}

#[test]
fn the_reference_says_what_the_schema_and_the_golden_files_say() {
    let mut reference = Reference {
        text: "<!-- Made by docs/generate from src/rule/language/schema.yaml and the golden files: do not edit. -->\n\
            # Reference of the language\n\n\
            Every field, verb, modifier, operator, edit and function. [language.md](language.md) explains them one after the other. Examples are \
            cut out of rules and tests that are run; what an editor needs is printed by `ordain schema`.\n"
            .into(),
        examples: examples(),
        written: BTreeSet::new(),
    };
    for (name, of) in language::described()["definitions"].as_object().unwrap() {
        reference.section(of, &format!("/definitions/{name}"));
    }
    let mut text = reference.text;
    functions(&mut text);
    is_made("reference.md", &text);
}

/// Each line of `docs/functions.txt` comes out as it says.
#[test]
fn calls_of_functions_come_out_as_the_documentation_says() {
    use ordain::object::Record;
    use ordain::rule::expr::{Expr, Names, NamespaceObject, Scope};
    let text = std::fs::read_to_string(root().join("docs/functions.txt")).unwrap();
    let record = Record::from_value(
        &serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}}),
    );
    let scope = Scope {
        object: record.root(),
        found: None,
        pod: None,
        namespace_object: NamespaceObject::Unknown,
        now: "2026-01-08T00:00:00Z".parse().unwrap(),
        item: None,
        current: None,
        variables: None,
        applied: None,
        request: None,
        schedule_start: None,
        previous: None,
        other: None,
    };
    for line in text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
    {
        let compiled = Expr::compile(line, Names::default());
        let value = compiled
            .unwrap_or_else(|problems| panic!("{line}: {problems:?}"))
            .evaluate(&scope);
        assert_eq!(value, Ok(Some(Value::Bool(true))), "{line}");
    }
}

#[test]
fn the_commands_are_what_the_program_says_of_itself() {
    let mut text =
        "<!-- Made by docs/generate from `ordain --help`: do not edit. -->\n# Commands\n\n\
        | command | does |\n| --- | --- |\n"
            .to_owned();
    let program = Arguments::command();
    for command in program.get_subcommands() {
        let name = command.get_name();
        writeln!(
            text,
            "| [`ordain {name}`](#ordain-{name}) | {} |",
            command.get_about().unwrap()
        )
        .unwrap();
    }
    text.push_str(
        "\n| exit code | means |\n| --- | --- |\n\
        | 0 | done, or good, or nothing to do |\n\
        | 1 | found something: problems, changes, a failed test, a right that is missing |\n\
        | 2 | wrong usage |\n\
        | 3 | could not tell, or something was refused or stopped |\n\n\
        What each command means by them stands below it. Every option has an environment variable; an option that is given wins. A variable of \
        an option that is repeatable takes several values, separated by commas.\n",
    );
    for command in program.get_subcommands() {
        let mut command = command
            .clone()
            .bin_name(format!("ordain {}", command.get_name()));
        // As `--help` prints it where there is room.
        command = command.term_width(140).disable_help_flag(true);
        writeln!(
            text,
            "\n## ordain {}\n\n{}\n",
            command.get_name(),
            command.get_about().unwrap()
        )
        .unwrap();
        writeln!(
            text,
            "```text\n{}\n```\n",
            command
                .render_usage()
                .to_string()
                .trim_start_matches("Usage: ")
        )
        .unwrap();
        let arguments: Vec<&clap::Arg> = command
            .get_arguments()
            .filter(|a| !a.is_hide_set())
            .collect();
        if !arguments.is_empty() {
            writeln!(
                text,
                "| option | variable | default | meaning |\n| --- | --- | --- | --- |"
            )
            .unwrap();
        }
        for argument in arguments {
            let values: Vec<String> = argument
                .get_value_names()
                .unwrap_or_default()
                .iter()
                .map(|n| n.to_string())
                .collect();
            let takes = argument.get_action().takes_values();
            let value = if takes {
                values.join(" ")
            } else {
                String::new()
            };
            let mut option = match (argument.get_long(), argument.get_short()) {
                (Some(long), None) => format!("--{long} {value}"),
                (Some(long), Some(short)) => format!("-{short}, --{long} {value}"),
                _ => value,
            };
            option = option.trim().to_owned();
            let possible: Vec<String> = argument
                .get_possible_values()
                .iter()
                .map(|v| v.get_name().to_owned())
                .collect();
            let default: Vec<String> = argument
                .get_default_values()
                .iter()
                .map(|v| v.to_string_lossy().into_owned())
                .collect();
            let default = if takes && !default.is_empty() {
                format!("`{}`", default.join(" "))
            } else {
                "–".into()
            };
            let variable = argument
                .get_env()
                .map_or("–".into(), |v| format!("`{}`", v.to_string_lossy()));
            let mut help = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            if takes && !possible.is_empty() && possible.len() < 6 {
                write!(help, " ({})", possible.join(", ")).unwrap();
            }
            writeln!(
                text,
                "| `{option}` | {variable} | {default} | {} |",
                cell(&help)
            )
            .unwrap();
        }
        if let Some(after) = command.get_after_help() {
            writeln!(text, "\n```text\n{after}\n```").unwrap();
        }
    }
    is_made("commands.md", &text);
}

/// Targets of links in a page, without those in code.
fn links(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if fenced || line.starts_with("    ") {
            continue;
        }
        // Code spans hold no links.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for part in prose.split("](").skip(1) {
            found.extend(part.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    found
}

fn headings(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced
    });
    lines
        .filter_map(|line| {
            line.trim_start_matches('#')
                .strip_prefix(' ')
                .filter(|_| line.starts_with('#'))
        })
        .map(anchor)
        .collect()
}

#[test]
fn the_book_lists_every_page_and_every_link_leads_somewhere() {
    let docs = root().join("docs");
    let read = |path: &Path| {
        std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let summary = read(&docs.join("SUMMARY.md"));
    let listed: BTreeSet<String> = links(&summary).into_iter().collect();
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(&docs).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") && name != "SUMMARY.md" {
            pages.insert(name);
        }
    }
    assert_eq!(listed, pages, "docs/SUMMARY.md lists every page once");
    let mut failures = vec![];
    let mut seen = 0;
    let beside = [
        "README.md",
        "rules/README.md",
        "tests/README.md",
        "examples/shop/README.md",
    ];
    for page in pages
        .iter()
        .map(|p| docs.join(p))
        .chain(beside.map(|page| root().join(page)))
    {
        let text = read(&page);
        let own = headings(&text);
        for target in links(&text) {
            if target.contains("://") {
                continue;
            }
            seen += 1;
            let (file, part) = target.split_once('#').unwrap_or((&target, ""));
            let path = page.parent().unwrap().join(file);
            let there = if file.is_empty() {
                part.is_empty() || own.contains(part)
            } else {
                path.exists() && (part.is_empty() || headings(&read(&path)).contains(part))
            };
            // mdBook takes the ending of a page that is not in the book for its own.
            let inside = !page.starts_with(&docs) || path.parent() == Some(docs.as_path());
            if !there || (!inside && file.ends_with(".md")) {
                failures.push(format!(
                    "{}: {target}",
                    page.strip_prefix(root()).unwrap().display()
                ));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "links that lead nowhere:\n{}",
        failures.join("\n")
    );
    assert!(seen > 100, "only {seen} links");
    // What mdBook needs to know.
    let book = read(&docs.join("book.toml"));
    assert!(book.contains("src = \".\""), "{book}");
    // As deep as the pages themselves: `../rules` is the same folder from here and from there.
    assert!(book.contains("build-dir = \"../book\""), "{book}");
}
