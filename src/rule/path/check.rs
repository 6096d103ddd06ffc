//! A path against the schema of a kind: does every name in it exist, and what does it lead to.

use super::filter::{Filter, Operand, Query};
use super::scan::Span;
use super::{Path, PathProblem, Root, Segment, Selector};
use crate::schema::{KindSchema, Shape, Type, nearest};

/// Types reachable below `..` are looked through to this many; schemas are recursive in places.
const MOST_TYPES: usize = 4096;
/// Most fields that one path with unions is taken to mean: three times as many as its text may say, for `$containers`.
pub const MOST_FIELDS: usize = 3 * super::parse::MOST_PLACES;
/// Names shorter than this are nearly some field's by chance (`app`, `env`).
const SHORT: usize = 5;

impl Path {
    /// Checks the path, its filters included, against a kind's type. Below [`Shape::Any`] everything is fine.
    ///
    /// # Errors
    /// The first name that the schema does not know, with the nearest names; or a step that its type cannot take.
    pub fn check(&self, kind: &KindSchema) -> Result<(), PathProblem> {
        self.check_from(kind, None)
    }

    /// Checks a path that reads only metadata, `apiVersion` and `kind` for a kind whose own fields nobody knows: these are the same for
    /// every kind, and `known` is any of those whose schema is there.
    ///
    /// # Errors
    /// As [`Path::check`].
    pub fn check_metadata(&self, known: &KindSchema, kind: &str) -> Result<(), PathProblem> {
        let Some(root) = known.root() else {
            return Ok(());
        };
        Check { root, kind }
            .segments(vec![root], &self.segments)
            .map(|_| ())
    }

    /// As [`Path::check`] for the `where` of an edit, where `$` is one of these types; `None`: it is the object.
    ///
    /// # Errors
    /// As [`Path::check`].
    pub fn check_from(
        &self,
        kind: &KindSchema,
        item: Option<&[Type<'_>]>,
    ) -> Result<(), PathProblem> {
        let Some(root) = kind.root() else {
            return Ok(());
        };
        if let (Root::Object, Some(item)) = (self.root, item) {
            return Check {
                root,
                kind: &kind.gvk.kind,
            }
            .segments(item.to_vec(), &self.segments)
            .map(|_| ());
        }
        let start = match self.start(kind, root) {
            Some(start) => start,
            None if self.root == Root::Object => return Ok(()),
            None => {
                return Err(PathProblem {
                    at: 0,
                    length: if self.root == Root::Pod { 4 } else { 11 },
                    message: format!("a {} has no Pod or Pod template", kind.gvk.kind),
                    mend: None,
                });
            }
        };
        Check {
            root,
            kind: &kind.gvk.kind,
        }
        .segments(vec![start], &self.segments)
        .map(|_| ())
    }

    /// The types of what an edit at this path calls `item`: what the last wildcard, filter, index or slice selects.
    /// `None` for a path of names; empty where the schema does not know.
    pub fn item_types<'s>(&self, kind: &'s KindSchema) -> Option<Vec<Type<'s>>> {
        let last = self.segments.iter().rposition(|s| !s.is_names())?;
        let types = kind.root().and_then(|root| {
            let start = self.start(kind, root)?;
            let check = Check {
                root,
                kind: &kind.gvk.kind,
            };
            check.segments(vec![start], &self.segments[..=last]).ok()
        });
        Some(types.unwrap_or_default())
    }

    /// The types of what the path selects, each once; empty where the schema does not know. `item` as in [`Path::check_from`].
    pub fn types_from<'s>(&self, kind: &'s KindSchema, item: Option<&[Type<'s>]>) -> Vec<Type<'s>> {
        let types = kind.root().and_then(|root| {
            let start = match (self.root, item) {
                (Root::Object, Some(item)) => item.to_vec(),
                _ => vec![self.start(kind, root)?],
            };
            let check = Check {
                root,
                kind: &kind.gvk.kind,
            };
            check.segments(start, &self.segments).ok()
        });
        types.unwrap_or_default()
    }

    /// The fields an edit at this path means, from the object's root: names, and `None` for whatever a wildcard, filter, index or slice
    /// selects. At most [`MOST_FIELDS`]; `ephemeralContainers` are left out of `$containers`. Empty if the kind has no Pod.
    pub fn fields(&self, kind: &KindSchema) -> Vec<Vec<Option<&str>>> {
        let prefix: &[&str] = match (self.root, kind.pod_prefix()) {
            (Root::Object, _) => &[],
            (_, Some(prefix)) => prefix,
            (_, None) => return vec![],
        };
        let mut fields = vec![prefix.iter().map(|n| Some(*n)).collect::<Vec<_>>()];
        for segment in &self.segments {
            let names = segment.selectors.iter().map(|selector| match selector {
                Selector::Name(name, _) => Some(name.as_str()),
                _ => None,
            });
            let left_out = |name: &Option<&str>| {
                self.root == Root::Containers && *name == Some(super::CONTAINER_LISTS[2])
            };
            let names: Vec<Option<&str>> = names.filter(|n| !left_out(n)).collect();
            fields = fields
                .iter()
                .flat_map(|field| {
                    names.iter().map(move |name| {
                        let mut field = field.clone();
                        field.push(*name);
                        field
                    })
                })
                .take(MOST_FIELDS)
                .collect();
        }
        fields
    }

    /// The type of what the path selects, where the schema knows it and it is the same for all.
    pub fn type_in<'s>(&self, kind: &'s KindSchema) -> Option<Type<'s>> {
        let root = kind.root()?;
        let start = self.start(kind, root)?;
        let types = Check {
            root,
            kind: &kind.gvk.kind,
        }
        .segments(vec![start], &self.segments)
        .ok()?;
        let (first, rest) = types.split_first()?;
        rest.iter().all(|t| t.id() == first.id()).then_some(*first)
    }

    pub(super) fn start<'s>(&self, kind: &'s KindSchema, root: Type<'s>) -> Option<Type<'s>> {
        if self.root == Root::Object {
            return Some(root);
        }
        kind.pod_prefix()?
            .iter()
            .try_fold(root, |t, name| t.field(name))
    }
}

