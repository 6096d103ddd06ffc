//! What may not be edited or deleted, as far as it can be seen at load.

use super::document::Context;
use super::fields::Fields;
use super::kinds::Matched;
use super::paths::listed;
use super::report::Spot;
use super::{parameters, values};
use crate::rule::path::Path;
use crate::rule::yaml::{Data, Tree};
use crate::rule::{Action, Lifetime, Occasion, Step, Verb, protection};
use crate::schema::{Fixed, KindSchema};

/// Steps that protection would always skip.
pub(super) fn protected(
    context: &mut Context<'_, '_>,
    steps: &[Step],
    places: &[Spot],
    allowed: &[Verb],
) {
    for (step, at) in steps.iter().zip(places) {
        let verb = step.action.verb();
        if verb.is_free() || allowed.contains(&verb) {
            continue;
        }
        if let Action::Apply(apply) = &step.action {
            let (group, kind) = (&*apply.kind.group, &*apply.kind.kind);
            if protection::of_kind(group, kind, verb).is_some() {
                let message =
                    format!("every {kind} is protected from `apply`: this step would never act");
                let mend = "if you mean it, add `allowProtected: [apply]` to the rule";
                context.report.error(*at, message, Some(mend.into()));
            }
            continue;
        }
        let is_protected =
            |group: &str, kind: &str| protection::of_kind(group, kind, verb).is_some();
        let kinds = match step.target {
            Some(list) => context.lists.get(list).map_or(&[][..], |list| &list.kinds),
            None => &context.kinds,
        };
        let all = kinds.len();
        let names: Vec<String> = kinds
            .iter()
            .filter(|k| is_protected(&k.resolved.kind.group, &k.resolved.kind.kind))
            .map(|k| k.name().to_owned())
            .collect();
        if names.is_empty() {
            continue;
        }
        let word = verb.as_str();
        let message = format!(
            "every {} is protected from `{word}`: {}",
            listed(&names),
            if names.len() == all {
                "this step would never act"
            } else {
                "this step leaves them alone"
            }
        );
        let mend = Some(format!(
            "if you mean it, add `allowProtected: [{word}]` to the rule"
        ));
        // No error: what is protected is skipped and counted, and the other steps act.
        context.report.warning(*at, message, mend);
    }
}

/// Group and kind.
type KindName = (&'static str, &'static str);

/// Kinds that controllers make, each with the kinds of its owners.
const MADE: [(KindName, &[KindName]); 4] = [
    (
        ("", "Pod"),
        &[
            ("apps", "ReplicaSet"),
            ("apps", "StatefulSet"),
            ("apps", "DaemonSet"),
            ("batch", "Job"),
        ],
    ),
    (("apps", "ReplicaSet"), &[("apps", "Deployment")]),
    (
        ("apps", "ControllerRevision"),
        &[("apps", "StatefulSet"), ("apps", "DaemonSet")],
    ),
    (("discovery.k8s.io", "EndpointSlice"), &[("", "Service")]),
];

/// Edits of kinds that controllers make, in a rule that neither is about the owners too nor asks who owns an object.
pub(super) fn made_by_controllers(
    context: &mut Context<'_, '_>,
    steps: &[Step],
    places: &[Spot],
    tests: Option<&Tree>,
) {
    // What lasts only as long as the match is about this very object, and not about the next ones.
    let edits = |step: &Step| {
        step.lifetime == Lifetime::Permanent
            && step.target.is_none()
            && matches!(
                step.action,
                Action::Patch { status: false, .. } | Action::Scale { .. }
            )
    };
    let first = steps.iter().zip(places).find(|(step, _)| edits(step));
    let Some((_, at)) = first else { return };
    // The next ones get the change, too.
    if context.when.has(Occasion::Create) {
        return;
    }
    if tests.is_some_and(|tests| mentions(tests, "ownerReferences")) {
        return;
    }
    let is = |matched: &Matched, name: &KindName| {
        let of = &matched.resolved.kind;
        (&*of.group, &*of.kind) == *name
    };
    let made = MADE.iter().find(|(name, owners)| {
        let kinds = &context.kinds;
        kinds.iter().any(|m| m.named && is(m, name))
            && !owners
                .iter()
                .any(|owner| kinds.iter().any(|m| is(m, owner)))
    });
    let Some(((_, kind), owners)) = made else {
        return;
    };
    let owners: Vec<String> = owners.iter().map(|(_, kind)| (*kind).to_owned()).collect();
    context.report.warning(
        *at,
        format!(
            "a {kind} is normally made by a controller ({}), which makes the next one without this change",
            owners.join(", ")
        ),
        Some(format!(
            "change the owner; if a {kind} without one is meant, say so: `where: [{{path: $.metadata.ownerReferences, operator: Empty}}]`"
        )),
    );
}

/// Whether some text in the tree has this word.
fn mentions(tree: &Tree, word: &str) -> bool {
    match &tree.data {
        Data::Scalar { .. } => tree.text().is_some_and(|text| text.contains(word)),
        Data::List(items) => items.iter().any(|item| mentions(item, word)),
        Data::Map(entries) => entries.iter().any(|(_, value)| mentions(value, word)),
    }
}

