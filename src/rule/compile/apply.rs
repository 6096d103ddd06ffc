//! `apply`: a manifest and what may be done to what is there already.

use super::document::Context;
use super::expressions;
use super::fields::{self, Fields, did_you_mean};
use super::kinds::{self, Matched};
use super::report::Spot;
use super::values::{self, Target};
use crate::object::GroupKind;
use crate::rule::ResolvedKind;
use crate::rule::apply::Apply;
use crate::rule::expr::{Expr, Names};
use crate::rule::yaml::{Data, Tree};
use crate::schema::{KindSchema, Scope};
use std::sync::Arc;

/// Its modifiers.
pub(super) const MODIFIERS: [&str; 6] = [
    "force",
    "adopt",
    "ifExists",
    "copyOf",
    "ownerReference",
    "name",
];
const IF_EXISTS: [(&str, bool); 2] = [("Update", false), ("Keep", true)];
/// Fields of `metadata` that the server alone writes.
const OF_THE_SERVER: [&str; 7] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
];

/// A step, and the kind that it writes.
pub(super) struct Compiled {
    pub apply: Apply,
    pub resolved: ResolvedKind,
    pub at: Spot,
}

pub(super) fn compile(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    tree: &Tree,
    item: bool,
) -> Option<Compiled> {
    if !matches!(tree.data, Data::Map(_)) {
        let message = format!("`apply` is a manifest, and here is {}", fields::found(tree));
        let mend = "write it out: `apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: …}, data: …}`";
        context.report.error(tree, message, Some(mend.into()));
        return None;
    }
    let original = of.get("copyOf").and_then(|t| kind_of_original(context, t));
    let says = |field: &str| tree.get(field).is_some_and(|t| !t.is_null());
    let matched = match original {
        Some(original) if !says("apiVersion") && !says("kind") => Some(original),
        _ => kind_of(context, tree),
    };
    let flag = |context: &mut Context<'_, '_>, name: &str| {
        let what = format!("`{name}`");
        of.get(name)
            .and_then(|t| fields::boolean(context.report, t, &what))
            .unwrap_or_default()
    };
    let (force, adopt, owned) = (
        flag(context, "force"),
        flag(context, "adopt"),
        flag(context, "ownerReference"),
    );
    let keep = of
        .get("ifExists")
        .and_then(|t| fields::word(context.report, t, "`ifExists`", &IF_EXISTS))
        .unwrap_or_default();
    let name = of.get("name").and_then(|t| name(context, t));
    let copy = of
        .get("copyOf")
        .and_then(|t| copied(context, t, matched.as_ref(), item));
    let metadata = metadata(context, tree, of.get("copyOf").is_some());
    let declared = context.declared.clone();
    let names = Names {
        item,
        ..declared.names()
    };
    if let Some(matched) = &matched {
        place(context, tree, metadata, matched);
        if let (true, Some(at)) = (owned, of.get("ownerReference")) {
            owner(context, at, metadata, matched);
        }
        let filled = expressions::with_parameters(&names, tree);
        checked(context, &filled, matched, keep);
    }
    context.reads.more_than_metadata |= copy.is_some();
    let manifest = expressions::template(context, tree, names)?;
    if !keep && manifest.expressions().iter().any(|e| e.reads_now()) {
        let at = of.entry("apply").map_or(tree, |(key, _)| key);
        let mend = "`ifExists: Keep` writes it once, where nothing is";
        let message = "`apply` from `now` would write at every look";
        context.report.error(at, message, Some(mend.into()));
        return None;
    }
    let matched = matched?;
    let resolved = matched.resolved;
    let version = &resolved.version;
    let api_version = match &*resolved.kind.group {
        "" => version.clone(),
        group => format!("{group}/{version}").into(),
    };
    Some(Compiled {
        at: tree.get("kind").unwrap_or(tree).into(),
        apply: Apply {
            kind: resolved.kind.clone(),
            api_version,
            namespaced: !matched.scope.is_cluster(),
            manifest,
            copy,
            force,
            adopt,
            keep,
            owned,
            name,
            passing: false,
        },
        resolved,
    })
}

/// The kind of what is copied, where that is one: the manifest of a copy need not say it again.
fn kind_of_original(context: &Context<'_, '_>, tree: &Tree) -> Option<Matched> {
    let name = whole(tree)?;
    let kinds = match name {
        "object" => &context.kinds,
        name => {
            let mut lists = context.declared.lists.iter();
            let at = lists.position(|list| *list.name == *name && list.one)?;
            &context.lists.get(at)?.kinds
        }
    };
    match kinds.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    }
}

/// What stands in a text that is one `${ }`.
fn whole(tree: &Tree) -> Option<&str> {
    let inner = tree.text()?.trim().strip_prefix("${")?.strip_suffix('}')?;
    Some(inner.trim())
}

