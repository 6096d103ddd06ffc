//! CEL inside `${ }`. The only user of the CEL crate.
//!
//! Of the crate `cel` only the parser is used. Its interpreter turns objects into trees or wants every value behind a trait object, knows
//! no bound on work, quotes values in its errors, has no loops over two variables and looks names up as text; so the syntax tree is
//! compiled to [`code`] and run by [`eval`], on records as they are: reading a field allocates nothing.
//!
//! * Text to code: [`guard`] bounds the text before any parser sees it, [`syntax`] words what the parser refuses, [`compile`] with
//!   [`names`], [`calls`], [`macros`] and [`members`] resolves names, functions and argument counts, evaluates literals and collects all problems.
//! * Code to value: [`eval`] with [`access`], [`operators`] and [`loops`]; [`value`] is what expressions compute with, [`compare`] orders
//!   it, [`output`] turns it into text and JSON; [`functions`] are the libraries, one file each.
//! * [`inline`] puts variables into the lists of other objects, which are looked up before variables are computed.
//! * [`template`] is YAML with `${ }`.
//! * A null of an object counts as absent, as everywhere in the language: `has(x)` is false, `?.` gives no value.
//! * Functions answer as cel-go 0.29 and Kubernetes 1.37 do, compared on 6,800 calls. Differences: `1.5Gi` is an integer (upstream says no to
//!   quantities it keeps as decimals), `Mi` alone is no quantity, quantities end at 1.7e29, a timestamp keeps no offset, a map with two equal
//!   keys is an error, `min`, `max` and `isSorted` refuse elements without an order.
//! * Unlike upstream CEL there is no type checker: a call is resolved by name and number of arguments at load, and by the kinds of its
//!   arguments when it runs (literals: at load). `duration()` also takes `d` and `w`. `base64.encode` takes text and `base64.decode`
//!   gives text. The bit operations of `math` are not there.
//! * Bounds: 16 KiB of text, 32 levels of brackets, 160 operators in a row, a million steps an evaluation, 1 MiB of text or result.
//! * Errors name fields and kinds of values, never the values: those may come from a Secret.

mod access;
mod calls;
mod code;
mod compare;
mod compile;
mod eval;
mod functions;
mod guard;
mod inline;
mod loops;
mod macros;
mod members;
mod names;
mod operators;
mod output;
mod request;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod value;
mod variables;

pub use functions::{Signature, hashed, signatures};
pub use inline::Inlined;
pub use members::{Member, MemberOf, Members};
pub use template::{Template, TemplateProblem, is_whole};
pub use variables::{Params, Variable, Variables};

use super::path::PodPrefix;
use crate::object::Node;
use code::{Code, Reads};
use jiff::Timestamp;
use serde_json::Value;
use std::fmt;

/// What a `${ }` can see. Everything is borrowed; nothing is converted until the expression touches it.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The subject as it stands now, `metadata.namespace` filled: what paths read.
    pub object: Node<'a>,
    /// The subject as the rule's turn found it, where an earlier edit has changed it since: `${object}` is this. What it had not then and
    /// has now is read from `object`.
    pub found: Option<Node<'a>>,
    /// Where the subject's kind keeps its Pod.
    pub pod: PodPrefix,
    /// Its Namespace (for a Namespace: itself).
    pub namespace_object: NamespaceObject<'a>,
    /// The moment of the evaluation.
    pub now: Timestamp,
    /// In an edit: what the last wildcard, filter, index or `..` of the path selected.
    pub item: Option<Node<'a>>,
    /// In an edit: the value at the edit's path.
    pub current: Option<Node<'a>>,
    /// The rule's variables, computed for this turn. `None`: it has none, or they are not computed yet.
    pub variables: Option<&'a Variables>,
    /// The objects that earlier steps applied, by the names of those steps.
    pub applied: Option<Node<'a>>,
    /// At admission: what is asked of the API server.
    pub request: Option<Node<'a>>,
    /// When the rule's schedule opened.
    pub schedule_start: Option<Timestamp>,
    /// In a step with `once` and a `key`: the remembered one, empty if there is none.
    pub previous: Option<Node<'a>>,
    /// The object that paths are about, where that is not the subject.
    pub other: Option<Other<'a>>,
}

impl<'a> Scope<'a> {
    /// The object that paths are about, and where it keeps its Pod.
    pub fn edited(&self) -> (Node<'a>, PodPrefix) {
        match self.other {
            Some(other) => (other.object, other.pod),
            None => (self.object, self.pod),
        }
    }

    /// Whether it is asked of another object if it belongs to a list.
    pub fn is_joining(&self) -> bool {
        self.other.is_some_and(|other| other.joins)
    }
}

/// An object that is not the subject.
#[derive(Clone, Copy)]
pub struct Other<'a> {
    /// As it is.
    pub object: Node<'a>,
    /// Where its kind keeps its Pod.
    pub pod: PodPrefix,
    /// It is asked whether it belongs to a list: a value of the subject that is not there leaves that unknown.
    pub joins: bool,
}

