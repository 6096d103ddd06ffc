//! The six edits of a `patch`.

use super::document::Context;
use super::expressions;
use super::feedback;
use super::fields::{self, Fields};
use super::paths;
use super::safety;
use super::values::{self, Target};
use crate::rule::edit::{Edit, EditChange, End};
use crate::rule::expr::{Names, Template};
use crate::rule::path::Path;
use crate::rule::yaml::{Data, Tree};
use crate::schema::{Shape, Type};

/// The edits, one of which each entry has.
const EDITS: [&str; 6] = ["set", "default", "merge", "upsert", "add", "remove"];
const FIELDS: [&str; 10] = [
    "path", "where", "set", "default", "merge", "upsert", "add", "remove", "key", "at",
];
const ENDS: [(&str, End); 2] = [("Start", End::Start), ("End", End::End)];

pub(super) fn compile(context: &mut Context<'_, '_>, tree: &Tree, status: bool) -> Option<Edit> {
    let of = fields::fields(context.report, tree, "an edit", &FIELDS, &[])?;
    let Some(path_tree) = of.get("path") else {
        let mend = "write for example `{path: $.metadata.labels.team, set: shop}`";
        let at = of.key("path").unwrap_or(tree);
        context
            .report
            .error(at, "an edit needs a `path`", Some(mend.into()));
        return None;
    };
    let verb = verb(context, tree, of);
    let path = paths::edited(context, path_tree);
    let item = path.as_ref().filter(|p| p.has_item());
    let declared = context.declared.clone();
    let names = Names {
        item: item.is_some() || context.repeats,
        current: true,
        ..declared.names()
    };
    let tests = of
        .get("where")
        .map(|t| super::clauses::list(context, t, "`where`", item, names))
        .unwrap_or_default();
    let (verb, value) = verb?;
    modifiers(context, of, verb);
    // Without a good path the value is still worth looking at.
    let fitting = path.as_ref().is_none_or(|path| match verb {
        "add" => addable(context, of, path),
        _ => true,
    });
    let template = match verb {
        "remove" => None,
        _ if !fitting => Some(None),
        _ => Some(template(context, value, verb, names)),
    };
    let path = path?;
    context.reads.more_than_metadata |= !path.is_metadata_only();
    if path.has_descendants() {
        let dots = path_tree.text().and_then(|t| t.find("..")).unwrap_or(0);
        let at = context.report.within(path_tree, dots, 2);
        context.report.error(
            at,
            "`..` is for paths that are read, not for edits",
            Some("write the names out, with `[*]` for lists".into()),
        );
        return None;
    }
    let keys = match verb {
        "upsert" => upsert_keys(context, of, &path, value),
        _ => None,
    };
    if verb != "remove" && fitting {
        fits(context, &path, value);
    }
    safety::edit(context, path_tree, &path, of, verb, value, status);
    let template = match template {
        Some(template) => Some(template?),
        None => None,
    };
    if let (Some(template), "set") = (&template, verb)
        && feedback::feeds_itself(context, &path, template, &tests)
    {
        context.report.error(
            value,
            "this value is made from the one it replaces and differs each time: the rule would feed itself",
            Some("compute it from something else, or write the value it shall end at".into()),
        );
    }
    if let (Some(template), "set" | "merge" | "upsert" | "add") = (&template, verb)
        && template.expressions().iter().any(|e| e.reads_now())
    {
        let message = match context.previous {
            true => format!(
                "`{verb}` from `now` is refused, beside a `key` of `once` too: two looks at one state must come to the same value"
            ),
            false => format!("`{verb}` from `now` would write at every look"),
        };
        context.report.error(
            value,
            message,
            Some("`default` writes once, where nothing is".into()),
        );
    }
    let change = match (verb, template) {
        ("set", Some(t)) => EditChange::Set(t),
        ("default", Some(t)) => EditChange::Default(t),
        ("merge", Some(t)) => EditChange::Merge(t),
        ("upsert", Some(elements)) => EditChange::Upsert {
            elements,
            key: keys,
            at: end(context, of),
        },
        ("add", Some(elements)) => EditChange::Add {
            elements,
            at: end(context, of),
        },
        _ => EditChange::Remove,
    };
    Some(Edit {
        path,
        tests,
        change,
        line: tree.line,
    })
}