/// Literal apiVersion and kind: what a rule writes is known when it is loaded.
fn kind_of(context: &mut Context<'_, '_>, tree: &Tree) -> Option<Matched> {
    let literal = |context: &mut Context<'_, '_>, field: &str| {
        let Some(value) = tree.get(field).filter(|t| !t.is_null()) else {
            let at = tree.entry(field).map_or(tree, |(key, _)| key);
            let mend = matches!(&tree.data, Data::Map(entries) if !entries.is_empty())
                .then(|| {
                    let Data::Map(entries) = &tree.data else {
                        return None;
                    };
                    let near = entries
                        .iter()
                        .filter_map(|(key, _)| key.text())
                        .find(|key| did_you_mean(key, [field]).is_some())?;
                    Some(format!("is `{near}` meant to be `{field}`?"))
                })
                .flatten();
            context
                .report
                .error(at, format!("a manifest needs `{field}`"), mend);
            return None;
        };
        let text = fields::text(context.report, value, &format!("`{field}`"))?;
        if text.contains("${") {
            let message = format!(
                "`{field}` of a manifest is written out: what a rule writes must be known when it is loaded"
            );
            let mend = Some("make a step of its own for each kind".into());
            context.report.error(value, message, mend);
            return None;
        }
        Some((value, text))
    };
    let api_version = literal(context, "apiVersion");
    let kind = literal(context, "kind");
    kinds::one(context.report, context.schema, api_version?, kind?)
}

/// A name by which later steps read the object.
fn name(context: &mut Context<'_, '_>, tree: &Tree) -> Option<Arc<str>> {
    let text = fields::text(context.report, tree, "`name`")?;
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(good) || text.starts_with(|c: char| c.is_ascii_digit())
    {
        let message =
            "the name of a step is letters, digits and `_`, as it is read as `applied.NAME`";
        context.report.error(tree, message, None);
        return None;
    }
    if context.applied.iter().any(|known| &**known == text) {
        let message = format!("a step before this one is called `{text}` already");
        context.report.error(tree, message, None);
        return None;
    }
    Some(text.into())
}

/// One `${ }` that gives a whole object. Of the subject it is known here whether the kinds fit.
fn copied(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    matched: Option<&Matched>,
    item: bool,
) -> Option<Expr> {
    let inner = whole(tree);
    let part = |inner: &str| inner.starts_with("object.") || inner.starts_with("object[");
    let Some(inner) = inner.filter(|inner| !part(inner)) else {
        let message = "only a whole object can be copied";
        let mend = Some("write `copyOf: ${object}`".into());
        context.report.error(tree, message, mend);
        return None;
    };
    let other = matched.filter(|_| inner == "object").and_then(|matched| {
        let others = context.kinds.iter();
        others
            .map(|k| &k.resolved.kind)
            .find(|kind| **kind != matched.resolved.kind)
            .map(|other| (other.kind.to_string(), matched.name().to_owned()))
    });
    if let Some((of, to)) = other {
        let message = format!("a copy of a {of} cannot be a {to}");
        context.report.error(tree, message, None);
        return None;
    }
    let declared = context.declared.clone();
    let names = Names {
        item,
        ..declared.names()
    };
    let template = expressions::template(context, tree, names)?;
    template.into_whole()
}

/// Its `metadata`, without what only the server writes.
fn metadata<'t>(context: &mut Context<'_, '_>, tree: &'t Tree, copy: bool) -> Option<&'t Tree> {
    let metadata = tree
        .get("metadata")
        .filter(|t| matches!(t.data, Data::Map(_)));
    if let Some(metadata) = metadata {
        for field in OF_THE_SERVER {
            if let Some((key, _)) = metadata.entry(field) {
                let message = format!("the server fills in `{field}`");
                let mend = Some("leave it out".into());
                context.report.error(key, message, mend);
            }
        }
        if let Some((key, _)) = metadata.entry("generateName") {
            let message =
                "an applied object has a fixed name, so that the next look finds it again";
            let mend = Some("write `name: ${object.metadata.name}-…`".into());
            context.report.error(key, message, mend);
            return Some(metadata);
        }
    }
    let named = metadata
        .and_then(|m| m.get("name"))
        .filter(|t| !t.is_null());
    if named.is_none() && !copy {
        let at = metadata.unwrap_or(tree);
        let mend = Some("write `metadata: {name: ${object.metadata.name}}`".into());
        context
            .report
            .error(at, "a manifest needs `metadata.name`", mend);
    }
    metadata
}

fn is_namespace(kind: &GroupKind) -> bool {
    kind.group.is_empty() && &*kind.kind == "Namespace"
}

