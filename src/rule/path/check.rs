//! A path against the schema of a kind: does every name in it exist, and what does it lead to.

use super::{Filter, Operand, Path, PathProblem, Query, Root, Segment, Selector};
use crate::schema::{KindSchema, Shape, Type, nearest};

/// Types reachable below `..` are looked through to this many; schemas are recursive in places.
const MOST_TYPES: usize = 4096;

impl Path {
    /// Checks the path, its filters included, against a kind's type. Below [`Shape::Any`] everything is fine.
    ///
    /// # Errors
    /// The first name that the schema does not know, with the nearest names; or a step that its type cannot take.
    pub fn check(&self, kind: &KindSchema) -> Result<(), PathProblem> {
        let Some(root) = kind.root() else {
            return Ok(());
        };
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

    fn start<'s>(&self, kind: &'s KindSchema, root: Type<'s>) -> Option<Type<'s>> {
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

fn problem(at: usize, length: usize, message: String, mend: Option<String>) -> PathProblem {
    PathProblem {
        at,
        length: length.max(1),
        message,
        mend,
    }
}

impl<'s> Check<'s> {
    fn segments(
        &self,
        mut types: Vec<Type<'s>>,
        segments: &[Segment],
    ) -> Result<Vec<Type<'s>>, PathProblem> {
        for segment in segments {
            if segment.descendant {
                types = reachable(types);
            }
            let mut next: Vec<Type<'s>> = vec![];
            for selector in &segment.selectors {
                next.extend(self.selector(&types, selector, segment.descendant)?);
            }
            next.sort_by_key(|t| t.id());
            next.dedup_by_key(|t| t.id());
            types = next;
        }
        Ok(types)
    }

    fn selector(
        &self,
        types: &[Type<'s>],
        selector: &Selector,
        below: bool,
    ) -> Result<Vec<Type<'s>>, PathProblem> {
        match selector {
            Selector::Name(name, at) => self.name(types, name.as_str(), *at, below),
            Selector::Index(_) | Selector::Slice(..) => {
                Ok(types.iter().filter_map(|t| element(*t)).collect())
            }
            Selector::Wildcard => Ok(types.iter().flat_map(|t| all_children(*t)).collect()),
            Selector::Filter(filter) => {
                let children: Vec<Type<'s>> = types.iter().flat_map(|t| all_children(*t)).collect();
                // Below `..` a filter is tried on everything: most of it lacks the fields it names.
                if !below {
                    self.filter(&children, filter)?;
                }
                Ok(children)
            }
        }
    }

    fn name(
        &self,
        types: &[Type<'s>],
        name: &str,
        at: usize,
        below: bool,
    ) -> Result<Vec<Type<'s>>, PathProblem> {
        let found: Vec<Type<'s>> = types.iter().filter_map(|t| field(*t, name)).collect();
        if !found.is_empty() || types.is_empty() {
            return Ok(found);
        }
        if !below && types.iter().all(|t| t.shape() == Shape::List) {
            let message = format!("`{name}` is looked for in a list");
            return Err(problem(
                at,
                name.len(),
                message,
                Some("write `[*]` before it to look into each element".into()),
            ));
        }
        let candidates: Vec<&str> = types.iter().flat_map(|t| t.field_names()).collect();
        let near = nearest(name, candidates.iter().copied());
        let mend = match near.as_slice() {
            [] if candidates.is_empty() => None,
            [] if candidates.len() <= 12 => {
                Some(format!("its fields are {}", candidates.join(", ")))
            }
            [] => None,
            [one, ..] => Some(format!("did you mean `{one}`?")),
        };
        let message = if candidates.is_empty() {
            format!(
                "there is nothing below this that could be called `{name}` in {}",
                self.kind
            )
        } else {
            format!("{} has no field `{name}` here", self.kind)
        };
        Err(problem(at, name.len(), message, mend))
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

fn element(of: Type<'_>) -> Option<Type<'_>> {
    match of.shape() {
        Shape::List => of.element(),
        Shape::Any => Some(of),
        _ => None,
    }
}

fn all_children(of: Type<'_>) -> Vec<Type<'_>> {
    match of.shape() {
        Shape::Object => of
            .field_names()
            .iter()
            .filter_map(|n| of.field(n))
            .collect(),
        Shape::Map => of.field("").into_iter().collect(),
        Shape::List => of.element().into_iter().collect(),
        Shape::Any => vec![of],
        _ => vec![],
    }
}

/// These types and everything below them.
fn reachable(types: Vec<Type<'_>>) -> Vec<Type<'_>> {
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
