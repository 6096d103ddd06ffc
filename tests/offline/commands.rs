//! The commands that the pages show and `--help` teaches: each is typed by a test, or it stands here which other one does so, or why none does.

use crate::documentation::blocks;
use crate::page;
use crate::program::{Running, folder, ordain, root};
use clap::CommandFactory;
use clap::error::ErrorKind;
use ordain::settings::Arguments;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

/// Pages whose commands are typed one after the other by tests of their own, which say themselves what they leave out.
const TYPED_AS_A_WHOLE: [&str; 5] = [
    "docs/tutorial.md",   // tests/offline/tutorial.rs, tests/cluster/tutorial.rs
    "docs/operations.md", // tests/cluster/operations.rs
    "docs/install.md",    // tests/cluster/install.rs
    "docs/recipes.md",    // tests/cluster/recipes.rs
    "docs/commands.md",   // made from --help: below, and tests/cluster/tutorial.rs
];

/// How commands begin that no test types, and why.
const NOT_TYPED: [(&str, &str); 5] = [
    (
        "ordain plan --rules FILE",
        "FILE is any of the ready-made rules; tests/cluster/ready_made runs them all",
    ),
    (
        "cargo test",
        "it is what runs this test; that there is what it names is looked at",
    ),
    (
        "cargo bench",
        "it measures, and takes minutes and a quiet machine; that there is what it names is looked at",
    ),
    (
        "tests/fuzz/run",
        "it builds the library once more, with counters; that it has the targets named is looked at",
    ),
    (
        "cargo build",
        "an optimised build takes minutes; the tests use the same program without",
    ),
];

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"))
}

/// Every page a person reads.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = [
        "README.md",
        ".ci/README.md",
        "tests/README.md",
        "tests/control-plane/README.md",
        "rules/README.md",
        "examples/shop/README.md",
    ]
    .map(str::to_owned)
    .into();
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    pages.sort();
    pages
}

/// What a line of code begins with if it is a command.
const PROGRAMS: [&str; 9] = [
    "cargo ",
    "ordain ",
    "tests/fuzz/run",
    "docs/generate",
    "kubectl ",
    "helm ",
    "docker ",
    "promtool ",
    "curl ",
];

/// The command in a piece of code, without what is written behind it in a column of its own.
fn command_of(code: &str) -> Option<String> {
    let code = code.strip_prefix("$ ").unwrap_or(code);
    let code = code.split("   ").next().unwrap().trim();
    // Variables of a shell before the program.
    let mut rest = code;
    while let Some((first, later)) = rest.split_once(' ') {
        let Some((name, _)) = first.split_once('=') else {
            break;
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
            break;
        }
        rest = later;
    }
    PROGRAMS
        .iter()
        .any(|program| rest.starts_with(program) || rest == program.trim())
        .then(|| code.to_owned())
}

/// The commands of a page: those in blocks, and those inside of its sentences.
fn commands(page: &str) -> (Vec<String>, Vec<String>) {
    let (mut blocks, mut inline) = (vec![], vec![]);
    let mut fence: Option<String> = None;
    for line in read(page).lines() {
        if let Some(kind) = line.strip_prefix("```") {
            fence = match fence {
                None => Some(kind.to_owned()),
                Some(_) => None,
            };
        } else if let Some(kind) = &fence {
            if kind == "console" {
                blocks.extend(line.starts_with("$ ").then(|| command_of(line)).flatten());
            }
        } else if let Some(code) = line.strip_prefix("    ") {
            blocks.extend(command_of(code));
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            inline.extend(spans.filter_map(command_of));
        }
    }
    (blocks, inline)
}

/// What is said to exist does: the test, the benchmark, the target of fuzzing.
fn exists(command: &str) -> Result<(), String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let after = |flag: &str| words.iter().skip_while(|w| **w != flag).nth(1).copied();
    let manifest = read("Cargo.toml");
    for kind in ["test", "bench"] {
        if let Some(name) = after(&format!("--{kind}")) {
            let wanted = format!("[[{kind}]]\nname = \"{name}\"\n");
            if !manifest.contains(&wanted) {
                return Err(format!("there is no {kind} {name}"));
            }
        }
    }
    if let Some(tests) = after("--test") {
        let main = read(&format!("tests/{tests}/main.rs"));
        let filters = words.iter().skip_while(|w| **w != tests).skip(1);
        for filter in filters.filter(|w| !w.starts_with('-')) {
            let module = filter.split("::").next().unwrap();
            if !main.contains(&format!("mod {module};")) {
                return Err(format!("there is no test {filter} in tests/{tests}"));
            }
        }
    }
    if words[0] == "tests/fuzz/run" {
        let script = read(words[0]);
        let (_, rest) = script.split_once("targets=(rule").unwrap();
        let targets = format!("rule{}", rest.split_once(')').unwrap().0);
        let known: Vec<&str> = targets.split(' ').collect();
        for word in &words[1..] {
            let fits = known.contains(word)
                || word.chars().all(|c| c.is_ascii_digit())
                || script.contains(&format!("tests/fuzz/run {word} "));
            if !fits {
                return Err(format!("it knows no {word}"));
            }
        }
    }
    Ok(())
}

