//! Whether a schema knows every name of a path, or only allows it: below `x-kubernetes-preserve-unknown-fields`, and below
//! `additionalProperties` without a schema, every name is allowed and none is known.

use super::check::{all_children, element, reachable};
use super::filter::{Filter, Operand, Query};
use super::{Path, Root, Segment, Selector};
use crate::schema::{KindSchema, Shape, Type};

impl Path {
    /// Whether a kind's schema knows it: of a path that [`Path::check_from`] takes. `item` as there. Any key of a map of texts (labels,
    /// `data`) is known.
    pub fn is_known(&self, kind: &KindSchema, item: Option<&[Type<'_>]>) -> bool {
        let Some(root) = kind.root() else {
            return false;
        };
        let start = match (self.root, item) {
            (Root::Object, Some(item)) => item.to_vec(),
            _ => self.start(kind, root).into_iter().collect(),
        };
        Known { root }.segments(start, &self.segments)
    }
}

/// The type of a member that a schema speaks of.
fn known<'s>(of: Type<'s>, name: &str) -> Option<Type<'s>> {
    match of.shape() {
        Shape::Object if of.field_names().binary_search(&name).is_ok() => of.field(name),
        Shape::Object | Shape::Map => of.field(name).filter(|value| value.shape() != Shape::Any),
        _ => None,
    }
}

struct Known<'s> {
    root: Type<'s>,
}

impl<'s> Known<'s> {
    fn segments(&self, mut types: Vec<Type<'s>>, segments: &[Segment]) -> bool {
        for segment in segments {
            if segment.descendant {
                types = reachable(types);
            }
            let mut next: Vec<Type<'s>> = vec![];
            for selector in &segment.selectors {
                match selector {
                    Selector::Name(name, _) => {
                        next.extend(types.iter().filter_map(|t| known(*t, name.as_str())));
                    }
                    Selector::Index(_) | Selector::Slice(..) => {
                        next.extend(types.iter().filter_map(|t| element(*t)));
                    }
                    Selector::Wildcard => next.extend(types.iter().flat_map(|t| all_children(*t))),
                    Selector::Filter(filter) => {
                        let children: Vec<Type<'s>> =
                            types.iter().flat_map(|t| all_children(*t)).collect();
                        // Below `..` it is tried on everything.
                        if !segment.descendant && !self.filter(&children, filter) {
                            return false;
                        }
                        next.extend(children);
                    }
                }
            }
            next.sort_by_key(|t| t.id());
            next.dedup_by_key(|t| t.id());
            if next.is_empty() {
                return false;
            }
            types = next;
        }
        true
    }

    fn filter(&self, types: &[Type<'s>], filter: &Filter) -> bool {
        match filter {
            Filter::Or(all) | Filter::And(all) => all.iter().all(|f| self.filter(types, f)),
            Filter::Not(inner) => self.filter(types, inner),
            Filter::Exists(query) => self.query(types, query),
            Filter::Compare(_, left, right) => {
                self.operand(types, left) && self.operand(types, right)
            }
            Filter::Regex(text, _) => self.operand(types, text),
        }
    }

    fn operand(&self, types: &[Type<'s>], operand: &Operand) -> bool {
        match operand {
            Operand::Literal(_) => true,
            Operand::Query(query) | Operand::Count(query) | Operand::Value(query) => {
                self.query(types, query)
            }
            Operand::Length(inner) => self.operand(types, inner),
        }
    }

    fn query(&self, types: &[Type<'s>], query: &Query) -> bool {
        let start = match query.absolute {
            true => vec![self.root],
            false => types.to_vec(),
        };
        self.segments(start, &query.segments)
    }
}
