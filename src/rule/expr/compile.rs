//! From the CEL crate's syntax tree to code that runs: names are resolved, operators and literals checked, and everything that cannot
//! work is a problem. [`super::names`] does the same for names, [`super::calls`] and [`super::macros`] for calls.

use super::calls::spelled;
use super::code::{Arithmetic, Code, Comparison, Reads};
use super::compare::compare;
use super::eval::{Fault, Frame, article};
use super::members::{Member, is_choice};
use super::value::{self, Val};
use super::{ExprProblem, Members, Names};
use crate::object::Key;
use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

/// The result of compiling.
pub(super) struct Compiled {
    pub code: Code,
    pub reads: Reads,
    pub members: Vec<Members>,
}

/// Deepest syntax tree; the text's bounds keep it far below.
const DEEPEST: usize = 400;

/// Compiles the tree of `text`.
pub(super) fn compile(
    text: &str,
    tree: &IdedExpr,
    source: &SourceInfo,
    names: Names<'_>,
) -> Result<Compiled, Vec<ExprProblem>> {
    let mut compiler = Compiler {
        text,
        source,
        names,
        locals: Vec::new(),
        reads: Reads::default(),
        members: Vec::new(),
        problems: Vec::new(),
        depth: 0,
        taken_in: 0,
    };
    let code = compiler.code(tree);
    if compiler.problems.is_empty() {
        Ok(Compiled {
            code,
            reads: compiler.reads,
            members: compiler.members,
        })
    } else {
        compiler.problems.sort_by_key(|problem| problem.at);
        Err(compiler.problems)
    }
}

pub(super) struct Compiler<'t> {
    pub(super) text: &'t str,
    pub(super) source: &'t SourceInfo,
    pub(super) names: Names<'t>,
    pub(super) locals: Vec<Box<str>>,
    pub(super) reads: Reads,
    pub(super) members: Vec<Members>,
    pub(super) problems: Vec<ExprProblem>,
    pub(super) depth: usize,
    /// How many variables were compiled in place.
    pub(super) taken_in: usize,
}