struct Check<'s> {
    root: Type<'s>,
    kind: &'s str,
}

impl<'s> Check<'s> {
    fn segments(
        &self,
        mut types: Vec<Type<'s>>,
        segments: &[Segment],
    ) -> Result<Vec<Type<'s>>, PathProblem> {
        // The last name: what brackets behind it are about.
        let mut about: Option<&Selector> = None;
        for segment in segments {
            if segment.descendant {
                types = reachable(types);
            }
            let mut next: Vec<Type<'s>> = vec![];
            for selector in &segment.selectors {
                next.extend(self.selector(&types, selector, segment.descendant, about)?);
            }
            next.sort_by_key(|t| t.id());
            next.dedup_by_key(|t| t.id());
            types = next;
            about = segment
                .selectors
                .last()
                .filter(|selector| matches!(selector, Selector::Name(..)));
        }
        Ok(types)
    }

    fn selector(
        &self,
        types: &[Type<'s>],
        selector: &Selector,
        below: bool,
        about: Option<&Selector>,
    ) -> Result<Vec<Type<'s>>, PathProblem> {
        let children =
            || -> Vec<Type<'s>> { types.iter().flat_map(|t| all_children(*t)).collect() };
        let (found, needed) = match selector {
            Selector::Name(name, place) => return self.name(types, name.as_str(), *place, below),
            Selector::Index(_) | Selector::Slice(..) => (
                types.iter().filter_map(|t| element(*t)).collect(),
                "a number in brackets selects an element of a list",
            ),
            Selector::Wildcard => (children(), "`*` selects elements and members"),
            Selector::Filter(filter) => {
                let children = children();
                // Below `..` a filter is tried on everything: most of it lacks the fields it names.
                if !below {
                    self.filter(&children, filter)?;
                }
                (children, "a filter selects elements and members")
            }
        };
        if let (true, false, Some(Selector::Name(name, place)), Some(of)) =
            (found.is_empty(), below, about, types.first())
        {
            return Err(place.problem(format!(
                "`{}` is {}: {needed}",
                name.as_str(),
                shape_name(of.shape())
            )));
        }
        Ok(found)
    }

    fn name(
        &self,
        types: &[Type<'s>],
        name: &str,
        place: Span,
        below: bool,
    ) -> Result<Vec<Type<'s>>, PathProblem> {
        if below {
            return self.name_below(types, name, place);
        }
        let found: Vec<Type<'s>> = types.iter().filter_map(|t| field(*t, name)).collect();
        let Some(of) = types.first() else {
            return Ok(found);
        };
        if !found.is_empty() {
            return Ok(found);
        }
        if types.iter().all(|t| t.shape() == Shape::List) {
            return Err(place
                .problem(format!("`{name}` is looked for in a list"))
                .mended("write `[*]` before it to look into each element"));
        }
        let mut candidates: Vec<&str> = types.iter().flat_map(|t| t.field_names()).collect();
        candidates.sort_unstable();
        candidates.dedup();
        if candidates.is_empty() {
            return Err(place.problem(format!(
                "`{name}` is looked for in {}, which has no fields",
                shape_name(of.shape())
            )));
        }
        let problem = place.problem(format!("{} has no field `{name}` here", self.kind));
        let near = nearest(name, candidates.iter().copied());
        Err(if near.is_empty() && candidates.len() <= 12 {
            problem.mended(format!("its fields are {}", candidates.join(", ")))
        } else {
            meant(problem, &near)
        })
    }

    /// Behind `..`. A map of free keys (labels) takes every name and is nearly everywhere, so that it vouches only for a name that is not
    /// nearly one of a field.
    fn name_below(
        &self,
        types: &[Type<'s>],
        name: &str,
        place: Span,
    ) -> Result<Vec<Type<'s>>, PathProblem> {
        let of = |shapes: &[Shape]| -> Vec<Type<'s>> {
            let of_shape = types.iter().filter(|t| shapes.contains(&t.shape()));
            of_shape.filter_map(|t| field(*t, name)).collect()
        };
        let named = of(&[Shape::Object, Shape::Any]);
        if !named.is_empty() || types.is_empty() {
            return Ok(named);
        }
        let mut candidates: Vec<&str> = types.iter().flat_map(|t| t.field_names()).collect();
        candidates.sort_unstable();
        candidates.dedup();
        let near = nearest(name, candidates);
        let free = of(&[Shape::Map]);
        if !free.is_empty() && (near.is_empty() || name.len() < SHORT) {
            return Ok(free);
        }
        let problem = place.problem(format!(
            "nothing below this is called `{name}` in {}",
            self.kind
        ));
        Err(meant(problem, &near))
    }

    fn filter(&self, types: &[Type<'s>], filter: &Filter) -> Result<(), PathProblem> {
        match filter {
            Filter::Or(all) | Filter::And(all) => {
                all.iter().try_for_each(|f| self.filter(types, f))
            }
            Filter::Not(inner) => self.filter(types, inner),
            Filter::Exists(query) => self.query(types, query),
            Filter::Compare(_, left, right) => self
                .operand(types, left)
                .and_then(|()| self.operand(types, right)),
            Filter::Regex(text, _) => self.operand(types, text),
        }
    }

    fn operand(&self, types: &[Type<'s>], operand: &Operand) -> Result<(), PathProblem> {
        match operand {
            Operand::Literal(_) => Ok(()),
            Operand::Query(query) | Operand::Count(query) | Operand::Value(query) => {
                self.query(types, query)
            }
            Operand::Length(inner) => self.operand(types, inner),
        }
    }

    fn query(&self, types: &[Type<'s>], query: &Query) -> Result<(), PathProblem> {
        let start = if query.absolute {
            vec![self.root]
        } else {
            types.to_vec()
        };
        self.segments(start, &query.segments).map(|_| ())
    }
}

/// The field of an object or map; of a value that may be anything, anything.
fn field<'s>(of: Type<'s>, name: &str) -> Option<Type<'s>> {
    match of.shape() {
        Shape::Object | Shape::Map | Shape::Any => of.field(name),
        _ => None,
    }
}

