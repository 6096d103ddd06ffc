//! What an edit would change, place by place.

use super::Hindrance;
use super::answer::Answered;
use super::fixed::fixed;
use super::same::{keep_spelling, misfit, same};
use super::site::{NoSite, Site};
use super::value::{self, Claims, Desired, Empties, Wrong};
use super::{Action, Change, Edit, EditChange, EditContext, Endpoint, FixedFields, Planned};
use crate::object::Node;
use crate::rule::expr::{ExprFault, Scope};
use crate::rule::path::{Hop, Place};
use crate::rule::test::{self, TestRun, Verdict};
use crate::schema::{KindSchema, Shape, Type};
use serde_json::Value;

/// Plans an edit on the object of `scope`. Where there is nothing to change, nothing of the object is copied.
///
/// # Errors
/// An expression of the edit failed, or read something that is not known: then nothing of the edit counts.
pub fn plan(
    edit: &Edit,
    scope: &Scope<'_>,
    context: &EditContext<'_>,
) -> Result<Planned, ExprFault> {
    let (object, pod) = scope.edited();
    let mut places = edit.path.places(object, pod);
    // Unions and slices may name a place twice, or in another order.
    places.sort_by(|a, b| a.location.cmp(&b.location));
    places.dedup_by(|a, b| a.location == b.location);
    let reads_current = edit.reads_current();
    let mut planned = Planned::default();
    for place in &places {
        if left_out(place, scope, context) || (reads_current && !place.present) {
            continue;
        }
        let item = place
            .item
            .and_then(|hops| follow(object, &place.location[..hops]));
        let site = match Site::find(object, &place.location, context.schema) {
            Ok(site) => site,
            Err(NoSite::NotInSchema) => continue,
            // Nothing can stand below what is no map: there is nothing to remove.
            Err(NoSite::WrongType(..)) if matches!(edit.change, EditChange::Remove) => continue,
            Err(NoSite::WrongType(pointer, needed)) => {
                planned.wrong_type(&pointer, needed);
                continue;
            }
        };
        let scope = Scope {
            item: item.or(scope.item),
            current: site.node,
            ..*scope
        };
        if passes(edit, &scope, &mut planned)? {
            at_site(edit, &scope, context, (place, &site), &mut planned)?;
        }
    }
    Ok(planned)
}

impl Planned {
    fn wrong_type(&mut self, pointer: &str, needed: &str) {
        let place = if pointer.is_empty() {
            "the object"
        } else {
            pointer
        };
        self.finding(Hindrance::WrongType, format!("{place} is not {needed}"));
    }

    fn finding(&mut self, reason: Hindrance, message: String) {
        // One per edit and reason: the places of a list would say the same again and again.
        if !self.findings.iter().any(|(r, _)| *r == reason) {
            self.findings.push((reason, message));
        }
    }
}

/// Places that this endpoint does not write, and the Pods of Jobs that are over.
pub(super) fn left_out(place: &Place, scope: &Scope<'_>, context: &EditContext<'_>) -> bool {
    let in_status = matches!(place.location.first(), Some(Hop::Name(n)) if &**n == "status");
    let has_status = context.schema.is_none_or(|s| s.status);
    match context.endpoint {
        Endpoint::Status if !in_status => return true,
        Endpoint::Main if in_status && context.schema.is_some() && has_status => return true,
        _ => {}
    }
    below_pod(place, scope) && is_finished_job(scope.edited().0)
}

fn below_pod(place: &Place, scope: &Scope<'_>) -> bool {
    scope.edited().1.is_some_and(|prefix| {
        place.location.len() >= prefix.len()
            && prefix
                .iter()
                .zip(&place.location)
                .all(|(name, hop)| matches!(hop, Hop::Name(n) if &**n == *name))
    })
}

fn text<'a>(object: Node<'a>, name: &str) -> Option<&'a str> {
    object.get_str(name).and_then(Node::as_str)
}

fn is_finished_job(object: Node<'_>) -> bool {
    text(object, "kind") == Some("Job")
        && text(object, "apiVersion").is_some_and(|v| v.starts_with("batch/"))
        && object.path(&["status", "conditions"]).is_some_and(|list| {
            list.items().any(|condition| {
                matches!(text(condition, "type"), Some("Complete" | "Failed"))
                    && text(condition, "status") == Some("True")
            })
        })
}

fn follow<'a>(root: Node<'a>, hops: &[Hop]) -> Option<Node<'a>> {
    hops.iter().try_fold(root, |node, hop| match hop {
        Hop::Name(name) => node.get_str(name),
        Hop::Index(index) => node.at(*index),
    })
}

pub(super) fn passes(
    edit: &Edit,
    scope: &Scope<'_>,
    planned: &mut Planned,
) -> Result<bool, ExprFault> {
    if edit.tests.is_empty() {
        return Ok(true);
    }
    let mut run = TestRun {
        scope,
        recheck_at: planned.recheck_at,
        trace: None,
    };
    let verdict = test::all(&edit.tests, &mut run);
    planned.recheck_at = run.recheck_at;
    match verdict {
        Verdict::Pass => Ok(true),
        Verdict::Fail => Ok(false),
        Verdict::WrongType(reason) => {
            planned.wrong_types.push(reason);
            Ok(false)
        }
        Verdict::Unknown(reason) => Err(ExprFault::Unknown(reason)),
        Verdict::Failed(reason) => Err(ExprFault::Failed(reason)),
    }
}