impl Compiler<'_> {
    /// Reports a problem with the node `id`; its value is null from then on.
    pub(super) fn problem(&mut self, id: u64, message: String, mend: Option<String>) -> Code {
        let span = self.source.offset_for(id).unwrap_or((0, 0));
        self.problem_at(span, message, mend)
    }

    /// As [`Self::problem`], marking the whole subtree as far as its tokens have places.
    pub(super) fn problem_in(
        &mut self,
        tree: &IdedExpr,
        message: String,
        mend: Option<String>,
    ) -> Code {
        let span = self.span(tree);
        self.problem_at(span, message, mend)
    }

    /// The parser's offsets are bytes, its end is the first byte of the last character.
    fn problem_at(
        &mut self,
        (start, stop): (u32, u32),
        message: String,
        mend: Option<String>,
    ) -> Code {
        let at = self.text.floor_char_boundary(start as usize);
        let end = self
            .text
            .ceil_char_boundary((stop as usize).saturating_add(1));
        self.problems.push(ExprProblem {
            at,
            length: end.saturating_sub(at).max(1),
            message,
            mend,
        });
        Code::Const(Val::Null)
    }

    /// Byte offsets of the first token and of the last one's last character.
    pub(super) fn span(&self, tree: &IdedExpr) -> (u32, u32) {
        let (mut start, mut stop) = self.source.offset_for(tree.id).unwrap_or((0, 0));
        let mut below: Vec<&IdedExpr> = vec![tree];
        while let Some(tree) = below.pop() {
            if let Some((first, last)) = self.source.offset_for(tree.id) {
                start = start.min(first);
                stop = stop.max(last);
            }
            match &tree.expr {
                Expr::Call(call) => {
                    below.extend(call.target.as_deref().into_iter().chain(&call.args))
                }
                Expr::Select(select) => {
                    below.push(&select.operand);
                    // The parser places a field at its dot.
                    let dot = self
                        .source
                        .offset_for(tree.id)
                        .map_or(0, |(first, _)| first);
                    stop = stop.max(dot.saturating_add(select.field.len() as u32));
                }
                Expr::List(list) => below.extend(&list.elements),
                _ => {}
            }
        }
        (start, stop)
    }

    /// As [`Self::problem`], at the first occurrence of a name from the node on: the parser places a call at its bracket.
    pub(super) fn problem_at_name(
        &mut self,
        id: u64,
        name: &str,
        message: String,
        mend: Option<String>,
    ) -> Code {
        let last = name.rsplit('.').next().unwrap_or(name);
        let (start, _) = self.source.offset_for(id).unwrap_or((0, 0));
        let bracket = self.text.floor_char_boundary(start as usize);
        let at = self.text[..bracket]
            .rfind(last)
            .or_else(|| self.text[bracket..].find(last).map(|at| bracket + at))
            .unwrap_or(bracket);
        self.problems.push(ExprProblem {
            at,
            length: last.len().max(1),
            message,
            mend,
        });
        Code::Const(Val::Null)
    }

    /// As [`Self::problem`], at a field of a chain.
    pub(super) fn problem_of_member(
        &mut self,
        member: &Member,
        message: String,
        mend: Option<String>,
    ) {
        let problem = ExprProblem {
            at: member.at,
            length: member.length,
            message,
            mend,
        };
        // `x == null` asks again.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn code(&mut self, tree: &IdedExpr) -> Code {
        if self.depth > DEEPEST {
            return self.problem(tree.id, "the expression is nested too deeply".into(), None);
        }
        self.depth += 1;
        let code = self.node(tree);
        self.depth -= 1;
        code
    }

    pub(super) fn boxed(&mut self, tree: &IdedExpr) -> Box<Code> {
        Box::new(self.code(tree))
    }

    pub(super) fn node(&mut self, tree: &IdedExpr) -> Code {
        match &tree.expr {
            Expr::Literal(literal) => Code::Const(match literal {
                LiteralValue::Null => Val::Null,
                LiteralValue::Boolean(b) => Val::Bool(*b.inner()),
                LiteralValue::Int(n) => Val::Int(*n.inner()),
                LiteralValue::UInt(n) => Val::UInt(*n.inner()),
                LiteralValue::Double(d) => Val::Double(*d.inner()),
                LiteralValue::String(s) => Val::text(s.inner()),
                LiteralValue::Bytes(b) => Val::Bytes(b.inner().into()),
            }),
            Expr::Ident(name) => self.ident(tree.id, name),
            Expr::Select(select) => {
                if let Some(spelled) = spelled(tree)
                    && let Some(name) = ["google.protobuf.Timestamp", "google.protobuf.Duration"]
                        .into_iter()
                        .find(|name| *name == spelled)
                {
                    return Code::Const(Val::Type(name));
                }
                if !select.test
                    && let Some(code) = self.parameter(tree, &select.operand, &select.field)
                {
                    return code;
                }
                if let Some(code) = self.schedule(tree, &select.operand, &select.field) {
                    return code;
                }
                self.note_members(tree, select.test);
                let of = Box::new(self.part_of(&select.operand, &select.field));
                let key = Key::new(&select.field);
                if select.test {
                    Code::Has { of, key }
                } else {
                    Code::Select { of, key }
                }
            }
            Expr::List(list) => Code::List(
                list.elements
                    .iter()
                    .enumerate()
                    .map(|(position, element)| {
                        let optional = list.optional_indices.contains(&position);
                        (self.code(element), optional)
                    })
                    .collect(),
            ),
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        let key = self.code(&entry.key);
                        let member = self.code(&entry.value);
                        entries.push((key, member, entry.optional));
                    }
                }
                Code::Map(entries)
            }
            Expr::Struct(made) => self.problem(
                tree.id,
                format!(
                    "`{}{{…}}` cannot be made: there are only maps",
                    made.type_name
                ),
                Some("write `{'key': value}`".into()),
            ),
            Expr::Call(call) => {
                let target = call.target.as_deref();
                if is_choice(&call.func_name) {
                    self.note_members(tree, false);
                }
                if target.is_none()
                    && let Some(code) = self.operator(tree.id, &call.func_name, &call.args)
                {
                    return code;
                }
                self.call(tree.id, target, &call.func_name, &call.args)
            }
            // The parser gets no macros, so it makes no comprehensions.
            Expr::Comprehension(_) | Expr::Unspecified => {
                self.problem(tree.id, "this cannot be read".into(), None)
            }
        }
    }

    pub(super) fn operator(&mut self, id: u64, name: &str, args: &[IdedExpr]) -> Option<Code> {
        let arithmetic = match name {
            operators::ADD => Some(Arithmetic::Add),
            operators::SUBSTRACT => Some(Arithmetic::Subtract),
            operators::MULTIPLY => Some(Arithmetic::Multiply),
            operators::DIVIDE => Some(Arithmetic::Divide),
            operators::MODULO => Some(Arithmetic::Remainder),
            _ => None,
        };
        let comparison = match name {
            operators::LESS => Some(Comparison::Less),
            operators::LESS_EQUALS => Some(Comparison::AtMost),
            operators::GREATER => Some(Comparison::Greater),
            operators::GREATER_EQUALS => Some(Comparison::AtLeast),
            _ => None,
        };
        let before = self.problems.len();
        Some(match (name, args) {
            (operators::CONDITIONAL, [condition, then, otherwise]) => Code::Cond(Box::new((
                self.condition(condition),
                self.code(then),
                self.code(otherwise),
            ))),
            (operators::LOGICAL_AND, [a, b]) => {
                Code::And(Box::new((self.condition(a), self.condition(b))))
            }
            (operators::LOGICAL_OR, [a, b]) => {
                Code::Or(Box::new((self.condition(a), self.condition(b))))
            }
            (operators::LOGICAL_NOT, [a]) => Code::Not(Box::new(self.condition(a))),
            (operators::NEGATE, [a]) => Code::Negate(self.boxed(a)),
            (operators::EQUALS | operators::NOT_EQUALS, [a, b]) => {
                let negated = name == operators::NOT_EQUALS;
                let is_null =
                    |tree: &IdedExpr| matches!(tree.expr, Expr::Literal(LiteralValue::Null));
                let pair = (self.code(a), self.code(b));
                match (is_null(a), is_null(b)) {
                    (false, true) if pair.0.is_reading() => self.is_null(a, pair.0, negated),
                    (true, false) if pair.1.is_reading() => self.is_null(b, pair.1, negated),
                    _ => Code::Equal {
                        negated,
                        pair: Box::new(pair),
                    },
                }
            }
            (operators::IN, [a, b]) => Code::In(Box::new((self.code(a), self.code(b)))),
            (operators::INDEX | operators::OPT_INDEX, [of, index]) => {
                let optional = name == operators::OPT_INDEX;
                let of = match &index.expr {
                    Expr::Literal(LiteralValue::String(field)) => self.part_of(of, field.inner()),
                    _ => self.code(of),
                };
                let index = self.boxed(index);
                // A literal name is looked up as a field is.
                match (&*index, optional) {
                    (Code::Const(Val::Text(key)), true) => Code::OptSelect {
                        of: Box::new(of),
                        key: Key::new(key),
                    },
                    _ => Code::Index {
                        of: Box::new(of),
                        index,
                        optional,
                    },
                }
            }
            (operators::OPT_SELECT, [of, field]) => match &field.expr {
                Expr::Literal(LiteralValue::String(field)) => Code::OptSelect {
                    of: Box::new(self.part_of(of, field.inner())),
                    key: Key::new(field.inner()),
                },
                _ => self.problem(id, "after `.?` stands a name".into(), None),
            },
            (_, [a, b]) if arithmetic.is_some() => {
                let pair = (self.code(a), self.code(b));
                if self.problems.len() == before
                    && let (Code::Const(x), Code::Const(y)) = (&pair.0, &pair.1)
                    && let Err(Fault::Failed(message)) =
                        Frame::new(None).arithmetic(arithmetic?, x.clone(), y.clone())
                {
                    return Some(self.problem(id, message.into(), None));
                }
                Code::Arithmetic(arithmetic?, Box::new(pair))
            }
            (_, [a, b]) if comparison.is_some() => {
                let pair = (self.code(a), self.code(b));
                if self.problems.len() == before
                    && let (Code::Const(x), Code::Const(y)) = (&pair.0, &pair.1)
                    && compare(x, y).is_none()
                    && x.kind() | y.kind() | value::NUMBER != value::NUMBER
                {
                    let message = format!(
                        "`{}` cannot compare {} with {}",
                        comparison?.as_str(),
                        article(x),
                        article(y)
                    );
                    let mend = comparison?.mend(x, y).map(str::to_owned);
                    return Some(self.problem(id, message, mend));
                }
                Code::Compare(comparison?, Box::new(pair))
            }
            _ => return None,
        })
    }

    /// What is compared with null is asked whether it is there, as `has` asks.
    fn is_null(&mut self, tree: &IdedExpr, of: Code, negated: bool) -> Code {
        if matches!(of, Code::Select { .. } | Code::Index { .. }) {
            self.note_members(tree, true);
        }
        Code::IsNull {
            of: Box::new(of),
            negated,
        }
    }

    /// Code that must give a bool.
    pub(super) fn condition(&mut self, tree: &IdedExpr) -> Code {
        let before = self.problems.len();
        let code = self.code(tree);
        match &code {
            Code::Const(value) if value.kind() != value::BOOL && self.problems.len() == before => {
                let message = format!("a bool is needed here, not {}", article(value));
                self.problem_in(tree, message, None)
            }
            _ => code,
        }
    }
}