pub(super) fn element(of: Type<'_>) -> Option<Type<'_>> {
    match of.shape() {
        Shape::List => of.element(),
        Shape::Any => Some(of),
        _ => None,
    }
}

pub(super) fn all_children(of: Type<'_>) -> Vec<Type<'_>> {
    match of.shape() {
        Shape::Object => of
            .field_names()
            .iter()
            // Never in a record, and below it everything is allowed.
            .filter(|name| **name != "managedFields")
            .filter_map(|n| of.field(n))
            .collect(),
        Shape::Map => of.field("").into_iter().collect(),
        Shape::List => of.element().into_iter().collect(),
        Shape::Any => vec![of],
        _ => vec![],
    }
}

/// These types and everything below them.
pub(super) fn reachable(types: Vec<Type<'_>>) -> Vec<Type<'_>> {
    let mut seen = std::collections::BTreeSet::new();
    let mut found = vec![];
    let mut open = types;
    while let Some(next) = open.pop() {
        if found.len() >= MOST_TYPES || !seen.insert(next.id()) {
            continue;
        }
        found.push(next);
        open.extend(all_children(next));
    }
    found
}

fn meant(problem: PathProblem, near: &[&str]) -> PathProblem {
    match near {
        [] => problem,
        [one] => problem.mended(format!("did you mean `{one}`?")),
        [all @ .., last] => {
            problem.mended(format!("did you mean `{}` or `{last}`?", all.join("`, `")))
        }
    }
}

fn shape_name(shape: Shape) -> &'static str {
    match shape {
        Shape::Object | Shape::Map => "a map",
        Shape::List => "a list",
        Shape::String | Shape::Quantity | Shape::Time => "text",
        Shape::Integer | Shape::Number => "a number",
        Shape::Boolean => "a boolean",
        Shape::IntOrString => "a number or text",
        Shape::Any => "anything",
    }
}
