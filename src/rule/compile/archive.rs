//! `archive: {sink, keep}`.

use super::document::Context;
use super::paths::listed;
use super::{expressions, fields};
use crate::object::difference::is_secret;
use crate::rule::archive::Archive;
use crate::rule::yaml::Tree;

/// Most manifests of one object.
const MOST: i64 = 10_000;

pub(super) fn compile(context: &mut Context<'_, '_>, tree: &Tree) -> Option<Archive> {
    if let Some(text) = tree.text() {
        let mend = format!("write `archive: {{sink: {}}}`", fields::shortened(text));
        context
            .report
            .error(tree, "`archive` is a map with a `sink`", Some(mend));
        return None;
    }
    let of = fields::fields(context.report, tree, "`archive`", &["sink", "keep"], &[])?;
    let declared = context.declared.clone();
    let keep = match of.get("keep") {
        Some(tree) => {
            let filled = expressions::with_parameters(&declared.names(), tree).into_owned();
            Some(fields::whole(context.report, &filled, "`keep`", 1..=MOST)?)
        }
        None => None,
    };
    let Some(name) = of.get("sink") else {
        if !of.refused {
            let at = of.key("sink").unwrap_or(tree);
            let mend = "write `archive: {sink: backups}`, and a document `kind: Sink` of that name";
            context
                .report
                .error(at, "`archive` needs a `sink`", Some(mend.into()));
        }
        return None;
    };
    let sinks = context.sinks;
    let (sink, spec) = sinks.find(context.report, name)?;
    context.reads.more_than_metadata = true;
    context
        .values
        .push((format!("sink {}", sink.name).into(), spec));
    if !sink.directory.secrets_in_clear {
        let secrets: Vec<String> = context
            .kinds
            .iter()
            .filter(|kind| is_secret(&kind.resolved.kind))
            .map(|kind| kind.name().to_owned())
            .collect();
        let mend = Some(format!(
            "if you mean it, add `secretsInClear: true` to the sink `{}`",
            sink.name
        ));
        let message = format!("a {} is written to no sink in clear", listed(&secrets));
        if !secrets.is_empty() && secrets.len() == context.kinds.len() {
            context.report.error(name, message, mend);
            return None;
        } else if !secrets.is_empty() {
            context
                .report
                .warning(name, format!("{message}: its list stops here"), mend);
        }
    }
    Some(Archive {
        sink,
        keep: keep.and_then(|n| usize::try_from(n).ok()),
    })
}
