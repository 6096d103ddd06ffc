//! Which fields of an object an expression names, for whoever knows what its kind looks like.

use super::compile::Compiler;
use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

/// What a chain of fields begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberOf {
    /// `object`
    Object,
    /// `namespaceObject`
    Namespace,
    /// `candidate`
    Candidate,
    /// The one object of a related list, by the list's place.
    One(usize),
}

/// A chain of fields from an object: `object.spec.replicas`, `object.metadata['name']`.
#[derive(Clone, Debug)]
pub struct Members {
    /// What it begins with.
    pub of: MemberOf,
    /// At least one.
    pub names: Vec<Member>,
    /// Asked for with `has()` or `.?`: that it is absent is expected.
    pub asked: bool,
}

/// One field of a chain.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub name: Box<str>,
    /// Byte offset in the expression's text.
    pub at: usize,
    /// In bytes.
    pub length: usize,
}

impl Compiler<'_> {
    /// Takes note of a chain that ends in this field or index, if it is one. Behind a `?` nothing has to be there.
    pub(super) fn note_members(&mut self, tree: &IdedExpr, mut asked: bool) {
        let mut names = vec![];
        let mut at = tree;
        let of = loop {
            match &at.expr {
                Expr::Select(select) => {
                    let dot = self.source.offset_for(at.id).map_or(0, |(start, _)| start);
                    names.push(self.member(dot, &select.field));
                    at = &select.operand;
                }
                Expr::Call(call) if call.target.is_none() && is_choice(&call.func_name) => {
                    let [of, index] = &*call.args else { return };
                    asked |= call.func_name != operators::INDEX;
                    let Expr::Literal(LiteralValue::String(name)) = &index.expr else {
                        return;
                    };
                    let start = self
                        .source
                        .offset_for(index.id)
                        .map_or(0, |(start, _)| start);
                    names.push(self.member(start, name.inner()));
                    at = of;
                }
                Expr::Ident(name) if !self.locals.iter().any(|local| **local == *name) => {
                    match name.as_str() {
                        "object" => break MemberOf::Object,
                        "namespaceObject" => break MemberOf::Namespace,
                        "candidate" if self.names.candidate => break MemberOf::Candidate,
                        "request" if self.names.request => {
                            names.reverse();
                            self.check_request(&names);
                            return;
                        }
                        name => {
                            let mut lists = self.names.lists.iter();
                            match lists.position(|list| list.one && *list.name == *name) {
                                Some(slot) => break MemberOf::One(slot),
                                None => return,
                            }
                        }
                    }
                }
                _ => return,
            }
        };
        if !names.is_empty() {
            names.reverse();
            self.members.push(Members { of, names, asked });
        }
    }

    /// A name that stands at or soon behind an offset: the parser places a field at its dot, a literal at its quote.
    fn member(&self, start: u32, name: &str) -> Member {
        let start = self.text.floor_char_boundary(start as usize);
        let (at, length) = match self.text[start..].find(name) {
            Some(behind) => (start + behind, name.len()),
            // Written with escapes.
            None => (start, 1),
        };
        Member {
            name: name.into(),
            at,
            length: length.max(1),
        }
    }
}

/// Whether it chooses a member: `a['b']`, `a[?'b']`, `a.?b`.
pub(super) fn is_choice(operator: &str) -> bool {
    [
        operators::INDEX,
        operators::OPT_INDEX,
        operators::OPT_SELECT,
    ]
    .contains(&operator)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::rule::expr::{Expr, MemberOf, Names};

    fn chains(text: &str) -> Vec<String> {
        let expr = Expr::compile(text, Names::default()).unwrap();
        expr.members()
            .iter()
            .map(|chain| {
                let names: Vec<&str> = chain
                    .names
                    .iter()
                    .inspect(|m| assert_eq!(&text[m.at..m.at + m.length], &*m.name))
                    .map(|m| &*m.name)
                    .collect();
                let root = match chain.of {
                    MemberOf::Namespace => "ns",
                    _ => "o",
                };
                let mark = if chain.asked { "?" } else { "" };
                format!("{root}.{}{mark}", names.join("."))
            })
            .collect()
    }

    #[test]
    fn chains_are_found_wherever_they_stand() {
        for (text, found) in [
            (
                "object.spec.replicas + 1",
                vec!["o.spec.replicas", "o.spec"],
            ),
            (
                "object.metadata['name']",
                vec!["o.metadata.name", "o.metadata"],
            ),
            ("has(object.spec.x)", vec!["o.spec.x?", "o.spec"]),
            ("object.?spec.?x.orValue(1)", vec!["o.spec.x?", "o.spec?"]),
            ("object.spec.?x.orValue(1)", vec!["o.spec.x?", "o.spec"]),
            (
                "object.?x.x.?x[?'x']",
                vec!["o.x.x.x.x?", "o.x.x.x?", "o.x.x?", "o.x?"],
            ),
            ("object.spec.?list[?0].a", vec!["o.spec.list?", "o.spec"]),
            (
                "namespaceObject.metadata.name",
                vec!["ns.metadata.name", "ns.metadata"],
            ),
            ("[{'a': 1}].all(object, object.a == 1)", vec![]),
            (
                "object.spec.list.exists(x, x.a == 1)",
                vec!["o.spec.list", "o.spec"],
            ),
            ("object.spec.list[0].a", vec!["o.spec.list", "o.spec"]),
            (
                "'a' in object.metadata.labels",
                vec!["o.metadata.labels", "o.metadata"],
            ),
        ] {
            assert_eq!(chains(text), found, "{text}");
        }
    }
}
