//! From the CEL crate's syntax tree to code that runs: names are resolved, macros unfolded, functions looked up, literals evaluated, and
//! everything that cannot work is a problem.

use super::eval::{Fault, Frame};
use super::functions::{self, Function};
use super::value::{self, Val};
use super::{ExprProblem, Names};
use crate::object::Key;
use crate::rule::path::{Path, Root};
use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};
use std::sync::Arc;

/// An operator on two values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    pub fn as_str(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Remainder => "%",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Comparison {
    pub fn as_str(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

/// What a loop over a list or map makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FoldKind {
    All,
    Exists,
    ExistsOne,
    /// `map`, `transformList`
    Map,
    Filter,
    TransformMap,
    TransformMapEntry,
    SortBy,
}

impl FoldKind {
    pub fn as_str(self) -> &'static str {
        match self {
            FoldKind::All => "all",
            FoldKind::Exists => "exists",
            FoldKind::ExistsOne => "existsOne",
            FoldKind::Map => "map",
            FoldKind::Filter => "filter",
            FoldKind::TransformMap => "transformMap",
            FoldKind::TransformMapEntry => "transformMapEntry",
            FoldKind::SortBy => "sortBy",
        }
    }
}

/// A loop. With `two`, its variables are index and element, or key and value; else element, or key.
pub(super) struct Fold {
    pub kind: FoldKind,
    pub range: Code,
    pub two: bool,
    pub filter: Option<Code>,
    pub body: Code,
}

/// Compiled code. Variables of loops are numbered by how many are open around them.
pub(super) enum Code {
    Const(Val<'static>),
    Object,
    NamespaceObject,
    Now,
    Item,
    Current,
    Local(usize, Box<str>),
    Select {
        of: Box<Code>,
        key: Key,
    },
    OptSelect {
        of: Box<Code>,
        key: Key,
    },
    Has {
        of: Box<Code>,
        key: Key,
    },
    Index {
        of: Box<Code>,
        index: Box<Code>,
        optional: bool,
    },
    Not(Box<Code>),
    Negate(Box<Code>),
    And(Box<(Code, Code)>),
    Or(Box<(Code, Code)>),
    Cond(Box<(Code, Code, Code)>),
    Arithmetic(Arithmetic, Box<(Code, Code)>),
    Compare(Comparison, Box<(Code, Code)>),
    Equal {
        negated: bool,
        pair: Box<(Code, Code)>,
    },
    In(Box<(Code, Code)>),
    /// Elements; true for `?element`.
    List(Vec<(Code, bool)>),
    Map(Vec<(Code, Code, bool)>),
    Fold(Box<Fold>),
    OptMap {
        of: Box<Code>,
        body: Box<Code>,
        flat: bool,
    },
    /// `or` and `orValue`: the other side is evaluated only if it is needed.
    OptionalOr {
        of: Box<Code>,
        other: Box<Code>,
        unwrap: bool,
    },
    Bind {
        value: Box<Code>,
        body: Box<Code>,
    },
    Call {
        function: &'static Function,
        args: Box<[Code]>,
    },
}

impl Code {
    /// What it reads, for messages: names and literal keys only, never a value.
    pub fn describe(&self) -> String {
        match self {
            Code::Object => "object".into(),
            Code::NamespaceObject => "namespaceObject".into(),
            Code::Now => "now".into(),
            Code::Item => "item".into(),
            Code::Current => "current".into(),
            Code::Local(_, name) => name.to_string(),
            Code::Select { of, key } | Code::OptSelect { of, key } | Code::Has { of, key } => {
                format!("{}.{}", of.describe(), key.as_str())
            }
            Code::Index { of, index, .. } => match &**index {
                Code::Const(Val::Text(text)) => format!("{}['{}']", of.describe(), &**text),
                Code::Const(Val::Int(n)) => format!("{}[{n}]", of.describe()),
                _ => format!("{}[…]", of.describe()),
            },
            Code::Call { function, .. } => format!("{}(…)", function.name),
            Code::Fold(fold) => format!("{}.{}(…)", fold.range.describe(), fold.kind.as_str()),
            Code::OptionalOr { of, unwrap, .. } => {
                let name = if *unwrap { "orValue" } else { "or" };
                format!("{}.{name}(…)", of.describe())
            }
            Code::Const(value) => format!("the {}", value.kind_name()),
            _ => "the operand".into(),
        }
    }
}

/// What code reads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reads {
    pub now: bool,
    pub namespace_object: bool,
    pub item: bool,
    pub current: bool,
    /// Of `object` something beside `metadata`, `apiVersion` and `kind`.
    pub beyond_metadata: bool,
}