/// Whether an edit could do anything at its endpoint, and to fields that can be changed.
pub(super) fn edit(
    context: &mut Context<'_, '_>,
    path_tree: &Tree,
    path: &Path,
    of: Fields<'_>,
    verb: &str,
    value: &Tree,
    status: bool,
) {
    if path.text() == "$" {
        let mend = "name the field: `$.metadata.labels.team`";
        context.report.error(
            path_tree,
            "an edit cannot replace the whole object",
            Some(mend.into()),
        );
        return;
    }
    endpoint(context, path_tree, path, status);
    if only_goes_in(context, path) {
        let mend = "write `$.data` with `${base64.encode(…)}`, or look at creations only: `when: [Create]`";
        context.report.error(
            path_tree,
            "the server takes `stringData` and never shows it: the loop would write it at every look",
            Some(mend.into()),
        );
        return;
    }
    let keys: Vec<String> = match (verb, of.get("key").and_then(Tree::text)) {
        ("upsert", Some(key)) => vec![key.to_owned()],
        ("upsert", None) => {
            let schemas = context.kinds.iter().filter_map(|k| k.schema.as_deref());
            let types = super::paths::types(schemas, path, None);
            let keys = types.iter().flat_map(|t| t.list_keys());
            keys.map(str::to_owned).collect()
        }
        _ => vec![],
    };
    let leaves = match verb {
        "upsert" => values::written_by_elements(value, &keys),
        "set" | "default" | "merge" => values::written(value),
        _ => vec![vec![]],
    };
    // What is computed may well hold all that stood there.
    let replaces = matches!(verb, "set" | "merge") && !parameters::has_expression(value);
    let growth = match verb {
        "upsert" | "add" => Growth::Adds,
        "remove" => Growth::Replaces,
        _ if replaces => Growth::Replaces,
        _ => Growth::Fills,
    };
    fixed(context, path_tree, path, &leaves, growth);
}

/// What an edit does to a list that only grows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Growth {
    /// Adds elements.
    Adds,
    /// Makes the list where there is none, changes fields of its elements.
    Fills,
    /// Puts another list in its place, or none.
    Replaces,
}

/// Whether the edit is one of `stringData` of a Secret in the loop.
fn only_goes_in(context: &Context<'_, '_>, path: &Path) -> bool {
    let begins = ["$.stringData", "$['stringData']", "$[\"stringData\"]"];
    context.when.has(Occasion::Reconcile)
        && context.kinds.iter().any(|kind| kind.name() == "Secret")
        && begins.iter().any(|begin| path.text().starts_with(begin))
}

/// `status` is written through its subresource, where the kind has one, and nothing else is.
fn endpoint(context: &mut Context<'_, '_>, path_tree: &Tree, path: &Path, status: bool) {
    let of_status = |schema: &KindSchema| {
        let fields = path.fields(schema);
        let all = |wanted: bool| {
            !fields.is_empty()
                && fields
                    .iter()
                    .all(|f| (f.first() == Some(&Some("status"))) == wanted)
        };
        (all(true), all(false))
    };
    let schemas: Vec<&KindSchema> = context
        .kinds
        .iter()
        .filter_map(|k| k.schema.as_deref())
        .filter(|s| s.status)
        .collect();
    if schemas.is_empty() {
        return;
    }
    let (message, mend) = if !status && schemas.iter().all(|s| of_status(s).0) {
        (
            format!(
                "the server ignores changes of `status` of {} here",
                schemas[0].gvk.kind
            ),
            "add `subresource: status` to the step, beside `patch`",
        )
    } else if status && schemas.iter().all(|s| of_status(s).1) {
        (
            "`subresource: status` changes nothing but `status`".to_owned(),
            "make it a step of its own, without `subresource`",
        )
    } else {
        return;
    };
    context.report.error(path_tree, message, Some(mend.into()));
}

/// Edits of which everything they write is fixed at creation. A rule that looks at creations can make them there.
fn fixed(
    context: &mut Context<'_, '_>,
    path_tree: &Tree,
    path: &Path,
    leaves: &[Vec<Option<&str>>],
    growth: Growth,
) {
    if context.when.has(Occasion::Create) {
        return;
    }
    let mut found: Option<Fixed> = None;
    let (mut fixed, mut named, mut free) = (vec![], false, 0usize);
    for matched in &context.kinds {
        let Some(schema) = matched.schema.as_deref() else {
            free += 1;
            continue;
        };
        match only_fixed(schema, path, leaves, growth) {
            Some(what) => {
                fixed.push(matched.name().to_owned());
                named |= matched.named;
                found.get_or_insert(what);
            }
            None => free += 1,
        }
    }
    let Some(what) = found else { return };
    let message = format!("this is fixed at creation: {}", what.what);
    let mend = match what.instead {
        Some(place) => format!("patch {place}"),
        None => "only a new object can have it otherwise".into(),
    };
    let mend = Some(mend);
    if free == 0 {
        context.report.error(path_tree, message, mend);
    } else if named {
        // `Workload` and globs are meant to stand for what can be done to each.
        let message = format!("{message}; the edit leaves {} out", listed(&fixed));
        context.report.warning(path_tree, message, mend);
    }
}

fn only_fixed(
    schema: &KindSchema,
    path: &Path,
    leaves: &[Vec<Option<&str>>],
    growth: Growth,
) -> Option<Fixed> {
    let lost = |path: &[Option<&str>]| {
        let growing = schema.growing().filter(|growing| growing.is_on(path))?;
        let loses = match growth {
            Growth::Adds => false,
            Growth::Fills => growing.holds(path),
            Growth::Replaces => growing.holds(path) || path.len() == growing.list.len(),
        };
        loses.then_some(growing.fixed)
    };
    let mut first = None;
    for field in path.fields(schema) {
        for leaf in leaves {
            let whole: Vec<Option<&str>> = field.iter().chain(leaf).copied().collect();
            let fixed = schema.fixed(&whole).or_else(|| lost(&whole))?;
            first.get_or_insert(fixed);
        }
    }
    first
}