/// The one edit of an entry, and its value.
fn verb<'t>(
    context: &mut Context<'_, '_>,
    tree: &'t Tree,
    of: Fields<'t>,
) -> Option<(&'static str, &'t Tree)> {
    let mut there = EDITS.into_iter().filter_map(|verb| {
        let (key, value) = of.entry(verb)?;
        Some((verb, key, value))
    });
    let Some((verb, key, value)) = there.next() else {
        if !of.refused {
            let mend = Some(format!("add one of {}", EDITS.join(", ")));
            context.report.error(tree, "this edit does nothing", mend);
        }
        return None;
    };
    if let Some((other, second, _)) = there.next() {
        let mend = Some("write an edit of its own for each, with the same path".into());
        let message = format!("an edit is one of `{verb}` and `{other}`");
        context.report.error(second, message, mend);
        return None;
    }
    if value.is_null() {
        let mend = Some("to take a field away, write `remove: true`".into());
        context
            .report
            .error(key, format!("`{verb}` has no value"), mend);
        return None;
    }
    if verb == "remove" && fields::boolean(context.report, value, "`remove`") != Some(true) {
        if matches!(value.data, Data::Scalar { .. }) && value.text().is_none() {
            context.report.error(
                value,
                "`remove: false` does nothing",
                Some("leave the edit out".into()),
            );
        }
        return None;
    }
    Some((verb, value))
}

/// `key` and `at` where they have no meaning.
fn modifiers(context: &mut Context<'_, '_>, of: Fields<'_>, verb: &str) {
    for (name, fine) in [
        ("key", verb == "upsert"),
        ("at", verb == "upsert" || verb == "add"),
    ] {
        if let (Some(key), false) = (of.key(name), fine) {
            let message = format!("`{name}` has no meaning beside `{verb}`");
            context.report.error(key, message, None);
        }
    }
}

fn end(context: &mut Context<'_, '_>, of: Fields<'_>) -> End {
    of.get("at")
        .and_then(|t| fields::word(context.report, t, "`at`", &ENDS))
        .unwrap_or_default()
}

/// The value, of the form that the edit needs.
fn template(
    context: &mut Context<'_, '_>,
    value: &Tree,
    verb: &str,
    names: Names<'_>,
) -> Option<Template> {
    let whole = value
        .text()
        .is_some_and(|t| t.starts_with("${") && t.ends_with('}'));
    let what = format!("`{verb}`");
    match (verb, &value.data) {
        _ if whole => {}
        ("merge", Data::Map(_)) | ("set" | "default", _) => {}
        ("merge", _) => {
            let message = format!("{what} takes a map, and here is {}", fields::found(value));
            context
                .report
                .error(value, message, Some("`set` takes anything".into()));
            return None;
        }
        ("upsert", _) => {
            for item in fields::list(context.report, value, &what)? {
                if !matches!(item.data, Data::Map(_))
                    && !item.text().is_some_and(|t| t.contains("${"))
                {
                    let message = format!("{what} takes maps, and here is {}", fields::found(item));
                    context
                        .report
                        .error(item, message, Some("`add` takes scalars".into()));
                    return None;
                }
            }
        }
        _ => {
            for item in fields::list(context.report, value, &what)? {
                if !matches!(item.data, Data::Scalar { .. }) || item.is_null() {
                    let message =
                        format!("{what} takes scalars, and here is {}", fields::found(item));
                    context
                        .report
                        .error(item, message, Some("`upsert` takes maps".into()));
                    return None;
                }
            }
        }
    }
    expressions::template(context, value, names)
}

/// The kinds' types at the path.
fn targets<'s>(context: &'s Context<'_, '_>, path: &Path) -> (Vec<Target<'s>>, bool) {
    let mut targets = vec![];
    let mut unchecked = false;
    for matched in &context.kinds {
        let Some((schema, _)) = matched.fields() else {
            unchecked = true;
            continue;
        };
        let types = path.types_from(schema, None);
        targets.extend(types.into_iter().map(|of| Target {
            kind: matched.name(),
            of,
        }));
    }
    (targets, unchecked)
}

/// Keys and literals of the value against the schema.
fn fits(context: &mut Context<'_, '_>, path: &Path, value: &Tree) {
    let mut found = vec![];
    let value = expressions::with_parameters(&context.declared.names(), value);
    let (targets, unchecked) = targets(context, path);
    values::check(&value, &targets, &mut found);
    values::report(context, found, unchecked);
}

