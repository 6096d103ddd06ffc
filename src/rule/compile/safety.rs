//! What may not be edited or deleted, as far as it can be seen at load.

use super::document::Context;
use super::fields::Fields;
use super::paths::listed;
use super::report::Spot;
use super::values;
use crate::object::Record;
use crate::rule::expr::{NamespaceObject, Scope, Template};
use crate::rule::path::Path;
use crate::rule::yaml::Tree;
use crate::rule::{Action, Step, Verb};
use crate::schema::{Fixed, KindSchema, Shape};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Kinds of which no object is written without `allowProtected`: (group, kind).
const PROTECTED: [(&str, &str); 4] = [
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    (
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
    ),
];
/// Kinds of which none is deleted without `allowProtected`.
const NOT_DELETED: [(&str, &str); 2] = [("", "Namespace"), ("", "Node")];

/// Steps that protection would always skip.
pub(super) fn protected(
    context: &mut Context<'_, '_>,
    steps: &[Step],
    places: &[Spot],
    allowed: &[Verb],
) {
    for (step, at) in steps.iter().zip(places) {
        let verb = step.action.verb();
        if matches!(verb, Verb::Warn | Verb::Event) || allowed.contains(&verb) {
            continue;
        }
        if let Action::Apply(apply) = &step.action {
            let (group, kind) = (&*apply.kind.group, &*apply.kind.kind);
            if PROTECTED.contains(&(group, kind)) {
                let message =
                    format!("every {kind} is protected from `apply`: this step would never act");
                let mend = "if you mean it, add `allowProtected: [apply]` to the rule";
                context.report.error(*at, message, Some(mend.into()));
            }
            continue;
        }
        let is_protected = |group: &str, kind: &str| {
            PROTECTED.contains(&(group, kind))
                || verb == Verb::Delete && NOT_DELETED.contains(&(group, kind))
        };
        let names: Vec<String> = context
            .kinds
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
            if names.len() == context.kinds.len() {
                "this step would never act"
            } else {
                "this step leaves them alone"
            }
        );
        let mend = Some(format!(
            "if you mean it, add `allowProtected: [{word}]` to the rule"
        ));
        if names.len() == context.kinds.len() {
            context.report.error(*at, message, mend);
        } else {
            context.report.warning(*at, message, mend);
        }
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
    fixed(context, path_tree, path, &leaves);
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

/// Edits of which everything they write is fixed at creation.
fn fixed(
    context: &mut Context<'_, '_>,
    path_tree: &Tree,
    path: &Path,
    leaves: &[Vec<Option<&str>>],
) {
    let mut found: Option<Fixed> = None;
    let (mut fixed, mut named, mut free) = (vec![], false, 0usize);
    for matched in &context.kinds {
        let Some(schema) = matched.schema.as_deref() else {
            free += 1;
            continue;
        };
        match only_fixed(schema, path, leaves) {
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

fn only_fixed(schema: &KindSchema, path: &Path, leaves: &[Vec<Option<&str>>]) -> Option<Fixed> {
    let mut first = None;
    for field in path.fields(schema) {
        for leaf in leaves {
            let whole: Vec<Option<&str>> = field.iter().chain(leaf).copied().collect();
            let fixed = schema.fixed(&whole)?;
            first.get_or_insert(fixed);
        }
    }
    first
}

/// Whether a `set` never comes to rest: tried on a few values of the field's type, and what it gives is put in the field again. Certain
/// only in one direction: what a value of the object bounds (`where`) is not looked at.
pub(super) fn feeds_itself(context: &Context<'_, '_>, path: &Path, template: &Template) -> bool {
    if template.literal().is_some() {
        return false;
    }
    let schemas = || context.kinds.iter().filter_map(|k| k.schema.as_deref());
    let shape = super::paths::types(schemas(), path, None)
        .first()
        .map(|t| t.shape());
    let pod = schemas().next().and_then(KindSchema::pod_prefix);
    let kind = context.kinds.first().map(|k| k.name().to_owned());
    let trial = Trial {
        names: path
            .plain_names(pod)
            .map(|names| names.iter().map(|n| n.as_str().to_owned()).collect()),
        object: json!({
            "apiVersion": "v1",
            "kind": kind.unwrap_or_default(),
            "metadata": {"name": "name", "namespace": "namespace", "labels": {}, "annotations": {}},
        }),
        template,
        pod,
    };
    let mut tried = false;
    for sample in samples(shape) {
        match trial.diverges(sample) {
            Some(false) => return false,
            Some(true) => tried = true,
            None => {}
        }
    }
    tried
}

fn samples(shape: Option<Shape>) -> Vec<Value> {
    let numbers = [json!(1), json!(7), json!(1000)];
    let texts = [json!("a"), json!("nginx:1.25"), json!("1.0.0"), json!("2")];
    let amounts = [json!("1Gi"), json!("100m"), json!("2")];
    let lists = [json!([]), json!(["a"])];
    match shape {
        Some(Shape::Integer | Shape::Number) => numbers.to_vec(),
        Some(Shape::String) => texts.to_vec(),
        Some(Shape::Quantity) => amounts.to_vec(),
        Some(Shape::List) => lists.to_vec(),
        Some(Shape::Boolean | Shape::Time | Shape::Object | Shape::Map) => vec![],
        _ => [&numbers[..], &texts[..], &lists[..]].concat(),
    }
}

/// A template applied to its own results.
struct Trial<'a> {
    /// The field's names from the object's root, for a path of plain names.
    names: Option<Vec<String>>,
    object: Value,
    template: &'a Template,
    pod: crate::rule::path::PodPrefix,
}

impl Trial<'_> {
    /// `None`: it cannot be evaluated on this sample.
    fn diverges(&self, sample: Value) -> Option<bool> {
        let first = self.apply(&sample)?;
        let second = self.apply(&first)?;
        let third = self.apply(&second)?;
        Some(first != second && second != third && first != third)
    }

    fn apply(&self, value: &Value) -> Option<Value> {
        let mut object = self.object.clone();
        if let Some(names) = &self.names {
            let mut at = &mut object;
            for name in names {
                at = at.as_object_mut()?.entry(name).or_insert_with(|| json!({}));
            }
            *at = value.clone();
        }
        let object = Record::from_value(&object);
        let current = Record::from_value(value);
        let scope = Scope {
            object: object.root(),
            pod: self.pod,
            namespace_object: NamespaceObject::Unknown,
            now: Timestamp::UNIX_EPOCH,
            item: None,
            applied: None,
            current: Some(current.root()),
            variables: None,
        };
        self.template.render(&scope).ok()?
    }
}
