//! The map in `src/lib.rs` holds: what is pure stays pure, and each crate of consequence has one user.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The lines of code that name one of `words`, comments left out.
fn mentions(folder: &str, words: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = sources(&root.join(folder));
    assert!(!files.is_empty(), "{folder} has no sources: has it moved?");
    let mut found = vec![];
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for word in words {
                if code.contains(word) {
                    found.push(format!(
                        "{}:{}: {word}",
                        file.strip_prefix(root).unwrap().display(),
                        number + 1
                    ));
                }
            }
        }
    }
    found
}

#[test]
fn pure_folders_do_no_io_and_know_no_clock() {
    let words = [
        "kube::",
        "tokio::",
        "notify::",
        "std::fs",
        "SystemTime::now",
        "Timestamp::now",
        "Instant::now",
        "std::net::Tcp",
        "std::net::Udp",
        "std::env",
    ];
    for folder in [
        "src/schema",
        "src/rule",
        "src/object",
        "src/decide",
        "src/engine",
        "src/rights",
        "src/state",
    ] {
        assert_eq!(
            mentions(folder, &words),
            Vec::<String>::new(),
            "{folder} is pure"
        );
    }
}

/// From the floor up: a folder uses those before it alone.
#[test]
fn the_pure_core_stands_on_what_is_below_it() {
    let floors = ["object", "schema", "rule", "decide", "engine"];
    for (at, floor) in floors.iter().enumerate() {
        let above: Vec<String> = floors[at + 1..]
            .iter()
            .chain(&["cluster", "manifests", "daemon", "observe", "cli"])
            .map(|upper| format!("crate::{upper}::"))
            .collect();
        let above: Vec<&str> = above.iter().map(String::as_str).collect();
        let folder = format!("src/{floor}");
        assert_eq!(mentions(&folder, &above), Vec::<String>::new(), "{folder}");
    }
}

/// Mentions of `word` in `src`, but for the files under one of `allowed`.
fn elsewhere(word: &str, allowed: &[&str]) -> Vec<String> {
    mentions("src", &[word])
        .into_iter()
        .filter(|m| !allowed.iter().any(|a| m.starts_with(a)))
        .collect()
}

#[test]
fn each_crate_of_consequence_has_one_user() {
    for (word, allowed) in [
        ("cel::", &["src/rule/expr"][..]),
        ("jsonpath_rust", &["src/rule/path"]),
        ("kube::", &["src/cluster"]),
        ("notify::", &["src/rules_dir", "src/manifests"]),
        ("granit_parser", &["src/rule/yaml"]),
    ] {
        assert_eq!(
            elsewhere(word, allowed),
            Vec::<String>::new(),
            "{word} is used only in {allowed:?}"
        );
    }
}
