//! Documents of kind `Sink`, wherever they stand among the rules.

use super::document::is_label;
use super::fields::{self, Fields};
use super::file::File;
use super::report::{Report, Spot};
use crate::rule::sink::{Directory, Sink, beside};
use crate::rule::yaml::Tree;
use serde_json::Value;
use std::sync::Arc;

const KINDS: [&str; 4] = ["webhook", "slack", "directory", "objectStore"];

/// The sinks of all files.
#[derive(Default)]
pub(super) struct Sinks(Vec<Named>);

struct Named {
    name: Arc<str>,
    file: usize,
    at: Spot,
    /// `None`: it has errors.
    sink: Option<Arc<Sink>>,
    /// For the hash of the rules that use it.
    spec: Value,
}

impl Sinks {
    pub fn read(files: &[File<'_>], reports: &mut [Report<'_>]) -> Sinks {
        let mut sinks: Vec<Named> = vec![];
        for (index, file) in files.iter().enumerate() {
            for tree in file.sinks() {
                let report = &mut reports[index];
                let Some(mut named) = document(tree, (index, &*file.name), report) else {
                    continue;
                };
                let first = sinks.iter_mut().find(|known| known.name == named.name);
                if let Some(first) = first {
                    let place = format!("{}:{}", files[first.file].name, first.at.line);
                    let message =
                        format!("a sink named `{}` stands already in {place}", named.name);
                    report.error(
                        named.at,
                        message,
                        Some("give each sink its own name".into()),
                    );
                    // Nobody can know which was meant.
                    first.sink = None;
                    named.sink = None;
                }
                sinks.push(named);
            }
        }
        Sinks(sinks)
    }

    /// The sink that a step names, with what its rule's hash must know. `None`: what is wrong has been reported.
    pub fn find(&self, report: &mut Report<'_>, tree: &Tree) -> Option<(Arc<Sink>, Value)> {
        let name = fields::text(report, tree, "`sink`")?;
        let Some(named) = self.0.iter().find(|sink| *sink.name == *name) else {
            let message = format!("nobody defines a sink `{}`", fields::shortened(name));
            let names = self.0.iter().map(|sink| &*sink.name);
            let mend = fields::did_you_mean(name, names).unwrap_or_else(|| {
                format!(
                    "add a document `kind: Sink` with `metadata: {{name: {}}}` to the rule files",
                    fields::shortened(name)
                )
            });
            report.error(tree, message, Some(mend));
            return None;
        };
        match &named.sink {
            Some(sink) => Some((sink.clone(), named.spec.clone())),
            None => {
                // Reported where it stands.
                report.broken();
                None
            }
        }
    }
}

fn document(
    tree: &Tree,
    (file, file_name): (usize, &str),
    report: &mut Report<'_>,
) -> Option<Named> {
    let known = ["apiVersion", "kind", "metadata", "spec"];
    let top = fields::fields(report, tree, "a `Sink`", &known, &[])?;
    let name = top.get("metadata").and_then(|t| t.get("name"));
    let Some(at) = name else {
        let mend = "write `metadata: {name: backups}`";
        report.error(
            top.key("metadata").unwrap_or(tree),
            "a `Sink` needs a name",
            Some(mend.into()),
        );
        return None;
    };
    let text = fields::text(report, at, "a name")?;
    if !is_label(text) {
        let message = "a sink's name has at most 63 lower-case letters, digits and `-`, and begins and ends with a letter or digit";
        report.error(at, message, None);
    }
    let sink = spec(top, tree, report)
        .filter(|_| is_label(text))
        .map(|directory| {
            Arc::new(Sink {
                name: text.into(),
                directory: Directory {
                    path: beside(file_name, &directory.0),
                    secrets_in_clear: directory.1,
                },
            })
        });
    Some(Named {
        name: text.into(),
        file,
        at: at.into(),
        sink,
        spec: top.get("spec").map(Tree::to_value).unwrap_or_default(),
    })
}

/// Path and `secretsInClear` of its directory.
fn spec(top: Fields<'_>, tree: &Tree, report: &mut Report<'_>) -> Option<(String, bool)> {
    let Some(spec) = top.get("spec") else {
        let mend = "write `spec: {directory: {path: /var/lib/ordain/archive}}`";
        report.error(
            top.key("spec").unwrap_or(tree),
            "a `Sink` needs a `spec`",
            Some(mend.into()),
        );
        return None;
    };
    let of = fields::fields(report, spec, "the `spec` of a `Sink`", &KINDS, &[])?;
    let mut kinds = KINDS.iter().filter_map(|kind| of.entry(kind));
    let Some((key, value)) = kinds.next() else {
        if !of.refused {
            let mend = "write `directory: {path: /var/lib/ordain/archive}`";
            report.error(
                spec,
                "a `Sink` is one of webhook, slack, directory, objectStore",
                Some(mend.into()),
            );
        }
        return None;
    };
    if let Some((second, _)) = kinds.next() {
        let message = "a `Sink` is exactly one of webhook, slack, directory, objectStore";
        report.error(second, message, Some("write two sinks".into()));
        return None;
    }
    let kind = key.text().unwrap_or_default();
    if kind != "directory" {
        report.error(
            key,
            format!("sinks of kind `{kind}` are not supported yet"),
            None,
        );
        return None;
    }
    if let Some(text) = value.text() {
        let mend = format!("write `directory: {{path: {}}}`", fields::shortened(text));
        report.error(value, "`directory` is a map with a `path`", Some(mend));
        return None;
    }
    let of = fields::fields(
        report,
        value,
        "`directory`",
        &["path", "secretsInClear"],
        &[],
    )?;
    let secrets = match of.get("secretsInClear") {
        Some(tree) => fields::boolean(report, tree, "`secretsInClear`")?,
        None => false,
    };
    let Some(path) = of.get("path") else {
        if !of.refused {
            report.error(
                of.key("path").unwrap_or(value),
                "`directory` needs a `path`",
                None,
            );
        }
        return None;
    };
    let path = fields::text(report, path, "`path`")?;
    Some((path.to_owned(), secrets))
}