/// The namespace it goes to: its own, else the subject's.
fn place(context: &mut Context<'_, '_>, tree: &Tree, metadata: Option<&Tree>, matched: &Matched) {
    let given = metadata
        .and_then(|m| m.get("namespace"))
        .filter(|t| !t.is_null());
    match (matched.scope, given) {
        (Scope::Cluster, Some(at)) => {
            let message = format!("{} is cluster-scoped and has no namespace", matched.name());
            context
                .report
                .error(at, message, Some("leave it out".into()));
        }
        (Scope::Unknown, None) => {
            let at = tree.get("kind").unwrap_or(tree);
            kinds::guessed(matched, at.into(), context.report);
        }
        (Scope::Namespaced, None) => {
            let homeless = context
                .kinds
                .iter()
                .find(|k| k.scope.is_cluster() && !is_namespace(&k.resolved.kind));
            if let Some(homeless) = homeless {
                let message = format!(
                    "a {} has no namespace that this {} could go to",
                    homeless.name(),
                    matched.name()
                );
                let mend = Some("write `namespace` in its `metadata`".into());
                context
                    .report
                    .error(metadata.unwrap_or(tree), message, mend);
            }
        }
        _ => {}
    }
}

/// An owner lives in the same namespace, or in none.
fn owner(context: &mut Context<'_, '_>, at: &Tree, metadata: Option<&Tree>, matched: &Matched) {
    let namespaced = context.kinds.iter().find(|k| k.scope.is_namespaced());
    let Some(subject) = namespaced.map(|k| k.name().to_owned()) else {
        return;
    };
    let cluster_scoped = matched.scope.is_cluster();
    if cluster_scoped {
        let message = format!(
            "a {subject}, which lives in a namespace, cannot own a {}, which does not",
            matched.name()
        );
        context.report.error(at, message, None);
        return;
    }
    let given = metadata
        .and_then(|m| m.get("namespace"))
        .filter(|t| !t.is_null());
    let own = |tree: &Tree| {
        let inner = tree
            .text()
            .and_then(|t| t.trim().strip_prefix("${")?.strip_suffix('}'));
        inner.map(str::trim) == Some("object.metadata.namespace")
    };
    if let Some(given) = given
        && !own(given)
    {
        let message = format!("a {subject} owns only what is in its own namespace");
        let mend = "leave `namespace` out, or `ownerReference`";
        context.report.error(given, message, Some(mend.into()));
    }
}

/// Its keys and literals against the schema.
fn checked(context: &mut Context<'_, '_>, tree: &Tree, matched: &Matched, keep: bool) {
    let Some((schema, root)) = matched.fields() else {
        return;
    };
    if schema.status
        && let Some((key, _)) = tree.entry("status")
    {
        let message = format!("the server ignores `status` of a {} here", matched.name());
        context
            .report
            .error(key, message, Some("leave it out".into()));
    }
    let target = Target {
        kind: matched.name(),
        of: root,
    };
    let mut found = vec![];
    values::check(tree, &[target], &mut found);
    values::report(context, found, false);
    if !keep {
        computed_and_fixed(context, tree, schema, &mut vec![]);
    }
}

/// Whether a text can become another one for the same subject: its name, namespace and uid stay what they are.
fn varies(text: &str) -> bool {
    let mut rest = text.to_owned();
    for field in ["name", "namespace", "uid"] {
        rest = rest.replace(&format!("${{object.metadata.{field}}}"), "");
    }
    rest.contains("${")
}

/// Computed values of fields that cannot be changed once the object is there.
fn computed_and_fixed<'t>(
    context: &mut Context<'_, '_>,
    tree: &'t Tree,
    schema: &KindSchema,
    at: &mut Vec<Option<&'t str>>,
) {
    match &tree.data {
        Data::Map(entries) => {
            for (key, value) in entries {
                at.push(Some(key.text().unwrap_or_default()));
                computed_and_fixed(context, value, schema, at);
                at.pop();
            }
        }
        Data::List(items) => {
            at.push(None);
            for item in items {
                computed_and_fixed(context, item, schema, at);
            }
            at.pop();
        }
        Data::Scalar { .. } => {
            let computed = tree.text().is_some_and(varies);
            let identity = matches!(
                at.as_slice(),
                [Some("metadata"), Some("name" | "namespace")]
            );
            if computed
                && !identity
                && let Some(fixed) = schema.fixed(at)
            {
                let message = format!(
                    "this is fixed at creation ({}): once the object is there, another value is refused",
                    fixed.what
                );
                let mend = "with `ifExists: Keep` an object that is there stays as it is";
                context.report.warning(tree, message, Some(mend.into()));
            }
        }
    }
}
