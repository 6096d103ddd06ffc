//! Calls of functions: found by name and number of arguments; what is literal is checked, compiled or evaluated.

use super::code::Code;
use super::compile::Compiler;
use super::eval::{Fault, Frame};
use super::functions::{self, Function};
use super::macros::MACROS;
use super::names::nearest;
use super::value::{self, Val};
use crate::rule::path::{Path, Root};
use cel::common::ast::{Expr, IdedExpr, LiteralValue};
use std::sync::Arc;

impl Compiler<'_> {
    /// A call of a macro or a function.
    pub(super) fn call(
        &mut self,
        id: u64,
        target: Option<&IdedExpr>,
        name: &str,
        args: &[IdedExpr],
    ) -> Code {
        if let Some(code) = self.special(id, target, name, args) {
            return code;
        }
        // `math.greatest(…)` is a function of that name, not a call on `math`.
        if let Some(spelled) = target.and_then(spelled)
            && !self
                .locals
                .iter()
                .any(|local| **local == *root_of(&spelled))
            && functions::is_namespace(root_of(&spelled))
        {
            return self.function(id, None, &format!("{spelled}.{name}"), args);
        }
        self.function(id, target, name, args)
    }

    pub(super) fn function(
        &mut self,
        id: u64,
        target: Option<&IdedExpr>,
        name: &str,
        args: &[IdedExpr],
    ) -> Code {
        let member = target.is_some();
        // `jsonpath(object, '$.metadata…')` reads only metadata.
        let metadata_path = name == "jsonpath"
            && matches!(args, [of, path] if matches!(&of.expr, Expr::Ident(name) if name == "object")
                && matches!(&path.expr, Expr::Literal(LiteralValue::String(path))
                    if Path::parse(path.inner()).is_ok_and(|path| path.is_metadata_only())));
        let before = self.reads.beyond_metadata;
        let trees: Vec<&IdedExpr> = target.into_iter().chain(args).collect();
        let Some(function) = functions::find(name, member) else {
            for tree in trees {
                self.code(tree);
            }
            return self.unknown_function(id, name, member);
        };
        let problems = self.problems.len();
        let lists = self.reads.lists_beyond;
        let mut codes: Vec<Code> = trees.iter().map(|tree| self.code(tree)).collect();
        // How many there are says nothing of what they hold.
        if name == "size" && matches!(codes.as_slice(), [Code::Related(..)]) {
            self.reads.lists_beyond = lists;
        }
        if metadata_path && !before && !self.locals.iter().any(|local| &**local == "object") {
            self.reads.beyond_metadata = false;
        }
        if let Some(message) = function.count_problem(codes.len()) {
            return self.problem_at_name(id, name, message, None);
        }
        if name == "age" {
            self.reads.now = true;
        }
        if self.problems.len() > problems {
            return Code::Const(Val::Null);
        }
        for (position, (tree, code)) in trees.iter().zip(&mut codes).enumerate() {
            self.literal(function, position, tree, code);
        }
        if self.problems.len() > problems {
            return Code::Const(Val::Null);
        }
        if name == "jsonpath"
            && let [of, Code::Const(Val::Path(path))] = codes.as_slice()
            && path.root() != Root::Object
            && !matches!(of, Code::Object)
        {
            return self.problem(
                trees[1].id,
                "`$pod` and `$containers` start only at `object`".into(),
                None,
            );
        }
        if name == "jsonpath"
            && let [Code::Object | Code::Candidate, Code::Const(Val::Path(path))] = codes.as_slice()
            && let Some(problem) = path.managed_fields()
        {
            return self.problem(trees[1].id, problem.message, problem.mend);
        }
        let constants: Option<Vec<Val<'static>>> = codes
            .iter()
            .map(|code| match code {
                Code::Const(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        if function.at_load
            && let Some(constants) = constants
        {
            // Whatever fails here fails always.
            return match (function.run)(&mut Frame::new(None), &constants) {
                Ok(value) => Code::Const(value),
                Err(Fault::Failed(message)) => match trees.last() {
                    Some(tree) => self.problem_in(tree, message.into(), None),
                    None => self.problem(id, message.into(), None),
                },
                Err(_) => Code::Call {
                    function,
                    args: codes.into(),
                },
            };
        }
        Code::Call {
            function,
            args: codes.into(),
        }
    }

    /// Checks a literal argument, and compiles a pattern or path.
    pub(super) fn literal(
        &mut self,
        function: &'static Function,
        position: usize,
        tree: &IdedExpr,
        code: &mut Code,
    ) {
        let kinds = function.kinds(position);
        let prepared = match code {
            Code::Const(Val::Text(text)) if kinds & value::PATTERN != 0 => {
                functions::regex::build(text)
                    .map(|pattern| Val::Pattern(Arc::new(pattern)))
                    .map_err(|message| (message, None))
            }
            Code::Const(Val::Text(text)) if kinds & value::PATH != 0 => Path::parse(text)
                .map(|path| Val::Path(Arc::new(path)))
                .map_err(|problem| (problem.message, problem.mend)),
            Code::Const(value) if value.kind() & kinds == 0 => {
                let message = function.refusal(position, &[], code);
                self.problem_in(tree, message, None);
                return;
            }
            _ if kinds == value::PATH => {
                self.problem_in(
                    tree,
                    "the path of `jsonpath` must be a literal".into(),
                    None,
                );
                return;
            }
            _ => return,
        };
        match prepared {
            Ok(value) => *code = Code::Const(value),
            Err((message, mend)) => {
                self.problem_in(tree, message, mend);
            }
        }
    }

    pub(super) fn unknown_function(&mut self, id: u64, name: &str, member: bool) -> Code {
        if let Some(other) = functions::find(name, !member) {
            let message = if member {
                format!("`{name}` is not called on a value")
            } else {
                format!("`{name}` is called on a value")
            };
            let mend = if member {
                format!("write `{}(x)`", other.name)
            } else {
                format!("write `x.{}()`", other.name)
            };
            return self.problem_at_name(id, name, message, Some(mend));
        }
        let known = functions::names(member).chain(if member {
            MACROS.as_slice().iter().copied()
        } else {
            ["has", "cel.bind"].as_slice().iter().copied()
        });
        let mend = nearest(name, known).map(|name| format!("did you mean `{name}`?"));
        self.problem_at_name(id, name, format!("there is no function `{name}`"), mend)
    }
}

/// `a.b.c` as text, if that is all the tree is.
pub(super) fn spelled(tree: &IdedExpr) -> Option<String> {
    match &tree.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", spelled(&select.operand)?, select.field))
        }
        _ => None,
    }
}

fn root_of(spelled: &str) -> &str {
    spelled.split('.').next().unwrap_or(spelled)
}