/// `key` of an `upsert`, or a look whether the schema has one.
fn upsert_keys(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    path: &Path,
    value: &Tree,
) -> Option<Vec<Box<str>>> {
    let given: Option<Vec<Box<str>>> = of.get("key").map(|tree| match &tree.data {
        Data::List(_) => fields::texts(context.report, tree, "`key`")
            .iter()
            .map(|(_, text)| (*text).into())
            .collect(),
        _ => fields::text(context.report, tree, "`key`")
            .map(Into::into)
            .into_iter()
            .collect(),
    });
    let (targets, unchecked) = targets(context, path);
    let elements: Vec<Type<'_>> = targets.iter().filter_map(|t| t.of.element()).collect();
    let mut problems: Vec<(&Tree, String, Option<String>)> = vec![];
    if let Some(keys) = &given {
        let tree = of.get("key");
        for key in keys {
            let known =
                elements.is_empty() || unchecked || elements.iter().any(|e| e.field(key).is_some());
            if let (false, Some(tree)) = (known, tree) {
                let mut names: Vec<&str> = elements.iter().flat_map(|e| e.field_names()).collect();
                names.sort_unstable();
                names.dedup();
                let mend = fields::one_of_these(key, &names);
                problems.push((tree, format!("the elements have no field `{key}`"), mend));
            }
        }
    } else {
        let keyless = targets
            .iter()
            .find(|t| t.of.shape() == Shape::List && t.of.list_keys().is_empty());
        let unknown = targets.iter().all(|t| t.of.shape() == Shape::Any);
        let upsert = of.key("upsert");
        if let (Some(tree), true) = (upsert, keyless.is_some() || unknown || unchecked) {
            let scalars = keyless.is_some_and(|t| {
                let element = t.of.element().map(Type::shape);
                element.is_some_and(|e| !matches!(e, Shape::Object | Shape::Map | Shape::Any))
            });
            let names = keyless.and_then(|t| t.of.element()).map(Type::field_names);
            let example = match names.as_deref() {
                Some(names) if !names.is_empty() && !names.contains(&"name") => {
                    format!("add `key: […]` with one or more of {}", names.join(", "))
                }
                _ => "add for example `key: name`".to_owned(),
            };
            let (message, mend) = match keyless {
                Some(t) if scalars => (
                    format!("the elements of this list of {} are scalars", t.kind),
                    "write `add`".to_owned(),
                ),
                Some(t) => (
                    format!(
                        "the schema of {} does not say which fields tell the elements of this list apart",
                        t.kind
                    ),
                    example,
                ),
                None => (
                    "no schema says which fields tell the elements of this list apart".into(),
                    example,
                ),
            };
            if (unchecked || !targets.is_empty()) && !context.kinds.is_empty() {
                problems.push((tree, message, Some(mend)));
            }
        }
    }
    let keys: Vec<String> = match &given {
        Some(keys) => keys.iter().map(|k| k.to_string()).collect(),
        None => targets
            .first()
            .map(|t| t.of.list_keys().iter().map(|k| (*k).to_owned()).collect())
            .unwrap_or_default(),
    };
    if let (Data::List(items), true) = (&value.data, problems.is_empty()) {
        for item in items {
            let Data::Map(entries) = &item.data else {
                continue;
            };
            let computed = entries
                .iter()
                .any(|(key, _)| key.text().is_some_and(|t| t.contains("${")));
            for key in &keys {
                let defaulted = elements.iter().any(|e| e.default_of(key).is_some());
                if item.get(key).is_none() && !computed && !defaulted {
                    let message = format!("this element lacks `{key}`, by which it is found");
                    problems.push((item, message, None));
                }
            }
        }
    }
    for (tree, message, mend) in problems {
        context.report.error(tree, message, mend);
    }
    given
}

/// `add` is for lists of scalars.
fn addable(context: &mut Context<'_, '_>, of: Fields<'_>, path: &Path) -> bool {
    let (targets, _) = targets(context, path);
    let of_maps = targets.iter().find(|t| {
        let element = t.of.element().map(Type::shape);
        t.of.shape() == Shape::List && matches!(element, Some(Shape::Object | Shape::Map))
    });
    let (Some(target), Some(key)) = (of_maps, of.key("add")) else {
        return true;
    };
    let message = format!("the elements of this list of {} are maps", target.kind);
    context
        .report
        .error(key, message, Some("write `upsert`".into()));
    false
}
