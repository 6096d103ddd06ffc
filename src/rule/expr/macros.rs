//! Calls that are no functions, because they bring names along or do not evaluate all they are given.

use super::code::{Code, Fold, FoldKind};
use super::compile::Compiler;
use super::value::Val;
use crate::object::Key;
use cel::common::ast::{Expr, IdedExpr};

/// Calls on a value that are macros.
pub(super) const MACROS: [&str; 15] = [
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    "transformList",
    "transformMap",
    "transformMapEntry",
    "sortBy",
    "optMap",
    "optFlatMap",
    "or",
    "orValue",
    "bind",
];

impl Compiler<'_> {
    /// Calls that are no functions: macros, and optionals whose other side waits.
    pub(super) fn special(
        &mut self,
        id: u64,
        target: Option<&IdedExpr>,
        name: &str,
        args: &[IdedExpr],
    ) -> Option<Code> {
        let Some(target) = target else {
            return match (name, args) {
                ("has", [operand]) => Some(match &operand.expr {
                    Expr::Select(select) => {
                        self.note_members(operand, true);
                        Code::Has {
                            of: Box::new(self.part_of(&select.operand, &select.field)),
                            key: Key::new(&select.field),
                        }
                    }
                    _ => self.problem(
                        operand.id,
                        "`has` needs a field".into(),
                        Some("write `has(object.spec.x)`".into()),
                    ),
                }),
                ("has", _) => {
                    Some(self.problem_at_name(id, name, "`has` takes one field".into(), None))
                }
                _ => None,
            };
        };
        if matches!(&target.expr, Expr::Ident(root) if root == "cel") && name == "bind" {
            let [variable, value, body] = args else {
                let message = "`cel.bind` takes a name, its value and an expression";
                return Some(self.problem_at_name(id, name, message.into(), None));
            };
            let value = self.boxed(value);
            let body = self.scoped(&[variable], |compiler| compiler.boxed(body));
            return Some(Code::Bind { value, body });
        }
        let kind = match name {
            "all" => FoldKind::All,
            "exists" => FoldKind::Exists,
            "exists_one" | "existsOne" => FoldKind::ExistsOne,
            "map" | "transformList" => FoldKind::Map,
            "filter" => FoldKind::Filter,
            "transformMap" => FoldKind::TransformMap,
            "transformMapEntry" => FoldKind::TransformMapEntry,
            "sortBy" => FoldKind::SortBy,
            "optMap" | "optFlatMap" => {
                let [variable, body] = args else {
                    let message = format!("`{name}` takes a name and an expression");
                    return Some(self.problem_at_name(id, name, message, None));
                };
                let of = self.boxed(target);
                let body = self.scoped(&[variable], |compiler| compiler.boxed(body));
                let flat = name == "optFlatMap";
                return Some(Code::OptMap { of, body, flat });
            }
            "or" | "orValue" => {
                let [other] = args else {
                    let message = format!("`{name}` takes one argument");
                    return Some(self.problem_at_name(id, name, message, None));
                };
                return Some(Code::OptionalOr {
                    of: self.boxed(target),
                    other: self.boxed(other),
                    unwrap: name == "orValue",
                });
            }
            _ => return None,
        };
        // How many of the arguments are names, and whether a filter follows.
        let shape = match (name, args.len()) {
            ("all" | "exists" | "exists_one" | "existsOne" | "map" | "filter" | "sortBy", 2) => {
                (1, false)
            }
            ("all" | "exists" | "exists_one" | "existsOne", 3) => (2, false),
            ("map", 3) => (1, true),
            ("transformList" | "transformMap" | "transformMapEntry", 3) => (2, false),
            ("transformList" | "transformMap" | "transformMapEntry", 4) => (2, true),
            _ => {
                let message = match name {
                    "all" | "exists" | "exists_one" | "existsOne" => {
                        "takes one or two names and a condition"
                    }
                    "map" => "takes a name, perhaps a condition, and an expression",
                    "filter" => "takes a name and a condition",
                    "sortBy" => "takes a name and an expression",
                    _ => "takes two names, perhaps a condition, and an expression",
                };
                return Some(self.problem_at_name(id, name, format!("`{name}` {message}"), None));
            }
        };
        let range = self.code(target);
        let variables: Vec<&IdedExpr> = args[..shape.0].iter().collect();
        let rest = &args[shape.0..];
        let fold = self.scoped(&variables, |compiler| {
            let predicate = matches!(kind, FoldKind::All | FoldKind::Exists | FoldKind::ExistsOne);
            let (filter, body) = match (rest, kind) {
                ([condition], FoldKind::Filter) => {
                    (Some(compiler.condition(condition)), Code::Const(Val::Null))
                }
                ([condition], _) if predicate => (None, compiler.condition(condition)),
                ([body], _) => (None, compiler.code(body)),
                ([condition, body], _) => {
                    (Some(compiler.condition(condition)), compiler.code(body))
                }
                _ => (None, Code::Const(Val::Null)),
            };
            Code::Fold(Box::new(Fold {
                kind,
                range,
                two: shape.0 == 2,
                filter,
                body,
            }))
        });
        Some(fold)
    }

    /// Compiles with the names in scope; a problem where something else than a name stands.
    pub(super) fn scoped<T>(
        &mut self,
        variables: &[&IdedExpr],
        make: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let depth = self.locals.len();
        for variable in variables {
            match &variable.expr {
                Expr::Ident(name) => self.locals.push(name.as_str().into()),
                _ => {
                    self.problem(variable.id, "a name must stand here".into(), None);
                    self.locals.push("".into());
                }
            }
        }
        let made = make(self);
        self.locals.truncate(depth);
        made
    }
}