/// The result of compiling.
pub(super) struct Compiled {
    pub code: Code,
    pub reads: Reads,
}

/// Names of the language that this version does not have yet.
const NOT_YET: [&str; 7] = [
    "params",
    "schedule",
    "request",
    "applied",
    "candidate",
    "previous",
    "variables",
];

/// Names of types, as `type(x) == int` compares them.
const TYPES: [(&str, &str); 10] = [
    ("int", "int"),
    ("uint", "uint"),
    ("double", "double"),
    ("string", "string"),
    ("bool", "bool"),
    ("bytes", "bytes"),
    ("list", "list"),
    ("map", "map"),
    ("null_type", "null_type"),
    ("type", "type"),
];

/// Deepest syntax tree; the text's bounds keep it far below.
const DEEPEST: usize = 400;

/// Compiles the tree of `text`.
pub(super) fn compile(
    text: &str,
    tree: &IdedExpr,
    source: &SourceInfo,
    names: Names,
) -> Result<Compiled, Vec<ExprProblem>> {
    let mut compiler = Compiler {
        text,
        source,
        names,
        locals: Vec::new(),
        reads: Reads::default(),
        problems: Vec::new(),
        depth: 0,
    };
    let code = compiler.code(tree);
    if compiler.problems.is_empty() {
        Ok(Compiled {
            code,
            reads: compiler.reads,
        })
    } else {
        compiler.problems.sort_by_key(|problem| problem.at);
        Err(compiler.problems)
    }
}

struct Compiler<'t> {
    text: &'t str,
    source: &'t SourceInfo,
    names: Names,
    locals: Vec<Box<str>>,
    reads: Reads,
    problems: Vec<ExprProblem>,
    depth: usize,
}

