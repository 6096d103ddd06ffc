//! `match.resources`: which kinds a rule is about.

use super::fields::{self, Fields, did_you_mean};
use super::report::{Report, Spot};
use crate::object::{GroupKind, Gvk};
use crate::rule::ResolvedKind;
use crate::rule::selector::{Globs, WORKLOADS};
use crate::rule::yaml::Tree;
use crate::schema::{KindSchema, Schema, Scope, Type};
use std::sync::Arc;

/// Kinds that change all the time and that a glob never means.
const NOT_BY_GLOB: [&str; 3] = ["Event", "Lease", "EndpointSlice"];
/// Stands for the six workloads.
const WORKLOAD: &str = "Workload";

/// A kind that a rule matches.
#[derive(Clone)]
pub(super) struct Matched {
    pub resolved: ResolvedKind,
    pub schema: Option<Arc<KindSchema>>,
    /// Where its objects lie.
    pub scope: Scope,
    /// Written out, not by `Workload` or a glob.
    pub named: bool,
}

impl Matched {
    /// Its schema, if its fields are known.
    pub fn fields(&self) -> Option<(&KindSchema, Type<'_>)> {
        let schema = self.schema.as_deref()?;
        Some((schema, schema.root()?))
    }

    /// For messages.
    pub fn name(&self) -> &str {
        &self.resolved.kind.kind
    }
}

/// What `resources` came to.
#[derive(Default)]
pub(super) struct Kinds {
    pub matched: Vec<Matched>,
    /// Where each was named.
    pub places: Vec<Spot>,
    pub workload: bool,
}

impl Kinds {
    fn add(
        &mut self,
        of: &Schema,
        gvk: &Gvk,
        schema: Option<Arc<KindSchema>>,
        at: Spot,
        named: bool,
    ) {
        let kind = gvk.group_kind();
        let scope = of.scope(&kind);
        let same = |m: &&mut Matched| m.resolved.kind == kind && m.resolved.version == gvk.version;
        if let Some(known) = self.matched.iter_mut().find(same) {
            known.named |= named;
            return;
        }
        let resolved = ResolvedKind {
            kind,
            version: gvk.version.clone(),
        };
        self.matched.push(Matched {
            resolved,
            schema,
            scope,
            named,
        });
        self.places.push(at);
    }
}

/// One entry of `resources`.
struct Entry<'t> {
    tree: &'t Tree,
    api_version: Option<(&'t Tree, &'t str)>,
    kind: (&'t Tree, &'t str),
}

impl Entry<'_> {
    fn excludes(&self) -> bool {
        self.kind.1.starts_with('!') || self.api_version.is_some_and(|(_, v)| v.starts_with('!'))
    }
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '!'])
}

/// Reads `resources`. `None` if nothing can be made of it.
pub(super) fn compile(tree: &Tree, report: &mut Report<'_>, schema: &Schema) -> Option<Kinds> {
    let items = fields::list(report, tree, "`resources`")?;
    if items.is_empty() {
        let mend = Some("write `[{apiVersion: apps/v1, kind: Deployment}]`".into());
        report.error(tree, "`resources` names no kind", mend);
        return None;
    }
    let mut entries = vec![];
    for item in items {
        let known = ["apiVersion", "kind"];
        if let Some(of) = fields::fields(report, item, "a resource", &known, &[]) {
            entries.extend(entry(item, of, report, schema));
        }
    }
    let mut kinds = Kinds::default();
    for entry in entries.iter().filter(|e| !e.excludes()) {
        include(entry, report, schema, &mut kinds);
    }
    let includes = entries.iter().any(|e| !e.excludes());
    for entry in entries.iter().filter(|e| includes && e.excludes()) {
        exclude(entry, report, &mut kinds);
    }
    if !includes && !entries.is_empty() {
        report.error(
            tree,
            "`resources` only excludes kinds",
            Some("name the kinds to include too: `{apiVersion: \"*\", kind: \"*\"}` is all".into()),
        );
    }
    two_versions(&kinds, report);
    for (matched, at) in kinds.matched.iter().zip(&kinds.places) {
        if schema.lies_nowhere(&matched.resolved.kind) {
            guessed(matched, *at, report);
        }
    }
    (!kinds.matched.is_empty()).then_some(kinds)
}

