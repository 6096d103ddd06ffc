//! YAML values with `${ }` in values and keys.

use super::guard::skip_literal;
use super::output::Whole;
use super::{Expr, ExprFault, ExprProblem, Names, Scope};
use crate::rule::path::{Hop, Location};
use serde_json::{Map, Value};

/// Deepest template, in levels of lists and maps.
const DEEPEST: usize = 64;

/// A YAML value with `${ }` in values and keys, compiled. A literal is kept as a tree and never rendered.
#[derive(Debug)]
pub struct Template(Tree, Whole);

impl Default for Template {
    /// The literal null.
    fn default() -> Self {
        Template(Tree::Literal(Value::Null), Whole::Integer)
    }
}

/// A problem of a template: which string of the tree it is in.
#[derive(Debug)]
pub struct TemplateProblem {
    /// From the template's root: names and indexes; the last hop is the string, or the key if `in_key`.
    pub location: Location,
    /// Whether it is in a key, not in a value.
    pub in_key: bool,
    /// Relative to the string's text.
    pub problem: ExprProblem,
}

#[derive(Debug)]
enum Tree {
    Literal(Value),
    /// Of parameters with doubles without a fraction: as it is written, and as expressions read it again.
    Constant(Box<(Value, Value)>),
    /// The whole string is one `${ }`.
    Whole(Expr),
    Text(Vec<Part>),
    List(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
}

/// A part of a text.
#[derive(Debug)]
enum Part {
    Literal(String),
    Expr(Expr),
}

/// A part of a text before it is compiled.
#[derive(Debug, PartialEq)]
enum Piece<'t> {
    Literal(String),
    /// Byte offset of the expression's text, and the text.
    Expr(usize, &'t str),
}

/// Takes a text apart at its `${ }`. A `}` in a string, comment or map of the expression does not end it; `$${` is a literal `${`.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, ExprProblem> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"$${") {
            literal.push_str("${");
            at += 3;
        } else if bytes[at..].starts_with(b"${") {
            let start = at + 2;
            let end = end_of(bytes, start).ok_or_else(|| ExprProblem {
                at,
                length: 2,
                message: "this `${` is not closed".into(),
                mend: Some("close it with `}`, or write `$${` for a literal `${`".into()),
            })?;
            if !literal.is_empty() {
                out.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            out.push(Piece::Expr(start, &text[start..end]));
            at = end + 1;
        } else {
            let next = bytes[at + 1..]
                .iter()
                .position(|b| *b == b'$')
                .map_or(bytes.len(), |next| at + 1 + next);
            literal.push_str(&text[at..next]);
            at = next;
        }
    }
    if !literal.is_empty() || out.is_empty() {
        out.push(Piece::Literal(literal));
    }
    Ok(out)
}

/// Whether a text is one `${ }` and nothing else.
pub fn is_whole(text: &str) -> bool {
    matches!(pieces(text).as_deref(), Ok([Piece::Expr(..)]))
}

