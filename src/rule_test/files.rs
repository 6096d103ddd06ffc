//! What tests name, and what stands in their files: manifests, rules, kinds.

use super::document::Source;
use crate::manifests::Manifests;
use crate::manifests::load::complete_name;
use crate::object::{GroupKind, Gvk};
use crate::rule::problem::{Place, Problem, Severity};
use crate::rule::yaml;
use crate::schema::Schema;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The schema of a test: the base, and the kinds that its own objects define; and the kinds of its objects.
pub(crate) fn schema_for(
    file: &Arc<str>,
    tree: &yaml::Tree,
    base: &Schema,
) -> (Schema, Vec<GroupKind>) {
    let Some(objects) = tree.get("spec").and_then(|s| s.get("objects")) else {
        return (base.clone(), vec![]);
    };
    let sources: Vec<Source> = match objects.to_value() {
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| match item {
                Value::String(name) => Some(Source::File(name)),
                Value::Object(_) => Some(Source::Inline(item)),
                _ => None,
            })
            .collect(),
        _ => vec![],
    };
    let mut ignored = vec![];
    let manifests = resolve(file, 1, &sources, &mut ignored);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kinds = manifests.objects.iter().map(|manifest| {
        let value = &manifest.value;
        Gvk::from_api_version(&text(&value["apiVersion"]), &text(&value["kind"])).group_kind()
    });
    let kinds = kinds.collect();
    (manifests.schema(base).0, kinds)
}

pub(super) fn problem_at(file: &Arc<str>, line: usize, message: String) -> Problem {
    let place = Place {
        file: file.clone(),
        line,
        column: 1,
        length: 1,
    };
    Problem::new(Severity::Error, place, "", message)
}

/// A path as a test names it: relative to the test's own file.
pub(super) fn beside(file: &Arc<str>, name: &str) -> PathBuf {
    let folder = Path::new(&**file).parent().unwrap_or(Path::new(""));
    let joined = folder.join(name);
    // `tests/../rule.yaml` is shown as `rule.yaml`.
    let mut shown = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir if shown.file_name().is_some_and(|n| n != "..") => {
                shown.pop();
            }
            Component::CurDir => {}
            other => shown.push(other),
        }
    }
    shown
}

pub(super) fn resolve(
    file: &Arc<str>,
    line: usize,
    sources: &[Source],
    problems: &mut Vec<Problem>,
) -> Manifests {
    let mut all = Manifests::default();
    for (number, source) in sources.iter().enumerate() {
        match source {
            Source::Inline(value) => {
                let mut value = value.clone();
                complete_name(&mut value, &format!("{file}:{number}"), line);
                all.add_object(value, file, line);
            }
            Source::File(name) => {
                let mut read = Manifests::read(&[beside(file, name)]);
                all.objects.append(&mut read.objects);
                problems.append(&mut read.problems);
            }
        }
    }
    problems.append(&mut all.problems);
    all
}