fn entry<'t>(
    tree: &'t Tree,
    of: Fields<'t>,
    report: &mut Report<'_>,
    schema: &Schema,
) -> Option<Entry<'t>> {
    let Some(kind_tree) = of.get("kind") else {
        report.error(tree, "a resource needs a `kind`", None);
        return None;
    };
    let kind = fields::text(report, kind_tree, "`kind`")?;
    let api_version = match of.get("apiVersion") {
        Some(tree) => Some((tree, fields::text(report, tree, "`apiVersion`")?)),
        None => None,
    };
    let patterns = [Some((kind_tree, kind)), api_version];
    for (tree, text) in patterns.into_iter().flatten() {
        let slash_is_fine = text.replace('/', "-");
        if let Err((message, mend)) = Globs::check(&slash_is_fine) {
            report.error(tree, message, mend);
            return None;
        }
    }
    if api_version.is_none() && kind != WORKLOAD {
        let known = schema.kinds();
        let same = |k: &&Arc<KindSchema>| &*k.gvk.kind == kind;
        let mend = match known.iter().find(same) {
            Some(found) => format!(
                "write `{{apiVersion: {}, kind: {kind}}}`",
                found.gvk.api_version()
            ),
            None => did_you_mean(kind, [WORKLOAD])
                .unwrap_or_else(|| format!("write `{{apiVersion: …, kind: {kind}}}`")),
        };
        report.error(
            kind_tree,
            format!("`{kind}` needs an apiVersion: only `{WORKLOAD}` may stand without"),
            Some(mend),
        );
        return None;
    }
    Some(Entry {
        tree,
        api_version,
        kind: (kind_tree, kind),
    })
}

fn include(entry: &Entry<'_>, report: &mut Report<'_>, schema: &Schema, kinds: &mut Kinds) {
    let (kind_tree, kind) = entry.kind;
    let Some((version_tree, api_version)) = entry.api_version else {
        kinds.workload = true;
        for (group, kind) in WORKLOADS {
            let found = schema.kind(&GroupKind::new(group, kind));
            let gvk = found.as_ref().map_or_else(
                || Gvk::from_api_version(&format!("{group}/v1"), kind),
                |k| k.gvk.clone(),
            );
            kinds.add(schema, &gvk, found, kind_tree.into(), false);
        }
        return;
    };
    if !is_glob(kind) && !is_glob(api_version) {
        return named(entry, version_tree, api_version, report, schema, kinds);
    }
    let versions = Globs::new(vec![api_version.into()]);
    let names = Globs::new(vec![kind.into()]);
    let mut some = false;
    let known = schema.kinds();
    for found in &known {
        let name = &*found.gvk.kind;
        let meant = is_glob(kind) && NOT_BY_GLOB.contains(&name);
        if !found.listable || meant || !names.matches(name) {
            continue;
        }
        if versions.matches(&found.gvk.api_version()) {
            some = true;
            kinds.add(
                schema,
                &found.gvk,
                Some(found.clone()),
                entry.tree.into(),
                false,
            );
        }
    }
    for gvk in schema.seen() {
        let kind = gvk.group_kind();
        let there = kinds.matched.iter().any(|m| m.resolved.kind == kind);
        if !there && names.matches(&gvk.kind) && versions.matches(&gvk.api_version()) {
            some = true;
            kinds.add(schema, gvk, None, entry.tree.into(), false);
        }
    }
    if !some {
        let mend = known
            .iter()
            .filter(|_| kind != "*")
            .find(|k| names.matches(&k.gvk.kind))
            .map(|k| format!("{} is in `{}`", k.gvk.kind, k.gvk.api_version()));
        report.warning(
            entry.tree,
            format!("no kind that is known matches `{api_version}` `{kind}`"),
            mend,
        );
    }
}

/// One kind written out, at apiVersion and kind; what is wrong with it is reported.
pub(super) fn one(
    report: &mut Report<'_>,
    schema: &Schema,
    (version_tree, api_version): (&Tree, &str),
    (kind_tree, kind): (&Tree, &str),
) -> Option<Matched> {
    let entry = Entry {
        tree: kind_tree,
        api_version: Some((version_tree, api_version)),
        kind: (kind_tree, kind),
    };
    let mut kinds = Kinds::default();
    named(
        &entry,
        version_tree,
        api_version,
        report,
        schema,
        &mut kinds,
    );
    kinds.matched.pop()
}