/// Whether the command line takes it; names in capitals stand for something. In a sentence a part may stand for the whole.
fn is_taken(command: &str, whole: bool) -> Result<(), String> {
    let line = command.split(['|', '>']).next().unwrap();
    let words = line.split_whitespace().map(|word| {
        let word = word.trim_matches(['[', ']', '\'', '"']);
        match word {
            "SHELL" => "bash",
            "ADDRESS" => "127.0.0.1:9464",
            "TIME" => "2026-01-01T00:00:00Z",
            word => word,
        }
        .to_owned()
    });
    match Arguments::command().try_get_matches_from(words) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
            ErrorKind::InvalidValue | ErrorKind::MissingRequiredArgument if !whole => Ok(()),
            _ => Err(error.to_string()),
        },
    }
}

#[test]
fn every_command_of_the_pages_is_typed_or_cannot_be() {
    let mut failures = vec![];
    let mut reasons_used = BTreeSet::new();
    let here: BTreeSet<&str> = TYPED_HERE.iter().map(|(_, command)| *command).collect();
    let mut seen = BTreeSet::new();
    for page in pages() {
        let (blocks, inline) = commands(&page);
        let typed = TYPED_AS_A_WHOLE.contains(&page.as_str());
        for command in &blocks {
            seen.insert(command.clone());
            let reason = NOT_TYPED.iter().position(|(how, _)| {
                command.starts_with(how) || command.contains(&format!(" {how}"))
            });
            reasons_used.extend(reason);
            if !typed && reason.is_none() && !here.contains(command.as_str()) {
                failures.push(format!("{page}: {command}: no test types it"));
            }
        }
        let whole = blocks.iter().map(|command| (command, true));
        for (command, whole) in whole.chain(inline.iter().map(|command| (command, false))) {
            let checked = if command.starts_with("ordain ") {
                is_taken(command, whole)
            } else {
                exists(command)
            };
            if let Err(why) = checked {
                failures.push(format!("{page}: {command}: {why}"));
            }
            let reason = NOT_TYPED.iter().position(|(how, _)| command.contains(how));
            reasons_used.extend(reason);
        }
    }
    for (page, command) in TYPED_HERE {
        if !commands(page).0.iter().any(|shown| shown == command) {
            failures.push(format!("{page} does not show {command} any more"));
        }
    }
    for (n, (how, why)) in NOT_TYPED.iter().enumerate() {
        if !reasons_used.contains(&n) {
            failures.push(format!("no page shows {how} any more ({why})"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(seen.len() > 40, "only {} commands are seen", seen.len());
}

/// Typed by the test below, in the checkout: the page and its command.
const TYPED_HERE: [(&str, &str); 5] = [
    (
        "README.md",
        "cargo run -- run --manifests examples/shop/cluster --rules examples/shop/rules",
    ),
    (
        "examples/shop/README.md",
        "cargo run -- run --manifests examples/shop/cluster --rules examples/shop/rules",
    ),
    (
        "examples/shop/README.md",
        "cargo run -- run --once --manifests examples/shop/cluster --rules examples/shop/rules --write-manifests /tmp/shop",
    ),
    ("rules/README.md", "ordain test rules"),
    ("rules/README.md", "ordain rbac --rules rules"),
];

/// Types a line in a folder, whose home it is too.
fn types(line: &str, folder: &Path) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_ordain")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDAIN_") {
            shell.env_remove(name);
        }
    }
    shell
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("HOME", folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Types a command that stays, and ends it once it is ready.
fn stays(line: &str, folder: &Path) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..2], ["ordain", "run"], "{line}");
    let running = Running::start(folder, &words[2..]);
    running.status(|status| status["ready"] == true);
    let printed = running.output();
    assert_eq!(running.stop(), 0, "{line}");
    printed
}