/// The Namespace of a subject.
#[derive(Clone, Copy)]
pub enum NamespaceObject<'a> {
    /// It is known.
    Known(Node<'a>),
    /// Not synced, forbidden, or not there.
    Unknown,
    /// A cluster-scoped subject that is no Namespace.
    None,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExprFault {
    /// Something it reads is not known yet: the object waits.
    Unknown(String),
    /// It read a field that is not there, without `?.` or `orValue`. Its path, such as `object.spec.replicas`.
    Absent(String),
    /// Anything else: wrong type, division by zero, too large. A sentence for people.
    Failed(String),
}

impl fmt::Display for ExprFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExprFault::Unknown(name) => write!(f, "`{name}` is not known yet"),
            ExprFault::Absent(name) => write!(f, "`{name}` is not there"),
            ExprFault::Failed(message) => f.write_str(message),
        }
    }
}

/// What is wrong with an expression, relative to its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprProblem {
    /// Byte offset in the expression's text (without `${` and `}`).
    pub at: usize,
    /// In bytes, at least 1.
    pub length: usize,
    /// A sentence for people.
    pub message: String,
    /// What to write instead, if it can be guessed.
    pub mend: Option<String>,
}

/// Names an expression may use at its place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'n> {
    /// `item`, what the path of an edit selected last.
    pub item: bool,
    /// `current`, the value at the edit's path.
    pub current: bool,
    /// The variables of the rule that stand above this place.
    pub variables: &'n [Variable],
    /// Variables that are not computed yet here: each stands for its expression.
    pub inlined: &'n [Inlined],
    /// Names of variables that stand further down, for the message.
    pub later: &'n [std::sync::Arc<str>],
    /// The parameters of the rule. `None`: it declares none.
    pub params: Option<&'n Params>,
    /// `applied`, what earlier steps applied.
    pub applied: bool,
    /// `request`, at admission.
    pub request: bool,
    /// `schedule.start`, in a rule with a schedule.
    pub schedule: bool,
    /// `previous`, the remembered key of `once`.
    pub previous: bool,
    /// The lists of other objects that may be read, in the order of the rule.
    pub lists: &'n [ListName],
    /// Names of lists that stand further down, for the message.
    pub later_lists: &'n [std::sync::Arc<str>],
    /// `candidate`, an object of which a list asks whether it belongs to it.
    pub candidate: bool,
}

/// A list of other objects, as expressions see it.
#[derive(Clone, Debug)]
pub struct ListName {
    /// An identifier of CEL.
    pub name: std::sync::Arc<str>,
    /// The name is the one object, not a list.
    pub one: bool,
}

/// One compiled expression.
pub struct Expr {
    source: Box<Source>,
    code: Code,
    reads: Reads,
}

/// What evaluating it does not need.
struct Source {
    text: Box<str>,
    members: Vec<Members>,
}

/// Calls that are no functions, because they bring names along or do not evaluate all they are given; `has` besides.
pub fn macros() -> &'static [&'static str] {
    &macros::MACROS
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.source.text).finish()
    }
}

impl Expr {
    /// Compiles CEL. All problems: unknown names and functions (nearest offered), wrong argument counts, too long (16 KiB), too deep.
    ///
    /// # Errors
    /// Every problem that the parser got to, in the order of the text.
    pub fn compile(text: &str, names: Names<'_>) -> Result<Expr, Vec<ExprProblem>> {
        guard::check(text).map_err(|problem| vec![problem])?;
        // The environment has no macros: calls stay as they are written, and are unfolded by our own compiler.
        let program = cel::Env::default()
            .compile(text)
            .map_err(|errors| vec![syntax::problem(text, &errors)])?;
        let compiled = compile::compile(text, program.expression(), program.source_info(), names)?;
        let mut expr = Expr {
            source: Box::new(Source {
                text: text.into(),
                members: compiled.members,
            }),
            code: compiled.code,
            reads: compiled.reads,
        };
        expr.fold_parameters();
        Ok(expr)
    }

    /// Parameters never change while a rule set is in force: what is made of them alone is computed once.
    fn fold_parameters(&mut self) {
        if !self.reads.params || self.reads.subject {
            return;
        }
        if let Ok(value) = eval::Frame::new(None).eval(&self.code) {
            self.code = Code::Const(value);
        }
    }

    /// The value, if it is made of parameters alone.
    pub fn constant(&self) -> Option<Value> {
        self.constant_with(output::Whole::Integer)
    }

    fn constant_with(&self, whole: output::Whole) -> Option<Value> {
        match &self.code {
            Code::Const(value) if self.reads.params && !self.reads.subject => {
                output::to_json_with(&mut eval::Frame::new(None), value, whole)
                    .ok()
                    .flatten()
            }
            _ => None,
        }
    }

    /// As it was written, without `${` and `}`.
    pub fn text(&self) -> &str {
        &self.source.text
    }

    /// The value as a JSON tree: integers stay integers, doubles without a fraction become some, timestamps are RFC 3339, durations as rules write them (`1h30m`), quantities, IP
    /// addresses, URLs and images their text, bytes base64. `None` is `optional.none()`.
    ///
    /// # Errors
    /// See [`ExprFault`].
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Option<Value>, ExprFault> {
        self.evaluate_with(scope, output::Whole::Integer)
    }