/// A kind written out.
fn named(
    entry: &Entry<'_>,
    version_tree: &Tree,
    api_version: &str,
    report: &mut Report<'_>,
    schema: &Schema,
    kinds: &mut Kinds,
) {
    let (kind_tree, kind) = entry.kind;
    let gvk = Gvk::from_api_version(api_version, kind);
    if let Some(found) = schema.kind_at(&gvk) {
        if found.listable {
            kinds.add(schema, &gvk, Some(found), kind_tree.into(), true);
        } else {
            let message = format!("{kind} cannot be listed, so that no rule can be about it");
            report.error(kind_tree, message, None);
        }
        return;
    }
    if schema.is_undiscovered(&gvk.group) && schema.kind(&gvk.group_kind()).is_none() {
        let message = format!(
            "the server cannot say now whether it has `{api_version}` `{kind}`: its fields are not checked"
        );
        report.warning(kind_tree, message, None);
        return kinds.add(schema, &gvk, None, kind_tree.into(), true);
    }
    let builtin = schema.is_builtin_group(&gvk.group);
    // Another version of the kind, a typing error in its name, or its name in another group.
    let (at, message, mend) = if let Some(other) = schema.kind(&gvk.group_kind()) {
        (
            version_tree,
            format!("{kind} is not in `{api_version}`"),
            Some(format!("it is in `{}`", other.gvk.api_version())),
        )
    } else {
        let known = schema.kinds();
        let in_group = known.iter().filter(|k| k.gvk.group == gvk.group);
        let near = did_you_mean(kind, in_group.map(|k| &*k.gvk.kind));
        let elsewhere = || {
            let same = known.iter().find(|k| &*k.gvk.kind == kind)?;
            Some(format!("{kind} is in `{}`", same.gvk.api_version()))
        };
        let misspelt = || {
            let versions: Vec<String> = known.iter().map(|k| k.gvk.api_version()).collect();
            did_you_mean(api_version, versions.iter().map(String::as_str))
        };
        let message = if builtin {
            format!("`{api_version}` has no kind `{kind}`")
        } else {
            let but = match schema.scope(&gvk.group_kind()) {
                Scope::Cluster => " but that it is cluster-scoped",
                _ => "",
            };
            format!("nothing is known of `{api_version}` `{kind}`{but}: its fields are not checked")
        };
        (
            kind_tree,
            message,
            near.or_else(elsewhere).or_else(misspelt),
        )
    };
    // Of an old version there may be objects among the manifests.
    if builtin && !schema.seen().contains(&gvk) {
        report.error(at, message, mend);
    } else {
        let mend = mend.or(Some(
            "put its CustomResourceDefinition among the manifests, if there is one".into(),
        ));
        report.warning(at, message, mend);
        kinds.add(schema, &gvk, None, kind_tree.into(), true);
    }
}

/// Says that nobody knows whether the objects of a kind lie in namespaces, where it matters.
pub(super) fn guessed(matched: &Matched, at: Spot, report: &mut Report<'_>) {
    let kind = &matched.resolved.kind;
    if report.guessed.insert(kind.clone()) {
        let message = format!(
            "nothing says whether {} is cluster-scoped: it is taken to be namespaced",
            kind
        );
        let mend = "put its CustomResourceDefinition among the manifests, or write a `namespace` into what is to have one";
        report.warning(at, message, Some(mend.into()));
    }
}

fn exclude(entry: &Entry<'_>, report: &mut Report<'_>, kinds: &mut Kinds) {
    let bare = |text: &str| Globs::new(vec![text.trim_start_matches('!').to_owned()]);
    let versions = entry.api_version.map(|(_, text)| bare(text));
    let names = bare(entry.kind.1);
    let mut index = 0;
    let before = kinds.matched.len();
    kinds.matched.retain(|matched| {
        let kind = &matched.resolved;
        let api_version = if kind.kind.group.is_empty() {
            kind.version.to_string()
        } else {
            format!("{}/{}", kind.kind.group, kind.version)
        };
        let out = names.matches(&kind.kind.kind)
            && versions.as_ref().is_none_or(|v| v.matches(&api_version));
        if out {
            kinds.places.remove(index);
        } else {
            index += 1;
        }
        !out
    });
    if kinds.matched.len() == before {
        report.warning(entry.tree, "this excludes nothing that is included", None);
    }
}

/// One rule that names a kind at two versions.
fn two_versions(kinds: &Kinds, report: &mut Report<'_>) {
    for (index, (matched, at)) in kinds.matched.iter().zip(&kinds.places).enumerate() {
        let kind = &matched.resolved.kind;
        let first = kinds.matched[..index]
            .iter()
            .find(|m| m.resolved.kind == *kind);
        if let Some(first) = first {
            report.error(
                *at,
                format!(
                    "{kind} is named at {} and at {}: a kind is watched at one version",
                    first.resolved.version, matched.resolved.version
                ),
                Some("keep one of them".into()),
            );
        }
    }
}