impl Compiler<'_> {
    /// Reports a problem with the node `id`; its value is null from then on.
    fn problem(&mut self, id: u64, message: String, mend: Option<String>) -> Code {
        // The parser's offsets are bytes, its end is the first byte of the last character.
        let (start, stop) = self.source.offset_for(id).unwrap_or((0, 0));
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

    /// As [`Self::problem`], at the first occurrence of a name from the node on: the parser places a call at its bracket.
    fn problem_at_name(
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

    fn code(&mut self, tree: &IdedExpr) -> Code {
        if self.depth > DEEPEST {
            return self.problem(tree.id, "the expression is nested too deeply".into(), None);
        }
        self.depth += 1;
        let code = self.node(tree);
        self.depth -= 1;
        code
    }

    fn boxed(&mut self, tree: &IdedExpr) -> Box<Code> {
        Box::new(self.code(tree))
    }

    fn node(&mut self, tree: &IdedExpr) -> Code {
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

    /// The operand of a field or index with a fixed name; `object.metadata` reads only metadata.
    fn part_of(&mut self, operand: &IdedExpr, field: &str) -> Code {
        if let Expr::Ident(name) = &operand.expr
            && name == "object"
            && !self.locals.iter().any(|local| **local == *name)
            && matches!(field, "metadata" | "apiVersion" | "kind")
        {
            return Code::Object;
        }
        self.code(operand)
    }

    fn ident(&mut self, id: u64, name: &str) -> Code {
        if let Some(slot) = self.locals.iter().rposition(|local| **local == *name) {
            return Code::Local(slot, name.into());
        }
        match name {
            "object" => {
                self.reads.beyond_metadata = true;
                return Code::Object;
            }
            "namespaceObject" => {
                self.reads.namespace_object = true;
                return Code::NamespaceObject;
            }
            "now" => {
                self.reads.now = true;
                return Code::Now;
            }
            "item" if self.names.item => {
                self.reads.item = true;
                return Code::Item;
            }
            "current" if self.names.current => {
                self.reads.current = true;
                return Code::Current;
            }
            "item" | "current" => {
                return self.problem(
                    id,
                    format!("`{name}` has no meaning here: only an edit of a patch has it"),
                    None,
                );
            }
            _ => {}
        }
        if let Some((_, type_name)) = TYPES.iter().find(|(known, _)| *known == name) {
            return Code::Const(Val::Type(type_name));
        }
        if NOT_YET.contains(&name) {
            return self.problem(id, format!("`{name}` is not supported yet"), None);
        }
        let mut known = vec!["object", "namespaceObject", "now"];
        if self.names.item {
            known.push("item");
        }
        if self.names.current {
            known.push("current");
        }
        let nearest = nearest(
            name,
            known
                .iter()
                .copied()
                .chain(self.locals.iter().map(|local| &**local)),
        );
        let mend = nearest.map(|name| format!("did you mean `{name}`?"));
        self.problem(
            id,
            format!("there is no `{name}`; there are {}", listed(&known)),
            mend,
        )
    }

    fn operator(&mut self, id: u64, name: &str, args: &[IdedExpr]) -> Option<Code> {
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
            (operators::EQUALS | operators::NOT_EQUALS, [a, b]) => Code::Equal {
                negated: name == operators::NOT_EQUALS,
                pair: Box::new((self.code(a), self.code(b))),
            },
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
                    && value::compare(x, y).is_none()
                    && x.kind() | y.kind() | value::NUMBER != value::NUMBER
                {
                    let message = format!(
                        "`{}` cannot compare {} with {}",
                        comparison?.as_str(),
                        super::eval::article(x),
                        super::eval::article(y)
                    );
                    return Some(self.problem(id, message, None));
                }
                Code::Compare(comparison?, Box::new(pair))
            }
            _ => return None,
        })
    }

    /// Code that must give a bool.
    fn condition(&mut self, tree: &IdedExpr) -> Code {
        let before = self.problems.len();
        let code = self.code(tree);
        match &code {
            Code::Const(value) if value.kind() != value::BOOL && self.problems.len() == before => {
                let message = format!("a bool is needed here, not {}", super::eval::article(value));
                self.problem(tree.id, message, None)
            }
            _ => code,
        }
    }

    /// A call of a macro or a function.
    fn call(&mut self, id: u64, target: Option<&IdedExpr>, name: &str, args: &[IdedExpr]) -> Code {
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

    fn function(
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
        let mut codes: Vec<Code> = trees.iter().map(|tree| self.code(tree)).collect();
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
            self.literal(id, function, position, tree, code);
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
                Err(Fault::Failed(message)) => {
                    let at = trees.last().map_or(id, |tree| tree.id);
                    self.problem(at, message.into(), None)
                }
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
    fn literal(
        &mut self,
        call: u64,
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
                self.problem(tree.id, message, None);
                return;
            }
            _ if kinds == value::PATH => {
                self.problem(
                    call,
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
                self.problem(tree.id, message, mend);
            }
        }
    }

    fn unknown_function(&mut self, id: u64, name: &str, member: bool) -> Code {
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

    /// Calls that are no functions: macros, and optionals whose other side waits.
    fn special(
        &mut self,
        id: u64,
        target: Option<&IdedExpr>,
        name: &str,
        args: &[IdedExpr],
    ) -> Option<Code> {
        let Some(target) = target else {
            return match (name, args) {
                ("has", [operand]) => Some(match &operand.expr {
                    Expr::Select(select) => Code::Has {
                        of: Box::new(self.part_of(&select.operand, &select.field)),
                        key: Key::new(&select.field),
                    },
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
    fn scoped<T>(&mut self, variables: &[&IdedExpr], make: impl FnOnce(&mut Self) -> T) -> T {
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

/// Calls on a value that are macros.
const MACROS: [&str; 15] = [
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

/// `a.b.c` as text, if that is all the tree is.
fn spelled(tree: &IdedExpr) -> Option<String> {
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

/// The nearest of some names, if it is near.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let folded = name.to_lowercase();
    known
        .map(|other| {
            (
                strsim::damerau_levenshtein(&folded, &other.to_lowercase()),
                other,
            )
        })
        .filter(|(distance, other)| *distance <= 1 + name.len().min(other.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