fn at_site(
    edit: &Edit,
    scope: &Scope<'_>,
    context: &EditContext<'_>,
    (place, site): (&Place, &Site<'_, '_>),
    planned: &mut Planned,
) -> Result<(), ExprFault> {
    let value = match edit.change.template() {
        None => Value::Null,
        Some(template) => match template.literal() {
            Some(literal) => literal.clone(),
            None => match template.render(scope)? {
                Some(value) => value,
                // `optional.none()` drops the edit as it would drop a key.
                None => return Ok(()),
            },
        },
    };
    let mut claims = Claims {
        barred: context.barred,
        from_current: edit.value_reads_current(),
        yields: matches!(edit.change, EditChange::Default(_)),
        answered: context.answers.map(|answers| Answered {
            answers,
            object: scope.edited().0,
            schema: context.schema,
        }),
        overruled: None,
        made: Vec::new(),
    };
    let desired = desired(edit, value, site, context.schema, &mut claims);
    if planned.overruled.is_none() {
        planned.overruled = claims.overruled.take();
    }
    let desired = match desired {
        Ok(desired) => desired,
        Err(Wrong(pointer, needed)) => {
            planned.wrong_type(&pointer, needed);
            return Ok(());
        }
    };
    let action = match desired {
        Desired::Unchanged => None,
        Desired::Removed => Some(Action::Remove {
            with_parent: site.parent_may_go(&place.location),
        }),
        Desired::Put(mut new) => match site.node {
            Some(node) if same(node, &new, site.ty) => None,
            None if is_nothing(&new, site.ty, context.schema, place) => None,
            node => {
                if let Some(node) = node {
                    keep_spelling(node, &mut new, site.ty);
                }
                let mut below = site.pointer.clone();
                if let Some(words) = site.ty.and_then(|ty| misfit(&new, ty, &mut below)) {
                    planned.wrong_type(&below, words);
                    return Ok(());
                }
                Some(Action::Put(new))
            }
        },
    };
    if let Some(action) = action {
        if context.fixed != FixedFields::Written
            && let Some(fixed) = fixed(context.schema, scope.edited().0, place, site.node, &action)
        {
            if context.fixed == FixedFields::LeftOut {
                return Ok(());
            }
            planned.finding(
                Hindrance::ImmutableField,
                format!("{} cannot be changed: {fixed}", site.pointer),
            );
            return Ok(());
        }
        planned.changes.push(Change {
            location: place.location.clone(),
            action,
        });
    }
    planned.claims.append(&mut claims.made);
    Ok(())
}

/// Whether the server would not keep the value: an empty list or map with free keys, in metadata or in a kind of Kubernetes itself, which
/// stores what is empty as what is absent, and so the empty value of a variable of a container. A custom resource keeps it.
fn is_nothing(
    value: &Value,
    ty: Option<Type<'_>>,
    schema: Option<&KindSchema>,
    place: &Place,
) -> bool {
    let of_metadata = matches!(
        place.location.as_slice(),
        [Hop::Name(first), Hop::Name(_)] if &**first == "metadata"
    );
    if let [.., Hop::Name(list), Hop::Index(_), Hop::Name(name)] = place.location.as_slice()
        && (&**list, &**name) == ("env", "value")
    {
        return value.as_str() == Some("") && schema.is_some_and(|s| s.gvk.is_of_kubernetes());
    }
    match value {
        Value::Object(map) if map.is_empty() => {}
        Value::Array(list) if list.is_empty() => {}
        _ => return false,
    }
    let free = matches!(ty.map(Type::shape), Some(Shape::Map | Shape::List));
    of_metadata || free && schema.is_some_and(|s| s.gvk.is_of_kubernetes())
}

fn desired(
    edit: &Edit,
    mut value: Value,
    site: &Site<'_, '_>,
    schema: Option<&KindSchema>,
    claims: &mut Claims<'_>,
) -> Result<Desired, Wrong> {
    let current = site.node;
    let mut pointer = site.pointer.clone();
    if !matches!(
        edit.change,
        EditChange::Merge(_) | EditChange::Upsert { .. }
    ) {
        value::without_nulls(&mut value);
    }
    match &edit.change {
        EditChange::Set(_) => Ok(value::set(current, value, &pointer, claims)),
        EditChange::Remove => Ok(value::remove(current, &pointer, claims)),
        EditChange::Default(_) => value::default(current, &value, &mut pointer, claims),
        EditChange::Merge(_) => {
            let drops = schema.is_some_and(|s| s.gvk.is_of_kubernetes());
            let empties = match drops || pointer.starts_with("/metadata/") {
                true => Empties::LeftOut,
                false => Empties::Kept,
            };
            value::merge(current, &value, &mut pointer, empties, claims)
        }
        EditChange::Add { at, .. } => value::add(current, &value, *at, &mut pointer, claims),
        EditChange::Upsert { key, at, .. } => {
            let keys = upsert_keys(key.as_deref(), site.ty);
            if keys.is_empty() {
                return Err(Wrong(pointer, "a list with a key"));
            }
            let element = site.ty.and_then(Type::element);
            value::upsert(current, &value, (&keys, *at), element, &mut pointer, claims)
        }
    }
}

/// The key as given, else the schema's.
pub(super) fn upsert_keys<'k>(
    given: Option<&'k [Box<str>]>,
    list: Option<Type<'k>>,
) -> Vec<&'k str> {
    match given {
        Some(keys) => keys.iter().map(|k| &**k).collect(),
        None => list.map(Type::list_keys).unwrap_or_default(),
    }
}
