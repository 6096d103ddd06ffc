//! What an expression is compiled to.

use super::functions::Function;
use super::value::Val;
use crate::object::Key;

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
    Request,
    ScheduleStart,
    /// By its place among the rule's variables.
    Variable(usize, Box<str>),
    Applied,
    Candidate,
    /// A list of other objects, by its place among the rule's lists.
    Related(usize, Box<str>),
    Previous,
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
    /// `x == null`: whether it is absent, which null is too.
    IsNull {
        of: Box<Code>,
        negated: bool,
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
    /// Whether it only reads what is there: a name, a field, an element.
    pub fn is_reading(&self) -> bool {
        matches!(
            self,
            Code::Object
                | Code::NamespaceObject
                | Code::Item
                | Code::Current
                | Code::Request
                | Code::Variable(..)
                | Code::Applied
                | Code::Candidate
                | Code::Related(..)
                | Code::Previous
                | Code::Local(..)
                | Code::Select { .. }
                | Code::OptSelect { .. }
                | Code::Index { .. }
        )
    }

    /// What it reads, for messages: names and literal keys only, never a value.
    pub fn describe(&self) -> String {
        match self {
            Code::Object => "object".into(),
            Code::NamespaceObject => "namespaceObject".into(),
            Code::Now => "now".into(),
            Code::Item => "item".into(),
            Code::Current => "current".into(),
            Code::Request => "request".into(),
            Code::ScheduleStart => "schedule.start".into(),
            Code::Previous => "previous".into(),
            Code::Applied => "applied".into(),
            Code::Candidate => "candidate".into(),
            Code::Local(_, name) | Code::Variable(_, name) | Code::Related(_, name) => {
                name.to_string()
            }
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
            Code::Map(_) => "the map".into(),
            Code::List(_) => "the list".into(),
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
    pub params: bool,
    pub variables: bool,
    /// Anything that differs from one evaluation to the next.
    pub subject: bool,
    /// Of that, anything but `candidate`.
    pub beside_candidate: bool,
    pub candidate: bool,
    /// Of `candidate` something beside `metadata`, `apiVersion` and `kind`.
    pub candidate_beyond: bool,
    /// Lists of other objects, a bit each by their place.
    pub lists: u32,
    /// Those of whose members something beside that is read, or may be.
    pub lists_beyond: u32,
}

impl Reads {
    /// What part of the code reads, all of it reads.
    pub fn together(&mut self, part: Reads) {
        self.now |= part.now;
        self.namespace_object |= part.namespace_object;
        self.item |= part.item;
        self.current |= part.current;
        self.beyond_metadata |= part.beyond_metadata;
        self.params |= part.params;
        self.variables |= part.variables;
        self.subject |= part.subject;
        self.beside_candidate |= part.beside_candidate;
        self.candidate |= part.candidate;
        self.candidate_beyond |= part.candidate_beyond;
        self.lists |= part.lists;
        self.lists_beyond |= part.lists_beyond;
    }

    /// What a variable reads, its reader reads.
    pub fn through(&mut self, variable: Reads) {
        self.now |= variable.now;
        self.namespace_object |= variable.namespace_object;
        self.beyond_metadata |= variable.beyond_metadata;
        self.lists |= variable.lists;
        self.lists_beyond |= variable.lists_beyond;
        self.variables = true;
        self.subject = true;
        self.beside_candidate = true;
    }
}