#[test]
fn the_commands_of_the_front_pages_work_in_the_checkout() {
    let result = tempfile::tempdir().unwrap();
    let target = result.path().display().to_string();
    for (page, command) in TYPED_HERE {
        // `cargo run --` runs the program, which is built already.
        let line = command
            .replace("cargo run -- ", "ordain ")
            .replace("/tmp/shop", &target);
        if line.starts_with("ordain run") && !line.contains("--once") {
            let words: Vec<&str> = line.split_whitespace().skip(2).collect();
            let running = Running::start(&root(), &words);
            // "It prints every change as a diff and then stays."
            running.printed("@@ ", 10);
            assert!(running.status(|s| s["ready"] == true)["rules"].is_array());
            assert_eq!(running.stop(), 0, "{page}: {line}");
            continue;
        }
        let ran = types(&line, &root());
        let (out, err) = (text(&ran.stdout), text(&ran.stderr));
        assert_eq!(ran.status.code(), Some(0), "{page}: {line}\n{out}\n{err}");
        assert!(!out.is_empty(), "{page}: {line}");
    }
    let written = std::fs::read_dir(result.path()).unwrap().count();
    assert!(written >= 5, "a file a namespace: {written}");
}

/// What the examples of `--help` speak of: the rule of the front page, ready-made rules, manifests, definitions of kinds.
fn desk() -> tempfile::TempDir {
    let blocks = blocks("yaml");
    let (_, _, rule) = blocks
        .iter()
        .find(|(page, ..)| page == "README.md")
        .unwrap();
    let desk = folder(&[
        ("rule.yaml", rule),
        ("rules/replicas-floor.yaml", rule),
        (
            "cluster/shop.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {env: production}}\n---\n\
             apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n  replicas: 1\n  \
             selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
             spec: {containers: [{name: web, image: web}]}\n",
        ),
        (
            "crds/tickets.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: tickets.example.com}\nspec:\n  \
             group: example.com\n  scope: Namespaced\n  names: {kind: Ticket, plural: tickets}\n  versions:\n  - name: v1\n    \
             served: true\n    storage: true\n    schema: {openAPIV3Schema: {type: object}}\n",
        ),
    ]);
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(root().join("rules/jobs"));
    assert!(
        copy.arg(desk.path().join("rules"))
            .status()
            .unwrap()
            .success()
    );
    // Where completions go.
    for place in [
        "etc/bash_completion.d",
        ".zfunc",
        ".config/fish/completions",
    ] {
        std::fs::create_dir_all(desk.path().join(place)).unwrap();
    }
    desk
}

#[test]
fn the_examples_of_every_help_work() {
    let desk = desk();
    let mut typed = 0;
    for example in page::examples() {
        let line = example.line.replace("> /etc/", "> etc/");
        if example.needs_a_cluster() {
            continue;
        }
        typed += 1;
        if example.stays() {
            stays(&line, desk.path());
            continue;
        }
        let ran = types(&line, desk.path());
        // There is something to change on this desk, and `plan` says that so.
        let code = i32::from(example.command == "plan");
        let (out, err) = (text(&ran.stdout), text(&ran.stderr));
        assert_eq!(ran.status.code(), Some(code), "{line}\n{out}\n{err}");
        assert!(!out.is_empty() || line.contains('>'), "{line}");
    }
    assert!(typed >= 15, "only {typed} examples");
    let written = std::fs::read_to_string(desk.path().join("result/shop.yaml")).unwrap();
    assert!(written.contains("kind: Deployment"), "{written}");
    let schema = std::fs::read_to_string(desk.path().join("ordain.schema.json")).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&schema).unwrap()["definitions"].is_object());
}

#[test]
fn the_examples_of_every_help_fit_on_a_line() {
    // The width to which help is laid out at most; a longer line breaks where nobody wants it.
    const WIDTH: usize = 100;
    for example in page::examples() {
        assert!(example.line.len() + 2 <= WIDTH, "{}", example.line);
    }
    for command in ["run", "check", "plan", "test", "explain", "rbac", "schema"] {
        let help = ordain(&root(), &[command, "--help"]).out;
        let examples = help.split("Examples:\n").nth(1).unwrap();
        let examples = examples.split("\n\n").next().unwrap();
        for line in examples.lines() {
            let said = line.strip_prefix("  ").unwrap_or_default();
            let whole = said.starts_with("# ") || said.contains("ordain ");
            assert!(whole, "{command}: a line is broken: {line:?}");
        }
    }
}

#[test]
fn the_mistake_on_the_front_page_is_told_as_it_says() {
    let blocks_of = |language: &str| {
        let all = blocks(language).into_iter();
        all.filter(|(page, ..)| page == "README.md")
            .map(|(_, _, text)| text)
            .next()
            .unwrap()
    };
    let rule = blocks_of("yaml").replace("$.spec.replicas, operator", "$.spec.replica, operator");
    let desk = folder(&[("replicas.yaml", &rule)]);
    let ran = ordain(desk.path(), &["check", "replicas.yaml"]);
    let told = blocks_of("text");
    assert!(
        ran.out.starts_with(&told),
        "{}\nbut the page says:\n{told}",
        ran.out
    );
}