    fn evaluate_with(
        &self,
        scope: &Scope<'_>,
        whole: output::Whole,
    ) -> Result<Option<Value>, ExprFault> {
        self.as_found(scope, |scope| {
            let mut frame = eval::Frame::new(Some(scope));
            let value = frame.eval(&self.code)?;
            Ok(output::to_json_with(&mut frame, &value, whole)?)
        })
    }

    /// On the object as the turn found it; where something is absent there, on what earlier edits made of it.
    fn as_found<T>(
        &self,
        scope: &Scope<'_>,
        run: impl Fn(&Scope<'_>) -> Result<T, ExprFault>,
    ) -> Result<T, ExprFault> {
        let Some(found) = scope.found else {
            return run(scope);
        };
        let then = Scope {
            object: found,
            ..*scope
        };
        match run(&then) {
            Err(ExprFault::Absent(_)) => run(scope),
            other => other,
        }
    }

    /// The value if it is a bool, without making a JSON tree. `None` is `optional.none()`.
    ///
    /// # Errors
    /// See [`ExprFault`]; any other kind of value is [`ExprFault::Failed`].
    pub fn evaluate_bool(&self, scope: &Scope<'_>) -> Result<Option<bool>, ExprFault> {
        self.as_found(scope, |scope| {
            match eval::Frame::new(Some(scope)).eval(&self.code)? {
                value::Val::Bool(b) => Ok(Some(b)),
                value::Val::Optional(None) => Ok(None),
                value::Val::Optional(Some(inner)) if matches!(*inner, value::Val::Bool(true)) => {
                    Ok(Some(true))
                }
                value::Val::Optional(Some(inner)) if matches!(*inner, value::Val::Bool(false)) => {
                    Ok(Some(false))
                }
                other => Err(ExprFault::Failed(format!(
                    "the expression must give a bool, it gives {}",
                    eval::article(&other)
                ))),
            }
        })
    }

    /// The value as it stands inside longer text.
    fn evaluate_text(&self, scope: &Scope<'_>) -> Result<String, ExprFault> {
        self.as_found(scope, |scope| self.text_in(scope))
    }

    fn text_in(&self, scope: &Scope<'_>) -> Result<String, ExprFault> {
        let mut frame = eval::Frame::new(Some(scope));
        let value = frame.eval(&self.code)?;
        let value = match value {
            value::Val::Optional(Some(inner)) => std::sync::Arc::unwrap_or_clone(inner),
            other => other,
        };
        match value {
            value::Val::Text(text) => Ok(text.to_string()),
            value::Val::Optional(None) => Err(ExprFault::Absent(format!(
                "the value of ${{{}}} inside text",
                self.source.text.trim()
            ))),
            value::Val::Int(n) => Ok(n.to_string()),
            value::Val::Double(d) => Ok(d.to_string()),
            other => Ok(match output::to_json(&mut frame, &other)? {
                Some(Value::String(text)) => text,
                Some(tree) => tree.to_string(),
                None => String::new(),
            }),
        }
    }

    /// The fields of `object` and `namespaceObject` that it names; chains that begin longer ones too.
    pub fn members(&self) -> &[Members] {
        &self.source.members
    }

    /// Whether it reads `now`, or `age()` does.
    pub fn reads_now(&self) -> bool {
        self.reads.now
    }

    /// Whether it reads `namespaceObject`.
    pub fn reads_namespace_object(&self) -> bool {
        self.reads.namespace_object
    }

    /// Whether it reads a variable.
    pub fn reads_variables(&self) -> bool {
        self.reads.variables
    }

    /// Whether it reads a parameter.
    pub fn reads_parameters(&self) -> bool {
        self.reads.params
    }

    /// The lists of other objects that it reads, a bit each by their place.
    pub fn reads_lists(&self) -> u32 {
        self.reads.lists
    }

    /// Of those the lists of whose members it may read more than `metadata`, `apiVersion` and `kind`.
    pub fn reads_lists_beyond_metadata(&self) -> u32 {
        self.reads.lists_beyond
    }

    /// Whether it reads `candidate`.
    pub fn reads_candidate(&self) -> bool {
        self.reads.candidate
    }

    /// Whether it reads of `candidate` more than `metadata`, `apiVersion` and `kind`.
    pub fn reads_candidate_beyond_metadata(&self) -> bool {
        self.reads.candidate_beyond
    }

    /// Whether its value is the same for a candidate whatever the subject and the time.
    pub fn is_of_candidate_alone(&self) -> bool {
        !self.reads.beside_candidate && !self.reads.now
    }

    /// Whether it reads `item`.
    pub fn reads_item(&self) -> bool {
        self.reads.item
    }

    /// Whether it reads `current`.
    pub fn reads_current(&self) -> bool {
        self.reads.current
    }

    /// Whether it reads of `object` only `metadata`, `apiVersion` and `kind`.
    pub fn is_metadata_only(&self) -> bool {
        !self.reads.beyond_metadata
    }
}