/// Where the `}` stands that ends the expression.
fn end_of(text: &[u8], mut at: usize) -> Option<usize> {
    let mut open = 0usize;
    while at < text.len() {
        if let Some(end) = skip_literal(text, at) {
            at = end;
            continue;
        }
        match text[at] {
            b'{' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

impl Template {
    /// A value that is taken as it is, whatever stands in its texts.
    pub fn of(value: Value) -> Template {
        Template(Tree::Literal(value), Whole::Integer)
    }

    /// Compiles every `${ }` in the tree; `$${` is a literal `${`.
    ///
    /// # Errors
    /// The problems of all strings.
    pub fn compile(tree: &Value, names: Names<'_>) -> Result<Template, Vec<TemplateProblem>> {
        let mut compiler = Compiler {
            names,
            location: Location::new(),
            problems: Vec::new(),
        };
        let tree = compiler.tree(tree);
        if compiler.problems.is_empty() {
            Ok(Template(tree, Whole::Integer))
        } else {
            Err(compiler.problems)
        }
    }

    /// The same, for values that expressions read again: a double without a fraction stays a double.
    pub fn read_again(self) -> Template {
        Template(self.0, Whole::Double)
    }

    pub(super) fn render_to_read_again(
        &self,
        scope: &Scope<'_>,
    ) -> Result<Option<Value>, ExprFault> {
        render(&self.0, Whole::Double, scope)
    }

    /// The value, if no `${ }` is in it.
    pub fn literal(&self) -> Option<&Value> {
        self.0.literal(self.1)
    }

    /// What stands at a place, if nothing on the way or in it is computed.
    pub fn literal_at(&self, names: &[&str]) -> Option<&Value> {
        let mut tree = &self.0;
        for (depth, name) in names.iter().enumerate() {
            if let Some(value) = tree.literal(self.1) {
                let mut rest = names[depth..].iter();
                return rest.try_fold(value, |value, name| value.get(*name));
            }
            let Tree::Map(members) = tree else {
                return None;
            };
            let named = |key: &Tree| key.literal(self.1).is_some_and(|key| *key == **name);
            tree = &members.iter().find(|(key, _)| named(key))?.1;
        }
        tree.literal(self.1)
    }

    /// The expression, if the template is one `${ }` and nothing else.
    pub fn whole(&self) -> Option<&Expr> {
        match &self.0 {
            Tree::Whole(expr) => Some(expr),
            _ => None,
        }
    }

    /// The same, for keeps.
    pub fn into_whole(self) -> Option<Expr> {
        match self.0 {
            Tree::Whole(expr) => Some(expr),
            _ => None,
        }
    }

    /// A whole-value `${ }` keeps its type; inside a longer string it becomes text; a whole value that is `optional.none()` drops its key,
    /// in a list its element. `None`: the whole template is `optional.none()`.
    ///
    /// # Errors
    /// The first fault of an expression; two keys that render to the same text.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Option<Value>, ExprFault> {
        render(&self.0, self.1, scope)
    }

    /// As [`Template::render`], of the value alone that these names lead to.
    ///
    /// # Errors
    /// The first fault of an expression on the way.
    pub fn render_at(&self, names: &[&str], scope: &Scope<'_>) -> Result<Option<Value>, ExprFault> {
        let mut tree = &self.0;
        for (depth, name) in names.iter().enumerate() {
            let member = match tree {
                Tree::Map(members) => members.iter().find(|(key, _)| match key {
                    Tree::Literal(key) => *key == **name,
                    _ => false,
                }),
                // Read as a whole, or with names that are computed.
                _ => None,
            };
            match member {
                Some((_, member)) => tree = member,
                None => {
                    let value = render(tree, self.1, scope)?.unwrap_or_default();
                    let mut rest = names[depth..].iter();
                    let found = rest.try_fold(&value, |value, name| value.get(*name));
                    return Ok(found.cloned());
                }
            }
        }
        render(tree, self.1, scope)
    }

    /// The expressions in it.
    pub fn expressions(&self) -> Vec<&Expr> {
        let mut out = Vec::new();
        gather(&self.0, &mut out);
        out
    }
}

struct Compiler<'n> {
    names: Names<'n>,
    location: Location,
    problems: Vec<TemplateProblem>,
}

impl Compiler<'_> {
    fn tree(&mut self, value: &Value) -> Tree {
        if self.location.len() > DEEPEST {
            self.problems.push(TemplateProblem {
                location: self.location.clone(),
                in_key: false,
                problem: ExprProblem {
                    at: 0,
                    length: 1,
                    message: format!("the value is nested deeper than {DEEPEST} levels"),
                    mend: None,
                },
            });
            return Tree::Literal(Value::Null);
        }
        match value {
            Value::String(text) => self.text(text, false),
            Value::Array(list) => {
                let mut items = Vec::with_capacity(list.len());
                for (position, item) in list.iter().enumerate() {
                    self.location.push(Hop::Index(position));
                    items.push(self.tree(item));
                    self.location.pop();
                }
                let literal = |whole| -> Option<Value> {
                    let items = items.iter().map(|item| item.literal(whole).cloned());
                    items.collect::<Option<Vec<Value>>>().map(Value::Array)
                };
                match (literal(Whole::Integer), literal(Whole::Double)) {
                    (Some(written), Some(again)) => Tree::constant(written, again),
                    _ => Tree::List(items),
                }
            }
            Value::Object(map) => {
                let mut members = Vec::with_capacity(map.len());
                for (name, member) in map {
                    self.location.push(Hop::Name(name.as_str().into()));
                    let key = self.text(name, true);
                    let member = self.tree(member);
                    self.location.pop();
                    members.push((key, member));
                }
                let literal = |whole| -> Option<Value> {
                    let members = members.iter().map(|(key, member)| match key {
                        Tree::Literal(Value::String(key)) => {
                            Some((key.clone(), member.literal(whole)?.clone()))
                        }
                        _ => None,
                    });
                    let literal: Map<String, Value> = members.collect::<Option<_>>()?;
                    (literal.len() == map.len()).then_some(Value::Object(literal))
                };
                match (literal(Whole::Integer), literal(Whole::Double)) {
                    (Some(written), Some(again)) => Tree::constant(written, again),
                    _ => Tree::Map(members),
                }
            }
            other => Tree::Literal(other.clone()),
        }
    }

    fn text(&mut self, text: &str, in_key: bool) -> Tree {
        let pieces = match pieces(text) {
            Ok(pieces) => pieces,
            Err(problem) => {
                self.problems.push(TemplateProblem {
                    location: self.location.clone(),
                    in_key,
                    problem,
                });
                return Tree::Literal(Value::Null);
            }
        };
        let whole = pieces.len() == 1;
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Literal(literal) if whole => return Tree::Literal(Value::String(literal)),
                Piece::Literal(literal) => parts.push(Part::Literal(literal)),
                Piece::Expr(start, text) => match Expr::compile(text, self.names) {
                    Ok(expr) if whole => {
                        let of = |whole| expr.constant_with(whole);
                        return match (of(Whole::Integer), of(Whole::Double)) {
                            (Some(written), Some(again)) => Tree::constant(written, again),
                            _ => Tree::Whole(expr),
                        };
                    }
                    Ok(expr) => parts.push(Part::Expr(expr)),
                    Err(problems) => {
                        let location = self.location.clone();
                        self.problems
                            .extend(problems.into_iter().map(|problem| TemplateProblem {
                                location: location.clone(),
                                in_key,
                                problem: ExprProblem {
                                    at: problem.at + start,
                                    ..problem
                                },
                            }));
                    }
                },
            }
        }
        Tree::Text(parts)
    }
}

