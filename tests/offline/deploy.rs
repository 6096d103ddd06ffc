//! What `charts/` and `deploy/` say of the program is true of it: options, metrics, the image. No helm is needed for these.

use clap::CommandFactory;
use ordain::observe::metrics::FAMILIES;
use ordain::settings::Arguments;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn schema() -> Value {
    serde_json::from_str(&read("charts/ordain/values.schema.json")).unwrap()
}

#[test]
fn every_option_of_run_is_reached_by_a_value() {
    // Not for a daemon in a cluster, or only for one with a kubeconfig: through `extraArgs`.
    let by_extra_args = [
        "admit",
        "color",
        "context",
        "ignore-schedule",
        "kubeconfig",
        "manifests",
        "now",
        "once",
        "output",
        "write-manifests",
    ];
    let template = read("charts/ordain/templates/deployment.yaml");
    let commands = Arguments::command();
    let run = commands
        .get_subcommands()
        .find(|c| c.get_name() == "run")
        .unwrap();
    let mut missing = vec![];
    for option in run.get_opts() {
        let name = option.get_long().unwrap();
        let variable = format!("ORDAIN_{}", name.replace('-', "_").to_uppercase());
        let by_value = [format!("--{name}="), format!("- --{name}\n"), variable]
            .iter()
            .any(|text| template.contains(text));
        // In a Pod it is on by itself.
        if !by_value && name != "leader-election" && !by_extra_args.contains(&name) {
            missing.push(name.to_owned());
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(template.contains(".Values.extraArgs"));
}

/// The paths of a schema's objects that take any name, and so any misspelt one.
fn open(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    if !schema.is_object() {
        return;
    }
    let object = schema["type"] == "object";
    if object && schema["additionalProperties"] == Value::Null {
        found.insert(at.to_owned());
    }
    let children = ["properties", "definitions"];
    for (name, child) in children
        .iter()
        .flat_map(|c| schema[c].as_object().into_iter().flatten())
    {
        open(child, &format!("{at}/{name}"), found);
    }
    for child in ["items", "additionalProperties"] {
        open(&schema[child], &format!("{at}/{child}"), found);
    }
}

#[test]
fn no_misspelt_value_passes_the_schema() {
    let mut found = BTreeSet::new();
    open(&schema(), "", &mut found);
    // A parent chart's business, and what the API server checks field by field.
    let free = [
        "/affinity/nodeAffinity",
        "/affinity/podAffinity",
        "/affinity/podAntiAffinity",
        "/extraVolumes/items",
        "/global",
    ];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), free);
}

#[test]
fn values_and_their_schema_name_the_same() {
    let values: Value = serde_saphyr::from_str(&read("charts/ordain/values.yaml")).unwrap();
    let schema = schema();
    let mut folder = String::new();
    for entry in
        std::fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("charts/ordain/templates"))
            .unwrap()
    {
        let path = entry.unwrap().path();
        if path.is_file() {
            folder.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let names = |of: &Value| {
        of.as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    let mut known = names(&schema["properties"]);
    known.remove("global");
    assert_eq!(names(&values), known);
    for (name, value) in values.as_object().unwrap() {
        assert!(
            folder.contains(&format!(".Values.{name}")),
            "nothing uses {name}"
        );
        let known = &schema["properties"][name]["properties"];
        // What Kubernetes itself defines is there in part.
        let ours = [
            "image",
            "rules",
            "log",
            "rbac",
            "serviceAccount",
            "lease",
            "podDisruptionBudget",
            "service",
            "networkPolicy",
            "serviceMonitor",
            "prometheusRule",
            "dashboard",
        ];
        if ours.contains(&name.as_str()) {
            assert_eq!(names(value), names(known), "{name}");
            for part in names(value) {
                assert!(
                    folder.contains(&format!(".Values.{name}.{part}")),
                    "nothing uses {name}.{part}"
                );
            }
        }
    }
}

#[test]
fn dashboard_and_alerts_name_metrics_that_there_are() {
    let known: BTreeSet<&str> = FAMILIES.iter().map(|f| f.name).collect();
    let mut used = BTreeSet::new();
    for file in [
        "deploy/grafana/ordain.json",
        "deploy/prometheus/ordain.rules.yaml",
    ] {
        let text = read(file);
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let base = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|s| word.strip_suffix(s))
                .unwrap_or(word);
            if word.starts_with("ordain_") || word.starts_with("process_") {
                assert!(
                    known.contains(word) || known.contains(base),
                    "{file}: there is no {word}"
                );
                used.insert(base.to_owned());
            }
        }
    }
    // Nothing that is measured stays unseen.
    let unseen: Vec<&&str> = known.iter().filter(|n| !used.contains(**n)).collect();
    assert!(
        unseen.is_empty() || unseen == [&"process_start_time_seconds"],
        "{unseen:?}"
    );
}

#[test]
fn the_image_is_built_from_what_is_there_and_runs_as_the_chart_says() {
    let text = read("deploy/Dockerfile").replace("\\\n", " ");
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect();
    let known = [
        "FROM",
        "WORKDIR",
        "COPY",
        "ENV",
        "RUN",
        "USER",
        "ENTRYPOINT",
        "CMD",
        "EXPOSE",
    ];
    let of = |word: &str| {
        lines
            .iter()
            .filter_map(|l| l.strip_prefix(word)?.strip_prefix(' '))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        known.iter().map(|w| of(w).len()).sum::<usize>(),
        lines.len(),
        "{lines:?}"
    );
    let manifest = read("Cargo.toml");
    let rust = manifest
        .lines()
        .find_map(|l| l.strip_prefix("rust-version = "))
        .unwrap()
        .trim_matches('"');
    assert_eq!(
        of("FROM"),
        [format!("rust:{rust}-bookworm AS build").as_str(), "scratch"]
    );
    // What is copied is there, and is sent to the builder.
    let sent = read(".dockerignore");
    for copy in of("COPY").iter().filter(|c| !c.starts_with("--from=")) {
        let mut words: Vec<&str> = copy.split(' ').collect();
        words.pop();
        for source in words {
            assert!(
                PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                    .join(source)
                    .exists(),
                "{source}"
            );
            assert!(
                sent.lines().any(|l| l.strip_prefix('!') == Some(source)),
                "{source} is not sent"
            );
        }
    }
    let values: Value = serde_saphyr::from_str(&read("charts/ordain/values.yaml")).unwrap();
    let user = &values["podSecurityContext"]["runAsUser"];
    assert_eq!(of("USER"), [format!("{user}:{user}")]);
    assert_eq!(of("ENTRYPOINT"), ["[\"/ordain\"]"]);
    assert_eq!(of("EXPOSE"), [values["port"].to_string()]);
    let version = manifest
        .lines()
        .find_map(|l| l.strip_prefix("version = "))
        .unwrap();
    let chart = read("charts/ordain/Chart.yaml");
    assert!(
        chart.contains(&format!("appVersion: {}\n", version.trim_matches('"'))),
        "{chart}"
    );
}