impl Tree {
    fn constant(written: Value, again: Value) -> Tree {
        match written == again {
            true => Tree::Literal(written),
            false => Tree::Constant(Box::new((written, again))),
        }
    }

    fn literal(&self, whole: Whole) -> Option<&Value> {
        match self {
            Tree::Literal(value) => Some(value),
            Tree::Constant(both) if whole == Whole::Integer => Some(&both.0),
            Tree::Constant(both) => Some(&both.1),
            _ => None,
        }
    }
}

fn render(tree: &Tree, whole: Whole, scope: &Scope<'_>) -> Result<Option<Value>, ExprFault> {
    Ok(Some(match tree {
        Tree::Literal(value) => value.clone(),
        Tree::Constant(both) if whole == Whole::Integer => both.0.clone(),
        Tree::Constant(both) => both.1.clone(),
        Tree::Whole(expr) => return expr.evaluate_with(scope, whole),
        Tree::Text(parts) => Value::String(text(parts, scope)?),
        Tree::List(items) => {
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                out.extend(render(item, whole, scope)?);
            }
            Value::Array(out)
        }
        Tree::Map(members) => {
            let mut out = Map::with_capacity(members.len());
            for (key, member) in members {
                let Some(member) = render(member, whole, scope)? else {
                    continue;
                };
                let key = match key {
                    Tree::Literal(Value::String(key)) => key.clone(),
                    Tree::Text(parts) => text(parts, scope)?,
                    Tree::Whole(expr) => expr.evaluate_text(scope)?,
                    _ => String::new(),
                };
                if out.insert(key, member).is_some() {
                    return Err(ExprFault::Failed(
                        "two keys of a map become the same".into(),
                    ));
                }
            }
            Value::Object(out)
        }
    }))
}

fn text(parts: &[Part], scope: &Scope<'_>) -> Result<String, ExprFault> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Literal(literal) => out.push_str(literal),
            Part::Expr(expr) => out.push_str(&expr.evaluate_text(scope)?),
        }
        if out.len() > super::value::LARGEST {
            return Err(ExprFault::Failed("a text is larger than 1 MiB".into()));
        }
    }
    Ok(out)
}

fn gather<'t>(tree: &'t Tree, out: &mut Vec<&'t Expr>) {
    match tree {
        Tree::Literal(_) | Tree::Constant(_) => {}
        Tree::Whole(expr) => out.push(expr),
        Tree::Text(parts) => out.extend(parts.iter().filter_map(|part| match part {
            Part::Expr(expr) => Some(expr),
            Part::Literal(_) => None,
        })),
        Tree::List(items) => items.iter().for_each(|item| gather(item, out)),
        Tree::Map(members) => members.iter().for_each(|(key, member)| {
            gather(key, out);
            gather(member, out);
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn texts_are_taken_apart() {
        let literal = |text: &str| Piece::Literal(text.into());
        for (text, wanted) in [
            ("", vec![literal("")]),
            ("plain $ {x}", vec![literal("plain $ {x}")]),
            ("${a}", vec![Piece::Expr(2, "a")]),
            (
                "é ${a}!",
                vec![literal("é "), Piece::Expr(5, "a"), literal("!")],
            ),
            ("${a}${b}", vec![Piece::Expr(2, "a"), Piece::Expr(6, "b")]),
            ("$${a} $$${b}", vec![literal("${a} $${b}")]),
            (
                "${ {'a': {}}['a'] }",
                vec![Piece::Expr(2, " {'a': {}}['a'] ")],
            ),
            (
                r#"${'}' + "}" + r'\'}"#,
                vec![Piece::Expr(2, r#"'}' + "}" + r'\'"#)],
            ),
            ("${a // }\n}", vec![Piece::Expr(2, "a // }\n")]),
        ] {
            assert_eq!(pieces(text).unwrap(), wanted, "{text}");
        }
        for (text, at) in [("x ${a", 2), ("${'}", 0), ("${ {", 0), ("é${", 2)] {
            assert_eq!(pieces(text).unwrap_err().at, at, "{text}");
        }
    }
}
